/* sim.h -- a whole installation in one thread: servers, Redis, database, clients, and chance.
 *
 *	person.c  clients: what they do, what they were told, what must be true of it
 *	   |  packets of Engine.IO                                    ^
 *	   v                                                          |
 *	node.c    a server: the real engine, hub and server/collab; its loop's inbox, its clocks
 *	   |                           |
 *	   v                           v
 *	adapter.c, redis.c          store.c   the real operations on one SQLite database in memory;
 *	Redis, and the way there              the store's threads are played
 *
 *	world.c   time and what is due;  fault.c  what goes wrong;  truth.c  what was committed, and
 *	what must hold;  sabotage.c  faults that must be found;  memory.c  counts blocks
 *
 * No socket, no thread, no clock: time is world.now_ms, and all chance comes from one seed, which
 * makes the whole run.  docs/decisions/0035-simulation.md says what is played here and what is real.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sio/slice.h>

enum {
	SIM_NODES_MAX = 7,
	SIM_CLIENTS_MAX = 2000,
	SIM_PROJECTS = 5,
	SIM_USERS_MAX = SIM_CLIENTS_MAX,
	SIM_ID_MAX = 48,

	SIM_PING_INTERVAL_MS = 8000,
	SIM_PING_TIMEOUT_MS = 6000,
	SIM_GRACE_MS = 1000,       /* presence */
	SIM_WINDOW_MS = 20000,     /* recovery */
	SIM_SKEW_MS = 12000,       /* a server's clock, at most before or behind the others' */
	SIM_CALM_MS = 45000,       /* until everything has healed: lease, back-off, pings, grace */
};

struct sim_options {
	uint64_t seed;
	unsigned nodes_n, clients_n; /* 0: by chance */
	uint64_t steps;
	const char *sabotage;        /* NULL: none */
	bool is_loud;                /* the trace goes to stdout */
};

/* Where it is; read by everybody, written by world.c. */
struct world {
	uint64_t seed, step, steps, now_ms;
	unsigned nodes_n, clients_n, users_n;
	uint64_t trace;              /* hash of all that was heard so far */
	bool is_calm;                /* no faults now, clients do nothing new */
	bool is_ending;              /* whoever goes stays away */
	bool is_loud;
	int node;                    /* on whose behalf something runs: 0 .. nodes_n - 1; -1: nobody's */
};
extern struct world world;

struct sim_sum { /* of one run */
	uint64_t trace;
	uint64_t committed, delivered, recovered, anew, crashes, restarts, joins, revoked, presence, cursors, lost, calms;
};

/* ---- world.c: chance, time, words ------------------------------------------------------------- */

uint32_t below(uint32_t n);
bool one_in(uint32_t n);
uint32_t between(uint32_t least, uint32_t most);

/* Call fn(arg) when it is due_ms, those of one time in the order of the asking. */
typedef void later_fn(void *arg);
void later(uint64_t due_ms, later_fn *fn, void *arg);
/* The run is over: what is due is freed by it, instead of called. */
bool later_is_over(void);

/* Let time pass, event by event. */
void world_pass(uint64_t ms);

/* The end of the program, with seed, step and node in front of what is wrong. */
void sim_fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* A line of the trace: hashed always, printed when loud. */
void sim_trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void sim_trace_bytes(sio_slice text);

/* One run; it returns when all that must hold has held. */
struct sim_sum sim_run(const struct sim_options *options);
extern struct sim_sum sum;

/* Blocks that are out of this program's and libsio's hands (memory.c). */
int64_t memory_out(void);

/* ---- names ---------------------------------------------------------------------------------------- */

const char *project_name(unsigned p); /* "p0" .. */
int project_index(sio_slice id);      /* -1: none */
const char *user_name(unsigned u);    /* "u0" .. */
int user_index(sio_slice id);

#endif
