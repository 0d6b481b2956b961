/* emit.c -- payloads on their way out: answers, errors, words to a project.
 *
 * Payloads are built in a buffer of the call, never in a shared one: an emit may
 * end a socket, whose end makes new payloads.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "base/log.h"
#include "collab/client.h"

/* An echoed project id is not longer than this, as JSON text. */
enum { ECHO_MAX = 2 * ACCESS_ID_MAX };

/* Without memory for an answer the client would wait for ever and never know:
 * it shall come back and start anew. */
static void give_up(struct client *client)
{
	log_error("Out of memory for an answer to %.*s", SIO_ID_LEN, sio_socket_id(client->socket).p);
	sio_socket_close_transport(client->socket);
}

static void emit(struct client *client, const char *event, sio_slice json)
{
	struct sio_args args = sio_args_json(json);

	if (sio_socket_emit(client->socket, sio_str(event), &args) == SIO_ERR_NOMEM)
		give_up(client);
}

static void acknowledge(struct client *client, uint64_t ack, sio_slice json)
{
	struct sio_args args = sio_args_json(json);

	if (ack != SIO_ACK_NONE && sio_socket_ack(client->socket, ack, &args) == SIO_ERR_NOMEM)
		give_up(client);
}

void emit_id(struct buf *b, const struct map_node *node)
{
	buf_byte(b, '"');
	buf_slice(b, presence_id(node)); /* plain: no escapes */
	buf_byte(b, '"');
}

/* ---- answers ----------------------------------------------------------------- */

/* The acknowledgement is {"ok":true,MEMBERS}, the event {MEMBERS}.  Both are the
 * same bytes: for the event the comma becomes the opening brace. */
#define ANSWER_HEAD "{\"ok\":true,"
enum { ANSWER_BRACE = sizeof(ANSWER_HEAD) - 2 };

void emit_begin(struct buf *b)
{
	buf_slice(b, SIO_LIT(ANSWER_HEAD));
}

void emit_answer(struct client *client, uint64_t ack, const char *event, struct buf *b)
{
	buf_byte(b, '}');
	if (b->failed) {
		give_up(client);
	} else {
		if (event) {
			b->p[ANSWER_BRACE] = '{';
			emit(client, event, sio_bytes(b->p + ANSWER_BRACE, b->n - ANSWER_BRACE));
			b->p[ANSWER_BRACE] = ',';
		}
		acknowledge(client, ack, buf_peek(b));
	}
	buf_fini(b);
}

void emit_ok(struct client *client, uint64_t ack)
{
	acknowledge(client, ack, SIO_LIT("{\"ok\":true}"));
}

void emit_error_ack(struct client *client, uint64_t ack, const char *code, const char *message)
{
	struct buf b = { 0 };

	if (ack == SIO_ACK_NONE)
		return;
	buf_str(&b, "{\"ok\":false,\"error\":{\"code\":");
	buf_json(&b, sio_str(code));
	buf_str(&b, ",\"message\":");
	buf_json(&b, sio_str(message));
	buf_str(&b, "}}");
	if (b.failed)
		give_up(client);
	else
		acknowledge(client, ack, buf_peek(&b));
	buf_fini(&b);
}

void emit_error_event(struct client *client, const char *code, const char *message, sio_slice extra)
{
	struct buf b = { 0 };

	buf_str(&b, "{\"message\":");
	buf_json(&b, sio_str(message));
	buf_str(&b, ",\"code\":");
	buf_json(&b, sio_str(code));
	buf_slice(&b, extra);
	buf_byte(&b, '}');
	if (b.failed)
		give_up(client);
	else
		emit(client, "error", buf_peek(&b));
	buf_fini(&b);
}

void emit_error(struct client *client, uint64_t ack, const char *code, const char *message, sio_slice extra)
{
	emit_error_event(client, code, message, extra);
	emit_error_ack(client, ack, code, message);
}

void emit_error_project(struct client *client, uint64_t ack, const char *code, const char *message, sio_slice id)
{
	struct buf extra = { 0 };

	if (sio_json_type(id) == SIO_JSON_STRING && id.n <= ECHO_MAX) {
		buf_str(&extra, ",\"project_id\":");
		buf_slice(&extra, id);
	}
	emit_error(client, ack, code, message, extra.failed ? sio_bytes("", 0) : buf_peek(&extra));
	buf_fini(&extra);
}

/* ---- to others ------------------------------------------------------------------ */

void emit_to_others(struct collab *collab, const struct presence_project *project, const struct sio_socket *skip,
		    const char *event, struct buf *b)
{
	sio_slice room = presence_project_room(project);
	struct sio_target target = { .rooms = &room, .rooms_n = 1, .skip = skip };
	struct sio_args args = sio_args_json(buf_peek(b));

	if (b->failed || sio_broadcast(collab->server, &target, sio_str(event), &args) == SIO_ERR_NOMEM)
		log_error("Out of memory: nobody heard of %s in project %s", event, project->node.key);
	buf_fini(b);
}
