/* redis.h -- a Redis, and the connections to it: what publish and subscribe promise, and no more.
 *
 * A connection keeps its order, in each of its two directions, as long as it lasts; with it goes
 * what was under way.  What is published reaches the subscribers of that moment, once each, or
 * not at all.  Nothing is kept.  Whoever is cut off may hear of it, or only wait in vain; a
 * connection may stand still and go on.  Between two connections there is no order.
 *
 * What TCP and Redis cannot do is not done: inside one connection nothing is overtaken, doubled or
 * left out.  Doubles come from the outbox, which sends again what was not answered.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_SIM_REDIS_H
#define TESTS_SIM_REDIS_H

#include "sim/sim.h"

/* Begin to connect; a number that is never 0.  Comes adapter_on_ready, or adapter_on_down. */
uint64_t redis_connect(unsigned n, bool is_sub);
/* Commands as bytes, whole ones. */
void redis_write(uint64_t conn, sio_slice bytes);
/* Given up by the server.  is_dead: by its kernel, and what it has written still arrives. */
void redis_close(uint64_t conn, bool is_dead);

enum redis_reply {
	REDIS_PUBLISHED,
	REDIS_SUBSCRIBED, /* wire */
	REDIS_MESSAGE,    /* wire, bytes */
};

/* In the server's loop: adapter.c. */
void adapter_on_ready(unsigned n, uint64_t conn);
void adapter_on_down(unsigned n, uint64_t conn);
void adapter_on_reply(unsigned n, uint64_t conn, enum redis_reply kind, sio_slice wire, sio_slice bytes);

#endif
