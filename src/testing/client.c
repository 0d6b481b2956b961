/* client.c -- the clients of a test: what they say, and what they have heard.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sio/json.h>

#include "testing/inner.h"

/* ---- connecting ------------------------------------------------------------------- */

static struct sio_test_client *client_new(struct peer *peer, const char *nsp, const char *auth_json)
{
	struct sio_test_client *client = calloc(1, sizeof(*client));
	struct sio_test_client **at = &peer->clients;

	if (!client)
		return NULL;
	client->peer = peer;
	client->end = &client->first;
	client->nsp = strdup(nsp && *nsp ? nsp : "/");
	client->auth = strdup(auth_json ? auth_json : "");
	if (!client->nsp || !client->auth || peer_ask(client) < 0) {
		client_free(client);
		return NULL;
	}
	while (*at)
		at = &(*at)->next;
	*at = client;
	return client;
}

struct sio_test_client *sio_test_connect_as(struct sio_server *server, const char *nsp, const char *auth_json,
					    const struct sio_test_handshake *handshake)
{
	static const struct sio_test_handshake usual = { 0 };
	struct testing *t = testing_of(server);
	struct peer *peer = t ? peer_new(t, handshake ? handshake : &usual) : NULL;
	struct sio_test_client *client = peer ? client_new(peer, nsp, auth_json) : NULL;

	if (peer && !client) /* nobody is left to use it */
		peer->pipe.is_ended = true;
	if (peer)
		testing_settle(t);
	return client;
}

struct sio_test_client *sio_test_connect(struct sio_server *server, const char *nsp, const char *auth_json)
{
	return sio_test_connect_as(server, nsp, auth_json, NULL);
}

struct sio_test_client *sio_test_connect_also(struct sio_test_client *client, const char *nsp, const char *auth_json)
{
	struct sio_test_client *also = client_new(client->peer, nsp, auth_json);

	testing_settle(client->peer->testing);
	return also;
}

bool sio_test_is_connected(const struct sio_test_client *client)
{
	return client->is_connected;
}

static void forget_current(struct sio_test_client *client)
{
	free(client->current);
	client->current = NULL;
}

void client_free(struct sio_test_client *client)
{
	forget_current(client);
	while (client->first) {
		struct heard *h = client->first;
		client->first = h->next;
		free(h);
	}
	buf_fini(&client->words);
	free(client->nsp);
	free(client->auth);
	free(client);
}

/* ---- saying -------------------------------------------------------------------------- */

static int say(struct sio_test_client *client, struct packet *p, const struct sio_args *args)
{
	int err;

	if (!client->is_connected)
		return SIO_ERR_CLOSED;
	if (args->attachments_n > SIO_ATTACHMENTS_MAX)
		return SIO_ERR_INVAL;
	p->nsp = sio_str(client->nsp);
	p->data = args->json;
	p->attachments_n = args->attachments_n;
	err = peer_send(client->peer, p, args->attachments);
	testing_settle(client->peer->testing);
	return err;
}

long sio_test_send(struct sio_test_client *client, sio_slice name, const struct sio_args *args, bool wants_ack)
{
	struct buf quoted = { 0 };
	struct packet p = { .type = args->attachments_n ? PACKET_BINARY_EVENT : PACKET_EVENT };
	uint64_t id = client->next_ack;
	int err;

	buf_json(&quoted, name);
	if (quoted.failed)
		return SIO_ERR_NOMEM;
	p.name = buf_peek(&quoted);
	p.id = wants_ack ? id : PACKET_NO_ID;
	client->next_ack += wants_ack; /* before it is said: an answer may come meanwhile */
	err = say(client, &p, args);
	if (err < 0)
		client->next_ack = id;
	buf_fini(&quoted);
	return err < 0 || !wants_ack ? err : (long)id;
}

long sio_test_ask(struct sio_test_client *client, const char *name, const char *args_json)
{
	struct sio_args args = sio_args_json(sio_str(args_json));

	return sio_test_send(client, sio_str(name), &args, true);
}

int sio_test_emit(struct sio_test_client *client, const char *name, const char *args_json)
{
	struct sio_args args = sio_args_json(sio_str(args_json));

	return (int)sio_test_send(client, sio_str(name), &args, false);
}

int sio_test_ack(struct sio_test_client *client, uint64_t ack, const char *args_json)
{
	struct packet p = { .type = PACKET_ACK, .id = ack };
	struct sio_args args = sio_args_json(sio_str(args_json));

	if (ack == SIO_ACK_NONE)
		return SIO_ERR_INVAL;
	return say(client, &p, &args);
}

void sio_test_lag(struct sio_test_client *client, size_t bytes)
{
	client->peer->pipe.takes = bytes;
	testing_settle(client->peer->testing);
}

/* ---- going ----------------------------------------------------------------------------- */

static bool has_others(const struct sio_test_client *client)
{
	for (const struct sio_test_client *c = client->peer->clients; c; c = c->next)
		if (c != client && (c->is_connected || c->is_asking))
			return true;
	return false;
}

static void leave(struct sio_test_client *client)
{
	struct packet p = { .type = PACKET_DISCONNECT, .nsp = sio_str(client->nsp), .id = PACKET_NO_ID };

	if (client->is_connected)
		peer_send(client->peer, &p, NULL);
	client->is_connected = client->is_asking = false;
	if (!has_others(client)) /* as stock clients do */
		peer_frame(client->peer, WS_CLOSE, sio_bytes("", 0));
}

void sio_test_end(struct sio_test_client *client, enum sio_test_ending how)
{
	struct peer *peer = client->peer;

	if (peer->is_over || peer->pipe.is_ended)
		return;
	switch (how) {
	case SIO_TEST_LEAVE:
		leave(client);
		break;
	case SIO_TEST_CLOSE:
		peer_frame(peer, WS_CLOSE, sio_bytes("\x03\xe9", 2)); /* 1001 */
		break;
	case SIO_TEST_CUT:
		peer->pipe.is_ended = true;
		break;
	case SIO_TEST_SILENT:
		peer->is_silent = true;
		break;
	case SIO_TEST_BABBLE:
		peer_frame(peer, WS_TEXT, SIO_LIT("4?"));
		break;
	}
	testing_settle(peer->testing);
}

/* ---- hearing ----------------------------------------------------------------------------- */

static sio_slice put(char **at, sio_slice s)
{
	char *p = *at;

	if (s.n)
		memcpy(p, s.p, s.n);
	*at += s.n;
	return sio_bytes(p, s.n);
}

/* The name stands in the packet as JSON text. */
static sio_slice unquoted(char *p, sio_slice name)
{
	long n = name.n && name.p[0] == '"' ? sio_json_unquote(name, p, name.n) : -1;

	return n >= 0 ? sio_bytes(p, (size_t)n) : name;
}

void client_hear(struct sio_test_client *client, const struct sio_test_event *event)
{
	size_t bytes = 2 * event->name.n + event->args.json.n;
	struct heard *h;
	char *at;

	for (unsigned i = 0; i < event->args.attachments_n; i++)
		bytes += event->args.attachments[i].n;
	h = malloc(sizeof(*h) + bytes);
	if (!h) {
		fprintf(stderr, "sio/testing.h: out of memory, a test cannot go on\n");
		abort();
	}
	*h = (struct heard){ .event = *event };
	at = h->bytes;
	h->event.name = put(&at, event->name);
	h->event.name = unquoted(at, h->event.name);
	at += event->name.n;
	h->event.args.json = put(&at, event->args.json);
	h->event.args.attachments = h->attachments;
	for (unsigned i = 0; i < event->args.attachments_n; i++)
		h->attachments[i] = put(&at, event->args.attachments[i]);
	*client->end = h;
	client->end = &h->next;
}

bool sio_test_next(struct sio_test_client *client, struct sio_test_event *out)
{
	struct heard *h;

	testing_settle(client->peer->testing); /* what was emitted outside of handlers */
	forget_current(client);
	h = client->first;
	if (!h)
		return false;
	client->first = h->next;
	if (!client->first)
		client->end = &client->first;
	client->current = h;
	*out = h->event;
	return true;
}

static void put_args(struct buf *out, const struct sio_args *args)
{
	buf_byte(out, '(');
	buf_slice(out, args->json);
	buf_byte(out, ')');
	for (unsigned i = 0; i < args->attachments_n; i++)
		buf_printf(out, " +%zu bytes", args->attachments[i].n);
}

static void put_words(struct buf *out, const struct sio_test_event *e)
{
	static const char *const words[] = {
		[SIO_TEST_CONNECTED] = "connected", [SIO_TEST_REFUSED] = "refused", [SIO_TEST_EVENT] = "",
		[SIO_TEST_ACK] = "ack ",            [SIO_TEST_BROKEN] = "broken",   [SIO_TEST_DISCONNECTED] = "disconnected",
		[SIO_TEST_CLOSED] = "closed",
	};

	buf_str(out, words[e->kind]);
	buf_slice(out, e->name);
	if (e->kind == SIO_TEST_ACK)
		buf_u64(out, e->ack);
	if (e->kind == SIO_TEST_CLOSED && e->code)
		buf_printf(out, " %d", e->code);
	if (e->kind == SIO_TEST_REFUSED || e->kind == SIO_TEST_EVENT || e->kind == SIO_TEST_ACK || e->kind == SIO_TEST_BROKEN)
		put_args(out, &e->args);
	if (e->kind == SIO_TEST_EVENT && e->ack != SIO_ACK_NONE)
		buf_printf(out, " wants ack %llu", (unsigned long long)e->ack);
}

const char *sio_test_heard(struct sio_test_client *client)
{
	struct sio_test_event e;

	buf_clear(&client->words);
	while (sio_test_next(client, &e)) {
		if (client->words.n)
			buf_str(&client->words, "; ");
		put_words(&client->words, &e);
	}
	buf_byte(&client->words, '\0');
	return client->words.failed ? "out of memory" : client->words.p;
}

void sio_test_expect(struct sio_test_client *client, const char *words, const char *file, int line)
{
	const char *heard = sio_test_heard(client);

	if (strcmp(heard, words) == 0)
		return;
	fprintf(stderr, "%s:%d: the client heard\n  %s\nand not\n  %s\n", file, line, *heard ? heard : "nothing", words);
	abort();
}
