/* project.c -- entering and leaving projects.
 *
 * A join asks the store for the user's role; until the answer is there the socket's
 * further events are held back, so what a client sends behind its join is handled
 * inside the project.  Others hear user:joined with a user's first connection in
 * the project and user:left with its last, on whichever server: at once when it left, after
 * the grace when its network dropped.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "collab/client.h"

/* ---- refusals ----------------------------------------------------------------- */

void project_deny(struct client *client, uint64_t ack, sio_slice id)
{
	emit_error_project(client, ack, "access_denied", "Access denied to project", id);
}

void project_unavailable(struct client *client, uint64_t ack, sio_slice id)
{
	emit_error_project(client, ack, "unavailable",
			   "Access to the project could not be checked: try again in a moment", id);
}

void project_tell_revoked(struct client *client, sio_slice id)
{
	struct buf b = { 0 };

	emit_begin(&b);
	buf_str(&b, "\"project_id\":");
	buf_slice(&b, id);
	emit_answer(client, SIO_ACK_NONE, "access:revoked", &b);
}

static void too_many(struct client *client, uint64_t ack, sio_slice id)
{
	char message[128];

	snprintf(message, sizeof(message), "This connection is in %u projects, the most it may join: leave one first",
		 (unsigned)client->seats_n);
	emit_error_project(client, ack, "too_many_rooms", message, id);
}

/* ---- what others hear ------------------------------------------------------------ */

/* Each server tells its own clients: what they have heard and what its list says is one. */
void project_tell(struct collab *collab, sio_slice project_id, sio_slice user, const struct sio_socket *skip, bool is_joined)
{
	const struct presence_project *project = presence_project_find(&collab->presence, project_id);
	const char *event = is_joined ? "user:joined" : "user:left";
	struct buf b = { 0 };
	struct sio_args args;

	if (!project || project->connections_n == 0)
		return; /* nobody would hear it */
	buf_str(&b, "{\"user_id\":");
	buf_json(&b, user);
	buf_str(&b, ",\"project_id\":");
	buf_json(&b, project_id);
	buf_byte(&b, '}');
	sio_slice room = presence_project_room(project);
	struct sio_target target = { .rooms = &room, .rooms_n = 1, .skip = skip, .is_local = true };
	args = (struct sio_args){ .json = buf_peek(&b) };
	if (b.failed || sio_broadcast(collab->server, &target, sio_str(event), &args) == SIO_ERR_NOMEM)
		log_error("Out of memory: nobody heard of %s in project %.*s", event, (int)project_id.n, project_id.p);
	buf_fini(&b);
}

void project_gone(struct collab *collab, struct presence_member *member)
{
	if (leases_drop(collab, member))
		project_tell(collab, presence_id(&member->project->node), presence_id(&member->user->node), NULL, false);
	presence_remove(&collab->presence, member);
}

/* Have the grace timer fire when the next member is due. */
static void grace_arm(struct collab *collab)
{
	uint64_t now = sio_server_now_ms(collab->server), due = presence_next_due_ms(&collab->presence);

	if (due == UINT64_MAX)
		sio_timer_stop(&collab->grace);
	else
		sio_timer_start(collab->server, &collab->grace, due > now ? (uint32_t)(due - now) : 0,
				project_on_grace);
}

void project_on_grace(struct sio_timer *timer)
{
	struct collab *collab = (struct collab *)(void *)((char *)timer - offsetof(struct collab, grace));
	struct presence_member *member;

	while ((member = presence_due(&collab->presence, sio_server_now_ms(collab->server))))
		project_gone(collab, member);
	grace_arm(collab);
}

/* ---- entering --------------------------------------------------------------------- */

void project_answer_joined(struct client *client, uint64_t ack, const struct presence_member *member)
{
	struct buf b = { 0 };

	emit_begin(&b);
	buf_str(&b, "\"project_id\":");
	emit_id(&b, &member->project->node);
	buf_str(&b, ",\"message\":\"Joined project ");
	buf_slice(&b, presence_id(&member->project->node)); /* plain ids need no escape */
	buf_printf(&b, "\",\"seq\":%lld,", (long long)member->project->seq);
	present_users(client->collab, &b, presence_id(&member->project->node), PRESENT_BRIEF, COLLAB_LIST_MAX);
	emit_answer(client, ack, "joined_project", &b);
}

/* The list names the users of all servers: it may have to wait for them. */
static void answer_joined(struct client *client, uint64_t ack, const struct presence_member *member)
{
	if (!leases_await_join(client, ack, member))
		project_answer_joined(client, ack, member);
}

/* Give up a place that was not taken: whoever was never announced goes silently. */
static void enter_undo(struct client *client, struct presence_member *member, bool is_new)
{
	struct presence *presence = &client->collab->presence;

	if (!presence_leave(presence, member, sio_server_now_ms(client->collab->server), true))
		return;
	if (is_new)
		presence_remove(presence, member);
	else
		project_gone(client->collab, member);
}

/* Take a seat and a place in the room, and tell other servers.  *is_first becomes: this one's clients
 * shall hear of it.  Returns 0 or an error with nothing changed. */
static int enter_room(struct client *client, struct presence_member *member, bool *is_first)
{
	int err = client_seat_add(client, member);

	if (err < 0)
		return err;
	err = sio_room_join(client->socket, presence_project_room(member->project));
	if (err == SIO_OK) {
		err = leases_set(client->collab, member, is_first);
		if (err < 0)
			sio_room_leave(client->socket, presence_project_room(member->project));
	}
	if (err < 0)
		client_seat_drop(client, member);
	return err;
}

/* state: of a member that is new, as JSON text; empty for none. */
static void enter(struct client *client, uint64_t ack, sio_slice id, enum role role, int64_t seq, sio_slice state)
{
	struct collab *collab = client->collab;
	struct presence_member *member = client_seat(client, client_unquoted(id));
	bool is_new, is_first;
	int err;

	if (member) { /* joining again is no news to anybody but the asker */
		answer_joined(client, ack, member);
		return;
	}
	member = presence_join(&collab->presence, client->user, client_unquoted(id), collab_wall_ms(),
			       &is_new);
	if (member && member->project->seq < 0)
		member->project->seq = seq; /* the room begins here */
	is_first = member && is_new;
	err = member ? enter_room(client, member, &is_first) : SIO_ERR_NOMEM;
	if (err < 0) {
		history_left_project(client, client_unquoted(id), false);
		if (member)
			enter_undo(client, member, is_new);
		if (err == SIO_ERR_LIMIT)
			too_many(client, ack, id);
		else
			project_unavailable(client, ack, id);
		return;
	}
	member->role = (uint8_t)role;
	log_info("User %s joined project room: %s", client->user->node.key,
		 member->project->node.key);
	if (is_first)
		project_tell(collab, presence_id(&member->project->node), presence_id(&client->user->node), client->socket, true);
	if (is_new && state.n > 0 && !leases_has_state(collab, member) && leases_state(collab, member, state) == 0 &&
	    presence_set_state(member, state) == 0)
		present_tell_state(collab, member, client->socket);
	answer_joined(client, ack, member);
}

void project_enter(struct client *client, uint64_t ack, sio_slice id, enum role role, int64_t seq)
{
	enter(client, ack, id, role, seq, sio_bytes("", 0));
}

void project_enter_again(struct client *client, sio_slice id, enum role role, int64_t seq, sio_slice state)
{
	enter(client, SIO_ACK_NONE, id, role, seq, state);
}

/* A join that waits for the store. */
struct join {
	struct client *client; /* referenced; its socket is paused */
	uint64_t ack;
	size_t id_n;
	char id[ACCESS_ID_MAX + 2]; /* as JSON text */
};

static void join_answer(const struct join *join, const struct store_result *result)
{
	struct client *client = join->client;
	sio_slice id = sio_bytes(join->id, join->id_n);
	enum role role;

	if (!sio_socket_is_open(client->socket))
		return;
	role = access_role_parse(sio_str(result->role));
	if (result->status == STORE_OK && result->role[0] && !access_may(role, ACCESS_PROJECT_JOIN))
		history_left_project(client, client_unquoted(id), false); /* noted as joined, for it has a role */
	if (result->status == STORE_OK && access_may(role, ACCESS_PROJECT_JOIN))
		project_enter(client, join->ack, id, role, result->seq);
	else if (result->status == STORE_BUSY || result->status == STORE_UNAVAILABLE)
		project_unavailable(client, join->ack, id);
	else
		project_deny(client, join->ack, id);
}

static void join_done(struct store_result *result, void *arg)
{
	struct join *join = arg;

	join_answer(join, result);
	store_result_free(result);
	sio_socket_resume(join->client->socket);
	client_unref(join->client);
	free(join);
}

/* Ask the store; returns 0 or an error (then nothing is under way).  A client that may come
 * back is answered when the store knows that it is there. */
static int join_ask(struct client *client, uint64_t ack, sio_slice id)
{
	struct join *join = malloc(sizeof(*join));
	sio_slice pid = sio_socket_pid(client->socket);
	struct store_ask ask = {
		.op = pid.n ? STORE_SESSION_JOIN : STORE_ROLE_GET,
		.item = pid,
		.actor = sio_str(client->collab->history.node),
		.project = client_unquoted(id),
		.user = presence_id(&client->user->node),
		.is_ordered = true, /* the room begins behind exactly those events that were sent before */
		.done = join_done,
		.arg = join,
		.loop = client->collab->server,
	};
	int err;

	if (!join)
		return SIO_ERR_NOMEM;
	*join = (struct join){ .client = client, .ack = ack, .id_n = id.n };
	memcpy(join->id, id.p, id.n);
	err = store_submit(client->collab->store, &ask);
	if (err < 0) {
		free(join);
		return err;
	}
	client_ref(client);
	sio_socket_pause(client->socket);
	return SIO_OK;
}

/* Is this JSON text a string that is a plain project id, written without escapes?
 * (A plain id needs none, so who escapes it is not one of our clients.) */
static bool is_project_id(const struct sio_json_field *field)
{
	return field->type == SIO_JSON_STRING && field->value.n > 2 &&
	       access_id_ok(client_unquoted(field->value));
}

void project_on_join(struct client *client, const struct sio_event *event)
{
	struct sio_json_field id = { .key = "project_id" };
	struct presence_member *member;

	if (sio_json_pick(client_object(event), &id, 1) < 0 || !is_project_id(&id)) {
		project_deny(client, event->ack, id.value);
		return;
	}
	member = client_seat(client, client_unquoted(id.value));
	if (member)
		answer_joined(client, event->ack, member);
	else if (join_ask(client, event->ack, id.value) < 0)
		project_unavailable(client, event->ack, id.value);
}

/* ---- leaving ------------------------------------------------------------------------- */

void project_vacate(struct client *client, struct presence_member *member, enum project_end how)
{
	struct collab *collab = client->collab;

	typing_end(client, member);
	history_left_project(client, presence_id(&member->project->node), how == PROJECT_REVOKED); /* unless its socket has ended */
	sio_room_leave(client->socket, presence_project_room(member->project));
	client_seat_drop(client, member);
	if (presence_leave(&collab->presence, member, sio_server_now_ms(collab->server), how != PROJECT_LOST)) {
		project_gone(collab, member);
		return;
	}
	if (member->connections_n == 0)
		grace_arm(collab);
	(void)!leases_set(collab, member, &(bool){ false }); /* without memory others see the old number of connections */
}

/* Leaving a project one is not in is answered like leaving it: so it is. */
void project_on_leave(struct client *client, const struct sio_event *event)
{
	struct sio_json_field id = { .key = "project_id" };
	struct presence_member *member;
	struct buf b = { 0 };

	if (sio_json_pick(client_object(event), &id, 1) < 0 || !is_project_id(&id)) {
		project_deny(client, event->ack, id.value);
		return;
	}
	member = client_seat(client, client_unquoted(id.value));
	if (member) {
		log_info("User %s left project room: %s", client->user->node.key,
			 member->project->node.key);
		project_vacate(client, member, PROJECT_LEFT);
	}
	emit_begin(&b);
	buf_str(&b, "\"project_id\":");
	buf_slice(&b, id.value);
	buf_str(&b, ",\"message\":\"Left project ");
	buf_slice(&b, client_unquoted(id.value));
	buf_byte(&b, '"');
	emit_answer(client, event->ack, "left_project", &b);
}
