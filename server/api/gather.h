/* gather.h -- one question to all servers of the cluster, this one included.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef API_GATHER_H
#define API_GATHER_H

#include "api/call.h"

enum { GATHER_WAIT_MS = 2000 };

/* What came back: an object of JSON from each server, this one's first.  Borrowed. */
struct gathered {
	const sio_slice *answers;
	size_t n;
	const sio_slice *missing; /* ids of the servers that did not answer in time */
	size_t missing_n;
};
typedef void gather_fn(struct call *call, const struct gathered *got);

/* Ask what (COLLAB_ASK_...) about id.  done is called once, with what came within
 * GATHER_WAIT_MS, and answers the call; at once when this server is alone. */
void gather(struct call *call, const char *what, sio_slice id, gather_fn *done);

/* Append "missing_nodes":[..]. */
void gather_put_missing(struct buf *b, const struct gathered *got);

/* The number that each answer has under key, added up. */
int64_t gather_sum(const struct gathered *got, const char *key);

#endif
