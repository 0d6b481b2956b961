/* socketio.c -- Socket.IO on the sessions of a server: what the hub hears of a link.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>
#include <time.h>

#include "host/host.h"

static sio_slice put(char **at, sio_slice s)
{
	char *p = *at;

	if (s.n)
		memcpy(p, s.p, s.n);
	*at += s.n;
	return sio_bytes(p, s.n);
}

/* The facts of the first request, for the connect handler. */
static struct hub_opening *opening_new(struct sio_server *server, struct net_conn *c, const struct http1_request *req)
{
	size_t bytes = req->target.n, heads;
	struct hub_opening *o;
	struct proxy_view view;
	struct timespec now;
	struct pool *pool;
	char *at;

	edge_view(server, c, req, &view);
	bytes += strlen(view.address);
	for (size_t i = 0; i < req->headers_n; i++)
		bytes += req->headers[i].name.n + req->headers[i].value.n;
	heads = req->headers_n * sizeof(o->headers[0]);
	bytes += sizeof(*o) + heads;
	/* What is kept is not rounded up to a block. */
	pool = bytes <= server->openings.size && !server->hub.limits.keeps_facts ? &server->openings : NULL;
	o = pool ? pool_take(pool) : malloc(bytes);
	if (!o)
		return NULL;
	clock_gettime(CLOCK_REALTIME, &now);
	*o = (struct hub_opening){
		.pool = pool,
		.refs = 1,
		.headers_n = (uint32_t)req->headers_n,
		.is_secure = view.is_secure,
		.issued_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000,
	};
	at = (char *)(o + 1) + heads;
	o->url = put(&at, req->target);
	o->address = put(&at, sio_str(view.address));
	for (size_t i = 0; i < req->headers_n; i++) {
		o->headers[i].name = put(&at, req->headers[i].name);
		o->headers[i].value = put(&at, req->headers[i].value);
	}
	return o;
}

static bool on_open(struct link *link, struct sio_server *server, struct net_conn *c, const struct http1_request *req)
{
	struct hub_opening *opening = opening_new(server, c, req);

	if (opening)
		hub_client_open(&link->client, &server->hub, &link->session, opening);
	return opening != NULL;
}

static void on_message(struct link *link, char *data, size_t n, bool is_binary)
{
	hub_message(&link->client, data, n, is_binary);
}

static void on_closed(struct link *link, const char *reason)
{
	hub_closed(&link->client, reason);
}

/* A namespace is what a Socket.IO client opens, and it asks for that itself; on which
 * transport, and how fast, is nothing that the hub wants to know. */
static void nothing(struct link *link)
{
	(void)link;
}

const struct app_ops socketio_app = {
	.open = on_open,
	.opened = nothing,
	.message = on_message,
	.upgraded = nothing,
	.drained = nothing,
	.closed = on_closed,
};
