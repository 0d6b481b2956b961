/* frame.h -- an outgoing packet: encoded once, sealed, shared by all receivers.
 *
 * A frame holds the bytes of its WebSocket form: a frame head and the packet's
 * text, then a head and the bytes of each attachment.  The polling form of a
 * packet without attachments is the same text, so it costs nothing; with
 * attachments it is made when the first polling receiver asks for it, and kept.  So is
 * the compressed form, once for all receivers that negotiated permessage-deflate.
 * A binary message of plain Engine.IO is an attachment without a text before it.
 *
 * Frames come from a pool of a few sizes, so that a steady load allocates
 * nothing.  References are counted without locks: a frame belongs to one thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef CODEC_FRAME_H
#define CODEC_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/slice.h>

#include "base/pool.h"
#include "codec/ws.h"

struct deflater;

enum { FRAME_CLASSES = 3 };

struct frame_pool {
	struct pool size[FRAME_CLASSES];
	struct deflater *deflater; /* the worker's; NULL: nothing is compressed */
	uint32_t deflate_min;   /* bytes; smaller messages go as they are */
	uint64_t mallocs;       /* of frames too large for the pools */
	uint64_t encodes;       /* frames made from a Socket.IO packet */
	uint64_t deflates;      /* messages compressed, */
	uint64_t deflate_in;    /* their bytes before */
	uint64_t deflate_out;   /* and after */
};

struct frame {
	struct frame_pool *pool;
	struct frame *poll;     /* polling form; NULL: not made, or the text itself */
	struct frame *b64;      /* WebSocket form without binary messages; NULL: not made */
	struct frame *deflated; /* compressed WebSocket form, in it the one for the next window; NULL: not made */
	struct frame *plain;    /* for receivers that are to see no offset; NULL: this one does */
	uint32_t refs;
	uint32_t key;           /* volatile: gives way to a newer one of the same key; 0: none */
	uint32_t n;             /* bytes of the WebSocket form, from start */
	uint32_t text_n;        /* the packet's text, at WS_HEAD_MAX */
	uint8_t class;          /* which pool; FRAME_CLASSES: malloc */
	uint8_t start;          /* where the first WebSocket head begins */
	bool is_volatile : 1;
	bool no_compress : 1;   /* the application said so, or it was tried in vain */
	uint8_t attachments_n;
	uint8_t window_bits;    /* of a compressed form */
	char data[];
};

void frame_pool_init(struct frame_pool *fp);
void frame_pool_fini(struct frame_pool *fp);
void frame_pool_relax(struct frame_pool *fp);   /* see pool_relax */
uint64_t frame_pool_mallocs(const struct frame_pool *fp);

/* A frame for up to text_max bytes of text and copies of the attachments.
 * One reference, the caller's.  Write the text to frame_text, then call
 * frame_seal once with its true length.  NULL: out of memory. */
struct frame *frame_new(struct frame_pool *fp, size_t text_max, const sio_slice *attachments, unsigned attachments_n);
void frame_seal(struct frame *f, enum ws_op op, size_t text_n);

static inline char *frame_text(struct frame *f)
{
	return f->data + WS_HEAD_MAX;
}

/* A frame of ready text, such as a heartbeat. */
struct frame *frame_of_text(struct frame_pool *fp, enum ws_op op, sio_slice text);

/* A frame that is one binary message, copied. */
struct frame *frame_of_binary(struct frame_pool *fp, sio_slice data);

void frame_free(struct frame *f);

static inline struct frame *frame_ref(struct frame *f)
{
	f->refs++;
	return f;
}

static inline void frame_unref(struct frame *f)
{
	if (--f->refs == 0)
		frame_free(f);
}

static inline sio_slice frame_peek_ws(const struct frame *f)
{
	return sio_bytes(f->data + f->start, f->n);
}

/* The packet as it stands in a polling payload: text, and attachments in base64
 * behind separators.  Borrowed from the frame.  Empty when out of memory. */
sio_slice frame_peek_poll(struct frame *f);

/* The frame for a WebSocket client that asked for b64=1: attachments are text
 * messages of "b" and base64.  f itself when it has none.  Borrowed from f; NULL
 * when out of memory. */
struct frame *frame_peek_b64(struct frame *f);

/* The frame for a WebSocket client that negotiated permessage-deflate and has a window
 * of 2^window_bits bytes: each message of deflate_min bytes or more is compressed by
 * itself.  f itself when none is, none gets smaller, no_compress is set, or memory ran
 * out.  Borrowed from f. */
struct frame *frame_peek_deflated(struct frame *f, unsigned window_bits);

#endif
