/* measure.c -- GET /metrics: what this process counts, by the contract's names.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */

#include <stdio.h>

#include <sio/redis.h>
#include <sio/server.h>
#include <sio/servers.h>

#include "api/measure.h"
#include "api/routes.h"
#include "auth/issuer.h"
#include "metrics/text.h"

/* One row a figure of libsio that needs no label. */
static const struct {
	const char *name;
	enum metric_type type;
	size_t offset;
	const char *help;
} rows[] = {
#define ROW(field, kind, text) { "skybuild_" #field, METRIC_##kind, offsetof(struct sio_stats, field), text }
	ROW(connections_total, COUNTER, "Engine.IO sessions opened."),
	ROW(http_connections, GAUGE, "TCP connections open now."),
	ROW(rooms, GAUGE, "Rooms with members now."),
	ROW(upgrades_total, COUNTER, "Sessions upgraded from polling to WebSocket."),
	ROW(broadcasts_total, COUNTER, "Broadcasts made."),
	ROW(encodes_total, COUNTER, "Packets encoded; one a message, however many receive it."),
	ROW(deliveries_total, COUNTER, "Packets queued to a receiver."),
	ROW(volatile_dropped_total, COUNTER, "Volatile packets dropped for a receiver that lags."),
	ROW(volatile_replaced_total, COUNTER, "Volatile packets that gave way to a newer one."),
	ROW(slow_disconnects_total, COUNTER, "Clients cut because they read too slowly."),
	ROW(parse_errors_total, COUNTER, "Sessions closed for a packet that could not be read."),
	ROW(replayed_total, COUNTER, "Events that clients had missed and got when they came back."),
	ROW(rate_limited_total, COUNTER, "Events dropped by the rate limit."),
	ROW(adapter_refused_total, COUNTER, "Messages of other servers that were malformed, of another version, or out of place."),
	ROW(adapter_failed_total, COUNTER, "Messages to other servers that could not be sent, or not to all."),
	ROW(carried, GAUGE, "Requests of sessions of other servers, and of ours at other servers, now."),
	ROW(carried_out_total, COUNTER, "Requests that belonged to a session of another server."),
	ROW(carried_in_total, COUNTER, "Requests that reached another server and belonged to a session here."),
	ROW(carried_passed_total, COUNTER, "Of the first: given to another worker with their connection."),
	ROW(carried_strays_total, COUNTER, "Messages about one of these that was over."),
	ROW(http_requests_total, COUNTER, "HTTP requests."),
	ROW(http_refused_total, COUNTER, "HTTP requests refused before they reached a handler."),
	ROW(tls_handshakes_total, COUNTER, "TLS handshakes completed."),
	ROW(tls_failures_total, COUNTER, "TLS connections that failed: no handshake, or broken later."),
	ROW(bytes_in_total, COUNTER, "Bytes received."),
	ROW(bytes_out_total, COUNTER, "Bytes sent."),
	ROW(writes_total, COUNTER, "System calls that sent bytes."),
	ROW(allocations_total, COUNTER, "Times the message path asked the system for memory."),
	ROW(send_queue_bytes, GAUGE, "Bytes waiting to be sent."),
	ROW(deflated_messages_total, COUNTER, "WebSocket messages compressed; one a message, however many receive it."),
	ROW(deflate_in_bytes_total, COUNTER, "Their bytes before."),
	ROW(deflate_out_bytes_total, COUNTER, "Their bytes after."),
	ROW(http_compressed_total, COUNTER, "HTTP answers compressed."),
	ROW(http_compress_in_bytes_total, COUNTER, "Their bytes before."),
	ROW(http_compress_out_bytes_total, COUNTER, "Their bytes after."),
#undef ROW
};

static void put_server(struct buf *b, const struct sio_stats *stats)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		metric(b, rows[i].name, rows[i].type, rows[i].help,
		       *(const uint64_t *)(const void *)((const char *)stats + rows[i].offset));
	metric_head(b, "skybuild_sessions", METRIC_GAUGE, "Engine.IO sessions open now, by transport.");
	metric_labelled(b, "skybuild_sessions", "transport", SIO_LIT("websocket"), stats->websockets);
	metric_labelled(b, "skybuild_sessions", "transport", SIO_LIT("polling"), stats->connections - stats->websockets);
	metric_times(b, "skybuild_broadcast_seconds",
		     "A broadcast: from the turn of the loop that read its cause to the last write here.", &stats->broadcast_times);
	metric_times(b, "skybuild_loop_lag_seconds", "A turn of the loop: what comes meanwhile waits no longer.", &stats->turn_times);
}

static void put_event(const char *name, uint64_t received_n, void *arg)
{
	metric_labelled(arg, "skybuild_events_received_total", "event", sio_str(name), received_n);
}

static void put_recovery(const char *result, uint64_t n, void *arg)
{
	metric_labelled(arg, "skybuild_recoveries_total", "result", sio_str(result), n);
}

static void put_collab(struct buf *b, const struct collab *collab)
{
	struct collab_counts counts;

	collab_counts(collab, &counts);
	metric(b, "skybuild_connections", METRIC_GAUGE, "Clients connected now.", counts.connections);
	metric(b, "skybuild_users", METRIC_GAUGE, "Users with a connection now.", counts.users);
	metric(b, "skybuild_project_rooms", METRIC_GAUGE, "Projects with somebody in them now.", counts.project_rooms);
	metric(b, "skybuild_presence_users", METRIC_GAUGE, "Users present in a project, counted once a project.",
	       counts.presence);
	metric_head(b, "skybuild_connect_errors_total", METRIC_COUNTER, "Connects refused, by code.");
	metric_labelled(b, "skybuild_connect_errors_total", "code", SIO_LIT("token_missing"), counts.refused_token_missing);
	metric_labelled(b, "skybuild_connect_errors_total", "code", SIO_LIT("token_invalid"), counts.refused_token_invalid);
	metric_labelled(b, "skybuild_connect_errors_total", "code", SIO_LIT("token_expired"), counts.refused_token_expired);
	metric_labelled(b, "skybuild_connect_errors_total", "code", SIO_LIT("too_many_connections"), counts.refused_too_many);
	metric_labelled(b, "skybuild_connect_errors_total", "code", SIO_LIT("unavailable"), counts.refused_unavailable);
	metric_head(b, "skybuild_events_received_total", METRIC_COUNTER, "Events received from clients, by name.");
	collab_each_event(collab, put_event, b);
	metric_head(b, "skybuild_recoveries_total", METRIC_COUNTER, "Clients that asked for their session back, by result.");
	collab_each_recovery(collab, put_recovery, b);
}

static void put_store(struct buf *b, const struct store *store)
{
	struct store_stats stats;

	store_stats(store, &stats);
	metric(b, "skybuild_store_queued", METRIC_GAUGE, "Requests that wait for the store.", stats.queued);
	metric(b, "skybuild_store_refused_total", METRIC_COUNTER, "Requests refused because the store's queue was full.",
	       stats.refused_total);
	metric(b, "skybuild_store_commits_total", METRIC_COUNTER, "Transactions committed.", stats.commits_total);
	metric(b, "skybuild_store_commit_failures_total", METRIC_COUNTER, "Transactions that could not be committed.",
	       stats.commit_failures_total);
	metric(b, "skybuild_store_swept_total", METRIC_COUNTER, "Rows deleted because they are kept no longer.", stats.swept_total);
	metric_head(b, "skybuild_store_requests_total", METRIC_COUNTER, "Requests executed, by operation.");
	for (unsigned op = 0; op < STORE_OP_N; op++)
		if (stats.op_total[op])
			metric_labelled(b, "skybuild_store_requests_total", "op", sio_str(store_op_name((enum store_op)op)),
					stats.op_total[op]);
	metric_head(b, "skybuild_store_seconds_total", METRIC_COUNTER, "Time spent in the database, by operation.");
	for (unsigned op = 0; op < STORE_OP_N; op++)
		if (stats.op_total[op])
			metric_seconds(b, "skybuild_store_seconds_total", "op", sio_str(store_op_name((enum store_op)op)),
				       stats.op_us_total[op]);
}

static void put_api(struct buf *b, const struct api *api)
{
	char label[4] = "nxx";

	metric_head(b, "skybuild_api_answers_total", METRIC_COUNTER, "Answers of the API, by hundreds of the status.");
	for (unsigned i = 2; i < sizeof(api->answers_total) / sizeof(api->answers_total[0]); i++) {
		label[0] = (char)('0' + i);
		metric_labelled(b, "skybuild_api_answers_total", "status", sio_str(label), api->answers_total[i]);
	}
	metric(b, "skybuild_login_failures_total", METRIC_COUNTER, "Logins with a wrong name or password.",
	       api->login_failures_total);
	metric_head(b, "skybuild_build_info", METRIC_GAUGE, "Version of the program; always 1.");
	metric_labelled(b, "skybuild_build_info", "version", sio_str(api->options.version), 1);
}

static void put_redis(struct buf *b, const struct api *api, const struct sio_stats *server)
{
	struct sio_redis_stats s = { .is_up = false };

	if (api->options.redis)
		sio_redis_stats(api->options.redis, &s);
	metric(b, "skybuild_redis_up", METRIC_GAUGE, "1 when Redis is in use and answers.", s.is_up);
	metric(b, "skybuild_nodes", METRIC_GAUGE, "Servers of the cluster known now, this one included.",
	       sio_server_nodes_n(api->options.server));
	metric_head(b, "skybuild_redis_messages_total", METRIC_COUNTER, "Messages to and from other servers.");
	metric_labelled(b, "skybuild_redis_messages_total", "direction", SIO_LIT("out"), s.published_total);
	metric_labelled(b, "skybuild_redis_messages_total", "direction", SIO_LIT("in"), s.received_total);
	metric_labelled(b, "skybuild_redis_messages_total", "direction", SIO_LIT("neighbours"), s.neighbours_total);
	metric_labelled(b, "skybuild_redis_messages_total", "direction", SIO_LIT("to_neighbours"), s.neighbours_told_total);
	metric_head(b, "skybuild_redis_dropped_total", METRIC_COUNTER, "Messages that were not taken, by why.");
	metric_labelled(b, "skybuild_redis_dropped_total", "why", SIO_LIT("forged"), s.forged_total);
	metric_labelled(b, "skybuild_redis_dropped_total", "why", SIO_LIT("repeated"), s.repeated_total);
	metric_labelled(b, "skybuild_redis_dropped_total", "why", SIO_LIT("malformed"), server->adapter_refused_total);
	metric_labelled(b, "skybuild_redis_dropped_total", "why", SIO_LIT("neighbour_malformed"), s.neighbours_refused_total);
	metric_labelled(b, "skybuild_redis_dropped_total", "why", SIO_LIT("neighbour_control"), s.neighbours_denied_total);
	metric_labelled(b, "skybuild_redis_dropped_total", "why", SIO_LIT("neighbour_untold"), s.neighbours_untold_total);
	metric_labelled(b, "skybuild_redis_dropped_total", "why", SIO_LIT("full"), s.full_total);
	metric_labelled(b, "skybuild_redis_dropped_total", "why", SIO_LIT("expired"), s.expired_total);
	metric(b, "skybuild_redis_outbox_messages", METRIC_GAUGE, "Messages that Redis has not taken yet.", s.outbox_messages);
	metric(b, "skybuild_redis_outbox_bytes", METRIC_GAUGE, "Their bytes.", s.outbox_bytes);
	metric(b, "skybuild_redis_connects_total", METRIC_COUNTER, "Connections to Redis made, two each time.", s.connects_total);
	metric(b, "skybuild_redis_failures_total", METRIC_COUNTER, "Connections to Redis lost, or not made.", s.failures_total);
	metric(b, "skybuild_redis_deaf_total", METRIC_COUNTER, "Connections made anew because nothing was heard.", s.deaf_total);
}

void measure_put(struct buf *b, const struct api *api)
{
	struct sio_stats stats;

	sio_server_stats(api->options.server, &stats);
	put_collab(b, api->options.collab);
	put_server(b, &stats);
	put_store(b, api->options.store);
	put_api(b, api);
	put_redis(b, api, &stats);
}

/* Of the process, as metric_process: its workers have one issuer. */
static void put_keys(struct buf *b, const struct api *api)
{
	struct issuer_stats stats;

	if (!api->options.key_issuer)
		return;
	issuer_stats(api->options.key_issuer, &stats);
	metric(b, "skybuild_jwks_keys", METRIC_GAUGE, "Keys of JWT_JWKS_URL that are used; 0: there were none yet.", stats.keys);
	metric(b, "skybuild_jwks_age_seconds", METRIC_GAUGE, "Time since they were fetched last.", stats.age_ms / 1000);
	metric_head(b, "skybuild_jwks_fetches_total", METRIC_COUNTER, "Fetches of JWT_JWKS_URL, by result.");
	for (unsigned i = 0; i < ISSUER_RESULT_N; i++)
		metric_labelled(b, "skybuild_jwks_fetches_total", "result", sio_str(issuer_result_name((enum issuer_result)i)), stats.fetches[i]);
}

void measure_answer(struct call *call, struct buf *b)
{
	put_keys(b, call->api);
	metric_process(b);
	if (b->failed)
		respond_later(call, 503, "out_of_memory", 1, "out of memory");
	else
		respond_text(call, 200, METRICS_CONTENT_TYPE, buf_peek(b));
	buf_fini(b);
}

void measure(struct call *call)
{
	struct buf b = { 0 };

	if (roll_call(call))
		return;
	measure_put(&b, call->api);
	measure_answer(call, &b);
}
