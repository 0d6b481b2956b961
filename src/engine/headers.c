/* headers.c -- see headers.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "engine/headers.h"

#include "base/text.h"
#include "codec/http1.h"

/* Headers that say where the answer ends, or what the connection is from then on. */
static bool is_framing(sio_slice name)
{
	static const char *const names[] = { "connection", "content-length", "content-type", "date", "keep-alive",
					     "trailer", "transfer-encoding", "upgrade" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (text_is(name, names[i]))
			return true;
	return text_begins(name, "sec-websocket-");
}

static bool is_value(sio_slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
			return false;
	return true;
}

int sio_headers_add(struct sio_headers *headers, sio_slice name, sio_slice value)
{
	size_t n;

	if (name.n > SIO_HEADERS_MAX || value.n > SIO_HEADERS_MAX)
		return SIO_ERR_LIMIT;
	if (!http1_is_token(name) || is_framing(name) || !is_value(value))
		return SIO_ERR_INVAL;
	n = name.n + value.n + 4;
	if (n > SIO_HEADERS_MAX - headers->added_n)
		return SIO_ERR_LIMIT;
	if (!buf_reserve(headers->out, n))
		return SIO_ERR_NOMEM;
	buf_slice(headers->out, name);
	buf_str(headers->out, ": ");
	buf_slice(headers->out, value);
	buf_str(headers->out, "\r\n");
	headers->added_n += n;
	return SIO_OK;
}

/* ---- the cookie ------------------------------------------------------------------------ */

/* May stand in an attribute: no end of it, nothing invisible (RFC 6265 4.1.1). */
static bool is_attribute(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text > '~' || *text == ';')
			return false;
	return true;
}

const char *headers_cookie_fault(const struct sio_cookie *cookie)
{
	if (!cookie->name || !http1_is_token(sio_str(cookie->name)))
		return "the cookie's name must be a token (letters, digits, !#$%&'*+-.^_`|~)";
	if (cookie->path && !is_attribute(cookie->path))
		return "the cookie's path must be printable ASCII without a semicolon";
	if (cookie->same_site > SIO_SAME_SITE_UNSET)
		return "the cookie's same_site is none of the known values";
	if (cookie->same_site == SIO_SAME_SITE_NONE && !cookie->is_secure)
		return "browsers drop a cookie with SameSite=None that is not is_secure";
	return NULL;
}

void headers_cookie(const struct sio_cookie *cookie, struct buf *before, struct buf *behind)
{
	static const char *const same_site[] = { "; SameSite=Lax", "; SameSite=Strict", "; SameSite=None", "" };
	const char *path = cookie->path ? cookie->path : "/";

	buf_printf(before, "Set-Cookie: %s=", cookie->name);
	if (cookie->max_age_s)
		buf_printf(behind, "; Max-Age=%u", cookie->max_age_s);
	if (*path)
		buf_printf(behind, "; Path=%s", path);
	if (!cookie->is_for_scripts)
		buf_str(behind, "; HttpOnly");
	if (cookie->is_secure)
		buf_str(behind, "; Secure");
	buf_str(behind, same_site[cookie->same_site]);
	buf_str(behind, "\r\n");
}
