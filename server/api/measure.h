/* measure.h -- GET /metrics: what this process counts, by the contract's names.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef API_MEASURE_H
#define API_MEASURE_H

struct call;

void measure(struct call *call);

#endif
