/* sim_engine_test.c -- an application of plain Engine.IO and two hundred clients in
 * simulated time: messages both ways, upgrades, slow readers, random ends, also from
 * inside of handlers.  What must always hold: each session that was opened is closed
 * once, and what arrives is what was sent, in order and without a gap, until the end.
 *
 * The seed is printed; the environment variable SEED repeats a run, STEPS makes it
 * longer.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "codec/base64.h"
#include "lib/fake_app.h"
#include "lib/sim_random.h"

enum { CLIENTS = 200, DEFAULT_STEPS = 30000 };

static struct sio_server *server;
static struct fake_client *clients[CLIENTS];
static uint64_t opened, closed, drained, upgraded, refused;

/* Both ends of one session: the application's side dies with it. */
struct app_side {
	uint32_t sent, received;
	struct client_side *client;
};
struct client_side {
	uint32_t sent, received;
	bool owes_pong;
};

/* A number as a message; some are long. */
static sio_slice numbered(uint32_t n, char out[400])
{
	int len = snprintf(out, 400, "%u,", n);

	if (one_in(10)) {
		memset(out + len, 'x', 300);
		len += 300;
	}
	return sio_bytes(out, (size_t)len);
}

static uint32_t number_of(sio_slice s)
{
	uint32_t n = 0;
	size_t i = 0;

	for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
		n = n * 10 + (uint32_t)(s.p[i] - '0');
	assert_true(i > 0 && i < s.n && s.p[i] == ',');
	return n;
}

/* ---- the application ------------------------------------------------------------------- */

static void send_one(struct sio_session *s)
{
	struct app_side *side = sio_session_data(s);
	struct sio_message *message;
	char out[400];
	sio_slice text = numbered(side->sent, out);
	int err;

	if (one_in(3)) {
		assert_int_equal(one_in(2) ? sio_message_new_text(server, text, &message)
					   : sio_message_new_binary(server, text, &message), SIO_OK);
		err = sio_session_send(s, message);
		sio_message_free(message);
	} else {
		err = one_in(2) ? sio_session_send_text(s, text) : sio_session_send_binary(s, text);
	}
	assert_true(err == SIO_OK || err == SIO_ERR_LIMIT);
	side->sent += err == SIO_OK;
	refused += err == SIO_ERR_LIMIT;
}

static struct sio_session *an_open_session(void)
{
	struct fake_client *c = clients[below(CLIENTS)];

	return c && c->link && c->link->app.is_told && sio_session_is_open(app_session(c)) ? app_session(c) : NULL;
}

/* Whatever an application may do, to the session it hears of or to another. */
static void meddle(struct sio_session *s)
{
	struct sio_session *other = an_open_session();

	if (one_in(4) && other)
		s = other;
	if (!sio_session_is_open(s)) {
		assert_int_equal(sio_session_send_text(s, SIO_LIT("x")), SIO_ERR_CLOSED);
		assert_int_equal(sio_session_close(s), SIO_ERR_CLOSED);
		return;
	}
	switch (below(300)) {
	case 0:
		assert_int_equal(sio_session_close(s), SIO_OK);
		return;
	case 1:
		assert_int_equal(sio_session_discard(s), SIO_OK);
		return;
	case 2:
		assert_int_equal(sio_session_send_text(s, SIO_LIT("\xff")), SIO_ERR_UTF8);
		return;
	default:
		for (uint32_t n = one_in(50) ? 40 : below(4); n > 0; n--)
			send_one(s);
	}
}

static void on_open(struct sio_session *s, void *arg)
{
	struct app_side *side = calloc(1, sizeof(*side));

	(void)arg;
	opened++;
	sio_session_set_data(s, side);
	meddle(s);
}

static void on_message(struct sio_session *s, sio_slice data, bool is_binary, void *arg)
{
	struct app_side *side = sio_session_data(s);

	(void)arg, (void)is_binary;
	assert_int_equal(number_of(data), side->received++);
	if (one_in(3))
		meddle(s);
	assert_int_equal(data.p[data.n - 1] == ',' || data.p[data.n - 1] == 'x', 1); /* still there */
}

static void on_upgraded(struct sio_session *s, void *arg)
{
	(void)arg;
	upgraded++;
	assert_string_equal(sio_session_transport(s), "websocket");
	meddle(s);
}

static void on_drain(struct sio_session *s, void *arg)
{
	(void)arg;
	drained++;
	assert_true(sio_session_is_open(s));
	if (one_in(2))
		meddle(s);
}

static void on_close(struct sio_session *s, sio_slice reason, void *arg)
{
	(void)arg;
	assert_true(reason.n > 0);
	assert_false(sio_session_is_open(s));
	closed++;
	if (one_in(3))
		meddle(s);
	free(sio_session_data(s));
	sio_session_set_data(s, NULL);
}

/* ---- the clients --------------------------------------------------------------------------- */

static void on_packet(struct fake_client *c, sio_slice text, bool is_binary)
{
	struct client_side *side = c->user;
	char decoded[600];

	if (!is_binary && text.n && text.p[0] != '4' && text.p[0] != 'b') {
		side->owes_pong |= text.p[0] == '2';
		return; /* open, ping, close, no-op */
	}
	if (text.n && text.p[0] == '4' && !is_binary) {
		assert_int_equal(number_of(sio_bytes(text.p + 1, text.n - 1)), side->received++);
		return;
	}
	if (text.n && text.p[0] == 'b') { /* base64: over polling, or asked for */
		ssize_t n = base64_decode(text.p + 1, text.n - 1, decoded);
		assert_true(n > 0);
		text = sio_bytes(decoded, (size_t)n);
	}
	assert_int_equal(number_of(text), side->received++);
}

static void say(struct fake_client *c)
{
	struct client_side *side = c->user;
	char text[420], out[400];
	sio_slice n = numbered(side->sent, out);

	if (!sio_session_is_open(app_session(c)))
		return;
	if (side->owes_pong && !one_in(20)) {
		side->owes_pong = false;
		if (c->has_wire[EIO_WIRE_WS])
			fake_ws(c, "3");
		else
			fake_post(c, "3");
		return;
	}
	if (one_in(300)) {
		if (c->has_wire[EIO_WIRE_WS])
			fake_ws(c, one_in(2) ? "x" : "1");
		else
			fake_post(c, one_in(2) ? "x" : "1");
		return;
	}
	side->sent++;
	snprintf(text, sizeof(text), "4%.*s", (int)n.n, n.p);
	if (!c->has_wire[EIO_WIRE_WS])
		fake_post(c, text);
	else if (one_in(2))
		fake_ws(c, text);
	else
		fake_ws_binary(c, n.p, n.n);
}

static void act_polling(struct fake_client *c)
{
	switch (below(8)) {
	case 0:
	case 1:
	case 2:
		if (!c->has_wire[EIO_WIRE_GET])
			fake_get(c);
		return;
	case 3:
		if (!c->has_wire[EIO_WIRE_PROBE] && fake_probe(c) && one_in(3))
			eio_ws_query(fake_session(c), SIO_LIT("b64=1"));
		return;
	case 4:
		if (c->has_wire[EIO_WIRE_PROBE])
			fake_probe_text(c, "2probe");
		return;
	case 5:
		if (c->has_wire[EIO_WIRE_PROBE] && !c->has_wire[EIO_WIRE_GET])
			fake_probe_text(c, one_in(20) ? "6" : "5");
		return;
	case 6:
		if (c->has_wire[EIO_WIRE_GET] && one_in(60))
			fake_hang_up(c, EIO_WIRE_GET);
		else if (c->has_wire[EIO_WIRE_PROBE] && one_in(10))
			fake_hang_up(c, EIO_WIRE_PROBE);
		return;
	default:
		say(c);
	}
}

static void act_websocket(struct fake_client *c)
{
	switch (below(8)) {
	case 0:
		if (one_in(4))
			fake_ws_takes(c, below(300));
		return;
	case 1:
		if (one_in(8))
			fake_ws_takes(c, SIZE_MAX);
		return;
	case 2:
		if (one_in(60))
			fake_hang_up(c, EIO_WIRE_WS);
		return;
	default:
		say(c);
	}
}

static void act(uint32_t i)
{
	struct fake_client *c = clients[i];

	if (c && !c->link) {
		free(c->user);
		fake_forget(c);
		c = clients[i] = NULL;
	}
	if (!c) {
		c = clients[i] = fake_open(server->fake, one_in(2) ? EIO_POLLING : EIO_WEBSOCKET);
		c->user = calloc(1, sizeof(struct client_side));
		eio_app_open(&c->link->app, &server->app, &c->link->session);
		eio_app_opened(&c->link->app);
	} else if (c->has_wire[EIO_WIRE_WS]) {
		act_websocket(c);
	} else if (c->gone_n == 0 && fake_session(c)->transport == EIO_POLLING) {
		act_polling(c);
	}
}

static void test_simulation(void **state)
{
	struct eio_limits limits = { .ping_interval_ms = 25000, .ping_timeout_ms = 20000, .upgrade_timeout_ms = 10000,
				     .max_payload_bytes = 1000000, .send_queue_bytes = 2048, .packets_n = 100 };
	const char *text = getenv("STEPS");
	long steps = text ? atol(text) : DEFAULT_STEPS;

	(void)state;
	rnd = fake_seed();
	server = app_start(&limits);
	server->fake->is_quiet = true;
	server->fake->packet = on_packet;
	assert_int_equal(sio_engine_on_open(server, on_open, NULL), SIO_OK);
	assert_int_equal(sio_engine_on_message(server, on_message, NULL), SIO_OK);
	assert_int_equal(sio_engine_on_upgraded(server, on_upgraded, NULL), SIO_OK);
	assert_int_equal(sio_engine_on_drain(server, on_drain, NULL), SIO_OK);
	assert_int_equal(sio_engine_on_close(server, on_close, NULL), SIO_OK);
	for (long i = 0; i < steps; i++) {
		act(below(CLIENTS));
		if (one_in(3))
			fake_turn(server->fake);
		if (one_in(50))
			fake_run(server->fake, below(500));
		if (one_in(20))
			fake_check(server->fake);
	}
	print_message("%llu sessions, %llu upgrades, %llu drains, %llu sends refused\n", (unsigned long long)opened,
		      (unsigned long long)upgraded, (unsigned long long)drained, (unsigned long long)refused);
	assert_true(opened > CLIENTS && upgraded > 50 && drained > 1000 && refused > 0);
	eio_engine_discard_all(&server->fake->engine, "server shutting down");
	fake_turn(server->fake);
	assert_int_equal(opened, closed);
	for (int i = 0; i < CLIENTS; i++)
		if (clients[i])
			free(clients[i]->user);
	app_stop(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_simulation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
