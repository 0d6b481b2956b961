/* text.h -- small questions about ASCII text: case, blanks, hexadecimal digits.
 *
 * Letters are those of ASCII, whatever the locale; blanks are HTTP's, the space and the
 * tab.  Knows nothing of what a text means.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <strings.h>

#include <sio/slice.h>

/* Is s this word, in any case? */
static inline bool text_is(sio_slice s, const char *word)
{
	return s.n == strlen(word) && strncasecmp(s.n ? s.p : "", word, s.n) == 0;
}

/* Does s begin with head, in any case? */
static inline bool text_begins(sio_slice s, const char *head)
{
	size_t n = strlen(head);

	return s.n >= n && strncasecmp(s.n ? s.p : "", head, n) == 0;
}

/* Does s end with tail, in any case, and is there something before it? */
static inline bool text_ends(sio_slice s, const char *tail)
{
	size_t n = strlen(tail);

	return s.n > n && strncasecmp(s.p + s.n - n, tail, n) == 0;
}

static inline bool text_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* s without the blanks around it. */
static inline sio_slice text_trim(sio_slice s)
{
	while (s.n > 0 && text_is_blank(s.p[0]))
		s = sio_bytes(s.p + 1, s.n - 1);
	while (s.n > 0 && text_is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* What a hexadecimal digit stands for; -1: it is none. */
static inline int text_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
