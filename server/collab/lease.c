/* lease.c -- see lease.h.  The map itself: projects of interest here, own changes,
 * news, and whoever waits.
 *
 * News are kept until the caller fetches them: so nothing is called from inside a change.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "collab/lease_inner.h"

struct lease *lease_new(lease_send_fn *send, void *arg)
{
	struct lease *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	*l = (struct lease){ .send = send, .arg = arg };
	map_init(&l->projects);
	map_init(&l->users);
	map_init(&l->peers);
	l->open_last = &l->open;
	l->news_last = &l->news;
	l->ready_last = &l->ready;
	return l;
}

/* ---- projects -------------------------------------------------------------------------- */

/* Plain FNV-1a: every node must come to the same. */
static uint64_t hash_of(sio_slice id)
{
	uint64_t h = 14695981039346656037ULL;

	for (size_t i = 0; i < id.n; i++)
		h = (h ^ (unsigned char)id.p[i]) * 1099511628211ULL;
	return h;
}

const struct lease_project *lease_find(const struct lease *l, sio_slice id)
{
	struct map_node *node = map_get(&l->projects, id);

	return node ? MAP_OWNER(node, struct lease_project, node) : NULL;
}

static struct lease_project *project_find(struct lease *l, sio_slice id)
{
	struct map_node *node = map_get(&l->projects, id);

	return node ? MAP_OWNER(node, struct lease_project, node) : NULL;
}

struct lease_project *lease_project_open(struct lease *l, sio_slice id)
{
	struct lease_project *p = project_find(l, id);

	if (p || id.n == 0 || id.n > LEASE_ID_MAX)
		return p;
	p = calloc(1, sizeof(*p) + id.n + 1);
	if (!p)
		return NULL;
	memcpy(p->id, id.p, id.n);
	p->hash = hash_of(id);
	p->last = &p->first;
	if (map_put(&l->projects, &p->node, sio_bytes(p->id, id.n)) == SIO_OK)
		return p;
	free(p);
	return NULL;
}

void lease_project_relax(struct lease *l, struct lease_project *p)
{
	if (lease_is_wanted(p) || p->links)
		return;
	assert(!p->first && !p->waiters && p->occupied_n == 0);
	map_del(&l->projects, &p->node);
	free(p);
}

void lease_project_occupy(struct lease *l, struct lease_project *p, int by)
{
	bool was = p->occupied_n > 0;

	p->occupied_n = (uint32_t)((int64_t)p->occupied_n + by);
	if (was && p->occupied_n == 0)
		l->occupied_n--;
	else if (!was && p->occupied_n > 0)
		l->occupied_n++;
}

/* Interest begins: from now on the others tell of their users there. */
static void project_begin(struct lease *l, struct lease_project *p, uint64_t now_ms)
{
	lease_peers_want(l, p, now_ms);
	if (l->is_closed || lease_is_known(l, p))
		return;
	p->is_open = true;
	p->open_until_ms = now_ms + LEASE_JOIN_WAIT_MS;
	p->next_open = NULL;
	p->prev_open = l->open_last;
	*l->open_last = p;
	l->open_last = &p->next_open;
}

void lease_project_settle(struct lease *l, struct lease_project *p)
{
	if (!p->is_open)
		return;
	p->is_open = false;
	*p->prev_open = p->next_open;
	if (p->next_open)
		p->next_open->prev_open = p->prev_open;
	else
		l->open_last = p->prev_open;
	*l->ready_last = p->waiters;
	while (*l->ready_last)
		l->ready_last = &(*l->ready_last)->next;
	p->waiters = NULL;
}

/* Interest has ended, unless it has not. */
static void project_end(struct lease *l, struct lease_project *p)
{
	if (!lease_is_wanted(p)) {
		lease_project_settle(l, p);
		lease_peers_unwant(l, p);
	}
	lease_project_relax(l, p);
}

/* ---- news ------------------------------------------------------------------------------- */

/* Out of memory somebody does not hear of it; the next list is right. */
void lease_tell(struct lease *l, const struct lease_user *user, bool is_joined)
{
	sio_slice project = lease_key(&user->project->node);
	struct lease_news *news;
	char *text;

	if (user->project->own_n == 0 || user->project->is_open)
		return; /* nobody here has a list that this would change */
	news = malloc(sizeof(*news) + project.n + user->id_n);
	if (!news)
		return;
	text = (char *)(news + 1);
	memcpy(text, project.p, project.n);
	memcpy(text + project.n, user->id, user->id_n);
	*news = (struct lease_news){ .is_joined = is_joined,
				     .project = sio_bytes(text, project.n),
				     .user = sio_bytes(text + project.n, user->id_n) };
	*l->news_last = news;
	l->news_last = &news->next;
}

struct lease_news *lease_news(struct lease *l)
{
	struct lease_news *news = l->news;

	if (news && !(l->news = news->next))
		l->news_last = &l->news;
	return news;
}

bool lease_wait(struct lease *l, sio_slice project, struct lease_waiter *waiter)
{
	struct lease_project *p = project_find(l, project);

	if (!p || !p->is_open)
		return false;
	waiter->next = p->waiters;
	p->waiters = waiter;
	return true;
}

struct lease_waiter *lease_ready(struct lease *l)
{
	struct lease_waiter *waiter = l->ready;

	if (waiter && !(l->ready = waiter->next))
		l->ready_last = &l->ready;
	return waiter;
}

/* ---- this server's users ------------------------------------------------------------------------ */

int lease_own_set(struct lease *l, sio_slice project, sio_slice id, sio_slice name, uint32_t connections, int64_t wall_ms,
		  uint64_t now_ms, bool *is_first)
{
	struct lease_project *p = lease_project_open(l, project);
	struct lease_user *user = p ? lease_user_find(l, p, id) : NULL;
	struct lease_holder *h;
	bool was_wanted, is_new = !user, is_own = user && lease_holder(user, NULL);

	*is_first = false;
	if (!p)
		return SIO_ERR_NOMEM;
	was_wanted = lease_is_wanted(p);
	if (!user)
		user = lease_user_new(l, p, id);
	h = user ? lease_own_open(user, name, wall_ms) : NULL;
	if (!h) {
		if (user)
			lease_user_relax(l, user);
		lease_project_relax(l, p);
		return SIO_ERR_NOMEM;
	}
	p->own_n += !is_own;
	p->own_connections += connections - h->connections;
	h->connections = connections;
	if (!was_wanted)
		project_begin(l, p, now_ms);
	lease_peers_change(l, p, user, id);
	*is_first = is_new && !p->is_open;
	return SIO_OK;
}

bool lease_own_drop(struct lease *l, sio_slice project, sio_slice id)
{
	struct lease_project *p = project_find(l, project);
	struct lease_user *user = p ? lease_user_find(l, p, id) : NULL;
	struct lease_holder *h = user ? lease_holder(user, NULL) : NULL;
	bool is_last;

	if (!h)
		return false;
	p->own_n--;
	p->own_connections -= h->connections;
	lease_holder_drop(user, h);
	is_last = !user->holders && !p->is_open;
	lease_user_relax(l, user);
	lease_peers_change(l, p, NULL, id);
	project_end(l, p);
	return is_last;
}

int lease_own_state(struct lease *l, sio_slice project, sio_slice id, sio_slice state)
{
	struct lease_project *p = project_find(l, project);
	struct lease_user *user = p ? lease_user_find(l, p, id) : NULL;
	struct lease_holder *own = user ? lease_holder(user, NULL) : NULL;

	if (!own)
		return SIO_OK; /* it was not there: nobody would see it */
	if (lease_text_set(&own->state, state) < 0)
		return SIO_ERR_NOMEM;
	own->stamp = lease_newest(user)->stamp + 1;
	lease_peers_change(l, p, user, id);
	return SIO_OK;
}

void lease_own_connections(struct lease *l, uint32_t connections)
{
	l->connections = connections;
}

/* ---- interest without users ---------------------------------------------------------------------------- */

int lease_watch(struct lease *l, sio_slice project, uint64_t now_ms)
{
	struct lease_project *p = lease_project_open(l, project);
	bool was_wanted;

	if (!p)
		return SIO_ERR_NOMEM;
	was_wanted = lease_is_wanted(p);
	p->watches_n++;
	if (!was_wanted)
		project_begin(l, p, now_ms);
	return SIO_OK;
}

void lease_unwatch(struct lease *l, sio_slice project)
{
	struct lease_project *p = project_find(l, project);

	assert(p && p->watches_n > 0);
	p->watches_n--;
	project_end(l, p);
}

/* ---- the end ------------------------------------------------------------------------------------------------- */

static void drop_users(struct lease *l, struct lease_project *p)
{
	for (struct lease_user *user = p->first, *next; user; user = next) {
		next = user->next;
		while (user->holders)
			lease_holder_drop(user, user->holders);
		lease_user_relax(l, user);
	}
}

void lease_free(struct lease *l)
{
	struct lease_news *news;
	struct map_node *node;
	uint32_t i;

	if (!l)
		return;
	lease_peers_fini(l);
	while ((node = map_first(&l->projects, &i))) {
		struct lease_project *p = MAP_OWNER(node, struct lease_project, node);

		drop_users(l, p);
		map_del(&l->projects, &p->node);
		free(p);
	}
	while ((news = lease_news(l)))
		free(news);
	map_fini(&l->projects);
	map_fini(&l->users);
	map_fini(&l->peers);
	free(l);
}

/* ---- invariants ------------------------------------------------------------------------------------------------ */

static bool user_sane(const struct lease_user *user, const struct lease *l, uint32_t *own_n, uint32_t *own_connections)
{
	if (!user->holders || lease_user_find(l, user->project, sio_bytes(user->id, user->id_n)) != user)
		return false;
	for (const struct lease_holder *h = user->holders; h; h = h->next) {
		if (lease_holder(user, h->peer) != h)
			return false; /* there is another one of that node */
		if (!h->peer) {
			++*own_n;
			*own_connections += h->connections;
		}
	}
	return true;
}

static bool project_sane(const struct lease_project *p, const struct lease *l)
{
	uint32_t users = 0, own = 0, connections = 0, occupied = p->own_there == LEASE_OCCUPIED;
	struct lease_user *const *at = &p->first;

	for (const struct lease_user *user = p->first; user; at = &user->next, user = user->next, users++)
		if (user->prev != at || user->project != p || !user_sane(user, l, &own, &connections))
			return false;
	for (const struct lease_link *link = p->links; link; link = link->next)
		occupied += link->there == LEASE_OCCUPIED;
	return p->last == at && users == p->users_n && own == p->own_n && connections == p->own_connections &&
	       occupied == p->occupied_n && (p->version > 0) == (p->own_n > 0) && (lease_is_wanted(p) || !p->first) &&
	       (p->is_open || !p->waiters) && (p->links || lease_is_wanted(p));
}

bool lease_sane(const struct lease *l)
{
	uint32_t occupied = 0, users = 0, i;

	for (struct map_node *node = map_first(&l->projects, &i); node; node = map_next(&l->projects, &i, node)) {
		const struct lease_project *p = MAP_OWNER(node, struct lease_project, node);

		if (!project_sane(p, l))
			return false;
		occupied += p->occupied_n > 0;
		users += p->users_n;
	}
	return occupied == l->occupied_n && users == l->users.n && lease_peers_sane(l);
}
