/* codec_msgpack_test.c -- MessagePack: vectors, each
 * prefix, limits.
 *
 * A vector's expect is the JSON that the value becomes, with the bytes of each attachment; or which error.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sio/json.h>

#include "codec/msgpack.h"
#include "lib/guard.h"
#include "lib/neighbour_words.h"
#include "lib/vectors.h"

static void check(const char *name, sio_slice wire, const char *expect)
{
	struct buf log = { 0 };
	int err = words_value(&log, msgpack_read, sio_bytes(guard_put(wire.p, wire.n), wire.n));

	(void)name;
	if (err < 0) /* attachments that were found before do not matter */
		log.p[5] = '\0';
	assert_string_equal(log.p, expect);
	/* No beginning of a whole is one. */
	for (size_t n = 0; err == SIO_OK && n < wire.n && wire.n < 2000; n++) {
		struct value_store store = { 0 };
		struct value *v;
		assert_true(msgpack_read(sio_bytes(guard_put(wire.p, n), n), &store, &v) < 0);
		value_fini(&store);
	}
	buf_fini(&log);
}

static void test_vectors(void **state)
{
	(void)state;
	assert_true(vectors_run("msgpack.json", check) > 70);
}

/* A list of n times nil. */
static int read_nils(uint32_t n)
{
	struct buf wire = { 0 };
	struct value_store store = { 0 };
	struct value *v;
	int err;

	buf_byte(&wire, (char)0xdd);
	for (int i = 24; i >= 0; i -= 8)
		buf_byte(&wire, (char)(n >> i));
	for (uint32_t i = 0; i < n; i++)
		buf_byte(&wire, (char)0xc0);
	err = msgpack_read(buf_peek(&wire), &store, &v);
	value_fini(&store);
	buf_fini(&wire);
	return err;
}

static void test_limits(void **state)
{
	struct value_store store = { 0 };
	struct value *v;

	(void)state;
	assert_int_equal(read_nils((VALUE_COUNT_MAX - 1) / 2), SIO_OK); /* each a value and a place */
	assert_int_equal(read_nils((VALUE_COUNT_MAX - 1) / 2 + 1), SIO_ERR_LIMIT);
	assert_int_equal(msgpack_read(sio_bytes("\xc0", (size_t)VALUE_BYTES_MAX + 1), &store, &v), SIO_ERR_LIMIT);
	value_fini(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
