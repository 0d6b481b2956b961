/* node.c -- see node.h: a server of the real engine, hub and server/collab.
 *
 * In the place of src/host and server/app: its loop (turns, timers, an inbox), its start and its end
 * in their order, and as much of REST as a change of data needs (server/api/call.c: call_publish).
 * A crash is an end that nobody sees: all its memory is freed, and nothing of it gets out.
 *
 * A token is the user's name; tokens are tested elsewhere.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/fake_hub.h"
#include "sim/node.h"
#include "sim/person.h"
#include "sim/sabotage.h"

#include "collab/lease.h"
#include "hub/cluster.h"

struct post {
	struct post *next;
	post_fn *fn, *drop;
	void *arg;
};

struct machine machines[SIM_NODES_MAX];

/* ---- who, when --------------------------------------------------------------------------- */

int node_enter(unsigned n)
{
	int before = world.node;

	world.node = n < SIM_NODES_MAX ? (int)n : -1;
	return before;
}

void node_leave(int before)
{
	world.node = before;
}

uint64_t node_now_ms(unsigned n)
{
	return machines[n].server->fake->engine.now_ms;
}

struct fake *node_fake(unsigned n)
{
	return machines[n].server->fake;
}

uint64_t sio_server_now_ms(const struct sio_server *server)
{
	return server->fake->engine.now_ms;
}

void sio_timer_start(struct sio_server *server, struct sio_timer *timer, uint32_t ms, void (*fn)(struct sio_timer *timer))
{
	wheel_set(&server->fake->wheel, timer, server->fake->engine.now_ms + ms, fn);
}

void sio_timer_stop(struct sio_timer *timer)
{
	wheel_del(timer);
}

/* ---- tokens ------------------------------------------------------------------------------- */

const char *token_status_code(enum token_status status)
{
	return status == TOKEN_OK ? "ok" : "token_invalid";
}

enum token_status judge_token(struct judge *judge, sio_slice token, struct token_claims *out)
{
	(void)judge;
	if (user_index(token) < 0)
		return token.n ? TOKEN_INVALID : TOKEN_MISSING;
	*out = (struct token_claims){ .exp_s = INT64_MAX };
	snprintf(out->user, sizeof(out->user), "%.*s", (int)token.n, token.p);
	return TOKEN_OK;
}

enum token_status judge_await(struct judge *judge, struct judge_wait *wait, void (*fn)(struct judge_wait *wait))
{
	(void)judge, (void)wait, (void)fn;
	return TOKEN_INVALID;
}

sio_slice token_of_header(sio_slice value)
{
	(void)value;
	return sio_bytes("", 0);
}

/* ---- the loop --------------------------------------------------------------------------------- */

void node_post(unsigned n, post_fn *fn, post_fn *drop, void *arg)
{
	struct post *post = malloc(sizeof(*post));

	*post = (struct post){ NULL, fn, drop, arg };
	*machines[n].last = post;
	machines[n].last = &post->next;
}

static struct post *take_posts(unsigned n)
{
	struct post *first = machines[n].first;

	machines[n].first = NULL;
	machines[n].last = &machines[n].first;
	return first;
}

bool node_turn(unsigned n)
{
	struct sio_server *server = machines[n].server;
	struct post *post = take_posts(n);
	bool is_busy = post != NULL;
	int before = node_enter(n);

	server->fake->engine.now_ms = world.now_ms;
	wheel_run(&server->fake->wheel, world.now_ms);
	for (struct post *next; post; post = next) {
		next = post->next;
		post->fn(post->arg);
		free(post);
	}
	is_busy |= server->fake->engine.dirty != NULL;
	fake_turn(server->fake);
	hub_reap(&server->hub);
	node_leave(before);
	return is_busy;
}

uint64_t node_wait_ms(unsigned n)
{
	int64_t wait = wheel_wait_ms(&machines[n].server->fake->wheel, world.now_ms);

	return wait < 0 ? UINT64_MAX : (uint64_t)wait;
}

/* ---- clients ------------------------------------------------------------------------------------- */

static void on_packet(struct fake_client *c, sio_slice text, bool is_binary)
{
	int before = world.node;

	if (is_binary || !c->user || machines[world.node].is_crashing)
		return;
	person_hear(c->user, text);
	world.node = before;
}

static void on_closed(struct fake_client *c, const char *reason)
{
	if (!sabotage_forgets_end())
		hub_closed(&c->link->hub_client, reason);
	if (c->user)
		person_stir(c->user);
}

struct fake_client *node_open(unsigned n, bool is_polling, void *person)
{
	struct sio_server *server = machines[n].server;
	struct hub_opening *o = calloc(1, sizeof(*o) + sizeof(o->headers[0]));
	int before = node_enter(n);
	struct fake_client *c = fake_open(server->fake, is_polling ? EIO_POLLING : EIO_WEBSOCKET);

	c->user = person;
	o->refs = 1;
	o->headers_n = 1;
	o->headers[0].name = SIO_LIT("user-agent");
	o->headers[0].value = SIO_LIT("sim/1");
	o->url = SIO_LIT("/socket.io/?EIO=4");
	o->address = SIO_LIT("192.0.2.1");
	hub_client_open(&c->link->hub_client, &server->hub, &c->link->session, o);
	node_leave(before);
	return c;
}

void node_say(unsigned n, struct fake_client *c, const char *text)
{
	int before = node_enter(n);

	hub_say(c, text);
	node_leave(before);
}

struct sio_socket *node_socket(struct fake_client *c)
{
	return hub_socket(c);
}

/* Those that nobody is behind any more, and whose sessions are gone. */
static void forget_clients(struct fake *f)
{
	for (struct fake_client *c = f->clients, *next; c; c = next) {
		next = c->next;
		if (!c->link && !c->user)
			fake_forget(c);
	}
}

void node_check(unsigned n)
{
	int before = node_enter(n);

	forget_clients(machines[n].server->fake);
	hub_check(machines[n].server);
	if (!presence_sane(&machines[n].collab->presence))
		sim_fail("presence of server %u is not sane", n);
	if (!lease_sane(leases_map(machines[n].collab)))
		sim_fail("the leases of server %u are not sane", n);
	node_leave(before);
}

void node_check_idle(unsigned n)
{
	const struct sio_server *server = machines[n].server;
	const struct collab *collab = machines[n].collab;
	struct lease_facts facts;

	node_check(n);
	lease_facts(leases_map(collab), &facts);
	if (server->hub.sockets || server->hub.rooms || server->fake->engine.sessions.n || server->fake->engine.queued_bytes)
		sim_fail("server %u: all have gone, and there are %llu sockets, %llu rooms, %u sessions, %llu bytes in queues", n,
			 (unsigned long long)server->hub.sockets, (unsigned long long)server->hub.rooms,
			 (unsigned)server->fake->engine.sessions.n, (unsigned long long)server->fake->engine.queued_bytes);
	if (collab->presence.users.n || collab->presence.projects.n || collab->presence.connections_n || collab->gaps || collab->rechecks)
		sim_fail("server %u: all have gone, and there are %u users, %u projects, %u connections, %s, %s", n,
			 (unsigned)collab->presence.users.n, (unsigned)collab->presence.projects.n, (unsigned)collab->presence.connections_n,
			 collab->gaps ? "a gap" : "no gap", collab->rechecks ? "a recheck" : "no recheck");
	if (facts.connections || facts.projects)
		sim_fail("server %u: all have gone, and its map has %llu connections, %u projects", n, (unsigned long long)facts.connections,
			 (unsigned)facts.projects);
}

/* ---- changes by REST --------------------------------------------------------------------------------- */

struct write {
	unsigned node;
	struct buf project;
	write_fn *done;
	void *arg;
};

/* As server/api/call.c: call_publish and publish_notices. */
static void publish(struct collab *collab, sio_slice project, const struct store_result *r)
{
	const struct collab_emit emit = { .event = r->event_type, .args = r->event, .position = r->position, .newest = r->newest };

	if (r->event_type.n == 0 || r->is_repeat)
		return;
	collab_emit_durable(collab, project, r->seq, &emit);
	for (size_t i = 0; i < r->notices_n; i++) {
		const struct collab_emit notice = { .event = SIO_LIT("notification:new"), .args = r->notices[i].data,
						    .position = r->notices[i].position };

		collab_emit_user(collab, r->notices[i].user, &notice);
	}
}

static void on_written(struct store_result *result, void *arg)
{
	struct write *w = arg;
	struct machine *m = &machines[w->node];
	enum store_status status = result->status;

	if (status == STORE_OK)
		publish(m->collab, buf_peek(&w->project), result);
	store_result_free(result);
	if (w->done)
		w->done(w->arg, m->is_crashing ? WRITE_LOST : (int)status);
	buf_fini(&w->project);
	free(w);
}

void node_write(unsigned n, struct store_ask ask, write_fn *done, void *arg)
{
	struct write *w = calloc(1, sizeof(*w));
	int before = node_enter(n), err;

	w->node = n;
	w->done = done;
	w->arg = arg;
	buf_slice(&w->project, ask.project);
	ask.done = on_written;
	if (sabotage_forgets_key())
		ask.key = sio_bytes("", 0);
	ask.arg = w;
	ask.loop = machines[n].server;
	err = store_submit(machines[n].store, &ask);
	if (err < 0) {
		buf_fini(&w->project);
		free(w);
		if (done)
			done(arg, STORE_BUSY);
	}
	node_leave(before);
}

/* ---- life ------------------------------------------------------------------------------------------------- */

static const struct hub_limits limits = {
	.connect_timeout_ms = 20000,
	.partial_timeout_ms = 10000,
	.max_payload_bytes = 100000,
	.max_rooms = SIM_PROJECTS + 1,
	.events_per_second = 100,
	.events_burst = 200,
};

static const struct eio_limits eio = {
	.ping_interval_ms = SIM_PING_INTERVAL_MS,
	.ping_timeout_ms = SIM_PING_TIMEOUT_MS,
	.upgrade_timeout_ms = 5000,
	.max_payload_bytes = 1000000,
	.send_queue_bytes = 65536,
	.packets_n = 1000,
};

static const struct collab_options options = {
	.presence_grace_ms = SIM_GRACE_MS,
	.recovery_window_ms = SIM_WINDOW_MS,
	.recovery_events_max = 60,
	.recovery_bytes_max = 32768,
};

void node_start(unsigned n)
{
	struct machine *m = &machines[n];
	int before = node_enter(n);

	sim_trace("server %u starts", n);
	m->life++;
	m->first = NULL;
	m->last = &m->first;
	m->is_frozen = m->is_crashing = false;
	m->up_ms = m->woke_ms = world.now_ms;
	m->server = hub_start(&limits, &eio);
	m->server->fake->is_quiet = true;
	m->server->fake->packet = on_packet;
	m->server->fake->on_closed = on_closed;
	wheel_init(&m->server->fake->wheel, world.now_ms);
	m->server->fake->engine.now_ms = world.now_ms;
	m->adapter = adapter_new(n);
	if (sio_server_set_adapter(m->server, adapter_ops(), m->adapter) < 0)
		sim_fail("no adapter");
	m->store = store_begin(n);
	if (collab_new(m->server, m->store, NULL, &options, &m->collab) < 0)
		sim_fail("no collab");
	node_leave(before);
}

static void drop_posts(unsigned n)
{
	struct post *post = take_posts(n);

	for (struct post *next; post; post = next) {
		next = post->next;
		if (post->drop)
			post->drop(post->arg);
		free(post);
	}
}

/* As app/serve.c ends: the server, the store, then collab. */
void node_end(unsigned n, bool is_crash)
{
	struct machine *m = &machines[n];
	int before = node_enter(n);

	sim_trace("server %u %s", n, is_crash ? "crashes" : "ends");
	m->is_frozen = false;
	m->server->fake->engine.now_ms = world.now_ms;
	if (is_crash) {
		m->is_crashing = true;
		m->crashed_life = m->life;
		adapter_crash(m->adapter);
		store_mute(m->store);
		person_server_gone(n);
	} else {
		collab_end(m->collab);
	}
	eio_engine_discard_all(&m->server->fake->engine, "server shutting down");
	fake_turn(m->server->fake);
	person_server_gone(n);
	hub_close(&m->server->hub);
	drop_posts(n);
	store_end(m->store, is_crash);
	drop_posts(n);
	collab_free(m->collab);
	hub_stop(m->server);
	m->server = NULL;
	m->collab = NULL;
	m->store = NULL;
	m->is_crashing = false;
	m->down_ms = world.now_ms;
	node_leave(before);
}

void node_freeze(unsigned n, bool is_frozen)
{
	struct machine *m = &machines[n];

	if (!m->server || m->is_frozen == is_frozen)
		return;
	sim_trace("server %u %s", n, is_frozen ? "stands still" : "goes on");
	m->is_frozen = is_frozen;
	m->woke_ms = m->trouble_ms = world.now_ms;
	if (!is_frozen)
		person_server_woke(n);
}
