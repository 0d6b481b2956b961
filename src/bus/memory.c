/* memory.c -- see memory.h: who listens to what, and an inbox for each node.
 *
 * One lock guards it all.  It is held to look and to put something into an inbox; never
 * while a message is handed in.  The first thing that comes into an empty inbox wakes its
 * server; on its own thread the server takes the whole inbox and hands in what is there,
 * one after the other.  So what one node sends reaches another in order, over all channels.
 *
 * A message is copied once, into a counted parcel that all receivers share.
 *
 * Knows threads; refuses to know what is in a message.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "bus/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/map.h"

struct parcel {
	atomic_uint refs;
	bool is_end;                  /* no message: its sender is gone */
	int fd;                       /* of a connection that is handed over; -1: a message */
	char from[SIO_NODE_ID_LEN];
	size_t n;
	char bytes[];
};

struct inbox {
	struct parcel **at;
	uint32_t n, cap;
	size_t bytes;
};

struct node {
	struct sio_bus *bus;          /* counted */
	struct node *next;            /* of the bus, while it is open */
	struct sio_server *server;
	char id[SIO_NODE_ID_LEN];
	uint32_t refs;                /* its server's, and that of a wake-up under way */
	bool is_open;                 /* written by its own thread, under the lock */
	bool is_woken;                /* a wake-up is under way */
	struct inbox in;
	struct inbox taken;           /* being handed in; of its own thread alone */
};

struct channel {
	struct map_node by_name;
	struct node **nodes;          /* who listens */
	uint32_t n, cap;
	char name[];
};

struct sio_bus {
	pthread_mutex_t lock;
	bus_post_fn *post;
	bus_take_fn *take;            /* NULL: nobody takes connections */
	struct map channels;
	struct node *nodes;           /* open ones */
	uint32_t refs;                /* its maker's and its nodes' */
};

/* ---- memory ----------------------------------------------------------------------- */

struct sio_bus *bus_new(bus_post_fn *post)
{
	struct sio_bus *bus = calloc(1, sizeof(*bus));

	if (!bus)
		return NULL;
	pthread_mutex_init(&bus->lock, NULL);
	bus->post = post;
	bus->refs = 1;
	map_init(&bus->channels);
	return bus;
}

void bus_set_take(struct sio_bus *bus, bus_take_fn *take)
{
	bus->take = take;
}

/* Gives back the lock, too. */
static void bus_unref(struct sio_bus *bus)
{
	bool is_last = --bus->refs == 0;

	pthread_mutex_unlock(&bus->lock);
	if (!is_last)
		return;
	map_fini(&bus->channels);
	pthread_mutex_destroy(&bus->lock);
	free(bus);
}

void sio_bus_memory_free(struct sio_bus *bus)
{
	if (!bus)
		return;
	pthread_mutex_lock(&bus->lock);
	bus_unref(bus);
}

static struct parcel *parcel_new(const struct node *from, sio_slice message, bool is_end)
{
	struct parcel *p = malloc(sizeof(*p) + message.n);

	if (!p)
		return NULL;
	atomic_init(&p->refs, 1);
	p->is_end = is_end;
	p->fd = -1;
	memcpy(p->from, from->id, SIO_NODE_ID_LEN);
	p->n = message.n;
	if (message.n)
		memcpy(p->bytes, message.p, message.n);
	return p;
}

static void parcel_unref(struct parcel *p)
{
	if (!p || atomic_fetch_sub(&p->refs, 1) > 1)
		return;
	if (p->fd >= 0) /* its server has ended */
		close(p->fd);
	free(p);
}

static void inbox_clear(struct inbox *in)
{
	for (uint32_t i = 0; i < in->n; i++)
		parcel_unref(in->at[i]);
	in->n = 0;
	in->bytes = 0;
}

/* Gives back the lock, too. */
static void node_unref(struct node *node)
{
	struct sio_bus *bus = node->bus;

	if (--node->refs > 0) {
		pthread_mutex_unlock(&bus->lock);
		return;
	}
	free(node->in.at);
	free(node->taken.at);
	free(node);
	bus_unref(bus);
}

/* ---- handing in, on the receiver's thread ------------------------------------------- */

static void on_wake(void *arg)
{
	struct node *node = arg;
	struct inbox empty = node->taken;

	pthread_mutex_lock(&node->bus->lock);
	node->taken = node->in;
	node->in = empty;
	node->is_woken = false;
	pthread_mutex_unlock(&node->bus->lock);
	for (uint32_t i = 0; i < node->taken.n && node->is_open; i++) {
		struct parcel *p = node->taken.at[i];
		if (p->fd >= 0) {
			int fd = p->fd;
			p->fd = -1;
			node->bus->take(node->server, fd, sio_bytes(p->bytes, p->n));
		} else if (p->is_end)
			sio_adapter_node_gone(node->server, sio_bytes(p->from, SIO_NODE_ID_LEN));
		else
			sio_adapter_deliver(node->server, sio_bytes(p->from, SIO_NODE_ID_LEN), sio_bytes(p->bytes, p->n));
	}
	inbox_clear(&node->taken);
	pthread_mutex_lock(&node->bus->lock);
	node_unref(node);
}

/* ---- putting in, under the lock ------------------------------------------------------- */

static bool inbox_reserve(struct inbox *in)
{
	uint32_t cap = in->cap ? in->cap * 2 : 16;
	struct parcel **grown;

	if (in->n < in->cap)
		return true;
	grown = realloc(in->at, cap * sizeof(struct parcel *));
	if (!grown)
		return false;
	in->at = grown;
	in->cap = cap;
	return true;
}

static bool wake(struct node *node)
{
	if (node->is_woken)
		return true;
	if (node->bus->post(node->server, on_wake, node) < 0)
		return false;
	node->is_woken = true;
	node->refs++;
	return true;
}

static int put(struct node *to, struct parcel *p)
{
	struct inbox *in = &to->in;

	if (in->n >= SIO_BUS_MESSAGES_MAX || in->bytes + p->n > SIO_BUS_BYTES_MAX || !inbox_reserve(in) || !wake(to))
		return SIO_ERR_BUSY;
	atomic_fetch_add(&p->refs, 1);
	in->at[in->n++] = p;
	in->bytes += p->n;
	return SIO_OK;
}

/* That a node is gone has no sender who could try again: it finds a place, and if its
 * server cannot be woken now it comes with the next message. */
static void put_end(struct node *to, struct parcel *p)
{
	if (!inbox_reserve(&to->in))
		return;
	atomic_fetch_add(&p->refs, 1);
	to->in.at[to->in.n++] = p;
	wake(to);
}

/* ---- channels, under the lock --------------------------------------------------------- */

static struct channel *channel_find(const struct sio_bus *bus, sio_slice name)
{
	struct map_node *node = map_get(&bus->channels, name);

	return node ? MAP_OWNER(node, struct channel, by_name) : NULL;
}

static struct channel *channel_new(struct sio_bus *bus, sio_slice name)
{
	struct channel *ch = calloc(1, sizeof(*ch) + name.n);

	if (!ch)
		return NULL;
	if (name.n)
		memcpy(ch->name, name.p, name.n);
	if (map_put(&bus->channels, &ch->by_name, sio_bytes(ch->name, name.n)) == SIO_OK)
		return ch;
	free(ch);
	return NULL;
}

static void channel_drop_if_empty(struct sio_bus *bus, struct channel *ch)
{
	if (ch->n > 0)
		return;
	map_del(&bus->channels, &ch->by_name);
	free(ch->nodes);
	free(ch);
}

static bool channel_add(struct channel *ch, struct node *node)
{
	for (uint32_t i = 0; i < ch->n; i++)
		if (ch->nodes[i] == node)
			return true;
	if (ch->n == ch->cap) {
		uint32_t cap = ch->cap ? ch->cap * 2 : 2;
		struct node **grown = realloc(ch->nodes, cap * sizeof(struct node *));
		if (!grown)
			return false;
		ch->nodes = grown;
		ch->cap = cap;
	}
	ch->nodes[ch->n++] = node;
	return true;
}

static void channel_del(struct sio_bus *bus, struct channel *ch, const struct node *node)
{
	for (uint32_t i = 0; i < ch->n; i++)
		if (ch->nodes[i] == node)
			ch->nodes[i--] = ch->nodes[--ch->n];
	channel_drop_if_empty(bus, ch);
}

/* ---- the adapter ------------------------------------------------------------------------ */

static int node_open(void *self, struct sio_server *server, sio_slice id)
{
	struct node *node = self;

	node->server = server;
	memcpy(node->id, id.p, SIO_NODE_ID_LEN);
	pthread_mutex_lock(&node->bus->lock);
	node->is_open = true;
	node->next = node->bus->nodes;
	node->bus->nodes = node;
	pthread_mutex_unlock(&node->bus->lock);
	return SIO_OK;
}

static int node_subscribe(void *self, sio_slice name)
{
	struct node *node = self;
	struct channel *ch;
	bool is_added = false;

	pthread_mutex_lock(&node->bus->lock);
	ch = channel_find(node->bus, name);
	if (!ch)
		ch = channel_new(node->bus, name);
	if (ch) {
		is_added = channel_add(ch, node);
		channel_drop_if_empty(node->bus, ch);
	}
	pthread_mutex_unlock(&node->bus->lock);
	return is_added ? SIO_OK : SIO_ERR_NOMEM;
}

static void node_unsubscribe(void *self, sio_slice name)
{
	struct node *node = self;
	struct channel *ch;

	pthread_mutex_lock(&node->bus->lock);
	ch = channel_find(node->bus, name);
	if (ch)
		channel_del(node->bus, ch, node);
	pthread_mutex_unlock(&node->bus->lock);
}

static int node_publish(void *self, sio_slice name, sio_slice message)
{
	struct node *node = self;
	struct parcel *p = NULL;
	struct channel *ch;
	int err = SIO_OK;

	pthread_mutex_lock(&node->bus->lock);
	ch = channel_find(node->bus, name);
	for (uint32_t i = 0; ch && i < ch->n; i++) {
		if (ch->nodes[i] == node)
			continue;
		if (!p && !(p = parcel_new(node, message, false))) {
			err = SIO_ERR_BUSY;
			break;
		}
		if (put(ch->nodes[i], p) < 0)
			err = SIO_ERR_BUSY;
	}
	pthread_mutex_unlock(&node->bus->lock);
	parcel_unref(p);
	return err;
}

static int node_send(void *self, sio_slice id, sio_slice message)
{
	struct node *node = self, *to;
	struct parcel *p = parcel_new(node, message, false);
	int err = SIO_ERR_NOENT;

	if (!p)
		return SIO_ERR_BUSY;
	pthread_mutex_lock(&node->bus->lock);
	for (to = node->bus->nodes; to && err == SIO_ERR_NOENT; to = to->next)
		if (to != node && sio_slice_eq(sio_bytes(to->id, SIO_NODE_ID_LEN), id))
			err = put(to, p);
	pthread_mutex_unlock(&node->bus->lock);
	parcel_unref(p);
	return err;
}

static int node_pass(void *self, sio_slice id, int fd, sio_slice bytes)
{
	struct node *node = self, *to;
	struct parcel *p = node->bus->take ? parcel_new(node, bytes, false) : NULL;
	int err = SIO_ERR_NOENT;

	if (!p)
		return node->bus->take ? SIO_ERR_BUSY : SIO_ERR_NOENT;
	p->fd = fd;
	pthread_mutex_lock(&node->bus->lock);
	for (to = node->bus->nodes; to && err == SIO_ERR_NOENT; to = to->next)
		if (to != node && sio_slice_eq(sio_bytes(to->id, SIO_NODE_ID_LEN), id))
			err = put(to, p);
	if (err < 0)
		p->fd = -1; /* the caller's still */
	pthread_mutex_unlock(&node->bus->lock);
	parcel_unref(p);
	return err;
}

static void node_nodes(void *self, sio_node_fn *fn, void *arg)
{
	struct node *node = self;

	pthread_mutex_lock(&node->bus->lock);
	for (const struct node *n = node->bus->nodes; n; n = n->next)
		if (n != node)
			fn(sio_bytes(n->id, SIO_NODE_ID_LEN), arg);
	pthread_mutex_unlock(&node->bus->lock);
}

/* Off the bus, with its subscriptions and what has come for it. */
static void take_off(struct node *node)
{
	struct sio_bus *bus = node->bus;
	struct node **at = &bus->nodes;
	uint32_t i;

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	for (struct map_node *m = map_first(&bus->channels, &i), *next; m; m = next) {
		next = map_next(&bus->channels, &i, m);
		channel_del(bus, MAP_OWNER(m, struct channel, by_name), node);
	}
	inbox_clear(&node->in);
	node->is_open = false;
}

static void node_close(void *self)
{
	struct node *node = self;
	struct parcel *end = parcel_new(node, sio_bytes("", 0), true);

	pthread_mutex_lock(&node->bus->lock);
	if (node->is_open) {
		take_off(node);
		for (struct node *to = node->bus->nodes; end && to; to = to->next)
			put_end(to, end);
	}
	node_unref(node);
	parcel_unref(end);
}

static const struct sio_adapter_ops node_ops = {
	.open = node_open,
	.subscribe = node_subscribe,
	.unsubscribe = node_unsubscribe,
	.publish = node_publish,
	.send = node_send,
	.nodes = node_nodes,
	.close = node_close,
	.pass = node_pass,
};

int bus_node(struct sio_bus *bus, const struct sio_adapter_ops **ops, void **self)
{
	struct node *node = calloc(1, sizeof(*node));

	if (!node)
		return SIO_ERR_NOMEM;
	node->bus = bus;
	node->refs = 1;
	pthread_mutex_lock(&bus->lock);
	bus->refs++;
	pthread_mutex_unlock(&bus->lock);
	*ops = &node_ops;
	*self = node;
	return SIO_OK;
}
