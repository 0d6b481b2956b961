/* server.c -- servers that stand still until a test moves them.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include "testing/inner.h"

enum { SETTLE_STEPS = 100000 }; /* without time passing: whoever posts to himself for ever is left there */

static void testing_free(struct testing *t)
{
	while (t->peers) {
		struct peer *peer = t->peers;
		t->peers = peer->next;
		peer_free(peer);
	}
	while (t->requests) {
		struct sio_test_request *req = t->requests;
		t->requests = req->next;
		request_free(req);
	}
	free(t);
}

int sio_test_server_new(const struct sio_server_options *options, struct sio_server **out)
{
	struct testing *t;
	int err;

	*out = NULL;
	if (options && (options->loop || options->engine_only))
		return SIO_ERR_INVAL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return SIO_ERR_NOMEM;
	err = server_new(options, true, &t->server);
	if (err < 0) {
		free(t);
		return err;
	}
	t->server->testing = t;
	t->server->testing_free = testing_free;
	*out = t->server;
	return SIO_OK;
}

struct testing *testing_of(struct sio_server *server)
{
	return server->testing;
}

void testing_settle(struct testing *t)
{
	struct net *net = t->server->net;
	bool has_more = true;

	if (net_is_inside(net)) /* in a handler: the step that called it goes on afterwards */
		return;
	for (unsigned n = 0; has_more && n < SETTLE_STEPS; n++) {
		has_more = net_step(net, net_now_ms(net));
		for (struct peer *peer = t->peers; peer; peer = peer->next)
			has_more |= peer_read(peer);
	}
}

/* Go to the next deadline, or to the end of the time given. */
static uint64_t step_ms(struct testing *t, uint64_t left_ms)
{
	struct net *net = t->server->net;
	int64_t wait_ms = wheel_wait_ms(net_wheel(net), net_now_ms(net));

	if (wait_ms < 0 || (uint64_t)wait_ms > left_ms)
		return left_ms;
	return wait_ms > 0 ? (uint64_t)wait_ms : 1;
}

void sio_test_run(struct sio_server *server, uint32_t ms)
{
	struct testing *t = testing_of(server);
	uint64_t left_ms = ms;

	if (!t || net_is_inside(server->net))
		return;
	testing_settle(t);
	while (left_ms > 0) {
		uint64_t step = step_ms(t, left_ms);
		left_ms -= step;
		net_step(server->net, net_now_ms(server->net) + step);
		testing_settle(t);
	}
}
