/* hub.c -- making a hub, and the application's handlers in it.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "hub/hub.h"

#include <stdlib.h>

int hub_init(struct hub *hub, struct sio_server *server, struct eio_engine *engine, const struct hub_limits *limits)
{
	*hub = (struct hub){ .server = server, .engine = engine, .limits = *limits };
	map_init(&hub->handlers);
	hub->nsps = nsp_new(hub, SIO_LIT("/"));
	return hub->nsps ? SIO_OK : SIO_ERR_NOMEM;
}

void hub_fini(struct hub *hub)
{
	uint32_t i;

	for (struct map_node *node = map_first(&hub->handlers, &i), *next; node; node = next) {
		next = map_next(&hub->handlers, &i, node);
		free(MAP_OWNER(node, struct handler, by_name));
	}
	map_fini(&hub->handlers);
	for (struct nsp *nsp = hub->nsps, *next; nsp; nsp = next) {
		next = nsp->next;
		nsp_free(nsp);
	}
	buf_fini(&hub->scratch);
}

void sio_on_connect(struct sio_server *server, sio_connect_fn *fn, void *arg)
{
	struct hub *hub = hub_of(server);

	hub->on_connect = fn;
	hub->connect_arg = arg;
}

void sio_on_disconnect(struct sio_server *server, sio_disconnect_fn *fn, void *arg)
{
	struct hub *hub = hub_of(server);

	hub->on_disconnect = fn;
	hub->disconnect_arg = arg;
}

void sio_on_limited(struct sio_server *server, sio_limited_fn *fn, void *arg)
{
	struct hub *hub = hub_of(server);

	hub->on_limited = fn;
	hub->limited_arg = arg;
}

int sio_on_event(struct sio_server *server, const char *name, sio_event_fn *fn, void *arg)
{
	struct hub *hub = hub_of(server);
	struct map_node *node;
	struct handler *h;
	size_t n;

	if (!name) {
		hub->on_any = fn;
		hub->any_arg = arg;
		return SIO_OK;
	}
	n = strlen(name);
	node = map_get(&hub->handlers, sio_bytes(name, n));
	if (node) {
		h = MAP_OWNER(node, struct handler, by_name);
		h->fn = fn;
		h->arg = arg;
		return SIO_OK;
	}
	h = malloc(sizeof(*h) + n + 1);
	if (!h)
		return SIO_ERR_NOMEM;
	*h = (struct handler){ .fn = fn, .arg = arg };
	memcpy(h->name, name, n + 1);
	if (map_put(&hub->handlers, &h->by_name, sio_bytes(h->name, n)) == SIO_OK)
		return SIO_OK;
	free(h);
	return SIO_ERR_NOMEM;
}
