/* seen.h -- tokens whose signature was found good, so that it is checked once.
 *
 * Kept is a keyed hash of the whole token, signature included: another token has another
 * hash, whatever it says.  Under one key a signature stays good, so nothing here grows
 * old; whoever changes keys or algorithms makes a new verifier, and a new memory with it.
 * Refuses to know what is in a token: times and claims are read anew at each check.
 *
 * Bounded: each hash has one place out of SEEN_N, and a later one takes it over.  One thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef AUTH_SEEN_H
#define AUTH_SEEN_H

#include <stdbool.h>

#include <sio/slice.h>

enum {
	SEEN_N = 1024,        /* tokens */
	SEEN_HASH_BYTES = 32,
};

struct seen {
	unsigned char key[SEEN_HASH_BYTES];
	unsigned char hashes[SEEN_N][SEEN_HASH_BYTES]; /* all zero: nobody's */
};

void seen_init(struct seen *seen); /* no token is known */
/* Is it known?  Its hash, for seen_keep. */
bool seen_look(const struct seen *seen, sio_slice token, unsigned char hash[SEEN_HASH_BYTES]);
void seen_keep(struct seen *seen, const unsigned char hash[SEEN_HASH_BYTES]);

#endif
