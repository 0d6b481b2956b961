/* auth_token_test.c -- tokens, honest and hostile (spec/hostile.md 198-223).  Keys
 * are made here; forged tokens are put together by hand, signature included.
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

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "auth/token.h"

#define SECRET "0123456789abcdef0123456789abcdef"
enum { NOW = 1772000000, LEEWAY = 30 };
#define GOOD_CLAIMS "{\"sub\":\"anna\",\"exp\":1772003600}"

/* ---- keys and signatures, independent of the code under test ------------- */

static EVP_PKEY *rsa_key, *rsa_small, *ec_256, *ec_384, *ec_521, *ed_key;

static char *pem_of(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text, *copy;
	long n;

	PEM_write_bio_PUBKEY(bio, key);
	n = BIO_get_mem_data(bio, &text);
	copy = strndup(text, (size_t)n);
	BIO_free(bio);
	return copy;
}

static size_t base64url(const void *data, size_t n, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const unsigned char *p = data;
	size_t at = 0;

	for (size_t i = 0; i < n; i += 3) {
		unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
		out[at++] = digits[v >> 18];
		out[at++] = digits[v >> 12 & 63];
		if (i + 1 < n)
			out[at++] = digits[v >> 6 & 63];
		if (i + 2 < n)
			out[at++] = digits[v & 63];
	}
	out[at] = '\0';
	return at;
}

static const EVP_MD *md_of(const char *alg)
{
	return strstr(alg, "384") ? EVP_sha384() : strstr(alg, "512") ? EVP_sha512() : EVP_sha256();
}

static size_t sign_hmac(const char *alg, const void *key, size_t key_n, const char *text, unsigned char *out)
{
	unsigned n = 0;

	HMAC(md_of(alg), key, (int)key_n, (const unsigned char *)text, strlen(text), out, &n);
	return n;
}

static size_t sign_key(const char *alg, EVP_PKEY *key, const char *text, unsigned char *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	unsigned char der[1024];
	size_t n = sizeof(der);

	EVP_DigestSignInit(ctx, &pctx, md_of(alg), NULL, key);
	if (alg[0] == 'P') {
		EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST);
	}
	assert_int_equal(EVP_DigestSign(ctx, der, &n, (const unsigned char *)text, strlen(text)), 1);
	EVP_MD_CTX_free(ctx);
	if (alg[0] != 'E') {
		memcpy(out, der, n);
		return n;
	}
	const unsigned char *p = der;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)n);
	int half = (EVP_PKEY_get_bits(key) + 7) / 8;
	BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, half);
	BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + half, half);
	ECDSA_SIG_free(sig);
	return (size_t)half * 2;
}

/* Put a token together from raw JSON.  key NULL: HMAC with secret. */
static const char *forge(const char *header, const char *claims, const char *alg, EVP_PKEY *key, const char *secret)
{
	static char token[65536];
	unsigned char sig[1024];
	size_t n = base64url(header, strlen(header), token);

	token[n++] = '.';
	n += base64url(claims, strlen(claims), token + n);
	size_t sig_n = key ? sign_key(alg, key, token, sig) : sign_hmac(alg, secret, strlen(secret), token, sig);
	token[n++] = '.';
	base64url(sig, sig_n, token + n);
	return token;
}

static const char *hs(const char *claims)
{
	return forge("{\"alg\":\"HS256\",\"typ\":\"JWT\"}", claims, "HS256", NULL, SECRET);
}

/* ---- verifiers ----------------------------------------------------------- */

static struct token_verifier *verifier_of(struct token_options options)
{
	struct token_verifier *v = NULL;
	char error[256];

	if (!options.secret.n && !options.public_key)
		options.secret = SIO_LIT(SECRET);
	if (token_verifier_new(&options, &v, error, sizeof(error)) != SIO_OK)
		fail_msg("%s", error);
	return v;
}

static struct token_verifier *plain;

static enum token_status check_with(struct token_verifier *v, const char *token, struct token_claims *out)
{
	size_t n = strlen(token);
	char *exact = malloc(n ? n : 1); /* not terminated: the sanitizer sees a byte too far */
	enum token_status status;

	memcpy(exact, token, n);
	status = token_verify(v, sio_bytes(exact, n), NOW, out);
	/* Once more, when its signature may be known: the same is said of it. */
	assert_int_equal(token_verify(v, sio_bytes(exact, n), NOW, out), status);
	free(exact);
	assert_true((status == TOKEN_OK) == (out->reason[0] == '\0'));
	/* The reason must not hold the token or a part of it. */
	if (n > 20 && out->reason[0])
		assert_null(strstr(out->reason, "eyJ"));
	return status;
}

static void expect(struct token_verifier *v, const char *token, enum token_status want, const char *what)
{
	struct token_claims claims;
	enum token_status got = check_with(v, token, &claims);

	if (got != want)
		fail_msg("%s: got %s (%s), wanted %s", what, token_status_code(got), claims.reason, token_status_code(want));
}

/* ---- tests --------------------------------------------------------------- */

static void good(void **state)
{
	struct token_claims c;

	(void)state;
	assert_int_equal(check_with(plain, hs("{\"sub\":\"anna\",\"name\":\"Anna Kéller\",\"exp\":1772003600}"), &c), TOKEN_OK);
	assert_string_equal(c.user, "anna");
	assert_string_equal(c.name, "Anna Kéller");
	assert_int_equal(c.exp_s, 1772003600);
}

static void every_algorithm(void **state)
{
	static const char *const names[] = { "HS256", "HS384", "HS512", "RS256", "RS384", "RS512",
					     "PS256", "PS384", "PS512", "ES256", "ES384", "ES512" };

	(void)state;
	for (size_t i = 0; i < 12; i++) {
		EVP_PKEY *key = i < 3 ? NULL : i < 9 ? rsa_key : i == 9 ? ec_256 : i == 10 ? ec_384 : ec_521;
		char *pem = key ? pem_of(key) : NULL, header[64];
		struct token_verifier *v = verifier_of((struct token_options){ .algorithms = names[i], .public_key = pem });
		snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", names[i]);
		char *token = strdup(forge(header, GOOD_CLAIMS, names[i], key, SECRET));
		expect(v, token, TOKEN_OK, names[i]);
		/* One bit of the signature, of the payload: no more. */
		token[strlen(token) - 5] ^= 1;
		expect(v, token, TOKEN_INVALID, names[i]);
		free(token);
		/* Another algorithm of the same key is not in the list. */
		for (size_t k = 0; k < 12; k++) {
			bool same_key = (k < 3) == (i < 3) && (k >= 9) == (i >= 9) && k < 9;
			if (k == i || !same_key)
				continue;
			snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", names[k]);
			expect(v, forge(header, GOOD_CLAIMS, names[k], key, SECRET), TOKEN_INVALID, names[k]);
		}
		token_verifier_free(v);
		free(pem);
	}
}

/* A signature of any length, all zero or all ones: refused, and cjose lives. */
static void signatures_of_any_length(void **state)
{
	static const char *const names[] = { "HS256", "RS256", "PS256", "ES256", "ES384", "ES512" };
	EVP_PKEY *keys[] = { NULL, rsa_key, rsa_key, ec_256, ec_384, ec_521 };
	unsigned char sig[600];
	char token[2048], header[64];

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		char *pem = keys[i] ? pem_of(keys[i]) : NULL;
		struct token_verifier *v = verifier_of((struct token_options){ .algorithms = names[i], .public_key = pem });
		snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", names[i]);
		for (size_t n = 1; n < 520; n += n < 140 ? 1 : 37) {
			for (int fill = 0; fill < 256; fill += 255) {
				size_t at = base64url(header, strlen(header), token);
				token[at++] = '.';
				at += base64url(GOOD_CLAIMS, strlen(GOOD_CLAIMS), token + at);
				token[at++] = '.';
				memset(sig, fill, sizeof(sig));
				base64url(sig, n, token + at);
				expect(v, token, TOKEN_INVALID, names[i]);
			}
		}
		token_verifier_free(v);
		free(pem);
	}
}

static void algorithm_tricks(void **state)
{
	static const char *const headers[] = {
		"{\"alg\":\"none\"}", "{\"alg\":\"None\"}", "{\"alg\":\"NONE\"}", "{\"alg\":\"nOnE\"}", "{\"alg\":\"\"}", "{}",
		"{\"typ\":\"JWT\"}", "{\"alg\":[\"HS256\"]}", "{\"alg\":{\"a\":1}}", "{\"alg\":null}", "{\"alg\":256}", "{\"alg\":\"hs256\"}",
		"{\"alg\":\"HS256 \"}", "{\"alg\":\"HS256\\u0000\"}", "{\"alg\":\"HS512\"}", "{\"alg\":\"EdDSA\"}", "{\"alg\":\"RS256\"}",
		"{\"alg\":\"none\",\"alg\":\"HS256\"}", "{\"alg\":\"HS256\",\"alg\":\"HS256\"}", "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}",
		"{\"alg\":\"HS256\",\"crit\":[]}", "{\"alg\":\"HS256\",\"b64\":false}", "{\"alg\":\"HS256\",\"b64\":true}", "[]", "\"HS256\"", "null",
		"{\"alg\":\"HS256\"", "{\"alg\":\"HS256\"}x", "\xef\xbb\xbf{\"alg\":\"HS256\"}", "{'alg':'HS256'}", "",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		expect(plain, forge(headers[i], GOOD_CLAIMS, "HS256", NULL, SECRET), TOKEN_INVALID, headers[i]);
		expect(plain, forge(headers[i], GOOD_CLAIMS, "HS512", NULL, SECRET), TOKEN_INVALID, headers[i]);
	}
	/* kid is looked up nowhere: whatever it says, the configured key decides. */
	expect(plain, forge("{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}", GOOD_CLAIMS, "HS256", NULL, SECRET), TOKEN_OK, "kid");
	expect(plain, forge("{\"alg\":\"HS256\",\"kid\":\"x' OR 1=1\"}", GOOD_CLAIMS, "HS256", NULL, "wrong"), TOKEN_INVALID, "kid");
	expect(plain, forge("{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}", GOOD_CLAIMS, "HS256", NULL, ""), TOKEN_INVALID, "jwk");
}

/* HS256 "signed" with the public key, while RS256 is what is allowed -- and also when
 * both are, because each algorithm has its own key. */
static void key_confusion(void **state)
{
	char *pem = pem_of(rsa_key);
	struct token_verifier *v = verifier_of((struct token_options){ .algorithms = "RS256", .public_key = pem });
	const char *forged;

	(void)state;
	forged = forge("{\"alg\":\"HS256\"}", GOOD_CLAIMS, "HS256", NULL, pem);
	expect(v, forged, TOKEN_INVALID, "HS256 with the PEM");
	token_verifier_free(v);
	v = verifier_of((struct token_options){ .algorithms = "RS256,HS256", .public_key = pem, .secret = SIO_LIT(SECRET) });
	forged = forge("{\"alg\":\"HS256\"}", GOOD_CLAIMS, "HS256", NULL, pem);
	expect(v, forged, TOKEN_INVALID, "HS256 with the PEM, both allowed");
	expect(v, hs(GOOD_CLAIMS), TOKEN_OK, "HS256, both allowed");
	expect(v, forge("{\"alg\":\"RS256\"}", GOOD_CLAIMS, "RS256", rsa_key, NULL), TOKEN_OK, "RS256, both allowed");
	expect(v, forge("{\"alg\":\"RS256\"}", GOOD_CLAIMS, "RS256", rsa_small, NULL), TOKEN_INVALID, "another RSA key");
	token_verifier_free(v);
	free(pem);
}

static void form(void **state)
{
	char good_token[1024], t[12000];
	size_t n;

	(void)state;
	strcpy(good_token, hs(GOOD_CLAIMS));
	n = strlen(good_token);
	char *first = strchr(good_token, '.'), *second = strchr(first + 1, '.');
	expect(plain, good_token, TOKEN_OK, "good");
	expect(plain, "", TOKEN_MISSING, "empty");
	static const char *const shapes[] = { ".", "..", "...", "a", "a.b", "a.b.", ".b.c", "a..c", "a.b.c.d", "a.b.c.d.e", " ", "\n", "null", "Bearer x" };
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		expect(plain, shapes[i], TOKEN_INVALID, shapes[i]);
	snprintf(t, sizeof(t), "%.*s.", (int)(second - good_token), good_token);
	expect(plain, t, TOKEN_INVALID, "signature stripped");
	snprintf(t, sizeof(t), "%.*s", (int)(second - good_token), good_token);
	expect(plain, t, TOKEN_INVALID, "two parts");
	static const char *const around[][2] = { { ".", "" }, { "", "." }, { " ", "" }, { "", " " }, { "", "\n" }, { "", "=" }, { "", "==" }, { "", "A" }, { "", ".x" }, { "x.", "" } };
	for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
		snprintf(t, sizeof(t), "%s%s%s", around[i][0], good_token, around[i][1]);
		expect(plain, t, TOKEN_INVALID, "something around");
	}
	/* Every other character at every place: never accepted, except where it is the same. */
	for (size_t i = 0; i < n; i++) {
		for (const char *c = "AZaz09-_+/=. "; *c; c++) {
			if (good_token[i] == *c)
				continue;
			strcpy(t, good_token);
			t[i] = *c;
			expect(plain, t, TOKEN_INVALID, "one character changed");
		}
	}
	/* Cut anywhere. */
	for (size_t i = 1; i < n; i++) {
		snprintf(t, sizeof(t), "%.*s", (int)i, good_token);
		expect(plain, t, TOKEN_INVALID, "cut");
	}
}

static void sizes(void **state)
{
	char *claims = malloc(60000), *p = claims;
	struct token_claims c;

	(void)state;
	p += sprintf(p, "{\"sub\":\"anna\",\"exp\":1772003600,\"x\":\"");
	memset(p, 'x', 5900);
	strcpy(p + 5900, "\"}");
	assert_int_equal(check_with(plain, hs(claims), &c), TOKEN_OK);
	memset(p, 'x', 6200);
	strcpy(p + 6200, "\"}");
	assert_int_equal(check_with(plain, hs(claims), &c), TOKEN_INVALID); /* over 8 KiB */
	/* A bomb of brackets inside the bound. */
	p = claims + sprintf(claims, "{\"sub\":\"anna\",\"exp\":1772003600,\"x\":");
	memset(p, '[', 2500);
	memset(p + 2500, ']', 2500);
	strcpy(p + 5000, "}");
	assert_int_equal(check_with(plain, hs(claims), &c), TOKEN_INVALID);
	char *zeros = calloc(1, 1000000);
	assert_int_equal(token_verify(plain, sio_bytes(zeros, 1000000), NOW, &c), TOKEN_INVALID);
	free(zeros);
	free(claims);
}

static void times(void **state)
{
	static const struct {
		const char *claims;
		enum token_status want;
	} cases[] = {
		{ "\"exp\":1772000001", TOKEN_OK },
		{ "\"exp\":1772000000", TOKEN_OK }, /* within the leeway of 30 s */
		{ "\"exp\":1771999971", TOKEN_OK },
		{ "\"exp\":1771999970", TOKEN_EXPIRED },
		{ "\"exp\":1", TOKEN_EXPIRED },
		{ "\"exp\":0", TOKEN_EXPIRED },
		{ "\"exp\":1772003600.75", TOKEN_OK },
		{ "\"iat\":1", TOKEN_INVALID }, /* exp is required */
		{ "\"exp\":\"1772003600\"", TOKEN_INVALID },
		{ "\"exp\":null", TOKEN_INVALID },
		{ "\"exp\":true", TOKEN_INVALID },
		{ "\"exp\":[1772003600]", TOKEN_INVALID },
		{ "\"exp\":-1", TOKEN_INVALID },
		{ "\"exp\":1e30", TOKEN_INVALID },
		{ "\"exp\":1e999", TOKEN_INVALID },
		{ "\"exp\":99999999999999999999", TOKEN_INVALID },
		{ "\"exp\":NaN", TOKEN_INVALID },
		{ "\"exp\":Infinity", TOKEN_INVALID },
		{ "\"exp\":1772003600,\"exp\":1", TOKEN_INVALID },
		{ "\"exp\":1772003600,\"nbf\":1772000030", TOKEN_OK },
		{ "\"exp\":1772003600,\"nbf\":1772000031", TOKEN_INVALID },
		{ "\"exp\":1772003600,\"nbf\":\"1\"", TOKEN_INVALID },
		{ "\"exp\":1772003600,\"iat\":1772000030", TOKEN_OK },
		{ "\"exp\":1772003600,\"iat\":1772000031", TOKEN_INVALID },
		{ "\"exp\":1771000000,\"iat\":1772000031", TOKEN_INVALID }, /* expired is said of good tokens only */
	};
	struct token_verifier *exact = verifier_of((struct token_options){ .leeway_s = 0 });
	struct token_verifier *without = verifier_of((struct token_options){ .is_exp_optional = true });
	struct token_claims c;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char claims[256];
		snprintf(claims, sizeof(claims), "{\"sub\":\"anna\",%s}", cases[i].claims);
		expect(plain, hs(claims), cases[i].want, cases[i].claims);
	}
	expect(exact, hs("{\"sub\":\"a\",\"exp\":1772000000}"), TOKEN_EXPIRED, "exp is now, no leeway");
	expect(exact, hs("{\"sub\":\"a\",\"exp\":1772000001}"), TOKEN_OK, "a second left");
	assert_int_equal(check_with(without, hs("{\"sub\":\"a\"}"), &c), TOKEN_OK);
	assert_true(c.exp_s == INT64_MAX);
	token_verifier_free(exact);
	token_verifier_free(without);
}

/* A signature that was found good is good for this token, this key, and no time. */
static void remembered(void **state)
{
	struct token_verifier *other = verifier_of((struct token_options){ .secret = SIO_LIT("another secret, another secret..") });
	struct token_claims c;
	const char *token = hs(GOOD_CLAIMS);
	char changed[512];
	size_t n = strlen(token);

	(void)state;
	expect(plain, token, TOKEN_OK, "a good one");
	assert_int_equal(token_verify(plain, sio_str(token), 1772003600 + LEEWAY, &c), TOKEN_EXPIRED);
	assert_int_equal(token_verify(plain, sio_str(token), 1772003600 + LEEWAY - 1, &c), TOKEN_OK);
	for (size_t i = 0; i < n; i++) {
		memcpy(changed, token, n + 1);
		changed[i] = changed[i] == 'A' ? 'B' : 'A';
		expect(plain, changed, TOKEN_INVALID, "a byte of it is another");
	}
	expect(other, token, TOKEN_INVALID, "another key");
	expect(plain, token, TOKEN_OK, "the good one again");
	token_verifier_free(other);
}

static void users(void **state)
{
	static const struct {
		const char *claims;
		enum token_status want;
	} cases[] = {
		{ "\"sub\":\"auth0|12ab\"", TOKEN_OK }, { "\"sub\":\"ünïcode\"", TOKEN_OK }, { "\"x\":1", TOKEN_INVALID },
		{ "\"sub\":\"\"", TOKEN_INVALID }, { "\"sub\":42", TOKEN_INVALID }, { "\"sub\":null", TOKEN_INVALID },
		{ "\"sub\":[\"a\"]", TOKEN_INVALID }, { "\"sub\":\"a\\nb\"", TOKEN_INVALID }, { "\"sub\":\"a\\u0000b\"", TOKEN_INVALID },
		{ "\"sub\":\"a\\u007fb\"", TOKEN_INVALID }, { "\"sub\":\"a\\u0085b\"", TOKEN_INVALID }, { "\"sub\":\"\\ud800\"", TOKEN_INVALID },
		{ "\"sub\":\"\xff\"", TOKEN_INVALID }, { "\"sub\":\"a\",\"sub\":\"b\"", TOKEN_INVALID },
	};
	char claims[8000];
	struct token_claims c;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(claims, sizeof(claims), "{\"exp\":1772003600,%s}", cases[i].claims);
		expect(plain, hs(claims), cases[i].want, cases[i].claims);
	}
	snprintf(claims, sizeof(claims), "{\"exp\":1772003600,\"sub\":\"%0255d\"}", 0);
	expect(plain, hs(claims), TOKEN_OK, "255 bytes");
	snprintf(claims, sizeof(claims), "{\"exp\":1772003600,\"sub\":\"%0256d\"}", 0);
	expect(plain, hs(claims), TOKEN_INVALID, "256 bytes");
	snprintf(claims, sizeof(claims), "{\"exp\":1772003600,\"sub\":\"%04096d\"}", 0);
	expect(plain, hs(claims), TOKEN_INVALID, "4 KiB");
	/* A name that is not fit is left out; the user still comes in. */
	assert_int_equal(check_with(plain, hs("{\"exp\":1772003600,\"sub\":\"a\",\"name\":\"x\\ny\"}"), &c), TOKEN_OK);
	assert_string_equal(c.name, "");
	assert_int_equal(check_with(plain, hs("{\"exp\":1772003600,\"sub\":\"a\",\"name\":7}"), &c), TOKEN_OK);
	struct token_verifier *other = verifier_of((struct token_options){ .user_claim = "user_id" });
	assert_int_equal(check_with(other, hs("{\"exp\":1772003600,\"sub\":\"a\",\"user_id\":\"b\"}"), &c), TOKEN_OK);
	assert_string_equal(c.user, "b");
	expect(other, hs(GOOD_CLAIMS), TOKEN_INVALID, "only sub");
	token_verifier_free(other);
	static const char *const payloads[] = { "[]", "\"x\"", "7", "null", "", "{", "{\"sub\":\"a\",}", "{\"sub\":\"a\"} x" };
	for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++)
		expect(plain, hs(payloads[i]), TOKEN_INVALID, payloads[i]);
}

static void issuer_and_audience(void **state)
{
	static const struct {
		const char *claims;
		enum token_status want;
	} cases[] = {
		{ "\"iss\":\"us\",\"aud\":\"app\"", TOKEN_OK }, { "\"iss\":\"us\",\"aud\":[\"x\",\"app\"]", TOKEN_OK },
		{ "\"iss\":\"them\",\"aud\":\"app\"", TOKEN_INVALID }, { "\"aud\":\"app\"", TOKEN_INVALID }, { "\"iss\":\"us\"", TOKEN_INVALID },
		{ "\"iss\":[\"us\"],\"aud\":\"app\"", TOKEN_INVALID }, { "\"iss\":\"us\",\"aud\":\"App\"", TOKEN_INVALID },
		{ "\"iss\":\"us\",\"aud\":[]", TOKEN_INVALID }, { "\"iss\":\"us\",\"aud\":[[\"app\"]]", TOKEN_INVALID },
		{ "\"iss\":\"us\",\"aud\":{\"app\":1}", TOKEN_INVALID }, { "\"iss\":\"us\",\"aud\":[1,null]", TOKEN_INVALID },
	};
	struct token_verifier *v = verifier_of((struct token_options){ .issuer = "us", .audience = "app" });

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char claims[256];
		snprintf(claims, sizeof(claims), "{\"sub\":\"a\",\"exp\":1772003600,%s}", cases[i].claims);
		expect(v, hs(claims), cases[i].want, cases[i].claims);
	}
	token_verifier_free(v);
}

static void refused_config(struct token_options options, const char *says)
{
	struct token_verifier *v = NULL;
	char error[256];

	assert_int_equal(token_verifier_new(&options, &v, error, sizeof(error)), SIO_ERR_INVAL);
	assert_null(v);
	if (!strstr(error, says))
		fail_msg("'%s' does not say '%s'", error, says);
}

static void configurations(void **state)
{
	char *rsa = pem_of(rsa_key), *small = pem_of(rsa_small), *p256 = pem_of(ec_256), *ed = pem_of(ed_key);
	sio_slice secret = SIO_LIT(SECRET);

	(void)state;
	refused_config((struct token_options){ .secret = { "", 0 } }, "JWT_SECRET is empty");
	refused_config((struct token_options){ .algorithms = "none", .secret = secret }, "'none' is not accepted");
	refused_config((struct token_options){ .algorithms = "HS256,EdDSA", .secret = secret }, "'EdDSA'");
	refused_config((struct token_options){ .algorithms = "hs256", .secret = secret }, "'hs256'");
	refused_config((struct token_options){ .algorithms = " , ", .secret = secret }, "JWT_ALGORITHMS is empty");
	refused_config((struct token_options){ .algorithms = "RS256", .secret = secret }, "JWT_PUBLIC_KEY is not set");
	refused_config((struct token_options){ .algorithms = "RS256", .public_key = "junk" }, "PEM");
	refused_config((struct token_options){ .algorithms = "RS256", .public_key = "-----BEGIN PRIVATE KEY-----\n" }, "private key");
	refused_config((struct token_options){ .algorithms = "RS256", .public_key = small }, "1024 bits");
	refused_config((struct token_options){ .algorithms = "ES256", .public_key = rsa }, "does not fit ES256");
	refused_config((struct token_options){ .algorithms = "RS256", .public_key = p256 }, "does not fit RS256");
	refused_config((struct token_options){ .algorithms = "ES256,ES384", .public_key = p256 }, "does not fit ES384");
	refused_config((struct token_options){ .algorithms = "ES256", .public_key = ed }, "neither RSA nor");
	token_verifier_free(verifier_of((struct token_options){ .algorithms = "HS256, HS512,,HS384" }));
	free(rsa);
	free(small);
	free(p256);
	free(ed);
}

static void signing(void **state)
{
	struct token_sign_options o = { .secret = SIO_LIT(SECRET), .user = "anna", .issuer = "us", .audience = "app", .now_s = NOW,
					.ttl_s = 60, .claims_json = "{\"name\":\"Anna\",\"team\":[1,2]}" };
	struct token_verifier *v = verifier_of((struct token_options){ .algorithms = "HS256,HS384,HS512", .issuer = "us", .audience = "app" });
	char token[TOKEN_MAX + 1];
	struct token_claims c;
	static const char *const algorithms[] = { NULL, "HS256", "HS384", "HS512" };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		o.algorithm = algorithms[i];
		long n = token_sign(&o, token, sizeof(token));
		assert_true(n > 0 && (size_t)n == strlen(token));
		assert_int_equal(check_with(v, token, &c), TOKEN_OK);
		assert_string_equal(c.user, "anna");
		assert_string_equal(c.name, "Anna");
		assert_int_equal(c.exp_s, NOW + 60);
	}
	assert_int_equal(token_sign(&o, token, 100), SIO_ERR_LIMIT);
	static const char *const bad_claims[] = { "{\"exp\":1}", "{\"sub\":\"x\"}", "[]", "{", "{\"a\":1,\"a\":2}", "{\"iat\":0}" };
	for (size_t i = 0; i < sizeof(bad_claims) / sizeof(bad_claims[0]); i++) {
		o.claims_json = bad_claims[i];
		assert_int_equal(token_sign(&o, token, sizeof(token)), SIO_ERR_INVAL);
	}
	o.claims_json = NULL;
	o.algorithm = "RS256";
	assert_int_equal(token_sign(&o, token, sizeof(token)), SIO_ERR_INVAL);
	o.algorithm = "none";
	assert_int_equal(token_sign(&o, token, sizeof(token)), SIO_ERR_INVAL);
	o.algorithm = NULL;
	o.ttl_s = 0;
	assert_int_equal(token_sign(&o, token, sizeof(token)), SIO_ERR_INVAL);
	o.ttl_s = 1;
	o.secret = (sio_slice){ "", 0 };
	assert_int_equal(token_sign(&o, token, sizeof(token)), SIO_ERR_INVAL);
	token_verifier_free(v);
}

static void headers(void **state)
{
	(void)state;
	assert_true(sio_slice_eq(token_of_header(SIO_LIT("Bearer abc")), SIO_LIT("abc")));
	assert_true(sio_slice_eq(token_of_header(SIO_LIT("bearer abc")), SIO_LIT("abc")));
	assert_int_equal(token_of_header(SIO_LIT("Bearer ")).n, 0);
	assert_int_equal(token_of_header(SIO_LIT("Bearer")).n, 0);
	assert_int_equal(token_of_header(SIO_LIT("Basic abc")).n, 0);
	assert_int_equal(token_of_header(SIO_LIT("")).n, 0);
}

static EVP_PKEY *make_ec(const char *curve)
{
	return EVP_EC_gen(curve);
}

static int keys_make(void **state)
{
	(void)state;
	rsa_key = EVP_RSA_gen(2048);
	rsa_small = EVP_RSA_gen(1024);
	ec_256 = make_ec("P-256");
	ec_384 = make_ec("P-384");
	ec_521 = make_ec("P-521");
	ed_key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	plain = verifier_of((struct token_options){ .leeway_s = LEEWAY });
	return !(rsa_key && rsa_small && ec_256 && ec_384 && ec_521 && ed_key);
}

static int keys_free(void **state)
{
	(void)state;
	token_verifier_free(plain);
	EVP_PKEY_free(rsa_key);
	EVP_PKEY_free(rsa_small);
	EVP_PKEY_free(ec_256);
	EVP_PKEY_free(ec_384);
	EVP_PKEY_free(ec_521);
	EVP_PKEY_free(ed_key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),	     cmocka_unit_test(every_algorithm), cmocka_unit_test(signatures_of_any_length),	    cmocka_unit_test(algorithm_tricks),
		cmocka_unit_test(key_confusion), cmocka_unit_test(form),		    cmocka_unit_test(sizes),
		cmocka_unit_test(times),     cmocka_unit_test(users),		    cmocka_unit_test(issuer_and_audience),
		cmocka_unit_test(configurations), cmocka_unit_test(signing),	    cmocka_unit_test(headers),
		cmocka_unit_test(remembered),
	};

	return cmocka_run_group_tests(tests, keys_make, keys_free);
}
