/* fake_cluster.h -- several hubs of fake_hub.h as nodes of one bus in memory: a cluster in
 * one thread and in simulated time.
 *
 * A node's inbox is handed in when the test says so: cluster_step one node's, cluster_turn
 * everybody's until nothing is under way.  A node that is stuck takes nothing.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_LIB_FAKE_CLUSTER_H
#define TESTS_LIB_FAKE_CLUSTER_H

#include "bus/memory.h"
#include "hub/cluster.h"
#include "lib/fake_hub.h"

enum { CLUSTER_NODES = 4, CLUSTER_POSTS = 16, CLUSTER_TICK_MS = 16 };

struct fake_node {
	struct sio_server *server;
	struct {
		sio_post_fn *fn;
		void *arg;
	} posts[CLUSTER_POSTS];
	unsigned posts_n;
	bool is_stuck;
};

static struct fake_node cluster[CLUSTER_NODES];
static unsigned cluster_n;
static struct sio_bus *cluster_bus;

static int cluster_post(struct sio_server *server, sio_post_fn *fn, void *arg)
{
	struct fake_node *node = cluster;

	while (node->server != server)
		node++;
	assert_true(node->posts_n < CLUSTER_POSTS); /* a bus wakes a node once until it wakes */
	node->posts[node->posts_n].fn = fn;
	node->posts[node->posts_n++].arg = arg;
	return SIO_OK;
}

/* Node i takes what is in its inbox now.  Was there anything? */
static inline bool cluster_step(unsigned i)
{
	struct fake_node *node = &cluster[i];
	struct fake_node taken = *node;

	if (node->is_stuck || node->posts_n == 0)
		return false;
	node->posts_n = 0;
	for (unsigned k = 0; k < taken.posts_n; k++)
		taken.posts[k].fn(taken.posts[k].arg);
	return true;
}

static inline void cluster_turn(void)
{
	for (bool is_busy = true; is_busy;) {
		is_busy = false;
		for (unsigned i = 0; i < cluster_n; i++) {
			is_busy |= cluster_step(i);
			if (cluster[i].server)
				fake_turn(cluster[i].server->fake);
		}
	}
}

/* Let time pass on all nodes. */
static inline void cluster_run(uint64_t ms)
{
	for (uint64_t at = 0; at < ms; at += CLUSTER_TICK_MS) {
		for (unsigned i = 0; i < cluster_n; i++)
			if (cluster[i].server)
				fake_run(cluster[i].server->fake, CLUSTER_TICK_MS);
		cluster_turn();
	}
}

/* A server on the bus, as node i. */
static inline void cluster_begin(unsigned i)
{
	const struct sio_adapter_ops *ops;
	void *self;

	cluster[i] = (struct fake_node){ .server = hub_start(NULL, NULL) };
	assert_int_equal(bus_node(cluster_bus, &ops, &self), SIO_OK);
	assert_int_equal(sio_server_set_adapter(cluster[i].server, ops, self), SIO_OK);
}

static inline void cluster_start(unsigned n)
{
	cluster_n = n;
	cluster_bus = bus_new(cluster_post);
	for (unsigned i = 0; i < n; i++)
		cluster_begin(i);
}

/* Node i ends. */
static inline void cluster_end(unsigned i)
{
	struct sio_server *server = cluster[i].server;

	hub_check(server);
	hub_stop(server);
	cluster[i].server = NULL;
	cluster[i].is_stuck = false;
	cluster_step(i); /* a post that was taken is called, whatever has ended meanwhile */
}

static inline void cluster_stop(void)
{
	for (unsigned i = 0; i < cluster_n; i++)
		if (cluster[i].server)
			cluster_end(i);
	for (unsigned i = 0; i < cluster_n; i++)
		cluster_step(i);
	sio_bus_memory_free(cluster_bus);
	buf_fini(&heard);
}

/* ---- words for tests ------------------------------------------------------------------ */

/* Messages that node i has heard since the last call. */
static inline unsigned cluster_heard_n(unsigned i)
{
	static uint64_t before[CLUSTER_NODES];
	uint64_t now = cluster[i].server->hub.adapter_received;
	unsigned n = (unsigned)(now < before[i] ? now : now - before[i]);

	before[i] = now;
	return n;
}

/* A client of node i in a room (NULL: in none), all that happened is over. */
static inline struct fake_client *cluster_client(unsigned i, const char *room)
{
	struct fake_client *c = hub_connected(cluster[i].server);

	if (room)
		assert_int_equal(sio_room_join(hub_socket(c), sio_str(room)), SIO_OK);
	cluster_turn();
	buf_clear(&c->log);
	return c;
}

#endif
