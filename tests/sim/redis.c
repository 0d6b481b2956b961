/* redis.c -- see redis.h.
 *
 * Redis reads the very bytes that src/redis/outbox.c makes.  It has no keys: a flush of all data
 * takes nothing from us, a restart takes every subscription (decision 0028: nothing is stored there).
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "sim/redis.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "sim/node.h"

enum { CHANNELS_MAX = 512, NAME_MAX_BYTES = 128, CONNECT_TIMEOUT_MS = 4000 };

struct name {
	size_t n;
	char text[NAME_MAX_BYTES];
};

struct conn {
	struct conn *next;
	uint64_t id;
	unsigned node;
	uint64_t life;
	unsigned refs;               /* the list's, and what is under way */
	bool is_sub;
	bool is_ready;               /* greeted */
	bool is_cut;                 /* nothing arrives any more, in no direction */
	bool is_closed;              /* by the server: what it wrote may still arrive */
	uint64_t up_ms, down_ms;     /* when the last thing on its way arrives: to Redis, to the server */
	struct name channels[CHANNELS_MAX];
	unsigned channels_n;
};

static struct conn *conns;
static uint64_t conns_n;
static uint64_t stall_ms[SIM_NODES_MAX], away_ms;

/* ---- connections ------------------------------------------------------------------------- */

static struct conn *conn_find(uint64_t id)
{
	struct conn *c = conns;

	while (c && c->id != id)
		c = c->next;
	return c;
}

static void conn_unref(struct conn *c)
{
	struct conn **at = &conns;

	if (--c->refs > 0)
		return;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	free(c);
}

static bool is_node_there(const struct conn *c)
{
	return machines[c->node].server && machines[c->node].life == c->life && !machines[c->node].is_crashing;
}

/* When something that leaves now arrives: mostly at once, sometimes late, never before what left
 * earlier on the same connection. */
static uint64_t arrival_ms(const struct conn *c, uint64_t *last_ms)
{
	uint64_t ms = world.now_ms + (one_in(30) ? below(200) : below(4));

	if (ms < stall_ms[c->node])
		ms = stall_ms[c->node];
	if (ms < *last_ms)
		ms = *last_ms;
	return *last_ms = ms;
}

/* ---- to the server --------------------------------------------------------------------------- */

struct parcel {
	struct conn *conn;
	bool is_to_redis, is_down, is_ready;
	enum redis_reply kind;
	size_t wire_n, n;
	char bytes[]; /* wire, then the bytes */
};

static void parcel_free(void *arg)
{
	struct parcel *p = arg;

	conn_unref(p->conn);
	free(p);
}

static struct parcel *parcel_new(struct conn *c, sio_slice wire, sio_slice bytes)
{
	struct parcel *p = calloc(1, sizeof(*p) + wire.n + bytes.n);

	c->refs++;
	p->conn = c;
	p->wire_n = wire.n;
	p->n = bytes.n;
	if (wire.n)
		memcpy(p->bytes, wire.p, wire.n);
	if (bytes.n)
		memcpy(p->bytes + wire.n, bytes.p, bytes.n);
	return p;
}

static void hand_in(void *arg)
{
	struct parcel *p = arg;
	struct conn *c = p->conn;

	if (p->is_down)
		adapter_on_down(c->node, c->id);
	else if (p->is_ready)
		adapter_on_ready(c->node, c->id);
	else if (!c->is_closed)
		adapter_on_reply(c->node, c->id, p->kind, sio_bytes(p->bytes, p->wire_n), sio_bytes(p->bytes + p->wire_n, p->n));
	parcel_free(p);
}

static void arrive(void *arg)
{
	struct parcel *p = arg;
	struct conn *c = p->conn;

	if (later_is_over() || (c->is_cut && !p->is_down) || !is_node_there(c)) {
		parcel_free(p);
		return;
	}
	c->is_ready |= p->is_ready;
	node_post(c->node, hand_in, parcel_free, p);
}

static void send_back(struct conn *c, enum redis_reply kind, sio_slice wire, sio_slice bytes)
{
	struct parcel *p;

	if (c->is_cut || c->is_closed)
		return;
	p = parcel_new(c, wire, bytes);
	p->kind = kind;
	later(arrival_ms(c, &c->down_ms), arrive, p);
}

static void tell_down(struct conn *c, uint64_t wait_ms)
{
	struct parcel *p = parcel_new(c, sio_bytes("", 0), sio_bytes("", 0));

	p->is_down = true;
	later(world.now_ms + wait_ms, arrive, p);
}

/* ---- commands ------------------------------------------------------------------------------------ */

static struct name *channel_of(struct conn *c, sio_slice wire)
{
	for (unsigned i = 0; i < c->channels_n; i++)
		if (sio_slice_eq(sio_bytes(c->channels[i].text, c->channels[i].n), wire))
			return &c->channels[i];
	return NULL;
}

static void publish(sio_slice wire, sio_slice bytes)
{
	for (struct conn *c = conns, *next; c; c = next) {
		next = c->next;
		if (c->is_sub && channel_of(c, wire))
			send_back(c, REDIS_MESSAGE, wire, bytes);
	}
}

static void subscribe(struct conn *c, sio_slice wire)
{
	if (!channel_of(c, wire)) {
		if (c->channels_n == CHANNELS_MAX || wire.n > NAME_MAX_BYTES)
			sim_fail("too many channels, or too long a name");
		c->channels[c->channels_n].n = wire.n;
		memcpy(c->channels[c->channels_n++].text, wire.p, wire.n);
	}
	send_back(c, REDIS_SUBSCRIBED, wire, sio_bytes("", 0));
}

static void unsubscribe(struct conn *c, sio_slice wire)
{
	struct name *name = channel_of(c, wire);

	if (name)
		*name = c->channels[--c->channels_n];
}

static sio_slice take_line(sio_slice *rest)
{
	const char *end = memchr(rest->p, '\r', rest->n);
	sio_slice line;

	if (!end)
		sim_fail("Redis is sent half a command");
	line = sio_bytes(rest->p, (size_t)(end - rest->p));
	*rest = sio_bytes(end + 2, rest->n - line.n - 2);
	return line;
}

static sio_slice take_bulk(sio_slice *rest)
{
	size_t n = strtoul(take_line(rest).p + 1, NULL, 10);
	sio_slice bulk = sio_bytes(rest->p, n);

	if (rest->n < n + 2)
		sim_fail("Redis is sent half a string");
	*rest = sio_bytes(rest->p + n + 2, rest->n - n - 2);
	return bulk;
}

static void run_commands(struct conn *c, sio_slice rest)
{
	while (rest.n > 0) {
		sio_slice name, wire;

		take_line(&rest);
		name = take_bulk(&rest);
		wire = take_bulk(&rest);
		if (sio_slice_eq(name, SIO_LIT("PUBLISH"))) {
			publish(wire, take_bulk(&rest));
			send_back(c, REDIS_PUBLISHED, sio_bytes("", 0), sio_bytes("", 0));
		} else if (sio_slice_eq(name, SIO_LIT("SUBSCRIBE"))) {
			subscribe(c, wire);
		} else if (sio_slice_eq(name, SIO_LIT("UNSUBSCRIBE"))) {
			unsubscribe(c, wire);
		} else {
			sim_fail("Redis is sent %.*s", (int)name.n, name.p);
		}
	}
}

static void arrive_at_redis(void *arg)
{
	struct parcel *p = arg;

	if (!later_is_over() && !p->conn->is_cut && world.now_ms >= away_ms)
		run_commands(p->conn, sio_bytes(p->bytes, p->n));
	parcel_free(p);
}

/* ---- what the server calls ---------------------------------------------------------------------------- */

uint64_t redis_connect(unsigned n, bool is_sub)
{
	struct conn *c = calloc(1, sizeof(*c));

	*c = (struct conn){ .next = conns, .id = ++conns_n, .node = n, .life = machines[n].life, .refs = 1, .is_sub = is_sub };
	conns = c;
	if (world.now_ms < away_ms) { /* nobody listens there */
		c->is_cut = true;
		tell_down(c, between(1, 5));
	} else if (stall_ms[n] > world.now_ms + CONNECT_TIMEOUT_MS) {
		c->is_cut = true;
		tell_down(c, CONNECT_TIMEOUT_MS);
	} else {
		struct parcel *p = parcel_new(c, sio_bytes("", 0), sio_bytes("", 0));

		p->is_ready = true;
		later(arrival_ms(c, &c->down_ms) + between(1, 5), arrive, p);
		c->down_ms += 5;
	}
	return c->id;
}

void redis_write(uint64_t id, sio_slice bytes)
{
	struct conn *c = conn_find(id);

	if (c && !c->is_cut)
		later(arrival_ms(c, &c->up_ms), arrive_at_redis, parcel_new(c, sio_bytes("", 0), bytes));
}

void redis_close(uint64_t id, bool is_dead)
{
	struct conn *c = conn_find(id);

	if (!c || c->is_closed)
		return;
	c->is_closed = true;
	c->is_cut |= !is_dead;
	c->channels_n = 0;
	conn_unref(c);
}

/* ---- faults ------------------------------------------------------------------------------------------------ */

void redis_stall(unsigned n, uint64_t until_ms)
{
	stall_ms[n] = until_ms;
}

static void cut(struct conn *c, bool is_told)
{
	if (c->is_cut || c->is_closed)
		return;
	c->is_cut = true;
	c->channels_n = 0;
	if (is_told)
		tell_down(c, below(50));
}

void redis_cut(unsigned n, bool is_told)
{
	bool both = one_in(2), which = one_in(2);

	for (struct conn *c = conns; c; c = c->next)
		if (c->node == n && (both || c->is_sub == which))
			cut(c, is_told);
}

/* It is connected, as far as anybody can see, and hears nothing. */
void redis_deafen(unsigned n)
{
	for (struct conn *c = conns; c; c = c->next)
		if (c->node == n && c->is_sub)
			c->channels_n = 0;
}

void redis_restart(uint64_t until_ms)
{
	away_ms = until_ms;
	for (struct conn *c = conns; c; c = c->next)
		cut(c, true);
}

void redis_heal(void)
{
	memset(stall_ms, 0, sizeof(stall_ms));
	away_ms = 0;
}

void redis_begin(void)
{
	conns = NULL;
	conns_n = 0;
	redis_heal();
}

void redis_end(void)
{
	if (conns)
		sim_fail("a connection to Redis is left: of server %u, life %llu", conns->node, (unsigned long long)conns->life);
}
