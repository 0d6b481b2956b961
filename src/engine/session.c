/* session.c -- the life of one Engine.IO session; see engine.h for the diagram.
 *
 * The only writer of a session's state.  Knows the queue, the heartbeat, packets and
 * the one way to end; polling and the upgrade stand in files of their own.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "engine/inner.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/eio.h"

enum {
	CLOSE_WAIT_MS = 30000, /* section 1: how long a closing polling session waits for a GET */
	BURST_FACTOR = 16,     /* send_queue_bytes times this, before the first write */
	LINGER_MS = 100,       /* section 16.8: a GET that crossed the client's "1" */
	REFUSED_WAIT_MS = 1000, /* how long a GET stays pending beside a POST that was refused */
	QUEUE_MAX = 1 << 30,   /* with one more frame outq.bytes still holds it */
};

#define TO(state) (1u << (state))
static const struct {
	const char *name;
	unsigned next;
} eio_states[EIO_NSTATES] = {
	[EIO_S_OPEN] = { "open", TO(EIO_S_PROBING) | TO(EIO_S_CLOSING) | TO(EIO_S_CLOSED) },
	[EIO_S_PROBING] = { "probing", TO(EIO_S_OPEN) | TO(EIO_S_CLOSING) | TO(EIO_S_CLOSED) },
	[EIO_S_CLOSING] = { "closing", TO(EIO_S_CLOSED) },
	[EIO_S_CLOSED] = { "closed", 0 },
};

void session_move(struct eio_session *s, enum eio_state to)
{
	assert(eio_states[s->state].next & TO(to));
	s->state = (uint8_t)to;
	assert(eio_is_sane(s));
}

bool eio_is_sane(const struct eio_session *s)
{
	bool may_probe = s->state == EIO_S_PROBING || (s->state == EIO_S_CLOSING && s->transport == EIO_POLLING);

	return outq_is_sane(&s->out) && (s->probe ? may_probe : s->state != EIO_S_PROBING) &&
	       !(s->has_get && s->transport == EIO_WEBSOCKET) && !(s->state == EIO_S_CLOSED && s->has_get);
}

int eio_engine_init(struct eio_engine *e, const struct eio_limits *limits, const struct eio_ops *ops, struct wheel *wheel)
{
	*e = (struct eio_engine){ .limits = *limits, .ops = ops, .wheel = wheel };
	frame_pool_init(&e->frames);
	pool_init(&e->chunks, sizeof(struct outq_chunk));
	map_init(&e->sessions);
	e->ping = frame_of_text(&e->frames, WS_TEXT, SIO_LIT("2"));
	return e->ping ? SIO_OK : SIO_ERR_NOMEM;
}

void eio_engine_set_node(struct eio_engine *e, sio_slice node)
{
	assert(node.n == RANDOM_ID_LEN && e->sessions.n == 0);
	memcpy(e->node, node.p, node.n);
	e->node_n = (uint8_t)node.n;
}

size_t eio_sid(const struct eio_session *s, char out[EIO_SID_MAX])
{
	memcpy(out, s->engine->node, s->engine->node_n);
	memcpy(out + s->engine->node_n, s->sid, RANDOM_ID_LEN);
	return s->engine->node_n + (size_t)RANDOM_ID_LEN;
}

void eio_engine_fini(struct eio_engine *e)
{
	if (e->ping)
		frame_unref(e->ping);
	map_fini(&e->sessions);
	pool_fini(&e->chunks);
	frame_pool_fini(&e->frames);
}

/* ---- the queue ----------------------------------------------------------------- */

void session_mark_dirty(struct eio_session *s)
{
	if (s->is_dirty)
		return;
	s->is_dirty = true;
	s->next_dirty = s->engine->dirty;
	s->engine->dirty = s;
}

/* How much may wait: a client that was not written to yet this turn may have any
 * burst coming; one that is behind has used up its patience. */
static uint64_t queue_limit(const struct eio_session *s)
{
	uint64_t limit = (uint64_t)s->engine->limits.send_queue_bytes * (eio_is_lagging(s) ? 1 : BURST_FACTOR);

	return limit < QUEUE_MAX ? limit : QUEUE_MAX;
}

static bool enqueue(struct eio_session *s, struct frame *f)
{
	bool is_queued = s->out.bytes <= queue_limit(s) && outq_push(&s->out, &s->engine->chunks, f);

	if (is_queued)
		s->engine->queued_bytes += f->n;
	else
		s->is_slow = true; /* whoever walks a room goes on walking; the flush cuts it */
	session_mark_dirty(s);
	return is_queued;
}

/* A volatile frame for a client that is behind: the newest of its key survives. */
static bool give_way(struct eio_session *s, struct frame *f)
{
	struct eio_engine *e = s->engine;
	uint32_t before = s->out.bytes;

	if (f->key && outq_replace(&s->out, f)) {
		e->queued_bytes += s->out.bytes - (uint64_t)before;
		e->volatile_replaced++;
		return true;
	}
	if (f->key && s->out.bytes <= e->limits.send_queue_bytes / 2)
		return false;
	e->volatile_dropped++;
	return true;
}

struct frame *session_form(const struct eio_session *s, struct frame *f)
{
	if (s->is_b64)
		f = frame_peek_b64(f);
	return f && s->deflate_bits ? frame_peek_deflated(f, s->deflate_bits) : f;
}

/* False: it was not queued.  Inline, so that the one look at is_traced is all that tracing costs who is not traced. */
static inline __attribute__((always_inline)) bool send_frame(struct eio_session *s, struct frame *f)
{
	bool is_queued;

	if (s->state > EIO_S_PROBING || s->is_slow)
		return false;
	if ((s->is_b64 || s->deflate_bits) && s->transport == EIO_WEBSOCKET && !(f = session_form(s, f))) {
		s->is_slow = true; /* no memory: a gap in the stream would be worse than its end */
		session_mark_dirty(s);
		return false;
	}
	if (f->is_volatile && eio_is_lagging(s) && give_way(s, f))
		return false;
	is_queued = enqueue(s, f);
	s->engine->deliveries += is_queued;
	return is_queued;
}

static __attribute__((noinline)) void send_traced(struct eio_session *s, struct frame *f)
{
	if (send_frame(s, f))
		s->engine->ops->sent(s, f);
}

void eio_send(struct eio_session *s, struct frame *f)
{
	if (__builtin_expect(s->engine->is_traced, false))
		send_traced(s, f);
	else
		(void)send_frame(s, f);
}

void session_drained(struct eio_session *s)
{
	s->wants_drain = false;
	if (eio_is_open(s))
		s->engine->ops->drained(s);
}

static void drop_queue(struct eio_session *s)
{
	s->engine->queued_bytes -= s->out.bytes;
	outq_clear(&s->out, &s->engine->chunks);
}

/* ---- the one way to end --------------------------------------------------------- */

void session_gone(struct eio_session *s)
{
	s->is_lingering = false;
	wheel_del(&s->timer);
	map_del(&s->engine->sessions, &s->by_sid);
	s->engine->ops->gone(s);
}

static void on_linger_over(struct sio_timer *timer)
{
	session_gone(MAP_OWNER(timer, struct eio_session, timer));
}

void session_end(struct eio_session *s, const struct ending *how)
{
	const struct eio_ops *ops = s->engine->ops;
	bool was_open = s->state <= EIO_S_PROBING, had_get = s->has_get, had_probe = s->probe != NULL;
	int ws_code = s->out.sent_n > 0 ? EIO_WS_CUT : how->ws_code; /* no close frame inside another */

	if (s->state == EIO_S_CLOSED)
		return;
	if (had_probe)
		probe_drop(s);
	wheel_del(&s->timer);
	drop_queue(s);
	s->has_get = false;
	session_move(s, EIO_S_CLOSED);
	if (had_probe)
		ops->ws_close(s, EIO_WIRE_PROBE, 0);
	if (had_get)
		ops->answer(s, EIO_WIRE_GET, 200, sio_str(how->get_body));
	if (s->transport == EIO_WEBSOCKET && !how->is_wire_gone)
		ops->ws_close(s, EIO_WIRE_WS, ws_code);
	if (was_open)
		ops->closed(s, how->reason);
	if (how->may_linger && !had_get && s->transport == EIO_POLLING) {
		s->is_lingering = true;
		wheel_set(s->engine->wheel, &s->timer, s->engine->now_ms + LINGER_MS, on_linger_over);
		return;
	}
	session_gone(s);
}

void eio_discard(struct eio_session *s, const char *reason)
{
	session_end(s, &(struct ending){ .reason = reason, .get_body = "1" });
}

static void on_close_wait_over(struct sio_timer *timer)
{
	eio_discard(MAP_OWNER(timer, struct eio_session, timer), "forced close");
}

void eio_close(struct eio_session *s, const char *reason)
{
	if (s->state > EIO_S_PROBING)
		return;
	if (s->out.n == 0 && (s->transport == EIO_WEBSOCKET || s->has_get)) {
		eio_discard(s, reason);
		return;
	}
	/* Section 10.2: a client that has its 3probe polls no more and learns of the end
	 * behind its "5"; any other goes on polling. */
	if (s->probe && !probe_is_confirmed(s))
		probe_abort(s);
	session_move(s, EIO_S_CLOSING);
	s->engine->ops->closed(s, reason);
	wheel_set(s->engine->wheel, &s->timer, s->engine->now_ms + CLOSE_WAIT_MS, on_close_wait_over);
	session_mark_dirty(s);
}

void session_end_after_refusal(struct eio_session *s)
{
	if (s->state > EIO_S_PROBING)
		return; /* its end is on its way */
	if (s->probe)
		probe_abort(s);
	drop_queue(s);
	session_move(s, EIO_S_CLOSING);
	s->engine->ops->closed(s, "transport error");
	wheel_set(s->engine->wheel, &s->timer, s->engine->now_ms + REFUSED_WAIT_MS, on_close_wait_over);
}

void eio_engine_relax(struct eio_engine *e)
{
	frame_pool_relax(&e->frames);
	pool_relax(&e->chunks);
}

void eio_engine_discard_all(struct eio_engine *e, const char *reason)
{
	struct eio_session **all = malloc(e->sessions.n * sizeof(struct eio_session *) + 1);
	uint32_t i, n = 0;

	if (!all)
		return; /* the process is ending; the peers see their connections close */
	/* Whoever hears of one end may cause another: walk a copy.  Their memory stays
	 * until the flush. */
	for (struct map_node *node = map_first(&e->sessions, &i); node; node = map_next(&e->sessions, &i, node))
		all[n++] = MAP_OWNER(node, struct eio_session, by_sid);
	while (n-- > 0) {
		if (all[n]->is_lingering)
			session_gone(all[n]);
		else
			eio_discard(all[n], reason);
	}
	free(all);
}

/* ---- heartbeat (section 8) -------------------------------------------------------- */

static void on_heartbeat(struct sio_timer *timer)
{
	struct eio_session *s = MAP_OWNER(timer, struct eio_session, timer);
	struct eio_engine *e = s->engine;

	if (s->is_ping_out) {
		eio_discard(s, "ping timeout");
		return;
	}
	s->is_ping_out = true;
	wheel_set(e->wheel, &s->timer, e->now_ms + e->limits.ping_timeout_ms, on_heartbeat);
	enqueue(s, e->ping);
}

static void on_pong(struct eio_session *s)
{
	s->is_ping_out = false;
	wheel_set(s->engine->wheel, &s->timer, s->engine->now_ms + s->engine->limits.ping_interval_ms, on_heartbeat);
}

/* ---- opening (section 4) ------------------------------------------------------------ */

static struct frame *open_packet(struct eio_session *s, enum eio_transport transport)
{
	const struct eio_limits *l = &s->engine->limits;
	bool has_upgrade = transport == EIO_POLLING && !l->no_websocket && !l->no_upgrades;
	char text[256], sid[EIO_SID_MAX];
	int n = snprintf(text, sizeof(text),
			 "0{\"sid\":\"%.*s\",\"upgrades\":[%s],\"pingInterval\":%u,\"pingTimeout\":%u,\"maxPayload\":%u}",
			 (int)eio_sid(s, sid), sid, has_upgrade ? "\"websocket\"" : "", l->ping_interval_ms,
			 l->ping_timeout_ms, l->max_payload_bytes);

	return frame_of_text(&s->engine->frames, WS_TEXT, sio_bytes(text, (size_t)n));
}

int eio_open(struct eio_session *s, struct eio_engine *e, enum eio_transport transport)
{
	char sid[RANDOM_ID_LEN + 1];
	struct frame *open;

	*s = (struct eio_session){ .engine = e, .state = EIO_S_OPEN, .transport = (uint8_t)transport };
	random_id(sid);
	memcpy(s->sid, sid, RANDOM_ID_LEN);
	open = open_packet(s, transport);
	if (!open)
		return SIO_ERR_NOMEM;
	if (map_put(&e->sessions, &s->by_sid, sio_bytes(s->sid, RANDOM_ID_LEN)) < 0) {
		frame_unref(open);
		return SIO_ERR_NOMEM;
	}
	s->has_get = transport == EIO_POLLING; /* the handshake's own GET */
	wheel_set(e->wheel, &s->timer, e->now_ms + e->limits.ping_interval_ms, on_heartbeat);
	enqueue(s, open);
	frame_unref(open);
	return SIO_OK;
}

/* ---- packets in (section 5) ---------------------------------------------------------- */

/* One packet of the current transport.  Afterwards the session may have ended. */
void session_on_packet(struct eio_session *s, const struct eio_packet *p)
{
	switch (p->type) {
	case EIO_MESSAGE:
		s->engine->ops->message(s, p->data, p->n, p->is_binary);
		return;
	case EIO_PONG:
		on_pong(s);
		return;
	case EIO_PING: /* wrong direction in revision 4 */
		session_end(s, &(struct ending){ .reason = "transport error", .get_body = "1" });
		return;
	case EIO_CLOSE:
		session_end(s, &(struct ending){ .reason = "transport close", .get_body = "6", .may_linger = true });
		return;
	case EIO_OPEN:
	case EIO_UPGRADE:
	case EIO_NOOP:
		return;
	}
}

void session_on_parse_error(struct eio_session *s)
{
	s->engine->parse_errors++;
	session_end(s, &(struct ending){ .reason = "parse error", .get_body = "1" });
}

void eio_ws_text(struct eio_session *s, char *data, size_t n)
{
	struct eio_packet p;

	if (!eio_is_open(s))
		return;
	if (eio_packet_read(data, n, &p) < 0)
		session_on_parse_error(s);
	else
		session_on_packet(s, &p);
}

void eio_ws_binary(struct eio_session *s, char *data, size_t n)
{
	if (eio_is_open(s))
		s->engine->ops->message(s, data, n, true);
}

/* ---- WebSocket (section 7) ------------------------------------------------------------------ */

void eio_ws_sent(struct eio_session *s, size_t bytes, bool is_blocked)
{
	if (s->state == EIO_S_CLOSED)
		return;
	outq_consume(&s->out, &s->engine->chunks, bytes);
	s->engine->queued_bytes -= bytes;
	s->is_blocked = is_blocked;
	if (s->state == EIO_S_CLOSING && s->out.n == 0)
		eio_discard(s, "forced close");
	else if (s->wants_drain && s->out.n == 0)
		session_drained(s);
}

void eio_ws_deflate(struct eio_session *s, unsigned window_bits)
{
	s->deflate_bits = window_bits & 15;
}

void eio_ws_ready(struct eio_session *s)
{
	s->is_blocked = false;
	if (s->out.n > 0)
		session_mark_dirty(s);
}

void eio_cut_slow(struct eio_session *s)
{
	s->engine->slow++;
	session_end(s, &(struct ending){ .reason = "transport close", .get_body = "1", .ws_code = EIO_WS_CUT });
}

void eio_ws_gone(struct eio_session *s, const char *reason)
{
	session_end(s, &(struct ending){ .reason = reason, .is_wire_gone = true });
}

void eio_ws_fault(struct eio_session *s, int code)
{
	/* Section 7: a message too big ends in "transport error", as do frame errors. */
	session_end(s, &(struct ending){ .reason = "transport error", .ws_code = code });
}
