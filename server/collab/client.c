/* client.c -- memory of a client, its seats (the projects it has joined), its wishes.
 *
 * A seat is a pointer to the member (user, project) that the client counts
 * towards.  Most clients sit in one project, so two seats stand in the struct and
 * a block is made for the third only.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "collab/client.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The client takes over the caller's reference and connection of user. */
struct client *client_new(struct collab *collab, struct presence_user *user)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->collab = collab;
	client->user = user;
	client->seats = client->near;
	client->seats_cap = CLIENT_NEAR;
	client->end_ms = UINT64_MAX;
	client->connected_s = (uint32_t)(collab_wall_ms() / 1000);
	client->refs = 1;
	return client;
}

void client_unref(struct client *client)
{
	assert(client->refs > 0);
	if (--client->refs > 0)
		return;
	assert(client->seats_n == 0);
	if (client->seats != client->near)
		free(client->seats);
	if (client->socket)
		sio_socket_unref(client->socket);
	presence_user_unref(&client->collab->presence, client->user);
	free(client);
}

/* ---- seats ------------------------------------------------------------------ */

/* Is id, the JSON text of a string, the id of this project?  Clients write ids as
 * we do, except for those that escape what needs no escape. */
static bool seat_is(const struct presence_member *member, sio_slice id)
{
	const struct presence_name *name = &member->project->text;
	char plain[PRESENCE_ID_MAX + 1];
	long n;

	if (sio_slice_eq(presence_quoted(name), id))
		return true;
	if (!memchr(id.p, '\\', id.n))
		return false;
	n = sio_json_unquote(id, plain, sizeof(plain));
	return n > 0 && sio_slice_eq(presence_id(name), sio_bytes(plain, (size_t)n));
}

struct presence_member *client_seat(struct client *client, sio_slice id)
{
	for (unsigned i = 0; i < client->seats_n; i++) {
		struct presence_member *member = client->seats[i];

		if (!seat_is(member, id))
			continue;
		client->seats[i] = client->seats[0];
		client->seats[0] = member;
		return member;
	}
	return NULL;
}

static int seats_grow(struct client *client)
{
	size_t cap = (size_t)client->seats_cap * 2;
	bool is_near = client->seats == client->near;
	struct presence_member **seats;

	if (cap > UINT16_MAX)
		return SIO_ERR_LIMIT;
	seats = realloc(is_near ? NULL : client->seats, cap * sizeof(*seats));
	if (!seats)
		return SIO_ERR_NOMEM;
	if (is_near)
		memcpy(seats, client->near, sizeof(client->near));
	client->seats = seats;
	client->seats_cap = (uint16_t)cap;
	return SIO_OK;
}

int client_seat_add(struct client *client, struct presence_member *member)
{
	if (client->seats_n == client->seats_cap) {
		int err = seats_grow(client);

		if (err < 0)
			return err;
	}
	client->seats[client->seats_n++] = member;
	return SIO_OK;
}

void client_seat_drop(struct client *client, struct presence_member *member)
{
	unsigned i = 0;

	while (client->seats[i] != member)
		i++;
	client->seats[i] = client->seats[--client->seats_n];
}

/* ---- what a client asks for -------------------------------------------------------- */

sio_slice client_object(const struct sio_event *event)
{
	sio_slice rest = event->args.json, item;

	if (sio_json_next(&rest, &item) < 0)
		return sio_bytes("", 0);
	return item;
}

struct presence_member *client_ask(struct client *client, const struct sio_event *event,
				   struct sio_json_field *fields, size_t n)
{
	struct presence_member *member;
	int err = sio_json_pick(event->args.json, fields, n);

	if (err == SIO_ERR_PROTO) /* more than one argument, or no object at all */
		err = sio_json_pick(client_object(event), fields, n);
	if (err < 0 || event->args.attachments_n > 0) {
		emit_error(client, event->ack, "invalid_payload",
			   "Send one JSON object without binary data and without repeated keys", sio_bytes("", 0));
		return NULL;
	}
	if (fields[0].type == SIO_JSON_STRING) {
		member = client_seat(client, fields[0].value);
		if (member)
			return member;
	}
	emit_error_project(client, event->ack, "not_joined",
			   "Join the project first: send join_project with its project_id", fields[0].value);
	return NULL;
}
