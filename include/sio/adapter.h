/* adapter.h -- several servers as one: what carries messages between them.
 *
 * A server with an adapter is a node.  Its broadcasts, questions and fetches reach the
 * clients of every node that shares the adapter, unless the target is_local.  Local
 * clients are served first; a message that the adapter does not take has no effect on
 * them and is counted (struct sio_stats, adapter_failed_total).
 *
 * The adapter itself only moves messages, bytes it knows nothing of, between nodes.
 * For each namespace in which a node has sockets, and for each room that has members
 * there, the node subscribes to a channel; so whoever has nobody to tell hears nothing.
 * Channels are made of names that clients may have chosen: any bytes, at most
 * SIO_CHANNEL_MAX.
 *
 * The contract, which tests/contract/adapter_test.c holds every adapter to:
 * - What one node publishes on one channel reaches each other node that subscribes to it
 *   in that order and at most once; so does what it sends to one node.  An adapter that
 *   can keep the order over all channels and sends does so.
 * - Nobody hears its own messages.
 * - A subscription begins to take effect soon after subscribe, and is over soon after
 *   unsubscribe; what is under way meanwhile may arrive or not.
 * - A node is gone once: sio_adapter_node_gone, behind its last message.  Whoever comes
 *   back has another id.
 *
 * Clients need not stay with one server: the id of a session names its node, and polling
 * requests and upgrades that reach another one are carried to it, answered there, and
 * their answers carried back.  All nodes need the same path, payload limit and ping times.
 *
 * Loop thread only, but for what says otherwise.  Calls that name no error cannot fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef SIO_ADAPTER_H
#define SIO_ADAPTER_H

#include <stdbool.h>
#include <stddef.h>

#include <sio/error.h>
#include <sio/slice.h>

SIO_BEGIN

struct sio_args;
struct sio_server;
struct sio_target;

#define SIO_NODE_ID_LEN 20              /* a node's id, random for each life of a server */
#define SIO_CHANNEL_MAX 511             /* bytes of a channel's name */
#define SIO_ADAPTER_MESSAGE_MAX 16777216 /* bytes of a message; a server makes no larger one, and takes none */

/* ---- for applications ------------------------------------------------------------ */

struct sio_adapter_ops;

/* Make server a node, before it listens.  self goes to each call of ops; open is called
 * now, close when the server is closed or freed.  Returns 0, SIO_ERR_EXISTS (it has an
 * adapter), SIO_ERR_INVAL (it has clients already), SIO_ERR_NOMEM or what open returned;
 * then self is the caller's still. */
SIO_API SIO_MUST_CHECK int sio_server_set_adapter(struct sio_server *server, const struct sio_adapter_ops *ops,
						  void *self);

/* The adapter of servers in one process, each on a loop and thread of its own or several
 * on one.  What waits for one node is bounded by both numbers below; past them a message
 * is lost for that node, and the sender's call returns SIO_ERR_BUSY. */
#define SIO_BUS_MESSAGES_MAX 65536
#define SIO_BUS_BYTES_MAX 67108864
struct sio_bus;

/* NULL when memory ran out.  Any thread. */
SIO_API struct sio_bus *sio_bus_memory_new(void);

/* Make server a node of bus.  On the server's thread, or before that runs.  Returns as
 * sio_server_set_adapter (SIO_ERR_EXISTS, SIO_ERR_INVAL, SIO_ERR_NOMEM). */
SIO_API SIO_MUST_CHECK int sio_bus_memory_join(struct sio_bus *bus, struct sio_server *server);

/* No server joins any more; the memory goes with the last one's end.  NULL is allowed.
 * Any thread. */
SIO_API void sio_bus_memory_free(struct sio_bus *bus);

/* ---- for those who make an adapter of their own --------------------------------------- */

typedef void sio_node_fn(sio_slice node, void *arg);

/* All are called on the server's loop thread and never block; all slices are borrowed for
 * the call.  None of them calls sio_adapter_deliver or sio_adapter_node_gone before it
 * returns: these come later, from the loop. */
struct sio_adapter_ops {
	/* The server is a node of that id now (SIO_NODE_ID_LEN characters).  Returns 0 or an
	 * error that keeps the server from having this adapter. */
	int (*open)(void *self, struct sio_server *server, sio_slice node);

	/* Hear what others publish on channel; twice is no error.  A lost link to what lies
	 * behind the adapter is no error either: it takes effect when that is back.  Returns 0,
	 * SIO_ERR_CLOSED, or SIO_ERR_NOMEM: then whoever wanted to be there cannot. */
	int (*subscribe)(void *self, sio_slice channel);

	/* Hear it no more; of a channel that it did not subscribe to is no error. */
	void (*unsubscribe)(void *self, sio_slice channel);

	/* To all other nodes that subscribe to channel; none is no error.  Returns 0;
	 * SIO_ERR_BUSY, when a queue was full: some may have it, some not; SIO_ERR_CLOSED. */
	int (*publish)(void *self, sio_slice channel, sio_slice message);

	/* To one other node.  Returns 0, SIO_ERR_NOENT (no such node is known now),
	 * SIO_ERR_BUSY or SIO_ERR_CLOSED: then it has not gone out. */
	int (*send)(void *self, sio_slice node, sio_slice message);

	/* Call fn for each other node that is known now.  fn calls nothing of the adapter. */
	void (*nodes)(void *self, sio_node_fn *fn, void *arg);

	/* The server ends: leave the others.  Nothing else is called and nothing may be handed
	 * in from now on, so self may be freed.  What was published before still goes out. */
	void (*close)(void *self);

	/* By which id the node is known here now whose own server was opened with the id own_id:
	 * they differ for one that was gone and came back.  It goes to out (SIO_NODE_ID_LEN
	 * characters); false: no such node is known now.  NULL: they never differ. */
	bool (*find)(void *self, sio_slice own_id, char *out);

	/* Hand a client's connection to another node of this process, with what was read from it:
	 * fd is that node's then.  Returns 0, or SIO_ERR_NOENT, SIO_ERR_BUSY or SIO_ERR_CLOSED:
	 * then fd is the caller's still.  NULL: nodes share no descriptors. */
	int (*pass)(void *self, sio_slice node, int fd, sio_slice bytes);

	/* Tell processes of other kinds, whose clients are none of any node's, an event: called once for
	 * each broadcast that is not local, on the node where it was made and behind publish, and for what
	 * sio_neighbours_tell is given.  What cannot be told is the adapter's to count.  Returns 0 (also when there is nobody to
	 * tell), SIO_ERR_PROTO (the arguments are no JSON), SIO_ERR_LIMIT, SIO_ERR_BUSY, SIO_ERR_CLOSED or
	 * SIO_ERR_NOMEM.  NULL: there are no such processes. */
	int (*tell_neighbours)(void *self, sio_slice nsp, const struct sio_target *target, sio_slice name,
			       const struct sio_args *args);
};

/* Hand in what arrived.  message is borrowed for the call; more than
 * SIO_ADAPTER_MESSAGE_MAX bytes, or bytes that no node has written, are ignored and counted
 * (adapter_refused_total).  The server may call any of ops meanwhile. */
SIO_API void sio_adapter_deliver(struct sio_server *server, sio_slice from, sio_slice message);

/* A node is not there any more: whoever waits for its answers waits no longer. */
SIO_API void sio_adapter_node_gone(struct sio_server *server, sio_slice node);

/* Messages between this node and another one, node empty: all others, may be missing, and nobody knows
 * which: the way on which they come is or was lost, here or there.  Requests that are carried, of
 * which each byte counts, end and are told their end.  May be called again while the way is lost:
 * then for what has begun meanwhile. */
SIO_API void sio_adapter_lost(struct sio_server *server, sio_slice node);

SIO_END
#endif
