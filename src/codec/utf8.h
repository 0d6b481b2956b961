/* utf8.h -- is this UTF-8?  (RFC 3629: no overlong forms, no surrogates, at most
 * U+10FFFF.)  Pure; eight ASCII bytes at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef CODEC_UTF8_H
#define CODEC_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool utf8_ok(const void *p, size_t n);

/* The same in pieces.  state starts as 0 and is carried along; returns false as
 * soon as the text cannot become valid.  At the end of the text state must be 0. */
bool utf8_feed(uint32_t *state, const void *p, size_t n);

#endif
