/* client.c -- memory of a client, its seats (the projects it has joined), its wishes.
 *
 * A seat is a pointer to the member (user, project) that the client counts
 * towards.  Most clients sit in one project, so one seat stands in the struct and
 * a block is made for the second only.
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
	client->seats_cap = 1;
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
	if (client->seats_cap > 1)
		free(client->seats);
	if (client->socket)
		sio_socket_unref(client->socket);
	presence_user_unref(&client->collab->presence, client->user);
	free(client);
}

/* ---- seats ------------------------------------------------------------------ */

struct presence_member *client_seat(struct client *client, sio_slice id)
{
	struct presence_member **seats = client_seats(client);

	for (unsigned i = 0; i < client->seats_n; i++) {
		struct presence_member *member = seats[i];

		if (!sio_slice_eq(presence_id(&member->project->node), id))
			continue;
		seats[i] = seats[0];
		seats[0] = member;
		return member;
	}
	return NULL;
}

static int seats_grow(struct client *client)
{
	size_t cap = (size_t)client->seats_cap * 2;
	struct presence_member *seat = client->seat, **seats;

	if (cap > UINT16_MAX)
		return SIO_ERR_LIMIT;
	seats = realloc(client->seats_cap > 1 ? client->seats : NULL, cap * sizeof(*seats));
	if (!seats)
		return SIO_ERR_NOMEM;
	if (client->seats_cap == 1)
		seats[0] = seat;
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
	client_seats(client)[client->seats_n++] = member;
	return SIO_OK;
}

void client_seat_drop(struct client *client, struct presence_member *member)
{
	struct presence_member **seats = client_seats(client);
	unsigned i = 0;

	while (seats[i] != member)
		i++;
	seats[i] = seats[--client->seats_n];
}

/* ---- what a client asks for -------------------------------------------------------- */

sio_slice client_object(const struct sio_event *event)
{
	sio_slice rest = event->args.json, item;

	if (sio_json_next(&rest, &item) < 0)
		return sio_bytes("", 0);
	return item;
}

/* The seat that a field names.  Clients write ids as they are; one that escapes what
 * needs no escape is decoded first. */
static struct presence_member *seat_of(struct client *client, const struct sio_json_field *field)
{
	char plain[PRESENCE_ID_MAX + 1];
	sio_slice id;
	long n;

	if (field->type != SIO_JSON_STRING)
		return NULL;
	id = client_unquoted(field->value);
	if (!memchr(id.p, '\\', id.n))
		return client_seat(client, id);
	n = sio_json_unquote(field->value, plain, sizeof(plain));
	return n > 0 ? client_seat(client, sio_bytes(plain, (size_t)n)) : NULL;
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
	member = seat_of(client, &fields[0]);
	if (member)
		return member;
	emit_error_project(client, event->ack, "not_joined",
			   "Join the project first: send join_project with its project_id", fields[0].value);
	return NULL;
}

sio_slice collab_user_of(const struct sio_socket *socket)
{
	const struct client *client = sio_socket_data(socket);

	return client ? presence_id(&client->user->node) : sio_bytes("", 0);
}
