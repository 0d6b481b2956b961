/* notifications.c -- /api/notifications: the inbox of the one who asks.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <sio/json.h>

#include "api/body.h"
#include "api/call.h"
#include "api/routes.h"

static void on_list(struct call *call, const struct store_result *result)
{
	struct buf b = { 0 };

	call_put_page(&b, result);
	buf_printf(&b, ",\"unread\":%lld}", (long long)result->unread);
	respond_buf(call, 200, &b);
}

/* ?unread=true|false.  False: it was answered 422. */
static bool take_unread(struct call *call, bool *is_unread)
{
	char text[8];
	long n = sio_request_query_get(call->req, "unread", text, sizeof(text));

	*is_unread = n > 0 && sio_slice_eq(sio_str(text), SIO_LIT("true"));
	if (n == SIO_ERR_NOENT || *is_unread || (n > 0 && sio_slice_eq(sio_str(text), SIO_LIT("false"))))
		return true;
	respond_field(call, "unread", "unread must be true or false");
	return false;
}

void notifications_list(struct call *call)
{
	struct store_ask ask = { .op = STORE_NOTIFY_LIST, .user = sio_str(call->user) };

	if (take_unread(call, &ask.is_unread) && call_page(call, &ask))
		call_store(call, ask, on_list);
}

static void on_read(struct call *call, const struct store_result *result)
{
	respond_json(call, 200, result->json);
}

void notifications_read(struct call *call)
{
	struct store_ask ask = { .op = STORE_NOTIFY_READ, .user = sio_str(call->user) };

	if (call_number(call, "id", &ask.item))
		call_store(call, ask, on_read);
}

/* Without a body all of them; {"up_to": id} spares what came while one was reading. */
void notifications_read_all(struct call *call)
{
	static const struct body_field fields[] = { { "up_to", BODY_ANY, .max = 0 } };
	struct store_ask ask = { .op = STORE_NOTIFY_READ_ALL, .user = sio_str(call->user) };
	struct body_value up_to;

	if (call_body(call).n > 0) {
		if (!body_read(call, fields, 1, &up_to))
			return;
		if (sio_json_int(up_to.raw, &ask.after) || ask.after < 1) {
			respond_field(call, "up_to", "up_to must be the id of a notification");
			return;
		}
	}
	call_store(call, ask, on_read);
}
