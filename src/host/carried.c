/* carried.c -- the owner's side: requests for our sessions that reached another node, and
 * the whole of what carry.c and this file have in common.
 *
 * To everything above, a carried request is a connection like any other.  Here its bytes are
 * taken from messages and put into messages.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include "host/host.h"

enum { KEY_LEN = SIO_NODE_ID_LEN + 8 };

struct carried {
	struct map_node by_key;
	struct sio_server *server;
	struct carried *next_dirty;    /* or the next of the dead */
	struct net_far far;
	struct carry_stream stream;
	uint64_t id;
	char key[KEY_LEN];             /* the carrier, as the adapter knows it now, and its id */
	bool is_dirty;
	bool is_lost;                  /* the carrier is gone, or cannot be heard: to be ended at the flush */
	bool is_told;                  /* the carrier is there, and is told so */
	bool is_dead, is_buried;       /* as of a carriage */
	size_t host_n;
	char host[];
};

static sio_slice carrier_of(const struct carried *k)
{
	return sio_bytes(k->key, SIO_NODE_ID_LEN);
}

static void make_key(char key[KEY_LEN], sio_slice from, uint64_t id)
{
	memcpy(key, from.p, SIO_NODE_ID_LEN);
	memcpy(key + SIO_NODE_ID_LEN, &id, sizeof(id));
}

static struct carried *find(const struct sio_server *server, sio_slice from, uint64_t id)
{
	char key[KEY_LEN];
	struct map_node *found;

	make_key(key, from, id);
	found = map_get(&server->carry.carried, sio_bytes(key, KEY_LEN));
	return found ? MAP_OWNER(found, struct carried, by_key) : NULL;
}

void carried_view(const struct net_far *far, struct proxy_view *view)
{
	const struct carried *k = MAP_OWNER(far, struct carried, far);

	memcpy(view->address, far->address, sizeof(far->address));
	view->is_secure = far->is_secure;
	view->host = sio_bytes(k->host, k->host_n);
}

/* ---- life ---------------------------------------------------------------------------- */

static void mark_dirty(struct carried *k)
{
	struct carry *carry = &k->server->carry;

	if (k->is_dirty)
		return;
	k->is_dirty = true;
	k->next_dirty = carry->dirty_carried;
	carry->dirty_carried = k;
}

/* The carrier says nothing more that counts; the memory goes at the flush. */
static void die(struct carried *k)
{
	if (k->is_dead)
		return;
	k->is_dead = true;
	map_del(&k->server->carry.carried, &k->by_key);
	mark_dirty(k);
}

static void carried_free(struct carried *k)
{
	carry_stream_fini(&k->stream);
	free(k);
}

/* Both sides are through with it: nothing is told. */
static void cut(struct carried *k)
{
	k->stream.is_ended = true;
	die(k);
	if (k->far.conn)
		net_far_cut(k->far.conn);
}

/* ---- what the connection says --------------------------------------------------------- */

static ssize_t on_write(struct net_far *far, const struct iovec *iov, int n)
{
	struct carried *k = MAP_OWNER(far, struct carried, far);
	size_t waiting = carry_stream_waiting(&k->stream), room = waiting < CARRY_WINDOW ? CARRY_WINDOW - waiting : 0, sent = 0;

	for (int i = 0; i < n && room > 0; i++) {
		size_t part = iov[i].iov_len < room ? iov[i].iov_len : room;
		buf_put(&k->stream.out, iov[i].iov_base, part);
		sent += part;
		room -= part;
	}
	mark_dirty(k);
	return k->stream.out.failed ? -1 : (ssize_t)sent;
}

static void on_reading(struct net_far *far)
{
	struct carried *k = MAP_OWNER(far, struct carried, far);

	carry_stream_taken(&k->stream);
	mark_dirty(k);
}

static void on_ended(struct net_far *far, enum net_far_end how)
{
	static const uint16_t ends[] = { [NET_FAR_DONE] = CARRY_DONE, [NET_FAR_CLOSE] = CARRY_CLOSE, [NET_FAR_CUT] = CARRY_CUT };
	struct carried *k = MAP_OWNER(far, struct carried, far);

	k->stream.end = ends[how];
	mark_dirty(k);
}

static const struct net_far_ops far_ops = { on_write, on_reading, on_ended };

/* ---- what the carrier says ---------------------------------------------------------------- */

static void say(struct sio_server *server, sio_slice to, uint64_t id, uint16_t end)
{
	const struct cluster_message m = { .type = CLUSTER_CARRY_BACK, .id = id, .end = end };

	(void)cluster_send(server->hub.cluster, to, &m);
}

static struct carried *carried_new(struct sio_server *server, sio_slice from, const struct cluster_message *m)
{
	struct carried *k = calloc(1, sizeof(*k) + m->host.n);

	if (!k)
		return NULL;
	k->server = server;
	k->id = m->id;
	make_key(k->key, from, m->id);
	k->far = (struct net_far){ .ops = &far_ops, .is_secure = m->is_secure };
	memcpy(k->far.address, m->address.p, m->address.n);
	k->host_n = m->host.n;
	if (m->host.n)
		memcpy(k->host, m->host.p, m->host.n);
	if (map_put(&server->carry.carried, &k->by_key, sio_bytes(k->key, KEY_LEN)) < 0) {
		free(k);
		return NULL;
	}
	if (net_far_open(server->net, &k->far) < 0) {
		map_del(&server->carry.carried, &k->by_key);
		free(k);
		return NULL;
	}
	server->carry.in_total++;
	return k;
}

/* The next bytes of the client, and how they end. */
static int hear(struct carried *k, const struct cluster_message *m)
{
	if (carry_stream_hear(&k->stream, m) < 0) {
		say(k->server, carrier_of(k), k->id, CARRY_CUT);
		cut(k);
		return SIO_ERR_PROTO;
	}
	if (m->taken && k->far.conn)
		net_far_writable(k->far.conn);
	if (m->bytes.n && k->far.conn)
		net_far_feed(k->far.conn, m->bytes.p, m->bytes.n);
	if (!k->far.conn || net_far_is_reading(k->far.conn))
		carry_stream_taken(&k->stream);
	mark_dirty(k);
	if (m->end == CARRY_CUT)
		cut(k);
	else if (m->end >= CARRY_STATUS_MIN && k->far.conn)
		net_far_refuse(k->far.conn, m->end);
	return SIO_OK;
}

static int on_begin(struct sio_server *server, sio_slice from, const struct cluster_message *m)
{
	struct carried *k;

	if (find(server, from, m->id))
		return SIO_ERR_PROTO;
	k = server->carry.carried.n < server->carry.max ? carried_new(server, from, m) : NULL;
	if (!k) {
		say(server, from, m->id, 503);
		return SIO_OK;
	}
	return hear(k, m);
}

static int on_more(struct sio_server *server, sio_slice from, const struct cluster_message *m)
{
	struct carried *k = find(server, from, m->id);

	if (k)
		return hear(k, m);
	server->carry.strays++; /* it has ended meanwhile */
	if (m->end == CARRY_MORE)
		say(server, from, m->id, CARRY_CUT);
	return SIO_OK;
}

int carried_on_message(struct sio_server *server, sio_slice from, const struct cluster_message *m)
{
	return m->type == CLUSTER_CARRY ? on_begin(server, from, m) : on_more(server, from, m);
}

static void lose(struct sio_server *server, sio_slice node, bool is_told)
{
	struct map *all = &server->carry.carried;
	uint32_t i;

	for (struct map_node *n = map_first(all, &i); n; n = map_next(all, &i, n)) {
		struct carried *k = MAP_OWNER(n, struct carried, by_key);
		if (node.n && !sio_slice_eq(carrier_of(k), node))
			continue;
		k->is_lost = true;
		k->is_told = is_told;
		mark_dirty(k);
	}
}

void carried_node_gone(struct sio_server *server, sio_slice node)
{
	lose(server, node, false);
}

void carried_lost(struct sio_server *server, sio_slice node)
{
	lose(server, node, true);
}

/* ---- sending -------------------------------------------------------------------------------- */

static void send_all(struct carried *k)
{
	struct cluster_message m = { .type = CLUSTER_CARRY_BACK, .id = k->id };
	int err = k->stream.out.failed ? SIO_ERR_NOMEM : SIO_OK;

	while (err == SIO_OK && carry_stream_next(&k->stream, &m))
		err = cluster_send(k->server->hub.cluster, carrier_of(k), &m);
	if (err < 0)
		cut(k); /* a piece of it is missing */
	else if (k->stream.is_ended)
		die(k);
}

void carried_send_dirty(struct sio_server *server)
{
	while (server->carry.dirty_carried) {
		struct carried *k = server->carry.dirty_carried;
		server->carry.dirty_carried = k->next_dirty;
		k->is_dirty = false;
		if (k->is_lost && !k->is_dead) {
			if (k->is_told)
				say(server, carrier_of(k), k->id, CARRY_CUT);
			cut(k); /* which puts it back on the list */
			continue;
		}
		if (!k->is_dead)
			send_all(k);
		if (!k->is_dead || k->is_dirty || k->is_buried)
			continue;
		k->is_buried = true;
		k->next_dirty = server->carry.dead_carried;
		server->carry.dead_carried = k;
	}
}

void carried_free_dead(struct sio_server *server)
{
	while (server->carry.dead_carried) {
		struct carried *k = server->carry.dead_carried;
		server->carry.dead_carried = k->next_dirty;
		carried_free(k);
	}
}

void carried_end_all(struct sio_server *server)
{
	lose(server, sio_bytes("", 0), false);
}

/* ---- both sides ------------------------------------------------------------------------------- */

static int on_message(struct sio_server *server, sio_slice from, const struct cluster_message *m)
{
	return m->type == CLUSTER_CARRY_BACK ? carry_on_back(server, from, m) : carried_on_message(server, from, m);
}

static void on_node_gone(struct sio_server *server, sio_slice node)
{
	carry_node_gone(server, node);
	carried_node_gone(server, node);
}

static void on_lost(struct sio_server *server, sio_slice node)
{
	carry_lost(server, node);
	carried_lost(server, node);
}

void carry_flush(struct sio_server *server)
{
	while (server->carry.dirty || server->carry.dirty_carried) {
		carry_send_dirty(server);
		carried_send_dirty(server);
	}
}

void carry_reap(struct sio_server *server)
{
	carry_free_dead(server);
	carried_free_dead(server);
}

void carry_init(struct sio_server *server)
{
	static const struct carry_ops ops = { on_message, on_node_gone, on_lost };

	map_init(&server->carry.carriages);
	map_init(&server->carry.carried);
	server->carry.max = CARRY_MAX;
	server->hub.carry = &ops;
}

void carry_close(struct sio_server *server)
{
	if (!server->hub.cluster)
		return;
	net_far_flush(server->net); /* the last words of our sessions */
	carry_end_all(server);
	carry_flush(server);
	carried_end_all(server);
	carry_flush(server);
}

void carry_fini(struct sio_server *server)
{
	carry_flush(server);
	carry_reap(server);
	map_fini(&server->carry.carriages);
	map_fini(&server->carry.carried);
}
