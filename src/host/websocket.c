/* websocket.c -- plain WebSockets of the application: see <sio/websocket.h>.
 *
 *                        sio_ws_close             the peer's close frame
 *   websocket_head --> OPEN --------> CLOSING ------------------+
 *                        | the peer's close frame, a fault,     | the application
 *                        | the server's end                     | hears of the end
 *                        +--------------------------> FINISHING <
 *                        |                               | all is written, or time-out
 *   OPEN, CLOSING -------+--peer gone, time-out-------> GONE: freed at the end of the turn
 *
 * A connection has a queue of frames as a session of Engine.IO has one, so what is said
 * keeps its order: answers, then pongs, then the close frame.  Frames are read by net/,
 * written by codec/frame; here is what they mean.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <assert.h>
#include <stdlib.h>

#include "codec/utf8.h"
#include "host/host.h"

enum {
	FRAGMENTS_N = 65536,
	CLOSE_WAIT_MS = 2000,   /* for the peer's close frame, or to take our last bytes; anew with each progress */
	MESSAGE_MAX = 268435456,
	REASON_MAX = 123,
	FLUSH_IOVECS = 256,
	PONG_KEY = 1,           /* of outq_replace: the newest pong stands for those before it */
	CLOSE_GOING_AWAY = 1001,
};

enum ws_state { WS_OPEN, WS_CLOSING, WS_FINISHING, WS_GONE, WS_NSTATES };

#define TO(state) (1u << (state))
static const unsigned ws_moves[WS_NSTATES] = {
	[WS_OPEN] = TO(WS_CLOSING) | TO(WS_FINISHING) | TO(WS_GONE),
	[WS_CLOSING] = TO(WS_FINISHING) | TO(WS_GONE),
	[WS_FINISHING] = TO(WS_GONE),
	[WS_GONE] = 0,
};

struct ws_route {
	struct sio_ws_endpoint endpoint;
	void *arg;
};

struct sio_ws {
	struct sio_server *server;
	struct net_conn *conn;            /* NULL: not yet, or no more */
	const struct route *route;
	const struct http1_request *req;  /* its handshake, during may_open and on_open */
	struct sio_ws *next, **prev;      /* of the server's, until it is gone */
	struct sio_ws *next_dirty;        /* or of the dead */
	struct sio_timer timer;           /* heartbeat; in CLOSING and FINISHING the end of patience */
	struct outq out;
	void *data;
	const char *protocol;             /* the endpoint's text; NULL: none */
	uint32_t path_n, target_n, address_n;
	uint8_t state;                    /* enum ws_state, written by ws_move alone */
	bool is_dirty : 1;
	bool is_heard : 1;                /* the peer has been heard since the timer fired last */
	bool is_ping_out : 1;
	bool was_refused : 1;             /* a send was: on_drain is owed */
	char text[];                      /* target, address */
};

static struct ws_route *route_of(const struct sio_ws *ws)
{
	return route_ws(ws->route);
}

static void ws_move(struct sio_ws *ws, enum ws_state to)
{
	assert(ws_moves[ws->state] & TO(to));
	ws->state = (uint8_t)to;
}

static void mark_dirty(struct sio_ws *ws)
{
	if (ws->is_dirty || ws->state == WS_GONE)
		return;
	ws->is_dirty = true;
	ws->next_dirty = ws->server->ws_dirty;
	ws->server->ws_dirty = ws;
}

/* ---- ending -------------------------------------------------------------------------- */

/* The application hears of the end; the pointer is not its own any more afterwards. */
static void tell_close(struct sio_ws *ws, int code, sio_slice reason)
{
	const struct ws_route *route = route_of(ws);

	ws->server->ws_n--;
	if (route->endpoint.on_close)
		route->endpoint.on_close(ws, code, reason, route->arg);
}

static void drop_queue(struct sio_ws *ws)
{
	ws->server->ws_queued_bytes -= ws->out.bytes;
	outq_clear(&ws->out, &ws->server->engine.chunks);
}

/* The one way to the end of everything; the connection is cut unless it was given up before. */
static void ws_gone(struct sio_ws *ws, int code)
{
	bool was_told = ws->state == WS_FINISHING;
	struct net_conn *c = ws->conn;

	if (ws->state == WS_GONE)
		return;
	ws_move(ws, WS_GONE);
	wheel_del(&ws->timer);
	drop_queue(ws);
	ws->conn = NULL;
	if (c) {
		c->owner = NULL;
		net_close(c);
	}
	*ws->prev = ws->next;
	if (ws->next)
		ws->next->prev = ws->prev;
	if (!was_told)
		tell_close(ws, code, sio_bytes("", 0));
	if (!ws->is_dirty) {
		ws->next_dirty = ws->server->ws_dead;
		ws->server->ws_dead = ws;
	}
}

static void on_timer(struct sio_timer *timer);

static void set_timer(struct sio_ws *ws, uint32_t ms)
{
	sio_timer_start(ws->server, &ws->timer, ms, on_timer);
}

/* ---- queueing ------------------------------------------------------------------------- */

static bool enqueue(struct sio_ws *ws, struct frame *f)
{
	if (!outq_push(&ws->out, &ws->server->engine.chunks, f))
		return false;
	ws->server->ws_queued_bytes += f->n;
	mark_dirty(ws);
	return true;
}

static bool enqueue_control(struct sio_ws *ws, enum ws_op op, sio_slice payload)
{
	struct frame *f = frame_of_text(&ws->server->engine.frames, op, payload);
	bool is_queued = f && enqueue(ws, f);

	if (f)
		frame_unref(f);
	return is_queued;
}

/* code 0: an empty one. */
static bool enqueue_close(struct sio_ws *ws, int code, sio_slice reason)
{
	char payload[2 + REASON_MAX] = { (char)(code >> 8), (char)code };

	if (reason.n > 0)
		memcpy(payload + 2, reason.p, reason.n);
	return enqueue_control(ws, WS_CLOSE, sio_bytes(payload, code ? 2 + reason.n : 0));
}

/* Our last word goes behind what is queued; the application hears of the end now, with
 * code and reason.  say 0: an empty close frame; < 0: ours is out already. */
static void finish(struct sio_ws *ws, int say, int code, sio_slice reason)
{
	if (say >= 0 && !enqueue_close(ws, say, sio_bytes("", 0))) {
		ws_gone(ws, code); /* no memory */
		return;
	}
	ws_move(ws, WS_FINISHING);
	set_timer(ws, CLOSE_WAIT_MS);
	mark_dirty(ws);
	tell_close(ws, code, reason);
}

/* ---- opening --------------------------------------------------------------------------- */

/* The first protocol that the client names and the endpoint speaks; NULL: none. */
static const char *pick_protocol(const struct http1_request *req, const char *const *ours)
{
	for (size_t i = 0; i < req->headers_n && ours; i++) {
		sio_slice list = req->headers[i].value;
		if (!sio_slice_eq(req->headers[i].name, SIO_LIT("sec-websocket-protocol")))
			continue;
		while (list.p) {
			sio_slice name = http1_piece(&list, ',');
			for (const char *const *p = ours; *p; p++)
				if (sio_slice_eq(name, sio_str(*p)))
					return *p;
		}
	}
	return NULL;
}

static struct sio_ws *ws_new(struct sio_server *server, struct net_conn *c, const struct http1_request *req,
			     const struct route *route)
{
	struct sio_ws *ws;
	char address[64];
	size_t address_n;

	net_address(c, address);
	address_n = strlen(address);
	ws = calloc(1, sizeof(*ws) + req->target.n + address_n);
	if (!ws)
		return NULL;
	ws->server = server;
	ws->route = route;
	ws->req = req;
	ws->path_n = (uint32_t)req->path.n;
	ws->target_n = (uint32_t)req->target.n;
	ws->address_n = (uint32_t)address_n;
	memcpy(ws->text, req->target.p, req->target.n);
	memcpy(ws->text + req->target.n, address, address_n);
	ws->protocol = pick_protocol(req, route_of(ws)->endpoint.protocols);
	return ws;
}

/* Turn the connection into a WebSocket that belongs to ws. */
static void accept_conn(struct sio_ws *ws, struct net_conn *c, const char accept[29])
{
	struct sio_server *server = ws->server;
	const struct sio_ws_endpoint *e = &route_of(ws)->endpoint;
	unsigned deflate_bits = 0;
	struct buf h = { 0 };

	origin_headers(server, ws->req, &h);
	if (ws->protocol)
		buf_printf(&h, "Sec-WebSocket-Protocol: %s\r\n", ws->protocol);
	if (e->per_message_deflate)
		deflate_bits = handshake_deflate(ws->req, &h);
	net_ws_accept(c, accept, deflate_bits, buf_peek(&h));
	buf_fini(&h);
	ws->conn = c;
	c->owner = owner_of_ws(ws);
	ws->next = server->ws_all;
	ws->prev = &server->ws_all;
	if (ws->next)
		ws->next->prev = &ws->next;
	server->ws_all = ws;
	server->ws_n++;
	server->ws_total++;
	set_timer(ws, e->ping_interval_ms);
}

void websocket_head(struct sio_server *server, struct net_conn *c, struct http1_request *req, const struct route *route)
{
	const struct ws_route *r = route_ws(route);
	struct handshake_fault fault;
	struct sio_ws *ws;
	char accept[29];

	if (!handshake_check(req, accept, &fault)) {
		net_count_refused(c->net);
		net_reply_last(c, fault.status, "text/plain", fault.headers, fault.message);
		return;
	}
	ws = server_is_full(server) ? NULL : ws_new(server, c, req, route);
	if (!ws) {
		reply_problem(server, c, 503, "busy", true, "The server has reached its limit of connections");
		return;
	}
	if (r->endpoint.may_open && !r->endpoint.may_open(ws, r->arg)) {
		free(ws);
		reply_problem(server, c, 403, "refused", true, "This WebSocket may not be opened");
		return;
	}
	if (c->mode != NET_HTTP) { /* it has closed the server */
		free(ws);
		return;
	}
	accept_conn(ws, c, accept);
	if (r->endpoint.on_open)
		r->endpoint.on_open(ws, r->arg);
	ws->req = NULL; /* its memory stays until the end of the turn, whatever happened */
}

/* ---- what the connection hears ----------------------------------------------------------- */

struct ws_limits websocket_limits(const struct sio_ws *ws)
{
	const struct sio_ws_endpoint *e = &route_of(ws)->endpoint;

	return (struct ws_limits){ e->max_message_bytes, e->max_fragments_n, NULL };
}

/* RFC 6455 5.5.3: of pings that wait, the newest alone need be answered. */
static void on_ping(struct sio_ws *ws, sio_slice payload)
{
	struct frame *f = frame_of_text(&ws->server->engine.frames, WS_PONG, payload);
	uint32_t before = ws->out.bytes;

	if (!f)
		return;
	f->is_volatile = true;
	f->key = PONG_KEY;
	if (ws->conn->is_blocked && outq_replace(&ws->out, f))
		ws->server->ws_queued_bytes += ws->out.bytes - (uint64_t)before;
	else
		enqueue(ws, f);
	frame_unref(f);
}

static void on_close_frame(struct sio_ws *ws, const char *data, size_t n)
{
	int code = n >= 2 ? (unsigned char)data[0] << 8 | (unsigned char)data[1] : 0;
	sio_slice reason = n > 2 ? sio_bytes(data + 2, n - 2) : sio_bytes("", 0);

	finish(ws, ws->state == WS_OPEN ? code : -1, code ? code : SIO_WS_NO_CODE, reason);
}

void websocket_message(struct sio_ws *ws, enum ws_op op, char *data, size_t n)
{
	const struct ws_route *r = route_of(ws);

	ws->is_heard = true;
	if (ws->state > WS_CLOSING)
		return; /* behind a close frame nothing counts */
	if (op == WS_CLOSE)
		on_close_frame(ws, data, n);
	else if (ws->state == WS_OPEN && op == WS_PING)
		on_ping(ws, sio_bytes(data, n));
	else if (ws->state == WS_OPEN && op < WS_CLOSE && r->endpoint.on_message)
		r->endpoint.on_message(ws, sio_bytes(data, n), op == WS_BINARY, r->arg);
}

void websocket_fault(struct sio_ws *ws, int code)
{
	if (ws->state > WS_CLOSING)
		return;
	ws->server->engine.parse_errors++;
	host_log(ws->server, SIO_LOG_INFO, "WebSocket closed with %d: the client broke the frame rules or a limit (%.*s)", code,
		 (int)(ws->path_n < 100 ? ws->path_n : 100), ws->text);
	finish(ws, ws->state == WS_OPEN ? code : -1, code, sio_bytes("", 0));
}

void websocket_writable(struct sio_ws *ws)
{
	ws->is_heard = true; /* it has read what blocked us */
	mark_dirty(ws);
}

void websocket_gone(struct sio_ws *ws)
{
	ws_gone(ws, SIO_WS_ABNORMAL);
}

static void on_timer(struct sio_timer *timer)
{
	struct sio_ws *ws = MAP_OWNER(timer, struct sio_ws, timer);
	const struct sio_ws_endpoint *e = &route_of(ws)->endpoint;

	if (ws->state != WS_OPEN || (ws->is_ping_out && !ws->is_heard)) {
		ws_gone(ws, SIO_WS_ABNORMAL);
		return;
	}
	ws->is_ping_out = !ws->is_heard;
	ws->is_heard = false;
	if (ws->is_ping_out)
		enqueue_control(ws, WS_PING, sio_bytes("", 0));
	set_timer(ws, ws->is_ping_out ? e->ping_timeout_ms : e->ping_interval_ms);
}

/* ---- the flush ---------------------------------------------------------------------------- */

/* Write what the socket takes.  false: ws has come to its end. */
static bool write_queue(struct sio_ws *ws)
{
	struct iovec iov[FLUSH_IOVECS];

	while (ws->out.n > 0 && !ws->conn->is_blocked) {
		ssize_t sent = net_writev(ws->conn, iov, outq_peek(&ws->out, iov, FLUSH_IOVECS));
		if (sent < 0)
			ws_gone(ws, SIO_WS_ABNORMAL);
		if (ws->state == WS_GONE)
			return false;
		outq_consume(&ws->out, &ws->server->engine.chunks, (size_t)sent);
		ws->server->ws_queued_bytes -= (uint64_t)sent;
		if (sent > 0 && ws->state != WS_OPEN)
			set_timer(ws, CLOSE_WAIT_MS);
	}
	return true;
}

static void flush_one(struct sio_ws *ws)
{
	const struct ws_route *r = route_of(ws);
	size_t limit = r->endpoint.send_queue_bytes;

	if (ws->state == WS_GONE || !write_queue(ws))
		return;
	if (ws->state == WS_FINISHING && ws->out.n == 0) {
		net_ws_finish(ws->conn);
		ws->conn = NULL;
		ws_gone(ws, 0);
		return;
	}
	/* A peer that does not read is not read from, or it could make us queue without end. */
	if (!ws->conn->is_paused ? ws->out.bytes > limit / 2 : ws->out.bytes <= limit / 4)
		net_pause(ws->conn, !ws->conn->is_paused);
	if (ws->was_refused && ws->state == WS_OPEN && ws->out.bytes <= limit / 2) {
		ws->was_refused = false;
		if (r->endpoint.on_drain)
			r->endpoint.on_drain(ws, r->arg);
	}
}

/* Who is written to because of this flush (on_drain sends more) is for the next one: else a
 * reader as fast as its writer would keep the loop here. */
bool websocket_flush_all(struct sio_server *server)
{
	struct sio_ws *list = server->ws_dirty;

	server->ws_dirty = NULL;
	while (list) {
		struct sio_ws *ws = list;
		list = ws->next_dirty;
		ws->is_dirty = false;
		if (ws->state == WS_GONE) { /* ended while it was on the list */
			ws->next_dirty = server->ws_dead;
			server->ws_dead = ws;
		} else {
			flush_one(ws);
		}
	}
	while (server->ws_dead) {
		struct sio_ws *ws = server->ws_dead;
		server->ws_dead = ws->next_dirty;
		free(ws);
	}
	return server->ws_dirty != NULL;
}

void websocket_close_all(struct sio_server *server)
{
	struct sio_ws *next;

	/* on_close may end others: they leave the list only when they are gone, and stay
	 * in memory until the end of the turn. */
	for (struct sio_ws *ws = server->ws_all; ws; ws = next) {
		next = ws->next;
		if (ws->state == WS_OPEN)
			finish(ws, CLOSE_GOING_AWAY, CLOSE_GOING_AWAY, SIO_LIT("server shutting down"));
		else if (ws->state == WS_CLOSING)
			finish(ws, -1, CLOSE_GOING_AWAY, SIO_LIT("server shutting down"));
	}
}

/* ---- the application's view ----------------------------------------------------------------- */

int sio_ws_route(struct sio_server *server, const char *pattern, const struct sio_ws_endpoint *endpoint, void *arg)
{
	const struct eio_limits *l = &server->engine.limits;
	struct ws_route *r;
	int err;

	SERVER_CHECK(server);
	if (endpoint->max_message_bytes > MESSAGE_MAX || endpoint->send_queue_bytes > MESSAGE_MAX)
		return SIO_ERR_INVAL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return SIO_ERR_NOMEM;
	*r = (struct ws_route){ *endpoint, arg };
	if (!r->endpoint.max_message_bytes)
		r->endpoint.max_message_bytes = l->max_payload_bytes;
	if (!r->endpoint.max_fragments_n)
		r->endpoint.max_fragments_n = FRAGMENTS_N;
	if (!r->endpoint.send_queue_bytes)
		r->endpoint.send_queue_bytes = l->send_queue_bytes;
	if (!r->endpoint.ping_interval_ms)
		r->endpoint.ping_interval_ms = l->ping_interval_ms;
	if (!r->endpoint.ping_timeout_ms)
		r->endpoint.ping_timeout_ms = l->ping_timeout_ms;
	err = route_add(server, "websocket", pattern, NULL, NULL, r);
	if (err < 0)
		free(r);
	return err;
}

int sio_ws_send(struct sio_ws *ws, sio_slice data, bool is_binary)
{
	struct frame *f, *form;
	int err = SIO_OK;

	SERVER_CHECK(ws->server);
	if (ws->state != WS_OPEN || !ws->conn)
		return SIO_ERR_CLOSED;
	if (data.n > MESSAGE_MAX)
		return SIO_ERR_INVAL;
	if (!is_binary && !utf8_ok(data.p, data.n))
		return SIO_ERR_UTF8;
	if (ws->out.bytes >= route_of(ws)->endpoint.send_queue_bytes) {
		ws->was_refused = true;
		return SIO_ERR_LIMIT;
	}
	f = frame_of_text(&ws->server->engine.frames, is_binary ? WS_BINARY : WS_TEXT, data);
	if (!f)
		return SIO_ERR_NOMEM;
	form = ws->conn->deflate_bits ? frame_peek_deflated(f, ws->conn->deflate_bits) : f;
	if (!enqueue(ws, form))
		err = SIO_ERR_NOMEM;
	frame_unref(f);
	return err;
}

/* RFC 6455 7.4: what an endpoint may put into a close frame. */
int sio_ws_close(struct sio_ws *ws, int code, sio_slice reason)
{
	SERVER_CHECK(ws->server);
	if (ws->state != WS_OPEN || !ws->conn)
		return SIO_ERR_CLOSED;
	if ((code ? code < 0 || !ws_close_code_ok((unsigned)code) : reason.n > 0) || reason.n > REASON_MAX || !utf8_ok(reason.p, reason.n))
		return SIO_ERR_INVAL;
	if (!enqueue_close(ws, code, reason))
		return SIO_ERR_NOMEM;
	ws_move(ws, WS_CLOSING);
	set_timer(ws, CLOSE_WAIT_MS);
	return SIO_OK;
}

size_t sio_ws_queued_bytes(const struct sio_ws *ws)
{
	return ws->out.bytes;
}

void sio_ws_set_data(struct sio_ws *ws, void *data)
{
	ws->data = data;
}

void *sio_ws_data(const struct sio_ws *ws)
{
	return ws->data;
}

struct sio_server *sio_ws_server(const struct sio_ws *ws)
{
	return ws->server;
}

sio_slice sio_ws_path(const struct sio_ws *ws)
{
	return sio_bytes(ws->text, ws->path_n);
}

sio_slice sio_ws_query(const struct sio_ws *ws)
{
	/* Behind the "?", if there is one. */
	uint32_t from = ws->path_n + (ws->target_n > ws->path_n);

	return sio_bytes(ws->text + from, ws->target_n - from);
}

sio_slice sio_ws_address(const struct sio_ws *ws)
{
	return sio_bytes(ws->text + ws->target_n, ws->address_n);
}

sio_slice sio_ws_protocol(const struct sio_ws *ws)
{
	return sio_str(ws->protocol);
}

sio_slice sio_ws_header(const struct sio_ws *ws, const char *name)
{
	return ws->req ? http1_header(ws->req, name) : sio_bytes("", 0);
}

long sio_ws_param(const struct sio_ws *ws, const char *name, char *out, size_t cap)
{
	return route_param(ws->route, sio_ws_path(ws), name, out, cap);
}
