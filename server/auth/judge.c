/* judge.c -- see judge.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "auth/judge.h"

#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <sio/server.h>

#include "auth/issuer.h"
#include "auth/jwks.h"
#include "auth/keys.h"

struct judge {
	struct sio_server *server;
	struct token_verifier *verifier;
	struct issuer *issuer;     /* NULL: keys never change */
	uint64_t heard_n;          /* the issuer's fetches that we know of */
	bool has_keys, is_ending;
	struct judge_wait *waits;  /* for the next news */
	struct judge_wait *called; /* news have come: to be judged again */
	unsigned waits_n;          /* in both lists */
	bool is_calling;           /* the called ones are in hand */
};

static void link_to(struct judge_wait **list, struct judge_wait *wait)
{
	wait->next = *list;
	wait->prev = list;
	if (wait->next)
		wait->next->prev = &wait->next;
	*list = wait;
}

static void unlink_from(struct judge_wait *wait)
{
	*wait->prev = wait->next;
	if (wait->next)
		wait->next->prev = wait->prev;
}

/* Its turn has come. */
static void call(struct judge_wait *wait)
{
	unlink_from(wait);
	sio_timer_stop(&wait->timer);
	wait->judge->waits_n--;
	wait->fn(wait);
}

/* Some now, the others in later turns: a signature takes its time.  The loop is held up by
 * none of them. */
static void on_turn(void *arg)
{
	struct judge *judge = arg;

	for (unsigned i = 0; judge->called && i < JUDGE_TURN_MAX; i++)
		call(judge->called);
	judge->is_calling = judge->called && sio_server_post(judge->server, on_turn, judge) == 0; /* else their timers */
}

static void take_keys(struct judge *judge)
{
	struct keys *keys = issuer_keys(judge->issuer, &judge->heard_n);

	judge->has_keys = keys;
	token_verifier_set_keys(judge->verifier, keys);
	keys_unref(keys);
}

/* A fetch has ended. */
static void on_news(void *arg)
{
	struct judge *judge = arg;

	take_keys(judge);
	while (judge->waits) {
		struct judge_wait *wait = judge->waits;

		unlink_from(wait);
		link_to(&judge->called, wait);
	}
	if (!judge->is_calling)
		on_turn(judge);
}

int judge_new(struct sio_server *server, struct token_verifier *verifier, struct issuer *issuer, struct judge **out)
{
	struct judge *judge = calloc(1, sizeof(*judge));

	if (!judge)
		return SIO_ERR_NOMEM;
	*judge = (struct judge){ .server = server, .verifier = verifier, .issuer = issuer };
	if (issuer && issuer_join(issuer, server, on_news, judge) < 0) {
		free(judge);
		return SIO_ERR_NOMEM;
	}
	*out = judge;
	return SIO_OK;
}

void judge_end(struct judge *judge)
{
	judge->is_ending = true;
	while (judge->called)
		call(judge->called);
	while (judge->waits)
		call(judge->waits);
}

void judge_free(struct judge *judge)
{
	if (!judge)
		return;
	judge_end(judge);
	free(judge);
}

enum token_status judge_token(struct judge *judge, sio_slice token, struct token_claims *out)
{
	return token_verify(judge->verifier, token, (int64_t)time(NULL), out);
}

static void on_late(struct sio_timer *timer)
{
	struct judge_wait *wait = (struct judge_wait *)(void *)((char *)timer - offsetof(struct judge_wait, timer));

	take_keys(wait->judge); /* there may be news that could not be posted */
	call(wait);
}

enum token_status judge_await(struct judge *judge, struct judge_wait *wait, void (*fn)(struct judge_wait *wait))
{
	uint64_t now = sio_server_now_ms(judge->server);
	enum token_status otherwise = judge->has_keys || !judge->issuer ? TOKEN_INVALID : TOKEN_UNAVAILABLE;

	if (judge->is_ending || judge->waits_n >= JUDGE_WAITS_MAX)
		return TOKEN_UNAVAILABLE;
	if (wait->due_ms == 0)
		wait->due_ms = now + JWKS_WAIT_MS;
	if (!judge->issuer || wait->due_ms <= now || !issuer_ask(judge->issuer, judge->heard_n))
		return otherwise;
	wait->judge = judge;
	wait->fn = fn;
	judge->waits_n++;
	link_to(&judge->waits, wait);
	sio_timer_start(judge->server, &wait->timer, (uint32_t)(wait->due_ms - now), on_late);
	return TOKEN_WAITING;
}
