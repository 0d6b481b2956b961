/* fault_alloc_test.c -- out of memory, at every single place.
 *
 * A scenario runs once to count what the server allocates, then once more for each of
 * these allocations with exactly that one failing, and once with all from there on
 * failing.  Nothing may crash, leak, be told twice or be forgotten; after a single failure
 * the server must serve a newcomer as if nothing had been.  The linker puts the functions
 * below in the place of malloc and its kin (CMakeLists.txt: fault_*); they fail inside of
 * net_step alone, so that the test's own memory is never refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <sio/http.h>
#include <sio/json.h>
#include <sio/namespace.h>
#include <sio/room.h>
#include <sio/testing.h>
#include <sio/work.h>

#include "net/net.h"

/* ---- failing -------------------------------------------------------------------------- */

static bool is_inside;          /* in the server */
static bool is_lasting;         /* fail from there on, not once */
static long until = -1;         /* allocations before the one that fails; -1: none fails */
static unsigned long made;      /* allocations inside */

static bool fails(void)
{
	if (!is_inside)
		return false;
	made++;
	if (until < 0)
		return false;
	if (until > 0) {
		until--;
		return false;
	}
	if (!is_lasting)
		until = -1;
	errno = ENOMEM;
	return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset);
bool __real_net_step(struct net *net, uint64_t now_ms);

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
	return fails() ? MAP_FAILED : __real_mmap(at, n, protection, flags, fd, offset);
}

bool __wrap_net_step(struct net *net, uint64_t now_ms)
{
	bool more;

	is_inside = true;
	more = __real_net_step(net, now_ms);
	is_inside = false;
	return more;
}

/* ---- a program that uses everything ------------------------------------------------------ */

static struct sio_server *server;
static long accepted, disconnected, asked, told, asks_for_connect, works, worked;

static void on_connect(struct sio_connect *req, void *arg)
{
	(void)arg;
	asks_for_connect++;
	if (memmem(sio_connect_auth(req).p, sio_connect_auth(req).n, "refuse", 6))
		sio_connect_refuse(req, SIO_LIT("no"), SIO_LIT("1"));
	else
		accepted += sio_connect_accept(req) != NULL;
}

static void on_disconnect(struct sio_socket *socket, sio_slice reason, void *arg)
{
	(void)socket, (void)reason, (void)arg;
	disconnected++;
}

static void on_told(struct sio_socket *socket, int status, const struct sio_args *args, void *arg)
{
	(void)socket, (void)status, (void)args, (void)arg;
	told++;
}

static void on_join(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	char name[32];

	(void)event, (void)arg;
	for (int i = 0; i < 5; i++) { /* past the rooms that a socket holds in itself */
		snprintf(name, sizeof(name), "room-%d", i);
		if (sio_room_join(socket, sio_str(name)) == SIO_OK)
			assert_true(sio_room_has(socket, sio_str(name)));
		else
			assert_false(sio_room_has(socket, sio_str(name)));
	}
}

static void on_say(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	sio_slice rooms[2] = { SIO_LIT("room-0"), SIO_LIT("room-1") }, except = SIO_LIT("room-9");
	struct sio_target target = { .rooms = rooms, .rooms_n = 2, .except = &except, .except_n = 1, .skip = socket };

	(void)arg;
	sio_broadcast(server, &target, SIO_LIT("said"), &event->args);
	target = (struct sio_target){ .rooms = rooms, .rooms_n = 1, .is_volatile = true, .latest_key = 3 };
	sio_broadcast(server, &target, SIO_LIT("at \"once\""), &event->args);
	sio_socket_ack(socket, event->ack, &event->args);
	asked += sio_socket_ask(socket, SIO_LIT("ok?"), NULL, 100, on_told, NULL) == SIO_OK;
}

static void leave_it(struct sio_socket *socket, void *arg)
{
	(void)arg;
	sio_room_leave(socket, SIO_LIT("room-4"));
}

static void on_worked(void *arg)
{
	struct sio_socket *socket = arg;

	worked++;
	sio_socket_resume(socket);
	sio_socket_unref(socket);
}

static void on_work(void *arg)
{
	(void)arg;
}

static void on_wait(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)event, (void)arg;
	sio_room_each(server, SIO_LIT("room-4"), leave_it, NULL);
	sio_socket_pause(socket);
	if (sio_server_work(server, on_work, on_worked, sio_socket_ref(socket)) == SIO_OK) {
		works++;
	} else {
		sio_socket_resume(socket);
		sio_socket_unref(socket);
	}
}

static void on_request(struct sio_request *req, void *arg)
{
	char value[16];

	(void)arg;
	sio_request_query_get(req, "q", value, sizeof(value));
	(void)!sio_reply_header(req, SIO_LIT("X-A"), sio_request_param(req, "id"));
	sio_reply(req, 200, "text/plain", sio_request_body(req));
}

static void start(void)
{
	static const char *const origins[] = { "https://app.example", NULL };
	struct sio_server_options o = { .send_queue_bytes = 3000, .origins = origins };
	struct sio_namespace *other;

	accepted = disconnected = asked = told = asks_for_connect = works = worked = 0;
	assert_int_equal(sio_test_server_new(&o, &server), SIO_OK);
	sio_on_connect(server, on_connect, NULL);
	sio_on_disconnect(server, on_disconnect, NULL);
	assert_int_equal(sio_on_event(server, "join", on_join, NULL), SIO_OK);
	assert_int_equal(sio_on_event(server, "say", on_say, NULL), SIO_OK);
	assert_int_equal(sio_on_event(server, "wait", on_wait, NULL), SIO_OK);
	assert_int_equal(sio_http_route(server, "POST", "/a/:id", on_request, NULL), SIO_OK);
	other = sio_namespace_open(server, SIO_LIT("/other"));
	sio_namespace_on_connect(other, on_connect, NULL);
	sio_namespace_on_disconnect(other, on_disconnect, NULL);
}

/* ---- the scenario ------------------------------------------------------------------------- */

static void over_websocket(void)
{
	static const struct sio_test_handshake from_a_page = { .headers = "Origin: https://app.example\r\nCookie: a=b\r\n" };
	static const char placeholder[] = "{\"_placeholder\":true,\"num\":0}";
	sio_slice bytes = SIO_LIT("0123456789");
	struct sio_args binary = { sio_str(placeholder), &bytes, 1 };
	struct sio_test_client *a = sio_test_connect_as(server, "/", "{\"a\":1}", &from_a_page);
	struct sio_test_client *b = sio_test_connect(server, "/", NULL);

	assert_non_null(a);
	assert_non_null(b);
	sio_test_connect(server, "/", "{\"please\":\"refuse\"}");
	sio_test_connect_also(a, "/other", NULL);
	sio_test_connect_also(b, "/nowhere", NULL);
	sio_test_emit(a, "join", NULL);
	sio_test_emit(b, "join", NULL);
	sio_test_ask(a, "say", "\"hello\"");
	sio_test_send(a, SIO_LIT("say"), &binary, true);
	sio_test_ack(a, 0, "1");
	sio_test_lag(b, 5);
	for (int i = 0; i < 3; i++)
		sio_test_ask(a, "say", "{\"x\":1}");
	sio_test_lag(b, SIZE_MAX);
	sio_test_emit(b, "wait", NULL);
	sio_test_emit(b, "join", NULL);
	sio_test_run(server, 200); /* questions time out */
	sio_test_lag(b, 0);
	for (int i = 0; i < 60; i++) /* until it is cut */
		sio_test_ask(a, "say", "\"a rather long text that makes the queue of a slow reader grow fast\"");
	sio_test_end(a, SIO_TEST_LEAVE);
}

/* A client that polls, by hand. */
static void over_polling(void)
{
	char target[128] = "/socket.io/?EIO=4&transport=polling", sid[21] = "";
	struct sio_test_request *req = sio_test_request(server, "GET", target, NULL, SIO_LIT(""));
	sio_slice body = req ? sio_test_request_body(req) : sio_str("");
	const char *at = body.n ? memmem(body.p, body.n, "\"sid\":\"", 7) : NULL;

	if (!at)
		return;
	memcpy(sid, at + 7, 20);
	snprintf(target, sizeof(target), "/socket.io/?EIO=4&transport=polling&sid=%s", sid);
	sio_test_request(server, "POST", target, NULL, SIO_LIT("40"));
	sio_test_request(server, "GET", target, NULL, SIO_LIT(""));
	sio_test_request(server, "POST", target, NULL,
			 SIO_LIT("42[\"join\"]\x1e" "451-[\"say\",{\"_placeholder\":true,\"num\":0}]\x1e" "bMDEy"));
	sio_test_request(server, "GET", target, NULL, SIO_LIT(""));
	sio_test_request(server, "POST", target, NULL, SIO_LIT("41"));
}

static void over_http(void)
{
	char big[6000];

	memset(big, 'x', sizeof(big));
	sio_test_request(server, "POST", "/a/b%20c?q=%41", NULL, sio_bytes(big, sizeof(big)));
	sio_test_request(server, "GET", "/a/b", NULL, SIO_LIT(""));
	sio_test_request(server, "GET", "/nothing", NULL, SIO_LIT(""));
	sio_test_request(server, "OPTIONS", "/a/b", "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n",
			 SIO_LIT(""));
	sio_test_request(server, "GET", "/a", "Origin: https://evil.example\r\n", SIO_LIT(""));
	sio_test_request(server, "POST", "/a/b", "Transfer-Encoding: chunked\r\n", SIO_LIT("3\r\nabc\r\n0\r\n\r\n"));
}

static void scenario(void)
{
	struct sio_stats stats;

	start();
	over_websocket();
	over_polling();
	over_http();
	if (!is_lasting) { /* a newcomer is served as ever */
		struct sio_test_client *c;
		until = -1;
		c = sio_test_connect(server, "/", NULL);
		sio_test_ask(c, "say", "1");
		assert_non_null(strstr(sio_test_heard(c), "connected; ack 0(1); ok?() wants ack "));
	}
	sio_server_close(server, 0);
	sio_test_run(server, 5000);
	sio_server_stats(server, &stats);
	assert_int_equal(stats.connections, 0);
	assert_int_equal(stats.sockets, 0);
	assert_int_equal(stats.rooms, 0);
	assert_int_equal(stats.send_queue_bytes, 0);
	sio_server_free(server);
	/* Each end was told, once. */
	assert_int_equal(accepted, disconnected);
	assert_int_equal(asked, told);
	assert_int_equal(works, worked);
}

static unsigned long clean_run(void)
{
	until = -1;
	is_lasting = false;
	made = 0;
	scenario();
	assert_int_equal(accepted, 5); /* a and its other namespace, b, the one that polls, the newcomer */
	assert_int_equal(asks_for_connect, 6);
	assert_int_equal(works, 1);
	return made;
}

static void test_each_allocation_fails_once(void **state)
{
	unsigned long n = clean_run();

	(void)state;
	assert_true(n > 150);
	for (unsigned long k = 0; k < n; k++) {
		until = (long)k;
		scenario();
	}
	print_message("%lu allocations, each failed once\n", n);
}

static void test_all_fail_from_one_on(void **state)
{
	unsigned long n = clean_run();

	(void)state;
	for (unsigned long k = 0; k < n; k++) {
		until = (long)k;
		is_lasting = true;
		scenario();
	}
	until = -1;
}

/* What is called outside of the loop, at the start of a program. */
static void test_starting(void **state)
{
	static const char *const origins[] = { "https://app.example", "https://b.example", NULL };
	struct sio_server_options o = { .origins = origins };
	unsigned failed = 0;
	int err = SIO_ERR_NOMEM;

	(void)state;
	is_lasting = false;
	for (long k = 0; err != SIO_OK; k++) {
		until = k;
		is_inside = true;
		err = sio_test_server_new(&o, &server);
		is_inside = false;
		failed += err != SIO_OK;
		assert_true(err == SIO_OK || (err == SIO_ERR_NOMEM && !server));
	}
	assert_true(failed >= 6);
	for (int what = 0; what < 4; what++) {
		bool is_done = false;
		for (long k = 0; !is_done; k++) {
			until = k;
			is_inside = true;
			if (what == 0)
				err = sio_on_event(server, "x", on_say, NULL);
			else if (what == 1)
				err = sio_http_route(server, "GET", "/x", on_request, NULL);
			else if (what == 2)
				err = sio_namespace_open(server, SIO_LIT("/x")) ? SIO_OK : SIO_ERR_NOMEM;
			else
				err = sio_server_post(server, on_work, NULL);
			is_inside = false;
			is_done = err == SIO_OK;
			assert_true(is_done || err == SIO_ERR_NOMEM || (what == 3 && err == SIO_ERR_BUSY));
			assert_true(is_done || k < 10);
		}
	}
	until = -1;
	sio_server_free(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_starting),
		cmocka_unit_test(test_each_allocation_fails_once),
		cmocka_unit_test(test_all_fail_from_one_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
