/* store_loop.h -- a loop for tests of the store's threads, what is heard on it, and waiting.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_STORE_LOOP_H
#define TESTS_STORE_LOOP_H

#include "unit/store_help.h"

#include <pthread.h>
#include <time.h>

/* ---- a loop: a thread that runs what is posted --------------------------- */

enum { LOOP_SLOTS = 64 };

struct loop {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct {
		void (*fn)(void *);
		void *arg;
	} slots[LOOP_SLOTS];
	int n;
	bool is_closed, is_stuck; /* stuck: takes nothing, as a loop that is busy elsewhere */
	pthread_t thread;
};

static inline int loop_post(void *ctx, void (*fn)(void *), void *arg)
{
	struct loop *loop = ctx;
	int r = SIO_OK;

	pthread_mutex_lock(&loop->lock);
	if (loop->is_closed)
		r = SIO_ERR_CLOSED;
	else if (loop->n == LOOP_SLOTS || loop->is_stuck)
		r = SIO_ERR_BUSY;
	else {
		loop->slots[loop->n].fn = fn;
		loop->slots[loop->n++].arg = arg;
		pthread_cond_signal(&loop->more);
	}
	pthread_mutex_unlock(&loop->lock);
	return r;
}

static inline void *loop_main(void *arg)
{
	struct loop *loop = arg;

	pthread_mutex_lock(&loop->lock);
	while (loop->n > 0 || !loop->is_closed) {
		if (loop->n == 0) {
			pthread_cond_wait(&loop->more, &loop->lock);
			continue;
		}
		void (*fn)(void *) = loop->slots[0].fn;
		void *what = loop->slots[0].arg;
		memmove(loop->slots, loop->slots + 1, sizeof(loop->slots[0]) * (size_t)--loop->n);
		pthread_mutex_unlock(&loop->lock);
		fn(what);
		pthread_mutex_lock(&loop->lock);
	}
	pthread_mutex_unlock(&loop->lock);
	return NULL;
}

static inline void loop_start(struct loop *loop)
{
	memset(loop, 0, sizeof(*loop));
	pthread_mutex_init(&loop->lock, NULL);
	pthread_cond_init(&loop->more, NULL);
	pthread_create(&loop->thread, NULL, loop_main, loop);
}

static inline void loop_end(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->is_closed = true;
	pthread_cond_signal(&loop->more);
	pthread_mutex_unlock(&loop->lock);
	pthread_join(loop->thread, NULL);
}

static inline void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

#define wait_until(condition)                                                    \
	do {                                                                     \
		int help_left_ = 5000;                                           \
		while (!(condition) && help_left_-- > 0)                         \
			nap();                                                   \
		if (help_left_ <= 0)                                             \
			fail_msg("waited 5 s in vain for %s", #condition);       \
	} while (0)

/* ---- what is heard --------------------------------------------------------- */

struct heard {
	pthread_mutex_t lock;
	char text[65536];
};

static inline void heard_add(struct heard *h, const char *line)
{
	pthread_mutex_lock(&h->lock);
	snprintf(h->text + strlen(h->text), sizeof(h->text) - strlen(h->text), "%s\n", line);
	pthread_mutex_unlock(&h->lock);
}

static inline bool has_heard(struct heard *h, const char *line)
{
	bool found;

	pthread_mutex_lock(&h->lock);
	found = strstr(h->text, line) != NULL;
	pthread_mutex_unlock(&h->lock);
	return found;
}

#endif
