/* sockets.c -- many sockets at once: find, list, join, leave, disconnect.
 *
 * Each call takes its target's sockets first, with references, and acts on them then:
 * whatever a handler does meanwhile, nothing is visited twice and nothing is gone.
 * Other nodes are told afterwards.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "hub/cluster.h"

struct sio_socket *sio_sockets_find(const struct sio_namespace *nsp, sio_slice id)
{
	struct map_node *node = id.n == SIO_ID_LEN ? map_get(&nsp->sockets_by_id, id) : NULL;

	return node ? MAP_OWNER(node, struct sio_socket, by_id) : NULL;
}

size_t sio_sockets_count(const struct sio_namespace *nsp)
{
	return nsp->sockets_n;
}

long sio_sockets_each(struct sio_namespace *nsp, const struct sio_target *target, sio_room_fn *fn, void *arg)
{
	struct socket_list list;
	long n = 0;

	HUB_CHECK(nsp->hub);
	if (sockets_list(nsp, target_or_all(target), &list) < 0)
		return SIO_ERR_NOMEM;
	for (uint32_t i = 0; i < list.n; i++) {
		if (!list.at[i]->client)
			continue;
		n++;
		fn(list.at[i], arg);
	}
	sockets_unlist(&list);
	return n;
}

void sio_socket_rooms(const struct sio_socket *s, sio_room_name_fn *fn, void *arg)
{
	for (unsigned i = 0; i < s->rooms_n; i++)
		fn(sio_bytes(s->rooms[i].room->name, s->rooms[i].room->by_name.key_n), arg);
}

void sio_namespace_rooms(const struct sio_namespace *nsp, sio_room_size_fn *fn, void *arg)
{
	uint32_t i;

	for (struct map_node *node = map_first(&nsp->rooms, &i); node; node = map_next(&nsp->rooms, &i, node)) {
		const struct room *room = MAP_OWNER(node, struct room, by_name);
		fn(sio_bytes(room->name, node->key_n), room->n, arg);
	}
}

struct move {
	sio_slice room;
	long n;
	bool lacks_memory;
};

static void join_one(struct sio_socket *s, void *arg)
{
	struct move *move = arg;
	int err = sio_room_join(s, move->room);

	move->n += err == SIO_OK;
	move->lacks_memory |= err == SIO_ERR_NOMEM;
}

static void leave_one(struct sio_socket *s, void *arg)
{
	struct move *move = arg;

	sio_room_leave(s, move->room);
	move->n++;
}

static long move_all(struct sio_namespace *nsp, const struct sio_target *target, sio_slice room, sio_room_fn *fn,
		     enum cluster_type type)
{
	struct move move = { .room = room };
	long n;

	if (room.n < 1 || room.n > SIO_ROOM_MAX)
		return SIO_ERR_INVAL;
	n = sio_sockets_each(nsp, target, fn, &move);
	if (n >= 0 && nsp->hub->cluster && !target_or_all(target)->is_local)
		cluster_move(nsp, target_or_all(target), type, room);
	return n < 0 || move.lacks_memory ? SIO_ERR_NOMEM : move.n;
}

long sio_sockets_join(struct sio_namespace *nsp, const struct sio_target *target, sio_slice room)
{
	return move_all(nsp, target, room, join_one, CLUSTER_JOIN);
}

long sio_sockets_leave(struct sio_namespace *nsp, const struct sio_target *target, sio_slice room)
{
	return move_all(nsp, target, room, leave_one, CLUSTER_LEAVE);
}

static void disconnect_one(struct sio_socket *s, void *close_session)
{
	sio_socket_disconnect(s, *(const bool *)close_session);
}

long sio_sockets_disconnect(struct sio_namespace *nsp, const struct sio_target *target, bool close_session)
{
	long n;

	nsp->refs++; /* a child is forgotten with its last socket */
	n = sio_sockets_each(nsp, target, disconnect_one, &close_session);
	if (n >= 0 && nsp->hub->cluster && !target->is_local)
		cluster_disconnect(nsp, target, close_session);
	nsp_unref(nsp);
	return n;
}

void sio_room_close(struct sio_namespace *nsp, sio_slice name)
{
	struct room *room = room_find(nsp, name);
	struct sio_target members = { .rooms = &name, .rooms_n = 1 };

	HUB_CHECK(nsp->hub);
	for (uint32_t n = room ? room->n : 0; n > 0; n--) /* the last member's leaving ends it */
		sio_room_leave(room->members[n - 1].socket, name);
	if (nsp->hub->cluster)
		cluster_move(nsp, &members, CLUSTER_LEAVE, name);
}
