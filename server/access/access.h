/* access.h -- may this role do that?  Also: what is a plain id?
 *
 * Pure functions over facts: the caller has looked the role up (store's ROLE_GET
 * or an outside RBAC).  Refuses to know the store, the network and the time.
 * Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef ACCESS_ACCESS_H
#define ACCESS_ACCESS_H

#include <stdbool.h>

#include <sio/slice.h>

/* Ordered: a role may do all that a smaller one may. */
enum role { ROLE_NONE, ROLE_VIEWER, ROLE_COMMENTER, ROLE_EDITOR, ROLE_OWNER };

/* X(name, least role that may) */
#define ACCESS_ACTION_MAP(X)                                                                       \
	X(PROJECT_JOIN, VIEWER)       /* join_project, presence, cursor, typing */                 \
	X(PROJECT_READ, VIEWER)                                                                    \
	X(PROJECT_CHANGE, OWNER)      /* name, description */                                      \
	X(PROJECT_DELETE, OWNER)                                                                   \
	X(COLLABORATOR_READ, VIEWER)                                                               \
	X(COLLABORATOR_CHANGE, OWNER) /* put and delete; leaving: access_may_leave */              \
	X(BOQ_READ, VIEWER)                                                                        \
	X(BOQ_WRITE, EDITOR)          /* create, change, delete, bulk */                           \
	X(TASK_READ, VIEWER)                                                                       \
	X(TASK_WRITE, EDITOR)                                                                      \
	X(COMMENT_READ, VIEWER)                                                                    \
	X(COMMENT_WRITE, COMMENTER)                                                                \
	X(COMMENT_DELETE_OWN, COMMENTER)                                                           \
	X(COMMENT_DELETE_ANY, EDITOR)                                                              \
	X(EVENT_READ, VIEWER)

enum access_action {
#define X(name, least) ACCESS_##name,
	ACCESS_ACTION_MAP(X)
#undef X
	ACCESS_ACTION_N,
};

/* May role do action?  ROLE_NONE and anything outside the enums: never. */
bool access_may(enum role role, enum access_action action);

/* May actor (of role) take user out of the project?  Owners anybody, everybody
 * oneself.  (That the last owner stays is a rule of the data: store.) */
bool access_may_leave(enum role role, sio_slice actor, sio_slice user);

/* "owner", "editor", "commenter", "viewer" in exactly this spelling; all else is
 * ROLE_NONE. */
enum role access_role_parse(sio_slice text);
/* The spelling; "none" for ROLE_NONE.  Static storage. */
const char *access_role_name(enum role role);

enum { ACCESS_ID_MAX = 128, ACCESS_USER_ID_MAX = 255 };

/* A plain project or item id: 1..128 of A-Z a-z 0-9 . _ -, the first a letter or
 * digit, no "..".  Thus no room syntax (':', '*'), path ('/') or control byte. */
bool access_id_ok(sio_slice id);

/* A plain user id: as above up to 255 bytes, and @ | + : besides, as identity
 * providers use them ("auth0|12ab", "anna@example.com").  A token's user id must
 * pass this before it becomes a room name or a key. */
bool access_user_id_ok(sio_slice id);

#endif
