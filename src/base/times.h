/* times.h -- how long something took, many times: counts by how long, for a histogram.
 *
 * Knows no clock: it is told what came of two readings of one.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef BASE_TIMES_H
#define BASE_TIMES_H

#include <sio/server.h>

/* n of them took so long. */
void times_add(struct sio_times *t, uint64_t ns, uint64_t n);

#endif
