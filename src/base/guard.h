/* guard.h -- whose an object is: one thread's at a time.
 *
 * Nothing on the message path is locked; an object belongs to the thread that runs its
 * loop.  Whoever breaks that rule gets a clear message and the end of the program, as with
 * any assert, and not a crash in another place an hour later.  The check is one load and
 * one comparison; with NDEBUG it is nothing.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef BASE_GUARD_H
#define BASE_GUARD_H

#include <pthread.h>
#include <stdint.h>

struct guard {
	uintptr_t thread; /* 0: nobody's yet, or nobody's any more */
};

/* From now on it is this thread's. */
static inline void guard_take(struct guard *g)
{
	__atomic_store_n(&g->thread, (uintptr_t)pthread_self(), __ATOMIC_RELAXED);
}

static inline void guard_drop(struct guard *g)
{
	__atomic_store_n(&g->thread, 0, __ATOMIC_RELAXED);
}

/* Say what call does wrong, and abort. */
void guard_fail(const char *call, const char *wrong) __attribute__((noreturn, cold));

/* May this thread touch what g guards?  call is the public call that wants to. */
static inline void guard_check(const struct guard *g, const char *call)
{
#ifndef NDEBUG
	uintptr_t thread = __atomic_load_n(&g->thread, __ATOMIC_RELAXED);

	if (__builtin_expect(thread && thread != (uintptr_t)pthread_self(), 0))
		guard_fail(call, "was called from a thread that does not run the server's loop; "
				 "other threads use sio_server_post");
#else
	(void)g, (void)call;
#endif
}

#endif
