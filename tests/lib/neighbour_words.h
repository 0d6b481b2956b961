/* neighbour_words.h -- a neighbour's message in words, for vectors: "emit /nsp [rooms] [except] event arguments +bytes",
 * "join /nsp [target] [rooms]", "nothing", "proto", "limit".
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_LIB_NEIGHBOUR_WORDS_H
#define TESTS_LIB_NEIGHBOUR_WORDS_H

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
