/* fuzz_eio.c -- a payload's packets lie inside it, in order, and binary ones come
 * back from base64 as they were.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "codec/base64.h"
#include "codec/eio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What was decoded, encoded, is what stood there, padding aside. */
static void check_binary(const struct eio_packet *packet, const char *wire, size_t n)
{
	char *text = malloc(BASE64_ENCODED(packet->n) + 1);
	size_t len = base64_encode(packet->data, packet->n, text);

	while (n > 0 && wire[n - 1] == '=')
		n--;
	assert(n <= len && memcmp(text, wire, n) == 0);
	for (; n < len; n++)
		assert(text[n] == '=');
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *copy = malloc(n + 1), *p = copy, *last = copy;
	struct eio_packet packet;
	size_t left = n;
	int err;

	memcpy(copy, data, n);
	while ((err = eio_payload_next(&p, &left, &packet)) == SIO_OK) {
		char *end = p ? p - 1 : copy + n;
		assert(packet.data == last + 1 && packet.data + packet.n <= end);
		assert(!p || p + left == copy + n);
		if (packet.is_binary)
			check_binary(&packet, (const char *)data + (packet.data - copy), (size_t)(end - packet.data));
		last = p;
	}
	assert(err == SIO_ERR_PROTO || (err == SIO_ERR_NOENT && !p));
	free(copy);
	return 0;
}
