/* sqlite_demo.c -- many users, projects and roles for load tests, by set operations.
 *
 * Projects come one commit each, so that a running server gets its turn between.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>

#include "store/sqlite.h"

#define NUMBERS "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1) "
#define NOW "strftime('%Y-%m-%dT%H:%M:%fZ','now')"

static int fill_users(struct sqlite_db *db, int64_t users)
{
	return sql_exec(db, NUMBERS "INSERT OR IGNORE INTO users (id, name, created_at) "
				    "SELECT 'user-' || i, 'User ' || i, " NOW " FROM n", "i", users);
}

static int fill_project(struct sqlite_db *db, int64_t users, int64_t project)
{
	int r = sql_exec(db, "INSERT OR IGNORE INTO projects (id, name, created_at, updated_at) "
			     "VALUES ('proj-' || ?1, 'Project ' || ?1, " NOW ", " NOW ")", "i", project);

	if (r != SQLITE_DONE)
		return r;
	return sql_exec(db, NUMBERS "INSERT OR IGNORE INTO collaborators (project, user, role) "
				    "SELECT 'proj-' || ?2, 'user-' || i, CASE i WHEN 0 THEN 'owner' ELSE 'editor' END FROM n",
			"ii", users, project);
}

enum store_status sqlite_demo_bulk(void *arg, uint32_t users, uint32_t projects, char error[STORE_ERROR_MAX])
{
	struct sqlite_db *db = arg;
	struct store_answer a = { 0 };

	for (int64_t project = -1; project < (int64_t)projects && a.r.status == STORE_OK; project++) {
		int r = sql_exec(db, "BEGIN IMMEDIATE", "");
		if (r == SQLITE_DONE && users > 0)
			r = project < 0 ? fill_users(db, users) : fill_project(db, users, project);
		if (r == SQLITE_DONE)
			r = sql_exec(db, "COMMIT", "");
		if (r != SQLITE_DONE)
			sql_fail(db, &a);
		sql_reset_all(db);
		if (!sqlite3_get_autocommit(db->h))
			sql_exec(db, "ROLLBACK", "");
	}
	snprintf(error, STORE_ERROR_MAX, "%s", a.r.error);
	return a.r.status;
}
