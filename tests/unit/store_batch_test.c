/* store_batch_test.c -- what each request of a batch is told when the batch fails as a whole.
 *
 * The database is SQLite's in memory; the test stands between it and the batch, and says
 * what comes of savepoints and of the commit.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "unit/store_help.h"

#include "store/db.h"
#include "store/job.h"

static struct play {
	const struct sql_driver *real;
	int commit;     /* what the next commit comes to, with nothing done; SQL_DONE: let it be */
	int savepoints; /* seen in this batch; the third breaks */
	bool has_broken; /* the last failure is that savepoint's */
} play;

static int play_savepoint(struct db *db)
{
	play.has_broken = ++play.savepoints == 3;
	return play.has_broken ? SQL_FAILED : play.real->savepoint(db);
}

static int play_commit(struct db *db)
{
	int r = play.commit;

	play.has_broken = false;
	play.commit = SQL_DONE;
	play.savepoints = 0;
	if (r == SQL_DONE)
		return play.real->commit(db);
	play.real->rollback(db);
	return r;
}

static void play_fail(struct db *db, struct store_answer *a)
{
	(void)db;
	if (play.has_broken)
		answer_fail(a, STORE_BUSY, "this one alone is busy");
	else
		answer_fail(a, STORE_UNAVAILABLE, "the commit speaks");
}

static struct db *open_played(struct sql_driver *driver)
{
	char error[STORE_ERROR_MAX];
	void *db;

	assert_int_equal(sqlite_ops.open(&(struct store_options){ .clock_ms = help_clock }, ":memory:", &db, error), SIO_OK);
	play.real = ((struct db *)db)->driver;
	*driver = *play.real;
	driver->savepoint = play_savepoint;
	driver->commit = play_commit;
	driver->fail = play_fail;
	((struct db *)db)->driver = driver;
	return db;
}

static struct store_job *ask(const struct store_ask *what, struct store_job *next)
{
	struct store_job *job = job_new(what, 0);

	assert_non_null(job);
	job->next = next;
	return job;
}

/* The four of a batch whose commit comes to that. */
static struct store_job *run(struct db *db, int commit)
{
	struct store_job *jobs = ask(ASK(.op = STORE_PING), NULL);

	jobs = ask(ASK(.op = STORE_USER_ENSURE, .user = S("ben")), jobs);
	jobs = ask(ASK(.op = STORE_USER_ENSURE), jobs); /* whom? */
	jobs = ask(ASK(.op = STORE_USER_PASSWORD, .user = S("nobody")), jobs);
	jobs = ask(ASK(.op = STORE_USER_ENSURE, .user = S("anna")), jobs);
	play.savepoints = 0;
	play.commit = commit;
	assert_int_equal(db_run(db, jobs), commit == SQL_DONE);
	return jobs;
}

static void told(struct store_job **jobs, enum store_status status, const char *error)
{
	struct store_job *job = *jobs;

	if (job->answer->r.status != status || strcmp(job->answer->r.error, error) != 0)
		fail_msg("%s \"%s\" instead of %s \"%s\"", store_status_name(job->answer->r.status), job->answer->r.error,
			 store_status_name(status), error);
	*jobs = job->next;
	job_free(job);
}

static void committed(void **state)
{
	struct sql_driver driver;
	struct db *db = open_played(&driver);
	struct store_job *jobs = run(db, SQL_DONE);

	(void)state;
	told(&jobs, STORE_OK, "");
	told(&jobs, STORE_NOT_FOUND, "no user 'nobody'");
	told(&jobs, STORE_INVALID, "user: is missing");
	told(&jobs, STORE_BUSY, "this one alone is busy");
	told(&jobs, STORE_OK, "");
	sqlite_ops.close(db);
}

/* Nothing was done.  The request that broke the transaction knows best why. */
static void not_committed(void **state)
{
	struct sql_driver driver;
	struct db *db = open_played(&driver);
	struct store_job *jobs = run(db, SQL_FAILED);

	(void)state;
	for (int i = 0; i < 4; i++) /* the writes */
		told(&jobs, STORE_BUSY, "this one alone is busy");
	told(&jobs, STORE_OK, "");
	sqlite_ops.close(db);
}

/* Nobody knows what was done.  Who has written is told just that, whatever another has come
 * to; who has not, that nothing was. */
static void nobody_knows(void **state)
{
	static const char nothing[] = "the database was lost before this was answered; nothing of it was done";
	struct sql_driver driver;
	struct db *db = open_played(&driver);
	struct store_job *jobs = run(db, SQL_UNKNOWN);

	(void)state;
	told(&jobs, STORE_UNAVAILABLE, "the commit speaks");
	told(&jobs, STORE_UNAVAILABLE, nothing);
	told(&jobs, STORE_UNAVAILABLE, nothing);
	told(&jobs, STORE_BUSY, "this one alone is busy");
	told(&jobs, STORE_OK, "");
	sqlite_ops.close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(committed),
		cmocka_unit_test(not_committed),
		cmocka_unit_test(nobody_knows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
