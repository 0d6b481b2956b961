/* recheck.c -- a role may have changed: look again, and evict who may not stay.
 *
 * Each doubt becomes a recheck: the role is asked of the store, asked again after a
 * while when the store cannot answer, and taken as gone when it never does (access
 * that cannot be checked is denied).  The store answers in the order of the
 * questions, so a join that was asked before the change is answered before the
 * recheck, which then finds it.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include "base/log.h"
#include "collab/client.h"

/* States: asking (the store owns it: arg) or waiting (its timer is set). */
struct recheck {
	struct collab *collab;
	struct recheck *next, **prev;
	struct sio_timer timer;
	unsigned tries;
	size_t project_n, user_n;
	char project[PRESENCE_ID_MAX];
	char user[PRESENCE_ID_MAX];
};

static void recheck_ask(struct recheck *recheck);

static void recheck_free(struct recheck *recheck)
{
	*recheck->prev = recheck->next;
	if (recheck->next)
		recheck->next->prev = recheck->prev;
	sio_timer_stop(&recheck->timer);
	free(recheck);
}

/* ---- eviction ----------------------------------------------------------------- */

/* Called for each socket of the user; arg: a copy of the project's id, for the
 * project may go with its last member. */
static void evict_socket(struct sio_socket *socket, void *arg)
{
	const sio_slice *id = arg;
	struct client *client = sio_socket_data(socket);
	struct presence_member *member = client ? client_seat(client, *id) : NULL;
	char quoted[PRESENCE_ID_MAX + 2];

	if (!member)
		return;
	log_info("User %s left project room: %s", client->user->node.key,
		 member->project->node.key);
	client_ref(client);
	project_vacate(client, member, PROJECT_REVOKED);
	quoted[0] = quoted[id->n + 1] = '"'; /* plain: no escapes */
	memcpy(quoted + 1, id->p, id->n);
	project_tell_revoked(client, sio_bytes(quoted, id->n + 2));
	client_unref(client);
}

static void evict(struct collab *collab, struct presence_member *member)
{
	struct presence_user *user = member->user;
	const struct presence_project *project;
	char copy[PRESENCE_ID_MAX];
	sio_slice id;

	memcpy(copy, member->project->node.key, member->project->node.key_n);
	id = sio_bytes(copy, member->project->node.key_n);
	user->refs++; /* its room's name is needed to the end */
	sio_room_each(collab->server, presence_user_room(user), evict_socket, &id);
	/* Left over: a member whose last socket had dropped, its grace running. */
	project = presence_project_find(&collab->presence, id);
	member = project ? presence_member_find(user, project) : NULL;
	if (member && member->connections_n == 0)
		project_gone(collab, member);
	presence_user_unref(&collab->presence, user);
}

/* ---- rechecks -------------------------------------------------------------------- */

static struct presence_member *recheck_member(const struct recheck *recheck)
{
	const struct presence *presence = &recheck->collab->presence;
	const struct presence_user *user = presence_user_find(presence, sio_bytes(recheck->user, recheck->user_n));
	const struct presence_project *project =
		presence_project_find(presence, sio_bytes(recheck->project, recheck->project_n));

	return user && project ? presence_member_find(user, project) : NULL;
}

static void recheck_settle(struct recheck *recheck, enum role role)
{
	struct collab *collab = recheck->collab;
	struct presence_member *member = recheck_member(recheck);

	recheck_free(recheck);
	if (!member)
		return;
	if (access_may(role, ACCESS_PROJECT_JOIN))
		member->role = (uint8_t)role;
	else
		evict(collab, member);
}

static void recheck_on_timer(struct sio_timer *timer)
{
	recheck_ask((struct recheck *)(void *)((char *)timer - offsetof(struct recheck, timer)));
}

static void recheck_later(struct recheck *recheck)
{
	if (++recheck->tries < COLLAB_RECHECK_TRIES) {
		sio_timer_start(recheck->collab->server, &recheck->timer, COLLAB_RECHECK_RETRY_MS, recheck_on_timer);
		return;
	}
	log_error("Access of user %.*s to project %.*s could not be checked: denied", (int)recheck->user_n,
		  recheck->user, (int)recheck->project_n, recheck->project);
	recheck_settle(recheck, ROLE_NONE);
}

static void recheck_done(struct store_result *result, void *arg)
{
	struct recheck *recheck = arg;
	enum store_status status = result->status;
	enum role role = status == STORE_OK ? access_role_parse(sio_str(result->role)) : ROLE_NONE;

	store_result_free(result);
	if (status == STORE_BUSY || status == STORE_UNAVAILABLE)
		recheck_later(recheck);
	else
		recheck_settle(recheck, role);
}

static void recheck_ask(struct recheck *recheck)
{
	struct store_ask ask = {
		.op = STORE_ROLE_GET,
		.project = sio_bytes(recheck->project, recheck->project_n),
		.user = sio_bytes(recheck->user, recheck->user_n),
		.is_ordered = true, /* behind the joins that were asked before */
		.done = recheck_done,
		.arg = recheck,
		.loop = recheck->collab->server,
	};
	int err = store_submit(recheck->collab->store, &ask);

	if (err == SIO_ERR_CLOSED)
		recheck_free(recheck); /* everything ends */
	else if (err < 0)
		recheck_later(recheck);
}

static void recheck_start(struct collab *collab, const struct presence_member *member)
{
	sio_slice project = presence_id(&member->project->node), user = presence_id(&member->user->node);
	struct recheck *recheck = calloc(1, sizeof(*recheck));

	if (!recheck) {
		log_error("Out of memory: access of user %s to project %s was not checked again",
			  member->user->node.key, member->project->node.key);
		return;
	}
	recheck->collab = collab;
	memcpy(recheck->project, project.p, recheck->project_n = project.n);
	memcpy(recheck->user, user.p, recheck->user_n = user.n);
	recheck->next = collab->rechecks;
	recheck->prev = &collab->rechecks;
	if (recheck->next)
		recheck->next->prev = &recheck->next;
	collab->rechecks = recheck;
	recheck_ask(recheck);
}

void recheck_stop(struct collab *collab)
{
	while (collab->rechecks)
		recheck_free(collab->rechecks);
}

/* ---- the call ------------------------------------------------------------------------ */

static void recheck_user(struct collab *collab, const struct presence_user *user)
{
	for (const struct presence_member *m = user->members; m; m = m->next_of_user)
		recheck_start(collab, m);
}

static void recheck_project(struct collab *collab, const struct presence_project *project)
{
	for (const struct presence_member *m = project->first; m; m = m->next)
		recheck_start(collab, m);
}

static void recheck_all(struct collab *collab)
{
	const struct map *projects = &collab->presence.projects;
	uint32_t i;

	for (struct map_node *node = map_first(projects, &i); node; node = map_next(projects, &i, node))
		recheck_project(collab, MAP_OWNER(node, struct presence_project, node));
}

void collab_access_changed(struct collab *collab, sio_slice project_id, sio_slice user_id)
{
	const struct presence_project *project = presence_project_find(&collab->presence, project_id);
	const struct presence_user *user = presence_user_find(&collab->presence, user_id);
	const struct presence_member *member = user && project ? presence_member_find(user, project) : NULL;

	if (project_id.n == 0 && user_id.n == 0)
		recheck_all(collab);
	else if (user_id.n == 0 && project)
		recheck_project(collab, project);
	else if (project_id.n == 0 && user)
		recheck_user(collab, user);
	else if (member)
		recheck_start(collab, member);
}
