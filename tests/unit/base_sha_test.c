/* base_sha_test.c -- the published digests.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/sha.h"

static void expect_hex(const unsigned char *digest, int n, const char *want)
{
	for (int i = 0; i < n; i++) {
		char hex[3] = { want[2 * i], want[2 * i + 1], 0 };
		assert_int_equal(digest[i], strtol(hex, NULL, 16));
	}
}

static void expect_digest(const void *p, size_t n, const char *want)
{
	unsigned char digest[SHA1_LEN];

	assert_true(sha1(p, n, digest));
	expect_hex(digest, SHA1_LEN, want);
}

/* RFC 3174 7.3 and the handshake of RFC 6455 1.3. */
static void test_sha1(void **state)
{
	static char million[1000000];

	(void)state;
	expect_digest("abc", 3, "a9993e364706816aba3e25717850c26c9cd0d89d");
	expect_digest("", 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	expect_digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
		      "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
	memset(million, 'a', sizeof(million));
	expect_digest(million, sizeof(million), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
	expect_digest("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 60,
		      "b37a4f2cc0624f1690f64606cf385945b2bec4ea");
}

/* FIPS 180-4's examples. */
static void test_sha256(void **state)
{
	unsigned char digest[SHA256_LEN];

	(void)state;
	assert_true(sha256("abc", 3, digest));
	expect_hex(digest, SHA256_LEN, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_true(sha256("", 0, digest));
	expect_hex(digest, SHA256_LEN, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha1),
		cmocka_unit_test(test_sha256),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
