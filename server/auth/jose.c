/* jose.c -- see jose.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "auth/jose.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- algorithms ---------------------------------------------------------- */

static const struct jose_alg algs[] = {
	{ "HS256", JOSE_HS, NULL },	    { "HS384", JOSE_HS, NULL },	       { "HS512", JOSE_HS, NULL },
	{ "RS256", JOSE_RS, NULL },	    { "RS384", JOSE_RS, NULL },	       { "RS512", JOSE_RS, NULL },
	{ "PS256", JOSE_PS, NULL },	    { "PS384", JOSE_PS, NULL },	       { "PS512", JOSE_PS, NULL },
	{ "ES256", JOSE_ES, "prime256v1" }, { "ES384", JOSE_ES, "secp384r1" }, { "ES512", JOSE_ES, "secp521r1" },
};
enum { ALGS_N = sizeof(algs) / sizeof(algs[0]) };

const struct jose_alg *jose_alg_find(sio_slice name)
{
	for (size_t i = 0; i < ALGS_N; i++)
		if (sio_slice_eq(name, sio_str(algs[i].name)))
			return &algs[i];
	return NULL;
}

unsigned jose_alg_bit(const struct jose_alg *alg)
{
	return 1u << (alg - algs);
}

bool jose_algs_have(unsigned set, enum jose_family family)
{
	for (size_t i = 0; i < ALGS_N; i++)
		if (algs[i].family == family && (set & jose_alg_bit(&algs[i])))
			return true;
	return false;
}

int jose_algs_parse(const char *list, unsigned *set, char *error, size_t cap)
{
	*set = 0;
	for (const char *p = list; *p;) {
		size_t n = strcspn(p, ", ");
		const struct jose_alg *alg = jose_alg_find(sio_bytes(p, n));
		if (n > 0 && !alg) {
			snprintf(error, cap, "JWT_ALGORITHMS: '%.*s' is not accepted; accepted: HS256 HS384 HS512 RS256 RS384 "
				 "RS512 PS256 PS384 PS512 ES256 ES384 ES512", (int)(n < 20 ? n : 20), p);
			return SIO_ERR_INVAL;
		}
		*set |= n > 0 ? jose_alg_bit(alg) : 0;
		p += n + (p[n] != '\0');
	}
	if (*set)
		return SIO_OK;
	snprintf(error, cap, "JWT_ALGORITHMS is empty; name at least one, for example HS256");
	return SIO_ERR_INVAL;
}

/* ---- keys ---------------------------------------------------------------- */

cjose_jwk_t *jose_key_of_secret(sio_slice secret)
{
	cjose_err err;

	return cjose_jwk_create_oct_spec((const uint8_t *)secret.p, secret.n, &err);
}

static EVP_PKEY *read_pem(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = NULL;
	X509 *certificate;

	if (!bio)
		return NULL;
	if (strstr(pem, "-----BEGIN CERTIFICATE-----")) {
		certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		key = certificate ? X509_get_pubkey(certificate) : NULL;
		X509_free(certificate);
	} else {
		key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	}
	BIO_free(bio);
	ERR_clear_error();
	return key;
}

/* A number of the key as big-endian bytes, padded to at least n.  Returns the length, 0 on failure. */
static size_t key_number(const EVP_PKEY *key, const char *name, size_t n, unsigned char **out)
{
	BIGNUM *number = NULL;
	size_t bytes;

	*out = NULL;
	if (!EVP_PKEY_get_bn_param(key, name, &number))
		return 0;
	bytes = (size_t)BN_num_bytes(number);
	bytes = bytes < n ? n : bytes;
	*out = malloc(bytes);
	if (!*out || BN_bn2binpad(number, *out, (int)bytes) < 0)
		bytes = 0;
	BN_free(number);
	return bytes;
}

cjose_jwk_t *jose_key_of_rsa(sio_slice n, sio_slice e)
{
	cjose_jwk_rsa_keyspec spec;
	cjose_err err;

	memset(&spec, 0, sizeof(spec));
	spec.n = (uint8_t *)(uintptr_t)n.p; /* cjose copies */
	spec.nlen = n.n;
	spec.e = (uint8_t *)(uintptr_t)e.p;
	spec.elen = e.n;
	return n.n && e.n ? cjose_jwk_create_RSA_spec(&spec, &err) : NULL;
}

static const struct {
	const char *name;
	cjose_jwk_ec_curve crv;
	size_t bytes; /* of a coordinate */
} curves[] = {
	{ "prime256v1", CJOSE_JWK_EC_P_256, 32 },
	{ "secp384r1", CJOSE_JWK_EC_P_384, 48 },
	{ "secp521r1", CJOSE_JWK_EC_P_521, 66 },
};
enum { CURVES_N = sizeof(curves) / sizeof(curves[0]) };

size_t jose_curve_bytes(const char *curve)
{
	for (size_t i = 0; i < CURVES_N; i++)
		if (strcmp(curve, curves[i].name) == 0)
			return curves[i].bytes;
	return 0;
}

cjose_jwk_t *jose_key_of_ec(const char *curve, sio_slice x, sio_slice y)
{
	cjose_jwk_ec_keyspec spec;
	cjose_jwk_t *key;
	cjose_err err;
	size_t i = 0;

	while (i < CURVES_N && strcmp(curve, curves[i].name) != 0)
		i++;
	if (i == CURVES_N || x.n != curves[i].bytes || y.n != curves[i].bytes)
		return NULL;
	memset(&spec, 0, sizeof(spec));
	spec.crv = curves[i].crv;
	spec.x = (uint8_t *)(uintptr_t)x.p;
	spec.xlen = x.n;
	spec.y = (uint8_t *)(uintptr_t)y.p;
	spec.ylen = y.n;
	key = cjose_jwk_create_EC_spec(&spec, &err); /* a point that is not on the curve is refused */
	if (!key)
		ERR_clear_error();
	return key;
}

static cjose_jwk_t *key_of_rsa(const EVP_PKEY *pkey, char *error, size_t cap)
{
	cjose_jwk_t *key;
	unsigned char *n, *e;
	size_t n_n, e_n;
	int bits = EVP_PKEY_get_bits(pkey);

	if (bits < JOSE_RSA_BITS_MIN || bits > JOSE_RSA_BITS_MAX) {
		snprintf(error, cap, "JWT_PUBLIC_KEY: the RSA key has %d bits, accepted are %d to %d", bits,
			 (int)JOSE_RSA_BITS_MIN, (int)JOSE_RSA_BITS_MAX);
		return NULL;
	}
	n_n = key_number(pkey, OSSL_PKEY_PARAM_RSA_N, 0, &n);
	e_n = key_number(pkey, OSSL_PKEY_PARAM_RSA_E, 0, &e);
	key = jose_key_of_rsa(sio_bytes(n, n_n), sio_bytes(e, e_n));
	free(n);
	free(e);
	if (!key)
		snprintf(error, cap, "JWT_PUBLIC_KEY: the RSA key cannot be used");
	return key;
}

static cjose_jwk_t *key_of_ec(const EVP_PKEY *pkey, const char *curve, char *error, size_t cap)
{
	size_t bytes = jose_curve_bytes(curve), x_n, y_n;
	cjose_jwk_t *key;
	unsigned char *x, *y;

	x_n = key_number(pkey, OSSL_PKEY_PARAM_EC_PUB_X, bytes, &x);
	y_n = key_number(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, bytes, &y);
	key = jose_key_of_ec(curve, sio_bytes(x, x_n), sio_bytes(y, y_n));
	free(x);
	free(y);
	if (!key)
		snprintf(error, cap, "JWT_PUBLIC_KEY: the elliptic curve key cannot be used");
	return key;
}

/* Can a key of that kind serve the algorithm? */
static bool alg_fits(const struct jose_alg *alg, bool is_rsa, const char *curve)
{
	if (alg->family == JOSE_ES)
		return !is_rsa && strcmp(curve, alg->curve) == 0;
	return alg->family != JOSE_HS && is_rsa;
}

unsigned jose_algs_of_key(unsigned set, bool is_rsa, const char *curve)
{
	unsigned fitting = 0;

	for (size_t i = 0; i < ALGS_N; i++)
		fitting |= alg_fits(&algs[i], is_rsa, curve) ? jose_alg_bit(&algs[i]) : 0;
	return set & fitting;
}

/* Every asymmetric algorithm of the set must be one that this key can serve. */
static bool key_serves(unsigned set, bool is_rsa, const char *curve, char *error, size_t cap)
{
	for (size_t i = 0; i < ALGS_N; i++) {
		const struct jose_alg *alg = &algs[i];
		if (alg->family == JOSE_HS || !(set & jose_alg_bit(alg)) || alg_fits(alg, is_rsa, curve))
			continue;
		snprintf(error, cap, "JWT_PUBLIC_KEY: the key is %s%s, which does not fit %s of JWT_ALGORITHMS",
			 is_rsa ? "RSA" : "on the curve ", is_rsa ? "" : curve, alg->name);
		return false;
	}
	return true;
}

cjose_jwk_t *jose_key_of_pem(const char *pem, unsigned set, char *error, size_t cap)
{
	EVP_PKEY *pkey;
	cjose_jwk_t *key = NULL;
	char curve[64] = "";
	bool is_rsa;

	if (strstr(pem, "PRIVATE KEY-----")) {
		snprintf(error, cap, "JWT_PUBLIC_KEY holds a private key; give the public key (openssl pkey -pubout)");
		return NULL;
	}
	pkey = read_pem(pem);
	if (!pkey) {
		snprintf(error, cap, "JWT_PUBLIC_KEY: no public key or certificate in PEM form in it");
		return NULL;
	}
	is_rsa = EVP_PKEY_get_base_id(pkey) == EVP_PKEY_RSA;
	if (!is_rsa && EVP_PKEY_get_base_id(pkey) != EVP_PKEY_EC)
		snprintf(error, cap, "JWT_PUBLIC_KEY: the key is neither RSA nor on an elliptic curve of ES256, ES384, ES512");
	else if (!is_rsa && !EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, curve, sizeof(curve), NULL))
		snprintf(error, cap, "JWT_PUBLIC_KEY: the key's curve has no name");
	else if (key_serves(set, is_rsa, curve, error, cap))
		key = is_rsa ? key_of_rsa(pkey, error, cap) : key_of_ec(pkey, curve, error, cap);
	EVP_PKEY_free(pkey);
	return key;
}

/* ---- tokens -------------------------------------------------------------- */

bool jose_signature_ok(sio_slice token, const cjose_jwk_t *key)
{
	cjose_err err;
	cjose_jws_t *jws = cjose_jws_import(token.p, token.n, &err);
	bool is_good = jws && cjose_jws_verify(jws, key, &err);

	if (jws)
		cjose_jws_release(jws);
	if (!is_good)
		ERR_clear_error();
	return is_good;
}

static int sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

long jose_base64url(sio_slice text, unsigned char *out, size_t cap)
{
	unsigned bits = 0, have = 0;
	size_t n = 0;

	if (text.n % 4 == 1)
		return -1;
	for (size_t i = 0; i < text.n; i++) {
		int v = sextet(text.p[i]);
		if (v < 0)
			return -1;
		bits = bits << 6 | (unsigned)v;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		if (n == cap)
			return -1;
		out[n++] = (unsigned char)(bits >> have);
		bits &= (1u << have) - 1;
	}
	return bits == 0 ? (long)n : -1; /* left-over bits must be zero: one text for one value */
}
