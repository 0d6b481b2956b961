/* status.c -- /ws/status, /healthz, /readyz: is it well, and how many are here?
 *
 * Questions that need the store's word are bounded: a store that does not answer
 * in STORE_WAIT_MS counts as down.  Nothing here names a user.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <sio/redis.h>
#include <sio/server.h>
#include <sio/servers.h>
#include <sio/work.h>

#include "api/routes.h"
#include "auth/issuer.h"

enum { STORE_WAIT_MS = 2000 };

/* ---- asking the store, with a bound -------------------------------------------------- */

typedef void probe_fn(struct call *call, const char *store);

/* Lives until both ends are done with it: the store's answer comes always, the
 * call may have been answered by the timer long before. */
struct probe {
	struct sio_timer timer;
	struct call *call; /* NULL: answered */
	probe_fn *answer;
};

static void probe_answer(struct probe *probe, const char *store)
{
	struct call *call = probe->call;

	probe->call = NULL;
	if (call)
		probe->answer(call, store);
}

static void on_late(struct sio_timer *timer)
{
	probe_answer((struct probe *)(void *)((char *)timer - offsetof(struct probe, timer)), "unavailable");
}

static void on_ping(struct store_result *result, void *arg)
{
	struct probe *probe = arg;

	sio_timer_stop(&probe->timer);
	probe_answer(probe, result->status == STORE_OK ? "ok" : result->status == STORE_BUSY ? "busy" : "unavailable");
	store_result_free(result);
	free(probe);
}

/* Call answer with the state of the store, now or within STORE_WAIT_MS. */
static void ask_store(struct call *call, probe_fn *answer)
{
	struct probe *probe = calloc(1, sizeof(*probe));
	const struct store_ask ask = { .op = STORE_PING, .is_ordered = true, .done = on_ping, .arg = probe };
	int err;

	if (!probe) {
		answer(call, "unavailable");
		return;
	}
	probe->call = call;
	probe->answer = answer;
	err = store_submit(call->api->options.store, &ask);
	if (err) {
		free(probe);
		answer(call, err == SIO_ERR_BUSY ? "busy" : "unavailable");
		return;
	}
	sio_timer_start(call->api->options.server, &probe->timer, STORE_WAIT_MS, on_late);
}

/* ---- /ws/status ------------------------------------------------------------------------ */

static const char *redis_state(const struct api *api)
{
	struct sio_redis_stats stats;

	if (!api->options.redis)
		return "off";
	sio_redis_stats(api->options.redis, &stats);
	return stats.is_up ? "ok" : "down";
}

/* "off": no JWT_JWKS_URL; "none": no set of keys was ever had; "stale": the last fetch failed. */
static const char *keys_state(const struct api *api)
{
	struct issuer_stats stats;

	if (!api->options.key_issuer)
		return "off";
	issuer_stats(api->options.key_issuer, &stats);
	return !stats.has_keys ? "none" : stats.is_stale ? "stale" : "ok";
}

/* The guide's five fields, in its order, without the closing brace. */
static void put_status(struct call *call, int64_t connections, size_t projects)
{
	buf_printf(&call->text,
		   "{\"enabled\":true,\"redis_enabled\":%s,\"endpoint\":\"/socket.io\","
		   "\"active_connections\":%lld,\"active_project_rooms\":%zu",
		   call->api->options.redis ? "true" : "false", (long long)connections, projects);
}

static void answer_verbose(struct call *call, const char *store)
{
	const struct api *api = call->api;

	buf_str(&call->text, ",\"node\":");
	buf_json(&call->text, sio_str(api->options.node));
	buf_printf(&call->text, ",\"nodes\":%zu,\"workers\":%u,\"redis\":\"%s\",\"store\":\"%s\",\"keys\":\"%s\"",
		   sio_server_nodes_n(api->options.server), api->options.workers, redis_state(api), store, keys_state(api));
	buf_printf(&call->text, ",\"uptime\":%llu,\"version\":",
		   (unsigned long long)((sio_server_now_ms(api->options.server) - api->started_ms) / 1000));
	buf_json(&call->text, sio_str(api->options.version));
	buf_byte(&call->text, '}');
	respond_json(call, call->text.failed ? 500 : 200, call->text.failed ? SIO_LIT("{}") : buf_peek(&call->text));
}

/* Whoever can reach the server may ask: it answers from what it knows of all, and asks nobody. */
void status_get(struct call *call)
{
	struct collab_facts facts;
	char verbose[8];

	collab_facts(call->api->options.collab, &facts);
	put_status(call, (int64_t)facts.connections, facts.project_rooms);
	if (sio_request_query_get(call->req, "verbose", verbose, sizeof(verbose)) == 1 && verbose[0] == '1') {
		buf_byte(&call->text, ',');
		collab_put_missing(call->api->options.collab, sio_bytes("", 0), &call->text);
		ask_store(call, answer_verbose);
		return;
	}
	buf_byte(&call->text, '}');
	respond_json(call, call->text.failed ? 500 : 200, call->text.failed ? SIO_LIT("{}") : buf_peek(&call->text));
}

/* ---- health ------------------------------------------------------------------------------ */

static void put_parts(const struct call *call, struct buf *b, const char *state, const char *store)
{
	buf_printf(b, "{\"status\":\"%s\",\"store\":\"%s\",\"redis\":\"%s\",\"keys\":\"%s\",\"draining\":%s}", state, store,
		   redis_state(call->api), keys_state(call->api), call->api->is_draining ? "true" : "false");
}

/* Alive: the loop answers.  A restart would not mend the store, so it does not count. */
static void answer_health(struct call *call, const char *store)
{
	struct buf b = { 0 };

	put_parts(call, &b, "ok", store);
	respond_buf(call, 200, &b);
}

void status_healthz(struct call *call)
{
	ask_store(call, answer_health);
}

/* Ready: requests should be sent here.  Without Redis they may: its loss meets all servers,
 * and each of them still serves its own. */
static void answer_ready(struct call *call, const char *store)
{
	struct buf b = { 0 };
	bool has_keys = keys_state(call->api)[0] != 'n'; /* "none": whoever comes would be sent away */
	bool is_ready = !call->api->is_draining && store[0] == 'o' && has_keys; /* "ok" */

	put_parts(call, &b, is_ready ? redis_state(call->api)[0] == 'd' ? "degraded" : "ok" : call->api->is_draining ? "draining" : "unavailable", store);
	if (!is_ready)
		sio_reply_header(call->req, SIO_LIT("Retry-After"), SIO_LIT("1"));
	respond_buf(call, is_ready ? 200 : 503, &b);
}

void status_readyz(struct call *call)
{
	ask_store(call, answer_ready);
}
