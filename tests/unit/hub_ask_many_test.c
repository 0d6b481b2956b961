/* hub_ask_many_test.c -- one question to many sockets: who is asked, what comes back,
 * every way to its end, in simulated time.
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
static struct sio_namespace *nsp; /* "/" */
static struct fake_client *a, *b, *c;

static const struct sio_args none;
static const struct sio_target everybody;

static int setup(void **state)
{
	(void)state;
	server = hub_start(NULL, NULL);
	nsp = sio_namespace_main(server);
	a = hub_connected(server);
	b = hub_connected(server);
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

/* "word STATUS answers/asked: (args)+attachment (args); " */
static void on_answers(struct sio_namespace *of, int status, const struct sio_answers *got, void *arg)
{
	assert_ptr_equal(sio_namespace_server(of), server);
	assert_int_equal(got->missing_nodes_n, 0);
	buf_printf(&heard, "%s %d %zu/%zu:", (const char *)arg, status, got->answers_n, got->asked_n);
	for (size_t i = 0; i < got->answers_n; i++) {
		const struct sio_args *args = &got->answers[i];
		if (args->json.n > 100)
			buf_printf(&heard, " (%zu bytes)", args->json.n);
		else
			buf_printf(&heard, " (%.*s)", (int)args->json.n, args->json.p);
		for (unsigned k = 0; k < args->attachments_n; k++)
			buf_printf(&heard, "+%.*s", (int)args->attachments[k].n, args->attachments[k].p);
	}
	buf_str(&heard, "; ");
}

static long ask_of(struct sio_namespace *of, const struct sio_target *target, const char *word, uint32_t timeout_ms)
{
	return sio_sockets_ask(of, target, SIO_LIT("q"), &none, timeout_ms, on_answers, (void *)(uintptr_t)word);
}

static long ask(const char *word, uint32_t timeout_ms)
{
	return ask_of(nsp, &everybody, word, timeout_ms);
}

static void test_everybody_answers(void **state)
{
	(void)state;
	assert_int_equal(ask("all", 1000), 3);
	fake_turn(server->fake);
	fake_expect(a, "ws 420[\"q\"]; ");
	fake_expect(b, "ws 420[\"q\"]; ");
	fake_expect(c, "ws 420[\"q\"]; ");
	fake_ws(b, "430[\"b\",{\"x\":2}]");
	fake_ws(a, "461-0[{\"_placeholder\":true,\"num\":0},1]");
	fake_ws_binary(a, "bytes", 5);
	expect_heard("");
	fake_ws(c, "430[]");
	expect_heard("all 0 3/3: (\"b\",{\"x\":2}) ({\"_placeholder\":true,\"num\":0},1)+bytes (); ");
	/* Once is once. */
	fake_ws(b, "430[\"again\"]");
	fake_run(server->fake, 5000);
	expect_heard("");
	assert_null(server->hub.polls);
}

/* An answer counts once for each client, and only for the question it belongs to. */
static void test_answers_find_their_questions(void **state)
{
	(void)state;
	assert_int_equal(ask("first", 1000), 3);
	assert_int_equal(ask("second", 1000), 3);
	fake_ws(a, "430[1]");
	fake_ws(a, "430[2]");
	fake_ws(a, "431[3]");
	fake_ws(a, "432[4]");
	fake_ws(b, "431[5]");
	fake_ws(c, "431[6]");
	expect_heard("second 0 3/3: (3) (5) (6); ");
	fake_ws(c, "430[7]");
	fake_ws(b, "430[8]");
	expect_heard("first 0 3/3: (1) (7) (8); ");
}

/* One question to one socket and one to all count up in the same row. */
static void on_answer(struct sio_socket *s, int status, const struct sio_args *args, void *arg)
{
	(void)s;
	buf_printf(&heard, "%s %d (%.*s); ", (const char *)arg, status, (int)args->json.n, args->json.p);
}

static void test_ids_are_shared_with_single_questions(void **state)
{
	(void)state;
	assert_int_equal(sio_socket_ask(hub_socket(a), SIO_LIT("one"), &none, 0, on_answer, (void *)(uintptr_t) "one"), 0);
	assert_int_equal(ask("all", 0), 3);
	assert_int_equal(sio_socket_ask(hub_socket(a), SIO_LIT("two"), &none, 0, on_answer, (void *)(uintptr_t) "two"), 0);
	fake_turn(server->fake);
	fake_expect(a, "ws 420[\"one\"]; ws 421[\"q\"]; ws 422[\"two\"]; ");
	fake_expect(b, "ws 421[\"q\"]; ");
	fake_ws(b, "431[]");
	fake_ws(c, "431[]");
	fake_ws(a, "432[2]");
	fake_ws(a, "431[1]");
	fake_ws(a, "430[0]");
	expect_heard("two 0 (2); all 0 3/3: () () (1); one 0 (0); ");
}

static void test_who_is_asked(void **state)
{
	sio_slice room = SIO_LIT("room"), id = sio_socket_id(hub_socket(c));
	struct sio_target t = { .rooms = &room, .rooms_n = 1 };
	static const sio_slice bytes[] = { { "abc", 3 } };
	struct sio_args args = { SIO_LIT("{\"_placeholder\":true,\"num\":0}"), bytes, 1 };
	uint64_t encodes = server->fake->engine.frames.encodes, broadcasts = server->hub.broadcasts;

	(void)state;
	assert_int_equal(sio_room_join(hub_socket(a), room), SIO_OK);
	assert_int_equal(sio_room_join(hub_socket(b), room), SIO_OK);
	t.skip = hub_socket(a);
	assert_int_equal(ask_of(nsp, &t, "room", 0), 1);
	t = (struct sio_target){ .except = &id, .except_n = 1, .is_volatile = true };
	assert_int_equal(sio_sockets_ask(nsp, &t, SIO_LIT("q"), &args, 0, on_answers, (void *)(uintptr_t) "binary"), 2);
	assert_int_equal(server->fake->engine.frames.encodes, encodes + 2); /* once each */
	assert_int_equal(server->hub.broadcasts, broadcasts + 2);
	fake_turn(server->fake);
	fake_expect(a, "ws 451-1[\"q\",{\"_placeholder\":true,\"num\":0}]; wsbin abc; ");
	fake_expect(b, "ws 420[\"q\"]; ws 451-1[\"q\",{\"_placeholder\":true,\"num\":0}]; wsbin abc; ");
	fake_expect(c, "");
	fake_ws(a, "430[\"not asked\"]");
	fake_ws(c, "431[\"not asked\"]");
	expect_heard("");
	fake_ws(b, "430[]");
	expect_heard("room 0 1/1: (); ");
	fake_ws(b, "431[1]");
	fake_ws(a, "431[2]");
	expect_heard("binary 0 2/2: (1) (2); ");
}

static void test_over_polling(void **state)
{
	struct fake_client *p = hub_open(server, EIO_POLLING);

	(void)state;
	fake_post(p, "40");
	fake_get(p);
	fake_turn(server->fake);
	buf_clear(&p->log);
	assert_int_equal(ask("all", 0), 4);
	fake_get(p);
	fake_turn(server->fake);
	fake_expect(p, "get 200 420[\"q\"]; ");
	fake_ws(a, "430[1]");
	fake_ws(b, "430[2]");
	fake_ws(c, "430[3]");
	fake_post(p, "461-0[{\"_placeholder\":true,\"num\":0}]\x1e" "bYWJj");
	expect_heard("all 0 4/4: (1) (2) (3) ({\"_placeholder\":true,\"num\":0})+abc; ");
}

static void test_nobody_to_ask(void **state)
{
	sio_slice room = SIO_LIT("nobody");
	struct sio_target t = { .rooms = &room, .rooms_n = 1 };

	(void)state;
	assert_int_equal(ask_of(nsp, &t, "nobody", 60000), 0);
	expect_heard(""); /* never before the call returns */
	fake_run(server->fake, 100);
	expect_heard("nobody 0 0/0:; ");
}

static void test_what_is_refused(void **state)
{
	static const sio_slice one[] = { { "z", 1 } };
	struct sio_args too_many = { SIO_LIT("{}"), one, SIO_ATTACHMENTS_MAX + 1 };
	struct sio_namespace *parent;

	(void)state;
	assert_int_equal(sio_namespace_pattern(server, "/n", &parent), SIO_OK);
	assert_int_equal(ask_of(parent, &everybody, "never", 0), SIO_ERR_INVAL);
	assert_int_equal(sio_sockets_ask(nsp, &everybody, SIO_LIT("connect"), &none, 0, on_answers, NULL), SIO_ERR_INVAL);
	assert_int_equal(sio_sockets_ask(nsp, &everybody, SIO_LIT("q"), &too_many, 0, on_answers, NULL), SIO_ERR_INVAL);
	assert_int_equal(ask("all", 0), 3); /* no id was used up */
	fake_turn(server->fake);
	fake_expect(a, "ws 420[\"q\"]; ");
	fake_run(server->fake, 10000);
	expect_heard("all -12 0/3:; ");
}

/* ---- time-outs --------------------------------------------------------------------------- */

static void test_time_out_with_the_answers_so_far(void **state)
{
	(void)state;
	assert_int_equal(ask("short", 500), 3);
	assert_int_equal(ask("usual", 0), 3);
	fake_ws(b, "430[\"b\"]");
	fake_run(server->fake, 499);
	expect_heard("");
	fake_run(server->fake, 40);
	expect_heard("short -12 1/3: (\"b\"); ");
	fake_ws(a, "430[\"late\"]");
	fake_ws(c, "430[\"late\"]");
	fake_ws(a, "431[\"a\"]");
	fake_run(server->fake, SIO_ASK_TIMEOUT_MS - 600);
	expect_heard("");
	fake_run(server->fake, 200);
	expect_heard("usual -12 1/3: (\"a\"); ");
	assert_null(server->hub.polls);
}

/* What was not answered in time is forgotten: a client that never answers can be asked
 * for ever. */
static void test_who_never_answers_is_asked_again(void **state)
{
	(void)state;
	server->fake->is_quiet = true;
	for (int i = 0; i < 2 * SIO_ASKS_MAX; i++) {
		assert_int_equal(ask("q", 20), 3);
		fake_run(server->fake, 100);
		fake_ws(a, "3");
		fake_ws(b, "3");
		fake_ws(c, "3");
		if (i % 100 == 0)
			hub_check(server);
	}
	assert_null(hub_socket(a)->asked);
	assert_int_equal(hub_socket(a)->refs, 1);
	assert_int_equal(sio_socket_ask(hub_socket(a), SIO_LIT("one"), &none, 1, on_answer, (void *)(uintptr_t) "one"), 0);
	buf_clear(&heard);
}

/* ---- clients that go ------------------------------------------------------------------------ */

static void test_those_who_have_not_answered_are_gone(void **state)
{
	(void)state;
	assert_int_equal(ask("q", 5000), 3);
	fake_hang_up(a, EIO_WIRE_WS);
	fake_ws(b, "430[\"b\"]");
	expect_heard("");
	fake_ws(c, "41");
	expect_heard("q -4 1/3: (\"b\"); ");
	/* Whoever has answered may go: that changes nothing. */
	assert_int_equal(ask("r", 5000), 1);
	fake_ws(b, "431[1]");
	expect_heard("r 0 1/1: (1); ");
	c = hub_connected(server);
	assert_int_equal(ask("s", 5000), 2);
	fake_ws(c, "432[\"c\"]");
	fake_hang_up(c, EIO_WIRE_WS);
	expect_heard("");
	fake_ws(b, "432[\"b\"]");
	expect_heard("s 0 2/2: (\"c\") (\"b\"); ");
	/* One is gone, the other too late: late it is. */
	a = hub_connected(server);
	assert_int_equal(ask("t", 500), 2);
	fake_hang_up(a, EIO_WIRE_WS);
	fake_run(server->fake, 600);
	expect_heard("t -12 0/2:; ");
}

static void test_the_namespace_closes(void **state)
{
	struct sio_namespace *room = sio_namespace_open(server, SIO_LIT("/room"));

	(void)state;
	assert_non_null(hub_enter(a, "/room"));
	assert_non_null(hub_enter(b, "/room"));
	assert_int_equal(ask_of(room, &everybody, "closed", 5000), 2);
	fake_ws(a, "43/room,0[1]");
	assert_int_equal(sio_namespace_close(room), SIO_OK);
	expect_heard("closed -4 1/2: (1); ");
	/* A child that is forgotten before nobody's answer is told. */
	assert_int_equal(sio_namespace_pattern(server, "/child", &room), SIO_OK);
	assert_non_null(hub_enter(a, "/child"));
	room = nsp_find(&server->hub, SIO_LIT("/child"));
	assert_int_equal(ask_of(room, &(struct sio_target){ .skip = room->sockets[0] }, "forgotten", 5000), 0);
	fake_ws(a, "41/child,");
	assert_int_equal(server->hub.children_n, 0);
	fake_run(server->fake, 50);
	expect_heard("forgotten 0 0/0:; ");
}

/* ---- what fn may do ----------------------------------------------------------------------------- */

static void end_all(struct sio_namespace *of, int status, const struct sio_answers *got, void *arg)
{
	on_answers(of, status, got, arg);
	assert_true(sio_sockets_disconnect(of, &everybody, true) >= 0);
	assert_true(got->answers_n == 0 || got->answers[0].json.n > 0);
	on_answers(of, status, got, arg); /* borrowed for the call: still there */
}

static void ask_again(struct sio_namespace *of, int status, const struct sio_answers *got, void *arg)
{
	on_answers(of, status, got, arg);
	assert_int_equal(ask_of(of, &everybody, "again", 100), 3);
	expect_heard("q 0 3/3: (1) (2) (3); ");
}

static void test_fn_ends_all(void **state)
{
	(void)state;
	assert_int_equal(sio_sockets_ask(nsp, &everybody, SIO_LIT("q"), &none, 100, end_all, (void *)(uintptr_t) "q"), 3);
	assert_int_equal(ask("other", 5000), 3);
	fake_ws(b, "430[\"b\"]");
	fake_run(server->fake, 200); /* ended while two questions are open */
	expect_heard("q -12 1/3: (\"b\"); other -4 0/3:; q -12 1/3: (\"b\"); ");
	assert_int_equal(server->hub.sockets, 0);
}

static void test_fn_ends_all_on_the_last_answer(void **state)
{
	(void)state;
	assert_int_equal(sio_sockets_ask(nsp, &everybody, SIO_LIT("q"), &none, 100, end_all, (void *)(uintptr_t) "q"), 3);
	fake_ws(a, "430[1]");
	fake_ws(b, "430[2]");
	fake_ws(c, "430[3]");
	expect_heard("q 0 3/3: (1) (2) (3); q 0 3/3: (1) (2) (3); ");
	assert_int_equal(server->hub.sockets, 0);
	fake_turn(server->fake);
}

static void test_fn_ends_all_when_one_goes(void **state)
{
	(void)state;
	assert_int_equal(sio_sockets_ask(nsp, &everybody, SIO_LIT("q"), &none, 100, end_all, (void *)(uintptr_t) "q"), 3);
	fake_ws(a, "430[1]");
	fake_ws(b, "430[2]");
	fake_hang_up(c, EIO_WIRE_WS);
	expect_heard("q -4 2/3: (1) (2); q -4 2/3: (1) (2); ");
	assert_int_equal(server->hub.sockets, 0);
	fake_turn(server->fake);
}

static void test_fn_asks_again(void **state)
{
	(void)state;
	assert_int_equal(sio_sockets_ask(nsp, &everybody, SIO_LIT("q"), &none, 100, ask_again, (void *)(uintptr_t) "q"), 3);
	fake_ws(a, "430[1]");
	fake_ws(b, "430[2]");
	fake_ws(c, "430[3]");
	fake_run(server->fake, 200);
	expect_heard("again -12 0/3:; ");
}

/* ---- limits --------------------------------------------------------------------------------------- */

static void test_sockets_with_too_many_questions_are_not_asked(void **state)
{
	struct sio_socket *s = hub_socket(b);

	(void)state;
	server->fake->is_quiet = true;
	for (int i = 0; i < SIO_ASKS_MAX - 1; i++)
		assert_int_equal(sio_socket_ask(s, SIO_LIT("x"), &none, 60000, on_answer, (void *)(uintptr_t) "x"), SIO_OK);
	assert_int_equal(ask("the last", 50000), 3);
	assert_int_equal(sio_socket_ask(s, SIO_LIT("x"), &none, 60000, on_answer, NULL), SIO_ERR_LIMIT);
	fake_turn(server->fake);
	server->fake->is_quiet = false;
	assert_int_equal(ask("without b", 50000), 2);
	fake_turn(server->fake);
	fake_expect(b, "");
	fake_expect(a, "ws 421000[\"q\"]; ");
	fake_ws(a, "431000[1]");
	fake_ws(c, "431000[2]");
	expect_heard("without b 0 2/2: (1) (2); ");
	fake_ws(b, "43999[3]"); /* one less is open */
	assert_int_equal(ask("with b", 50000), 3);
	fake_ws(a, "431001[]");
	fake_ws(c, "431001[]");
	fake_ws(b, "431001[]");
	expect_heard("with b 0 3/3: () () (); ");
	fake_hang_up(b, EIO_WIRE_WS);
	buf_clear(&heard);
}

/* The n-th answer of some size is one too many; the last one must fill it to the byte. */
static void test_bytes_of_answers_are_bounded(void **state)
{
	enum { PART = SIO_ANSWERS_BYTES_MAX / 2 };
	char *text = malloc(PART + 16);

	(void)state;
	memcpy(text, "430[\"", 5);
	memset(text + 5, 'x', PART - 2);
	memcpy(text + 5 + PART - 2, "\"]", 3);
	assert_int_equal(ask("exactly", 5000), 3);
	fake_ws(a, text);
	fake_ws(b, text);
	expect_heard("");
	fake_ws(c, "430[]");
	expect_heard("exactly 0 3/3: (8388608 bytes) (8388608 bytes) (); ");
	assert_int_equal(ask("too much", 5000), 3);
	text[2] = '1';
	fake_ws(a, text);
	fake_ws(b, text);
	expect_heard("");
	fake_ws(c, "431[7]");
	expect_heard("too much -3 2/3: (8388608 bytes) (8388608 bytes); ");
	assert_null(server->hub.polls);
	/* Over before all have answered: what comes later is nothing. */
	assert_int_equal(ask("early", 5000), 3);
	text[2] = '2';
	fake_ws(a, text);
	memcpy(text + 5 + PART - 2, "x\"]", 4);
	fake_ws(b, text);
	expect_heard("early -3 1/3: (8388608 bytes); ");
	fake_ws(c, "432[7]");
	fake_run(server->fake, 10000);
	expect_heard("");
	free(text);
}

/* ---- the end of the server ---------------------------------------------------------------------------- */

static void ask_for_ever(struct sio_namespace *of, int status, const struct sio_answers *got, void *arg)
{
	on_answers(of, status, got, arg);
	buf_printf(&heard, "and %ld; ", sio_sockets_ask(of, &everybody, SIO_LIT("q"), &none, 0, ask_for_ever, arg));
}

/* Sockets end first, and their questions with them; what nobody was asked is told
 * before the clock goes; whoever asks after that gets an error. */
static void test_the_server_ends(void **state)
{
	sio_slice room = SIO_LIT("nobody");
	struct sio_target t = { .rooms = &room, .rooms_n = 1 };

	(void)state;
	assert_int_equal(ask("open", 5000), 3);
	fake_ws(a, "430[1]");
	assert_int_equal(ask_of(nsp, &t, "nobody", 5000), 0);
	assert_int_equal(sio_sockets_ask(nsp, &t, SIO_LIT("q"), &none, 0, ask_for_ever, (void *)(uintptr_t) "again"), 0);
	hub_stop(server);
	expect_heard("open -4 1/3: (1); again 0 0/0:; and -4; nobody 0 0/0:; ");
	server = hub_start(NULL, NULL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_everybody_answers),
		TEST(test_answers_find_their_questions),
		TEST(test_ids_are_shared_with_single_questions),
		TEST(test_who_is_asked),
		TEST(test_over_polling),
		TEST(test_nobody_to_ask),
		TEST(test_what_is_refused),
		TEST(test_time_out_with_the_answers_so_far),
		TEST(test_who_never_answers_is_asked_again),
		TEST(test_those_who_have_not_answered_are_gone),
		TEST(test_the_namespace_closes),
		TEST(test_fn_ends_all),
		TEST(test_fn_ends_all_on_the_last_answer),
		TEST(test_fn_ends_all_when_one_goes),
		TEST(test_fn_asks_again),
		TEST(test_sockets_with_too_many_questions_are_not_asked),
		TEST(test_bytes_of_answers_are_bounded),
		TEST(test_the_server_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
