/* lease_user.c -- see lease.h.  Users of projects: who holds them, and what is shown of them.
 *
 * A user of a project has one record and in it one holder for each node that has it.  The
 * record goes with the last holder.  What nodes could say differently (name, state, when it
 * joined) is decided by rules that come to the same on each of them, whatever the order in
 * which they hear: the newest or the oldest word counts, never the nearest.  A node takes over
 * into its own holder what is newer or older than that, so it stays when another tab goes.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>
#include <string.h>

#include "collab/lease_inner.h"

enum { KEY_MAX = 2 * LEASE_ID_MAX + 1 };

/* ---- texts --------------------------------------------------------------------------- */

static int text_compare(const struct lease_text *a, sio_slice b)
{
	size_t n = a ? a->n : 0, least = n < b.n ? n : b.n;
	int c = least ? memcmp(a->text, b.p, least) : 0;

	return c ? c : (n > b.n) - (n < b.n);
}

int lease_text_set(struct lease_text **at, sio_slice text)
{
	struct lease_text *t = NULL;

	if (text.n > 0) {
		t = malloc(sizeof(*t) + text.n);
		if (!t)
			return SIO_ERR_NOMEM;
		t->n = text.n;
		memcpy(t->text, text.p, text.n);
	}
	free(*at);
	*at = t;
	return SIO_OK;
}

/* ---- users --------------------------------------------------------------------------------- */

static sio_slice user_key(char out[KEY_MAX], const struct lease_project *p, sio_slice id)
{
	sio_slice project = lease_key(&p->node);

	memcpy(out, project.p, project.n);
	out[project.n] = '\n'; /* in no plain id */
	memcpy(out + project.n + 1, id.p, id.n);
	return sio_bytes(out, project.n + 1 + id.n);
}

struct lease_user *lease_user_find(const struct lease *l, const struct lease_project *p, sio_slice id)
{
	char space[KEY_MAX];
	struct map_node *node = id.n && id.n <= LEASE_ID_MAX ? map_get(&l->users, user_key(space, p, id)) : NULL;

	return node ? MAP_OWNER(node, struct lease_user, node) : NULL;
}

struct lease_user *lease_user_new(struct lease *l, struct lease_project *p, sio_slice id)
{
	struct lease_user *user;
	char space[KEY_MAX], *key;
	sio_slice text;

	if (id.n == 0 || id.n > LEASE_ID_MAX)
		return NULL;
	text = user_key(space, p, id);
	user = malloc(sizeof(*user) + text.n);
	if (!user)
		return NULL;
	key = (char *)(user + 1);
	memcpy(key, text.p, text.n);
	*user = (struct lease_user){ .project = p, .prev = p->last, .id_n = (uint32_t)id.n, .id = key + text.n - id.n };
	if (map_put(&l->users, &user->node, sio_bytes(key, text.n)) < 0) {
		free(user);
		return NULL;
	}
	*p->last = user;
	p->last = &user->next;
	p->users_n++;
	return user;
}

void lease_user_relax(struct lease *l, struct lease_user *user)
{
	struct lease_project *p = user->project;

	if (user->holders)
		return;
	*user->prev = user->next;
	if (user->next)
		user->next->prev = user->prev;
	else
		p->last = user->prev;
	p->users_n--;
	map_del(&l->users, &user->node);
	free(user);
}

/* ---- holders --------------------------------------------------------------------------------- */

struct lease_holder *lease_holder(const struct lease_user *user, const struct lease_peer *peer)
{
	struct lease_holder *h = user->holders;

	while (h && h->peer != peer)
		h = h->next;
	return h;
}

/* The user's holder at peer, made or made anew with that name; joined_at_ms is for a new one.  NULL: no
 * memory, nothing has changed. */
static struct lease_holder *holder_open(struct lease_user *user, struct lease_peer *peer, sio_slice name, int64_t joined_at_ms)
{
	struct lease_holder *known = lease_holder(user, peer), *h, **at = &user->holders;

	if (known && sio_slice_eq(sio_bytes(known->name, known->name_n), name))
		return known;
	h = malloc(sizeof(*h) + name.n);
	if (!h)
		return NULL;
	*h = (struct lease_holder){ .peer = peer, .since_ms = joined_at_ms, .joined_at_ms = joined_at_ms };
	while (*at && *at != known)
		at = &(*at)->next;
	if (known) {
		*h = *known; /* but for the name */
		free(known);
	}
	h->name_n = (uint32_t)name.n;
	memcpy(h->name, name.p, name.n);
	*at = h;
	return h;
}

void lease_holder_drop(struct lease_user *user, struct lease_holder *h)
{
	struct lease_holder **at = &user->holders;

	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	free(h->state);
	free(h);
}

static sio_slice state_of(const struct lease_holder *h)
{
	return h->state ? sio_bytes(h->state->text, h->state->n) : sio_bytes("", 0);
}

static bool is_newer(const struct lease_holder *h, const struct lease_holder *than)
{
	return h->stamp > than->stamp || (h->stamp == than->stamp && text_compare(than->state, state_of(h)) < 0);
}

const struct lease_holder *lease_newest(const struct lease_user *user)
{
	const struct lease_holder *best = user->holders;

	for (const struct lease_holder *h = best->next; h; h = h->next)
		if (is_newer(h, best))
			best = h;
	return best;
}

/* Take what h says of the user into our own holder.  *is_changed: something is other than it was. */
static int adopt(struct lease_holder *own, const struct lease_holder *h, bool *is_changed)
{
	if (is_newer(h, own)) {
		if (lease_text_set(&own->state, state_of(h)) < 0)
			return SIO_ERR_NOMEM;
		own->stamp = h->stamp;
		*is_changed = true;
	}
	if (h->joined_at_ms < own->joined_at_ms) {
		own->joined_at_ms = h->joined_at_ms;
		*is_changed = true;
	}
	return SIO_OK;
}

/* The name that was looked up last, at the node where the user came last; the same on all nodes. */
static const struct lease_holder *name_holder(const struct lease_user *user)
{
	const struct lease_holder *best = user->holders;

	for (const struct lease_holder *h = best->next; h; h = h->next) {
		size_t n = h->name_n < best->name_n ? h->name_n : best->name_n;
		int c = memcmp(h->name, best->name, n);

		if (c == 0)
			c = (h->name_n > best->name_n) - (h->name_n < best->name_n);
		if (h->since_ms > best->since_ms || (h->since_ms == best->since_ms && c > 0))
			best = h;
	}
	return best;
}

/* An own holder for a user that others may have already.  NULL: no memory. */
struct lease_holder *lease_own_open(struct lease_user *user, sio_slice name, int64_t wall_ms)
{
	bool is_new = !lease_holder(user, NULL), is_changed;
	struct lease_holder *own = holder_open(user, NULL, name, wall_ms);

	for (const struct lease_holder *h = own && is_new ? user->holders : NULL; h; h = h->next) {
		if (adopt(own, h, &is_changed) == SIO_OK)
			continue;
		lease_holder_drop(user, own);
		return NULL;
	}
	return own;
}

void lease_put_own(struct buf *b, const struct lease_user *user, sio_slice id)
{
	const struct lease_holder *h = user ? lease_holder(user, NULL) : NULL;

	buf_byte(b, '[');
	buf_json(b, id);
	if (h) {
		buf_printf(b, ",%u,%lld,%lld,", (unsigned)h->connections, (long long)h->since_ms, (long long)h->joined_at_ms);
		buf_slice(b, sio_bytes(h->name, h->name_n));
		buf_printf(b, ",%lld", (long long)h->stamp);
		if (h->state) {
			buf_byte(b, ',');
			buf_slice(b, state_of(h));
		}
	}
	buf_byte(b, ']');
}

/* ---- users of others -------------------------------------------------------------------------------- */

static void apply_gone(struct lease *l, struct lease_project *p, const struct lease_peer *peer, sio_slice id)
{
	struct lease_user *user = lease_user_find(l, p, id);
	struct lease_holder *h = user ? lease_holder(user, peer) : NULL;

	if (!h)
		return;
	lease_holder_drop(user, h);
	if (!user->holders)
		lease_tell(l, user, false);
	lease_user_relax(l, user);
}

/* The holder of another node, as that says now.  NULL: no memory. */
static struct lease_holder *take(struct lease_user *user, struct lease_peer *peer, const struct lease_entry *e, uint32_t mark)
{
	struct lease_holder *h = holder_open(user, peer, e->name, e->joined_at_ms);

	if (!h || (text_compare(h->state, e->state) != 0 && lease_text_set(&h->state, e->state) < 0))
		return NULL;
	h->since_ms = e->since_ms;
	h->joined_at_ms = e->joined_at_ms;
	h->stamp = e->stamp;
	h->connections = (uint32_t)e->connections;
	h->mark = mark;
	return h;
}

int lease_apply(struct lease *l, struct lease_project *p, struct lease_peer *peer, const struct lease_entry *e, uint32_t mark)
{
	struct lease_user *user = lease_user_find(l, p, e->id);
	struct lease_holder *h, *own;
	bool is_new = !user, is_changed = false;

	if (e->is_gone) {
		apply_gone(l, p, peer, e->id);
		return SIO_OK;
	}
	if (!user)
		user = lease_user_new(l, p, e->id);
	h = user ? take(user, peer, e, mark) : NULL;
	if (is_new && user && user->holders)
		lease_tell(l, user, true);
	if (user)
		lease_user_relax(l, user);
	if (!h)
		return SIO_ERR_NOMEM;
	own = lease_holder(user, NULL);
	if (own && adopt(own, h, &is_changed) < 0)
		return SIO_ERR_NOMEM;
	if (is_changed)
		lease_peers_change(l, p, user, e->id);
	return SIO_OK;
}

void lease_forget(struct lease *l, struct lease_project *p, const struct lease_peer *peer, uint32_t mark)
{
	for (struct lease_user *user = p->first, *next; user; user = next) {
		struct lease_holder *h = lease_holder(user, peer);

		next = user->next;
		if (!h || (mark && h->mark == mark))
			continue;
		lease_holder_drop(user, h);
		if (!user->holders)
			lease_tell(l, user, false);
		lease_user_relax(l, user);
	}
}

/* ---- lists ------------------------------------------------------------------------------------------------- */

const struct lease_user *lease_next(const struct lease_project *project, const struct lease_user *before)
{
	if (before)
		return before->next;
	return project ? project->first : NULL;
}

void lease_show(const struct lease_user *user, struct lease_shown *out)
{
	const struct lease_holder *named = name_holder(user);

	*out = (struct lease_shown){
		.id = sio_bytes(user->id, user->id_n),
		.name = sio_bytes(named->name, named->name_n),
		.state = state_of(lease_newest(user)),
		.joined_at_ms = named->joined_at_ms,
	};
	for (const struct lease_holder *h = user->holders; h; h = h->next) {
		if (h->joined_at_ms < out->joined_at_ms)
			out->joined_at_ms = h->joined_at_ms;
		if (!h->peer || !h->peer->is_gone)
			out->connections += h->connections;
	}
}

bool lease_has_state(const struct lease *l, sio_slice project, sio_slice id)
{
	const struct lease_project *p = lease_find(l, project);
	const struct lease_user *user = p ? lease_user_find(l, p, id) : NULL;

	return user && lease_newest(user)->stamp > 0;
}

uint32_t lease_users_n(const struct lease_project *project)
{
	return project ? project->users_n : 0;
}
