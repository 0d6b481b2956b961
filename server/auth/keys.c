/* keys.c -- see keys.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "auth/keys.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sio/json.h>
#include <sodium.h>

enum { HASH_BYTES = 32, NUMBER_MAX = JOSE_RSA_BITS_MAX / 8 + 1 };

struct key {
	cjose_jwk_t *jwk;
	unsigned algs;                /* it may be used for */
	char kid[KEYS_KID_MAX + 1];
	size_t kid_n;                 /* 0: it has no name */
};

struct keys {
	atomic_uint refs;
	unsigned char hash[HASH_BYTES]; /* of the text */
	unsigned n;
	struct key at[KEYS_MAX];
};

const char *keys_reason_text(enum keys_reason reason)
{
	static const char *const texts[] = {
#define X(name, text) text,
		KEYS_REASON_MAP(X)
#undef X
	};

	return texts[reason];
}

/* ---- one key ----------------------------------------------------------------------- */

static sio_slice member(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	return json_is_string(value) ? sio_bytes(json_string_value(value), json_string_length(value)) : sio_bytes("", 0);
}

static bool is_word(const json_t *object, const char *name, const char *word)
{
	return sio_slice_eq(member(object, name), sio_str(word));
}

/* Members of a private key, RSA's and EC's.  "k" of a secret is one by its kty. */
static bool is_private(const json_t *entry)
{
	static const char *const names[] = { "d", "p", "q", "dp", "dq", "qi", "oth", "k" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (json_object_get(entry, names[i]))
			return true;
	return false;
}

/* The members that are looked at have the types that they should have. */
static bool has_shape(const json_t *entry)
{
	static const char *const texts[] = { "kty", "kid", "use", "alg", "crv", "n", "e", "x", "y" };
	const json_t *ops = json_object_get(entry, "key_ops");

	if (member(entry, "kty").n == 0 || (ops && !json_is_array(ops)) || member(entry, "kid").n > KEYS_KID_MAX)
		return false;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (json_object_get(entry, texts[i]) && !json_is_string(json_object_get(entry, texts[i])))
			return false;
	return true;
}

static bool is_for_signatures(const json_t *entry)
{
	const json_t *ops = json_object_get(entry, "key_ops"), *one;
	bool may_verify = !ops;
	size_t i;

	json_array_foreach((json_t *)ops, i, one)
		may_verify |= json_is_string(one) && strcmp(json_string_value(one), "verify") == 0;
	return may_verify && (!json_object_get(entry, "use") || is_word(entry, "use", "sig"));
}

/* OpenSSL's name of the curve; NULL: none of ours. */
static const char *curve_of(const json_t *entry)
{
	static const char *const names[][2] = { { "P-256", "prime256v1" }, { "P-384", "secp384r1" }, { "P-521", "secp521r1" } };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (is_word(entry, "crv", names[i][0]))
			return names[i][1];
	return NULL;
}

/* The bytes of a number without zeros in front; empty when it is none. */
static sio_slice number(const json_t *entry, const char *name, unsigned char out[NUMBER_MAX])
{
	long n = jose_base64url(member(entry, name), out, NUMBER_MAX);
	long zeros = 0;

	while (zeros < n && out[zeros] == 0)
		zeros++;
	return n > 0 ? sio_bytes(out + zeros, (size_t)(n - zeros)) : sio_bytes("", 0);
}

static unsigned bits_of(sio_slice n)
{
	unsigned bits = (unsigned)n.n * 8;

	for (unsigned char first = n.n ? (unsigned char)n.p[0] : 0x80; !(first & 0x80); first = (unsigned char)(first << 1))
		bits--;
	return bits;
}

/* With an exponent of 1 everybody could sign; an even one is no exponent. */
static bool is_exponent(sio_slice e)
{
	return e.n >= 1 && e.n <= 4 && (e.p[e.n - 1] & 1) && !(e.n == 1 && e.p[0] == 1);
}

static enum keys_reason read_rsa(const json_t *entry, struct key *key)
{
	unsigned char n_bytes[NUMBER_MAX], e_bytes[NUMBER_MAX];
	sio_slice n = number(entry, "n", n_bytes), e = number(entry, "e", e_bytes);

	if (n.n == 0 || e.n == 0)
		return KEYS_VALUE;
	if (bits_of(n) < JOSE_RSA_BITS_MIN || bits_of(n) > JOSE_RSA_BITS_MAX || !is_exponent(e))
		return KEYS_WEAK;
	key->jwk = jose_key_of_rsa(n, e);
	return key->jwk ? KEYS_REASON_N : KEYS_VALUE;
}

static enum keys_reason read_ec(const json_t *entry, const char *curve, struct key *key)
{
	unsigned char x[NUMBER_MAX], y[NUMBER_MAX];
	long x_n = jose_base64url(member(entry, "x"), x, sizeof(x)), y_n = jose_base64url(member(entry, "y"), y, sizeof(y));

	if (x_n > 0 && y_n > 0)
		key->jwk = jose_key_of_ec(curve, sio_bytes(x, (size_t)x_n), sio_bytes(y, (size_t)y_n));
	return key->jwk ? KEYS_REASON_N : KEYS_VALUE;
}

/* Read an entry.  KEYS_REASON_N: it is a key; else why not. */
static enum keys_reason read_key(const json_t *entry, unsigned algs, struct key *key)
{
	bool is_rsa = is_word(entry, "kty", "RSA");
	const char *curve = is_word(entry, "kty", "EC") ? curve_of(entry) : NULL;
	const struct jose_alg *alg = jose_alg_find(member(entry, "alg"));

	if (json_is_object(entry) && is_private(entry))
		return KEYS_PRIVATE;
	if (!json_is_object(entry) || !has_shape(entry))
		return KEYS_SHAPE;
	if (!is_rsa && !curve)
		return KEYS_KTY;
	if (!is_for_signatures(entry))
		return KEYS_USE;
	key->algs = jose_algs_of_key(algs, is_rsa, curve ? curve : "");
	if (json_object_get(entry, "alg"))
		key->algs &= alg ? jose_alg_bit(alg) : 0;
	if (!key->algs)
		return KEYS_ALG;
	key->kid_n = member(entry, "kid").n;
	memcpy(key->kid, member(entry, "kid").p, key->kid_n);
	return is_rsa ? read_rsa(entry, key) : read_ec(entry, curve, key);
}

/* ---- the set ------------------------------------------------------------------------- */

static bool is_named(const struct key *key, sio_slice kid)
{
	return sio_slice_eq(sio_bytes(key->kid, key->kid_n), kid);
}

/* Is there one with the same name for the same algorithm?  Which of the two is meant would be a guess. */
static bool is_twice(const struct keys *keys, const struct key *key)
{
	for (unsigned i = 0; key->kid_n > 0 && i < keys->n; i++)
		if (is_named(&keys->at[i], sio_bytes(key->kid, key->kid_n)) && (keys->at[i].algs & key->algs))
			return true;
	return false;
}

static void take(struct keys *keys, const json_t *entry, unsigned algs, struct keys_report *report)
{
	struct key key = { .jwk = NULL };
	enum keys_reason why = read_key(entry, algs, &key);

	if (why == KEYS_REASON_N && is_twice(keys, &key))
		why = KEYS_TWICE;
	if (why == KEYS_REASON_N) {
		keys->at[keys->n++] = key;
		return;
	}
	if (key.jwk)
		cjose_jwk_release(key.jwk);
	report->left_out[why]++;
}

static int refuse(struct keys_report *report, int err, const char *why)
{
	snprintf(report->error, sizeof(report->error), "%s", why);
	return err;
}

static int take_all(struct keys *keys, const json_t *list, unsigned algs, struct keys_report *report)
{
	const json_t *entry;
	size_t i;

	if (!json_is_array(list))
		return refuse(report, SIO_ERR_INVAL, "it is no JWK Set: an object with an array \"keys\"");
	json_array_foreach((json_t *)list, i, entry) {
		if (i < KEYS_MAX)
			take(keys, entry, algs, report);
		else
			report->left_out[KEYS_MANY]++;
	}
	return keys->n ? SIO_OK : refuse(report, SIO_ERR_INVAL, json_array_size(list) ? "none of its keys can be used" : "it has no keys");
}

int keys_read(sio_slice text, unsigned algs, struct keys **out, struct keys_report *report)
{
	struct keys *keys;
	json_t *json = NULL;
	int err;

	*report = (struct keys_report){ .error = "" };
	if (text.n > KEYS_BYTES_MAX)
		return refuse(report, SIO_ERR_LIMIT, "it is too large for a JWK Set");
	if (text.n && sio_json_check(text) == SIO_OK)
		json = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	if (!json_is_object(json)) {
		json_decref(json);
		return refuse(report, SIO_ERR_INVAL, "it is no JSON object, nests too deep, or has a member twice");
	}
	keys = calloc(1, sizeof(*keys));
	err = keys ? take_all(keys, json_object_get(json, "keys"), algs, report) : refuse(report, SIO_ERR_NOMEM, "out of memory");
	json_decref(json);
	if (err) {
		free(keys); /* without a key in it */
		return err;
	}
	crypto_generichash(keys->hash, HASH_BYTES, (const unsigned char *)text.p, text.n, NULL, 0);
	atomic_init(&keys->refs, 1);
	*out = keys;
	return SIO_OK;
}

struct keys *keys_ref(struct keys *keys)
{
	if (keys)
		atomic_fetch_add(&keys->refs, 1);
	return keys;
}

void keys_unref(struct keys *keys)
{
	if (!keys || atomic_fetch_sub(&keys->refs, 1) > 1)
		return;
	for (unsigned i = 0; i < keys->n; i++)
		cjose_jwk_release(keys->at[i].jwk);
	free(keys);
}

unsigned keys_n(const struct keys *keys)
{
	return keys ? keys->n : 0;
}

bool keys_same(const struct keys *a, const struct keys *b)
{
	return a == b || (a && b && memcmp(a->hash, b->hash, HASH_BYTES) == 0);
}

enum keys_found keys_find(const struct keys *keys, sio_slice kid, const struct jose_alg *alg, const cjose_jwk_t **key)
{
	unsigned fitting = 0;
	bool is_known = false;

	for (unsigned i = 0; keys && i < keys->n; i++) {
		if (kid.n > 0 && !is_named(&keys->at[i], kid))
			continue;
		is_known = true;
		if (!(keys->at[i].algs & jose_alg_bit(alg)))
			continue;
		*key = keys->at[i].jwk;
		fitting++;
	}
	if (fitting == 1)
		return KEYS_FOUND;
	if (fitting > 1)
		return KEYS_SEVERAL;
	return kid.n > 0 && is_known ? KEYS_OTHER_ALG : KEYS_NONE;
}
