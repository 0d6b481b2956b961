/* world.c -- chance, time, and what is due when.
 *
 * Time goes from event to event: the next thing that is due somewhere, on the way between two
 * machines or in a server's timing wheel, is what happens next.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "sim/node.h"

enum { EPOCH_S = 1790000000 }; /* a day like any other */

struct world world;
static uint64_t chance;

/* ---- chance --------------------------------------------------------------------- */

/* SplitMix64. */
static uint64_t next_random(void)
{
	uint64_t z = chance += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

uint32_t below(uint32_t n)
{
	return (uint32_t)(next_random() >> 16) % n;
}

bool one_in(uint32_t n)
{
	return below(n) == 0;
}

uint32_t between(uint32_t least, uint32_t most)
{
	return least + below(most - least + 1);
}

void chance_begin(uint64_t seed);
void chance_begin(uint64_t seed)
{
	chance = seed;
}

/* What the library wants of chance comes from the seed, too. */
void __wrap_random_bytes(void *p, size_t n);
void __wrap_random_id(char out[RANDOM_ID_LEN + 1]);

void __wrap_random_bytes(void *p, size_t n)
{
	for (unsigned char *at = p; n > 0; n--)
		*at++ = (unsigned char)below(256);
}

void __wrap_random_id(char out[RANDOM_ID_LEN + 1])
{
	for (int i = 0; i < RANDOM_ID_LEN; i++)
		out[i] = (char)('a' + below(26));
	out[RANDOM_ID_LEN] = '\0';
}

/* ---- clocks ---------------------------------------------------------------------------- */

/* Nobody sees the machine's clock: each server has its own, which may jump. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
	int64_t ms = (int64_t)world.now_ms;

	if (clock == CLOCK_REALTIME)
		ms = world.node >= 0 ? node_wall_ms((unsigned)world.node) : ms + EPOCH_S * 1000LL;
	out->tv_sec = (time_t)(ms / 1000);
	out->tv_nsec = (long)(ms % 1000) * 1000000;
	return 0;
}

int64_t node_wall_ms(unsigned n)
{
	return (int64_t)world.now_ms + EPOCH_S * 1000LL + machines[n].wall_off_ms;
}

/* ---- what is due: a heap -------------------------------------------------------------------- */

struct due {
	uint64_t ms, order;
	later_fn *fn;
	void *arg;
};

static struct due *dues;
static size_t dues_n, dues_cap;
static uint64_t dues_order;
static bool is_over;

static bool is_before(const struct due *a, const struct due *b)
{
	return a->ms < b->ms || (a->ms == b->ms && a->order < b->order);
}

static void swap(size_t a, size_t b)
{
	struct due d = dues[a];

	dues[a] = dues[b];
	dues[b] = d;
}

void later(uint64_t due_ms, later_fn *fn, void *arg)
{
	size_t i = dues_n;

	if (dues_n == dues_cap)
		dues = realloc(dues, (dues_cap = dues_cap ? 2 * dues_cap : 64) * sizeof(*dues));
	dues[dues_n++] = (struct due){ due_ms < world.now_ms ? world.now_ms : due_ms, dues_order++, fn, arg };
	for (; i > 0 && is_before(&dues[i], &dues[(i - 1) / 2]); i = (i - 1) / 2)
		swap(i, (i - 1) / 2);
}

static struct due take_due(void)
{
	struct due first = dues[0];

	dues[0] = dues[--dues_n];
	for (size_t i = 0;;) {
		size_t least = i, left = 2 * i + 1;

		if (left < dues_n && is_before(&dues[left], &dues[least]))
			least = left;
		if (left + 1 < dues_n && is_before(&dues[left + 1], &dues[least]))
			least = left + 1;
		if (least == i)
			return first;
		swap(i, least);
		i = least;
	}
}

bool later_is_over(void)
{
	return is_over;
}

void later_begin(void);
void later_end(void);

void later_begin(void)
{
	is_over = false;
	dues_order = 0;
}

void later_end(void)
{
	is_over = true;
	while (dues_n > 0) {
		struct due due = take_due();

		due.fn(due.arg);
	}
	free(dues);
	dues = NULL;
	dues_cap = 0;
}

static bool run_due(void)
{
	bool is_busy = false;

	while (dues_n > 0 && dues[0].ms <= world.now_ms) {
		struct due due = take_due();

		due.fn(due.arg);
		is_busy = true;
	}
	return is_busy;
}

static uint64_t next_ms(uint64_t until_ms)
{
	uint64_t next = dues_n > 0 && dues[0].ms < until_ms ? dues[0].ms : until_ms;

	for (unsigned n = 0; n < world.nodes_n; n++) {
		uint64_t wait_ms = node_is_up(n) ? node_wait_ms(n) : UINT64_MAX;

		if (wait_ms < next - world.now_ms)
			next = world.now_ms + (wait_ms ? wait_ms : 1);
	}
	return next;
}

void person_turn_all(void);

/* Everything that can happen now, until nothing can. */
static void turn_all(void)
{
	bool is_busy = true;

	for (unsigned rounds = 0; is_busy; rounds++) {
		if (rounds > 10000)
			sim_fail("the servers never come to rest");
		is_busy = run_due();
		for (unsigned n = 0; n < world.nodes_n; n++)
			is_busy |= node_is_up(n) && node_turn(n);
		person_turn_all();
	}
}

void world_pass(uint64_t ms)
{
	uint64_t until_ms = world.now_ms + ms;

	turn_all();
	while (world.now_ms < until_ms) {
		world.now_ms = next_ms(until_ms);
		turn_all();
	}
}

/* ---- words ------------------------------------------------------------------------------------- */

void sim_fail(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "FAIL: seed %llu, step %llu, %llu ms, server %d: ", (unsigned long long)world.seed, (unsigned long long)world.step,
		(unsigned long long)world.now_ms, world.node);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nAgain: make sim SEED=%llu STEPS=%llu NODES=%u CLIENTS=%u; LOUD=1 prints what happened.\n",
		(unsigned long long)world.seed, (unsigned long long)world.steps, world.nodes_n, world.clients_n);
	fflush(stderr);
	_Exit(1);
}

void sim_trace_bytes(sio_slice text)
{
	for (size_t i = 0; i < text.n; i++) /* FNV-1a */
		world.trace = (world.trace ^ (unsigned char)text.p[i]) * 1099511628211ULL;
	if (world.is_loud)
		printf("%8llu %.*s\n", (unsigned long long)world.now_ms, (int)text.n, text.p);
}

void sim_trace(const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	sim_trace_bytes(sio_bytes(line, n < (int)sizeof(line) ? (size_t)n : sizeof(line) - 1));
}

/* ---- names ----------------------------------------------------------------------------------------- */

static const char *name_of(char kind, unsigned i)
{
	static char names[4][SIM_ID_MAX];
	static unsigned next;
	char *name = names[next++ % 4];

	snprintf(name, SIM_ID_MAX, "%c%u", kind, i);
	return name;
}

static int index_of(char kind, sio_slice id, unsigned n)
{
	unsigned i = 0;

	if (id.n < 2 || id.n > 6 || id.p[0] != kind)
		return -1;
	for (size_t k = 1; k < id.n; k++) {
		if (id.p[k] < '0' || id.p[k] > '9')
			return -1;
		i = i * 10 + (unsigned)(id.p[k] - '0');
	}
	return i < n ? (int)i : -1;
}

const char *project_name(unsigned p)
{
	return name_of('p', p);
}

int project_index(sio_slice id)
{
	return index_of('p', id, SIM_PROJECTS);
}

const char *user_name(unsigned u)
{
	return name_of('u', u);
}

int user_index(sio_slice id)
{
	return index_of('u', id, SIM_USERS_MAX);
}
