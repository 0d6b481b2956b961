/* redis_server.h -- a real redis-server for one test: in a folder of its own, on a socket
 * of its own, gone at its end.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_REDIS_SERVER_H
#define TESTS_REDIS_SERVER_H

#include <sys/types.h>

struct redis_server {
	pid_t pid;
	char dir[64];
	char socket[96];
	char url[128];    /* unix:///... */
};

/* Start one with these settings beside the usual ones, a NULL-terminated list such as
 * "--cluster-enabled", "yes"; NULL: none.  Waits until it answers; aborts when it does not. */
void redis_server_start(struct redis_server *r, const char *const *settings);

/* What redis-cli prints for a command, into out. */
void redis_server_ask(const struct redis_server *r, const char *command, char *out, int cap);

/* Stop it; its folder stays, so that it can be started there again. */
void redis_server_stop(struct redis_server *r);
void redis_server_remove(struct redis_server *r);

#endif
