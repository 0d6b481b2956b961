/* hub_ask_test.c -- events that ask the client for an acknowledgement: answers,
 * time-outs, ends, in simulated time.
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

static const struct sio_args none;

static int setup(void **state)
{
	(void)state;
	server = hub_start(NULL, NULL);
	c = hub_connected(server);
	sock = hub_socket(c);
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

static void on_answer(struct sio_socket *s, int status, const struct sio_args *args, void *arg)
{
	assert_ptr_equal(s, sock);
	buf_printf(&heard, "%s %d(%.*s)", (const char *)arg, status, (int)args->json.n, args->json.p);
	for (unsigned i = 0; i < args->attachments_n; i++)
		buf_printf(&heard, "+%.*s", (int)args->attachments[i].n, args->attachments[i].p);
	buf_str(&heard, "; ");
}

static void ask(const char *name, uint32_t timeout_ms)
{
	assert_int_equal(sio_socket_ask(sock, sio_str(name), &none, timeout_ms, on_answer, (void *)(uintptr_t)name), SIO_OK);
}

static void test_answers_find_their_questions(void **state)
{
	(void)state;
	ask("a", 1000);
	ask("b", 1000);
	fake_turn(server->fake);
	fake_expect(c, "ws 420[\"a\"]; ws 421[\"b\"]; ");
	expect_heard("");
	fake_ws(c, "431[\"x\",{\"y\":2}]");
	expect_heard("b 0(\"x\",{\"y\":2}); ");
	fake_ws(c, "461-0[{\"_placeholder\":true,\"num\":0}]");
	fake_ws_binary(c, "bin", 3);
	expect_heard("a 0({\"_placeholder\":true,\"num\":0})+bin; ");
	/* Once is once, and nobody asked for 77. */
	fake_ws(c, "430[]");
	fake_ws(c, "4377[]");
	fake_run(server->fake, 5000);
	expect_heard("");
}

static void test_time_out(void **state)
{
	(void)state;
	ask("slow", 500);
	ask("usual", 0);
	fake_run(server->fake, 499);
	expect_heard("");
	fake_run(server->fake, 40);
	expect_heard("slow -12(); ");
	fake_ws(c, "430[\"late\"]");
	expect_heard("");
	fake_run(server->fake, SIO_ASK_TIMEOUT_MS);
	expect_heard("usual -12(); ");
}

static void test_the_end_of_the_socket(void **state)
{
	(void)state;
	ask("a", 500);
	ask("b", 500);
	sio_socket_ref(sock);
	fake_ws(c, "41");
	expect_heard("b -4(); a -4(); ");
	assert_int_equal(sio_socket_ask(sock, SIO_LIT("c"), &none, 1, on_answer, NULL), SIO_ERR_CLOSED);
	sio_socket_unref(sock);
	fake_run(server->fake, 2000);
	expect_heard("");
}

static void ask_again(struct sio_socket *s, int status, const struct sio_args *args, void *arg)
{
	on_answer(s, status, args, arg);
	(void)!sio_socket_ask(s, SIO_LIT("again"), &none, 100, on_answer, (void *)(uintptr_t) "again");
}

static void end_it(struct sio_socket *s, int status, const struct sio_args *args, void *arg)
{
	on_answer(s, status, args, arg);
	sio_socket_disconnect(s, true);
}

static void test_what_an_answer_may_do(void **state)
{
	(void)state;
	assert_int_equal(sio_socket_ask(sock, SIO_LIT("x"), &none, 100, ask_again, (void *)(uintptr_t) "x"), SIO_OK);
	fake_ws(c, "430[1]");
	expect_heard("x 0(1); ");
	assert_int_equal(sio_socket_ask(sock, SIO_LIT("y"), &none, 100, end_it, (void *)(uintptr_t) "y"), SIO_OK);
	fake_ws(c, "432[]");
	expect_heard("y 0(); again -4(); ");
}

static void test_refusals(void **state)
{
	(void)state;
	assert_int_equal(sio_socket_ask(sock, SIO_LIT("disconnect"), &none, 1, on_answer, NULL), SIO_ERR_INVAL);
	for (int i = 0; i < SIO_ASKS_MAX; i++)
		ask("q", 100);
	assert_int_equal(sio_socket_ask(sock, SIO_LIT("q"), &none, 1, on_answer, NULL), SIO_ERR_LIMIT);
	fake_run(server->fake, 200);
	buf_clear(&heard);
	ask("q", 100);
	fake_run(server->fake, 200);
	expect_heard("q -12(); ");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_answers_find_their_questions),
		TEST(test_time_out),
		TEST(test_the_end_of_the_socket),
		TEST(test_what_an_answer_may_do),
		TEST(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
