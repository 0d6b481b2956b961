/* deliver.c -- what comes in from other nodes: bytes to a message to whoever handles it.
 *
 * All that is done here is done to this node's own clients: every target is_local, so that
 * nothing goes out again.  A message that is none of ours, or that its sender may not send
 * now, changes nothing and is counted.  One about a namespace that is not here came too
 * late or too early, and is none of our business.
 *
 * Nothing but adapters refers to this file: tests of adapters put their own in its place.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include "hub/cluster.h"

enum { NAMES_NEAR = 32 }; /* slices on the stack, enough for nearly every message */

static struct sio_target target_of(const struct cluster_message *m)
{
	return (struct sio_target){
		.rooms = m->rooms,
		.rooms_n = m->rooms_n,
		.except = m->except,
		.except_n = m->except_n,
		.is_local = true,
		.is_volatile = m->is_volatile,
	};
}

/* Keys are made by each node for itself: the same number is another thing on another. */
static uint32_t key_of(sio_slice from, uint32_t key)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	if (!key)
		return 0;
	for (size_t i = 0; i < from.n; i++)
		h = (h ^ (unsigned char)from.p[i]) * 16777619u;
	for (int i = 0; i < 4; i++)
		h = (h ^ (key >> 8 * i & 255)) * 16777619u;
	return h ? h : 1;
}

static int on_emit(struct hub *hub, sio_slice from, const struct cluster_message *m)
{
	struct sio_namespace *nsp = nsp_find(hub, m->nsp);
	struct sio_target target = target_of(m);
	struct sio_args args = { m->json, m->attachments, m->attachments_n };

	target.latest_key = key_of(from, m->latest_key);
	return nsp && sio_namespace_broadcast(nsp, &target, m->name, &args) == SIO_ERR_INVAL ? SIO_ERR_PROTO : SIO_OK;
}

static int on_move(struct hub *hub, sio_slice from, const struct cluster_message *m)
{
	struct sio_namespace *nsp = nsp_find(hub, m->nsp);
	struct sio_target target = target_of(m);
	long n = 0;

	(void)from;
	if (nsp)
		n = m->type == CLUSTER_JOIN ? sio_sockets_join(nsp, &target, m->room) : sio_sockets_leave(nsp, &target, m->room);
	return n == SIO_ERR_INVAL ? SIO_ERR_PROTO : SIO_OK;
}

static int on_disconnect(struct hub *hub, sio_slice from, const struct cluster_message *m)
{
	struct sio_namespace *nsp = nsp_find(hub, m->nsp);
	struct sio_target target = target_of(m);

	(void)from;
	if (nsp)
		sio_sockets_disconnect(nsp, &target, m->closes_session);
	return SIO_OK;
}

static int on_carry(struct hub *hub, sio_slice from, const struct cluster_message *m)
{
	return hub->carry ? hub->carry->message(hub->server, from, m) : SIO_ERR_PROTO;
}

typedef int on_message_fn(struct hub *hub, sio_slice from, const struct cluster_message *m);
static on_message_fn *const handlers[CLUSTER_NTYPES] = {
	[CLUSTER_EMIT] = on_emit,
	[CLUSTER_ASK] = far_on_ask,
	[CLUSTER_COUNT] = far_on_count,
	[CLUSTER_ANSWER] = far_on_answer,
	[CLUSTER_GONE] = far_on_gone,
	[CLUSTER_LATE] = far_on_late,
	[CLUSTER_JOIN] = on_move,
	[CLUSTER_LEAVE] = on_move,
	[CLUSTER_DISCONNECT] = on_disconnect,
	[CLUSTER_FETCH] = fetch_on_ask,
	[CLUSTER_FOUND] = fetch_on_found,
	[CLUSTER_SERVER_EMIT] = servers_on_emit,
	[CLUSTER_CARRY] = on_carry,
	[CLUSTER_CARRY_ON] = on_carry,
	[CLUSTER_CARRY_BACK] = on_carry,
};

static int deliver(struct hub *hub, sio_slice from, sio_slice message)
{
	sio_slice near[NAMES_NEAR], *names = near;
	struct cluster_message m;
	int err = cluster_read(message, &m, near, NAMES_NEAR);

	if (err == SIO_ERR_LIMIT) {
		names = malloc(m.names_n * sizeof(*names));
		if (!names)
			return SIO_OK; /* lost, but not by its sender's fault */
		err = cluster_read(message, &m, names, m.names_n);
	}
	if (err == SIO_OK)
		err = handlers[m.type](hub, from, &m);
	if (names != near)
		free(names);
	return err;
}

void sio_adapter_deliver(struct sio_server *server, sio_slice from, sio_slice message)
{
	struct hub *hub = hub_of(server);

	if (!hub->cluster || !hub->cluster->is_open)
		return;
	hub->adapter_received++;
	if (from.n != SIO_NODE_ID_LEN || memcmp(from.p, hub->cluster->node, SIO_NODE_ID_LEN) == 0 ||
	    deliver(hub, from, message) < 0)
		hub->adapter_refused++;
}

void sio_adapter_node_gone(struct sio_server *server, sio_slice node)
{
	struct hub *hub = hub_of(server);

	if (!hub->cluster || !hub->cluster->is_open || node.n != SIO_NODE_ID_LEN)
		return;
	inquiries_lose(hub->cluster, node);
	if (hub->carry)
		hub->carry->node_gone(server, node);
	if (hub->on_node_gone)
		hub->on_node_gone(node, hub->node_gone_arg);
}

void sio_adapter_lost(struct sio_server *server, sio_slice node)
{
	struct hub *hub = hub_of(server);

	if (hub->cluster && hub->cluster->is_open && hub->carry)
		hub->carry->lost(server, node);
}
