/* broadcast.c -- one message to many sockets.
 *
 * A packet is encoded once; walking a room queues a pointer for each member.  Sockets
 * that several rooms name are marked, so that each gets it once.  Who else is to do the
 * same on other servers is the business of cluster.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include "hub/cluster.h"

typedef void visit_fn(struct sio_socket *s, void *ctx);

/* ---- walking a target ---------------------------------------------------------- */

/* Mark the members of each name as served already. */
static void mark_all(const struct sio_namespace *nsp, const sio_slice *names, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct room *room = room_find(nsp, names[i]);
		struct sio_socket *own = sio_sockets_find(nsp, names[i]);
		if (own)
			own->mark = nsp->hub->epoch;
		for (uint32_t j = 0; room && j < room->n; j++)
			room->members[j].socket->mark = nsp->hub->epoch;
	}
}

/* From now on whoever carries the mark is served, or is not to be. */
static void begin_marks(struct sio_namespace *nsp, const struct sio_target *t)
{
	struct hub *hub = nsp->hub;

	/* Marks of 2^32 broadcasts ago may look fresh once; 0 is never an epoch. */
	if (++hub->epoch == 0)
		hub->epoch = 1;
	mark_all(nsp, t->except, t->except_n);
	if (t->skip)
		((struct sio_socket *)(uintptr_t)t->skip)->mark = hub->epoch;
	for (struct leaving *l = hub->leaving; l; l = l->outer)
		l->socket->mark = hub->epoch;
}

static long visit_once(struct hub *hub, struct sio_socket *s, visit_fn *visit, void *ctx)
{
	if (s->mark == hub->epoch)
		return 0;
	s->mark = hub->epoch;
	visit(s, ctx);
	return 1;
}

/* visit may not change rooms or sockets. */
static long walk(struct sio_namespace *nsp, const struct sio_target *t, visit_fn *visit, void *ctx)
{
	long n = 0;

	begin_marks(nsp, t);
	for (unsigned i = 0; i < t->rooms_n; i++) {
		struct room *room = room_find(nsp, t->rooms[i]);
		struct sio_socket *own = sio_sockets_find(nsp, t->rooms[i]);
		if (own)
			n += visit_once(nsp->hub, own, visit, ctx);
		for (uint32_t j = 0; room && j < room->n; j++)
			n += visit_once(nsp->hub, room->members[j].socket, visit, ctx);
	}
	for (uint32_t i = 0; t->rooms_n == 0 && i < nsp->sockets_n; i++)
		n += visit_once(nsp->hub, nsp->sockets[i], visit, ctx);
	return n;
}

static void append(struct sio_socket *s, void *ctx)
{
	struct socket_list *list = ctx;

	list->at[list->n++] = sio_socket_ref(s);
}

/* Put the target's sockets behind those that are on the list. */
static int list_more(struct sio_namespace *nsp, const struct sio_target *target, struct socket_list *list)
{
	struct sio_socket **grown;

	if (nsp->sockets_n == 0)
		return SIO_OK;
	grown = realloc(list->at, ((size_t)list->n + nsp->sockets_n) * sizeof(struct sio_socket *));
	if (!grown)
		return SIO_ERR_NOMEM;
	list->at = grown;
	walk(nsp, target, append, list);
	return SIO_OK;
}

int sockets_list(struct sio_namespace *nsp, const struct sio_target *target, struct socket_list *out)
{
	*out = (struct socket_list){ 0 };
	return list_more(nsp, target, out);
}

void sockets_unlist(struct socket_list *list)
{
	while (list->n > 0)
		sio_socket_unref(list->at[--list->n]);
	free(list->at);
}

/* ---- sending ----------------------------------------------------------------------- */

/* The common case: one room, nobody excepted but the sender. */
static long send_room(const struct room *room, const struct sio_socket *skip, struct frame *f)
{
	const struct member *m = room->members, *end = m + room->n;
	long n = room->n;

	for (; m < end; m++) {
		if (m->socket == skip)
			n--;
		else
			eio_send(m->session, f);
	}
	return n;
}

/* The form of f that s is to get. */
static struct frame *form_for(const struct sio_socket *s, struct frame *f)
{
	return f->plain && !s->recovery ? f->plain : f;
}

static void send_one(struct sio_socket *s, void *frame)
{
	eio_send(s->client->session, form_for(s, frame));
}

/* As send_room, when some may not see the offset. */
static long send_room_forms(const struct room *room, const struct sio_socket *skip, struct frame *f)
{
	long n = 0;

	for (uint32_t i = 0; i < room->n; i++) {
		if (room->members[i].socket == skip)
			continue;
		eio_send(room->members[i].session, form_for(room->members[i].socket, f));
		n++;
	}
	return n;
}

long broadcast_local(struct sio_namespace *nsp, const struct sio_target *t, struct frame *f)
{
	if (t->rooms_n == 1 && t->except_n == 0 && !nsp->hub->leaving) {
		struct room *room = room_find(nsp, t->rooms[0]);
		if (room && !sio_sockets_find(nsp, t->rooms[0])) /* unless it is named like a socket */
			return f->plain ? send_room_forms(room, t->skip, f) : send_room(room, t->skip, f);
	}
	return walk(nsp, t, send_one, f);
}

/* The application's key, so that it is another one in each namespace: they share their
 * clients' queues.  0 stays 0; two of one namespace stay two. */
static uint32_t key_in(const struct sio_namespace *nsp, uint32_t key)
{
	uint32_t own = key * ((uint32_t)nsp->rooms.seed[0] | 1) + (uint32_t)nsp->rooms.seed[1];

	if (key == 0)
		return 0;
	return own ? own : 1;
}

static void set_flags(const struct sio_namespace *nsp, const struct sio_target *target, struct frame *f)
{
	f->is_volatile = target->is_volatile;
	f->no_compress = target->no_compress;
	f->key = target->is_volatile ? key_in(nsp, target->latest_key) : 0;
}

/* Queue the event to the target in nsp; whose catch-all handler is to hear of it goes on
 * the list. */
static long send_event(struct sio_namespace *nsp, const struct sio_target *target, sio_slice name,
		       const struct sio_args *args, struct socket_list *told)
{
	struct frame *f;
	long n;
	int err = emit_event(nsp, name, args, PACKET_NO_ID, target->is_volatile ? EMIT_PASSING : EMIT_KEPT, &f);

	if (err < 0)
		return err;
	set_flags(nsp, target, f);
	if (f->plain)
		set_flags(nsp, target, f->plain);
	nsp->hub->broadcasts++;
	n = broadcast_local(nsp, target, f);
	if (!target->is_volatile)
		recover_append(nsp, target, f, args);
	frame_unref(f);
	if (nsp->hub->cluster && !target->is_local)
		cluster_emit(nsp, target, name, args);
	if (NSP_RULES(nsp, on_outgoing)->on_outgoing)
		(void)!list_more(nsp, target, told); /* no memory: these are not told */
	return n;
}

/* All have it: handlers may do what they like with sockets and namespaces. */
static void tell_all(struct socket_list *list, sio_slice name, const struct sio_args *args)
{
	for (uint32_t i = 0; i < list->n; i++)
		emit_tell(list->at[i], name, args);
	sockets_unlist(list);
}

static long broadcast(struct sio_namespace *nsp, const struct sio_target *target, sio_slice name,
		      const struct sio_args *args)
{
	struct socket_list told = { 0 };
	long n = send_event(nsp, target, name, args, &told);

	tell_all(&told, name, args);
	return n;
}

/* To every child that parent has now. */
static long broadcast_to_children(struct sio_namespace *parent, const struct sio_target *target, sio_slice name,
				  const struct sio_args *args)
{
	struct socket_list told = { 0 };
	long n = 0, here = 0;

	if (packet_is_reserved(name) || args->attachments_n > SIO_ATTACHMENTS_MAX)
		return SIO_ERR_INVAL; /* though there may be no child to refuse it */
	for (struct sio_namespace *nsp = parent->hub->nsps; nsp && here >= 0; nsp = nsp->next) {
		if (nsp->parent != parent)
			continue;
		here = send_event(nsp, target, name, args, &told);
		n += here > 0 ? here : 0;
	}
	tell_all(&told, name, args);
	return here < 0 ? here : n;
}

long sio_namespace_broadcast(struct sio_namespace *nsp, const struct sio_target *target, sio_slice name,
			     const struct sio_args *args)
{
	HUB_CHECK(nsp->hub);
	target = target_or_all(target);
	args = args_or_none(args);
	return nsp->match ? broadcast_to_children(nsp, target, name, args) : broadcast(nsp, target, name, args);
}

long sio_broadcast(struct sio_server *server, const struct sio_target *target, sio_slice name,
		   const struct sio_args *args)
{
	return sio_namespace_broadcast(hub_of(server)->nsps, target, name, args);
}
