/* http1.h -- HTTP/1.1 requests in, answer heads out (RFC 9110, 9112).
 *
 * Wraps llhttp and adds what it lets pass: one meaning only or a refusal.  Bare
 * CR or LF, obs-fold, Content-Length with Transfer-Encoding, repeated or malformed
 * Content-Length, any Transfer-Encoding but one "chunked", a missing or repeated
 * Host, HTTP versions other than 1.0 and 1.1: all 400 (505 for versions).  Only
 * http1_head.c knows llhttp.  Knows no socket and no clock.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef CODEC_HTTP1_H
#define CODEC_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sio/error.h>
#include <sio/slice.h>

#include "base/buf.h"

struct http1_limits {
	size_t head_bytes;   /* request line and headers; past it 431 */
	size_t headers_n;    /* past it 431 */
	size_t chunk_extra;  /* chunk heads, extensions and trailers of a body; past it 413 */
};

struct http1_header {
	sio_slice name;      /* lower-cased */
	sio_slice value;     /* outer blanks trimmed */
};

/* One request.  The slices point into head_bytes and live until the next
 * http1_next or http1_free. */
struct http1_request {
	sio_slice method;
	sio_slice target;    /* as sent: origin-form only ("/..."), or "*" for OPTIONS */
	sio_slice path;      /* target up to the "?" */
	sio_slice query;     /* behind the "?" */
	struct http1_header *headers;
	size_t headers_n;
	bool is_keep_alive;  /* the connection may serve another request */
	bool is_upgrade;     /* Connection: upgrade and an Upgrade header */
	bool has_body;
	bool wants_continue; /* Expect: 100-continue, of a 1.1 client */
	bool has_length;     /* Content-Length was given (else chunked or none) */
	uint64_t length;
	struct buf body;
};

enum http1_what {
	HTTP1_MORE,  /* all bytes taken, the request is not complete */
	HTTP1_HEAD,  /* the head is complete: look at it, set body limit, go on reading */
	HTTP1_DONE,  /* the request is complete; bytes behind it are not consumed */
	HTTP1_BAD,   /* refuse: answer with *status and close */
};

struct http1_reader;
struct http1_reader *http1_new(const struct http1_limits *limits); /* NULL: out of memory */
void http1_free(struct http1_reader *r);                           /* NULL allowed */

/* Read up to n bytes; *used tells how many were taken.  HTTP1_HEAD is returned once
 * a request, before any byte of its body.  After HTTP1_HEAD of an upgrade request
 * (is_upgrade) the bytes behind the head belong to the new protocol.  On HTTP1_BAD
 * *status is 400, 413, 431, 500 (out of memory), 501 (unknown method) or 505, and
 * stays so: the reader is of no more use. */
enum http1_what http1_read(struct http1_reader *r, const char *p, size_t n, size_t *used, int *status);

/* After HTTP1_HEAD: the body may have at most this many bytes (past it HTTP1_BAD,
 * 413).  Without it: none. */
void http1_set_body_limit(struct http1_reader *r, size_t bytes);

struct http1_request *http1_request(struct http1_reader *r);
void http1_next(struct http1_reader *r);                /* after HTTP1_DONE: get ready for another */
bool http1_is_idle(const struct http1_reader *r);       /* no byte of a request was read yet */

/* A header's value by lower-case name; the first when repeated; empty when absent. */
sio_slice http1_header(const struct http1_request *req, const char *name);

/* The piece of *rest in front of the next c, blanks around it cut off; *rest moves behind
 * it, and its p is NULL when that was the last. */
sio_slice http1_piece(sio_slice *rest, char c);
/* Is s what RFC 9110 5.6.2 calls a token, as every header name must be? */
bool http1_is_token(sio_slice s);

/* Does the comma-separated list value hold token (any case)? */
bool http1_has_token(sio_slice value, const char *token);

/* Percent-decode s into out[0..cap) with a final NUL ("+" stays unless is_form).
 * Returns the length, SIO_ERR_INVAL (bad escape), SIO_ERR_LIMIT. */
long http1_unescape(sio_slice s, bool is_form, char *out, size_t cap);

/* The last value of key in a query string, undecoded.  Returns false when absent. */
bool http1_query_get(sio_slice query, const char *key, sio_slice *value);

/* The i-th pair of a query, as sent.  false: there is none. */
bool http1_query_at(sio_slice query, size_t i, sio_slice *key, sio_slice *value);

const char *http1_reason(int status);  /* "Not Found"; "Unknown" for others */

/* Append a status line to out: "HTTP/1.1 404 Not Found\r\n". */
void http1_status_line(struct buf *out, int status);

#endif
