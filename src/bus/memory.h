/* memory.h -- an adapter (<sio/adapter.h>) between servers of one process.
 *
 * How a server is woken is not known here but given: sio_server_post, or a queue that a
 * test empties when it likes.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef BUS_MEMORY_H
#define BUS_MEMORY_H

#include <sio/adapter.h>
#include <sio/work.h>

/* As sio_server_post: fn(arg) is called exactly once, on the server's thread, when it
 * returns 0.  Called under the lock of the bus, from any thread. */
typedef int bus_post_fn(struct sio_server *server, sio_post_fn *fn, void *arg);

struct sio_bus *bus_new(bus_post_fn *post);

/* A connection was handed to server, on its thread; fd is the callee's. */
typedef void bus_take_fn(struct sio_server *server, int fd, sio_slice bytes);
/* Nodes may hand connections to each other; before the first one joins. */
void bus_set_take(struct sio_bus *bus, bus_take_fn *take);

/* A node that is on the bus from ops->open on, until ops->close; whoever does not open it
 * closes it all the same.  0 or SIO_ERR_NOMEM. */
SIO_MUST_CHECK int bus_node(struct sio_bus *bus, const struct sio_adapter_ops **ops, void **self);

#endif
