/* outside.c -- our events for the clients of processes of other kinds (neighbours.h).
 *
 * The hub says an event once, on the node where it was made (<sio/adapter.h>), so it is published
 * once for all nodes.  It carries the id that all nodes of the prefix share: whoever of them hears it
 * again knows that its own clients have it.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <sio/room.h>

#include "codec/node.h"
#include "codec/python.h"
#include "redis/inner.h"

enum { TOLD_KEPT = 65536 }; /* bytes of the buffer that stay between two events */

static struct neighbour event_of(sio_slice nsp, const struct sio_target *target, sio_slice name, const struct sio_args *args)
{
	struct neighbour n = {
		.kind = NEIGHBOUR_EMIT,
		.nsp = nsp,
		.rooms = target->rooms,
		.rooms_n = target->rooms_n,
		.except = target->except,
		.except_n = target->except_n,
		.is_volatile = target->is_volatile,
		.no_compress = target->no_compress,
		.name = name,
		.json = args->json,
	};

	if (target->skip)
		n.skip = sio_socket_id(target->skip);
	n.blobs.n = args->attachments_n;
	for (unsigned i = 0; i < args->attachments_n; i++)
		n.blobs.list[i] = args->attachments[i];
	return n;
}

typedef int write_fn(struct neighbours *own, const struct neighbour *n);

static int write_python(struct neighbours *own, const struct neighbour *n)
{
	buf_str(&own->channel, own->to_python);
	return python_write(&own->told, sio_bytes(own->id, NEIGHBOURS_ID), n);
}

static int write_node(struct neighbours *own, const struct neighbour *n)
{
	return node_write(&own->channel, &own->told, sio_str(own->to_node), sio_bytes(own->id, NEIGHBOURS_ID), n);
}

static int tell(struct sio_redis *r, write_fn *write, const struct neighbour *n)
{
	struct neighbours *own = &r->neighbours;
	int err;

	if (own->told.cap > TOLD_KEPT)
		buf_fini(&own->told);
	buf_clear(&own->told);
	buf_clear(&own->channel);
	/* A cursor of a minute ago is of no use: what is volatile does not wait for Redis. */
	err = n->is_volatile && !link_is_ready(&r->pub) ? SIO_ERR_BUSY : write(own, n);
	if (err == SIO_OK && own->channel.failed)
		err = SIO_ERR_NOMEM;
	if (err == SIO_OK)
		err = publish_outside(r, buf_peek(&own->channel), buf_peek(&own->told));
	if (err < 0)
		r->stats.neighbours_untold_total++;
	return err;
}

int outside_tell(struct sio_redis *r, sio_slice nsp, const struct sio_target *target, sio_slice name,
		 const struct sio_args *args)
{
	const struct neighbours *own = &r->neighbours;
	struct neighbour n;
	int err = SIO_OK, node_err = SIO_OK;

	if (!own->to_python && !own->to_node)
		return SIO_OK;
	n = event_of(nsp, target, name, args);
	if (own->to_python)
		err = tell(r, write_python, &n);
	if (own->to_node)
		node_err = tell(r, write_node, &n);
	return err < 0 ? err : node_err;
}
