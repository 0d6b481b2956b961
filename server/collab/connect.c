/* connect.c -- who comes in, and what happens when a socket ends.
 *
 * A CONNECT is judged by its token and the number of the user's connections, at
 * once; only a token whose key is being fetched waits for that (auth/judge.h).  Then the store is asked, while the client waits, for the user's name and
 * for the roles in the projects of auth.projects, so that these are joined before
 * anything the client has buffered is handled.  The client then hears, in this
 * order: CONNECT, "connected", "joined_project" (or an error) for each project.
 *
 * With recovery (history.c) the same question opens a session, or resumes the one that
 * the client names; one that is not resumed is opened anew with a second question.  A
 * client that is back hears what it missed behind CONNECT, then the same as any other.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include "base/log.h"
#include "base/random.h"
#include "collab/client.h"

enum { TAKEN_MAX = 3 };

/* A good CONNECT that waits for the store. */
struct pending {
	struct collab *collab;
	struct sio_connect *req;
	struct presence_user *user;     /* referenced, and counted as a connection */
	int64_t exp_s;
	unsigned waits_n;               /* store calls under way */
	unsigned ignored_n;             /* projects past the limit */
	bool is_bad_list;               /* auth.projects is no array */
	struct buf wanted;              /* auth.projects: JSON strings, null for what cannot be an id; commas between */
	struct buf ids;                 /* those that could exist, a JSON array; empty: none */
	struct store_result *roles;     /* answer to ROLE_LIST or SESSION_OPEN; NULL: not asked, or failed */
	struct store_result *resumed;   /* good answer to SESSION_RESUME; NULL: a new session, or none */
	char pid[SIO_ID_LEN + 1];       /* of the session asked for, then of the one it gets; empty: none */
	int64_t seen;                   /* position up to which it has heard; 0: nothing */
	bool is_opened;                 /* the store has a new session of that pid */
	bool may_recover;               /* its session is asked for when everything else is known */
	uint8_t taken_n;                /* how often another connection had its session by the time it was resumed */
	bool is_crowded;                /* the store has too much to do to look for the session, or is away: come again */
};

/* ---- refusals -------------------------------------------------------------------- */

static const struct {
	const char *code;
	const char *message;
} refusals[REFUSE_N] = {
	[REFUSE_TOKEN_MISSING] = { "token_missing", "Authentication required" },
	[REFUSE_TOKEN_INVALID] = { "token_invalid", "Authentication required" },
	[REFUSE_TOKEN_EXPIRED] = { "token_expired", "Authentication required" },
	[REFUSE_TOO_MANY] = { "too_many_connections",
			      "This user has too many connections: close one, then connect again" },
	[REFUSE_UNAVAILABLE] = { "unavailable", "The server is out of memory: try again later" },
};

/* reason is for the log alone: a stranger learns the code. */
static void refuse(struct collab *collab, struct sio_connect *req, enum collab_refusal why, const char *reason)
{
	struct buf data = { 0 };

	collab->refused[why]++;
	log_warning("Client refused: %s%s%s, from %.*s", refusals[why].code, *reason ? ": " : "", reason,
		 (int)sio_connect_address(req).n, sio_connect_address(req).p);
	buf_printf(&data, "{\"code\":\"%s\"}", refusals[why].code);
	sio_connect_refuse(req, sio_str(refusals[why].message), data.failed ? sio_bytes("", 0) : buf_peek(&data));
	buf_fini(&data);
}

static enum collab_refusal refusal_of(enum token_status status)
{
	switch (status) {
	case TOKEN_MISSING: return REFUSE_TOKEN_MISSING;
	case TOKEN_EXPIRED: return REFUSE_TOKEN_EXPIRED;
	default: return REFUSE_TOKEN_INVALID;
	}
}

/* ---- coming in ---------------------------------------------------------------------- */

/* Check the token of auth, else that of the Authorization header.  Never the query:
 * addresses end up in logs. */
static enum token_status check_token(struct collab *collab, struct sio_connect *req, const struct sio_json_field *field,
				      struct token_claims *claims)
{
	char token[TOKEN_MAX + 1];
	sio_slice text;
	enum token_status status;

	claims->reason[0] = '\0';
	if (field->type == SIO_JSON_NONE || field->type == SIO_JSON_NULL) {
		text = token_of_header(sio_connect_header(req, "authorization"));
	} else {
		long n = sio_json_unquote(field->value, token, sizeof(token));

		if (n < 0)
			return TOKEN_INVALID;
		text = sio_bytes(token, (size_t)n);
	}
	status = judge_token(collab->judge, text, claims);
	/* The id becomes a room's name: it must fit one. */
	if (status == TOKEN_OK && (!access_user_id_ok(sio_str(claims->user)) || strlen(claims->user) > PRESENCE_ID_MAX))
		return TOKEN_INVALID;
	return status;
}

/* Note the projects that the client wants. */
static void want_projects(struct pending *pending, sio_slice list)
{
	struct buf *ids = &pending->ids;
	sio_slice item;
	unsigned n = 0;

	while (sio_json_next(&list, &item) == 0) {
		bool is_string = sio_json_type(item) == SIO_JSON_STRING && item.n <= 2 * ACCESS_ID_MAX;

		if (n++ >= COLLAB_CONNECT_PROJECTS_MAX) {
			pending->ignored_n++;
			continue;
		}
		if (n > 1)
			buf_byte(&pending->wanted, ',');
		buf_slice(&pending->wanted, is_string ? item : SIO_LIT("null"));
		if (!is_string || !access_id_ok(client_unquoted(item)))
			continue;
		buf_byte(ids, ids->n == 0 ? '[' : ',');
		buf_slice(ids, item);
	}
	if (ids->n > 0)
		buf_byte(ids, ']');
	if (ids->failed)
		buf_fini(ids);
}

static void pending_free(struct pending *pending)
{
	store_result_free(pending->roles);
	store_result_free(pending->resumed);
	buf_fini(&pending->wanted);
	buf_fini(&pending->ids);
	free(pending);
}

/* ---- letting in ------------------------------------------------------------------------ */

/* The role that the store's answer holds for the project, and the project's last event;
 * id is JSON text. */
static enum role role_in(const struct store_result *roles, sio_slice id, int64_t *seq)
{
	sio_slice rows = sio_json_inside(roles->json), row;

	while (sio_json_next(&rows, &row) == 0) {
		struct sio_json_field fields[] = { { .key = "project_id" }, { .key = "role" }, { .key = "seq" } };

		if (sio_json_pick(row, fields, 3) < 0 || !sio_slice_eq(fields[0].value, id))
			continue;
		if (sio_json_int(fields[2].value, seq) < 0)
			*seq = 0;
		if (fields[1].type != SIO_JSON_STRING)
			return ROLE_NONE;
		return access_role_parse(client_unquoted(fields[1].value));
	}
	return ROLE_NONE;
}

static void admit_to_project(struct client *client, const struct pending *pending, sio_slice id)
{
	bool is_possible = sio_json_type(id) == SIO_JSON_STRING && access_id_ok(client_unquoted(id));
	int64_t seq = 0;
	enum role role = is_possible && pending->roles ? role_in(pending->roles, id, &seq) : ROLE_NONE;

	if (access_may(role, ACCESS_PROJECT_JOIN))
		project_enter(client, SIO_ACK_NONE, id, role, seq);
	else if (is_possible && !pending->roles)
		project_unavailable(client, SIO_ACK_NONE, id);
	else
		project_deny(client, SIO_ACK_NONE, id);
}

/* One of a resumed session's rooms, or of those that were asked for beside them. */
static void readmit_to_project(struct client *client, sio_slice row)
{
	struct sio_json_field f[] = { { .key = "project_id" }, { .key = "role" }, { .key = "seq" }, { .key = "was_joined" }, { .key = "state" } };
	enum role role;
	int64_t seq;

	if (sio_json_pick(row, f, 5) < 0 || f[0].type != SIO_JSON_STRING || f[1].type != SIO_JSON_STRING ||
	    sio_json_int(f[2].value, &seq) < 0)
		return;
	role = access_role_parse(client_unquoted(f[1].value));
	if (access_may(role, ACCESS_PROJECT_JOIN))
		project_enter_again(client, f[0].value, role, seq, f[4].type == SIO_JSON_NULL ? sio_bytes("", 0) : f[4].value);
	else if (sio_slice_eq(f[3].value, SIO_LIT("true")))
		project_tell_revoked(client, f[0].value);
	else
		project_deny(client, SIO_ACK_NONE, f[0].value);
}

static sio_slice resumed_rooms(const struct pending *pending)
{
	struct sio_json_field rooms = { .key = "rooms" };

	if (sio_json_pick(pending->resumed->json, &rooms, 1) < 0)
		return sio_bytes("", 0);
	return sio_json_inside(rooms.value);
}

static bool is_resumed_room(const struct pending *pending, sio_slice id)
{
	sio_slice rooms = resumed_rooms(pending), row;

	while (sio_json_next(&rooms, &row) == 0) {
		struct sio_json_field field = { .key = "project_id" };

		if (sio_json_pick(row, &field, 1) == 0 && sio_slice_eq(field.value, id))
			return true;
	}
	return false;
}

static void readmit_to_projects(struct client *client, const struct pending *pending)
{
	sio_slice rooms = resumed_rooms(pending), wanted = buf_peek(&pending->wanted), item;

	while (sio_socket_is_open(client->socket) && sio_json_next(&rooms, &item) == 0)
		readmit_to_project(client, item);
	while (sio_socket_is_open(client->socket) && sio_json_next(&wanted, &item) == 0)
		if (!is_resumed_room(pending, item))
			project_deny(client, SIO_ACK_NONE, item);
}

static void admit_to_projects(struct client *client, const struct pending *pending)
{
	sio_slice wanted = buf_peek(&pending->wanted), none = sio_bytes("", 0), id;

	if (pending->resumed)
		readmit_to_projects(client, pending);
	while (!pending->resumed && sio_socket_is_open(client->socket) && sio_json_next(&wanted, &id) == 0)
		admit_to_project(client, pending, id);
	_Static_assert(COLLAB_CONNECT_PROJECTS_MAX == 100, "the message below names the limit");
	if (pending->ignored_n > 0)
		emit_error_event(client, "too_many_projects",
				 "auth.projects may name 100 projects: join the others with join_project", none);
	if (pending->is_bad_list)
		emit_error_event(client, "invalid_payload", "auth.projects must be an array of project ids", none);
}

static void greet(struct client *client)
{
	const struct presence_user *user = client->user;
	struct buf b = { 0 };

	emit_begin(&b);
	buf_str(&b, "\"user_id\":");
	emit_id(&b, &user->node);
	buf_str(&b, ",\"message\":\"Successfully connected as ");
	/* A JSON string without its opening quote goes on where ours has begun. */
	size_t at = b.n;
	buf_json(&b, presence_user_name(user));
	if (!b.failed) {
		memmove(b.p + at, b.p + at + 1, b.n - at - 1);
		b.n--;
	}
	emit_answer(client, SIO_ACK_NONE, "connected", &b);
}

static void admit_client(struct client *client, const struct pending *pending)
{
	int err = sio_room_join(client->socket, presence_user_room(client->user));

	if (err < 0) {
		log_error("Socket %.*s cannot join its user's room: %s", SIO_ID_LEN, sio_socket_id(client->socket).p,
			  sio_strerror(err));
		sio_socket_close_transport(client->socket);
		return;
	}
	log_info("Client connected: %.*s (user: %s)", SIO_ID_LEN, sio_socket_id(client->socket).p,
		 client->user->node.key);
	if (sio_socket_is_recovered(client->socket))
		log_info("Client recovered: %.*s (user: %s), it had missed %u events", SIO_ID_LEN,
			 sio_socket_id(client->socket).p, client->user->node.key, client->collab->history.replayed_n);
	greet(client);
	admit_to_projects(client, pending);
	expiry_start(client, pending->exp_s);
}

/* Accept, with the session that was resumed or opened if there is one.  NULL: the client has
 * gone; then a session that it never heard of is forgotten. */
static struct sio_socket *accept_pending(struct pending *pending)
{
	struct collab *collab = pending->collab;
	struct sio_socket *socket;

	if (!pending->resumed && !pending->is_opened)
		sio_connect_decline_recovery(pending->req);
	socket = sio_connect_accept(pending->req);
	collab->history.missed = sio_bytes("", 0);
	if (!socket && pending->is_opened)
		history_forget(collab, sio_str(pending->pid));
	if (socket && pending->resumed)
		history_count(collab, HISTORY_RECOVERED, presence_id(&pending->user->node));
	return socket && sio_socket_is_open(socket) ? socket : NULL;
}

static void open_session(struct pending *pending);
static void resume_session(struct pending *pending);
static void ask_projects(struct pending *pending);
static void pending_answered(struct pending *pending);

/* The request gets the session that was resumed.  false: another connection has it by now, one
 * that the client gave up before it was answered.  That one ends, and the store is asked again;
 * who has met others too often gets a session of its own. */
static bool take_resumed(struct pending *pending)
{
	if (history_recover(pending->collab, pending->req, sio_str(pending->pid), pending->resumed))
		return true;
	store_result_free(pending->resumed);
	pending->resumed = NULL;
	pending->waits_n = 1; /* ours, until it is asked */
	history_take_over(pending->collab, pending->req, sio_str(pending->pid), presence_id(&pending->user->node));
	if (++pending->taken_n <= TAKEN_MAX)
		resume_session(pending);
	else
		open_session(pending);
	pending_answered(pending);
	return false;
}

/* Thousands come back at once after a kill: whom the store cannot take now would lose its session.
 * It comes again in a moment by itself, with its private id. */
static void send_away(struct pending *pending)
{
	struct presence *presence = &pending->collab->presence;

	presence_user_disconnect(presence, pending->user);
	presence_user_unref(presence, pending->user);
	sio_connect_close(pending->req);
	pending_free(pending);
}

/* Everything is known: let the client in. */
static void admit(struct pending *pending)
{
	struct collab *collab = pending->collab;
	struct client *client;
	struct sio_socket *socket;

	if (pending->is_crowded) {
		send_away(pending);
		return;
	}
	if (pending->resumed && !take_resumed(pending))
		return;
	client = client_new(collab, pending->user);
	if (!client) {
		collab->history.missed = sio_bytes("", 0); /* it goes with pending */
		presence_user_disconnect(&collab->presence, pending->user);
		presence_user_unref(&collab->presence, pending->user);
		refuse(collab, pending->req, REFUSE_UNAVAILABLE, "");
		pending_free(pending);
		return;
	}
	socket = accept_pending(pending);
	if (socket) {
		client->socket = sio_socket_ref(socket);
		sio_socket_set_data(socket, client);
		client_ref(client);
		admit_client(client, pending);
	} else {
		presence_user_disconnect(&collab->presence, pending->user);
	}
	client_unref(client);
	pending_free(pending);
}

/* ---- asking ----------------------------------------------------------------------------- */

static void pending_answered(struct pending *pending)
{
	if (--pending->waits_n == 0)
		admit(pending);
}

static void on_roles(struct store_result *result, void *arg)
{
	struct pending *pending = arg;

	if (result->status == STORE_OK)
		pending->roles = result;
	else
		store_result_free(result);
	pending_answered(pending);
}

static void on_user(struct store_result *result, void *arg)
{
	struct pending *pending = arg;
	struct sio_json_field field = { .key = "name" };
	char name[TOKEN_NAME_MAX + 1];
	long n = 0;

	if (result->status == STORE_OK && sio_json_pick(result->json, &field, 1) == 0)
		n = sio_json_unquote(field.value, name, sizeof(name));
	if (n > 0)
		(void)presence_user_rename(pending->user, sio_bytes(name, (size_t)n)); /* else the old one stays */
	store_result_free(result);
	if (pending->may_recover)
		ask_projects(pending);
	pending_answered(pending);
}

static struct store_ask pending_question(struct pending *pending, store_done_fn *done)
{
	return (struct store_ask){ .user = presence_id(&pending->user->node),
				   .item = sio_str(pending->pid),
				   .done = done,
				   .arg = pending,
				   .loop = pending->collab->server };
}

static void pending_ask(struct pending *pending, enum store_op op, sio_slice body, store_done_fn *done)
{
	struct store_ask ask = pending_question(pending, done);

	ask.op = op;
	ask.body = body;
	ask.is_ordered = op == STORE_ROLE_LIST; /* as a join */
	/* A store that takes no question leaves the name of the token, and an error
	 * for each project: the connection itself needs neither. */
	if (store_submit(pending->collab->store, &ask) == 0)
		pending->waits_n++;
}

static void on_opened(struct store_result *result, void *arg)
{
	struct pending *pending = arg;

	pending->is_opened = result->status == STORE_OK;
	on_roles(result, arg);
}

/* A session for a client that had none, or not this one. */
static void open_session(struct pending *pending)
{
	struct store_ask ask = pending_question(pending, on_opened);
	char sid[SIO_ID_LEN + 1];

	if (sio_connect_ids(pending->req, sid, pending->pid) < 0)
		return;
	ask.item = sio_str(pending->pid);
	if (history_ask_open(pending->collab, &ask, sid, buf_peek(&pending->ids)) == 0)
		pending->waits_n++;
}

static void on_resumed(struct store_result *result, void *arg)
{
	struct pending *pending = arg;
	enum history_result how = history_result_of(result);

	if (how != HISTORY_UNAVAILABLE)
		history_served(pending->collab);
	if (how == HISTORY_RECOVERED) {
		pending->resumed = result;
	} else if (result->status == STORE_BUSY || (how == HISTORY_UNAVAILABLE && history_may_return(pending->collab))) {
		pending->is_crowded = true;
		store_result_free(result);
	} else {
		history_count(pending->collab, how, presence_id(&pending->user->node));
		store_result_free(result);
		open_session(pending);
	}
	pending_answered(pending);
}

static void resume_session(struct pending *pending)
{
	struct store_ask ask = pending_question(pending, on_resumed);
	int err;

	ask.after = pending->seen;
	err = history_ask_resume(pending->collab, &ask, buf_peek(&pending->ids));
	if (err == 0)
		pending->waits_n++;
	else if (err == SIO_ERR_BUSY)
		pending->is_crowded = true;
	else
		history_count(pending->collab, HISTORY_UNAVAILABLE, ask.user);
	if (pending->is_crowded)
		log_debug("The store has too much to do: a client of user %.*s shall come again", (int)ask.user.n, ask.user.p);
}

/* Does the client ask for a session?  Notes which. */
static bool names_session(struct pending *pending)
{
	struct sio_json_field f[] = { { .key = "pid" }, { .key = "offset" } };
	sio_slice user = presence_id(&pending->user->node), offset = sio_bytes("", 0);

	if (sio_json_pick(sio_connect_auth(pending->req), f, 2) < 0 || f[0].type != SIO_JSON_STRING ||
	    !random_id_ok(client_unquoted(f[0].value).p, client_unquoted(f[0].value).n))
		return false;
	memcpy(pending->pid, client_unquoted(f[0].value).p, SIO_ID_LEN);
	if (f[1].type != SIO_JSON_NONE)
		offset = f[1].type == SIO_JSON_STRING ? client_unquoted(f[1].value) : SIO_LIT("?");
	if (history_position(offset, &pending->seen))
		return true;
	history_count(pending->collab, HISTORY_OFFSET, user);
	return false;
}

/* Ask for roles, and for a session if the client can have one. */
static void ask_projects(struct pending *pending)
{
	if (pending->may_recover && names_session(pending))
		resume_session(pending);
	else if (pending->may_recover)
		open_session(pending);
	else if (pending->ids.n > 0)
		pending_ask(pending, STORE_ROLE_LIST, buf_peek(&pending->ids), on_roles);
}

/* A good token: ask what is needed, admit at once when that is nothing. */
static void welcome(struct collab *collab, struct sio_connect *req, struct presence_user *user,
		    const struct token_claims *claims, const struct sio_json_field *projects, const struct sio_json_field *recovery)
{
	struct pending *pending = calloc(1, sizeof(*pending));

	if (!pending) {
		presence_user_disconnect(&collab->presence, user);
		presence_user_unref(&collab->presence, user);
		refuse(collab, req, REFUSE_UNAVAILABLE, "");
		return;
	}
	*pending = (struct pending){ .collab = collab, .req = req, .user = user, .exp_s = claims->exp_s };
	pending->is_bad_list = projects->type > SIO_JSON_NULL && projects->type != SIO_JSON_ARRAY;
	want_projects(pending, sio_json_inside(projects->type == SIO_JSON_ARRAY ? projects->value :
											sio_bytes("", 0)));
	pending->waits_n = 1; /* ours, until all is asked */
	if (user->connections_n == 1) {
		if (claims->name[0])
			(void)presence_user_rename(user, sio_str(claims->name)); /* until the store knows better */
		pending_ask(pending, STORE_USER_GET, sio_bytes("", 0), on_user);
	}
	/* What was missed is known up to the moment of the answer: the client must be in its rooms in the
	 * same turn, so nothing else may be waited for then. */
	pending->may_recover = collab->history.window_ms > 0 && history_suits(req, recovery);
	if (!pending->may_recover || pending->waits_n == 1)
		ask_projects(pending);
	pending_answered(pending);
}

/* A CONNECT whose token is signed with a key that is being fetched. */
struct knock {
	struct judge_wait wait;
	struct collab *collab;
	struct sio_connect *req;
};

static void meet(struct collab *collab, struct sio_connect *req, struct knock *knock);

static void on_key(struct judge_wait *wait)
{
	struct knock *knock = (struct knock *)(void *)((char *)wait - offsetof(struct knock, wait));

	meet(knock->collab, knock->req, knock);
}

/* *knock: the one it has waited with, or NULL. */
static enum token_status await_key(struct collab *collab, struct sio_connect *req, struct knock **knock)
{
	if (!sio_connect_is_open(req))
		return TOKEN_UNAVAILABLE; /* nobody hears it */
	if (!*knock)
		*knock = calloc(1, sizeof(**knock));
	if (!*knock)
		return TOKEN_UNAVAILABLE;
	(*knock)->collab = collab;
	(*knock)->req = req;
	return judge_await(collab->judge, &(*knock)->wait, on_key);
}

/* There are no keys to check its token with: it is not told that the token is wrong.  A stock client
 * comes again in a moment by itself. */
static void put_off(struct collab *collab, struct sio_connect *req, const char *reason)
{
	collab->refused[REFUSE_UNAVAILABLE]++;
	log_debug("Client put off: %s, from %.*s", reason, (int)sio_connect_address(req).n, sio_connect_address(req).p);
	sio_connect_close(req);
}

/* Its token is good. */
static void receive(struct collab *collab, struct sio_connect *req, const struct token_claims *claims, const struct sio_json_field fields[4])
{
	uint32_t max = collab->options.max_connections_per_user;
	struct presence_user *user = presence_user_open(&collab->presence, sio_str(claims->user));

	if (!user) {
		refuse(collab, req, REFUSE_UNAVAILABLE, "");
		return;
	}
	if (fields[3].type == SIO_JSON_STRING) /* back before its loss was noticed: that one ends now */
		history_take_over(collab, req, client_unquoted(fields[3].value), sio_str(claims->user));
	if (max > 0 && user->connections_n >= max) {
		refuse(collab, req, REFUSE_TOO_MANY, user->node.key);
		presence_user_unref(&collab->presence, user);
		return;
	}
	presence_user_connect(&collab->presence, user);
	welcome(collab, req, user, claims, &fields[1], &fields[2]);
}

/* knock: what it has waited with for a key; NULL: it has come just now. */
static void meet(struct collab *collab, struct sio_connect *req, struct knock *knock)
{
	struct sio_json_field fields[] = { { .key = "token" }, { .key = "projects" }, { .key = "recovery" }, { .key = "pid" } };
	struct token_claims claims = { .reason = "" };
	enum token_status status = TOKEN_INVALID;
	int err = sio_json_pick(sio_connect_auth(req), fields, 4);

	if (err != SIO_ERR_EXISTS && err != SIO_ERR_LIMIT) /* no object: no token in it */
		status = check_token(collab, req, &fields[0], &claims);
	if (status == TOKEN_KEY_UNKNOWN)
		status = await_key(collab, req, &knock);
	if (status == TOKEN_WAITING)
		return;
	free(knock);
	if (status == TOKEN_OK)
		receive(collab, req, &claims, fields);
	else if (status == TOKEN_UNAVAILABLE)
		put_off(collab, req, claims.reason);
	else
		refuse(collab, req, refusal_of(status), claims.reason);
}

void connect_on_request(struct sio_connect *req, void *arg)
{
	meet(arg, req, NULL);
}

/* ---- going ---------------------------------------------------------------------------------- */

/* Was the end somebody's will?  Then others hear of it at once. */
static bool is_clean_end(sio_slice reason)
{
	return sio_slice_eq(reason, SIO_LIT("client namespace disconnect")) ||
	       sio_slice_eq(reason, SIO_LIT("server namespace disconnect"));
}

void connect_on_end(struct sio_socket *socket, sio_slice reason, void *arg)
{
	struct client *client = sio_socket_data(socket);
	struct collab *collab = arg;

	if (!client)
		return;
	log_info("Client disconnected: %.*s (user: %s)", SIO_ID_LEN, sio_socket_id(socket).p,
		 client->user->node.key);
	sio_timer_stop(&client->expiry);
	history_save_states(client);
	while (client->seats_n > 0)
		project_vacate(client, client_seats(client)[client->seats_n - 1], is_clean_end(reason) ? PROJECT_LEFT : PROJECT_LOST);
	presence_user_disconnect(&collab->presence, client->user);
	sio_socket_set_data(socket, NULL);
	client_unref(client);
}
