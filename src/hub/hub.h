/* hub.h -- Socket.IO v5 on top of Engine.IO sessions: namespaces, sockets, rooms.
 *
 * Messages of a session come in through hub_message, packets go out as shared
 * frames through eio_send.  Knows no transport, no socket and no clock.  A client is
 * one Engine.IO session; a socket is a client in a namespace.  What strangers do
 * wrong closes the whole session, as the protocol demands; the one function for
 * that is client_fault in client.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include <sio/namespace.h>
#include <sio/room.h>
#include <sio/server.h>
#include <sio/socket.h>
#include <sio/work.h>

#include "base/buf.h"
#include "base/map.h"
#include "codec/packet.h"
#include "engine/engine.h"

struct hub;
struct sio_namespace;
struct room;

struct hub_limits {
	uint32_t connect_timeout_ms;
	uint32_t partial_timeout_ms;  /* for the attachments of a binary packet to arrive */
	uint32_t max_payload_bytes;
	uint32_t max_rooms;           /* of one socket; 0: no limit */
	uint32_t events_per_second;   /* of one socket; 0: no limit */
	uint32_t events_burst;
};

struct handler {
	struct map_node by_name;
	sio_event_fn *fn;
	void *arg;
	char name[];
};

/* One worker's Socket.IO. */
struct hub {
	struct sio_server *server;
	struct eio_engine *engine;
	struct hub_limits limits;
	struct sio_namespace *nsps;             /* "/" first */
	uint32_t epoch;               /* marks receivers of one broadcast */
	struct buf scratch;           /* quoted event names */
	uint64_t sockets, rooms, events, broadcasts, refused, limited;
};

int hub_init(struct hub *hub, struct sio_server *server, struct eio_engine *engine, const struct hub_limits *limits);
void hub_fini(struct hub *hub);
struct hub *hub_of(const struct sio_server *server); /* given by whoever embeds the hub */

/* ---- clients (client.c) ------------------------------------------------------ */

/* What is known of a client while it connects: facts of its first request, and the
 * deadline.  One block; counted, for a connect request may outlive the client. */
struct hub_opening {
	struct sio_timer timer;
	struct hub_client *client;    /* NULL: gone */
	struct pool *pool;            /* it came from; NULL: malloc */
	uint32_t refs;
	uint32_t headers_n;
	bool is_secure;               /* the client speaks https or wss */
	sio_slice url;
	sio_slice address;
	struct {
		sio_slice name, value;
	} headers[];                  /* their bytes lie behind the array */
};
void hub_opening_unref(struct hub_opening *o);

struct hub_client {
	struct hub *hub;
	struct eio_session *session;
	struct sio_socket *sockets;   /* connected ones, one a namespace */
	struct sio_connect *asking;   /* CONNECTs under decision */
	struct hub_partial *partial;  /* a binary packet whose attachments are on their way */
	struct hub_opening *opening;  /* until the first namespace is connected */
	bool was_disconnected;        /* by us, from a namespace: late packets are forgiven */
	uint8_t refused_n;            /* CONNECTs refused so far */
};

void hub_client_open(struct hub_client *c, struct hub *hub, struct eio_session *session, struct hub_opening *opening);
void hub_message(struct hub_client *c, char *data, size_t n, bool is_binary);
void hub_closed(struct hub_client *c, const char *reason);

struct sio_connect {
	struct hub_client *client;    /* NULL: gone */
	struct hub *hub;
	struct sio_namespace *nsp;
	struct hub_opening *opening;
	struct sio_connect *next;     /* of the same client */
	struct buf auth;
};

/* ---- sockets (socket.c) -------------------------------------------------------- */

struct membership {
	struct room *room;
	uint32_t index;               /* of the socket among the room's members */
};

struct held_queue;
struct asked;

enum { SOCKET_NEAR = 2 }; /* rooms without a block of their own: its user's and a project's */

struct sio_socket {
	struct map_node by_id;
	struct sio_namespace *nsp;
	struct hub_client *client;    /* NULL: ended */
	struct sio_socket *next;      /* of the same client */
	struct held_queue *held;      /* events waiting for sio_socket_resume; NULL: none */
	struct asked *asked;          /* questions open; NULL: none */
	struct membership *rooms;     /* near, or a block of rooms_cap */
	struct membership near[SOCKET_NEAR];
	void *data;
	uint32_t refs;
	uint32_t mark;                /* == hub->epoch: served in this broadcast */
	uint32_t index;               /* in nsp->sockets */
	uint32_t tokens;              /* thousandths of an event it may still send */
	uint32_t refilled_ms;         /* low bits of the time of the last refill */
	uint16_t rooms_n, rooms_cap;
	uint16_t paused_n;
	char id[SIO_ID_LEN];
};

struct sio_socket *socket_new(struct hub_client *c, struct sio_namespace *nsp);
void socket_end(struct sio_socket *s, const char *reason);
/* Take back a socket of which nobody has heard yet. */
void socket_cancel(struct sio_socket *s);
/* An event or the client's DISCONNECT: dispatch it now, or hold it while s is paused. */
void socket_packet(struct sio_socket *s, const struct packet *p, const sio_slice *attachments);

/* ---- questions to clients (ask.c) -------------------------------------------------- */

/* An ACK came; one of nothing we asked for is ignored. */
void ask_answered(struct sio_socket *s, const struct packet *p, const sio_slice *attachments);
/* The socket has ended: every open question is told so. */
void ask_end(struct sio_socket *s);

/* ---- namespaces and rooms (room.c) ----------------------------------------------- */

struct sio_namespace {
	struct hub *hub;
	struct sio_namespace *next;
	struct map sockets_by_id;
	struct map rooms;             /* by name */
	struct map handlers;          /* by event name */
	sio_connect_fn *on_connect;
	void *connect_arg;
	sio_disconnect_fn *on_disconnect;
	void *disconnect_arg;
	sio_event_fn *on_any;
	void *any_arg;
	sio_limited_fn *on_limited;
	void *limited_arg;
	struct sio_socket **sockets;  /* all of them, dense */
	uint64_t next_ask;            /* id of the next event that wants an ACK (section 6) */
	uint32_t sockets_n, sockets_cap;
	char name[];
};

struct sio_namespace *nsp_new(struct hub *hub, sio_slice name);
void nsp_free(struct sio_namespace *nsp);
struct sio_namespace *nsp_find(const struct hub *hub, sio_slice name);
SIO_MUST_CHECK int nsp_add(struct sio_namespace *nsp, struct sio_socket *s);
void nsp_del(struct sio_namespace *nsp, struct sio_socket *s);
void room_leave_all(struct sio_socket *s);

/* ---- packets out (emit.c) ----------------------------------------------------------- */

/* Encode p with its attachments; one reference, the caller's.  NULL: no memory. */
struct frame *emit_encode(struct hub *hub, const struct packet *p, const sio_slice *attachments);
/* An event of nsp; *out is NULL with SIO_ERR_INVAL or SIO_ERR_NOMEM. */
int emit_event(struct sio_namespace *nsp, sio_slice name, const struct sio_args *args, uint64_t id, struct frame **out);
int emit_packet(struct hub_client *c, const struct packet *p, const sio_slice *attachments);

#endif
