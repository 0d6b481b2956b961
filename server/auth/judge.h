/* judge.h -- whose token is it, on one loop; and the tokens that wait for their key.
 *
 * A judge is a verifier (token.h) and, with JWT_JWKS_URL, the issuer's keys of the moment.  A
 * token whose key is not among them may wait, without holding up the loop, until the issuer
 * was asked again: then it is judged once more.  At most JUDGE_WAITS_MAX wait, each at most
 * JWKS_WAIT_MS.  Loop thread of its server.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef AUTH_JUDGE_H
#define AUTH_JUDGE_H

#include <sio/work.h>

#include "auth/token.h"

struct issuer;
struct judge;
struct sio_server;

enum {
	JUDGE_WAITS_MAX = 1000, /* tokens that wait at once on one loop */
	JUDGE_TURN_MAX = 64,    /* of these are judged again in one turn of the loop */
};

/* A token that waits; all zero before the first judge_await.  It lives until fn has been called. */
struct judge_wait {
	struct judge_wait *next, **prev; /* private */
	struct sio_timer timer;          /* private */
	struct judge *judge;             /* private */
	uint64_t due_ms;                 /* private */
	void (*fn)(struct judge_wait *wait);
};

/* verifier is borrowed; so is issuer, NULL: keys never change.  Call it before issuer_start.  Returns 0 and
 * *out, or SIO_ERR_NOMEM. */
SIO_MUST_CHECK int judge_new(struct sio_server *server, struct token_verifier *verifier, struct issuer *issuer, struct judge **out);
void judge_free(struct judge *judge); /* ends it; NULL is allowed */
/* The server is about to go: nobody waits any longer, fn of each is called. */
void judge_end(struct judge *judge);

/* Check a token now (token_verify). */
SIO_MUST_CHECK enum token_status judge_token(struct judge *judge, sio_slice token, struct token_claims *out);

/* What becomes of a token that was found TOKEN_KEY_UNKNOWN:
 *   TOKEN_WAITING      fn is called once, later, when it is to be judged again;
 *   TOKEN_INVALID      no fetch is to be had that could bring the key;
 *   TOKEN_UNAVAILABLE  nothing can be said of it now: no keys were ever had, too many wait, or the end is near.
 * A wait that was called may be handed in again: its time goes on. */
SIO_MUST_CHECK enum token_status judge_await(struct judge *judge, struct judge_wait *wait, void (*fn)(struct judge_wait *wait));

#endif
