/* carry_stream.c -- one end of a carried connection's bytes: what may be sent, what was heard.
 *
 * Numbers and a buffer; knows neither node nor connection.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "host/carry.h"

enum { OUT_KEPT = 4096 }; /* bytes of a buffer that stay once it is empty */

static size_t unsent_n(const struct carry_stream *s)
{
	return s->out.n - s->out_sent;
}

static void trim(struct carry_stream *s)
{
	if (unsent_n(s) > 0)
		return;
	s->out_sent = 0;
	if (s->out.cap > OUT_KEPT)
		buf_fini(&s->out);
	else
		buf_clear(&s->out);
}

bool carry_stream_next(struct carry_stream *s, struct cluster_message *m)
{
	size_t n = unsent_n(s), room = CARRY_WINDOW - s->open;
	bool is_end;

	if (s->is_ended)
		return false;
	if (n == 0)
		trim(s); /* the last message is out: what it pointed to may go */
	n = n < room ? n : room;
	n = n < CLUSTER_PIECE_MAX ? n : CLUSTER_PIECE_MAX;
	is_end = s->end != CARRY_MORE && n == unsent_n(s);
	if (n == 0 && !is_end && s->owed < CARRY_WINDOW / 2)
		return false;
	m->at = s->sent;
	m->taken = s->owed;
	m->end = is_end ? s->end : (uint16_t)CARRY_MORE;
	m->bytes = sio_bytes(s->out.p + s->out_sent, n);
	s->owed = 0;
	s->out_sent += n;
	s->sent += n;
	s->open += (uint32_t)n;
	s->is_ended = is_end;
	return true;
}

int carry_stream_hear(struct carry_stream *s, const struct cluster_message *m)
{
	if (m->at != s->heard || m->taken > s->open || m->bytes.n > CARRY_WINDOW - (size_t)s->held - s->owed)
		return SIO_ERR_PROTO;
	s->open -= m->taken;
	s->heard += m->bytes.n;
	s->held += (uint32_t)m->bytes.n;
	return SIO_OK;
}

void carry_stream_taken(struct carry_stream *s)
{
	s->owed += s->held;
	s->held = 0;
}

size_t carry_stream_waiting(const struct carry_stream *s)
{
	return unsent_n(s) + s->open;
}

void carry_stream_fini(struct carry_stream *s)
{
	buf_fini(&s->out);
}
