/* load.c -- the load generator: many WebSocket clients of one server, in one thread.
 *
 * Life of a connection (conn_move is the only writer of its state):
 *
 *   DIALING -connect-> UPGRADING -101-> OPENING -"0{..}"-> CONNECTING -"40{..}"->
 *   JOINING -"joined_project"-> JOINED -> GONE
 *
 * Modes: fanout (closed loop, or --rate), ack, idle, handshakes; see usage().
 * In the closed loop a sender has K messages under way: it sends the next when an
 * earlier one has arrived at one chosen member of its room (its witness), so the
 * server runs as fast as it can and no queue grows.  A message carries its sender's
 * slot, its sequence number and the time it was due, so a volatile event that the
 * server dropped shows up as lost and never stops the loop.
 *
 * Prints one line of JSON on stdout.  Knows libc, epoll, zlib, ws.h and probe.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <zlib.h>

#include "ws.h"

#include "probe.h"

enum {
	READ_BYTES = 1 << 20,
	EVENTS_MAX = 1024,
	SEND_MAX = 4096,
	TIMES_MAX = 1000001, /* latency histogram: steps of 1 us up to a second */
	STAMP_BYTES = 18,    /* slot (4 hex digits), sequence (6), time in us (8) */
	STALL_US = 1000000,
	QUIET_US = 500000,
	CONNECT_LIMIT_US = 120000000,
	MASK = 0x5ac3961e,
};

enum state { DIALING, UPGRADING, OPENING, CONNECTING, JOINING, JOINED, GONE, STATES };

static const char *const state_names[STATES] = { "dialing",    "upgrading", "opening", "connecting",
						 "joining",    "joined",    "gone" };

struct sender;

struct conn {
	int fd;
	enum state state;
	unsigned index, room;
	bool witness;           /* of some sender */
	struct sender *sender;  /* when it is one */
	char *rest;             /* an incomplete head or frame */
	size_t rest_n;
};

struct sender {
	struct conn *conn, *seen_by;
	uint32_t sent, seen; /* sequence numbers; under way is the difference */
	unsigned receivers;
	uint64_t progress_us;
};

static struct {
	const char *mode, *tokens_path;
	unsigned port, conns, rooms, senders, inflight, seconds, warmup_ms, window, total, hold, announce_ms;
	int pid;
	double rate;
	bool metrics, deflate;
} opt = { .mode = "fanout", .conns = 1000, .rooms = 10, .senders = 1, .inflight = 1, .seconds = 3, .warmup_ms = 500,
	  .window = 64, .total = 2000, .hold = 600 };

/* What a moment of the run has counted. */
struct tally {
	uint64_t at_us, messages, deliveries;
	double server_cpu_s, load_cpu_s;
	struct probe_counters counters;
};

static struct {
	int epoll;
	struct conn *conns;
	struct sender *senders;
	char **tokens;
	unsigned tokens_n, senders_n, dialed, joined, gone;
	uint64_t start_us, last_us; /* last_us: a delivery came then */
	uint64_t messages, expected, deliveries, bad, stalls, acks;
	bool timing, sending;
	uint32_t times[TIMES_MAX];
	uint64_t times_n;
	char read[READ_BYTES];
	volatile sig_atomic_t stop;
} g;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static _Noreturn void refuse(const struct conn *c, const char *p, size_t n)
{
	fprintf(stderr, "load: connection %u while %s: %.*s\n", c->index, state_names[c->state],
		(int)(n < 300 ? n : 300), p);
	exit(1);
}

static void *must(void *p)
{
	if (!p)
		die("memory");
	return p;
}

static bool starts(const char *p, size_t n, const char *with)
{
	size_t w = strlen(with);

	return n >= w && memcmp(p, with, w) == 0;
}

/* ---- connections ---- */

static void conn_close(struct conn *c)
{
	if (c->fd < 0)
		return;
	close(c->fd);
	free(c->rest);
	c->rest = NULL;
	c->rest_n = 0;
	c->fd = -1;
}

static void conn_move(struct conn *c, enum state to)
{
	if (to == JOINED)
		g.joined++;
	if (to == GONE) {
		g.gone++;
		conn_close(c);
	}
	c->state = to;
}

/* Send n bytes of text as one masked frame.  A client that cannot send even this
 * much is broken or far behind: the run ends. */
static void conn_send(struct conn *c, unsigned op, const char *text, size_t n)
{
	char frame[SEND_MAX + WS_HEAD_MAX];
	const uint32_t mask = MASK;
	size_t head = ws_head(frame, op, n);

	frame[1] = (char)(frame[1] | 0x80);
	memcpy(frame + head, &mask, 4);
	head += 4;
	memcpy(frame + head, text, n);
	ws_mask(frame + head, n, mask);
	if (send(c->fd, frame, head + n, MSG_NOSIGNAL) != (ssize_t)(head + n))
		die("send");
}

static void conn_text(struct conn *c, const char *text)
{
	conn_send(c, WS_TEXT, text, strlen(text));
}

static void conn_dial(struct conn *c)
{
	struct sockaddr_in from = { .sin_family = AF_INET }, to = { .sin_family = AF_INET };
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT, .data.ptr = c };
	int one = 1;

	/* Sixteen source addresses, so that closed connections do not use up the ports. */
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + c->index % 16);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)opt.port);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(c->fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (bind(c->fd, (struct sockaddr *)&from, sizeof(from)) < 0)
		die("bind");
	if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
		die("connect");
	conn_move(c, DIALING);
	if (epoll_ctl(g.epoll, EPOLL_CTL_ADD, c->fd, &ev) < 0)
		die("epoll_ctl");
}

static void conn_upgrade(struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
	char ask[400];
	int err = 0, n;
	socklen_t size = sizeof(err);

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &size);
	errno = err;
	if (err)
		die("connect");
	n = snprintf(ask, sizeof(ask),
		     "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
		     "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
		     opt.port, opt.deflate ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : "");
	if (send(c->fd, ask, (size_t)n, MSG_NOSIGNAL) != n || epoll_ctl(g.epoll, EPOLL_CTL_MOD, c->fd, &ev) < 0)
		die("upgrade");
	conn_move(c, UPGRADING);
}

/* Keep up to --window connections on their way. */
static void dial_more(void)
{
	while (g.dialed < opt.conns && g.dialed - g.joined < opt.window)
		conn_dial(&g.conns[g.dialed++]);
}

/* ---- messages ---- */

static void hex_put(char *p, unsigned digits, uint32_t v)
{
	while (digits-- > 0) {
		p[digits] = "0123456789abcdef"[v & 15];
		v >>= 4;
	}
}

static uint32_t hex_get(const char *p, unsigned digits)
{
	uint32_t v = 0;

	while (digits-- > 0) {
		v = v << 4 | (uint32_t)(*p <= '9' ? *p - '0' : *p - 'a' + 10);
		p++;
	}
	return v;
}

/* One cursor:move of slot, with an acknowledgement id before the event when id >= 0. */
static void cursor_send(struct conn *c, unsigned slot, uint32_t sequence, uint64_t due_us, long id)
{
	char text[256], stamp[STAMP_BYTES + 1], number[24] = "";
	int n;

	hex_put(stamp, 4, slot);
	hex_put(stamp + 4, 6, sequence);
	hex_put(stamp + 10, 8, (uint32_t)(due_us - g.start_us));
	stamp[STAMP_BYTES] = 0;
	if (id >= 0)
		snprintf(number, sizeof(number), "%ld", id);
	n = snprintf(text, sizeof(text), "42%s[\"cursor:move\",{\"project_id\":\"proj-%u\",\"cursor\":{\"x\":%u,\"y\":%u,\"t\":\"%s\"}}]",
		     number, c->room, 1000 + sequence % 9000, 1000 + (sequence * 7) % 9000, stamp);
	conn_send(c, WS_TEXT, text, (size_t)n);
	g.messages++;
}

static void sender_send(struct sender *s, uint64_t due_us)
{
	s->sent++;
	g.expected += s->receivers;
	cursor_send(s->conn, (unsigned)(s - g.senders), s->sent & 0xffffff, due_us, -1);
}

static void sender_fill(struct sender *s, uint64_t now_us)
{
	while (g.sending && s->sent - s->seen < opt.inflight)
		sender_send(s, now_us);
}

static void record(uint64_t took_us)
{
	g.times[took_us < TIMES_MAX ? took_us : TIMES_MAX - 1]++;
	g.times_n++;
}

/* Where the stamp stands in a relayed cursor: at its end, or wherever "t" is. */
static const char *find_stamp(const char *p, size_t n)
{
	static const char key[] = "\"t\":\"", end[] = "\"}}]";
	const size_t tail = STAMP_BYTES + sizeof(end) - 1;
	const char *at = p + n - tail;

	if (n > tail + sizeof(key) && memcmp(at + STAMP_BYTES, end, sizeof(end) - 1) == 0 && at[-1] == '"')
		return at;
	at = memmem(p, n, key, sizeof(key) - 1);
	if (at && (size_t)(p + n - at) > sizeof(key) - 1 + STAMP_BYTES)
		return at + sizeof(key) - 1;
	return NULL;
}

/* A cursor:moved arrived. */
static void on_delivery(struct conn *c, const char *p, size_t n)
{
	const char *stamp;
	struct sender *s;
	uint32_t slot, sequence;
	uint64_t now_us;

	if (n < 90 || n > 125)
		g.bad++;
	g.deliveries++;
	if (!c->witness && opt.rate == 0)
		return;
	stamp = find_stamp(p, n);
	slot = stamp ? hex_get(stamp, 4) : UINT32_MAX;
	if (slot >= g.senders_n || g.senders[slot].conn->room != c->room) {
		g.bad++;
		return;
	}
	s = &g.senders[slot];
	if (opt.rate == 0 && s->seen_by != c)
		return;
	now_us = probe_now_us();
	if (g.timing)
		record(now_us - g.start_us - hex_get(stamp + 10, 8));
	if (opt.rate != 0)
		return;
	sequence = hex_get(stamp + 4, 6);
	if (((s->sent - sequence) & 0xffffff) > opt.inflight) {
		g.bad++; /* from before a stall, or never sent */
		return;
	}
	s->seen = s->sent - ((s->sent - sequence) & 0xffffff);
	s->progress_us = now_us;
	sender_fill(s, now_us);
}

static void ack_send(struct conn *c)
{
	struct sender *s = &g.senders[c->index];

	s->progress_us = probe_now_us();
	s->sent++;
	cursor_send(c, c->index, s->sent & 0xffffff, s->progress_us, (long)s->sent);
}

/* 43<id>[...]: with one message under way its time is known. */
static void on_ack(struct conn *c)
{
	struct sender *s = &g.senders[c->index];

	g.acks++;
	s->seen++;
	if (g.timing && opt.inflight == 1)
		record(probe_now_us() - s->progress_us);
	if (g.sending)
		ack_send(c);
}

/* ---- from handshake to joined ---- */

static void on_open(struct conn *c)
{
	char text[SEND_MAX];

	if (g.tokens_n)
		snprintf(text, sizeof(text), "40{\"token\":\"%s\"}", g.tokens[c->index % g.tokens_n]);
	else
		snprintf(text, sizeof(text), "40{\"token\":\"user-%u\"}", c->index);
	conn_move(c, CONNECTING);
	conn_text(c, text);
}

static void on_connected(struct conn *c)
{
	char text[64];

	snprintf(text, sizeof(text), "42[\"join_project\",{\"project_id\":\"proj-%u\"}]", c->room);
	conn_move(c, JOINING);
	conn_text(c, text);
}

static void on_text(struct conn *c, const char *p, size_t n)
{
	if (starts(p, n, "42[\"cursor:moved\",")) {
		on_delivery(c, p, n);
	} else if (n == 1 && p[0] == '2') {
		conn_send(c, WS_TEXT, "3", 1);
	} else if (starts(p, n, "43")) {
		on_ack(c);
	} else if (c->state == OPENING && starts(p, n, "0{")) {
		on_open(c);
	} else if (c->state == CONNECTING && starts(p, n, "40{")) {
		on_connected(c);
	} else if (c->state == JOINING && starts(p, n, "42[\"joined_project\"")) {
		conn_move(c, JOINED);
		if (opt.mode[0] == 'h')
			conn_send(c, WS_CLOSE, "\x03\xe8", 2);
	} else if (starts(p, n, "44") || starts(p, n, "42[\"error\"") || !starts(p, n, "42[")) {
		refuse(c, p, n);
	}
}

/* The beginning of a compressed message tells what it is. */
static void on_deflated(struct conn *c, const struct ws_frame *f)
{
	char begin[256];
	z_stream z = { .next_in = (unsigned char *)f->payload, .avail_in = (unsigned)f->n, .next_out = (unsigned char *)begin,
		       .avail_out = sizeof(begin) };

	if (inflateInit2(&z, -15) != Z_OK || inflate(&z, Z_SYNC_FLUSH) != Z_OK)
		refuse(c, "a message that does not inflate", 31);
	inflateEnd(&z);
	on_text(c, begin, sizeof(begin) - z.avail_out);
}

static void on_frame(struct conn *c, const struct ws_frame *f)
{
	if (f->op == WS_TEXT && f->deflated)
		on_deflated(c, f);
	else if (f->op == WS_TEXT)
		on_text(c, f->payload, f->n);
	else if (f->op == WS_PING)
		conn_send(c, WS_PONG, f->payload, f->n);
	else if (f->op == WS_CLOSE && c->state == JOINED)
		conn_move(c, GONE);
	else
		refuse(c, "an unexpected frame", 19);
}

/* Handle what is complete in p[0..n).  Returns the bytes used. */
static size_t conn_input(struct conn *c, char *p, size_t n)
{
	struct ws_frame f;
	size_t used = 0, step;
	char *end;

	if (c->state == UPGRADING) {
		end = memmem(p, n, "\r\n\r\n", 4);
		if (!end)
			return 0;
		if (!starts(p, n, "HTTP/1.1 101") || !memmem(p, n, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28))
			refuse(c, p, n);
		if (opt.deflate && !memmem(p, n, "permessage-deflate", 18))
			refuse(c, p, n);
		used = (size_t)(end - p) + 4;
		conn_move(c, OPENING);
	}
	while (c->fd >= 0 && (step = ws_take(p + used, n - used, &f)) > 0) {
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
		memcpy(g.read, c->rest, n);
	got = recv(c->fd, g.read + n, READ_BYTES - n, 0);
	if (got <= 0) {
		if (got < 0 && errno == EAGAIN)
			return;
		if (opt.mode[0] != 'h' && !g.stop)
			refuse(c, "closed by the server", 20);
		conn_move(c, GONE);
		return;
	}
	n += (size_t)got;
	used = conn_input(c, g.read, n);
	if (c->fd < 0)
		return;
	if (used < n) {
		c->rest = must(realloc(c->rest, n - used));
		memcpy(c->rest, g.read + used, n - used);
	}
	c->rest_n = n - used;
}

/* One turn of the loop, waiting at most wait_ms. */
static void turn(int wait_ms)
{
	static struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(g.epoll, events, EVENTS_MAX, wait_ms);
	uint64_t before = g.deliveries;

	for (int i = 0; i < n; i++) {
		struct conn *c = events[i].data.ptr;

		if (c->state == DIALING)
			conn_upgrade(c);
		else
			conn_read(c);
	}
	if (g.deliveries != before)
		g.last_us = probe_now_us();
}

/* ---- the measured window ---- */

static struct tally tally_now(void)
{
	struct tally t = { .messages = g.messages, .deliveries = g.deliveries };

	if (opt.metrics)
		probe_counters((uint16_t)opt.port, &t.counters);
	t.server_cpu_s = probe_cpu_s(opt.pid);
	t.load_cpu_s = probe_own_cpu_s();
	t.at_us = probe_now_us();
	return t;
}

static double percentile_us(double share)
{
	uint64_t want = (uint64_t)(share * (double)g.times_n), sum = 0;

	for (unsigned i = 0; i < TIMES_MAX; i++) {
		sum += g.times[i];
		if (sum > want)
			return i;
	}
	return 0;
}

static void print_window(const struct tally *a, const struct tally *b, const char *unit, uint64_t n)
{
	double seconds = (double)(b->at_us - a->at_us) / 1e6, server = b->server_cpu_s - a->server_cpu_s;

	printf("{\"mode\":\"%s\",\"conns\":%u,\"rooms\":%u,\"senders\":%u,\"inflight\":%u,\"rate\":%.0f,", opt.mode, opt.conns,
	       opt.rooms, opt.senders, opt.inflight, opt.rate);
	printf("\"seconds\":%.3f,\"%s\":%llu,\"per_second\":%.0f,", seconds, unit, (unsigned long long)n, (double)n / seconds);
	printf("\"server_cpu_us_each\":%.4f,\"server_cpu_share\":%.3f,\"load_cpu_share\":%.3f,", n ? server * 1e6 / (double)n : 0,
	       server / seconds, (b->load_cpu_s - a->load_cpu_s) / seconds);
	printf("\"p50_us\":%.0f,\"p90_us\":%.0f,\"p99_us\":%.0f", percentile_us(0.5), percentile_us(0.9), percentile_us(0.99));
}

/* before and after: the server at rest; a and b: start and end of the window. */
static void print_counters(const struct tally *before, const struct tally *a, const struct tally *b, const struct tally *after)
{
	const struct probe_counters *x = &before->counters, *y = &after->counters;

	printf(",\"server\":{\"encodes\":%llu,\"deliveries\":%llu,\"writes\":%llu,\"dropped\":%llu,\"replaced\":%llu,"
	       "\"allocations\":%llu,\"allocations_in_window\":%llu}",
	       (unsigned long long)(y->encodes - x->encodes), (unsigned long long)(y->deliveries - x->deliveries),
	       (unsigned long long)(y->writes - x->writes), (unsigned long long)(y->dropped - x->dropped),
	       (unsigned long long)(y->replaced - x->replaced), (unsigned long long)(y->allocations - x->allocations),
	       (unsigned long long)(b->counters.allocations - a->counters.allocations));
}

static void connect_all(void)
{
	uint64_t from = probe_now_us(), now;

	while (g.joined < opt.conns && !g.stop) {
		dial_more();
		turn(100);
		now = probe_now_us();
		if (now - from > CONNECT_LIMIT_US)
			refuse(&g.conns[g.dialed - 1], "not all joined in time", 22);
	}
	for (uint64_t t = probe_now_us(); probe_now_us() - t < QUIET_US && !g.stop;)
		turn(50); /* presence settles */
}

/* A sender whose message was dropped would wait for ever: count it and go on. */
static void restart_stalled(uint64_t now_us)
{
	for (unsigned i = 0; i < g.senders_n; i++) {
		struct sender *s = &g.senders[i];

		if (now_us - s->progress_us < STALL_US)
			continue;
		g.stalls++;
		s->seen = s->sent;
		s->progress_us = now_us;
		sender_fill(s, now_us);
	}
}

/* Run the closed loop, or the clocked one, for us. */
static void drive(uint64_t us)
{
	static uint64_t due_us, turn_of;
	uint64_t now = probe_now_us(), end = now + us, checked = now;

	due_us = now;
	while (now < end && !g.stop) {
		while (opt.rate > 0 && due_us <= now) {
			sender_send(&g.senders[turn_of++ % g.senders_n], due_us);
			due_us += (uint64_t)(1e6 / opt.rate);
		}
		turn(opt.rate > 0 && due_us < now + 2000 ? 0 : 1);
		now = probe_now_us();
		if (opt.rate == 0 && now - checked > 100000) {
			restart_stalled(now);
			checked = now;
		}
	}
}

static unsigned room_size(unsigned room)
{
	return opt.conns / opt.rooms + (room < opt.conns % opt.rooms);
}

/* Members s of each room send; the witness sits half a room away. */
static void senders_make(void)
{
	g.senders_n = opt.rooms * opt.senders;
	g.senders = must(calloc(g.senders_n, sizeof(*g.senders)));
	for (unsigned i = 0; i < g.senders_n; i++) {
		unsigned room = i % opt.rooms, seat = i / opt.rooms, size = room_size(room);
		struct sender *s = &g.senders[i];

		if (size < 2 || seat >= size) {
			fprintf(stderr, "load: a room of %u cannot have %u senders\n", size, opt.senders);
			exit(2);
		}
		s->conn = &g.conns[seat * opt.rooms + room];
		s->conn->sender = s;
		s->seen_by = &g.conns[(seat + size / 2) % size * opt.rooms + room];
		s->seen_by->witness = true;
		s->receivers = size - 1;
	}
}

static void drain(void)
{
	g.sending = false;
	g.last_us = probe_now_us();
	while (g.deliveries < g.expected && probe_now_us() - g.last_us < QUIET_US)
		turn(10);
}

/* Tell a script that all have joined, and give it time to attach a tracer. */
static void announce(void)
{
	if (!opt.announce_ms)
		return;
	puts("{\"joined\":true}");
	fflush(stdout);
	for (uint64_t t = probe_now_us(); probe_now_us() - t < opt.announce_ms * 1000ull;)
		turn(10);
}

static void run_fanout(void)
{
	struct tally before, a, b, after;
	uint64_t now;

	connect_all();
	announce();
	senders_make();
	before = tally_now();
	g.sending = true;
	now = probe_now_us();
	for (unsigned i = 0; i < g.senders_n && opt.rate == 0; i++) {
		g.senders[i].progress_us = now;
		sender_fill(&g.senders[i], now);
	}
	drive(opt.warmup_ms * 1000ull);
	a = tally_now();
	g.timing = true;
	drive(opt.seconds * 1000000ull);
	b = tally_now();
	drain();
	after = tally_now();
	print_window(&a, &b, "deliveries", b.deliveries - a.deliveries);
	printf(",\"messages\":%llu,\"sent\":%llu,\"expected\":%llu,\"received\":%llu,\"lost\":%lld,\"stalls\":%llu,\"bad\":%llu",
	       (unsigned long long)(b.messages - a.messages), (unsigned long long)g.messages, (unsigned long long)g.expected,
	       (unsigned long long)g.deliveries, (long long)(g.expected - g.deliveries), (unsigned long long)g.stalls,
	       (unsigned long long)g.bad);
	if (opt.metrics)
		print_counters(&before, &a, &b, &after);
	puts("}");
}

static void run_ack(void)
{
	struct tally a, b;
	uint64_t end, acks;

	connect_all();
	g.senders_n = opt.conns;
	g.senders = must(calloc(g.senders_n, sizeof(*g.senders)));
	g.sending = true;
	for (unsigned i = 0; i < opt.conns * opt.inflight; i++)
		ack_send(&g.conns[i % opt.conns]);
	for (end = probe_now_us() + opt.warmup_ms * 1000ull; probe_now_us() < end;)
		turn(1);
	a = tally_now();
	acks = g.acks;
	g.timing = true;
	for (end = probe_now_us() + opt.seconds * 1000000ull; probe_now_us() < end;)
		turn(1);
	b = tally_now();
	print_window(&a, &b, "roundtrips", g.acks - acks);
	puts("}");
}

static void run_idle(void)
{
	uint64_t end;

	connect_all();
	printf("{\"mode\":\"idle\",\"joined\":%u}\n", g.joined);
	fflush(stdout);
	for (end = probe_now_us() + opt.hold * 1000000ull; probe_now_us() < end && !g.stop;)
		turn(200);
}

/* Slots are used again and again until --total connections have come and gone. */
static void run_handshakes(void)
{
	struct tally a, b;
	unsigned started = 0;

	a = tally_now();
	while (g.gone < opt.total && !g.stop && probe_now_us() - a.at_us < CONNECT_LIMIT_US) {
		for (unsigned i = 0; i < opt.conns && started < opt.total; i++)
			if (g.conns[i].fd < 0) {
				conn_dial(&g.conns[i]);
				started++;
			}
		turn(100);
	}
	b = tally_now();
	print_window(&a, &b, "handshakes", g.joined);
	printf(",\"lost\":%u}\n", opt.total - g.joined);
}

/* ---- options ---- */

static void usage(void)
{
	fputs("usage: load --port N [options]      clients of a server on 127.0.0.1; prints one line of JSON\n"
	      "  --mode M      fanout (default): cursor relays, closed loop, or clocked with --rate\n"
	      "                ack: events with acknowledgement; use --rooms = --conns\n"
	      "                idle: connect, join, hold for --hold seconds or until SIGTERM\n"
	      "                handshakes: connect, join, close, --total times, --conns at once\n"
	      "  --conns N     connections (1000)          --rooms R     projects proj-0.. (10)\n"
	      "  --senders S   senders a room (1)          --inflight K  messages under way a sender (1)\n"
	      "  --rate M      messages a second, all senders together, instead of the closed loop\n"
	      "  --seconds T   measured window (3)         --warmup MS   before it (500)\n"
	      "  --tokens FILE one JWT a line, used in turn; without it the token is user-<n>, as bench/raw.c wants\n"
	      "  --pid P       server, for its CPU time    --metrics     read its /metrics as well\n"
	      "  --announce MS say when all have joined, and wait so long before the traffic\n"
	      "  --deflate     offer permessage-deflate, and insist on it\n"
	      "  --window W    connections on their way at once while joining (64)\n",
	      stderr);
	exit(2);
}

static void tokens_read(const char *path)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	if (!f)
		die(path);
	while ((n = getline(&line, &cap, f)) > 0) {
		line[strcspn(line, "\r\n")] = 0;
		if (!*line || (size_t)n > SEND_MAX - 32)
			continue;
		g.tokens = must(realloc(g.tokens, (g.tokens_n + 1) * sizeof(char *)));
		g.tokens[g.tokens_n++] = must(strdup(line));
	}
	free(line);
	fclose(f);
}

static void options(int argc, char **argv)
{
	static const struct option names[] = {
		{ "mode", 1, NULL, 'm' },    { "port", 1, NULL, 'p' },    { "conns", 1, NULL, 'c' },  { "rooms", 1, NULL, 'r' },
		{ "senders", 1, NULL, 's' }, { "inflight", 1, NULL, 'k' }, { "rate", 1, NULL, 'R' },   { "seconds", 1, NULL, 't' },
		{ "warmup", 1, NULL, 'w' },  { "tokens", 1, NULL, 'T' },  { "pid", 1, NULL, 'P' },    { "metrics", 0, NULL, 'M' },
		{ "window", 1, NULL, 'W' },  { "total", 1, NULL, 'n' },   { "hold", 1, NULL, 'h' },   { "announce", 1, NULL, 'a' },
		{ "deflate", 0, NULL, 'D' }, { 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "", names, NULL)) != -1) {
		unsigned v = optarg ? (unsigned)strtoul(optarg, NULL, 10) : 0;

		switch (o) {
		case 'm': opt.mode = optarg; break;
		case 'p': opt.port = v; break;
		case 'c': opt.conns = v; break;
		case 'r': opt.rooms = v; break;
		case 's': opt.senders = v; break;
		case 'k': opt.inflight = v; break;
		case 'R': opt.rate = strtod(optarg, NULL); break;
		case 't': opt.seconds = v; break;
		case 'w': opt.warmup_ms = v; break;
		case 'T': opt.tokens_path = optarg; break;
		case 'P': opt.pid = (int)v; break;
		case 'M': opt.metrics = true; break;
		case 'W': opt.window = v; break;
		case 'n': opt.total = v; break;
		case 'h': opt.hold = v; break;
		case 'a': opt.announce_ms = v; break;
		case 'D': opt.deflate = true; break;
		default: usage();
		}
	}
	if (optind != argc || !opt.port || !opt.conns || !opt.rooms || !opt.senders || !opt.inflight || !opt.window)
		usage();
}

static void on_signal(int signo)
{
	(void)signo;
	g.stop = 1;
}

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*run)(void); } modes[] = {
		{ "fanout", run_fanout }, { "ack", run_ack }, { "idle", run_idle }, { "handshakes", run_handshakes },
	};
	struct rlimit files;

	options(argc, argv);
	if (opt.tokens_path)
		tokens_read(opt.tokens_path);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	g.epoll = epoll_create1(EPOLL_CLOEXEC);
	g.start_us = probe_now_us();
	g.conns = must(calloc(opt.conns, sizeof(*g.conns)));
	for (unsigned i = 0; i < opt.conns; i++)
		g.conns[i] = (struct conn){ .fd = -1, .index = i, .room = i % opt.rooms, .state = GONE };
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(opt.mode, modes[i].name) == 0) {
			modes[i].run();
			return 0;
		}
	usage();
}
