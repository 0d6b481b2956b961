/* polling.c -- a session over HTTP long-polling: GETs that wait, POSTs that bring.
 *
 * Section 6 of the reference; knows payloads, not HTTP.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "codec/eio.h"
#include "codec/utf8.h"
#include "engine/inner.h"

static void finish_closing(struct eio_session *s)
{
	/* Section 9: the GET after the last packets learns of the end. */
	if (s->has_get && s->out.n == 0) {
		s->has_get = false;
		s->engine->ops->answer(s, EIO_WIRE_GET, 200, SIO_LIT("6\x1e"
								     "1"));
		eio_discard(s, "forced close");
	}
}

/* Two requests of a kind at once (section 6): the newcomer is refused by the layer
 * below, the session ends. */
static void on_overlap(struct eio_session *s)
{
	session_end(s, &(struct ending){ .reason = "transport error", .get_body = "1" });
}

bool eio_get_begin(struct eio_session *s)
{
	if (s->has_get)
		on_overlap(s);
	return s->state != EIO_S_CLOSED || s->is_lingering;
}

void eio_get(struct eio_session *s)
{
	if (s->is_lingering) {
		s->is_lingering = false;
		s->engine->ops->answer(s, EIO_WIRE_GET, 200, SIO_LIT("6"));
		session_gone(s);
		return;
	}
	s->has_get = true;
	if (s->out.n > 0)
		session_mark_dirty(s);
	else if (s->state == EIO_S_CLOSING)
		finish_closing(s);
}

void eio_get_gone(struct eio_session *s)
{
	s->has_get = false;
	session_end(s, &(struct ending){ .reason = "transport error" });
}

bool eio_post_begin(struct eio_session *s)
{
	if (s->has_post)
		on_overlap(s);
	if (s->state == EIO_S_CLOSED)
		return false;
	s->has_post = true;
	return true;
}

/* Deliver a payload's packets until one is bad or the session ends. */
static int read_payload(struct eio_session *s, char *body, size_t n)
{
	struct eio_packet p;
	int err;

	if (!body) /* an empty body is one empty packet, which is none */
		return SIO_ERR_PROTO;
	if (!utf8_ok(body, n))
		return SIO_ERR_UTF8;
	for (uint32_t i = 0; (err = eio_payload_next(&body, &n, &p)) == SIO_OK; i++) {
		if (i == s->engine->limits.packets_n)
			return SIO_ERR_LIMIT;
		session_on_packet(s, &p);
		if (!eio_is_open(s))
			return SIO_OK;
	}
	return err == SIO_ERR_NOENT ? SIO_OK : err;
}

void eio_post(struct eio_session *s, char *body, size_t n)
{
	int err = SIO_OK;

	s->is_delivering = true;
	if (eio_is_open(s))
		err = read_payload(s, body, n);
	s->is_delivering = false;
	s->has_post = false;
	if (err < 0) {
		s->engine->ops->answer(s, EIO_WIRE_POST, 400, sio_bytes("", 0));
		session_on_parse_error(s);
		return;
	}
	s->engine->ops->answer(s, EIO_WIRE_POST, 200, SIO_LIT("ok"));
}

/* The status tells the client what it did wrong, and it closes by that.  "1" in the answer
 * to its pending GET would tell it "closed by the server" as well, perhaps first: so that
 * one waits for the client to hang up. */
void eio_post_refuse(struct eio_session *s, int status)
{
	s->has_post = false;
	s->engine->ops->answer(s, EIO_WIRE_POST, status, sio_bytes("", 0));
	if (s->has_get)
		session_end_after_refusal(s);
	else
		session_end(s, &(struct ending){ .reason = "transport error" });
}

void eio_post_gone(struct eio_session *s)
{
	s->has_post = false;
	session_end(s, &(struct ending){ .reason = "transport error", .get_body = "1" });
}

bool eio_take_payload(struct eio_session *s, struct buf *out)
{
	bool is_first = true, is_open_packet = false, may_compress = false;

	s->engine->queued_bytes -= s->out.bytes;
	while (s->out.n > 0 && !is_open_packet) {
		if (!is_first)
			buf_byte(out, EIO_SEPARATOR);
		is_first = false;
		sio_slice packet = frame_peek_poll(outq_first(&s->out));
		may_compress |= !outq_first(&s->out)->no_compress;
		buf_slice(out, packet);
		out->failed |= packet.n == 0; /* no memory for its polling form */
		is_open_packet = packet.n > 0 && packet.p[0] == '0'; /* section 4.1: alone */
		outq_pop(&s->out, &s->engine->chunks);
	}
	s->engine->queued_bytes += s->out.bytes;
	s->has_get = false;
	if (s->wants_drain && s->out.n == 0)
		session_drained(s);
	return may_compress;
}
