/* typing.c -- who is typing where, and when that is over.
 *
 * A socket types at one target of a project at a time; another target ends the
 * first.  It is over when the client says so, leaves, goes away, or has not
 * renewed it for typing_timeout_ms.  A person with two tabs at one target types
 * once: others hear of the first start and of the last stop.  Who goes on typing is told
 * again now and then, so that others can end it by themselves when nothing more comes: the
 * server of the one who types may have died.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>
#include <string.h>

#include "collab/client.h"

/* Hangs on its member; one for each socket of the member that types. */
struct typing {
	struct typing *next;
	struct presence_member *member;
	struct client *client; /* has a seat at member, or this would be gone */
	struct sio_timer timer;
	uint64_t told_ms;      /* when others heard of it */
	size_t target_n;
	char target[]; /* JSON text */
};

static sio_slice typing_target(const struct typing *typing)
{
	return sio_bytes(typing->target, typing->target_n);
}

static struct typing *typing_find(const struct presence_member *member, const struct client *client)
{
	struct typing *typing = member->typing;

	while (typing && typing->client != client)
		typing = typing->next;
	return typing;
}

static bool member_types_at(const struct presence_member *member, sio_slice target)
{
	for (const struct typing *typing = member->typing; typing; typing = typing->next)
		if (sio_slice_eq(typing_target(typing), target))
			return true;
	return false;
}

static void typing_tell(struct client *client, const struct presence_member *member, const char *event,
			sio_slice target)
{
	struct buf b = { 0 };

	buf_str(&b, "{\"project_id\":");
	emit_id(&b, &member->project->node);
	buf_str(&b, ",\"user_id\":");
	emit_id(&b, &member->user->node);
	buf_str(&b, ",\"target\":");
	buf_slice(&b, target);
	buf_byte(&b, '}');
	emit_to_others(client->collab, member->project, client->socket, event, &b);
}

void typing_end(struct client *client, struct presence_member *member)
{
	struct typing **at = &member->typing;
	struct typing *typing;

	while (*at && (*at)->client != client)
		at = &(*at)->next;
	typing = *at;
	if (!typing)
		return;
	*at = typing->next;
	sio_timer_stop(&typing->timer);
	if (!member_types_at(member, typing_target(typing)))
		typing_tell(client, member, "typing:stopped", typing_target(typing));
	free(typing);
}

static void typing_on_timeout(struct sio_timer *timer)
{
	struct typing *typing = (struct typing *)(void *)((char *)timer - offsetof(struct typing, timer));

	typing_end(typing->client, typing->member);
}

/* Start to type at target; returns 0 or SIO_ERR_NOMEM. */
static int typing_begin(struct client *client, struct presence_member *member, sio_slice target)
{
	bool is_known = member_types_at(member, target);
	struct typing *typing = calloc(1, sizeof(*typing) + target.n);

	if (!typing)
		return SIO_ERR_NOMEM;
	typing->member = member;
	typing->client = client;
	typing->told_ms = sio_server_now_ms(client->collab->server);
	typing->target_n = target.n;
	memcpy(typing->target, target.p, target.n);
	typing->next = member->typing;
	member->typing = typing;
	sio_timer_start(client->collab->server, &typing->timer, client->collab->options.typing_timeout_ms,
			typing_on_timeout);
	if (!is_known)
		typing_tell(client, member, "typing:started", target);
	return SIO_OK;
}

static void typing_renew(struct typing *typing)
{
	struct collab *collab = typing->client->collab;
	uint64_t now_ms = sio_server_now_ms(collab->server);

	sio_timer_start(collab->server, &typing->timer, collab->options.typing_timeout_ms, typing_on_timeout);
	if (now_ms - typing->told_ms < collab->options.typing_timeout_ms / 2)
		return;
	typing->told_ms = now_ms;
	typing_tell(typing->client, typing->member, "typing:started", typing_target(typing));
}

/* The member and target that a typing event names; NULL: an error was answered.
 * A missing target is null: typing somewhere in the project. */
static struct presence_member *typing_ask(struct client *client, const struct sio_event *event, sio_slice *target)
{
	struct sio_json_field fields[] = { { .key = "project_id" }, { .key = "target" } };
	struct presence_member *member = client_ask(client, event, fields, 2);

	if (!member)
		return NULL;
	*target = fields[1].type == SIO_JSON_NONE ? SIO_LIT("null") : fields[1].value;
	_Static_assert(COLLAB_TARGET_MAX == 256, "the message below names the limit");
	if (target->n <= COLLAB_TARGET_MAX)
		return member;
	emit_error_project(client, event->ack, "too_large",
			   "The typing target is larger than 256 bytes of JSON: send a shorter name", fields[0].value);
	return NULL;
}

void typing_on_start(struct client *client, const struct sio_event *event)
{
	sio_slice target;
	struct presence_member *member = typing_ask(client, event, &target);
	struct typing *typing;

	if (!member)
		return;
	typing = typing_find(member, client);
	if (typing && sio_slice_eq(typing_target(typing), target)) {
		typing_renew(typing);
	} else {
		typing_end(client, member);
		if (typing_begin(client, member, target) < 0) {
			emit_error(client, event->ack, "unavailable", "The server is out of memory: try again later",
				   sio_bytes("", 0));
			return;
		}
	}
	emit_ok(client, event->ack);
}

/* A stop of something else than what is typed at is late, and says nothing new. */
void typing_on_stop(struct client *client, const struct sio_event *event)
{
	sio_slice target;
	struct presence_member *member = typing_ask(client, event, &target);
	struct typing *typing;

	if (!member)
		return;
	typing = typing_find(member, client);
	if (typing && (sio_slice_eq(target, SIO_LIT("null")) || sio_slice_eq(target, typing_target(typing))))
		typing_end(client, member);
	emit_ok(client, event->ack);
}
