/* collab.c -- the table of events, and the calls of collab.h that need no more.
 *
 * One row is one event that clients may send.  To add one: write its handler in
 * the file of its subject, declare it in client.h, add the row.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "collab/collab.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "collab/client.h"

enum { TYPING_TIMEOUT_MS = 5000, TOKEN_WARNING_MS = 60000, SHOWN_NAME_MAX = 64 };

static void on_unknown(struct client *client, const struct sio_event *event);

static const struct collab_row rows[] = {
	{ "join_project", project_on_join },
	{ "leave_project", project_on_leave },
	{ "presence:list", present_on_list },
	{ "presence:update", present_on_update },
	{ "cursor:move", cursor_on_move },
	{ "typing:start", typing_on_start },
	{ "typing:stop", typing_on_stop },
	{ "auth:refresh", expiry_on_refresh },
	{ NULL, on_unknown },
};
enum { ROWS_N = sizeof(rows) / sizeof(rows[0]) };
_Static_assert(ROWS_N <= COLLAB_ROWS_MAX, "struct collab has too few handlers");

static void on_event(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	struct collab_handler *handler = arg;
	struct client *client = sio_socket_data(socket);

	handler->received_n++;
	if (!client)
		return;
	client_ref(client);
	handler->row->fn(client, event);
	client_unref(client);
}

static void on_unknown(struct client *client, const struct sio_event *event)
{
	char message[SHOWN_NAME_MAX + 128];

	if (event->name.n <= SHOWN_NAME_MAX)
		snprintf(message, sizeof(message), "There is no event %.*s: see the guide for those there are",
			 (int)event->name.n, event->name.p);
	else
		snprintf(message, sizeof(message), "There is no event of that name: see the guide for those there are");
	emit_error(client, event->ack, "unknown_event", message, sio_bytes("", 0));
}

/* The event was dropped.  Who waits for an acknowledgement gets one; the error
 * event comes once a while, or it would double the flood. */
static void on_limited(struct sio_socket *socket, const struct sio_event *event, uint32_t retry_ms, void *arg)
{
	struct client *client = sio_socket_data(socket);
	uint64_t now = sio_server_now_ms(((struct collab *)arg)->server);
	char message[128], extra[64];

	if (!client)
		return;
	client_ref(client);
	snprintf(message, sizeof(message), "Too many events: wait %u ms, then send fewer", (unsigned)retry_ms);
	snprintf(extra, sizeof(extra), ",\"retry_after_ms\":%u", (unsigned)retry_ms);
	if (client->limited_ms == 0 || (uint32_t)now - client->limited_ms >= COLLAB_LIMITED_EVERY_MS) {
		client->limited_ms = (uint32_t)now;
		emit_error_event(client, "rate_limited", message, sio_str(extra));
	}
	emit_error_ack(client, event->ack, "rate_limited", message);
	client_unref(client);
}

int64_t collab_wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- life ---------------------------------------------------------------------- */

static int install(struct collab *collab)
{
	sio_on_connect(collab->server, connect_on_request, collab);
	sio_on_disconnect(collab->server, connect_on_end, collab);
	sio_on_limited(collab->server, on_limited, collab);
	servers_start(collab);
	for (unsigned i = 0; i < ROWS_N; i++) {
		int err;

		collab->handlers[i] = (struct collab_handler){ .collab = collab, .row = &rows[i] };
		err = sio_on_event(collab->server, rows[i].name, on_event, &collab->handlers[i]);
		if (err < 0)
			return err;
	}
	return SIO_OK;
}

int collab_new(struct sio_server *server, struct store *store, struct judge *judge,
	       const struct collab_options *options, struct collab **out)
{
	struct collab *collab = calloc(1, sizeof(*collab));
	int err;

	if (!collab)
		return SIO_ERR_NOMEM;
	collab->server = server;
	collab->store = store;
	collab->judge = judge;
	if (options)
		collab->options = *options;
	if (collab->options.typing_timeout_ms == 0)
		collab->options.typing_timeout_ms = TYPING_TIMEOUT_MS;
	if (collab->options.token_warning_ms == 0)
		collab->options.token_warning_ms = TOKEN_WARNING_MS;
	presence_init(&collab->presence, collab->options.presence_grace_ms);
	err = history_start(collab);
	if (err == SIO_OK)
		err = leases_start(collab);
	if (err == SIO_OK)
		err = install(collab);
	if (err < 0) {
		collab_free(collab);
		return err;
	}
	*out = collab;
	return SIO_OK;
}

void collab_free(struct collab *collab)
{
	if (!collab)
		return;
	recheck_stop(collab);
	leases_stop(collab);
	sequence_stop(collab);
	history_stop(collab);
	sio_timer_stop(&collab->grace);
	free(collab->told);
	presence_fini(&collab->presence);
	free(collab);
}

/* ---- emitting ---------------------------------------------------------------------- */

long collab_emit_room(struct collab *collab, sio_slice room, const struct collab_emit *emit)
{
	struct sio_target target = {
		.rooms = &room,
		.rooms_n = 1,
		.except = &emit->except_sid,
		.except_n = emit->except_sid.n > 0,
		.is_volatile = emit->is_volatile,
		.is_local = emit->is_local || emit->position != 0, /* other servers find it in the store */
	};
	struct sio_args args = sio_args_json(emit->args);
	long n;

	if (emit->event.n == 0 || emit->event.n > COLLAB_EVENT_MAX || room.n == 0 || room.n > SIO_ROOM_MAX)
		return SIO_ERR_INVAL;
	if (emit->position > 0 && !emit->is_local)
		servers_tell_event(collab, room, emit);
	history_stamp(collab, emit->position);
	n = sio_broadcast(collab->server, &target, emit->event, &args);
	history_unstamp(collab);
	return n;
}

static long emit_prefixed(struct collab *collab, const char *prefix, sio_slice id, const struct collab_emit *emit)
{
	char room[SIO_ROOM_MAX + 1];
	int n = snprintf(room, sizeof(room), "%s%.*s", prefix, (int)id.n, id.p);

	if (id.n == 0 || id.n > SIO_ROOM_MAX || n < 0 || (size_t)n >= sizeof(room))
		return SIO_ERR_INVAL;
	return collab_emit_room(collab, sio_bytes(room, (size_t)n), emit);
}

long collab_emit_project(struct collab *collab, sio_slice project_id, const struct collab_emit *emit)
{
	return emit_prefixed(collab, "project:", project_id, emit);
}

long collab_emit_user(struct collab *collab, sio_slice user_id, const struct collab_emit *emit)
{
	return emit_prefixed(collab, "user:", user_id, emit);
}

/* ---- users and counts ----------------------------------------------------------------- */

static void kick(struct sio_socket *socket, void *arg)
{
	size_t *n = arg;

	++*n;
	sio_socket_disconnect(socket, true);
}

size_t collab_disconnect_user(struct collab *collab, sio_slice user_id)
{
	struct presence_user *user = presence_user_find(&collab->presence, user_id);
	size_t n = 0;

	if (!user)
		return 0;
	user->refs++; /* its room's name is needed to the end */
	sio_room_each(collab->server, presence_user_room(user), kick, &n);
	presence_user_unref(&collab->presence, user);
	return n;
}

size_t collab_user_connections(const struct collab *collab, sio_slice user_id)
{
	const struct presence_user *user = presence_user_find(&collab->presence, user_id);

	return user ? user->connections_n : 0;
}

void collab_counts(const struct collab *collab, struct collab_counts *out)
{
	*out = (struct collab_counts){
		.connections = collab->presence.connections_n,
		.users = collab->presence.connected_n,
		.project_rooms = collab->presence.occupied_n,
		.presence = collab->presence.members_n,
		.refused_token_missing = collab->refused[REFUSE_TOKEN_MISSING],
		.refused_token_invalid = collab->refused[REFUSE_TOKEN_INVALID],
		.refused_token_expired = collab->refused[REFUSE_TOKEN_EXPIRED],
		.refused_too_many = collab->refused[REFUSE_TOO_MANY],
		.refused_unavailable = collab->refused[REFUSE_UNAVAILABLE],
	};
}

void collab_each_event(const struct collab *collab, collab_event_fn *fn, void *arg)
{
	for (unsigned i = 0; i < ROWS_N; i++)
		fn(rows[i].name ? rows[i].name : "unknown", collab->handlers[i].received_n, arg);
}
