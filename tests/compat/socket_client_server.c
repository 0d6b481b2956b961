/* socket_client_server.c -- the server that the stock socket.io-client's own test suite
 * expects: Socket.IO on /socket.io/, ping interval 2000 ms, recovery on.
 *
 * What is sent and what is acknowledged stands in the table at the end, a line each;
 * nothing else is.  --connect-delay MS lets each accepted client wait that long.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sio/facts.h>
#include <sio/history.h>
#include <sio/json.h>
#include <sio/namespace.h>
#include <sio/server.h>
#include <sio/work.h>

enum { PING_INTERVAL_MS = 2000, RECOVERY_WINDOW_MS = 120000, TEXT_BYTES = 65536 };

static const struct sio_args none;
static uint32_t connect_delay_ms;

/* ---- JSON, written into one buffer that the next answer uses again -------------------- */

static struct {
	char bytes[TEXT_BYTES];
	size_t n;
} text;

static void put(sio_slice s)
{
	if (s.n > sizeof(text.bytes) - text.n)
		return;
	memcpy(text.bytes + text.n, s.p, s.n);
	text.n += s.n;
}

static void put_quoted(sio_slice s)
{
	size_t room = sizeof(text.bytes) - text.n, n = sio_json_quote(s, text.bytes + text.n, room);

	if (n <= room)
		text.n += n;
}

static void put_key(const char *key)
{
	put_quoted(sio_str(key));
	put(SIO_LIT(":"));
}

static void put_bool(const char *key, bool value)
{
	put_key(key);
	put(value ? SIO_LIT("true") : SIO_LIT("false"));
}

static void put_date(int64_t ms)
{
	char date[64];
	time_t s = ms / 1000;
	size_t n = strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", gmtime(&s));

	n += (size_t)snprintf(date + n, sizeof(date) - n, ".%03dZ", (int)(ms % 1000));
	put_quoted(sio_bytes(date, n));
}

static int64_t now_ms(void)
{
	struct timespec now;

	timespec_get(&now, TIME_UTC);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct sio_args written(void)
{
	return sio_args_json(sio_bytes(text.bytes, text.n));
}

/* ---- the handshake, with the names it has in Node --------------------------------------- */

static void put_headers(const struct sio_facts *facts)
{
	sio_slice name, value;

	put(SIO_LIT("{"));
	for (size_t i = 0; sio_facts_header_at(facts, i, &name, &value); i++) {
		put(i ? SIO_LIT(",") : SIO_LIT(""));
		put_quoted(name);
		put(SIO_LIT(":"));
		put_quoted(value);
	}
	put(SIO_LIT("}"));
}

/* Each key once, with the value that counts. */
static void put_query(const struct sio_facts *facts)
{
	char value[2048], name[256];
	sio_slice key, raw, other;
	bool is_first = true;

	put(SIO_LIT("{"));
	for (size_t i = 0; sio_facts_query_at(facts, i, &key, &raw); i++) {
		bool is_again = false;
		long n;
		for (size_t k = 0; k < i && sio_facts_query_at(facts, k, &other, &raw); k++)
			is_again |= sio_slice_eq(other, key);
		if (is_again || sio_query_unescape(key, name, sizeof(name)) < 0)
			continue;
		n = sio_facts_query_get(facts, name, value, sizeof(value));
		if (n < 0)
			continue;
		put(is_first ? SIO_LIT("") : SIO_LIT(","));
		is_first = false;
		put_key(name);
		put_quoted(sio_bytes(value, (size_t)n));
	}
	put(SIO_LIT("}"));
}

static void put_handshake(const struct sio_facts *facts, sio_slice auth)
{
	char issued[32];

	put(SIO_LIT("{"));
	put_key("headers");
	put_headers(facts);
	put(SIO_LIT(","));
	put_key("time");
	put_date(sio_facts_issued_ms(facts));
	put(SIO_LIT(","));
	put_key("address");
	put_quoted(sio_facts_address(facts));
	put(SIO_LIT(","));
	put_bool("xdomain", sio_facts_header(facts, "origin").n > 0);
	put(SIO_LIT(","));
	put_bool("secure", sio_facts_is_secure(facts));
	snprintf(issued, sizeof(issued), ",\"issued\":%" PRId64 ",", sio_facts_issued_ms(facts));
	put(sio_str(issued));
	put_key("url");
	put_quoted(sio_facts_url(facts));
	put(SIO_LIT(","));
	put_key("query");
	put_query(facts);
	put(SIO_LIT(","));
	put_key("auth");
	put(auth);
	put(SIO_LIT("}"));
}

/* ---- connecting ----------------------------------------------------------------------------- */

/* A socket's data: its auth object, and what "abuff1" has brought. */
struct client {
	bool has_abuff1;
	size_t auth_n;
	char auth[];
};

static void on_disconnect(struct sio_socket *socket, sio_slice reason, void *arg)
{
	(void)reason, (void)arg;
	free(sio_socket_data(socket));
}

static void emit(struct sio_socket *socket, const char *name, struct sio_args args)
{
	sio_socket_emit(socket, sio_str(name), &args);
}

static void greet_abc(struct sio_socket *socket)
{
	const struct client *client = sio_socket_data(socket);

	text.n = 0;
	put(SIO_LIT("{"));
	put_key("query");
	put_query(sio_socket_facts(socket));
	put(SIO_LIT(","));
	put_key("auth");
	put(sio_bytes(client->auth, client->auth_n));
	put(SIO_LIT("}"));
	emit(socket, "handshake", written());
}

static void admit(struct sio_connect *req)
{
	sio_slice auth = sio_connect_auth(req);
	struct client *client = calloc(1, sizeof(*client) + auth.n);
	struct sio_socket *socket;

	if (!client) {
		sio_connect_refuse(req, SIO_LIT("out of memory"), sio_str(NULL));
		return;
	}
	client->auth_n = auth.n;
	memcpy(client->auth, auth.p, auth.n);
	socket = sio_connect_accept(req);
	if (!socket) {
		free(client);
		return;
	}
	sio_socket_set_data(socket, client);
	if (sio_slice_eq(sio_namespace_name(sio_socket_namespace(socket)), SIO_LIT("/abc")))
		greet_abc(socket);
}

struct delayed {
	struct sio_timer timer;
	struct sio_connect *req;
};

static void on_delay_over(struct sio_timer *timer)
{
	struct delayed *delayed = (struct delayed *)(void *)timer;

	admit(delayed->req);
	free(delayed);
}

static void on_connect(struct sio_connect *req, void *arg)
{
	struct delayed *delayed;

	(void)arg;
	if (!connect_delay_ms || !(delayed = calloc(1, sizeof(*delayed)))) {
		admit(req);
		return;
	}
	delayed->req = req;
	sio_timer_start(sio_connect_server(req), &delayed->timer, connect_delay_ms, on_delay_over);
}

/* Middlewares. */

static void unless_fail(struct sio_connect *req, void *arg)
{
	const struct sio_facts *facts = sio_connect_facts(req);
	char value[16];

	(void)arg;
	if (facts && sio_facts_query_get(facts, "fail", value, sizeof(value)) != SIO_ERR_NOENT)
		sio_connect_refuse(req, SIO_LIT("Auth failed (main namespace)"), sio_str(NULL));
	else
		sio_connect_next(req);
}

static void never(struct sio_connect *req, void *arg)
{
	(void)arg;
	sio_connect_refuse(req, SIO_LIT("Auth failed (custom namespace)"), sio_str(NULL));
}

/* ---- events ------------------------------------------------------------------------------------ */

static void acknowledge(struct sio_socket *socket, const struct sio_event *event, struct sio_args args)
{
	if (event->ack != SIO_ACK_NONE)
		sio_socket_ack(socket, event->ack, &args);
}

static void on_hi(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)event, (void)arg;
	emit(socket, "hi", none);
}

static void on_echo(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)arg;
	acknowledge(socket, event, event->args);
}

static bool is_five_and_true(sio_slice json)
{
	struct sio_json_field test = { .key = "test" };
	sio_slice five, object;

	return sio_json_next(&json, &five) == SIO_OK && sio_json_next(&json, &object) == SIO_OK &&
	       sio_slice_eq(five, SIO_LIT("5")) && sio_json_pick(object, &test, 1) == SIO_OK &&
	       sio_slice_eq(test.value, SIO_LIT("true"));
}

static void on_ack_answer(struct sio_socket *socket, int status, const struct sio_args *args, void *arg)
{
	(void)arg;
	if (status == SIO_OK && is_five_and_true(args->json))
		emit(socket, "got it", none);
}

static void on_ack(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)event, (void)arg;
	if (sio_socket_ask(socket, SIO_LIT("ack"), &none, 0, on_ack_answer, NULL) < 0)
		sio_socket_close_transport(socket);
}

static struct sio_args a_date(bool in_object)
{
	text.n = 0;
	if (in_object)
		put(SIO_LIT("{\"date\":"));
	put_date(now_ms());
	if (in_object)
		put(SIO_LIT("}"));
	return written();
}

static void on_get_ack_date(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)arg;
	acknowledge(socket, event, a_date(false));
}

static void on_get_date(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)event, (void)arg;
	emit(socket, "takeDate", a_date(false));
}

static void on_get_date_obj(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)event, (void)arg;
	emit(socket, "takeDateObj", a_date(true));
}

static void on_get_utf8(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	static const char *const texts[] = { "\"てすと\"", "\"Я Б Г Д Ж Й\"", "\"Ä ä Ü ü ß\"", "\"utf8 — string\"",
					     "\"utf8 — string\"" };

	(void)event, (void)arg;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		emit(socket, "takeUtf8", sio_args_json(sio_str(texts[i])));
}

static void on_false(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)event, (void)arg;
	emit(socket, "false", sio_args_json(SIO_LIT("false")));
}

static void on_get_handshake(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	const struct client *client = sio_socket_data(socket);

	(void)arg;
	text.n = 0;
	put_handshake(sio_socket_facts(socket), sio_bytes(client->auth, client->auth_n));
	acknowledge(socket, event, written());
}

static void on_get_id(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)arg;
	text.n = 0;
	put_quoted(sio_socket_id(socket));
	acknowledge(socket, event, written());
}

/* ---- binary ---------------------------------------------------------------------------------------- */

static const sio_slice placeholder = { "{\"_placeholder\":true,\"num\":0}", 29 };

static void emit_bytes(struct sio_socket *socket, const char *name, sio_slice bytes)
{
	struct sio_args args = { placeholder, &bytes, 1 };

	sio_socket_emit(socket, sio_str(name), &args);
}

/* Sends the bytes of "asdfasdf" under the name that arg gives. */
static void on_wants_bytes(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)event;
	emit_bytes(socket, arg, SIO_LIT("asdfasdf"));
}

/* Is the first argument bytes? */
static bool is_bytes(const struct sio_args *args)
{
	return args->attachments_n == 1 && args->json.n >= placeholder.n &&
	       memcmp(args->json.p, placeholder.p, placeholder.n) == 0;
}

static bool is_string(sio_slice json, const char *want)
{
	char got[16];

	return sio_json_unquote(json, got, sizeof(got)) >= 0 && strcmp(got, want) == 0;
}

/* {hello: 'lol', message: bytes, goodbye: 'gotcha'} */
static bool is_json_with_bytes(const struct sio_args *args)
{
	struct sio_json_field f[] = { { .key = "hello" }, { .key = "message" }, { .key = "goodbye" } };

	return args->attachments_n == 1 && sio_json_pick(args->json, f, 3) == SIO_OK && is_string(f[0].value, "lol") &&
	       f[1].type == SIO_JSON_OBJECT && is_string(f[2].value, "gotcha");
}

static void on_buffa(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)arg;
	if (is_bytes(&event->args))
		emit(socket, "buffack", none);
}

/* Answers with the event that arg names. */
static void on_json_with_bytes(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	if (is_json_with_bytes(&event->args))
		emit(socket, arg, none);
}

/* "abuff1" and "blob1": bytes that must come before the others. */
static void on_first_bytes(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	struct client *client = sio_socket_data(socket);

	(void)arg;
	client->has_abuff1 = is_bytes(&event->args);
}

static void on_abuff2(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	const struct client *client = sio_socket_data(socket);

	(void)event, (void)arg;
	if (client->has_abuff1)
		emit(socket, "abuff2-ack", none);
}

static void on_blob(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)arg;
	if (is_bytes(&event->args))
		emit_bytes(socket, "back", event->args.attachments[0]);
}

static void on_blob2(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)socket, (void)event, (void)arg;
}

static void on_blob3(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	const struct client *client = sio_socket_data(socket);

	(void)arg;
	if (client->has_abuff1 && is_bytes(&event->args))
		emit(socket, "blob3-ack", none);
}

/* ---- the table ---------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	sio_event_fn *fn;
	const char *arg;
} events[] = {
	{ "hi", on_hi, NULL },
	{ "echo", on_echo, NULL },
	{ "ack", on_ack, NULL },
	{ "getAckDate", on_get_ack_date, NULL },
	{ "getDate", on_get_date, NULL },
	{ "getDateObj", on_get_date_obj, NULL },
	{ "getUtf8", on_get_utf8, NULL },
	{ "false", on_false, NULL },
	{ "getHandshake", on_get_handshake, NULL },
	{ "getId", on_get_id, NULL },
	{ "doge", on_wants_bytes, "doge" },
	{ "getbin", on_wants_bytes, "takebin" },
	{ "buffa", on_buffa, NULL },
	{ "jsonbuff", on_json_with_bytes, "jsonbuff-ack" },
	{ "abuff1", on_first_bytes, NULL },
	{ "abuff2", on_abuff2, NULL },
	{ "blob", on_blob, NULL },
	{ "jsonblob", on_json_with_bytes, "jsonblob-ack" },
	{ "blob1", on_first_bytes, NULL },
	{ "blob2", on_blob2, NULL },
	{ "blob3", on_blob3, NULL },
};

static int open_namespaces(struct sio_server *server)
{
	static const char *const names[] = { "/", "/foo", "/timeout_socket", "/valid", "/asd", "/abc", "/no" };
	int err = SIO_OK;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !err; i++) {
		struct sio_namespace *nsp = sio_namespace_open(server, sio_str(names[i]));
		if (!nsp)
			return SIO_ERR_NOMEM;
		sio_namespace_on_connect(nsp, on_connect, NULL);
		sio_namespace_on_disconnect(nsp, on_disconnect, NULL);
		if (strcmp(names[i], "/foo") == 0)
			err = sio_namespace_on_event(nsp, "getId", on_get_id, NULL);
		else if (strcmp(names[i], "/no") == 0)
			err = sio_namespace_use(nsp, never, NULL);
	}
	return err;
}

static int serve(struct sio_server *server)
{
	int err = open_namespaces(server);

	if (!err)
		err = sio_namespace_use(sio_namespace_main(server), unless_fail, NULL);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]) && !err; i++)
		err = sio_on_event(server, events[i].name, events[i].fn, (void *)(uintptr_t)events[i].arg);
	return err;
}

int main(int argc, char **argv)
{
	static const char *const anywhere[] = { "*", NULL };
	const struct sio_server_options o = {
		.ping_interval_ms = PING_INTERVAL_MS,
		.recovery_window_ms = RECOVERY_WINDOW_MS,
		.keep_facts = true,
		.origins = anywhere,
	};
	uint32_t port = 3210;
	struct sio_server *server = NULL;
	int err;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--port") == 0)
			port = (uint32_t)strtoul(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--connect-delay") == 0)
			connect_delay_ms = (uint32_t)strtoul(argv[i + 1], NULL, 10);
		else
			argc = 0;
	}
	if (argc % 2 == 0) {
		fprintf(stderr, "usage: %s [--port N] [--connect-delay MS]\n", argv[0]);
		return 2;
	}
	err = sio_server_new(&o, &server);
	if (!err)
		err = serve(server);
	if (!err)
		err = sio_server_listen(server, "127.0.0.1", (uint16_t)port);
	if (!err)
		err = sio_server_close_on_signals(server, 1000);
	if (err) {
		fprintf(stderr, "%s: cannot serve on port %u: %s\n", argv[0], port, sio_strerror(err));
		sio_server_free(server);
		return 1;
	}
	printf("Listening on http://127.0.0.1:%u\n", sio_server_port(server));
	fflush(stdout);
	sio_server_run(server);
	sio_server_free(server);
	return 0;
}
