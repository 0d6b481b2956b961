/* servers.c -- events that the servers of a cluster send to each other.
 *
 * Sent to each node, whether it has sockets in the namespace or not; sio_servers_tell goes
 * by the channel of a room to those that have some there.  One that is to be
 * answered is a poll in which each server that has a handler counts as one client (far.c).
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "hub/cluster.h"

/* Section 9: these names are what Node's servers tell their own applications. */
static bool is_reserved(sio_slice name)
{
	return sio_slice_eq(name, SIO_LIT("connect")) || sio_slice_eq(name, SIO_LIT("connection")) ||
	       sio_slice_eq(name, SIO_LIT("new_namespace"));
}

static int check(const struct sio_namespace *nsp, sio_slice name, const struct sio_args *args)
{
	return nsp->match || is_reserved(name) || args->attachments_n > SIO_ATTACHMENTS_MAX ? SIO_ERR_INVAL : SIO_OK;
}

static struct cluster_message message(const struct sio_namespace *nsp, sio_slice name, const struct sio_args *args)
{
	struct cluster_message m = { .type = CLUSTER_SERVER_EMIT, .nsp = sio_str(nsp->name), .name = name };

	cluster_set_args(&m, args);
	return m;
}

long sio_servers_emit(struct sio_namespace *nsp, sio_slice name, const struct sio_args *args)
{
	struct cluster_message m = message(nsp, name, args);
	struct inquiry *q;
	long n = check(nsp, name, args);

	if (n == SIO_OK)
		n = inquiry_new(nsp->hub->cluster, &q);
	if (n < 0 || !q)
		return n;
	n = inquiry_send(q, &m);
	inquiry_free(q);
	return n;
}

int sio_servers_send(struct sio_namespace *nsp, sio_slice node, sio_slice name, const struct sio_args *args)
{
	struct cluster_message m = message(nsp, name, args);
	int err = check(nsp, name, args);

	if (err < 0)
		return err;
	return nsp->hub->cluster ? cluster_send(nsp->hub->cluster, node, &m) : SIO_ERR_NOENT;
}

int sio_servers_tell(struct sio_namespace *nsp, sio_slice room, sio_slice name, const struct sio_args *args)
{
	struct cluster_message m = message(nsp, name, args);
	int err = room.n == 0 || room.n > SIO_ROOM_MAX ? SIO_ERR_INVAL : check(nsp, name, args);

	return err < 0 || !nsp->hub->cluster ? err : cluster_tell(nsp, room, &m);
}

int sio_neighbours_tell(struct sio_namespace *nsp, const struct sio_target *target, sio_slice name,
			const struct sio_args *args)
{
	args = args_or_none(args);
	if (nsp->match || args->attachments_n > SIO_ATTACHMENTS_MAX)
		return SIO_ERR_INVAL;
	return nsp->hub->cluster ? cluster_tell_neighbours(nsp, target_or_all(target), name, args) : SIO_OK;
}

long sio_servers_ask(struct sio_namespace *nsp, sio_slice name, const struct sio_args *args, uint32_t timeout_ms,
		     sio_answers_fn *fn, void *arg)
{
	struct cluster_message m = message(nsp, name, args);
	struct inquiry *q = NULL;
	struct poll *poll;
	long n = check(nsp, name, args);

	if (n == SIO_OK)
		n = inquiry_new(nsp->hub->cluster, &q);
	if (n < 0)
		return n;
	poll = poll_new(nsp, fn, arg);
	if (!poll) {
		inquiry_free(q);
		return SIO_ERR_NOMEM;
	}
	if (q) {
		m.id = q->id;
		n = inquiry_send(q, &m);
		poll_join(poll, q);
	}
	if (n < 0)
		poll_cancel(poll);
	else
		poll_wait(poll, timeout_ms);
	return n;
}

int servers_on_emit(struct hub *hub, sio_slice from, const struct cluster_message *m)
{
	struct sio_namespace *nsp = nsp_find(hub, m->nsp);
	const struct nsp_rules *r = nsp ? NSP_RULES(nsp, on_server_event) : NULL;
	struct sio_server_event event = {
		.name = m->name,
		.args = { m->json, m->attachments, m->attachments_n },
		.node = from,
		.ack = m->id ? m->id : SIO_ACK_NONE,
	};
	struct cluster_message count = { .type = CLUSTER_COUNT, .id = m->id, .count = r && r->on_server_event };

	if (is_reserved(m->name) || !far_json_ok(m->json))
		return SIO_ERR_PROTO;
	if (m->id)
		cluster_send(hub->cluster, from, &count);
	if (!count.count)
		return SIO_OK;
	nsp->refs++; /* the handler may close it */
	r->on_server_event(nsp, &event, r->server_event_arg);
	nsp_unref(nsp);
	return SIO_OK;
}

int sio_servers_answer(struct sio_server *server, sio_slice node, uint64_t ack, const struct sio_args *args)
{
	struct cluster *c = hub_of(server)->cluster;
	struct cluster_message m = { .type = CLUSTER_ANSWER, .id = ack };

	if (ack == SIO_ACK_NONE || args->attachments_n > SIO_ATTACHMENTS_MAX)
		return SIO_ERR_INVAL;
	if (!c)
		return SIO_ERR_CLOSED;
	cluster_set_args(&m, args);
	return cluster_send(c, node, &m);
}
