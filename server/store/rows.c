/* rows.c -- the bill of quantities and the project's own row, as tables; and
 * the one change that touches many items.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <sio/json.h>

#include "store/decimal.h"
#include "store/db.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* ---- BoQ ----------------------------------------------------------------- */

enum { BOQ_CODE = 0, BOQ_QTY = 3, BOQ_PRICE = 4, BOQ_SECTION = 5, BOQ_COLUMNS = 6 };

static const struct field_def boq_fields[] = {
	[BOQ_CODE] = { "code", FIELD_TEXT, 64, NULL, "" },
	{ "description", FIELD_TEXT, 2000, NULL, "" },
	{ "unit", FIELD_TEXT, 32, NULL, "" },
	[BOQ_QTY] = { "qty", FIELD_DECIMAL, 0, NULL, "0" },
	[BOQ_PRICE] = { "unit_price", FIELD_DECIMAL, 0, NULL, "0" },
	[BOQ_SECTION] = { "section", FIELD_TEXT, 200, NULL, "" },
	/* no columns to be set */
	[BOQ_COLUMNS] = { "item_id", FIELD_ID, STORE_ID_MAX, NULL, NULL },
	{ "version", FIELD_INT, 0, NULL, NULL },
	{ "total", FIELD_IGNORED, 0, NULL, NULL },
	{ "updated_at", FIELD_IGNORED, 0, NULL, NULL },
	{ "updated_by", FIELD_IGNORED, 0, NULL, NULL },
	{ "project_id", FIELD_IGNORED, 0, NULL, NULL },
};

static size_t boq_total(const struct fields *f, char *out)
{
	struct decimal qty = { 0 }, price = { 0 };

	/* Both are canonical: they were parsed when they came in. */
	if (decimal_parse(f->v[BOQ_QTY].text, &qty) < 0 || decimal_parse(f->v[BOQ_PRICE].text, &price) < 0)
		qty = price = (struct decimal){ 0 };
	return decimal_product(&qty, &price, out);
}

#define BOQ_ROW                                                                                                \
	"item_id, code, description, unit, qty AS \"qty#\", unit_price AS \"unit_price#\", total AS \"total#\", " \
	"section, version, updated_at, updated_by"

const struct entity entity_boq = {
	.event_stem = "boq:item",
	.id_name = "item_id",
	.row_name = "item",
	.id_is_given = true,
	.fields = { "BoQ item", boq_fields, COUNT(boq_fields) },
	.columns_n = BOQ_COLUMNS,
	.select = "SELECT " BOQ_ROW " FROM boq_items WHERE project = ?1 AND item_id = ?2",
	.values = "SELECT version, code, description, unit, qty, unit_price, section FROM boq_items "
		  "WHERE project = ?1 AND item_id = ?2",
	.insert = "INSERT INTO boq_items (project, item_id, updated_at, updated_by, code, description, unit, qty, "
		  "unit_price, section, total) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
	.update = "UPDATE boq_items SET version = version + 1, updated_at = ?3, updated_by = ?4, code = ?5, "
		  "description = ?6, unit = ?7, qty = ?8, unit_price = ?9, section = ?10, total = ?11 "
		  "WHERE project = ?1 AND item_id = ?2",
	.update_in_place = "UPDATE boq_items SET version = version + 1, updated_at = ?3, updated_by = ?4, "
			   "description = ?6, unit = ?7, qty = ?8, unit_price = ?9, total = ?11 "
			   "WHERE project = ?1 AND item_id = ?2",
	.ordering = 1u << BOQ_CODE | 1u << BOQ_SECTION,
	.delete = "DELETE FROM boq_items WHERE project = ?1 AND item_id = ?2",
	.page = { .text = "SELECT " BOQ_ROW " FROM boq_items "
		  "WHERE project = ?1 AND (section, code, item_id) > (?3, ?4, ?5) "
		  "ORDER BY section, code, item_id LIMIT ?6",
		  .start = "ttt", .keys = { 7, 1, 0 } },
	.derived_name = "total",
	.derive = boq_total,
};

/* ---- project ------------------------------------------------------------- */

static const struct field_def project_fields[] = {
	{ "name", FIELD_LABEL, 200, NULL, NULL },
	{ "description", FIELD_TEXT, 4000, NULL, "" },
	{ "version", FIELD_INT, 0, NULL, NULL },
	{ "project_id", FIELD_ID, STORE_ID_MAX, NULL, NULL },
	{ "created_at", FIELD_IGNORED, 0, NULL, NULL },
	{ "updated_at", FIELD_IGNORED, 0, NULL, NULL },
	{ "seq", FIELD_IGNORED, 0, NULL, NULL },
	{ "role", FIELD_IGNORED, 0, NULL, NULL },
};

const struct entity entity_project = {
	.event_stem = "project",
	.id_name = "project_id",
	.row_name = "project",
	.id_is_given = true,
	.fields = { "project", project_fields, COUNT(project_fields) },
	.columns_n = 2,
	.select = "SELECT id AS project_id, name, description, created_at, updated_at, version, "
		  "coalesce((SELECT seq FROM streams WHERE project = id), 0) AS seq FROM projects WHERE id = ?1",
	.values = "SELECT version, name, description FROM projects WHERE id = ?1",
	.insert = "INSERT INTO projects (id, created_at, updated_at, name, description) VALUES (?2, ?3, ?3, ?5, ?6)",
	.update = "UPDATE projects SET version = version + 1, updated_at = ?3, name = ?5, description = ?6 WHERE id = ?1",
};

/* ---- many items at once -------------------------------------------------- */

struct bulk {
	struct store_ask ask; /* of one item */
	uint32_t total, updated;
	struct buf ids;       /* of those that were changed, as why */
	struct buf why;       /* [{item_id, code, message, current?}] without its brackets */
};

/* current: the row that was met instead, or empty. */
static void bulk_skip(struct bulk *b, sio_slice item, const char *code, const char *message, sio_slice current)
{
	buf_str(&b->why, b->why.n ? ",{\"item_id\":" : "{\"item_id\":");
	if (item.n)
		buf_json(&b->why, item);
	else
		buf_str(&b->why, "null");
	buf_printf(&b->why, ",\"code\":\"%s\",\"message\":", code);
	buf_json(&b->why, sio_str(message));
	if (current.n) {
		buf_str(&b->why, ",\"current\":");
		buf_slice(&b->why, current);
	}
	buf_byte(&b->why, '}');
}

/* One item: changed, or skipped with a reason.  false: the whole request has failed. */
static bool bulk_item(struct db *db, struct bulk *b, sio_slice body, struct store_answer *a)
{
	struct store_answer one = { .r.op = STORE_BOQ_PATCH };
	struct fields f;
	bool goes_on, is_good = entity_body(&one, &f, &entity_boq.fields, 0, body);

	b->ask.item = f.n > BOQ_COLUMNS && f.v[BOQ_COLUMNS].is_set ? f.v[BOQ_COLUMNS].text : SIO_LIT("");
	if (is_good && b->ask.item.n == 0)
		answer_fail(&one, STORE_INVALID, "item_id: is missing");
	if (one.r.status == STORE_OK)
		entity_change(db, &entity_boq, &b->ask, &f, false, &one);
	if (one.json.failed)
		answer_fail(&one, STORE_UNAVAILABLE, "out of memory");
	b->total++;
	goes_on = one.r.status == STORE_OK || one.r.status == STORE_NOT_FOUND || one.r.status == STORE_CONFLICT ||
		  one.r.status == STORE_INVALID || one.r.status == STORE_REFUSED;
	if (!goes_on)
		answer_fail(a, one.r.status, "%s", one.r.error);
	else if (one.r.status == STORE_OK) {
		buf_put(&b->ids, ",", b->updated++ > 0);
		buf_json(&b->ids, b->ask.item);
	} else
		bulk_skip(b, b->ask.item, store_status_name(one.r.status), one.r.error,
			  one.r.status == STORE_CONFLICT ? buf_peek(&one.json) : SIO_LIT(""));
	buf_fini(&one.json);
	fields_fini(&f);
	return goes_on;
}

static void bulk_finish(struct db *db, const struct store_ask *ask, struct bulk *b, struct store_answer *a)
{
	uint32_t skipped = b->total - b->updated;

	buf_printf(&a->json, "{\"total\":%u,\"updated\":%u,\"skipped\":%u,\"why\":[", b->total, b->updated, skipped);
	buf_slice(&a->json, buf_peek(&b->why));
	buf_str(&a->json, "]}");
	a->json.failed |= b->why.failed;
	if (b->updated == 0)
		return;
	buf_str(&a->event, "{\"project_id\":");
	buf_json(&a->event, ask->project);
	buf_printf(&a->event, ",\"summary\":{\"total\":%u,\"updated\":%u,\"skipped\":%u},\"updated_by\":", b->total,
		   b->updated, skipped);
	buf_json(&a->event, ask->actor);
	if (b->ids.n <= STORE_BULK_IDS_BYTES) {
		buf_str(&a->event, ",\"item_ids\":[");
		buf_slice(&a->event, buf_peek(&b->ids));
		buf_byte(&a->event, ']');
	}
	buf_byte(&a->event, '}');
	a->event.failed |= b->ids.failed;
	stream_add(db, a, &(struct stream_event){ .stream = ask->project, .type = SIO_LIT("boq:bulk:updated") });
}

void op_boq_bulk(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	struct bulk b = { .ask = *ask };
	sio_slice rest, item;
	int r;

	if (sio_json_type(ask->body) != SIO_JSON_ARRAY || sio_json_check(ask->body) < 0) {
		answer_fail(a, STORE_INVALID, "updates: must be an array of objects with item_id");
		return;
	}
	if (!project_exists(db, a, ask->project))
		return;
	rest = sio_json_inside(ask->body);
	while ((r = sio_json_next(&rest, &item)) == SIO_OK) {
		if (b.total == STORE_BULK_MAX) {
			answer_fail(a, STORE_INVALID, "updates: at most %d items in one request", (int)STORE_BULK_MAX);
			break;
		}
		if (!bulk_item(db, &b, item, a))
			break;
	}
	if (a->r.status == STORE_OK && r != SIO_ERR_NOENT)
		answer_fail(a, STORE_INVALID, "updates: is not a valid array");
	if (a->r.status == STORE_OK)
		bulk_finish(db, ask, &b, a);
	buf_fini(&b.ids);
	buf_fini(&b.why);
}
