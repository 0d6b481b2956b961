/* engine_client_server.c -- the server that the stock engine.io-client's own test suite
 * expects: Engine.IO on /engine.io/, ping interval 500 ms, messages of 100 bytes at most.
 *
 * "hi" is sent on open, and each message comes back, but for three: "give binary" is
 * answered by the bytes 0 to 4, "give utf8" by a Russian sentence, "sendHeaders" by the
 * headers of the POST that brought it, as JSON.  A handshake with "deny" in its query is
 * refused; the answer to any other sets four cookies.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sio/engine.h>
#include <sio/handshake.h>
#include <sio/json.h>
#include <sio/server.h>

enum { PING_INTERVAL_MS = 500, MAX_PAYLOAD_BYTES = 100, HEADERS_JSON_BYTES = 65536 };

/* ---- handshakes ------------------------------------------------------------------ */

static void on_handshake(struct sio_handshake *hs, void *arg)
{
	char value[64];
	long n = sio_request_query_get(sio_handshake_request(hs), "deny", value, sizeof(value));

	(void)arg;
	if (n == SIO_ERR_NOENT)
		sio_handshake_accept(hs);
	else
		sio_handshake_refuse(hs, sio_str(NULL));
}

/* One that stays, one for browsers on https, and two that are over at once. */
static void on_initial_headers(struct sio_headers *headers, const struct sio_request *request, void *arg)
{
	char now[64];
	time_t t = time(NULL);

	(void)request, (void)arg;
	strftime(now, sizeof(now), "4=4; Expires=%a, %d %b %Y %H:%M:%S GMT", gmtime(&t));
	sio_headers_add(headers, SIO_LIT("Set-Cookie"), SIO_LIT("1=1; Max-Age=86400"));
	sio_headers_add(headers, SIO_LIT("Set-Cookie"), SIO_LIT("2=2; Path=/; HttpOnly; Secure; SameSite=Strict"));
	sio_headers_add(headers, SIO_LIT("Set-Cookie"), SIO_LIT("3=3; Max-Age=0"));
	sio_headers_add(headers, SIO_LIT("Set-Cookie"), sio_str(now));
}

/* ---- messages --------------------------------------------------------------------- */

struct text {
	char bytes[HEADERS_JSON_BYTES];
	size_t n;
};

static void put(struct text *out, sio_slice s)
{
	if (s.n > sizeof(out->bytes) - out->n)
		return;
	memcpy(out->bytes + out->n, s.p, s.n);
	out->n += s.n;
}

static void put_quoted(struct text *out, sio_slice s)
{
	size_t room = sizeof(out->bytes) - out->n, n = sio_json_quote(s, out->bytes + out->n, room);

	if (n <= room)
		out->n += n;
}

/* Did a header of that name come before the index-th? */
static bool is_repeated(const struct sio_request *req, size_t index, sio_slice name)
{
	sio_slice other, value;

	for (size_t i = 0; i < index && sio_request_header_at(req, i, &other, &value); i++)
		if (sio_slice_eq(other, name))
			return true;
	return false;
}

/* The values of all headers of that name, from the index-th on. */
static sio_slice joined(const struct sio_request *req, size_t index, sio_slice name)
{
	static struct text values;
	sio_slice other, value;

	values.n = 0;
	for (size_t i = index; sio_request_header_at(req, i, &other, &value); i++) {
		if (!sio_slice_eq(other, name))
			continue;
		if (i > index)
			put(&values, SIO_LIT(", "));
		put(&values, value);
	}
	return sio_bytes(values.bytes, values.n);
}

/* {"name":"value","name":"value, value"} */
static void put_headers(struct text *out, const struct sio_request *req)
{
	sio_slice name, value;

	put(out, SIO_LIT("{"));
	for (size_t i = 0; req && sio_request_header_at(req, i, &name, &value); i++) {
		if (is_repeated(req, i, name))
			continue;
		if (out->n > 1)
			put(out, SIO_LIT(","));
		put_quoted(out, name);
		put(out, SIO_LIT(":"));
		put_quoted(out, joined(req, i, name));
	}
	put(out, SIO_LIT("}"));
}

static void send_headers(struct sio_session *session)
{
	static struct text json;

	json.n = 0;
	put_headers(&json, sio_session_request(session));
	sio_session_send_text(session, sio_bytes(json.bytes, json.n));
}

static void on_message(struct sio_session *session, sio_slice data, bool is_binary, void *arg)
{
	(void)arg;
	if (is_binary)
		sio_session_send_binary(session, data);
	else if (sio_slice_eq(data, SIO_LIT("give binary")))
		sio_session_send_binary(session, SIO_LIT("\x00\x01\x02\x03\x04"));
	else if (sio_slice_eq(data, SIO_LIT("give utf8")))
		sio_session_send_text(session, SIO_LIT("пойду спать всем спокойной ночи"));
	else if (sio_slice_eq(data, SIO_LIT("sendHeaders")))
		send_headers(session);
	else
		sio_session_send_text(session, data);
}

static void on_open(struct sio_session *session, void *arg)
{
	(void)arg;
	sio_session_send_text(session, SIO_LIT("hi"));
}

/* ---- the server --------------------------------------------------------------------- */

static int start(struct sio_server *server, uint16_t port)
{
	int err;

	sio_on_handshake(server, on_handshake, NULL);
	sio_on_initial_headers(server, on_initial_headers, NULL);
	if ((err = sio_engine_on_open(server, on_open, NULL)) || (err = sio_engine_on_message(server, on_message, NULL)))
		return err;
	if ((err = sio_server_listen(server, "127.0.0.1", port)))
		return err;
	/* Node's clients try ::1 first for "localhost"; without IPv6 the first address will do. */
	err = sio_server_listen(server, "::1", sio_server_port(server));
	if (err)
		fprintf(stderr, "engine_client_server: not on ::1: %s\n", sio_strerror(err));
	return sio_server_close_on_signals(server, 1000);
}

int main(int argc, char **argv)
{
	static const char *const anywhere[] = { "*", NULL };
	struct sio_server_options o = { .engine_only = true,
					.origins = anywhere,
					.ping_interval_ms = PING_INTERVAL_MS,
					.max_payload_bytes = MAX_PAYLOAD_BYTES };
	struct sio_server *server = NULL;
	unsigned long port = 3000;
	int err;

	if (argc == 3 && strcmp(argv[1], "--port") == 0) {
		port = strtoul(argv[2], NULL, 10);
	} else if (argc != 1) {
		fprintf(stderr, "usage: engine_client_server [--port N]\n");
		return 2;
	}
	err = sio_server_new(&o, &server);
	if (!err)
		err = start(server, (uint16_t)port);
	if (err) {
		fprintf(stderr, "engine_client_server: cannot serve on port %lu: %s\n", port, sio_strerror(err));
		sio_server_free(server);
		return 1;
	}
	printf("Listening on http://127.0.0.1:%u\n", sio_server_port(server));
	fflush(stdout);
	sio_server_run(server);
	sio_server_free(server);
	return 0;
}
