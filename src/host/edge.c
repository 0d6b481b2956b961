/* edge.c -- what stands between the server and its clients: TLS and trusted proxies.
 *
 * Knows the options for both and what the log says of them; how TLS is spoken is net's
 * business, what a proxy's headers mean that of proxy.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "host/host.h"

/* ---- TLS ------------------------------------------------------------------------- */

/* Read the files, at the start or again; the log tells. */
static int read_tls(struct sio_server *server)
{
	struct net_tls_note note;
	int err = net_tls(server->net, server->tls_cert, server->tls_key, &note);

	host_log(server, err < 0 ? SIO_LOG_ERROR : note.is_warning ? SIO_LOG_WARNING : SIO_LOG_INFO, "%s", note.text);
	return err;
}

int edge_tls(struct sio_server *server, const struct sio_server_options *o)
{
	if (!o->tls_cert && !o->tls_key)
		return SIO_OK;
	if (!o->tls_cert || !o->tls_key) {
		host_log(server, SIO_LOG_ERROR, "%s=%.250s cannot be used: %s is not set; both are needed",
			 o->tls_cert ? "tls_cert" : "tls_key", o->tls_cert ? o->tls_cert : o->tls_key,
			 o->tls_cert ? "tls_key" : "tls_cert");
		return SIO_ERR_INVAL;
	}
	server->tls_cert = strdup(o->tls_cert);
	server->tls_key = strdup(o->tls_key);
	return server->tls_cert && server->tls_key ? read_tls(server) : SIO_ERR_NOMEM;
}

int sio_server_tls_reload(struct sio_server *server)
{
	SERVER_CHECK(server);
	return server->tls_cert ? read_tls(server) : SIO_ERR_NOENT;
}

/* ---- proxies --------------------------------------------------------------------- */

int edge_proxies(struct sio_server *server, const struct sio_server_options *o)
{
	const char *bad;
	int err = proxy_list_init(&server->proxies, o->trusted_proxies, &bad);

	if (err == SIO_ERR_INVAL)
		host_log(server, SIO_LOG_ERROR,
			 "trusted_proxies=%.250s is not accepted; accepted: addresses and networks such as 10.0.0.0/8 or ::1", bad);
	return err;
}

void edge_view(const struct sio_server *server, const struct net_conn *c, const struct http1_request *req,
	       struct proxy_view *view)
{
	if (net_far_of(c)) { /* whoever carries it has looked */
		carried_view(net_far_of(c), view);
		return;
	}
	net_address(c, view->address);
	view->is_secure = net_is_secure(c);
	view->host = http1_header(req, "host");
	proxy_look(&server->proxies, req, view);
}
