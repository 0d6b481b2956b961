/* cursor.c -- cursor:move, the hottest event of all.
 *
 * What comes in is passed on byte for byte: the cursor's JSON is found, not
 * parsed, and stands again in a payload built on the stack.  Nothing is allocated
 * here.  The broadcast is volatile, and for a receiver that lags only the newest
 * cursor of each member waits.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "collab/client.h"

enum { PAYLOAD_MAX = COLLAB_CURSOR_MAX + 2 * PRESENCE_ID_MAX + 64 };

static char *put(char *at, sio_slice s)
{
	memcpy(at, s.p, s.n);
	return at + s.n;
}

/* {"project_id":..,"user_id":..,"cursor":..} into out; returns its length. */
static size_t cursor_payload(char out[PAYLOAD_MAX], const struct presence_member *member, sio_slice cursor)
{
	char *at = put(out, SIO_LIT("{\"project_id\":\""));

	at = put(at, presence_id(&member->project->node)); /* plain: no escapes */
	at = put(at, SIO_LIT("\",\"user_id\":\""));
	at = put(at, presence_id(&member->user->node));
	at = put(at, SIO_LIT("\",\"cursor\":"));
	at = put(at, cursor);
	*at++ = '}';
	return (size_t)(at - out);
}

static void cursor_relay(struct client *client, const struct presence_member *member, sio_slice cursor)
{
	char payload[PAYLOAD_MAX];
	size_t n = cursor_payload(payload, member, cursor);
	struct sio_args args = sio_args_json(sio_bytes(payload, n));
	sio_slice room = presence_project_room(member->project);
	struct sio_target target = {
		.rooms = &room,
		.rooms_n = 1,
		.skip = client->socket,
		.is_volatile = true,
		.latest_key = presence_key(member),
	};

	/* Without memory this one is lost, as a volatile event may be; the next repairs it. */
	(void)sio_broadcast(client->collab->server, &target, SIO_LIT("cursor:moved"), &args);
}

void cursor_on_move(struct client *client, const struct sio_event *event)
{
	struct sio_json_field fields[] = { { .key = "project_id" }, { .key = "cursor" } };
	struct presence_member *member = client_ask(client, event, fields, 2);
	sio_slice cursor = fields[1].value;

	if (!member)
		return;
	if (fields[1].type == SIO_JSON_NONE) {
		emit_error_project(client, event->ack, "invalid_payload",
				   "cursor:move needs a cursor: any JSON value", fields[0].value);
		return;
	}
	_Static_assert(COLLAB_CURSOR_MAX == 1024, "the message below names the limit");
	if (cursor.n > COLLAB_CURSOR_MAX) {
		emit_error_project(client, event->ack, "too_large",
				   "The cursor is larger than 1024 bytes of JSON: send less", fields[0].value);
		return;
	}
	cursor_relay(client, member, cursor);
	if (event->ack != SIO_ACK_NONE)
		emit_ok(client, event->ack);
}
