/* redis.h -- several servers as one over Redis: an adapter (<sio/adapter.h>).
 *
 * Servers that name the same Redis and the same prefix are nodes of one cluster.  Each
 * has two connections, one that publishes and one that listens, on the loop of its
 * server.  Nothing blocks: names are looked up on the pool.
 *
 * - Channels are "{prefix}c" and the adapter's channel, "{prefix}n" and a node's id, and
 *   "{prefix}a" for all nodes.  A server with cluster_enabled is spoken to with sharded
 *   pub/sub (Redis 7); the braces keep all channels in one slot, so in one order.
 * - What one node publishes reaches each other one in order, over all channels.
 * - With a secret, each message has a tag over its bytes, its channel, its sender and a
 *   number that only rises: whoever can merely publish cannot forge, alter or repeat one.
 * - While Redis is away, or does not answer, what is published waits in a bounded outbox and
 *   goes out in order; what the connection took with it is sent again, and whoever has
 *   had it drops the second.  What others published meanwhile is lost for this node.  What is
 *   for one node alone, questions and answers, is refused once it has been away for a
 *   heartbeat: nobody shall wait for what cannot come.
 * - A node that was not heard for the lease is gone, told once, and no later than that (up to a
 *   heartbeat earlier, for that is how often it is looked at); while this node itself
 *   hears nothing, it takes nobody for gone.  Whoever is heard again has another id.
 * - A node hears its own heartbeats.  When they do not come back the listening
 *   connection is made anew, though it looks well.
 *
 * - Processes of other kinds that share the Redis, python-socketio's managers, Node's servers and emitters, may send events to the
 *   clients of all nodes, if the options say so.  They sign nothing: whoever can publish on their channels is
 *   believed, whatever the secret.  Acknowledgements do not go back to them.
 * - The events of all nodes go to the clients of such servers, if the options say so: each broadcast
 *   that is not local, and what sio_neighbours_tell is given, once for all nodes, published by the one where it was made, in its
 *   order.  They wait for Redis in the same outbox, volatile ones do not; none is published twice,
 *   so what was under way when a connection was lost is lost.
 *
 * Loop thread only, but for sio_redis_new and sio_redis_free.  Calls that name no error
 * cannot fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef SIO_REDIS_H
#define SIO_REDIS_H

#include <sio/adapter.h>
#include <sio/server.h>

SIO_BEGIN

struct sio_redis;

#define SIO_REDIS_PREFIX_MAX 64      /* bytes of a prefix; none of them a brace */
#define SIO_REDIS_ERROR_MAX 256      /* bytes of a sentence, its NUL included */
#define SIO_REDIS_NODES_MAX 1024     /* other nodes that are known; one more is not heard */
#define SIO_REDIS_SKEW_S 60          /* seconds by which the clocks of nodes may differ */

/* Zero or NULL means the default that stands behind each field. */
struct sio_redis_options {
	/* redis://[[user]:password@]host[:port][/db] or unix://[[user]:password@]/path[?db=n];
	 * %XX in user and password.  valkey:// is redis://.  redis://localhost:6379/0. */
	const char *url;
	const char *prefix;          /* "sio" */
	/* What all nodes of the cluster know and nobody else; empty: messages have no tag, and
	 * whoever may publish on this Redis is believed. */
	sio_slice secret;
	uint32_t heartbeat_ms;       /* 2000; three without an own one: deaf */
	uint32_t lease_ms;           /* 10000; at least three heartbeats */
	uint32_t connect_timeout_ms; /* 4000: for each address of the name, to the last answer before work */
	uint32_t backoff_min_ms;     /* 50: the first wait between two attempts; each is twice as long, */
	uint32_t backoff_max_ms;     /* 5000: at most this, and by chance up to half of it less */
	/* What may wait for Redis; past one of these publish returns SIO_ERR_BUSY. */
	uint32_t outbox_messages;    /* 65536 */
	size_t outbox_bytes;         /* 67108864 */
	uint32_t outbox_age_ms;      /* 60000: what waited longer is dropped */
	/* The channel on which python-socketio's managers publish ("socketio", if they say no other); it is copied.
	 * NULL: they are not heard.  JSON (since their 5.14) and pickles of plain data. */
	const char *python_channel;
	/* What the channels of Node's servers (@socket.io/redis-adapter) and emitters (@socket.io/redis-emitter) begin with
	 * ("socket.io", if they say no other); copied.  NULL: they are not heard.  They do not count this server among themselves. */
	const char *node_key;
	/* The channel on which python-socketio's servers are told our events, and what the channels of Node's servers begin
	 * with; copied.  NULL: they are not told.  May be the same as those above: what nodes of this prefix say they do not hear. */
	const char *to_python_channel;
	const char *to_node_key;
	/* Do what they ask of our clients beside sending events: join and leave rooms, disconnect. */
	bool allow_remote_control;
	sio_log_fn *log;             /* NULL: silent */
	void *log_arg;
};

/* An adapter for one server; does not connect yet.  options are copied.  Returns 0 and
 * *out, SIO_ERR_NOMEM, or SIO_ERR_INVAL with a sentence in error that names what is
 * wrong, without a password: a URL that is none, rediss:// and valkeys:// (hiredis 0.14
 * knows no TLS), redis+sentinel://, a number out of range.  Any thread. */
SIO_API SIO_MUST_CHECK int sio_redis_new(const struct sio_redis_options *options, struct sio_redis **out,
					 char error[SIO_REDIS_ERROR_MAX]);

/* Make server a node, before it listens, and begin to connect.  An unreachable Redis is no
 * error: attempts go on until the server is closed.  Behind that the server's loop must
 * run to its end, as always: what was published goes out within a second.  Returns as
 * sio_server_set_adapter (SIO_ERR_EXISTS, SIO_ERR_INVAL, SIO_ERR_NOMEM), SIO_ERR_INVAL for
 * an adapter that has a server or a server without a loop (<sio/testing.h>), SIO_ERR_SYSTEM.
 * Then server is no node, and redis is still the caller's to free; who tries again makes
 * another one. */
SIO_API SIO_MUST_CHECK int sio_redis_join(struct sio_redis *redis, struct sio_server *server);

/* Let go of it, whether it has joined, failed to or never did; it lives on as long as its
 * server is a node.  NULL is allowed.  Any thread. */
SIO_API void sio_redis_free(struct sio_redis *redis);

/* What it counts since its start, unless said otherwise. */
struct sio_redis_stats {
	bool is_up;                   /* now: both connections work, and it hears itself */
	bool is_cluster;              /* now: sharded pub/sub */
	bool is_refused;              /* Redis answered, and will not have us: password, rights, version */
	char error[SIO_REDIS_ERROR_MAX]; /* of the last attempt that failed; "" when is_up */
	char address[SIO_REDIS_ERROR_MAX]; /* the URL without user and password */
	uint32_t nodes;               /* others known now */
	uint32_t channels;            /* subscribed to now, or to be */
	uint32_t outbox_messages;     /* waiting now for Redis's word that it has them */
	size_t outbox_bytes;
	uint64_t published_total;     /* to nodes, that Redis has taken */
	uint64_t received_total;      /* of other nodes, handed in */
	uint64_t forged_total;        /* without a good tag, of another form, for another secret, or of one node too many */
	uint64_t neighbours_total;    /* of processes of other kinds, done for our clients */
	uint64_t neighbours_refused_total; /* of theirs: malformed, or past a limit */
	uint64_t neighbours_denied_total; /* of theirs: remote control that is not allowed */
	uint64_t neighbours_told_total; /* events of ours for them that Redis has taken; one for each kind that is told */
	uint64_t neighbours_untold_total; /* that could not be sent: no JSON, outbox full or waited too long, lost with a
					   * connection, volatile while there was none, or Redis gives no right to */
	uint64_t repeated_total;      /* heard before, older than what was heard of their sender, or by another clock */
	uint64_t full_total;          /* publishes refused with SIO_ERR_BUSY */
	uint64_t expired_total;       /* dropped after outbox_age_ms */
	uint64_t connects_total;      /* connections that came to work, two for each time */
	uint64_t failures_total;      /* attempts that failed and connections that were lost */
	uint64_t deaf_total;          /* listening connections made anew because they were silent */
	uint32_t round_trip_us;       /* of the last own heartbeat */
};
SIO_API void sio_redis_stats(const struct sio_redis *redis, struct sio_redis_stats *out);

SIO_END

#endif
