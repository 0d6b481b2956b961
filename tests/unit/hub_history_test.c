/* hub_history_test.c -- a history of one's own: it looks for sessions when it likes to,
 * keeps only what it wants, and some clients know nothing of it.
 *
 * The history of this test keeps events whose turn it is told (keep), hands out "o<number>",
 * and replays nothing but what the test has put into missed.
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

#include "lib/fake_hub.h"

static struct sio_server *server;
static unsigned number, appended, closed;
static bool keep;
static const char *missed;
static char left[200], ended[200];
static struct sio_connect *asked;

static const sio_slice room_r = { "r", 1 };
static const struct sio_target to_r = { .rooms = &room_r, .rooms_n = 1 };

static void own_next(void *self, char out[SIO_OFFSET_MAX])
{
	(void)self;
	if (keep)
		snprintf(out, SIO_OFFSET_MAX, "o%u", ++number);
}

static void own_newest(void *self, char out[SIO_OFFSET_MAX])
{
	(void)self;
	snprintf(out, SIO_OFFSET_MAX, "o%u", number);
}

static void own_append(void *self, const struct sio_history_event *event, uint64_t now_ms)
{
	(void)self, (void)event, (void)now_ms;
	appended++;
}

static void note(char out[200], const struct sio_history_session *s)
{
	snprintf(out, 200, "%.*s %.*s %u", (int)s->pid.n, s->pid.p, (int)s->sid.n, s->sid.p, s->rooms_n);
}

static void own_left(void *self, const struct sio_history_session *s, uint64_t now_ms)
{
	(void)self, (void)now_ms;
	note(left, s);
}

static void own_ended(void *self, const struct sio_history_session *s, uint64_t now_ms)
{
	(void)self, (void)now_ms;
	note(ended, s);
}

static void own_replay(void *self, const struct sio_history_session *s, sio_slice offset, sio_history_missed_fn *fn,
		       sio_history_done_fn *done, void *arg)
{
	(void)self, (void)s;
	assert_true(sio_slice_eq(offset, SIO_LIT("o7")));
	if (missed)
		fn(sio_str(missed), NULL, 0, arg);
	done(SIO_OK, arg);
}

static void own_close(void *self)
{
	(void)self;
	closed++;
}

static const struct sio_history_ops own = {
	.next = own_next, .newest = own_newest, .append = own_append, .left = own_left, .ended = own_ended,
	.replay = own_replay, .close = own_close,
};

static void on_packet(struct fake_client *client, sio_slice text, bool is_binary)
{
	(void)client, (void)is_binary;
	if (text.p[0] == '0')
		return;
	buf_slice(&heard, text);
	buf_byte(&heard, ' ');
}

static void later(struct sio_connect *req, void *arg)
{
	(void)arg;
	asked = req;
}

static int setup(void **state)
{
	(void)state;
	server = hub_start(NULL, NULL);
	server->fake->packet = on_packet;
	number = appended = closed = 0;
	keep = false;
	missed = NULL;
	left[0] = ended[0] = '\0';
	assert_int_equal(sio_server_set_history(server, &own, NULL), SIO_OK);
	sio_on_connect(server, later, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	hub_check(server);
	hub_stop(server);
	assert_int_equal(closed, 1);
	buf_fini(&heard);
	return 0;
}

static struct fake_client *ask(void)
{
	struct fake_client *c = hub_open(server, EIO_WEBSOCKET);

	fake_ws(c, "40{\"pid\":\"aaaaaaaaaaaaaaaaaaaa\",\"offset\":\"o7\"}");
	assert_false(sio_connect_is_recovering(asked)); /* nobody has looked yet */
	return c;
}

static struct sio_socket *take(bool is_plain)
{
	struct sio_socket *s;

	ask();
	if (is_plain)
		sio_connect_decline_recovery(asked);
	s = sio_connect_accept(asked);
	assert_int_equal(sio_room_join(s, room_r), SIO_OK);
	fake_turn(server->fake);
	buf_clear(&heard);
	return s;
}

static void say(const struct sio_target *target, const char *args)
{
	struct sio_args a = sio_args_json(sio_str(args));

	assert_true(sio_broadcast(server, target, SIO_LIT("e"), &a) >= 0);
}

/* What the history does not want has no offset, and is not told to it. */
static void test_keeps_what_it_wants(void **state)
{
	(void)state;
	take(false);
	say(&to_r, "{}");
	say(&to_r, "\"t\"");
	assert_int_equal(appended, 0);
	keep = true;
	say(&to_r, "{}");
	fake_turn(server->fake);
	expect_heard("42[\"e\",{}] 42[\"e\",\"t\",null] 42[\"e\",{},\"o1\"] ");
	assert_int_equal(appended, 1);
}

/* A client that has declined sees neither private id nor offset; its neighbours do. */
static void test_plain_clients(void **state)
{
	struct sio_socket *plain, *other;
	struct sio_args text = sio_args_json(SIO_LIT("\"t\""));
	struct sio_target but_other = { .rooms = &room_r, .rooms_n = 1 };
	sio_slice except;
	char sid[SIO_ID_LEN + 1], pid[SIO_ID_LEN + 1];

	(void)state;
	ask();
	sio_connect_decline_recovery(asked);
	assert_int_equal(sio_connect_ids(asked, sid, pid), SIO_ERR_INVAL);
	plain = sio_connect_accept(asked);
	fake_turn(server->fake);
	buf_byte(&heard, '\0');
	assert_null(strstr(heard.p, "pid"));
	buf_clear(&heard);
	assert_int_equal(sio_room_join(plain, room_r), SIO_OK);
	assert_int_equal(sio_socket_pid(plain).n, 0);
	keep = true;
	say(&to_r, "1");
	assert_int_equal(sio_socket_emit(plain, SIO_LIT("own"), &text), SIO_OK);
	fake_turn(server->fake);
	expect_heard("42[\"e\",1] 42[\"own\",\"t\"] ");
	assert_int_equal(appended, 1); /* what went to it alone cannot be missed */
	other = take(false);
	say(&to_r, "2");
	fake_turn(server->fake);
	expect_heard("42[\"e\",2,\"o2\"] 42[\"e\",2] ");
	except = sio_socket_id(other);
	but_other.except = &except;
	but_other.except_n = 1;
	say(&but_other, "3"); /* the long way round */
	say(NULL, "4");
	fake_turn(server->fake);
	expect_heard("42[\"e\",4,\"o4\"] 42[\"e\",3] 42[\"e\",4] ");
	assert_int_equal(server->hub.plain_n, 1);
	sio_socket_disconnect(plain, true);
	assert_int_equal(server->hub.plain_n, 0);
	assert_string_equal(left, "");
	assert_string_equal(ended, "");
}

/* The ids are known before the client is accepted, and are those that it gets. */
static void test_ids_ahead(void **state)
{
	char sid[SIO_ID_LEN + 1], pid[SIO_ID_LEN + 1], again[SIO_ID_LEN + 1], want[200];
	struct sio_socket *s;

	(void)state;
	ask();
	assert_int_equal(sio_connect_ids(asked, sid, pid), SIO_OK);
	assert_int_equal(sio_connect_ids(asked, again, pid), SIO_OK);
	assert_string_equal(sid, again);
	assert_string_not_equal(sid, pid);
	s = sio_connect_accept(asked);
	fake_turn(server->fake);
	snprintf(want, sizeof(want), "40{\"sid\":\"%s\",\"pid\":\"%s\"} ", sid, pid);
	expect_heard(want);
	assert_true(sio_slice_eq(sio_socket_pid(s), sio_str(pid)));
	snprintf(want, sizeof(want), "%s %s 0", pid, sid);
	sio_socket_disconnect(s, false);
	assert_string_equal(ended, want);
	assert_string_equal(left, "");
}

#define SID "QkktoGI0rQrHb11d69tt" /* the hash of that pid */

static const struct sio_history_session found = {
	.pid = { "aaaaaaaaaaaaaaaaaaaa", SIO_ID_LEN }, .sid = { SID, SIO_ID_LEN }, .nsp = { "/", 1 },
	.offset = { "", 0 }, .identity = { "anna", 4 }, .rooms = &room_r, .rooms_n = 1,
};

static void test_found_after_it_was_judged(void **state)
{
	struct sio_history_session other = found;
	struct fake_client *first;
	struct sio_socket *s;

	(void)state;
	missed = "2[\"e\",8,\"o8\"]";
	first = ask();
	other.nsp = SIO_LIT("/other");
	assert_int_equal(sio_connect_recover(asked, &other, SIO_LIT("o7")), SIO_ERR_INVAL);
	other = found;
	other.pid = SIO_LIT("short");
	assert_int_equal(sio_connect_recover(asked, &other, SIO_LIT("o7")), SIO_ERR_INVAL);
	other = found;
	other.sid = SIO_LIT("bbbbbbbbbbbbbbbbbbbb"); /* another one's */
	assert_int_equal(sio_connect_recover(asked, &other, SIO_LIT("o7")), SIO_ERR_INVAL);
	assert_int_equal(sio_connect_recover(asked, &found, SIO_LIT("o7")), SIO_OK);
	assert_int_equal(sio_connect_recover(asked, &found, SIO_LIT("o7")), SIO_ERR_EXISTS);
	assert_true(sio_connect_is_recovering(asked));
	assert_true(sio_slice_eq(sio_connect_identity(asked), SIO_LIT("anna")));
	s = sio_connect_accept(asked);
	assert_true(sio_socket_is_recovered(s));
	assert_true(sio_room_has(s, room_r)); /* at once: this history answers at once */
	fake_turn(server->fake);
	expect_heard("40{\"sid\":\"" SID "\",\"pid\":\"aaaaaaaaaaaaaaaaaaaa\"} 42[\"e\",8,\"o8\"] ");
	/* It comes again before its loss was noticed: it is found, and does not give way by itself. */
	ask();
	assert_ptr_equal(sio_connect_predecessor(asked, found.pid), s);
	assert_int_equal(sio_connect_recover(asked, &found, SIO_LIT("o7")), SIO_ERR_EXISTS);
	assert_int_equal(first->closed_n, 0);
	sio_connect_take_over(asked, found.pid);
	assert_int_equal(first->closed_n, 1);
	assert_string_equal(left, "aaaaaaaaaaaaaaaaaaaa " SID " 1");
	assert_null(sio_connect_predecessor(asked, found.pid));
	assert_int_equal(sio_connect_recover(asked, &found, SIO_LIT("o7")), SIO_OK);
	left[0] = '\0';
	sio_connect_refuse(asked, SIO_LIT("no"), sio_bytes("", 0)); /* given back */
	assert_string_equal(left, "aaaaaaaaaaaaaaaaaaaa " SID " 1");
}

/* Closed without an answer: the session goes, and the request with it. */
static void test_closed_without_an_answer(void **state)
{
	struct fake_client *c = ask();

	(void)state;
	assert_int_equal(sio_connect_recover(asked, &found, SIO_LIT("o7")), SIO_OK);
	sio_connect_close(asked);
	fake_turn(server->fake);
	expect_heard("");
	assert_int_equal(c->closed_n, 1);
	assert_string_equal(left, "aaaaaaaaaaaaaaaaaaaa " SID " 1");
	c = ask();
	fake_hang_up(c, EIO_WIRE_WS);
	sio_connect_close(asked); /* it has gone already */
}

/* A volatile event that takes the place of an older one stands in front of what the client has
 * not seen: it must not carry an offset from behind it. */
static void test_an_overtaking_event_carries_no_offset(void **state)
{
	struct sio_target cursor = { .rooms = &room_r, .rooms_n = 1, .is_volatile = true, .latest_key = 5 };
	const char *at, *kept;

	(void)state;
	take(false);
	keep = true;
	for (int i = 0; i < 400; i++) { /* until it lags and cursors give way */
		say(&cursor, "\"old\"");
		say(&to_r, "1");
		say(&cursor, "\"new\"");
	}
	fake_turn(server->fake);
	buf_byte(&heard, '\0');
	for (at = heard.p; (at = strstr(at, "\"new\"")); at = kept) {
		kept = strchr(at, ']');
		assert_memory_equal(at, "\"new\",null]", 11);
	}
	buf_clear(&heard);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_keeps_what_it_wants, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plain_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ids_ahead, setup, teardown),
		cmocka_unit_test_setup_teardown(test_found_after_it_was_judged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closed_without_an_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_overtaking_event_carries_no_offset, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
