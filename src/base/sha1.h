/* sha1.h -- SHA-1, for the WebSocket handshake alone.
 *
 * The handshake's hash proves that the peer speaks WebSocket; it protects
 * nothing, and neither should anything else that uses this.  Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef BASE_SHA1_H
#define BASE_SHA1_H

#include <stdbool.h>
#include <stddef.h>

#include <sio/error.h>

#define SHA1_LEN 20

/* Returns false when the crypto library has no SHA-1 or no memory. */
SIO_MUST_CHECK bool sha1(const void *p, size_t n, unsigned char out[SHA1_LEN]);

#endif
