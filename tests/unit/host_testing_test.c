/* host_testing_test.c -- <sio/testing.h>: a whole server in memory, its time a number.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sio/http.h>
#include <sio/namespace.h>
#include <sio/room.h>
#include <sio/testing.h>
#include <sio/work.h>

#include "lib/cert.h"

static struct sio_server *server;
static struct sio_socket *last;       /* the socket that connected last */
static char ended[256];               /* reasons of disconnects, in order */

/* ---- a program under test ------------------------------------------------------------ */

static void on_connect(struct sio_connect *req, void *arg)
{
	sio_slice auth = sio_connect_auth(req);

	(void)arg;
	if (auth.n > 2 && memmem(auth.p, auth.n, "refuse", 6)) {
		sio_connect_refuse(req, SIO_LIT("not you"), SIO_LIT("{\"code\":7}"));
		return;
	}
	last = sio_connect_accept(req);
}

static void on_disconnect(struct sio_socket *socket, sio_slice reason, void *arg)
{
	size_t n = strlen(ended);

	(void)socket, (void)arg;
	snprintf(ended + n, sizeof(ended) - n, "%.*s; ", (int)reason.n, reason.p);
}

static void on_echo(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)arg;
	if (event->ack == SIO_ACK_NONE)
		sio_socket_emit(socket, SIO_LIT("echoed"), &event->args);
	else
		sio_socket_ack(socket, event->ack, &event->args);
}

static void on_join(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	sio_slice room = SIO_LIT("room");

	(void)event, (void)arg;
	assert_int_equal(sio_room_join(socket, room), SIO_OK);
}

static void on_say(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	sio_slice room = SIO_LIT("room");
	struct sio_target others = { .rooms = &room, .rooms_n = 1, .skip = socket };

	(void)arg;
	sio_broadcast(server, &others, SIO_LIT("said"), &event->args);
}

static void start(const struct sio_server_options *o)
{
	ended[0] = '\0';
	last = NULL;
	assert_int_equal(sio_test_server_new(o, &server), SIO_OK);
	sio_on_connect(server, on_connect, NULL);
	sio_on_disconnect(server, on_disconnect, NULL);
	assert_int_equal(sio_on_event(server, "echo", on_echo, NULL), SIO_OK);
	assert_int_equal(sio_on_event(server, "join", on_join, NULL), SIO_OK);
	assert_int_equal(sio_on_event(server, "say", on_say, NULL), SIO_OK);
}

static int stop(void **state)
{
	(void)state;
	sio_server_free(server);
	server = NULL;
	return 0;
}

/* ---- clients --------------------------------------------------------------------------- */

static void test_connect_emit_ack(void **state)
{
	struct sio_test_client *c;

	(void)state;
	start(NULL);
	c = sio_test_connect(server, "/", NULL);
	assert_true(sio_test_is_connected(c));
	SIO_TEST_EXPECT(c, "connected");
	assert_int_equal(sio_test_emit(c, "echo", "1,\"zwei\",{\"three\":[3]}"), SIO_OK);
	SIO_TEST_EXPECT(c, "echoed(1,\"zwei\",{\"three\":[3]})");
	assert_int_equal(sio_test_emit(c, "echo", NULL), SIO_OK);
	assert_int_equal(sio_test_ask(c, "echo", "\"a\""), 0);
	assert_int_equal(sio_test_ask(c, "echo", ""), 1);
	SIO_TEST_EXPECT(c, "echoed(); ack 0(\"a\"); ack 1()");
	SIO_TEST_EXPECT(c, "");
	assert_int_equal(sio_test_emit(c, "echo", "{]"), SIO_ERR_INVAL);
	assert_int_equal(sio_test_emit(c, "echo", "1 2"), SIO_ERR_INVAL);
	assert_int_equal(sio_test_emit(c, "disconnect", NULL), SIO_ERR_INVAL);
	assert_int_equal(sio_test_ask(c, "echo", "1,"), SIO_ERR_INVAL);
	assert_int_equal(sio_test_ack(c, 7, "}"), SIO_ERR_INVAL);
	SIO_TEST_EXPECT(c, "");
}

/* The library must not need a descriptor, or the tests of a user could not run at once. */
static unsigned descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void test_no_descriptor(void **state)
{
	unsigned before = descriptors();

	(void)state;
	start(NULL);
	for (int i = 0; i < 20; i++)
		assert_true(sio_test_is_connected(sio_test_connect(server, "/", NULL)));
	assert_int_equal(descriptors(), before);
	errno = 0;
	assert_int_equal(sio_server_listen(server, "127.0.0.1", 0), SIO_ERR_SYSTEM);
	assert_int_equal(errno, EOPNOTSUPP);
	assert_int_equal(sio_server_port(server), 0);
	errno = 0;
	assert_int_equal(sio_server_close_on_signals(server, 0), SIO_ERR_SYSTEM);
	assert_int_equal(errno, EOPNOTSUPP);
	sio_server_run(server); /* returns */
}

static void test_refused(void **state)
{
	struct sio_test_client *c, *again;
	struct sio_test_event e;

	(void)state;
	start(NULL);
	c = sio_test_connect(server, "/", "{\"please\":\"refuse\"}");
	assert_false(sio_test_is_connected(c));
	assert_int_equal(sio_test_emit(c, "echo", NULL), SIO_ERR_CLOSED);
	assert_true(sio_test_next(c, &e));
	assert_int_equal(e.kind, SIO_TEST_REFUSED);
	assert_true(sio_slice_eq(e.args.json, SIO_LIT("{\"message\":\"not you\",\"data\":{\"code\":7}}")));
	assert_false(sio_test_next(c, &e));
	assert_null(sio_test_connect_also(c, "/", "{\"a\":"));
	assert_null(sio_test_connect(server, "no slash", NULL));
	assert_null(sio_test_connect(server, "/", "[1"));
	again = sio_test_connect_also(c, "/", NULL);
	SIO_TEST_EXPECT(again, "connected");
	c = sio_test_connect(server, "/nowhere", NULL);
	SIO_TEST_EXPECT(c, "refused({\"message\":\"Invalid namespace\"})");
}

static void test_rooms_and_order(void **state)
{
	struct sio_test_client *anna, *ben, *carl;

	(void)state;
	start(NULL);
	anna = sio_test_connect(server, "/", NULL);
	ben = sio_test_connect(server, "/", NULL);
	carl = sio_test_connect(server, "/", NULL);
	sio_test_emit(anna, "join", NULL);
	sio_test_emit(ben, "join", NULL);
	sio_test_emit(anna, "say", "1");
	sio_test_emit(carl, "say", "2");
	sio_test_emit(ben, "say", "3");
	SIO_TEST_EXPECT(anna, "connected; said(2); said(3)");
	SIO_TEST_EXPECT(ben, "connected; said(1); said(2)");
	SIO_TEST_EXPECT(carl, "connected");
}

static void test_namespaces_on_one_connection(void **state)
{
	struct sio_test_client *c, *chat;
	struct sio_namespace *nsp;
	struct sio_stats stats;

	(void)state;
	start(NULL);
	nsp = sio_namespace_open(server, SIO_LIT("/chat"));
	assert_int_equal(sio_namespace_on_event(nsp, "echo", on_echo, NULL), SIO_OK);
	c = sio_test_connect(server, "/", NULL);
	chat = sio_test_connect_also(c, "/chat", NULL);
	sio_server_stats(server, &stats);
	assert_int_equal(stats.connections, 1);
	assert_int_equal(stats.sockets, 2);
	sio_test_emit(chat, "echo", "1");
	SIO_TEST_EXPECT(chat, "connected; echoed(1)");
	SIO_TEST_EXPECT(c, "connected");
	sio_test_end(chat, SIO_TEST_LEAVE); /* the connection stays for the other */
	SIO_TEST_EXPECT(c, "");
	assert_int_equal(sio_test_ask(c, "echo", NULL), 0);
	SIO_TEST_EXPECT(c, "ack 0()");
	assert_int_equal(sio_test_emit(chat, "echo", NULL), SIO_ERR_CLOSED);
	sio_socket_disconnect(last, true); /* the server's own: all of them */
	SIO_TEST_EXPECT(c, "disconnected; closed");
}

static void test_attachments(void **state)
{
	sio_slice bytes[2] = { { "\0\1\2", 3 }, { "", 0 } };
	struct sio_args args = { SIO_LIT("{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}"), bytes, 2 };
	struct sio_test_client *c;
	struct sio_test_event e;

	(void)state;
	start(NULL);
	c = sio_test_connect(server, "/", NULL);
	assert_true(sio_test_next(c, &e));
	assert_int_equal(sio_test_send(c, SIO_LIT("echo"), &args, true), 0);
	assert_true(sio_test_next(c, &e));
	assert_int_equal(e.kind, SIO_TEST_ACK);
	assert_int_equal(e.ack, 0);
	assert_int_equal(e.args.attachments_n, 2);
	assert_true(sio_slice_eq(e.args.attachments[0], bytes[0]));
	assert_int_equal(e.args.attachments[1].n, 0);
	assert_int_equal(sio_test_send(c, SIO_LIT("echo"), &args, false), 0);
	SIO_TEST_EXPECT(c, "echoed({\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}) +3 bytes +0 bytes");
	args.attachments_n = 1; /* there is no second one */
	assert_int_equal(sio_test_send(c, SIO_LIT("echo"), &args, false), SIO_ERR_INVAL);
	args.json = SIO_LIT("1");
	args.attachments_n = SIO_ATTACHMENTS_MAX + 1;
	assert_int_equal(sio_test_send(c, SIO_LIT("echo"), &args, false), SIO_ERR_INVAL);
	SIO_TEST_EXPECT(c, "");
}

static int answered_status;
static char answered[64];

static void on_answer(struct sio_socket *socket, int status, const struct sio_args *args, void *arg)
{
	(void)socket, (void)arg;
	answered_status = status;
	snprintf(answered, sizeof(answered), "%.*s", (int)args->json.n, args->json.n ? args->json.p : "");
}

static void test_the_server_asks(void **state)
{
	struct sio_args args = sio_args_json(SIO_LIT("\"how many?\""));
	struct sio_test_client *c;
	struct sio_test_event e;

	(void)state;
	start(NULL);
	answered_status = 1;
	c = sio_test_connect(server, "/", NULL);
	SIO_TEST_EXPECT(c, "connected");
	assert_int_equal(sio_socket_ask(last, SIO_LIT("question"), &args, 1000, on_answer, NULL), SIO_OK);
	assert_true(sio_test_next(c, &e));
	assert_int_equal(e.kind, SIO_TEST_EVENT);
	assert_true(sio_slice_eq(e.name, SIO_LIT("question")));
	assert_int_equal(sio_test_ack(c, e.ack, "42"), SIO_OK);
	assert_int_equal(answered_status, SIO_OK);
	assert_string_equal(answered, "42");
	assert_int_equal(sio_test_ack(c, SIO_ACK_NONE, "42"), SIO_ERR_INVAL);
	/* One that nobody answers. */
	assert_int_equal(sio_socket_ask(last, SIO_LIT("question"), &args, 1000, on_answer, NULL), SIO_OK);
	SIO_TEST_EXPECT(c, "question(\"how many?\") wants ack 1");
	sio_test_run(server, 999);
	assert_int_equal(answered_status, SIO_OK);
	sio_test_run(server, 1 + 32);
	assert_int_equal(answered_status, SIO_ERR_TIMEOUT);
}

static void test_what_a_client_cannot_read(void **state)
{
	struct sio_args bad = sio_args_json(SIO_LIT("{oops"));
	struct sio_test_client *c;

	(void)state;
	start(NULL);
	c = sio_test_connect(server, "/", NULL);
	sio_socket_emit(last, SIO_LIT("news"), &bad);
	SIO_TEST_EXPECT(c, "connected; broken(2[\"news\",{oops]); closed 1002");
	assert_string_equal(ended, "transport close; ");
}

/* The name of an event is whatever JSON can say. */
static void test_names(void **state)
{
	struct sio_test_client *c;
	struct sio_args none = { 0 };

	(void)state;
	start(NULL);
	c = sio_test_connect(server, NULL, NULL);
	sio_socket_emit(last, SIO_LIT("a \"b\"\n\xc3\xa4"), &none);
	SIO_TEST_EXPECT(c, "connected; a \"b\"\n\xc3\xa4()");
	assert_int_equal(sio_test_emit(c, "no \"one\" hears", NULL), SIO_OK);
	SIO_TEST_EXPECT(c, "");
}

/* ---- how clients go ---------------------------------------------------------------------- */

static void test_endings(void **state)
{
	static const struct {
		enum sio_test_ending how;
		const char *reason, *heard;
	} rows[] = {
		{ SIO_TEST_LEAVE, "client namespace disconnect; ", "connected; closed" },
		{ SIO_TEST_CLOSE, "transport close; ", "connected; closed 1001" },
		{ SIO_TEST_CUT, "transport close; ", "connected; closed" },
		{ SIO_TEST_SILENT, "ping timeout; ", "connected; closed" },
		{ SIO_TEST_BABBLE, "parse error; ", "connected; closed" },
	};
	struct sio_test_client *c, *other;
	struct sio_stats stats;

	(void)state;
	start(NULL);
	other = sio_test_connect(server, "/", NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ended[0] = '\0';
		c = sio_test_connect(server, "/", NULL);
		sio_test_end(c, rows[i].how);
		if (rows[i].how == SIO_TEST_SILENT) {
			assert_string_equal(ended, "");
			sio_test_run(server, 25000 + 20000 + 64);
		}
		assert_string_equal(ended, rows[i].reason);
		SIO_TEST_EXPECT(c, rows[i].heard);
		assert_false(sio_test_is_connected(c));
		assert_int_equal(sio_test_emit(c, "echo", NULL), SIO_ERR_CLOSED);
		sio_test_end(c, rows[i].how); /* twice is nothing */
		assert_null(sio_test_connect_also(c, "/", NULL));
		sio_server_stats(server, &stats);
		assert_int_equal(stats.connections, 1);
	}
	assert_true(sio_test_is_connected(other));
}

/* A day of heartbeats, in no time. */
static void test_a_day(void **state)
{
	struct sio_test_client *c;
	uint64_t begun;

	(void)state;
	start(NULL);
	c = sio_test_connect(server, "/", NULL);
	begun = sio_server_now_ms(server);
	sio_test_run(server, 24 * 3600 * 1000);
	assert_int_equal(sio_server_now_ms(server) - begun, 24 * 3600 * 1000);
	assert_true(sio_test_is_connected(c));
	SIO_TEST_EXPECT(c, "connected");
}

/* ---- slow readers ------------------------------------------------------------------------ */

static void test_lag(void **state)
{
	struct sio_server_options o = { .send_queue_bytes = 2000 };
	struct sio_target all = { 0 }, fresh = { .is_volatile = true, .latest_key = 9 };
	struct sio_test_client *slow, *quick;
	struct sio_args args;
	struct sio_stats stats;
	char json[16];

	(void)state;
	start(&o);
	slow = sio_test_connect(server, "/", NULL);
	quick = sio_test_connect(server, "/", NULL);
	SIO_TEST_EXPECT(slow, "connected");
	SIO_TEST_EXPECT(quick, "connected");
	sio_test_lag(slow, 10);
	for (int i = 0; i < 5; i++) {
		snprintf(json, sizeof(json), "%d", i);
		args = sio_args_json(sio_str(json));
		assert_int_equal(sio_broadcast(server, i == 0 ? &all : &fresh, SIO_LIT("at"), &args), 2);
		sio_test_run(server, 0);
	}
	SIO_TEST_EXPECT(quick, "at(0); at(1); at(2); at(3); at(4)");
	SIO_TEST_EXPECT(slow, "");
	sio_test_lag(slow, SIZE_MAX);
	SIO_TEST_EXPECT(slow, "at(0); at(4)"); /* the newest of its key survives */
	sio_test_lag(slow, 0);
	for (int i = 0; i < 400 && sio_test_is_connected(slow); i++) {
		sio_broadcast(server, &all, SIO_LIT("at"), &args);
		sio_test_run(server, 0);
		sio_test_heard(slow);
	}
	assert_string_equal(ended, "transport close; ");
	sio_server_stats(server, &stats);
	assert_int_equal(stats.slow_disconnects_total, 1);
	assert_true(sio_test_is_connected(quick));
}

/* ---- time, posts, work --------------------------------------------------------------------- */

static char order[128];

#define LETTER(c) ((void *)(uintptr_t)(c))

static void note(void *letter)
{
	order[strlen(order) + 1] = '\0';
	order[strlen(order)] = (char)(uintptr_t)letter;
}

static struct sio_timer timer;

static void on_timer(struct sio_timer *t)
{
	note(LETTER('t'));
	if (strlen(order) < 5)
		sio_timer_start(server, t, 1000, on_timer);
}

static void test_timers(void **state)
{
	(void)state;
	start(NULL);
	order[0] = '\0';
	sio_timer_start(server, &timer, 1000, on_timer);
	sio_test_run(server, 999);
	assert_string_equal(order, "");
	sio_test_run(server, 33);
	assert_string_equal(order, "t");
	sio_test_run(server, 10000);
	assert_string_equal(order, "ttttt");
	sio_timer_start(server, &timer, 50, on_timer);
	sio_timer_stop(&timer);
	sio_test_run(server, 1000);
	assert_string_equal(order, "ttttt");
}

static void *post_from_outside(void *arg)
{
	(void)arg;
	assert_int_equal(sio_server_post(server, note, LETTER('p')), SIO_OK);
	return NULL;
}

static void test_posts_and_work(void **state)
{
	pthread_t thread;

	(void)state;
	start(NULL);
	order[0] = '\0';
	assert_int_equal(sio_server_post(server, note, LETTER('1')), SIO_OK);
	assert_int_equal(sio_server_post(server, note, LETTER('2')), SIO_OK);
	assert_int_equal(sio_server_work(server, note, note, LETTER('w')), SIO_OK);
	assert_int_equal(sio_server_work(server, note, note, LETTER('x')), SIO_OK);
	assert_string_equal(order, "");
	sio_test_run(server, 0);
	assert_string_equal(order, "12wwxx");
	assert_int_equal(pthread_create(&thread, NULL, post_from_outside, NULL), 0);
	pthread_join(thread, NULL);
	assert_string_equal(order, "12wwxx");
	sio_test_run(server, 0);
	assert_string_equal(order, "12wwxxp");
	/* What nobody has run yet is run at the end. */
	assert_int_equal(sio_server_post(server, note, LETTER('l')), SIO_OK);
	assert_int_equal(sio_server_work(server, note, note, LETTER('m')), SIO_OK);
	sio_server_close(server, 0);
	sio_test_run(server, 0);
	assert_string_equal(order, "12wwxxplmm");
	assert_int_equal(sio_server_post(server, note, LETTER('n')), SIO_ERR_CLOSED);
	assert_int_equal(sio_server_work(server, note, note, LETTER('n')), SIO_ERR_CLOSED);
}

static void post_again(void *arg)
{
	++*(unsigned *)arg;
	(void)!sio_server_post(server, post_again, arg);
}

/* Who has always something to do for himself does not hang the test. */
static void test_a_post_for_ever(void **state)
{
	unsigned n = 0;

	(void)state;
	start(NULL);
	assert_int_equal(sio_server_post(server, post_again, &n), SIO_OK);
	sio_test_run(server, 0);
	assert_true(n >= 1000);
	_exit(0); /* such a server never ends */
}

static void test_a_post_for_ever_in_a_process(void **state)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0)
		test_a_post_for_ever(state);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- calls from inside a handler ---------------------------------------------------------- */

static struct sio_test_client *inner;

static void on_nest(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)socket, (void)event;
	note(LETTER('('));
	sio_test_emit(arg, "nested", NULL);
	inner = sio_test_connect(server, "/", NULL);
	sio_test_run(server, 1000);
	note(LETTER(')'));
}

static void on_nested(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)socket, (void)event, (void)arg;
	note(LETTER('n'));
}

static void test_from_inside_a_handler(void **state)
{
	struct sio_test_client *c;
	uint64_t begun;

	(void)state;
	start(NULL);
	order[0] = '\0';
	begun = sio_server_now_ms(server);
	c = sio_test_connect(server, "/", NULL);
	assert_int_equal(sio_on_event(server, "nest", on_nest, c), SIO_OK);
	assert_int_equal(sio_on_event(server, "nested", on_nested, NULL), SIO_OK);
	sio_test_emit(c, "nest", NULL);
	assert_string_equal(order, "()n");
	assert_true(sio_test_is_connected(inner));
	assert_int_equal(sio_server_now_ms(server), begun);
}

/* ---- handshakes ----------------------------------------------------------------------------- */

static void on_look(struct sio_connect *req, void *arg)
{
	struct sio_args args;
	char json[256];
	sio_slice url = sio_connect_url(req), cookie = sio_connect_header(req, "cookie"), from = sio_connect_address(req);

	(void)arg;
	snprintf(json, sizeof(json), "\"%.*s\",\"%.*s\",\"%.*s\"", (int)url.n, url.p, (int)cookie.n, cookie.p, (int)from.n,
		 from.p);
	args = sio_args_json(sio_str(json));
	sio_socket_emit(sio_connect_accept(req), SIO_LIT("look"), &args);
}

static void test_handshake(void **state)
{
	static const char *const origins[] = { "https://app.example", NULL };
	struct sio_server_options o = { .path = "/live", .origins = origins, .max_connections = 2 };
	struct sio_test_handshake mine = { .query = "v=2", .headers = "Cookie: a=b\r\n", .address = "198.51.100.7" };
	struct sio_test_handshake good = { .headers = "Origin: https://app.example\r\n" };
	struct sio_test_handshake evil = { .headers = "Origin: https://evil.example\r\n" };
	struct sio_test_client *c;

	(void)state;
	start(&o);
	sio_on_connect(server, on_look, NULL);
	c = sio_test_connect_as(server, "/", NULL, &mine);
	SIO_TEST_EXPECT(c, "connected; look(\"/live/?EIO=4&transport=websocket&v=2\",\"a=b\",\"198.51.100.7\")");
	assert_true(sio_test_is_connected(sio_test_connect_as(server, "/", NULL, &good)));
	c = sio_test_connect_as(server, "/", NULL, &evil);
	SIO_TEST_EXPECT(c, "closed 403");
	c = sio_test_connect(server, "/", NULL); /* the third */
	SIO_TEST_EXPECT(c, "closed 503");
}

/* ---- routes ---------------------------------------------------------------------------------- */

static struct sio_request *kept;
static char seen[64];

static void on_order(struct sio_request *req, void *arg)
{
	sio_slice id = sio_request_param(req, "id"), body = sio_request_body(req);
	char text[128];
	int n = snprintf(text, sizeof(text), "%.*s:%.*s", (int)id.n, id.p, (int)body.n, body.n ? body.p : "");

	(void)arg;
	assert_int_equal(sio_reply_header(req, SIO_LIT("X-Count"), SIO_LIT("1")), SIO_OK);
	sio_reply(req, 201, "text/plain", sio_bytes(text, (size_t)n));
}

static void on_later(struct sio_request *req, void *arg)
{
	(void)arg;
	kept = req;
}

static void answer_later(struct sio_timer *t)
{
	sio_slice address = sio_request_address(kept);

	(void)t;
	snprintf(seen, sizeof(seen), "%.*s", (int)address.n, address.p);
	sio_reply(kept, 200, "text/plain", SIO_LIT("late"));
}

static void test_requests(void **state)
{
	struct sio_test_request *req;
	sio_slice none = { 0 };

	(void)state;
	start(NULL);
	assert_int_equal(sio_http_route(server, "POST", "/orders/:id", on_order, NULL), SIO_OK);
	assert_int_equal(sio_http_route(server, "GET", "/later", on_later, NULL), SIO_OK);
	req = sio_test_request(server, "POST", "/orders/a%20b", "Content-Type: text/plain\r\n", SIO_LIT("two eggs"));
	assert_int_equal(sio_test_request_status(req), 201);
	assert_true(sio_slice_eq(sio_test_request_header(req, "x-count"), SIO_LIT("1")));
	assert_true(sio_slice_eq(sio_test_request_header(req, "CONTENT-TYPE"), SIO_LIT("text/plain")));
	assert_int_equal(sio_test_request_header(req, "x-other").n, 0);
	assert_true(sio_slice_eq(sio_test_request_body(req), SIO_LIT("a b:two eggs")));
	assert_int_equal(sio_test_request_status(sio_test_request(server, "GET", "/orders/1", NULL, none)), 405);
	assert_int_equal(sio_test_request_status(sio_test_request(server, "GET", "/nothing", NULL, none)), 404);
	req = sio_test_request(server, "HEAD", "/later", NULL, none);
	sio_timer_start(server, &timer, 500, answer_later);
	assert_int_equal(sio_test_request_status(req), 0);
	assert_int_equal(sio_test_request_body(req).n, 0);
	sio_test_run(server, 532);
	assert_int_equal(sio_test_request_status(req), 200);
	assert_int_equal(sio_test_request_body(req).n, 0);
	assert_true(sio_slice_eq(sio_test_request_header(req, "content-length"), SIO_LIT("4")));
	/* One that does not wait, and one that waits in vain. */
	req = sio_test_request(server, "GET", "/later", NULL, none);
	sio_timer_start(server, &timer, 500, answer_later);
	sio_test_request_drop(req);
	seen[0] = '\0';
	sio_test_run(server, 532);
	assert_string_equal(seen, "192.0.2.1");
	assert_int_equal(sio_test_request_status(req), SIO_ERR_CLOSED);
	req = sio_test_request(server, "GET", "/later", NULL, none);
	sio_server_close(server, 100);
	sio_test_run(server, 200);
	assert_int_equal(sio_test_request_status(req), SIO_ERR_CLOSED);
	sio_reply(kept, 200, NULL, none);
	assert_null(sio_test_request(server, "GET", "/later", NULL, none));
	assert_null(sio_test_connect(server, "/", NULL));
}

static void test_expect_and_continue(void **state)
{
	struct sio_test_request *req;

	(void)state;
	start(NULL);
	assert_int_equal(sio_http_route(server, "PUT", "/orders/:id", on_order, NULL), SIO_OK);
	req = sio_test_request(server, "PUT", "/orders/1", "Expect: 100-continue\r\n", SIO_LIT("x"));
	assert_int_equal(sio_test_request_status(req), 201);
	assert_true(sio_slice_eq(sio_test_request_body(req), SIO_LIT("1:x")));
}

/* ---- the end ------------------------------------------------------------------------------------ */

static void test_close(void **state)
{
	struct sio_test_client *c;

	(void)state;
	start(NULL);
	c = sio_test_connect(server, "/", NULL);
	sio_server_close(server, 0);
	SIO_TEST_EXPECT(c, "connected; closed");
	assert_string_equal(ended, "server shutting down; ");
}

static void test_options(void **state)
{
	struct sio_server_options o = { .path = "live" };

	(void)state;
	assert_int_equal(sio_test_server_new(&o, &server), SIO_ERR_INVAL);
	assert_null(server);
	o = (struct sio_server_options){ .loop = (struct uv_loop_s *)&o };
	assert_int_equal(sio_test_server_new(&o, &server), SIO_ERR_INVAL);
	/* A server with a network knows nothing of tests. */
	assert_int_equal(sio_server_new(NULL, &server), SIO_OK);
	assert_null(sio_test_connect(server, "/", NULL));
	assert_null(sio_test_request(server, "GET", "/", NULL, SIO_LIT("")));
	sio_test_run(server, 10);
}

/* A program's options may name a certificate: it is read, and nothing is encrypted. */
static void test_certificate(void **state)
{
	char dir[] = "/tmp/skybuild-testing-XXXXXX", cert[64], key[64];
	struct sio_server_options o = { .tls_cert = cert, .tls_key = key };
	struct sio_test_client *c;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
	snprintf(key, sizeof(key), "%s/key.pem", dir);
	assert_int_equal(sio_test_server_new(&o, &server), SIO_ERR_INVAL);
	cert_write(cert, key, &(struct cert_options){ .name = "test" });
	start(&o);
	c = sio_test_connect(server, "/", NULL);
	assert_true(sio_test_is_connected(c));
	assert_int_equal(sio_test_emit(c, "echo", "1"), SIO_OK);
	SIO_TEST_EXPECT(c, "connected; echoed(1)");
	assert_int_equal(sio_server_tls_reload(server), SIO_OK);
	assert_true(sio_test_is_connected(sio_test_connect(server, "/", NULL)));
	unlink(cert);
	unlink(key);
	rmdir(dir);
}

/* Says where, and ends the program. */
static void test_expect_fails(void **state)
{
	int fds[2], status = 0;
	char text[512] = "";
	pid_t child;
	ssize_t n;

	(void)state;
	start(NULL);
	assert_int_equal(pipe(fds), 0);
	child = fork();
	if (child == 0) {
		dup2(fds[1], 2);
		signal(SIGABRT, SIG_DFL);
		sio_test_expect(sio_test_connect(server, "/", NULL), "refused", "my_test.c", 12);
		_exit(0);
	}
	close(fds[1]);
	n = read(fds[0], text, sizeof(text) - 1);
	close(fds[0]);
	assert_true(n > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_string_equal(text, "my_test.c:12: the client heard\n  connected\nand not\n  refused\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_connect_emit_ack, stop),
		cmocka_unit_test_teardown(test_no_descriptor, stop),
		cmocka_unit_test_teardown(test_refused, stop),
		cmocka_unit_test_teardown(test_rooms_and_order, stop),
		cmocka_unit_test_teardown(test_namespaces_on_one_connection, stop),
		cmocka_unit_test_teardown(test_attachments, stop),
		cmocka_unit_test_teardown(test_the_server_asks, stop),
		cmocka_unit_test_teardown(test_what_a_client_cannot_read, stop),
		cmocka_unit_test_teardown(test_names, stop),
		cmocka_unit_test_teardown(test_endings, stop),
		cmocka_unit_test_teardown(test_a_day, stop),
		cmocka_unit_test_teardown(test_lag, stop),
		cmocka_unit_test_teardown(test_timers, stop),
		cmocka_unit_test_teardown(test_posts_and_work, stop),
		cmocka_unit_test(test_a_post_for_ever_in_a_process),
		cmocka_unit_test_teardown(test_from_inside_a_handler, stop),
		cmocka_unit_test_teardown(test_handshake, stop),
		cmocka_unit_test_teardown(test_requests, stop),
		cmocka_unit_test_teardown(test_expect_and_continue, stop),
		cmocka_unit_test_teardown(test_close, stop),
		cmocka_unit_test_teardown(test_options, stop),
		cmocka_unit_test_teardown(test_certificate, stop),
		cmocka_unit_test_teardown(test_expect_fails, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
