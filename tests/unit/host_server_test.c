/* host_server_test.c -- a whole server over the loopback, for what only real sockets and
 * a real loop can show: time, pipelining, half-closed connections, broken framing.
 *
 * The server runs its loop in a thread of its own; the test speaks bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <sio/http.h>
#include <sio/server.h>
#include <sio/sockets.h>
#include <sio/work.h>

#include "base/buf.h"

static struct sio_server *server;
static pthread_t thread;
static uint16_t port;

static void *run(void *arg)
{
	(void)arg;
	sio_server_run(server);
	return NULL;
}

/* Answers after 20 ms. */
struct slow {
	struct sio_timer timer;
	struct sio_request *req;
};

static void on_slow_timer(struct sio_timer *timer)
{
	struct slow *slow = (struct slow *)(void *)timer;

	sio_reply(slow->req, 200, "text/plain", sio_request_query(slow->req));
	free(slow);
}

static void on_slow(struct sio_request *req, void *arg)
{
	struct slow *slow = calloc(1, sizeof(*slow));

	(void)arg;
	slow->req = req;
	sio_timer_start(sio_request_server(req), &slow->timer, 20, on_slow_timer);
}

static void start(const struct sio_server_options *o)
{
	assert_int_equal(sio_server_new(o, &server), SIO_OK);
	assert_int_equal(sio_server_listen(server, "127.0.0.1", 0), SIO_OK);
	assert_int_equal(sio_http_route(server, "GET", "/slow", on_slow, NULL), SIO_OK);
	port = sio_server_port(server);
	assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
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
	return 0;
}

/* ---- a client of bytes -------------------------------------------------------------- */

static int dial(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void say(int fd, const void *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
		if (sent < 0)
			return; /* the server has had enough; what it said will show */
		p = (const char *)p + sent;
		n -= (size_t)sent;
	}
}

static void say_text(int fd, const char *text)
{
	say(fd, text, strlen(text));
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Read until the text has been heard, the end has come or ms have passed.  Returns
 * whether it was heard; with until NULL, whether the end has come. */
static bool hear(int fd, struct buf *b, const char *until, int ms)
{
	uint64_t end = now_ms() + (uint64_t)ms;

	for (;;) {
		struct pollfd pfd = { fd, POLLIN, 0 };
		uint64_t now = now_ms();
		char chunk[65536];
		ssize_t n;
		if (until && b->n && memmem(b->p, b->n, until, strlen(until)))
			return true;
		if (now >= end || poll(&pfd, 1, (int)(end - now)) <= 0)
			return false;
		n = recv(fd, chunk, sizeof(chunk), 0);
		if (n <= 0)
			return !until;
		buf_put(b, chunk, (size_t)n);
	}
}

static unsigned count(const struct buf *b, const char *text)
{
	unsigned n = 0;
	const char *p = b->p, *end = b->p + b->n;

	while (p && (p = memmem(p, (size_t)(end - p), text, strlen(text))) != NULL) {
		n++;
		p++;
	}
	return n;
}

static void expect_sid(struct buf *b, char sid[21])
{
	const char *at = b->n ? memmem(b->p, b->n, "\"sid\":\"", 7) : NULL;

	assert_non_null(at);
	memcpy(sid, at + 7, 20);
	sid[20] = '\0';
}

static void open_polling(char sid[21])
{
	struct buf b = { 0 };
	int fd = dial();

	say_text(fd, "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	assert_true(hear(fd, &b, NULL, 2000));
	expect_sid(&b, sid);
	buf_fini(&b);
	close(fd);
}

static int open_ws(struct buf *b)
{
	int fd = dial();

	say_text(fd, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
		     "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
		     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
	assert_true(hear(fd, b, "maxPayload\":", 2000));
	hear(fd, b, "}", 100);
	return fd;
}

/* A masked client frame (the mask is zero) in front of payload. */
static size_t frame(char *out, int op, const char *payload, size_t n)
{
	size_t head = n < 126 ? 6 : 8;

	out[0] = (char)(0x80 | op);
	out[1] = (char)(0x80 | (n < 126 ? n : 126));
	if (n >= 126) {
		out[2] = (char)(n >> 8);
		out[3] = (char)n;
	}
	memset(out + head - 4, 0, 4);
	memcpy(out + head, payload, n);
	return head + n;
}

/* ---- tests --------------------------------------------------------------------------- */

/* A server on which nothing happens must not take the time of its last turn for now:
 * the pong has all of pingTimeout. */
static void test_heartbeat_of_an_idle_server(void **state)
{
	struct sio_server_options o = { .ping_interval_ms = 600, .ping_timeout_ms = 400 };
	struct buf b = { 0 };
	uint64_t pinged;
	int fd;

	(void)state;
	start(&o);
	fd = open_ws(&b);
	buf_clear(&b);
	assert_true(hear(fd, &b, "\x81\x01" "2", 1000));
	pinged = now_ms();
	assert_true(hear(fd, &b, NULL, 2000));
	assert_true(now_ms() - pinged > 350);
	close(fd);
	buf_fini(&b);
}

/* A body that cannot be read is answered 400 with Connection: close; what follows is
 * never taken for a request (hostile: 400c). */
static void test_nothing_is_read_behind_a_bad_body(void **state)
{
	static const char *const bad[] = {
		"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
		"Transfer-Encoding: chunked\r\n\r\n3\r\n4ab\r\n-1\r\n",
		"Content-Type: application/octet-stream\r\nContent-Length: 1000\r\n\r\n",
	};
	struct buf b = { 0 };
	char sid[21], text[512];

	(void)state;
	start(NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int fd = dial();
		open_polling(sid);
		snprintf(text, sizeof(text), "POST /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n%s", sid,
			 bad[i]);
		say_text(fd, text);
		hear(fd, &b, "\r\n\r\n", 1000);
		say_text(fd, "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n");
		assert_true(hear(fd, &b, NULL, 4000));
		assert_int_equal(count(&b, "HTTP/1.1 "), 1);
		assert_int_equal(count(&b, "HTTP/1.1 400"), 1);
		assert_int_equal(count(&b, "Connection: close"), 1);
		buf_clear(&b);
		close(fd);
	}
	buf_fini(&b);
}

/* The deadline of a body says the same. */
static void test_body_that_never_ends(void **state)
{
	struct sio_server_options o = { .body_timeout_ms = 100 };
	struct buf b = { 0 };
	char sid[21], text[512];
	int fd;

	(void)state;
	start(&o);
	open_polling(sid);
	fd = dial();
	snprintf(text, sizeof(text),
		 "POST /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n4", sid);
	say_text(fd, text);
	assert_true(hear(fd, &b, NULL, 4000));
	assert_int_equal(count(&b, "HTTP/1.1 408"), 1);
	assert_int_equal(count(&b, "Connection: close"), 1);
	close(fd);
	buf_fini(&b);
}

struct flood {
	int fd, n;
};

static void *flood(void *arg)
{
	struct flood *fl = arg;
	struct buf b = { 0 };

	for (int i = 0; i < fl->n; i++)
		buf_printf(&b, "GET /nothing/%d HTTP/1.1\r\nHost: x\r\n\r\n", i);
	say(fl->fd, b.p, b.n);
	buf_fini(&b);
	return NULL;
}

/* Ten thousand at once: each answered, in order (hostile 65). */
static void test_pipelined_requests_keep_their_order(void **state)
{
	enum { N = 10000 };
	struct flood fl = { -1, N };
	struct buf b = { 0 };
	pthread_t writer;
	const char *p;
	char want[64];

	(void)state;
	start(NULL);
	fl.fd = dial();
	pthread_create(&writer, NULL, flood, &fl);
	snprintf(want, sizeof(want), "nothing at /nothing/%d\"", N - 1);
	assert_true(hear(fl.fd, &b, want, 20000));
	pthread_join(writer, NULL);
	p = b.p;
	for (int i = 0; i < N; i++) {
		snprintf(want, sizeof(want), "nothing at /nothing/%d\"", i);
		p = memmem(p, (size_t)(b.p + b.n - p), want, strlen(want));
		assert_non_null(p);
	}
	assert_int_equal(count(&b, "HTTP/1.1 404"), N);
	close(fl.fd);
	buf_fini(&b);
}

/* A client that has said all it will say still hears all its answers. */
static void test_half_closed(void **state)
{
	struct buf b = { 0 };
	int fd;

	(void)state;
	start(NULL);
	fd = dial();
	say_text(fd, "GET /slow?one HTTP/1.1\r\nHost: x\r\n\r\nGET /slow?two HTTP/1.1\r\nHost: x\r\n\r\n"
		     "GET /slow?three HTTP/1.1\r\nHost: x\r\n\r\nGET /slow?part HT");
	shutdown(fd, SHUT_WR);
	assert_true(hear(fd, &b, NULL, 5000));
	assert_int_equal(count(&b, "HTTP/1.1 200"), 3);
	assert_int_equal(count(&b, "\r\n\r\nthree"), 1);
	close(fd);
	buf_fini(&b);
}

static void test_upgrade_must_be_a_get(void **state)
{
	struct buf b = { 0 };
	char sid[21], text[512];
	int fd;

	(void)state;
	start(NULL);
	open_polling(sid);
	fd = dial();
	snprintf(text, sizeof(text),
		 "POST /socket.io/?EIO=4&transport=websocket&sid=%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
		 "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		 "Content-Length: 0\r\n\r\n",
		 sid);
	say_text(fd, text);
	assert_true(hear(fd, &b, NULL, 4000));
	assert_int_equal(count(&b, "HTTP/1.1 400"), 1);
	close(fd);
	buf_fini(&b);
}

static void test_empty_post(void **state)
{
	struct buf b = { 0 };
	char sid[21], text[512];
	int fd;

	(void)state;
	start(NULL);
	open_polling(sid);
	fd = dial();
	snprintf(text, sizeof(text),
		 "POST /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", sid);
	say_text(fd, text);
	assert_true(hear(fd, &b, "HTTP/1.1 400", 2000));
	close(fd);
	buf_fini(&b);
}

/* The deadline is for one message: a client that sends without a pause, so that each
 * read ends in the middle of a frame, is not cut. */
static void test_a_message_deadline_is_for_one_message(void **state)
{
	struct sio_server_options o = { .body_timeout_ms = 200 };
	struct buf b = { 0 };
	char payload[300], wire[700];
	size_t n, half;
	int fd;

	(void)state;
	start(&o);
	fd = open_ws(&b);
	buf_clear(&b);
	memset(payload, 'x', sizeof(payload));
	payload[0] = '6'; /* a no-op, ignored */
	n = frame(wire, 1, payload, sizeof(payload));
	half = n / 2;
	memcpy(wire + n, wire, half);
	say(fd, wire, half);
	for (int i = 0; i < 12; i++) {
		usleep(50000);
		say(fd, wire + half, n); /* the rest of one, half of the next */
	}
	assert_false(hear(fd, &b, NULL, 1));
	assert_int_equal(b.n, 0);
	/* But one that is never finished ends with 1008, pings or not. */
	assert_true(hear(fd, &b, "\x88\x02\x03\xf0", 1000));
	close(fd);
	fd = open_ws(&b);
	buf_clear(&b);
	n = frame(wire, 1, "4a", 2);
	wire[0] = 1; /* no FIN */
	say(fd, wire, n);
	for (int i = 0; i < 8; i++) {
		usleep(50000);
		n = frame(wire, 9, "", 0);
		say(fd, wire, n);
	}
	assert_true(hear(fd, &b, "\x88\x02\x03\xf0", 1000));
	close(fd);
	buf_fini(&b);
}

static _Atomic unsigned posted; /* counted on a pool thread, too */

static void on_post(void *arg)
{
	(void)arg;
	posted++;
}

/* What was posted before a server that never ran is freed is not left behind. */
static void test_freed_without_running(void **state)
{
	(void)state;
	posted = 0;
	assert_int_equal(sio_server_new(NULL, &server), SIO_OK);
	assert_int_equal(sio_server_listen(server, "127.0.0.1", 0), SIO_OK);
	assert_int_equal(sio_server_post(server, on_post, NULL), SIO_OK);
	assert_int_equal(sio_server_work(server, on_post, on_post, NULL), SIO_OK);
	sio_server_free(server);
	assert_int_equal(posted, 3);
}

static void on_answers(struct sio_namespace *nsp, int status, const struct sio_answers *got, void *arg)
{
	(void)nsp, (void)status, (void)got, (void)arg;
	posted++;
}

/* A question whose time-out has not come yet ends while there are timers still. */
static void test_freed_with_a_question_open(void **state)
{
	static const struct sio_target all;
	static const struct sio_args none;

	(void)state;
	posted = 0;
	assert_int_equal(sio_server_new(NULL, &server), SIO_OK);
	assert_int_equal(sio_sockets_ask(sio_namespace_main(server), &all, SIO_LIT("q"), &none, 0, on_answers, NULL), 0);
	sio_server_free(server);
	assert_int_equal(posted, 1);
}

/* ---- two in one process ------------------------------------------------------------- */

static void *run_other(void *other)
{
	sio_server_run(other);
	return NULL;
}

static void on_stop_other(void *other)
{
	sio_server_close(other, 0);
}

/* What the server at to answers to a handshake at path. */
static void handshake(uint16_t to, const char *path, const char *want)
{
	uint16_t kept = port;
	struct buf b = { 0 };
	char text[200];
	int fd;

	port = to;
	fd = dial();
	port = kept;
	snprintf(text, sizeof(text), "GET %s?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
	say_text(fd, text);
	assert_true(hear(fd, &b, NULL, 2000));
	assert_int_equal(count(&b, want), 1);
	buf_fini(&b);
	close(fd);
}

/* Each has its own path, options and sessions; the end of one is not the other's. */
static void test_two_servers(void **state)
{
	struct sio_server_options o = { .path = "/other", .max_payload_bytes = 777 };
	struct sio_server *other;
	struct sio_stats stats;
	pthread_t other_thread;
	uint16_t other_port;

	(void)state;
	start(NULL);
	assert_int_equal(sio_server_new(&o, &other), SIO_OK);
	assert_int_equal(sio_server_listen(other, "127.0.0.1", 0), SIO_OK);
	other_port = sio_server_port(other);
	assert_int_equal(pthread_create(&other_thread, NULL, run_other, other), 0);
	handshake(port, "/socket.io/", "\"maxPayload\":1000000");
	handshake(other_port, "/other/", "\"maxPayload\":777");
	handshake(port, "/other/", " 404 ");
	handshake(other_port, "/socket.io/", " 404 ");
	assert_int_equal(sio_server_post(other, on_stop_other, other), SIO_OK);
	pthread_join(other_thread, NULL);
	sio_server_stats(other, &stats);
	assert_int_equal(stats.connections_total, 1);
	sio_server_free(other);
	handshake(port, "/socket.io/", "\"maxPayload\":1000000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_two_servers, stop),
		cmocka_unit_test_teardown(test_heartbeat_of_an_idle_server, stop),
		cmocka_unit_test_teardown(test_nothing_is_read_behind_a_bad_body, stop),
		cmocka_unit_test_teardown(test_body_that_never_ends, stop),
		cmocka_unit_test_teardown(test_pipelined_requests_keep_their_order, stop),
		cmocka_unit_test_teardown(test_half_closed, stop),
		cmocka_unit_test_teardown(test_upgrade_must_be_a_get, stop),
		cmocka_unit_test_teardown(test_empty_post, stop),
		cmocka_unit_test_teardown(test_a_message_deadline_is_for_one_message, stop),
		cmocka_unit_test(test_freed_without_running),
		cmocka_unit_test(test_freed_with_a_question_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
