/* engine_verify_test.c -- which requests are ours, and how the others are refused:
 * section 3 of the reference as a table.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "lib/fake_engine.h"

enum { PLAIN = 0, UPGRADE = 1 };

/* In a query, %P stands for the sid of a polling session, %W of a WebSocket one. */
static const struct {
	const char *method;
	int is_upgrade;
	const char *query;
	int code;
	char session; /* which one is found: P, W or nothing */
} rows[] = {
	/* Handshakes. */
	{ "GET", PLAIN, "EIO=4&transport=polling", EIO_ERR_NONE, 0 },
	{ "GET", PLAIN, "transport=polling&EIO=4&t=abc", EIO_ERR_NONE, 0 },
	{ "GET", PLAIN, "EIO=4&transport=polling&sid=", EIO_ERR_NONE, 0 },
	{ "GET", PLAIN, "EIO=3&EIO=4&transport=polling", EIO_ERR_NONE, 0 }, /* the last one counts */
	{ "GET", PLAIN, "E%49O=%34&transport=p%6flling", EIO_ERR_NONE, 0 },
	{ "GET", UPGRADE, "EIO=4&transport=websocket", EIO_ERR_NONE, 0 },
	/* Step 2: the transport comes before all else. */
	{ "GET", PLAIN, "", EIO_ERR_TRANSPORT, 0 },
	{ "GET", PLAIN, "EIO=4", EIO_ERR_TRANSPORT, 0 },
	{ "GET", PLAIN, "EIO=5&transport=flashsocket", EIO_ERR_TRANSPORT, 0 },
	{ "GET", PLAIN, "EIO=4&transport=webtransport", EIO_ERR_TRANSPORT, 0 },
	{ "GET", PLAIN, "EIO=4&transport=__proto__", EIO_ERR_TRANSPORT, 0 },
	{ "GET", PLAIN, "EIO=4&transport=constructor", EIO_ERR_TRANSPORT, 0 },
	{ "GET", PLAIN, "EIO=4&transport=Polling", EIO_ERR_TRANSPORT, 0 },
	{ "GET", PLAIN, "EIO=4&transport=polling%00", EIO_ERR_TRANSPORT, 0 },
	{ "GET", PLAIN, "EIO=4&transport=polling%zz", EIO_ERR_TRANSPORT, 0 },
	{ "GET", PLAIN, "EIO=4&transport=polling+", EIO_ERR_TRANSPORT, 0 },
	{ "GET", PLAIN, "EIO=4&transport=pollingpollingpollingpolling", EIO_ERR_TRANSPORT, 0 },
	{ "GET", PLAIN, "EIO=4&transport=polling&transport=x", EIO_ERR_TRANSPORT, 0 },
	{ "POST", PLAIN, "sid=unknown&transport=x", EIO_ERR_TRANSPORT, 0 },
	{ "GET", UPGRADE, "EIO=4&transport=", EIO_ERR_TRANSPORT, 0 },
	/* Step 4. */
	{ "GET", PLAIN, "EIO=4&transport=polling&sid=unknown", EIO_ERR_SID, 0 },
	{ "POST", PLAIN, "EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA", EIO_ERR_SID, 0 },
	{ "GET", PLAIN, "EIO=5&transport=polling&sid=__proto__", EIO_ERR_SID, 0 },
	{ "GET", PLAIN, "EIO=4&transport=polling&sid=%Px", EIO_ERR_SID, 0 },
	{ "GET", PLAIN, "EIO=4&transport=polling&sid=%zz", EIO_ERR_SID, 0 },
	{ "GET", UPGRADE, "EIO=4&transport=websocket&sid=unknown", EIO_ERR_SID, 0 },
	{ "PUT", PLAIN, "EIO=4&transport=polling&sid=unknown", EIO_ERR_SID, 0 },
	/* Step 5, and what a session takes. */
	{ "GET", PLAIN, "EIO=4&transport=polling&sid=%P", EIO_ERR_NONE, 'P' },
	{ "POST", PLAIN, "EIO=4&transport=polling&sid=%P", EIO_ERR_NONE, 'P' },
	{ "GET", PLAIN, "EIO=4&transport=polling&sid=unknown&sid=%P", EIO_ERR_NONE, 'P' },
	{ "GET", PLAIN, "transport=polling&sid=%P", EIO_ERR_NONE, 'P' },
	{ "POST", PLAIN, "EIO=3&transport=polling&sid=%P", EIO_ERR_NONE, 'P' }, /* never looked at */
	{ "GET", UPGRADE, "EIO=4&transport=websocket&sid=%P", EIO_ERR_NONE, 'P' },
	{ "GET", UPGRADE, "EIO=4&transport=websocket&sid=%W", EIO_ERR_NONE, 'W' }, /* 10.2: closed after the 101 */
	{ "GET", PLAIN, "EIO=4&transport=websocket&sid=%P", EIO_ERR_REQUEST, 'P' },
	{ "GET", PLAIN, "EIO=4&transport=polling&sid=%W", EIO_ERR_REQUEST, 'W' },
	{ "POST", PLAIN, "EIO=4&transport=polling&sid=%W", EIO_ERR_REQUEST, 'W' },
	{ "GET", PLAIN, "EIO=4&transport=websocket&sid=%W", EIO_ERR_REQUEST, 'W' },
	{ "GET", UPGRADE, "EIO=4&transport=polling&sid=%P", EIO_ERR_REQUEST, 'P' },
	{ "GET", UPGRADE, "EIO=3&transport=websocket&sid=%P", EIO_ERR_REQUEST, 'P' },
	{ "PUT", PLAIN, "EIO=4&transport=polling&sid=%P", EIO_ERR_METHOD, 'P' },
	{ "DELETE", PLAIN, "EIO=4&transport=polling&sid=%P", EIO_ERR_METHOD, 'P' },
	{ "HEAD", PLAIN, "EIO=4&transport=polling&sid=%P", EIO_ERR_METHOD, 'P' },
	{ "POST", UPGRADE, "EIO=4&transport=websocket&sid=%P", EIO_ERR_METHOD, 'P' },
	{ "PUT", UPGRADE, "EIO=4&transport=websocket&sid=%P", EIO_ERR_METHOD, 'P' },
	/* Steps 6 and 7. */
	{ "POST", PLAIN, "EIO=4&transport=polling", EIO_ERR_METHOD, 0 },
	{ "POST", PLAIN, "EIO=5&transport=polling&sid=", EIO_ERR_METHOD, 0 },
	{ "OPTIONS", PLAIN, "EIO=4&transport=polling", EIO_ERR_METHOD, 0 },
	{ "POST", UPGRADE, "EIO=4&transport=websocket", EIO_ERR_METHOD, 0 },
	{ "GET", PLAIN, "EIO=4&transport=websocket", EIO_ERR_REQUEST, 0 },
	{ "GET", PLAIN, "EIO=5&transport=websocket", EIO_ERR_REQUEST, 0 },
	{ "GET", UPGRADE, "EIO=4&transport=polling", EIO_ERR_REQUEST, 0 },
	/* Step 9. */
	{ "GET", PLAIN, "transport=polling", EIO_ERR_VERSION, 0 },
	{ "GET", PLAIN, "EIO=&transport=polling", EIO_ERR_VERSION, 0 },
	{ "GET", PLAIN, "EIO=3&transport=polling", EIO_ERR_VERSION, 0 },
	{ "GET", PLAIN, "EIO=5&transport=polling", EIO_ERR_VERSION, 0 },
	{ "GET", PLAIN, "EIO=04&transport=polling", EIO_ERR_VERSION, 0 },
	{ "GET", PLAIN, "EIO=4abc&transport=polling", EIO_ERR_VERSION, 0 },
	{ "GET", PLAIN, "EIO=4%00&transport=polling", EIO_ERR_VERSION, 0 },
	{ "GET", PLAIN, "EIO=4&EIO=3&transport=polling", EIO_ERR_VERSION, 0 },
	{ "GET", PLAIN, "EIO=4444444444444444&transport=polling", EIO_ERR_VERSION, 0 },
	{ "GET", UPGRADE, "EIO=3&transport=websocket", EIO_ERR_VERSION, 0 },
};

static void fill(char *out, size_t cap, const char *query, const char *polling, const char *websocket)
{
	size_t n = 0;

	for (; *query; query++) {
		if (query[0] == '%' && (query[1] == 'P' || query[1] == 'W'))
			n += (size_t)snprintf(out + n, cap - n, "%s", *++query == 'P' ? polling : websocket);
		else
			out[n++] = *query;
	}
	out[n] = '\0';
}

static void test_table(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_client *p = fake_client(f, EIO_POLLING), *w = fake_client(f, EIO_WEBSOCKET);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char query[256];
		struct eio_session *s = (struct eio_session *)1, *want = NULL;
		struct eio_request req = { .method = sio_str(rows[i].method), .is_upgrade = rows[i].is_upgrade };
		enum eio_error code;
		fill(query, sizeof(query), rows[i].query, p->sid, w->sid);
		req.query = sio_str(query);
		code = eio_verify(&f->engine, &req, &s);
		if (code != rows[i].code)
			fail_msg("%s %s upgrade=%d: got %d, want %d", rows[i].method, rows[i].query, rows[i].is_upgrade, code,
				 rows[i].code);
		if (rows[i].session)
			want = fake_session(rows[i].session == 'P' ? p : w);
		assert_ptr_equal(s, want);
	}
	fake_free(f);
}

/* The sid stays known until the client has heard of the end (section 9). */
static void test_ended_sessions(void **state)
{
	struct fake *f = fake_new(NULL);
	struct fake_client *c = fake_client(f, EIO_POLLING);
	struct eio_session *s;
	char query[128];
	struct eio_request req = { .method = SIO_LIT("GET") };

	(void)state;
	snprintf(query, sizeof(query), "EIO=4&transport=polling&sid=%s", c->sid);
	req.query = sio_str(query);
	eio_close(fake_session(c), "forced close");
	assert_int_equal(eio_verify(&f->engine, &req, &s), EIO_ERR_NONE);
	fake_get(c);
	assert_int_equal(eio_verify(&f->engine, &req, &s), EIO_ERR_SID);
	assert_null(s);
	fake_free(f);
}

static enum eio_error verify(struct fake *f, const char *query, const char *sid, bool is_upgrade)
{
	struct eio_session *s;
	char text[128];
	struct eio_request req = { .method = SIO_LIT("GET"), .is_upgrade = is_upgrade };

	snprintf(text, sizeof(text), "%s%s", query, sid);
	req.query = sio_str(text);
	return eio_verify(&f->engine, &req, &s);
}

/* Section 1: a transport that is switched off is unknown, whatever else the request says;
 * and nobody is told of an upgrade that cannot be. */
static void test_transports_switched_off(void **state)
{
	struct eio_limits l = { .ping_interval_ms = 1000, .ping_timeout_ms = 1000, .upgrade_timeout_ms = 1000,
				.max_payload_bytes = 1000, .send_queue_bytes = 1000, .packets_n = 10 };
	struct fake *f;
	struct fake_client *c;

	(void)state;
	l.no_websocket = true;
	f = fake_new(&l);
	c = fake_open(f, EIO_POLLING);
	fake_turn(f);
	assert_non_null(memmem(c->log.p, c->log.n, "\"upgrades\":[],", 14));
	assert_int_equal(verify(f, "EIO=4&transport=polling", "", false), EIO_ERR_NONE);
	assert_int_equal(verify(f, "EIO=4&transport=websocket", "", true), EIO_ERR_TRANSPORT);
	assert_int_equal(verify(f, "EIO=5&transport=websocket", "", false), EIO_ERR_TRANSPORT);
	assert_int_equal(verify(f, "EIO=4&transport=websocket&sid=", c->sid, true), EIO_ERR_TRANSPORT);
	assert_int_equal(verify(f, "EIO=4&transport=polling&sid=", c->sid, false), EIO_ERR_NONE);
	fake_free(f);

	l = (struct eio_limits){ .ping_interval_ms = 1000, .ping_timeout_ms = 1000, .upgrade_timeout_ms = 1000,
				 .max_payload_bytes = 1000, .send_queue_bytes = 1000, .no_polling = true };
	f = fake_new(&l);
	c = fake_client(f, EIO_WEBSOCKET);
	assert_int_equal(verify(f, "EIO=4&transport=websocket", "", true), EIO_ERR_NONE);
	assert_int_equal(verify(f, "EIO=4&transport=polling", "", false), EIO_ERR_TRANSPORT);
	assert_int_equal(verify(f, "EIO=4&transport=polling&sid=", c->sid, false), EIO_ERR_TRANSPORT);
	fake_free(f);

	/* Not told of is not refused. */
	l = (struct eio_limits){ .ping_interval_ms = 1000, .ping_timeout_ms = 1000, .upgrade_timeout_ms = 1000,
				 .max_payload_bytes = 1000, .send_queue_bytes = 1000, .no_upgrades = true };
	f = fake_new(&l);
	c = fake_open(f, EIO_POLLING);
	fake_turn(f);
	assert_non_null(memmem(c->log.p, c->log.n, "\"upgrades\":[],", 14));
	assert_int_equal(verify(f, "EIO=4&transport=websocket&sid=", c->sid, true), EIO_ERR_NONE);
	fake_upgrade(c);
	fake_free(f);
}

static void test_texts(void **state)
{
	static const char *const texts[] = { "Transport unknown", "Session ID unknown", "Bad handshake method",
					     "Bad request",       "Forbidden",          "Unsupported protocol version" };

	(void)state;
	for (int i = 0; i < 6; i++)
		assert_string_equal(eio_error_text((enum eio_error)i), texts[i]);
	assert_string_equal(eio_error_text(EIO_ERR_NONE), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_ended_sessions),
		cmocka_unit_test(test_transports_switched_off),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
