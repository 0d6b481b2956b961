/* url.c -- DATABASE_URL: which back end, which path.  Never shows a password.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <string.h>

#include "store/backend.h"
#include "store/pg.h"

static const char accepted[] = "accepted: sqlite:///relative/path.db, sqlite:////absolute/path.db, "
			       "postgresql://user:password@host:port/database";

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* "mysql" of "mysql://user:pw@host/db"; the rest is not for a log. */
static int scheme_length(const char *url)
{
	size_t n = strcspn(url, ":");

	return (int)(n < 24 ? n : 24);
}

static int parse_sqlite(const char *url, struct store_url *out, char error[STORE_ERROR_MAX])
{
	const char *path = url + strlen("sqlite:///");

	if (!starts_with(url, "sqlite:///"))
		snprintf(error, STORE_ERROR_MAX, "DATABASE_URL: three slashes must follow 'sqlite:'; %s", accepted);
	else if (!*path)
		snprintf(error, STORE_ERROR_MAX, "DATABASE_URL: no path behind 'sqlite:///'; %s", accepted);
	else if (strpbrk(path, "?#%"))
		snprintf(error, STORE_ERROR_MAX, "DATABASE_URL: '?', '#' and '%%' are not supported in a path; %s", accepted);
	else if (strlen(path) > 1024 || path[strlen(path) - 1] == '/')
		snprintf(error, STORE_ERROR_MAX, "DATABASE_URL: '%.100s' is no file name; %s", path, accepted);
	else {
		*out = (struct store_url){ .ops = &sqlite_ops, .path = path };
		snprintf(out->shown, sizeof(out->shown), "%.150s", url);
		return SIO_OK;
	}
	return SIO_ERR_INVAL;
}

static int parse_postgres(const char *url, struct store_url *out, char error[STORE_ERROR_MAX])
{
	int r = pg_url_check(url, error);

	if (r < 0)
		return r;
	*out = (struct store_url){ .ops = &pg_ops, .path = url };
	pg_url_show(url, out->shown, sizeof(out->shown));
	return SIO_OK;
}

int store_url_parse(const char *url, struct store_url *out, char error[STORE_ERROR_MAX])
{
	error[0] = '\0';
	if (url && starts_with(url, "sqlite:"))
		return parse_sqlite(url, out, error);
	if (url && (starts_with(url, "postgres://") || starts_with(url, "postgresql://")))
		return parse_postgres(url, out, error);
	if (url && strcmp(url, "memory:") == 0) { /* for tests: it goes with the handle */
		*out = (struct store_url){ .ops = &sqlite_ops, .path = ":memory:", .shown = "memory:" };
		return SIO_OK;
	}
	if (!url || !*url)
		snprintf(error, STORE_ERROR_MAX, "DATABASE_URL is empty; %s", accepted);
	else if (!strstr(url, "://"))
		snprintf(error, STORE_ERROR_MAX, "DATABASE_URL is no URL (no '://' in it); %s", accepted);
	else
		snprintf(error, STORE_ERROR_MAX, "DATABASE_URL: unknown scheme '%.*s'; %s", scheme_length(url), url, accepted);
	return SIO_ERR_INVAL;
}

int store_url_check(const char *url, char error[STORE_ERROR_MAX])
{
	struct store_url parsed;

	return store_url_parse(url, &parsed, error);
}
