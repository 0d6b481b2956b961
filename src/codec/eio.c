/* eio.c -- see eio.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "codec/eio.h"

#include <string.h>

#include "codec/base64.h"

int eio_packet_read(char *p, size_t n, struct eio_packet *out)
{
	ssize_t decoded;

	if (n == 0)
		return SIO_ERR_PROTO;
	if (p[0] == 'b') {
		decoded = base64_decode(p + 1, n - 1, p + 1);
		if (decoded < 0)
			return SIO_ERR_PROTO;
		*out = (struct eio_packet){ .type = EIO_MESSAGE, .is_binary = true, .data = p + 1, .n = (size_t)decoded };
		return SIO_OK;
	}
	if (p[0] < '0' || p[0] > '0' + (int)EIO_NOOP)
		return SIO_ERR_PROTO;
	*out = (struct eio_packet){ .type = (enum eio_type)(p[0] - '0'), .data = p + 1, .n = n - 1 };
	return SIO_OK;
}

int eio_payload_next(char **p, size_t *n, struct eio_packet *out)
{
	char *at = *p, *separator;
	size_t len = *n;

	if (!at)
		return SIO_ERR_NOENT;
	separator = len ? memchr(at, EIO_SEPARATOR, len) : NULL;
	if (separator) {
		*p = separator + 1;
		*n = len - (size_t)(separator + 1 - at);
		len = (size_t)(separator - at);
	} else {
		*p = NULL;
		*n = 0;
	}
	return eio_packet_read(at, len, out);
}
