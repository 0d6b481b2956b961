/* buf.h -- a byte buffer that grows, with an error that sticks.
 *
 * Appending never fails halfway: when memory runs out the buffer remembers it,
 * later appends do nothing, and the caller checks once (buf_failed).
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdint.h>

#include <sio/error.h>
#include <sio/slice.h>

struct buf {
	char *p;      /* bytes 0..n are the content */
	size_t n;
	size_t cap;   /* allocated */
	bool failed;  /* an append ran out of memory; content is what came before */
};

void buf_fini(struct buf *b);                       /* frees; all zero afterwards */
void buf_clear(struct buf *b);                      /* n = 0, keeps the memory */
bool buf_reserve(struct buf *b, size_t more);       /* room for more bytes at p + n */
void buf_put(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, const char *s);
void buf_slice(struct buf *b, sio_slice s);
void buf_byte(struct buf *b, char c);
void buf_u64(struct buf *b, uint64_t v);            /* decimal */
void buf_json(struct buf *b, sio_slice s);          /* as a JSON string with quotes */
void buf_time(struct buf *b, int64_t unix_ms);      /* as a JSON string, RFC 3339, UTC, milliseconds */
void buf_printf(struct buf *b, const char *fmt, ...) SIO_PRINTF(2, 3);
void buf_consume(struct buf *b, size_t n);          /* drop the first n bytes */

static inline sio_slice buf_peek(const struct buf *b)
{
	return sio_bytes(b->p, b->n);
}

#endif
