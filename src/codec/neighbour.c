/* neighbour.c -- see neighbour.h: what the dialects have in common.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "codec/neighbour.h"

#include <string.h>

#include <sio/json.h>

#include "codec/packet.h"
#include "codec/utf8.h"

void neighbour_fini(struct neighbour *n)
{
	value_fini(&n->store);
	buf_fini(&n->text);
	*n = (struct neighbour){ 0 };
}

/* ---- JSON as Python writes it -------------------------------------------------------------- */

static bool begins(sio_slice s, const char *word)
{
	size_t n = strlen(word);

	return s.n >= n && memcmp(s.p, word, n) == 0;
}

/* Copy text; what is no JSON but Python's numbers becomes null. */
static sio_slice tame(sio_slice text, char *out)
{
	static const char *const words[] = { "NaN", "Infinity", "-Infinity" };
	bool is_string = false;
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		sio_slice rest = sio_bytes(text.p + i, text.n - i);
		const char *word = NULL;

		for (unsigned k = 0; !is_string && k < sizeof(words) / sizeof(words[0]); k++)
			word = begins(rest, words[k]) ? words[k] : word;
		if (word) {
			memcpy(out + n, "null", 4); /* "NaN" is shorter by one: out has place for that */
			n += 4;
			i += strlen(word) - 1;
			continue;
		}
		if (text.p[i] == '"')
			is_string = !is_string;
		else if (is_string && text.p[i] == '\\' && i + 1 < text.n)
			out[n++] = text.p[i++];
		out[n++] = text.p[i];
	}
	return sio_bytes(out, n);
}

int neighbour_json(struct neighbour *n, sio_slice text, struct value **out)
{
	int err;

	if (text.n > VALUE_BYTES_MAX)
		return SIO_ERR_LIMIT;
	if (text.n == 0 || !utf8_ok(text.p, text.n))
		return SIO_ERR_PROTO;
	err = sio_json_check(text);
	if (err == SIO_ERR_PROTO && (memmem(text.p, text.n, "NaN", 3) || memmem(text.p, text.n, "Infinity", 8))) {
		char *copy = value_alloc(&n->store, text.n / 3 * 4 + 4);
		if (!copy)
			return SIO_ERR_NOMEM;
		text = tame(text, copy);
		err = sio_json_check(text);
	}
	return err < 0 ? err : value_of_json(&n->store, text, out);
}

/* ---- fields ---------------------------------------------------------------------------------- */

/* A name may not hold a NUL, in whatever form it came: JSON's are refused by sio_json_unquote. */
static bool is_name(const struct value *v)
{
	return v->type == VALUE_TEXT && !memchr(v->text.p, 0, v->text.n);
}

int neighbour_text(struct neighbour *n, const struct value *map, const char *key, sio_slice *out)
{
	struct value *v = value_get(map, key);
	int err = value_open(&n->store, &v);

	*out = sio_bytes(NULL, 0);
	if (err < 0 || !v || v->type == VALUE_NULL)
		return err;
	*out = v->text;
	return is_name(v) ? SIO_OK : SIO_ERR_PROTO;
}

int neighbour_names(struct neighbour *n, const struct value *map, const char *key, const sio_slice **names,
		    uint32_t *names_n, bool *is_list)
{
	struct value *v = value_get(map, key);
	int err = value_open(&n->store, &v);
	uint32_t count = 0;
	sio_slice *list;

	*names_n = 0;
	*is_list = value_is_list(v);
	if (err < 0 || !v || v->type == VALUE_NULL)
		return err;
	if (!*is_list && !is_name(v))
		return SIO_ERR_PROTO;
	if (*is_list && v->n > NEIGHBOUR_NAMES_MAX)
		return SIO_ERR_LIMIT;
	list = value_alloc(&n->store, (*is_list ? v->n : 1) * sizeof(*list));
	if (!list)
		return SIO_ERR_NOMEM;
	if (!*is_list)
		list[count++] = v->text;
	for (struct value_cell *c = *is_list && v->n ? v->cells.first : NULL; c; c = c->next) {
		struct value *item = c->value;
		err = value_open(&n->store, &item);
		if (err == SIO_OK && !is_name(item))
			err = SIO_ERR_PROTO;
		if (err < 0)
			return err;
		list[count++] = item->text;
	}
	*names = list;
	*names_n = count;
	return SIO_OK;
}

int neighbour_check(const struct neighbour *n)
{
	struct buf whole = { 0 };
	int err;

	buf_byte(&whole, '[');
	buf_slice(&whole, n->json);
	buf_byte(&whole, ']');
	err = whole.failed ? SIO_ERR_NOMEM : sio_json_check(buf_peek(&whole));
	if (err == SIO_OK && n->blobs.n && !packet_places_ok(buf_peek(&whole), n->blobs.n))
		err = SIO_ERR_PROTO;
	buf_fini(&whole);
	return err;
}

long neighbour_args_n(const struct neighbour *n)
{
	sio_slice rest = n->json, item;
	long count = 0;
	int err;

	while ((err = sio_json_next(&rest, &item)) == SIO_OK)
		count++;
	if (err == SIO_ERR_NOENT)
		err = n->blobs.n ? neighbour_check(n) : SIO_OK;
	return err < 0 ? err : count;
}
