/* host_carry_test.c -- requests for a session of another server, carried to their owner: two
 * and three servers without a network on one bus, in simulated time.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sio/handshake.h>
#include <sio/testing.h>

#include "host/host.h"

enum { SERVERS = 3, MAX_PAYLOAD = 400000 };

static struct sio_server *servers[SERVERS];
static struct sio_bus *bus;
static struct net_pipe *pipes[256]; /* of talk: each is used as long as its server */
static unsigned pipes_n;
static char reason[64];        /* of the last disconnect */
static unsigned events_n, errors_n;
static struct buf got;         /* arguments of the events that came, one behind the other */

/* ---- servers ---------------------------------------------------------------------- */

/* Until nothing is under way. */
static void settle(void)
{
	for (int round = 0; round < 12; round++)
		for (int i = 0; i < SERVERS; i++)
			if (servers[i])
				sio_test_run(servers[i], 0);
}

static void run(uint32_t ms)
{
	for (uint32_t at = 0; at < ms; at += 50) {
		for (int i = 0; i < SERVERS; i++)
			if (servers[i])
				sio_test_run(servers[i], 50);
		settle();
	}
}

static void on_event(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)arg;
	events_n++;
	buf_slice(&got, event->args.json);
	buf_byte(&got, ';');
	assert_int_equal(sio_socket_emit(socket, SIO_LIT("echo"), &event->args), SIO_OK);
}

static void on_connect(struct sio_connect *req, void *arg)
{
	(void)arg;
	sio_connect_accept(req);
}

static void on_disconnect(struct sio_socket *socket, sio_slice why, void *arg)
{
	(void)socket, (void)arg;
	snprintf(reason, sizeof(reason), "%.*s", (int)why.n, why.p);
}

static void on_error(const struct sio_connection_error *error, void *arg)
{
	(void)error, (void)arg;
	errors_n++;
}

static void server_start(int i)
{
	static const char *const origins[] = { "https://app.example", NULL };
	static const char *const proxies[] = { "192.0.2.1", NULL };
	const struct sio_server_options options = {
		.max_payload_bytes = MAX_PAYLOAD, .origins = origins, .trusted_proxies = proxies,
		.ping_interval_ms = 5000, .ping_timeout_ms = 4000,
	};

	assert_int_equal(sio_test_server_new(&options, &servers[i]), SIO_OK);
	assert_int_equal(sio_bus_memory_join(bus, servers[i]), SIO_OK);
	sio_namespace_on_connect(sio_namespace_main(servers[i]), on_connect, NULL);
	sio_namespace_on_disconnect(sio_namespace_main(servers[i]), on_disconnect, NULL);
	assert_int_equal(sio_on_event(servers[i], "say", on_event, NULL), SIO_OK);
	sio_on_connection_error(servers[i], on_error, NULL);
}

static void server_end(int i)
{
	sio_server_close(servers[i], 0);
	sio_server_free(servers[i]);
	servers[i] = NULL;
}

static int setup(void **state)
{
	(void)state;
	reason[0] = '\0';
	events_n = errors_n = 0;
	bus = sio_bus_memory_new();
	for (int i = 0; i < SERVERS; i++)
		server_start(i);
	return 0;
}

/* Whatever a test does, nothing may stay behind. */
static int teardown(void **state)
{
	(void)state;
	run(30000);
	for (int i = 0; i < SERVERS; i++)
		if (servers[i]) {
			assert_int_equal(servers[i]->carry.carriages.n, 0);
			assert_int_equal(servers[i]->carry.carried.n, 0);
			server_end(i);
		}
	while (pipes_n > 0)
		free(pipes[--pipes_n]);
	sio_bus_memory_free(bus);
	buf_fini(&got);
	return 0;
}

static struct sio_stats stats(int i)
{
	struct sio_stats s;

	sio_server_stats(servers[i], &s);
	return s;
}

/* ---- requests ------------------------------------------------------------------------ */

static char sid[EIO_SID_MAX + 1];

static const char *target(const char *more)
{
	static char text[256];

	snprintf(text, sizeof(text), "/socket.io/?EIO=4&transport=polling%s%s%s", sid[0] ? "&sid=" : "", sid, more);
	return text;
}

static struct sio_test_request *ask(int i, const char *method, const char *body)
{
	struct sio_test_request *r = sio_test_request(servers[i], method, target(""), "", sio_str(body));

	settle();
	return r;
}

static void expect(struct sio_test_request *r, int status, const char *body)
{
	settle();
	assert_int_equal(sio_test_request_status(r), status);
	assert_int_equal(sio_test_request_body(r).n, strlen(body));
	assert_memory_equal(sio_test_request_body(r).p, body, strlen(body));
}

#define UNKNOWN "{\"code\":1,\"message\":\"Session ID unknown\"}"

/* A polling session of server i with a socket in "/". */
static void open_at(int i)
{
	struct sio_test_request *r;
	sio_slice body;

	sid[0] = '\0';
	r = ask(i, "GET", "");
	assert_int_equal(sio_test_request_status(r), 200);
	body = sio_test_request_body(r);
	assert_memory_equal(body.p, "0{\"sid\":\"", 9);
	memcpy(sid, body.p + 9, EIO_SID_MAX);
	assert_int_equal(body.p[9 + EIO_SID_MAX], '"');
	expect(ask(i, "POST", "40"), 200, "ok");
	r = ask(i, "GET", "");
	assert_memory_equal(sio_test_request_body(r).p, "40{", 3);
}

static void names_its_owner(void **state)
{
	sio_slice node = sio_server_node(servers[1]);

	(void)state;
	open_at(1);
	assert_int_equal(strlen(sid), 40);
	assert_memory_equal(sid, node.p, node.n);
}

static void every_request_elsewhere(void **state)
{
	char text[64];

	(void)state;
	open_at(0);
	for (int i = 0; i < 30; i++) {
		snprintf(text, sizeof(text), "42[\"say\",%d]", i);
		expect(ask(i % 3, "POST", text), 200, "ok");
		snprintf(text, sizeof(text), "42[\"echo\",%d]", i);
		expect(ask((i + 1) % 3, "GET", ""), 200, text);
	}
	assert_int_equal(events_n, 30);
	assert_int_equal(stats(0).carried_in_total, 40);
	assert_int_equal(stats(1).carried_out_total + stats(2).carried_out_total, 40);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(stats(i).adapter_refused_total, 0);
		assert_int_equal(stats(i).carried_strays_total, 0);
		assert_int_equal(stats(i).carried, 0);
	}
}

static void a_get_is_held(void **state)
{
	struct sio_test_request *r;

	(void)state;
	open_at(0);
	r = ask(1, "GET", "");
	run(1000);
	assert_int_equal(sio_test_request_status(r), 0);
	assert_int_equal(stats(0).carried, 1);
	assert_int_equal(stats(1).carried, 1);
	expect(ask(2, "POST", "42[\"say\",1]"), 200, "ok");
	expect(r, 200, "42[\"echo\",1]");
	r = ask(1, "GET", ""); /* its ping, too */
	run(5000);
	expect(r, 200, "2");
}

static void two_gets_at_once(void **state)
{
	struct sio_test_request *first, *second;

	(void)state;
	open_at(0);
	first = ask(1, "GET", "");
	second = ask(2, "GET", "");
	expect(second, 400, "");
	expect(first, 200, "1");
	assert_string_equal(reason, "transport error");
	expect(ask(2, "GET", ""), 400, UNKNOWN);
}

/* ---- ends ------------------------------------------------------------------------------- */

static void the_client_hangs_up(void **state)
{
	struct sio_test_request *r;

	(void)state;
	open_at(0);
	r = ask(1, "GET", "");
	sio_test_request_drop(r);
	settle();
	assert_string_equal(reason, "transport error");
	assert_int_equal(stats(0).connections, 0);
}

static void the_owner_ends(void **state)
{
	struct sio_test_request *r;

	(void)state;
	open_at(0);
	r = ask(1, "GET", "");
	server_end(0);
	expect(r, 200, "1"); /* it had time to say so */
	expect(ask(2, "GET", ""), 400, UNKNOWN);
	expect(ask(2, "POST", "42[\"say\",1]"), 400, UNKNOWN);
	assert_int_equal(errors_n, 2);
}

/* As if it were killed: the others hear of its end, and nothing else. */
static void the_owner_is_killed(void **state)
{
	struct sio_test_request *r;
	char node[SIO_NODE_ID_LEN];

	(void)state;
	open_at(0);
	memcpy(node, sio_server_node(servers[0]).p, sizeof(node));
	r = ask(1, "GET", "");
	sio_adapter_node_gone(servers[1], sio_bytes(node, sizeof(node)));
	expect(r, 400, UNKNOWN);
	assert_int_equal(sio_test_request_header(r, "content-type").n, strlen("application/json"));
}

static void the_carrier_ends(void **state)
{
	struct sio_test_request *r;

	(void)state;
	open_at(0);
	r = ask(1, "GET", "");
	sio_server_close(servers[1], 1000);
	settle();
	assert_int_equal(sio_test_request_status(r), 503);
	assert_string_equal(reason, "transport error");
	sio_server_free(servers[1]);
	servers[1] = NULL;
}

static void the_carrier_is_killed(void **state)
{
	(void)state;
	open_at(0);
	ask(1, "GET", "");
	sio_adapter_node_gone(servers[0], sio_server_node(servers[1]));
	settle();
	assert_string_equal(reason, "transport error");
	run(20000); /* the carrier, which is alive after all, does not wait for ever */
	assert_int_equal(stats(1).carried, 0);
}

/* The way to the others is lost at one of the two: both end it without waiting for a time-out. */
static void the_carrier_hears_nobody(void **state)
{
	struct sio_test_request *r;

	(void)state;
	open_at(0);
	r = ask(1, "GET", "");
	sio_adapter_lost(servers[1], sio_bytes("", 0));
	settle();
	assert_int_equal(sio_test_request_status(r), 503);
	assert_string_equal(reason, "transport error");
	assert_int_equal(stats(0).carried + stats(1).carried, 0);
	open_at(0);
	ask(1, "GET", ""); /* what begins behind it is carried, whoever else is lost */
	settle();
	sio_adapter_lost(servers[1], sio_server_node(servers[2]));
	settle();
	assert_int_equal(stats(0).carried, 1);
}

static void the_owner_hears_nobody(void **state)
{
	(void)state;
	open_at(0);
	ask(1, "GET", "");
	sio_adapter_lost(servers[0], sio_server_node(servers[1]));
	settle();
	assert_string_equal(reason, "transport error");
	assert_int_equal(stats(0).carried + stats(1).carried, 0);
}

static void the_owner_is_silent(void **state)
{
	struct sio_test_request *r;
	struct sio_server *owner;

	(void)state;
	open_at(0);
	owner = servers[0];
	servers[0] = NULL; /* takes no turns */
	r = ask(1, "GET", "");
	run(9000);
	assert_int_equal(sio_test_request_status(r), 0);
	run(CARRY_GRACE_MS);
	expect(r, 400, UNKNOWN);
	servers[0] = owner;
}

static void sids_of_nobody(void **state)
{
	(void)state;
	open_at(0);
	sid[30] = sid[30] == 'a' ? 'b' : 'a'; /* the owner does not know it */
	expect(ask(0, "GET", ""), 400, UNKNOWN);
	expect(ask(1, "GET", ""), 400, UNKNOWN);
	assert_int_equal(stats(1).carried_out_total, 1);
	sid[3] = sid[3] == 'a' ? 'b' : 'a'; /* no such node */
	expect(ask(1, "GET", ""), 400, UNKNOWN);
	strcpy(sid, "abcdefghijklmnopqrst");
	expect(ask(1, "GET", ""), 400, UNKNOWN);
	assert_int_equal(stats(1).carried_out_total, 1);
}

/* ---- the same answer, whoever is asked ----------------------------------------------------- */

/* A connection of server i that sends bytes; what it is sent, without the date. */
static struct buf talk(int i, const char *bytes, size_t n)
{
	struct net_pipe *pipe = calloc(1, sizeof(*pipe));
	struct buf out;
	char *date;

	pipes[pipes_n++] = pipe;
	strcpy(pipe->address, "192.0.2.9");
	buf_put(&pipe->in, bytes, n);
	assert_int_equal(net_pipe_open(servers[i]->net, pipe), SIO_OK);
	settle();
	pipe->is_ended = true;
	settle();
	assert_null(pipe->conn);
	out = pipe->out;
	buf_byte(&out, '\0');
	while ((date = strstr(out.p, "\r\nDate: ")) != NULL) {
		char *end = strstr(date + 2, "\r\n");
		memmove(date, end, (size_t)(out.p + out.n - end));
		out.n -= (size_t)(end - date);
	}
	buf_fini(&pipe->in);
	pipe->out = (struct buf){ 0 };
	return out;
}

static void same_answer(const char *fmt)
{
	static const char keys[] = "Host: h\r\nOrigin: https://app.example\r\n";
	struct buf request = { 0 }, own, other;

	open_at(0);
	buf_printf(&request, fmt, sid, keys);
	own = talk(0, request.p, request.n);
	open_at(0);
	buf_clear(&request);
	buf_printf(&request, fmt, sid, keys);
	other = talk(2, request.p, request.n);
	assert_string_equal(own.p, other.p);
	assert_true(own.n > 20 || strstr(fmt, "h2c")); /* that one waits */
	buf_fini(&own);
	buf_fini(&other);
	buf_fini(&request);
}

#define PATH "/socket.io/?EIO=4&transport=polling&sid=%s"
#define WS "/socket.io/?EIO=4&transport=websocket&sid=%s"
#define UPGRADE "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static void the_same_answer(void **state)
{
	static const char *const requests[] = {
		"POST " PATH " HTTP/1.1\r\n%sContent-Length: 2\r\n\r\n42",
		"POST " PATH " HTTP/1.1\r\n%sContent-Length: 1\r\n\r\n9",
		"POST " PATH " HTTP/1.1\r\n%sContent-Length: 0\r\n\r\n",
		"POST " PATH " HTTP/1.1\r\n%sContent-Type: application/octet-stream\r\nContent-Length: 2\r\n\r\n42",
		"POST " PATH " HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n2\r\n42\r\n2\r\n[]\r\n0\r\n\r\n",
		"POST " PATH " HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST " PATH " HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\nfffff\r\n4",
		"POST " PATH " HTTP/1.1\r\n%sContent-Length: 400001\r\n\r\n4",
		"POST " PATH " HTTP/1.1\r\n%sConnection: close\r\nContent-Length: 1\r\n\r\n3",
		"POST " PATH " HTTP/1.1\r\n%sExpect: 100-continue\r\nContent-Length: 1\r\n\r\n3",
		"POST " PATH " HTTP/1.0\r\n%sContent-Length: 1\r\n\r\n3",
		"POST " PATH " HTTP/1.0\r\n%sConnection: keep-alive\r\nContent-Length: 1\r\n\r\n3",
		"POST " PATH " HTTP/1.1\r\n%sContent-Length: 1\r\n\r\n1",
		"PUT " PATH " HTTP/1.1\r\n%sContent-Length: 1\r\n\r\n3",
		"DELETE " PATH " HTTP/1.1\r\n%s\r\n",
		"HEAD " PATH " HTTP/1.1\r\n%s\r\n",
		"OPTIONS " PATH " HTTP/1.1\r\n%sAccess-Control-Request-Method: POST\r\n\r\n",
		"OPTIONS " PATH " HTTP/1.1\r\n%s\r\n",
		"GET " PATH " HTTP/1.1\r\n%sContent-Length: 3\r\n\r\nabc",
		"GET " PATH " HTTP/1.1\r\n%sConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
		"GET " WS " HTTP/1.1\r\n%s\r\n",
		"GET " WS " HTTP/1.1\r\n%sConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 7\r\n\r\n",
		"GET " WS " HTTP/1.1\r\n%sConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
		"GET " WS "&EIO=3 HTTP/1.1\r\n%s" UPGRADE "\r\n",
		"POST " WS " HTTP/1.1\r\n%s" UPGRADE "\r\n",
		"GET " WS " HTTP/1.1\r\n%s" UPGRADE "\r\n\x81\x86\x00\x00\x00\x00" "2probe",
		"GET " WS " HTTP/1.1\r\n%s" UPGRADE "\r\n\x81\x81\x00\x00\x00\x00" "x",
		"GET " WS " HTTP/1.1\r\n%s" UPGRADE "\r\n\xff\x81\x00\x00\x00\x00" "x",
		"GET /socket.io/?EIO=4&transport=nothing&sid=%s HTTP/1.1\r\n%s\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		same_answer(requests[i]);
	assert_int_equal(stats(0).adapter_refused_total, 0);
}

/* Whose page it is judges the server that was called. */
static void a_wrong_origin_is_not_carried(void **state)
{
	struct sio_test_request *r;

	(void)state;
	open_at(0);
	r = sio_test_request(servers[1], "GET", target(""), "Origin: https://evil.example\r\n", sio_str(""));
	settle();
	assert_int_equal(sio_test_request_status(r), 403);
	assert_int_equal(stats(1).carried_out_total, 0);
	/* The server's own origin, as a trusted proxy tells it, is not the other one's. */
	expect(ask(1, "POST", "42[\"say\",1]"), 200, "ok");
	r = sio_test_request(servers[1], "GET", target(""),
			     "Origin: https://shop.example\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n"
			     "X-Forwarded-For: 198.51.100.7\r\n",
			     sio_str(""));
	expect(r, 200, "42[\"echo\",1]");
}

static char seen[128];
static void on_headers(struct sio_headers *headers, const struct sio_request *request, void *arg)
{
	(void)arg, (void)headers;
	snprintf(seen, sizeof(seen), "%.*s %d %.*s", (int)sio_request_address(request).n, sio_request_address(request).p,
		 sio_request_is_secure(request), (int)sio_request_header(request, "x-mark").n,
		 sio_request_header(request, "x-mark").p);
}

static void the_owner_sees_who_asks(void **state)
{
	(void)state;
	open_at(0);
	sio_on_headers(servers[0], on_headers, NULL);
	sio_on_headers(servers[1], on_headers, NULL);
	sio_test_request(servers[1], "POST", target(""), "X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: https\r\nX-Mark: m\r\n",
			 SIO_LIT("3"));
	settle();
	assert_string_equal(seen, "198.51.100.7 1 m");
}

/* ---- much ------------------------------------------------------------------------------------ */

static void the_largest_post(void **state)
{
	char *body = malloc(MAX_PAYLOAD + 1);
	struct sio_test_request *r;

	(void)state;
	open_at(0);
	memset(body, 'x', MAX_PAYLOAD);
	memcpy(body, "42[\"say\",\"", 10);
	memcpy(body + MAX_PAYLOAD - 2, "\"]", 3);
	expect(ask(1, "POST", body), 200, "ok");
	assert_int_equal(got.n, MAX_PAYLOAD - 10 + 1);
	r = ask(2, "GET", "");
	settle();
	assert_int_equal(sio_test_request_status(r), 200);
	assert_int_equal(sio_test_request_body(r).n, MAX_PAYLOAD + 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(stats(i).adapter_refused_total + stats(i).carried_strays_total, 0);
	free(body);
}

/* ---- WebSockets ---------------------------------------------------------------------------- */

static struct net_pipe ws;

static void frame(enum ws_op op, const char *text)
{
	char head[WS_HEAD_MAX];
	size_t n = ws_head_write(head, op, strlen(text));

	head[1] = (char)(head[1] | 0x80);
	buf_put(&ws.in, head, n);
	buf_put(&ws.in, "\0\0\0\0", 4);
	buf_str(&ws.in, text);
}

/* Upgrade the session of server 0 by a WebSocket to server i. */
static void upgrade_at(int i)
{
	ws = (struct net_pipe){ .address = "192.0.2.3" };
	buf_printf(&ws.in, "GET /socket.io/?EIO=4&transport=websocket&sid=%s HTTP/1.1\r\nHost: h\r\n" UPGRADE "\r\n", sid);
	assert_int_equal(net_pipe_open(servers[i]->net, &ws), SIO_OK);
	settle();
	assert_non_null(memmem(ws.out.p, ws.out.n, "101 Switching", 13));
	buf_clear(&ws.out);
	frame(WS_TEXT, "2probe");
	settle();
	assert_memory_equal(ws.out.p, "\x81\x06" "3probe", 8);
	buf_clear(&ws.out);
	frame(WS_TEXT, "5");
	settle();
	assert_int_equal(stats(0).websockets, 1);
}

static void ws_free(void)
{
	buf_fini(&ws.in);
	buf_fini(&ws.out);
}

static void an_upgrade_elsewhere(void **state)
{
	(void)state;
	open_at(0);
	upgrade_at(1);
	frame(WS_TEXT, "42[\"say\",\"hi\"]");
	settle();
	assert_memory_equal(ws.out.p, "\x81\x0f" "42[\"echo\",\"hi\"]", 17);
	buf_clear(&ws.out);
	run(5100); /* pings pass, and nothing is taken for dead */
	assert_memory_equal(ws.out.p, "\x81\x01" "2", 3);
	frame(WS_TEXT, "3");
	buf_clear(&ws.out);
	run(6000);
	assert_int_equal(stats(0).websockets, 1);
	frame(WS_CLOSE, "");
	settle();
	assert_string_equal(reason, "transport close");
	assert_true(ws.is_shut);
	ws.is_ended = true;
	settle();
	assert_null(ws.conn);
	ws_free();
}

static void a_websocket_is_cut(void **state)
{
	(void)state;
	open_at(0);
	upgrade_at(1);
	frame(WS_TEXT, "42[\"say\",1]");
	ws.is_ended = true; /* what it has said before counts */
	settle();
	assert_int_equal(events_n, 1);
	assert_string_equal(reason, "transport close");
	assert_null(ws.conn);
	ws_free();
}

static void a_websocket_loses_its_owner(void **state)
{
	(void)state;
	open_at(0);
	upgrade_at(1);
	server_end(0);
	settle();
	assert_memory_equal(ws.out.p, "\x88", 1); /* a close frame, then the end */
	assert_true(ws.is_shut);
	ws.is_ended = true;
	settle();
	assert_null(ws.conn);
	ws_free();
}

/* Both ways more than the window holds, to a client that does not read for a while. */
static void a_websocket_waits(void **state)
{
	char *text = malloc(20001);
	size_t held = 0;

	(void)state;
	open_at(0);
	upgrade_at(1);
	memset(text, 'y', 20000);
	memcpy(text, "42[\"say\",\"", 10);
	memcpy(text + 19998, "\"]", 3);
	ws.takes = 0;
	for (int i = 0; i < 40; i++)
		frame(WS_TEXT, text);
	settle();
	assert_int_equal(events_n, 40);
	held = servers[1]->net ? ws.conn->side->out.n : 0;
	assert_true(held <= CARRY_WINDOW && held > CARRY_WINDOW / 2);
	ws.takes = SIZE_MAX;
	settle();
	assert_int_equal(ws.out.n, 40 * (20001 + 4));
	for (int i = 0; i < 40; i++)
		assert_memory_equal(ws.out.p + i * 20005 + 4, "42[\"echo\"", 9);
	for (int i = 0; i < 3; i++)
		assert_int_equal(stats(i).adapter_refused_total + stats(i).carried_strays_total, 0);
	free(text);
	ws.is_ended = true;
	settle();
	ws_free();
}

/* ---- nodes that lie ------------------------------------------------------------------------- */

static void tell(int to, int from, const struct cluster_message *m)
{
	struct buf out = { 0 };

	assert_int_equal(cluster_write(&out, m), SIO_OK);
	sio_adapter_deliver(servers[to], sio_server_node(servers[from]), buf_peek(&out));
	buf_fini(&out);
	settle();
}

static void what_does_not_fit(void **state)
{
	struct cluster_message back = { .type = CLUSTER_CARRY_BACK, .id = 1, .bytes = SIO_LIT("HTTP/1.1 200 OK\r\n\r\n") };
	struct cluster_message on = { .type = CLUSTER_CARRY_ON, .id = 1, .bytes = SIO_LIT("x") };
	struct sio_test_request *r;

	(void)state;
	/* Of nothing that is under way. */
	back.id = 77;
	tell(1, 0, &back);
	assert_int_equal(stats(1).carried_strays_total, 1);
	assert_int_equal(stats(0).carried_strays_total, 1); /* and is told so */
	tell(0, 1, &on);
	assert_int_equal(stats(0).carried_strays_total, 2);
	/* By another node than its owner. */
	open_at(0);
	r = ask(1, "GET", "");
	back.id = 1;
	tell(1, 2, &back);
	assert_int_equal(stats(1).adapter_refused_total, 1);
	assert_int_equal(sio_test_request_status(r), 0);
	/* A piece is missing before it. */
	back.at = 5;
	tell(1, 0, &back);
	assert_int_equal(stats(1).adapter_refused_total, 2);
	expect(r, 400, UNKNOWN);
	assert_string_equal(reason, "transport error");
	/* More was taken than was sent. */
	open_at(0);
	r = ask(1, "GET", "");
	back.id = 2;
	back.at = 0;
	back.taken = 1000000;
	tell(1, 0, &back);
	assert_int_equal(stats(1).adapter_refused_total, 3);
	expect(r, 400, UNKNOWN);
}

static void what_the_owner_refuses(void **state)
{
	struct cluster_message m = { .type = CLUSTER_CARRY, .id = 9, .address = SIO_LIT("192.0.2.7"), .host = SIO_LIT("h") };
	char *piece = malloc(CLUSTER_PIECE_MAX + 1);
	struct buf head = { 0 };

	(void)state;
	open_at(0);
	buf_printf(&head, "POST %s HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\n42", target(""));
	m.bytes = buf_peek(&head);
	tell(0, 1, &m);
	assert_int_equal(stats(0).carried, 1);
	tell(0, 1, &m); /* the same again */
	assert_int_equal(stats(0).adapter_refused_total, 1);
	m.type = CLUSTER_CARRY_ON;
	m.bytes = SIO_LIT("xx");
	tell(0, 1, &m); /* not behind what came before */
	assert_int_equal(stats(0).adapter_refused_total, 2);
	assert_int_equal(stats(0).carried, 0);
	assert_string_equal(reason, "transport error");
	/* A piece that is too large is no message. */
	memset(piece, 'x', CLUSTER_PIECE_MAX + 1);
	m.bytes = sio_bytes(piece, CLUSTER_PIECE_MAX + 1);
	buf_clear(&head);
	assert_int_equal(cluster_write(&head, &m), SIO_ERR_LIMIT);
	/* More than the window without a word of ours. */
	m.type = CLUSTER_CARRY;
	m.id = 10;
	m.bytes = SIO_LIT("GET /socket.io/ HT");
	tell(0, 1, &m);
	buf_fini(&head);
	free(piece);
}

static void too_many(void **state)
{
	struct sio_test_request *r;

	(void)state;
	assert_int_equal(servers[1]->carry.max, CARRY_MAX);
	open_at(0);
	servers[1]->carry.max = 1;
	r = ask(1, "GET", "");
	assert_int_equal(sio_test_request_status(ask(1, "POST", "3")), 503);
	servers[0]->carry.max = 1;
	assert_int_equal(sio_test_request_status(ask(2, "POST", "3")), 503);
	servers[0]->carry.max = 2;
	expect(ask(2, "POST", "42[\"say\",1]"), 200, "ok");
	expect(r, 200, "42[\"echo\",1]");
	expect(ask(1, "POST", "3"), 200, "ok");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names_its_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(every_request_elsewhere, setup, teardown),
		cmocka_unit_test_setup_teardown(a_get_is_held, setup, teardown),
		cmocka_unit_test_setup_teardown(two_gets_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(the_client_hangs_up, setup, teardown),
		cmocka_unit_test_setup_teardown(the_owner_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(the_owner_is_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(the_carrier_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(the_carrier_is_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(the_carrier_hears_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(the_owner_hears_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(the_owner_is_silent, setup, teardown),
		cmocka_unit_test_setup_teardown(sids_of_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(the_same_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(a_wrong_origin_is_not_carried, setup, teardown),
		cmocka_unit_test_setup_teardown(the_owner_sees_who_asks, setup, teardown),
		cmocka_unit_test_setup_teardown(the_largest_post, setup, teardown),
		cmocka_unit_test_setup_teardown(an_upgrade_elsewhere, setup, teardown),
		cmocka_unit_test_setup_teardown(a_websocket_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(a_websocket_loses_its_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(a_websocket_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(what_does_not_fit, setup, teardown),
		cmocka_unit_test_setup_teardown(what_the_owner_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
