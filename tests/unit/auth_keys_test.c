/* auth_keys_test.c -- a JWK Set, honest and hostile (spec/hostile.md 201, 207, 224).  Keys are
 * made here; entries are put together by hand.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "auth/keys.h"
#include "base/buf.h"

/* Members of keys: "n":"..","e":".." and "crv":"..","x":"..","y":".." */
static char rsa[512], rsa_b[512], rsa_small[512], ec_256[256], ec_384[256], ec_521[256];
static unsigned all;

static void put_number(struct buf *b, const char *name, EVP_PKEY *key, const char *param, int pad)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char bytes[1024] = { 0 };
	BIGNUM *number = NULL;
	int n;

	assert_int_equal(EVP_PKEY_get_bn_param(key, param, &number), 1);
	n = pad ? pad : BN_num_bytes(number);
	BN_bn2binpad(number, bytes, n);
	BN_free(number);
	buf_printf(b, ",\"%s\":\"", name);
	for (int bit = 0; bit < n * 8; bit += 6) {
		unsigned v = (unsigned)bytes[bit / 8] << 8 | bytes[bit / 8 + 1];

		buf_byte(b, digits[v >> (10 - bit % 8) & 63]);
	}
	buf_byte(b, '"');
}

static void take(char *out, size_t cap, struct buf *b)
{
	assert_true(b->n < cap && !b->failed);
	snprintf(out, cap, "%.*s", (int)b->n, b->p);
	buf_fini(b);
}

static void make_rsa(char *out, size_t cap, unsigned bits)
{
	EVP_PKEY *key = EVP_RSA_gen(bits);
	struct buf b = { 0 };

	put_number(&b, "n", key, OSSL_PKEY_PARAM_RSA_N, 0);
	put_number(&b, "e", key, OSSL_PKEY_PARAM_RSA_E, 0);
	take(out, cap, &b);
	EVP_PKEY_free(key);
}

static void make_ec(char *out, size_t cap, const char *curve, int bytes)
{
	EVP_PKEY *key = EVP_EC_gen(curve);
	struct buf b = { 0 };

	buf_printf(&b, ",\"crv\":\"%s\"", curve);
	put_number(&b, "x", key, OSSL_PKEY_PARAM_EC_PUB_X, bytes);
	put_number(&b, "y", key, OSSL_PKEY_PARAM_EC_PUB_Y, bytes);
	take(out, cap, &b);
	EVP_PKEY_free(key);
}

static int make_keys(void **state)
{
	char error[256];

	(void)state;
	make_rsa(rsa, sizeof(rsa), 2048);
	make_rsa(rsa_b, sizeof(rsa_b), 2048);
	make_rsa(rsa_small, sizeof(rsa_small), 1024);
	make_ec(ec_256, sizeof(ec_256), "P-256", 32);
	make_ec(ec_384, sizeof(ec_384), "P-384", 48);
	make_ec(ec_521, sizeof(ec_521), "P-521", 66);
	return jose_algs_parse("HS256,RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512", &all, error, sizeof(error));
}

static struct keys_report report;

/* The set of a text that lies at the very end of its memory. */
static struct keys *set_of(const char *text, unsigned algs)
{
	size_t n = strlen(text);
	char *exact = malloc(n ? n : 1);
	struct keys *keys = NULL;

	memcpy(exact, text, n);
	if (keys_read(sio_bytes(exact, n), algs, &keys, &report) == SIO_OK)
		assert_true(keys_n(keys) > 0 && report.error[0] == '\0');
	else
		assert_true(!keys && report.error[0]);
	free(exact);
	return keys;
}

static struct keys *set(unsigned algs, const char *fmt, ...)
{
	struct keys *keys;
	char text[8192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	keys = set_of(text, algs);
	return keys;
}

static enum keys_found find(const struct keys *keys, const char *kid, const char *alg)
{
	const cjose_jwk_t *key = NULL;
	enum keys_found found = keys_find(keys, sio_str(kid), jose_alg_find(sio_str(alg)), &key);

	assert_true(found != KEYS_FOUND || key);
	return found;
}

static void test_every_kind(void **state)
{
	struct keys *keys = set(all, "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"r\"%s},{\"kty\":\"EC\",\"kid\":\"a\",\"use\":\"sig\"%s},"
				     "{\"kty\":\"EC\",\"kid\":\"b\",\"key_ops\":[\"verify\"]%s},{\"kty\":\"EC\",\"kid\":\"c\",\"alg\":\"ES512\"%s}],\"more\":1}",
				rsa, ec_256, ec_384, ec_521);
	static const char *const rows[][3] = { { "r", "RS256", "RS384" }, { "r", "PS512", "RS512" }, { "a", "ES256", "ES256" },
					       { "b", "ES384", "ES384" }, { "c", "ES512", "ES512" } };

	(void)state;
	assert_int_equal(keys_n(keys), 4);
	for (size_t i = 0; i < 5; i++)
		for (size_t k = 1; k < 3; k++)
			assert_int_equal(find(keys, rows[i][0], rows[i][k]), KEYS_FOUND);
	assert_int_equal(find(keys, "r", "ES256"), KEYS_OTHER_ALG);
	assert_int_equal(find(keys, "a", "ES384"), KEYS_OTHER_ALG);
	assert_int_equal(find(keys, "a", "HS256"), KEYS_OTHER_ALG); /* a secret is never in a set */
	assert_int_equal(find(keys, "x", "RS256"), KEYS_NONE);
	assert_int_equal(find(keys, "R", "RS256"), KEYS_NONE);
	assert_int_equal(find(keys, "r ", "RS256"), KEYS_NONE);
	/* Without a kid: the only one that fits. */
	assert_int_equal(find(keys, "", "ES256"), KEYS_FOUND);
	assert_int_equal(find(keys, "", "HS256"), KEYS_NONE);
	assert_int_equal(find(NULL, "r", "RS256"), KEYS_NONE);
	keys_unref(keys);
}

static void test_without_kid(void **state)
{
	struct keys *keys = set(all, "{\"keys\":[{\"kty\":\"RSA\"%s},{\"kty\":\"RSA\",\"kid\":\"b\",\"alg\":\"PS256\"%s}]}", rsa, rsa_b);

	(void)state;
	assert_int_equal(keys_n(keys), 2);
	assert_int_equal(find(keys, "", "RS256"), KEYS_FOUND);
	assert_int_equal(find(keys, "", "PS256"), KEYS_SEVERAL);
	assert_int_equal(find(keys, "b", "PS256"), KEYS_FOUND);
	assert_int_equal(find(keys, "b", "RS256"), KEYS_OTHER_ALG);
	assert_int_equal(find(keys, "a", "RS256"), KEYS_NONE); /* a key without a name is nobody's */
	keys_unref(keys);
}

/* A good key beside one that is left out, and why. */
static void test_left_out(void **state)
{
	static const struct {
		const char *entry; /* without the kid and the numbers of the key behind it */
		const char *numbers;
		enum keys_reason why;
	} rows[] = {
		{ "\"kty\":\"RSA\",\"use\":\"enc\"", rsa, KEYS_USE },
		{ "\"kty\":\"RSA\",\"use\":\"\"", rsa, KEYS_USE },
		{ "\"kty\":\"RSA\",\"key_ops\":[\"encrypt\"]", rsa, KEYS_USE },
		{ "\"kty\":\"RSA\",\"key_ops\":[]", rsa, KEYS_USE },
		{ "\"kty\":\"RSA\",\"key_ops\":[7]", rsa, KEYS_USE },
		{ "\"kty\":\"RSA\",\"key_ops\":\"verify\"", rsa, KEYS_SHAPE },
		{ "\"kty\":\"RSA\",\"alg\":\"RSA-OAEP\"", rsa, KEYS_ALG },
		{ "\"kty\":\"RSA\",\"alg\":\"HS256\"", rsa, KEYS_ALG },
		{ "\"kty\":\"RSA\",\"alg\":\"none\"", rsa, KEYS_ALG },
		{ "\"kty\":\"RSA\",\"alg\":\"ES256\"", rsa, KEYS_ALG },
		{ "\"kty\":\"RSA\",\"alg\":256", rsa, KEYS_SHAPE },
		{ "\"kty\":\"RSA\",\"d\":\"AQAB\"", rsa, KEYS_PRIVATE },
		{ "\"kty\":\"RSA\",\"d\":null", rsa, KEYS_PRIVATE },
		{ "\"kty\":\"RSA\",\"p\":\"AQAB\"", rsa, KEYS_PRIVATE },
		{ "\"kty\":\"RSA\",\"use\":\"enc\",\"qi\":\"AQAB\"", rsa, KEYS_PRIVATE },
		{ "\"kty\":\"EC\",\"d\":\"AQAB\"", ec_256, KEYS_PRIVATE },
		{ "\"kty\":\"oct\",\"k\":\"c2VjcmV0\"", "", KEYS_PRIVATE },
		{ "\"kty\":\"oct\"", "", KEYS_KTY },
		{ "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"", "", KEYS_KTY },
		{ "\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AAAA\",\"y\":\"AAAA\"", "", KEYS_KTY },
		{ "\"kty\":\"EC\"", rsa, KEYS_KTY },
		{ "\"kty\":\"rsa\"", rsa, KEYS_KTY },
		{ "\"kty\":[\"RSA\"]", rsa, KEYS_SHAPE },
		{ "\"use\":\"sig\"", rsa, KEYS_SHAPE },
		{ "\"kty\":\"RSA\"", rsa_small, KEYS_WEAK },
		{ "\"kty\":\"RSA\"", "", KEYS_VALUE },
		{ "\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"", "", KEYS_WEAK },
		{ "\"kty\":\"RSA\",\"n\":\"!!\",\"e\":\"AQAB\"", "", KEYS_VALUE },
		{ "\"kty\":\"RSA\",\"n\":\"\",\"e\":\"AQAB\"", "", KEYS_VALUE },
		{ "\"kty\":\"RSA\",\"n\":7,\"e\":\"AQAB\"", "", KEYS_SHAPE },
		{ "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"", "", KEYS_VALUE },
		{ "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
		  "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"", "", KEYS_VALUE }, /* on no curve */
		{ "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\"", "", KEYS_VALUE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct keys *keys = set(all, "{\"keys\":[{\"kid\":\"bad\",%s%s},{\"kid\":\"good\",\"kty\":\"RSA\"%s}]}", rows[i].entry, rows[i].numbers, rsa_b);
		unsigned n = 0;

		for (unsigned k = 0; k < KEYS_REASON_N; k++)
			n += report.left_out[k];
		if (keys_n(keys) != 1 || report.left_out[rows[i].why] != 1 || n != 1)
			fail_msg("%s: %u keys, %u left out, not for: %s", rows[i].entry, keys_n(keys), n, keys_reason_text(rows[i].why));
		assert_int_equal(find(keys, "good", "RS256"), KEYS_FOUND);
		assert_int_equal(find(keys, "bad", "RS256"), KEYS_NONE);
		keys_unref(keys);
	}
}

/* e = 1 would let everybody sign; even ones and 0 are none. */
static void test_exponents(void **state)
{
	static const struct {
		const char *e;
		bool is_good;
	} rows[] = { { "AQAB", true }, { "Aw", true }, { "AQ", false }, { "AAE", false }, { "Ag", false }, { "AA", false },
		     { "AQABAQAB", false } };
	char n[512];

	(void)state;
	snprintf(n, sizeof(n), "%s", rsa);
	*strstr(n, ",\"e\"") = '\0';
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct keys *keys = set(all, "{\"keys\":[{\"kty\":\"RSA\"%s,\"e\":\"%s\"}]}", n, rows[i].e);

		if (rows[i].is_good != (keys != NULL))
			fail_msg("e %s", rows[i].e);
		keys_unref(keys);
	}
}

static void test_no_set(void **state)
{
	static const char *const rows[] = { "", "{}", "[]", "null", "7", "\"keys\"", "{\"keys\":{}}", "{\"keys\":null}", "{\"keys\":[]}",
					    "{\"keys\":[7]}", "{\"keys\":[[]]}", "{\"keys\":[null]}", "{\"keys\":[{}]}", "{\"keys\":[", "<html>",
					    "{\"keys\":[]}x", "{\"keys\":[],\"keys\":[]}", "\xef\xbb\xbf{\"keys\":[]}", "{\"Keys\":[]}" };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (set_of(rows[i], all))
			fail_msg("%s", rows[i]);
	assert_null(set(all, "{\"keys\":[{\"kty\":\"RSA\",\"kty\":\"RSA\"%s}]}", rsa));
	/* Nothing of it is for what is allowed. */
	assert_null(set(jose_alg_bit(jose_alg_find(SIO_LIT("ES256"))), "{\"keys\":[{\"kty\":\"RSA\"%s}]}", rsa));
	assert_int_equal(report.left_out[KEYS_ALG], 1);
}

static void test_bounds(void **state)
{
	char *large = malloc(KEYS_BYTES_MAX + 2);
	struct buf b = { 0 };
	struct keys *keys = NULL;
	char kid[KEYS_KID_MAX + 2];

	(void)state;
	/* As much as is allowed, and one byte more. */
	memset(large, ' ', KEYS_BYTES_MAX + 1);
	buf_printf(&b, "{\"keys\":[{\"kty\":\"RSA\"%s}]}", rsa);
	memcpy(large, b.p, b.n);
	assert_int_equal(keys_read(sio_bytes(large, KEYS_BYTES_MAX), all, &keys, &report), SIO_OK);
	keys_unref(keys);
	assert_int_equal(keys_read(sio_bytes(large, KEYS_BYTES_MAX + 1), all, &keys, &report), SIO_ERR_LIMIT);
	/* More keys than are looked at. */
	buf_clear(&b);
	for (unsigned i = 0; i < KEYS_MAX + 5; i++)
		buf_printf(&b, "%s{\"kty\":\"EC\",\"kid\":\"%u\"%s}", i ? "," : "{\"keys\":[", i, ec_256);
	buf_put(&b, "]}", 3);
	keys = set_of(b.p, all);
	assert_int_equal(keys_n(keys), KEYS_MAX);
	assert_int_equal(report.left_out[KEYS_MANY], 5);
	assert_int_equal(find(keys, "127", "ES256"), KEYS_FOUND);
	assert_int_equal(find(keys, "128", "ES256"), KEYS_NONE);
	keys_unref(keys);
	/* The longest name, and one that is longer. */
	memset(kid, 'k', sizeof(kid));
	kid[KEYS_KID_MAX + 1] = '\0';
	assert_null(set(all, "{\"keys\":[{\"kty\":\"EC\",\"kid\":\"%s\"%s}]}", kid, ec_256));
	kid[KEYS_KID_MAX] = '\0';
	keys = set(all, "{\"keys\":[{\"kty\":\"EC\",\"kid\":\"%s\"%s}]}", kid, ec_256);
	assert_int_equal(find(keys, kid, "ES256"), KEYS_FOUND);
	keys_unref(keys);
	/* Depth. */
	memset(large, '[', KEYS_BYTES_MAX);
	assert_int_equal(keys_read(sio_bytes(large, KEYS_BYTES_MAX), all, &keys, &report), SIO_ERR_INVAL);
	free(large);
	buf_fini(&b);
}

static void test_twice(void **state)
{
	struct keys *keys = set(all, "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"k\"%s},{\"kty\":\"RSA\",\"kid\":\"k\",\"alg\":\"RS256\"%s},"
				     "{\"kty\":\"EC\",\"kid\":\"k\"%s}]}", rsa, rsa_b, ec_256);

	(void)state;
	assert_int_equal(keys_n(keys), 2); /* the same name for other algorithms is another key */
	assert_int_equal(report.left_out[KEYS_TWICE], 1);
	assert_int_equal(find(keys, "k", "RS256"), KEYS_FOUND);
	assert_int_equal(find(keys, "k", "ES256"), KEYS_FOUND);
	keys_unref(keys);
}

static void test_same(void **state)
{
	struct keys *a = set(all, "{\"keys\":[{\"kty\":\"RSA\"%s}]}", rsa), *b = set(all, "{\"keys\":[{\"kty\":\"RSA\"%s}]}", rsa),
		    *c = set(all, "{\"keys\":[{\"kty\":\"RSA\"%s}]}", rsa_b);

	(void)state;
	assert_true(keys_same(a, b) && keys_same(NULL, NULL));
	assert_false(keys_same(a, c) || keys_same(a, NULL) || keys_same(NULL, a));
	keys_ref(a);
	keys_unref(a);
	keys_unref(a);
	keys_unref(b);
	keys_unref(c);
	keys_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind), cmocka_unit_test(test_without_kid), cmocka_unit_test(test_left_out),
		cmocka_unit_test(test_exponents),  cmocka_unit_test(test_no_set),      cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_twice),	   cmocka_unit_test(test_same),
	};

	return cmocka_run_group_tests(tests, make_keys, NULL);
}
