/* sqlite_event.c -- streams of events, and counts.
 *
 * A stream's numbers are dense: the counter and the row are written in one
 * transaction, and a request that fails takes back both.  A project's event carries
 * its number in its payload, so that it is the same bytes in the row, on the wire and
 * in a later replay.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <string.h>

#include <sio/json.h>

#include "store/payload.h"
#include "store/sqlite.h"

/* A room's own stream ("user:anna") has a colon in its name, a project's has none. */
static bool is_project(sio_slice stream)
{
	return !memchr(stream.p, ':', stream.n);
}

/* The next number of a stream; 0 when it failed.  (RETURNING would do it in one statement,
 * and take half as long again.) */
static int64_t next_seq(struct sqlite_db *db, struct store_answer *a, sio_slice stream)
{
	sqlite3_stmt *st = sql_start(db, "SELECT seq + 1 FROM streams WHERE project = ?1", "t", stream);
	int r = sql_step(db, st);
	int64_t seq = r == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 1;

	if (st)
		sqlite3_reset(st);
	if (r == SQLITE_ROW)
		r = sql_exec(db, "UPDATE streams SET seq = ?2 WHERE project = ?1", "ti", stream, seq);
	else if (r == SQLITE_DONE)
		r = sql_exec(db, "INSERT INTO streams (project, seq) VALUES (?1, ?2)", "ti", stream, seq);
	if (r == SQLITE_DONE)
		return seq;
	sql_fail(db, a);
	return 0;
}

int64_t sqlite_event_put(struct sqlite_db *db, struct store_answer *a, sio_slice stream, sio_slice type, struct buf *data)
{
	int64_t seq = next_seq(db, a, stream);

	if (!seq)
		return 0;
	if (is_project(stream))
		payload_add_int(data, "seq", NULL, seq);
	if (data->failed) {
		answer_fail(a, STORE_UNAVAILABLE, "out of memory");
		return 0;
	}
	if (sql_exec(db, "INSERT INTO events (project, seq, type, data, created_at) VALUES (?1, ?2, ?3, ?4, ?5)", "tittt",
		     stream, seq, type, buf_peek(data), sio_str(db->now)) != SQLITE_DONE) {
		sql_fail(db, a);
		return 0;
	}
	db->event_id_new = sqlite3_last_insert_rowid(db->h);
	return seq;
}

bool sqlite_event_add(struct sqlite_db *db, struct store_answer *a, sio_slice stream, sio_slice type)
{
	a->r.seq = sqlite_event_put(db, a, stream, type, &a->event);
	if (!a->r.seq)
		return false;
	a->r.position = db->event_id_new;
	buf_clear(&a->type);
	buf_slice(&a->type, type);
	return true;
}

void op_event_append(struct sqlite_db *db, const struct store_ask *ask, struct store_answer *a)
{
	if (sio_json_check(ask->body) < 0)
		answer_fail(a, STORE_INVALID, "the payload is not valid JSON");
	else if (ask->event.n == 0 || ask->event.n > 128 || !fields_text_ok(ask->event, false))
		answer_fail(a, STORE_INVALID, "the event's name must have 1 to 128 bytes, no control characters");
	else {
		buf_slice(&a->event, ask->body);
		sqlite_event_add(db, a, ask->project, ask->event);
	}
}

/* The stream's last number, and the first that is still to be had. */
static void stream_bounds(struct sqlite_db *db, sio_slice stream, struct store_answer *a)
{
	sqlite3_stmt *st = sql_start(db, "SELECT seq, max(floor + 1, coalesce((SELECT min(e.seq) FROM events e "
					 "WHERE e.project = s.project), seq + 1)) FROM streams s WHERE project = ?1", "t", stream);
	int r = sql_step(db, st);

	a->r.oldest = 1;
	if (r == SQLITE_ROW) {
		a->r.seq = sqlite3_column_int64(st, 0);
		a->r.oldest = sqlite3_column_int64(st, 1);
	} else if (r != SQLITE_DONE) {
		sql_fail(db, a);
	}
}

/* Read on from a number; the cursor of the next page is the last seq, as ask.after. */
void op_event_list(struct sqlite_db *db, const struct store_ask *ask, struct store_answer *a)
{
	uint32_t limit = ask->limit == 0 ? STORE_LIMIT_DEFAULT : ask->limit > STORE_LIMIT_MAX ? STORE_LIMIT_MAX : ask->limit;
	struct sql_shape shape;
	sqlite3_stmt *st;
	int r;

	stream_bounds(db, ask->project, a);
	/* What lies below the floor waits for the sweep and is not shown any more. */
	st = sql_start(db, "SELECT seq, type, data AS \"data#\", created_at FROM events WHERE project = ?1 AND seq > ?2 "
			   "ORDER BY seq LIMIT ?3", "tii", ask->project,
		       ask->after < a->r.oldest ? a->r.oldest - 1 : ask->after, (int64_t)limit);
	if (st)
		sql_shape_init(&shape, st);
	buf_byte(&a->json, '[');
	while ((r = sql_step(db, st)) == SQLITE_ROW && (a->r.rows_n == 0 || a->json.n < STORE_PAGE_BYTES)) {
		buf_put(&a->json, ",", a->r.rows_n++ > 0);
		sql_shape_row(&shape, st, &a->json);
	}
	buf_byte(&a->json, ']');
	if (r != SQLITE_DONE && r != SQLITE_ROW)
		sql_fail(db, a);
}

/* ---- figures ------------------------------------------------------------- */

void op_counts(struct sqlite_db *db, const struct store_ask *ask, struct store_answer *a)
{
	sqlite3_stmt *st = sql_start(db, "SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM projects) AS projects, "
					 "(SELECT count(*) FROM boq_items) AS boq_items, (SELECT count(*) FROM tasks) AS tasks, "
					 "(SELECT count(*) FROM comments) AS comments, (SELECT count(*) FROM events) AS events", "");

	(void)ask;
	if (sql_step(db, st) == SQLITE_ROW)
		sql_row_json(st, &a->json);
	else
		sql_fail(db, a);
}

void op_ping(struct sqlite_db *db, const struct store_ask *ask, struct store_answer *a)
{
	(void)ask;
	if (sql_step(db, sql_start(db, "SELECT version FROM schema_version LIMIT 1", "")) != SQLITE_ROW)
		sql_fail(db, a);
}
