/* namespace.h -- several applications over one connection.
 *
 * A client may be in several namespaces at the same time; each has its own sockets,
 * rooms, handlers and acknowledgement ids (Socket.IO v5, section 5 of the protocol's
 * "namespace").  "/" always exists, and the calls that take a server (sio_on_connect,
 * sio_broadcast ...) are about it.  Clients that ask for a namespace that was not
 * opened are refused with "Invalid namespace".  A namespace lives as long as its
 * server.  Loop thread only.  Calls that name no error cannot fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef SIO_NAMESPACE_H
#define SIO_NAMESPACE_H

#include <sio/room.h>
#include <sio/socket.h>

SIO_BEGIN

#define SIO_NAMESPACE_MAX 255

struct sio_namespace;

/* The namespace of that name ("/chat"), made when there is none; the name is
 * compared byte for byte and may not hold a comma.  Returns NULL when the name does
 * not begin with "/", holds a comma or is longer than SIO_NAMESPACE_MAX, or when
 * memory ran out. */
SIO_API struct sio_namespace *sio_namespace_open(struct sio_server *server, sio_slice name);

/* Its name, as long as the server lives. */
SIO_API sio_slice sio_namespace_name(const struct sio_namespace *nsp);

/* The one of a socket, of a request; never NULL. */
SIO_API struct sio_namespace *sio_socket_namespace(const struct sio_socket *socket);
SIO_API struct sio_namespace *sio_connect_namespace(const struct sio_connect *req);

/* As sio_on_connect and its siblings, for this namespace; sio_namespace_on_event
 * returns 0 or SIO_ERR_NOMEM. */
SIO_API void sio_namespace_on_connect(struct sio_namespace *nsp, sio_connect_fn *fn, void *arg);
SIO_API void sio_namespace_on_disconnect(struct sio_namespace *nsp, sio_disconnect_fn *fn, void *arg);
SIO_API void sio_namespace_on_limited(struct sio_namespace *nsp, sio_limited_fn *fn, void *arg);
SIO_API SIO_MUST_CHECK int sio_namespace_on_event(struct sio_namespace *nsp, const char *name, sio_event_fn *fn,
						  void *arg);

/* As sio_broadcast (SIO_ERR_INVAL, SIO_ERR_NOMEM), sio_room_size and sio_room_each, for
 * this namespace. */
SIO_API long sio_namespace_broadcast(struct sio_namespace *nsp, const struct sio_target *target, sio_slice name,
				     const struct sio_args *args);
SIO_API size_t sio_namespace_room_size(const struct sio_namespace *nsp, sio_slice room);
SIO_API void sio_namespace_room_each(struct sio_namespace *nsp, sio_slice room, sio_room_fn *fn, void *arg);

SIO_END

#endif
