/* comments.c -- /api/projects/:project/comments: what people say about it.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <sio/json.h>

#include "api/body.h"
#include "api/call.h"
#include "api/routes.h"

/* ?item_id= or ?task_id=, into the ask.  False: it was answered 422.  The item's id
 * stands in item. */
static bool take_target(struct call *call, struct store_ask *ask, char item[STORE_ID_MAX + 1])
{
	char number[24];
	long item_n = sio_request_query_get(call->req, "item_id", item, STORE_ID_MAX + 1);
	long number_n = sio_request_query_get(call->req, "task_id", number, sizeof(number));

	if (item_n != SIO_ERR_NOENT && number_n != SIO_ERR_NOENT) {
		respond_field(call, "task_id", "ask for the comments of an item or of a task, not of both");
		return false;
	}
	if (item_n != SIO_ERR_NOENT && (item_n < 0 || !access_id_ok(sio_bytes(item, (size_t)item_n)))) {
		respond_field(call, "item_id", "item_id must be an item's id");
		return false;
	}
	if (number_n != SIO_ERR_NOENT && (number_n < 0 || sio_json_int(sio_str(number), &ask->task) || ask->task < 1)) {
		respond_field(call, "task_id", "task_id must be a task's number");
		return false;
	}
	if (item_n > 0)
		ask->item = sio_bytes(item, (size_t)item_n);
	return true;
}

void comments_list(struct call *call)
{
	struct store_ask ask = { .op = STORE_COMMENT_LIST };
	char item[STORE_ID_MAX + 1];

	if (take_target(call, &ask, item) && call_page(call, &ask))
		call_store(call, ask, call_done_rows);
}

void comments_get(struct call *call)
{
	sio_slice id;

	if (call_number(call, "comment", &id))
		call_store(call, (struct store_ask){ .op = STORE_COMMENT_GET, .item = id }, call_done_row);
}

static void on_added(struct call *call, const struct store_result *result)
{
	call_publish(call, result);
	call_done_created(call, result, "comments", "comment_id");
}

void comments_add(struct call *call)
{
	if (body_ok(call))
		call_store(call, (struct store_ask){ .op = STORE_COMMENT_ADD, .body = call_body(call) }, on_added);
}

/* ---- one less ---------------------------------------------------------------------- */

static void on_deleted(struct call *call, const struct store_result *result)
{
	call_publish(call, result);
	respond_none(call, 204);
}

static void remove_it(struct call *call)
{
	call_store(call, (struct store_ask){ .op = STORE_COMMENT_DELETE, .item = call_param(call, "comment") }, on_deleted);
}

/* Whose is it?  An author never changes and a number never comes again, so what was
 * true when it was read is true when it is deleted. */
static void on_read(struct call *call, const struct store_result *result)
{
	struct sio_json_field author = { .key = "author_id" };
	char user[STORE_USER_MAX + 1];
	long n = -1;

	if (sio_json_pick(result->json, &author, 1) == SIO_OK)
		n = sio_json_unquote(author.value, user, sizeof(user));
	if (n > 0 && sio_slice_eq(sio_bytes(user, (size_t)n), sio_str(call->user)))
		remove_it(call);
	else
		respond_problem(call, 403, "forbidden", "your role in this project is %s, which may delete its own comments alone",
			      access_role_name(call->role));
}

void comments_delete(struct call *call)
{
	sio_slice id;

	if (!call_number(call, "comment", &id))
		return;
	if (access_may(call->role, ACCESS_COMMENT_DELETE_ANY))
		remove_it(call);
	else
		call_store(call, (struct store_ask){ .op = STORE_COMMENT_GET, .item = id }, on_read);
}
