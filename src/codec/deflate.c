/* deflate.c -- see deflate.h.
 *
 * zlib cannot make a raw stream with a window of 256 bytes; the one that it makes with
 * 512 never reaches back further than 250 bytes (its window less the look-ahead it
 * keeps), so it serves both.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "codec/deflate.h"

#include <assert.h>
#include <stdlib.h>
#include <zlib.h>

enum {
	LEVEL = 3,             /* half the time of zlib's default, a sixth more bytes: decision 0012 */
	MEMORY_LEVEL = 8,      /* 128 KiB for hash chains and symbols, beside four windows */
	ZLIB_WINDOW_MIN = 9,
	TAIL_N = 4,
	GZIP_HEAD_N = 10, GZIP_FOOT_N = 8,
	ZLIB_HEAD_N = 2, ZLIB_FOOT_N = 4,
	KEEP_BYTES = 65536,    /* a larger buffer is given back by relax */
	INFLATE_MIN = 1024,
	STEP_MAX = 1 << 30,    /* zlib counts in 32 bits */
};

static const unsigned char tail[TAIL_N] = { 0x00, 0x00, 0xff, 0xff };

/* ---- compressing ----------------------------------------------------------------- */

struct deflater {
	z_stream *stream[DEFLATE_WINDOW_MAX + 1]; /* by bits of the window; made when first used */
	struct buf scratch;
};

struct deflater *deflater_new(void)
{
	return calloc(1, sizeof(struct deflater));
}

void deflater_free(struct deflater *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i <= DEFLATE_WINDOW_MAX; i++) {
		if (d->stream[i])
			deflateEnd(d->stream[i]);
		free(d->stream[i]);
	}
	buf_fini(&d->scratch);
	free(d);
}

void deflater_relax(struct deflater *d)
{
	if (d->scratch.cap > KEEP_BYTES)
		buf_fini(&d->scratch);
}

struct buf *deflater_scratch(struct deflater *d)
{
	return &d->scratch;
}

/* The raw stream for a window, ready for a new message. */
static z_stream *stream_get(struct deflater *d, unsigned window_bits)
{
	unsigned bits = window_bits < ZLIB_WINDOW_MIN ? ZLIB_WINDOW_MIN : window_bits;
	z_stream *z = d->stream[bits];

	if (z)
		return deflateReset(z) == Z_OK ? z : NULL;
	z = calloc(1, sizeof(*z));
	if (!z || deflateInit2(z, LEVEL, Z_DEFLATED, -(int)bits, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
		free(z);
		return NULL;
	}
	d->stream[bits] = z;
	return z;
}

/* Append the raw stream of in, at most max bytes of it.  flush tells how it ends. */
static int deflate_raw(z_stream *z, sio_slice in, int flush, size_t max, struct buf *out)
{
	int ret;

	if (!buf_reserve(out, max))
		return SIO_ERR_NOMEM;
	z->next_in = (unsigned char *)(uintptr_t)in.p;
	z->avail_in = (unsigned)in.n;
	z->next_out = (unsigned char *)out->p + out->n;
	z->avail_out = (unsigned)max;
	ret = deflate(z, flush);
	if (ret != Z_OK && ret != Z_STREAM_END)
		return ret == Z_BUF_ERROR ? SIO_ERR_LIMIT : SIO_ERR_NOMEM;
	if (z->avail_out == 0) /* there may be more to come */
		return SIO_ERR_LIMIT;
	out->n += max - z->avail_out;
	return SIO_OK;
}

/* A failed append must not stick to a buffer that others use. */
static int give_up(struct buf *out, size_t n, int err)
{
	out->n = n;
	out->failed = false;
	return err;
}

int deflate_message(struct deflater *d, unsigned window_bits, sio_slice in, struct buf *out)
{
	size_t before = out->n;
	z_stream *z;
	int err;

	assert(window_bits >= DEFLATE_WINDOW_MIN && window_bits <= DEFLATE_WINDOW_MAX);
	if (in.n == 0 || in.n > DEFLATE_MAX_BYTES)
		return SIO_ERR_LIMIT;
	z = stream_get(d, window_bits);
	if (!z)
		return SIO_ERR_NOMEM;
	err = deflate_raw(z, in, Z_SYNC_FLUSH, in.n + TAIL_N, out);
	if (err < 0)
		return give_up(out, before, err);
	assert(out->n - before > TAIL_N && memcmp(out->p + out->n - TAIL_N, tail, TAIL_N) == 0);
	out->n -= TAIL_N;
	return out->n - before < in.n ? SIO_OK : give_up(out, before, SIO_ERR_LIMIT);
}

static void put_number(struct buf *out, unsigned long v, bool is_big_endian)
{
	for (unsigned i = 0; i < 4; i++)
		buf_byte(out, (char)(v >> 8 * (is_big_endian ? 3 - i : i)));
}

int deflate_body(struct deflater *d, enum deflate_body form, sio_slice in, struct buf *out)
{
	static const char gzip_head[GZIP_HEAD_N] = { 0x1f, (char)0x8b, 8, 0, 0, 0, 0, 0, 0, 3 };
	static const char zlib_head[ZLIB_HEAD_N] = { 0x78, 0x5e }; /* window of 32 KiB, a fast level */
	size_t before = out->n, frame_n = form == DEFLATE_GZIP ? GZIP_HEAD_N + GZIP_FOOT_N : ZLIB_HEAD_N + ZLIB_FOOT_N;
	const unsigned char *p = (const unsigned char *)in.p;
	z_stream *z;
	int err;

	if (in.n <= frame_n || in.n > DEFLATE_MAX_BYTES)
		return SIO_ERR_LIMIT;
	z = stream_get(d, DEFLATE_WINDOW_MAX);
	if (!z || !buf_reserve(out, in.n + frame_n))
		return give_up(out, before, SIO_ERR_NOMEM);
	buf_put(out, form == DEFLATE_GZIP ? gzip_head : zlib_head, form == DEFLATE_GZIP ? GZIP_HEAD_N : ZLIB_HEAD_N);
	err = deflate_raw(z, in, Z_FINISH, in.n - frame_n, out);
	if (err < 0)
		return give_up(out, before, err);
	if (form == DEFLATE_GZIP) {
		put_number(out, crc32(0, p, (unsigned)in.n), false);
		put_number(out, in.n, false);
	} else {
		put_number(out, adler32(1, p, (unsigned)in.n), true);
	}
	return SIO_OK;
}

/* ---- inflating ---------------------------------------------------------------------- */

struct inflater {
	z_stream z;
	bool is_made;          /* z has its window and state */
	bool is_empty;         /* no byte of the message was fed yet */
	bool is_final;         /* a block with BFINAL has ended */
	unsigned after_n;      /* bytes seen behind it */
	size_t max;
	struct buf out;
};

struct inflater *inflater_new(void)
{
	return calloc(1, sizeof(struct inflater));
}

void inflater_free(struct inflater *i)
{
	if (!i)
		return;
	if (i->is_made)
		inflateEnd(&i->z);
	buf_fini(&i->out);
	free(i);
}

void inflater_relax(struct inflater *i)
{
	if (i->out.cap > KEEP_BYTES)
		buf_fini(&i->out);
}

int inflate_begin(struct inflater *i, size_t max_bytes)
{
	/* The largest window, whatever the peer's is. */
	if (!i->is_made && inflateInit2(&i->z, -DEFLATE_WINDOW_MAX) != Z_OK)
		return SIO_ERR_NOMEM;
	i->is_made = true;
	inflateReset(&i->z);
	i->is_empty = true;
	i->is_final = false;
	i->after_n = 0;
	i->max = max_bytes;
	buf_clear(&i->out);
	return SIO_OK;
}

/* Room for more of the result: it doubles, up to one byte more than is allowed. */
static bool grow(struct inflater *i)
{
	size_t most = i->max - i->out.n + 1, more = i->out.n + INFLATE_MIN;

	if (i->out.cap == i->out.n && !buf_reserve(&i->out, more < most ? more : most))
		return false;
	i->z.next_out = (unsigned char *)i->out.p + i->out.n;
	more = i->out.cap - i->out.n;
	more = more < most ? more : most;
	i->z.avail_out = (unsigned)(more < STEP_MAX ? more : STEP_MAX);
	return true;
}

/* RFC 7692 7.2.3.4: behind a block with BFINAL stands an empty stored block, the tail
 * included; nothing else may. */
static int feed_after_final(struct inflater *i)
{
	static const unsigned char want[1 + TAIL_N] = { 0x00, 0x00, 0x00, 0xff, 0xff };

	for (; i->z.avail_in > 0; i->z.avail_in--)
		if (i->after_n == sizeof(want) || *i->z.next_in++ != want[i->after_n++])
			return SIO_ERR_PROTO;
	return SIO_OK;
}

/* Inflate until the result's room is full or the input is at its end. */
static int step(struct inflater *i)
{
	unsigned room;
	int ret;

	if (!grow(i))
		return SIO_ERR_NOMEM;
	room = i->z.avail_out;
	ret = inflate(&i->z, Z_SYNC_FLUSH);
	i->out.n += room - i->z.avail_out;
	if (i->out.n > i->max)
		return SIO_ERR_LIMIT;
	if (ret == Z_MEM_ERROR)
		return SIO_ERR_NOMEM;
	i->is_final = ret == Z_STREAM_END;
	return ret == Z_OK || ret == Z_BUF_ERROR || i->is_final ? SIO_OK : SIO_ERR_PROTO;
}

int inflate_feed(struct inflater *i, const void *p, size_t n)
{
	int err = SIO_OK;

	if (n == 0)
		return SIO_OK;
	if (n > STEP_MAX)
		return SIO_ERR_LIMIT;
	i->is_empty = false;
	i->z.next_in = (unsigned char *)(uintptr_t)p;
	i->z.avail_in = (unsigned)n;
	/* A full room may hide more output even when all input was taken. */
	while (err == SIO_OK && !i->is_final && (i->z.avail_in > 0 || i->z.avail_out == 0))
		err = step(i);
	return err == SIO_OK && i->is_final ? feed_after_final(i) : err;
}

/* Does the data end between two blocks, with no bit of another one read?  zlib tells by
 * data_type: 128 behind a block's end, and the bits it holds in the lower six. */
static bool is_between_blocks(const struct inflater *i)
{
	return (i->z.data_type & 128) && (i->z.data_type & 63) == 0;
}

int inflate_end(struct inflater *i, char **data, size_t *n)
{
	static char nothing[1];
	int err = SIO_OK;

	if (!i->is_empty)
		err = inflate_feed(i, tail, TAIL_N);
	if (err < 0)
		return err;
	if (!i->is_empty && (i->is_final ? i->after_n != 1 + TAIL_N : !is_between_blocks(i)))
		return SIO_ERR_PROTO;
	*data = i->out.n ? i->out.p : nothing;
	*n = i->out.n;
	return SIO_OK;
}
