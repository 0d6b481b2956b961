/* store.h -- the truth: users, projects, roles, BoQ, tasks, comments, events.
 *
 * One request is one struct store_ask; one answer is one struct store_result.
 * Which fields of the ask an operation reads stands in its line of STORE_OP_MAP.
 * A change of project data and its event row (dense sequence number per project)
 * commit in ONE transaction; the completion of a write runs after the commit and
 * carries the sequence number and the payload to broadcast.
 *
 * Threads: one store thread writes, another reads beside it.  store_submit may be
 * called from any thread and never blocks; its completion runs on the asker's loop,
 * handed over by the post function given to store_open.  Many requests share one commit.
 * A read sees every write that has been answered; whether it sees one that was asked
 * before and is not answered yet is open, unless it is_ordered.  Completions come in
 * the order of the asking among the writes and is_ordered reads, and among the others.
 * A store opened without a post function has no thread: store_run executes at
 * once, on the caller's thread (the CLI).
 * Lifetime: store_open .. store_submit .. (loops have ended) .. store_close.
 *
 * It refuses to know who may do what: the caller has asked access/ before, or hands
 * the question in with the request (ask.may).
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/error.h>
#include <sio/slice.h>

struct store;

/* ---- operations ---------------------------------------------------------- */

/* X(name, text, is_write, what the ask holds -> what the result holds)
 * P project, U user, A actor (who does it), I item id, B body (JSON text),
 * V expected version (0: any), L/C limit and cursor of a page, [x] optional.
 * "row" and "rows" are result.json: one JSON object, or an array of objects.
 * "event" means result.seq, result.event_type and result.event are set and the
 * event row is committed: broadcast result.event as it is. */
#define STORE_OP_MAP(X)                                                                                              \
	/* users: {user_id, name, created_at} */                                                                     \
	X(USER_GET, "user_get", 0)             /* U -> row, secret = password hash ("" when none) */                 \
	X(USER_ADD, "user_add", 1)             /* U B{name} [secret] -> row; EXISTS */                               \
	X(USER_ENSURE, "user_ensure", 1)       /* U [B{name}] -> row; adds the user when missing */                  \
	X(USER_PASSWORD, "user_password", 1)   /* U secret -> row */                                                 \
	X(USER_LIST, "user_list", 0)           /* [L C] -> rows */                                                   \
	/* projects: {project_id, name, description, created_at, updated_at, version, seq, role} */                  \
	X(PROJECT_ADD, "project_add", 1)       /* [P] U=owner [A] B{name, description?} -> row; EXISTS */            \
	X(PROJECT_LIST, "project_list", 0)     /* [U] [L C] -> rows with U's role; no U: all projects */             \
	X(PROJECT_GET, "project_get", 0)       /* P [U] -> row with U's role (null when none) */                     \
	X(PROJECT_PATCH, "project_patch", 1)   /* P A B{name?, description?} V -> row, event project:updated */      \
	X(PROJECT_DELETE, "project_delete", 1) /* P A V -> everything of P is gone; result.event, no seq */          \
	/* collaborators: {user_id, name, role} */                                                                   \
	X(COLLAB_LIST, "collab_list", 0)       /* P [L C] -> rows */                                                 \
	X(COLLAB_PUT, "collab_put", 1)         /* P U A B{role} -> row, event collaborator:changed */                \
	X(COLLAB_DELETE, "collab_delete", 1)   /* P U A -> event collaborator:changed (role null) */                 \
	/* The hot ones: role is text as in access/access.h, "" when none. */                                        \
	X(ROLE_GET, "role_get", 0)             /* P U -> role, seq = P's last event; NOT_FOUND: no such project */   \
	X(ROLE_LIST, "role_list", 0)           /* U B[ids] -> rows {project_id, role, seq}, only those with a role */\
	/* BoQ: {item_id, code, description, unit, qty, unit_price, total, section, version, updated_at,             \
	 * updated_by}; qty, unit_price, total are JSON numbers with exact decimal text.  B takes numbers or         \
	 * strings ("45.50") for them.  Order of lists: section, code, item_id. */                                   \
	X(BOQ_LIST, "boq_list", 0)             /* P [L C] -> rows */                                                 \
	X(BOQ_GET, "boq_get", 0)               /* P I -> row */                                                      \
	X(BOQ_CREATE, "boq_create", 1)         /* P [I] A B{code?, ..} -> row, event boq:item:created; EXISTS */     \
	X(BOQ_PATCH, "boq_patch", 1)           /* P I A B V -> row, event boq:item:updated; CONFLICT with row */     \
	X(BOQ_DELETE, "boq_delete", 1)         /* P I A V -> event boq:item:deleted; CONFLICT with row */            \
	X(BOQ_BULK, "boq_bulk", 1)             /* P A B[{item_id, version?, ..}] -> json {total, updated, skipped,   \
						* why: [{item_id, code, message, current?}]}, event boq:bulk:updated; \
						* current: the row that a conflict has met */                        \
	/* tasks: {task_id, title, description, status, assignee_id, due_date, position, item_id, version,          \
	 * created_at, updated_at, updated_by}; I is the number as text.  An assignee must be a collaborator of P,   \
	 * an item one of its BoQ.  A new assignee other than A is notified (result.notices). */                    \
	X(TASK_LIST, "task_list", 0)           /* P [L C] -> rows, by task_id */                                     \
	X(TASK_GET, "task_get", 0)             /* P I -> row */                                                      \
	X(TASK_ADD, "task_add", 1)             /* P A B{title, ..} -> row, event task:created, notices */            \
	X(TASK_PATCH, "task_patch", 1)         /* P I A B V -> row, event task:updated, notices; CONFLICT with row */\
	X(TASK_DELETE, "task_delete", 1)       /* P I A V -> event task:deleted; CONFLICT with row */                \
	/* comments: {comment_id, text, author_id, item_id, task_id, created_at}; newest last.  One target at most,  \
	 * which must be in P.  Collaborators whom the text names as "@id" are notified, A is not. */                \
	X(COMMENT_LIST, "comment_list", 0)     /* P [I: of this BoQ item, or task: of this task] [L C] -> rows */    \
	X(COMMENT_GET, "comment_get", 0)       /* P I -> row */                                                      \
	X(COMMENT_ADD, "comment_add", 1)       /* P A B{text, item_id? or task_id?} -> row, event, notices */        \
	X(COMMENT_DELETE, "comment_delete", 1) /* P I A -> event comment:deleted */                                  \
	/* notifications: {id, data, created_at, read_at}; newest first.  data is the payload of notification:new,   \
	 * its own id in it.  A user has the newest STORE_INBOX_MAX of them. */                                      \
	X(NOTIFY_LIST, "notify_list", 0)       /* U [is_unread] [L C] -> rows, unread */                             \
	X(NOTIFY_ADD, "notify_add", 1)         /* U B=data (any JSON) -> row, version = id; event notification:new */\
	X(NOTIFY_READ, "notify_read", 1)       /* U I -> row */                                                      \
	X(NOTIFY_READ_ALL, "notify_read_all", 1) /* U [after: ids up to this] -> json {read, unread} */              \
	/* events: {seq, type, data, created_at}.  P is a stream: a project id, or for events that belong to no      \
	 * project a room name with ':' ("user:anna").  The project need not be in this store.  The payload of a     \
	 * project's event, if it is an object, gets "seq" as its last member. */                                    \
	X(EVENT_APPEND, "event_append", 1)     /* P event B=payload -> event */                                      \
	X(EVENT_LIST, "event_list", 0)         /* P after [L] -> rows; seq = the stream's last number, oldest */     \
	/* sessions: what connection state recovery must know of a connected client, by its private id I.  Their       \
	 * window W is the time in ms for which one that was left may be resumed; older ones are deleted on the way. */\
	/* A is the server that it is connected to. */                                                               \
	X(SESSION_BEAT, "session_beat", 1)     /* I=server after=lease in ms -> it is there; sessions of those that  \
						* have not said so for longer are left now */                        \
	X(SESSION_OPEN, "session_open", 1)     /* U I A after=W B{sid, projects} -> rows as ROLE_LIST: those are joined */\
	X(SESSION_JOIN, "session_join", 1)     /* P U I A -> as ROLE_GET; joined when there is a role */             \
	X(SESSION_LEAVE, "session_leave", 1)   /* P I A [B: it was put out] -> no longer joined; one that was put out\
						* is so as if it had lost its role, when it comes back */            \
	X(SESSION_STATE, "session_state", 1)   /* P I A B=state (any JSON) -> kept for the resumption; these three   \
						* change nothing when it is connected to another server by now */    \
	X(SESSION_LEFT, "session_left", 1)     /* I A after=W -> its client has gone and may come back; nothing when \
						* it is connected to another server by now */                        \
	X(SESSION_END, "session_end", 1)       /* I A -> forgotten; nothing when it is connected to another server */\
	X(SESSION_RESUME, "session_resume", 1) /* U I A [after: the position that was heard] L B{window_ms, bytes_max,\
						* projects} -> connected to A; json {sid, node: to which it was       \
						* connected still, or "", rooms: [{project_id, role, seq, was_joined, state}],\
						* events: [{position, stream, seq, type, data}]}; REFUSED with json    \
						* {reason} of SESSION_REASON_MAP */                                    \
	X(COUNTS, "counts", 0)                 /* -> json {users, projects, boq_items, tasks, comments, events} */   \
	X(PING, "ping", 0)                     /* -> OK when the database answers (readiness) */

enum store_op {
#define X(name, text, is_write) STORE_##name,
	STORE_OP_MAP(X)
#undef X
	STORE_OP_N,
};

/* "boq_patch"; for metrics and logs.  "?" for a number that is no operation. */
const char *store_op_name(enum store_op op);

/* ---- answers ------------------------------------------------------------- */

/* X(name, text): what a caller can do about it is different for each. */
#define STORE_STATUS_MAP(X)                                                                                          \
	X(OK, "ok")                       /* done, and durable when it was a write */                                \
	X(NOT_FOUND, "not_found")         /* project, item, user .. is not there; error says which */                \
	X(CONFLICT, "conflict")           /* the expected version is outdated; json is the current row */            \
	X(EXISTS, "exists")               /* an id is taken */                                                       \
	X(INVALID, "invalid")             /* the body or an id does not fit; error says which field and why */       \
	X(FORBIDDEN, "forbidden")         /* ask.may said no; role is the actor's, "" when it has none */            \
	X(REFUSED, "refused")             /* a rule of the data forbids it (last owner, unknown user, reused key) */ \
	X(BUSY, "busy")                   /* another process holds the database: try again */                        \
	X(UNAVAILABLE, "unavailable")     /* disk full, read only, I/O error, out of memory: an operator must look */

enum store_status {
#define X(name, text) STORE_##name,
	STORE_STATUS_MAP(X)
#undef X
};

const char *store_status_name(enum store_status status);

enum {
	STORE_QUEUE_DEFAULT = 4096, /* requests waiting for the store thread */
	STORE_BATCH_MAX = 512,      /* requests in one commit */
	STORE_LIMIT_DEFAULT = 100,  /* rows of a page when the ask has limit 0 */
	STORE_LIMIT_MAX = 1000,     /* a larger limit is cut down to this */
	STORE_ID_MAX = 128,         /* bytes of a project or item id */
	STORE_USER_MAX = 255,       /* bytes of a user id */
	STORE_STREAM_MAX = 255,     /* bytes of the P of an event operation */
	STORE_KEY_MAX = 128,        /* bytes of an idempotency key */
	STORE_BULK_MAX = 5000,      /* items of one BOQ_BULK */
	STORE_BULK_IDS_BYTES = 65536, /* of its event's "item_ids"; where they take more, there are none */
	STORE_ROLES_MAX = 1000,     /* ids of one ROLE_LIST */
	STORE_PAGE_BYTES = 1048576, /* rows of a page: past this it ends early and has a cursor */
	STORE_INBOX_MAX = 1000,     /* notifications of one user; the oldest go */
	STORE_MENTIONS_MAX = 50,    /* collaborators that one comment notifies; further ones are not */
	STORE_ERROR_MAX = 256,
};

/* Positions: each event row has one, over all streams.  They grow in the order in which the
 * events become visible, and completions and foreign events are told in their order: whoever
 * was told of one has been told of all below it.  Not dense. */

/* X(name, text): why a session was not resumed. */
#define SESSION_REASON_MAP(X)                                                                                        \
	X(UNKNOWN, "unknown")             /* no such session */                                                      \
	X(FOREIGN, "foreign")             /* another user's */                                                       \
	X(EXPIRED, "expired")             /* left longer ago than the window */                                      \
	X(OFFSET, "offset")               /* a position that is none, or not reached yet */                          \
	X(RETENTION, "retention")         /* something that was missed is not kept any more */                       \
	X(TOO_MANY, "too_many")           /* more was missed than is replayed */

/* A notification that a write has made beside its own event: emit data as
 * "notification:new" to all of the user's connections. */
struct store_notice {
	sio_slice user, data;
	int64_t position;
};

struct store_result {
	enum store_op op;
	enum store_status status;
	char error[STORE_ERROR_MAX]; /* one sentence for a person when status is not OK */
	sio_slice json;              /* "row", "rows"; empty when the operation has none */
	uint64_t rows_n;             /* objects in rows */
	sio_slice cursor;            /* of the next page; empty: this was the last */
	int64_t version;             /* of the row; 0 when it has none */
	int64_t seq;                 /* of the committed event; EVENT_LIST, ROLE_GET: last of the stream */
	int64_t position;            /* of the committed event among those of all streams, see below; 0: none */
	int64_t newest;              /* the greatest position of its commit: who sees this event sees all up to there */
	int64_t oldest;              /* EVENT_LIST: the least number kept; seq + 1 when none is */
	int64_t unread;              /* NOTIFY_LIST: all unread ones of U */
	sio_slice event_type;        /* "boq:item:updated"; empty when there is none */
	sio_slice event;             /* its payload as JSON text */
	const struct store_notice *notices;
	size_t notices_n;
	char role[16];               /* ROLE_GET, PROJECT_GET; FORBIDDEN */
	const char *secret;          /* USER_GET: password hash, "" when none */
	bool is_repeat;              /* the idempotency key was seen: this is the first answer again */
};

/* Frees result and all its slices.  NULL is allowed. */
void store_result_free(struct store_result *result);

/* ---- requests ------------------------------------------------------------ */

/* The completion: runs once for each accepted request and owns result
 * (store_result_free). */
typedef void store_done_fn(struct store_result *result, void *arg);

/* Whether a role ("editor", "" for none) may do what action stands for: a pure function
 * of access/, called on a thread of the store. */
typedef bool store_may_fn(const char *role, int action);

/* Zero means "not given" in every field.  Slices are copied by store_submit. */
struct store_ask {
	enum store_op op;
	sio_slice project, user, actor, item; /* ids */
	sio_slice body;                       /* JSON text */
	sio_slice event;                      /* EVENT_APPEND: type */
	sio_slice except_sid;                 /* EVENT_APPEND: the socket that it is not for; empty: none */
	sio_slice secret;                     /* password hash */
	sio_slice cursor;                     /* result.cursor of the page before */
	uint32_t limit;
	int64_t version;                      /* expected; a "version" in the body counts too */
	int64_t after;                        /* EVENT_LIST: numbers greater than this; NOTIFY_READ_ALL; SESSION_* */
	int64_t task;                         /* COMMENT_LIST */
	bool is_unread;                       /* NOTIFY_LIST: only those */
	bool with_except;                     /* EVENT_LIST: "except_sid" in each row */
	bool is_owed;                         /* not refused because the queue is full: the asker bounds how many there are */
	bool is_ordered;                      /* a read: behind the writes asked before, its answer before theirs that follow */
	/* Idempotency key of a write, of this actor.  A repeat within 24 hours gets the
	 * first answer (is_repeat, nothing is written); with another content: REFUSED. */
	sio_slice key;
	/* Asked first, with the actor's role in the project, in the transaction of the rest:
	 * what is allowed then is still allowed when it is done.  NULL: the caller knows. */
	store_may_fn *may;
	int action;
	store_done_fn *done;
	void *arg;
	void *loop; /* ctx for the post function; NULL: post_ctx of the options */
};

/* Queue a request.  Any thread, never blocks.  Returns 0 (done will be called,
 * exactly once), SIO_ERR_BUSY (queue full: answer 503), SIO_ERR_CLOSED,
 * SIO_ERR_NOMEM, SIO_ERR_INVAL (no such op, no done, or no post function). */
SIO_MUST_CHECK int store_submit(struct store *store, const struct store_ask *ask);

/* Execute one request and wait: at once in a store without a thread, else behind
 * what is queued (start-up and tests; never on a loop).  done, arg, loop are not
 * used.  NULL only when out of memory.  Free the result. */
SIO_MUST_CHECK struct store_result *store_run(struct store *store, const struct store_ask *ask);

/* ---- opening ------------------------------------------------------------- */

/* Run fn(arg) soon on the loop that ctx stands for.  Returns 0, SIO_ERR_BUSY (asked
 * again after a short sleep) or SIO_ERR_CLOSED.  sio_server_post fits. */
typedef int store_post_fn(void *ctx, void (*fn)(void *arg), void *arg);

/* A (project, user) pair whose role was changed, by this process or another. */
struct store_access_change {
	const char *project, *user;
	const char *role; /* now; "" when the user has no access any more */
};

/* An event row that another process has committed (the CLI, a second server). */
struct store_foreign_event {
	const char *project, *type;
	const char *except_sid; /* the socket that it is not for; "": none */
	int64_t seq, position;
	sio_slice data;
};

struct store_options {
	const char *url;         /* DATABASE_URL: sqlite:///relative.db, sqlite:////absolute.db, postgresql://user@host/db */
	uint32_t queue_max;      /* STORE_QUEUE_DEFAULT */
	store_post_fn *post;     /* NULL: no thread, only store_run */
	void *post_ctx;
	/* Called on the loop of post_ctx, at most 300 ms after the commit; arguments are
	 * borrowed for the call.  Both may be NULL.  Changes before store_open are not told. */
	void (*on_access_changed)(const struct store_access_change *changes, size_t n, void *arg);
	void (*on_foreign_events)(const struct store_foreign_event *events, size_t n, void *arg);
	void *arg;
	/* What is kept; 0: without end.  The store's thread deletes the rest in small steps
	 * between requests.  A number that is gone does not come again. */
	uint32_t events_keep_days, events_keep_count; /* of every stream */
	uint32_t notifications_keep_days;
	int64_t (*clock_ms)(void); /* Unix time; NULL: the system's.  For tests. */
};

/* Open the database, create or migrate its schema, start the thread.  Strings are
 * copied.  Returns 0 and *out; else error holds one line that names what is wrong
 * (never a password of the URL): SIO_ERR_INVAL (URL malformed, or of another scheme),
 * SIO_ERR_SYSTEM (cannot be opened or reached, is no database, has a newer schema, holds
 * other tables), SIO_ERR_NOMEM. */
SIO_MUST_CHECK int store_open(const struct store_options *options, struct store **out, char error[STORE_ERROR_MAX]);

/* Check a DATABASE_URL without opening it (skybuild serve --check).  Returns 0, or
 * SIO_ERR_INVAL with the reason in error. */
SIO_MUST_CHECK int store_url_check(const char *url, char error[STORE_ERROR_MAX]);

/* Execute what is queued, end the thread, close the database.  Call it when the
 * loops have ended: completions that no loop took are called from here, on the
 * caller's thread, so that every done has been called.  NULL is allowed. */
void store_close(struct store *store);

/* Another process has committed, somebody says: look for it now and not at the next poll.
 * Any thread. */
void store_look(struct store *store);

/* One step of the deleting, on a store without a thread (tests).  Returns true when
 * there is more to do. */
bool store_sweep(struct store *store);

struct store_stats {
	uint64_t queued;          /* now */
	uint64_t requests_total, refused_total; /* refused: queue full */
	uint64_t commits_total, commit_failures_total;
	uint64_t batch_max;       /* most requests in one commit so far */
	uint64_t op_total[STORE_OP_N], op_us_total[STORE_OP_N]; /* executed; time in the database */
	uint64_t wait_us_total;   /* from submit to the end of the commit */
	uint64_t swept_total;     /* rows deleted for their age or number */
	uint64_t sweep_us_max;    /* the longest step of it: what a request may have waited for */
};
/* Any thread; the figures need not be of the same instant. */
void store_stats(const struct store *store, struct store_stats *out);

/* Which database it is, for logs, never with a password: "sqlite:////srv/skybuild.db",
 * "skybuild@localhost:5432/skybuild". */
const char *store_url_shown(const struct store *store);

/* ---- demonstration data (skybuild demo) ---------------------------------- */

/* Password hashing is auth's: app passes password_hash.  0 or SIO_ERR_*. */
typedef int store_hash_fn(const char *password, char *out, size_t cap);

/* Fill in project proj-riverside ("Riverside Tower"), users anna, ben and three
 * more with password "demo-<id>", 200 BoQ items, tasks, comments; what exists
 * already is left alone.  hash may be NULL (no passwords).  Only on a store
 * without a thread.  Returns OK, or the status of what failed with error. */
enum store_status store_demo(struct store *store, store_hash_fn *hash, char error[STORE_ERROR_MAX]);

/* Users user-0 .. user-(users-1) and projects proj-0 .. proj-(projects-1), every
 * user an editor of every project, user-0 the owner; repeatable. */
enum store_status store_demo_bulk(struct store *store, uint32_t users, uint32_t projects,
				  char error[STORE_ERROR_MAX]);

#endif
