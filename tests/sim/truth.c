/* truth.c -- see truth.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "sim/truth.h"

#include <stdlib.h>
#include <string.h>

#include "sim/node.h"

struct event {
	uint64_t hash, ms;
};

struct stream {
	struct event *events; /* number n stands at n - 1 */
	int64_t n, cap;
};

static struct stream projects[SIM_PROJECTS], users[SIM_USERS_MAX];
static uint64_t revoked_ms[SIM_PROJECTS][SIM_USERS_MAX];
static int64_t position;
static uint8_t *tokens;
static uint64_t tokens_n, tokens_cap;

void truth_begin(void)
{
	memset(revoked_ms, 0xff, sizeof(revoked_ms)); /* nobody has a role */
	position = 0;
	tokens_n = 0;
}

static void stream_free(struct stream *s)
{
	free(s->events);
	*s = (struct stream){ 0 };
}

void truth_end(void)
{
	for (unsigned p = 0; p < SIM_PROJECTS; p++)
		stream_free(&projects[p]);
	for (unsigned u = 0; u < SIM_USERS_MAX; u++)
		stream_free(&users[u]);
	free(tokens);
	tokens = NULL;
	tokens_cap = 0;
}

/* ---- events ----------------------------------------------------------------------- */

uint64_t truth_hash(sio_slice data)
{
	uint64_t h = 14695981039346656037ULL;

	for (size_t i = 0; i < data.n; i++)
		h = (h ^ (unsigned char)data.p[i]) * 1099511628211ULL;
	return h ? h : 1;
}

static struct stream *stream_of(sio_slice name)
{
	int p = project_index(name), u = name.n > 5 ? user_index(sio_bytes(name.p + 5, name.n - 5)) : -1;

	if (p >= 0)
		return &projects[p];
	if (u < 0 || memcmp(name.p, "user:", 5) != 0)
		sim_fail("an event of %.*s", (int)name.n, name.p);
	return &users[u];
}

/* ..tNNN.. */
static void note_token(sio_slice data)
{
	for (size_t i = 0; i + 5 < data.n; i++) {
		uint64_t token;

		if (memcmp(data.p + i, "token", 5) != 0)
			continue;
		token = strtoull(data.p + i + 5, NULL, 10);
		if (token >= tokens_n)
			sim_fail("an event that nobody has asked for: %.*s", (int)data.n, data.p);
		tokens[token]++;
		if (tokens[token] > 1)
			sim_fail("committed twice: %.*s", (int)data.n, data.p);
		return;
	}
}

int64_t truth_position(void)
{
	return position;
}

void truth_commit(int64_t at, sio_slice name, int64_t seq, sio_slice type, sio_slice data)
{
	struct stream *s = stream_of(name);

	sim_trace("committed %lld: %.*s %lld %.*s", (long long)at, (int)name.n, name.p, (long long)seq, (int)type.n, type.p);
	if (at <= position || seq != s->n + 1)
		sim_fail("%.*s: number %lld at position %lld, behind number %lld and position %lld", (int)name.n, name.p, (long long)seq,
			 (long long)at, (long long)s->n, (long long)position);
	position = at;
	if (s->n == s->cap)
		s->events = realloc(s->events, (size_t)(s->cap = s->cap ? 2 * s->cap : 64) * sizeof(*s->events));
	s->events[s->n++] = (struct event){ truth_hash(data), world.now_ms };
	if (s >= projects && s < projects + SIM_PROJECTS)
		note_token(data);
	sum.committed++;
}

int64_t truth_last(unsigned p)
{
	return projects[p].n;
}

int64_t truth_user_last(unsigned u)
{
	return users[u].n;
}

uint64_t truth_committed_ms(unsigned p, int64_t seq, uint64_t hash)
{
	const struct stream *s = &projects[p];

	return seq > 0 && seq <= s->n && s->events[seq - 1].hash == hash ? s->events[seq - 1].ms : 0;
}

int64_t truth_notice(unsigned u, uint64_t hash)
{
	for (int64_t i = users[u].n; i > 0; i--)
		if (users[u].events[i - 1].hash == hash)
			return i;
	return 0;
}

uint64_t truth_notice_ms(unsigned u, int64_t seq)
{
	return users[u].events[seq - 1].ms;
}

/* ---- writes ---------------------------------------------------------------------------- */

uint64_t truth_token(void)
{
	if (tokens_n == tokens_cap)
		tokens = realloc(tokens, tokens_cap = tokens_cap ? 2 * tokens_cap : 1024);
	tokens[tokens_n] = 0;
	return tokens_n++;
}

unsigned truth_token_n(uint64_t token)
{
	return tokens[token];
}

/* ---- roles -------------------------------------------------------------------------------- */

void truth_role_may_have_changed(const struct store_ask *ask, enum store_status status)
{
	int p = project_index(ask->project), u = user_index(ask->user);
	bool has_role;

	if ((ask->op != STORE_COLLAB_PUT && ask->op != STORE_COLLAB_DELETE) || status != STORE_OK || p < 0 || u < 0)
		return;
	has_role = database_int("SELECT count(*) FROM collaborators WHERE project = ?1 AND user = ?2", project_name((unsigned)p),
				user_name((unsigned)u)) > 0;
	sim_trace("role of u%d in p%d: %d", u, p, has_role);
	if (has_role)
		revoked_ms[p][u] = 0;
	else if (revoked_ms[p][u] == 0)
		revoked_ms[p][u] = world.now_ms;
}

bool truth_has_role(unsigned p, unsigned u)
{
	return revoked_ms[p][u] == 0;
}

uint64_t truth_revoked_ms(unsigned p, unsigned u)
{
	return revoked_ms[p][u];
}
