/* hub.c -- making and ending a hub.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "hub/cluster.h"

int hub_init(struct hub *hub, struct sio_server *server, struct eio_engine *engine, const struct hub_limits *limits)
{
	*hub = (struct hub){ .server = server, .engine = engine, .limits = *limits };
	return nsp_open_main(hub);
}

void hub_close(struct hub *hub)
{
	cluster_close(hub);
	polls_end(hub);
	fetches_end(hub);
}

void hub_fini(struct hub *hub)
{
	hub_reap(hub);
	hub_close(hub);
	recover_fini(hub);
	cluster_fini(hub);
	nsp_free_all(hub);
	buf_fini(&hub->scratch);
	buf_fini(&hub->stamped);
}
