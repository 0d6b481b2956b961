/* codec_utf8_test.c -- the edges of RFC 3629, whole and in every division.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/utf8.h"
#include "lib/guard.h"

static const struct {
	const char *text;
	bool is_ok;
} cases[] = {
	{ "", true },
	{ "plain ASCII, longer than eight bytes", true },
	{ "\xc2\x80", true },         /* U+0080 */
	{ "\xdf\xbf", true },         /* U+07FF */
	{ "\xe0\xa0\x80", true },     /* U+0800 */
	{ "\xed\x9f\xbf", true },     /* U+D7FF */
	{ "\xee\x80\x80", true },     /* U+E000 */
	{ "\xef\xbf\xbf", true },     /* U+FFFF */
	{ "\xf0\x90\x80\x80", true }, /* U+10000 */
	{ "\xf4\x8f\xbf\xbf", true }, /* U+10FFFF */
	{ "A\xe2\x89\xa2\xce\x91.", true },                   /* RFC 3629 7 */
	{ "\xed\x95\x9c\xea\xb5\xad\xec\x96\xb4", true },
	{ "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", true },
	{ "\xef\xbb\xbf\xf0\xa3\x8e\xb4", true },
	{ "01234567\xe2\x82\xac" "0123456\xf0\x9f\x98\x80", true },
	{ "\x80", false },
	{ "\xbf", false },
	{ "\xc0\x80", false },         /* overlong */
	{ "\xc1\xbf", false },
	{ "\xe0\x9f\xbf", false },
	{ "\xf0\x8f\xbf\xbf", false },
	{ "\xed\xa0\x80", false },     /* surrogates */
	{ "\xed\xbf\xbf", false },
	{ "\xf4\x90\x80\x80", false }, /* above U+10FFFF */
	{ "\xf5\x80\x80\x80", false },
	{ "\xf8\x88\x80\x80\x80", false },
	{ "\xfe", false },
	{ "\xff", false },
	{ "\xc3", false },             /* cut */
	{ "\xe2\x82", false },
	{ "\xf0\x9f\x98", false },
	{ "\xc3(", false },
	{ "\xe2(\xac", false },
	{ "\xe2\x82(", false },
	{ "\xf0\x9f\x98(", false },
	{ "01234567\xff" "01234567", false },
	{ "0123456701234567\xc3", false },
};

static bool in_steps(const char *text, size_t n, size_t first, size_t step)
{
	uint32_t state = 0;
	size_t len = first;

	for (size_t at = 0; at < n; at += len, len = step) {
		len = len < n - at ? len : n - at;
		if (!utf8_feed(&state, guard_put(text + at, len), len))
			return false;
	}
	return state == 0;
}

static void test_cases(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = strlen(cases[i].text);
		if (utf8_ok(guard_put(cases[i].text, n), n) != cases[i].is_ok)
			fail_msg("case %zu", i);
		for (size_t step = 1; step <= n; step++) {
			assert_int_equal(in_steps(cases[i].text, n, step, step), cases[i].is_ok);
			assert_int_equal(in_steps(cases[i].text, n, step, n), cases[i].is_ok);
		}
	}
}

static size_t encode(uint32_t c, char *out)
{
	if (c < 0x80)
		return out[0] = (char)c, 1;
	if (c < 0x800)
		return out[0] = (char)(0xc0 | c >> 6), out[1] = (char)(0x80 | (c & 63)), 2;
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12), out[1] = (char)(0x80 | (c >> 6 & 63));
		return out[2] = (char)(0x80 | (c & 63)), 3;
	}
	out[0] = (char)(0xf0 | c >> 18), out[1] = (char)(0x80 | (c >> 12 & 63));
	out[2] = (char)(0x80 | (c >> 6 & 63));
	return out[3] = (char)(0x80 | (c & 63)), 4;
}

static void test_every_character(void **unused)
{
	char text[4];

	(void)unused;
	for (uint32_t c = 0; c < 0x120000; c++) {
		bool is_character = c < 0x110000 && (c < 0xd800 || c > 0xdfff);
		assert_int_equal(utf8_ok(text, encode(c, text)), is_character);
	}
}

static void test_fails_at_the_first_wrong_byte(void **unused)
{
	uint32_t state = 0;

	(void)unused;
	assert_true(utf8_feed(&state, "\xed", 1));
	assert_int_not_equal(state, 0);
	assert_false(utf8_feed(&state, "\xa0", 1));
	state = 0;
	assert_true(utf8_feed(&state, NULL, 0));
	assert_true(utf8_ok(NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_every_character),
		cmocka_unit_test(test_fails_at_the_first_wrong_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
