/* main.c -- the simulation as a program: one run, or many.
 *
 *	sim                    10,000 steps: fixed seeds, then a fresh one; the first runs twice
 *	SEED=n                 that one alone
 *	STEPS= NODES= CLIENTS= of each run
 *	HOURS=n                fresh seeds until so much real time has passed
 *	SABOTAGE=name          with something broken: it must fail (SABOTAGE=list names them)
 *	LOUD=1                 what happens, line by line
 *
 * Each run prints its seed before it begins.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/log.h"
#include "sim/sabotage.h"
#include "sim/sim.h"

enum { STEPS_USUAL = 2000, FIXED_N = 4 };

static bool is_running;

/* An assertion of the code under test, or of a check of the hub's. */
static void on_abort(int number)
{
	(void)number;
	sim_fail("aborted, for the reason above");
}

static void on_exit_early(void)
{
	if (is_running)
		sim_fail("ended, for the reason above");
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

int __real_clock_gettime(clockid_t clock, struct timespec *out);

static double real_s(void)
{
	struct timespec t;

	__real_clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t fresh_seed(void)
{
	struct timespec t;

	__real_clock_gettime(CLOCK_REALTIME, &t);
	return ((uint64_t)t.tv_nsec ^ (uint64_t)t.tv_sec << 20 ^ (uint64_t)getpid()) & 0xffffffffffffULL;
}

static struct sim_sum run(uint64_t seed)
{
	const char *sabotage = getenv("SABOTAGE");
	struct sim_options options = {
		.seed = seed,
		.steps = number("STEPS", STEPS_USUAL),
		.nodes_n = (unsigned)number("NODES", 0),
		.clients_n = (unsigned)number("CLIENTS", 0),
		.sabotage = sabotage && *sabotage ? sabotage : NULL,
		.is_loud = number("LOUD", 0),
	};
	double begun_s = real_s();
	struct sim_sum s;

	printf("seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	is_running = true;
	s = sim_run(&options);
	is_running = false;
	printf("  %u servers, %u clients, %llu steps, %llu s of their time in %.1f s: %llu committed, %llu packets heard, %llu came anew, "
	       "%llu recovered, %llu joins, %llu joined or left, %llu revoked, %llu cursors, %llu lost, %llu crashes, %llu restarts; trace %016llx\n",
	       world.nodes_n, world.clients_n, (unsigned long long)options.steps, (unsigned long long)(world.now_ms / 1000), real_s() - begun_s,
	       (unsigned long long)s.committed, (unsigned long long)s.delivered, (unsigned long long)s.anew, (unsigned long long)s.recovered,
	       (unsigned long long)s.joins, (unsigned long long)s.presence, (unsigned long long)s.revoked, (unsigned long long)s.cursors,
	       (unsigned long long)s.lost, (unsigned long long)s.crashes, (unsigned long long)s.restarts, (unsigned long long)s.trace);
	fflush(stdout);
	return s;
}

static void run_usual(void)
{
	uint64_t first = run(1).trace;

	for (uint64_t seed = 2; seed <= FIXED_N; seed++)
		run(seed);
	run(fresh_seed());
	if (run(1).trace != first)
		sim_fail("the same seed has made two different runs");
}

int main(void)
{
	double until_s = real_s() + (double)number("HOURS", 0) * 3600;
	const char *sabotage = getenv("SABOTAGE");

	if (sabotage && strcmp(sabotage, "list") == 0) {
		for (unsigned i = 0; sabotage_name(i); i++)
			puts(sabotage_name(i));
		return 0;
	}
	signal(SIGABRT, on_abort);
	atexit(on_exit_early);
	log_setup(SIO_LOG_ERROR, false);
	if (getenv("SEED") && *getenv("SEED"))
		run(number("SEED", 1));
	else if (number("HOURS", 0) == 0)
		run_usual();
	while (real_s() < until_s)
		run(fresh_seed());
	sqlite3_shutdown();
	return 0;
}
