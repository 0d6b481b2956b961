/* sabotage.h -- faults that a good simulation must find: one at a time, by name.
 *
 * Each breaks something of the real code from outside, where the linker lets it: SABOTAGE=name.
 * A run with one must fail; tests/sim/run says so when one does not.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_SIM_SABOTAGE_H
#define TESTS_SIM_SABOTAGE_H

#include "sim/sim.h"

void sabotage_begin(const char *name); /* NULL: none */
const char *sabotage_name(unsigned i); /* NULL: there are no more */
/* How often a message of another server is handed in: once, unless something is broken. */
unsigned sabotage_copies(sio_slice message);

#endif
