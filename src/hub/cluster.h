/* cluster.h -- a hub with an adapter is a node among others.
 *
 *	broadcast.c, sockets.c, ask_many.c ...    what the application wants
 *	      |  cluster_emit, cluster_move, far_ask ...            ^
 *	      v                                                     |
 *	cluster.c, interest.c  -- bytes -->  adapter  -- bytes -->  deliver.c
 *
 * Without an adapter hub->cluster is NULL and nobody comes here.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef HUB_CLUSTER_H
#define HUB_CLUSTER_H

#include <sio/adapter.h>
#include <sio/servers.h>

#include "codec/cluster.h"
#include "hub/hub.h"

/* Channels with a time each, oldest first; they all stay equally long. */
struct dated;
struct dated_list {
	struct map by_channel;
	struct dated *oldest, *newest;
};

/* Connections that one node carries for another, which is the business of whoever knows
 * connections; set before the adapter. */
struct carry_ops {
	/* A message of the types CLUSTER_CARRY...; negative: its sender may not say that. */
	int (*message)(struct sio_server *server, sio_slice from, const struct cluster_message *m);
	void (*node_gone)(struct sio_server *server, sio_slice node);
	/* Messages between us and it, empty: and any of them, may be missing. */
	void (*lost)(struct sio_server *server, sio_slice node);
};

struct cluster {
	struct hub *hub;
	const struct sio_adapter_ops *ops;
	void *self;
	bool is_open;
	char node[SIO_NODE_ID_LEN + 1];
	struct buf out;               /* the message that is being written */
	uint64_t next_id;             /* of the next inquiry; the first one is 1 */
	struct map inquiries;         /* open ones, by id */
	struct dated_list lingering;  /* channels of nobody that a history wants to hear still */
	struct dated_list fresh;      /* rooms that others were told to join a moment ago */
	struct sio_timer timer;       /* of the oldest lingering one */
};

/* ---- going out (cluster.c) ---------------------------------------------------------- */

/* Leave the other nodes; what waits for them waits no longer.  Idempotent. */
void cluster_close(struct hub *hub);
void cluster_fini(struct hub *hub);

static inline void cluster_set_target(struct cluster_message *m, const struct sio_target *t)
{
	m->rooms = t->rooms;
	m->rooms_n = t->rooms_n;
	m->except = t->except;
	m->except_n = t->except_n;
	m->skip = t->skip ? sio_socket_id(t->skip) : sio_bytes("", 0);
}

static inline void cluster_set_args(struct cluster_message *m, const struct sio_args *args)
{
	m->json = args->json;
	m->attachments = args->attachments;
	m->attachments_n = args->attachments_n;
}

/* The event of a broadcast, for the other nodes and for processes of other kinds. */
void cluster_emit(struct sio_namespace *nsp, const struct sio_target *target, sio_slice name,
		  const struct sio_args *args);
/* The same for processes of other kinds; as ops->tell_neighbours. */
int cluster_tell_neighbours(struct sio_namespace *nsp, const struct sio_target *target, sio_slice name,
			    const struct sio_args *args);
/* The target's sockets of other nodes: CLUSTER_JOIN and CLUSTER_LEAVE room. */
void cluster_move(struct sio_namespace *nsp, const struct sio_target *target, enum cluster_type type, sio_slice room);
void cluster_disconnect(struct sio_namespace *nsp, const struct sio_target *target, bool close_session);
/* m to the nodes that have sockets in room. */
int cluster_tell(struct sio_namespace *nsp, sio_slice room, const struct cluster_message *m);
/* m as bytes, valid until the next call: 0, SIO_ERR_LIMIT or SIO_ERR_NOMEM, which is counted
 * as a failure. */
int cluster_encode(struct cluster *c, const struct cluster_message *m, sio_slice *out);
/* To one node: 0, or as ops->send; cluster_send also as cluster_encode. */
int cluster_send_bytes(struct cluster *c, sio_slice node, sio_slice bytes);
int cluster_send(struct cluster *c, sio_slice node, const struct cluster_message *m);

/* The node whose server has that id of its own: as it is known here now, in out.  false: it
 * is not. */
bool cluster_find(struct cluster *c, sio_slice own_id, char out[SIO_NODE_ID_LEN]);

/* As ops->pass. */
int cluster_pass(struct cluster *c, sio_slice node, int fd, sio_slice bytes);

/* ---- who wants to hear what (interest.c) ----------------------------------------------- */

/* The first socket of nsp, or the first member of a room (empty: of nsp), is about to be
 * here: 0, or SIO_ERR_NOMEM.  The last one has left. */
SIO_MUST_CHECK int interest_begin(struct sio_namespace *nsp, sio_slice room);
void interest_end(struct sio_namespace *nsp, sio_slice room);
/* Does a history want to hear of nsp, though nobody is in it? */
bool interest_lingers(const struct sio_namespace *nsp);
/* Others were told to put sockets into room. */
void interest_joined(struct sio_namespace *nsp, sio_slice room);
/* The channel for a target, written to out. */
sio_slice interest_channel(struct sio_namespace *nsp, const struct sio_target *target, char out[SIO_CHANNEL_MAX]);
void interest_init(struct cluster *c);
void interest_fini(struct cluster *c);

/* ---- questions to other nodes (inquiry.c) ------------------------------------------------- */

enum inquiry_state {
	NODE_SILENT,    /* has said nothing yet */
	NODE_TELLING,   /* has said how much will come, or a part of it */
	NODE_DONE,
	NODE_GONE,      /* will not answer */
};

struct inquiry_node {
	char id[SIO_NODE_ID_LEN];
	enum inquiry_state state;
	uint32_t open_n;              /* clients it has asked that have not answered */
};

struct inquiry {
	struct map_node by_id;
	struct cluster *cluster;
	uint64_t id;
	struct poll *poll;            /* it is part of this one, */
	struct fetch *fetch;          /* or of this one; neither: nobody will answer */
	uint32_t nodes_n;
	struct inquiry_node nodes[];
};

/* An inquiry to all nodes that are known now; the caller says for which poll or fetch.  0
 * with *out, which is NULL when there are none (or c is NULL); or SIO_ERR_NOMEM. */
SIO_MUST_CHECK int inquiry_new(struct cluster *c, struct inquiry **out);
void inquiry_free(struct inquiry *q);   /* NULL allowed */
/* Send m to the nodes of q; whom it does not reach counts as gone.  Returns to how many it
 * went, SIO_ERR_LIMIT or SIO_ERR_NOMEM. */
long inquiry_send(struct inquiry *q, const struct cluster_message *m);
struct inquiry *inquiry_find(const struct cluster *c, uint64_t id);
struct inquiry_node *inquiry_node(struct inquiry *q, sio_slice node);
/* How many nodes and clients are still to be heard of. */
size_t inquiry_open_n(const struct inquiry *q);
/* Which, and how many, nodes have not said what they had to say. */
bool inquiry_is_missing(const struct inquiry *q, const struct inquiry_node *node);
size_t inquiry_missing_n(const struct inquiry *q);
/* A node is gone, node empty: all are; those who wait are told. */
void inquiries_lose(struct cluster *c, sio_slice node);

/* ---- the other nodes' part in polls (far.c) and fetches (fetch.c) ----------------------------- */

/* Ask the nodes of q, which is of a poll.  Those that cannot be asked count as gone. */
void far_ask(struct inquiry *q, struct sio_namespace *nsp, const struct sio_target *target, sio_slice name,
	     const struct sio_args *args, uint32_t timeout_ms);

/* What another node said; negative: it may not say that. */
int far_on_ask(struct hub *hub, sio_slice from, const struct cluster_message *m);
int far_on_count(struct hub *hub, sio_slice from, const struct cluster_message *m);
int far_on_answer(struct hub *hub, sio_slice from, const struct cluster_message *m);
int far_on_gone(struct hub *hub, sio_slice from, const struct cluster_message *m);
int far_on_late(struct hub *hub, sio_slice from, const struct cluster_message *m);
void far_lost(struct inquiry *q, struct inquiry_node *node);
int servers_on_emit(struct hub *hub, sio_slice from, const struct cluster_message *m);
int fetch_on_ask(struct hub *hub, sio_slice from, const struct cluster_message *m);
int fetch_on_found(struct hub *hub, sio_slice from, const struct cluster_message *m);
void fetch_lost(struct inquiry *q, struct inquiry_node *node);

/* Is json a list of JSON values?  For what is handed to an application. */
bool far_json_ok(sio_slice json);

#endif
