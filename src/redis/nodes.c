/* nodes.c -- see nodes.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "redis/nodes.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"

void nodes_init(struct nodes *nodes)
{
	*nodes = (struct nodes){ .first = NULL };
	map_init(&nodes->by_wire);
}

static void unlink_node(struct node *node)
{
	*node->prev = node->next;
	if (node->next)
		node->next->prev = node->prev;
}

static void link_first(struct nodes *nodes, struct node *node)
{
	node->next = nodes->first;
	node->prev = &nodes->first;
	if (node->next)
		node->next->prev = &node->next;
	nodes->first = node;
}

static void forget(struct nodes *nodes, struct node *node)
{
	unlink_node(node);
	map_del(&nodes->by_wire, &node->by_wire);
	nodes->n--;
	nodes->live_n -= node->is_live;
	free(node);
}

void nodes_fini(struct nodes *nodes)
{
	while (nodes->first)
		forget(nodes, nodes->first);
	map_fini(&nodes->by_wire);
}

/* ---- hearing ------------------------------------------------------------------------- */

static bool is_fresh(uint64_t counter, uint64_t wall_us)
{
	uint64_t apart = counter > wall_us ? counter - wall_us : wall_us - counter;

	return apart <= SIO_REDIS_SKEW_S * 1000000ULL;
}

/* NULL: full, or no memory.  One that is gone keeps its place until its time: what it had said
 * could be said again. */
static struct node *node_new(struct nodes *nodes, sio_slice wire)
{
	struct node *node;

	if (nodes->n >= SIO_REDIS_NODES_MAX || !(node = calloc(1, sizeof(*node))))
		return NULL;
	memcpy(node->wire, wire.p, SIO_NODE_ID_LEN);
	memcpy(node->id, wire.p, SIO_NODE_ID_LEN);
	if (map_put(&nodes->by_wire, &node->by_wire, sio_bytes(node->wire, SIO_NODE_ID_LEN)) < 0) {
		free(node);
		return NULL;
	}
	link_first(nodes, node);
	nodes->n++;
	node->is_live = true;
	nodes->live_n++;
	return node;
}

static void revive(struct nodes *nodes, struct node *node)
{
	char id[RANDOM_ID_LEN + 1];

	_Static_assert(RANDOM_ID_LEN == SIO_NODE_ID_LEN, "ids are of one kind");
	random_id(id);
	memcpy(node->id, id, SIO_NODE_ID_LEN);
	node->is_live = true;
	nodes->live_n++;
}

enum nodes_verdict nodes_hear(struct nodes *nodes, sio_slice sender, uint64_t counter, uint64_t now_ms, uint64_t wall_us,
			      struct node **out)
{
	struct map_node *found = map_get(&nodes->by_wire, sender);
	struct node *node = found ? MAP_OWNER(found, struct node, by_wire) : NULL;

	if (node && counter <= node->counter)
		return NODES_REPEATED;
	if (!node && !is_fresh(counter, wall_us))
		return NODES_STALE;
	if (!node && !(node = node_new(nodes, sender)))
		return NODES_FULL;
	if (!node->is_live)
		revive(nodes, node);
	node->counter = counter;
	node->heard_ms = now_ms;
	unlink_node(node);
	link_first(nodes, node);
	*out = node;
	return NODES_OK;
}

/* ---- silence --------------------------------------------------------------------------- */

void nodes_leave(struct nodes *nodes, struct node *node)
{
	nodes->live_n -= node->is_live;
	node->is_live = false;
}

struct node *nodes_silent(struct nodes *nodes, uint64_t now_ms, uint32_t lease_ms, uint32_t every_ms)
{
	for (struct node *node = nodes->first, *next; node; node = next) {
		next = node->next;
		if (node->is_live && node->heard_ms + lease_ms < now_ms + every_ms)
			return node;
		if (!node->is_live && node->heard_ms + NODES_KEEP_MS <= now_ms)
			forget(nodes, node);
	}
	return NULL;
}

void nodes_refresh(struct nodes *nodes, uint64_t now_ms)
{
	for (struct node *node = nodes->first; node; node = node->next)
		if (node->is_live)
			node->heard_ms = now_ms;
}

struct node *nodes_find(const struct nodes *nodes, sio_slice id)
{
	for (struct node *node = nodes->first; node; node = node->next)
		if (node->is_live && sio_slice_eq(sio_bytes(node->id, SIO_NODE_ID_LEN), id))
			return node;
	return NULL;
}

void nodes_each(const struct nodes *nodes, sio_node_fn *fn, void *arg)
{
	for (const struct node *node = nodes->first; node; node = node->next)
		if (node->is_live)
			fn(sio_bytes(node->id, SIO_NODE_ID_LEN), arg);
}

bool nodes_id_of(const struct nodes *nodes, sio_slice wire, char id[SIO_NODE_ID_LEN])
{
	struct map_node *found = map_get(&nodes->by_wire, wire);
	const struct node *node = found ? MAP_OWNER(found, struct node, by_wire) : NULL;

	if (!node || !node->is_live)
		return false;
	memcpy(id, node->id, SIO_NODE_ID_LEN);
	return true;
}
