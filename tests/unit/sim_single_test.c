/* sim_single_test.c -- one worker and a few hundred clients in simulated time, random
 * packets good and bad, random ends; what must always hold is checked after each step.
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

#include "lib/fake_hub.h"

enum { CLIENTS = 300, DEFAULT_STEPS = 20000, ROOMS = 20, PENDING = 64 };

static struct sio_server *server;
static struct fake_client *clients[CLIENTS];
static uint64_t rnd;
static struct sio_connect *pending[PENDING];  /* answers that the application owes */
static unsigned pending_n;
static struct sio_socket *paused[PENDING];    /* references and pauses that it holds */
static unsigned paused_n;
static uint64_t accepted, ended;

static uint32_t below(uint32_t n)
{
	return fake_random(&rnd, n);
}

static bool one_in(uint32_t n)
{
	return below(n) == 0;
}

static sio_slice a_room(void)
{
	static const char names[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	return sio_bytes(names + below(ROOMS), 1 + below(2));
}

static struct sio_socket *a_socket(void)
{
	struct sio_namespace *nsp = server->hub.nsps;

	return nsp->sockets_n ? nsp->sockets[below(nsp->sockets_n)] : NULL;
}

/* ---- the application: it does whatever it may ------------------------------------------ */

static void answer(struct sio_connect *req)
{
	bool is_open = sio_connect_is_open(req);
	struct sio_socket *s;

	if (one_in(5)) {
		sio_connect_refuse(req, SIO_LIT("no"), one_in(2) ? sio_connect_auth(req) : SIO_LIT(""));
		return;
	}
	s = sio_connect_accept(req);
	assert_int_equal(s != NULL, is_open);
	accepted += s != NULL;
	if (s)
		assert_int_equal(sio_room_join(s, a_room()), SIO_OK);
}

static void on_connect(struct sio_connect *req, void *arg)
{
	(void)arg;
	if (pending_n < PENDING && one_in(3))
		pending[pending_n++] = req;
	else
		answer(req);
}

static void broadcast(const struct sio_socket *skip)
{
	static const sio_slice bytes[] = { { "\x01\x02\x03", 3 } };
	sio_slice rooms[2] = { a_room(), a_room() }, except[1] = { a_room() };
	struct sio_target t = { .rooms = rooms, .rooms_n = below(3), .except = except, .except_n = below(2), .skip = skip };
	struct sio_args args = { SIO_LIT("{\"x\":1.5}"), bytes, below(4) == 0 };

	t.is_volatile = one_in(2);
	t.latest_key = below(4);
	if (t.rooms_n == 0 && !one_in(10)) /* to everybody: not so often */
		t.rooms_n = 1;
	assert_true(sio_broadcast(server, &t, SIO_LIT("event"), &args) >= 0);
}

static void meddle(struct sio_socket *s)
{
	switch (below(20)) {
	case 0:
		sio_socket_disconnect(s, false);
		return;
	case 1:
		sio_socket_disconnect(s, true);
		return;
	case 2:
		sio_socket_close_transport(s);
		return;
	case 3:
		if (paused_n < PENDING) {
			sio_socket_pause(s);
			paused[paused_n++] = sio_socket_ref(s);
		}
		return;
	case 4:
	case 5:
		(void)!sio_room_join(s, a_room());
		return;
	case 6:
		sio_room_leave(s, a_room());
		return;
	default:
		broadcast(one_in(2) ? s : NULL);
	}
}

static void on_event(struct sio_socket *s, const struct sio_event *e, void *arg)
{
	char copy[64];

	(void)arg;
	assert_true(sio_socket_is_open(s));
	if (e->ack != SIO_ACK_NONE)
		assert_int_equal(sio_socket_ack(s, e->ack, &e->args), SIO_OK);
	if (one_in(3))
		broadcast(s);
	if (one_in(8))
		meddle(s);
	if (one_in(25) && a_socket())
		meddle(a_socket());
	/* Whatever happened, the event is still there. */
	memcpy(copy, e->name.p, e->name.n < sizeof(copy) ? e->name.n : sizeof(copy));
	for (unsigned i = 0; i < e->args.attachments_n; i++)
		if (e->args.attachments[i].n)
			copy[0] = e->args.attachments[i].p[0];
	if (e->args.json.n)
		copy[1] = e->args.json.p[e->args.json.n - 1];
}

static void on_disconnect(struct sio_socket *s, sio_slice reason, void *arg)
{
	(void)arg;
	assert_true(reason.n > 0);
	assert_false(sio_socket_is_open(s));
	ended++;
	if (one_in(6))
		broadcast(s);
	if (one_in(20) && a_socket())
		sio_socket_disconnect(a_socket(), one_in(2));
	assert_int_equal(sio_socket_emit(s, SIO_LIT("x"), &(struct sio_args){ 0 }), SIO_ERR_CLOSED);
}

/* ---- the clients -------------------------------------------------------------------------- */

/* Mostly what fits, so that sessions live long enough to become interesting. */
static const char *a_packet(const struct fake_client *c)
{
	const struct hub_client *h = &c->link->hub_client;

	static const char *const good[] = {
		"3", "6", "42[\"x\",1]", "42[\"x\",{\"a\":[1,2]}]", "425[\"ask\"]",
		"42[\"x\"]", "42[\"y\",\"text\"]", "42[\"z\",null]", "4399[]",
		"451-[\"b\",{\"_placeholder\":true,\"num\":0}]", "452-[\"b\",{\"_placeholder\":true,\"num\":1}]",
	};
	static const char *const bad[] = {
		"1", "2", "", "9", "abc", "4", "47", "42{}", "42[]", "42[\"connect\"]", "40/nowhere", "40/nowhere,{}", "40[]",
		"450-[\"a\"]", "4511-[\"a\"]", "452-[\"a\",{\"_placeholder\":true,\"num\":1}]", "b!!", "44{}", "5", "0{}",
		"4299999999999999999999[\"a\"]", "42[[[[[[[[[[[[", "41{}", "2probe", "42[\"\\ud800\"]",
	};

	if (one_in(150))
		return bad[below(sizeof(bad) / sizeof(bad[0]))];
	if (one_in(100))
		return "41";
	if (h->partial)
		return "bAQID";
	if (!h->sockets && !h->was_disconnected)
		return h->asking ? "3" : one_in(2) ? "40" : "40{\"a\":1}";
	return good[below(sizeof(good) / sizeof(good[0]))];
}

static void post_something(struct fake_client *c)
{
	struct buf body = { 0 };

	if (!fake_post_begin(c))
		return;
	if (one_in(20))
		return; /* the body comes later, or never */
	buf_str(&body, a_packet(c));
	for (uint32_t n = below(3); n > 0 && body.n > 2 && memcmp(body.p, "42", 2) == 0; n--)
		buf_str(&body, "\x1e" "42[\"more\",{}]");
	fake_post_body(c, body.p, body.n);
	buf_fini(&body);
}

static void act_polling(struct fake_client *c)
{
	switch (below(12)) {
	case 0:
	case 1:
	case 2:
	case 3:
		if (!c->has_wire[EIO_WIRE_GET] || one_in(200))
			fake_get(c);
		return;
	case 4:
	case 5:
	case 6:
		if (c->has_wire[EIO_WIRE_POST] && !one_in(100))
			fake_post_body(c, "3", 1);
		else
			post_something(c);
		return;
	case 7:
		if (!c->has_wire[EIO_WIRE_PROBE])
			fake_probe(c);
		return;
	case 8:
		if (c->has_wire[EIO_WIRE_PROBE])
			fake_probe_text(c, one_in(15) ? a_packet(c) : "2probe");
		return;
	case 9:
		if (c->has_wire[EIO_WIRE_PROBE])
			fake_probe_text(c, "5");
		return;
	case 10:
		if (c->has_wire[EIO_WIRE_PROBE] && one_in(3))
			fake_hang_up(c, EIO_WIRE_PROBE);
		return;
	default:
		if (c->has_wire[EIO_WIRE_GET] && one_in(40))
			fake_hang_up(c, EIO_WIRE_GET);
		else if (c->has_wire[EIO_WIRE_POST] && one_in(20))
			fake_hang_up(c, EIO_WIRE_POST);
	}
}

static void act_websocket(struct fake_client *c)
{
	switch (below(10)) {
	case 0:
		if (one_in(3))
			fake_ws_takes(c, below(200)); /* it reads slowly */
		return;
	case 1:
		fake_ws_takes(c, SIZE_MAX);
		return;
	case 2:
		if (c->link->hub_client.partial || one_in(100))
			fake_ws_binary(c, "bytes", below(6));
		return;
	case 3:
		if (one_in(40))
			fake_hang_up(c, EIO_WIRE_WS);
		else if (one_in(40))
			eio_ws_fault(fake_session(c), 1002);
		return;
	case 4:
		if (one_in(20))
			fake_probe(c);
		return;
	default:
		fake_ws(c, a_packet(c));
	}
}

static void act(unsigned i)
{
	struct fake_client *c = clients[i];

	if (!c || !c->link) {
		if (c)
			fake_forget(c);
		clients[i] = hub_open(server, one_in(2) ? EIO_WEBSOCKET : EIO_POLLING);
		return;
	}
	if (c->gone_n) /* nothing leads to it any more */
		return;
	if (c->has_wire[EIO_WIRE_WS])
		act_websocket(c);
	else if (fake_session(c)->transport == EIO_POLLING)
		act_polling(c);
}

static void pay_debts(void)
{
	if (pending_n > 0 && one_in(2)) {
		unsigned i = below(pending_n);
		struct sio_connect *req = pending[i];
		pending[i] = pending[--pending_n];
		answer(req);
	}
	if (paused_n > 0 && one_in(2)) {
		unsigned i = below(paused_n);
		struct sio_socket *s = paused[i];
		paused[i] = paused[--paused_n];
		sio_socket_resume(s);
		sio_socket_unref(s);
	}
}

static void check(void)
{
	const struct fake *f = server->fake;

	hub_check(server);
	assert_int_equal(accepted - ended, server->hub.sockets);
	assert_int_equal(f->opened - f->gone, f->engine.sessions.n);
	assert_true(f->closed <= f->opened && f->gone <= f->closed);
}

static void test_simulation(void **state)
{
	struct hub_limits limits = hub_usual;
	struct eio_limits eio = { .ping_interval_ms = 25000, .ping_timeout_ms = 20000, .upgrade_timeout_ms = 10000,
				  .max_payload_bytes = 1000000, .send_queue_bytes = 512, .packets_n = 100 };
	const char *text = getenv("STEPS");
	long steps = text ? atol(text) : DEFAULT_STEPS;

	(void)state;
	rnd = fake_seed();
	pending_n = paused_n = 0;
	accepted = ended = 0;
	memset(clients, 0, sizeof(clients));
	limits.events_per_second = 20;
	limits.events_burst = 40;
	limits.max_rooms = 200;
	server = hub_start(&limits, &eio);
	server->fake->is_quiet = true;
	sio_on_connect(server, on_connect, NULL);
	sio_on_disconnect(server, on_disconnect, NULL);
	assert_int_equal(sio_on_event(server, NULL, on_event, NULL), SIO_OK);
	for (long step = 0; step < steps; step++) {
		for (uint32_t n = below(8); n < 8; n++)
			act(below(CLIENTS));
		pay_debts();
		if (one_in(20) && a_socket())
			meddle(a_socket());
		if (one_in(2000))
			eio_engine_discard_all(&server->fake->engine, "server shutting down");
		if (one_in(500))
			eio_engine_relax(&server->fake->engine);
		if (one_in(3))
			fake_run(server->fake, one_in(200) ? below(60000) : below(200));
		else
			fake_turn(server->fake);
		check();
	}
	/* The application keeps its promises to the end, though all have gone. */
	eio_engine_discard_all(&server->fake->engine, "server shutting down");
	while (pending_n > 0 || paused_n > 0)
		pay_debts();
	assert_int_equal(accepted, ended);
	print_message("%llu sessions, %llu sockets, %llu events, %llu deliveries, %llu upgrades, %llu cut as slow\n",
		      (unsigned long long)server->fake->opened, (unsigned long long)accepted,
		      (unsigned long long)server->hub.events, (unsigned long long)server->fake->engine.deliveries,
		      (unsigned long long)server->fake->engine.upgrades, (unsigned long long)server->fake->engine.slow);
	hub_stop(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_simulation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
