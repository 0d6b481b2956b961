/* history.h -- what a client missed: connection state recovery.
 *
 * With recovery on (sio_server_options.recovery_window_ms, or sio_server_set_history), a
 * client that lost its connection and comes back within the window gets its socket id,
 * its rooms and every event it missed, once and in order, before anything else; stock
 * clients do their part by themselves and see socket.recovered.  Socket.IO v5, section
 * 12 of the reference.
 *
 * Kept are events without an acknowledgement that are not volatile: broadcasts and
 * events to one socket, as far as the history wants them.  Each carries one argument more,
 * its offset, a string.  A client takes any string at the end of any event for an offset:
 * other events get null as one argument more when they end in a string.  Events that ask
 * for an acknowledgement carry none, and sockets that have declined (sio_connect_decline_recovery)
 * see neither.  Middlewares and the connect handler run on recovery as on any
 * connect, before anything is sent; sio_connect_is_recovering tells them.  Event handlers are
 * not told twice; acknowledgements that were open stay open no longer.  A session is
 * recovered once.  An end by the protocol's fault or by a DISCONNECT of either side is
 * no loss and cannot be recovered.
 *
 * The history itself is an interface.  The one that comes with the library is a ring in
 * memory: it is bounded in bytes, and ends with the process.  Loop thread only.  Calls
 * that name no error cannot fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef SIO_HISTORY_H
#define SIO_HISTORY_H

#include <sio/socket.h>

SIO_BEGIN

#define SIO_OFFSET_MAX 40     /* bytes of an offset, its NUL included */
#define SIO_IDENTITY_MAX 255  /* bytes of sio_socket_set_identity */

/* ---- for applications ------------------------------------------------------------ */

/* Does this client ask for a session that is still known?  If the request is accepted
 * it gets it. */
SIO_API bool sio_connect_is_recovering(const struct sio_connect *req);

/* Whose session that is: what sio_socket_set_identity said of its socket; empty when it
 * said nothing or none is asked for.  Borrowed from req.  A handler that finds somebody
 * else there calls sio_connect_forget. */
SIO_API sio_slice sio_connect_identity(const struct sio_connect *req);

/* Do not recover: if accepted, the client starts anew.  The session stays known. */
SIO_API void sio_connect_forget(struct sio_connect *req);

/* No recovery for this client: if accepted, it gets no private id and its events carry no
 * offsets, as from a server without a history.  For clients whose handlers cannot take an
 * argument more.  What is sent to a room with members of both kinds is encoded twice. */
SIO_API void sio_connect_decline_recovery(struct sio_connect *req);

/* Has this socket come back with its id and rooms? */
SIO_API bool sio_socket_is_recovered(const struct sio_socket *socket);

/* Note whose socket this is, such as a user id; copied.  Returns 0, SIO_ERR_CLOSED,
 * SIO_ERR_INVAL (longer than SIO_IDENTITY_MAX, or the server has no history) or
 * SIO_ERR_NOMEM. */
SIO_API int sio_socket_set_identity(struct sio_socket *socket, sio_slice identity);

/* ---- for those who keep a history of their own ---------------------------------------- */

/* The ids that this client will have if it is accepted and not recovered: for a history that
 * must have written them down before the client hears of them.  Both are NUL-terminated;
 * pid is a secret, and sid its hash: nobody finds the one by the other.  Returns 0, SIO_ERR_INVAL
 * (the server has no history, or recovery was declined) or SIO_ERR_SYSTEM (libcrypto has no SHA-256). */
SIO_API int sio_connect_ids(struct sio_connect *req, char sid[SIO_ID_LEN + 1], char pid[SIO_ID_LEN + 1]);

/* The private id of a socket, a secret; empty when it cannot be recovered or has ended.
 * Borrowed from the socket. */
SIO_API sio_slice sio_socket_pid(const struct sio_socket *socket);

/* The socket that is connected to this server's namespace with that private id, by another
 * client than req's: one whose loss was not noticed yet, or its thief's victim.  NULL: none. */
SIO_API struct sio_socket *sio_connect_predecessor(const struct sio_connect *req, sio_slice pid);

/* End it, with all of its client ("transport close"); left is called for it.  Does nothing
 * when there is none.  Whoever calls it has looked whose it is. */
SIO_API void sio_connect_take_over(struct sio_connect *req, sio_slice pid);

struct sio_history_session;

/* For a history without take: this is the session that the client asks for, looked up after it
 * was judged; copied.  offset: what it has seen, empty for nothing since session->offset.  If the
 * request is accepted it gets the session: replay is called with it.  If it is not, left is
 * called.  Returns 0; SIO_ERR_INVAL (no history, declined, another namespace, a length that
 * does not fit, ids that sio_connect_ids has not given together), SIO_ERR_EXISTS (it has one, or a socket has these ids: end it first) or
 * SIO_ERR_NOMEM: nothing has changed then. */
SIO_API int sio_connect_recover(struct sio_connect *req, const struct sio_history_session *session, sio_slice offset);

/* A session as it is kept while its client is away. */
struct sio_history_session {
	sio_slice pid;             /* private id, SIO_ID_LEN characters, a secret */
	sio_slice sid;             /* public id, SIO_ID_LEN characters */
	sio_slice nsp;
	sio_slice offset;          /* the newest one when the session began */
	sio_slice identity;
	const sio_slice *rooms;
	unsigned rooms_n;
};

/* An event that was sent. */
struct sio_history_event {
	sio_slice nsp;
	const sio_slice *rooms;    /* none: everybody in nsp */
	unsigned rooms_n;
	const sio_slice *except;
	unsigned except_n;
	sio_slice skip;            /* id of the socket it was not for; may be empty */
	sio_slice packet;          /* its Socket.IO text, the offset inside */
	const sio_slice *attachments;
	unsigned attachments_n;
};

typedef void sio_history_found_fn(const struct sio_history_session *session, void *arg);
typedef void sio_history_missed_fn(sio_slice packet, const sio_slice *attachments, unsigned attachments_n, void *arg);
typedef void sio_history_done_fn(int status, void *arg);

/* All slices are borrowed for the call, those that go in and those that come out. */
struct sio_history_ops {
	/* The offset that the next event will have, or the newest that one has had; out is
	 * NUL-terminated, without quotes or backslashes.  newest may be empty at first.  next
	 * may leave it empty: the event that is about to be sent is not kept. */
	void (*next)(void *self, char out[SIO_OFFSET_MAX]);
	void (*newest)(void *self, char out[SIO_OFFSET_MAX]);

	/* The event that was given the last offset of next.  It cannot fail: what is not
	 * kept makes a later take answer with nothing. */
	void (*append)(void *self, const struct sio_history_event *event, uint64_t now_ms);

	/* A session has begun, or its rooms or identity have changed.  NULL: not wanted. */
	void (*changed)(void *self, const struct sio_history_session *session, uint64_t now_ms);

	/* The client has gone and may come back; or a taken session was not used after all. */
	void (*left)(void *self, const struct sio_history_session *session, uint64_t now_ms);

	/* The client has gone for good: what is known of it may be forgotten.  NULL: not wanted. */
	void (*ended)(void *self, const struct sio_history_session *session, uint64_t now_ms);

	/* Take the session of pid whose client has seen all up to offset (empty: nothing
	 * since session.offset).  fn is called exactly once, now or later: with NULL when
	 * there is no such session, it has expired, or something after offset is not kept any
	 * more.  From then on it is not known, until left is called.  NULL: the application looks
	 * for sessions itself, once it knows who asks, and calls sio_connect_recover; a
	 * connect request is not recovering before that. */
	void (*take)(void *self, sio_slice pid, sio_slice offset, uint64_t now_ms, sio_history_found_fn *fn, void *arg);

	/* Call fn for each event after offset that the session's rooms (and its sid) are
	 * among the receivers of, in order, then done once; now or later. */
	void (*replay)(void *self, const struct sio_history_session *session, sio_slice offset, sio_history_missed_fn *fn,
		       sio_history_done_fn *done, void *arg);

	/* The server is freed.  Whoever still owes a call of fn or done makes it first. */
	void (*close)(void *self);

	/* With an adapter: for how long after the last one has left a room this server must go
	 * on hearing what others send there, because append is all that the history learns.
	 * NULL or 0: it learns of other servers' events by itself. */
	uint32_t (*keeps_ms)(void *self);
};

/* Use a history of one's own, before the server listens.  self goes to each call; close
 * is called by sio_server_free.  Returns 0, SIO_ERR_EXISTS when it has one, or SIO_ERR_INVAL when it
 * has clients already. */
SIO_API SIO_MUST_CHECK int sio_server_set_history(struct sio_server *server, const struct sio_history_ops *ops, void *self);

/* The ring in memory: keeps events of together at most bytes, and sessions_n sessions
 * for window_ms; older ones give way.  bytes above 2^30 count as 2^30.  Returns 0 with *ops and *self, or SIO_ERR_NOMEM. */
SIO_API SIO_MUST_CHECK int sio_history_ring(size_t bytes, uint32_t sessions_n, uint32_t window_ms,
					    const struct sio_history_ops **ops, void **self);

SIO_END

#endif
