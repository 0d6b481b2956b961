/* engine_echo.c -- plain Engine.IO, without Socket.IO on top: each message comes back as
 * it came, text as text and binary as binary.  Nothing is sent by itself.
 *
 *   engine_echo [--port 3000] [--ping-interval 25000] ...     then, in JavaScript:
 *
 *   import { Socket } from "engine.io-client";
 *   const socket = new Socket("ws://localhost:3000");
 *   socket.on("open", () => socket.send("hello"));
 *   socket.on("message", console.log);
 *
 * It is also the server for Engine.IO's protocol test suite.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>

#include <sio/engine.h>
#include <sio/server.h>

#include "options.h"

static void on_message(struct sio_session *session, sio_slice data, bool is_binary, void *arg)
{
	(void)arg;
	/* What can fail here ends the session by itself: there is nobody left to tell. */
	if (is_binary)
		sio_session_send_binary(session, data);
	else
		sio_session_send_text(session, data);
}

int main(int argc, char **argv)
{
	static const char *const anywhere[] = { "*", NULL };
	struct sio_server_options o = { .engine_only = true, .origins = anywhere };
	uint32_t port = 3000, max_payload = 0;
	const struct option options[] = {
		{ "--port", "port to listen on (3000; 0 picks one)", &port, NULL },
		{ "--path", "path (/engine.io)", NULL, &o.path },
		{ "--ping-interval", "ms between two pings (25000)", &o.ping_interval_ms, NULL },
		{ "--ping-timeout", "ms to answer one (20000)", &o.ping_timeout_ms, NULL },
		{ "--max-payload", "bytes of a message (1000000)", &max_payload, NULL },
	};
	struct sio_server *server = NULL;
	int err;

	read_options(argc, argv, options, sizeof(options) / sizeof(options[0]));
	o.max_payload_bytes = max_payload;
	err = sio_server_new(&o, &server);
	if (!err)
		err = sio_engine_on_message(server, on_message, NULL);
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
