/* http1.c -- see http1.h.  Takes a request off the byte stream.
 *
 * The head is collected line by line and judged in http1_head.c.  The body is
 * framed here, because llhttp takes chunk lines that we refuse: the lines in
 * between the data of chunks are read byte by byte in a small state machine, the
 * data itself in runs.  Everything costs linear time, and memory for what came.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "codec/http1.h"

#include <stdlib.h>

#include "base/text.h"
#include "codec/http1_head.h"

enum { BAD_REQUEST = 400, TOO_LARGE = 413, HEAD_TOO_LARGE = 431, INTERNAL = 500 };
enum { CHUNK_DIGITS_MAX = 16 };
enum { KEEP_BYTES = 4096 };  /* a larger buffer is not kept for the next request */

/*          head --+--> length ----------------------------------------+--> done
 *                 |                                                   |
 *                 +--> size -> [extension] -> size_lf -+-> trailer ---+
 *                 |     ^                              |              (anything) -> bad
 *                 |     +-- data_lf <- data_cr <- data-+
 *                 +--> done (no body)                                               */
enum state { HEAD, LENGTH, SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER, DONE, BAD };

enum quote { OUTSIDE, INSIDE, ESCAPED };  /* of a quoted string in a chunk's extension */

struct http1_reader {
	struct http1_limits limits;
	enum state state;
	int status;            /* why BAD */
	struct buf head;       /* the head so far */
	size_t line_at;        /* where the line begins that is being read */
	size_t headers_n;      /* complete header lines */
	bool has_skipped;      /* one empty line before the request was passed over */
	size_t body_limit;
	uint64_t left;         /* bytes due of the body or chunk; a size while it is read */
	unsigned digits_n;     /* of that size */
	enum quote quote;
	size_t extra;          /* bytes of a chunked body that are not data */
	struct buf line;       /* a trailer */
	struct http1_request req;
};

struct input {
	const char *p;
	size_t n;
};

static void consume(struct input *in, size_t n)
{
	if (n > 0)
		in->p += n;
	in->n -= n;
}

struct http1_reader *http1_new(const struct http1_limits *limits)
{
	struct http1_reader *r = calloc(1, sizeof(*r));

	if (r)
		r->limits = *limits;
	return r;
}

void http1_free(struct http1_reader *r)
{
	if (!r)
		return;
	buf_fini(&r->head);
	buf_fini(&r->line);
	buf_fini(&r->req.body);
	free(r->req.headers);
	free(r);
}

static void recycle(struct buf *b)
{
	if (b->cap > KEEP_BYTES)
		buf_fini(b);
	else
		buf_clear(b);
}

void http1_next(struct http1_reader *r)
{
	struct http1_reader fresh = { .limits = r->limits, .head = r->head, .line = r->line };

	fresh.req.body = r->req.body;
	recycle(&fresh.head);
	recycle(&fresh.line);
	recycle(&fresh.req.body);
	free(r->req.headers);
	*r = fresh;
}

bool http1_is_idle(const struct http1_reader *r)
{
	return r->state == HEAD && r->head.n == 0;
}

struct http1_request *http1_request(struct http1_reader *r)
{
	return &r->req;
}

void http1_set_body_limit(struct http1_reader *r, size_t bytes)
{
	r->body_limit = bytes;
}

/* ---- lines ---------------------------------------------------------------- */

enum line { LINE_MORE, LINE_DONE, LINE_BAD, LINE_LIMIT, LINE_NOMEM };

/* May stand in a line: all but control bytes, the tab excepted.  Bytes above
 * ASCII are opaque (RFC 9110 5.5); names and targets are checked further. */
static bool is_text(char c)
{
	return ((unsigned char)c >= 0x20 && c != 0x7f) || c == '\t';
}

/* Is the next byte of a line allowed, given whether a CR came before it?  CR and
 * LF stand only together. */
static bool byte_ok(char c, bool is_behind_cr)
{
	return is_behind_cr ? c == '\n' : c == '\r' || is_text(c);
}

/* Append bytes to `to` until a line is complete; `to` may have max bytes. */
static enum line take_line(struct buf *to, struct input *in, size_t max)
{
	bool is_behind_cr = to->n > 0 && to->p[to->n - 1] == '\r', is_end = false;
	size_t room = max - to->n, n = in->n < room ? in->n : room, i = 0;

	while (i < n && !is_end) {
		char c = in->p[i++];
		if (!byte_ok(c, is_behind_cr))
			return LINE_BAD;
		is_end = is_behind_cr;
		is_behind_cr = c == '\r';
	}
	buf_put(to, in->p, i);
	consume(in, i);
	if (to->failed)
		return LINE_NOMEM;
	if (is_end)
		return LINE_DONE;
	return in->n > 0 ? LINE_LIMIT : LINE_MORE;
}

/* The status of a line that is not to be had; limit is the one for its length. */
static int line_status(enum line line, int limit)
{
	return line == LINE_BAD ? BAD_REQUEST : line == LINE_LIMIT ? limit : line == LINE_NOMEM ? INTERNAL : 0;
}

/* ---- head ----------------------------------------------------------------- */

static int end_head(struct http1_reader *r)
{
	bool is_chunked = false;
	int status = http1_parse_head(r->head.p, r->head.n, r->headers_n, &r->req, &is_chunked);

	r->state = is_chunked ? SIZE : r->req.has_body ? LENGTH : DONE;
	r->left = is_chunked ? 0 : r->req.length;
	return status;
}

/* A line of the head is complete.  *is_end: it was the empty one. */
static int head_line(struct http1_reader *r, bool *is_end)
{
	bool is_first = r->line_at == 0;
	sio_slice line = sio_bytes(r->head.p + r->line_at, r->head.n - r->line_at - 2);

	*is_end = false;
	if (line.n == 0 && is_first) {
		/* Old clients send an empty line behind a body (RFC 9112 2.2). */
		if (r->has_skipped)
			return BAD_REQUEST;
		r->has_skipped = true;
		buf_clear(&r->head);
		return 0;
	}
	r->line_at = r->head.n;
	if (line.n == 0) {
		*is_end = true;
		return end_head(r);
	}
	if (is_first)
		return http1_check_request_line(line);
	if (r->headers_n++ == r->limits.headers_n)
		return HEAD_TOO_LARGE;
	return http1_check_header_line(line);
}

static int read_head(struct http1_reader *r, struct input *in, enum http1_what *what)
{
	bool is_end = false;
	int status = 0;

	while (!is_end && status == 0) {
		enum line line = take_line(&r->head, in, r->limits.head_bytes);
		if (line != LINE_DONE)
			return line_status(line, HEAD_TOO_LARGE);
		status = head_line(r, &is_end);
	}
	*what = HTTP1_HEAD;
	return status;
}

/* ---- body ----------------------------------------------------------------- */

/* The next bytes of data, up to r->left. */
static int take_data(struct http1_reader *r, struct input *in)
{
	size_t n = in->n < r->left ? in->n : (size_t)r->left;

	buf_put(&r->req.body, in->p, n);
	consume(in, n);
	r->left -= n;
	return r->req.body.failed ? INTERNAL : 0;
}

static int read_length(struct http1_reader *r, struct input *in)
{
	int status;

	if (r->req.length > r->body_limit)
		return TOO_LARGE;
	status = take_data(r, in);
	if (r->left == 0)
		r->state = DONE;
	return status;
}

static int size_byte(struct http1_reader *r, char c)
{
	int digit = text_hex(c);

	if (digit >= 0) {
		r->left = r->left << 4 | (uint64_t)digit;
		return r->digits_n++ < CHUNK_DIGITS_MAX ? 0 : BAD_REQUEST;
	}
	if (r->digits_n == 0 || (c != '\r' && c != ';'))
		return BAD_REQUEST;
	r->state = c == ';' ? EXTENSION : SIZE_LF;
	return 0;
}

/* Extensions mean nothing to us; only where they end matters, and that a quoted
 * string is not cut by a line end that others would take for part of it. */
static int extension_byte(struct http1_reader *r, char c)
{
	if (c == '\r') {
		r->state = SIZE_LF;
		return r->quote == OUTSIDE ? 0 : BAD_REQUEST;
	}
	if (!is_text(c))
		return BAD_REQUEST;
	if (r->quote == ESCAPED)
		r->quote = INSIDE;
	else if (c == '"')
		r->quote = r->quote == INSIDE ? OUTSIDE : INSIDE;
	else if (c == '\\' && r->quote == INSIDE)
		r->quote = ESCAPED;
	return 0;
}

static int start_chunk(struct http1_reader *r)
{
	r->state = r->left > 0 ? DATA : TRAILER;
	return r->req.body.n > r->body_limit || r->left > r->body_limit - r->req.body.n ? TOO_LARGE : 0;
}

/* A byte between the data of two chunks. */
static int chunk_byte(struct http1_reader *r, char c)
{
	if (r->extra++ == r->limits.chunk_extra)
		return TOO_LARGE;
	switch (r->state) {
	case SIZE:
		return size_byte(r, c);
	case EXTENSION:
		return extension_byte(r, c);
	case SIZE_LF:
		return c == '\n' ? start_chunk(r) : BAD_REQUEST;
	case DATA_CR:
		r->state = DATA_LF;
		return c == '\r' ? 0 : BAD_REQUEST;
	default: /* DATA_LF */
		r->state = SIZE;
		r->digits_n = 0;
		return c == '\n' ? 0 : BAD_REQUEST;
	}
}

static int read_chunk_data(struct http1_reader *r, struct input *in)
{
	int status = take_data(r, in);

	if (r->left == 0)
		r->state = DATA_CR;
	return status;
}

static int read_trailer(struct http1_reader *r, struct input *in)
{
	enum line line = take_line(&r->line, in, r->limits.chunk_extra - r->extra);
	sio_slice text;

	if (line != LINE_DONE)
		return line_status(line, TOO_LARGE);
	text = sio_bytes(r->line.p, r->line.n - 2);
	r->extra += r->line.n;
	if (text.n == 0) {
		r->state = DONE;
		return 0;
	}
	buf_clear(&r->line);
	return http1_check_trailer_line(text);
}

static int read_body_part(struct http1_reader *r, struct input *in)
{
	char c;

	switch (r->state) {
	case LENGTH:
		return read_length(r, in);
	case DATA:
		return read_chunk_data(r, in);
	case TRAILER:
		return read_trailer(r, in);
	default:
		c = *in->p;
		consume(in, 1);
		return chunk_byte(r, c);
	}
}

static int read_body(struct http1_reader *r, struct input *in, enum http1_what *what)
{
	int status = 0;

	/* A length that is too large is told without waiting for its first byte. */
	if (r->state == LENGTH)
		status = read_length(r, in);
	while (in->n > 0 && r->state != DONE && status == 0)
		status = read_body_part(r, in);
	if (r->state == DONE)
		*what = HTTP1_DONE;
	return status;
}

enum http1_what http1_read(struct http1_reader *r, const char *p, size_t n, size_t *used, int *status)
{
	struct input in = { p, n };
	enum http1_what what = HTTP1_MORE;

	if (r->state == HEAD)
		r->status = read_head(r, &in, &what);
	else if (r->state != BAD)
		r->status = read_body(r, &in, &what);
	*used = n - in.n;
	if (r->status == 0)
		return what;
	r->state = BAD;
	*status = r->status;
	return HTTP1_BAD;
}
