/* fault.h -- what goes wrong: servers, Redis and the ways to it, the database, clocks.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_SIM_FAULT_H
#define TESTS_SIM_FAULT_H

#include "sim/sim.h"

void fault_begin(void);
/* One, by chance. */
void fault_make(void);
/* All is mended: every server up and awake, Redis and database there. */
void fault_heal(void);
/* Ends of what lasts for a while; call it in each step. */
void fault_pass(void);

uint64_t fault_quiet_ms(void);  /* how long ago the last one ended */
uint64_t fault_crash_ms(void);  /* when a server crashed last; 0: never */

#endif
