/* echo-server.c -- the server of the protocol tests: libsio and nothing of skybuild.
 *
 * Settings come as environment variables (PORT, PING_INTERVAL, ...).  It behaves
 * like lib/reference.mjs, which does the same on Node's own server, so that the
 * tests can be run against both.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <stdlib.h>

#include <sio/json.h>
#include <sio/namespace.h>
#include <sio/server.h>
#include <sio/work.h>
#include <uv.h>

static uint32_t setting(const char *name)
{
	const char *value = getenv(name);
	return value ? (uint32_t)strtoul(value, NULL, 10) : 0;
}

static void give_up(const char *what, int code)
{
	fprintf(stderr, "echo-server: %s: %s\n", what, sio_strerror(code));
	exit(1);
}

static void log_line(enum sio_log_level level, const char *line, void *arg)
{
	(void)arg;
	fprintf(stderr, "%d %s\n", (int)level, line);
}

/* auth {"refuse": ...} is refused with message and data, all else is let in and
 * told its auth object. */
static void on_connect(struct sio_connect *req, void *arg)
{
	struct sio_json_field refuse = { .key = "refuse" };
	char auth[4096] = "{}";
	sio_slice sent = sio_connect_auth(req);

	(void)arg;
	if (sio_json_pick(sent, &refuse, 1) || refuse.type != SIO_JSON_NONE) {
		sio_connect_refuse(req, SIO_LIT("refused as asked"), SIO_LIT("{\"code\":\"asked\"}"));
		return;
	}
	size_t n = sent.n <= sizeof(auth) ? sent.n : 0;
	memcpy(auth, sent.p, n);
	struct sio_socket *socket = sio_connect_accept(req);
	if (!socket)
		return;
	struct sio_args args = sio_args_json(sio_bytes(auth, n));
	sio_socket_emit(socket, SIO_LIT("auth"), &args);
}

/* The middleware of "/child-...": auth {"wait": ms} is answered that much later. */
struct waiting {
	struct sio_timer timer;
	struct sio_connect *req;
	struct waiting *next;
};

static struct waiting *all_waiting;

static void on_waited(struct sio_timer *timer)
{
	struct waiting *waiting = (struct waiting *)(void *)timer, **at = &all_waiting;

	while (*at != waiting)
		at = &(*at)->next;
	*at = waiting->next;
	sio_connect_next(waiting->req);
	free(waiting);
}

/* Before the server is freed: what nobody answers any more. */
static void answer_all(void)
{
	while (all_waiting) {
		sio_timer_stop(&all_waiting->timer);
		on_waited(&all_waiting->timer);
	}
}

static void on_use(struct sio_connect *req, void *arg)
{
	struct sio_json_field wait = { .key = "wait" };
	struct waiting *waiting;
	int64_t ms;

	(void)arg;
	if (sio_json_pick(sio_connect_auth(req), &wait, 1) || wait.type != SIO_JSON_NUMBER ||
	    sio_json_int(wait.value, &ms) || ms < 1 || ms > 60000 || !(waiting = calloc(1, sizeof(*waiting)))) {
		sio_connect_next(req);
		return;
	}
	waiting->req = req;
	waiting->next = all_waiting;
	all_waiting = waiting;
	sio_timer_start(sio_connect_server(req), &waiting->timer, (uint32_t)ms, on_waited);
}

static void on_message(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)arg;
	sio_socket_emit(socket, SIO_LIT("message-back"), &event->args);
}

static void on_message_with_ack(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)arg;
	if (event->ack != SIO_ACK_NONE)
		sio_socket_ack(socket, event->ack, &event->args);
}

static void acknowledge(struct sio_socket *socket, const struct sio_event *event)
{
	struct sio_args none = { 0 };
	if (event->ack != SIO_ACK_NONE)
		sio_socket_ack(socket, event->ack, &none);
}

/* The first argument as a room's name; the empty slice when it is none. */
static sio_slice first_as_room(const struct sio_event *event, sio_slice *rest, char *buf, size_t cap)
{
	sio_slice first;
	*rest = event->args.json;
	if (sio_json_next(rest, &first))
		return sio_str(NULL);
	long n = sio_json_unquote(first, buf, cap);
	return n > 0 ? sio_bytes(buf, (size_t)n) : sio_str(NULL);
}

static void on_room_join(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	char name[SIO_ROOM_MAX + 1];
	sio_slice rest, room = first_as_room(event, &rest, name, sizeof(name));
	(void)arg;
	if (room.n && sio_room_join(socket, room) == 0)
		acknowledge(socket, event);
}

static void on_room_leave(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	char name[SIO_ROOM_MAX + 1];
	sio_slice rest, room = first_as_room(event, &rest, name, sizeof(name));
	(void)arg;
	sio_room_leave(socket, room);
	acknowledge(socket, event);
}

static void on_room_send(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	char name[SIO_ROOM_MAX + 1];
	sio_slice rest, room = first_as_room(event, &rest, name, sizeof(name));
	struct sio_target target = { .rooms = &room, .rooms_n = 1, .skip = socket };
	struct sio_args args = event->args;
	(void)arg;
	args.json = rest;
	if (room.n && sio_namespace_broadcast(sio_socket_namespace(socket), &target, SIO_LIT("room:message"), &args) < 0)
		fprintf(stderr, "echo-server: room:send failed\n");
}

static void on_burst(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	sio_slice rest = event->args.json, first;
	int64_t count = 0;
	(void)arg;
	if (sio_json_next(&rest, &first) || sio_json_int(first, &count))
		return;
	for (int64_t i = 0; i < count; i++) {
		char number[24];
		int n = snprintf(number, sizeof(number), "%lld", (long long)i);
		struct sio_args args = sio_args_json(sio_bytes(number, (size_t)n));
		sio_socket_emit(socket, SIO_LIT("tick"), &args);
	}
}

static void on_leave_me(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)event, (void)arg;
	sio_socket_disconnect(socket, false);
}

static void on_close_me(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)event, (void)arg;
	sio_socket_disconnect(socket, true);
}

static const struct {
	const char *name;
	sio_event_fn *fn;
} events[] = {
	{ "message", on_message },       { "message-with-ack", on_message_with_ack },
	{ "room:join", on_room_join },   { "room:leave", on_room_leave },
	{ "room:send", on_room_send },   { "burst", on_burst },
	{ "leave-me", on_leave_me },     { "close-me", on_close_me },
};

static void on_signal(uv_signal_t *handle, int signum)
{
	(void)signum;
	uv_close((uv_handle_t *)handle, NULL);
	sio_server_close(handle->data, 2000);
}

int main(void)
{
	struct sio_server_options options = {
		.loop = uv_default_loop(),
		.ping_interval_ms = setting("PING_INTERVAL"),
		.ping_timeout_ms = setting("PING_TIMEOUT"),
		.connect_timeout_ms = setting("CONNECT_TIMEOUT"),
		.upgrade_timeout_ms = setting("UPGRADE_TIMEOUT"),
		.max_payload_bytes = setting("MAX_PAYLOAD"),
		.tls_cert = getenv("TLS_CERT"),
		.tls_key = getenv("TLS_KEY"),
		.log = log_line,
	};
	struct sio_server *server;
	struct sio_namespace *children;
	uv_signal_t term;
	int err = sio_server_new(&options, &server);
	if (err)
		give_up("new", err);
	sio_on_connect(server, on_connect, NULL);
	err = sio_namespace_pattern(server, "/child-[0-9a-z]+", &children);
	if (!err)
		err = sio_namespace_use(children, on_use, NULL);
	if (err)
		give_up("children", err);
	sio_namespace_on_connect(children, on_connect, NULL);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		err = sio_on_event(server, events[i].name, events[i].fn, NULL);
		if (!err)
			err = sio_namespace_on_event(children, events[i].name, events[i].fn, NULL);
		if (err)
			give_up("event", err);
	}
	err = sio_server_listen(server, "127.0.0.1", (uint16_t)setting("PORT"));
	if (err)
		give_up("listen", err);
	uv_signal_init(options.loop, &term);
	term.data = server;
	uv_signal_start(&term, on_signal, SIGTERM);
	printf("Listening on %s://127.0.0.1:%d\n", options.tls_cert ? "https" : "http", sio_server_port(server));
	fflush(stdout);
	uv_run(options.loop, UV_RUN_DEFAULT);
	answer_all();
	sio_server_free(server);
	uv_loop_close(options.loop);
	return 0;
}
