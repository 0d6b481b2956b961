/* history.c -- connection state recovery on the store: offsets, sessions, what was missed.
 *
 * An offset is the position of an event in the store (store.h): events are sent in the order
 * of their positions, so who has heard one has heard all before it, in each of its rooms.
 * Nothing is written for an event or a delivery.  An event that comes out of order (its room
 * had to wait for it) cannot be told by a number: it and what is sent meanwhile carry the
 * offset "-", with which nobody recovers.
 *
 *   connect --SESSION_OPEN--> row --JOIN, LEAVE--> rows --LEFT--> may come back --RESUME--> connected
 *                              '--------------------------------END--> gone
 *
 * A row is there before the client hears of what it says.  It names the server that the
 * client is connected to, and each server says again and again that it is there
 * (SESSION_BEAT): the clients of one that was killed count as left when it has been silent for
 * LEASE_MS.  They can come back before that, to any server.
 *
 * The store is libsio's history (<sio/history.h>) with two differences: the application looks
 * for a session itself, when it has judged the token, and only what has a position is kept.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sio/history.h>

#include "base/log.h"
#include "base/random.h"
#include "collab/client.h"

#define OFFSET_UNKNOWN "-"

enum { BEAT_MS = 15000, LEASE_MS = 60000 };

static const char *const result_names[HISTORY_RESULTS_N] = {
	[HISTORY_RECOVERED] = "recovered",
	[HISTORY_UNAVAILABLE] = "unavailable",
#define X(name, text) [HISTORY_##name] = text,
	SESSION_REASON_MAP(X)
#undef X
};

/* ---- offsets -------------------------------------------------------------------- */

void history_stamp(struct collab *collab, int64_t position)
{
	struct history *h = &collab->history;

	if (position == 0 || h->window_ms == 0)
		return;
	if (collab->gaps || position <= h->newest) /* COLLAB_LATE is below every position */
		snprintf(h->stamp, sizeof(h->stamp), OFFSET_UNKNOWN);
	else
		snprintf(h->stamp, sizeof(h->stamp), "%" PRId64, position);
	if (position > h->newest)
		h->newest = position;
}

void history_unstamp(struct collab *collab)
{
	collab->history.stamp[0] = '\0';
}

/* The position that an offset names, 0 for none at all.  false: it names none. */
bool history_position(sio_slice offset, int64_t *position)
{
	*position = 0;
	if (offset.n == 0)
		return true;
	if (offset.n >= SIO_OFFSET_MAX || offset.p[0] < '1' || offset.p[0] > '9')
		return false;
	return sio_json_int(offset, position) == SIO_OK && *position > 0;
}

/* ---- which clients ---------------------------------------------------------------- */

/* Does the address of the first request have t=<seconds>.<fraction>? */
static bool has_float_time(sio_slice url)
{
	for (size_t i = 0; i + 3 < url.n; i++) {
		size_t n = i + 3;

		if ((url.p[i] != '?' && url.p[i] != '&') || url.p[i + 1] != 't' || url.p[i + 2] != '=')
			continue;
		while (n < url.n && isdigit((unsigned char)url.p[n]))
			n++;
		return n > i + 3 && n + 1 < url.n && url.p[n] == '.' && isdigit((unsigned char)url.p[n + 1]);
	}
	return false;
}

static bool contains(sio_slice text, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= text.n; i++)
		if (strncasecmp(text.p + i, word, n) == 0)
			return true;
	return false;
}

/* A handler of the Python client takes as many arguments as it names: one more, the offset,
 * would be an error there.  That client cannot recover anyway, and shows itself by its
 * User-Agent, or where it sends none by the time in its address. */
bool history_suits(const struct sio_connect *req, const struct sio_json_field *wish)
{
	if (wish->type == SIO_JSON_BOOL)
		return wish->value.p[0] == 't';
	return !contains(sio_connect_header(req, "user-agent"), "python") && !has_float_time(sio_connect_url(req));
}

/* ---- writing sessions --------------------------------------------------------------- */

static void on_written(struct store_result *result, void *arg)
{
	if (result->status == STORE_OK)
		history_served(arg);
	else
		log_warning("A session was not written (%s): %s", store_op_name(result->op), result->error);
	store_result_free(result);
}

void history_served(struct collab *collab)
{
	collab->history.served_ms = sio_server_now_ms(collab->server);
}

bool history_may_return(const struct collab *collab)
{
	return sio_server_now_ms(collab->server) - collab->history.served_ms < collab->history.window_ms;
}

/* Written behind the client's back; what fails costs a recovery, no event. */
static void note(struct collab *collab, enum store_op op, sio_slice pid, sio_slice project, sio_slice body)
{
	struct store_ask ask = {
		.op = op,
		.item = pid,
		.project = project,
		.actor = sio_str(collab->history.node),
		.body = body,
		.after = collab->history.window_ms,
		.is_owed = true, /* a session of which nobody says that it was left is kept until the next start */
		.done = on_written,
		.arg = collab,
		.loop = collab->server,
	};

	if (store_submit(collab->store, &ask) == SIO_ERR_NOMEM)
		log_warning("A session was not written (%s): out of memory", store_op_name(op));
}

/* One that was put out is told so; but who knows whether it is still there to hear it?  Its session
 * says it again when it comes back. */
void history_left_project(struct client *client, sio_slice project, bool is_revoked)
{
	sio_slice pid = sio_socket_pid(client->socket);

	if (pid.n > 0)
		note(client->collab, STORE_SESSION_LEAVE, pid, project, is_revoked ? SIO_LIT("true") : sio_bytes("", 0));
}

void history_forget(struct collab *collab, sio_slice pid)
{
	note(collab, STORE_SESSION_END, pid, sio_bytes("", 0), sio_bytes("", 0));
}

/* What its user looked at goes with the session, if that was left a moment ago.  Another's may
 * have been: of a client that went while it was being resumed. */
void history_save_states(struct client *client)
{
	struct history *h = &client->collab->history;
	sio_slice pid = sio_str(h->left_pid);
	bool is_left = sio_slice_eq(sio_str(h->left_sid), sio_socket_id(client->socket));

	for (unsigned i = 0; is_left && i < client->seats_n; i++) {
		const struct presence_member *member = client_seats(client)[i];

		if (member->state)
			note(client->collab, STORE_SESSION_STATE, pid, presence_id(&member->project->node),
			     sio_bytes(member->state->text, member->state->n));
	}
	h->left_pid[0] = h->left_sid[0] = '\0';
}

/* ---- the interface -------------------------------------------------------------------- */

static void on_next(void *self, char out[SIO_OFFSET_MAX])
{
	const struct history *h = self;

	memcpy(out, h->stamp, SIO_OFFSET_MAX);
}

static void on_newest(void *self, char out[SIO_OFFSET_MAX])
{
	(void)self;
	out[0] = '\0'; /* a silent client's session says itself where each room began */
}

/* It is in the store already. */
static void on_append(void *self, const struct sio_history_event *event, uint64_t now_ms)
{
	(void)self, (void)event, (void)now_ms;
}

static struct collab *collab_of(void *self)
{
	return (struct collab *)(void *)((char *)self - offsetof(struct collab, history));
}

static void on_left(void *self, const struct sio_history_session *session, uint64_t now_ms)
{
	struct history *h = self;

	(void)now_ms;
	snprintf(h->left_pid, sizeof(h->left_pid), "%.*s", (int)session->pid.n, session->pid.p);
	snprintf(h->left_sid, sizeof(h->left_sid), "%.*s", (int)session->sid.n, session->sid.p);
	if (!h->is_ending) /* else the next start says when */
		note(collab_of(self), STORE_SESSION_LEFT, session->pid, sio_bytes("", 0), sio_bytes("", 0));
}

static void on_ended(void *self, const struct sio_history_session *session, uint64_t now_ms)
{
	(void)now_ms;
	history_forget(collab_of(self), session->pid);
}

/* Does the room get this event by itself?  Then it is not missed, but late. */
static bool comes_later(const struct collab *collab, sio_slice stream, int64_t seq)
{
	const struct presence_project *project = presence_project_find(&collab->presence, stream);

	return project && project->seq >= 0 && seq > project->seq;
}

/* One event of SESSION_RESUME as its packet. */
static void replay_one(struct collab *collab, sio_slice row, struct buf *b, sio_history_missed_fn *fn, void *arg)
{
	struct sio_json_field f[] = { { .key = "position" }, { .key = "stream" }, { .key = "seq" }, { .key = "type" }, { .key = "data" } };
	int64_t seq;

	if (sio_json_pick(row, f, 5) < 0 || sio_json_int(f[2].value, &seq) < 0 || f[1].type != SIO_JSON_STRING ||
	    comes_later(collab, client_unquoted(f[1].value), seq))
		return;
	buf_clear(b);
	buf_str(b, "2[");
	buf_slice(b, f[3].value);
	buf_byte(b, ',');
	buf_slice(b, f[4].value);
	buf_str(b, ",\"");
	buf_slice(b, f[0].value);
	buf_str(b, "\"]");
	if (b->failed)
		return;
	collab->history.replayed_n++;
	fn(buf_peek(b), NULL, 0, arg);
}

/* What was missed has been read already, with the session. */
static void on_replay(void *self, const struct sio_history_session *session, sio_slice offset, sio_history_missed_fn *fn,
		      sio_history_done_fn *done, void *arg)
{
	struct history *h = self;
	sio_slice rows = sio_json_inside(h->missed), row;
	struct buf b = { 0 };

	(void)session, (void)offset;
	h->replayed_n = 0;
	while (!b.failed && sio_json_next(&rows, &row) == SIO_OK)
		replay_one(collab_of(self), row, &b, fn, arg);
	done(b.failed ? SIO_ERR_NOMEM : SIO_OK, arg);
	buf_fini(&b);
}

static void on_close(void *self)
{
	(void)self; /* collab_free has seen to it */
}

static const struct sio_history_ops ops = {
	.next = on_next,
	.newest = on_newest,
	.append = on_append,
	.left = on_left,
	.ended = on_ended,
	.replay = on_replay,
	.close = on_close,
};

/* ---- coming back -------------------------------------------------------------------------- */

int history_ask_resume(struct collab *collab, struct store_ask *ask, sio_slice projects)
{
	struct history *h = &collab->history;
	struct buf body = { 0 };
	int err = SIO_ERR_NOMEM;

	buf_printf(&body, "{\"window_ms\":%u,\"bytes_max\":%zu", (unsigned)h->window_ms, h->bytes_max);
	buf_str(&body, projects.n ? ",\"projects\":" : "");
	buf_slice(&body, projects);
	buf_byte(&body, '}');
	ask->op = STORE_SESSION_RESUME;
	ask->actor = sio_str(h->node);
	ask->limit = h->events_max;
	ask->body = buf_peek(&body);
	if (!body.failed)
		err = store_submit(collab->store, ask);
	buf_fini(&body);
	return err;
}

int history_ask_open(struct collab *collab, struct store_ask *ask, const char *sid, sio_slice projects)
{
	struct buf body = { 0 };
	int err = SIO_ERR_NOMEM;

	buf_printf(&body, "{\"sid\":\"%s\"", sid);
	buf_str(&body, projects.n ? ",\"projects\":" : "");
	buf_slice(&body, projects);
	buf_byte(&body, '}');
	ask->op = STORE_SESSION_OPEN;
	ask->actor = sio_str(collab->history.node);
	ask->after = collab->history.window_ms;
	ask->body = buf_peek(&body);
	if (!body.failed)
		err = store_submit(collab->store, ask);
	buf_fini(&body);
	return err;
}

void history_take_over(struct collab *collab, struct sio_connect *req, sio_slice pid, sio_slice user)
{
	struct sio_socket *socket = collab->history.window_ms ? sio_connect_predecessor(req, pid) : NULL;
	const struct client *client = socket ? sio_socket_data(socket) : NULL;

	if (client && sio_slice_eq(presence_id(&client->user->node), user))
		sio_connect_take_over(req, pid);
}

bool history_recover(struct collab *collab, struct sio_connect *req, sio_slice pid, const struct store_result *resumed)
{
	struct sio_json_field f[] = { { .key = "sid" }, { .key = "events" }, { .key = "node" } };
	struct sio_history_session session = { .pid = pid, .nsp = SIO_LIT("/") };

	if (sio_json_pick(resumed->json, f, 3) < 0 || f[0].type != SIO_JSON_STRING)
		return false;
	session.sid = client_unquoted(f[0].value);
	if (f[2].type == SIO_JSON_STRING && f[2].value.n > 2 &&
	    !sio_slice_eq(client_unquoted(f[2].value), sio_str(collab->history.node)))
		servers_tell_taken(collab, session.sid);
	if (sio_connect_recover(req, &session, sio_bytes("", 0)) < 0)
		return false;
	collab->history.missed = f[1].value;
	return true;
}

enum history_result history_result_of(const struct store_result *result)
{
	struct sio_json_field f = { .key = "reason" };

	if (result->status == STORE_OK)
		return HISTORY_RECOVERED;
	if (result->status == STORE_REFUSED && sio_json_pick(result->json, &f, 1) == SIO_OK && f.type == SIO_JSON_STRING)
		for (unsigned i = 0; i < HISTORY_RESULTS_N; i++)
			if (sio_slice_eq(client_unquoted(f.value), sio_str(result_names[i])))
				return (enum history_result)i;
	return HISTORY_UNAVAILABLE;
}

void history_count(struct collab *collab, enum history_result result, sio_slice user)
{
	collab->history.results[result]++;
	if (result != HISTORY_RECOVERED)
		log_info("Recovery refused: %s (user: %.*s)", result_names[result], (int)user.n, user.p);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void on_beat(struct sio_timer *timer)
{
	struct collab *collab = (struct collab *)(void *)((char *)timer - offsetof(struct collab, history.beat));
	struct store_ask ask = {
		.op = STORE_SESSION_BEAT,
		.item = sio_str(collab->history.node),
		.after = LEASE_MS,
		.is_owed = true,
		.done = on_written,
		.arg = collab,
		.loop = collab->server,
	};

	if (store_submit(collab->store, &ask) == SIO_ERR_CLOSED)
		return;
	sio_timer_start(collab->server, timer, BEAT_MS, on_beat);
}

int history_start(struct collab *collab)
{
	struct history *h = &collab->history;
	int err;

	h->window_ms = collab->options.recovery_window_ms;
	h->events_max = collab->options.recovery_events_max ? collab->options.recovery_events_max : COLLAB_REPLAY_EVENTS;
	h->bytes_max = collab->options.recovery_bytes_max ? collab->options.recovery_bytes_max : COLLAB_REPLAY_BYTES;
	if (h->window_ms == 0)
		return SIO_OK;
	random_id(h->node);
	history_served(collab);
	err = sio_server_set_history(collab->server, &ops, h);
	if (err == SIO_OK)
		on_beat(&h->beat);
	return err;
}

void history_stop(struct collab *collab)
{
	sio_timer_stop(&collab->history.beat);
}

void collab_end(struct collab *collab)
{
	collab->history.is_ending = true;
	leases_end(collab);
}

void collab_each_recovery(const struct collab *collab, collab_event_fn *fn, void *arg)
{
	for (unsigned i = 0; i < HISTORY_RESULTS_N; i++)
		fn(result_names[i], collab->history.results[i], arg);
}
