/* ws_deflate.h -- negotiating permessage-deflate (RFC 7692 section 7.1), server side.
 *
 * Offers in, the answer out; compresses nothing.  Whatever is offered, both sides do
 * without context takeover: that is the server's right to demand, and what keeps a
 * connection free of compression state (decision 0012).
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef CODEC_WS_DEFLATE_H
#define CODEC_WS_DEFLATE_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/slice.h>

struct ws_deflate {
	uint8_t window_bits;   /* of what we compress, 8 .. 15 */
	bool has_window;       /* the offer named it, so the answer must */
};

/* Read one value of a Sec-WebSocket-Extensions header (of several such headers the first
 * with an acceptable offer counts) and take the first offer of permessage-deflate that
 * can be accepted.  An offer with an unknown or repeated parameter, a window outside
 * 8..15, or a value where none may be, is passed over; a value that breaks the
 * grammar of RFC 6455 9.1 holds no offer at all.  Time is linear in its length.
 * Returns false when there is nothing to accept. */
bool ws_deflate_take(sio_slice value, struct ws_deflate *out);

/* The value of the answer's Sec-WebSocket-Extensions, with a NUL. */
#define WS_DEFLATE_ANSWER_MAX 112
void ws_deflate_answer(const struct ws_deflate *d, char out[WS_DEFLATE_ANSWER_MAX]);

#endif
