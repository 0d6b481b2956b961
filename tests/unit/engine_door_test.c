/* engine_door_test.c -- the application is asked about a client: at once, later, too
 * late, and with the client gone meanwhile; in simulated time.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "engine/door.h"

enum { TIMEOUT_MS = 30000 };

static struct guard guard;
static struct wheel wheel;
static uint64_t now_ms;
static struct buf notes;
static unsigned freed_n;

static void expect_log_at(const char *want, const char *file, int line)
{
	if (!sio_slice_eq(buf_peek(&notes), sio_str(want))) {
		print_error(" got: %.*s\nwant: %s\n", (int)notes.n, notes.n ? notes.p : "", want);
		_fail(file, line);
	}
	buf_clear(&notes);
}
#define expect_log(want) expect_log_at((want), __FILE__, __LINE__)

/* ---- who holds the connection ------------------------------------------------------- */

static void on_free(struct sio_handshake *hs)
{
	freed_n++;
	door_fini(hs);
	free(hs);
}

static void on_answered(struct sio_handshake *hs)
{
	assert_false(sio_handshake_is_open(hs));
	if (hs->verdict == DOOR_ACCEPTED)
		buf_str(&notes, "accepted; ");
	else
		buf_printf(&notes, "refused %.*s; ", (int)hs->message.n, hs->message.p);
	on_free(hs);
}

static void on_held(struct sio_handshake *hs)
{
	assert_true(sio_handshake_is_open(hs));
	buf_str(&notes, "held; ");
}

static void on_late(struct sio_handshake *hs)
{
	assert_false(sio_handshake_is_open(hs));
	buf_str(&notes, "late; ");
}

static const struct door_ops ops = { on_answered, on_held, on_late, on_free };

static struct sio_handshake *ask(sio_handshake_fn *fn, void *arg)
{
	struct sio_handshake *hs = calloc(1, sizeof(*hs));

	hs->ops = &ops;
	hs->guard = &guard;
	hs->server = (struct sio_server *)(void *)&wheel;
	hs->request = (struct sio_request *)(void *)&notes;
	hs->timeout_ms = TIMEOUT_MS;
	hs->kind = SIO_HANDSHAKE_WEBSOCKET;
	door_ask(hs, &wheel, now_ms, fn, arg);
	return hs;
}

static void pass(uint64_t ms)
{
	now_ms += ms;
	wheel_run(&wheel, now_ms);
}

static int setup(void **state)
{
	(void)state;
	now_ms = 5000;
	freed_n = 0;
	wheel_init(&wheel, now_ms);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WHEEL_SLOTS; i++) /* no timer is left */
		assert_null(wheel.slot[i]);
	buf_fini(&notes);
	return 0;
}

/* ---- the application ------------------------------------------------------------------ */

static void accept_now(struct sio_handshake *hs, void *arg)
{
	assert_true(sio_handshake_is_open(hs));
	assert_ptr_equal(sio_handshake_server(hs), &wheel);
	assert_ptr_equal(sio_handshake_request(hs), &notes);
	assert_int_equal(sio_handshake_kind(hs), SIO_HANDSHAKE_WEBSOCKET);
	assert_ptr_equal(arg, &now_ms);
	sio_handshake_accept(hs);
	/* It is there until the handler returns, and a second answer is none. */
	sio_handshake_refuse(hs, SIO_LIT("too late"));
	sio_handshake_accept(hs);
	buf_str(&notes, "handler; ");
}

static void refuse_now(struct sio_handshake *hs, void *arg)
{
	sio_handshake_refuse(hs, *(sio_slice *)arg);
	sio_handshake_accept(hs);
	sio_handshake_refuse(hs, SIO_LIT("again"));
}

static void later(struct sio_handshake *hs, void *arg)
{
	(void)hs, (void)arg;
}

static void test_answer_at_once(void **state)
{
	sio_slice message = SIO_LIT("no \"seat\" left");

	(void)state;
	ask(accept_now, &now_ms);
	expect_log("handler; accepted; ");
	ask(refuse_now, &message);
	expect_log("refused no \"seat\" left; ");
	assert_int_equal(freed_n, 2);
}

static void test_messages_of_a_refusal(void **state)
{
	static const sio_slice bad[] = {
		{ NULL, 0 }, { "", 0 }, { "\xff", 1 }, { "\xed\xa0\x80", 3 }, { "half \xe2\x82", 7 },
	};
	sio_slice lines = SIO_LIT("two\r\nlines");

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ask(refuse_now, (void *)(uintptr_t)&bad[i]);
		expect_log("refused Forbidden; ");
	}
	ask(refuse_now, &lines); /* a body may have lines */
	expect_log("refused two\r\nlines; ");
}

static void test_answer_later(void **state)
{
	struct sio_handshake *hs = ask(later, NULL);

	(void)state;
	expect_log("held; ");
	pass(TIMEOUT_MS - 100);
	assert_true(sio_handshake_is_open(hs));
	sio_handshake_accept(hs);
	expect_log("accepted; ");
	hs = ask(later, NULL);
	pass(1000);
	sio_handshake_refuse(hs, SIO_LIT("no"));
	expect_log("held; refused no; ");
	assert_int_equal(freed_n, 2);
}

static void test_client_goes_before_the_answer(void **state)
{
	struct sio_handshake *hs = ask(later, NULL);

	(void)state;
	door_gone(hs);
	assert_false(sio_handshake_is_open(hs));
	door_gone(hs); /* twice is once */
	pass(TIMEOUT_MS + 100);
	assert_ptr_equal(sio_handshake_request(hs), &notes); /* still to be read */
	expect_log("held; ");
	assert_int_equal(freed_n, 0);
	sio_handshake_accept(hs);
	hs = ask(later, NULL);
	door_gone(hs);
	sio_handshake_refuse(hs, SIO_LIT("no"));
	expect_log("held; ");
	assert_int_equal(freed_n, 2);
}

static void test_answer_that_comes_too_late(void **state)
{
	struct sio_handshake *hs = ask(later, NULL);

	(void)state;
	pass(TIMEOUT_MS + 100);
	expect_log("held; late; ");
	assert_false(sio_handshake_is_open(hs));
	door_gone(hs);
	sio_handshake_accept(hs);
	expect_log("");
	assert_int_equal(freed_n, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_answer_at_once),
		TEST(test_messages_of_a_refusal),
		TEST(test_answer_later),
		TEST(test_client_goes_before_the_answer),
		TEST(test_answer_that_comes_too_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
