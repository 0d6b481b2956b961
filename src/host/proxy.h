/* proxy.h -- trusted proxies: who the client is when a proxy speaks for it.
 *
 * A proxy appends to X-Forwarded-For the address that it was called from, so the list is
 * read from its right end: as long as a hop is a trusted proxy, the next one is believed.
 * The first that is not is the client.  Whatever stands left of it, the client may have
 * written itself.  X-Forwarded-Proto and X-Forwarded-Host count in the same way: the
 * entry that belongs to the outermost trusted proxy, or the only one.
 *
 * Pure: a peer's address as text and a request go in.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef HOST_PROXY_H
#define HOST_PROXY_H

#include <stdbool.h>
#include <stddef.h>

#include "codec/http1.h"

enum {
	PROXY_HOPS_MAX = 16,     /* proxies between us and a client; what stands further left is not read */
	PROXY_ADDRESS_CAP = 64,
};

struct proxy_net;
struct proxy_list {
	struct proxy_net *nets;  /* on the heap */
	size_t n;
};

/* Read addresses and networks ("10.0.0.0/8", "::1", "::ffff:10.0.0.0/104"), a
 * NULL-terminated list or NULL.  Bits behind the prefix are ignored; an IPv4-mapped IPv6
 * network is the IPv4 one.  Returns 0, SIO_ERR_INVAL with *bad the entry that is none, or
 * SIO_ERR_NOMEM.  proxy_list_fini afterwards in any case. */
SIO_MUST_CHECK int proxy_list_init(struct proxy_list *list, const char *const *texts, const char **bad);
void proxy_list_fini(struct proxy_list *list);

/* What is known of the client of a request. */
struct proxy_view {
	char address[PROXY_ADDRESS_CAP];
	bool is_secure;          /* it speaks https or wss */
	sio_slice host;          /* the host it asked for, with its port if any; borrowed from the request */
};

/* *view holds what the connection itself says: the peer's address, whether it is TLS, and
 * the Host header.  Changed where the peer is a trusted proxy and says otherwise. */
void proxy_look(const struct proxy_list *list, const struct http1_request *req, struct proxy_view *view);

#endif
