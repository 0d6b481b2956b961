/* fuzz_node.c -- whatever is published on the channels of Node's adapters, clients get JSON that they understand.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <assert.h>
#include <stdlib.h>

#include <sio/json.h>

#include "codec/packet.h"
#include "codec/node.h"
#include "codec/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_emit(const struct neighbour *n)
{
	sio_slice rest = n->json, item;
	int err;

	assert(utf8_ok(n->name.p, n->name.n));
	assert(n->json.n == 0 || utf8_ok(n->json.p, n->json.n));
	while ((err = sio_json_next(&rest, &item)) == SIO_OK)
		;
	assert(err == SIO_ERR_NOENT || n->json.n == 0);
	assert(n->blobs.n <= SIO_ATTACHMENTS_MAX);
}

/* What was understood can be said, and is understood again. */
static void check_written(const struct neighbour *n)
{
	struct buf channel = { 0 }, out = { 0 };
	struct neighbour again;
	int err = node_write(&channel, &out, SIO_LIT(NODE_KEY), SIO_LIT("x"), n);

	assert(err == SIO_OK || err == SIO_ERR_LIMIT);
	if (err == SIO_OK) {
		err = node_read(SIO_LIT(NODE_KEY), buf_peek(&channel), buf_peek(&out), SIO_LIT("own"), &again);
		assert((err == SIO_OK && again.kind == NEIGHBOUR_EMIT && again.blobs.n == n->blobs.n && again.rooms_n == n->rooms_n) || err == SIO_ERR_LIMIT);
		neighbour_fini(&again);
	}
	buf_fini(&channel);
	buf_fini(&out);
}

/* The input is a channel, a line feed and a message. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const uint8_t *line = n ? memchr(data, '\n', n) : NULL;
	size_t head = line ? (size_t)(line - data) : 0;
	struct neighbour m;

	if (!line)
		return 0;
	if (node_read(SIO_LIT(NODE_KEY), sio_bytes(data, head), sio_bytes(line + 1, n - head - 1), SIO_LIT("own"), &m) == SIO_OK) {
		if (m.kind == NEIGHBOUR_EMIT) {
			check_emit(&m);
			check_written(&m);
		}
		assert(m.kind == NEIGHBOUR_NOTHING || m.nsp.p);
	}
	neighbour_fini(&m);
	return 0;
}
