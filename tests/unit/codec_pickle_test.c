/* codec_pickle_test.c -- pickles of plain data: vectors that Python has written, codes that are refused, each
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

#include "codec/pickle.h"
#include "lib/guard.h"
#include "lib/neighbour_words.h"
#include "lib/vectors.h"

static void check(const char *name, sio_slice wire, const char *expect)
{
	struct buf log = { 0 };
	int err = words_value(&log, pickle_read, sio_bytes(guard_put(wire.p, wire.n), wire.n));

	(void)name;
	if (err < 0) /* attachments that were found before do not matter */
		log.p[5] = '\0';
	assert_string_equal(log.p, expect);
	/* The end is its last byte: no beginning of it is one. */
	for (size_t n = 0; n < wire.n && wire.n < 2000; n++) {
		struct value_store store = { 0 };
		struct value *v;
		assert_true(pickle_read(sio_bytes(guard_put(wire.p, n), n), &store, &v) < 0 || wire.p[n - 1] == '.');
		value_fini(&store);
	}
	buf_fini(&log);
}

static void test_vectors(void **state)
{
	(void)state;
	assert_true(vectors_run("pickle.json", check) > 100);
}

/* Every byte that is no code of plain data ends it, whatever stands around it. */
static void test_all_codes(void **state)
{
	static const unsigned char known[] = {
		0x95, 0x2e, 0x94, 0x71, 0x72, 0x68, 0x6a, 0x8c, 0x58, 0x8d, 0x43, 0x42, 0x8e, 0x96, 0x4e, 0x88, 0x89, 0x4b,
		0x4d, 0x4a, 0x8a, 0x47, 0x7d, 0x5d, 0x29, 0x28, 0x73, 0x75, 0x61, 0x65, 0x74, 0x85, 0x86, 0x87,
	};
	unsigned refused_n = 0;

	(void)state;
	for (int code = 0; code < 256; code++) {
		char wire[] = "\x80\x04NN_\x04" "abc\n\nN.";
		struct value_store store = { 0 };
		struct value *v;

		if (memchr(known, code, sizeof(known)))
			continue;
		wire[4] = (char)code;
		assert_int_equal(pickle_read(sio_bytes(wire, sizeof(wire) - 1), &store, &v), SIO_ERR_PROTO);
		value_fini(&store);
		refused_n++;
	}
	assert_int_equal(refused_n, 256 - sizeof(known));
}

/* A list of n times None. */
static int read_nones(size_t n)
{
	struct buf wire = { 0 };
	struct value_store store = { 0 };
	struct value *v;
	int err;

	buf_put(&wire, "\x80\x04](", 4);
	for (size_t i = 0; i < n; i++)
		buf_byte(&wire, 'N');
	buf_str(&wire, "e.");
	err = pickle_read(buf_peek(&wire), &store, &v);
	value_fini(&store);
	buf_fini(&wire);
	return err;
}

static void test_limits(void **state)
{
	struct value_store store = { 0 };
	struct value *v;

	(void)state;
	assert_int_equal(read_nones((VALUE_COUNT_MAX - 1) / 2), SIO_OK); /* each a value and a place */
	assert_int_equal(read_nones((VALUE_COUNT_MAX - 1) / 2 + 1), SIO_ERR_LIMIT);
	assert_int_equal(pickle_read(sio_bytes("\x80", (size_t)VALUE_BYTES_MAX + 1), &store, &v), SIO_ERR_LIMIT);
	assert_int_equal(pickle_read(sio_bytes("\x80\x04Nr\xff\xff\x03\x00.", 9), &store, &v), SIO_OK);
	assert_int_equal(pickle_read(sio_bytes("\x80\x04Nr\x00\x00\x04\x00.", 9), &store, &v), SIO_ERR_LIMIT);
	value_fini(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_all_codes),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
