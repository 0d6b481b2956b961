/* base64.c -- see base64.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "codec/base64.h"

#include <stdbool.h>
#include <stdint.h>

#include <sio/error.h>

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
static const char standard[] = ALNUM "+/";
static const char url[] = ALNUM "-_";

/* A letter's value with IN set, so that a letter outside the alphabet is 0. */
enum { IN = 0x40 };
#define FOUR(c, v) [c] = IN | (v), [(c) + 1] = IN | ((v) + 1), [(c) + 2] = IN | ((v) + 2), [(c) + 3] = IN | ((v) + 3)
#define TWO(c, v) [c] = IN | (v), [(c) + 1] = IN | ((v) + 1)
#define LETTERS                                                                                      \
	FOUR('A', 0), FOUR('E', 4), FOUR('I', 8), FOUR('M', 12), FOUR('Q', 16), FOUR('U', 20),       \
	TWO('Y', 24), FOUR('a', 26), FOUR('e', 30), FOUR('i', 34), FOUR('m', 38), FOUR('q', 42),     \
	FOUR('u', 46), TWO('y', 50), FOUR('0', 52), FOUR('4', 56), TWO('8', 60)
static const unsigned char standard_value[256] = { LETTERS, ['+'] = IN | 62, ['/'] = IN | 63 };
static const unsigned char url_value[256] = { LETTERS, ['-'] = IN | 62, ['_'] = IN | 63 };

/* Letters without padding. */
static size_t encode(const char *alphabet, const unsigned char *p, size_t n, char *out)
{
	char *at = out;
	unsigned v;

	for (; n >= 3; p += 3, n -= 3) {
		v = (unsigned)p[0] << 16 | (unsigned)p[1] << 8 | p[2];
		*at++ = alphabet[v >> 18];
		*at++ = alphabet[v >> 12 & 63];
		*at++ = alphabet[v >> 6 & 63];
		*at++ = alphabet[v & 63];
	}
	if (n > 0) {
		v = (unsigned)p[0] << 16 | (n == 2 ? (unsigned)p[1] << 8 : 0);
		*at++ = alphabet[v >> 18];
		*at++ = alphabet[v >> 12 & 63];
		if (n == 2)
			*at++ = alphabet[v >> 6 & 63];
	}
	return (size_t)(at - out);
}

/* The last two or three letters, whose unused bits must be zero. */
static ssize_t decode_tail(const unsigned char *value, const unsigned char *p, size_t n, unsigned char *out)
{
	unsigned a, b, c;

	if (n == 0)
		return 0;
	if (n == 1)
		return SIO_ERR_PROTO;
	a = value[p[0]];
	b = value[p[1]];
	c = n == 3 ? value[p[2]] : IN;
	if (!(a & b & c & IN) || (n == 2 ? b & 15 : c & 3))
		return SIO_ERR_PROTO;
	out[0] = (unsigned char)(a << 2 | (b & 63) >> 4);
	if (n == 3)
		out[1] = (unsigned char)(b << 4 | (c & 63) >> 2);
	return (ssize_t)n - 1;
}

/* Letters without padding.  Four are read before three are written, so that out
 * may be the input. */
static ssize_t decode(const unsigned char *value, const unsigned char *p, size_t n, unsigned char *out)
{
	unsigned char *at = out;
	ssize_t tail;

	for (; n >= 4; p += 4, n -= 4) {
		unsigned a = value[p[0]], b = value[p[1]], c = value[p[2]], d = value[p[3]];
		if (!(a & b & c & d & IN))
			return SIO_ERR_PROTO;
		*at++ = (unsigned char)(a << 2 | (b & 63) >> 4);
		*at++ = (unsigned char)(b << 4 | (c & 63) >> 2);
		*at++ = (unsigned char)(c << 6 | (d & 63));
	}
	tail = decode_tail(value, p, n, at);
	return tail < 0 ? tail : at - out + tail;
}

size_t base64_encode(const void *p, size_t n, char *out)
{
	size_t at = encode(standard, p, n, out);

	while (at % 4 != 0)
		out[at++] = '=';
	return at;
}

ssize_t base64_decode(const char *p, size_t n, void *out)
{
	/* Padding fills up to four letters or is not there at all. */
	if (n > 0 && n % 4 == 0 && p[n - 1] == '=')
		n -= p[n - 2] == '=' ? 2 : 1;
	return decode(standard_value, (const unsigned char *)p, n, out);
}

size_t base64url_encode(const void *p, size_t n, char *out)
{
	return encode(url, p, n, out);
}

ssize_t base64url_decode(const char *p, size_t n, void *out)
{
	return decode(url_value, (const unsigned char *)p, n, out);
}
