/* servers.c -- what the servers of a cluster tell and ask each other about users.
 *
 * A durable event goes to the servers that have members of its project, with its number;
 * each of them gives it to its own sequence (sequence.c), which knows what it has sent
 * already.  The store tells each of them of the same event a moment later: whichever comes
 * first is sent, and what Redis loses comes all the same.
 *
 * Questions are answered by each server for itself; the API puts the answers together.  Who is
 * in which project needs no question: leases.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>

#include <sio/namespace.h>
#include <sio/servers.h>

#include "base/log.h"
#include "collab/client.h"

#define DURABLE "durable" /* [project, seq, event, except_sid, data] */

/* ---- durable events -------------------------------------------------------------------- */

void servers_tell(struct collab *collab, sio_slice project_id, int64_t seq, const struct collab_emit *emit)
{
	struct sio_namespace *nsp = sio_namespace_main(collab->server);
	char room[SIO_ROOM_MAX + 1];
	struct buf b = { 0 };
	struct sio_args args;
	int n = snprintf(room, sizeof(room), PRESENCE_PROJECT_PREFIX "%.*s", (int)project_id.n, project_id.p);

	if (sio_server_nodes_n(collab->server) <= 1 || n < 0 || (size_t)n >= sizeof(room))
		return;
	buf_json(&b, project_id);
	buf_printf(&b, ",%lld,", (long long)seq);
	buf_json(&b, emit->event);
	buf_byte(&b, ',');
	buf_json(&b, emit->except_sid);
	buf_byte(&b, ',');
	buf_slice(&b, emit->args);
	args = (struct sio_args){ .json = buf_peek(&b) };
	/* What fails here is counted by the server, and found in the store by the others. */
	if (!b.failed && sio_servers_tell(nsp, sio_bytes(room, (size_t)n), SIO_LIT(DURABLE), &args) < 0)
		log_debug("Event %lld of project %.*s was not told to other servers", (long long)seq, (int)project_id.n, project_id.p);
	buf_fini(&b);
}

static void on_durable(struct collab *collab, sio_slice rest)
{
	char project[PRESENCE_ID_MAX + 1], event[COLLAB_EVENT_MAX + 1], except[COLLAB_SID_MAX + 1];
	sio_slice item[5];
	int64_t seq;
	long n[3];

	for (int i = 0; i < 5; i++)
		if (sio_json_next(&rest, &item[i]) < 0)
			return;
	n[0] = sio_json_unquote(item[0], project, sizeof(project));
	n[1] = sio_json_unquote(item[2], event, sizeof(event));
	n[2] = sio_json_unquote(item[3], except, sizeof(except));
	if (n[0] <= 0 || n[1] <= 0 || n[2] < 0 || sio_json_int(item[1], &seq) < 0 || seq <= 0)
		return;
	const struct collab_emit emit = {
		.event = sio_bytes(event, (size_t)n[1]),
		.args = item[4],
		.except_sid = sio_bytes(except, (size_t)n[2]),
		.is_local = true,
	};
	if (collab_emit_durable(collab, sio_bytes(project, (size_t)n[0]), seq, &emit) < 0)
		log_error("Event %lld of project %s could not be sent", (long long)seq, project);
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
	else if (sio_slice_eq(event->name, SIO_LIT(DURABLE)))
		on_durable(collab, event->args.json);
	else if (sio_slice_eq(event->name, SIO_LIT(LEASES_EVENT)))
		leases_hear(collab, event);
}

void servers_start(struct collab *collab)
{
	sio_namespace_on_server_event(sio_namespace_main(collab->server), on_server_event, collab);
}
