/* engineio.c -- plain Engine.IO on the sessions of a server: what the application hears
 * of a link.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "host/host.h"

struct eio_app *eio_app_of(const struct sio_server *server)
{
	return (struct eio_app *)(uintptr_t)&server->engine_app;
}

static bool on_open(struct link *link, struct sio_server *server, struct net_conn *c, const struct http1_request *req)
{
	(void)c, (void)req;
	eio_app_open(&link->app, &server->engine_app, &link->session);
	return true;
}

/* A handshake that waited may be let in from inside of another session's handler, which
 * goes on reading its own request afterwards. */
static void on_opened(struct link *link)
{
	struct sio_server *server = link_server(link);
	struct sio_request outer = server->view;

	eio_app_opened(&link->app);
	server->view = outer;
}

static void on_message(struct link *link, char *data, size_t n, bool is_binary)
{
	eio_app_message(&link->app, data, n, is_binary);
}

static void on_upgraded(struct link *link)
{
	eio_app_upgraded(&link->app);
}

static void on_drained(struct link *link)
{
	eio_app_drained(&link->app);
	net_wake(link_server(link)->net); /* it is told at the next flush, which must come */
}

static void on_closed(struct link *link, const char *reason)
{
	eio_app_closed(&link->app, reason);
}

const struct app_ops engineio_app = {
	.open = on_open,
	.opened = on_opened,
	.message = on_message,
	.upgraded = on_upgraded,
	.drained = on_drained,
	.closed = on_closed,
};

/* The connection whose request is behind what the application hears now. */
static struct net_conn *speaking(const struct link *link)
{
	if (link->app.is_opening)
		return link->wire[link->session.transport == EIO_POLLING ? EIO_WIRE_GET : EIO_WIRE_WS];
	return link->session.is_delivering ? link->wire[EIO_WIRE_POST] : NULL;
}

const struct sio_request *sio_session_request(struct sio_session *session)
{
	struct link *link = MAP_OWNER(session, struct link, app);
	struct sio_server *server = link_server(link);
	struct net_conn *c = speaking(link);

	if (!c || !c->side || !c->side->reader || !eio_is_open(&link->session))
		return NULL;
	request_view(&server->view, server, c, http1_request(c->side->reader));
	return &server->view;
}
