/* pool.h -- blocks of one size, kept for the next user.
 *
 * The message path takes and gives blocks all the time; a pool hands back what
 * was given last, so that a steady load allocates nothing.  pool_trim returns
 * the idle ones to malloc.  One thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

struct pool {
	size_t size;        /* bytes of a block */
	void *idle;         /* singly linked through the first word */
	size_t idle_n;
	size_t idle_max;    /* more than this go back to malloc */
	size_t idle_low;    /* the fewest idle ones since the last pool_relax */
	uint64_t mallocs;   /* how often malloc was asked, since the start */
};

void pool_init(struct pool *p, size_t size, size_t idle_max);
void pool_fini(struct pool *p);       /* frees the idle blocks; all must have been given back */
void *pool_take(struct pool *p);      /* uninitialised; NULL when out of memory */
void pool_give(struct pool *p, void *block);
void pool_trim(struct pool *p, size_t keep);

/* Give back what nobody needed since the last call, all but keep.  Called at long
 * intervals it frees what a burst left behind and leaves a steady load alone. */
void pool_relax(struct pool *p, size_t keep);

#endif
