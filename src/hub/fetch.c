/* fetch.c -- who is there, on all nodes: asking, telling, gathering.
 *
 * What a node has to tell goes in messages of some CHUNK_BYTES, the last one marked.  The
 * node that asks keeps them as they came, its own first, and takes them apart at the end:
 * when every node has told its last, or at the time-out.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include <sio/json.h>

#include "hub/cluster.h"

enum { CHUNK_BYTES = 65536 };

/* Some sockets of one node, as they stand in a message. */
struct part {
	struct part *next;
	char node[SIO_NODE_ID_LEN];
	size_t n;
	char bytes[];
};

struct fetch {
	struct sio_timer timer;
	struct fetch *next, **back;   /* of the hub */
	struct sio_namespace *nsp;    /* counted */
	struct inquiry *far;          /* NULL: nobody else was asked */
	sio_found_fn *fn;
	void *arg;
	struct part *first, **end;
	size_t bytes, sockets_n, rooms_n;
	int status;
};

/* ---- telling ----------------------------------------------------------------------- */

struct teller {
	struct hub *hub;
	struct buf sockets;           /* what is to be told next: n of them, with rooms_n rooms */
	uint32_t n;
	size_t rooms_n;
	void (*tell)(struct teller *t, bool is_last);
	struct fetch *fetch;          /* to our own, or */
	sio_slice node;               /* to another node, */
	uint64_t id;                  /* under its id */
};

static void tell(struct teller *t, bool is_last)
{
	t->tell(t, is_last);
	buf_clear(&t->sockets);
	t->n = 0;
	t->rooms_n = 0;
}

static bool put_one(struct teller *t, struct sio_socket *s)
{
	const struct nsp_rules *r = NSP_RULES(s->nsp, on_describe);
	sio_slice *rooms = malloc((s->rooms_n + 1u) * sizeof(*rooms));
	struct cluster_socket one = { sio_socket_id(s), rooms, s->rooms_n, sio_bytes("", 0) };

	if (!rooms)
		return false;
	for (unsigned i = 0; i < s->rooms_n; i++)
		rooms[i] = sio_bytes(s->rooms[i].room->name, s->rooms[i].room->by_name.key_n);
	if (r->on_describe)
		one.data = r->on_describe(s, r->describe_arg);
	cluster_put_socket(&t->sockets, &one);
	t->n++;
	t->rooms_n += one.rooms_n;
	free(rooms);
	return !t->sockets.failed;
}

/* Tell of the target's sockets on this node.  SIO_ERR_NOMEM: not of all, and no last word. */
static int tell_all(struct teller *t, struct sio_namespace *nsp, const struct sio_target *target)
{
	struct socket_list list;
	int err = sockets_list(nsp, target, &list);

	for (uint32_t i = 0; err == SIO_OK && i < list.n; i++) {
		if (!put_one(t, list.at[i]))
			err = SIO_ERR_NOMEM;
		else if (t->sockets.n >= CHUNK_BYTES && i + 1 < list.n)
			tell(t, false);
	}
	if (err == SIO_OK)
		tell(t, true);
	sockets_unlist(&list);
	buf_fini(&t->sockets);
	return err;
}

static void tell_node(struct teller *t, bool is_last)
{
	struct cluster_message m = {
		.type = CLUSTER_FOUND,
		.id = t->id,
		.is_last = is_last,
		.sockets_n = t->n,
		.sockets = buf_peek(&t->sockets),
	};

	cluster_send(t->hub->cluster, t->node, &m);
}

int fetch_on_ask(struct hub *hub, sio_slice from, const struct cluster_message *m)
{
	struct sio_namespace *nsp = nsp_find(hub, m->nsp);
	struct sio_target target = { m->rooms, m->rooms_n, m->except, m->except_n, .is_local = true };
	struct teller teller = { .hub = hub, .tell = tell_node, .node = from, .id = m->id };

	if (nsp)
		tell_all(&teller, nsp, &target);
	else
		tell(&teller, true);
	return SIO_OK;
}

/* ---- gathering ------------------------------------------------------------------------ */

static void keep(struct fetch *f, sio_slice node, sio_slice sockets, uint32_t sockets_n, size_t rooms_n)
{
	struct part *part;

	if (sockets_n == 0)
		return;
	part = f->bytes + sockets.n > SIO_FOUND_BYTES_MAX ? NULL : calloc(1, sizeof(*part) + sockets.n);
	if (!part) {
		f->status = SIO_ERR_LIMIT;
		return;
	}
	part->n = sockets.n;
	if (node.n)
		memcpy(part->node, node.p, SIO_NODE_ID_LEN);
	memcpy(part->bytes, sockets.p, sockets.n);
	*f->end = part;
	f->end = &part->next;
	f->bytes += sockets.n;
	f->sockets_n += sockets_n;
	f->rooms_n += rooms_n;
}

static void tell_us(struct teller *t, bool is_last)
{
	(void)is_last;
	keep(t->fetch, sio_server_node(t->hub->server), buf_peek(&t->sockets), t->n, t->rooms_n);
}

static void take_apart(const struct fetch *f, struct sio_found_socket *to, sio_slice *rooms)
{
	struct cluster_socket s;

	for (const struct part *part = f->first; part; part = part->next) {
		sio_slice rest = sio_bytes(part->bytes, part->n);
		while (cluster_next_socket(&rest, &s, rooms)) {
			*to++ = (struct sio_found_socket){
				.id = s.id,
				.node = sio_bytes(part->node, part->node[0] ? SIO_NODE_ID_LEN : 0),
				.rooms = rooms,
				.rooms_n = s.rooms_n,
				.data = s.data,
			};
			rooms += s.rooms_n;
		}
	}
}

static void fetch_free(struct fetch *f)
{
	wheel_del(&f->timer);
	*f->back = f->next;
	if (f->next)
		f->next->back = f->back;
	inquiry_free(f->far);
	while (f->first) {
		struct part *part = f->first;
		f->first = part->next;
		free(part);
	}
	nsp_unref(f->nsp);
	free(f);
}

static void finish(struct fetch *f, int status)
{
	struct sio_found_socket *sockets = calloc(f->sockets_n + 1, sizeof(*sockets));
	sio_slice *rooms = malloc((f->rooms_n + 1) * sizeof(*rooms));
	struct sio_found found = { sockets, f->sockets_n, f->far ? inquiry_missing_n(f->far) : 0 };

	inquiry_free(f->far); /* nobody else ends it while fn runs */
	f->far = NULL;
	wheel_del(&f->timer);
	if (sockets && rooms) {
		take_apart(f, sockets, rooms);
	} else {
		found.sockets_n = 0;
		status = SIO_ERR_NOMEM;
	}
	f->fn(f->nsp, status, &found, f->arg);
	free(sockets);
	free(rooms);
	fetch_free(f);
}

static void on_timeout(struct sio_timer *timer)
{
	struct fetch *f = MAP_OWNER(timer, struct fetch, timer);

	finish(f, f->status);
}

void fetches_end(struct hub *hub)
{
	struct fetch *f = hub->fetches;

	while (f) { /* one that is being made, or being told of its end, has no timer */
		if (wheel_is_set(&f->timer)) {
			finish(f, SIO_ERR_CLOSED);
			f = hub->fetches;
		} else {
			f = f->next;
		}
	}
}

static bool data_ok(const struct cluster_message *m)
{
	struct cluster_socket s;
	sio_slice rest = m->sockets;

	while (cluster_next_socket(&rest, &s, NULL))
		if (s.data.n && sio_json_check(s.data) < 0)
			return false;
	return true;
}

int fetch_on_found(struct hub *hub, sio_slice from, const struct cluster_message *m)
{
	struct inquiry *q = inquiry_find(hub->cluster, m->id);
	struct inquiry_node *node;

	if (!q)
		return SIO_OK; /* too late */
	node = q->fetch ? inquiry_node(q, from) : NULL;
	if (!node || node->state > NODE_TELLING || !data_ok(m))
		return SIO_ERR_PROTO;
	keep(q->fetch, from, m->sockets, m->sockets_n, m->socket_rooms_n);
	node->state = m->is_last ? NODE_DONE : NODE_TELLING;
	if (inquiry_open_n(q) == 0)
		finish(q->fetch, q->fetch->status);
	return SIO_OK;
}

void fetch_lost(struct inquiry *q, struct inquiry_node *node)
{
	node->state = NODE_GONE;
	if (inquiry_open_n(q) == 0)
		finish(q->fetch, q->cluster->is_open ? q->fetch->status : SIO_ERR_CLOSED);
}

/* ---- asking ------------------------------------------------------------------------------ */

static struct fetch *fetch_new(struct sio_namespace *nsp, sio_found_fn *fn, void *arg)
{
	struct hub *hub = nsp->hub;
	struct fetch *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	*f = (struct fetch){ .nsp = nsp, .fn = fn, .arg = arg, .next = hub->fetches, .back = &hub->fetches };
	f->end = &f->first;
	if (f->next)
		f->next->back = &f->next;
	hub->fetches = f;
	nsp->refs++;
	return f;
}

static void ask_others(struct fetch *f, const struct sio_target *target)
{
	struct cluster_message m = { .type = CLUSTER_FETCH, .id = f->far->id, .nsp = sio_str(f->nsp->name) };

	f->far->fetch = f;
	cluster_set_target(&m, target);
	inquiry_send(f->far, &m);
}

int sio_sockets_fetch(struct sio_namespace *nsp, const struct sio_target *target, uint32_t timeout_ms, sio_found_fn *fn,
		      void *arg)
{
	struct eio_engine *e = nsp->hub->engine;
	struct teller teller = { .hub = nsp->hub, .tell = tell_us };
	struct fetch *f;

	if (nsp->match)
		return SIO_ERR_INVAL;
	f = fetch_new(nsp, fn, arg);
	if (!f)
		return SIO_ERR_NOMEM;
	teller.fetch = f;
	if (tell_all(&teller, nsp, target) < 0 || (!target->is_local && inquiry_new(nsp->hub->cluster, &f->far) < 0)) {
		fetch_free(f);
		return SIO_ERR_NOMEM;
	}
	if (f->far)
		ask_others(f, target);
	timeout_ms = timeout_ms ? timeout_ms : SIO_ASK_TIMEOUT_MS;
	wheel_set(e->wheel, &f->timer, e->now_ms + (f->far && inquiry_open_n(f->far) ? timeout_ms : 0), on_timeout);
	return SIO_OK;
}
