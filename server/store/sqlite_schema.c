/* sqlite_schema.c -- the tables, as numbered steps that are only ever added to.
 *
 * To change the schema: append a step to the list; never edit one that has been
 * released.  A database records the steps it has seen in schema_version.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>

#include "store/sqlite.h"

/* Step 1.  Decimals are canonical TEXT.  streams counts the events of each project
 * (or room); it has no foreign key because events may belong to projects that an
 * outside system keeps.  access_log is how a process learns that another changed
 * a role; triggers keep it, so no writer can forget. */
static const char step_1[] =
	"CREATE TABLE users ("
	"  id TEXT PRIMARY KEY, name TEXT NOT NULL, password_hash TEXT NOT NULL DEFAULT '',"
	"  created_at TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE projects ("
	"  id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL DEFAULT '',"
	"  created_at TEXT NOT NULL, updated_at TEXT NOT NULL, version INTEGER NOT NULL DEFAULT 1) STRICT, WITHOUT ROWID;"
	"CREATE TABLE collaborators ("
	"  project TEXT NOT NULL REFERENCES projects(id) ON DELETE CASCADE,"
	"  user TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,"
	"  role TEXT NOT NULL CHECK (role IN ('owner','editor','commenter','viewer')),"
	"  PRIMARY KEY (project, user)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX collaborators_user ON collaborators(user, project);"
	"CREATE TABLE boq_items ("
	"  project TEXT NOT NULL REFERENCES projects(id) ON DELETE CASCADE, item_id TEXT NOT NULL,"
	"  code TEXT NOT NULL, description TEXT NOT NULL, unit TEXT NOT NULL,"
	"  qty TEXT NOT NULL, unit_price TEXT NOT NULL, total TEXT NOT NULL, section TEXT NOT NULL,"
	"  version INTEGER NOT NULL DEFAULT 1, updated_at TEXT NOT NULL, updated_by TEXT NOT NULL,"
	"  PRIMARY KEY (project, item_id)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX boq_items_order ON boq_items(project, section, code, item_id);"
	"CREATE TABLE tasks ("
	"  task_id INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  project TEXT NOT NULL REFERENCES projects(id) ON DELETE CASCADE,"
	"  title TEXT NOT NULL, description TEXT NOT NULL, status TEXT NOT NULL, assignee_id TEXT, due_date TEXT, item_id TEXT,"
	"  version INTEGER NOT NULL DEFAULT 1, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, updated_by TEXT NOT NULL"
	"  ) STRICT;"
	"CREATE INDEX tasks_project ON tasks(project, task_id);"
	"CREATE TABLE comments ("
	"  comment_id INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  project TEXT NOT NULL REFERENCES projects(id) ON DELETE CASCADE,"
	"  text TEXT NOT NULL, author_id TEXT NOT NULL, item_id TEXT, task_id INTEGER, created_at TEXT NOT NULL) STRICT;"
	"CREATE INDEX comments_project ON comments(project, comment_id);"
	"CREATE INDEX comments_item ON comments(project, item_id, comment_id) WHERE item_id IS NOT NULL;"
	"CREATE TABLE notifications ("
	"  id INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, data TEXT NOT NULL,"
	"  created_at TEXT NOT NULL, read_at TEXT) STRICT;"
	"CREATE INDEX notifications_user ON notifications(user, id);"
	"CREATE TABLE streams (project TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE events ("
	"  id INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL, seq INTEGER NOT NULL,"
	"  type TEXT NOT NULL, data TEXT NOT NULL, created_at TEXT NOT NULL, UNIQUE (project, seq)) STRICT;"
	"CREATE TABLE answers ("
	"  actor TEXT NOT NULL, key TEXT NOT NULL, fingerprint INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
	"  json TEXT NOT NULL, version INTEGER NOT NULL, seq INTEGER NOT NULL, event_type TEXT NOT NULL, event TEXT NOT NULL,"
	"  PRIMARY KEY (actor, key)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX answers_age ON answers(created_ms);"
	"CREATE TABLE access_log ("
	"  id INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL, user TEXT NOT NULL,"
	"  created_s INTEGER NOT NULL DEFAULT (unixepoch())) STRICT;"
	"CREATE TRIGGER collaborators_added AFTER INSERT ON collaborators BEGIN"
	"  INSERT INTO access_log(project, user) VALUES (new.project, new.user); END;"
	"CREATE TRIGGER collaborators_changed AFTER UPDATE ON collaborators BEGIN"
	"  INSERT INTO access_log(project, user) VALUES (new.project, new.user); END;"
	"CREATE TRIGGER collaborators_removed AFTER DELETE ON collaborators BEGIN"
	"  INSERT INTO access_log(project, user) VALUES (old.project, old.user); END;";

/* Step 2.  A task has a place on its board: the tasks that are there get one each, in
 * the order in which they were made.  floor: numbers up to this are gone from a stream,
 * whether their rows have been deleted yet or not.  A notification's payload holds its
 * own id from now on. */
static const char step_2[] =
	"ALTER TABLE tasks ADD COLUMN position INTEGER NOT NULL DEFAULT 0;"
	"UPDATE tasks SET position = 1048576 * n FROM (SELECT task_id AS id, "
	"  row_number() OVER (PARTITION BY project ORDER BY task_id) AS n FROM tasks) WHERE id = task_id;"
	"CREATE INDEX tasks_position ON tasks(project, position);"
	"CREATE INDEX comments_task ON comments(project, task_id, comment_id) WHERE task_id IS NOT NULL;"
	"CREATE INDEX notifications_unread ON notifications(user, id) WHERE read_at IS NULL;"
	"UPDATE notifications SET data = json_insert(data, '$.id', id) WHERE json_valid(data) AND json_type(data) = 'object';"
	"ALTER TABLE streams ADD COLUMN floor INTEGER NOT NULL DEFAULT 0;";

/* Step 3.  What connection state recovery must know of a connected client.  A stream is a
 * project or "user:<id>"; seq is its last event when the client came into it.  left_ms is
 * NULL while the client is connected. */
static const char step_3[] =
	"CREATE TABLE sessions (pid TEXT PRIMARY KEY, sid TEXT NOT NULL, user_id TEXT NOT NULL, left_ms INTEGER)"
	" STRICT, WITHOUT ROWID;"
	"CREATE INDEX sessions_left ON sessions(left_ms) WHERE left_ms IS NOT NULL;"
	"CREATE TABLE session_streams ("
	"  pid TEXT NOT NULL REFERENCES sessions(pid) ON DELETE CASCADE, stream TEXT NOT NULL, seq INTEGER NOT NULL,"
	"  state TEXT, PRIMARY KEY (pid, stream)) STRICT, WITHOUT ROWID;";

/* Step 4.  A page of a bill is one walk through its table: the rows lie in the order in
 * which they are read, and a single item is found by its index.  (It was the other way
 * round: an index in that order, and a look-up for each row.) */
static const char step_4[] =
	"ALTER TABLE boq_items RENAME TO boq_items_3;"
	"CREATE TABLE boq_items ("
	"  project TEXT NOT NULL REFERENCES projects(id) ON DELETE CASCADE, item_id TEXT NOT NULL,"
	"  code TEXT NOT NULL, description TEXT NOT NULL, unit TEXT NOT NULL,"
	"  qty TEXT NOT NULL, unit_price TEXT NOT NULL, total TEXT NOT NULL, section TEXT NOT NULL,"
	"  version INTEGER NOT NULL DEFAULT 1, updated_at TEXT NOT NULL, updated_by TEXT NOT NULL,"
	"  PRIMARY KEY (project, section, code, item_id)) STRICT, WITHOUT ROWID;"
	"INSERT INTO boq_items (project, item_id, code, description, unit, qty, unit_price, total, section, version,"
	"  updated_at, updated_by) SELECT project, item_id, code, description, unit, qty, unit_price, total, section, version,"
	"  updated_at, updated_by FROM boq_items_3;"
	"DROP TABLE boq_items_3;"
	"CREATE UNIQUE INDEX boq_items_id ON boq_items(project, item_id);"
	/* Which server a session is connected to, and which servers there are. */
	"ALTER TABLE sessions ADD COLUMN node TEXT NOT NULL DEFAULT '';"
	"CREATE TABLE nodes (id TEXT PRIMARY KEY, seen_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;";

/* Step 5.  An event that is not for one socket says so itself, to every server and in every replay.  A session
 * whose server was not heard of for too long is lost, not left: that server may be there again. */
static const char step_5[] =
	"ALTER TABLE events ADD COLUMN except_sid TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE sessions ADD COLUMN is_lost INTEGER NOT NULL DEFAULT 0;";

static const char *const steps[] = { step_1, step_2, step_3, step_4, step_5 };
enum { STEPS_N = (int)(sizeof(steps) / sizeof(steps[0])) };

static const char version_table[] =
	"CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL) STRICT;";

/* The first column of a query's first row; -1 when there is none. */
static int64_t ask_int(sqlite3 *h, const char *text)
{
	sqlite3_stmt *st = NULL;
	int64_t value = -1;

	if (sqlite3_prepare_v2(h, text, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		value = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return value;
}

static int apply(sqlite3 *h, int step)
{
	char record[128];

	snprintf(record, sizeof(record),
		 "INSERT INTO schema_version VALUES (%d, strftime('%%Y-%%m-%%dT%%H:%%M:%%SZ','now'))", step);
	if (sqlite3_exec(h, steps[step - 1], NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(h, record, NULL, NULL, NULL) != SQLITE_OK)
		return SIO_ERR_SYSTEM;
	return SIO_OK;
}

/* Inside one transaction that excludes other processes: nobody sees half a schema. */
static int migrate_locked(sqlite3 *h, const char *path, char error[STORE_ERROR_MAX])
{
	bool is_ours = ask_int(h, "SELECT count(*) FROM sqlite_schema WHERE name = 'schema_version'") > 0;
	int64_t at;

	if (!is_ours && ask_int(h, "SELECT count(*) FROM sqlite_schema") > 0) {
		snprintf(error, STORE_ERROR_MAX,
			 "the database '%.120s' holds another program's tables; give DATABASE_URL another path", path);
		return SIO_ERR_SYSTEM;
	}
	if (sqlite3_exec(h, version_table, NULL, NULL, NULL) != SQLITE_OK)
		return SIO_ERR_SYSTEM;
	at = ask_int(h, "SELECT coalesce(max(version), 0) FROM schema_version");
	if (at > STEPS_N) {
		snprintf(error, STORE_ERROR_MAX,
			 "the database '%.100s' has schema %d, this skybuild knows up to %d; "
			 "start the newer skybuild that made it, or use another DATABASE_URL",
			 path, (int)at, (int)STEPS_N);
		return SIO_ERR_SYSTEM;
	}
	for (int step = (int)at + 1; at >= 0 && step <= STEPS_N; step++)
		if (apply(h, step) < 0)
			return SIO_ERR_SYSTEM;
	return at >= 0 ? SIO_OK : SIO_ERR_SYSTEM;
}

int sqlite_migrate(sqlite3 *h, const char *path, char error[STORE_ERROR_MAX])
{
	int r = SIO_ERR_SYSTEM;

	error[0] = '\0';
	if (sqlite3_exec(h, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK) {
		r = migrate_locked(h, path, error);
		if (r == SIO_OK && sqlite3_exec(h, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
			r = SIO_ERR_SYSTEM;
	}
	if (r < 0 && !error[0])
		snprintf(error, STORE_ERROR_MAX, "cannot prepare the tables of '%.100s': %.100s", path, sqlite3_errmsg(h));
	if (r < 0 && !sqlite3_get_autocommit(h))
		sqlite3_exec(h, "ROLLBACK", NULL, NULL, NULL);
	return r;
}
