/* chat.c -- rooms, names and acknowledgements: the usual first program.
 *
 *   const socket = io("http://localhost:3000", { auth: { name: "Anna" } });
 *   socket.emit("join", "kitchen", (answer) => console.log(answer));   // {ok: true, people: 1}
 *   socket.emit("say", "kitchen", "Hello");                            // others hear "said"
 *
 * The others in a room hear "came", "said", "went": {room, name, text}.  Test: chat_test.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sio/json.h>
#include <sio/room.h>
#include <sio/server.h>

enum { NAME_MAX_BYTES = 64, ROOM_MAX_BYTES = 64, TEXT_MAX_BYTES = 2000 };

/* Behind each socket. */
struct person {
	char name[NAME_MAX_BYTES + 1];
	char room[ROOM_MAX_BYTES + 1]; /* the one it is in; "" for none */
};

static void acknowledge(struct sio_socket *socket, const struct sio_event *event, const char *json)
{
	sio_socket_ack(socket, event->ack, &(struct sio_args){ .json = sio_str(json) }); /* if one was asked for */
}

/* Tell the others in the person's room. */
static void tell(struct sio_socket *socket, const char *what, sio_slice text)
{
	struct person *person = sio_socket_data(socket);
	sio_slice room = sio_str(person->room);
	struct sio_target others = { .rooms = &room, .rooms_n = 1, .skip = socket };
	char name[6 * NAME_MAX_BYTES + 2], where[6 * ROOM_MAX_BYTES + 2], json[16384];
	size_t name_n = sio_json_quote(sio_str(person->name), name, sizeof(name));
	size_t where_n = sio_json_quote(room, where, sizeof(where));
	int n = snprintf(json, sizeof(json), "{\"room\":%.*s,\"name\":%.*s,\"text\":%.*s}", (int)where_n, where, (int)name_n,
			 name, (int)text.n, text.p);
	struct sio_args args = sio_args_json(sio_bytes(json, (size_t)n));

	if (*person->room && (size_t)n < sizeof(json))
		sio_broadcast(sio_socket_server(socket), &others, sio_str(what), &args);
}

static void leave(struct sio_socket *socket)
{
	struct person *person = sio_socket_data(socket);

	tell(socket, "went", SIO_LIT("\"\""));
	sio_room_leave(socket, sio_str(person->room));
	person->room[0] = '\0';
}

static void on_connect(struct sio_connect *req, void *arg)
{
	struct sio_json_field name = { .key = "name" };
	struct person *person = calloc(1, sizeof(*person));
	struct sio_socket *socket;

	(void)arg;
	if (!person || sio_json_pick(sio_connect_auth(req), &name, 1) < 0 ||
	    sio_json_unquote(name.value, person->name, sizeof(person->name)) < 1) {
		sio_connect_refuse(req, SIO_LIT("auth needs a name of 1 to 64 bytes"), SIO_LIT("{\"code\":\"no_name\"}"));
		free(person);
		return;
	}
	socket = sio_connect_accept(req);
	if (socket)
		sio_socket_set_data(socket, person);
	else
		free(person);
}

static void on_disconnect(struct sio_socket *socket, sio_slice reason, void *arg)
{
	(void)reason, (void)arg;
	leave(socket);
	free(sio_socket_data(socket));
}

/* join(room) */
static void on_join(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	struct person *person = sio_socket_data(socket);
	sio_slice list = event->args.json, item;
	char room[ROOM_MAX_BYTES + 1], answer[64];

	(void)arg;
	if (sio_json_next(&list, &item) < 0 || sio_json_unquote(item, room, sizeof(room)) < 1) {
		acknowledge(socket, event, "{\"ok\":false,\"error\":\"a room's name has 1 to 64 bytes\"}");
		return;
	}
	leave(socket);
	if (sio_room_join(socket, sio_str(room)) == SIO_OK)
		memcpy(person->room, room, sizeof(room));
	tell(socket, "came", SIO_LIT("\"\""));
	snprintf(answer, sizeof(answer), "{\"ok\":%s,\"people\":%zu}", *person->room ? "true" : "false",
		 sio_room_size(sio_socket_server(socket), sio_str(room)));
	acknowledge(socket, event, answer);
}

/* say(room, text): the text is passed on as it came. */
static void on_say(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	struct person *person = sio_socket_data(socket);
	sio_slice list = event->args.json, item, text;
	char room[ROOM_MAX_BYTES + 1] = "";

	(void)arg;
	if (sio_json_next(&list, &item) < 0 || sio_json_unquote(item, room, sizeof(room)) < 1 ||
	    sio_json_next(&list, &text) < 0 || sio_json_type(text) != SIO_JSON_STRING || text.n > TEXT_MAX_BYTES) {
		acknowledge(socket, event, "{\"ok\":false,\"error\":\"say a room and a text of at most 2000 bytes\"}");
	} else if (strcmp(room, person->room) != 0) {
		acknowledge(socket, event, "{\"ok\":false,\"error\":\"join the room first\"}");
	} else {
		tell(socket, "said", text);
		acknowledge(socket, event, "{\"ok\":true}");
	}
}

static int chat_register(struct sio_server *server)
{
	int err = sio_on_event(server, "join", on_join, NULL);

	sio_on_connect(server, on_connect, NULL);
	sio_on_disconnect(server, on_disconnect, NULL);
	return err ? err : sio_on_event(server, "say", on_say, NULL);
}

int main(int argc, char **argv)
{
	uint16_t port = argc > 1 ? (uint16_t)atoi(argv[1]) : 3000;
	struct sio_server *server = NULL;
	int err;

	if ((err = sio_server_new(NULL, &server)) || (err = chat_register(server)) ||
	    (err = sio_server_listen(server, "127.0.0.1", port)) || (err = sio_server_close_on_signals(server, 1000))) {
		fprintf(stderr, "chat: cannot serve on port %u: %s\n", port, sio_strerror(err));
	} else {
		printf("Listening on http://127.0.0.1:%u\n", sio_server_port(server));
		fflush(stdout);
		sio_server_run(server);
	}
	sio_server_free(server);
	return err ? 1 : 0;
}
