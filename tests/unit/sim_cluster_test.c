/* sim_cluster_test.c -- three servers and a crowd of clients in simulated time: random
 * joins, leaves, losses, restarts and broadcasts, the bus handing over when it likes.
 *
 * Whoever is in a room changes only when nothing is under way, so that a plain model knows
 * who must hear what: each message once, those of one sender in their order, nobody else's.
 * SEED= repeats a run, STEPS= makes it longer.
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

#include "lib/fake_cluster.h"
#include "lib/sim_random.h"

enum { NODES = 3, CLIENTS = 24, ROOMS = 5, BURST = 12, SAID_MAX = BURST };

/* A client as the model knows it. */
struct person {
	struct fake_client *client;   /* NULL: not there */
	unsigned node;
	bool in[ROOMS];
	bool owes_pong;
	unsigned due[SAID_MAX], due_n;
	unsigned got[SAID_MAX * 2], got_n;
};

static struct person people[CLIENTS];
static unsigned said_n;           /* of this burst; a message is its number and its sender */
static unsigned sender_of[SAID_MAX];

static const char *const names[ROOMS] = { "r0", "r1", "r2", "r3", "as-long-as-an-id-abc" };

static void on_packet(struct fake_client *c, sio_slice text, bool is_binary)
{
	struct person *p = c->user;

	assert_false(is_binary);
	if (p && sio_slice_eq(text, SIO_LIT("2")))
		p->owes_pong = true;
	if (!p || text.n < 8 || memcmp(text.p, "42[\"m\",", 7) != 0)
		return;
	assert_true(p->got_n < SAID_MAX * 2);
	p->got[p->got_n++] = (unsigned)strtoul(text.p + 7, NULL, 10);
}

static int setup(void **state)
{
	(void)state;
	memset(people, 0, sizeof(people));
	cluster_start(NODES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cluster_stop();
	return 0;
}

static void watch(unsigned node)
{
	cluster[node].server->fake->is_quiet = true;
	cluster[node].server->fake->packet = on_packet;
}

/* ---- what happens ----------------------------------------------------------------------- */

static void come(struct person *p)
{
	*p = (struct person){ .node = below(NODES) };
	p->client = hub_connected(cluster[p->node].server);
	p->client->user = p;
}

static void go(struct person *p)
{
	if (below(2))
		fake_hang_up(p->client, EIO_WIRE_WS);
	else
		fake_ws(p->client, "41");
	p->client->user = NULL;
	p->client = NULL;
}

static void move(struct person *p)
{
	unsigned r = below(ROOMS);

	if (p->in[r])
		sio_room_leave(hub_socket(p->client), sio_str(names[r]));
	else
		assert_int_equal(sio_room_join(hub_socket(p->client), sio_str(names[r])), SIO_OK);
	p->in[r] = !p->in[r];
}

static void restart(unsigned node)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		if (people[i].client && people[i].node == node)
			people[i].client = NULL;
	cluster_end(node);
	cluster_begin(node);
	watch(node);
}

struct choice {
	sio_slice rooms[2], except[2];
	unsigned room[2], but[2];
	struct sio_target target;
	const struct person *skip;
};

static void choose(struct choice *c, unsigned node)
{
	*c = (struct choice){ .target = { .rooms_n = below(3), .except_n = below(4) / 2 } };
	for (unsigned i = 0; i < 2; i++) {
		c->room[i] = below(ROOMS);
		c->but[i] = below(ROOMS);
		c->rooms[i] = sio_str(names[c->room[i]]);
		c->except[i] = sio_str(names[c->but[i]]);
	}
	c->target.rooms = c->rooms;
	c->target.except = c->except;
	c->target.is_local = below(8) == 0;
	c->target.is_volatile = below(4) == 0;
	const struct person *p = &people[below(CLIENTS)];
	if (p->client && p->node == node && below(2)) {
		c->skip = p;
		c->target.skip = hub_socket(p->client);
	}
}

static bool is_meant(const struct choice *c, const struct person *p, unsigned from)
{
	bool is_in = c->target.rooms_n == 0;

	for (unsigned i = 0; i < c->target.rooms_n; i++)
		is_in |= p->in[c->room[i]];
	for (unsigned i = 0; i < c->target.except_n; i++)
		is_in &= !p->in[c->but[i]];
	return is_in && p != c->skip && (!c->target.is_local || p->node == from);
}

static void say(unsigned from)
{
	struct choice c;
	char json[16];
	struct sio_args args = { .json = sio_bytes(json, (size_t)snprintf(json, sizeof(json), "%u", said_n)) };

	choose(&c, from);
	for (unsigned i = 0; i < CLIENTS; i++)
		if (people[i].client && is_meant(&c, &people[i], from))
			people[i].due[people[i].due_n++] = said_n;
	sender_of[said_n++] = from;
	assert_true(sio_broadcast(cluster[from].server, &c.target, SIO_LIT("m"), &args) >= 0);
}

/* Many join or leave at once, wherever they are; from one node. */
static void move_many(unsigned from)
{
	unsigned r = below(ROOMS);
	bool joins = below(2);
	struct choice c;

	choose(&c, from);
	for (unsigned i = 0; i < CLIENTS; i++)
		people[i].due_n = people[i].client && is_meant(&c, &people[i], from);
	assert_true((joins ? sio_sockets_join : sio_sockets_leave)(cluster[from].server->hub.nsps, &c.target,
								    sio_str(names[r])) >= 0);
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (people[i].due_n)
			people[i].in[r] = joins;
		people[i].due_n = 0;
	}
}

/* ---- what must hold ------------------------------------------------------------------------ */

static unsigned position(const unsigned *list, unsigned n, unsigned v)
{
	for (unsigned i = 0; i < n; i++)
		if (list[i] == v)
			return i;
	return n;
}

static void check(struct person *p)
{
	assert_int_equal(p->got_n, p->due_n);
	for (unsigned i = 0; i < p->due_n; i++) {
		unsigned at = position(p->got, p->got_n, p->due[i]);
		assert_true(at < p->got_n);
		for (unsigned k = i + 1; k < p->due_n; k++) /* later ones of the same sender come later */
			if (sender_of[p->due[k]] == sender_of[p->due[i]])
				assert_true(position(p->got, p->got_n, p->due[k]) > at);
	}
	for (unsigned r = 0; r < ROOMS; r++)
		assert_int_equal(sio_room_has(hub_socket(p->client), sio_str(names[r])), p->in[r]);
	p->got_n = p->due_n = 0;
}

static void check_all(void)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (!people[i].client)
			continue;
		check(&people[i]);
		if (people[i].owes_pong)
			fake_ws(people[i].client, "3");
		people[i].owes_pong = false;
	}
	for (unsigned i = 0; i < NODES; i++) {
		hub_check(cluster[i].server);
		assert_int_equal(cluster[i].server->hub.adapter_refused, 0);
		assert_int_equal(cluster[i].server->hub.adapter_failed, 0);
	}
	said_n = 0;
}

static void step(void)
{
	struct person *p = &people[below(CLIENTS)];
	unsigned from = below(NODES), n = 0;

	switch (below(12)) {
	case 0:
		if (p->client)
			go(p);
		break;
	case 1:
	case 2:
		if (!p->client)
			come(p);
		break;
	case 3:
		if (below(20) == 0)
			restart(below(NODES));
		break;
	case 4:
		cluster_run(below(4) * 500);
		break;
	case 5:
		move_many(from);
		while (n++ < BURST / 2) /* finds those who are on their way to the room */
			say(from);
		break;
	default:
		if (p->client)
			move(p);
	}
	cluster_turn();
	for (n = below(BURST / 2); n > 0; n--) {
		say(below(NODES));
		if (below(2))
			cluster_step(below(NODES));
	}
	cluster_turn();
	check_all();
}

static void test_random(void **state)
{
	const char *steps = getenv("STEPS");

	(void)state;
	rnd = fake_seed();
	for (unsigned i = 0; i < NODES; i++)
		watch(i);
	for (unsigned n = steps ? (unsigned)strtoul(steps, NULL, 10) : 3000; n > 0; n--)
		step();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
