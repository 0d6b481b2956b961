/* presence.c -- what a back end may ask about connected users.
 *
 * One node answers for itself in this version; "missing_nodes" is there from the
 * start, so that callers need no change when there are more.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "api/call.h"
#include "api/routes.h"

/* Reopen the object in b, add the member, and answer with it. */
static void respond_with_nodes(struct call *call, struct buf *b)
{
	if (b->n > 0)
		b->n--; /* the closing brace */
	buf_str(b, ",\"missing_nodes\":[]}");
	respond_buf(call, 200, b);
}

void presence_of_project(struct call *call)
{
	struct buf b = { 0 };

	if (!access_id_ok(call->project)) {
		respond_problem(call, 404, "not_found", "there is no such project");
		return;
	}
	collab_presence_json(call->api->options.collab, call->project, &b);
	respond_with_nodes(call, &b);
}

void presence_of_user(struct call *call)
{
	struct buf b = { 0 };

	if (!access_user_id_ok(call_param(call, "user"))) {
		respond_problem(call, 404, "not_found", "there is no such user");
		return;
	}
	collab_user_json(call->api->options.collab, call_param(call, "user"), &b);
	respond_with_nodes(call, &b);
}

void presence_disconnect(struct call *call)
{
	struct buf b = { 0 };

	if (!access_user_id_ok(call_param(call, "user"))) {
		respond_problem(call, 404, "not_found", "there is no such user");
		return;
	}
	buf_str(&b, "{\"user_id\":");
	buf_json(&b, call_param(call, "user"));
	buf_printf(&b, ",\"disconnected\":%zu}", collab_disconnect_user(call->api->options.collab, call_param(call, "user")));
	respond_with_nodes(call, &b);
}
