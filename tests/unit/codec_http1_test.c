/* codec_http1_test.c -- requests in every division, hostile ones included.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/http1.h"
#include "lib/guard.h"
#include "lib/vectors.h"

static const struct http1_limits limits = { .head_bytes = 2048, .headers_n = 20, .chunk_extra = 128 };
enum { BODY_LIMIT = 1000 };

static void log_body(struct buf *log, const struct buf *body)
{
	for (size_t i = 0; i < body->n; i++) {
		if ((unsigned char)body->p[i] < 0x20)
			buf_printf(log, "|%02x|", (unsigned char)body->p[i]);
		else
			buf_byte(log, body->p[i]);
	}
}

static void log_head(struct buf *log, const struct http1_request *req)
{
	assert_true(req->path.p == req->target.p && req->path.n <= req->target.n);
	buf_printf(log, "%.*s %.*s", (int)req->method.n, req->method.p, (int)req->target.n, req->target.p);
	if (req->is_keep_alive)
		buf_str(log, " ka");
	if (req->is_upgrade)
		buf_str(log, " up");
	if (req->has_length)
		buf_printf(log, " len=%llu", (unsigned long long)req->length);
	else if (req->has_body)
		buf_str(log, " chunked");
	if (req->wants_continue)
		buf_str(log, " cont");
	buf_byte(log, ';');
}

/* Give n bytes to the reader.  Returns false when it wants no more. */
static bool feed(struct http1_reader *r, struct buf *log, const char *p, size_t n)
{
	struct http1_request *req = http1_request(r);
	size_t used;
	int status = 0;

	for (;;) {
		enum http1_what what = http1_read(r, p, n, &used, &status);
		assert_true(used <= n);
		p += used;
		n -= used;
		switch (what) {
		case HTTP1_MORE:
			assert_int_equal(n, 0);
			return true;
		case HTTP1_BAD:
			buf_printf(log, "%d", status);
			assert_int_equal(http1_read(r, p, n, &used, &status), HTTP1_BAD);
			return false;
		case HTTP1_HEAD:
			log_head(log, req);
			http1_set_body_limit(r, BODY_LIMIT);
			if (req->is_upgrade)
				return false;
			break;
		case HTTP1_DONE:
			buf_str(log, "body=");
			log_body(log, &req->body);
			buf_byte(log, ';');
			http1_next(r);
			assert_true(http1_is_idle(r));
			if (n == 0)
				return true;
		}
	}
}

/* The log of a run that gets `first` bytes, then `step` at a time. */
static struct buf run(sio_slice wire, size_t first, size_t step)
{
	struct http1_reader *r = http1_new(&limits);
	struct buf log = { 0 };
	size_t at = 0, n = first;
	bool goes_on = true;

	while (goes_on && at < wire.n) {
		n = n < wire.n - at ? n : wire.n - at;
		goes_on = feed(r, &log, guard_put(wire.p + at, n), n);
		at += n;
		n = step;
	}
	if (goes_on)
		buf_str(&log, http1_is_idle(r) ? "idle" : "more");
	http1_free(r);
	buf_byte(&log, '\0');
	return log;
}

static void check(const char *name, sio_slice wire, const char *expect, size_t first, size_t step)
{
	struct buf log = run(wire, first, step);
	const char *rest = strstr(expect, "rest="); /* how much is left depends on the division */
	size_t n = rest ? (size_t)(rest - expect) : strlen(expect) + 1;

	if (n > log.n || memcmp(log.p, expect, n) != 0)
		fail_msg("%s (first %zu, step %zu):\n got %s\nwant %s", name, first, step, log.p, expect);
	buf_fini(&log);
}

static void every_way(const char *name, sio_slice wire, const char *expect)
{
	size_t last = wire.n < 400 ? wire.n : 40;

	check(name, wire, expect, wire.n, wire.n);
	for (size_t step = 1; step < last; step++) {
		check(name, wire, expect, step, step);
		check(name, wire, expect, step, wire.n);
		check(name, wire, expect, wire.n - step, wire.n);
	}
}

static void test_vectors(void **state)
{
	(void)state;
	assert_true(vectors_run("http1.json", every_way) > 200);
}

static void test_upgrade_leaves_the_rest(void **state)
{
	static const char wire[] = "GET /s HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
				   "Sec-WebSocket-Key:  k \r\n\r\n\x81\x80";
	struct http1_reader *r = http1_new(&limits);
	size_t used;
	int status;

	(void)state;
	assert_true(http1_is_idle(r));
	assert_int_equal(http1_read(r, wire, sizeof(wire) - 1, &used, &status), HTTP1_HEAD);
	assert_int_equal(used, sizeof(wire) - 3);
	assert_true(http1_request(r)->is_upgrade);
	assert_true(sio_slice_eq(http1_header(http1_request(r), "sec-websocket-key"), SIO_LIT("k")));
	assert_int_equal(http1_header(http1_request(r), "absent").n, 0);
	http1_free(r);
	http1_free(NULL);
}

static void test_no_body_without_limit(void **state)
{
	static const char wire[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
	struct http1_reader *r = http1_new(&limits);
	size_t used, at;
	int status = 0;

	(void)state;
	assert_int_equal(http1_read(r, wire, sizeof(wire) - 1, &at, &status), HTTP1_HEAD);
	assert_false(http1_is_idle(r));
	assert_int_equal(http1_read(r, wire + at, 0, &used, &status), HTTP1_BAD);
	assert_int_equal(status, 413);
	http1_free(r);
}

static void test_headers(void **state)
{
	static const char wire[] = "GET /p?q HTTP/1.1\r\nHOST: Example:80\r\nX-Two: a\r\nx-two: b\r\nEmpty:\r\n\r\n";
	struct http1_reader *r = http1_new(&limits);
	struct http1_request *req = http1_request(r);
	size_t used;
	int status;

	(void)state;
	assert_int_equal(http1_read(r, wire, sizeof(wire) - 1, &used, &status), HTTP1_HEAD);
	assert_int_equal(req->headers_n, 4);
	assert_true(sio_slice_eq(req->path, SIO_LIT("/p")));
	assert_true(sio_slice_eq(req->query, SIO_LIT("q")));
	assert_true(sio_slice_eq(http1_header(req, "host"), SIO_LIT("Example:80")));
	assert_true(sio_slice_eq(http1_header(req, "x-two"), SIO_LIT("a")));
	assert_true(sio_slice_eq(req->headers[2].name, SIO_LIT("x-two")));
	http1_free(r);
}

static void test_tokens(void **state)
{
	(void)state;
	assert_true(http1_has_token(SIO_LIT("upgrade"), "upgrade"));
	assert_true(http1_has_token(SIO_LIT("a, , UPGRADE\t ,b"), "upgrade"));
	assert_false(http1_has_token(SIO_LIT("upgraded, up grade"), "upgrade"));
	assert_false(http1_has_token(SIO_LIT(""), "upgrade"));
	assert_false(http1_has_token((sio_slice){ 0 }, "upgrade"));
}

static void expect_unescaped(sio_slice in, bool is_form, const char *want)
{
	char out[64];
	const char *p = guard_put(in.p, in.n);
	long n = http1_unescape(sio_bytes(p, in.n), is_form, out, sizeof(out));

	if (!want) {
		assert_int_equal(n, SIO_ERR_INVAL);
		return;
	}
	assert_int_equal(n, strlen(want));
	assert_string_equal(out, want);
}

static void test_unescape(void **state)
{
	char out[4];

	(void)state;
	expect_unescaped(SIO_LIT("a%20b+c"), false, "a b+c");
	expect_unescaped(SIO_LIT("a%20b+c"), true, "a b c");
	expect_unescaped(SIO_LIT("%c3%A9"), false, "\xc3\xa9");
	expect_unescaped(SIO_LIT(""), false, "");
	expect_unescaped(SIO_LIT("%zz"), false, NULL);
	expect_unescaped(SIO_LIT("%"), false, NULL);
	expect_unescaped(SIO_LIT("%4"), false, NULL);
	expect_unescaped(SIO_LIT("a%%41"), false, NULL);
	assert_int_equal(http1_unescape(SIO_LIT("abc"), false, out, 4), 3);
	assert_int_equal(http1_unescape(SIO_LIT("abcd"), false, out, 4), SIO_ERR_LIMIT);
	assert_int_equal(http1_unescape(SIO_LIT(""), false, out, 0), SIO_ERR_LIMIT);
	assert_int_equal(http1_unescape(SIO_LIT("%00"), false, out, 4), 1);
	assert_int_equal(out[0], 0);
}

static void expect_query(const char *query, const char *key, const char *want)
{
	sio_slice value = { 0 };
	bool is_there = http1_query_get(sio_bytes(guard_put(query, strlen(query)), strlen(query)), key, &value);

	assert_int_equal(is_there, want != NULL);
	if (want)
		assert_true(sio_slice_eq(value, sio_str(want)));
}

static void test_query(void **state)
{
	sio_slice value;

	(void)state;
	expect_query("EIO=4&transport=polling", "transport", "polling");
	expect_query("EIO=4&EIO=3", "EIO", "3");
	expect_query("EIO=4&EIO", "EIO", "");
	expect_query("%45IO=4", "EIO", "4");
	expect_query("EI=4", "EIO", NULL);
	expect_query("EIOO=4", "EIO", NULL);
	expect_query("a=b=c&&x", "a", "b=c");
	expect_query("%4=1", "a", NULL);
	expect_query("=1", "", "1");
	expect_query("", "a", NULL);
	assert_false(http1_query_get((sio_slice){ 0 }, "a", &value));
}

/* Every pair of queries of all lengths, against a reading from the left. */
static void test_query_at(void **state)
{
	uint32_t chance = 1;
	char text[700];
	sio_slice key, value;

	(void)state;
	for (size_t n = 0; n <= sizeof(text); n++) {
		size_t i = 0;
		for (size_t k = 0; k < n; k++) {
			chance = chance * 1664525 + 1013904223;
			text[k] = "&a=b&"[(chance >> 16) % (n % 3 ? 5 : 2)];
		}
		for (size_t k = 0; k < n; k++) {
			size_t stop = k, cut = k;
			if (text[k] == '&' || (k > 0 && text[k - 1] != '&'))
				continue;
			while (stop < n && text[stop] != '&')
				stop++;
			while (cut < stop && text[cut] != '=')
				cut++;
			assert_true(http1_query_at(sio_bytes(text, n), i++, &key, &value));
			assert_ptr_equal(key.p, text + k);
			assert_int_equal(key.n, cut - k);
			assert_int_equal(value.n, cut < stop ? stop - cut - 1 : 0);
		}
		assert_false(http1_query_at(sio_bytes(text, n), i, &key, &value));
		assert_false(http1_query_at(sio_bytes(text, n), SIZE_MAX, &key, &value));
	}
	assert_false(http1_query_at((sio_slice){ 0 }, 0, &key, &value));
}

static void test_status_lines(void **state)
{
	struct buf out = { 0 };

	(void)state;
	http1_status_line(&out, 404);
	assert_true(sio_slice_eq(buf_peek(&out), SIO_LIT("HTTP/1.1 404 Not Found\r\n")));
	assert_string_equal(http1_reason(299), "Unknown");
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),  cmocka_unit_test(test_upgrade_leaves_the_rest),
		cmocka_unit_test(test_headers),  cmocka_unit_test(test_no_body_without_limit),
		cmocka_unit_test(test_tokens),   cmocka_unit_test(test_unescape),
		cmocka_unit_test(test_query),    cmocka_unit_test(test_query_at),
		cmocka_unit_test(test_status_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
