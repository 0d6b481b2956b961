/* room.c -- rooms: who is in which.
 *
 * A room keeps its members in one dense array, beside each socket its session, so
 * that a broadcast touches the array and the queues and nothing else.  A socket
 * keeps where it stands in each of its rooms, so leaving is a swap with the last.
 * What is sent to rooms is the business of broadcast.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <assert.h>
#include <stdlib.h>

#include "hub/cluster.h"

/* ---- membership ------------------------------------------------------------------ */

struct room *room_find(const struct sio_namespace *nsp, sio_slice name)
{
	struct map_node *node = map_get(&nsp->rooms, name);

	return node ? MAP_OWNER(node, struct room, by_name) : NULL;
}

static struct room *room_new(struct sio_namespace *nsp, sio_slice name)
{
	struct room *room = malloc(offsetof(struct room, name) + name.n);

	if (!room)
		return NULL;
	*room = (struct room){ .cap = ROOM_INLINE };
	room->members = room->first;
	memcpy(room->name, name.p, name.n);
	if (map_put(&nsp->rooms, &room->by_name, sio_bytes(room->name, name.n)) < 0) {
		free(room);
		return NULL;
	}
	if (nsp->hub->cluster && interest_begin(nsp, name) < 0) {
		map_del(&nsp->rooms, &room->by_name);
		free(room);
		return NULL;
	}
	nsp->hub->rooms++;
	return room;
}

static void room_drop_if_empty(struct sio_namespace *nsp, struct room *room)
{
	if (room->n > 0)
		return;
	if (nsp->hub->cluster)
		interest_end(nsp, sio_bytes(room->name, room->by_name.key_n));
	map_del(&nsp->rooms, &room->by_name);
	nsp->hub->rooms--;
	if (room->members != room->first)
		free(room->members);
	free(room);
}

static bool room_reserve(struct room *room)
{
	uint32_t cap = room->cap < 8 ? 8 : room->cap * 2;
	struct member *grown;

	if (room->n < room->cap)
		return true;
	grown = realloc(room->members == room->first ? NULL : room->members, cap * sizeof(*grown));
	if (!grown)
		return false;
	if (room->members == room->first)
		memcpy(grown, room->first, room->n * sizeof(*grown));
	room->members = grown;
	room->cap = cap;
	return true;
}

static bool socket_reserve(struct sio_socket *s)
{
	uint32_t cap = s->rooms_cap * 2u;
	struct membership *grown;

	if (s->rooms_n < s->rooms_cap)
		return true;
	if (cap > UINT16_MAX)
		return false;
	grown = realloc(s->rooms == s->near ? NULL : s->rooms, cap * sizeof(*grown));
	if (!grown)
		return false;
	if (s->rooms == s->near)
		memcpy(grown, s->near, sizeof(s->near));
	s->rooms = grown;
	s->rooms_cap = (uint16_t)cap;
	return true;
}

static struct membership *membership_find(const struct sio_socket *s, sio_slice name)
{
	for (unsigned i = 0; i < s->rooms_n; i++) {
		struct room *room = s->rooms[i].room;
		if (sio_slice_eq(sio_bytes(room->name, room->by_name.key_n), name))
			return &s->rooms[i];
	}
	return NULL;
}

int sio_room_join(struct sio_socket *s, sio_slice name)
{
	struct room *room;
	uint32_t max;

	if (!s->client) /* its namespace may have gone, with the server */
		return SIO_ERR_CLOSED;
	HUB_CHECK(s->nsp->hub);
	if (name.n < 1 || name.n > SIO_ROOM_MAX)
		return SIO_ERR_INVAL;
	if (membership_find(s, name))
		return SIO_OK;
	max = s->nsp->hub->limits.max_rooms;
	if (max && s->rooms_n >= max)
		return SIO_ERR_LIMIT;
	room = room_find(s->nsp, name);
	if (!room)
		room = room_new(s->nsp, name);
	if (!room)
		return SIO_ERR_NOMEM;
	if (!room_reserve(room) || !socket_reserve(s)) {
		room_drop_if_empty(s->nsp, room);
		return SIO_ERR_NOMEM;
	}
	s->rooms[s->rooms_n++] = (struct membership){ room, room->n };
	room->members[room->n++] = (struct member){ s, s->client->session };
	recover_changed(s);
	return SIO_OK;
}

static void membership_end(struct sio_socket *s, struct membership *m)
{
	struct room *room = m->room;
	struct member last = room->members[--room->n];

	if (last.socket != s) {
		room->members[m->index] = last;
		for (unsigned i = 0; i < last.socket->rooms_n; i++)
			if (last.socket->rooms[i].room == room)
				last.socket->rooms[i].index = m->index;
	}
	*m = s->rooms[--s->rooms_n];
	room_drop_if_empty(s->nsp, room);
}

void sio_room_leave(struct sio_socket *s, sio_slice name)
{
	struct membership *m = membership_find(s, name);

	if (!m)
		return;
	HUB_CHECK(s->nsp->hub);
	membership_end(s, m);
	recover_changed(s);
}

void room_leave_all(struct sio_socket *s)
{
	while (s->rooms_n > 0)
		membership_end(s, &s->rooms[s->rooms_n - 1]);
	if (s->rooms != s->near)
		free(s->rooms);
	s->rooms = s->near;
	s->rooms_cap = SOCKET_NEAR;
}

bool sio_room_has(const struct sio_socket *s, sio_slice name)
{
	return membership_find(s, name) != NULL;
}

size_t sio_namespace_room_size(const struct sio_namespace *nsp, sio_slice name)
{
	struct room *room = room_find(nsp, name);

	HUB_CHECK(nsp->hub);
	return room ? room->n : 0;
}

size_t sio_room_size(const struct sio_server *server, sio_slice name)
{
	return sio_namespace_room_size(hub_of(server)->nsps, name);
}

void sio_room_each(struct sio_server *server, sio_slice name, sio_room_fn *fn, void *arg)
{
	sio_namespace_room_each(hub_of(server)->nsps, name, fn, arg);
}

void sio_namespace_room_each(struct sio_namespace *nsp, sio_slice name, sio_room_fn *fn, void *arg)
{
	struct room *room = room_find(nsp, name);
	struct sio_socket **copy;
	uint32_t n;

	HUB_CHECK(nsp->hub);
	if (!room)
		return;
	n = room->n;
	copy = malloc(n * sizeof(struct sio_socket *));
	if (!copy)
		return;
	/* fn may change the room, even end it: walk a copy whose sockets stay. */
	for (uint32_t i = 0; i < n; i++)
		copy[i] = sio_socket_ref(room->members[i].socket);
	for (uint32_t i = 0; i < n; i++) {
		if (copy[i]->client)
			fn(copy[i], arg);
		sio_socket_unref(copy[i]);
	}
	free(copy);
}
