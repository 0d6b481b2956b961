/* sweep.c -- deleting what is kept no longer, a little at a time.
 *
 * One step looks at a few hundred rows and deletes SWEEP_ROWS at most, in a transaction
 * of its own, so that a write waits for a few milliseconds at worst.  What goes:
 *   events and notifications older than so many days, from the oldest on;
 *   events of a stream beyond the newest so many, and those below its floor
 *   (a deleted project's), stream by stream;
 *   lines of the access log older than an hour, which every process has read.
 * In a stream the lowest numbers always go first: what is kept is one dense piece up to
 * the last number.  A step that finds the database held by another process does
 * nothing.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <string.h>

#include "store/db.h"

enum {
	SWEEP_ROWS = 500,    /* deleted in one step */
	SWEEP_STREAMS = 500, /* looked at in one step */
	ACCESS_LOG_S = 3600,
};
static const int64_t DAY_MS = 24 * 3600 * 1000LL;

/* ---- by age ----------------------------------------------------------------- */

/* Rows are written in the order of their ids, so the oldest have the least: only these
 * are looked at, no index of times is needed.  It goes as far as the first row that is
 * young enough, whatever a clock that jumped wrote behind it: else a stream had a hole. */
static int64_t delete_old(struct db *db, const char *text, uint32_t days)
{
	char before[SQL_TIME_LEN + 1];

	if (days == 0)
		return 0;
	sql_time_text(db->now_ms - days * DAY_MS, before);
	if (sql_exec(db, text, "ti", sio_str(before), (int64_t)SWEEP_ROWS) != SQL_DONE)
		return -1;
	return db->driver->changes(db);
}

#define OLDEST(table, column)                                                                                    \
	"DELETE FROM " table " WHERE id IN (SELECT id FROM " table " ORDER BY id LIMIT ?2) AND id < coalesce("       \
	"(SELECT id FROM (SELECT id, " column " AS t FROM " table " ORDER BY id LIMIT ?2) AS o WHERE t >= ?1 ORDER BY id " \
	"LIMIT 1), 9223372036854775807)"
#define HAS_OLD(table, column) "SELECT 1 FROM (SELECT " column " AS t FROM " table " ORDER BY id LIMIT 1) AS o WHERE t < ?1"

/* Is the very oldest row too old?  A look costs no transaction. */
static bool is_due(struct db *db, const char *text, uint32_t days)
{
	char before[SQL_TIME_LEN + 1];
	struct sql_stmt *st;
	bool is_old;

	if (days == 0)
		return false;
	sql_time_text(db->now_ms - days * DAY_MS, before);
	st = sql_start(db, text, "t", sio_str(before));
	is_old = sql_step(st) == SQL_ROW;
	sql_reset(st);
	return is_old;
}

/* ---- by number ---------------------------------------------------------------- */

/* Events first..last of a stream are too many. */
struct excess {
	char stream[STORE_STREAM_MAX + 16];
	size_t stream_n;
	int64_t first, last;
};

/* Remember where the round stands. */
static void stand_at(struct sweep *sweep, sio_slice stream)
{
	sweep->stream_n = stream.n < sizeof(sweep->stream) ? stream.n : sizeof(sweep->stream);
	memcpy(sweep->stream, stream.p, sweep->stream_n);
}

/* Look at the next streams of the round.  Returns true with the first that has too
 * many; false when there is none among these.  *is_round tells that all were seen. */
static bool find_excess(struct db *db, struct excess *out, bool *is_round)
{
	struct sweep *sweep = &db->sweep;
	int64_t keep = sweep->events_count ? (int64_t)sweep->events_count : INT64_MAX;
	char from[sizeof(sweep->stream)]; /* a copy: the round moves on while the statement runs */
	struct sql_stmt *st;
	bool is_found = false;
	int n = 0;

	memcpy(from, sweep->stream, sweep->stream_n);
	st = sql_start(db, "SELECT project, seq, floor, (SELECT min(e.seq) FROM events e WHERE e.project = s.project) "
			   "FROM streams s WHERE project > ?1 ORDER BY project LIMIT ?2", "ti",
		       sio_bytes(from, sweep->stream_n), (int64_t)SWEEP_STREAMS);
	while (!is_found && sql_step(st) == SQL_ROW) {
		sio_slice stream = sql_text(st, 0);
		int64_t seq = sql_int(st, 1), floor = sql_int(st, 2);
		out->first = sql_int(st, 3);
		out->last = seq > keep && seq - keep > floor ? seq - keep : floor;
		n++;
		if (!sql_is_null(st, 3) && out->first <= out->last && stream.n < sizeof(out->stream)) {
			memcpy(out->stream, stream.p, out->stream_n = stream.n);
			is_found = true; /* the round stays before it: it is looked at again */
		} else {
			stand_at(sweep, stream);
		}
	}
	sql_reset(st);
	*is_round = !is_found && n < SWEEP_STREAMS;
	if (*is_round)
		sweep->stream_n = 0;
	return is_found;
}

static int64_t delete_excess(struct db *db, const struct excess *x)
{
	int64_t last = x->last - x->first < SWEEP_ROWS ? x->last : x->first + SWEEP_ROWS - 1;

	if (sql_exec(db, "DELETE FROM events WHERE project = ?1 AND seq BETWEEN ?2 AND ?3", "tii",
		     sio_bytes(x->stream, x->stream_n), x->first, last) != SQL_DONE)
		return -1;
	return db->driver->changes(db);
}

/* ---- a step --------------------------------------------------------------------- */

static int64_t delete_access_log(struct db *db)
{
	if (sql_exec(db, "DELETE FROM access_log WHERE id IN (SELECT id FROM access_log ORDER BY id LIMIT ?2) AND created_s < ?1",
		     "ii", db->now_ms / 1000 - ACCESS_LOG_S, (int64_t)SWEEP_ROWS) != SQL_DONE)
		return -1;
	return db->driver->changes(db);
}

/* What this step shall delete. */
struct plan {
	bool events, notifications, access_log, is_excess;
	struct excess excess;
};

static bool is_access_log_due(struct db *db)
{
	struct sql_stmt *st = sql_start(db, "SELECT 1 FROM (SELECT created_s FROM access_log ORDER BY id LIMIT 1) AS o WHERE created_s < ?1",
				     "i", db->now_ms / 1000 - ACCESS_LOG_S);
	bool is_old = sql_step(st) == SQL_ROW;

	sql_reset(st);
	return is_old;
}

/* Rows deleted, or -1: nothing has happened. */
static int64_t carry_out(struct db *db, const struct plan *plan)
{
	int64_t n[4] = { 0 }, total = 0;

	if (db->driver->begin(db, DB_NOWAIT) != SQL_DONE)
		return -1;
	/* Events that another process has just committed are news before they are old. */
	news_scan_events(db);
	if (plan->events)
		n[0] = delete_old(db, OLDEST("events", "created_at"), db->sweep.events_days);
	if (plan->notifications)
		n[1] = delete_old(db, OLDEST("notifications", "created_at"), db->sweep.notifications_days);
	if (plan->access_log)
		n[2] = delete_access_log(db);
	if (plan->is_excess)
		n[3] = delete_excess(db, &plan->excess);
	for (int i = 0; i < 4; i++)
		total = n[i] < 0 || total < 0 ? -1 : total + n[i];
	sql_reset_all(db);
	if (total < 0 || db->driver->commit(db) != SQL_DONE) {
		db->driver->rollback(db);
		return -1;
	}
	return total;
}

bool db_sweep(void *arg, uint64_t *deleted)
{
	struct db *db = arg;
	struct plan plan;
	bool is_round;
	int64_t n = 0;

	sql_read_clock(db);
	plan.events = is_due(db, HAS_OLD("events", "created_at"), db->sweep.events_days);
	plan.notifications = is_due(db, HAS_OLD("notifications", "created_at"), db->sweep.notifications_days);
	plan.access_log = is_access_log_due(db);
	plan.is_excess = find_excess(db, &plan.excess, &is_round);
	if (plan.events || plan.notifications || plan.access_log || plan.is_excess)
		n = carry_out(db, &plan);
	sql_reset_all(db);
	*deleted += n > 0 ? (uint64_t)n : 0;
	/* After a failure the next round tries again, not the next moment. */
	return n > 0 || (n == 0 && !is_round);
}
