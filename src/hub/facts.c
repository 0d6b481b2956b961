/* facts.c -- what the first request of a session said: see <sio/facts.h>.
 *
 * The public name of struct hub_opening; it knows what was noted, not who noted it.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "codec/http1.h"
#include "hub/hub.h"

static const struct hub_opening *opening(const struct sio_facts *facts)
{
	return (const struct hub_opening *)(const void *)facts;
}

static const struct sio_facts *facts_of(const struct hub_opening *o)
{
	return (const struct sio_facts *)(const void *)o;
}

const struct sio_facts *sio_connect_facts(const struct sio_connect *req)
{
	return facts_of(req->opening);
}

const struct sio_facts *sio_socket_facts(const struct sio_socket *s)
{
	return s->client && s->client->hub->limits.keeps_facts ? facts_of(s->client->opening) : NULL;
}

sio_slice sio_facts_url(const struct sio_facts *facts)
{
	return opening(facts)->url;
}

static sio_slice query_of(const struct sio_facts *facts)
{
	sio_slice url = opening(facts)->url;
	const char *mark = url.n ? memchr(url.p, '?', url.n) : NULL;

	return mark ? sio_bytes(mark + 1, (size_t)(url.p + url.n - mark - 1)) : sio_bytes("", 0);
}

long sio_facts_query_get(const struct sio_facts *facts, const char *key, char *out, size_t cap)
{
	sio_slice raw;

	if (!http1_query_get(query_of(facts), key, &raw))
		return SIO_ERR_NOENT;
	return http1_unescape(raw, true, out, cap);
}

bool sio_facts_query_at(const struct sio_facts *facts, size_t i, sio_slice *key, sio_slice *value)
{
	return http1_query_at(query_of(facts), i, key, value);
}

long sio_query_unescape(sio_slice raw, char *out, size_t cap)
{
	return http1_unescape(raw, true, out, cap);
}

sio_slice sio_facts_header(const struct sio_facts *facts, const char *name)
{
	const struct hub_opening *o = opening(facts);
	sio_slice want = sio_str(name);

	for (uint32_t i = 0; i < o->headers_n; i++)
		if (sio_slice_eq(o->headers[i].name, want))
			return o->headers[i].value;
	return sio_bytes("", 0);
}

bool sio_facts_header_at(const struct sio_facts *facts, size_t i, sio_slice *name, sio_slice *value)
{
	const struct hub_opening *o = opening(facts);

	if (i >= o->headers_n)
		return false;
	*name = o->headers[i].name;
	*value = o->headers[i].value;
	return true;
}

sio_slice sio_facts_address(const struct sio_facts *facts)
{
	return opening(facts)->address;
}

bool sio_facts_is_secure(const struct sio_facts *facts)
{
	return opening(facts)->is_secure;
}

int64_t sio_facts_issued_ms(const struct sio_facts *facts)
{
	return opening(facts)->issued_ms;
}
