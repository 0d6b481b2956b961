/* inquiry.c -- a question to the other nodes: who was asked, who has not finished answering.
 *
 * A node moves
 *
 *	SILENT -> TELLING -> DONE        by what it says (far.c, fetch.c)
 *	SILENT, TELLING -> GONE          when it has gone, or could not be reached
 *
 * Whose nodes are all done or gone has nothing to wait for; its owner, a poll or a fetch,
 * ends it, at its time-out at the latest.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include "hub/cluster.h"

static void add_node(sio_slice node, void *nodes)
{
	if (node.n == SIO_NODE_ID_LEN)
		buf_slice(nodes, node);
}

static sio_slice key_of(const uint64_t *id)
{
	return sio_bytes(id, sizeof(*id));
}

static struct inquiry *inquiry_of(struct cluster *c, const struct buf *ids)
{
	uint32_t n = (uint32_t)(ids->n / SIO_NODE_ID_LEN);
	struct inquiry *q = calloc(1, sizeof(*q) + n * sizeof(q->nodes[0]));

	if (!q)
		return NULL;
	*q = (struct inquiry){ .cluster = c, .id = c->next_id++, .nodes_n = n };
	for (uint32_t i = 0; i < n; i++)
		memcpy(q->nodes[i].id, ids->p + i * SIO_NODE_ID_LEN, SIO_NODE_ID_LEN);
	if (map_put(&c->inquiries, &q->by_id, key_of(&q->id)) == SIO_OK)
		return q;
	free(q);
	return NULL;
}

int inquiry_new(struct cluster *c, struct inquiry **out)
{
	struct buf ids = { 0 };
	bool is_alone;

	*out = NULL;
	if (!c || !c->is_open)
		return SIO_OK;
	c->ops->nodes(c->self, add_node, &ids);
	is_alone = !ids.failed && ids.n == 0;
	if (!ids.failed && !is_alone)
		*out = inquiry_of(c, &ids);
	buf_fini(&ids);
	return *out || is_alone ? SIO_OK : SIO_ERR_NOMEM;
}

void inquiry_free(struct inquiry *q)
{
	if (!q)
		return;
	map_del(&q->cluster->inquiries, &q->by_id);
	free(q);
}

long inquiry_send(struct inquiry *q, const struct cluster_message *m)
{
	sio_slice bytes;
	int err = cluster_encode(q->cluster, m, &bytes);
	long n = 0;

	for (uint32_t i = 0; i < q->nodes_n; i++) {
		struct inquiry_node *node = &q->nodes[i];
		if (err == SIO_OK && cluster_send_bytes(q->cluster, sio_bytes(node->id, SIO_NODE_ID_LEN), bytes) == SIO_OK)
			n++;
		else
			node->state = NODE_GONE;
	}
	return err < 0 ? err : n;
}

struct inquiry *inquiry_find(const struct cluster *c, uint64_t id)
{
	struct map_node *node = map_get(&c->inquiries, key_of(&id));

	return node ? MAP_OWNER(node, struct inquiry, by_id) : NULL;
}

struct inquiry_node *inquiry_node(struct inquiry *q, sio_slice id)
{
	for (uint32_t i = 0; i < q->nodes_n; i++)
		if (sio_slice_eq(sio_bytes(q->nodes[i].id, SIO_NODE_ID_LEN), id))
			return &q->nodes[i];
	return NULL;
}

size_t inquiry_open_n(const struct inquiry *q)
{
	size_t n = 0;

	for (uint32_t i = 0; i < q->nodes_n; i++) {
		if (q->nodes[i].state == NODE_SILENT)
			n++;
		else if (q->nodes[i].state == NODE_TELLING)
			n += q->poll ? q->nodes[i].open_n : 1;
	}
	return n;
}

bool inquiry_is_missing(const struct inquiry *q, const struct inquiry_node *node)
{
	/* A poll's node that has told its number has replied; its clients have not. */
	return node->state == NODE_SILENT || node->state == NODE_GONE || (node->state == NODE_TELLING && q->fetch);
}

size_t inquiry_missing_n(const struct inquiry *q)
{
	size_t n = 0;

	for (uint32_t i = 0; i < q->nodes_n; i++)
		n += inquiry_is_missing(q, &q->nodes[i]);
	return n;
}

/* ---- nodes that go ------------------------------------------------------------------- */

static void lose(struct inquiry *q, struct inquiry_node *node)
{
	if (node->state == NODE_DONE || node->state == NODE_GONE)
		return;
	if (q->poll)
		far_lost(q, node);
	else
		fetch_lost(q, node);
}

static void lose_all_of(struct cluster *c, uint64_t id, sio_slice gone)
{
	struct inquiry *q = inquiry_find(c, id);

	if (q && gone.n) {
		struct inquiry_node *node = inquiry_node(q, gone);
		if (node)
			lose(q, node);
		return;
	}
	/* The last loss ends the inquiry: look for it again after each. */
	for (uint32_t i = 0; (q = inquiry_find(c, id)) && i < q->nodes_n; i++)
		lose(q, &q->nodes[i]);
}

void inquiries_lose(struct cluster *c, sio_slice gone)
{
	struct buf ids = { 0 };
	uint64_t id;
	uint32_t i;

	/* Whoever hears of a loss may begin and end others: walk a copy of the ids. */
	for (struct map_node *node = map_first(&c->inquiries, &i); node; node = map_next(&c->inquiries, &i, node))
		buf_put(&ids, node->key, sizeof(id));
	for (size_t at = 0; at < ids.n; at += sizeof(id)) {
		memcpy(&id, ids.p + at, sizeof(id));
		lose_all_of(c, id, gone);
	}
	buf_fini(&ids);
}
