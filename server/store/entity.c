/* entity.c -- list, get, create, patch and delete of anything that is a row
 * of a project: the steps are the same, a struct entity says what differs.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sio/json.h>

#include "base/random.h"
#include "store/decimal.h"
#include "store/db.h"

static const struct entity *entity_of(enum store_op op)
{
	switch (op) {
	case STORE_PROJECT_PATCH:
		return &entity_project;
	case STORE_TASK_LIST:
	case STORE_TASK_GET:
	case STORE_TASK_ADD:
	case STORE_TASK_PATCH:
	case STORE_TASK_DELETE:
		return &entity_task;
	case STORE_COMMENT_LIST:
	case STORE_COMMENT_GET:
	case STORE_COMMENT_ADD:
	case STORE_COMMENT_DELETE:
		return &entity_comment;
	default:
		return &entity_boq;
	}
}

int fields_index(const struct fields *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->defs[i].name, name) == 0)
			return (int)i;
	return -1;
}

/* The version that the body says it is based on; -1 when it says none. */
static int64_t body_version(const struct fields *f)
{
	int i = fields_index(f, "version");

	return i >= 0 && f->v[i].own ? strtoll(f->v[i].own, NULL, 10) : -1;
}

/* Is what the request is based on the row as it is? */
static bool versions_fit(const struct entity *e, int64_t of_ask, int64_t of_body, int64_t current, struct store_answer *a)
{
	int64_t outdated = of_ask > 0 && of_ask != current ? of_ask : of_body >= 0 && of_body != current ? of_body : -1;

	if (outdated < 0)
		return true;
	answer_fail(a, STORE_CONFLICT, "version %lld is outdated, the %s is at %lld", (long long)outdated, e->fields.what,
		    (long long)current);
	return false;
}

/* The text of a positive integer, as the database itself would write it: "42", not "042",
 * "4.2e1" or " 42", which the database would take for the same number. */
static bool is_number_id(sio_slice id)
{
	int64_t number;

	for (size_t i = 0; i < id.n; i++)
		if (id.p[i] < (i == 0 ? '1' : '0') || id.p[i] > '9')
			return false;
	return sio_json_int(id, &number) == SIO_OK;
}

/* The id of the row that an ask means. */
static sio_slice row_id(const struct entity *e, const struct store_ask *ask)
{
	return e == &entity_project ? ask->project : ask->item;
}

/* The column called "version", 0 when there is none. */
static int64_t row_version(struct sql_stmt *st)
{
	for (int i = st->db->driver->columns_n(st) - 1; i >= 0; i--)
		if (strcmp(st->db->driver->column_name(st, i), "version") == 0)
			return sql_int(st, i);
	return 0;
}

static bool row_missing(const struct entity *e, sio_slice project, sio_slice id, struct store_answer *a)
{
	if (e == &entity_project)
		answer_fail(a, STORE_NOT_FOUND, "no project '%.*s'", (int)project.n, project.p);
	else
		answer_fail(a, STORE_NOT_FOUND, "no %s '%.*s' in project '%.*s'", e->fields.what, (int)id.n, id.p,
			    (int)project.n, project.p);
	return false;
}

/* Put the row into a->json.  false: NOT_FOUND or worse. */
static bool row_read(struct db *db, const struct entity *e, sio_slice project, sio_slice id,
		     struct store_answer *a)
{
	struct sql_stmt *st;
	int r;

	if (e->id_is_number && !is_number_id(id))
		return row_missing(e, project, id, a);
	st = sql_start(db, e->select, "tt", project, id);
	r = sql_step(st);
	if (r == SQL_ROW) {
		buf_clear(&a->json);
		sql_row_json(st, &a->json);
		a->r.version = row_version(st);
		sql_reset(st);
		return true;
	}
	if (r == SQL_DONE)
		return row_missing(e, project, id, a);
	sql_fail(db, a);
	return false;
}

/* The statement on the row's version and columns; NULL: NOT_FOUND or worse. */
static struct sql_stmt *values_read(struct db *db, const struct entity *e, sio_slice project, sio_slice id,
				 struct store_answer *a)
{
	struct sql_stmt *st;
	int r;

	if (e->id_is_number && !is_number_id(id)) {
		row_missing(e, project, id, a);
		return NULL;
	}
	st = sql_start(db, e->values, "tt", project, id);
	r = sql_step(st);
	if (r == SQL_ROW)
		return st;
	if (r == SQL_DONE)
		row_missing(e, project, id, a);
	else
		sql_fail(db, a);
	return NULL;
}

/* ---- events -------------------------------------------------------------- */

/* {"project_id":"p","item_id":"i" -- the part that all payloads begin with. */
static void event_begin(const struct entity *e, sio_slice project, sio_slice id, struct store_answer *a)
{
	buf_str(&a->event, "{\"project_id\":");
	buf_json(&a->event, project);
	if (e == &entity_project)
		return;
	buf_printf(&a->event, ",\"%s\":", e->id_name);
	if (e->id_is_number)
		buf_slice(&a->event, id);
	else
		buf_json(&a->event, id);
}

/* Close the payload with who did it, and append the event to the project's stream. */
static void event_end(struct db *db, const struct entity *e, const char *verb, const struct store_ask *ask,
		      struct store_answer *a)
{
	char type[40];
	int n = snprintf(type, sizeof(type), "%s:%s", e->event_stem, verb);

	if (e != &entity_comment || strcmp(verb, "created") != 0) {
		buf_str(&a->event, ",\"updated_by\":");
		buf_json(&a->event, ask->actor);
	}
	buf_byte(&a->event, '}');
	stream_add(db, a, &(struct stream_event){ .stream = ask->project, .type = sio_bytes(type, (size_t)n) });
}

static void event_updates(const struct entity *e, const struct fields *f, struct store_answer *a)
{
	bool is_first = true;

	buf_str(&a->event, ",\"updates\":{");
	for (size_t i = 0; i < e->columns_n; i++) {
		if (!f->v[i].is_set)
			continue;
		buf_printf(&a->event, "%s\"%s\":", is_first ? "" : ",", f->defs[i].name);
		fields_json(f, i, &a->event);
		is_first = false;
	}
	buf_byte(&a->event, '}');
	buf_printf(&a->event, ",\"version\":%lld", (long long)a->r.version);
	if (e->derive) {
		char derived[DECIMAL_TEXT_MAX];
		size_t n = e->derive(f, derived);
		buf_printf(&a->event, ",\"%s\":", e->derived_name);
		buf_put(&a->event, derived, n);
	}
}

/* ---- writing ------------------------------------------------------------- */

/* Bind ?5 and on: the columns, then what is derived from them (kept in derived). */
static void columns_bind(struct sql_stmt *st, const struct entity *e, const struct fields *f, char *derived)
{
	int at = 5;

	for (size_t i = 0; i < e->columns_n; i++, at++) {
		if (f->v[i].is_null)
			sql_bind_null(st, at);
		else
			sql_bind_text(st, at, f->v[i].text);
	}
	if (e->derive)
		sql_bind_text(st, at, sio_bytes(derived, e->derive(f, derived)));
}

/* Members that the body does not set keep what the row has; the others learn whether
 * that is something new. */
static bool columns_merge(struct sql_stmt *row, const struct entity *e, struct fields *f)
{
	for (size_t i = 0; i < e->columns_n; i++) {
		struct field_value *v = &f->v[i];
		bool is_null = sql_is_null(row, (int)i + 1);
		sio_slice text = sql_text(row, (int)i + 1);
		if (v->is_set) {
			v->is_same = v->is_null == is_null && (is_null || sio_slice_eq(v->text, text));
			continue;
		}
		v->is_null = is_null;
		v->own = malloc(text.n + 1);
		if (!v->own)
			return false;
		memcpy(v->own, text.p, text.n);
		v->text = sio_bytes(v->own, text.n);
	}
	return true;
}

static bool is_any_set(const struct entity *e, const struct fields *f)
{
	for (size_t i = 0; i < e->columns_n; i++)
		if (f->v[i].is_set)
			return true;
	return false;
}

/* Does a column change by which an index orders the rows? */
static bool is_reordered(const struct entity *e, const struct fields *f)
{
	if (!e->update_in_place)
		return true;
	for (size_t i = 0; i < e->columns_n; i++)
		if ((e->ordering >> i & 1) && f->v[i].is_set && !f->v[i].is_same)
			return true;
	return false;
}

void entity_change(struct db *db, const struct entity *e, const struct store_ask *ask, struct fields *f, bool wants_row,
		   struct store_answer *a)
{
	char derived[DECIMAL_TEXT_MAX];
	sio_slice id = row_id(e, ask);
	struct sql_stmt *st;
	int64_t current;

	if (!is_any_set(e, f)) {
		answer_fail(a, STORE_INVALID, "the body changes nothing: no field of a %s is in it", e->fields.what);
		return;
	}
	st = values_read(db, e, ask->project, id, a);
	if (!st)
		return;
	current = sql_int(st, 0);
	if (!versions_fit(e, ask->version, body_version(f), current, a)) {
		row_read(db, e, ask->project, id, a);
		return;
	}
	if (!columns_merge(st, e, f)) {
		answer_fail(a, STORE_UNAVAILABLE, "out of memory");
		return;
	}
	sql_reset(st);
	if (e->judge && !e->judge(db, ask, f, a))
		return;
	st = sql_start(db, is_reordered(e, f) ? e->update : e->update_in_place, "tttt", ask->project, id, sio_str(db->now),
		       ask->actor);
	if (st)
		columns_bind(st, e, f, derived);
	/* Reading it anew is cheaper than SQLite's RETURNING, which makes a table of its own for the
	 * row; PostgreSQL gets both statements in one message. */
	if (sql_send(st) != SQL_DONE)
		sql_fail(db, a);
	else if (wants_row)
		row_read(db, e, ask->project, id, a);
}

void entity_ahead(struct db *db, const struct store_ask *ask)
{
	const struct entity *e = entity_of(ask->op);

	if (ask->op == STORE_BOQ_CREATE || ask->op == STORE_TASK_ADD || ask->op == STORE_COMMENT_ADD)
		project_ahead(db, ask->project);
	else if (!e->id_is_number || is_number_id(ask->item))
		sql_ahead(db, e->values, "tt", ask->project, row_id(e, ask));
	stream_ahead(db, ask->project);
}

/* ---- operations ---------------------------------------------------------- */

void op_entity_list(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	const struct entity *e = entity_of(ask->op);
	char task[24];

	if (!project_exists(db, a, ask->project))
		return;
	if (ask->task > 0 && e->page_of_task.text) {
		snprintf(task, sizeof(task), "%lld", (long long)ask->task);
		sql_page_run(db, ask, a, &e->page_of_task, ask->project, sio_str(task));
	} else if (ask->item.n && e->page_of_item.text) {
		sql_page_run(db, ask, a, &e->page_of_item, ask->project, ask->item);
	} else {
		sql_page_run(db, ask, a, &e->page, ask->project, SIO_LIT(""));
	}
}

void op_entity_get(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	const struct entity *e = entity_of(ask->op);

	row_read(db, e, ask->project, row_id(e, ask), a);
}

/* The id of a new row: asked for, named in the body, or a random one.  Empty: the
 * database numbers it. */
static bool new_id(const struct entity *e, const struct store_ask *ask, const struct fields *f, char random[],
		   sio_slice *id, struct store_answer *a)
{
	int i = fields_index(f, e->id_name);

	*id = SIO_LIT("");
	if (!e->id_is_given)
		return true;
	if (ask->item.n)
		*id = ask->item;
	else if (i >= 0 && f->v[i].is_set && !f->v[i].is_null)
		*id = f->v[i].text;
	if (id->n == 0) {
		random_id(random);
		random[0] = random[0] == '-' || random[0] == '_' ? 'x' : random[0]; /* begins like any plain id */
		*id = sio_bytes(random, RANDOM_ID_LEN);
	}
	if (id->n <= STORE_ID_MAX)
		return true;
	answer_fail(a, STORE_INVALID, "%s: at most %d bytes are accepted", e->id_name, (int)STORE_ID_MAX);
	return false;
}

static void entity_insert(struct db *db, const struct entity *e, const struct store_ask *ask,
			  const struct fields *f, struct store_answer *a)
{
	char derived[DECIMAL_TEXT_MAX], text[RANDOM_ID_LEN + 8];
	struct sql_stmt *st;
	sio_slice id;
	int r;

	if (!new_id(e, ask, f, text, &id, a) || (e->judge && !e->judge(db, ask, f, a)))
		return;
	st = sql_start(db, SQL_OF(db, e->insert, e->insert_postgres ? e->insert_postgres : e->insert), "tott", ask->project, id, sio_str(db->now), ask->actor);
	if (st)
		columns_bind(st, e, f, derived);
	r = sql_step(st);
	if (r == SQL_TAKEN)
		answer_fail(a, STORE_EXISTS, "%s '%.*s' is there already", e->fields.what, (int)id.n, id.p);
	else if (r != SQL_DONE)
		sql_fail(db, a);
	if (r != SQL_DONE)
		return;
	if (e->id_is_number)
		id = sio_bytes(text, (size_t)snprintf(text, sizeof(text), "%lld",
						      (long long)db->driver->new_id(db)));
	if (!row_read(db, e, ask->project, id, a))
		return;
	event_begin(e, ask->project, id, a);
	buf_printf(&a->event, ",\"%s\":", e->row_name);
	buf_slice(&a->event, buf_peek(&a->json));
	event_end(db, e, "created", ask, a);
	if (e->concerns && a->r.status == STORE_OK)
		e->concerns(db, ask, f, id, a);
}

bool entity_body(struct store_answer *a, struct fields *f, const struct field_table *table, size_t needed_n, sio_slice body)
{
	char error[sizeof(a->r.error)] = "";
	int r = fields_parse(f, table, body, error, sizeof(error));

	if (r == SIO_OK)
		r = fields_complete(f, needed_n, error, sizeof(error));
	if (r < 0 && r != SIO_ERR_INVAL)
		answer_fail(a, STORE_UNAVAILABLE, "out of memory");
	else if (r < 0)
		answer_fail(a, STORE_INVALID, "%s", error);
	return r == SIO_OK;
}

void op_entity_create(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	const struct entity *e = entity_of(ask->op);
	struct fields f;

	if (!project_exists(db, a, ask->project))
		return;
	if (entity_body(a, &f, &e->fields, e->columns_n, ask->body))
		entity_insert(db, e, ask, &f, a);
	fields_fini(&f);
}

void op_entity_patch(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	const struct entity *e = entity_of(ask->op);
	struct fields f;

	if (entity_body(a, &f, &e->fields, 0, ask->body))
		entity_change(db, e, ask, &f, true, a);
	if (a->r.status == STORE_OK) {
		event_begin(e, ask->project, row_id(e, ask), a);
		event_updates(e, &f, a);
		event_end(db, e, "updated", ask, a);
	}
	if (e->concerns && a->r.status == STORE_OK)
		e->concerns(db, ask, &f, row_id(e, ask), a);
	fields_fini(&f);
}

void op_entity_delete(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	const struct entity *e = entity_of(ask->op);

	if (!row_read(db, e, ask->project, ask->item, a) || !versions_fit(e, ask->version, -1, a->r.version, a))
		return;
	buf_clear(&a->json);
	a->r.version = 0;
	if (sql_push(db, e->delete, "tt", ask->project, ask->item) != SQL_DONE) {
		sql_fail(db, a);
		return;
	}
	event_begin(e, ask->project, ask->item, a);
	event_end(db, e, "deleted", ask, a);
}
