/* options.c -- struct sio_server_options: defaults, what is refused, and the strings that are kept.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include "engine/headers.h"
#include "host/host.h"

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

void options_defaults(struct sio_server_options *o)
{
	o->ping_interval_ms = or_default(o->ping_interval_ms, 25000);
	o->ping_timeout_ms = or_default(o->ping_timeout_ms, 20000);
	o->connect_timeout_ms = or_default(o->connect_timeout_ms, 45000);
	o->upgrade_timeout_ms = or_default(o->upgrade_timeout_ms, 10000);
	o->handshake_timeout_ms = or_default(o->handshake_timeout_ms, 30000);
	o->max_payload_bytes = o->max_payload_bytes ? o->max_payload_bytes : 1000000;
	o->max_body_bytes = o->max_body_bytes ? o->max_body_bytes : 1000000;
	o->send_queue_bytes = o->send_queue_bytes ? o->send_queue_bytes : 1048576;
	o->deflate_threshold_bytes = or_default(o->deflate_threshold_bytes, 1024);
	o->http_compression_threshold_bytes = or_default(o->http_compression_threshold_bytes, 1024);
	o->events_burst = or_default(o->events_burst, o->events_per_second * 2);
	o->head_timeout_ms = or_default(o->head_timeout_ms, 10000);
	o->body_timeout_ms = or_default(o->body_timeout_ms, 30000);
	o->idle_timeout_ms = or_default(o->idle_timeout_ms, 60000);
	o->write_timeout_ms = or_default(o->write_timeout_ms, 30000);
	if (!o->path)
		o->path = o->engine_only ? "/engine.io" : "/socket.io";
	if (!o->transports)
		o->transports = SIO_TRANSPORT_POLLING | SIO_TRANSPORT_WEBSOCKET;
}

/* Could a request's path be that? */
static bool is_path(const char *path)
{
	for (; *path; path++)
		if (*path <= ' ' || *path > '~' || *path == '?' || *path == '#')
			return false;
	return true;
}

int options_check(const struct sio_server *server, const struct sio_server_options *o)
{
	const char *wrong = NULL;

	if (o->path[0] && (o->path[0] != '/' || !is_path(o->path)))
		wrong = "path must be empty, or start with / and be printable ASCII without ? and #";
	else if (o->transports & ~(unsigned)(SIO_TRANSPORT_POLLING | SIO_TRANSPORT_WEBSOCKET))
		wrong = "transports knows SIO_TRANSPORT_POLLING and SIO_TRANSPORT_WEBSOCKET";
	else if (o->cookie && (wrong = headers_cookie_fault(o->cookie)))
		;
	else if (o->max_payload_bytes > 256u << 20)
		wrong = "max_payload_bytes must be at most 268435456";
	else if (o->send_queue_bytes > 256u << 20)
		wrong = "send_queue_bytes must be at most 268435456";
	else if (o->events_per_second > 1000000 || o->events_burst > 1000000)
		wrong = "events_per_second and events_burst must be at most 1000000";
	if (!wrong)
		return SIO_OK;
	host_log(server, SIO_LOG_ERROR, "Option out of range: %s", wrong);
	return SIO_ERR_INVAL;
}

int options_keep(struct sio_server *server, const struct sio_server_options *o)
{
	size_t n = 0;

	server->path = strdup(o->path);
	if (!server->path)
		return SIO_ERR_NOMEM;
	if (strlen(server->path) > 1 && server->path[strlen(server->path) - 1] == '/')
		server->path[strlen(server->path) - 1] = '\0';
	if (o->cookie)
		headers_cookie(o->cookie, &server->hooks.cookie, &server->hooks.cookie_end);
	if (server->hooks.cookie.failed || server->hooks.cookie_end.failed)
		return SIO_ERR_NOMEM;
	while (o->origins && o->origins[n])
		n++;
	if (n == 0)
		return SIO_OK;
	server->origins = calloc(n + 1, sizeof(char *));
	if (!server->origins)
		return SIO_ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		server->allows_any_origin |= strcmp(o->origins[i], "*") == 0;
		if (!(server->origins[i] = strdup(o->origins[i])))
			return SIO_ERR_NOMEM;
	}
	return SIO_OK;
}
