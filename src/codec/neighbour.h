/* neighbour.h -- what a process of another kind on the same Redis wants of our clients, and what we tell theirs.
 *
 * python.h and node.h read their dialects into this one form.  The form says what is wanted, not
 * whether it is granted: nobody has signed any of it.  They also write an event in that form (EMIT) in
 * their dialects.  Pure.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef CODEC_NEIGHBOUR_H
#define CODEC_NEIGHBOUR_H

#include "codec/value.h"

enum neighbour_kind {
	NEIGHBOUR_NOTHING,           /* our own, or nothing that concerns our clients */
	NEIGHBOUR_EMIT,
	NEIGHBOUR_JOIN,              /* the rest is remote control */
	NEIGHBOUR_LEAVE,
	NEIGHBOUR_DISCONNECT,
};

enum { NEIGHBOUR_NAMES_MAX = 65536 }; /* rooms, or exceptions, of one message */

struct neighbour {
	enum neighbour_kind kind;
	sio_slice nsp;
	const sio_slice *rooms;      /* the target: any of these rooms, none: everybody; ids of sockets are rooms */
	const sio_slice *except;
	const sio_slice *moves;      /* rooms to join or leave */
	uint32_t rooms_n, except_n, moves_n;
	bool closes_session;
	bool is_volatile;
	bool no_compress;            /* to write; never read */
	sio_slice skip;              /* to write: one more to except, or empty; never read */
	sio_slice name;              /* of an event, not quoted */
	sio_slice json;              /* its arguments without brackets, with placeholders for attachments */
	struct value_blobs blobs;

	struct value_store store;    /* where all this lies, beside the message itself */
	struct buf text;
};

void neighbour_fini(struct neighbour *n);

/* ---- for those who read a dialect ------------------------------------------------------- */

/* Text of UTF-8 that is JSON, as a value, in n->store.  Returns as value_of_json; SIO_ERR_PROTO
 * also when it is neither.  The bare words NaN, Infinity and -Infinity, which Python writes, are null. */
SIO_MUST_CHECK int neighbour_json(struct neighbour *n, sio_slice text, struct value **out);

/* The member's text, or absent (also for null): 0; SIO_ERR_PROTO when it is something else. */
SIO_MUST_CHECK int neighbour_text(struct neighbour *n, const struct value *map, const char *key, sio_slice *out);

/* A member that names rooms: absent or null, one text, or a list of texts.  *is_list: it was one. */
SIO_MUST_CHECK int neighbour_names(struct neighbour *n, const struct value *map, const char *key,
				   const sio_slice **names, uint32_t *names_n, bool *is_list);

/* n->json and n->blobs are there: will clients understand them?  SIO_ERR_PROTO when the placeholders
 * do not fit the attachments, else as sio_json_check. */
SIO_MUST_CHECK int neighbour_check(const struct neighbour *n);

/* How many arguments n->json has, each of which is JSON then.  SIO_ERR_PROTO (also when placeholders do not fit the
 * attachments), SIO_ERR_LIMIT or SIO_ERR_NOMEM. */
SIO_MUST_CHECK long neighbour_args_n(const struct neighbour *n);

#endif
