/* hub_client_test.c -- Socket.IO sessions: connecting, packets in, binary packets.
 *
 * Section numbers refer to the project's reference of the protocol.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "lib/fake_hub.h"

static struct sio_server *server;
static struct fake_client *c;
static struct sio_connect *asked;   /* the last request, when the handler waits */

static void on_later(struct sio_connect *req, void *arg)
{
	(void)arg;
	asked = req;
}

static void on_any(struct sio_socket *s, const struct sio_event *e, void *arg)
{
	(void)s, (void)arg;
	buf_printf(&heard, "%.*s(%.*s)", (int)e->name.n, e->name.p, (int)e->args.json.n, e->args.json.p);
	for (unsigned i = 0; i < e->args.attachments_n; i++)
		buf_printf(&heard, "+%.*s", (int)e->args.attachments[i].n, e->args.attachments[i].p);
	if (e->ack != SIO_ACK_NONE)
		buf_printf(&heard, "#%llu", (unsigned long long)e->ack);
	buf_str(&heard, "; ");
}

static void on_disconnect(struct sio_socket *s, sio_slice reason, void *arg)
{
	(void)arg;
	assert_false(sio_socket_is_open(s));
	assert_int_equal(sio_socket_emit(s, SIO_LIT("x"), &(struct sio_args){ 0 }), SIO_ERR_CLOSED);
	buf_printf(&heard, "end %.*s; ", (int)reason.n, reason.p);
}

static int setup(void **state)
{
	(void)state;
	server = hub_start(NULL, NULL);
	sio_on_disconnect(server, on_disconnect, NULL);
	assert_int_equal(sio_on_event(server, NULL, on_any, NULL), SIO_OK);
	c = hub_open(server, EIO_WEBSOCKET);
	buf_clear(&heard);
	asked = NULL;
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

static void connect_now(void)
{
	fake_ws(c, "40");
	fake_turn(server->fake);
	buf_clear(&c->log);
}

/* ---- section 4 ------------------------------------------------------------------- */

static void test_connect(void **state)
{
	char want[128];

	(void)state;
	fake_ws(c, "40");
	fake_turn(server->fake);
	snprintf(want, sizeof(want), "ws 40{\"sid\":\"%.20s\"}; ", sio_socket_id(hub_socket(c)).p);
	fake_expect(c, want);
	assert_int_equal(sio_socket_id(hub_socket(c)).n, 20);
	assert_false(sio_slice_eq(sio_socket_id(hub_socket(c)), sio_str(c->sid)));
	assert_ptr_equal(sio_socket_server(hub_socket(c)), server);
	hub_check(server);
	/* The deadline is cancelled for good, also when all namespaces are left. */
	fake_ws(c, "41");
	expect_heard("end client namespace disconnect; ");
	for (int i = 0; i < 4; i++) {
		fake_run(server->fake, 26000);
		fake_ws(c, "3");
	}
	assert_true(eio_is_open(fake_session(c)));
	/* And it may come back. */
	connect_now();
	assert_non_null(hub_socket(c));
}

static void test_facts_of_the_request(void **state)
{
	struct sio_connect *req;

	(void)state;
	sio_on_connect(server, on_later, NULL);
	fake_ws(c, "40{\"token\":\"x\"}");
	req = asked;
	assert_true(sio_slice_eq(sio_connect_auth(req), SIO_LIT("{\"token\":\"x\"}")));
	assert_true(sio_slice_eq(sio_connect_header(req, "user-agent"), SIO_LIT("fake/1")));
	assert_int_equal(sio_connect_header(req, "cookie").n, 0);
	assert_true(sio_slice_eq(sio_connect_url(req), SIO_LIT("/socket.io/?EIO=4")));
	assert_true(sio_slice_eq(sio_connect_address(req), SIO_LIT("192.0.2.1")));
	assert_ptr_equal(sio_connect_server(req), server);
	assert_true(sio_connect_is_open(req));
	assert_non_null(sio_connect_accept(req));
	c = hub_open(server, EIO_WEBSOCKET);
	fake_ws(c, "40");
	assert_true(sio_slice_eq(sio_connect_auth(asked), SIO_LIT("{}")));
	sio_connect_accept(asked);
}

static void test_refused(void **state)
{
	(void)state;
	sio_on_connect(server, on_later, NULL);
	fake_ws(c, "40");
	sio_connect_refuse(asked, SIO_LIT("no \"way\""), SIO_LIT(""));
	fake_turn(server->fake);
	fake_expect(c, "ws 44{\"message\":\"no \\\"way\\\"\"}; ");
	/* It may try again; what it said may be part of the answer. */
	fake_ws(c, "40{\"why\":1}");
	sio_connect_refuse(asked, sio_connect_address(asked), sio_connect_auth(asked));
	fake_turn(server->fake);
	fake_expect(c, "ws 44{\"message\":\"192.0.2.1\",\"data\":{\"why\":1}}; ");
	assert_true(eio_is_open(fake_session(c)));
	assert_int_equal(server->hub.refused, 2);
	/* Whoever was refused is not connected: an event closes (4.1). */
	fake_ws(c, "42[\"x\"]");
	assert_false(eio_is_open(fake_session(c)));
	expect_heard("");
}

static void test_unknown_namespace(void **state)
{
	(void)state;
	fake_ws(c, "40/random");
	fake_ws(c, "40/board?x=1,{}");
	fake_turn(server->fake);
	fake_expect(c, "ws 44/random,{\"message\":\"Invalid namespace\"}; "
		       "ws 44/board?x=1,{\"message\":\"Invalid namespace\"}; ");
	connect_now();
	assert_non_null(hub_socket(c));
	/* But not for ever (hostile 171). */
	for (int i = 0; i < 200; i++) {
		fake_ws(c, "40/random");
		fake_turn(server->fake);
	}
	assert_int_equal(c->closed_n, 1);
	expect_heard("end parse error; ");
}

static void test_second_connect(void **state)
{
	(void)state;
	connect_now();
	fake_ws(c, "40");
	expect_heard("end parse error; ");
	assert_int_equal(c->closed_n, 1);
	/* While the first one is under decision. */
	sio_on_connect(server, on_later, NULL);
	c = hub_open(server, EIO_WEBSOCKET);
	fake_ws(c, "40");
	fake_ws(c, "40");
	assert_int_equal(c->closed_n, 1);
	assert_false(sio_connect_is_open(asked));
	assert_null(sio_connect_accept(asked));
	expect_heard("");
}

static void test_client_goes_while_asking(void **state)
{
	(void)state;
	sio_on_connect(server, on_later, NULL);
	fake_ws(c, "40{\"a\":1}");
	fake_hang_up(c, EIO_WIRE_WS);
	fake_turn(server->fake);
	assert_null(c->link);
	assert_false(sio_connect_is_open(asked));
	assert_true(sio_slice_eq(sio_connect_auth(asked), SIO_LIT("{\"a\":1}")));
	assert_true(sio_slice_eq(sio_connect_header(asked, "user-agent"), SIO_LIT("fake/1")));
	assert_null(sio_connect_accept(asked));
	c = hub_open(server, EIO_WEBSOCKET);
	fake_ws(c, "40");
	fake_hang_up(c, EIO_WIRE_WS);
	sio_connect_refuse(asked, SIO_LIT("no"), SIO_LIT(""));
	expect_heard("");
}

static void test_event_while_asking(void **state)
{
	(void)state;
	sio_on_connect(server, on_later, NULL);
	fake_ws(c, "40");
	fake_ws(c, "42[\"x\"]");
	assert_int_equal(c->closed_n, 1);
	sio_connect_refuse(asked, SIO_LIT("no"), SIO_LIT(""));
}

static void test_connect_time_out(void **state)
{
	struct fake_client *asking = hub_open(server, EIO_WEBSOCKET), *refused = hub_open(server, EIO_WEBSOCKET);

	(void)state;
	connect_now();
	fake_ws(refused, "40/nowhere");
	sio_on_connect(server, on_later, NULL);
	fake_ws(asking, "40");
	fake_run(server->fake, 30000);
	fake_ws(c, "3");
	fake_ws(asking, "3");
	fake_ws(refused, "3");
	fake_run(server->fake, 14900);
	assert_true(eio_is_open(fake_session(refused)));
	fake_run(server->fake, 120);
	assert_int_equal(refused->closed_n, 1);
	assert_int_equal(asking->closed_n, 1);
	assert_int_equal(c->closed_n, 0);
	assert_null(sio_connect_accept(asked));
}

/* ---- sections 3 and 6: packets in --------------------------------------------------- */

static void test_events(void **state)
{
	(void)state;
	connect_now();
	fake_ws(c, "42[\"cursor\",{\"x\":4},[1]]");
	fake_ws(c, "4217[\"add\"]");
	fake_ws(c, "42[1,2]");
	fake_ws(c, "42[\"\\u0061\\\"b\"]");
	fake_ws(c, "42[\"\"]");
	fake_ws(c, "43[]");
	fake_ws(c, "4377[\"x\"]");
	expect_heard("cursor({\"x\":4},[1]); add()#17; 1(2); a\"b(); (); ");
	assert_int_equal(server->hub.events, 5);
	assert_int_equal(sio_socket_ack(hub_socket(c), 17, &(struct sio_args){ .json = SIO_LIT("1,\"two\"") }), SIO_OK);
	fake_turn(server->fake);
	fake_expect(c, "ws 4317[1,\"two\"]; ");
}

static void test_faults_close_the_session(void **state)
{
	static const char *const faults[] = {
		"4", "47", "4x", "44{\"message\":\"x\"}", "42", "42{}", "42[]", "42[null]", "42[true]", "42[[\"a\"]]",
		"42[\"connect\"]", "42[\"disconnecting\"]", "42[\"newListener\"]", "42abc[\"x\"]", "42 [\"x\"]", "431{}",
		"41{}", "450-[\"e\"]", "45-[\"e\"]", "4511-[\"e\"]", "42/board,[\"e\"]", "41/board", "40[]", "40\"a\"",
		"40null", "42999999999999999999999[\"a\"]", "42-1[\"a\"]", "bAQID",
		"451-[\"e\",{\"_placeholder\":true,\"num\":1}]", "40",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		c = hub_connected(server);
		fake_ws(c, faults[i]);
		if (c->closed_n != 1)
			fail_msg("%s did not close", faults[i]);
		fake_expect(c, "ws close 0; closed parse error; gone; ");
		expect_heard("end parse error; ");
		hub_check(server);
		fake_turn(server->fake);
	}
	/* The first packet of all. */
	c = hub_open(server, EIO_WEBSOCKET);
	fake_ws(c, "42[\"x\"]");
	assert_int_equal(c->closed_n, 1);
	expect_heard("");
}

static void test_rest_of_a_payload_after_a_fault(void **state)
{
	(void)state;
	c = hub_open(server, EIO_POLLING);
	fake_post(c, "40\x1e" "42[\"a\"]\x1e" "42{}\x1e" "42[\"b\"]");
	expect_heard("a(); end parse error; ");
}

static void test_late_packets_are_forgiven(void **state)
{
	(void)state;
	connect_now();
	sio_socket_disconnect(hub_socket(c), false);
	expect_heard("end server namespace disconnect; ");
	fake_turn(server->fake);
	fake_expect(c, "ws 41; ");
	fake_ws(c, "42[\"late\"]");
	fake_ws(c, "451-[\"late\",{\"_placeholder\":true,\"num\":0}]");
	fake_ws_binary(c, "x", 1);
	fake_ws(c, "41");
	assert_int_equal(c->closed_n, 0);
	expect_heard("");
	connect_now();
	assert_non_null(hub_socket(c));
}

/* ---- binary packets ------------------------------------------------------------------- */

static void test_binary_event(void **state)
{
	(void)state;
	connect_now();
	fake_ws(c, "452-7[\"add\",{\"_placeholder\":true,\"num\":1},{\"_placeholder\":true,\"num\":0}]");
	fake_ws_binary(c, "one", 3);
	expect_heard("");
	fake_ws(c, "3"); /* pongs may stand in between */
	fake_ws_binary(c, "", 0);
	expect_heard("add({\"_placeholder\":true,\"num\":1},{\"_placeholder\":true,\"num\":0})+one+#7; ");
	fake_ws(c, "461-5[{\"_placeholder\":true,\"num\":0}]"); /* an ack of nothing */
	fake_ws_binary(c, "x", 1);
	fake_ws(c, "42[\"next\"]");
	expect_heard("next(); ");
}

static void test_binary_event_by_polling(void **state)
{
	(void)state;
	c = hub_open(server, EIO_POLLING);
	fake_post(c, "40\x1e" "451-[\"a\",{\"_placeholder\":true,\"num\":0}]\x1e" "bYWJj");
	expect_heard("a({\"_placeholder\":true,\"num\":0})+abc; ");
}

static void test_text_between_attachments(void **state)
{
	(void)state;
	connect_now();
	fake_ws(c, "452-[\"a\"]");
	fake_ws_binary(c, "one", 3);
	fake_ws(c, "42[\"x\"]");
	expect_heard("end parse error; ");
}

static void test_attachments_are_bounded(void **state)
{
	static char big[10000];

	(void)state;
	connect_now();
	fake_ws(c, "4510-[\"a\"]");
	for (int i = 0; i < 4; i++) /* max_payload_bytes is 10000 */
		fake_ws_binary(c, big, sizeof(big));
	expect_heard("");
	fake_ws_binary(c, big, 1);
	expect_heard("end parse error; ");
}

static void test_attachments_have_a_deadline(void **state)
{
	(void)state;
	connect_now();
	fake_run(server->fake, 20000);
	fake_ws(c, "3");
	fake_ws(c, "452-[\"a\"]");
	fake_run(server->fake, 10000);
	fake_ws_binary(c, "one", 3); /* buys no time */
	fake_run(server->fake, 19900);
	fake_ws(c, "3");
	expect_heard("");
	fake_run(server->fake, 120);
	expect_heard("end parse error; ");
}

static void test_session_ends_with_attachments_due(void **state)
{
	(void)state;
	connect_now();
	fake_ws(c, "453-[\"a\"]");
	fake_ws_binary(c, "one", 3);
	fake_hang_up(c, EIO_WIRE_WS);
	expect_heard("end transport close; ");
	/* Before any CONNECT. */
	c = hub_open(server, EIO_WEBSOCKET);
	fake_ws(c, "451-[\"a\"]");
	assert_int_equal(c->closed_n, 1);
}

static void end_it(struct sio_socket *s, const struct sio_event *e, void *arg)
{
	sio_socket_close_transport(s);
	on_any(s, e, arg); /* the event is still there to be looked at */
}

static void test_handler_ends_the_session(void **state)
{
	(void)state;
	assert_int_equal(sio_on_event(server, "bye", end_it, NULL), SIO_OK);
	connect_now();
	fake_ws(c, "451-[\"bye\",{\"_placeholder\":true,\"num\":0}]");
	fake_ws_binary(c, "abc", 3);
	expect_heard("end forced close; bye({\"_placeholder\":true,\"num\":0})+abc; ");
	c = hub_open(server, EIO_POLLING);
	fake_post(c, "40\x1e" "42[\"bye\",1]\x1e" "42[\"never\"]");
	expect_heard("end forced close; bye(1); ");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_connect),
		TEST(test_facts_of_the_request),
		TEST(test_refused),
		TEST(test_unknown_namespace),
		TEST(test_second_connect),
		TEST(test_client_goes_while_asking),
		TEST(test_event_while_asking),
		TEST(test_connect_time_out),
		TEST(test_events),
		TEST(test_faults_close_the_session),
		TEST(test_rest_of_a_payload_after_a_fault),
		TEST(test_late_packets_are_forgiven),
		TEST(test_binary_event),
		TEST(test_binary_event_by_polling),
		TEST(test_text_between_attachments),
		TEST(test_attachments_are_bounded),
		TEST(test_attachments_have_a_deadline),
		TEST(test_session_ends_with_attachments_due),
		TEST(test_handler_ends_the_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
