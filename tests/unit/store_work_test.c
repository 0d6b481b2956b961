/* store_work_test.c -- tasks, comments, mentions and notifications, against a real
 * SQLite file, without a thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "unit/store_help.h"

#include "store/mention.h"

/* In proj-1: item "a"; in proj-2, which is anna's alone: item "theirs" and task 1. */
static int setup(void **state)
{
	struct store *s;

	help_folder_make();
	s = help_open();
	help_fill(s);
	help_do(s, ASK(.op = STORE_PROJECT_ADD, .project = S("proj-2"), .user = S("anna"), .body = S("{\"name\":\"Two\"}")), STORE_OK);
	help_do(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .item = S("a"), .body = S("{}")), STORE_OK);
	help_do(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-2"), .item = S("theirs"), .body = S("{}")), STORE_OK);
	help_do(s, ASK(.op = STORE_TASK_ADD, .project = S("proj-2"), .actor = S("anna"), .body = S("{\"title\":\"Theirs\"}")), STORE_OK);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	store_close(*state);
	help_folder_remove();
	return 0;
}

#define TASK(op_, ...) ASK(.op = op_, .project = S("proj-1"), .actor = S("anna"), __VA_ARGS__)

/* ---- tasks -------------------------------------------------------------------- */

static void task_life(void **state)
{
	struct store *s = *state;
	struct store_result *r;

	r = help_run(s, TASK(STORE_TASK_ADD, .body = S("{\"title\":\"Do\"}")), STORE_OK);
	assert_text(r->json, "{\"task_id\":2,\"title\":\"Do\",\"description\":\"\",\"status\":\"todo\",\"assignee_id\":null,"
			     "\"due_date\":null,\"position\":1048576,\"item_id\":null,\"version\":1,"
			     "\"created_at\":\"2026-02-25T06:13:20.000Z\",\"updated_at\":\"2026-02-25T06:13:20.000Z\","
			     "\"updated_by\":\"anna\"}");
	assert_int_equal(r->version, 1);
	assert_text(r->event_type, "task:created");
	assert_has(r->event, "{\"project_id\":\"proj-1\",\"task_id\":2,\"task\":{\"task_id\":2,");
	assert_has(r->event, "},\"updated_by\":\"anna\",\"seq\":3}");
	assert_int_equal(r->seq, 3);
	assert_int_equal(r->notices_n, 0);
	store_result_free(r);
	r = help_run(s, TASK(STORE_TASK_PATCH, .item = S("2"), .version = 1,
			     .body = S("{\"status\":\"done\",\"due_date\":\"2028-02-29\",\"item_id\":\"a\",\"position\":7}")), STORE_OK);
	assert_text(r->event, "{\"project_id\":\"proj-1\",\"task_id\":2,\"updates\":{\"status\":\"done\",\"due_date\":\"2028-02-29\","
			      "\"position\":7,\"item_id\":\"a\"},\"version\":2,\"updated_by\":\"anna\",\"seq\":4}");
	assert_int_equal(r->version, 2);
	store_result_free(r);
	r = help_run(s, TASK(STORE_TASK_GET, .item = S("2")), STORE_OK);
	assert_has(r->json, "\"status\":\"done\",\"assignee_id\":null,\"due_date\":\"2028-02-29\",\"position\":7,\"item_id\":\"a\",\"version\":2");
	assert_int_equal(r->version, 2);
	store_result_free(r);
	r = help_run(s, TASK(STORE_TASK_PATCH, .item = S("2"), .body = S("{\"title\":\"x\",\"version\":1}")), STORE_CONFLICT);
	assert_has(r->json, "\"title\":\"Do\"");
	store_result_free(r);
	r = help_run(s, TASK(STORE_TASK_DELETE, .item = S("2"), .version = 1), STORE_CONFLICT);
	assert_has(r->json, "\"version\":2");
	store_result_free(r);
	r = help_run(s, TASK(STORE_TASK_DELETE, .item = S("2"), .version = 2), STORE_OK);
	assert_text(r->event, "{\"project_id\":\"proj-1\",\"task_id\":2,\"updated_by\":\"anna\",\"seq\":5}");
	store_result_free(r);
	help_do(s, TASK(STORE_TASK_GET, .item = S("2")), STORE_NOT_FOUND);
	/* A number does not come again. */
	r = help_run(s, TASK(STORE_TASK_ADD, .body = S("{\"title\":\"Next\"}")), STORE_OK);
	assert_has(r->json, "{\"task_id\":3,");
	store_result_free(r);
}

/* Only the number as the database writes it names a row; nothing else gets into a payload. */
static void number_ids(void **state)
{
	static const char *const bad[] = { "0", "01", "1.0", "1e0", " 1", "1 ", "+1", "-1", "0x1", "x", "9223372036854775808", "2", "1\t" };
	struct store *s = *state;

	help_do(s, ASK(.op = STORE_COMMENT_ADD, .project = S("proj-2"), .actor = S("anna"), .body = S("{\"text\":\"x\"}")), STORE_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		static const enum store_op ops[] = { STORE_TASK_GET, STORE_TASK_PATCH, STORE_TASK_DELETE, STORE_COMMENT_GET, STORE_COMMENT_DELETE };
		for (size_t k = 0; k < sizeof(ops) / sizeof(ops[0]); k++) {
			struct store_result *r = store_run(s, ASK(.op = ops[k], .project = S("proj-2"), .actor = S("anna"),
								  .item = S(bad[i]), .body = S("{\"title\":\"x\"}")));
			if (r->status != STORE_NOT_FOUND && r->status != STORE_INVALID)
				fail_msg("%s '%s': %s", store_op_name(ops[k]), bad[i], store_status_name(r->status));
			store_result_free(r);
		}
	}
	/* Another project's number is none here. */
	help_do(s, TASK(STORE_TASK_GET, .item = S("1")), STORE_NOT_FOUND);
	help_do(s, TASK(STORE_TASK_PATCH, .item = S("1"), .body = S("{\"title\":\"x\"}")), STORE_NOT_FOUND);
	help_do(s, TASK(STORE_TASK_DELETE, .item = S("1")), STORE_NOT_FOUND);
	help_do(s, TASK(STORE_COMMENT_DELETE, .item = S("1")), STORE_NOT_FOUND);
	help_do(s, ASK(.op = STORE_TASK_GET, .project = S("proj-2"), .item = S("1")), STORE_OK);
}

static void task_bodies_refused(void **state)
{
	static const char *const bad[][2] = { /* body, what the sentence names */
		{ "{}", "title" }, { "{\"title\":\"\"}", "title" }, { "{\"title\":7}", "title" }, { "{\"title\":null}", "title" },
		{ "{\"title\":\"a\\nb\"}", "title" }, { "{\"title\":\"x\",\"status\":\"maybe\"}", "todo in_progress blocked done" },
		{ "{\"title\":\"x\",\"status\":null}", "status" }, { "{\"title\":\"x\",\"assignee_id\":7}", "assignee_id" },
		{ "{\"title\":\"x\",\"assignee_id\":\"cleo\"}", "no collaborator" }, { "{\"title\":\"x\",\"assignee_id\":\"nobody\"}", "no collaborator" },
		{ "{\"title\":\"x\",\"due_date\":\"2026-02-29\"}", "due_date" }, { "{\"title\":\"x\",\"due_date\":\"2026-13-01\"}", "due_date" },
		{ "{\"title\":\"x\",\"due_date\":\"2026-2-1\"}", "due_date" }, { "{\"title\":\"x\",\"due_date\":\"tomorrow\"}", "due_date" },
		{ "{\"title\":\"x\",\"due_date\":\"2100-02-29\"}", "due_date" }, { "{\"title\":\"x\",\"due_date\":20260201}", "due_date" },
		{ "{\"title\":\"x\",\"due_date\":\"2026-02-01T00:00:00Z\"}", "due_date" }, { "{\"title\":\"x\",\"due_date\":\"0000-01-01\"}", "due_date" },
		{ "{\"title\":\"x\",\"due_date\":\"2026-00-10\"}", "due_date" }, { "{\"title\":\"x\",\"due_date\":\"2026-01-00\"}", "due_date" },
		{ "{\"title\":\"x\",\"position\":-1}", "position" }, { "{\"title\":\"x\",\"position\":1.5}", "position" },
		{ "{\"title\":\"x\",\"position\":\"1\"}", "position" }, { "{\"title\":\"x\",\"position\":9007199254740992}", "position" },
		{ "{\"title\":\"x\",\"position\":null}", "position" }, { "{\"title\":\"x\",\"item_id\":\"none\"}", "no BoQ item 'none'" },
		{ "{\"title\":\"x\",\"item_id\":\"theirs\"}", "no BoQ item 'theirs'" }, { "{\"title\":\"x\",\"item_id\":{}}", "item_id" },
		{ "{\"title\":\"x\",\"colour\":\"red\"}", "colour" }, { "{\"title\":\"x\",\"title\":\"y\"}", "twice" }, { "[]", "object" },
		{ "{\"title\":\"x\"", "object" },
	};
	struct store *s = *state;
	struct store_result *r;

	help_do(s, TASK(STORE_TASK_ADD, .body = S("{\"title\":\"There\"}")), STORE_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		r = help_run(s, TASK(STORE_TASK_ADD, .body = S(bad[i][0])), STORE_INVALID);
		assert_has(S(r->error), bad[i][1]);
		assert_int_equal(r->seq, 0);
		store_result_free(r);
		if (i > 0)
			help_do(s, TASK(STORE_TASK_PATCH, .item = S("2"), .body = S(bad[i][0])), STORE_INVALID);
	}
	help_do(s, TASK(STORE_TASK_PATCH, .item = S("2"), .body = S("{}")), STORE_INVALID);
	r = help_run(s, TASK(STORE_TASK_LIST), STORE_OK);
	assert_int_equal(r->rows_n, 1);
	assert_has(r->json, "\"title\":\"There\"");
	assert_has(r->json, "\"version\":1");
	store_result_free(r);
	r = help_run(s, TASK(STORE_TASK_ADD, .body = S("{\"title\":\"x\",\"due_date\":\"2000-02-29\",\"position\":9007199254740991}")), STORE_OK);
	store_result_free(r);
	/* Behind the last place there is the last place. */
	r = help_run(s, TASK(STORE_TASK_ADD, .body = S("{\"title\":\"y\",\"due_date\":\"\",\"assignee_id\":\"\"}")), STORE_OK);
	assert_has(r->json, "\"assignee_id\":null,\"due_date\":null,\"position\":9007199254740991");
	store_result_free(r);
}

static void task_assignees(void **state)
{
	struct store *s = *state;
	struct store_result *r;

	r = help_run(s, TASK(STORE_TASK_ADD, .body = S("{\"title\":\"Pour \\\"B3\\\"\",\"assignee_id\":\"ben\"}")), STORE_OK);
	assert_int_equal(r->notices_n, 1);
	assert_text(r->notices[0].user, "ben");
	assert_text(r->notices[0].data, "{\"message\":\"Anna assigned you a task: Pour \\\"B3\\\"\",\"kind\":\"task_assigned\","
					"\"project_id\":\"proj-1\",\"task_id\":2,\"actor_id\":\"anna\",\"id\":1}");
	store_result_free(r);
	/* The same one again is no news, nor is another field; nobody and somebody again is. */
	r = help_run(s, TASK(STORE_TASK_PATCH, .item = S("2"), .body = S("{\"assignee_id\":\"ben\",\"status\":\"done\"}")), STORE_OK);
	assert_int_equal(r->notices_n, 0);
	store_result_free(r);
	help_do(s, TASK(STORE_TASK_PATCH, .item = S("2"), .body = S("{\"assignee_id\":null}")), STORE_OK);
	r = help_run(s, TASK(STORE_TASK_PATCH, .item = S("2"), .body = S("{\"assignee_id\":\"ben\"}")), STORE_OK);
	assert_int_equal(r->notices_n, 1);
	store_result_free(r);
	/* Taking a task oneself is no news to oneself. */
	r = help_run(s, TASK(STORE_TASK_PATCH, .item = S("2"), .body = S("{\"assignee_id\":\"anna\"}")), STORE_OK);
	assert_int_equal(r->notices_n, 0);
	store_result_free(r);
	/* One who has left keeps what is his, but gets nothing new. */
	help_do(s, TASK(STORE_TASK_PATCH, .item = S("2"), .body = S("{\"assignee_id\":\"ben\"}")), STORE_OK);
	help_do(s, ASK(.op = STORE_COLLAB_DELETE, .project = S("proj-1"), .user = S("ben"), .actor = S("anna")), STORE_OK);
	help_do(s, TASK(STORE_TASK_PATCH, .item = S("2"), .body = S("{\"assignee_id\":\"ben\",\"status\":\"done\"}")), STORE_OK);
	help_do(s, TASK(STORE_TASK_ADD, .body = S("{\"title\":\"x\",\"assignee_id\":\"ben\"}")), STORE_INVALID);
	r = help_run(s, ASK(.op = STORE_NOTIFY_LIST, .user = S("ben")), STORE_OK);
	assert_int_equal(r->rows_n, 3);
	assert_int_equal(r->unread, 3);
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_EVENT_LIST, .project = S("user:ben")), STORE_OK);
	assert_int_equal(r->rows_n, 3);
	assert_has(r->json, "\"type\":\"notification:new\",\"data\":{\"message\":\"Anna assigned");
	store_result_free(r);
}

/* A request that fails, or that was answered before, tells nobody anything. */
static void nothing_told_in_vain(void **state)
{
	struct store *s = *state;
	struct store_ask ask = *TASK(STORE_TASK_ADD, .body = S("{\"title\":\"x\",\"assignee_id\":\"ben\"}"), .key = S("k"));
	struct store_result *r = help_run(s, &ask, STORE_OK);

	assert_int_equal(r->notices_n, 1);
	store_result_free(r);
	r = help_run(s, &ask, STORE_OK);
	assert_true(r->is_repeat);
	assert_int_equal(r->notices_n, 0);
	store_result_free(r);
	r = help_run(s, TASK(STORE_TASK_PATCH, .item = S("2"), .body = S("{\"assignee_id\":\"anna\"}"), .version = 9), STORE_CONFLICT);
	assert_int_equal(r->notices_n, 0);
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_NOTIFY_LIST, .user = S("ben")), STORE_OK);
	assert_int_equal(r->rows_n, 1);
	store_result_free(r);
}

static void task_pages(void **state)
{
	struct store *s = *state;
	char cursor[64] = "";
	int seen = 0;

	for (int i = 0; i < 7; i++)
		help_do(s, TASK(STORE_TASK_ADD, .body = S("{\"title\":\"x\"}")), STORE_OK);
	do {
		struct store_result *r = help_run(s, TASK(STORE_TASK_LIST, .limit = 3, .cursor = S(cursor)), STORE_OK);
		seen += (int)r->rows_n;
		snprintf(cursor, sizeof(cursor), "%.*s", (int)r->cursor.n, r->cursor.n ? r->cursor.p : "");
		store_result_free(r);
	} while (cursor[0]);
	assert_int_equal(seen, 7);
}

/* ---- comments ----------------------------------------------------------------- */

static void comment_life(void **state)
{
	struct store *s = *state;
	struct store_result *r;

	help_do(s, TASK(STORE_TASK_ADD, .body = S("{\"title\":\"x\"}")), STORE_OK);
	r = help_run(s, ASK(.op = STORE_COMMENT_ADD, .project = S("proj-1"), .actor = S("ben"),
			    .body = S("{\"text\":\"Great work!\\n2\",\"item_id\":\"a\"}")), STORE_OK);
	assert_text(r->event_type, "comment:created");
	assert_text(r->event, "{\"project_id\":\"proj-1\",\"comment_id\":1,\"comment\":{\"comment_id\":1,\"text\":\"Great work!\\n2\","
			      "\"author_id\":\"ben\",\"item_id\":\"a\",\"task_id\":null,\"created_at\":\"2026-02-25T06:13:20.000Z\"},\"seq\":4}");
	store_result_free(r);
	help_do(s, TASK(STORE_COMMENT_ADD, .body = S("{\"text\":\"two\",\"task_id\":2}")), STORE_OK);
	help_do(s, TASK(STORE_COMMENT_ADD, .body = S("{\"text\":\"three\"}")), STORE_OK);
	r = help_run(s, TASK(STORE_COMMENT_LIST), STORE_OK);
	assert_int_equal(r->rows_n, 3);
	store_result_free(r);
	r = help_run(s, TASK(STORE_COMMENT_LIST, .item = S("a")), STORE_OK);
	assert_int_equal(r->rows_n, 1);
	assert_has(r->json, "Great work");
	store_result_free(r);
	r = help_run(s, TASK(STORE_COMMENT_LIST, .task = 2), STORE_OK);
	assert_int_equal(r->rows_n, 1);
	assert_has(r->json, "\"text\":\"two\",\"author_id\":\"anna\",\"item_id\":null,\"task_id\":2,");
	store_result_free(r);
	r = help_run(s, TASK(STORE_COMMENT_LIST, .task = 99), STORE_OK);
	assert_int_equal(r->rows_n, 0);
	store_result_free(r);
	/* What was talked about goes, the talk stays. */
	help_do(s, TASK(STORE_BOQ_DELETE, .item = S("a")), STORE_OK);
	help_do(s, TASK(STORE_TASK_DELETE, .item = S("2")), STORE_OK);
	help_do(s, TASK(STORE_COMMENT_GET, .item = S("1")), STORE_OK);
	r = help_run(s, TASK(STORE_COMMENT_DELETE, .item = S("1")), STORE_OK);
	assert_text(r->event, "{\"project_id\":\"proj-1\",\"comment_id\":1,\"updated_by\":\"anna\",\"seq\":9}");
	store_result_free(r);
	help_do(s, TASK(STORE_COMMENT_GET, .item = S("1")), STORE_NOT_FOUND);
}

static void comment_bodies_refused(void **state)
{
	static const char *const bad[][2] = {
		{ "{}", "text" }, { "{\"text\":\"\"}", "text" }, { "{\"text\":7}", "text" }, { "{\"text\":\"\\u0000\"}", "text" },
		{ "{\"text\":\"\\u0007\"}", "text" }, { "{\"text\":\"x\",\"item_id\":\"theirs\"}", "no BoQ item" },
		{ "{\"text\":\"x\",\"task_id\":1}", "no task 1" }, { "{\"text\":\"x\",\"task_id\":\"2\"}", "task_id" },
		{ "{\"text\":\"x\",\"task_id\":2.5}", "task_id" }, { "{\"text\":\"x\",\"task_id\":-2}", "task_id" },
		{ "{\"text\":\"x\",\"task_id\":2,\"item_id\":\"a\"}", "one target" }, { "{\"text\":\"x\",\"author\":\"ben\"}", "author" },
		{ "{\"text\":\"x\",\"text\":\"y\"}", "twice" },
	};
	struct store *s = *state;
	static char big[12000];
	struct store_result *r;

	help_do(s, TASK(STORE_TASK_ADD, .body = S("{\"title\":\"x\"}")), STORE_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		r = help_run(s, TASK(STORE_COMMENT_ADD, .body = S(bad[i][0])), STORE_INVALID);
		assert_has(S(r->error), bad[i][1]);
		store_result_free(r);
	}
	snprintf(big, sizeof(big), "{\"text\":\"%010001d\"}", 0);
	help_do(s, TASK(STORE_COMMENT_ADD, .body = S(big)), STORE_INVALID);
	snprintf(big, sizeof(big), "{\"text\":\"%010000d\",\"task_id\":null,\"item_id\":null}", 0);
	help_do(s, TASK(STORE_COMMENT_ADD, .body = S(big)), STORE_OK);
	help_do(s, ASK(.op = STORE_COMMENT_ADD, .project = S("none"), .body = S("{\"text\":\"x\"}")), STORE_NOT_FOUND);
	/* The author is who asks, whatever the body says. */
	r = help_run(s, TASK(STORE_COMMENT_ADD, .body = S("{\"text\":\"x\",\"author_id\":\"ben\",\"comment_id\":77}")), STORE_OK);
	assert_has(r->json, "\"author_id\":\"anna\"");
	store_result_free(r);
}

/* ---- mentions ----------------------------------------------------------------- */

static void mention_runs(void **state)
{
	static const struct {
		const char *text, *runs; /* each run, and its shorter forms behind '>' */
	} cases[] = {
		{ "", "" }, { "no one", "" }, { "@", "" }, { "@@", "" }, { "@ anna", "" }, { "@anna", "anna " }, { "hi @anna, @ben!", "anna ben " },
		{ "(@anna)", "anna " }, { "@anna.", "anna.>anna " }, { "@anna.:|", "anna.:|>anna.:>anna.>anna " }, { "mail anna@example.com", "" },
		{ "@anna@example.com", "anna@example.com " }, { "@@anna", "anna " }, { "x_@anna", "" }, { "9@anna", "" }, { "é@anna", "anna " },
		{ "@anna's", "anna " }, { "@-anna", "" }, { "@a@b @c", "a@b c " }, { "@auth0|12ab", "auth0|12ab " }, { "@a.", "a.>a " },
		{ "done.@anna", "anna " }, { "@anna\n@ben", "anna ben " }, { "@änna", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = strlen(cases[i].text);
		char *exact = malloc(n ? n : 1), got[256] = ""; /* the sanitizer sees a byte too far */
		memcpy(exact, cases[i].text, n);
		sio_slice text = sio_bytes(exact, n), rest = text, run;
		while (mention_next(text, &rest, &run)) {
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%.*s", (int)run.n, run.p);
			while (mention_shorten(&run))
				snprintf(got + strlen(got), sizeof(got) - strlen(got), ">%.*s", (int)run.n, run.p);
			strcat(got, " ");
		}
		free(exact);
		assert_string_equal(got, cases[i].runs);
	}
}

static void mentions(void **state)
{
	static const struct {
		const char *text, *who;
	} cases[] = {
		{ "nobody", "" }, { "@ben look", "ben " }, { "@ben @ben, @ben: (@ben)", "ben " }, { "@anna is the author", "" },
		{ "@cleo is no collaborator, @nobody neither", "" }, { "@dora|2: and @ben.", "dora|2 ben " }, { "x@ben", "" }, { "@Ben", "" },
		{ "@benedict", "" }, { "@ben_", "ben " }, { "@anna @ben", "ben " },
	};
	struct store *s = *state;

	help_do(s, ASK(.op = STORE_USER_ADD, .user = S("dora|2"), .body = S("{\"name\":\"Dora\"}")), STORE_OK);
	help_do(s, ASK(.op = STORE_COLLAB_PUT, .project = S("proj-1"), .user = S("dora|2"), .actor = S("anna"),
		       .body = S("{\"role\":\"viewer\"}")), STORE_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char body[256], got[128] = "";
		struct store_result *r;
		snprintf(body, sizeof(body), "{\"text\":\"%s\",\"item_id\":\"a\"}", cases[i].text);
		r = help_run(s, TASK(STORE_COMMENT_ADD, .body = S(body)), STORE_OK);
		for (size_t k = 0; k < r->notices_n; k++) {
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%.*s ", (int)r->notices[k].user.n, r->notices[k].user.p);
			assert_has(r->notices[k].data, "{\"message\":\"Anna mentioned you: ");
			assert_has(r->notices[k].data, "\"kind\":\"mention\",\"project_id\":\"proj-1\",\"comment_id\":");
			assert_has(r->notices[k].data, ",\"item_id\":\"a\",\"actor_id\":\"anna\",\"id\":");
		}
		store_result_free(r);
		assert_string_equal(got, cases[i].who);
	}
}

/* Sixty are named, fifty hear of it; a text of nothing but '@' does no harm. */
static void mentions_bounded(void **state)
{
	struct store *s = *state;
	struct store_result *r;
	static char body[12000];
	size_t n;

	n = (size_t)snprintf(body, sizeof(body), "{\"text\":\"");
	for (int i = 0; i < 60; i++) {
		char user[16];
		snprintf(user, sizeof(user), "u%d", i);
		help_do(s, ASK(.op = STORE_USER_ENSURE, .user = S(user)), STORE_OK);
		help_do(s, ASK(.op = STORE_COLLAB_PUT, .project = S("proj-1"), .user = S(user), .actor = S("anna"),
			       .body = S("{\"role\":\"viewer\"}")), STORE_OK);
		n += (size_t)snprintf(body + n, sizeof(body) - n, "@%s ", user);
	}
	snprintf(body + n, sizeof(body) - n, "\"}");
	r = help_run(s, TASK(STORE_COMMENT_ADD, .body = S(body)), STORE_OK);
	assert_int_equal(r->notices_n, STORE_MENTIONS_MAX);
	/* The message is a piece of the text, cut between characters. */
	assert_has(r->notices[0].data, "…\",\"kind\"");
	store_result_free(r);
	n = (size_t)snprintf(body, sizeof(body), "{\"text\":\"");
	while (n < 9900)
		n += (size_t)snprintf(body + n, sizeof(body) - n, "@x ");
	snprintf(body + n, sizeof(body) - n, "@u1\"}");
	r = help_run(s, TASK(STORE_COMMENT_ADD, .body = S(body)), STORE_OK);
	assert_int_equal(r->notices_n, 0); /* the look-ups are bounded too */
	store_result_free(r);
	snprintf(body, sizeof(body), "{\"text\":\"%0158dé%0100d @u1\"}", 0, 0);
	r = help_run(s, TASK(STORE_COMMENT_ADD, .body = S(body)), STORE_OK);
	assert_int_equal(r->notices_n, 1);
	store_result_free(r);
	for (int pad = 150; pad < 165; pad++) { /* wherever the cut falls, it is UTF-8 */
		snprintf(body, sizeof(body), "{\"text\":\"%0*d😀é€😀é€😀 @u1\"}", pad, 0);
		r = help_run(s, TASK(STORE_COMMENT_ADD, .body = S(body)), STORE_OK);
		assert_int_equal(r->notices_n, 1);
		help_do(s, ASK(.op = STORE_NOTIFY_ADD, .user = S("x"), .body = r->notices[0].data), STORE_OK);
		store_result_free(r);
	}
}

/* ---- notifications -------------------------------------------------------------- */

static void notifications(void **state)
{
	struct store *s = *state;
	struct store_result *r;

	r = help_run(s, ASK(.op = STORE_NOTIFY_ADD, .user = S("user-789"), .body = S("{\"message\":\"You were assigned a task\"}")), STORE_OK);
	assert_text(r->event, "{\"message\":\"You were assigned a task\",\"id\":1}");
	assert_text(r->event_type, "notification:new");
	assert_has(r->json, "{\"id\":1,\"data\":{\"message\":\"You were assigned a task\",\"id\":1},\"created_at\":");
	assert_int_equal(r->version, 1);
	assert_int_equal(r->seq, 1);
	store_result_free(r);
	/* What is no object stays as it is; an id of its own stays too. */
	r = help_run(s, ASK(.op = STORE_NOTIFY_ADD, .user = S("user-789"), .body = S("[2]")), STORE_OK);
	assert_text(r->event, "[2]");
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_NOTIFY_ADD, .user = S("user-789"), .body = S("{\"\\u0069d\":\"x\"}")), STORE_OK);
	assert_text(r->event, "{\"\\u0069d\":\"x\",\"notification_id\":3}");
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_NOTIFY_ADD, .user = S("user-789"), .body = S(" { } ")), STORE_OK);
	assert_text(r->event, " { \"id\":4}");
	store_result_free(r);
	help_do(s, ASK(.op = STORE_NOTIFY_ADD, .user = S("user-789"), .body = S("{")), STORE_INVALID);
	r = help_run(s, ASK(.op = STORE_NOTIFY_LIST, .user = S("user-789"), .limit = 3), STORE_OK);
	assert_has(r->json, "[{\"id\":4,\"data\": { \"id\":4},\"created_at\":");
	assert_has(r->json, "\"read_at\":null");
	assert_int_equal(r->unread, 4);
	assert_true(r->cursor.n > 0);
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_NOTIFY_READ, .user = S("user-789"), .item = S("1")), STORE_OK);
	assert_has(r->json, "\"read_at\":\"2026-02-25T06:13:20.000Z\"");
	store_result_free(r);
	help_now_ms += 1000;
	r = help_run(s, ASK(.op = STORE_NOTIFY_READ, .user = S("user-789"), .item = S("1")), STORE_OK);
	assert_has(r->json, "\"read_at\":\"2026-02-25T06:13:20.000Z\""); /* the first time counts */
	store_result_free(r);
	help_now_ms -= 1000;
	help_do(s, ASK(.op = STORE_NOTIFY_READ, .user = S("another"), .item = S("1")), STORE_NOT_FOUND);
	help_do(s, ASK(.op = STORE_NOTIFY_READ, .user = S("user-789"), .item = S("x")), STORE_NOT_FOUND);
	r = help_run(s, ASK(.op = STORE_NOTIFY_LIST, .user = S("user-789"), .is_unread = true), STORE_OK);
	assert_int_equal(r->rows_n, 3);
	assert_int_equal(r->unread, 3);
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_NOTIFY_READ_ALL, .user = S("user-789"), .after = 3), STORE_OK);
	assert_text(r->json, "{\"read\":2,\"unread\":1}");
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_NOTIFY_READ_ALL, .user = S("another")), STORE_OK);
	assert_text(r->json, "{\"read\":0,\"unread\":0}");
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_NOTIFY_READ_ALL, .user = S("user-789")), STORE_OK);
	assert_text(r->json, "{\"read\":1,\"unread\":0}");
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_EVENT_LIST, .project = S("user:user-789")), STORE_OK);
	assert_int_equal(r->rows_n, 4);
	assert_int_equal(r->seq, 4);
	store_result_free(r);
}

static void full_inbox(void **state)
{
	struct store *s = *state;
	struct store_result *r;

	for (int i = 0; i < STORE_INBOX_MAX + 5; i++)
		help_do(s, ASK(.op = STORE_NOTIFY_ADD, .user = S("u"), .body = S("{}")), STORE_OK);
	help_do(s, ASK(.op = STORE_NOTIFY_ADD, .user = S("other"), .body = S("{}")), STORE_OK);
	r = help_run(s, ASK(.op = STORE_NOTIFY_LIST, .user = S("u"), .limit = 1000), STORE_OK);
	assert_int_equal(r->unread, STORE_INBOX_MAX);
	assert_int_equal(r->rows_n, STORE_INBOX_MAX);
	assert_has(r->json, "{\"id\":1005,");
	assert_false(help_has(r->json, "{\"id\":5,"));
	store_result_free(r);
}

int main(void)
{
	const struct help_test tests[] = {
		HELP_TEST(HELP_ALL, task_life, setup, teardown),
		HELP_TEST(HELP_ALL, number_ids, setup, teardown),
		HELP_TEST(HELP_ALL, task_bodies_refused, setup, teardown),
		HELP_TEST(HELP_ALL, task_assignees, setup, teardown),
		HELP_TEST(HELP_ALL, nothing_told_in_vain, setup, teardown),
		HELP_TEST(HELP_ALL, task_pages, setup, teardown),
		HELP_TEST(HELP_ALL, comment_life, setup, teardown),
		HELP_TEST(HELP_ALL, comment_bodies_refused, setup, teardown),
		HELP_TEST(HELP_SQLITE, mention_runs, NULL, NULL),
		HELP_TEST(HELP_ALL, mentions, setup, teardown),
		HELP_TEST(HELP_ALL, mentions_bounded, setup, teardown),
		HELP_TEST(HELP_ALL, notifications, setup, teardown),
		HELP_TEST(HELP_ALL, full_inbox, setup, teardown),
	};

	return help_main(tests, sizeof(tests) / sizeof(tests[0]));
}
