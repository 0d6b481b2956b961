/* socket.h -- one client in one namespace: connecting, events, acknowledgements.
 *
 * A client opens an Engine.IO session and asks for a namespace (Socket.IO v5,
 * CONNECT).  The connect handler sees the request and accepts or refuses it, now
 * or later.  An accepted request becomes a sio_socket, which lives until its
 * disconnect handler has returned; sio_socket_ref keeps the memory (not the
 * connection) longer, for work that ends later.
 *
 * Arguments of events travel as JSON text, untouched: what a client sent can be
 * passed on without being parsed.
 *
 * Loop thread only.  Calls that name no error cannot fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef SIO_SOCKET_H
#define SIO_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/error.h>
#include <sio/slice.h>

SIO_BEGIN

struct sio_server;
struct sio_connect;
struct sio_socket;

/* The arguments of one event or acknowledgement: JSON values separated by
 * commas, without the brackets around them ({"x":1},"two"); empty for none.
 * A binary value stands in the JSON as {"_placeholder":true,"num":K} and is
 * attachments[K]; at most SIO_ATTACHMENTS_MAX, which stock clients insist on. */
#define SIO_ATTACHMENTS_MAX 10
struct sio_args {
	sio_slice json;
	const sio_slice *attachments;
	unsigned attachments_n;
};

/* Arguments that are JSON text alone. */
static inline struct sio_args sio_args_json(sio_slice json)
{
	struct sio_args args = { json, 0, 0 };

	return args;
}

/* ---- connecting ---------------------------------------------------------- */

/* Called for each CONNECT to an existing namespace.  Without a handler every
 * request is accepted.  The handler (or anything it starts) answers exactly once
 * with sio_connect_accept or sio_connect_refuse; req is valid until then, even
 * when the client goes away meanwhile.  It is freed by the answer: a second one is
 * a bug of the caller, and so is one after sio_server_free; a request that nobody ever
 * answers is never freed.  An answer after the session's connect time-out finds the
 * session closed. */
typedef void sio_connect_fn(struct sio_connect *req, void *arg);
SIO_API void sio_on_connect(struct sio_server *server, sio_connect_fn *fn, void *arg);

/* What the client sent with CONNECT: the text of a JSON object, "{}" when
 * nothing.  Borrowed from req. */
SIO_API sio_slice sio_connect_auth(const struct sio_connect *req);

/* A header of the session's first HTTP request, by lower-case name; empty when
 * absent.  Borrowed from req; gone once the request is answered.  What is known of
 * that request is kept for further namespaces of the session when there were others
 * beside the first, or parents, as it connected; else it is empty for them. */
SIO_API sio_slice sio_connect_header(const struct sio_connect *req, const char *name);

/* Path and query of the session's first HTTP request.  Borrowed from req. */
SIO_API sio_slice sio_connect_url(const struct sio_connect *req);

/* The client's address as text, such as "127.0.0.1" or "::1": the peer's, or, when that
 * is one of sio_server_options.trusted_proxies, the one it speaks for.  Borrowed. */
SIO_API sio_slice sio_connect_address(const struct sio_connect *req);

/* Did the client come over TLS: to this server, or to a trusted proxy that says so? */
SIO_API bool sio_connect_is_secure(const struct sio_connect *req);

/* The server that was asked; never NULL. */
SIO_API struct sio_server *sio_connect_server(const struct sio_connect *req);

/* Is the client still there to be answered? */
SIO_API bool sio_connect_is_open(const struct sio_connect *req);

/* Accept: the client gets its CONNECT answer, after which everything emitted to
 * the socket follows in order.  Frees req.  Returns the socket, or NULL when the
 * client has gone or memory ran out. */
SIO_API struct sio_socket *sio_connect_accept(struct sio_connect *req);

/* In a middleware (sio_namespace_use): nothing to object to.  The next one has req now,
 * behind the last the connect handler, without a handler it is accepted.  When the
 * client has gone, req is freed instead.  The caller may not use req any more, as
 * behind the other answers: a second "next" would pass over somebody else's check.  In
 * a connect handler it accepts. */
SIO_API void sio_connect_next(struct sio_connect *req);

/* Refuse with CONNECT_ERROR {"message":message,"data":data}.  data is JSON text
 * or empty for none.  The session stays open, the client may try again.  Frees
 * req. */
SIO_API void sio_connect_refuse(struct sio_connect *req, sio_slice message, sio_slice data);

/* Close the session under the request without an answer: a stock client takes that for a lost
 * connection and comes again after a while, with what it came with.  For a server that cannot
 * decide now.  Does nothing but that when the client has gone.  Frees req. */
SIO_API void sio_connect_close(struct sio_connect *req);

/* ---- a connected socket --------------------------------------------------- */

#define SIO_ID_LEN 20
/* The public id, SIO_ID_LEN characters.  Valid while the socket is. */
SIO_API sio_slice sio_socket_id(const struct sio_socket *socket);

/* Its server, good as long as the server is.  Has the socket not ended? */
SIO_API struct sio_server *sio_socket_server(const struct sio_socket *socket);
SIO_API bool sio_socket_is_open(const struct sio_socket *socket);

/* The application's pointer; the disconnect handler frees what it points to. */
SIO_API void sio_socket_set_data(struct sio_socket *socket, void *data);
SIO_API void *sio_socket_data(const struct sio_socket *socket);

/* Keep the memory of a socket beyond its end, and beyond sio_server_free (then only to
 * let go of it).  Counted.  In a callback that was given the socket its memory is good
 * until the callback returns, though it ends the socket.  unref of NULL does nothing. */
SIO_API struct sio_socket *sio_socket_ref(struct sio_socket *socket);
SIO_API void sio_socket_unref(struct sio_socket *socket);

/* Called once when the socket has ended, with the protocol's reason ("transport
 * close", "ping timeout", "client namespace disconnect", "server shutting down"
 * ...).  Its rooms are left already; nothing can be emitted to it any more. */
typedef void sio_disconnect_fn(struct sio_socket *socket, sio_slice reason, void *arg);
SIO_API void sio_on_disconnect(struct sio_server *server, sio_disconnect_fn *fn, void *arg);

/* ---- events in ------------------------------------------------------------ */

#define SIO_ACK_NONE UINT64_MAX
struct sio_event {
	sio_slice name;       /* decoded event name; borrowed for the call */
	struct sio_args args; /* what follows the name; borrowed for the call */
	uint64_t ack;         /* answer with sio_socket_ack; SIO_ACK_NONE: not wanted */
};

/* Called for each event named name; name NULL: for each event no other handler
 * takes.  One handler a name, a second call replaces it, fn NULL takes it away.  Events of one socket
 * come in the order in which its client sent them.  Returns 0 or SIO_ERR_NOMEM. */
typedef void sio_event_fn(struct sio_socket *socket, const struct sio_event *event, void *arg);
SIO_API SIO_MUST_CHECK int sio_on_event(struct sio_server *server, const char *name, sio_event_fn *fn, void *arg);

/* Called when a socket sent more than events_per_second; the event is dropped.
 * retry_ms tells when the next one would pass. */
typedef void sio_limited_fn(struct sio_socket *socket, const struct sio_event *event, uint32_t retry_ms, void *arg);
SIO_API void sio_on_limited(struct sio_server *server, sio_limited_fn *fn, void *arg);

/* Hold back this socket's further events until sio_socket_resume, so that a
 * handler that must wait (for a store, say) keeps their order.  Counted: as many
 * resumes as pauses.  Held events are bounded by max_payload_bytes; past it the
 * session is closed. */
SIO_API void sio_socket_pause(struct sio_socket *socket);
SIO_API void sio_socket_resume(struct sio_socket *socket);

/* ---- events out ------------------------------------------------------------ */

/* Queue one event.  args NULL: none.  name must not be one of the reserved names ("connect",
 * "connect_error", "disconnect", "disconnecting", "newListener",
 * "removeListener").  Bytes are copied before the call returns; they are written
 * at the end of the loop turn.  Returns 0, SIO_ERR_CLOSED, SIO_ERR_INVAL
 * (reserved name, more than SIO_ATTACHMENTS_MAX attachments), SIO_ERR_NOMEM. */
SIO_API int sio_socket_emit(struct sio_socket *socket, sio_slice name, const struct sio_args *args);

/* The same with flags.  SIO_EMIT_NO_COMPRESS: do not compress this event, as Node's
 * compress(false): over a WebSocket with permessage-deflate it goes as it is; a polling
 * answer with gzip stays uncompressed when all of its packets say so.  Unknown flags are
 * SIO_ERR_INVAL. */
enum { SIO_EMIT_NO_COMPRESS = 1 };
SIO_API int sio_socket_emit_with(struct sio_socket *socket, sio_slice name, const struct sio_args *args,
				 unsigned flags);

/* Answer an event that asked for it, once (a second answer is sent too, and no client
 * heeds it).  args NULL: none.  Returns 0, SIO_ERR_CLOSED,
 * SIO_ERR_INVAL (ack is SIO_ACK_NONE, too many attachments), SIO_ERR_NOMEM. */
SIO_API int sio_socket_ack(struct sio_socket *socket, uint64_t ack, const struct sio_args *args);

/* Emit an event and ask the client to acknowledge it.  fn is called exactly once,
 * never before the call returns: with status 0 and the client's arguments (borrowed
 * for the call), SIO_ERR_TIMEOUT after timeout_ms (0: SIO_ASK_TIMEOUT_MS; up to 32 ms
 * later), or SIO_ERR_CLOSED as soon as the socket has ended.  The socket's memory is
 * good in fn.  A socket may have SIO_ASKS_MAX questions open.  Returns 0,
 * SIO_ERR_CLOSED (also when a catch-all handler of outgoing events ended the socket),
 * SIO_ERR_INVAL (as sio_socket_emit), SIO_ERR_LIMIT, SIO_ERR_NOMEM; then fn is not
 * called.  Socket.IO v5: EVENT with an id, answered by ACK. */
#define SIO_ASK_TIMEOUT_MS 5000
#define SIO_ASKS_MAX 1000
typedef void sio_answer_fn(struct sio_socket *socket, int status, const struct sio_args *args, void *arg);
SIO_API SIO_MUST_CHECK int sio_socket_ask(struct sio_socket *socket, sio_slice name, const struct sio_args *args,
					  uint32_t timeout_ms, sio_answer_fn *fn, void *arg);

/* End the socket.  close_session false: DISCONNECT of this namespace, the
 * session stays; the stock client will not reconnect by itself.  true: the same,
 * then the session is closed.  The disconnect handler runs before it returns. */
SIO_API void sio_socket_disconnect(struct sio_socket *socket, bool close_session);

/* Close the session under the socket without a DISCONNECT packet, after what is
 * queued: the stock client reconnects by itself. */
SIO_API void sio_socket_close_transport(struct sio_socket *socket);

SIO_END

#endif
