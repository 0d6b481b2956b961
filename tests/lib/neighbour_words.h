/* neighbour_words.h -- a neighbour's message in words, for vectors: "emit /nsp [rooms] [except] event arguments +bytes",
 * "join /nsp [target] [rooms]", "nothing", "proto", "limit"; and a value: its JSON, " +bytes" for each attachment.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_LIB_NEIGHBOUR_WORDS_H
#define TESTS_LIB_NEIGHBOUR_WORDS_H

#include <sio/json.h>

#include "codec/neighbour.h"

static inline void words_names(struct buf *log, const sio_slice *s, uint32_t n)
{
	buf_str(log, " [");
	for (uint32_t i = 0; i < n; i++) {
		buf_str(log, i ? "," : "");
		buf_slice(log, s[i]);
	}
	buf_byte(log, ']');
}

static inline void words_blobs(struct buf *log, const struct value_blobs *blobs)
{
	for (unsigned i = 0; i < blobs->n; i++)
		buf_printf(log, " +%zu", blobs->list[i].n);
}

typedef int words_read_fn(sio_slice wire, struct value_store *store, struct value **out); /* msgpack_read, pickle_read */

/* What read makes of wire, NUL-terminated; returns its error. */
static inline int words_value(struct buf *log, words_read_fn *read, sio_slice wire)
{
	struct value_store store = { 0 };
	struct value_blobs blobs = { .n = 0 };
	struct value *v;
	int err = read(wire, &store, &v);

	if (err == SIO_OK)
		err = value_json(log, v, &blobs);
	if (err < 0)
		buf_clear(log);
	if (err == SIO_OK)
		assert_int_equal(sio_json_check(buf_peek(log)), SIO_OK);
	buf_str(log, err == SIO_ERR_PROTO ? "proto" : err == SIO_ERR_LIMIT ? "limit" : err ? "memory" : "");
	words_blobs(log, &blobs);
	buf_byte(log, '\0');
	value_fini(&store);
	return err;
}

static inline void words_neighbour(struct buf *log, int err, const struct neighbour *n)
{
	static const char *const kinds[] = { "nothing", "emit ", "join ", "leave ", "disconnect " };

	if (err < 0) {
		buf_str(log, err == SIO_ERR_PROTO ? "proto" : err == SIO_ERR_LIMIT ? "limit" : "memory");
		return;
	}
	buf_str(log, kinds[n->kind]);
	if (n->kind == NEIGHBOUR_NOTHING)
		return;
	buf_slice(log, n->nsp);
	words_names(log, n->rooms, n->rooms_n);
	if (n->kind == NEIGHBOUR_EMIT || n->except_n)
		words_names(log, n->except, n->except_n);
	if (n->kind == NEIGHBOUR_JOIN || n->kind == NEIGHBOUR_LEAVE)
		words_names(log, n->moves, n->moves_n);
	if (n->closes_session)
		buf_str(log, " session");
	if (n->is_volatile)
		buf_str(log, " volatile");
	if (n->kind != NEIGHBOUR_EMIT)
		return;
	buf_byte(log, ' ');
	buf_slice(log, n->name);
	buf_byte(log, ' ');
	buf_slice(log, n->json);
	words_blobs(log, &n->blobs);
}

#endif
