/* hub_sockets_test.c -- many sockets at once: find, count, visit, rooms, join, leave,
 * disconnect; targets against a naive evaluation; handlers that change what is walked.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "lib/fake_hub.h"

enum { CLIENTS = 8 };

static struct sio_server *server;
static struct sio_namespace *nsp;
static struct fake_client *all[CLIENTS];

static const struct sio_args none;
static const struct sio_target everybody;

/* The i-th client's socket in nsp, NULL when it has none. */
static struct sio_socket *sock(int i)
{
	struct sio_socket *s = hub_socket(all[i]);

	while (s && s->nsp != nsp)
		s = s->next;
	return s;
}

static void on_end(struct sio_socket *s, sio_slice reason, void *arg)
{
	(void)s, (void)arg;
	buf_printf(&heard, "end %.*s; ", (int)reason.n, reason.p);
}

static int setup(void **state)
{
	(void)state;
	server = hub_start(NULL, NULL);
	nsp = sio_namespace_open(server, SIO_LIT("/n"));
	sio_namespace_on_disconnect(nsp, on_end, NULL);
	for (int i = 0; i < CLIENTS; i++) {
		all[i] = hub_connected(server);
		assert_non_null(hub_enter(all[i], "/n"));
		sio_socket_set_data(sock(i), (void *)(intptr_t)i);
	}
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

static void join(int i, const char *room)
{
	assert_int_equal(sio_room_join(sock(i), sio_str(room)), SIO_OK);
}

static struct sio_target room_of(const sio_slice *name)
{
	return (struct sio_target){ .rooms = name, .rooms_n = 1 };
}

/* ---- looking -------------------------------------------------------------------------- */

static void test_find_and_count(void **state)
{
	char id[SIO_ID_LEN];

	(void)state;
	assert_int_equal(sio_sockets_count(nsp), CLIENTS);
	for (int i = 0; i < CLIENTS; i++)
		assert_ptr_equal(sio_sockets_find(nsp, sio_socket_id(sock(i))), sock(i));
	/* In its own namespace alone, by its whole id. */
	assert_null(sio_sockets_find(sio_namespace_main(server), sio_socket_id(sock(0))));
	assert_null(sio_sockets_find(nsp, sio_bytes(sock(0)->id, SIO_ID_LEN - 1)));
	assert_null(sio_sockets_find(nsp, sio_bytes("", 0)));
	assert_null(sio_sockets_find(nsp, SIO_LIT("xxxxxxxxxxxxxxxxxxxx")));
	memcpy(id, sock(3)->id, SIO_ID_LEN);
	fake_hang_up(all[3], EIO_WIRE_WS);
	assert_null(sio_sockets_find(nsp, sio_bytes(id, SIO_ID_LEN)));
	assert_int_equal(sio_sockets_count(nsp), CLIENTS - 1);
}

static void hear_room(sio_slice room, void *arg)
{
	(void)arg;
	buf_printf(&heard, "%.*s; ", (int)room.n, room.p);
}

static void test_rooms_of_a_socket(void **state)
{
	(void)state;
	sio_socket_rooms(sock(0), hear_room, NULL);
	expect_heard("");
	join(0, "a"), join(0, "b"), join(0, "c"), join(1, "d");
	sio_socket_rooms(sock(0), hear_room, NULL);
	expect_heard("a; b; c; ");
	sio_room_leave(sock(0), SIO_LIT("a"));
	sio_socket_rooms(sock(0), hear_room, NULL);
	expect_heard("c; b; ");
}

static size_t rooms_n, members_n;

static void count_room(sio_slice room, size_t n, void *arg)
{
	(void)arg;
	assert_int_equal(sio_namespace_room_size(nsp, room), n);
	rooms_n++;
	members_n += n;
}

static void test_rooms_of_a_namespace(void **state)
{
	char name[16];

	(void)state;
	rooms_n = members_n = 0;
	sio_namespace_rooms(nsp, count_room, NULL);
	assert_int_equal(rooms_n, 0);
	assert_int_equal(sio_room_join(hub_socket(all[0]), SIO_LIT("elsewhere")), SIO_OK);
	sio_room_leave(hub_socket(all[0]), SIO_LIT("elsewhere"));
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%d", i);
		for (int j = 0; j <= i % CLIENTS; j++)
			join(j, name);
	}
	sio_namespace_rooms(nsp, count_room, NULL);
	assert_int_equal(rooms_n, 100);
	assert_int_equal(members_n, 12 * 36 + 1 + 2 + 3 + 4);
}

/* ---- visiting ---------------------------------------------------------------------------- */

static uint32_t visited; /* a bit for each client */

static void visit(struct sio_socket *s, void *arg)
{
	uint32_t bit = 1u << (int)(intptr_t)sio_socket_data(s);

	(void)arg;
	assert_true(sio_socket_is_open(s));
	assert_int_equal(visited & bit, 0); /* nobody twice */
	visited |= bit;
}

/* A word for a target: rooms, "!" and the exceptions, "-" and who is skipped.  Letters
 * are rooms, digits stand for clients by their id. */
static long each(const char *target, sio_room_fn *fn)
{
	static char names[2][16];
	sio_slice lists[2][16];
	unsigned n[2] = { 0, 0 }, in = 0;
	struct sio_target t = { .rooms = lists[0], .except = lists[1] };

	for (const char *p = target; *p; p++) {
		if (*p == '!') {
			in = 1;
		} else if (*p == '-') {
			t.skip = sock(*++p - '0');
		} else {
			names[in][n[in]] = *p;
			lists[in][n[in]] = *p <= '9' ? sio_socket_id(sock(*p - '0')) : sio_bytes(&names[in][n[in]], 1);
			n[in]++;
		}
	}
	t.rooms_n = n[0];
	t.except_n = n[1];
	visited = 0;
	return sio_sockets_each(nsp, &t, fn, NULL);
}

/* Rooms: a has 0 1 2, b has 2 3, c has 4, d has 0 .. 7; z has nobody. */
static void fill_rooms(void)
{
	join(0, "a"), join(1, "a"), join(2, "a"), join(2, "b"), join(3, "b"), join(4, "c");
	for (int i = 0; i < CLIENTS; i++)
		join(i, "d");
}

static void test_targets(void **state)
{
	static const struct {
		const char *target;
		uint32_t want;
	} rows[] = {
		{ "", 0xff },      { "a", 0x07 },      { "z", 0 },         { "ab", 0x0f },    { "abz", 0x0f },
		{ "aa", 0x07 },    { "!a", 0xf8 },     { "!ab", 0xf0 },    { "a!b", 0x03 },   { "a!a", 0 },
		{ "d!abc", 0xe0 }, { "-3", 0xf7 },     { "a-1", 0x05 },    { "a-7", 0x07 },   { "5", 0x20 },
		{ "55", 0x20 },    { "5a", 0x27 },     { "5!d", 0 },       { "a!1", 0x05 },   { "!0246", 0xaa },
		{ "1-1", 0 },      { "z!z", 0 },       { "!z", 0xff },     { "c!b-4", 0 },    { "d!d-0", 0 },
		{ "bd!a2-3", 0xf0 },
	};

	(void)state;
	fill_rooms();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		long n = each(rows[i].target, visit);
		if (visited != rows[i].want || n != __builtin_popcount(visited))
			fail_msg("\"%s\": %x, %ld", rows[i].target, visited, n);
	}
}

static void end_all(struct sio_socket *s, void *arg)
{
	visit(s, arg);
	for (int i = 0; i < CLIENTS; i++)
		if (all[i]->closed_n == 0 && sock(i))
			sio_socket_disconnect(sock(i), i % 2);
}

static void end_next(struct sio_socket *s, void *arg)
{
	int i = ((int)(intptr_t)sio_socket_data(s) + 1) % CLIENTS;

	visit(s, arg);
	if (all[i]->closed_n == 0)
		sio_socket_close_transport(sock(i));
}

static void join_new(struct sio_socket *s, void *arg)
{
	struct sio_socket *fresh = hub_enter(hub_connected(server), "/n");

	visit(s, arg);
	sio_socket_set_data(fresh, (void *)((intptr_t)sio_socket_data(s) + CLIENTS));
	assert_int_equal(sio_room_join(fresh, SIO_LIT("d")), SIO_OK);
}

static void swap_rooms(struct sio_socket *s, void *arg)
{
	visit(s, arg);
	sio_room_close(nsp, SIO_LIT("d"));
	assert_int_equal(sio_room_join(s, SIO_LIT("e")), SIO_OK);
}

static void close_all(struct sio_socket *s, void *arg)
{
	visit(s, arg);
	assert_int_equal(sio_namespace_close(nsp), SIO_OK);
	assert_int_equal(sio_socket_id(s).n, SIO_ID_LEN);
}

static void broadcast_and_visit(struct sio_socket *s, void *arg)
{
	uint32_t outer = visited;

	visited = 0;
	if (arg == NULL)
		assert_int_equal(sio_sockets_each(nsp, &everybody, visit, nsp), CLIENTS);
	assert_int_equal(sio_namespace_broadcast(nsp, &everybody, SIO_LIT("x"), &none), CLIENTS);
	visited = outer;
	visit(s, arg);
}

static void test_visits_that_change_things(void **state)
{
	(void)state;
	fill_rooms();
	assert_int_equal(each("d", broadcast_and_visit), CLIENTS);
	assert_int_equal(each("d", join_new), CLIENTS);
	assert_int_equal(sio_namespace_room_size(nsp, SIO_LIT("d")), 2 * CLIENTS);
	assert_int_equal(each("d-0", swap_rooms), 2 * CLIENTS - 1);
	assert_int_equal(sio_namespace_room_size(nsp, SIO_LIT("d")), 0);
	assert_int_equal(sio_namespace_room_size(nsp, SIO_LIT("e")), 2 * CLIENTS - 1);
}

static void test_visits_that_end_things(void **state)
{
	(void)state;
	fill_rooms();
	assert_int_equal(each("d", end_next), CLIENTS / 2);
	fake_turn(server->fake);
	assert_int_equal(sio_sockets_count(nsp), CLIENTS / 2);
}

static void test_a_visit_that_ends_all(void **state)
{
	(void)state;
	fill_rooms();
	assert_int_equal(each("d", end_all), 1);
	assert_int_equal(sio_sockets_count(nsp), 0);
	fake_turn(server->fake);
}

static void test_a_visit_that_closes_the_namespace(void **state)
{
	(void)state;
	assert_int_equal(each("", close_all), 1);
	assert_null(nsp_find(&server->hub, SIO_LIT("/n")));
}

/* The same for the older call. */
static void test_each_of_a_room(void **state)
{
	(void)state;
	fill_rooms();
	visited = 0;
	sio_namespace_room_each(nsp, SIO_LIT("a"), visit, NULL);
	assert_int_equal(visited, 0x07);
	sio_namespace_room_each(nsp, SIO_LIT("z"), visit, NULL);
	visited = 0;
	sio_namespace_room_each(nsp, SIO_LIT("d"), close_all, NULL);
	assert_int_equal(__builtin_popcount(visited), 1);
}

/* ---- moving -------------------------------------------------------------------------------- */

static void test_join_and_leave(void **state)
{
	sio_slice a = SIO_LIT("a"), z = SIO_LIT("z"), longest;
	struct sio_target of_a = room_of(&a), of_z = room_of(&z);
	static char name[SIO_ROOM_MAX + 1];

	(void)state;
	fill_rooms();
	assert_int_equal(sio_sockets_join(nsp, &of_a, SIO_LIT("new")), 3);
	assert_int_equal(sio_namespace_room_size(nsp, SIO_LIT("new")), 3);
	assert_int_equal(sio_sockets_join(nsp, &of_a, SIO_LIT("new")), 3); /* are in it */
	assert_int_equal(sio_sockets_join(nsp, &of_a, SIO_LIT("b")), 3);
	assert_int_equal(sio_namespace_room_size(nsp, SIO_LIT("b")), 4);
	assert_int_equal(sio_sockets_join(nsp, &of_z, SIO_LIT("new")), 0);
	assert_int_equal(sio_sockets_join(nsp, &of_a, a), 3);
	assert_int_equal(sio_sockets_leave(nsp, &everybody, SIO_LIT("new")), CLIENTS); /* are out of it */
	assert_int_equal(sio_namespace_room_size(nsp, SIO_LIT("new")), 0);
	assert_int_equal(sio_sockets_leave(nsp, &of_a, a), 3); /* the target's own room */
	assert_int_equal(sio_namespace_room_size(nsp, a), 0);
	assert_int_equal(sio_sockets_leave(nsp, &of_a, a), 0);
	memset(name, 'x', sizeof(name));
	longest = sio_bytes(name, SIO_ROOM_MAX);
	assert_int_equal(sio_sockets_join(nsp, &everybody, longest), CLIENTS);
	assert_int_equal(sio_sockets_leave(nsp, &everybody, longest), CLIENTS);
	longest.n++;
	assert_int_equal(sio_sockets_join(nsp, &everybody, longest), SIO_ERR_INVAL);
	assert_int_equal(sio_sockets_join(nsp, &everybody, SIO_LIT("")), SIO_ERR_INVAL);
	assert_int_equal(sio_sockets_leave(nsp, &everybody, longest), SIO_ERR_INVAL);
	assert_int_equal(sio_sockets_leave(nsp, &of_z, SIO_LIT("")), SIO_ERR_INVAL);
	expect_heard("");
}

static void test_whoever_may_not_join_is_passed_over(void **state)
{
	(void)state;
	server->hub.limits.max_rooms = 1;
	join(0, "full"), join(5, "full");
	assert_int_equal(sio_sockets_join(nsp, &everybody, SIO_LIT("r")), CLIENTS - 2);
	assert_false(sio_room_has(sock(5), SIO_LIT("r")));
	assert_int_equal(sio_sockets_join(nsp, &everybody, SIO_LIT("full")), 2);
}

static void test_disconnect_many(void **state)
{
	sio_slice a = SIO_LIT("a");
	struct sio_target of_a = room_of(&a);

	(void)state;
	fill_rooms();
	of_a.skip = sock(1);
	assert_int_equal(sio_sockets_disconnect(nsp, &of_a, false), 2);
	expect_heard("end server namespace disconnect; end server namespace disconnect; ");
	fake_turn(server->fake);
	fake_expect(all[0], "ws 41/n,; ");
	fake_expect(all[1], "");
	assert_int_equal(all[0]->closed_n, 0);
	of_a.skip = NULL;
	assert_int_equal(sio_sockets_disconnect(nsp, &of_a, true), 1);
	fake_turn(server->fake);
	fake_expect(all[1], "closed forced close; ws 41/n,; ws 41; ws close 0; gone; ");
	assert_int_equal(sio_sockets_disconnect(nsp, &of_a, true), 0);
	buf_clear(&heard);
	assert_int_equal(sio_sockets_disconnect(nsp, &everybody, true), CLIENTS - 3);
	assert_int_equal(server->hub.sockets, 2); /* 0 and 2 in "/" */
	fake_turn(server->fake);
}

static void end_one_more(struct sio_socket *s, sio_slice reason, void *arg)
{
	on_end(s, reason, arg);
	if (nsp->sockets_n > 0)
		sio_socket_disconnect(nsp->sockets[0], true);
}

/* Whom a handler ended meanwhile is not counted. */
static void test_disconnect_many_with_a_handler(void **state)
{
	(void)state;
	sio_namespace_on_disconnect(nsp, end_one_more, NULL);
	assert_int_equal(sio_sockets_disconnect(nsp, &everybody, false), 1);
	assert_int_equal(sio_sockets_count(nsp), 0);
	fake_turn(server->fake);
}

static void test_closing_a_room(void **state)
{
	(void)state;
	fill_rooms();
	sio_room_close(nsp, SIO_LIT("d"));
	sio_room_close(nsp, SIO_LIT("c")); /* of one */
	sio_room_close(nsp, SIO_LIT("nobody's"));
	assert_int_equal(sio_namespace_room_size(nsp, SIO_LIT("d")), 0);
	assert_int_equal(nsp->rooms.n, 2);
	assert_int_equal(sio_sockets_count(nsp), CLIENTS);
	assert_true(sio_room_has(sock(2), SIO_LIT("a")));
	assert_int_equal(sio_room_join(hub_socket(all[0]), SIO_LIT("a")), SIO_OK);
	expect_heard("");
}

/* A parent has no sockets of its own. */
static void test_on_a_parent(void **state)
{
	struct sio_namespace *parent;

	(void)state;
	assert_int_equal(sio_namespace_pattern(server, "/p.*", &parent), SIO_OK);
	assert_int_equal(sio_room_join(hub_enter(all[0], "/p1"), SIO_LIT("a")), SIO_OK);
	assert_int_equal(sio_sockets_count(parent), 0);
	assert_int_equal(sio_sockets_each(parent, &everybody, visit, NULL), 0);
	assert_int_equal(sio_sockets_join(parent, &everybody, SIO_LIT("r")), 0);
	assert_int_equal(sio_sockets_leave(parent, &everybody, SIO_LIT("a")), 0);
	assert_int_equal(sio_sockets_disconnect(parent, &everybody, true), 0);
	assert_null(sio_sockets_find(parent, sio_socket_id(hub_socket(all[0]))));
	sio_room_close(parent, SIO_LIT("a"));
	sio_namespace_rooms(parent, count_room, NULL);
	assert_true(sio_room_has(hub_socket(all[0]), SIO_LIT("a")));
}

/* ---- against a naive evaluation ---------------------------------------------------------------- */

enum { STEPS = 20000, ROOMS = 6 };

static void random_target(uint64_t *random, char *out)
{
	unsigned n;

	for (n = fake_random(random, 4); n > 0; n--)
		*out++ = (char)(fake_random(random, 4) ? 'a' + fake_random(random, ROOMS) : '0' + fake_random(random, CLIENTS));
	if (fake_random(random, 2)) {
		*out++ = '!';
		for (n = fake_random(random, 3); n > 0; n--)
			*out++ = (char)(fake_random(random, 4) ? 'a' + fake_random(random, ROOMS)
							       : '0' + fake_random(random, CLIENTS));
	}
	if (fake_random(random, 2)) {
		*out++ = '-';
		*out++ = (char)('0' + fake_random(random, CLIENTS));
	}
	*out = '\0';
}

static uint32_t of_letter(char letter, const uint32_t *in)
{
	return letter <= '9' ? 1u << (letter - '0') : in[letter - 'a'];
}

static uint32_t naive(const char *target, const uint32_t *in)
{
	uint32_t set = *target == '\0' || *target == '!' || *target == '-' ? 0xff : 0;

	for (; *target && *target != '!' && *target != '-'; target++)
		set |= of_letter(*target, in);
	if (*target == '!')
		for (target++; *target && *target != '-'; target++)
			set &= ~of_letter(*target, in);
	return *target == '-' ? set & ~(1u << (target[1] - '0')) : set;
}

static void test_random_targets(void **state)
{
	uint64_t random = fake_seed();
	uint32_t in[ROOMS] = { 0 };
	char target[16];

	(void)state;
	for (int step = 0; step < STEPS; step++) {
		unsigned r = fake_random(&random, ROOMS), i = fake_random(&random, CLIENTS);
		char name = (char)('a' + r);
		if (fake_random(&random, 2)) {
			assert_int_equal(sio_room_join(sock((int)i), sio_bytes(&name, 1)), SIO_OK);
			in[r] |= 1u << i;
		} else {
			sio_room_leave(sock((int)i), sio_bytes(&name, 1));
			in[r] &= ~(1u << i);
		}
		random_target(&random, target);
		if (each(target, visit) != __builtin_popcount(naive(target, in)) || visited != naive(target, in))
			fail_msg("\"%s\": %x, want %x", target, visited, naive(target, in));
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_find_and_count),
		TEST(test_rooms_of_a_socket),
		TEST(test_rooms_of_a_namespace),
		TEST(test_targets),
		TEST(test_visits_that_change_things),
		TEST(test_visits_that_end_things),
		TEST(test_a_visit_that_ends_all),
		TEST(test_a_visit_that_closes_the_namespace),
		TEST(test_each_of_a_room),
		TEST(test_join_and_leave),
		TEST(test_whoever_may_not_join_is_passed_over),
		TEST(test_disconnect_many),
		TEST(test_disconnect_many_with_a_handler),
		TEST(test_closing_a_room),
		TEST(test_on_a_parent),
		TEST(test_random_targets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
