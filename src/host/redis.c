/* redis.c -- the adapter over Redis for servers with a loop.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "redis/redis.h"

#include "host/host.h"

static void begin_turn(struct sio_server *server)
{
	net_begin_turn(server->net);
}

static void end_turn(struct sio_server *server)
{
	net_leave(server->net);
}

int sio_redis_join(struct sio_redis *redis, struct sio_server *server)
{
	static const struct redis_turn turn = { begin_turn, end_turn };
	const struct sio_adapter_ops *ops;
	void *self;
	int err;

	SERVER_CHECK(server);
	if (!server->loop)
		return SIO_ERR_INVAL;
	err = redis_node(redis, server->loop, &turn, &ops, &self);
	if (err < 0)
		return err;
	err = sio_server_set_adapter(server, ops, self);
	if (err < 0)
		ops->close(self);
	return err;
}
