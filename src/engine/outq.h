/* outq.h -- what one client has still to receive: a queue of shared frames.
 *
 * A single frame stands in the queue itself; more wait in chunks from a pool of the
 * worker.  So an empty queue holds no memory, a busy one allocates nothing, and one
 * message to a thousand clients touches no more than their queues.  The first frame may be written in
 * part; sent_n tells how far.  Whoever writes peeks iovecs and consumes bytes
 * (WebSocket), or walks the frames and pops them (polling).
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef ENGINE_OUTQ_H
#define ENGINE_OUTQ_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/pool.h"
#include "codec/frame.h"

enum { OUTQ_CHUNK = 29 };

struct outq_chunk {
	struct outq_chunk *next;
	struct frame *frame[OUTQ_CHUNK];
};

/* Invariant: without a tail there is one frame (only) or none (only is NULL);
 * with one the frames are head->frame[first] ... tail->frame[end - 1].  bytes is
 * their WebSocket size less sent_n. */
struct outq {
	union {
		struct frame *only;
		struct outq_chunk *head;
	};
	struct outq_chunk *tail;
	uint32_t n;
	uint32_t bytes;
	uint32_t sent_n;
	uint16_t first, end;
};

bool outq_is_sane(const struct outq *q);

/* Append a frame; the queue takes a reference of its own.  false: out of memory. */
bool outq_grow(struct outq *q, struct pool *chunks); /* for outq_push */
static inline bool outq_push(struct outq *q, struct pool *chunks, struct frame *f)
{
	if (q->n == 0) {
		q->only = frame_ref(f);
	} else {
		if ((!q->tail || q->end == OUTQ_CHUNK) && !outq_grow(q, chunks))
			return false;
		q->tail->frame[q->end++] = frame_ref(f);
	}
	q->n++;
	q->bytes += f->n;
	return true;
}

/* Put f in the place of the last waiting frame of the same key, among the newest
 * ones.  false: there is none. */
bool outq_replace(struct outq *q, struct frame *f);

/* Up to max iovecs of the WebSocket form, from where writing stopped. */
int outq_peek(const struct outq *q, struct iovec *iov, int max);

/* That many bytes of it have been written. */
void outq_consume(struct outq *q, struct pool *chunks, size_t bytes);

/* Put other(frame, ctx) in the place of each waiting frame, none of which is half
 * written.  A frame for which it gives NULL stays. */
typedef struct frame *outq_other_fn(struct frame *f, const void *ctx);
void outq_convert(struct outq *q, outq_other_fn *other, const void *ctx);

struct frame *outq_first(const struct outq *q);  /* NULL when empty */
void outq_pop(struct outq *q, struct pool *chunks);
void outq_clear(struct outq *q, struct pool *chunks);

#endif
