/* conn.c -- one connection: reading, writing its own bytes, ending.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "net/tls.h"
#include "net/wire.h"

bool conn_begin(struct net_conn *c, struct net *net, int fd)
{
	c->net = net;
	c->fd = fd;
	c->mode = NET_HTTP;
	c->interest = EPOLLIN;
	if (!conn_side(c) || wire_watch(c, EPOLL_CTL_ADD) < 0) {
		side_free(c->side);
		return false;
	}
	conn_deadline(c, net->limits.head_timeout_ms);
	c->next = net->conns;
	if (c->next)
		c->next->prev = c;
	net->conns = c;
	net->stats.conns += !c->is_far;
	return true;
}

struct net_conn *conn_new(struct net *net, int fd)
{
	bool is_tls = net->tls && fd >= 0; /* nobody listens at a pipe (pipe.c) */
	struct net_conn *c = calloc(1, is_tls ? sizeof(struct tls_conn) : sizeof(*c));

	if (!c)
		return NULL;
	c->is_tls = is_tls;
	if (conn_begin(c, net, fd))
		return c;
	free(c);
	return NULL;
}

/* ---- the side ------------------------------------------------------------------------- */

static void recycle(struct buf *b)
{
	if (b->cap > NET_KEEP_BYTES)
		buf_fini(b);
	else
		buf_clear(b);
}

void side_free(struct net_side *side)
{
	if (!side)
		return;
	http1_free(side->reader);
	buf_fini(&side->in);
	buf_fini(&side->out);
	free(side);
}

/* A handshake's memory would leave holes between connections that stay: the last
 * ones are kept for the next. */
static void side_give(struct net *net, struct net_side *side)
{
	if (net->spare_n == NET_SPARE_SIDES) {
		side_free(side);
		return;
	}
	if (side->reader)
		http1_next(side->reader);
	recycle(&side->in);
	recycle(&side->out);
	*side = (struct net_side){ .reader = side->reader, .in = side->in, .out = side->out, .next_spare = net->spare };
	net->spare = side;
	net->spare_n++;
}

static struct net_side *side_take(struct net *net)
{
	struct net_side *side = net->spare;

	if (!side)
		return calloc(1, sizeof(*side));
	net->spare = side->next_spare;
	net->spare_n--;
	return side;
}

struct net_side *conn_side(struct net_conn *c)
{
	if (!c->side) {
		c->side = side_take(c->net);
		if (c->side)
			c->side->conn = c;
	}
	return c->side;
}

static void on_deadline(struct sio_timer *timer)
{
	struct net_conn *c = MAP_OWNER(timer, struct net_side, timer)->conn;

	/* Half a request gets an answer; an idle or stuck peer has nothing to read it. */
	if (c->mode == NET_HTTP && c->side->reader && !http1_is_idle(c->side->reader) && !c->side->is_busy &&
	    !c->side->has_answered && c->side->out.n == 0) {
		c->net->ops->refuse(c, 408);
		return;
	}
	if (c->mode == NET_WS && c->is_paused) { /* it could not go on */
		conn_deadline(c, c->net->limits.body_timeout_ms);
		return;
	}
	if (c->mode == NET_WS && c->ws && !c->is_blocked) {
		c->net->ops->ws_fault(c, 1008); /* a message that never ends */
		return;
	}
	conn_lost(c);
}

void conn_deadline(struct net_conn *c, uint32_t ms)
{
	if (ms && conn_side(c))
		wheel_set(&c->net->wheel, &c->side->timer, c->net->now_ms + ms, on_deadline);
	else if (c->side)
		wheel_del(&c->side->timer);
}

/* Watch what the connection can use now. */
void conn_watch(struct net_conn *c)
{
	bool is_full = c->mode == NET_HTTP && c->side && c->side->in.n >= NET_IN_MAX;
	bool is_waiting = c->is_blocked || tls_is_unsent(c);
	uint8_t want = (uint8_t)((is_full || c->is_eof || c->is_paused ? 0 : EPOLLIN) | (is_waiting ? EPOLLOUT : 0));

	if (c->mode == NET_DEAD || want == c->interest)
		return;
	c->interest = want;
	wire_watch(c, EPOLL_CTL_MOD);
}

void conn_mark_dirty(struct net_conn *c)
{
	if (c->side->is_dirty || c->mode == NET_DEAD)
		return;
	c->side->is_dirty = true;
	c->side->next_dirty = NULL;
	*c->net->dirty_end = c;
	c->net->dirty_end = &c->side->next_dirty;
	c->net->dirty_n++;
}

void conn_tidy(struct net_conn *c)
{
	struct net_side *side = c->side;

	bool may_go = c->mode == NET_WS || (c->mode == NET_RELAY && side && !side->reader);

	if (!side || !may_go || side->is_dirty || side->out.n > 0 || side->in.n > 0 || c->ws)
		return;
	wheel_del(&side->timer);
	side_give(c->net, side);
	c->side = NULL;
}

/* ---- writing ------------------------------------------------------------------------- */

/* To the socket, through TLS if there is.  As sendmsg. */
static inline ssize_t put(struct net_conn *c, struct iovec *iov, int n)
{
	ssize_t sent;

	if (c->is_tls)
		return tls_writev(c, iov, n);
	sent = wire_write(c, iov, n);
	if (c->is_far) /* whoever has the socket counts it */
		return sent;
	c->net->stats.writes++;
	if (sent > 0)
		c->net->stats.bytes_out += (uint64_t)sent;
	return sent;
}

ssize_t net_writev(struct net_conn *c, struct iovec *iov, int n)
{
	size_t want = 0;
	ssize_t sent;

	if (!c->is_blocked && c->side && (c->side->out.n > 0 || c->side->out.failed))
		conn_flush(c); /* our own bytes came first */
	if (c->mode != NET_WS)
		return -1;
	if (c->is_blocked)
		return 0;
	sent = put(c, iov, n);
	if (sent < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
			return -1;
		sent = 0;
	}
	for (int i = 0; i < n; i++)
		want += iov[i].iov_len;
	if ((size_t)sent < want) {
		c->is_blocked = true;
		conn_watch(c);
	}
	return sent;
}

/* Our last byte is sent: what remains is the peer's end. */
void conn_half_close(struct net_conn *c)
{
	wire_shut(c);
	conn_deadline(c, NET_DRAIN_MS);
	conn_watch(c);
	if (c->is_eof)
		net_close(c);
}

static void begin_drain(struct net_conn *c)
{
	c->mode = NET_DRAIN;
	c->owner = NULL;
	if (!c->is_tls || tls_end(c)) {
		conn_half_close(c);
		return;
	}
	conn_deadline(c, c->net->limits.write_timeout_ms); /* tls_push goes on */
	conn_watch(c);
}

/* The connection's own bytes: answers, close frames. */
void conn_flush(struct net_conn *c)
{
	struct net_side *side = c->side;
	size_t left = side ? side->out.n - side->out_sent : 0;
	struct iovec iov;
	ssize_t sent;

	if (c->mode == NET_DEAD || !side)
		return;
	if (side->out.failed) { /* a piece of it is missing */
		conn_lost(c);
		return;
	}
	if (left > 0) {
		iov = (struct iovec){ side->out.p + side->out_sent, left };
		sent = put(c, &iov, 1);
		if (sent < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
			conn_lost(c);
			return;
		}
		if (sent > 0)
			side->out_sent += (size_t)sent;
		if (side->out_sent < side->out.n) {
			c->is_blocked = true;
			if (sent > 0 || !wheel_is_set(&side->timer))
				conn_deadline(c, c->net->limits.write_timeout_ms);
			conn_watch(c);
			return;
		}
		recycle(&side->out);
		side->out_sent = 0;
		if (c->mode == NET_HTTP && !side->is_busy)
			conn_deadline(c, c->net->limits.idle_timeout_ms);
		else if (c->mode == NET_HTTP || c->mode == NET_RELAY || (c->mode == NET_WS && !c->ws))
			conn_deadline(c, 0);
		if (c->owner && (c->mode == NET_RELAY || (c->mode == NET_HTTP && side->is_busy)))
			c->net->ops->writable(c);
		if (c->mode == NET_DEAD)
			return;
	}
	if (c->is_far && c->mode == NET_HTTP && side->has_answered && !side->is_busy && !side->is_last) {
		far_done(c);
		return;
	}
	if (side->is_last && !side->is_busy) {
		begin_drain(c);
		return;
	}
	conn_tidy(c);
}

/* ---- reading ---------------------------------------------------------------------------- */

void conn_eof(struct net_conn *c)
{
	struct net_side *side = c->side;

	c->is_eof = true;
	/* A client may close its half and still read; a request under way is answered. */
	if (c->mode == NET_HTTP && side && (side->is_busy || side->out.n > 0 || side->in.n > 0 || tls_is_unsent(c))) {
		if (side->in.n == 0) /* else http_resume will say so */
			side->is_last = true;
		if (side->is_busy && c->owner)
			c->net->ops->eof(c);
		conn_watch(c);
		return;
	}
	if (c->mode == NET_DRAIN)
		net_close(c);
	else
		conn_lost(c);
}

void conn_take(struct net_conn *c, char *p, size_t n)
{
	if (c->mode == NET_HTTP)
		http_feed(c, p, n);
	else if (c->mode == NET_WS)
		ws_feed(c, p, n);
	else if (c->mode == NET_RELAY)
		c->net->ops->relayed(c, p, n);
}

static void on_readable(struct net_conn *c)
{
	ssize_t n;

	if (c->is_tls && tls_must_wait(c))
		return;
	n = wire_read(c, c->is_tls ? c->net->tls->in : c->net->buf, NET_READ_BYTES);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0 || (n == 0 && c->is_tls)) { /* TLS has an end of its own: without it, it is cut off */
		c->is_eof = true;
		if (c->mode == NET_DRAIN)
			net_close(c);
		else
			conn_lost(c);
		return;
	}
	if (n == 0) {
		conn_eof(c);
		return;
	}
	c->net->stats.bytes_in += (uint64_t)n;
	if (c->is_tls)
		tls_feed(c, (size_t)n);
	else
		conn_take(c, c->net->buf, (size_t)n);
}

void conn_ready(struct net_conn *c, uint32_t events)
{
	if (c->mode == NET_DEAD) /* closed earlier in this turn */
		return;
	if (events & EPOLLOUT && (!c->is_tls || tls_push(c))) {
		c->is_blocked = false;
		if (c->side && (c->side->out.n > 0 || (c->is_tls && c->side->is_last)))
			conn_flush(c);
		if (c->mode == NET_WS && !c->is_blocked && c->owner)
			c->net->ops->writable(c);
		else if (c->mode == NET_HTTP && c->side && c->side->in.n > 0)
			conn_mark_dirty(c);
		conn_watch(c);
	}
	if (c->mode != NET_DEAD && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		if (c->interest & EPOLLIN)
			on_readable(c);
		else if (events & (EPOLLHUP | EPOLLERR))
			conn_lost(c);
	}
}

/* ---- ending ---------------------------------------------------------------------------------- */

void net_close(struct net_conn *c)
{
	struct net *net = c->net;

	if (c->mode == NET_DEAD)
		return;
	if (c->side)
		wheel_del(&c->side->timer);
	if (c->is_tls)
		tls_closing(c);
	wire_close(c);
	c->mode = NET_DEAD;
	c->owner = NULL;
	if (c->next)
		c->next->prev = c->prev;
	if (c->prev)
		c->prev->next = c->next;
	else
		net->conns = c->next;
	net->stats.conns -= !c->is_far;
	c->next = net->dead;
	net->dead = c;
}

void conn_lost(struct net_conn *c)
{
	if (c->owner)
		c->net->ops->gone(c);
	net_close(c);
}

void conn_fail(struct net_conn *c)
{
	if (c->owner)
		c->net->ops->gone(c);
	if (c->mode != NET_DEAD)
		begin_drain(c);
}

void conn_free(struct net_conn *c)
{
	if (c->is_tls)
		tls_conn_fini(c);
	ws_reader_free(c->ws);
	if (c->side)
		side_give(c->net, c->side);
	free(c);
}

bool net_is_secure(const struct net_conn *c)
{
	const struct net_far *far = net_far_of(c);

	return far ? far->is_secure : c->is_tls;
}

void net_address(const struct net_conn *c, char out[64])
{
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);

	out[0] = '\0';
	if (c->is_far) {
		if (net_far_of(c))
			memcpy(out, net_far_of(c)->address, sizeof(net_far_of(c)->address));
	} else if (c->fd < 0)
		pipe_address(c, out);
	else if (getpeername(c->fd, (struct sockaddr *)&sa, &n) == 0)
		getnameinfo((struct sockaddr *)&sa, n, out, 64, NULL, 0, NI_NUMERICHOST);
}
