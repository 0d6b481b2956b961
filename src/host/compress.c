/* compress.c -- which HTTP answers are compressed: those that are text, large enough, and
 * wanted so by the client.
 *
 * Knows the headers of the answer; the codings themselves are codec/coding.h and
 * codec/deflate.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <strings.h>

#include "codec/coding.h"
#include "codec/deflate.h"
#include "host/host.h"

/* The value of a header among lines that end in CRLF; empty when it is not there. */
static sio_slice line_value(sio_slice lines, const char *name)
{
	size_t name_n = strlen(name);

	while (lines.n > 0) {
		const char *end = memchr(lines.p, '\n', lines.n);
		size_t n = end ? (size_t)(end - lines.p) + 1 : lines.n;
		if (n > name_n + 3 && lines.p[name_n] == ':' && strncasecmp(lines.p, name, name_n) == 0)
			return sio_bytes(lines.p + name_n + 2, n - name_n - 4);
		lines.p += n;
		lines.n -= n;
	}
	return sio_bytes("", 0);
}

/* The bytes are others now: an entity tag that promised the same ones promises the same
 * meaning alone (RFC 9110 8.8.1). */
static void weaken_tag(struct buf *headers)
{
	sio_slice tag = line_value(buf_peek(headers), "etag");
	size_t at = tag.n ? (size_t)(tag.p - headers->p) : 0;

	if (tag.n == 0 || tag.p[0] != '"' || !buf_reserve(headers, 2))
		return;
	memmove(headers->p + at + 2, headers->p + at, headers->n - at);
	memcpy(headers->p + at, "W/", 2);
	headers->n += 2;
}

sio_slice compress_body(struct sio_server *server, const struct http1_request *req, sio_slice body, struct buf *headers)
{
	struct buf *out = deflater_scratch(server->deflater);
	enum coding coding = coding_pick(req);

	buf_str(headers, "Vary: Accept-Encoding\r\n");
	if (coding == CODING_NONE)
		return body;
	buf_clear(out);
	if (deflate_body(server->deflater, coding == CODING_GZIP ? DEFLATE_GZIP : DEFLATE_ZLIB, body, out) < 0)
		return body;
	buf_printf(headers, "Content-Encoding: %s\r\n", coding_name(coding));
	weaken_tag(headers);
	server->http_compress.answers++;
	server->http_compress.in_bytes += body.n;
	server->http_compress.out_bytes += out->n;
	return buf_peek(out);
}

sio_slice compress_answer(struct sio_server *server, const struct http1_request *req, int status, const char *type,
			  sio_slice body, struct buf *headers)
{
	sio_slice lines = buf_peek(headers);

	if (!server->http_compression)
		return body;
	if (status == 304) /* it stands for an answer that may have been compressed */
		buf_str(headers, "Vary: Accept-Encoding\r\n");
	if (status < 200 || status == 204 || status == 206 || status == 304 || !type || !coding_is_text(type) ||
	    body.n < server->http_compression_min)
		return body;
	if (line_value(lines, "content-encoding").n > 0 || line_value(lines, "content-range").n > 0 ||
	    http1_has_token(line_value(lines, "cache-control"), "no-transform"))
		return body;
	return compress_body(server, req, body, headers);
}
