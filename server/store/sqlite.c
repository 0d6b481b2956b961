/* sqlite.c -- SQLite as a database of the store: struct sql_driver, and opening.
 *
 * Knows SQLite's C interface and nothing of our tables.  Who writes holds the file's write
 * lock from BEGIN IMMEDIATE on.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/sqlite.h"

/* ---- statements ---------------------------------------------------------- */

struct sqlite_stmt {
	struct sql_stmt base;
	sqlite3_stmt *h;
};

static struct sqlite_db *of(struct db *db)
{
	return (struct sqlite_db *)db;
}

static sqlite3_stmt *handle(struct sql_stmt *st)
{
	return ((struct sqlite_stmt *)st)->h;
}

static struct sql_stmt *prepare(struct db *db, const char *text)
{
	struct sqlite_stmt *st = calloc(1, sizeof(*st));

	if (!st)
		return NULL;
	st->base.db = db;
	st->base.text = text;
	if (sqlite3_prepare_v3(of(db)->h, text, -1, SQLITE_PREPARE_PERSISTENT, &st->h, NULL) == SQLITE_OK)
		return &st->base;
	free(st);
	return NULL;
}

static void finalize(struct sql_stmt *st)
{
	sqlite3_finalize(handle(st));
	free(st);
}

/* The bytes must live until the statement's last step: asks and answers do. */
static void bind_text(struct sql_stmt *st, int i, sio_slice text)
{
	sqlite3_bind_text64(handle(st), i, text.n ? text.p : "", text.n, SQLITE_STATIC, SQLITE_UTF8);
}

static void bind_int(struct sql_stmt *st, int i, int64_t value)
{
	sqlite3_bind_int64(handle(st), i, value);
}

static void bind_null(struct sql_stmt *st, int i)
{
	sqlite3_bind_null(handle(st), i);
}

static int step(struct sql_stmt *st)
{
	int r = sqlite3_step(handle(st));

	if (r == SQLITE_ROW)
		return SQL_ROW;
	if (r == SQLITE_DONE)
		return SQL_DONE;
	return r == SQLITE_CONSTRAINT_PRIMARYKEY || r == SQLITE_CONSTRAINT_UNIQUE ? SQL_TAKEN : SQL_FAILED; /* extended codes are on */
}

/* Nothing is gained by waiting: it is done at once. */
static int send_now(struct sql_stmt *st)
{
	int r = step(st);

	sqlite3_reset(handle(st));
	return r;
}

static void reset(struct sql_stmt *st)
{
	sqlite3_reset(handle(st));
}

static int columns_n(struct sql_stmt *st)
{
	return sqlite3_column_count(handle(st));
}

static const char *column_name(struct sql_stmt *st, int column)
{
	return sqlite3_column_name(handle(st), column);
}

static inline struct sql_value value_of(sqlite3_value *v)
{
	int type = sqlite3_value_type(v);
	const void *p;

	if (type == SQLITE_NULL)
		return (struct sql_value){ SQL_NULL, SIO_LIT("") };
	p = sqlite3_value_text(v);
	return (struct sql_value){ type == SQLITE_INTEGER ? SQL_INT : SQL_TEXT,
				   sio_bytes(p ? p : "", p ? (size_t)sqlite3_value_bytes(v) : 0) };
}

/* One look-up of a column, not one for each question; we are the only thread of the handle. */
static struct sql_value value(struct sql_stmt *st, int column)
{
	return value_of(sqlite3_column_value(handle(st), column));
}

static void values(struct sql_stmt *st, struct sql_value *out, int n)
{
	for (int i = 0; i < n; i++)
		out[i] = value_of(sqlite3_column_value(handle(st), i));
}

static int64_t number(struct sql_stmt *st, int column)
{
	return sqlite3_column_int64(handle(st), column);
}

static int64_t changes(struct db *db)
{
	return sqlite3_changes64(of(db)->h);
}

static int64_t new_id(struct db *db)
{
	return sqlite3_last_insert_rowid(of(db)->h);
}

static void fail(struct db *db, struct store_answer *a)
{
	const char *text = sqlite3_errmsg(of(db)->h);

	switch (sqlite3_errcode(of(db)->h) & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		answer_fail(a, STORE_BUSY, "another process holds the database (%s); try again", text);
		break;
	case SQLITE_CONSTRAINT:
		answer_fail(a, STORE_REFUSED, "the data does not allow it: %s", text);
		break;
	case SQLITE_FULL:
		answer_fail(a, STORE_UNAVAILABLE, "the disk of the database is full; free some space");
		break;
	case SQLITE_READONLY:
		answer_fail(a, STORE_UNAVAILABLE, "the database may only be read (%s); check file and folder modes", text);
		break;
	case SQLITE_TOOBIG:
		answer_fail(a, STORE_INVALID, "a value is too large for the database");
		break;
	default:
		answer_fail(a, STORE_UNAVAILABLE, "the database failed: %s (SQLite code %d)", text,
			    sqlite3_extended_errcode(of(db)->h));
	}
}

/* ---- transactions --------------------------------------------------------- */

static int begin(struct db *db, enum db_begin how)
{
	int r;

	if (how == DB_READ)
		return sql_exec(db, "BEGIN", "");
	if (how == DB_NOWAIT)
		sqlite3_busy_timeout(of(db)->h, 0);
	r = sql_exec(db, "BEGIN IMMEDIATE", "");
	if (how == DB_NOWAIT)
		sqlite3_busy_timeout(of(db)->h, SQL_BUSY_MS);
	return r;
}

/* A full disk may have ended the transaction under us. */
static bool is_open(struct db *db)
{
	return !sqlite3_get_autocommit(of(db)->h);
}

static int commit(struct db *db)
{
	return is_open(db) && sql_exec(db, "COMMIT", "") == SQL_DONE ? SQL_DONE : SQL_FAILED;
}

static void rollback(struct db *db)
{
	if (is_open(db))
		sql_exec(db, "ROLLBACK", "");
}

static int savepoint(struct db *db)
{
	return is_open(db) ? sql_exec(db, "SAVEPOINT one", "") : SQL_FAILED; /* outside it would begin one of its own */
}

static void savepoint_end(struct db *db, bool is_kept)
{
	if (!is_kept)
		sql_exec(db, "ROLLBACK TO one", "");
	sql_exec(db, "RELEASE one", "");
}

/* A number that moves when another connection commits; it is read from shared memory and
 * costs next to nothing. */
static bool has_moved(struct db *db)
{
	int64_t version = sql_ask_int(db, "PRAGMA data_version", 0);
	bool is_new = version != of(db)->data_version;

	of(db)->data_version = version;
	return is_new;
}

static const struct sql_driver driver = {
	.prepare = prepare,
	.finalize = finalize,
	.bind_text = bind_text,
	.bind_int = bind_int,
	.bind_null = bind_null,
	.step = step,
	.send = send_now,
	.reset = reset,
	.columns_n = columns_n,
	.column_name = column_name,
	.value = value,
	.values = values,
	.number = number,
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

/* ---- opening ------------------------------------------------------------- */

/* A new database holds password hashes: only its owner shall read it.  SQLite's
 * other files take over the mode. */
static void make_private_file(const char *path)
{
	int fd;

	if (access(path, F_OK) == 0)
		return;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
}

static void sqlite_close(void *arg)
{
	struct sqlite_db *db = arg;

	db_fini(&db->db);
	sqlite3_close(db->h);
	free(db);
}

static int configure(struct sqlite_db *db)
{
	static const char pragmas[] =
		"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
		"PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -512;";

	sqlite3_extended_result_codes(db->h, 1);
	sqlite3_busy_timeout(db->h, SQL_BUSY_MS);
	sqlite3_db_config(db->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return sqlite3_exec(db->h, pragmas, NULL, NULL, NULL) == SQLITE_OK ? SIO_OK : SIO_ERR_SYSTEM;
}

static int sqlite_open(const struct store_options *options, const char *path, void **out, char error[STORE_ERROR_MAX])
{
	struct sqlite_db *db = calloc(1, sizeof(*db));
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	int r = SIO_ERR_SYSTEM;

	if (!db) {
		snprintf(error, STORE_ERROR_MAX, "out of memory");
		return SIO_ERR_NOMEM;
	}
	db->db.driver = &driver;
	db_init(&db->db, options);
	if (strcmp(path, ":memory:") != 0)
		make_private_file(path);
	if (sqlite3_open_v2(path, &db->h, flags, NULL) == SQLITE_OK && configure(db) == SIO_OK)
		r = sqlite_migrate(db->h, path, error);
	else
		snprintf(error, STORE_ERROR_MAX, "cannot open the database '%.90s' of DATABASE_URL: %.60s; "
			 "does its folder exist and may this user write there?", path, sqlite3_errmsg(db->h));
	if (r < 0) {
		sqlite_close(db);
		return r;
	}
	news_start(&db->db);
	sql_reset_all(&db->db);
	*out = db;
	return SIO_OK;
}

/* WAL lets it read beside a commit.  The schema is there: sqlite_open has made it. */
static int sqlite_open_reader(const struct store_options *options, const char *path, void **out, char error[STORE_ERROR_MAX])
{
	struct sqlite_db *db;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;

	*out = NULL;
	if (strcmp(path, ":memory:") == 0) /* each handle would have one of its own */
		return SIO_OK;
	db = calloc(1, sizeof(*db));
	if (!db) {
		snprintf(error, STORE_ERROR_MAX, "out of memory");
		return SIO_ERR_NOMEM;
	}
	db->db.driver = &driver;
	db_init(&db->db, options);
	if (sqlite3_open_v2(path, &db->h, flags, NULL) != SQLITE_OK || configure(db) != SIO_OK ||
	    sqlite3_exec(db->h, "PRAGMA query_only = ON", NULL, NULL, NULL) != SQLITE_OK) {
		snprintf(error, STORE_ERROR_MAX, "cannot open the database '%.90s' a second time: %.60s", path, sqlite3_errmsg(db->h));
		sqlite_close(db);
		return SIO_ERR_SYSTEM;
	}
	*out = db;
	return SIO_OK;
}

static void sqlite_relax(void *arg)
{
	struct sqlite_db *db = arg;

	sqlite3_db_release_memory(db->h);
}

const struct store_ops sqlite_ops = {
	.name = "sqlite",
	.open = sqlite_open,
	.open_reader = sqlite_open_reader,
	.close = sqlite_close,
	.run = db_run,
	.news = db_news,
	.sweep = db_sweep,
	.relax = sqlite_relax,
	.demo_bulk = db_demo_bulk,
};
