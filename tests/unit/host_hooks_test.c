/* host_hooks_test.c -- hooks on the Engine.IO path, and plain Engine.IO, over real
 * sockets: what waits for the application's answer, what hooks add, and hooks that close
 * what they are called about.
 *
 * The server's loop runs in the test's own thread: speak, turn, listen.
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
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>
#include <zlib.h>

#include <sio/engine.h>
#include <sio/handshake.h>
#include <sio/room.h>
#include <sio/server.h>
#include <sio/socket.h>
#include <sio/testing.h>
#include <sio/work.h>

#include "base/buf.h"

static uv_loop_t loop;
static struct sio_server *server;
static uint16_t port;
static struct buf heard;                 /* what hooks and handlers have to say */
static struct buf in;                    /* what a client has read last */
static struct sio_handshake *waiting;    /* the last one that was not answered */
static struct sio_session *last;         /* the last session that was opened */

#define GET_POLLING "GET /engine.io/?EIO=4&transport=polling%s HTTP/1.1\r\nHost: x\r\n\r\n"
#define UPGRADE_LINES                                                              \
	"Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define GET_WS "GET /engine.io/?EIO=4&transport=websocket%s HTTP/1.1\r\n" UPGRADE_LINES

static void expect_heard_at(const char *want, const char *file, int line)
{
	if (!sio_slice_eq(buf_peek(&heard), sio_str(want))) {
		print_error("heard: %.*s\n want: %s\n", (int)heard.n, heard.n ? heard.p : "", want);
		_fail(file, line);
	}
	buf_clear(&heard);
}
#define expect_heard(want) expect_heard_at((want), __FILE__, __LINE__)

/* ---- the loop and its clients --------------------------------------------------------- */

static void turn(int n)
{
	while (n-- > 0) {
		uv_run(&loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
}

static int dial(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* what is said is heard at once */
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_true(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 || errno == EINPROGRESS);
	turn(2);
	return fd;
}

static void say(int fd, const void *p, size_t n)
{
	assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), n);
	turn(3);
}

static void say_text(int fd, const char *text)
{
	say(fd, text, strlen(text));
}

static int say_to(const char *fmt, const char *more)
{
	char text[1024];
	int fd = dial(), n = snprintf(text, sizeof(text), fmt, more);

	say(fd, text, (size_t)n);
	return fd;
}

/* Read what has come; 'e' at its end when the peer has ended. */
static bool hear(int fd)
{
	char chunk[65536];
	ssize_t n;

	turn(3);
	while ((n = recv(fd, chunk, sizeof(chunk), 0)) > 0)
		buf_put(&in, chunk, (size_t)n);
	return n == 0;
}

static unsigned count(const char *text)
{
	unsigned n = 0;
	const char *p = in.p, *end = in.p + in.n;

	while (p && (p = memmem(p, (size_t)(end - p), text, strlen(text))) != NULL) {
		n++;
		p++;
	}
	return n;
}

/* The answer holds each of these; forget it. */
static void expect_answer_at(int fd, const char *const *texts, const char *file, int line)
{
	buf_clear(&in);
	hear(fd);
	for (; *texts; texts++) {
		bool want = **texts != '-';
		if ((count(*texts + !want) > 0) != want) {
			print_error("%s in:\n%.*s\n", *texts, (int)in.n, in.n ? in.p : "");
			_fail(file, line);
		}
	}
}
#define expect_answer(fd, ...) expect_answer_at((fd), (const char *const[]){ __VA_ARGS__, NULL }, __FILE__, __LINE__)

/* A masked client frame; the mask is zero. */
static size_t frame(char *out, int op, const char *payload)
{
	size_t n = strlen(payload);

	out[0] = (char)(0x80 | op);
	out[1] = (char)(0x80 | n);
	memset(out + 2, 0, 4);
	memcpy(out + 6, payload, n);
	return 6 + n;
}

static void say_frame(int fd, const char *payload)
{
	char wire[200];

	say(fd, wire, frame(wire, 1, payload));
}

/* ---- the application -------------------------------------------------------------------- */

static void on_log(enum sio_log_level level, const char *line, void *arg)
{
	(void)arg;
	if (level == SIO_LOG_ERROR)
		buf_printf(&heard, "%s; ", line);
}

static void start(struct sio_server_options *o)
{
	struct sio_server_options usual = { .engine_only = true };

	o = o ? o : &usual;
	o->loop = &loop;
	o->log = on_log;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(sio_server_new(o, &server), SIO_OK);
	assert_int_equal(sio_server_listen(server, "127.0.0.1", 0), SIO_OK);
	port = sio_server_port(server);
	waiting = NULL;
	last = NULL;
}

static int stop(void **state)
{
	(void)state;
	if (server) {
		sio_server_close(server, 0);
		for (int i = 0; i < 100 && uv_loop_alive(&loop); i++)
			turn(1);
		sio_server_free(server);
		assert_int_equal(uv_loop_close(&loop), 0);
	}
	server = NULL;
	buf_fini(&heard);
	buf_fini(&in);
	return 0;
}

static void on_open(struct sio_session *session, void *arg)
{
	const struct sio_request *req = sio_session_request(session);
	sio_slice url = sio_request_url(req), address = sio_request_address(req);

	(void)arg;
	last = session;
	buf_printf(&heard, "open %s %.*s from %.*s; ", sio_session_transport(session), (int)url.n, url.p, (int)address.n,
		   address.p);
}

static void on_close(struct sio_session *session, sio_slice reason, void *arg)
{
	(void)arg;
	assert_null(sio_session_request(session));
	if (session == last)
		last = NULL;
	buf_printf(&heard, "close %.*s; ", (int)reason.n, reason.p);
}

static void on_message(struct sio_session *session, sio_slice data, bool is_binary, void *arg)
{
	const struct sio_request *req = sio_session_request(session);
	sio_slice method = req ? sio_request_method(req) : sio_str("no request");

	(void)arg, (void)is_binary;
	buf_printf(&heard, "%.*s by %.*s; ", (int)data.n, data.p, (int)method.n, method.p);
}

static void listen_to_sessions(void)
{
	assert_int_equal(sio_engine_on_open(server, on_open, NULL), SIO_OK);
	assert_int_equal(sio_engine_on_close(server, on_close, NULL), SIO_OK);
	assert_int_equal(sio_engine_on_message(server, on_message, NULL), SIO_OK);
}

static const char *kind_of(const struct sio_handshake *hs)
{
	static const char *const kinds[] = { "polling", "websocket", "upgrade" };

	return kinds[sio_handshake_kind(hs)];
}

static void wait(struct sio_handshake *hs, void *arg)
{
	(void)arg;
	assert_null(waiting);
	assert_ptr_equal(sio_handshake_server(hs), server);
	waiting = hs;
	buf_printf(&heard, "asked %s; ", kind_of(hs));
}

static struct sio_handshake *take(void)
{
	struct sio_handshake *hs = waiting;

	assert_non_null(hs);
	waiting = NULL;
	return hs;
}

static void refuse(struct sio_handshake *hs, void *arg)
{
	buf_printf(&heard, "refused %s; ", kind_of(hs));
	sio_handshake_refuse(hs, sio_str(arg));
}

static void on_error(const struct sio_connection_error *error, void *arg)
{
	sio_slice method = sio_request_method(error->request), path = sio_request_path(error->request);

	(void)arg;
	buf_printf(&heard, "error %d %.*s of %.*s %.*s; ", error->code, (int)error->message.n, error->message.p,
		   (int)method.n, method.p, (int)path.n, path.p);
}

/* ---- plain Engine.IO ---------------------------------------------------------------------- */

static void test_facts_of_a_session(void **state)
{
	char sid[21], text[300];
	int fd, post, ws;

	(void)state;
	start(NULL);
	listen_to_sessions();
	fd = say_to(GET_POLLING, "&user=anna");
	expect_heard("open polling /engine.io/?EIO=4&transport=polling&user=anna from 127.0.0.1; ");
	assert_null(sio_session_request(last));
	memcpy(sid, sio_session_id(last).p, 20);
	sid[20] = '\0';
	expect_answer(fd, "HTTP/1.1 200 OK", sid, "Cache-Control: no-store", "-Set-Cookie");
	snprintf(text, sizeof(text),
		 "POST /engine.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n4a", sid);
	post = dial();
	say_text(post, text);
	expect_heard("a by POST; ");
	expect_answer(post, "\r\n\r\nok");
	ws = say_to(GET_WS, "");
	expect_heard("open websocket /engine.io/?EIO=4&transport=websocket from 127.0.0.1; ");
	say_frame(ws, "4b");
	expect_heard("b by no request; ");
	close(ws);
	turn(3);
	expect_heard("close transport close; ");
	close(post);
	close(fd);
}

static void nothing(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)socket, (void)event, (void)arg;
}

/* Each kind of server takes the other's calls without harm. */
static void test_the_other_kind(void **state)
{
	struct sio_server_options o = { .engine_only = false };
	struct sio_args args = sio_args_json(SIO_LIT("1"));
	struct sio_message *message;
	struct sio_server *other;

	(void)state;
	start(NULL);
	assert_int_equal(sio_on_event(server, "x", nothing, NULL), SIO_OK);
	assert_int_equal(sio_broadcast(server, &(struct sio_target){ 0 }, SIO_LIT("x"), &args), 0);
	assert_int_equal(sio_server_new(&o, &other), SIO_OK);
	assert_int_equal(sio_engine_on_open(other, on_open, NULL), SIO_ERR_INVAL);
	assert_int_equal(sio_engine_on_message(other, on_message, NULL), SIO_ERR_INVAL);
	assert_int_equal(sio_message_new_text(other, SIO_LIT("x"), &message), SIO_OK);
	sio_message_free(message);
	sio_server_free(other);
	o.engine_only = true; /* the clients of <sio/testing.h> speak Socket.IO */
	assert_int_equal(sio_test_server_new(&o, &other), SIO_ERR_INVAL);
	assert_null(other);
}

/* Two of different kinds on one loop, with one application. */
static void test_two_servers(void **state)
{
	struct sio_server_options o = { .engine_only = true, .path = "/two/" };
	struct sio_server *one;
	uint16_t first;
	int fd;

	(void)state;
	start(NULL);
	listen_to_sessions();
	one = server;
	first = port;
	o.loop = &loop;
	assert_int_equal(sio_server_new(&o, &server), SIO_OK);
	assert_int_equal(sio_server_listen(server, "127.0.0.1", 0), SIO_OK);
	listen_to_sessions();
	sio_on_handshake(server, refuse, (void *)(uintptr_t)"not here");
	port = sio_server_port(server);
	fd = say_to("GET /two?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n%s", "");
	expect_answer(fd, "HTTP/1.1 403", "not here");
	expect_heard("refused polling; ");
	close(fd);
	port = first;
	fd = say_to(GET_POLLING, "");
	expect_answer(fd, "HTTP/1.1 200");
	close(fd);
	buf_clear(&heard);
	sio_server_close(server, 0);
	turn(3);
	sio_server_free(server);
	server = one;
	assert_non_null(last);
}

static void on_drain(struct sio_session *session, void *arg)
{
	unsigned *left = arg;
	char chunk[60000];

	memset(chunk, 'x', sizeof(chunk));
	if (*left > 0) {
		--*left;
		assert_int_equal(sio_session_send_binary(session, sio_bytes(chunk, sizeof(chunk))), SIO_OK);
	}
}

/* Something long, piece by piece, to a client that reads slowly: all of it arrives, and
 * never more than a piece waits. */
static void test_drain(void **state)
{
	unsigned left = 200;
	size_t got = 0, want = 200 * 60004;
	int fd;

	(void)state;
	start(NULL);
	listen_to_sessions();
	assert_int_equal(sio_engine_on_drain(server, on_drain, &left), SIO_OK);
	fd = say_to(GET_WS, "");
	buf_clear(&in);
	hear(fd);
	on_drain(last, &left);
	for (int i = 0; i < 20000 && got < want; i++) {
		buf_clear(&in);
		turn(1);
		hear(fd);
		got += in.n;
		if (last)
			assert_true(sio_session_waiting_bytes(last) <= 60004);
	}
	assert_int_equal(left, 0);
	assert_int_equal(got, want);
	close(fd);
}

/* ---- who may come in ------------------------------------------------------------------------ */

static void test_refused(void **state)
{
	static const char message[] = "no \"guests\"";
	int fd;

	(void)state;
	start(NULL);
	listen_to_sessions();
	sio_on_connection_error(server, on_error, NULL);
	sio_on_handshake(server, refuse, (void *)(uintptr_t)message);
	fd = say_to(GET_POLLING, "");
	expect_answer(fd, "HTTP/1.1 403 Forbidden", "Content-Type: application/json", "{\"code\":4,\"message\":\"no \\\"guests\\\"\"}");
	expect_heard("refused polling; error 4 no \"guests\" of GET /engine.io/; ");
	say_text(fd, "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n"); /* still good */
	expect_answer(fd, "HTTP/1.1 403 Forbidden");
	close(fd);
	buf_clear(&heard);
	fd = say_to(GET_WS, "");
	expect_answer(fd, "HTTP/1.1 400 Bad Request", "Connection: close", "Content-Type: text/html", "\r\n\r\nno \"guests\"");
	expect_heard("refused websocket; error 4 no \"guests\" of GET /engine.io/; ");
	close(fd);
	/* Steps 1 to 7 come before it, the version after. */
	fd = say_to("GET /engine.io/?EIO=4&transport=flash%s HTTP/1.1\r\nHost: x\r\n\r\n", "");
	expect_answer(fd, "\"code\":0");
	fd = (close(fd), say_to("GET /engine.io/?EIO=4&transport=websocket%s HTTP/1.1\r\nHost: x\r\n\r\n", ""));
	expect_answer(fd, "\"code\":3");
	fd = (close(fd), say_to("GET /engine.io/?EIO=4&transport=polling&sid=x%s HTTP/1.1\r\nHost: x\r\n\r\n", ""));
	expect_answer(fd, "\"code\":1");
	expect_heard("error 0 Transport unknown of GET /engine.io/; error 3 Bad request of GET /engine.io/; "
		     "error 1 Session ID unknown of GET /engine.io/; ");
	fd = (close(fd), say_to("GET /engine.io/?EIO=3&transport=polling%s HTTP/1.1\r\nHost: x\r\n\r\n", ""));
	expect_answer(fd, "\"code\":4");
	buf_clear(&heard);
	sio_on_handshake(server, wait, NULL);
	fd = (close(fd), say_to("GET /engine.io/?EIO=3&transport=polling%s HTTP/1.1\r\nHost: x\r\n\r\n", ""));
	sio_handshake_accept(take());
	expect_answer(fd, "\"code\":5");
	expect_heard("asked polling; error 5 Unsupported protocol version of GET /engine.io/; ");
	close(fd);
	/* What is no WebSocket handshake reaches nobody; nor do other methods and paths. */
	fd = say_to("GET /engine.io/?EIO=4&transport=websocket%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
		    "Upgrade: websocket\r\nSec-WebSocket-Version: 12\r\n\r\n", "");
	expect_answer(fd, "HTTP/1.1 426");
	expect_heard("error 3 This server speaks WebSocket version 13 of GET /engine.io/; ");
	close(fd);
	fd = say_to("OPTIONS /engine.io/?EIO=4&transport=polling%s HTTP/1.1\r\nHost: x\r\n\r\n", "");
	expect_answer(fd, "\"code\":2");
	fd = (close(fd), say_to("GET /other%s HTTP/1.1\r\nHost: x\r\n\r\n", ""));
	expect_answer(fd, "HTTP/1.1 404");
	expect_heard("error 2 Bad handshake method of OPTIONS /engine.io/; ");
	close(fd);
}

static void test_answered_later(void **state)
{
	char wire[300];
	size_t n;
	int fd, ws;

	(void)state;
	start(NULL);
	listen_to_sessions();
	sio_on_handshake(server, wait, NULL);
	fd = say_to(GET_POLLING, "");
	expect_heard("asked polling; ");
	buf_clear(&in);
	assert_false(hear(fd));
	assert_int_equal(in.n, 0);
	/* What it pipelines waits, too. */
	say_text(fd, "GET /other HTTP/1.1\r\nHost: x\r\n\r\n");
	sio_handshake_accept(take());
	expect_heard("open polling /engine.io/?EIO=4&transport=polling from 127.0.0.1; ");
	expect_answer(fd, "HTTP/1.1 200 OK", "HTTP/1.1 404");
	close(fd);
	/* A WebSocket that sends its first frames at once, and more while it waits. */
	ws = dial();
	n = (size_t)snprintf(wire, sizeof(wire), GET_WS, "");
	n += frame(wire + n, 1, "4one");
	say(ws, wire, n);
	expect_heard("asked websocket; ");
	say_frame(ws, "4two");
	expect_heard("");
	buf_clear(&in);
	assert_false(hear(ws));
	assert_int_equal(in.n, 0);
	sio_handshake_accept(take());
	expect_heard("open websocket /engine.io/?EIO=4&transport=websocket from 127.0.0.1; ");
	expect_answer(ws, "HTTP/1.1 101", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "\"pingInterval\"");
	expect_heard("one by no request; two by no request; ");
	say_frame(ws, "4three");
	expect_heard("three by no request; ");
	close(ws);
	turn(3);
	expect_heard("close transport close; ");
	/* And no. */
	fd = say_to(GET_POLLING, "");
	sio_handshake_refuse(take(), SIO_LIT("no"));
	expect_answer(fd, "HTTP/1.1 403", "{\"code\":4,\"message\":\"no\"}");
	ws = (close(fd), say_to(GET_WS, ""));
	say_frame(ws, "4x");
	sio_handshake_refuse(take(), sio_str(NULL));
	expect_answer(ws, "HTTP/1.1 400", "\r\n\r\nForbidden", "-101");
	expect_heard("asked polling; asked websocket; ");
	close(ws);
}

static void test_client_gone_while_it_waits(void **state)
{
	static const char *const requests[] = { GET_POLLING, GET_WS };
	struct sio_stats stats;

	(void)state;
	start(NULL);
	listen_to_sessions();
	sio_on_handshake(server, wait, NULL);
	for (int half = 0; half < 2; half++) {
		for (int i = 0; i < 2; i++) {
			int fd = say_to(requests[i], "&user=anna");
			struct sio_handshake *hs = take();
			char user[10];
			sio_slice address;
			if (half) /* it has sent its last byte: nobody can use the session */
				shutdown(fd, SHUT_WR);
			else
				close(fd);
			turn(5);
			assert_false(sio_handshake_is_open(hs));
			/* What it said is still there to be read. */
			assert_int_equal(sio_request_query_get(sio_handshake_request(hs), "user", user, sizeof(user)), 4);
			address = sio_request_address(sio_handshake_request(hs));
			assert_true(sio_slice_eq(address, SIO_LIT("127.0.0.1")));
			if (i)
				sio_handshake_accept(hs);
			else
				sio_handshake_refuse(hs, SIO_LIT("no"));
			turn(3);
			if (half)
				close(fd);
		}
	}
	expect_heard("asked polling; asked websocket; asked polling; asked websocket; ");
	sio_server_stats(server, &stats);
	assert_int_equal(stats.connections_total, 0);
	assert_int_equal(stats.http_connections, 0);
}

static void test_answered_too_late(void **state)
{
	struct sio_server_options o = { .engine_only = true, .handshake_timeout_ms = 400 };
	static const char *const requests[] = { GET_POLLING, GET_WS };
	struct sio_stats stats;

	(void)state;
	start(&o);
	listen_to_sessions();
	sio_on_connection_error(server, on_error, NULL);
	sio_on_handshake(server, wait, NULL);
	for (int i = 0; i < 2; i++) {
		int fd = say_to(requests[i], "&user=anna");
		struct sio_handshake *hs = take();
		char user[10];
		turn(20);
		assert_true(sio_handshake_is_open(hs));
		buf_clear(&heard);
		turn(700);
		expect_heard("error 3 The application has not decided in time of GET /engine.io/; ");
		assert_false(sio_handshake_is_open(hs));
		expect_answer(fd, "HTTP/1.1 503", "Retry-After: 5", "Connection: close");
		assert_true(hear(fd));
		close(fd);
		turn(3);
		assert_int_equal(sio_request_query_get(sio_handshake_request(hs), "user", user, sizeof(user)), 4);
		sio_handshake_accept(hs);
	}
	sio_server_stats(server, &stats);
	assert_int_equal(stats.connections_total, 0);
	assert_int_equal(stats.http_refused_total, 2);
}

static void test_server_closes_while_they_wait(void **state)
{
	struct sio_handshake *polling, *websocket;
	int fd, ws;

	(void)state;
	start(NULL);
	listen_to_sessions();
	sio_on_connection_error(server, on_error, NULL);
	sio_on_handshake(server, wait, NULL);
	fd = say_to(GET_POLLING, "");
	polling = take();
	ws = say_to(GET_WS, "");
	websocket = take();
	buf_clear(&heard);
	sio_server_close(server, 1000);
	turn(3);
	sio_handshake_accept(polling); /* while others are drained: too late */
	expect_answer(fd, "HTTP/1.1 503");
	expect_heard("error 3 The server has reached its limit of connections of GET /engine.io/; ");
	assert_true(sio_handshake_is_open(websocket));
	sio_server_close(server, 0);
	turn(30);
	assert_false(sio_handshake_is_open(websocket));
	sio_server_free(server);
	server = NULL;
	assert_int_equal(uv_loop_close(&loop), 0);
	sio_handshake_refuse(websocket, SIO_LIT("after the server")); /* only frees it */
	close(fd);
	close(ws);
}

/* Who waits is counted as if it were in. */
static void test_those_who_wait_are_counted(void **state)
{
	struct sio_server_options o = { .engine_only = true, .max_connections = 2 };
	struct sio_handshake *first;
	int a, b, d;

	(void)state;
	start(&o);
	listen_to_sessions();
	sio_on_handshake(server, wait, NULL);
	a = say_to(GET_POLLING, "");
	first = take();
	b = say_to(GET_WS, "");
	d = say_to(GET_POLLING, "");
	expect_answer(d, "HTTP/1.1 503", "Retry-After: 5");
	sio_handshake_refuse(first, SIO_LIT("no"));
	sio_handshake_accept(take());
	d = (close(d), say_to(GET_POLLING, ""));
	sio_handshake_accept(take());
	expect_answer(d, "HTTP/1.1 200");
	d = (close(d), say_to(GET_POLLING, ""));
	expect_answer(d, "HTTP/1.1 503");
	assert_null(waiting);
	close(a);
	close(b);
	close(d);
}

static char *open_session(int *fd)
{
	static char with_sid[40];

	*fd = say_to(GET_POLLING, "");
	snprintf(with_sid, sizeof(with_sid), "&sid=%.20s", sio_session_id(last).p);
	expect_answer(*fd, "HTTP/1.1 200");
	buf_clear(&heard);
	return with_sid;
}

static void test_upgrade_requests(void **state)
{
	int fd, ws;
	char *sid;

	(void)state;
	start(NULL);
	listen_to_sessions();
	sio_on_handshake(server, wait, NULL); /* not asked about these */
	fd = say_to(GET_POLLING, "");
	sio_handshake_accept(take());
	turn(2);
	close(fd);
	sio_on_handshake(server, NULL, NULL);
	sio_on_upgrade_request(server, refuse, (void *)(uintptr_t)"stay there");
	sid = open_session(&fd);
	ws = say_to(GET_WS, sid);
	expect_answer(ws, "HTTP/1.1 400", "\r\n\r\nstay there");
	expect_heard("refused upgrade; ");
	assert_string_equal(sio_session_transport(last), "polling");
	/* One that is let in later. */
	sio_on_upgrade_request(server, wait, NULL);
	ws = (close(ws), say_to(GET_WS, sid));
	say_frame(ws, "2probe");
	expect_heard("asked upgrade; ");
	sio_handshake_accept(take());
	expect_answer(ws, "HTTP/1.1 101", "3probe");
	say_frame(ws, "5");
	assert_string_equal(sio_session_transport(last), "websocket");
	say_frame(ws, "4x");
	expect_heard("x by no request; ");
	close(ws);
	close(fd);
	turn(3);
	/* One whose session ends while it waits: its sid is unknown. */
	sid = open_session(&fd);
	ws = say_to(GET_WS, sid);
	assert_int_equal(sio_session_discard(last), SIO_OK);
	turn(2);
	sio_handshake_accept(take());
	expect_answer(ws, "HTTP/1.1 400", "\r\n\r\nSession ID unknown");
	close(ws);
	close(fd);
}

static void accept_inside(struct sio_session *session, sio_slice data, bool is_binary, void *arg)
{
	const struct sio_request *req = sio_session_request(session);
	sio_slice url;

	(void)data, (void)is_binary, (void)arg;
	sio_handshake_accept(take());
	url = sio_request_url(req);
	buf_printf(&heard, "still %.*s; ", (int)(url.n - 20), url.p);
}

/* The handler of one session lets another in: each sees its own request. */
static void test_accepted_inside_of_a_handler(void **state)
{
	char text[300];
	char *sid;
	int fd, other, post;

	(void)state;
	start(NULL);
	listen_to_sessions();
	assert_int_equal(sio_engine_on_message(server, accept_inside, NULL), SIO_OK);
	sid = open_session(&fd);
	sio_on_handshake(server, wait, NULL);
	other = say_to(GET_POLLING, "&other=1");
	snprintf(text, sizeof(text), "POST /engine.io/?EIO=4&transport=polling%s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n4a", sid);
	post = dial();
	say_text(post, text);
	expect_heard("asked polling; open polling /engine.io/?EIO=4&transport=polling&other=1 from 127.0.0.1; "
		     "still /engine.io/?EIO=4&transport=polling&sid=; ");
	expect_answer(other, "HTTP/1.1 200");
	close(fd);
	close(other);
	close(post);
}

/* ---- hooks that close things -------------------------------------------------------------------- */

static void accept_and_close_server(struct sio_handshake *hs, void *arg)
{
	struct sio_server *s = sio_handshake_server(hs);

	(void)arg;
	sio_server_close(s, 0);
	sio_handshake_accept(hs);
}

static void wait_and_close_server(struct sio_handshake *hs, void *arg)
{
	wait(hs, arg);
	sio_server_close(sio_handshake_server(hs), 0);
}

static void headers_close_server(struct sio_headers *headers, const struct sio_request *req, void *arg)
{
	(void)headers, (void)req, (void)arg;
	sio_server_close(server, 0);
}

static void error_closes_server(const struct sio_connection_error *error, void *arg)
{
	(void)error, (void)arg;
	sio_server_close(server, 0);
}

static void open_closes_server(struct sio_session *session, void *arg)
{
	(void)arg;
	sio_server_close(server, 0);
	assert_int_equal(sio_session_send_text(session, SIO_LIT("x")), SIO_ERR_CLOSED);
	assert_null(sio_session_request(session));
}

static void test_hooks_that_close_the_server(void **state)
{
	static const char *const requests[] = {
		GET_POLLING, GET_WS, "POST /engine.io/?EIO=9%s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
		GET_WS, /* of a session */
	};

	for (int hook = 0; hook < 7; hook++) {
		for (int i = 0; i < 4; i++) {
			const char *sid = "";
			int fd, first = -1;
			start(NULL);
			listen_to_sessions();
			if (i == 3)
				sid = open_session(&first);
			if (hook == 0)
				sio_on_handshake(server, accept_and_close_server, NULL);
			else if (hook == 1)
				sio_on_handshake(server, wait_and_close_server, NULL);
			else if (hook == 2)
				sio_on_headers(server, headers_close_server, NULL);
			else if (hook == 3)
				sio_on_initial_headers(server, headers_close_server, NULL);
			else if (hook == 4)
				sio_on_connection_error(server, error_closes_server, NULL);
			else if (hook == 5)
				assert_int_equal(sio_engine_on_open(server, open_closes_server, NULL), SIO_OK);
			else
				sio_on_upgrade_request(server, i % 2 ? accept_and_close_server : wait_and_close_server, NULL);
			fd = say_to(requests[i], sid);
			turn(5);
			if (waiting)
				sio_handshake_accept(take());
			hear(fd);
			close(fd);
			if (first >= 0)
				close(first);
			stop(state);
		}
	}
	start(NULL);
}

static void headers_discard(struct sio_headers *headers, const struct sio_request *req, void *arg)
{
	(void)headers, (void)req, (void)arg;
	if (last)
		sio_session_discard(last);
}

/* The session ends that is answered, or that moves to a WebSocket right now. */
static void test_hooks_that_close_the_session(void **state)
{
	char text[300];
	char *sid;
	int fd, other;

	(void)state;
	start(NULL);
	listen_to_sessions();
	sio_on_headers(server, headers_discard, NULL);
	fd = say_to(GET_POLLING, "");
	expect_answer(fd, "HTTP/1.1 200", "0{\"sid\"");
	expect_heard("open polling /engine.io/?EIO=4&transport=polling from 127.0.0.1; close forced close; ");
	close(fd);
	for (int i = 0; i < 3; i++) {
		sio_on_headers(server, NULL, NULL);
		sid = open_session(&fd);
		sio_on_headers(server, headers_discard, NULL);
		if (i == 0) { /* a WebSocket that is being let in */
			other = say_to(GET_WS, sid);
			expect_answer(other, "HTTP/1.1 101", "\x88");
		} else if (i == 1) { /* a POST */
			snprintf(text, sizeof(text),
				 "POST /engine.io/?EIO=4&transport=polling%s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n4a", sid);
			other = dial();
			say_text(other, text);
			expect_answer(other, "\r\n\r\nok");
		} else { /* a refusal that has nothing to do with it */
			other = say_to("GET /engine.io/%s HTTP/1.1\r\nHost: x\r\n\r\n", "");
			expect_answer(other, "\"code\":0");
		}
		assert_null(last);
		close(other);
		close(fd);
		turn(3);
	}
}

/* ---- headers and the cookie ------------------------------------------------------------------------- */

static void add_initial(struct sio_headers *headers, const struct sio_request *req, void *arg)
{
	(void)req, (void)arg;
	assert_int_equal(sio_headers_add(headers, SIO_LIT("Set-Cookie"), SIO_LIT("a=1")), SIO_OK);
	assert_int_equal(sio_headers_add(headers, SIO_LIT("Set-Cookie"), SIO_LIT("b=2")), SIO_OK);
	assert_int_equal(sio_headers_add(headers, SIO_LIT("X-Evil"), SIO_LIT("1\r\nX-More: 2")), SIO_ERR_INVAL);
	assert_int_equal(sio_headers_add(headers, SIO_LIT("Content-Length"), SIO_LIT("0")), SIO_ERR_INVAL);
}

static void add_always(struct sio_headers *headers, const struct sio_request *req, void *arg)
{
	(void)arg;
	assert_int_equal(sio_headers_add(headers, SIO_LIT("X-Method"), sio_request_method(req)), SIO_OK);
}

static void test_headers(void **state)
{
	static const char *const anywhere[] = { "http://a.example", NULL };
	static const struct sio_cookie cookie = { .name = "io" };
	struct sio_server_options o = { .engine_only = true, .origins = anywhere, .cookie = &cookie };
	char text[300], want[100];
	char *sid;
	int fd, other;

	(void)state;
	start(&o);
	listen_to_sessions();
	sio_on_initial_headers(server, add_initial, NULL);
	sio_on_headers(server, add_always, NULL);
	fd = say_to(GET_POLLING, "");
	snprintf(want, sizeof(want), "Set-Cookie: io=%.20s; Path=/; HttpOnly; SameSite=Lax\r\n", sio_session_id(last).p);
	expect_answer(fd, "HTTP/1.1 200", "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n", "X-Method: GET\r\n", want, "-Evil", "-X-More");
	assert_int_equal(count("Content-Length"), 1);
	close(fd);
	/* Once a session. */
	sid = open_session(&fd);
	snprintf(text, sizeof(text), "POST /engine.io/?EIO=4&transport=polling%s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n4a", sid);
	other = dial();
	say_text(other, text);
	expect_answer(other, "HTTP/1.1 200", "X-Method: POST\r\n", "-Set-Cookie");
	other = (close(other), say_to(GET_WS, sid));
	expect_answer(other, "HTTP/1.1 101", "X-Method: GET\r\n", "-Set-Cookie");
	close(other);
	/* A WebSocket handshake gets the hooks' and not the cookie. */
	other = say_to(GET_WS, "");
	expect_answer(other, "HTTP/1.1 101", "Set-Cookie: a=1\r\n", "X-Method: GET\r\n", "-io=");
	close(other);
	/* Every answer of the path, refusals of all kinds too; other paths have their own. */
	static const char *const refused[] = {
		"GET /engine.io/?EIO=5&transport=polling%s HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /engine.io/?EIO=4%s HTTP/1.1\r\nHost: x\r\nOrigin: http://b.example\r\n\r\n",
		"POST /engine.io/?EIO=4&transport=polling&sid=x%s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n4a",
		"OPTIONS /engine.io/%s HTTP/1.1\r\nHost: x\r\nOrigin: http://a.example\r\nAccess-Control-Request-Method: POST\r\n\r\n",
		"GET /engine.io/?EIO=5&transport=websocket%s HTTP/1.1\r\n" UPGRADE_LINES,
		"GET /engine.io/?EIO=4&transport=websocket%s HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
	};
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		other = say_to(refused[i], "");
		expect_answer(other, "X-Method: ", "-Set-Cookie");
		assert_int_equal(count("X-Method"), 1);
		close(other);
	}
	other = say_to("GET /other%s HTTP/1.1\r\nHost: x\r\n\r\n", "");
	expect_answer(other, "HTTP/1.1 404", "-X-Method");
	close(other);
	close(fd);
}

static struct sio_request *held;

static void on_route(struct sio_request *req, void *arg)
{
	(void)arg;
	held = req;
}

/* Answers another request, which is compressed as well. */
static void answer_held(struct sio_headers *headers, const struct sio_request *req, void *arg)
{
	char body[3000];

	(void)headers, (void)req, (void)arg;
	memset(body, 'b', sizeof(body));
	if (held)
		sio_reply(held, 200, "text/plain", sio_bytes(body, sizeof(body)));
	held = NULL;
}

/* The body of a gzipped answer in `in`, which is a poll's: one byte over and over. */
static void expect_gzip_of(char first, char byte, size_t n)
{
	const char *at = memmem(in.p, in.n, "\r\n\r\n", 4);
	char *out = malloc(n + 100);
	z_stream z = { 0 };

	assert_non_null(at);
	z.next_in = (unsigned char *)(uintptr_t)(at + 4);
	z.avail_in = (unsigned)(in.p + in.n - at - 4);
	z.next_out = (unsigned char *)out;
	z.avail_out = (unsigned)n + 100;
	assert_int_equal(inflateInit2(&z, 31), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.total_out, n + 1);
	assert_int_equal(out[0], first);
	for (size_t i = 1; i <= n; i++)
		assert_int_equal(out[i], byte);
	inflateEnd(&z);
	free(out);
}

/* What a hook answers meanwhile is compressed with the same scratch: not into this one. */
static void test_hook_that_answers_another_request(void **state)
{
	struct sio_server_options o = { .engine_only = true, .http_compression = true };
	char text[300], body[2000];
	char *sid;
	int fd, route, poll;

	(void)state;
	start(&o);
	listen_to_sessions();
	assert_int_equal(sio_http_route(server, "GET", "/held", on_route, NULL), SIO_OK);
	sid = open_session(&fd);
	route = say_to("GET /held%s HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n", "");
	assert_non_null(held);
	sio_on_headers(server, answer_held, NULL);
	memset(body, 'a', sizeof(body));
	assert_int_equal(sio_session_send_text(last, sio_bytes(body, sizeof(body))), SIO_OK);
	snprintf(text, sizeof(text), "GET /engine.io/?EIO=4&transport=polling%s HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n", sid);
	poll = dial();
	say_text(poll, text);
	expect_answer(poll, "Content-Encoding: gzip");
	expect_gzip_of('4', 'a', sizeof(body));
	expect_answer(route, "Content-Encoding: gzip");
	expect_gzip_of('b', 'b', 2999);
	close(fd);
	close(route);
	close(poll);
}

/* The same on a Socket.IO server. */
static void test_hooks_of_a_socketio_server(void **state)
{
	static const struct sio_cookie cookie = { .name = "lb", .path = "/socket.io", .max_age_s = 60 };
	struct sio_server_options o = { .cookie = &cookie };
	struct sio_stats stats;
	int fd;

	(void)state;
	start(&o);
	sio_on_initial_headers(server, add_initial, NULL);
	sio_on_handshake(server, wait, NULL);
	fd = say_to("GET /socket.io/?EIO=4&transport=polling%s HTTP/1.1\r\nHost: x\r\n\r\n", "");
	sio_handshake_accept(take());
	expect_answer(fd, "HTTP/1.1 200", "Set-Cookie: a=1\r\n", "Set-Cookie: lb=", "; Max-Age=60; Path=/socket.io; HttpOnly; SameSite=Lax\r\n");
	fd = (close(fd), say_to("GET /socket.io/?EIO=4&transport=websocket%s HTTP/1.1\r\n" UPGRADE_LINES, ""));
	sio_handshake_accept(take());
	say_frame(fd, "40");
	expect_answer(fd, "HTTP/1.1 101", "\"sid\"", "40{\"sid\"");
	fd = (close(fd), say_to("GET /socket.io/?EIO=4&transport=polling%s HTTP/1.1\r\nHost: x\r\n\r\n", ""));
	sio_handshake_refuse(take(), SIO_LIT("no"));
	expect_answer(fd, "HTTP/1.1 403", "\"no\"");
	close(fd);
	sio_server_stats(server, &stats);
	assert_int_equal(stats.http_refused_total, 1);
	buf_clear(&heard);
}

/* ---- options ------------------------------------------------------------------------------------------ */

static void test_options_that_are_refused(void **state)
{
	static const struct sio_cookie nameless = { .path = "/" }, evil = { .name = "a\r\nX" };
	static const struct {
		struct sio_server_options o;
		const char *log;
	} bad[] = {
		{ { .path = "engine.io" }, "Option out of range: path must be empty, or start with / and be printable ASCII without ? and #; " },
		{ { .path = "/a?b" }, "Option out of range: path must be empty, or start with / and be printable ASCII without ? and #; " },
		{ { .path = "/a b" }, "Option out of range: path must be empty, or start with / and be printable ASCII without ? and #; " },
		{ { .transports = 4 }, "Option out of range: transports knows SIO_TRANSPORT_POLLING and SIO_TRANSPORT_WEBSOCKET; " },
		{ { .cookie = &nameless }, "Option out of range: the cookie's name must be a token (letters, digits, !#$%&'*+-.^_`|~); " },
		{ { .cookie = &evil }, "Option out of range: the cookie's name must be a token (letters, digits, !#$%&'*+-.^_`|~); " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sio_server_options o = bad[i].o;
		o.log = on_log;
		assert_int_equal(sio_server_new(&o, &server), SIO_ERR_INVAL);
		assert_null(server);
		expect_heard(bad[i].log);
	}
}

static void test_one_transport(void **state)
{
	struct sio_server_options o = { .engine_only = true, .transports = SIO_TRANSPORT_WEBSOCKET };
	int fd;

	(void)state;
	start(&o);
	fd = say_to(GET_POLLING, "");
	expect_answer(fd, "HTTP/1.1 400", "{\"code\":0,\"message\":\"Transport unknown\"}");
	fd = (close(fd), say_to(GET_WS, ""));
	expect_answer(fd, "HTTP/1.1 101");
	close(fd);
	stop(state);
	o = (struct sio_server_options){ .engine_only = true, .transports = SIO_TRANSPORT_POLLING };
	start(&o);
	listen_to_sessions();
	fd = say_to(GET_POLLING, "");
	expect_answer(fd, "HTTP/1.1 200", "\"upgrades\":[]");
	fd = (close(fd), say_to(GET_WS, ""));
	expect_answer(fd, "HTTP/1.1 400", "\r\n\r\nTransport unknown");
	close(fd);
}

/* "/" alone is a path like any other. */
static void test_root_path(void **state)
{
	struct sio_server_options o = { .engine_only = true, .path = "/" };
	int fd;

	(void)state;
	start(&o);
	fd = say_to("GET /?EIO=4&transport=polling%s HTTP/1.1\r\nHost: x\r\n\r\n", "");
	expect_answer(fd, "HTTP/1.1 200");
	fd = (close(fd), say_to("GET //?EIO=4&transport=polling%s HTTP/1.1\r\nHost: x\r\n\r\n", ""));
	expect_answer(fd, "HTTP/1.1 404");
	fd = (close(fd), say_to("GET /x?EIO=4&transport=polling%s HTTP/1.1\r\nHost: x\r\n\r\n", ""));
	expect_answer(fd, "HTTP/1.1 404");
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_facts_of_a_session, stop),
		cmocka_unit_test_teardown(test_the_other_kind, stop),
		cmocka_unit_test_teardown(test_two_servers, stop),
		cmocka_unit_test_teardown(test_drain, stop),
		cmocka_unit_test_teardown(test_refused, stop),
		cmocka_unit_test_teardown(test_answered_later, stop),
		cmocka_unit_test_teardown(test_client_gone_while_it_waits, stop),
		cmocka_unit_test_teardown(test_answered_too_late, stop),
		cmocka_unit_test_teardown(test_server_closes_while_they_wait, stop),
		cmocka_unit_test_teardown(test_those_who_wait_are_counted, stop),
		cmocka_unit_test_teardown(test_upgrade_requests, stop),
		cmocka_unit_test_teardown(test_accepted_inside_of_a_handler, stop),
		cmocka_unit_test_teardown(test_hooks_that_close_the_server, stop),
		cmocka_unit_test_teardown(test_hooks_that_close_the_session, stop),
		cmocka_unit_test_teardown(test_headers, stop),
		cmocka_unit_test_teardown(test_hook_that_answers_another_request, stop),
		cmocka_unit_test_teardown(test_hooks_of_a_socketio_server, stop),
		cmocka_unit_test_teardown(test_options_that_are_refused, stop),
		cmocka_unit_test_teardown(test_one_transport, stop),
		cmocka_unit_test_teardown(test_root_path, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
