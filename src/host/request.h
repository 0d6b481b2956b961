/* request.h -- what struct sio_request is: a request as the application sees it.
 *
 * A route's request lives on the heap until it is answered (route.c).  Hooks and
 * sessions hand out views: a view has no more than the request that its connection
 * reads or answers right now, and is good for as long.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef HOST_REQUEST_H
#define HOST_REQUEST_H

#include <sio/http.h>

#include "host/proxy.h"
#include "net/net.h"

enum { ROUTE_SEGMENTS = 12 };

struct route;

struct param {
	sio_slice name;
	sio_slice value;      /* decoded, in sio_request.decoded */
};

struct sio_request {
	struct sio_server *server;
	struct net_conn *conn;         /* NULL: the client has gone */
	struct http1_request *http;
	struct http1_reader *reader;   /* ours once the connection has gone */
	const struct route *route;     /* NULL: a view */
	struct param params[ROUTE_SEGMENTS];
	unsigned params_n;
	struct buf decoded;
	struct buf headers;
	struct proxy_view view;        /* who asks */
	bool has_view;                 /* it was asked for */
};

/* A view of http, which c has just read. */
void request_view(struct sio_request *view, struct sio_server *server, struct net_conn *c,
		  const struct http1_request *http);

/* Look up who asks while it is to be had. */
void request_keep_address(struct sio_request *req);

/* The client goes: keep what may still be looked at.  The reader is the caller's. */
void request_detach(struct sio_request *req);

#endif
