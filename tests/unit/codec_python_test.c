/* codec_python_test.c -- messages of python-socketio's managers, of all versions: vectors, each prefix.
 *
 * A vector's expect: see lib/neighbour_words.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/python.h"
#include "lib/guard.h"
#include "lib/neighbour_words.h"
#include "lib/vectors.h"

static int in_words(sio_slice wire, struct buf *log)
{
	struct neighbour n;
	int err = python_read(sio_bytes(guard_put(wire.p, wire.n), wire.n), SIO_LIT("own"), &n);

	words_neighbour(log, err, &n);
	buf_byte(log, '\0');
	neighbour_fini(&n);
	return err;
}

static void check(const char *name, sio_slice wire, const char *expect)
{
	struct buf log = { 0 };

	(void)name;
	in_words(wire, &log);
	assert_string_equal(log.p, expect);
	while (wire.n && strchr(" \n", wire.p[wire.n - 1])) /* blanks behind the end are no part of it */
		wire.n--;
	for (size_t n = 0; n < wire.n && wire.n < 1000; n++) {
		buf_clear(&log);
		assert_true(in_words(sio_bytes(wire.p, n), &log) < 0 || wire.p[n - 1] == '}');
	}
	buf_fini(&log);
}

static void test_vectors(void **state)
{
	(void)state;
	assert_true(vectors_run("python.json", check) > 90);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_vectors) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
