/* hub_cluster_test.c -- several hubs as one, in simulated time: broadcasts, who hears what,
 * moving and disconnecting many, forged messages.
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

#include <sio/servers.h>

#include "lib/fake_cluster.h"

static const struct sio_args none;

static int setup(void **state)
{
	(void)state;
	cluster_start(3);
	for (unsigned i = 0; i < 3; i++)
		cluster_heard_n(i);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cluster_stop();
	return 0;
}

/* From node i to the target, and all that follows from it. */
static long say(unsigned i, const struct sio_target *target, const char *json)
{
	struct sio_args args = sio_args_json(sio_str(json));
	long n = sio_broadcast(cluster[i].server, target, SIO_LIT("e"), &args);

	cluster_turn();
	return n;
}

static long say_to(unsigned i, const char *room, const char *json)
{
	sio_slice name = sio_str(room);
	struct sio_target target = { .rooms = &name, .rooms_n = 1 };

	return say(i, &target, json);
}

/* ---- broadcasts ------------------------------------------------------------------------ */

static void test_a_room_on_all_nodes(void **state)
{
	struct fake_client *a = cluster_client(0, "r"), *b = cluster_client(1, "r"), *b2 = cluster_client(1, "r"),
			   *c = cluster_client(2, "other");

	(void)state;
	assert_int_equal(say_to(0, "r", "1"), 1); /* receivers on this server */
	assert_int_equal(say_to(2, "r", "2"), 0);
	fake_expect(a, "ws 42[\"e\",1]; ws 42[\"e\",2]; ");
	fake_expect(b, "ws 42[\"e\",1]; ws 42[\"e\",2]; ");
	fake_expect(b2, "ws 42[\"e\",1]; ws 42[\"e\",2]; ");
	fake_expect(c, "");
}

static void test_everybody_but(void **state)
{
	struct fake_client *a = cluster_client(0, "r"), *b = cluster_client(1, "x"), *c = cluster_client(2, NULL);
	sio_slice x = SIO_LIT("x"), rooms[2] = { SIO_LIT("r"), SIO_LIT("x") };
	struct sio_target all = { 0 }, but_x = { .except = &x, .except_n = 1 }, but_me = { .skip = hub_socket(a) },
			  both = { .rooms = rooms, .rooms_n = 2, .except = &x, .except_n = 1 },
			  two = { .rooms = rooms, .rooms_n = 2 };

	(void)state;
	say(0, &all, "1");
	say(0, &but_x, "2");
	say(0, &but_me, "3");
	say(2, &both, "4");
	assert_int_equal(sio_room_join(hub_socket(a), x), SIO_OK);
	say(2, &two, "5"); /* once, though two of its rooms are named */
	fake_expect(a, "ws 42[\"e\",1]; ws 42[\"e\",2]; ws 42[\"e\",4]; ws 42[\"e\",5]; ");
	fake_expect(b, "ws 42[\"e\",1]; ws 42[\"e\",3]; ws 42[\"e\",5]; ");
	fake_expect(c, "ws 42[\"e\",1]; ws 42[\"e\",2]; ws 42[\"e\",3]; ");
}

/* By the id of a socket that is elsewhere: as a room, as an exception, as skip. */
static void test_a_socket_elsewhere(void **state)
{
	struct fake_client *a = cluster_client(0, "r"), *b = cluster_client(1, "r");
	sio_slice id = sio_socket_id(hub_socket(b));
	struct sio_target to_b = { .rooms = &id, .rooms_n = 1 }, but_b = { .except = &id, .except_n = 1 };

	(void)state;
	assert_int_equal(say(0, &to_b, "1"), 0);
	say(0, &but_b, "2");
	fake_expect(a, "ws 42[\"e\",2]; ");
	fake_expect(b, "ws 42[\"e\",1]; ");
	/* A room may be named like a socket, and have other members. */
	assert_int_equal(sio_room_join(hub_socket(a), id), SIO_OK);
	say(2, &to_b, "3");
	fake_expect(a, "ws 42[\"e\",3]; ");
	fake_expect(b, "ws 42[\"e\",3]; ");
}

static void test_local_stays_here(void **state)
{
	struct fake_client *a = cluster_client(0, "r"), *b = cluster_client(1, "r");
	sio_slice room = SIO_LIT("r"), other = SIO_LIT("o");
	struct sio_target here = { .rooms = &room, .rooms_n = 1, .is_local = true };

	(void)state;
	assert_int_equal(say(0, &here, "1"), 1);
	assert_int_equal(sio_sockets_join(cluster[0].server->hub.nsps, &here, other), 1);
	assert_int_equal(sio_sockets_disconnect(cluster[0].server->hub.nsps, &here, false), 1);
	cluster_turn();
	fake_expect(a, "ws 42[\"e\",1]; ws 41; ");
	fake_expect(b, "");
	assert_int_equal(cluster[0].server->hub.adapter_sent, 0);
	assert_int_equal(cluster_heard_n(1), 0);
	assert_false(sio_room_has(hub_socket(b), other));
}

static void test_attachments(void **state)
{
	sio_slice bytes[2] = { SIO_LIT("\1\2\3"), SIO_LIT("") };
	struct sio_args args = { SIO_LIT("{\"_placeholder\":true,\"num\":0}"), bytes, 2 };
	struct fake_client *b = cluster_client(1, NULL), *poll = hub_open(cluster[2].server, EIO_POLLING);
	struct sio_target all = { 0 };

	(void)state;
	fake_post(poll, "40");
	fake_get(poll);
	cluster_turn();
	fake_get(poll);
	buf_clear(&poll->log);
	assert_int_equal(sio_broadcast(cluster[0].server, &all, SIO_LIT("b"), &args), 0);
	cluster_turn();
	fake_expect(b, "ws 452-[\"b\",{\"_placeholder\":true,\"num\":0}]; wsbin \1\2\3; wsbin ; ");
	fake_expect(poll, "get 200 452-[\"b\",{\"_placeholder\":true,\"num\":0}]|bAQID|b; ");
}

static void test_volatile(void **state)
{
	struct fake_client *b = cluster_client(1, "r");
	sio_slice room = SIO_LIT("r");
	struct sio_target cursor = { .rooms = &room, .rooms_n = 1, .is_volatile = true, .latest_key = 7 },
			  plain = { .rooms = &room, .rooms_n = 1, .is_volatile = true };

	(void)state;
	say(0, &plain, "1");
	fake_expect(b, "ws 42[\"e\",1]; ");
	fake_ws_takes(b, 0);
	say_to(0, "r", "2"); /* it blocks on this one */
	say(0, &plain, "3"); /* dropped */
	say(0, &cursor, "4");
	say(0, &cursor, "5"); /* takes the place of 4 */
	say(2, &cursor, "6"); /* of another node: the same key is another's */
	fake_expect(b, "");
	fake_ws_takes(b, SIZE_MAX);
	cluster_turn();
	fake_expect(b, "ws 42[\"e\",2]; ws 42[\"e\",5]; ws 42[\"e\",6]; ");
	assert_int_equal(cluster[1].server->hub.engine->volatile_dropped, 1);
	assert_int_equal(cluster[1].server->hub.engine->volatile_replaced, 1);
}

static void test_order(void **state)
{
	enum { N = 1000 };
	struct fake_client *b = cluster_client(1, "r");
	sio_slice room = SIO_LIT("r");
	struct sio_target target = { .rooms = &room, .rooms_n = 1 }, all = { 0 };
	char json[16];
	const char *at;

	(void)state;
	for (int i = 0; i < N; i++) { /* over two channels */
		struct sio_args args = sio_args_json(sio_bytes(json, (size_t)snprintf(json, sizeof(json), "%d", i)));
		assert_int_equal(sio_broadcast(cluster[0].server, i % 3 ? &target : &all, SIO_LIT("e"), &args), 0);
	}
	cluster_turn();
	buf_byte(&b->log, '\0');
	at = b->log.p;
	for (int i = 0; i < N; i++) {
		char want[32];
		int n = snprintf(want, sizeof(want), "ws 42[\"e\",%d]; ", i);
		assert_memory_equal(at, want, (size_t)n);
		at += n;
	}
	assert_string_equal(at, "");
	buf_clear(&b->log);
}

static void on_outgoing(struct sio_socket *s, sio_slice name, const struct sio_args *args, void *arg)
{
	(void)s, (void)arg;
	buf_printf(&heard, "out %.*s %.*s; ", (int)name.n, name.p, (int)args->json.n, args->json.p);
}

/* The receiving node's own handler hears of each of its clients. */
static void test_catch_all_of_the_other_node(void **state)
{
	(void)state;
	cluster_client(1, "r");
	cluster_client(1, "r");
	sio_namespace_on_any_outgoing(cluster[1].server->hub.nsps, on_outgoing, NULL);
	say_to(0, "r", "{\"x\":1}");
	expect_heard("out e {\"x\":1}; out e {\"x\":1}; ");
}

/* ---- namespaces ---------------------------------------------------------------------------- */

static struct fake_client *client_in(unsigned i, const char *connect)
{
	struct fake_client *c = hub_open(cluster[i].server, EIO_WEBSOCKET);

	fake_ws(c, connect);
	cluster_turn();
	buf_clear(&c->log);
	return c;
}

static void test_namespaces_are_apart(void **state)
{
	struct sio_namespace *chat0 = sio_namespace_open(cluster[0].server, SIO_LIT("/chat")),
			     *chat1 = sio_namespace_open(cluster[1].server, SIO_LIT("/chat"));
	struct fake_client *in_chat = client_in(1, "40/chat,"), *in_main = cluster_client(1, NULL);
	struct sio_target all = { 0 };

	(void)state;
	assert_ptr_equal(hub_socket(in_chat)->nsp, chat1);
	assert_int_equal(sio_namespace_broadcast(chat0, &all, SIO_LIT("c"), &none), 0);
	assert_int_equal(sio_broadcast(cluster[0].server, &all, SIO_LIT("m"), &none), 0);
	cluster_turn();
	fake_expect(in_chat, "ws 42/chat,[\"c\"]; ");
	fake_expect(in_main, "ws 42[\"m\"]; ");
	assert_int_equal(cluster[1].server->hub.adapter_refused, 0);
}

/* A parent's children are known by their names. */
static void test_children(void **state)
{
	struct sio_namespace *parent[2];
	struct fake_client *a, *b;
	struct sio_target all = { 0 };

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(sio_namespace_pattern(cluster[i].server, "/p-[0-9]+", &parent[i]), SIO_OK);
	a = client_in(0, "40/p-1,");
	b = client_in(1, "40/p-1,");
	assert_int_equal(sio_namespace_broadcast(parent[0], &all, SIO_LIT("e"), &none), 1);
	assert_int_equal(sio_sockets_join(parent[0], &all, SIO_LIT("r")), 0); /* it has no sockets */
	cluster_turn();
	fake_expect(a, "ws 42/p-1,[\"e\"]; ");
	fake_expect(b, "ws 42/p-1,[\"e\"]; ");
	assert_int_equal(cluster[0].server->hub.adapter_sent, 1);
	/* All of a child's clients, and so the child itself, go with one call. */
	assert_int_equal(sio_sockets_disconnect(hub_socket(a)->nsp, &all, false), 1);
	cluster_turn();
	fake_expect(a, "ws 41/p-1,; ");
	fake_expect(b, "ws 41/p-1,; ");
	assert_null(sio_sockets_find(cluster[1].server->hub.nsps, SIO_LIT("/p-1")));
}

/* ---- interest --------------------------------------------------------------------------------- */

static void test_who_has_nobody_hears_nothing(void **state)
{
	struct fake_client *b = cluster_client(1, "r");

	(void)state;
	say_to(0, "r", "1");
	assert_int_equal(cluster_heard_n(1), 1);
	assert_int_equal(cluster_heard_n(2), 0);
	say_to(0, "nobody's", "2");
	assert_int_equal(cluster_heard_n(1), 0);
	/* Nobody in the room any more, but somebody in the namespace. */
	sio_room_leave(hub_socket(b), SIO_LIT("r"));
	say_to(0, "r", "3");
	assert_int_equal(cluster_heard_n(1), 0);
	say(0, &(struct sio_target){ 0 }, "4");
	assert_int_equal(cluster_heard_n(1), 1);
	assert_int_equal(cluster_heard_n(2), 0);
	/* Nor in the namespace. */
	fake_hang_up(b, EIO_WIRE_WS);
	cluster_turn();
	say(0, &(struct sio_target){ 0 }, "5");
	assert_int_equal(cluster_heard_n(1), 0);
	/* And again somebody. */
	cluster_client(1, "r");
	say_to(0, "r", "6");
	assert_int_equal(cluster_heard_n(1), 1);
}

static void test_rooms_of_several_members(void **state)
{
	struct fake_client *b = cluster_client(1, "r"), *b2 = cluster_client(1, "r");

	(void)state;
	sio_room_leave(hub_socket(b), SIO_LIT("r"));
	say_to(0, "r", "1");
	fake_expect(b2, "ws 42[\"e\",1]; ");
	fake_hang_up(b2, EIO_WIRE_WS); /* leaves all its rooms */
	cluster_turn();
	cluster_heard_n(1);
	say_to(0, "r", "2");
	assert_int_equal(cluster_heard_n(1), 0);
}

/* ---- many at once ---------------------------------------------------------------------------------- */

static void test_join_and_leave(void **state)
{
	struct sio_namespace *nsp = cluster[0].server->hub.nsps;
	struct fake_client *a = cluster_client(0, "r"), *b = cluster_client(1, "r"), *c = cluster_client(2, NULL);
	sio_slice room = SIO_LIT("r"), fresh = SIO_LIT("fresh");
	struct sio_target in_r = { .rooms = &room, .rooms_n = 1 }, in_fresh = { .rooms = &fresh, .rooms_n = 1 };

	(void)state;
	assert_int_equal(sio_sockets_join(nsp, &in_r, fresh), 1);
	/* At once: those who have just joined elsewhere hear it, though their node has not
	 * subscribed to anything yet. */
	assert_int_equal(sio_broadcast(cluster[0].server, &in_fresh, SIO_LIT("e"), &none), 1);
	cluster_turn();
	fake_expect(a, "ws 42[\"e\"]; ");
	fake_expect(b, "ws 42[\"e\"]; ");
	fake_expect(c, "");
	assert_true(sio_room_has(hub_socket(b), fresh));
	assert_int_equal(sio_sockets_leave(nsp, &in_r, fresh), 1);
	cluster_turn();
	assert_false(sio_room_has(hub_socket(b), fresh));
	assert_int_equal(sio_sockets_join(nsp, &in_r, sio_bytes("", 0)), SIO_ERR_INVAL);
	/* Later on the room has a channel of its own again. */
	cluster_run(3000);
	for (unsigned i = 1; i < 3; i++)
		cluster_heard_n(i);
	say_to(0, "fresh", "1");
	assert_int_equal(cluster_heard_n(1), 0);
	assert_int_equal(cluster_heard_n(2), 0);
}

static void test_many_fresh_rooms(void **state)
{
	enum { FRESH_MAX = 1024 }; /* interest.c */
	struct sio_namespace *nsp = cluster[0].server->hub.nsps;
	sio_slice room = SIO_LIT("r");
	struct sio_target in_r = { .rooms = &room, .rooms_n = 1 };
	char name[16];

	(void)state;
	for (int i = 0; i < 2 * FRESH_MAX; i++)
		assert_int_equal(sio_sockets_join(nsp, &in_r, sio_bytes(name, (size_t)snprintf(name, sizeof(name), "r%d", i))), 0);
	assert_int_equal(cluster[0].server->hub.cluster->fresh.by_channel.n, FRESH_MAX);
}

static void test_close_room(void **state)
{
	struct fake_client *a = cluster_client(0, "r"), *b = cluster_client(1, "r");

	(void)state;
	sio_room_close(cluster[2].server->hub.nsps, SIO_LIT("r"));
	cluster_turn();
	assert_false(sio_room_has(hub_socket(a), SIO_LIT("r")));
	assert_false(sio_room_has(hub_socket(b), SIO_LIT("r")));
}

static void test_disconnect(void **state)
{
	struct fake_client *a = cluster_client(0, "r"), *b = cluster_client(1, "r"), *c = cluster_client(1, NULL);
	sio_slice room = SIO_LIT("r");
	struct sio_target in_r = { .rooms = &room, .rooms_n = 1 };

	(void)state;
	assert_int_equal(sio_sockets_disconnect(cluster[0].server->hub.nsps, &in_r, true), 1);
	cluster_turn();
	fake_expect(a, "closed forced close; ws 41; ws close 0; gone; ");
	fake_expect(b, "closed forced close; ws 41; ws close 0; gone; ");
	fake_expect(c, "");
}

/* ---- an adapter that does not do as it should ---------------------------------------------------------- */

static struct {
	int result;            /* of subscribe, publish and send */
	unsigned calls_n;
	bool has_skip;         /* the last message published excepts a socket by its id */
} bad;

static int bad_open(void *self, struct sio_server *server, sio_slice node)
{
	(void)self, (void)server;
	assert_int_equal(node.n, SIO_NODE_ID_LEN);
	return bad.result;
}

static int bad_subscribe(void *self, sio_slice channel)
{
	(void)self, (void)channel;
	return bad.result;
}

static void bad_unsubscribe(void *self, sio_slice channel)
{
	(void)self, (void)channel;
	bad.calls_n++;
}

static int bad_publish(void *self, sio_slice channel, sio_slice message)
{
	sio_slice names[8];
	struct cluster_message m;

	(void)self, (void)channel;
	assert_int_equal(cluster_read(message, &m, names, 8), SIO_OK);
	bad.has_skip = m.except_n && m.except[m.except_n - 1].n == SIO_ID_LEN;
	bad.calls_n++;
	return bad.result;
}

static int bad_send(void *self, sio_slice node, sio_slice message)
{
	(void)self, (void)node, (void)message;
	bad.calls_n++;
	return bad.result;
}

static void bad_nodes(void *self, sio_node_fn *fn, void *arg)
{
	(void)self;
	fn(SIO_LIT("another-node-another"), arg);
}

static void bad_close(void *self)
{
	(void)self;
}

/* What processes of other kinds are told: "nsp rooms except+skip event arguments". */
static struct buf outside;

static int bad_tell_neighbours(void *self, sio_slice nsp, const struct sio_target *target, sio_slice name, const struct sio_args *args)
{
	(void)self;
	buf_printf(&outside, "%.*s %u %u%s %.*s %.*s\n", (int)nsp.n, nsp.p, target->rooms_n, target->except_n, target->skip ? "+" : "",
		   (int)name.n, name.p, (int)args->json.n, args->json.p);
	return bad.result;
}

static const struct sio_adapter_ops bad_ops = {
	.open = bad_open,
	.subscribe = bad_subscribe,
	.unsubscribe = bad_unsubscribe,
	.publish = bad_publish,
	.send = bad_send,
	.nodes = bad_nodes,
	.close = bad_close,
	.tell_neighbours = bad_tell_neighbours,
};

static int teardown_bad(void **state)
{
	buf_fini(&outside);
	return teardown(state);
}

static int setup_bad(void **state)
{
	(void)state;
	memset(&bad, 0, sizeof(bad));
	cluster_n = 1;
	cluster_bus = NULL;
	cluster[0] = (struct fake_node){ .server = hub_start(NULL, NULL) };
	return 0;
}

static void test_set_adapter(void **state)
{
	struct sio_server *server = cluster[0].server;

	(void)state;
	assert_int_equal(sio_server_nodes_n(server), 1);
	assert_int_equal(sio_server_node(server).n, 0);
	bad.result = SIO_ERR_SYSTEM;
	assert_int_equal(sio_server_set_adapter(server, &bad_ops, NULL), SIO_ERR_SYSTEM);
	bad.result = SIO_OK;
	hub_connected(server);
	assert_int_equal(sio_server_set_adapter(server, &bad_ops, NULL), SIO_ERR_INVAL);
	eio_engine_discard_all(&server->fake->engine, "x");
	assert_int_equal(sio_server_set_adapter(server, &bad_ops, NULL), SIO_OK);
	assert_int_equal(sio_server_set_adapter(server, &bad_ops, NULL), SIO_ERR_EXISTS);
	assert_int_equal(sio_server_nodes_n(server), 2);
	assert_int_equal(sio_server_node(server).n, SIO_NODE_ID_LEN);
}

/* What cannot go out is counted; whoever is here has it all the same. */
static void test_a_publish_that_fails(void **state)
{
	struct sio_server *server = cluster[0].server;
	sio_slice room = SIO_LIT("r");
	struct sio_target in_r = { .rooms = &room, .rooms_n = 1 };
	struct fake_client *c;

	(void)state;
	assert_int_equal(sio_server_set_adapter(server, &bad_ops, NULL), SIO_OK);
	c = cluster_client(0, "r");
	bad.result = SIO_ERR_BUSY;
	assert_int_equal(say_to(0, "r", "1"), 1);
	fake_expect(c, "ws 42[\"e\",1]; ");
	assert_int_equal(sio_sockets_join(server->hub.nsps, &in_r, SIO_LIT("s")), 1);
	assert_int_equal(server->hub.adapter_failed, 2);
	assert_int_equal(server->hub.adapter_sent, 0);
	bad.result = SIO_OK;
	assert_int_equal(say_to(0, "r", "2"), 1);
	assert_int_equal(server->hub.adapter_sent, 1);
	assert_false(bad.has_skip);
	/* Who is skipped here is excepted elsewhere, in case it comes there. */
	in_r.skip = hub_socket(c);
	assert_int_equal(say(0, &in_r, "3"), 0);
	assert_true(bad.has_skip);
}

/* Each broadcast that is not local once, on the node where it is made; what other nodes say is not told again. */
static void test_processes_of_other_kinds(void **state)
{
	struct sio_server *server = cluster[0].server;
	struct sio_namespace *parent, *main_nsp = server->hub.nsps;
	const sio_slice rooms[] = { SIO_LIT("r"), SIO_LIT("s") };
	struct sio_target t = { .rooms = rooms, .rooms_n = 2, .except = rooms, .except_n = 1 };
	struct sio_args args = sio_args_json(SIO_LIT("1")), many = { .attachments_n = SIO_ATTACHMENTS_MAX + 1 };
	struct cluster_message from_node = { .type = CLUSTER_EMIT, .nsp = SIO_LIT("/"), .name = SIO_LIT("far"), .json = SIO_LIT("5") };
	struct buf wire = { 0 };
	struct fake_client *c;

	(void)state;
	buf_fini(&outside);
	assert_int_equal(sio_neighbours_tell(main_nsp, &t, SIO_LIT("alone"), &args), SIO_OK); /* without an adapter nobody */
	assert_int_equal(sio_server_set_adapter(server, &bad_ops, NULL), SIO_OK);
	c = cluster_client(0, "r");
	t.skip = hub_socket(c);
	say(0, &t, "1");
	say(0, NULL, "2");
	t.is_local = true;
	say(0, &t, "3");
	assert_int_equal(cluster_write(&wire, &from_node), SIO_OK);
	sio_adapter_deliver(server, SIO_LIT("another-node-another"), buf_peek(&wire));
	cluster_turn();
	assert_int_equal(sio_neighbours_tell(main_nsp, &t, SIO_LIT("alone"), &args), SIO_OK);
	assert_int_equal(sio_neighbours_tell(main_nsp, NULL, SIO_LIT("none"), NULL), SIO_OK);
	assert_int_equal(sio_neighbours_tell(main_nsp, NULL, SIO_LIT("e"), &many), SIO_ERR_INVAL);
	assert_int_equal(sio_namespace_pattern(server, "/x", &parent), SIO_OK);
	assert_int_equal(sio_neighbours_tell(parent, NULL, SIO_LIT("e"), &args), SIO_ERR_INVAL);
	bad.result = SIO_ERR_BUSY;
	assert_int_equal(sio_neighbours_tell(main_nsp, NULL, SIO_LIT("busy"), NULL), SIO_ERR_BUSY);
	fake_expect(c, "ws 42[\"e\",2]; ws 42[\"far\",5]; ");
	buf_byte(&outside, '\0');
	assert_string_equal(outside.p, "/ 2 1+ e 1\n/ 0 0 e 2\n/ 2 1+ alone 1\n/ 0 0 none \n/ 0 0 busy \n");
	buf_fini(&outside);
	buf_fini(&wire);
}

static void test_a_message_too_large(void **state)
{
	struct sio_server *server = cluster[0].server;
	char *big = malloc(SIO_ADAPTER_MESSAGE_MAX);
	struct sio_args args = sio_args_json(sio_bytes(big, SIO_ADAPTER_MESSAGE_MAX));
	struct sio_target all = { 0 };

	(void)state;
	assert_int_equal(sio_server_set_adapter(server, &bad_ops, NULL), SIO_OK);
	memset(big, '1', SIO_ADAPTER_MESSAGE_MAX);
	assert_int_equal(sio_broadcast(server, &all, SIO_LIT("e"), &args), 0);
	assert_int_equal(bad.calls_n, 0);
	assert_int_equal(server->hub.adapter_failed, 1);
	assert_int_equal(sio_servers_emit(server->hub.nsps, SIO_LIT("e"), &args), SIO_ERR_LIMIT);
	assert_int_equal(bad.calls_n, 0);
	free(big);
}

/* Who cannot hear cannot be there. */
static void test_a_subscription_that_fails(void **state)
{
	struct sio_server *server = cluster[0].server;
	struct fake_client *c, *late;

	(void)state;
	assert_int_equal(sio_server_set_adapter(server, &bad_ops, NULL), SIO_OK);
	c = cluster_client(0, NULL);
	bad.result = SIO_ERR_NOMEM;
	assert_int_equal(sio_room_join(hub_socket(c), SIO_LIT("r")), SIO_ERR_NOMEM);
	assert_int_equal(sio_room_size(server, SIO_LIT("r")), 0);
	assert_int_equal(sio_room_join(hub_socket(c), SIO_LIT("as-long-as-an-id-abc")), SIO_OK); /* has no channel */
	hub_check(server);
	assert_non_null(sio_namespace_open(server, SIO_LIT("/new")));
	late = client_in(0, "40/new,");
	assert_int_equal(late->closed_n, 1);
	hub_check(server);
	bad.result = SIO_ERR_CLOSED; /* an adapter at its end keeps nobody out */
	assert_int_equal(sio_room_join(hub_socket(c), SIO_LIT("r")), SIO_OK);
	bad.result = SIO_OK;
}

/* ---- forged messages ------------------------------------------------------------------------------------- */

static char stranger[] = "stranger-stranger-st";

static void forge(unsigned i, const void *p, size_t n)
{
	sio_adapter_deliver(cluster[i].server, sio_str(stranger), sio_bytes(p, n));
	fake_turn(cluster[i].server->fake);
}

static void expect_refused(unsigned i, unsigned n)
{
	assert_int_equal(cluster[i].server->hub.adapter_refused, n);
	cluster[i].server->hub.adapter_refused = 0;
}

static void test_forged(void **state)
{
	struct fake_client *c = cluster_client(0, "r");
	sio_slice room = SIO_LIT("r"), attachment = SIO_LIT("x");
	struct cluster_message m = { .type = CLUSTER_EMIT, .nsp = SIO_LIT("/"), .rooms = &room, .rooms_n = 1,
				     .name = SIO_LIT("e"), .json = SIO_LIT("1") };
	struct buf b = { 0 };

	(void)state;
	assert_int_equal(cluster_write(&b, &m), SIO_OK);
	forge(0, b.p, b.n); /* well-formed: whoever is on the adapter is believed */
	fake_expect(c, "ws 42[\"e\",1]; ");
	expect_refused(0, 0);
	for (size_t n = 0; n < b.n; n++)
		forge(0, b.p, n);
	expect_refused(0, (unsigned)b.n);
	b.p[2] = 2; /* another version */
	forge(0, b.p, b.n);
	forge(0, "{\"method\":\"emit\"}", 17);
	expect_refused(0, 2);
	/* Our own words, or no sender. */
	b.p[2] = CLUSTER_VERSION;
	sio_adapter_deliver(cluster[0].server, sio_server_node(cluster[0].server), buf_peek(&b));
	sio_adapter_deliver(cluster[0].server, SIO_LIT("short"), buf_peek(&b));
	expect_refused(0, 2);
	/* What a local broadcast would refuse. */
	m.name = SIO_LIT("disconnect");
	buf_clear(&b);
	assert_int_equal(cluster_write(&b, &m), SIO_OK);
	forge(0, b.p, b.n);
	m = (struct cluster_message){ .type = CLUSTER_JOIN, .nsp = SIO_LIT("/") };
	buf_clear(&b);
	assert_int_equal(cluster_write(&b, &m), SIO_OK);
	forge(0, b.p, b.n);
	expect_refused(0, 2);
	/* Of a namespace that is not here: too late, no more. */
	m = (struct cluster_message){ .type = CLUSTER_EMIT, .nsp = SIO_LIT("/gone"), .name = SIO_LIT("e"),
				      .attachments = &attachment, .attachments_n = 1 };
	buf_clear(&b);
	assert_int_equal(cluster_write(&b, &m), SIO_OK);
	forge(0, b.p, b.n);
	expect_refused(0, 0);
	fake_expect(c, "");
	buf_fini(&b);
}

/* More names than fit on the stack, and an end of the server in the middle. */
static void test_many_names(void **state)
{
	enum { N = 500 };
	struct fake_client *c = cluster_client(1, "r499");
	sio_slice rooms[N];
	char names[N][8];
	struct sio_target target = { .rooms = rooms, .rooms_n = N };

	(void)state;
	for (int i = 0; i < N; i++)
		rooms[i] = sio_bytes(names[i], (size_t)snprintf(names[i], sizeof(names[i]), "r%d", i));
	say(0, &target, "1");
	fake_expect(c, "ws 42[\"e\",1]; ");
}

/* ---- the end ------------------------------------------------------------------------------------------------ */

static void test_a_node_that_ends(void **state)
{
	struct fake_client *a = cluster_client(0, "r");

	(void)state;
	cluster_client(1, "r");
	assert_int_equal(sio_server_nodes_n(cluster[0].server), 3);
	say_to(1, "r", "1");
	assert_int_equal(sio_broadcast(cluster[0].server, &(struct sio_target){ 0 }, SIO_LIT("late"), &none), 1);
	cluster_end(1);
	cluster_turn();
	assert_int_equal(sio_server_nodes_n(cluster[0].server), 2);
	say_to(2, "r", "2");
	fake_expect(a, "ws 42[\"e\",1]; ws 42[\"late\"]; ws 42[\"e\",2]; ");
}

/* A closed server is not on the bus any more, though it lives on for a while. */
static void test_closed_but_not_freed(void **state)
{
	(void)state;
	hub_close(&cluster[1].server->hub);
	hub_close(&cluster[1].server->hub);
	assert_int_equal(sio_server_nodes_n(cluster[1].server), 1);
	assert_int_equal(say_to(1, "r", "1"), 0);
	cluster_client(1, "r");
	say_to(0, "r", "2");
	assert_int_equal(cluster[1].server->hub.adapter_sent, 0);
	assert_int_equal(cluster[1].server->hub.adapter_failed, 0);
	assert_int_equal(cluster[1].server->hub.adapter_received, 0);
	sio_adapter_deliver(cluster[1].server, sio_str(stranger), SIO_LIT("x"));
	sio_adapter_node_gone(cluster[1].server, sio_str(stranger));
	assert_int_equal(cluster[1].server->hub.adapter_received, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define BAD(f) cmocka_unit_test_setup_teardown(f, setup_bad, teardown_bad)
	const struct CMUnitTest tests[] = {
		TEST(test_a_room_on_all_nodes),
		TEST(test_everybody_but),
		TEST(test_a_socket_elsewhere),
		TEST(test_local_stays_here),
		TEST(test_attachments),
		TEST(test_volatile),
		TEST(test_order),
		TEST(test_catch_all_of_the_other_node),
		TEST(test_namespaces_are_apart),
		TEST(test_children),
		TEST(test_who_has_nobody_hears_nothing),
		TEST(test_rooms_of_several_members),
		TEST(test_join_and_leave),
		TEST(test_many_fresh_rooms),
		TEST(test_close_room),
		TEST(test_disconnect),
		BAD(test_set_adapter),
		BAD(test_a_publish_that_fails),
		BAD(test_processes_of_other_kinds),
		BAD(test_a_message_too_large),
		BAD(test_a_subscription_that_fails),
		TEST(test_forged),
		TEST(test_many_names),
		TEST(test_a_node_that_ends),
		TEST(test_closed_but_not_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
