/* fuzz_ws.c -- frames give the same messages and the same fault, whole or in
 * pieces.  The first byte of the input is the size of the pieces; with its high bit
 * permessage-deflate was negotiated.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "codec/deflate.h"
#include "codec/utf8.h"
#include "codec/ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct ws_limits limits = { .message_bytes = 1000, .fragments_n = 8 };

static bool note(void *ctx, enum ws_op op, char *data, size_t n)
{
	struct buf *log = ctx;

	assert(op == WS_TEXT || op == WS_BINARY || (op >= WS_CLOSE && op <= WS_PONG));
	assert(n <= (op >= WS_CLOSE ? 125 : limits.message_bytes));
	assert(op != WS_TEXT || utf8_ok(data, n));
	assert(op != WS_CLOSE || n != 1);
	buf_byte(log, (char)op);
	buf_u64(log, n);
	buf_put(log, data, n);
	if (n > 0)
		memset(data, 0xdd, n);
	return true;
}

static int run(struct buf *log, const uint8_t *data, size_t n, size_t step, bool *is_idle)
{
	struct ws_reader *reader = NULL;
	int code = 0;

	for (size_t at = 0; at < n && code == 0; at += step) {
		size_t len = step < n - at ? step : n - at;
		char *piece = malloc(len);
		memcpy(piece, data + at, len);
		code = ws_read(&reader, &limits, piece, len, note, log);
		free(piece);
	}
	*is_idle = !reader;
	ws_reader_free(reader);
	return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf whole = { 0 }, pieces = { 0 };
	bool whole_idle, pieces_idle;
	static struct inflater *inflater;

	if (n < 2)
		return 0;
	if (!inflater)
		inflater = inflater_new();
	limits.inflater = data[0] & 0x80 ? inflater : NULL;
	int code = run(&whole, data + 1, n - 1, n, &whole_idle);
	assert(run(&pieces, data + 1, n - 1, (size_t)(data[0] & 0x7f) % 40 + 1, &pieces_idle) == code);
	assert(whole_idle == pieces_idle && sio_slice_eq(buf_peek(&whole), buf_peek(&pieces)));
	assert(code == 0 || whole_idle);
	buf_fini(&whole);
	buf_fini(&pieces);
	return 0;
}
