/* limit.c -- see limit.h.
 *
 * A bucket keeps not its level but the time at which it will be full again: one
 * number that needs no upkeep.  Buckets hang in a list by their last use; a full
 * one is worth nothing, so the end of the list may always give way.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "auth/limit.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"

enum { KEY_MAX = 255, KIND_MAX = 16 };
enum { BURST_DEFAULT = 10, REFILL_DEFAULT_MS = 6000, KEYS_DEFAULT = 10000 };

struct bucket {
	struct map_node node;
	struct bucket *newer, *older;
	uint64_t full_at_ms;
	char key[KIND_MAX + 1 + KEY_MAX]; /* kind ':' key */
};

struct limit {
	struct limit_options options;
	struct map buckets;
	struct bucket *newest, *oldest;
};

struct limit *limit_new(const struct limit_options *options)
{
	struct limit *limit = calloc(1, sizeof(*limit));

	if (!limit)
		return NULL;
	if (options)
		limit->options = *options;
	if (!limit->options.burst)
		limit->options.burst = BURST_DEFAULT;
	if (!limit->options.refill_ms)
		limit->options.refill_ms = REFILL_DEFAULT_MS;
	if (!limit->options.keys_max)
		limit->options.keys_max = KEYS_DEFAULT;
	map_init(&limit->buckets);
	return limit;
}

void limit_free(struct limit *limit)
{
	if (!limit)
		return;
	for (struct bucket *b = limit->newest, *next; b; b = next) {
		next = b->older;
		free(b);
	}
	map_fini(&limit->buckets);
	free(limit);
}

static void list_remove(struct limit *limit, struct bucket *b)
{
	*(b->newer ? &b->newer->older : &limit->newest) = b->older;
	*(b->older ? &b->older->newer : &limit->oldest) = b->newer;
}

static void list_add_newest(struct limit *limit, struct bucket *b)
{
	b->newer = NULL;
	b->older = limit->newest;
	*(limit->newest ? &limit->newest->newer : &limit->oldest) = b;
	limit->newest = b;
}

/* "kind:key" into out; returns it as a slice. */
static sio_slice full_key(const char *kind, sio_slice key, char out[KIND_MAX + 1 + KEY_MAX])
{
	size_t kind_n = strnlen(kind, KIND_MAX), key_n = key.n < KEY_MAX ? key.n : KEY_MAX;

	memcpy(out, kind, kind_n);
	out[kind_n] = ':';
	if (key_n)
		memcpy(out + kind_n + 1, key.p, key_n);
	return sio_bytes(out, kind_n + 1 + key_n);
}

static void drop(struct limit *limit, struct bucket *b)
{
	map_del(&limit->buckets, &b->node);
	list_remove(limit, b);
	free(b);
}

static struct bucket *add(struct limit *limit, sio_slice key)
{
	struct bucket *b;

	if (limit->buckets.n >= limit->options.keys_max)
		drop(limit, limit->oldest);
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	memcpy(b->key, key.p, key.n);
	if (map_put(&limit->buckets, &b->node, sio_bytes(b->key, key.n)) < 0) {
		free(b);
		return NULL;
	}
	list_add_newest(limit, b);
	return b;
}

uint64_t limit_take(struct limit *limit, const char *kind, sio_slice key, uint64_t now_ms)
{
	char text[KIND_MAX + 1 + KEY_MAX];
	sio_slice full = full_key(kind, key, text);
	struct map_node *node = map_get(&limit->buckets, full);
	struct bucket *b = node ? MAP_OWNER(node, struct bucket, node) : add(limit, full);
	uint64_t room_ms = (uint64_t)limit->options.burst * limit->options.refill_ms, full_at_ms;

	if (!b) /* without memory nobody logs in faster than the refill */
		return limit->options.refill_ms;
	list_remove(limit, b);
	list_add_newest(limit, b);
	full_at_ms = (b->full_at_ms > now_ms ? b->full_at_ms : now_ms) + limit->options.refill_ms;
	if (full_at_ms > now_ms + room_ms)
		return full_at_ms - now_ms - room_ms;
	b->full_at_ms = full_at_ms;
	return 0;
}

void limit_reset(struct limit *limit, const char *kind, sio_slice key)
{
	char text[KIND_MAX + 1 + KEY_MAX];
	struct map_node *node = map_get(&limit->buckets, full_key(kind, key, text));

	if (node)
		drop(limit, MAP_OWNER(node, struct bucket, node));
}
