/* adapter.c -- a server's adapter over the simulated Redis.
 *
 * Real are src/redis/outbox.c, nodes.c and seal.c.  Played is what binds them to libuv and sockets:
 * redis.c, publish.c, listen.c, health.c and link.c; a function here does what its namesake there does,
 * with the same numbers.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>
#include <string.h>

#include <sio/adapter.h>

#include "base/buf.h"
#include "base/map.h"
#include "redis/nodes.h"
#include "redis/outbox.h"
#include "redis/seal.h"
#include "sim/node.h"
#include "sim/redis.h"
#include "sim/sabotage.h"

enum {
	HEARTBEAT_MS = 2000,
	LEASE_MS = 10000,
	BEATS_MISSED = 3,
	CONNECT_TIMEOUT_MS = 4000,
	BACKOFF_MIN_MS = 50,
	BACKOFF_MAX_MS = 5000,
	OUTBOX_MESSAGES = 65536,
	OUTBOX_BYTES = 67108864,
	OUTBOX_AGE_MS = 60000,
	WIRE_MAX = 1 + SIO_CHANNEL_MAX,
	PIECES_MAX = 256,
};

struct channel {
	struct map_node by_name;
	char name[];
};

struct link {
	uint64_t conn;               /* 0: none */
	bool is_ready, is_sub;
	uint32_t backoff_ms;
	uint64_t ready_ms;
	struct sio_timer timer;
	struct adapter *adapter;
};

struct adapter {
	unsigned node;
	struct sio_server *server;
	char id[SIO_NODE_ID_LEN];
	bool is_open, is_muted;
	struct outbox outbox;
	struct seal seal;
	struct nodes nodes;
	struct map channels;
	struct link pub, sub;
	struct sio_timer tick;
	uint64_t counter, hello_counter, own_counter, heard_ms, answered_ms, down_ms;
	bool is_subscribed, is_up;
};

static uint64_t now_ms(const struct adapter *a)
{
	return node_now_ms(a->node);
}

static sio_slice own_id(const struct adapter *a)
{
	return sio_bytes(a->id, SIO_NODE_ID_LEN);
}

static sio_slice wire_of(char kind, sio_slice name, char out[WIRE_MAX])
{
	out[0] = kind;
	if (name.n)
		memcpy(out + 1, name.p, name.n);
	return sio_bytes(out, 1 + name.n);
}

/* ---- links ------------------------------------------------------------------------------------ */

static void link_down(struct link *link);

static void on_connect_timeout(struct sio_timer *timer)
{
	link_down(MAP_OWNER(timer, struct link, timer));
}

static void link_connect(struct link *link)
{
	link->conn = redis_connect(link->adapter->node, link->is_sub);
	sio_timer_start(link->adapter->server, &link->timer, CONNECT_TIMEOUT_MS, on_connect_timeout);
}

static void on_backoff(struct sio_timer *timer)
{
	link_connect(MAP_OWNER(timer, struct link, timer));
}

static void link_down(struct link *link)
{
	struct adapter *a = link->adapter;
	uint32_t ms = link->backoff_ms ? link->backoff_ms : BACKOFF_MIN_MS;

	redis_close(link->conn, false);
	link->conn = 0;
	link->is_ready = false;
	if (link->is_sub) {
		a->is_subscribed = false;
	} else {
		outbox_wrote(&a->outbox);
		outbox_rewind(&a->outbox);
	}
	if (a->is_up)
		a->down_ms = now_ms(a);
	a->is_up = false;
	link->backoff_ms = 2 * ms < BACKOFF_MAX_MS ? 2 * ms : BACKOFF_MAX_MS;
	sio_timer_start(a->server, &link->timer, ms - below(ms / 2), on_backoff);
}

/* ---- publish.c ------------------------------------------------------------------------------------ */

static void flush(struct adapter *a);

/* The kernel has it; in the next turn. */
static void on_wrote(void *arg)
{
	struct adapter *a = machines[(uintptr_t)arg].adapter;

	if (!a || !a->is_open)
		return;
	outbox_wrote(&a->outbox);
	flush(a);
}

static bool write_some(struct adapter *a)
{
	struct outbox_piece pieces[PIECES_MAX];
	size_t n = outbox_take(&a->outbox, false, pieces, PIECES_MAX);
	struct buf b = { 0 };

	for (size_t i = 0; i < n; i++)
		buf_put(&b, pieces[i].p, pieces[i].n);
	if (n)
		redis_write(a->pub.conn, buf_peek(&b));
	buf_fini(&b);
	return n > 0;
}

static void flush(struct adapter *a)
{
	if (!a->pub.is_ready || a->outbox.writing_n > 0)
		return;
	if (a->outbox.written_n == 0)
		a->answered_ms = now_ms(a);
	if (write_some(a))
		node_post(a->node, on_wrote, NULL, (void *)(uintptr_t)a->node);
}

static int publish_put(struct adapter *a, enum seal_kind kind, sio_slice channel, sio_slice message)
{
	uint64_t now_us = (uint64_t)node_wall_ms(a->node) * 1000;
	char head[SEAL_HEAD];
	int err;

	if (a->is_muted)
		return SIO_OK;
	a->counter = now_us > a->counter ? now_us : a->counter + 1;
	if (!seal_write(&a->seal, head, kind, a->id, a->counter, channel, message))
		return SIO_ERR_BUSY;
	err = outbox_put(&a->outbox, channel, sio_bytes(head, SEAL_HEAD), message, now_ms(a), kind != SEAL_MESSAGE);
	if (err == SIO_OK)
		flush(a);
	return err;
}

static void publish_beat(struct adapter *a, enum seal_kind kind)
{
	char space[WIRE_MAX];

	if (publish_put(a, kind, wire_of('a', sio_bytes("", 0), space), sio_bytes("", 0)) == SIO_OK && kind == SEAL_HELLO)
		a->hello_counter = a->counter;
}

/* ---- health.c ----------------------------------------------------------------------------------------- */

static void health_hello(struct adapter *a)
{
	if (!a->is_subscribed || !a->pub.is_ready)
		return;
	a->heard_ms = now_ms(a);
	publish_beat(a, SEAL_HELLO);
}

static void health_hear(struct adapter *a, const struct seal_head *head)
{
	if (head->counter <= a->own_counter)
		return;
	a->own_counter = head->counter;
	a->heard_ms = now_ms(a);
	if (!a->is_up && head->counter >= a->hello_counter && a->is_subscribed && a->pub.is_ready) {
		a->is_up = true;
		nodes_refresh(&a->nodes, now_ms(a));
	}
}

static void leave(struct adapter *a, struct node *node)
{
	char id[SIO_NODE_ID_LEN];

	if (!node->is_live)
		return;
	memcpy(id, node->id, sizeof(id));
	nodes_leave(&a->nodes, node);
	sim_trace("server %u: %.*s is gone", a->node, SIO_NODE_ID_LEN, id);
	sio_adapter_node_gone(a->server, sio_bytes(id, sizeof(id)));
}

static void on_tick(struct sio_timer *timer)
{
	struct adapter *a = MAP_OWNER(timer, struct adapter, tick);
	uint64_t now = now_ms(a), patience = HEARTBEAT_MS * BEATS_MISSED;
	struct node *node;

	sio_timer_start(a->server, &a->tick, HEARTBEAT_MS, on_tick);
	if (a->outbox.written_n + a->outbox.writing_n > 0 && now - a->answered_ms > patience && a->pub.is_ready)
		link_down(&a->pub);
	if (!a->pub.is_ready && now > OUTBOX_AGE_MS)
		outbox_expire(&a->outbox, now - OUTBOX_AGE_MS);
	if (a->pub.is_ready && a->is_subscribed && now - a->heard_ms > patience)
		link_down(&a->sub);
	if (a->sub.is_ready && !a->is_subscribed && now - a->sub.ready_ms > patience)
		link_down(&a->sub);
	while (a->is_up && (node = nodes_silent(&a->nodes, now, LEASE_MS, HEARTBEAT_MS)))
		leave(a, node);
	if (a->pub.is_ready)
		publish_beat(a, SEAL_BEAT);
}

/* ---- listen.c ------------------------------------------------------------------------------------------- */

static void put_command(struct buf *b, bool is_on, sio_slice wire)
{
	const char *command = is_on ? "SUBSCRIBE" : "UNSUBSCRIBE";

	buf_printf(b, "*2\r\n$%zu\r\n%s\r\n$%zu\r\n", strlen(command), command, wire.n);
	buf_slice(b, wire);
	buf_str(b, "\r\n");
}

static void send_command(struct adapter *a, bool is_on, sio_slice name)
{
	char space[WIRE_MAX];
	struct buf b = { 0 };

	put_command(&b, is_on, wire_of('c', name, space));
	if (a->sub.is_ready && !a->is_muted)
		redis_write(a->sub.conn, buf_peek(&b));
	buf_fini(&b);
}

static void on_sub_ready(struct adapter *a)
{
	char space[WIRE_MAX];
	struct buf b = { 0 };
	uint32_t i;

	for (struct map_node *m = map_first(&a->channels, &i); m; m = map_next(&a->channels, &i, m))
		put_command(&b, true, wire_of('c', sio_bytes(m->key, m->key_n), space));
	put_command(&b, true, wire_of('n', own_id(a), space));
	put_command(&b, true, wire_of('a', sio_bytes("", 0), space));
	redis_write(a->sub.conn, buf_peek(&b));
	buf_fini(&b);
}

static void hand_in(struct adapter *a, const struct node *node, sio_slice wire, sio_slice message)
{
	sio_slice name = sio_bytes(wire.p + 1, wire.n - 1);
	char id[SIO_NODE_ID_LEN];

	if (wire.p[0] == 'n' ? !sio_slice_eq(name, own_id(a)) : wire.p[0] != 'c' || !map_get(&a->channels, name))
		return;
	memcpy(id, node->id, sizeof(id));
	if (world.is_loud) {
		char text[256];
		size_t k = 0;

		for (size_t i = 0; i < message.n && k < sizeof(text) - 1; i++)
			if (message.p[i] >= ' ' && message.p[i] <= '~')
				text[k++] = message.p[i];
		sim_trace("server %u: %.*s says %.*s", a->node, SIO_NODE_ID_LEN, node->id, (int)k, text);
	}
	for (unsigned n = sabotage_copies(); n > 0; n--)
		sio_adapter_deliver(a->server, sio_bytes(id, sizeof(id)), message);
}

static void on_message(struct adapter *a, sio_slice wire, sio_slice bytes)
{
	struct seal_head head;
	struct node *node;
	uint32_t known_n = a->nodes.live_n;

	if (!seal_read(&a->seal, bytes, wire, &head))
		sim_fail("a message that nobody has sealed");
	if (sio_slice_eq(head.sender, own_id(a))) {
		if (head.kind != SEAL_MESSAGE)
			health_hear(a, &head);
		return;
	}
	if (nodes_hear(&a->nodes, head.sender, head.counter, now_ms(a), (uint64_t)node_wall_ms(a->node) * 1000, &node) != NODES_OK)
		return;
	if (a->nodes.live_n > known_n)
		sim_trace("server %u: %.*s is there", a->node, SIO_NODE_ID_LEN, node->id);
	if (head.kind == SEAL_MESSAGE)
		hand_in(a, node, wire, head.message);
	else if (head.kind == SEAL_BYE)
		leave(a, node);
	else if (head.kind == SEAL_HELLO && a->pub.is_ready)
		publish_beat(a, SEAL_BEAT);
}

/* ---- what Redis says ------------------------------------------------------------------------------------------ */

static struct link *link_of(unsigned n, uint64_t conn)
{
	struct adapter *a = machines[n].adapter;

	if (!a || !a->is_open)
		return NULL;
	return conn == a->pub.conn ? &a->pub : conn == a->sub.conn ? &a->sub : NULL;
}

void adapter_on_ready(unsigned n, uint64_t conn)
{
	struct link *link = link_of(n, conn);

	if (!link)
		return;
	sio_timer_stop(&link->timer);
	link->is_ready = true;
	link->ready_ms = now_ms(link->adapter);
	link->backoff_ms = 0;
	if (link->is_sub) {
		on_sub_ready(link->adapter);
		return;
	}
	if (now_ms(link->adapter) > OUTBOX_AGE_MS)
		outbox_expire(&link->adapter->outbox, now_ms(link->adapter) - OUTBOX_AGE_MS);
	link->adapter->answered_ms = now_ms(link->adapter);
	health_hello(link->adapter);
	flush(link->adapter);
}

void adapter_on_down(unsigned n, uint64_t conn)
{
	struct link *link = link_of(n, conn);

	if (link)
		link_down(link);
}

void adapter_on_reply(unsigned n, uint64_t conn, enum redis_reply kind, sio_slice wire, sio_slice bytes)
{
	struct link *link = link_of(n, conn);
	struct adapter *a = link ? link->adapter : NULL;

	if (!link)
		return;
	switch (kind) {
	case REDIS_PUBLISHED:
		if (!outbox_acked(&a->outbox))
			sim_fail("Redis answers what was not asked");
		a->answered_ms = now_ms(a);
		break;
	case REDIS_SUBSCRIBED:
		if (wire.n == 1 && wire.p[0] == 'a') {
			a->is_subscribed = true;
			health_hello(a);
		}
		break;
	case REDIS_MESSAGE:
		on_message(a, wire, bytes);
	}
}

/* ---- redis.c: the adapter ------------------------------------------------------------------------------------------ */

static int ops_open(void *self, struct sio_server *server, sio_slice id)
{
	struct adapter *a = self;

	a->server = server;
	memcpy(a->id, id.p, SIO_NODE_ID_LEN);
	a->is_open = true;
	a->down_ms = now_ms(a);
	sio_timer_start(server, &a->tick, HEARTBEAT_MS, on_tick);
	link_connect(&a->pub);
	link_connect(&a->sub);
	return SIO_OK;
}

static int ops_subscribe(void *self, sio_slice name)
{
	struct adapter *a = self;
	struct channel *ch;

	if (map_get(&a->channels, name))
		return SIO_OK;
	ch = malloc(sizeof(*ch) + name.n);
	memcpy(ch->name, name.p, name.n);
	if (map_put(&a->channels, &ch->by_name, sio_bytes(ch->name, name.n)) < 0)
		sim_fail("no memory");
	send_command(a, true, name);
	return SIO_OK;
}

static void ops_unsubscribe(void *self, sio_slice name)
{
	struct adapter *a = self;
	struct map_node *node = map_get(&a->channels, name);

	if (!node)
		return;
	send_command(a, false, name);
	map_del(&a->channels, node);
	free(MAP_OWNER(node, struct channel, by_name));
}

static int ops_publish(void *self, sio_slice name, sio_slice message)
{
	char space[WIRE_MAX];

	return publish_put(self, SEAL_MESSAGE, wire_of('c', name, space), message);
}

static int ops_send(void *self, sio_slice id, sio_slice message)
{
	struct adapter *a = self;
	struct node *node = nodes_find(&a->nodes, id);
	char space[WIRE_MAX];

	if (!node)
		return SIO_ERR_NOENT;
	if (!a->is_up && now_ms(a) - a->down_ms > HEARTBEAT_MS)
		return SIO_ERR_BUSY;
	return publish_put(a, SEAL_MESSAGE, wire_of('n', sio_bytes(node->wire, SIO_NODE_ID_LEN), space), message);
}

static void ops_nodes(void *self, sio_node_fn *fn, void *arg)
{
	const struct adapter *a = self;

	nodes_each(&a->nodes, fn, arg);
}

static bool ops_find(void *self, sio_slice wire, char *out)
{
	const struct adapter *a = self;

	return nodes_id_of(&a->nodes, wire, out);
}

/* What is in the outbox still goes out, as far as there is a connection. */
static void ops_close(void *self)
{
	struct adapter *a = self;
	char space[WIRE_MAX];
	uint32_t i;

	if (a->pub.is_ready)
		(void)!publish_put(a, SEAL_BYE, wire_of('a', sio_bytes("", 0), space), sio_bytes("", 0));
	outbox_wrote(&a->outbox);
	while (a->pub.is_ready && !a->is_muted && write_some(a))
		outbox_wrote(&a->outbox);
	redis_close(a->pub.conn, true);
	redis_close(a->sub.conn, true);
	sio_timer_stop(&a->tick);
	sio_timer_stop(&a->pub.timer);
	sio_timer_stop(&a->sub.timer);
	for (struct map_node *m = map_first(&a->channels, &i), *next; m; m = next) {
		next = map_next(&a->channels, &i, m);
		map_del(&a->channels, m);
		free(MAP_OWNER(m, struct channel, by_name));
	}
	map_fini(&a->channels);
	nodes_fini(&a->nodes);
	outbox_rewind(&a->outbox);
	outbox_fini(&a->outbox);
	seal_fini(&a->seal);
	machines[a->node].adapter = NULL;
	free(a);
}

const struct sio_adapter_ops *adapter_ops(void)
{
	static const struct sio_adapter_ops ops = {
		.open = ops_open,
		.subscribe = ops_subscribe,
		.unsubscribe = ops_unsubscribe,
		.publish = ops_publish,
		.send = ops_send,
		.nodes = ops_nodes,
		.close = ops_close,
		.find = ops_find,
	};

	return &ops;
}

struct adapter *adapter_new(unsigned n)
{
	struct adapter *a = calloc(1, sizeof(*a));

	a->node = n;
	a->pub.adapter = a->sub.adapter = a;
	a->sub.is_sub = true;
	outbox_init(&a->outbox, OUTBOX_MESSAGES, OUTBOX_BYTES);
	nodes_init(&a->nodes);
	map_init(&a->channels);
	if (seal_init(&a->seal, sio_bytes("", 0)) < 0)
		sim_fail("no seal");
	return a;
}

void adapter_crash(struct adapter *a)
{
	a->is_muted = true;
	a->pub.is_ready = a->sub.is_ready = false;
}

bool adapter_is_well(const struct adapter *a, unsigned others_n)
{
	return a->is_up && a->nodes.live_n == others_n && a->outbox.n < 100; /* what is under way now */
}
