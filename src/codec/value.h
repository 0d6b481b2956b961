/* value.h -- plain data of other languages: a tree that pickle and msgpack are read into, and
 * that goes out as JSON text with attachments.
 *
 *	pickle.c  ---+                   +--> value_json: the text that events carry
 *	msgpack.c ---+--> struct value --+
 *	JSON text ---+                   +--> value_get, value_open: python.c and node.c ask for fields
 *
 * A value may stand in several places, even inside itself (a pickle can say so); value_json
 * bounds depth and size, and nothing else walks down.  Values and cells lie in a store and
 * go with it; text and bytes point into what was read, or into the store.  Pure.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef CODEC_VALUE_H
#define CODEC_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/socket.h>

#include "base/buf.h"

enum {
	VALUE_BYTES_MAX = 16777216,  /* of a message that is read, and of the JSON and attachments it becomes */
	VALUE_COUNT_MAX = 262144,    /* values and places in containers of one message */
	VALUE_DEPTH_MAX = 128,       /* containers inside each other, in what becomes JSON */
};

enum value_type {
	VALUE_NULL,
	VALUE_BOOL,
	VALUE_INT,
	VALUE_UINT,                  /* what INT cannot hold */
	VALUE_FLOAT,
	VALUE_TEXT,                  /* UTF-8, checked */
	VALUE_BLOB,                  /* bytes */
	VALUE_LIST,
	VALUE_TUPLE,                 /* pickle's; a list of fixed length */
	VALUE_MAP,                   /* its cells: key, value, key, value ... */
	VALUE_RAW,                   /* checked JSON text that nobody has looked into */
};

struct value_cell {
	struct value *value;
	struct value_cell *next;
};

struct value {
	enum value_type type;
	uint32_t n;                  /* cells */
	union {
		bool is_true;
		int64_t i;
		uint64_t u;
		double f;
		sio_slice text;      /* TEXT, BLOB, RAW */
		struct {
			struct value_cell *first, *last;
		} cells;
	};
};

struct value_chunk;
struct value_store {
	struct value_chunk *chunks;
	uint32_t count;
};

void value_fini(struct value_store *store); /* frees all; all zero afterwards */

/* n bytes of the store, aligned; NULL when memory ran out. */
void *value_alloc(struct value_store *store, size_t n);
/* A value; NULL past VALUE_COUNT_MAX or when memory ran out (value_fault tells which). */
struct value *value_new(struct value_store *store, enum value_type type);
/* Put item at the end of container's cells.  false: as value_new. */
SIO_MUST_CHECK bool value_add(struct value_store *store, struct value *container, struct value *item);
/* Why value_new or value_add failed: SIO_ERR_LIMIT or SIO_ERR_NOMEM. */
int value_fault(const struct value_store *store);

/* Checked JSON text as a value: strings are decoded, arrays and objects have raw values inside.
 * Returns 0, SIO_ERR_PROTO (a string with \u0000 or half a character), SIO_ERR_LIMIT or
 * SIO_ERR_NOMEM.  value_open does that to a raw value, and nothing to another. */
SIO_MUST_CHECK int value_of_json(struct value_store *store, sio_slice text, struct value **out);
SIO_MUST_CHECK int value_open(struct value_store *store, struct value **value);

/* The member of that name in a map, the last one if there are several; NULL: none, or no map. */
struct value *value_get(const struct value *map, const char *key);
static inline bool value_is_list(const struct value *v)
{
	return v && (v->type == VALUE_LIST || v->type == VALUE_TUPLE);
}

/* Attachments, in the order of their numbers. */
struct value_blobs {
	sio_slice list[SIO_ATTACHMENTS_MAX];
	unsigned n;
	size_t bytes;
};

/* Append v as JSON; bytes become placeholders and go to blobs.  Floats that JSON lacks become null;
 * integers as names of members become text.  Returns 0; SIO_ERR_PROTO (another name of a member
 * that is no text); SIO_ERR_LIMIT (VALUE_DEPTH_MAX, VALUE_BYTES_MAX, SIO_ATTACHMENTS_MAX) or
 * SIO_ERR_NOMEM. */
SIO_MUST_CHECK int value_json(struct buf *out, const struct value *v, struct value_blobs *blobs);
/* The same with the elements of a list, without brackets. */
SIO_MUST_CHECK int value_json_list(struct buf *out, const struct value *list, struct value_blobs *blobs);

#endif
