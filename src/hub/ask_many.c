/* ask_many.c -- one question to many sockets, and their answers gathered.
 *
 * All receivers get the same packet with the same id (section 8 of the Socket.IO
 * reference); each that has not answered yet is an open question of its socket, as in
 * ask.c, and ends at the same time-out.  A poll ends when none is open any more, or at
 * its time-out; poll_finish is the one place that calls the application.  Its memory
 * goes with the last open question, so an answer after the end changes nothing.
 *
 * Other nodes' part in a poll is an inquiry beside it (far.c): what is still to be heard of
 * there is counted among the open ones.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include "hub/cluster.h"

/* What one client said, its bytes behind it. */
struct answer {
	struct answer *next;
	struct sio_args args;
	sio_slice attachments[SIO_ATTACHMENTS_MAX];
	char bytes[];
};

struct poll {
	struct sio_timer timer;
	struct poll *next, **back;     /* of the hub, until it is over */
	struct sio_namespace *nsp;     /* counted */
	struct inquiry *far;           /* other nodes that were asked; NULL: none */
	poll_each_fn *each;            /* told of each answer, which is not kept then */
	sio_answers_fn *fn;            /* NULL: it is over */
	void *arg;
	struct answer *first, **end;
	size_t answers_n, asked_n, bytes;
	size_t open_n;                 /* questions open, other nodes' too */
	bool is_late;                  /* one of them has timed out */
};

static void poll_free_if_done(struct poll *poll)
{
	if (poll->fn || poll->open_n > 0)
		return;
	nsp_unref(poll->nsp);
	free(poll);
}

/* Out of the hub: no time-out, and no other node, comes to it any more. */
static void poll_unlink(struct poll *poll)
{
	wheel_del(&poll->timer);
	*poll->back = poll->next;
	if (poll->next)
		poll->next->back = poll->back;
	if (poll->far)
		poll->open_n -= inquiry_open_n(poll->far);
	inquiry_free(poll->far);
	poll->far = NULL;
}

/* The status of a poll for which nothing is open any more. */
static int outcome(const struct poll *poll)
{
	bool is_whole = !poll->far || inquiry_missing_n(poll->far) == 0;

	if (is_whole && poll->answers_n == poll->asked_n)
		return SIO_OK;
	return poll->is_late ? SIO_ERR_TIMEOUT : SIO_ERR_CLOSED;
}

/* The ids of the n servers that have not replied: slices, and their bytes behind them.
 * NULL: there are none, or no memory. */
static sio_slice *missing_ids(const struct inquiry *q, size_t n)
{
	sio_slice *ids = n ? malloc(n * (sizeof(*ids) + SIO_NODE_ID_LEN)) : NULL;
	char *at = (char *)(ids + n);
	size_t k = 0;

	for (uint32_t i = 0; ids && i < q->nodes_n && k < n; i++) {
		if (!inquiry_is_missing(q, &q->nodes[i]))
			continue;
		ids[k++] = sio_bytes(at, SIO_NODE_ID_LEN);
		memcpy(at, q->nodes[i].id, SIO_NODE_ID_LEN);
		at += SIO_NODE_ID_LEN;
	}
	return ids;
}

static void poll_finish(struct poll *poll, int status)
{
	struct sio_args *all = calloc(poll->answers_n + 1, sizeof(*all));
	struct sio_answers got = { all, all ? poll->answers_n : 0, poll->asked_n, 0, NULL };
	sio_slice *missing = NULL;
	sio_answers_fn *fn = poll->fn;
	size_t i = 0;

	if (poll->far) {
		got.missing_nodes_n = inquiry_missing_n(poll->far);
		got.missing_nodes = missing = missing_ids(poll->far, got.missing_nodes_n);
	}
	poll_unlink(poll);
	for (struct answer *a = poll->first; all && a; a = a->next)
		all[i++] = a->args;
	poll->fn = NULL;
	poll->open_n++; /* fn may end the sockets of those that are open */
	fn(poll->nsp, all ? status : SIO_ERR_NOMEM, &got, poll->arg);
	poll->open_n--;
	free(all);
	free(missing);
	while (poll->first) {
		struct answer *a = poll->first;
		poll->first = a->next;
		free(a);
	}
	poll_free_if_done(poll);
}

static void on_timeout(struct sio_timer *timer)
{
	struct poll *poll = MAP_OWNER(timer, struct poll, timer);

	poll_finish(poll, poll->open_n > 0 ? SIO_ERR_TIMEOUT : outcome(poll));
}

static char *put(char *at, sio_slice s)
{
	if (s.n)
		memcpy(at, s.p, s.n);
	return at + s.n;
}

static bool keep(struct poll *poll, const struct sio_args *args)
{
	size_t bytes = args->json.n;
	struct answer *a;
	char *at;

	for (unsigned i = 0; i < args->attachments_n; i++)
		bytes += args->attachments[i].n;
	if (poll->bytes + bytes > SIO_ANSWERS_BYTES_MAX)
		return false;
	a = malloc(sizeof(*a) + bytes);
	if (!a)
		return false;
	a->next = NULL;
	a->args = (struct sio_args){ sio_bytes(a->bytes, args->json.n), a->attachments, args->attachments_n };
	at = put(a->bytes, args->json);
	for (unsigned i = 0; i < args->attachments_n; i++) {
		a->attachments[i] = sio_bytes(at, args->attachments[i].n);
		at = put(at, args->attachments[i]);
	}
	*poll->end = a;
	poll->end = &a->next;
	poll->bytes += bytes;
	poll->answers_n++;
	return true;
}

void poll_heard(struct poll *poll, int status, const struct sio_args *args)
{
	bool is_kept = true;

	poll->open_n--;
	if (!poll->fn) {
		poll_free_if_done(poll);
		return;
	}
	poll->is_late |= status == SIO_ERR_TIMEOUT;
	if (poll->each)
		poll->each(status, args, poll->arg);
	else if (status == SIO_OK)
		is_kept = keep(poll, args);
	if (!is_kept)
		poll_finish(poll, SIO_ERR_LIMIT);
	else if (poll->open_n == 0)
		poll_finish(poll, outcome(poll));
}

static void on_answer(struct sio_socket *s, int status, const struct sio_args *args, void *poll)
{
	(void)s;
	poll_heard(poll, status, args);
}

struct poll *poll_new(struct sio_namespace *nsp, sio_answers_fn *fn, void *arg)
{
	struct poll *poll = calloc(1, sizeof(*poll));

	if (!poll)
		return NULL;
	*poll = (struct poll){ .nsp = nsp, .fn = fn, .arg = arg, .next = nsp->hub->polls };
	poll->end = &poll->first;
	poll->back = &nsp->hub->polls;
	if (poll->next)
		poll->next->back = &poll->next;
	nsp->hub->polls = poll;
	nsp->refs++;
	return poll;
}

void poll_join(struct poll *poll, struct inquiry *q)
{
	q->poll = poll;
	poll->far = q;
	poll->open_n += inquiry_open_n(q);
}

void poll_counted(struct poll *poll, size_t n)
{
	poll->asked_n += n;
	poll->open_n += n;
	poll_lost(poll, 1); /* the node itself is waited for no longer */
}

void poll_lost(struct poll *poll, size_t n)
{
	poll->open_n -= n;
	if (poll->open_n == 0)
		poll_finish(poll, outcome(poll));
}

void poll_cancel(struct poll *poll)
{
	poll_unlink(poll);
	poll->fn = NULL;
	poll_free_if_done(poll);
}

void poll_wait(struct poll *poll, uint32_t timeout_ms)
{
	struct eio_engine *e = poll->nsp->hub->engine;

	timeout_ms = timeout_ms ? timeout_ms : SIO_ASK_TIMEOUT_MS;
	wheel_set(e->wheel, &poll->timer, e->now_ms + (poll->open_n > 0 ? timeout_ms : 0), on_timeout);
}

void polls_end(struct hub *hub)
{
	struct poll *poll = hub->polls;

	hub->is_ended = true;
	while (poll) { /* one that is still being made has no timer yet, and ends by itself */
		if (wheel_is_set(&poll->timer)) {
			poll_finish(poll, poll->open_n > 0 ? SIO_ERR_CLOSED : SIO_OK);
			poll = hub->polls;
		} else {
			poll = poll->next;
		}
	}
}

/* Open a question for each of the list; who has too many open leaves the list.  On
 * failure none is open. */
static int open_questions(struct poll *poll, struct socket_list *list, uint64_t id, uint32_t timeout_ms)
{
	struct ask **asks = malloc(list->n * sizeof(struct ask *) + 1);
	uint32_t n = 0, i;
	int err = asks ? SIO_OK : SIO_ERR_NOMEM;

	for (i = 0; i < list->n && err != SIO_ERR_NOMEM; i++) {
		err = ask_new(list->at[i], id, timeout_ms, on_answer, poll, &asks[n]);
		if (err == SIO_OK)
			list->at[n++] = list->at[i];
		else
			sio_socket_unref(list->at[i]);
	}
	if (err == SIO_ERR_NOMEM) {
		for (; i < list->n; i++)
			sio_socket_unref(list->at[i]);
		for (i = 0; i < n; i++)
			ask_take_back(asks[i]);
	}
	list->n = n;
	free(asks);
	if (err == SIO_ERR_NOMEM)
		return err;
	poll->open_n = n;
	poll->asked_n = n;
	return SIO_OK;
}

long poll_sockets(struct sio_namespace *nsp, const struct sio_target *target, sio_slice name,
		  const struct sio_args *args, uint32_t timeout_ms, poll_each_fn *each, sio_answers_fn *fn, void *arg)
{
	struct hub *hub = nsp->hub;
	struct socket_list list = { 0 };
	struct inquiry *far = NULL;
	struct poll *poll = NULL;
	struct frame *f = NULL;
	long n;
	int err = nsp->match ? SIO_ERR_INVAL : hub->is_ended ? SIO_ERR_CLOSED : SIO_OK;

	HUB_CHECK(hub);
	target = target_or_all(target);
	args = args_or_none(args);
	timeout_ms = timeout_ms ? timeout_ms : SIO_ASK_TIMEOUT_MS;
	if (err == SIO_OK)
		err = emit_event(nsp, name, args, nsp->next_ask, EMIT_PASSING, &f);
	if (err == SIO_OK)
		err = sockets_list(nsp, target, &list);
	if (err == SIO_OK)
		err = (poll = poll_new(nsp, fn, arg)) ? SIO_OK : SIO_ERR_NOMEM;
	if (err == SIO_OK && !target->is_local)
		err = inquiry_new(hub->cluster, &far);
	if (err == SIO_OK)
		poll->each = each;
	if (err == SIO_OK)
		err = open_questions(poll, &list, nsp->next_ask, timeout_ms);
	if (err < 0)
		goto fail;
	nsp->next_ask++;
	hub->broadcasts++;
	for (uint32_t i = 0; i < list.n; i++)
		eio_send(list.at[i]->client->session, f);
	frame_unref(f);
	n = list.n;
	poll->open_n++; /* a catch-all handler may end the sockets: not before this call returns */
	if (far) {
		far_ask(far, nsp, target, name, args, timeout_ms);
		poll_join(poll, far);
	}
	for (uint32_t i = 0; i < list.n; i++)
		emit_tell(list.at[i], name, args);
	sockets_unlist(&list);
	poll->open_n--;
	poll_wait(poll, timeout_ms);
	return n;
fail:
	if (poll)
		poll_cancel(poll);
	inquiry_free(far);
	sockets_unlist(&list);
	if (f)
		frame_unref(f);
	return err;
}

long sio_sockets_ask(struct sio_namespace *nsp, const struct sio_target *target, sio_slice name,
		     const struct sio_args *args, uint32_t timeout_ms, sio_answers_fn *fn, void *arg)
{
	return poll_sockets(nsp, target, name, args, timeout_ms, NULL, fn, arg);
}
