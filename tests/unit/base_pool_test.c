/* base_pool_test.c -- blocks that are kept for the next user, slabs that go back.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/pool.h"

static void test_last_given_is_first_taken(void **state)
{
	struct pool p;
	void *a, *b;

	(void)state;
	pool_init(&p, 40);
	a = pool_take(&p);
	b = pool_take(&p);
	memset(a, 1, 40), memset(b, 2, 40);
	assert_ptr_not_equal(a, b);
	pool_give(&p, a);
	pool_give(&p, b);
	assert_ptr_equal(pool_take(&p), b);
	assert_ptr_equal(pool_take(&p), a);
	assert_int_equal(p.slabs_total, 1);
	pool_give(&p, a);
	pool_give(&p, b);
	pool_fini(&p);
	assert_null(p.empty);
}

static void test_tiny_blocks(void **state)
{
	struct pool p;
	void *a;

	(void)state;
	pool_init(&p, 1); /* a block still holds the link to the next */
	a = pool_take(&p);
	pool_give(&p, a);
	assert_ptr_equal(pool_take(&p), a);
	pool_give(&p, a);
	pool_fini(&p);
}

enum { N = 5000, SIZE = 250 };

/* Each block is its own memory, whatever the order of taking and giving. */
static void test_random_order(void **state)
{
	struct pool p;
	unsigned char *held[N] = { 0 };

	(void)state;
	pool_init(&p, SIZE);
	srand(7);
	for (int step = 0; step < 40000; step++) {
		int i = rand() % N;
		if (!held[i]) {
			held[i] = pool_take(&p);
			assert_non_null(held[i]);
			memset(held[i], i & 255, SIZE);
			continue;
		}
		for (int j = 0; j < SIZE; j++)
			assert_int_equal(held[i][j], i & 255);
		pool_give(&p, held[i]);
		held[i] = NULL;
	}
	for (int i = 0; i < N; i++)
		if (held[i])
			pool_give(&p, held[i]);
	assert_null(p.partial);
	pool_fini(&p);
}

static void test_a_burst_goes_back_and_a_steady_load_stays(void **state)
{
	struct pool p;
	void *held[N];

	(void)state;
	pool_init(&p, SIZE);
	for (int i = 0; i < N; i++)
		held[i] = pool_take(&p);
	for (int i = 0; i < N; i++)
		pool_give(&p, held[i]);
	assert_int_equal(p.empty_n, p.slabs_total);
	assert_true(p.empty_n > 5);
	pool_relax(&p); /* they were needed until now */
	assert_true(p.empty_n > 5);
	pool_relax(&p); /* and were not since */
	assert_int_equal(p.empty_n, 1);

	uint64_t before = p.slabs_total;
	for (int turn = 0; turn < 100; turn++) {
		for (int i = 0; i < 100; i++)
			held[i] = pool_take(&p);
		for (int i = 0; i < 100; i++)
			pool_give(&p, held[i]);
		pool_relax(&p);
	}
	assert_int_equal(p.slabs_total, before);
	pool_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_given_is_first_taken),
		cmocka_unit_test(test_tiny_blocks),
		cmocka_unit_test(test_random_order),
		cmocka_unit_test(test_a_burst_goes_back_and_a_steady_load_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
