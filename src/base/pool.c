/* pool.c -- see pool.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "base/pool.h"

#include <stdlib.h>

void pool_init(struct pool *p, size_t size, size_t idle_max)
{
	*p = (struct pool){ .size = size < sizeof(void *) ? sizeof(void *) : size, .idle_max = idle_max };
}

void pool_fini(struct pool *p)
{
	pool_trim(p, 0);
}

void *pool_take(struct pool *p)
{
	void *block = p->idle;

	if (block) {
		p->idle = *(void **)block;
		p->idle_n--;
		if (p->idle_n < p->idle_low)
			p->idle_low = p->idle_n;
		return block;
	}
	p->mallocs++;
	return malloc(p->size);
}

void pool_give(struct pool *p, void *block)
{
	if (p->idle_n >= p->idle_max) {
		free(block);
		return;
	}
	*(void **)block = p->idle;
	p->idle = block;
	p->idle_n++;
}

void pool_trim(struct pool *p, size_t keep)
{
	while (p->idle_n > keep) {
		void *block = p->idle;
		p->idle = *(void **)block;
		p->idle_n--;
		free(block);
	}
}

void pool_relax(struct pool *p, size_t keep)
{
	if (p->idle_low > keep)
		pool_trim(p, p->idle_n - (p->idle_low - keep));
	p->idle_low = p->idle_n;
}
