/* url.c -- see url.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "redis/url.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { DEFAULT_PORT = 6379 };

static int fail(char *error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, SIO_REDIS_ERROR_MAX, fmt, ap);
	va_end(ap);
	return SIO_ERR_INVAL;
}

/* ---- pieces -------------------------------------------------------------------------- */

static bool copy(char *to, size_t cap, sio_slice s)
{
	if (s.n >= cap || memchr(s.p, '\0', s.n))
		return false;
	memcpy(to, s.p, s.n);
	to[s.n] = '\0';
	return true;
}

static bool decode(char *to, size_t cap, sio_slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == '%') {
			int high = i + 2 < s.n ? text_hex(s.p[i + 1]) : -1, low = i + 2 < s.n ? text_hex(s.p[i + 2]) : -1;
			if (high < 0 || low < 0 || (high | low) == 0)
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		}
		if (n + 1 >= cap)
			return false;
		to[n++] = c;
	}
	to[n] = '\0';
	return true;
}

/* All of s as a number of at most max. */
static bool number(sio_slice s, uint32_t max, uint32_t *out)
{
	uint32_t v = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9' || (v = v * 10 + (uint32_t)(s.p[i] - '0')) > max)
			return false;
	}
	*out = v;
	return s.n > 0;
}

/* What stands before the first byte of *rest that is one of marks; *rest begins with that. */
static sio_slice until(sio_slice *rest, const char *marks)
{
	size_t n = 0;

	while (n < rest->n && !strchr(marks, rest->p[n]))
		n++;
	sio_slice head = sio_bytes(rest->p, n);
	*rest = sio_bytes(rest->p + n, rest->n - n);
	return head;
}

/* ---- who ------------------------------------------------------------------------------- */

/* "user:password@", ":password@" or "user@" off the front of *rest, if it is there. */
static bool take_person(sio_slice *rest, struct redis_url *out)
{
	sio_slice whole = *rest, person = *rest, name;
	const char *at = NULL;

	for (size_t i = 0; i < whole.n; i++)
		if (whole.p[i] == '@')
			at = whole.p + i; /* the last one: a password may be written as it is */
	if (!at)
		return true;
	person.n = (size_t)(at - whole.p);
	*rest = sio_bytes(at + 1, whole.n - person.n - 1);
	name = until(&person, ":");
	out->has_password = person.n > 0;
	return decode(out->user, sizeof(out->user), name) &&
	       (!out->has_password || decode(out->password, sizeof(out->password), sio_bytes(person.p + 1, person.n - 1)));
}

/* ---- where ------------------------------------------------------------------------------ */

/* "host", "host:port", "[address]:port". */
static bool take_host(sio_slice text, struct redis_url *out)
{
	uint32_t port = DEFAULT_PORT;
	sio_slice host;

	if (text.n && text.p[0] == '[') {
		text = sio_bytes(text.p + 1, text.n - 1);
		host = until(&text, "]");
		if (text.n == 0)
			return false;
		text = sio_bytes(text.p + 1, text.n - 1);
	} else
		host = until(&text, ":");
	if (text.n && (text.p[0] != ':' || !number(sio_bytes(text.p + 1, text.n - 1), 65535, &port) || port == 0))
		return false;
	out->port = (uint16_t)port;
	return copy(out->host, sizeof(out->host), host.n ? host : SIO_LIT("localhost"));
}

static void show(struct redis_url *u)
{
	if (u->path[0])
		snprintf(u->shown, sizeof(u->shown), u->db ? "unix://%s?db=%u" : "unix://%s", u->path, u->db);
	else
		snprintf(u->shown, sizeof(u->shown), strchr(u->host, ':') ? "redis://[%.190s]:%u/%u" : "redis://%.190s:%u/%u",
			 u->host, u->port, u->db);
}

static int read_tcp(sio_slice rest, struct redis_url *out, char *error)
{
	if (!take_person(&rest, out))
		return fail(error, "its user or password is too long or has a bad %%XX");
	sio_slice host = until(&rest, "/");
	if (!take_host(host, out))
		return fail(error, "its host or port cannot be read; redis://host:6379/0 is expected");
	if (rest.n > 1 && !number(sio_bytes(rest.p + 1, rest.n - 1), URL_DB_MAX, &out->db))
		return fail(error, "its database must be a number, as in redis://host:6379/0");
	return SIO_OK;
}

static int read_unix(sio_slice rest, struct redis_url *out, char *error)
{
	if (!take_person(&rest, out))
		return fail(error, "its user or password is too long or has a bad %%XX");
	sio_slice path = until(&rest, "?");
	if (path.n == 0 || path.p[0] != '/' || !copy(out->path, sizeof(out->path), path))
		return fail(error, "its path must be absolute and shorter than %d bytes, as in unix:///run/redis/redis.sock",
			    URL_PATH_MAX);
	if (rest.n && (rest.n < 5 || memcmp(rest.p, "?db=", 4) != 0 ||
		       !number(sio_bytes(rest.p + 4, rest.n - 4), URL_DB_MAX, &out->db)))
		return fail(error, "behind its path only ?db=number is understood");
	return SIO_OK;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static bool skip(sio_slice *rest, const char *scheme)
{
	size_t n = strlen(scheme);

	if (rest->n < n || memcmp(rest->p, scheme, n) != 0)
		return false;
	*rest = sio_bytes(rest->p + n, rest->n - n);
	return true;
}

int redis_url_read(const char *text, struct redis_url *out, char error[SIO_REDIS_ERROR_MAX])
{
	sio_slice rest = sio_str(text);
	int err;

	*out = (struct redis_url){ .port = DEFAULT_PORT };
	error[0] = '\0';
	if (skip(&rest, "rediss://") || skip(&rest, "valkeys://"))
		return fail(error, "TLS to Redis is not possible: hiredis 0.14, as this system has it, knows no TLS; use a "
				   "unix:// socket or redis:// to a local tunnel");
	if (skip(&rest, "redis+sentinel://"))
		return fail(error, "Sentinel is not asked for the master; name the master itself, or a proxy that follows it");
	if (skip(&rest, "redis://") || skip(&rest, "valkey://"))
		err = read_tcp(rest, out, error);
	else if (skip(&rest, "unix://"))
		err = read_unix(rest, out, error);
	else
		return fail(error, "redis://host:port/db or unix:///path is expected");
	if (err == SIO_OK && out->user[0] && !out->has_password)
		return fail(error, "it has a user without a password, as in redis://user:password@host");
	show(out);
	return err;
}

bool redis_url_move(struct redis_url *out, const char *answer)
{
	struct redis_url to = *out;
	sio_slice rest = sio_str(answer);
	const char *colon;
	uint32_t port;

	if (!skip(&rest, "MOVED "))
		return false;
	until(&rest, " ");
	if (rest.n < 2)
		return false;
	rest = sio_bytes(rest.p + 1, rest.n - 1);
	colon = memrchr(rest.p, ':', rest.n); /* an IPv6 address comes without brackets */
	if (!colon || !number(sio_bytes(colon + 1, (size_t)(rest.p + rest.n - colon) - 1), 65535, &port) || port == 0)
		return false;
	rest.n = (size_t)(colon - rest.p);
	if (rest.n && rest.p[0] != '?' && !copy(to.host, sizeof(to.host), rest))
		return false;
	if (to.path[0] && !to.host[0]) /* it does not say where it is, and we came by its socket */
		return false;
	to.port = (uint16_t)port;
	to.path[0] = '\0';
	show(&to);
	*out = to;
	return true;
}
