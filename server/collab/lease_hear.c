/* lease_hear.c -- see lease.h.  What the other nodes say.
 *
 * A message that says nothing new, or that comes from the past, changes nothing; one that cannot be
 * understood, or not be kept for want of memory, leaves a difference that the next beat finds.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <string.h>

#include <sio/json.h>

#include "collab/lease_inner.h"

/* ---- hearing ------------------------------------------------------------------------------------------------- */

/* Take the next argument of one kind; false: it is none. */
static bool take_int(sio_slice *rest, int64_t *out)
{
	sio_slice item;

	return sio_json_next(rest, &item) == SIO_OK && sio_json_int(item, out) == SIO_OK;
}

/* Ids are plain, so what stands between the quotes is the id. */
static bool take_id(sio_slice *rest, sio_slice *out)
{
	sio_slice item;

	if (sio_json_next(rest, &item) < 0 || sio_json_type(item) != SIO_JSON_STRING || item.n < 3 || item.n > LEASE_ID_MAX + 2 ||
	    memchr(item.p, '\\', item.n))
		return false;
	*out = sio_bytes(item.p + 1, item.n - 2);
	return true;
}

static bool take_list(sio_slice *rest, sio_slice *out)
{
	sio_slice item;

	if (sio_json_next(rest, &item) < 0 || sio_json_type(item) != SIO_JSON_ARRAY)
		return false;
	*out = sio_json_inside(item);
	return true;
}

static bool take_entry(sio_slice user, struct lease_entry *e)
{
	sio_slice rest = sio_json_inside(user);

	*e = (struct lease_entry){ .state = sio_bytes("", 0) };
	if (sio_json_type(user) != SIO_JSON_ARRAY || !take_id(&rest, &e->id))
		return false;
	if (rest.n == 0) {
		e->is_gone = true;
		return true;
	}
	if (!take_int(&rest, &e->connections) || !take_int(&rest, &e->since_ms) || !take_int(&rest, &e->joined_at_ms) ||
	    sio_json_next(&rest, &e->name) < 0 || sio_json_type(e->name) != SIO_JSON_STRING || !take_int(&rest, &e->stamp))
		return false;
	return rest.n == 0 || sio_json_next(&rest, &e->state) == SIO_OK;
}

static void on_beat(struct lease *l, struct lease_peer *peer, sio_slice rest)
{
	int64_t dir_n, dir_sum, told_sum, connections;

	if (!take_int(&rest, &dir_n) || !take_int(&rest, &dir_sum) || !take_int(&rest, &told_sum) || !take_int(&rest, &connections))
		return;
	peer->beats_n++;
	peer->connections = connections;
	if (!peer->is_known || dir_n != peer->dir_n || dir_sum != lease_sum_out(peer->dir_sum))
		lease_say_dir_ask(l, peer);
	if (told_sum != lease_sum_out(peer->heard_sum)) {
		lease_say_asks(l, peer);
		return;
	}
	for (struct lease_link *link = peer->links; link; link = link->next_of_peer) {
		bool is_lost = link->is_asked ? peer->beats_n - link->asked_beat >= 2 : lease_link_is_open(link);
		if (is_lost && lease_is_wanted(link->project)) /* the question was, or the answer */
			lease_say_ask(l, link);
	}
}

static void on_dir_ask(struct lease *l, struct lease_peer *peer, sio_slice rest)
{
	(void)rest;
	lease_say_dir(l, peer);
}

/* true: it was taken, or there is better. */
static bool hear_there(struct lease *l, struct lease_peer *peer, sio_slice project, int64_t clock, enum lease_there there,
		       uint32_t dir_mark)
{
	struct lease_project *p = there == LEASE_NOBODY ? (struct lease_project *)(uintptr_t)lease_find(l, project) :
							  lease_project_open(l, project);
	struct lease_link *link = there == LEASE_NOBODY ? lease_link_find(p, peer) : p ? lease_link_open(p, peer) : NULL;

	if (!link) {
		if (p)
			lease_project_relax(l, p);
		return there == LEASE_NOBODY;
	}
	if (dir_mark)
		link->dir_mark = dir_mark;
	if (clock < link->there_clock || (there == LEASE_NOBODY && (clock < link->version || clock < link->part_version)))
		return true;
	link->there_clock = clock;
	lease_link_set_there(l, link, there);
	lease_settle_if_known(l, p);
	lease_link_relax(l, link);
	return true;
}

static void on_dir_one(struct lease *l, struct lease_peer *peer, sio_slice rest)
{
	int64_t clock, there;
	sio_slice project;

	if (take_int(&rest, &clock) && take_id(&rest, &project) && take_int(&rest, &there) && there >= 0 && there < LEASE_NTHERE)
		hear_there(l, peer, project, clock, (enum lease_there)there, 0);
}

/* The whole directory was heard: what it did not name is no more. */
static void end_dir(struct lease *l, struct lease_peer *peer, int64_t clock)
{
	struct lease_link *next;

	for (struct lease_link *link = peer->links; link; link = next) {
		struct lease_project *p = link->project;

		next = link->next_of_peer;
		if (link->dir_mark == peer->dir_mark || link->there_clock > clock || link->version > clock)
			continue;
		link->there_clock = clock;
		lease_link_set_there(l, link, LEASE_NOBODY);
		lease_settle_if_known(l, p);
		lease_link_relax(l, link);
	}
	peer->is_known = true;
	lease_settle_all_known(l);
}

static void on_dir(struct lease *l, struct lease_peer *peer, sio_slice rest)
{
	int64_t clock, part, is_last, there;
	sio_slice list, project;
	bool is_whole = true;

	if (!take_int(&rest, &clock) || !take_int(&rest, &part) || !take_int(&rest, &is_last) || !take_list(&rest, &list))
		return;
	if (part == 0) {
		peer->dir_next = 0;
		peer->dir_mark = lease_mark(l);
	}
	if (part != peer->dir_next)
		return; /* a part is missing: the next beat finds it */
	peer->dir_next++;
	while (is_whole && list.n > 0)
		is_whole = take_id(&list, &project) && take_int(&list, &there) && there > 0 && there < LEASE_NTHERE &&
			   hear_there(l, peer, project, clock, (enum lease_there)there, peer->dir_mark);
	if (is_whole && is_last)
		end_dir(l, peer, clock);
	if (!is_whole || is_last)
		peer->dir_next = UINT32_MAX; /* there is no next part */
}

static void sub_one(struct lease *l, struct lease_peer *peer, sio_slice project, int64_t version, bool is_all)
{
	struct map_node *node = map_get(&l->projects, project);
	struct lease_project *p = node ? MAP_OWNER(node, struct lease_project, node) : NULL;
	struct lease_link *link = p && p->own_n > 0 ? lease_link_open(p, peer) : NULL;

	if (p && p->own_n > 0 && !link)
		return; /* no memory: it asks again */
	if (link)
		lease_link_tell(link, true);
	if (!link || version != p->version)
		lease_say_state(l, peer, project, p);
	else if (!is_all)
		lease_say_project(l, peer, LEASE_SAY_SAME, project, version);
}

static void on_sub(struct lease *l, struct lease_peer *peer, sio_slice rest)
{
	int64_t is_all, version;
	sio_slice list, project;
	struct lease_link *next;

	if (!take_int(&rest, &is_all) || !take_list(&rest, &list))
		return;
	for (struct lease_link *link = is_all ? peer->links : NULL; link; link = next) {
		next = link->next_of_peer;
		lease_link_tell(link, false);
		lease_link_relax(l, link);
	}
	while (take_id(&list, &project) && take_int(&list, &version))
		sub_one(l, peer, project, version, is_all);
}

static void on_unsub(struct lease *l, struct lease_peer *peer, sio_slice rest)
{
	struct lease_link *link;
	sio_slice project;

	if (!take_id(&rest, &project) || !(link = lease_link_find(lease_find(l, project), peer)))
		return;
	lease_link_tell(link, false);
	lease_link_relax(l, link);
}

/* Is this the part of a list that comes next, and is the list of use? */
static bool state_is_next(struct lease *l, struct lease_link *link, int64_t version, int64_t part)
{
	if (version <= link->version || version < link->part_version)
		return false; /* older than what we have, in whole or in part */
	if (part == 0) {
		link->part_version = version;
		link->part_next = 0;
		link->mark = lease_mark(l);
	}
	return version == link->part_version && part == link->part_next;
}

static void state_is_whole(struct lease *l, struct lease_link *link, int64_t version)
{
	lease_forget(l, link->project, link->peer, link->mark);
	lease_link_set_version(link, version);
	link->part_version = LEASE_UNKNOWN;
	lease_settle_if_known(l, link->project);
}

static void on_state(struct lease *l, struct lease_peer *peer, sio_slice rest)
{
	int64_t version, part, is_last;
	sio_slice project, list, item;
	struct lease_link *link;
	struct lease_entry e;
	bool is_whole = true;

	if (!take_id(&rest, &project) || !take_int(&rest, &version) || !take_int(&rest, &part) || !take_int(&rest, &is_last) ||
	    !take_list(&rest, &list) || !(link = lease_link_find(lease_find(l, project), peer)) || !lease_is_wanted(link->project) ||
	    link->there == LEASE_NOBODY) /* their word that nobody is there has overtaken it */
		return;
	link->is_asked = link->is_asked && !is_last;
	if (!state_is_next(l, link, version, part))
		return;
	link->part_next++;
	if (part == 0 && is_last && list.n == 0) {
		link->part_version = LEASE_UNKNOWN;
		hear_there(l, peer, project, version, LEASE_NOBODY, 0);
		return;
	}
	while (is_whole && sio_json_next(&list, &item) == SIO_OK)
		is_whole = take_entry(item, &e) && !e.is_gone && lease_apply(l, link->project, peer, &e, link->mark) == SIO_OK;
	if (!is_whole)
		link->part_next = UINT32_MAX; /* the next beat finds it */
	else if (is_last)
		state_is_whole(l, link, version);
}

static void on_change(struct lease *l, struct lease_peer *peer, sio_slice rest)
{
	int64_t before, version;
	struct lease_link *link;
	sio_slice project, item;
	struct lease_entry e;

	if (!take_id(&rest, &project) || !take_int(&rest, &before) || !take_int(&rest, &version) || sio_json_next(&rest, &item) < 0 ||
	    !take_entry(item, &e) || !(link = lease_link_find(lease_find(l, project), peer)) || version <= link->version)
		return;
	if (link->version == LEASE_UNKNOWN || link->part_version != LEASE_UNKNOWN)
		return; /* the list is on its way, and newer or older than this: the next change or beat tells */
	if (before == link->version && lease_apply(l, link->project, peer, &e, 0) == SIO_OK)
		lease_link_set_version(link, version);
	else if (!link->is_asked)
		lease_say_ask(l, link);
}

static void on_same(struct lease *l, struct lease_peer *peer, sio_slice rest)
{
	struct lease_link *link;
	sio_slice project;
	int64_t version;

	if (take_id(&rest, &project) && take_int(&rest, &version) && (link = lease_link_find(lease_find(l, project), peer)) &&
	    link->version == version)
		link->is_asked = false;
}

static void on_closing(struct lease *l, struct lease_peer *peer, sio_slice rest)
{
	int64_t grace_ms;

	(void)l;
	if (take_int(&rest, &grace_ms) && grace_ms >= 0 && grace_ms <= UINT32_MAX)
		peer->grace_ms = (uint32_t)grace_ms;
}

typedef void on_message_fn(struct lease *l, struct lease_peer *peer, sio_slice rest);
static on_message_fn *const handlers[LEASE_NMESSAGES] = {
	[LEASE_SAY_BEAT] = on_beat,
	[LEASE_SAY_DIR_ASK] = on_dir_ask,
	[LEASE_SAY_DIR] = on_dir,
	[LEASE_SAY_DIR_ONE] = on_dir_one,
	[LEASE_SAY_SUB] = on_sub,
	[LEASE_SAY_UNSUB] = on_unsub,
	[LEASE_SAY_STATE] = on_state,
	[LEASE_SAY_CHANGE] = on_change,
	[LEASE_SAY_SAME] = on_same,
	[LEASE_SAY_CLOSING] = on_closing,
};

void lease_take(struct lease *l, struct lease_peer *peer, sio_slice json)
{
	int64_t type;

	if (take_int(&json, &type) && type > 0 && type < LEASE_NMESSAGES)
		handlers[type](l, peer, json);
}
