/* sqlite.h -- the inside of the SQLite driver.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include <sqlite3.h>

#include "store/db.h"

struct sqlite_db {
	struct db db;
	sqlite3 *h;
	int64_t data_version;
};

/* sqlite_schema.c: make the tables, or bring those of before up to date. */
int sqlite_migrate(sqlite3 *h, const char *path, char error[STORE_ERROR_MAX]);

#endif
