/* program.c -- a program of somebody who has libsio installed, C17 and C++17 alike.
 *
 * "echo" is acknowledged with its arguments.  The functions at the end are named as
 * functions inside of the library are: linked statically, each must keep its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <stdlib.h>

#include <sio/error.h>
#include <sio/http.h>
#include <sio/json.h>
#include <sio/namespace.h>
#include <sio/room.h>
#include <sio/server.h>
#include <sio/slice.h>
#include <sio/socket.h>
#include <sio/testing.h>
#include <sio/work.h>

#ifdef __cplusplus
extern "C" {
#endif
int map_put(void);
int buf_str(void);
int wheel_set(void);
int eio_send(void);
int llhttp_init(void);
#ifdef __cplusplus
}
#endif

static void on_echo(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)arg;
	if (event->ack != SIO_ACK_NONE)
		sio_socket_ack(socket, event->ack, &event->args);
}

/* The same handler, without a network. */
static void rehearse(void)
{
	struct sio_server *server;
	struct sio_test_client *client;

	if (sio_test_server_new(NULL, &server) || sio_on_event(server, "echo", on_echo, NULL))
		abort();
	client = sio_test_connect(server, "/", NULL);
	sio_test_ask(client, "echo", "1,\"two\"");
	SIO_TEST_EXPECT(client, "connected; ack 0(1,\"two\")");
	sio_server_free(server);
}

int main(void)
{
	struct sio_args args = sio_args_json(SIO_LIT("\"hello\""));
	struct sio_server *server;
	int err;

	rehearse();
	if (map_put() + buf_str() + wheel_set() + eio_send() + llhttp_init() != 0)
		return 3;
	err = sio_server_new(NULL, &server);
	if (err == SIO_OK)
		err = sio_on_event(server, "echo", on_echo, NULL);
	if (err == SIO_OK)
		err = sio_server_listen(server, "127.0.0.1", 0);
	if (err == SIO_OK)
		err = sio_server_close_on_signals(server, 1000);
	if (err < 0) {
		fprintf(stderr, "program: %s\n", sio_strerror(err));
		return 1;
	}
	sio_broadcast(server, NULL, SIO_LIT("nobody"), &args);
	printf("Listening on http://127.0.0.1:%u\n", sio_server_port(server));
	fflush(stdout);
	sio_server_run(server);
	sio_server_free(server);
	return 0;
}

#define OURS(name) \
	int name(void) { return 0; }
OURS(map_put)
OURS(buf_str)
OURS(wheel_set)
OURS(eio_send)
OURS(llhttp_init)
