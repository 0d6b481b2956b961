/* client.h -- what the files of collab/ share: a collab, a client, and their verbs.
 *
 * struct collab is one server's; struct client stands behind one connected socket
 * and is kept small, for there may be tens of thousands.  What belongs to the
 * person or the project is shared and lives in presence.h.
 *
 * A client's memory outlives its socket while a handler or a store call still
 * needs it (client_ref); its seats are gone then, and everything emitted to it
 * goes nowhere.  An emit may end the very socket it goes to.  Therefore the rule
 * of this folder: tell the others first, answer the asker last, and touch no
 * member after that.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef COLLAB_CLIENT_H
#define COLLAB_CLIENT_H

#include <sio/history.h>
#include <sio/json.h>
#include <sio/room.h>
#include <sio/server.h>
#include <sio/servers.h>
#include <sio/socket.h>
#include <sio/work.h>

#include "access/access.h"
#include "auth/judge.h"
#include "base/buf.h"
#include "collab/collab.h"
#include "collab/presence.h"
#include "store/store.h"

enum {
	COLLAB_CURSOR_MAX = 1024,        /* bytes of a cursor's JSON */
	COLLAB_STATE_MAX = 1024,         /* bytes of a presence state's JSON */
	COLLAB_TARGET_MAX = 256,         /* bytes of a typing target's JSON */
	COLLAB_CONNECT_PROJECTS_MAX = 100, /* ids of auth.projects that are joined */
	COLLAB_LIST_MAX = 256 * 1024,    /* bytes of a list of users in one event, then it is cut */
	COLLAB_LIMITED_EVERY_MS = 1000,  /* one rate_limited error a socket and this time */
	COLLAB_RECHECK_RETRY_MS = 200,   /* a role could not be read: again after this ... */
	COLLAB_RECHECK_TRIES = 15,       /* ... so often, then access is denied */
	COLLAB_REPLAY_EVENTS = 1000,     /* missed events that are replayed at most ... */
	COLLAB_REPLAY_BYTES = 512 * 1024, /* ... and their bytes */
};

enum collab_refusal {
	REFUSE_TOKEN_MISSING,
	REFUSE_TOKEN_INVALID,
	REFUSE_TOKEN_EXPIRED,
	REFUSE_TOO_MANY,
	REFUSE_UNAVAILABLE,
	REFUSE_N,
};

struct client;
struct lease;
struct leases;
struct recheck;

/* One event that clients may send.  The table stands in collab.c. */
struct collab_row {
	const char *name; /* NULL: every other event */
	void (*fn)(struct client *client, const struct sio_event *event);
};
#define COLLAB_ROWS_MAX 16

struct collab_handler {
	struct collab *collab;
	const struct collab_row *row;
	uint64_t received_n;
};

enum history_result {
	HISTORY_RECOVERED,
	HISTORY_UNAVAILABLE, /* the store could not say */
#define X(name, text) HISTORY_##name,
	SESSION_REASON_MAP(X)
#undef X
	HISTORY_RESULTS_N,
};

/* history.c's.  All zero when recovery is off. */
struct history {
	uint32_t window_ms;           /* 0: off */
	uint32_t events_max;
	size_t bytes_max;
	int64_t newest;               /* position of the newest event that was sent */
	char stamp[SIO_OFFSET_MAX];   /* the offset of the event that is being sent; empty: it has none */
	char node[SIO_ID_LEN + 1];    /* what the store calls this server */
	struct sio_timer beat;        /* the next SESSION_BEAT */
	uint64_t served_ms;           /* when the store last did something for a session */
	char left_pid[SIO_ID_LEN + 1], left_sid[SIO_ID_LEN + 1]; /* of the session that was left last */
	sio_slice missed;             /* rows for the client that is being accepted */
	unsigned replayed_n;          /* of the last replay */
	bool is_ending;
	uint64_t results[HISTORY_RESULTS_N];
};

struct collab {
	struct sio_server *server;
	struct store *store;
	struct judge *judge;
	struct collab_options options;
	struct presence presence;        /* of this server's sockets */
	struct leases *leases;           /* of all servers; NULL: there is only this one */
	struct sio_timer grace;          /* for presence's next due member */
	struct recheck *rechecks;        /* recheck.c's work under way */
	struct gap *gaps;                /* sequence.c's: projects whose rooms wait for an event */
	struct history history;
	struct told *told;               /* servers.c's; NULL: none yet */
	uint64_t refused[REFUSE_N];
	struct collab_handler handlers[COLLAB_ROWS_MAX];
};

/* Behind one connected socket; there are tens of thousands, so it is kept small.
 * Its seats are its joined projects, the last used one first; each counts as one
 * connection of that member. */
struct client {
	struct collab *collab;
	struct sio_socket *socket;            /* referenced: its memory stays as long as ours */
	struct presence_user *user;           /* referenced */
	union {
		struct presence_member *seat;     /* seats_cap == 1: the only one */
		struct presence_member **seats;   /* seats_cap > 1: a block of that many */
	};
	struct sio_timer expiry;
	uint64_t end_ms;                      /* of the token, in the server's time; UINT64_MAX: never */
	uint32_t limited_ms;                  /* last rate_limited error; low bits of the server's time */
	uint32_t connected_s;                 /* Unix time */
	uint16_t refs;
	uint16_t seats_n;
	uint16_t seats_cap;
	bool is_warned;                       /* token:expiring was sent for this token */
	bool is_renewing;                     /* auth:refresh waits for the key of its token */
};

/* ---- client.c: memory and seats ----------------------------------------------- */

struct client *client_new(struct collab *collab, struct presence_user *user);
void client_unref(struct client *client);
static inline struct client *client_ref(struct client *client)
{
	client->refs++;
	return client;
}

static inline struct presence_member **client_seats(struct client *client)
{
	return client->seats_cap > 1 ? client->seats : &client->seat;
}

/* The seat in the project of that id; NULL when not joined.  The one found is first
 * next time. */
struct presence_member *client_seat(struct client *client, sio_slice id);
SIO_MUST_CHECK int client_seat_add(struct client *client, struct presence_member *member);
void client_seat_drop(struct client *client, struct presence_member *member);

/* The inside of a JSON string without its quotes, escapes as they are. */
static inline sio_slice client_unquoted(sio_slice json)
{
	return sio_bytes(json.p + 1, json.n - 2);
}

/* The first argument of an event, the empty slice when there is none. */
sio_slice client_object(const struct sio_event *event);

/* Read fields of the event's object and find the joined project that its
 * "project_id" names, which must be fields[0].  NULL: an error was answered. */
struct presence_member *client_ask(struct client *client, const struct sio_event *event,
				   struct sio_json_field *fields, size_t n);

/* ---- emit.c: payloads, answers, errors --------------------------------------------- */

/* Append a user's or project's id as a JSON string. */
void emit_id(struct buf *b, const struct map_node *node);

/* Build an answer: members of an object behind emit_begin, then emit_answer
 * emits them as event (NULL: none) and acknowledges with them.  Frees b. */
void emit_begin(struct buf *b);
void emit_answer(struct client *client, uint64_t ack, const char *event, struct buf *b);
void emit_ok(struct client *client, uint64_t ack); /* {"ok":true}, no event */

/* An error: event "error" {message, code, ..extra} and the acknowledgement.  extra
 * is JSON members that start with a comma, or empty. */
void emit_error(struct client *client, uint64_t ack, const char *code, const char *message, sio_slice extra);

void emit_error_event(struct client *client, const char *code, const char *message, sio_slice extra); /* event alone */
void emit_error_ack(struct client *client, uint64_t ack, const char *code, const char *message);     /* answer alone */

/* As emit_error with "project_id" as sent by the client, when that is a short string. */
void emit_error_project(struct client *client, uint64_t ack, const char *code, const char *message, sio_slice id);

/* Emit {b} to a project, less skip.  Frees b. */
void emit_to_others(struct collab *collab, const struct presence_project *project, const struct sio_socket *skip,
		    const char *event, struct buf *b);

int64_t collab_wall_ms(void); /* Unix time; in collab.c */

/* ---- connect.c ------------------------------------------------------------------------- */

void connect_on_request(struct sio_connect *req, void *collab);
void connect_on_end(struct sio_socket *socket, sio_slice reason, void *collab);

/* ---- project.c: joining and leaving ------------------------------------------------------ */

void project_on_join(struct client *client, const struct sio_event *event);
void project_on_leave(struct client *client, const struct sio_event *event);

/* Put an admitted client into a project and answer.  id is JSON text as the client
 * sent it: for project_enter the string of a plain id, without escapes; for the
 * others anything.  seq: the last event of the project when its role was read. */
void project_enter(struct client *client, uint64_t ack, sio_slice id, enum role role, int64_t seq);
void project_deny(struct client *client, uint64_t ack, sio_slice id);
void project_tell_revoked(struct client *client, sio_slice id); /* to the client alone; id is JSON text */

/* project_enter for a client that was in it when its connection was lost.  state: what its
 * user looked at then, as JSON text; it is taken when the user was not there meanwhile. */
void project_enter_again(struct client *client, sio_slice id, enum role role, int64_t seq, sio_slice state);
void project_unavailable(struct client *client, uint64_t ack, sio_slice id);

enum project_end {
	PROJECT_LOST,    /* with its connection: others hear of it after the grace */
	PROJECT_LEFT,    /* somebody's will: at once */
	PROJECT_REVOKED, /* the same; and its session remembers it */
};

/* Take a client out of one project. */
void project_vacate(struct client *client, struct presence_member *member, enum project_end how);

/* Remove a member that has no connection any more; this server's clients hear of it when no other
 * server has the user. */
void project_gone(struct collab *collab, struct presence_member *member);

/* user:joined or user:left to this server's clients in the project, less skip. */
void project_tell(struct collab *collab, sio_slice project, sio_slice user, const struct sio_socket *skip, bool is_joined);
void project_answer_joined(struct client *client, uint64_t ack, const struct presence_member *member);

void project_on_grace(struct sio_timer *timer);

/* ---- recheck.c ----------------------------------------------------------------------------- */

void recheck_stop(struct collab *collab); /* drop the work under way */

/* ---- leases.c: presence of all servers; all of it allowed without others --------------------- */

#define LEASES_EVENT "lease" /* between servers: lease.h's messages */

int leases_start(struct collab *collab); /* 0 or SIO_ERR_NOMEM */
void leases_end(struct collab *collab);  /* this server is about to go */
void leases_stop(struct collab *collab); /* it has gone */
void leases_hear(struct collab *collab, const struct sio_server_event *event);

/* The member has come, or its connections are others.  *is_first, which is left alone without other
 * servers: this server's clients shall hear that the user has joined.  0 or SIO_ERR_NOMEM. */
SIO_MUST_CHECK int leases_set(struct collab *collab, const struct presence_member *member, bool *is_first);
/* It is about to be removed.  Returns whether this server's clients shall hear that the user has left. */
bool leases_drop(struct collab *collab, const struct presence_member *member);
/* What the member looks at; empty for nothing.  0 or SIO_ERR_NOMEM. */
SIO_MUST_CHECK int leases_state(struct collab *collab, const struct presence_member *member, sio_slice state);
bool leases_has_state(struct collab *collab, const struct presence_member *member);

/* If other servers' entries are being waited for: pause the client and answer it later, by
 * project_answer_joined.  false: all is known. */
bool leases_await_join(struct client *client, uint64_t ack, const struct presence_member *member);

const struct lease *leases_map(const struct collab *collab); /* NULL: there is only this server */

/* ---- servers.c ------------------------------------------------------------------------------ */

void servers_start(struct collab *collab);
/* This server has committed an event: tell the servers that have members of room, which look into the store, and
 * processes of other kinds, which do not.  Once for each event. */
void servers_tell_event(struct collab *collab, sio_slice room, const struct collab_emit *emit);
/* A client of another server has come to this one with its session: there its connection ends. */
void servers_tell_taken(struct collab *collab, sio_slice sid);

/* ---- sequence.c ----------------------------------------------------------------------------- */

void sequence_stop(struct collab *collab); /* drop the work under way */

/* ---- history.c -------------------------------------------------------------------------------- */

int history_start(struct collab *collab);   /* 0 or an error of sio_server_set_history */
void history_stop(struct collab *collab);

/* Between the two, sio_broadcast sends the event of that position (struct collab_emit). */
void history_stamp(struct collab *collab, int64_t position);
void history_unstamp(struct collab *collab);

/* The position in a client's offset, 0 when that is empty.  false: it is no offset of ours. */
bool history_position(sio_slice offset, int64_t *position);
/* The store has answered; and: may sessions be there still, when it does not?  For as long as one may come back. */
void history_served(struct collab *collab);
bool history_may_return(const struct collab *collab);

/* Can this client do with offsets?  wish: auth.recovery. */
bool history_suits(const struct sio_connect *req, const struct sio_json_field *wish);

/* Submit SESSION_RESUME or SESSION_OPEN: ask holds the ids and whom to call.  projects: JSON
 * array, may be empty.  Returns as store_submit. */
int history_ask_resume(struct collab *collab, struct store_ask *ask, sio_slice projects);
int history_ask_open(struct collab *collab, struct store_ask *ask, const char *sid, sio_slice projects);

/* End the user's own connection with that private id, if its loss was not noticed yet. */
void history_take_over(struct collab *collab, struct sio_connect *req, sio_slice pid, sio_slice user);

/* req is to get the session of a good answer to SESSION_RESUME, whose events are replayed when it
 * is accepted; resumed must live until then. */
bool history_recover(struct collab *collab, struct sio_connect *req, sio_slice pid, const struct store_result *resumed);

enum history_result history_result_of(const struct store_result *result);
void history_count(struct collab *collab, enum history_result result, sio_slice user);

/* Note that a client is in a project no longer (and if it was put out, that it may not have heard of it); that a session is no more; what the client,
 * which has just ended, looked at. */
void history_left_project(struct client *client, sio_slice project, bool is_revoked);
void history_forget(struct collab *collab, sio_slice pid);
void history_save_states(struct client *client);

/* ---- present.c ---------------------------------------------------------------------------- */

void present_on_list(struct client *client, const struct sio_event *event);
void present_on_update(struct client *client, const struct sio_event *event);

/* The others hear presence:updated with the member's state. */
void present_tell_state(struct collab *collab, const struct presence_member *member, const struct sio_socket *skip);

enum present_detail { PRESENT_BRIEF, PRESENT_FULL };

/* Append "users":[..] of a project, those of all servers.  Past max bytes the list is cut and says
 * so. */
void present_users(const struct collab *collab, struct buf *b, sio_slice project, enum present_detail detail, size_t max);

/* ---- cursor.c, typing.c, expiry.c ------------------------------------------------------------ */

void cursor_on_move(struct client *client, const struct sio_event *event);

void typing_on_start(struct client *client, const struct sio_event *event);
void typing_on_stop(struct client *client, const struct sio_event *event);
void typing_end(struct client *client, struct presence_member *member); /* if it was on */

void expiry_start(struct client *client, int64_t exp_s);
void expiry_on_refresh(struct client *client, const struct sio_event *event);

#endif
