/* far.c -- a connection whose socket another server has: bytes come by a call, and go by one.
 *
 * To the rest of the folder it is a connection as any other; what recv, send and epoll say
 * of a socket is said here by whoever carries it.  One request is read from it, for what else
 * the client sends on its connection may be for somebody else.  Knows nothing of how the bytes
 * travel.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "net/wire.h"

enum { FAR_FD = INT_MIN }; /* no descriptor, and no pipe's index */

static struct far_conn *far_conn(const struct net_conn *c)
{
	return (struct far_conn *)(uintptr_t)c;
}

struct net_far *net_far_of(const struct net_conn *c)
{
	return c->is_far ? far_conn(c)->far : NULL;
}

/* Its end is nobody's business any more. */
static struct net_far *detach(struct net_conn *c)
{
	struct net_far *far = far_conn(c)->far;

	far_conn(c)->far = NULL;
	if (far)
		far->conn = NULL;
	return far;
}

static void end(struct net_conn *c, enum net_far_end how)
{
	struct net_far *far = detach(c);

	if (far)
		far->ops->ended(far, how);
}

/* ---- what a connection asks of the kernel (wire.h) ---------------------------------- */

ssize_t far_write(struct net_conn *c, const struct iovec *iov, int n)
{
	struct net_far *far = far_conn(c)->far;
	ssize_t sent = far ? far->ops->write(far, iov, n) : -1;

	if (sent > 0)
		return sent;
	errno = sent < 0 ? EPIPE : EAGAIN;
	return -1;
}

void far_watch(struct net_conn *c)
{
	struct net_far *far = far_conn(c)->far;

	if (far && net_far_is_reading(c))
		far->ops->reading(far);
}

/* Nobody is waited for: what the client still sends is for whoever has the socket. */
void far_shut(struct net_conn *c)
{
	c->is_eof = true;
	end(c, NET_FAR_CLOSE);
}

void far_close(struct net_conn *c)
{
	end(c, NET_FAR_CUT);
}

void far_done(struct net_conn *c)
{
	end(c, NET_FAR_DONE);
	net_close(c);
}

/* ---- what the carrier tells ------------------------------------------------------------- */

int net_far_open(struct net *net, struct net_far *far)
{
	struct far_conn *fc;

	if (net->is_stopping)
		return SIO_ERR_CLOSED;
	fc = calloc(1, sizeof(*fc));
	if (!fc)
		return SIO_ERR_NOMEM;
	fc->conn.is_far = true;
	fc->far = far;
	if (!conn_begin(&fc->conn, net, FAR_FD)) {
		free(fc);
		return SIO_ERR_NOMEM;
	}
	far->conn = &fc->conn;
	return SIO_OK;
}

void net_far_feed(struct net_conn *c, const char *p, size_t n)
{
	struct net *net = c->net;

	while (n > 0 && c->mode != NET_DEAD) {
		size_t part = n < NET_READ_BYTES ? n : NET_READ_BYTES;
		memcpy(net->buf, p, part); /* whoever takes it may change it */
		p += part;
		n -= part;
		conn_take(c, net->buf, part);
	}
}

void net_far_refuse(struct net_conn *c, int status)
{
	if (c->mode == NET_HTTP && !c->side->is_busy && !c->side->has_answered)
		c->net->ops->refuse(c, status);
}

void net_far_writable(struct net_conn *c)
{
	if (c->is_blocked)
		conn_ready(c, EPOLLOUT);
}

void net_far_cut(struct net_conn *c)
{
	detach(c);
	conn_lost(c);
}

bool net_far_is_reading(const struct net_conn *c)
{
	return c->interest & EPOLLIN;
}

void net_far_flush(struct net *net)
{
	for (struct net_conn *c = net->conns, *next; c; c = next) {
		next = c->next;
		if (c->is_far)
			conn_flush(c);
	}
}
