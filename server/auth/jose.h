/* jose.h -- algorithms and keys of tokens: the inside of auth that knows cjose and
 * OpenSSL.  An algorithm belongs to one family, a family to one kind of key, and
 * that binding is checked here before cjose sees a token.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef AUTH_JOSE_H
#define AUTH_JOSE_H

#include <stdbool.h>
#include <stdint.h>

#include <cjose/cjose.h>

#include <sio/error.h>
#include <sio/slice.h>

enum jose_family { JOSE_HS, JOSE_RS, JOSE_PS, JOSE_ES };

struct jose_alg {
	const char *name;
	enum jose_family family;
	const char *curve; /* JOSE_ES: OpenSSL's name of the group */
};

/* NULL when name is no algorithm of ours; exact spelling. */
const struct jose_alg *jose_alg_find(sio_slice name);
unsigned jose_alg_bit(const struct jose_alg *alg); /* for sets of algorithms */
/* "HS256,RS256" -> set.  SIO_ERR_INVAL with a sentence in error. */
int jose_algs_parse(const char *list, unsigned *set, char *error, size_t cap);
/* Has the set an algorithm of the family? */
bool jose_algs_have(unsigned set, enum jose_family family);

enum { JOSE_RSA_BITS_MIN = 2048, JOSE_RSA_BITS_MAX = 16384 };

/* The key of HS*.  NULL: out of memory. */
cjose_jwk_t *jose_key_of_secret(sio_slice secret);
/* The key in a PEM text (public key or certificate), which must serve every RS*, PS*
 * and ES* in the set.  NULL with a sentence in error. */
cjose_jwk_t *jose_key_of_pem(const char *pem, unsigned set, char *error, size_t cap);

/* A key of these numbers (big-endian; copied).  NULL: it is none, or out of memory.  The caller judges the
 * size of an RSA key; x and y have jose_curve_bytes(curve) each, and lie on the curve. */
cjose_jwk_t *jose_key_of_rsa(sio_slice n, sio_slice e);
cjose_jwk_t *jose_key_of_ec(const char *curve, sio_slice x, sio_slice y);
size_t jose_curve_bytes(const char *curve); /* 0: no curve of ours; OpenSSL's names */
/* Those of the set that a key of that kind can serve. */
unsigned jose_algs_of_key(unsigned set, bool is_rsa, const char *curve);

/* Is the token's signature good?  One key may be used by several threads at once.  The caller has checked its form and its alg. */
bool jose_signature_ok(sio_slice token, const cjose_jwk_t *key);

/* Decode canonical base64url without padding.  Returns the bytes written, -1 when
 * text is anything else or does not fit. */
long jose_base64url(sio_slice text, unsigned char *out, size_t cap);

#endif
