/* sabotage.c -- see sabotage.h.
 *
 * The linker leads calls from one file to another here (--wrap, CMakeLists.txt): so the real code
 * stays as it is, and each fault is a few lines.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "sim/sabotage.h"

#include <stdlib.h>
#include <string.h>

#include <sio/room.h>

#include "collab/client.h"
#include "collab/lease.h"

/* X(id, name): what is broken, and what should find it. */
#define SABOTAGE_MAP(X)                                                                                                  \
	X(TWICE, "messages-twice")            /* between servers: cursors come once */                                   \
	X(WITHDRAWAL, "lost-withdrawals")     /* nobody is told who has gone: presence converges */                      \
	X(FALSE_LEFT, "false-left")           /* somebody is told gone who is there */                                   \
	X(FOREIGN, "lost-events")             /* another server's commit is not sent: all is heard in the end */         \
	X(SEQUENCE, "no-sequence")            /* events go to their room as they come: once and in order */              \
	X(LEAVE, "no-leave")                  /* who leaves a project stays in its room: nothing after a leave */        \
	X(REVOKE, "no-revocation")            /* a lost role is not looked at: nothing after a revocation */             \
	X(OFFSET, "wrong-offset")             /* offsets are ahead of what was sent: recovery without a gap */           \
	X(REPLAY, "no-replay")                /* a session comes back without what it missed */                          \
	X(NOTE, "forgotten-leave")            /* its session is not told of a leave */                                   \
	X(KEYS, "no-keys")                    /* a repeated write has no key: committed once */                          \
	X(CLOSED, "not-closed")               /* the hub does not hear that a session has closed */                      \
	X(COUNT, "closed-twice")              /* collab counts the end of a connection twice */                          \
	X(LEAK, "leak")                       /* memory stays now and then: at base in the end */

enum sabotage {
	NONE,
#define X(id, name) id,
	SABOTAGE_MAP(X)
#undef X
	SABOTAGES_N,
};

static const char *const names[SABOTAGES_N] = {
#define X(id, name) [id] = name,
	SABOTAGE_MAP(X)
#undef X
};

static enum sabotage now;

const char *sabotage_name(unsigned i)
{
	return i + 1 < SABOTAGES_N ? names[i + 1] : NULL;
}

void sabotage_begin(const char *name)
{
	now = NONE;
	if (!name)
		return;
	for (unsigned i = 1; i < SABOTAGES_N; i++)
		if (strcmp(names[i], name) == 0)
			now = (enum sabotage)i;
	if (now == NONE)
		sim_fail("there is no sabotage %s", name);
}

unsigned sabotage_copies(void)
{
	static void *volatile lost;

	if (now == LEAK && one_in(100))
		lost = malloc(32);
	(void)lost;
	return now == TWICE && one_in(20) ? 2 : 1;
}

bool sabotage_forgets_key(void)
{
	return now == KEYS;
}

bool sabotage_forgets_end(void)
{
	return now == CLOSED && one_in(10);
}

/* ---- led here by the linker ------------------------------------------------------------- */

#define WRAP(type, name, ...)                                                                                            \
	type __real_##name(__VA_ARGS__);                                                                                 \
	type __wrap_##name(__VA_ARGS__);                                                                                 \
	type __wrap_##name(__VA_ARGS__)

WRAP(bool, lease_own_drop, struct lease *l, sio_slice project, sio_slice user)
{
	return now == WITHDRAWAL ? false : __real_lease_own_drop(l, project, user);
}

WRAP(void, project_tell, struct collab *collab, sio_slice project, sio_slice user, const struct sio_socket *skip, bool is_joined)
{
	__real_project_tell(collab, project, user, skip, is_joined);
	if (now == FALSE_LEFT && is_joined && one_in(10))
		__real_project_tell(collab, project, user, skip, false);
}

WRAP(long, collab_emit_durable, struct collab *collab, sio_slice project, int64_t seq, const struct collab_emit *emit)
{
	if (now == FOREIGN && emit->is_local && one_in(2))
		return 0;
	if (now == SEQUENCE)
		return collab_emit_project(collab, project, emit);
	return __real_collab_emit_durable(collab, project, seq, emit);
}

WRAP(void, sio_room_leave, struct sio_socket *socket, sio_slice room)
{
	if (now != LEAVE)
		__real_sio_room_leave(socket, room);
}

WRAP(void, collab_access_changed, struct collab *collab, sio_slice project, sio_slice user)
{
	if (now != REVOKE)
		__real_collab_access_changed(collab, project, user);
}

WRAP(void, history_stamp, struct collab *collab, int64_t position)
{
	__real_history_stamp(collab, now == OFFSET && position > 0 ? position + 2 : position);
}

WRAP(bool, history_recover, struct collab *collab, struct sio_connect *req, sio_slice pid, const struct store_result *resumed)
{
	bool is_good = __real_history_recover(collab, req, pid, resumed);

	if (now == REPLAY && is_good)
		collab->history.missed = SIO_LIT("[]");
	return is_good;
}

WRAP(void, history_left_project, struct client *client, sio_slice project, bool is_revoked)
{
	if (now != NOTE)
		__real_history_left_project(client, project, is_revoked);
}

WRAP(void, presence_user_disconnect, struct presence *p, struct presence_user *user)
{
	__real_presence_user_disconnect(p, user);
	if (now == COUNT && user->connections_n > 0 && one_in(5))
		__real_presence_user_disconnect(p, user);
}
