/* node.h -- what Node's @socket.io/redis-adapter and @socket.io/redis-emitter publish.
 *
 *	<key>#<nsp>#[<room>#]            msgpack [uid, {type, data, nsp}, {rooms, except, flags}]
 *	<key>-request#<nsp>#             JSON {uid, type, opts, rooms ...}; msgpack for type 7
 *
 * Broadcasts, with an acknowledgement or without, and the requests that move or disconnect
 * sockets are read.  The other requests are questions, which we do not answer.  Pure.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef CODEC_NODE_H
#define CODEC_NODE_H

#include "codec/neighbour.h"

#define NODE_KEY "socket.io" /* begins the channels, unless the application says otherwise */

/* Take a message apart, of a channel of that key.  What carries the uid own is our own.  *out is to be given
 * to neighbour_fini whatever is returned, and points into both.  Returns 0; SIO_ERR_PROTO, SIO_ERR_LIMIT or
 * SIO_ERR_NOMEM. */
SIO_MUST_CHECK int node_read(sio_slice key, sio_slice channel, sio_slice bytes, sio_slice own, struct neighbour *out);

/* Append the message for an event (n->kind is EMIT) of the server own, as the adapter publishes it, and to channel the
 * name of the channel that it goes to.  Returns 0, SIO_ERR_PROTO (the arguments are no JSON), SIO_ERR_LIMIT or
 * SIO_ERR_NOMEM; then neither is of use. */
SIO_MUST_CHECK int node_write(struct buf *channel, struct buf *out, sio_slice key, sio_slice own, const struct neighbour *n);

#endif
