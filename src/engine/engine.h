/* engine.h -- Engine.IO v4 sessions as a state machine: no socket, no clock.
 *
 * The layer below calls an eio_* function for each thing that happens on a wire;
 * time is engine->now_ms, set by it once a loop turn.  What the session wants in
 * return comes out through struct eio_ops.  A session knows of up to four wires
 * by name only: the pending GET, the running POST, the WebSocket, and the
 * WebSocket that is still being probed.
 *
 *      eio_open             probe arrives        "5" on the probe
 *   ---------------> OPEN -----------------> PROBING ---------------+
 *                    ^  ^ <----------------- time-out, probe gone   |
 *                    |  +-------------------------------------------+
 *                    | (on WebSocket now)
 *   OPEN, PROBING --eio_close--> CLOSING --drained--> CLOSED
 *                         (a client that is switching may still finish doing so)
 *   OPEN, PROBING, CLOSING --fault, peer closes, time-out--> CLOSED
 *
 * Outgoing packets wait in one queue a session, whatever the transport, so their
 * order survives an upgrade.  eio_send puts the session on the engine's dirty
 * list; at the end of the loop turn the layer below writes each dirty session
 * once.
 *
 * Spec: Engine.IO protocol revision 4; section numbers refer to the project's
 * reference of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/random.h"
#include "base/wheel.h"
#include "engine/outq.h"

enum eio_state { EIO_S_OPEN, EIO_S_PROBING, EIO_S_CLOSING, EIO_S_CLOSED, EIO_NSTATES };
enum eio_transport { EIO_POLLING, EIO_WEBSOCKET };
enum eio_wire { EIO_WIRE_GET, EIO_WIRE_POST, EIO_WIRE_WS, EIO_WIRE_PROBE, EIO_NWIRES };

/* Section 3 of the reference: the six errors, and none. */
enum eio_error {
	EIO_ERR_NONE = -1,
	EIO_ERR_TRANSPORT = 0,
	EIO_ERR_SID = 1,
	EIO_ERR_METHOD = 2,
	EIO_ERR_REQUEST = 3,
	EIO_ERR_FORBIDDEN = 4,
	EIO_ERR_VERSION = 5,
};
const char *eio_error_text(enum eio_error code);

struct eio_session;

enum { EIO_WS_CUT = -1 };

/* What a session asks of the layers around it.  None of these may free the
 * session before gone; each may call any eio_* function on it. */
struct eio_ops {
	/* Up: one message.  data is borrowed and may be changed. */
	void (*message)(struct eio_session *s, char *data, size_t n, bool is_binary);
	/* Up: the session has ended; nothing more comes in, nothing can be sent. */
	void (*closed)(struct eio_session *s, const char *reason);
	/* Down: answer the pending GET or the running POST; the wire is free then.  An
	 * empty body with status 0 means: give the payload of the queue. */
	void (*answer)(struct eio_session *s, enum eio_wire wire, int status, sio_slice body);
	/* Down: send one text message on the probing WebSocket. */
	void (*probe_text)(struct eio_session *s, sio_slice text);
	/* Down: the probing WebSocket is the session's WebSocket from now on. */
	void (*upgraded)(struct eio_session *s);
	/* Down: close a WebSocket wire; code 0: an empty close frame; EIO_WS_CUT: none. */
	void (*ws_close)(struct eio_session *s, enum eio_wire wire, int code);
	/* Down: no sid leads here any more and no wire is used; free it later on. */
	void (*gone)(struct eio_session *s);
	/* Up: everything queued was written, once for each wants_drain.  From the flush:
	 * what is sent from here may keep the flush from ending. */
	void (*drained)(struct eio_session *s);
	/* Up, while the engine is_traced: that frame was queued.  Looks at things, and changes none. */
	void (*sent)(struct eio_session *s, struct frame *f);
};

struct eio_limits {
	uint32_t ping_interval_ms;
	uint32_t ping_timeout_ms;
	uint32_t upgrade_timeout_ms;
	uint32_t max_payload_bytes;
	uint32_t send_queue_bytes;
	uint32_t packets_n;        /* packets in one payload */
	bool no_polling, no_websocket; /* transports that are switched off (section 1) */
	bool no_upgrades;          /* offer none in the open packet */
};

/* What the sessions of one worker share. */
struct eio_engine {
	struct eio_limits limits;
	const struct eio_ops *ops;
	void *owner;               /* of the layer below */
	struct wheel *wheel;
	uint64_t now_ms;
	struct frame_pool frames;
	struct pool chunks;
	struct map sessions;       /* by sid */
	struct eio_session *dirty; /* have something to write */
	struct frame *ping;
	char node[RANDOM_ID_LEN];  /* the server's id among others, which stands in front of every sid, */
	uint8_t node_n;            /* or nothing */
	uint64_t queued_bytes;     /* in all queues, WebSocket size */
	uint64_t deliveries, volatile_dropped, volatile_replaced, slow, upgrades, parse_errors;
	bool is_traced;            /* ops->sent is called for each packet that is queued */
};

struct eio_probe;

struct eio_session {
	struct map_node by_sid;
	struct eio_engine *engine;
	struct eio_session *next_dirty;
	struct eio_probe *probe;   /* while PROBING; in CLOSING when its "5" is still to come */
	struct sio_timer timer;    /* heartbeat; in CLOSING the end of patience */
	struct outq out;
	char sid[RANDOM_ID_LEN];   /* behind the engine's node */
	uint8_t state;             /* enum eio_state, written by session_move alone */
	uint8_t transport;         /* enum eio_transport */
	bool has_get : 1;          /* a GET waits for packets */
	bool has_post : 1;         /* a POST is being read */
	bool is_delivering : 1;    /* in eio_post, which answers the POST even when the session ends */
	bool is_ping_out : 1;      /* the pong is awaited */
	bool is_dirty : 1;
	bool is_blocked : 1;       /* the WebSocket took less than it was given */
	bool is_slow : 1;          /* send_queue_bytes passed: to be cut at the flush */
	bool is_lingering : 1;     /* ended by the client's "1": the next GET is answered "6" */
	bool is_b64 : 1;           /* binary goes as base64 text over the WebSocket too (section 7) */
	bool wants_drain : 1;      /* ops->drained is to be called when the queue is empty */
	uint8_t deflate_bits : 4;  /* window of a client that negotiated permessage-deflate; 0: it did not */
};

/* A session's id as the client knows it: whose it is, and which.  Only the second part is kept
 * with the session, whoever owns it is the same for all of an engine. */
#define EIO_SID_MAX (2 * RANDOM_ID_LEN)
size_t eio_sid(const struct eio_session *s, char out[EIO_SID_MAX]);

/* From now on sids name this node (RANDOM_ID_LEN characters).  Before the first session. */
void eio_engine_set_node(struct eio_engine *e, sio_slice node);

int eio_engine_init(struct eio_engine *e, const struct eio_limits *limits, const struct eio_ops *ops, struct wheel *wheel);
void eio_engine_fini(struct eio_engine *e);
void eio_engine_relax(struct eio_engine *e);     /* see pool_relax */
void eio_engine_discard_all(struct eio_engine *e, const char *reason);

/* ---- a request arrives (section 3) ------------------------------------------ */

struct eio_request {
	sio_slice query;
	sio_slice method;
	bool is_upgrade;           /* a WebSocket handshake */
};

/* Check a request in the reference's order.  EIO_ERR_NONE: *session is the one it
 * belongs to, NULL for a handshake. */
enum eio_error eio_verify(struct eio_engine *e, const struct eio_request *req, struct eio_session **session);

/* Does the query name a session of another node?  Its id goes to owner. */
bool eio_owner(const struct eio_engine *e, sio_slice query, char owner[RANDOM_ID_LEN]);

/* A handshake passed: start the session in the caller's zeroed memory, queue the
 * open packet and start the heartbeat.  0 or SIO_ERR_NOMEM. */
SIO_MUST_CHECK int eio_open(struct eio_session *s, struct eio_engine *e, enum eio_transport transport);

/* ---- polling ------------------------------------------------------------------ */

/* A GET or POST came.  false: it overlaps another of its kind or comes too late;
 * refuse it with 400, the session has ended.  true: the wire is taken, go on. */
bool eio_get_begin(struct eio_session *s);
bool eio_post_begin(struct eio_session *s);
void eio_get(struct eio_session *s);                 /* wait for packets, or be answered at once */
void eio_get_gone(struct eio_session *s);            /* its client hung up */
void eio_post(struct eio_session *s, char *body, size_t n);
void eio_post_refuse(struct eio_session *s, int status); /* too big, wrong content type: closes */
void eio_post_gone(struct eio_session *s);

/* The flush of a polling session: append the payload of the queue and empty it.  Returns
 * whether it may be compressed: at least one packet does not forbid it (section 6.5). */
bool eio_take_payload(struct eio_session *s, struct buf *out);

/* ---- WebSocket ---------------------------------------------------------------- */

bool eio_probe_begin(struct eio_session *s);         /* false: refused, close that wire */
void eio_ws_query(struct eio_session *s, sio_slice query); /* of the WebSocket's URL: b64 counts */
void eio_ws_deflate(struct eio_session *s, unsigned window_bits); /* what that WebSocket negotiated; 0: nothing */
void eio_probe_text(struct eio_session *s, char *data, size_t n);
void eio_probe_gone(struct eio_session *s);
void eio_ws_text(struct eio_session *s, char *data, size_t n);
void eio_ws_binary(struct eio_session *s, char *data, size_t n);
void eio_ws_gone(struct eio_session *s, const char *reason);
void eio_ws_fault(struct eio_session *s, int code);  /* frame error: close with code */

/* The flush wrote that many bytes; is_blocked tells whether the rest must wait. */
void eio_ws_sent(struct eio_session *s, size_t bytes, bool is_blocked);

/* The socket takes bytes again. */
void eio_ws_ready(struct eio_session *s);

/* The flush met a session with is_slow: more waited for it than send_queue_bytes. */
void eio_cut_slow(struct eio_session *s);

/* ---- from above ---------------------------------------------------------------- */

/* Is the client behind, so that volatile packets must give way? */
static inline bool eio_is_lagging(const struct eio_session *s)
{
	return s->transport == EIO_WEBSOCKET ? s->is_blocked : !s->has_get;
}

static inline bool eio_is_open(const struct eio_session *s)
{
	return s->state <= EIO_S_PROBING;
}

/* Queue a frame (a reference is added).  Never closes the session itself, so it
 * is safe while walking a room. */
void eio_send(struct eio_session *s, struct frame *f);

/* Close after what is queued has been taken; reason as the protocol names it.  To
 * those above the session is closed at once. */
void eio_close(struct eio_session *s, const char *reason);

/* Close now; what is queued is dropped. */
void eio_discard(struct eio_session *s, const char *reason);

bool eio_is_sane(const struct eio_session *s);

#endif
