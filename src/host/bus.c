/* bus.c -- the bus in memory for servers with a loop.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <sio/adapter.h>
#include <sio/work.h>

#include "bus/memory.h"
#include "host/host.h"

static void on_take(struct sio_server *server, int fd, sio_slice bytes)
{
	net_adopt(server->net, fd, bytes);
}

struct sio_bus *sio_bus_memory_new(void)
{
	struct sio_bus *bus = bus_new(sio_server_post);

	if (bus)
		bus_set_take(bus, on_take);
	return bus;
}

int sio_bus_memory_join(struct sio_bus *bus, struct sio_server *server)
{
	const struct sio_adapter_ops *ops;
	void *self;
	int err = bus_node(bus, &ops, &self);

	if (err < 0)
		return err;
	err = sio_server_set_adapter(server, ops, self);
	if (err < 0)
		ops->close(self);
	return err;
}
