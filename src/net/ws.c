/* ws.c -- a connection after its 101: frames in, control frames out.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <string.h>

#include "net/inner.h"

struct feed {
	struct net_conn *c;
	bool has_message;   /* a message was complete; control frames do not count */
};

static bool on_message(void *ctx, enum ws_op op, char *data, size_t n)
{
	struct feed *feed = ctx;

	feed->has_message |= op < WS_CLOSE;
	feed->c->net->ops->ws_message(feed->c, op, data, n);
	return feed->c->mode == NET_WS;
}

/* false: no memory for what it negotiated. */
static bool get_limits(struct net_conn *c, struct ws_limits *limits)
{
	struct net *net = c->net;

	*limits = net->ops->ws_limits(c);
	if (!c->deflate_bits)
		return true;
	if (!net->inflater)
		net->inflater = inflater_new();
	limits->inflater = net->inflater;
	return net->inflater != NULL;
}

void ws_feed(struct net_conn *c, char *p, size_t n)
{
	struct ws_reader *reader = c->ws;
	struct feed feed = { .c = c };
	struct ws_limits limits;
	bool was_partial = reader != NULL;
	int code;

	if (!get_limits(c, &limits)) {
		c->net->ops->ws_fault(c, 1011);
		return;
	}
	c->ws = NULL; /* in our hands, whatever happens to the connection meanwhile */
	code = ws_read(&reader, &limits, p, n, on_message, &feed);
	c->ws = reader;
	if (c->mode != NET_WS)
		return; /* its memory goes with the connection */
	if (code) {
		c->net->ops->ws_fault(c, code);
		return;
	}
	if (reader && (!was_partial || feed.has_message)) /* another one has begun */
		conn_deadline(c, c->net->limits.body_timeout_ms);
	else if (!reader && was_partial)
		conn_deadline(c, 0);
	if (!reader && c->side)
		conn_tidy(c);
}

void net_ws_write(struct net_conn *c, enum ws_op op, sio_slice payload)
{
	struct net_side *side = conn_side(c);
	char head[WS_HEAD_MAX];

	/* Pongs to a peer that does not read: the latest ones need not be answered. */
	if (!side || (op != WS_CLOSE && side->out.n > NET_CONTROL_MAX))
		return;
	buf_put(&side->out, head, ws_head_write(head, op, payload.n));
	buf_slice(&side->out, payload);
	conn_mark_dirty(c);
}

void net_ws_close(struct net_conn *c, int code)
{
	char payload[2] = { (char)(code >> 8), (char)code };

	if (c->mode == NET_DEAD)
		return;
	c->owner = NULL;
	if (code < 0 || c->is_blocked || !conn_side(c)) {
		net_close(c);
		return;
	}
	c->is_paused = false;
	net_ws_write(c, WS_CLOSE, sio_bytes(payload, code ? 2 : 0));
	c->side->is_last = true;
	c->mode = NET_DRAIN;
	conn_deadline(c, NET_DRAIN_MS);
}

void net_ws_finish(struct net_conn *c)
{
	if (c->mode != NET_WS)
		return;
	c->owner = NULL;
	c->is_paused = false;
	if (!conn_side(c)) {
		net_close(c);
		return;
	}
	c->side->is_last = true;
	c->mode = NET_DRAIN;
	conn_deadline(c, NET_DRAIN_MS);
	conn_mark_dirty(c);
}

void net_pause(struct net_conn *c, bool is_paused)
{
	c->is_paused = is_paused;
	conn_watch(c);
}
