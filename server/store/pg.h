/* pg.h -- the inside of the PostgreSQL driver, shared by the pg_*.c files.
 *
 * A link is one connection that mends itself.  Statements go into libpq's pipeline: what
 * was sent waits in a queue until somebody needs an answer, then one message carries all
 * (pg_link_wait).  After a failure the rest of that message is skipped by the server.
 *
 *   pg_link.c  connecting, back-off, the pipeline, what a failure was
 *   pg_stmt.c  statements, parameters and rows
 *   pg.c       transactions, commits of unknown outcome, opening
 *   pg_schema.c, pg_url.c, pg_listen.c
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef STORE_PG_H
#define STORE_PG_H

#include <libpq-fe.h>

#include "base/random.h"
#include "store/db.h"

enum {
	PG_PARAMS_MAX = 12,
	PG_QUEUE_MAX = 128,      /* statements sent and not yet answered */
	PG_SHOWN_MAX = 160,
	PG_CONNECT_S = 3,        /* for one address; connect_timeout of the URL goes before */
	PG_ANSWER_MS = 30000,    /* a server that is silent for so long is lost */
	PG_RETRY_MIN_MS = 100,   /* between two attempts to connect ... */
	PG_RETRY_MAX_MS = 3000,  /* ... doubled at each failure, a half more or less by chance */
	PG_RESOLVE_MS = 15000,   /* how long the outcome of a commit is asked for */
	PG_FROZEN_MS = 15000,    /* a process that sleeps in a transaction loses it, and the lock */
	PG_STATEMENT_MS = 25000, /* a statement that takes longer fails; less than PG_ANSWER_MS */
};

struct pg_stmt {
	struct sql_stmt base;
	char name[16];
	char *text;             /* with $1 for ?1 */
	Oid types[PG_PARAMS_MAX]; /* text where the SQL does not mention a parameter, else the server's choice */
	int params_n;
	bool is_read;           /* SELECT: cannot change anything */
	bool is_bad;            /* a parameter that PostgreSQL cannot take */
	uint32_t prepared;      /* number of the connection that knows it; 0: none */
	struct buf bytes;       /* parameters, each with a zero behind it */
	struct pg_param { size_t at; bool is_set; } params[PG_PARAMS_MAX];
	PGresult *result;       /* NULL: not run yet */
	int row;
	/* Asked ahead for job ahead_n: with what, and the answer when it has come. */
	uint64_t ahead_n;       /* 0: not */
	struct buf ahead_bytes;
	struct pg_param ahead_params[PG_PARAMS_MAX];
	PGresult *ahead_result;
};

struct pg_link {
	char *url;
	char shown[PG_SHOWN_MAX]; /* "localhost:5432/skybuild": for sentences */
	PGconn *conn;           /* NULL: lost */
	uint32_t number;        /* of the connection, from 1 */
	uint64_t retry_us;      /* not before */
	uint32_t retry_ms;
	struct { struct pg_stmt *st; bool is_prepare, is_ahead; } queue[PG_QUEUE_MAX];
	int queue_n;
	/* The last failure: SQLSTATE, where we found it ourselves the one that fits, "" when none
	 * does (no connection, no answer, no memory); and one line. */
	char state[6], why[160], constraint[64];
};

struct pg_db {
	struct db db;
	struct pg_link link;
	bool in_transaction, is_write;
	bool is_failed;         /* the transaction takes nothing more ... */
	bool is_doomed;         /* ... and no savepoint helps */
	bool wants_savepoint, has_savepoint;
	bool is_unknown;        /* the failure is a commit of which nobody knows */
	char writer[RANDOM_ID_LEN + 1]; /* our row in batches */
	int64_t batch;
	int64_t changes;
	struct pg_listener *listener;
};

static inline struct pg_db *pg_of(struct db *db)
{
	return (struct pg_db *)db;
}

/* ---- pg_link.c -------------------------------------------------------------- */

int pg_link_init(struct pg_link *link, const char *url);
void pg_link_fini(struct pg_link *link);
/* Connect if there is no connection and the time for it has come.  SQL_DONE or SQL_FAILED. */
int pg_link_connect(struct pg_link *link);
void pg_link_lose(struct pg_link *link);
/* Put a statement behind the others.  is_ahead: its answer goes to ahead_result.  SQL_DONE or
 * SQL_FAILED. */
int pg_link_send(struct pg_link *link, struct pg_stmt *st, bool is_ahead);
/* Send what is queued and read all answers; wanted keeps its last result.  SQL_DONE; or the
 * failure of the first that failed, and *is_other: it was not wanted's own. */
int pg_link_wait(struct pg_link *link, struct pg_stmt *wanted, bool *is_other);
void pg_link_fail(struct pg_link *link, const char *state, const char *fmt, ...) SIO_PRINTF(3, 4);
/* A connection that nobody has set up yet, for who reads it by himself.  NULL: why is set. */
PGconn *pg_link_dial(struct pg_link *link);

/* ---- pg_stmt.c ---------------------------------------------------------------- */

struct sql_stmt *pg_prepare(struct db *db, const char *text);
void pg_finalize(struct sql_stmt *st);
void pg_bind_text(struct sql_stmt *st, int i, sio_slice text);
void pg_bind_int(struct sql_stmt *st, int i, int64_t value);
void pg_bind_null(struct sql_stmt *st, int i);
int pg_step(struct sql_stmt *st);
int pg_send(struct sql_stmt *st);
void pg_ahead(struct sql_stmt *st);
void pg_reset(struct sql_stmt *st);
void pg_forget(struct sql_stmt *st); /* reset, and its memory is given back */
int pg_columns_n(struct sql_stmt *st);
const char *pg_column_name(struct sql_stmt *st, int column);
struct sql_value pg_value(struct sql_stmt *st, int column);
void pg_values(struct sql_stmt *st, struct sql_value *out, int n);
int64_t pg_number(struct sql_stmt *st, int column);
/* Queue a statement without parameters; it may not fail by what the data are. */
int pg_queue(struct pg_db *pg, const char *text);

/* ---- the others ----------------------------------------------------------------- */

/* The lock that all writers of one schema share, until the end of the transaction. */
#define PG_LOCK_KEYS "1397441093, hashtext(current_schema())"
#define PG_CHANNEL "skybuild"

/* Make the tables, or bring those of before up to date.  conn is set up and not in pipeline
 * mode.  0, or SIO_ERR_SYSTEM with one line in error. */
int pg_migrate(PGconn *conn, const char *shown, char error[STORE_ERROR_MAX]);

/* Does libpq understand the URL?  SIO_ERR_INVAL and one line without a password. */
int pg_url_check(const char *url, char error[STORE_ERROR_MAX]);
/* "localhost:5432/skybuild", never with a password. */
void pg_url_show(const char *url, char *out, size_t cap);

/* A thread with a connection of its own that calls fn(arg) when another process has
 * committed; own is what our commits say.  NULL: could not be started; polling alone is enough then. */
struct pg_listener *pg_listen(const char *url, const char *own, void (*fn)(void *arg), void *arg);
void pg_listen_end(struct pg_listener *l);

extern const struct sql_driver pg_driver;

#endif
