/* cluster-server.c -- several servers in one process, each on a thread of its own, joined by
 * the bus in memory, or over Redis: the server of cluster.test.mjs.
 *
 *	cluster-server --nodes 2 [--redis redis://...]
 *
 * Over Redis, Node's servers and python-socketio's are told what is broadcast.
 *
 * prints where each of them listens and runs until SIGTERM.  What clients may ask for is
 * the table below; each answers with an acknowledgement.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <sio/adapter.h>
#include <sio/json.h>
#include <sio/redis.h>
#include <sio/server.h>
#include <sio/servers.h>
#include <sio/work.h>

enum { NODES_MAX = 8, ANSWER_MAX = 65536, TIMEOUT_MS = 2000 };

struct node {
	struct sio_server *server;
	pthread_t thread;
	char description[32]; /* JSON of what fetches tell of its sockets */
};

static struct node nodes[NODES_MAX];

static void check(const char *what, long code)
{
	if (code >= 0)
		return;
	fprintf(stderr, "cluster-server: %s: %s\n", what, sio_strerror((int)code));
	exit(1);
}

/* Whom an answer will go to, later. */
struct later {
	struct sio_socket *socket;
	uint64_t ack;
};

static struct later *later(struct sio_socket *socket, const struct sio_event *event)
{
	struct later *l = malloc(sizeof(*l));

	if (!l)
		abort();
	*l = (struct later){ sio_socket_ref(socket), event->ack };
	return l;
}

static void answer(struct sio_socket *socket, uint64_t ack, const char *json)
{
	struct sio_args args = sio_args_json(sio_str(json));

	if (ack != SIO_ACK_NONE)
		sio_socket_ack(socket, ack, &args);
}

static void answer_later(struct later *l, const char *json)
{
	answer(l->socket, l->ack, json);
	sio_socket_unref(l->socket);
	free(l);
}

/* Take a room's name off the arguments: a string, or null for none (everybody). */
struct room {
	char text[SIO_ROOM_MAX + 1];
	sio_slice name;
	struct sio_target target;
};

static void take_room(sio_slice *rest, struct room *room)
{
	sio_slice item;
	long n = sio_json_next(rest, &item) ? -1 : sio_json_unquote(item, room->text, sizeof(room->text));

	room->name = sio_bytes(room->text, n < 0 ? 0 : (size_t)n);
	room->target = (struct sio_target){ .rooms = &room->name, .rooms_n = n >= 0 };
}

/* ---- what clients ask for ------------------------------------------------------------ */

/* join(room), leave(room): this socket. */
static void on_join(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	sio_slice rest = event->args.json;
	struct room room;

	(void)arg;
	take_room(&rest, &room);
	check("join", sio_room_join(socket, room.name));
	answer(socket, event->ack, "");
}

static void on_leave(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	sio_slice rest = event->args.json;
	struct room room;

	(void)arg;
	take_room(&rest, &room);
	sio_room_leave(socket, room.name);
	answer(socket, event->ack, "");
}

/* say(room, ...): "said" with the other arguments to everybody in room; tell: but to me. */
static void say(struct sio_socket *socket, const struct sio_event *event, const struct sio_socket *skip)
{
	struct sio_args args = event->args;
	struct room room;

	take_room(&args.json, &room);
	room.target.skip = skip;
	check("say", sio_broadcast(sio_socket_server(socket), &room.target, SIO_LIT("said"), &args));
	answer(socket, event->ack, "");
}

static void on_say(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)arg;
	say(socket, event, NULL);
}

static void on_tell(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)arg;
	say(socket, event, socket);
}

/* move(room, other), kick(room): all sockets in room, wherever they are. */
static void on_move(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	sio_slice rest = event->args.json;
	struct room room, other;

	(void)arg;
	take_room(&rest, &room);
	take_room(&rest, &other);
	check("move", sio_sockets_join(sio_socket_namespace(socket), &room.target, other.name));
	answer(socket, event->ack, "");
}

static void on_kick(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	sio_slice rest = event->args.json;
	struct room room;

	(void)arg;
	take_room(&rest, &room);
	sio_socket_ref(socket);
	check("kick", sio_sockets_disconnect(sio_socket_namespace(socket), &room.target, false));
	answer(socket, event->ack, "");
	sio_socket_unref(socket);
}

static void on_answers(struct sio_namespace *nsp, int status, const struct sio_answers *got, void *arg)
{
	char *json = malloc(ANSWER_MAX);
	int n;

	(void)nsp;
	if (!json)
		abort();
	n = snprintf(json, ANSWER_MAX, "{\"status\":%d,\"asked\":%zu,\"missing\":%zu,\"answers\":[", status, got->asked_n,
		     got->missing_nodes_n);
	for (size_t i = 0; i < got->answers_n; i++)
		n += snprintf(json + n, (size_t)(ANSWER_MAX - n), "%s%.*s", i ? "," : "", (int)got->answers[i].json.n,
			      got->answers[i].json.p);
	snprintf(json + n, (size_t)(ANSWER_MAX - n), "]}");
	answer_later(arg, json);
	free(json);
}

/* ask(room, ...): "question" with the other arguments to everybody in room. */
static void on_ask(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	struct sio_args args = event->args;
	struct room room;

	(void)arg;
	take_room(&args.json, &room);
	check("ask", sio_sockets_ask(sio_socket_namespace(socket), &room.target, SIO_LIT("question"), &args, TIMEOUT_MS,
				     on_answers, later(socket, event)));
}

static void on_found(struct sio_namespace *nsp, int status, const struct sio_found *found, void *arg)
{
	char *json = malloc(ANSWER_MAX);
	int n;

	(void)nsp;
	if (!json)
		abort();
	n = snprintf(json, ANSWER_MAX, "{\"status\":%d,\"missing\":%zu,\"sockets\":[", status, found->missing_nodes_n);
	for (size_t i = 0; i < found->sockets_n; i++) {
		const struct sio_found_socket *s = &found->sockets[i];
		n += snprintf(json + n, (size_t)(ANSWER_MAX - n), "%s{\"id\":\"%.*s\",\"rooms\":%u,\"data\":%.*s}", i ? "," : "",
			      (int)s->id.n, s->id.p, s->rooms_n, (int)s->data.n, s->data.p);
	}
	snprintf(json + n, (size_t)(ANSWER_MAX - n), "]}");
	answer_later(arg, json);
	free(json);
}

static void on_fetch(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	sio_slice rest = event->args.json;
	struct room room;

	(void)arg;
	take_room(&rest, &room);
	check("fetch", sio_sockets_fetch(sio_socket_namespace(socket), &room.target, TIMEOUT_MS, on_found,
					 later(socket, event)));
}

/* servers(...): what each other server answers to these arguments. */
static void on_servers(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	(void)arg;
	check("servers", sio_servers_ask(sio_socket_namespace(socket), SIO_LIT("who"), &event->args, TIMEOUT_MS, on_answers,
					 later(socket, event)));
}

static void on_server_event(struct sio_namespace *nsp, const struct sio_server_event *event, void *node)
{
	char json[256];
	int n = snprintf(json, sizeof(json), "[%s,%.*s]", ((struct node *)node)->description, (int)event->args.json.n,
			 event->args.json.p);
	struct sio_args args = sio_args_json(sio_bytes(json, (size_t)n));

	check("answer", sio_servers_answer(sio_namespace_server(nsp), event->node, event->ack, &args));
}

static void on_stats(struct sio_socket *socket, const struct sio_event *event, void *arg)
{
	struct sio_server *server = sio_socket_server(socket);
	struct sio_stats s;
	char json[256];

	(void)arg;
	sio_server_stats(server, &s);
	snprintf(json, sizeof(json), "{\"nodes\":%zu,\"sent\":%llu,\"received\":%llu,\"refused\":%llu,\"failed\":%llu,\"carried\":%llu,\"out\":%llu,\"in\":%llu,\"passed\":%llu}",
		 sio_server_nodes_n(server), (unsigned long long)s.adapter_sent_total,
		 (unsigned long long)s.adapter_received_total, (unsigned long long)s.adapter_refused_total,
		 (unsigned long long)s.adapter_failed_total, (unsigned long long)s.carried,
		 (unsigned long long)s.carried_out_total, (unsigned long long)s.carried_in_total,
		 (unsigned long long)s.carried_passed_total);
	answer(socket, event->ack, json);
}

static const struct {
	const char *name;
	sio_event_fn *fn;
} events[] = {
	{ "join", on_join }, { "leave", on_leave }, { "say", on_say },         { "tell", on_tell },   { "move", on_move },
	{ "kick", on_kick }, { "ask", on_ask },     { "fetch", on_fetch },     { "servers", on_servers }, { "stats", on_stats },
};

/* ---- life -------------------------------------------------------------------------------- */

static sio_slice describe(struct sio_socket *socket, void *node)
{
	(void)socket;
	return sio_str(((struct node *)node)->description);
}

static void *run(void *server)
{
	sio_server_run(server);
	return NULL;
}

static void on_close(void *server)
{
	sio_server_close(server, 1000);
}

static void join_redis(struct sio_server *server, const char *url)
{
	const struct sio_redis_options options = { .url = url, .prefix = "cluster-server", .to_python_channel = "socketio",
						   .to_node_key = "socket.io", .python_channel = "socketio", .node_key = "socket.io" };
	char error[SIO_REDIS_ERROR_MAX];
	struct sio_redis *redis;

	check("redis", sio_redis_new(&options, &redis, error));
	check("join redis", sio_redis_join(redis, server));
	sio_redis_free(redis);
}

static void start(struct node *node, int i, struct sio_bus *bus, const char *redis_url)
{
	struct sio_namespace *nsp;

	snprintf(node->description, sizeof(node->description), "{\"server\":%d}", i);
	check("new", sio_server_new(NULL, &node->server));
	if (redis_url)
		join_redis(node->server, redis_url);
	else
		check("join the bus", sio_bus_memory_join(bus, node->server));
	nsp = sio_namespace_main(node->server);
	for (size_t k = 0; k < sizeof(events) / sizeof(events[0]); k++)
		check("event", sio_on_event(node->server, events[k].name, events[k].fn, NULL));
	sio_namespace_on_describe(nsp, describe, node);
	sio_namespace_on_server_event(nsp, on_server_event, node);
	check("listen", sio_server_listen(node->server, "127.0.0.1", 0));
	printf("Node %d listens at http://127.0.0.1:%d\n", i, sio_server_port(node->server));
}

int main(int argc, char **argv)
{
	int n = argc >= 3 ? atoi(argv[2]) : 2, number;
	struct sio_bus *bus = sio_bus_memory_new();
	sigset_t set;

	if (n < 1 || n > NODES_MAX || !bus)
		check("--nodes 1..8", SIO_ERR_INVAL);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL); /* for all threads: main waits for it */
	for (int i = 0; i < n; i++)
		start(&nodes[i], i, bus, argc == 5 ? argv[4] : NULL);
	sio_bus_memory_free(bus);
	for (int i = 0; i < n; i++)
		if (pthread_create(&nodes[i].thread, NULL, run, nodes[i].server) != 0)
			check("thread", SIO_ERR_SYSTEM);
	printf("Listening on http://127.0.0.1:%d\n", sio_server_port(nodes[0].server));
	fflush(stdout);
	sigwait(&set, &number);
	for (int i = 0; i < n; i++)
		check("close", sio_server_post(nodes[i].server, on_close, nodes[i].server));
	for (int i = 0; i < n; i++) {
		pthread_join(nodes[i].thread, NULL);
		sio_server_free(nodes[i].server);
	}
	return 0;
}
