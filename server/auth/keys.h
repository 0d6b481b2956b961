/* keys.h -- the public keys of one issuer: the text of a JWK Set (RFC 7517), read once.
 *
 * A set never changes.  It is counted, and any thread may look into it and check signatures
 * with its keys at the same time.  Taken are keys that can check a signature of an allowed
 * algorithm; each other one is left out and counted by reason, and the rest of the set is
 * good without it.  Refuses to know where the text comes from and when it is fetched again.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef AUTH_KEYS_H
#define AUTH_KEYS_H

#include <sio/error.h>
#include <sio/slice.h>

#include "auth/jose.h"

enum {
	KEYS_BYTES_MAX = 256 * 1024, /* of the text */
	KEYS_MAX = 128,              /* entries that are looked at */
	KEYS_KID_MAX = 255,          /* bytes of a key's name */
	KEYS_ERROR_MAX = 128,
};

/* X(name, sentence for the log): why a key is left out. */
#define KEYS_REASON_MAP(X)                                                          \
	X(PRIVATE, "it holds a private key, which everybody can read there")        \
	X(SHAPE, "it is no object with kty, or a member has a wrong type")          \
	X(KTY, "its kty is not RSA or EC, or its curve is none of ours")            \
	X(USE, "it is not for signatures (use, key_ops)")                           \
	X(ALG, "it serves no algorithm of JWT_ALGORITHMS")                          \
	X(WEAK, "it is too small or too large for RSA, or its exponent is no good") \
	X(VALUE, "its numbers are no key")                                          \
	X(TWICE, "another key has the same kid and algorithm")                      \
	X(MANY, "there are too many keys")

enum keys_reason {
#define X(name, text) KEYS_##name,
	KEYS_REASON_MAP(X)
#undef X
	KEYS_REASON_N,
};
const char *keys_reason_text(enum keys_reason reason);

struct keys_report {
	unsigned left_out[KEYS_REASON_N];
	char error[KEYS_ERROR_MAX]; /* why there is no set */
};

struct keys;

/* Read the text for the allowed algorithms (jose_algs_parse).  Returns 0 and *out with one
 * reference; SIO_ERR_INVAL: no JWK Set, or no key of it can be used; SIO_ERR_LIMIT: too
 * large; SIO_ERR_NOMEM.  The report is filled in any case. */
SIO_MUST_CHECK int keys_read(sio_slice text, unsigned algs, struct keys **out, struct keys_report *report);
struct keys *keys_ref(struct keys *keys);
void keys_unref(struct keys *keys); /* NULL is allowed */

unsigned keys_n(const struct keys *keys);
bool keys_same(const struct keys *a, const struct keys *b); /* of the same text; NULL is the same as nothing */

enum keys_found { KEYS_FOUND, KEYS_NONE, KEYS_OTHER_ALG, KEYS_SEVERAL };

/* The key for a token of that algorithm.  A kid finds the key of that name: KEYS_NONE when there is
 * none, KEYS_OTHER_ALG when it is for other algorithms.  Without one (an empty slice) the only key
 * that fits: KEYS_NONE, KEYS_SEVERAL.  *key is borrowed from the set. */
enum keys_found keys_find(const struct keys *keys, sio_slice kid, const struct jose_alg *alg, const cjose_jwk_t **key);

#endif
