/* broadcast.c -- POST /api/broadcast/...: a back end speaks to connected users.
 *
 * The six calls do what the guide's websocket_manager methods do.  Each is a row
 * that says how to make the event out of the body; the event is committed to the
 * store first, then sent, then answered 202.  Payloads are made from the JSON
 * text of the body, digit for digit; the store adds the number of the event.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/body.h"
#include "api/call.h"
#include "api/routes.h"
#include "api/tell.h"
#include "base/random.h"

/* Bytes of a room's name: its stream is named after it, with API_ROOM_STREAM before it. */
enum { ROOM_MAX = STORE_STREAM_MAX - (sizeof(API_ROOM_STREAM) - 1) };

/* What will be sent once it is durable; owned by the call. */
struct outgoing {
	char project[STORE_ID_MAX + 1]; /* "" when it goes to a room or a user */
	char room[ROOM_MAX + 1];        /* "" unless it goes to a room */
	char user[STORE_USER_MAX + 1];  /* "" unless it goes to a user */
	char event[COLLAB_EVENT_MAX + 1];
	char except[COLLAB_SID_MAX + 1];
	bool is_volatile;
	struct buf payload;
};

static void outgoing_free(void *own)
{
	struct outgoing *out = own;

	buf_fini(&out->payload);
	free(out);
}

/* A new outgoing of the call; NULL: it was answered. */
static struct outgoing *outgoing_new(struct call *call, const char *event)
{
	struct outgoing *out = calloc(1, sizeof(*out));

	if (!out) {
		respond_later(call, 503, "out_of_memory", 1, "out of memory");
		return NULL;
	}
	snprintf(out->event, sizeof(out->event), "%s", event);
	call->own = out;
	call->own_free = outgoing_free;
	return out;
}

static void text_copy(char *to, sio_slice text)
{
	memcpy(to, text.p, text.n); /* body_read has checked the length; to is zeroed */
}

/* ---- sending ------------------------------------------------------------------------ */

static const char project_room[] = "project:";
enum { PROJECT_ROOM_N = sizeof(project_room) - 1 };

/* The project that the event goes to, by its id or by its room; "" when to none. */
static const char *project_of(const struct outgoing *out)
{
	return strncmp(out->room, project_room, PROJECT_ROOM_N) == 0 ? out->room + PROJECT_ROOM_N : out->project;
}

static long emit(struct call *call, const struct outgoing *out, const struct store_result *event)
{
	struct collab *collab = call->api->options.collab;
	const struct collab_emit message = { .event = sio_str(out->event),
				       .args = event->event,
				       .except_sid = sio_str(out->except),
				       .is_volatile = out->is_volatile,
				       .position = event->position,
				       .newest = event->newest };

	if (out->user[0]) {
		long n = collab_emit_user(collab, sio_str(out->user), &message);

		/* An id too long for a room's name cannot be connected: the inbox has it. */
		return n == SIO_ERR_INVAL ? 0 : n;
	}
	if (project_of(out)[0] && event->seq > 0)
		return collab_emit_durable(collab, sio_str(project_of(out)), event->seq, &message);
	if (out->room[0])
		return collab_emit_room(collab, sio_str(out->room), &message);
	return collab_emit_project(collab, sio_str(out->project), &message);
}

static void tell_outgoing(const struct outgoing *out, sio_slice payload)
{
	if (out->user[0])
		tell_user(sio_str(out->user));
	else if (out->room[0])
		tell_room(sio_str(out->event), sio_str(out->room));
	else
		tell(sio_str(out->event), sio_str(out->project), payload);
}

/* Send the event of a result and answer 202.  id names the event; a repeat by its key sends nothing. */
static void send_out(struct call *call, const struct store_result *event, const char *id)
{
	const struct outgoing *out = call->own;
	struct buf b = { 0 };
	long n = event->is_repeat ? 0 : emit(call, out, event);

	if (n < 0) {
		respond_problem(call, n == SIO_ERR_INVAL ? 400 : 503, n == SIO_ERR_INVAL ? "event_invalid" : "out_of_memory",
			      "the event could not be sent: %s", sio_strerror((int)n));
		return;
	}
	if (!event->is_repeat)
		tell_outgoing(out, event->event);
	buf_str(&b, "{\"id\":");
	buf_json(&b, sio_str(id));
	buf_printf(&b, ",\"recipients\":%ld%s}", n, event->is_repeat ? ",\"repeated\":true" : "");
	respond_buf(call, 202, &b);
}

/* ---- making it durable ----------------------------------------------------------------- */

/* The stream that the event belongs to: the project, or the room with a colon (a name that
 * has none, or that could be taken for one, behind API_ROOM_STREAM). */
static void stream_name(const struct outgoing *out, char *name, size_t cap)
{
	const char *project = project_of(out);
	bool is_plain = strchr(out->room, ':') && strncmp(out->room, API_ROOM_STREAM, strlen(API_ROOM_STREAM)) != 0;

	if (project[0])
		snprintf(name, cap, "%s", project);
	else
		snprintf(name, cap, "%s%s", is_plain ? "" : API_ROOM_STREAM, out->room);
}

static void on_appended(struct call *call, const struct store_result *result)
{
	const struct outgoing *out = call->own;
	char id[STORE_STREAM_MAX + 32], name[STORE_STREAM_MAX + 16];

	stream_name(out, name, sizeof(name));
	snprintf(id, sizeof(id), "%s:%lld", name, (long long)result->seq);
	send_out(call, result, id);
}

/* Commit out as an event row, or send at once when it is volatile. */
static void append(struct call *call)
{
	struct outgoing *out = call->own;
	char name[STORE_STREAM_MAX + 16];

	if (out->payload.failed) {
		respond_later(call, 503, "out_of_memory", 1, "out of memory");
		return;
	}
	if (out->is_volatile) {
		char id[RANDOM_ID_LEN + 1];

		random_id(id);
		send_out(call, &(struct store_result){ .event = buf_peek(&out->payload) }, id);
		return;
	}
	stream_name(out, name, sizeof(name));
	call_store(call,
		   (struct store_ask){ .op = STORE_EVENT_APPEND, .project = sio_str(name), .actor = SIO_LIT("service"),
				       .event = sio_str(out->event), .body = buf_peek(&out->payload),
				       .except_sid = sio_str(out->except) },
		   on_appended);
}

/* ---- the four that go to a project ------------------------------------------------------- */

/* One member of a payload: its name, and the field of the body that is its value. */
struct member {
	const char *name;
	unsigned field;
};

/* A call whose event is an object of members out of the body; field 0 is the
 * project. */
struct shape {
	const char *event;
	struct body_field fields[4];
	unsigned fields_n;
	struct member members[4];
};

static void broadcast(struct call *call, const struct shape *shape)
{
	struct body_value v[4];
	struct outgoing *out;

	if (!body_read(call, shape->fields, shape->fields_n, v))
		return;
	out = outgoing_new(call, shape->event);
	if (!out)
		return;
	text_copy(out->project, v[0].text);
	for (unsigned i = 0; i < shape->fields_n; i++) {
		buf_str(&out->payload, i ? ",\"" : "{\"");
		buf_str(&out->payload, shape->members[i].name);
		buf_str(&out->payload, "\":");
		buf_slice(&out->payload, v[shape->members[i].field].raw);
	}
	buf_byte(&out->payload, '}');
	append(call);
}

void broadcast_boq_update(struct call *call)
{
	static const struct shape shape = {
		.event = "boq:item:updated",
		.fields = { { "project_id", BODY_PLAIN, .max = STORE_ID_MAX },
			    { "item_id", BODY_KEY, .max = STORE_ID_MAX },
			    { "updates", BODY_OBJECT, .max = 0 },
			    { "user_id", BODY_USER, .max = STORE_USER_MAX } },
		.fields_n = 4,
		.members = { { "project_id", 0 }, { "item_id", 1 }, { "updates", 2 }, { "updated_by", 3 } },
	};

	broadcast(call, &shape);
}

void broadcast_boq_bulk_update(struct call *call)
{
	static const struct shape shape = {
		.event = "boq:bulk:updated",
		.fields = { { "project_id", BODY_PLAIN, .max = STORE_ID_MAX },
			    { "summary", BODY_OBJECT, .max = 0 },
			    { "user_id", BODY_USER, .max = STORE_USER_MAX } },
		.fields_n = 3,
		.members = { { "project_id", 0 }, { "summary", 1 }, { "updated_by", 2 } },
	};

	broadcast(call, &shape);
}

void broadcast_task_update(struct call *call)
{
	static const struct shape shape = {
		.event = "task:updated",
		.fields = { { "project_id", BODY_PLAIN, .max = STORE_ID_MAX },
			    { "task_id", BODY_KEY, .max = STORE_ID_MAX },
			    { "updates", BODY_OBJECT, .max = 0 },
			    { "user_id", BODY_USER, .max = STORE_USER_MAX } },
		.fields_n = 4,
		.members = { { "project_id", 0 }, { "task_id", 1 }, { "updates", 2 }, { "updated_by", 3 } },
	};

	broadcast(call, &shape);
}

void broadcast_comment(struct call *call)
{
	static const struct shape shape = {
		.event = "comment:created",
		.fields = { { "project_id", BODY_PLAIN, .max = STORE_ID_MAX },
			    { "comment_id", BODY_KEY, .max = STORE_ID_MAX },
			    { "comment_data", BODY_OBJECT, .max = 0 } },
		.fields_n = 3,
		.members = { { "project_id", 0 }, { "comment_id", 1 }, { "comment", 2 } },
	};

	broadcast(call, &shape);
}

/* ---- to a user --------------------------------------------------------------------------- */

static void on_notified(struct call *call, const struct store_result *result)
{
	const struct outgoing *out = call->own;
	char id[STORE_USER_MAX + 64];

	snprintf(id, sizeof(id), "user:%s:%lld", out->user, (long long)result->version);
	send_out(call, result, id);
}

void broadcast_notify(struct call *call)
{
	static const struct body_field fields[] = {
		{ "user_id", BODY_USER, .max = STORE_USER_MAX },
		{ "notification_data", BODY_OBJECT, .max = 0 },
	};
	struct body_value v[2];
	struct outgoing *out;

	if (!body_read(call, fields, 2, v))
		return;
	out = outgoing_new(call, "notification:new");
	if (!out)
		return;
	text_copy(out->user, v[0].text);
	call_store(call,
		   (struct store_ask){ .op = STORE_NOTIFY_ADD, .user = sio_str(out->user), .actor = SIO_LIT("service"),
				       .body = v[1].raw },
		   on_notified);
}

/* ---- to any room ------------------------------------------------------------------------- */

/* Names that the protocol keeps for itself. */
static bool is_reserved(sio_slice event)
{
	static const char *const names[] = { "connect",    "connect_error", "disconnect",
					     "disconnecting", "newListener", "removeListener" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (sio_slice_eq(event, sio_str(names[i])))
			return true;
	return false;
}

void broadcast_emit(struct call *call)
{
	static const struct body_field fields[] = {
		{ "room", BODY_TEXT, .max = ROOM_MAX },
		{ "event", BODY_TEXT, .max = COLLAB_EVENT_MAX },
		{ "data", BODY_ANY, .max = 0 },
		{ "except_sid", BODY_TEXT, .is_optional = true, .max = COLLAB_SID_MAX },
		{ "volatile", BODY_SWITCH, .is_optional = true },
	};
	struct body_value v[5];
	struct outgoing *out;

	if (!body_read(call, fields, 5, v))
		return;
	if (is_reserved(v[1].text)) {
		respond_problem(call, 400, "event_reserved", "'%.*s' is a name of the protocol itself; choose another",
			      (int)v[1].text.n, v[1].text.p);
		return;
	}
	out = outgoing_new(call, "");
	if (!out)
		return;
	text_copy(out->room, v[0].text);
	text_copy(out->event, v[1].text);
	text_copy(out->except, v[3].text);
	out->is_volatile = v[4].is_true;
	buf_slice(&out->payload, v[2].raw);
	append(call);
}
