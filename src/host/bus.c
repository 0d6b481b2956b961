/* bus.c -- the bus in memory for servers with a loop.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <sio/adapter.h>
#include <sio/work.h>

#include "bus/memory.h"

struct sio_bus *sio_bus_memory_new(void)
{
	return bus_new(sio_server_post);
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
