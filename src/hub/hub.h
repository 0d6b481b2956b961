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
#include <sio/facts.h>
#include <sio/history.h>
#include <sio/server.h>
#include <sio/servers.h>
#include <sio/sockets.h>
#include <sio/work.h>

#include "base/buf.h"
#include "base/guard.h"
#include "base/map.h"
#include "codec/packet.h"
#include "engine/engine.h"

struct hub;
struct sio_trace_packet;
struct sio_namespace;
struct room;

struct hub_limits {
	uint32_t connect_timeout_ms;
	uint32_t partial_timeout_ms;  /* for the attachments of a binary packet to arrive */
	uint32_t max_payload_bytes;
	uint32_t max_rooms;           /* of one socket; 0: no limit */
	uint32_t events_per_second;   /* of one socket; 0: no limit */
	uint32_t events_burst;
	bool keeps_facts;             /* of the first request, as long as the session is open */
};

/* One worker's Socket.IO. */
struct hub {
	struct sio_server *server;
	struct eio_engine *engine;
	struct hub_limits limits;
	struct guard guard;           /* taken by whoever runs the turns */
	struct map nsps_by_name;
	struct sio_namespace *nsps;   /* "/" first */
	struct sio_namespace *parents;          /* in the order in which they were made */
	uint32_t children_n;          /* of all parents */
	bool is_ended;                /* nobody is asked any more */
	sio_namespace_fn *on_new;
	void *new_arg;
	struct sio_socket *ended;     /* since the last hub_reap */
	struct poll *polls;           /* questions to many that are not over */
	struct fetch *fetches;        /* sio_sockets_fetch */
	struct cluster *cluster;      /* NULL: no adapter */
	const struct carry_ops *carry; /* what of other nodes is no business of the hub; NULL: nobody's */
	void (*on_node_gone)(sio_slice node, void *arg); /* sio_server_node_fn */
	void *node_gone_arg;
	struct leaving *leaving;      /* sockets that are about to leave their rooms */
	uint32_t epoch;               /* marks receivers of one broadcast */
	struct buf scratch;           /* quoted event names */
	struct buf stamped;           /* arguments with an offset behind them */
	const struct sio_history_ops *history; /* NULL: no recovery */
	void *history_self;
	uint32_t plain_n;             /* sockets that cannot: they are to see no offsets */
	bool is_kept;                 /* the event stamped last is the history's */
	void (*trace)(const struct sio_trace_packet *packet, void *arg); /* NULL: nobody looks (trace.c) */
	void *trace_arg;
	uint64_t sockets, rooms, events, broadcasts, refused, limited, dropped, recovered, replayed;
	uint64_t adapter_sent, adapter_received, adapter_refused, adapter_failed;
};

/* In each public call that changes something, or walks what others change. */
#define HUB_CHECK(hub) guard_check(&(hub)->guard, __func__)

int hub_init(struct hub *hub, struct sio_server *server, struct eio_engine *engine, const struct hub_limits *limits);
/* All sockets have ended: leave the cluster, hand out what is still gathered.  Timers are
 * as good as ever; afterwards none is set.  Idempotent; hub_fini calls it. */
void hub_close(struct hub *hub);
void hub_fini(struct hub *hub);
void hub_reap(struct hub *hub);  /* the end of a turn: sockets that have ended may go */
struct hub *hub_of(const struct sio_server *server); /* given by whoever embeds the hub */

/* ---- clients (client.c) ------------------------------------------------------ */

/* What is known of a client while it connects: facts of its first request, and the
 * deadline (until the first namespace is connected).  One block; counted, for a connect request may outlive the client. */
struct hub_opening {
	struct sio_timer timer;
	struct hub_client *client;    /* NULL: gone */
	struct pool *pool;            /* it came from; NULL: malloc */
	uint32_t refs;
	uint32_t headers_n;
	bool is_secure;               /* the client speaks https or wss */
	int64_t issued_ms;            /* wall clock */
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
	struct hub_opening *opening;  /* until the first namespace is connected, or kept */
	bool was_disconnected;        /* by us, from a namespace: late packets are forgiven */
	uint8_t refused_n;            /* CONNECTs refused so far */
};

void hub_client_open(struct hub_client *c, struct hub *hub, struct eio_session *session, struct hub_opening *opening);
void hub_message(struct hub_client *c, char *data, size_t n, bool is_binary);
void hub_closed(struct hub_client *c, const char *reason);

/* While hub->trace is set: a message that came, a frame that was queued (trace.c). */
void hub_trace_in(struct hub_client *c, sio_slice data, bool is_binary);
void hub_trace_out(struct hub_client *c, struct frame *f);

struct connect_step;

/* A CONNECT under decision.  step is the middleware that has it now, of list. */
struct sio_connect {
	struct hub_client *client;    /* NULL: gone */
	struct hub *hub;
	struct sio_namespace *nsp;    /* counted */
	struct hub_opening *opening;
	struct sio_connect *next;     /* of the same client */
	const struct connect_step *step;
	enum { STEPS_NONE, STEPS_OF_PARENT, STEPS_OWN, STEPS_DONE } list;
	struct saved *saved;          /* the session it will get back; NULL: a new one */
	bool has_ids;                 /* it will have these (recover_ids) */
	bool is_plain;                /* no recovery for it */
	char sid[SIO_ID_LEN], pid[SIO_ID_LEN];
	struct buf auth;
};

/* ---- sockets (socket.c) -------------------------------------------------------- */

struct membership {
	struct room *room;
	uint32_t index;               /* of the socket among the room's members */
};

struct held_queue;
struct ask;
struct asked;

enum { SOCKET_NEAR = 2 }; /* rooms without a block of their own: its user's and a project's */

struct sio_socket {
	struct map_node by_id;
	struct sio_namespace *nsp;
	struct hub_client *client;    /* NULL: ended */
	struct sio_socket *next;      /* of the same client; once ended, of hub->ended */
	struct held_queue *held;      /* events waiting for sio_socket_resume; NULL: none */
	struct asked *asked;          /* questions open; NULL: none */
	struct recovery *recovery;    /* NULL: the hub has no history */
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

/* id: NULL for a fresh one; else one that no socket of nsp has. */
struct sio_socket *socket_new(struct hub_client *c, struct sio_namespace *nsp, const char *id);
void socket_end(struct sio_socket *s, const char *reason);
/* Take back a socket of which nobody has heard yet. */
void socket_cancel(struct sio_socket *s);
/* An event or the client's DISCONNECT: dispatch it now, or hold it while s is paused. */
void socket_packet(struct sio_socket *s, const struct packet *p, const sio_slice *attachments);

/* ---- questions to clients (ask.c, ask_many.c) --------------------------------------- */

/* Wait for an ACK of that id from s.  0 and *out, good until fn is called;
 * SIO_ERR_LIMIT (SIO_ASKS_MAX are open) or SIO_ERR_NOMEM. */
SIO_MUST_CHECK int ask_new(struct sio_socket *s, uint64_t id, uint32_t timeout_ms, sio_answer_fn *fn, void *arg,
			   struct ask **out);
/* It was never asked: fn is not called. */
void ask_take_back(struct ask *ask);
/* The hub ends, when all sockets have and before the wheel goes: what is still gathered
 * is handed out, and nothing more is asked. */
void polls_end(struct hub *hub);
void fetches_end(struct hub *hub);

/* A question to many.  What is to be heard of is counted as open; the poll ends with the
 * last one, unless that happens before poll_wait. */
struct poll;
struct inquiry;
/* Told of each that has answered (status 0) or never will. */
typedef void poll_each_fn(int status, const struct sio_args *args, void *arg);
struct poll *poll_new(struct sio_namespace *nsp, sio_answers_fn *fn, void *arg);
/* As sio_sockets_ask; each (NULL: none) gets the answers in place of fn. */
long poll_sockets(struct sio_namespace *nsp, const struct sio_target *target, sio_slice name,
		  const struct sio_args *args, uint32_t timeout_ms, poll_each_fn *each, sio_answers_fn *fn, void *arg);
/* Other nodes have been asked as well; far is the poll's from now on. */
void poll_join(struct poll *poll, struct inquiry *far);
void poll_wait(struct poll *poll, uint32_t timeout_ms);
void poll_cancel(struct poll *poll);                  /* fn is not called */
void poll_heard(struct poll *poll, int status, const struct sio_args *args);
void poll_counted(struct poll *poll, size_t asked_n); /* a node has asked so many */
void poll_lost(struct poll *poll, size_t n);          /* so many will not be heard of */

/* An ACK came; one of nothing we asked for is ignored. */
void ask_answered(struct sio_socket *s, const struct packet *p, const sio_slice *attachments);
/* The socket has ended: every open question is told so. */
void ask_end(struct sio_socket *s);

/* ---- namespaces (namespace.c, rules.c) -------------------------------------------- */

struct connect_step;
struct event_step;

/* What the application wants of a namespace. */
struct nsp_rules {
	struct map handlers;          /* by event name */
	struct connect_step *connect_steps;
	struct event_step *event_steps;
	sio_connect_fn *on_connect;
	void *connect_arg;
	sio_disconnect_fn *on_disconnect;
	void *disconnect_arg;
	sio_disconnect_fn *on_disconnecting;
	void *disconnecting_arg;
	sio_event_fn *on_unhandled;
	void *unhandled_arg;
	sio_event_fn *on_any;
	void *any_arg;
	sio_outgoing_fn *on_outgoing;
	void *outgoing_arg;
	sio_limited_fn *on_limited;
	void *limited_arg;
	sio_dropped_fn *on_dropped;
	void *dropped_arg;
	sio_describe_fn *on_describe;
	void *describe_arg;
	sio_server_event_fn *on_server_event;
	void *server_event_arg;
};

struct sio_namespace {
	struct map_node by_name;      /* unless a parent */
	struct hub *hub;
	struct sio_namespace *next, **back; /* of hub->nsps or hub->parents */
	struct sio_namespace *parent; /* counted; NULL: was made by name */
	struct nsp_rules rules;
	struct map sockets_by_id;
	struct map rooms;             /* by name */
	struct sio_socket **sockets;  /* all of them, dense */
	void *data;
	sio_namespace_match_fn *match; /* of a parent: which names it takes */
	void *match_arg;
	void (*match_free)(void *arg);
	uint64_t next_ask;            /* id of the next event that wants an ACK (section 6) */
	uint32_t sockets_n, sockets_cap;
	uint32_t asking_n;            /* connect requests under decision */
	uint32_t refs;                /* the hub's, its sockets', requests' and children's */
	bool is_kept;
	bool is_closed;
	char name[];                  /* a parent's is empty */
};

/* The rules that decide a matter: nsp's own, or its parent's where it has none. */
#define NSP_RULES(nsp, fn) ((nsp)->rules.fn || !(nsp)->parent ? &(nsp)->rules : &(nsp)->parent->rules)

SIO_MUST_CHECK int nsp_open_main(struct hub *hub);
void nsp_unref(struct sio_namespace *nsp);
struct sio_namespace *nsp_find(const struct hub *hub, sio_slice name);
/* The namespace of that name, made by a parent if one takes it.  The application is
 * asked, and may do anything meanwhile.  0, SIO_ERR_NOENT, SIO_ERR_CLOSED (it was made,
 * and closed at once) or SIO_ERR_NOMEM; *out is NULL then. */
SIO_MUST_CHECK int nsp_of_client(struct hub *hub, sio_slice name, sio_slice auth, struct sio_namespace **out);
/* A socket or request has left: an empty child is forgotten. */
void nsp_relax(struct sio_namespace *nsp);
SIO_MUST_CHECK int nsp_add(struct sio_namespace *nsp, struct sio_socket *s);
void nsp_del(struct sio_namespace *nsp, struct sio_socket *s);
void nsp_free_all(struct hub *hub);

void rules_init(struct nsp_rules *rules);
void rules_fini(struct nsp_rules *rules);
/* Ask the next middleware of req, then its handler; without one accept. */
void rules_connect(struct sio_connect *req);
/* Let event go through chain and handlers.  The socket may end on the way; the caller
 * holds its memory. */
void rules_event(struct sio_socket *s, const struct sio_event *event);

/* ---- rooms (room.c) ----------------------------------------------------------------- */

struct member {
	struct sio_socket *socket;
	struct eio_session *session;  /* the socket's, as long as it is a member */
};

enum { ROOM_INLINE = 1 };

struct room {
	struct map_node by_name;
	struct member *members;
	uint32_t n, cap;
	struct member first[ROOM_INLINE]; /* most rooms are one user's own */
	char name[];
};

struct room *room_find(const struct sio_namespace *nsp, sio_slice name);
void room_leave_all(struct sio_socket *s);

/* ---- many sockets (broadcast.c, sockets.c) -------------------------------------------- */

/* target NULL: everybody. */
static inline const struct sio_target *target_or_all(const struct sio_target *target)
{
	static const struct sio_target all;

	return target ? target : &all;
}

/* Queue f to the target's sockets on this server.  Returns how many. */
long broadcast_local(struct sio_namespace *nsp, const struct sio_target *target, struct frame *f);

/* The target's sockets on this server, each with a reference. */
struct socket_list {
	struct sio_socket **at;
	uint32_t n;
};
/* A socket whose disconnecting handlers run: still in its rooms, reached by nobody. */
struct leaving {
	struct sio_socket *socket;
	struct leaving *outer;
};

SIO_MUST_CHECK int sockets_list(struct sio_namespace *nsp, const struct sio_target *target, struct socket_list *out);
void sockets_unlist(struct socket_list *list);

/* ---- recovery (recover.c) --------------------------------------------------------------- */

struct saved;

/* Look whether req asks for a session that is kept, then let it go its way. */
void recover_ask(struct sio_connect *req);
/* Before its socket is made: the ids that req's will have unless it gets those of a saved session;
 * none (has_ids) when it is not to come back.  0, or SIO_ERR_SYSTEM (the crypto library has no SHA-256). */
SIO_MUST_CHECK int recover_ids(struct sio_connect *req);
/* A socket begins, as req's saved one or as a new one; ends (reason NULL: nobody has heard
 * of it); has other rooms. */
SIO_MUST_CHECK int recover_begin(struct sio_socket *s, const struct sio_connect *req);
void recover_end(struct sio_socket *s, const char *reason);
/* Section 10: is this end a loss, after which a client may come back? */
bool recover_is_loss(const char *reason);
void recover_changed(const struct sio_socket *s);
sio_slice recover_pid(const struct sio_socket *s);   /* empty: none */
sio_slice recover_sid(const struct saved *saved);
/* Give s what it missed and its rooms; saved is freed. */
void recover_replay(struct sio_socket *s, struct saved *saved);
void recover_give_back(struct hub *hub, struct saved *saved);   /* NULL allowed */
/* Put the offset behind the arguments that want one; *json is good until the next call. */
SIO_MUST_CHECK int recover_stamp(struct hub *hub, sio_slice *json, bool may_keep);
/* What was stamped last goes to the history, if it keeps it. */
void recover_append(struct sio_namespace *nsp, const struct sio_target *target, struct frame *f,
		    const struct sio_args *args);
void recover_fini(struct hub *hub);

/* ---- packets out (emit.c) ----------------------------------------------------------- */

/* Encode p with its attachments; one reference, the caller's.  NULL: no memory. */
struct frame *emit_encode(struct hub *hub, const struct packet *p, const sio_slice *attachments);
/* An event of nsp; *out is NULL with SIO_ERR_INVAL or SIO_ERR_NOMEM. */
/* args NULL: none. */
static inline const struct sio_args *args_or_none(const struct sio_args *args)
{
	static const struct sio_args none = { { "", 0 }, 0, 0 };

	return args ? args : &none;
}

enum emit_kind {
	EMIT_KEPT,      /* the history keeps it: the caller calls recover_append */
	EMIT_PASSING,   /* nobody will miss it */
	EMIT_PLAIN,     /* nobody who gets it knows offsets */
};
int emit_event(struct sio_namespace *nsp, sio_slice name, const struct sio_args *args, uint64_t id, enum emit_kind kind,
	       struct frame **out);
int emit_packet(struct hub_client *c, const struct packet *p, const sio_slice *attachments);
/* Tell the catch-all handler of what was queued to s. */
void emit_tell(struct sio_socket *s, sio_slice name, const struct sio_args *args);

#endif
