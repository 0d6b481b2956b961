/* fake_redis.h -- a Redis in the test's own loop that does what a script says.
 *
 * It knows AUTH, SELECT, CLIENT, INFO, PUBLISH and (S)SUBSCRIBE well enough for the adapter.
 * A fault is what it does once, or so often, instead of its answer to a command.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_FAKE_REDIS_H
#define TESTS_FAKE_REDIS_H

#include <stdbool.h>
#include <uv.h>

enum { FAKE_CONNS = 1024, FAKE_CHANNELS = 16 };

struct redisReader;

struct fake_conn {
	uv_tcp_t tcp;
	bool is_open;
	struct redisReader *reader;
	char channels[FAKE_CHANNELS][128]; /* "" for none */
	char bytes[65536];
};

struct fake_redis {
	uv_loop_t *loop;
	uv_tcp_t listener;
	int port;
	struct fake_conn *conns[FAKE_CONNS]; /* every one there ever was */
	unsigned conns_n;
	const char *command;      /* at which the fault lies; NULL: none */
	const char *fault;        /* bytes to send instead; "": close; NULL: say nothing */
	unsigned times;           /* how often still */
	bool does_both;           /* the fault comes behind what the command does (PUBLISH) */
	bool is_bytewise;         /* each answer goes out in single bytes */
	bool is_mute;             /* forwards nothing */
	unsigned published_n;
	char said[4096];          /* commands it was told, "AUTH u p|SELECT 3|..." without PUBLISH */
};

void fake_redis_start(struct fake_redis *f, uv_loop_t *loop, int port); /* port 0: any */
void fake_redis_drop_all(struct fake_redis *f);
/* Close everything; the loop must run afterwards, then fake_redis_free. */
void fake_redis_stop(struct fake_redis *f);
void fake_redis_free(struct fake_redis *f);

#endif
