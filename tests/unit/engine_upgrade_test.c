/* engine_upgrade_test.c -- from polling to WebSocket: section 10 of the reference,
 * every row of its edge rules.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "lib/fake_engine.h"

static struct fake *f;
static struct fake_client *c;

static int setup(void **state)
{
	(void)state;
	f = fake_new(NULL);
	c = fake_client(f, EIO_POLLING);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_check(f);
	fake_free(f);
	return 0;
}

static void run_past(uint64_t ms)
{
	fake_run(f, ms + WHEEL_TICK_MS);
}

static void test_normal_course(void **state)
{
	(void)state;
	fake_get(c);
	assert_true(fake_probe(c));
	fake_check(f);
	fake_probe_text(c, "2probe");
	fake_expect(c, "probe 3probe; ");
	fake_run(f, 90);
	fake_expect(c, "");
	run_past(10);
	fake_expect(c, "get 200 6; ");
	/* Polling is still the transport. */
	fake_post(c, "4x");
	fake_send(c, "4a");
	fake_get(c);
	fake_turn(f);
	fake_expect(c, "msg x; post 200 ok; get 200 4a; ");
	fake_send(c, "4b");
	fake_turn(f);
	fake_probe_text(c, "5");
	fake_expect(c, "upgraded; ");
	fake_turn(f);
	fake_expect(c, "ws 4b; ");
	assert_int_equal(f->engine.upgrades, 1);
	fake_run(f, 20000);
	fake_expect(c, ""); /* no more no-ops, no upgrade time-out */
}

static void test_get_after_the_probe_is_released(void **state)
{
	(void)state;
	assert_true(fake_probe(c));
	fake_probe_text(c, "2probe");
	for (int i = 0; i < 5; i++) {
		buf_clear(&c->log);
		fake_get(c);
		run_past(100 + WHEEL_TICK_MS);
		fake_expect(c, "get 200 6; ");
	}
}

static void test_get_before_the_probe_text_is_left_alone(void **state)
{
	(void)state;
	fake_get(c);
	assert_true(fake_probe(c));
	fake_run(f, 9000);
	fake_expect(c, "");
}

static void test_second_websocket(void **state)
{
	(void)state;
	assert_true(fake_probe(c));
	assert_false(fake_probe(c));
	fake_check(f);
	fake_probe_text(c, "2probe");
	fake_probe_text(c, "5");
	assert_false(fake_probe(c));
	fake_expect(c, "probe refused; probe 3probe; upgraded; probe refused; ");
	fake_ws(c, "4still here");
	fake_expect(c, "msg still here; ");
	/* One that began as a WebSocket has nowhere to go. */
	c = fake_client(f, EIO_WEBSOCKET);
	assert_false(fake_probe(c));
}

static void test_wrong_packet_on_the_probe(void **state)
{
	static const char *const wrong[] = { "", "2", "3probe", "4x", "2probe ", "6", "1", "5x", "garbage" };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		for (int is_confirmed = 0; is_confirmed < 2; is_confirmed++) {
			assert_true(fake_probe(c));
			if (is_confirmed)
				fake_probe_text(c, "2probe");
			buf_clear(&c->log);
			fake_probe_text(c, wrong[i]);
			fake_expect(c, "probe close 0; ");
			fake_check(f);
			fake_probe_text(c, "5"); /* heard too late */
			fake_expect(c, "");
		}
	}
	fake_get(c);
	fake_send(c, "4a");
	fake_turn(f);
	fake_expect(c, "get 200 4a; ");
}

static void test_upgrade_without_probe_text(void **state)
{
	(void)state;
	assert_true(fake_probe(c));
	fake_probe_text(c, "5");
	fake_expect(c, "upgraded; ");
}

static void test_probe_text_repeated(void **state)
{
	(void)state;
	assert_true(fake_probe(c));
	fake_probe_text(c, "2probe");
	fake_get(c);
	fake_run(f, 80);
	fake_probe_text(c, "2probe");
	fake_run(f, 80); /* the timer was started again */
	fake_expect(c, "probe 3probe; probe 3probe; ");
	run_past(20);
	fake_expect(c, "get 200 6; ");
}

static void test_time_out(void **state)
{
	(void)state;
	assert_true(fake_probe(c));
	fake_run(f, 9900);
	fake_expect(c, "");
	run_past(100);
	fake_expect(c, "probe close 0; ");
	fake_send(c, "4a");
	fake_get(c);
	fake_turn(f);
	fake_expect(c, "get 200 4a; ");
	/* With the probe answered, and again later. */
	assert_true(fake_probe(c));
	fake_probe_text(c, "2probe");
	fake_run(f, 9900);
	fake_probe_text(c, "2probe"); /* buys no time */
	buf_clear(&c->log);
	run_past(100 + WHEEL_TICK_MS);
	fake_expect(c, "probe close 0; ");
	fake_upgrade(c);
}

static void test_probe_breaks(void **state)
{
	(void)state;
	assert_true(fake_probe(c));
	fake_probe_text(c, "2probe");
	fake_hang_up(c, EIO_WIRE_PROBE);
	fake_check(f);
	buf_clear(&c->log);
	fake_get(c);
	fake_run(f, 1000);
	fake_expect(c, "");
	fake_upgrade(c);
}

static void test_session_ends_while_probing(void **state)
{
	(void)state;
	assert_true(fake_probe(c));
	fake_probe_text(c, "2probe");
	buf_clear(&c->log);
	fake_post(c, "1");
	fake_expect(c, "probe close 0; closed transport close; post 200 ok; ");
	c = fake_client(f, EIO_POLLING);
	assert_true(fake_probe(c));
	fake_get(c);
	fake_hang_up(c, EIO_WIRE_GET);
	fake_expect(c, "probe close 0; closed transport error; gone; ");
	c = fake_client(f, EIO_POLLING);
	assert_true(fake_probe(c));
	eio_discard(fake_session(c), "server shutting down");
	fake_expect(c, "probe close 0; closed server shutting down; gone; ");
}

static void test_get_pending_at_the_upgrade(void **state)
{
	(void)state;
	fake_get(c);
	assert_true(fake_probe(c));
	fake_probe_text(c, "5");
	fake_expect(c, "get 200 6; upgraded; ");
}

static void test_post_running_at_the_upgrade(void **state)
{
	(void)state;
	assert_true(fake_post_begin(c));
	fake_upgrade(c);
	buf_clear(&c->log);
	fake_post_body(c, "4x", 2);
	fake_expect(c, "msg x; post 200 ok; ");
	fake_ws(c, "4y");
	fake_expect(c, "msg y; ");
}

static void test_pong_by_the_other_transport(void **state)
{
	(void)state;
	fake_get(c);
	run_past(25000);
	fake_expect(c, "get 200 2; ");
	fake_upgrade(c);
	buf_clear(&c->log);
	fake_ws(c, "3");
	fake_run(f, 24000);
	fake_expect(c, "");
	run_past(1000);
	fake_expect(c, "ws 2; ");
}

/* Section 8: the reference forgets the ping that was out; we do not. */
static void test_ping_out_over_the_upgrade(void **state)
{
	(void)state;
	fake_get(c);
	run_past(25000);
	fake_upgrade(c);
	buf_clear(&c->log);
	run_past(20000);
	fake_expect(c, "ws close 0; closed ping timeout; gone; ");
}

static void test_queue_keeps_its_order(void **state)
{
	(void)state;
	fake_send(c, "4a");
	assert_true(fake_probe(c));
	fake_probe_text(c, "2probe");
	fake_send(c, "4b");
	fake_probe_text(c, "5");
	fake_send(c, "4c");
	fake_turn(f);
	fake_expect(c, "probe 3probe; upgraded; ws 4a; ws 4b; ws 4c; ");
}

/* ---- the application closes while the client upgrades ------------------------------- */

/* The client stops polling once it has its 3probe: it learns of the end only on the
 * WebSocket. */
static void test_close_completes_behind_the_upgrade(void **state)
{
	(void)state;
	assert_true(fake_probe(c));
	fake_probe_text(c, "2probe");
	fake_expect(c, "probe 3probe; ");
	eio_close(fake_session(c), "forced close");
	fake_check(f);
	fake_turn(f);
	fake_expect(c, "closed forced close; ");
	fake_probe_text(c, "5");
	fake_expect(c, "upgraded; ws close 0; gone; ");
	/* What waits goes first. */
	c = fake_client(f, EIO_POLLING);
	assert_true(fake_probe(c));
	fake_probe_text(c, "2probe");
	fake_send(c, "4a");
	eio_close(fake_session(c), "forced close");
	fake_turn(f);
	fake_probe_text(c, "5");
	fake_check(f);
	fake_turn(f);
	fake_expect(c, "probe 3probe; closed forced close; upgraded; ws 4a; ws close 0; gone; ");
}

static void test_close_while_the_probe_hangs(void **state)
{
	(void)state;
	/* It polls once more after all. */
	assert_true(fake_probe(c));
	fake_probe_text(c, "2probe");
	eio_close(fake_session(c), "forced close");
	fake_get(c);
	fake_expect(c, "probe 3probe; closed forced close; get 200 6\x1e" "1; probe close 0; gone; ");
	/* It never comes. */
	c = fake_client(f, EIO_POLLING);
	assert_true(fake_probe(c));
	fake_probe_text(c, "2probe");
	eio_close(fake_session(c), "forced close");
	buf_clear(&c->log);
	run_past(10000 + WHEEL_TICK_MS);
	fake_expect(c, "probe close 0; ");
	fake_check(f);
	run_past(20000);
	fake_expect(c, "gone; ");
	/* It breaks. */
	c = fake_client(f, EIO_POLLING);
	assert_true(fake_probe(c));
	fake_probe_text(c, "2probe");
	eio_close(fake_session(c), "forced close");
	fake_hang_up(c, EIO_WIRE_PROBE);
	fake_check(f);
	assert_false(fake_probe(c));
	/* It has a GET pending: that tells it. */
	c = fake_client(f, EIO_POLLING);
	fake_get(c);
	assert_true(fake_probe(c));
	fake_probe_text(c, "2probe");
	eio_close(fake_session(c), "forced close");
	fake_expect(c, "probe 3probe; probe close 0; get 200 1; closed forced close; gone; ");
}

/* Without a 3probe the client has not stopped polling. */
static void test_close_before_the_probe_text(void **state)
{
	(void)state;
	assert_true(fake_probe(c));
	eio_close(fake_session(c), "forced close");
	fake_expect(c, "probe close 0; closed forced close; ");
	fake_get(c);
	fake_expect(c, "get 200 6\x1e" "1; gone; ");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_normal_course),
		TEST(test_get_after_the_probe_is_released),
		TEST(test_get_before_the_probe_text_is_left_alone),
		TEST(test_second_websocket),
		TEST(test_wrong_packet_on_the_probe),
		TEST(test_upgrade_without_probe_text),
		TEST(test_probe_text_repeated),
		TEST(test_time_out),
		TEST(test_probe_breaks),
		TEST(test_session_ends_while_probing),
		TEST(test_get_pending_at_the_upgrade),
		TEST(test_post_running_at_the_upgrade),
		TEST(test_pong_by_the_other_transport),
		TEST(test_ping_out_over_the_upgrade),
		TEST(test_queue_keeps_its_order),
		TEST(test_close_completes_behind_the_upgrade),
		TEST(test_close_while_the_probe_hangs),
		TEST(test_close_before_the_probe_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
