/* hub_namespace_test.c -- several namespaces on one session: each with its own
 * sockets, rooms, handlers and ids.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <sio/namespace.h>

#include "lib/fake_hub.h"

static struct sio_server *server;
static struct sio_namespace *chat;
static struct fake_client *c;

static const struct sio_args none;

static void on_event(struct sio_socket *s, const struct sio_event *e, void *arg)
{
	buf_printf(&heard, "%s %.*s on %.*s; ", (const char *)arg, (int)e->name.n, e->name.p,
		   (int)sio_namespace_name(sio_socket_namespace(s)).n, sio_namespace_name(sio_socket_namespace(s)).p);
}

static void on_end(struct sio_socket *s, sio_slice reason, void *arg)
{
	(void)reason;
	buf_printf(&heard, "%s ends on %.*s; ", (const char *)arg, (int)sio_namespace_name(sio_socket_namespace(s)).n,
		   sio_namespace_name(sio_socket_namespace(s)).p);
}

static void refuse(struct sio_connect *req, void *arg)
{
	(void)arg;
	assert_ptr_equal(sio_connect_namespace(req), chat);
	sio_connect_refuse(req, SIO_LIT("no way"), sio_bytes("", 0));
}

static int setup(void **state)
{
	(void)state;
	server = hub_start(NULL, NULL);
	chat = sio_namespace_open(server, SIO_LIT("/chat"));
	assert_non_null(chat);
	assert_int_equal(sio_on_event(server, "x", on_event, (void *)(uintptr_t) "main"), SIO_OK);
	assert_int_equal(sio_namespace_on_event(chat, "x", on_event, (void *)(uintptr_t) "chat"), SIO_OK);
	sio_on_disconnect(server, on_end, (void *)(uintptr_t) "main");
	sio_namespace_on_disconnect(chat, on_end, (void *)(uintptr_t) "chat");
	c = hub_connected(server);
	buf_clear(&heard);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	hub_check(server);
	hub_stop(server);
	buf_fini(&heard);
	return 0;
}

/* The client's socket in chat, connected now. */
static struct sio_socket *enter(void)
{
	fake_ws(c, "40/chat,");
	fake_turn(server->fake);
	buf_clear(&c->log);
	return chat->sockets_n ? chat->sockets[chat->sockets_n - 1] : NULL;
}

static void test_names(void **state)
{
	char long_name[300];

	(void)state;
	memset(long_name, 'x', sizeof(long_name));
	long_name[0] = '/';
	assert_ptr_equal(sio_namespace_open(server, SIO_LIT("/chat")), chat);
	assert_true(sio_slice_eq(sio_namespace_name(chat), SIO_LIT("/chat")));
	assert_ptr_equal(sio_namespace_open(server, SIO_LIT("/")), server->hub.nsps);
	assert_null(sio_namespace_open(server, SIO_LIT("chat")));
	assert_null(sio_namespace_open(server, SIO_LIT("")));
	assert_null(sio_namespace_open(server, SIO_LIT("/a,b")));
	assert_null(sio_namespace_open(server, sio_bytes(long_name, 257)));
	assert_non_null(sio_namespace_open(server, sio_bytes(long_name, SIO_NAMESPACE_MAX)));
}

static void test_each_has_its_own_handlers(void **state)
{
	(void)state;
	assert_non_null(enter());
	fake_ws(c, "42[\"x\"]");
	fake_ws(c, "42/chat,[\"x\"]");
	expect_heard("main x on /; chat x on /chat; ");
	fake_ws(c, "41/chat,");
	expect_heard("chat ends on /chat; ");
	fake_ws(c, "42[\"x\"]");
	expect_heard("main x on /; ");
}

static void test_rooms_of_one_name_are_two(void **state)
{
	struct sio_socket *main_socket = hub_socket(c), *chat_socket = enter();
	sio_slice room = SIO_LIT("r");
	struct sio_target target = { .rooms = &room, .rooms_n = 1 };

	(void)state;
	assert_int_equal(sio_room_join(main_socket, room), SIO_OK);
	assert_int_equal(sio_room_join(chat_socket, room), SIO_OK);
	assert_int_equal(sio_room_size(server, room), 1);
	assert_int_equal(sio_namespace_room_size(chat, room), 1);
	assert_int_equal(sio_broadcast(server, &target, SIO_LIT("m"), &none), 1);
	assert_int_equal(sio_namespace_broadcast(chat, &target, SIO_LIT("n"), &none), 1);
	fake_turn(server->fake);
	fake_expect(c, "ws 42[\"m\"]; ws 42/chat,[\"n\"]; ");
}

static void test_a_refusal_leaves_the_others(void **state)
{
	(void)state;
	sio_namespace_on_connect(chat, refuse, NULL);
	fake_ws(c, "40/chat,");
	fake_ws(c, "40/none,");
	fake_turn(server->fake);
	fake_expect(c, "ws 44/chat,{\"message\":\"no way\"}; ws 44/none,{\"message\":\"Invalid namespace\"}; ");
	fake_ws(c, "42[\"x\"]");
	expect_heard("main x on /; ");
}

static void on_answer(struct sio_socket *s, int status, const struct sio_args *args, void *arg)
{
	(void)s, (void)args;
	buf_printf(&heard, "%s %d; ", (const char *)arg, status);
}

static void test_ids_are_counted_apart(void **state)
{
	struct sio_socket *main_socket = hub_socket(c), *chat_socket = enter();

	(void)state;
	assert_int_equal(sio_socket_ask(main_socket, SIO_LIT("q"), &none, 0, on_answer, (void *)(uintptr_t) "main"), 0);
	assert_int_equal(sio_socket_ask(chat_socket, SIO_LIT("q"), &none, 0, on_answer, (void *)(uintptr_t) "chat"), 0);
	fake_turn(server->fake);
	fake_expect(c, "ws 420[\"q\"]; ws 42/chat,0[\"q\"]; ");
	fake_ws(c, "43/chat,0[]");
	expect_heard("chat 0; ");
	fake_ws(c, "430[]");
	expect_heard("main 0; ");
}

static void test_the_session_ends_for_all(void **state)
{
	(void)state;
	assert_non_null(enter());
	fake_ws(c, "42/chat,{}");
	expect_heard("chat ends on /chat; main ends on /; ");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_names),
		TEST(test_each_has_its_own_handlers),
		TEST(test_rooms_of_one_name_are_two),
		TEST(test_a_refusal_leaves_the_others),
		TEST(test_ids_are_counted_apart),
		TEST(test_the_session_ends_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
