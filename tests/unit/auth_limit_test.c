/* auth_limit_test.c -- attempts to log in, with time as a number.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "auth/limit.h"

#define ANNA SIO_LIT("anna")

static void burst_then_refill(void **state)
{
	struct limit *l = limit_new(NULL);

	(void)state;
	for (int i = 0; i < 10; i++)
		assert_int_equal(limit_take(l, "user", ANNA, 1000), 0);
	assert_int_equal(limit_take(l, "user", ANNA, 1000), 6000);
	assert_int_equal(limit_take(l, "user", ANNA, 6999), 1); /* asking again does not push it away */
	assert_int_equal(limit_take(l, "user", ANNA, 7000), 0);
	assert_int_equal(limit_take(l, "user", ANNA, 7000), 6000);
	/* Long quiet: the burst again, not more. */
	for (int i = 0; i < 10; i++)
		assert_int_equal(limit_take(l, "user", ANNA, 10000000), 0);
	assert_true(limit_take(l, "user", ANNA, 10000000) > 0);
	limit_free(l);
	limit_free(NULL);
}

static void keys_are_apart(void **state)
{
	struct limit *l = limit_new(&(struct limit_options){ .burst = 1, .refill_ms = 100 });
	char key[400];

	(void)state;
	assert_int_equal(limit_take(l, "user", ANNA, 0), 0);
	assert_int_equal(limit_take(l, "user", ANNA, 0), 100);
	assert_int_equal(limit_take(l, "address", ANNA, 0), 0);
	assert_int_equal(limit_take(l, "user", SIO_LIT("ben"), 0), 0);
	assert_int_equal(limit_take(l, "user", SIO_LIT(""), 0), 0);
	limit_reset(l, "user", ANNA);
	assert_int_equal(limit_take(l, "user", ANNA, 0), 0);
	limit_reset(l, "user", SIO_LIT("unknown"));
	memset(key, 'k', sizeof(key));
	assert_int_equal(limit_take(l, "user", sio_bytes(key, 300), 0), 0);
	assert_int_equal(limit_take(l, "user", sio_bytes(key, 400), 0), 100); /* the first 255 count */
	limit_free(l);
}

static void table_is_bounded(void **state)
{
	struct limit *l = limit_new(&(struct limit_options){ .burst = 1, .refill_ms = 1000, .keys_max = 3 });
	char key[16];

	(void)state;
	assert_int_equal(limit_take(l, "user", ANNA, 0), 0);
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_int_equal(limit_take(l, "user", sio_str(key), 0), 0);
		assert_true(limit_take(l, "user", ANNA, 0) > 0); /* asked often: stays */
	}
	assert_int_equal(limit_take(l, "user", SIO_LIT("k0"), 0), 0); /* quiet longest: went */
	limit_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(burst_then_refill),
		cmocka_unit_test(keys_are_apart),
		cmocka_unit_test(table_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
