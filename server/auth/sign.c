/* sign.c -- making tokens with a shared secret; see token.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jose.h"
#include "auth/token.h"

static const int64_t TTL_MAX_S = 100LL * 366 * 24 * 3600;

static bool put(json_t *claims, const char *name, json_t *value)
{
	/* Ours win by being refused when they are there already. */
	if (value && !json_object_get(claims, name) && json_object_set_new(claims, name, value) == 0)
		return true;
	json_decref(value);
	return false;
}

static bool put_text(json_t *claims, const char *name, const char *text)
{
	return !text || !*text || put(claims, name, json_string(text));
}

/* The claims as JSON text (to be freed); NULL when they do not fit together. */
static char *claims_text(const struct token_sign_options *o)
{
	json_t *claims = o->claims_json ? json_loads(o->claims_json, JSON_REJECT_DUPLICATES, NULL) : json_object();
	const char *user_claim = o->user_claim && *o->user_claim ? o->user_claim : "sub";
	char *text = NULL;

	if (json_is_object(claims) && put_text(claims, user_claim, o->user) && put_text(claims, "iss", o->issuer) &&
	    put_text(claims, "aud", o->audience) && put(claims, "iat", json_integer(o->now_s)) &&
	    put(claims, "exp", json_integer(o->now_s + o->ttl_s)))
		text = json_dumps(claims, JSON_COMPACT);
	json_decref(claims);
	return text;
}

/* Sign text into out.  Returns the length or an error. */
static long sign(const char *alg, const cjose_jwk_t *key, const char *text, char *out, size_t cap)
{
	cjose_err err;
	cjose_header_t *header = cjose_header_new(&err);
	cjose_jws_t *jws = NULL;
	const char *token;
	long n = SIO_ERR_NOMEM;

	if (header && cjose_header_set(header, CJOSE_HDR_ALG, alg, &err) && cjose_header_set(header, "typ", "JWT", &err))
		jws = cjose_jws_sign(key, header, (const uint8_t *)text, strlen(text), &err);
	if (jws && cjose_jws_export(jws, &token, &err)) {
		size_t length = strlen(token);
		n = length < cap && length <= TOKEN_MAX ? (long)length : SIO_ERR_LIMIT;
		if (n > 0)
			memcpy(out, token, length + 1);
	}
	if (jws)
		cjose_jws_release(jws);
	if (header)
		cjose_header_release(header);
	return n;
}

long token_sign(const struct token_sign_options *o, char *out, size_t cap)
{
	const char *name = o->algorithm ? o->algorithm : "HS256";
	const struct jose_alg *alg = jose_alg_find(sio_str(name));
	cjose_jwk_t *key;
	char *text;
	long n;

	if (!alg || alg->family != JOSE_HS || o->secret.n == 0 || !o->user || !*o->user || o->ttl_s < 1 ||
	    o->ttl_s > TTL_MAX_S || o->now_s < 0)
		return SIO_ERR_INVAL;
	text = claims_text(o);
	if (!text)
		return SIO_ERR_INVAL;
	key = jose_key_of_secret(o->secret);
	n = key ? sign(name, key, text, out, cap) : SIO_ERR_NOMEM;
	if (key)
		cjose_jwk_release(key);
	free(text);
	return n;
}
