/* eio.h -- Engine.IO v4 packets (protocol revision 4) inside polling payloads.
 *
 * A payload is packets joined by 0x1e; a text packet is a type digit and text, a
 * binary one "b" and base64.  A WebSocket message is one packet.  Pure.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef CODEC_EIO_H
#define CODEC_EIO_H

#include <stdbool.h>
#include <stddef.h>

#include <sio/error.h>
#include <sio/slice.h>

enum eio_type { EIO_OPEN, EIO_CLOSE, EIO_PING, EIO_PONG, EIO_MESSAGE, EIO_UPGRADE, EIO_NOOP };

struct eio_packet {
	enum eio_type type;
	bool is_binary;      /* always EIO_MESSAGE then */
	char *data;          /* behind the digit; decoded when binary; may be changed */
	size_t n;
};

#define EIO_SEPARATOR '\x1e'

/* One packet of text p[0..n) (a WebSocket text message, or a piece of a payload).
 * A binary packet is decoded in place.  Returns 0, or SIO_ERR_PROTO (empty,
 * unknown type, bad base64). */
int eio_packet_read(char *p, size_t n, struct eio_packet *out);

/* Walk a payload: *p and *n move behind the packet returned.  *p is NULL behind
 * the last one, so it must not start as NULL (an empty payload is one empty packet,
 * thus SIO_ERR_PROTO).  The caller has checked that the payload is UTF-8.  Returns 0,
 * SIO_ERR_NOENT at the end, SIO_ERR_PROTO. */
int eio_payload_next(char **p, size_t *n, struct eio_packet *out);

#endif
