/* base_buf_test.c -- the growing buffer and its sticky failure.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/buf.h"

static void expect(struct buf *b, const char *want)
{
	assert_false(b->failed);
	assert_true(b->n <= b->cap);
	assert_true(sio_slice_eq(buf_peek(b), sio_str(want)));
	buf_fini(b);
	assert_null(b->p);
	assert_int_equal(b->n + b->cap, 0);
}

static void test_appending(void **state)
{
	struct buf b = { 0 };

	(void)state;
	buf_str(&b, "a");
	buf_byte(&b, ',');
	buf_put(&b, "bcd", 2);
	buf_slice(&b, SIO_LIT("-"));
	buf_slice(&b, (sio_slice){ 0 });
	buf_u64(&b, 0);
	buf_u64(&b, UINT64_MAX);
	buf_printf(&b, "|%s %d", "x", -1);
	expect(&b, "a,bc-018446744073709551615|x -1");
}

static void test_json(void **state)
{
	struct buf b = { 0 };
	char many[300];

	(void)state;
	buf_json(&b, SIO_LIT("a\"\n"));
	expect(&b, "\"a\\\"\\n\"");
	/* Needs six times the room it is given first. */
	memset(many, 1, sizeof(many));
	buf_json(&b, sio_bytes(many, sizeof(many)));
	assert_int_equal(b.n, sizeof(many) * 6 + 2);
	buf_fini(&b);
}

static void test_growth_keeps_content(void **state)
{
	struct buf b = { 0 };

	(void)state;
	for (unsigned i = 0; i < 100000; i++)
		buf_byte(&b, (char)(i % 251));
	assert_int_equal(b.n, 100000);
	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal((unsigned char)b.p[i], i % 251);
	assert_true(b.cap < 400000);
	buf_fini(&b);
}

static void test_consume(void **state)
{
	struct buf b = { 0 };

	(void)state;
	buf_str(&b, "hello");
	buf_consume(&b, 2);
	assert_true(sio_slice_eq(buf_peek(&b), SIO_LIT("llo")));
	buf_consume(&b, 0);
	buf_consume(&b, 10);
	assert_int_equal(b.n, 0);
	buf_str(&b, "x");
	expect(&b, "x");
}

static void test_failure_sticks(void **state)
{
	struct buf b = { 0 };

	(void)state;
	buf_str(&b, "kept");
	assert_false(buf_reserve(&b, SIZE_MAX / 2));
	assert_true(b.failed);
	buf_str(&b, "lost");
	buf_printf(&b, "lost");
	buf_json(&b, SIO_LIT("lost"));
	assert_true(b.failed);
	assert_true(sio_slice_eq(buf_peek(&b), SIO_LIT("kept")));
	buf_clear(&b);
	buf_str(&b, "again");
	expect(&b, "again");
}

static void test_reserve(void **state)
{
	struct buf b = { 0 };
	char *before;

	(void)state;
	assert_true(buf_reserve(&b, 1000));
	assert_true(b.cap >= 1000);
	before = b.p;
	for (int i = 0; i < 1000; i++)
		buf_byte(&b, 'x');
	assert_ptr_equal(b.p, before);
	buf_fini(&b);
}

static void test_time(void **state)
{
	struct buf b = { 0 };

	(void)state;
	buf_time(&b, 0);
	buf_time(&b, 1795845245007); /* date -d @1795845245 */
	assert_true(sio_slice_eq(buf_peek(&b), SIO_LIT("\"1970-01-01T00:00:00.000Z\"\"2026-11-28T05:54:05.007Z\"")));
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_appending), cmocka_unit_test(test_json),
		cmocka_unit_test(test_consume),   cmocka_unit_test(test_growth_keeps_content),
		cmocka_unit_test(test_reserve),   cmocka_unit_test(test_failure_sticks), cmocka_unit_test(test_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
