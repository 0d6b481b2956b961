/* access_access_test.c -- who may what, written out in full, and what a plain id is.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "access/access.h"

static void table(void **state)
{
	/* One letter a role: viewer, commenter, editor, owner. */
	static const struct {
		enum access_action action;
		const char *who;
	} want[] = {
		{ ACCESS_PROJECT_JOIN, "vceo" },     { ACCESS_PROJECT_READ, "vceo" },	    { ACCESS_PROJECT_CHANGE, "---o" },
		{ ACCESS_PROJECT_DELETE, "---o" },   { ACCESS_COLLABORATOR_READ, "vceo" },  { ACCESS_COLLABORATOR_CHANGE, "---o" },
		{ ACCESS_BOQ_READ, "vceo" },	     { ACCESS_BOQ_WRITE, "--eo" },	    { ACCESS_TASK_READ, "vceo" },
		{ ACCESS_TASK_WRITE, "--eo" },	     { ACCESS_COMMENT_READ, "vceo" },	    { ACCESS_COMMENT_WRITE, "-ceo" },
		{ ACCESS_COMMENT_DELETE_OWN, "-ceo" }, { ACCESS_COMMENT_DELETE_ANY, "--eo" }, { ACCESS_EVENT_READ, "vceo" },
	};

	(void)state;
	assert_int_equal(sizeof(want) / sizeof(want[0]), ACCESS_ACTION_N);
	for (size_t i = 0; i < ACCESS_ACTION_N; i++) {
		assert_false(access_may(ROLE_NONE, want[i].action));
		for (int role = ROLE_VIEWER; role <= ROLE_OWNER; role++)
			assert_int_equal(access_may((enum role)role, want[i].action), want[i].who[role - 1] != '-');
	}
	assert_false(access_may(ROLE_OWNER, ACCESS_ACTION_N));
	assert_false(access_may((enum role)99, ACCESS_PROJECT_READ));
	assert_false(access_may((enum role)-1, ACCESS_PROJECT_READ));
}

static void leaving(void **state)
{
	(void)state;
	assert_true(access_may_leave(ROLE_OWNER, SIO_LIT("anna"), SIO_LIT("ben")));
	assert_true(access_may_leave(ROLE_VIEWER, SIO_LIT("ben"), SIO_LIT("ben")));
	assert_false(access_may_leave(ROLE_EDITOR, SIO_LIT("ben"), SIO_LIT("anna")));
	assert_false(access_may_leave(ROLE_NONE, SIO_LIT("ben"), SIO_LIT("ben")));
}

static void roles(void **state)
{
	static const char *const bad[] = { "", "none", "Owner", "owner ", "admin", "viewe", "viewerr" };

	(void)state;
	for (int role = ROLE_VIEWER; role <= ROLE_OWNER; role++)
		assert_int_equal(access_role_parse(sio_str(access_role_name((enum role)role))), role);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(access_role_parse(sio_str(bad[i])), ROLE_NONE);
	assert_string_equal(access_role_name(ROLE_NONE), "none");
	assert_string_equal(access_role_name((enum role)77), "none");
}

static void ids(void **state)
{
	static const char *const good[] = { "proj-123", "user-456", "item-789", "a", "0", "A.b_c-d", "3f2504e0-4f89-11d3-9a0c-0305e82c3301" };
	static const char *const bad[] = { "", ".", "..", "a..b", "../x", "-a", "_a", ".a", "a b", "a/b", "a\\b", "a*", "*", "a\n", "a:b",
					   "user:1", "ä", "a%2e", "a?", "a#", "a\x7f", "a\"b", "a'b", "a<b", "a@b", "a|b" };
	static const char *const users[] = { "auth0|12ab", "anna@example.com", "a+b@c.d", "urn:x:1" };
	static const char *const bad_users[] = { "", "*", "user:*", "a/b", "a\nb", "@a", ":a", "a..b", "a b", "é" };
	char large[300];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(access_id_ok(sio_str(good[i])));
		assert_true(access_user_id_ok(sio_str(good[i])));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(access_id_ok(sio_str(bad[i])));
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++)
		assert_true(access_user_id_ok(sio_str(users[i])));
	for (size_t i = 0; i < sizeof(bad_users) / sizeof(bad_users[0]); i++)
		assert_false(access_user_id_ok(sio_str(bad_users[i])));
	assert_false(access_id_ok(sio_bytes("a\0b", 3)));
	assert_false(access_user_id_ok(sio_bytes("a\0", 2)));
	memset(large, 'x', sizeof(large));
	assert_true(access_id_ok(sio_bytes(large, ACCESS_ID_MAX)));
	assert_false(access_id_ok(sio_bytes(large, ACCESS_ID_MAX + 1)));
	assert_true(access_user_id_ok(sio_bytes(large, ACCESS_USER_ID_MAX)));
	assert_false(access_user_id_ok(sio_bytes(large, ACCESS_USER_ID_MAX + 1)));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(table), cmocka_unit_test(leaving), cmocka_unit_test(roles), cmocka_unit_test(ids) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
