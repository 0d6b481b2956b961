/* presence.c -- see presence.h.
 *
 * Two hash tables (users, projects) and one block a pair, the member, which stands
 * in its project's and its user's list.  While its grace runs a second block puts
 * it on the leaving list.  The grace is the same for all, so that list is in order
 * of time by itself and only its head is ever looked at.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "collab/presence.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <sio/json.h>

void presence_init(struct presence *p, uint32_t grace_ms)
{
	*p = (struct presence){ .grace_ms = grace_ms };
	map_init(&p->users);
	map_init(&p->projects);
	p->leaving_last = &p->leaving;
}

void presence_fini(struct presence *p)
{
	struct map_node *node;
	uint32_t i;

	while ((node = map_first(&p->projects, &i))) {
		struct presence_project *project = MAP_OWNER(node, struct presence_project, node);
		struct presence_member *member = project->first;

		if (member->connections_n > 0) { /* nobody's any more */
			member->connections_n = 0;
			member->typing = NULL;
		}
		presence_remove(p, member);
	}
	map_fini(&p->projects);
	map_fini(&p->users);
}

/* ---- names ------------------------------------------------------------------ */

static bool id_is_usable(sio_slice id)
{
	return id.n > 0 && id.n <= PRESENCE_ID_MAX && sio_json_quote(id, NULL, 0) == id.n + 2;
}

/* A zeroed struct of size bytes with the room's name behind it; *key is the id there. */
static void *named_new(size_t size, sio_slice prefix, sio_slice id, sio_slice *key)
{
	char *block = calloc(1, size + prefix.n + id.n + 1);

	if (!block)
		return NULL;
	memcpy(block + size, prefix.p, prefix.n);
	memcpy(block + size + prefix.n, id.p, id.n);
	*key = sio_bytes(block + size + prefix.n, id.n);
	return block;
}

/* ---- users ------------------------------------------------------------------- */

static struct presence_user *user_new(struct presence *p, sio_slice id)
{
	sio_slice key;
	struct presence_user *user = named_new(sizeof(*user), SIO_LIT(PRESENCE_USER_PREFIX), id, &key);

	if (!user)
		return NULL;
	if (map_put(&p->users, &user->node, key) < 0) {
		free(user);
		return NULL;
	}
	return user;
}

struct presence_user *presence_user_find(const struct presence *p, sio_slice id)
{
	struct map_node *node = map_get(&p->users, id);

	return node ? MAP_OWNER(node, struct presence_user, node) : NULL;
}

struct presence_user *presence_user_open(struct presence *p, sio_slice id)
{
	struct presence_user *user;

	if (!id_is_usable(id))
		return NULL;
	user = presence_user_find(p, id);
	if (!user)
		user = user_new(p, id);
	if (user)
		user->refs++;
	return user;
}

void presence_user_unref(struct presence *p, struct presence_user *user)
{
	assert(user->refs > 0);
	if (--user->refs > 0)
		return;
	assert(!user->members && user->connections_n == 0);
	map_del(&p->users, &user->node);
	if (user->is_name_far)
		free(user->name.far);
	free(user);
}

sio_slice presence_user_name(const struct presence_user *user)
{
	sio_slice name = sio_str(user->is_name_far ? user->name.far : user->name.near);

	return name.n ? name : presence_id(&user->node);
}

int presence_user_rename(struct presence_user *user, sio_slice name)
{
	char *copy = user->name.near;

	if (sio_slice_eq(presence_user_name(user), name))
		return SIO_OK;
	if (name.n > PRESENCE_NAME_NEAR)
		copy = malloc(name.n + 1);
	if (!copy)
		return SIO_ERR_NOMEM;
	if (user->is_name_far)
		free(user->name.far);
	memcpy(copy, name.p, name.n);
	copy[name.n] = '\0';
	user->is_name_far = name.n > PRESENCE_NAME_NEAR;
	if (user->is_name_far)
		user->name.far = copy;
	return SIO_OK;
}

void presence_user_connect(struct presence *p, struct presence_user *user)
{
	if (user->connections_n++ == 0)
		p->connected_n++;
	p->connections_n++;
}

void presence_user_disconnect(struct presence *p, struct presence_user *user)
{
	assert(user->connections_n > 0);
	if (--user->connections_n == 0)
		p->connected_n--;
	p->connections_n--;
}

/* ---- projects ------------------------------------------------------------------ */

struct presence_project *presence_project_find(const struct presence *p, sio_slice id)
{
	struct map_node *node = map_get(&p->projects, id);

	return node ? MAP_OWNER(node, struct presence_project, node) : NULL;
}

static struct presence_project *project_new(struct presence *p, sio_slice id)
{
	sio_slice key;
	struct presence_project *project =
		named_new(sizeof(*project), SIO_LIT(PRESENCE_PROJECT_PREFIX), id, &key);

	if (!project)
		return NULL;
	project->last = &project->first;
	project->seq = -1;
	if (map_put(&p->projects, &project->node, key) < 0) {
		free(project);
		return NULL;
	}
	return project;
}

static void project_drop_if_empty(struct presence *p, struct presence_project *project)
{
	if (project->first)
		return;
	map_del(&p->projects, &project->node);
	free(project);
}

/* ---- members ------------------------------------------------------------------- */

struct presence_member *presence_member_find(const struct presence_user *user, const struct presence_project *project)
{
	struct presence_member *member = user->members;

	while (member && member->project != project)
		member = member->next_of_user;
	return member;
}

static struct presence_member *member_new(struct presence *p, struct presence_user *user,
					  struct presence_project *project, int64_t wall_ms)
{
	struct presence_member *member = calloc(1, sizeof(*member));

	if (!member)
		return NULL;
	member->user = user;
	member->project = project;
	member->joined_at_ms = wall_ms;
	member->prev = project->last;
	*project->last = member;
	project->last = &member->next;
	member->next_of_user = user->members;
	user->members = member;
	user->refs++;
	project->members_n++;
	p->members_n++;
	return member;
}

/* The user is back, or is removed at last. */
static void leaving_stop(struct presence *p, struct presence_member *member)
{
	struct presence_leaving *leaving = member->leaving;

	if (!leaving)
		return;
	*leaving->prev = leaving->next;
	if (leaving->next)
		leaving->next->prev = leaving->prev;
	else
		p->leaving_last = leaving->prev;
	free(leaving);
	member->leaving = NULL;
}

static int leaving_start(struct presence *p, struct presence_member *member, uint64_t leave_at_ms)
{
	struct presence_leaving *leaving = malloc(sizeof(*leaving));

	if (!leaving)
		return SIO_ERR_NOMEM;
	*leaving = (struct presence_leaving){ NULL, p->leaving_last, member, leave_at_ms };
	*p->leaving_last = leaving;
	p->leaving_last = &leaving->next;
	member->leaving = leaving;
	return SIO_OK;
}

struct presence_member *presence_join(struct presence *p, struct presence_user *user, sio_slice project_id,
				      int64_t wall_ms, bool *is_new)
{
	struct presence_project *project;
	struct presence_member *member;

	if (!id_is_usable(project_id))
		return NULL;
	project = presence_project_find(p, project_id);
	if (!project && !(project = project_new(p, project_id)))
		return NULL;
	member = presence_member_find(user, project);
	*is_new = !member;
	if (!member && !(member = member_new(p, user, project, wall_ms))) {
		project_drop_if_empty(p, project);
		return NULL;
	}
	if (member->connections_n == 0)
		leaving_stop(p, member);
	member->connections_n++;
	if (project->connections_n++ == 0)
		p->occupied_n++;
	return member;
}

bool presence_leave(struct presence *p, struct presence_member *member, uint64_t now_ms, bool is_clean)
{
	assert(member->connections_n > 0);
	if (--member->project->connections_n == 0)
		p->occupied_n--;
	if (--member->connections_n > 0)
		return false;
	assert(!member->typing); /* from here on it means leaving */
	return is_clean || p->grace_ms == 0 || leaving_start(p, member, now_ms + p->grace_ms) < 0;
}

void presence_remove(struct presence *p, struct presence_member *member)
{
	struct presence_project *project = member->project;
	struct presence_user *user = member->user;
	struct presence_member **at = &user->members;

	assert(member->connections_n == 0);
	leaving_stop(p, member);
	while (*at != member)
		at = &(*at)->next_of_user;
	*at = member->next_of_user;
	*member->prev = member->next;
	if (member->next)
		member->next->prev = member->prev;
	else
		project->last = member->prev;
	free(member->state);
	free(member);
	project->members_n--;
	p->members_n--;
	project_drop_if_empty(p, project);
	presence_user_unref(p, user);
}

struct presence_member *presence_due(const struct presence *p, uint64_t now_ms)
{
	return p->leaving && p->leaving->leave_at_ms <= now_ms ? p->leaving->member : NULL;
}

uint64_t presence_next_due_ms(const struct presence *p)
{
	return p->leaving ? p->leaving->leave_at_ms : UINT64_MAX;
}

int presence_set_state(struct presence_member *member, sio_slice text)
{
	struct presence_state *state = NULL;

	if (text.n > 0) {
		state = malloc(sizeof(*state) + text.n);
		if (!state)
			return SIO_ERR_NOMEM;
		state->n = text.n;
		memcpy(state->text, text.p, text.n);
	}
	free(member->state);
	member->state = state;
	return SIO_OK;
}

/* ---- invariants -------------------------------------------------------------------- */

static bool project_sane(const struct presence_project *project, const struct presence *p)
{
	struct presence_member *const *link = &project->first;
	uint32_t members = 0, connections = 0;

	for (const struct presence_member *m = project->first; m; m = m->next) {
		if (m->prev != link || m->project != project)
			return false;
		if (presence_member_find(m->user, project) != m)
			return false;
		if (m->connections_n == 0 && (!m->leaving || m->leaving->member != m))
			return false;
		if (presence_user_find(p, presence_id(&m->user->node)) != m->user)
			return false;
		link = &m->next;
		connections += m->connections_n;
		members++;
	}
	return project->last == link && members > 0 && members == project->members_n &&
	       connections == project->connections_n;
}

static bool leaving_sane(const struct presence *p)
{
	struct presence_leaving *const *link = &p->leaving;
	uint64_t last_ms = 0;

	for (const struct presence_leaving *l = p->leaving; l; l = l->next) {
		if (l->prev != link || l->leave_at_ms < last_ms)
			return false;
		if (l->member->connections_n > 0 || l->member->leaving != l)
			return false;
		last_ms = l->leave_at_ms;
		link = &l->next;
	}
	return p->leaving_last == link;
}

static bool users_sane(const struct presence *p)
{
	uint32_t connected = 0, connections = 0, i;

	for (struct map_node *node = map_first(&p->users, &i); node; node = map_next(&p->users, &i, node)) {
		const struct presence_user *user = MAP_OWNER(node, struct presence_user, node);
		uint32_t members = 0;

		for (const struct presence_member *m = user->members; m; m = m->next_of_user) {
			if (m->user != user)
				return false;
			members++;
		}
		if (user->refs == 0 || user->refs < members)
			return false;
		connected += user->connections_n > 0;
		connections += user->connections_n;
	}
	return connected == p->connected_n && connections == p->connections_n;
}

bool presence_sane(const struct presence *p)
{
	uint32_t members = 0, occupied = 0, i;

	for (struct map_node *node = map_first(&p->projects, &i); node; node = map_next(&p->projects, &i, node)) {
		const struct presence_project *project = MAP_OWNER(node, struct presence_project, node);

		if (!project_sane(project, p))
			return false;
		members += project->members_n;
		occupied += project->connections_n > 0;
	}
	return members == p->members_n && occupied == p->occupied_n && leaving_sane(p) && users_sane(p);
}
