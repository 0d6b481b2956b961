/* issuer.h -- the keys of JWT_JWKS_URL, for all loops of the process.
 *
 * One thread fetches, when jwks.h says so; one fetch at a time.  What it got is a set of keys
 * (keys.h) that the judges (judge.h) of the loops take over; each is told by a post to its
 * loop when a fetch has ended, whatever it brought.  A fetch that fails, or brings no set
 * with a key that can be used, leaves the old set as it is.
 *
 * Any thread, unless a call says otherwise.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef AUTH_ISSUER_H
#define AUTH_ISSUER_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/error.h>
#include <sio/work.h>

struct issuer;
struct keys;
struct sio_server;

enum {
	ISSUER_CONNECT_MS = 3000,  /* to a connection, TLS included */
	ISSUER_TOTAL_MS = 4500,    /* to the whole answer: less than who waits for it waits */
	ISSUER_LOOPS_MAX = 64,
	ISSUER_ERROR_MAX = 512,
};

/* The fetches of algorithms (JWT_ALGORITHMS) from url; copied.  Nothing is fetched yet.  Returns 0
 * and *out, SIO_ERR_INVAL (an algorithm) or SIO_ERR_NOMEM. */
SIO_MUST_CHECK int issuer_new(const char *url, const char *algorithms, struct issuer **out);
/* Fetch once, now, on this thread, and say in line what came.  For --check, before issuer_start.  Returns
 * whether there are keys. */
bool issuer_try(struct issuer *issuer, char line[ISSUER_ERROR_MAX]);

/* Tell that loop of each fetch that has ended: fn(arg), posted.  Before issuer_start. */
SIO_MUST_CHECK int issuer_join(struct issuer *issuer, struct sio_server *server, sio_post_fn *fn, void *arg);
/* Begin to fetch.  0 or SIO_ERR_SYSTEM. */
SIO_MUST_CHECK int issuer_start(struct issuer *issuer);
/* End the fetch under way and the thread: the loops hear nothing from now on.  Twice is once; NULL is allowed. */
void issuer_stop(struct issuer *issuer);
void issuer_free(struct issuer *issuer); /* stops it; NULL is allowed */

/* The set there is now, with a reference, or NULL; *fetches_n: fetches that have ended. */
struct keys *issuer_keys(struct issuer *issuer, uint64_t *fetches_n);
/* Somebody has heard of fetches_n fetches and does not know a key.  true: news are on their way, or a fetch
 * that may bring it runs or begins soon. */
bool issuer_ask(struct issuer *issuer, uint64_t fetches_n);
/* Fetch now: an operator says so. */
void issuer_hurry(struct issuer *issuer);

/* X(name, label): what a fetch ended with. */
#define ISSUER_RESULT_MAP(X)          \
	X(NEW, "new")                 \
	X(SAME, "same")               \
	X(UNREACHABLE, "unreachable") \
	X(STATUS, "status")           \
	X(UNUSABLE, "unusable")

enum issuer_result {
#define X(name, label) ISSUER_##name,
	ISSUER_RESULT_MAP(X)
#undef X
	ISSUER_RESULT_N,
};
const char *issuer_result_name(enum issuer_result result);

struct issuer_stats {
	uint64_t fetches[ISSUER_RESULT_N];
	unsigned keys;       /* in the set */
	uint64_t age_ms;     /* since the last fetch that went well; 0 without a set */
	bool has_keys;
	bool is_stale;       /* the last fetch failed: an old set is used */
};
void issuer_stats(struct issuer *issuer, struct issuer_stats *out);

#endif
