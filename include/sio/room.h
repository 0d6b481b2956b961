/* room.h -- named sets of sockets, and one message to many.
 *
 * A room lives while it has members: the first join makes it, the last leave
 * removes it.  Names are byte strings of 1 .. SIO_ROOM_MAX bytes and are copied.
 * Every socket is also reachable by its id as if that were a room of its own.
 * A message is encoded once, however many receive it.  Loop thread only.
 * Calls that name no error cannot fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef SIO_ROOM_H
#define SIO_ROOM_H

#include <sio/socket.h>

SIO_BEGIN

#define SIO_ROOM_MAX 255

/* Put socket into room.  Joining twice is not an error.  Returns 0,
 * SIO_ERR_CLOSED when the socket has ended, SIO_ERR_INVAL (name length),
 * SIO_ERR_LIMIT (max_rooms), SIO_ERR_NOMEM (then nothing has changed). */
SIO_API SIO_MUST_CHECK int sio_room_join(struct sio_socket *socket, sio_slice room);

/* Take socket out of room.  Not being in it is not an error. */
SIO_API void sio_room_leave(struct sio_socket *socket, sio_slice room);

/* Is socket in it? */
SIO_API bool sio_room_has(const struct sio_socket *socket, sio_slice room);

/* How many sockets are in the room of namespace "/", 0 when there is none. */
SIO_API size_t sio_room_size(const struct sio_server *server, sio_slice room);

/* Call fn for each member of a room of namespace "/".  fn may leave, disconnect or
 * close any socket, the visited one too.  When memory runs out nobody is visited;
 * sio_sockets_each (<sio/sockets.h>) tells of that. */
typedef void sio_room_fn(struct sio_socket *socket, void *arg);
SIO_API void sio_room_each(struct sio_server *server, sio_slice room, sio_room_fn *fn, void *arg);

/* Whom a broadcast reaches: the members of any of rooms (all sockets when
 * rooms_n is 0), less the members of any of except, less skip.  Each socket gets
 * it once. */
struct sio_target {
	const sio_slice *rooms;
	unsigned rooms_n;
	const sio_slice *except;
	unsigned except_n;
	const struct sio_socket *skip; /* the sender, usually; NULL for none */
	bool is_local;                 /* this server only */
	bool is_volatile;              /* may be dropped for a receiver that lags */
	bool no_compress;              /* not worth compressing, or secret beside what strangers choose */
	/* Volatile only: while a receiver lags, a waiting packet of the same namespace and
	 * key gives way to this one, so the newest value survives.  0: dropped instead. */
	uint32_t latest_key;
};

/* Emit an event to many sockets of namespace "/"; target NULL: all of them, args
 * NULL: none.  Returns the number of
 * receivers on this server (0 is no error), SIO_ERR_INVAL (reserved name, too
 * many attachments) or SIO_ERR_NOMEM. */
SIO_API long sio_broadcast(struct sio_server *server, const struct sio_target *target, sio_slice name,
			   const struct sio_args *args);

SIO_END

#endif
