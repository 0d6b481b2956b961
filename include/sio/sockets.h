/* sockets.h -- many sockets at once: find, list, join, leave, disconnect, ask, fetch.
 *
 * All of these take the same target as a broadcast (<sio/room.h>): its rooms, less
 * except, less skip; no rooms means everybody in the namespace.  is_volatile and
 * latest_key have no meaning here.  The set is taken when the call is made: sockets
 * that a handler adds meanwhile are not visited, those that end meanwhile are passed
 * over.  A parent has no sockets of its own.  Without is_local the other servers of the
 * adapter (<sio/adapter.h>) do the same with theirs.  target NULL means everybody, on all
 * servers.  Loop thread only.  Calls that name no error cannot fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef SIO_SOCKETS_H
#define SIO_SOCKETS_H

#include <sio/namespace.h>

SIO_BEGIN

/* The connected socket of that id on this server, or NULL. */
SIO_API struct sio_socket *sio_sockets_find(const struct sio_namespace *nsp, sio_slice id);

/* How many sockets the namespace has on this server. */
SIO_API size_t sio_sockets_count(const struct sio_namespace *nsp);

/* Call fn for each socket of the target on this server.  fn may emit, join, leave and
 * end any socket.  Returns how many were visited, or SIO_ERR_NOMEM (none was). */
SIO_API long sio_sockets_each(struct sio_namespace *nsp, const struct sio_target *target, sio_room_fn *fn, void *arg);

/* Call fn for each room that socket is in; the slice is borrowed for the call.  fn may
 * not join or leave. */
typedef void sio_room_name_fn(sio_slice room, void *arg);
SIO_API void sio_socket_rooms(const struct sio_socket *socket, sio_room_name_fn *fn, void *arg);

/* Call fn for each room of the namespace on this server, with its size; the slice is
 * borrowed for the call.  fn may not join, leave or end sockets. */
typedef void sio_room_size_fn(sio_slice room, size_t n, void *arg);
SIO_API void sio_namespace_rooms(const struct sio_namespace *nsp, sio_room_size_fn *fn, void *arg);

/* Put every socket of the target into room, or take it out.  A socket that may not
 * join (SIO_ERR_LIMIT) is passed over.  Returns how many on this server are in it (are
 * out of it) now, SIO_ERR_INVAL (name length) or SIO_ERR_NOMEM (some may be in it). */
SIO_API long sio_sockets_join(struct sio_namespace *nsp, const struct sio_target *target, sio_slice room);
SIO_API long sio_sockets_leave(struct sio_namespace *nsp, const struct sio_target *target, sio_slice room);

/* As sio_socket_disconnect for every socket of the target.  Returns how many on this
 * server were, or SIO_ERR_NOMEM. */
SIO_API long sio_sockets_disconnect(struct sio_namespace *nsp, const struct sio_target *target, bool close_session);

/* Close a room: everybody leaves it, on other servers too.  Its sockets stay connected. */
SIO_API void sio_room_close(struct sio_namespace *nsp, sio_slice room);

/* ---- questions to many -------------------------------------------------------------- */

/* What came back.  answers[i] holds the arguments that one client acknowledged with, in
 * the order in which they came; attachments included; borrowed for the call. */
struct sio_answers {
	const struct sio_args *answers;
	size_t answers_n;
	size_t asked_n;          /* clients that were asked, on all servers that replied */
	size_t missing_nodes_n;  /* servers that did not reply in time, or could not be asked */
	const sio_slice *missing_nodes; /* their ids; NULL when there are none, or memory ran out for them */
};

/* Emit an event to the target and ask every receiver to acknowledge it.  fn is called
 * exactly once, never before the call returns: with status 0 when everybody who was
 * asked has answered; SIO_ERR_TIMEOUT after timeout_ms (0: SIO_ASK_TIMEOUT_MS) with the
 * answers so far; SIO_ERR_CLOSED as soon as all who have not answered are gone, clients
 * or servers, with the answers so far; SIO_ERR_LIMIT with the answers so far when the next one would
 * bring them over SIO_ANSWERS_BYTES_MAX, or memory ran out; SIO_ERR_NOMEM without
 * answers when it ran out at the end.  Nobody to ask is status 0 with no answers.  When
 * the server ends, its sockets end, and so do their questions.  Returns the number of
 * receivers on this server; SIO_ERR_INVAL (as sio_broadcast, or nsp is a parent),
 * SIO_ERR_NOMEM (nobody was asked) or SIO_ERR_CLOSED (the server is closed): then fn is
 * not called.  Receivers with SIO_ASKS_MAX questions open are not asked.  Socket.IO v5,
 * section 8 of the reference. */
#define SIO_ANSWERS_BYTES_MAX 16777216
typedef void sio_answers_fn(struct sio_namespace *nsp, int status, const struct sio_answers *got, void *arg);
SIO_API long sio_sockets_ask(struct sio_namespace *nsp, const struct sio_target *target, sio_slice name,
			     const struct sio_args *args, uint32_t timeout_ms, sio_answers_fn *fn, void *arg);

/* ---- who is there ------------------------------------------------------------------- */

/* Called on each server for each socket that somebody fetches: what the application wants
 * others to know of it, as JSON text, or the empty slice.  What is returned is copied
 * before the next call; SIO_ADAPTER_MESSAGE_MAX bounds it.  fn may not join, leave or end sockets. */
typedef sio_slice sio_describe_fn(struct sio_socket *socket, void *arg);
SIO_API void sio_namespace_on_describe(struct sio_namespace *nsp, sio_describe_fn *fn, void *arg);

struct sio_found_socket {
	sio_slice id;
	sio_slice node;          /* the server it is on (sio_server_node); empty without an adapter */
	const sio_slice *rooms;
	unsigned rooms_n;
	sio_slice data;          /* JSON text; empty: that server describes none */
};

/* Borrowed for the call.  The sockets of this server come first. */
struct sio_found {
	const struct sio_found_socket *sockets;
	size_t sockets_n;
	size_t missing_nodes_n;  /* servers that did not tell all they had in time */
};

/* List the target's sockets, on all servers.  fn is called exactly once, never before the
 * call returns, as soon as every server has told, or after timeout_ms (0:
 * SIO_ASK_TIMEOUT_MS) with what came so far: silent servers are no error, they are counted.
 * Its status is 0; SIO_ERR_LIMIT when there is more than SIO_FOUND_BYTES_MAX: not all of it
 * is there; SIO_ERR_NOMEM: nothing is; SIO_ERR_CLOSED when this server ends first, with
 * what came so far.  Returns 0, SIO_ERR_INVAL (nsp is a parent) or SIO_ERR_NOMEM: then fn
 * is not called.  Socket.IO v5, section 9 of the reference (fetchSockets). */
#define SIO_FOUND_BYTES_MAX 67108864
typedef void sio_found_fn(struct sio_namespace *nsp, int status, const struct sio_found *found, void *arg);
SIO_API SIO_MUST_CHECK int sio_sockets_fetch(struct sio_namespace *nsp, const struct sio_target *target,
					     uint32_t timeout_ms, sio_found_fn *fn, void *arg);

SIO_END

#endif
