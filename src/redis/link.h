/* link.h -- one connection to Redis, made again and again: from a name to answers.
 *
 *	         +------------------------ backoff --------------------------+
 *	         v                                                           |
 *	IDLE -> WAITING -> RESOLVING -> CONNECTING -> GREETING -> READY -> CLOSING
 *	                        |            |            |                  ^ |
 *	                        +------------+------------+------------------+ +-> ENDED
 *
 * RESOLVING is on libuv's pool, and only for names; the addresses are tried in turn.  GREETING says who we are and asks what
 * Redis is; the first wrong answer ends it.  A cluster's MOVED is followed: the next
 * attempt goes where it says.
 *
 * The bytes of answers are read by hiredis' reader; the socket is our own, polled by libuv
 * (whose streams raise SIGPIPE).  hiredis' asynchronous connections are not used: see
 * docs/decisions/0028-redis.md.
 *
 * Knows libuv and hiredis; refuses to know what is published and subscribed to.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef REDIS_LINK_H
#define REDIS_LINK_H

#include <hiredis/hiredis.h>
#include <uv.h>

#include "base/buf.h"
#include "redis/url.h"

enum link_state {
	LINK_IDLE,
	LINK_WAITING,
	LINK_RESOLVING,
	LINK_CONNECTING,
	LINK_GREETING,
	LINK_READY,
	LINK_CLOSING,
	LINK_ENDED,
};

enum {
	LINK_ADDRESSES_MAX = 4,
	LINK_PIECES_MAX = 256, /* of one write */
	LINK_ANSWER_MAX = SIO_ADAPTER_MESSAGE_MAX + 1048576, /* bytes of one answer */
};

struct redis_link;

/* Each may call link_drop and link_end, nothing else of the link but what it says. */
struct redis_link_ops {
	void (*ready)(struct redis_link *link);                      /* link_write is possible */
	void (*reply)(struct redis_link *link, const redisReply *reply);
	void (*written)(struct redis_link *link);                    /* what link_write was given; never in the same turn */
	void (*down)(struct redis_link *link);                       /* link->why; what was being written is let go */
	void (*ended)(struct redis_link *link);                      /* link_end is done: its memory may go */
	/* Is this error, while READY, one to live with?  NULL: none is. */
	bool (*forgive)(struct redis_link *link, const redisReply *error);
};

struct redis_link {
	const struct redis_link_ops *ops;
	void *owner;
	uv_loop_t *loop;
	struct redis_url url, target;  /* as configured; as the cluster has told us */
	uint32_t connect_timeout_ms, backoff_min_ms, backoff_max_ms;

	enum link_state state;
	bool is_ending;
	bool has_peer;                 /* poll and fd are open, or being closed */
	bool is_writing;
	bool is_looking_up;
	bool is_moving;                /* the next attempt goes where MOVED says, without a pause */
	uv_poll_t poll;
	int fd;
	uv_buf_t pieces[LINK_PIECES_MAX]; /* being written: from piece on */
	unsigned pieces_n, piece;
	uv_idle_t taken;               /* runs in the next turn: the kernel has taken it all */
	uv_timer_t timer;              /* of the attempt, or of the pause before the next */
	unsigned handles_n;            /* of these two, not closed */
	uv_getaddrinfo_t lookup;
	struct sockaddr_storage addresses[LINK_ADDRESSES_MAX]; /* of the name */
	unsigned addresses_n, address; /* how many; the next one to try */
	redisReader *reader;
	struct buf greeting;
	unsigned steps_n, step;        /* of the greeting: sent, answered */
	unsigned moves_n;              /* followed in a row */
	uint32_t backoff_ms;
	uint64_t ready_ms;             /* when it came to work */
	bool is_cluster;
	bool is_refused;               /* the last end was Redis's word */
	char why[SIO_REDIS_ERROR_MAX]; /* of the last end */
	char bytes[65536];             /* what is being read */
};

/* Prepare; 0 or SIO_ERR_SYSTEM.  Afterwards it must be ended, and its memory kept until
 * ended was called. */
SIO_MUST_CHECK int link_init(struct redis_link *link, uv_loop_t *loop, const struct redis_url *url,
			     const struct redis_link_ops *ops, void *owner);
void link_start(struct redis_link *link);

/* Give this connection up and make another.  fmt says why. */
void link_drop(struct redis_link *link, bool is_refused, const char *fmt, ...) SIO_PRINTF(3, 4);
/* No more connections.  Calls ops->ended later. */
void link_end(struct redis_link *link);

static inline bool link_is_ready(const struct redis_link *link)
{
	return link->state == LINK_READY;
}
static inline bool link_can_write(const struct redis_link *link)
{
	return link->state == LINK_READY && !link->is_writing;
}

/* Write n pieces, at most LINK_PIECES_MAX, which stay until ops->written or ops->down.  Only
 * when link_can_write.  A fault is told by ops->down, maybe before it returns. */
void link_write(struct redis_link *link, const uv_buf_t *pieces, unsigned n);

#endif
