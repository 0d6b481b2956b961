/* store_events_test.c -- streams of events: numbers in payloads, pages, what is kept
 * and what is deleted; and databases of before.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "unit/store_help.h"


#include "base/buf.h"
#include "store/payload.h"

enum { DAY_MS = 24 * 3600 * 1000 };

static int setup(void **state)
{
	struct store *store;

	help_folder_make();
	store = help_open();
	help_fill(store);
	*state = store;
	return 0;
}

static int teardown(void **state)
{
	store_close(*state);
	help_folder_remove();
	help_now_ms = 1772000000000;
	return 0;
}

static void append(struct store *s, const char *stream, int n)
{
	for (int i = 0; i < n; i++)
		help_do(s, ASK(.op = STORE_EVENT_APPEND, .project = S(stream), .event = S("x:y"), .body = S("{\"a\":[1]}")), STORE_OK);
}

/* ---- payloads ------------------------------------------------------------------ */

static void members_added(void **state)
{
	static const char *const cases[][2] = {
		{ "{}", "{\"seq\":7}" }, { "{ }", "{ \"seq\":7}" }, { "{\"a\":1}", "{\"a\":1,\"seq\":7}" }, { " {\"a\":\"}\"} \n", " {\"a\":\"}\",\"seq\":7}" },
		{ "{\"a\":{\"seq\":1}}", "{\"a\":{\"seq\":1},\"seq\":7}" }, { "{\"seq\":1}", "{\"seq\":1,\"n\":7}" },
		{ "{\"s\\u0065q\":1}", "{\"s\\u0065q\":1,\"n\":7}" }, { "{\"a\":1,\"n\":2,\"seq\":{}}", "{\"a\":1,\"n\":2,\"seq\":{}}" },
		{ "[1]", "[1]" }, { "\"{}\"", "\"{}\"" }, { "null", "null" }, { "{\"\":1}", "{\"\":1,\"seq\":7}" },
		{ "{\"\\\"seq\":1}", "{\"\\\"seq\":1,\"seq\":7}" }, { "{\"\\ud83d\\ude00\":[\"{\"]}", "{\"\\ud83d\\ude00\":[\"{\"],\"seq\":7}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf b = { 0 };
		buf_str(&b, cases[i][0]);
		payload_add_int(&b, "seq", "n", 7);
		assert_text(buf_peek(&b), cases[i][1]);
		buf_fini(&b);
	}
}

static void events(void **state)
{
	struct store *s = *state;
	struct store_result *r;
	char too_long[STORE_ID_MAX + 1];

	memset(too_long, 'x', sizeof(too_long));
	append(s, "elsewhere", 5);
	help_do(s, ASK(.op = STORE_EVENT_APPEND, .project = S("elsewhere"), .event = S("x:y"), .body = S("{")), STORE_INVALID);
	help_do(s, ASK(.op = STORE_EVENT_APPEND, .project = S("elsewhere"), .body = S("1")), STORE_INVALID);
	r = help_run(s, ASK(.op = STORE_EVENT_LIST, .project = S("elsewhere"), .after = 2, .limit = 2), STORE_OK);
	assert_int_equal(r->rows_n, 2);
	assert_int_equal(r->seq, 5);
	assert_int_equal(r->oldest, 1);
	assert_has(r->json, "[{\"seq\":3,\"type\":\"x:y\",\"data\":{\"a\":[1],\"seq\":3},\"created_at\":");
	store_result_free(r);
	/* Only a project's events carry it, only objects can, and a number of their own stays. */
	r = help_run(s, ASK(.op = STORE_EVENT_APPEND, .project = S("user:anna"), .event = S("x"), .body = S("{}")), STORE_OK);
	assert_text(r->event, "{}");
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_EVENT_APPEND, .project = S("elsewhere"), .event = S("x"), .body = S("[6]")), STORE_OK);
	assert_text(r->event, "[6]");
	assert_int_equal(r->seq, 6);
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_EVENT_APPEND, .project = S("elsewhere"), .event = S("x"), .body = S("{\"seq\":\"mine\"}")), STORE_OK);
	assert_text(r->event, "{\"seq\":\"mine\"}");
	assert_int_equal(r->seq, 7);
	store_result_free(r);
	/* Whom one is not for is told to those who send it, not to those who read the history. */
	help_do(s, ASK(.op = STORE_EVENT_APPEND, .project = S("elsewhere"), .event = S("x"), .body = S("8"), .except_sid = S("sid\"1")), STORE_OK);
	r = help_run(s, ASK(.op = STORE_EVENT_LIST, .project = S("elsewhere"), .after = 6, .limit = 9, .with_except = true), STORE_OK);
	assert_has(r->json, ",\"except_sid\":\"\"},{\"seq\":8,");
	assert_has(r->json, ",\"except_sid\":\"sid\\\"1\"}]");
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_EVENT_LIST, .project = S("elsewhere"), .after = 6, .limit = 9), STORE_OK);
	assert_int_equal(r->rows_n, 2);
	assert_null(memmem(r->json.p, r->json.n, "except", 6));
	store_result_free(r);
	help_do(s, ASK(.op = STORE_EVENT_APPEND, .project = S("elsewhere"), .event = S("x"), .body = S("1"), .except_sid = S("a\nb")), STORE_INVALID);
	help_do(s, ASK(.op = STORE_EVENT_APPEND, .project = S("elsewhere"), .event = S("x"), .body = S("1"),
		       .except_sid = sio_bytes(too_long, sizeof(too_long))), STORE_INVALID);
	/* A stream that never was. */
	r = help_run(s, ASK(.op = STORE_EVENT_LIST, .project = S("nothing")), STORE_OK);
	assert_text(r->json, "[]");
	assert_int_equal(r->seq, 0);
	assert_int_equal(r->oldest, 1);
	store_result_free(r);
}

/* A page ends early when it is large, but never empty. */
static void large_pages(void **state)
{
	enum { N = 8, SIZE = 300000 };
	struct store *s = *state;
	struct store_result *r;
	char *body = malloc(SIZE + 16);
	int64_t after = 0;
	int pages = 0;

	snprintf(body, SIZE + 16, "\"%0*d\"", SIZE, 0);
	for (int i = 0; i < N; i++)
		help_do(s, ASK(.op = STORE_EVENT_APPEND, .project = S("big"), .event = S("x"), .body = S(body)), STORE_OK);
	for (; after < N; pages++) {
		r = help_run(s, ASK(.op = STORE_EVENT_LIST, .project = S("big"), .after = after, .limit = 1000), STORE_OK);
		assert_true(r->rows_n > 0 && r->json.n < STORE_PAGE_BYTES + SIZE + 200);
		after += (int64_t)r->rows_n;
		store_result_free(r);
	}
	assert_int_equal(pages, 2); /* four of them are over the bound */
	for (int i = 0; i < N; i++)
		help_do(s, ASK(.op = STORE_NOTIFY_ADD, .user = S("u"), .body = S(body)), STORE_OK);
	r = help_run(s, ASK(.op = STORE_NOTIFY_LIST, .user = S("u"), .limit = 1000), STORE_OK);
	assert_int_equal(r->rows_n, 4);
	assert_true(r->cursor.n > 0);
	store_result_free(r);
	free(body);
}

/* ---- what is kept -------------------------------------------------------------- */

static struct store *reopen(void **state, uint32_t days, uint32_t count, uint32_t inbox_days)
{
	struct store_options options = { .url = help_url(), .clock_ms = help_clock, .events_keep_days = days, .events_keep_count = count,
					 .notifications_keep_days = inbox_days };
	char error[STORE_ERROR_MAX];
	struct store *store;

	store_close(*state);
	assert_int_equal(store_open(&options, &store, error), SIO_OK);
	*state = store;
	return store;
}

/* Sweep to the end; returns how many steps it took. */
static int sweep(struct store *s)
{
	int n = 0;

	while (store_sweep(s))
		assert_true(++n < 1000);
	return n;
}

static void expect_stream(struct store *s, const char *stream, int64_t oldest, int64_t last)
{
	struct store_result *r = help_run(s, ASK(.op = STORE_EVENT_LIST, .project = S(stream), .limit = 1000), STORE_OK);
	char first[32];

	if (r->oldest != oldest || r->seq != last || (int64_t)r->rows_n != last - oldest + 1)
		fail_msg("%s: %lld..%lld, %d rows; wanted %lld..%lld", stream, (long long)r->oldest, (long long)r->seq, (int)r->rows_n,
			 (long long)oldest, (long long)last);
	snprintf(first, sizeof(first), "[{\"seq\":%lld,", (long long)oldest);
	if (r->rows_n)
		assert_has(r->json, first);
	store_result_free(r);
}

static void kept_by_count(void **state)
{
	struct store *s = *state;

	append(s, "a", 12);
	append(s, "b", 3);
	append(s, "c", 1300);
	append(s, "user:anna", 12);
	s = reopen(state, 0, 10, 0);
	assert_int_equal(sweep(s), 5); /* a, three pieces of c, user:anna */
	expect_stream(s, "a", 3, 12);
	expect_stream(s, "b", 1, 3);
	expect_stream(s, "c", 1291, 1300);
	expect_stream(s, "user:anna", 3, 12);
	assert_int_equal(sweep(s), 0);
	append(s, "b", 8); /* numbers go on where they were */
	assert_int_equal(sweep(s), 1);
	expect_stream(s, "b", 2, 11);
	s = reopen(state, 0, 0, 0); /* no limit: nothing goes */
	append(s, "b", 20);
	assert_int_equal(sweep(s), 0);
	expect_stream(s, "b", 2, 31);
}

/* Streams are looked at in pieces; each gets its turn. */
static void many_streams(void **state)
{
	struct store *s = *state;
	char name[32];

	for (int i = 0; i < 1100; i++) {
		snprintf(name, sizeof(name), "s%04d", i);
		append(s, name, i == 3 || i == 777 || i == 1099 ? 3 : 1);
	}
	s = reopen(state, 0, 2, 0);
	sweep(s);
	expect_stream(s, "s0003", 2, 3);
	expect_stream(s, "s0777", 2, 3);
	expect_stream(s, "s1099", 2, 3);
	expect_stream(s, "s1098", 1, 1);
}

static void kept_by_age(void **state)
{
	struct store *s = reopen(state, 7, 0, 3);
	struct store_result *r;

	append(s, "a", 4);
	append(s, "old", 600);
	help_do(s, ASK(.op = STORE_NOTIFY_ADD, .user = S("u"), .body = S("{}")), STORE_OK);
	help_now_ms += 4LL * DAY_MS;
	append(s, "a", 2);
	help_do(s, ASK(.op = STORE_NOTIFY_ADD, .user = S("u"), .body = S("{}")), STORE_OK);
	sweep(s);
	expect_stream(s, "a", 1, 6);
	r = help_run(s, ASK(.op = STORE_NOTIFY_LIST, .user = S("u")), STORE_OK);
	assert_int_equal(r->rows_n, 1);
	assert_has(r->json, "\"id\":2");
	store_result_free(r);
	help_now_ms += 4LL * DAY_MS;
	assert_true(sweep(s) >= 2); /* more than one step's worth */
	expect_stream(s, "a", 5, 6);
	expect_stream(s, "old", 601, 600);
	append(s, "old", 1);
	expect_stream(s, "old", 601, 601);
	help_now_ms += 8LL * DAY_MS;
	sweep(s);
	expect_stream(s, "a", 7, 6); /* nothing kept: the next will be 7 */
}

/* A clock that once ran far ahead makes rows stay longer, but no hole. */
static void no_hole_after_a_clock_jump(void **state)
{
	struct store *s = reopen(state, 7, 0, 0);

	append(s, "a", 2);
	help_now_ms += 100LL * DAY_MS;
	append(s, "a", 1);
	help_now_ms -= 100LL * DAY_MS;
	append(s, "a", 2);
	help_now_ms += 10LL * DAY_MS;
	sweep(s);
	expect_stream(s, "a", 3, 5);
	help_now_ms += 100LL * DAY_MS;
	sweep(s);
	expect_stream(s, "a", 6, 5);
}

/* A deleted project's events are out of sight at once; one of the same name goes on counting. */
static void deleted_project(void **state)
{
	struct store *s = *state;
	struct store_result *r;

	help_do(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .actor = S("anna"), .body = S("{}")), STORE_OK);
	expect_stream(s, "proj-1", 1, 2);
	help_do(s, ASK(.op = STORE_PROJECT_DELETE, .project = S("proj-1"), .actor = S("anna")), STORE_OK);
	expect_stream(s, "proj-1", 3, 2);
	help_do(s, ASK(.op = STORE_PROJECT_ADD, .project = S("proj-1"), .user = S("ben"), .body = S("{\"name\":\"New\"}")), STORE_OK);
	help_do(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .actor = S("ben"), .body = S("{}")), STORE_OK);
	expect_stream(s, "proj-1", 3, 3);
	r = help_run(s, ASK(.op = STORE_EVENT_LIST, .project = S("proj-1"), .after = 1), STORE_OK);
	assert_int_equal(r->rows_n, 1);
	store_result_free(r);
	assert_int_equal(sweep(s), 1);
	r = help_run(s, ASK(.op = STORE_COUNTS), STORE_OK);
	assert_has(r->json, "\"events\":1}");
	store_result_free(r);
}

/* While another process writes, a step does nothing and does not wait. */
static void sweep_waits_for_nobody(void **state)
{
	struct store *s = *state;

	append(s, "a", 5);
	s = reopen(state, 0, 2, 0);
	help_hold();
	assert_false(store_sweep(s));
	expect_stream(s, "a", 1, 5);
	help_release();
	sweep(s);
	expect_stream(s, "a", 4, 5);
}

/* ---- databases of before ---------------------------------------------------------- */

/* What the release with schema 1 wrote: its tables, as they stood, and some rows. */
static const char schema_1[] =
	"CREATE TABLE schema_version (version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL) STRICT;"
	"INSERT INTO schema_version VALUES (1, '2026-11-20T00:00:00Z');"
	"CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT NOT NULL, password_hash TEXT NOT NULL DEFAULT '',"
	"  created_at TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE projects (id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL DEFAULT '',"
	"  created_at TEXT NOT NULL, updated_at TEXT NOT NULL, version INTEGER NOT NULL DEFAULT 1) STRICT, WITHOUT ROWID;"
	"CREATE TABLE collaborators (project TEXT NOT NULL REFERENCES projects(id) ON DELETE CASCADE,"
	"  user TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,"
	"  role TEXT NOT NULL CHECK (role IN ('owner','editor','commenter','viewer')), PRIMARY KEY (project, user)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX collaborators_user ON collaborators(user, project);"
	"CREATE TABLE boq_items (project TEXT NOT NULL REFERENCES projects(id) ON DELETE CASCADE, item_id TEXT NOT NULL,"
	"  code TEXT NOT NULL, description TEXT NOT NULL, unit TEXT NOT NULL, qty TEXT NOT NULL, unit_price TEXT NOT NULL,"
	"  total TEXT NOT NULL, section TEXT NOT NULL, version INTEGER NOT NULL DEFAULT 1, updated_at TEXT NOT NULL,"
	"  updated_by TEXT NOT NULL, PRIMARY KEY (project, item_id)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX boq_items_order ON boq_items(project, section, code, item_id);"
	"CREATE TABLE tasks (task_id INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL REFERENCES projects(id) ON DELETE CASCADE,"
	"  title TEXT NOT NULL, description TEXT NOT NULL, status TEXT NOT NULL, assignee_id TEXT, due_date TEXT, item_id TEXT,"
	"  version INTEGER NOT NULL DEFAULT 1, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, updated_by TEXT NOT NULL) STRICT;"
	"CREATE INDEX tasks_project ON tasks(project, task_id);"
	"CREATE TABLE comments (comment_id INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL REFERENCES projects(id) ON DELETE CASCADE,"
	"  text TEXT NOT NULL, author_id TEXT NOT NULL, item_id TEXT, task_id INTEGER, created_at TEXT NOT NULL) STRICT;"
	"CREATE INDEX comments_project ON comments(project, comment_id);"
	"CREATE INDEX comments_item ON comments(project, item_id, comment_id) WHERE item_id IS NOT NULL;"
	"CREATE TABLE notifications (id INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, data TEXT NOT NULL,"
	"  created_at TEXT NOT NULL, read_at TEXT) STRICT;"
	"CREATE INDEX notifications_user ON notifications(user, id);"
	"CREATE TABLE streams (project TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL, seq INTEGER NOT NULL, type TEXT NOT NULL,"
	"  data TEXT NOT NULL, created_at TEXT NOT NULL, UNIQUE (project, seq)) STRICT;"
	"CREATE TABLE answers (actor TEXT NOT NULL, key TEXT NOT NULL, fingerprint INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
	"  json TEXT NOT NULL, version INTEGER NOT NULL, seq INTEGER NOT NULL, event_type TEXT NOT NULL, event TEXT NOT NULL,"
	"  PRIMARY KEY (actor, key)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX answers_age ON answers(created_ms);"
	"CREATE TABLE access_log (id INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL, user TEXT NOT NULL,"
	"  created_s INTEGER NOT NULL DEFAULT (unixepoch())) STRICT;";
static const char schema_1_rest[] =
	"CREATE TRIGGER collaborators_added AFTER INSERT ON collaborators BEGIN"
	"  INSERT INTO access_log(project, user) VALUES (new.project, new.user); END;"
	"CREATE TRIGGER collaborators_changed AFTER UPDATE ON collaborators BEGIN"
	"  INSERT INTO access_log(project, user) VALUES (new.project, new.user); END;"
	"CREATE TRIGGER collaborators_removed AFTER DELETE ON collaborators BEGIN"
	"  INSERT INTO access_log(project, user) VALUES (old.project, old.user); END;"
	"INSERT INTO users VALUES ('anna', 'Anna', 'hash', '2026-11-20T00:00:00.000Z');"
	"INSERT INTO projects (id, name, created_at, updated_at) VALUES ('p', 'P', '2026-11-20', '2026-11-20'), ('q', 'Q', '2026-11-20', '2026-11-20');"
	"INSERT INTO collaborators VALUES ('p', 'anna', 'owner');"
	"INSERT INTO boq_items VALUES ('p', 'i', '1', 'Slab', 'm3', '2.5', '4', '10', '', 3, '2026-11-20', 'anna'),"
	"  ('p', 'a', '2', 'Wall', 'm2', '1', '1', '1', '', 1, '2026-11-20', 'anna'), ('p', 'z', '0', 'Roof', 'm2', '1', '1', '1', 'B', 7, '2026-11-20', 'anna');"
	"INSERT INTO tasks (project, title, description, status, created_at, updated_at, updated_by) VALUES"
	"  ('p', 'One', '', 'in_progress', '2026-11-20', '2026-11-20', 'anna'), ('q', 'Other', '', 'todo', '2026-11-20', '2026-11-20', 'anna'),"
	"  ('p', 'Two', '', 'done', '2026-11-20', '2026-11-20', 'anna');"
	"INSERT INTO comments (project, text, author_id, task_id, created_at) VALUES ('p', 'Hello', 'anna', 1, '2026-11-20');"
	"INSERT INTO notifications (user, data, created_at) VALUES ('anna', '{\"message\": \"old\", \"n\": 1.50}', '2026-11-20'),"
	"  ('anna', '[1]', '2026-11-20'), ('anna', '{\"id\":\"own\"}', '2026-11-20');"
	"INSERT INTO streams VALUES ('p', 2);"
	"INSERT INTO events (project, seq, type, data, created_at) VALUES ('p', 1, 'x', '{\"a\":1}', '2026-11-20'), ('p', 2, 'x', '{}', '2026-11-20');";

/* text has first before second. */
static void assert_order(sio_slice text, const char *first, const char *second)
{
	const char *a = memmem(text.p, text.n, first, strlen(first)), *b = memmem(text.p, text.n, second, strlen(second));

	assert_non_null(a);
	assert_non_null(b);
	assert_true(a < b);
}

static void from_schema_1(void **state)
{
	struct store_result *r;
	struct store *s;

	(void)state;
	help_sql(schema_1);
	help_sql(schema_1_rest);
	for (int i = 0; i < 2; i++) { /* the second time there is nothing to do */
		s = help_open();
		r = help_run(s, ASK(.op = STORE_TASK_LIST, .project = S("p")), STORE_OK);
		assert_int_equal(r->rows_n, 2);
		assert_has(r->json, "{\"task_id\":1,\"title\":\"One\",\"description\":\"\",\"status\":\"in_progress\",\"assignee_id\":null,"
				    "\"due_date\":null,\"position\":1048576,");
		assert_has(r->json, "\"title\":\"Two\",\"description\":\"\",\"status\":\"done\",\"assignee_id\":null,\"due_date\":null,\"position\":2097152,");
		store_result_free(r);
		store_close(s);
	}
	s = help_open();
	r = help_run(s, ASK(.op = STORE_TASK_ADD, .project = S("p"), .actor = S("anna"), .body = S("{\"title\":\"New\"}")), STORE_OK);
	assert_has(r->json, "{\"task_id\":4,");
	assert_has(r->json, "\"position\":3145728,");
	assert_int_equal(r->seq, 3); /* numbers go on */
	store_result_free(r);
	expect_stream(s, "p", 1, 3);
	r = help_run(s, ASK(.op = STORE_BOQ_GET, .project = S("p"), .item = S("i")), STORE_OK);
	assert_has(r->json, "\"qty\":2.5,\"unit_price\":4,\"total\":10,");
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_BOQ_LIST, .project = S("p")), STORE_OK);
	assert_int_equal(r->rows_n, 3); /* by section, then by code */
	assert_order(r->json, "\"item_id\":\"i\"", "\"item_id\":\"a\"");
	assert_order(r->json, "\"item_id\":\"a\"", "\"item_id\":\"z\"");
	assert_has(r->json, "\"section\":\"B\",\"version\":7,\"updated_at\":\"2026-11-20\",\"updated_by\":\"anna\"}");
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_COMMENT_LIST, .project = S("p"), .task = 1), STORE_OK);
	assert_int_equal(r->rows_n, 1);
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_NOTIFY_LIST, .user = S("anna")), STORE_OK);
	assert_has(r->json, "\"data\":{\"message\":\"old\",\"n\":1.50,\"id\":1}");
	assert_has(r->json, "\"data\":[1]");
	assert_has(r->json, "\"data\":{\"id\":\"own\"}");
	assert_int_equal(r->unread, 3);
	store_result_free(r);
	store_close(s);
}

/* Half a migration is none: what fails leaves the old schema as it was. */
static void migration_fails_as_a_whole(void **state)
{
	struct store_options options = { .url = help_url() };
	char error[STORE_ERROR_MAX], path[128];
	struct store *s;
	sqlite3_stmt *st;
	sqlite3 *h;

	(void)state;
	help_sql(schema_1);
	help_sql(schema_1_rest);
	help_sql("CREATE INDEX notifications_unread ON notifications(user)"); /* in the way of step 2 */
	assert_int_equal(store_open(&options, &s, error), SIO_ERR_SYSTEM);
	assert_has(S(error), "cannot prepare the tables");
	snprintf(path, sizeof(path), "%s/test.db", help_folder);
	sqlite3_open(path, &h);
	sqlite3_prepare_v2(h, "SELECT max(version) FROM schema_version WHERE NOT EXISTS "
			      "(SELECT 1 FROM pragma_table_info('tasks') WHERE name = 'position')", -1, &st, NULL);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(st, 0), 1);
	sqlite3_finalize(st);
	sqlite3_close(h);
	help_sql("DROP INDEX notifications_unread");
	store_close(help_open());
}

static int setup_empty(void **state)
{
	(void)state;
	help_folder_make();
	return 0;
}

static int teardown_empty(void **state)
{
	(void)state;
	help_folder_remove();
	return 0;
}

int main(void)
{
	const struct help_test tests[] = {
		HELP_TEST(HELP_SQLITE, members_added, NULL, NULL),
		HELP_TEST(HELP_ALL, events, setup, teardown),
		HELP_TEST(HELP_ALL, large_pages, setup, teardown),
		HELP_TEST(HELP_KEPT, kept_by_count, setup, teardown),
		HELP_TEST(HELP_KEPT, many_streams, setup, teardown),
		HELP_TEST(HELP_KEPT, kept_by_age, setup, teardown),
		HELP_TEST(HELP_KEPT, no_hole_after_a_clock_jump, setup, teardown),
		HELP_TEST(HELP_ALL, deleted_project, setup, teardown),
		HELP_TEST(HELP_KEPT, sweep_waits_for_nobody, setup, teardown),
		HELP_TEST(HELP_SQLITE, from_schema_1, setup_empty, teardown_empty),
		HELP_TEST(HELP_SQLITE, migration_fails_as_a_whole, setup_empty, teardown_empty),
	};

	return help_main(tests, sizeof(tests) / sizeof(tests[0]));
}
