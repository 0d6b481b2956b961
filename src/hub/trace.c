/* trace.c -- see <sio/trace.h>: packets that pass, told to whoever looks.
 *
 * Called only while somebody does.  Reads each packet once more than the hub does, so
 * that nothing of it stands in the way of those that nobody looks at.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <sio/trace.h>

#include "hub/hub.h"

static const char *const types[] = {
	[PACKET_CONNECT] = "connect", [PACKET_DISCONNECT] = "disconnect", [PACKET_EVENT] = "event", [PACKET_ACK] = "ack",
	[PACKET_CONNECT_ERROR] = "connect_error", [PACKET_BINARY_EVENT] = "binary_event", [PACKET_BINARY_ACK] = "binary_ack",
};

/* The socket in that namespace, or any of the client's. */
static struct sio_socket *whose(const struct hub_client *c, sio_slice nsp)
{
	struct sio_socket *s = c->sockets;

	while (s && !sio_slice_eq(sio_str(s->nsp->name), nsp))
		s = s->next;
	return s ? s : c->sockets;
}

/* The one packet that only servers send, behind its number: "{..}" or "/nsp,{..}". */
static void read_refusal(sio_slice text, struct sio_trace_packet *out)
{
	const char *comma = text.n > 0 && text.p[0] == '/' ? memchr(text.p, ',', text.n) : NULL;

	out->type = types[PACKET_CONNECT_ERROR];
	out->data = text;
	if (!comma)
		return;
	out->nsp = sio_bytes(text.p, (size_t)(comma - text.p));
	out->data = sio_bytes(comma + 1, text.n - out->nsp.n - 1);
}

static void read_text(sio_slice text, struct sio_trace_packet *out)
{
	struct packet p;

	if (packet_read(text, SIO_ATTACHMENTS_MAX, &p) < 0) {
		out->type = "malformed";
		out->data = text;
		if (out->is_out && text.n > 0 && text.p[0] == '4')
			read_refusal(sio_bytes(text.p + 1, text.n - 1), out);
		return;
	}
	out->type = types[p.type];
	out->nsp = p.nsp;
	out->name = p.name;
	out->data = p.data;
	out->id = p.id == PACKET_NO_ID ? SIO_TRACE_NO_ID : p.id;
	out->attachments_n = p.attachments_n;
}

static void tell(struct hub_client *c, struct sio_trace_packet *packet)
{
	packet->socket = whose(c, packet->nsp);
	packet->is_websocket = c->session->transport == EIO_WEBSOCKET;
	if (packet->socket)
		c->hub->trace(packet, c->hub->trace_arg);
}

void hub_trace_in(struct hub_client *c, sio_slice data, bool is_binary)
{
	struct sio_trace_packet packet = { .nsp = SIO_LIT("/"), .id = SIO_TRACE_NO_ID, .bytes = data.n, .type = "attachment" };

	if (!is_binary)
		read_text(data, &packet);
	tell(c, &packet);
}

void hub_trace_out(struct hub_client *c, struct frame *f)
{
	struct sio_trace_packet packet = { .is_out = true, .nsp = SIO_LIT("/"), .id = SIO_TRACE_NO_ID, .bytes = f->n };

	/* Engine.IO's own packets are not the hub's: only messages, which begin with their number. */
	if (f->text_n < 2 || frame_text(f)[0] != '4' || (f->data[f->start] & 0x0f) != WS_TEXT)
		return;
	read_text(sio_bytes(frame_text(f) + 1, f->text_n - 1), &packet);
	tell(c, &packet);
}

int sio_server_trace(struct sio_server *server, sio_trace_fn *fn, void *arg)
{
	struct hub *hub = hub_of(server);

	if (!hub->engine) /* plain Engine.IO has no hub */
		return SIO_ERR_INVAL;
	HUB_CHECK(hub);
	hub->trace = fn;
	hub->trace_arg = arg;
	hub->engine->is_traced = fn != NULL;
	return SIO_OK;
}
