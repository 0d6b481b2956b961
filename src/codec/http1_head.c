/* http1_head.c -- see http1_head.h.  The only file that knows llhttp.
 *
 * A head passes two parsers: the strict one written here, whose slices are used,
 * and llhttp, which must come to the same method, version and framing.  What one
 * of them does not understand, or what they understand differently, is refused:
 * a request that can be read in two ways is how smuggling begins.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "codec/http1_head.h"

#include <llhttp.h>
#include <stdlib.h>

#include "base/text.h"

enum { BAD_REQUEST = 400, INTERNAL = 500, NOT_IMPLEMENTED = 501, VERSION_NOT_SUPPORTED = 505 };

static bool is_alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool is_token_char(unsigned char c)
{
	return is_alnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

bool http1_is_token(sio_slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_token_char((unsigned char)s.p[i]))
			return false;
	return s.n > 0;
}

/* Split s at the first c.  Without one, false. */
static bool cut(sio_slice s, char c, sio_slice *before, sio_slice *behind)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

	if (!at)
		return false;
	*before = sio_bytes(s.p, (size_t)(at - s.p));
	*behind = sio_bytes(at + 1, s.n - before->n - 1);
	return true;
}

/* ---- lines ---------------------------------------------------------------- */

static bool split_request_line(sio_slice line, struct http1_request *req, sio_slice *version)
{
	sio_slice rest;

	return cut(line, ' ', &req->method, &rest) && cut(rest, ' ', &req->target, version);
}

/* origin-form, or "*" for OPTIONS; visible ASCII without a fragment. */
static bool target_ok(sio_slice method, sio_slice target)
{
	for (size_t i = 0; i < target.n; i++)
		if (target.p[i] <= ' ' || target.p[i] > '~' || target.p[i] == '#')
			return false;
	if (sio_slice_eq(target, SIO_LIT("*")))
		return sio_slice_eq(method, SIO_LIT("OPTIONS"));
	return target.n > 0 && target.p[0] == '/';
}

int http1_check_request_line(sio_slice line)
{
	struct http1_request req;
	sio_slice version;

	if (!split_request_line(line, &req, &version) || !http1_is_token(req.method))
		return BAD_REQUEST;
	if (!sio_slice_eq(version, SIO_LIT("HTTP/1.1")) && !sio_slice_eq(version, SIO_LIT("HTTP/1.0"))) {
		bool is_http = version.n >= 5 && memcmp(version.p, "HTTP/", 5) == 0;
		return is_http ? VERSION_NOT_SUPPORTED : BAD_REQUEST;
	}
	return target_ok(req.method, req.target) ? 0 : BAD_REQUEST;
}

/* A blank at the front (a folded line) or before the colon is no token. */
int http1_check_header_line(sio_slice line)
{
	sio_slice name, value;

	return cut(line, ':', &name, &value) && http1_is_token(name) ? 0 : BAD_REQUEST;
}

/* Trailers are dropped; what would frame or route the message is not even let
 * pass by (RFC 9110 6.5.1). */
int http1_check_trailer_line(sio_slice line)
{
	static const char *const forbidden[] = {
		"content-length", "transfer-encoding", "host", "connection", "upgrade", "te", "trailer",
		"expect", "authorization", "cookie", "content-type", "content-encoding", "content-range",
	};
	sio_slice name, value;

	if (http1_check_header_line(line) || !cut(line, ':', &name, &value))
		return BAD_REQUEST;
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
		if (text_is(name, forbidden[i]))
			return BAD_REQUEST;
	return 0;
}

/* ---- values --------------------------------------------------------------- */

static bool port_ok(sio_slice port)
{
	for (size_t i = 0; i < port.n; i++)
		if (port.p[i] < '0' || port.p[i] > '9')
			return false;
	return port.n <= 5;
}

/* host[:port] of RFC 3986: a registered name or an address, IPv6 in brackets. */
static bool host_ok(sio_slice host)
{
	bool is_bracketed = host.n > 0 && host.p[0] == '[';
	const char *more = is_bracketed ? ":." : "-._~%!$&'()*+,;=";
	size_t i = is_bracketed;

	while (i < host.n && (is_alnum((unsigned char)host.p[i]) || (host.p[i] && strchr(more, host.p[i]))))
		i++;
	if (i == (size_t)is_bracketed)
		return false;
	if (is_bracketed && (i == host.n || host.p[i++] != ']'))
		return false;
	if (i == host.n)
		return true;
	return host.p[i] == ':' && port_ok(sio_bytes(host.p + i + 1, host.n - i - 1));
}

/* Decimal digits and nothing else; few enough that they cannot overflow. */
static bool length_ok(sio_slice value, uint64_t *length)
{
	enum { DIGITS_MAX = 19 };

	*length = 0;
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			return false;
		*length = *length * 10 + (uint64_t)(value.p[i] - '0');
		if (i >= DIGITS_MAX)
			return false;
	}
	return value.n > 0;
}

/* ---- the head as a whole -------------------------------------------------- */

struct facts {
	bool is_1_1;
	unsigned hosts, lengths, codings;
	bool is_close, is_keep_alive, is_upgrade;  /* tokens of Connection */
	bool has_upgrade;
};

/* What one header says.  false: it says it wrongly. */
static bool note_header(const struct http1_header *h, struct http1_request *req, struct facts *facts)
{
	if (text_is(h->name, "host")) {
		facts->hosts++;
		return host_ok(h->value);
	}
	if (text_is(h->name, "content-length")) {
		facts->lengths++;
		return length_ok(h->value, &req->length);
	}
	if (text_is(h->name, "transfer-encoding")) {
		facts->codings++;
		return text_is(h->value, "chunked");
	}
	if (text_is(h->name, "connection")) {
		facts->is_close |= http1_has_token(h->value, "close");
		facts->is_keep_alive |= http1_has_token(h->value, "keep-alive");
		facts->is_upgrade |= http1_has_token(h->value, "upgrade");
	}
	if (text_is(h->name, "upgrade"))
		facts->has_upgrade = true;
	if (text_is(h->name, "expect"))
		req->wants_continue = text_is(h->value, "100-continue");
	return true;
}

static bool conclude(struct http1_request *req, const struct facts *facts)
{
	if (facts->hosts > 1 || (facts->is_1_1 && facts->hosts == 0))
		return false;
	if (facts->lengths + facts->codings > 1 || (facts->codings && !facts->is_1_1))
		return false;
	req->has_length = facts->lengths == 1;
	req->has_body = facts->codings || req->length > 0;
	/* RFC 9112 9.3; Upgrade and Expect of a 1.0 client mean nothing. */
	req->is_keep_alive = !facts->is_close && (facts->is_1_1 || facts->is_keep_alive);
	req->is_upgrade = facts->is_1_1 && facts->is_upgrade && facts->has_upgrade;
	req->wants_continue = req->wants_continue && facts->is_1_1;
	return true;
}

/* ---- llhttp's opinion ----------------------------------------------------- */

static int pause_parser(llhttp_t *parser)
{
	(void)parser;
	return HPE_PAUSED;
}

static int refusal(llhttp_errno_t err)
{
	return err == HPE_INVALID_METHOD ? NOT_IMPLEMENTED : BAD_REQUEST;
}

static int second_opinion(const char *head, size_t n, const struct http1_request *req, const struct facts *facts)
{
	const llhttp_settings_t settings = { .on_headers_complete = pause_parser };
	llhttp_t parser;
	llhttp_errno_t err;
	sio_slice method;

	/* It insists on the authority-form here; the caller wants to say 405. */
	if (sio_slice_eq(req->method, SIO_LIT("CONNECT")))
		return 0;
	llhttp_init(&parser, HTTP_REQUEST, &settings);
	err = llhttp_execute(&parser, head, n);
	if (err != HPE_PAUSED)
		return refusal(err);
	method = sio_str(llhttp_method_name((llhttp_method_t)parser.method));
	if (!sio_slice_eq(method, req->method) || parser.http_major != 1 || parser.http_minor != facts->is_1_1)
		return BAD_REQUEST;
	if (!(parser.flags & F_CHUNKED) != !facts->codings || !(parser.flags & F_CONTENT_LENGTH) != !facts->lengths)
		return BAD_REQUEST;
	return facts->lengths && parser.content_length != req->length ? BAD_REQUEST : 0;
}

/* ---- putting it together -------------------------------------------------- */

/* The next line of head, without its CRLF; *rest moves behind it. */
static sio_slice next_line(sio_slice *rest)
{
	sio_slice line = { 0 }, behind = { 0 };

	if (cut(*rest, '\n', &line, &behind))
		line.n--;
	*rest = behind;
	return line;
}

/* s is part of head. */
static void lower(sio_slice s, char *head)
{
	char *p = head + (s.p - head);

	for (size_t i = 0; i < s.n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] | 0x20);
}

static void split_target(struct http1_request *req)
{
	if (!cut(req->target, '?', &req->path, &req->query)) {
		req->path = req->target;
		req->query = sio_bytes(req->target.p + req->target.n, 0);
	}
}

int http1_parse_head(char *head, size_t n, size_t headers_n, struct http1_request *req, bool *is_chunked)
{
	struct facts facts = { 0 };
	sio_slice rest = sio_bytes(head, n), version;

	if (!split_request_line(next_line(&rest), req, &version))
		return BAD_REQUEST;
	split_target(req);
	facts.is_1_1 = sio_slice_eq(version, SIO_LIT("HTTP/1.1"));
	req->headers = malloc((headers_n ? headers_n : 1) * sizeof(*req->headers));
	if (!req->headers)
		return INTERNAL;
	for (; req->headers_n < headers_n; req->headers_n++) {
		struct http1_header *h = &req->headers[req->headers_n];
		if (!cut(next_line(&rest), ':', &h->name, &h->value))
			return BAD_REQUEST;
		lower(h->name, head);
		h->value = text_trim(h->value);
		if (!note_header(h, req, &facts))
			return BAD_REQUEST;
	}
	if (!conclude(req, &facts))
		return BAD_REQUEST;
	*is_chunked = facts.codings > 0;
	return second_opinion(head, n, req, &facts);
}
