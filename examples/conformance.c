/* conformance.c -- a Socket.IO server for outside protocol test suites.
 *
 * Namespaces "/" and "/custom": on connection "auth" is emitted with what the client
 * sent as auth; "message" is answered by "message-back" with the same arguments,
 * "message-with-ack" is acknowledged with them.  Nothing else is sent.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>

#include <sio/namespace.h>
#include <sio/server.h>

#include "options.h"

static void on_connect(struct sio_connect *req, void *arg)
{
	/* The slice is the request's; accepting frees it, so the bytes are kept. */
	sio_slice auth = sio_connect_auth(req);
	char *copy = malloc(auth.n);
	struct sio_args args = sio_args_json(sio_bytes(copy, auth.n));
	struct sio_socket *socket;

	(void)arg;
	if (!copy) {
		sio_connect_refuse(req, SIO_LIT("out of memory"), sio_bytes("", 0));
		return;
	}
	memcpy(copy, auth.p, auth.n);
	socket = sio_connect_accept(req);
	if (socket)
		sio_socket_emit(socket, SIO_LIT("auth"), &args);
	free(copy);
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

static int serve(struct sio_server *server, const char *name)
{
	struct sio_namespace *nsp = sio_namespace_open(server, sio_str(name));
	int err;

	if (!nsp)
		return SIO_ERR_NOMEM;
	sio_namespace_on_connect(nsp, on_connect, NULL);
	err = sio_namespace_on_event(nsp, "message", on_message, NULL);
	return err ? err : sio_namespace_on_event(nsp, "message-with-ack", on_message_with_ack, NULL);
}

int main(int argc, char **argv)
{
	static const char *const anywhere[] = { "*", NULL };
	struct sio_server_options o = { .origins = anywhere };
	uint32_t port = 3000, max_payload = 0;
	const struct option options[] = {
		{ "--port", "port to listen on (3000; 0 picks one)", &port, NULL },
		{ "--path", "path (/socket.io)", NULL, &o.path },
		{ "--ping-interval", "ms between two pings (25000)", &o.ping_interval_ms, NULL },
		{ "--ping-timeout", "ms to answer one (20000)", &o.ping_timeout_ms, NULL },
		{ "--connect-timeout", "ms to join a namespace (45000)", &o.connect_timeout_ms, NULL },
		{ "--max-payload", "bytes of a message (1000000)", &max_payload, NULL },
	};
	struct sio_server *server = NULL;
	int err;

	read_options(argc, argv, options, sizeof(options) / sizeof(options[0]));
	o.max_payload_bytes = max_payload;
	err = sio_server_new(&o, &server);
	if (!err)
		err = serve(server, "/");
	if (!err)
		err = serve(server, "/custom");
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
