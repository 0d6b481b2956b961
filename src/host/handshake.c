/* handshake.c -- the WebSocket handshake of a request (RFC 6455 4.2), whoever asked for it:
 * a session of Engine.IO or an endpoint of the application.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <strings.h>

#include "codec/ws_deflate.h"
#include "host/host.h"

bool handshake_is_websocket(const struct http1_request *req)
{
	sio_slice upgrade = http1_header(req, "upgrade");

	return req->is_upgrade && upgrade.n == 9 && strncasecmp(upgrade.p, "websocket", 9) == 0;
}

static unsigned count_header(const struct http1_request *req, const char *name)
{
	unsigned n = 0;

	for (size_t i = 0; i < req->headers_n; i++)
		n += sio_slice_eq(req->headers[i].name, sio_str(name));
	return n;
}

bool handshake_check(const struct http1_request *req, char accept[29], struct handshake_fault *fault)
{
	*fault = (struct handshake_fault){ .status = 400 };
	if (!sio_slice_eq(http1_header(req, "sec-websocket-version"), SIO_LIT("13"))) {
		fault->status = 426;
		fault->headers = SIO_LIT("Sec-WebSocket-Version: 13\r\n");
		fault->message = SIO_LIT("This server speaks WebSocket version 13");
	} else if (req->has_body) {
		fault->message = SIO_LIT("A WebSocket handshake has no body");
	} else if (count_header(req, "sec-websocket-key") != 1 ||
		   !ws_accept(http1_header(req, "sec-websocket-key"), accept)) {
		fault->message = SIO_LIT("Bad Sec-WebSocket-Key");
	}
	return fault->message.n == 0;
}

unsigned handshake_deflate(const struct http1_request *req, struct buf *headers)
{
	struct ws_deflate terms;
	char answer[WS_DEFLATE_ANSWER_MAX];

	for (size_t i = 0; i < req->headers_n; i++) {
		if (!sio_slice_eq(req->headers[i].name, SIO_LIT("sec-websocket-extensions")) ||
		    !ws_deflate_take(req->headers[i].value, &terms))
			continue;
		ws_deflate_answer(&terms, answer);
		buf_str(headers, "Sec-WebSocket-Extensions: ");
		buf_str(headers, answer);
		buf_str(headers, "\r\n");
		return terms.window_bits;
	}
	return 0;
}
