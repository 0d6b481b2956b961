/* collab_server_test.c -- what clients see of collab, with the network as strings.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "unit/collab_fake.h"

static int setup(void **state)
{
	struct collab_options options = { .presence_grace_ms = 1000, .max_connections_per_user = 3 };

	(void)state;
	return fake_setup(&options);
}

static int teardown(void **state)
{
	(void)state;
	fake_teardown();
	return 0;
}

#define P1 "{\"project_id\":\"p1\"}"

/* ---- connecting ------------------------------------------------------------------ */

static void refused(const char *auth, const char *header, const char *want)
{
	struct sio_connect req = { 0 };

	snprintf(req.auth, sizeof(req.auth), "%s", auth);
	snprintf(req.authorization, sizeof(req.authorization), "%s", header);
	server.on_connect(&req, server.arg);
	assert_int_equal(store.asks_n, 0);
	assert_string_equal(req.refused, want);
}

static void test_refusals(void **state)
{
	const char *missing = "Authentication required {\"code\":\"token_missing\"}";
	const char *invalid = "Authentication required {\"code\":\"token_invalid\"}";
	struct collab_counts counts;

	(void)state;
	refused("{}", "", missing);
	refused("null", "", missing);
	refused("[]", "", missing);
	refused("{\"token\":null}", "", missing);
	refused("{\"token\":\"\"}", "", missing);
	refused("{\"token\":7}", "", invalid);
	refused("{\"token\":[\"anna\"]}", "", invalid);
	refused("{\"token\":\"bad\"}", "", invalid);
	refused("{\"token\":\"bad\"}", "Bearer anna", invalid);
	refused("{\"token\":\"anna\",\"token\":\"ben\"}", "", invalid);
	refused("{\"token\":\"not plain\"}", "", invalid);
	refused("{\"token\":\"anna:-10\"}", "", "Authentication required {\"code\":\"token_expired\"}");
	collab_counts(collab, &counts);
	assert_int_equal(counts.refused_token_missing, 5);
	assert_int_equal(counts.refused_token_invalid, 6);
	assert_int_equal(counts.refused_token_expired, 1);
	assert_int_equal(counts.connections, 0);
}

/* Its key is not known yet: it waits, and may go meanwhile; it is told nothing wrong. */
static void test_waits_for_a_key(void **state)
{
	struct sio_connect req = { .auth = "{\"token\":\"later\"}" }, gone = req, away = req, bad = req, again = req;
	struct collab_counts counts;

	(void)state;
	has_key = false;
	server.on_connect(&req, server.arg);
	assert_false(req.is_answered);
	news();
	assert_false(req.is_answered); /* not with this fetch: it waits for the next */
	has_key = true;
	news();
	answer(STORE_USER_GET, STORE_NOT_FOUND, "", "");
	assert_non_null(req.socket);
	has_key = false;
	server.on_connect(&gone, server.arg);
	gone.is_gone = true;
	news();
	assert_true(gone.was_closed && !awaited);
	server.on_connect(&again, server.arg);
	has_key = again.is_gone = true;
	news(); /* good, but nobody is there any more */
	assert_true(again.is_answered && !again.socket);
	has_key = false;
	await_as = TOKEN_UNAVAILABLE;
	server.on_connect(&away, server.arg);
	assert_true(away.was_closed && !away.refused[0]);
	await_as = TOKEN_INVALID;
	server.on_connect(&bad, server.arg);
	assert_string_equal(bad.refused, "Authentication required {\"code\":\"token_invalid\"}");
	await_as = TOKEN_WAITING;
	collab_counts(collab, &counts);
	assert_int_equal(counts.connections, 1);
	assert_int_equal(counts.refused_token_invalid, 1);
	assert_int_equal(counts.refused_unavailable, 2);
}

static void test_too_many_connections(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		come("anna", NULL);
	refused("{\"token\":\"anna\"}", "", "This user has too many connections: close one, then connect again "
					    "{\"code\":\"too_many_connections\"}");
	fake_end(server.sockets[1], "transport close");
	come("anna", NULL);
	assert_int_equal(collab_user_connections(collab, SIO_LIT("anna")), 3);
}

static void test_name_from_the_store(void **state)
{
	struct sio_connect req = { .auth = "{}", .authorization = "Bearer anna" };

	(void)state;
	server.on_connect(&req, server.arg);
	assert_null(req.socket); /* not before the store has answered */
	answer(STORE_USER_GET, STORE_OK, "", "{\"user_id\":\"anna\",\"name\":\"Anna \\\"A\\\"\"}");
	expect(req.socket,
	       "connected {\"user_id\":\"anna\",\"message\":\"Successfully connected as Anna \\\"A\\\"\"}\n");
	assert_true(sio_room_has(req.socket, SIO_LIT("user:anna")));
}

static void test_projects_of_auth(void **state)
{
	struct sio_connect req = { .auth = "{\"token\":\"anna\",\"projects\":[\"p1\",\"p2\",7,\"a b\",\"p1\"]}" };

	(void)state;
	server.on_connect(&req, server.arg);
	assert_string_equal(store.asks[1].body, "[\"p1\",\"p2\",\"p1\"]");
	answer(STORE_USER_GET, STORE_NOT_FOUND, "", "");
	answer(STORE_ROLE_LIST, STORE_OK, "", "[{\"project_id\":\"p1\",\"role\":\"viewer\"}]");
	expect(req.socket,
	       "connected {\"user_id\":\"anna\",\"message\":\"Successfully connected as anna\"}\n"
	       "joined_project {\"project_id\":\"p1\",\"message\":\"Joined project p1\",\"seq\":0,"
	       "\"users\":[{\"user_id\":\"anna\",\"name\":\"anna\"}]}\n"
	       "error {\"message\":\"Access denied to project\",\"code\":\"access_denied\",\"project_id\":\"p2\"}\n"
	       "error {\"message\":\"Access denied to project\",\"code\":\"access_denied\"}\n"
	       "error {\"message\":\"Access denied to project\",\"code\":\"access_denied\",\"project_id\":\"a b\"}\n"
	       "joined_project {\"project_id\":\"p1\",\"message\":\"Joined project p1\",\"seq\":0,"
	       "\"users\":[{\"user_id\":\"anna\",\"name\":\"anna\"}]}\n");
}

static void test_projects_when_the_store_is_away(void **state)
{
	struct sio_connect req = { .auth = "{\"token\":\"anna\",\"projects\":[\"p1\"]}" };

	(void)state;
	store.refuse = SIO_ERR_BUSY;
	server.on_connect(&req, server.arg);
	expect_part(req.socket, "\"code\":\"unavailable\",\"project_id\":\"p1\"");
	store.refuse = 0;
}

static void test_client_goes_while_the_store_thinks(void **state)
{
	struct sio_connect req = { .auth = "{\"token\":\"anna\",\"projects\":[\"p1\"]}" };

	(void)state;
	server.on_connect(&req, server.arg);
	req.is_gone = true;
	answer(STORE_USER_GET, STORE_NOT_FOUND, "", "");
	answer(STORE_ROLE_LIST, STORE_OK, "", "[{\"project_id\":\"p1\",\"role\":\"viewer\"}]");
	assert_int_equal(collab_user_connections(collab, SIO_LIT("anna")), 0);
}

/* ---- joining and leaving -------------------------------------------------------------- */

static void test_join_and_leave(void **state)
{
	struct sio_socket *ben = come("ben", "p1"), *anna = come("anna", NULL);

	(void)state;
	send_event(anna, "join_project", P1, 1);
	assert_int_equal(anna->paused, 1);
	expect(anna, "");
	answer_role("viewer");
	assert_int_equal(anna->paused, 0);
	expect(anna, "joined_project {\"project_id\":\"p1\",\"message\":\"Joined project p1\",\"seq\":0,\"users\":["
		     "{\"user_id\":\"ben\",\"name\":\"ben\"},{\"user_id\":\"anna\",\"name\":\"anna\"}]}\n"
		     "ack 1 {\"ok\":true,\"project_id\":\"p1\",\"message\":\"Joined project p1\",\"seq\":0,\"users\":["
		     "{\"user_id\":\"ben\",\"name\":\"ben\"},{\"user_id\":\"anna\",\"name\":\"anna\"}]}\n");
	expect(ben, "user:joined {\"user_id\":\"anna\",\"project_id\":\"p1\"}\n");
	send_event(anna, "join_project", P1, 0); /* again */
	assert_int_equal(store.asks_n, 0);
	expect_part(anna, "joined_project");
	expect(ben, "");
	send_event(anna, "leave_project", P1, 2);
	expect(anna, "left_project {\"project_id\":\"p1\",\"message\":\"Left project p1\"}\n"
		     "ack 2 {\"ok\":true,\"project_id\":\"p1\",\"message\":\"Left project p1\"}\n");
	expect(ben, "user:left {\"user_id\":\"anna\",\"project_id\":\"p1\"}\n");
	send_event(anna, "leave_project", P1, 0); /* again */
	expect_part(anna, "left_project");
	expect(ben, "");
}

static void test_join_denied(void **state)
{
	static const char *const bad[] = { "{}", "7", "\"p1\"", "", "{\"project_id\":7}", "{\"project_id\":{}}",
					   "{\"project_id\":\"\"}", "{\"project_id\":null}" };
	struct sio_socket *anna = come("anna", NULL);

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		send_event(anna, "join_project", bad[i], 0);
		expect_part(anna, "error {\"message\":\"Access denied to project\",\"code\":\"access_denied\"");
	}
	send_event(anna, "join_project", "{\"project_id\":\"user:ben\"}", 0);
	expect_part(anna, "\"project_id\":\"user:ben\"");
	send_event(anna, "join_project", P1, 3);
	answer_role("");
	expect(anna, "error {\"message\":\"Access denied to project\",\"code\":\"access_denied\","
		     "\"project_id\":\"p1\"}\n"
		     "ack 3 {\"ok\":false,\"error\":{\"code\":\"access_denied\","
		     "\"message\":\"Access denied to project\"}}\n");
	send_event(anna, "join_project", P1, 0);
	answer(STORE_ROLE_GET, STORE_NOT_FOUND, "", "");
	expect_part(anna, "access_denied");
	send_event(anna, "join_project", P1, 0);
	answer(STORE_ROLE_GET, STORE_UNAVAILABLE, "", "");
	expect_part(anna, "\"code\":\"unavailable\"");
	assert_int_equal(anna->rooms_n, 1);
}

static void test_socket_ends_while_the_store_thinks(void **state)
{
	struct sio_socket *anna = come("anna", NULL);
	struct collab_counts counts;

	(void)state;
	send_event(anna, "join_project", P1, 1);
	fake_end(anna, "transport close");
	answer_role("owner");
	collab_counts(collab, &counts);
	assert_int_equal(counts.presence, 0);
	assert_int_equal(counts.connections, 0);
}

static void test_too_many_rooms(void **state)
{
	struct sio_socket *anna;

	(void)state;
	server.max_rooms = 2; /* the user's own and one more */
	anna = come("anna", "p1");
	send_event(anna, "join_project", "{\"project_id\":\"p2\"}", 0);
	answer_role("editor");
	expect_part(anna, "\"code\":\"too_many_rooms\",\"project_id\":\"p2\"");
	send_event(anna, "leave_project", P1, 0);
	send_event(anna, "join_project", "{\"project_id\":\"p2\"}", 0);
	answer_role("editor");
	expect_part(anna, "joined_project");
}

static void test_two_tabs_are_one_user(void **state)
{
	struct sio_socket *ben = come("ben", "p1"), *a = come("anna", "p1"), *b;

	(void)state;
	expect(ben, "user:joined {\"user_id\":\"anna\",\"project_id\":\"p1\"}\n");
	b = come("anna", "p1");
	expect(ben, "");
	expect(a, "");
	send_event(a, "leave_project", P1, 0);
	expect(ben, "");
	fake_end(b, "client namespace disconnect");
	expect(ben, "user:left {\"user_id\":\"anna\",\"project_id\":\"p1\"}\n");
}

static void test_grace(void **state)
{
	struct sio_socket *ben = come("ben", "p1"), *anna = come("anna", "p1");

	(void)state;
	buf_clear(&ben->out);
	fake_end(anna, "transport close");
	pass(900);
	expect(ben, "");
	anna = come("anna", "p1"); /* back in time */
	pass(5000);
	expect(ben, "");
	fake_end(anna, "ping timeout");
	pass(1100);
	expect(ben, "user:left {\"user_id\":\"anna\",\"project_id\":\"p1\"}\n");
}

static void test_many_projects(void **state)
{
	struct sio_socket *anna = come("anna", NULL);
	struct collab_counts counts;
	char args[64];

	(void)state;
	for (int i = 0; i < 7; i++) {
		snprintf(args, sizeof(args), "{\"project_id\":\"p%d\"}", i);
		send_event(anna, "join_project", args, 0);
		answer_role("editor");
	}
	collab_counts(collab, &counts);
	assert_int_equal(counts.project_rooms, 7);
	for (int i = 0; i < 7; i += 2) {
		snprintf(args, sizeof(args), "{\"project_id\":\"p%d\"}", i);
		send_event(anna, "leave_project", args, 0);
	}
	collab_counts(collab, &counts);
	assert_int_equal(counts.project_rooms, 3);
}

/* ---- inside ------------------------------------------------------------------------------- */

static void test_cursor(void **state)
{
	struct sio_socket *ben = come("ben", "p1"), *anna = come("anna", "p1");

	(void)state;
	buf_clear(&ben->out);
	send_event(anna, "cursor:move",
		   "{\"cursor\": {\"x\":1, \"y\":[2]}, \"user_id\":\"ben\", \"project_id\":\"p1\"}", 0);
	expect(ben, "cursor:moved {\"project_id\":\"p1\",\"user_id\":\"anna\",\"cursor\":{\"x\":1, \"y\":[2]}}\n");
	assert_true(server.last_key != 0);
	expect(anna, "");
	send_event(anna, "cursor:move", "{\"project_id\":\"\\u00701\",\"cursor\":null},7", 4);
	expect(anna, "ack 4 {\"ok\":true}\n");
	expect(ben, "cursor:moved {\"project_id\":\"p1\",\"user_id\":\"anna\",\"cursor\":null}\n");
	send_event(anna, "cursor:move", P1, 0);
	expect_part(anna, "invalid_payload");
	send_event(anna, "cursor:move", "{\"project_id\":\"p2\",\"cursor\":1}", 5);
	expect_part(anna, "error {\"message\":\"Join the project first: send join_project with its project_id\","
			  "\"code\":\"not_joined\",\"project_id\":\"p2\"}");
	send_event(anna, "cursor:move", "{\"project_id\":\"p1\",\"cursor\":1,\"cursor\":2}", 0);
	expect_part(anna, "invalid_payload");
	send_event(anna, "cursor:move", "nonsense", 0);
	expect_part(anna, "invalid_payload");
	expect(ben, "");
}

static void test_large_values(void **state)
{
	struct sio_socket *anna = come("anna", "p1");
	char args[2048], filler[1100];

	(void)state;
	memset(filler, 'x', sizeof(filler));
	for (int i = 0; i < 2; i++) {
		const char *want = i ? "\"code\":\"too_large\"" : "ack 1 {\"ok\":true}";

		snprintf(args, sizeof(args), "{\"project_id\":\"p1\",\"cursor\":\"%.*s\"}", 1022 + i, filler);
		send_event(anna, "cursor:move", args, 1);
		expect_part(anna, want);
		snprintf(args, sizeof(args), "{\"project_id\":\"p1\",\"state\":\"%.*s\"}", 1022 + i, filler);
		send_event(anna, "presence:update", args, 1);
		expect_part(anna, want);
		snprintf(args, sizeof(args), "{\"project_id\":\"p1\",\"target\":\"%.*s\"}", 254 + i, filler);
		send_event(anna, "typing:start", args, 1);
		expect_part(anna, want);
	}
}

#define TYPING(what, target) "typing:" what " {\"project_id\":\"p1\",\"user_id\":\"anna\",\"target\":" target "}\n"
#define AT(target) "{\"project_id\":\"p1\",\"target\":" target "}"

static void test_typing(void **state)
{
	struct sio_socket *ben = come("ben", "p1"), *anna = come("anna", "p1");

	(void)state;
	buf_clear(&ben->out);
	send_event(anna, "typing:stop", P1, 0);
	expect(ben, ""); /* it was not on */
	send_event(anna, "typing:start", AT("\"t1\""), 1);
	expect(anna, "ack 1 {\"ok\":true}\n");
	expect(ben, TYPING("started", "\"t1\""));
	pass(2000);
	send_event(anna, "typing:start", AT("\"t1\""), 0); /* renewed, and told lately */
	expect(ben, "");
	pass(2000);
	send_event(anna, "typing:start", AT("\"t1\""), 0); /* told again: others may end by themselves what is not */
	expect(ben, TYPING("started", "\"t1\""));
	pass(4000);
	expect(ben, "");
	pass(1100);
	expect(ben, TYPING("stopped", "\"t1\""));
	send_event(anna, "typing:start", AT("\"t1\""), 0);
	send_event(anna, "typing:start", AT("{\"id\":2}"), 0);
	send_event(anna, "typing:stop", AT("\"t1\""), 0); /* late */
	send_event(anna, "typing:stop", P1, 0);
	expect(ben, TYPING("started", "\"t1\"") TYPING("stopped", "\"t1\"") TYPING("started", "{\"id\":2}")
		    TYPING("stopped", "{\"id\":2}"));
	send_event(anna, "typing:start", P1, 0);
	send_event(anna, "leave_project", P1, 0);
	expect(ben, TYPING("started", "null") TYPING("stopped", "null")
		    "user:left {\"user_id\":\"anna\",\"project_id\":\"p1\"}\n");
	pass(6000);
	expect(ben, "");
}

static void test_typing_in_two_tabs(void **state)
{
	struct sio_socket *ben = come("ben", "p1"), *a = come("anna", "p1"), *b = come("anna", "p1");

	(void)state;
	buf_clear(&ben->out);
	send_event(a, "typing:start", AT("1"), 0);
	send_event(b, "typing:start", AT("1"), 0);
	expect(ben, TYPING("started", "1"));
	fake_end(a, "transport close");
	expect(ben, "");
	fake_end(b, "transport close");
	expect(ben, TYPING("stopped", "1")); /* at once, though she stays for the grace */
}

static void test_presence(void **state)
{
	struct sio_socket *ben = come("ben", "p1"), *anna = come("anna", "p1");

	(void)state;
	buf_clear(&ben->out);
	send_event(anna, "presence:update", "{\"project_id\":\"p1\",\"state\":{\"sel\":[1]}}", 0);
	expect(ben, "presence:updated {\"project_id\":\"p1\",\"user_id\":\"anna\",\"state\":{\"sel\":[1]}}\n");
	send_event(ben, "presence:list", P1, 0);
	expect_part(ben, "presence:state {\"project_id\":\"p1\",\"users\":[{\"user_id\":\"ben\",\"name\":\"ben\","
			 "\"connections\":1,\"joined_at\":\"20");
	send_event(ben, "presence:list", P1, 9);
	expect_part(ben, "Z\",\"state\":{\"sel\":[1]}}]}\nack 9 {\"ok\":true,\"project_id\":\"p1\",\"users\":[{");
	send_event(ben, "join_project", P1, 0);
	expect_part(ben, "{\"user_id\":\"anna\",\"name\":\"anna\",\"state\":{\"sel\":[1]}}]}\n");
	send_event(anna, "presence:update", "{\"project_id\":\"p1\",\"state\":null}", 0);
	expect_part(ben, "\"state\":null}");
	send_event(ben, "presence:list", P1, 0);
	expect_part(ben, "Z\"}]}\n");
	send_event(ben, "presence:list", "{\"project_id\":\"p2\"}", 0);
	expect_part(ben, "not_joined");
}

static void test_unknown_and_limited(void **state)
{
	struct sio_socket *anna = come("anna", NULL);
	struct sio_event event = { SIO_LIT("x"), sio_args_json(SIO_LIT("")), 7 };

	(void)state;
	send_event(anna, "delete:everything", "{}", 6);
	expect_part(anna, "\"code\":\"unknown_event\"");
	server.on_limited(anna, &event, 5, server.arg);
	expect(anna, "error {\"message\":\"Too many events: wait 5 ms, then send fewer\",\"code\":\"rate_limited\","
		     "\"retry_after_ms\":5}\n"
		     "ack 7 {\"ok\":false,\"error\":{\"code\":\"rate_limited\","
		     "\"message\":\"Too many events: wait 5 ms, then send fewer\"}}\n");
	event.ack = SIO_ACK_NONE;
	server.on_limited(anna, &event, 5, server.arg);
	expect(anna, "");
	pass(1000);
	server.on_limited(anna, &event, 5, server.arg);
	expect_part(anna, "rate_limited");
}

/* ---- tokens end ------------------------------------------------------------------------------ */

static void test_expiry(void **state)
{
	struct sio_socket *anna = come("anna:100", NULL);

	(void)state;
	pass(38000);
	expect(anna, "");
	pass(3000);
	expect(anna, "token:expiring {\"expires_in\":60}\n");
	pass(57000);
	expect(anna, "");
	pass(3000);
	expect(anna, "error {\"message\":\"Token expired\",\"code\":\"token_expired\"}\n");
	assert_true(anna->was_closed);
}

/* The acknowledgement tells what is left of s seconds from the second that has begun. */
static void expect_left(struct sio_socket *socket, unsigned ack, unsigned s)
{
	char whole[64], less[64];

	snprintf(whole, sizeof(whole), "ack %u {\"ok\":true,\"expires_in\":%u}", ack, s);
	snprintf(less, sizeof(less), "ack %u {\"ok\":true,\"expires_in\":%u}", ack, s - 1);
	buf_byte(&socket->out, '\0');
	expect_part(socket, strstr(socket->out.p, whole) ? whole : less);
}

static void test_refresh_waits_for_a_key(void **state)
{
	struct sio_socket *anna, *ben;

	(void)state;
	has_key = true;
	anna = come("later2:100", NULL);
	has_key = false;
	send_event(anna, "auth:refresh", "{\"token\":\"later2:500\"}", 1);
	expect(anna, "");
	/* One at a time. */
	send_event(anna, "auth:refresh", "{\"token\":\"later2:600\"}", 2);
	expect_part(anna, "ack 2 {\"ok\":false,\"error\":{\"code\":\"unavailable\"");
	has_key = true;
	news();
	expect_part(anna, "ack 1 {\"ok\":true,\"expires_in\":");
	has_key = false;
	send_event(anna, "auth:refresh", "{\"token\":\"later:500\"}", 3);
	has_key = true;
	news();
	expect_part(anna, "user_mismatch");
	/* It goes while it waits. */
	has_key = false;
	send_event(anna, "auth:refresh", "{\"token\":\"later2:500\"}", 4);
	fake_end(anna, "transport close");
	has_key = true;
	news();
	assert_null(awaited);
	has_key = false;
	ben = come("ben", NULL);
	await_as = TOKEN_INVALID;
	send_event(ben, "auth:refresh", "{\"token\":\"later\"}", 5);
	expect_part(ben, "ack 5 {\"ok\":false,\"error\":{\"code\":\"token_invalid\"");
	await_as = TOKEN_WAITING;
}

static void test_refresh(void **state)
{
	struct sio_socket *anna = come("anna:30", NULL);

	(void)state;
	send_event(anna, "auth:refresh", "{\"token\":\"ben:500\"}", 0);
	expect_part(anna, "\"code\":\"user_mismatch\"");
	send_event(anna, "auth:refresh", "{\"token\":\"bad\"}", 0);
	expect_part(anna, "\"code\":\"token_invalid\"");
	send_event(anna, "auth:refresh", "{\"token\":7}", 0);
	expect_part(anna, "\"code\":\"token_invalid\"");
	send_event(anna, "auth:refresh", "{}", 0);
	expect_part(anna, "\"code\":\"token_missing\"");
	send_event(anna, "auth:refresh", "{\"token\":\"anna:10\"}", 1); /* shortens nothing */
	expect_left(anna, 1, 30);
	send_event(anna, "auth:refresh", "{\"token\":\"anna:500\"}", 2);
	expect_left(anna, 2, 500);
	pass(430000);
	expect(anna, "");
	pass(15000);
	expect_part(anna, "token:expiring");
	send_event(anna, "auth:refresh", "{\"token\":\"anna\"}", 3);
	expect(anna, "ack 3 {\"ok\":true}\n");
	pass(100000);
	expect(anna, "");
	assert_false(anna->was_closed);
}

/* ---- from outside ------------------------------------------------------------------------------ */

static void test_access_revoked(void **state)
{
	struct sio_socket *ben = come("ben", "p1"), *a = come("anna", "p1"), *b = come("anna", "p1");

	(void)state;
	send_event(b, "join_project", "{\"project_id\":\"p2\"}", 0);
	answer_role("editor");
	buf_clear(&ben->out);
	buf_clear(&b->out);
	collab_access_changed(collab, SIO_LIT("p1"), SIO_LIT("anna"));
	answer_role("viewer"); /* less, but enough to stay */
	expect(a, "");
	collab_access_changed(collab, SIO_LIT("p1"), SIO_LIT("anna"));
	answer_role("");
	expect(a, "access:revoked {\"project_id\":\"p1\"}\n");
	expect(b, "access:revoked {\"project_id\":\"p1\"}\n");
	expect(ben, "user:left {\"user_id\":\"anna\",\"project_id\":\"p1\"}\n");
	send_event(a, "cursor:move", "{\"project_id\":\"p1\",\"cursor\":1}", 0);
	expect_part(a, "not_joined");
	send_event(b, "cursor:move", "{\"project_id\":\"p2\",\"cursor\":1}", 1);
	expect(b, "ack 1 {\"ok\":true}\n");
}

static void test_access_revoked_in_the_grace(void **state)
{
	struct sio_socket *ben = come("ben", "p1"), *anna = come("anna", "p1");

	(void)state;
	buf_clear(&ben->out);
	fake_end(anna, "transport close");
	collab_access_changed(collab, SIO_LIT("p1"), SIO_LIT("anna"));
	answer(STORE_ROLE_GET, STORE_NOT_FOUND, "", "");
	expect(ben, "user:left {\"user_id\":\"anna\",\"project_id\":\"p1\"}\n");
	pass(2000);
	expect(ben, "");
}

static void test_access_unknown_is_denied(void **state)
{
	struct sio_socket *anna = come("anna", "p1");

	(void)state;
	collab_access_changed(collab, sio_bytes("", 0), sio_bytes("", 0));
	store.refuse = SIO_ERR_BUSY;
	answer(STORE_ROLE_GET, STORE_BUSY, "", "");
	pass(1000);
	expect(anna, "");
	pass(5000);
	expect(anna, "access:revoked {\"project_id\":\"p1\"}\n");
	store.refuse = 0;
}

static void test_project_deleted(void **state)
{
	struct sio_socket *ben = come("ben", "p1"), *anna = come("anna", "p1");
	struct collab_counts counts;

	(void)state;
	buf_clear(&ben->out);
	collab_access_changed(collab, SIO_LIT("p1"), sio_bytes("", 0));
	answer(STORE_ROLE_GET, STORE_NOT_FOUND, "", "");
	answer(STORE_ROLE_GET, STORE_NOT_FOUND, "", "");
	expect(ben, "access:revoked {\"project_id\":\"p1\"}\n");
	expect_part(anna, "access:revoked {\"project_id\":\"p1\"}\n");
	collab_counts(collab, &counts);
	assert_int_equal(counts.project_rooms, 0);
	assert_int_equal(counts.presence, 0);
}

static void test_emit_and_kick(void **state)
{
	struct sio_socket *ben = come("ben", "p1"), *anna = come("anna", "p1");
	struct collab_emit emit = { .event = SIO_LIT("task:updated"), .args = SIO_LIT("{\"task_id\":1}") };
	struct buf b = { 0 };

	(void)state;
	buf_clear(&ben->out);
	assert_int_equal(collab_emit_project(collab, SIO_LIT("p1"), &emit), 2);
	assert_int_equal(collab_emit_user(collab, SIO_LIT("anna"), &emit), 1);
	emit.except_sid = sio_socket_id(anna);
	assert_int_equal(collab_emit_room(collab, SIO_LIT("project:p1"), &emit), 1);
	assert_int_equal(collab_emit_room(collab, sio_bytes("", 0), &emit), SIO_ERR_INVAL);
	expect(ben, "task:updated {\"task_id\":1}\ntask:updated {\"task_id\":1}\n");
	expect(anna, "task:updated {\"task_id\":1}\ntask:updated {\"task_id\":1}\n");
	collab_user_json(collab, SIO_LIT("anna"), &b);
	buf_byte(&b, '\0');
	assert_non_null(strstr(b.p, "{\"user_id\":\"anna\",\"connections\":1,\"sockets\":[{\"sid\":\"socket-"));
	assert_non_null(strstr(b.p, "\"projects\":[\"p1\"]}]}"));
	buf_fini(&b);
	assert_int_equal(collab_disconnect_user(collab, SIO_LIT("anna")), 1);
	assert_int_equal(collab_disconnect_user(collab, SIO_LIT("nobody")), 0);
	expect(ben, "user:left {\"user_id\":\"anna\",\"project_id\":\"p1\"}\n");
}

/* Any emit may end the socket it goes to: nothing may be touched that went with it. */
static void test_sockets_that_end_while_they_are_told(void **state)
{
	static const struct {
		const char *name, *args;
	} events[] = {
		{ "join_project", P1 },
		{ "leave_project", P1 },
		{ "presence:list", P1 },
		{ "presence:update", "{\"project_id\":\"p1\",\"state\":1}" },
		{ "cursor:move", "{\"project_id\":\"p1\",\"cursor\":1}" },
		{ "typing:start", AT("1") },
		{ "auth:refresh", "{\"token\":\"anna:30\"}" },
		{ "nothing", "" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		struct sio_socket *ben = come("ben", "p1"), *anna = come("anna:5000", "p1");

		ben->is_fragile = anna->is_fragile = true;
		sio_socket_ref(anna);
		send_event(anna, events[i].name, events[i].args, 1);
		assert_false(anna->is_open);
		sio_socket_unref(anna);
		pass(2000);
		fake_teardown();
		setup(state);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_refusals),
		T(test_waits_for_a_key), T(test_refresh_waits_for_a_key), T(test_too_many_connections),
		T(test_name_from_the_store),
		T(test_projects_of_auth),
		T(test_projects_when_the_store_is_away),
		T(test_client_goes_while_the_store_thinks),
		T(test_join_and_leave),
		T(test_join_denied),
		T(test_socket_ends_while_the_store_thinks),
		T(test_too_many_rooms),
		T(test_two_tabs_are_one_user),
		T(test_grace),
		T(test_many_projects),
		T(test_cursor),
		T(test_large_values),
		T(test_typing),
		T(test_typing_in_two_tabs),
		T(test_presence),
		T(test_unknown_and_limited),
		T(test_expiry),
		T(test_refresh),
		T(test_access_revoked),
		T(test_access_revoked_in_the_grace),
		T(test_access_unknown_is_denied),
		T(test_project_deleted),
		T(test_emit_and_kick),
		T(test_sockets_that_end_while_they_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
