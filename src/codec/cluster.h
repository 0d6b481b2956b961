/* cluster.h -- what the servers of a cluster tell each other: parts in, bytes out, and back.
 *
 * A message is
 *
 *	"sk"  version (1 byte)  type (1 byte)  the fields of that type
 *
 * with numbers in network order, and a string as its length (4 bytes) and its bytes.  Which
 * fields a type has is a table in cluster.c; nothing may follow the last one.  A message of
 * another version is refused: nodes of two versions do not hear each other.
 *
 * JSON is carried, not read; only what could break out of a packet is looked for: bytes
 * that are no UTF-8, and the byte that separates the packets of a polling payload.  Slices
 * that come out point into the message that went in.  Pure.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef CODEC_CLUSTER_H
#define CODEC_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/adapter.h>
#include <sio/socket.h>

#include "base/buf.h"

enum {
	CLUSTER_VERSION = 1,
	CLUSTER_HEAD = 4,             /* bytes before the first field */
	CLUSTER_NAMES_MAX = 65536,    /* rooms, except and attachments of one message */
	CLUSTER_COUNT_MAX = 1 << 24,  /* clients that one node may say it has asked */
	CLUSTER_PIECE_MAX = 65536,    /* bytes of a carried request or answer in one message */
	CLUSTER_ADDRESS_MAX = 63,     /* bytes of a client's address */
	CLUSTER_HOST_MAX = 16384,     /* bytes of the host that it asked for */
};

enum cluster_type {
	CLUSTER_EMIT = 1,             /* an event for the target's clients */
	CLUSTER_ASK,                  /* the same, each of them is to acknowledge it */
	CLUSTER_COUNT,                /* so many of mine have been asked */
	CLUSTER_ANSWER,               /* one of them has answered */
	CLUSTER_GONE,                 /* one of them never will */
	CLUSTER_JOIN,                 /* the target's sockets join a room */
	CLUSTER_LEAVE,
	CLUSTER_DISCONNECT,
	CLUSTER_FETCH,                /* tell me of the target's sockets */
	CLUSTER_FOUND,                /* some of them, or the last ones */
	CLUSTER_SERVER_EMIT,          /* an event for the servers; with an id it is answered as ASK is */
	CLUSTER_LATE,                 /* one of them has not answered in time */
	CLUSTER_CARRY,                /* a client's request for a session of yours, from its begin */
	CLUSTER_CARRY_ON,             /* more of what that client sends */
	CLUSTER_CARRY_BACK,           /* what it is to be sent */
	CLUSTER_NTYPES,
};

/* How a carried stream goes on behind the bytes of a message. */
enum cluster_carry_end {
	CARRY_MORE,                   /* there may be more */
	CARRY_DONE,                   /* back: the answer is complete, the connection may serve others */
	CARRY_CLOSE,                  /* back: that was all, close the connection */
	CARRY_CUT,                    /* it is cut: the client has gone, or is to go */
	CARRY_STATUS_MIN = 400,       /* on: the rest of the request cannot be read, this status says why; */
	CARRY_STATUS_MAX = 599,       /* back: it was not taken in */
};

struct cluster_message {
	enum cluster_type type;
	uint64_t id;                  /* of the question, as its asker counts; 0: none */
	sio_slice nsp;
	const sio_slice *rooms;       /* the target */
	const sio_slice *except;
	uint32_t rooms_n, except_n;
	sio_slice skip;               /* to write: one more to except, or empty; never read */
	bool is_volatile;
	uint32_t latest_key;
	uint32_t timeout_ms;
	uint32_t count;
	sio_slice room;               /* to join or leave */
	bool closes_session;
	sio_slice name;               /* of an event, not quoted */
	sio_slice json;               /* its arguments without brackets */
	const sio_slice *attachments;
	unsigned attachments_n;
	bool is_last;
	uint32_t sockets_n;
	sio_slice sockets;            /* each as cluster_put_socket writes it */
	uint32_t names_n;             /* read: slices in rooms, except and attachments together */
	size_t socket_rooms_n;        /* read: rooms of all sockets together */
	bool is_secure;               /* who asks, in CARRY */
	sio_slice address, host;
	uint64_t at;                  /* where bytes stand in their direction of the stream */
	uint32_t taken;               /* so many bytes of the other direction are done with */
	uint16_t end;                 /* enum cluster_carry_end */
	sio_slice bytes;
};

/* Append m to out.  Returns 0, SIO_ERR_LIMIT (CLUSTER_NAMES_MAX, SIO_ATTACHMENTS_MAX or
 * SIO_ADAPTER_MESSAGE_MAX) or SIO_ERR_NOMEM; then what was appended is no message. */
SIO_MUST_CHECK int cluster_write(struct buf *out, const struct cluster_message *m);

/* Take bytes apart.  rooms, except and attachments will lie in names, which has place for
 * names_max.  Returns 0; SIO_ERR_PROTO when it is no message of ours; SIO_ERR_LIMIT when
 * names is too small for out->names_n. */
SIO_MUST_CHECK int cluster_read(sio_slice bytes, struct cluster_message *out, sio_slice *names, uint32_t names_max);

/* A socket in FOUND. */
struct cluster_socket {
	sio_slice id;
	const sio_slice *rooms;
	uint32_t rooms_n;
	sio_slice data;
};
void cluster_put_socket(struct buf *out, const struct cluster_socket *s);

/* Take the next one off *rest, which was m.sockets at first.  Its rooms will lie in rooms,
 * which has place for m.socket_rooms_n less those of the sockets before; NULL: nobody wants
 * them.  false: the end. */
bool cluster_next_socket(sio_slice *rest, struct cluster_socket *out, sio_slice *rooms);

#endif
