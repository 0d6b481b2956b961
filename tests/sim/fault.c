/* fault.c -- see fault.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "sim/fault.h"

#include "sim/node.h"

enum { DOWN_MAX_MS = 8000, FROZEN_MAX_MS = 4000, FROZEN_LONG_MS = 15000, CUT_MAX_MS = 20000 };

static uint64_t last_ms, crash_ms;
static uint64_t wake_ms[SIM_NODES_MAX], start_ms[SIM_NODES_MAX];

void fault_begin(void)
{
	last_ms = crash_ms = 0;
	for (unsigned n = 0; n < SIM_NODES_MAX; n++)
		wake_ms[n] = start_ms[n] = 0;
}

static void lasts(uint64_t ms)
{
	if (world.now_ms + ms > last_ms)
		last_ms = world.now_ms + ms;
}

uint64_t fault_quiet_ms(void)
{
	return world.now_ms > last_ms ? world.now_ms - last_ms : 0;
}

uint64_t fault_crash_ms(void)
{
	return crash_ms;
}

static void end_server(unsigned n, bool is_crash)
{
	uint64_t ms = below(DOWN_MAX_MS);

	if (!machines[n].server)
		return;
	if (is_crash) {
		crash_ms = world.now_ms;
		sum.crashes++;
	} else {
		sum.restarts++;
	}
	node_end(n, is_crash);
	start_ms[n] = world.now_ms + ms;
	lasts(ms);
}

static void freeze(unsigned n)
{
	uint64_t ms = one_in(5) ? below(FROZEN_LONG_MS) : below(FROZEN_MAX_MS);

	if (!node_is_up(n))
		return;
	node_freeze(n, true);
	wake_ms[n] = world.now_ms + ms;
	lasts(ms);
}

static void jump_clock(unsigned n)
{
	machines[n].wall_off_ms = (int64_t)below(2 * SIM_SKEW_MS) - SIM_SKEW_MS;
	sim_trace("the clock of server %u jumps to %lld ms", n, (long long)machines[n].wall_off_ms);
	lasts(0);
}

/* The way from some servers to Redis. */
static void cut_off(void)
{
	unsigned side = below(1u << world.nodes_n), kind = below(3);
	uint64_t ms = one_in(3) ? below(CUT_MAX_MS) : below(3000);

	sim_trace("cut off: %x, kind %u, %llu ms", side, kind, (unsigned long long)ms);
	for (unsigned n = 0; n < world.nodes_n; n++) {
		if (!(side >> n & 1))
			continue;
		if (kind > 0)
			redis_cut(n, kind == 1);
		redis_stall(n, world.now_ms + ms);
	}
	lasts(ms);
}

static void trouble_store(unsigned n)
{
	uint64_t ms = between(100, 1800);

	if (!machines[n].server)
		return;
	sim_trace("the store of server %u is in trouble for %llu ms", n, (unsigned long long)ms);
	machines[n].trouble_ms = world.now_ms + ms;
	if (one_in(3))
		store_be_away(machines[n].store, world.now_ms + ms);
	else
		store_be_slow(machines[n].store, world.now_ms + ms);
	lasts(ms);
}

void fault_make(void)
{
	unsigned n = below(world.nodes_n);

	switch (below(12)) {
	case 0:
	case 1:
		end_server(n, true);
		break;
	case 2:
		end_server(n, false);
		break;
	case 3:
	case 4:
		freeze(n);
		break;
	case 5:
		jump_clock(n);
		break;
	case 6:
		sim_trace("server %u is deaf", n);
		redis_deafen(n);
		lasts(SIM_CALM_MS / 4);
		break;
	case 7:
		sim_trace("Redis starts anew");
		redis_restart(world.now_ms + below(4000));
		lasts(4000);
		break;
	case 8:
	case 9:
		cut_off();
		break;
	default:
		trouble_store(n);
	}
}

void fault_pass(void)
{
	for (unsigned n = 0; n < world.nodes_n; n++) {
		if (machines[n].is_frozen && world.now_ms >= wake_ms[n])
			node_freeze(n, false);
		if (!machines[n].server && world.now_ms >= start_ms[n])
			node_start(n);
	}
}

void fault_heal(void)
{
	for (unsigned n = 0; n < world.nodes_n; n++) {
		wake_ms[n] = start_ms[n] = 0;
		if (machines[n].server) {
			store_be_slow(machines[n].store, 0);
			store_be_away(machines[n].store, 0);
		}
	}
	redis_heal();
	fault_pass();
}
