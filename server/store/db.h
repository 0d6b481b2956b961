/* db.h -- the inside of a SQL back end: statements, transactions, and the operations that
 * are written once for all databases.
 *
 * struct sql_driver is what a database has to do (sqlite.c, pg_*.c); everything else here
 * knows SQL and tables, and no database.  SQL stands beside the operation that runs it, as
 * one text for all; where the dialects differ, SQL_OF names both.  A text that all
 * understand: parameters are ?1, ?2 .. ; the column user is written "user" in quotes; a
 * sub-select in FROM has a name; there is no RETURNING, no scalar min and max.
 *
 * Statements are prepared once and found again by the address of their text, so
 * SQL is always a literal.  sql_start gives a statement ready to step; all that
 * were started in an operation are reset behind it (sql_reset_all).
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "store/backend.h"
#include "store/fields.h"

enum {
	SQL_CACHE = 256,    /* statements */
	SQL_OPEN_MAX = 64,  /* started in one operation */
	SQL_TIME_LEN = 24,
	SQL_BUSY_MS = 2000, /* how long another process's write is waited for */
};

/* What a step has come to. */
enum {
	SQL_DONE,
	SQL_ROW,
	SQL_FAILED, /* ask sql_fail */
	SQL_TAKEN,  /* the same, and the reason is a primary key that is there already */
	SQL_AGAIN,  /* of a commit: nothing has happened, and it may go well when it is done again */
	SQL_UNKNOWN, /* of a commit: whether it has happened cannot be found out; fail says so */
};

struct db;
struct sql_shape;

/* A prepared statement; the driver's own struct begins with it. */
struct sql_stmt {
	struct db *db;
	const char *text;
	bool is_started;
	struct sql_shape *shape; /* of its rows as JSON; NULL before the first */
};

enum sql_kind { SQL_NULL, SQL_INT, SQL_TEXT };
struct sql_value {
	enum sql_kind kind;
	sio_slice text; /* also of a number; until the next step */
};

enum db_begin {
	DB_READ,   /* one snapshot; no write follows */
	DB_WRITE,  /* alone: other writers, of every process, wait.  Waits SQL_BUSY_MS for them */
	DB_NOWAIT, /* the same, and fails at once when somebody writes */
};

/* A database.  All calls of one handle come from one thread at a time.  A failure is
 * remembered until the next call, so that fail can tell it. */
struct sql_driver {
	bool is_postgres; /* which text of SQL_OF */
	struct sql_stmt *(*prepare)(struct db *db, const char *text); /* NULL: failed */
	void (*finalize)(struct sql_stmt *st);
	void (*bind_text)(struct sql_stmt *st, int i, sio_slice text); /* bytes live until the last step */
	void (*bind_int)(struct sql_stmt *st, int i, int64_t value);
	void (*bind_null)(struct sql_stmt *st, int i);
	int (*step)(struct sql_stmt *st);
	/* Run it; nothing is asked of its result, so the driver may put it off until the next step
	 * or the commit.  A failure that shows later makes the whole batch be done again, with
	 * db->is_careful, when nothing is put off.  SQL_DONE or the failure. */
	int (*send)(struct sql_stmt *st);
	/* This question will be asked soon in this job: send it with the others of now.  NULL: a
	 * question costs no way. */
	void (*ahead)(struct sql_stmt *st);
	void (*reset)(struct sql_stmt *st);
	int (*columns_n)(struct sql_stmt *st);
	const char *(*column_name)(struct sql_stmt *st, int column);
	struct sql_value (*value)(struct sql_stmt *st, int column);
	void (*values)(struct sql_stmt *st, struct sql_value *out, int n); /* of the first n columns */
	int64_t (*number)(struct sql_stmt *st, int column);
	int64_t (*changes)(struct db *db); /* rows that the last statement has changed; not after send */
	int64_t (*new_id)(struct db *db);  /* the number that the last INSERT has given */
	void (*fail)(struct db *db, struct store_answer *a);
	int (*begin)(struct db *db, enum db_begin how);
	int (*commit)(struct db *db); /* SQL_DONE: durable.  SQL_FAILED, SQL_AGAIN: nothing has happened.  Or SQL_UNKNOWN */
	void (*rollback)(struct db *db);
	int (*savepoint)(struct db *db);
	void (*savepoint_end)(struct db *db, bool is_kept);
	/* May another process have committed since the last call? */
	bool (*has_moved)(struct db *db);
};

#define SQL_OF(db, sqlite, postgres) ((db)->driver->is_postgres ? (postgres) : (sqlite))

/* What all databases have; the driver's own struct begins with it. */
struct db {
	const struct sql_driver *driver;
	struct sql_stmt *cache[SQL_CACHE]; /* open addressing by the text's address */
	struct sql_stmt *started[SQL_OPEN_MAX];
	int started_n;
	int64_t (*clock_ms)(void);
	char now[SQL_TIME_LEN + 1];   /* ISO 8601, read once a batch */
	int64_t now_ms;
	/* Where the news stand: rows up to these have been told. */
	int64_t access_id, event_id;
	struct sweep {
		uint32_t events_days, events_count, notifications_days; /* 0: without end */
		char stream[STORE_STREAM_MAX + 16]; /* the last one that was looked at in this round */
		size_t stream_n;
	} sweep;
	uint64_t job_n;               /* of the running job: what was asked ahead is good for it alone */
	int64_t position;             /* of the last event that was put (store.h) */
	bool has_events;              /* the running transaction has put some */
	bool is_careful;              /* the batch is done again, statement by statement */
	bool is_access_touched;       /* a batch of ours may have changed roles */
	bool tells_events;            /* foreign events are wanted */
	struct store_news *news;      /* collected, not yet fetched; may be NULL */
};

/* ---- sql.c: statements ---------------------------------------------------- */

/* A statement bound by format: t text (sio_slice), o text or NULL when empty
 * (sio_slice), i integer (int64_t).  NULL on failure: ask sql_fail. */
struct sql_stmt *sql_start(struct db *db, const char *text, const char *format, ...);
/* Start and run to the end.  Returns SQL_DONE or the failure. */
int sql_exec(struct db *db, const char *text, const char *format, ...);
/* Start and send (struct sql_driver). */
int sql_push(struct db *db, const char *text, const char *format, ...);
/* The same for a statement that was started; st may be NULL. */
int sql_send(struct sql_stmt *st);
/* Only where it is of use: ask a question before its answer is needed, so that several go one way
 * together.  Nothing that it reads may change until then.  sql_start with the same text and values
 * finds the answer. */
void sql_ahead(struct db *db, const char *text, const char *format, ...);
/* One step; SQL_ROW, SQL_DONE or the failure.  st may be NULL. */
int sql_step(struct sql_stmt *st);
void sql_reset(struct sql_stmt *st); /* st may be NULL */
void sql_reset_all(struct db *db);
void sql_cache_free(struct db *db);
void sql_bind_text(struct sql_stmt *st, int i, sio_slice text);
void sql_bind_int(struct sql_stmt *st, int i, int64_t value);
void sql_bind_null(struct sql_stmt *st, int i);
sio_slice sql_text(struct sql_stmt *st, int column); /* until the next step */
int64_t sql_int(struct sql_stmt *st, int column);
bool sql_is_null(struct sql_stmt *st, int column);
/* The first column of the first row; otherwise when there is none. */
int64_t sql_ask_int(struct db *db, const char *text, int64_t otherwise);
/* The status that stands for the database's last failure, with a sentence. */
void sql_fail(struct db *db, struct store_answer *a);

/* The row as a JSON object.  A column named "x#" is raw JSON of member x (a
 * number or a document); one whose name starts with '_' is left out. */
void sql_row_json(struct sql_stmt *st, struct buf *out);

/* Pages.  The SQL's parameters: ?1, ?2 the scope, ?3..?5 the keys of the row
 * before the page, ?6 the limit. */
struct sql_page {
	const char *text;
	const char *postgres; /* its text there; NULL: the same */
	const char *start; /* keys before the first row: "t" "", "i" 0, "d" greatest integer */
	int keys[3];       /* the columns that are the row's own keys; one key is the first column */
};
void sql_page_run(struct db *db, const struct store_ask *ask, struct store_answer *a,
		  const struct sql_page *page, sio_slice scope1, sio_slice scope2);

/* Rows of a page that is asked for. */
uint32_t sql_page_limit(const struct store_ask *ask);

#define SQL_PAGE_BYTES "1048576" /* STORE_PAGE_BYTES in a statement */

/* Unix time as ISO 8601, and the clock into db->now. */
void sql_time_text(int64_t ms, char out[SQL_TIME_LEN + 1]);
void sql_read_clock(struct db *db);

/* ---- batch.c: struct store_ops of every SQL database ----------------------- */

/* The parts of a handle that do not depend on the database.  driver is set already. */
void db_init(struct db *db, const struct store_options *options);
void db_fini(struct db *db);
bool db_run(void *db, struct store_job *jobs);
struct store_news *db_news(void *db, bool is_fresh);  /* news.c */
bool db_sweep(void *db, uint64_t *deleted);           /* sweep.c */
enum store_status db_demo_bulk(void *db, uint32_t users, uint32_t projects, char error[STORE_ERROR_MAX]);

/* ---- operations ---------------------------------------------------------- */

typedef void op_fn(struct db *db, const struct store_ask *ask, struct store_answer *a);

op_fn op_user_get, op_user_add, op_user_ensure, op_user_password, op_user_list;
op_fn op_project_add, op_project_list, op_project_get, op_project_delete;
op_fn op_collab_list, op_collab_put, op_collab_delete, op_role_get, op_role_list;
op_fn op_boq_bulk, op_entity_list, op_entity_get, op_entity_create, op_entity_patch, op_entity_delete;
op_fn op_notify_list, op_notify_add, op_notify_read, op_notify_read_all;
op_fn op_event_append, op_event_list, op_counts, op_ping;
op_fn op_session_beat, op_session_open, op_session_join, op_session_leave, op_session_state, op_session_left;
op_fn op_session_end, op_session_resume;

/* An event before it has a number. */
struct stream_event {
	sio_slice stream, type;
	sio_slice except_sid; /* the socket that it is not for; empty: none */
};

/* Append an event to its stream: data is its payload, which gets its number in it when it
 * is a project's.  Returns the number, or 0 when it failed (a says why). */
int64_t stream_put(struct db *db, struct store_answer *a, const struct stream_event *e, struct buf *data);

/* The same for the answer's own event, whose payload stands in a->event: sets a->r.seq
 * and a->type.  Returns false when it failed. */
bool stream_add(struct db *db, struct store_answer *a, const struct stream_event *e);

/* Put a notification into a user's inbox and its event into the user's stream (*seq).
 * data gets the notification's id.  Returns that id, or 0 when it failed. */
int64_t notify_put(struct db *db, struct store_answer *a, sio_slice user, struct buf *data, int64_t *seq);

/* false and NOT_FOUND when there is no such project. */
bool project_exists(struct db *db, struct store_answer *a, sio_slice project);

/* The role of a pair in a->r.role, "" when none.  false: failed. */
bool role_read(struct db *db, sio_slice project, sio_slice user, struct store_answer *a);

/* What the operation will ask first, sent with the question for the role. */
void entity_ahead(struct db *db, const struct store_ask *ask);
void stream_ahead(struct db *db, sio_slice stream);
void project_ahead(struct db *db, sio_slice project);

/* repeat.c: first answers kept by idempotency key.  load returns true when
 * the request was answered before (or is refused): a is complete then. */
bool repeat_load(struct db *db, const struct store_ask *ask, struct store_answer *a);
void repeat_save(struct db *db, const struct store_ask *ask, struct store_answer *a);

/* news.c */
void news_start(struct db *db);        /* at open: nothing old is told */
void news_scan_events(struct db *db);  /* with the write lock, before our own */
int64_t news_last_event(struct db *db);

/* A row of op's table: what the columns are called and which SQL serves them. */
struct entity {
	const char *event_stem;  /* "boq:item" */
	const char *id_name;     /* "item_id" */
	const char *row_name;    /* "item": member of the created event */
	bool id_is_number;
	bool id_is_given;        /* create may name the id; else a random one (text) or the next (number) */
	struct field_table fields;
	size_t columns_n;        /* the first of them are columns, in the SQL's order */
	/* Both may be NULL.  Do the columns that are set name what is there (is_same ones are
	 * not asked)?  false: a says why not. */
	bool (*judge)(struct db *db, const struct store_ask *ask, const struct fields *f, struct store_answer *a);
	/* The row has been written: put notifications for those whom it concerns. */
	void (*concerns)(struct db *db, const struct store_ask *ask, const struct fields *f, sio_slice id,
			 struct store_answer *a);
	const char *select;      /* ?1 project ?2 id -> the row */
	const char *values;      /* ?1 project ?2 id -> version, columns.. */
	const char *insert;      /* ?1 project ?2 id ?3 now ?4 actor ?5.. columns, then derived */
	const char *insert_postgres; /* NULL: the same */
	const char *update;      /* the same; NULL: cannot be changed */
	/* update without the columns whose bits are set in ordering, for when none of them
	 * changes: it leaves their index alone.  NULL: there is no such index. */
	const char *update_in_place;
	unsigned ordering;
	const char *delete;      /* ?1 project ?2 id */
	struct sql_page page;    /* ?1 project */
	struct sql_page page_of_item, page_of_task; /* ?1 project ?2 item or task; text NULL: no such list */
	/* A column computed from the others, as JSON text; NULL: none. */
	const char *derived_name;
	size_t (*derive)(const struct fields *f, char *out);
};

extern const struct entity entity_boq, entity_project, entity_task, entity_comment;

/* Read a body by a table; the first needed_n members get their initial value when they are not
 * there.  false: a says what is wrong.  fields_fini must follow in every case. */
bool entity_body(struct store_answer *a, struct fields *f, const struct field_table *table, size_t needed_n, sio_slice body);
/* Change one row by an already parsed body (only columns that are set).  The versions of
 * the ask and of the body must be the row's, if they are there.  Returns OK and, if it is
 * wanted, the new row in json, or what was wrong (CONFLICT: json is the row). */
void entity_change(struct db *db, const struct entity *e, const struct store_ask *ask, struct fields *f, bool wants_row,
		   struct store_answer *a);
/* Index of the member called name in f, or -1. */
int fields_index(const struct fields *f, const char *name);

#endif
