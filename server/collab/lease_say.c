/* lease_say.c -- see lease.h.  What a node says to the others, as JSON.
 *
 * Lists that may be long go in parts; all parts are sent in one call, so nothing of ours comes
 * between them.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <sio/json.h>

#include "collab/lease_inner.h"

/* ---- sending ----------------------------------------------------------------------------- */

void lease_say(struct lease *l, const struct lease_peer *peer, const struct buf *b)
{
	if (!b->failed && !l->is_closed && !peer->is_gone)
		l->send(l->arg, lease_key(&peer->node), buf_peek(b));
}

void lease_say_all(struct lease *l, const struct buf *b)
{
	const struct lease_peer *peer;
	uint32_t i;

	LEASE_EACH_PEER(l, peer, i)
		lease_say(l, peer, b);
}

void lease_say_dir_ask(struct lease *l, const struct lease_peer *peer)
{
	struct buf b = { 0 };

	buf_printf(&b, "%d", LEASE_SAY_DIR_ASK);
	lease_say(l, peer, &b);
	buf_fini(&b);
}

void lease_say_project(struct lease *l, const struct lease_peer *peer, enum lease_message type, sio_slice project, int64_t version)
{
	struct buf b = { 0 };

	buf_printf(&b, "%d,", type);
	buf_json(&b, project);
	if (type == LEASE_SAY_SAME)
		buf_printf(&b, ",%lld", (long long)version);
	lease_say(l, peer, &b);
	buf_fini(&b);
}

/* Sums go as JSON integers. */
int64_t lease_sum_out(uint64_t sum)
{
	return (int64_t)(sum & INT64_MAX);
}

void lease_say_beats(struct lease *l)
{
	const struct lease_peer *peer;
	struct buf b = { 0 };
	uint32_t i;

	LEASE_EACH_PEER(l, peer, i) {
		buf_clear(&b);
		buf_printf(&b, "%d,%u,%lld,%lld,%u", LEASE_SAY_BEAT, (unsigned)l->dir_n, (long long)lease_sum_out(l->dir_sum),
			   (long long)lease_sum_out(peer->told_sum), (unsigned)l->connections);
		lease_say(l, peer, &b);
	}
	buf_fini(&b);
}

/* ---- lists in parts ---------------------------------------------------------------------------------------- */

void lease_say_dir(struct lease *l, const struct lease_peer *peer)
{
	struct map_node *node;
	struct buf b = { 0 };
	unsigned part = 0;
	uint32_t i;

	node = map_first(&l->projects, &i);
	do {
		struct buf list = { 0 };

		for (; node && list.n < LEASE_PART_BYTES && !list.failed; node = map_next(&l->projects, &i, node)) {
			const struct lease_project *p = MAP_OWNER(node, struct lease_project, node);

			if (p->own_there == LEASE_NOBODY)
				continue;
			if (list.n > 0)
				buf_byte(&list, ',');
			buf_json(&list, lease_key(node));
			buf_printf(&list, ",%d", p->own_there);
		}
		buf_clear(&b);
		buf_printf(&b, "%d,%lld,%u,%d,[", LEASE_SAY_DIR, (long long)l->clock, part++, node == NULL);
		buf_slice(&b, buf_peek(&list));
		buf_byte(&b, ']');
		b.failed |= list.failed;
		lease_say(l, peer, &b);
		buf_fini(&list);
	} while (node && !b.failed);
	buf_fini(&b);
}

/* All users of ours in p; p NULL or without any: nobody. */
void lease_say_state(struct lease *l, const struct lease_peer *peer, sio_slice project, const struct lease_project *p)
{
	const struct lease_user *user = lease_next(p, NULL);
	int64_t version = p && p->own_n > 0 ? p->version : l->clock;
	struct buf b = { 0 };
	unsigned part = 0;

	do {
		struct buf list = { 0 };

		for (; user && list.n < LEASE_PART_BYTES && !list.failed; user = user->next) {
			if (!lease_holder(user, NULL))
				continue;
			if (list.n > 0)
				buf_byte(&list, ',');
			lease_put_own(&list, user, sio_bytes(user->id, user->id_n));
		}
		buf_clear(&b);
		buf_printf(&b, "%d,", LEASE_SAY_STATE);
		buf_json(&b, project);
		buf_printf(&b, ",%lld,%u,%d,[", (long long)version, part++, user == NULL);
		buf_slice(&b, buf_peek(&list));
		buf_byte(&b, ']');
		b.failed |= list.failed;
		lease_say(l, peer, &b);
		buf_fini(&list);
	} while (user && !b.failed);
	buf_fini(&b);
}

void lease_say_ask(struct lease *l, struct lease_link *link)
{
	struct buf b = { 0 };

	link->is_asked = true;
	link->asked_beat = link->peer->beats_n;
	buf_printf(&b, "%d,0,[", LEASE_SAY_SUB);
	buf_json(&b, lease_key(&link->project->node));
	buf_printf(&b, ",%lld]", (long long)link->version);
	lease_say(l, link->peer, &b);
	buf_fini(&b);
}

/* All that we want of the peer, and what we know of it. */
void lease_say_asks(struct lease *l, struct lease_peer *peer)
{
	struct lease_link *link = peer->links;
	struct buf b = { 0 };
	int is_all = 1;

	do {
		size_t start;

		buf_clear(&b);
		buf_printf(&b, "%d,%d,[", LEASE_SAY_SUB, is_all);
		start = b.n;
		for (; link && b.n < LEASE_PART_BYTES && !b.failed; link = link->next_of_peer) {
			if (link->there == LEASE_NOBODY || !lease_is_wanted(link->project))
				continue;
			if (b.n > start)
				buf_byte(&b, ',');
			buf_json(&b, lease_key(&link->project->node));
			buf_printf(&b, ",%lld", (long long)link->version);
			link->is_asked = link->is_asked || link->version == LEASE_UNKNOWN;
			link->asked_beat = peer->beats_n;
		}
		buf_byte(&b, ']');
		lease_say(l, peer, &b);
		is_all = 0;
	} while (link && !b.failed);
	buf_fini(&b);
}

