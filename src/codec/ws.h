/* ws.h -- WebSocket frames (RFC 6455), server side.
 *
 * Decoder: bytes in, whole messages out.  A connection in the middle of nothing
 * holds no memory: the reader is NULL then, and messages that arrive whole are
 * handed out where they lie in the caller's buffer, unmasked in place.  A message
 * that was compressed (RFC 7692) is inflated once all of it is there, by an inflater
 * that the caller shares among its connections.  Encoder: writes a frame head in front
 * of a payload.  Knows no socket; limits are parameters.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef CODEC_WS_H
#define CODEC_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sio/slice.h>

struct inflater;

enum ws_op { WS_CONT = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

struct ws_limits {
	size_t message_bytes;  /* a message, all its fragments together, compressed and inflated */
	size_t fragments_n;    /* fragments of one message */
	struct inflater *inflater; /* permessage-deflate was negotiated; NULL: it was not */
};

struct ws_reader;              /* what is left of an incomplete frame or message */

/* Called for each whole message (WS_TEXT: checked UTF-8) and control frame, in
 * order.  data is borrowed for the call and may be changed.  WS_CLOSE: data is the
 * checked payload (empty, or code and reason); frames behind it are delivered as
 * any others, unless the sink stops there, as it should.  Return false to stop
 * reading: the rest of the bytes is dropped and ws_read returns 0.  The sink may
 * have freed ctx, the bytes, the limits, the inflater and where *reader stood: after a
 * false nothing of the caller's is touched.  An inflated message is the inflater's. */
typedef bool ws_sink_fn(void *ctx, enum ws_op op, char *data, size_t n);

/* Read n bytes.  *reader starts as NULL; it is NULL again whenever no frame or
 * message is incomplete, while a sink is called, and after a sink has stopped.
 * What else is left in it at the end of the connection the caller frees.  The bytes
 * are changed (unmasked).  Returns 0, or the close code that the fault calls for: 1002
 * protocol, RSV1 anywhere but on the first frame of a message or without an inflater
 * included; 1007 not UTF-8 (as early as it is certain) or not DEFLATE data; 1009 message too
 * big (told by the head, before its data, or as soon as it has inflated to more); 1008
 * too many fragments; 1011 out of memory.  After a fault the reader is freed. */
int ws_read(struct ws_reader **reader, const struct ws_limits *limits, char *p, size_t n, ws_sink_fn *sink, void *ctx);
void ws_reader_free(struct ws_reader *reader); /* NULL allowed */

/* Frame heads that a server writes (no mask, FIN set). */
#define WS_HEAD_MAX 10
#define WS_RSV1 0x40            /* in a head's first byte: the message is compressed */
size_t ws_head_size(size_t payload_n);                         /* 2, 4 or 10 */
size_t ws_head_write(char *out, enum ws_op op, size_t payload_n); /* returns ws_head_size */

/* The payload of the frame at *at, as ws_head_write began it; *at moves behind it. */
sio_slice ws_frame_next(const char **at);

/* Xor p[0..n) with the mask, whose first byte belongs to p[0]. */
void ws_mask(char *p, size_t n, const unsigned char mask[4]);

/* The Sec-WebSocket-Accept value for a key (RFC 6455 4.2.2), 28 characters and a
 * NUL.  Returns false when key is not 24 characters of base64 of 16 bytes. */
bool ws_accept(sio_slice key, char out[29]);

/* May an endpoint send this close code (RFC 6455 7.4, the IANA registry, the private ranges)? */
bool ws_close_code_ok(unsigned code);

#endif
