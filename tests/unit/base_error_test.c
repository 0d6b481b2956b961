/* base_error_test.c -- texts of the result codes.
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

#include <sio/error.h>

static void test_error_texts(void **state)
{
	(void)state;
	assert_string_equal(sio_strerror(SIO_OK), "success");
	assert_string_equal(sio_strerror(SIO_ERR_PROTO), "the peer broke the protocol");
	assert_string_equal(sio_strerror(-1000), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
