/* auth_jwks_test.c -- when keys are fetched, with time as a number.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/issuer.h"
#include "auth/jwks.h"

static struct jwks jwks;
static uint64_t now;

static void fetch_ends(bool is_good)
{
	assert_true(jwks_begin(&jwks, now));
	assert_false(jwks_begin(&jwks, now)); /* one at a time */
	now += 100;
	jwks_end(&jwks, now, is_good, 0);
}

static int setup(void **state)
{
	(void)state;
	now = 1000;
	jwks_init(&jwks, now);
	return 0;
}

static void test_start_and_age(void **state)
{
	(void)state;
	fetch_ends(true);
	assert_int_equal(jwks.due_ms, now + JWKS_AGE_MS);
	now += JWKS_AGE_MS - 1;
	assert_false(jwks_begin(&jwks, now));
	now++;
	fetch_ends(true);
}

/* Servers that were started together drift apart, and none comes later than the age. */
static void test_chance(void **state)
{
	(void)state;
	for (uint32_t chance = 0; chance < 4000000000u; chance += 99999989u) {
		jwks_init(&jwks, now);
		assert_true(jwks_begin(&jwks, now));
		jwks_end(&jwks, now, true, chance);
		assert_in_range(jwks.due_ms, now + JWKS_AGE_MS / 4 * 3, now + JWKS_AGE_MS);
	}
}

static void test_no_set(void **state)
{
	uint64_t wait = JWKS_RETRY_MS;

	(void)state;
	for (int i = 0; i < 12; i++) {
		fetch_ends(false);
		assert_int_equal(jwks.due_ms, now + wait);
		/* Whoever asks waits if it is soon, and changes nothing. */
		assert_int_equal(jwks_ask(&jwks, now), wait <= JWKS_WAIT_MS);
		assert_int_equal(jwks.due_ms, now + wait);
		now = jwks.due_ms;
		wait = wait * 2 < JWKS_RETRY_MAX_MS ? wait * 2 : JWKS_RETRY_MAX_MS;
	}
	fetch_ends(true);
	assert_int_equal(jwks.due_ms, now + JWKS_AGE_MS);
}

static void test_failures_with_a_set(void **state)
{
	(void)state;
	fetch_ends(true);
	now = jwks.due_ms;
	for (int i = 0; i < 20; i++) {
		fetch_ends(false);
		assert_in_range(jwks.due_ms, now + JWKS_UNKNOWN_MS, now + JWKS_AGE_MS);
		now = jwks.due_ms;
	}
	assert_int_equal(jwks.failures, 20);
	fetch_ends(true);
	assert_int_equal(jwks.failures, 0);
}

/* 10,000 unknown keys within 30 s: one fetch, which the first of them gets at once. */
static void test_flood(void **state)
{
	unsigned fetches = 0, waiting = 0;
	uint64_t begun;

	(void)state;
	fetch_ends(true);
	begun = now;
	for (int i = 0; i < 10000; i++) {
		bool waits = jwks_ask(&jwks, now);

		waiting += waits;
		assert_true(i > 0 || waits);
		if (jwks_begin(&jwks, now)) {
			fetches++;
			jwks_end(&jwks, now, i % 2, 7);
		}
		now += (JWKS_UNKNOWN_MS - JWKS_WAIT_MS - 1000) / 10000;
	}
	assert_int_equal(fetches, 1);
	assert_int_equal(waiting, 1); /* the others are not made to wait for nothing */
	/* The next is to be had 30 s later, and who can wait for it does. */
	now = begun + JWKS_UNKNOWN_MS - JWKS_WAIT_MS - 1;
	assert_false(jwks_ask(&jwks, now));
	now += 1;
	assert_true(jwks_ask(&jwks, now));
	assert_int_equal(jwks.due_ms, begun + JWKS_UNKNOWN_MS);
	now = jwks.due_ms;
	fetch_ends(true);
	assert_false(jwks_ask(&jwks, now));
}

/* A fetch that runs may have begun too early for this key: it is waited for, then there is one of its own. */
static void test_ask_while_one_runs(void **state)
{
	(void)state;
	fetch_ends(true);
	now = jwks.due_ms;
	assert_true(jwks_begin(&jwks, now));
	assert_true(jwks_ask(&jwks, now));
	jwks_end(&jwks, now, true, 0);
	assert_true(jwks_ask(&jwks, now));
	assert_int_equal(jwks.due_ms, now);
	fetch_ends(true);
	assert_false(jwks_ask(&jwks, now));
}

static void test_hurry(void **state)
{
	(void)state;
	fetch_ends(true);
	assert_true(jwks_ask(&jwks, now));
	fetch_ends(true);
	jwks_hurry(&jwks, now);
	fetch_ends(true);
	/* While one runs: another behind it. */
	jwks_hurry(&jwks, now);
	assert_true(jwks_begin(&jwks, now));
	jwks_hurry(&jwks, now);
	jwks_end(&jwks, now, true, 0);
	fetch_ends(true);
}

/* Who waits hears what the fetch brought. */
static void test_bounds(void **state)
{
	(void)state;
	assert_true((int)ISSUER_TOTAL_MS < (int)JWKS_WAIT_MS && ISSUER_CONNECT_MS < ISSUER_TOTAL_MS);
}

#define T(name) cmocka_unit_test_setup(name, setup)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_start_and_age), T(test_chance), T(test_no_set), T(test_failures_with_a_set), T(test_flood),
		T(test_ask_while_one_runs), T(test_hurry), T(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
