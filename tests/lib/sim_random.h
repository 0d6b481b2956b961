/* sim_random.h -- where chance comes from in a simulation: one seed makes the whole run.
 *
 * For tests/unit/sim_*_test.c, which are linked with --wrap=random_bytes and
 * --wrap=random_id (CMakeLists.txt): the library's own random bytes come from the seed too.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_SIM_RANDOM_H
#define TESTS_SIM_RANDOM_H

#include <stdbool.h>

#include "base/random.h"
#include "lib/fake_engine.h"

static uint64_t rnd; /* set it to fake_seed() first */

void __wrap_random_bytes(void *p, size_t n);
void __wrap_random_id(char out[RANDOM_ID_LEN + 1]);

void __wrap_random_bytes(void *p, size_t n)
{
	for (unsigned char *at = p; n > 0; n--)
		*at++ = (unsigned char)fake_random(&rnd, 256);
}

void __wrap_random_id(char out[RANDOM_ID_LEN + 1])
{
	for (int i = 0; i < RANDOM_ID_LEN; i++)
		out[i] = (char)('a' + fake_random(&rnd, 26));
	out[RANDOM_ID_LEN] = '\0';
}

static inline uint32_t below(uint32_t n)
{
	return fake_random(&rnd, n);
}

static inline bool one_in(uint32_t n)
{
	return below(n) == 0;
}

#endif
