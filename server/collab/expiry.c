/* expiry.c -- a connection lasts no longer than its token, unless it is refreshed.
 *
 *   connected --(token_warning_ms before the end)--> warned --(the end)--> closed
 *        ^------------------ auth:refresh ------------|
 *
 * The end is kept in the server's own time, so a clock that is set back does not
 * prolong a token.  At the end the transport is closed, not the namespace: a stock
 * client whose auth is a function comes back by itself, with a fresh token.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "collab/client.h"

enum { EXPIRY_SLEEP_MAX_MS = 24 * 3600 * 1000 }; /* a timer's count is finite */

static void expiry_on_timer(struct sio_timer *timer);

/* When the token ends in the server's time.  One that has ended already but was
 * taken for the clocks' difference lasts as long as that allows. */
static uint64_t end_of(struct collab *collab, int64_t exp_s)
{
	int64_t now = collab_wall_ms(), left;

	if (exp_s > now / 1000 + INT32_MAX)
		return UINT64_MAX;
	left = exp_s * 1000 - now;
	if (left <= 0)
		left += collab->options.token_leeway_ms;
	return sio_server_now_ms(collab->server) + (uint64_t)(left > 0 ? left : 0);
}

static uint64_t left_ms(const struct client *client)
{
	uint64_t now = sio_server_now_ms(client->collab->server);

	return client->end_ms > now ? client->end_ms - now : 0;
}

static void expiry_end(struct client *client)
{
	log_info("Token expired: %.*s (user: %s)", SIO_ID_LEN, sio_socket_id(client->socket).p,
		 client->user->node.key);
	emit_error_event(client, "token_expired", "Token expired", sio_bytes("", 0));
	sio_socket_close_transport(client->socket);
}

static void expiry_warn(struct client *client, uint64_t left)
{
	struct buf b = { 0 };

	client->is_warned = true;
	emit_begin(&b);
	buf_printf(&b, "\"expires_in\":%llu", (unsigned long long)(left + 999) / 1000);
	emit_answer(client, SIO_ACK_NONE, "token:expiring", &b);
}

/* Do what is due and set the timer for what comes next. */
static void expiry_step(struct client *client)
{
	uint64_t left = left_ms(client), warning = client->collab->options.token_warning_ms;

	if (client->end_ms == UINT64_MAX || !sio_socket_is_open(client->socket)) {
		sio_timer_stop(&client->expiry);
		return;
	}
	if (left == 0) {
		expiry_end(client);
		return;
	}
	if (left > warning)
		left -= warning;
	if (left > EXPIRY_SLEEP_MAX_MS)
		left = EXPIRY_SLEEP_MAX_MS;
	sio_timer_start(client->collab->server, &client->expiry, (uint32_t)left, expiry_on_timer);
	if (left_ms(client) <= warning && !client->is_warned)
		expiry_warn(client, left_ms(client));
}

static void expiry_on_timer(struct sio_timer *timer)
{
	struct client *client = (struct client *)(void *)((char *)timer - offsetof(struct client, expiry));

	client_ref(client);
	expiry_step(client);
	client_unref(client);
}

void expiry_start(struct client *client, int64_t exp_s)
{
	client->end_ms = end_of(client->collab, exp_s);
	client->is_warned = false;
	expiry_step(client);
}

/* ---- auth:refresh ------------------------------------------------------------- */

static void refresh_fail(struct client *client, uint64_t ack, const char *code, const char *message)
{
	emit_error(client, ack, code, message, sio_bytes("", 0));
}

static void refresh_ok(struct client *client, uint64_t ack, int64_t exp_s)
{
	struct buf b = { 0 };
	uint64_t end = end_of(client->collab, exp_s);

	if (end > client->end_ms) { /* an older token does not shorten what was granted */
		client->end_ms = end;
		client->is_warned = false;
	}
	if (client->end_ms == UINT64_MAX) {
		emit_ok(client, ack);
	} else {
		emit_begin(&b);
		buf_printf(&b, "\"expires_in\":%llu", (unsigned long long)left_ms(client) / 1000);
		emit_answer(client, ack, NULL, &b);
	}
	expiry_step(client);
}

/* An auth:refresh whose token is signed with a key that is being fetched. */
struct renewal {
	struct judge_wait wait;
	struct client *client; /* referenced */
	uint64_t ack;
	char token[TOKEN_MAX + 1];
};

static void on_key(struct judge_wait *wait);

static void renewal_free(struct renewal *renewal)
{
	explicit_bzero(renewal->token, sizeof(renewal->token));
	client_unref(renewal->client);
	free(renewal);
}

/* One at a time: a client cannot fill the list of those who wait. */
static enum token_status await_key(struct client *client, uint64_t ack, sio_slice token)
{
	struct renewal *renewal = client->is_renewing ? NULL : calloc(1, sizeof(*renewal));
	enum token_status status;

	if (!renewal)
		return TOKEN_UNAVAILABLE;
	renewal->client = client_ref(client);
	renewal->ack = ack;
	memcpy(renewal->token, token.p, token.n);
	status = judge_await(client->collab->judge, &renewal->wait, on_key);
	client->is_renewing = status == TOKEN_WAITING;
	if (status != TOKEN_WAITING)
		renewal_free(renewal);
	return status;
}

/* The verdict is there. */
static void answer_refresh(struct client *client, uint64_t ack, enum token_status status, const struct token_claims *claims)
{
	if (status == TOKEN_OK && sio_slice_eq(sio_str(claims->user), presence_id(&client->user->node)))
		refresh_ok(client, ack, claims->exp_s);
	else if (status == TOKEN_OK)
		refresh_fail(client, ack, "user_mismatch", "The token is another user's: disconnect and connect again with it");
	else if (status == TOKEN_UNAVAILABLE)
		refresh_fail(client, ack, "unavailable", "The token cannot be checked now: try again later");
	else
		refresh_fail(client, ack, token_status_code(status),
			     status == TOKEN_MISSING ? "auth:refresh needs {\"token\": ...}" : "The token was not accepted");
}

static void on_key(struct judge_wait *wait)
{
	struct renewal *renewal = (struct renewal *)(void *)((char *)wait - offsetof(struct renewal, wait));
	struct client *client = renewal->client;
	struct token_claims claims;
	enum token_status status = judge_token(client->collab->judge, sio_str(renewal->token), &claims);

	if (!sio_socket_is_open(client->socket)) {
		renewal_free(renewal);
		return;
	}
	if (status == TOKEN_KEY_UNKNOWN)
		status = judge_await(client->collab->judge, wait, on_key);
	if (status == TOKEN_WAITING)
		return;
	client->is_renewing = false;
	answer_refresh(client, renewal->ack, status, &claims);
	renewal_free(renewal);
}

void expiry_on_refresh(struct client *client, const struct sio_event *event)
{
	struct sio_json_field field = { .key = "token" };
	struct token_claims claims;
	enum token_status status;
	char token[TOKEN_MAX + 1];
	long n = 0;

	token[0] = '\0';
	if (sio_json_pick(client_object(event), &field, 1) == 0 && field.type != SIO_JSON_NONE)
		n = sio_json_unquote(field.value, token, sizeof(token));
	if (n < 0) {
		refresh_fail(client, event->ack, "token_invalid", "The token is not a string of at most 8192 bytes");
		return;
	}
	status = judge_token(client->collab->judge, sio_bytes(token, (size_t)n), &claims);
	if (status == TOKEN_KEY_UNKNOWN)
		status = await_key(client, event->ack, sio_bytes(token, (size_t)n));
	if (status != TOKEN_WAITING)
		answer_refresh(client, event->ack, status, &claims);
}
