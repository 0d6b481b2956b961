/* present.c -- telling who is there: presence:list, presence:update, the lists of
 * joined_project and of the API.
 *
 * A list shows exactly those of whom user:joined was told and user:left was not,
 * so a user whose network dropped a moment ago stands in it with no connections.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <time.h>

#include "collab/client.h"

static void put_time(struct buf *b, int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	char text[32];

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_printf(b, "\"%s.%03dZ\"", text, (int)(ms % 1000));
}

static void put_user(struct buf *b, const struct presence_member *member, enum present_detail detail)
{
	const struct presence_user *user = member->user;

	buf_str(b, "{\"user_id\":");
	emit_id(b, &user->node);
	buf_str(b, ",\"name\":");
	buf_json(b, presence_user_name(user));
	if (detail == PRESENT_FULL) {
		buf_printf(b, ",\"connections\":%u,\"joined_at\":", (unsigned)member->connections_n);
		put_time(b, member->joined_at_ms);
	}
	if (member->state) {
		buf_str(b, ",\"state\":");
		buf_slice(b, sio_bytes(member->state->text, member->state->n));
	}
	buf_byte(b, '}');
}

void present_users(struct buf *b, const struct presence_project *project, enum present_detail detail, size_t max)
{
	const struct presence_member *member = project ? project->first : NULL;
	size_t start = b->n;

	buf_str(b, "\"users\":[");
	for (; member && b->n - start < max; member = member->next) {
		if (member != project->first)
			buf_byte(b, ',');
		put_user(b, member, detail);
	}
	buf_byte(b, ']');
	if (member)
		buf_printf(b, ",\"truncated\":true,\"users_total\":%u", (unsigned)project->members_n);
}

void present_on_list(struct client *client, const struct sio_event *event)
{
	struct sio_json_field field = { .key = "project_id" };
	struct presence_member *member = client_ask(client, event, &field, 1);
	struct buf b = { 0 };

	if (!member)
		return;
	emit_begin(&b);
	buf_str(&b, "\"project_id\":");
	emit_id(&b, &member->project->node);
	buf_byte(&b, ',');
	present_users(&b, member->project, PRESENT_FULL, COLLAB_LIST_MAX);
	emit_answer(client, event->ack, "presence:state", &b);
}

void present_tell_state(struct collab *collab, const struct presence_member *member, const struct sio_socket *skip)
{
	struct buf b = { 0 };

	buf_str(&b, "{\"project_id\":");
	emit_id(&b, &member->project->node);
	buf_str(&b, ",\"user_id\":");
	emit_id(&b, &member->user->node);
	buf_str(&b, ",\"state\":");
	buf_slice(&b, member->state ? sio_bytes(member->state->text, member->state->n) : SIO_LIT("null"));
	buf_byte(&b, '}');
	emit_to_others(collab, member->project, skip, "presence:updated", &b);
}

void present_on_update(struct client *client, const struct sio_event *event)
{
	struct sio_json_field fields[] = { { .key = "project_id" }, { .key = "state" } };
	struct presence_member *member = client_ask(client, event, fields, 2);
	sio_slice state = fields[1].value;

	if (!member)
		return;
	if (fields[1].type == SIO_JSON_NONE) {
		emit_error_project(client, event->ack, "invalid_payload",
				   "presence:update needs a state: any JSON value, null to clear it", fields[0].value);
		return;
	}
	_Static_assert(COLLAB_STATE_MAX == 1024, "the message below names the limit");
	if (state.n > COLLAB_STATE_MAX) {
		emit_error_project(client, event->ack, "too_large",
				   "The state is larger than 1024 bytes of JSON: send less", fields[0].value);
		return;
	}
	if (presence_set_state(member, fields[1].type == SIO_JSON_NULL ? sio_bytes("", 0) : state) < 0) {
		emit_error_project(client, event->ack, "unavailable", "The server is out of memory: try again later",
				   fields[0].value);
		return;
	}
	present_tell_state(client->collab, member, client->socket);
	emit_ok(client, event->ack);
}

/* ---- for the API ---------------------------------------------------------------- */

void collab_presence_json(struct collab *collab, sio_slice project_id, struct buf *out)
{
	buf_str(out, "{\"project_id\":");
	buf_json(out, project_id);
	buf_byte(out, ',');
	present_users(out, presence_project_find(&collab->presence, project_id), PRESENT_FULL, SIZE_MAX);
	buf_byte(out, '}');
}

static void put_socket(struct sio_socket *socket, void *arg)
{
	struct buf *out = arg;
	struct client *client = sio_socket_data(socket);

	if (!client)
		return;
	if (out->n > 0 && out->p[out->n - 1] != '[')
		buf_byte(out, ',');
	buf_str(out, "{\"sid\":");
	buf_json(out, sio_socket_id(socket));
	buf_str(out, ",\"connected_at\":");
	put_time(out, (int64_t)client->connected_s * 1000);
	buf_str(out, ",\"projects\":[");
	for (unsigned i = 0; i < client->seats_n; i++) {
		if (i > 0)
			buf_byte(out, ',');
		emit_id(out, &client_seats(client)[i]->project->node);
	}
	buf_str(out, "]}");
}

void collab_user_json(struct collab *collab, sio_slice user_id, struct buf *out)
{
	const struct presence_user *user = presence_user_find(&collab->presence, user_id);

	buf_str(out, "{\"user_id\":");
	buf_json(out, user_id);
	buf_printf(out, ",\"connections\":%u,\"sockets\":[", user ? (unsigned)user->connections_n : 0U);
	if (user)
		sio_room_each(collab->server, presence_user_room(user), put_socket, out);
	buf_str(out, "]}");
}
