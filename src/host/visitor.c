/* visitor.c -- requests that ask to come in, while the application is asked about them.
 *
 * The connection waits as it does for any answer: what else it sends is kept and read
 * afterwards.  Everything about time and order of question and answer is in
 * engine/door.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include "engine/door.h"
#include "host/host.h"

struct visitor {
	struct sio_handshake hs;
	struct sio_request request;
};

static struct visitor *visitor_of(struct sio_handshake *hs)
{
	return MAP_OWNER(hs, struct visitor, hs);
}

static void visitor_free(struct sio_handshake *hs)
{
	struct visitor *v = visitor_of(hs);

	http1_free(v->request.reader);
	door_fini(hs);
	free(v);
}

/* The connection is not ours any more; the request stays readable. */
static struct net_conn *let_go(struct visitor *v)
{
	struct net_conn *c = v->request.conn;

	c->owner = NULL;
	request_detach(&v->request);
	return c;
}

void visitor_gone(struct visitor *v)
{
	v->hs.server->visitors--;
	let_go(v);
	door_gone(&v->hs);
}

static void on_held(struct sio_handshake *hs)
{
	struct visitor *v = visitor_of(hs);

	hs->server->visitors++;
	request_keep_address(&v->request);
	if (v->request.conn->mode == NET_HTTP)
		v->request.conn->owner = owner_of_visitor(v);
	else /* the handler has closed the server */
		visitor_gone(v);
}

static void on_late(struct sio_handshake *hs)
{
	struct visitor *v = visitor_of(hs);

	hs->server->visitors--;
	endpoint_refuse_busy(hs->server, let_go(v), v->request.http, "The application has not decided in time");
}

static void on_answered(struct sio_handshake *hs)
{
	struct visitor *v = visitor_of(hs);
	struct sio_server *server = hs->server;
	struct net_conn *c = v->request.conn;

	if (c->owner) { /* it was held */
		c->owner = NULL;
		server->visitors--;
	}
	if (c->mode == NET_HTTP && hs->verdict == DOOR_ACCEPTED)
		endpoint_enter(server, c, v->request.http);
	else if (c->mode == NET_HTTP)
		endpoint_refuse(server, c, v->request.http, EIO_ERR_FORBIDDEN, buf_peek(&hs->message));
	visitor_free(hs);
}

static const struct door_ops visitor_ops = {
	.answered = on_answered,
	.held = on_held,
	.late = on_late,
	.free = visitor_free,
};

void visitor_ask(struct sio_server *server, struct net_conn *c, const struct http1_request *req,
		 enum sio_handshake_kind kind)
{
	const struct hooks *h = &server->hooks;
	bool is_upgrade = kind == SIO_HANDSHAKE_UPGRADE;
	struct visitor *v = calloc(1, sizeof(*v));

	if (!v) {
		endpoint_refuse_busy(server, c, req, "Out of memory, try again later");
		return;
	}
	request_view(&v->request, server, c, req);
	v->hs = (struct sio_handshake){ .ops = &visitor_ops,
					.server = server,
					.guard = &server->hub.guard,
					.request = &v->request,
					.timeout_ms = server->handshake_timeout_ms,
					.kind = kind };
	door_ask(&v->hs, net_wheel(server->net), net_now_ms(server->net), is_upgrade ? h->upgrade : h->handshake,
		      is_upgrade ? h->upgrade_arg : h->handshake_arg);
}
