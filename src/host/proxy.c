/* proxy.c -- see proxy.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "host/proxy.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- addresses and networks ------------------------------------------------------- */

/* An IPv4-mapped IPv6 address is the IPv4 address. */
struct address {
	uint8_t bytes[16];
	bool is_v6;
};

struct proxy_net {
	struct address first;
	unsigned bits;           /* that must be equal */
};

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static bool parse_address(sio_slice s, struct address *out)
{
	char text[PROXY_ADDRESS_CAP];

	*out = (struct address){ 0 };
	if (s.n == 0 || s.n >= sizeof(text))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (strlen(text) != s.n)
		return false;
	out->is_v6 = memchr(s.p, ':', s.n) != NULL;
	return inet_pton(out->is_v6 ? AF_INET6 : AF_INET, text, out->bytes) == 1;
}

/* Returns whether it was one. */
static bool unmap(struct address *a)
{
	if (!a->is_v6 || memcmp(a->bytes, mapped, sizeof(mapped)) != 0)
		return false;
	memmove(a->bytes, a->bytes + sizeof(mapped), 4);
	memset(a->bytes + 4, 0, sizeof(a->bytes) - 4);
	a->is_v6 = false;
	return true;
}

static bool parse_net(const char *text, struct proxy_net *out)
{
	const char *slash = strchrnul(text, '/'), *digits = slash + (*slash == '/');
	unsigned most;

	if (!parse_address(sio_bytes(text, (size_t)(slash - text)), &out->first))
		return false;
	most = out->first.is_v6 ? 128 : 32;
	out->bits = most;
	if (*slash) {
		size_t n = strspn(digits, "0123456789");
		if (n == 0 || n > 3 || digits[n] || (unsigned)atoi(digits) > most)
			return false;
		out->bits = (unsigned)atoi(digits);
	}
	/* Shorter than the mapping's own prefix it is a network of true IPv6 addresses. */
	if (out->bits >= 96 && unmap(&out->first))
		out->bits -= 96;
	return true;
}

static bool holds(const struct proxy_net *net, const struct address *a)
{
	unsigned whole = net->bits / 8, rest = net->bits % 8;

	return net->first.is_v6 == a->is_v6 && memcmp(net->first.bytes, a->bytes, whole) == 0 &&
	       (rest == 0 || (net->first.bytes[whole] ^ a->bytes[whole]) >> (8 - rest) == 0);
}

static bool is_trusted(const struct proxy_list *list, const struct address *a)
{
	for (size_t i = 0; i < list->n; i++)
		if (holds(&list->nets[i], a))
			return true;
	return false;
}

int proxy_list_init(struct proxy_list *list, const char *const *texts, const char **bad)
{
	size_t n = 0;

	*list = (struct proxy_list){ 0 };
	while (texts && texts[n])
		n++;
	if (n == 0)
		return SIO_OK;
	list->nets = calloc(n, sizeof(list->nets[0]));
	if (!list->nets)
		return SIO_ERR_NOMEM;
	for (; list->n < n; list->n++)
		if (!parse_net(texts[list->n], &list->nets[list->n])) {
			*bad = texts[list->n];
			return SIO_ERR_INVAL;
		}
	return SIO_OK;
}

void proxy_list_fini(struct proxy_list *list)
{
	free(list->nets);
	*list = (struct proxy_list){ 0 };
}

/* ---- lists in headers, from the right ---------------------------------------------------- */

/* A header that is repeated is one list.  rest is what is left of the line at index at. */
struct backwards {
	const struct http1_request *req;
	sio_slice name, rest;
	size_t at;
	bool is_inside;          /* a line is begun and has at least one entry left */
};

static sio_slice trim(sio_slice s)
{
	while (s.n > 0 && (*s.p == ' ' || *s.p == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

static struct backwards backwards(const struct http1_request *req, const char *name)
{
	return (struct backwards){ .req = req, .name = sio_str(name), .at = req->headers_n };
}

static bool previous(struct backwards *b, sio_slice *entry)
{
	const char *comma;

	while (!b->is_inside) {
		if (b->at == 0)
			return false;
		b->at--;
		b->is_inside = sio_slice_eq(b->req->headers[b->at].name, b->name);
		b->rest = b->req->headers[b->at].value;
	}
	comma = b->rest.n ? memrchr(b->rest.p, ',', b->rest.n) : NULL;
	b->is_inside = comma != NULL;
	if (comma) {
		*entry = sio_bytes(comma + 1, (size_t)(b->rest.p + b->rest.n - comma) - 1);
		b->rest.n = (size_t)(comma - b->rest.p);
	} else
		*entry = b->rest;
	*entry = trim(*entry);
	return true;
}

/* The nth entry from the right, or the leftmost when there are fewer. */
static sio_slice pick(const struct http1_request *req, const char *name, unsigned nth)
{
	struct backwards b = backwards(req, name);
	sio_slice entry, found = sio_bytes("", 0);

	while (nth-- > 0 && previous(&b, &entry))
		found = entry;
	return found;
}

/* ---- the client ------------------------------------------------------------------------- */

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80". */
static bool parse_hop(sio_slice s, struct address *out)
{
	const char *end;

	if (s.n > 0 && s.p[0] == '[') {
		end = memchr(s.p, ']', s.n);
		if (!end || (end + 1 < s.p + s.n && end[1] != ':'))
			return false;
		s = sio_bytes(s.p + 1, (size_t)(end - s.p) - 1);
		if (!memchr(s.p, ':', s.n))
			return false;
	} else {
		end = s.n ? memchr(s.p, ':', s.n) : NULL;
		if (end && memrchr(s.p, ':', s.n) == end) /* one colon is a port's */
			s.n = (size_t)(end - s.p);
	}
	if (!parse_address(s, out))
		return false;
	unmap(out);
	return true;
}

/* Walks from the peer to the client.  Returns how many trusted proxies were passed. */
static unsigned walk(const struct proxy_list *list, const struct http1_request *req, char address[PROXY_ADDRESS_CAP])
{
	struct backwards b = backwards(req, "x-forwarded-for");
	unsigned hops = 1;
	struct address a;
	sio_slice entry;

	while (previous(&b, &entry) && parse_hop(entry, &a)) {
		inet_ntop(a.is_v6 ? AF_INET6 : AF_INET, a.bytes, address, PROXY_ADDRESS_CAP);
		if (hops == PROXY_HOPS_MAX || !is_trusted(list, &a))
			break;
		hops++;
	}
	return hops;
}

static bool equals(sio_slice s, const char *text)
{
	return s.n == strlen(text) && strncasecmp(s.p, text, s.n) == 0;
}

/* Name or address, and a port: what may stand in an origin behind the scheme. */
static bool is_host(sio_slice s)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]";

	if (s.n == 0 || s.n > 255)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!memchr(allowed, s.p[i], sizeof(allowed) - 1))
			return false;
	return true;
}

static bool is_proxy(const struct proxy_list *list, const char *peer)
{
	struct address a;

	if (list->n == 0 || !parse_address(sio_bytes(peer, strcspn(peer, "%")), &a)) /* "fe80::1%eth0" */
		return false;
	unmap(&a);
	return is_trusted(list, &a);
}

void proxy_look(const struct proxy_list *list, const struct http1_request *req, struct proxy_view *view)
{
	unsigned hops;
	sio_slice proto, host;

	if (!is_proxy(list, view->address))
		return;
	hops = walk(list, req, view->address);
	proto = pick(req, "x-forwarded-proto", hops);
	if (equals(proto, "https") || equals(proto, "wss")) /* some proxies name the WebSocket's scheme */
		view->is_secure = true;
	else if (equals(proto, "http") || equals(proto, "ws"))
		view->is_secure = false;
	host = pick(req, "x-forwarded-host", hops);
	if (is_host(host))
		view->host = host;
}
