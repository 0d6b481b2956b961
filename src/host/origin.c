/* origin.c -- Origin and CORS: which web pages may talk to this server.
 *
 * The server's own origin (https with TLS; behind a trusted proxy what that says) is
 * always let in, listed ones are, everything else is refused; a request without Origin
 * comes from no browser and passes.  Credentials
 * are allowed to listed origins alone, never together with "*".
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <strings.h>

#include "host/host.h"

static bool eq_any_case(sio_slice a, const char *b, size_t n)
{
	return a.n == n && strncasecmp(a.p, b, n) == 0;
}

static bool is_own(const struct sio_server *server, const struct net_conn *c, const struct http1_request *req,
		   sio_slice origin)
{
	struct proxy_view v = { .is_secure = net_is_secure(c), .host = http1_header(req, "host") };
	const char *scheme;
	size_t n;

	if (server->proxies.n > 0) /* else the address, which costs a system call, changes nothing */
		edge_view(server, c, req, &v);
	scheme = v.is_secure ? "https://" : "http://";
	n = strlen(scheme);
	return v.host.n > 0 && origin.n == n + v.host.n && strncasecmp(origin.p, scheme, n) == 0 &&
	       strncasecmp(origin.p + n, v.host.p, v.host.n) == 0;
}

static bool is_listed(const struct sio_server *server, sio_slice origin)
{
	for (char **o = server->origins; o && *o; o++)
		if (eq_any_case(origin, *o, strlen(*o)))
			return true;
	return false;
}

bool origin_is_allowed(const struct sio_server *server, const struct net_conn *c, const struct http1_request *req)
{
	sio_slice origin = http1_header(req, "origin");

	/* Of one that is carried the server has judged that the page has called. */
	return net_far_of(c) || origin.n == 0 || server->allows_any_origin || is_own(server, c, req, origin) || is_listed(server, origin);
}

void origin_headers(const struct sio_server *server, const struct http1_request *req, struct buf *out)
{
	sio_slice origin = http1_header(req, "origin");

	if (origin.n == 0) {
		if (server->origins)
			buf_str(out, "Vary: Origin\r\n");
		return;
	}
	if (is_listed(server, origin)) {
		buf_str(out, "Access-Control-Allow-Origin: ");
		buf_slice(out, origin);
		buf_str(out, "\r\nAccess-Control-Allow-Credentials: true\r\nVary: Origin\r\n");
	} else if (server->allows_any_origin) {
		buf_str(out, "Access-Control-Allow-Origin: *\r\n");
	} else {
		buf_str(out, "Vary: Origin\r\n");
	}
}

bool origin_is_preflight(const struct http1_request *req)
{
	return sio_slice_eq(req->method, SIO_LIT("OPTIONS")) && http1_header(req, "origin").n > 0 &&
	       http1_header(req, "access-control-request-method").n > 0;
}

void origin_preflight_headers(const struct http1_request *req, sio_slice methods, struct buf *out)
{
	sio_slice wanted = http1_header(req, "access-control-request-headers");

	buf_str(out, "Access-Control-Allow-Methods: ");
	buf_slice(out, methods);
	buf_str(out, "\r\nAccess-Control-Max-Age: 600\r\n");
	if (wanted.n > 0) {
		buf_str(out, "Access-Control-Allow-Headers: ");
		buf_slice(out, wanted);
		buf_str(out, "\r\nVary: Access-Control-Request-Headers\r\n");
	}
}

void origin_preflight(struct sio_server *server, struct net_conn *c, const struct http1_request *req,
		      sio_slice methods)
{
	struct buf h = { 0 };

	origin_headers(server, req, &h);
	origin_preflight_headers(req, methods, &h);
	net_reply(c, 204, NULL, buf_peek(&h), sio_bytes("", 0));
	buf_fini(&h);
}
