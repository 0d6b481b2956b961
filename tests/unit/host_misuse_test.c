/* host_misuse_test.c -- wrong uses of the public calls, each with what comes of it.
 *
 * An error code, nothing at all where the header calls it safe, or, where going on would
 * be undefined, the end of the program with a line that says what is wrong.  Runs on
 * servers without a network; what needs a loop in a thread has one.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sio/engine.h>
#include <sio/handshake.h>
#include <sio/http.h>
#include <sio/namespace.h>
#include <sio/room.h>
#include <sio/testing.h>
#include <sio/work.h>

static struct sio_server *server;
static struct sio_test_client *client;
static struct sio_socket *socket_;    /* of client; a reference is kept */
static struct sio_request *request;   /* an unanswered one */
static struct sio_timer timer;
static const struct sio_args none;

static void on_connect(struct sio_connect *req, void *arg)
{
	struct sio_socket *s = sio_connect_accept(req);

	(void)arg;
	if (!socket_)
		socket_ = sio_socket_ref(s);
}

static void on_event(struct sio_socket *s, const struct sio_event *event, void *arg)
{
	(void)s, (void)event, (void)arg;
}

static void on_request(struct sio_request *req, void *arg)
{
	(void)arg;
	request = req;
}

static void on_timer(struct sio_timer *t)
{
	(void)t;
}

static void on_post(void *arg)
{
	(void)arg;
}

static void on_answer(struct sio_socket *s, int status, const struct sio_args *args, void *arg)
{
	(void)s, (void)args;
	*(int *)arg = status;
}

static int start(void **state)
{
	(void)state;
	assert_int_equal(sio_test_server_new(NULL, &server), SIO_OK);
	sio_on_connect(server, on_connect, NULL);
	assert_int_equal(sio_http_route(server, "GET", "/kept", on_request, NULL), SIO_OK);
	client = sio_test_connect(server, "/", NULL);
	SIO_TEST_EXPECT(client, "connected");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	sio_server_free(server);
	if (socket_)
		sio_socket_unref(socket_); /* its memory may outlive the server */
	server = NULL;
	socket_ = NULL;
	return 0;
}

/* ---- a socket that has ended ------------------------------------------------------- */

static int answer_status = 1;

#define ON_ENDED(name, expression)                  \
	static long name(struct sio_socket *s)      \
	{                                           \
		return (long)(expression);          \
	}
ON_ENDED(emit, sio_socket_emit(s, SIO_LIT("x"), &none))
ON_ENDED(ack, sio_socket_ack(s, 1, &none))
ON_ENDED(ask, sio_socket_ask(s, SIO_LIT("x"), &none, 0, on_answer, &answer_status))
ON_ENDED(join, sio_room_join(s, SIO_LIT("r")))
ON_ENDED(leave, (sio_room_leave(s, SIO_LIT("r")), 0))
ON_ENDED(has, sio_room_has(s, SIO_LIT("r")))
ON_ENDED(is_open, sio_socket_is_open(s))
ON_ENDED(disconnect, (sio_socket_disconnect(s, false), 0))
ON_ENDED(disconnect_all, (sio_socket_disconnect(s, true), 0))
ON_ENDED(close_transport, (sio_socket_close_transport(s), 0))
ON_ENDED(pause_and_resume, (sio_socket_pause(s), sio_socket_resume(s), 0))
ON_ENDED(resume, (sio_socket_resume(s), 0))
ON_ENDED(ref_and_unref, (sio_socket_unref(sio_socket_ref(s)), 0))
ON_ENDED(set_data, (sio_socket_set_data(s, &timer), sio_socket_data(s) != &timer))
ON_ENDED(id, sio_socket_id(s).n != SIO_ID_LEN)

static const struct {
	const char *call;
	long (*fn)(struct sio_socket *s);
	long want;
} on_ended[] = {
	{ "sio_socket_emit", emit, SIO_ERR_CLOSED },
	{ "sio_socket_ack", ack, SIO_ERR_CLOSED },
	{ "sio_socket_ask", ask, SIO_ERR_CLOSED },
	{ "sio_room_join", join, SIO_ERR_CLOSED },
	{ "sio_room_leave", leave, 0 },
	{ "sio_room_has", has, false },
	{ "sio_socket_is_open", is_open, false },
	{ "sio_socket_disconnect", disconnect, 0 },
	{ "sio_socket_disconnect, session too", disconnect_all, 0 },
	{ "sio_socket_close_transport", close_transport, 0 },
	{ "sio_socket_pause, sio_socket_resume", pause_and_resume, 0 },
	{ "sio_socket_resume without a pause", resume, 0 },
	{ "sio_socket_ref, sio_socket_unref", ref_and_unref, 0 },
	{ "sio_socket_set_data, sio_socket_data", set_data, 0 },
	{ "sio_socket_id", id, 0 },
};

static void use_ended(struct sio_socket *s)
{
	for (size_t i = 0; i < sizeof(on_ended) / sizeof(on_ended[0]); i++) {
		long got = on_ended[i].fn(s);
		if (got != on_ended[i].want)
			fail_msg("%s gave %ld, not %ld", on_ended[i].call, got, on_ended[i].want);
	}
	assert_int_equal(answer_status, 1); /* an ask that failed never calls back */
}

static void test_a_socket_that_has_ended(void **state)
{
	(void)state;
	sio_test_end(client, SIO_TEST_CUT);
	use_ended(socket_);
	assert_ptr_equal(sio_socket_server(socket_), server);
	assert_non_null(sio_socket_namespace(socket_));
}

/* Even its server may have gone; sio_socket_server and sio_socket_namespace are then
 * out of bounds, as their comments say. */
static void test_a_socket_whose_server_is_freed(void **state)
{
	(void)state;
	sio_server_free(server);
	server = NULL;
	use_ended(socket_);
}

/* ---- inside a handler that ends its own socket ----------------------------------------- */

static unsigned ends_n;

static void on_disconnect(struct sio_socket *s, sio_slice reason, void *arg)
{
	(void)reason, (void)arg;
	ends_n++;
	use_ended(s); /* the same rows hold in the handler itself */
}

static void on_quit(struct sio_socket *s, const struct sio_event *event, void *arg)
{
	bool close_session = arg != NULL;

	assert_true(sio_slice_eq(event->name, SIO_LIT("quit")));
	sio_socket_disconnect(s, close_session);
	assert_false(sio_socket_is_open(s)); /* the pointer is good until the handler's end */
	assert_int_equal(sio_socket_ack(s, event->ack, &event->args), SIO_ERR_CLOSED);
	sio_socket_disconnect(s, close_session);
	sio_socket_close_transport(s);
	use_ended(s);
}

static void test_a_handler_that_ends_its_socket(void **state)
{
	(void)state;
	sio_on_disconnect(server, on_disconnect, NULL);
	for (int i = 0; i < 2; i++) {
		ends_n = 0;
		client = sio_test_connect(server, "/", NULL);
		assert_int_equal(sio_on_event(server, "quit", on_quit, i ? server : NULL), SIO_OK);
		sio_test_ask(client, "quit", "1");
		sio_test_ask(client, "quit", "2"); /* a packet that was under way */
		SIO_TEST_EXPECT(client, i ? "connected; disconnected; closed" : "connected; disconnected");
		assert_int_equal(ends_n, 1);
	}
}

static int connect_row;

static void on_connect_and_end(struct sio_connect *req, void *arg)
{
	struct sio_socket *s = sio_connect_accept(req);

	(void)arg;
	if (connect_row == 0)
		sio_socket_disconnect(s, true);
	else
		sio_server_close(server, 0);
	use_ended(s);
}

static void test_a_connect_handler_that_ends_its_socket(void **state)
{
	(void)state;
	sio_on_connect(server, on_connect_and_end, NULL);
	for (connect_row = 0; connect_row < 2; connect_row++) {
		client = sio_test_connect(server, "/", NULL);
		SIO_TEST_EXPECT(client, connect_row == 0 ? "connected; disconnected; closed" : "closed");
	}
}

static struct sio_connect *asked;

static void on_connect_later(struct sio_connect *req, void *arg)
{
	(void)arg;
	asked = req;
}

/* The answer may come at any time, only once. */
static void test_an_answer_for_who_has_gone(void **state)
{
	(void)state;
	sio_on_connect(server, on_connect_later, NULL);
	client = sio_test_connect(server, "/", NULL);
	sio_test_end(client, SIO_TEST_CUT);
	assert_false(sio_connect_is_open(asked));
	assert_null(sio_connect_accept(asked));
	client = sio_test_connect(server, "/", NULL);
	sio_test_end(client, SIO_TEST_CUT);
	sio_connect_refuse(asked, SIO_LIT("too late"), sio_bytes("", 0));
	/* One that is never answered is ended by the connect time-out. */
	client = sio_test_connect(server, "/", NULL);
	sio_test_run(server, 45000 + 32);
	SIO_TEST_EXPECT(client, "closed");
	assert_null(sio_connect_accept(asked));
}

static void end_each(struct sio_socket *s, void *arg)
{
	(void)arg;
	sio_socket_disconnect(s, true);
	assert_int_equal(sio_room_join(s, SIO_LIT("r")), SIO_ERR_CLOSED);
}

static void test_a_walk_that_ends_the_room(void **state)
{
	(void)state;
	assert_int_equal(sio_room_join(socket_, SIO_LIT("r")), SIO_OK);
	sio_room_each(server, SIO_LIT("r"), end_each, NULL);
	assert_int_equal(sio_room_size(server, SIO_LIT("r")), 0);
	sio_room_each(server, SIO_LIT("r"), end_each, NULL);
}

/* ---- twice --------------------------------------------------------------------------------- */

static void test_twice(void **state)
{
	struct sio_stats stats;
	int status = 1;

	(void)state;
	assert_int_equal(sio_room_join(socket_, SIO_LIT("r")), SIO_OK);
	assert_int_equal(sio_room_join(socket_, SIO_LIT("r")), SIO_OK);
	assert_int_equal(sio_room_size(server, SIO_LIT("r")), 1);
	sio_room_leave(socket_, SIO_LIT("r"));
	sio_room_leave(socket_, SIO_LIT("r"));
	/* A handler for the same name takes the place of the first; NULL takes it away. */
	assert_int_equal(sio_on_event(server, "e", on_event, NULL), SIO_OK);
	assert_int_equal(sio_on_event(server, "e", NULL, NULL), SIO_OK);
	sio_test_emit(client, "e", NULL);
	sio_on_connect(server, NULL, NULL);
	assert_true(sio_test_is_connected(sio_test_connect(server, "/", NULL)));
	assert_int_equal(sio_http_route(server, "GET", "/kept", on_request, NULL), SIO_ERR_EXISTS);
	assert_ptr_equal(sio_namespace_open(server, SIO_LIT("/n")), sio_namespace_open(server, SIO_LIT("/n")));
	/* Two answers to one event: both are sent, a client heeds the first. */
	assert_int_equal(sio_socket_ack(socket_, 5, &none), SIO_OK);
	assert_int_equal(sio_socket_ack(socket_, 5, &none), SIO_OK);
	/* Two answers to one question: the handler is called once. */
	assert_int_equal(sio_socket_ask(socket_, SIO_LIT("q"), &none, 0, on_answer, &status), SIO_OK);
	sio_test_run(server, 0);
	assert_int_equal(sio_test_ack(client, 0, "1"), SIO_OK);
	assert_int_equal(status, SIO_OK);
	status = 1;
	assert_int_equal(sio_test_ack(client, 0, "1"), SIO_OK);
	assert_int_equal(sio_test_ack(client, 77, "1"), SIO_OK); /* nobody asked */
	assert_int_equal(status, 1);
	/* A timer that is set already is moved, an unset one stays so. */
	sio_timer_start(server, &timer, 10, on_timer);
	sio_timer_start(server, &timer, 20, on_timer);
	sio_timer_stop(&timer);
	sio_timer_stop(&timer);
	sio_server_close(server, 1000);
	sio_server_close(server, 0);
	sio_test_run(server, 0);
	sio_server_close(server, 0);
	sio_server_run(server);
	sio_server_stats(server, &stats);
	assert_int_equal(stats.sockets, 0);
}

/* ---- arguments ------------------------------------------------------------------------------- */

static void test_arguments(void **state)
{
	static const char *const patterns[] = { "", "no/slash", "/a/b/c/d/e/f/g/h/i/j/k/l/m" };
	static const char *const methods[] = { "", "get", "GET ", "G\r\n" };
	static const char *const names[] = { "", "chat", "/a,b" };
	char longer[SIO_ROOM_MAX + 1] = { 0 };
	sio_slice many[SIO_ATTACHMENTS_MAX + 1] = { { 0 } };
	struct sio_args too_many = { SIO_LIT("1"), many, SIO_ATTACHMENTS_MAX + 1 };

	(void)state;
	assert_int_equal(sio_socket_emit(socket_, SIO_LIT("disconnect"), &none), SIO_ERR_INVAL);
	assert_int_equal(sio_socket_emit(socket_, SIO_LIT("x"), &too_many), SIO_ERR_INVAL);
	assert_int_equal(sio_socket_ack(socket_, 1, &too_many), SIO_ERR_INVAL);
	assert_int_equal(sio_socket_ack(socket_, SIO_ACK_NONE, &none), SIO_ERR_INVAL);
	assert_int_equal(sio_socket_ask(socket_, SIO_LIT("connect"), &none, 0, on_answer, &answer_status), SIO_ERR_INVAL);
	assert_int_equal(sio_broadcast(server, NULL, SIO_LIT("newListener"), NULL), SIO_ERR_INVAL);
	assert_int_equal(sio_room_join(socket_, sio_bytes("", 0)), SIO_ERR_INVAL);
	assert_int_equal(sio_room_join(socket_, sio_bytes(longer, sizeof(longer))), SIO_ERR_INVAL);
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		assert_int_equal(sio_http_route(server, "GET", patterns[i], on_request, NULL), SIO_ERR_INVAL);
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		assert_int_equal(sio_http_route(server, methods[i], "/ok", on_request, NULL), SIO_ERR_INVAL);
	assert_int_equal(sio_http_route(server, "GET", "/ok", NULL, NULL), SIO_ERR_INVAL);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_null(sio_namespace_open(server, sio_str(names[i])));
	SIO_TEST_EXPECT(client, "");
	/* NULL where there is nothing to say. */
	assert_int_equal(sio_socket_emit(socket_, SIO_LIT("a"), NULL), SIO_OK);
	assert_int_equal(sio_socket_ack(socket_, 3, NULL), SIO_OK);
	assert_int_equal(sio_broadcast(server, NULL, SIO_LIT("b"), NULL), 1);
	assert_int_equal(sio_socket_ask(socket_, SIO_LIT("c"), NULL, 0, on_answer, &answer_status), SIO_OK);
	SIO_TEST_EXPECT(client, "a(); ack 3(); b(); c() wants ack 0");
	sio_test_ack(client, 0, NULL);
	answer_status = 1;
	sio_socket_unref(NULL);
	sio_server_free(NULL);
}

/* What cannot be sent as an answer is not sent. */
static void test_answers(void **state)
{
	static const struct {
		int status;
		const char *type;
	} rows[] = { { 0, NULL }, { 99, NULL }, { 101, NULL }, { 600, NULL }, { 200, "text/html\r\nSet-Cookie: a=b" } };
	struct sio_test_request *req;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		req = sio_test_request(server, "GET", "/kept", NULL, sio_bytes("", 0));
		assert_int_equal(sio_reply_header(request, SIO_LIT("x"), SIO_LIT("a\r\nb: c")), SIO_ERR_INVAL);
		assert_int_equal(sio_reply_header(request, SIO_LIT(""), SIO_LIT("a")), SIO_ERR_INVAL);
		assert_int_equal(sio_reply_header(request, SIO_LIT("x\n"), SIO_LIT("a")), SIO_ERR_INVAL);
		sio_reply(request, rows[i].status, rows[i].type, SIO_LIT("secret"));
		assert_int_equal(sio_test_request_status(req), 500);
		assert_int_equal(sio_test_request_header(req, "set-cookie").n, 0);
		assert_null(memmem(sio_test_request_body(req).p, sio_test_request_body(req).n, "secret", 6));
	}
	/* And one whose client has gone is only freed. */
	req = sio_test_request(server, "GET", "/kept", NULL, sio_bytes("", 0));
	sio_test_request_drop(req);
	sio_reply(request, 0, "x\r\n", SIO_LIT(""));
	assert_int_equal(sio_test_request_status(req), SIO_ERR_CLOSED);
}

/* ---- a server that has ended ------------------------------------------------------------------ */

static void test_a_server_that_has_ended(void **state)
{
	(void)state;
	sio_server_close(server, 0);
	sio_test_run(server, 0);
	assert_int_equal(sio_server_listen(server, "127.0.0.1", 0), SIO_ERR_CLOSED);
	assert_int_equal(sio_server_post(server, on_post, NULL), SIO_ERR_CLOSED);
	assert_int_equal(sio_server_work(server, on_post, on_post, NULL), SIO_ERR_CLOSED);
	assert_int_equal(sio_broadcast(server, NULL, SIO_LIT("x"), NULL), 0);
	assert_int_equal(sio_room_size(server, SIO_LIT("x")), 0);
	assert_int_equal(sio_on_event(server, "late", on_event, NULL), SIO_OK);
	assert_int_equal(sio_http_route(server, "GET", "/late", on_request, NULL), SIO_OK);
	sio_timer_start(server, &timer, 10, on_timer); /* never fires, and may be left set */
	sio_server_free(server);
	server = NULL;
	sio_timer_stop(&timer);
}

/* The same with a network: closed before its loop ran. */
static void test_a_server_closed_before_it_ran(void **state)
{
	struct sio_server *other;

	(void)state;
	assert_int_equal(sio_server_new(NULL, &other), SIO_OK);
	assert_int_equal(sio_server_listen(other, "127.0.0.1", 0), SIO_OK);
	assert_int_equal(sio_server_close_on_signals(other, 0), SIO_OK);
	assert_int_equal(sio_server_close_on_signals(other, 0), SIO_OK);
	sio_server_close(other, 60000);
	assert_int_equal(sio_server_listen(other, "127.0.0.1", 0), SIO_ERR_CLOSED);
	sio_server_run(other); /* has nothing to wait for */
	sio_server_run(other);
	assert_int_equal(sio_server_post(other, on_post, NULL), SIO_ERR_CLOSED);
	sio_server_free(other);
}

/* ---- what ends the program, and says why --------------------------------------------------------- */

/* Run wrong in a process of its own.  It must end with that line. */
static void expect_abort(void (*wrong)(void), const char *call, const char *says)
{
	char text[2048] = "", want[256];
	int fds[2], status = 0;
	size_t n = 0;
	ssize_t got;
	pid_t child;

	assert_int_equal(pipe(fds), 0);
	child = fork();
	if (child == 0) {
		dup2(fds[1], 2);
		signal(SIGABRT, SIG_DFL);
		wrong();
		_exit(0);
	}
	close(fds[1]);
	while ((got = read(fds[0], text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	close(fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	snprintf(want, sizeof(want), "libsio: %s was called from %s", call, says);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || strncmp(text, want, strlen(want)) != 0)
		fail_msg("%s: status %x, and it said: %s", call, (unsigned)status, text);
}

static struct sio_message *message;

#define FROM_ELSEWHERE(name, expression)  \
	static void *name(void *arg)      \
	{                                 \
		(void)arg;                \
		(void)!(expression);      \
		return NULL;              \
	}
FROM_ELSEWHERE(t_emit, sio_socket_emit(socket_, SIO_LIT("x"), NULL))
FROM_ELSEWHERE(t_ack, sio_socket_ack(socket_, 1, NULL))
FROM_ELSEWHERE(t_ask, sio_socket_ask(socket_, SIO_LIT("x"), NULL, 0, on_answer, NULL))
FROM_ELSEWHERE(t_join, sio_room_join(socket_, SIO_LIT("r")))
FROM_ELSEWHERE(t_leave, (sio_room_leave(socket_, SIO_LIT("in")), 0))
FROM_ELSEWHERE(t_size, sio_room_size(server, SIO_LIT("r")))
FROM_ELSEWHERE(t_each, (sio_room_each(server, SIO_LIT("r"), end_each, NULL), 0))
FROM_ELSEWHERE(t_broadcast, sio_broadcast(server, NULL, SIO_LIT("x"), NULL))
FROM_ELSEWHERE(t_disconnect, (sio_socket_disconnect(socket_, true), 0))
FROM_ELSEWHERE(t_close_transport, (sio_socket_close_transport(socket_), 0))
FROM_ELSEWHERE(t_pause, (sio_socket_pause(socket_), 0))
FROM_ELSEWHERE(t_ref, sio_socket_ref(socket_) != NULL)
FROM_ELSEWHERE(t_accept, sio_connect_accept(asked) != NULL)
FROM_ELSEWHERE(t_refuse, (sio_connect_refuse(asked, SIO_LIT("no"), sio_bytes("", 0)), 0))
FROM_ELSEWHERE(t_on_event, sio_on_event(server, "x", on_event, NULL))
FROM_ELSEWHERE(t_on_connect, (sio_on_connect(server, on_connect, NULL), 0))
FROM_ELSEWHERE(t_open, sio_namespace_open(server, SIO_LIT("/x")) != NULL)
FROM_ELSEWHERE(t_route, sio_http_route(server, "GET", "/x", on_request, NULL))
FROM_ELSEWHERE(t_on_handshake, (sio_on_handshake(server, NULL, NULL), 0))
FROM_ELSEWHERE(t_on_headers, (sio_on_headers(server, NULL, NULL), 0))
FROM_ELSEWHERE(t_engine_on_open, sio_engine_on_open(server, NULL, NULL))
FROM_ELSEWHERE(t_message, sio_message_new_text(server, SIO_LIT("x"), &message))
FROM_ELSEWHERE(t_reply, (sio_reply(request, 200, NULL, sio_bytes("", 0)), 0))
FROM_ELSEWHERE(t_timer, (sio_timer_start(server, &timer, 1, on_timer), 0))
FROM_ELSEWHERE(t_work, sio_server_work(server, on_post, on_post, NULL))
FROM_ELSEWHERE(t_listen, sio_server_listen(server, "127.0.0.1", 0))
FROM_ELSEWHERE(t_close, (sio_server_close(server, 0), 0))
FROM_ELSEWHERE(t_free, (sio_server_free(server), 0))
FROM_ELSEWHERE(t_run, (sio_server_run(server), 0))

static const struct {
	const char *call;
	void *(*fn)(void *arg);
} from_elsewhere[] = {
	{ "sio_socket_emit", t_emit },
	{ "sio_socket_ack", t_ack },
	{ "sio_socket_ask", t_ask },
	{ "sio_room_join", t_join },
	{ "sio_room_leave", t_leave },
	{ "sio_namespace_room_size", t_size },
	{ "sio_namespace_room_each", t_each },
	{ "sio_namespace_broadcast", t_broadcast },
	{ "sio_socket_disconnect", t_disconnect },
	{ "sio_socket_close_transport", t_close_transport },
	{ "sio_socket_pause", t_pause },
	{ "sio_socket_ref", t_ref },
	{ "sio_connect_accept", t_accept },
	{ "sio_connect_refuse", t_refuse },
	{ "sio_namespace_on_event", t_on_event },
	{ "sio_namespace_on_connect", t_on_connect },
	{ "sio_namespace_open", t_open },
	{ "sio_http_route", t_route },
	{ "sio_on_handshake", t_on_handshake },
	{ "sio_on_headers", t_on_headers },
	{ "sio_engine_on_open", t_engine_on_open },
	{ "sio_message_new_text", t_message },
	{ "sio_reply", t_reply },
	{ "sio_timer_start", t_timer },
	{ "sio_server_work", t_work },
	{ "sio_server_listen", t_listen },
	{ "sio_server_close", t_close },
	{ "sio_server_free", t_free },
	{ "sio_server_run", t_run },
};

static size_t row;

static void call_from_elsewhere(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, from_elsewhere[row].fn, NULL) == 0)
		pthread_join(thread, NULL);
}

static void test_from_another_thread(void **state)
{
	(void)state;
	assert_int_equal(sio_room_join(socket_, SIO_LIT("in")), SIO_OK);
	sio_on_connect(server, on_connect_later, NULL);
	sio_test_connect(server, "/", NULL);
	sio_test_request(server, "GET", "/kept", NULL, sio_bytes("", 0));
	for (row = 0; row < sizeof(from_elsewhere) / sizeof(from_elsewhere[0]); row++)
		expect_abort(call_from_elsewhere, from_elsewhere[row].call, "a thread that does not run the server's loop");
	sio_connect_refuse(asked, SIO_LIT("no"), sio_bytes("", 0));
	sio_reply(request, 200, NULL, sio_bytes("", 0));
}

/* A real loop in a real thread. */
static sem_t runs;

static void on_runs(void *arg)
{
	(void)arg;
	sem_post(&runs);
}

static void *run_it(void *arg)
{
	sio_server_run(arg);
	return NULL;
}

static void free_while_it_runs(void)
{
	struct sio_server *other;
	pthread_t thread;

	sem_init(&runs, 0, 0);
	if (sio_server_new(NULL, &other) || sio_server_listen(other, "127.0.0.1", 0) ||
	    pthread_create(&thread, NULL, run_it, other) || sio_server_post(other, on_runs, NULL))
		_exit(1);
	sem_wait(&runs);
	sio_server_free(other);
}

static void test_free_while_running(void **state)
{
	(void)state;
	expect_abort(free_while_it_runs, "sio_server_free", "a thread that does not run the server's loop");
}

static void free_inside(void *arg)
{
	(void)arg;
	sio_server_free(server);
}

static void run_inside(void *arg)
{
	(void)arg;
	sio_server_run(server);
}

static void call_free_inside(void)
{
	(void)!sio_server_post(server, free_inside, NULL);
	sio_test_run(server, 0);
}

static void call_run_inside(void)
{
	(void)!sio_server_post(server, run_inside, NULL);
	sio_test_run(server, 0);
}

static void free_at_the_end(struct sio_socket *s, sio_slice reason, void *arg)
{
	(void)s, (void)reason, (void)arg;
	sio_server_free(server);
}

/* Closing outside of the loop calls handlers too. */
static void call_free_while_closing(void)
{
	sio_on_disconnect(server, free_at_the_end, NULL);
	sio_server_close(server, 0);
}

static void test_from_inside_a_handler(void **state)
{
	static const char inside[] = "inside a handler of the same server";

	(void)state;
	expect_abort(call_free_inside, "sio_server_free", inside);
	expect_abort(call_run_inside, "sio_server_run", inside);
	expect_abort(call_free_while_closing, "sio_server_free", inside);
}

/* ---- what other threads may call --------------------------------------------------------------------- */

static unsigned posted_n;

static void count_post(void *arg)
{
	(void)arg;
	posted_n++;
}

static void *post_many(void *arg)
{
	for (int i = 0; i < 1000; i++)
		while (sio_server_post(arg, count_post, NULL) == SIO_ERR_BUSY)
			;
	return NULL;
}

static void test_posts_of_other_threads(void **state)
{
	pthread_t threads[4];

	(void)state;
	posted_n = 0;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, post_many, server), 0);
	while (posted_n < 1000)
		sio_test_run(server, 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	sio_test_run(server, 0);
	assert_int_equal(posted_n, 4000);
	assert_non_null(sio_strerror(SIO_ERR_BUSY));
	assert_non_null(sio_strerror(-9999));
}

static void test_a_full_queue(void **state)
{
	(void)state;
	posted_n = 0;
	for (int i = 0; i < SIO_POST_MAX; i++)
		assert_int_equal(sio_server_post(server, count_post, NULL), SIO_OK);
	assert_int_equal(sio_server_post(server, count_post, NULL), SIO_ERR_BUSY);
	sio_test_run(server, 0);
	assert_int_equal(posted_n, SIO_POST_MAX);
	assert_int_equal(sio_server_post(server, count_post, NULL), SIO_OK);
}

/* The loop may go to another thread once it has ended there. */
static void *use_it_elsewhere(void *arg)
{
	struct sio_server *other = arg;
	struct sio_stats stats;

	sio_server_close(other, 0);
	sio_server_run(other);
	sio_server_stats(other, &stats);
	return NULL;
}

static void test_one_thread_after_the_other(void **state)
{
	struct sio_server *other;
	struct sio_stats stats;
	pthread_t thread;

	(void)state;
	assert_int_equal(sio_server_new(NULL, &other), SIO_OK);
	assert_int_equal(sio_server_listen(other, "127.0.0.1", 0), SIO_OK);
	assert_int_equal(pthread_create(&thread, NULL, use_it_elsewhere, other), 0);
	pthread_join(thread, NULL);
	sio_server_stats(other, &stats);
	sio_server_free(other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(test_from_another_thread), /* processes are forked before threads are started */
		TEST(test_free_while_running),
		TEST(test_from_inside_a_handler),
		TEST(test_a_socket_that_has_ended),
		TEST(test_a_socket_whose_server_is_freed),
		TEST(test_a_handler_that_ends_its_socket),
		TEST(test_a_connect_handler_that_ends_its_socket),
		TEST(test_an_answer_for_who_has_gone),
		TEST(test_a_walk_that_ends_the_room),
		TEST(test_twice),
		TEST(test_arguments),
		TEST(test_answers),
		TEST(test_a_server_that_has_ended),
		TEST(test_a_server_closed_before_it_ran),
		TEST(test_posts_of_other_threads),
		TEST(test_a_full_queue),
		TEST(test_one_thread_after_the_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
