/* engine_app_torture_test.c -- memory runs out at each place of plain Engine.IO in turn.
 *
 * A scene is run once to count its allocations, then once for each of them with that one
 * failing, and once more with all from there on.  Afterwards: every call has returned
 * what its header lists, nothing has leaked, each session that was opened was closed
 * once, and a client whose session is still open has each message that the application
 * was told is queued.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "engine/door.h"
#include "engine/headers.h"
#include "lib/fail_alloc.h"
#include "lib/fake_app.h"

enum { PEERS = 4, POLLING = 2, MOVING = 3, STREAM = 1 << 17 };

struct peer {
	struct fake_client *c;
	unsigned due, got; /* messages */
};

static struct sio_server *server;
static struct peer peers[PEERS];
static unsigned opened, closed;

static void on_open(struct sio_session *s, void *arg)
{
	(void)s, (void)arg;
	opened++;
}

static void on_close(struct sio_session *s, sio_slice reason, void *arg)
{
	(void)s, (void)arg;
	assert_true(reason.n > 0);
	closed++;
}

/* Was it queued? */
static bool ok(int result)
{
	assert_true(result == SIO_OK || result == SIO_ERR_NOMEM || result == SIO_ERR_LIMIT || result == SIO_ERR_CLOSED);
	return result == SIO_OK;
}

static void on_message(struct sio_session *s, sio_slice data, bool is_binary, void *arg)
{
	(void)arg;
	for (int i = 0; i < PEERS; i++)
		if (peers[i].c && peers[i].c->link && app_session(peers[i].c) == s)
			peers[i].due += ok(is_binary ? sio_session_send_binary(s, data) : sio_session_send_text(s, data));
}

static void on_packet(struct fake_client *c, sio_slice text, bool is_binary)
{
	struct peer *peer = c->user;

	if (peer)
		peer->got += is_binary || (text.n && (text.p[0] == '4' || text.p[0] == 'b'));
}

static bool is_open(int i)
{
	return peers[i].c->link && sio_session_is_open(app_session(peers[i].c));
}

/* Allocates nothing of its own. */
static void say(int i, const char *text)
{
	static char copy[100];
	size_t n = strlen(text);

	if (!is_open(i))
		return;
	memcpy(copy, text, n);
	if (peers[i].c->has_wire[EIO_WIRE_WS])
		eio_ws_text(fake_session(peers[i].c), copy, n);
	else if (fake_post_begin(peers[i].c))
		eio_post(fake_session(peers[i].c), copy, n);
}

/* Whoever polls takes what there is. */
static void deliver(void)
{
	for (int i = 0; i < PEERS; i++)
		if (is_open(i) && fake_session(peers[i].c)->transport == EIO_POLLING && !peers[i].c->has_wire[EIO_WIRE_GET])
			fake_get(peers[i].c);
	fake_turn(server->fake);
	fake_turn(server->fake);
}

static void begin(void)
{
	server = app_start(NULL);
	server->fake->is_quiet = true;
	server->fake->packet = on_packet;
	assert_int_equal(sio_engine_on_open(server, on_open, NULL), SIO_OK);
	assert_int_equal(sio_engine_on_message(server, on_message, NULL), SIO_OK);
	assert_int_equal(sio_engine_on_close(server, on_close, NULL), SIO_OK);
	opened = closed = 0;
	for (int i = 0; i < PEERS; i++) {
		peers[i] = (struct peer){ .c = app_client(server, i < POLLING ? EIO_WEBSOCKET : EIO_POLLING) };
		peers[i].c->user = &peers[i];
		buf_reserve(&peers[i].c->stream, STREAM);
	}
	eio_ws_query(fake_session(peers[1].c), SIO_LIT("b64=1"));
}

static void end(void)
{
	deliver();
	for (int i = 0; i < PEERS; i++) {
		if (is_open(i))
			assert_int_equal(peers[i].got, peers[i].due);
		assert_true(peers[i].got <= peers[i].due);
	}
	fake_check(server->fake);
	eio_engine_discard_all(&server->fake->engine, "server shutting down");
	fake_turn(server->fake);
	assert_int_equal(opened, closed);
	app_stop(server);
}

/* ---- scenes -------------------------------------------------------------------------- */

static char big[20000]; /* larger than what pools have */

static void scene_send(void)
{
	for (int i = 0; i < PEERS; i++) {
		if (!is_open(i))
			continue;
		struct sio_session *s = app_session(peers[i].c);
		peers[i].due += ok(sio_session_send_text(s, SIO_LIT("text")));
		peers[i].due += ok(sio_session_send_binary(s, SIO_LIT("\x01\x02")));
		peers[i].due += ok(sio_session_send_binary(s, sio_bytes(big, sizeof(big))));
	}
	deliver();
}

static void scene_many(void)
{
	struct sio_message *messages[3];

	(void)!sio_message_new_text(server, SIO_LIT("all"), &messages[0]);
	(void)!sio_message_new_binary(server, SIO_LIT("\x01\x02\x03"), &messages[1]);
	(void)!sio_message_new_text(server, sio_bytes(big, sizeof(big)), &messages[2]);
	for (int k = 0; k < 3; k++) {
		for (int i = 0; i < PEERS; i++) {
			int err = is_open(i) ? sio_session_send(app_session(peers[i].c), messages[k]) : SIO_ERR_CLOSED;
			if (messages[k])
				peers[i].due += ok(err);
			else
				assert_true(err == SIO_ERR_INVAL || err == SIO_ERR_CLOSED);
		}
		sio_message_free(messages[k]);
	}
	deliver();
}

static void scene_echo(void)
{
	for (int i = 0; i < PEERS; i++) {
		say(i, "4hello");
		say(i, "bAQID");
	}
	deliver();
}

static void scene_upgrade(void)
{
	struct fake_client *c = peers[MOVING].c;
	char probe[] = "2probe", upgrade[] = "5";

	say(MOVING, "bAQID");
	say(MOVING, "4x");
	if (is_open(MOVING) && fake_probe(c)) {
		eio_ws_query(fake_session(c), SIO_LIT("b64=1"));
		eio_probe_text(fake_session(c), probe, 6);
		eio_probe_text(fake_session(c), upgrade, 1);
	}
	say(MOVING, "4y");
	deliver();
}

static void scene_close(void)
{
	for (int i = 0; i < PEERS; i++) {
		say(i, "4last");
		if (is_open(i))
			assert_int_equal(i % 2 ? sio_session_discard(app_session(peers[i].c)) : sio_session_close(app_session(peers[i].c)), SIO_OK);
		peers[i].due = i % 2 ? peers[i].got : peers[i].due;
	}
	deliver();
}

static void run(void (*scene)(void), uint64_t at, bool for_good)
{
	int64_t out = fail_alloc.out;

	begin();
	fail_alloc_arm(at, for_good);
	scene();
	fail_alloc_disarm();
	end();
	if (fail_alloc.out != out)
		fail_msg("%lld blocks left after failure %llu", (long long)(fail_alloc.out - out), (unsigned long long)at);
}

static void in_turn(void (*scene)(void))
{
	uint64_t n;

	run(scene, 0, false);
	n = fail_alloc.seen;
	assert_true(n > 0);
	for (uint64_t at = 1; at <= n; at++) {
		run(scene, at, false);
		run(scene, at, true);
	}
}

static void test_scenes(void **state)
{
	(void)state;
	memset(big, 'x', sizeof(big));
	in_turn(scene_send);
	in_turn(scene_many);
	in_turn(scene_echo);
	in_turn(scene_upgrade);
	in_turn(scene_close);
}

/* ---- refusals and headers ----------------------------------------------------------------- */

static void on_answered(struct sio_handshake *hs)
{
	/* Without memory for the application's words there are none, but it is refused. */
	assert_int_equal(hs->verdict, DOOR_REFUSED);
	assert_true(hs->message.n == 0 || sio_slice_eq(buf_peek(&hs->message), SIO_LIT("no")) ||
		    sio_slice_eq(buf_peek(&hs->message), SIO_LIT("Forbidden")));
	door_fini(hs);
}

static void refuse(struct sio_handshake *hs, void *arg)
{
	(void)arg;
	sio_handshake_refuse(hs, SIO_LIT("no"));
}

static void test_refusal_and_headers(void **state)
{
	static const struct door_ops ops = { .answered = on_answered };

	(void)state;
	for (uint64_t at = 0; at < 6; at++) {
		int64_t out = fail_alloc.out;
		struct guard guard = { 0 };
		struct wheel *wheel = malloc(sizeof(*wheel));
		struct sio_handshake hs = { .ops = &ops, .guard = &guard };
		struct buf headers = { 0 };
		struct sio_headers h = { .out = &headers };
		int err;
		wheel_init(wheel, 0);
		fail_alloc_arm(at, true);
		door_ask(&hs, wheel, 0, refuse, NULL);
		err = sio_headers_add(&h, SIO_LIT("X-A"), SIO_LIT("b"));
		fail_alloc_disarm();
		assert_true(err == SIO_OK || (err == SIO_ERR_NOMEM && headers.n == 0));
		buf_fini(&headers);
		free(wheel);
		assert_int_equal(fail_alloc.out, out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scenes),
		cmocka_unit_test(test_refusal_and_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
