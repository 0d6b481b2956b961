/* recover.c -- connection state recovery: what the hub tells a history and asks of it.
 *
 * Section 12 of the Socket.IO reference, with its recommendations: the application
 * decides before anything is sent, the CONNECT answer comes before what was missed, a
 * session is used once, and no event may end in a string that a client would take for
 * an offset.  Knows sockets and sessions; how events are kept is the history's business
 * (<sio/history.h>, ring.c).
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include <sio/json.h>

#include "base/sha.h"
#include "codec/base64.h"
#include "hub/hub.h"

/* A socket that may come back.  There may be tens of thousands, so it is one block of no more than
 * it holds: with a history that names no offset and an application that notes no identity, 23 bytes.
 * No table leads from the private id to the socket: the public one follows from it (sid_of). */
struct recovery {
	char pid[SIO_ID_LEN];
	bool is_recovered;
	uint8_t since_n, identity_n;
	char text[];                   /* the newest offset when it began, then the identity */
};

/* A session that was taken from the history, all of it in one block. */
struct saved {
	struct sio_history_session session;
	char seen[SIO_OFFSET_MAX];     /* the client's own offset; empty: none */
	sio_slice rooms[];
};

/* ---- events on their way out ------------------------------------------------------- */

/* A client takes a string at the end of any event for an offset (12.3); where there are no
 * arguments that is the event's name. */
static bool ends_in_string(sio_slice json)
{
	while (json.n && strchr(" \t\r\n", json.p[json.n - 1]))
		json.n--;
	return json.n == 0 || json.p[json.n - 1] == '"';
}

/* What is not kept gets null when it ends in a string: the newest offset would be true now,
 * but a volatile event may take the place of an older one in a queue, in front of events that
 * the client has not seen. */
int recover_stamp(struct hub *hub, sio_slice *json, bool may_keep)
{
	char offset[SIO_OFFSET_MAX] = "";

	hub->is_kept = false;
	if (!hub->history)
		return SIO_OK;
	if (may_keep)
		hub->history->next(hub->history_self, offset);
	hub->is_kept = offset[0] != '\0';
	if (!hub->is_kept && !ends_in_string(*json))
		return SIO_OK;
	buf_clear(&hub->stamped);
	buf_slice(&hub->stamped, *json);
	buf_str(&hub->stamped, json->n ? "," : "");
	buf_printf(&hub->stamped, hub->is_kept ? "\"%s\"" : "null", offset);
	*json = buf_peek(&hub->stamped);
	return hub->stamped.failed ? SIO_ERR_NOMEM : SIO_OK;
}

void recover_append(struct sio_namespace *nsp, const struct sio_target *target, struct frame *f,
		    const struct sio_args *args)
{
	struct hub *hub = nsp->hub;
	struct sio_history_event event = {
		.nsp = sio_str(nsp->name),
		.rooms = target->rooms,
		.rooms_n = target->rooms_n,
		.except = target->except,
		.except_n = target->except_n,
		.skip = target->skip ? sio_socket_id(target->skip) : sio_bytes("", 0),
		.packet = sio_bytes(frame_text(f) + 1, f->text_n - 1),
		.attachments = args->attachments,
		.attachments_n = args->attachments_n,
	};

	if (hub->history && hub->is_kept)
		hub->history->append(hub->history_self, &event, hub->engine->now_ms);
}

/* The public id of a session is the hash of its private one: from that one it is found without a table
 * of its own, and there is no way back. */
static bool sid_of(const char *pid, char sid[SIO_ID_LEN])
{
	unsigned char digest[SHA256_LEN];

	return sha256(pid, SIO_ID_LEN, digest) && base64url_encode(digest, SIO_ID_LEN / 4 * 3, sid) == SIO_ID_LEN;
}

/* ---- sessions that end ---------------------------------------------------------------- */

/* What is known of s; rooms is for its rooms' names. */
static struct sio_history_session facts_of(const struct sio_socket *s, sio_slice *rooms)
{
	const struct recovery *r = s->recovery;

	for (unsigned i = 0; i < s->rooms_n; i++)
		rooms[i] = sio_bytes(s->rooms[i].room->name, s->rooms[i].room->by_name.key_n);
	return (struct sio_history_session){
		.pid = sio_bytes(r->pid, SIO_ID_LEN),
		.sid = sio_bytes(s->id, SIO_ID_LEN),
		.nsp = sio_str(s->nsp->name),
		.offset = sio_bytes(r->text, r->since_n),
		.identity = sio_bytes(r->text + r->since_n, r->identity_n),
		.rooms = rooms,
		.rooms_n = s->rooms_n,
	};
}

bool recover_is_loss(const char *reason)
{
	return strcmp(reason, "parse error") != 0 && strcmp(reason, "client namespace disconnect") != 0 &&
	       strcmp(reason, "server namespace disconnect") != 0;
}

static void tell(const struct sio_socket *s, void (*op)(void *, const struct sio_history_session *, uint64_t))
{
	struct hub *hub = s->nsp->hub;
	sio_slice *rooms = malloc((s->rooms_n + 1u) * sizeof(*rooms));
	struct sio_history_session facts;

	if (!rooms)
		return;
	facts = facts_of(s, rooms);
	op(hub->history_self, &facts, hub->engine->now_ms);
	free(rooms);
}

void recover_changed(const struct sio_socket *s)
{
	if (s->recovery && s->client && s->nsp->hub->history->changed)
		tell(s, s->nsp->hub->history->changed);
}

void recover_end(struct sio_socket *s, const char *reason)
{
	struct hub *hub = s->nsp->hub;

	if (!s->recovery) {
		hub->plain_n -= hub->history != NULL;
		return;
	}
	if (reason && recover_is_loss(reason))
		tell(s, hub->history->left);
	else if (reason && hub->history->ended)
		tell(s, hub->history->ended);
	free(s->recovery);
	s->recovery = NULL; /* and no plain one now: it gets nothing any more */
}

/* ---- sessions that come back ------------------------------------------------------------ */

static struct saved *saved_new(const struct sio_history_session *f, sio_slice seen)
{
	size_t bytes = f->pid.n + f->sid.n + f->nsp.n + f->offset.n + f->identity.n;
	struct saved *saved;
	struct buf b = { 0 };

	for (unsigned i = 0; i < f->rooms_n; i++)
		bytes += f->rooms[i].n;
	saved = calloc(1, sizeof(*saved) + f->rooms_n * sizeof(saved->rooms[0]) + bytes);
	if (!saved)
		return NULL;
	b = (struct buf){ .p = (char *)&saved->rooms[f->rooms_n], .cap = bytes };
	saved->session = *f;
	saved->session.rooms = saved->rooms;
	memcpy(saved->seen, seen.p, seen.n);
#define KEEP(slice, from)                                                                                              \
	do {                                                                                                           \
		(slice) = sio_bytes(b.p + b.n, (from).n);                                                              \
		if ((from).n)                                                                                          \
			memcpy(b.p + b.n, (from).p, (from).n);                                                         \
		b.n += (from).n;                                                                                       \
	} while (0)
	KEEP(saved->session.pid, f->pid);
	KEEP(saved->session.sid, f->sid);
	KEEP(saved->session.nsp, f->nsp);
	KEEP(saved->session.offset, f->offset);
	KEEP(saved->session.identity, f->identity);
	for (unsigned i = 0; i < f->rooms_n; i++)
		KEEP(saved->rooms[i], f->rooms[i]);
#undef KEEP
	return saved;
}

void recover_give_back(struct hub *hub, struct saved *saved)
{
	if (!saved)
		return;
	hub->history->left(hub->history_self, &saved->session, hub->engine->now_ms);
	free(saved);
}

struct asking {
	struct sio_connect *req;
	char offset[SIO_OFFSET_MAX];
};

/* Would it fit, and has it the ids of one session?  A history of the application's own may say what it likes. */
static bool is_session(const struct sio_history_session *session)
{
	char sid[SIO_ID_LEN];

	return session && session->pid.n == SIO_ID_LEN && session->identity.n <= SIO_IDENTITY_MAX &&
	       sid_of(session->pid.p, sid) && sio_slice_eq(session->sid, sio_bytes(sid, SIO_ID_LEN));
}

static void on_found(const struct sio_history_session *session, void *arg)
{
	struct asking *asking = arg;
	struct sio_connect *req = asking->req;

	if (!is_session(session))
		session = NULL;
	if (session && sio_slice_eq(session->nsp, sio_str(req->nsp->name)))
		req->saved = saved_new(session, sio_str(asking->offset));
	else if (session)
		req->hub->history->left(req->hub->history_self, session, req->hub->engine->now_ms);
	free(asking);
	sio_connect_next(req);
}

struct sio_socket *sio_connect_predecessor(const struct sio_connect *req, sio_slice pid)
{
	struct sio_socket *s = NULL;
	char sid[SIO_ID_LEN];

	if (req->hub->history && pid.n == SIO_ID_LEN && sid_of(pid.p, sid))
		s = sio_sockets_find(req->nsp, sio_bytes(sid, SIO_ID_LEN));
	return s && s->client != req->client && sio_slice_eq(recover_pid(s), pid) ? s : NULL;
}

void sio_connect_take_over(struct sio_connect *req, sio_slice pid)
{
	struct sio_socket *s = sio_connect_predecessor(req, pid);

	HUB_CHECK(req->hub);
	if (s)
		eio_discard(s->client->session, "transport close");
}

void recover_ask(struct sio_connect *req)
{
	struct hub *hub = req->hub;
	struct sio_json_field fields[] = { { .key = "pid" }, { .key = "offset" } };
	struct asking *asking = NULL;
	char pid[SIO_ID_LEN + 1];
	long n = 0;

	if (hub->history && hub->history->take && sio_json_pick(buf_peek(&req->auth), fields, 2) == SIO_OK &&
	    sio_json_unquote(fields[0].value, pid, sizeof(pid)) == SIO_ID_LEN)
		asking = calloc(1, sizeof(*asking));
	if (asking && fields[1].type != SIO_JSON_NONE)
		n = sio_json_unquote(fields[1].value, asking->offset, sizeof(asking->offset));
	if (!asking || n < 0) {
		free(asking);
		rules_connect(req);
		return;
	}
	asking->req = req;
	sio_connect_take_over(req, sio_bytes(pid, SIO_ID_LEN)); /* it is back before we noticed that it had gone */
	hub->history->take(hub->history_self, sio_bytes(pid, SIO_ID_LEN), sio_str(asking->offset), hub->engine->now_ms,
			   on_found, asking);
}

static struct recovery *recovery_new(const char *pid, sio_slice since, sio_slice identity)
{
	struct recovery *r = calloc(1, offsetof(struct recovery, text) + since.n + identity.n);

	if (!r)
		return NULL;
	memcpy(r->pid, pid, SIO_ID_LEN);
	r->since_n = (uint8_t)since.n;
	r->identity_n = (uint8_t)identity.n;
	if (since.n)
		memcpy(r->text, since.p, since.n);
	if (identity.n)
		memcpy(r->text + since.n, identity.p, identity.n);
	return r;
}

int recover_ids(struct sio_connect *req)
{
	char pid[RANDOM_ID_LEN + 1];

	if (!req->hub->history || req->is_plain || req->has_ids)
		return SIO_OK;
	random_id(pid);
	if (!sid_of(pid, req->sid))
		return SIO_ERR_SYSTEM;
	memcpy(req->pid, pid, SIO_ID_LEN);
	req->has_ids = true;
	return SIO_OK;
}

int recover_begin(struct sio_socket *s, const struct sio_connect *req)
{
	struct hub *hub = s->nsp->hub;
	const struct saved *saved = req->saved;
	char since[SIO_OFFSET_MAX] = "";
	struct recovery *r;

	hub->plain_n += hub->history != NULL; /* until it is more */
	if (!hub->history || req->is_plain)
		return SIO_OK;
	hub->history->newest(hub->history_self, since);
	r = recovery_new(saved ? saved->session.pid.p : req->pid, sio_str(since), sio_connect_identity(req));
	if (!r)
		return SIO_ERR_NOMEM;
	r->is_recovered = saved != NULL;
	s->recovery = r;
	hub->plain_n--;
	return SIO_OK;
}

sio_slice recover_pid(const struct sio_socket *s)
{
	return s->recovery ? sio_bytes(s->recovery->pid, SIO_ID_LEN) : sio_bytes("", 0);
}

sio_slice recover_sid(const struct saved *saved)
{
	return saved->session.sid;
}

struct replay {
	struct sio_socket *socket;     /* counted */
	struct saved *saved;
};

static void on_missed(sio_slice packet, const sio_slice *attachments, unsigned attachments_n, void *arg)
{
	struct sio_socket *s = ((struct replay *)arg)->socket;
	struct frame *f;

	if (!s->client)
		return;
	f = frame_new(&s->nsp->hub->engine->frames, 1 + packet.n, attachments, attachments_n);
	if (!f) { /* a gap would be worse than an end: it may come back once more */
		eio_close(s->client->session, "forced close");
		return;
	}
	frame_text(f)[0] = '4';
	memcpy(frame_text(f) + 1, packet.p, packet.n);
	frame_seal(f, WS_TEXT, 1 + packet.n);
	s->nsp->hub->replayed++;
	eio_send(s->client->session, f);
	frame_unref(f);
}

/* Up to here it has all; from here on its rooms tell it. */
static void on_replayed(int status, void *arg)
{
	struct replay *replay = arg;
	struct sio_socket *s = replay->socket;

	if (s->client && status < 0)
		eio_close(s->client->session, "forced close");
	for (unsigned i = 0; s->client && i < replay->saved->session.rooms_n; i++)
		if (sio_room_join(s, replay->saved->rooms[i]) == SIO_ERR_NOMEM)
			eio_close(s->client->session, "forced close");
	sio_socket_unref(s);
	free(replay->saved);
	free(replay);
}

void recover_replay(struct sio_socket *s, struct saved *saved)
{
	struct hub *hub = s->nsp->hub;
	struct replay *replay = calloc(1, sizeof(*replay));

	hub->recovered++;
	if (!replay) {
		free(saved);
		eio_close(s->client->session, "forced close");
		return;
	}
	*replay = (struct replay){ sio_socket_ref(s), saved };
	hub->history->replay(hub->history_self, &saved->session, sio_str(saved->seen), on_missed, on_replayed, replay);
}

/* ---- the application's view ---------------------------------------------------------------- */

bool sio_connect_is_recovering(const struct sio_connect *req)
{
	return req->saved != NULL;
}

sio_slice sio_connect_identity(const struct sio_connect *req)
{
	return req->saved ? req->saved->session.identity : sio_bytes("", 0);
}

void sio_connect_forget(struct sio_connect *req)
{
	HUB_CHECK(req->hub);
	recover_give_back(req->hub, req->saved);
	req->saved = NULL;
}

void sio_connect_decline_recovery(struct sio_connect *req)
{
	sio_connect_forget(req);
	req->is_plain = true;
}

int sio_connect_ids(struct sio_connect *req, char sid[SIO_ID_LEN + 1], char pid[SIO_ID_LEN + 1])
{
	int status = recover_ids(req);

	if (status == SIO_OK && !req->has_ids)
		status = SIO_ERR_INVAL;
	if (status < 0)
		return status;
	memcpy(sid, req->sid, SIO_ID_LEN);
	memcpy(pid, req->pid, SIO_ID_LEN);
	sid[SIO_ID_LEN] = pid[SIO_ID_LEN] = '\0';
	return SIO_OK;
}

int sio_connect_recover(struct sio_connect *req, const struct sio_history_session *session, sio_slice offset)
{
	HUB_CHECK(req->hub);
	if (!req->hub->history || req->is_plain || !is_session(session) || offset.n >= SIO_OFFSET_MAX ||
	    !sio_slice_eq(session->nsp, sio_str(req->nsp->name)))
		return SIO_ERR_INVAL;
	if (req->saved || sio_connect_predecessor(req, session->pid) || sio_sockets_find(req->nsp, session->sid))
		return SIO_ERR_EXISTS;
	req->saved = saved_new(session, offset);
	return req->saved ? SIO_OK : SIO_ERR_NOMEM;
}

sio_slice sio_socket_pid(const struct sio_socket *s)
{
	return recover_pid(s);
}

bool sio_socket_is_recovered(const struct sio_socket *s)
{
	return s->recovery && s->recovery->is_recovered;
}

int sio_socket_set_identity(struct sio_socket *s, sio_slice identity)
{
	struct recovery *old, *r;

	HUB_CHECK(s->nsp->hub);
	if (!s->client)
		return SIO_ERR_CLOSED;
	if (!s->recovery || identity.n > SIO_IDENTITY_MAX)
		return SIO_ERR_INVAL;
	old = s->recovery;
	r = recovery_new(old->pid, sio_bytes(old->text, old->since_n), identity);
	if (!r)
		return SIO_ERR_NOMEM;
	r->is_recovered = old->is_recovered;
	s->recovery = r;
	free(old);
	recover_changed(s);
	return SIO_OK;
}

int sio_server_set_history(struct sio_server *server, const struct sio_history_ops *ops, void *self)
{
	struct hub *hub = hub_of(server);

	HUB_CHECK(hub);
	if (hub->history)
		return SIO_ERR_EXISTS;
	if (hub->sockets > 0)
		return SIO_ERR_INVAL;
	hub->history = ops;
	hub->history_self = self;
	return SIO_OK;
}

void recover_fini(struct hub *hub)
{
	if (hub->history)
		hub->history->close(hub->history_self);
}
