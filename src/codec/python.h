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

#endif
