/* server.c -- struct sio_server: its parts, life and counts.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <uv.h>

#include "codec/deflate.h"
#include "host/host.h"

enum {
	HEAD_BYTES = 16384,
	HEADERS_N = 100,
	CHUNK_EXTRA = 65536,
	FRAGMENTS_N = 65536,
	PACKETS_N = 1000,       /* in one polling payload */
	OPENING_BYTES = 2048,   /* the usual head of a handshake fits */
	PARTIAL_MS = 30000,     /* for the attachments of a binary packet */
	HISTORY_BYTES = 4194304,
	HISTORY_SESSIONS = 10000, /* of clients that are away */
	RELAX_MS = 5000,        /* between two looks at memory that is not needed any more */
	RELAX_LINKS = 1000,     /* a crowd */
	SPARE_DESCRIPTORS = 64, /* for listeners, the store, files */
};

void host_log(const struct sio_server *server, enum sio_log_level level, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	if (!server->log)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	server->log(level, line, server->log_arg);
}

bool server_is_full(const struct sio_server *server)
{
	return server->is_closing ||
	       (server->max_connections && server->links + server->ws_n + server->visitors >= server->max_connections);
}

struct hub *hub_of(const struct sio_server *server)
{
	return (struct hub *)(uintptr_t)&server->hub;
}

/* ---- memory ----------------------------------------------------------------------------- */

/* What a burst left in the pools goes back to the system.  So does what a crowd left in
 * malloc when it came or went, once it is quiet again: malloc does not do it by itself. */
static void on_relax(struct sio_timer *timer)
{
	struct sio_server *server = MAP_OWNER(timer, struct sio_server, relax);
	uint64_t moves = 2 * server->links_total - server->links; /* comings and goings */
	bool is_quiet = moves - server->moves_seen < RELAX_LINKS / 10;

	eio_engine_relax(&server->engine);
	pool_relax(&server->openings);
	deflater_relax(server->deflater);
	net_relax(server->net);
	if (is_quiet && moves - server->moves_trimmed > RELAX_LINKS) {
		malloc_trim(0);
		server->moves_trimmed = moves;
	}
	server->moves_seen = moves;
	sio_timer_start(server, timer, RELAX_MS, on_relax);
}

/* ---- parts ------------------------------------------------------------------------------ */

static uint32_t descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur <= 2 * SPARE_DESCRIPTORS)
		return SPARE_DESCRIPTORS;
	return limit.rlim_cur - SPARE_DESCRIPTORS > UINT32_MAX ? UINT32_MAX : (uint32_t)limit.rlim_cur - SPARE_DESCRIPTORS;
}

static int start_history(struct sio_server *server, const struct sio_server_options *o)
{
	const struct sio_history_ops *ops;
	void *self;
	int err = sio_history_ring(o->history_bytes ? o->history_bytes : HISTORY_BYTES, HISTORY_SESSIONS,
				   o->recovery_window_ms, &ops, &self);

	return err < 0 ? err : sio_server_set_history(server, ops, self);
}

static int start_parts(struct sio_server *server, const struct sio_server_options *o)
{
	struct net_limits nl = {
		.http = { HEAD_BYTES, HEADERS_N, CHUNK_EXTRA },
		.head_timeout_ms = o->head_timeout_ms,
		.body_timeout_ms = o->body_timeout_ms,
		.idle_timeout_ms = o->idle_timeout_ms,
		.write_timeout_ms = o->write_timeout_ms,
		.max_conns = descriptor_limit(),
		.share_port = o->share_port,
	};
	struct eio_limits el = {
		.ping_interval_ms = o->ping_interval_ms,
		.ping_timeout_ms = o->ping_timeout_ms,
		.upgrade_timeout_ms = o->upgrade_timeout_ms,
		.max_payload_bytes = (uint32_t)o->max_payload_bytes,
		.send_queue_bytes = (uint32_t)o->send_queue_bytes,
		.packets_n = PACKETS_N,
		.no_polling = !(o->transports & SIO_TRANSPORT_POLLING),
		.no_websocket = !(o->transports & SIO_TRANSPORT_WEBSOCKET),
		.no_upgrades = o->no_upgrades,
	};
	struct hub_limits hl = {
		.connect_timeout_ms = o->connect_timeout_ms,
		.partial_timeout_ms = PARTIAL_MS,
		.max_payload_bytes = (uint32_t)o->max_payload_bytes,
		.max_rooms = o->max_rooms,
		.events_per_second = o->events_per_second,
		.events_burst = o->events_burst,
		.keeps_facts = o->keep_facts,
	};
	int err = net_new(server->loop, &nl, &dispatch_ops, server, &server->net);

	if (err == SIO_OK)
		err = eio_engine_init(&server->engine, &el, &link_eio_ops, net_wheel(server->net));
	server->engine.owner = server;
	server->engine.frames.deflater = server->deflater;
	server->engine.frames.deflate_min = o->deflate_threshold_bytes;
	server->app = o->engine_only ? &engineio_app : &socketio_app;
	eio_app_init(&server->engine_app, server, &server->engine, &server->hub.guard, o->engine_only);
	if (err == SIO_OK) {
		server->engine.now_ms = net_now_ms(server->net);
		err = hub_init(&server->hub, server, &server->engine, &hl);
		carry_init(server);
		if (err == SIO_OK && o->recovery_window_ms)
			err = start_history(server, o);
		sio_timer_start(server, &server->relax, RELAX_MS, on_relax);
	}
	return err;
}

int server_new(const struct sio_server_options *options, bool is_still, struct sio_server **out)
{
	struct sio_server_options o = options ? *options : (struct sio_server_options){ 0 };
	struct sio_server *server = calloc(1, sizeof(*server));
	int err;

	*out = NULL;
	if (!server)
		return SIO_ERR_NOMEM;
	options_defaults(&o);
	server->log = o.log;
	server->log_arg = o.log_arg;
	server->max_body_bytes = o.max_body_bytes;
	server->max_connections = o.max_connections;
	server->handshake_timeout_ms = o.handshake_timeout_ms;
	server->ws_limits = (struct ws_limits){ o.max_payload_bytes, FRAGMENTS_N, NULL };
	server->per_message_deflate = o.per_message_deflate;
	server->http_compression = o.http_compression;
	server->http_compression_min = o.http_compression_threshold_bytes;
	server->deflater = deflater_new();
	server->loop = o.loop;
	pool_init(&server->openings, OPENING_BYTES);
	err = server->deflater ? options_check(server, &o) : SIO_ERR_NOMEM;
	if (err == SIO_OK)
		err = options_keep(server, &o);
	if (err == SIO_OK)
		err = edge_proxies(server, &o);
	if (err == SIO_OK && !server->loop && !is_still) {
		server->owns_loop = true;
		server->loop = malloc(sizeof(uv_loop_t));
		if (!server->loop || uv_loop_init(server->loop) < 0) {
			free(server->loop);
			server->loop = NULL;
			err = SIO_ERR_SYSTEM;
		}
	}
	if (err == SIO_OK)
		err = start_parts(server, &o);
	if (err == SIO_OK)
		err = edge_tls(server, &o);
	if (err < 0) {
		sio_server_free(server);
		return err;
	}
	*out = server;
	return SIO_OK;
}

int sio_server_new(const struct sio_server_options *options, struct sio_server **out)
{
	return server_new(options, false, out);
}

/* ---- life ------------------------------------------------------------------------------- */

/* A call that would pull the ground from under the handler that makes it. */
static void server_check_outside(const struct sio_server *server, const char *call)
{
	if (net_is_inside(server->net))
		guard_fail(call, "was called from inside a handler of the same server; sio_server_close ends it from there");
}

int sio_server_listen(struct sio_server *server, const char *host, uint16_t port)
{
	SERVER_CHECK(server);
	return net_listen(server->net, host, port);
}

uint16_t sio_server_port(const struct sio_server *server)
{
	return net_port(server->net);
}

void sio_server_run(struct sio_server *server)
{
	SERVER_CHECK(server);
	server_check_outside(server, __func__);
	net_run(server->net);
	guard_drop(&server->hub.guard); /* whoever comes next may have it */
}

int sio_server_close_on_signals(struct sio_server *server, uint32_t drain_ms)
{
	SERVER_CHECK(server);
	server->signal_drain_ms = drain_ms;
	return net_watch_signals(server->net);
}

void sio_server_close(struct sio_server *server, uint32_t drain_ms)
{
	SERVER_CHECK(server);
	net_enter(server->net);
	if (!server->is_closing) {
		server->is_closing = true;
		eio_engine_discard_all(&server->engine, "server shutting down");
		websocket_close_all(server);
		carry_close(server);
		hub_close(&server->hub);
	}
	net_stop(server->net, drain_ms);
	net_leave(server->net);
}

void sio_server_free(struct sio_server *server)
{
	if (!server)
		return;
	if (server->net) {
		SERVER_CHECK(server);
		server_check_outside(server, __func__);
		net_enter(server->net);
	}
	if (server->net && !server->is_stopped)
		sio_server_close(server, 0);
	if (server->net) /* those that linger, too */
		eio_engine_discard_all(&server->engine, "server shutting down");
	hub_close(&server->hub); /* while there are timers still */
	net_free(server->net);
	if (server->testing)
		server->testing_free(server->testing);
	link_flush_all(server);
	(void)websocket_flush_all(server); /* they are all gone */
	carry_fini(server);
	hub_fini(&server->hub);
	pool_fini(&server->openings);
	eio_engine_fini(&server->engine);
	route_free_all(server);
	deflater_free(server->deflater);
	buf_fini(&server->payload);
	buf_fini(&server->hooks.cookie);
	buf_fini(&server->hooks.cookie_end);
	if (server->owns_loop && server->loop) {
		uv_run(server->loop, UV_RUN_DEFAULT); /* an adapter may have something left to send */
		uv_loop_close(server->loop);
		free(server->loop);
	}
	for (char **o = server->origins; o && *o; o++)
		free(*o);
	free(server->origins);
	free(server->tls_cert);
	free(server->tls_key);
	proxy_list_fini(&server->proxies);
	free(server->path);
	free(server);
}

void sio_server_set_data(struct sio_server *server, void *data)
{
	server->data = data;
}

void *sio_server_data(const struct sio_server *server)
{
	return server->data;
}

uint64_t sio_server_now_ms(const struct sio_server *server)
{
	return net_now_ms(server->net);
}

/* ---- work and timers ----------------------------------------------------------------------- */

int sio_server_post(struct sio_server *server, sio_post_fn *fn, void *arg)
{
	return net_post(server->net, fn, arg);
}

int sio_server_work(struct sio_server *server, sio_post_fn *work, sio_post_fn *done, void *arg)
{
	SERVER_CHECK(server);
	return net_work(server->net, work, done, arg);
}

void sio_timer_start(struct sio_server *server, struct sio_timer *timer, uint32_t ms, void (*fn)(struct sio_timer *timer))
{
	SERVER_CHECK(server);
	wheel_set(net_wheel(server->net), timer, net_now_ms(server->net) + ms, fn);
}

void sio_timer_stop(struct sio_timer *timer)
{
	wheel_del(timer);
}

/* ---- counts ---------------------------------------------------------------------------------- */

void sio_server_stats(const struct sio_server *server, struct sio_stats *out)
{
	const struct eio_engine *e = &server->engine;
	const struct hub *hub = &server->hub;
	const struct net_stats *n = net_stats(server->net);

	SERVER_CHECK(server);
	*out = (struct sio_stats){
		.connections = server->links,
		.connections_total = server->links_total,
		.websockets = server->websockets,
		.http_connections = n->conns,
		.sockets = hub->sockets,
		.rooms = hub->rooms,
		.upgrades_total = e->upgrades,
		.events_received_total = hub->events,
		.broadcasts_total = hub->broadcasts,
		.encodes_total = e->frames.encodes,
		.deliveries_total = e->deliveries,
		.volatile_dropped_total = e->volatile_dropped,
		.volatile_replaced_total = e->volatile_replaced,
		.slow_disconnects_total = e->slow,
		.parse_errors_total = e->parse_errors,
		.connect_refused_total = hub->refused,
		.rate_limited_total = hub->limited,
		.events_dropped_total = hub->dropped,
		.recoveries_total = hub->recovered,
		.replayed_total = hub->replayed,
		.adapter_sent_total = hub->adapter_sent,
		.adapter_received_total = hub->adapter_received,
		.adapter_refused_total = hub->adapter_refused,
		.adapter_failed_total = hub->adapter_failed,
		.carried = server->carry.carriages.n + server->carry.carried.n,
		.carried_out_total = server->carry.out_total,
		.carried_in_total = server->carry.in_total,
		.carried_strays_total = server->carry.strays,
		.carried_passed_total = server->carry.passed,
		.http_requests_total = n->requests,
		.http_refused_total = n->refused,
		.tls_handshakes_total = n->tls_handshakes,
		.tls_failures_total = n->tls_failures,
		.bytes_in_total = n->bytes_in,
		.bytes_out_total = n->bytes_out,
		.writes_total = n->writes,
		.allocations_total = frame_pool_mallocs(&e->frames) + e->chunks.slabs_total,
		.send_queue_bytes = e->queued_bytes + server->ws_queued_bytes,
		.plain_websockets = server->ws_n,
		.plain_websockets_total = server->ws_total,
		.deflated_messages_total = e->frames.deflates,
		.deflate_in_bytes_total = e->frames.deflate_in,
		.deflate_out_bytes_total = e->frames.deflate_out,
		.http_compressed_total = server->http_compress.answers,
		.http_compress_in_bytes_total = server->http_compress.in_bytes,
		.http_compress_out_bytes_total = server->http_compress.out_bytes,
		.turn_times = server->turn_times,
		.broadcast_times = server->broadcast_times,
	};
}
