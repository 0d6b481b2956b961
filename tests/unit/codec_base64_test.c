/* codec_base64_test.c -- RFC 4648 vectors, both alphabets, refusals.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sio/error.h>

#include "codec/base64.h"
#include "lib/guard.h"

/* RFC 4648 10, and what the last two letters of an alphabet look like. */
static const struct {
	const char *plain, *padded, *url;
} vectors[] = {
	{ "", "", "" },
	{ "f", "Zg==", "Zg" },
	{ "fo", "Zm8=", "Zm8" },
	{ "foo", "Zm9v", "Zm9v" },
	{ "foob", "Zm9vYg==", "Zm9vYg" },
	{ "fooba", "Zm9vYmE=", "Zm9vYmE" },
	{ "foobar", "Zm9vYmFy", "Zm9vYmFy" },
	{ "\xfb\xff\xbf", "+/+/", "-_-_" },
	{ "\xff\xef", "/+8=", "_-8" },
};

static void expect_encoded(size_t n, const char *got, size_t got_n, const char *want)
{
	assert_int_equal(got_n, strlen(want));
	assert_true(got_n <= BASE64_ENCODED(n));
	assert_memory_equal(got, want, got_n);
}

static void expect_decoded(ssize_t (*decode)(const char *, size_t, void *), const char *text, const char *want)
{
	size_t n = strlen(text);
	char *p = guard_put(text, n), out[64];

	assert_int_equal(decode(p, n, out), strlen(want));
	assert_memory_equal(out, want, strlen(want));
	assert_int_equal(decode(p, n, p), strlen(want)); /* in place */
	assert_memory_equal(p, want, strlen(want));
}

static void test_vectors(void **state)
{
	char out[64];

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		size_t n = strlen(vectors[i].plain);
		char *p = guard_put(vectors[i].plain, n);
		expect_encoded(n, out, base64_encode(p, n, out), vectors[i].padded);
		expect_encoded(n, out, base64url_encode(p, n, out), vectors[i].url);
		expect_decoded(base64_decode, vectors[i].padded, vectors[i].plain);
		expect_decoded(base64url_decode, vectors[i].url, vectors[i].plain);
	}
	expect_decoded(base64_decode, "Zg", "f"); /* padding may be left out */
	expect_decoded(base64_decode, "Zm9vYmE", "fooba");
}

static void expect_refused(ssize_t (*decode)(const char *, size_t, void *), const char *text)
{
	char out[64];
	size_t n = strlen(text);

	if (decode(guard_put(text, n), n, out) != SIO_ERR_PROTO)
		fail_msg("accepted: %s", text);
}

static void test_refusals(void **state)
{
	static const char *const both[] = {
		"A", "AAAAA", "=", "==", "===", "====", "A===", "A=", "AA=", "AAA==", "AAAA=", "AAAA==", "AAAA====",
		"AA=A", "A=AA", "AB", "AAB", "AB==", "AAB=", "AA\n", "AA AA", " AAAA", "AA.A", "AAAA\n", "AA,A", "A\x80""AA",
		"\xc3\xa9""AA", "A*==",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
		expect_refused(base64_decode, both[i]);
		expect_refused(base64url_decode, both[i]);
	}
	expect_refused(base64_decode, "-_-_");
	expect_refused(base64url_decode, "+/+/");
	expect_refused(base64url_decode, "Zg==");
	expect_refused(base64url_decode, "Zm8=");
}

static void test_every_byte(void **state)
{
	char text[4] = "AAAA", out[4];

	(void)state;
	for (int c = 0; c < 256; c++) {
		const char *std = "+/", *url = "-_";
		int is_alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
		for (int at = 0; at < 4; at++) {
			memset(text, 'A', 4);
			text[at] = (char)c;
			int is_padding = c == '=' && at == 3;
			assert_int_equal(base64_decode(text, 4, out) > 0, is_alnum || is_padding || (c && strchr(std, c)));
			assert_int_equal(base64url_decode(text, 4, out) > 0, is_alnum || (c && strchr(url, c)));
		}
	}
}

static void test_there_and_back(void **state)
{
	unsigned char plain[256], back[BASE64_DECODED_MAX(BASE64_ENCODED(256))];
	char text[BASE64_ENCODED(256)];

	(void)state;
	for (int i = 0; i < 256; i++)
		plain[i] = (unsigned char)(i * 167 + 13);
	for (size_t n = 0; n <= sizeof(plain); n++) {
		size_t len = base64_encode(plain, n, text);
		assert_int_equal(len, BASE64_ENCODED(n));
		assert_int_equal(base64_decode(text, len, back), n);
		assert_memory_equal(back, plain, n);
		len = base64url_encode(plain, n, text);
		assert_int_equal(base64url_decode(text, len, back), n);
		assert_memory_equal(back, plain, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
