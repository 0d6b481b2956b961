/* neighbours.h -- processes of other kinds on the same Redis: python-socketio's managers, Node's emitters and
 * servers.
 *
 *	channel or pattern --> neighbours.c --> python.h, node.h --> a message of a node (codec/cluster.h)
 *	an event of ours   --> outside.c    --> python.h, node.h --> their channels
 *
 * What they publish is not signed, so it may do less than what a node says: send events to our
 * clients, and only if the options say so, move and disconnect them.  Each node serves its own
 * clients; nothing goes on from here to other nodes, which hear it themselves.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef REDIS_NEIGHBOURS_H
#define REDIS_NEIGHBOURS_H

#include <stdbool.h>

#include <hiredis/hiredis.h>

#include <sio/redis.h>

#include "base/buf.h"

struct redis_link;
struct sio_args;
struct sio_target;

enum { NEIGHBOURS_ID = 32 }; /* characters of what says that a message is our own */

struct neighbours {
	char id[NEIGHBOURS_ID + 1]; /* of all nodes of one prefix: what one publishes the others have already */
	char *python;            /* channel; NULL: not heard */
	char *node;              /* begins the channels; NULL: not heard */
	unsigned asked_n;        /* subscriptions that Redis has not confirmed */
	bool may_control;
	struct buf heard;        /* as a message of a node */
	char *to_python, *to_node; /* as python and node, where our events go; NULL: they are not told */
	struct buf channel, told;
};

/* Copy what options say.  0, SIO_ERR_NOMEM, or SIO_ERR_INVAL with a sentence in error. */
SIO_MUST_CHECK int neighbours_init(struct neighbours *n, const struct sio_redis_options *options, const char *prefix,
				   char error[SIO_REDIS_ERROR_MAX]);
void neighbours_fini(struct neighbours *n);

/* Our own subscriptions stand: ask for those to the neighbours. */
void neighbours_subscribe(struct sio_redis *r);
/* One of them, or of ours, is confirmed. */
void neighbours_on_subscribed(struct sio_redis *r, sio_slice name);
/* While they are asked for, a refusal is theirs: they are not heard, all else goes on. */
bool neighbours_forgive(struct redis_link *link, const redisReply *error);
/* A message on channel.  false: it is not theirs. */
bool neighbours_hear(struct sio_redis *r, sio_slice channel, sio_slice bytes);

/* ---- outside.c -------------------------------------------------------------------------- */

/* Tell them an event of ours; nobody to tell is no error.  What fails is counted.  Returns as
 * ops->tell_neighbours (<sio/adapter.h>). */
SIO_MUST_CHECK int outside_tell(struct sio_redis *r, sio_slice nsp, const struct sio_target *target, sio_slice name,
				const struct sio_args *args);

#endif
