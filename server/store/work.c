/* work.c -- what people do with the bill: tasks and comments, as tables, what
 * their columns may name, and whom they concern.
 *
 * Two rules of the data live here: an assignee is a collaborator of the project, and a
 * task or a comment points into its own project.  A link may outlive what it points
 * to: the item goes, the talk about it stays.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "store/mention.h"
#include "store/db.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* ---- facts ---------------------------------------------------------------- */

/* Does the query give a row?  On failure a says why. */
static bool is_there(struct db *db, struct sql_stmt *st, struct store_answer *a)
{
	int r = sql_step(st);

	sql_reset(st);
	if (r != SQL_ROW && r != SQL_DONE)
		sql_fail(db, a);
	return r == SQL_ROW;
}

static bool is_collaborator(struct db *db, sio_slice project, sio_slice user, struct store_answer *a)
{
	return is_there(db, sql_start(db, "SELECT 1 FROM collaborators WHERE project = ?1 AND \"user\" = ?2", "tt", project, user), a);
}

/* Is a column set to something that it did not hold before? */
static bool is_changed(const struct fields *f, int column)
{
	return f->v[column].is_set && !f->v[column].is_null && !f->v[column].is_same;
}

/* false: the item that the column names is not in the project. */
static bool item_ok(struct db *db, sio_slice project, const struct fields *f, int column, struct store_answer *a)
{
	sio_slice item = f->v[column].text;

	if (!is_changed(f, column) ||
	    is_there(db, sql_start(db, "SELECT 1 FROM boq_items WHERE project = ?1 AND item_id = ?2", "tt", project, item), a))
		return true;
	answer_fail(a, STORE_INVALID, "item_id: there is no BoQ item '%.*s' in this project", (int)item.n, item.p);
	return false;
}

/* ---- what a notification says ---------------------------------------------- */

enum { EXCERPT_MAX = 160 };

/* The name of who does it, the id when there is none. */
static void put_actor(struct db *db, sio_slice actor, struct buf *message)
{
	struct sql_stmt *st = sql_start(db, "SELECT name FROM users WHERE id = ?1", "t", actor);

	buf_slice(message, sql_step(st) == SQL_ROW ? sql_text(st, 0) : actor);
	sql_reset(st);
}

/* The beginning of a text, cut between two characters. */
static void put_excerpt(sio_slice text, struct buf *message)
{
	size_t n = text.n;

	if (n > EXCERPT_MAX)
		for (n = EXCERPT_MAX; n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80; n--)
			;
	buf_put(message, text.p, n);
	if (n < text.n)
		buf_str(message, "…");
}

/* Put a notification for user; data holds {"message":..,"kind":.. without its end, and is cleared. */
static void notify(struct db *db, const struct store_ask *ask, sio_slice user, struct buf *data,
		   struct store_answer *a)
{
	int64_t seq;

	buf_str(data, ",\"actor_id\":");
	buf_json(data, ask->actor);
	buf_byte(data, '}');
	if (notify_put(db, a, user, data, &seq))
		answer_notice(a, user, buf_peek(data), db->position);
	buf_clear(data);
}

static void data_begin(struct buf *data, const struct buf *message, const char *kind, sio_slice project)
{
	buf_str(data, "{\"message\":");
	buf_json(data, buf_peek(message));
	buf_printf(data, ",\"kind\":\"%s\",\"project_id\":", kind);
	buf_json(data, project);
	data->failed |= message->failed;
}

/* ---- tasks ----------------------------------------------------------------- */

enum { TASK_TITLE, TASK_DESCRIPTION, TASK_STATUS, TASK_ASSIGNEE, TASK_DUE, TASK_POSITION, TASK_ITEM, TASK_COLUMNS };

static const struct field_def task_fields[] = {
	[TASK_TITLE] = { "title", FIELD_LABEL, 300, NULL, NULL },
	[TASK_DESCRIPTION] = { "description", FIELD_TEXT, 4000, NULL, "" },
	[TASK_STATUS] = { "status", FIELD_CHOICE, 32, "todo in_progress blocked done", "todo" },
	[TASK_ASSIGNEE] = { "assignee_id", FIELD_OPTIONAL, STORE_USER_MAX, NULL, NULL },
	[TASK_DUE] = { "due_date", FIELD_DATE, 10, NULL, NULL },
	[TASK_POSITION] = { "position", FIELD_INT, 0, NULL, "" }, /* "": behind the last */
	[TASK_ITEM] = { "item_id", FIELD_ID, STORE_ID_MAX, NULL, NULL },
	/* no columns to be set */
	{ "version", FIELD_INT, 0, NULL, NULL },
	{ "task_id", FIELD_IGNORED, 0, NULL, NULL },
	{ "created_at", FIELD_IGNORED, 0, NULL, NULL },
	{ "updated_at", FIELD_IGNORED, 0, NULL, NULL },
	{ "updated_by", FIELD_IGNORED, 0, NULL, NULL },
	{ "project_id", FIELD_IGNORED, 0, NULL, NULL },
};

static bool task_judge(struct db *db, const struct store_ask *ask, const struct fields *f, struct store_answer *a)
{
	sio_slice assignee = f->v[TASK_ASSIGNEE].text;

	if (is_changed(f, TASK_ASSIGNEE) && !is_collaborator(db, ask->project, assignee, a)) {
		answer_fail(a, STORE_INVALID, "assignee_id: '%.*s' is no collaborator of this project", (int)assignee.n, assignee.p);
		return false;
	}
	return item_ok(db, ask->project, f, TASK_ITEM, a);
}

/* Whoever gets a task from somebody else hears of it. */
static void task_concerns(struct db *db, const struct store_ask *ask, const struct fields *f, sio_slice id,
			  struct store_answer *a)
{
	struct buf message = { 0 }, data = { 0 };

	if (!is_changed(f, TASK_ASSIGNEE) || sio_slice_eq(f->v[TASK_ASSIGNEE].text, ask->actor))
		return;
	put_actor(db, ask->actor, &message);
	buf_str(&message, " assigned you a task: ");
	put_excerpt(f->v[TASK_TITLE].text, &message);
	data_begin(&data, &message, "task_assigned", ask->project);
	buf_str(&data, ",\"task_id\":");
	buf_slice(&data, id);
	notify(db, ask, f->v[TASK_ASSIGNEE].text, &data, a);
	buf_fini(&message);
	buf_fini(&data);
}

#define TASK_ROW                                                                                               \
	"task_id, title, description, status, assignee_id, due_date, position, item_id, version, created_at, " \
	"updated_at, updated_by"

/* Room for some twenty halvings between two neighbours; below 2^53 for 2^33 tasks. */
#define POSITION_STEP "1048576"

const struct entity entity_task = {
	.event_stem = "task",
	.id_name = "task_id",
	.row_name = "task",
	.id_is_number = true,
	.fields = { "task", task_fields, COUNT(task_fields) },
	.columns_n = TASK_COLUMNS,
	.judge = task_judge,
	.concerns = task_concerns,
	.select = "SELECT " TASK_ROW " FROM tasks WHERE project = ?1 AND task_id = ?2",
	.values = "SELECT version, title, description, status, assignee_id, due_date, position, item_id FROM tasks "
		  "WHERE project = ?1 AND task_id = ?2",
	.insert = "INSERT INTO tasks (project, task_id, created_at, updated_at, updated_by, title, description, status, "
		  "assignee_id, due_date, position, item_id) VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
		  "CASE ?10 WHEN '' THEN min(9007199254740991, " POSITION_STEP " + coalesce((SELECT max(position) FROM tasks "
		  "WHERE project = ?1), 0)) ELSE ?10 END, ?11)",
	.insert_postgres = "INSERT INTO tasks (project, created_at, updated_at, updated_by, title, description, status, "
			   "assignee_id, due_date, position, item_id) VALUES (?1, ?3, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
			   "CASE ?10::text WHEN '' THEN least(9007199254740991, " POSITION_STEP " + coalesce((SELECT max(position) "
			   "FROM tasks WHERE project = ?1), 0)) ELSE ?10::text::bigint END, ?11)",
	.update = "UPDATE tasks SET version = version + 1, updated_at = ?3, updated_by = ?4, title = ?5, "
		  "description = ?6, status = ?7, assignee_id = ?8, due_date = ?9, position = ?10, item_id = ?11 "
		  "WHERE project = ?1 AND task_id = ?2",
	.update_in_place = "UPDATE tasks SET version = version + 1, updated_at = ?3, updated_by = ?4, title = ?5, "
			   "description = ?6, status = ?7, assignee_id = ?8, due_date = ?9, item_id = ?11 "
			   "WHERE project = ?1 AND task_id = ?2",
	.ordering = 1u << TASK_POSITION,
	.delete = "DELETE FROM tasks WHERE project = ?1 AND task_id = ?2",
	.page = { .text = "SELECT " TASK_ROW " FROM tasks WHERE project = ?1 AND task_id > ?3 "
		  "ORDER BY task_id LIMIT ?6",
		  .start = "i" },
};

/* ---- comments -------------------------------------------------------------- */

enum { COMMENT_TEXT, COMMENT_ITEM, COMMENT_TASK, COMMENT_COLUMNS };

static const struct field_def comment_fields[] = {
	[COMMENT_TEXT] = { "text", FIELD_TEXT, 10000, NULL, NULL },
	[COMMENT_ITEM] = { "item_id", FIELD_ID, STORE_ID_MAX, NULL, NULL },
	[COMMENT_TASK] = { "task_id", FIELD_REF, 0, NULL, NULL },
	{ "comment_id", FIELD_IGNORED, 0, NULL, NULL },
	{ "author_id", FIELD_IGNORED, 0, NULL, NULL },
	{ "created_at", FIELD_IGNORED, 0, NULL, NULL },
	{ "project_id", FIELD_IGNORED, 0, NULL, NULL },
};

static bool comment_judge(struct db *db, const struct store_ask *ask, const struct fields *f,
			  struct store_answer *a)
{
	sio_slice task = f->v[COMMENT_TASK].text;

	if (is_changed(f, COMMENT_ITEM) && is_changed(f, COMMENT_TASK)) {
		answer_fail(a, STORE_INVALID, "task_id: a comment has one target, item_id or task_id");
		return false;
	}
	if (is_changed(f, COMMENT_TASK) &&
	    !is_there(db, sql_start(db, "SELECT 1 FROM tasks WHERE project = ?1 AND task_id = ?2", "tt", ask->project, task), a)) {
		answer_fail(a, STORE_INVALID, "task_id: there is no task %.*s in this project", (int)task.n, task.p);
		return false;
	}
	return item_ok(db, ask->project, f, COMMENT_ITEM, a);
}

/* Those whom a comment has found so far; ids point into its text. */
struct mentioned {
	sio_slice users[STORE_MENTIONS_MAX];
	size_t n;
};

static bool is_mentioned(const struct mentioned *m, sio_slice user)
{
	for (size_t i = 0; i < m->n; i++)
		if (sio_slice_eq(m->users[i], user))
			return true;
	return false;
}

/* The collaborators that the text names, each once, the author never. */
static void find_mentioned(struct db *db, const struct store_ask *ask, sio_slice text, struct mentioned *m,
			   struct store_answer *a)
{
	enum { TRIES_MAX = 10 * STORE_MENTIONS_MAX }; /* look-ups: a text of nothing but '@' costs no more */
	sio_slice rest = text, run;
	int tries = 0;

	while (m->n < STORE_MENTIONS_MAX && tries < TRIES_MAX && mention_next(text, &rest, &run)) {
		do {
			if (sio_slice_eq(run, ask->actor) || is_mentioned(m, run))
				break;
			if (run.n <= STORE_USER_MAX && tries++ < TRIES_MAX && is_collaborator(db, ask->project, run, a)) {
				m->users[m->n++] = run;
				break;
			}
		} while (mention_shorten(&run));
	}
}

static void comment_concerns(struct db *db, const struct store_ask *ask, const struct fields *f, sio_slice id,
			     struct store_answer *a)
{
	struct mentioned m = { .n = 0 };
	struct buf message = { 0 }, data = { 0 };

	find_mentioned(db, ask, f->v[COMMENT_TEXT].text, &m, a);
	if (m.n > 0) {
		put_actor(db, ask->actor, &message);
		buf_str(&message, " mentioned you: ");
		put_excerpt(f->v[COMMENT_TEXT].text, &message);
	}
	for (size_t i = 0; i < m.n && a->r.status == STORE_OK; i++) {
		data_begin(&data, &message, "mention", ask->project);
		buf_str(&data, ",\"comment_id\":");
		buf_slice(&data, id);
		for (int column = COMMENT_ITEM; column <= COMMENT_TASK; column++) {
			if (f->v[column].is_null)
				continue;
			buf_printf(&data, ",\"%s\":", comment_fields[column].name);
			fields_json(f, (size_t)column, &data);
		}
		notify(db, ask, m.users[i], &data, a);
	}
	buf_fini(&message);
	buf_fini(&data);
}

#define COMMENT_ROW "comment_id, text, author_id, item_id, task_id, created_at"
#define COMMENT_PAGE(where)                                                                                    \
	{ .text = "SELECT " COMMENT_ROW " FROM comments WHERE project = ?1 AND comment_id > ?3 " where \
	  "ORDER BY comment_id LIMIT ?6", .start = "i" }

const struct entity entity_comment = {
	.event_stem = "comment",
	.id_name = "comment_id",
	.row_name = "comment",
	.id_is_number = true,
	.fields = { "comment", comment_fields, COUNT(comment_fields) },
	.columns_n = COMMENT_COLUMNS,
	.judge = comment_judge,
	.concerns = comment_concerns,
	.select = "SELECT " COMMENT_ROW " FROM comments WHERE project = ?1 AND comment_id = ?2",
	.insert = "INSERT INTO comments (project, comment_id, created_at, author_id, text, item_id, task_id) "
		  "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	.insert_postgres = "INSERT INTO comments (project, created_at, author_id, text, item_id, task_id) "
			   "VALUES (?1, ?3, ?4, ?5, ?6, ?7)",
	.delete = "DELETE FROM comments WHERE project = ?1 AND comment_id = ?2",
	.page = COMMENT_PAGE(""),
	.page_of_item = COMMENT_PAGE("AND item_id = ?2 "),
	.page_of_task = COMMENT_PAGE("AND task_id = ?2 "),
};
