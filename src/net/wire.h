/* wire.h -- where a connection's bytes come from and go to.
 *
 * A descriptor of the system, or one below zero: of a connection whose socket another
 * server has (far.c), or the index of a pipe (pipe.c), which is a connection of a test, made
 * of memory.  Everything in net/ that a connection asks
 * of the kernel goes through here, so the rest of the code is the same for both; what it
 * costs is one comparison beside a system call.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef NET_WIRE_H
#define NET_WIRE_H

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/inner.h"

static inline ssize_t wire_read(struct net_conn *c, char *p, size_t n)
{
	return c->fd < 0 ? pipe_read(c, p, n) : recv(c->fd, p, n, 0);
}

/* As send and sendmsg: bytes taken, or -1 with errno. */
static inline ssize_t wire_write(struct net_conn *c, struct iovec *iov, int n)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (size_t)n };

	if (c->fd < 0)
		return c->is_far ? far_write(c, iov, n) : pipe_write(c, iov, n);
	return n == 1 ? send(c->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL) : sendmsg(c->fd, &msg, MSG_NOSIGNAL);
}

/* Watch what c->interest says; op is one of epoll_ctl's. */
static inline int wire_watch(struct net_conn *c, int op)
{
	struct epoll_event ev = { .events = c->interest, .data.ptr = c };

	if (c->is_far && op == EPOLL_CTL_MOD)
		far_watch(c);
	return c->fd < 0 ? 0 : epoll_ctl(c->net->epoll_fd, op, c->fd, &ev);
}

/* No byte of ours follows. */
static inline void wire_shut(struct net_conn *c)
{
	if (c->is_far)
		far_shut(c);
	else if (c->fd < 0)
		pipe_shut(c);
	else
		shutdown(c->fd, SHUT_WR);
}

static inline void wire_close(struct net_conn *c)
{
	if (c->is_far)
		far_close(c);
	else if (c->fd < 0)
		pipe_close(c);
	else
		close(c->fd); /* leaves the epoll set by itself */
}

#endif
