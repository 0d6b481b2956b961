/* presence.c -- what a back end may ask about connected users.
 *
 * Who is in a project every server knows of all (collab_list).  About one user's sockets every
 * server answers for itself (gather.c); here the answers become one.  "missing_nodes" names the
 * servers that did not answer in time.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <sio/json.h>

#include "api/gather.h"
#include "api/routes.h"

/* ---- who is in a project --------------------------------------------------------------- */

static void on_list(struct buf *json, void *arg)
{
	respond_buf(arg, 200, json);
}

void presence_of_project(struct call *call)
{
	if (!access_id_ok(call->project))
		respond_problem(call, 404, "not_found", "there is no such project");
	else
		collab_list(call->api->options.collab, call->project, on_list, call);
}

/* ---- where a user is connected ------------------------------------------------------------ */

static void user_gathered(struct call *call, const struct gathered *got)
{
	struct buf b = { 0 };
	bool is_first = true;

	buf_str(&b, "{\"user_id\":");
	buf_json(&b, call_param(call, "user"));
	buf_printf(&b, ",\"connections\":%lld,\"sockets\":[", (long long)gather_sum(got, "connections"));
	for (size_t i = 0; i < got->n; i++) {
		struct sio_json_field sockets = { .key = "sockets" };
		sio_slice inside;
		if (sio_json_pick(got->answers[i], &sockets, 1) < 0 || (inside = sio_json_inside(sockets.value)).n == 0)
			continue;
		if (!is_first)
			buf_byte(&b, ',');
		buf_slice(&b, inside);
		is_first = false;
	}
	buf_str(&b, "],");
	gather_put_missing(&b, got);
	buf_byte(&b, '}');
	respond_buf(call, 200, &b);
}

void presence_of_user(struct call *call)
{
	if (!access_user_id_ok(call_param(call, "user")))
		respond_problem(call, 404, "not_found", "there is no such user");
	else
		gather(call, COLLAB_ASK_USER, call_param(call, "user"), user_gathered);
}

/* ---- out with a user ------------------------------------------------------------------------ */

static void disconnect_gathered(struct call *call, const struct gathered *got)
{
	struct buf b = { 0 };

	buf_str(&b, "{\"user_id\":");
	buf_json(&b, call_param(call, "user"));
	buf_printf(&b, ",\"disconnected\":%lld,", (long long)gather_sum(got, "disconnected"));
	gather_put_missing(&b, got);
	buf_byte(&b, '}');
	respond_buf(call, 200, &b);
}

void presence_disconnect(struct call *call)
{
	if (!access_user_id_ok(call_param(call, "user")))
		respond_problem(call, 404, "not_found", "there is no such user");
	else
		gather(call, COLLAB_ASK_DISCONNECT, call_param(call, "user"), disconnect_gathered);
}
