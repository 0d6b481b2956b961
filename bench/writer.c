/* writer.c -- the load generator of REST: people who change items while others watch,
 * and people who read the bill.  One thread.
 *
 * writes: each writer PATCHes its own item of proj-0 on a connection of its own.  A
 * write is over when its answer has come and every member (a WebSocket client in the
 * project) has been sent its event; then the writer sends the next.
 * --rate: so many writes a second, each by the next writer that is free; --member-ports: members
 * are spread over several servers, writers stay with --port.
 * reads: each reader GETs a page of 200 items again and again.
 *
 * Prints one line of JSON on stdout.  Knows libc, epoll, ws.h and probe.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/epoll.h>

#include "ws.h"

#include "probe.h"

enum { READ_BYTES = 1 << 20, SEND_MAX = 4096, TIMES_MAX = 2000001, EVENTS_MAX = 256, MASK = 0x5ac3961e, ITEMS_MAX = 10000 };

static struct {
	const char *mode, *tokens_path;
	unsigned port, writers, members, seconds, warmup_ms, rate;
	unsigned ports[16], ports_n; /* of members; none: port */
	int pid;
} opt = { .mode = "writes", .writers = 50, .members = 10, .seconds = 3, .warmup_ms = 500 };

/* A writer or reader (is_member false), or a member. */
struct conn {
	int fd;
	bool is_member, is_joined, is_answered, is_free;
	unsigned index, seen; /* members that have the write's event */
	uint64_t sent_us, answered_us;
	uint32_t qty;
	size_t n;             /* bytes in buf */
	char buf[READ_BYTES];
};

static struct {
	int epoll;
	struct conn **writers, **members;
	char **tokens;
	unsigned tokens_n, joined;
	uint64_t answers, bytes;
	bool timing, sending;
	uint32_t times[3][TIMES_MAX]; /* to the answer, to the last member, from the one to the other */
	uint64_t times_n[3];
	uint64_t due_us;              /* of the next write, with a rate */
	unsigned next;                /* writer whose turn it is */
} g;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "writer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static _Noreturn void refuse(const char *what, const char *p, size_t n)
{
	fprintf(stderr, "writer: %s: %.*s\n", what, (int)(n < 400 ? n : 400), p);
	exit(1);
}

static void record(unsigned which, uint64_t took_us)
{
	if (!g.timing)
		return;
	g.times[which][took_us < TIMES_MAX ? took_us : TIMES_MAX - 1]++;
	g.times_n[which]++;
}

static void send_all(struct conn *c, const char *p, size_t n)
{
	if (send(c->fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
		die("send");
}

static void send_text(struct conn *c, const char *text)
{
	char frame[SEND_MAX + WS_HEAD_MAX];
	const uint32_t mask = MASK;
	size_t n = strlen(text), head = ws_head(frame, WS_TEXT, n);

	frame[1] = (char)(frame[1] | 0x80);
	memcpy(frame + head, &mask, 4);
	memcpy(frame + head + 4, text, n);
	ws_mask(frame + head + 4, n, mask);
	send_all(c, frame, head + 4 + n);
}

/* ---- writers and readers ------------------------------------------------------------ */

static void request_send(struct conn *c)
{
	char body[96], text[SEND_MAX];
	int n, body_n;

	c->is_answered = c->is_free = false;
	c->seen = 0;
	if (opt.mode[0] == 'r') {
		n = snprintf(text, sizeof(text), "GET /api/projects/proj-0/boq?limit=200 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAuthorization: Bearer %s\r\n\r\n",
			     opt.port, g.tokens[c->index % g.tokens_n]);
	} else {
		body_n = snprintf(body, sizeof(body), "{\"qty\":\"%u.25\",\"unit_price\":\"45.50\"}", ++c->qty);
		n = snprintf(text, sizeof(text), "PATCH /api/projects/proj-0/boq/w-%u HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAuthorization: Bearer %s\r\n"
			     "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			     c->index, opt.port, g.tokens[c->index % g.tokens_n], body_n, body);
	}
	c->sent_us = probe_now_us();
	send_all(c, text, (size_t)n);
}

/* Answered and seen by all?  Then the next. */
static void advance(struct conn *c)
{
	if (!c->is_answered || (opt.mode[0] == 'w' && c->seen < opt.members))
		return;
	if (opt.mode[0] == 'w') {
		uint64_t now = probe_now_us();
		record(1, now - c->sent_us);
		record(2, now - c->answered_us);
	}
	c->is_free = true;
	if (g.sending && !opt.rate)
		request_send(c);
}

/* What is due by now, as far as there are writers. */
static void pace(void)
{
	uint64_t now = probe_now_us();

	if (!opt.rate || !g.sending)
		return;
	if (g.due_us + 100000 < now) /* it cannot keep up: what was missed is not made good */
		g.due_us = now - 100000;
	for (unsigned tried = 0; g.due_us <= now && tried < opt.writers; g.next = (g.next + 1) % opt.writers) {
		if (!g.writers[g.next]->is_free) {
			tried++;
			continue;
		}
		request_send(g.writers[g.next]);
		g.due_us += 1000000 / opt.rate;
		tried = 0;
	}
}

/* Bytes of one whole answer, 0 when it is not complete. */
static size_t answer_length(const char *p, size_t n)
{
	const char *end = memmem(p, n, "\r\n\r\n", 4), *length;
	size_t body;

	if (!end)
		return 0;
	length = memmem(p, (size_t)(end - p), "Content-Length: ", 16);
	if (!length)
		refuse("an answer without a length", p, n);
	body = strtoul(length + 16, NULL, 10);
	return n - (size_t)(end + 4 - p) >= body ? (size_t)(end + 4 - p) + body : 0;
}

static size_t on_answer(struct conn *c, char *p, size_t n)
{
	size_t used = answer_length(p, n);

	if (!used)
		return 0;
	if (memcmp(p, "HTTP/1.1 200", 12) != 0)
		refuse("refused", p, n);
	c->answered_us = probe_now_us();
	record(0, c->answered_us - c->sent_us);
	g.answers++;
	g.bytes += used;
	c->is_answered = true;
	advance(c);
	return used;
}

/* ---- members ---------------------------------------------------------------------- */

static void on_text(struct conn *c, const char *p, size_t n)
{
	static const char event[] = "42[\"boq:item:updated\",", item[] = "\"item_id\":\"w-";
	const char *at;
	char text[SEND_MAX];

	if (n > sizeof(event) && memcmp(p, event, sizeof(event) - 1) == 0) {
		at = memmem(p, n, item, sizeof(item) - 1);
		unsigned w = at ? (unsigned)strtoul(at + sizeof(item) - 1, NULL, 10) : UINT32_MAX;
		if (w >= opt.writers)
			refuse("an event of no writer", p, n);
		g.writers[w]->seen++;
		advance(g.writers[w]);
	} else if (n == 1 && *p == '2') {
		send_text(c, "3");
	} else if (p[0] == '0') {
		snprintf(text, sizeof(text), "40{\"token\":\"%s\",\"projects\":[\"proj-0\"]}", g.tokens[c->index % g.tokens_n]);
		send_text(c, text);
	} else if (memmem(p, n, "\"joined_project\"", 16)) {
		c->is_joined = true;
		g.joined++;
	} else if (p[0] == '4' && p[1] == '4') {
		refuse("a member was refused", p, n);
	}
}

static size_t on_frames(struct conn *c, char *p, size_t n)
{
	struct ws_frame f;
	size_t used = 0, step;
	char *end;

	if (n > 4 && memcmp(p, "HTTP", 4) == 0) {
		end = memmem(p, n, "\r\n\r\n", 4);
		if (!end)
			return 0;
		if (memcmp(p, "HTTP/1.1 101", 12) != 0)
			refuse("no WebSocket", p, n);
		used = (size_t)(end - p) + 4;
	}
	while ((step = ws_take(p + used, n - used, &f)) > 0) {
		if (f.op == WS_TEXT)
			on_text(c, f.payload, f.n);
		used += step;
	}
	return used;
}

/* ---- connections ------------------------------------------------------------------- */

static struct conn *dial(unsigned index, bool is_member)
{
	unsigned port = is_member && opt.ports_n ? opt.ports[index % opt.ports_n] : opt.port;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct conn *c = calloc(1, sizeof(*c));
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
	char ask[256];
	int one = 1;

	if (!c)
		die("memory");
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->index = index;
	c->is_member = is_member;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (epoll_ctl(g.epoll, EPOLL_CTL_ADD, c->fd, &ev) < 0)
		die("epoll_ctl");
	if (is_member) {
		int n = snprintf(ask, sizeof(ask), "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
				 "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", opt.port);
		send_all(c, ask, (size_t)n);
	}
	return c;
}

static void on_readable(struct conn *c)
{
	size_t used = 0, step;
	ssize_t got = recv(c->fd, c->buf + c->n, sizeof(c->buf) - c->n, MSG_DONTWAIT);

	if (got <= 0)
		die("closed by the server");
	c->n += (size_t)got;
	while (used < c->n && (step = c->is_member ? on_frames(c, c->buf + used, c->n - used) : on_answer(c, c->buf + used, c->n - used)) > 0)
		used += step;
	memmove(c->buf, c->buf + used, c->n - used);
	c->n -= used;
}

static void turn(int wait_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(g.epoll, events, EVENTS_MAX, wait_ms);

	for (int i = 0; i < n; i++)
		on_readable(events[i].data.ptr);
}

static void turn_for(uint64_t us)
{
	for (uint64_t end = probe_now_us() + us; probe_now_us() < end;) {
		pace();
		turn(opt.rate > 1000 ? 0 : 1);
	}
}

/* ---- the run -------------------------------------------------------------------------- */

static double percentile_us(unsigned which, double share)
{
	uint64_t want = (uint64_t)(share * (double)g.times_n[which]), sum = 0;

	for (unsigned i = 0; i < TIMES_MAX; i++) {
		sum += g.times[which][i];
		if (sum > want)
			return i;
	}
	return 0;
}

static void run(void)
{
	uint64_t at, answers, bytes;
	double cpu, own, seconds;

	g.members = calloc(opt.members + 1, sizeof(*g.members));
	g.writers = calloc(opt.writers, sizeof(*g.writers));
	for (unsigned i = 0; i < opt.members; i++)
		g.members[i] = dial(i, true);
	for (at = probe_now_us(); g.joined < opt.members;) {
		turn(100);
		if (probe_now_us() - at > 20000000)
			refuse("not all members joined", "", 0);
	}
	for (unsigned i = 0; i < opt.writers; i++)
		g.writers[i] = dial(i, false);
	g.sending = true;
	g.due_us = probe_now_us();
	for (unsigned i = 0; i < opt.writers; i++) {
		g.writers[i]->is_free = true;
		if (!opt.rate)
			request_send(g.writers[i]);
	}
	turn_for(opt.warmup_ms * 1000ull);
	cpu = probe_cpu_s(opt.pid);
	own = probe_own_cpu_s();
	answers = g.answers;
	bytes = g.bytes;
	g.timing = true;
	at = probe_now_us();
	turn_for(opt.seconds * 1000000ull);
	seconds = (double)(probe_now_us() - at) / 1e6;
	answers = g.answers - answers;
	cpu = probe_cpu_s(opt.pid) - cpu;
	own = probe_own_cpu_s() - own;
	printf("{\"mode\":\"%s\",\"writers\":%u,\"members\":%u,\"seconds\":%.3f,\"answers\":%llu,\"per_second\":%.0f,", opt.mode, opt.writers,
	       opt.members, seconds, (unsigned long long)answers, (double)answers / seconds);
	printf("\"server_cpu_us_each\":%.1f,\"server_cpu_share\":%.3f,\"load_cpu_share\":%.3f,\"bytes_each\":%.0f,",
	       answers ? cpu * 1e6 / (double)answers : 0, cpu / seconds, own / seconds, answers ? (double)(g.bytes - bytes) / (double)answers : 0);
	printf("\"answer_p50_us\":%.0f,\"answer_p99_us\":%.0f,\"event_p50_us\":%.0f,\"event_p99_us\":%.0f,", percentile_us(0, 0.5),
	       percentile_us(0, 0.99), percentile_us(1, 0.5), percentile_us(1, 0.99));
	printf("\"after_p50_us\":%.0f,\"after_p99_us\":%.0f}\n", percentile_us(2, 0.5), percentile_us(2, 0.99));
}

static void usage(void)
{
	fputs("usage: writer --port N --tokens FILE [options]   REST clients of a server on 127.0.0.1; prints one line of JSON\n"
	      "  --mode M      writes (default): PATCH items w-0.. of proj-0;  reads: GET its first 200 items\n"
	      "  --writers N   connections that ask, one request under way each (50)\n"
	      "  --members N   WebSocket clients in the project (10); writes only\n"
	      "  --rate N      writes a second (as many as can be)   --member-ports P,P..  servers of the members (that of --port)\n"
	      "  --seconds T   measured window (3)         --warmup MS   before it (500)\n"
	      "  --pid P       server, for its CPU time\n",
	      stderr);
	exit(2);
}

static void tokens_read(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[SEND_MAX];

	if (!f)
		die(path);
	g.tokens = calloc(ITEMS_MAX, sizeof(*g.tokens));
	while (g.tokens_n < ITEMS_MAX && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\r\n")] = 0;
		if (*line && strlen(line) < SEND_MAX / 2)
			g.tokens[g.tokens_n++] = strdup(line);
	}
	fclose(f);
}

int main(int argc, char **argv)
{
	static const struct option names[] = {
		{ "mode", 1, NULL, 'm' },    { "port", 1, NULL, 'p' },   { "writers", 1, NULL, 'c' }, { "members", 1, NULL, 'r' },
		{ "seconds", 1, NULL, 't' }, { "warmup", 1, NULL, 'w' }, { "tokens", 1, NULL, 'T' },  { "pid", 1, NULL, 'P' },
		{ "rate", 1, NULL, 'R' },    { "member-ports", 1, NULL, 'M' }, { 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "", names, NULL)) != -1) {
		unsigned v = optarg ? (unsigned)strtoul(optarg, NULL, 10) : 0;

		switch (o) {
		case 'm': opt.mode = optarg; break;
		case 'p': opt.port = v; break;
		case 'c': opt.writers = v; break;
		case 'r': opt.members = v; break;
		case 't': opt.seconds = v; break;
		case 'w': opt.warmup_ms = v; break;
		case 'T': opt.tokens_path = optarg; break;
		case 'P': opt.pid = (int)v; break;
		case 'R': opt.rate = v; break;
		case 'M':
			for (char *at = strtok(optarg, ","); at && opt.ports_n < 16; at = strtok(NULL, ","))
				opt.ports[opt.ports_n++] = (unsigned)strtoul(at, NULL, 10);
			break;
		default: usage();
		}
	}
	if (optind != argc || !opt.port || !opt.writers || !opt.tokens_path || (opt.mode[0] != 'w' && opt.mode[0] != 'r'))
		usage();
	if (opt.mode[0] == 'r')
		opt.members = 0;
	tokens_read(opt.tokens_path);
	if (!g.tokens_n)
		usage();
	g.epoll = epoll_create1(EPOLL_CLOEXEC);
	run();
	return 0;
}
