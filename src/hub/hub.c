/* hub.c -- making a hub, its namespaces, and the application's handlers in them.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "hub/hub.h"

#include <stdlib.h>

int hub_init(struct hub *hub, struct sio_server *server, struct eio_engine *engine, const struct hub_limits *limits)
{
	*hub = (struct hub){ .server = server, .engine = engine, .limits = *limits };
	hub->nsps = nsp_new(hub, SIO_LIT("/"));
	return hub->nsps ? SIO_OK : SIO_ERR_NOMEM;
}

void hub_fini(struct hub *hub)
{
	hub_reap(hub);
	for (struct sio_namespace *nsp = hub->nsps, *next; nsp; nsp = next) {
		next = nsp->next;
		nsp_free(nsp);
	}
	buf_fini(&hub->scratch);
}

/* ---- namespaces ------------------------------------------------------------------- */

struct sio_namespace *nsp_new(struct hub *hub, sio_slice name)
{
	struct sio_namespace *nsp = calloc(1, sizeof(*nsp) + name.n + 1);

	if (!nsp)
		return NULL;
	nsp->hub = hub;
	memcpy(nsp->name, name.p, name.n);
	map_init(&nsp->sockets_by_id);
	map_init(&nsp->rooms);
	map_init(&nsp->handlers);
	return nsp;
}

void nsp_free(struct sio_namespace *nsp)
{
	uint32_t i;

	for (struct map_node *node = map_first(&nsp->handlers, &i), *next; node; node = next) {
		next = map_next(&nsp->handlers, &i, node);
		free(MAP_OWNER(node, struct handler, by_name));
	}
	map_fini(&nsp->handlers);
	map_fini(&nsp->sockets_by_id);
	map_fini(&nsp->rooms);
	free(nsp->sockets);
	free(nsp);
}

struct sio_namespace *nsp_find(const struct hub *hub, sio_slice name)
{
	struct sio_namespace *nsp = hub->nsps;

	while (nsp && !sio_slice_eq(sio_str(nsp->name), name))
		nsp = nsp->next;
	return nsp;
}

struct sio_namespace *sio_namespace_open(struct sio_server *server, sio_slice name)
{
	struct hub *hub = hub_of(server);
	struct sio_namespace *nsp = nsp_find(hub, name);

	HUB_CHECK(hub);
	if (nsp || name.n < 1 || name.n > SIO_NAMESPACE_MAX || name.p[0] != '/' || memchr(name.p, ',', name.n) ||
	    memchr(name.p, '\0', name.n))
		return nsp;
	nsp = nsp_new(hub, name);
	if (nsp) { /* "/" stays the first, for most clients ask for it */
		nsp->next = hub->nsps->next;
		hub->nsps->next = nsp;
	}
	return nsp;
}

sio_slice sio_namespace_name(const struct sio_namespace *nsp)
{
	return sio_str(nsp->name);
}

struct sio_namespace *sio_socket_namespace(const struct sio_socket *s)
{
	return s->nsp;
}

struct sio_namespace *sio_connect_namespace(const struct sio_connect *req)
{
	return req->nsp;
}

/* ---- handlers ----------------------------------------------------------------------- */

void sio_namespace_on_connect(struct sio_namespace *nsp, sio_connect_fn *fn, void *arg)
{
	HUB_CHECK(nsp->hub);
	nsp->on_connect = fn;
	nsp->connect_arg = arg;
}

void sio_namespace_on_disconnect(struct sio_namespace *nsp, sio_disconnect_fn *fn, void *arg)
{
	HUB_CHECK(nsp->hub);
	nsp->on_disconnect = fn;
	nsp->disconnect_arg = arg;
}

void sio_namespace_on_limited(struct sio_namespace *nsp, sio_limited_fn *fn, void *arg)
{
	HUB_CHECK(nsp->hub);
	nsp->on_limited = fn;
	nsp->limited_arg = arg;
}

static struct handler *handler_new(struct sio_namespace *nsp, const char *name, size_t n)
{
	struct handler *h = malloc(sizeof(*h) + n + 1);

	if (!h)
		return NULL;
	memcpy(h->name, name, n + 1);
	if (map_put(&nsp->handlers, &h->by_name, sio_bytes(h->name, n)) == SIO_OK)
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
		nsp->on_any = fn;
		nsp->any_arg = arg;
		return SIO_OK;
	}
	node = map_get(&nsp->handlers, sio_str(name));
	h = node ? MAP_OWNER(node, struct handler, by_name) : handler_new(nsp, name, strlen(name));
	if (!h)
		return SIO_ERR_NOMEM;
	h->fn = fn;
	h->arg = arg;
	return SIO_OK;
}

/* ---- the same for "/" ---------------------------------------------------------------- */

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
