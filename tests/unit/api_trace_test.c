/* api_trace_test.c -- packets as <sio/trace.h> tells them, and the board that keeps them: filters, what is hidden, bounds,
 * leases.  On a server without a network.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sio/json.h>
#include <sio/room.h>
#include <sio/testing.h>

#include "api/trace.h"

static struct sio_server *server;
static struct trace_board *board;
static struct sio_socket *last;
static unsigned told;

static void on_connect(struct sio_connect *req, void *arg)
{
	(void)arg;
	last = sio_connect_accept(req);
	assert_int_equal(sio_room_join(last, SIO_LIT("user:anna")), SIO_OK);
}

static void on_echo(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)arg;
	sio_socket_emit(socket, SIO_LIT("echoed"), &event->args);
}

static void on_packet(const struct sio_trace_packet *packet, void *arg)
{
	(void)arg;
	told++;
	trace_note(board, packet, SIO_LIT("anna"), 1764304200120);
}

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(sio_test_server_new(NULL, &server), SIO_OK);
	sio_on_connect(server, on_connect, NULL);
	assert_int_equal(sio_on_event(server, "echo", on_echo, NULL), SIO_OK);
	assert_int_equal(sio_server_trace(server, on_packet, NULL), SIO_OK);
	board = trace_board_new();
	assert_non_null(board);
	told = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	sio_server_free(server);
	trace_board_free(board);
	return 0;
}

static const char *begin(enum trace_kind kind, const char *filter, uint64_t now_ms)
{
	static char id[RANDOM_ID_LEN + 1];

	assert_int_equal(trace_add(board, kind, sio_str(filter), now_ms, id), SIO_OK);
	return id;
}

/* What waits; the caller frees it. */
static char *fetch(const char *id, uint64_t now_ms)
{
	struct buf b = { 0 };

	buf_byte(&b, '{');
	assert_true(trace_fetch(board, sio_str(id), now_ms, &b));
	buf_str(&b, "}");
	assert_int_equal(sio_json_check(buf_peek(&b)), SIO_OK);
	buf_byte(&b, '\0');
	return b.p;
}

static void expect(const char *id, const char *part)
{
	char *got = fetch(id, 0);

	if (!strstr(got, part))
		fail_msg("%s is not in %s", part, got);
	free(got);
}

static void test_in_and_out(void **state)
{
	struct sio_test_client *c = sio_test_connect(server, "/", "{\"token\":\"secret\"}");
	const char *id = begin(TRACE_USER, "user:anna", 0);

	(void)state;
	sio_test_emit(c, "echo", "1,\"\xc3\xa9\"");
	expect(id, "\"user\":\"anna\",\"direction\":\"in\",\"transport\":\"websocket\",\"type\":\"event\",\"namespace\":\"/\",\"event\":\"echo\","
		   "\"args\":[1,\"\xc3\xa9\"],\"bytes\":16},{\"time\":\"2025-11-28T04:30:00.120Z\"");
	sio_test_emit(c, "echo", "2");
	expect(id, "\"direction\":\"out\",\"transport\":\"websocket\",\"type\":\"event\",\"namespace\":\"/\",\"event\":\"echoed\",\"args\":[2]");
	sio_test_emit(c, "nothing", "");
	expect(id, "\"event\":\"nothing\",\"args\":[]");
}

static void test_off_is_off(void **state)
{
	struct sio_test_client *c = sio_test_connect(server, "/", NULL);

	(void)state;
	assert_int_equal(sio_server_trace(server, NULL, NULL), SIO_OK);
	told = 0;
	sio_test_emit(c, "echo", "1");
	assert_int_equal(told, 0);
}

static void test_filters(void **state)
{
	struct sio_test_client *c = sio_test_connect(server, "/", NULL);
	char *other = strdup(begin(TRACE_USER, "user:ben", 0));
	char sid[64];
	const char *mine;

	(void)state;
	snprintf(sid, sizeof(sid), "%.*s", (int)sio_socket_id(last).n, sio_socket_id(last).p);
	mine = begin(TRACE_SID, sid, 0);
	sio_test_emit(c, "echo", "1");
	expect(other, "{\"packets\":[],\"missed\":0}");
	expect(mine, "\"event\":\"echo\"");
	expect(mine, "{\"packets\":[],\"missed\":0}"); /* fetched once */
	free(other);
}

static void note(const char *type, const char *name, const char *data)
{
	struct sio_trace_packet packet = {
		.socket = last, .type = type, .nsp = SIO_LIT("/"), .name = sio_str(name), .data = sio_str(data), .id = SIO_TRACE_NO_ID,
	};

	trace_note(board, &packet, SIO_LIT("anna"), 0);
}

static void test_secrets_are_hidden(void **state)
{
	static const struct { const char *type, *name; bool is_hidden; } table[] = {
		{ "connect", "", true },
		{ "malformed", "", true },
		{ "event", "\"auth:refresh\"", true },
		{ "event", "\"auth\\u003arefresh\"", true },
		{ "binary_event", "\"auth:refresh\"", true },
		{ "event", "\"auth:refreshed\"", false },
		{ "event", "17", false },
		{ "ack", "", false },
	};
	const char *id;

	(void)state;
	sio_test_connect(server, "/", NULL);
	id = begin(TRACE_USER, "user:anna", 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char *got;

		note(table[i].type, table[i].name, "\"SECRET\"");
		got = fetch(id, 0);
		assert_int_equal(strstr(got, "SECRET") == NULL, table[i].is_hidden);
		assert_int_equal(strstr(got, "\"is_hidden\":true") != NULL, table[i].is_hidden);
		free(got);
	}
}

static void test_long_data_is_cut_between_characters(void **state)
{
	char data[2 * TRACE_DATA_MAX];
	const char *id;

	(void)state;
	sio_test_connect(server, "/", NULL);
	id = begin(TRACE_USER, "user:anna", 0);
	for (size_t shift = 0; shift < 4; shift++) {
		memset(data, '1', shift);
		for (size_t i = shift; i + 3 < sizeof(data); i += 3)
			memcpy(data + i, "\xe2\x82\xac", 4);
		note("event", "\"x\"", data);
		expect(id, "\"begin\":\""); /* and all of it is JSON */
	}
}

static void test_what_is_too_much_is_counted(void **state)
{
	char data[TRACE_DATA_MAX];
	const char *id;
	char *got;

	(void)state;
	sio_test_connect(server, "/", NULL);
	id = begin(TRACE_USER, "user:anna", 0);
	memset(data, '1', sizeof(data) - 1);
	data[sizeof(data) - 1] = '\0';
	for (int i = 0; i < 1000; i++)
		note("event", "\"x\"", data);
	got = fetch(id, 0);
	assert_true(strlen(got) <= TRACE_WAITING_MAX + 64);
	assert_null(strstr(got, "\"missed\":0"));
	free(got);
	expect(id, "{\"packets\":[],\"missed\":0}");
}

static void test_leases(void **state)
{
	char id[RANDOM_ID_LEN + 1], *first = strdup(begin(TRACE_USER, "user:a", 0));
	struct buf b = { 0 };

	(void)state;
	for (int i = 1; i < TRACES_MAX; i++)
		begin(TRACE_USER, "user:b", 0);
	assert_int_equal(trace_add(board, TRACE_USER, SIO_LIT("user:c"), TRACE_LEASE_MS - 1, id), SIO_ERR_LIMIT);
	free(fetch(first, TRACE_LEASE_MS - 1)); /* its lease begins anew */
	assert_true(trace_sweep(board, TRACE_LEASE_MS));
	for (int i = 1; i < TRACES_MAX; i++)
		begin(TRACE_USER, "user:d", TRACE_LEASE_MS);
	assert_int_equal(trace_add(board, TRACE_USER, SIO_LIT("user:c"), TRACE_LEASE_MS, id), SIO_ERR_LIMIT);
	assert_true(trace_remove(board, sio_str(first)));
	assert_false(trace_remove(board, sio_str(first)));
	assert_false(trace_remove(board, SIO_LIT("")));
	assert_false(trace_fetch(board, sio_str(first), 0, &b));
	assert_false(trace_fetch(board, SIO_LIT(""), 0, &b));
	assert_false(trace_sweep(board, 3 * TRACE_LEASE_MS));
	buf_fini(&b);
	free(first);
}

static void test_a_filter_that_is_too_long(void **state)
{
	char filter[TRACE_FILTER_MAX + 2], id[RANDOM_ID_LEN + 1];

	(void)state;
	memset(filter, 'x', sizeof(filter));
	assert_int_equal(trace_add(board, TRACE_USER, sio_bytes(filter, TRACE_FILTER_MAX + 1), 0, id), SIO_ERR_INVAL);
	assert_int_equal(trace_add(board, TRACE_USER, sio_bytes(filter, TRACE_FILTER_MAX), 0, id), SIO_OK);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_in_and_out),
		TEST(test_off_is_off),
		TEST(test_filters),
		TEST(test_secrets_are_hidden),
		TEST(test_long_data_is_cut_between_characters),
		TEST(test_what_is_too_much_is_counted),
		TEST(test_leases),
		TEST(test_a_filter_that_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
