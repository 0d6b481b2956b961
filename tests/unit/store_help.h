/* store_help.h -- a store of each kind for a test of its own, and asks in one line.
 *
 * The contract: the same tests run over a file of SQLite, a database in memory and a
 * schema of a real PostgreSQL (help_main).
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_STORE_HELP_H
#define TESTS_STORE_HELP_H

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <libpq-fe.h>
#include <sqlite3.h>

#include "lib/pg_server.h"
#include "store/store.h"

#define S(text) sio_str(text)
#define ASK(...) (&(struct store_ask){ __VA_ARGS__ })

enum help_kind { HELP_SQLITE = 1, HELP_MEMORY = 2, HELP_POSTGRES = 4 };
enum {
	HELP_ALL = HELP_SQLITE | HELP_MEMORY | HELP_POSTGRES,
	HELP_KEPT = HELP_SQLITE | HELP_POSTGRES, /* opened a second time, it is still there */
};
static enum help_kind help_kind = HELP_SQLITE;
static char help_folder[64]; /* also the name of the schema, behind its last '/' */
static int64_t help_now_ms = 1772000000000;

static inline int64_t help_clock(void)
{
	return help_now_ms;
}

static inline const char *help_schema(void)
{
	return strrchr(help_folder, '/') + 1;
}

static inline void help_folder_make(void)
{
	char sql[128];

	strcpy(help_folder, "/tmp/skybuild-store-XXXXXX");
	assert_non_null(mkdtemp(help_folder));
	snprintf(sql, sizeof(sql), "CREATE SCHEMA \"%s\"", help_schema());
	if (help_kind == HELP_POSTGRES)
		pg_server_run(pg_server_url(), sql);
}

static inline void help_folder_remove(void)
{
	char command[128];

	snprintf(command, sizeof(command), "DROP SCHEMA \"%s\" CASCADE", help_schema());
	if (help_kind == HELP_POSTGRES)
		pg_server_run(pg_server_url(), command);
	snprintf(command, sizeof(command), "rm -rf '%s'", help_folder);
	assert_int_equal(system(command), 0);
}

static inline const char *help_url(void)
{
	static char url[256];

	if (help_kind == HELP_POSTGRES)
		snprintf(url, sizeof(url), "%s&options=-csearch_path%%3D%%22%s%%22", pg_server_url(), help_schema());
	else if (help_kind == HELP_MEMORY)
		snprintf(url, sizeof(url), "memory:");
	else
		snprintf(url, sizeof(url), "sqlite:///%s/test.db", help_folder);
	return url;
}

/* Run SQL beside the store, as another program. */
static inline void help_sql(const char *sql)
{
	char path[128], *wrong = NULL;
	sqlite3 *h;

	if (help_kind == HELP_POSTGRES) {
		pg_server_run(help_url(), sql);
		return;
	}
	snprintf(path, sizeof(path), "%s/test.db", help_folder);
	assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
	if (sqlite3_exec(h, sql, NULL, NULL, &wrong) != SQLITE_OK)
		fail_msg("%s", wrong);
	sqlite3_close(h);
}

/* Another process that is writing: from hold to release it has what lets only one write. */
static sqlite3 *help_holder;
static PGconn *help_pg_holder;

static inline void help_hold(void)
{
	char path[128];

	if (help_kind == HELP_POSTGRES) {
		help_pg_holder = PQconnectdb(help_url());
		PGresult *r = PQexec(help_pg_holder, "BEGIN; SELECT pg_advisory_xact_lock(1397441093, hashtext(current_schema()))");
		assert_int_equal(PQresultStatus(r), PGRES_TUPLES_OK);
		PQclear(r);
		return;
	}
	snprintf(path, sizeof(path), "%s/test.db", help_folder);
	assert_int_equal(sqlite3_open(path, &help_holder), SQLITE_OK);
	assert_int_equal(sqlite3_exec(help_holder, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
}

static inline void help_release(void)
{
	if (help_kind == HELP_POSTGRES) {
		PQclear(PQexec(help_pg_holder, "ROLLBACK")); /* the end of a connection alone would be noticed later */
		PQfinish(help_pg_holder);
		return;
	}
	assert_int_equal(sqlite3_exec(help_holder, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(help_holder);
}

/* A store without a thread on help_url. */
static inline struct store *help_open(void)
{
	struct store_options options = { .url = help_url(), .clock_ms = help_clock };
	struct store *store = NULL;
	char error[STORE_ERROR_MAX];

	if (store_open(&options, &store, error) != SIO_OK)
		fail_msg("store_open: %s", error);
	return store;
}

/* Run and insist on the status; the result is to be freed. */
static inline struct store_result *help_run(struct store *store, const struct store_ask *ask, enum store_status want)
{
	struct store_result *result = store_run(store, ask);

	assert_non_null(result);
	if (result->status != want)
		fail_msg("%s: %s (%s), wanted %s", store_op_name(ask->op), store_status_name(result->status), result->error,
			 store_status_name(want));
	assert_true((result->status == STORE_OK) == (result->error[0] == '\0'));
	return result;
}

/* Run for the status alone. */
static inline void help_do(struct store *store, const struct store_ask *ask, enum store_status want)
{
	store_result_free(help_run(store, ask, want));
}

static inline bool help_has(sio_slice text, const char *part)
{
	return memmem(text.p ? text.p : "", text.n, part, strlen(part)) != NULL;
}

#define assert_has(text, part)                                                                            \
	do {                                                                                              \
		sio_slice help_text_ = (text);                                                            \
		if (!help_has(help_text_, part))                                                          \
			fail_msg("'%s' is not in %.*s", part, (int)help_text_.n, help_text_.n ? help_text_.p : ""); \
	} while (0)

#define assert_text(slice, want)                                                                          \
	do {                                                                                              \
		sio_slice help_text_ = (slice);                                                           \
		if (!sio_slice_eq(help_text_, sio_str(want)))                                             \
			fail_msg("got %.*s, wanted %s", (int)help_text_.n, help_text_.n ? help_text_.p : "", want); \
	} while (0)

/* Users anna (owner), ben (editor) and cleo (no role); project proj-1. */
static inline void help_fill(struct store *store)
{
	help_do(store, ASK(.op = STORE_USER_ADD, .user = S("anna"), .body = S("{\"name\":\"Anna\"}"), .secret = S("hash-a")),
		STORE_OK);
	help_do(store, ASK(.op = STORE_USER_ADD, .user = S("ben"), .body = S("{\"name\":\"Ben\"}")), STORE_OK);
	help_do(store, ASK(.op = STORE_USER_ADD, .user = S("cleo"), .body = S("{\"name\":\"Cleo\"}")), STORE_OK);
	help_do(store, ASK(.op = STORE_PROJECT_ADD, .project = S("proj-1"), .user = S("anna"), .body = S("{\"name\":\"One\"}")),
		STORE_OK);
	help_do(store, ASK(.op = STORE_COLLAB_PUT, .project = S("proj-1"), .user = S("ben"), .actor = S("anna"),
			   .body = S("{\"role\":\"editor\"}")), STORE_OK);
}

/* A test and the kinds of store that it is about. */
struct help_test {
	struct CMUnitTest test;
	int kinds;
};
#define HELP_TEST(kinds_, f, setup_, teardown_) { cmocka_unit_test_setup_teardown(f, setup_, teardown_), kinds_ }

enum { HELP_TESTS_MAX = 64 };

/* All tests over each kind.  TEST_STORE=postgres (sqlite, memory) runs one alone. */
static inline int help_main(const struct help_test *tests, size_t n)
{
	static const struct {
		enum help_kind kind;
		const char *name;
	} kinds[] = { { HELP_SQLITE, "sqlite" }, { HELP_MEMORY, "memory" }, { HELP_POSTGRES, "postgres" } };
	const char *only = getenv("TEST_STORE");
	int failed = 0;

	assert(n <= HELP_TESTS_MAX);
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		struct CMUnitTest chosen[HELP_TESTS_MAX];
		size_t chosen_n = 0;
		help_kind = kinds[k].kind;
		for (size_t i = 0; i < n; i++)
			if (tests[i].kinds & kinds[k].kind)
				chosen[chosen_n++] = tests[i].test;
		if (chosen_n && (!only || strcmp(only, kinds[k].name) == 0))
			failed += _cmocka_run_group_tests(kinds[k].name, chosen, chosen_n, NULL, NULL);
	}
	return failed;
}

#endif
