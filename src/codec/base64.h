/* base64.h -- RFC 4648 base64 and base64url.  Pure.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef CODEC_BASE64_H
#define CODEC_BASE64_H

#include <stddef.h>
#include <sys/types.h>

#define BASE64_ENCODED(n) (((n) + 2) / 3 * 4)
#define BASE64_DECODED_MAX(n) ((n) / 4 * 3 + 3)

/* Standard alphabet with padding; out holds BASE64_ENCODED(n).  Returns bytes written. */
size_t base64_encode(const void *p, size_t n, char *out);

/* Standard alphabet, padded or not; anything else (other alphabets, blanks, bits
 * left over, wrong padding) is refused.  out holds BASE64_DECODED_MAX(n) and may be
 * the input itself.  Returns bytes written or SIO_ERR_PROTO. */
ssize_t base64_decode(const char *p, size_t n, void *out);

/* URL alphabet without padding, canonical: unused bits must be zero. */
size_t base64url_encode(const void *p, size_t n, char *out);
ssize_t base64url_decode(const char *p, size_t n, void *out);

#endif
