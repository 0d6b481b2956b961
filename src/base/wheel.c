/* wheel.c -- see wheel.h.  A slot holds the timers of every tick that is equal to
 * it modulo WHEEL_SLOTS; a timer of a later round is passed over until its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "base/wheel.h"

#include <string.h>

static uint64_t tick_of(uint64_t ms)
{
	return (ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
}

static void link_at(struct sio_timer **head, struct sio_timer *timer)
{
	timer->next = *head;
	if (timer->next)
		timer->next->prev = &timer->next;
	timer->prev = head;
	*head = timer;
}

void wheel_init(struct wheel *w, uint64_t now_ms)
{
	memset(w, 0, sizeof(*w));
	w->tick = now_ms / WHEEL_TICK_MS;
}

bool wheel_is_set(const struct sio_timer *timer)
{
	return timer->prev != NULL;
}

void wheel_del(struct sio_timer *timer)
{
	if (!timer->prev)
		return;
	*timer->prev = timer->next;
	if (timer->next)
		timer->next->prev = timer->prev;
	timer->next = NULL;
	timer->prev = NULL;
}

void wheel_set(struct wheel *w, struct sio_timer *timer, uint64_t due_ms, void (*fn)(struct sio_timer *timer))
{
	uint64_t tick = tick_of(due_ms);
	unsigned slot;

	wheel_del(timer);
	if (tick <= w->tick) /* its slot has been run already: the next one it is */
		tick = w->tick + 1;
	slot = tick % WHEEL_SLOTS;
	timer->due_ms = tick * WHEEL_TICK_MS;
	timer->fn = fn;
	link_at(&w->slot[slot], timer);
	w->used[slot / 64] |= UINT64_C(1) << slot % 64;
}

void wheel_fini(struct wheel *w)
{
	for (unsigned i = 0; i < WHEEL_SLOTS; i++)
		while (w->slot[i])
			wheel_del(w->slot[i]);
	while (w->due)
		wheel_del(w->due);
}

/* Move what is due at now_ms from a slot to the due list. */
static void collect(struct wheel *w, unsigned slot, uint64_t now_ms)
{
	if (!(w->used[slot / 64] >> slot % 64 & 1))
		return;
	for (struct sio_timer *timer = w->slot[slot], *next; timer; timer = next) {
		next = timer->next;
		if (timer->due_ms > now_ms)
			continue;
		wheel_del(timer);
		link_at(&w->due, timer);
	}
	if (!w->slot[slot])
		w->used[slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

void wheel_run(struct wheel *w, uint64_t now_ms)
{
	uint64_t last = now_ms / WHEEL_TICK_MS;
	uint64_t first = w->tick + 1;

	if (last < first)
		return;
	if (last - first >= WHEEL_SLOTS) /* a long sleep: each slot once is enough */
		first = last - WHEEL_SLOTS + 1;
	/* Backwards, for each goes to the head: so the earliest deadline fires first. */
	for (uint64_t tick = last; tick >= first; tick--)
		collect(w, tick % WHEEL_SLOTS, now_ms);
	w->tick = last;
	/* A callback may stop, set or free any timer, the next one in the list too. */
	while (w->due) {
		struct sio_timer *timer = w->due;
		wheel_del(timer);
		timer->fn(timer);
	}
}

int64_t wheel_wait_ms(const struct wheel *w, uint64_t now_ms)
{
	uint64_t start = w->tick + 1;

	for (unsigned i = 0; i < WHEEL_SLOTS;) {
		unsigned slot = (start + i) % WHEEL_SLOTS;
		uint64_t word = w->used[slot / 64] >> slot % 64;
		if (!word) {
			i += 64 - slot % 64;
			continue;
		}
		i += (unsigned)__builtin_ctzll(word);
		if (i >= WHEEL_SLOTS)
			break;
		uint64_t due = (start + i) * WHEEL_TICK_MS;
		return due > now_ms ? (int64_t)(due - now_ms) : 0;
	}
	return -1;
}
