/* servers.c -- what the servers of a cluster tell and ask each other about users.
 *
 * The store is the truth, and what goes from server to server is the call to wake up: an event
 * was committed, look there.  So each server sends all durable events in the order of their
 * positions (history.c), its own and others', and what Redis loses comes at the store's next
 * poll all the same.  Only servers with members of the event's room are called.  Processes of other kinds
 * have no store to look into: the server that has committed an event tells them the event itself.
 *
 * Questions are answered by each server for itself; the API puts the answers together.  Who is
 * in which project needs no question: leases.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>
#include <string.h>

#include <sio/namespace.h>
#include <sio/servers.h>
#include <sio/sockets.h>

#include "base/log.h"
#include "collab/client.h"

/* What servers say to each other beside questions. */
#define COMMITTED "committed" /* [position, except_sid]: to those with members of the room */
#define TAKEN "taken"         /* [sid]: to all */

/* ---- durable events -------------------------------------------------------------------- */

enum { EXCEPTS_MAX = 64 }; /* events of other servers that are not for one socket; older ones are forgotten */

struct excepts {
	unsigned next;
	struct {
		int64_t position;
		size_t sid_n;
		char sid[COLLAB_SID_MAX];
	} list[EXCEPTS_MAX];
};

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
	struct buf b = { 0 };
	struct sio_args args;

	tell_neighbours(collab, room, emit);
	if (sio_server_nodes_n(collab->server) <= 1)
		return;
	buf_printf(&b, "%lld,", (long long)emit->position);
	buf_json(&b, emit->except_sid);
	args = (struct sio_args){ .json = buf_peek(&b) };
	/* What fails here is counted by the server, and found in the store by the others all the same. */
	if (!b.failed && sio_servers_tell(sio_namespace_main(collab->server), room, SIO_LIT(COMMITTED), &args) < 0)
		log_debug("Event %lld was not told to other servers", (long long)emit->position);
	buf_fini(&b);
}

static void except_add(struct collab *collab, int64_t position, const char *sid, size_t n)
{
	struct excepts *excepts = collab->excepts;

	if (!excepts)
		excepts = collab->excepts = calloc(1, sizeof(*excepts));
	if (!excepts) /* it reaches one too many */
		return;
	excepts->list[excepts->next].position = position;
	memcpy(excepts->list[excepts->next].sid, sid, excepts->list[excepts->next].sid_n = n);
	excepts->next = (excepts->next + 1) % EXCEPTS_MAX;
}

sio_slice collab_except_of(const struct collab *collab, int64_t position)
{
	const struct excepts *excepts = collab->excepts;

	for (size_t i = 0; excepts && i < EXCEPTS_MAX; i++)
		if (excepts->list[i].position == position)
			return sio_bytes(excepts->list[i].sid, excepts->list[i].sid_n);
	return sio_bytes("", 0);
}

static void on_committed(struct collab *collab, sio_slice rest)
{
	char except[COLLAB_SID_MAX];
	sio_slice position, sid;
	int64_t number;
	long n;

	if (sio_json_next(&rest, &position) < 0 || sio_json_next(&rest, &sid) < 0 || sio_json_int(position, &number) < 0)
		return;
	n = sio_json_unquote(sid, except, sizeof(except));
	if (n > 0 && (size_t)n <= sizeof(except) && number > 0)
		except_add(collab, number, except, (size_t)n);
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
