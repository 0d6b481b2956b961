/* headers.h -- headers that an application adds to answers, and the cookie.
 *
 * Section 4.3 of the reference.  What it lets pass cannot end a header, nor say
 * something about the answer's framing; knows no connection.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef ENGINE_HEADERS_H
#define ENGINE_HEADERS_H

#include <sio/handshake.h>
#include <sio/server.h>

#include "base/buf.h"

struct sio_headers {
	struct buf *out;   /* lines ending in CRLF */
	size_t added_n;    /* bytes of the application's */
};

/* NULL, or what is wrong with the cookie in words. */
const char *headers_cookie_fault(const struct sio_cookie *cookie);

/* Append what stands around the session id in a Set-Cookie header: "Set-Cookie: io=" to
 * before, "; Path=/; HttpOnly; SameSite=Lax" and the line's end to behind. */
void headers_cookie(const struct sio_cookie *cookie, struct buf *before, struct buf *behind);

#endif
