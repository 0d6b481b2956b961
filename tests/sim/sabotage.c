/* sabotage.c -- see sabotage.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "sim/sabotage.h"

#include <stdlib.h>
#include <string.h>

#include <sio/room.h>

#include "engine/engine.h"
#include "hub/hub.h"
#include "sim/node.h"

enum sabotage {
	NONE,
#define SABOTAGE_MAP(X)                                                                                                  \
	X(TWICE, "messages-twice")         /* a message between servers counts twice */                                  \
	X(WITHDRAWAL, "lost-withdrawals")  /* servers are not told who has gone, and beats say nothing of it */           \
	X(NEWS, "lost-events")             /* a server never learns of some events that others commit */                  \
	X(ORDER, "no-sequence")            /* events go to their room as they come */                                    \
	X(LEAVE, "no-leave")               /* who leaves a project stays in its room */                                  \
	X(REVOKE, "no-revocation")         /* who loses a role is not looked at */                                       \
	X(OFFSET, "wrong-offset")          /* offsets are ahead of what was sent */                                      \
	X(REPLAY, "no-replay")             /* a session comes back without what it missed */                             \
	X(NOTE_LEAVE, "forgotten-leave")   /* sessions are not told that a project was left */                           \
	X(END, "lost-end")                 /* the hub is not told that a session has closed */                           \
	X(CLOSE, "closed-twice")           /* it is told twice */                                                        \
	X(LEAK, "leak")                    /* memory of now and then a message stays */
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

static bool contains(sio_slice text, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= text.n; i++)
		if (memcmp(text.p + i, word, n) == 0)
			return true;
	return false;
}

unsigned sabotage_copies(sio_slice message)
{
	(void)message;
	if (now == LEAK && one_in(50))
		(void)!malloc(32);
	return now == TWICE && one_in(20) ? 2 : 1;
	(void)contains;
}
