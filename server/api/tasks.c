/* tasks.c -- /api/projects/:project/tasks: what is to be done, and by whom.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "api/body.h"
#include "api/call.h"
#include "api/routes.h"

void tasks_list(struct call *call)
{
	struct store_ask ask = { .op = STORE_TASK_LIST };

	if (call_page(call, &ask))
		call_store(call, ask, call_done_rows);
}

void tasks_get(struct call *call)
{
	sio_slice id;

	if (call_number(call, "task", &id))
		call_store(call, (struct store_ask){ .op = STORE_TASK_GET, .item = id }, call_done_row);
}

static void on_added(struct call *call, const struct store_result *result)
{
	call_publish(call, result);
	call_done_created(call, result, "tasks", "task_id");
}

void tasks_add(struct call *call)
{
	if (body_ok(call))
		call_store(call, (struct store_ask){ .op = STORE_TASK_ADD, .body = call_body(call) }, on_added);
}

static void on_patched(struct call *call, const struct store_result *result)
{
	call_publish(call, result);
	call_done_row(call, result);
}

void tasks_patch(struct call *call)
{
	struct store_ask ask = { .op = STORE_TASK_PATCH, .body = call_body(call) };

	if (call_number(call, "task", &ask.item) && call_version(call, &ask) && body_ok(call))
		call_store(call, ask, on_patched);
}

static void on_deleted(struct call *call, const struct store_result *result)
{
	call_publish(call, result);
	respond_none(call, 204);
}

void tasks_delete(struct call *call)
{
	struct store_ask ask = { .op = STORE_TASK_DELETE };

	if (call_number(call, "task", &ask.item) && call_version(call, &ask))
		call_store(call, ask, on_deleted);
}
