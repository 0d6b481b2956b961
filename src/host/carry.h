/* carry.h -- requests that reach one server and belong to another (decision 0030).
 *
 *	client --- carriage (carry.c) --- messages of the adapter --- carried (carried.c) --- session
 *	           the connection's server                            the session's server
 *
 * The carrier reads requests as ever; one with the sid of another node it writes down again
 * and sends there.  To the owner that is a connection like any other, but for its socket
 * (net_far), so everything that may happen to a request happens at the owner and once.  What
 * the owner writes is sent back as it is.  Both directions are streams of bytes that know
 * where they stand, so that nothing is lost or doubled unnoticed, and that wait when
 * CARRY_WINDOW bytes have not been taken at the other end.
 *
 *	carrier                                   owner
 *	CARRY    id, who asks, bytes         -->
 *	CARRY_ON id, bytes, taken, end       -->  end: CARRY_CUT, or a status: cannot be read
 *	                                     <--  CARRY_BACK id, bytes, taken, end
 *
 * Whoever hears of an id that it does not know says CARRY_CUT, and counts a stray.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef HOST_CARRY_H
#define HOST_CARRY_H

#include "codec/cluster.h"
#include "host/proxy.h"
#include "hub/cluster.h"
#include "net/net.h"

enum {
	CARRY_WINDOW = 262144,     /* bytes of one direction that are under way or not taken yet */
	CARRY_MAX = 100000,        /* requests carried for other nodes at once, and by them for us */
	CARRY_GRACE_MS = 5000,     /* an owner says something within both ping times; and this */
};

struct carriage;
struct carried;

/* Of one server. */
struct carry {
	struct map carriages;      /* by id; to other nodes */
	struct map carried;        /* by node and id; for other nodes */
	struct carriage *dirty;    /* have something to send, or to be freed */
	struct carried *dirty_carried;
	struct carriage *dead;     /* freed at the end of the turn, for somebody may still hold them */
	struct carried *dead_carried;
	uint32_t max;              /* CARRY_MAX, unless a test says otherwise */
	uint64_t next_id;
	uint64_t out_total, in_total, strays, passed;
};

/* One end of both directions between carrier and owner. */
struct carry_stream {
	struct buf out;            /* from out_sent on not sent yet */
	size_t out_sent;
	uint64_t sent, heard;      /* bytes so far */
	uint32_t open;             /* sent, not taken over there */
	uint32_t held;             /* heard, not taken here */
	uint32_t owed;             /* taken, and not told */
	uint16_t end;              /* behind out: enum cluster_carry_end */
	bool is_ended;             /* end is sent */
};

void carry_init(struct sio_server *server);
/* Before the adapter goes: what is under way is told its end. */
void carry_close(struct sio_server *server);
void carry_fini(struct sio_server *server);
/* Send what is to be sent. */
void carry_flush(struct sio_server *server);
/* The end of a turn: what has ended is freed. */
void carry_reap(struct sio_server *server);

/* ---- streams (carry_stream.c) ----------------------------------------------------------- */

/* The next message of s goes into m: false when there is none now. */
bool carry_stream_next(struct carry_stream *s, struct cluster_message *m);
/* What the other end says.  0, or SIO_ERR_PROTO when that cannot be. */
SIO_MUST_CHECK int carry_stream_hear(struct carry_stream *s, const struct cluster_message *m);
void carry_stream_taken(struct carry_stream *s);      /* all that was heard */
size_t carry_stream_waiting(const struct carry_stream *s); /* bytes that have not been taken over there */
void carry_stream_fini(struct carry_stream *s);

/* ---- the carrier (carry.c) -------------------------------------------------------------- */

/* Is the request for a session of another node?  Then it is taken care of, in the head
 * callback and in the request callback. */
bool carry_head(struct sio_server *server, struct net_conn *c, struct http1_request *req);
bool carry_request(struct sio_server *server, struct net_conn *c, struct http1_request *req);
/* What the connection of a carriage hears; see struct net_ops. */
void carry_relayed(struct carriage *k, const char *p, size_t n);
void carry_refused(struct carriage *k, int status);
void carry_written(struct carriage *k);
bool carry_eof(struct carriage *k);                   /* true: nobody is left to hear the answer */
void carry_gone(struct carriage *k);

int carry_on_back(struct sio_server *server, sio_slice from, const struct cluster_message *m);
void carry_node_gone(struct sio_server *server, sio_slice node);
void carry_lost(struct sio_server *server, sio_slice node); /* what it says or hears may be missing; empty: of all */
void carry_end_all(struct sio_server *server);
void carry_send_dirty(struct sio_server *server);
void carry_free_dead(struct sio_server *server);

/* ---- the owner (carried.c) ----------------------------------------------------------------- */

int carried_on_message(struct sio_server *server, sio_slice from, const struct cluster_message *m);
void carried_node_gone(struct sio_server *server, sio_slice node);
void carried_lost(struct sio_server *server, sio_slice node); /* the same */
void carried_end_all(struct sio_server *server);
void carried_send_dirty(struct sio_server *server);
void carried_free_dead(struct sio_server *server);
/* Who asks, as the carrier has seen it. */
void carried_view(const struct net_far *far, struct proxy_view *view);

#endif
