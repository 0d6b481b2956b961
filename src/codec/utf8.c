/* utf8.c -- see utf8.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "codec/utf8.h"

#include <string.h>

/* The state is what the next byte must be: how many continuation bytes are due
 * (bits 0..7) and the bounds of the first of them (low 8..15, high 16..23).  Only
 * that first bound differs: it keeps out overlong forms, surrogates and what is
 * above U+10FFFF. */
#define STATE(due, low, high) ((uint32_t)(due) | (uint32_t)(low) << 8 | (uint32_t)(high) << 16)

/* What a lead byte (>= 0x80) asks for; 0 when none may start a character. */
static uint32_t lead(unsigned char c)
{
	if (c < 0xc2)
		return 0;
	if (c < 0xe0)
		return STATE(1, 0x80, 0xbf);
	if (c < 0xf0)
		return STATE(2, c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf);
	if (c < 0xf5)
		return STATE(3, c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf);
	return 0;
}

static const unsigned char *skip_ascii(const unsigned char *p, const unsigned char *end)
{
	uint64_t word;

	for (; end - p >= 8; p += 8) {
		memcpy(&word, p, 8);
		if (word & UINT64_C(0x8080808080808080))
			break;
	}
	while (p < end && *p < 0x80)
		p++;
	return p;
}

bool utf8_feed(uint32_t *state, const void *text, size_t n)
{
	const unsigned char *p = text, *end = p + n;
	uint32_t due = *state;

	if (n == 0)
		return true;
	for (;;) {
		if (due == 0) {
			p = skip_ascii(p, end);
			if (p == end)
				break;
			due = lead(*p++);
			if (due == 0)
				return false;
		}
		if (p == end)
			break;
		if (*p < (due >> 8 & 0xff) || *p > due >> 16)
			return false;
		p++;
		due = (due & 0xff) == 1 ? 0 : STATE((due & 0xff) - 1, 0x80, 0xbf);
	}
	*state = due;
	return true;
}

bool utf8_ok(const void *p, size_t n)
{
	uint32_t state = 0;

	return utf8_feed(&state, p, n) && state == 0;
}
