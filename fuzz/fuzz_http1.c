/* fuzz_http1.c -- requests are the same, whole or in pieces.  The first byte of
 * the input is the size of the pieces.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "codec/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct http1_limits limits = { .head_bytes = 1024, .headers_n = 16, .chunk_extra = 128 };
enum { BODY_LIMIT = 500 };

/* What is read out of a query stays inside it, and decoding never grows. */
static void check_query(sio_slice query)
{
	sio_slice value;
	char out[1100];

	assert(http1_unescape(query, true, out, sizeof(out)) <= (long)query.n);
	if (http1_query_get(query, "EIO", &value))
		assert(value.n <= query.n && (value.n == 0 || (value.p >= query.p && value.p + value.n <= query.p + query.n)));
}

static void note_head(struct buf *log, const struct http1_request *req)
{
	char flags[] = { (char)req->is_keep_alive, (char)req->is_upgrade, (char)req->has_body, (char)req->wants_continue };

	assert(req->headers_n <= limits.headers_n && !(req->has_length && req->length && !req->has_body));
	check_query(req->query);
	buf_slice(log, req->method);
	buf_slice(log, req->target);
	buf_put(log, flags, sizeof(flags));
	for (size_t i = 0; i < req->headers_n; i++) {
		assert(req->headers[i].name.n > 0 && !memchr(req->headers[i].value.p, '\r', req->headers[i].value.n));
		buf_slice(log, req->headers[i].name);
		buf_slice(log, req->headers[i].value);
	}
}

/* The bytes of one piece.  false: no more is wanted. */
static bool feed(struct http1_reader *r, struct buf *log, const char *p, size_t n)
{
	size_t used;
	int status = 0;

	for (;;) {
		enum http1_what what = http1_read(r, p, n, &used, &status);
		assert(used <= n);
		p += used;
		n -= used;
		if (what == HTTP1_MORE)
			return assert(n == 0), true;
		if (what == HTTP1_BAD)
			return buf_u64(log, (uint64_t)status), false;
		if (what == HTTP1_HEAD) {
			note_head(log, http1_request(r));
			http1_set_body_limit(r, BODY_LIMIT);
			continue;
		}
		assert(http1_request(r)->body.n <= BODY_LIMIT);
		buf_slice(log, buf_peek(&http1_request(r)->body));
		buf_byte(log, '.');
		http1_next(r);
		if (n == 0)
			return true;
	}
}

static void run(struct buf *log, const uint8_t *data, size_t n, size_t step)
{
	struct http1_reader *r = http1_new(&limits);
	bool goes_on = true;

	for (size_t at = 0; at < n && goes_on; at += step) {
		size_t len = step < n - at ? step : n - at;
		char *piece = malloc(len);
		memcpy(piece, data + at, len);
		goes_on = feed(r, log, piece, len);
		free(piece);
	}
	buf_byte(log, http1_is_idle(r) ? 'i' : 'm');
	http1_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf whole = { 0 }, pieces = { 0 };

	if (n < 2)
		return 0;
	run(&whole, data + 1, n - 1, n);
	run(&pieces, data + 1, n - 1, (size_t)data[0] % 60 + 1);
	assert(sio_slice_eq(buf_peek(&whole), buf_peek(&pieces)));
	buf_fini(&whole);
	buf_fini(&pieces);
	return 0;
}
