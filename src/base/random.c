/* random.c -- see random.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "base/random.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void random_bytes(void *p, size_t n)
{
	unsigned char *at = p;

	while (n > 0) {
		ssize_t got = getrandom(at, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			perror("getrandom");
			abort();
		}
		at += got;
		n -= (size_t)got;
	}
}

void random_id(char out[RANDOM_ID_LEN + 1])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	static _Thread_local unsigned char pool[15 * 64];
	static _Thread_local size_t left;
	unsigned char *raw;

	if (left == 0) {
		random_bytes(pool, sizeof(pool));
		left = sizeof(pool);
	}
	raw = pool + sizeof(pool) - left;
	for (int i = 0; i < 5; i++) {
		unsigned v = (unsigned)raw[3 * i] << 16 | (unsigned)raw[3 * i + 1] << 8 | raw[3 * i + 2];
		out[4 * i] = alphabet[v >> 18];
		out[4 * i + 1] = alphabet[v >> 12 & 63];
		out[4 * i + 2] = alphabet[v >> 6 & 63];
		out[4 * i + 3] = alphabet[v & 63];
	}
	out[RANDOM_ID_LEN] = '\0';
	/* An id handed out must not be found in memory a second time. */
	memset(raw, 0, 15);
	left -= 15;
}

bool random_id_ok(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)p[i]) && p[i] != '-' && p[i] != '_')
			return false;
	return n == RANDOM_ID_LEN;
}
