/* pg_stmt.c -- statements of PostgreSQL: parameters in, rows out.
 *
 * Parameters and results are text; of what type a parameter is the server says.  Knows
 * in which state a transaction is (struct pg_db) and refuses to know how one ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/pg.h"

enum { OID_TEXT = 25, OID_INT2 = 21, OID_INT4 = 23, OID_INT8 = 20 };

static struct pg_stmt *of(struct sql_stmt *st)
{
	return (struct pg_stmt *)st;
}

/* ---- preparing ------------------------------------------------------------- */

/* "?3" becomes "$3"; what is not mentioned is text, else the server could not know. */
static void translate(struct pg_stmt *st)
{
	bool is_there[PG_PARAMS_MAX] = { false };

	for (char *p = st->text; *p; p++) {
		int n;
		if (*p != '?')
			continue;
		*p = '$';
		n = (int)strtol(p + 1, NULL, 10);
		assert(n >= 1 && n <= PG_PARAMS_MAX);
		is_there[n - 1] = true;
		st->params_n = n > st->params_n ? n : st->params_n;
	}
	for (int i = 0; i < PG_PARAMS_MAX; i++)
		st->types[i] = is_there[i] ? 0 : OID_TEXT;
}

/* The server hears of it when it is run for the first time. */
struct sql_stmt *pg_prepare(struct db *db, const char *text)
{
	static _Atomic unsigned counter;
	struct pg_stmt *st = calloc(1, sizeof(*st));

	if (!st || !(st->text = strdup(text))) {
		pg_link_fail(&pg_of(db)->link, "", "out of memory");
		free(st);
		return NULL;
	}
	st->base.db = db;
	st->base.text = text;
	st->is_read = strncmp(text, "SELECT", 6) == 0;
	snprintf(st->name, sizeof(st->name), "s%u", counter++);
	translate(st);
	return &st->base;
}

void pg_finalize(struct sql_stmt *st)
{
	pg_forget(st);
	free(of(st)->text);
	free(st);
}

/* ---- parameters -------------------------------------------------------------- */

static void bind(struct pg_stmt *st, int i, sio_slice text)
{
	assert(i >= 1 && i <= PG_PARAMS_MAX);
	/* A statement that does not mention its last parameters is not given them. */
	st->params[i - 1].is_set = true;
	st->params[i - 1].at = st->bytes.n;
	buf_slice(&st->bytes, text);
	buf_byte(&st->bytes, '\0');
	st->is_bad |= text.n > 0 && memchr(text.p, '\0', text.n) != NULL;
}

void pg_bind_text(struct sql_stmt *st, int i, sio_slice text)
{
	bind(of(st), i, text);
}

void pg_bind_int(struct sql_stmt *st, int i, int64_t value)
{
	char text[24];

	bind(of(st), i, sio_bytes(text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)value)));
}

void pg_bind_null(struct sql_stmt *st, int i)
{
	of(st)->params[i - 1].is_set = false;
}

void pg_reset(struct sql_stmt *base)
{
	struct pg_stmt *st = of(base);

	PQclear(st->result);
	st->result = NULL;
	st->is_bad = false;
	buf_clear(&st->bytes);
	memset(st->params, 0, sizeof(st->params));
}

void pg_forget(struct sql_stmt *base)
{
	struct pg_stmt *st = of(base);

	pg_reset(base);
	PQclear(st->ahead_result);
	st->ahead_result = NULL;
	st->ahead_n = 0;
	buf_fini(&st->bytes);
	buf_fini(&st->ahead_bytes);
}

/* ---- running ------------------------------------------------------------------ */

/* After a failure the transaction takes nothing more: what is asked then fails for the
 * same reason, and no message is sent for it. */
static bool may_run(struct pg_db *pg, struct pg_stmt *st)
{
	if (pg->in_transaction && pg->is_failed)
		return false;
	if (!pg->in_transaction && pg_link_connect(&pg->link) != SQL_DONE)
		return false;
	if (st->is_bad)
		pg_link_fail(&pg->link, "22021", "a text holds a zero byte");
	else if (st->bytes.failed)
		pg_link_fail(&pg->link, "53200", "out of memory");
	else
		return true;
	/* As if the server had said it; the transaction itself is still good. */
	return false;
}

static int failed(struct pg_db *pg, bool is_other)
{
	pg->is_failed = true;
	pg->is_doomed |= is_other || !pg->link.conn;
	return SQL_FAILED;
}

int pg_queue(struct pg_db *pg, const char *text)
{
	struct sql_stmt *st = sql_start(&pg->db, text, "");

	return st && pg_link_send(&pg->link, of(st), false) == SQL_DONE ? SQL_DONE : failed(pg, true);
}

/* A savepoint is made only before something that could have to be taken back. */
static int guard(struct pg_db *pg, struct pg_stmt *st)
{
	if (!pg->wants_savepoint || (st->is_read && !pg->db.is_careful))
		return SQL_DONE;
	pg->wants_savepoint = false;
	pg->has_savepoint = true;
	return pg_queue(pg, "SAVEPOINT one");
}

void pg_ahead(struct sql_stmt *base)
{
	struct pg_stmt *st = of(base);
	struct pg_db *pg = pg_of(base->db);
	struct buf bytes = st->ahead_bytes;

	st->ahead_n = 0;
	PQclear(st->ahead_result);
	st->ahead_result = NULL;
	if (!pg->in_transaction || pg->is_failed || st->is_bad || st->bytes.failed || pg_link_send(&pg->link, st, true) != SQL_DONE)
		return; /* it is asked when it is needed, and fails then */
	st->ahead_n = base->db->job_n;
	st->ahead_bytes = st->bytes;
	st->bytes = bytes;
	memcpy(st->ahead_params, st->params, sizeof(st->params));
	pg_reset(base);
}

/* Has this very question been asked ahead, in this job? */
static bool is_asked(const struct pg_stmt *st)
{
	return st->ahead_n != 0 && st->ahead_n == st->base.db->job_n && st->bytes.n == st->ahead_bytes.n &&
	       memcmp(st->params, st->ahead_params, sizeof(st->params)) == 0 &&
	       (st->bytes.n == 0 || memcmp(st->bytes.p, st->ahead_bytes.p, st->bytes.n) == 0);
}

/* The answer to it; it is good once. */
static int take_ahead(struct pg_db *pg, struct pg_stmt *st)
{
	bool is_other;

	st->ahead_n = 0;
	if (!st->ahead_result && pg_link_wait(&pg->link, NULL, &is_other) != SQL_DONE)
		return failed(pg, true);
	st->result = st->ahead_result;
	st->ahead_result = NULL;
	st->row = -1;
	return SQL_DONE;
}

static int execute(struct pg_stmt *st)
{
	struct pg_db *pg = pg_of(st->base.db);
	bool is_other = true;

	if (!may_run(pg, st))
		return SQL_FAILED;
	if (is_asked(st))
		return take_ahead(pg, st);
	if (guard(pg, st) != SQL_DONE || pg_link_send(&pg->link, st, false) != SQL_DONE)
		return failed(pg, true);
	if (pg_link_wait(&pg->link, st, &is_other) != SQL_DONE) {
		failed(pg, is_other);
		/* Primary keys have the name that PostgreSQL gives them. */
		const char *tail = strrchr(pg->link.constraint, '_');
		return !is_other && strcmp(pg->link.state, "23505") == 0 && tail && strcmp(tail, "_pkey") == 0 ? SQL_TAKEN : SQL_FAILED;
	}
	st->row = -1;
	if (PQresultStatus(st->result) == PGRES_COMMAND_OK)
		pg->changes = strtoll(PQcmdTuples(st->result), NULL, 10);
	return SQL_DONE;
}

int pg_step(struct sql_stmt *base)
{
	struct pg_stmt *st = of(base);
	int r = st->result ? SQL_DONE : execute(st);

	if (r != SQL_DONE)
		return r;
	return ++st->row < PQntuples(st->result) ? SQL_ROW : SQL_DONE;
}

int pg_send(struct sql_stmt *base)
{
	struct pg_stmt *st = of(base);
	struct pg_db *pg = pg_of(base->db);
	int r;

	if (pg->db.is_careful || !pg->in_transaction) {
		r = pg_step(base);
		pg_reset(base);
		return r;
	}
	if (!may_run(pg, st))
		return SQL_FAILED;
	if (guard(pg, st) != SQL_DONE || pg_link_send(&pg->link, st, false) != SQL_DONE)
		return failed(pg, true);
	pg_reset(base);
	return SQL_DONE;
}

/* ---- rows ----------------------------------------------------------------------- */

int pg_columns_n(struct sql_stmt *st)
{
	return PQnfields(of(st)->result);
}

const char *pg_column_name(struct sql_stmt *st, int column)
{
	return PQfname(of(st)->result, column);
}

struct sql_value pg_value(struct sql_stmt *base, int column)
{
	struct pg_stmt *st = of(base);
	Oid type = PQftype(st->result, column);

	if (PQgetisnull(st->result, st->row, column))
		return (struct sql_value){ SQL_NULL, SIO_LIT("") };
	return (struct sql_value){ type == OID_INT8 || type == OID_INT4 || type == OID_INT2 ? SQL_INT : SQL_TEXT,
				   sio_bytes(PQgetvalue(st->result, st->row, column), (size_t)PQgetlength(st->result, st->row, column)) };
}

void pg_values(struct sql_stmt *base, struct sql_value *out, int n)
{
	for (int i = 0; i < n; i++)
		out[i] = pg_value(base, i);
}

int64_t pg_number(struct sql_stmt *base, int column)
{
	struct pg_stmt *st = of(base);

	return PQgetisnull(st->result, st->row, column) ? 0 : strtoll(PQgetvalue(st->result, st->row, column), NULL, 10);
}
