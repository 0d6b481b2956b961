/* lease_peer.c -- see lease.h.  The other nodes, and what they and we have in each project.
 *
 * Each node tells all others in which projects it has users (its directory), and those who
 * ask for a project (SUB) its users there, first all of them (STATE), then each change (CHANGE).
 * A beat carries two sums: over the directory, and over the projects and versions that the
 * receiver should know.  Whoever comes to another sum asks: for the directory, or once more
 * for all projects with the versions it knows, which is answered where they differ.
 *
 *	link, theirs:   UNKNOWN --SUB--> asked --STATE--> known at a version --CHANGE--> the next one
 *	                   ^                                |  a version in between is missing: SUB
 *	                   +---- nobody there, or no interest here any more
 *
 * Versions and clocks are numbers of the owner's and only rise, so an old message that comes late is
 * seen for what it is.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "collab/lease_inner.h"

/* ---- links ----------------------------------------------------------------------------------- */

struct lease_link *lease_link_find(const struct lease_project *p, const struct lease_peer *peer)
{
	struct lease_link *link = p ? p->links : NULL;

	while (link && link->peer != peer)
		link = link->next;
	return link;
}

/* NULL: no memory. */
struct lease_link *lease_link_open(struct lease_project *p, struct lease_peer *peer)
{
	struct lease_link *link = lease_link_find(p, peer);

	if (link || !(link = calloc(1, sizeof(*link))))
		return link;
	*link = (struct lease_link){ .project = p, .peer = peer, .next = p->links, .next_of_peer = peer->links,
				     .prev_of_peer = &peer->links, .version = LEASE_UNKNOWN, .part_version = LEASE_UNKNOWN };
	p->links = link;
	if (peer->links)
		peer->links->prev_of_peer = &link->next_of_peer;
	peer->links = link;
	return link;
}

/* Free a link that says nothing; its project may go with it. */
void lease_link_relax(struct lease *l, struct lease_link *link)
{
	struct lease_project *p = link->project;
	struct lease_link **at = &p->links;

	if (link->there != LEASE_NOBODY || link->is_told)
		return;
	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	*link->prev_of_peer = link->next_of_peer;
	if (link->next_of_peer)
		link->next_of_peer->prev_of_peer = link->prev_of_peer;
	free(link);
	lease_project_relax(l, p);
}

void lease_link_set_version(struct lease_link *link, int64_t version)
{
	if (link->version != LEASE_UNKNOWN)
		link->peer->heard_sum -= lease_mix(link->project->hash, link->version);
	if (version != LEASE_UNKNOWN)
		link->peer->heard_sum += lease_mix(link->project->hash, version);
	link->version = version;
}

/* Their users are not known any more. */
void lease_link_unknow(struct lease *l, struct lease_link *link)
{
	if (link->version != LEASE_UNKNOWN || link->part_version != LEASE_UNKNOWN)
		lease_forget(l, link->project, link->peer, 0);
	lease_link_set_version(link, LEASE_UNKNOWN);
	link->part_version = LEASE_UNKNOWN;
	link->is_asked = false;
}

static void link_want(struct lease *l, struct lease_link *link)
{
	if (link->there != LEASE_NOBODY && link->version == LEASE_UNKNOWN && !link->is_asked && !link->peer->is_gone)
		lease_say_ask(l, link);
}

/* What the peer has in the project.  The caller relaxes the link. */
void lease_link_set_there(struct lease *l, struct lease_link *link, enum lease_there there)
{
	struct lease_peer *peer = link->peer;
	struct lease_project *p = link->project;

	if (link->there == (uint8_t)there)
		return;
	if (link->there != LEASE_NOBODY) {
		peer->dir_n--;
		peer->dir_sum -= lease_mix(p->hash, link->there);
	}
	if (there != LEASE_NOBODY) {
		peer->dir_n++;
		peer->dir_sum += lease_mix(p->hash, there);
	}
	lease_project_occupy(l, p, (there == LEASE_OCCUPIED) - (link->there == LEASE_OCCUPIED));
	link->there = (uint8_t)there;
	if (there == LEASE_NOBODY)
		lease_link_unknow(l, link);
	else if (lease_is_wanted(p))
		link_want(l, link);
}

void lease_link_tell(struct lease_link *link, bool is_told)
{
	uint64_t part = lease_mix(link->project->hash, link->project->version);

	if (link->is_told == is_told)
		return;
	link->is_told = is_told;
	link->peer->told_sum += is_told ? part : 0 - part;
}

/* ---- what is known --------------------------------------------------------------------------------- */

static bool peer_is_awaited(const struct lease_peer *peer)
{
	return !peer->is_gone && !peer->is_late;
}

bool lease_is_known(const struct lease *l, const struct lease_project *p)
{
	const struct lease_peer *peer;
	uint32_t i;

	LEASE_EACH_PEER(l, peer, i)
		if (!peer->is_known && peer_is_awaited(peer))
			return false;
	for (const struct lease_link *link = p->links; link; link = link->next)
		if (lease_link_is_open(link) && peer_is_awaited(link->peer))
			return false;
	return true;
}

void lease_settle_if_known(struct lease *l, struct lease_project *p)
{
	if (p->is_open && lease_is_known(l, p))
		lease_project_settle(l, p);
}

void lease_settle_all_known(struct lease *l)
{
	for (struct lease_project *p = l->open, *next; p; p = next) {
		next = p->next_open;
		lease_settle_if_known(l, p);
	}
}

/* Nobody waits again for those who have not answered, until they say something. */
static void give_up(struct lease *l, struct lease_project *p)
{
	struct lease_peer *peer;
	uint32_t i;

	LEASE_EACH_PEER(l, peer, i) {
		const struct lease_link *link = lease_link_find(p, peer);

		if (!peer->is_known || (link && lease_link_is_open(link)))
			peer->is_late = true;
	}
	lease_project_settle(l, p);
}

/* ---- own changes, own interest ------------------------------------------------------------------------ */

void lease_peers_want(struct lease *l, struct lease_project *p, uint64_t now_ms)
{
	(void)now_ms;
	for (struct lease_link *link = p->links; link; link = link->next)
		link_want(l, link);
}

void lease_peers_unwant(struct lease *l, struct lease_project *p)
{
	/* The project stays to the end: it is the caller who relaxes it. */
	for (struct lease_link *link = p->links; link; link = link->next) {
		if (link->is_asked || link->version != LEASE_UNKNOWN)
			lease_say_project(l, link->peer, LEASE_SAY_UNSUB, lease_key(&p->node), 0);
		lease_link_unknow(l, link);
	}
}

static void untell_all(struct lease *l, struct lease_project *p)
{
	struct lease_link *next;

	p->watches_n++; /* it stays */
	for (struct lease_link *link = p->links; link; link = next) {
		next = link->next;
		lease_link_tell(link, false);
		lease_link_relax(l, link);
	}
	p->watches_n--;
}

/* Tell all nodes what we have in it, if that is something else now. */
static void tell_there(struct lease *l, struct lease_project *p)
{
	enum lease_there there = p->own_n == 0 ? LEASE_NOBODY : p->own_connections == 0 ? LEASE_AWAY : LEASE_OCCUPIED;
	struct buf b = { 0 };

	if (there == p->own_there)
		return;
	if (p->own_there != LEASE_NOBODY) {
		l->dir_n--;
		l->dir_sum -= lease_mix(p->hash, p->own_there);
	}
	if (there != LEASE_NOBODY) {
		l->dir_n++;
		l->dir_sum += lease_mix(p->hash, there);
	}
	lease_project_occupy(l, p, (there == LEASE_OCCUPIED) - (p->own_there == LEASE_OCCUPIED));
	p->own_there = (uint8_t)there;
	buf_printf(&b, "%d,%lld,", LEASE_SAY_DIR_ONE, (long long)l->clock);
	buf_json(&b, lease_key(&p->node));
	buf_printf(&b, ",%d", there);
	lease_say_all(l, &b);
	buf_fini(&b);
}

void lease_peers_change(struct lease *l, struct lease_project *p, const struct lease_user *user, sio_slice id)
{
	int64_t before = p->version;
	struct buf b = { 0 };

	p->version = ++l->clock;
	for (struct lease_link *link = p->links; link; link = link->next) {
		if (!link->is_told)
			continue;
		link->peer->told_sum += lease_mix(p->hash, p->version) - lease_mix(p->hash, before);
		if (b.n == 0) {
			buf_printf(&b, "%d,", LEASE_SAY_CHANGE);
			buf_json(&b, lease_key(&p->node));
			buf_printf(&b, ",%lld,%lld,", (long long)before, (long long)p->version);
			lease_put_own(&b, user, id);
		}
		lease_say(l, link->peer, &b);
	}
	buf_fini(&b);
	tell_there(l, p);
	if (p->own_n == 0) {
		untell_all(l, p);
		p->version = 0;
	}
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

static struct lease_peer *peer_find(const struct lease *l, sio_slice id)
{
	struct map_node *node = map_get(&l->peers, id);

	return node ? lease_peer_of(node) : NULL;
}

/* NULL: no memory. */
static struct lease_peer *peer_open(struct lease *l, sio_slice id, uint64_t now_ms)
{
	struct lease_peer *peer = peer_find(l, id);

	if (peer || id.n == 0 || id.n > LEASE_NODE_MAX)
		return peer;
	peer = calloc(1, sizeof(*peer) + id.n);
	if (!peer)
		return NULL;
	peer->heard_ms = now_ms;
	memcpy(peer->id, id.p, id.n);
	if (map_put(&l->peers, &peer->node, sio_bytes(peer->id, id.n)) < 0) {
		free(peer);
		return NULL;
	}
	lease_say_dir_ask(l, peer);
	return peer;
}

static void peer_drop(struct lease *l, struct lease_peer *peer)
{
	while (peer->links) {
		struct lease_link *link = peer->links;

		lease_link_tell(link, false);
		lease_link_set_there(l, link, LEASE_NOBODY);
		lease_link_unknow(l, link);
		lease_link_relax(l, link);
	}
	l->gone_n -= peer->is_gone;
	map_del(&l->peers, &peer->node);
	free(peer);
}

void lease_meet(struct lease *l, sio_slice node, uint64_t now_ms)
{
	(void)peer_open(l, node, now_ms); /* else the next message or beat meets it */
}

void lease_gone(struct lease *l, sio_slice node, uint64_t now_ms)
{
	struct lease_peer *peer = peer_find(l, node);
	struct lease_link *next;

	if (!peer || peer->is_gone)
		return;
	if (peer->grace_ms == 0) {
		peer_drop(l, peer);
		lease_settle_all_known(l);
		return;
	}
	peer->is_gone = true;
	peer->gone_at_ms = now_ms + peer->grace_ms;
	l->gone_n++;
	for (struct lease_link *link = peer->links; link; link = next) {
		next = link->next_of_peer;
		lease_link_tell(link, false);
		if (link->there == LEASE_OCCUPIED)
			lease_link_set_there(l, link, LEASE_AWAY);
		lease_link_relax(l, link);
	}
	lease_settle_all_known(l);
}

void lease_hear(struct lease *l, sio_slice node, sio_slice json, uint64_t now_ms)
{
	struct lease_peer *peer = l->is_closed ? NULL : peer_open(l, node, now_ms);

	if (!peer || peer->is_gone)
		return;
	peer->heard_ms = now_ms;
	peer->is_late = false;
	lease_take(l, peer, json);
}

void lease_close(struct lease *l, uint32_t grace_ms)
{
	struct buf b = { 0 };

	buf_printf(&b, "%d,%u", LEASE_SAY_CLOSING, (unsigned)grace_ms);
	lease_say_all(l, &b);
	buf_fini(&b);
	l->is_closed = true;
	while (l->open)
		lease_project_settle(l, l->open);
}

/* ---- time ---------------------------------------------------------------------------------------------------------- */

static uint64_t beat_due_ms(const struct lease *l)
{
	return l->beat_ms + (l->connections != l->beat_connections ? LEASE_BEAT_SOON_MS : LEASE_BEAT_MS);
}

void lease_tick(struct lease *l, uint64_t now_ms)
{
	struct lease_peer *peer;
	bool is_late = false;
	uint32_t i;

	if (l->is_closed)
		return;
	if (l->gone_n > 0)
		LEASE_EACH_PEER(l, peer, i)
			if (peer->is_gone && peer->gone_at_ms <= now_ms)
				peer_drop(l, peer);
	for (; l->open && l->open->open_until_ms <= now_ms; is_late = true)
		give_up(l, l->open);
	if (is_late)
		lease_settle_all_known(l);
	if (beat_due_ms(l) > now_ms)
		return;
	l->beat_ms = now_ms;
	l->beat_connections = l->connections;
	lease_say_beats(l);
}

uint64_t lease_next_ms(const struct lease *l)
{
	uint64_t next_ms = beat_due_ms(l);
	const struct lease_peer *peer;
	uint32_t i;

	if (l->news || l->ready)
		return 0;
	if (l->is_closed)
		return UINT64_MAX;
	if (l->open && l->open->open_until_ms < next_ms)
		next_ms = l->open->open_until_ms;
	if (l->gone_n > 0)
		LEASE_EACH_PEER(l, peer, i)
			if (peer->is_gone && peer->gone_at_ms < next_ms)
				next_ms = peer->gone_at_ms;
	return next_ms;
}

/* ---- facts ----------------------------------------------------------------------------------------------------------- */

void lease_facts(const struct lease *l, struct lease_facts *out)
{
	const struct lease_peer *peer;
	uint32_t i;

	*out = (struct lease_facts){ .connections = l->connections, .projects = l->occupied_n };
	LEASE_EACH_PEER(l, peer, i)
		if (!peer->is_gone)
			out->connections += (uint64_t)peer->connections;
}

void lease_missing(const struct lease *l, sio_slice project, uint64_t now_ms, lease_node_fn *fn, void *arg)
{
	const struct lease_project *p = project.n ? lease_find(l, project) : NULL;
	const struct lease_peer *peer;
	uint32_t i;

	LEASE_EACH_PEER(l, peer, i) {
		const struct lease_link *link = lease_link_find(p, peer);

		if (!peer->is_gone &&
		    (!peer->is_known || peer->heard_ms + LEASE_FRESH_MS <= now_ms || (link && lease_is_wanted(p) && lease_link_is_open(link))))
			fn(lease_key(&peer->node), arg);
	}
}

/* ---- the end, and invariants -------------------------------------------------------------------------------------------- */

void lease_peers_fini(struct lease *l)
{
	struct lease_peer *peer;
	uint32_t i;

	while (l->open)
		lease_project_settle(l, l->open);
	LEASE_EACH_PEER(l, peer, i)
		peer_drop(l, peer);
}

static bool peer_sane(const struct lease_peer *peer)
{
	uint64_t told = 0, heard = 0, dir = 0;
	uint32_t n = 0;

	for (const struct lease_link *link = peer->links; link; link = link->next_of_peer) {
		uint64_t hash = link->project->hash;

		if (lease_link_find(link->project, peer) != link || (link->there == LEASE_NOBODY && !link->is_told))
			return false;
		if (link->version != LEASE_UNKNOWN && (link->there == LEASE_NOBODY || !lease_is_wanted(link->project)))
			return false;
		told += link->is_told ? lease_mix(hash, link->project->version) : 0;
		heard += link->version != LEASE_UNKNOWN ? lease_mix(hash, link->version) : 0;
		dir += link->there != LEASE_NOBODY ? lease_mix(hash, link->there) : 0;
		n += link->there != LEASE_NOBODY;
	}
	return told == peer->told_sum && heard == peer->heard_sum && dir == peer->dir_sum && n == peer->dir_n;
}

bool lease_peers_sane(const struct lease *l)
{
	const struct lease_peer *peer;
	uint32_t i;

	LEASE_EACH_PEER(l, peer, i)
		if (!peer_sane(peer))
			return false;
	return true;
}
