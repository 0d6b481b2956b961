/* sim_lease_test.c -- presence on two to five servers in simulated time, over a bus that delays,
 * and in its worse moods loses, doubles, overtakes and is cut in two; servers die, end and return.
 *
 * Each server's view, as its clients have it from lists, joined and left, is checked after
 * each step against the list that its lease would give now; each "left" against what is true:
 * nobody who was held long enough by a server in reach may be told to have gone.  In the end
 * every fault is mended, and all lists must be the truth.  SEED= repeats a run, STEPS= makes it
 * longer.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collab/lease.h"
#include "lib/sim_random.h"

enum {
	NODES_MAX = 5,
	PROJECTS = 4,
	USERS = 7,
	TURN_MS = 5,
	DELAY_MS = 40,            /* of a message, at most */
	NODE_BEAT_MS = 2000,      /* of the adapter's own heartbeat */
	NODE_LEASE_MS = 10000,
	GRACE_MS = 1000,          /* of a server that ends */
	CALM_PATIENCE_MS = 4 * (DELAY_MS + TURN_MS), /* told, asked, answered: who was held for longer is known to all */
	WILD_PATIENCE_MS = 20000, /* that is ten beats */
	MEND_MS = 30000,
};

/* What a server truly has, and since when. */
struct held {
	bool is_held;
	unsigned connections;
	uint64_t since_ms;
};

struct wait {
	struct lease_waiter waiter; /* first */
	unsigned project;
	bool is_watch;
};

struct node {
	struct lease *lease;      /* NULL: down */
	unsigned life;
	uint64_t down_ms;
	struct held held[PROJECTS][USERS];
	unsigned connections;
	bool has_list[PROJECTS];  /* its clients were given one, */
	uint64_t list_ms[PROJECTS]; /* when it began to matter; what was lost by then may be missing for a while */
	bool seen[PROJECTS][USERS];
	/* What its adapter knows of the others. */
	bool knows[NODES_MAX];
	unsigned alias[NODES_MAX];
	uint64_t heard_ms[NODES_MAX];
	uint64_t cut_ms[NODES_MAX]; /* when the line between the two was cut or mended last */
	unsigned waits_n;
};

struct message {
	struct message *next;
	unsigned from, to, life;
	bool is_beat;             /* the adapter's */
	uint64_t due_ms;
	size_t n;
	char text[];
};

static struct node nodes[NODES_MAX];
static unsigned nodes_n;
static bool is_cut[NODES_MAX][NODES_MAX];
static struct message *bus;
static uint64_t now_ms, last_due_ms[NODES_MAX][NODES_MAX];
static bool is_wild, was_wild;    /* messages are, or were, lost, doubled, and overtake each other */
static unsigned long sent_n, sent_bytes, joined_n, left_n, lists_n, sends_by_type[16];

static const char *const projects[PROJECTS] = { "p0", "tower", "bridge", "p3" };
static const char *const users[USERS] = { "anna", "ben", "cleo", "dan", "eve", "finn", "gus" };

/* ---- the bus ---------------------------------------------------------------------------- */

static sio_slice alias_of(char out[LEASE_NODE_MAX], unsigned observer, unsigned node)
{
	int n = snprintf(out, LEASE_NODE_MAX, "n%u.%u.%u", node, nodes[node].life, nodes[observer].alias[node]);

	return sio_bytes(out, (size_t)n);
}

static void put(unsigned from, unsigned to, bool is_beat, sio_slice text)
{
	struct message *m = malloc(sizeof(*m) + text.n), **at = &bus;
	uint64_t due_ms = now_ms + below(DELAY_MS);

	if (!is_wild && due_ms < last_due_ms[from][to])
		due_ms = last_due_ms[from][to];
	last_due_ms[from][to] = due_ms;
	*m = (struct message){ .from = from, .to = to, .life = nodes[to].life, .is_beat = is_beat, .due_ms = due_ms, .n = text.n };
	memcpy(m->text, text.p, text.n);
	while (*at && (*at)->due_ms <= due_ms)
		at = &(*at)->next;
	m->next = *at;
	*at = m;
}

/* Hand to the bus what a server sends; the line may eat it. */
static void put_on_line(unsigned from, unsigned to, bool is_beat, sio_slice text)
{
	if (is_cut[from][to] || (is_wild && one_in(8)))
		return;
	put(from, to, is_beat, text);
	if (is_wild && one_in(10))
		put(from, to, is_beat, text);
}

static void on_send(void *arg, sio_slice node, sio_slice json)
{
	unsigned from = (unsigned)(uintptr_t)arg, to = (unsigned)(node.p[1] - '0');
	char alias[LEASE_NODE_MAX];

	sent_n++;
	sent_bytes += json.n;
	sends_by_type[strtoul(json.p, NULL, 10) % 16]++;
	if (nodes[to].lease && sio_slice_eq(alias_of(alias, from, to), node))
		put_on_line(from, to, false, json);
}

/* ---- what the clients of a server see ------------------------------------------------------- */

static bool is_listed(unsigned n, unsigned p, unsigned u)
{
	const struct lease_project *project = lease_find(nodes[n].lease, sio_str(projects[p]));
	struct lease_shown shown;

	for (const struct lease_user *user = lease_next(project, NULL); user; user = lease_next(project, user)) {
		lease_show(user, &shown);
		if (sio_slice_eq(shown.id, sio_str(users[u])))
			return true;
	}
	return false;
}

static unsigned own_n(unsigned n, unsigned p)
{
	unsigned count = 0;

	for (unsigned u = 0; u < USERS; u++)
		count += nodes[n].held[p][u].is_held;
	return count;
}

static void take_list(unsigned n, unsigned p)
{
	lists_n++;
	if (!nodes[n].has_list[p])
		nodes[n].list_ms[p] = now_ms;
	nodes[n].has_list[p] = true;
	for (unsigned u = 0; u < USERS; u++)
		nodes[n].seen[p][u] = is_listed(n, p, u);
}

/* Nobody who is surely there may be told to have left. */
static void check_left(unsigned n, unsigned p, unsigned u)
{
	uint64_t patience_ms = was_wild ? WILD_PATIENCE_MS : CALM_PATIENCE_MS;

	for (unsigned other = 0; other < nodes_n; other++) {
		const struct held *held = &nodes[other].held[p][u];

		if (!nodes[other].lease || !held->is_held || now_ms - held->since_ms < patience_ms)
			continue;
		if (was_wild && now_ms - nodes[n].list_ms[p] < patience_ms)
			continue; /* the list may have had to go out without it */
		if (other != n && (is_cut[other][n] || is_cut[n][other] || now_ms - nodes[n].cut_ms[other] < 2 * patience_ms + MEND_MS))
			continue;
		fail_msg("%s left %s early at server %u: server %u holds it for %u ms", users[u], projects[p], n, other,
			 (unsigned)(now_ms - held->since_ms));
	}
}

static void see(unsigned n, unsigned p, unsigned u, bool is_joined)
{
	assert_true(nodes[n].has_list[p]);
	assert_true(nodes[n].seen[p][u] != is_joined); /* once */
	nodes[n].seen[p][u] = is_joined;
	if (is_joined)
		joined_n++;
	else
		left_n++;
	if (!is_joined)
		check_left(n, p, u);
}

static unsigned index_of(const char *const *names, unsigned n, sio_slice id)
{
	for (unsigned i = 0; i < n; i++)
		if (sio_slice_eq(sio_str(names[i]), id))
			return i;
	fail();
	return 0;
}

/* As the server does behind each call. */
static void drain(unsigned n)
{
	struct lease *l = nodes[n].lease;
	struct lease_waiter *waiter;
	struct lease_news *news;

	while ((news = lease_news(l))) {
		see(n, index_of(projects, PROJECTS, news->project), index_of(users, USERS, news->user), news->is_joined);
		free(news);
	}
	while ((waiter = lease_ready(l))) {
		struct wait *wait = (struct wait *)(void *)waiter;

		nodes[n].waits_n--;
		if (wait->is_watch)
			lease_unwatch(l, sio_str(projects[wait->project]));
		else if (own_n(n, wait->project))
			take_list(n, wait->project);
		free(wait);
	}
}

static void await(unsigned n, unsigned p, bool is_watch)
{
	struct wait *wait = malloc(sizeof(*wait));

	*wait = (struct wait){ .project = p, .is_watch = is_watch };
	nodes[n].waits_n++;
	if (lease_wait(nodes[n].lease, sio_str(projects[p]), &wait->waiter))
		return;
	nodes[n].waits_n--;
	if (is_watch)
		lease_unwatch(nodes[n].lease, sio_str(projects[p]));
	else
		take_list(n, p);
	free(wait);
}

static void check(void)
{
	for (unsigned n = 0; n < nodes_n; n++) {
		if (!nodes[n].lease)
			continue;
		assert_true(lease_sane(nodes[n].lease));
		for (unsigned p = 0; p < PROJECTS; p++)
			for (unsigned u = 0; nodes[n].has_list[p] && u < USERS; u++)
				assert_int_equal(nodes[n].seen[p][u], is_listed(n, p, u));
	}
}

/* ---- what happens -------------------------------------------------------------------------------- */

static void set(unsigned n, unsigned p, unsigned u, unsigned connections)
{
	struct held *held = &nodes[n].held[p][u];
	bool is_first;

	nodes[n].connections += connections - held->connections;
	lease_own_connections(nodes[n].lease, nodes[n].connections);
	assert_int_equal(lease_own_set(nodes[n].lease, sio_str(projects[p]), sio_str(users[u]), SIO_LIT("\"A \\\"name\\\"\""), connections,
				       (int64_t)now_ms, now_ms, &is_first), SIO_OK);
	if (!held->is_held)
		held->since_ms = now_ms;
	held->is_held = true;
	held->connections = connections;
	if (is_first && nodes[n].has_list[p])
		see(n, p, u, true);
	drain(n);
	if (!nodes[n].has_list[p])
		await(n, p, false);
}

static void drop(unsigned n, unsigned p, unsigned u)
{
	struct held *held = &nodes[n].held[p][u];

	nodes[n].connections -= held->connections;
	lease_own_connections(nodes[n].lease, nodes[n].connections);
	*held = (struct held){ 0 };
	if (!own_n(n, p))
		nodes[n].has_list[p] = false; /* nobody is left there to hear of it */
	if (lease_own_drop(nodes[n].lease, sio_str(projects[p]), sio_str(users[u])) && nodes[n].has_list[p])
		see(n, p, u, false);
	drain(n);
}

static void start(unsigned n)
{
	unsigned life = nodes[n].life + 1;

	nodes[n] = (struct node){ .life = life, .lease = lease_new(on_send, (void *)(uintptr_t)n) };
	for (unsigned other = 0; other < nodes_n; other++)
		nodes[n].cut_ms[other] = nodes[other].cut_ms[n] = now_ms;
}

/* What waits for a server that is no more. */
static void forget_messages(unsigned to)
{
	for (struct message **at = &bus; *at;) {
		struct message *m = *at;

		if (m->to == to) {
			*at = m->next;
			free(m);
		} else {
			at = &m->next;
		}
	}
}

static void end(unsigned n, bool is_clean)
{
	if (is_clean) {
		lease_close(nodes[n].lease, GRACE_MS);
		drain(n);
	}
	while (nodes[n].waits_n > 0) { /* no client any more */
		lease_tick(nodes[n].lease, now_ms + MEND_MS);
		drain(n);
	}
	lease_free(nodes[n].lease);
	nodes[n].lease = NULL;
	nodes[n].down_ms = now_ms;
	memset(nodes[n].held, 0, sizeof(nodes[n].held));
	forget_messages(n);
}

static void cut(bool is_to_be_cut)
{
	unsigned side = 1 + below((1u << nodes_n) - 1);

	for (unsigned a = 0; a < nodes_n; a++)
		for (unsigned b = 0; b < nodes_n; b++) {
			bool now = is_to_be_cut && (side >> a & 1) != (side >> b & 1);

			if (is_cut[a][b] != now)
				nodes[a].cut_ms[b] = nodes[b].cut_ms[a] = now_ms;
			is_cut[a][b] = now;
		}
}

/* ---- the adapter ------------------------------------------------------------------------------------ */

static void meet(unsigned n, unsigned other)
{
	char alias[LEASE_NODE_MAX];

	nodes[n].heard_ms[other] = now_ms;
	nodes[n].knows[other] = true;
	lease_meet(nodes[n].lease, alias_of(alias, n, other), now_ms);
}

static void lose(unsigned n, unsigned other)
{
	char alias[LEASE_NODE_MAX];

	if (!nodes[n].knows[other])
		return;
	nodes[n].knows[other] = false;
	lease_gone(nodes[n].lease, alias_of(alias, n, other), now_ms);
	nodes[n].alias[other]++;
	nodes[n].cut_ms[other] = now_ms; /* by chance no message came through for so long */
	drain(n);
}

static void deliver(struct message *m)
{
	struct node *to = &nodes[m->to];
	char alias[LEASE_NODE_MAX];

	if (!to->lease || to->life != m->life)
		return;
	meet(m->to, m->from);
	if (!m->is_beat)
		lease_hear(to->lease, alias_of(alias, m->to, m->from), sio_bytes(m->text, m->n), now_ms);
	drain(m->to);
}

static void beat(void)
{
	for (unsigned a = 0; a < nodes_n; a++)
		for (unsigned b = 0; nodes[a].lease && b < nodes_n; b++)
			if (a != b && nodes[b].lease)
				put_on_line(a, b, true, sio_bytes("", 0));
}

static void end_leases(void)
{
	for (unsigned a = 0; a < nodes_n; a++)
		for (unsigned b = 0; nodes[a].lease && b < nodes_n; b++)
			if (nodes[a].knows[b] && now_ms - nodes[a].heard_ms[b] > NODE_LEASE_MS)
				lose(a, b);
}

static void turn(void)
{
	bool is_changed = false;

	now_ms += TURN_MS;
	if (now_ms % NODE_BEAT_MS == 0)
		beat();
	while (bus && bus->due_ms <= now_ms) {
		struct message *m = bus;

		bus = m->next;
		deliver(m);
		free(m);
		is_changed = true;
	}
	end_leases();
	for (unsigned n = 0; n < nodes_n; n++) {
		if (!nodes[n].lease || lease_next_ms(nodes[n].lease) > now_ms)
			continue;
		lease_tick(nodes[n].lease, now_ms);
		drain(n);
		is_changed = true;
	}
	if (is_changed)
		check();
}

static void run(unsigned ms)
{
	for (uint64_t until_ms = now_ms + ms; now_ms < until_ms;)
		turn();
}

/* ---- the truth ------------------------------------------------------------------------------------------ */

static void check_shown(unsigned n, unsigned p, const struct lease_user *user, char *out, size_t cap)
{
	struct lease_shown shown;
	unsigned u, connections = 0;

	lease_show(user, &shown);
	u = index_of(users, USERS, shown.id);
	for (unsigned other = 0; other < nodes_n; other++)
		if (nodes[other].lease)
			connections += nodes[other].held[p][u].connections;
	if (shown.connections != connections)
		fail_msg("server %u shows %u connections of %s in %s, there are %u", n, (unsigned)shown.connections, users[u], projects[p],
			 connections);
	snprintf(out, cap, "%.*s %.*s %.*s %lld", (int)shown.id.n, shown.id.p, (int)shown.name.n, shown.name.p, (int)shown.state.n,
		 shown.state.p, (long long)shown.joined_at_ms);
}

/* All servers with users in the project have all of its users; agree: down to the last word. */
static void check_project(unsigned p, bool agree, uint32_t *occupied)
{
	char first[USERS][256] = { "" }, line[256];
	unsigned connections = 0;

	for (unsigned n = 0; n < nodes_n; n++)
		for (unsigned u = 0; nodes[n].lease && u < USERS; u++)
			connections += nodes[n].held[p][u].connections;
	*occupied += connections > 0;
	for (unsigned n = 0; n < nodes_n; n++) {
		const struct lease_project *project = nodes[n].lease ? lease_find(nodes[n].lease, sio_str(projects[p])) : NULL;
		unsigned count = 0, truth = 0;

		if (!nodes[n].lease || !own_n(n, p))
			continue;
		assert_true(nodes[n].has_list[p]);
		for (unsigned u = 0; u < USERS; u++) {
			bool is_there = false;

			for (unsigned other = 0; other < nodes_n; other++)
				is_there = is_there || (nodes[other].lease && nodes[other].held[p][u].is_held);
			if (is_there != is_listed(n, p, u))
				fail_msg("server %u: %s is%s in %s", n, users[u], is_there ? "" : " not", projects[p]);
			truth += is_there;
		}
		for (const struct lease_user *user = lease_next(project, NULL); user; user = lease_next(project, user), count++) {
			struct lease_shown shown;

			check_shown(n, p, user, line, sizeof(line));
			lease_show(user, &shown);
			char *known = first[index_of(users, USERS, shown.id)];
			if (agree && known[0])
				assert_string_equal(known, line);
			snprintf(known, sizeof(first[0]), "%s", line);
		}
		assert_int_equal(count, truth);
		assert_int_equal(lease_users_n(project), truth);
	}
}

static void on_missing(sio_slice node, void *arg)
{
	(void)node;
	++*(unsigned *)arg;
}

static void check_truth(bool agree)
{
	uint32_t occupied = 0, connections = 0;

	for (unsigned p = 0; p < PROJECTS; p++)
		check_project(p, agree, &occupied);
	for (unsigned n = 0; n < nodes_n; n++)
		connections += nodes[n].lease ? nodes[n].connections : 0;
	for (unsigned n = 0; n < nodes_n; n++) {
		struct lease_facts facts;
		unsigned missing_n = 0;

		if (!nodes[n].lease)
			continue;
		lease_facts(nodes[n].lease, &facts);
		assert_int_equal(facts.connections, connections);
		assert_int_equal(facts.projects, occupied);
		lease_missing(nodes[n].lease, sio_str(projects[0]), now_ms, on_missing, &missing_n);
		assert_int_equal(missing_n, 0);
		assert_int_equal(nodes[n].waits_n, 0);
	}
}

/* ---- runs ---------------------------------------------------------------------------------------------------- */

static void begin(unsigned n)
{
	nodes_n = n;
	memset(nodes, 0, sizeof(nodes));
	memset(is_cut, 0, sizeof(is_cut));
	memset(last_due_ms, 0, sizeof(last_due_ms));
	memset(sends_by_type, 0, sizeof(sends_by_type));
	now_ms = 1000000;
	is_wild = was_wild = false;
	sent_n = sent_bytes = joined_n = left_n = lists_n = 0;
	for (unsigned i = 0; i < n; i++)
		start(i);
	for (unsigned a = 0; a < n; a++)
		for (unsigned b = 0; b < n; b++)
			nodes[a].cut_ms[b] = 0;
	beat();
	run(3000);
}

static void finish(void)
{
	for (unsigned n = 0; n < nodes_n; n++)
		if (nodes[n].lease)
			end(n, false);
	while (bus) {
		struct message *m = bus;

		bus = m->next;
		free(m);
	}
}

static void change_a_user(unsigned n)
{
	unsigned p = below(PROJECTS), u = below(USERS);
	struct held *held = &nodes[n].held[p][u];
	char state[32];

	switch (below(8)) {
	case 0:
	case 1:
		set(n, p, u, held->connections + 1);
		break;
	case 2:
		if (held->connections > 0)
			set(n, p, u, held->connections - 1); /* 0: its grace runs */
		break;
	case 3:
	case 4:
	case 5:
		if (held->is_held)
			drop(n, p, u);
		break;
	case 6:
		snprintf(state, sizeof(state), "{\"at\":%u}", below(1000));
		assert_int_equal(lease_own_state(nodes[n].lease, sio_str(projects[p]), sio_str(users[u]), one_in(5) ? sio_bytes("", 0) : sio_str(state)),
				 SIO_OK);
		break;
	default:
		assert_int_equal(lease_watch(nodes[n].lease, sio_str(projects[p]), now_ms), SIO_OK);
		await(n, p, true);
		drain(n);
	}
}

static void change_a_server(unsigned n)
{
	if (nodes[n].lease) {
		bool is_clean = one_in(2);

		end(n, is_clean);
		for (unsigned other = 0; is_clean && other < nodes_n; other++)
			if (nodes[other].lease && !is_cut[n][other])
				nodes[other].heard_ms[n] = now_ms - NODE_LEASE_MS + 2 * DELAY_MS; /* it says farewell */
	} else if (now_ms - nodes[n].down_ms > NODE_LEASE_MS + NODE_BEAT_MS) {
		start(n);
	}
}

/* faults: 0 none, 1 servers come and go and lines are cut, 2 messages are lost, too */
static void random_run(unsigned n, unsigned steps, unsigned faults)
{
	const unsigned steps_done = steps;

	begin(n);
	for (; steps > 0; steps--) {
		unsigned who = below(nodes_n);

		is_wild = faults == 2 && below(100) < 90;
		was_wild = was_wild || is_wild;
		if (nodes[who].lease && below(10) < 8)
			change_a_user(who);
		check();
		if (faults && one_in(150))
			change_a_server(who);
		if (faults && one_in(80))
			cut(one_in(2));
		run(one_in(40) ? below(NODE_LEASE_MS + 4000) : below(60));
	}
	is_wild = false;
	cut(false);
	for (unsigned i = 0; i < nodes_n; i++)
		if (!nodes[i].lease)
			nodes[i].down_ms = now_ms;
	run(MEND_MS);
	check_truth(faults == 0);
	if (!faults && steps_done >= 500 && (!joined_n || !left_n || !lists_n))
		fail_msg("%u servers: only %lu joined, %lu left, %lu lists", n, joined_n, left_n, lists_n);
	finish();
}

static unsigned steps_wanted(unsigned steps)
{
	const char *text = getenv("STEPS");

	return text ? (unsigned)strtoul(text, NULL, 10) : steps;
}

static void test_random_without_faults(void **state)
{
	(void)state;
	rnd = fake_seed();
	for (unsigned n = 2; n <= NODES_MAX; n++)
		random_run(n, steps_wanted(600), 0);
}

static void test_random_with_dying_servers_and_partitions(void **state)
{
	(void)state;
	rnd = fake_seed();
	for (unsigned n = 2; n <= NODES_MAX; n++)
		random_run(n, steps_wanted(1000), 1);
}

static void test_random_with_lost_doubled_and_overtaken_messages(void **state)
{
	(void)state;
	rnd = fake_seed();
	for (unsigned n = 2; n <= NODES_MAX; n++)
		random_run(n, steps_wanted(1000), 2);
}

/* ---- cases ----------------------------------------------------------------------------------------------------- */

static void test_tabs_on_two_servers_join_and_leave_once(void **state)
{
	(void)state;
	rnd = 1;
	begin(3);
	set(2, 0, 1, 1); /* ben watches */
	run(500);
	joined_n = left_n = 0;
	set(0, 0, 0, 1);
	run(500);
	set(1, 0, 0, 1);
	run(500);
	assert_int_equal(joined_n, 1); /* to ben; the second tab is no news, and has its own list */
	drop(0, 0, 0);
	run(500);
	assert_int_equal(left_n, 0);
	assert_true(nodes[2].seen[0][0]);
	drop(1, 0, 0);
	run(500);
	assert_false(nodes[2].seen[0][0]);
	assert_int_equal(left_n, 1);
	finish();
}

static void test_a_list_names_everybody_from_the_first_word(void **state)
{
	(void)state;
	rnd = 2;
	begin(3);
	set(0, 1, 0, 1);
	set(1, 1, 1, 1);
	run(500);
	joined_n = lists_n = 0;
	set(2, 1, 2, 1);
	assert_int_equal(nodes[2].waits_n, 1);
	run(2 * DELAY_MS + 10);
	assert_int_equal(lists_n, 1);
	for (unsigned u = 0; u < 3; u++)
		assert_true(nodes[2].seen[1][u]);
	assert_int_equal(joined_n, 2); /* told to the clients of the two others, not to its own */
	finish();
}

static void test_nobody_is_waited_for_where_nobody_is(void **state)
{
	(void)state;
	rnd = 3;
	begin(4);
	set(0, 1, 0, 1);
	assert_int_equal(nodes[0].waits_n, 0);
	assert_true(nodes[0].has_list[1]);
	finish();
}

static void test_a_silent_server_is_waited_for_once(void **state)
{
	uint64_t begun_ms;

	(void)state;
	rnd = 4;
	begin(2);
	set(1, 0, 1, 1);
	set(1, 1, 1, 1);
	run(500);
	cut(false);
	is_cut[0][1] = is_cut[1][0] = true;
	nodes[0].cut_ms[1] = nodes[1].cut_ms[0] = now_ms;
	run(DELAY_MS + TURN_MS);
	begun_ms = now_ms;
	set(0, 0, 0, 1);
	while (nodes[0].waits_n > 0)
		turn();
	assert_in_range(now_ms - begun_ms, LEASE_JOIN_WAIT_MS, LEASE_JOIN_WAIT_MS + TURN_MS);
	set(0, 1, 0, 1);
	assert_int_equal(nodes[0].waits_n, 0);
	assert_false(nodes[0].seen[1][1]); /* what is not known is not said */
	cut(false);
	run(3 * NODE_BEAT_MS);
	assert_true(nodes[0].seen[0][1] && nodes[0].seen[1][1]);
	finish();
}

static void test_a_dead_server_is_left_when_its_lease_ends_and_not_before(void **state)
{
	uint64_t died_ms;

	(void)state;
	rnd = 5;
	begin(3);
	set(0, 0, 0, 1);
	set(1, 0, 1, 1);
	set(2, 0, 1, 1); /* ben has another tab */
	set(1, 0, 2, 1);
	run(1000);
	died_ms = now_ms;
	end(1, false);
	while (nodes[0].seen[0][2])
		turn();
	assert_in_range(now_ms - died_ms, NODE_LEASE_MS - NODE_BEAT_MS - DELAY_MS, NODE_LEASE_MS + DELAY_MS);
	run(500);
	assert_true(nodes[0].seen[0][1]);
	finish();
}

static void test_users_of_a_server_that_ends_may_come_to_others(void **state)
{
	(void)state;
	rnd = 6;
	begin(2);
	set(0, 0, 0, 1);
	set(1, 0, 1, 1);
	set(1, 0, 2, 1);
	run(1000);
	left_n = joined_n = 0;
	end(1, true);
	run(DELAY_MS + TURN_MS);
	lose(0, 1);
	assert_int_equal(left_n, 0);
	set(0, 0, 1, 1); /* ben comes here */
	run(GRACE_MS + TURN_MS);
	assert_true(nodes[0].seen[0][1]);
	assert_false(nodes[0].seen[0][2]);
	assert_int_equal(left_n, 1);
	assert_int_equal(joined_n, 0);
	finish();
}

static void test_the_newest_state_wins_and_outlives_its_tab(void **state)
{
	struct lease_shown shown;

	(void)state;
	rnd = 7;
	begin(3);
	set(0, 0, 0, 1);
	set(1, 0, 0, 1);
	run(500);
	assert_int_equal(lease_own_state(nodes[0].lease, SIO_LIT("p0"), SIO_LIT("anna"), SIO_LIT("1")), SIO_OK);
	run(500);
	assert_int_equal(lease_own_state(nodes[1].lease, SIO_LIT("p0"), SIO_LIT("anna"), SIO_LIT("2")), SIO_OK);
	run(500);
	drop(1, 0, 0);
	set(2, 0, 1, 1);
	run(500);
	for (unsigned n = 0; n < 3; n += 2) {
		const struct lease_project *p = lease_find(nodes[n].lease, SIO_LIT("p0"));

		for (const struct lease_user *u = lease_next(p, NULL); u; u = lease_next(p, u)) {
			lease_show(u, &shown);
			if (sio_slice_eq(shown.id, SIO_LIT("anna")))
				assert_true(sio_slice_eq(shown.state, SIO_LIT("2")));
		}
	}
	check_truth(true);
	finish();
}

/* What is said of a user goes to those who have members there; the rest hear once that there are any. */
static void test_messages_grow_with_those_who_are_there(void **state)
{
	unsigned long changes[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		rnd = 8;
		begin(i ? 5 : 2);
		set(0, 0, 0, 1);
		set(1, 0, 1, 1);
		run(500);
		memset(sends_by_type, 0, sizeof(sends_by_type));
		for (unsigned k = 0; k < 50; k++) {
			set(0, 0, 2 + k % 5, 1);
			drop(0, 0, 2 + k % 5);
		}
		changes[i] = sends_by_type[8];
		assert_int_equal(sends_by_type[4], 0);
		finish();
	}
	assert_int_equal(changes[0], 100);
	assert_int_equal(changes[1], 100);
}

/* Lists that need several messages arrive as a whole. */
static void test_long_lists(void **state)
{
	enum { MANY = 3000 };
	char id[16];
	bool is_first;

	(void)state;
	rnd = 9;
	begin(2);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(id, sizeof(id), "user-%u", i);
		assert_int_equal(lease_own_set(nodes[0].lease, SIO_LIT("crowd"), sio_str(id), SIO_LIT("\"A longer name than most have\""), 1, 1, now_ms,
					       &is_first), SIO_OK);
		snprintf(id, sizeof(id), "project-%u", i);
		assert_int_equal(lease_own_set(nodes[0].lease, sio_str(id), SIO_LIT("anna"), SIO_LIT("\"Anna\""), 1, 1, now_ms, &is_first), SIO_OK);
	}
	run(500);
	end(1, false);
	run(NODE_LEASE_MS + 2 * NODE_BEAT_MS);
	start(1);
	run(2 * NODE_BEAT_MS); /* the directory in parts */
	struct lease_facts facts;
	lease_facts(nodes[1].lease, &facts);
	assert_int_equal(facts.projects, MANY + 1);
	assert_int_equal(lease_watch(nodes[1].lease, SIO_LIT("crowd"), now_ms), SIO_OK);
	run(3 * DELAY_MS);
	assert_int_equal(lease_users_n(lease_find(nodes[1].lease, SIO_LIT("crowd"))), MANY);
	lease_unwatch(nodes[1].lease, SIO_LIT("crowd"));
	assert_int_equal(lease_users_n(lease_find(nodes[1].lease, SIO_LIT("crowd"))), 0);
	finish();
}

static void hear(const char *json)
{
	char alias[LEASE_NODE_MAX];

	lease_hear(nodes[0].lease, alias_of(alias, 0, 1), sio_str(json), now_ms);
	drain(0);
	check();
}

/* Server 0 lists anna, and of the others these. */
static void expect_others(bool ben, bool cleo, bool dan)
{
	assert_true(is_listed(0, 0, 0));
	assert_int_equal(is_listed(0, 0, 1), ben);
	assert_int_equal(is_listed(0, 0, 2), cleo);
	assert_int_equal(is_listed(0, 0, 3), dan);
}

/* Messages that were overtaken come from the past: nobody leaves or returns by them. */
static void test_old_words_change_nothing(void **state)
{
	(void)state;
	rnd = 11;
	begin(2);
	set(0, 0, 0, 1);
	end(1, false); /* the test speaks in its place */
	hear("4,10,\"p0\",2");
	hear("7,\"p0\",10,0,1,[[\"ben\",1,1,1,\"Ben\",0]]");
	hear("8,\"p0\",10,12,[\"cleo\",1,1,1,\"Cleo\",0]");
	expect_others(true, true, false);
	left_n = joined_n = 0;
	hear("7,\"p0\",11,0,1,[[\"ben\",1,1,1,\"Ben\",0]]"); /* an older list */
	hear("7,\"p0\",11,0,1,[]");
	hear("8,\"p0\",10,11,[\"ben\"]"); /* an older change */
	hear("8,\"p0\",12,12,[\"ben\"]");
	hear("4,9,\"p0\",0"); /* the directory of before */
	hear("4,11,\"p0\",0");
	hear("3,11,0,1,[]");
	expect_others(true, true, false);
	memset(sends_by_type, 0, sizeof(sends_by_type));
	hear("8,\"p0\",13,14,[\"ben\"]"); /* what 13 was is not known */
	expect_others(true, true, false);
	assert_int_equal(sends_by_type[5], 1); /* it is asked for, */
	hear("8,\"p0\",14,15,[\"ben\"]");
	assert_int_equal(sends_by_type[5], 1); /* once */
	hear("7,\"p0\",15,0,0,[[\"dan\",1,1,1,\"Dan\",0]]"); /* the first part of the answer, */
	hear("7,\"p0\",14,0,1,[[\"ben\",1,1,1,\"Ben\",0]]"); /* one that it has overtaken */
	hear("7,\"p0\",15,2,1,[]"); /* and one that misses another */
	expect_others(true, true, true);
	assert_int_equal(left_n, 0);
	assert_int_equal(joined_n, 1);
	hear("7,\"p0\",15,1,1,[[\"cleo\",1,1,1,\"Cleo\",0]]");
	expect_others(false, true, true);
	hear("5,0,[\"p0\",-1]"); /* it wants to hear of ours, whatever it has itself */
	hear("4,16,\"p0\",0");
	expect_others(false, false, false);
	hear("7,\"p0\",17,0,1,[[\"ben\",1,1,1,\"Ben\",0]]"); /* of before its word that nobody is there, or behind the next */
	expect_others(false, false, false);
	hear("3,18,1,1,[\"p0\",2]"); /* a directory without its first part */
	hear("7,\"p0\",18,0,1,[[\"ben\",1,1,1,\"Ben\",0]]");
	expect_others(false, false, false);
	finish();
}

/* Each difference that a beat shows is asked about. */
static void test_beats_find_what_was_lost(void **state)
{
	(void)state;
	rnd = 12;
	begin(2);
	set(0, 0, 0, 1);
	end(1, false);
	memset(sends_by_type, 0, sizeof(sends_by_type));
	hear("1,0,0,0,7");
	assert_int_equal(sends_by_type[2] + sends_by_type[5], 0);
	hear("1,1,5,0,7"); /* it has a project that we have not heard of */
	assert_int_equal(sends_by_type[2], 1);
	hear("4,10,\"p0\",2");
	assert_int_equal(sends_by_type[5], 1);
	hear("1,0,5,0,7");
	assert_int_equal(sends_by_type[5], 1); /* the answer may be on its way */
	hear("1,0,5,0,7");
	assert_int_equal(sends_by_type[5], 2); /* no more */
	hear("7,\"p0\",10,0,1,[[\"ben\",1,1,1,\"Ben\",0]]");
	hear("1,0,5,5,7"); /* it would have us know something else */
	assert_int_equal(sends_by_type[5], 3);
	finish();
}

/* Bytes that no server has written change nothing. */
static void test_nonsense(void **state)
{
	static const char *const bad[] = {
		"", "x", "0", "99", "-1", "1", "1,2", "1,\"a\",2,3,4", "3,", "3,1,0", "3,1,0,1,[\"p0\"]", "3,1,0,1,[\"p0\",7]", "3,1,5,1,[\"p0\",2]",
		"4,1,\"p0\",9", "4,1,\"\",1", "4,1,\"a\\u0041\",1", "5,0,[7]", "5,0,[\"p0\"]", "5,0", "6", "6,7", "7,\"p0\",9,0,1,[[]]",
		"7,\"p0\",9,0,1,[[\"u\",1]]", "7,\"p0\",9,0,1,[[\"u\",1,1,1,1,1]]", "7,\"p0\",9,0,1,[[\"u\"]]", "7,\"p0\",9,3,1,[]",
		"8,\"p0\",1,2", "8,\"p0\",1,2,[]", "8,\"p0\",1,2,7", "9,-1", "9,99999999999", "9,\"a\"", "10,\"p0\"", "10",
	};

	(void)state;
	rnd = 10;
	begin(2);
	set(0, 0, 0, 1);
	set(1, 0, 1, 1);
	run(500);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char alias[LEASE_NODE_MAX];

		lease_hear(nodes[0].lease, alias_of(alias, 0, 1), sio_str(bad[i]), now_ms);
		drain(0);
		check();
	}
	run(3 * NODE_BEAT_MS);
	check_truth(true);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tabs_on_two_servers_join_and_leave_once),
		cmocka_unit_test(test_a_list_names_everybody_from_the_first_word),
		cmocka_unit_test(test_nobody_is_waited_for_where_nobody_is),
		cmocka_unit_test(test_a_silent_server_is_waited_for_once),
		cmocka_unit_test(test_a_dead_server_is_left_when_its_lease_ends_and_not_before),
		cmocka_unit_test(test_users_of_a_server_that_ends_may_come_to_others),
		cmocka_unit_test(test_the_newest_state_wins_and_outlives_its_tab),
		cmocka_unit_test(test_messages_grow_with_those_who_are_there),
		cmocka_unit_test(test_long_lists),
		cmocka_unit_test(test_old_words_change_nothing),
		cmocka_unit_test(test_beats_find_what_was_lost),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_random_without_faults),
		cmocka_unit_test(test_random_with_dying_servers_and_partitions),
		cmocka_unit_test(test_random_with_lost_doubled_and_overtaken_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
