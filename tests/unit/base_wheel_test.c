/* base_wheel_test.c -- timers fire when they are due, whatever callbacks do meanwhile.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/map.h"
#include "lib/fake_engine.h"

enum { START_MS = 160000, ROUND_MS = WHEEL_TICK_MS * WHEEL_SLOTS };

static struct wheel w;
static uint64_t now;

struct probe {
	struct sio_timer timer;
	uint64_t due, fired;
	unsigned fired_n;
	struct probe *other;
	int id;
};

static int order[64];
static unsigned order_n;

static void on_fire(struct sio_timer *timer)
{
	struct probe *p = MAP_OWNER(timer, struct probe, timer);

	assert_false(wheel_is_set(timer));
	p->fired = now;
	p->fired_n++;
	if (order_n < 64)
		order[order_n++] = p->id;
}

static int setup(void **state)
{
	(void)state;
	wheel_init(&w, START_MS);
	now = START_MS;
	order_n = 0;
	return 0;
}

static void run_to(uint64_t ms)
{
	now = ms;
	wheel_run(&w, now);
}

/* The first multiple of the tick at or behind ms. */
static uint64_t rounded(uint64_t ms)
{
	return (ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS * WHEEL_TICK_MS;
}

static void test_fires_once_and_in_time(void **state)
{
	struct probe p = { 0 };

	(void)state;
	for (uint64_t delay = 0; delay < 100; delay++) {
		uint64_t set_at = now, due = rounded(now + delay);
		if (due <= now / WHEEL_TICK_MS * WHEEL_TICK_MS)
			due = (now / WHEEL_TICK_MS + 1) * WHEEL_TICK_MS;
		p = (struct probe){ 0 };
		wheel_set(&w, &p.timer, now + delay, on_fire);
		assert_true(wheel_is_set(&p.timer));
		while (now < set_at + 200)
			run_to(now + 1);
		assert_int_equal(p.fired_n, 1);
		assert_int_equal(p.fired, due);
		assert_true(p.fired - set_at <= delay + WHEEL_TICK_MS);
	}
}

static void test_moving_and_stopping(void **state)
{
	struct probe p = { 0 }, q = { 0 };

	(void)state;
	wheel_del(&p.timer);
	wheel_set(&w, &p.timer, now + 100, on_fire);
	wheel_set(&w, &q.timer, now + 100, on_fire);
	wheel_set(&w, &p.timer, now + 1000, on_fire);
	run_to(now + 500);
	assert_int_equal(p.fired_n, 0);
	assert_int_equal(q.fired_n, 1);
	wheel_del(&p.timer);
	wheel_del(&p.timer);
	assert_false(wheel_is_set(&p.timer));
	run_to(now + 1000);
	assert_int_equal(p.fired_n, 0);
}

static void test_the_past_fires_next(void **state)
{
	struct probe p = { 0 };

	(void)state;
	wheel_set(&w, &p.timer, 5, on_fire);
	run_to(now);
	assert_int_equal(p.fired_n, 0);
	run_to(now + WHEEL_TICK_MS);
	assert_int_equal(p.fired_n, 1);
}

static void test_time_that_stands_or_goes_back(void **state)
{
	struct probe p = { 0 };

	(void)state;
	wheel_set(&w, &p.timer, now + 32, on_fire);
	run_to(now + 16);
	run_to(now);
	run_to(START_MS - 5000);
	assert_int_equal(p.fired_n, 0);
	run_to(START_MS + 32);
	assert_int_equal(p.fired_n, 1);
}

static void test_later_rounds_and_long_sleeps(void **state)
{
	struct probe p[6] = { 0 };

	(void)state;
	for (int i = 0; i < 6; i++)
		wheel_set(&w, &p[i].timer, now + 160 + (uint64_t)i * ROUND_MS, on_fire);
	run_to(now + 160);
	assert_int_equal(p[0].fired_n, 1);
	assert_int_equal(p[1].fired_n, 0);
	run_to(now + ROUND_MS - 1);
	assert_int_equal(p[1].fired_n, 0);
	run_to(now + 1);
	assert_int_equal(p[1].fired_n, 1);
	/* Asleep for more than two rounds. */
	run_to(now + 2 * ROUND_MS + ROUND_MS / 2);
	assert_int_equal(p[2].fired_n, 1);
	assert_int_equal(p[3].fired_n, 1);
	assert_int_equal(p[4].fired_n, 0);
	run_to(now + 100 * (uint64_t)ROUND_MS);
	assert_int_equal(p[4].fired_n, 1);
	assert_int_equal(p[5].fired_n, 1);
	assert_int_equal(wheel_wait_ms(&w, now), -1);
}

/* After a stall the older deadline comes first, and equal ones in the order of
 * setting. */
static void test_order_of_deadlines(void **state)
{
	struct probe p[5] = { { .id = 0 }, { .id = 1 }, { .id = 2 }, { .id = 3 }, { .id = 4 } };

	(void)state;
	wheel_set(&w, &p[3].timer, now + 400, on_fire);
	wheel_set(&w, &p[1].timer, now + 100, on_fire);
	wheel_set(&w, &p[0].timer, now + 50, on_fire);
	wheel_set(&w, &p[2].timer, now + 100, on_fire);
	wheel_set(&w, &p[4].timer, now + 401, on_fire);
	run_to(now + 1000);
	assert_int_equal(order_n, 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(order[i], i);
}

static void on_stop_other(struct sio_timer *timer)
{
	struct probe *p = MAP_OWNER(timer, struct probe, timer);

	on_fire(timer);
	wheel_del(&p->other->timer);
}

static void on_free_both(struct sio_timer *timer)
{
	struct probe *p = MAP_OWNER(timer, struct probe, timer);

	wheel_del(&p->other->timer);
	free(p->other);
	free(p);
}

static void on_set_again(struct sio_timer *timer)
{
	struct probe *p = MAP_OWNER(timer, struct probe, timer);

	on_fire(timer);
	wheel_set(&w, timer, p->due, on_set_again);
}

static void on_move_other(struct sio_timer *timer)
{
	struct probe *p = MAP_OWNER(timer, struct probe, timer);

	on_fire(timer);
	wheel_set(&w, &p->other->timer, now + 320, on_fire);
}

static void test_callbacks_may_do_anything(void **state)
{
	struct probe a = { 0 }, b = { 0 }, *c = calloc(1, sizeof(*c)), *d = calloc(1, sizeof(*d));

	(void)state;
	/* Of two that are due together the first to fire stops the other. */
	a.other = &b;
	b.other = &a;
	wheel_set(&w, &a.timer, now + 20, on_stop_other);
	wheel_set(&w, &b.timer, now + 20, on_stop_other);
	/* And of these it frees both. */
	c->other = d;
	d->other = c;
	wheel_set(&w, &c->timer, now + 20, on_free_both);
	wheel_set(&w, &d->timer, now + 20, on_free_both);
	run_to(now + 40);
	assert_int_equal(a.fired_n + b.fired_n, 1);
	/* One that sets itself to the past fires once a run, not forever. */
	a = (struct probe){ .due = 0 };
	wheel_set(&w, &a.timer, now + 20, on_set_again);
	run_to(now + 48);
	assert_int_equal(a.fired_n, 1);
	run_to(now + WHEEL_TICK_MS);
	assert_int_equal(a.fired_n, 2);
	wheel_del(&a.timer);
	/* One that is due is moved away by another. */
	a = (struct probe){ .other = &b };
	b = (struct probe){ .other = &a };
	wheel_set(&w, &a.timer, now + 20, on_move_other);
	wheel_set(&w, &b.timer, now + 20, on_move_other);
	run_to(now + 48);
	assert_int_equal(a.fired_n + b.fired_n, 1);
	run_to(now + 400);
	assert_int_equal(a.fired_n + b.fired_n, 2);
}

static void test_wait(void **state)
{
	struct probe p = { 0 }, q = { 0 };
	uint64_t set_at;

	(void)state;
	assert_int_equal(wheel_wait_ms(&w, now), -1);
	/* From every position of the wheel, over its seam too. */
	for (int i = 0; i < 3 * WHEEL_SLOTS; i += 7) {
		run_to(START_MS + (uint64_t)i * WHEEL_TICK_MS + (uint64_t)(i % WHEEL_TICK_MS));
		set_at = now;
		wheel_set(&w, &p.timer, now + 30000, on_fire);
		assert_int_equal(wheel_wait_ms(&w, now), (int64_t)(rounded(now + 30000) - now));
		wheel_set(&w, &q.timer, now + 1, on_fire);
		assert_true(wheel_wait_ms(&w, now) <= 2 * WHEEL_TICK_MS);
		assert_int_equal(wheel_wait_ms(&w, now + 1000), 0);
		wheel_del(&p.timer);
		wheel_del(&q.timer);
		p.fired_n = 0;
		wheel_set(&w, &p.timer, now + 500, on_fire);
		while (p.fired_n == 0) {
			int64_t wait = wheel_wait_ms(&w, now);
			assert_true(wait > 0);
			run_to(now + (uint64_t)wait);
		}
		assert_int_equal(p.fired, rounded(set_at + 500));
		run_to(now + ROUND_MS); /* spent marks are forgotten */
		assert_int_equal(wheel_wait_ms(&w, now), -1);
		wheel_init(&w, START_MS);
	}
}

/* ---- against a naive model ------------------------------------------------------- */

enum { N = 200 };
static struct probe all[N];
static uint64_t state_of_random;

/* Fires exactly when the model says, and sometimes meddles with another. */
static void on_model(struct sio_timer *timer)
{
	struct probe *p = MAP_OWNER(timer, struct probe, timer);
	struct probe *victim = &all[fake_random(&state_of_random, N)];

	assert_true(p->due != 0);
	assert_true(now >= p->due);
	p->due = 0;
	switch (fake_random(&state_of_random, 4)) {
	case 0:
		wheel_del(&victim->timer);
		victim->due = 0;
		return;
	case 1:
		victim->due = now + 1 + fake_random(&state_of_random, 5000);
		wheel_set(&w, &victim->timer, victim->due, on_model);
		victim->due = rounded(victim->due);
		return;
	default:
		return;
	}
}

static void test_random_against_a_model(void **state)
{
	(void)state;
	state_of_random = fake_seed();
	memset(all, 0, sizeof(all));
	for (int step = 0; step < 20000; step++) {
		struct probe *p = &all[fake_random(&state_of_random, N)];
		uint32_t what = fake_random(&state_of_random, 10);
		if (what < 5) {
			uint32_t span = fake_random(&state_of_random, 10) ? 2000 : 3 * ROUND_MS;
			p->due = rounded(now + 1 + fake_random(&state_of_random, span));
			wheel_set(&w, &p->timer, p->due - fake_random(&state_of_random, WHEEL_TICK_MS), on_model);
			if (p->due <= now / WHEEL_TICK_MS * WHEEL_TICK_MS)
				p->due += WHEEL_TICK_MS;
		} else if (what < 7) {
			wheel_del(&p->timer);
			p->due = 0;
		} else {
			uint64_t next = now + fake_random(&state_of_random, fake_random(&state_of_random, 50) ? 60 : 2 * ROUND_MS);
			for (int i = 0; i < N; i++) { /* the wheel must not sleep longer than this */
				int64_t wait = wheel_wait_ms(&w, now);
				if (all[i].due)
					assert_true(wait >= 0 && now + (uint64_t)wait <= (all[i].due > now ? all[i].due : now));
			}
			run_to(next);
		}
		for (int i = 0; i < N; i++) {
			assert_int_equal(wheel_is_set(&all[i].timer), all[i].due != 0);
			if (what >= 7 && all[i].due)
				assert_true(all[i].due > now / WHEEL_TICK_MS * WHEEL_TICK_MS);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_fires_once_and_in_time, setup),
		cmocka_unit_test_setup(test_moving_and_stopping, setup),
		cmocka_unit_test_setup(test_the_past_fires_next, setup),
		cmocka_unit_test_setup(test_time_that_stands_or_goes_back, setup),
		cmocka_unit_test_setup(test_later_rounds_and_long_sleeps, setup),
		cmocka_unit_test_setup(test_order_of_deadlines, setup),
		cmocka_unit_test_setup(test_callbacks_may_do_anything, setup),
		cmocka_unit_test_setup(test_wait, setup),
		cmocka_unit_test_setup(test_random_against_a_model, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
