/* job.c -- see job.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "store/job.h"

#include <stdlib.h>
#include <string.h>

void job_list_init(struct job_list *list)
{
	list->first = NULL;
	list->last = &list->first;
}

void job_list_add(struct job_list *list, struct store_job *job)
{
	job->next = NULL;
	*list->last = job;
	list->last = &job->next;
}

struct store_job *job_list_take(struct job_list *list, uint32_t n)
{
	struct store_job *first = list->first, **at = &list->first;

	while (*at && n-- > 0)
		at = &(*at)->next;
	list->first = *at;
	*at = NULL;
	if (!list->first)
		list->last = &list->first;
	return at == &list->first ? NULL : first;
}

static void slice_keep(sio_slice *s, char **at)
{
	if (s->n == 0) {
		*s = (sio_slice){ NULL, 0 };
		return;
	}
	memcpy(*at, s->p, s->n);
	s->p = *at;
	*at += s->n;
}

struct store_job *job_new(const struct store_ask *ask, uint64_t now_us)
{
	const sio_slice *in[] = { &ask->project, &ask->user, &ask->actor, &ask->item, &ask->body,
				  &ask->event, &ask->except_sid, &ask->secret, &ask->cursor, &ask->key };
	struct store_job *job;
	size_t bytes = 0;
	char *at;

	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++)
		bytes += in[i]->n;
	job = calloc(1, sizeof(*job) + bytes);
	if (!job)
		return NULL;
	job->answer = answer_new(ask->op);
	if (!job->answer) {
		free(job);
		return NULL;
	}
	job->ask = *ask;
	at = (char *)(job + 1);
	sio_slice *out[] = { &job->ask.project, &job->ask.user, &job->ask.actor, &job->ask.item, &job->ask.body,
			     &job->ask.event, &job->ask.except_sid, &job->ask.secret, &job->ask.cursor, &job->ask.key };
	for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++)
		slice_keep(out[i], &at);
	job->queued_us = now_us;
	return job;
}

void job_free(struct store_job *job)
{
	store_result_free((struct store_result *)job->answer);
	free(job);
}
