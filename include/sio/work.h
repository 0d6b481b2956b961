/* work.h -- what may not block the loop, and what shall happen later.
 *
 * Loop thread only, but for sio_server_post.  Calls that name no error cannot fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef SIO_WORK_H
#define SIO_WORK_H

#include <stdint.h>

#include <sio/error.h>

SIO_BEGIN

struct sio_server;

/* Run fn(arg) on the loop's thread, soon, in the order of the posts of one
 * thread.  ANY thread.  The queue is bounded (SIO_POST_MAX).  Returns 0,
 * SIO_ERR_BUSY when the queue is full, SIO_ERR_CLOSED when the server is closed
 * (then fn is not called). */
#define SIO_POST_MAX 65536
typedef void sio_post_fn(void *arg);
SIO_API SIO_MUST_CHECK int sio_server_post(struct sio_server *server, sio_post_fn *fn, void *arg);

/* Run work(arg) on a pool thread, then done(arg) on the loop's thread.  done is
 * called exactly once, also when the server closes meanwhile.  Returns 0,
 * SIO_ERR_NOMEM, SIO_ERR_CLOSED. */
SIO_API SIO_MUST_CHECK int sio_server_work(struct sio_server *server, sio_post_fn *work, sio_post_fn *done, void *arg);

/* A timer in the owner's memory; all zero means unset.  It fires once, between
 * ms and ms + 32 ms after the start, on the loop's thread; fn may start it again
 * or free its memory.  Starting a set timer moves it; stopping an unset one does
 * nothing.  A set timer must be stopped before its memory goes; the end of its
 * server unsets it. */
struct sio_timer {
	struct sio_timer *next, **prev; /* private */
	uint64_t due_ms;                /* private */
	void (*fn)(struct sio_timer *timer);
};
SIO_API void sio_timer_start(struct sio_server *server, struct sio_timer *timer, uint32_t ms,
			     void (*fn)(struct sio_timer *timer));
SIO_API void sio_timer_stop(struct sio_timer *timer);

SIO_END

#endif
