/* sqlite.h -- the inside of the SQLite back end, shared by the sqlite_*.c files.
 *
 * Statements are prepared once and found again by the address of their text, so
 * SQL is always a literal.  sql_start gives a statement ready to step; all that
 * were started in an operation are reset behind it (sql_reset_all).
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include <sqlite3.h>

#include "store/backend.h"
#include "store/fields.h"

enum {
	SQL_CACHE = 256,    /* statements */
	SQL_OPEN_MAX = 64,  /* started in one operation */
	SQL_TIME_LEN = 24,
	SQL_BUSY_MS = 2000, /* how long another process's write is waited for */
};

struct sqlite_db {
	sqlite3 *h;
	struct {
		const char *text;
		sqlite3_stmt *statement;
	} cache[SQL_CACHE];           /* open addressing by the text's address */
	sqlite3_stmt *started[SQL_OPEN_MAX];
	int started_n;
	int64_t (*clock_ms)(void);
	char now[SQL_TIME_LEN + 1];   /* ISO 8601, read once a batch */
	int64_t now_ms;
	/* Where the news stand: rows up to these have been told. */
	int64_t access_id, event_id;
	int64_t event_id_new;         /* greatest event row of the running transaction */
	int64_t data_version;
	struct sqlite_sweep {
		uint32_t events_days, events_count, notifications_days; /* 0: without end */
		char stream[STORE_STREAM_MAX + 16]; /* the last one that was looked at in this round */
		size_t stream_n;
	} sweep;
	bool is_access_touched;       /* a batch of ours may have changed roles */
	bool tells_events;            /* foreign events are wanted */
	struct store_news *news;      /* collected, not yet fetched; may be NULL */
};

/* ---- sqlite_sql.c: statements ------------------------------------------- */

/* A statement bound by format: t text (sio_slice), o text or NULL when empty
 * (sio_slice), i integer (int64_t).  NULL on failure: ask sql_fail. */
sqlite3_stmt *sql_start(struct sqlite_db *db, const char *text, const char *format, ...);
/* Start and run to the end.  Returns SQLITE_DONE or the failure. */
int sql_exec(struct sqlite_db *db, const char *text, const char *format, ...);
/* One step; SQLITE_ROW, SQLITE_DONE or the failure.  st may be NULL. */
int sql_step(struct sqlite_db *db, sqlite3_stmt *st);
void sql_reset_all(struct sqlite_db *db);
void sql_cache_free(struct sqlite_db *db);
int sql_bind_text(sqlite3_stmt *st, int i, sio_slice text);
sio_slice sql_text(sqlite3_stmt *st, int column); /* until the next step */
/* The status that stands for the database's last failure, with a sentence. */
void sql_fail(struct sqlite_db *db, struct store_answer *a);

/* The row as a JSON object.  A column named "x#" is raw JSON of member x (a
 * number or a document); one whose name starts with '_' is left out. */
void sql_row_json(sqlite3_stmt *st, struct buf *out);

/* The same for many rows of one statement: what does not change from row to row. */
enum { SQL_COLUMNS_MAX = 16, SQL_KEYS_MAX = 512 };
struct sql_shape {
	int n;
	struct sql_column {
		int index;
		bool is_raw;
		size_t key_at, key_n; /* ,"name": in keys */
	} columns[SQL_COLUMNS_MAX];
	char keys[SQL_KEYS_MAX];
};
void sql_shape_init(struct sql_shape *shape, sqlite3_stmt *st);
void sql_shape_row(const struct sql_shape *shape, sqlite3_stmt *st, struct buf *out);

/* Pages.  The SQL's parameters: ?1, ?2 the scope, ?3..?5 the keys of the row
 * before the page, ?6 the limit. */
struct sql_page {
	const char *text;
	const char *start; /* keys before the first row: "t" "", "i" 0, "d" greatest integer */
	int keys[3];       /* the columns that are the row's own keys; one key is the first column */
};
void sql_page_run(struct sqlite_db *db, const struct store_ask *ask, struct store_answer *a,
		  const struct sql_page *page, sio_slice scope1, sio_slice scope2);

/* Unix time as ISO 8601, and the clock into db->now (both in sqlite.c). */
void sql_time_text(int64_t ms, char out[SQL_TIME_LEN + 1]);
void sql_read_clock(struct sqlite_db *db);

/* ---- sqlite_schema.c ----------------------------------------------------- */

int sqlite_migrate(sqlite3 *h, const char *path, char error[STORE_ERROR_MAX]);

/* ---- operations ---------------------------------------------------------- */

typedef void sqlite_op_fn(struct sqlite_db *db, const struct store_ask *ask, struct store_answer *a);

sqlite_op_fn op_user_get, op_user_add, op_user_ensure, op_user_password, op_user_list;
sqlite_op_fn op_project_add, op_project_list, op_project_get, op_project_delete;
sqlite_op_fn op_collab_list, op_collab_put, op_collab_delete, op_role_get, op_role_list;
sqlite_op_fn op_boq_bulk, op_entity_list, op_entity_get, op_entity_create, op_entity_patch, op_entity_delete;
sqlite_op_fn op_notify_list, op_notify_add, op_notify_read, op_notify_read_all;
sqlite_op_fn op_event_append, op_event_list, op_counts, op_ping;
sqlite_op_fn op_session_reset, op_session_open, op_session_join, op_session_leave, op_session_state, op_session_left;
sqlite_op_fn op_session_end, op_session_resume;

/* Append an event to a stream: data is its payload, which gets its number in it when it
 * is a project's.  Returns the number, or 0 when it failed (a says why). */
int64_t sqlite_event_put(struct sqlite_db *db, struct store_answer *a, sio_slice stream, sio_slice type, struct buf *data);

/* The same for the answer's own event, whose payload stands in a->event: sets a->r.seq
 * and a->type.  Returns false when it failed. */
bool sqlite_event_add(struct sqlite_db *db, struct store_answer *a, sio_slice stream, sio_slice type);

/* Put a notification into a user's inbox and its event into the user's stream (*seq).
 * data gets the notification's id.  Returns that id, or 0 when it failed. */
int64_t sqlite_notify(struct sqlite_db *db, struct store_answer *a, sio_slice user, struct buf *data, int64_t *seq);

/* false and NOT_FOUND when there is no such project. */
bool sqlite_project_exists(struct sqlite_db *db, struct store_answer *a, sio_slice project);

/* The role of a pair in a->r.role, "" when none.  false: failed. */
bool sqlite_role_read(struct sqlite_db *db, sio_slice project, sio_slice user, struct store_answer *a);

/* sqlite_answers.c: first answers kept by idempotency key.  load returns true when
 * the request was answered before (or is refused): a is complete then. */
bool sqlite_answer_load(struct sqlite_db *db, const struct store_ask *ask, struct store_answer *a);
void sqlite_answer_save(struct sqlite_db *db, const struct store_ask *ask, struct store_answer *a);

/* sqlite_news.c */
void sqlite_news_start(struct sqlite_db *db);        /* at open: nothing old is told */
void sqlite_news_scan_events(struct sqlite_db *db);  /* with the write lock, before our own */
struct store_news *sqlite_news(void *db, bool is_fresh);

/* sqlite_sweep.c */
bool sqlite_sweep(void *db, uint64_t *deleted);

enum store_status sqlite_demo_bulk(void *db, uint32_t users, uint32_t projects, char error[STORE_ERROR_MAX]);

/* A row of op's table: what the columns are called and which SQL serves them. */
struct entity {
	const char *what;        /* "BoQ item": for sentences */
	const char *event_stem;  /* "boq:item" */
	const char *id_name;     /* "item_id" */
	const char *row_name;    /* "item": member of the created event */
	bool id_is_number;
	bool id_is_given;        /* create may name the id; else a random one (text) or the next (number) */
	const struct field_def *fields;
	size_t fields_n, columns_n;      /* the first columns_n are columns, in the SQL's order */
	/* Both may be NULL.  Do the columns that are set name what is there (is_same ones are
	 * not asked)?  false: a says why not. */
	bool (*judge)(struct sqlite_db *db, const struct store_ask *ask, const struct fields *f, struct store_answer *a);
	/* The row has been written: put notifications for those whom it concerns. */
	void (*concerns)(struct sqlite_db *db, const struct store_ask *ask, const struct fields *f, sio_slice id,
			 struct store_answer *a);
	const char *select;      /* ?1 project ?2 id -> the row */
	const char *values;      /* ?1 project ?2 id -> version, columns.. */
	const char *insert;      /* ?1 project ?2 id ?3 now ?4 actor ?5.. columns, then derived */
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

/* Change one row by an already parsed body (only columns that are set).  The versions of
 * the ask and of the body must be the row's, if they are there.  Returns OK and the new
 * row in json, or what was wrong (CONFLICT: json is the row). */
void entity_change(struct sqlite_db *db, const struct entity *e, const struct store_ask *ask, struct fields *f,
		   struct store_answer *a);
/* Index of the member called name in f, or -1. */
int fields_index(const struct fields *f, const char *name);

#endif
