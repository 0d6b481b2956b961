/* wheel.h -- a hashed timing wheel: many deadlines, one clock.
 *
 * Timers live in their owners' memory (struct sio_timer of <sio/work.h>), so
 * setting one allocates nothing.  The wheel never asks for the time: it is told.
 * A timer due at D fires in the first wheel_run with now >= D rounded up to
 * WHEEL_TICK_MS.  One thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/work.h>

enum { WHEEL_TICK_MS = 16, WHEEL_SLOTS = 2048 };

struct wheel {
	uint64_t tick;                         /* slots up to this tick have been run */
	uint64_t used[WHEEL_SLOTS / 64];       /* a bit for each slot that may hold timers */
	struct sio_timer *slot[WHEEL_SLOTS];
	struct sio_timer *due;                 /* taken out of the slots, about to fire */
};

void wheel_init(struct wheel *w, uint64_t now_ms);

/* Unset every timer, so that stopping one later is as safe as ever. */
void wheel_fini(struct wheel *w);

/* Set or move timer: fn(timer) is called once, at due_ms or up to one tick later. */
void wheel_set(struct wheel *w, struct sio_timer *timer, uint64_t due_ms, void (*fn)(struct sio_timer *timer));

/* Take timer out; an unset one is left alone. */
void wheel_del(struct sio_timer *timer);
bool wheel_is_set(const struct sio_timer *timer);

/* Fire what is due. */
void wheel_run(struct wheel *w, uint64_t now_ms);

/* Milliseconds until wheel_run may have something to do; -1 when nothing is set. */
int64_t wheel_wait_ms(const struct wheel *w, uint64_t now_ms);

#endif
