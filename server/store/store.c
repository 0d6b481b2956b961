/* store.c -- the queues, the store's threads and the way back to the loops.
 *
 * Two lanes, each a queue, a thread and a handle of the database: writes, and the
 * reads that need not wait for them.  A commit waits for the disk, a read beside it
 * does not.  Reads that ask for it (is_ordered) stay in their place among the writes.
 *
 * Life of a request: store_submit copies it behind its queue; the lane's thread takes
 * a batch, the back end executes it with one commit; each loop gets its share of the
 * completions, in order, by one post.  A loop that is closed cannot take them:
 * they wait in `stranded` until store_close calls them, so that every completion
 * runs exactly once.
 *
 *   submit -> queue -> (thread) batch -> commit -> post -> done
 *                                             \-> stranded -> store_close -> done
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <assert.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/job.h"

enum {
	POLL_MS = 250,      /* between two looks for news */
	IDLE_MS = 900,      /* a thread that has nothing to look for */
	POST_RETRY_US = 500,
	QUIET_MS = 3000,    /* nothing asked: what made it quick is given back */
	SWEEP_MS = 10000,   /* between two rounds of deleting ... */
	SWEEP_STEP_MS = 25, /* ... and two steps of one: nine tenths of the time are for requests */
	GATHER_LEAST = 4,       /* askers, below which nobody is waited for */
	GATHER_SLOW_US = 2000,  /* a commit that takes longer is slow */
	GATHER_MOST_US = 4000,
};

/* Those who were answered by a commit often ask again at once.  When commits are slow, the
 * next one waits for them a little, up to a quarter of the time that a commit takes: else the
 * askers fall into two halves, of which one always waits for the other's commit. */
struct gather {
	uint32_t n;       /* wait until so many are queued ... */
	uint64_t most_us; /* ... or for so long; 0: not at all */
};

struct lane {
	struct store *store;
	void *db;                     /* of the thread, or of the caller when there is none */
	bool has_thread;
	pthread_t thread;
	struct job_list stranded;     /* of the thread, then of store_close */
	struct gather gather;         /* of the thread */
	bool is_warm;                 /* of the thread: has worked since the last relax */
	uint64_t worked_us;
	/* Under the store's lock: */
	pthread_cond_t wake;          /* the thread: wanted_n are queued, or the end */
	struct job_list queue;
	uint32_t queue_n, wanted_n;
	bool is_poked;                /* there may be news: do not wait */
};

enum { WRITES, READS, LANES_N };

struct store {
	const struct store_ops *ops;
	struct store_options options; /* url: see shown_url */
	char *shown_url;
	struct lane lanes[LANES_N];   /* READS has no db when the back end has one handle alone */

	pthread_mutex_t lock;         /* guards the queues and what follows */
	pthread_cond_t answered;      /* store_run: a batch is done */
	uint32_t queued_n;            /* in both queues */
	bool is_closing;
	struct store_stats stats;
};

static bool has_thread(const struct store *store)
{
	return store->lanes[WRITES].has_thread;
}

static struct lane *lane_of(struct store *store, const struct store_ask *ask)
{
	bool is_free = store->lanes[READS].db && !store_op_is_write(ask->op) && !ask->is_ordered;

	return &store->lanes[is_free ? READS : WRITES];
}

/* ---- the way back -------------------------------------------------------- */

/* On the asker's loop: the completions of one batch, in the order of the asking. */
static void call_done(void *arg)
{
	struct store_job *job = arg, *next;

	for (; job; job = next) {
		struct store_answer *answer = job->answer;
		next = job->next;
		job->answer = NULL;
		job->ask.done(&answer->r, job->ask.arg);
		job_free(job);
	}
}

static bool is_closing(struct store *store)
{
	bool closing;

	pthread_mutex_lock(&store->lock);
	closing = store->is_closing;
	pthread_mutex_unlock(&store->lock);
	return closing;
}

/* A full queue of the loop is waited for; while closing it is not, because the loop's
 * thread may be the one that waits for us in store_close. */
static int post_patiently(struct store *store, void *loop, void (*fn)(void *), void *arg)
{
	const struct timespec pause = { .tv_nsec = POST_RETRY_US * 1000L };
	int r;

	while ((r = store->options.post(loop, fn, arg)) == SIO_ERR_BUSY && !is_closing(store))
		nanosleep(&pause, NULL);
	return r;
}

static void *loop_of(const struct store *store, const struct store_job *job)
{
	return job->ask.loop ? job->ask.loop : store->options.post_ctx;
}

static void hand_over(struct lane *lane, struct store_job *jobs)
{
	struct store *store = lane->store;

	while (jobs) {
		void *loop = loop_of(store, jobs);
		struct job_list same, others;
		job_list_init(&same);
		job_list_init(&others);
		for (struct store_job *job = jobs, *next; job; job = next) {
			next = job->next;
			job_list_add(loop_of(store, job) == loop ? &same : &others, job);
		}
		jobs = others.first;
		if (post_patiently(store, loop, call_done, same.first) < 0) {
			*lane->stranded.last = same.first;
			lane->stranded.last = same.last;
		}
	}
}

/* ---- news ---------------------------------------------------------------- */

struct telling {
	struct store_options options;
	struct store_news *news;
};

static void tell(void *arg)
{
	struct telling *t = arg;

	if (t->news->changes_n && t->options.on_access_changed)
		t->options.on_access_changed(t->news->changes, t->news->changes_n, t->options.arg);
	if (t->news->events_n && t->options.on_foreign_events)
		t->options.on_foreign_events(t->news->events, t->news->events_n, t->options.arg);
	store_news_free(t->news);
	free(t);
}

/* is_fresh: look for what has happened, else only what was seen already. */
static void tell_news(struct store *store, bool is_fresh)
{
	struct store_news *news = store->ops->news(store->lanes[WRITES].db, is_fresh);
	struct telling *t;

	if (!news)
		return;
	t = malloc(sizeof(*t));
	if (t)
		*t = (struct telling){ store->options, news };
	if (!t || post_patiently(store, store->options.post_ctx, tell, t) < 0) {
		free(t);
		store_news_free(news);
	}
}

/* ---- the threads --------------------------------------------------------- */

/* Wait until the lane has wanted jobs; false: us have passed.  Under the lock. */
static bool wait_for(struct lane *lane, uint32_t wanted, uint64_t us)
{
	struct timespec until;
	bool is_late = false;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(us / 1000000);
	until.tv_nsec += (long)(us % 1000000) * 1000;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	lane->wanted_n = wanted;
	while (lane->queue_n < wanted && !lane->store->is_closing && !lane->is_poked && !is_late)
		is_late = pthread_cond_timedwait(&lane->wake, &lane->store->lock, &until) != 0;
	lane->wanted_n = 1;
	return !is_late;
}

/* Wait for work, at most wait_us.  NULL: none came.  *was_poked: somebody has asked to look
 * for news. */
static struct store_job *next_batch(struct lane *lane, uint64_t wait_us, bool *goes_on, bool *was_poked)
{
	struct store *store = lane->store;
	struct gather gather = lane->gather;
	struct store_job *jobs;
	uint64_t begun = store_now_us();

	lane->gather = (struct gather){ 0 };
	pthread_mutex_lock(&store->lock);
	/* Who comes later than they would have been waited for comes for reasons of his own. */
	if (wait_for(lane, 1, wait_us) && gather.most_us > 0 && store_now_us() - begun < gather.most_us)
		wait_for(lane, gather.n, gather.most_us);
	*goes_on = lane->queue.first || !store->is_closing;
	*was_poked = lane->is_poked;
	lane->is_poked = false;
	jobs = job_list_take(&lane->queue, STORE_BATCH_MAX);
	for (struct store_job *job = jobs; job; job = job->next) {
		store->queued_n--;
		lane->queue_n--;
	}
	pthread_mutex_unlock(&store->lock);
	return jobs;
}

/* What has been learned of a batch of n that took so long. */
static void learn(struct lane *lane, uint32_t n, uint64_t took_us)
{
	uint32_t waiting_n;

	pthread_mutex_lock(&lane->store->lock);
	waiting_n = lane->queue_n;
	pthread_mutex_unlock(&lane->store->lock);
	if (n + waiting_n < GATHER_LEAST || took_us < GATHER_SLOW_US)
		return;
	lane->gather.n = n + waiting_n < STORE_BATCH_MAX ? n + waiting_n : STORE_BATCH_MAX;
	lane->gather.most_us = took_us / 4 < GATHER_MOST_US ? took_us / 4 : GATHER_MOST_US;
}

static uint32_t count_batch(struct store *store, const struct store_job *jobs, bool is_done)
{
	struct store_stats *s = &store->stats;
	uint64_t now = store_now_us(), n = 0, writes = 0;

	for (const struct store_job *job = jobs; job; job = job->next, n++) {
		writes += store_op_is_write(job->ask.op);
		s->op_total[job->ask.op]++;
		s->op_us_total[job->ask.op] += job->took_us;
		s->wait_us_total += now - job->queued_us;
	}
	s->batch_max = n > s->batch_max ? n : s->batch_max;
	s->commits_total += writes > 0 && is_done;
	s->commit_failures_total += !is_done;
	return (uint32_t)n;
}

/* Those that store_run waits for are marked and taken out; the rest is returned.  Under the lock. */
static struct store_job *mark_answered(struct store *store, struct store_job *jobs)
{
	struct job_list rest;

	job_list_init(&rest);
	for (struct store_job *job = jobs, *next; job; job = next) {
		next = job->next;
		if (job->is_sync)
			job->is_answered = true;
		else
			job_list_add(&rest, job);
	}
	pthread_cond_broadcast(&store->answered);
	return rest.first;
}

static void run_batch(struct lane *lane, struct store_job *jobs)
{
	struct store *store = lane->store;
	uint64_t begun = store_now_us();
	bool is_done = store->ops->run(lane->db, jobs);
	uint32_t n;

	pthread_mutex_lock(&store->lock);
	n = count_batch(store, jobs, is_done);
	jobs = mark_answered(store, jobs);
	pthread_mutex_unlock(&store->lock);
	if (lane == &store->lanes[WRITES])
		learn(lane, n, store_now_us() - begun);
	/* What another process had committed before this batch was seen in its transaction: it has
	 * the lower numbers and is told first.  What came later is told later. */
	if (lane == &store->lanes[WRITES])
		tell_news(store, false);
	hand_over(lane, jobs);
}

/* Returns when the next step is due. */
static uint64_t run_sweep(struct store *store)
{
	uint64_t begun = store_now_us(), deleted = 0, took;
	bool is_more = store->ops->sweep(store->lanes[WRITES].db, &deleted);

	took = store_now_us() - begun;
	pthread_mutex_lock(&store->lock);
	store->stats.swept_total += deleted;
	if (took > store->stats.sweep_us_max)
		store->stats.sweep_us_max = took;
	pthread_mutex_unlock(&store->lock);
	return begun + took + (is_more ? SWEEP_STEP_MS : SWEEP_MS) * 1000ULL;
}

bool store_sweep(struct store *store)
{
	assert(!has_thread(store));
	return store->ops->sweep(store->lanes[WRITES].db, &store->stats.swept_total);
}

/* What a rush of requests left in the back end's caches goes back to the system. */
static void relax_when_quiet(struct lane *lane, bool has_worked)
{
	uint64_t now = store_now_us();

	if (has_worked) {
		lane->is_warm = true;
		lane->worked_us = now;
	} else if (lane->is_warm && now - lane->worked_us >= QUIET_MS * 1000ULL) {
		lane->store->ops->relax(lane->db);
		malloc_trim(0);
		lane->is_warm = false;
	}
}

static void *writes_main(void *arg)
{
	struct lane *lane = arg;
	struct store *store = lane->store;
	bool goes_on = true, was_poked = false;
	uint64_t told_us = 0, sweep_us = store_now_us() + SWEEP_STEP_MS * 1000ULL, now = store_now_us();

	while (goes_on) {
		uint64_t wait_us = sweep_us > now ? sweep_us - now : 0;
		struct store_job *jobs = next_batch(lane, wait_us < POLL_MS * 1000 ? wait_us + 1 : POLL_MS * 1000, &goes_on, &was_poked);
		bool has_writes = false, has_worked = jobs != NULL;
		for (struct store_job *job = jobs; job; job = job->next)
			has_writes |= store_op_is_write(job->ask.op);
		if (jobs)
			run_batch(lane, jobs);
		now = store_now_us();
		if (goes_on && (has_writes || was_poked || now - told_us >= POLL_MS * 1000)) {
			tell_news(store, true);
			told_us = now;
		}
		if (goes_on && now >= sweep_us)
			sweep_us = run_sweep(store);
		relax_when_quiet(lane, has_worked);
	}
	return NULL;
}

static void *reads_main(void *arg)
{
	bool goes_on = true, was_poked;

	while (goes_on) {
		struct store_job *jobs = next_batch(arg, IDLE_MS * 1000, &goes_on, &was_poked);
		bool has_worked = jobs != NULL;
		if (has_worked)
			run_batch(arg, jobs);
		relax_when_quiet(arg, has_worked);
	}
	return NULL;
}

/* ---- asking -------------------------------------------------------------- */

/* Put job behind the queue.  force: beyond the limit too (store_run waits anyway; is_owed). */
static int enqueue(struct store *store, struct store_job *job, bool force)
{
	struct lane *lane = lane_of(store, &job->ask);
	int r = SIO_OK;

	pthread_mutex_lock(&store->lock);
	if (store->is_closing) {
		r = SIO_ERR_CLOSED;
	} else if (store->queued_n >= store->options.queue_max && !force) {
		r = SIO_ERR_BUSY;
		store->stats.refused_total++;
	} else {
		job_list_add(&lane->queue, job);
		store->queued_n++;
		store->stats.requests_total++;
		if (++lane->queue_n == lane->wanted_n)
			pthread_cond_signal(&lane->wake);
	}
	pthread_mutex_unlock(&store->lock);
	return r;
}

int store_submit(struct store *store, const struct store_ask *ask)
{
	struct store_job *job;
	int r;

	if ((unsigned)ask->op >= STORE_OP_N || !ask->done || !has_thread(store))
		return SIO_ERR_INVAL;
	job = job_new(ask, store_now_us());
	if (!job)
		return SIO_ERR_NOMEM;
	r = enqueue(store, job, ask->is_owed);
	if (r < 0)
		job_free(job);
	return r;
}

static void wait_answered(struct store *store, struct store_job *job)
{
	if (enqueue(store, job, true) < 0) {
		answer_fail(job->answer, STORE_UNAVAILABLE, "the store is closed");
		answer_seal(job->answer);
		return;
	}
	pthread_mutex_lock(&store->lock);
	while (!job->is_answered)
		pthread_cond_wait(&store->answered, &store->lock);
	pthread_mutex_unlock(&store->lock);
}

struct store_result *store_run(struct store *store, const struct store_ask *ask)
{
	struct store_answer *answer;
	struct store_job *job;

	if ((unsigned)ask->op >= STORE_OP_N)
		return NULL;
	job = job_new(ask, store_now_us());
	if (!job)
		return NULL;
	job->is_sync = true;
	if (has_thread(store)) {
		wait_answered(store, job);
	} else {
		bool is_done = store->ops->run(store->lanes[WRITES].db, job);
		count_batch(store, job, is_done);
	}
	answer = job->answer;
	job->answer = NULL;
	job_free(job);
	return &answer->r;
}

/* ---- opening and closing ------------------------------------------------- */

static void init_locks(struct store *store)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&store->lock, NULL);
	pthread_cond_init(&store->answered, NULL);
	for (int i = 0; i < LANES_N; i++) {
		store->lanes[i].store = store;
		job_list_init(&store->lanes[i].queue);
		job_list_init(&store->lanes[i].stranded);
		pthread_cond_init(&store->lanes[i].wake, &monotonic);
	}
	pthread_condattr_destroy(&monotonic);
}

static int start_threads(struct store *store)
{
	static void *(*const mains[LANES_N])(void *) = { writes_main, reads_main };

	for (int i = 0; i < LANES_N; i++) {
		struct lane *lane = &store->lanes[i];
		if (!lane->db)
			continue;
		if (pthread_create(&lane->thread, NULL, mains[i], lane) != 0)
			return SIO_ERR_SYSTEM;
		lane->has_thread = true;
	}
	return SIO_OK;
}

/* On a thread of the back end: another process has committed. */
static void poke(void *arg)
{
	struct lane *lane = arg;

	pthread_mutex_lock(&lane->store->lock);
	lane->is_poked = true;
	pthread_cond_signal(&lane->wake);
	pthread_mutex_unlock(&lane->store->lock);
}

void store_look(struct store *store)
{
	poke(&store->lanes[WRITES]);
}

/* The handles: one to write with, and with threads one to read with beside it. */
static int open_lanes(struct store *store, const char *path, char error[STORE_ERROR_MAX])
{
	int r = store->ops->open(&store->options, path, &store->lanes[WRITES].db, error);

	if (r == SIO_OK && store->options.post && store->ops->open_reader)
		r = store->ops->open_reader(&store->options, path, &store->lanes[READS].db, error);
	if (r == SIO_OK && store->options.post && store->ops->watch)
		store->ops->watch(store->lanes[WRITES].db, poke, &store->lanes[WRITES]);
	if (r == SIO_OK && store->options.post && start_threads(store) < 0) {
		snprintf(error, STORE_ERROR_MAX, "cannot start the store's threads");
		r = SIO_ERR_SYSTEM;
	}
	return r;
}

int store_open(const struct store_options *options, struct store **out, char error[STORE_ERROR_MAX])
{
	struct store_url url;
	struct store *store;
	int r = store_url_parse(options->url, &url, error);

	if (r < 0)
		return r;
	store = calloc(1, sizeof(*store));
	if (!store || !(store->shown_url = strdup(url.shown))) {
		free(store);
		snprintf(error, STORE_ERROR_MAX, "out of memory");
		return SIO_ERR_NOMEM;
	}
	store->ops = url.ops;
	store->options = *options;
	store->options.url = NULL; /* the caller's, and it may hold a password */
	store->options.queue_max = options->queue_max ? options->queue_max : STORE_QUEUE_DEFAULT;
	init_locks(store);
	r = open_lanes(store, url.path, error);
	if (r < 0) {
		store_close(store);
		return r;
	}
	*out = store;
	return SIO_OK;
}

/* Both threads end; what is queued is executed before. */
static void stop_threads(struct store *store)
{
	pthread_mutex_lock(&store->lock);
	store->is_closing = true;
	for (int i = 0; i < LANES_N; i++)
		pthread_cond_signal(&store->lanes[i].wake);
	pthread_mutex_unlock(&store->lock);
	for (int i = 0; i < LANES_N; i++)
		if (store->lanes[i].has_thread)
			pthread_join(store->lanes[i].thread, NULL);
}

void store_close(struct store *store)
{
	if (!store)
		return;
	stop_threads(store);
	for (int i = LANES_N - 1; i >= 0; i--) { /* the writer last: it tidies up the files */
		struct lane *lane = &store->lanes[i];
		assert(!lane->queue.first);
		call_done(lane->stranded.first);
		if (lane->db)
			store->ops->close(lane->db);
		pthread_cond_destroy(&lane->wake);
	}
	pthread_cond_destroy(&store->answered);
	pthread_mutex_destroy(&store->lock);
	free(store->shown_url);
	free(store);
}

void store_stats(const struct store *store, struct store_stats *out)
{
	struct store *s = (struct store *)store; /* only the lock is changed */

	pthread_mutex_lock(&s->lock);
	*out = s->stats;
	out->queued = s->queued_n;
	pthread_mutex_unlock(&s->lock);
}

const char *store_url_shown(const struct store *store)
{
	return store->shown_url;
}

enum store_status store_demo_bulk(struct store *store, uint32_t users, uint32_t projects, char error[STORE_ERROR_MAX])
{
	assert(!has_thread(store));
	return store->ops->demo_bulk(store->lanes[WRITES].db, users, projects, error);
}
