/* namespace.h -- several applications over one connection.
 *
 * A client may be in several namespaces at the same time; each has its own sockets,
 * rooms, handlers, middlewares and acknowledgement ids (Socket.IO v5, section 5 of the
 * protocol's reference).  "/" always exists, and the calls that take a server
 * (sio_on_connect, sio_broadcast ...) are about it.  Clients that ask for a namespace
 * that was not opened and that no parent takes are refused with "Invalid namespace".
 *
 * A parent (sio_namespace_pattern, sio_namespace_dynamic) has no sockets: it makes a
 * child for each name that it takes, when the first client asks for it, and a child
 * does what its parent was told to do as well as what it was told itself.  A child
 * that was neither opened by name nor kept is forgotten when its last socket has left
 * and no request for it is open; the next client of that name finds a new one.
 *
 * A namespace lives as long as its server, or until it is closed or forgotten; then its
 * memory stays for those who hold a socket or a request of it, and it is good in the
 * callback that is running.  Loop thread only.  Calls that name no error cannot fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef SIO_NAMESPACE_H
#define SIO_NAMESPACE_H

#include <sio/room.h>
#include <sio/socket.h>

SIO_BEGIN

#define SIO_NAMESPACE_MAX 255      /* bytes of a name */
#define SIO_NAMESPACES_MAX 10000   /* children of all parents together; a client that asks for one more
				    * is refused with "Invalid namespace" */
#define SIO_CLIENT_NAMESPACES_MAX 100 /* that one client is in or asks for; one more is refused with "Too
				       * many namespaces" */

struct sio_namespace;

/* ---- which there are ------------------------------------------------------- */

/* The namespace of that name ("/chat"), made when there is none; the name is
 * compared byte for byte and may not hold a comma or NUL.  A parent by pattern that
 * takes the name becomes its parent.  It is kept (sio_namespace_keep): what is returned
 * stays good until sio_namespace_close.  Returns NULL when the name does not begin with
 * "/", holds a comma or NUL or is longer than SIO_NAMESPACE_MAX, when memory ran out,
 * or when the handler of new namespaces closed it. */
SIO_API struct sio_namespace *sio_namespace_open(struct sio_server *server, sio_slice name);

/* The namespace "/".  Never NULL. */
SIO_API struct sio_namespace *sio_namespace_main(struct sio_server *server);

/* A parent of every namespace whose whole name fits pattern, a POSIX extended regular
 * expression ("/room-[0-9]+").  Parents are asked in the order in which they were
 * made.  Returns 0 and *parent, SIO_ERR_INVAL (no valid expression) or SIO_ERR_NOMEM. */
SIO_API SIO_MUST_CHECK int sio_namespace_pattern(struct sio_server *server, const char *pattern,
						 struct sio_namespace **parent);

/* The same with a function: may a client with this auth object (JSON text) have the
 * namespace of that name?  Both are borrowed for the call.  fn may open and close
 * namespaces, the one in question and its own parent too.  Returns 0 and *parent, or
 * SIO_ERR_NOMEM. */
typedef bool sio_namespace_match_fn(sio_slice name, sio_slice auth, void *arg);
SIO_API SIO_MUST_CHECK int sio_namespace_dynamic(struct sio_server *server, sio_namespace_match_fn *fn, void *arg,
						 struct sio_namespace **parent);

/* Called for each namespace made from now on, by name or by a parent, before any
 * client is in it.  fn may close it: whoever asked for it is refused.  fn NULL ends
 * it. */
typedef void sio_namespace_fn(struct sio_namespace *nsp, void *arg);
SIO_API void sio_on_new_namespace(struct sio_server *server, sio_namespace_fn *fn, void *arg);

/* Keep a child when its last socket has left.  Has no effect on others. */
SIO_API void sio_namespace_keep(struct sio_namespace *nsp);

/* Close a namespace: each of its sockets is disconnected ("server namespace
 * disconnect"), requests that are open are refused when they are answered, the name is
 * unknown afterwards; a parent closes its children too and takes no more names.  nsp is
 * not to be used afterwards.  Returns 0, or SIO_ERR_INVAL for "/", which cannot be
 * closed. */
SIO_API int sio_namespace_close(struct sio_namespace *nsp);

/* Its name, valid as long as nsp is; a parent has the empty name. */
SIO_API sio_slice sio_namespace_name(const struct sio_namespace *nsp);
/* The parent that made it, or NULL. */
SIO_API struct sio_namespace *sio_namespace_parent(const struct sio_namespace *nsp);
SIO_API struct sio_server *sio_namespace_server(const struct sio_namespace *nsp);
SIO_API struct sio_namespace *sio_socket_namespace(const struct sio_socket *socket);
SIO_API struct sio_namespace *sio_connect_namespace(const struct sio_connect *req);

/* The application's pointer, NULL at first. */
SIO_API void sio_namespace_set_data(struct sio_namespace *nsp, void *data);
SIO_API void *sio_namespace_data(const struct sio_namespace *nsp);

/* ---- middlewares ------------------------------------------------------------- */

/* Put fn at the end of the chain that each connect request of nsp goes through before
 * its connect handler; a parent's chain comes before a child's own.  fn, or anything
 * it starts, ends in exactly one sio_connect_next, sio_connect_refuse or
 * sio_connect_accept (which passes over the rest of the chain).  Returns 0 or
 * SIO_ERR_NOMEM. */
SIO_API SIO_MUST_CHECK int sio_namespace_use(struct sio_namespace *nsp, sio_connect_fn *fn, void *arg);

/* Put fn at the end of the chain that each incoming event goes through before its
 * handlers.  It returns 0 to let the event pass; anything else drops the event, and
 * sio_namespace_on_dropped is told that number.  The client hears nothing, unless fn
 * emits or acknowledges.  fn may end the socket: then nobody hears more of the event.
 * Returns 0 or SIO_ERR_NOMEM. */
typedef int sio_event_filter_fn(struct sio_socket *socket, const struct sio_event *event, void *arg);
SIO_API SIO_MUST_CHECK int sio_namespace_use_event(struct sio_namespace *nsp, sio_event_filter_fn *fn, void *arg);

/* Called for each event that a filter dropped, with the number it returned. */
typedef void sio_dropped_fn(struct sio_socket *socket, const struct sio_event *event, int why, void *arg);
SIO_API void sio_namespace_on_dropped(struct sio_namespace *nsp, sio_dropped_fn *fn, void *arg);

/* ---- handlers ----------------------------------------------------------------- */

/* As sio_on_connect and its siblings, for this namespace.  What a child was not given
 * itself, or what was taken back with fn NULL, its parent's serves.
 * sio_namespace_on_event returns 0 or SIO_ERR_NOMEM. */
SIO_API void sio_namespace_on_connect(struct sio_namespace *nsp, sio_connect_fn *fn, void *arg);
SIO_API void sio_namespace_on_disconnect(struct sio_namespace *nsp, sio_disconnect_fn *fn, void *arg);
SIO_API void sio_namespace_on_limited(struct sio_namespace *nsp, sio_limited_fn *fn, void *arg);
SIO_API SIO_MUST_CHECK int sio_namespace_on_event(struct sio_namespace *nsp, const char *name, sio_event_fn *fn,
						  void *arg);

/* Called when a socket is about to end, with the reason, while it is still in its
 * rooms; it receives nothing any more.  The disconnect handler follows. */
SIO_API void sio_namespace_on_disconnecting(struct sio_namespace *nsp, sio_disconnect_fn *fn, void *arg);

/* Called for each incoming event that passed the chain, before the event's own handler
 * (which runs all the same).  fn NULL ends it. */
SIO_API void sio_namespace_on_any(struct sio_namespace *nsp, sio_event_fn *fn, void *arg);

/* Called for each event that was queued to a socket of nsp: once for a plain emit,
 * once for each receiver on this server of a broadcast, after all have it.  name and
 * args are borrowed for the call.  fn may emit and end sockets; what it emits is told
 * as well, and receivers that have ended are passed over.  fn NULL ends it; as long as
 * there is one, a broadcast costs a call for each receiver, and a list of them: when
 * memory for that runs out, they have the event and fn is not called. */
typedef void sio_outgoing_fn(struct sio_socket *socket, sio_slice name, const struct sio_args *args, void *arg);
SIO_API void sio_namespace_on_any_outgoing(struct sio_namespace *nsp, sio_outgoing_fn *fn, void *arg);

/* ---- many ----------------------------------------------------------------------- */

/* As sio_broadcast (SIO_ERR_INVAL, SIO_ERR_NOMEM), sio_room_size and sio_room_each, for
 * this namespace.  A broadcast to a parent reaches the children it has on this server, and
 * with an adapter those of the same names on others; when memory runs out on the way, some
 * have it. */
SIO_API long sio_namespace_broadcast(struct sio_namespace *nsp, const struct sio_target *target, sio_slice name,
				     const struct sio_args *args);
SIO_API size_t sio_namespace_room_size(const struct sio_namespace *nsp, sio_slice room);
SIO_API void sio_namespace_room_each(struct sio_namespace *nsp, sio_slice room, sio_room_fn *fn, void *arg);

SIO_END

#endif
