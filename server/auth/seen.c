/* seen.c -- see seen.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "auth/seen.h"

#include <string.h>

#include <sodium.h>

#include "base/random.h"

void seen_init(struct seen *seen)
{
	memset(seen, 0, sizeof(*seen));
	random_bytes(seen->key, sizeof(seen->key));
}

static size_t place(const unsigned char hash[SEEN_HASH_BYTES])
{
	return (hash[0] | (size_t)hash[1] << 8) % SEEN_N;
}

bool seen_look(const struct seen *seen, sio_slice token, unsigned char hash[SEEN_HASH_BYTES])
{
	crypto_generichash(hash, SEEN_HASH_BYTES, (const unsigned char *)token.p, token.n, seen->key, sizeof(seen->key));
	return memcmp(seen->hashes[place(hash)], hash, SEEN_HASH_BYTES) == 0;
}

void seen_keep(struct seen *seen, const unsigned char hash[SEEN_HASH_BYTES])
{
	memcpy(seen->hashes[place(hash)], hash, SEEN_HASH_BYTES);
}
