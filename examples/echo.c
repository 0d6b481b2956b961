/* echo.c -- the smallest useful server: "echo" is acknowledged with its arguments.
 *
 *   echo [port]     then, in JavaScript:
 *   io("http://localhost:3000").emit("echo", "hi", 1, console.log)
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <stdlib.h>

#include <sio/server.h>
#include <sio/socket.h>

static void on_echo(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)arg;
	if (event->ack != SIO_ACK_NONE)
		sio_socket_ack(socket, event->ack, &event->args);
}

int main(int argc, char **argv)
{
	uint16_t port = argc > 1 ? (uint16_t)atoi(argv[1]) : 3000;
	struct sio_server *server;
	int err = sio_server_new(NULL, &server);

	if (err == SIO_OK)
		err = sio_on_event(server, "echo", on_echo, NULL);
	if (err == SIO_OK)
		err = sio_server_listen(server, "127.0.0.1", port);
	if (err == SIO_OK)
		err = sio_server_close_on_signals(server, 1000);
	if (err < 0) {
		fprintf(stderr, "echo: cannot listen on port %u: %s\n", port, sio_strerror(err));
		return 1;
	}
	printf("Listening on http://127.0.0.1:%u\n", sio_server_port(server));
	fflush(stdout);
	sio_server_run(server);
	sio_server_free(server);
	return 0;
}
