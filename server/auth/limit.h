/* limit.h -- how often may one try to log in?
 *
 * A token bucket per key; a key is a user name or an address (the caller asks for
 * both).  Pure: time comes in as now_ms.  The table is bounded: when it is full
 * the key that was quiet longest gives way.  One thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef AUTH_LIMIT_H
#define AUTH_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/error.h>
#include <sio/slice.h>

struct limit;

/* Zero means the default behind each field. */
struct limit_options {
	uint32_t burst;      /* 10: attempts at once */
	uint32_t refill_ms;  /* 6000: one more attempt each */
	uint32_t keys_max;   /* 10000 */
};

/* NULL when out of memory. */
struct limit *limit_new(const struct limit_options *options);
void limit_free(struct limit *limit); /* NULL is allowed */

/* Take one attempt of the key "kind:key".  Returns 0 (go on), or the milliseconds
 * until the next attempt is allowed (for Retry-After).  Keys longer than 255 bytes
 * count by their first 255.  kind is a short literal ("user", "address"). */
uint64_t limit_take(struct limit *limit, const char *kind, sio_slice key, uint64_t now_ms);

/* A success: the key's bucket is full again. */
void limit_reset(struct limit *limit, const char *kind, sio_slice key);

#endif
