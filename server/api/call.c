/* call.c -- see call.h: the way of a call to the store and back.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "api/call.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sio/json.h>

#include "api/tell.h"
#include "base/log.h"

enum { CURSOR_MAX = 1024 };

void call_free(struct call *call)
{
	if (call->own && call->own_free)
		call->own_free(call->own);
	buf_fini(&call->text);
	free(call);
}

/* ---- store -------------------------------------------------------------------- */

static void on_store(struct store_result *result, void *arg)
{
	struct call *call = arg;

	if (result->status == STORE_UNAVAILABLE)
		log_error("store: %s: %s", store_op_name(result->op), result->error);
	if (result->status == STORE_OK || call->wants_failures)
		call->done(call, result);
	else
		respond_store(call, result);
	store_result_free(result);
}

/* A key is 1..STORE_KEY_MAX printable characters; false: it was answered. */
static bool take_key(struct call *call, sio_slice *out)
{
	sio_slice key = sio_request_header(call->req, "idempotency-key");

	for (size_t i = 0; i < key.n; i++)
		if (!isprint((unsigned char)key.p[i]) || key.n > STORE_KEY_MAX) {
			respond_problem(call, 400, "idempotency_key_invalid",
				      "Idempotency-Key must be 1 to %d printable ASCII characters", STORE_KEY_MAX);
			return false;
		}
	*out = key;
	return true;
}

/* access_may for a thread of the store. */
static bool may(const char *role, int action)
{
	return access_may(access_role_parse(sio_str(role)), (enum access_action)action);
}

static void submit(struct call *call, struct store_ask *ask)
{
	int err;

	if (call->is_unjudged) { /* with the first question; the others follow from it */
		ask->may = may;
		ask->action = call->route->action;
		call->is_unjudged = false;
	}
	if (!ask->project.n)
		ask->project = call->project;
	if (!ask->actor.n)
		ask->actor = sio_str(call->user);
	ask->done = on_store;
	ask->arg = call;
	err = store_submit(call->api->options.store, ask);
	if (err == SIO_ERR_BUSY)
		respond_later(call, 503, "store_busy", 1, "too many requests wait for the store; try again");
	else if (err)
		respond_later(call, 503, "store_unavailable", 5, "the store takes no requests; try again later");
}

void call_store(struct call *call, struct store_ask ask, call_done_fn *done)
{
	call->done = done;
	call->wants_failures = false;
	if (ask.body.n > 0 && !ask.key.n && !take_key(call, &ask.key))
		return;
	submit(call, &ask);
}

void call_store_any(struct call *call, struct store_ask ask, call_done_fn *done)
{
	call->done = done;
	call->wants_failures = true;
	submit(call, &ask);
}

/* ---- what a request says beside its body ------------------------------------------ */

bool call_page(struct call *call, struct store_ask *ask)
{
	char number[16];
	int64_t limit;
	long n = sio_request_query_get(call->req, "limit", number, sizeof(number));

	if (n != SIO_ERR_NOENT) {
		if (n < 0 || sio_json_int(sio_str(number), &limit) || limit < 1 || limit > STORE_LIMIT_MAX) {
			respond_field(call, "limit", "limit must be a whole number from 1 to %d", STORE_LIMIT_MAX);
			return false;
		}
		ask->limit = (uint32_t)limit;
	}
	if (!buf_reserve(&call->text, CURSOR_MAX)) {
		respond_later(call, 503, "out_of_memory", 1, "out of memory");
		return false;
	}
	n = sio_request_query_get(call->req, "cursor", call->text.p, CURSOR_MAX);
	if (n < 0 && n != SIO_ERR_NOENT) {
		respond_field(call, "cursor", "cursor must be the next_cursor of the page before");
		return false;
	}
	if (n > 0)
		ask->cursor = sio_bytes(call->text.p, (size_t)n);
	return true;
}

bool call_version(struct call *call, struct store_ask *ask)
{
	sio_slice match = sio_request_header(call->req, "if-match");
	int64_t version;

	if (match.n == 0 || sio_slice_eq(match, SIO_LIT("*")))
		return true;
	if (match.n >= 2 && match.p[0] == '"' && match.p[match.n - 1] == '"')
		match = sio_bytes(match.p + 1, match.n - 2);
	if (sio_json_int(match, &version) || version < 1) {
		respond_field(call, "If-Match", "If-Match must be the version of the item, such as \"3\"");
		return false;
	}
	ask->version = version;
	return true;
}

bool call_number(struct call *call, const char *name, sio_slice *out)
{
	sio_slice text = call_param(call, name);
	int64_t number;

	*out = text;
	if (text.n > 0 && text.p[0] >= '1' && text.p[0] <= '9' && sio_json_int(text, &number) == SIO_OK)
		return true;
	respond_problem(call, 404, "not_found", "there is no %s of this number", strcmp(name, "id") == 0 ? "notification" : name);
	return false;
}

/* ---- usual answers ------------------------------------------------------------------ */

static void publish_notices(struct call *call, const struct store_result *result)
{
	for (size_t i = 0; i < result->notices_n; i++) {
		const struct store_notice *notice = &result->notices[i];
		const struct collab_emit emit = { .event = SIO_LIT("notification:new"), .args = notice->data,
						  .position = notice->position, .newest = result->newest };

		if (collab_emit_user(call->api->options.collab, notice->user, &emit) < 0)
			log_error("a notification of user %.*s could not be sent", (int)notice->user.n, notice->user.p);
		else
			tell_user(notice->user);
	}
}

void call_publish(struct call *call, const struct store_result *result)
{
	const struct collab_emit emit = { .event = result->event_type, .args = result->event, .position = result->position,
					  .newest = result->newest };
	long n;

	/* A repeat by its key was told when it was new. */
	if (result->event_type.n == 0 || result->is_repeat)
		return;
	n = collab_emit_durable(call->api->options.collab, call->project, result->seq, &emit);
	if (n < 0)
		log_error("an event of project %.*s could not be sent: %s", (int)call->project.n, call->project.p,
			  sio_strerror((int)n));
	else
		tell(result->event_type, call->project, result->event);
	publish_notices(call, result);
}

static void put_etag(struct call *call, const struct store_result *result)
{
	char etag[32];

	if (result->version <= 0)
		return;
	snprintf(etag, sizeof(etag), "\"%lld\"", (long long)result->version);
	sio_reply_header(call->req, SIO_LIT("ETag"), sio_str(etag));
}

void call_done_row(struct call *call, const struct store_result *result)
{
	put_etag(call, result);
	respond_json(call, 200, result->json);
}

void call_done_created(struct call *call, const struct store_result *result, const char *collection, const char *key)
{
	char path[STORE_ID_MAX + 48];

	snprintf(path, sizeof(path), "/api/projects/%.*s/%s/", (int)call->project.n, call->project.p, collection);
	put_etag(call, result);
	respond_created(call, path, result->json, key);
}

void call_put_page(struct buf *b, const struct store_result *result)
{
	buf_str(b, "{\"items\":");
	buf_slice(b, result->json);
	buf_str(b, ",\"next_cursor\":");
	if (result->cursor.n > 0)
		buf_json(b, result->cursor);
	else
		buf_str(b, "null");
}

void call_done_rows(struct call *call, const struct store_result *result)
{
	struct buf b = { 0 };

	buf_reserve(&b, result->json.n + result->cursor.n + 64); /* at once, not by doubling */
	call_put_page(&b, result);
	buf_byte(&b, '}');
	respond_buf(call, 200, &b);
}
