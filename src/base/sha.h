/* sha.h -- SHA-1, for the WebSocket handshake and names alone, and SHA-256.
 *
 * The handshake's hash proves that the peer speaks WebSocket; it protects nothing, and
 * neither should anything else that uses SHA-1.  What keeps a secret uses SHA-256.  Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef BASE_SHA_H
#define BASE_SHA_H

#include <stdbool.h>
#include <stddef.h>

#include <sio/error.h>

#define SHA1_LEN 20
#define SHA256_LEN 32

/* Each returns false when the crypto library has no such algorithm or no memory. */
SIO_MUST_CHECK bool sha1(const void *p, size_t n, unsigned char out[SHA1_LEN]);
SIO_MUST_CHECK bool sha256(const void *p, size_t n, unsigned char out[SHA256_LEN]);

#endif
