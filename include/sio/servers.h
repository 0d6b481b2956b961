/* servers.h -- the servers of a cluster among themselves: how many, and events that no
 * client sees.
 *
 * Servers that share an adapter (<sio/adapter.h>) are its nodes.  Without an adapter a
 * server is alone, and all of these calls find nobody.  Section 9 of the Socket.IO
 * reference (serverSideEmit, serverCount).  Loop thread only.  Calls that name no error
 * cannot fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef SIO_SERVERS_H
#define SIO_SERVERS_H

#include <sio/sockets.h>

SIO_BEGIN

/* How many servers are known now, this one included. */
SIO_API size_t sio_server_nodes_n(const struct sio_server *server);

/* The id of this server among them; empty without an adapter.  Valid as long as the
 * server is. */
SIO_API sio_slice sio_server_node(const struct sio_server *server);

/* Call fn for each other server that is known now.  fn may call the calls of this header that
 * send; node is borrowed for the call. */
typedef void sio_server_node_fn(sio_slice node, void *arg);
SIO_API void sio_server_each_node(const struct sio_server *server, sio_server_node_fn *fn, void *arg);

/* Call fn when another server is gone: it has ended, or was silent for too long.  Behind its last
 * event, and once; whoever comes back has another id.  Not called for those that are lost
 * because this server itself ends.  fn NULL ends it. */
SIO_API void sio_server_on_node_gone(struct sio_server *server, sio_server_node_fn *fn, void *arg);

/* An event from another server. */
struct sio_server_event {
	sio_slice name;
	struct sio_args args;
	sio_slice node;         /* who sent it */
	uint64_t ack;           /* answer with sio_servers_answer; SIO_ACK_NONE: not wanted */
};                              /* all borrowed for the call */

/* Called for each event that another server emits to this namespace, whether the namespace
 * has sockets here or not.  fn NULL ends it. */
typedef void sio_server_event_fn(struct sio_namespace *nsp, const struct sio_server_event *event, void *arg);
SIO_API void sio_namespace_on_server_event(struct sio_namespace *nsp, sio_server_event_fn *fn, void *arg);

/* Emit an event to the same namespace of every other server.  Returns to how many it was
 * sent; SIO_ERR_INVAL ("connect", "connection" or "new_namespace", more than
 * SIO_ATTACHMENTS_MAX attachments, or nsp is a parent), SIO_ERR_LIMIT
 * (SIO_ADAPTER_MESSAGE_MAX) or SIO_ERR_NOMEM. */
SIO_API long sio_servers_emit(struct sio_namespace *nsp, sio_slice name, const struct sio_args *args);

/* The same, to one of them, behind what was sent to it before.  Returns 0, SIO_ERR_INVAL (as
 * sio_servers_emit), SIO_ERR_NOENT (no such server is known now), SIO_ERR_LIMIT, SIO_ERR_BUSY,
 * SIO_ERR_CLOSED or SIO_ERR_NOMEM. */
SIO_API int sio_servers_send(struct sio_namespace *nsp, sio_slice node, sio_slice name, const struct sio_args *args);

/* The same, to those servers alone that have sockets in room, as one message whatever their
 * number; in the order of the broadcasts to that room.  Others may get it, too, for a
 * moment after sockets were put into a room from elsewhere.  Returns 0, also when there
 * is nobody; SIO_ERR_INVAL (as sio_servers_emit, or the room's name), SIO_ERR_LIMIT,
 * SIO_ERR_BUSY, SIO_ERR_CLOSED or SIO_ERR_NOMEM. */
SIO_API int sio_servers_tell(struct sio_namespace *nsp, sio_slice room, sio_slice name, const struct sio_args *args);

/* Tell the clients of processes of other kinds that the adapter reaches (<sio/redis.h>) an event: what a broadcast
 * that is not local does by itself, for those who bring an event to the clients of each server in a way of
 * their own (is_local).  Call it on one server alone.  target NULL: everybody in the namespace; skip and except count
 * there too.  Returns 0 (also when there is nobody to tell), SIO_ERR_INVAL (more than SIO_ATTACHMENTS_MAX attachments, or nsp is a
 * parent), or what the adapter says (SIO_ERR_PROTO: args are no JSON, SIO_ERR_LIMIT, SIO_ERR_BUSY, SIO_ERR_CLOSED or
 * SIO_ERR_NOMEM). */
SIO_API int sio_neighbours_tell(struct sio_namespace *nsp, const struct sio_target *target, sio_slice name,
				const struct sio_args *args);

/* The same as sio_servers_emit, and ask each of them for an answer.  fn is called as by sio_sockets_ask, with
 * asked_n the servers that have a handler for events in this namespace; those that have
 * none are not waited for.  Returns as sio_servers_emit (SIO_ERR_INVAL,
 * SIO_ERR_LIMIT, SIO_ERR_NOMEM); on an error fn is not called. */
SIO_API long sio_servers_ask(struct sio_namespace *nsp, sio_slice name, const struct sio_args *args,
			     uint32_t timeout_ms, sio_answers_fn *fn, void *arg);

/* Answer an event that asked for it, once; now or later, with the event's node (copied by
 * whoever answers later) and ack.  A second answer is ignored there.  Returns 0,
 * SIO_ERR_INVAL (ack is SIO_ACK_NONE, too many attachments), SIO_ERR_NOENT (that server is
 * gone), SIO_ERR_LIMIT, SIO_ERR_BUSY, SIO_ERR_CLOSED or SIO_ERR_NOMEM. */
SIO_API int sio_servers_answer(struct sio_server *server, sio_slice node, uint64_t ack, const struct sio_args *args);

SIO_END
#endif
