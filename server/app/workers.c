/* workers.c -- several event loops in one process: the others beside the first worker.
 *
 * Each is a complete server with a thread of its own.  They are made on the main thread, one
 * after the other, before any thread runs; so what is wrong is told as it is with one.  All
 * that is said to a running one is posted to its loop.  The first worker's loop has a handle
 * that is closed when the last of the others has ended: until then signals are heard.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sio/work.h>

#include "app/command.h"
#include "app/service.h"
#include "base/log.h"

struct worker {
	struct service service;
	struct workers *all;
	pthread_t thread;
	bool is_running;
	_Atomic uint32_t drain_ms;
};

struct workers {
	struct sio_bus *bus;         /* NULL: Redis joins them */
	struct api_workers *roll;    /* of the API: whom GET /metrics asks */
	uv_async_t ended;            /* on the first one's loop */
	bool has_ended;
	_Atomic unsigned running_n;
	unsigned n;                  /* without the first */
	struct worker others[];
};

/* ---- making --------------------------------------------------------------------- */

/* Does another program listen there?  SO_REUSEPORT would let us share it unawares. */
static int check_port(const struct config *c)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_PASSIVE }, *ai;
	const char *host = strcmp(c->host, "localhost") == 0 ? "127.0.0.1" : c->host;
	int one = 1, fd, err = 0;
	char service[8];

	snprintf(service, sizeof(service), "%u", c->port);
	if (c->port == 0 || getaddrinfo(host, service, &hints, &ai) != 0)
		return EXIT_DONE; /* whoever listens will say so */
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, 1) < 0)
			err = errno;
		close(fd);
	}
	freeaddrinfo(ai);
	return err == EADDRINUSE ? command_fail("cannot listen on HOST=%s PORT=%u: %s; PORT=0 picks a free port", c->host, c->port,
						strerror(err)) :
				   EXIT_DONE;
}

int workers_new(struct service *first)
{
	unsigned n = first->config.workers - 1;
	struct workers *w;
	int code;

	if (n == 0)
		return EXIT_DONE;
	if ((code = check_port(&first->config)))
		return code;
	w = first->workers = calloc(1, sizeof(*w) + n * sizeof(w->others[0]));
	if (w && !first->config.redis_enabled)
		w->bus = sio_bus_memory_new();
	if (!w || !(w->roll = api_workers_new(n + 1)) || (!first->config.redis_enabled && !w->bus))
		return command_fail("WORKERS=%u: out of memory", n + 1); /* workers_forget frees what there is */
	w->n = n;
	for (unsigned i = 0; i < n; i++)
		w->others[i].all = w;
	return EXIT_DONE;
}

int workers_join(struct service *s)
{
	int err = s->workers && s->workers->bus ? sio_bus_memory_join(s->workers->bus, s->server) : SIO_OK;

	return err ? command_fail("the workers cannot be joined: %s", sio_strerror(err)) : EXIT_DONE;
}

struct api_workers *workers_roll(const struct service *s)
{
	return s->workers ? s->workers->roll : NULL;
}

/* What is read from the environment is the same for all; the first one owns it. */
static int make_one(struct service *s, const struct service *first)
{
	char error[CONFIG_ERROR_MAX];

	s->config = first->config;
	s->assets = first->assets;
	s->origins = first->origins;
	s->proxies = first->proxies;
	s->workers = first->workers;
	s->issuer = first->issuer;
	memcpy(s->algorithm, first->algorithm, sizeof(s->algorithm));
	if (service_make_verifier(s, error))
		return command_fail("%s", error);
	return service_make(s);
}

int workers_make(struct service *first)
{
	struct workers *w = first->workers;
	int code = EXIT_DONE;

	for (unsigned i = 0; w && i < w->n && !code; i++)
		code = make_one(&w->others[i].service, first);
	/* Where the first one has waited in vain, nobody waits again. */
	for (unsigned i = 0; w && i < w->n && !code && first->redis; i++)
		if (service_has_redis(first))
			code = service_await_redis(&w->others[i].service);
		else
			w->others[i].service.is_joining = false;
	return code;
}

/* ---- running -------------------------------------------------------------------- */

static void *run(void *arg)
{
	struct worker *worker = arg;
	struct workers *w = worker->all;

	uv_run(&worker->service.loop, UV_RUN_DEFAULT);
	if (atomic_fetch_sub(&w->running_n, 1) == 1)
		uv_async_send(&w->ended);
	return NULL;
}

static void on_ended(uv_async_t *async)
{
	uv_close((uv_handle_t *)async, NULL);
}

static int listen_on(struct service *s, uint16_t port, bool has_local_v6)
{
	int err = sio_server_listen(s->server, s->config.host, port);

	if (err)
		return command_fail("a worker cannot listen on HOST=%s PORT=%u: %s", s->config.host, port,
				    err == SIO_ERR_SYSTEM ? strerror(errno) : sio_strerror(err));
	if (has_local_v6)
		(void)!sio_server_listen(s->server, "::1", port);
	return EXIT_DONE;
}

static int start_thread(struct worker *worker)
{
	sigset_t all, before;
	int err;

	atomic_fetch_add(&worker->all->running_n, 1);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the first one's */
	err = pthread_create(&worker->thread, NULL, run, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	worker->is_running = err == 0;
	if (err)
		atomic_fetch_sub(&worker->all->running_n, 1);
	return err ? command_fail("a worker's thread cannot be started: %s", strerror(err)) : EXIT_DONE;
}

int workers_start(struct service *first, uint16_t port, bool has_local_v6)
{
	struct workers *w = first->workers;
	int code = EXIT_DONE;

	if (!w)
		return EXIT_DONE;
	for (unsigned i = 0; i < w->n && !code; i++)
		code = listen_on(&w->others[i].service, port, has_local_v6);
	if (code)
		return code;
	if (uv_async_init(&first->loop, &w->ended, on_ended))
		return command_fail("WORKERS=%u: out of descriptors", w->n + 1);
	w->has_ended = true;
	for (unsigned i = 0; i < w->n && !code; i++)
		code = start_thread(&w->others[i]);
	return code;
}

/* ---- ending --------------------------------------------------------------------- */

static void on_drain(void *arg)
{
	struct worker *worker = arg;

	service_drain(&worker->service, atomic_load(&worker->drain_ms));
}

void workers_drain(struct service *first, uint32_t ms)
{
	struct workers *w = first->workers;

	for (unsigned i = 0; w && i < w->n; i++) {
		atomic_store(&w->others[i].drain_ms, ms);
		/* CLOSED: it has ended already. */
		if (w->others[i].is_running)
			(void)!sio_server_post(w->others[i].service.server, on_drain, &w->others[i]);
	}
}

static void on_hangup(void *arg)
{
	service_hangup(arg);
}

void workers_hangup(struct service *first)
{
	struct workers *w = first->workers;

	for (unsigned i = 0; w && i < w->n; i++)
		if (w->others[i].is_running)
			(void)!sio_server_post(w->others[i].service.server, on_hangup, &w->others[i].service);
}

void workers_free(struct service *first)
{
	struct workers *w = first->workers;

	if (!w)
		return;
	workers_drain(first, 0); /* those that run still: the start has failed */
	for (unsigned i = 0; i < w->n; i++)
		if (w->others[i].is_running)
			pthread_join(w->others[i].thread, NULL);
	for (unsigned i = 0; i < w->n; i++)
		service_free_parts(&w->others[i].service);
	if (w->has_ended && !uv_is_closing((uv_handle_t *)&w->ended))
		uv_close((uv_handle_t *)&w->ended, NULL);
}

void workers_forget(struct service *first)
{
	struct workers *w = first->workers;

	if (!w)
		return;
	sio_bus_memory_free(w->bus);
	api_workers_free(w->roll);
	free(w);
	first->workers = NULL;
}
