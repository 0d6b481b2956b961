/* socket.c -- one client in one namespace: its life and its incoming events.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include <sio/json.h>

#include "hub/hub.h"

/* An event that came while the socket was paused, with all its bytes behind it. */
struct held {
	struct held *next;
	size_t n;                 /* bytes of it all */
	struct packet packet;
	sio_slice attachments[SIO_ATTACHMENTS_MAX];
	char bytes[];
};

/* Made when the first event must wait, gone when none does. */
struct held_queue {
	struct held *first, **end;
	size_t bytes;             /* of them all */
};

struct sio_socket *socket_new(struct hub_client *c, struct sio_namespace *nsp, const char *id)
{
	struct sio_socket *s = calloc(1, sizeof(*s));
	char fresh[RANDOM_ID_LEN + 1];

	if (!s)
		return NULL;
	if (!id)
		random_id(fresh);
	memcpy(s->id, id ? id : fresh, SIO_ID_LEN);
	s->nsp = nsp;
	s->client = c;
	s->refs = 1;
	s->rooms = s->near;
	s->rooms_cap = SOCKET_NEAR;
	s->tokens = c->hub->limits.events_burst * 1000;
	s->refilled_ms = (uint32_t)c->hub->engine->now_ms;
	if (nsp_add(nsp, s) < 0) {
		free(s);
		return NULL;
	}
	nsp->refs++;
	s->next = c->sockets;
	c->sockets = s;
	return s;
}

struct sio_socket *sio_socket_ref(struct sio_socket *s)
{
	if (s->client)
		HUB_CHECK(s->nsp->hub);
	s->refs++;
	return s;
}

void sio_socket_unref(struct sio_socket *s)
{
	if (!s || --s->refs > 0)
		return;
	nsp_unref(s->nsp);
	free(s);
}

static void held_drop(struct sio_socket *s)
{
	if (!s->held)
		return;
	for (struct held *h = s->held->first, *next; h; h = next) {
		next = h->next;
		free(h);
	}
	free(s->held);
	s->held = NULL;
}

static void unlink_socket(struct sio_socket *s)
{
	struct sio_socket **at = &s->client->sockets;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	s->client = NULL;
	nsp_del(s->nsp, s);
}

void socket_cancel(struct sio_socket *s)
{
	unlink_socket(s);
	recover_end(s, NULL);
	nsp_relax(s->nsp);
	sio_socket_unref(s);
}

static void tell_disconnecting(struct sio_socket *s, const char *reason)
{
	const struct nsp_rules *r = NSP_RULES(s->nsp, on_disconnecting);
	struct leaving leaving = { s, s->nsp->hub->leaving };

	if (!r->on_disconnecting)
		return;
	s->nsp->hub->leaving = &leaving;
	r->on_disconnecting(s, sio_str(reason), r->disconnecting_arg);
	s->nsp->hub->leaving = leaving.outer;
}

/* Has it said that it leaves, while it was paused?  Then its connection was not lost, but over. */
static bool has_left(const struct sio_socket *s)
{
	for (const struct held *h = s->held ? s->held->first : NULL; h; h = h->next)
		if (h->packet.type == PACKET_DISCONNECT)
			return true;
	return false;
}

void socket_end(struct sio_socket *s, const char *reason)
{
	struct sio_namespace *nsp = s->nsp;
	const struct nsp_rules *r;

	if (recover_is_loss(reason) && has_left(s))
		reason = "client namespace disconnect";
	held_drop(s);
	unlink_socket(s);
	tell_disconnecting(s, reason);
	recover_end(s, reason);
	room_leave_all(s);
	ask_end(s);
	r = NSP_RULES(nsp, on_disconnect);
	if (r->on_disconnect)
		r->on_disconnect(s, sio_str(reason), r->disconnect_arg);
	nsp_relax(nsp);
	/* Whoever ended it may be a handler of it that goes on: hub_reap drops our reference. */
	s->next = nsp->hub->ended;
	nsp->hub->ended = s;
}

void hub_reap(struct hub *hub)
{
	while (hub->ended) {
		struct sio_socket *s = hub->ended;
		hub->ended = s->next;
		sio_socket_unref(s);
	}
}

/* ---- events in --------------------------------------------------------------------- */

/* Is there a token for one more event?  If not, *retry_ms says when. */
static bool take_token(struct sio_socket *s, uint32_t *retry_ms)
{
	const struct hub_limits *l = &s->nsp->hub->limits;
	uint32_t now = (uint32_t)s->nsp->hub->engine->now_ms;
	uint64_t tokens = s->tokens + (uint64_t)(now - s->refilled_ms) * l->events_per_second;
	uint64_t max = (uint64_t)l->events_burst * 1000;

	if (!l->events_per_second)
		return true;
	s->refilled_ms = now;
	s->tokens = (uint32_t)(tokens < max ? tokens : max);
	if (s->tokens >= 1000) {
		s->tokens -= 1000;
		return true;
	}
	*retry_ms = (1000 - s->tokens) / l->events_per_second + 1;
	return false;
}

static void on_event(struct sio_socket *s, const struct packet *p, const sio_slice *attachments)
{
	struct hub *hub = s->nsp->hub;
	char decoded[256];
	struct sio_event event = {
		.name = p->name,
		.args = { p->data, attachments, p->attachments_n },
		.ack = p->id == PACKET_NO_ID ? SIO_ACK_NONE : p->id,
	};
	const struct nsp_rules *r = NSP_RULES(s->nsp, on_limited);
	uint32_t retry_ms;

	if (p->name.p[0] == '"') {
		event.name = sio_bytes(p->name.p + 1, p->name.n - 2);
		if (memchr(event.name.p, '\\', event.name.n)) {
			long n = sio_json_unquote(p->name, decoded, sizeof(decoded));
			event.name = sio_bytes(decoded, n < 0 ? 0 : (size_t)n);
		}
	}
	hub->events++;
	sio_socket_ref(s); /* whoever hears of it may end the socket */
	if (take_token(s, &retry_ms)) {
		rules_event(s, &event);
	} else {
		hub->limited++;
		if (r->on_limited)
			r->on_limited(s, &event, retry_ms, r->limited_arg);
	}
	sio_socket_unref(s);
}

static void dispatch(struct sio_socket *s, const struct packet *p, const sio_slice *attachments)
{
	if (p->type == PACKET_DISCONNECT)
		socket_end(s, "client namespace disconnect");
	else
		on_event(s, p, attachments);
}

static sio_slice put(char **at, sio_slice s)
{
	char *p = *at;

	if (s.n)
		memcpy(p, s.p, s.n);
	*at += s.n;
	return sio_bytes(p, s.n);
}

static struct held *held_new(const struct packet *p, const sio_slice *attachments, size_t bytes)
{
	struct held *h = malloc(bytes);
	char *at;

	if (!h)
		return NULL;
	*h = (struct held){ .n = bytes, .packet = *p };
	at = h->bytes;
	h->packet.name = put(&at, p->name);
	h->packet.data = put(&at, p->data);
	for (unsigned i = 0; i < p->attachments_n; i++)
		h->attachments[i] = put(&at, attachments[i]);
	return h;
}

/* false: too much is held already, or memory ran out. */
static bool hold(struct sio_socket *s, const struct packet *p, const sio_slice *attachments)
{
	size_t bytes = sizeof(struct held) + p->name.n + p->data.n;
	struct held *h;

	for (unsigned i = 0; i < p->attachments_n; i++)
		bytes += attachments[i].n;
	if (!s->held && !(s->held = calloc(1, sizeof(*s->held))))
		return false;
	if (!s->held->first)
		s->held->end = &s->held->first;
	if (s->held->bytes + bytes > s->nsp->hub->limits.max_payload_bytes)
		return false;
	h = held_new(p, attachments, bytes);
	if (!h)
		return false;
	*s->held->end = h;
	s->held->end = &h->next;
	s->held->bytes += bytes;
	return true;
}

void socket_packet(struct sio_socket *s, const struct packet *p, const sio_slice *attachments)
{
	if (s->paused_n == 0 && !s->held)
		dispatch(s, p, attachments);
	else if (!hold(s, p, attachments)) /* an event lost in silence would be worse than this end */
		eio_close(s->client->session, "forced close");
}

void sio_socket_pause(struct sio_socket *s)
{
	if (s->client)
		HUB_CHECK(s->nsp->hub);
	s->paused_n++;
}

/* Dispatch the oldest held event.  It is out of the queue by then, for its handler
 * may end the socket; what comes meanwhile queues up behind the others. */
static void release_one(struct sio_socket *s)
{
	struct held_queue *q = s->held;
	struct held *h = q->first;

	q->first = h->next;
	q->bytes -= h->n;
	s->paused_n++;
	dispatch(s, &h->packet, h->attachments);
	s->paused_n--;
	free(h);
}

void sio_socket_resume(struct sio_socket *s)
{
	if (s->paused_n == 0 || --s->paused_n > 0)
		return;
	if (s->client)
		HUB_CHECK(s->nsp->hub);
	sio_socket_ref(s); /* a handler may end the socket */
	while (s->paused_n == 0 && s->held && s->held->first)
		release_one(s);
	if (s->held && !s->held->first)
		held_drop(s);
	sio_socket_unref(s);
}

/* ---- the application's view ------------------------------------------------------------ */

sio_slice sio_socket_id(const struct sio_socket *s)
{
	return sio_bytes(s->id, SIO_ID_LEN);
}

struct sio_server *sio_socket_server(const struct sio_socket *s)
{
	return s->nsp->hub->server;
}

bool sio_socket_is_open(const struct sio_socket *s)
{
	return s->client != NULL;
}

void sio_socket_set_data(struct sio_socket *s, void *data)
{
	s->data = data;
}

void *sio_socket_data(const struct sio_socket *s)
{
	return s->data;
}

static void disconnect_one(struct sio_socket *s)
{
	struct packet p = { .type = PACKET_DISCONNECT, .nsp = sio_str(s->nsp->name), .id = PACKET_NO_ID };
	struct hub_client *c = s->client;
	bool is_told = emit_packet(c, &p, NULL) == SIO_OK;

	c->was_disconnected = true;
	socket_end(s, "server namespace disconnect");
	if (!is_told) /* it would take itself for connected */
		eio_close(c->session, "forced close");
}

void sio_socket_disconnect(struct sio_socket *s, bool close_session)
{
	struct hub_client *c = s->client;

	if (!c)
		return;
	HUB_CHECK(c->hub);
	disconnect_one(s);
	if (!close_session)
		return;
	while (c->sockets) /* each connected namespace is told, then the session ends */
		disconnect_one(c->sockets);
	eio_close(c->session, "forced close");
}

void sio_socket_close_transport(struct sio_socket *s)
{
	if (!s->client)
		return;
	HUB_CHECK(s->client->hub);
	eio_close(s->client->session, "forced close");
}
