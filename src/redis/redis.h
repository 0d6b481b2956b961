/* redis.h -- the adapter over Redis (<sio/redis.h>), for whoever gives it a loop.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef REDIS_REDIS_H
#define REDIS_REDIS_H

#include <sio/redis.h>

struct uv_loop_s;

/* Called around whatever is handed in, for the server's clock and guards; NULL: nothing. */
typedef void redis_turn_fn(struct sio_server *server);
struct redis_turn {
	redis_turn_fn *begin, *end;
};

/* Make redis ready to be an adapter on loop.  0, SIO_ERR_INVAL (it is one already) or
 * SIO_ERR_SYSTEM.  From now on the loop must run until behind ops->close, which is called
 * even when it is never opened. */
SIO_MUST_CHECK int redis_node(struct sio_redis *redis, struct uv_loop_s *loop, const struct redis_turn *turn,
			      const struct sio_adapter_ops **ops, void **self);

#endif
