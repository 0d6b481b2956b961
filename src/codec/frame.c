/* frame.c -- see frame.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "codec/frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "codec/base64.h"
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

void frame_free(struct frame *f)
{
	struct frame_pool *fp = f->pool;

	if (f->poll)
		frame_unref(f->poll);
	if (f->b64)
		frame_unref(f->b64);
	if (f->class == FRAME_CLASSES)
		free(f);
	else
		pool_give(&fp->size[f->class], f);
}

/* The attachments of the WebSocket form, one after the other. */
static sio_slice next_attachment(const char **at)
{
	const unsigned char *h = (const unsigned char *)*at;
	size_t n = h[1] & 0x7f, head = 2;

	if (n == 126) {
		n = (size_t)h[2] << 8 | h[3];
		head = 4;
	} else if (n == 127) {
		n = 0;
		for (int i = 2; i < 10; i++)
			n = n << 8 | h[i];
		head = 10;
	}
	*at += head + n;
	return sio_bytes(h + head, n);
}

static struct frame *encode_poll(struct frame *f)
{
	const char *at = frame_text(f) + f->text_n;
	size_t bytes = f->text_n;
	struct frame *poll;
	char *out;

	for (unsigned i = 0; i < f->attachments_n; i++)
		bytes += 2 + BASE64_ENCODED(next_attachment(&at).n);
	poll = frame_alloc(f->pool, bytes);
	if (!poll)
		return NULL;
	out = poll->data;
	memcpy(out, frame_text(f), f->text_n);
	out += f->text_n;
	at = frame_text(f) + f->text_n;
	for (unsigned i = 0; i < f->attachments_n; i++) {
		sio_slice part = next_attachment(&at);
		*out++ = EIO_SEPARATOR;
		*out++ = 'b';
		out += base64_encode(part.p, part.n, out);
	}
	poll->n = (uint32_t)bytes;
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

static struct frame *encode_b64(struct frame *f)
{
	const char *at = frame_text(f) + f->text_n;
	size_t bytes = WS_HEAD_MAX + f->text_n;
	struct frame *b64;
	char *out;

	for (unsigned i = 0; i < f->attachments_n; i++)
		bytes += WS_HEAD_MAX + 1 + BASE64_ENCODED(next_attachment(&at).n);
	b64 = frame_alloc(f->pool, bytes);
	if (!b64)
		return NULL;
	b64->start = f->start;
	b64->text_n = f->text_n;
	b64->is_volatile = f->is_volatile;
	b64->key = f->key;
	out = frame_text(b64) + f->text_n;
	memcpy(b64->data + f->start, f->data + f->start, (size_t)(out - b64->data) - f->start);
	at = frame_text(f) + f->text_n;
	for (unsigned i = 0; i < f->attachments_n; i++) {
		sio_slice part = next_attachment(&at);
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
