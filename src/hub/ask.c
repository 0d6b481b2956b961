/* ask.c -- events that want an acknowledgement, and who waits for it.
 *
 * A question lives until its answer, its time-out or the end of its socket, whatever
 * comes first; each of them goes through ask_settle, which calls who waits for it once.
 * Ids count up in a namespace (section 6 of the Socket.IO reference), so a late answer
 * finds nothing.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include "hub/hub.h"

struct ask {
	struct sio_timer timer;
	struct ask *next, **prev;      /* of the same socket */
	struct sio_socket *socket;
	uint64_t id;
	sio_answer_fn *fn;
	void *arg;
};

struct asked {
	struct ask *first;
	unsigned n;
};

static void ask_settle(struct ask *ask, int status, const struct sio_args *args)
{
	struct sio_socket *s = ask->socket;

	wheel_del(&ask->timer);
	*ask->prev = ask->next;
	if (ask->next)
		ask->next->prev = ask->prev;
	if (--s->asked->n == 0) {
		free(s->asked);
		s->asked = NULL;
	}
	ask->fn(s, status, args, ask->arg);
	free(ask);
	sio_socket_unref(s);
}

static void on_timeout(struct sio_timer *timer)
{
	static const struct sio_args none = { 0 };

	ask_settle(MAP_OWNER(timer, struct ask, timer), SIO_ERR_TIMEOUT, &none);
}

void ask_answered(struct sio_socket *s, const struct packet *p, const sio_slice *attachments)
{
	struct sio_args args = { p->data, attachments, p->attachments_n };
	struct ask *ask = s->asked ? s->asked->first : NULL;

	while (ask && ask->id != p->id)
		ask = ask->next;
	if (ask)
		ask_settle(ask, SIO_OK, &args);
}

void ask_end(struct sio_socket *s)
{
	static const struct sio_args none = { 0 };

	while (s->asked)
		ask_settle(s->asked->first, SIO_ERR_CLOSED, &none);
}

int ask_new(struct sio_socket *s, uint64_t id, uint32_t timeout_ms, sio_answer_fn *fn, void *arg, struct ask **out)
{
	struct eio_engine *e = s->nsp->hub->engine;
	struct ask *ask;

	if (s->asked && s->asked->n >= SIO_ASKS_MAX)
		return SIO_ERR_LIMIT;
	ask = calloc(1, sizeof(*ask));
	if (!ask || (!s->asked && !(s->asked = calloc(1, sizeof(*s->asked))))) {
		free(ask);
		return SIO_ERR_NOMEM;
	}
	*ask = (struct ask){ .socket = sio_socket_ref(s), .id = id, .fn = fn, .arg = arg };
	ask->next = s->asked->first;
	ask->prev = &s->asked->first;
	if (ask->next)
		ask->next->prev = &ask->next;
	s->asked->first = ask;
	s->asked->n++;
	wheel_set(e->wheel, &ask->timer, e->now_ms + (timeout_ms ? timeout_ms : SIO_ASK_TIMEOUT_MS), on_timeout);
	*out = ask;
	return SIO_OK;
}

static void tell_nobody(struct sio_socket *s, int status, const struct sio_args *args, void *arg)
{
	(void)s, (void)status, (void)args, (void)arg;
}

void ask_take_back(struct ask *ask)
{
	ask->fn = tell_nobody;
	ask_settle(ask, SIO_ERR_CLOSED, NULL);
}

int sio_socket_ask(struct sio_socket *s, sio_slice name, const struct sio_args *args, uint32_t timeout_ms,
		   sio_answer_fn *fn, void *arg)
{
	struct frame *f;
	struct ask *ask;
	int err;

	if (!s->client) /* its namespace may have gone, with the server */
		return SIO_ERR_CLOSED;
	HUB_CHECK(s->nsp->hub);
	if (s->asked && s->asked->n >= SIO_ASKS_MAX)
		return SIO_ERR_LIMIT;
	args = args_or_none(args);
	err = emit_event(s->nsp, name, args, s->nsp->next_ask, EMIT_PASSING, &f);
	if (err < 0)
		return err;
	err = ask_new(s, s->nsp->next_ask, timeout_ms, tell_nobody, NULL, &ask);
	if (err < 0) {
		frame_unref(f);
		return err;
	}
	s->nsp->next_ask++;
	eio_send(s->client->session, f);
	frame_unref(f);
	sio_socket_ref(s);
	emit_tell(s, name, args);
	if (s->client) { /* else a catch-all handler has ended it, and the question with it */
		ask->fn = fn;
		ask->arg = arg;
	} else {
		err = SIO_ERR_CLOSED;
	}
	sio_socket_unref(s);
	return err;
}
