/* pg.c -- PostgreSQL as a database of the store: transactions, and opening.
 *
 * One writer at a time, of all processes on a schema: a write transaction begins with an
 * advisory lock, which its end gives back after its commit can be seen.  So commits have
 * an order, ids too, and two batches cannot meet in a deadlock (docs/decisions/0025).
 *
 * A commit whose answer is lost is looked for: each batch leaves its number in our row of
 * `batches`, in its own transaction.  Whoever gets the lock afterwards knows that the
 * old transaction has ended, and the row says how.
 *
 * A savepoint is made only in front of a statement that may have to be taken back, and
 * goes in one message with it.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/pg.h"

static const int64_t BATCH_KEPT_MS = 24 * 3600 * 1000LL;

/* ---- failures ---------------------------------------------------------------- */

static bool is_class(const struct pg_link *link, const char *prefix)
{
	return strncmp(link->state, prefix, strlen(prefix)) == 0;
}

static void fail(struct db *db, struct store_answer *a)
{
	const struct pg_db *pg = pg_of(db);
	const struct pg_link *link = &pg->link;

	if (pg->is_unknown)
		answer_fail(a, STORE_UNAVAILABLE, "PostgreSQL at %s was lost during a commit: whether this was done is not known; ask "
			    "again with the same Idempotency-Key", link->shown);
	else if (!link->state[0] || is_class(link, "57P") || is_class(link, "08"))
		answer_fail(a, STORE_UNAVAILABLE, "PostgreSQL at %s cannot be reached: %s", link->shown, link->why);
	else if (is_class(link, "55P03") || is_class(link, "57014") || is_class(link, "40"))
		answer_fail(a, STORE_BUSY, "another process holds the database (%s); try again", link->why);
	else if (is_class(link, "23"))
		answer_fail(a, STORE_REFUSED, "the data does not allow it: %s", link->why);
	else if (is_class(link, "53100"))
		answer_fail(a, STORE_UNAVAILABLE, "the disk of the database is full; free some space");
	else if (is_class(link, "25006"))
		answer_fail(a, STORE_UNAVAILABLE, "the database at %s may only be read (%s); is it a standby?", link->shown, link->why);
	else if (is_class(link, "22021") || is_class(link, "22P05"))
		answer_fail(a, STORE_INVALID, "a text holds what the database cannot keep: %s", link->why);
	else if (is_class(link, "22003") || is_class(link, "54"))
		answer_fail(a, STORE_INVALID, "a value is too large for the database");
	else
		answer_fail(a, STORE_UNAVAILABLE, "the database failed: %s (SQLSTATE %s)", link->why, link->state);
}

/* ---- begin --------------------------------------------------------------------- */

static void enter(struct pg_db *pg, bool is_write)
{
	pg->in_transaction = true;
	pg->is_write = is_write;
	pg->is_failed = pg->is_doomed = false;
	pg->wants_savepoint = pg->has_savepoint = false;
	pg->is_unknown = false;
}

static void rollback(struct db *db)
{
	struct pg_db *pg = pg_of(db);
	bool is_other;

	if (!pg->in_transaction)
		return;
	if (pg->link.conn && pg_queue(pg, "ROLLBACK") == SQL_DONE)
		pg_link_wait(&pg->link, NULL, &is_other);
	pg->in_transaction = false;
}

/* Our row says which batch is under way; it is seen only if that batch is committed. */
static int write_number(struct pg_db *pg)
{
	return sql_exec(&pg->db, "INSERT INTO batches (writer, number, at_ms) VALUES (?1, ?2, ?3) ON CONFLICT (writer) "
				 "DO UPDATE SET number = excluded.number, at_ms = excluded.at_ms", "tii", sio_str(pg->writer),
			++pg->batch, pg->db.now_ms);
}

/* Without waiting: the lock is ours, or another has it. */
static int try_lock(struct pg_db *pg)
{
	struct sql_stmt *st = sql_start(&pg->db, "SELECT pg_try_advisory_xact_lock(" PG_LOCK_KEYS ")", "");
	int r = sql_step(st);

	if (r == SQL_ROW && sio_slice_eq(sql_text(st, 0), SIO_LIT("t")))
		return SQL_DONE;
	if (r == SQL_ROW)
		pg_link_fail(&pg->link, "55P03", "another process is writing");
	return SQL_FAILED;
}

static int begin_write(struct pg_db *pg, enum db_begin how)
{
	if (pg_queue(pg, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE") != SQL_DONE)
		return SQL_FAILED;
	if (how == DB_NOWAIT)
		return try_lock(pg);
	if (pg_queue(pg, "SELECT pg_advisory_xact_lock(" PG_LOCK_KEYS ")") != SQL_DONE)
		return SQL_FAILED;
	return write_number(pg);
}

static int begin(struct db *db, enum db_begin how)
{
	struct pg_db *pg = pg_of(db);

	pg->is_unknown = false;
	/* A server that was started anew while nobody asked is noticed now: once more, at once. */
	for (int tries = 0; tries < 2 && pg_link_connect(&pg->link) == SQL_DONE; tries++) {
		enter(pg, how == DB_WRITE);
		if (how == DB_READ ? pg_queue(pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") == SQL_DONE : begin_write(pg, how) == SQL_DONE)
			return SQL_DONE;
		if (pg->link.conn) {
			rollback(db);
			return SQL_FAILED;
		}
		pg->in_transaction = false;
	}
	return SQL_FAILED;
}

/* ---- commit ----------------------------------------------------------------------- */

/* With the lock of all writers: is our row's number that of the batch?  SQL_DONE, SQL_AGAIN (it
 * is not), or SQL_FAILED: cannot be asked now. */
static int look_for_batch(struct pg_db *pg)
{
	struct sql_stmt *st;
	int r = SQL_FAILED, got;

	if (pg_link_connect(&pg->link) != SQL_DONE)
		return SQL_FAILED;
	enter(pg, false);
	if (pg_queue(pg, "BEGIN") == SQL_DONE && pg_queue(pg, "SELECT pg_advisory_xact_lock(" PG_LOCK_KEYS ")") == SQL_DONE) {
		st = sql_start(&pg->db, "SELECT number FROM batches WHERE writer = ?1", "t", sio_str(pg->writer));
		got = sql_step(st);
		if (got == SQL_ROW || got == SQL_DONE)
			r = got == SQL_ROW && sql_int(st, 0) == pg->batch ? SQL_DONE : SQL_AGAIN;
		sql_reset(st);
	}
	rollback(&pg->db);
	return r;
}

/* The connection was lost after COMMIT had been sent. */
static int resolve(struct pg_db *pg)
{
	uint64_t until_us = store_now_us() + PG_RESOLVE_MS * 1000ULL;
	int r;

	while ((r = look_for_batch(pg)) == SQL_FAILED && store_now_us() < until_us)
		nanosleep(&(struct timespec){ .tv_nsec = PG_RETRY_MIN_MS * 1000000L }, NULL);
	pg->is_unknown = r == SQL_FAILED;
	return pg->is_unknown ? SQL_UNKNOWN : r;
}

static int commit(struct db *db)
{
	struct pg_db *pg = pg_of(db);
	struct sql_stmt *st;
	bool is_other, is_write = pg->is_write;

	if (pg->is_failed) {
		rollback(db);
		return SQL_AGAIN;
	}
	if (is_write) /* the others wake up; our own listener knows our name */
		sql_push(db, "SELECT pg_notify('" PG_CHANNEL "', ?1)", "t", sio_str(pg->writer));
	st = sql_start(db, "COMMIT", "");
	if (!st || pg->is_failed || pg_link_send(&pg->link, (struct pg_stmt *)st, false) != SQL_DONE) {
		rollback(db);
		return SQL_AGAIN;
	}
	if (pg_link_wait(&pg->link, (struct pg_stmt *)st, &is_other) == SQL_DONE) {
		/* A transaction in which something has failed answers ROLLBACK. */
		bool is_committed = strcmp(PQcmdStatus(((struct pg_stmt *)st)->result), "COMMIT") == 0;
		pg->in_transaction = false;
		return is_committed ? SQL_DONE : SQL_AGAIN;
	}
	if (pg->link.conn) { /* something before it has failed: it was not carried out */
		rollback(db);
		return SQL_AGAIN;
	}
	pg->in_transaction = false;
	return is_write ? resolve(pg) : SQL_AGAIN;
}

/* ---- savepoints --------------------------------------------------------------------- */

static int savepoint(struct db *db)
{
	struct pg_db *pg = pg_of(db);

	pg->wants_savepoint = true;
	pg->has_savepoint = false;
	return pg->is_failed ? SQL_FAILED : SQL_DONE;
}

static void savepoint_end(struct db *db, bool is_kept)
{
	struct pg_db *pg = pg_of(db);

	pg->wants_savepoint = false;
	if (pg->has_savepoint && !pg->is_doomed) {
		bool was_failed = pg->is_failed;
		if (!is_kept && pg_queue(pg, "ROLLBACK TO SAVEPOINT one") == SQL_DONE && was_failed)
			pg->is_failed = false;
		pg_queue(pg, "RELEASE SAVEPOINT one");
	} else if (pg->is_failed) {
		pg->is_doomed = true; /* a read has failed, and there is nothing to go back to */
	}
	pg->has_savepoint = false;
}

/* ---- the rest of the driver ------------------------------------------------------------ */

static int64_t changes(struct db *db)
{
	return pg_of(db)->changes;
}

static int64_t new_id(struct db *db)
{
	return sql_ask_int(db, "SELECT lastval()", 0);
}

/* What lies behind the last row that we know was put there by others.  A database that was put
 * back to an earlier state has fewer rows than we have seen. */
static bool has_moved(struct db *db)
{
	struct sql_stmt *st = sql_start(db, "SELECT coalesce((SELECT max(id) FROM events), 0), coalesce((SELECT max(id) FROM access_log), 0)",
					"");
	int64_t event_id, access_id;
	bool is_new;

	if (sql_step(st) != SQL_ROW)
		return false;
	event_id = sql_int(st, 0);
	access_id = sql_int(st, 1);
	sql_reset(st);
	is_new = event_id > db->event_id || access_id > db->access_id;
	db->event_id = event_id < db->event_id ? event_id : db->event_id;
	db->access_id = access_id < db->access_id ? access_id : db->access_id;
	return is_new;
}

const struct sql_driver pg_driver = {
	.is_postgres = true,
	.prepare = pg_prepare,
	.finalize = pg_finalize,
	.bind_text = pg_bind_text,
	.bind_int = pg_bind_int,
	.bind_null = pg_bind_null,
	.step = pg_step,
	.send = pg_send,
	.ahead = pg_ahead,
	.reset = pg_reset,
	.columns_n = pg_columns_n,
	.column_name = pg_column_name,
	.value = pg_value,
	.values = pg_values,
	.number = pg_number,
	.changes = changes,
	.new_id = new_id,
	.fail = fail,
	.begin = begin,
	.commit = commit,
	.rollback = rollback,
	.savepoint = savepoint,
	.savepoint_end = savepoint_end,
	.has_moved = has_moved,
};

/* ---- opening ------------------------------------------------------------------------------ */

static void pg_close(void *arg)
{
	struct pg_db *pg = arg;

	pg_listen_end(pg->listener);
	if (pg->link.conn && pg->writer[0])
		sql_exec(&pg->db, "DELETE FROM batches WHERE writer = ?1", "t", sio_str(pg->writer));
	db_fini(&pg->db);
	pg_link_fini(&pg->link);
	free(pg);
}

static int cannot_connect(struct pg_db *pg, char error[STORE_ERROR_MAX])
{
	snprintf(error, STORE_ERROR_MAX, "cannot reach PostgreSQL at %.70s (DATABASE_URL): %.120s", pg->link.shown, pg->link.why);
	pg_close(pg);
	return SIO_ERR_SYSTEM;
}

static struct pg_db *pg_new(const struct store_options *options, const char *url, char error[STORE_ERROR_MAX])
{
	struct pg_db *pg = calloc(1, sizeof(*pg));

	if (pg && pg_link_init(&pg->link, url) == SIO_OK) {
		pg->db.driver = &pg_driver;
		db_init(&pg->db, options);
		return pg;
	}
	free(pg);
	snprintf(error, STORE_ERROR_MAX, "out of memory");
	return NULL;
}

static int pg_open(const struct store_options *options, const char *url, void **out, char error[STORE_ERROR_MAX])
{
	struct pg_db *pg = pg_new(options, url, error);
	PGconn *conn;
	int r;

	if (!pg)
		return SIO_ERR_NOMEM;
	conn = pg_link_dial(&pg->link);
	if (!conn)
		return cannot_connect(pg, error);
	r = pg_migrate(conn, pg->link.shown, error);
	PQfinish(conn);
	if (r < 0) {
		pg_close(pg);
		return r;
	}
	if (pg_link_connect(&pg->link) != SQL_DONE)
		return cannot_connect(pg, error);
	random_id(pg->writer);
	/* Of processes that have not ended well. */
	sql_exec(&pg->db, "DELETE FROM batches WHERE at_ms < ?1", "i", pg->db.now_ms - BATCH_KEPT_MS);
	news_start(&pg->db);
	sql_reset_all(&pg->db);
	*out = pg;
	return SIO_OK;
}

static int pg_open_reader(const struct store_options *options, const char *url, void **out, char error[STORE_ERROR_MAX])
{
	struct pg_db *pg = pg_new(options, url, error);

	if (!pg)
		return SIO_ERR_NOMEM;
	if (pg_link_connect(&pg->link) != SQL_DONE)
		return cannot_connect(pg, error);
	*out = pg;
	return SIO_OK;
}

static void pg_watch(void *arg, void (*fn)(void *arg), void *fn_arg)
{
	struct pg_db *pg = arg;

	pg->listener = pg_listen(pg->link.url, pg->writer, fn, fn_arg);
}

/* The statements stay prepared; what was asked and answered last goes. */
static void pg_relax(void *arg)
{
	struct pg_db *pg = arg;

	for (size_t i = 0; i < SQL_CACHE; i++)
		if (pg->db.cache[i])
			pg_forget(pg->db.cache[i]);
}

const struct store_ops pg_ops = {
	.name = "postgres",
	.open = pg_open,
	.open_reader = pg_open_reader,
	.close = pg_close,
	.run = db_run,
	.news = db_news,
	.watch = pg_watch,
	.sweep = db_sweep,
	.relax = pg_relax,
	.demo_bulk = db_demo_bulk,
};
