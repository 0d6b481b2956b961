/* service.h -- one worker of "skybuild serve": a loop with a whole server on it.
 *
 * With WORKERS=n there are n, which share the configuration and the port, and nothing else
 * (decision 0031).  The first one has the main thread, the signals, and what all share.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef APP_SERVICE_H
#define APP_SERVICE_H

#include <pthread.h>
#include <uv.h>

#include <sio/adapter.h>
#include <sio/redis.h>
#include <sio/server.h>

#include "api/api.h"
#include "app/assets.h"
#include "app/config.h"
#include "auth/issuer.h"
#include "auth/judge.h"
#include "base/random.h"
#include "collab/collab.h"
#include "store/store.h"

enum { SIGNALS_N = 3, LIST_MAX = 256 };

/* A comma list of the configuration as the list that the server wants. */
struct list {
	char *text;                       /* cut at its commas */
	const char *items[LIST_MAX + 1];  /* NULL-terminated */
};

struct service {
	struct config config;
	struct assets assets;
	uv_loop_t loop;
	bool has_loop;
	uv_signal_t signals[SIGNALS_N];
	unsigned signals_n;     /* handles that are open */
	unsigned signals_seen;  /* SIGTERM and SIGINT received */
	struct list origins, proxies;
	char fault[CONFIG_ERROR_MAX]; /* the last error that the server told while it was made */
	char algorithm[8];      /* that tokens are signed with; "" for none */
	char node[RANDOM_ID_LEN + 1];
	struct sio_server *server;
	struct sio_redis *redis;  /* NULL: not in use */
	bool is_draining;
	bool is_joining;          /* Redis is waited for: what goes wrong is told at the end */
	struct store *store;
	struct token_verifier *verifier;
	struct issuer *issuer;    /* the first one's, of all; NULL: no JWT_JWKS_URL */
	struct judge *judge;
	struct collab *collab;
	struct api *api;
	struct workers *workers;  /* NULL: it is alone */
};

/* ---- serve.c --------------------------------------------------------------------- */

/* Make the parts of s, up to listening; the configuration is there.  An exit code. */
int service_make(struct service *s);
int service_make_verifier(struct service *s, char *error);
int service_await_redis(struct service *s);
bool service_has_redis(const struct service *s); /* it answers */
/* Free them: its loop has ended, or never ran. */
void service_free_parts(struct service *s);
/* End, within ms: on its own thread. */
void service_drain(struct service *s, uint32_t ms);
void service_hangup(struct service *s);

/* ---- workers.c ------------------------------------------------------------------- */

/* The other workers beside first, which is configured and not made yet: on the bus in memory
 * with it, unless Redis joins them.  An exit code. */
int workers_new(struct service *first);
/* Make the server of s a node among the workers. */
int workers_join(struct service *s);
/* first is made: make the others, in its likeness. */
int workers_make(struct service *first);
/* first listens on that port: so do the others, and run.  first's loop does not end before theirs. */
int workers_start(struct service *first, uint16_t port, bool has_local_v6);
/* Each other one drains, on its thread, or reads the certificate again. */
void workers_drain(struct service *first, uint32_t ms);
void workers_hangup(struct service *first);
/* Whom GET /metrics asks; NULL: nobody. */
struct api_workers *workers_roll(const struct service *s);
/* first's loop has ended: wait for the others and free their parts, then, when those of
 * first are freed too, what they shared. */
void workers_free(struct service *first);
void workers_forget(struct service *first);

#endif
