/* engine.h -- plain Engine.IO v4: messages over long-polling or WebSocket, nothing on top.
 *
 * For servers made with engine_only (<sio/server.h>).  A client opens a session; text
 * and binary messages go both ways, in order, over long-polling, a WebSocket, or the
 * first and then the second.  Who may come in and what the answers say is
 * <sio/handshake.h>; the server's own calls are those of <sio/server.h>, and HTTP routes
 * work as ever.  Socket.IO calls on such a server are safe and reach nobody.
 *
 * A session lives from its open handler until its close handler has returned.  A handler
 * may close any session, its own too, and send to any.  When a session ends inside of a
 * callback, its handle stays good until that callback has returned: each call on it
 * gives SIO_ERR_CLOSED.  Later it must not be used.
 *
 * Loop thread only.  Calls that name no error cannot fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef SIO_ENGINE_H
#define SIO_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include <sio/error.h>
#include <sio/http.h>
#include <sio/slice.h>

SIO_BEGIN

struct sio_server;
struct sio_session;
struct sio_message;

/* ---- what happens ---------------------------------------------------------------- */

/* One handler of each kind; a second call replaces the first, NULL takes it away.  Each
 * returns 0, or SIO_ERR_INVAL when server is not one of plain Engine.IO. */

/* A session was opened.  What is sent here follows the open packet.  Returns 0 or
 * SIO_ERR_INVAL. */
typedef void sio_session_fn(struct sio_session *session, void *arg);
SIO_API SIO_MUST_CHECK int sio_engine_on_open(struct sio_server *server, sio_session_fn *fn, void *arg);

/* A message came, in the order in which its client sent them.  data is borrowed for the
 * call; text is valid UTF-8.  At most max_payload_bytes long.  Returns 0 or
 * SIO_ERR_INVAL. */
typedef void sio_message_fn(struct sio_session *session, sio_slice data, bool is_binary, void *arg);
SIO_API SIO_MUST_CHECK int sio_engine_on_message(struct sio_server *server, sio_message_fn *fn, void *arg);

/* The session has ended, with the protocol's reason: "transport close", "transport
 * error", "ping timeout", "parse error", "forced close" (by sio_session_close or
 * _discard), "server shutting down".  Once for each session that was opened; the
 * application frees here what its data pointer holds.  Returns 0 or
 * SIO_ERR_INVAL. */
typedef void sio_session_closed_fn(struct sio_session *session, sio_slice reason, void *arg);
SIO_API SIO_MUST_CHECK int sio_engine_on_close(struct sio_server *server, sio_session_closed_fn *fn, void *arg);

/* The session has moved from polling to a WebSocket.  Returns 0 or
 * SIO_ERR_INVAL. */
SIO_API SIO_MUST_CHECK int sio_engine_on_upgraded(struct sio_server *server, sio_session_fn *fn, void *arg);

/* Everything that was sent to the session has left its queue (for the socket, or in the
 * answer to a poll): the time to send more of something long.  Called in the next turn
 * of the loop, once however much was sent.  Returns 0 or
 * SIO_ERR_INVAL. */
SIO_API SIO_MUST_CHECK int sio_engine_on_drain(struct sio_server *server, sio_session_fn *fn, void *arg);

/* ---- a session --------------------------------------------------------------------- */

#define SIO_SESSION_ID_LEN 20
/* The session's id, SIO_SESSION_ID_LEN characters.  With an adapter the id that the client
 * knows has the server's own (sio_server_node) in front.  It is a bearer secret: who knows it
 * can read and write the session.  Never show it to another user.  Valid while the
 * session is. */
SIO_API sio_slice sio_session_id(const struct sio_session *session);
SIO_API struct sio_server *sio_session_server(const struct sio_session *session);

/* "polling" or "websocket"; static storage. */
SIO_API const char *sio_session_transport(const struct sio_session *session);

/* false once it was closed by either side. */
SIO_API bool sio_session_is_open(const struct sio_session *session);

/* Can the client take no more now, because it does not poll or its socket is full? */
SIO_API bool sio_session_is_lagging(const struct sio_session *session);

/* Bytes that wait to be sent; past send_queue_bytes a client that lags is cut. */
SIO_API size_t sio_session_waiting_bytes(const struct sio_session *session);

/* The HTTP request behind what is happening: in the open handler the handshake's, in the
 * message handler the POST that brought the message.  NULL at any other time, for
 * messages of a WebSocket, and once the session has ended.  Valid until the handler
 * returns; what it hands out is borrowed. */
SIO_API const struct sio_request *sio_session_request(struct sio_session *session);

/* The application's pointer. */
SIO_API void sio_session_set_data(struct sio_session *session, void *data);
SIO_API void *sio_session_data(const struct sio_session *session);

/* ---- sending ------------------------------------------------------------------------ */

#define SIO_MESSAGE_MAX 268435456

/* Queue one message; it is copied, and written at the end of the loop turn.  Returns 0;
 * SIO_ERR_CLOSED; SIO_ERR_UTF8 (text); SIO_ERR_INVAL when text holds the byte 0x1e and
 * the session polls (it separates messages there, section 6.1; a WebSocket carries it);
 * SIO_ERR_LIMIT when it is longer than SIO_MESSAGE_MAX, or when so much waits for this
 * client that it will be cut at the end of the turn; SIO_ERR_NOMEM.  With an error
 * nothing was queued. */
SIO_API int sio_session_send_text(struct sio_session *session, sio_slice text);
SIO_API int sio_session_send_binary(struct sio_session *session, sio_slice data);

/* A message for many sessions of one server: checked, copied and encoded once.  *out is
 * the caller's; sio_message_free gives it back, before the server is freed (NULL is
 * allowed; what was sent is still delivered).  Returns 0, SIO_ERR_UTF8 (text),
 * SIO_ERR_LIMIT (SIO_MESSAGE_MAX), SIO_ERR_NOMEM; then *out is NULL. */
SIO_API SIO_MUST_CHECK int sio_message_new_text(struct sio_server *server, sio_slice text, struct sio_message **out);
SIO_API SIO_MUST_CHECK int sio_message_new_binary(struct sio_server *server, sio_slice data, struct sio_message **out);
SIO_API void sio_message_free(struct sio_message *message);

/* As sio_session_send_text, with a message made before; nothing is copied.  Also
 * SIO_ERR_INVAL when message is NULL or another server's. */
SIO_API int sio_session_send(struct sio_session *session, struct sio_message *message);

/* ---- ending -------------------------------------------------------------------------- */

/* Close it, after what is queued has been delivered (section 9).  The close handler runs
 * before this returns, with "forced close"; nothing more is received or sent.  Returns 0
 * or SIO_ERR_CLOSED. */
SIO_API int sio_session_close(struct sio_session *session);

/* Close it now; what is queued is dropped.  Otherwise the same.  Returns 0 or
 * SIO_ERR_CLOSED. */
SIO_API int sio_session_discard(struct sio_session *session);

SIO_END

#endif
