/* relay.c -- a connection whose requests another server answers: what it says and hears
 * passes through as it is.
 *
 * A usual request is read here and answered by bytes from elsewhere, then the connection
 * goes on with the next one.  What becomes a WebSocket is relayed from its head on to its end.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "net/inner.h"

void net_relay(struct net_conn *c)
{
	c->mode = NET_RELAY;
	conn_deadline(c, 0);
}

void net_relay_back(struct net_conn *c)
{
	c->mode = NET_HTTP;
	c->is_paused = false;
	conn_watch(c);
}

void net_put(struct net_conn *c, sio_slice bytes)
{
	if (!conn_side(c)) {
		conn_lost(c);
		return;
	}
	buf_slice(&c->side->out, bytes);
	conn_mark_dirty(c);
}

void net_put_end(struct net_conn *c, bool closes)
{
	c->owner = NULL;
	c->is_paused = false;
	if (!conn_side(c)) {
		net_close(c);
		return;
	}
	c->side->is_last |= closes || c->mode == NET_RELAY || c->net->is_stopping;
	c->side->is_busy = false;
	c->side->has_answered = true;
	conn_watch(c);
	conn_mark_dirty(c);
}

void net_hold(struct net_conn *c)
{
	c->side->is_busy = true;
	conn_deadline(c, 0);
}
