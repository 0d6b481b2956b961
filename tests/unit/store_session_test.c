/* store_session_test.c -- sessions in the store: who may resume one, what it has missed,
 * and when that cannot be said any more.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "unit/store_help.h"

#include <sqlite3.h>

enum { WINDOW_MS = 120000, LEASE_MS = 60000, DAY_MS = 24 * 3600 * 1000 };

#define BODY "{\"window_ms\":120000,\"bytes_max\":100000,\"projects\":[\"proj-1\",\"proj-3\",7]}"

static int setup(void **state)
{
	struct store *store;

	help_folder_make();
	store = help_open();
	help_fill(store);
	help_do(store, ASK(.op = STORE_PROJECT_ADD, .project = S("proj-2"), .user = S("ben"), .body = S("{\"name\":\"Two\"}")), STORE_OK);
	help_do(store, ASK(.op = STORE_PROJECT_ADD, .project = S("proj-3"), .user = S("ben"), .body = S("{\"name\":\"Three\"}")), STORE_OK);
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

/* Returns the position.  except: the sid that it is not for; "": none. */
static int64_t append_except(struct store *s, const char *stream, const char *except)
{
	struct store_result *r = help_run(s, ASK(.op = STORE_EVENT_APPEND, .project = S(stream), .event = S("x"), .body = S("{}"),
						 .except_sid = S(except)), STORE_OK);
	int64_t position = r->position;

	assert_true(position > 0);
	store_result_free(r);
	return position;
}

static int64_t append(struct store *s, const char *stream)
{
	return append_except(s, stream, "");
}

static struct store_result *open_session(struct store *s, const char *pid)
{
	return help_run(s, ASK(.op = STORE_SESSION_OPEN, .user = S("ben"), .actor = S("A"), .item = S(pid), .after = WINDOW_MS,
			       .body = S("{\"sid\":\"s\",\"projects\":[\"proj-1\",\"nowhere\",\"\",5]}")), STORE_OK);
}

static const char *resumer = "A"; /* the server that the client has come to */

static struct store_result *resume(struct store *s, const char *user, const char *pid, int64_t seen, uint32_t limit, const char *body)
{
	struct store_result *r = store_run(s, ASK(.op = STORE_SESSION_RESUME, .user = S(user), .actor = S(resumer), .item = S(pid), .after = seen,
						  .limit = limit, .body = S(body)));

	assert_non_null(r);
	return r;
}

static void refused(struct store *s, const char *user, const char *pid, int64_t seen, uint32_t limit, const char *reason)
{
	struct store_result *r = resume(s, user, pid, seen, limit, BODY);
	char want[64];

	assert_int_equal(r->status, STORE_REFUSED);
	snprintf(want, sizeof(want), "{\"reason\":\"%s\"}", reason);
	assert_text(r->json, want);
	store_result_free(r);
}

/* The numbers of the events, as "stream:seq " each. */
static void events_are(struct store *s, int64_t seen, const char *want)
{
	struct store_result *r = resume(s, "ben", "pid", seen, 100, "{\"window_ms\":120000,\"bytes_max\":100000}");
	char *json = strndup(r->json.p, r->json.n), text[1000] = "";
	const char *at;

	if (r->status != STORE_OK)
		fail_msg("%s", r->error);
	for (at = json; (at = strstr(at, "\"stream\":\"")); at++) {
		const char *seq = strstr(at, "\"seq\":");
		sprintf(text + strlen(text), "%.*s:%d ", (int)strcspn(at + 10, "\""), at + 10, atoi(seq + 6));
	}
	assert_string_equal(text, want);
	free(json);
	store_result_free(r);
}

static void what_was_missed(void **state)
{
	struct store *s = *state;
	struct store_result *r;
	int64_t heard;

	append(s, "proj-1"); /* before its time */
	append(s, "user:ben");
	r = open_session(s, "pid");
	assert_has(r->json, "[{\"project_id\":\"proj-1\",\"role\":\"editor\",\"seq\":");
	assert_int_equal(r->rows_n, 1);
	store_result_free(r);
	events_are(s, 0, "");
	append(s, "proj-1");
	append(s, "proj-2"); /* not joined yet */
	r = help_run(s, ASK(.op = STORE_SESSION_JOIN, .actor = S("A"), .project = S("proj-2"), .user = S("ben"), .item = S("pid")), STORE_OK);
	assert_string_equal(r->role, "owner");
	assert_int_equal(r->seq, 1);
	store_result_free(r);
	heard = append(s, "user:ben");
	append(s, "proj-2");
	append(s, "user:anna");
	append(s, "proj-3");
	append(s, "proj-1");
	append(s, "user:ben");
	/* One that never heard anything gets all since it came into each. */
	events_are(s, 0, "proj-1:3 user:ben:2 proj-2:2 proj-1:4 user:ben:3 ");
	events_are(s, heard, "proj-2:2 proj-1:4 user:ben:3 ");
	events_are(s, heard, "proj-2:2 proj-1:4 user:ben:3 "); /* nothing was changed by asking */
	help_do(s, ASK(.op = STORE_SESSION_LEAVE, .actor = S("A"), .project = S("proj-2"), .item = S("pid")), STORE_OK);
	events_are(s, heard, "proj-1:4 user:ben:3 ");
	/* Joined again: what came meanwhile is not its own. */
	append(s, "proj-2");
	help_do(s, ASK(.op = STORE_SESSION_JOIN, .actor = S("A"), .project = S("proj-2"), .user = S("ben"), .item = S("pid")), STORE_OK);
	append(s, "proj-2");
	events_are(s, heard, "proj-1:4 user:ben:3 proj-2:4 ");
}

/* What was not for this session is not for it when it comes back. */
static void what_was_not_for_it(void **state)
{
	struct store *s = *state;
	int64_t heard;

	append(s, "proj-1");
	store_result_free(open_session(s, "pid")); /* its sid is "s" */
	heard = append(s, "proj-1");
	append_except(s, "proj-1", "s");
	append_except(s, "proj-1", "other");
	append_except(s, "user:ben", "s");
	append(s, "proj-1");
	append_except(s, "proj-1", "s");
	events_are(s, 0, "proj-1:3 proj-1:5 proj-1:6 ");
	events_are(s, heard, "proj-1:5 proj-1:6 ");
}

static void rooms_and_roles(void **state)
{
	struct store *s = *state;
	struct store_result *r;

	store_result_free(open_session(s, "pid"));
	help_do(s, ASK(.op = STORE_SESSION_STATE, .actor = S("A"), .project = S("proj-1"), .item = S("pid"), .body = S("{\"row\":3}")), STORE_OK);
	help_do(s, ASK(.op = STORE_SESSION_STATE, .actor = S("A"), .project = S("proj-1"), .item = S("pid"), .body = S("{")), STORE_INVALID);
	r = resume(s, "ben", "pid", 0, 10, BODY);
	assert_has(r->json, "{\"sid\":\"s\",\"node\":\"A\",\"rooms\":[{\"project_id\":\"proj-1\",\"role\":\"editor\",\"seq\":1,\"was_joined\":true,"
			    "\"state\":{\"row\":3}},{\"project_id\":\"proj-3\",\"role\":\"owner\",\"seq\":0,\"was_joined\":false,\"state\":null}]");
	store_result_free(r);
	append(s, "proj-1");
	help_do(s, ASK(.op = STORE_COLLAB_DELETE, .project = S("proj-1"), .user = S("ben"), .actor = S("anna")), STORE_OK);
	r = resume(s, "ben", "pid", 0, 10, BODY);
	assert_has(r->json, "{\"project_id\":\"proj-1\",\"role\":\"\",\"seq\":3,\"was_joined\":true,");
	assert_has(r->json, "{\"project_id\":\"proj-3\",\"role\":\"owner\",\"seq\":0,\"was_joined\":true,"); /* since the last time */
	assert_has(r->json, "\"events\":[]}"); /* not even what came before */
	store_result_free(r);
	r = resume(s, "ben", "pid", 0, 10, "{\"window_ms\":1000,\"bytes_max\":1}");
	assert_false(help_has(r->json, "proj-1"));
	store_result_free(r);
	help_do(s, ASK(.op = STORE_SESSION_JOIN, .actor = S("A"), .project = S("proj-1"), .user = S("ben"), .item = S("pid")), STORE_OK);
	help_do(s, ASK(.op = STORE_SESSION_JOIN, .actor = S("A"), .project = S("none"), .user = S("ben"), .item = S("pid")), STORE_NOT_FOUND);
	help_do(s, ASK(.op = STORE_SESSION_JOIN, .actor = S("A"), .project = S("proj-3"), .user = S("ben"), .item = S("unknown")), STORE_OK);
}

/* Who was put out hears it when it comes back, once, whatever its role is by then. */
static void put_out(void **state)
{
	struct store *s = *state;
	struct store_result *r;

	store_result_free(open_session(s, "pid"));
	help_do(s, ASK(.op = STORE_SESSION_LEAVE, .actor = S("A"), .project = S("proj-1"), .item = S("pid"), .body = S("true")), STORE_OK);
	append(s, "proj-1");
	r = resume(s, "ben", "pid", 0, 10, BODY);
	assert_has(r->json, "\"rooms\":[{\"project_id\":\"proj-1\",\"role\":\"\",\"seq\":2,\"was_joined\":true,");
	assert_has(r->json, "\"events\":[]}");
	store_result_free(r);
	r = resume(s, "ben", "pid", 0, 10, "{\"window_ms\":1000,\"bytes_max\":1}");
	assert_false(help_has(r->json, "proj-1"));
	store_result_free(r);
	/* Let in again, it has never been out. */
	help_do(s, ASK(.op = STORE_SESSION_JOIN, .actor = S("A"), .project = S("proj-1"), .user = S("ben"), .item = S("pid")), STORE_OK);
	help_do(s, ASK(.op = STORE_SESSION_LEAVE, .actor = S("A"), .project = S("proj-1"), .item = S("pid"), .body = S("true")), STORE_OK);
	help_do(s, ASK(.op = STORE_SESSION_JOIN, .actor = S("A"), .project = S("proj-1"), .user = S("ben"), .item = S("pid")), STORE_OK);
	append(s, "proj-1");
	events_are(s, 0, "proj-1:3 ");
}

static void refusals(void **state)
{
	struct store *s = *state;
	int64_t last;

	store_result_free(open_session(s, "pid"));
	last = append(s, "proj-1");
	refused(s, "ben", "other", 0, 10, "unknown");
	refused(s, "anna", "pid", 0, 10, "foreign");
	refused(s, "ben", "pid", last + 1, 10, "offset");
	append(s, "user:ben");
	refused(s, "ben", "pid", 0, 1, "too_many");
	help_do(s, ASK(.op = STORE_SESSION_RESUME, .user = S("ben"), .item = S("pid"), .limit = 1, .body = S("{}")), STORE_INVALID);
	store_result_free(resume(s, "ben", "pid", last, 1, BODY));
	/* Its window runs from the loss, not before. */
	help_now_ms += 10 * WINDOW_MS;
	events_are(s, last, "user:ben:1 ");
	help_do(s, ASK(.op = STORE_SESSION_LEFT, .actor = S("A"), .item = S("pid"), .after = WINDOW_MS), STORE_OK);
	help_now_ms += WINDOW_MS;
	events_are(s, last, "user:ben:1 ");
	help_do(s, ASK(.op = STORE_SESSION_LEFT, .actor = S("A"), .item = S("pid"), .after = WINDOW_MS), STORE_OK);
	help_now_ms += WINDOW_MS + 1;
	refused(s, "ben", "pid", last, 10, "expired");
	help_do(s, ASK(.op = STORE_SESSION_OPEN, .user = S("ben"), .item = S("x"), .after = WINDOW_MS, .body = S("{}")), STORE_INVALID);
	store_result_free(open_session(s, "next")); /* takes it away */
	refused(s, "ben", "pid", last, 10, "unknown");
	help_do(s, ASK(.op = STORE_SESSION_END, .actor = S("A"), .item = S("next")), STORE_OK);
	refused(s, "ben", "next", 0, 10, "unknown");
}

static void too_many_bytes(void **state)
{
	struct store *s = *state;
	struct store_result *r;

	store_result_free(open_session(s, "pid"));
	for (int i = 0; i < 5; i++)
		append(s, "proj-1");
	r = resume(s, "ben", "pid", 0, 100, "{\"window_ms\":1000,\"bytes_max\":150}");
	assert_text(r->json, "{\"reason\":\"too_many\"}");
	store_result_free(r);
	r = resume(s, "ben", "pid", 0, 100, "{\"window_ms\":1000,\"bytes_max\":15000}");
	assert_int_equal(r->status, STORE_OK);
	store_result_free(r);
}

static void beat(struct store *s, const char *server)
{
	help_do(s, ASK(.op = STORE_SESSION_BEAT, .item = S(server), .after = LEASE_MS), STORE_OK);
}

/* The server was killed: nobody said that its clients had gone. */
static void after_a_restart(void **state)
{
	struct store *s = *state;

	beat(s, "A");
	store_result_free(open_session(s, "pid"));
	store_close(s);
	help_now_ms += DAY_MS;
	*state = s = help_open();
	append(s, "proj-1");
	beat(s, "B");
	help_now_ms += WINDOW_MS;
	resumer = "B";
	events_are(s, 0, "proj-1:2 ");
	help_do(s, ASK(.op = STORE_SESSION_LEFT, .actor = S("B"), .item = S("pid"), .after = WINDOW_MS), STORE_OK);
	help_now_ms += WINDOW_MS + 1;
	refused(s, "ben", "pid", 0, 10, "expired");
	resumer = "A";
}

/* A server is there as long as it says so; another's clients are not its own. */
static void two_servers(void **state)
{
	struct store *s = *state;
	struct store_result *r;

	beat(s, "A");
	store_result_free(open_session(s, "pid"));
	for (int i = 0; i < 10; i++) { /* longer than the window */
		help_now_ms += LEASE_MS;
		beat(s, i % 2 ? "A" : "B");
		beat(s, i % 2 ? "B" : "A");
	}
	append(s, "proj-1");
	r = resume(s, "ben", "pid", 0, 10, BODY);
	assert_has(r->json, "\"node\":\"A\"");
	store_result_free(r);
	/* It goes to B; what A says of it does not count any more. */
	resumer = "B";
	r = resume(s, "ben", "pid", 0, 10, BODY);
	assert_has(r->json, "\"node\":\"A\"");
	store_result_free(r);
	help_do(s, ASK(.op = STORE_SESSION_LEFT, .actor = S("A"), .item = S("pid"), .after = WINDOW_MS), STORE_OK);
	help_do(s, ASK(.op = STORE_SESSION_END, .actor = S("A"), .item = S("pid")), STORE_OK);
	help_do(s, ASK(.op = STORE_SESSION_LEAVE, .actor = S("A"), .project = S("proj-1"), .item = S("pid")), STORE_OK);
	help_do(s, ASK(.op = STORE_SESSION_STATE, .actor = S("A"), .project = S("proj-1"), .item = S("pid"), .body = S("7")), STORE_OK);
	append(s, "proj-2");
	help_do(s, ASK(.op = STORE_SESSION_JOIN, .actor = S("A"), .project = S("proj-2"), .user = S("ben"), .item = S("pid")), STORE_OK);
	r = resume(s, "ben", "pid", 0, 10, BODY);
	assert_has(r->json, "\"rooms\":[{\"project_id\":\"proj-1\",\"role\":\"editor\",\"seq\":2,\"was_joined\":true,\"state\":null},"
			    "{\"project_id\":\"proj-3\"");
	assert_false(help_has(r->json, "proj-2"));
	store_result_free(r);
	help_now_ms += LEASE_MS;
	beat(s, "B");
	help_now_ms += LEASE_MS;
	beat(s, "B"); /* A is gone by now, and with it nobody */
	help_now_ms += WINDOW_MS;
	beat(s, "B");
	events_are(s, 0, "proj-1:2 ");
	/* B is killed.  The window runs from when A finds that out. */
	help_now_ms += LEASE_MS + 1;
	beat(s, "A");
	help_now_ms += WINDOW_MS;
	resumer = "A";
	r = resume(s, "ben", "pid", 0, 10, BODY);
	assert_int_equal(r->status, STORE_OK);
	assert_has(r->json, "\"node\":\"\""); /* it was left */
	store_result_free(r);
	beat(s, "B");
	help_now_ms += LEASE_MS + 1;
	beat(s, "B");
	help_now_ms += WINDOW_MS + 1;
	refused(s, "ben", "pid", 0, 10, "expired");
}

/* What is deleted was missed or was not; only who can be sure is resumed. */
static void retention(void **state)
{
	struct store_options options = { .url = help_url(), .clock_ms = help_clock, .events_keep_count = 3 };
	struct store *s = *state;
	char error[STORE_ERROR_MAX];
	int64_t heard = 0;

	store_result_free(open_session(s, "pid"));
	store_close(s);
	assert_int_equal(store_open(&options, &s, error), SIO_OK);
	*state = s;
	for (int i = 0; i < 6; i++)
		heard = i == 3 ? append(s, "proj-1") : (append(s, "proj-1"), heard); /* numbers 2 to 7; 5 was heard */
	while (store_sweep(s))
		;
	events_are(s, heard, "proj-1:6 proj-1:7 ");            /* 5 is there and says so */
	refused(s, "ben", "pid", 0, 10, "retention");
	append(s, "proj-1");
	while (store_sweep(s))
		;
	refused(s, "ben", "pid", heard, 10, "retention");      /* 5 is gone: nobody knows */
	/* Who came in behind it all has missed nothing. */
	help_do(s, ASK(.op = STORE_SESSION_JOIN, .actor = S("A"), .project = S("proj-1"), .user = S("ben"), .item = S("pid")), STORE_OK);
	events_are(s, 0, "");
}

/* A project that was deleted and made anew goes on counting. */
static void a_deleted_project(void **state)
{
	struct store *s = *state;

	store_result_free(open_session(s, "pid"));
	help_do(s, ASK(.op = STORE_PROJECT_DELETE, .project = S("proj-1"), .actor = S("anna")), STORE_OK);
	events_are(s, 0, ""); /* no role: no event of it */
	store_result_free(open_session(s, "pid2"));
	help_do(s, ASK(.op = STORE_PROJECT_ADD, .project = S("proj-1"), .user = S("ben"), .body = S("{\"name\":\"Again\"}")), STORE_OK);
	events_are(s, 0, "");
}

/* Positions grow over all streams, in the order of what one request tells. */
static void positions(void **state)
{
	struct store *s = *state;
	struct store_result *r;
	int64_t before = append(s, "proj-2");

	r = help_run(s, ASK(.op = STORE_COMMENT_ADD, .project = S("proj-1"), .actor = S("anna"), .body = S("{\"text\":\"@ben look\"}")), STORE_OK);
	assert_int_equal(r->position, before + 1);
	assert_int_equal(r->notices_n, 1);
	assert_int_equal(r->notices[0].position, before + 2);
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_NOTIFY_ADD, .user = S("ben"), .body = S("{}")), STORE_OK);
	assert_int_equal(r->position, before + 3);
	store_result_free(r);
	r = help_run(s, ASK(.op = STORE_BOQ_LIST, .project = S("proj-1")), STORE_OK);
	assert_int_equal(r->position, 0);
	store_result_free(r);
}

/* The database was away for all: the server that speaks first takes the others for gone, until they speak. */
static void an_outage_for_all(void **state)
{
	struct store *s = *state;
	struct store_result *r;

	beat(s, "A");
	beat(s, "B");
	store_result_free(open_session(s, "pid")); /* A's */
	store_result_free(open_session(s, "pid2"));
	help_do(s, ASK(.op = STORE_SESSION_LEFT, .actor = S("A"), .item = S("pid2"), .after = WINDOW_MS), STORE_OK); /* this one has left */
	help_now_ms += LEASE_MS + 1;
	beat(s, "B");
	beat(s, "A");
	for (int64_t ms = 0; ms <= WINDOW_MS; ms += LEASE_MS / 2) {
		help_now_ms += LEASE_MS / 2;
		beat(s, "B");
		beat(s, "A");
	}
	refused(s, "ben", "pid2", 0, 10, "expired");
	r = resume(s, "ben", "pid", 0, 10, BODY);
	assert_int_equal(r->status, STORE_OK);
	assert_has(r->json, "\"node\":\"A\"");
	store_result_free(r);
	/* One that is lost and comes back elsewhere is no more its first server's. */
	help_now_ms += LEASE_MS + 1;
	beat(s, "B");
	resumer = "B";
	store_result_free(resume(s, "ben", "pid", 0, 10, BODY));
	resumer = "A";
	help_do(s, ASK(.op = STORE_SESSION_LEFT, .actor = S("B"), .item = S("pid"), .after = WINDOW_MS), STORE_OK);
	beat(s, "A");
	help_now_ms += WINDOW_MS + 1;
	refused(s, "ben", "pid", 0, 10, "expired");
}

static void from_schema_2(void **state)
{
	struct store *s = *state;
	char path[128];
	sqlite3 *h;

	append(s, "proj-1");
	store_close(s);
	snprintf(path, sizeof(path), "%s/test.db", help_folder);
	assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
	assert_int_equal(sqlite3_exec(h, "DROP TABLE session_streams; DROP TABLE sessions; DROP TABLE nodes; "
					"ALTER TABLE events DROP COLUMN except_sid; DELETE FROM schema_version WHERE version >= 3",
				      NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(h);
	*state = s = help_open();
	store_result_free(open_session(s, "pid"));
	append(s, "proj-1");
	events_are(s, 0, "proj-1:3 ");
}

int main(void)
{
	const struct help_test tests[] = {
		HELP_TEST(HELP_ALL, what_was_missed, setup, teardown),
		HELP_TEST(HELP_ALL, what_was_not_for_it, setup, teardown),
		HELP_TEST(HELP_ALL, rooms_and_roles, setup, teardown),
		HELP_TEST(HELP_ALL, put_out, setup, teardown),
		HELP_TEST(HELP_ALL, refusals, setup, teardown),
		HELP_TEST(HELP_ALL, too_many_bytes, setup, teardown),
		HELP_TEST(HELP_KEPT, after_a_restart, setup, teardown),
		HELP_TEST(HELP_ALL, two_servers, setup, teardown),
		HELP_TEST(HELP_ALL, an_outage_for_all, setup, teardown),
		HELP_TEST(HELP_KEPT, retention, setup, teardown),
		HELP_TEST(HELP_ALL, a_deleted_project, setup, teardown),
		HELP_TEST(HELP_ALL, positions, setup, teardown),
		HELP_TEST(HELP_SQLITE, from_schema_2, setup, teardown),
	};

	return help_main(tests, sizeof(tests) / sizeof(tests[0]));
}
