/* client.c -- one Engine.IO session as Socket.IO sees it: packets in, connecting.
 *
 * Sections refer to the project's reference of Socket.IO protocol revision 5.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <stdlib.h>

#include "hub/hub.h"

enum {
	PARTIAL_FACTOR = 4,  /* attachments together: at most this many payloads */
	REFUSALS_MAX = 100,  /* of one client, then its session is closed */
};

/* A binary packet whose attachments are on their way (section 3). */
struct hub_partial {
	struct sio_timer timer;
	struct hub_client *client;
	struct packet packet;         /* slices into text */
	sio_slice attachments[SIO_ATTACHMENTS_MAX];
	unsigned got_n;
	size_t bytes;
	char text[];
};

static const sio_slice invalid_namespace = { "Invalid namespace", 17 };

/* Everything a client does against the protocol ends here: the session closes. */
static void client_fault(struct hub_client *c)
{
	c->hub->engine->parse_errors++;
	eio_close(c->session, "parse error");
}

/* ---- opening ------------------------------------------------------------------- */

void hub_opening_unref(struct hub_opening *o)
{
	if (--o->refs > 0)
		return;
	if (o->pool)
		pool_give(o->pool, o);
	else
		free(o);
}

static void opening_drop(struct hub_client *c)
{
	struct hub_opening *o = c->opening;

	if (!o)
		return;
	wheel_del(&o->timer);
	o->client = NULL;
	c->opening = NULL;
	hub_opening_unref(o);
}

/* A namespace is connected: the deadline is over. */
static void opening_settle(struct hub_client *c)
{
	if (c->opening && c->hub->limits.keeps_facts)
		wheel_del(&c->opening->timer);
	else
		opening_drop(c);
}

static void on_connect_timeout(struct sio_timer *timer)
{
	struct hub_opening *o = MAP_OWNER(timer, struct hub_opening, timer);

	eio_close(o->client->session, "forced close");
}

void hub_client_open(struct hub_client *c, struct hub *hub, struct eio_session *session, struct hub_opening *opening)
{
	*c = (struct hub_client){ .hub = hub, .session = session, .opening = opening };
	opening->client = c;
	wheel_set(hub->engine->wheel, &opening->timer, hub->engine->now_ms + hub->limits.connect_timeout_ms,
		  on_connect_timeout);
}

static struct sio_socket *client_socket(const struct hub_client *c, sio_slice nsp)
{
	for (struct sio_socket *s = c->sockets; s; s = s->next)
		if (sio_slice_eq(sio_str(s->nsp->name), nsp))
			return s;
	return NULL;
}

/* By name, for the namespace may have been closed since, and made anew. */
static bool client_is_asking(const struct hub_client *c, sio_slice nsp)
{
	for (struct sio_connect *r = c->asking; r; r = r->next)
		if (sio_slice_eq(sio_str(r->nsp->name), nsp))
			return true;
	return false;
}

static void emit_refusal(struct hub_client *c, sio_slice nsp, sio_slice message, sio_slice data)
{
	struct buf b = { 0 };
	struct packet p = { .type = PACKET_CONNECT_ERROR, .nsp = nsp, .id = PACKET_NO_ID };

	c->hub->refused++;
	if (c->refused_n++ == REFUSALS_MAX) {
		client_fault(c);
		return;
	}
	buf_str(&b, "{\"message\":");
	buf_json(&b, message);
	if (data.n) {
		buf_str(&b, ",\"data\":");
		buf_slice(&b, data);
	}
	buf_byte(&b, '}');
	p.data = buf_peek(&b);
	if (b.failed || emit_packet(c, &p, NULL) < 0) /* without an answer it would wait for ever */
		eio_close(c->session, "forced close");
	buf_fini(&b);
}

static void connect_free(struct sio_connect *req)
{
	struct sio_namespace *nsp = req->nsp;

	if (req->client) {
		struct sio_connect **at = &req->client->asking;
		while (*at != req)
			at = &(*at)->next;
		*at = req->next;
	}
	if (req->opening)
		hub_opening_unref(req->opening);
	recover_give_back(req->hub, req->saved);
	buf_fini(&req->auth);
	free(req);
	nsp->asking_n--;
	nsp_relax(nsp);
	nsp_unref(nsp);
}

/* NULL: no memory; nsp may be gone then. */
static struct sio_connect *connect_new(struct hub_client *c, struct sio_namespace *nsp, sio_slice auth)
{
	struct sio_connect *req = calloc(1, sizeof(*req));

	if (!req) {
		nsp_relax(nsp);
		return NULL;
	}
	*req = (struct sio_connect){ .client = c, .hub = c->hub, .nsp = nsp, .opening = c->opening, .next = c->asking };
	if (req->opening)
		req->opening->refs++;
	nsp->refs++;
	nsp->asking_n++;
	c->asking = req;
	buf_slice(&req->auth, auth);
	if (!req->auth.failed)
		return req;
	connect_free(req);
	return NULL;
}

static unsigned count_namespaces(const struct hub_client *c)
{
	unsigned n = 0;

	for (const struct sio_socket *s = c->sockets; s; s = s->next)
		n++;
	for (const struct sio_connect *r = c->asking; r; r = r->next)
		n++;
	return n;
}

static void on_connect(struct hub_client *c, const struct packet *p)
{
	sio_slice auth = p->data.n ? p->data : SIO_LIT("{}");
	struct sio_namespace *nsp;
	struct sio_connect *req;
	int err;

	if (count_namespaces(c) >= SIO_CLIENT_NAMESPACES_MAX) {
		emit_refusal(c, p->nsp, SIO_LIT("Too many namespaces"), sio_bytes("", 0));
		return;
	}
	if (client_socket(c, p->nsp) || client_is_asking(c, p->nsp)) {
		client_fault(c);
		return;
	}
	err = nsp_of_client(c->hub, p->nsp, auth, &nsp);
	if (!eio_is_open(c->session)) { /* the application ended it when asked */
		if (nsp)
			nsp_relax(nsp);
		return;
	}
	if (err < 0 && err != SIO_ERR_NOMEM) {
		emit_refusal(c, p->nsp, invalid_namespace, sio_bytes("", 0));
		return;
	}
	req = nsp ? connect_new(c, nsp, auth) : NULL;
	if (req)
		recover_ask(req);
	else
		eio_close(c->session, "forced close");
}

void sio_connect_next(struct sio_connect *req)
{
	HUB_CHECK(req->hub);
	if (!sio_connect_is_open(req))
		connect_free(req);
	else if (req->nsp->is_closed)
		sio_connect_refuse(req, invalid_namespace, sio_bytes("", 0));
	else
		rules_connect(req);
}

/* The CONNECT answer; everything emitted to the socket follows it. */
static int emit_connect(struct hub_client *c, const struct sio_socket *s)
{
	char answer[64 + SIO_ID_LEN];
	sio_slice pid = recover_pid(s);
	int n = snprintf(answer, sizeof(answer), pid.n ? "{\"sid\":\"%.*s\",\"pid\":\"%.*s\"}" : "{\"sid\":\"%.*s\"}",
			 SIO_ID_LEN, s->id, (int)pid.n, pid.p);
	struct packet p = {
		.type = PACKET_CONNECT,
		.nsp = sio_str(s->nsp->name),
		.id = PACKET_NO_ID,
		.data = sio_bytes(answer, (size_t)n),
	};

	return emit_packet(c, &p, NULL);
}

struct sio_socket *sio_connect_accept(struct sio_connect *req)
{
	struct hub_client *c = req->client;
	struct saved *saved;
	struct sio_socket *s = NULL;

	HUB_CHECK(req->hub);
	if (!sio_connect_is_open(req)) {
		connect_free(req);
		return NULL;
	}
	if (req->nsp->is_closed) {
		sio_connect_refuse(req, invalid_namespace, sio_bytes("", 0));
		return NULL;
	}
	if (req->saved && sio_sockets_find(req->nsp, recover_sid(req->saved)))
		sio_connect_forget(req); /* somebody has that id */
	saved = req->saved;
	if (saved || recover_ids(req) == SIO_OK)
		s = socket_new(c, req->nsp, saved ? recover_sid(saved).p : req->has_ids ? req->sid : NULL);
	if (s && (recover_begin(s, req) < 0 || emit_connect(c, s) < 0)) {
		socket_cancel(s);
		s = NULL;
	}
	if (s)
		req->saved = NULL;
	connect_free(req);
	if (!s) {
		eio_close(c->session, "forced close");
		return NULL;
	}
	opening_settle(c);
	if (saved)
		recover_replay(s, saved);
	return s;
}

void sio_connect_refuse(struct sio_connect *req, sio_slice message, sio_slice data)
{
	HUB_CHECK(req->hub);
	/* message and data may be slices of what req holds. */
	if (sio_connect_is_open(req))
		emit_refusal(req->client, sio_str(req->nsp->name), message, data);
	connect_free(req);
}

void sio_connect_close(struct sio_connect *req)
{
	struct hub_client *c = req->client;

	HUB_CHECK(req->hub);
	connect_free(req);
	if (c)
		eio_close(c->session, "forced close");
}

sio_slice sio_connect_auth(const struct sio_connect *req)
{
	return buf_peek(&req->auth);
}

sio_slice sio_connect_header(const struct sio_connect *req, const char *name)
{
	return req->opening ? sio_facts_header(sio_connect_facts(req), name) : sio_bytes("", 0);
}

sio_slice sio_connect_url(const struct sio_connect *req)
{
	return req->opening ? req->opening->url : sio_bytes("", 0);
}

sio_slice sio_connect_address(const struct sio_connect *req)
{
	return req->opening ? req->opening->address : sio_bytes("", 0);
}

bool sio_connect_is_secure(const struct sio_connect *req)
{
	return req->opening && req->opening->is_secure;
}

struct sio_server *sio_connect_server(const struct sio_connect *req)
{
	return req->hub->server;
}

bool sio_connect_is_open(const struct sio_connect *req)
{
	return req->client && eio_is_open(req->client->session);
}

/* ---- binary packets ------------------------------------------------------------------ */

static void partial_drop(struct hub_client *c)
{
	struct hub_partial *part = c->partial;

	if (!part)
		return;
	wheel_del(&part->timer);
	for (unsigned i = 0; i < part->got_n; i++)
		free((void *)(uintptr_t)part->attachments[i].p);
	free(part);
	c->partial = NULL;
}

static void on_partial_timeout(struct sio_timer *timer)
{
	client_fault(MAP_OWNER(timer, struct hub_partial, timer)->client);
}

static void partial_begin(struct hub_client *c, const char *data, size_t n)
{
	struct hub_partial *part = malloc(sizeof(*part) + n);

	if (!part) {
		eio_close(c->session, "forced close");
		return;
	}
	memset(part, 0, sizeof(*part));
	memcpy(part->text, data, n);
	part->client = c;
	c->partial = part;
	/* Read again, so that the slices point into the copy. */
	if (packet_read(sio_bytes(part->text, n), SIO_ATTACHMENTS_MAX, &part->packet) < 0) {
		client_fault(c);
		return;
	}
	wheel_set(c->hub->engine->wheel, &part->timer, c->hub->engine->now_ms + c->hub->limits.partial_timeout_ms,
		  on_partial_timeout);
}

static void on_packet(struct hub_client *c, const struct packet *p, const sio_slice *attachments);

static void on_attachment(struct hub_client *c, const char *data, size_t n)
{
	struct hub_partial *part = c->partial;
	char *copy;

	if (!part) {
		client_fault(c); /* binary data that nothing announced */
		return;
	}
	part->bytes += n;
	if (part->bytes > (size_t)PARTIAL_FACTOR * c->hub->limits.max_payload_bytes) {
		client_fault(c);
		return;
	}
	copy = malloc(n ? n : 1);
	if (!copy) {
		eio_close(c->session, "forced close");
		return;
	}
	if (n)
		memcpy(copy, data, n);
	part->attachments[part->got_n++] = sio_bytes(copy, n);
	if (part->got_n < part->packet.attachments_n)
		return;
	c->partial = NULL; /* complete: a handler may end the client */
	wheel_del(&part->timer);
	on_packet(c, &part->packet, part->attachments);
	for (unsigned i = 0; i < part->got_n; i++)
		free((void *)(uintptr_t)part->attachments[i].p);
	free(part);
}

/* ---- packets in ------------------------------------------------------------------------ */

/* A whole packet of a connected namespace. */
static void on_packet(struct hub_client *c, const struct packet *p, const sio_slice *attachments)
{
	struct sio_socket *s = client_socket(c, p->nsp);

	if (!s) {
		/* Section 4.1: what we disconnected a moment ago may still have packets under way. */
		if (!c->was_disconnected)
			client_fault(c);
		return;
	}
	switch (p->type) {
	case PACKET_DISCONNECT:
	case PACKET_EVENT:
	case PACKET_BINARY_EVENT:
		socket_packet(s, p, attachments);
		return;
	default:
		ask_answered(s, p, attachments);
		return;
	}
}

void hub_message(struct hub_client *c, char *data, size_t n, bool is_binary)
{
	struct packet p;

	if (__builtin_expect(c->hub->trace != NULL, false))
		hub_trace_in(c, sio_bytes(data, n), is_binary);
	if (is_binary) {
		on_attachment(c, data, n);
		return;
	}
	if (c->partial || packet_read(sio_bytes(data, n), SIO_ATTACHMENTS_MAX, &p) < 0) {
		client_fault(c);
		return;
	}
	if (p.type == PACKET_CONNECT)
		on_connect(c, &p);
	else if (p.attachments_n == 0)
		on_packet(c, &p, NULL);
	else if (client_socket(c, p.nsp) || c->was_disconnected)
		partial_begin(c, data, n);
	else
		client_fault(c);
}

void hub_closed(struct hub_client *c, const char *reason)
{
	partial_drop(c);
	opening_drop(c);
	while (c->asking) {
		struct sio_connect *req = c->asking;
		c->asking = req->next;
		req->client = NULL;
		req->next = NULL;
	}
	while (c->sockets)
		socket_end(c->sockets, reason);
}
