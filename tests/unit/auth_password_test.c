/* auth_password_test.c -- hashes and their checking, known and unknown users alike.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "auth/password.h"

static double seconds(sio_slice password, const char *hash)
{
	struct timespec a, b;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	assert_false(password_ok(password, hash));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

static void hashing(void **state)
{
	char one[PASSWORD_HASH_MAX], two[PASSWORD_HASH_MAX], large[PASSWORD_MAX + 2];

	(void)state;
	assert_int_equal(password_hash("demo-anna", one, sizeof(one)), SIO_OK);
	assert_int_equal(password_hash("demo-anna", two, sizeof(two)), SIO_OK);
	assert_string_not_equal(one, two); /* salted */
	assert_non_null(strstr(one, "$argon2id$"));
	assert_true(password_ok(SIO_LIT("demo-anna"), one));
	assert_false(password_ok(SIO_LIT("demo-ann"), one));
	assert_false(password_ok(SIO_LIT("demo-anna "), one));
	assert_false(password_ok(SIO_LIT(""), one));
	assert_false(password_ok(SIO_LIT("demo-anna"), "no hash at all"));
	assert_false(password_ok(SIO_LIT("demo-anna"), ""));
	assert_false(password_ok(SIO_LIT("demo-anna"), NULL));
	assert_int_equal(password_hash("", one, sizeof(one)), SIO_ERR_INVAL);
	assert_int_equal(password_hash("x", one, 10), SIO_ERR_LIMIT);
	memset(large, 'x', sizeof(large));
	large[PASSWORD_MAX + 1] = '\0';
	assert_int_equal(password_hash(large, one, sizeof(one)), SIO_ERR_INVAL);
	assert_false(password_ok(sio_str(large), two));
}

/* An unknown user costs what a wrong password costs. */
static void timing(void **state)
{
	char hash[PASSWORD_HASH_MAX];
	double wrong = 0, unknown = 0;

	(void)state;
	assert_int_equal(password_hash("demo-anna", hash, sizeof(hash)), SIO_OK);
	for (int i = 0; i < 3; i++) {
		wrong += seconds(SIO_LIT("guess"), hash);
		unknown += seconds(SIO_LIT("guess"), "");
	}
	assert_true(unknown > wrong / 2 && unknown < wrong * 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(hashing), cmocka_unit_test(timing) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
