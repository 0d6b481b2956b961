/* collab_history_test.c -- recovery as collab does it: which questions go to the store and when,
 * which events carry which offset, who is left out.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "unit/collab_fake.h"

#include "collab/client.h"

static int setup(void **state)
{
	(void)state;
	if (fake_setup(&(struct collab_options){ .presence_grace_ms = 1000, .recovery_window_ms = 120000 }) < 0)
		return -1;
	answer(STORE_SESSION_BEAT, STORE_OK, "", "");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_teardown();
	return 0;
}

#define PID "abcdefghij0123456789"
#define ROOM(id, role, seq, was) \
	"{\"project_id\":\"" id "\",\"role\":\"" role "\",\"seq\":" seq ",\"was_joined\":" was ",\"state\":null}"

static void ask(struct sio_connect *req, const char *more)
{
	*req = (struct sio_connect){ 0 };
	snprintf(req->auth, sizeof(req->auth), "{\"token\":\"anna\"%s}", more);
	server.on_connect(req, server.arg);
	if (store.asks_n > 0 && store.asks[0].op == STORE_USER_GET)
		answer(STORE_USER_GET, STORE_NOT_FOUND, "", "");
}

/* A client in p1, with a session. */
static struct sio_socket *come_tracked(int64_t seq)
{
	static struct sio_connect req; /* its bytes are looked at later */
	char rows[100];

	ask(&req, ",\"projects\":[\"p1\"]");
	snprintf(rows, sizeof(rows), "[{\"project_id\":\"p1\",\"role\":\"editor\",\"seq\":%d}]", (int)seq);
	assert_memory_equal(store.asks[0].body, "{\"sid\":\"sid-", 12);
	assert_non_null(strstr(store.asks[0].body, ",\"projects\":[\"p1\"]}"));
	assert_int_equal(store.asks[0].after, 120000);
	answer(STORE_SESSION_OPEN, STORE_OK, "", rows);
	assert_non_null(req.socket);
	expect_part(req.socket, "joined_project");
	return req.socket;
}

static char last_offset[SIO_OFFSET_MAX];

static void look_at_offset(void)
{
	server.history->next(server.history_self, last_offset);
}

/* Send event seq of p1; the offset that it carries. */
static const char *offset_of(int64_t seq, int64_t position)
{
	struct collab_emit emit = { .event = SIO_LIT("e"), .args = SIO_LIT("{}"), .position = position };

	last_offset[0] = '\0';
	server.on_broadcast = look_at_offset;
	collab_emit_durable(collab, SIO_LIT("p1"), seq, &emit);
	server.on_broadcast = NULL;
	return last_offset;
}

static void offsets(void **state)
{
	static const struct {
		const char *text;
		int64_t position; /* -1: none of ours */
	} cases[] = {
		{ "", 0 }, { "1", 1 }, { "12", 12 }, { "9223372036854775807", INT64_MAX }, { "0", -1 }, { "01", -1 }, { "-", -1 },
		{ "-5", -1 }, { "+5", -1 }, { " 5", -1 }, { "5 ", -1 }, { "5.0", -1 }, { "5e1", -1 }, { "9223372036854775808", -1 },
		{ "1111111111222222222233333333334444444444", -1 }, { "a", -1 }, { "Kj92ka.7", -1 },
	};
	int64_t position;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool is_good = history_position(sio_str(cases[i].text), &position);
		if (is_good != (cases[i].position >= 0) || (is_good && position != cases[i].position))
			fail_msg("'%s'", cases[i].text);
	}
}

static void which_clients(void **state)
{
	static const struct {
		const char *agent, *url, *wish;
		bool suits;
	} cases[] = {
		{ "", "/socket.io/?EIO=4&transport=websocket", "", true },
		{ "Mozilla/5.0", "/socket.io/?EIO=4&transport=polling&t=PxYz1.", "", true },
		{ "Mozilla/5.0", "/socket.io/?EIO=4&transport=polling&t=12345678", "", true },
		{ "python-requests/2.28", "/socket.io/?EIO=4", "", false },
		{ "Python/3.11 aiohttp/3.8", "/socket.io/?EIO=4", "", false },
		{ "", "/socket.io/?transport=websocket&EIO=4&t=1764248888.123", "", false },
		{ "", "/socket.io/?t=1764248888.1", "", false },
		{ "", "/socket.io/?EIO=4&at=1764248888.1", "", true },
		{ "", "/socket.io/?EIO=4&t=", "", true },
		{ "", "/socket.io/?EIO=4&t=.5", "", true },
		{ "python-requests/2.28", "/", "true", true },
		{ "Mozilla/5.0", "/", "false", false },
		{ "Mozilla/5.0", "/", "\"no\"", true },
		{ "Mozilla/5.0", "/", "null", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sio_connect req = { 0 };
		struct sio_json_field wish = { .value = sio_str(cases[i].wish), .type = sio_json_type(sio_str(cases[i].wish)) };
		snprintf(req.agent, sizeof(req.agent), "%s", cases[i].agent);
		snprintf(req.url, sizeof(req.url), "%s", cases[i].url);
		if (history_suits(&req, &wish) != cases[i].suits)
			fail_msg("case %zu", i);
	}
}

/* A room that waits leaves everything that is sent meanwhile without a place. */
static void what_carries_which_offset(void **state)
{
	struct sio_socket *anna = come_tracked(10);
	struct collab_emit passing = { .event = SIO_LIT("e"), .args = SIO_LIT("{}") };

	(void)state;
	assert_string_equal(offset_of(11, 100), "100");
	assert_string_equal(offset_of(12, 107), "107");
	assert_string_equal(offset_of(12, 107), ""); /* not sent again */
	server.on_broadcast = look_at_offset;
	collab_emit_project(collab, SIO_LIT("p1"), &passing);
	assert_string_equal(last_offset, "");
	assert_string_equal(offset_of(14, 120), ""); /* it waits for 13 */
	server.on_broadcast = look_at_offset;
	passing.position = 121;
	collab_emit_user(collab, SIO_LIT("anna"), &passing);
	assert_string_equal(last_offset, "-");
	pass(40);
	answer(STORE_EVENT_LIST, STORE_OK, "", "[{\"seq\":13,\"type\":\"e\",\"data\":{}},{\"seq\":14,\"type\":\"e\",\"data\":{}}]");
	assert_string_equal(last_offset, "-");
	assert_string_equal(offset_of(15, 130), "130");
	assert_string_equal(offset_of(16, 129), "-"); /* the store has told them in the wrong order */
	assert_string_equal(offset_of(17, 131), "131");
	buf_clear(&anna->out);
}

static void a_session_is_written(void **state)
{
	struct sio_socket *anna = come_tracked(10);

	(void)state;
	send_event(anna, "join_project", "{\"project_id\":\"p2\"}", 1);
	expect(anna, ""); /* not before the store knows */
	assert_int_equal(anna->paused, 1);
	answer(STORE_SESSION_JOIN, STORE_OK, "viewer", "");
	expect_part(anna, "joined_project");
	send_event(anna, "join_project", "{\"project_id\":\"p3\"}", 1);
	answer(STORE_SESSION_JOIN, STORE_BUSY, "", "");
	expect_part(anna, "unavailable");
	send_event(anna, "leave_project", "{\"project_id\":\"p2\"}", 0);
	assert_string_equal(store.asks[0].body, "");
	answer(STORE_SESSION_LEAVE, STORE_OK, "", "");
	send_event(anna, "join_project", "{\"project_id\":\"p2\"}", 0);
	answer(STORE_SESSION_JOIN, STORE_OK, "viewer", "");
	collab_access_changed(collab, SIO_LIT("p2"), SIO_LIT("anna"));
	answer(STORE_ROLE_GET, STORE_OK, "", "");
	assert_string_equal(store.asks[0].body, "true"); /* should it not hear of it now, it shall when it comes back */
	answer(STORE_SESSION_LEAVE, STORE_OK, "", "");
	send_event(anna, "presence:update", "{\"project_id\":\"p1\",\"state\":7}", 0);
	assert_int_equal(store.asks_n, 0);
	fake_end(anna, "transport close");
	answer(STORE_SESSION_LEFT, STORE_OK, "", "");
	assert_string_equal(store.asks[0].body, "7");
	answer(STORE_SESSION_STATE, STORE_OK, "", "");
	assert_int_equal(store.asks_n, 0);
	anna = come_tracked(10);
	fake_end(anna, "client namespace disconnect");
	answer(STORE_SESSION_END, STORE_UNAVAILABLE, "", ""); /* costs nothing */
	anna = come_tracked(10);
	collab_end(collab);
	fake_end(anna, "server shutting down");
	assert_int_equal(store.asks_n, 0); /* the next start says when */
}

/* A client went while its session was being resumed: that one is left again, and no state of
 * the next client that ends is written into it. */
static void states_are_of_the_own_session(void **state)
{
	struct sio_history_session other = { .pid = SIO_LIT("pid-of-somebody-else"), .sid = SIO_LIT("sid-of-somebody-else") };
	struct sio_socket *anna = come_tracked(10);

	(void)state;
	send_event(anna, "presence:update", "{\"project_id\":\"p1\",\"state\":7}", 0);
	server.history->left(server.history_self, &other, 0);
	answer(STORE_SESSION_LEFT, STORE_OK, "", "");
	fake_end(anna, "client namespace disconnect");
	answer(STORE_SESSION_END, STORE_OK, "", "");
	assert_int_equal(store.asks_n, 0);
}

static void coming_back(void **state)
{
	static struct sio_connect req;

	(void)state;
	ask(&req, ",\"projects\":[\"p1\",\"p9\",\"p4\"],\"pid\":\"" PID "\",\"offset\":\"41\"");
	assert_int_equal(store.asks[0].after, 41);
	answer(STORE_SESSION_RESUME, STORE_OK, "",
	       "{\"sid\":\"socket-of-before-123\",\"rooms\":[" ROOM("p1", "editor", "12", "true") "," ROOM("p2", "", "3", "true") ","
	       ROOM("p9", "viewer", "0", "false") "],\"events\":[{\"position\":42,\"stream\":\"p1\",\"seq\":12,\"type\":\"a:b\",\"data\":{\"x\":1}},"
	       "{\"position\":44,\"stream\":\"user:anna\",\"seq\":1,\"type\":\"n\",\"data\":\"text\"}]}");
	assert_string_equal(req.socket->id, "socket-of-before-123");
	expect(req.socket,
	       "2[\"a:b\",{\"x\":1},\"42\"]\n2[\"n\",\"text\",\"44\"]\n"
	       "connected {\"user_id\":\"anna\",\"message\":\"Successfully connected as anna\"}\n"
	       "joined_project {\"project_id\":\"p1\",\"message\":\"Joined project p1\",\"seq\":12,\"users\":[{\"user_id\":\"anna\",\"name\":\"anna\"}]}\n"
	       "access:revoked {\"project_id\":\"p2\"}\n"
	       "joined_project {\"project_id\":\"p9\",\"message\":\"Joined project p9\",\"seq\":0,\"users\":[{\"user_id\":\"anna\",\"name\":\"anna\"}]}\n"
	       "error {\"message\":\"Access denied to project\",\"code\":\"access_denied\",\"project_id\":\"p4\"}\n");
	assert_true(sio_room_has(req.socket, SIO_LIT("project:p1")));
	assert_false(sio_room_has(req.socket, SIO_LIT("project:p2")));
	assert_string_equal(offset_of(13, 45), "45");
}

/* The session is asked for last: between its answer and the rooms nothing may be sent. */
static void nothing_is_waited_for_behind_it(void **state)
{
	static struct sio_connect req;

	(void)state;
	snprintf(req.auth, sizeof(req.auth), "{\"token\":\"anna\",\"pid\":\"" PID "\",\"projects\":[\"p1\"]}");
	server.on_connect(&req, server.arg);
	assert_int_equal(store.asks_n, 1);
	answer(STORE_USER_GET, STORE_NOT_FOUND, "", "");
	assert_int_equal(store.asks_n, 1);
	answer(STORE_SESSION_RESUME, STORE_OK, "", "{\"sid\":\"socket-of-before-123\",\"rooms\":[],\"events\":[]}");
	assert_non_null(req.socket);
}

/* Another server may believe still that it has the client. */
static void coming_from(const char *node, const char *told)
{
	static struct sio_connect req;
	char json[200];

	server.others_n = 1;
	ask(&req, ",\"pid\":\"" PID "\"");
	snprintf(json, sizeof(json), "{\"sid\":\"socket-of-before-123\",\"node\":\"%s\",\"rooms\":[],\"events\":[]}", node);
	answer(STORE_SESSION_RESUME, STORE_OK, "", json);
	assert_true(req.socket->is_recovered);
	buf_byte(&server.told, '\0');
	assert_string_equal(server.told.p, told);
}

static void coming_from_another_server(void **state)
{
	(void)state;
	coming_from("another-server", "* taken \"socket-of-before-123\"\n");
}

static void coming_from_nowhere(void **state)
{
	(void)state;
	coming_from("", ""); /* it was left */
}

static void coming_from_here(void **state)
{
	(void)state;
	coming_from(collab->history.node, "");
}

/* What the room gets by itself, because it waits for it, is not replayed as well. */
static void a_room_that_waits(void **state)
{
	static struct sio_connect req;

	(void)state;
	come_tracked(10);
	assert_string_equal(offset_of(12, 120), "");
	ask(&req, ",\"pid\":\"" PID "\"");
	assert_int_equal(store.asks[0].after, 0);
	answer(STORE_SESSION_RESUME, STORE_OK, "",
	       "{\"sid\":\"socket-of-before-123\",\"rooms\":[" ROOM("p1", "editor", "12", "true") "],\"events\":["
	       "{\"position\":99,\"stream\":\"p1\",\"seq\":10,\"type\":\"e\",\"data\":10},{\"position\":110,\"stream\":\"p1\",\"seq\":11,\"type\":\"e\",\"data\":11},"
	       "{\"position\":120,\"stream\":\"p1\",\"seq\":12,\"type\":\"e\",\"data\":12}]}");
	buf_byte(&req.socket->out, '\0');
	assert_memory_equal(req.socket->out.p, "2[\"e\",10,\"99\"]\nconnected", 24);
	assert_non_null(strstr(req.socket->out.p, "\"seq\":10,"));
	buf_clear(&req.socket->out);
	pass(40);
	answer(STORE_EVENT_LIST, STORE_OK, "", "[{\"seq\":11,\"type\":\"e\",\"data\":11},{\"seq\":12,\"type\":\"e\",\"data\":12}]");
	expect(req.socket, "e 11\ne 12\n");
}

static uint64_t count_of;
static void pick_count(const char *name, uint64_t n, void *arg)
{
	if (strcmp(name, arg) == 0)
		count_of = n;
}

static void refused(const char *reason, enum store_status status, const char *json)
{
	static struct sio_connect req;
	char name[32];

	ask(&req, ",\"projects\":[\"p1\"],\"pid\":\"" PID "\",\"offset\":\"41\"");
	answer(STORE_SESSION_RESUME, status, "", json);
	assert_null(req.socket);
	answer(STORE_SESSION_OPEN, STORE_OK, "", "[{\"project_id\":\"p1\",\"role\":\"editor\",\"seq\":5}]");
	assert_non_null(req.socket);
	assert_string_not_equal(req.socket->pid, PID);
	assert_string_not_equal(req.socket->pid, "");
	expect_part(req.socket, "joined_project");
	snprintf(name, sizeof(name), "%s", reason);
	count_of = 99;
	collab_each_recovery(collab, pick_count, name);
	assert_int_equal(count_of, 1);
}

static void starting_anew(void **state)
{
	static struct sio_connect req;

	(void)state;
	refused("unknown", STORE_REFUSED, "{\"reason\":\"unknown\"}");
	refused("foreign", STORE_REFUSED, "{\"reason\":\"foreign\"}");
	refused("expired", STORE_REFUSED, "{\"reason\":\"expired\"}");
	refused("retention", STORE_REFUSED, "{\"reason\":\"retention\"}");
	refused("too_many", STORE_REFUSED, "{\"reason\":\"too_many\"}");
	/* An offset that is none of ours is not looked for. */
	ask(&req, ",\"pid\":\"" PID "\",\"offset\":\"-\"");
	answer(STORE_SESSION_OPEN, STORE_OK, "", "[]");
	assert_non_null(req.socket);
	/* A store that cannot write: the client is let in, and cannot come back. */
	ask(&req, ",\"projects\":[\"p1\"]");
	answer(STORE_SESSION_OPEN, STORE_BUSY, "", "");
	assert_string_equal(req.socket->pid, "");
	expect_part(req.socket, "unavailable");
	store.refuse = SIO_ERR_CLOSED;
	ask(&req, ",\"pid\":\"" PID "\"");
	assert_non_null(req.socket);
	assert_string_equal(req.socket->pid, "");
	store.refuse = 0;
	/* Clients that cannot do with offsets. */
	ask(&req, ",\"projects\":[\"p1\"],\"recovery\":false");
	answer(STORE_ROLE_LIST, STORE_OK, "", "[]");
	assert_true(req.is_plain);
}

/* The store has too much to do: the client comes again, and does not lose its session. */
static void a_crowd(void **state)
{
	static struct sio_connect req;
	struct collab_counts counts;

	(void)state;
	store.refuse = SIO_ERR_BUSY;
	ask(&req, ",\"pid\":\"" PID "\"");
	assert_true(req.was_closed);
	store.refuse = 0;
	ask(&req, ",\"pid\":\"" PID "\"");
	answer(STORE_SESSION_RESUME, STORE_BUSY, "", "");
	assert_true(req.was_closed);
	assert_int_equal(store.asks_n, 0);
	collab_counts(collab, &counts);
	assert_int_equal(counts.connections, 0);
}

/* A store that is away: its session may be there when it is back, so the client shall come again and not begin anew;
 * but not for longer than a session is kept. */
static void an_outage(void **state)
{
	static struct sio_connect req;

	(void)state;
	ask(&req, ",\"pid\":\"" PID "\"");
	answer(STORE_SESSION_RESUME, STORE_UNAVAILABLE, "", "");
	assert_true(req.was_closed);
	pass(collab->history.window_ms - 1000);
	while (store.asks_n > 0) /* beats that are not answered well say nothing */
		answer(STORE_SESSION_BEAT, STORE_UNAVAILABLE, "", "");
	ask(&req, ",\"pid\":\"" PID "\"");
	answer(STORE_SESSION_RESUME, STORE_UNAVAILABLE, "", "");
	assert_true(req.was_closed);
	pass(2000);
	while (store.asks_n > 0)
		answer(STORE_SESSION_BEAT, STORE_UNAVAILABLE, "", "");
	refused("unavailable", STORE_UNAVAILABLE, "");
	/* It is back. */
	pass(15000);
	answer(STORE_SESSION_BEAT, STORE_OK, "", "");
	ask(&req, ",\"pid\":\"" PID "\"");
	answer(STORE_SESSION_RESUME, STORE_UNAVAILABLE, "", "");
	assert_true(req.was_closed);
}

/* It went while the store was asked: the session that nobody heard of goes too. */
static void gone_meanwhile(void **state)
{
	static struct sio_connect req;

	(void)state;
	ask(&req, "");
	req.is_gone = true;
	answer(STORE_SESSION_OPEN, STORE_OK, "", "[]");
	answer(STORE_SESSION_END, STORE_OK, "", "");
	assert_int_equal(store.asks_n, 0);
}

/* Back before its loss was noticed: its own old connection ends, nobody else's. */
static void the_old_connection(void **state)
{
	static struct sio_connect req;
	struct sio_socket *anna = come_tracked(10);
	char more[64];

	(void)state;
	sio_socket_ref(anna);
	snprintf(more, sizeof(more), ",\"pid\":\"%s\"", anna->pid);
	req = (struct sio_connect){ 0 };
	snprintf(req.auth, sizeof(req.auth), "{\"token\":\"thief\"%s}", more);
	server.on_connect(&req, server.arg);
	assert_true(anna->is_open);
	answer(STORE_USER_GET, STORE_NOT_FOUND, "", "");
	answer(STORE_SESSION_RESUME, STORE_REFUSED, "", "{\"reason\":\"foreign\"}");
	answer(STORE_SESSION_OPEN, STORE_OK, "", "[]");
	ask(&req, more);
	assert_false(anna->is_open);
	answer(STORE_SESSION_LEFT, STORE_OK, "", ""); /* before it is resumed */
	answer(STORE_USER_GET, STORE_NOT_FOUND, "", "");
	answer(STORE_SESSION_RESUME, STORE_OK, "", "{\"sid\":\"socket-of-before-123\",\"rooms\":[],\"events\":[]}");
	assert_true(req.socket->is_recovered);
	sio_socket_unref(anna);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(offsets, setup, teardown),
		cmocka_unit_test_setup_teardown(which_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(what_carries_which_offset, setup, teardown),
		cmocka_unit_test_setup_teardown(a_session_is_written, setup, teardown),
		cmocka_unit_test_setup_teardown(states_are_of_the_own_session, setup, teardown),
		cmocka_unit_test_setup_teardown(coming_back, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_waited_for_behind_it, setup, teardown),
		cmocka_unit_test_setup_teardown(coming_from_another_server, setup, teardown),
		cmocka_unit_test_setup_teardown(coming_from_nowhere, setup, teardown),
		cmocka_unit_test_setup_teardown(coming_from_here, setup, teardown),
		cmocka_unit_test_setup_teardown(a_room_that_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(starting_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(a_crowd, setup, teardown),
		cmocka_unit_test_setup_teardown(an_outage, setup, teardown),
		cmocka_unit_test_setup_teardown(gone_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(the_old_connection, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
