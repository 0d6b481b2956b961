/* job.h -- accepted requests: their memory, and lists of them.
 *
 * Knows what a request is made of; refuses to know threads and who executes it.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef STORE_JOB_H
#define STORE_JOB_H

#include "store/backend.h"

struct job_list {
	struct store_job *first, **last;
};

void job_list_init(struct job_list *list);
void job_list_add(struct job_list *list, struct store_job *job);
/* The first n jobs, as a list of their own; NULL when there is none. */
struct store_job *job_list_take(struct job_list *list, uint32_t n);

/* A copy of the ask with its bytes behind it, and an empty answer.  NULL: out of memory. */
SIO_MUST_CHECK struct store_job *job_new(const struct store_ask *ask, uint64_t now_us);
void job_free(struct store_job *job);

#endif
