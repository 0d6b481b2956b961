/* mention.c -- see mention.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "store/mention.h"

#include <string.h>

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* What an id may have beside letters and digits (access_user_id_ok). */
static bool is_mark(char c)
{
	return c != '\0' && strchr("._-@|+:", c);
}

bool mention_next(sio_slice text, sio_slice *rest, sio_slice *run)
{
	while (rest->n > 0) {
		const char *at = memchr(rest->p, '@', rest->n);
		size_t n = 0;
		bool is_word_before;

		if (!at)
			break;
		is_word_before = at > text.p && (is_alnum(at[-1]) || at[-1] == '_');
		*rest = sio_bytes(at + 1, (size_t)(rest->p + rest->n - at - 1));
		while (n < rest->n && (is_alnum(rest->p[n]) || is_mark(rest->p[n])))
			n++;
		if (is_word_before || n == 0 || !is_alnum(rest->p[0]))
			continue;
		*run = sio_bytes(rest->p, n);
		return true;
	}
	return false;
}

bool mention_shorten(sio_slice *run)
{
	if (run->n < 2 || !is_mark(run->p[run->n - 1]))
		return false;
	run->n--;
	return true;
}
