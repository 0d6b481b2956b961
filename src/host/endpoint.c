/* endpoint.c -- HTTP requests to the Engine.IO path: handshakes, polling, upgrades.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "host/host.h"

bool endpoint_owns(const struct sio_server *server, sio_slice path)
{
	size_t n = strlen(server->path);

	if (n == 0) /* this server has no Engine.IO */
		return false;
	if (path.n == n + 1 && path.p[n] == '/')
		path.n--;
	return path.n == n && memcmp(path.p, server->path, n) == 0;
}

static void refuse(struct sio_server *server, struct net_conn *c, const struct http1_request *req, enum eio_error code)
{
	struct buf h = { 0 }, body = { 0 };

	net_count_refused(server->net);
	origin_headers(server, req, &h);
	if (req->is_upgrade) { /* as the reference: the bare text, then the end */
		net_reply_last(c, 400, "text/html", buf_peek(&h), sio_str(eio_error_text(code)));
	} else {
		buf_printf(&body, "{\"code\":%d,\"message\":\"%s\"}", code, eio_error_text(code));
		net_reply(c, 400, "application/json", buf_peek(&h), buf_peek(&body));
	}
	buf_fini(&body);
	buf_fini(&h);
}

static void refuse_origin(struct net_conn *c, const struct http1_request *req)
{
	struct buf body = { 0 }, text = { 0 };

	net_count_refused(c->net);
	buf_str(&text, "Forbidden: the origin ");
	buf_slice(&text, http1_header(req, "origin"));
	buf_str(&text, " is not in the server's list of allowed origins");
	buf_str(&body, "{\"code\":4,\"message\":");
	buf_json(&body, buf_peek(&text));
	buf_byte(&body, '}');
	net_reply_last(c, 403, "application/json", sio_bytes("", 0), buf_peek(&body));
	buf_fini(&body);
	buf_fini(&text);
}

static void refuse_busy(struct net_conn *c)
{
	net_count_refused(c->net);
	net_reply_last(c, 503, "application/json", SIO_LIT("Retry-After: 5\r\n"),
		       SIO_LIT("{\"code\":3,\"message\":\"The server has reached its limit of connections\"}"));
}

/* ---- WebSocket handshakes --------------------------------------------------------------- */

static void accept_websocket(struct sio_server *server, struct net_conn *c, struct http1_request *req,
			     struct eio_session *session)
{
	struct buf h = { 0 };
	struct link *link;
	char accept[29];
	unsigned deflate_bits;

	if (!handshake_check(c, req, accept))
		return;
	if (!session && server_is_full(server)) {
		refuse_busy(c);
		return;
	}
	link = session ? link_of(session) : link_open(server, c, req, EIO_WEBSOCKET);
	if (!link) {
		refuse_busy(c);
		return;
	}
	origin_headers(server, req, &h);
	deflate_bits = server->per_message_deflate ? handshake_deflate(req, &h) : 0;
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
}

/* ---- plain requests ---------------------------------------------------------------------- */

static enum eio_error verify(struct sio_server *server, const struct http1_request *req, struct eio_session **session)
{
	struct eio_request rq = { .query = req->query, .method = req->method, .is_upgrade = handshake_is_websocket(req) };

	return eio_verify(&server->engine, &rq, session);
}

static void begin_post(struct sio_server *server, struct net_conn *c, struct http1_request *req,
		       struct eio_session *session)
{
	if (!eio_post_begin(session)) {
		net_count_refused(c->net);
		net_reply_last(c, 400, NULL, sio_bytes("", 0), sio_bytes("", 0));
		return;
	}
	link_attach(link_of(session), EIO_WIRE_POST, c);
	http1_set_body_limit(c->side->reader, server->engine.limits.max_payload_bytes);
	if (sio_slice_eq(http1_header(req, "content-type"), SIO_LIT("application/octet-stream"))) {
		net_count_refused(c->net);
		eio_post_refuse(session, 400);
	}
}

void endpoint_head(struct sio_server *server, struct net_conn *c, struct http1_request *req)
{
	struct eio_session *session;
	enum eio_error code;

	if (!origin_is_allowed(server, c, req)) {
		refuse_origin(c, req);
		return;
	}
	if (origin_is_preflight(req))
		return; /* answered once it is whole */
	code = verify(server, req, &session);
	if (code != EIO_ERR_NONE) {
		/* The body of a refused request is not worth reading. */
		if (req->has_body || req->is_upgrade)
			refuse(server, c, req, code);
		return;
	}
	if (handshake_is_websocket(req))
		accept_websocket(server, c, req, session);
	else if (sio_slice_eq(req->method, SIO_LIT("POST")))
		begin_post(server, c, req, session);
}

static void get(struct sio_server *server, struct net_conn *c, struct http1_request *req, struct eio_session *session)
{
	struct link *link;

	if (session) {
		if (!eio_get_begin(session)) {
			net_count_refused(c->net);
			net_reply_last(c, 400, NULL, sio_bytes("", 0), sio_bytes("", 0));
			return;
		}
		link_attach(link_of(session), EIO_WIRE_GET, c);
		eio_get(session);
		return;
	}
	link = server_is_full(server) ? NULL : link_open(server, c, req, EIO_POLLING);
	if (!link)
		refuse_busy(c);
	else
		link_attach(link, EIO_WIRE_GET, c); /* the flush answers it with the open packet */
}

void endpoint_request(struct sio_server *server, struct net_conn *c, struct http1_request *req)
{
	struct eio_session *session;
	enum eio_error code;
	enum eio_wire wire;
	struct link *link = owner_link(c->owner, &wire);

	if (link) { /* a POST whose head was accepted */
		eio_post(&link->session, req->body.p, req->body.n);
		return;
	}
	if (origin_is_preflight(req)) {
		origin_preflight(server, c, req, SIO_LIT("GET,POST,OPTIONS"));
		return;
	}
	code = verify(server, req, &session);
	if (code != EIO_ERR_NONE)
		refuse(server, c, req, code);
	else if (sio_slice_eq(req->method, SIO_LIT("GET")))
		get(server, c, req, session);
	else /* its session ended while the body came */
		refuse(server, c, req, EIO_ERR_SID);
}
