/* hub_cluster_recover_test.c -- connection state recovery on a node of a cluster, each with
 * a ring of its own: what others sent meanwhile is there too.
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

#include "lib/fake_cluster.h"

enum { WINDOW_MS = 10000 };

static struct fake_client *c;
static char pid[SIO_ID_LEN + 1], offset[SIO_OFFSET_MAX];

static void pick(sio_slice text, const char *key, char *out, size_t cap)
{
	struct sio_json_field f = { .key = key };

	assert_int_equal(sio_json_pick(text, &f, 1), SIO_OK);
	assert_true(sio_json_unquote(f.value, out, cap) >= 0);
}

/* Keeps what the stock client keeps; hears what its application would hear. */
static void on_packet(struct fake_client *client, sio_slice text, bool is_binary)
{
	char now[SIO_ID_LEN + 1];
	const char *json = memchr(text.p, '{', text.n);

	assert_false(is_binary);
	if (client != c || text.p[0] != '4')
		return;
	if (text.p[1] == '0') {
		pick(sio_bytes(json, (size_t)(text.p + text.n - json)), "pid", now, sizeof(now));
		buf_str(&heard, strcmp(now, pid) == 0 ? "recovered " : "connected ");
		memcpy(pid, now, sizeof(pid));
		return;
	}
	const char *comma = memrchr(text.p, ',', text.n);
	if (text.p[text.n - 2] == '"' && comma) {
		size_t n = text.n - 2 - (size_t)(comma + 2 - text.p);
		memcpy(offset, comma + 2, n);
		offset[n] = '\0';
		text.n = (size_t)(comma - text.p);
	}
	buf_slice(&heard, text);
	buf_byte(&heard, ' ');
}

static void come(unsigned node, const char *nsp)
{
	char text[200];

	c = hub_open(cluster[node].server, EIO_WEBSOCKET);
	if (!pid[0])
		snprintf(text, sizeof(text), "40%s", nsp);
	else
		snprintf(text, sizeof(text), offset[0] ? "40%s{\"pid\":\"%s\",\"offset\":\"%s\"}" : "40%s{\"pid\":\"%s\"}", nsp,
			 pid, offset);
	fake_ws(c, text);
	cluster_turn();
}

static void go(void)
{
	fake_hang_up(c, EIO_WIRE_WS);
	cluster_turn();
}

static void say(unsigned node, const char *room, const char *json)
{
	sio_slice name = sio_str(room);
	struct sio_target target = { .rooms = &name, .rooms_n = room != NULL };
	struct sio_args args = sio_args_json(sio_str(json));

	assert_true(sio_broadcast(cluster[node].server, &target, SIO_LIT("e"), &args) >= 0);
	cluster_turn();
}

static int setup(void **state)
{
	const struct sio_history_ops *ops;
	void *self;

	(void)state;
	memset(pid, 0, sizeof(pid));
	memset(offset, 0, sizeof(offset));
	cluster_start(2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(sio_history_ring(65536, 100, WINDOW_MS, &ops, &self), SIO_OK);
		assert_int_equal(sio_server_set_history(cluster[i].server, ops, self), SIO_OK);
		cluster[i].server->fake->packet = on_packet;
	}
	for (int i = 0; i < 5; i++)
		say(1, NULL, "0"); /* the rings do not count alike */
	come(0, "");
	expect_heard("connected ");
	assert_int_equal(sio_room_join(hub_socket(c), SIO_LIT("r")), SIO_OK);
	cluster_heard_n(0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cluster_stop();
	return 0;
}

/* The last member of a room and of the namespace is away: its node hears for it. */
static void test_what_others_sent(void **state)
{
	sio_slice room = SIO_LIT("r");
	struct sio_target passing = { .rooms = &room, .rooms_n = 1, .is_volatile = true };
	struct sio_args none = { 0 };

	(void)state;
	say(1, "r", "1");
	expect_heard("42[\"e\",1 ");
	go();
	say(1, "r", "2");
	say(1, "other", "3");
	say(1, NULL, "4");
	assert_int_equal(sio_broadcast(cluster[1].server, &passing, SIO_LIT("v"), &none), 0);
	cluster_turn();
	say(0, "r", "5");
	come(0, "");
	expect_heard("recovered 42[\"e\",2 42[\"e\",4 42[\"e\",5 ");
	assert_true(sio_room_has(hub_socket(c), room));
	say(1, "r", "6"); /* once, though it was heard all the time */
	expect_heard("42[\"e\",6 ");
	go();
	say(1, "r", "7");
	come(0, "");
	expect_heard("recovered 42[\"e\",7 ");
}

/* A volatile event of another node does not pass its last string for an offset. */
static void test_no_string_is_taken_for_an_offset(void **state)
{
	sio_slice room = SIO_LIT("r");
	struct sio_target passing = { .rooms = &room, .rooms_n = 1, .is_volatile = true };
	struct sio_args text = sio_args_json(SIO_LIT("\"t\""));
	char before[SIO_OFFSET_MAX];

	(void)state;
	say(1, "r", "1");
	memcpy(before, offset, sizeof(before));
	assert_int_equal(sio_broadcast(cluster[1].server, &passing, SIO_LIT("v"), &text), 0);
	cluster_turn();
	expect_heard("42[\"e\",1 42[\"v\",\"t\",null] ");
	assert_string_equal(offset, before);
}

static void test_the_window_ends(void **state)
{
	struct sio_server *server = cluster[0].server;

	(void)state;
	say(1, "r", "1");
	go();
	cluster_run(WINDOW_MS - 100);
	cluster_heard_n(0);
	say(1, "r", "2");
	say(1, NULL, "3");
	assert_int_equal(cluster_heard_n(0), 2);
	cluster_run(200);
	assert_null(server->hub.cluster->lingering.oldest);
	say(1, "r", "4");
	say(1, NULL, "5");
	assert_int_equal(cluster_heard_n(0), 0);
	buf_clear(&heard);
	come(0, "");
	expect_heard("connected ");
}

/* Coming and going does not add up, and an end that is final lingers no longer. */
static void test_lingering_is_one_for_a_channel(void **state)
{
	struct cluster *own = cluster[0].server->hub.cluster;

	(void)state;
	for (int i = 0; i < 100; i++) {
		sio_room_leave(hub_socket(c), SIO_LIT("r"));
		assert_int_equal(own->lingering.by_channel.n, 1);
		assert_int_equal(sio_room_join(hub_socket(c), SIO_LIT("r")), SIO_OK);
		assert_int_equal(own->lingering.by_channel.n, 0);
	}
	assert_null(own->lingering.oldest);
	sio_room_leave(hub_socket(c), SIO_LIT("r"));
	cluster_run(WINDOW_MS / 2);
	assert_int_equal(sio_room_join(hub_socket(c), SIO_LIT("s")), SIO_OK);
	sio_room_leave(hub_socket(c), SIO_LIT("s"));
	cluster_run(WINDOW_MS / 2 + 50);
	assert_int_equal(own->lingering.by_channel.n, 1); /* each in its own time */
	cluster_run(WINDOW_MS / 2);
	assert_int_equal(own->lingering.by_channel.n, 0);
}

/* A child namespace stays as long as its history must hear. */
static void test_a_child_that_nobody_is_in(void **state)
{
	struct sio_namespace *parent, *away;
	struct sio_args args = sio_args_json(SIO_LIT("1"));
	struct sio_target all = { 0 };

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(sio_namespace_pattern(cluster[i].server, "/p-[0-9]+", &parent), SIO_OK);
	memset(pid, 0, sizeof(pid));
	come(0, "/p-1,");
	expect_heard("connected ");
	go();
	away = sio_namespace_open(cluster[1].server, SIO_LIT("/p-1"));
	assert_int_equal(sio_namespace_broadcast(away, &all, SIO_LIT("e"), &args), 0);
	cluster_turn();
	come(0, "/p-1,");
	expect_heard("recovered 42/p-1,[\"e\",1 ");
	go();
	assert_non_null(nsp_find(&cluster[0].server->hub, SIO_LIT("/p-1")));
	cluster_run(WINDOW_MS + 50);
	assert_null(nsp_find(&cluster[0].server->hub, SIO_LIT("/p-1")));
}

/* Each ring knows its own sessions: elsewhere a client begins anew, without an error. */
static void test_on_another_node(void **state)
{
	(void)state;
	say(1, "r", "1");
	go();
	buf_clear(&heard);
	come(1, "");
	expect_heard("connected ");
	assert_false(sio_socket_is_recovered(hub_socket(c)));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_what_others_sent),
		TEST(test_no_string_is_taken_for_an_offset),
		TEST(test_the_window_ends),
		TEST(test_lingering_is_one_for_a_channel),
		TEST(test_a_child_that_nobody_is_in),
		TEST(test_on_another_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
