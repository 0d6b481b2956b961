/* lease.h -- who is in which project on all servers, as each of them knows it.
 *
 * A replicated map without a master.  Each server (node) owns the entries of its own users:
 * it alone changes them, and tells them to those nodes that have members in the same
 * project and have asked for them.  What a node told is a lease: it ends for everybody
 * with the node.
 *
 *	own users --lease_own_..--> struct lease --send--> other nodes
 *	                              |   ^
 *	        lease_news, lease_ready   lease_hear <----- other nodes
 *
 * A user counts once, whatever the number of nodes that have it: lease_own_set and
 * lease_own_drop tell whether the first or the last one has changed here, lease_news tells it of
 * changes that were heard.  In a project that has just begun to be of interest here nothing is
 * told before the others' entries are known, or were waited for in vain: whoever comes in then is
 * given a list (lease_wait, lease_ready).
 *
 * Messages may be lost, doubled and overtaken: each project of a node has a version, each change
 * names the one before it, and each beat says what the receiver should know by now.  Who
 * finds a difference asks again.
 *
 * No socket, clock, timer or callback but send: time comes as now_ms.  Nothing else is
 * called from inside, so a caller may do in answer to news whatever it likes.  Out of memory
 * never makes a false entry, only a missing one, which the next beat finds.  One thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef COLLAB_LEASE_H
#define COLLAB_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/error.h>
#include <sio/slice.h>

enum {
	LEASE_ID_MAX = 247,         /* bytes of a project's or user's id; plain text, as in presence.h */
	LEASE_NODE_MAX = 32,        /* bytes of a node's id */
	LEASE_JOIN_WAIT_MS = 500,   /* for the others' entries, before a list goes out without them */
	LEASE_BEAT_MS = 2000,       /* between two beats ... */
	LEASE_BEAT_SOON_MS = 500,   /* ... and when the number of connections has changed */
	LEASE_FRESH_MS = 5000,      /* facts of a node that are older are not believed to be complete */
	LEASE_PART_BYTES = 65536,   /* lists are sent in parts of about that size */
};

struct lease;
struct lease_project;
struct lease_user;

/* json: arguments of one message, to be handed to lease_hear there.  Borrowed.  A message
 * that cannot be sent is lost. */
typedef void lease_send_fn(void *arg, sio_slice node, sio_slice json);

struct lease *lease_new(lease_send_fn *send, void *arg); /* NULL: no memory */
void lease_free(struct lease *l);                        /* NULL allowed; nothing waits any more */

/* This server ends: the others keep its entries for grace_ms after it is gone, for its users will
 * come to them.  Nothing is sent from now on, nothing is waited for. */
void lease_close(struct lease *l, uint32_t grace_ms);

/* ---- this server's users -------------------------------------------------------------- */

/* The user is in the project with so many connections here, 0 while its grace runs.  *is_first:
 * others shall hear of it now.  Returns 0 or SIO_ERR_NOMEM (then nothing has changed). */
SIO_MUST_CHECK int lease_own_set(struct lease *l, sio_slice project, sio_slice user, sio_slice name, uint32_t connections,
				 int64_t wall_ms, uint64_t now_ms, bool *is_first);
/* It is not there any more.  Returns whether others shall hear of it now. */
bool lease_own_drop(struct lease *l, sio_slice project, sio_slice user);
/* What an own user looks at, JSON text; empty for none.  0 or SIO_ERR_NOMEM. */
SIO_MUST_CHECK int lease_own_state(struct lease *l, sio_slice project, sio_slice user, sio_slice state);
/* All connections of this server. */
void lease_own_connections(struct lease *l, uint32_t connections);

/* ---- other servers ----------------------------------------------------------------------- */

void lease_meet(struct lease *l, sio_slice node, uint64_t now_ms); /* it is there; again is no error */
void lease_gone(struct lease *l, sio_slice node, uint64_t now_ms);
void lease_hear(struct lease *l, sio_slice node, sio_slice json, uint64_t now_ms);

/* What only time can tell.  Call it at lease_next_ms, which is 0 while there is something to
 * fetch. */
void lease_tick(struct lease *l, uint64_t now_ms);
uint64_t lease_next_ms(const struct lease *l);

/* ---- what comes of it: fetch it all after each call that takes now_ms ------------------------ */

struct lease_news {
	struct lease_news *next;
	bool is_joined;             /* else it has left */
	sio_slice project, user;    /* behind the struct */
};
/* The next thing that members of this server shall hear, the caller's to free(); NULL: none. */
struct lease_news *lease_news(struct lease *l);

struct lease_waiter {
	struct lease_waiter *next;
};
/* The others' entries of the project are being waited for: waiter, which must live on, comes out of
 * lease_ready.  false: all is known. */
bool lease_wait(struct lease *l, sio_slice project, struct lease_waiter *waiter);
struct lease_waiter *lease_ready(struct lease *l);

/* Interest in a project without own users, for as long as it is watched.  0 or SIO_ERR_NOMEM. */
SIO_MUST_CHECK int lease_watch(struct lease *l, sio_slice project, uint64_t now_ms);
void lease_unwatch(struct lease *l, sio_slice project);

/* ---- lists ------------------------------------------------------------------------------------ */

struct lease_shown {
	sio_slice id, name, state;  /* state: empty for none */
	uint64_t connections;       /* on all servers */
	int64_t joined_at_ms;
};
const struct lease_project *lease_find(const struct lease *l, sio_slice project);
/* The users of a project in the order in which this server heard of them; project and the
 * first one's predecessor may be NULL. */
const struct lease_user *lease_next(const struct lease_project *project, const struct lease_user *before);
/* Has anybody ever said what the user looks at, on any server, since it came? */
bool lease_has_state(const struct lease *l, sio_slice project, sio_slice user);
void lease_show(const struct lease_user *user, struct lease_shown *out);
uint32_t lease_users_n(const struct lease_project *project);

struct lease_facts {
	uint64_t connections;       /* of all servers */
	uint32_t projects;          /* with a connection on some server */
};
void lease_facts(const struct lease *l, struct lease_facts *out);

/* Call fn for each node whose facts are not fresh, or whose entries of project are not known
 * (empty: of no project). */
typedef void lease_node_fn(sio_slice node, void *arg);
void lease_missing(const struct lease *l, sio_slice project, uint64_t now_ms, lease_node_fn *fn, void *arg);

/* Counts and sums agree with the lists; for tests, linear in everything. */
bool lease_sane(const struct lease *l);

#endif
