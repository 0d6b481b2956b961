/* map.h -- an intrusive hash table keyed by byte strings.
 *
 * The nodes live in their owners' structs, so an insert allocates nothing but
 * the bucket array, which grows by doubling.  The hash is seeded (SipHash-2-4) so
 * that strangers who choose keys cannot choose collisions.  One thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdint.h>

#include <sio/error.h>
#include <sio/slice.h>

struct map_node {
	struct map_node *next;
	uint32_t hash;
	uint32_t key_n;
	const char *key;  /* owned by the node's owner, unchanged while in the map */
};

struct map {
	struct map_node **buckets;
	uint32_t mask;    /* buckets - 1; 0 buckets: nothing allocated yet */
	uint32_t n;
	uint64_t seed[2];
};

void map_init(struct map *m);
void map_fini(struct map *m);                           /* does not touch the nodes */
struct map_node *map_get(const struct map *m, sio_slice key);
/* The key must not be in the map.  Returns 0 or SIO_ERR_NOMEM. */
SIO_MUST_CHECK int map_put(struct map *m, struct map_node *node, sio_slice key);
void map_del(struct map *m, struct map_node *node);     /* node must be in the map */
uint64_t map_hash(const uint64_t seed[2], const void *p, size_t n);

/* Visit all: for (node = map_first(m, &i); node; node = map_next(m, &i, node)).
 * The visited node may be deleted if its next is fetched first. */
struct map_node *map_first(const struct map *m, uint32_t *i);
struct map_node *map_next(const struct map *m, uint32_t *i, struct map_node *node);

#define MAP_OWNER(node, type, field) ((type *)(void *)((char *)(node) - offsetof(type, field)))

#endif
