/* store.c -- the store's threads, played; what they do is real.
 *
 * In the place of server/store/store.c: the same two lanes, the same batches, one commit each, by
 * the real back end (struct store_ops: batch.c, session.c, event.c, news.c ...) on SQLite in memory;
 * all servers have handles of one database.  Between submit, commit, hand-over and completion lies
 * time, as much as chance wants: a server may die between any two.
 *
 *	submit --> queue --BEGIN..COMMIT--> hand over --> the loop's inbox: news, completions, news
 *
 * Knows the order in which store.c does things, which it must keep to.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "lib/fake_engine.h"
#include "sim/node.h"
#include "sim/person.h"
#include "sim/truth.h"
#include "store/db.h"
#include "store/job.h"

enum { POLL_MS = 250, QUEUE_MAX = 64 };

enum { WRITES, READS, LANES_N };

struct lane {
	struct store *store;
	void *db;
	struct job_list queue;
	unsigned queue_n;
	struct store_job *done;      /* executed, not handed over yet */
	bool is_busy, is_poked, has_writes;
	bool is_waiting;             /* its next batch is due */
};

struct store {
	unsigned node;
	unsigned refs;               /* the server's, and those of what is due */
	struct lane lanes[LANES_N];
	bool is_muted, is_closed;
	uint64_t slow_ms, away_ms;   /* until then */
	uint64_t told_ms;
};

uint64_t store_failed_ms;

/* ---- one database for all --------------------------------------------------------------- */

static sqlite3 *admin;
static void *admin_db; /* a handle as of another process */
static unsigned database_n;
static uint64_t news_ms;

/* "In memory" is one memory for all handles, each with locks of its own. */
int __real_sqlite3_open_v2(const char *path, sqlite3 **out, int flags, const char *vfs);
int __wrap_sqlite3_open_v2(const char *path, sqlite3 **out, int flags, const char *vfs);
int __wrap_sqlite3_open_v2(const char *path, sqlite3 **out, int flags, const char *vfs)
{
	char uri[64];

	(void)vfs;
	if (strcmp(path, ":memory:") != 0)
		sim_fail("a database that is a file: %s", path);
	snprintf(uri, sizeof(uri), "file:/sim-%u", database_n);
	return __real_sqlite3_open_v2(uri, out, flags | SQLITE_OPEN_URI, "memdb");
}

static int64_t clock_ms(void)
{
	return world.node >= 0 ? node_wall_ms((unsigned)world.node) : node_wall_ms(0) - machines[0].wall_off_ms;
}

static void ignore_events(const struct store_foreign_event *events, size_t n, void *arg)
{
	(void)events, (void)n, (void)arg;
}

static void *handle_open(void)
{
	static const struct store_options options = { .clock_ms = clock_ms, .on_foreign_events = ignore_events };
	char error[STORE_ERROR_MAX];
	void *db = NULL;

	if (sqlite_ops.open(&options, ":memory:", &db, error) < 0)
		sim_fail("the database cannot be opened: %s", error);
	return db;
}

void database_open(void)
{
	database_n++;
	if (__wrap_sqlite3_open_v2(":memory:", &admin, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK)
		sim_fail("SQLite has no memdb");
	admin_db = handle_open();
	news_ms = store_failed_ms = 0;
}

void database_close(void)
{
	sqlite_ops.close(admin_db);
	sqlite3_close(admin);
	admin = NULL;
	admin_db = NULL;
}

static sqlite3_stmt *query(const char *sql)
{
	sqlite3_stmt *st;

	if (sqlite3_prepare_v2(admin, sql, -1, &st, NULL) != SQLITE_OK)
		sim_fail("%s: %s", sql, sqlite3_errmsg(admin));
	return st;
}

int64_t database_int(const char *sql, const char *a, const char *b)
{
	sqlite3_stmt *st = query(sql);
	int64_t value = 0;

	if (a)
		sqlite3_bind_text(st, 1, a, -1, SQLITE_TRANSIENT);
	if (b)
		sqlite3_bind_text(st, 2, b, -1, SQLITE_TRANSIENT);
	if (sqlite3_step(st) == SQLITE_ROW)
		value = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return value;
}

static sio_slice text_of(sqlite3_stmt *st, int column)
{
	const void *p = sqlite3_column_text(st, column);

	return sio_bytes(p ? p : "", (size_t)sqlite3_column_bytes(st, column));
}

/* What was committed goes into the ledger, in the order of positions. */
static void note_commits(void)
{
	sqlite3_stmt *st = query("SELECT id, project, seq, type, data FROM events WHERE id > ?1 ORDER BY id");

	sqlite3_bind_int64(st, 1, truth_position());
	while (sqlite3_step(st) == SQLITE_ROW)
		truth_commit(sqlite3_column_int64(st, 0), text_of(st, 1), sqlite3_column_int64(st, 2), text_of(st, 3), text_of(st, 4));
	sqlite3_finalize(st);
}

void database_run(struct store_ask ask)
{
	struct store_job *job = job_new(&ask, 0);
	int before = node_enter(UINT32_MAX);

	sqlite_ops.run(admin_db, job);
	if (job->answer->r.status == STORE_UNAVAILABLE || job->answer->r.status == STORE_BUSY)
		sim_fail("%s from outside: %s", store_op_name(ask.op), job->answer->r.error);
	truth_role_may_have_changed(&ask, job->answer->r.status);
	store_news_free(sqlite_ops.news(admin_db, false));
	job_free(job);
	note_commits();
	node_leave(before);
}

/* ---- hand-over: what enters the loop ------------------------------------------------------- */

static void store_unref(struct store *s)
{
	if (--s->refs == 0)
		free(s);
}

static void call_done(void *arg)
{
	for (struct store_job *job = arg, *next; job; job = next) {
		struct store_answer *answer = job->answer;

		next = job->next;
		job->answer = NULL;
		job->ask.done(&answer->r, job->ask.arg);
		job_free(job);
	}
}

struct telling {
	struct store_news *news;
	unsigned node;
};

static void drop_telling(void *arg)
{
	struct telling *t = arg;

	store_news_free(t->news);
	free(t);
}

/* As app/serve.c and api/api.c: api_foreign_event. */
static void tell(void *arg)
{
	struct telling *t = arg;
	struct collab *collab = machines[t->node].collab;

	for (size_t i = 0; i < t->news->changes_n; i++)
		collab_access_changed(collab, sio_str(t->news->changes[i].project), sio_str(t->news->changes[i].user));
	for (size_t i = 0; i < t->news->events_n; i++) {
		const struct store_foreign_event *e = &t->news->events[i];
		const struct collab_emit emit = { .event = sio_str(e->type), .args = e->data, .position = e->position, .is_local = true,
						  .except_sid = sio_str(e->except_sid) };

		if (strchr(e->project, ':'))
			collab_emit_room(collab, sio_str(e->project), &emit);
		else
			collab_emit_durable(collab, sio_str(e->project), e->seq, &emit);
	}
	drop_telling(t);
}

static void tell_news(struct store *s, bool is_fresh)
{
	struct store_news *news = sqlite_ops.news(s->lanes[WRITES].db, is_fresh);
	struct telling *t = news ? malloc(sizeof(*t)) : NULL;

	if (!t)
		return;
	*t = (struct telling){ news, s->node };
	node_post(s->node, tell, drop_telling, t);
}

/* ---- a lane ------------------------------------------------------------------------------------ */

static void lane_wake(struct lane *lane);

/* The thread of a frozen process stands still, too. */
static bool is_stopped(const struct store *s)
{
	return s->is_closed || s->is_muted;
}

static void fail_jobs(struct store_job *jobs, enum store_status status)
{
	for (; jobs; jobs = jobs->next) {
		enum store_op op = jobs->ask.op;

		answer_clear(jobs->answer);
		answer_fail(jobs->answer, status, "the simulation lets it fail");
		answer_seal(jobs->answer);
		if (op == STORE_SESSION_LEAVE || op == STORE_SESSION_JOIN)
			person_row_failed(jobs->ask.item, jobs->ask.project);
		if (op == STORE_SESSION_LEFT || op == STORE_SESSION_END || op == STORE_SESSION_STATE)
			store_failed_ms = world.now_ms;
	}
}

static void note_results(const struct store_job *jobs)
{
	for (; jobs; jobs = jobs->next) {
		const struct store_ask *ask = &jobs->ask;

		if (ask->op >= STORE_SESSION_OPEN && ask->op <= STORE_SESSION_RESUME)
			sim_trace("server %d: %s %.*s %.*s: %s", world.node, store_op_name(ask->op), (int)ask->item.n, ask->item.p,
				  (int)ask->project.n, ask->project.p, store_status_name(jobs->answer->r.status));
		truth_role_may_have_changed(ask, jobs->answer->r.status);
	}
}

/* As PostgreSQL when the line is lost in the middle of a COMMIT: it was done, nobody knows, and the
 * server finds it like another's (pg.c, SQL_UNKNOWN). */
static void commit_unknown(struct lane *lane, struct store_job *jobs)
{
	int64_t position = truth_position();
	struct db *db = lane->db;

	sqlite_ops.run(db, jobs);
	if (db->event_id > position)
		db->event_id = position;
	note_results(jobs);
	fail_jobs(jobs, STORE_UNAVAILABLE);
}

static void execute(struct lane *lane, struct store_job *jobs)
{
	int before = node_enter(lane->store->node);

	if (world.now_ms < lane->store->away_ms && one_in(3) && lane->has_writes)
		commit_unknown(lane, jobs);
	else if (world.now_ms < lane->store->away_ms)
		fail_jobs(jobs, one_in(2) ? STORE_BUSY : STORE_UNAVAILABLE);
	else
		sqlite_ops.run(lane->db, jobs);
	note_results(jobs);
	note_commits();
	node_leave(before);
}

static void hand_over(void *arg)
{
	struct lane *lane = arg;
	struct store *s = lane->store;

	if (is_stopped(s)) { /* store_end has taken what was done */
		store_unref(s);
		return;
	}
	if (machines[s->node].is_frozen) {
		later(world.now_ms + 20, hand_over, lane);
		return;
	}
	int before = node_enter(s->node);
	if (lane == &s->lanes[WRITES])
		tell_news(s, false);
	if (lane->done)
		node_post(s->node, call_done, call_done, lane->done);
	lane->done = NULL;
	if (lane == &s->lanes[WRITES] && (lane->has_writes || lane->is_poked || world.now_ms - s->told_ms >= POLL_MS)) {
		tell_news(s, world.now_ms >= s->away_ms);
		s->told_ms = world.now_ms;
		lane->is_poked = false;
	}
	node_leave(before);
	lane->is_busy = false;
	if (lane->queue.first || lane->is_poked)
		lane_wake(lane);
	store_unref(s);
}

static void begin(void *arg)
{
	struct lane *lane = arg;
	struct store *s = lane->store;
	struct store_job *jobs;

	lane->is_waiting = false;
	if (is_stopped(s)) {
		store_unref(s);
		return;
	}
	if (machines[s->node].is_frozen) {
		lane->is_waiting = true;
		later(world.now_ms + 20, begin, lane);
		return;
	}
	jobs = job_list_take(&lane->queue, STORE_BATCH_MAX);
	lane->has_writes = false;
	for (struct store_job *job = jobs; job; job = job->next) {
		lane->queue_n--;
		lane->has_writes |= store_op_is_write(job->ask.op);
	}
	if (jobs)
		execute(lane, jobs);
	lane->done = jobs;
	lane->is_busy = true;
	later(world.now_ms + (one_in(10) ? below(30) : below(3)), hand_over, lane);
}

static void lane_wake(struct lane *lane)
{
	struct store *s = lane->store;
	uint64_t wait_ms = one_in(20) ? below(60) : below(6);

	if (lane->is_busy || lane->is_waiting || s->is_closed)
		return;
	if (world.now_ms < s->slow_ms)
		wait_ms += below(1500);
	lane->is_waiting = true;
	s->refs++;
	later(world.now_ms + wait_ms, begin, lane);
}

static void poll(void *arg)
{
	struct store *s = arg;

	if (is_stopped(s)) {
		store_unref(s);
		return;
	}
	s->lanes[WRITES].is_poked = true;
	lane_wake(&s->lanes[WRITES]);
	later(world.now_ms + POLL_MS, poll, s);
}

/* ---- the interface ---------------------------------------------------------------------------------- */

int store_submit(struct store *s, const struct store_ask *ask)
{
	bool is_read = !store_op_is_write(ask->op) && !ask->is_ordered;
	struct lane *lane = &s->lanes[is_read ? READS : WRITES];

	if (s->is_closed || s->is_muted)
		return SIO_ERR_CLOSED;
	if (!ask->is_owed && s->lanes[WRITES].queue_n + s->lanes[READS].queue_n >= QUEUE_MAX)
		return SIO_ERR_BUSY;
	job_list_add(&lane->queue, job_new(ask, 0));
	lane->queue_n++;
	lane_wake(lane);
	return SIO_OK;
}

void store_look(struct store *s)
{
	s->lanes[WRITES].is_poked = true;
	lane_wake(&s->lanes[WRITES]);
}

struct store *store_begin(unsigned n)
{
	struct store *s = calloc(1, sizeof(*s));
	int before = node_enter(n);

	s->node = n;
	s->refs = 2; /* the server's and poll's */
	for (unsigned i = 0; i < LANES_N; i++) {
		s->lanes[i].store = s;
		job_list_init(&s->lanes[i].queue);
		s->lanes[i].db = handle_open();
	}
	node_leave(before);
	s->told_ms = world.now_ms;
	later(world.now_ms + below(POLL_MS), poll, s);
	return s;
}

void store_mute(struct store *s)
{
	s->is_muted = true;
}

/* As store_close: what is queued is executed, and every completion is called. */
void store_end(struct store *s, bool is_crash)
{
	s->is_closed = true;
	for (unsigned i = LANES_N; i-- > 0;) {
		struct lane *lane = &s->lanes[i];
		struct store_job *jobs = job_list_take(&lane->queue, UINT32_MAX);

		if (lane->done)
			call_done(lane->done);
		lane->done = NULL;
		if (jobs && is_crash)
			fail_jobs(jobs, STORE_UNAVAILABLE);
		else if (jobs)
			execute(lane, jobs);
		if (jobs)
			call_done(jobs);
		sqlite_ops.close(lane->db);
	}
	store_unref(s);
}

void store_be_slow(struct store *s, uint64_t until_ms)
{
	s->slow_ms = until_ms;
}

void store_be_away(struct store *s, uint64_t until_ms)
{
	s->away_ms = until_ms;
}
