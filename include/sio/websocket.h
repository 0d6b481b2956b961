/* websocket.h -- the application's own WebSocket endpoints, on the server's port.
 *
 * Plain WebSockets (RFC 6455) without Engine.IO or Socket.IO on top: messages in,
 * messages out.  Framing, masking, UTF-8, pings, fragments, the close handshake and
 * permessage-deflate (RFC 7692) are the library's.  Origins are checked as everywhere
 * else; an upgrade to a path that no endpoint fits is refused as any request.
 *
 * A connection lives from may_open until on_close has returned, whoever ends it; in
 * every handler it may be closed.  Messages are queued and written at the end of the
 * loop turn.  Loop thread only.  Calls that name no error cannot fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef SIO_WEBSOCKET_H
#define SIO_WEBSOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/error.h>
#include <sio/slice.h>

SIO_BEGIN

struct sio_server;
struct sio_ws;

/* Codes of on_close that no peer sends (RFC 6455 7.1.5). */
enum {
	SIO_WS_NO_CODE = 1005,   /* its close frame was empty */
	SIO_WS_ABNORMAL = 1006,  /* the connection went without one, or a ping was not answered */
};

/* Handlers that are NULL are not called.  Zero means the default behind each number. */
struct sio_ws_endpoint {
	/* Before the 101: false answers 403 (NULL: everyone may).  Nothing can be sent
	 * yet; a connection that is refused gets no on_close. */
	bool (*may_open)(struct sio_ws *ws, void *arg);
	void (*on_open)(struct sio_ws *ws, void *arg);
	/* A whole message, UTF-8 when it is text.  data is borrowed for the call. */
	void (*on_message)(struct sio_ws *ws, sio_slice data, bool is_binary, void *arg);
	/* After a send was refused with SIO_ERR_LIMIT: half of the queue has gone. */
	void (*on_drain)(struct sio_ws *ws, void *arg);
	/* The end, once.  code and reason are those of the peer's close frame; the code of
	 * its fault when it broke the rules (1002, 1007, 1008, 1009); 1001 when the server
	 * closes; or one of the two above.  reason is borrowed for the call. */
	void (*on_close)(struct sio_ws *ws, int code, sio_slice reason, void *arg);

	/* Subprotocols that are spoken here, NULL-terminated, the caller's for as long as the
	 * server lives; the first one that the client names and that is among them is agreed
	 * on.  NULL: none. */
	const char *const *protocols;
	size_t max_message_bytes;    /* the server's max_payload_bytes; past it close 1009 */
	uint32_t max_fragments_n;    /* 65536 fragments of one message; past it close 1008 */
	/* What may wait for the peer (the server's send_queue_bytes).  While more than half of
	 * it waits nothing more is read from the peer; once all of it does sends are refused. */
	size_t send_queue_bytes;
	uint32_t ping_interval_ms;   /* the server's; a peer that was silent so long is pinged */
	uint32_t ping_timeout_ms;    /* the server's; silent so much longer, it is cut (1006) */
	bool per_message_deflate;    /* compress for clients that offer it, from the server's
	                              * deflate_threshold_bytes on */
};

/* Serve WebSockets on pattern, which reads as that of sio_http_route ("/live/:room"; a
 * lone "*" as first segment takes every path but the Engine.IO one).  The path may have
 * HTTP routes as well; a request to it that is neither is answered 426.  endpoint is
 * copied.  Returns 0, SIO_ERR_EXISTS, SIO_ERR_INVAL (pattern; a limit over 268435456),
 * SIO_ERR_NOMEM. */
SIO_API SIO_MUST_CHECK int sio_ws_route(struct sio_server *server, const char *pattern,
					const struct sio_ws_endpoint *endpoint, void *arg);

/* Queue one message; data is copied.  Returns 0; SIO_ERR_CLOSED once the close
 * handshake has begun, from either side; SIO_ERR_LIMIT when send_queue_bytes or more wait already
 * (nothing is queued; on_drain follows); SIO_ERR_UTF8 (text that is not);
 * SIO_ERR_INVAL (over 268435456 bytes); SIO_ERR_NOMEM. */
SIO_API int sio_ws_send(struct sio_ws *ws, sio_slice data, bool is_binary);

/* Close behind what is queued.  code: 1000, another one that an endpoint may send (RFC
 * 6455 7.4), or 0 for an empty close frame; reason: up to 123 bytes of UTF-8, empty with
 * code 0.  Messages that still come in are dropped.  on_close follows when the peer has
 * answered, with its code, or after two seconds without progress with SIO_WS_ABNORMAL.
 * Returns 0, SIO_ERR_CLOSED (it is closing already), SIO_ERR_INVAL, SIO_ERR_NOMEM. */
SIO_API int sio_ws_close(struct sio_ws *ws, int code, sio_slice reason);

/* Bytes that wait to be written, frame heads included and compressed. */
SIO_API size_t sio_ws_queued_bytes(const struct sio_ws *ws);

/* The application's pointer; on_close frees what it points to. */
SIO_API void sio_ws_set_data(struct sio_ws *ws, void *data);
SIO_API void *sio_ws_data(const struct sio_ws *ws);

/* The server it belongs to; never NULL. */
SIO_API struct sio_server *sio_ws_server(const struct sio_ws *ws);

/* Of the handshake's request; valid as long as the connection.  Path and query are as
 * sent, percent-encoded; the protocol is empty when none was agreed on. */
SIO_API sio_slice sio_ws_path(const struct sio_ws *ws);
SIO_API sio_slice sio_ws_query(const struct sio_ws *ws);
SIO_API sio_slice sio_ws_address(const struct sio_ws *ws);
SIO_API sio_slice sio_ws_protocol(const struct sio_ws *ws);

/* A header by lower-case name, empty when absent.  In may_open and on_open alone; later
 * it is always empty. */
SIO_API sio_slice sio_ws_header(const struct sio_ws *ws, const char *name);

/* A named segment of the pattern ("*" for the rest of the path), percent-decoded into
 * out[0..cap) with a final NUL.  Returns its length, SIO_ERR_NOENT, SIO_ERR_LIMIT (does not
 * fit), SIO_ERR_INVAL (bad percent encoding). */
SIO_API long sio_ws_param(const struct sio_ws *ws, const char *name, char *out, size_t cap);

SIO_END

#endif
