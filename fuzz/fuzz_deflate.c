/* fuzz_deflate.c -- a message inflates to the same result, whole or in pieces, and never to
 * more than the limit; any text comes back from what we make of it.  The first byte of the
 * input is the size of the pieces; with its high bit the text is ours to compress.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "codec/deflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { LIMIT = 20000 };

static struct deflater *deflater;
static struct inflater *inflater;

static int run(const void *p, size_t n, size_t step, size_t limit, struct buf *out)
{
	char *text = NULL;
	size_t text_n = 0;
	int err = inflate_begin(inflater, limit);

	for (size_t at = 0; at < n && err == SIO_OK; at += step) {
		size_t len = step < n - at ? step : n - at;
		char *piece = malloc(len);
		memcpy(piece, (const char *)p + at, len);
		err = inflate_feed(inflater, piece, len);
		free(piece);
	}
	if (err == SIO_OK)
		err = inflate_end(inflater, &text, &text_n);
	assert(text_n <= limit);
	buf_put(out, text, text_n);
	return err;
}

static void inflate_any(const void *p, size_t n, size_t step)
{
	struct buf whole = { 0 }, pieces = { 0 };
	int err = run(p, n, n + 1, LIMIT, &whole);

	assert(err == SIO_OK || err == SIO_ERR_PROTO || err == SIO_ERR_LIMIT);
	assert(run(p, n, step, LIMIT, &pieces) == err);
	assert(sio_slice_eq(buf_peek(&whole), buf_peek(&pieces)));
	buf_fini(&whole);
	buf_fini(&pieces);
}

static void round_trip(sio_slice text, size_t step, unsigned bits)
{
	struct buf wire = { 0 }, back = { 0 };
	int err = deflate_message(deflater, bits, text, &wire);

	if (err == SIO_OK) {
		assert(wire.n < text.n);
		assert(run(wire.p, wire.n, step, text.n, &back) == SIO_OK);
		assert(sio_slice_eq(buf_peek(&back), text));
	} else {
		assert(err == SIO_ERR_LIMIT && wire.n == 0);
	}
	err = deflate_body(deflater, bits % 2 ? DEFLATE_GZIP : DEFLATE_ZLIB, text, &wire);
	assert(err == SIO_OK || err == SIO_ERR_LIMIT);
	buf_fini(&wire);
	buf_fini(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (!deflater)
		deflater = deflater_new();
	if (!inflater)
		inflater = inflater_new();
	if (n < 2)
		return 0;
	if (data[0] & 0x80)
		round_trip(sio_bytes(data + 1, n - 1), data[0] % 40 + 1u, DEFLATE_WINDOW_MIN + data[0] % 8u);
	else
		inflate_any(data + 1, n - 1, data[0] % 40 + 1u);
	return 0;
}
