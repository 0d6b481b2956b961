/* sql.c -- statements, rows as JSON, pages.  Knows what a database has to do (struct
 * sql_driver) and nothing of our tables.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sio/json.h>

#include "store/db.h"

/* ---- statements ---------------------------------------------------------- */

static struct sql_stmt *find(struct db *db, const char *text)
{
	size_t i = ((uintptr_t)text >> 3) % SQL_CACHE;

	for (size_t probes = 0; probes < SQL_CACHE; probes++, i = (i + 1) % SQL_CACHE) {
		if (db->cache[i] && db->cache[i]->text == text)
			return db->cache[i];
		if (!db->cache[i])
			return db->cache[i] = db->driver->prepare(db, text);
	}
	assert(!"SQL_CACHE holds fewer statements than the code has");
	return NULL;
}

void sql_cache_free(struct db *db)
{
	for (size_t i = 0; i < SQL_CACHE; i++)
		if (db->cache[i]) {
			free(db->cache[i]->shape);
			db->driver->finalize(db->cache[i]);
		}
	memset(db->cache, 0, sizeof(db->cache));
	db->started_n = 0;
}

void sql_reset_all(struct db *db)
{
	for (int i = 0; i < db->started_n; i++) {
		db->started[i]->is_started = false;
		db->driver->reset(db->started[i]);
	}
	db->started_n = 0;
}

static struct sql_stmt *start(struct db *db, const char *text, const char *format, va_list ap)
{
	struct sql_stmt *st = find(db, text);

	if (!st)
		return NULL;
	db->driver->reset(st);
	if (!st->is_started) {
		assert(db->started_n < SQL_OPEN_MAX);
		db->started[db->started_n++] = st;
		st->is_started = true;
	}
	for (int i = 1; *format; format++, i++) {
		sio_slice s;
		if (*format == 'i') {
			db->driver->bind_int(st, i, va_arg(ap, int64_t));
			continue;
		}
		s = va_arg(ap, sio_slice);
		if (*format == 'o' && s.n == 0)
			db->driver->bind_null(st, i);
		else
			db->driver->bind_text(st, i, s);
	}
	return st;
}

struct sql_stmt *sql_start(struct db *db, const char *text, const char *format, ...)
{
	struct sql_stmt *st;
	va_list ap;

	va_start(ap, format);
	st = start(db, text, format, ap);
	va_end(ap);
	return st;
}

int sql_exec(struct db *db, const char *text, const char *format, ...)
{
	struct sql_stmt *st;
	va_list ap;
	int r;

	va_start(ap, format);
	st = start(db, text, format, ap);
	va_end(ap);
	do
		r = sql_step(st);
	while (r == SQL_ROW);
	sql_reset(st);
	return r;
}

int sql_push(struct db *db, const char *text, const char *format, ...)
{
	struct sql_stmt *st;
	va_list ap;

	va_start(ap, format);
	st = start(db, text, format, ap);
	va_end(ap);
	return sql_send(st);
}

void sql_ahead(struct db *db, const char *text, const char *format, ...)
{
	struct sql_stmt *st;
	va_list ap;

	if (!db->driver->ahead)
		return;
	va_start(ap, format);
	st = start(db, text, format, ap);
	va_end(ap);
	if (st)
		db->driver->ahead(st);
}

int sql_send(struct sql_stmt *st)
{
	return st ? st->db->driver->send(st) : SQL_FAILED;
}

int sql_step(struct sql_stmt *st)
{
	return st ? st->db->driver->step(st) : SQL_FAILED;
}

void sql_reset(struct sql_stmt *st)
{
	if (st)
		st->db->driver->reset(st);
}

void sql_bind_text(struct sql_stmt *st, int i, sio_slice text)
{
	st->db->driver->bind_text(st, i, text);
}

void sql_bind_int(struct sql_stmt *st, int i, int64_t value)
{
	st->db->driver->bind_int(st, i, value);
}

void sql_bind_null(struct sql_stmt *st, int i)
{
	st->db->driver->bind_null(st, i);
}

sio_slice sql_text(struct sql_stmt *st, int column)
{
	return st->db->driver->value(st, column).text;
}

int64_t sql_int(struct sql_stmt *st, int column)
{
	return st->db->driver->number(st, column);
}

bool sql_is_null(struct sql_stmt *st, int column)
{
	return st->db->driver->value(st, column).kind == SQL_NULL;
}

int64_t sql_ask_int(struct db *db, const char *text, int64_t otherwise)
{
	struct sql_stmt *st = sql_start(db, text, "");
	int64_t value = sql_step(st) == SQL_ROW ? sql_int(st, 0) : otherwise;

	sql_reset(st);
	return value;
}

void sql_fail(struct db *db, struct store_answer *a)
{
	db->driver->fail(db, a);
}

/* ---- rows ---------------------------------------------------------------- */

/* What does not change from row to row. */
enum { COLUMNS_MAX = 16, KEY_MAX = 32, ESCAPE_MAX = 6 /* bytes of the longest escape */ };
struct sql_shape {
	int n;
	struct column {
		bool is_raw;
		uint8_t key_n;     /* 0: left out */
		char key[KEY_MAX]; /* ,"name": */
	} columns[COLUMNS_MAX];
};

static struct sql_shape *shape_new(struct sql_stmt *st)
{
	struct sql_shape *shape = calloc(1, sizeof(*shape));
	char mark = '{';

	if (!shape)
		return NULL;
	shape->n = st->db->driver->columns_n(st);
	assert(shape->n <= COLUMNS_MAX);
	for (int i = 0; i < shape->n; i++) {
		sio_slice name = sio_str(st->db->driver->column_name(st, i));
		struct column *c = &shape->columns[i];
		int n;
		if (name.n == 0 || name.p[0] == '_')
			continue;
		c->is_raw = name.p[name.n - 1] == '#';
		n = snprintf(c->key, sizeof(c->key), "%c\"%.*s\":", mark, (int)(name.n - c->is_raw), name.p);
		assert(n < KEY_MAX);
		c->key_n = (uint8_t)n;
		mark = ',';
	}
	return shape;
}

/* Append value, for which there is room. */
static char *put_value(char *out, const struct sql_value *value, bool is_raw)
{
	const sio_slice text = value->kind == SQL_NULL ? SIO_LIT("null") : value->text;

	if (value->kind == SQL_TEXT && !is_raw)
		return out + sio_json_quote(text, out, text.n * ESCAPE_MAX + 2);
	memcpy(out, text.p, text.n);
	return out + text.n;
}

void sql_row_json(struct sql_stmt *st, struct buf *out)
{
	const struct sql_shape *shape = st->shape ? st->shape : (st->shape = shape_new(st));
	struct sql_value values[COLUMNS_MAX];
	size_t room = KEY_MAX;
	char *at;

	if (!shape) {
		out->failed = true;
		return;
	}
	st->db->driver->values(st, values, shape->n);
	for (int i = 0; i < shape->n; i++) /* for all at once, should every byte need an escape */
		room += KEY_MAX + values[i].text.n * ESCAPE_MAX + 4;
	if (!buf_reserve(out, room))
		return;
	at = out->p + out->n;
	for (int i = 0; i < shape->n; i++) {
		const struct column *c = &shape->columns[i];
		if (c->key_n == 0)
			continue;
		memcpy(at, c->key, KEY_MAX); /* the whole of it: two moves of a fixed size */
		at = put_value(at + c->key_n, &values[i], c->is_raw);
	}
	*at++ = '}';
	out->n = (size_t)(at - out->p);
}

/* ---- pages --------------------------------------------------------------- */

/* A cursor is the keys of the last row, joined by KEY_END, in hexadecimal: it passes
 * through any URL, and a made-up one can do no more than name another place. */
enum { KEY_END = 0x1f, KEYS_MAX = 3 };

static void cursor_write(struct sql_stmt *st, const struct sql_page *page, struct buf *keys)
{
	buf_clear(keys);
	for (size_t i = 0; page->start[i]; i++) {
		buf_slice(keys, sql_text(st, page->keys[i]));
		buf_byte(keys, KEY_END);
	}
}

static void hex_write(const struct buf *keys, struct buf *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < keys->n; i++) {
		buf_byte(out, digits[(unsigned char)keys->p[i] >> 4]);
		buf_byte(out, digits[keys->p[i] & 15]);
	}
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_read(sio_slice hex, struct buf *keys)
{
	if (hex.n % 2 || hex.n > 4096)
		return false;
	for (size_t i = 0; i < hex.n; i += 2) {
		int high = hex_value(hex.p[i]), low = hex_value(hex.p[i + 1]);
		if (high < 0 || low < 0)
			return false;
		buf_byte(keys, (char)(high << 4 | low));
	}
	return !keys->failed;
}

/* Bind the keys of a cursor (or those before the first row) as ?3 and on. */
static bool keys_bind(struct sql_stmt *st, const char *start, const struct buf *keys)
{
	const char *p = keys->p, *end = keys->n ? p + keys->n : p;

	for (int i = 3; *start; start++, i++) {
		char number[24] = "";
		sio_slice key = SIO_LIT("");
		if (keys->n) {
			const char *stop = p < end ? memchr(p, KEY_END, (size_t)(end - p)) : NULL;
			if (!stop)
				return false;
			key = sio_bytes(p, (size_t)(stop - p));
			p = stop + 1;
		}
		if (*start == 't') {
			if (!fields_text_ok(key, true))
				return false;
			sql_bind_text(st, i, key);
			continue;
		}
		if (key.n >= sizeof(number))
			return false;
		memcpy(number, key.p, key.n);
		sql_bind_int(st, i, keys->n ? strtoll(number, NULL, 10) : *start == 'd' ? INT64_MAX : 0);
	}
	return p == end;
}

uint32_t sql_page_limit(const struct store_ask *ask)
{
	if (ask->limit == 0)
		return STORE_LIMIT_DEFAULT;
	return ask->limit < STORE_LIMIT_MAX ? ask->limit : STORE_LIMIT_MAX;
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

void sql_page_run(struct db *db, const struct store_ask *ask, struct store_answer *a,
		  const struct sql_page *page, sio_slice scope1, sio_slice scope2)
{
	uint32_t limit = sql_page_limit(ask);
	int r;
	struct buf keys = { 0 }; /* first those of the cursor (bound), then of each row */
	struct buf last = { 0 };
	struct sql_stmt *st = sql_start(db, SQL_OF(db, page->text, page->postgres ? page->postgres : page->text), "tt", scope1, scope2);

	if (st && (!hex_read(ask->cursor, &keys) || !keys_bind(st, page->start, &keys))) {
		answer_fail(a, STORE_INVALID, "cursor: it is not one that this list gave out");
		goto done;
	}
	if (st)
		sql_bind_int(st, 6, (int64_t)limit + 1);
	buf_byte(&a->json, '[');
	while ((r = sql_step(st)) == SQL_ROW && a->r.rows_n < limit && a->json.n < STORE_PAGE_BYTES) {
		buf_put(&a->json, ",", a->r.rows_n > 0);
		sql_row_json(st, &a->json);
		if (a->r.rows_n == 0) /* rows are much alike: room for all of them, not by doubling */
			buf_reserve(&a->json, min_size(a->json.n * limit, STORE_PAGE_BYTES));
		if (++a->r.rows_n == limit || a->json.n >= STORE_PAGE_BYTES)
			cursor_write(st, page, &last);
	}
	buf_byte(&a->json, ']');
	if (r == SQL_ROW)
		hex_write(&last, &a->cursor);
	else if (r != SQL_DONE)
		sql_fail(db, a);
done:
	sql_reset(st);
	buf_fini(&keys);
	buf_fini(&last);
}
