/* collaborators.c -- /api/projects/:project/collaborators: who has which role.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <sio/json.h>

#include "api/body.h"
#include "api/call.h"
#include "api/routes.h"

void collaborators_list(struct call *call)
{
	struct store_ask ask = { .op = STORE_COLLAB_LIST };

	if (call_page(call, &ask))
		call_store(call, ask, call_done_rows);
}

/* Is the user id of the path one?  False: it was answered 404. */
static bool is_user_ok(struct call *call)
{
	if (access_user_id_ok(call_param(call, "user")))
		return true;
	respond_problem(call, 404, "not_found", "there is no such collaborator");
	return false;
}

/* ---- one of them --------------------------------------------------------------------- */

static void on_user(struct call *call, const struct store_result *result)
{
	struct sio_json_field name = { .key = "name" };
	struct buf b = { 0 };

	buf_str(&b, "{\"user_id\":");
	buf_json(&b, call_param(call, "user"));
	buf_str(&b, ",\"name\":");
	if (result->status == STORE_OK && !sio_json_pick(result->json, &name, 1) && name.type == SIO_JSON_STRING)
		buf_slice(&b, name.value);
	else
		buf_str(&b, "null");
	buf_str(&b, ",\"role\":");
	buf_json(&b, buf_peek(&call->text));
	buf_byte(&b, '}');
	respond_buf(call, 200, &b);
}

static void on_role(struct call *call, const struct store_result *result)
{
	if (result->role[0] == '\0') {
		respond_problem(call, 404, "not_found", "there is no such collaborator");
		return;
	}
	buf_str(&call->text, result->role);
	call_store_any(call, (struct store_ask){ .op = STORE_USER_GET, .user = call_param(call, "user") }, on_user);
}

void collaborators_get(struct call *call)
{
	if (is_user_ok(call))
		call_store(call, (struct store_ask){ .op = STORE_ROLE_GET, .user = call_param(call, "user") }, on_role);
}

/* ---- changes ---------------------------------------------------------------------------- */

/* Tell the project, then let collab look at the one whose role it is: access that
 * is gone ends with "access:revoked". */
static void tell_change(struct call *call, const struct store_result *result)
{
	call_publish(call, result);
	collab_access_changed(call->api->options.collab, call->project, call_param(call, "user"));
}

static void on_put(struct call *call, const struct store_result *result)
{
	tell_change(call, result);
	call_done_row(call, result);
}

void collaborators_put(struct call *call)
{
	if (is_user_ok(call) && body_ok(call))
		call_store(call,
			   (struct store_ask){ .op = STORE_COLLAB_PUT, .user = call_param(call, "user"), .body = call_body(call) },
			   on_put);
}

static void on_deleted(struct call *call, const struct store_result *result)
{
	tell_change(call, result);
	respond_none(call, 204);
}

/* The route lets every member in: one may always take oneself out. */
void collaborators_delete(struct call *call)
{
	sio_slice user = call_param(call, "user");

	if (!is_user_ok(call))
		return;
	if (!access_may_leave(call->role, sio_str(call->user), user)) {
		respond_problem(call, 403, "forbidden", "your role in this project is %s, which may not do this",
			      access_role_name(call->role));
		return;
	}
	call_store(call, (struct store_ask){ .op = STORE_COLLAB_DELETE, .user = user }, on_deleted);
}
