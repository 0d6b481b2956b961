/* request.c -- views of requests, for hooks and sessions.  See request.h; how the
 * application reads a request beyond what stands here is in route.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "host/host.h"

void request_view(struct sio_request *view, struct sio_server *server, struct net_conn *c,
		  const struct http1_request *http)
{
	*view = (struct sio_request){ .server = server, .conn = c, .http = (struct http1_request *)(uintptr_t)http };
}

void request_keep_address(struct sio_request *req)
{
	if (req->has_view || !req->conn)
		return;
	edge_view(req->server, req->conn, req->http, &req->view);
	req->has_view = true;
}

void request_detach(struct sio_request *req)
{
	req->reader = net_take_reader(req->conn);
	req->conn = NULL;
}

sio_slice sio_request_url(const struct sio_request *req)
{
	return req->http->target;
}

/* Most hooks do not ask, so it is looked up for those that do. */
sio_slice sio_request_address(const struct sio_request *req)
{
	request_keep_address((struct sio_request *)(uintptr_t)req);
	return sio_str(req->view.address);
}

bool sio_request_is_secure(const struct sio_request *req)
{
	request_keep_address((struct sio_request *)(uintptr_t)req);
	return req->view.is_secure;
}

bool sio_request_header_at(const struct sio_request *req, size_t index, sio_slice *name, sio_slice *value)
{
	if (index >= req->http->headers_n)
		return false;
	*name = req->http->headers[index].name;
	*value = req->http->headers[index].value;
	return true;
}
