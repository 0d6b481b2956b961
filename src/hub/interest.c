/* interest.c -- which channels a node hears, and which one a message goes to.
 *
 * A namespace's channel is its name; a room's is the namespace's name, a comma, which no
 * such name may hold, and the room's.  A message for exactly one room goes to the room's
 * channel, any other to the namespace's.  A name as long as a socket's id may be one: such
 * messages go to the namespace's channel, and nobody needs to hear the room's.
 *
 * Two kinds of channels stay on for a while:
 *
 * lingering: the last member has gone, but a history that knows only what this node hears
 * may have to tell it one day what it has missed.
 *
 * fresh: others were told to put sockets into the room, and have not yet subscribed to its
 * channel; until then what is sent to the room goes to the namespace's.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include "hub/cluster.h"

#include "base/random.h"

enum {
	FRESH_MS = 2000,   /* for a node to take a JOIN and to subscribe */
	FRESH_MAX = 1024,  /* rooms; the oldest give way */
};

struct dated {
	struct map_node by_channel;
	struct dated *next, *prev;
	uint64_t until_ms;
	bool is_nsp;
	char channel[];
};

/* ---- channels ------------------------------------------------------------------------ */

static sio_slice channel_of(const struct sio_namespace *nsp, sio_slice room, char out[SIO_CHANNEL_MAX])
{
	size_t n = strlen(nsp->name);

	memcpy(out, nsp->name, n);
	if (room.n == 0)
		return sio_bytes(out, n);
	out[n] = ',';
	memcpy(out + n + 1, room.p, room.n);
	return sio_bytes(out, n + 1 + room.n);
}

/* A socket's own room has none: what is sent to one socket goes to all. */
static bool has_channel(sio_slice room)
{
	return room.n > 0 && room.n <= SIO_ROOM_MAX && !random_id_ok(room.p, room.n);
}

/* ---- lists of channels with a time ------------------------------------------------------ */

static struct dated *dated_find(const struct dated_list *list, sio_slice channel)
{
	struct map_node *node = map_get(&list->by_channel, channel);

	return node ? MAP_OWNER(node, struct dated, by_channel) : NULL;
}

static void dated_drop(struct dated_list *list, struct dated *d)
{
	map_del(&list->by_channel, &d->by_channel);
	if (d->prev)
		d->prev->next = d->next;
	else
		list->oldest = d->next;
	if (d->next)
		d->next->prev = d->prev;
	else
		list->newest = d->prev;
	free(d);
}

/* NULL: no memory. */
static struct dated *dated_put(struct dated_list *list, sio_slice channel, uint64_t until_ms)
{
	struct dated *known = dated_find(list, channel), *d = malloc(sizeof(*d) + channel.n);

	if (!d)
		return NULL;
	if (known)
		dated_drop(list, known);
	*d = (struct dated){ .until_ms = until_ms, .prev = list->newest };
	memcpy(d->channel, channel.p, channel.n);
	if (map_put(&list->by_channel, &d->by_channel, sio_bytes(d->channel, channel.n)) < 0) {
		free(d);
		return NULL;
	}
	if (d->prev)
		d->prev->next = d;
	else
		list->oldest = d;
	list->newest = d;
	return d;
}

static void dated_fini(struct dated_list *list)
{
	while (list->oldest)
		dated_drop(list, list->oldest);
	map_fini(&list->by_channel);
}

/* ---- lingering ------------------------------------------------------------------------------ */

static uint32_t linger_ms(const struct hub *hub)
{
	return hub->history && hub->history->keeps_ms ? hub->history->keeps_ms(hub->history_self) : 0;
}

static void on_lingered(struct sio_timer *timer);

static void set_timer(struct cluster *c)
{
	if (c->lingering.oldest)
		wheel_set(c->hub->engine->wheel, &c->timer, c->lingering.oldest->until_ms, on_lingered);
}

static void end_lingering(struct cluster *c, struct dated *d)
{
	sio_slice channel = sio_bytes(d->channel, d->by_channel.key_n);
	struct sio_namespace *nsp = d->is_nsp ? nsp_find(c->hub, channel) : NULL;

	c->ops->unsubscribe(c->self, channel);
	dated_drop(&c->lingering, d);
	if (nsp)
		nsp_relax(nsp);
}

static void on_lingered(struct sio_timer *timer)
{
	struct cluster *c = MAP_OWNER(timer, struct cluster, timer);

	while (c->lingering.oldest && c->lingering.oldest->until_ms <= c->hub->engine->now_ms)
		end_lingering(c, c->lingering.oldest);
	set_timer(c);
}

bool interest_lingers(const struct sio_namespace *nsp)
{
	struct cluster *c = nsp->hub->cluster;

	return c && c->is_open && dated_find(&c->lingering, sio_str(nsp->name));
}

/* ---- interest --------------------------------------------------------------------------------- */

int interest_begin(struct sio_namespace *nsp, sio_slice room)
{
	struct cluster *c = nsp->hub->cluster;
	char space[SIO_CHANNEL_MAX];
	sio_slice channel;
	struct dated *d;
	int err;

	if (!c->is_open || (room.n && !has_channel(room)))
		return SIO_OK;
	channel = channel_of(nsp, room, space);
	d = dated_find(&c->lingering, channel);
	if (d) { /* it is heard still */
		dated_drop(&c->lingering, d);
		return SIO_OK;
	}
	err = c->ops->subscribe(c->self, channel);
	return err == SIO_ERR_NOMEM ? err : SIO_OK;
}

void interest_end(struct sio_namespace *nsp, sio_slice room)
{
	struct cluster *c = nsp->hub->cluster;
	char space[SIO_CHANNEL_MAX];
	uint32_t wait_ms = linger_ms(nsp->hub);
	sio_slice channel;
	struct dated *d;

	if (!c->is_open || (room.n && !has_channel(room)))
		return;
	channel = channel_of(nsp, room, space);
	if (!wait_ms) {
		c->ops->unsubscribe(c->self, channel);
		return;
	}
	d = dated_put(&c->lingering, channel, c->hub->engine->now_ms + wait_ms);
	if (!d)
		return; /* it is heard for longer than need be: better than a gap that nobody sees */
	d->is_nsp = room.n == 0;
	if (c->lingering.oldest == d)
		set_timer(c);
}

void interest_joined(struct sio_namespace *nsp, sio_slice room)
{
	struct cluster *c = nsp->hub->cluster;
	uint64_t now_ms = c->hub->engine->now_ms;
	char space[SIO_CHANNEL_MAX];

	while (c->fresh.oldest && (c->fresh.oldest->until_ms <= now_ms || c->fresh.by_channel.n >= FRESH_MAX))
		dated_drop(&c->fresh, c->fresh.oldest);
	if (has_channel(room))
		dated_put(&c->fresh, channel_of(nsp, room, space), now_ms + FRESH_MS);
}

static bool is_fresh(const struct cluster *c, sio_slice channel)
{
	const struct dated *d = c->fresh.oldest ? dated_find(&c->fresh, channel) : NULL;

	return d && d->until_ms > c->hub->engine->now_ms;
}

sio_slice interest_channel(struct sio_namespace *nsp, const struct sio_target *target, char out[SIO_CHANNEL_MAX])
{
	sio_slice channel;

	if (target->rooms_n == 1 && has_channel(target->rooms[0])) {
		channel = channel_of(nsp, target->rooms[0], out);
		if (!is_fresh(nsp->hub->cluster, channel))
			return channel;
	}
	return channel_of(nsp, sio_bytes("", 0), out);
}

void interest_init(struct cluster *c)
{
	map_init(&c->lingering.by_channel);
	map_init(&c->fresh.by_channel);
}

void interest_fini(struct cluster *c)
{
	dated_fini(&c->lingering);
	dated_fini(&c->fresh);
}
