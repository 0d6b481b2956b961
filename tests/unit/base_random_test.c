/* base_random_test.c -- the shape of ids, and that they differ.
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

#include "base/random.h"

static int compare_ids(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void test_ids(void **state)
{
	enum { N = 2000 };
	static char ids[N][RANDOM_ID_LEN + 1];
	unsigned seen[256] = { 0 };

	(void)state;
	for (int i = 0; i < N; i++) {
		random_id(ids[i]);
		assert_int_equal(strlen(ids[i]), RANDOM_ID_LEN);
		assert_int_equal(strspn(ids[i], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
				 RANDOM_ID_LEN);
		assert_true(random_id_ok(ids[i], RANDOM_ID_LEN));
		for (int k = 0; k < RANDOM_ID_LEN; k++)
			seen[(unsigned char)ids[i][k]]++;
	}
	qsort(ids, N, sizeof(ids[0]), compare_ids);
	for (int i = 1; i < N; i++)
		assert_string_not_equal(ids[i - 1], ids[i]);
	/* 40000 letters of 64: each is due 625 times, give or take 25. */
	for (const char *c = "ABCXYZabcxyz0189-_"; *c; c++)
		assert_in_range(seen[(unsigned char)*c], 400, 850);
}

static void test_what_is_no_id(void **state)
{
	static const char *const all[] = { "", "abcdefghij012345678", "abcdefghij01234567890", "abcdefghij012345678'", "project:proj-1234567",
					   "abcdefghij 123456789", "abcdefgh01234567z\xc3\xa4z" };

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		assert_false(random_id_ok(all[i], strlen(all[i])));
}

static void test_random_bytes(void **state)
{
	unsigned char a[64] = { 0 }, b[64] = { 0 }, zero[64] = { 0 };

	(void)state;
	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	random_bytes(NULL, 0);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_not_equal(a, zero, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids), cmocka_unit_test(test_what_is_no_id),
		cmocka_unit_test(test_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
