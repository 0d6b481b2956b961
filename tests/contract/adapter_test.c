/* adapter_test.c -- what <sio/adapter.h> demands of every adapter: one table of checks, run
 * over each kind there is.
 *
 * A node here is a real server with a real loop, but what its adapter hands in comes to
 * this file: it has sio_adapter_deliver and sio_adapter_node_gone of its own, in the place
 * of the hub's.  What a node hears is written down as "0:text ", with the sender's number,
 * and "0:gone "; long messages as their length and checksum.
 *
 * A new kind is a row in kinds[] and a line in EACH.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
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

/* ---- the checks ------------------------------------------------------------------------------- */

static void subscribers_hear_the_others(void **state)
{
	(void)state;
	for (int i = 0; i < NODES; i++)
		subscribe(i, "a");
	publish(0, "a", "one");
	publish(0, "a", "two");
	expect(1, "0:one 0:two ");
	expect(2, "0:one 0:two ");
	expect(0, ""); /* not itself */
	publish(1, "a", "three");
	expect(0, "1:three ");
	expect(2, "1:three ");
	expect(1, "");
}

static void nobody_else_hears(void **state)
{
	(void)state;
	subscribe(1, "a");
	subscribe(2, "b");
	subscribe(2, "a2");
	subscribe(2, "A");
	publish(0, "a", "x");
	publish(0, "nobody", "y");
	expect(1, "0:x ");
	expect(2, "");
	publish(0, "b", "z");
	expect(2, "0:z ");
	expect(1, "");
}

static void twice_is_once(void **state)
{
	(void)state;
	subscribe(1, "a");
	subscribe(1, "a");
	publish(0, "a", "x");
	expect(1, "0:x ");
	unsubscribe(1, "a");
	publish(0, "a", "y");
	expect(1, "");
}

static void unsubscribing_takes_effect(void **state)
{
	(void)state;
	unsubscribe(1, "never subscribed to");
	subscribe(1, "a");
	subscribe(1, "b");
	publish(0, "a", "1");
	expect(1, "0:1 ");
	unsubscribe(1, "a");
	publish(0, "a", "2");
	publish(0, "b", "3");
	expect(1, "0:3 ");
	subscribe(1, "a");
	publish(0, "a", "4");
	expect(1, "0:4 ");
}

static void channels_of_any_bytes(void **state)
{
	static const char longest[] = "/n,\0*?[]\\ \r\n\xff{}'\"$1";
	char channel[SIO_CHANNEL_MAX], other[SIO_CHANNEL_MAX];

	(void)state;
	memset(channel, 'c', sizeof(channel));
	memcpy(channel, longest, sizeof(longest));
	memcpy(other, channel, sizeof(other));
	other[SIO_CHANNEL_MAX - 1] = 'd';
	assert_int_equal(act(1, SUBSCRIBE, sio_bytes(channel, sizeof(channel)), sio_str(NULL), 1), SIO_OK);
	assert_int_equal(act(2, SUBSCRIBE, SIO_LIT("/n,"), sio_str(NULL), 1), SIO_OK);
	settle();
	assert_int_equal(act(0, PUBLISH, sio_bytes(other, sizeof(other)), SIO_LIT("other"), 1), SIO_OK);
	assert_int_equal(act(0, PUBLISH, sio_bytes(channel, sizeof(channel)), SIO_LIT("x"), 1), SIO_OK);
	expect(1, "0:x ");
	expect(2, "");
}

static void to_one_node(void **state)
{
	(void)state;
	assert_int_equal(send_to(0, nodes[1].id, "for you"), SIO_OK);
	assert_int_equal(send_to(0, nodes[1].id, "and this"), SIO_OK);
	expect(1, "0:for you 0:and this ");
	expect(2, "");
	assert_int_equal(send_to(0, "nobody-of-this-name-", "x"), SIO_ERR_NOENT);
	assert_int_equal(send_to(0, nodes[0].id, "x"), SIO_ERR_NOENT);
	expect(0, "");
}

struct listing {
	struct node *node;
	unsigned seen[NODES], n;
};

static void on_node(sio_slice id, void *arg)
{
	struct listing *list = arg;

	list->n++;
	list->seen[node_of(id)]++;
}

/* Whom the adapter knows under the id of its own server: none has gone and come back here. */
static void look_up(struct listing *list)
{
	char found[SIO_NODE_ID_LEN];

	for (int k = 0; k < NODES; k++) {
		sio_slice own = sio_bytes(nodes[k].id, SIO_NODE_ID_LEN);
		if (!list->node->ops->find || &nodes[k] == list->node)
			continue;
		assert_int_equal(list->node->ops->find(list->node->self, own, found), list->seen[k]);
		assert_true(!list->seen[k] || sio_slice_eq(sio_bytes(found, SIO_NODE_ID_LEN), own));
	}
}

static void on_list(void *arg)
{
	struct listing *list = arg;

	list->node->ops->nodes(list->node->self, on_node, list);
	look_up(list);
}

/* The nodes that i knows, as bits; each once. */
static unsigned known_to(int i)
{
	struct listing list = { .node = &nodes[i] };
	unsigned bits = 0;

	on_thread(i, on_list, &list);
	for (int k = 0; k < NODES; k++) {
		assert_true(list.seen[k] <= 1);
		bits |= list.seen[k] << k;
	}
	return bits;
}

static void expect_known(int i, unsigned bits)
{
	uint64_t end = now_ms() + PATIENCE_MS;

	while (known_to(i) != bits && now_ms() < end)
		pump();
	assert_int_equal(known_to(i), bits);
}

static void the_others_are_known(void **state)
{
	(void)state;
	expect_known(0, 6);
	expect_known(1, 5);
	close_node(2);
	expect_known(0, 2);
	expect_known(1, 1);
	expect(0, "2:gone ");
	expect(1, "2:gone ");
	open_node(2); /* another one now */
	expect_known(0, 6);
	expect_known(2, 3);
	expect(0, "");
}

static void a_node_goes_behind_its_last_message(void **state)
{
	(void)state;
	subscribe(0, "a");
	subscribe(1, "a");
	publish(2, "a", "farewell");
	close_node(2);
	expect(0, "2:farewell 2:gone ");
	expect(1, "2:farewell 2:gone ");
	assert_int_equal(send_to(0, nodes[2].id, "x"), SIO_ERR_NOENT);
	publish(0, "a", "alone");
	expect(1, "0:alone ");
}

static void wait_for_messages(int i, unsigned n)
{
	uint64_t end = now_ms() + PATIENCE_MS;
	unsigned got = 0;

	while (got < n && now_ms() < end) {
		pump();
		pthread_mutex_lock(&heard_lock);
		got = nodes[i].messages_n;
		pthread_mutex_unlock(&heard_lock);
	}
	settle();
}

/* Nothing is handed in behind close (sio_adapter_deliver asserts it), and nobody minds. */
static void closing_with_messages_under_way(void **state)
{
	unsigned n;

	(void)state;
	subscribe(1, "a");
	subscribe(2, "a");
	assert_int_equal(act(0, PUBLISH, SIO_LIT("a"), SIO_LIT("m"), 1000), SIO_OK);
	close_node(1);
	assert_int_equal(act(0, PUBLISH, SIO_LIT("a"), SIO_LIT("n"), 2), SIO_OK);
	wait_for_messages(2, 1002);
	expect(0, "1:gone ");
	pthread_mutex_lock(&heard_lock);
	n = nodes[2].messages_n;
	buf_clear(&nodes[2].heard);
	pthread_mutex_unlock(&heard_lock);
	assert_int_equal(n, 1002); /* not under the lock: the nodes want to end */
}

static void closing_from_inside_deliver(void **state)
{
	(void)state;
	subscribe(1, "a");
	assert_int_equal(send_to(0, nodes[1].id, "close yourself"), SIO_OK);
	send_to(0, nodes[1].id, "too late");
	expect(1, "0:close yourself ");
	expect(0, "1:gone ");
}

static void publishing_from_inside_deliver(void **state)
{
	(void)state;
	subscribe(1, "pings");
	subscribe(2, "pings");
	for (int i = 0; i < NODES; i++)
		subscribe(i, "pongs");
	publish(0, "pings", "ping");
	expect_either(0, "1:pong 2:pong ", "2:pong 1:pong ");
	expect_either(1, "0:ping 2:pong ", "2:pong 0:ping ");
	expect_either(2, "0:ping 1:pong ", "1:pong 0:ping ");
}

enum { MANY = 5000 };

/* Does what node i heard of sender hold its numbers 0..n-1, in order and once? */
static void expect_numbers(int i, int sender, unsigned n)
{
	char start[16];
	unsigned next = 0;

	pthread_mutex_lock(&heard_lock);
	buf_byte(&nodes[i].heard, '\0');
	nodes[i].heard.n--;
	snprintf(start, sizeof(start), "%d:m", sender);
	for (const char *at = strstr(nodes[i].heard.p, start); at; at = strstr(at + 1, start))
		assert_int_equal(strtoul(at + strlen(start), NULL, 10), next++);
	pthread_mutex_unlock(&heard_lock);
	assert_int_equal(next, n);
}

static void ten_thousand_in_order(void **state)
{
	(void)state;
	for (int i = 0; i < NODES; i++)
		subscribe(i, "a");
	assert_int_equal(act(0, PUBLISH, SIO_LIT("a"), SIO_LIT("m"), MANY), SIO_OK);
	assert_int_equal(act(1, PUBLISH, SIO_LIT("a"), SIO_LIT("m"), MANY), SIO_OK);
	wait_for_messages(2, 2 * MANY);
	wait_for_messages(0, MANY);
	wait_for_messages(1, MANY);
	expect_numbers(2, 0, MANY);
	expect_numbers(2, 1, MANY);
	expect_numbers(0, 1, MANY);
	expect_numbers(1, 0, MANY);
	assert_int_equal(nodes[2].messages_n, 2 * MANY);
	assert_int_equal(nodes[0].messages_n, MANY);
	assert_int_equal(nodes[1].messages_n, MANY);
}

static void large_and_empty_messages(void **state)
{
	char *big = malloc(SIO_ADAPTER_MESSAGE_MAX), want[100];
	sio_slice message = sio_bytes(big, SIO_ADAPTER_MESSAGE_MAX);

	(void)state;
	random_bytes(big, SIO_ADAPTER_MESSAGE_MAX);
	subscribe(1, "a");
	snprintf(want, sizeof(want), "0:#%d,%08x 0: 0:#%d,%08x 0: ", SIO_ADAPTER_MESSAGE_MAX, checksum(message),
		 SIO_ADAPTER_MESSAGE_MAX, checksum(message));
	assert_int_equal(act(0, PUBLISH, SIO_LIT("a"), message, 1), SIO_OK);
	assert_int_equal(act(0, PUBLISH, SIO_LIT("a"), sio_bytes("", 0), 1), SIO_OK);
	pump();
	settle();
	assert_int_equal(act(0, SEND, sio_str(nodes[1].id), message, 1), SIO_OK);
	assert_int_equal(act(0, SEND, sio_str(nodes[1].id), sio_bytes("", 0), 1), SIO_OK);
	free(big); /* whoever keeps it made a copy */
	expect(1, want);
}

/* ---- of the memory adapter alone ------------------------------------------------------------- */

static void fill(const char *message, size_t n, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		assert_int_equal(act(0, PUBLISH, SIO_LIT("a"), sio_bytes(message, n), 1), SIO_OK);
}

/* Nothing runs meanwhile: the inbox fills, and refuses; what is in it is not lost. */
static void an_inbox_is_bounded(void **state)
{
	enum { BIG = SIO_BUS_BYTES_MAX / 8 };
	char *big = calloc(1, BIG);

	(void)state;
	subscribe(1, "a");
	fill("m", 1, SIO_BUS_MESSAGES_MAX);
	assert_int_equal(act(0, PUBLISH, SIO_LIT("a"), SIO_LIT("m"), 1), SIO_ERR_BUSY);
	assert_int_equal(send_to(0, nodes[1].id, "m"), SIO_ERR_BUSY);
	assert_int_equal(send_to(0, nodes[2].id, "m"), SIO_OK); /* others have their own */
	close_node(2); /* an end finds a place */
	wait_for_messages(1, SIO_BUS_MESSAGES_MAX);
	assert_int_equal(nodes[1].messages_n, SIO_BUS_MESSAGES_MAX);
	assert_non_null(memmem(nodes[1].heard.p, nodes[1].heard.n, "2:gone", 6));
	fill(big, BIG, 8);
	assert_int_equal(act(0, PUBLISH, SIO_LIT("a"), SIO_LIT("m"), 1), SIO_ERR_BUSY);
	buf_clear(&nodes[1].heard);
	nodes[1].messages_n = 0;
	wait_for_messages(1, 8);
	assert_int_equal(nodes[1].messages_n, 8);
	publish(0, "a", "m");
	free(big);
}

/* The bus may go before its nodes, and a node that was never opened may be closed. */
static void the_bus_goes_with_its_last_node(void **state)
{
	const struct sio_adapter_ops *ops;
	void *self;

	(void)state;
	assert_int_equal(bus_node(bus, &ops, &self), SIO_OK);
	ops->close(self);
	sio_bus_memory_free(bus);
	bus = NULL; /* for the end */
	subscribe(1, "a");
	publish(0, "a", "x");
	expect(1, "0:x ");
	sio_bus_memory_free(NULL);
}

#define ON(f, i, name) { name ": " #f, f, setup, teardown, (void *)(uintptr_t)&kinds[i] }
#define EACH(f)                                                                                      \
	ON(f, 0, "memory"), ON(f, 1, "memory, a thread each"), ON(f, 2, "redis"), ON(f, 3, "redis, a thread each"), \
		ON(f, 4, "redis, sharded")

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(subscribers_hear_the_others),
		EACH(nobody_else_hears),
		EACH(twice_is_once),
		EACH(unsubscribing_takes_effect),
		EACH(channels_of_any_bytes),
		EACH(to_one_node),
		EACH(the_others_are_known),
		EACH(a_node_goes_behind_its_last_message),
		EACH(closing_with_messages_under_way),
		EACH(closing_from_inside_deliver),
		EACH(publishing_from_inside_deliver),
		EACH(ten_thousand_in_order),
		EACH(large_and_empty_messages),
		ON(an_inbox_is_bounded, 0, "memory"),
		ON(the_bus_goes_with_its_last_node, 0, "memory"),
	};

	return cmocka_run_group_tests(tests, NULL, stop_servers);
}
