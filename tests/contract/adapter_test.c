/* adapter_test.c -- what <sio/adapter.h> demands of every adapter: one table of checks, run
 * over each kind there is.  The nodes, and the kinds, are in adapter_nodes.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "contract/adapter_nodes.h"

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
