/* hub_room_test.c -- rooms and broadcasts against a naive model.
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

static struct sio_server *server;

static int setup(void **state)
{
	(void)state;
	server = hub_start(NULL, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	hub_check(server);
	hub_stop(server);
	return 0;
}

static int join(struct fake_client *c, const char *room)
{
	return sio_room_join(hub_socket(c), sio_str(room));
}

static long cast(const struct sio_target *t, const char *name)
{
	return sio_broadcast(server, t, sio_str(name), &(struct sio_args){ 0 });
}

static long cast_room(const char *room, const char *name)
{
	sio_slice one = sio_str(room);

	return cast(&(struct sio_target){ .rooms = &one, .rooms_n = 1 }, name);
}

/* ---- membership --------------------------------------------------------------------- */

static void test_joining_and_leaving(void **state)
{
	struct fake_client *a = hub_connected(server), *b = hub_connected(server);
	char name[SIO_ROOM_MAX + 2];

	(void)state;
	memset(name, 'r', sizeof(name));
	assert_int_equal(join(a, "r"), SIO_OK);
	assert_int_equal(join(a, "r"), SIO_OK);
	assert_int_equal(join(b, "r"), SIO_OK);
	assert_int_equal(sio_room_size(server, SIO_LIT("r")), 2);
	assert_true(sio_room_has(hub_socket(a), SIO_LIT("r")));
	assert_false(sio_room_has(hub_socket(a), SIO_LIT("rr")));
	sio_room_leave(hub_socket(a), SIO_LIT("r"));
	sio_room_leave(hub_socket(a), SIO_LIT("r"));
	sio_room_leave(hub_socket(a), SIO_LIT("unknown"));
	assert_int_equal(sio_room_size(server, SIO_LIT("r")), 1);
	fake_hang_up(b, EIO_WIRE_WS);
	assert_int_equal(sio_room_size(server, SIO_LIT("r")), 0);
	assert_int_equal(server->hub.rooms, 0);
	assert_int_equal(sio_room_join(hub_socket(a), SIO_LIT("")), SIO_ERR_INVAL);
	assert_int_equal(sio_room_join(hub_socket(a), sio_bytes(name, SIO_ROOM_MAX + 1)), SIO_ERR_INVAL);
	assert_int_equal(sio_room_join(hub_socket(a), sio_bytes(name, SIO_ROOM_MAX)), SIO_OK);
	assert_int_equal(sio_room_join(hub_socket(a), sio_bytes("a\0b", 3)), SIO_OK);
	assert_false(sio_room_has(hub_socket(a), SIO_LIT("a")));
	memset(name, 'x', sizeof(name)); /* it was copied */
	assert_int_equal(sio_room_size(server, sio_bytes(name, SIO_ROOM_MAX)), 0);
	assert_int_equal(server->hub.rooms, 2);
}

static void test_limit_of_rooms(void **state)
{
	struct fake_client *c = hub_connected(server);
	char name[32];

	(void)state;
	server->hub.limits.max_rooms = 50;
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "room %d", i);
		assert_int_equal(join(c, name), i < 50 ? SIO_OK : SIO_ERR_LIMIT);
	}
	assert_int_equal(join(c, "room 7"), SIO_OK); /* is in it */
	sio_room_leave(hub_socket(c), SIO_LIT("room 7"));
	assert_int_equal(join(c, "another"), SIO_OK);
	assert_int_equal(server->hub.rooms, 50);
}

/* ---- walking ------------------------------------------------------------------------- */

static struct fake_client *walked[8];
static unsigned visits;

static void on_visit(struct sio_socket *s, void *arg)
{
	(void)arg;
	assert_true(sio_socket_is_open(s));
	visits++;
}

static void on_visit_end_all(struct sio_socket *s, void *arg)
{
	on_visit(s, arg);
	for (int i = 0; i < 8; i++)
		if (hub_socket(walked[i]))
			sio_socket_disconnect(hub_socket(walked[i]), i % 2);
}

static void on_visit_leave(struct sio_socket *s, void *arg)
{
	on_visit(s, arg);
	sio_room_leave(s, SIO_LIT("r"));
	assert_int_equal(sio_room_join(s, SIO_LIT("other")), SIO_OK);
}

static void on_visit_close(struct sio_socket *s, void *arg)
{
	on_visit(s, arg);
	sio_socket_close_transport(s);
}

static void on_visit_join_new(struct sio_socket *s, void *arg)
{
	struct fake_client *c = hub_connected(server);

	on_visit(s, arg);
	assert_int_equal(join(c, "r"), SIO_OK);
}

static void fill(void)
{
	visits = 0;
	for (int i = 0; i < 8; i++) {
		walked[i] = hub_connected(server);
		assert_int_equal(join(walked[i], "r"), SIO_OK);
	}
}

static void test_each_with_changes_inside(void **state)
{
	(void)state;
	sio_room_each(server, SIO_LIT("r"), on_visit, NULL);
	assert_int_equal(visits, 0);
	fill();
	sio_room_each(server, SIO_LIT("r"), on_visit, NULL);
	assert_int_equal(visits, 8);
	visits = 0;
	sio_room_each(server, SIO_LIT("r"), on_visit_leave, NULL);
	assert_int_equal(visits, 8);
	assert_int_equal(sio_room_size(server, SIO_LIT("r")), 0);
	assert_int_equal(sio_room_size(server, SIO_LIT("other")), 8);
	fill();
	sio_room_each(server, SIO_LIT("r"), on_visit_end_all, NULL);
	assert_int_equal(visits, 1);
	fill();
	sio_room_each(server, SIO_LIT("r"), on_visit_close, NULL);
	assert_int_equal(visits, 8);
	assert_int_equal(sio_room_size(server, SIO_LIT("r")), 0);
	fill();
	sio_room_each(server, SIO_LIT("r"), on_visit_join_new, NULL);
	assert_int_equal(visits, 8);
	assert_int_equal(sio_room_size(server, SIO_LIT("r")), 16);
}

/* ---- broadcasts ------------------------------------------------------------------------ */

static void test_targets(void **state)
{
	struct fake_client *a = hub_connected(server), *b = hub_connected(server), *c = hub_connected(server);
	struct fake_client *asking = hub_open(server, EIO_WEBSOCKET);
	sio_slice both[] = { SIO_LIT("x"), SIO_LIT("y") }, none = SIO_LIT("nobody");
	sio_slice by_id = sio_socket_id(hub_socket(c));
	struct fake_client *all[] = { a, b, c, asking };
	static const char *const want[] = {
		"ws 42[\"x\"]; ws 42[\"union\"]; ws 42[\"all\"]; ",
		"ws 42[\"x\"]; ws 42[\"skip\"]; ws 42[\"union\"]; ws 42[\"all\"]; ws 42[\"ex id\"]; ",
		"ws 42[\"union\"]; ws 42[\"id\"]; ws 42[\"all\"]; ws 42[\"ex room\"]; ",
		"",
	};

	(void)state;
	join(a, "x"), join(b, "x"), join(b, "y"), join(c, "y");
	assert_int_equal(cast_room("x", "x"), 2);
	assert_int_equal(cast(&(struct sio_target){ .rooms = both, .rooms_n = 1, .skip = hub_socket(a) }, "skip"), 1);
	assert_int_equal(cast(&(struct sio_target){ .rooms = both, .rooms_n = 2 }, "union"), 3);
	assert_int_equal(cast(&(struct sio_target){ .rooms = &by_id, .rooms_n = 1 }, "id"), 1);
	assert_int_equal(cast(&(struct sio_target){ 0 }, "all"), 3);
	assert_int_equal(cast(&(struct sio_target){ .except = both, .except_n = 1 }, "ex room"), 1);
	assert_int_equal(cast(&(struct sio_target){ .except = &by_id, .except_n = 1, .skip = hub_socket(a) }, "ex id"), 1);
	assert_int_equal(cast(&(struct sio_target){ .rooms = both, .rooms_n = 2, .except = both, .except_n = 2 }, "no"), 0);
	assert_int_equal(cast(&(struct sio_target){ .rooms = &none, .rooms_n = 1 }, "no"), 0);
	assert_int_equal(cast(&(struct sio_target){ .rooms = &by_id, .rooms_n = 1, .skip = hub_socket(c) }, "no"), 0);
	assert_int_equal(cast(&(struct sio_target){ 0 }, "disconnect"), SIO_ERR_INVAL);
	fake_turn(server->fake);
	for (int i = 0; i < 4; i++)
		fake_expect(all[i], want[i]);
}

/* A socket stays reachable by its id when others are put into a room of that name. */
static void test_room_named_like_a_socket(void **state)
{
	struct fake_client *a = hub_connected(server), *b = hub_connected(server);
	sio_slice id = sio_socket_id(hub_socket(a));

	(void)state;
	assert_int_equal(sio_room_join(hub_socket(b), id), SIO_OK);
	assert_int_equal(cast(&(struct sio_target){ .rooms = &id, .rooms_n = 1 }, "both"), 2);
	assert_int_equal(sio_room_join(hub_socket(a), id), SIO_OK);
	assert_int_equal(cast(&(struct sio_target){ .rooms = &id, .rooms_n = 1 }, "once"), 2);
	fake_turn(server->fake);
	fake_expect(a, "ws 42[\"both\"]; ws 42[\"once\"]; ");
	fake_expect(b, "ws 42[\"both\"]; ws 42[\"once\"]; ");
}

static void test_volatile_by_key(void **state)
{
	struct fake_client *c = hub_connected(server);
	struct sio_target t = { .is_volatile = true, .latest_key = 5 };

	(void)state;
	c->takes = 1;
	cast(&(struct sio_target){ 0 }, "solid");
	fake_turn(server->fake);
	cast(&t, "v1");
	t.latest_key = 6;
	cast(&t, "w1");
	t.latest_key = 5;
	cast(&t, "v2");
	t.latest_key = 0;
	assert_int_equal(cast(&t, "dropped"), 1);
	fake_ws_takes(c, SIZE_MAX);
	fake_turn(server->fake);
	fake_expect(c, "ws 42[\"solid\"]; ws 42[\"v2\"]; ws 42[\"w1\"]; ");
	/* latest_key without is_volatile means nothing. */
	c->takes = 1;
	t = (struct sio_target){ .latest_key = 5 };
	cast(&t, "1");
	fake_turn(server->fake);
	cast(&t, "2");
	cast(&t, "3");
	fake_ws_takes(c, SIZE_MAX);
	fake_turn(server->fake);
	fake_expect(c, "ws 42[\"1\"]; ws 42[\"2\"]; ws 42[\"3\"]; ");
}

static void test_polling_and_websocket_get_the_same(void **state)
{
	static const sio_slice bytes[] = { { "abc", 3 } };
	struct fake_client *w = hub_connected(server), *p = hub_open(server, EIO_POLLING);
	struct sio_args args = { SIO_LIT("{\"_placeholder\":true,\"num\":0}"), bytes, 1 };
	uint64_t before;

	(void)state;
	fake_post(p, "40");
	fake_get(p);
	fake_turn(server->fake);
	buf_clear(&p->log);
	fake_get(p);
	before = server->fake->engine.frames.encodes;
	assert_int_equal(sio_broadcast(server, &(struct sio_target){ 0 }, SIO_LIT("b"), &args), 2);
	assert_int_equal(sio_broadcast(server, &(struct sio_target){ 0 }, SIO_LIT("t"), &(struct sio_args){ 0 }), 2);
	assert_int_equal(server->fake->engine.frames.encodes, before + 2);
	fake_turn(server->fake);
	fake_expect(w, "ws 451-[\"b\",{\"_placeholder\":true,\"num\":0}]; wsbin abc; ws 42[\"t\"]; ");
	fake_expect(p, "get 200 451-[\"b\",{\"_placeholder\":true,\"num\":0}]|bYWJj|42[\"t\"]; ");
}

/* One encoding however many receive it; nothing is allocated once it runs. */
static void test_cost_of_fan_out(void **state)
{
	struct fake_client *all[200];
	uint64_t encodes, mallocs = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		all[i] = hub_connected(server);
		assert_int_equal(join(all[i], "r"), SIO_OK);
	}
	server->fake->is_quiet = true;
	encodes = server->fake->engine.frames.encodes;
	for (int turn = 0; turn < 50; turn++) {
		for (int i = 0; i < 10; i++)
			assert_int_equal(cast_room("r", "an event of some length, as they are"), 200);
		fake_turn(server->fake);
		if (turn == 0)
			mallocs = frame_pool_mallocs(&server->fake->engine.frames) + server->fake->engine.chunks.slabs_total;
	}
	assert_int_equal(server->fake->engine.frames.encodes, encodes + 500);
	assert_int_equal(frame_pool_mallocs(&server->fake->engine.frames) + server->fake->engine.chunks.slabs_total, mallocs);
	assert_int_equal(all[0]->packets_n, 502);
	assert_int_equal(server->hub.broadcasts, 500);
}

/* ---- against a naive model ---------------------------------------------------------------- */

enum { CLIENTS = 40, ROOMS = 12, STEPS = 20000 };

static struct {
	struct fake_client *c[CLIENTS];
	bool in[CLIENTS][ROOMS];
	unsigned want[CLIENTS];   /* packets due in this step */
} model;

static sio_slice room_name(unsigned i)
{
	static const char names[] = "abcdefghijklmnop";

	return sio_bytes(names, i + 1); /* prefixes of each other */
}

static void model_fill(unsigned i)
{
	if (model.c[i]) {
		assert_null(model.c[i]->link);
		fake_forget(model.c[i]);
	}
	model.c[i] = hub_connected(server);
	memset(model.in[i], 0, sizeof(model.in[i]));
}

static void random_broadcast(uint64_t *random)
{
	sio_slice rooms[4], except[3];
	struct sio_target t = { .rooms = rooms, .except = except };
	unsigned room_at[4], except_at[3], skip = fake_random(random, 2 * CLIENTS);
	long n, want = 0;

	t.rooms_n = fake_random(random, 5);
	t.except_n = fake_random(random, 3) ? 0 : fake_random(random, 4);
	/* A number of CLIENTS and more stands for a room, below for a client by its id. */
	for (unsigned i = 0; i < t.rooms_n; i++) {
		room_at[i] = fake_random(random, 4) ? CLIENTS + fake_random(random, ROOMS) : fake_random(random, CLIENTS);
		rooms[i] = room_at[i] >= CLIENTS ? room_name(room_at[i] - CLIENTS) : sio_socket_id(hub_socket(model.c[room_at[i]]));
	}
	for (unsigned i = 0; i < t.except_n; i++) {
		except_at[i] = fake_random(random, 4) ? CLIENTS + fake_random(random, ROOMS) : fake_random(random, CLIENTS);
		except[i] = except_at[i] >= CLIENTS ? room_name(except_at[i] - CLIENTS)
						    : sio_socket_id(hub_socket(model.c[except_at[i]]));
	}
	t.skip = skip < CLIENTS ? hub_socket(model.c[skip]) : NULL;
	n = cast(&t, "e");
	for (unsigned i = 0; i < CLIENTS; i++) {
		bool gets = t.rooms_n == 0;
		for (unsigned j = 0; j < t.rooms_n; j++)
			gets |= room_at[j] >= CLIENTS ? model.in[i][room_at[j] - CLIENTS] : room_at[j] == i;
		for (unsigned j = 0; j < t.except_n; j++)
			gets &= !(except_at[j] >= CLIENTS ? model.in[i][except_at[j] - CLIENTS] : except_at[j] == i);
		gets &= i != skip;
		model.want[i] += gets;
		want += gets;
	}
	assert_int_equal(n, want);
}

static void model_check(void)
{
	uint32_t rooms = 0;

	hub_check(server);
	for (unsigned r = 0; r < ROOMS; r++) {
		size_t n = 0;
		for (unsigned i = 0; i < CLIENTS; i++) {
			assert_int_equal(sio_room_has(hub_socket(model.c[i]), room_name(r)), model.in[i][r]);
			n += model.in[i][r];
		}
		assert_int_equal(sio_room_size(server, room_name(r)), n);
		rooms += n > 0;
	}
	assert_int_equal(server->hub.rooms, rooms);
}

static void test_random_against_a_model(void **state)
{
	uint64_t random = fake_seed();

	(void)state;
	server->fake->is_quiet = true;
	memset(&model, 0, sizeof(model));
	for (unsigned i = 0; i < CLIENTS; i++)
		model_fill(i);
	for (int step = 0; step < STEPS; step++) {
		unsigned i = fake_random(&random, CLIENTS), r = fake_random(&random, ROOMS), what = fake_random(&random, 100);
		if (what < 35) {
			assert_int_equal(sio_room_join(hub_socket(model.c[i]), room_name(r)), SIO_OK);
			model.in[i][r] = true;
		} else if (what < 60) {
			sio_room_leave(hub_socket(model.c[i]), room_name(r));
			model.in[i][r] = false;
		} else if (what < 64) {
			if (what == 60)
				sio_socket_disconnect(hub_socket(model.c[i]), true);
			else if (what == 61)
				fake_hang_up(model.c[i], EIO_WIRE_WS);
			else if (what == 62)
				eio_discard(fake_session(model.c[i]), "test");
			else
				fake_ws(model.c[i], "41");
			if (what != 63) {
				fake_turn(server->fake);
				model_fill(i);
			} else {
				memset(model.in[i], 0, sizeof(model.in[i]));
				fake_ws(model.c[i], "40");
				fake_turn(server->fake);
			}
		} else {
			unsigned before[CLIENTS];
			for (unsigned j = 0; j < CLIENTS; j++)
				before[j] = model.c[j]->packets_n;
			memset(model.want, 0, sizeof(model.want));
			for (unsigned n = fake_random(&random, 3); n < 3; n++)
				random_broadcast(&random);
			fake_turn(server->fake);
			for (unsigned j = 0; j < CLIENTS; j++) /* each member once */
				assert_int_equal(model.c[j]->packets_n - before[j], model.want[j]);
		}
		if (step % 16 == 0)
			model_check();
	}
	model_check();
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_joining_and_leaving),
		TEST(test_limit_of_rooms),
		TEST(test_each_with_changes_inside),
		TEST(test_targets),
		TEST(test_room_named_like_a_socket),
		TEST(test_volatile_by_key),
		TEST(test_polling_and_websocket_get_the_same),
		TEST(test_cost_of_fan_out),
		TEST(test_random_against_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
