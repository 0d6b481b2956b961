/* frame.c -- see frame.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "codec/frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "codec/base64.h"
#include "codec/deflate.h"
#include "codec/eio.h"

/* Whole blocks, the struct included: most events, long events, small bulk. */
static const uint16_t class_bytes[FRAME_CLASSES] = { 256, 1024, 8192 };

void frame_pool_init(struct frame_pool *fp)
{
	*fp = (struct frame_pool){ 0 };
	for (int i = 0; i < FRAME_CLASSES; i++)
		pool_init(&fp->size[i], class_bytes[i]);
}

void frame_pool_fini(struct frame_pool *fp)
{
	for (int i = 0; i < FRAME_CLASSES; i++)
		pool_fini(&fp->size[i]);
}

void frame_pool_relax(struct frame_pool *fp)
{
	for (int i = 0; i < FRAME_CLASSES; i++)
		pool_relax(&fp->size[i]);
}

uint64_t frame_pool_mallocs(const struct frame_pool *fp)
{
	uint64_t n = fp->mallocs;

	for (int i = 0; i < FRAME_CLASSES; i++)
		n += fp->size[i].slabs_total;
	return n;
}

static struct frame *frame_alloc(struct frame_pool *fp, size_t data_n)
{
	size_t bytes = sizeof(struct frame) + data_n;
	struct frame *f;
	int class = 0;

	while (class < FRAME_CLASSES && bytes > class_bytes[class])
		class++;
	if (class == FRAME_CLASSES) {
		fp->mallocs++;
		f = data_n < UINT32_MAX / 2 ? malloc(bytes) : NULL;
	} else {
		f = pool_take(&fp->size[class]);
	}
	if (!f)
		return NULL;
	*f = (struct frame){ .pool = fp, .refs = 1, .class = (uint8_t)class };
	return f;
}

struct frame *frame_new(struct frame_pool *fp, size_t text_max, const sio_slice *attachments, unsigned attachments_n)
{
	size_t bytes = WS_HEAD_MAX + text_max;
	struct frame *f;

	for (unsigned i = 0; i < attachments_n; i++)
		bytes += WS_HEAD_MAX + attachments[i].n;
	f = frame_alloc(fp, bytes);
	if (!f)
		return NULL;
	/* Attachments lie behind the longest text; frame_seal moves them up. */
	char *at = frame_text(f) + text_max;
	for (unsigned i = 0; i < attachments_n; i++) {
		at += ws_head_write(at, WS_BINARY, attachments[i].n);
		if (attachments[i].n)
			memcpy(at, attachments[i].p, attachments[i].n);
		at += attachments[i].n;
	}
	f->attachments_n = (uint8_t)attachments_n;
	f->text_n = (uint32_t)text_max;
	f->n = (uint32_t)(at - (frame_text(f) + text_max));
	return f;
}

void frame_seal(struct frame *f, enum ws_op op, size_t text_n)
{
	size_t head_n = ws_head_size(text_n);

	assert(text_n <= f->text_n);
	if (f->n && text_n < f->text_n)
		memmove(frame_text(f) + text_n, frame_text(f) + f->text_n, f->n);
	f->start = (uint8_t)(WS_HEAD_MAX - head_n);
	ws_head_write(f->data + f->start, op, text_n);
	f->text_n = (uint32_t)text_n;
	f->n += (uint32_t)(head_n + text_n);
}

struct frame *frame_of_text(struct frame_pool *fp, enum ws_op op, sio_slice text)
{
	struct frame *f = frame_new(fp, text.n, NULL, 0);

	if (!f)
		return NULL;
	if (text.n)
		memcpy(frame_text(f), text.p, text.n);
	frame_seal(f, op, text.n);
	return f;
}

struct frame *frame_of_binary(struct frame_pool *fp, sio_slice data)
{
	struct frame *f = frame_new(fp, 0, &data, 1);

	if (f)
		f->start = WS_HEAD_MAX; /* there is no text, so no head of one */
	return f;
}

void frame_free(struct frame *f)
{
	struct frame_pool *fp = f->pool;

	if (f->poll)
		frame_unref(f->poll);
	if (f->b64)
		frame_unref(f->b64);
	if (f->deflated)
		frame_unref(f->deflated);
	if (f->plain)
		frame_unref(f->plain);
	if (f->class == FRAME_CLASSES)
		free(f);
	else
		pool_give(&fp->size[f->class], f);
}

/* One binary message, without a text before it (frame_of_binary)? */
static bool is_bare(const struct frame *f)
{
	return f->start == WS_HEAD_MAX;
}

static struct frame *encode_poll(struct frame *f)
{
	const char *at = frame_text(f) + f->text_n;
	size_t bytes = f->text_n;
	struct frame *poll;
	char *out;

	for (unsigned i = 0; i < f->attachments_n; i++)
		bytes += 2 + BASE64_ENCODED(ws_frame_next(&at).n);
	poll = frame_alloc(f->pool, bytes);
	if (!poll)
		return NULL;
	out = poll->data;
	memcpy(out, frame_text(f), f->text_n);
	out += f->text_n;
	at = frame_text(f) + f->text_n;
	for (unsigned i = 0; i < f->attachments_n; i++) {
		sio_slice part = ws_frame_next(&at);
		if (i > 0 || !is_bare(f))
			*out++ = EIO_SEPARATOR;
		*out++ = 'b';
		out += base64_encode(part.p, part.n, out);
	}
	poll->n = (uint32_t)(out - poll->data);
	return poll;
}

sio_slice frame_peek_poll(struct frame *f)
{
	if (f->attachments_n == 0)
		return sio_bytes(frame_text(f), f->text_n);
	if (!f->poll)
		f->poll = encode_poll(f);
	return f->poll ? sio_bytes(f->poll->data, f->poll->n) : sio_bytes("", 0);
}

/* How a form is to be treated on its way. */
static void copy_manners(struct frame *form, const struct frame *f)
{
	form->is_volatile = f->is_volatile;
	form->no_compress = f->no_compress;
	form->key = f->key;
}

static struct frame *encode_b64(struct frame *f)
{
	const char *at = frame_text(f) + f->text_n;
	size_t bytes = WS_HEAD_MAX + f->text_n;
	struct frame *b64;
	char *out;

	for (unsigned i = 0; i < f->attachments_n; i++)
		bytes += WS_HEAD_MAX + 1 + BASE64_ENCODED(ws_frame_next(&at).n);
	b64 = frame_alloc(f->pool, bytes);
	if (!b64)
		return NULL;
	b64->start = f->start;
	b64->text_n = f->text_n;
	copy_manners(b64, f);
	out = frame_text(b64) + f->text_n;
	memcpy(b64->data + f->start, f->data + f->start, (size_t)(out - b64->data) - f->start);
	at = frame_text(f) + f->text_n;
	for (unsigned i = 0; i < f->attachments_n; i++) {
		sio_slice part = ws_frame_next(&at);
		out += ws_head_write(out, WS_TEXT, 1 + BASE64_ENCODED(part.n));
		*out++ = 'b';
		out += base64_encode(part.p, part.n, out);
	}
	b64->n = (uint32_t)(out - (b64->data + b64->start));
	return b64;
}

struct frame *frame_peek_b64(struct frame *f)
{
	if (f->attachments_n == 0)
		return f;
	if (!f->b64)
		f->b64 = encode_b64(f);
	return f->b64;
}

/* ---- the compressed form ----------------------------------------------------------- */

/* Append one message of the WebSocket form, head included, compressed when it is worth it. */
static bool put_deflated(struct frame_pool *fp, unsigned window_bits, sio_slice whole, sio_slice payload, struct buf *out)
{
	char head[WS_HEAD_MAX];
	size_t head_n, before = out->n;

	if (payload.n < fp->deflate_min || (whole.p[0] & 15) >= WS_CLOSE || !buf_reserve(out, WS_HEAD_MAX))
		goto plain;
	out->n += WS_HEAD_MAX;
	if (deflate_message(fp->deflater, window_bits, payload, out) < 0)
		goto plain;
	head_n = ws_head_write(head, (enum ws_op)(whole.p[0] & 15), out->n - before - WS_HEAD_MAX);
	head[0] = (char)(head[0] | WS_RSV1);
	memmove(out->p + before + head_n, out->p + before + WS_HEAD_MAX, out->n - before - WS_HEAD_MAX);
	memcpy(out->p + before, head, head_n);
	out->n -= WS_HEAD_MAX - head_n;
	fp->deflates++;
	fp->deflate_in += payload.n;
	fp->deflate_out += out->n - before - head_n;
	return true;
plain:
	out->n = before;
	buf_slice(out, whole);
	return false;
}

/* NULL: nothing became smaller, or memory ran out. */
static struct frame *encode_deflated(struct frame *f, unsigned window_bits)
{
	struct buf *out = deflater_scratch(f->pool->deflater);
	const char *at = f->data + f->start, *end = at + f->n;
	struct frame *form;
	bool is_any = false;

	buf_clear(out);
	while (at < end) {
		const char *from = at;
		sio_slice payload = ws_frame_next(&at);
		is_any |= put_deflated(f->pool, window_bits, sio_bytes(from, (size_t)(at - from)), payload, out);
	}
	form = is_any && !out->failed ? frame_alloc(f->pool, out->n) : NULL;
	if (!form)
		return NULL;
	memcpy(form->data, out->p, out->n);
	form->n = (uint32_t)out->n;
	form->window_bits = (uint8_t)window_bits;
	copy_manners(form, f);
	form->no_compress = true; /* it is done */
	return form;
}

struct frame *frame_peek_deflated(struct frame *f, unsigned window_bits)
{
	struct frame **at = &f->deflated;

	if (f->no_compress || f->n < f->pool->deflate_min || !f->pool->deflater)
		return f;
	/* What fits into a small window never reaches back over it: one form for all. */
	if (f->n <= 1u << window_bits)
		window_bits = DEFLATE_WINDOW_MAX;
	while (*at && (*at)->window_bits != window_bits)
		at = &(*at)->deflated;
	if (!*at)
		*at = encode_deflated(f, window_bits);
	f->no_compress |= !*at;
	return *at ? *at : f;
}
