/* codec_json_test.c -- the JSON scanner, its walks, strings in and out.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sio/json.h>

#include "lib/guard.h"
#include "lib/vectors.h"

static sio_slice guarded(sio_slice s)
{
	return sio_bytes(guard_put(s.p, s.n), s.n);
}

static void check(const char *name, sio_slice text, const char *expect)
{
	int err = sio_json_check(guarded(text));
	const char *got = err == SIO_OK ? "ok" : err == SIO_ERR_PROTO ? "proto" : err == SIO_ERR_LIMIT ? "limit" : "?";
	sio_slice rest, item;

	if (strcmp(got, expect) != 0)
		fail_msg("%s: got %s, want %s", name, got, expect);
	for (size_t n = 0; n < text.n && n < 200; n++)
		sio_json_check(guarded(sio_bytes(text.p, n)));
	/* A list of one is what is inside an array of one. */
	rest = guarded(text);
	err = sio_json_next(&rest, &item);
	if (strcmp(expect, "ok") == 0) {
		assert_int_equal(err, SIO_OK);
		assert_int_equal(sio_json_next(&rest, &item), SIO_ERR_NOENT);
	}
}

static void test_vectors(void **state)
{
	(void)state;
	assert_true(vectors_run("json.json", check) > 90);
}

static void test_types(void **state)
{
	(void)state;
	assert_int_equal(sio_json_type(SIO_LIT(" null")), SIO_JSON_NULL);
	assert_int_equal(sio_json_type(SIO_LIT("true")), SIO_JSON_BOOL);
	assert_int_equal(sio_json_type(SIO_LIT("false")), SIO_JSON_BOOL);
	assert_int_equal(sio_json_type(SIO_LIT("-1")), SIO_JSON_NUMBER);
	assert_int_equal(sio_json_type(SIO_LIT("\"\"")), SIO_JSON_STRING);
	assert_int_equal(sio_json_type(SIO_LIT("\n[")), SIO_JSON_ARRAY);
	assert_int_equal(sio_json_type(SIO_LIT("{}")), SIO_JSON_OBJECT);
	assert_int_equal(sio_json_type(SIO_LIT("x")), SIO_JSON_NONE);
	assert_int_equal(sio_json_type(SIO_LIT("  ")), SIO_JSON_NONE);
	assert_int_equal(sio_json_type((sio_slice){ 0 }), SIO_JSON_NONE);
}

/* Elements of list, each followed by a bar, then the code that ended the walk. */
static void expect_walk(const char *list, const char *items, int end)
{
	sio_slice rest = guarded(sio_str(list)), item;
	struct buf got = { 0 };
	int err;

	while ((err = sio_json_next(&rest, &item)) == SIO_OK) {
		buf_slice(&got, item);
		buf_byte(&got, '|');
	}
	assert_int_equal(err, end);
	assert_true(sio_slice_eq(buf_peek(&got), sio_str(items)));
	buf_fini(&got);
}

static void test_walk(void **state)
{
	(void)state;
	expect_walk("1, [2,3] , {\"a\":1},\"x,y\"", "1|[2,3]|{\"a\":1}|\"x,y\"|", SIO_ERR_NOENT);
	expect_walk("", "", SIO_ERR_NOENT);
	expect_walk(" \n", "", SIO_ERR_NOENT);
	expect_walk(" 1 ", "1|", SIO_ERR_NOENT);
	expect_walk("1,", "", SIO_ERR_PROTO);
	expect_walk("1, ", "", SIO_ERR_PROTO);
	expect_walk(",1", "", SIO_ERR_PROTO);
	expect_walk("1,2,,3", "1|2|", SIO_ERR_PROTO);
	expect_walk("1 2", "", SIO_ERR_PROTO);
	expect_walk("1]", "", SIO_ERR_PROTO);
	expect_walk("[1", "", SIO_ERR_PROTO);
}

static void expect_inside(sio_slice value, const char *want)
{
	assert_true(sio_slice_eq(sio_json_inside(guarded(value)), sio_str(want)));
}

static void test_inside(void **state)
{
	(void)state;
	expect_inside(SIO_LIT("[1, 2]"), "1, 2");
	expect_inside(SIO_LIT(" { \"a\" : 1 } "), "\"a\" : 1");
	expect_inside(SIO_LIT("[]"), "");
	expect_inside(SIO_LIT("[ ]"), "");
	expect_inside(SIO_LIT("1"), "");
	expect_inside(SIO_LIT("\"ab\""), "");
	expect_inside((sio_slice){ 0 }, "");
}

static void expect_pick(const char *object, int code, const char *a, const char *b)
{
	struct sio_json_field f[] = { { .key = "a", .type = SIO_JSON_NULL }, { .key = "bb" } };
	const char *want[] = { a, b };

	assert_int_equal(sio_json_pick(guarded(sio_str(object)), f, 2), code);
	for (int i = 0; i < 2 && code == SIO_OK; i++) {
		assert_int_equal(f[i].type, sio_json_type(sio_str(want[i])));
		assert_true(sio_slice_eq(f[i].value, sio_str(want[i])));
	}
}

static void test_pick(void **state)
{
	(void)state;
	expect_pick("{\"a\":1,\"bb\":\"x\"}", SIO_OK, "1", "\"x\"");
	expect_pick(" { \"x\" : [ {\"a\":2} ] , \"bb\" : {\"a\":3} } ", SIO_OK, "", "{\"a\":3}");
	expect_pick("{\"\\u0061\":true}", SIO_OK, "true", "");
	expect_pick("{\"a\\u0000\":true,\"\\ud800\":1}", SIO_OK, "", "");
	expect_pick("{}", SIO_OK, "", "");
	expect_pick("{\"x\":1,\"x\":2}", SIO_OK, "", "");
	expect_pick("{\"a\":1,\"a\":1}", SIO_ERR_EXISTS, "", "");
	expect_pick("{\"a\":1,\"\\u0061\":1}", SIO_ERR_EXISTS, "", "");
	expect_pick("{\"a\":null,\"a\":null}", SIO_ERR_EXISTS, "", "");
	expect_pick("{\"a\":1,}", SIO_ERR_PROTO, "", "");
	expect_pick("{\"a\" 1}", SIO_ERR_PROTO, "", "");
	expect_pick("{\"a\":1}}", SIO_ERR_PROTO, "", "");
	expect_pick("{\"a\":1]", SIO_ERR_PROTO, "", "");
	expect_pick("{,}", SIO_ERR_PROTO, "", "");
	expect_pick("{1:1}", SIO_ERR_PROTO, "", "");
	expect_pick("{\"a\":}", SIO_ERR_PROTO, "", "");
	expect_pick("[\"a\",1]", SIO_ERR_PROTO, "", "");
	expect_pick("{", SIO_ERR_PROTO, "", "");
	expect_pick("", SIO_ERR_PROTO, "", "");
}

static void test_pick_depth(void **state)
{
	struct sio_json_field f = { .key = "a" };
	struct buf text = { 0 };

	(void)state;
	for (int depth = SIO_JSON_DEPTH; depth <= SIO_JSON_DEPTH + 1; depth++) {
		buf_clear(&text);
		for (int i = 0; i < depth; i++)
			buf_str(&text, "{\"a\":");
		buf_str(&text, "1");
		for (int i = 0; i < depth; i++)
			buf_byte(&text, '}');
		assert_int_equal(sio_json_check(buf_peek(&text)), depth > SIO_JSON_DEPTH ? SIO_ERR_LIMIT : SIO_OK);
		assert_int_equal(sio_json_pick(buf_peek(&text), &f, 1), depth > SIO_JSON_DEPTH ? SIO_ERR_LIMIT : SIO_OK);
	}
	buf_fini(&text);
}

/* want NULL: refused as no string of ours. */
static void expect_unquoted(const char *value, const char *want)
{
	char out[64];
	long n = sio_json_unquote(guarded(sio_str(value)), out, sizeof(out));

	if (!want) {
		assert_int_equal(n, SIO_ERR_INVAL);
		return;
	}
	assert_int_equal(n, strlen(want));
	assert_string_equal(out, want);
	/* Exactly enough room, and one byte less. */
	assert_int_equal(sio_json_unquote(sio_str(value), out, (size_t)n + 1), n);
	assert_int_equal(sio_json_unquote(sio_str(value), out, (size_t)n), SIO_ERR_LIMIT);
}

static void test_unquote(void **state)
{
	(void)state;
	expect_unquoted("\"plain text of more than eight\"", "plain text of more than eight");
	expect_unquoted("\"\"", "");
	expect_unquoted("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t");
	expect_unquoted("\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	expect_unquoted("\"\xe2\x82\xac\"", "\xe2\x82\xac");
	expect_unquoted("\"\\u0000\"", NULL);
	expect_unquoted("\"\\ud800\"", NULL);
	expect_unquoted("\"\\ud800x\"", NULL);
	expect_unquoted("\"\\ud800\\u0041\"", NULL);
	expect_unquoted("\"\\ud800\\n\"", NULL);
	expect_unquoted("\"\\ude00\"", NULL);
	expect_unquoted("\"\\ude00\\ud83d\"", NULL);
	expect_unquoted("\"a", NULL);
	expect_unquoted("a\"", NULL);
	expect_unquoted("\"", NULL);
	expect_unquoted("", NULL);
	expect_unquoted("\"a\"b\"", NULL);
	expect_unquoted("\"a\\\"", NULL);
	expect_unquoted("\"\\x\"", NULL);
	expect_unquoted("\"\\u12\"", NULL);
	expect_unquoted("\"\n\"", NULL);
	expect_unquoted("12", NULL);
	expect_unquoted("null", NULL);
}

static void expect_quoted(sio_slice s, const char *want)
{
	char out[64];
	size_t n = sio_json_quote(guarded(s), out, sizeof(out));

	assert_int_equal(n, strlen(want));
	assert_memory_equal(out, want, n);
	assert_int_equal(sio_json_check(sio_bytes(out, n)), SIO_OK);
	for (size_t cap = 0; cap < n; cap++) {
		char *small = malloc(cap + 1);
		assert_int_equal(sio_json_quote(s, small, cap), n);
		free(small);
	}
}

static void test_quote(void **state)
{
	(void)state;
	expect_quoted(SIO_LIT("hello, plain world"), "\"hello, plain world\"");
	expect_quoted(SIO_LIT(""), "\"\"");
	expect_quoted((sio_slice){ 0 }, "\"\"");
	expect_quoted(SIO_LIT("\"\\/\b\f\n\r\t"), "\"\\\"\\\\/\\b\\f\\n\\r\\t\"");
	expect_quoted(SIO_LIT("\0\x1e\x1f\x7f"), "\"\\u0000\\u001e\\u001f\x7f\"");
	expect_quoted(SIO_LIT("\xe2\x82\xac"), "\"\xe2\x82\xac\"");
}

/* Of each length, with a byte that needs an escape at each place or at none. */
static void test_quote_lengths(void **state)
{
	static const char special[] = { '"', '\\', '\0', '\x1f' };
	char text[40], want[64];

	(void)state;
	for (size_t n = 0; n <= sizeof(text); n++) {
		for (size_t at = 0; at <= n; at++) {
			char c = special[at % sizeof(special)];
			size_t escape_n = at == n ? 0 : strchr("\"\\", c) && c ? 2 : 6;
			for (size_t i = 0; i < n; i++)
				text[i] = (char)(i % 7 ? "\x20\x21\x23\x5b\x5d\x7f\xff"[i % 7] : 'a');
			snprintf(want, sizeof(want), "\"%.*s", (int)at, text);
			if (at < n) {
				text[at] = c;
				snprintf(want + 1 + at, sizeof(want) - 1 - at, escape_n == 2 ? "\\%c" : "\\u%04x", c);
				memcpy(want + 1 + at + escape_n, text + at + 1, n - at - 1);
			}
			strcpy(want + 1 + n - (at < n) + escape_n, "\"");
			expect_quoted(sio_bytes(text, n), want);
		}
	}
}

static void expect_int(const char *text, int code, int64_t want)
{
	int64_t v = 42;

	assert_int_equal(sio_json_int(guarded(sio_str(text)), &v), code);
	assert_true(v == (code == SIO_OK ? want : 42));
}

static void test_int(void **state)
{
	(void)state;
	expect_int("0", SIO_OK, 0);
	expect_int("-0", SIO_OK, 0);
	expect_int("17", SIO_OK, 17);
	expect_int("-17", SIO_OK, -17);
	expect_int("9223372036854775807", SIO_OK, INT64_MAX);
	expect_int("-9223372036854775808", SIO_OK, INT64_MIN);
	expect_int("9223372036854775808", SIO_ERR_INVAL, 0);
	expect_int("-9223372036854775809", SIO_ERR_INVAL, 0);
	expect_int("99999999999999999999999", SIO_ERR_INVAL, 0);
	expect_int("1.0", SIO_ERR_INVAL, 0);
	expect_int("1e2", SIO_ERR_INVAL, 0);
	expect_int("01", SIO_ERR_INVAL, 0);
	expect_int("-", SIO_ERR_INVAL, 0);
	expect_int("", SIO_ERR_INVAL, 0);
	expect_int("+1", SIO_ERR_INVAL, 0);
	expect_int("\"1\"", SIO_ERR_INVAL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors), cmocka_unit_test(test_types),      cmocka_unit_test(test_walk),
		cmocka_unit_test(test_inside),  cmocka_unit_test(test_pick),       cmocka_unit_test(test_pick_depth),
		cmocka_unit_test(test_unquote), cmocka_unit_test(test_quote), cmocka_unit_test(test_quote_lengths), cmocka_unit_test(test_int),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
