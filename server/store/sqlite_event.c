/* sqlite_event.c -- streams of events, notifications, counts.
 *
 * A stream's numbers are dense: the counter and the row are written in one
 * transaction, and a request that fails takes back both.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <sio/json.h>

#include "store/sqlite.h"

bool sqlite_event_add(struct sqlite_db *db, struct store_answer *a, sio_slice stream, sio_slice type, sio_slice data)
{
	sqlite3_stmt *st = sql_start(db, "INSERT INTO streams (project, seq) VALUES (?1, 1) "
					 "ON CONFLICT (project) DO UPDATE SET seq = seq + 1 RETURNING seq", "t", stream);
	int64_t seq;

	if (a->event.failed) {
		answer_fail(a, STORE_UNAVAILABLE, "out of memory");
		return false;
	}
	if (sql_step(db, st) != SQLITE_ROW) {
		sql_fail(db, a);
		return false;
	}
	seq = sqlite3_column_int64(st, 0);
	if (sqlite3_step(st) != SQLITE_DONE ||
	    sql_exec(db, "INSERT INTO events (project, seq, type, data, created_at) VALUES (?1, ?2, ?3, ?4, ?5)", "tittt",
		     stream, seq, type, data, sio_str(db->now)) != SQLITE_DONE) {
		sql_fail(db, a);
		return false;
	}
	db->event_id_new = sqlite3_last_insert_rowid(db->h);
	a->r.seq = seq;
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
		sqlite_event_add(db, a, ask->project, ask->event, ask->body);
	}
}

/* Read on from a number; the cursor of the next page is the last seq, as ask.after. */
void op_event_list(struct sqlite_db *db, const struct store_ask *ask, struct store_answer *a)
{
	uint32_t limit = ask->limit == 0 ? STORE_LIMIT_DEFAULT : ask->limit > STORE_LIMIT_MAX ? STORE_LIMIT_MAX : ask->limit;
	sqlite3_stmt *st = sql_start(db, "SELECT seq FROM streams WHERE project = ?1", "t", ask->project);
	int r = sql_step(db, st);

	if (r == SQLITE_ROW)
		a->r.seq = sqlite3_column_int64(st, 0);
	st = sql_start(db, "SELECT seq, type, data AS \"data#\", created_at FROM events WHERE project = ?1 AND seq > ?2 "
			   "ORDER BY seq LIMIT ?3", "tii", ask->project, ask->after, (int64_t)limit);
	buf_byte(&a->json, '[');
	while ((r = sql_step(db, st)) == SQLITE_ROW) {
		buf_str(&a->json, a->r.rows_n++ ? "," : "");
		sql_row_json(st, &a->json);
	}
	buf_byte(&a->json, ']');
	if (r != SQLITE_DONE)
		sql_fail(db, a);
}

/* ---- notifications ------------------------------------------------------- */

#define NOTIFY_ROW "id, data AS \"data#\", created_at, read_at"

void op_notify_list(struct sqlite_db *db, const struct store_ask *ask, struct store_answer *a)
{
	static const struct sql_page page = {
		"SELECT " NOTIFY_ROW ", id AS _1 FROM notifications WHERE user = ?1 AND id < ?3 ORDER BY id DESC LIMIT ?6", "d"
	};

	sql_page_run(db, ask, a, &page, ask->user, SIO_LIT(""));
}

static void notify_read(struct sqlite_db *db, const struct store_ask *ask, int64_t id, struct store_answer *a)
{
	sqlite3_stmt *st = sql_start(db, "SELECT " NOTIFY_ROW " FROM notifications WHERE user = ?1 AND id = ?2", "ti",
				     ask->user, id);
	int r = sql_step(db, st);

	a->r.version = id;
	if (r == SQLITE_ROW)
		sql_row_json(st, &a->json);
	else if (r == SQLITE_DONE)
		answer_fail(a, STORE_NOT_FOUND, "no such notification of user '%.*s'", (int)ask->user.n, ask->user.p);
	else
		sql_fail(db, a);
}

/* The row is the inbox; the event, in the stream "user:<id>", is what a client that
 * was away recovers. */
void op_notify_add(struct sqlite_db *db, const struct store_ask *ask, struct store_answer *a)
{
	struct buf stream = { 0 };

	if (sio_json_check(ask->body) < 0) {
		answer_fail(a, STORE_INVALID, "the notification is not valid JSON");
		return;
	}
	if (sql_exec(db, "INSERT INTO notifications (user, data, created_at) VALUES (?1, ?2, ?3)", "ttt", ask->user, ask->body,
		     sio_str(db->now)) != SQLITE_DONE) {
		sql_fail(db, a);
		return;
	}
	notify_read(db, ask, sqlite3_last_insert_rowid(db->h), a);
	buf_str(&stream, "user:");
	buf_slice(&stream, ask->user);
	buf_slice(&a->event, ask->body);
	if (stream.failed)
		answer_fail(a, STORE_UNAVAILABLE, "out of memory");
	else
		sqlite_event_add(db, a, buf_peek(&stream), SIO_LIT("notification:new"), ask->body);
	sql_reset_all(db);
	buf_fini(&stream);
}

void op_notify_read(struct sqlite_db *db, const struct store_ask *ask, struct store_answer *a)
{
	int64_t id = 0;

	if (sio_json_int(ask->item, &id) < 0)
		answer_fail(a, STORE_NOT_FOUND, "no such notification of user '%.*s'", (int)ask->user.n, ask->user.p);
	else if (sql_exec(db, "UPDATE notifications SET read_at = coalesce(read_at, ?3) WHERE user = ?1 AND id = ?2", "tit",
			  ask->user, id, sio_str(db->now)) != SQLITE_DONE)
		sql_fail(db, a);
	else
		notify_read(db, ask, id, a);
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
