/* value.c -- see value.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "codec/value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sio/json.h>

/* ---- the store ---------------------------------------------------------------------- */

enum { CHUNK_BYTES = 8192, ALIGNMENT = 16 };

struct value_chunk {
	struct value_chunk *next;
	size_t n, cap;
	_Alignas(ALIGNMENT) char bytes[];
};

void value_fini(struct value_store *store)
{
	struct value_chunk *c = store->chunks;

	while (c) {
		struct value_chunk *next = c->next;
		free(c);
		c = next;
	}
	*store = (struct value_store){ 0 };
}

void *value_alloc(struct value_store *store, size_t n)
{
	struct value_chunk *c = store->chunks;
	char *p;

	n = (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (!c || c->cap - c->n < n) {
		size_t cap = n > CHUNK_BYTES ? n : CHUNK_BYTES;
		c = malloc(sizeof(*c) + cap);
		if (!c)
			return NULL;
		*c = (struct value_chunk){ .next = store->chunks, .cap = cap };
		store->chunks = c;
	}
	p = c->bytes + c->n;
	c->n += n;
	return p;
}

static void *count_one(struct value_store *store, size_t n)
{
	void *p = store->count < VALUE_COUNT_MAX ? value_alloc(store, n) : NULL;

	store->count += p != NULL;
	return p;
}

struct value *value_new(struct value_store *store, enum value_type type)
{
	struct value *v = count_one(store, sizeof(*v));

	if (v)
		*v = (struct value){ .type = type };
	return v;
}

bool value_add(struct value_store *store, struct value *container, struct value *item)
{
	struct value_cell *cell = count_one(store, sizeof(*cell));

	if (!cell)
		return false;
	*cell = (struct value_cell){ item, NULL };
	if (container->n++ == 0)
		container->cells.first = cell;
	else
		container->cells.last->next = cell;
	container->cells.last = cell;
	return true;
}

int value_fault(const struct value_store *store)
{
	return store->count >= VALUE_COUNT_MAX ? SIO_ERR_LIMIT : SIO_ERR_NOMEM;
}

/* ---- JSON in -------------------------------------------------------------------------- */

static int read_text(struct value_store *store, sio_slice quoted, struct value *v)
{
	char *p = value_alloc(store, quoted.n);
	long n;

	if (!p)
		return SIO_ERR_NOMEM;
	n = sio_json_unquote(quoted, p, quoted.n);
	v->text = sio_bytes(p, n < 0 ? 0 : (size_t)n);
	return n < 0 ? SIO_ERR_PROTO : SIO_OK;
}

static int add_raw(struct value_store *store, struct value *container, sio_slice text)
{
	struct value *item = value_new(store, VALUE_RAW);

	if (!item || !value_add(store, container, item))
		return value_fault(store);
	item->text = text;
	return SIO_OK;
}

/* *rest begins with a member: its name and the colon are taken off. */
static sio_slice take_name(sio_slice *rest)
{
	const char *start = rest->p, *p = start + 1, *end = rest->p + rest->n;
	sio_slice name;

	for (; *p != '"'; p++)
		if (*p == '\\')
			p++;
	name = sio_bytes(start, (size_t)(++p - start));
	p = memchr(p, ':', (size_t)(end - p));
	*rest = sio_bytes(p + 1, (size_t)(end - p) - 1);
	return name;
}

static void skip_blanks(sio_slice *rest)
{
	while (rest->n && strchr(" \t\r\n,", *rest->p))
		*rest = sio_bytes(rest->p + 1, rest->n - 1);
}

static int read_members(struct value_store *store, sio_slice rest, struct value *v)
{
	int err = SIO_OK;

	for (skip_blanks(&rest); rest.n && err == SIO_OK; skip_blanks(&rest)) {
		sio_slice name = take_name(&rest), item;
		struct value *key = value_new(store, VALUE_TEXT);

		if (!key || !value_add(store, v, key))
			return value_fault(store);
		err = read_text(store, name, key);
		if (err == SIO_OK)
			err = sio_json_next(&rest, &item);
		if (err == SIO_OK)
			err = add_raw(store, v, item);
	}
	return err;
}

static int read_elements(struct value_store *store, sio_slice rest, struct value *v)
{
	sio_slice item;
	int err;

	while ((err = sio_json_next(&rest, &item)) == SIO_OK)
		if ((err = add_raw(store, v, item)) < 0)
			return err;
	return err == SIO_ERR_NOENT ? SIO_OK : err;
}

int value_of_json(struct value_store *store, sio_slice text, struct value **out)
{
	static const enum value_type types[] = {
		[SIO_JSON_NONE] = VALUE_RAW,    [SIO_JSON_NULL] = VALUE_NULL,  [SIO_JSON_BOOL] = VALUE_BOOL,
		[SIO_JSON_NUMBER] = VALUE_RAW,  [SIO_JSON_STRING] = VALUE_TEXT, [SIO_JSON_ARRAY] = VALUE_LIST,
		[SIO_JSON_OBJECT] = VALUE_MAP,
	};
	struct value *v = *out = value_new(store, types[sio_json_type(text)]);

	if (!v)
		return value_fault(store);
	switch (v->type) {
	case VALUE_TEXT:
		skip_blanks(&text);
		while (text.p[text.n - 1] != '"')
			text.n--;
		return read_text(store, text, v);
	case VALUE_LIST:
		return read_elements(store, sio_json_inside(text), v);
	case VALUE_MAP:
		return read_members(store, sio_json_inside(text), v);
	case VALUE_BOOL:
		v->is_true = memchr(text.p, 't', text.n) == text.p + strspn(text.p, " \t\r\n");
		return SIO_OK;
	default:
		v->text = text;
		return SIO_OK;
	}
}

int value_open(struct value_store *store, struct value **value)
{
	return *value && (*value)->type == VALUE_RAW ? value_of_json(store, (*value)->text, value) : SIO_OK;
}

struct value *value_get(const struct value *map, const char *key)
{
	struct value *found = NULL;

	if (!map || map->type != VALUE_MAP)
		return NULL;
	for (const struct value_cell *c = map->cells.first; c && c->next; c = c->next->next)
		if (c->value->type == VALUE_TEXT && sio_slice_eq(c->value->text, sio_str(key)))
			found = c->next->value;
	return found;
}

/* ---- JSON out --------------------------------------------------------------------------- */

/* The fewest digits that say the same number. */
static void put_float(struct buf *out, double f)
{
	char text[32];

	if (!isfinite(f)) {
		buf_str(out, "null");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, f);
		if (strtod(text, NULL) == f)
			break;
	}
	for (char *p = text; *p; p++)
		if (*p == ',') /* of the program's locale */
			*p = '.';
	buf_str(out, text);
}

static int put_blob(struct buf *out, sio_slice bytes, struct value_blobs *blobs)
{
	if (blobs->n == SIO_ATTACHMENTS_MAX || blobs->bytes + bytes.n > VALUE_BYTES_MAX)
		return SIO_ERR_LIMIT;
	buf_printf(out, "{\"_placeholder\":true,\"num\":%u}", blobs->n);
	blobs->list[blobs->n++] = bytes;
	blobs->bytes += bytes.n;
	return SIO_OK;
}

static int put_name(struct buf *out, const struct value *key)
{
	if (key->type == VALUE_TEXT)
		buf_json(out, key->text);
	else if (key->type == VALUE_INT)
		buf_printf(out, "\"%lld\"", (long long)key->i);
	else if (key->type == VALUE_UINT)
		buf_printf(out, "\"%llu\"", (unsigned long long)key->u);
	else
		return SIO_ERR_PROTO;
	buf_byte(out, ':');
	return SIO_OK;
}

static int put(struct buf *out, const struct value *v, struct value_blobs *blobs, int depth);

static int put_cells(struct buf *out, const struct value *v, struct value_blobs *blobs, int depth)
{
	bool is_map = v->type == VALUE_MAP;
	int err = depth == VALUE_DEPTH_MAX ? SIO_ERR_LIMIT : SIO_OK;

	for (const struct value_cell *c = v->n ? v->cells.first : NULL; c && err == SIO_OK; c = c->next) {
		if (c != v->cells.first)
			buf_byte(out, ',');
		if (is_map) {
			err = put_name(out, c->value);
			c = c->next;
		}
		if (err == SIO_OK)
			err = put(out, c->value, blobs, depth + 1);
	}
	return err;
}

static int put_container(struct buf *out, const struct value *v, struct value_blobs *blobs, int depth)
{
	int err;

	buf_byte(out, v->type == VALUE_MAP ? '{' : '[');
	err = put_cells(out, v, blobs, depth);
	buf_byte(out, v->type == VALUE_MAP ? '}' : ']');
	return err;
}

static int put(struct buf *out, const struct value *v, struct value_blobs *blobs, int depth)
{
	if (out->failed)
		return SIO_ERR_NOMEM;
	if (out->n > VALUE_BYTES_MAX)
		return SIO_ERR_LIMIT;
	switch (v->type) {
	case VALUE_NULL:
		buf_str(out, "null");
		return SIO_OK;
	case VALUE_BOOL:
		buf_str(out, v->is_true ? "true" : "false");
		return SIO_OK;
	case VALUE_INT:
		buf_printf(out, "%lld", (long long)v->i);
		return SIO_OK;
	case VALUE_UINT:
		buf_u64(out, v->u);
		return SIO_OK;
	case VALUE_FLOAT:
		put_float(out, v->f);
		return SIO_OK;
	case VALUE_TEXT:
		buf_json(out, v->text);
		return SIO_OK;
	case VALUE_RAW:
		buf_slice(out, v->text);
		return SIO_OK;
	case VALUE_BLOB:
		return put_blob(out, v->text, blobs);
	default:
		return put_container(out, v, blobs, depth);
	}
}

static int end(const struct buf *out, int err)
{
	if (err == SIO_OK && out->failed)
		return SIO_ERR_NOMEM;
	return err == SIO_OK && out->n > VALUE_BYTES_MAX ? SIO_ERR_LIMIT : err;
}

int value_json(struct buf *out, const struct value *v, struct value_blobs *blobs)
{
	return end(out, put(out, v, blobs, 0));
}

int value_json_list(struct buf *out, const struct value *list, struct value_blobs *blobs)
{
	return end(out, put_cells(out, list, blobs, 0));
}
