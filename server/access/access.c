/* access.c -- see access.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "access/access.h"

static const char *const role_names[] = {
	[ROLE_NONE] = "none",
	[ROLE_VIEWER] = "viewer",
	[ROLE_COMMENTER] = "commenter",
	[ROLE_EDITOR] = "editor",
	[ROLE_OWNER] = "owner",
};

static const enum role least_role[ACCESS_ACTION_N] = {
#define X(name, least) [ACCESS_##name] = ROLE_##least,
	ACCESS_ACTION_MAP(X)
#undef X
};

bool access_may(enum role role, enum access_action action)
{
	if ((unsigned)role > ROLE_OWNER || (unsigned)action >= ACCESS_ACTION_N)
		return false;
	return role != ROLE_NONE && role >= least_role[action];
}

bool access_may_leave(enum role role, sio_slice actor, sio_slice user)
{
	if (access_may(role, ACCESS_COLLABORATOR_CHANGE))
		return true;
	return access_may(role, ACCESS_PROJECT_READ) && sio_slice_eq(actor, user);
}

enum role access_role_parse(sio_slice text)
{
	for (unsigned role = ROLE_VIEWER; role <= ROLE_OWNER; role++)
		if (sio_slice_eq(text, sio_str(role_names[role])))
			return (enum role)role;
	return ROLE_NONE;
}

const char *access_role_name(enum role role)
{
	return (unsigned)role <= ROLE_OWNER ? role_names[role] : role_names[ROLE_NONE];
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* more: bytes allowed beside letters, digits and ". _ -". */
static bool is_plain(sio_slice id, size_t max, const char *more)
{
	if (id.n == 0 || id.n > max || !is_alnum(id.p[0]))
		return false;
	for (size_t i = 0; i < id.n; i++) {
		char c = id.p[i];
		if (!is_alnum(c) && c != '.' && c != '_' && c != '-' && (c == '\0' || !strchr(more, c)))
			return false;
		if (c == '.' && id.p[i - 1] == '.') /* i > 0: the first is a letter or digit */
			return false;
	}
	return true;
}

bool access_id_ok(sio_slice id)
{
	return is_plain(id, ACCESS_ID_MAX, "");
}

bool access_user_id_ok(sio_slice id)
{
	return is_plain(id, ACCESS_USER_ID_MAX, "@|+:");
}
