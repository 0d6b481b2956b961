/* raw.c -- the yardstick: the least that a server must do to relay cursors.
 *
 * One thread, one epoll, no library.  It speaks as much WebSocket, Engine.IO and
 * Socket.IO as bench/load.c needs, parses no JSON beyond finding the place it
 * copies from, and trusts its peer.  What it spends on a delivery is nearly all
 * the kernel's, so a server's CPU divided by this one's says what the server adds.
 *
 *   --plain     one send() a delivery, at once
 *   --coalesce  one writev() a connection and epoll turn
 *
 * A relayed frame is written once into the turn's arena; receivers' queues hold
 * iovecs that point there, so there is no reference count.  What the kernel does
 * not take is copied to the connection ("late") before the arena starts again.
 * No heartbeat, no limits, no access control: never use it as a server.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ws.h"

enum {
	QUEUE_MAX = 64,          /* iovecs of one connection and turn, then it is written early */
	EVENTS_MAX = 1024,
	ROOMS_MAX = 1024,
	NAME_MAX_BYTES = 48,
	READ_BYTES = 256 * 1024,
	ARENA_BYTES = 4 * 1024 * 1024,
	FRAME_MAX = 4096,
	LATE_MAX = 1024 * 1024,
};

struct conn {
	int fd;
	bool upgraded, dirty, closed;
	struct room *room;
	size_t seat;             /* index in room->members */
	char user[NAME_MAX_BYTES];
	char *rest;              /* an incomplete head or frame */
	size_t rest_n;
	char *late;              /* bytes the kernel did not take */
	size_t late_n;
	unsigned queue_n;
	struct iovec queue[QUEUE_MAX];
	struct conn *next_closed;
};

struct room {
	char name[NAME_MAX_BYTES];
	struct conn **members;
	size_t n, cap;
};

static struct {
	int epoll, listener;
	bool coalesce;
	struct room rooms[ROOMS_MAX];
	size_t rooms_n;
	struct conn **dirty;
	size_t dirty_n, dirty_cap;
	struct conn *closed; /* freed at the end of the turn */
	unsigned sid;
	char arena[ARENA_BYTES];
	size_t arena_n;
	char read[READ_BYTES];
} s;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *must(void *p)
{
	if (!p)
		die("memory");
	return p;
}

/* ---- closing ---- */

static void room_leave(struct conn *c)
{
	struct room *r = c->room;

	if (!r)
		return;
	r->members[c->seat] = r->members[--r->n];
	r->members[c->seat]->seat = c->seat;
	c->room = NULL;
}

static void conn_close(struct conn *c)
{
	if (c->closed)
		return;
	c->closed = true;
	room_leave(c);
	close(c->fd);
	c->next_closed = s.closed;
	s.closed = c;
}

static void reap(void)
{
	while (s.closed) {
		struct conn *c = s.closed;

		s.closed = c->next_closed;
		free(c->rest);
		free(c->late);
		free(c);
	}
}

/* ---- writing ---- */

static void conn_want(struct conn *c, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (epoll_ctl(s.epoll, EPOLL_CTL_MOD, c->fd, &ev) < 0)
		die("epoll_ctl");
}

/* Keep what the kernel did not take; from now on everything queues behind it. */
static void conn_late(struct conn *c, const char *p, size_t n)
{
	if (n == 0)
		return;
	if (c->late_n + n > LATE_MAX) {
		conn_close(c);
		return;
	}
	c->late = must(realloc(c->late, c->late_n + n));
	memcpy(c->late + c->late_n, p, n);
	if (c->late_n == 0)
		conn_want(c, EPOLLIN | EPOLLOUT);
	c->late_n += n;
}

static void conn_send(struct conn *c, const char *p, size_t n)
{
	ssize_t sent = 0;

	if (c->closed)
		return;
	if (c->late_n == 0) {
		sent = send(c->fd, p, n, MSG_NOSIGNAL);
		if (sent == (ssize_t)n)
			return;
		if (sent < 0 && errno != EAGAIN) {
			conn_close(c);
			return;
		}
		if (sent < 0)
			sent = 0;
	}
	conn_late(c, p + sent, n - (size_t)sent);
}

static void conn_send_late(struct conn *c)
{
	ssize_t sent = send(c->fd, c->late, c->late_n, MSG_NOSIGNAL);

	if (sent < 0) {
		if (errno != EAGAIN)
			conn_close(c);
		return;
	}
	c->late_n -= (size_t)sent;
	memmove(c->late, c->late + sent, c->late_n);
	if (c->late_n == 0)
		conn_want(c, EPOLLIN);
}

/* Write the turn's queue of one connection. */
static void conn_flush(struct conn *c)
{
	ssize_t sent = 0;
	unsigned n = c->queue_n;

	c->queue_n = 0;
	if (c->closed)
		return;
	if (c->late_n == 0) {
		sent = writev(c->fd, c->queue, (int)n);
		if (sent < 0 && errno != EAGAIN) {
			conn_close(c);
			return;
		}
		if (sent < 0)
			sent = 0;
	}
	for (unsigned i = 0; i < n; i++) {
		size_t have = c->queue[i].iov_len, skip = (size_t)sent < have ? (size_t)sent : have;

		sent -= (ssize_t)skip;
		conn_late(c, (char *)c->queue[i].iov_base + skip, have - skip);
	}
}

static void flush_all(void)
{
	for (size_t i = 0; i < s.dirty_n; i++) {
		s.dirty[i]->dirty = false;
		conn_flush(s.dirty[i]);
	}
	s.dirty_n = 0;
	s.arena_n = 0;
}

static void conn_queue(struct conn *c, char *frame, size_t n)
{
	if (c->queue_n == QUEUE_MAX)
		conn_flush(c);
	c->queue[c->queue_n++] = (struct iovec){ .iov_base = frame, .iov_len = n };
	if (c->dirty)
		return;
	if (s.dirty_n == s.dirty_cap) {
		s.dirty_cap = s.dirty_cap ? 2 * s.dirty_cap : 1024;
		s.dirty = must(realloc(s.dirty, s.dirty_cap * sizeof(*s.dirty)));
	}
	c->dirty = true;
	s.dirty[s.dirty_n++] = c;
}

/* One text frame to one connection, off the hot path. */
static void conn_text(struct conn *c, const char *text)
{
	char frame[FRAME_MAX];
	size_t n = strlen(text), head = ws_head(frame, WS_TEXT, n);

	if (c->dirty) /* keep the order */
		conn_flush(c);
	memcpy(frame + head, text, n);
	conn_send(c, frame, head + n);
}

/* ---- the relay ---- */

static char *put(char *p, const char *from, size_t n)
{
	memcpy(p, from, n);
	return p + n;
}

/* Build 42["cursor:moved",{...}] once in the arena.  Returns its length. */
static size_t relay_encode(const struct conn *from, const char *room, const char *cursor, size_t n, char *frame)
{
	static const char a[] = "42[\"cursor:moved\",{\"project_id\":\"", b[] = "\",\"user_id\":\"", c[] = "\",\"cursor\":";
	size_t room_n = strlen(room), user_n = strlen(from->user);
	size_t body = sizeof(a) - 1 + room_n + sizeof(b) - 1 + user_n + sizeof(c) - 1 + n;
	char *p = frame + ws_head(frame, WS_TEXT, body);

	p = put(p, a, sizeof(a) - 1);
	p = put(p, room, room_n);
	p = put(p, b, sizeof(b) - 1);
	p = put(p, from->user, user_n);
	p = put(p, c, sizeof(c) - 1);
	p = put(p, cursor, n);
	return (size_t)(p - frame);
}

/* cursor runs to the end of the message, closing "}]" included. */
static void relay(struct conn *from, const char *cursor, size_t n)
{
	struct room *r = from->room;
	char *frame;
	size_t frame_n;

	if (!r || n > FRAME_MAX - 256)
		return;
	if (s.arena_n > ARENA_BYTES - FRAME_MAX)
		flush_all();
	frame = s.arena + s.arena_n;
	frame_n = relay_encode(from, r->name, cursor, n, frame);
	if (s.coalesce)
		s.arena_n += frame_n;
	for (size_t i = r->n; i-- > 0;) { /* downwards: a failing member is swapped out behind us */
		struct conn *to = r->members[i];

		if (to == from)
			continue;
		if (s.coalesce)
			conn_queue(to, frame, frame_n);
		else
			conn_send(to, frame, frame_n);
	}
}

/* ---- Socket.IO, as little as will do ---- */

/* The string value behind "key":" in p[0..n), cut to size. */
static void find_string(const char *p, size_t n, const char *key, char *out)
{
	const char *at = memmem(p, n, key, strlen(key));
	const char *end = p + n;
	size_t i = 0;

	if (at)
		for (at += strlen(key); at < end && *at != '"' && i < NAME_MAX_BYTES - 1; at++)
			out[i++] = *at;
	out[i] = 0;
}

static struct room *room_find(const char *name)
{
	struct room *r;

	for (size_t i = 0; i < s.rooms_n; i++)
		if (strcmp(s.rooms[i].name, name) == 0)
			return &s.rooms[i];
	if (s.rooms_n == ROOMS_MAX)
		return NULL;
	r = &s.rooms[s.rooms_n++];
	snprintf(r->name, sizeof(r->name), "%s", name);
	return r;
}

static void on_join(struct conn *c, const char *p, size_t n)
{
	char name[NAME_MAX_BYTES], text[256];
	struct room *r;

	find_string(p, n, "\"project_id\":\"", name);
	r = room_find(name);
	if (!r || c->room)
		return;
	if (r->n == r->cap) {
		r->cap = r->cap ? 2 * r->cap : 64;
		r->members = must(realloc(r->members, r->cap * sizeof(struct conn *)));
	}
	flush_all(); /* the newcomer gets nothing from before its time */
	c->room = r;
	c->seat = r->n;
	r->members[r->n++] = c;
	snprintf(text, sizeof(text),
		 "42[\"joined_project\",{\"project_id\":\"%s\",\"message\":\"Joined project %s\",\"users\":[]}]", name, name);
	conn_text(c, text);
}

static void on_connect(struct conn *c, const char *p, size_t n)
{
	char text[64];

	find_string(p, n, "\"token\":\"", c->user);
	snprintf(text, sizeof(text), "40{\"sid\":\"raw%017u\"}", ++s.sid);
	conn_text(c, text);
}

static void on_event(struct conn *c, const char *p, size_t n)
{
	static const char move[] = "[\"cursor:move\",", join[] = "[\"join_project\",", key[] = "\"cursor\":";
	const char *id = p, *at;
	char text[64];

	while (n && *p >= '0' && *p <= '9')
		p++, n--;
	if (n > sizeof(move) && memcmp(p, move, sizeof(move) - 1) == 0) {
		at = memmem(p + sizeof(move) - 1, n - (sizeof(move) - 1), key, sizeof(key) - 1);
		if (at)
			relay(c, at + sizeof(key) - 1, (size_t)(p + n - at) - (sizeof(key) - 1));
	} else if (n > sizeof(join) && memcmp(p, join, sizeof(join) - 1) == 0) {
		on_join(c, p, n);
	}
	if (p != id) {
		snprintf(text, sizeof(text), "43%.*s[{\"ok\":true}]", (int)(p - id), id);
		conn_text(c, text);
	}
}

static void on_frame(struct conn *c, const struct ws_frame *f)
{
	char pong[WS_HEAD_MAX + 125];
	size_t head;

	if (f->op == WS_CLOSE) {
		conn_send(c, "\x88", 2); /* the literal's NUL is the length */
		conn_close(c);
	} else if (f->op == WS_PING && f->n <= 125) {
		head = ws_head(pong, WS_PONG, f->n);
		memcpy(pong + head, f->payload, f->n);
		conn_send(c, pong, head + f->n);
	} else if (f->op == WS_TEXT && f->n >= 2 && f->payload[0] == '4') {
		if (f->payload[1] == '2')
			on_event(c, f->payload + 2, f->n - 2);
		else if (f->payload[1] == '0')
			on_connect(c, f->payload + 2, f->n - 2);
	}
}

/* ---- the WebSocket handshake ---- */

static uint32_t rol(uint32_t v, int by)
{
	return v << by | v >> (32 - by);
}

static void sha1_block(uint32_t h[5], const unsigned char *p)
{
	static const uint32_t k[4] = { 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6 };
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	for (int i = 16; i < 80; i++)
		w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (int i = 0; i < 80; i++) {
		uint32_t f = i < 20 ? (b & c) | (~b & d) : i >= 40 && i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
		uint32_t t = rol(a, 5) + f + e + k[i / 20] + w[i];

		e = d, d = c, c = rol(b, 30), b = a, a = t;
	}
	h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

/* SHA-1 of at most 119 bytes. */
static void sha1(const char *p, size_t n, unsigned char out[20])
{
	uint32_t h[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
	unsigned char block[128] = { 0 };
	size_t blocks = n < 56 ? 1 : 2;

	memcpy(block, p, n);
	block[n] = 0x80;
	block[64 * blocks - 2] = (unsigned char)(n >> 5);
	block[64 * blocks - 1] = (unsigned char)(n << 3);
	for (size_t i = 0; i < blocks; i++)
		sha1_block(h, block + 64 * i);
	for (int i = 0; i < 20; i++)
		out[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static void accept_key(const char *key, size_t n, char out[29])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	static const char abc[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned char digest[21] = { 0 };
	char text[119];

	memcpy(text, key, n);
	memcpy(text + n, guid, sizeof(guid) - 1);
	sha1(text, n + sizeof(guid) - 1, digest);
	for (int i = 0; i < 7; i++) {
		uint32_t v = (uint32_t)digest[3 * i] << 16 | (uint32_t)digest[3 * i + 1] << 8 | digest[3 * i + 2];

		for (int j = 0; j < 4; j++)
			out[4 * i + j] = abc[v >> (18 - 6 * j) & 63];
	}
	out[27] = '=';
	out[28] = 0;
}

/* head is NUL-terminated. */
static void on_upgrade(struct conn *c, const char *head)
{
	static const char name[] = "\nsec-websocket-key:";
	const char *key = strcasestr(head, name);
	char answer[256], accept[29], text[192];
	size_t n;

	if (!key || !strstr(head, "transport=websocket")) {
		conn_close(c);
		return;
	}
	key += sizeof(name) - 1;
	key += strspn(key, " ");
	n = strcspn(key, " \r\n");
	accept_key(key, n < 64 ? n : 64, accept);
	snprintf(answer, sizeof(answer),
		 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		 "Sec-WebSocket-Accept: %s\r\n\r\n",
		 accept);
	conn_send(c, answer, strlen(answer));
	c->upgraded = true;
	snprintf(text, sizeof(text),
		 "0{\"sid\":\"eio%017u\",\"upgrades\":[],\"pingInterval\":600000,\"pingTimeout\":600000,"
		 "\"maxPayload\":1000000}",
		 ++s.sid);
	conn_text(c, text);
}

/* ---- reading ---- */

/* Handle what is complete in p[0..n).  Returns the bytes used. */
static size_t conn_input(struct conn *c, char *p, size_t n)
{
	struct ws_frame f;
	size_t used = 0, step;
	char *end;

	if (!c->upgraded) {
		end = memmem(p, n, "\r\n\r\n", 4);
		if (!end)
			return 0;
		end[2] = 0;
		used = (size_t)(end - p) + 4;
		on_upgrade(c, p);
	}
	while (!c->closed && (step = ws_take(p + used, n - used, &f)) > 0) {
		used += step;
		on_frame(c, &f);
	}
	return used;
}

static void conn_read(struct conn *c)
{
	size_t n = c->rest_n, used;
	ssize_t got;

	if (n)
		memcpy(s.read, c->rest, n);
	if (n == READ_BYTES) {
		conn_close(c);
		return;
	}
	got = recv(c->fd, s.read + n, READ_BYTES - n, 0);
	if (got <= 0) {
		if (got == 0 || errno != EAGAIN)
			conn_close(c);
		return;
	}
	n += (size_t)got;
	used = conn_input(c, s.read, n);
	c->rest_n = n - used;
	if (c->rest_n && !c->closed) {
		c->rest = must(realloc(c->rest, c->rest_n));
		memcpy(c->rest, s.read + used, c->rest_n);
	}
}

static void on_accept(void)
{
	int fd, one = 1;

	while ((fd = accept4(s.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *c = must(calloc(1, sizeof(*c)));
		struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };

		c->fd = fd;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (epoll_ctl(s.epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
			die("epoll_ctl");
	}
}

static void turn(void)
{
	static struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(s.epoll, events, EVENTS_MAX, -1);

	for (int i = 0; i < n; i++) {
		struct conn *c = events[i].data.ptr;

		if (!c) {
			on_accept();
			continue;
		}
		if (!c->closed && (events[i].events & EPOLLOUT))
			conn_send_late(c);
		if (!c->closed && (events[i].events & ~(uint32_t)EPOLLOUT))
			conn_read(c);
	}
	flush_all();
	reap();
}

static void listen_on(uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct epoll_event ev = { .events = EPOLLIN };
	socklen_t n = sizeof(at);
	int one = 1;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s.epoll = epoll_create1(EPOLL_CLOEXEC);
	s.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s.epoll < 0 || s.listener < 0)
		die("socket");
	setsockopt(s.listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(s.listener, (struct sockaddr *)&at, n) < 0 || listen(s.listener, 4096) < 0)
		die("listen");
	getsockname(s.listener, (struct sockaddr *)&at, &n);
	if (epoll_ctl(s.epoll, EPOLL_CTL_ADD, s.listener, &ev) < 0)
		die("epoll_ctl");
	printf("Listening on http://127.0.0.1:%u\n", (unsigned)ntohs(at.sin_port));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct rlimit files;
	uint16_t port = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--coalesce") == 0) {
			s.coalesce = true;
		} else if (strcmp(argv[i], "--plain") == 0) {
			s.coalesce = false;
		} else if (strcmp(argv[i], "--port") == 0 && i + 1 < argc) {
			port = (uint16_t)strtoul(argv[++i], NULL, 10);
		} else {
			fprintf(stderr, "usage: raw [--plain | --coalesce] [--port N]\n");
			return 2;
		}
	}
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	signal(SIGPIPE, SIG_IGN);
	listen_on(port);
	for (;;)
		turn();
}
