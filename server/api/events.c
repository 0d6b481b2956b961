/* events.c -- /api/projects/:project/events: what a client that was away has missed.
 *
 * The numbers of a project's events are dense.  What is kept is one piece, oldest_seq to
 * last_seq; who asks for what lies before it, or behind the end (of a database that was
 * put back from a copy), cannot catch up event by event and is told to load anew.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <sio/json.h>

#include "api/call.h"
#include "api/routes.h"

/* ?after=, 0 when it is not there.  False: it was answered 422. */
static bool take_after(struct call *call, int64_t *after)
{
	char number[24];
	long n = sio_request_query_get(call->req, "after", number, sizeof(number));

	*after = 0;
	if (n == SIO_ERR_NOENT || (n > 0 && sio_json_int(sio_str(number), after) == SIO_OK && *after >= 0))
		return true;
	respond_field(call, "after", "after must be the number of the last event that is known, or 0");
	return false;
}

/* The number of the page's last event; after when it is empty. */
static int64_t last_of_page(const struct store_result *result, int64_t after)
{
	sio_slice rows = sio_json_inside(result->json), row, last = sio_bytes("", 0);
	struct sio_json_field seq = { .key = "seq" };
	int64_t number = after;

	while (sio_json_next(&rows, &row) == SIO_OK)
		last = row;
	if (last.n > 0 && sio_json_pick(last, &seq, 1) == SIO_OK)
		(void)sio_json_int(seq.value, &number);
	return number;
}

static void on_listed(struct call *call, const struct store_result *result)
{
	struct buf b = { 0 };
	int64_t after, last;

	if (!take_after(call, &after)) /* it was good when the call began */
		return;
	last = last_of_page(result, after);
	buf_str(&b, "{\"items\":");
	buf_slice(&b, result->json);
	buf_printf(&b, ",\"oldest_seq\":%lld,\"last_seq\":%lld,\"next_after\":", (long long)result->oldest, (long long)result->seq);
	if (last < result->seq)
		buf_printf(&b, "%lld", (long long)last);
	else
		buf_str(&b, "null");
	buf_printf(&b, ",\"must_reload\":%s}", after + 1 < result->oldest || after > result->seq ? "true" : "false");
	respond_buf(call, 200, &b);
}

void events_list(struct call *call)
{
	struct store_ask ask = { .op = STORE_EVENT_LIST };

	if (take_after(call, &ask.after) && call_page(call, &ask))
		call_store(call, ask, on_listed);
}
