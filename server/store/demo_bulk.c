/* demo_bulk.c -- many users, projects and roles for load tests, by set operations.
 *
 * Projects come one commit each, so that a running server gets its turn between.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>

#include "store/db.h"

#define NUMBERS "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1) "

/* "WHERE true": else SQLite takes ON for the beginning of a join. */
static int fill_users(struct db *db, int64_t users)
{
	return sql_exec(db, NUMBERS "INSERT INTO users (id, name, created_at) SELECT 'user-' || i, 'User ' || i, ?2 FROM n "
				    "WHERE true ON CONFLICT DO NOTHING", "it", users, sio_str(db->now));
}

static int fill_project(struct db *db, int64_t users, int64_t project)
{
	char id[32];
	int r;

	snprintf(id, sizeof(id), "proj-%lld", (long long)project);
	r = sql_exec(db, "INSERT INTO projects (id, name, created_at, updated_at) VALUES (?1, 'Project ' || ?2, ?3, ?3) "
			 "ON CONFLICT DO NOTHING", "ttt", sio_str(id), sio_str(id + 5), sio_str(db->now));
	if (r == SQL_DONE)
		r = sql_exec(db, NUMBERS "INSERT INTO collaborators (project, \"user\", role) "
					 "SELECT ?2, 'user-' || i, CASE i WHEN 0 THEN 'owner' ELSE 'editor' END FROM n "
					 "WHERE true ON CONFLICT DO NOTHING", "it", users, sio_str(id));
	return r;
}

enum store_status db_demo_bulk(void *arg, uint32_t users, uint32_t projects, char error[STORE_ERROR_MAX])
{
	struct db *db = arg;
	struct store_answer a = { 0 };

	sql_read_clock(db);
	for (int64_t project = -1; project < (int64_t)projects && a.r.status == STORE_OK; project++) {
		int r = db->driver->begin(db, DB_WRITE);
		if (r == SQL_DONE && users > 0)
			r = project < 0 ? fill_users(db, users) : fill_project(db, users, project);
		if (r == SQL_DONE)
			r = db->driver->commit(db);
		if (r != SQL_DONE) {
			sql_fail(db, &a);
			db->driver->rollback(db);
		}
		sql_reset_all(db);
	}
	snprintf(error, STORE_ERROR_MAX, "%s", a.r.error);
	return a.r.status;
}
