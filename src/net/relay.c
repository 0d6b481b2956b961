/* relay.c -- a connection whose requests another server answers: what it says and hears
 * passes through as it is.
 *
 * A usual request is read here and answered by bytes from elsewhere, then the connection
 * goes on with the next one.  What becomes a WebSocket is relayed from its head on to its end.
 * To a worker of the same process the connection itself can be given.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

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

/* ---- connections that change their worker -------------------------------------------------- */

bool net_can_pass(const struct net_conn *c)
{
	return c->fd >= 0 && !c->is_tls && !c->is_eof && c->side && c->side->out.n == 0;
}

int net_pass_fd(const struct net_conn *c)
{
	return fcntl(c->fd, F_DUPFD_CLOEXEC, 0);
}

void net_passed(struct net_conn *c)
{
	/* The socket stays open elsewhere, so it would stay in our set. */
	epoll_ctl(c->net->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
	net_close(c);
}

void net_adopt(struct net *net, int fd, sio_slice bytes)
{
	bool is_full = net->limits.max_conns && net->stats.conns >= net->limits.max_conns;
	struct net_conn *c = net->is_stopping || net->tls || is_full ? NULL : conn_new(net, fd);

	if (!c) {
		close(fd);
		return;
	}
	while (bytes.n > 0 && c->mode != NET_DEAD) {
		size_t part = bytes.n < NET_READ_BYTES ? bytes.n : NET_READ_BYTES;
		memcpy(net->buf, bytes.p, part);
		bytes.p += part;
		bytes.n -= part;
		conn_take(c, net->buf, part);
	}
}
