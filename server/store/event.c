/* event.c -- streams of events, and counts.
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
#include "store/db.h"

/* A room's own stream ("user:anna") has a colon in its name, a project's has none. */
static bool is_project(sio_slice stream)
{
	return !memchr(stream.p, ':', stream.n);
}

/* The row's id is the event's position: all writers wait for each other, so ids grow as commits
 * do.  PostgreSQL is asked for the id together with the number; so the row itself goes out with
 * whatever follows. */
static const char *next_text(const struct db *db)
{
	return SQL_OF(db, "SELECT seq + 1 FROM streams WHERE project = ?1",
		      "SELECT seq + 1, nextval('events_id_seq') FROM streams WHERE project = ?1");
}

void stream_ahead(struct db *db, sio_slice stream)
{
	sql_ahead(db, next_text(db), "t", stream);
}

/* The next number of a stream, and in db->position the next id where it is asked for first; 0
 * when it failed.  (RETURNING would do it in one statement,
 * and take half as long again.) */
static int64_t next_seq(struct db *db, struct store_answer *a, sio_slice stream)
{
	struct sql_stmt *st = sql_start(db, next_text(db), "t", stream);
	int r = sql_step(st);
	int64_t seq = r == SQL_ROW ? sql_int(st, 0) : 1;

	if (db->driver->is_postgres)
		db->position = r == SQL_ROW ? sql_int(st, 1) : 0;
	sql_reset(st);
	if (r == SQL_ROW)
		r = sql_push(db, "UPDATE streams SET seq = ?2 WHERE project = ?1", "ti", stream, seq);
	else if (r == SQL_DONE)
		r = sql_push(db, "INSERT INTO streams (project, seq) VALUES (?1, ?2)", "ti", stream, seq);
	if (r == SQL_DONE)
		return seq;
	sql_fail(db, a);
	return 0;
}

static bool event_insert(struct db *db, const struct stream_event *e, int64_t seq, sio_slice data)
{
	int r;

	if (!db->driver->is_postgres) {
		r = sql_exec(db, "INSERT INTO events (project, seq, type, data, created_at, except_sid) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
			     "titttt", e->stream, seq, e->type, data, sio_str(db->now), e->except_sid);
		db->position = r == SQL_DONE ? db->driver->new_id(db) : 0;
		return r == SQL_DONE;
	}
	if (db->position == 0) /* the first of its stream */
		db->position = sql_ask_int(db, "SELECT nextval('events_id_seq')", 0);
	return db->position > 0 &&
	       sql_push(db, "INSERT INTO events (project, seq, type, data, created_at, except_sid, id) "
			    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", "titttti", e->stream, seq, e->type, data, sio_str(db->now),
			e->except_sid, db->position) == SQL_DONE;
}

int64_t stream_put(struct db *db, struct store_answer *a, const struct stream_event *e, struct buf *data)
{
	int64_t seq = next_seq(db, a, e->stream);

	if (!seq)
		return 0;
	if (is_project(e->stream))
		payload_add_int(data, "seq", NULL, seq);
	if (data->failed) {
		answer_fail(a, STORE_UNAVAILABLE, "out of memory");
		return 0;
	}
	if (!event_insert(db, e, seq, buf_peek(data))) {
		sql_fail(db, a);
		return 0;
	}
	db->has_events = true;
	return seq;
}

bool stream_add(struct db *db, struct store_answer *a, const struct stream_event *e)
{
	a->r.seq = stream_put(db, a, e, &a->event);
	if (!a->r.seq)
		return false;
	a->r.position = db->position;
	buf_clear(&a->type);
	buf_slice(&a->type, e->type);
	return true;
}

void op_event_append(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	if (sio_json_check(ask->body) < 0)
		answer_fail(a, STORE_INVALID, "the payload is not valid JSON");
	else if (ask->event.n == 0 || ask->event.n > 128 || !fields_text_ok(ask->event, false))
		answer_fail(a, STORE_INVALID, "the event's name must have 1 to 128 bytes, no control characters");
	else if (ask->except_sid.n > STORE_ID_MAX || !fields_text_ok(ask->except_sid, false))
		answer_fail(a, STORE_INVALID, "except_sid must have at most %d bytes, no control characters", STORE_ID_MAX);
	else {
		buf_slice(&a->event, ask->body);
		stream_add(db, a, &(struct stream_event){ .stream = ask->project, .type = ask->event, .except_sid = ask->except_sid });
	}
}

/* The stream's last number, and the first that is still to be had. */
static void stream_bounds(struct db *db, sio_slice stream, struct store_answer *a)
{
	struct sql_stmt *st = sql_start(db, "SELECT seq, floor + 1, (SELECT min(e.seq) FROM events e "
					    "WHERE e.project = s.project) FROM streams s WHERE project = ?1", "t", stream);
	int r = sql_step(st);

	a->r.oldest = 1;
	if (r == SQL_ROW) {
		a->r.seq = sql_int(st, 0);
		a->r.oldest = sql_is_null(st, 2) ? a->r.seq + 1 : sql_int(st, 2);
		if (a->r.oldest < sql_int(st, 1))
			a->r.oldest = sql_int(st, 1);
	} else if (r != SQL_DONE) {
		sql_fail(db, a);
	}
}

#define EVENT_PAGE(more)                                                                                          \
	"SELECT seq, type, data AS \"data#\", created_at" more " FROM events WHERE project = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
/* PostgreSQL sends all rows before the first is looked at: it counts the bytes itself and leaves
 * out what lies behind the row that is one too many. */
#define EVENT_PAGE_POSTGRES(more)                                                                                 \
	"SELECT seq, type, \"data#\", created_at" more " FROM (SELECT seq, type, data AS \"data#\", created_at" more ", " \
	"coalesce(sum(octet_length(data)) OVER (ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING), 0) AS before " \
	"FROM (SELECT * FROM events WHERE project = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3) AS e) AS p "               \
	"WHERE before < " SQL_PAGE_BYTES " ORDER BY seq"

/* Read on from a number; the cursor of the next page is the last seq, as ask.after. */
void op_event_list(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	const char *text = ask->with_except ? SQL_OF(db, EVENT_PAGE(", except_sid"), EVENT_PAGE_POSTGRES(", except_sid")) :
					      SQL_OF(db, EVENT_PAGE(""), EVENT_PAGE_POSTGRES(""));
	struct sql_stmt *st;
	int r;

	stream_bounds(db, ask->project, a);
	/* What lies below the floor waits for the sweep and is not shown any more. */
	st = sql_start(db, text, "tii", ask->project,
		       ask->after < a->r.oldest ? a->r.oldest - 1 : ask->after, (int64_t)sql_page_limit(ask));
	buf_byte(&a->json, '[');
	while ((r = sql_step(st)) == SQL_ROW && (a->r.rows_n == 0 || a->json.n < STORE_PAGE_BYTES)) {
		buf_put(&a->json, ",", a->r.rows_n++ > 0);
		sql_row_json(st, &a->json);
	}
	buf_byte(&a->json, ']');
	if (r != SQL_DONE && r != SQL_ROW)
		sql_fail(db, a);
}

/* ---- figures ------------------------------------------------------------- */

void op_counts(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	struct sql_stmt *st = sql_start(db, "SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM projects) AS projects, "
					 "(SELECT count(*) FROM boq_items) AS boq_items, (SELECT count(*) FROM tasks) AS tasks, "
					 "(SELECT count(*) FROM comments) AS comments, (SELECT count(*) FROM events) AS events", "");

	(void)ask;
	if (sql_step(st) == SQL_ROW)
		sql_row_json(st, &a->json);
	else
		sql_fail(db, a);
}

void op_ping(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	(void)ask;
	if (sql_step(sql_start(db, "SELECT version FROM schema_version LIMIT 1", "")) != SQL_ROW)
		sql_fail(db, a);
}
