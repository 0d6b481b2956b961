/* base_times_test.c -- how long something took, by how often, and as a histogram in text.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/times.h"
#include "metrics/text.h"

static void test_a_bound_is_in_its_bucket(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SIO_TIMES_N - 1; i++) {
		struct sio_times t = { .total_ns = 0 };
		uint64_t bound_ns = (uint64_t)sio_times_bound_us(i) * 1000;

		times_add(&t, bound_ns, 1);
		times_add(&t, bound_ns + 1, 3);
		assert_int_equal(t.n[i], 1);
		assert_int_equal(t.n[i + 1], 3);
		assert_int_equal(t.total_ns, 4 * bound_ns + 3);
	}
}

static void test_bounds_rise_and_end(void **state)
{
	struct sio_times t = { .total_ns = 0 };

	(void)state;
	for (unsigned i = 1; i < SIO_TIMES_N - 1; i++)
		assert_true(sio_times_bound_us(i) > sio_times_bound_us(i - 1));
	assert_int_equal(sio_times_bound_us(SIO_TIMES_N - 1), 0);
	assert_int_equal(sio_times_bound_us(1000), 0);
	times_add(&t, 0, 2);
	times_add(&t, 3600000000000, 1); /* an hour has no bound */
	assert_int_equal(t.n[0], 2);
	assert_int_equal(t.n[SIO_TIMES_N - 1], 1);
}

static void test_text_counts_all_up_to_a_bound(void **state)
{
	struct sio_times t = { .total_ns = 0 };
	struct buf b = { 0 };
	sio_slice text;

	(void)state;
	times_add(&t, 9000, 2);           /* 9 us */
	times_add(&t, 2000000, 1);        /* 2 ms */
	times_add(&t, 5000000000, 1);     /* 5 s */
	metric_times(&b, "x_seconds", "What.", &t);
	buf_byte(&b, 0);
	text = buf_peek(&b);
	assert_non_null(strstr(text.p, "# HELP x_seconds What.\n# TYPE x_seconds histogram\nx_seconds_bucket{le=\"0.00001\"} 2\n"));
	assert_non_null(strstr(text.p, "x_seconds_bucket{le=\"0.001\"} 2\nx_seconds_bucket{le=\"0.0025\"} 3\n"));
	assert_non_null(strstr(text.p, "x_seconds_bucket{le=\"1\"} 3\nx_seconds_bucket{le=\"2.5\"} 3\n"));
	assert_non_null(strstr(text.p, "x_seconds_bucket{le=\"+Inf\"} 4\nx_seconds_sum 5.002018000\nx_seconds_count 4\n"));
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_bound_is_in_its_bucket),
		cmocka_unit_test(test_bounds_rise_and_end),
		cmocka_unit_test(test_text_counts_all_up_to_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
