/* fake_app.h -- an application of plain Engine.IO over the engine of fake_engine.h: such
 * a server without a network, in simulated time.
 *
 * Defines struct sio_server and eio_app_of in the place of host/, so exactly one file of
 * a program may include it, and such a program uses no call of <sio/server.h>.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_LIB_FAKE_APP_H
#define TESTS_LIB_FAKE_APP_H

#include <stdlib.h>

#include "lib/fake_engine.h"

struct sio_server {
	struct fake *fake;
	struct guard guard;
	struct eio_app app;
};

struct eio_app *eio_app_of(const struct sio_server *server)
{
	return (struct eio_app *)(uintptr_t)&server->app;
}

static void app_on_message(struct fake_client *c, char *data, size_t n, bool is_binary)
{
	eio_app_message(&c->link->app, data, n, is_binary);
}

static void app_on_closed(struct fake_client *c, const char *reason)
{
	eio_app_closed(&c->link->app, reason);
}

static void app_on_upgraded(struct fake_client *c)
{
	eio_app_upgraded(&c->link->app);
}

static void app_on_drained(struct fake_client *c)
{
	eio_app_drained(&c->link->app);
}

static void app_on_flush(struct fake *f)
{
	eio_app_tell_drained(&((struct sio_server *)f->user)->app);
}

static inline struct sio_server *app_start(const struct eio_limits *limits)
{
	struct sio_server *server = calloc(1, sizeof(*server));

	server->fake = fake_new(limits);
	server->fake->user = server;
	server->fake->message = app_on_message;
	server->fake->on_closed = app_on_closed;
	server->fake->on_upgraded = app_on_upgraded;
	server->fake->on_drained = app_on_drained;
	server->fake->on_flush = app_on_flush;
	eio_app_init(&server->app, server, &server->fake->engine, &server->guard, true);
	return server;
}

static inline void app_stop(struct sio_server *server)
{
	eio_engine_discard_all(&server->fake->engine, "server shutting down");
	assert_null(server->app.drained);
	fake_free(server->fake);
	free(server);
}

/* A client whose open handler has run; nothing was written yet. */
static inline struct fake_client *app_open(struct sio_server *server, enum eio_transport transport)
{
	struct fake_client *c = fake_open(server->fake, transport);

	eio_app_open(&c->link->app, &server->app, &c->link->session);
	eio_app_opened(&c->link->app);
	return c;
}

/* A client that has its open packet, with an empty log. */
static inline struct fake_client *app_client(struct sio_server *server, enum eio_transport transport)
{
	struct fake_client *c = app_open(server, transport);

	fake_turn(server->fake);
	buf_clear(&c->log);
	return c;
}

static inline struct sio_session *app_session(struct fake_client *c)
{
	return &c->link->app;
}

#endif
