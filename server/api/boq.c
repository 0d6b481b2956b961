/* boq.c -- /api/projects/:project/boq: the bill of quantities.
 *
 * Quantities and prices are not looked at here: the body goes to the store as
 * text, which reads them as exact decimals.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <sio/json.h>

#include "api/body.h"
#include "api/call.h"
#include "api/routes.h"

void boq_list(struct call *call)
{
	struct store_ask ask = { .op = STORE_BOQ_LIST };

	if (call_page(call, &ask))
		call_store(call, ask, call_done_rows);
}

/* Is the item id of the path one?  False: it was answered 404. */
static bool is_item_ok(struct call *call)
{
	if (access_id_ok(call_param(call, "item")))
		return true;
	respond_problem(call, 404, "not_found", "there is no such item in this project");
	return false;
}

void boq_get(struct call *call)
{
	if (is_item_ok(call))
		call_store(call, (struct store_ask){ .op = STORE_BOQ_GET, .item = call_param(call, "item") }, call_done_row);
}

/* ---- a new one ------------------------------------------------------------------- */

static void on_created(struct call *call, const struct store_result *result)
{
	call_publish(call, result);
	call_done_created(call, result, "boq", "item_id");
}

void boq_create(struct call *call)
{
	struct store_ask ask = { .op = STORE_BOQ_CREATE, .body = call_body(call) };

	if (body_ok(call) && body_id(call, "item_id", &ask.item))
		call_store(call, ask, on_created);
}

/* ---- changes ---------------------------------------------------------------------- */

static void on_patched(struct call *call, const struct store_result *result)
{
	call_publish(call, result);
	call_done_row(call, result);
}

void boq_patch(struct call *call)
{
	struct store_ask ask = { .op = STORE_BOQ_PATCH, .item = call_param(call, "item"), .body = call_body(call) };

	if (is_item_ok(call) && call_version(call, &ask) && body_ok(call))
		call_store(call, ask, on_patched);
}

static void on_deleted(struct call *call, const struct store_result *result)
{
	call_publish(call, result);
	respond_none(call, 204);
}

void boq_delete(struct call *call)
{
	struct store_ask ask = { .op = STORE_BOQ_DELETE, .item = call_param(call, "item") };

	if (is_item_ok(call) && call_version(call, &ask))
		call_store(call, ask, on_deleted);
}

/* ---- many at once ------------------------------------------------------------------- */

static void on_bulk(struct call *call, const struct store_result *result)
{
	call_publish(call, result);
	respond_json(call, 200, result->json);
}

void boq_bulk(struct call *call)
{
	static const struct body_field fields[] = { { "updates", BODY_ANY, .max = 0 } };
	struct body_value updates;

	if (!body_read(call, fields, 1, &updates))
		return;
	if (sio_json_type(updates.raw) != SIO_JSON_ARRAY) {
		respond_field(call, "updates", "updates must be an array of objects with an item_id");
		return;
	}
	call_store(call, (struct store_ask){ .op = STORE_BOQ_BULK, .body = updates.raw }, on_bulk);
}
