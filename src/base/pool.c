/* pool.c -- see pool.h.
 *
 * A block finds its slab by its address: slabs are aligned to their size.  A slab is
 * on the partial list, on the empty list, or, when no block of it is idle, on none.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "base/pool.h"

#include <assert.h>
#include <stdbool.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define POOL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_ASAN 1
#endif
#endif
#ifdef POOL_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum { POOL_ALIGN = 16 };

struct pool_slab {
	struct pool_slab *next, **prev; /* of its list */
	void *idle;                     /* given back, linked through the first word */
	uint32_t cut_n;                 /* blocks cut off so far */
	uint32_t used_n;                /* of these in use */
};

static size_t first_block(void)
{
	return (sizeof(struct pool_slab) + POOL_ALIGN - 1) / POOL_ALIGN * POOL_ALIGN;
}

static uint32_t blocks_of(const struct pool *p)
{
	return (uint32_t)((POOL_SLAB_BYTES - first_block()) / p->size);
}

static struct pool_slab *slab_of(void *block)
{
	return (struct pool_slab *)((uintptr_t)block & ~(uintptr_t)(POOL_SLAB_BYTES - 1));
}

static void slab_link(struct pool_slab **list, struct pool_slab *slab)
{
	slab->next = *list;
	slab->prev = list;
	if (slab->next)
		slab->next->prev = &slab->next;
	*list = slab;
}

static void slab_unlink(struct pool_slab *slab)
{
	*slab->prev = slab->next;
	if (slab->next)
		slab->next->prev = slab->prev;
}

void pool_init(struct pool *p, size_t size)
{
	size = size < sizeof(void *) ? sizeof(void *) : size;
	*p = (struct pool){ .size = (size + POOL_ALIGN - 1) / POOL_ALIGN * POOL_ALIGN };
	assert(p->size <= POOL_SLAB_BYTES / 2);
}

/* Map twice the size and unmap what lies outside the aligned half. */
static struct pool_slab *slab_new(struct pool *p)
{
	size_t bytes = (size_t)2 * POOL_SLAB_BYTES, before;
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct pool_slab *slab;

	if (at == MAP_FAILED)
		return NULL;
	before = (size_t)(-(uintptr_t)at & (POOL_SLAB_BYTES - 1));
	if (before)
		munmap(at, before);
	munmap(at + before + POOL_SLAB_BYTES, bytes - before - POOL_SLAB_BYTES);
	slab = (struct pool_slab *)(void *)(at + before);
	*slab = (struct pool_slab){ 0 };
	p->slabs_total++;
	return slab;
}

static void slab_free(struct pool *p, struct pool_slab *slab)
{
	slab_unlink(slab);
	p->empty_n--;
	ASAN_UNPOISON_MEMORY_REGION(slab, POOL_SLAB_BYTES);
	munmap(slab, POOL_SLAB_BYTES);
}

void pool_fini(struct pool *p)
{
	while (p->empty)
		slab_free(p, p->empty);
	assert(!p->partial);
}

/* A slab with an idle block, on the partial list. */
static struct pool_slab *slab_find(struct pool *p)
{
	struct pool_slab *slab = p->empty;

	if (p->partial)
		return p->partial;
	if (slab) {
		slab_unlink(slab);
		if (--p->empty_n < p->empty_low)
			p->empty_low = p->empty_n;
	} else {
		slab = slab_new(p);
	}
	if (slab)
		slab_link(&p->partial, slab);
	return slab;
}

void *pool_take(struct pool *p)
{
	struct pool_slab *slab = slab_find(p);
	void *block;

	if (!slab)
		return NULL;
	block = slab->idle;
	if (block) {
		ASAN_UNPOISON_MEMORY_REGION(block, p->size);
		slab->idle = *(void **)block;
	} else {
		block = (char *)slab + first_block() + slab->cut_n++ * p->size;
	}
	slab->used_n++;
	if (!slab->idle && slab->cut_n == blocks_of(p))
		slab_unlink(slab);
	return block;
}

void pool_give(struct pool *p, void *block)
{
	struct pool_slab *slab = slab_of(block);
	bool was_full = !slab->idle && slab->cut_n == blocks_of(p);

	*(void **)block = slab->idle;
	slab->idle = block;
	ASAN_POISON_MEMORY_REGION(block, p->size);
	if (was_full)
		slab_link(&p->partial, slab);
	if (--slab->used_n > 0)
		return;
	slab_unlink(slab);
	slab_link(&p->empty, slab);
	p->empty_n++;
}

void pool_relax(struct pool *p)
{
	for (uint32_t n = p->empty_low; n > 1; n--)
		slab_free(p, p->empty);
	p->empty_low = p->empty_n;
}
