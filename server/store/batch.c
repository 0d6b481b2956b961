/* batch.c -- many requests in one commit, and which function executes each.
 *
 * A batch: begin; each write in a savepoint, so that one that fails takes
 * back only itself; commit.  When the commit (or the begin) fails, no write of the
 * batch has happened and each of them says why; reads are then done again, for
 * what they saw never was.  A commit may also come to nobody knows what (SQL_UNKNOWN):
 * then those that have written something say so.  A database may also say that it is worth another try
 * (SQL_AGAIN): then all answers are forgotten and the batch is done anew.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/db.h"

enum { TRIES_MAX = 3 }; /* of one batch */

/* ---- the clock, and the parts of a handle ------------------------------------------------------------- */

static int64_t system_clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void sql_time_text(int64_t ms, char out[SQL_TIME_LEN + 1])
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm;

	gmtime_r(&s, &tm);
	snprintf(out, SQL_TIME_LEN + 1, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)(tm.tm_year + 1900) % 10000,
		 (unsigned)(tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100,
		 (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100, (unsigned)(ms % 1000));
}

void sql_read_clock(struct db *db)
{
	db->now_ms = db->clock_ms();
	sql_time_text(db->now_ms, db->now);
}

void db_init(struct db *db, const struct store_options *options)
{
	db->clock_ms = options->clock_ms ? options->clock_ms : system_clock_ms;
	db->tells_events = options->on_foreign_events != NULL;
	db->sweep.events_days = options->events_keep_days;
	db->sweep.events_count = options->events_keep_count;
	db->sweep.notifications_days = options->notifications_keep_days;
	sql_read_clock(db);
}

void db_fini(struct db *db)
{
	sql_cache_free(db);
	store_news_free(db->news);
}

/* ---- what each operation needs and who does it --------------------------- */

enum { NEEDS_PROJECT = 1, NEEDS_USER = 2, NEEDS_ITEM = 4, NEEDS_STREAM = 8, NEEDS_BODY = 16, ASKS_AHEAD = 32 };

static const struct {
	op_fn *fn;
	unsigned needs;
} table[STORE_OP_N] = {
	[STORE_USER_GET] = { op_user_get, NEEDS_USER },
	[STORE_USER_ADD] = { op_user_add, NEEDS_USER | NEEDS_BODY },
	[STORE_USER_ENSURE] = { op_user_ensure, NEEDS_USER },
	[STORE_USER_PASSWORD] = { op_user_password, NEEDS_USER },
	[STORE_USER_LIST] = { op_user_list, 0 },
	[STORE_PROJECT_ADD] = { op_project_add, NEEDS_USER | NEEDS_BODY },
	[STORE_PROJECT_LIST] = { op_project_list, 0 },
	[STORE_PROJECT_GET] = { op_project_get, NEEDS_PROJECT },
	[STORE_PROJECT_PATCH] = { op_entity_patch, NEEDS_PROJECT | NEEDS_BODY | ASKS_AHEAD },
	[STORE_PROJECT_DELETE] = { op_project_delete, NEEDS_PROJECT },
	[STORE_COLLAB_LIST] = { op_collab_list, NEEDS_PROJECT },
	[STORE_COLLAB_PUT] = { op_collab_put, NEEDS_PROJECT | NEEDS_USER | NEEDS_BODY },
	[STORE_COLLAB_DELETE] = { op_collab_delete, NEEDS_PROJECT | NEEDS_USER },
	[STORE_ROLE_GET] = { op_role_get, NEEDS_PROJECT | NEEDS_USER },
	[STORE_ROLE_LIST] = { op_role_list, NEEDS_USER | NEEDS_BODY },
	[STORE_BOQ_LIST] = { op_entity_list, NEEDS_PROJECT },
	[STORE_BOQ_GET] = { op_entity_get, NEEDS_PROJECT | NEEDS_ITEM },
	[STORE_BOQ_CREATE] = { op_entity_create, NEEDS_PROJECT | NEEDS_BODY | ASKS_AHEAD },
	[STORE_BOQ_PATCH] = { op_entity_patch, NEEDS_PROJECT | NEEDS_ITEM | NEEDS_BODY | ASKS_AHEAD },
	[STORE_BOQ_DELETE] = { op_entity_delete, NEEDS_PROJECT | NEEDS_ITEM },
	[STORE_BOQ_BULK] = { op_boq_bulk, NEEDS_PROJECT | NEEDS_BODY },
	[STORE_TASK_LIST] = { op_entity_list, NEEDS_PROJECT },
	[STORE_TASK_GET] = { op_entity_get, NEEDS_PROJECT | NEEDS_ITEM },
	[STORE_TASK_ADD] = { op_entity_create, NEEDS_PROJECT | NEEDS_BODY | ASKS_AHEAD },
	[STORE_TASK_PATCH] = { op_entity_patch, NEEDS_PROJECT | NEEDS_ITEM | NEEDS_BODY | ASKS_AHEAD },
	[STORE_TASK_DELETE] = { op_entity_delete, NEEDS_PROJECT | NEEDS_ITEM },
	[STORE_COMMENT_LIST] = { op_entity_list, NEEDS_PROJECT },
	[STORE_COMMENT_GET] = { op_entity_get, NEEDS_PROJECT | NEEDS_ITEM },
	[STORE_COMMENT_ADD] = { op_entity_create, NEEDS_PROJECT | NEEDS_BODY | ASKS_AHEAD },
	[STORE_COMMENT_DELETE] = { op_entity_delete, NEEDS_PROJECT | NEEDS_ITEM },
	[STORE_NOTIFY_LIST] = { op_notify_list, NEEDS_USER },
	[STORE_NOTIFY_ADD] = { op_notify_add, NEEDS_USER | NEEDS_BODY },
	[STORE_NOTIFY_READ] = { op_notify_read, NEEDS_USER | NEEDS_ITEM },
	[STORE_NOTIFY_READ_ALL] = { op_notify_read_all, NEEDS_USER },
	[STORE_EVENT_APPEND] = { op_event_append, NEEDS_STREAM | NEEDS_BODY },
	[STORE_EVENT_LIST] = { op_event_list, NEEDS_STREAM },
	[STORE_SESSION_BEAT] = { op_session_beat, NEEDS_ITEM },
	[STORE_SESSION_OPEN] = { op_session_open, NEEDS_USER | NEEDS_ITEM | NEEDS_BODY },
	[STORE_SESSION_JOIN] = { op_session_join, NEEDS_PROJECT | NEEDS_USER | NEEDS_ITEM },
	[STORE_SESSION_LEAVE] = { op_session_leave, NEEDS_PROJECT | NEEDS_ITEM },
	[STORE_SESSION_STATE] = { op_session_state, NEEDS_PROJECT | NEEDS_ITEM | NEEDS_BODY },
	[STORE_SESSION_LEFT] = { op_session_left, NEEDS_ITEM },
	[STORE_SESSION_END] = { op_session_end, NEEDS_ITEM },
	[STORE_SESSION_RESUME] = { op_session_resume, NEEDS_USER | NEEDS_ITEM | NEEDS_BODY },
	[STORE_COUNTS] = { op_counts, 0 },
	[STORE_PING] = { op_ping, 0 },
};

/* One id: there if needed, not too long, printable. */
static bool id_ok(struct store_answer *a, const char *what, sio_slice id, size_t max, bool is_needed)
{
	if (id.n == 0 && is_needed)
		answer_fail(a, STORE_INVALID, "%s: is missing", what);
	else if (id.n > max)
		answer_fail(a, STORE_INVALID, "%s: %zu bytes, at most %zu are accepted", what, id.n, max);
	else if (!fields_text_ok(id, false))
		answer_fail(a, STORE_INVALID, "%s: holds control characters or invalid UTF-8", what);
	return a->r.status == STORE_OK;
}

static bool ask_ok(const struct store_ask *ask, struct store_answer *a)
{
	unsigned needs = table[ask->op].needs;
	size_t project_max = needs & NEEDS_STREAM ? STORE_STREAM_MAX : STORE_ID_MAX;

	if (!id_ok(a, "project", ask->project, project_max, needs & (NEEDS_PROJECT | NEEDS_STREAM)) ||
	    !id_ok(a, "user", ask->user, STORE_USER_MAX, needs & NEEDS_USER) ||
	    !id_ok(a, "actor", ask->actor, STORE_USER_MAX, false) ||
	    !id_ok(a, "id", ask->item, STORE_ID_MAX, needs & NEEDS_ITEM) ||
	    !id_ok(a, "idempotency key", ask->key, STORE_KEY_MAX, false))
		return false;
	if ((needs & NEEDS_BODY) && ask->body.n == 0)
		answer_fail(a, STORE_INVALID, "the request has no body");
	return a->r.status == STORE_OK;
}

/* false and FORBIDDEN when the actor's role does not allow it. */
static bool may_pass(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	if (!ask->may)
		return true;
	if (!role_read(db, ask->project, ask->actor, a))
		return false;
	if (!ask->may(a->r.role, ask->action)) {
		answer_fail(a, STORE_FORBIDDEN, "the role does not allow it");
		return false;
	}
	a->r.role[0] = '\0';
	return true;
}

/* ---- batches ------------------------------------------------------------- */

static void run_read(struct db *db, struct store_job *job)
{
	if (ask_ok(&job->ask, job->answer) && may_pass(db, &job->ask, job->answer))
		table[job->ask.op].fn(db, &job->ask, job->answer);
	sql_reset_all(db);
}

/* A failure takes back what the request has done, not what the batch has. */
static void run_write(struct db *db, struct store_job *job)
{
	struct store_answer *a = job->answer;
	const struct store_ask *ask = &job->ask;

	if (!ask_ok(ask, a))
		return;
	if (db->driver->savepoint(db) != SQL_DONE) {
		sql_fail(db, a);
		return;
	}
	if ((table[ask->op].needs & ASKS_AHEAD) && !db->is_careful)
		entity_ahead(db, ask);
	if (may_pass(db, ask, a) && (ask->key.n == 0 || !repeat_load(db, ask, a))) {
		table[ask->op].fn(db, ask, a);
		if (ask->key.n && a->r.status == STORE_OK)
			repeat_save(db, ask, a);
	}
	sql_reset_all(db);
	if (a->json.failed || a->event.failed || a->type.failed || a->notice_text.failed)
		answer_fail(a, STORE_UNAVAILABLE, "out of memory");
	if (a->r.status != STORE_OK)
		answer_untell(a);
	db->driver->savepoint_end(db, a->r.status == STORE_OK);
}

/* A database that ends a transaction at the first failure needs a place to go back to, when a
 * failure is to be expected. */
static void run_read_guarded(struct db *db, struct store_job *job)
{
	if (!db->is_careful || db->driver->savepoint(db) != SQL_DONE) {
		run_read(db, job);
		return;
	}
	run_read(db, job);
	db->driver->savepoint_end(db, job->answer->r.status == STORE_OK);
}

static void run_each(struct db *db, struct store_job *jobs, bool with_writes)
{
	for (struct store_job *job = jobs; job; job = job->next) {
		uint64_t start = store_now_us();
		db->job_n++;
		if (store_op_is_write(job->ask.op) && with_writes)
			run_write(db, job);
		else if (!store_op_is_write(job->ask.op))
			run_read_guarded(db, job);
		job->took_us += store_now_us() - start;
	}
	db->job_n++; /* what was asked ahead in vain is of no use to what comes now */
}

/* As if nothing had been executed yet. */
static void clear_answers(struct store_job *jobs)
{
	for (; jobs; jobs = jobs->next)
		answer_clear(jobs->answer);
}

static void clear_reads(struct store_job *jobs)
{
	for (; jobs; jobs = jobs->next)
		if (!store_op_is_write(jobs->ask.op))
			answer_clear(jobs->answer);
}

/* Reads alone: one snapshot for all, so that the statements of one agree. */
static void run_reads(struct db *db, struct store_job *jobs)
{
	bool is_open = true;

	for (int tries = 1; is_open; tries++) {
		db->is_careful = tries > 1;
		is_open = db->driver->begin(db, DB_READ) == SQL_DONE;
		run_each(db, jobs, false);
		if (!is_open || db->driver->commit(db) != SQL_AGAIN || tries == TRIES_MAX)
			break;
		clear_reads(jobs);
	}
	db->is_careful = false;
}

static bool is_broken(const struct store_answer *a)
{
	return a->r.status == STORE_UNAVAILABLE || a->r.status == STORE_BUSY;
}

/* A write of a batch that has failed for that reason.  Who was broken by himself keeps his own;
 * who was refused has written nothing, but the refusal may rest on what never was. */
static void fail_write(struct store_answer *a, const struct store_answer *why, bool is_unknown)
{
	bool has_written = a->r.status == STORE_OK;

	if (!is_broken(a)) {
		answer_clear(a);
		if (is_unknown && !has_written)
			answer_fail(a, STORE_UNAVAILABLE, "the database was lost before this was answered; nothing of it was done");
		else
			answer_fail(a, why->r.status, "%s", why->r.error);
	}
}

/* The batch as a whole has failed: each write says why, each read is done again. */
static void fail_batch(struct db *db, struct store_job *jobs, bool is_unknown)
{
	struct store_answer why = { 0 };

	/* The request that broke the transaction knows best what was wrong.  When nobody knows
	 * whether it was done, no request has broken it. */
	for (struct store_job *job = jobs; job && !is_unknown; job = job->next)
		if (is_broken(job->answer))
			answer_fail(&why, job->answer->r.status, "%s", job->answer->r.error);
	sql_fail(db, &why);
	sql_reset_all(db);
	db->driver->rollback(db);
	for (struct store_job *job = jobs; job; job = job->next)
		if (store_op_is_write(job->ask.op))
			fail_write(job->answer, &why, is_unknown);
	clear_reads(jobs);
	run_reads(db, jobs);
}

/* SQL_DONE: durable.  SQL_UNKNOWN: nobody knows.  Else nothing has happened. */
static int try_transaction(struct db *db, struct store_job *jobs)
{
	int64_t before, last;
	int r = db->driver->begin(db, DB_WRITE);

	if (r != SQL_DONE)
		return r;
	news_scan_events(db);
	before = db->event_id;
	db->has_events = false;
	run_each(db, jobs, true);
	last = db->has_events ? news_last_event(db) : 0;
	sql_reset_all(db);
	r = db->driver->commit(db);
	if (r == SQL_DONE && last > before)
		db->event_id = last;
	for (struct store_job *job = jobs; job && r == SQL_DONE; job = job->next)
		job->answer->r.newest = job->answer->r.position ? last : 0;
	return r;
}

static bool run_transaction(struct db *db, struct store_job *jobs)
{
	int r = SQL_AGAIN;

	for (int tries = 1; r == SQL_AGAIN; tries++) {
		db->is_careful = tries > 1;
		r = try_transaction(db, jobs);
		if (r == SQL_AGAIN && tries == TRIES_MAX)
			r = SQL_FAILED;
		if (r == SQL_AGAIN)
			clear_answers(jobs);
	}
	db->is_careful = false;
	if (r != SQL_DONE)
		fail_batch(db, jobs, r == SQL_UNKNOWN);
	return r == SQL_DONE;
}

bool db_run(void *arg, struct store_job *jobs)
{
	struct db *db = arg;
	bool has_writes = false, is_done = true;

	sql_read_clock(db);
	for (struct store_job *job = jobs; job; job = job->next)
		has_writes |= store_op_is_write(job->ask.op);
	if (has_writes)
		is_done = run_transaction(db, jobs);
	else
		run_reads(db, jobs);
	for (struct store_job *job = jobs; job; job = job->next)
		answer_seal(job->answer);
	return is_done;
}
