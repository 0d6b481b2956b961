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
		return !q->only && !q->tail && q->bytes == 0 && q->sent_n == 0;
	if (!q->tail)
		return q->n == 1 && q->only && q->sent_n < q->only->n;
	return q->head && !q->tail->next && q->first < OUTQ_CHUNK && q->end >= 1 && q->end <= OUTQ_CHUNK &&
	       q->sent_n < q->head->frame[q->first]->n;
}

bool outq_grow(struct outq *q, struct pool *chunks)
{
	struct outq_chunk *chunk = pool_take(chunks);

	if (!chunk)
		return false;
	chunk->next = NULL;
	q->end = 0;
	if (q->tail) {
		q->tail->next = chunk;
	} else { /* the only frame moves in */
		chunk->frame[q->end++] = q->only;
		q->head = chunk;
		q->first = 0;
	}
	q->tail = chunk;
	return true;
}

/* The place of the last waiting frame that f may replace, from the skip-th on. */
static struct frame **find_last(struct outq *q, unsigned skip, const struct frame *f)
{
	unsigned i = q->first, left = q->n;
	struct outq_chunk *chunk = q->head;
	struct frame **place = NULL;

	for (; skip >= OUTQ_CHUNK - i; chunk = chunk->next, i = 0) { /* whole chunks */
		if (left <= OUTQ_CHUNK - i)
			return NULL;
		skip -= OUTQ_CHUNK - i;
		left -= OUTQ_CHUNK - i;
	}
	i += skip;
	left -= skip;
	for (; left > 0; chunk = chunk->next, i = 0)
		for (; i < OUTQ_CHUNK && left > 0; i++, left--)
			if (chunk->frame[i]->is_volatile && chunk->frame[i]->key == f->key)
				place = &chunk->frame[i];
	return place;
}

bool outq_replace(struct outq *q, struct frame *f)
{
	/* A frame that is half written stays; how far back it is worth looking has an end. */
	unsigned skip = q->n > REPLACE_LOOK_BACK ? q->n - REPLACE_LOOK_BACK : q->sent_n > 0;
	struct frame **place = NULL, *old;

	/* The last one it is: an older one before it was sent when the client kept up,
	 * and must not be overtaken by the new value. */
	if (q->tail)
		place = find_last(q, skip, f);
	else if (q->n == 1 && !skip && q->only->is_volatile && q->only->key == f->key)
		place = &q->only;
	if (!place)
		return false;
	old = *place;
	*place = frame_ref(f);
	q->bytes += f->n - old->n;
	frame_unref(old);
	return true;
}

static struct iovec iovec_of(struct frame *f, uint32_t skip)
{
	return (struct iovec){ f->data + f->start + skip, f->n - skip };
}

int outq_peek(const struct outq *q, struct iovec *iov, int max)
{
	uint32_t left = q->n, skip = q->sent_n;
	unsigned i = q->first;
	int n = 0;

	if (q->n == 1 && !q->tail) {
		iov[0] = iovec_of(q->only, skip);
		return 1;
	}
	for (struct outq_chunk *chunk = q->head; left > 0 && n < max; chunk = chunk->next, i = 0) {
		for (; i < OUTQ_CHUNK && left > 0 && n < max; i++, left--) {
			iov[n++] = iovec_of(chunk->frame[i], skip);
			skip = 0;
		}
	}
	return n;
}

static void convert_one(struct outq *q, struct frame **place, outq_other_fn *other, const void *ctx)
{
	struct frame *old = *place, *f = other(old, ctx);

	if (!f || f == old)
		return;
	*place = frame_ref(f);
	q->bytes += f->n - old->n;
	frame_unref(old);
}

void outq_convert(struct outq *q, outq_other_fn *other, const void *ctx)
{
	unsigned left = q->n, i = q->first;

	if (q->n == 1 && !q->tail) {
		convert_one(q, &q->only, other, ctx);
		return;
	}
	for (struct outq_chunk *chunk = q->head; left > 0; chunk = chunk->next, i = 0)
		for (; i < OUTQ_CHUNK && left > 0; i++, left--)
			convert_one(q, &chunk->frame[i], other, ctx);
}

struct frame *outq_first(const struct outq *q)
{
	if (q->n == 0)
		return NULL;
	return q->tail ? q->head->frame[q->first] : q->only;
}

/* The first frame has left its place. */
static void pop_place(struct outq *q, struct pool *chunks)
{
	struct outq_chunk *chunk = q->head;

	if (!q->tail) {
		q->only = NULL;
	} else if (q->n == 0) {
		q->head = q->tail = NULL;
		pool_give(chunks, chunk);
	} else if (++q->first == OUTQ_CHUNK) {
		q->head = chunk->next;
		q->first = 0;
		pool_give(chunks, chunk);
	}
}

void outq_pop(struct outq *q, struct pool *chunks)
{
	struct frame *f = outq_first(q);

	q->bytes -= f->n - q->sent_n;
	q->sent_n = 0;
	q->n--;
	pop_place(q, chunks);
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
