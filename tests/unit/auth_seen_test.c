/* auth_seen_test.c -- the memory of good signatures: what it knows, and that it is bounded.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/seen.h"

static struct seen seen;

static bool is_known(const char *token)
{
	unsigned char hash[SEEN_HASH_BYTES];

	return seen_look(&seen, sio_str(token), hash);
}

static void keep(const char *token)
{
	unsigned char hash[SEEN_HASH_BYTES];

	seen_look(&seen, sio_str(token), hash);
	seen_keep(&seen, hash);
}

static void test_known(void **state)
{
	(void)state;
	seen_init(&seen);
	assert_false(is_known("a.b.c"));
	assert_false(is_known("a.b.c")); /* asking alone is not enough */
	keep("a.b.c");
	assert_true(is_known("a.b.c"));
	assert_false(is_known("a.b.d"));
	assert_false(is_known("a.b.c "));
	assert_false(is_known("a.b."));
	seen_init(&seen);
	assert_false(is_known("a.b.c"));
}

/* As many again as there are places: some gave way, none is taken for another. */
static void test_bounded(void **state)
{
	char token[32];
	unsigned known = 0;

	(void)state;
	seen_init(&seen);
	for (int i = 0; i < 2 * SEEN_N; i++) {
		snprintf(token, sizeof(token), "a.%d.c", i);
		assert_false(is_known(token));
		keep(token);
		assert_true(is_known(token));
	}
	for (int i = 0; i < 2 * SEEN_N; i++) {
		snprintf(token, sizeof(token), "a.%d.c", i);
		known += is_known(token);
	}
	assert_in_range(known, SEEN_N / 2, SEEN_N);
}

/* Nobody can tell from outside which tokens share a place. */
static void test_keyed(void **state)
{
	static struct seen other;
	unsigned char here[SEEN_HASH_BYTES], there[SEEN_HASH_BYTES];

	(void)state;
	seen_init(&seen);
	seen_init(&other);
	seen_look(&seen, SIO_LIT("a.b.c"), here);
	seen_look(&other, SIO_LIT("a.b.c"), there);
	assert_memory_not_equal(here, there, SEEN_HASH_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_keyed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
