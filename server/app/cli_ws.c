/* cli_ws.c -- see cli_ws.h: the handshake, frames out with a mask, frames in without.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "app/cli_ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <sodium.h>

#include "base/random.h"
#include "base/sha.h"

enum {
	OP_TEXT = 1, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10,
	FIN = 0x80, MASKED = 0x80, OP_BITS = 0x0f, LEN_BITS = 0x7f,
	KEY_BYTES = 16,
	BASE64_MAX = 32,         /* of a key or a SHA-1, with its NUL */
	HEAD_MAX = 64 * 1024,
	REFUSAL_WAIT_MS = 1000,  /* for the rest of an answer that says no */
	SEND_WAIT_MS = 20000,
};

struct cli_ws {
	struct cli_pipe *pipe;
	struct buf in;       /* bytes that have come */
	size_t used;         /* of them, frames that have been handed out */
	struct buf message;  /* fragments so far, or the message that was handed out */
	bool is_whole;       /* message was handed out */
	unsigned close_code;
};

/* ---- the handshake --------------------------------------------------------------- */

static void to_base64(const unsigned char *p, size_t n, char out[BASE64_MAX])
{
	sodium_bin2base64(out, BASE64_MAX, p, n, sodium_base64_VARIANT_ORIGINAL);
}

/* What proves that the other side has read the key (RFC 6455 4.2.2). */
static bool expect_of(const char *key, char out[BASE64_MAX])
{
	unsigned char hash[SHA1_LEN];
	char text[128];
	int n = snprintf(text, sizeof(text), "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);

	if (!sha1(text, (size_t)n, hash))
		return false;
	to_base64(hash, sizeof(hash), out);
	return true;
}

/* The request: host and the path before x->path are those of the target. */
static void put_request(struct buf *b, const struct cli_exchange *x, const char *key)
{
	const char *host = strstr(x->target->url, "://") + 3;
	const char *path = strchrnul(host, '/'), *at = memchr(host, '@', (size_t)(path - host));

	if (at)
		host = at + 1;
	buf_printf(b, "GET %s%s HTTP/1.1\r\nHost: %.*s\r\n", path, x->path, (int)(path - host), host);
	buf_printf(b, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n", key);
	for (const char *const *h = x->headers; h && *h; h++)
		buf_printf(b, "%s\r\n", *h);
	buf_str(b, "\r\n");
}

/* Read up to the end of a head; where its body or the frames begin, or 0. */
static size_t read_head(struct cli_ws *ws, struct cli_exchange *x, int64_t until)
{
	const char *end = NULL;

	while (!end && x->trouble == CLI_FINE) {
		int64_t left = until - cli_now_ms();

		x->trouble = left > 0 ? cli_pipe_read(ws->pipe, &ws->in, (long)left) : CLI_TOO_LATE;
		end = ws->in.n ? memmem(ws->in.p, ws->in.n, "\r\n\r\n", 4) : NULL;
		if (!end && ws->in.n > HEAD_MAX)
			x->trouble = CLI_OTHER;
	}
	if (end && ws->in.n > 12 && memcmp(ws->in.p, "HTTP/1.", 7) == 0) {
		x->trouble = CLI_FINE;
		x->status = strtol(ws->in.p + 9, NULL, 10);
	}
	if (x->status >= 100 && x->status <= 999)
		return (size_t)(end - ws->in.p) + 4;
	x->status = 0;
	snprintf(x->error, sizeof(x->error), "%s",
		 x->trouble == CLI_TOO_LATE ? "no answer came in time" :
		 ws->in.n ? "the answer is no HTTP" : "the connection was closed without an answer");
	if (x->trouble == CLI_FINE)
		x->trouble = CLI_OTHER;
	return 0;
}

/* The body of an answer that says no, as much as comes of it. */
static void read_refusal(struct cli_ws *ws, struct cli_exchange *x, size_t head_n)
{
	size_t want = (size_t)strtoul(cli_header(&x->head, "Content-Length").n ? cli_header(&x->head, "Content-Length").p : "0", NULL, 10);

	while (ws->in.n < head_n + want && ws->in.n < HEAD_MAX)
		if (cli_pipe_read(ws->pipe, &ws->in, REFUSAL_WAIT_MS) != CLI_FINE)
			break;
	buf_put(&x->body, ws->in.p + head_n, ws->in.n - head_n);
}

static bool shake(struct cli_ws *ws, struct cli_exchange *x)
{
	unsigned char bytes[KEY_BYTES];
	char key[BASE64_MAX], want[BASE64_MAX];
	struct buf request = { 0 };
	int64_t until = cli_now_ms() + x->wait_ms;
	const char *line;
	size_t head_n;
	sio_slice got;

	random_bytes(bytes, sizeof(bytes));
	to_base64(bytes, sizeof(bytes), key);
	put_request(&request, x, key);
	if (request.failed || !expect_of(key, want) || !cli_pipe_send(ws->pipe, buf_peek(&request), x->wait_ms))
		x->trouble = CLI_CUT;
	buf_fini(&request);
	head_n = read_head(ws, x, until);
	if (!head_n)
		return false;
	line = memchr(ws->in.p, '\n', head_n);
	buf_put(&x->head, line + 1, head_n - (size_t)(line + 1 - ws->in.p));
	if (x->status != 101) {
		read_refusal(ws, x, head_n);
		return false;
	}
	got = cli_header(&x->head, "Sec-WebSocket-Accept");
	if (!sio_slice_eq(got, sio_str(want))) {
		x->trouble = CLI_OTHER;
		snprintf(x->error, sizeof(x->error), "a 101 whose Sec-WebSocket-Accept does not belong to the request");
		return false;
	}
	ws->used = head_n;
	return true;
}

struct cli_ws *cli_ws_open(struct cli_exchange *x)
{
	struct cli_ws *ws = calloc(1, sizeof(*ws));
	int64_t begun = cli_now_ms();
	bool is_open = false;

	x->status = 0;
	x->trouble = CLI_OTHER;
	snprintf(x->error, sizeof(x->error), "out of memory");
	if (ws)
		ws->pipe = cli_pipe_open(x->target, x->wait_ms, &x->trouble, x->error);
	if (ws && ws->pipe)
		is_open = shake(ws, x);
	x->ms = (long)(cli_now_ms() - begun);
	if (is_open)
		return ws;
	if (ws)
		ws->close_code = 1; /* nothing is said to it any more */
	cli_ws_close(ws);
	return NULL;
}

/* ---- frames ------------------------------------------------------------------------- */

static bool send_frame(struct cli_ws *ws, unsigned op, sio_slice text)
{
	struct buf b = { 0 };
	unsigned char mask[4];
	size_t at;
	bool is_sent;

	random_bytes(mask, sizeof(mask));
	buf_byte(&b, (char)(FIN | op));
	if (text.n < 126) {
		buf_byte(&b, (char)(MASKED | text.n));
	} else if (text.n <= 0xffff) {
		buf_byte(&b, (char)(MASKED | 126));
		buf_byte(&b, (char)(text.n >> 8));
		buf_byte(&b, (char)text.n);
	} else {
		buf_byte(&b, (char)(MASKED | 127));
		for (int shift = 56; shift >= 0; shift -= 8)
			buf_byte(&b, (char)((uint64_t)text.n >> shift));
	}
	buf_put(&b, mask, sizeof(mask));
	at = b.n;
	buf_slice(&b, text);
	for (size_t i = 0; !b.failed && i < text.n; i++)
		b.p[at + i] = (char)((unsigned char)b.p[at + i] ^ mask[i & 3]);
	is_sent = !b.failed && cli_pipe_send(ws->pipe, buf_peek(&b), SEND_WAIT_MS);
	buf_fini(&b);
	return is_sent;
}

bool cli_ws_send(struct cli_ws *ws, sio_slice text)
{
	return send_frame(ws, OP_TEXT, text);
}

void cli_ws_close(struct cli_ws *ws)
{
	if (!ws)
		return;
	if (ws->pipe && !ws->close_code)
		(void)!send_frame(ws, OP_CLOSE, SIO_LIT("\x03\xe8"));
	cli_pipe_close(ws->pipe);
	buf_fini(&ws->in);
	buf_fini(&ws->message);
	free(ws);
}

unsigned cli_ws_close_code(const struct cli_ws *ws)
{
	return ws->close_code;
}

struct frame {
	unsigned first; /* FIN, the reserved bits, the opcode */
	sio_slice payload;
};

/* The next frame of what has come: its size, 0 when it is not whole yet, or -1 when it
 * is none that a server may send. */
static ssize_t take_frame(struct cli_ws *ws, struct frame *out)
{
	const unsigned char *p = (const unsigned char *)ws->in.p + ws->used;
	size_t n = ws->in.n - ws->used, head = 2, bytes;
	uint64_t len;

	if (n < 2)
		return 0;
	if ((p[0] & 0x70) || (p[1] & MASKED))
		return -1;
	len = p[1] & LEN_BITS;
	bytes = len == 126 ? 2 : len == 127 ? 8 : 0;
	head += bytes;
	if (n < head)
		return 0;
	if (bytes)
		len = 0;
	for (size_t i = 0; i < bytes; i++)
		len = len << 8 | p[2 + i];
	if (len > CLI_ANSWER_MAX)
		return -1;
	if (n < head + len)
		return 0;
	*out = (struct frame){ p[0], sio_bytes(ws->in.p + ws->used + head, (size_t)len) };
	return (ssize_t)(head + len);
}

/* True when it ends a message, which is in ws->message then. */
static bool on_frame(struct cli_ws *ws, const struct frame *f)
{
	switch (f->first & OP_BITS) {
	case OP_CLOSE:
		ws->close_code = f->payload.n >= 2 ? (unsigned)(unsigned char)f->payload.p[0] << 8 | (unsigned char)f->payload.p[1] : 1005;
		return false;
	case OP_PING:
		(void)!send_frame(ws, OP_PONG, f->payload);
		return false;
	case OP_PONG:
		return false;
	default:
		if (ws->is_whole)
			buf_clear(&ws->message);
		buf_slice(&ws->message, f->payload);
		ws->is_whole = f->first & FIN;
		return ws->is_whole;
	}
}

enum cli_trouble cli_ws_next(struct cli_ws *ws, long wait_ms, sio_slice *text)
{
	int64_t until = cli_now_ms() + wait_ms;

	for (;;) {
		struct frame frame;
		ssize_t n = ws->close_code ? -1 : take_frame(ws, &frame);
		enum cli_trouble trouble;

		if (n < 0 || ws->message.failed || ws->message.n > CLI_ANSWER_MAX)
			return CLI_CUT;
		if (n > 0) {
			bool is_message = on_frame(ws, &frame);

			ws->used += (size_t)n;
			if (!is_message)
				continue;
			*text = buf_peek(&ws->message);
			return CLI_FINE;
		}
		buf_consume(&ws->in, ws->used);
		ws->used = 0;
		trouble = until > cli_now_ms() ? cli_pipe_read(ws->pipe, &ws->in, (long)(until - cli_now_ms())) : CLI_TOO_LATE;
		if (trouble != CLI_FINE)
			return trouble;
	}
}
