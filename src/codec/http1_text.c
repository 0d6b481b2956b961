/* http1_text.c -- reading out of a parsed request, and the words of an answer's
 * first line.  See http1.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <limits.h>

#include "base/text.h"
#include "codec/http1.h"

sio_slice http1_header(const struct http1_request *req, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < req->headers_n; i++)
		if (req->headers[i].name.n == n && memcmp(req->headers[i].name.p, name, n) == 0)
			return req->headers[i].value;
	return (sio_slice){ 0 };
}

/* Cut *rest at the first c; the piece before it is returned, all when there is
 * none (then *rest is NULL). */
static sio_slice next_piece(sio_slice *rest, char c)
{
	const char *at = rest->n ? memchr(rest->p, c, rest->n) : NULL;
	sio_slice piece = *rest;

	if (at) {
		piece.n = (size_t)(at - rest->p);
		*rest = sio_bytes(at + 1, rest->n - piece.n - 1);
	} else {
		*rest = (sio_slice){ 0 };
	}
	return piece;
}

sio_slice http1_piece(sio_slice *rest, char c)
{
	return text_trim(next_piece(rest, c));
}

bool http1_has_token(sio_slice value, const char *token)
{
	while (value.p)
		if (text_is(http1_piece(&value, ','), token))
			return *token != '\0';
	return false;
}

/* The byte that *at stands for; *at moves behind it.  -1: a bad escape. */
static int take_byte(const char **at, const char *end, bool is_form)
{
	const char *p = *at;
	int high, low;

	if (*p != '%') {
		++*at;
		return is_form && *p == '+' ? ' ' : (unsigned char)*p;
	}
	if (end - p < 3)
		return -1;
	high = text_hex(p[1]);
	low = text_hex(p[2]);
	*at = p + 3;
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

long http1_unescape(sio_slice s, bool is_form, char *out, size_t cap)
{
	const char *p = s.n ? s.p : "", *end = p + s.n;
	size_t n = 0;

	while (p < end) {
		int c = take_byte(&p, end, is_form);
		if (c < 0)
			return SIO_ERR_INVAL;
		if (n >= cap)
			return SIO_ERR_LIMIT;
		out[n++] = (char)c;
	}
	if (n >= cap || n > LONG_MAX)
		return SIO_ERR_LIMIT;
	out[n] = '\0';
	return (long)n;
}

/* A key may be written with escapes, as anything else in a query. */
static bool key_is(sio_slice raw, const char *key)
{
	const char *p = raw.n ? raw.p : "", *end = p + raw.n;

	while (p < end && *key)
		if (take_byte(&p, end, true) != (unsigned char)*key++)
			return false;
	return p == end && !*key;
}

bool http1_query_get(sio_slice query, const char *key, sio_slice *value)
{
	bool is_found = false;

	while (query.p) {
		sio_slice pair = next_piece(&query, '&');
		if (pair.n > 0 && key_is(next_piece(&pair, '='), key)) {
			*value = pair;
			is_found = true;
		}
	}
	return is_found;
}

const char *http1_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{ 100, "Continue" },               { 101, "Switching Protocols" },
		{ 200, "OK" },                     { 201, "Created" },
		{ 202, "Accepted" },               { 204, "No Content" },
		{ 206, "Partial Content" },        { 301, "Moved Permanently" },
		{ 302, "Found" },                  { 303, "See Other" },
		{ 304, "Not Modified" },           { 307, "Temporary Redirect" },
		{ 308, "Permanent Redirect" },     { 400, "Bad Request" },
		{ 401, "Unauthorized" },           { 403, "Forbidden" },
		{ 404, "Not Found" },              { 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },         { 408, "Request Timeout" },
		{ 409, "Conflict" },               { 410, "Gone" },
		{ 411, "Length Required" },        { 412, "Precondition Failed" },
		{ 413, "Content Too Large" },      { 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" }, { 417, "Expectation Failed" },
		{ 421, "Misdirected Request" },    { 422, "Unprocessable Content" },
		{ 426, "Upgrade Required" },       { 428, "Precondition Required" },
		{ 429, "Too Many Requests" },      { 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },  { 501, "Not Implemented" },
		{ 502, "Bad Gateway" },            { 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },        { 505, "HTTP Version Not Supported" },
		{ 507, "Insufficient Storage" },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

void http1_status_line(struct buf *out, int status)
{
	buf_str(out, "HTTP/1.1 ");
	buf_u64(out, (uint64_t)status);
	buf_byte(out, ' ');
	buf_str(out, http1_reason(status));
	buf_put(out, "\r\n", 2);
}

/* Whoever asks for one pair after the other has a query read again for each of them, and a
 * hostile one holds thousands: so whole blocks are only counted, in a loop that compilers
 * make wide. */
enum { QUERY_BLOCK = 128 }; /* the pairs that begin in one fit into a byte */

/* How many pairs begin in the block at p, in front of which is a byte. */
static uint8_t pairs_begun(const char *p)
{
	uint8_t n = 0;

	for (int k = 0; k < QUERY_BLOCK; k++)
		n = (uint8_t)(n + ((p[k] != '&') & (p[k - 1] == '&')));
	return n;
}

bool http1_query_at(sio_slice query, size_t i, sio_slice *key, sio_slice *value)
{
	const char *p = query.p, *end = query.n ? p + query.n : p;
	sio_slice pair;

	/* From here on a byte stands in front of p, unless the pair at the very beginning is wanted. */
	if (query.n > 0 && (*p == '&' || i > 0))
		i -= *p++ != '&';
	while (end - p >= QUERY_BLOCK && p > query.p) {
		uint8_t n = pairs_begun(p);
		if (n > i)
			break;
		i -= n;
		p += QUERY_BLOCK;
	}
	for (; p < end; p++)
		if (*p != '&' && (p == query.p || p[-1] == '&') && i-- == 0) {
			query = sio_bytes(p, (size_t)(end - p));
			pair = next_piece(&query, '&');
			*key = next_piece(&pair, '=');
			*value = pair;
			return true;
		}
	return false;
}
