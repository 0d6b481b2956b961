/* codec_coding_test.c -- Accept-Encoding and the types that are text.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/coding.h"

static enum coding pick(const char *first, const char *second)
{
	struct http1_header headers[] = {
		{ SIO_LIT("host"), SIO_LIT("x") },
		{ SIO_LIT("accept-encoding"), sio_str(first) },
		{ SIO_LIT("accept"), SIO_LIT("gzip") },
		{ SIO_LIT("accept-encoding"), sio_str(second) },
	};
	struct http1_request req = { .headers = headers, .headers_n = second ? 4 : first ? 3 : 1 };

	return coding_pick(&req);
}

static void test_accept_encoding(void **state)
{
	static const struct {
		const char *value;
		enum coding want;
	} rows[] = {
		{ NULL, CODING_NONE },
		{ "", CODING_NONE },
		{ "gzip", CODING_GZIP },
		{ "GZip", CODING_GZIP },
		{ "x-gzip", CODING_GZIP },
		{ "deflate", CODING_DEFLATE },
		{ "gzip, deflate, br, zstd", CODING_GZIP }, /* browsers */
		{ "deflate, gzip", CODING_GZIP },
		{ "br", CODING_NONE },
		{ "br;q=1.0, gzip;q=0.8, *;q=0.1", CODING_GZIP },
		{ "*", CODING_GZIP },
		{ "*;q=0.5", CODING_GZIP },
		{ "*;q=0", CODING_NONE },
		{ "gzip;q=0, *", CODING_DEFLATE },
		{ "gzip;q=0", CODING_NONE },
		{ "gzip;q=0.000", CODING_NONE },
		{ "gzip;q=0.001", CODING_GZIP },
		{ "gzip;q=0.5, deflate;q=0.8", CODING_DEFLATE },
		{ "gzip;q=0.8, deflate;q=0.5", CODING_GZIP },
		{ "gzip;q=0.8, deflate;q=0.8", CODING_GZIP },
		{ "gzip ; q = 0.5 , deflate ; q=1", CODING_DEFLATE },
		{ "gzip;Q=0.5,deflate;Q=1", CODING_DEFLATE },
		{ "identity", CODING_NONE },
		{ "identity, gzip;q=0.5", CODING_NONE },
		{ "identity;q=0.5, gzip;q=0.5", CODING_GZIP },
		{ "identity;q=0.5, gzip", CODING_GZIP },
		{ "identity;q=0, gzip", CODING_GZIP },
		{ "identity;q=0", CODING_NONE },
		{ "gzip;level=9;q=0.5", CODING_GZIP },
		/* pieces that cannot be read */
		{ "gzip;q=2", CODING_NONE },
		{ "gzip;q=1.1", CODING_NONE },
		{ "gzip;q=-1", CODING_NONE },
		{ "gzip;q=0.1234", CODING_NONE },
		{ "gzip;q=x", CODING_NONE },
		{ "gzip;q=", CODING_NONE },
		{ "gzip;q=.5", CODING_NONE },
		{ "gzip;q", CODING_NONE },
		{ "gzip;q=2, deflate", CODING_DEFLATE },
		{ "gzipp", CODING_NONE },
		{ ",,,gzip,,", CODING_GZIP },
		{ ";;;", CODING_NONE },
		{ ";q=1", CODING_NONE },
		{ "gzip deflate", CODING_NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum coding got = pick(rows[i].value, NULL);
		if (got != rows[i].want)
			fail_msg("%s: %s, wanted %s", rows[i].value, coding_name(got), coding_name(rows[i].want));
	}
	assert_int_equal(pick("br", "deflate"), CODING_DEFLATE); /* two lines are one list */
	assert_int_equal(pick("deflate", "gzip;q=0.1"), CODING_DEFLATE);
}

static void test_types(void **state)
{
	static const char *const text[] = { "text/plain", "text/html; charset=utf-8", "TEXT/css", "application/json",
					    "application/json; charset=utf-8", "application/problem+json", "image/svg+xml",
					    "text/javascript", "application/javascript", "application/xml" };
	static const char *const other[] = { "", "text/", "image/png", "application/octet-stream", "application/zip", "video/mp4",
					     "application/jsonp", "x+json/foo", "font/woff2", "+json", "application/gzip" };

	(void)state;
	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		if (!coding_is_text(text[i]))
			fail_msg("%s is text", text[i]);
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		if (coding_is_text(other[i]))
			fail_msg("%s is no text", other[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accept_encoding),
		cmocka_unit_test(test_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
