/* session.c -- sessions of clients that may come back, and what they have missed.
 *
 * A session is a row, and one more for each stream that its client hears: the projects it has
 * joined and its user's own.  Rows are written when a client comes, joins and leaves, never
 * for an event: how far it has heard, it knows itself.  What it missed of a stream is what
 * has a position behind the one it names and a number behind the one with which it came in.
 *
 * Events of a stream are read from the newest back.  The scan ends at one that was heard or
 * at the number with which the client came in; ends it earlier, something is not kept any
 * more.  A resumption is one transaction: roles, events and rooms are of the same moment.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <stdlib.h>

#include <sio/json.h>

#include "store/db.h"

enum { PURGE_MAX = 4 }; /* expired sessions that each arrival or loss takes away */

/* Each arrival and each loss takes some expired ones away, so that they never pile up. */
static void purge(struct db *db, int64_t window_ms, struct store_answer *a)
{
	if (a->r.status == STORE_OK &&
	    sql_exec(db, "DELETE FROM sessions WHERE pid IN (SELECT pid FROM sessions WHERE left_ms < ?1 "
			 "ORDER BY left_ms LIMIT ?2)", "ii", db->now_ms - window_ms, (int64_t)PURGE_MAX) != SQL_DONE)
		sql_fail(db, a);
}

static void change(struct db *db, struct store_answer *a, int r)
{
	if (r != SQL_DONE)
		sql_fail(db, a);
}

/* A stream's last number and its floor; 0 and 0 when nothing was ever in it. */
static bool stream_read(struct db *db, sio_slice stream, int64_t *last, int64_t *floor, struct store_answer *a)
{
	struct sql_stmt *st = sql_start(db, "SELECT seq, floor FROM streams WHERE project = ?1", "t", stream);
	int r = sql_step(st);

	*last = r == SQL_ROW ? sql_int(st, 0) : 0;
	*floor = r == SQL_ROW ? sql_int(st, 1) : 0;
	if (r != SQL_ROW && r != SQL_DONE)
		sql_fail(db, a);
	sql_reset(st);
	return a->r.status == STORE_OK;
}

/* The session hears a stream from its number seq on; nothing happens when there is no such session. */
static bool stream_enter(struct db *db, sio_slice pid, sio_slice stream, int64_t seq, struct store_answer *a)
{
	change(db, a, sql_exec(db, "INSERT INTO session_streams (pid, stream, seq) SELECT pid, ?2, ?3 FROM sessions WHERE pid = ?1 "
				   "ON CONFLICT (pid, stream) DO UPDATE SET seq = excluded.seq, state = NULL", "tti", pid, stream, seq));
	return a->r.status == STORE_OK;
}

/* The same, said by a server: of a session that is connected to another one by now it says nothing
 * that counts.  It may have a client of whose loss it does not know yet. */
static void stream_enter_of(struct db *db, const struct store_ask *ask, int64_t seq, struct store_answer *a)
{
	change(db, a, sql_exec(db, "INSERT INTO session_streams (pid, stream, seq) SELECT pid, ?2, ?3 FROM sessions WHERE pid = ?1 AND node = ?4 "
				   "ON CONFLICT (pid, stream) DO UPDATE SET seq = excluded.seq, state = NULL", "ttit", ask->item, ask->project,
			       seq, ask->actor));
}

static bool stream_leave(struct db *db, sio_slice pid, sio_slice stream, struct store_answer *a)
{
	change(db, a, sql_exec(db, "DELETE FROM session_streams WHERE pid = ?1 AND stream = ?2", "tt", pid, stream));
	return a->r.status == STORE_OK;
}

/* "user:<id>" into out. */
static sio_slice own_stream(sio_slice user, char out[STORE_USER_MAX + 8])
{
	int n = snprintf(out, STORE_USER_MAX + 8, "user:%.*s", (int)user.n, user.p);

	return sio_bytes(out, (size_t)n);
}

/* ---- coming, joining, leaving ---------------------------------------------------------- */

/* Rows of 0 or more; -1 on a fault, which is answered. */
static int64_t changed_n(struct db *db, struct store_answer *a, int r)
{
	change(db, a, r);
	return r == SQL_DONE ? db->driver->changes(db) : -1;
}

/* A server that says nothing for after ms is gone, and its clients with it: until it says something again, for the
 * database may have been away for all of them.  Nobody looks at their sessions but when a server comes or goes. */
void op_session_beat(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	int64_t known = changed_n(db, a, sql_exec(db, "UPDATE nodes SET seen_ms = ?2 WHERE id = ?1", "ti", ask->item, db->now_ms));
	int64_t gone = known < 0 ? -1 : changed_n(db, a, sql_exec(db, "DELETE FROM nodes WHERE seen_ms < ?1", "i", db->now_ms - ask->after));

	if (known == 0 && gone >= 0) {
		change(db, a, sql_exec(db, "INSERT INTO nodes (id, seen_ms) VALUES (?1, ?2)", "ti", ask->item, db->now_ms));
		change(db, a, sql_exec(db, "UPDATE sessions SET left_ms = NULL, is_lost = 0 WHERE is_lost = 1 AND node = ?1", "t", ask->item));
	}
	if (a->r.status == STORE_OK && (known == 0 || gone > 0))
		change(db, a, sql_exec(db, "UPDATE sessions SET left_ms = ?1, is_lost = 1 WHERE left_ms IS NULL "
				       "AND node NOT IN (SELECT id FROM nodes)", "i", db->now_ms));
}

/* Enter the projects of a list that the user has a role in and that the answer does not name
 * yet: [{project_id, role, seq ..}] without the brackets, behind what json holds. */
static void enter_projects(struct db *db, const struct store_ask *ask, sio_slice list, const char *more,
			   struct store_answer *a)
{
	sio_slice rest = sio_json_inside(list), item;
	char id[STORE_ID_MAX + 1];
	int64_t last, floor;
	uint32_t asked = 0;

	while (a->r.status == STORE_OK && sio_json_next(&rest, &item) == SIO_OK && asked++ < STORE_ROLES_MAX) {
		long n = sio_json_unquote(item, id, sizeof(id));
		sio_slice project = sio_bytes(id, n > 0 ? (size_t)n : 0);

		if (n <= 0 || !fields_text_ok(project, false) || !role_read(db, project, ask->user, a) || !a->r.role[0] ||
		    !stream_read(db, project, &last, &floor, a) || !stream_enter(db, ask->item, project, last, a))
			continue;
		buf_str(&a->json, a->r.rows_n++ ? ",{\"project_id\":" : "{\"project_id\":");
		buf_json(&a->json, project);
		buf_printf(&a->json, ",\"role\":\"%s\",\"seq\":%lld%s}", a->r.role, (long long)last, more);
	}
	a->r.role[0] = '\0';
}

void op_session_open(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	struct sio_json_field fields[] = { { .key = "sid" }, { .key = "projects" } };
	char sid[64], own[STORE_USER_MAX + 8];
	int64_t last = 0, floor;
	long n = -1;

	if (sio_json_check(ask->body) == SIO_OK && sio_json_pick(ask->body, fields, 2) == SIO_OK)
		n = sio_json_unquote(fields[0].value, sid, sizeof(sid));
	if (n <= 0) {
		answer_fail(a, STORE_INVALID, "sid: must be a short text");
		return;
	}
	change(db, a, sql_exec(db, "INSERT INTO sessions (pid, sid, user_id, node) VALUES (?1, ?2, ?3, ?4)", "tttt", ask->item,
			       sio_bytes(sid, (size_t)n), ask->user, ask->actor));
	if (a->r.status == STORE_OK && stream_read(db, own_stream(ask->user, own), &last, &floor, a))
		stream_enter(db, ask->item, own_stream(ask->user, own), last, a);
	buf_byte(&a->json, '[');
	if (fields[1].type == SIO_JSON_ARRAY)
		enter_projects(db, ask, fields[1].value, "", a);
	buf_byte(&a->json, ']');
	purge(db, ask->after, a);
	sql_reset_all(db); /* what is bound goes out of scope */
}

void op_session_join(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	op_role_get(db, ask, a);
	if (a->r.status == STORE_OK && a->r.role[0])
		stream_enter_of(db, ask, a->r.seq, a);
}

#define OF_SERVER "pid = ?1 AND stream = ?2 AND EXISTS (SELECT 1 FROM sessions s WHERE s.pid = ?1 AND s.node = ?3)"

/* With a body: it was put out, and shall be told so when it comes back, for it may not have heard. */
void op_session_leave(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	if (ask->body.n)
		change(db, a, sql_exec(db, "UPDATE session_streams SET seq = -1 WHERE " OF_SERVER, "ttt", ask->item, ask->project, ask->actor));
	else
		change(db, a, sql_exec(db, "DELETE FROM session_streams WHERE " OF_SERVER, "ttt", ask->item, ask->project, ask->actor));
}

void op_session_state(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	if (sio_json_check(ask->body) < 0)
		answer_fail(a, STORE_INVALID, "the state is not valid JSON");
	else
		change(db, a, sql_exec(db, "UPDATE session_streams SET state = ?4 WHERE " OF_SERVER, "tttt", ask->item, ask->project,
				       ask->actor, ask->body));
}

void op_session_left(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	/* Unless it is connected to another server by now. */
	change(db, a, sql_exec(db, "UPDATE sessions SET left_ms = ?2, is_lost = 0 WHERE pid = ?1 AND node = ?3", "tit", ask->item, db->now_ms, ask->actor));
	purge(db, ask->after, a);
}

void op_session_end(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	change(db, a, sql_exec(db, "DELETE FROM sessions WHERE pid = ?1 AND node = ?2", "tt", ask->item, ask->actor));
}

/* ---- coming back ------------------------------------------------------------------------- */

/* A missed event as JSON at at in text. */
struct missed {
	int64_t position;
	size_t at, n;
};

/* A resumption while it is put together. */
struct resume {
	struct db *db;
	const struct store_ask *ask;
	struct store_answer *a;
	int64_t seen;            /* position; 0: nothing */
	int64_t window_ms, bytes_max;
	struct buf sid;          /* of the session */
	sio_slice projects;
	struct buf streams;      /* [name,seq,state] of each, JSON with commas behind */
	struct buf text;
	struct missed *missed;
	size_t missed_n;
};

static bool refuse(struct resume *r, const char *reason)
{
	if (r->a->r.status != STORE_OK)
		return false;
	buf_clear(&r->a->json);
	buf_printf(&r->a->json, "{\"reason\":\"%s\"}", reason);
	answer_fail(r->a, STORE_REFUSED, "the session is not resumed: %s", reason);
	return false;
}

static bool failed(struct resume *r)
{
	sql_fail(r->db, r->a);
	return false;
}

static bool resume_read(struct resume *r)
{
	struct sio_json_field fields[] = { { .key = "window_ms" }, { .key = "bytes_max" }, { .key = "projects" } };

	if (sio_json_check(r->ask->body) < 0 || sio_json_pick(r->ask->body, fields, 3) < 0 ||
	    sio_json_int(fields[0].value, &r->window_ms) < 0 || sio_json_int(fields[1].value, &r->bytes_max) < 0) {
		answer_fail(r->a, STORE_INVALID, "window_ms and bytes_max must be numbers");
		return false;
	}
	r->projects = fields[2].type == SIO_JSON_ARRAY ? fields[2].value : SIO_LIT("[]");
	return true;
}

/* The session's own row: is it there, this user's, and in time?  Begins the answer. */
static bool resume_session(struct resume *r)
{
	struct sql_stmt *st = sql_start(r->db, "SELECT sid, user_id, left_ms, (SELECT coalesce(max(id), 0) FROM events), node "
					    "FROM sessions WHERE pid = ?1", "t", r->ask->item);
	int got = sql_step(st);

	if (got != SQL_ROW)
		return got == SQL_DONE ? refuse(r, "unknown") : failed(r);
	if (!sio_slice_eq(sql_text(st, 1), r->ask->user))
		return refuse(r, "foreign");
	if (!sql_is_null(st, 2) && sql_int(st, 2) < r->db->now_ms - r->window_ms)
		return refuse(r, "expired");
	if (r->seen > sql_int(st, 3))
		return refuse(r, "offset");
	buf_slice(&r->sid, sql_text(st, 0));
	buf_str(&r->a->json, "{\"sid\":");
	buf_json(&r->a->json, sql_text(st, 0));
	buf_str(&r->a->json, ",\"node\":"); /* where it is connected still, as far as is known */
	buf_json(&r->a->json, sql_is_null(st, 2) ? sql_text(st, 4) : SIO_LIT(""));
	sql_reset(st);
	return true;
}

/* What the session hears, noted before anything of it is changed. */
static bool resume_streams(struct resume *r)
{
	struct sql_stmt *st = sql_start(r->db, "SELECT stream, seq, state FROM session_streams WHERE pid = ?1 ORDER BY stream", "t",
				     r->ask->item);
	int got;

	while ((got = sql_step(st)) == SQL_ROW) {
		buf_str(&r->streams, r->streams.n ? ",[" : "[");
		buf_json(&r->streams, sql_text(st, 0));
		buf_printf(&r->streams, ",%lld,", (long long)sql_int(st, 1));
		buf_slice(&r->streams, sql_is_null(st, 2) ? SIO_LIT("null") : sql_text(st, 2));
		buf_byte(&r->streams, ']');
	}
	sql_reset(st);
	return got == SQL_DONE || failed(r);
}

static bool missed_add(struct resume *r, sio_slice stream, struct sql_stmt *st)
{
	struct missed *m;
	size_t at = r->text.n;

	if (r->missed_n == r->ask->limit)
		return refuse(r, "too_many");
	/* Room doubles at each power of two. */
	if ((r->missed_n & (r->missed_n - 1)) == 0) {
		m = realloc(r->missed, (r->missed_n ? 2 * r->missed_n : 1) * sizeof(*m));
		if (!m) {
			answer_fail(r->a, STORE_UNAVAILABLE, "out of memory");
			return false;
		}
		r->missed = m;
	}
	buf_printf(&r->text, "{\"position\":%lld,\"stream\":", (long long)sql_int(st, 0));
	buf_json(&r->text, stream);
	buf_printf(&r->text, ",\"seq\":%lld,\"type\":", (long long)sql_int(st, 1));
	buf_json(&r->text, sql_text(st, 2));
	buf_str(&r->text, ",\"data\":");
	buf_slice(&r->text, sql_text(st, 3));
	buf_byte(&r->text, '}');
	r->missed[r->missed_n++] = (struct missed){ sql_int(st, 0), at, r->text.n - at };
	return r->text.n <= (size_t)r->bytes_max || refuse(r, "too_many");
}

/* What was missed of a stream that was entered behind its number since. */
static bool resume_missed(struct resume *r, sio_slice stream, int64_t since, int64_t last, int64_t floor)
{
	struct sql_stmt *st = sql_start(r->db, "SELECT id, seq, type, data, except_sid FROM events WHERE project = ?1 AND seq > ?2 "
					    "ORDER BY seq DESC LIMIT ?3", "tii", stream, since, (int64_t)r->ask->limit + 1);
	int64_t oldest = last + 1;
	bool is_heard = false;
	int got;

	while ((got = sql_step(st)) == SQL_ROW && !is_heard) {
		is_heard = sql_int(st, 0) <= r->seen;
		if (!is_heard && !sio_slice_eq(sql_text(st, 4), buf_peek(&r->sid)) && !missed_add(r, stream, st))
			return false;
		if (!is_heard)
			oldest = sql_int(st, 1);
	}
	if (got != SQL_ROW && got != SQL_DONE)
		return failed(r);
	sql_reset(st);
	if (is_heard)
		return oldest > floor || refuse(r, "retention");
	return (oldest == since + 1 && since >= floor) || refuse(r, "retention");
}

static bool resume_project(struct resume *r, sio_slice project, int64_t since, sio_slice state, bool is_first)
{
	int64_t last, floor;

	if (!role_read(r->db, project, r->ask->user, r->a) || !stream_read(r->db, project, &last, &floor, r->a))
		return false;
	if (since < 0) /* it was put out: another role that its user got since is no way back */
		r->a->r.role[0] = '\0';
	buf_str(&r->a->json, is_first ? "{\"project_id\":" : ",{\"project_id\":");
	buf_json(&r->a->json, project);
	buf_printf(&r->a->json, ",\"role\":\"%s\",\"seq\":%lld,\"was_joined\":true,\"state\":", r->a->r.role, (long long)last);
	buf_slice(&r->a->json, state);
	buf_byte(&r->a->json, '}');
	r->a->r.rows_n++;
	if (!r->a->r.role[0])
		return stream_leave(r->db, r->ask->item, project, r->a);
	return resume_missed(r, project, since, last, floor);
}

/* Every stream of the session: what was missed, and the list of rooms. */
static bool resume_all(struct resume *r)
{
	sio_slice rest = buf_peek(&r->streams), item, inside, name, since, state;
	char text[STORE_STREAM_MAX + 1];
	int64_t seq, last, floor;

	buf_str(&r->a->json, ",\"rooms\":[");
	while (sio_json_next(&rest, &item) == SIO_OK) {
		long n;

		inside = sio_json_inside(item);
		if (sio_json_next(&inside, &name) < 0 || sio_json_next(&inside, &since) < 0 || sio_json_next(&inside, &state) < 0 ||
		    sio_json_int(since, &seq) < 0 || (n = sio_json_unquote(name, text, sizeof(text))) <= 0)
			continue;
		name = sio_bytes(text, (size_t)n);
		if (memchr(name.p, ':', name.n)) {
			if (!stream_read(r->db, name, &last, &floor, r->a) || !resume_missed(r, name, seq, last, floor))
				return false;
		} else if (!resume_project(r, name, seq, state, r->a->r.rows_n == 0)) {
			return false;
		}
	}
	return true;
}

/* Is the project among the session's streams? */
static bool is_known(const struct resume *r, sio_slice quoted)
{
	sio_slice rest = buf_peek(&r->streams), item, name;

	while (sio_json_next(&rest, &item) == SIO_OK) {
		item = sio_json_inside(item);
		if (sio_json_next(&item, &name) == SIO_OK && sio_slice_eq(name, quoted))
			return true;
	}
	return false;
}

/* The projects that the client asks for beside those it was in. */
static void resume_others(struct resume *r)
{
	sio_slice rest = sio_json_inside(r->projects), item;
	struct buf others = { 0 };

	while (sio_json_next(&rest, &item) == SIO_OK) {
		if (is_known(r, item))
			continue;
		buf_str(&others, others.n ? "," : "[");
		buf_slice(&others, item);
	}
	if (others.n) {
		buf_byte(&others, ']');
		enter_projects(r->db, r->ask, buf_peek(&others), ",\"was_joined\":false,\"state\":null", r->a);
	}
	if (others.failed)
		answer_fail(r->a, STORE_UNAVAILABLE, "out of memory");
	sql_reset_all(r->db);
	buf_fini(&others);
}

static int by_position(const void *a, const void *b)
{
	const struct missed *x = a, *y = b;

	return x->position < y->position ? -1 : x->position > y->position;
}

/* The events of all streams as they came. */
static void resume_end(struct resume *r)
{
	if (r->missed_n > 1)
		qsort(r->missed, r->missed_n, sizeof(*r->missed), by_position);
	buf_str(&r->a->json, "],\"events\":[");
	for (size_t i = 0; i < r->missed_n && !r->text.failed; i++) {
		buf_put(&r->a->json, ",", i > 0);
		buf_put(&r->a->json, r->text.p + r->missed[i].at, r->missed[i].n);
	}
	buf_str(&r->a->json, "]}");
	r->a->r.role[0] = '\0';
	if (r->text.failed || r->streams.failed || r->sid.failed)
		answer_fail(r->a, STORE_UNAVAILABLE, "out of memory");
	change(r->db, r->a, sql_exec(r->db, "UPDATE sessions SET left_ms = NULL, is_lost = 0, node = ?2 WHERE pid = ?1", "tt", r->ask->item, r->ask->actor));
}

void op_session_resume(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	struct resume r = { .db = db, .ask = ask, .a = a, .seen = ask->after };

	if (resume_read(&r) && resume_session(&r) && resume_streams(&r) && resume_all(&r)) {
		resume_others(&r);
		resume_end(&r);
	}
	sql_reset_all(db);
	buf_fini(&r.streams);
	buf_fini(&r.text);
	buf_fini(&r.sid);
	free(r.missed);
}
