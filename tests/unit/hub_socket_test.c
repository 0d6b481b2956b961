/* hub_socket_test.c -- one socket: events out, acknowledgements, disconnecting, pause
 * and resume, the rate limit, handlers that end things.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "lib/fake_hub.h"

static struct sio_server *server;
static struct fake_client *c;
static struct sio_socket *sock;
static struct sio_socket *to_end;     /* for handlers */

static void on_any(struct sio_socket *s, const struct sio_event *e, void *arg)
{
	(void)s, (void)arg;
	buf_printf(&heard, "%.*s(%.*s)", (int)e->name.n, e->name.p, (int)e->args.json.n, e->args.json.p);
	for (unsigned i = 0; i < e->args.attachments_n; i++)
		buf_printf(&heard, "+%.*s", (int)e->args.attachments[i].n, e->args.attachments[i].p);
	buf_str(&heard, "; ");
}

static void on_disconnect(struct sio_socket *s, sio_slice reason, void *arg)
{
	(void)s, (void)arg;
	buf_printf(&heard, "end %.*s; ", (int)reason.n, reason.p);
}

static int setup_with(const struct hub_limits *limits)
{
	server = hub_start(limits, NULL);
	sio_on_disconnect(server, on_disconnect, NULL);
	assert_int_equal(sio_on_event(server, NULL, on_any, NULL), SIO_OK);
	c = hub_connected(server);
	sock = hub_socket(c);
	buf_clear(&heard);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_with(NULL);
}

static int setup_limited(void **state)
{
	struct hub_limits l = hub_usual;

	(void)state;
	l.events_per_second = 10;
	l.events_burst = 20;
	return setup_with(&l);
}

static int teardown(void **state)
{
	(void)state;
	hub_check(server);
	hub_stop(server);
	buf_fini(&heard);
	return 0;
}

static struct sio_args json(const char *text)
{
	return sio_args_json(sio_str(text));
}

/* ---- out --------------------------------------------------------------------------- */

static void test_emit(void **state)
{
	static const sio_slice two[] = { { "\x01\x02", 2 }, { "", 0 } };
	struct sio_args none = { 0 }, some = json("{\"x\":1},2"), binary = { SIO_LIT("{},{}"), two, 2 };
	struct sio_args too_many = { SIO_LIT("{}"), two, 11 };

	(void)state;
	assert_int_equal(sio_socket_emit(sock, SIO_LIT("a"), &none), SIO_OK);
	assert_int_equal(sio_socket_emit(sock, SIO_LIT("b\"\n"), &some), SIO_OK);
	assert_int_equal(sio_socket_emit(sock, SIO_LIT("c"), &binary), SIO_OK);
	assert_int_equal(sio_socket_emit(sock, SIO_LIT("connect"), &none), SIO_ERR_INVAL);
	assert_int_equal(sio_socket_emit(sock, SIO_LIT("c"), &too_many), SIO_ERR_INVAL);
	fake_turn(server->fake);
	fake_expect(c, "ws 42[\"a\"]; ws 42[\"b\\\"\\n\",{\"x\":1},2]; ws 452-[\"c\",{},{}]; wsbin \x01\x02; wsbin ; ");
}

static void test_acks(void **state)
{
	static const sio_slice one[] = { { "z", 1 } };
	struct sio_args none = { 0 }, binary = { SIO_LIT("{}"), one, 1 }, too_many = { SIO_LIT(""), one, 11 };

	(void)state;
	assert_int_equal(sio_socket_ack(sock, 0, &none), SIO_OK);
	assert_int_equal(sio_socket_ack(sock, 12, &binary), SIO_OK);
	assert_int_equal(sio_socket_ack(sock, SIO_ACK_NONE, &none), SIO_ERR_INVAL);
	assert_int_equal(sio_socket_ack(sock, 1, &too_many), SIO_ERR_INVAL);
	fake_turn(server->fake);
	fake_expect(c, "ws 430[]; ws 461-12[{}]; wsbin z; ");
	sio_socket_ref(sock);
	fake_hang_up(c, EIO_WIRE_WS);
	assert_int_equal(sio_socket_ack(sock, 1, &none), SIO_ERR_CLOSED);
	assert_int_equal(sio_socket_emit(sock, SIO_LIT("a"), &none), SIO_ERR_CLOSED);
	assert_int_equal(sio_room_join(sock, SIO_LIT("r")), SIO_ERR_CLOSED);
	assert_false(sio_socket_is_open(sock));
	sio_socket_disconnect(sock, true);
	sio_socket_close_transport(sock);
	sio_socket_pause(sock);
	sio_socket_resume(sock);
	sio_socket_unref(sock);
}

static void test_handlers_by_name(void **state)
{
	int data = 0;

	(void)state;
	assert_int_equal(sio_on_event(server, "a", on_any, NULL), SIO_OK);
	assert_int_equal(sio_on_event(server, "a", on_any, &data), SIO_OK); /* replaces */
	assert_int_equal(sio_on_event(server, "", on_any, NULL), SIO_OK);
	assert_int_equal(server->hub.nsps->rules.handlers.n, 2);
	assert_int_equal(sio_on_event(server, NULL, NULL, NULL), SIO_OK);
	fake_ws(c, "42[\"a\"]");
	fake_ws(c, "42[\"nobody's\"]");
	fake_ws(c, "42[\"\"]");
	expect_heard("a(); (); ");
	sio_socket_set_data(sock, &data);
	assert_ptr_equal(sio_socket_data(sock), &data);
}

/* ---- disconnecting -------------------------------------------------------------------- */

static void test_disconnect_one(void **state)
{
	(void)state;
	assert_int_equal(sio_room_join(sock, SIO_LIT("r")), SIO_OK);
	sio_socket_emit(sock, SIO_LIT("last"), &(struct sio_args){ 0 });
	sio_socket_disconnect(sock, false);
	expect_heard("end server namespace disconnect; ");
	fake_turn(server->fake);
	fake_expect(c, "ws 42[\"last\"]; ws 41; ");
	assert_true(eio_is_open(fake_session(c)));
	assert_int_equal(sio_room_size(server, SIO_LIT("r")), 0);
}

static void test_disconnect_and_close(void **state)
{
	(void)state;
	sio_socket_disconnect(sock, true);
	expect_heard("end server namespace disconnect; ");
	fake_turn(server->fake);
	fake_expect(c, "closed forced close; ws 41; ws close 0; gone; ");
}

static void end_other(struct sio_socket *s, sio_slice reason, void *arg)
{
	struct sio_socket *other = to_end;

	on_disconnect(s, reason, arg);
	to_end = NULL;
	if (other)
		sio_socket_disconnect(other, true);
}

/* Sockets of several namespaces on one session: each is told. */
static void test_disconnect_and_close_with_namespaces(void **state)
{
	struct sio_namespace *board = sio_namespace_open(server, SIO_LIT("/board"));

	(void)state;
	sio_namespace_on_disconnect(board, on_disconnect, NULL);
	fake_ws(c, "40/board,{}");
	assert_ptr_equal(hub_socket(c)->nsp, board);
	fake_turn(server->fake);
	buf_clear(&c->log);
	sio_socket_disconnect(hub_socket(c), true);
	fake_turn(server->fake);
	fake_expect(c, "closed forced close; ws 41/board,; ws 41; ws close 0; gone; ");
	expect_heard("end server namespace disconnect; end server namespace disconnect; ");
	/* The handler of one end ends the other. */
	c = hub_connected(server);
	sock = hub_socket(c);
	fake_ws(c, "40/board,{}");
	fake_turn(server->fake);
	buf_clear(&c->log);
	sio_on_disconnect(server, end_other, NULL);
	to_end = hub_socket(c);
	sio_socket_disconnect(sock, true);
	fake_turn(server->fake);
	fake_expect(c, "closed forced close; ws 41; ws 41/board,; ws close 0; gone; ");
}

static void test_close_transport(void **state)
{
	(void)state;
	sio_socket_emit(sock, SIO_LIT("last"), &(struct sio_args){ 0 });
	sio_socket_close_transport(sock);
	expect_heard("end forced close; ");
	fake_turn(server->fake);
	fake_expect(c, "closed forced close; ws 42[\"last\"]; ws close 0; gone; ");
}

static void test_reasons(void **state)
{
	(void)state;
	fake_ws(c, "41");
	expect_heard("end client namespace disconnect; ");
	c = hub_connected(server);
	fake_ws(c, "1");
	expect_heard("end transport close; ");
	c = hub_connected(server);
	fake_ws(c, "2");
	expect_heard("end transport error; ");
	c = hub_connected(server);
	fake_ws(c, "9");
	expect_heard("end parse error; ");
	c = hub_connected(server);
	fake_run(server->fake, 45100);
	expect_heard("end ping timeout; ");
}

/* ---- pause and resume -------------------------------------------------------------------- */

static void test_pause_keeps_order(void **state)
{
	(void)state;
	sio_socket_pause(sock);
	fake_ws(c, "42[\"a\",1]");
	fake_ws(c, "451-[\"b\",{\"_placeholder\":true,\"num\":0}]");
	fake_ws_binary(c, "bin", 3);
	fake_ws(c, "42[\"c\"]");
	expect_heard("");
	sio_socket_pause(sock);
	sio_socket_resume(sock);
	expect_heard("");
	sio_socket_resume(sock);
	expect_heard("a(1); b({\"_placeholder\":true,\"num\":0})+bin; c(); ");
	fake_ws(c, "42[\"d\"]");
	expect_heard("d(); ");
	sio_socket_resume(sock); /* one too many is nothing */
	fake_ws(c, "42[\"e\"]");
	expect_heard("e(); ");
}

static void pause_it(struct sio_socket *s, const struct sio_event *e, void *arg)
{
	sio_socket_pause(s);
	on_any(s, e, arg);
}

static void test_handler_pauses_again(void **state)
{
	(void)state;
	assert_int_equal(sio_on_event(server, "wait", pause_it, NULL), SIO_OK);
	fake_ws(c, "42[\"wait\",1]");
	fake_ws(c, "42[\"wait\",2]");
	fake_ws(c, "42[\"x\"]");
	expect_heard("wait(1); ");
	sio_socket_resume(sock);
	expect_heard("wait(2); ");
	fake_ws(c, "42[\"y\"]");
	expect_heard("");
	sio_socket_resume(sock);
	expect_heard("x(); y(); ");
}

/* What was sent before the client left its namespace is still heard. */
static void test_leaving_waits_for_what_is_held(void **state)
{
	(void)state;
	sio_socket_pause(sock);
	fake_ws(c, "42[\"a\",1]");
	fake_ws(c, "41");
	assert_true(sio_socket_is_open(sock));
	expect_heard("");
	sio_socket_ref(sock);
	sio_socket_resume(sock);
	assert_false(sio_socket_is_open(sock));
	sio_socket_unref(sock);
	expect_heard("a(1); end client namespace disconnect; ");
}

static void end_it(struct sio_socket *s, const struct sio_event *e, void *arg)
{
	sio_socket_disconnect(s, false);
	on_any(s, e, arg); /* borrowed for the call: still there */
}

static void test_handler_of_a_held_event_ends_the_socket(void **state)
{
	(void)state;
	assert_int_equal(sio_on_event(server, "bye", end_it, NULL), SIO_OK);
	sio_socket_pause(sock);
	fake_ws(c, "42[\"bye\",\"held bytes\"]");
	fake_ws(c, "42[\"never\"]");
	sio_socket_resume(sock);
	expect_heard("end server namespace disconnect; bye(\"held bytes\"); ");
}

static void test_end_while_paused(void **state)
{
	(void)state;
	sio_socket_ref(sock);
	sio_socket_pause(sock);
	fake_ws(c, "42[\"a\"]");
	fake_hang_up(c, EIO_WIRE_WS);
	expect_heard("end transport close; ");
	sio_socket_resume(sock);
	expect_heard("");
	sio_socket_unref(sock);
}

/* A client that leaves and closes while an answer is being waited for has left, and is not lost. */
static void test_a_held_goodbye_is_heard_when_the_connection_ends(void **state)
{
	(void)state;
	sio_socket_ref(sock);
	sio_socket_pause(sock);
	fake_ws(c, "42[\"a\"]");
	fake_ws(c, "41");
	expect_heard("");
	fake_hang_up(c, EIO_WIRE_WS);
	expect_heard("end client namespace disconnect; ");
	sio_socket_resume(sock);
	expect_heard("");
	sio_socket_unref(sock);
}

/* Over long-polling its end has another name. */
static void test_a_held_goodbye_over_polling(void **state)
{
	struct fake_client *polling = hub_open(server, EIO_POLLING);
	struct sio_socket *s;

	(void)state;
	fake_post(polling, "40");
	fake_get(polling);
	fake_turn(server->fake);
	fake_get(polling);
	s = hub_socket(polling);
	assert_non_null(s);
	sio_socket_ref(s);
	sio_socket_pause(s);
	fake_post(polling, "41");
	expect_heard("");
	fake_hang_up(polling, EIO_WIRE_GET);
	expect_heard("end client namespace disconnect; ");
	sio_socket_resume(s);
	sio_socket_unref(s);
}

static void test_held_bytes_are_bounded(void **state)
{
	char text[4001] = "42[\"a\",\"";

	(void)state;
	memset(text + 8, 'x', sizeof(text) - 8);
	memcpy(text + sizeof(text) - 3, "\"]", 3);
	sio_socket_pause(sock);
	fake_ws(c, text);
	fake_ws(c, text);
	expect_heard("");
	fake_ws(c, text); /* max_payload_bytes is 10000 */
	expect_heard("end forced close; ");
}

/* What has been released counts no longer, though the queue never became empty. */
static void test_held_bytes_are_counted_back(void **state)
{
	char text[1001] = "42[\"wait\",\"";

	(void)state;
	memset(text + 11, 'x', sizeof(text) - 11);
	memcpy(text + sizeof(text) - 3, "\"]", 3);
	assert_int_equal(sio_on_event(server, "wait", pause_it, NULL), SIO_OK);
	fake_ws(c, text);
	fake_ws(c, text);
	for (int i = 0; i < 100; i++) {
		fake_ws(c, text);
		sio_socket_resume(sock);
	}
	assert_true(eio_is_open(fake_session(c)));
}

/* ---- the rate limit ------------------------------------------------------------------------ */

static uint32_t last_retry_ms;

static void on_limited(struct sio_socket *s, const struct sio_event *e, uint32_t retry_ms, void *arg)
{
	(void)s, (void)arg;
	buf_printf(&heard, "limited %.*s; ", (int)e->name.n, e->name.p);
	last_retry_ms = retry_ms;
}

static void test_rate_limit(void **state)
{
	(void)state;
	sio_on_limited(server, on_limited, NULL);
	for (int i = 0; i < 20; i++)
		fake_ws(c, "42[\"a\"]");
	buf_clear(&heard);
	fake_ws(c, "42[\"b\"]");
	expect_heard("limited b; ");
	assert_true(last_retry_ms >= 100 && last_retry_ms <= 101);
	fake_run(server->fake, last_retry_ms);
	fake_ws(c, "42[\"c\"]");
	fake_ws(c, "42[\"d\"]");
	expect_heard("c(); limited d; ");
	/* The bucket has a bottom and a rim. */
	fake_run(server->fake, 20000);
	for (int i = 0; i < 21; i++)
		fake_ws(c, "42[\"a\"]");
	assert_int_equal(server->hub.limited, 3);
	sio_on_limited(server, NULL, NULL);
	fake_ws(c, "42[\"a\"]");
	assert_int_equal(server->hub.limited, 4);
	assert_true(eio_is_open(fake_session(c)));
}

/* Over many steps never more than burst + rate x time. */
static void test_rate_over_time(void **state)
{
	uint64_t random = fake_seed(), start = server->fake->engine.now_ms, passed = 0, limited = 0;

	(void)state;
	server->fake->is_quiet = true;
	for (int i = 0; i < 3000; i++) {
		uint64_t before = server->hub.limited;
		fake_run(server->fake, fake_random(&random, 200));
		fake_ws(c, "3");
		fake_ws(c, "42[\"a\"]");
		limited = server->hub.limited;
		passed += limited == before;
		assert_true(passed * 1000 <= 20000 + (server->fake->engine.now_ms - start) * 10);
	}
	assert_true(passed > 2500);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_emit),
		TEST(test_acks),
		TEST(test_handlers_by_name),
		TEST(test_disconnect_one),
		TEST(test_disconnect_and_close),
		TEST(test_disconnect_and_close_with_namespaces),
		TEST(test_close_transport),
		TEST(test_reasons),
		TEST(test_pause_keeps_order),
		TEST(test_handler_pauses_again),
		TEST(test_leaving_waits_for_what_is_held),
		TEST(test_handler_of_a_held_event_ends_the_socket),
		TEST(test_end_while_paused),
		TEST(test_a_held_goodbye_is_heard_when_the_connection_ends),
		TEST(test_a_held_goodbye_over_polling),
		TEST(test_held_bytes_are_bounded),
		TEST(test_held_bytes_are_counted_back),
		cmocka_unit_test_setup_teardown(test_rate_limit, setup_limited, teardown),
		cmocka_unit_test_setup_teardown(test_rate_over_time, setup_limited, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
