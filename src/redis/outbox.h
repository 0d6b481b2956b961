/* outbox.h -- what is to be published, in order, until Redis says that it has it.
 *
 *	first                                         unsent
 *	| handed over, written | being written        | waiting                |
 *	  written_n              writing_n
 *
 * Redis answers in order, so an answer is about the first.  It may come while the bytes
 * behind it are being written; then it is noted (acked_n), for what is being written must
 * stay where it is.  When the connection is lost everything waits again: what Redis had
 * already is sent twice, and whoever hears it knows it by its counter.
 *
 * Messages for processes of other kinds have no counter: they are never sent twice, so what was handed over and
 * not answered is lost with the connection.  They are counted here.
 *
 * Knows how a command looks on the wire; refuses to know connections and clocks.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef REDIS_OUTBOX_H
#define REDIS_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sio/error.h>
#include <sio/slice.h>

struct parcel;

enum outbox_kind {
	OUTBOX_MESSAGE,    /* to nodes */
	OUTBOX_URGENT,     /* the same, past the bounds */
	OUTBOX_OUTSIDE,    /* to processes of other kinds: a plain PUBLISH, also on a cluster */
};

struct outbox {
	struct parcel *first, **last, *unsent;
	uint32_t n, n_max;
	size_t bytes, bytes_max;
	uint32_t written_n, writing_n, acked_n;
	uint64_t outside_sent, outside_lost; /* of those that were put in */
};

void outbox_init(struct outbox *o, uint32_t n_max, size_t bytes_max);
void outbox_fini(struct outbox *o); /* nothing is being written */

/* Put "PUBLISH channel <head><message>" at the end.  Returns 0, or SIO_ERR_BUSY (a bound is
 * reached, or memory ran out). */
SIO_MUST_CHECK int outbox_put(struct outbox *o, sio_slice channel, sio_slice head, sio_slice message, uint64_t now_ms,
			      enum outbox_kind kind);

/* Hand over what waits, as at most max pieces of a write: their number.  Until
 * outbox_wrote nothing more is handed over. */
struct outbox_piece {
	const char *p;
	size_t n;
};
size_t outbox_take(struct outbox *o, bool is_sharded, struct outbox_piece *out, size_t max);
void outbox_wrote(struct outbox *o);

/* Redis has the first.  false: it was asked for nothing. */
SIO_MUST_CHECK bool outbox_acked(struct outbox *o);
/* Redis will not have the first, which counts as lost.  false: it is none for the outside. */
SIO_MUST_CHECK bool outbox_refused(struct outbox *o);

/* The connection is gone, and nothing is being written: everything waits again. */
void outbox_rewind(struct outbox *o);

/* Drop what waits since before then; only behind a rewind.  Returns how many messages to nodes. */
size_t outbox_expire(struct outbox *o, uint64_t then_ms);

#endif
