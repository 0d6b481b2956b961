/* fuzz_cluster.c -- a message between servers has one form: what was read is written as it
 * was, and nothing that could break out of a packet comes through.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <assert.h>
#include <stdlib.h>

#include "codec/cluster.h"
#include "codec/eio.h"
#include "codec/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_sockets(const struct cluster_message *m)
{
	sio_slice *rooms = malloc((m->socket_rooms_n + 1) * sizeof(*rooms)), rest = m->sockets;
	struct cluster_socket s;
	uint32_t sockets_n = 0;

	for (; cluster_next_socket(&rest, &s, rooms); sockets_n++)
		assert(s.id.n == SIO_ID_LEN && s.rooms_n <= m->socket_rooms_n);
	assert(sockets_n == m->sockets_n);
	free(rooms);
}

static void check_text(sio_slice s)
{
	assert(s.n == 0 || (utf8_ok(s.p, s.n) && !memchr(s.p, EIO_SEPARATOR, s.n)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	sio_slice bytes = sio_bytes(data, n), *names = NULL;
	struct cluster_message m;
	struct buf out = { 0 };
	int err = cluster_read(bytes, &m, NULL, 0);

	if (err == SIO_ERR_LIMIT) {
		assert(m.names_n > 0 && m.names_n <= CLUSTER_NAMES_MAX);
		names = malloc(m.names_n * sizeof(*names));
		err = cluster_read(bytes, &m, names, m.names_n);
		assert(err == SIO_OK);
	}
	if (err == SIO_OK) {
		assert(m.rooms_n + m.except_n + m.attachments_n == m.names_n);
		check_sockets(&m);
		check_text(m.name);
		check_text(m.json);
		err = cluster_write(&out, &m);
		/* One name is kept free for the sender's own id. */
		assert(err == SIO_OK || m.names_n == CLUSTER_NAMES_MAX);
		assert(err < 0 || sio_slice_eq(buf_peek(&out), bytes));
	}
	buf_fini(&out);
	free(names);
	return 0;
}
