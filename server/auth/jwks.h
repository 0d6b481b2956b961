/* jwks.h -- WHEN the keys of an issuer are fetched: the decisions, and nothing else.
 *
 *   at the start, again JWKS_AGE_MS after a fetch that went well; for a key that a token names
 *   and the set has not, at most once in JWKS_UNKNOWN_MS; after one that failed with back-off:
 *   soon while there is no set, with one not before JWKS_UNKNOWN_MS; at once for an operator.
 *
 * Time comes in as a number, chance as well.  No clock, thread or network in here.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef AUTH_JWKS_H
#define AUTH_JWKS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	JWKS_AGE_MS = 10 * 60 * 1000,  /* a set is fetched again when it is so old */
	JWKS_UNKNOWN_MS = 30 * 1000,   /* one fetch for unknown keys in this time, whatever their number */
	JWKS_WAIT_MS = 5 * 1000,       /* how long who is asked may wait for a fetch */
	JWKS_RETRY_MS = 500,           /* first retry without a set; twice as long each time ... */
	JWKS_RETRY_MAX_MS = 15 * 1000, /* ... up to this */
};

struct jwks {
	uint64_t due_ms;      /* when the next fetch begins */
	uint64_t asked_ms;    /* when the last one for an unknown key was decided */
	bool was_asked;       /* there was one */
	bool has_keys;        /* a fetch went well once */
	bool is_running;
	unsigned failures;    /* in a row */
};

void jwks_init(struct jwks *jwks, uint64_t now_ms);
/* A token names a key that is not known.  true: a fetch runs, or begins within JWKS_WAIT_MS, that may
 * bring it. */
bool jwks_ask(struct jwks *jwks, uint64_t now_ms);
/* An operator wants them now. */
void jwks_hurry(struct jwks *jwks, uint64_t now_ms);
/* Is a fetch to begin?  Then it runs until jwks_end. */
bool jwks_begin(struct jwks *jwks, uint64_t now_ms);
/* It has ended, well: there is a set.  chance: any number, so that servers do not go in step. */
void jwks_end(struct jwks *jwks, uint64_t now_ms, bool is_good, uint32_t chance);

#endif
