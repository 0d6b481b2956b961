/* upgrade.c -- from polling to WebSocket while packets go on (section 10).
 *
 * Until the client's "5" the polling transport stays the session's own; nothing but
 * the probe's answer goes over the new one.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include "engine/inner.h"

enum { NOOP_PERIOD_MS = 100 }; /* section 1: how often a pending GET is released while probing */

struct eio_probe {
	struct sio_timer timer;
	struct eio_session *session;
	uint64_t deadline_ms;
	bool is_confirmed;     /* 2probe came: pending GETs are to be released */
};

/* Before a session_move that fits, or in CLOSING. */
void probe_drop(struct eio_session *s)
{
	wheel_del(&s->probe->timer);
	free(s->probe);
	s->probe = NULL;
}

void probe_abort(struct eio_session *s)
{
	probe_drop(s);
	if (s->state == EIO_S_PROBING)
		session_move(s, EIO_S_OPEN);
	s->engine->ops->ws_close(s, EIO_WIRE_PROBE, 0);
}

bool probe_is_confirmed(const struct eio_session *s)
{
	return s->probe->is_confirmed;
}

static void on_probe_timer(struct sio_timer *timer)
{
	struct eio_probe *probe = MAP_OWNER(timer, struct eio_probe, timer);
	struct eio_session *s = probe->session;
	struct eio_engine *e = s->engine;
	uint64_t next = e->now_ms + NOOP_PERIOD_MS;

	if (e->now_ms >= probe->deadline_ms) {
		probe_abort(s);
		return;
	}
	wheel_set(e->wheel, timer, next < probe->deadline_ms ? next : probe->deadline_ms, on_probe_timer);
	if (probe->is_confirmed && s->has_get) {
		s->has_get = false;
		e->ops->answer(s, EIO_WIRE_GET, 200, SIO_LIT("6"));
	}
}

bool eio_probe_begin(struct eio_session *s)
{
	struct eio_engine *e = s->engine;
	struct eio_probe *probe;

	if (s->state != EIO_S_OPEN || s->transport != EIO_POLLING)
		return false;
	probe = calloc(1, sizeof(*probe));
	if (!probe)
		return false;
	probe->session = s;
	probe->deadline_ms = e->now_ms + e->limits.upgrade_timeout_ms;
	s->probe = probe;
	session_move(s, EIO_S_PROBING);
	wheel_set(e->wheel, &probe->timer, probe->deadline_ms, on_probe_timer);
	return true;
}

static struct frame *ws_form(struct frame *f, const void *session)
{
	return session_form(session, f);
}

static void upgrade(struct eio_session *s)
{
	if (s->has_get) { /* a correct client has none; it must not read this as the end */
		s->has_get = false;
		s->engine->ops->answer(s, EIO_WIRE_GET, 200, SIO_LIT("6"));
		if (!s->probe) /* who heard of the answer has closed the session */
			return;
	}
	probe_drop(s);
	s->transport = EIO_WEBSOCKET;
	if (s->is_b64 || s->deflate_bits) {
		s->engine->queued_bytes -= s->out.bytes;
		outq_convert(&s->out, ws_form, s);
		s->engine->queued_bytes += s->out.bytes;
	}
	if (s->state == EIO_S_PROBING)
		session_move(s, EIO_S_OPEN);
	s->engine->upgrades++;
	s->engine->ops->upgraded(s);
	if (s->out.n > 0)
		session_mark_dirty(s);
	else if (s->state == EIO_S_CLOSING)
		eio_discard(s, "forced close");
}

void eio_probe_text(struct eio_session *s, char *data, size_t n)
{
	sio_slice text = sio_bytes(data, n);

	if (!s->probe)
		return;
	if (sio_slice_eq(text, SIO_LIT("2probe"))) {
		uint64_t next = s->engine->now_ms + NOOP_PERIOD_MS;
		s->probe->is_confirmed = true;
		if (next < s->probe->deadline_ms)
			wheel_set(s->engine->wheel, &s->probe->timer, next, on_probe_timer);
		s->engine->ops->probe_text(s, SIO_LIT("3probe"));
	} else if (sio_slice_eq(text, SIO_LIT("5"))) {
		upgrade(s);
	} else {
		probe_abort(s);
	}
}

void eio_probe_gone(struct eio_session *s)
{
	if (!s->probe)
		return;
	probe_drop(s);
	if (s->state == EIO_S_PROBING)
		session_move(s, EIO_S_OPEN);
}
