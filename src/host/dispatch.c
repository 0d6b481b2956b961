/* dispatch.c -- what connections and the loop tell, to whom it concerns.
 *
 * A connection's owner says what it serves (host.h): a link's wire, a plain WebSocket, a
 * visitor, a request for another node, or an HTTP route.  Decides nothing else.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "base/times.h"
#include "host/host.h"

static struct sio_server *server_of(const struct net_conn *c)
{
	return net_owner(c->net);
}

static void begin_turn(struct sio_server *server)
{
	guard_take(&server->hub.guard);
	server->engine.now_ms = net_now_ms(server->net);
}

static void on_head(struct net_conn *c, struct http1_request *req)
{
	struct sio_server *server = server_of(c);

	begin_turn(server);
	if (http1_header(req, "expect").n > 0 && !req->wants_continue)
		reply_problem(server, c, 417, "expectation_failed", true, "The only expectation met here is 100-continue");
	else if (endpoint_owns(server, req->path))
		endpoint_head(server, c, req);
	else
		route_head(server, c, req);
}

static void on_request(struct net_conn *c, struct http1_request *req)
{
	struct sio_server *server = server_of(c);

	begin_turn(server);
	if (endpoint_owns(server, req->path))
		endpoint_request(server, c, req);
	else
		route_request(server, c, req);
}

static void on_refuse(struct net_conn *c, int status)
{
	static const struct {
		int status;
		const char *code, *text;
	} why[] = {
		{ 400, "bad_request", "The request is not valid HTTP/1.1" },
		{ 408, "timeout", "The request did not arrive in time" },
		{ 413, "too_large", "The request's body is larger than the server takes" },
		{ 431, "headers_too_large", "The request's headers are larger than the server takes" },
		{ 501, "not_implemented", "The transfer encoding is not supported" },
		{ 505, "version_not_supported", "This server speaks HTTP/1.1" },
	};
	struct sio_server *server = server_of(c);
	enum eio_wire wire;
	struct link *link = owner_link(c->owner, &wire);
	unsigned i = 0;

	begin_turn(server);
	if (owner_carriage(c->owner)) {
		carry_refused(owner_carriage(c->owner), status);
		return;
	}
	if (link && wire == EIO_WIRE_POST) { /* its session ends with it */
		net_count_refused(c->net);
		eio_post_refuse(&link->session, status);
		return;
	}
	while (i < sizeof(why) / sizeof(why[0]) - 1 && why[i].status != status)
		i++;
	reply_problem(server, c, status, why[i].code, true, "%s", why[i].text);
}

static void on_refuse_plain(struct net_conn *c)
{
	struct sio_server *server = server_of(c);

	begin_turn(server);
	reply_problem(server, c, 400, "https_required", true, "This port speaks TLS: use https:// or wss://");
}

static void on_tls_failed(struct net_conn *c, const char *why)
{
	char address[64];

	net_address(c, address);
	host_log(server_of(c), SIO_LOG_DEBUG, "TLS with %s failed: %s", address, why);
}

static struct ws_limits on_ws_limits(const struct net_conn *c)
{
	const struct sio_ws *ws = owner_ws(c->owner);

	return ws ? websocket_limits(ws) : server_of(c)->ws_limits;
}

static void on_ws_message(struct net_conn *c, enum ws_op op, char *data, size_t n)
{
	enum eio_wire wire;
	struct link *link = owner_link(c->owner, &wire);

	begin_turn(server_of(c));
	if (link)
		link_ws_message(link, wire, op, data, n);
	else if (owner_ws(c->owner))
		websocket_message(owner_ws(c->owner), op, data, n);
}

static void on_ws_fault(struct net_conn *c, int code)
{
	enum eio_wire wire;
	struct link *link = owner_link(c->owner, &wire);

	begin_turn(server_of(c));
	if (link)
		link_ws_fault(link, wire, code);
	else if (owner_ws(c->owner))
		websocket_fault(owner_ws(c->owner), code);
	else
		net_ws_close(c, code);
}

static void on_writable(struct net_conn *c)
{
	enum eio_wire wire;
	struct link *link = owner_link(c->owner, &wire);

	if (link && wire == EIO_WIRE_WS)
		eio_ws_ready(&link->session);
	else if (owner_ws(c->owner))
		websocket_writable(owner_ws(c->owner));
	else if (owner_carriage(c->owner))
		carry_written(owner_carriage(c->owner));
}

static void on_relayed(struct net_conn *c, const char *p, size_t n)
{
	begin_turn(server_of(c));
	if (owner_carriage(c->owner))
		carry_relayed(owner_carriage(c->owner), p, n);
}

static void on_eof(struct net_conn *c)
{
	enum eio_wire wire;
	struct link *link = owner_link(c->owner, &wire);
	struct visitor *visitor = owner_visitor(c->owner);

	begin_turn(server_of(c));
	if (link && wire == EIO_WIRE_GET) { /* nobody is left to read the packets */
		link_wire_gone(link, wire);
		net_close(c);
	} else if (visitor) {
		visitor_gone(visitor);
		net_close(c);
	} else if (owner_carriage(c->owner) && carry_eof(owner_carriage(c->owner))) {
		net_close(c);
	}
}

static void on_gone(struct net_conn *c)
{
	enum eio_wire wire;
	struct link *link = owner_link(c->owner, &wire);
	struct visitor *visitor = owner_visitor(c->owner);

	begin_turn(server_of(c));
	if (link)
		link_wire_gone(link, wire);
	else if (owner_ws(c->owner))
		websocket_gone(owner_ws(c->owner));
	else if (visitor)
		visitor_gone(visitor);
	else if (owner_carriage(c->owner))
		carry_gone(owner_carriage(c->owner));
	else
		route_conn_gone(c->owner);
}

static void on_turn(void *owner)
{
	begin_turn(owner);
}

static void on_turned(void *owner, uint64_t took_ns)
{
	struct sio_server *server = owner;
	uint64_t broadcasts = server->hub.broadcasts - server->broadcasts_timed;

	times_add(&server->turn_times, took_ns, 1);
	if (broadcasts > 0)
		times_add(&server->broadcast_times, took_ns, broadcasts);
	server->broadcasts_timed = server->hub.broadcasts;
}

static void on_flush(void *owner)
{
	struct sio_server *server = owner;

	begin_turn(server);
	eio_app_tell_drained(&server->engine_app);
	link_flush_all(server);
	if (websocket_flush_all(server))
		net_wake(server->net);
	carry_flush(server);
	carry_reap(server);
}

static void on_signalled(void *owner)
{
	struct sio_server *server = owner;

	sio_server_close(server, server->is_closing ? 0 : server->signal_drain_ms);
}

static void on_stopped(void *owner)
{
	struct sio_server *server = owner;

	server->is_stopped = true;
	guard_drop(&server->hub.guard);
}

const struct net_ops dispatch_ops = {
	.head = on_head,
	.request = on_request,
	.refuse = on_refuse,
	.refuse_plain = on_refuse_plain,
	.tls_failed = on_tls_failed,
	.ws_limits = on_ws_limits,
	.ws_message = on_ws_message,
	.ws_fault = on_ws_fault,
	.writable = on_writable,
	.relayed = on_relayed,
	.eof = on_eof,
	.gone = on_gone,
	.turn = on_turn,
	.flush = on_flush,
	.turned = on_turned,
	.signalled = on_signalled,
	.stopped = on_stopped,
};
