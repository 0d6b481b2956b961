/* endpoint.c -- HTTP requests to the Engine.IO path: handshakes, polling, upgrades.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "host/host.h"

#define NONE sio_bytes("", 0)

bool endpoint_owns(const struct sio_server *server, sio_slice path)
{
	size_t n = strlen(server->path);

	if (n == 0) /* this server has no Engine.IO */
		return false;
	if (n > 1 && path.n == n + 1 && path.p[n] == '/')
		path.n--;
	return path.n == n && memcmp(path.p, server->path, n) == 0;
}

/* Answer with what this path adds to every answer. */
static void answer(struct sio_server *server, struct net_conn *c, const struct http1_request *req, int status,
		   const char *type, sio_slice headers, sio_slice body, bool is_last)
{
	struct buf h = { 0 };

	buf_slice(&h, headers);
	origin_headers(server, req, &h);
	hooks_headers(server, c, req, false, &h);
	if (is_last)
		net_reply_last(c, status, type, buf_peek(&h), body);
	else
		net_reply(c, status, type, buf_peek(&h), body);
	buf_fini(&h);
}

/* A refusal as JSON, of a request that is in no session. */
static void answer_error(struct sio_server *server, struct net_conn *c, const struct http1_request *req, int status,
			 enum eio_error code, sio_slice headers, sio_slice message, bool is_last)
{
	struct buf body = { 0 };

	buf_printf(&body, "{\"code\":%d,\"message\":", code);
	buf_json(&body, message);
	buf_byte(&body, '}');
	hooks_refused(server, c, req, code, message);
	answer(server, c, req, status, "application/json", headers, buf_peek(&body), is_last);
	buf_fini(&body);
}

void endpoint_refuse(struct sio_server *server, struct net_conn *c, const struct http1_request *req,
		     enum eio_error code, sio_slice message)
{
	if (!req->is_upgrade) {
		answer_error(server, c, req, code == EIO_ERR_FORBIDDEN ? 403 : 400, code, NONE, message, false);
		return;
	}
	/* As the reference: the bare text, then the end. */
	hooks_refused(server, c, req, code, message);
	answer(server, c, req, 400, "text/html", NONE, message, true);
}

static void refuse(struct sio_server *server, struct net_conn *c, const struct http1_request *req, enum eio_error code)
{
	endpoint_refuse(server, c, req, code, sio_str(eio_error_text(code)));
}

static void refuse_origin(struct sio_server *server, struct net_conn *c, const struct http1_request *req)
{
	struct buf text = { 0 };

	buf_str(&text, "Forbidden: the origin ");
	buf_slice(&text, http1_header(req, "origin"));
	buf_str(&text, " is not in the server's list of allowed origins");
	answer_error(server, c, req, 403, EIO_ERR_FORBIDDEN, NONE, buf_peek(&text), true);
	buf_fini(&text);
}

void endpoint_refuse_busy(struct sio_server *server, struct net_conn *c, const struct http1_request *req,
			  const char *message)
{
	answer_error(server, c, req, 503, EIO_ERR_REQUEST, SIO_LIT("Retry-After: 5\r\n"), sio_str(message), true);
}

static void refuse_full(struct sio_server *server, struct net_conn *c, const struct http1_request *req)
{
	endpoint_refuse_busy(server, c, req, "The server has reached its limit of connections");
}

/* ---- WebSocket handshakes --------------------------------------------------------------- */

/* RFC 6455 4.2.1.  Answers and returns false when the handshake is not one. */
static bool check_handshake(struct sio_server *server, struct net_conn *c, const struct http1_request *req)
{
	struct handshake_fault fault;
	char accept[29];

	if (handshake_check(req, accept, &fault))
		return true;
	hooks_refused(server, c, req, EIO_ERR_REQUEST, fault.message);
	answer(server, c, req, fault.status, "text/plain", fault.headers, fault.message, true);
	return false;
}

/* The link that the WebSocket is for: a new one, or that of the session that upgrades. */
static struct link *link_for(struct sio_server *server, struct net_conn *c, struct http1_request *req,
			     struct eio_session *session)
{
	if (session)
		return link_of(session);
	return server_is_full(server) ? NULL : link_open(server, c, req, EIO_WEBSOCKET);
}

static void accept_websocket(struct sio_server *server, struct net_conn *c, struct http1_request *req,
			     struct eio_session *session)
{
	struct buf h = { 0 };
	struct link *link;
	char accept[29];
	unsigned deflate_bits;

	/* The hooks come first: they may close the session, or the server. */
	origin_headers(server, req, &h);
	deflate_bits = server->per_message_deflate ? handshake_deflate(req, &h) : 0;
	hooks_headers(server, c, req, !session, &h);
	link = c->mode == NET_HTTP ? link_for(server, c, req, session) : NULL;
	if (!link) {
		buf_fini(&h);
		if (c->mode == NET_HTTP)
			refuse_full(server, c, req);
		return;
	}
	ws_accept(http1_header(req, "sec-websocket-key"), accept);
	net_ws_accept(c, accept, deflate_bits, buf_peek(&h));
	buf_fini(&h);
	if (session && !eio_probe_begin(session)) {
		/* Section 10.2: a second WebSocket is closed, the session is untouched. */
		net_ws_close(c, 0);
		return;
	}
	eio_ws_query(&link->session, req->query);
	eio_ws_deflate(&link->session, deflate_bits);
	link_attach(link, session ? EIO_WIRE_PROBE : EIO_WIRE_WS, c);
	if (!session)
		link_opened(link);
}

/* ---- plain requests ---------------------------------------------------------------------- */

static enum eio_error verify(struct sio_server *server, const struct http1_request *req, struct eio_session **session)
{
	struct eio_request rq = { .query = req->query, .method = req->method, .is_upgrade = handshake_is_websocket(req) };

	return eio_verify(&server->engine, &rq, session);
}

/* Two at a time of what a session has one of; the session has ended. */
static void refuse_overlap(struct sio_server *server, struct net_conn *c, const struct http1_request *req)
{
	net_count_refused(server->net);
	answer(server, c, req, 400, NULL, NONE, NONE, true);
}

static void begin_post(struct sio_server *server, struct net_conn *c, struct http1_request *req,
		       struct eio_session *session)
{
	if (!eio_post_begin(session)) {
		refuse_overlap(server, c, req);
		return;
	}
	link_attach(link_of(session), EIO_WIRE_POST, c);
	http1_set_body_limit(c->side->reader, server->engine.limits.max_payload_bytes);
	if (sio_slice_eq(http1_header(req, "content-type"), SIO_LIT("application/octet-stream"))) {
		net_count_refused(c->net);
		eio_post_refuse(session, 400);
	}
}

static void poll(struct sio_server *server, struct net_conn *c, struct http1_request *req, struct eio_session *session)
{
	if (!eio_get_begin(session)) {
		refuse_overlap(server, c, req);
		return;
	}
	link_attach(link_of(session), EIO_WIRE_GET, c);
	eio_get(session);
}

static void open_polling(struct sio_server *server, struct net_conn *c, struct http1_request *req)
{
	struct link *link = server_is_full(server) ? NULL : link_open(server, c, req, EIO_POLLING);

	if (!link) {
		refuse_full(server, c, req);
		return;
	}
	link_attach(link, EIO_WIRE_GET, c); /* the flush answers it with the open packet */
	link_opened(link);
}

/* ---- coming in ----------------------------------------------------------------------------- */

static void enter(struct sio_server *server, struct net_conn *c, struct http1_request *req,
		  struct eio_session *session, enum eio_error code)
{
	if (code != EIO_ERR_NONE)
		refuse(server, c, req, code);
	else if (handshake_is_websocket(req))
		accept_websocket(server, c, req, session);
	else
		open_polling(server, c, req);
}

void endpoint_enter(struct sio_server *server, struct net_conn *c, struct http1_request *req)
{
	struct eio_session *session;
	enum eio_error code = verify(server, req, &session);

	enter(server, c, req, session, code);
}

/* A handshake, or the WebSocket of a session, with which the protocol is content; at
 * most its version is not spoken, which is the last thing to be said (section 3). */
static void knock(struct sio_server *server, struct net_conn *c, struct http1_request *req, struct eio_session *session,
		  enum eio_error code)
{
	bool is_ws = handshake_is_websocket(req);

	if (is_ws && !check_handshake(server, c, req))
		return;
	if (!session && server_is_full(server))
		refuse_full(server, c, req);
	else if (session && server->hooks.upgrade)
		visitor_ask(server, c, req, SIO_HANDSHAKE_UPGRADE);
	else if (!session && server->hooks.handshake)
		visitor_ask(server, c, req, is_ws ? SIO_HANDSHAKE_WEBSOCKET : SIO_HANDSHAKE_POLLING);
	else
		enter(server, c, req, session, code);
}

void endpoint_head(struct sio_server *server, struct net_conn *c, struct http1_request *req)
{
	struct eio_session *session;
	enum eio_error code;
	bool is_known;

	if (!origin_is_allowed(server, c, req)) {
		refuse_origin(server, c, req);
		return;
	}
	if (origin_is_preflight(req))
		return; /* answered once it is whole */
	if (carry_head(server, c, req))
		return;
	code = verify(server, req, &session);
	is_known = code == EIO_ERR_NONE || code == EIO_ERR_VERSION;
	if (is_known && handshake_is_websocket(req))
		knock(server, c, req, session, code);
	else if (code != EIO_ERR_NONE && (req->has_body || req->is_upgrade))
		refuse(server, c, req, code); /* the body of a refused request is not worth reading */
	else if (code == EIO_ERR_NONE && sio_slice_eq(req->method, SIO_LIT("POST")))
		begin_post(server, c, req, session);
}

static void answer_preflight(struct sio_server *server, struct net_conn *c, const struct http1_request *req)
{
	struct buf h = { 0 };

	origin_preflight_headers(req, SIO_LIT("GET,POST,OPTIONS"), &h);
	answer(server, c, req, 204, NULL, buf_peek(&h), NONE, false);
	buf_fini(&h);
}

void endpoint_request(struct sio_server *server, struct net_conn *c, struct http1_request *req)
{
	struct eio_session *session;
	enum eio_error code;
	enum eio_wire wire;
	struct link *link = owner_link(c->owner, &wire);

	if (owner_visitor(c->owner)) /* a WebSocket that waits for the application's answer */
		return;
	if (link) { /* a POST whose head was accepted */
		eio_post(&link->session, req->body.p, req->body.n);
		return;
	}
	if (origin_is_preflight(req)) {
		answer_preflight(server, c, req);
		return;
	}
	if (carry_request(server, c, req))
		return;
	code = verify(server, req, &session);
	if (!session && (code == EIO_ERR_NONE || code == EIO_ERR_VERSION))
		knock(server, c, req, NULL, code);
	else if (code != EIO_ERR_NONE)
		refuse(server, c, req, code);
	else if (sio_slice_eq(req->method, SIO_LIT("GET")))
		poll(server, c, req, session);
	else /* its session ended while the body came */
		refuse(server, c, req, EIO_ERR_SID);
}
