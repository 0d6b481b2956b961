/* http.c -- requests of a connection, one at a time, and the heads of answers.
 *
 * While a request is being answered, what else the client has sent waits in
 * side->in; when that is full we stop reading, and TCP tells the client.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <string.h>
#include <time.h>

#include "net/inner.h"

const char *net_date(struct net *net)
{
	time_t now = time(NULL);
	struct tm tm;

	if (now != net->date_s) {
		net->date_s = now;
		gmtime_r(&now, &tm);
		strftime(net->date, sizeof(net->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	}
	return net->date;
}

static void write_answer(struct net_conn *c, int status, const char *content_type, sio_slice headers, sio_slice body)
{
	struct net_side *side = c->side;
	struct buf *out = &side->out;

	http1_status_line(out, status);
	buf_str(out, "Date: ");
	buf_str(out, net_date(c->net));
	if (content_type) {
		buf_str(out, "\r\nContent-Type: ");
		buf_str(out, content_type);
	}
	if (status != 204 && status != 304 && status >= 200) {
		buf_str(out, "\r\nContent-Length: ");
		buf_u64(out, body.n);
	}
	buf_str(out, side->is_last ? "\r\nConnection: close\r\n" : "\r\nConnection: keep-alive\r\n");
	buf_slice(out, headers);
	buf_str(out, "\r\n");
	if (!side->is_head_only)
		buf_slice(out, body);
}

void net_reply(struct net_conn *c, int status, const char *content_type, sio_slice headers, sio_slice body)
{
	struct net_side *side = c->side;

	if (c->mode != NET_HTTP)
		return;
	if (side->reader && !http1_request(side->reader)->is_keep_alive)
		side->is_last = true;
	/* Before it was read whole: where the next request begins is not known. */
	if (c->net->is_stopping || !side->is_busy)
		side->is_last = true;
	write_answer(c, status, content_type, headers, body);
	if (side->out.failed) {
		conn_lost(c);
		return;
	}
	side->is_busy = false;
	side->has_answered = true;
	c->owner = NULL;
	conn_mark_dirty(c);
}

void net_reply_last(struct net_conn *c, int status, const char *content_type, sio_slice headers, sio_slice body)
{
	if (c->mode != NET_HTTP)
		return;
	c->side->is_last = true;
	net_reply(c, status, content_type, headers, body);
}

struct http1_reader *net_take_reader(struct net_conn *c)
{
	struct http1_reader *reader = c->side->reader;

	c->side->reader = NULL;
	return reader;
}

void net_ws_accept(struct net_conn *c, const char accept[29], unsigned deflate_bits, sio_slice headers)
{
	struct buf *out = &c->side->out;

	if (c->mode != NET_HTTP)
		return;
	buf_str(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		     "Sec-WebSocket-Accept: ");
	buf_str(out, accept);
	buf_str(out, "\r\n");
	buf_slice(out, headers);
	buf_str(out, "\r\n");
	c->mode = NET_WS;
	c->deflate_bits = (uint8_t)deflate_bits;
	c->side->is_busy = false; /* what it sent meanwhile are frames: http_resume */
	conn_deadline(c, 0);
	conn_mark_dirty(c);
}

static void on_head(struct net_conn *c)
{
	struct net_side *side = c->side;
	struct http1_request *req = http1_request(side->reader);

	side->has_answered = false;
	side->is_head_only = sio_slice_eq(req->method, SIO_LIT("HEAD"));
	c->net->stats.requests++;
	c->net->ops->head(c, req);
	if (c->mode != NET_HTTP)
		return;
	if (side->has_answered) { /* before its body was read: nothing behind it can be trusted */
		side->is_last = true;
		return;
	}
	if (req->wants_continue)
		buf_str(&side->out, "HTTP/1.1 100 Continue\r\n\r\n"), conn_mark_dirty(c);
	conn_deadline(c, c->net->limits.body_timeout_ms);
}

static void on_done(struct net_conn *c)
{
	struct net_side *side = c->side;

	side->is_busy = true;
	conn_deadline(c, 0);
	c->net->ops->request(c, http1_request(side->reader));
}

static void stash(struct net_conn *c, const char *p, size_t n)
{
	buf_put(&c->side->in, p, n);
	if (c->side->in.failed)
		conn_lost(c);
	else
		conn_watch(c);
}

/* Must what comes next wait?  For an answer, for what waits already, for the peer to
 * read, for others. */
static bool must_wait(const struct net_side *side, int requests)
{
	return side->is_busy || side->in.n > 0 || side->out.n > NET_OUT_MAX || requests >= NET_REQUESTS_A_TURN;
}

static bool get_ready(struct net_conn *c)
{
	struct net_side *side = c->side;

	if (!side->reader && !(side->reader = http1_new(&c->net->limits.http))) {
		conn_lost(c);
		return false;
	}
	if (side->has_answered) {
		http1_next(side->reader);
		side->has_answered = false;
	}
	if (http1_is_idle(side->reader))
		conn_deadline(c, c->net->limits.head_timeout_ms);
	return true;
}

/* One step of the reader.  Returns false when there is nothing more to do now. */
static bool read_some(struct net_conn *c, const char **p, size_t *n, int *requests)
{
	size_t used;
	int status = 400;
	enum http1_what what = http1_read(c->side->reader, *p, *n, &used, &status);

	*p += used;
	*n -= used;
	switch (what) {
	case HTTP1_MORE:
		return false;
	case HTTP1_HEAD:
		on_head(c);
		return true;
	case HTTP1_DONE:
		++*requests;
		on_done(c);
		return *n > 0;
	case HTTP1_BAD:
		c->net->ops->refuse(c, status);
		return false;
	}
	return false;
}

void http_feed(struct net_conn *c, const char *p, size_t n)
{
	struct net_side *side = c->side;
	int requests = 0;

	do {
		if (side->is_last)
			return;
		if (must_wait(side, requests)) {
			stash(c, p, n);
			if (!side->is_busy && c->mode == NET_HTTP)
				conn_mark_dirty(c);
			return;
		}
	} while (get_ready(c) && read_some(c, &p, &n, &requests) && c->mode == NET_HTTP);
	if (n > 0 && c->mode == NET_WS) {
		/* Frames in the same segment as the handshake: still in the worker's buffer
		 * or in a stash, both ours to change. */
		ws_feed(c, (char *)(uintptr_t)p, n);
	}
	if (n > 0 && c->mode == NET_RELAY)
		c->net->ops->relayed(c, p, n);
}

/* After an answer: go on with what waited. */
void http_resume(struct net_conn *c)
{
	struct net_side *side = c->side;
	struct buf in;

	if (!side || side->in.n == 0 || side->is_busy || side->is_last || side->out.n > NET_OUT_MAX)
		return;
	in = side->in;
	side->in = (struct buf){ 0 };
	conn_watch(c);
	if (c->mode == NET_WS)
		ws_feed(c, in.p, in.n);
	else
		http_feed(c, in.p, in.n);
	buf_fini(&in);
	if (c->is_eof && c->mode == NET_HTTP && side->in.n == 0) { /* nothing can follow */
		side->is_last = true;
		conn_mark_dirty(c);
	}
}
