/* times.c -- see times.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "base/times.h"

/* From a turn with one message in it up to what a person notices. */
static const uint32_t bounds_us[SIO_TIMES_N - 1] = { 10,    25,    50,    100,    250,    500,    1000,    2500,   5000,
						     10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000 };

uint32_t sio_times_bound_us(unsigned i)
{
	return i < SIO_TIMES_N - 1 ? bounds_us[i] : 0;
}

void times_add(struct sio_times *t, uint64_t ns, uint64_t n)
{
	unsigned i = 0;

	while (i < SIO_TIMES_N - 1 && ns > (uint64_t)bounds_us[i] * 1000)
		i++;
	t->n[i] += n;
	t->total_ns += ns * n;
}
