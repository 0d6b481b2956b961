/* fuzz_python.c -- whatever is published on python-socketio's channel, clients get JSON that they understand.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <assert.h>
#include <stdlib.h>

#include <sio/json.h>

#include "codec/packet.h"
#include "codec/python.h"
#include "codec/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_emit(const struct neighbour *n)
{
	sio_slice rest = n->json, item;
	int err;

	assert(utf8_ok(n->name.p, n->name.n) && utf8_ok(n->nsp.p, n->nsp.n));
	assert(n->json.n == 0 || utf8_ok(n->json.p, n->json.n));
	while ((err = sio_json_next(&rest, &item)) == SIO_OK)
		;
	assert(err == SIO_ERR_NOENT || n->json.n == 0);
	assert(n->blobs.n <= SIO_ATTACHMENTS_MAX);
}

/* What was understood can be said, and is understood again. */
static void check_written(const struct neighbour *n)
{
	struct buf out = { 0 };
	struct neighbour again;
	int err = python_write(&out, SIO_LIT("x"), n);

	assert(err == SIO_OK || err == SIO_ERR_LIMIT);
	if (err == SIO_OK) {
		err = python_read(buf_peek(&out), SIO_LIT("own"), &again);
		/* Half a character in a bare text is Python's to judge, and so is a NUL in a text or a key: refused by us. */
		assert((err == SIO_OK && again.kind == NEIGHBOUR_EMIT && again.blobs.n == n->blobs.n) || err == SIO_ERR_LIMIT ||
		       (err == SIO_ERR_PROTO &&
			(sio_json_type(n->json) == SIO_JSON_STRING || memmem(n->json.p, n->json.n, "\\u0000", 6))));
		neighbour_fini(&again);
	}
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct neighbour m;

	if (python_read(sio_bytes(data, n), SIO_LIT("own"), &m) == SIO_OK) {
		if (m.kind == NEIGHBOUR_EMIT) {
			check_emit(&m);
			check_written(&m);
		}
		assert(m.kind == NEIGHBOUR_NOTHING || m.nsp.p);
		assert((m.kind != NEIGHBOUR_JOIN && m.kind != NEIGHBOUR_LEAVE) || (m.moves_n == 1 && m.rooms_n == 1));
		assert(m.kind != NEIGHBOUR_DISCONNECT || (m.rooms_n == 1 && m.rooms[0].n == SIO_ID_LEN));
	}
	neighbour_fini(&m);
	return 0;
}
