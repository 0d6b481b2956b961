/* engine_session_test.c -- Engine.IO sessions in simulated time: handshake, polling,
 * WebSocket, heartbeat, slow readers and all the ways to end.
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

#include "lib/fake_engine.h"

static struct fake *f;
static struct fake_client *c;

static int setup(void **state)
{
	(void)state;
	f = fake_new(NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_free(f);
	return 0;
}

static void open_polling(void)
{
	c = fake_client(f, EIO_POLLING);
}

static void open_ws(void)
{
	c = fake_client(f, EIO_WEBSOCKET);
}

/* A timer may be up to one tick late. */
static void run_past(uint64_t ms)
{
	fake_run(f, ms + WHEEL_TICK_MS);
}

/* ---- sections 4 and 5 -------------------------------------------------------------- */

static void test_open_packet(void **state)
{
	char want[256];

	(void)state;
	c = fake_open(f, EIO_POLLING);
	fake_check(f);
	fake_turn(f);
	snprintf(want, sizeof(want),
		 "get 200 0{\"sid\":\"%s\",\"upgrades\":[\"websocket\"],\"pingInterval\":25000,"
		 "\"pingTimeout\":20000,\"maxPayload\":1000000}; ",
		 c->sid);
	fake_expect(c, want);
	c = fake_open(f, EIO_WEBSOCKET);
	fake_turn(f);
	snprintf(want, sizeof(want),
		 "ws 0{\"sid\":\"%s\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}; ",
		 c->sid);
	fake_expect(c, want);
}

static void test_each_packet_type_on_websocket(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "4hi", "msg hi; " },
		{ "4", "msg ; " },
		{ "b3q2+", "bin \xde\xad\xbe; " },
		{ "3", "" },
		{ "3probe", "" },
		{ "0{}", "" },
		{ "5", "" },
		{ "6", "" },
		{ "1", "ws close 0; closed transport close; gone; " },
		{ "2", "ws close 0; closed transport error; gone; " },
		{ "2probe", "ws close 0; closed transport error; gone; " },
		{ "", "ws close 0; closed parse error; gone; " },
		{ "7", "ws close 0; closed parse error; gone; " },
		{ "abc", "ws close 0; closed parse error; gone; " },
		{ "b!!!!", "ws close 0; closed parse error; gone; " },
		{ "\x01", "ws close 0; closed parse error; gone; " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		open_ws();
		fake_ws(c, rows[i].text);
		fake_check(f);
		fake_expect(c, rows[i].want);
		fake_ws(c, "4late"); /* dropped silently once it has ended */
		fake_ws_binary(c, "x", 1);
		fake_expect(c, rows[i].want[0] == 'w' ? "" : "msg late; bin x; ");
		fake_turn(f);
	}
	assert_int_equal(f->engine.parse_errors, 5);
}

/* ---- section 6 ---------------------------------------------------------------------- */

static void test_poll_takes_the_whole_queue(void **state)
{
	(void)state;
	open_polling();
	fake_send(c, "4a");
	fake_send(c, "4b");
	fake_turn(f);
	fake_expect(c, "");
	fake_get(c);
	fake_turn(f);
	fake_expect(c, "get 200 4a|4b; ");
	fake_get(c);
	fake_turn(f);
	fake_expect(c, "");
	fake_send(c, "4c");
	fake_check(f);
	fake_turn(f);
	fake_expect(c, "get 200 4c; ");
	fake_check(f);
}

static void test_posts(void **state)
{
	static const struct {
		const char *body, *want;
	} rows[] = {
		{ "4hi", "msg hi; post 200 ok; " },
		{ "4a\x1e" "bAQI=\x1e" "4b\x1e" "3", "msg a; bin \x01\x02; msg b; post 200 ok; " },
		{ "6", "post 200 ok; " },
		{ "0{}\x1e" "5", "post 200 ok; " },
		/* 6.3: what came before the bad packet was delivered; the answer is 400. */
		{ "4a\x1e" "abc\x1e" "4b", "msg a; post 400 ; closed parse error; gone; " },
		{ "", "post 400 ; closed parse error; gone; " },
		{ "4a\x1e", "msg a; post 400 ; closed parse error; gone; " },
		{ "\x1e\x1e\x1e", "post 400 ; closed parse error; gone; " },
		{ "b!!!!", "post 400 ; closed parse error; gone; " },
		{ "4\xff", "post 400 ; closed parse error; gone; " },
		/* 6.3: wrong direction closes and still gets "ok". */
		{ "4a\x1e" "2\x1e" "4b", "msg a; closed transport error; gone; post 200 ok; " },
		{ "4a\x1e" "1\x1e" "4b", "msg a; closed transport close; post 200 ok; " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		open_polling();
		fake_post(c, rows[i].body);
		fake_check(f);
		fake_expect(c, rows[i].want);
		fake_turn(f);
	}
}

static void test_too_many_packets_in_a_payload(void **state)
{
	char body[2 * 1001];

	(void)state;
	for (int i = 0; i < 1001; i++) {
		body[2 * i] = '6';
		body[2 * i + 1] = 0x1e;
	}
	open_polling();
	assert_true(fake_post_begin(c));
	fake_post_body(c, body, 2 * 1000 - 1);
	fake_expect(c, "post 200 ok; ");
	assert_true(fake_post_begin(c));
	fake_post_body(c, body, 2 * 1001 - 1);
	fake_expect(c, "post 400 ; closed parse error; gone; ");
}

static void test_post_beside_a_pending_get(void **state)
{
	(void)state;
	open_polling();
	fake_get(c);
	fake_post(c, "4x");
	fake_expect(c, "msg x; post 200 ok; ");
	fake_post(c, "1");
	fake_expect(c, "get 200 6; closed transport close; gone; post 200 ok; ");
}

static void test_overlap(void **state)
{
	(void)state;
	open_polling();
	fake_get(c);
	fake_get(c);
	fake_expect(c, "get 200 1; closed transport error; gone; get 400; ");
	fake_turn(f);
	assert_false(fake_knows(f, c->sid));
	open_polling();
	fake_get(c);
	assert_true(fake_post_begin(c));
	assert_false(fake_post_begin(c));
	fake_expect(c, "get 200 1; closed transport error; gone; post 400; ");
	/* The first one still arrives; its packets are for nobody. */
	fake_post_body(c, "4x", 2);
	fake_expect(c, "post 200 ok; ");
}

static void test_refused_post(void **state)
{
	(void)state;
	open_polling();
	assert_true(fake_post_begin(c));
	eio_post_refuse(fake_session(c), 413);
	fake_expect(c, "post 413 ; closed transport error; gone; ");
}

/* A pending GET does not tell the client "closed by the server" before it has seen why. */
static void test_refused_post_beside_a_get(void **state)
{
	(void)state;
	open_polling();
	fake_get(c);
	fake_send(c, "4dropped");
	assert_true(fake_post_begin(c));
	eio_post_refuse(fake_session(c), 413);
	fake_send(c, "4for nobody");
	fake_turn(f);
	fake_expect(c, "post 413 ; closed transport error; ");
	fake_check(f);
	fake_hang_up(c, EIO_WIRE_GET);
	fake_expect(c, "gone; ");
	/* One that does not hang up is told in the end; another POST of it changes nothing. */
	open_polling();
	fake_get(c);
	assert_true(fake_post_begin(c));
	eio_post_refuse(fake_session(c), 413);
	assert_true(fake_post_begin(c));
	eio_post_refuse(fake_session(c), 413);
	fake_run(f, 900);
	fake_expect(c, "post 413 ; closed transport error; post 413 ; ");
	fake_run(f, 200);
	fake_expect(c, "get 200 1; gone; ");
	/* An upgrade that had begun is over. */
	open_polling();
	fake_get(c);
	assert_true(fake_probe(c));
	assert_true(fake_post_begin(c));
	eio_post_refuse(fake_session(c), 413);
	fake_expect(c, "post 413 ; probe close 0; closed transport error; ");
	fake_run(f, 1100);
	fake_expect(c, "get 200 1; gone; ");
}

static void test_connections_that_break(void **state)
{
	(void)state;
	open_polling();
	fake_get(c);
	fake_hang_up(c, EIO_WIRE_GET);
	fake_expect(c, "closed transport error; gone; ");
	open_polling();
	fake_get(c);
	assert_true(fake_post_begin(c));
	fake_hang_up(c, EIO_WIRE_POST);
	fake_expect(c, "get 200 1; closed transport error; gone; ");
	open_ws();
	fake_send(c, "4x");
	fake_hang_up(c, EIO_WIRE_WS);
	fake_expect(c, "closed transport close; gone; ");
	open_ws();
	eio_ws_fault(fake_session(c), 1009);
	fake_expect(c, "ws close 1009; closed transport error; gone; ");
}

/* ---- section 8 ---------------------------------------------------------------------- */

static void test_heartbeat(void **state)
{
	(void)state;
	open_ws();
	for (int i = 0; i < 3; i++) {
		fake_run(f, 24000);
		fake_expect(c, "");
		run_past(1000);
		fake_expect(c, "ws 2; ");
		fake_run(f, 19000);
		fake_ws(c, "3");
		fake_expect(c, "");
	}
}

static void test_only_a_pong_counts(void **state)
{
	(void)state;
	open_ws();
	run_past(25000);
	fake_expect(c, "ws 2; ");
	fake_run(f, 19000);
	fake_ws(c, "4not a pong");
	fake_expect(c, "msg not a pong; ");
	run_past(1000);
	fake_expect(c, "ws close 0; closed ping timeout; gone; ");
}

static void test_unasked_pong_restarts_the_interval(void **state)
{
	(void)state;
	open_ws();
	fake_run(f, 20000);
	fake_ws(c, "3");
	fake_run(f, 24000);
	fake_expect(c, "");
	run_past(1000);
	fake_expect(c, "ws 2; ");
}

static void test_heartbeat_by_polling(void **state)
{
	(void)state;
	open_polling();
	fake_get(c);
	run_past(25000);
	fake_expect(c, "get 200 2; ");
	fake_post(c, "3");
	fake_expect(c, "post 200 ok; ");
	/* No GET: the ping waits while its time-out runs. */
	run_past(25000);
	fake_expect(c, "");
	fake_run(f, 10000);
	fake_get(c);
	fake_turn(f);
	fake_expect(c, "get 200 2; ");
	fake_get(c);
	run_past(10000);
	fake_expect(c, "get 200 1; closed ping timeout; gone; ");
	/* A dead one ends in silence. */
	open_polling();
	run_past(45000 + WHEEL_TICK_MS);
	fake_expect(c, "closed ping timeout; gone; ");
	assert_false(fake_knows(f, c->sid));
}

/* ---- section 9 ---------------------------------------------------------------------- */

static void test_client_closes_by_post(void **state)
{
	(void)state;
	/* A GET that crossed it is still answered (section 16.8) ... */
	open_polling();
	fake_post(c, "1");
	fake_expect(c, "closed transport close; post 200 ok; ");
	fake_check(f);
	fake_run(f, 50);
	fake_post(c, "4x");
	fake_expect(c, "post 400; ");
	fake_get(c);
	fake_expect(c, "get 200 6; gone; ");
	fake_turn(f);
	/* ... but not for long. */
	open_polling();
	fake_post(c, "1");
	buf_clear(&c->log);
	run_past(100);
	fake_expect(c, "gone; ");
	assert_false(fake_knows(f, c->sid));
	/* Nor is a lingering one left over when the server stops. */
	open_polling();
	fake_post(c, "1");
}

static void test_close_with_empty_queue(void **state)
{
	(void)state;
	open_ws();
	eio_close(fake_session(c), "forced close");
	fake_expect(c, "ws close 0; closed forced close; gone; ");
	open_polling();
	fake_get(c);
	eio_close(fake_session(c), "forced close");
	fake_expect(c, "get 200 1; closed forced close; gone; ");
	open_polling();
	eio_close(fake_session(c), "forced close");
	fake_expect(c, "closed forced close; ");
	fake_turn(f);
	fake_check(f);
	assert_true(fake_knows(f, c->sid));
	fake_run(f, 20000);
	fake_get(c);
	fake_expect(c, "get 200 6\x1e" "1; gone; ");
}

static void test_close_with_a_queue(void **state)
{
	(void)state;
	open_polling();
	fake_send(c, "4a");
	eio_close(fake_session(c), "forced close");
	eio_close(fake_session(c), "forced close"); /* once is enough */
	fake_send(c, "4too late");
	fake_turn(f);
	fake_expect(c, "closed forced close; ");
	fake_get(c);
	fake_turn(f);
	fake_expect(c, "get 200 4a; ");
	fake_post(c, "4x"); /* accepted, delivered to nobody */
	fake_expect(c, "post 200 ok; ");
	fake_get(c);
	fake_expect(c, "get 200 6\x1e" "1; gone; ");
	/* With the GET pending already. */
	open_polling();
	fake_get(c);
	fake_send(c, "4a");
	eio_close(fake_session(c), "forced close");
	fake_turn(f);
	fake_expect(c, "closed forced close; get 200 4a; ");
	fake_get(c);
	fake_expect(c, "get 200 6\x1e" "1; gone; ");
	/* WebSocket: what waits goes first. */
	open_ws();
	fake_send(c, "4a");
	fake_send(c, "4b");
	eio_close(fake_session(c), "forced close");
	fake_expect(c, "closed forced close; ");
	fake_ws(c, "4x");
	fake_turn(f);
	fake_expect(c, "ws 4a; ws 4b; ws close 0; gone; ");
}

static void test_close_that_nobody_fetches(void **state)
{
	(void)state;
	open_polling();
	fake_send(c, "4a");
	eio_close(fake_session(c), "forced close");
	fake_run(f, 29000);
	assert_true(fake_knows(f, c->sid));
	run_past(1000);
	fake_expect(c, "closed forced close; gone; ");
	/* A WebSocket that takes nothing: cut, for a frame is half written. */
	open_ws();
	c->takes = 1;
	fake_send(c, "4a");
	eio_close(fake_session(c), "forced close");
	run_past(30000);
	fake_expect(c, "closed forced close; ws close -1; gone; ");
	assert_int_equal(f->engine.queued_bytes, 0);
}

static void test_close_waits_for_a_slow_socket(void **state)
{
	(void)state;
	open_ws();
	c->takes = 1;
	fake_send(c, "4a");
	fake_turn(f);
	eio_close(fake_session(c), "forced close");
	fake_turn(f);
	fake_expect(c, "closed forced close; ");
	fake_ws_takes(c, SIZE_MAX);
	fake_turn(f);
	fake_expect(c, "ws 4a; ws close 0; gone; ");
}

static void test_client_leaves_while_closing(void **state)
{
	(void)state;
	open_polling();
	fake_send(c, "4a");
	fake_get(c);
	eio_close(fake_session(c), "forced close");
	fake_hang_up(c, EIO_WIRE_GET);
	fake_expect(c, "closed forced close; gone; ");
	open_ws();
	c->takes = 0;
	fake_send(c, "4a");
	eio_close(fake_session(c), "forced close");
	fake_turn(f);
	fake_hang_up(c, EIO_WIRE_WS);
	fake_expect(c, "closed forced close; gone; ");
	/* Overlap in CLOSING. */
	open_polling();
	fake_send(c, "4a");
	fake_get(c);
	eio_close(fake_session(c), "forced close");
	fake_get(c);
	fake_expect(c, "closed forced close; get 200 1; gone; get 400; ");
}

static void test_discard(void **state)
{
	struct fake_client *all[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		all[i] = fake_client(f, i == 0 ? EIO_WEBSOCKET : EIO_POLLING);
	fake_get(all[1]);
	fake_send(all[0], "4dropped");
	fake_send(all[2], "4dropped");
	fake_send(all[3], "4dropped");
	eio_close(fake_session(all[3]), "forced close");
	eio_engine_discard_all(&f->engine, "server shutting down");
	fake_expect(all[0], "ws close 0; closed server shutting down; gone; ");
	fake_expect(all[1], "get 200 1; closed server shutting down; gone; ");
	fake_expect(all[2], "closed server shutting down; gone; ");
	fake_expect(all[3], "closed forced close; gone; ");
	eio_discard(fake_session(all[0]), "again");
	fake_expect(all[0], "");
}

/* ---- callbacks that close ------------------------------------------------------------ */

static void close_gracefully(struct fake_client *client, char *data, size_t n, bool is_binary)
{
	(void)is_binary;
	fake_log(client, "msg %.*s; ", (int)n, data);
	eio_close(fake_session(client), "forced close");
}

static void close_now(struct fake_client *client, char *data, size_t n, bool is_binary)
{
	(void)is_binary;
	fake_log(client, "msg %.*s; ", (int)n, data);
	eio_discard(fake_session(client), "forced close");
}

static void close_everything(struct fake_client *client, const char *reason)
{
	(void)reason;
	eio_discard(fake_session(client), "again");
	eio_close(fake_session(client), "again");
	eio_engine_discard_all(&client->fake->engine, "all of them");
}

static void test_handler_closes_its_session(void **state)
{
	(void)state;
	f->message = close_gracefully;
	open_polling();
	fake_post(c, "4a\x1e" "4b");
	fake_expect(c, "msg a; closed forced close; post 200 ok; ");
	fake_get(c);
	fake_expect(c, "get 200 6\x1e" "1; gone; ");
	open_polling();
	fake_get(c);
	fake_post(c, "4a\x1e" "4b");
	fake_expect(c, "msg a; get 200 1; closed forced close; gone; post 200 ok; ");
	open_ws();
	fake_ws(c, "4a");
	fake_ws(c, "4b");
	fake_expect(c, "msg a; ws close 0; closed forced close; gone; ");
	f->message = close_now;
	open_polling();
	fake_post(c, "4a\x1e" "xx");
	fake_expect(c, "msg a; closed forced close; gone; post 200 ok; ");
}

static void test_one_end_causes_others(void **state)
{
	struct fake_client *other = fake_client(f, EIO_WEBSOCKET), *third = fake_client(f, EIO_POLLING);

	(void)state;
	open_ws();
	f->on_closed = close_everything;
	fake_ws(c, "1");
	fake_expect(c, "ws close 0; closed transport close; gone; ");
	fake_expect(other, "ws close 0; closed all of them; gone; ");
	fake_expect(third, "closed all of them; gone; ");
}

/* ---- slow readers (hostile 240 to 242) -------------------------------------------------- */

static void test_slow_websocket_is_cut(void **state)
{
	char text[1001];

	(void)state;
	memset(text, '4', 1000);
	text[1000] = '\0';
	open_ws();
	c->takes = 0;
	fake_send(c, "4a");
	fake_turn(f);
	for (int i = 0; i < 5; i++) { /* send_queue_bytes is 4096 */
		fake_send(c, text);
		fake_turn(f);
		assert_int_equal(f->engine.slow, 0);
	}
	fake_expect(c, "");
	fake_send(c, text);
	assert_true(eio_is_open(fake_session(c))); /* never inside eio_send */
	fake_send(c, text);
	fake_check(f);
	fake_turn(f);
	fake_expect(c, "ws close -1; closed transport close; gone; ");
	assert_int_equal(f->engine.slow, 1);
	assert_int_equal(f->engine.queued_bytes, 0);
}

static void test_absent_poller_is_cut(void **state)
{
	char text[1001];

	(void)state;
	memset(text, '4', 1000);
	text[1000] = '\0';
	open_polling();
	for (int i = 0; i < 10; i++)
		fake_send(c, text);
	fake_turn(f);
	fake_expect(c, "closed transport close; gone; ");
	assert_int_equal(f->engine.slow, 1);
}

static void test_a_burst_is_no_slowness(void **state)
{
	(void)state;
	f->is_quiet = true;
	open_ws();
	for (int i = 0; i < 5000; i++) /* ten times send_queue_bytes, in one turn */
		fake_send(c, "4burst");
	fake_turn(f);
	assert_int_equal(c->packets_n, 5001);
	assert_true(eio_is_open(fake_session(c)));
	for (int i = 0; i < 20000; i++) /* but there is an end to that as well */
		fake_send(c, "4burst");
	fake_turn(f);
	assert_int_equal(f->engine.slow, 1);
}

/* The largest limits must not overflow the queue's counter. */
static void test_huge_limits(void **state)
{
	struct eio_limits l = { .ping_interval_ms = 25000, .ping_timeout_ms = 20000, .upgrade_timeout_ms = 10000,
				.max_payload_bytes = 1u << 28, .send_queue_bytes = 1u << 28, .packets_n = 1000 };
	struct frame *big;

	(void)state;
	fake_free(f);
	f = fake_new(&l);
	open_ws();
	big = frame_new(&f->engine.frames, 1u << 20, NULL, 0);
	memset(frame_text(big), '4', 1u << 20);
	frame_seal(big, WS_TEXT, 1u << 20);
	for (int i = 0; i < 4200; i++) /* beyond 4 GiB, all of it the same bytes */
		eio_send(fake_session(c), big);
	assert_true(fake_session(c)->is_slow);
	assert_int_equal(f->engine.queued_bytes, fake_session(c)->out.bytes);
	frame_unref(big);
	fake_turn(f);
	assert_int_equal(f->engine.slow, 1);
}

static void test_volatile_for_a_lagging_websocket(void **state)
{
	(void)state;
	open_ws();
	fake_send_volatile(c, "4v0", 0);
	fake_send_volatile(c, "4k0", 7);
	fake_turn(f);
	fake_expect(c, "ws 4v0; ws 4k0; ");
	c->takes = 1; /* a frame half written */
	fake_send(c, "4a");
	fake_turn(f);
	fake_send_volatile(c, "4v1", 0);        /* dropped */
	fake_send_volatile(c, "4k1", 7);        /* waits */
	fake_send(c, "4b");
	fake_send_volatile(c, "4other", 8);     /* waits */
	fake_send_volatile(c, "4k2 longer", 7); /* takes the place of k1 */
	fake_check(f);
	assert_int_equal(f->engine.volatile_dropped, 1);
	assert_int_equal(f->engine.volatile_replaced, 1);
	fake_ws_takes(c, SIZE_MAX);
	fake_turn(f);
	fake_expect(c, "ws 4a; ws 4k2 longer; ws 4b; ws 4other; ");
	assert_int_equal(f->engine.queued_bytes, 0);
}

/* What was sent before the client fell behind does not come after what was sent later. */
static void test_volatile_newest_is_last(void **state)
{
	(void)state;
	open_ws();
	c->takes = 1;
	fake_send(c, "4a");
	fake_send_volatile(c, "4k1", 7);
	fake_send_volatile(c, "4k2", 7);
	fake_turn(f);
	fake_send_volatile(c, "4k3", 7);
	fake_ws_takes(c, SIZE_MAX);
	fake_turn(f);
	fake_expect(c, "ws 4a; ws 4k1; ws 4k3; ");
}

static void test_volatile_gives_way_when_much_waits(void **state)
{
	char text[2001];

	(void)state;
	memset(text, '4', 2000);
	text[2000] = '\0';
	open_ws();
	c->takes = 0;
	fake_send(c, text);
	fake_turn(f);
	fake_send_volatile(c, "4k1", 7);
	assert_int_equal(f->engine.volatile_dropped, 0);
	fake_send(c, "44444444444444444444444444444444444444444444444444444444444444");
	fake_send_volatile(c, "4k1", 8); /* over half of what may wait */
	assert_int_equal(f->engine.volatile_dropped, 1);
	fake_send_volatile(c, "4k2", 7); /* replacing is still fine */
	assert_int_equal(f->engine.volatile_replaced, 1);
}

static void test_volatile_by_polling(void **state)
{
	(void)state;
	open_polling();
	fake_send_volatile(c, "4v", 0);
	fake_send_volatile(c, "4k1", 7);
	fake_send_volatile(c, "4k2", 7);
	fake_get(c);
	fake_send_volatile(c, "4v2", 0);
	fake_turn(f);
	fake_expect(c, "get 200 4k2|4v2; ");
	assert_int_equal(f->engine.volatile_dropped, 1);
}

static void send_binary(const char *text, const char *bytes, uint32_t key)
{
	struct frame *fr = frame_new(&f->engine.frames, 100, (sio_slice[]){ sio_str(bytes) }, 1);

	memcpy(frame_text(fr), text, strlen(text));
	frame_seal(fr, WS_TEXT, strlen(text));
	fr->is_volatile = key != 0;
	fr->key = key;
	eio_send(fake_session(c), fr);
	frame_unref(fr);
}

/* A client that asked for b64=1 gets no binary message, on no way (section 7). */
static void test_base64_on_websocket(void **state)
{
	(void)state;
	open_ws();
	eio_ws_query(fake_session(c), SIO_LIT("EIO=4&b64=1"));
	send_binary("451-[1]", "abc", 0);
	fake_turn(f);
	fake_expect(c, "ws 451-[1]; ws bYWJj; ");
	c->takes = 1;
	fake_send(c, "4a");
	fake_turn(f);
	send_binary("451-[2]", "old", 7);
	send_binary("451-[3]", "new", 7);
	fake_check(f);
	assert_int_equal(f->engine.volatile_replaced, 1);
	fake_ws_takes(c, SIZE_MAX);
	fake_turn(f);
	fake_expect(c, "ws 4a; ws 451-[3]; ws bbmV3; ");
	/* What was queued before the upgrade as well. */
	open_polling();
	send_binary("451-[4]", "abc", 0);
	fake_send(c, "4b");
	assert_true(fake_probe(c));
	eio_ws_query(fake_session(c), SIO_LIT("b64=true"));
	fake_probe_text(c, "5");
	fake_check(f);
	fake_turn(f);
	fake_expect(c, "upgraded; ws 451-[4]; ws bYWJj; ws 4b; ");
}

static void test_written_in_pieces(void **state)
{
	(void)state;
	open_ws();
	c->takes = 0;
	for (int i = 0; i < 40; i++)
		fake_send(c, "4abc");
	fake_turn(f);
	for (unsigned i = 0; i < 40 * 6; i++) {
		fake_ws_takes(c, 1);
		fake_turn(f);
		fake_check(f);
		assert_int_equal(c->packets_n, 1 + (i + 1) / 6);
	}
	assert_int_equal(f->engine.queued_bytes, 0);
}

static void test_steady_load_allocates_nothing(void **state)
{
	uint64_t before = 0;

	(void)state;
	f->is_quiet = true;
	open_ws();
	for (int turn = 0; turn < 100; turn++) {
		for (int i = 0; i < 50; i++)
			fake_send(c, "4steady");
		fake_turn(f);
		if (turn == 0)
			before = frame_pool_mallocs(&f->engine.frames) + f->engine.chunks.slabs_total;
	}
	assert_int_equal(frame_pool_mallocs(&f->engine.frames) + f->engine.chunks.slabs_total, before);
	assert_int_equal(f->engine.deliveries, 5000);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_open_packet),
		TEST(test_each_packet_type_on_websocket),
		TEST(test_poll_takes_the_whole_queue),
		TEST(test_posts),
		TEST(test_too_many_packets_in_a_payload),
		TEST(test_post_beside_a_pending_get),
		TEST(test_overlap),
		TEST(test_refused_post),
		TEST(test_refused_post_beside_a_get),
		TEST(test_connections_that_break),
		TEST(test_heartbeat),
		TEST(test_only_a_pong_counts),
		TEST(test_unasked_pong_restarts_the_interval),
		TEST(test_heartbeat_by_polling),
		TEST(test_client_closes_by_post),
		TEST(test_close_with_empty_queue),
		TEST(test_close_with_a_queue),
		TEST(test_close_that_nobody_fetches),
		TEST(test_close_waits_for_a_slow_socket),
		TEST(test_client_leaves_while_closing),
		TEST(test_discard),
		TEST(test_handler_closes_its_session),
		TEST(test_one_end_causes_others),
		TEST(test_slow_websocket_is_cut),
		TEST(test_absent_poller_is_cut),
		TEST(test_a_burst_is_no_slowness),
		TEST(test_huge_limits),
		TEST(test_volatile_for_a_lagging_websocket),
		TEST(test_volatile_newest_is_last),
		TEST(test_volatile_gives_way_when_much_waits),
		TEST(test_volatile_by_polling),
		TEST(test_base64_on_websocket),
		TEST(test_written_in_pieces),
		TEST(test_steady_load_allocates_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
