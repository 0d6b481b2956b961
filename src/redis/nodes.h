/* nodes.h -- which other nodes there are: who was heard when, and with which number.
 *
 * A node is known on the wire by the id that its server has.  Here it has the same, until it
 * was told gone: whoever comes back then has another one, made up here.  One that is gone is
 * remembered for a while, so that what it had said cannot be said again.
 *
 *	(unknown) --heard--> live --silent for the lease, or BYE--> gone --heard--> live, other id
 *	                                                             |
 *	                                                   NODES_KEEP_MS: forgotten
 *
 * Pure: time comes as numbers.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef REDIS_NODES_H
#define REDIS_NODES_H

#include <stdbool.h>

#include <sio/redis.h>

#include "base/map.h"

/* Longer than a first message may be old or early: SIO_REDIS_SKEW_S twice. */
enum { NODES_KEEP_MS = 300000 };

struct node {
	struct map_node by_wire;
	struct node *next, **prev;      /* all of them, those heard last first */
	char wire[SIO_NODE_ID_LEN];
	char id[SIO_NODE_ID_LEN];
	uint64_t counter;               /* of what was heard last */
	uint64_t heard_ms;
	bool is_live;
};

struct nodes {
	struct map by_wire;
	struct node *first;
	uint32_t n, live_n;
};

enum nodes_verdict {
	NODES_OK,
	NODES_REPEATED, /* not above what was heard of it before */
	NODES_STALE,    /* never heard of, and its clock is too far from ours: old, or made up */
	NODES_FULL,     /* SIO_REDIS_NODES_MAX are known, or memory ran out */
};

void nodes_init(struct nodes *nodes);
void nodes_fini(struct nodes *nodes);

/* Something of sender with that counter was heard at now_ms, when the microseconds since
 * 1970 were wall_us.  On NODES_OK *out is the node, live. */
enum nodes_verdict nodes_hear(struct nodes *nodes, sio_slice sender, uint64_t counter, uint64_t now_ms, uint64_t wall_us,
			      struct node **out);

/* It is gone now. */
void nodes_leave(struct nodes *nodes, struct node *node);

/* A live one whose lease, which began when it was heard last, is over before somebody looks
 * again in every_ms; or NULL.  Those gone long ago are forgotten. */
struct node *nodes_silent(struct nodes *nodes, uint64_t now_ms, uint32_t lease_ms, uint32_t every_ms);

/* As if all that live had been heard now. */
void nodes_refresh(struct nodes *nodes, uint64_t now_ms);

/* The live one of that id (ours, not the wire's), or NULL. */
struct node *nodes_find(const struct nodes *nodes, sio_slice id);

/* Call fn with the id of each live one. */
void nodes_each(const struct nodes *nodes, sio_node_fn *fn, void *arg);

/* The id that the live one of that wire has here.  false: there is none. */
bool nodes_id_of(const struct nodes *nodes, sio_slice wire, char id[SIO_NODE_ID_LEN]);

#endif
