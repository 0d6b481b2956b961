/* host_websocket_test.c -- <sio/websocket.h> over the loopback: what the application hears
 * and says, and every way in which a connection may end.
 *
 * The server runs its loop in a thread of its own; its handlers write what they hear into a
 * log that the test compares.  The test speaks bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <sio/http.h>
#include <sio/server.h>
#include <sio/websocket.h>
#include <sio/work.h>

#include "base/buf.h"
#include "net/net.h"

static struct sio_server *server;
static pthread_t thread;
static uint16_t port;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct buf heard;

static void note(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&lock);
	buf_str(&heard, text);
	pthread_mutex_unlock(&lock);
}

/* ---- the application ------------------------------------------------------------------- */

static bool may_open(struct sio_ws *ws, void *arg)
{
	(void)arg;
	assert_int_equal(sio_ws_send(ws, SIO_LIT("too early"), false), SIO_ERR_CLOSED);
	assert_int_equal(sio_ws_close(ws, 1000, SIO_LIT("")), SIO_ERR_CLOSED);
	if (sio_slice_eq(sio_ws_query(ws), SIO_LIT("end")))
		sio_server_close(server, 0);
	return !sio_slice_eq(sio_ws_query(ws), SIO_LIT("refuse"));
}

static void on_open(struct sio_ws *ws, void *arg)
{
	char room[32] = "";
	long n = sio_ws_param(ws, "room", room, sizeof(room));
	sio_slice path = sio_ws_path(ws), query = sio_ws_query(ws), protocol = sio_ws_protocol(ws);

	note("open %s %.*s ?%.*s [%s %ld] p=%.*s from %.*s ua=%.*s; ", (const char *)arg, (int)path.n, path.p, (int)query.n,
	     query.p, room, n, (int)protocol.n, protocol.p, (int)sio_ws_address(ws).n, sio_ws_address(ws).p,
	     (int)sio_ws_header(ws, "user-agent").n, sio_ws_header(ws, "user-agent").p);
	sio_ws_set_data(ws, malloc(1));
	if (sio_slice_eq(query, SIO_LIT("close")))
		assert_int_equal(sio_ws_close(ws, 4000, SIO_LIT("at once")), SIO_OK);
	if (sio_slice_eq(query, SIO_LIT("greet")))
		assert_int_equal(sio_ws_send(ws, SIO_LIT("welcome"), false), SIO_OK);
}

static void on_message(struct sio_ws *ws, sio_slice data, bool is_binary, void *arg)
{
	static const struct {
		int code, want;
	} codes[] = { { 999, SIO_ERR_INVAL }, { 1004, SIO_ERR_INVAL }, { 1005, SIO_ERR_INVAL }, { 1006, SIO_ERR_INVAL },
		      { 1015, SIO_ERR_INVAL }, { 2999, SIO_ERR_INVAL }, { 5000, SIO_ERR_INVAL }, { -1, SIO_ERR_INVAL } };
	char long_reason[124];

	(void)arg;
	memset(long_reason, 'r', sizeof(long_reason));
	note("%s %.*s; ", is_binary ? "binary" : "text", (int)(data.n < 40 ? data.n : 40), data.p);
	assert_int_equal(sio_ws_header(ws, "user-agent").n, 0);
	if (sio_slice_eq(data, SIO_LIT("close"))) {
		for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
			assert_int_equal(sio_ws_close(ws, codes[i].code, SIO_LIT("")), codes[i].want);
		assert_int_equal(sio_ws_close(ws, 1000, SIO_LIT("\xff")), SIO_ERR_INVAL);
		assert_int_equal(sio_ws_close(ws, 1000, sio_bytes(long_reason, 124)), SIO_ERR_INVAL);
		assert_int_equal(sio_ws_close(ws, 0, SIO_LIT("why")), SIO_ERR_INVAL);
		assert_int_equal(sio_ws_send(ws, SIO_LIT("before"), false), SIO_OK);
		assert_int_equal(sio_ws_close(ws, 3000, SIO_LIT("done")), SIO_OK);
		assert_int_equal(sio_ws_send(ws, SIO_LIT("after"), false), SIO_ERR_CLOSED);
		assert_int_equal(sio_ws_close(ws, 1000, SIO_LIT("")), SIO_ERR_CLOSED);
	} else if (sio_slice_eq(data, SIO_LIT("close empty"))) {
		assert_int_equal(sio_ws_close(ws, 0, SIO_LIT("")), SIO_OK);
	} else if (sio_slice_eq(data, SIO_LIT("bad text"))) {
		assert_int_equal(sio_ws_send(ws, SIO_LIT("\xc3"), false), SIO_ERR_UTF8);
		assert_int_equal(sio_ws_send(ws, SIO_LIT("\xc3"), true), SIO_OK);
		assert_int_equal(sio_ws_send(ws, sio_bytes("", (size_t)268435457), true), SIO_ERR_INVAL);
	} else {
		assert_int_equal(sio_ws_send(ws, data, is_binary), SIO_OK);
	}
}

static void on_close(struct sio_ws *ws, int code, sio_slice reason, void *arg)
{
	(void)arg;
	assert_int_equal(sio_ws_send(ws, SIO_LIT("x"), false), SIO_ERR_CLOSED);
	assert_int_equal(sio_ws_close(ws, 1000, SIO_LIT("")), SIO_ERR_CLOSED);
	free(sio_ws_data(ws));
	note("close %d %.*s; ", code, (int)reason.n, reason.p);
}

/* Sends a flood, as much as is taken; tells how much, and when there is room again. */
static void on_flood(struct sio_ws *ws, sio_slice data, bool is_binary, void *arg)
{
	static char zeros[10000];
	unsigned n = 0;

	(void)data, (void)is_binary, (void)arg;
	while (sio_ws_send(ws, sio_bytes(zeros, sizeof(zeros)), true) == SIO_OK)
		n++;
	note("took %u, %zu wait; ", n, sio_ws_queued_bytes(ws));
}

static void on_drain(struct sio_ws *ws, void *arg)
{
	(void)arg;
	note("drain %d; ", sio_ws_queued_bytes(ws) <= 50000);
}

/* Whatever has gone is followed by as much. */
static void on_endless(struct sio_ws *ws, void *arg)
{
	static char zeros[10000];

	(void)arg;
	while (sio_ws_send(ws, sio_bytes(zeros, sizeof(zeros)), true) == SIO_OK)
		;
}

static void on_plain(struct sio_request *req, void *arg)
{
	(void)arg;
	sio_reply(req, 200, "text/plain", SIO_LIT("plain"));
}

static const char *const protocols[] = { "chat.v2", "chat.v1", NULL };
static const struct sio_ws_endpoint room = {
	.may_open = may_open,
	.on_open = on_open,
	.on_message = on_message,
	.on_close = on_close,
	.protocols = protocols,
	.max_message_bytes = 1000,
	.max_fragments_n = 4,
	.ping_interval_ms = 60000,
};

static void *run(void *arg)
{
	(void)arg;
	sio_server_run(server);
	return NULL;
}

static void start(const struct sio_server_options *o)
{
	struct sio_ws_endpoint flood = { .on_message = on_flood, .on_drain = on_drain, .send_queue_bytes = 100000 };
	struct sio_ws_endpoint endless = { .on_open = on_endless, .on_drain = on_endless, .send_queue_bytes = 100000 };
	struct sio_ws_endpoint quick = { .on_close = on_close, .ping_interval_ms = 100, .ping_timeout_ms = 100 };
	struct sio_ws_endpoint too_wide = { .max_message_bytes = 268435457 };
	struct sio_ws_endpoint silent = { 0 };

	buf_clear(&heard);
	assert_int_equal(sio_server_new(o, &server), SIO_OK);
	assert_int_equal(sio_ws_route(server, "/rooms/:room", &room, (void *)(uintptr_t) "room"), SIO_OK);
	assert_int_equal(sio_ws_route(server, "/rooms/:other", &room, NULL), SIO_ERR_EXISTS);
	assert_int_equal(sio_ws_route(server, "rooms", &room, NULL), SIO_ERR_INVAL);
	assert_int_equal(sio_ws_route(server, "/wide", &too_wide, NULL), SIO_ERR_INVAL);
	assert_int_equal(sio_ws_route(server, "/rooms/lobby", &room, (void *)(uintptr_t) "lobby"), SIO_OK);
	assert_int_equal(sio_ws_route(server, "/flood", &flood, NULL), SIO_OK);
	assert_int_equal(sio_ws_route(server, "/endless", &endless, NULL), SIO_OK);
	assert_int_equal(sio_ws_route(server, "/quick", &quick, NULL), SIO_OK);
	assert_int_equal(sio_ws_route(server, "/silent", &silent, NULL), SIO_OK);
	assert_int_equal(sio_http_route(server, "GET", "/rooms/:room", on_plain, NULL), SIO_OK);
	assert_int_equal(sio_server_listen(server, "127.0.0.1", 0), SIO_OK);
	port = sio_server_port(server);
	assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
}

static int setup(void **state)
{
	(void)state;
	start(NULL);
	return 0;
}

static void on_stop(void *arg)
{
	(void)arg;
	sio_server_close(server, 100);
}

static int stop(void **state)
{
	(void)state;
	assert_int_equal(sio_server_post(server, on_stop, NULL), SIO_OK);
	pthread_join(thread, NULL);
	sio_server_free(server);
	buf_fini(&heard);
	return 0;
}

/* ---- a client of bytes ------------------------------------------------------------------ */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int dial(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void say(int fd, const void *p, size_t n)
{
	assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), n);
}

/* Read until text has been heard, or with NULL until the end.  false: not within ms. */
static bool hear(int fd, struct buf *b, const char *text, size_t text_n, int ms)
{
	uint64_t end = now_ms() + (uint64_t)ms;

	for (;;) {
		struct pollfd pfd = { fd, POLLIN, 0 };
		uint64_t now = now_ms();
		char chunk[65536];
		ssize_t n;
		if (text && b->n && memmem(b->p, b->n, text, text_n))
			return true;
		if (now >= end || poll(&pfd, 1, (int)(end - now)) <= 0)
			return false;
		n = recv(fd, chunk, sizeof(chunk), 0);
		if (n <= 0)
			return !text;
		buf_put(b, chunk, (size_t)n);
	}
}
#define HEAR(fd, b, lit) assert_true(hear(fd, b, lit, sizeof(lit) - 1, 3000))

static int handshake(const char *target, const char *headers, const char *want)
{
	struct buf b = { 0 };
	char text[1024];
	int fd = dial(), n;

	n = snprintf(text, sizeof(text),
		     "GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUser-Agent: test/1\r\n"
		     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
		     target, headers);
	say(fd, text, (size_t)n);
	/* Byte by byte: what follows the head is the test's. */
	while (!(b.n && memmem(b.p, b.n, "\r\n\r\n", 4)) && recv(fd, text, 1, 0) == 1)
		buf_byte(&b, text[0]);
	if (!b.n || !memmem(b.p, b.n, want, strlen(want)))
		fail_msg("%s: %.*s", target, (int)b.n, b.p);
	buf_fini(&b);
	return fd;
}

static int open_ws(const char *target)
{
	return handshake(target, "", "HTTP/1.1 101 ");
}

/* A masked frame (the mask is zero). */
static void say_frame(int fd, int first, const char *payload, size_t n)
{
	char out[300] = { (char)first, (char)(0x80 | n) };

	memcpy(out + 6, payload, n);
	say(fd, out, 6 + n);
}
#define SAY(fd, first, lit) say_frame(fd, first, lit, sizeof(lit) - 1)

/* The handlers' words, within three seconds; then the log is empty. */
static void expect(const char *want)
{
	uint64_t end = now_ms() + 3000;
	bool is_same;

	for (;;) {
		pthread_mutex_lock(&lock);
		is_same = sio_slice_eq(buf_peek(&heard), sio_str(want));
		if (is_same || now_ms() > end)
			break;
		pthread_mutex_unlock(&lock);
		usleep(2000);
	}
	if (!is_same)
		print_error("heard: %.*s\n want: %s\n", (int)heard.n, heard.n ? heard.p : "", want);
	buf_clear(&heard);
	pthread_mutex_unlock(&lock);
	assert_true(is_same);
}

static void expect_end(int fd)
{
	struct buf b = { 0 };

	assert_true(hear(fd, &b, NULL, 0, 4000));
	buf_fini(&b);
	close(fd);
}

#define OPENED "open room /rooms/a ? [a 1] p= from 127.0.0.1 ua=test/1; "

/* ---- tests ------------------------------------------------------------------------------ */

static void test_messages_and_facts(void **state)
{
	struct buf b = { 0 };
	int fd = open_ws("/rooms/two%20words?x=1&y");

	(void)state;
	expect("open room /rooms/two%20words ?x=1&y [two words 9] p= from 127.0.0.1 ua=test/1; ");
	SAY(fd, 0x81, "hi");
	HEAR(fd, &b, "\x81\x02hi");
	SAY(fd, 0x82, "\x01\x02");
	HEAR(fd, &b, "\x82\x02\x01\x02");
	expect("text hi; binary \x01\x02; ");
	SAY(fd, 0x81, "bad text");
	HEAR(fd, &b, "\x82\x01\xc3");
	expect("text bad text; ");
	SAY(fd, 0x89, "ping");
	HEAR(fd, &b, "\x8a\x04ping");
	SAY(fd, 0x88, "\x03\xe9" "bye");
	HEAR(fd, &b, "\x88\x02\x03\xe9"); /* the code, without the reason */
	expect("close 1001 bye; ");
	expect_end(fd);
	fd = open_ws("/rooms/lobby?greet"); /* the literal one wins */
	buf_clear(&b);
	HEAR(fd, &b, "\x81\x07welcome");
	expect("open lobby /rooms/lobby ?greet [ -8] p= from 127.0.0.1 ua=test/1; ");
	close(fd);
	expect("close 1006 ; ");
	buf_fini(&b);
}

static void test_protocols(void **state)
{
	(void)state;
	close(handshake("/rooms/a", "Sec-WebSocket-Protocol: x, chat.v1 ,chat.v2\r\n", "Sec-WebSocket-Protocol: chat.v1\r\n"));
	expect("open room /rooms/a ? [a 1] p=chat.v1 from 127.0.0.1 ua=test/1; close 1006 ; ");
	close(handshake("/rooms/a", "Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: chat.v2\r\n",
			"Sec-WebSocket-Protocol: chat.v2\r\n"));
	expect("open room /rooms/a ? [a 1] p=chat.v2 from 127.0.0.1 ua=test/1; close 1006 ; ");
	close(handshake("/rooms/a", "Sec-WebSocket-Protocol: CHAT.V1, , chat\r\n", "Sec-WebSocket-Accept"));
	expect("open room /rooms/a ? [a 1] p= from 127.0.0.1 ua=test/1; close 1006 ; ");
}

static void test_refused(void **state)
{
	(void)state;
	expect_end(handshake("/rooms/a?refuse", "", "HTTP/1.1 403 "));
	expect_end(handshake("/rooms/a", "Origin: https://evil.example\r\n", "HTTP/1.1 403 "));
	expect_end(handshake("/nothing", "", "HTTP/1.1 404 "));
	expect_end(handshake("/rooms/a/b", "", "HTTP/1.1 404 "));
	expect("");
}

/* A path may serve both; one that serves WebSockets alone says so. */
static void test_plain_requests(void **state)
{
	struct buf b = { 0 };
	int fd = dial();

	(void)state;
	say(fd, "GET /rooms/a HTTP/1.1\r\nHost: x\r\n\r\n", sizeof("GET /rooms/a HTTP/1.1\r\nHost: x\r\n\r\n") - 1);
	HEAR(fd, &b, "plain");
	buf_clear(&b);
	say(fd, "GET /flood HTTP/1.1\r\nHost: x\r\n\r\n", sizeof("GET /flood HTTP/1.1\r\nHost: x\r\n\r\n") - 1);
	HEAR(fd, &b, "upgrade_required");
	assert_non_null(memmem(b.p, b.n, "HTTP/1.1 426 Upgrade Required\r\n", 31));
	assert_non_null(memmem(b.p, b.n, "Upgrade: websocket\r\n", 20));
	buf_clear(&b);
	say(fd, "DELETE /rooms/a HTTP/1.1\r\nHost: x\r\n\r\n", sizeof("DELETE /rooms/a HTTP/1.1\r\nHost: x\r\n\r\n") - 1);
	HEAR(fd, &b, "Allow: GET, HEAD, OPTIONS\r\n"); /* and nothing about WebSockets */
	close(fd);
	buf_fini(&b);
}

static void test_our_close(void **state)
{
	struct buf b = { 0 };
	int fd = open_ws("/rooms/a");

	(void)state;
	SAY(fd, 0x81, "close");
	HEAR(fd, &b, "\x81\x06" "before\x88\x06\x0b\xb8" "done"); /* behind what was queued */
	SAY(fd, 0x81, "dropped");
	expect(OPENED "text close; ");
	SAY(fd, 0x88, "\x0b\xb8");
	expect("close 3000 ; ");
	expect_end(fd);
	/* The peer may answer with another code, or with none. */
	fd = open_ws("/rooms/a?close");
	SAY(fd, 0x88, "\x03\xe8" "ok");
	expect("open room /rooms/a ?close [a 1] p= from 127.0.0.1 ua=test/1; close 1000 ok; ");
	expect_end(fd);
	fd = open_ws("/rooms/a?close");
	SAY(fd, 0x88, "");
	expect("open room /rooms/a ?close [a 1] p= from 127.0.0.1 ua=test/1; close 1005 ; ");
	expect_end(fd);
	fd = open_ws("/rooms/a");
	SAY(fd, 0x81, "close empty");
	HEAR(fd, &b, "\x88\x00");
	close(fd);
	expect(OPENED "text close empty; close 1006 ; ");
	/* It may not answer at all: two seconds. */
	fd = open_ws("/rooms/a");
	SAY(fd, 0x81, "close");
	expect_end(fd);
	expect(OPENED "text close; close 1006 ; ");
	/* Or break the rules instead of it. */
	fd = open_ws("/rooms/a");
	SAY(fd, 0x81, "close");
	SAY(fd, 0x83, "x");
	expect(OPENED "text close; close 1002 ; ");
	expect_end(fd);
	buf_fini(&b);
}

static void test_faults_and_limits(void **state)
{
	struct buf b = { 0 };
	int fd = open_ws("/rooms/a");
	char head[8] = { (char)0x82, (char)0xfe, 0x03, (char)0xe9 };

	(void)state;
	say(fd, head, 4); /* 1,001 bytes are announced */
	HEAR(fd, &b, "\x88\x02\x03\xf1");
	expect(OPENED "close 1009 ; ");
	expect_end(fd);
	buf_clear(&b);
	fd = open_ws("/rooms/a");
	SAY(fd, 0x01, "1");
	for (int i = 0; i < 4; i++)
		SAY(fd, 0x00, "+");
	HEAR(fd, &b, "\x88\x02\x03\xf0");
	expect(OPENED "close 1008 ; ");
	expect_end(fd);
	buf_clear(&b);
	fd = open_ws("/rooms/a");
	SAY(fd, 0x81, "first");
	SAY(fd, 0x81, "\xff");
	SAY(fd, 0x81, "ignored");
	HEAR(fd, &b, "\x81\x05" "first\x88\x02\x03\xef");
	expect(OPENED "text first; close 1007 ; ");
	expect_end(fd);
	fd = open_ws("/rooms/a"); /* compression was not asked for by the endpoint */
	SAY(fd, 0xc1, "x");
	expect(OPENED "close 1002 ; ");
	expect_end(fd);
	buf_fini(&b);
}

/* What waits has an end; reading makes room. */
static void test_back_pressure(void **state)
{
	struct buf b = { 0 };
	int fd = open_ws("/flood"), small = 4096;

	(void)state;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	SAY(fd, 0x81, "go");
	/* 100,000 bytes are the limit; the message that goes over it is the last. */
	expect("took 10, 100040 wait; drain 1; ");
	for (int i = 0; i < 50 && b.n < 100040; i++)
		hear(fd, &b, NULL, 0, 100);
	assert_int_equal(b.n, 100040);
	close(fd);
	buf_fini(&b);
}

static void *read_on(void *arg)
{
	char chunk[262144];

	while (recv(*(int *)arg, chunk, sizeof(chunk), 0) > 0)
		;
	return NULL;
}

/* A reader as fast as the writer has the loop for its own no longer than a turn. */
static void test_others_are_served_beside_an_endless_writer(void **state)
{
	struct buf b = { 0 };
	int fd = open_ws("/endless"), other;
	pthread_t reader;

	(void)state;
	assert_int_equal(pthread_create(&reader, NULL, read_on, &fd), 0);
	for (int i = 0; i < 20; i++) {
		other = dial();
		say(other, "GET /rooms/x HTTP/1.1\r\nHost: x\r\n\r\n", sizeof("GET /rooms/x HTTP/1.1\r\nHost: x\r\n\r\n") - 1);
		HEAR(other, &b, "plain");
		buf_clear(&b);
		close(other);
	}
	shutdown(fd, SHUT_RDWR);
	pthread_join(reader, NULL);
	close(fd);
	buf_fini(&b);
}

static void test_heartbeat(void **state)
{
	struct buf b = { 0 };
	int fd = open_ws("/quick");
	uint64_t begun = now_ms();

	(void)state;
	for (int i = 0; i < 3; i++) { /* any frame is a sign of life, not the pong alone */
		HEAR(fd, &b, "\x89\x00");
		buf_clear(&b);
		SAY(fd, i % 2 ? 0x8a : 0x81, "");
	}
	HEAR(fd, &b, "\x89\x00");
	expect_end(fd);
	expect("close 1006 ; ");
	assert_true(now_ms() - begun > 450);
	buf_fini(&b);
}

static void test_no_handlers(void **state)
{
	struct buf b = { 0 };
	int fd = open_ws("/silent");

	(void)state;
	SAY(fd, 0x81, "anybody?");
	SAY(fd, 0x89, "p");
	HEAR(fd, &b, "\x8a\x01p");
	SAY(fd, 0x88, "\x03\xe8");
	HEAR(fd, &b, "\x88\x02\x03\xe8");
	expect_end(fd);
	buf_fini(&b);
}

static void test_the_server_ends(void **state)
{
	struct buf b = { 0 }, c = { 0 };
	int fd, closing;

	start(NULL);
	fd = open_ws("/rooms/a");
	closing = open_ws("/rooms/a?close");
	expect(OPENED "open room /rooms/a ?close [a 1] p= from 127.0.0.1 ua=test/1; ");
	SAY(fd, 0x01, "unfinished"); /* a reader and a deadline */
	SAY(fd, 0x89, "p");
	HEAR(fd, &b, "\x8a\x01p"); /* it has the fragment, too */
	assert_int_equal(sio_server_post(server, on_stop, NULL), SIO_OK);
	HEAR(fd, &b, "\x88\x02\x03\xe9");
	HEAR(closing, &c, "\x88\x09\x0f\xa0" "at once");
	pthread_join(thread, NULL);
	sio_server_free(server);
	if (heard.n != 2 * strlen("close 1001 server shutting down; "))
		fail_msg("heard: %.*s", (int)heard.n, heard.p);
	close(fd);
	close(closing);
	buf_fini(&b);
	buf_fini(&c);
	buf_fini(&heard);
	start(NULL); /* for the group's own end */
	stop(state);
}

/* It may, though there is nothing to be opened any more. */
static void test_may_open_ends_the_server(void **state)
{
	static const char request[] = "GET /rooms/a?end HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
				      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
	int fd;

	(void)state;
	start(NULL);
	fd = dial();
	say(fd, request, sizeof(request) - 1);
	expect_end(fd);
	pthread_join(thread, NULL);
	sio_server_free(server);
	assert_int_equal(heard.n, 0);
	buf_fini(&heard);
}

static void on_stats(void *arg)
{
	struct sio_stats stats;

	(void)arg;
	sio_server_stats(server, &stats);
	note("%llu of %llu, %llu sessions; ", (unsigned long long)stats.plain_websockets,
	     (unsigned long long)stats.plain_websockets_total, (unsigned long long)stats.connections);
}

static void test_counted_and_limited(void **state)
{
	struct sio_server_options o = { .max_connections = 2 };
	int a, b;

	(void)state;
	start(&o);
	a = open_ws("/silent");
	b = open_ws("/silent");
	expect_end(handshake("/silent", "", "HTTP/1.1 503 "));
	assert_int_equal(sio_server_post(server, on_stats, NULL), SIO_OK);
	expect("2 of 2, 0 sessions; ");
	SAY(a, 0x88, "\x03\xe8");
	expect_end(a);
	close(open_ws("/silent"));
	close(b);
	stop(state);
}

/* Hostile 151, 152: a message that is begun and never ends. */
static void test_message_deadline(void **state)
{
	struct sio_server_options o = { .body_timeout_ms = 200 };
	struct buf b = { 0 };
	int fd;

	(void)state;
	start(&o);
	fd = open_ws("/rooms/a");
	SAY(fd, 0x01, "begun");
	SAY(fd, 0x89, "p"); /* pings do not make it live longer */
	HEAR(fd, &b, "\x8a\x01p");
	HEAR(fd, &b, "\x88\x02\x03\xf0");
	expect(OPENED "close 1008 ; ");
	expect_end(fd);
	buf_fini(&b);
	stop(state);
}

static void test_connections_stay_small(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct net_conn), 56);
}

/* Without Engine.IO its path is like any other. */
static void test_no_engine(void **state)
{
	struct sio_server_options o = { .path = "" }, bad = { .path = "x" };
	struct sio_server *none;
	struct buf b = { 0 };
	int fd;

	(void)state;
	assert_int_equal(sio_server_new(&bad, &none), SIO_ERR_INVAL);
	start(&o);
	fd = dial();
	say(fd, "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n", sizeof("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n") - 1);
	HEAR(fd, &b, "HTTP/1.1 404 ");
	buf_clear(&b);
	say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", sizeof("GET / HTTP/1.1\r\nHost: x\r\n\r\n") - 1);
	HEAR(fd, &b, "not_found");
	close(fd);
	buf_fini(&b);
	stop(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_messages_and_facts, setup, stop),
		cmocka_unit_test_setup_teardown(test_protocols, setup, stop),
		cmocka_unit_test_setup_teardown(test_refused, setup, stop),
		cmocka_unit_test_setup_teardown(test_plain_requests, setup, stop),
		cmocka_unit_test_setup_teardown(test_our_close, setup, stop),
		cmocka_unit_test_setup_teardown(test_faults_and_limits, setup, stop),
		cmocka_unit_test_setup_teardown(test_back_pressure, setup, stop),
		cmocka_unit_test_setup_teardown(test_others_are_served_beside_an_endless_writer, setup, stop),
		cmocka_unit_test_setup_teardown(test_heartbeat, setup, stop),
		cmocka_unit_test_setup_teardown(test_no_handlers, setup, stop),
		cmocka_unit_test(test_the_server_ends),
		cmocka_unit_test(test_may_open_ends_the_server),
		cmocka_unit_test(test_counted_and_limited),
		cmocka_unit_test(test_message_deadline),
		cmocka_unit_test(test_connections_stay_small),
		cmocka_unit_test(test_no_engine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
