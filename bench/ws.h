/* ws.h -- what both ends of the benchmark need of WebSocket, and nothing more.
 *
 * Complete single frames only; no fragments, and of extensions that a frame is compressed.  The bench programs
 * share this file and nothing of libsio: a yardstick may not be cut from the
 * cloth that it measures.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef BENCH_WS_H
#define BENCH_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { WS_TEXT = 1, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10, WS_HEAD_MAX = 14 };

struct ws_frame {
	unsigned op;
	bool deflated; /* RSV1 */
	char *payload; /* in the caller's buffer, unmasked in place */
	size_t n;
};

/* XOR n bytes with the mask, eight at a time. */
static inline void ws_mask(char *p, size_t n, uint32_t mask)
{
	uint64_t wide = (uint64_t)mask << 32 | mask, word;
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		memcpy(&word, p + i, 8);
		word ^= wide;
		memcpy(p + i, &word, 8);
	}
	for (; i < n; i++)
		p[i] = (char)((unsigned char)p[i] ^ (unsigned char)(mask >> 8 * (i & 3)));
}

/* Take one frame from p[0..n).  Returns the bytes it occupies, 0 when it is not
 * complete yet. */
static inline size_t ws_take(char *p, size_t n, struct ws_frame *out)
{
	const unsigned char *u = (unsigned char *)p;
	size_t head = 2, len;
	uint32_t mask = 0;
	bool masked;

	if (n < 2)
		return 0;
	masked = u[1] & 0x80;
	len = u[1] & 0x7f;
	if (len == 126) {
		if (n < 4)
			return 0;
		len = (size_t)u[2] << 8 | u[3];
		head = 4;
	} else if (len == 127) {
		if (n < 10)
			return 0;
		len = 0;
		for (int i = 2; i < 10; i++)
			len = len << 8 | u[i];
		head = 10;
	}
	if (masked)
		head += 4;
	if (n < head || n - head < len)
		return 0;
	*out = (struct ws_frame){ .op = u[0] & 15, .deflated = u[0] & 0x40, .payload = p + head, .n = len };
	if (masked) {
		memcpy(&mask, p + head - 4, 4);
		ws_mask(p + head, len, mask);
	}
	return head + len;
}

/* Write the head of an unmasked frame of n bytes to out.  Returns its length. */
static inline size_t ws_head(char *out, unsigned op, size_t n)
{
	out[0] = (char)(0x80 | op);
	if (n < 126) {
		out[1] = (char)n;
		return 2;
	}
	out[1] = 126;
	out[2] = (char)(n >> 8);
	out[3] = (char)n;
	return 4; /* the benchmark sends nothing above 64 KiB */
}

#endif
