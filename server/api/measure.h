/* measure.h -- GET /metrics: the text of one worker, and of all of a process (roll.c).
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef API_MEASURE_H
#define API_MEASURE_H

#include "api/call.h"

/* What this worker counts; without the process's own figures. */
void measure_put(struct buf *b, const struct api *api);
/* Answer with b and the figures of the process; frees it. */
void measure_answer(struct call *call, struct buf *b);

/* One of the workers. */
void roll_enter(struct api *api);
/* Call fn with the api of each worker, on the thread of that worker; of one that cannot be
 * reached now it is not called. */
void roll_tell(struct api *api, void (*fn)(void *api));
/* What the workers share of traces. */
struct trace_board *roll_traces(const struct api_workers *roll);
/* Answer for all workers.  false: there is only one. */
bool roll_call(struct call *call);

#endif
