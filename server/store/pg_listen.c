/* pg_listen.c -- LISTEN: hear at once that another process has committed.
 *
 * Only a wake-up: what happened is read from the tables, and without this thread it is
 * found at the next poll.  So a lost connection is no failure; it is made again.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "store/pg.h"

struct pg_listener {
	struct pg_link link; /* for dialling alone */
	char own[RANDOM_ID_LEN + 1];
	void (*fn)(void *arg);
	void *arg;
	int end_fd;
	pthread_t thread;
};

/* Wait for the socket (-1: none) or the end.  false: the end. */
static bool wait_for(struct pg_listener *l, int fd, int ms)
{
	struct pollfd p[] = { { .fd = l->end_fd, .events = POLLIN }, { .fd = fd, .events = POLLIN } };

	poll(p, fd >= 0 ? 2 : 1, ms);
	return p[0].revents == 0;
}

static bool begin(PGconn *conn)
{
	PGresult *result = PQexec(conn, "LISTEN " PG_CHANNEL);
	bool is_good = PQresultStatus(result) == PGRES_COMMAND_OK;

	PQclear(result);
	return is_good;
}

/* Until the connection or the listener ends. */
static bool hear(struct pg_listener *l, PGconn *conn)
{
	while (PQstatus(conn) == CONNECTION_OK) {
		bool is_news = false;
		PGnotify *n;
		if (!wait_for(l, PQsocket(conn), -1))
			return false;
		if (!PQconsumeInput(conn))
			break;
		while ((n = PQnotifies(conn)) != NULL) {
			is_news |= strcmp(n->extra, l->own) != 0;
			PQfreemem(n);
		}
		if (is_news)
			l->fn(l->arg);
	}
	return true;
}

static void *run(void *arg)
{
	struct pg_listener *l = arg;
	bool goes_on = true;

	while (goes_on) {
		PGconn *conn = pg_link_dial(&l->link);
		if (conn && begin(conn))
			goes_on = hear(l, conn);
		PQfinish(conn);
		goes_on = goes_on && wait_for(l, -1, PG_RETRY_MAX_MS / 2);
	}
	return NULL;
}

struct pg_listener *pg_listen(const char *url, const char *own, void (*fn)(void *arg), void *arg)
{
	struct pg_listener *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->fn = fn;
	l->arg = arg;
	memcpy(l->own, own, sizeof(l->own));
	l->end_fd = eventfd(0, EFD_CLOEXEC);
	if (l->end_fd >= 0 && pg_link_init(&l->link, url) == SIO_OK && pthread_create(&l->thread, NULL, run, l) == 0)
		return l;
	if (l->end_fd >= 0)
		close(l->end_fd);
	pg_link_fini(&l->link);
	free(l);
	return NULL;
}

void pg_listen_end(struct pg_listener *l)
{
	uint64_t one = 1;

	if (!l)
		return;
	if (write(l->end_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(l->thread, NULL);
	close(l->end_fd);
	pg_link_fini(&l->link);
	free(l);
}
