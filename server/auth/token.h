/* token.h -- who are you, by JSON Web Token (RFC 7519 in JWS compact form).
 *
 * A verifier is made once from the configuration and belongs to one thread.  A token
 * passes when its form is strict (three parts of canonical base64url, no duplicate member,
 * no "crit", no "b64"), its "alg" stands in the allow-list AND belongs to the configured
 * key's type, its signature is good and its claims hold.  Only then is anything in it
 * believed.  That a signature is good is remembered (seen.h); claims are read each time.
 *
 * The user id is a non-empty string of valid UTF-8 without control characters;
 * whether it can be a room name is access_user_id_ok's question, ask it next.
 * Refuses to know users, roles and the network (keys come as text or as a set, keys.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef AUTH_TOKEN_H
#define AUTH_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/error.h>
#include <sio/slice.h>

struct token_verifier;

enum {
	TOKEN_MAX = 8192,          /* bytes of a token */
	TOKEN_USER_MAX = 255,      /* bytes of a user id */
	TOKEN_NAME_MAX = 255,      /* bytes of the "name" claim; a longer one is left out */
	TOKEN_REASON_MAX = 128,
	TOKEN_SECRET_SHORT = 32,   /* bytes; a shorter secret deserves a warning */
};

/* X(name, wire code): the code of CONNECT_ERROR's data and of the API's problems. */
#define TOKEN_STATUS_MAP(X)                                                                        \
	X(OK, "ok")                                                                                \
	X(MISSING, "token_missing")                                                                \
	X(INVALID, "token_invalid")                                                                \
	X(EXPIRED, "token_expired")                                                                \
	X(KEY_UNKNOWN, "token_invalid") /* its key is not in the set, or there is none yet (judge.h) */ \
	X(UNAVAILABLE, "keys_unavailable") /* judge.h: nothing can be said of it now */              \
	X(WAITING, "token_invalid")     /* judge.h: it will be */

enum token_status {
#define X(name, code) TOKEN_##name,
	TOKEN_STATUS_MAP(X)
#undef X
};

const char *token_status_code(enum token_status status);

/* Zero or NULL means the default behind each field.  Strings are copied. */
struct token_options {
	const char *algorithms;  /* "HS256": comma list out of HS, RS, PS, ES with 256, 384, 512 */
	sio_slice secret;        /* for HS* */
	const char *public_key;  /* for RS*, PS*, ES*: PEM text of a public key or certificate */
	bool keys_come_later;    /* in its place: token_verifier_set_keys */
	const char *issuer;      /* NULL or "": not checked */
	const char *audience;    /* NULL or "": not checked */
	const char *user_claim;  /* "sub" */
	uint32_t leeway_s;       /* clock difference allowed, as it is (0: none) */
	bool is_exp_optional;    /* false: a token without "exp" is refused */
};

/* Make a verifier.  Returns 0 and *out; SIO_ERR_INVAL with one line in error
 * that names the variable and what is accepted (unknown algorithm, "none", HS*
 * without a secret, key missing, unreadable or of the wrong type, RSA below 2048
 * bits, curve that does not fit the algorithm); SIO_ERR_NOMEM. */
SIO_MUST_CHECK int token_verifier_new(const struct token_options *options, struct token_verifier **out,
				      char *error, size_t error_cap);
void token_verifier_free(struct token_verifier *verifier); /* NULL is allowed */

/* From now on RS*, PS* and ES* are checked with the keys of that set (referenced), whose other tokens are
 * forgotten; the same set again changes nothing.  NULL: there is none yet.  For a verifier with
 * keys_come_later. */
struct keys;
void token_verifier_set_keys(struct token_verifier *verifier, struct keys *keys);

struct token_claims {
	char user[TOKEN_USER_MAX + 1];
	char name[TOKEN_NAME_MAX + 1];  /* "" when the token has none */
	int64_t exp_s;                  /* Unix time; INT64_MAX when the token has none */
	char reason[TOKEN_REASON_MAX];  /* why not, for the log; never holds the token */
};

/* Check a token at now_s (Unix time).  Only with TOKEN_OK is *out to be believed;
 * reason is set in every other case.  An empty slice is TOKEN_MISSING.  The verifier's
 * thread. */
SIO_MUST_CHECK enum token_status token_verify(struct token_verifier *verifier, sio_slice token,
					      int64_t now_s, struct token_claims *out);

/* The token behind "Bearer " of an Authorization header (the scheme in any case),
 * borrowed; empty when the header has another form. */
sio_slice token_of_header(sio_slice authorization);

struct token_sign_options {
	const char *algorithm;   /* "HS256"; HS384, HS512 */
	sio_slice secret;
	const char *user;
	const char *user_claim;  /* "sub" */
	const char *issuer;      /* NULL or "": none */
	const char *audience;
	int64_t now_s;           /* becomes "iat" */
	int64_t ttl_s;           /* "exp" = now_s + ttl_s */
	const char *claims_json; /* more members, an object ("{\"name\":\"Anna\"}"), or NULL; they may not
				  * replace those above */
};

/* Sign a token (skybuild token, login) into out, NUL-terminated.  Returns its
 * length; SIO_ERR_INVAL (no secret, no user, algorithm not HS*, ttl_s < 1, claims
 * that are no object or replace one of ours); SIO_ERR_LIMIT (cap too small or over
 * TOKEN_MAX); SIO_ERR_NOMEM. */
SIO_MUST_CHECK long token_sign(const struct token_sign_options *options, char *out, size_t cap);

#endif
