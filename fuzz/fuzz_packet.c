/* fuzz_packet.c -- what was read and written again reads the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <assert.h>
#include <stdlib.h>

#include <sio/json.h>

#include "codec/packet.h"
#include "codec/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool same(const struct packet *a, const struct packet *b)
{
	return a->type == b->type && a->attachments_n == b->attachments_n && a->id == b->id &&
	       sio_slice_eq(a->nsp, b->nsp) && sio_slice_eq(a->name, b->name) && sio_slice_eq(a->data, b->data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	enum { ATTACHMENTS_MAX = 10 };
	struct packet p, again;
	char *wire;
	size_t len;

	if (!utf8_ok(data, n) || packet_read(sio_bytes(data, n), ATTACHMENTS_MAX, &p) < 0)
		return 0;
	assert(p.attachments_n <= ATTACHMENTS_MAX && p.nsp.n > 0 && p.nsp.n <= PACKET_NSP_MAX && p.nsp.p[0] == '/');
	assert(p.id == PACKET_NO_ID || p.id <= PACKET_ID_MAX);
	assert(p.name.n == 0 || sio_json_check(p.name) == SIO_OK);
	wire = malloc(packet_size(&p));
	len = packet_write(&p, wire);
	assert(len <= packet_size(&p));
	assert(packet_read(sio_bytes(wire, len), ATTACHMENTS_MAX, &again) == SIO_OK);
	assert(same(&p, &again));
	free(wire);
	return 0;
}
