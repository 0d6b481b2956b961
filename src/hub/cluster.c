/* cluster.c -- the hub as a node: joining and leaving the others, messages going out.
 *
 * Knows the adapter and the form of messages.  Which channel something goes to is the
 * business of interest.c; what comes in, of deliver.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "hub/cluster.h"

#include <stdlib.h>

enum { OUT_KEPT = 65536 }; /* bytes of the buffer that stay between two messages */

/* ---- messages ---------------------------------------------------------------------- */

int cluster_encode(struct cluster *c, const struct cluster_message *m, sio_slice *out)
{
	int err;

	if (c->out.cap > OUT_KEPT)
		buf_fini(&c->out);
	buf_clear(&c->out);
	err = cluster_write(&c->out, m);
	*out = buf_peek(&c->out);
	if (err < 0)
		c->hub->adapter_failed++;
	return err;
}

static int count_sent(struct cluster *c, int err)
{
	if (err == SIO_OK)
		c->hub->adapter_sent++;
	else if (err != SIO_ERR_CLOSED)
		c->hub->adapter_failed++;
	return err;
}

static int publish(struct cluster *c, sio_slice channel, const struct cluster_message *m)
{
	sio_slice bytes;
	int err = c->is_open ? cluster_encode(c, m, &bytes) : SIO_ERR_CLOSED;

	return err < 0 ? err : count_sent(c, c->ops->publish(c->self, channel, bytes));
}

int cluster_tell(struct sio_namespace *nsp, sio_slice room, const struct cluster_message *m)
{
	const struct sio_target target = { .rooms = &room, .rooms_n = 1 };
	char channel[SIO_CHANNEL_MAX];

	return publish(nsp->hub->cluster, interest_channel(nsp, &target, channel), m);
}

int cluster_send_bytes(struct cluster *c, sio_slice node, sio_slice bytes)
{
	return c->is_open ? count_sent(c, c->ops->send(c->self, node, bytes)) : SIO_ERR_CLOSED;
}

int cluster_send(struct cluster *c, sio_slice node, const struct cluster_message *m)
{
	sio_slice bytes;
	int err = c->is_open ? cluster_encode(c, m, &bytes) : SIO_ERR_CLOSED;

	return err < 0 ? err : cluster_send_bytes(c, node, bytes);
}

void cluster_emit(struct sio_namespace *nsp, const struct sio_target *target, sio_slice name,
		  const struct sio_args *args)
{
	char channel[SIO_CHANNEL_MAX];
	struct cluster_message m = {
		.type = CLUSTER_EMIT,
		.nsp = sio_str(nsp->name),
		.is_volatile = target->is_volatile,
		.latest_key = target->is_volatile ? target->latest_key : 0,
		.name = name,
	};

	cluster_set_target(&m, target);
	cluster_set_args(&m, args);
	publish(nsp->hub->cluster, interest_channel(nsp, target, channel), &m);
	(void)cluster_tell_neighbours(nsp, target, name, args);
}

int cluster_tell_neighbours(struct sio_namespace *nsp, const struct sio_target *target, sio_slice name,
			    const struct sio_args *args)
{
	struct cluster *c = nsp->hub->cluster;

	if (!c->is_open)
		return SIO_ERR_CLOSED;
	return c->ops->tell_neighbours ? c->ops->tell_neighbours(c->self, sio_str(nsp->name), target, name, args) : SIO_OK;
}

void cluster_move(struct sio_namespace *nsp, const struct sio_target *target, enum cluster_type type, sio_slice room)
{
	static const struct sio_target all = { 0 };
	char channel[SIO_CHANNEL_MAX];
	struct cluster_message m = { .type = type, .nsp = sio_str(nsp->name), .room = room };

	if (nsp->match)
		return;
	cluster_set_target(&m, target);
	/* On the namespace's channel, whoever is meant: so is for a while what is sent to the
	 * room, and one channel keeps its order. */
	publish(nsp->hub->cluster, interest_channel(nsp, &all, channel), &m);
	if (type == CLUSTER_JOIN)
		interest_joined(nsp, room);
}

void cluster_disconnect(struct sio_namespace *nsp, const struct sio_target *target, bool close_session)
{
	char channel[SIO_CHANNEL_MAX];
	struct cluster_message m = {
		.type = CLUSTER_DISCONNECT,
		.nsp = sio_str(nsp->name),
		.closes_session = close_session,
	};

	if (nsp->match)
		return;
	cluster_set_target(&m, target);
	publish(nsp->hub->cluster, interest_channel(nsp, target, channel), &m);
}

/* ---- life -------------------------------------------------------------------------------- */

int sio_server_set_adapter(struct sio_server *server, const struct sio_adapter_ops *ops, void *self)
{
	struct hub *hub = hub_of(server);
	struct cluster *c;
	int err;

	HUB_CHECK(hub);
	if (hub->cluster)
		return SIO_ERR_EXISTS;
	if (hub->sockets > 0 || hub->engine->sessions.n > 0)
		return SIO_ERR_INVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return SIO_ERR_NOMEM;
	*c = (struct cluster){ .hub = hub, .ops = ops, .self = self, .is_open = true, .next_id = 1 };
	random_id(c->node);
	map_init(&c->inquiries);
	interest_init(c);
	err = ops->open(self, server, sio_bytes(c->node, SIO_NODE_ID_LEN));
	if (err < 0) {
		free(c);
		return err;
	}
	hub->cluster = c;
	eio_engine_set_node(hub->engine, sio_bytes(c->node, SIO_NODE_ID_LEN));
	return SIO_OK;
}

struct search {
	sio_slice id;
	bool is_found;
};

static void look_at(sio_slice node, void *arg)
{
	struct search *search = arg;

	search->is_found |= sio_slice_eq(node, search->id);
}

bool cluster_find(struct cluster *c, sio_slice own_id, char out[SIO_NODE_ID_LEN])
{
	struct search search = { own_id, false };

	if (!c->is_open)
		return false;
	if (c->ops->find)
		return c->ops->find(c->self, own_id, out);
	c->ops->nodes(c->self, look_at, &search);
	memcpy(out, own_id.p, SIO_NODE_ID_LEN);
	return search.is_found;
}

int cluster_pass(struct cluster *c, sio_slice node, int fd, sio_slice bytes)
{
	if (!c->is_open)
		return SIO_ERR_CLOSED;
	return c->ops->pass ? c->ops->pass(c->self, node, fd, bytes) : SIO_ERR_NOENT;
}

void cluster_close(struct hub *hub)
{
	struct cluster *c = hub->cluster;

	if (!c || !c->is_open)
		return;
	c->is_open = false;
	wheel_del(&c->timer);
	c->ops->close(c->self);
	inquiries_lose(c, sio_bytes("", 0));
}

void cluster_fini(struct hub *hub)
{
	struct cluster *c = hub->cluster;

	if (!c)
		return;
	cluster_close(hub);
	interest_fini(c);
	map_fini(&c->inquiries);
	buf_fini(&c->out);
	free(c);
	hub->cluster = NULL;
}

/* ---- the application's view ------------------------------------------------------------------ */

static void count_one(sio_slice node, void *n)
{
	(void)node;
	++*(size_t *)n;
}

size_t sio_server_nodes_n(const struct sio_server *server)
{
	struct cluster *c = hub_of(server)->cluster;
	size_t n = 1;

	if (c && c->is_open)
		c->ops->nodes(c->self, count_one, &n);
	return n;
}

static void note_node(sio_slice node, void *ids)
{
	if (node.n == SIO_NODE_ID_LEN)
		buf_slice(ids, node);
}

/* fn may send, which an adapter does not allow while it lists its nodes: walk a copy. */
void sio_server_each_node(const struct sio_server *server, sio_server_node_fn *fn, void *arg)
{
	struct cluster *c = hub_of(server)->cluster;
	struct buf ids = { 0 };

	if (!c || !c->is_open)
		return;
	c->ops->nodes(c->self, note_node, &ids);
	for (size_t at = 0; at < ids.n; at += SIO_NODE_ID_LEN)
		fn(sio_bytes(ids.p + at, SIO_NODE_ID_LEN), arg);
	buf_fini(&ids);
}

void sio_server_on_node_gone(struct sio_server *server, sio_server_node_fn *fn, void *arg)
{
	struct hub *hub = hub_of(server);

	HUB_CHECK(hub);
	hub->on_node_gone = fn;
	hub->node_gone_arg = arg;
}

sio_slice sio_server_node(const struct sio_server *server)
{
	struct cluster *c = hub_of(server)->cluster;

	return c ? sio_bytes(c->node, SIO_NODE_ID_LEN) : sio_bytes("", 0);
}
