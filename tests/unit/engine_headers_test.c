/* engine_headers_test.c -- headers that an application adds, and the cookie: what may
 * stand there, and how it is written.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "engine/headers.h"

static struct buf out;

static int teardown(void **state)
{
	(void)state;
	buf_fini(&out);
	return 0;
}

static void expect(struct buf *b, const char *want)
{
	if (!sio_slice_eq(buf_peek(b), sio_str(want)))
		fail_msg("got: %.*s\nwant: %s\n", (int)b->n, b->n ? b->p : "", want);
}

static void test_several_of_a_name(void **state)
{
	struct sio_headers h = { .out = &out };

	(void)state;
	assert_int_equal(sio_headers_add(&h, SIO_LIT("Set-Cookie"), SIO_LIT("a=1; Path=/")), SIO_OK);
	assert_int_equal(sio_headers_add(&h, SIO_LIT("Set-Cookie"), SIO_LIT("b=2")), SIO_OK);
	assert_int_equal(sio_headers_add(&h, SIO_LIT("X-Empty"), sio_str(NULL)), SIO_OK);
	assert_int_equal(sio_headers_add(&h, SIO_LIT("x-!#$%&'*+-.^_`|~0"), SIO_LIT("tab\tand \xc3\xa9")), SIO_OK);
	expect(&out, "Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nX-Empty: \r\nx-!#$%&'*+-.^_`|~0: tab\tand \xc3\xa9\r\n");
}

/* Nothing that ends the header, or says something of the answer's framing. */
static void test_injection(void **state)
{
	static const sio_slice names[] = {
		{ "", 0 }, { "a b", 3 }, { "a:", 2 }, { "a\r\nb", 4 }, { "a\n", 2 }, { "a\0b", 3 }, { "\xc3\xa9", 2 },
		{ "a\tb", 3 }, { "a\x7f", 2 }, { "(a)", 3 },
		{ "Content-Length", 14 }, { "content-length", 14 }, { "TRANSFER-ENCODING", 17 }, { "Connection", 10 },
		{ "Upgrade", 7 }, { "Trailer", 7 }, { "Content-Type", 12 }, { "Date", 4 }, { "Keep-Alive", 10 },
		{ "Sec-WebSocket-Accept", 20 }, { "sec-websocket-extensions", 24 }, { "Sec-WebSocket-Protocol", 22 },
	};
	static const sio_slice values[] = {
		{ "a\r\nSet-Cookie: x=1", 18 }, { "a\r", 2 }, { "a\n", 2 }, { "\n", 1 }, { "a\0b", 3 }, { "\x01", 1 },
		{ "\x0b", 1 }, { "\x1f", 1 }, { "\x7f", 1 }, { "a\r\n\r\nHTTP/1.1 200 OK", 20 },
	};
	struct sio_headers h = { .out = &out };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(sio_headers_add(&h, names[i], SIO_LIT("v")), SIO_ERR_INVAL);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		assert_int_equal(sio_headers_add(&h, SIO_LIT("X-A"), values[i]), SIO_ERR_INVAL);
	assert_int_equal(out.n, 0);
	/* Longer names are others. */
	assert_int_equal(sio_headers_add(&h, SIO_LIT("Content-Length-X"), SIO_LIT("v")), SIO_OK);
	assert_int_equal(sio_headers_add(&h, SIO_LIT("Dat"), SIO_LIT("v")), SIO_OK);
}

static void test_limit(void **state)
{
	char *long_value = malloc(SIO_HEADERS_MAX + 1);
	struct sio_headers h = { .out = &out };
	size_t before;

	(void)state;
	memset(long_value, 'x', SIO_HEADERS_MAX + 1);
	buf_str(&out, "Cache-Control: no-store\r\n"); /* what was there does not count */
	before = out.n;
	assert_int_equal(sio_headers_add(&h, SIO_LIT("a"), sio_bytes(long_value, SIZE_MAX)), SIO_ERR_LIMIT);
	assert_int_equal(sio_headers_add(&h, SIO_LIT("a"), sio_bytes(long_value, SIO_HEADERS_MAX + 1)), SIO_ERR_LIMIT);
	assert_int_equal(sio_headers_add(&h, SIO_LIT("a"), sio_bytes(long_value, SIO_HEADERS_MAX - 4)), SIO_ERR_LIMIT);
	assert_int_equal(out.n, before);
	assert_int_equal(sio_headers_add(&h, SIO_LIT("a"), sio_bytes(long_value, SIO_HEADERS_MAX - 5)), SIO_OK);
	assert_int_equal(out.n, before + SIO_HEADERS_MAX);
	assert_int_equal(sio_headers_add(&h, SIO_LIT("b"), sio_str("")), SIO_ERR_LIMIT);
	assert_int_equal(out.n, before + SIO_HEADERS_MAX);
	free(long_value);
}

static void cookie(const struct sio_cookie *c, const char *want)
{
	struct buf before = { 0 }, behind = { 0 };

	assert_null(headers_cookie_fault(c));
	headers_cookie(c, &before, &behind);
	buf_slice(&before, SIO_LIT("SID"));
	buf_slice(&before, buf_peek(&behind));
	expect(&before, want);
	buf_fini(&before);
	buf_fini(&behind);
}

/* Section 4.3. */
static void test_cookie(void **state)
{
	(void)state;
	cookie(&(struct sio_cookie){ .name = "io" }, "Set-Cookie: io=SID; Path=/; HttpOnly; SameSite=Lax\r\n");
	cookie(&(struct sio_cookie){ .name = "x-sid", .path = "", .is_for_scripts = true, .same_site = SIO_SAME_SITE_UNSET },
	       "Set-Cookie: x-sid=SID\r\n");
	cookie(&(struct sio_cookie){ .name = "io", .path = "/a", .same_site = SIO_SAME_SITE_STRICT, .max_age_s = 3600 },
	       "Set-Cookie: io=SID; Max-Age=3600; Path=/a; HttpOnly; SameSite=Strict\r\n");
	cookie(&(struct sio_cookie){ .name = "io", .is_secure = true, .same_site = SIO_SAME_SITE_NONE },
	       "Set-Cookie: io=SID; Path=/; HttpOnly; Secure; SameSite=None\r\n");
}

static void test_cookies_that_are_none(void **state)
{
	static const struct sio_cookie bad[] = {
		{ .name = NULL },
		{ .name = "" },
		{ .name = "a b" },
		{ .name = "a=b" },
		{ .name = "a;b" },
		{ .name = "a\r\nX: y" },
		{ .name = "io", .path = "/;Domain=example.com" },
		{ .name = "io", .path = "/\r\nX: y" },
		{ .name = "io", .path = "/\xc3\xa9" },
		{ .name = "io", .same_site = SIO_SAME_SITE_NONE },
		{ .name = "io", .same_site = (enum sio_same_site)7 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(headers_cookie_fault(&bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_several_of_a_name, teardown),
		cmocka_unit_test_teardown(test_injection, teardown),
		cmocka_unit_test_teardown(test_limit, teardown),
		cmocka_unit_test_teardown(test_cookie, teardown),
		cmocka_unit_test_teardown(test_cookies_that_are_none, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
