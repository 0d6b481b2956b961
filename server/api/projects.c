/* projects.c -- /api/projects: the projects of the one who asks.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "api/body.h"
#include "api/call.h"
#include "api/routes.h"

void projects_list(struct call *call)
{
	struct store_ask ask = { .op = STORE_PROJECT_LIST, .user = sio_str(call->user) };

	if (call_page(call, &ask))
		call_store(call, ask, call_done_rows);
}

void projects_get(struct call *call)
{
	call_store(call, (struct store_ask){ .op = STORE_PROJECT_GET, .user = sio_str(call->user) }, call_done_row);
}

/* ---- a new one ------------------------------------------------------------------- */

static void on_added(struct call *call, const struct store_result *result)
{
	respond_created(call, "/api/projects/", result->json, "project_id");
}

void projects_add(struct call *call)
{
	struct store_ask ask = { .op = STORE_PROJECT_ADD, .user = sio_str(call->user), .body = call_body(call) };

	if (body_ok(call) && body_id(call, "project_id", &ask.project))
		call_store(call, ask, on_added);
}

/* ---- changes ------------------------------------------------------------------------ */

/* The answer is what GET would say, the asker's role included. */
static void on_patched(struct call *call, const struct store_result *result)
{
	call_publish(call, result);
	projects_get(call);
}

void projects_patch(struct call *call)
{
	struct store_ask ask = { .op = STORE_PROJECT_PATCH, .body = call_body(call) };

	if (call_version(call, &ask) && body_ok(call))
		call_store(call, ask, on_patched);
}

static void on_deleted(struct call *call, const struct store_result *result)
{
	call_publish(call, result);
	/* Nobody has a role in it any more: whoever is present leaves. */
	collab_access_changed(call->api->options.collab, call->project, SIO_LIT(""));
	respond_none(call, 204);
}

void projects_delete(struct call *call)
{
	struct store_ask ask = { .op = STORE_PROJECT_DELETE };

	if (call_version(call, &ask))
		call_store(call, ask, on_deleted);
}
