/* poll.c -- round trips over long-polling: sessions that ask and wait for the answer, each
 * request at the next of the servers that are named.
 *
 *	poll SECONDS SESSIONS AUTH PORT...
 *
 * A round trip is a POST with an event that wants an acknowledgement, and the GETs until that
 * is there.  AUTH is the text of the CONNECT's payload.  Prints one line of JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORTS_MAX = 16, SESSIONS_MAX = 1024, TEXT_MAX = 65536 };
enum step { OPEN, CONNECT, CONNECTED, ASK, ANSWER };

struct session {
	int fd[PORTS_MAX];
	unsigned turn;             /* of the next request */
	enum step step;
	char sid[64];
	char in[TEXT_MAX];
	size_t n;
	uint64_t began_us;
};

static struct session sessions[SESSIONS_MAX];
static int ports[PORTS_MAX], ports_n, epoll_fd;
static const char *auth;
static uint64_t trips, waits_us, slowest_us;

static void die(const char *what)
{
	fprintf(stderr, "poll: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int connect_to(struct session *s, int port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = s };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		die("epoll_ctl");
	return fd;
}

/* The next request, to the next server; body NULL: a GET. */
static void ask(struct session *s, const char *body)
{
	int *fd = &s->fd[s->turn % (unsigned)ports_n];
	char text[4096];
	int n;

	if (*fd < 0)
		*fd = connect_to(s, ports[s->turn % (unsigned)ports_n]);
	s->turn++;
	s->n = 0;
	n = snprintf(text, sizeof(text), "%s /socket.io/?EIO=4&transport=polling%s%s HTTP/1.1\r\nHost: h\r\n", body ? "POST" : "GET",
		     s->sid[0] ? "&sid=" : "", s->sid);
	if (body)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: %zu\r\n\r\n%s",
			      strlen(body), body);
	else
		n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
	if (send(*fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		die("send");
}

static void begin_trip(struct session *s)
{
	s->step = ASK;
	s->began_us = now_us();
	ask(s, "420[\"presence:list\",{\"project_id\":\"proj-123\"}]");
}

static void end_trip(struct session *s)
{
	uint64_t took = now_us() - s->began_us;

	trips++;
	waits_us += took;
	slowest_us = took > slowest_us ? took : slowest_us;
	begin_trip(s);
}

static void on_answer(struct session *s, const char *body)
{
	char text[3072];

	switch (s->step) {
	case OPEN:
		if (sscanf(body, "0{\"sid\":\"%63[^\"]", s->sid) != 1)
			die(body);
		s->step = CONNECT;
		snprintf(text, sizeof(text), "40%s", auth);
		ask(s, text);
		return;
	case CONNECT:
		s->step = CONNECTED;
		ask(s, NULL);
		return;
	case CONNECTED:
		if (!strstr(body, "40{"))
			ask(s, NULL);
		else
			begin_trip(s);
		return;
	case ASK:
		s->step = ANSWER;
		ask(s, NULL);
		return;
	case ANSWER:
		if (strstr(body, "430["))
			end_trip(s);
		else
			ask(s, NULL);
	}
}

static void on_ready(struct session *s)
{
	int fd = s->fd[(s->turn - 1) % (unsigned)ports_n];
	ssize_t n = recv(fd, s->in + s->n, sizeof(s->in) - s->n - 1, MSG_DONTWAIT);
	char *end, *length;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		die("a connection was closed");
	s->n += (size_t)n;
	s->in[s->n] = '\0';
	end = strstr(s->in, "\r\n\r\n");
	length = strstr(s->in, "Content-Length: ");
	if (!end || !length || s->n < (size_t)(end + 4 - s->in) + strtoul(length + 16, NULL, 10))
		return;
	if (strncmp(s->in, "HTTP/1.1 200", 12) != 0)
		die(s->in);
	on_answer(s, end + 4);
}

int main(int argc, char **argv)
{
	int sessions_n = argc > 4 ? atoi(argv[2]) : 0;
	uint64_t begin, end;

	if (sessions_n < 1 || sessions_n > SESSIONS_MAX || argc - 4 > PORTS_MAX) {
		fprintf(stderr, "poll SECONDS SESSIONS AUTH PORT...\n");
		return 2;
	}
	auth = argv[3];
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (ports_n = 0; ports_n < argc - 4; ports_n++)
		ports[ports_n] = atoi(argv[4 + ports_n]);
	for (int i = 0; i < sessions_n; i++) {
		memset(sessions[i].fd, 0xff, sizeof(sessions[i].fd));
		sessions[i].turn = (unsigned)i;
		ask(&sessions[i], NULL);
	}
	begin = now_us();
	end = begin + (uint64_t)(atof(argv[1]) * 1e6);
	while (now_us() < end) {
		struct epoll_event ev[256];
		int n = epoll_wait(epoll_fd, ev, 256, 100);
		for (int i = 0; i < n; i++)
			on_ready(ev[i].data.ptr);
	}
	printf("{\"trips\": %llu, \"seconds\": %.3f, \"mean_us\": %llu, \"max_us\": %llu}\n", (unsigned long long)trips,
	       (double)(now_us() - begin) / 1e6, (unsigned long long)(trips ? waits_us / trips : 0), (unsigned long long)slowest_us);
	return 0;
}
