/* app.h -- an application that uses Engine.IO sessions itself (<sio/engine.h>).
 *
 * Stands where Socket.IO stands otherwise: what a session brings goes to the
 * application's handlers.  Knows no transport, no socket and no clock.  Whoever embeds
 * it puts a struct sio_session beside each struct eio_session and passes on what
 * happens.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef ENGINE_APP_H
#define ENGINE_APP_H

#include <sio/engine.h>

#include "base/guard.h"
#include "engine/engine.h"

/* One server's handlers. */
struct eio_app {
	struct sio_server *server;
	struct eio_engine *engine;
	const struct guard *guard; /* of the server: whose thread may call */
	bool is_used;              /* the server is one of plain Engine.IO */
	sio_session_fn *on_open, *on_upgraded, *on_drain;
	sio_message_fn *on_message;
	sio_session_closed_fn *on_close;
	void *open_arg, *upgraded_arg, *drain_arg, *message_arg, *close_arg;
	struct sio_session *drained; /* to be told at the begin of the next flush */
};

struct sio_session {
	struct eio_app *app;
	struct eio_session *session;
	struct sio_session *next_drained, **prev_drained; /* prev is NULL: on no list */
	void *data;
	bool is_told;              /* the open handler was called, so the close handler will be */
	bool is_opening;           /* the open handler is being called */
};

void eio_app_init(struct eio_app *app, struct sio_server *server, struct eio_engine *engine, const struct guard *guard,
		  bool is_used);
struct eio_app *eio_app_of(const struct sio_server *server); /* given by whoever embeds it */

void eio_app_open(struct sio_session *session, struct eio_app *app, struct eio_session *eio);
void eio_app_opened(struct sio_session *session); /* it can send now: tell the application */
void eio_app_message(struct sio_session *session, const char *data, size_t n, bool is_binary);
void eio_app_upgraded(struct sio_session *session);
void eio_app_drained(struct sio_session *session); /* remembers it; the application hears by: */
void eio_app_tell_drained(struct eio_app *app);    /* not from a flush that they could keep going */
void eio_app_closed(struct sio_session *session, const char *reason);

#endif
