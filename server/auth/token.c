/* token.c -- the form and the claims of a token; see token.h.
 *
 * The order matters: form, header, algorithm, signature, and only then claims.
 * "Expired" is said last, of a token that is otherwise good.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "auth/token.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sio/json.h>

#include "auth/jose.h"
#include "auth/keys.h"
#include "auth/seen.h"
#include "base/text.h"

enum { KID_SHOWN_MAX = 64 };

struct token_verifier {
	unsigned algs;             /* allowed */
	cjose_jwk_t *secret, *public_key;
	struct keys *keys;         /* in the place of public_key; NULL: none yet */
	bool has_key_set;          /* they are */
	char *issuer, *audience;   /* NULL: not checked */
	char *user_claim;
	int64_t leeway_s;
	bool is_exp_optional;
	struct seen seen;          /* signatures that were good */
};

static const char *const status_codes[] = {
#define X(name, code) code,
	TOKEN_STATUS_MAP(X)
#undef X
};

const char *token_status_code(enum token_status status)
{
	return (size_t)status < sizeof(status_codes) / sizeof(status_codes[0]) ? status_codes[status] : status_codes[TOKEN_INVALID];
}

/* ---- the verifier -------------------------------------------------------- */

static int load_keys(struct token_verifier *v, const struct token_options *options, char *error, size_t cap)
{
	bool needs_public = jose_algs_have(v->algs, JOSE_RS) || jose_algs_have(v->algs, JOSE_PS) ||
			    jose_algs_have(v->algs, JOSE_ES);

	if (jose_algs_have(v->algs, JOSE_HS)) {
		if (options->secret.n == 0) {
			snprintf(error, cap, "JWT_SECRET is empty, but JWT_ALGORITHMS has an HS algorithm that needs it");
			return SIO_ERR_INVAL;
		}
		v->secret = jose_key_of_secret(options->secret);
		if (!v->secret)
			return SIO_ERR_NOMEM;
	}
	v->has_key_set = options->keys_come_later;
	if (!needs_public || v->has_key_set)
		return SIO_OK;
	if (!options->public_key || !*options->public_key) {
		snprintf(error, cap, "JWT_PUBLIC_KEY is not set, but JWT_ALGORITHMS has an algorithm that needs it");
		return SIO_ERR_INVAL;
	}
	v->public_key = jose_key_of_pem(options->public_key, v->algs, error, cap);
	return v->public_key ? SIO_OK : SIO_ERR_INVAL;
}

/* A copy of s; NULL or "" gives fallback's, and a NULL fallback none.  false: out of memory. */
static bool keep(char **out, const char *s, const char *fallback)
{
	s = s && *s ? s : fallback;
	*out = s ? strdup(s) : NULL;
	return !s || *out;
}

int token_verifier_new(const struct token_options *options, struct token_verifier **out, char *error, size_t error_cap)
{
	struct token_verifier *v = calloc(1, sizeof(*v));
	const char *list = options->algorithms ? options->algorithms : "HS256";
	int r;

	snprintf(error, error_cap, "out of memory");
	if (!v)
		return SIO_ERR_NOMEM;
	seen_init(&v->seen);
	v->leeway_s = options->leeway_s;
	v->is_exp_optional = options->is_exp_optional;
	r = jose_algs_parse(list, &v->algs, error, error_cap);
	if (r == SIO_OK)
		r = load_keys(v, options, error, error_cap);
	if (r == SIO_OK && (!keep(&v->issuer, options->issuer, NULL) || !keep(&v->audience, options->audience, NULL) ||
			    !keep(&v->user_claim, options->user_claim, "sub")))
		r = SIO_ERR_NOMEM;
	if (r < 0) {
		token_verifier_free(v);
		return r;
	}
	error[0] = '\0';
	*out = v;
	return SIO_OK;
}

void token_verifier_set_keys(struct token_verifier *v, struct keys *keys)
{
	if (!keys_same(v->keys, keys))
		seen_init(&v->seen); /* what was signed with a key that has left the set is good no longer */
	keys_ref(keys);
	keys_unref(v->keys);
	v->keys = keys;
}

void token_verifier_free(struct token_verifier *v)
{
	if (!v)
		return;
	keys_unref(v->keys);
	if (v->secret)
		cjose_jwk_release(v->secret);
	if (v->public_key)
		cjose_jwk_release(v->public_key);
	free(v->issuer);
	free(v->audience);
	free(v->user_claim);
	free(v);
}

/* ---- form ---------------------------------------------------------------- */

/* One check of a token under way: the first refusal is kept. */
struct check {
	struct token_verifier *v;
	struct token_claims *out;
	int64_t now_s;
	enum token_status status;
};

static bool refuse(struct check *c, enum token_status status, const char *reason)
{
	c->status = status;
	snprintf(c->out->reason, sizeof(c->out->reason), "%s", reason);
	return false;
}

static bool refuse_claim(struct check *c, const char *claim, const char *what)
{
	c->status = TOKEN_INVALID;
	snprintf(c->out->reason, sizeof(c->out->reason), "claim %.60s: %s", claim, what);
	return false;
}

/* Exactly "a.b.c", no part empty. */
static bool split(sio_slice token, sio_slice part[3])
{
	const char *p = token.p, *end = p + token.n;

	for (int i = 0; i < 3; i++) {
		const char *dot = memchr(p, '.', (size_t)(end - p));
		const char *stop = dot ? dot : end;
		if (stop == p || (i < 2) != (dot != NULL))
			return false;
		part[i] = sio_bytes(p, (size_t)(stop - p));
		p = stop + (dot != NULL);
	}
	return true;
}

/* A part as a JSON object without duplicate members; NULL with *why. */
static json_t *part_json(sio_slice part, const char **why)
{
	unsigned char text[TOKEN_MAX];
	long n = jose_base64url(part, text, sizeof(text));
	json_t *json;

	*why = "is not canonical base64url";
	if (n < 0)
		return NULL;
	*why = "is no JSON object, nests too deep, or has a member twice";
	if (sio_json_check(sio_bytes(text, (size_t)n)) < 0)
		return NULL;
	json = json_loadb((const char *)text, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
	if (json && !json_is_object(json)) {
		json_decref(json);
		return NULL;
	}
	return json;
}

/* The algorithm that the header names, if it is allowed; else NULL, refused. */
static const struct jose_alg *header_alg(struct check *c, const json_t *header)
{
	const json_t *name = json_object_get(header, "alg");
	const struct jose_alg *alg;

	if (json_object_get(header, "crit") || json_object_get(header, "b64")) {
		refuse(c, TOKEN_INVALID, "header has crit or b64, which is not supported");
		return NULL;
	}
	if (!json_is_string(name)) {
		refuse(c, TOKEN_INVALID, "header: alg is missing or no string");
		return NULL;
	}
	alg = jose_alg_find(sio_bytes(json_string_value(name), json_string_length(name)));
	if (alg && (c->v->algs & jose_alg_bit(alg)))
		return alg;
	refuse(c, TOKEN_INVALID, alg ? "header: alg is not in JWT_ALGORITHMS" : "header: alg is none that is known");
	return NULL;
}

/* A kid as it may stand in a reason: short, printable. */
static bool refuse_kid(struct check *c, enum token_status status, sio_slice kid, const char *what)
{
	char shown[KID_SHOWN_MAX + 1];
	size_t n = kid.n < KID_SHOWN_MAX ? kid.n : KID_SHOWN_MAX;

	for (size_t i = 0; i < n; i++)
		shown[i] = kid.p[i] > ' ' && kid.p[i] < 0x7f && kid.p[i] != '\'' ? kid.p[i] : '?';
	shown[n] = '\0';
	c->status = status;
	if (kid.n > 0)
		snprintf(c->out->reason, sizeof(c->out->reason), "kid '%s'%s: %s", shown, kid.n > n ? "..." : "", what);
	else
		snprintf(c->out->reason, sizeof(c->out->reason), "without a kid: %s", what);
	return false;
}

/* The key of the set that the header names; false: refused. */
static bool key_of_set(struct check *c, const json_t *header, const struct jose_alg *alg, const cjose_jwk_t **key)
{
	const json_t *value = json_object_get(header, "kid");
	sio_slice kid = json_is_string(value) ? sio_bytes(json_string_value(value), json_string_length(value)) : sio_bytes("", 0);

	if (value && (kid.n == 0 || kid.n > KEYS_KID_MAX))
		return refuse(c, TOKEN_INVALID, "header: kid is no string, empty or too long");
	switch (keys_find(c->v->keys, kid, alg, key)) {
	case KEYS_FOUND:
		return true;
	case KEYS_OTHER_ALG:
		return refuse_kid(c, TOKEN_INVALID, kid, "the key is not for that alg");
	case KEYS_SEVERAL:
		return refuse_kid(c, TOKEN_INVALID, kid, "several keys fit");
	case KEYS_NONE:
		break;
	}
	return refuse_kid(c, TOKEN_KEY_UNKNOWN, kid, c->v->keys ? "the issuer's set has no such key" : "there are no keys of the issuer yet");
}

/* The key that the signature must have been made for; false: refused. */
static bool find_key(struct check *c, const json_t *header, const cjose_jwk_t **key)
{
	const struct jose_alg *alg = header_alg(c, header);

	if (!alg)
		return false;
	if (alg->family != JOSE_HS && c->v->has_key_set)
		return key_of_set(c, header, alg, key);
	*key = alg->family == JOSE_HS ? c->v->secret : c->v->public_key;
	return true;
}

static bool signature_ok(struct check *c, sio_slice token, const sio_slice part[3])
{
	unsigned char bytes[TOKEN_MAX], hash[SEEN_HASH_BYTES];
	const cjose_jwk_t *key;
	const char *why;
	json_t *header;
	bool has_key;

	if (seen_look(&c->v->seen, token, hash))
		return true;
	header = part_json(part[0], &why);
	if (!header) {
		snprintf(c->out->reason, sizeof(c->out->reason), "header %s", why);
		c->status = TOKEN_INVALID;
		return false;
	}
	has_key = find_key(c, header, &key);
	json_decref(header);
	if (!has_key)
		return false;
	/* cjose asserts that its input is base64 at all: no part reaches it unchecked. */
	if (jose_base64url(part[1], bytes, sizeof(bytes)) < 0 || jose_base64url(part[2], bytes, sizeof(bytes)) < 0)
		return refuse(c, TOKEN_INVALID, "payload or signature is not canonical base64url");
	if (!jose_signature_ok(token, key))
		return refuse(c, TOKEN_INVALID, "signature does not match");
	seen_keep(&c->v->seen, hash);
	return true;
}

/* ---- claims -------------------------------------------------------------- */

static const double TIME_MAX_S = 9007199254740991.0; /* 2^53 - 1: exact in every JSON reader */

/* A NumericDate.  Absent: *out stays.  false: refused. */
static bool claim_time(struct check *c, const json_t *claims, const char *name, int64_t *out)
{
	const json_t *value = json_object_get(claims, name);
	double s;

	if (!value)
		return true;
	if (!json_is_number(value))
		return refuse_claim(c, name, "is no number");
	s = json_number_value(value);
	if (!isfinite(s) || s < 0 || s > TIME_MAX_S)
		return refuse_claim(c, name, "is outside any reasonable time");
	*out = (int64_t)s;
	return true;
}

static bool is_text(const json_t *value, const char *want)
{
	return json_is_string(value) &&
	       sio_slice_eq(sio_bytes(json_string_value(value), json_string_length(value)), sio_str(want));
}

static bool issuer_and_audience_ok(struct check *c, const json_t *claims)
{
	const json_t *aud = json_object_get(claims, "aud"), *one;
	bool is_for_us = is_text(aud, c->v->audience);
	size_t i;

	if (c->v->issuer && !is_text(json_object_get(claims, "iss"), c->v->issuer))
		return refuse_claim(c, "iss", "is missing or not JWT_ISSUER");
	if (json_is_array(aud)) {
		json_array_foreach((json_t *)aud, i, one)
			is_for_us |= is_text(one, c->v->audience);
	}
	if (c->v->audience && !is_for_us)
		return refuse_claim(c, "aud", "is missing or without JWT_AUDIENCE");
	return true;
}

/* Copy a string claim that is fit for logs and keys.  false: it is not, or too long. */
static bool copy_text(const json_t *value, char *out, size_t cap)
{
	const unsigned char *p = (const unsigned char *)json_string_value(value);
	size_t n = json_string_length(value);

	if (n == 0 || n >= cap)
		return false;
	for (size_t i = 0; i < n; i++)
		if (p[i] < 0x20 || p[i] == 0x7f || (p[i] == 0xc2 && p[i + 1] < 0xa0)) /* C0, DEL, C1 */
			return false;
	memcpy(out, p, n + 1);
	return true;
}

static bool names_ok(struct check *c, const json_t *claims)
{
	const json_t *user = json_object_get(claims, c->v->user_claim), *name = json_object_get(claims, "name");

	if (!json_is_string(user))
		return refuse_claim(c, c->v->user_claim, "is missing or no string");
	if (!copy_text(user, c->out->user, sizeof(c->out->user)))
		return refuse_claim(c, c->v->user_claim, "is empty, too long or has control characters");
	if (!json_is_string(name) || !copy_text(name, c->out->name, sizeof(c->out->name)))
		c->out->name[0] = '\0';
	return true;
}

static bool times_ok(struct check *c, const json_t *claims)
{
	int64_t exp = INT64_MAX, nbf = 0, iat = 0, latest = c->now_s + c->v->leeway_s;

	if (!claim_time(c, claims, "exp", &exp) || !claim_time(c, claims, "nbf", &nbf) ||
	    !claim_time(c, claims, "iat", &iat))
		return false;
	if (exp == INT64_MAX && !c->v->is_exp_optional)
		return refuse_claim(c, "exp", "is missing");
	if (nbf > latest)
		return refuse_claim(c, "nbf", "lies in the future");
	if (iat > latest)
		return refuse_claim(c, "iat", "lies in the future");
	c->out->exp_s = exp;
	if (exp != INT64_MAX && c->now_s - c->v->leeway_s >= exp)
		return refuse(c, TOKEN_EXPIRED, "the token has expired");
	return true;
}

enum token_status token_verify(struct token_verifier *verifier, sio_slice token, int64_t now_s,
			       struct token_claims *out)
{
	struct check c = { verifier, out, now_s, TOKEN_OK };
	sio_slice part[3];
	const char *why;
	json_t *claims;

	*out = (struct token_claims){ .exp_s = 0 };
	if (token.n == 0)
		refuse(&c, TOKEN_MISSING, "no token");
	else if (token.n > TOKEN_MAX)
		refuse(&c, TOKEN_INVALID, "the token is too long");
	else if (!split(token, part))
		refuse(&c, TOKEN_INVALID, "the token has not three parts");
	if (c.status != TOKEN_OK || !signature_ok(&c, token, part))
		return c.status;
	claims = part_json(part[1], &why);
	if (!claims) {
		snprintf(out->reason, sizeof(out->reason), "payload %s", why);
		return TOKEN_INVALID;
	}
	if (issuer_and_audience_ok(&c, claims) && names_ok(&c, claims))
		times_ok(&c, claims);
	json_decref(claims);
	return c.status;
}

sio_slice token_of_header(sio_slice authorization)
{
	static const char scheme[] = "Bearer ";
	const size_t n = sizeof(scheme) - 1;

	if (authorization.n <= n || !text_begins(authorization, scheme))
		return (sio_slice){ NULL, 0 };
	authorization.p += n;
	authorization.n -= n;
	return authorization;
}
