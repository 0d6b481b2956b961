/* listen.c -- listening sockets and accepting.
 *
 * When descriptors run out, a reserved one is given up so that the waiting client
 * can be accepted and told 503 instead of being left in the backlog.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/inner.h"

enum { BACKLOG = 4096 };

static int open_socket(const struct addrinfo *ai, bool is_shared)
{
	int one = 1, fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (is_shared)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
		int err = errno;
		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

int net_listen(struct net *net, const char *host, uint16_t port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_PASSIVE }, *ai;
	struct epoll_event ev = { .events = EPOLLIN };
	struct net_listener *l;
	char service[8];

	if (net->is_stopping)
		return SIO_ERR_CLOSED;
	if (!net->loop) {
		errno = EOPNOTSUPP;
		return SIO_ERR_SYSTEM;
	}
	snprintf(service, sizeof(service), "%u", port);
	if (strcmp(host, "localhost") == 0)
		host = "127.0.0.1";
	if (getaddrinfo(host, service, &hints, &ai) != 0)
		return SIO_ERR_INVAL;
	l = calloc(1, sizeof(*l));
	if (!l) {
		freeaddrinfo(ai);
		return SIO_ERR_NOMEM;
	}
	l->net = net;
	l->fd = open_socket(ai, net->limits.share_port);
	freeaddrinfo(ai);
	/* The lowest bit tells a listener from a connection. */
	ev.data.u64 = (uint64_t)(uintptr_t)l | 1;
	if (l->fd < 0 || epoll_ctl(net->epoll_fd, EPOLL_CTL_ADD, l->fd, &ev) < 0) {
		int err = errno;
		if (l->fd >= 0)
			close(l->fd);
		free(l);
		errno = err;
		return SIO_ERR_SYSTEM;
	}
	l->next = net->listeners;
	net->listeners = l;
	return SIO_OK;
}

uint16_t net_port(const struct net *net)
{
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);
	const struct net_listener *first = net->listeners;

	while (first && first->next)
		first = first->next;
	if (!first || getsockname(first->fd, (struct sockaddr *)&sa, &n) < 0)
		return 0;
	return ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
					      : ((struct sockaddr_in *)&sa)->sin_port);
}

void listener_close(struct net_listener *l)
{
	close(l->fd);
	free(l);
}

static void refuse_one(struct net_listener *l, int fd)
{
	static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
				   "Retry-After: 5\r\nConnection: close\r\nContent-Length: 111\r\n\r\n"
				   "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,"
				   "\"detail\":\"Too many connections\",\"code\":\"busy\"}";

	/* A handshake only to say no would cost more than the connection. */
	if (!l->net->tls && send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
		shutdown(fd, SHUT_WR);
	close(fd);
	l->net->stats.refused++;
}

static void out_of_descriptors(struct net_listener *l)
{
	struct net *net = l->net;
	int fd;

	if (net->reserve_fd >= 0)
		close(net->reserve_fd);
	fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		refuse_one(l, fd);
	net->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void listener_ready(struct net_listener *l)
{
	struct net *net = l->net;
	int one = 1;

	for (int i = 0; i < NET_ACCEPTS_A_TURN; i++) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE)
				out_of_descriptors(l);
			if (errno == ECONNABORTED || errno == EINTR)
				continue;
			return;
		}
		if (net->limits.max_conns && net->stats.conns >= net->limits.max_conns) {
			refuse_one(l, fd);
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (!conn_new(net, fd))
			close(fd);
	}
}
