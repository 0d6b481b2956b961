/* hooks.c -- see hooks.h.
 *
 * A hook may close anything but free nothing that its caller holds: sessions and
 * connections stay in memory until the end of the turn.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "engine/headers.h"
#include "host/host.h"

void hooks_headers(struct sio_server *server, struct net_conn *c, const struct http1_request *req, bool is_initial,
		   struct buf *out)
{
	const struct hooks *h = &server->hooks;
	struct sio_headers headers = { .out = out };
	struct sio_request view;

	if (!h->headers && !(is_initial && h->initial_headers))
		return;
	request_view(&view, server, c, req);
	if (is_initial && h->initial_headers)
		h->initial_headers(&headers, &view, h->initial_headers_arg);
	if (h->headers)
		h->headers(&headers, &view, h->headers_arg);
}

void hooks_refused(struct sio_server *server, struct net_conn *c, const struct http1_request *req, int code,
		   sio_slice message)
{
	const struct hooks *h = &server->hooks;
	struct sio_request view;
	struct sio_connection_error error = { code, message, &view };

	net_count_refused(server->net);
	if (!h->error)
		return;
	request_view(&view, server, c, req);
	h->error(&error, h->error_arg);
}

bool hooks_is_handshake(const struct http1_request *req)
{
	sio_slice sid;

	return !http1_query_get(req->query, "sid", &sid) || sid.n == 0;
}

void sio_on_handshake(struct sio_server *server, sio_handshake_fn *fn, void *arg)
{
	SERVER_CHECK(server);
	server->hooks.handshake = fn;
	server->hooks.handshake_arg = arg;
}

void sio_on_upgrade_request(struct sio_server *server, sio_handshake_fn *fn, void *arg)
{
	SERVER_CHECK(server);
	server->hooks.upgrade = fn;
	server->hooks.upgrade_arg = arg;
}

void sio_on_initial_headers(struct sio_server *server, sio_headers_fn *fn, void *arg)
{
	SERVER_CHECK(server);
	server->hooks.initial_headers = fn;
	server->hooks.initial_headers_arg = arg;
}

void sio_on_headers(struct sio_server *server, sio_headers_fn *fn, void *arg)
{
	SERVER_CHECK(server);
	server->hooks.headers = fn;
	server->hooks.headers_arg = arg;
}

void sio_on_connection_error(struct sio_server *server, sio_connection_error_fn *fn, void *arg)
{
	SERVER_CHECK(server);
	server->hooks.error = fn;
	server->hooks.error_arg = arg;
}
