/* ring.c -- a history in memory: events in a ring of bytes, sessions until they expire.
 *
 * One block of memory holds the events, each as a record of plain bytes; a new one takes
 * the place of the oldest.  An offset is the ring's own name and a number that counts up,
 * so the offset of another process is not found, and what lies behind a number is
 * complete as long as the record after it has not been overwritten.
 *
 * Knows time as a number and packets as text.  Refuses to know who is connected.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sio/history.h>

#include "base/map.h"
#include "base/random.h"

enum {
	EPOCH_LEN = 6,
	RECORD_ALIGN = 8,
	BYTES_MAX = 1 << 30,
};

/* Its strings follow: nsp, rooms, except, skip, packet, attachments, each with its length
 * before it.  size 0: the rest of the block is unused, go on at its start. */
struct record {
	uint32_t size;
	uint16_t rooms_n, except_n;
	uint16_t attachments_n;
};

struct session {
	struct map_node by_pid;
	struct session *next, *prev;  /* oldest first */
	uint64_t expires_ms;
	struct sio_history_session facts;
	sio_slice rooms[];            /* bytes of everything behind them */
};

struct ring {
	char epoch[EPOCH_LEN + 1];
	uint64_t next_seq;            /* of the next event; the first one is 1 */
	uint64_t first_seq;           /* of the oldest record kept; next_seq when there is none */
	/* The records lie from head to tail, or, when head >= tail and there are any, from
	 * head to the end and from the start to tail. */
	char *block;
	size_t cap, head, tail;
	struct map sessions;
	struct session *oldest, *newest;
	uint32_t sessions_max;
	uint32_t window_ms;
};

/* ---- offsets -------------------------------------------------------------------- */

static void write_offset(const struct ring *ring, uint64_t seq, char out[SIO_OFFSET_MAX])
{
	snprintf(out, SIO_OFFSET_MAX, "%s.%" PRIu64, ring->epoch, seq);
}

/* The number of an offset of ours; false: it is none. */
static bool read_offset(const struct ring *ring, sio_slice offset, uint64_t *seq)
{
	uint64_t v = 0;

	if (offset.n < EPOCH_LEN + 2 || offset.n >= SIO_OFFSET_MAX || memcmp(offset.p, ring->epoch, EPOCH_LEN) != 0 ||
	    offset.p[EPOCH_LEN] != '.')
		return false;
	for (size_t i = EPOCH_LEN + 1; i < offset.n; i++) {
		if (offset.p[i] < '0' || offset.p[i] > '9' || v > UINT64_MAX / 10 - 1)
			return false;
		v = v * 10 + (uint64_t)(offset.p[i] - '0');
	}
	*seq = v;
	return v < ring->next_seq;
}

static void ring_next(void *self, char out[SIO_OFFSET_MAX])
{
	const struct ring *ring = self;

	write_offset(ring, ring->next_seq, out);
}

static void ring_newest(void *self, char out[SIO_OFFSET_MAX])
{
	const struct ring *ring = self;

	write_offset(ring, ring->next_seq - 1, out);
}

/* ---- records ------------------------------------------------------------------------ */

static struct record *record_at(const struct ring *ring, size_t at)
{
	return (struct record *)(void *)(ring->block + at);
}

static bool is_empty(const struct ring *ring)
{
	return ring->first_seq == ring->next_seq;
}

/* From the record at one place to the next one's. */
static size_t next_place(const struct ring *ring, size_t at)
{
	at += record_at(ring, at)->size;
	return at + sizeof(struct record) > ring->cap || record_at(ring, at)->size == 0 ? 0 : at;
}

static void drop_oldest(struct ring *ring)
{
	ring->first_seq++;
	ring->head = is_empty(ring) ? ring->tail : next_place(ring, ring->head);
}

static void drop_all(struct ring *ring)
{
	ring->first_seq = ring->next_seq;
	ring->head = ring->tail = 0;
}

/* Room for size bytes in one piece at tail. */
static void make_room(struct ring *ring, size_t size)
{
	if (ring->tail + size > ring->cap) { /* go on at the start, over whatever is there */
		while (!is_empty(ring) && ring->head >= ring->tail)
			drop_oldest(ring);
		if (ring->tail + sizeof(struct record) <= ring->cap)
			record_at(ring, ring->tail)->size = 0;
		ring->tail = 0;
		if (is_empty(ring))
			ring->head = 0;
	}
	while (!is_empty(ring) && ring->head >= ring->tail && ring->head < ring->tail + size)
		drop_oldest(ring);
	if (is_empty(ring))
		ring->head = ring->tail;
}

static size_t string_size(sio_slice s)
{
	return sizeof(uint32_t) + s.n;
}

static size_t strings_size(const sio_slice *s, unsigned n)
{
	size_t size = 0;

	for (unsigned i = 0; i < n; i++)
		size += string_size(s[i]);
	return size;
}

static void put(char **at, sio_slice s)
{
	uint32_t n = (uint32_t)s.n;

	memcpy(*at, &n, sizeof(n));
	if (n)
		memcpy(*at + sizeof(n), s.p, n);
	*at += string_size(s);
}

static void put_all(char **at, const sio_slice *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		put(at, s[i]);
}

static sio_slice take(const char **at)
{
	uint32_t n;
	sio_slice s;

	memcpy(&n, *at, sizeof(n));
	s = sio_bytes(*at + sizeof(n), n);
	*at += string_size(s);
	return s;
}

static void ring_append(void *self, const struct sio_history_event *e, uint64_t now_ms)
{
	struct ring *ring = self;
	size_t size = sizeof(struct record) + string_size(e->nsp) + strings_size(e->rooms, e->rooms_n) +
		      strings_size(e->except, e->except_n) + string_size(e->skip) + string_size(e->packet) +
		      strings_size(e->attachments, e->attachments_n);
	struct record *r;
	char *at;

	(void)now_ms;
	size = (size + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
	if (size > ring->cap || e->rooms_n > UINT16_MAX || e->except_n > UINT16_MAX) { /* larger than all we may keep: nothing before it is complete now */
		ring->next_seq++;
		drop_all(ring);
		return;
	}
	make_room(ring, size);
	r = record_at(ring, ring->tail);
	*r = (struct record){ (uint32_t)size, (uint16_t)e->rooms_n, (uint16_t)e->except_n, (uint16_t)e->attachments_n };
	at = (char *)(r + 1);
	put(&at, e->nsp);
	put_all(&at, e->rooms, e->rooms_n);
	put_all(&at, e->except, e->except_n);
	put(&at, e->skip);
	put(&at, e->packet);
	put_all(&at, e->attachments, e->attachments_n);
	ring->tail += size;
	ring->next_seq++;
}

/* ---- sessions ------------------------------------------------------------------------- */

static void session_unlink(struct ring *ring, struct session *s)
{
	map_del(&ring->sessions, &s->by_pid);
	if (s->prev)
		s->prev->next = s->next;
	else
		ring->oldest = s->next;
	if (s->next)
		s->next->prev = s->prev;
	else
		ring->newest = s->prev;
}

static void session_drop(struct ring *ring, struct session *s)
{
	session_unlink(ring, s);
	free(s);
}

static sio_slice copy(char **at, sio_slice s)
{
	char *p = *at;

	if (s.n)
		memcpy(p, s.p, s.n);
	*at += s.n;
	return sio_bytes(p, s.n);
}

static struct session *session_new(const struct sio_history_session *facts)
{
	size_t bytes = facts->pid.n + facts->sid.n + facts->nsp.n + facts->offset.n + facts->identity.n;
	struct session *s;
	char *at;

	for (unsigned i = 0; i < facts->rooms_n; i++)
		bytes += facts->rooms[i].n;
	s = calloc(1, sizeof(*s) + facts->rooms_n * sizeof(s->rooms[0]) + bytes);
	if (!s)
		return NULL;
	at = (char *)&s->rooms[facts->rooms_n];
	s->facts = (struct sio_history_session){
		.pid = copy(&at, facts->pid),
		.sid = copy(&at, facts->sid),
		.nsp = copy(&at, facts->nsp),
		.offset = copy(&at, facts->offset),
		.identity = copy(&at, facts->identity),
		.rooms = s->rooms,
		.rooms_n = facts->rooms_n,
	};
	for (unsigned i = 0; i < facts->rooms_n; i++)
		s->rooms[i] = copy(&at, facts->rooms[i]);
	return s;
}

static struct session *session_find(const struct ring *ring, sio_slice pid)
{
	struct map_node *node = map_get(&ring->sessions, pid);

	return node ? MAP_OWNER(node, struct session, by_pid) : NULL;
}

static void expire(struct ring *ring, uint64_t now_ms)
{
	while (ring->oldest && (ring->oldest->expires_ms <= now_ms || ring->sessions.n > ring->sessions_max))
		session_drop(ring, ring->oldest);
}

static void ring_left(void *self, const struct sio_history_session *facts, uint64_t now_ms)
{
	struct ring *ring = self;
	struct session *s = session_new(facts), *known = session_find(ring, facts->pid);

	if (known)
		session_drop(ring, known);
	if (!s)
		return; /* no memory: it cannot be recovered */
	s->expires_ms = now_ms + ring->window_ms;
	if (map_put(&ring->sessions, &s->by_pid, s->facts.pid) < 0) {
		free(s);
		return;
	}
	s->prev = ring->newest;
	if (s->prev)
		s->prev->next = s;
	else
		ring->oldest = s;
	ring->newest = s;
	expire(ring, now_ms);
}

static void ring_take(void *self, sio_slice pid, sio_slice offset, uint64_t now_ms, sio_history_found_fn *fn, void *arg)
{
	struct ring *ring = self;
	struct session *s;
	uint64_t seq;

	expire(ring, now_ms);
	s = session_find(ring, pid);
	if (!s || !read_offset(ring, offset.n ? offset : s->facts.offset, &seq) || seq + 1 < ring->first_seq) {
		fn(NULL, arg);
		return;
	}
	session_unlink(ring, s); /* first, for fn may give it back */
	fn(&s->facts, arg);
	free(s);
}

/* ---- replay ------------------------------------------------------------------------------ */

static bool is_among(sio_slice room, const struct sio_history_session *s)
{
	if (sio_slice_eq(room, s->sid))
		return true;
	for (unsigned i = 0; i < s->rooms_n; i++)
		if (sio_slice_eq(room, s->rooms[i]))
			return true;
	return false;
}

static bool any_among(const char **at, unsigned n, const struct sio_history_session *s)
{
	bool found = false;

	for (unsigned i = 0; i < n; i++)
		found |= is_among(take(at), s);
	return found;
}

static void replay_one(const struct record *r, const struct sio_history_session *s, sio_history_missed_fn *fn, void *arg)
{
	const char *at = (const char *)(r + 1);
	bool is_for = sio_slice_eq(take(&at), s->nsp);
	sio_slice packet, attachments[SIO_ATTACHMENTS_MAX];

	is_for &= any_among(&at, r->rooms_n, s) || r->rooms_n == 0;
	is_for &= !any_among(&at, r->except_n, s);
	is_for &= !sio_slice_eq(take(&at), s->sid);
	if (!is_for)
		return;
	packet = take(&at);
	for (unsigned i = 0; i < r->attachments_n; i++)
		attachments[i] = take(&at);
	fn(packet, attachments, r->attachments_n, arg);
}

static void ring_replay(void *self, const struct sio_history_session *s, sio_slice offset, sio_history_missed_fn *fn,
			sio_history_done_fn *done, void *arg)
{
	struct ring *ring = self;
	size_t at = ring->head;
	uint64_t seen = 0;

	read_offset(ring, offset.n ? offset : s->offset, &seen); /* it was good when it was taken */
	for (uint64_t seq = ring->first_seq; seq < ring->next_seq; seq++) {
		if (seq > seen)
			replay_one(record_at(ring, at), s, fn, arg);
		if (seq + 1 < ring->next_seq)
			at = next_place(ring, at);
	}
	done(SIO_OK, arg);
}

static uint32_t ring_keeps_ms(void *self)
{
	return ((const struct ring *)self)->window_ms;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void ring_close(void *self)
{
	struct ring *ring = self;

	while (ring->oldest)
		session_drop(ring, ring->oldest);
	map_fini(&ring->sessions);
	free(ring->block);
	free(ring);
}

static const struct sio_history_ops ring_ops = {
	.next = ring_next,
	.newest = ring_newest,
	.append = ring_append,
	.left = ring_left,
	.take = ring_take,
	.replay = ring_replay,
	.keeps_ms = ring_keeps_ms,
	.close = ring_close,
};

int sio_history_ring(size_t bytes, uint32_t sessions_n, uint32_t window_ms, const struct sio_history_ops **ops, void **self)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	char id[RANDOM_ID_LEN + 1];

	bytes = (bytes < BYTES_MAX ? bytes : BYTES_MAX) / RECORD_ALIGN * RECORD_ALIGN;
	if (ring)
		ring->block = malloc(bytes ? bytes : 1);
	if (!ring || !ring->block) {
		free(ring);
		return SIO_ERR_NOMEM;
	}
	random_id(id);
	memcpy(ring->epoch, id, EPOCH_LEN);
	ring->cap = bytes;
	ring->next_seq = ring->first_seq = 1;
	ring->sessions_max = sessions_n;
	ring->window_ms = window_ms;
	map_init(&ring->sessions);
	*ops = &ring_ops;
	*self = ring;
	return SIO_OK;
}
