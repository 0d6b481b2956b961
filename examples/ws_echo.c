/* ws_echo.c -- plain WebSockets: every message comes back as it came, on any path.
 *
 *   ws_echo [--port 9001]     then, in JavaScript:
 *   new WebSocket("ws://localhost:9001/").onopen = (e) => e.target.send("hi")
 *
 * Messages of up to 16 MiB, in fragments of 64 bytes if need be; compressed for clients that
 * offer permessage-deflate.  For outside WebSocket test suites.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>

#include <sio/server.h>
#include <sio/websocket.h>

#include "options.h"

enum { MESSAGE_BYTES = 16777216, FRAGMENT_BYTES = 64, TRY_AGAIN_LATER = 1013 };

static void on_message(struct sio_ws *ws, sio_slice data, bool is_binary, void *arg)
{
	(void)arg;
	/* A client is not read from while half the queue's limit waits for it, so only one
	 * that makes much out of little gets here. */
	if (sio_ws_send(ws, data, is_binary) < 0)
		sio_ws_close(ws, TRY_AGAIN_LATER, SIO_LIT("too much waits to be read"));
}

int main(int argc, char **argv)
{
	static const char *const anywhere[] = { "*", NULL };
	/* No Engine.IO: its path would not echo. */
	struct sio_server_options o = { .path = "", .origins = anywhere };
	struct sio_ws_endpoint echo = {
		.on_message = on_message,
		.max_fragments_n = MESSAGE_BYTES / FRAGMENT_BYTES + 1, /* some end a message with an empty one */
		.per_message_deflate = true,
	};
	uint32_t port = 9001, max_payload = MESSAGE_BYTES;
	const char *path = NULL;
	const struct option options[] = {
		{ "--port", "port to listen on (9001; 0 picks one)", &port, NULL },
		{ "--path", "any: every path echoes", NULL, &path },
		{ "--ping-interval", "ms of silence, then a ping (25000)", &o.ping_interval_ms, NULL },
		{ "--ping-timeout", "ms to answer it (20000)", &o.ping_timeout_ms, NULL },
		{ "--max-payload", "bytes of a message (16777216)", &max_payload, NULL },
	};
	struct sio_server *server = NULL;
	int err;

	read_options(argc, argv, options, sizeof(options) / sizeof(options[0]));
	echo.max_message_bytes = max_payload;
	/* Room for some of the largest: half of it waits before the client is not read from. */
	echo.send_queue_bytes = 4 * (size_t)MESSAGE_BYTES;
	err = sio_server_new(&o, &server);
	if (!err)
		err = sio_ws_route(server, "/*", &echo, NULL);
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
