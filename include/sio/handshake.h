/* handshake.h -- who may open a session, and what the answers say beside the protocol.
 *
 * Hooks for the requests to the Engine.IO path, of Socket.IO servers and of plain
 * Engine.IO servers alike (<sio/server.h>, engine_only).  Each sees the HTTP request
 * with the sio_request_* calls of <sio/http.h> (method, URL, path, query, address,
 * headers); a request seen here cannot be answered with sio_reply.  One function a
 * hook: a second call replaces the first, NULL takes it away.
 *
 * A hook may close sessions and the server, but not free the server.  Loop thread only.  Calls
 * that name no error cannot fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef SIO_HANDSHAKE_H
#define SIO_HANDSHAKE_H

#include <stdbool.h>

#include <sio/error.h>
#include <sio/http.h>
#include <sio/slice.h>

SIO_BEGIN

struct sio_server;
struct sio_handshake;
struct sio_headers;

/* ---- who may come in ------------------------------------------------------------ */

enum sio_handshake_kind {
	SIO_HANDSHAKE_POLLING,   /* a new session over long-polling */
	SIO_HANDSHAKE_WEBSOCKET, /* a new session over a WebSocket */
	SIO_HANDSHAKE_UPGRADE,   /* a WebSocket for a session that polls */
};

/* Asked for each request that would open a session, once the protocol has nothing
 * against it but its version (steps 1 to 7 of Engine.IO's verification; a version
 * that is not spoken is refused after it).  Without the hook everybody may.
 *
 * The handler, or anything it starts, answers exactly once with sio_handshake_accept
 * or sio_handshake_refuse, at once or later; the request waits meanwhile.  hs is
 * valid until it is answered, even when the client goes away before or the server is
 * closed (its answer then only frees it; sio_handshake_server is not valid once the
 * server was freed).  After handshake_timeout_ms (<sio/server.h>) the client gets 503
 * and a later answer only frees hs.  Requests that wait count as connections
 * (max_connections). */
typedef void sio_handshake_fn(struct sio_handshake *hs, void *arg);
SIO_API void sio_on_handshake(struct sio_server *server, sio_handshake_fn *fn, void *arg);

/* The same for the WebSocket of a session that polls (SIO_HANDSHAKE_UPGRADE), which
 * the reference asks nobody about.  Refused, the session goes on polling.  fn may be
 * the one of sio_on_handshake. */
SIO_API void sio_on_upgrade_request(struct sio_server *server, sio_handshake_fn *fn, void *arg);

/* All that the request says.  Borrowed from hs. */
SIO_API const struct sio_request *sio_handshake_request(const struct sio_handshake *hs);
SIO_API enum sio_handshake_kind sio_handshake_kind(const struct sio_handshake *hs);
SIO_API struct sio_server *sio_handshake_server(const struct sio_handshake *hs);

/* Is the client still there to be answered? */
SIO_API bool sio_handshake_is_open(const struct sio_handshake *hs);

/* Let it in.  Frees hs (inside of the handler: once that has returned; a second
 * answer there is ignored).  What may still end otherwise: the client has gone, the
 * version is not spoken, the server is full or closing. */
SIO_API void sio_handshake_accept(struct sio_handshake *hs);

/* Refuse: 403 {"code":4,"message":message} for polling, 400 with the bare message and
 * the end of the connection for a WebSocket (Engine.IO, sections 3 and 12).  message is
 * copied; an empty one, or one that is no UTF-8, becomes "Forbidden".  For a WebSocket it
 * goes out as text/html, as the reference has it: what came from the client does not
 * belong in it.  Frees hs as sio_handshake_accept does. */
SIO_API void sio_handshake_refuse(struct sio_handshake *hs, sio_slice message);

/* ---- headers -------------------------------------------------------------------- */

/* Called before an answer goes out, to add headers to it: initial_headers once a
 * session, for the answer to its handshake (the 200 with the open packet, or the 101),
 * then headers for every answer of the Engine.IO path, refusals and 101 included.
 * Both add to what the library sends itself (CORS, Cache-Control ...).  headers and
 * request are borrowed for the call.  Answers to bytes that were no HTTP request
 * belong to no path: they pass by both. */
typedef void sio_headers_fn(struct sio_headers *headers, const struct sio_request *request, void *arg);
SIO_API void sio_on_initial_headers(struct sio_server *server, sio_headers_fn *fn, void *arg);
SIO_API void sio_on_headers(struct sio_server *server, sio_headers_fn *fn, void *arg);

/* Add a header; the same name may be added several times (Set-Cookie).  Both are
 * copied.  Returns 0; SIO_ERR_INVAL when name is no token (RFC 9110 5.6.2), is one that
 * frames the answer (Connection, Content-Length, Content-Type, Date, Keep-Alive,
 * Sec-WebSocket-*, Trailer, Transfer-Encoding, Upgrade), or value holds CR, LF, NUL or
 * another control byte but the tab; SIO_ERR_LIMIT past SIO_HEADERS_MAX bytes of one
 * answer; SIO_ERR_NOMEM.  With an error nothing was added. */
#define SIO_HEADERS_MAX 16384
SIO_API int sio_headers_add(struct sio_headers *headers, sio_slice name, sio_slice value);

/* ---- what went wrong ------------------------------------------------------------- */

struct sio_connection_error {
	int code;                          /* 0 .. 5: the codes of section 3 */
	sio_slice message;                 /* as the client gets it; borrowed for the call */
	const struct sio_request *request; /* borrowed for the call */
};

/* Called for each request to the Engine.IO path that is refused before it belongs to a
 * session, right before its answer: the six errors of the protocol, an origin that is
 * not allowed (code 4), a server that is full or a handshake held too long (code 3,
 * answered 503), a WebSocket handshake that is none (code 3). */
typedef void sio_connection_error_fn(const struct sio_connection_error *error, void *arg);
SIO_API void sio_on_connection_error(struct sio_server *server, sio_connection_error_fn *fn, void *arg);

SIO_END

#endif
