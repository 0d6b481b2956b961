/* app.c -- see app.h.
 *
 * A message is one frame, shared by all who get it: struct sio_message is the public
 * name of struct frame.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "engine/app.h"

#include "codec/eio.h"
#include "codec/utf8.h"

/* In each public call that changes something: is this the thread that may? */
#define APP_CHECK(app) guard_check((app)->guard, __func__)

void eio_app_init(struct eio_app *app, struct sio_server *server, struct eio_engine *engine, const struct guard *guard,
		  bool is_used)
{
	*app = (struct eio_app){ .server = server, .engine = engine, .guard = guard, .is_used = is_used };
}

/* ---- what happens to a session ----------------------------------------------------- */

void eio_app_open(struct sio_session *session, struct eio_app *app, struct eio_session *eio)
{
	*session = (struct sio_session){ .app = app, .session = eio };
}

void eio_app_opened(struct sio_session *session)
{
	struct eio_app *app = session->app;

	if (!eio_is_open(session->session)) /* the server was closed meanwhile */
		return;
	session->is_told = true;
	session->is_opening = true;
	if (app->on_open)
		app->on_open(session, app->open_arg);
	session->is_opening = false;
}

void eio_app_message(struct sio_session *session, const char *data, size_t n, bool is_binary)
{
	struct eio_app *app = session->app;

	if (app->on_message)
		app->on_message(session, sio_bytes(data, n), is_binary, app->message_arg);
}

void eio_app_upgraded(struct sio_session *session)
{
	struct eio_app *app = session->app;

	if (app->on_upgraded)
		app->on_upgraded(session, app->upgraded_arg);
}

static void drained_unlink(struct sio_session *session)
{
	if (!session->prev_drained)
		return;
	*session->prev_drained = session->next_drained;
	if (session->next_drained)
		session->next_drained->prev_drained = session->prev_drained;
	session->prev_drained = NULL;
}

static void drained_link(struct sio_session *session, struct sio_session **list)
{
	session->next_drained = *list;
	session->prev_drained = list;
	if (session->next_drained)
		session->next_drained->prev_drained = &session->next_drained;
	*list = session;
}

void eio_app_drained(struct sio_session *session)
{
	if (!session->prev_drained)
		drained_link(session, &session->app->drained);
}

void eio_app_tell_drained(struct eio_app *app)
{
	struct sio_session *list = app->drained;

	/* Off the list first: those who drain because of what is sent now are for the next time. */
	app->drained = NULL;
	if (list)
		list->prev_drained = &list;
	while (list) {
		struct sio_session *session = list;
		drained_unlink(session);
		if (app->on_drain)
			app->on_drain(session, app->drain_arg);
	}
}

void eio_app_closed(struct sio_session *session, const char *reason)
{
	struct eio_app *app = session->app;

	drained_unlink(session);
	if (session->is_told && app->on_close)
		app->on_close(session, sio_str(reason), app->close_arg);
}

/* ---- handlers ------------------------------------------------------------------------ */

int sio_engine_on_open(struct sio_server *server, sio_session_fn *fn, void *arg)
{
	struct eio_app *app = eio_app_of(server);

	APP_CHECK(app);
	app->on_open = fn;
	app->open_arg = arg;
	return app->is_used ? SIO_OK : SIO_ERR_INVAL;
}

int sio_engine_on_message(struct sio_server *server, sio_message_fn *fn, void *arg)
{
	struct eio_app *app = eio_app_of(server);

	APP_CHECK(app);
	app->on_message = fn;
	app->message_arg = arg;
	return app->is_used ? SIO_OK : SIO_ERR_INVAL;
}

int sio_engine_on_close(struct sio_server *server, sio_session_closed_fn *fn, void *arg)
{
	struct eio_app *app = eio_app_of(server);

	APP_CHECK(app);
	app->on_close = fn;
	app->close_arg = arg;
	return app->is_used ? SIO_OK : SIO_ERR_INVAL;
}

int sio_engine_on_upgraded(struct sio_server *server, sio_session_fn *fn, void *arg)
{
	struct eio_app *app = eio_app_of(server);

	APP_CHECK(app);
	app->on_upgraded = fn;
	app->upgraded_arg = arg;
	return app->is_used ? SIO_OK : SIO_ERR_INVAL;
}

int sio_engine_on_drain(struct sio_server *server, sio_session_fn *fn, void *arg)
{
	struct eio_app *app = eio_app_of(server);

	APP_CHECK(app);
	app->on_drain = fn;
	app->drain_arg = arg;
	return app->is_used ? SIO_OK : SIO_ERR_INVAL;
}

/* ---- a session ------------------------------------------------------------------------- */

sio_slice sio_session_id(const struct sio_session *session)
{
	return sio_bytes(session->session->sid, RANDOM_ID_LEN);
}

struct sio_server *sio_session_server(const struct sio_session *session)
{
	return session->app->server;
}

const char *sio_session_transport(const struct sio_session *session)
{
	return session->session->transport == EIO_WEBSOCKET ? "websocket" : "polling";
}

bool sio_session_is_open(const struct sio_session *session)
{
	return eio_is_open(session->session);
}

bool sio_session_is_lagging(const struct sio_session *session)
{
	return eio_is_lagging(session->session);
}

size_t sio_session_waiting_bytes(const struct sio_session *session)
{
	return session->session->out.bytes;
}

void sio_session_set_data(struct sio_session *session, void *data)
{
	session->data = data;
}

void *sio_session_data(const struct sio_session *session)
{
	return session->data;
}

/* ---- messages ----------------------------------------------------------------------------- */

static struct frame *frame_of(struct sio_message *message)
{
	return (struct frame *)message;
}

static int new_text(struct eio_app *app, sio_slice text, struct frame **out)
{
	*out = NULL;
	if (text.n > SIO_MESSAGE_MAX)
		return SIO_ERR_LIMIT;
	if (text.n && !utf8_ok(text.p, text.n))
		return SIO_ERR_UTF8;
	*out = frame_new(&app->engine->frames, 1 + text.n, NULL, 0);
	if (!*out)
		return SIO_ERR_NOMEM;
	frame_text(*out)[0] = '4'; /* Engine.IO message */
	if (text.n)
		memcpy(frame_text(*out) + 1, text.p, text.n);
	frame_seal(*out, WS_TEXT, 1 + text.n);
	app->engine->frames.encodes++;
	return SIO_OK;
}

static int new_binary(struct eio_app *app, sio_slice data, struct frame **out)
{
	*out = NULL;
	if (data.n > SIO_MESSAGE_MAX)
		return SIO_ERR_LIMIT;
	*out = frame_of_binary(&app->engine->frames, data);
	if (!*out)
		return SIO_ERR_NOMEM;
	app->engine->frames.encodes++;
	return SIO_OK;
}

int sio_message_new_text(struct sio_server *server, sio_slice text, struct sio_message **out)
{
	struct eio_app *app = eio_app_of(server);
	struct frame *f;
	int err;

	APP_CHECK(app);
	err = new_text(app, text, &f);
	*out = (struct sio_message *)f;
	return err;
}

int sio_message_new_binary(struct sio_server *server, sio_slice data, struct sio_message **out)
{
	struct eio_app *app = eio_app_of(server);
	struct frame *f;
	int err;

	APP_CHECK(app);
	err = new_binary(app, data, &f);
	*out = (struct sio_message *)f;
	return err;
}

void sio_message_free(struct sio_message *message)
{
	if (message)
		frame_unref(frame_of(message));
}

/* Would it come out of a polling payload as something else? */
static bool is_cut_by_polling(const struct eio_session *s, struct frame *f)
{
	return s->transport == EIO_POLLING && f->attachments_n == 0 && memchr(frame_text(f), EIO_SEPARATOR, f->text_n);
}

static int send_frame(struct sio_session *session, struct frame *f)
{
	struct eio_session *s = session->session;

	if (!eio_is_open(s))
		return SIO_ERR_CLOSED;
	if (!f || f->pool != &s->engine->frames || is_cut_by_polling(s, f))
		return SIO_ERR_INVAL;
	eio_send(s, f);
	s->wants_drain = session->app->on_drain != NULL;
	return s->is_slow ? SIO_ERR_LIMIT : SIO_OK;
}

int sio_session_send(struct sio_session *session, struct sio_message *message)
{
	APP_CHECK(session->app);
	return send_frame(session, frame_of(message));
}

static int send_and_unref(struct sio_session *session, struct frame *f)
{
	int err = send_frame(session, f);

	frame_unref(f);
	return err;
}

int sio_session_send_text(struct sio_session *session, sio_slice text)
{
	struct frame *f;
	int err;

	APP_CHECK(session->app);
	err = eio_is_open(session->session) ? new_text(session->app, text, &f) : SIO_ERR_CLOSED;
	return err < 0 ? err : send_and_unref(session, f);
}

int sio_session_send_binary(struct sio_session *session, sio_slice data)
{
	struct frame *f;
	int err;

	APP_CHECK(session->app);
	err = eio_is_open(session->session) ? new_binary(session->app, data, &f) : SIO_ERR_CLOSED;
	return err < 0 ? err : send_and_unref(session, f);
}

/* ---- ending --------------------------------------------------------------------------------- */

int sio_session_close(struct sio_session *session)
{
	APP_CHECK(session->app);
	if (!eio_is_open(session->session))
		return SIO_ERR_CLOSED;
	eio_close(session->session, "forced close");
	return SIO_OK;
}

int sio_session_discard(struct sio_session *session)
{
	APP_CHECK(session->app);
	if (!eio_is_open(session->session))
		return SIO_ERR_CLOSED;
	eio_discard(session->session, "forced close");
	return SIO_OK;
}
