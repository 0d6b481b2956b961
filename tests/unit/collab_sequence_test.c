/* collab_sequence_test.c -- durable events reach a room in the order of their numbers,
 * each once, whatever order they come in and whatever was not sent.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "unit/collab_fake.h"

static int setup(void **state)
{
	(void)state;
	return fake_setup(&(struct collab_options){ .presence_grace_ms = 1000 });
}

static int teardown(void **state)
{
	(void)state;
	fake_teardown();
	return 0;
}

/* anna is in p1, whose last event was 10. */
static struct sio_socket *anna_at_10(void)
{
	struct sio_socket *anna;

	store.seq = 10;
	anna = come("anna", "p1");
	return anna;
}

static long emit_except(int64_t seq, sio_slice except)
{
	char data[64];

	snprintf(data, sizeof(data), "{\"seq\":%d}", (int)seq);
	return collab_emit_durable(collab, SIO_LIT("p1"), seq,
				   &(struct collab_emit){ .event = SIO_LIT("e"), .args = sio_str(data), .except_sid = except });
}

static long emit(int64_t seq)
{
	return emit_except(seq, SIO_LIT(""));
}

#define ROW(n) "{\"seq\":" n ",\"type\":\"e\",\"data\":{\"seq\":" n "},\"created_at\":\"\"}"

static void the_room_begins_where_the_store_stands(void **state)
{
	struct sio_socket *anna, *ben;

	(void)state;
	store.seq = 10;
	anna = come("anna", NULL);
	send_event(anna, "join_project", "{\"project_id\":\"p1\"}", 0);
	answer_role("editor");
	expect(anna, "joined_project {\"project_id\":\"p1\",\"message\":\"Joined project p1\",\"seq\":10,"
		     "\"users\":[{\"user_id\":\"anna\",\"name\":\"anna\"}]}\n");
	assert_int_equal(emit(11), 1);
	expect(anna, "e {\"seq\":11}\n");
	/* The second one is told what the room was sent, not what the store has by now. */
	store.seq = 12;
	ben = come("ben", NULL);
	send_event(ben, "join_project", "{\"project_id\":\"p1\"}", 0);
	answer_role("editor");
	expect_part(ben, "\"seq\":11,");
	buf_clear(&anna->out);
	assert_int_equal(emit(12), 2);
	expect(anna, "e {\"seq\":12}\n");
	expect(ben, "e {\"seq\":12}\n");
	/* Nobody is in that one; one without a number goes at once. */
	assert_int_equal(collab_emit_durable(collab, SIO_LIT("p2"), 5, &(struct collab_emit){ .event = SIO_LIT("e"), .args = SIO_LIT("1") }), 0);
	assert_int_equal(emit(0), 2);
	expect(anna, "e {\"seq\":0}\n");
}

static void projects_of_auth_begin_there_too(void **state)
{
	struct sio_connect req = { .auth = "{\"token\":\"anna\",\"projects\":[\"p1\"]}" };

	(void)state;
	server.on_connect(&req, server.arg);
	answer(STORE_USER_GET, STORE_NOT_FOUND, "", "");
	answer(STORE_ROLE_LIST, STORE_OK, "", "[{\"project_id\":\"p1\",\"role\":\"viewer\",\"seq\":7}]");
	expect_part(req.socket, "\"seq\":7,");
	assert_int_equal(emit(8), 1);
	expect(req.socket, "e {\"seq\":8}\n");
}

static void sent_once(void **state)
{
	struct sio_socket *anna = anna_at_10();

	(void)state;
	assert_int_equal(emit(9), 0);
	assert_int_equal(emit(10), 0);
	assert_int_equal(emit(11), 1);
	assert_int_equal(emit(11), 0);
	expect(anna, "e {\"seq\":11}\n");
}

/* What comes late by itself is waited for; then the rest is read. */
static void two_changed_places(void **state)
{
	struct sio_socket *anna = anna_at_10();

	(void)state;
	assert_int_equal(emit(12), 1);
	expect(anna, "");
	pass(20);
	assert_int_equal(emit(11), 1);
	expect(anna, "e {\"seq\":11}\n");
	pass(20); /* 12 is not kept here: it is read back */
	assert_int_equal(store.asks_n, 1);
	assert_int_equal(store.asks[0].after, 11);
	answer(STORE_EVENT_LIST, STORE_OK, "", "[" ROW("12") "]");
	expect(anna, "e {\"seq\":12}\n");
	assert_int_equal(emit(13), 1);
	expect(anna, "e {\"seq\":13}\n");
	pass(1000);
	assert_int_equal(store.asks_n, 0);
}

/* Committed, never sent: the next event shows it, the store has it. */
static void a_gap_is_filled(void **state)
{
	struct sio_socket *anna = anna_at_10();

	(void)state;
	assert_int_equal(emit(14), 1);
	assert_int_equal(emit(15), 1);
	pass(100);
	assert_string_equal(store.asks[0].project, "p1");
	assert_int_equal(store.asks[0].after, 10);
	assert_int_equal(emit(16), 1); /* meanwhile */
	expect(anna, "");
	answer(STORE_EVENT_LIST, STORE_OK, "", "[" ROW("11") "," ROW("12") "," ROW("13") "," ROW("14") "," ROW("15") "]");
	expect(anna, "e {\"seq\":11}\ne {\"seq\":12}\ne {\"seq\":13}\ne {\"seq\":14}\ne {\"seq\":15}\n");
	assert_int_equal(store.asks[0].after, 15);
	answer(STORE_EVENT_LIST, STORE_OK, "", "[" ROW("16") "]");
	expect(anna, "e {\"seq\":16}\n");
	assert_int_equal(emit(17), 1);
	expect(anna, "e {\"seq\":17}\n");
}

/* The one who caused a waiting event is left out all the same: its row says so. */
static void except_is_kept(void **state)
{
	struct sio_socket *anna = anna_at_10(), *ben = come("ben", "p1");
	char rows[256];

	(void)state;
	buf_clear(&anna->out);
	emit_except(12, sio_socket_id(ben));
	pass(100);
	assert_true(store.asks[0].with_except);
	snprintf(rows, sizeof(rows), "[" ROW("11") ",{\"seq\":12,\"type\":\"e\",\"data\":{\"seq\":12},\"created_at\":\"\",\"except_sid\":\"%s\"}]",
		 ben->id);
	answer(STORE_EVENT_LIST, STORE_OK, "", rows);
	expect(anna, "e {\"seq\":11}\ne {\"seq\":12}\n");
	expect(ben, "e {\"seq\":11}\n");
}

static void swept_away(void **state)
{
	struct sio_socket *anna = anna_at_10();

	(void)state;
	/* Part of it is gone: what is there is sent. */
	emit(20);
	pass(100);
	answer(STORE_EVENT_LIST, STORE_OK, "", "[" ROW("19") "," ROW("20") "]");
	expect(anna, "e {\"seq\":19}\ne {\"seq\":20}\n");
	/* All of it: go on behind it. */
	log_setup(SIO_LOG_ERROR + 1, false);
	emit(25);
	pass(100);
	answer(STORE_EVENT_LIST, STORE_OK, "", "[]");
	log_setup(SIO_LOG_ERROR, false);
	expect(anna, "");
	assert_int_equal(emit(26), 1);
	expect(anna, "e {\"seq\":26}\n");
}

static void a_store_that_is_away(void **state)
{
	struct sio_socket *anna = anna_at_10();

	(void)state;
	emit(12);
	pass(100);
	answer(STORE_EVENT_LIST, STORE_BUSY, "", "");
	assert_int_equal(store.asks_n, 0);
	pass(300);
	answer(STORE_EVENT_LIST, STORE_OK, "", "[" ROW("11") "," ROW("12") "]");
	expect(anna, "e {\"seq\":11}\ne {\"seq\":12}\n");
	emit(14);
	store.refuse = SIO_ERR_BUSY;
	log_setup(SIO_LOG_ERROR + 1, false);
	pass(5000); /* it stays away: the room goes on */
	log_setup(SIO_LOG_ERROR, false);
	store.refuse = 0;
	assert_int_equal(emit(15), 1);
	expect(anna, "e {\"seq\":15}\n");
	emit(17);
	store.refuse = SIO_ERR_CLOSED;
	pass(100);
	store.refuse = 0;
}

/* Everybody leaves while the store is asked; somebody comes back into a new room. */
static void the_room_goes(void **state)
{
	struct sio_socket *anna = anna_at_10(), *ben;

	(void)state;
	emit(12);
	pass(100);
	send_event(anna, "leave_project", "{\"project_id\":\"p1\"}", 0);
	answer(STORE_EVENT_LIST, STORE_OK, "", "[" ROW("11") "," ROW("12") "]");
	expect(anna, "left_project {\"project_id\":\"p1\",\"message\":\"Left project p1\"}\n");
	/* With the timer running. */
	store.seq = 12;
	ben = come("ben", "p1");
	emit(14);
	send_event(ben, "leave_project", "{\"project_id\":\"p1\"}", 0);
	buf_clear(&ben->out);
	pass(100);
	assert_int_equal(store.asks_n, 0);
	/* The answer for the old room meets a new one. */
	send_event(ben, "join_project", "{\"project_id\":\"p1\"}", 0);
	answer_role("editor");
	emit(14);
	pass(100);
	send_event(ben, "leave_project", "{\"project_id\":\"p1\"}", 0);
	send_event(ben, "join_project", "{\"project_id\":\"p1\"}", 0);
	buf_clear(&ben->out);
	store.seq = 14;
	answer(STORE_EVENT_LIST, STORE_OK, "", "[" ROW("13") "," ROW("14") "]");
	answer_role("editor");
	expect_part(ben, "\"seq\":14,");
	assert_int_equal(emit(15), 1);
	expect(ben, "e {\"seq\":15}\n");
}

/* Two rooms wait for themselves; the end takes a waiting one along. */
static void rooms_wait_alone(void **state)
{
	struct sio_socket *anna = anna_at_10();
	const struct collab_emit other = { .event = SIO_LIT("o"), .args = SIO_LIT("1") };

	(void)state;
	send_event(anna, "join_project", "{\"project_id\":\"p2\"}", 0);
	answer_role("editor");
	buf_clear(&anna->out);
	emit(12);
	assert_int_equal(collab_emit_durable(collab, SIO_LIT("p2"), 11, &other), 1);
	expect(anna, "o 1\n");
	assert_int_equal(collab_emit_durable(collab, SIO_LIT("p2"), 13, &other), 1);
	pass(100);
	assert_int_equal(store.asks_n, 2);
	answer(store.asks[0].op, STORE_OK, "", store.asks[0].after == 10 ? "[" ROW("11") "," ROW("12") "]" : "[" ROW("12") "," ROW("13") "]");
	answer(store.asks[0].op, STORE_OK, "", store.asks[0].after == 10 ? "[" ROW("11") "," ROW("12") "]" : "[" ROW("12") "," ROW("13") "]");
	buf_clear(&anna->out);
	emit(13);
	expect(anna, "e {\"seq\":13}\n");
	emit(15);
}

/* ---- other servers ------------------------------------------------------------------------ */

static void expect_told(const char *want)
{
	buf_byte(&server.told, '\0');
	assert_string_equal(server.told.p, want);
	buf_clear(&server.told);
}

static void another_server_says(const char *name, uint64_t ack, const char *json)
{
	const struct sio_server_event event = {
		.name = sio_str(name), .args = { .json = sio_str(json) }, .node = SIO_LIT("node"), .ack = ack
	};

	server.on_server_event(NULL, &event, server.server_event_arg);
}

/* A committed event of this server, of room p1 or another. */
static void commit(const char *project, int64_t seq, int64_t position, sio_slice except)
{
	const struct collab_emit e = { .event = SIO_LIT("e"), .args = SIO_LIT("{}"), .except_sid = except, .position = position };

	assert_true(collab_emit_durable(collab, sio_str(project), seq, &e) >= 0);
}

static void own_events_are_told_to_other_servers(void **state)
{
	struct collab_emit e = { .event = SIO_LIT("e"), .args = SIO_LIT("{}"), .position = 113, .is_local = true };

	(void)state;
	anna_at_10();
	commit("p1", 11, 111, SIO_LIT(""));
	expect_told(""); /* there is nobody */
	server.others_n = 1;
	commit("p1", 12, 112, SIO_LIT("sid \"1\""));
	expect_told("project:p1 committed 112\n");
	collab_emit_durable(collab, SIO_LIT("p1"), 13, &e); /* they find it themselves */
	expect_told("");
	commit("p1", 15, 115, SIO_LIT("")); /* though our own room has to wait */
	expect_told("project:p1 committed 115\n");
	commit("p9", 3, 116, SIO_LIT(""));
	expect_told("project:p9 committed 116\n"); /* nobody is here, maybe there */
	e = (struct collab_emit){ .event = SIO_LIT("e"), .args = SIO_LIT("{}"), .position = 117 };
	collab_emit_user(collab, SIO_LIT("ben"), &e);
	expect_told("user:ben committed 117\n"); /* and not the event itself: they find it in the store */
	e.position = 0;
	collab_emit_user(collab, SIO_LIT("ben"), &e);
	expect_told("");
}

static void commit_of(const char *project, int64_t seq, int64_t position, int64_t newest)
{
	const struct collab_emit e = { .event = SIO_LIT("e"), .args = SIO_LIT("{}"), .position = position, .newest = newest };

	assert_true(collab_emit_durable(collab, sio_str(project), seq, &e) >= 0);
}

/* Who looks because of one event of a commit sees all of it. */
static void a_commit_is_told_once_to_each_room(void **state)
{
	char id[16];

	(void)state;
	anna_at_10();
	server.others_n = 1;
	commit_of("p1", 11, 111, 114);
	expect_told("project:p1 committed 111\n");
	commit_of("p1", 12, 112, 114);
	expect_told("");
	commit_of("p2", 5, 113, 114); /* another room: others may be there */
	expect_told("project:p2 committed 113\n");
	commit_of("p1", 13, 114, 114);
	expect_told("");
	commit_of("p1", 14, 115, 116); /* the next commit: those who looked may have looked before it */
	expect_told("project:p1 committed 115\n");
	commit_of("p2", 6, 116, 116);
	expect_told("project:p2 committed 116\n");
	/* More rooms than are remembered: told once too often, never too rarely. */
	for (int i = 0; i < 20; i++) {
		snprintf(id, sizeof(id), "r%d", i);
		commit_of(id, 1, 120 + i, 200);
		buf_clear(&server.told);
	}
	commit_of("r19", 2, 150, 200);
	expect_told("");
	commit_of("r0", 2, 151, 200);
	expect_told("project:r0 committed 151\n");
}

/* Those who could not be told are told by the next event. */
static void a_commit_that_could_not_be_told(void **state)
{
	(void)state;
	anna_at_10();
	server.others_n = 1;
	server.tell_fails = true;
	commit_of("p1", 11, 111, 113);
	expect_told("");
	server.tell_fails = false;
	commit_of("p1", 12, 112, 113);
	expect_told("project:p1 committed 112\n");
	commit_of("p1", 13, 113, 113);
	expect_told("");
}

/* Once for each event, by the server that has committed it, whether it has anybody or must wait, or is alone. */
static void own_events_are_told_to_processes_of_other_kinds(void **state)
{
	struct collab_emit e = { .event = SIO_LIT("e"), .args = SIO_LIT("{\"n\":1}"), .position = 113, .is_local = true };

	(void)state;
	anna_at_10();
	commit("p1", 11, 111, SIO_LIT(""));
	commit("p1", 13, 112, SIO_LIT("sid-1")); /* our own room waits for 12, */
	e.position = 110;
	collab_emit_durable(collab, SIO_LIT("p1"), 12, &e); /* which is another server's */
	pass(60);
	answer(STORE_EVENT_LIST, STORE_OK, "", "[" ROW("13") "]");
	commit("p9", 3, 116, SIO_LIT(""));
	e.is_local = false;
	e.position = 117;
	collab_emit_user(collab, SIO_LIT("ben"), &e);
	e.position = 0; /* the hub tells it by itself */
	collab_emit_user(collab, SIO_LIT("ben"), &e);
	buf_byte(&server.outside, '\0');
	assert_string_equal(server.outside.p, "project:p1 e {}\nproject:p1 less sid-1 e {}\nproject:p9 e {}\nuser:ben e {\"n\":1}\n");
}

/* The store is the truth: what others say makes us look there. */
static void other_servers_wake_us(void **state)
{
	struct sio_socket *anna = anna_at_10();

	(void)state;
	server.others_n = 1;
	buf_clear(&anna->out);
	another_server_says("committed", SIO_ACK_NONE, "111");
	another_server_says("committed", SIO_ACK_NONE, "112,\"more, of a newer one\"");
	assert_int_equal(store.looks_n, 2);
	expect(anna, "");
	expect_told(""); /* nothing of this goes on to others */
}

static void a_session_that_has_moved(void **state)
{
	struct sio_socket *anna = anna_at_10();
	char text[64];

	(void)state;
	server.others_n = 1;
	another_server_says("taken", SIO_ACK_NONE, "\"socket-of-another-12\"");
	assert_false(anna->was_closed);
	snprintf(text, sizeof(text), "\"%s\"", anna->id);
	another_server_says("taken", SIO_ACK_NONE, text);
	assert_true(anna->was_closed);
}

static void nonsense_of_other_servers(void **state)
{
	static const char *const all[] = { "", "1.5", "\"p1\"", "\"p1\",\"\"", "{},{}" };
	struct sio_socket *anna = anna_at_10();

	(void)state;
	server.others_n = 1;
	buf_clear(&anna->out);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		another_server_says("committed", SIO_ACK_NONE, all[i]);
		another_server_says("taken", SIO_ACK_NONE, all[i]);
	}
	another_server_says("unknown", SIO_ACK_NONE, "\"p1\"");
	another_server_says("unknown", 7, "\"p1\"");
	another_server_says("presence", 7, "");
	another_server_says("presence", 7, "{}");
	expect(anna, "");
	expect_told("");
	assert_int_equal(store.looks_n, 0);
	assert_false(anna->was_closed);
}

static void questions_of_other_servers(void **state)
{
	(void)state;
	anna_at_10();
	server.others_n = 1;
	another_server_says("presence", 8, "\"nobody\"");
	expect_told(""); /* there is no such question */
	another_server_says("disconnect", 9, "\"anna\"");
	expect_told("node 9 {\"disconnected\":1}\n");
	another_server_says("user", 9, "\"anna\"");
	expect_told("node 9 {\"user_id\":\"anna\",\"connections\":0,\"sockets\":[]}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_room_begins_where_the_store_stands, setup, teardown),
		cmocka_unit_test_setup_teardown(projects_of_auth_begin_there_too, setup, teardown),
		cmocka_unit_test_setup_teardown(sent_once, setup, teardown),
		cmocka_unit_test_setup_teardown(two_changed_places, setup, teardown),
		cmocka_unit_test_setup_teardown(a_gap_is_filled, setup, teardown),
		cmocka_unit_test_setup_teardown(except_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(swept_away, setup, teardown),
		cmocka_unit_test_setup_teardown(a_store_that_is_away, setup, teardown),
		cmocka_unit_test_setup_teardown(the_room_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(rooms_wait_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(own_events_are_told_to_other_servers, setup, teardown),
		cmocka_unit_test_setup_teardown(own_events_are_told_to_processes_of_other_kinds, setup, teardown),
		cmocka_unit_test_setup_teardown(a_commit_is_told_once_to_each_room, setup, teardown),
		cmocka_unit_test_setup_teardown(a_commit_that_could_not_be_told, setup, teardown),
		cmocka_unit_test_setup_teardown(other_servers_wake_us, setup, teardown),
		cmocka_unit_test_setup_teardown(a_session_that_has_moved, setup, teardown),
		cmocka_unit_test_setup_teardown(nonsense_of_other_servers, setup, teardown),
		cmocka_unit_test_setup_teardown(questions_of_other_servers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
