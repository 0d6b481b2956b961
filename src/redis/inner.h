/* inner.h -- what the files of the adapter share.
 *
 *	hub --publish, send--> redis.c --> publish.c --> outbox --> pub link --> Redis
 *	 ^                                                  ^                     |
 *	 |                                        heartbeats|health.c             v
 *	 +---------------- listen.c <-- seal, nodes <-------+------------- sub link
 *
 * Processes of other kinds: neighbours.c hears them behind listen.c, and outside.c puts what they are told
 * into the same outbox.
 *
 * It is up when both links work and a heartbeat has come back.
 *
 * A link may be lost inside any call; what is handed in may close the adapter.  So whoever
 * calls out looks at is_open again before it goes on.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef REDIS_INNER_H
#define REDIS_INNER_H

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "redis/link.h"
#include "redis/neighbours.h"
#include "redis/nodes.h"
#include "redis/outbox.h"
#include "redis/redis.h"
#include "redis/seal.h"

enum {
	REDIS_BEATS_MISSED = 3, /* heartbeats in a row that may be lost */
	REDIS_WIRE_MAX = SIO_REDIS_PREFIX_MAX + 3 + SIO_CHANNEL_MAX,
};

/* What the hub has subscribed to. */
struct channel {
	struct map_node by_name;
	char name[];
};

/* Why somebody is not heard; one reason does not hide another in the log. */
enum unheard {
	UNHEARD_FORGED,
	UNHEARD_STALE,
	UNHEARD_TOO_MANY,
	UNHEARD_FORM,     /* of neighbours */
	UNHEARD_CONTROL,
	UNHEARD_BY_OTHERS, /* it is us whom they do not hear */
	UNHEARD_N,
};

struct sio_redis {
	atomic_uint refs;              /* its maker's, and that of being a node */
	struct sio_redis_options options; /* defaults filled in; its pointers are not used */
	struct redis_url url;
	struct seal seal;
	char prefix[SIO_REDIS_PREFIX_MAX + 3]; /* with its braces */
	size_t prefix_n;

	struct sio_server *server;
	struct redis_turn turn;
	char id[SIO_NODE_ID_LEN];
	bool has_loop, is_open, is_closing;
	unsigned handles_n;            /* links and timer that have not ended */
	uv_loop_t *loop;
	uv_timer_t timer;              /* tick; the end of patience when it closes */
	struct redis_link pub, sub;
	struct outbox outbox;
	struct buf commands, commands_sent; /* of sub: waiting, being written */
	struct map channels;
	struct nodes nodes;
	struct neighbours neighbours;

	uint64_t counter;              /* of the last message of ours */
	uint64_t hello_counter;        /* of the hello that is to come back */
	uint64_t own_counter;          /* of the last own one that did */
	uint64_t beat_counter, beat_us; /* the one whose way is measured */
	uint64_t heard_ms;             /* when an own one came back */
	uint64_t answered_ms;          /* when pub was last answered, or began to wait for it */
	uint64_t unheard_ms[UNHEARD_N]; /* last line in the log about each */
	bool is_subscribed;            /* Redis has confirmed it */
	bool is_up, is_told_down;
	bool is_lost;                  /* the listening link is, and the server is not told yet */
	uint64_t down_ms;              /* since when it is not up */
	char error[SIO_REDIS_ERROR_MAX];
	bool is_refused;
	struct sio_redis_stats stats;  /* what is counted */
};

/* ---- redis.c --------------------------------------------------------------------------- */

void redis_tell(const struct sio_redis *r, enum sio_log_level level, const char *fmt, ...) SIO_PRINTF(3, 4);
uint64_t redis_wall_us(void);
sio_slice redis_own_id(const struct sio_redis *r);
/* The name on the wire: 'a' for all, 'n' and a node's id, 'c' and a channel. */
sio_slice redis_wire(const struct sio_redis *r, char kind, sio_slice name, char out[REDIS_WIRE_MAX]);
struct channel *redis_channel(const struct sio_redis *r, sio_slice name);
/* A link or the timer has ended: the last one takes the adapter's reference with it. */
void redis_ended(struct sio_redis *r);

/* ---- publish.c: the link that publishes ----------------------------------------------------- */

extern const struct redis_link_ops publish_ops;
/* message to whoever hears channel; those that are none of the hub's past the bounds of
 * the outbox.  Returns 0 or SIO_ERR_BUSY. */
SIO_MUST_CHECK int publish_put(struct sio_redis *r, enum seal_kind kind, sio_slice channel, sio_slice message);
/* message as it is to channel as it is, for processes of other kinds; once or not at all.  Returns as publish_put. */
SIO_MUST_CHECK int publish_outside(struct sio_redis *r, sio_slice channel, sio_slice message);
/* A heartbeat, or a hello, to all nodes, ourselves included. */
void publish_beat(struct sio_redis *r, enum seal_kind kind);
/* When it closes: is everything out? */
void publish_end_if_done(struct sio_redis *r);

/* ---- listen.c: the link that listens ---------------------------------------------------------- */

extern const struct redis_link_ops listen_ops;
void listen_put(struct sio_redis *r, bool is_on, sio_slice wire);
void listen_flush(struct sio_redis *r);
/* A line in the log about somebody who is not heard, for each reason at most one in 10 s. */
void listen_tell_unheard(struct sio_redis *r, enum unheard why);
/* What node, empty: any of the others, says or is told may be missing: the hub is told. */
void listen_lost(struct sio_redis *r, sio_slice node);
/* A node is gone: the hub is told. */
void listen_leave(struct sio_redis *r, struct node *node);

/* ---- health.c: up or down, and what only time can tell ------------------------------------------ */

/* A link is not there any more. */
void health_down(struct sio_redis *r, const struct redis_link *link);
/* If both links work: say hello; when that comes back, it is up. */
void health_hello(struct sio_redis *r);
/* A heartbeat of our own has come back. */
void health_hear(struct sio_redis *r, const struct seal_head *head);
void health_on_tick(uv_timer_t *timer);

#endif
