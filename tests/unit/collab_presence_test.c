/* collab_presence_test.c -- presence against a model so simple that it is right.
 *
 * Time is a number.  The random runs print their seed; set SEED to repeat one.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collab/presence.h"

enum { GRACE_MS = 1000 };

static struct presence_member *join(struct presence *p, struct presence_user *user, const char *project, bool *is_new)
{
	struct presence_member *member = presence_join(p, user, sio_str(project), 1, is_new);

	assert_non_null(member);
	assert_true(presence_sane(p));
	return member;
}

static struct presence_user *open_user(struct presence *p, const char *id)
{
	struct presence_user *user = presence_user_open(p, sio_str(id));

	assert_non_null(user);
	return user;
}

/* ---- single facts ------------------------------------------------------------- */

static void test_first_and_last_connection_are_news(void **state)
{
	struct presence p;
	struct presence_user *anna;
	struct presence_member *member;
	bool is_new;

	(void)state;
	presence_init(&p, GRACE_MS);
	anna = open_user(&p, "anna");
	member = join(&p, anna, "p1", &is_new);
	assert_true(is_new);
	assert_ptr_equal(join(&p, anna, "p1", &is_new), member);
	assert_false(is_new);
	assert_int_equal(member->connections_n, 2);
	assert_false(presence_leave(&p, member, 0, true));
	assert_true(presence_leave(&p, member, 0, true));
	presence_remove(&p, member);
	assert_null(presence_project_find(&p, SIO_LIT("p1")));
	assert_int_equal(p.members_n, 0);
	presence_user_unref(&p, anna);
	assert_null(presence_user_find(&p, SIO_LIT("anna")));
	assert_true(presence_sane(&p));
	presence_fini(&p);
}

static void test_unclean_end_waits_for_the_grace(void **state)
{
	struct presence p;
	struct presence_user *anna;
	struct presence_member *member;
	bool is_new;

	(void)state;
	presence_init(&p, GRACE_MS);
	anna = open_user(&p, "anna");
	member = join(&p, anna, "p1", &is_new);
	assert_false(presence_leave(&p, member, 5000, false));
	assert_int_equal(presence_next_due_ms(&p), 5000 + GRACE_MS);
	assert_int_equal(p.occupied_n, 0); /* nobody connected, though still present */
	assert_int_equal(p.members_n, 1);
	assert_null(presence_due(&p, 5000 + GRACE_MS - 1));
	assert_ptr_equal(presence_due(&p, 5000 + GRACE_MS), member);
	presence_user_unref(&p, anna); /* the member alone keeps the user */
	assert_ptr_equal(presence_user_find(&p, SIO_LIT("anna")), anna);
	presence_remove(&p, member);
	assert_null(presence_user_find(&p, SIO_LIT("anna")));
	assert_true(presence_next_due_ms(&p) == UINT64_MAX);
	presence_fini(&p);
}

static void test_back_in_time_is_no_news(void **state)
{
	struct presence p;
	struct presence_user *anna, *ben;
	struct presence_member *a, *b;
	bool is_new;

	(void)state;
	presence_init(&p, GRACE_MS);
	anna = open_user(&p, "anna");
	ben = open_user(&p, "ben");
	a = join(&p, anna, "p1", &is_new);
	b = join(&p, ben, "p1", &is_new);
	assert_int_equal(presence_set_state(a, SIO_LIT("{\"idle\":true}")), 0);
	assert_false(presence_leave(&p, a, 100, false));
	assert_false(presence_leave(&p, b, 200, false));
	assert_true(presence_sane(&p));
	assert_ptr_equal(join(&p, anna, "p1", &is_new), a);
	assert_false(is_new);
	assert_int_equal(a->state->n, 13); /* what she looked at is still known */
	assert_ptr_equal(presence_due(&p, 10000), b);
	presence_remove(&p, b);
	assert_null(presence_due(&p, 10000));
	assert_true(presence_sane(&p));
	presence_user_unref(&p, anna);
	presence_user_unref(&p, ben);
	presence_fini(&p);
}

static void test_no_grace_means_at_once(void **state)
{
	struct presence p;
	struct presence_user *anna;
	struct presence_member *member;
	bool is_new;

	(void)state;
	presence_init(&p, 0);
	anna = open_user(&p, "anna");
	member = join(&p, anna, "p1", &is_new);
	assert_true(presence_leave(&p, member, 0, false));
	presence_remove(&p, member);
	presence_user_unref(&p, anna);
	presence_fini(&p);
}

static void test_names_are_made_once(void **state)
{
	struct presence p;
	struct presence_user *user;
	struct presence_member *member;
	bool is_new;

	(void)state;
	presence_init(&p, GRACE_MS);
	user = open_user(&p, "anna");
	member = join(&p, user, "p1", &is_new);
	assert_true(sio_slice_eq(presence_user_room(user), SIO_LIT("user:anna")));
	assert_true(sio_slice_eq(presence_id(&user->node), SIO_LIT("anna")));
	assert_string_equal(user->node.key, "anna");
	assert_true(sio_slice_eq(presence_project_room(member->project), SIO_LIT("project:p1")));
	assert_true(presence_key(member) != 0);
	presence_user_unref(&p, user);
	presence_fini(&p);
}

static void test_ids_have_a_limit(void **state)
{
	char id[PRESENCE_ID_MAX + 1];
	struct presence p;
	struct presence_user *user;
	bool is_new;

	(void)state;
	memset(id, 'x', sizeof(id));
	presence_init(&p, GRACE_MS);
	assert_null(presence_user_open(&p, sio_bytes(id, 0)));
	assert_null(presence_user_open(&p, sio_bytes(id, sizeof(id))));
	user = presence_user_open(&p, sio_bytes(id, PRESENCE_ID_MAX));
	assert_non_null(user);
	assert_null(presence_join(&p, user, sio_bytes(id, 0), 1, &is_new));
	assert_null(presence_join(&p, user, sio_bytes(id, sizeof(id)), 1, &is_new));
	assert_non_null(presence_join(&p, user, sio_bytes(id, PRESENCE_ID_MAX), 1, &is_new));
	assert_null(presence_user_open(&p, SIO_LIT("a\"b"))); /* not plain */
	assert_null(presence_join(&p, user, SIO_LIT("a\nb"), 1, &is_new));
	presence_user_unref(&p, user);
	presence_fini(&p);
}

/* Short names lie in the user, long ones in a block of their own. */
static void test_names(void **state)
{
	static const char *const names[] = { "Anna", "fifteen bytes..", "sixteen bytes...", "Anna", "a name that is quite long", "another that is long",
					     "fifteen bytes.." };
	struct presence p;
	struct presence_user *anna;

	(void)state;
	presence_init(&p, GRACE_MS);
	anna = open_user(&p, "anna");
	assert_true(sio_slice_eq(presence_user_name(anna), SIO_LIT("anna"))); /* its id */
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(presence_user_rename(anna, sio_str(names[i])), 0);
		assert_true(sio_slice_eq(presence_user_name(anna), sio_str(names[i])));
		assert_int_equal(presence_user_rename(anna, presence_user_name(anna)), 0);
	}
	assert_true(sizeof(*anna) <= 56);
	presence_user_unref(&p, anna);
	presence_fini(&p);
}

static void test_fini_frees_what_is_left(void **state)
{
	struct presence p;
	struct presence_user *anna, *ben;
	bool is_new;

	(void)state;
	presence_init(&p, GRACE_MS);
	anna = open_user(&p, "anna");
	ben = open_user(&p, "ben");
	assert_int_equal(presence_user_rename(anna, SIO_LIT("Anna")), 0);
	assert_int_equal(presence_user_rename(anna, SIO_LIT("Anna B.")), 0);
	join(&p, anna, "p1", &is_new);
	join(&p, ben, "p1", &is_new);
	assert_false(presence_leave(&p, join(&p, ben, "p2", &is_new), 0, false));
	presence_user_unref(&p, anna);
	presence_user_unref(&p, ben);
	presence_fini(&p); /* the leak checker judges */
}

/* ---- random runs ----------------------------------------------------------------- */

enum { USERS = 6, PROJECTS = 4, STEPS = 20000 };

/* What the model knows of one pair. */
struct pair {
	unsigned connections;
	bool is_present;     /* others were told that it came, and not that it left */
	uint64_t leave_at;   /* while connections is 0 and is_present */
};

struct model {
	struct pair pair[USERS][PROJECTS];
	struct presence_user *user[USERS];
	struct presence presence;
	uint64_t now, rng;
};

static unsigned draw(struct model *m, unsigned n)
{
	m->rng ^= m->rng << 13;
	m->rng ^= m->rng >> 7;
	m->rng ^= m->rng << 17;
	return (unsigned)((m->rng >> 11) % n);
}

static const char *name_of(char kind, unsigned i)
{
	static char text[2][8];
	char *out = text[kind == 'u'];

	snprintf(out, sizeof(text[0]), "%c%u", kind, i);
	return out;
}

static struct presence_member *member_of(struct model *m, unsigned u, unsigned p)
{
	struct presence_project *project = presence_project_find(&m->presence, sio_str(name_of('p', p)));

	return project ? presence_member_find(m->user[u], project) : NULL;
}

static void step_join(struct model *m, unsigned u, unsigned p)
{
	struct pair *pair = &m->pair[u][p];
	bool is_new;

	assert_non_null(presence_join(&m->presence, m->user[u], sio_str(name_of('p', p)), 1, &is_new));
	assert_int_equal(is_new, !pair->is_present);
	pair->is_present = true;
	pair->connections++;
}

static void step_leave(struct model *m, unsigned u, unsigned p, bool is_clean)
{
	struct pair *pair = &m->pair[u][p];
	struct presence_member *member = member_of(m, u, p);

	if (pair->connections == 0)
		return;
	pair->connections--;
	if (presence_leave(&m->presence, member, m->now, is_clean)) {
		assert_true(pair->connections == 0 && is_clean);
		pair->is_present = false;
		presence_remove(&m->presence, member);
	} else {
		assert_true(pair->connections > 0 || !is_clean);
		pair->leave_at = m->now + GRACE_MS;
	}
}

static void step_time(struct model *m, unsigned ms)
{
	struct presence_member *member;

	m->now += ms;
	while ((member = presence_due(&m->presence, m->now)))
		presence_remove(&m->presence, member);
	for (unsigned u = 0; u < USERS; u++)
		for (unsigned p = 0; p < PROJECTS; p++)
			if (m->pair[u][p].connections == 0 && m->pair[u][p].leave_at <= m->now)
				m->pair[u][p].is_present = false;
}

/* Access revoked while the grace runs. */
static void step_evict(struct model *m, unsigned u, unsigned p)
{
	if (m->pair[u][p].connections > 0 || !m->pair[u][p].is_present)
		return;
	presence_remove(&m->presence, member_of(m, u, p));
	m->pair[u][p].is_present = false;
}

static void compare(struct model *m)
{
	unsigned members = 0, occupied = 0;

	for (unsigned p = 0; p < PROJECTS; p++) {
		unsigned connections = 0;

		for (unsigned u = 0; u < USERS; u++) {
			struct presence_member *member = member_of(m, u, p);

			assert_int_equal(member != NULL, m->pair[u][p].is_present);
			if (member)
				assert_int_equal(member->connections_n, m->pair[u][p].connections);
			members += m->pair[u][p].is_present;
			connections += m->pair[u][p].connections;
		}
		occupied += connections > 0;
	}
	assert_int_equal(m->presence.members_n, members);
	assert_int_equal(m->presence.occupied_n, occupied);
	assert_true(presence_sane(&m->presence));
}

static void run(uint64_t seed)
{
	struct model m = { .now = 1, .rng = seed * 2 + 1 };

	presence_init(&m.presence, GRACE_MS);
	for (unsigned u = 0; u < USERS; u++)
		m.user[u] = open_user(&m.presence, name_of('u', u));
	for (unsigned i = 0; i < STEPS; i++) {
		unsigned u = draw(&m, USERS), p = draw(&m, PROJECTS), what = draw(&m, 100);

		if (what < 35)
			step_join(&m, u, p);
		else if (what < 55)
			step_leave(&m, u, p, true);
		else if (what < 80)
			step_leave(&m, u, p, false);
		else if (what < 97)
			step_time(&m, draw(&m, GRACE_MS / 2));
		else
			step_evict(&m, u, p);
		compare(&m);
	}
	for (unsigned u = 0; u < USERS; u++)
		presence_user_unref(&m.presence, m.user[u]);
	presence_fini(&m.presence);
}

static void test_random_runs_agree_with_the_model(void **state)
{
	const char *fixed = getenv("SEED");
	uint64_t first = fixed ? strtoull(fixed, NULL, 10) : 1, n = fixed ? 1 : 8;

	(void)state;
	for (uint64_t seed = first; seed < first + n; seed++) {
		print_message("SEED=%llu\n", (unsigned long long)seed);
		run(seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_and_last_connection_are_news),
		cmocka_unit_test(test_unclean_end_waits_for_the_grace),
		cmocka_unit_test(test_back_in_time_is_no_news),
		cmocka_unit_test(test_no_grace_means_at_once),
		cmocka_unit_test(test_names_are_made_once),
		cmocka_unit_test(test_ids_have_a_limit),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_fini_frees_what_is_left),
		cmocka_unit_test(test_random_runs_agree_with_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
