/* base_pool_test.c -- blocks that are kept for the next user.
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

static void test_pool(void **state)
{
	struct pool p;
	void *a, *b, *c;

	(void)state;
	pool_init(&p, 40, 2);
	a = pool_take(&p);
	b = pool_take(&p);
	c = pool_take(&p);
	memset(a, 1, 40), memset(b, 2, 40), memset(c, 3, 40);
	assert_int_equal(p.mallocs, 3);
	pool_give(&p, a);
	pool_give(&p, b);
	pool_give(&p, c); /* one too many to keep */
	assert_int_equal(p.idle_n, 2);
	assert_ptr_equal(pool_take(&p), b); /* what was given last */
	assert_ptr_equal(pool_take(&p), a);
	assert_int_equal(p.mallocs, 3);
	assert_int_equal(p.idle_n, 0);
	pool_give(&p, a);
	pool_give(&p, b);
	pool_trim(&p, 1);
	assert_int_equal(p.idle_n, 1);
	pool_fini(&p);
	assert_int_equal(p.idle_n, 0);
	assert_null(p.idle);
}

static void test_pool_of_tiny_blocks(void **state)
{
	struct pool p;
	void *a;

	(void)state;
	pool_init(&p, 1, 8); /* a block still holds the link to the next */
	a = pool_take(&p);
	pool_give(&p, a);
	assert_ptr_equal(pool_take(&p), a);
	pool_give(&p, a);
	pool_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_pool_of_tiny_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
