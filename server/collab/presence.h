/* presence.h -- who is in which project: users, projects, and the pairs of both.
 *
 * A pure data structure: no socket, no clock, no timer; time comes as now_ms.
 * People are counted, not sockets: a user with three tabs in a project is one
 * member with three connections, and others hear of the first and the last only.
 *
 * A member whose connections are gone uncleanly (the network dropped) is kept for
 * grace_ms: others still see it, and if the user is back in time nobody hears
 * anything.  What is due is found with presence_due.
 *
 * Users and projects are shared by everything that names them.  A user lives while
 * it is referenced (sockets, members, pending connects), a project while it has
 * members.  One thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef COLLAB_PRESENCE_H
#define COLLAB_PRESENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"

struct typing;

/* Ids are plain: text that needs no escape in JSON, so it can be put between quotes
 * as it is.  Behind each struct, in the same block, stands its room's name,
 * "user:<id>" or "project:<id>" with a NUL; the node's key is the id in there. */
#define PRESENCE_USER_PREFIX "user:"
#define PRESENCE_PROJECT_PREFIX "project:"

enum { PRESENCE_NAME_NEAR = 15 }; /* bytes of a name that needs no block of its own: most do not */

struct presence_user {
	struct map_node node;              /* in presence.users, by id */
	struct presence_member *members;   /* the projects it is in, newest first */
	union {                            /* what people call it: presence_user_name */
		char near[PRESENCE_NAME_NEAR + 1];
		char *far;
	} name;
	uint32_t refs;
	uint32_t connections_n : 31;       /* sockets, and connects under way */
	uint32_t is_name_far : 1;
};

struct presence_project {
	struct map_node node;              /* in presence.projects, by id */
	struct presence_member *first;     /* members in the order in which they came */
	struct presence_member **last;
	uint32_t members_n;
	uint32_t connections_n;            /* sockets in it, over all members */
	int64_t seq;                       /* of the last durable event that its room was sent; -1: not known yet */
};

/* A member without connections that waits for its user to come back. */
struct presence_leaving {
	struct presence_leaving *next, **prev; /* by leave_at_ms */
	struct presence_member *member;
	uint64_t leave_at_ms;
};

/* One user in one project.  There is one for most sockets, so it is kept small.
 * connections_n > 0; or it is leaving; or it has just lost its last connection and
 * the caller is about to remove it. */
struct presence_member {
	struct presence_user *user;
	struct presence_project *project;
	struct presence_member *next, **prev; /* of the project */
	struct presence_member *next_of_user;
	int64_t joined_at_ms;                 /* since 1970 */
	struct presence_state *state;         /* NULL for none */
	union {
		struct typing *typing;            /* typing.c's; while connections_n > 0 */
		struct presence_leaving *leaving; /* while connections_n == 0; NULL: not leaving */
	};
	uint32_t connections_n;
	uint8_t role;                         /* as of the last look-up */
};

/* What the user looks at, as JSON text. */
struct presence_state {
	size_t n;
	char text[];
};

struct presence {
	struct map users;
	struct map projects;
	struct presence_leaving *leaving;  /* who is due first stands first */
	struct presence_leaving **leaving_last;
	uint32_t grace_ms;
	uint32_t members_n;                /* pairs that others see as present */
	uint32_t occupied_n;               /* projects with at least one connection */
	uint32_t connected_n;              /* users with at least one connection */
	uint32_t connections_n;            /* connections of all users */
};

#define PRESENCE_ID_MAX 247 /* bytes of a user's or project's id: "project:" and it fit SIO_ROOM_MAX */

void presence_init(struct presence *p, uint32_t grace_ms);

/* Frees members, projects and the users that nobody else references. */
void presence_fini(struct presence *p);

/* ---- users -------------------------------------------------------------------- */

/* The user of that id, made when there is none, with one more reference; NULL
 * when the id is empty, too long or not plain, or memory ran out. */
struct presence_user *presence_user_open(struct presence *p, sio_slice id);
void presence_user_unref(struct presence *p, struct presence_user *user);

struct presence_user *presence_user_find(const struct presence *p, sio_slice id);

/* What others read: its display name, or its id as long as there is none.  Until the next
 * rename. */
sio_slice presence_user_name(const struct presence_user *user);
/* Change the display name.  Returns 0 or SIO_ERR_NOMEM (the old one stays). */
int presence_user_rename(struct presence_user *user, sio_slice name);

/* One connection of the user more, one fewer. */
void presence_user_connect(struct presence *p, struct presence_user *user);
void presence_user_disconnect(struct presence *p, struct presence_user *user);

/* ---- members ------------------------------------------------------------------- */

struct presence_project *presence_project_find(const struct presence *p, sio_slice id);
struct presence_member *presence_member_find(const struct presence_user *user, const struct presence_project *project);

/* One more connection of user in the project.  *is_new tells whether others shall
 * hear of it.  Returns the member, or NULL (the id as above, no memory). */
struct presence_member *presence_join(struct presence *p, struct presence_user *user, sio_slice project_id,
				      int64_t wall_ms, bool *is_new);

/* One connection fewer.  Returns true when the user has left the project: the
 * caller tells the others, then calls presence_remove.  With is_clean false the
 * last connection leaves the member waiting until now_ms + grace_ms instead (unless
 * there is no memory for that). */
SIO_MUST_CHECK bool presence_leave(struct presence *p, struct presence_member *member, uint64_t now_ms, bool is_clean);

/* Take a member without connections out and free it; its user and project may go
 * with it. */
void presence_remove(struct presence *p, struct presence_member *member);

/* A member whose grace has ended at now_ms, or NULL. */
struct presence_member *presence_due(const struct presence *p, uint64_t now_ms);

/* When presence_due has something to say next, UINT64_MAX for never. */
uint64_t presence_next_due_ms(const struct presence *p);

/* Keep state (JSON text) as the member's last; empty for none.  Returns 0 or
 * SIO_ERR_NOMEM (the old one stays). */
int presence_set_state(struct presence_member *member, sio_slice state);

/* All counts agree with the lists; for tests, linear in everything. */
bool presence_sane(const struct presence *p);

/* ---- names ------------------------------------------------------------------------ */

/* The id of a user's or project's node, NUL-terminated behind its end. */
static inline sio_slice presence_id(const struct map_node *node)
{
	return sio_bytes(node->key, node->key_n);
}

static inline sio_slice presence_user_room(const struct presence_user *user)
{
	const size_t prefix = sizeof(PRESENCE_USER_PREFIX) - 1;

	return sio_bytes(user->node.key - prefix, prefix + user->node.key_n);
}

static inline sio_slice presence_project_room(const struct presence_project *project)
{
	const size_t prefix = sizeof(PRESENCE_PROJECT_PREFIX) - 1;

	return sio_bytes(project->node.key - prefix, prefix + project->node.key_n);
}

/* What all members of all projects differ in, never 0: sio_target.latest_key. */
static inline uint32_t presence_key(const struct presence_member *member)
{
	return (member->user->node.hash * 31 + member->project->node.hash) | 1;
}

#endif
