/* backend.h -- what a database has to do for the store, as a struct of functions.
 *
 * store.c owns the queues, the threads and the hand-over; a back end executes jobs
 * and knows SQL.  All calls of one handle come from one thread at a time.  A
 * new one fills in struct store_ops (an SQL database struct sql_driver of db.h is enough),
 * stands in url.c and passes tests/unit/store_*_test.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef STORE_BACKEND_H
#define STORE_BACKEND_H

#include <time.h>

#include "base/buf.h"
#include "store/store.h"

/* An answer while it is being written; store_result_free frees it as a whole. */
struct store_answer {
	struct store_result r; /* first: what the asker sees */
	struct buf json, event, type, cursor, secret;
	/* Until answer_seal the slices of notices are offsets into notice_text, which moves. */
	struct buf notice_text;
	struct store_notice *notices;
	size_t notices_n;
};

/* One accepted request.  The slices of ask point behind the struct. */
struct store_job {
	struct store_job *next;
	struct store_ask ask;
	struct store_answer *answer; /* all zero but r.op until it has been executed */
	uint64_t queued_us, took_us;
	bool is_sync, is_answered;   /* store_run waits for it */
};

/* What happened that nobody asked for.  One block; the strings lie behind it. */
struct store_news {
	struct store_access_change *changes;
	size_t changes_n;
	struct store_foreign_event *events;
	size_t events_n;
	struct buf text; /* what all of them point into */
};
void store_news_free(struct store_news *news);

struct store_ops {
	const char *name;
	/* path is what follows "sqlite:///", or the whole URL of PostgreSQL.  Returns 0, or a code with a sentence in error. */
	int (*open)(const struct store_options *options, const char *path, void **db, char error[STORE_ERROR_MAX]);
	/* A second handle that only reads, used by another thread beside the first, which is
	 * open.  Returns 0 with *db NULL when this database cannot have one. */
	int (*open_reader)(const struct store_options *options, const char *path, void **db, char error[STORE_ERROR_MAX]);
	void (*close)(void *db);
	/* Execute all; one commit for the writes among them.  Afterwards every answer has
	 * its status, and OK means durable.  Returns false when a commit failed. */
	bool (*run)(void *db, struct store_job *jobs);
	/* What changed since the last call; NULL when nothing did.  is_fresh false: only what
	 * the last run has seen. */
	struct store_news *(*news)(void *db, bool is_fresh);
	/* Have fn(arg) called soon after another process has committed, on any thread, until close.
	 * NULL: such a database is only asked now and then. */
	void (*watch)(void *db, void (*fn)(void *arg), void *arg);
	/* Delete a little of what is kept no longer and count the rows.  Returns true when
	 * there is more to do; never waits for another process. */
	bool (*sweep)(void *db, uint64_t *deleted);
	/* Give back the memory that only makes it quicker: nothing has come for a while. */
	void (*relax)(void *db);
	/* The many rows of store_demo_bulk. */
	enum store_status (*demo_bulk)(void *db, uint32_t users, uint32_t projects, char error[STORE_ERROR_MAX]);
};

extern const struct store_ops sqlite_ops, pg_ops;

/* Microseconds of a clock that only goes forward. */
static inline uint64_t store_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Set status and one sentence; a later call does not replace the first. */
void answer_fail(struct store_answer *a, enum store_status status, const char *fmt, ...) SIO_PRINTF(3, 4);
/* A notification for user, with a copy of data; its event's position.  Out of memory shows at the seal. */
void answer_notice(struct store_answer *a, sio_slice user, sio_slice data, int64_t position);
/* Take back the event and the notices: the request has failed. */
void answer_untell(struct store_answer *a);
/* Forget all that was written, as if not yet executed. */
void answer_clear(struct store_answer *a);
/* The slices of r point to the buffers; out of memory becomes UNAVAILABLE. */
void answer_seal(struct store_answer *a);

/* Does op change anything? */
bool store_op_is_write(enum store_op op);
/* An answer for op, all zero.  NULL when out of memory. */
struct store_answer *answer_new(enum store_op op);

/* A parsed DATABASE_URL. */
struct store_url {
	const struct store_ops *ops;
	const char *path; /* points into the URL */
	char shown[160];  /* without a password */
};
int store_url_parse(const char *url, struct store_url *out, char error[STORE_ERROR_MAX]);

#endif
