/* pg_url.c -- DATABASE_URL of PostgreSQL: is it one, and how it is shown.
 *
 * libpq reads it (its manual describes all parameters).  Its messages may quote a piece
 * of the URL, and that piece may be of the password: they are never passed on.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <string.h>

#include "store/pg.h"

int pg_url_check(const char *url, char error[STORE_ERROR_MAX])
{
	char *why = NULL;
	PQconninfoOption *options = PQconninfoParse(url, &why);

	PQfreemem(why);
	PQconninfoFree(options);
	if (options)
		return SIO_OK;
	snprintf(error, STORE_ERROR_MAX, "DATABASE_URL: this is no URL that PostgreSQL's library takes (write '%%' and '@' of a password as "
		 "%%25 and %%40); accepted: postgresql://user:password@host:port/database?sslmode=require");
	return SIO_ERR_INVAL;
}

static const char *find(const PQconninfoOption *options, const char *name, const char *otherwise)
{
	for (; options && options->keyword; options++)
		if (strcmp(options->keyword, name) == 0 && options->val && *options->val)
			return options->val;
	return otherwise;
}

void pg_url_show(const char *url, char *out, size_t cap)
{
	PQconninfoOption *options = PQconninfoParse(url, NULL);
	const char *host = find(options, "host", find(options, "hostaddr", "local socket"));
	const char *user = find(options, "user", "");

	snprintf(out, cap, "%.40s%s%.70s:%.12s/%.30s", user, *user ? "@" : "", host, find(options, "port", "5432"),
		 find(options, "dbname", *user ? user : "?"));
	PQconninfoFree(options);
}
