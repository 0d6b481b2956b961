/* fake_hub.h -- a hub over the engine of fake_engine.h: a Socket.IO server without a
 * network, in simulated time.
 *
 * Defines struct sio_server and hub_of in the place of host/, so exactly one file of
 * a program may include it, and such a program uses no call of <sio/server.h>.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_LIB_FAKE_HUB_H
#define TESTS_LIB_FAKE_HUB_H

#include <stdio.h>
#include <stdlib.h>

#include "lib/fake_engine.h"

struct sio_server {
	struct fake *fake;
	struct hub hub;
};

struct hub *hub_of(const struct sio_server *server)
{
	return (struct hub *)(uintptr_t)&server->hub;
}

static const struct hub_limits hub_usual = {
	.connect_timeout_ms = 45000,
	.partial_timeout_ms = 30000,
	.max_payload_bytes = 10000,
};

static void hub_on_message(struct fake_client *c, char *data, size_t n, bool is_binary)
{
	hub_message(&c->link->hub_client, data, n, is_binary);
}

static void hub_on_closed(struct fake_client *c, const char *reason)
{
	hub_closed(&c->link->hub_client, reason);
}

static inline struct sio_server *hub_start(const struct hub_limits *limits, const struct eio_limits *eio)
{
	struct sio_server *server = calloc(1, sizeof(*server));

	server->fake = fake_new(eio);
	server->fake->message = hub_on_message;
	server->fake->on_closed = hub_on_closed;
	assert_int_equal(hub_init(&server->hub, server, &server->fake->engine, limits ? limits : &hub_usual), SIO_OK);
	return server;
}

/* Ends in the order of host/server.c: the sessions, the polls, the wheel, the hub. */
static inline void hub_stop(struct sio_server *server)
{
	eio_engine_discard_all(&server->fake->engine, "server shutting down");
	hub_close(&server->hub);
	assert_int_equal(server->hub.sockets, 0);
	assert_int_equal(server->hub.rooms, 0);
	polls_end(&server->hub);
	assert_null(server->hub.polls);
	fake_free(server->fake);
	hub_fini(&server->hub);
	free(server);
}

/* A client with one header, its first packets delivered, the log empty. */
static inline struct fake_client *hub_open(struct sio_server *server, enum eio_transport transport)
{
	struct fake_client *c = fake_open(server->fake, transport);
	struct hub_opening *o = calloc(1, sizeof(*o) + sizeof(o->headers[0]));

	o->refs = 1;
	o->headers_n = 1;
	o->headers[0].name = SIO_LIT("user-agent");
	o->headers[0].value = SIO_LIT("fake/1");
	o->url = SIO_LIT("/socket.io/?EIO=4");
	o->address = SIO_LIT("192.0.2.1");
	hub_client_open(&c->link->hub_client, &server->hub, &c->link->session, o);
	fake_turn(server->fake);
	buf_clear(&c->log);
	return c;
}

/* What the application heard, in the words of the test's own handlers. */
static struct buf heard;

/* Compare it with want and clear it. */
static inline void expect_heard(const char *want)
{
	if (!sio_slice_eq(buf_peek(&heard), sio_str(want)))
		fail_msg("heard: %.*s\n want: %s", (int)heard.n, heard.p, want);
	buf_clear(&heard);
}

/* The client says text on whatever transport it has. */
static inline void hub_say(struct fake_client *c, const char *text)
{
	if (c->has_wire[EIO_WIRE_WS])
		fake_ws(c, text);
	else
		fake_post(c, text);
}

/* The socket of the client in "/", NULL when there is none. */
static inline struct sio_socket *hub_socket(struct fake_client *c)
{
	return c->link ? c->link->hub_client.sockets : NULL;
}

/* A WebSocket client connected to "/", with an empty log. */
static inline struct fake_client *hub_connected(struct sio_server *server)
{
	struct fake_client *c = hub_open(server, EIO_WEBSOCKET);

	fake_ws(c, "40");
	fake_turn(server->fake);
	buf_clear(&c->log);
	assert_non_null(hub_socket(c));
	return c;
}

/* The client asks for a namespace; its socket there, NULL when it did not get one or
 * has no answer yet.  The log is empty afterwards. */
static inline struct sio_socket *hub_enter(struct fake_client *c, const char *name)
{
	struct sio_socket *found = NULL;
	char text[300];

	snprintf(text, sizeof(text), "40%s,", name);
	hub_say(c, text);
	for (struct sio_socket *s = hub_socket(c); s; s = s->next)
		if (sio_slice_eq(sio_str(s->nsp->name), sio_str(name)))
			found = s;
	fake_turn(c->fake);
	buf_clear(&c->log);
	return found;
}

/* ---- invariants -------------------------------------------------------------- */

static inline void hub_check_socket(const struct hub_client *client, const struct sio_socket *s)
{
	assert_ptr_equal(s->client, client);
	assert_true(s->refs > 0);
	assert_ptr_equal(s->nsp->sockets[s->index], s);
	assert_ptr_equal(map_get(&s->nsp->sockets_by_id, sio_socket_id(s)), &s->by_id);
	for (const struct sio_socket *other = s->next; other; other = other->next)
		assert_ptr_not_equal(other->nsp, s->nsp); /* one in a namespace */
	for (unsigned i = 0; i < s->rooms_n; i++) {
		const struct room *room = s->rooms[i].room;
		assert_true(s->rooms[i].index < room->n);
		assert_ptr_equal(room->members[s->rooms[i].index].socket, s);
		assert_ptr_equal(room->members[s->rooms[i].index].session, client->session);
	}
}

static inline uint32_t hub_children(const struct hub *hub, const struct sio_namespace *parent)
{
	uint32_t n = 0;

	for (const struct sio_namespace *nsp = hub->nsps; nsp; nsp = nsp->next)
		n += nsp->parent == parent;
	return n;
}

/* What the application holds (sockets that have ended) and polls come on top of refs. */
static inline void hub_check_namespace(struct sio_server *server, struct sio_namespace *nsp)
{
	uint32_t i, members = 0, memberships = 0;

	assert_ptr_equal(nsp->hub, &server->hub);
	assert_ptr_equal(*nsp->back, nsp);
	assert_false(nsp->is_closed);
	assert_true(nsp->refs >= 1 + nsp->sockets_n + nsp->asking_n);
	assert_int_equal(nsp->sockets_n, nsp->sockets_by_id.n);
	/* A room has members, and those that hub_check_socket has seen alone. */
	for (struct map_node *node = map_first(&nsp->rooms, &i); node; node = map_next(&nsp->rooms, &i, node)) {
		const struct room *room = MAP_OWNER(node, struct room, by_name);
		assert_true(room->n > 0 && room->n <= room->cap);
		members += room->n;
	}
	for (uint32_t k = 0; k < nsp->sockets_n; k++)
		memberships += nsp->sockets[k]->rooms_n;
	assert_int_equal(members, memberships);
}

static inline void hub_check_namespaces(struct sio_server *server)
{
	const struct hub *hub = &server->hub;
	uint32_t n = 0, children = 0, asking = 0;

	for (struct sio_namespace *nsp = hub->nsps; nsp; nsp = nsp->next) {
		hub_check_namespace(server, nsp);
		assert_null(nsp->match);
		assert_ptr_equal(nsp_find(hub, sio_str(nsp->name)), nsp);
		/* An empty child is forgotten at once. */
		assert_true(!nsp->parent || nsp->is_kept || nsp->sockets_n > 0 || nsp->asking_n > 0);
		n++;
		children += nsp->parent != NULL;
		asking += nsp->asking_n;
	}
	for (struct sio_namespace *nsp = hub->parents; nsp; nsp = nsp->next) {
		hub_check_namespace(server, nsp);
		assert_non_null(nsp->match);
		assert_null(nsp->parent);
		assert_int_equal(nsp->sockets_n + nsp->asking_n, 0);
		assert_true(nsp->refs >= 1 + hub_children(hub, nsp));
	}
	/* Requests of clients that are gone are the application's alone. */
	for (const struct fake_client *c = server->fake->clients; c; c = c->next)
		for (const struct sio_connect *r = c->link ? c->link->hub_client.asking : NULL; r; r = r->next) {
			assert_ptr_equal(r->client, &c->link->hub_client);
			assert_true(r->nsp->is_closed || asking-- > 0);
		}
	assert_int_equal(n, hub->nsps_by_name.n);
	assert_int_equal(children, hub->children_n);
	assert_string_equal(hub->nsps->name, "/");
}

/* Every count and list of the hub agrees with every other. */
static inline void hub_check(struct sio_server *server)
{
	uint32_t sockets = 0, in_all = 0, rooms = 0;

	hub_reap(&server->hub); /* it is the end of a turn, too */
	fake_check(server->fake);
	for (struct fake_client *c = server->fake->clients; c; c = c->next) {
		if (!c->link)
			continue;
		if (c->closed_n) {
			assert_null(c->link->hub_client.sockets);
			assert_null(c->link->hub_client.opening);
			assert_null(c->link->hub_client.partial);
			assert_null(c->link->hub_client.asking);
		}
		for (struct sio_socket *s = c->link->hub_client.sockets; s; s = s->next) {
			hub_check_socket(&c->link->hub_client, s);
			sockets++;
		}
	}
	for (struct sio_namespace *nsp = server->hub.nsps; nsp; nsp = nsp->next) {
		in_all += nsp->sockets_n;
		rooms += nsp->rooms.n;
	}
	hub_check_namespaces(server);
	assert_null(server->hub.leaving);
	assert_int_equal(sockets, in_all);
	assert_int_equal(sockets, server->hub.sockets);
	assert_int_equal(rooms, server->hub.rooms);
}

#endif
