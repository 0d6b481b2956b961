/* call.h -- one request on its way through the API, and what handlers do with it.
 *
 * A call lives from its request to its answer.  Every handler ends in exactly one
 * of: a respond_*() (which frees the call), or a call_store() whose completion goes
 * on.  Private to server/api.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef API_CALL_H
#define API_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/http.h>
#include <sio/slice.h>
#include <sio/work.h>

#include "access/access.h"
#include "api/api.h"
#include "auth/limit.h"
#include "auth/judge.h"
#include "base/buf.h"
#include "collab/collab.h"
#include "store/store.h"

struct call;

enum call_auth {
	AUTH_NONE,
	AUTH_USER,    /* Authorization: Bearer <JWT>; the role is judged with the first question to the store */
	AUTH_MEMBER,  /* the same; the role is known before the handler, for handlers that look at it */
	AUTH_SERVICE, /* Authorization: Bearer <SERVICE_API_KEY> */
};

/* One row of the table in routes.h. */
struct route {
	const char *method, *pattern;
	enum call_auth auth;
	int action; /* enum access_action asked about ":project", or NO_PROJECT */
	void (*handle)(struct call *call);
	const char *what;
};
#define NO_PROJECT (-1)

/* What stands before a room's name when that alone would not be known as a room's stream. */
#define API_ROOM_STREAM "room:"

struct trace_board;

struct api {
	struct api_options options;
	struct trace_board *traces; /* trace.c; shared by the workers of a process */
	bool is_traced;             /* this worker looks at its packets */
	struct sio_timer trace_timer; /* set while this worker's packets are looked at */
	struct limit *logins_by_user;
	struct limit *logins_by_address;
	struct bound *bounds;      /* route + api, the argument of every route */
	struct file *files;        /* pages and the stock client, by files.c */
	unsigned logins_running;   /* password checks on the pool */
	uint64_t answers_total[6]; /* by hundreds of the HTTP status */
	uint64_t login_failures_total;
	uint64_t started_ms;       /* by the server's clock */
	bool is_draining;
};

/* A completion of call_store: the result is borrowed for the call. */
typedef void call_done_fn(struct call *call, const struct store_result *result);

struct call {
	struct api *api;
	struct sio_request *req;
	const struct route *route;
	sio_slice project;            /* of the path; borrowed from req */
	char user[TOKEN_USER_MAX + 1]; /* who asks; "" unless AUTH_USER */
	char name[TOKEN_NAME_MAX + 1]; /* from the token; may be "" */
	enum role role;               /* in project; AUTH_MEMBER */
	bool is_unjudged;             /* the role is still to be judged */
	struct judge_wait wait;       /* for the key of its token */
	call_done_fn *done;
	bool wants_failures;          /* done judges every status itself */
	struct buf text;              /* scratch of the handler, freed with the call */
	void *own;                    /* of the handler; freed by own_free */
	void (*own_free)(void *own);
};

static inline sio_slice call_param(const struct call *call, const char *name)
{
	return sio_request_param(call->req, name);
}

static inline sio_slice call_body(const struct call *call)
{
	return sio_request_body(call->req);
}

/* ---- store -------------------------------------------------------------------- */

/* Ask the store; project, actor, the Idempotency-Key and the question whether the role
 * allows it are filled in here unless the ask names them.  done gets an OK result; any
 * other is answered as a problem. */
void call_store(struct call *call, struct store_ask ask, call_done_fn *done);
/* The same, but done gets every result. */
void call_store_any(struct call *call, struct store_ask ask, call_done_fn *done);

/* The page that the query asks for (?limit=&cursor=).  False: it was answered 422.
 * cursor points into call->text. */
SIO_MUST_CHECK bool call_page(struct call *call, struct store_ask *ask);

/* The version of If-Match into ask.  False: it was answered 422. */
SIO_MUST_CHECK bool call_version(struct call *call, struct store_ask *ask);

/* The number in the path that names a row, into *out.  False: it was answered 404. */
SIO_MUST_CHECK bool call_number(struct call *call, const char *name, sio_slice *out);

/* Broadcast the event of a committed write to the project, and its notifications to
 * those whom they concern. */
void call_publish(struct call *call, const struct store_result *result);

/* Append {"items":..,"next_cursor":.. of a list, without the brace. */
void call_put_page(struct buf *b, const struct store_result *result);

/* Completions for the usual answers. */
void call_done_row(struct call *call, const struct store_result *result);     /* 200, row, ETag */
void call_done_rows(struct call *call, const struct store_result *result);    /* 200, {"items":..,"next_cursor":..} */

/* 201, row, ETag, Location below the project. */
void call_done_created(struct call *call, const struct store_result *result, const char *collection, const char *key);

/* ---- answers (respond.c): each ends the call ---------------------------------------- */

void respond_json(struct call *call, int status, sio_slice json);
void respond_buf(struct call *call, int status, struct buf *json); /* 500 when it failed; frees it */
/* 201 and the row, with its address: collection and the row's member key. */
void respond_created(struct call *call, const char *collection, sio_slice row, const char *key);
void respond_text(struct call *call, int status, const char *type, sio_slice text);
void respond_none(struct call *call, int status);

/* A problem; fmt is its detail, a sentence for a person. */
void respond_problem(struct call *call, int status, const char *code, const char *fmt, ...) SIO_PRINTF(4, 5);
/* With the name of the field that is at fault. */
void respond_field(struct call *call, const char *field, const char *fmt, ...) SIO_PRINTF(3, 4);
/* 429 or 503 with Retry-After. */
void respond_later(struct call *call, int status, const char *code, uint32_t retry_s, const char *detail);
/* 404 or 403: the role (ROLE_NONE: of nobody in the project) does not allow it. */
void respond_role(struct call *call, enum role role);
/* The problem behind a result that is not OK. */
void respond_store(struct call *call, const struct store_result *result);

void call_free(struct call *call); /* for respond.c alone */

#endif
