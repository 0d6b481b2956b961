/* sqlite_sql.c -- statements, rows as JSON, pages.  Knows SQLite's C interface and
 * nothing of our tables.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/sqlite.h"

/* ---- statements ---------------------------------------------------------- */

static sqlite3_stmt *find(struct sqlite_db *db, const char *text)
{
	size_t i = ((uintptr_t)text >> 3) % SQL_CACHE;
	sqlite3_stmt *st = NULL;

	for (size_t probes = 0; probes < SQL_CACHE; probes++, i = (i + 1) % SQL_CACHE) {
		if (db->cache[i].text == text)
			return db->cache[i].statement;
		if (db->cache[i].text)
			continue;
		if (sqlite3_prepare_v3(db->h, text, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK)
			return NULL;
		db->cache[i].text = text;
		db->cache[i].statement = st;
		return st;
	}
	assert(!"SQL_CACHE holds fewer statements than the code has");
	return NULL;
}

void sql_cache_free(struct sqlite_db *db)
{
	for (size_t i = 0; i < SQL_CACHE; i++)
		sqlite3_finalize(db->cache[i].statement);
	memset(db->cache, 0, sizeof(db->cache));
	db->started_n = 0;
}

static void remember_started(struct sqlite_db *db, sqlite3_stmt *st)
{
	for (int i = 0; i < db->started_n; i++)
		if (db->started[i] == st)
			return;
	assert(db->started_n < SQL_OPEN_MAX);
	db->started[db->started_n++] = st;
}

void sql_reset_all(struct sqlite_db *db)
{
	for (int i = 0; i < db->started_n; i++)
		sqlite3_reset(db->started[i]);
	db->started_n = 0;
}

/* The bytes must live until the statement's last step: asks and answers do. */
int sql_bind_text(sqlite3_stmt *st, int i, sio_slice text)
{
	return sqlite3_bind_text64(st, i, text.n ? text.p : "", text.n, SQLITE_STATIC, SQLITE_UTF8);
}

static sqlite3_stmt *start(struct sqlite_db *db, const char *text, const char *format, va_list ap)
{
	sqlite3_stmt *st = find(db, text);

	if (!st)
		return NULL;
	sqlite3_reset(st);
	remember_started(db, st);
	for (int i = 1; *format; format++, i++) {
		sio_slice s;
		if (*format == 'i') {
			sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
			continue;
		}
		s = va_arg(ap, sio_slice);
		if (*format == 'o' && s.n == 0)
			sqlite3_bind_null(st, i);
		else
			sql_bind_text(st, i, s);
	}
	return st;
}

sqlite3_stmt *sql_start(struct sqlite_db *db, const char *text, const char *format, ...)
{
	sqlite3_stmt *st;
	va_list ap;

	va_start(ap, format);
	st = start(db, text, format, ap);
	va_end(ap);
	return st;
}

int sql_step(struct sqlite_db *db, sqlite3_stmt *st)
{
	return st ? sqlite3_step(st) : sqlite3_errcode(db->h);
}

int sql_exec(struct sqlite_db *db, const char *text, const char *format, ...)
{
	sqlite3_stmt *st;
	va_list ap;
	int r;

	va_start(ap, format);
	st = start(db, text, format, ap);
	va_end(ap);
	do
		r = sql_step(db, st);
	while (r == SQLITE_ROW);
	if (st)
		sqlite3_reset(st);
	return r;
}

sio_slice sql_text(sqlite3_stmt *st, int column)
{
	const void *p = sqlite3_column_text(st, column);

	return sio_bytes(p ? p : "", p ? (size_t)sqlite3_column_bytes(st, column) : 0);
}

void sql_fail(struct sqlite_db *db, struct store_answer *a)
{
	const char *text = sqlite3_errmsg(db->h);

	switch (sqlite3_errcode(db->h) & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		answer_fail(a, STORE_BUSY, "another process holds the database (%s); try again", text);
		break;
	case SQLITE_CONSTRAINT:
		answer_fail(a, STORE_REFUSED, "the data does not allow it: %s", text);
		break;
	case SQLITE_FULL:
		answer_fail(a, STORE_UNAVAILABLE, "the disk of the database is full; free some space");
		break;
	case SQLITE_READONLY:
		answer_fail(a, STORE_UNAVAILABLE, "the database may only be read (%s); check file and folder modes", text);
		break;
	case SQLITE_TOOBIG:
		answer_fail(a, STORE_INVALID, "a value is too large for the database");
		break;
	default:
		answer_fail(a, STORE_UNAVAILABLE, "the database failed: %s (SQLite code %d)", text,
			    sqlite3_extended_errcode(db->h));
	}
}

/* ---- rows ---------------------------------------------------------------- */

void sql_shape_init(struct sql_shape *shape, sqlite3_stmt *st)
{
	size_t at = 0;

	shape->n = 0;
	for (int i = 0; i < sqlite3_column_count(st); i++) {
		sio_slice name = sio_str(sqlite3_column_name(st, i));
		struct sql_column *c = &shape->columns[shape->n];
		if (name.n == 0 || name.p[0] == '_')
			continue;
		assert(shape->n < SQL_COLUMNS_MAX);
		c->index = i;
		c->is_raw = name.p[name.n - 1] == '#';
		c->key_at = at;
		at += (size_t)snprintf(shape->keys + at, sizeof(shape->keys) - at, "%s\"%.*s\":", shape->n ? "," : "{",
				       (int)(name.n - c->is_raw), name.p);
		assert(at < sizeof(shape->keys));
		c->key_n = at - c->key_at;
		shape->n++;
	}
}

void sql_shape_row(const struct sql_shape *shape, sqlite3_stmt *st, struct buf *out)
{
	for (int i = 0; i < shape->n; i++) {
		const struct sql_column *c = &shape->columns[i];
		sqlite3_value *value = sqlite3_column_value(st, c->index); /* one look-up; we are the only thread of the handle */
		int type = sqlite3_value_type(value);
		sio_slice text;
		buf_put(out, shape->keys + c->key_at, c->key_n);
		if (type == SQLITE_NULL) {
			buf_put(out, "null", 4);
			continue;
		}
		text.p = (const char *)sqlite3_value_text(value);
		text.n = text.p ? (size_t)sqlite3_value_bytes(value) : 0;
		if (type == SQLITE_INTEGER || c->is_raw)
			buf_slice(out, text);
		else
			buf_json(out, text);
	}
	buf_byte(out, '}');
}

void sql_row_json(sqlite3_stmt *st, struct buf *out)
{
	struct sql_shape shape;

	sql_shape_init(&shape, st);
	sql_shape_row(&shape, st, out);
}

/* ---- pages --------------------------------------------------------------- */

/* A cursor is the keys of the last row, joined by KEY_END, in hexadecimal: it passes
 * through any URL, and a made-up one can do no more than name another place. */
enum { KEY_END = 0x1f, KEYS_MAX = 3 };

static void cursor_write(sqlite3_stmt *st, const struct sql_page *page, struct buf *keys)
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
static bool keys_bind(sqlite3_stmt *st, const char *start, const struct buf *keys)
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
			sql_bind_text(st, i, key);
			continue;
		}
		if (key.n >= sizeof(number))
			return false;
		memcpy(number, key.p, key.n);
		sqlite3_bind_int64(st, i, keys->n ? strtoll(number, NULL, 10) : *start == 'd' ? INT64_MAX : 0);
	}
	return p == end;
}

void sql_page_run(struct sqlite_db *db, const struct store_ask *ask, struct store_answer *a,
		  const struct sql_page *page, sio_slice scope1, sio_slice scope2)
{
	uint32_t limit = ask->limit == 0 ? STORE_LIMIT_DEFAULT : ask->limit > STORE_LIMIT_MAX ? STORE_LIMIT_MAX : ask->limit;
	int r;
	struct buf keys = { 0 }; /* first those of the cursor (bound), then of each row */
	struct buf last = { 0 };
	struct sql_shape shape;
	sqlite3_stmt *st = sql_start(db, page->text, "tt", scope1, scope2);

	if (st && (!hex_read(ask->cursor, &keys) || !keys_bind(st, page->start, &keys))) {
		answer_fail(a, STORE_INVALID, "cursor: it is not one that this list gave out");
		goto done;
	}
	if (st) {
		sqlite3_bind_int64(st, 6, (int64_t)limit + 1);
		sql_shape_init(&shape, st);
	}
	buf_byte(&a->json, '[');
	while ((r = sql_step(db, st)) == SQLITE_ROW && a->r.rows_n < limit && a->json.n < STORE_PAGE_BYTES) {
		buf_put(&a->json, ",", a->r.rows_n > 0);
		sql_shape_row(&shape, st, &a->json);
		if (++a->r.rows_n == limit || a->json.n >= STORE_PAGE_BYTES)
			cursor_write(st, page, &last);
	}
	buf_byte(&a->json, ']');
	if (r == SQLITE_ROW)
		hex_write(&last, &a->cursor);
	else if (r != SQLITE_DONE)
		sql_fail(db, a);
done:
	if (st)
		sqlite3_reset(st);
	buf_fini(&keys);
	buf_fini(&last);
}
