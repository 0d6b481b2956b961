/* present.c -- telling who is there: presence:list, presence:update, the lists of
 * joined_project and of the API.
 *
 * A list shows exactly those of whom user:joined was told and user:left was not,
 * so a user whose network dropped a moment ago stands in it with no connections.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "collab/client.h"
#include "collab/lease.h"

/* user->name: as JSON text, or empty; then plain is it. */
static void put_user(struct buf *b, const struct lease_shown *user, sio_slice plain, enum present_detail detail)
{
	buf_str(b, "{\"user_id\":");
	buf_json(b, user->id);
	buf_str(b, ",\"name\":");
	if (user->name.n > 0)
		buf_slice(b, user->name);
	else
		buf_json(b, plain);
	if (detail == PRESENT_FULL) {
		buf_printf(b, ",\"connections\":%llu,\"joined_at\":", (unsigned long long)user->connections);
		buf_time(b, user->joined_at_ms);
	}
	if (user->state.n > 0) {
		buf_str(b, ",\"state\":");
		buf_slice(b, user->state);
	}
	buf_byte(b, '}');
}

static void put_member(struct buf *b, const struct presence_member *member, enum present_detail detail)
{
	const struct lease_shown user = {
		.id = presence_id(&member->user->node),
		.state = member->state ? sio_bytes(member->state->text, member->state->n) : sio_bytes("", 0),
		.connections = member->connections_n,
		.joined_at_ms = member->joined_at_ms,
	};

	put_user(b, &user, presence_user_name(member->user), detail);
}

static void put_cut(struct buf *b, bool is_cut, uint32_t users_n)
{
	buf_byte(b, ']');
	if (is_cut)
		buf_printf(b, ",\"truncated\":true,\"users_total\":%u", (unsigned)users_n);
}

/* There is only this server. */
static void put_own(struct buf *b, const struct presence_project *project, enum present_detail detail, size_t max)
{
	const struct presence_member *member = project ? project->first : NULL;
	size_t start = b->n;

	for (; member && b->n - start < max; member = member->next) {
		if (member != project->first)
			buf_byte(b, ',');
		put_member(b, member, detail);
	}
	put_cut(b, member, project ? project->members_n : 0);
}

void present_users(const struct collab *collab, struct buf *b, sio_slice id, enum present_detail detail, size_t max)
{
	const struct lease *leases = leases_map(collab);
	const struct lease_project *project = leases ? lease_find(leases, id) : NULL;
	const struct lease_user *user = lease_next(project, NULL), *first = user;
	size_t start = b->n;
	struct lease_shown shown;

	buf_str(b, "\"users\":[");
	if (!leases) {
		put_own(b, presence_project_find(&collab->presence, id), detail, max);
		return;
	}
	for (; user && b->n - start < max; user = lease_next(project, user)) {
		if (user != first)
			buf_byte(b, ',');
		lease_show(user, &shown);
		put_user(b, &shown, sio_bytes("", 0), detail);
	}
	put_cut(b, user, lease_users_n(project));
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
	present_users(client->collab, &b, presence_id(&member->project->node), PRESENT_FULL, COLLAB_LIST_MAX);
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
	if (fields[1].type == SIO_JSON_NULL)
		state = sio_bytes("", 0);
	if (leases_state(client->collab, member, state) < 0 || presence_set_state(member, state) < 0) {
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
	present_users(collab, out, project_id, PRESENT_FULL, SIZE_MAX);
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
	buf_time(out, (int64_t)client->connected_s * 1000);
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
