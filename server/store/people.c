/* people.c -- users, projects and who works in them.
 *
 * Two rules of the data live here: a collaborator is a known user, and a project
 * never loses its last owner.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>

#include <sio/json.h>

#include "base/random.h"
#include "store/db.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* Run a query for one row and write it.  NOT_FOUND with the sentence when there is none. */
static void one_row(struct db *db, struct sql_stmt *st, struct store_answer *a, const char *what, sio_slice id)
{
	int r = sql_step(st);

	if (r == SQL_ROW)
		sql_row_json(st, &a->json);
	else if (r == SQL_DONE)
		answer_fail(a, STORE_NOT_FOUND, "no %s '%.*s'", what, (int)id.n, id.p);
	else
		sql_fail(db, a);
}

/* ---- users --------------------------------------------------------------- */

static const struct field_def user_fields[] = {
	{ "name", FIELD_LABEL, 200, NULL, NULL },
	{ "user_id", FIELD_IGNORED, 0, NULL, NULL },
	{ "created_at", FIELD_IGNORED, 0, NULL, NULL },
};
static const struct field_table user_table = { "user", user_fields, COUNT(user_fields) };

#define USER_ROW "id AS user_id, name, created_at"

static void user_read(struct db *db, sio_slice user, struct store_answer *a)
{
	struct sql_stmt *st = sql_start(db, "SELECT " USER_ROW ", password_hash AS _hash FROM users WHERE id = ?1", "t", user);

	one_row(db, st, a, "user", user);
	if (a->r.status == STORE_OK)
		buf_slice(&a->secret, sql_text(st, 3));
}

void op_user_get(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	user_read(db, ask->user, a);
}

static int user_insert(struct db *db, sio_slice user, sio_slice name, sio_slice hash)
{
	return sql_exec(db, "INSERT INTO users (id, name, password_hash, created_at) VALUES (?1, ?2, ?3, ?4) "
			    "ON CONFLICT DO NOTHING", "tttt", user, name, hash, sio_str(db->now));
}

/* Add, or with is_ensure leave an existing one alone. */
static void user_add(struct db *db, const struct store_ask *ask, struct store_answer *a, bool is_ensure)
{
	struct fields f;
	sio_slice body = is_ensure && ask->body.n == 0 ? SIO_LIT("{}") : ask->body, name;
	bool is_good = entity_body(a, &f, &user_table, is_ensure ? 0 : 1, body);

	name = f.v[0].text.n ? f.v[0].text : ask->user;
	if (!is_good)
		goto done;
	if (user_insert(db, ask->user, name, ask->secret) != SQL_DONE)
		sql_fail(db, a);
	else if (!is_ensure && db->driver->changes(db) == 0)
		answer_fail(a, STORE_EXISTS, "user '%.*s' is there already", (int)ask->user.n, ask->user.p);
	else
		user_read(db, ask->user, a);
done:
	buf_clear(&a->secret);
	fields_fini(&f);
}

void op_user_add(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	user_add(db, ask, a, false);
}

void op_user_ensure(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	user_add(db, ask, a, true);
}

void op_user_password(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	if (sql_exec(db, "UPDATE users SET password_hash = ?2 WHERE id = ?1", "tt", ask->user, ask->secret) != SQL_DONE)
		sql_fail(db, a);
	else
		user_read(db, ask->user, a);
	buf_clear(&a->secret);
}

void op_user_list(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	static const struct sql_page page = {
		.text = "SELECT " USER_ROW " FROM users WHERE id > ?3 ORDER BY id LIMIT ?6", .start = "t"
	};

	sql_page_run(db, ask, a, &page, SIO_LIT(""), SIO_LIT(""));
}

/* ---- projects ------------------------------------------------------------ */

#define PROJECT_ROW                                                                           \
	"p.id AS project_id, p.name, p.description, p.created_at, p.updated_at, p.version, " \
	"coalesce((SELECT seq FROM streams s WHERE s.project = p.id), 0) AS seq, c.role"

static const char exists_text[] = "SELECT 1 FROM projects WHERE id = ?1";

void project_ahead(struct db *db, sio_slice project)
{
	sql_ahead(db, exists_text, "t", project);
}

bool project_exists(struct db *db, struct store_answer *a, sio_slice project)
{
	struct sql_stmt *st = sql_start(db, exists_text, "t", project);
	int r = sql_step(st);

	sql_reset(st);
	if (r == SQL_DONE)
		answer_fail(a, STORE_NOT_FOUND, "no project '%.*s'", (int)project.n, project.p);
	else if (r != SQL_ROW)
		sql_fail(db, a);
	return r == SQL_ROW;
}

static bool user_exists(struct db *db, sio_slice user, struct store_answer *a)
{
	struct sql_stmt *st = sql_start(db, "SELECT 1 FROM users WHERE id = ?1", "t", user);
	int r = sql_step(st);

	sql_reset(st);
	if (r == SQL_DONE)
		answer_fail(a, STORE_REFUSED, "no user '%.*s'; add it first (skybuild user add)", (int)user.n, user.p);
	else if (r != SQL_ROW)
		sql_fail(db, a);
	return r == SQL_ROW;
}

static void project_read(struct db *db, sio_slice project, sio_slice user, struct store_answer *a)
{
	struct sql_stmt *st = sql_start(db, "SELECT " PROJECT_ROW " FROM projects p LEFT JOIN collaborators c "
					 "ON c.project = p.id AND c.\"user\" = ?2 WHERE p.id = ?1", "tt", project, user);

	one_row(db, st, a, "project", project);
	if (a->r.status != STORE_OK)
		return;
	a->r.version = sql_int(st, 5);
	snprintf(a->r.role, sizeof(a->r.role), "%.*s", (int)sql_text(st, 7).n, sql_text(st, 7).p);
}

void op_project_get(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	project_read(db, ask->project, ask->user, a);
}

void op_project_list(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	static const struct sql_page mine = {
		.text = "SELECT " PROJECT_ROW " FROM collaborators c JOIN projects p ON p.id = c.project "
		"WHERE c.\"user\" = ?1 AND c.project > ?3 ORDER BY c.project LIMIT ?6", .start = "t"
	};
	static const struct sql_page all = {
		.text = "SELECT " PROJECT_ROW " FROM projects p LEFT JOIN collaborators c ON c.project = p.id "
		"AND c.\"user\" = ?1 WHERE p.id > ?3 ORDER BY p.id LIMIT ?6", .start = "t"
	};

	sql_page_run(db, ask, a, ask->user.n ? &mine : &all, ask->user, SIO_LIT(""));
}

/* The id asked for, named in the body, or a random one (kept in random). */
static sio_slice project_id(const struct store_ask *ask, const struct fields *f, char random[RANDOM_ID_LEN + 6])
{
	int i = fields_index(f, "project_id");

	if (ask->project.n)
		return ask->project;
	if (f->v[i].is_set && !f->v[i].is_null)
		return f->v[i].text;
	memcpy(random, "proj-", 5);
	random_id(random + 5);
	return sio_str(random);
}

static void project_insert(struct db *db, const struct store_ask *ask, const struct fields *f,
			   struct store_answer *a)
{
	char random[RANDOM_ID_LEN + 6];
	sio_slice id = project_id(ask, f, random);
	int r;

	/* An authenticated founder is real even when no account was made; another's name may be a typing error. */
	if (ask->actor.n && sio_slice_eq(ask->actor, ask->user))
		user_insert(db, ask->user, ask->user, SIO_LIT(""));
	if (!user_exists(db, ask->user, a))
		return;
	r = sql_exec(db, "INSERT INTO projects (id, name, description, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?4) "
			 "ON CONFLICT DO NOTHING", "tttt", id, f->v[0].text, f->v[1].text, sio_str(db->now));
	if (r != SQL_DONE)
		sql_fail(db, a);
	else if (db->driver->changes(db) == 0)
		answer_fail(a, STORE_EXISTS, "project '%.*s' is there already", (int)id.n, id.p);
	else if (sql_exec(db, "INSERT INTO collaborators (project, \"user\", role) VALUES (?1, ?2, 'owner')", "tt", id,
			  ask->user) != SQL_DONE)
		sql_fail(db, a);
	else
		project_read(db, id, ask->user, a);
	db->is_access_touched = true;
	sql_reset_all(db); /* random goes out of scope */
}

void op_project_add(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	struct fields f;

	if (entity_body(a, &f, &entity_project.fields, entity_project.columns_n, ask->body))
		project_insert(db, ask, &f, a);
	fields_fini(&f);
}

/* The events go with the project: at once from sight, from the file by the sweep.  Its
 * counter stays, so that a number never comes twice. */
void op_project_delete(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	project_read(db, ask->project, ask->actor, a); /* a conflict shows it with the role of who asks */
	if (a->r.status != STORE_OK)
		return;
	if (ask->version && ask->version != a->r.version) {
		answer_fail(a, STORE_CONFLICT, "version %lld is outdated, the project is at %lld", (long long)ask->version,
			    (long long)a->r.version);
		return;
	}
	buf_clear(&a->json);
	a->r.version = 0;
	sql_reset_all(db);
	if (sql_exec(db, "DELETE FROM projects WHERE id = ?1", "t", ask->project) != SQL_DONE ||
	    sql_exec(db, "UPDATE streams SET floor = seq WHERE project = ?1", "t", ask->project) != SQL_DONE)
		sql_fail(db, a);
	buf_str(&a->event, "{\"project_id\":");
	buf_json(&a->event, ask->project);
	buf_str(&a->event, ",\"updated_by\":");
	buf_json(&a->event, ask->actor);
	buf_byte(&a->event, '}');
	buf_str(&a->type, "project:deleted");
	db->is_access_touched = true;
}

/* ---- collaborators ------------------------------------------------------- */

static const struct field_def role_fields[] = {
	{ "role", FIELD_CHOICE, 16, "owner editor commenter viewer", NULL },
	{ "user_id", FIELD_IGNORED, 0, NULL, NULL },
	{ "name", FIELD_IGNORED, 0, NULL, NULL },
};
static const struct field_table role_table = { "collaborator", role_fields, COUNT(role_fields) };

void op_collab_list(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	static const struct sql_page page = {
		.text = "SELECT u.id AS user_id, u.name, c.role FROM collaborators c JOIN users u ON u.id = c.\"user\" "
		"WHERE c.project = ?1 AND c.\"user\" > ?3 ORDER BY c.\"user\" LIMIT ?6", .start = "t"
	};

	if (project_exists(db, a, ask->project))
		sql_page_run(db, ask, a, &page, ask->project, SIO_LIT(""));
}

bool role_read(struct db *db, sio_slice project, sio_slice user, struct store_answer *a)
{
	struct sql_stmt *st = sql_start(db, "SELECT role FROM collaborators WHERE project = ?1 AND \"user\" = ?2", "tt", project, user);
	int r = sql_step(st);

	a->r.role[0] = '\0';
	if (r == SQL_ROW)
		snprintf(a->r.role, sizeof(a->r.role), "%.*s", (int)sql_text(st, 0).n, sql_text(st, 0).p);
	else if (r != SQL_DONE)
		sql_fail(db, a);
	sql_reset(st);
	return r == SQL_ROW || r == SQL_DONE;
}

/* May user stop being an owner of project? */
static bool another_owner_stays(struct db *db, sio_slice project, sio_slice user, struct store_answer *a)
{
	struct sql_stmt *st = sql_start(db, "SELECT 1 FROM collaborators WHERE project = ?1 AND \"user\" <> ?2 AND role = 'owner' "
					 "LIMIT 1", "tt", project, user);
	int r = sql_step(st);

	if (r == SQL_DONE)
		answer_fail(a, STORE_REFUSED, "'%.*s' is the last owner of project '%.*s'; make somebody else an owner first",
			    (int)user.n, user.p, (int)project.n, project.p);
	else if (r != SQL_ROW)
		sql_fail(db, a);
	sql_reset(st);
	return r == SQL_ROW;
}

/* {"project_id", "user_id", "role", "updated_by"}; role empty: null. */
static void collab_event(struct db *db, const struct store_ask *ask, sio_slice role, struct store_answer *a)
{
	buf_str(&a->event, "{\"project_id\":");
	buf_json(&a->event, ask->project);
	buf_str(&a->event, ",\"user_id\":");
	buf_json(&a->event, ask->user);
	buf_str(&a->event, ",\"role\":");
	if (role.n)
		buf_json(&a->event, role);
	else
		buf_str(&a->event, "null");
	buf_str(&a->event, ",\"updated_by\":");
	if (ask->actor.n)
		buf_json(&a->event, ask->actor);
	else
		buf_str(&a->event, "null");
	buf_byte(&a->event, '}');
	stream_add(db, a, &(struct stream_event){ .stream = ask->project, .type = SIO_LIT("collaborator:changed") });
	db->is_access_touched = true;
}

static void collab_write(struct db *db, const struct store_ask *ask, sio_slice role, struct store_answer *a)
{
	bool was_owner, is_same;

	if (!project_exists(db, a, ask->project) || !user_exists(db, ask->user, a) ||
	    !role_read(db, ask->project, ask->user, a))
		return;
	was_owner = sio_slice_eq(sio_str(a->r.role), SIO_LIT("owner"));
	is_same = sio_slice_eq(sio_str(a->r.role), role);
	if (was_owner && !is_same && !another_owner_stays(db, ask->project, ask->user, a))
		return;
	if (!is_same && sql_exec(db, "INSERT INTO collaborators (project, \"user\", role) VALUES (?1, ?2, ?3) "
				     "ON CONFLICT (project, \"user\") DO UPDATE SET role = excluded.role", "ttt",
				 ask->project, ask->user, role) != SQL_DONE) {
		sql_fail(db, a);
		return;
	}
	one_row(db, sql_start(db, "SELECT u.id AS user_id, u.name, c.role FROM collaborators c JOIN users u ON u.id = c.\"user\" "
				  "WHERE c.project = ?1 AND c.\"user\" = ?2", "tt", ask->project, ask->user), a, "collaborator",
		ask->user);
	snprintf(a->r.role, sizeof(a->r.role), "%.*s", (int)role.n, role.p);
	if (!is_same && a->r.status == STORE_OK)
		collab_event(db, ask, role, a);
}

void op_collab_put(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	struct fields f;

	if (entity_body(a, &f, &role_table, 1, ask->body))
		collab_write(db, ask, f.v[0].text, a);
	fields_fini(&f);
}

void op_collab_delete(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	if (!project_exists(db, a, ask->project) || !role_read(db, ask->project, ask->user, a))
		return;
	if (a->r.role[0] == '\0') {
		answer_fail(a, STORE_NOT_FOUND, "'%.*s' is no collaborator of project '%.*s'", (int)ask->user.n, ask->user.p,
			    (int)ask->project.n, ask->project.p);
		return;
	}
	if (sio_slice_eq(sio_str(a->r.role), SIO_LIT("owner")) && !another_owner_stays(db, ask->project, ask->user, a))
		return;
	if (sql_exec(db, "DELETE FROM collaborators WHERE project = ?1 AND \"user\" = ?2", "tt", ask->project, ask->user) !=
	    SQL_DONE) {
		sql_fail(db, a);
		return;
	}
	a->r.role[0] = '\0';
	collab_event(db, ask, SIO_LIT(""), a);
}

/* ---- roles --------------------------------------------------------------- */

/* The last number of a project's events, 0 when there are none. */
static int64_t last_seq(struct db *db, sio_slice project, struct store_answer *a)
{
	struct sql_stmt *st = sql_start(db, "SELECT seq FROM streams WHERE project = ?1", "t", project);
	int r = sql_step(st);
	int64_t seq = r == SQL_ROW ? sql_int(st, 0) : 0;

	if (r != SQL_ROW && r != SQL_DONE)
		sql_fail(db, a);
	sql_reset(st);
	return seq;
}

void op_role_get(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	if (role_read(db, ask->project, ask->user, a) && a->r.role[0] == '\0')
		project_exists(db, a, ask->project);
	else if (a->r.status == STORE_OK)
		a->r.seq = last_seq(db, ask->project, a);
}

void op_role_list(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	sio_slice rest, item;
	char id[STORE_ID_MAX + 1];
	uint32_t asked = 0;

	if (sio_json_type(ask->body) != SIO_JSON_ARRAY || sio_json_check(ask->body) < 0) {
		answer_fail(a, STORE_INVALID, "projects: must be an array of ids");
		return;
	}
	buf_byte(&a->json, '[');
	rest = sio_json_inside(ask->body);
	while (a->r.status == STORE_OK && sio_json_next(&rest, &item) == SIO_OK) {
		long n = sio_json_unquote(item, id, sizeof(id));
		if (++asked > STORE_ROLES_MAX)
			answer_fail(a, STORE_INVALID, "projects: at most %d ids in one request", (int)STORE_ROLES_MAX);
		/* What is no id names no project: no role, no row. */
		if (n <= 0 || !fields_text_ok(sio_bytes(id, (size_t)n), false) || a->r.status != STORE_OK || !role_read(db, sio_bytes(id, (size_t)n), ask->user, a) || !a->r.role[0])
			continue;
		buf_str(&a->json, a->r.rows_n++ ? ",{\"project_id\":" : "{\"project_id\":");
		buf_json(&a->json, sio_bytes(id, (size_t)n));
		buf_printf(&a->json, ",\"role\":\"%s\",\"seq\":%lld}", a->r.role,
			   (long long)last_seq(db, sio_bytes(id, (size_t)n), a));
	}
	buf_byte(&a->json, ']');
	a->r.role[0] = '\0';
}
