/* outq.c -- see outq.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "engine/outq.h"

#include <assert.h>

/* How far back outq_replace looks: a reader that lags this far has lost more than
 * an old cursor. */
enum { REPLACE_LOOK_BACK = 4 * OUTQ_CHUNK };

bool outq_is_sane(const struct outq *q)
{
	if (q->n == 0)
		return !q->head && !q->tail && q->bytes == 0 && q->sent_n == 0;
	return q->head && q->tail && !q->tail->next && q->first < OUTQ_CHUNK && q->end >= 1 &&
	       q->end <= OUTQ_CHUNK && q->sent_n < q->head->frame[q->first]->n;
}

bool outq_grow(struct outq *q, struct pool *chunks)
{
	struct outq_chunk *chunk = pool_take(chunks);

	if (!chunk)
		return false;
	chunk->next = NULL;
	if (q->tail)
		q->tail->next = chunk;
	else {
		q->head = chunk;
		q->first = 0;
	}
	q->tail = chunk;
	q->end = 0;
	return true;
}

bool outq_replace(struct outq *q, struct frame *f)
{
	unsigned skip = q->n > REPLACE_LOOK_BACK ? q->n - REPLACE_LOOK_BACK : 0;
	unsigned i = q->first, left = q->n;

	for (struct outq_chunk *chunk = q->head; left > 0; chunk = chunk->next, i = 0) {
		for (; i < OUTQ_CHUNK && left > 0; i++, left--) {
			struct frame *old = chunk->frame[i];
			bool is_begun = left == q->n && q->sent_n > 0;
			if (q->n - left < skip || is_begun || !old->is_volatile || old->key != f->key)
				continue;
			chunk->frame[i] = frame_ref(f);
			q->bytes += f->n - old->n;
			frame_unref(old);
			return true;
		}
	}
	return false;
}

int outq_peek(const struct outq *q, struct iovec *iov, int max)
{
	uint32_t left = q->n, skip = q->sent_n;
	unsigned i = q->first;
	int n = 0;

	for (struct outq_chunk *chunk = q->head; left > 0 && n < max; chunk = chunk->next, i = 0) {
		for (; i < OUTQ_CHUNK && left > 0 && n < max; i++, left--) {
			struct frame *f = chunk->frame[i];
			iov[n].iov_base = f->data + f->start + skip;
			iov[n++].iov_len = f->n - skip;
			skip = 0;
		}
	}
	return n;
}

struct frame *outq_first(const struct outq *q)
{
	return q->n ? q->head->frame[q->first] : NULL;
}

void outq_pop(struct outq *q, struct pool *chunks)
{
	struct outq_chunk *chunk = q->head;
	struct frame *f = chunk->frame[q->first++];

	q->bytes -= f->n - q->sent_n;
	q->sent_n = 0;
	q->n--;
	if (q->n == 0) {
		q->head = q->tail = NULL;
		pool_give(chunks, chunk);
	} else if (q->first == OUTQ_CHUNK) {
		q->head = chunk->next;
		q->first = 0;
		pool_give(chunks, chunk);
	}
	frame_unref(f);
}

void outq_consume(struct outq *q, struct pool *chunks, size_t bytes)
{
	while (bytes > 0) {
		struct frame *f = outq_first(q);
		size_t left = f->n - q->sent_n;
		if (bytes < left) {
			q->sent_n += (uint32_t)bytes;
			q->bytes -= (uint32_t)bytes;
			return;
		}
		bytes -= left;
		outq_pop(q, chunks);
	}
}

void outq_clear(struct outq *q, struct pool *chunks)
{
	while (q->n > 0)
		outq_pop(q, chunks);
}
