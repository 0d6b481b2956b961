/* msgpack.h -- plain data out of MessagePack, and the little of it that is written.
 *
 * All of the format but its extensions, of which two are known: a time (type -1) becomes the text that
 * JavaScript makes of a date, type 0 is what old writers had for buffers and undefined.  Pure.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef CODEC_MSGPACK_H
#define CODEC_MSGPACK_H

#include "codec/value.h"

/* The value that bytes say, up to the last one of them.  Returns 0 and *out, which points into
 * bytes and store; SIO_ERR_PROTO: it is cut, goes on behind its end, has text that is no UTF-8, or another extension;
 * SIO_ERR_LIMIT (VALUE_BYTES_MAX, VALUE_COUNT_MAX, VALUE_DEPTH_MAX) or SIO_ERR_NOMEM. */
SIO_MUST_CHECK int msgpack_read(sio_slice bytes, struct value_store *store, struct value **out);

/* ---- writing: buf's way of failing ------------------------------------------------- */

/* Heads, behind which n values follow, or n names each with its value. */
void msgpack_put_list(struct buf *out, uint32_t n);
void msgpack_put_map(struct buf *out, uint32_t n);
void msgpack_put_text(struct buf *out, sio_slice text);   /* UTF-8 */
void msgpack_put_bool(struct buf *out, bool is_true);
void msgpack_put_int(struct buf *out, int64_t i);
/* One value of JSON text, which has been checked, as JavaScript would read it: numbers that are no
 * integers of 53 bits become doubles, half a character U+FFFD.  Placeholders become bytes. */
void msgpack_put_json(struct buf *out, sio_slice json, const struct value_blobs *blobs);

#endif
