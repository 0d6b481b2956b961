/* inner.h -- what the files of engine/ share with each other.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef ENGINE_INNER_H
#define ENGINE_INNER_H

#include "codec/eio.h"
#include "engine/engine.h"

/* session.c */
struct ending {
	const char *reason;
	const char *get_body; /* for a pending GET */
	int ws_code;          /* of the close frame; 0: empty */
	bool is_wire_gone;    /* no WebSocket left to close */
	bool may_linger;      /* the client may have a GET on its way */
};

void session_move(struct eio_session *s, enum eio_state to);       /* the only writer of the state */
void session_end(struct eio_session *s, const struct ending *how); /* the one way to end */
void session_gone(struct eio_session *s);                          /* its sid leads nowhere any more */
void session_end_after_refusal(struct eio_session *s);             /* beside a GET that is pending */
void session_mark_dirty(struct eio_session *s);
struct frame *session_form(const struct eio_session *s, struct frame *f); /* for its WebSocket; NULL: no memory */
void session_drained(struct eio_session *s);                       /* wants_drain, and the queue is empty */
void session_on_packet(struct eio_session *s, const struct eio_packet *p); /* afterwards it may have ended */
void session_on_parse_error(struct eio_session *s);

/* upgrade.c */
void probe_drop(struct eio_session *s);   /* before a session_move that fits, or in CLOSING */
void probe_abort(struct eio_session *s);  /* back to polling alone */
bool probe_is_confirmed(const struct eio_session *s); /* its 2probe came: "5" is to be expected */

#endif
