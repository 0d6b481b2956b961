/* pool.h -- blocks of one size, kept for the next user.
 *
 * The message path takes and gives blocks all the time; a pool hands back what
 * was given last, so that a steady load allocates nothing.  Blocks are cut from
 * slabs of the system's pages: what a burst needed leaves no holes between memory
 * that stays, and goes back whole when pool_relax finds it unused.  Under
 * AddressSanitizer an idle block is poisoned.  One thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

enum { POOL_SLAB_BYTES = 131072 }; /* its address is a multiple of it, too */

struct pool_slab;

struct pool {
	size_t size;               /* bytes of a block */
	struct pool_slab *partial; /* have idle blocks, and blocks in use */
	struct pool_slab *empty;   /* all blocks idle */
	uint32_t empty_n;
	uint32_t empty_low;        /* the fewest empty ones since the last pool_relax */
	uint64_t slabs_total;      /* how often the system was asked for pages */
};

/* size is at most POOL_SLAB_BYTES / 2. */
void pool_init(struct pool *p, size_t size);
void pool_fini(struct pool *p);       /* all blocks must have been given back */
void *pool_take(struct pool *p);      /* uninitialised; NULL when out of memory */
void pool_give(struct pool *p, void *block);

/* Give back the slabs that nobody needed since the last call, all but one.  Called at
 * long intervals it frees what a burst left behind and leaves a steady load alone. */
void pool_relax(struct pool *p);

#endif
