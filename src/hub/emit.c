/* emit.c -- packets on their way out: encoded once, queued as shared frames.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "hub/hub.h"

#include <sio/json.h>

struct frame *emit_encode(struct hub *hub, const struct packet *p, const sio_slice *attachments)
{
	struct frame *f = frame_new(&hub->engine->frames, 1 + packet_size(p), attachments, p->attachments_n);

	if (!f)
		return NULL;
	frame_text(f)[0] = '4'; /* Engine.IO message */
	frame_seal(f, WS_TEXT, 1 + packet_write(p, frame_text(f) + 1));
	hub->engine->frames.encodes++;
	return f;
}

int emit_packet(struct hub_client *c, const struct packet *p, const sio_slice *attachments)
{
	struct frame *f = emit_encode(c->hub, p, attachments);

	if (!f)
		return SIO_ERR_NOMEM;
	eio_send(c->session, f);
	frame_unref(f);
	return SIO_OK;
}

int emit_event(struct sio_namespace *nsp, sio_slice name, const struct sio_args *args, uint64_t id, enum emit_kind kind,
	       struct frame **out)
{
	struct buf *quoted = &nsp->hub->scratch;
	struct packet p = {
		.type = args->attachments_n ? PACKET_BINARY_EVENT : PACKET_EVENT,
		.attachments_n = args->attachments_n,
		.nsp = sio_str(nsp->name),
		.id = id,
		.data = args->json,
	};

	*out = NULL;
	if (packet_is_reserved(name) || args->attachments_n > SIO_ATTACHMENTS_MAX)
		return SIO_ERR_INVAL;
	buf_clear(quoted);
	buf_json(quoted, name);
	/* Behind the arguments of an event with an id clients find their acknowledgement. */
	if (quoted->failed ||
	    (id == PACKET_NO_ID && kind != EMIT_PLAIN && recover_stamp(nsp->hub, &p.data, kind == EMIT_KEPT) < 0))
		return SIO_ERR_NOMEM;
	p.name = buf_peek(quoted);
	*out = emit_encode(nsp->hub, &p, args->attachments);
	if (!*out)
		return SIO_ERR_NOMEM;
	if (p.data.n == args->json.n || nsp->hub->plain_n == 0)
		return SIO_OK;
	p.data = args->json; /* as it is, for those that know no offsets */
	(*out)->plain = emit_encode(nsp->hub, &p, args->attachments);
	if ((*out)->plain)
		return SIO_OK;
	frame_unref(*out);
	*out = NULL;
	return SIO_ERR_NOMEM;
}

void emit_tell(struct sio_socket *s, sio_slice name, const struct sio_args *args)
{
	const struct nsp_rules *r = NSP_RULES(s->nsp, on_outgoing);

	if (!r->on_outgoing || !s->client)
		return;
	sio_socket_ref(s); /* it may end the socket */
	r->on_outgoing(s, name, args, r->outgoing_arg);
	sio_socket_unref(s);
}

int sio_socket_emit(struct sio_socket *s, sio_slice name, const struct sio_args *args)
{
	if (s->client)
		HUB_CHECK(s->nsp->hub);
	return sio_socket_emit_with(s, name, args, 0);
}

int sio_socket_emit_with(struct sio_socket *s, sio_slice name, const struct sio_args *args, unsigned flags)
{
	sio_slice own = sio_socket_id(s);
	struct sio_target target = { .rooms = &own, .rooms_n = 1 };
	struct frame *f;
	int err;

	if (!s->client)
		return SIO_ERR_CLOSED;
	HUB_CHECK(s->nsp->hub);
	if (flags & ~(unsigned)SIO_EMIT_NO_COMPRESS)
		return SIO_ERR_INVAL;
	args = args_or_none(args);
	err = emit_event(s->nsp, name, args, PACKET_NO_ID, s->recovery ? EMIT_KEPT : EMIT_PLAIN, &f);
	if (err < 0)
		return err;
	f->no_compress = flags & SIO_EMIT_NO_COMPRESS;
	if (s->recovery)
		recover_append(s->nsp, &target, f, args);
	eio_send(s->client->session, f);
	frame_unref(f);
	emit_tell(s, name, args);
	return SIO_OK;
}

int sio_socket_ack(struct sio_socket *s, uint64_t ack, const struct sio_args *given)
{
	const struct sio_args *args = args_or_none(given);
	struct packet p = {
		.type = args->attachments_n ? PACKET_BINARY_ACK : PACKET_ACK,
		.attachments_n = args->attachments_n,
		.id = ack,
		.data = args->json,
	};

	if (!s->client) /* its namespace may have gone, with the server */
		return SIO_ERR_CLOSED;
	HUB_CHECK(s->nsp->hub);
	if (ack == SIO_ACK_NONE || args->attachments_n > SIO_ATTACHMENTS_MAX)
		return SIO_ERR_INVAL;
	p.nsp = sio_str(s->nsp->name);
	return emit_packet(s->client, &p, args->attachments);
}
