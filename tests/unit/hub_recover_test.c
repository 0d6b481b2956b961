/* hub_recover_test.c -- connection state recovery in simulated time: a client goes, comes
 * back with its pid and offset, and has missed nothing.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <sio/history.h>
#include <sio/json.h>

#include "lib/fake_hub.h"

enum { WINDOW_MS = 120000 };

static struct sio_server *server;
static struct fake_client *c;
static struct sio_socket *socket;
static char sid[SIO_ID_LEN + 1], pid[SIO_ID_LEN + 1], offset[SIO_OFFSET_MAX], last_pid[SIO_ID_LEN + 1];

static const sio_slice room_r = { "r", 1 };
static const struct sio_target to_r = { .rooms = &room_r, .rooms_n = 1 };

/* ---- a client that keeps what the stock client keeps -------------------------------- */

static void pick(sio_slice text, const char *key, char *out, size_t cap)
{
	struct sio_json_field f = { .key = key };

	out[0] = '\0';
	assert_int_equal(sio_json_pick(text, &f, 1), SIO_OK);
	if (f.type == SIO_JSON_STRING)
		assert_true(sio_json_unquote(f.value, out, cap) >= 0);
}

static void on_packet(struct fake_client *client, sio_slice text, bool is_binary)
{
	(void)client;
	if (is_binary) {
		buf_str(&heard, "binary ");
		return;
	}
	if (text.p[0] == '0')
		return;
	if (text.n > 2 && text.p[1] == '0') { /* 40{...}, 40/other,{...} */
		const char *json = memchr(text.p, '{', text.n);
		sio_slice answer = sio_bytes(json, (size_t)(text.p + text.n - json));
		pick(answer, "sid", sid, sizeof(sid));
		pick(answer, "pid", last_pid, sizeof(last_pid));
		buf_str(&heard, strcmp(last_pid, pid) == 0 ? "recovered " : "connected ");
		memcpy(pid, last_pid, sizeof(pid));
		return;
	}
	/* The last argument, when it is a string, is the offset; what is before it is heard.  An
	 * event with an id has its acknowledgement for the last one. */
	const char *open = memrchr(text.p, ',', text.n);
	if (text.n > 3 && text.p[2] != '0' && text.p[text.n - 2] == '"' && open) {
		size_t n = text.n - 2 - (size_t)(open + 2 - text.p);
		assert_true(n < sizeof(offset));
		memcpy(offset, open + 2, n);
		offset[n] = '\0';
		text.n = (size_t)(open - text.p);
	}
	buf_slice(&heard, text);
	buf_byte(&heard, ' ');
}

static void come(const char *connect)
{
	c = hub_open(server, EIO_WEBSOCKET);
	fake_ws(c, connect);
	fake_turn(server->fake);
	socket = hub_socket(c);
}

static void come_back(void)
{
	char text[200];

	snprintf(text, sizeof(text), offset[0] ? "40{\"pid\":\"%s\",\"offset\":\"%s\"}" : "40{\"pid\":\"%s\"}", pid, offset);
	come(text);
}

static void go(void)
{
	fake_hang_up(c, EIO_WIRE_WS);
	fake_turn(server->fake);
}

static void say_to_r(const char *args)
{
	struct sio_args a = sio_args_json(sio_str(args));

	assert_true(sio_broadcast(server, &to_r, SIO_LIT("e"), &a) >= 0);
}

static void open_history(size_t bytes)
{
	const struct sio_history_ops *ops;
	void *self;

	assert_int_equal(sio_history_ring(bytes, 100, WINDOW_MS, &ops, &self), SIO_OK);
	assert_int_equal(sio_server_set_history(server, ops, self), SIO_OK);
	assert_int_equal(sio_server_set_history(server, ops, self), SIO_ERR_EXISTS);
}

static int setup(void **state)
{
	(void)state;
	server = hub_start(NULL, NULL);
	server->fake->packet = on_packet;
	open_history(65536);
	memset(pid, 0, sizeof(pid));
	memset(offset, 0, sizeof(offset));
	come("40");
	expect_heard("connected ");
	assert_int_equal(strlen(pid), SIO_ID_LEN);
	assert_int_equal(sio_room_join(socket, room_r), SIO_OK);
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

/* ---- tests ----------------------------------------------------------------------------- */

static void test_nothing_is_lost(void **state)
{
	char before[SIO_ID_LEN + 1];

	(void)state;
	say_to_r("1");
	fake_turn(server->fake);
	expect_heard("42[\"e\",1 ");
	memcpy(before, sid, sizeof(before));
	go();
	say_to_r("2");
	say_to_r("{\"x\":3}");
	come_back();
	expect_heard("recovered 42[\"e\",2 42[\"e\",{\"x\":3} ");
	assert_string_equal(sid, before);
	assert_true(sio_socket_is_recovered(socket));
	assert_true(sio_room_has(socket, room_r));
	say_to_r("4");
	fake_turn(server->fake);
	expect_heard("42[\"e\",4 ");
	go(); /* and once more, from there */
	say_to_r("5");
	come_back();
	expect_heard("recovered 42[\"e\",5 ");
	assert_int_equal(server->hub.recovered, 2);
	assert_int_equal(server->hub.replayed, 3);
}

/* A client that never saw an event knows no offset: its session's beginning counts. */
static void test_a_silent_client(void **state)
{
	(void)state;
	go();
	say_to_r("1");
	come_back();
	expect_heard("recovered 42[\"e\",1 ");
}

static const sio_slice other = { "other", 5 };

static void test_what_is_not_kept(void **state)
{
	struct sio_target volatile_to_r = { .rooms = &room_r, .rooms_n = 1, .is_volatile = true };
	struct sio_target to_other = { .rooms = &other, .rooms_n = 1 };
	struct sio_args text = sio_args_json(SIO_LIT("\"t\"")), number = sio_args_json(SIO_LIT("7")), nothing = { 0 };
	char known[SIO_OFFSET_MAX];

	(void)state;
	say_to_r("1");
	fake_turn(server->fake);
	memcpy(known, offset, sizeof(known));
	/* A text at the end is not taken for an offset, for null stands behind it. */
	assert_int_equal(sio_broadcast(server, &volatile_to_r, SIO_LIT("v"), &text), 1);
	assert_int_equal(sio_broadcast(server, &volatile_to_r, SIO_LIT("v"), &number), 1);
	fake_turn(server->fake);
	expect_heard("42[\"e\",1 42[\"v\",\"t\",null] 42[\"v\",7] ");
	assert_string_equal(offset, known);
	/* Without arguments the event's own name is the last string. */
	assert_int_equal(sio_broadcast(server, &volatile_to_r, SIO_LIT("v"), &nothing), 1);
	fake_turn(server->fake);
	expect_heard("42[\"v\",null] ");
	assert_string_equal(offset, known);
	go();
	assert_int_equal(sio_broadcast(server, &volatile_to_r, SIO_LIT("v"), &number), 0);
	assert_int_equal(sio_broadcast(server, &to_other, SIO_LIT("o"), &number), 0);
	come_back();
	expect_heard("recovered ");
}

static void on_answer(struct sio_socket *s, int status, const struct sio_args *args, void *arg)
{
	(void)s, (void)args, (void)arg;
	buf_printf(&heard, "answer %d ", status);
}

static void test_questions_are_not_kept(void **state)
{
	struct sio_args text = sio_args_json(SIO_LIT("\"t\""));

	(void)state;
	assert_int_equal(sio_socket_ask(socket, SIO_LIT("q"), &text, 1000, on_answer, NULL), SIO_OK);
	fake_turn(server->fake);
	expect_heard("420[\"q\",\"t\"] ");
	go();
	expect_heard("answer -4 ");
	come_back();
	expect_heard("recovered ");
}

static void test_one_socket_and_binary(void **state)
{
	sio_slice bytes = SIO_LIT("\1\2\3");
	struct sio_args binary = { SIO_LIT("{\"_placeholder\":true,\"num\":0}"), &bytes, 1 }, none = { 0 };
	struct sio_target but_me = { .rooms = &room_r, .rooms_n = 1, .skip = socket };

	(void)state;
	assert_int_equal(sio_socket_emit(socket, SIO_LIT("own"), &none), SIO_OK);
	fake_turn(server->fake);
	buf_clear(&heard);
	assert_true(sio_broadcast(server, &but_me, SIO_LIT("mine"), &none) >= 0); /* was not for it */
	go();
	assert_true(sio_broadcast(server, &to_r, SIO_LIT("b"), &binary) >= 0);
	come_back();
	expect_heard("recovered 451-[\"b\",{\"_placeholder\":true,\"num\":0} binary ");
}

static void test_ends_that_are_final(void **state)
{
	(void)state;
	sio_socket_disconnect(socket, true);
	fake_turn(server->fake);
	buf_clear(&heard);
	come_back();
	expect_heard("connected ");
	fake_ws(c, "41");
	come_back();
	expect_heard("connected ");
	fake_ws(c, "4nonsense");
	fake_turn(server->fake);
	buf_clear(&heard);
	come_back();
	expect_heard("connected ");
	assert_false(sio_socket_is_recovered(socket));
}

static void test_once_and_in_time(void **state)
{
	char old_pid[SIO_ID_LEN + 1];

	(void)state;
	say_to_r("1");
	fake_turn(server->fake);
	buf_clear(&heard);
	go();
	memcpy(old_pid, pid, sizeof(pid));
	come_back();
	expect_heard("recovered ");
	go();
	fake_run(server->fake, WINDOW_MS + 10);
	come_back();
	expect_heard("connected "); /* too late, without an error */
	assert_false(sio_room_has(socket, room_r));
}

/* Back before the old connection's end was noticed: nothing is lost either. */
static void test_back_too_early(void **state)
{
	struct fake_client *old = c;

	(void)state;
	say_to_r("1");
	fake_turn(server->fake);
	buf_clear(&heard);
	come_back();
	expect_heard("recovered ");
	assert_int_equal(old->closed_n, 1);
	assert_int_equal(server->hub.sockets, 1);
}

static void test_the_ring_has_gone_round(void **state)
{
	static char big[9000];

	(void)state;
	say_to_r("1");
	fake_turn(server->fake);
	go();
	memset(big, '1', sizeof(big) - 1);
	for (int i = 0; i < 10; i++)
		say_to_r(big);
	buf_clear(&heard);
	come_back();
	expect_heard("connected ");
}

static void test_strange_auth(void **state)
{
	static const char *const auths[] = {
		"40{\"pid\":7,\"offset\":\"x\"}", "40{\"pid\":\"short\"}", "40{\"pid\":\"aaaaaaaaaaaaaaaaaaaa\",\"offset\":9}",
		"40{\"pid\":\"aaaaaaaaaaaaaaaaaaaa\",\"pid\":\"aaaaaaaaaaaaaaaaaaaa\"}",
		"40{\"pid\":\"aaaaaaaaaaaaaaaaaaaaa\"}",
		"40{\"pid\":\"aaaaaaaaaaaaaaaaaaaa\",\"offset\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(auths) / sizeof(auths[0]); i++) {
		come(auths[i]);
		expect_heard("connected ");
	}
}

/* ---- the application decides first ------------------------------------------------------ */

static struct sio_connect *asked;

static void later(struct sio_connect *req, void *arg)
{
	(void)arg;
	asked = req;
}

static void test_refused_is_told_nothing(void **state)
{
	(void)state;
	assert_int_equal(sio_socket_set_identity(socket, SIO_LIT("anna")), SIO_OK);
	go();
	say_to_r("\"secret\"");
	sio_on_connect(server, later, NULL);
	come_back();
	expect_heard("");
	assert_true(sio_connect_is_recovering(asked));
	assert_true(sio_slice_eq(sio_connect_identity(asked), SIO_LIT("anna")));
	sio_connect_refuse(asked, SIO_LIT("token expired"), sio_bytes("", 0));
	fake_turn(server->fake);
	expect_heard("44{\"message\":\"token expired\"} ");
	/* It may come again with a better token, and again be nobody while it is decided. */
	come_back();
	go();
	assert_null(sio_connect_accept(asked));
	come_back();
	assert_non_null(sio_connect_accept(asked));
	fake_turn(server->fake);
	expect_heard("recovered 42[\"e\",\"secret\" ");
}

static void test_somebody_else(void **state)
{
	struct sio_socket *s;

	(void)state;
	go();
	say_to_r("1");
	sio_on_connect(server, later, NULL);
	come_back();
	sio_connect_forget(asked);
	assert_false(sio_connect_is_recovering(asked));
	s = sio_connect_accept(asked);
	assert_false(sio_socket_is_recovered(s));
	fake_turn(server->fake);
	expect_heard("connected ");
}

static void test_identity(void **state)
{
	static char long_one[SIO_IDENTITY_MAX + 1];

	(void)state;
	memset(long_one, 'x', sizeof(long_one));
	assert_int_equal(sio_socket_set_identity(socket, sio_bytes(long_one, sizeof(long_one))), SIO_ERR_INVAL);
	assert_int_equal(sio_socket_set_identity(socket, sio_bytes(long_one, SIO_IDENTITY_MAX)), SIO_OK);
	assert_int_equal(sio_socket_set_identity(socket, SIO_LIT("")), SIO_OK);
	assert_int_equal(sio_socket_set_identity(socket, SIO_LIT("ben")), SIO_OK);
	sio_socket_ref(socket);
	go();
	assert_int_equal(sio_socket_set_identity(socket, SIO_LIT("x")), SIO_ERR_CLOSED);
	sio_socket_unref(socket);
}

/* A pid is of its namespace. */
static void test_another_namespace(void **state)
{
	char text[200], mine[SIO_ID_LEN + 1];

	(void)state;
	memcpy(mine, pid, sizeof(mine));
	assert_non_null(sio_namespace_open(server, SIO_LIT("/other")));
	go();
	snprintf(text, sizeof(text), "40/other,{\"pid\":\"%s\"}", mine);
	come(text);
	expect_heard("connected ");
	memcpy(pid, mine, sizeof(mine));
	come_back(); /* and it is still there for its own */
	expect_heard("recovered ");
	/* Of a socket that is connected: another namespace does not end it. */
	fake_ws(c, text);
	assert_int_equal(c->closed_n, 0);
}

/* Random losses: whatever happens, each event once and in order. */
static void test_random_losses(void **state)
{
	uint64_t seed = fake_seed();
	unsigned said = 0, next = 0;
	char text[16];

	(void)state;
	server->fake->is_quiet = true;
	for (int i = 0; i < 3000; i++) {
		switch (fake_random(&seed, 4)) {
		case 0:
			if (socket)
				go();
			socket = NULL;
			break;
		case 1:
			if (!socket)
				come_back();
			break;
		default:
			snprintf(text, sizeof(text), "%u", said++);
			say_to_r(text);
			if (socket && fake_random(&seed, 3) == 0)
				fake_turn(server->fake);
		}
	}
	if (!socket)
		come_back();
	fake_turn(server->fake);
	buf_byte(&heard, '\0');
	for (const char *at = strstr(heard.p, "[\"e\","); at; at = strstr(at + 1, "[\"e\","))
		assert_int_equal(strtoul(at + 5, NULL, 10), next++);
	assert_int_equal(next, said);
	buf_clear(&heard);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_is_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_silent_client, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_not_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_questions_are_not_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_socket_and_binary, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ends_that_are_final, setup, teardown),
		cmocka_unit_test_setup_teardown(test_once_and_in_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_back_too_early, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_ring_has_gone_round, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strange_auth, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_is_told_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_somebody_else, setup, teardown),
		cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_namespace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random_losses, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
