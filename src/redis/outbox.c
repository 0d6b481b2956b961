/* outbox.c -- see outbox.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "redis/outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_MAX = 48, MIDDLE_MAX = 32 };

/* One command: its head is made when it is known which kind of publish Redis wants. */
struct parcel {
	struct parcel *next;
	uint64_t at_ms;
	size_t n;
	uint32_t channel_n;
	bool is_outside;
	char head[HEAD_MAX];
	char body[]; /* channel, length of the rest, head and message */
};

static size_t weight(const struct parcel *p)
{
	return sizeof(*p) + p->n;
}

void outbox_init(struct outbox *o, uint32_t n_max, size_t bytes_max)
{
	*o = (struct outbox){ .n_max = n_max, .bytes_max = bytes_max };
	o->last = &o->first;
}

static void drop_first(struct outbox *o)
{
	struct parcel *p = o->first;

	o->first = p->next;
	if (!o->first)
		o->last = &o->first;
	if (o->unsent == p)
		o->unsent = p->next;
	o->n--;
	o->bytes -= weight(p);
	free(p);
}

void outbox_fini(struct outbox *o)
{
	while (o->first)
		drop_first(o);
}

static char *add(char *at, sio_slice s)
{
	if (s.n)
		memcpy(at, s.p, s.n);
	return at + s.n;
}

int outbox_put(struct outbox *o, sio_slice channel, sio_slice head, sio_slice message, uint64_t now_ms,
	       enum outbox_kind kind)
{
	char middle[MIDDLE_MAX];
	int middle_n = snprintf(middle, sizeof(middle), "\r\n$%zu\r\n", head.n + message.n);
	size_t n = channel.n + (size_t)middle_n + head.n + message.n + 2;
	struct parcel *p;
	char *at;

	if (kind != OUTBOX_URGENT && (o->n >= o->n_max || o->bytes + sizeof(*p) + n > o->bytes_max))
		return SIO_ERR_BUSY;
	p = malloc(sizeof(*p) + n);
	if (!p)
		return SIO_ERR_BUSY;
	p->next = NULL;
	p->at_ms = now_ms;
	p->is_outside = kind == OUTBOX_OUTSIDE;
	p->n = n;
	p->channel_n = (uint32_t)channel.n;
	at = add(p->body, channel);
	at = add(at, sio_bytes(middle, (size_t)middle_n));
	at = add(at, head);
	at = add(at, message);
	add(at, SIO_LIT("\r\n"));
	*o->last = p;
	o->last = &p->next;
	if (!o->unsent)
		o->unsent = p;
	o->n++;
	o->bytes += weight(p);
	return SIO_OK;
}

size_t outbox_take(struct outbox *o, bool is_sharded, struct outbox_piece *out, size_t max)
{
	static const char plain[] = "*3\r\n$7\r\nPUBLISH\r\n", sharded[] = "*3\r\n$8\r\nSPUBLISH\r\n";
	size_t n = 0;

	if (o->writing_n > 0)
		return 0;
	for (; o->unsent && n + 2 <= max; o->unsent = o->unsent->next, o->writing_n++) {
		struct parcel *p = o->unsent;
		int head_n = snprintf(p->head, sizeof(p->head), "%s$%u\r\n", is_sharded && !p->is_outside ? sharded : plain, p->channel_n);

		out[n++] = (struct outbox_piece){ p->head, (size_t)head_n };
		out[n++] = (struct outbox_piece){ p->body, p->n };
	}
	return n;
}

void outbox_wrote(struct outbox *o)
{
	o->written_n += o->writing_n;
	o->writing_n = 0;
	for (; o->acked_n > 0 && o->written_n > 0; o->acked_n--, o->written_n--)
		drop_first(o);
}

/* Whom the next answer is about; NULL: nobody. */
static struct parcel *answered(const struct outbox *o)
{
	struct parcel *p = o->first;

	if (o->written_n == 0 && o->acked_n >= o->writing_n)
		return NULL;
	for (uint32_t i = o->written_n > 0 ? 0 : o->acked_n; i > 0; i--)
		p = p->next;
	return p;
}

static void take_answer(struct outbox *o)
{
	if (o->written_n > 0) {
		o->written_n--;
		drop_first(o);
	} else
		o->acked_n++;
}

bool outbox_acked(struct outbox *o)
{
	const struct parcel *p = answered(o);

	if (!p)
		return false;
	o->outside_sent += p->is_outside;
	take_answer(o);
	return true;
}

bool outbox_refused(struct outbox *o)
{
	const struct parcel *p = answered(o);

	if (!p || !p->is_outside)
		return false;
	o->outside_lost++;
	take_answer(o);
	return true;
}

/* Of the first n, those that must not be sent twice. */
static void drop_outside(struct outbox *o, uint32_t n)
{
	struct parcel **at = &o->first;

	for (; n > 0; n--) {
		struct parcel *p = *at;
		if (!p->is_outside) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		if (!*at)
			o->last = at;
		o->n--;
		o->bytes -= weight(p);
		o->outside_lost++;
		free(p);
	}
}

void outbox_rewind(struct outbox *o)
{
	drop_outside(o, o->written_n);
	o->written_n = o->acked_n = 0;
	o->unsent = o->first;
}

size_t outbox_expire(struct outbox *o, uint64_t then_ms)
{
	size_t n = 0;

	while (o->first && o->first->at_ms < then_ms) {
		o->outside_lost += o->first->is_outside;
		n += !o->first->is_outside;
		drop_first(o);
	}
	return n;
}
