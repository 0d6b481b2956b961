/* trace.h -- see the packets of a server as they pass, while it runs.
 *
 * For tools that show what a client says and hears.  While nothing is traced each packet
 * costs one look at a flag.
 *
 * Thread: the server's.  Slices are valid for the call.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef SIO_TRACE_H
#define SIO_TRACE_H

#include <stdint.h>

#include <sio/error.h>
#include <sio/server.h>
#include <sio/slice.h>
#include <sio/socket.h>

SIO_BEGIN

#define SIO_TRACE_NO_ID UINT64_MAX

struct sio_trace_packet {
	/* Whose: the socket in the packet's namespace, or, when it has none there, another of the same client. */
	struct sio_socket *socket;
	bool is_out;             /* queued to the client; else it came from there */
	bool is_websocket;       /* the transport of the client now */
	/* "connect", "disconnect", "event", "ack", "connect_error", "binary_event", "binary_ack"; "attachment" for bytes
	 * that came behind one of the two; "malformed" for what is no packet, with all of its text in data. */
	const char *type;
	sio_slice nsp;           /* "/" when none was written */
	sio_slice name;          /* of an event, as JSON text */
	sio_slice data;          /* arguments without brackets, or the value of another packet; may be empty */
	uint64_t id;             /* of an acknowledgement; SIO_TRACE_NO_ID: none */
	size_t bytes;            /* of the text, of an attachment, or of both for what goes out */
	unsigned attachments_n;
};

/* Called for each packet of a client that has a socket.  It may look at the socket, and nothing else
 * of the server: a packet sent from here would be traced again. */
typedef void sio_trace_fn(const struct sio_trace_packet *packet, void *arg);

/* From now on fn is called; NULL ends it.  What comes in is seen before its handlers run, what goes out when
 * it is queued; a volatile event that gives way to others of a slow client is not seen.  Returns 0, or
 * SIO_ERR_INVAL for a server of plain Engine.IO. */
SIO_API int sio_server_trace(struct sio_server *server, sio_trace_fn *fn, void *arg);

SIO_END

#endif
