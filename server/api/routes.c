/* routes.c -- the table of routes.h as rows that api.c puts on the server.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "api/routes.h"

#include "api/call.h"

const struct route api_routes[] = {
#define X(verb, path, who, asked, handler, text) \
	{ .method = verb, .pattern = path, .auth = who, .action = asked, .handle = handler, .what = text },
	API_ROUTE_MAP(X)
#undef X
};
const size_t api_routes_n = sizeof(api_routes) / sizeof(api_routes[0]);
