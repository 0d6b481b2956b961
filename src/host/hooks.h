/* hooks.h -- the application's hooks on requests to the Engine.IO path
 * (<sio/handshake.h>), and the cookie.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef HOST_HOOKS_H
#define HOST_HOOKS_H

#include <sio/handshake.h>

#include "net/net.h"

struct hooks {
	sio_handshake_fn *handshake, *upgrade;
	sio_headers_fn *initial_headers, *headers;
	sio_connection_error_fn *error;
	void *handshake_arg, *upgrade_arg, *initial_headers_arg, *headers_arg, *error_arg;
	struct buf cookie, cookie_end; /* what stands before and behind a session's id */
};

/* Append the application's headers to an answer of the Engine.IO path. */
void hooks_headers(struct sio_server *server, struct net_conn *c, const struct http1_request *req, bool is_initial,
		   struct buf *out);

/* The request is about to be refused. */
void hooks_refused(struct sio_server *server, struct net_conn *c, const struct http1_request *req, int code,
		   sio_slice message);

/* Is the request a handshake, that is without a session's id? */
bool hooks_is_handshake(const struct http1_request *req);

#endif
