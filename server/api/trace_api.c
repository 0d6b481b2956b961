/* trace_api.c -- /api/traces: a trace is begun, fetched and ended by who has the service key.
 *
 * A worker looks at its packets (<sio/trace.h>) as long as there is a trace, whoever began
 * it: the one that was asked tells the others, and each looks once a second whether there is
 * one still.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stddef.h>
#include <time.h>

#include "api/body.h"
#include "api/measure.h"
#include "api/routes.h"
#include "api/trace.h"
#include "base/log.h"

enum { LOOK_MS = 1000 };

static int64_t wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void on_packet(const struct sio_trace_packet *packet, void *arg)
{
	struct api *api = arg;

	trace_note(api->traces, packet, collab_user_of(packet->socket), wall_ms());
}

void trace_stop(struct api *api)
{
	api->is_traced = false;
	sio_timer_stop(&api->trace_timer);
	(void)sio_server_trace(api->options.server, NULL, NULL);
}

static void on_look(struct sio_timer *timer)
{
	struct api *api = (struct api *)((char *)timer - offsetof(struct api, trace_timer));

	if (trace_sweep(api->traces, sio_server_now_ms(api->options.server)))
		sio_timer_start(api->options.server, &api->trace_timer, LOOK_MS, on_look);
	else
		trace_stop(api);
}

/* On the loop of each worker. */
static void look(void *arg)
{
	struct api *api = arg;

	if (api->is_traced) /* its timer goes on: begun anew each time it might never end */
		return;
	api->is_traced = sio_server_trace(api->options.server, on_packet, api) == SIO_OK;
	if (api->is_traced)
		sio_timer_start(api->options.server, &api->trace_timer, LOOK_MS, on_look);
}

/* ---- calls ------------------------------------------------------------------------------ */

static void respond_unknown(struct call *call)
{
	respond_problem(call, 404, "not_found",
			"there is no such trace here: it was not fetched for %d s, or another server has it", TRACE_LEASE_MS / 1000);
}

static void begin(struct call *call, enum trace_kind kind, sio_slice filter)
{
	sio_slice from = sio_request_address(call->req);
	char id[RANDOM_ID_LEN + 1];
	struct buf b = { 0 };

	if (trace_add(call->api->traces, kind, filter, sio_server_now_ms(call->api->options.server), id) < 0) {
		respond_later(call, 503, "too_many_traces", TRACE_LEASE_MS / 1000, "this server has as many traces as it may have");
		return;
	}
	log_info("A trace of %.*s was begun from %.*s", (int)filter.n, filter.p, (int)from.n, from.p);
	roll_tell(call->api, look);
	buf_printf(&b, "{\"id\":\"%s\",\"lease_seconds\":%d,\"node\":", id, TRACE_LEASE_MS / 1000);
	buf_json(&b, sio_str(call->api->options.node));
	buf_byte(&b, '}');
	respond_buf(call, 201, &b);
}

void trace_begin(struct call *call)
{
	static const struct { const char *by, *room; } kinds[] = {
		[TRACE_USER] = { "user", "user:" }, [TRACE_PROJECT] = { "project", "project:" }, [TRACE_SID] = { "sid", "" },
	};
	static const struct body_field fields[] = {
		{ "by", BODY_TEXT, false, sizeof("project") - 1 },
		{ "id", BODY_TEXT, false, STORE_USER_MAX },
	};
	struct body_value v[2];
	struct buf filter = { 0 };
	int kind = 0;

	if (!body_read(call, fields, 2, v))
		return;
	while (kind <= TRACE_SID && !sio_slice_eq(v[0].text, sio_str(kinds[kind].by)))
		kind++;
	if (kind > TRACE_SID) {
		respond_field(call, "by", "by must be user, project or sid");
		return;
	}
	buf_str(&filter, kinds[kind].room);
	buf_slice(&filter, v[1].text);
	if (filter.failed)
		respond_later(call, 503, "out_of_memory", 1, "out of memory");
	else
		begin(call, (enum trace_kind)kind, buf_peek(&filter));
	buf_fini(&filter);
}

void trace_read(struct call *call)
{
	struct buf b = { 0 };

	buf_byte(&b, '{');
	if (trace_fetch(call->api->traces, call_param(call, "id"), sio_server_now_ms(call->api->options.server), &b)) {
		buf_byte(&b, '}');
		respond_buf(call, 200, &b);
		return;
	}
	buf_fini(&b);
	respond_unknown(call);
}

void trace_end(struct call *call)
{
	if (trace_remove(call->api->traces, call_param(call, "id")))
		respond_json(call, 200, SIO_LIT("{\"ended\":true}"));
	else
		respond_unknown(call);
}
