/* python.h -- what python-socketio's manager publishes: one channel, one message each.
 *
 * JSON since 5.14, a pickle before.  Both are read, of every version; what is written is JSON that every version reads.
 * Pure.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef CODEC_PYTHON_H
#define CODEC_PYTHON_H

#include "codec/neighbour.h"

#define PYTHON_CHANNEL "socketio" /* unless the application says otherwise */

/* Take bytes apart.  What carries the host id own is our own.  *out is to be given to
 * neighbour_fini whatever is returned, and points into bytes.  Returns 0; SIO_ERR_PROTO, SIO_ERR_LIMIT or SIO_ERR_NOMEM. */
SIO_MUST_CHECK int python_read(sio_slice bytes, sio_slice own, struct neighbour *out);

/* Append the message for an event (n->kind is EMIT) of the manager own.  One argument that is no list stands
 * there bare, which every version reads; what versions before 5.15.1 have no form for, several arguments and one that is a
 * list, stands there as those since then want it, and bytes as those since 5.14.2 do.  Returns 0,
 * SIO_ERR_PROTO (the arguments are no JSON), SIO_ERR_LIMIT or SIO_ERR_NOMEM; then what was appended is no message. */
SIO_MUST_CHECK int python_write(struct buf *out, sio_slice own, const struct neighbour *n);

#endif
