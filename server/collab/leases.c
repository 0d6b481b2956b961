/* leases.c -- presence of all servers: lease.h among sockets, timers and other servers.
 *
 * Knows what the map of all servers (lease.h) needs of presence.h, and brings what comes
 * of it to this server's clients.  Without an adapter there is no map, collab->leases is
 * NULL, and presence.h alone says who is there.
 *
 * An emit may end sockets, whose end changes the map: so news go out from the handlers of
 * messages and of the timer, never from inside a change of our own.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include <sio/namespace.h>

#include "base/log.h"
#include "collab/client.h"
#include "collab/lease.h"

struct leases {
	struct collab *collab;
	struct lease *lease;
	struct sio_timer timer;
	uint64_t armed_ms;     /* when it fires; UINT64_MAX: never */
	bool is_draining;
};

/* Whatever waits for the others' entries of a project. */
struct leases_wait {
	struct lease_waiter waiter; /* first */
	void (*done)(struct leases_wait *wait);
	struct collab *collab;
};

static uint64_t now_ms(const struct collab *collab)
{
	return sio_server_now_ms(collab->server);
}

/* ---- what comes of it ------------------------------------------------------------------- */

static void on_timer(struct sio_timer *timer);

static void arm(struct leases *ls)
{
	uint64_t next_ms = lease_next_ms(ls->lease), now = now_ms(ls->collab);

	if (next_ms >= ls->armed_ms)
		return;
	ls->armed_ms = next_ms;
	sio_timer_start(ls->collab->server, &ls->timer, next_ms > now ? (uint32_t)(next_ms - now) : 0, on_timer);
}

static void drain(struct leases *ls)
{
	struct lease_waiter *waiter;
	struct lease_news *news;

	if (ls->is_draining)
		return;
	ls->is_draining = true;
	do {
		while ((news = lease_news(ls->lease))) {
			project_tell(ls->collab, news->project, news->user, NULL, news->is_joined);
			free(news);
		}
		waiter = lease_ready(ls->lease);
		if (waiter)
			((struct leases_wait *)(void *)waiter)->done((struct leases_wait *)(void *)waiter);
	} while (waiter);
	ls->is_draining = false;
	arm(ls);
}

static void meet(sio_slice node, void *arg)
{
	struct leases *ls = arg;

	lease_meet(ls->lease, node, now_ms(ls->collab));
}

static void on_timer(struct sio_timer *timer)
{
	struct leases *ls = (struct leases *)(void *)((char *)timer - offsetof(struct leases, timer));

	ls->armed_ms = UINT64_MAX;
	sio_server_each_node(ls->collab->server, meet, ls);
	lease_own_connections(ls->lease, ls->collab->presence.connections_n);
	lease_tick(ls->lease, now_ms(ls->collab));
	drain(ls);
}

static void on_gone(sio_slice node, void *arg)
{
	struct leases *ls = arg;

	lease_gone(ls->lease, node, now_ms(ls->collab));
	drain(ls);
}

void leases_hear(struct collab *collab, const struct sio_server_event *event)
{
	if (!collab->leases)
		return;
	lease_hear(collab->leases->lease, event->node, event->args.json, now_ms(collab));
	drain(collab->leases);
}

static void on_send(void *arg, sio_slice node, sio_slice json)
{
	struct leases *ls = arg;
	struct sio_args args = sio_args_json(json);

	/* What is lost is counted by the server, and found by the next beat. */
	if (sio_servers_send(sio_namespace_main(ls->collab->server), node, SIO_LIT(LEASES_EVENT), &args) < 0)
		log_debug("Presence was not told to server %.*s", (int)node.n, node.p);
}

/* ---- life ------------------------------------------------------------------------------------ */

int leases_start(struct collab *collab)
{
	struct leases *ls;

	if (sio_server_node(collab->server).n == 0)
		return SIO_OK;
	ls = calloc(1, sizeof(*ls));
	if (!ls)
		return SIO_ERR_NOMEM;
	*ls = (struct leases){ .collab = collab, .lease = lease_new(on_send, ls), .armed_ms = UINT64_MAX };
	if (!ls->lease) {
		free(ls);
		return SIO_ERR_NOMEM;
	}
	collab->leases = ls;
	sio_server_on_node_gone(collab->server, on_gone, ls);
	arm(ls);
	return SIO_OK;
}

void leases_end(struct collab *collab)
{
	if (!collab->leases)
		return;
	lease_close(collab->leases->lease, collab->options.presence_grace_ms);
	drain(collab->leases);
}

void leases_stop(struct collab *collab)
{
	struct leases *ls = collab->leases;

	if (!ls)
		return;
	sio_server_on_node_gone(collab->server, NULL, NULL);
	lease_close(ls->lease, 0);
	drain(ls);
	sio_timer_stop(&ls->timer);
	lease_free(ls->lease);
	free(ls);
	collab->leases = NULL;
}

/* ---- own users --------------------------------------------------------------------------------- */

int leases_set(struct collab *collab, const struct presence_member *member, bool *is_first)
{
	sio_slice project = presence_id(&member->project->node);
	struct leases *ls = collab->leases;
	struct buf name = { 0 };
	int err = SIO_ERR_NOMEM;

	if (!ls)
		return SIO_OK;
	if (member->project->members_n == 1) /* whose entries may have to be asked for */
		sio_server_each_node(collab->server, meet, ls);
	buf_json(&name, presence_user_name(member->user));
	if (!name.failed)
		err = lease_own_set(ls->lease, project, presence_id(&member->user->node), buf_peek(&name), member->connections_n,
				    member->joined_at_ms, now_ms(collab), is_first);
	buf_fini(&name);
	lease_own_connections(ls->lease, collab->presence.connections_n);
	arm(ls);
	return err;
}

bool leases_drop(struct collab *collab, const struct presence_member *member)
{
	struct leases *ls = collab->leases;
	bool is_last;

	if (!ls)
		return true;
	is_last = lease_own_drop(ls->lease, presence_id(&member->project->node), presence_id(&member->user->node));
	arm(ls);
	return is_last;
}

int leases_state(struct collab *collab, const struct presence_member *member, sio_slice state)
{
	if (!collab->leases)
		return SIO_OK;
	return lease_own_state(collab->leases->lease, presence_id(&member->project->node), presence_id(&member->user->node), state);
}

bool leases_has_state(struct collab *collab, const struct presence_member *member)
{
	return collab->leases &&
	       lease_has_state(collab->leases->lease, presence_id(&member->project->node), presence_id(&member->user->node));
}

const struct lease *leases_map(const struct collab *collab)
{
	return collab->leases ? collab->leases->lease : NULL;
}

/* ---- waiting for the others ------------------------------------------------------------------------ */

/* A client that has joined and is to be answered with a list. */
struct join_wait {
	struct leases_wait wait; /* first */
	struct client *client;   /* referenced; its socket is paused */
	uint64_t ack;
	size_t id_n;
	char id[];
};

static void on_join_known(struct leases_wait *wait)
{
	struct join_wait *join = (struct join_wait *)(void *)wait;
	struct client *client = join->client;
	struct presence_member *member = client_seat(client, sio_bytes(join->id, join->id_n));

	if (member && sio_socket_is_open(client->socket))
		project_answer_joined(client, join->ack, member);
	sio_socket_resume(client->socket);
	client_unref(client);
	free(join);
}

bool leases_await_join(struct client *client, uint64_t ack, const struct presence_member *member)
{
	sio_slice id = presence_id(&member->project->node);
	struct leases *ls = client->collab->leases;
	struct join_wait *join = ls ? malloc(sizeof(*join) + id.n) : NULL;

	if (!join)
		return false;
	*join = (struct join_wait){ .wait = { .done = on_join_known, .collab = client->collab }, .client = client, .ack = ack, .id_n = id.n };
	memcpy(join->id, id.p, id.n);
	if (!lease_wait(ls->lease, id, &join->wait.waiter)) {
		free(join);
		return false;
	}
	client_ref(client);
	sio_socket_pause(client->socket);
	arm(ls);
	return true;
}

/* ---- for the API ---------------------------------------------------------------------------------------- */

struct list_wait {
	struct leases_wait wait; /* first */
	collab_list_fn *done;
	void *arg;
	size_t id_n;
	char id[];
};

struct missing {
	struct buf *out;
	bool is_first;
};

static void put_missing(sio_slice node, void *arg)
{
	struct missing *m = arg;

	if (!m->is_first)
		buf_byte(m->out, ',');
	buf_json(m->out, node);
	m->is_first = false;
}

void collab_put_missing(const struct collab *collab, sio_slice project_id, struct buf *out)
{
	struct missing m = { out, true };

	buf_str(out, "\"missing_nodes\":[");
	if (collab->leases)
		lease_missing(collab->leases->lease, project_id, now_ms(collab), put_missing, &m);
	buf_byte(out, ']');
}

static void list(struct collab *collab, sio_slice id, collab_list_fn *done, void *arg)
{
	struct buf b = { 0 };

	collab_presence_json(collab, id, &b);
	if (b.n > 0)
		b.n--; /* its brace */
	buf_byte(&b, ',');
	collab_put_missing(collab, id, &b);
	buf_byte(&b, '}');
	done(&b, arg);
	buf_fini(&b);
}

static void on_list_known(struct leases_wait *wait)
{
	struct list_wait *w = (struct list_wait *)(void *)wait;
	sio_slice id = sio_bytes(w->id, w->id_n);

	list(wait->collab, id, w->done, w->arg);
	lease_unwatch(wait->collab->leases->lease, id);
	free(w);
}

void collab_list(struct collab *collab, sio_slice id, collab_list_fn *done, void *arg)
{
	struct leases *ls = collab->leases;
	struct list_wait *w = ls ? malloc(sizeof(*w) + id.n) : NULL;

	if (!w || lease_watch(ls->lease, id, now_ms(collab)) < 0) {
		free(w);
		list(collab, id, done, arg);
		return;
	}
	*w = (struct list_wait){ .wait = { .done = on_list_known, .collab = collab }, .done = done, .arg = arg, .id_n = id.n };
	memcpy(w->id, id.p, id.n);
	if (!lease_wait(ls->lease, id, &w->wait.waiter))
		on_list_known(&w->wait);
	arm(ls);
}

void collab_facts(const struct collab *collab, struct collab_facts *out)
{
	struct lease_facts facts;

	*out = (struct collab_facts){ collab->presence.connections_n, collab->presence.occupied_n };
	if (!collab->leases)
		return;
	lease_own_connections(collab->leases->lease, collab->presence.connections_n);
	lease_facts(collab->leases->lease, &facts);
	*out = (struct collab_facts){ (size_t)facts.connections, facts.projects };
}
