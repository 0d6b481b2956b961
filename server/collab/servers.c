/* servers.c -- what the servers of a cluster tell and ask each other about users.
 *
 * The store is the truth, and what goes from server to server is the call to wake up: an event
 * was committed, look there.  So each server sends all durable events in the order of their
 * positions (history.c), its own and others', and what Redis loses comes at the store's next
 * poll all the same.  Only servers with members of the event's room are called, and once for each
 * commit: it is there as a whole or not at all.  Processes of other kinds
 * have no store to look into: the server that has committed an event tells them the event itself.
 *
 * Questions are answered by each server for itself; the API puts the answers together.  Who is
 * in which project needs no question: leases.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sio/namespace.h>
#include <sio/servers.h>
#include <sio/sockets.h>

#include "base/log.h"
#include "collab/client.h"

/* What servers say to each other beside questions. */
#define COMMITTED "committed" /* [position]: to those with members of the room */
#define TAKEN "taken"         /* [sid]: to all */

/* ---- durable events -------------------------------------------------------------------- */

enum { TOLD_MAX = 16 }; /* rooms that were told of a commit lately; of an older one it is told again */

struct told {
	unsigned next;
	struct told_room {
		int64_t newest; /* they look, and see all up to this position */
		size_t n;
		char name[SIO_ROOM_MAX];
	} rooms[TOLD_MAX];
};

static struct told_room *told_find(struct told *told, sio_slice room)
{
	for (unsigned i = 0; told && i < TOLD_MAX; i++)
		if (sio_slice_eq(sio_bytes(told->rooms[i].name, told->rooms[i].n), room))
			return &told->rooms[i];
	return NULL;
}

static void told_add(struct collab *collab, sio_slice room, int64_t newest)
{
	struct told_room *r = told_find(collab->told, room);

	if (!collab->told)
		collab->told = calloc(1, sizeof(*collab->told));
	if (!collab->told) /* they are told once more than needed */
		return;
	if (!r) {
		r = &collab->told->rooms[collab->told->next];
		collab->told->next = (collab->told->next + 1) % TOLD_MAX;
		memcpy(r->name, room.p, r->n = room.n);
	}
	r->newest = newest;
}

/* The clients of processes of other kinds, which look into no store: the event itself, from here alone. */
static void tell_neighbours(struct collab *collab, sio_slice room, const struct collab_emit *emit)
{
	const struct sio_target target = {
		.rooms = &room,
		.rooms_n = 1,
		.except = &emit->except_sid,
		.except_n = emit->except_sid.n > 0,
	};
	const struct sio_args args = sio_args_json(emit->args);

	/* What fails is counted by the adapter; nobody could make it good. */
	(void)!sio_neighbours_tell(sio_namespace_main(collab->server), &target, emit->event, &args);
}

void servers_tell_event(struct collab *collab, sio_slice room, const struct collab_emit *emit)
{
	const struct told_room *told = told_find(collab->told, room);
	char position[24];
	struct sio_args args = { .json = { position, 0 } };

	tell_neighbours(collab, room, emit);
	if (sio_server_nodes_n(collab->server) <= 1 || (told && told->newest >= emit->position))
		return;
	args.json.n = (size_t)snprintf(position, sizeof(position), "%lld", (long long)emit->position);
	/* What fails here is counted by the server, and found in the store by the others all the same. */
	if (sio_servers_tell(sio_namespace_main(collab->server), room, SIO_LIT(COMMITTED), &args) < 0)
		log_debug("Event %lld was not told to other servers", (long long)emit->position);
	else if (emit->newest > emit->position)
		told_add(collab, room, emit->newest);
}

static void on_committed(struct collab *collab, sio_slice rest)
{
	sio_slice position;
	int64_t number;

	if (sio_json_next(&rest, &position) == SIO_OK && sio_json_int(position, &number) == SIO_OK)
		store_look(collab->store);
}

/* ---- sessions that have moved ------------------------------------------------------------ */

void servers_tell_taken(struct collab *collab, sio_slice sid)
{
	struct buf b = { 0 };
	struct sio_args args;

	buf_json(&b, sid);
	args = (struct sio_args){ .json = buf_peek(&b) };
	/* Who does not hear it ends the connection by itself when its client is silent for too long. */
	if (!b.failed && sio_servers_emit(sio_namespace_main(collab->server), SIO_LIT(TAKEN), &args) < 0)
		log_debug("Other servers were not told that a session has moved");
	buf_fini(&b);
}

static void on_taken(struct collab *collab, sio_slice rest)
{
	char sid[SIO_ID_LEN + 1];
	struct sio_socket *socket = NULL;
	sio_slice item;

	if (sio_json_next(&rest, &item) == SIO_OK && sio_json_unquote(item, sid, sizeof(sid)) == SIO_ID_LEN)
		socket = sio_sockets_find(sio_namespace_main(collab->server), sio_bytes(sid, SIO_ID_LEN));
	if (socket)
		sio_socket_close_transport(socket);
}

/* ---- questions --------------------------------------------------------------------------- */

bool collab_answer(struct collab *collab, sio_slice what, sio_slice id, struct buf *out)
{
	if (sio_slice_eq(what, SIO_LIT(COLLAB_ASK_USER)))
		collab_user_json(collab, id, out);
	else if (sio_slice_eq(what, SIO_LIT(COLLAB_ASK_DISCONNECT)))
		buf_printf(out, "{\"disconnected\":%zu}", collab_disconnect_user(collab, id));
	else
		return false;
	return true;
}

static void answer(struct collab *collab, const struct sio_server_event *event)
{
	sio_slice rest = event->args.json, item;
	char id[PRESENCE_ID_MAX + 1];
	long n = sio_json_next(&rest, &item) < 0 ? -1 : sio_json_unquote(item, id, sizeof(id));
	struct buf b = { 0 };
	struct sio_args args;

	if (n >= 0 && collab_answer(collab, event->name, sio_bytes(id, (size_t)n), &b) && !b.failed) {
		args = (struct sio_args){ .json = buf_peek(&b) };
		(void)!sio_servers_answer(collab->server, event->node, event->ack, &args); /* else it counts as missing */
	}
	buf_fini(&b);
}

static void on_server_event(struct sio_namespace *nsp, const struct sio_server_event *event, void *arg)
{
	struct collab *collab = arg;

	(void)nsp;
	if (event->ack != SIO_ACK_NONE)
		answer(collab, event);
	else if (sio_slice_eq(event->name, SIO_LIT(COMMITTED)))
		on_committed(collab, event->args.json);
	else if (sio_slice_eq(event->name, SIO_LIT(TAKEN)))
		on_taken(collab, event->args.json);
	else if (sio_slice_eq(event->name, SIO_LIT(LEASES_EVENT)))
		leases_hear(collab, event);
}

void servers_start(struct collab *collab)
{
	sio_namespace_on_server_event(sio_namespace_main(collab->server), on_server_event, collab);
}
