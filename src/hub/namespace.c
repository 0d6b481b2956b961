/* namespace.c -- which namespaces there are: made by name or by a parent, found, closed.
 *
 * Knows names, parents and lifetimes.  What the application wants of a namespace is in
 * rules.c, who is in its rooms in room.c.  Memory is counted: the hub holds a namespace
 * until it is closed or forgotten, each socket, request and child as long as it is there.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <regex.h>
#include <stdlib.h>

#include "hub/cluster.h"

static struct sio_namespace *nsp_new(struct hub *hub, sio_slice name)
{
	struct sio_namespace *nsp = calloc(1, sizeof(*nsp) + name.n + 1);

	if (!nsp)
		return NULL;
	nsp->hub = hub;
	nsp->refs = 1;
	if (name.n)
		memcpy(nsp->name, name.p, name.n);
	map_init(&nsp->sockets_by_id);
	map_init(&nsp->rooms);
	rules_init(&nsp->rules);
	return nsp;
}

void nsp_unref(struct sio_namespace *nsp)
{
	if (--nsp->refs > 0)
		return;
	if (nsp->match_free)
		nsp->match_free(nsp->match_arg);
	if (nsp->parent)
		nsp_unref(nsp->parent);
	rules_fini(&nsp->rules);
	map_fini(&nsp->sockets_by_id);
	map_fini(&nsp->rooms);
	free(nsp->sockets);
	free(nsp);
}

void nsp_free_all(struct hub *hub)
{
	struct sio_namespace *next;

	for (struct sio_namespace *nsp = hub->nsps; nsp; nsp = next) {
		next = nsp->next;
		nsp->is_closed = true; /* who holds it still finds no list to leave */
		nsp_unref(nsp);
	}
	for (struct sio_namespace *nsp = hub->parents; nsp; nsp = next) {
		next = nsp->next;
		nsp->is_closed = true;
		nsp_unref(nsp);
	}
	map_fini(&hub->nsps_by_name);
}

struct sio_namespace *nsp_find(const struct hub *hub, sio_slice name)
{
	struct map_node *node = map_get(&hub->nsps_by_name, name);

	return node ? MAP_OWNER(node, struct sio_namespace, by_name) : NULL;
}

static void nsp_link(struct sio_namespace *nsp)
{
	struct sio_namespace **at = nsp->hub->nsps ? &nsp->hub->nsps->next : &nsp->hub->nsps; /* "/" stays the first */

	nsp->next = *at;
	nsp->back = at;
	if (nsp->next)
		nsp->next->back = &nsp->next;
	*at = nsp;
}

/* Make a namespace and tell the application of it, which may close it at once: then
 * SIO_ERR_CLOSED. */
static int nsp_make(struct hub *hub, sio_slice name, struct sio_namespace *parent, struct sio_namespace **out)
{
	struct sio_namespace *nsp = nsp_new(hub, name);
	int err = nsp ? map_put(&hub->nsps_by_name, &nsp->by_name, sio_str(nsp->name)) : SIO_ERR_NOMEM;

	*out = NULL;
	if (err < 0) {
		if (nsp)
			nsp_unref(nsp);
		return err;
	}
	if (parent) {
		nsp->parent = parent;
		parent->refs++;
		hub->children_n++;
	}
	nsp_link(nsp);
	nsp->refs++;
	if (hub->on_new)
		hub->on_new(nsp, hub->new_arg);
	err = nsp->is_closed ? SIO_ERR_CLOSED : SIO_OK;
	if (err == SIO_OK)
		*out = nsp;
	nsp_unref(nsp);
	return err;
}

int nsp_open_main(struct hub *hub)
{
	struct sio_namespace *nsp;

	map_init(&hub->nsps_by_name);
	return nsp_make(hub, SIO_LIT("/"), NULL, &nsp);
}

/* The hub knows it no more. */
static void nsp_forget(struct sio_namespace *nsp)
{
	if (nsp->is_closed)
		return;
	nsp->is_closed = true;
	*nsp->back = nsp->next;
	if (nsp->next)
		nsp->next->back = nsp->back;
	if (nsp->name[0])
		map_del(&nsp->hub->nsps_by_name, &nsp->by_name);
	if (nsp->parent)
		nsp->hub->children_n--;
	nsp_unref(nsp);
}

void nsp_relax(struct sio_namespace *nsp)
{
	if (nsp->parent && !nsp->is_kept && nsp->sockets_n == 0 && nsp->asking_n == 0 && !interest_lingers(nsp))
		nsp_forget(nsp);
}

/* ---- sockets ---------------------------------------------------------------- */

int nsp_add(struct sio_namespace *nsp, struct sio_socket *s)
{
	if (nsp->sockets_n == nsp->sockets_cap) {
		uint32_t cap = nsp->sockets_cap ? nsp->sockets_cap * 2 : 16;
		struct sio_socket **grown = realloc(nsp->sockets, cap * sizeof(struct sio_socket *));
		if (!grown)
			return SIO_ERR_NOMEM;
		nsp->sockets = grown;
		nsp->sockets_cap = cap;
	}
	if (map_put(&nsp->sockets_by_id, &s->by_id, sio_bytes(s->id, SIO_ID_LEN)) < 0)
		return SIO_ERR_NOMEM;
	if (nsp->hub->cluster && nsp->sockets_n == 0 && interest_begin(nsp, sio_bytes("", 0)) < 0) {
		map_del(&nsp->sockets_by_id, &s->by_id);
		return SIO_ERR_NOMEM;
	}
	s->index = nsp->sockets_n;
	nsp->sockets[nsp->sockets_n++] = s;
	nsp->hub->sockets++;
	return SIO_OK;
}

void nsp_del(struct sio_namespace *nsp, struct sio_socket *s)
{
	struct sio_socket *last = nsp->sockets[--nsp->sockets_n];

	nsp->sockets[s->index] = last;
	last->index = s->index;
	map_del(&nsp->sockets_by_id, &s->by_id);
	nsp->hub->sockets--;
	if (nsp->hub->cluster && nsp->sockets_n == 0)
		interest_end(nsp, sio_bytes("", 0));
}

/* ---- parents ------------------------------------------------------------------ */

static bool name_ok(sio_slice name)
{
	return name.n >= 1 && name.n <= SIO_NAMESPACE_MAX && name.p[0] == '/' && !memchr(name.p, ',', name.n) &&
	       !memchr(name.p, '\0', name.n);
}

static bool fits_pattern(sio_slice name, sio_slice auth, void *regex)
{
	char text[SIO_NAMESPACE_MAX + 1];
	regmatch_t whole;

	(void)auth;
	memcpy(text, name.p, name.n);
	text[name.n] = '\0';
	return regexec(regex, text, 1, &whole, 0) == 0 && whole.rm_so == 0 && (size_t)whole.rm_eo == name.n;
}

/* May the client have that name?  The application's function may close the parent. */
static bool parent_takes(struct sio_namespace *parent, sio_slice name, sio_slice auth, bool *is_closed)
{
	bool takes;

	parent->refs++;
	takes = parent->match(name, auth, parent->match_arg);
	*is_closed = parent->is_closed;
	nsp_unref(parent);
	return takes && !*is_closed;
}

/* The first that takes the name; one that closes itself when asked is the last asked. */
static struct sio_namespace *parent_of(const struct hub *hub, sio_slice name, sio_slice auth, bool is_pattern_only)
{
	bool is_closed = false;

	for (struct sio_namespace *nsp = hub->parents; nsp && !is_closed; nsp = is_closed ? NULL : nsp->next)
		if ((!is_pattern_only || nsp->match == fits_pattern) && parent_takes(nsp, name, auth, &is_closed))
			return nsp;
	return NULL;
}

int nsp_of_client(struct hub *hub, sio_slice name, sio_slice auth, struct sio_namespace **out)
{
	struct sio_namespace *parent;

	*out = nsp_find(hub, name);
	if (*out)
		return SIO_OK;
	if (!hub->parents || !name_ok(name) || hub->children_n >= SIO_NAMESPACES_MAX)
		return SIO_ERR_NOENT;
	parent = parent_of(hub, name, auth, false);
	*out = nsp_find(hub, name); /* the function that was asked may have opened it */
	if (*out)
		return SIO_OK;
	return parent ? nsp_make(hub, name, parent, out) : SIO_ERR_NOENT;
}

int sio_namespace_dynamic(struct sio_server *server, sio_namespace_match_fn *fn, void *arg, struct sio_namespace **parent)
{
	struct hub *hub = hub_of(server);
	struct sio_namespace *nsp = nsp_new(hub, SIO_LIT("")), **end = &hub->parents;

	HUB_CHECK(hub);
	*parent = nsp;
	if (!nsp)
		return SIO_ERR_NOMEM;
	nsp->match = fn;
	nsp->match_arg = arg;
	while (*end)
		end = &(*end)->next;
	*end = nsp;
	nsp->back = end;
	return SIO_OK;
}

static void regex_free(void *regex)
{
	regfree(regex);
	free(regex);
}

int sio_namespace_pattern(struct sio_server *server, const char *pattern, struct sio_namespace **parent)
{
	regex_t *regex = malloc(sizeof(*regex));
	int err;

	*parent = NULL;
	if (!regex)
		return SIO_ERR_NOMEM;
	err = regcomp(regex, pattern, REG_EXTENDED);
	if (err) {
		free(regex);
		return err == REG_ESPACE ? SIO_ERR_NOMEM : SIO_ERR_INVAL;
	}
	err = sio_namespace_dynamic(server, fits_pattern, regex, parent);
	if (err < 0)
		regex_free(regex);
	else
		(*parent)->match_free = regex_free;
	return err;
}

/* ---- the application's view ------------------------------------------------------- */

struct sio_namespace *sio_namespace_open(struct sio_server *server, sio_slice name)
{
	struct hub *hub = hub_of(server);
	struct sio_namespace *nsp = nsp_find(hub, name);

	HUB_CHECK(hub);
	if (!nsp && name_ok(name))
		(void)!nsp_make(hub, name, parent_of(hub, name, SIO_LIT("{}"), true), &nsp);
	if (nsp)
		nsp->is_kept = true; /* the caller's pointer stays good */
	return nsp;
}

struct sio_namespace *sio_namespace_main(struct sio_server *server)
{
	return hub_of(server)->nsps;
}

void sio_on_new_namespace(struct sio_server *server, sio_namespace_fn *fn, void *arg)
{
	HUB_CHECK(hub_of(server));
	hub_of(server)->on_new = fn;
	hub_of(server)->new_arg = arg;
}

void sio_namespace_keep(struct sio_namespace *nsp)
{
	HUB_CHECK(nsp->hub);
	nsp->is_kept = true;
}

static void close_children(struct sio_namespace *parent)
{
	struct sio_namespace *nsp = parent->hub->nsps;

	while (nsp) { /* whoever hears of one end may cause others: from the start after each */
		if (nsp->parent == parent) {
			sio_namespace_close(nsp);
			nsp = parent->hub->nsps;
		} else {
			nsp = nsp->next;
		}
	}
}

int sio_namespace_close(struct sio_namespace *nsp)
{
	HUB_CHECK(nsp->hub);
	if (nsp == nsp->hub->nsps)
		return SIO_ERR_INVAL;
	nsp->refs++;
	nsp_forget(nsp);
	if (nsp->match)
		close_children(nsp);
	while (nsp->sockets_n > 0)
		sio_socket_disconnect(nsp->sockets[nsp->sockets_n - 1], false);
	nsp_unref(nsp);
	return SIO_OK;
}

sio_slice sio_namespace_name(const struct sio_namespace *nsp)
{
	return sio_str(nsp->name);
}

struct sio_namespace *sio_namespace_parent(const struct sio_namespace *nsp)
{
	return nsp->parent;
}

struct sio_server *sio_namespace_server(const struct sio_namespace *nsp)
{
	return nsp->hub->server;
}

struct sio_namespace *sio_socket_namespace(const struct sio_socket *s)
{
	return s->nsp;
}

struct sio_namespace *sio_connect_namespace(const struct sio_connect *req)
{
	return req->nsp;
}

void sio_namespace_set_data(struct sio_namespace *nsp, void *data)
{
	nsp->data = data;
}

void *sio_namespace_data(const struct sio_namespace *nsp)
{
	return nsp->data;
}
