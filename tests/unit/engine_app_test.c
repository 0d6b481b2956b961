/* engine_app_test.c -- an application of plain Engine.IO in simulated time: what it
 * hears, what it may do, and what it may do wrong.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "lib/fake_app.h"

static struct sio_server *server;
static struct fake *f;
static struct fake_client *c;
static struct buf heard;             /* what the application heard, in its own words */

/* What it does to the session it hears of. */
enum act { NOTHING, CLOSE, DISCARD, SEND, SEND_AND_CLOSE };
static struct {
	enum act open, message, upgraded, drain, close;
} acts;

static void expect_heard_at(const char *want, const char *file, int line)
{
	if (!sio_slice_eq(buf_peek(&heard), sio_str(want))) {
		print_error("heard: %.*s\n want: %s\n", (int)heard.n, heard.n ? heard.p : "", want);
		_fail(file, line);
	}
	buf_clear(&heard);
}
#define expect_heard(want) expect_heard_at((want), __FILE__, __LINE__)

/* Nothing works on a session that has ended, and nothing breaks. */
static void expect_closed(struct sio_session *s)
{
	assert_false(sio_session_is_open(s));
	assert_int_equal(sio_session_send_text(s, SIO_LIT("x")), SIO_ERR_CLOSED);
	assert_int_equal(sio_session_send_binary(s, SIO_LIT("x")), SIO_ERR_CLOSED);
	assert_int_equal(sio_session_close(s), SIO_ERR_CLOSED);
	assert_int_equal(sio_session_discard(s), SIO_ERR_CLOSED);
	assert_int_equal(sio_session_id(s).n, SIO_SESSION_ID_LEN);
}

static void act(struct sio_session *s, enum act what)
{
	if (what == SEND || what == SEND_AND_CLOSE)
		assert_int_equal(sio_session_send_text(s, SIO_LIT("mine")), SIO_OK);
	if (what == CLOSE || what == SEND_AND_CLOSE)
		assert_int_equal(sio_session_close(s), SIO_OK);
	if (what == DISCARD)
		assert_int_equal(sio_session_discard(s), SIO_OK);
	if (what == CLOSE || what == DISCARD || what == SEND_AND_CLOSE)
		expect_closed(s);
}

static void on_open(struct sio_session *s, void *arg)
{
	assert_ptr_equal(arg, &acts);
	assert_true(sio_session_is_open(s));
	assert_ptr_equal(sio_session_server(s), server);
	assert_null(sio_session_data(s));
	sio_session_set_data(s, &heard);
	buf_printf(&heard, "open %s; ", sio_session_transport(s));
	act(s, acts.open);
}

static void on_message(struct sio_session *s, sio_slice data, bool is_binary, void *arg)
{
	assert_ptr_equal(arg, &acts);
	assert_ptr_equal(sio_session_data(s), &heard);
	buf_printf(&heard, "%s %.*s; ", is_binary ? "bin" : "text", (int)data.n, data.p);
	act(s, acts.message);
}

static void on_upgraded(struct sio_session *s, void *arg)
{
	(void)arg;
	buf_printf(&heard, "upgraded %s; ", sio_session_transport(s));
	act(s, acts.upgraded);
}

static void on_drain(struct sio_session *s, void *arg)
{
	(void)arg;
	assert_int_equal(sio_session_waiting_bytes(s), 0);
	buf_str(&heard, "drain; ");
	act(s, acts.drain);
}

static void on_close(struct sio_session *s, sio_slice reason, void *arg)
{
	(void)arg;
	buf_printf(&heard, "close %.*s; ", (int)reason.n, reason.p);
	expect_closed(s);
	assert_ptr_equal(sio_session_data(s), &heard);
}

static int setup(void **state)
{
	(void)state;
	memset(&acts, 0, sizeof(acts));
	server = app_start(NULL);
	f = server->fake;
	assert_int_equal(sio_engine_on_open(server, on_open, &acts), SIO_OK);
	assert_int_equal(sio_engine_on_message(server, on_message, &acts), SIO_OK);
	assert_int_equal(sio_engine_on_close(server, on_close, NULL), SIO_OK);
	assert_int_equal(sio_engine_on_upgraded(server, on_upgraded, NULL), SIO_OK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_check(f);
	app_stop(server);
	buf_fini(&heard);
	return 0;
}

static void begin(enum eio_transport transport)
{
	c = app_client(server, transport);
	buf_clear(&heard);
}

static void want_log(const char *fmt, const char *more)
{
	char want[512];

	snprintf(want, sizeof(want), fmt, c->sid, more);
	fake_expect(c, want);
}

#define HANDSHAKE "0{\"sid\":\"%s\",\"upgrades\":[%s],\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}"

/* ---- what it hears ----------------------------------------------------------------- */

static void test_open_and_messages(void **state)
{
	(void)state;
	c = app_open(server, EIO_WEBSOCKET);
	fake_turn(f);
	want_log("ws " HANDSHAKE "; ", "");
	fake_ws(c, "4hello");
	fake_ws(c, "4");
	fake_ws(c, "bAQID"); /* base64 text is binary here too (section 7) */
	fake_ws_binary(c, "\x04\x05", 2);
	fake_ws(c, "6");
	fake_ws(c, "3");
	expect_heard("open websocket; text hello; text ; bin \x01\x02\x03; bin \x04\x05; ");
	fake_ws(c, "1");
	expect_heard("close transport close; ");

	c = app_open(server, EIO_POLLING);
	fake_turn(f);
	want_log("get 200 " HANDSHAKE "; ", "\"websocket\"");
	fake_post(c, "4a\x1e"
		     "bAQID\x1e"
		     "4b");
	expect_heard("open polling; text a; bin \x01\x02\x03; text b; ");
	fake_expect(c, "post 200 ok; ");
}

/* Section 4.1: the open packet is alone, what is sent on open comes with the next GET. */
static void test_sent_on_open(void **state)
{
	(void)state;
	acts.open = SEND;
	c = app_open(server, EIO_POLLING);
	fake_turn(f);
	want_log("get 200 " HANDSHAKE "; ", "\"websocket\"");
	fake_check(f);
	assert_int_equal(sio_session_send_binary(app_session(c), SIO_LIT("\x01\x02\x03")), SIO_OK);
	fake_get(c);
	fake_turn(f);
	fake_expect(c, "get 200 4mine|bAQID; ");

	c = app_open(server, EIO_WEBSOCKET);
	fake_turn(f);
	want_log("ws " HANDSHAKE "; ws 4mine; ", "");
}

static void test_upgrade(void **state)
{
	(void)state;
	begin(EIO_POLLING);
	assert_int_equal(sio_session_send_text(app_session(c), SIO_LIT("queued")), SIO_OK);
	fake_upgrade(c);
	expect_heard("upgraded websocket; ");
	fake_turn(f);
	fake_expect(c, "probe 3probe; upgraded; ws 4queued; ");
	fake_ws(c, "4x");
	expect_heard("text x; ");
}

static void test_reasons(void **state)
{
	(void)state;
	begin(EIO_WEBSOCKET);
	fake_ws(c, "x");
	expect_heard("close parse error; ");
	begin(EIO_WEBSOCKET);
	fake_ws(c, "2");
	expect_heard("close transport error; ");
	begin(EIO_WEBSOCKET);
	fake_hang_up(c, EIO_WIRE_WS);
	expect_heard("close transport close; ");
	begin(EIO_POLLING);
	fake_get(c);
	fake_hang_up(c, EIO_WIRE_GET);
	expect_heard("close transport error; ");
	begin(EIO_POLLING);
	fake_run(f, 46000);
	expect_heard("close ping timeout; ");
	begin(EIO_POLLING);
	eio_engine_discard_all(&f->engine, "server shutting down");
	expect_heard("close server shutting down; ");
}

/* A handler that was never set, or was taken away. */
static void test_without_handlers(void **state)
{
	(void)state;
	assert_int_equal(sio_engine_on_open(server, NULL, NULL), SIO_OK);
	assert_int_equal(sio_engine_on_message(server, NULL, NULL), SIO_OK);
	assert_int_equal(sio_engine_on_close(server, NULL, NULL), SIO_OK);
	assert_int_equal(sio_engine_on_upgraded(server, NULL, NULL), SIO_OK);
	begin(EIO_POLLING);
	fake_post(c, "4x");
	fake_upgrade(c);
	fake_ws(c, "4x");
	fake_ws(c, "1");
	expect_heard("");
}

/* A session that ended before it could be told of is not told of. */
static void test_closed_before_it_was_opened(void **state)
{
	(void)state;
	c = fake_open(f, EIO_WEBSOCKET);
	eio_app_open(&c->link->app, &server->app, &c->link->session);
	eio_discard(&c->link->session, "server shutting down");
	eio_app_opened(&c->link->app);
	expect_heard("");
}

/* ---- ending from its own handlers ------------------------------------------------------ */

static void test_close_in_the_open_handler(void **state)
{
	(void)state;
	acts.open = CLOSE;
	c = app_open(server, EIO_POLLING);
	expect_heard("open polling; close forced close; ");
	fake_turn(f);
	want_log("closed forced close; get 200 " HANDSHAKE "; ", "\"websocket\"");
	fake_get(c);
	fake_turn(f);
	fake_expect(c, "get 200 6\x1e"
		       "1; gone; ");
	acts.open = DISCARD;
	c = app_open(server, EIO_POLLING);
	expect_heard("open polling; close forced close; ");
	fake_expect(c, "get 200 1; closed forced close; gone; ");
	acts.open = SEND_AND_CLOSE;
	c = app_open(server, EIO_WEBSOCKET);
	expect_heard("open websocket; close forced close; ");
	fake_turn(f);
	want_log("closed forced close; ws " HANDSHAKE "; ws 4mine; ws close 0; gone; ", "");
}

/* What stands behind the message in the payload is for nobody, and the POST is answered. */
static void test_close_in_the_message_handler(void **state)
{
	static const enum act ways[] = { CLOSE, DISCARD };

	(void)state;
	for (int i = 0; i < 2; i++) {
		acts.message = ways[i];
		begin(EIO_POLLING);
		fake_get(c);
		fake_post(c, "4a\x1e"
			     "4b");
		expect_heard("text a; close forced close; ");
		fake_expect(c, "get 200 1; closed forced close; gone; post 200 ok; ");
		begin(EIO_WEBSOCKET);
		fake_ws(c, "4a");
		fake_ws(c, "4b");
		expect_heard("text a; close forced close; ");
		fake_expect(c, "ws close 0; closed forced close; gone; ");
	}
	acts.message = SEND_AND_CLOSE;
	begin(EIO_POLLING);
	fake_post(c, "4a");
	fake_expect(c, "closed forced close; post 200 ok; ");
	fake_get(c);
	fake_turn(f);
	fake_expect(c, "get 200 4mine; ");
	fake_get(c);
	fake_expect(c, "get 200 6\x1e"
		       "1; gone; ");
}

static void test_close_when_upgraded(void **state)
{
	(void)state;
	acts.upgraded = CLOSE;
	begin(EIO_POLLING);
	assert_true(fake_probe(c));
	fake_get(c);
	fake_probe_text(c, "5"); /* with a GET that no correct client has */
	expect_heard("upgraded websocket; close forced close; ");
	fake_expect(c, "get 200 6; upgraded; ws close 0; closed forced close; gone; ");
	acts.upgraded = SEND_AND_CLOSE;
	begin(EIO_POLLING);
	assert_true(fake_probe(c));
	fake_probe_text(c, "5");
	fake_turn(f);
	fake_expect(c, "upgraded; closed forced close; ws 4mine; ws close 0; gone; ");
}

static void test_another_session_is_closed(void **state)
{
	struct fake_client *other;

	(void)state;
	begin(EIO_WEBSOCKET);
	other = c;
	begin(EIO_POLLING);
	assert_int_equal(sio_session_discard(app_session(other)), SIO_OK);
	expect_heard("close forced close; ");
	expect_closed(app_session(other)); /* good until the turn ends */
	fake_turn(f);
	assert_null(other->link);
	fake_post(c, "4x");
	expect_heard("text x; ");
}

/* ---- a hook on answers that closes the session that is answered ---------------------------- */

static void on_answer_discard(struct fake_client *client)
{
	sio_session_discard(app_session(client));
}

static void on_answer_close(struct fake_client *client)
{
	sio_session_close(app_session(client));
}

static void hooked(void (*hook)(struct fake_client *client))
{
	f->on_answer = NULL;
	begin(EIO_POLLING);
	f->on_answer = hook;
}

static void test_hook_discards_what_is_answered(void **state)
{
	(void)state;
	hooked(on_answer_discard); /* a poll that takes packets */
	assert_int_equal(sio_session_send_text(app_session(c), SIO_LIT("x")), SIO_OK);
	fake_get(c);
	fake_turn(f);
	fake_expect(c, "get 200 4x; closed forced close; gone; ");
	hooked(on_answer_discard); /* a POST */
	fake_post(c, "4x");
	fake_expect(c, "post 200 ok; closed forced close; gone; ");
	hooked(on_answer_discard); /* one that is wrong */
	fake_post(c, "x");
	fake_expect(c, "post 400 ; closed forced close; gone; ");
	hooked(on_answer_discard); /* one that is refused, with a GET beside it */
	fake_get(c);
	assert_true(fake_post_begin(c));
	eio_post_refuse(fake_session(c), 413);
	fake_expect(c, "post 413 ; get 200 1; closed forced close; gone; ");
	hooked(on_answer_discard); /* an end that answers a GET */
	fake_get(c);
	eio_discard(fake_session(c), "ping timeout");
	fake_expect(c, "get 200 1; closed ping timeout; gone; ");
	hooked(on_answer_discard); /* the client's own end, and the GET that crossed it */
	fake_post(c, "1");
	fake_get(c);
	fake_expect(c, "closed transport close; post 200 ok; get 200 6; gone; ");
	hooked(on_answer_discard); /* the no-op of an upgrade under way */
	assert_true(fake_probe(c));
	fake_probe_text(c, "2probe");
	fake_get(c);
	fake_run(f, 150);
	fake_expect(c, "probe 3probe; get 200 6; probe close 0; closed forced close; gone; ");
	hooked(on_answer_discard); /* the one right before it */
	assert_true(fake_probe(c));
	fake_get(c);
	fake_probe_text(c, "5");
	fake_expect(c, "get 200 6; probe close 0; closed forced close; gone; ");
	hooked(on_answer_discard); /* the last word of a graceful end */
	assert_int_equal(sio_session_close(app_session(c)), SIO_OK);
	fake_get(c);
	fake_expect(c, "closed forced close; get 200 6\x1e"
		       "1; gone; ");
	f->on_answer = NULL;
}

static void test_hook_closes_what_is_answered(void **state)
{
	(void)state;
	hooked(on_answer_close);
	fake_post(c, "4x");
	fake_expect(c, "post 200 ok; closed forced close; ");
	fake_get(c);
	fake_expect(c, "get 200 6\x1e"
		       "1; gone; ");
	hooked(on_answer_close); /* before an upgrade that the client has not been told to finish */
	assert_true(fake_probe(c));
	fake_get(c);
	fake_probe_text(c, "5");
	fake_expect(c, "get 200 6; probe close 0; closed forced close; ");
	hooked(on_answer_close); /* one that it has: it learns of the end behind its "5" */
	assert_true(fake_probe(c));
	fake_probe_text(c, "2probe");
	fake_get(c);
	fake_probe_text(c, "5");
	fake_turn(f);
	fake_expect(c, "probe 3probe; get 200 6; closed forced close; upgraded; ws close 0; gone; ");
	f->on_answer = NULL;
}

/* ---- sending ----------------------------------------------------------------------------- */

static void test_sending_what_may_not_be_sent(void **state)
{
	struct sio_message *message = (struct sio_message *)&acts;
	struct sio_session *s;
	char *big = malloc(10);

	(void)state;
	begin(EIO_POLLING);
	s = app_session(c);
	assert_int_equal(sio_session_send_text(s, SIO_LIT("\xff")), SIO_ERR_UTF8);
	assert_int_equal(sio_session_send_text(s, SIO_LIT("\xed\xa0\x80")), SIO_ERR_UTF8);
	assert_int_equal(sio_session_send_text(s, sio_bytes(big, (size_t)SIO_MESSAGE_MAX + 1)), SIO_ERR_LIMIT);
	assert_int_equal(sio_session_send_binary(s, sio_bytes(big, (size_t)SIO_MESSAGE_MAX + 1)), SIO_ERR_LIMIT);
	assert_int_equal(sio_message_new_text(server, SIO_LIT("\xff"), &message), SIO_ERR_UTF8);
	assert_null(message);
	assert_int_equal(sio_message_new_binary(server, sio_bytes(big, SIZE_MAX), &message), SIO_ERR_LIMIT);
	assert_null(message);
	sio_message_free(NULL);
	/* It would come out of a payload as two packets; a WebSocket carries it. */
	assert_int_equal(sio_session_send_text(s, SIO_LIT("a\x1e"
							  "4b")),
			 SIO_ERR_INVAL);
	fake_get(c);
	fake_turn(f);
	fake_expect(c, "");
	fake_upgrade(c);
	buf_clear(&c->log);
	assert_int_equal(sio_session_send_text(s, SIO_LIT("a\x1e"
							  "4b")),
			 SIO_OK);
	fake_turn(f);
	fake_expect(c, "ws 4a\x1e"
		       "4b; ");
	/* Binary is base64 there: any byte. */
	begin(EIO_POLLING);
	assert_int_equal(sio_session_send_binary(app_session(c), SIO_LIT("\x1e\xff")), SIO_OK);
	fake_get(c);
	fake_turn(f);
	fake_expect(c, "get 200 bHv8=; ");
	free(big);
}

static void test_empty_messages(void **state)
{
	(void)state;
	begin(EIO_POLLING);
	assert_int_equal(sio_session_send_text(app_session(c), sio_str(NULL)), SIO_OK);
	assert_int_equal(sio_session_send_binary(app_session(c), sio_str(NULL)), SIO_OK);
	fake_get(c);
	fake_turn(f);
	fake_expect(c, "get 200 4|b; ");
	begin(EIO_WEBSOCKET);
	assert_int_equal(sio_session_send_text(app_session(c), sio_str(NULL)), SIO_OK);
	assert_int_equal(sio_session_send_binary(app_session(c), sio_str(NULL)), SIO_OK);
	fake_turn(f);
	fake_expect(c, "ws 4; wsbin ; ");
}

/* Encoded once, in whatever form each of them needs; freed before it is delivered. */
static void test_one_message_to_many(void **state)
{
	struct fake_client *to[3];
	struct sio_message *text, *binary;
	uint64_t encodes = f->engine.frames.encodes;

	(void)state;
	for (int i = 0; i < 3; i++)
		to[i] = app_client(server, i == 0 ? EIO_POLLING : EIO_WEBSOCKET);
	eio_ws_query(fake_session(to[2]), SIO_LIT("b64=1"));
	assert_int_equal(sio_message_new_text(server, SIO_LIT("all"), &text), SIO_OK);
	assert_int_equal(sio_message_new_binary(server, SIO_LIT("\x01\x02\x03"), &binary), SIO_OK);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 3; i++) {
			assert_int_equal(sio_session_send(app_session(to[i]), text), SIO_OK);
			assert_int_equal(sio_session_send(app_session(to[i]), binary), SIO_OK);
		}
	}
	sio_message_free(text);
	sio_message_free(binary);
	assert_int_equal(f->engine.frames.encodes, encodes + 2);
	fake_get(to[0]);
	fake_turn(f);
	fake_expect(to[0], "get 200 4all|bAQID|4all|bAQID; ");
	fake_expect(to[1], "ws 4all; wsbin \x01\x02\x03; ws 4all; wsbin \x01\x02\x03; ");
	fake_expect(to[2], "ws 4all; ws bAQID; ws 4all; ws bAQID; ");
}

static void test_message_of_another_server(void **state)
{
	struct sio_server *other = app_start(NULL);
	struct sio_message *message;

	(void)state;
	begin(EIO_WEBSOCKET);
	assert_int_equal(sio_message_new_text(other, SIO_LIT("x"), &message), SIO_OK);
	assert_int_equal(sio_session_send(app_session(c), message), SIO_ERR_INVAL);
	assert_int_equal(sio_session_send(app_session(c), NULL), SIO_ERR_INVAL);
	assert_int_equal(sio_session_discard(app_session(c)), SIO_OK);
	assert_int_equal(sio_session_send(app_session(c), message), SIO_ERR_CLOSED);
	sio_message_free(message);
	app_stop(other);
}

static void test_a_client_that_lags_is_cut(void **state)
{
	struct sio_session *s;
	char text[1000];
	int err = SIO_OK, n = 0;

	(void)state;
	memset(text, 'x', sizeof(text));
	begin(EIO_WEBSOCKET);
	s = app_session(c);
	assert_false(sio_session_is_lagging(s));
	fake_ws_takes(c, 10);
	assert_int_equal(sio_session_send_text(s, sio_bytes(text, sizeof(text))), SIO_OK);
	fake_turn(f);
	assert_true(sio_session_is_lagging(s));
	assert_int_equal(sio_session_waiting_bytes(s), 4 + 1001 - 10);
	while (err == SIO_OK && n++ < 100)
		err = sio_session_send_text(s, sio_bytes(text, sizeof(text)));
	assert_int_equal(err, SIO_ERR_LIMIT);
	assert_true(n >= 4 && n <= 6); /* the limit of the fake is 4,096 */
	assert_int_equal(sio_session_send_text(s, SIO_LIT("x")), SIO_ERR_LIMIT);
	expect_heard("");
	fake_turn(f);
	expect_heard("close transport close; ");
	begin(EIO_POLLING);
	assert_true(sio_session_is_lagging(app_session(c))); /* it does not poll */
	fake_get(c);
	assert_false(sio_session_is_lagging(app_session(c)));
}

/* ---- drain ---------------------------------------------------------------------------------- */

static void test_drain(void **state)
{
	(void)state;
	begin(EIO_WEBSOCKET);
	assert_int_equal(sio_session_send_text(app_session(c), SIO_LIT("before")), SIO_OK);
	fake_turn(f);
	fake_turn(f);
	expect_heard(""); /* nobody wanted to know */
	assert_int_equal(sio_engine_on_drain(server, on_drain, NULL), SIO_OK);
	fake_run(f, 25020); /* a heartbeat is no message */
	fake_ws(c, "3");
	expect_heard("");
	assert_int_equal(sio_session_send_text(app_session(c), SIO_LIT("a")), SIO_OK);
	assert_int_equal(sio_session_send_text(app_session(c), SIO_LIT("b")), SIO_OK);
	fake_turn(f);
	expect_heard("");
	fake_turn(f);
	expect_heard("drain; ");
	fake_turn(f);
	expect_heard("");
	/* A socket that takes it in parts: once it has it all. */
	fake_ws_takes(c, 2);
	assert_int_equal(sio_session_send_text(app_session(c), SIO_LIT("abc")), SIO_OK);
	fake_turn(f);
	fake_turn(f);
	expect_heard("");
	fake_ws_takes(c, 100);
	fake_turn(f);
	fake_turn(f);
	expect_heard("drain; ");
	/* A poll that takes it. */
	begin(EIO_POLLING);
	assert_int_equal(sio_session_send_text(app_session(c), SIO_LIT("abc")), SIO_OK);
	fake_turn(f);
	fake_turn(f);
	expect_heard("");
	fake_get(c);
	fake_turn(f);
	fake_turn(f);
	expect_heard("drain; ");
}

/* One that sends again whenever it may does so once a turn: others come between. */
static void test_drain_keeps_nobody_waiting(void **state)
{
	(void)state;
	assert_int_equal(sio_engine_on_drain(server, on_drain, NULL), SIO_OK);
	acts.drain = SEND;
	begin(EIO_WEBSOCKET);
	assert_int_equal(sio_session_send_text(app_session(c), SIO_LIT("start")), SIO_OK);
	fake_turn(f);
	for (int i = 0; i < 5; i++) {
		expect_heard("");
		fake_turn(f);
		expect_heard("drain; ");
	}
	acts.drain = NOTHING;
	fake_turn(f);
	buf_clear(&heard);
	fake_turn(f);
	expect_heard("");
}

static void test_close_in_the_drain_handler(void **state)
{
	static const enum act ways[] = { CLOSE, DISCARD, SEND_AND_CLOSE };

	(void)state;
	assert_int_equal(sio_engine_on_drain(server, on_drain, NULL), SIO_OK);
	for (int i = 0; i < 3; i++) {
		acts.drain = ways[i];
		begin(EIO_WEBSOCKET);
		assert_int_equal(sio_session_send_text(app_session(c), SIO_LIT("x")), SIO_OK);
		fake_turn(f);
		fake_turn(f);
		expect_heard("drain; close forced close; ");
		fake_turn(f);
		expect_heard("");
	}
}

static struct fake_client *victims[4];

static void on_drain_close_all(struct sio_session *s, void *arg)
{
	(void)s, (void)arg;
	buf_str(&heard, "drain; ");
	for (int i = 0; i < 4; i++)
		if (victims[i]->link && sio_session_is_open(app_session(victims[i])))
			sio_session_discard(app_session(victims[i]));
}

/* Those that are to be told, too, are not when they have ended meanwhile. */
static void test_drain_handler_that_closes_all(void **state)
{
	(void)state;
	assert_int_equal(sio_engine_on_drain(server, on_drain_close_all, NULL), SIO_OK);
	for (int i = 0; i < 4; i++)
		victims[i] = app_client(server, EIO_WEBSOCKET);
	buf_clear(&heard);
	for (int i = 0; i < 4; i++)
		assert_int_equal(sio_session_send_text(app_session(victims[i]), SIO_LIT("x")), SIO_OK);
	fake_turn(f);
	fake_turn(f);
	expect_heard("drain; close forced close; close forced close; close forced close; close forced close; ");
	fake_turn(f);
	expect_heard("");
}

/* ---- misuse ------------------------------------------------------------------------------------ */

static void test_handlers_of_a_socketio_server(void **state)
{
	(void)state;
	server->app.is_used = false;
	assert_int_equal(sio_engine_on_open(server, on_open, &acts), SIO_ERR_INVAL);
	assert_int_equal(sio_engine_on_message(server, on_message, &acts), SIO_ERR_INVAL);
	assert_int_equal(sio_engine_on_close(server, on_close, NULL), SIO_ERR_INVAL);
	assert_int_equal(sio_engine_on_upgraded(server, on_upgraded, NULL), SIO_ERR_INVAL);
	assert_int_equal(sio_engine_on_drain(server, on_drain, NULL), SIO_ERR_INVAL);
}

static void test_after_a_graceful_close(void **state)
{
	struct sio_message *message;

	(void)state;
	begin(EIO_POLLING);
	assert_int_equal(sio_session_send_text(app_session(c), SIO_LIT("last")), SIO_OK);
	assert_int_equal(sio_session_close(app_session(c)), SIO_OK);
	expect_heard("close forced close; ");
	assert_int_equal(sio_message_new_text(server, SIO_LIT("x"), &message), SIO_OK);
	assert_int_equal(sio_session_send(app_session(c), message), SIO_ERR_CLOSED);
	sio_message_free(message);
	expect_closed(app_session(c));
	fake_post(c, "4late"); /* for nobody */
	fake_get(c);
	fake_turn(f);
	fake_get(c);
	fake_turn(f);
	expect_heard("");
	fake_expect(c, "closed forced close; post 200 ok; get 200 4last; get 200 6\x1e"
		       "1; gone; ");
	/* One that never polls again is given up. */
	begin(EIO_POLLING);
	assert_int_equal(sio_session_close(app_session(c)), SIO_OK);
	fake_run(f, 31000);
	fake_expect(c, "closed forced close; gone; ");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_open_and_messages),
		TEST(test_sent_on_open),
		TEST(test_upgrade),
		TEST(test_reasons),
		TEST(test_without_handlers),
		TEST(test_closed_before_it_was_opened),
		TEST(test_close_in_the_open_handler),
		TEST(test_close_in_the_message_handler),
		TEST(test_close_when_upgraded),
		TEST(test_another_session_is_closed),
		TEST(test_hook_discards_what_is_answered),
		TEST(test_hook_closes_what_is_answered),
		TEST(test_sending_what_may_not_be_sent),
		TEST(test_empty_messages),
		TEST(test_one_message_to_many),
		TEST(test_message_of_another_server),
		TEST(test_a_client_that_lags_is_cut),
		TEST(test_drain),
		TEST(test_drain_keeps_nobody_waiting),
		TEST(test_close_in_the_drain_handler),
		TEST(test_drain_handler_that_closes_all),
		TEST(test_handlers_of_a_socketio_server),
		TEST(test_after_a_graceful_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
