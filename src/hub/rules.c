/* rules.c -- what the application wants of a namespace: middlewares and handlers, and
 * the way of a connect request and of an event through them.
 *
 * A child does what its parent was told first, then what it was told itself; where only
 * one can answer (a handler) its own counts.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include "hub/hub.h"

struct handler {
	struct map_node by_name;
	sio_event_fn *fn;
	void *arg;
	char name[];
};

struct connect_step {
	struct connect_step *next;
	sio_connect_fn *fn;
	void *arg;
};

struct event_step {
	struct event_step *next;
	sio_event_filter_fn *fn;
	void *arg;
};

void rules_init(struct nsp_rules *rules)
{
	map_init(&rules->handlers);
}

void rules_fini(struct nsp_rules *rules)
{
	uint32_t i;

	for (struct map_node *node = map_first(&rules->handlers, &i), *next; node; node = next) {
		next = map_next(&rules->handlers, &i, node);
		free(MAP_OWNER(node, struct handler, by_name));
	}
	map_fini(&rules->handlers);
	while (rules->connect_steps) {
		struct connect_step *step = rules->connect_steps;
		rules->connect_steps = step->next;
		free(step);
	}
	while (rules->event_steps) {
		struct event_step *step = rules->event_steps;
		rules->event_steps = step->next;
		free(step);
	}
}

/* ---- the way of a connect request ------------------------------------------------ */

/* The middleware that comes next: the parent's, then its own; NULL behind the last. */
static const struct connect_step *next_step(struct sio_connect *req)
{
	const struct connect_step *next = req->step ? req->step->next : NULL;

	if (!next && req->list == STEPS_NONE) {
		req->list = STEPS_OF_PARENT;
		next = req->nsp->parent ? req->nsp->parent->rules.connect_steps : NULL;
	}
	if (!next && req->list == STEPS_OF_PARENT) {
		req->list = STEPS_OWN;
		next = req->nsp->rules.connect_steps;
	}
	req->step = next;
	return next;
}

void rules_connect(struct sio_connect *req)
{
	const struct connect_step *step = next_step(req);
	const struct nsp_rules *r = NSP_RULES(req->nsp, on_connect);

	if (step) {
		step->fn(req, step->arg);
	} else if (r->on_connect && req->list != STEPS_DONE) {
		req->list = STEPS_DONE;
		r->on_connect(req, r->connect_arg);
	} else {
		sio_connect_accept(req);
	}
}

/* ---- the way of an event ------------------------------------------------------------ */

static const struct handler *handler_in(const struct nsp_rules *rules, sio_slice name)
{
	const struct map_node *node = map_get(&rules->handlers, name);
	const struct handler *h = node ? MAP_OWNER(node, struct handler, by_name) : NULL;

	return h && h->fn ? h : NULL; /* without a function: it was taken back */
}

static const struct handler *handler_find(const struct sio_namespace *nsp, sio_slice name)
{
	const struct handler *h = handler_in(&nsp->rules, name);

	return h || !nsp->parent ? h : handler_in(&nsp->parent->rules, name);
}

/* 0 when every filter lets the event pass. */
static int filter(const struct nsp_rules *rules, struct sio_socket *s, const struct sio_event *event)
{
	for (const struct event_step *step = rules->event_steps; step; step = step->next) {
		int why = step->fn(s, event, step->arg);
		if (why || !s->client)
			return why;
	}
	return 0;
}

static bool passes(struct sio_socket *s, const struct sio_event *event)
{
	const struct sio_namespace *nsp = s->nsp;
	const struct nsp_rules *r = NSP_RULES(nsp, on_dropped);
	int why = nsp->parent ? filter(&nsp->parent->rules, s, event) : 0;

	if (!why && s->client)
		why = filter(&nsp->rules, s, event);
	if (!why)
		return s->client != NULL;
	nsp->hub->dropped++;
	if (r->on_dropped)
		r->on_dropped(s, event, why, r->dropped_arg);
	return false;
}

void rules_event(struct sio_socket *s, const struct sio_event *event)
{
	const struct sio_namespace *nsp = s->nsp;
	const struct nsp_rules *r;
	const struct handler *h;

	if (!passes(s, event))
		return;
	r = NSP_RULES(nsp, on_any);
	if (r->on_any)
		r->on_any(s, event, r->any_arg);
	if (!s->client)
		return;
	h = handler_find(nsp, event->name);
	r = NSP_RULES(nsp, on_unhandled);
	if (h)
		h->fn(s, event, h->arg);
	else if (r->on_unhandled)
		r->on_unhandled(s, event, r->unhandled_arg);
}

/* ---- being told ------------------------------------------------------------------------ */

int sio_namespace_use(struct sio_namespace *nsp, sio_connect_fn *fn, void *arg)
{
	struct connect_step *step = malloc(sizeof(*step)), **end = &nsp->rules.connect_steps;

	HUB_CHECK(nsp->hub);
	if (!step)
		return SIO_ERR_NOMEM;
	*step = (struct connect_step){ NULL, fn, arg };
	while (*end)
		end = &(*end)->next;
	*end = step;
	return SIO_OK;
}

int sio_namespace_use_event(struct sio_namespace *nsp, sio_event_filter_fn *fn, void *arg)
{
	struct event_step *step = malloc(sizeof(*step)), **end = &nsp->rules.event_steps;

	HUB_CHECK(nsp->hub);
	if (!step)
		return SIO_ERR_NOMEM;
	*step = (struct event_step){ NULL, fn, arg };
	while (*end)
		end = &(*end)->next;
	*end = step;
	return SIO_OK;
}

#define SET_RULE(field)                                                                                                \
	do {                                                                                                           \
		HUB_CHECK(nsp->hub);                                                                                   \
		nsp->rules.on_##field = fn;                                                                            \
		nsp->rules.field##_arg = arg;                                                                          \
	} while (0)

void sio_namespace_on_connect(struct sio_namespace *nsp, sio_connect_fn *fn, void *arg)
{
	SET_RULE(connect);
}

void sio_namespace_on_disconnect(struct sio_namespace *nsp, sio_disconnect_fn *fn, void *arg)
{
	SET_RULE(disconnect);
}

void sio_namespace_on_disconnecting(struct sio_namespace *nsp, sio_disconnect_fn *fn, void *arg)
{
	SET_RULE(disconnecting);
}

void sio_namespace_on_limited(struct sio_namespace *nsp, sio_limited_fn *fn, void *arg)
{
	SET_RULE(limited);
}

void sio_namespace_on_dropped(struct sio_namespace *nsp, sio_dropped_fn *fn, void *arg)
{
	SET_RULE(dropped);
}

void sio_namespace_on_any(struct sio_namespace *nsp, sio_event_fn *fn, void *arg)
{
	SET_RULE(any);
}

void sio_namespace_on_any_outgoing(struct sio_namespace *nsp, sio_outgoing_fn *fn, void *arg)
{
	SET_RULE(outgoing);
}

void sio_namespace_on_describe(struct sio_namespace *nsp, sio_describe_fn *fn, void *arg)
{
	SET_RULE(describe);
}

void sio_namespace_on_server_event(struct sio_namespace *nsp, sio_server_event_fn *fn, void *arg)
{
	SET_RULE(server_event);
}

static struct handler *handler_new(struct sio_namespace *nsp, const char *name, size_t n)
{
	struct handler *h = malloc(sizeof(*h) + n + 1);

	if (!h)
		return NULL;
	memcpy(h->name, name, n + 1);
	if (map_put(&nsp->rules.handlers, &h->by_name, sio_bytes(h->name, n)) == SIO_OK)
		return h;
	free(h);
	return NULL;
}

int sio_namespace_on_event(struct sio_namespace *nsp, const char *name, sio_event_fn *fn, void *arg)
{
	struct map_node *node;
	struct handler *h;

	HUB_CHECK(nsp->hub);
	if (!name) {
		SET_RULE(unhandled);
		return SIO_OK;
	}
	node = map_get(&nsp->rules.handlers, sio_str(name));
	h = node ? MAP_OWNER(node, struct handler, by_name) : handler_new(nsp, name, strlen(name));
	if (!h)
		return SIO_ERR_NOMEM;
	h->fn = fn;
	h->arg = arg;
	return SIO_OK;
}

/* ---- the same for "/" ---------------------------------------------------------------------- */

void sio_on_connect(struct sio_server *server, sio_connect_fn *fn, void *arg)
{
	sio_namespace_on_connect(hub_of(server)->nsps, fn, arg);
}

void sio_on_disconnect(struct sio_server *server, sio_disconnect_fn *fn, void *arg)
{
	sio_namespace_on_disconnect(hub_of(server)->nsps, fn, arg);
}

void sio_on_limited(struct sio_server *server, sio_limited_fn *fn, void *arg)
{
	sio_namespace_on_limited(hub_of(server)->nsps, fn, arg);
}

int sio_on_event(struct sio_server *server, const char *name, sio_event_fn *fn, void *arg)
{
	return sio_namespace_on_event(hub_of(server)->nsps, name, fn, arg);
}
