/* adapter_nodes.h -- the nodes of adapter_test.c: servers with a loop and a thread each, on one of
 * the kinds of adapters there are.
 *
 * A node here is a real server with a real loop, but what its adapter hands in comes to
 * this file: it has sio_adapter_deliver and sio_adapter_node_gone of its own, in the place
 * of the hub's.  What a node hears is written down as "0:text ", with the sender's number,
 * and "0:gone "; long messages as their length and checksum.  Refuses to know what is checked.
 *
 * A new kind is a row in kinds[] and a line in EACH of adapter_test.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef CONTRACT_ADAPTER_NODES_H
#define CONTRACT_ADAPTER_NODES_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include <sio/adapter.h>
#include <sio/server.h>
#include <sio/work.h>

#include "base/buf.h"
#include "base/random.h"
#include "bus/memory.h"
#include "lib/redis_server.h"
#include "redis/redis.h"

enum { NODES = 3, PATIENCE_MS = 20000, LOGGED_MAX = 40 };

struct node {
	struct sio_server *server;
	uv_loop_t loop;
	pthread_t thread;
	const struct sio_adapter_ops *ops;
	void *self;
	char id[SIO_NODE_ID_LEN + 1];
	bool is_open, is_running;
	struct buf heard;
	unsigned messages_n;
};

static struct node nodes[NODES];
static pthread_mutex_t heard_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- kinds of adapters ----------------------------------------------------------------- */

struct kind {
	void (*begin)(void);          /* what the nodes share */
	void (*end)(void);
	int (*node)(struct node *node);   /* sets ops and self; on the node's thread */
	bool has_threads;             /* each node's loop runs in one of its own */
	unsigned settle_ms;           /* for what is under way to arrive, when nothing tells */
};

static struct sio_bus *bus;

static void memory_begin(void)
{
	bus = sio_bus_memory_new();
	assert_non_null(bus);
}

static void memory_end(void)
{
	sio_bus_memory_free(bus);
}

static int memory_node(struct node *node)
{
	return bus_node(bus, &node->ops, &node->self);
}

/* One server of each kind for all checks, which have a prefix each. */
static struct redis_server single, sharded, *redis;
static char prefix[RANDOM_ID_LEN + 1];

static void redis_begin(void)
{
	if (!single.pid)
		redis_server_start(&single, NULL);
	redis = &single;
	random_id(prefix);
}

/* A cluster of one node that has all slots. */
static void sharded_begin(void)
{
	char answer[4096] = "", port[8];
	const char *const settings[] = { "--cluster-enabled", "yes", "--port", port, "--bind", "127.0.0.1", NULL };
	uint32_t r;

	redis = &sharded;
	random_id(prefix);
	if (sharded.pid)
		return;
	/* It wants a port, and the one 10,000 above; nobody connects to them. */
	random_bytes(&r, sizeof(r));
	snprintf(port, sizeof(port), "%u", 12000 + r % 20000);
	redis_server_start(&sharded, settings);
	redis_server_ask(&sharded, "CLUSTER ADDSLOTSRANGE 0 16383", answer, sizeof(answer));
	for (int left = 1000; !strstr(answer, "cluster_state:ok"); left--) {
		if (left == 0)
			fail_msg("the cluster of one is not ready after 10 s: %s", answer);
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
		redis_server_ask(&sharded, "CLUSTER INFO", answer, sizeof(answer));
	}
}

static void redis_end(void)
{
}

static int stop_servers(void **state)
{
	(void)state;
	redis_server_remove(&single);
	redis_server_remove(&sharded);
	return 0;
}

static int redis_node_new(struct node *node)
{
	static const struct redis_turn turn = { NULL, NULL };
	const struct sio_redis_options o = { .url = redis->url, .prefix = prefix, .secret = SIO_LIT("a secret of all nodes") };
	char error[SIO_REDIS_ERROR_MAX];
	struct sio_redis *r;
	int err = sio_redis_new(&o, &r, error);

	if (err < 0)
		return err;
	err = redis_node(r, &node->loop, &turn, &node->ops, &node->self);
	sio_redis_free(r);
	return err;
}

static const struct kind kinds[] = {
	{ memory_begin, memory_end, memory_node, false, 0 },
	{ memory_begin, memory_end, memory_node, true, 20 },
	{ redis_begin, redis_end, redis_node_new, false, 40 },
	{ redis_begin, redis_end, redis_node_new, true, 40 },
	{ sharded_begin, redis_end, redis_node_new, false, 40 },
};
static const struct kind *kind;

/* ---- loops ------------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void *run(void *node)
{
	uv_run(&((struct node *)node)->loop, UV_RUN_DEFAULT);
	return NULL;
}

/* Let the loops do what they have to do. */
static void pump(void)
{
	if (kind->has_threads) {
		usleep(1000);
		return;
	}
	for (int i = 0; i < NODES; i++)
		if (nodes[i].is_running)
			uv_run(&nodes[i].loop, UV_RUN_NOWAIT);
}

static void settle(void)
{
	uint64_t end = now_ms() + kind->settle_ms;

	for (int i = 0; i < 10 || now_ms() < end; i++)
		pump();
}

struct call {
	void (*fn)(void *arg);
	void *arg;
	sem_t done;
};

static void on_call(void *arg)
{
	struct call *call = arg;

	call->fn(call->arg);
	sem_post(&call->done);
}

/* Call fn on the loop's thread of node i. */
static void on_thread(int i, void (*fn)(void *arg), void *arg)
{
	struct call call = { .fn = fn, .arg = arg };

	if (!kind->has_threads) {
		fn(arg);
		return;
	}
	sem_init(&call.done, 0, 0);
	assert_int_equal(sio_server_post(nodes[i].server, on_call, &call), SIO_OK);
	sem_wait(&call.done);
	sem_destroy(&call.done);
}

/* ---- what arrives -------------------------------------------------------------------------- */

static int node_of(sio_slice id)
{
	for (int i = 0; i < NODES; i++)
		if (sio_slice_eq(sio_str(nodes[i].id), id))
			return i;
	return -1;
}

static struct node *node_at(const struct sio_server *server)
{
	for (int i = 0; i < NODES; i++)
		if (nodes[i].server == server)
			return &nodes[i];
	fail_msg("a server that is none of ours");
	return NULL;
}

static uint32_t checksum(sio_slice s)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 16777619u;
	return h;
}

void sio_adapter_deliver(struct sio_server *server, sio_slice from, sio_slice message)
{
	struct node *node = node_at(server);

	assert_true(node->is_open);
	pthread_mutex_lock(&heard_lock);
	node->messages_n++;
	if (message.n > LOGGED_MAX)
		buf_printf(&node->heard, "%d:#%zu,%08x ", node_of(from), message.n, checksum(message));
	else
		buf_printf(&node->heard, "%d:%.*s ", node_of(from), (int)message.n, message.p);
	pthread_mutex_unlock(&heard_lock);
	if (sio_slice_eq(message, SIO_LIT("ping")))
		assert_int_equal(node->ops->publish(node->self, SIO_LIT("pongs"), SIO_LIT("pong")), SIO_OK);
	if (sio_slice_eq(message, SIO_LIT("close yourself"))) {
		node->is_open = false;
		node->ops->close(node->self);
	}
}

void sio_adapter_lost(struct sio_server *server, sio_slice lost)
{
	(void)server, (void)lost;
}

void sio_adapter_node_gone(struct sio_server *server, sio_slice gone)
{
	struct node *node = node_at(server);

	assert_true(node->is_open);
	pthread_mutex_lock(&heard_lock);
	buf_printf(&node->heard, "%d:gone ", node_of(gone));
	pthread_mutex_unlock(&heard_lock);
}

static bool has_heard(int i, const char *want)
{
	bool is_same;

	pthread_mutex_lock(&heard_lock);
	is_same = sio_slice_eq(buf_peek(&nodes[i].heard), sio_str(want));
	pthread_mutex_unlock(&heard_lock);
	return is_same;
}

/* Wait until node i has heard want, or the same in another order, and see that it hears no
 * more. */
static void expect_either(int i, const char *want, const char *or)
{
	uint64_t end = now_ms() + PATIENCE_MS;
	struct buf got = { 0 };

	while (want[0] && !has_heard(i, want) && !has_heard(i, or) && now_ms() < end)
		pump();
	settle();
	pthread_mutex_lock(&heard_lock);
	buf_slice(&got, buf_peek(&nodes[i].heard));
	buf_clear(&nodes[i].heard);
	nodes[i].messages_n = 0;
	pthread_mutex_unlock(&heard_lock);
	if (!sio_slice_eq(buf_peek(&got), sio_str(want)) && !sio_slice_eq(buf_peek(&got), sio_str(or)))
		fail_msg("node %d heard: %.*s\nwant: %s", i, (int)got.n, got.p, want);
	buf_fini(&got);
}

static void expect(int i, const char *want)
{
	expect_either(i, want, want);
}

/* ---- what a node does ------------------------------------------------------------------------- */

enum what { SUBSCRIBE, UNSUBSCRIBE, PUBLISH, SEND };

struct act {
	struct node *node;
	enum what what;
	sio_slice to, message;
	unsigned times;               /* with the number behind the message when more than one */
	int err;
};

static int act_once(const struct act *a, sio_slice message)
{
	switch (a->what) {
	case SUBSCRIBE:
		return a->node->ops->subscribe(a->node->self, a->to);
	case UNSUBSCRIBE:
		a->node->ops->unsubscribe(a->node->self, a->to);
		return SIO_OK;
	case PUBLISH:
		return a->node->ops->publish(a->node->self, a->to, message);
	default:
		return a->node->ops->send(a->node->self, a->to, message);
	}
}

static void on_act(void *arg)
{
	struct act *a = arg;
	char text[LOGGED_MAX + 1];

	for (unsigned k = 0; k < a->times; k++) {
		sio_slice message = a->message;
		int err;
		if (a->times > 1)
			message = sio_bytes(text, (size_t)snprintf(text, sizeof(text), "%.*s%u", (int)a->message.n, a->message.p, k));
		err = act_once(a, message);
		a->err = a->err ? a->err : err;
	}
}

static int act(int i, enum what what, sio_slice to, sio_slice message, unsigned times)
{
	struct act a = { &nodes[i], what, to, message, times, SIO_OK };

	on_thread(i, on_act, &a);
	return a.err;
}

static void subscribe(int i, const char *channel)
{
	assert_int_equal(act(i, SUBSCRIBE, sio_str(channel), sio_str(NULL), 1), SIO_OK);
	settle();
}

static void unsubscribe(int i, const char *channel)
{
	assert_int_equal(act(i, UNSUBSCRIBE, sio_str(channel), sio_str(NULL), 1), SIO_OK);
	settle();
}

static void publish(int i, const char *channel, const char *message)
{
	assert_int_equal(act(i, PUBLISH, sio_str(channel), sio_str(message), 1), SIO_OK);
}

static int send_to(int i, const char *id, const char *message)
{
	return act(i, SEND, sio_str(id), sio_str(message), 1);
}

/* ---- life -------------------------------------------------------------------------------------- */

static void on_open(void *arg)
{
	struct node *node = arg;

	assert_int_equal(kind->node(node), SIO_OK);
	node->is_open = true;
	assert_int_equal(node->ops->open(node->self, node->server, sio_bytes(node->id, SIO_NODE_ID_LEN)), SIO_OK);
}

static void on_close(void *arg)
{
	struct node *node = arg;

	if (!node->is_open)
		return;
	node->is_open = false;
	node->ops->close(node->self);
}

static void open_node(int i)
{
	random_id(nodes[i].id);
	on_thread(i, on_open, &nodes[i]);
	settle();
}

static void close_node(int i)
{
	on_thread(i, on_close, &nodes[i]);
}

static int setup(void **state)
{
	struct sio_server_options o = { 0 };

	kind = *state;
	kind->begin();
	for (int i = 0; i < NODES; i++) {
		nodes[i] = (struct node){ 0 };
		uv_loop_init(&nodes[i].loop);
		o.loop = &nodes[i].loop;
		assert_int_equal(sio_server_new(&o, &nodes[i].server), SIO_OK);
		nodes[i].is_running = true;
		if (kind->has_threads)
			assert_int_equal(pthread_create(&nodes[i].thread, NULL, run, &nodes[i]), 0);
	}
	for (int i = 0; i < NODES; i++)
		open_node(i);
	return 0;
}

static void on_end(void *server)
{
	sio_server_close(server, 0);
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < NODES; i++) {
		close_node(i);
		assert_int_equal(sio_server_post(nodes[i].server, on_end, nodes[i].server), SIO_OK);
		if (kind->has_threads)
			pthread_join(nodes[i].thread, NULL);
		else
			uv_run(&nodes[i].loop, UV_RUN_DEFAULT);
		nodes[i].is_running = false;
		sio_server_free(nodes[i].server);
		assert_int_equal(uv_loop_close(&nodes[i].loop), 0);
		buf_fini(&nodes[i].heard);
	}
	kind->end();
	return 0;
}

#endif
