/* collab_fake.h -- libsio, store and verifier as collab sees them, in a test's hand.
 *
 * Time is server.now, the network is a string: what a socket was sent stands in
 * its out, one line a packet ("name args" or "ack N args").  The store answers
 * when the test says so (answer_role, answer_roles, answer_user).  A token is
 * "user" or "user:exp", good when exp lies ahead; "bad" is bad, the key of "later" is not known until has_key.
 *
 * Included by one test program each; it defines the functions themselves, so the
 * linker takes none of the real ones.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef COLLAB_FAKE_H
#define COLLAB_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <sio/history.h>
#include <sio/room.h>
#include <sio/namespace.h>
#include <sio/server.h>
#include <sio/servers.h>
#include <sio/socket.h>
#include <sio/work.h>

#include "auth/judge.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/wheel.h"
#include "collab/collab.h"
#include "store/store.h"

enum { FAKE_SOCKETS = 16, FAKE_ROOMS = 8, FAKE_ASKS = 16, FAKE_HANDLERS = 16 };

struct sio_socket {
	char id[SIO_ID_LEN + 1];
	void *data;
	unsigned refs;
	bool is_open;
	bool is_fragile;             /* the next emit ends it */
	bool was_closed;             /* sio_socket_close_transport */
	bool is_recovered;
	char pid[SIO_ID_LEN + 1];    /* empty: it cannot come back */
	int paused;
	char rooms[FAKE_ROOMS][64];
	unsigned rooms_n;
	struct buf out;
};

struct sio_connect {
	char auth[1024];
	char authorization[128];
	bool is_gone;
	struct sio_socket *socket;   /* once accepted */
	char refused[256];           /* "message data" */
	char url[128], agent[64];
	bool is_plain;               /* sio_connect_decline_recovery */
	bool was_closed;             /* sio_connect_close */
	char pid[SIO_ID_LEN + 1], sid[SIO_ID_LEN + 1]; /* of a session it was given */
	bool is_answered;
};

struct sio_server {
	struct wheel wheel;
	uint64_t now;
	unsigned max_rooms;
	struct sio_socket *sockets[FAKE_SOCKETS];
	unsigned sockets_n;
	struct {
		const char *name;
		sio_event_fn *fn;
		void *arg;
	} handlers[FAKE_HANDLERS];
	unsigned handlers_n;
	sio_connect_fn *on_connect;
	sio_disconnect_fn *on_disconnect;
	sio_limited_fn *on_limited;
	void *arg;
	uint32_t last_key;           /* of the last volatile broadcast */
	const struct sio_history_ops *history; /* NULL: none */
	void *history_self;
	void (*on_broadcast)(void);  /* NULL: nobody looks */
	unsigned others_n;           /* other servers of the cluster */
	bool tell_fails;             /* they cannot be told */
	struct buf told;             /* what they were told and answered */
	struct buf outside;          /* what processes of other kinds were told */
	sio_server_event_fn *on_server_event;
	void *server_event_arg;
};

struct store {
	struct {
		enum store_op op;
		char project[64], user[64];
		char body[512];
		int64_t after;
		bool with_except;
		store_done_fn *done;
		void *arg;
	} asks[FAKE_ASKS];
	unsigned asks_n, looks_n;
	int refuse;                  /* store_submit returns this when not 0 */
	int64_t seq;                 /* of the answers to come */
};

static struct sio_server server;
static struct store store;
static struct collab *collab;
static struct judge_wait *awaited; /* the token that waits for its key */
static bool has_key;               /* of the tokens of "later" */
static enum token_status await_as = TOKEN_WAITING;

/* ---- connecting ------------------------------------------------------------- */

void sio_on_connect(struct sio_server *s, sio_connect_fn *fn, void *arg)
{
	s->on_connect = fn;
	s->arg = arg;
}

void sio_on_disconnect(struct sio_server *s, sio_disconnect_fn *fn, void *arg)
{
	(void)arg;
	s->on_disconnect = fn;
}

void sio_on_limited(struct sio_server *s, sio_limited_fn *fn, void *arg)
{
	(void)arg;
	s->on_limited = fn;
}

int sio_on_event(struct sio_server *s, const char *name, sio_event_fn *fn, void *arg)
{
	s->handlers[s->handlers_n].name = name;
	s->handlers[s->handlers_n].fn = fn;
	s->handlers[s->handlers_n++].arg = arg;
	return 0;
}

sio_slice sio_connect_auth(const struct sio_connect *req)
{
	return sio_str(req->auth);
}

sio_slice sio_connect_address(const struct sio_connect *req)
{
	(void)req;
	return SIO_LIT("127.0.0.1");
}

sio_slice sio_connect_header(const struct sio_connect *req, const char *name)
{
	if (strcmp(name, "user-agent") == 0)
		return sio_str(req->agent);
	return strcmp(name, "authorization") == 0 ? sio_str(req->authorization) : sio_bytes("", 0);
}

sio_slice sio_connect_url(const struct sio_connect *req)
{
	return sio_str(req->url);
}

static void fake_missed(sio_slice packet, const sio_slice *attachments, unsigned attachments_n, void *arg)
{
	struct sio_socket *socket = arg;

	assert_true(attachments_n == 0 && !attachments);
	buf_slice(&socket->out, packet);
	buf_byte(&socket->out, '\n');
}

static void fake_replayed(int status, void *arg)
{
	assert_int_equal(status, SIO_OK);
	assert_non_null(arg);
}

/* ---- recovery ------------------------------------------------------------------ */

int sio_server_set_history(struct sio_server *s, const struct sio_history_ops *ops, void *self)
{
	s->history = ops;
	s->history_self = self;
	return SIO_OK;
}

int sio_connect_ids(struct sio_connect *req, char sid[SIO_ID_LEN + 1], char pid[SIO_ID_LEN + 1])
{
	snprintf(sid, SIO_ID_LEN + 1, "sid-%016u", server.sockets_n);
	snprintf(pid, SIO_ID_LEN + 1, "pid-%016u", server.sockets_n);
	memcpy(req->pid, pid, sizeof(req->pid));
	return server.history && !req->is_plain ? SIO_OK : SIO_ERR_INVAL;
}

int sio_connect_recover(struct sio_connect *req, const struct sio_history_session *session, sio_slice offset)
{
	assert_int_equal(offset.n, 0);
	snprintf(req->pid, sizeof(req->pid), "%.*s", (int)session->pid.n, session->pid.p);
	snprintf(req->sid, sizeof(req->sid), "%.*s", (int)session->sid.n, session->sid.p);
	return SIO_OK;
}

void sio_connect_decline_recovery(struct sio_connect *req)
{
	req->is_plain = true;
}

struct sio_socket *sio_connect_predecessor(const struct sio_connect *req, sio_slice pid)
{
	(void)req;
	for (unsigned i = 0; i < server.sockets_n; i++)
		if (server.sockets[i] && server.sockets[i]->is_open && sio_slice_eq(sio_str(server.sockets[i]->pid), pid))
			return server.sockets[i];
	return NULL;
}

bool sio_socket_is_recovered(const struct sio_socket *socket)
{
	return socket->is_recovered;
}

sio_slice sio_socket_pid(const struct sio_socket *socket)
{
	return sio_str(socket->is_open ? socket->pid : "");
}

struct sio_socket *sio_connect_accept(struct sio_connect *req)
{
	struct sio_socket *socket;

	assert_false(req->is_answered);
	req->is_answered = true;
	memset(req->auth, '#', sizeof(req->auth)); /* its bytes are gone now */
	if (req->is_gone)
		return NULL;
	socket = calloc(1, sizeof(*socket));
	snprintf(socket->id, sizeof(socket->id), "socket-%013u", server.sockets_n);
	socket->refs = 1;
	socket->is_open = true;
	server.sockets[server.sockets_n++] = socket;
	if (server.history && !req->is_plain)
		memcpy(socket->pid, req->pid, sizeof(socket->pid));
	if (req->sid[0]) {
		memcpy(socket->id, req->sid, sizeof(socket->id));
		socket->is_recovered = true;
		server.history->replay(server.history_self, NULL, sio_bytes("", 0), fake_missed, fake_replayed, socket);
	}
	return req->socket = socket;
}

void sio_connect_refuse(struct sio_connect *req, sio_slice message, sio_slice data)
{
	assert_false(req->is_answered);
	req->is_answered = true;
	snprintf(req->refused, sizeof(req->refused), "%.*s %.*s", (int)message.n, message.p, (int)data.n, data.p);
}

bool sio_connect_is_open(const struct sio_connect *req)
{
	return !req->is_gone;
}

void sio_connect_close(struct sio_connect *req)
{
	assert_false(req->is_answered);
	req->is_answered = req->was_closed = true;
}

/* ---- sockets -------------------------------------------------------------------- */

static void fake_end(struct sio_socket *socket, const char *reason)
{
	if (!socket->is_open)
		return;
	if (socket->pid[0]) {
		struct sio_history_session session = { .pid = sio_str(socket->pid), .sid = sio_socket_id(socket) };

		(strstr(reason, "namespace disconnect") ? server.history->ended : server.history->left)(server.history_self, &session, server.now);
	}
	socket->is_open = false;
	socket->rooms_n = 0;
	server.on_disconnect(socket, sio_str(reason), server.arg);
	sio_socket_unref(socket);
}

void sio_connect_take_over(struct sio_connect *req, sio_slice pid)
{
	struct sio_socket *socket = sio_connect_predecessor(req, pid);

	if (socket)
		fake_end(socket, "transport close");
}

sio_slice sio_socket_id(const struct sio_socket *socket)
{
	return sio_bytes(socket->id, SIO_ID_LEN);
}

bool sio_socket_is_open(const struct sio_socket *socket)
{
	return socket->is_open;
}

void sio_socket_set_data(struct sio_socket *socket, void *data)
{
	socket->data = data;
}

void *sio_socket_data(const struct sio_socket *socket)
{
	return socket->data;
}

struct sio_socket *sio_socket_ref(struct sio_socket *socket)
{
	socket->refs++;
	return socket;
}

void sio_socket_unref(struct sio_socket *socket)
{
	if (--socket->refs > 0)
		return;
	for (unsigned i = 0; i < server.sockets_n; i++)
		if (server.sockets[i] == socket)
			server.sockets[i] = NULL;
	buf_fini(&socket->out);
	free(socket);
}

void sio_socket_pause(struct sio_socket *socket)
{
	socket->paused++;
}

void sio_socket_resume(struct sio_socket *socket)
{
	socket->paused--;
}

static int fake_send(struct sio_socket *socket, const char *head, sio_slice json)
{
	if (!socket->is_open)
		return SIO_ERR_CLOSED;
	buf_str(&socket->out, head);
	buf_byte(&socket->out, ' ');
	buf_slice(&socket->out, json);
	buf_byte(&socket->out, '\n');
	if (socket->is_fragile)
		fake_end(socket, "transport close");
	return 0;
}

int sio_socket_emit(struct sio_socket *socket, sio_slice name, const struct sio_args *args)
{
	char head[64];

	snprintf(head, sizeof(head), "%.*s", (int)name.n, name.p);
	return fake_send(socket, head, args->json);
}

int sio_socket_ack(struct sio_socket *socket, uint64_t ack, const struct sio_args *args)
{
	char head[64];

	assert_true(ack != SIO_ACK_NONE);
	snprintf(head, sizeof(head), "ack %u", (unsigned)ack);
	return fake_send(socket, head, args->json);
}

void sio_socket_disconnect(struct sio_socket *socket, bool close_session)
{
	(void)close_session;
	fake_end(socket, "server namespace disconnect");
}

void sio_socket_close_transport(struct sio_socket *socket)
{
	socket->was_closed = true;
}

/* ---- rooms ------------------------------------------------------------------------ */

bool sio_room_has(const struct sio_socket *socket, sio_slice room)
{
	for (unsigned i = 0; i < socket->rooms_n; i++)
		if (sio_slice_eq(sio_str(socket->rooms[i]), room))
			return true;
	return false;
}

int sio_room_join(struct sio_socket *socket, sio_slice room)
{
	if (!socket->is_open)
		return SIO_ERR_CLOSED;
	if (sio_room_has(socket, room))
		return 0;
	if (socket->rooms_n == server.max_rooms)
		return SIO_ERR_LIMIT;
	snprintf(socket->rooms[socket->rooms_n++], sizeof(socket->rooms[0]), "%.*s", (int)room.n, room.p);
	return 0;
}

void sio_room_leave(struct sio_socket *socket, sio_slice room)
{
	for (unsigned i = 0; i < socket->rooms_n; i++) {
		if (!sio_slice_eq(sio_str(socket->rooms[i]), room))
			continue;
		memmove(socket->rooms[i], socket->rooms[socket->rooms_n - 1], sizeof(socket->rooms[i]));
		socket->rooms_n--;
		return;
	}
}

void sio_room_each(struct sio_server *s, sio_slice room, sio_room_fn *fn, void *arg)
{
	for (unsigned i = 0; i < s->sockets_n; i++)
		if (s->sockets[i] && s->sockets[i]->is_open && sio_room_has(s->sockets[i], room))
			fn(s->sockets[i], arg);
}

struct sio_socket *sio_sockets_find(const struct sio_namespace *nsp, sio_slice id)
{
	(void)nsp;
	for (unsigned i = 0; i < server.sockets_n; i++)
		if (server.sockets[i] && server.sockets[i]->is_open && sio_slice_eq(sio_str(server.sockets[i]->id), id))
			return server.sockets[i];
	return NULL;
}

/* Other servers: there are server.others_n, and what they are told stands in server.told, one
 * line each. */
struct sio_namespace *sio_namespace_main(struct sio_server *s)
{
	return (struct sio_namespace *)(void *)s;
}

size_t sio_server_nodes_n(const struct sio_server *s)
{
	return 1 + s->others_n;
}

/* No adapter: there is no map of all servers. */
sio_slice sio_server_node(const struct sio_server *s)
{
	(void)s;
	return sio_bytes("", 0);
}

void sio_server_each_node(const struct sio_server *s, sio_server_node_fn *fn, void *arg)
{
	(void)s, (void)fn, (void)arg;
}

void sio_server_on_node_gone(struct sio_server *s, sio_server_node_fn *fn, void *arg)
{
	(void)s, (void)fn, (void)arg;
}

int sio_servers_send(struct sio_namespace *nsp, sio_slice node, sio_slice name, const struct sio_args *args)
{
	(void)nsp, (void)node, (void)name, (void)args;
	return SIO_ERR_NOENT;
}

int sio_servers_tell(struct sio_namespace *nsp, sio_slice room, sio_slice name, const struct sio_args *args)
{
	struct sio_server *s = (struct sio_server *)(void *)nsp;

	if (s->tell_fails)
		return SIO_ERR_BUSY;
	buf_printf(&s->told, "%.*s %.*s %.*s\n", (int)room.n, room.p, (int)name.n, name.p, (int)args->json.n, args->json.p);
	return 0;
}

int sio_neighbours_tell(struct sio_namespace *nsp, const struct sio_target *target, sio_slice name, const struct sio_args *args)
{
	struct sio_server *s = (struct sio_server *)(void *)nsp;

	buf_printf(&s->outside, "%.*s%s%.*s %.*s %.*s\n", (int)target->rooms[0].n, target->rooms[0].p, target->except_n ? " less " : "",
		   target->except_n ? (int)target->except[0].n : 0, target->except_n ? target->except[0].p : "", (int)name.n, name.p,
		   (int)args->json.n, args->json.p);
	return 0;
}

long sio_servers_emit(struct sio_namespace *nsp, sio_slice name, const struct sio_args *args)
{
	return sio_servers_tell(nsp, SIO_LIT("*"), name, args) < 0 ? -1 : (long)server.others_n;
}

int sio_servers_answer(struct sio_server *s, sio_slice node, uint64_t ack, const struct sio_args *args)
{
	buf_printf(&s->told, "%.*s %u %.*s\n", (int)node.n, node.p, (unsigned)ack, (int)args->json.n, args->json.p);
	return 0;
}

void sio_namespace_on_server_event(struct sio_namespace *nsp, sio_server_event_fn *fn, void *arg)
{
	struct sio_server *s = (struct sio_server *)(void *)nsp;

	s->on_server_event = fn;
	s->server_event_arg = arg;
}

long sio_broadcast(struct sio_server *s, const struct sio_target *target, sio_slice name, const struct sio_args *args)
{
	char head[64];
	long n = 0;

	snprintf(head, sizeof(head), "%.*s", (int)name.n, name.p);
	if (s->on_broadcast)
		s->on_broadcast();
	if (target->is_volatile)
		s->last_key = target->latest_key;
	for (unsigned i = 0; i < s->sockets_n; i++) {
		struct sio_socket *socket = s->sockets[i];

		if (!socket || !socket->is_open || socket == target->skip || !sio_room_has(socket, target->rooms[0]))
			continue;
		if (target->except_n > 0 && sio_slice_eq(target->except[0], sio_socket_id(socket)))
			continue;
		fake_send(socket, head, args->json);
		n++;
	}
	return n;
}

/* ---- time ---------------------------------------------------------------------------- */

uint64_t sio_server_now_ms(const struct sio_server *s)
{
	return s->now;
}

void sio_timer_start(struct sio_server *s, struct sio_timer *timer, uint32_t ms, void (*fn)(struct sio_timer *timer))
{
	wheel_set(&s->wheel, timer, s->now + ms, fn);
}

void sio_timer_stop(struct sio_timer *timer)
{
	wheel_del(timer);
}

/* Let time pass in small steps. */
static inline void pass(uint64_t ms)
{
	for (uint64_t end = server.now + ms; server.now < end;) {
		server.now += end - server.now < 10 ? end - server.now : 10;
		wheel_run(&server.wheel, server.now);
	}
}

/* ---- verifier -------------------------------------------------------------------------- */

const char *token_status_code(enum token_status status)
{
	static const char *const code[] = { "ok", "token_missing", "token_invalid", "token_expired", "token_invalid", "keys_unavailable" };

	return code[status];
}

enum token_status judge_token(struct judge *judge, sio_slice token, struct token_claims *out)
{
	int64_t now_s = (int64_t)time(NULL);
	char text[256];
	char *exp;

	(void)judge;
	if (token.n == 0)
		return TOKEN_MISSING;
	snprintf(text, sizeof(text), "%.*s", (int)token.n, token.p);
	if (strcmp(text, "bad") == 0)
		return TOKEN_INVALID;
	if (strncmp(text, "later", 5) == 0 && !has_key)
		return TOKEN_KEY_UNKNOWN;
	*out = (struct token_claims){ .exp_s = INT64_MAX };
	exp = strchr(text, ':');
	if (exp) {
		*exp = '\0';
		out->exp_s = now_s + atoi(exp + 1);
	}
	snprintf(out->user, sizeof(out->user), "%s", text);
	return out->exp_s <= now_s ? TOKEN_EXPIRED : TOKEN_OK;
}

enum token_status judge_await(struct judge *judge, struct judge_wait *wait, void (*fn)(struct judge_wait *wait))
{
	(void)judge;
	if (await_as != TOKEN_WAITING)
		return await_as;
	assert_null(awaited);
	awaited = wait;
	wait->fn = fn;
	return TOKEN_WAITING;
}

/* A fetch has ended. */
static inline void news(void)
{
	struct judge_wait *wait = awaited;

	assert_non_null(wait);
	awaited = NULL;
	wait->fn(wait);
}

sio_slice token_of_header(sio_slice value)
{
	return value.n > 7 ? sio_bytes(value.p + 7, value.n - 7) : sio_bytes("", 0);
}

/* ---- store ------------------------------------------------------------------------------- */

int store_submit(struct store *s, const struct store_ask *ask)
{
	if (s->refuse)
		return s->refuse;
	assert_true(s->asks_n < FAKE_ASKS && ask->loop == &server);
	s->asks[s->asks_n].op = ask->op;
	snprintf(s->asks[s->asks_n].project, sizeof(s->asks[0].project), "%.*s", (int)ask->project.n, ask->project.p);
	snprintf(s->asks[s->asks_n].user, sizeof(s->asks[0].user), "%.*s", (int)ask->user.n, ask->user.p);
	snprintf(s->asks[s->asks_n].body, sizeof(s->asks[0].body), "%.*s", (int)ask->body.n, ask->body.p);
	s->asks[s->asks_n].after = ask->after;
	s->asks[s->asks_n].with_except = ask->with_except;
	s->asks[s->asks_n].done = ask->done;
	s->asks[s->asks_n++].arg = ask->arg;
	return 0;
}

void store_look(struct store *s)
{
	s->looks_n++;
}

const char *store_op_name(enum store_op op)
{
	return op == STORE_SESSION_BEAT ? "session_beat" : "op";
}

void store_result_free(struct store_result *result)
{
	free(result);
}

/* Answer the oldest question, which must be op. */
static inline void answer(enum store_op op, enum store_status status, const char *role, const char *json)
{
	struct store_result *result = calloc(1, sizeof(*result));
	store_done_fn *done = store.asks[0].done;
	void *arg = store.asks[0].arg;

	assert_true(store.asks_n > 0);
	assert_int_equal(store.asks[0].op, op);
	memmove(&store.asks[0], &store.asks[1], sizeof(store.asks[0]) * (FAKE_ASKS - 1));
	store.asks_n--;
	result->op = op;
	result->status = status;
	snprintf(result->role, sizeof(result->role), "%s", role);
	result->json = sio_str(json);
	result->seq = store.seq;
	for (const char *p = json; (p = strchr(p, '{')); p++) /* more than 0 when there are any */
		result->rows_n++;
	done(result, arg);
}

static inline void answer_role(const char *role)
{
	answer(STORE_ROLE_GET, STORE_OK, role, "");
}

/* ---- what tests say ------------------------------------------------------------------------ */

static inline int fake_setup(const struct collab_options *options)
{
	server = (struct sio_server){ .now = 1000, .max_rooms = FAKE_ROOMS };
	store = (struct store){ 0 };
	log_setup(SIO_LOG_ERROR, false);
	wheel_init(&server.wheel, server.now);
	return collab_new(&server, &store, NULL, options, &collab);
}

static inline void fake_teardown(void)
{
	for (unsigned i = 0; i < server.sockets_n; i++)
		if (server.sockets[i])
			fake_end(server.sockets[i], "server shutting down");
	while (store.asks_n > 0)
		answer(store.asks[0].op, STORE_UNAVAILABLE, "", "");
	collab_free(collab);
	buf_fini(&server.told);
	buf_fini(&server.outside);
}

/* What the socket was sent since the last look must be exactly this. */
static inline void expect(struct sio_socket *socket, const char *want)
{
	buf_byte(&socket->out, '\0');
	assert_string_equal(socket->out.p, want);
	buf_clear(&socket->out);
}

static inline void expect_part(struct sio_socket *socket, const char *want)
{
	buf_byte(&socket->out, '\0');
	if (!strstr(socket->out.p, want))
		fail_msg("%s\ndoes not contain\n%s", socket->out.p, want);
	buf_clear(&socket->out);
}

/* The client sends an event; ack 0: without one. */
static inline void send_event(struct sio_socket *socket, const char *name, const char *args, unsigned ack)
{
	struct sio_event event = { sio_str(name), sio_args_json(sio_str(args)), ack ? ack : SIO_ACK_NONE };
	unsigned i = 0;

	assert_int_equal(socket->paused, 0);
	while (server.handlers[i].name && strcmp(server.handlers[i].name, name) != 0)
		i++;
	server.handlers[i].fn(socket, &event, server.handlers[i].arg);
}

/* A user comes in without projects and is in one afterwards (NULL: none). */
static inline struct sio_socket *come(const char *token, const char *project)
{
	struct sio_connect req = { 0 };
	char args[128];

	snprintf(req.auth, sizeof(req.auth), "{\"token\":\"%s\"}", token);
	server.on_connect(&req, server.arg);
	if (store.asks_n > 0)
		answer(STORE_USER_GET, STORE_NOT_FOUND, "", "");
	assert_non_null(req.socket);
	if (project) {
		snprintf(args, sizeof(args), "{\"project_id\":\"%s\"}", project);
		send_event(req.socket, "join_project", args, 0);
		answer_role("editor");
	}
	buf_clear(&req.socket->out);
	return req.socket;
}

#endif
