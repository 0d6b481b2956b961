/* map.c -- see map.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"

enum {
	MAP_MIN = 16,
	MAP_LOAD = 2, /* nodes a bucket on average, at most: memory counts for more than one step */
};

static inline uint64_t rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

#define SIPROUND(a, b, c, d)                                                  \
	do {                                                                  \
		a += b, b = rotl(b, 13), b ^= a, a = rotl(a, 32);             \
		c += d, d = rotl(d, 16), d ^= c;                              \
		a += d, d = rotl(d, 21), d ^= a;                              \
		c += b, b = rotl(b, 17), b ^= c, c = rotl(c, 32);             \
	} while (0)

/* SipHash-2-4 of Aumasson and Bernstein, as its paper describes it. */
uint64_t map_hash(const uint64_t seed[2], const void *p, size_t n)
{
	const unsigned char *at = p;
	uint64_t a = seed[0] ^ 0x736f6d6570736575ULL, b = seed[1] ^ 0x646f72616e646f6dULL;
	uint64_t c = seed[0] ^ 0x6c7967656e657261ULL, d = seed[1] ^ 0x7465646279746573ULL;
	uint64_t word, last = (uint64_t)n << 56;
	size_t left = n;

	for (; left >= 8; left -= 8, at += 8) {
		memcpy(&word, at, 8);
		d ^= word;
		SIPROUND(a, b, c, d);
		SIPROUND(a, b, c, d);
		a ^= word;
	}
	for (size_t i = 0; i < left; i++)
		last |= (uint64_t)at[i] << (8 * i);
	d ^= last;
	SIPROUND(a, b, c, d);
	SIPROUND(a, b, c, d);
	a ^= last;
	c ^= 0xff;
	for (int i = 0; i < 4; i++)
		SIPROUND(a, b, c, d);
	return a ^ b ^ c ^ d;
}

void map_init(struct map *m)
{
	*m = (struct map){ 0 };
	random_bytes(m->seed, sizeof(m->seed));
}

void map_fini(struct map *m)
{
	free(m->buckets);
	m->buckets = NULL;
	m->mask = m->n = 0;
}

struct map_node *map_get(const struct map *m, sio_slice key)
{
	uint32_t hash;

	if (m->n == 0)
		return NULL;
	hash = (uint32_t)map_hash(m->seed, key.p, key.n);
	for (struct map_node *node = m->buckets[hash & m->mask]; node; node = node->next)
		if (node->hash == hash && node->key_n == key.n && memcmp(node->key, key.p, key.n) == 0)
			return node;
	return NULL;
}

static int map_grow(struct map *m)
{
	uint32_t cap = m->buckets ? (m->mask + 1) * 2 : MAP_MIN;
	struct map_node **buckets = calloc(cap, sizeof(struct map_node *));

	if (!buckets)
		return SIO_ERR_NOMEM;
	for (uint32_t i = 0; m->buckets && i <= m->mask; i++) {
		for (struct map_node *node = m->buckets[i], *next; node; node = next) {
			next = node->next;
			node->next = buckets[node->hash & (cap - 1)];
			buckets[node->hash & (cap - 1)] = node;
		}
	}
	free(m->buckets);
	m->buckets = buckets;
	m->mask = cap - 1;
	return SIO_OK;
}

int map_put(struct map *m, struct map_node *node, sio_slice key)
{
	if (!m->buckets || m->n / MAP_LOAD > m->mask) {
		/* A full table still works, only slower: growth may fail later on. */
		if (map_grow(m) < 0 && !m->buckets)
			return SIO_ERR_NOMEM;
	}
	node->key = key.p;
	node->key_n = (uint32_t)key.n;
	node->hash = (uint32_t)map_hash(m->seed, key.p, key.n);
	node->next = m->buckets[node->hash & m->mask];
	m->buckets[node->hash & m->mask] = node;
	m->n++;
	return SIO_OK;
}

void map_del(struct map *m, struct map_node *node)
{
	struct map_node **at = &m->buckets[node->hash & m->mask];

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	node->next = NULL;
	m->n--;
}

static struct map_node *map_scan(const struct map *m, uint32_t *i)
{
	for (; m->buckets && *i <= m->mask; ++*i)
		if (m->buckets[*i])
			return m->buckets[*i];
	return NULL;
}

struct map_node *map_first(const struct map *m, uint32_t *i)
{
	*i = 0;
	return map_scan(m, i);
}

struct map_node *map_next(const struct map *m, uint32_t *i, struct map_node *node)
{
	if (node->next)
		return node->next;
	++*i;
	return map_scan(m, i);
}
