/* packet.h -- Socket.IO v5 packets: text in, parts out; parts in, text out.
 *
 * The decoder checks what the protocol demands of each type (shape, reserved
 * names, placeholders) and hands out slices of the input; it holds no state: a
 * packet with attachments says how many, and its placeholders are checked before
 * the first of them arrives.  The encoder computes its size first, so that
 * the caller can let it write into a block of that size.  Pure.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef CODEC_PACKET_H
#define CODEC_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/error.h>
#include <sio/slice.h>

enum packet_type {
	PACKET_CONNECT,
	PACKET_DISCONNECT,
	PACKET_EVENT,
	PACKET_ACK,
	PACKET_CONNECT_ERROR,
	PACKET_BINARY_EVENT,
	PACKET_BINARY_ACK,
};

#define PACKET_NO_ID UINT64_MAX
#define PACKET_ID_MAX ((UINT64_C(1) << 53) - 1)
#define PACKET_NSP_MAX 255   /* bytes of a namespace's name */

struct packet {
	enum packet_type type;
	unsigned attachments_n;
	sio_slice nsp;       /* "/" when none was written */
	uint64_t id;         /* PACKET_NO_ID: none */
	sio_slice name;      /* events: JSON text of the first element (a string with its quotes, or a number) */
	sio_slice data;      /* events and acks: JSON of the (other) arguments without brackets;
	                      * CONNECT, CONNECT_ERROR: the JSON value; empty when absent */
};

/* Decode text (UTF-8, behind the Engine.IO digit) as sent by a client.  Returns 0
 * or SIO_ERR_PROTO: unknown type; attachments not 1..attachments_max; namespace too
 * long; id above PACKET_ID_MAX; payload that is not JSON, nests deeper than
 * SIO_JSON_DEPTH or does not fit its type; EVENT without name, with a reserved
 * name or with a name that is neither string nor number; CONNECT_ERROR (a server's
 * packet); an id on CONNECT or DISCONNECT; in a binary packet, a "_placeholder"
 * other than true, or placeholders that are not each of 0..attachments_n-1 at most
 * once.  An attachment without a placeholder and an ACK without an id pass.
 * attachments_max above 64 counts as 64. */
SIO_MUST_CHECK int packet_read(sio_slice text, unsigned attachments_max, struct packet *out);

/* Is every "_placeholder" in payload, a JSON array or object that has been checked, true, and are their
 * numbers each of 0..attachments_n-1 at most once?  attachments_n is at most 64. */
bool packet_places_ok(sio_slice payload, unsigned attachments_n);

/* Is name (decoded) one of the six reserved event names? */
bool packet_is_reserved(sio_slice name);

/* Bytes that packet_write needs; at least what it writes. */
size_t packet_size(const struct packet *p);

/* Write p as text, without the Engine.IO digit.  Events: name is the JSON text of
 * the name.  Returns the bytes written. */
size_t packet_write(const struct packet *p, char *out);

#endif
