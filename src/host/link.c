/* link.c -- sessions and the connections that carry them.
 *
 * Turns what the engine wishes into answers and frames, and what connections hear
 * into calls of the engine.  The flush is here: each session that has something to
 * say is written once a turn.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include "host/host.h"

enum { FLUSH_IOVECS = 256 };

/* ---- opening -------------------------------------------------------------------- */

void link_attach(struct link *link, enum eio_wire wire, struct net_conn *c)
{
	link->wire[wire] = c;
	c->owner = owner_of_wire(link, wire);
}

struct link *link_open(struct sio_server *server, struct net_conn *c, struct http1_request *req,
		       enum eio_transport transport)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link || !server->app->open(link, server, c, req)) {
		free(link);
		return NULL;
	}
	if (eio_open(&link->session, &server->engine, transport) < 0) {
		server->app->closed(link, "forced close");
		free(link);
		return NULL;
	}
	server->links++;
	server->links_total++;
	if (transport == EIO_WEBSOCKET)
		server->websockets++;
	return link;
}

void link_opened(struct link *link)
{
	link_server(link)->app->opened(link);
}

/* ---- what the engine wishes -------------------------------------------------------- */

static void on_message(struct eio_session *s, char *data, size_t n, bool is_binary)
{
	struct link *link = link_of(s);

	link_server(link)->app->message(link, data, n, is_binary);
}

static void on_closed(struct eio_session *s, const char *reason)
{
	struct link *link = link_of(s);
	struct sio_server *server = link_server(link);

	server->links--;
	if (s->transport == EIO_WEBSOCKET)
		server->websockets--;
	server->app->closed(link, reason);
}

static void on_drained(struct eio_session *s)
{
	link_server(link_of(s))->app->drained(link_of(s));
}

/* The connection of a wire, which is free afterwards. */
static struct net_conn *detach(struct link *link, enum eio_wire wire)
{
	struct net_conn *c = link->wire[wire];

	link->wire[wire] = NULL;
	if (c)
		c->owner = NULL;
	return c;
}

/* What else an answer says: to whom it may be shown, and what the application adds. */
static void answer_headers(struct eio_session *s, struct net_conn *c, bool may_be_first, struct buf *out)
{
	struct sio_server *server = link_server(link_of(s));
	const struct http1_request *req = http1_request(c->side->reader);
	bool is_initial = may_be_first && hooks_is_handshake(req);
	char sid[EIO_SID_MAX];

	origin_headers(server, req, out);
	if (is_initial && server->hooks.cookie.n) {
		buf_slice(out, buf_peek(&server->hooks.cookie));
		buf_put(out, sid, eio_sid(s, sid));
		buf_slice(out, buf_peek(&server->hooks.cookie_end));
	}
	hooks_headers(server, c, req, is_initial, out);
}

static void answer(struct eio_session *s, enum eio_wire wire, int status, sio_slice body, bool may_compress)
{
	struct sio_server *server = link_server(link_of(s));
	struct net_conn *c = detach(link_of(s), wire);
	const char *type = wire == EIO_WIRE_GET ? "text/plain; charset=UTF-8" : "text/html";
	struct buf h = { 0 };

	if (!c)
		return;
	buf_str(&h, "Cache-Control: no-store\r\n");
	/* Hooks first: what compress_body gives is good until somebody else compresses. */
	if (c->side->reader)
		answer_headers(s, c, wire == EIO_WIRE_GET && status == 200, &h);
	if (c->side->reader && may_compress && server->http_compression && body.n >= server->http_compression_min)
		body = compress_body(server, http1_request(c->side->reader), body, &h);
	if (status == 413)
		net_reply_last(c, status, NULL, buf_peek(&h), body);
	else
		net_reply(c, status, body.n ? type : NULL, buf_peek(&h), body);
	buf_fini(&h);
}

static void on_answer(struct eio_session *s, enum eio_wire wire, int status, sio_slice body)
{
	answer(s, wire, status, body, false);
}

static void on_probe_text(struct eio_session *s, sio_slice text)
{
	struct net_conn *c = link_of(s)->wire[EIO_WIRE_PROBE];

	if (c)
		net_ws_write(c, WS_TEXT, text);
}

static void on_upgraded(struct eio_session *s)
{
	struct link *link = link_of(s);
	struct net_conn *c = detach(link, EIO_WIRE_PROBE);

	if (eio_is_open(s)) /* else it is counted out already */
		link_server(link)->websockets++;
	link_attach(link, EIO_WIRE_WS, c);
	if (eio_is_open(s))
		link_server(link)->app->upgraded(link);
}

static void on_ws_close(struct eio_session *s, enum eio_wire wire, int code)
{
	struct net_conn *c = detach(link_of(s), wire);

	if (c)
		net_ws_close(c, code);
}

static void on_gone(struct eio_session *s)
{
	struct link *link = link_of(s);
	struct sio_server *server = link_server(link);
	struct net_conn *get = detach(link, EIO_WIRE_GET);

	if (get) /* its answer could not be made: out of memory */
		net_close(get);
	/* A POST still being read will find its sid unknown; one whose packets are being
	 * delivered right now is answered by who delivers them. */
	if (!s->is_delivering)
		detach(link, EIO_WIRE_POST);
	link->next_dead = server->dead;
	server->dead = link;
}

/* Only a server of Socket.IO is traced. */
static void on_sent(struct eio_session *s, struct frame *f)
{
	hub_trace_out(&link_of(s)->client, f);
}

const struct eio_ops link_eio_ops = {
	.message = on_message,
	.closed = on_closed,
	.answer = on_answer,
	.probe_text = on_probe_text,
	.upgraded = on_upgraded,
	.ws_close = on_ws_close,
	.gone = on_gone,
	.drained = on_drained,
	.sent = on_sent,
};

/* ---- what connections hear ------------------------------------------------------------ */

static void on_ping(struct link *link, enum eio_wire wire, sio_slice payload)
{
	struct frame *f;

	if (wire == EIO_WIRE_PROBE) {
		net_ws_write(link->wire[wire], WS_PONG, payload);
		return;
	}
	if (eio_is_lagging(&link->session)) /* RFC 6455 5.5.3: the latest ping alone need be answered */
		return;
	f = frame_of_text(&link->session.engine->frames, WS_PONG, payload);
	if (!f)
		return;
	eio_send(&link->session, f);
	frame_unref(f);
}

static void on_close_frame(struct link *link, enum eio_wire wire, const char *data, size_t n)
{
	struct net_conn *c = detach(link, wire);
	bool is_mid_frame = wire == EIO_WIRE_WS && link->session.out.sent_n > 0;
	int code = n >= 2 ? (unsigned char)data[0] << 8 | (unsigned char)data[1] : 0;

	if (c)
		net_ws_close(c, is_mid_frame ? EIO_WS_CUT : code);
	if (wire == EIO_WIRE_PROBE)
		eio_probe_gone(&link->session);
	else
		eio_ws_gone(&link->session, "transport close");
}

void link_ws_message(struct link *link, enum eio_wire wire, enum ws_op op, char *data, size_t n)
{
	switch (op) {
	case WS_PING:
		on_ping(link, wire, sio_bytes(data, n));
		return;
	case WS_CLOSE:
		on_close_frame(link, wire, data, n);
		return;
	case WS_TEXT:
		if (wire == EIO_WIRE_PROBE)
			eio_probe_text(&link->session, data, n);
		else
			eio_ws_text(&link->session, data, n);
		return;
	case WS_BINARY:
		if (wire == EIO_WIRE_PROBE) /* no probe is binary: refused like any wrong text */
			eio_probe_text(&link->session, data, 0);
		else
			eio_ws_binary(&link->session, data, n);
		return;
	default:
		return;
	}
}

void link_ws_fault(struct link *link, enum eio_wire wire, int code)
{
	struct sio_server *server = link_server(link);

	server->engine.parse_errors++;
	host_log(server, SIO_LOG_INFO, "WebSocket closed with %d: the client broke the frame rules or a limit (session %.6s...)",
		 code, link->session.sid);
	if (wire == EIO_WIRE_PROBE) {
		struct net_conn *c = detach(link, wire);
		net_ws_close(c, code);
		eio_probe_gone(&link->session);
	} else {
		eio_ws_fault(&link->session, code);
	}
}

void link_wire_gone(struct link *link, enum eio_wire wire)
{
	detach(link, wire);
	switch (wire) {
	case EIO_WIRE_GET:
		eio_get_gone(&link->session);
		return;
	case EIO_WIRE_POST:
		eio_post_gone(&link->session);
		return;
	case EIO_WIRE_WS:
		eio_ws_gone(&link->session, "transport close");
		return;
	default:
		eio_probe_gone(&link->session);
	}
}

/* ---- the flush ---------------------------------------------------------------------------- */

static void flush_ws(struct link *link)
{
	struct eio_session *s = &link->session;
	struct iovec iov[FLUSH_IOVECS];

	while (s->out.n > 0 && link->wire[EIO_WIRE_WS] && !s->is_blocked) {
		struct net_conn *c = link->wire[EIO_WIRE_WS];
		ssize_t sent = net_writev(c, iov, outq_peek(&s->out, iov, FLUSH_IOVECS));
		if (sent < 0) {
			detach(link, EIO_WIRE_WS);
			net_close(c);
			eio_ws_gone(s, "transport error");
			return;
		}
		eio_ws_sent(s, (size_t)sent, c->is_blocked);
	}
	/* Closing, and nothing was left to say. */
	if (s->state == EIO_S_CLOSING && s->out.n == 0)
		eio_ws_sent(s, 0, false);
}

static void flush_poll(struct link *link)
{
	struct buf *payload = &link_server(link)->payload;
	bool may_compress;

	if (!link->session.has_get || link->session.out.n == 0)
		return;
	buf_clear(payload);
	may_compress = eio_take_payload(&link->session, payload);
	if (payload->failed) {
		eio_discard(&link->session, "transport error");
		return;
	}
	answer(&link->session, EIO_WIRE_GET, 200, buf_peek(payload), may_compress);
}

static void flush_one(struct link *link)
{
	struct eio_session *s = &link->session;

	if (s->state == EIO_S_CLOSED)
		return;
	if (s->is_slow) {
		host_log(link_server(link), SIO_LOG_WARNING,
			 "Slow client cut: %u bytes waited for it (session %.6s...)", s->out.bytes, s->sid);
		eio_cut_slow(s);
	} else if (s->transport == EIO_WEBSOCKET) {
		flush_ws(link);
	} else {
		flush_poll(link);
	}
}

void link_flush_all(struct sio_server *server)
{
	while (server->engine.dirty) {
		struct eio_session *s = server->engine.dirty;
		server->engine.dirty = s->next_dirty;
		s->is_dirty = false;
		flush_one(link_of(s));
	}
	hub_reap(&server->hub);
	while (server->dead) {
		struct link *link = server->dead;
		server->dead = link->next_dead;
		free(link);
	}
	if (server->payload.cap > 65536)
		buf_fini(&server->payload);
}
