/* peer.c -- the far end of a connection: what a stock client's Engine.IO does.
 *
 * The handshake, WebSocket frames, heartbeats, Socket.IO packets to their clients.  Knows
 * the wire as a client sees it; what the server means by it is for the test to judge.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "testing/inner.h"

/* ---- making one ----------------------------------------------------------------- */

static void handshake_write(struct peer *peer, const struct sio_test_handshake *h)
{
	struct buf *out = &peer->pipe.in;
	const char *path = peer->testing->server->path;

	buf_printf(out, "GET %s%s?EIO=4&transport=websocket%s%s HTTP/1.1\r\n", path, strcmp(path, "/") == 0 ? "" : "/",
		   h->query && *h->query ? "&" : "", h->query ? h->query : "");
	if (head_find(sio_str(h->headers), "host").n == 0)
		buf_str(out, "Host: test.example\r\n");
	buf_str(out, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
		     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
	buf_str(out, h->headers ? h->headers : "");
	buf_str(out, "\r\n");
}

struct peer *peer_new(struct testing *t, const struct sio_test_handshake *handshake)
{
	const char *address = handshake->address ? handshake->address : "192.0.2.1";
	struct peer *peer = calloc(1, sizeof(*peer));
	struct peer **at = &t->peers;

	if (!peer)
		return NULL;
	peer->testing = t;
	strncpy(peer->pipe.address, address, sizeof(peer->pipe.address) - 1);
	handshake_write(peer, handshake);
	if (peer->pipe.in.failed || net_pipe_open(t->server->net, &peer->pipe) < 0) {
		peer_free(peer);
		return NULL;
	}
	while (*at)
		at = &(*at)->next;
	*at = peer;
	return peer;
}

static void partial_clear(struct partial *part)
{
	buf_clear(&part->text);
	buf_clear(&part->bytes);
	part->got_n = part->want_n = 0;
}

void peer_free(struct peer *peer)
{
	while (peer->clients) {
		struct sio_test_client *client = peer->clients;
		peer->clients = client->next;
		client_free(client);
	}
	buf_fini(&peer->partial.text);
	buf_fini(&peer->partial.bytes);
	buf_fini(&peer->pipe.in);
	buf_fini(&peer->pipe.out);
	free(peer);
}

/* ---- out --------------------------------------------------------------------------- */

/* A frame as clients write it; the mask is zero, which leaves the payload readable. */
void peer_frame(struct peer *peer, enum ws_op op, sio_slice payload)
{
	struct buf *out = &peer->pipe.in;
	char head[WS_HEAD_MAX];
	size_t n = ws_head_write(head, op, payload.n);

	head[1] = (char)(head[1] | 0x80);
	buf_put(out, head, n);
	buf_put(out, "\0\0\0\0", 4);
	buf_slice(out, payload);
}

/* The text of p.  As stock clients, we send nothing that breaks the protocol. */
static int write_text(const struct packet *p, struct buf *text)
{
	struct packet same;

	if (!buf_reserve(text, 1 + packet_size(p)))
		return SIO_ERR_NOMEM;
	text->p[0] = '4'; /* Engine.IO message */
	text->n = 1 + packet_write(p, text->p + 1);
	return packet_read(sio_bytes(text->p + 1, text->n - 1), SIO_ATTACHMENTS_MAX, &same) < 0 ? SIO_ERR_INVAL : SIO_OK;
}

int peer_check(const struct packet *p)
{
	struct buf text = { 0 };
	int err = write_text(p, &text);

	buf_fini(&text);
	return err;
}

int peer_send(struct peer *peer, const struct packet *p, const sio_slice *attachments)
{
	struct buf text = { 0 };
	int err = peer->is_over || peer->pipe.is_ended ? SIO_ERR_CLOSED : write_text(p, &text);

	if (err == SIO_OK)
		peer_frame(peer, WS_TEXT, buf_peek(&text));
	for (unsigned i = 0; err == SIO_OK && i < p->attachments_n; i++)
		peer_frame(peer, WS_BINARY, attachments[i]);
	buf_fini(&text);
	return err == SIO_OK && peer->pipe.in.failed ? SIO_ERR_NOMEM : err;
}

int peer_ask(struct sio_test_client *client)
{
	struct packet p = {
		.type = PACKET_CONNECT,
		.nsp = sio_str(client->nsp),
		.id = PACKET_NO_ID,
		.data = sio_str(client->auth),
	};
	int err = client->peer->is_open ? peer_send(client->peer, &p, NULL) : peer_check(&p);

	client->is_asking = err == SIO_OK;
	return err;
}

/* ---- the end ------------------------------------------------------------------------- */

static void over(struct peer *peer, int code)
{
	struct sio_test_event closed = { .kind = SIO_TEST_CLOSED, .ack = SIO_ACK_NONE, .code = code };

	if (peer->is_over)
		return;
	peer->is_over = true;
	peer->pipe.is_ended = true;
	for (struct sio_test_client *c = peer->clients; c; c = c->next) {
		c->is_connected = c->is_asking = false;
		client_hear(c, &closed);
	}
}

/* What came is no packet: a stock client closes with "parse error". */
static void broken(struct peer *peer, sio_slice text)
{
	struct sio_test_event e = { .kind = SIO_TEST_BROKEN, .ack = SIO_ACK_NONE, .args = sio_args_json(text) };

	for (struct sio_test_client *c = peer->clients; c; c = c->next)
		client_hear(c, &e);
	peer_frame(peer, WS_CLOSE, sio_bytes("\x03\xea", 2)); /* 1002 */
}

/* ---- Socket.IO packets in ------------------------------------------------------------ */

static struct sio_test_client *client_of(struct peer *peer, sio_slice nsp)
{
	struct sio_test_client *found = NULL; /* the youngest: it may have asked again after a refusal */

	for (struct sio_test_client *c = peer->clients; c; c = c->next)
		if (sio_slice_eq(sio_str(c->nsp), nsp))
			found = c;
	return found;
}

static void on_packet(struct peer *peer, const struct packet *p, const sio_slice *attachments)
{
	static const enum sio_test_kind kinds[] = {
		[PACKET_CONNECT] = SIO_TEST_CONNECTED, [PACKET_DISCONNECT] = SIO_TEST_DISCONNECTED,
		[PACKET_EVENT] = SIO_TEST_EVENT,       [PACKET_ACK] = SIO_TEST_ACK,
		[PACKET_CONNECT_ERROR] = SIO_TEST_REFUSED, [PACKET_BINARY_EVENT] = SIO_TEST_EVENT,
		[PACKET_BINARY_ACK] = SIO_TEST_ACK,
	};
	struct sio_test_client *client = client_of(peer, p->nsp);
	struct sio_test_event e = {
		.kind = kinds[p->type],
		.name = p->name,
		.args = { p->data, attachments, p->attachments_n },
		.ack = p->id == PACKET_NO_ID ? SIO_ACK_NONE : p->id,
	};

	if (!client)
		return;
	if (e.kind == SIO_TEST_CONNECTED || e.kind == SIO_TEST_REFUSED)
		client->is_asking = false;
	if (e.kind == SIO_TEST_CONNECTED || e.kind == SIO_TEST_DISCONNECTED)
		client->is_connected = e.kind == SIO_TEST_CONNECTED;
	client_hear(client, &e);
}

/* Read a server's packet.  CONNECT_ERROR, which clients do not send, has the form of
 * CONNECT. */
static int read_packet(char *data, size_t n, struct packet *p)
{
	bool is_refusal = n > 0 && data[0] == '0' + (int)PACKET_CONNECT_ERROR;
	int err;

	if (is_refusal)
		data[0] = '0';
	err = packet_read(sio_bytes(data, n), SIO_ATTACHMENTS_MAX, p);
	if (is_refusal) {
		data[0] = '0' + (int)PACKET_CONNECT_ERROR;
		p->type = PACKET_CONNECT_ERROR;
	}
	return err;
}

static void on_text(struct peer *peer, char *data, size_t n)
{
	struct partial *part = &peer->partial;
	struct packet p;

	if (part->want_n > 0 || read_packet(data, n, &p) < 0) {
		broken(peer, sio_bytes(data, n));
		return;
	}
	if (p.attachments_n == 0) {
		on_packet(peer, &p, NULL);
		return;
	}
	partial_clear(part);
	buf_put(&part->text, data, n);
	part->want_n = p.attachments_n;
}

static void on_binary(struct peer *peer, const char *data, size_t n)
{
	struct partial *part = &peer->partial;
	sio_slice attachments[SIO_ATTACHMENTS_MAX];
	struct packet p;

	if (part->want_n == 0) {
		broken(peer, SIO_LIT("an attachment that nothing announced"));
		return;
	}
	buf_put(&part->bytes, data, n);
	part->ends[part->got_n++] = part->bytes.n;
	if (part->got_n < part->want_n)
		return;
	for (unsigned i = 0; i < part->got_n; i++) {
		size_t from = i ? part->ends[i - 1] : 0;
		attachments[i] = sio_bytes(part->bytes.p ? part->bytes.p + from : "", part->ends[i] - from);
	}
	if (!part->text.failed && read_packet(part->text.p, part->text.n, &p) == SIO_OK)
		on_packet(peer, &p, attachments);
	partial_clear(part);
}

/* ---- Engine.IO packets in -------------------------------------------------------------- */

static void on_open(struct peer *peer)
{
	peer->is_open = true;
	for (struct sio_test_client *c = peer->clients; c; c = c->next)
		if (c->is_asking)
			(void)peer_ask(c);
}

static void on_message(struct peer *peer, enum ws_op op, char *data, size_t n)
{
	if (op == WS_BINARY)
		on_binary(peer, data, n);
	else if (op == WS_CLOSE)
		over(peer, n >= 2 ? (unsigned char)data[0] << 8 | (unsigned char)data[1] : 0);
	else if (op != WS_TEXT || n == 0)
		return;
	else if (data[0] == '0')
		on_open(peer);
	else if (data[0] == '2' && !peer->is_silent && !peer->pipe.is_ended)
		peer_frame(peer, WS_TEXT, SIO_LIT("3"));
	else if (data[0] == '4')
		on_text(peer, data + 1, n - 1);
}

/* ---- bytes in --------------------------------------------------------------------------- */

sio_slice head_find(sio_slice head, const char *name)
{
	size_t name_n = strlen(name);

	while (head.n > 0) {
		const char *end = memchr(head.p, '\n', head.n);
		size_t n = end ? (size_t)(end - head.p) + 1 : head.n;
		sio_slice line = sio_bytes(head.p, n);
		head = sio_bytes(head.p + n, head.n - n);
		if (line.n <= name_n || line.p[name_n] != ':' || strncasecmp(line.p, name, name_n) != 0)
			continue;
		line = sio_bytes(line.p + name_n + 1, line.n - name_n - 1);
		while (line.n > 0 && (*line.p == ' ' || *line.p == '\t'))
			line = sio_bytes(line.p + 1, line.n - 1);
		while (line.n > 0 && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == '\n'))
			line.n--;
		return line;
	}
	return sio_bytes("", 0);
}

/* The answer to the handshake, off the front of out.  false: not there yet. */
static bool read_answer(struct peer *peer)
{
	struct buf *out = &peer->pipe.out;
	char *end = out->n ? memmem(out->p, out->n, "\r\n\r\n", 4) : NULL;
	int status = end && out->n > 12 ? atoi(out->p + 9) : 0;

	if (!end)
		return false;
	if (status != 101) {
		over(peer, status);
		return false;
	}
	peer->is_websocket = true;
	buf_consume(out, (size_t)(end + 4 - out->p));
	return true;
}

/* One frame at p[0..n).  Returns its bytes, 0 when it is not whole. */
static size_t read_frame(struct peer *peer, char *p, size_t n)
{
	size_t payload_n, head_n;

	if (n < 2)
		return 0;
	payload_n = (unsigned char)p[1];
	head_n = payload_n == 126 ? 4 : payload_n == 127 ? 10 : 2;
	if (n < head_n)
		return 0;
	for (size_t i = 2; i < head_n; i++)
		payload_n = (i == 2 ? 0 : payload_n << 8) | (unsigned char)p[i];
	if (n - head_n < payload_n)
		return 0;
	on_message(peer, (enum ws_op)(p[0] & 15), p + head_n, payload_n);
	return head_n + payload_n;
}

bool peer_read(struct peer *peer)
{
	struct net_pipe *pipe = &peer->pipe;
	size_t said = pipe->in.n, at = 0, n = 1;
	bool was_ended = pipe->is_ended;

	if (peer->is_over)
		return false;
	if (peer->is_websocket || read_answer(peer)) {
		while (n > 0 && !peer->is_over) {
			n = read_frame(peer, pipe->out.p + at, pipe->out.n - at);
			at += n;
		}
		buf_consume(&pipe->out, at);
	}
	if (pipe->is_shut)
		over(peer, 0);
	return pipe->in.n != said || pipe->is_ended != was_ended;
}
