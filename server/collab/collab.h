/* collab.h -- what a connected socket does: projects, presence, cursors, typing.
 *
 * collab installs the connect, disconnect and event handlers of a libsio server
 * (namespace "/") and knows who is in which project.  It asks the store who may
 * enter and the judge whose token it is; it refuses to know HTTP, SQL and
 * JOSE.  The REST API and the command line reach connected users through the
 * calls below.
 *
 * Rooms are named "project:<project_id>" and "user:<user_id>".
 *
 * Thread: all calls belong to the loop thread of the server given to collab_new.
 * Lifetime: sio_server_new, collab_new, sio_server_listen .. the server's loop
 * runs and ends .. store_close (which calls every completion that is left) ..
 * collab_free, sio_server_free.
 * The room user:<id> counts as one of a socket's rooms: sio_server_options.max_rooms
 * is the projects one connection may join, plus one.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef COLLAB_COLLAB_H
#define COLLAB_COLLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sio/error.h>
#include <sio/slice.h>

struct buf;
struct collab;
struct judge;
struct sio_socket;
struct sio_server;
struct store;

/* Zero means the default that stands behind each field, unless said otherwise. */
struct collab_options {
	uint32_t presence_grace_ms;        /* taken as it is; the contract's default is 1000 */
	uint32_t max_connections_per_user; /* 0: no limit of our own */
	uint32_t typing_timeout_ms;        /* 5000 */
	uint32_t token_warning_ms;         /* 60000: token:expiring comes so long before the end */
	uint32_t token_leeway_ms;          /* 0: how far past its end the verifier takes a token */
	/* Connection state recovery on the store: how long a client that was lost may come back,
	 * and what it may have missed by then; more, and it starts anew. */
	uint32_t recovery_window_ms;       /* 0: off */
	uint32_t recovery_events_max;      /* 1000 */
	size_t recovery_bytes_max;         /* 524288; must fit the server's send queue */
};

/* Install the handlers on server, which has its adapter already if it is to have one.  store and judge are borrowed; completions
 * are posted to server (store_ask.loop).  Returns 0 and *out, or SIO_ERR_NOMEM. */
SIO_MUST_CHECK int collab_new(struct sio_server *server, struct store *store, struct judge *judge,
			      const struct collab_options *options, struct collab **out);

/* The server is about to close: its clients are not lost but told to go, and may come back
 * within the window of the next start. */
void collab_end(struct collab *collab);

/* Free it, after the server's loop has ended.  NULL is allowed. */
void collab_free(struct collab *collab);

/* Whose socket it is; empty before it is admitted.  Valid as long as the socket is open. */
sio_slice collab_user_of(const struct sio_socket *socket);

/* ---- events to connected users ------------------------------------------------ */

struct collab_emit {
	sio_slice event;      /* name, 1 .. COLLAB_EVENT_MAX bytes, not a reserved one */
	sio_slice args;       /* JSON text of the one argument, usually an object; checked by the caller */
	sio_slice except_sid; /* this socket does not get it; empty for none */
	bool is_volatile;     /* may be dropped for a receiver that lags */
	int64_t position;     /* of a committed event, from the store, in their order; COLLAB_LATE: sent behind
			       * others that came after it; 0: it is not recovered */
	int64_t newest;       /* the greatest position of the same commit, if known: one call to other servers is
			       * enough for all of it */
	bool is_local;        /* only to users of this server: each finds it in the store, and this one was told by it */
};
#define COLLAB_EVENT_MAX 128
#define COLLAB_SID_MAX 64  /* of except_sid */
#define COLLAB_LATE (-1)   /* for position */

/* Emit to the members of a project, to all sockets of a user, or to any room by
 * its full name.  Bytes are copied.  Returns the number of receivers on this
 * server (0 is no error), SIO_ERR_INVAL (reserved or bad event name, bad room
 * name) or SIO_ERR_NOMEM. */
long collab_emit_project(struct collab *collab, sio_slice project_id, const struct collab_emit *emit);
long collab_emit_user(struct collab *collab, sio_slice user_id, const struct collab_emit *emit);
long collab_emit_room(struct collab *collab, sio_slice room, const struct collab_emit *emit);

/* Emit a committed event of a project, whose number there is seq.  The members get
 * such events in the order of their numbers, each once: one that was sent already is
 * not sent again; when a number is missing, the event waits until the missing ones
 * have come or were read from the store (then it goes to as many as are there now, which
 * is what is returned).  Other servers that have members there are told, unless it is_local,
 * and do the same.  seq 0: the event has no number and goes at once.  Returns as
 * collab_emit_project. */
long collab_emit_durable(struct collab *collab, sio_slice project_id, int64_t seq, const struct collab_emit *emit);

/* ---- access -------------------------------------------------------------------- */

/* The role of a user in a project may have changed: read it again from the store
 * and, when it is gone, send "access:revoked" {project_id} to the user's sockets
 * there, take them out of the room, and tell the others "user:left".  An empty
 * user_id means every user present in the project (it was deleted, say), an empty
 * project_id every project; both empty: all presence there is.  Returns at once. */
void collab_access_changed(struct collab *collab, sio_slice project_id, sio_slice user_id);

/* Disconnect all sockets of a user (Socket.IO DISCONNECT, then the session is
 * closed: the stock client does not come back by itself).  Returns how many. */
size_t collab_disconnect_user(struct collab *collab, sio_slice user_id);

/* ---- other servers --------------------------------------------------------------- */

/* What the servers ask each other.  Each one answers for itself, with one object. */
#define COLLAB_ASK_USER "user"             /* user id: as collab_user_json */
#define COLLAB_ASK_DISCONNECT "disconnect" /* user id: {"disconnected":N} */

/* Append this server's answer to one of these.  false: there is no such question. */
bool collab_answer(struct collab *collab, sio_slice what, sio_slice id, struct buf *out);

/* ---- questions ------------------------------------------------------------------- */

struct collab_counts { /* of this server */
	size_t connections;   /* sockets connected now */
	size_t users;         /* users with at least one connection now */
	size_t project_rooms; /* projects with at least one socket in them now */
	size_t presence;      /* (user, project) pairs that others see as present now */
	/* Refused connects since the start, by code. */
	uint64_t refused_token_missing;
	uint64_t refused_token_invalid;
	uint64_t refused_token_expired;
	uint64_t refused_too_many;
	uint64_t refused_unavailable;
};
void collab_counts(const struct collab *collab, struct collab_counts *out);

/* Call fn for each event name that clients may send, with the number received
 * since the start; unknown names are counted together as "unknown". */
typedef void collab_event_fn(const char *name, uint64_t received_n, void *arg);
void collab_each_event(const struct collab *collab, collab_event_fn *fn, void *arg);

/* Call fn for each result that a client which asked for its session back may get, with the
 * number since the start: "recovered", or why not. */
void collab_each_recovery(const struct collab *collab, collab_event_fn *fn, void *arg);

/* Append {"project_id":..,"users":[{"user_id","name","connections","joined_at",
 * "state"?}]} to out: the users of all servers, as far as they are known here.  A project in which
 * nobody is present has no users.  joined_at is UTC as "2026-11-23T06:45:39.123Z".  Out of memory shows in out->failed. */
void collab_presence_json(struct collab *collab, sio_slice project_id, struct buf *out);

/* The same with "missing_nodes":[..], once the other servers' users are known, or were waited for in
 * vain (LEASE_JOIN_WAIT_MS): these are the missing ones.  done is called once, now or later, and may
 * take what is in json. */
typedef void collab_list_fn(struct buf *json, void *arg);
void collab_list(struct collab *collab, sio_slice project_id, collab_list_fn *done, void *arg);

/* Append "missing_nodes":[..]: the servers that have told nothing for a while or, unless project_id
 * is empty, whose users there are not known. */
void collab_put_missing(const struct collab *collab, sio_slice project_id, struct buf *out);

/* Of all servers; those of others as of their last beat. */
struct collab_facts {
	size_t connections;
	size_t project_rooms;
};
void collab_facts(const struct collab *collab, struct collab_facts *out);

/* How many sockets the user has connected. */
size_t collab_user_connections(const struct collab *collab, sio_slice user_id);

/* Append {"user_id":..,"connections":N,"sockets":[{"sid","connected_at",
 * "projects":[..]}]} to out. */
void collab_user_json(struct collab *collab, sio_slice user_id, struct buf *out);

#endif
