/* deflate.h -- compression: WebSocket messages (RFC 7692) and bodies of HTTP answers.
 *
 * The only module that knows zlib.  A message is compressed and inflated by itself,
 * without the context of those before it, so a connection owns nothing here: one
 * deflater and one inflater serve a worker (decision 0012).  Their large parts are
 * made when they are first needed.  Pure: bytes in, bytes out; limits are parameters.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef CODEC_DEFLATE_H
#define CODEC_DEFLATE_H

#include <sio/error.h>
#include <sio/slice.h>

#include "base/buf.h"

enum {
	DEFLATE_WINDOW_MIN = 8,
	DEFLATE_WINDOW_MAX = 15,      /* bits: 256 .. 32,768 bytes */
	DEFLATE_MAX_BYTES = 4194304,  /* more is not compressed: the loop would stand still for it */
};

/* ---- compressing ------------------------------------------------------------------ */

struct deflater;

struct deflater *deflater_new(void);    /* NULL: out of memory */
void deflater_free(struct deflater *d); /* NULL allowed */
void deflater_relax(struct deflater *d); /* give back a large scratch buffer */

/* A buffer of the worker's for results on their way; whoever uses it clears it first. */
struct buf *deflater_scratch(struct deflater *d);

/* Append in, compressed as the payload of one message (without the tail 00 00 ff ff), for
 * a receiver with a window of 2^window_bits bytes.  Returns 0; SIO_ERR_LIMIT when the result
 * would not be smaller or in is over DEFLATE_MAX_BYTES; SIO_ERR_NOMEM.  Then out is
 * as it was. */
SIO_MUST_CHECK int deflate_message(struct deflater *d, unsigned window_bits, sio_slice in, struct buf *out);

/* Append in as a gzip member (RFC 1952) or a zlib stream (RFC 1950, which HTTP calls
 * "deflate").  Returns as deflate_message. */
enum deflate_body { DEFLATE_GZIP, DEFLATE_ZLIB };
SIO_MUST_CHECK int deflate_body(struct deflater *d, enum deflate_body form, sio_slice in, struct buf *out);

/* ---- inflating --------------------------------------------------------------------- */

struct inflater;

struct inflater *inflater_new(void);    /* NULL: out of memory */
void inflater_free(struct inflater *i); /* NULL allowed */
void inflater_relax(struct inflater *i); /* give back a large result that nobody reads any more */

/* Inflate one message: begin, feed its payload in any pieces, end.  A begin throws away
 * what an unfinished message left.  Errors: SIO_ERR_LIMIT as soon as it has more than
 * max_bytes, with no more than max_bytes + 1 of them inflated; SIO_ERR_PROTO when it is
 * no DEFLATE data, does not end where RFC 7692 7.2.1 says (in an empty stored block
 * whose last four bytes were taken off), or goes on behind a block with BFINAL other than
 * by that empty block; SIO_ERR_NOMEM.  After an error only begin makes sense.  An empty
 * payload is an empty message.
 *
 * *data is the inflater's and may be changed until the next begin or inflater_relax. */
SIO_MUST_CHECK int inflate_begin(struct inflater *i, size_t max_bytes);
SIO_MUST_CHECK int inflate_feed(struct inflater *i, const void *p, size_t n);
SIO_MUST_CHECK int inflate_end(struct inflater *i, char **data, size_t *n);

#endif
