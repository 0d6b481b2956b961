/* link.c -- see link.h.
 *
 * One function ends a connection, whatever the reason: lose.  What is under way then
 * (a look-up, the close itself) comes to its own end first; settle looks whether all of
 * that is over, and only then the next attempt may begin.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "redis/link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/random.h"

enum {
	MOVES_MAX = 5,      /* followed in a row without a pause */
	STABLE_MS = 5000,   /* who has worked so long begins with the shortest pause again */
	KEEPALIVE_S = 15,
	READS_MAX = 16,     /* of one turn: others come, too */
};

static void settle(struct redis_link *link);

/* ---- the end of a connection ------------------------------------------------------------ */

static void on_peer_closed(uv_handle_t *handle)
{
	struct redis_link *link = handle->data;

	link->has_peer = false;
	settle(link);
}

static void say_why(struct redis_link *link, bool is_refused, const char *fmt, va_list ap)
{
	vsnprintf(link->why, sizeof(link->why), fmt, ap);
	for (char *c = link->why; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = ' '; /* it may be Redis's word */
	link->is_refused = is_refused;
}

static void close_peer(struct redis_link *link)
{
	uv_close((uv_handle_t *)&link->poll, on_peer_closed); /* it is not polled any more */
	close(link->fd);
	link->fd = -1;
	link->is_writing = false;
	uv_idle_stop(&link->taken);
}

static void lose(struct redis_link *link)
{
	bool was_ready = link->state == LINK_READY;

	link->state = LINK_CLOSING;
	link->addresses_n = 0;
	uv_timer_stop(&link->timer);
	if (link->is_looking_up)
		uv_cancel((uv_req_t *)&link->lookup);
	if (link->has_peer && link->fd >= 0)
		close_peer(link);
	if (was_ready && uv_now(link->loop) - link->ready_ms >= STABLE_MS)
		link->backoff_ms = 0;
	if (!link->is_ending)
		link->ops->down(link);
	settle(link);
}

void link_drop(struct redis_link *link, bool is_refused, const char *fmt, ...)
{
	va_list ap;

	if (link->state < LINK_RESOLVING || link->state > LINK_READY)
		return;
	va_start(ap, fmt);
	say_why(link, is_refused, fmt, ap);
	va_end(ap);
	lose(link);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct redis_link *link = handle->data;

	if (--link->handles_n > 0)
		return;
	link->state = LINK_ENDED;
	redisReaderFree(link->reader);
	buf_fini(&link->greeting);
	link->ops->ended(link);
}

static void on_pause_over(uv_timer_t *timer)
{
	link_start(timer->data);
}

/* By chance between half and all of it: not all nodes come at once. */
static uint32_t jittered(uint32_t ms)
{
	uint32_t r;

	random_bytes(&r, sizeof(r));
	return ms - (uint32_t)((uint64_t)(ms / 2) * r / UINT32_MAX);
}

static void connect_tcp(struct redis_link *link);

static void settle(struct redis_link *link)
{
	uint32_t pause = 0;

	if (link->state != LINK_CLOSING || link->has_peer || link->is_looking_up)
		return;
	if (link->is_ending) {
		if (!uv_is_closing((uv_handle_t *)&link->timer)) {
			uv_close((uv_handle_t *)&link->timer, on_handle_closed);
			uv_close((uv_handle_t *)&link->taken, on_handle_closed);
		}
		return;
	}
	if (link->address < link->addresses_n) {
		connect_tcp(link);
		return;
	}
	redisReaderFree(link->reader);
	link->reader = NULL;
	link->state = LINK_WAITING;
	if (!link->is_moving) {
		uint32_t next = link->backoff_ms * 2;
		link->backoff_ms = next < link->backoff_min_ms ? link->backoff_min_ms :
				   next > link->backoff_max_ms ? link->backoff_max_ms : next;
		pause = jittered(link->backoff_ms);
		link->moves_n = 0;
		link->target = link->url;
	}
	link->is_moving = false;
	uv_timer_start(&link->timer, on_pause_over, pause, 0);
}

void link_end(struct redis_link *link)
{
	if (link->is_ending)
		return;
	link->is_ending = true;
	if (link->state == LINK_IDLE || link->state == LINK_WAITING) {
		link->state = LINK_CLOSING;
		settle(link);
	} else if (link->state != LINK_CLOSING)
		lose(link);
}

/* ---- writing ------------------------------------------------------------------------------ */

static void on_ready(uv_poll_t *poll, int status, int events);

static void poll_for(struct redis_link *link, int events)
{
	int err = uv_poll_start(&link->poll, events, on_ready);

	if (err)
		link_drop(link, false, "%s: %s", link->target.shown, uv_strerror(err));
}

/* As much as the kernel takes.  false: it takes no more now, or the link is lost. */
static bool write_more(struct redis_link *link)
{
	while (link->piece < link->pieces_n) {
		struct iovec *iov = (struct iovec *)&link->pieces[link->piece];
		struct msghdr m = { .msg_iov = iov, .msg_iovlen = link->pieces_n - link->piece };
		ssize_t n = sendmsg(link->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			link_drop(link, false, "%s: %s", link->target.shown, strerror(errno));
		if (n < 0)
			return false;
		for (; n > 0 && (size_t)n >= iov->iov_len; iov++, link->piece++)
			n -= (ssize_t)iov->iov_len;
		if (n > 0) {
			iov->iov_base = (char *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return true;
}

static void on_written(struct redis_link *link)
{
	link->is_writing = false;
	if (link->state == LINK_READY)
		link->ops->written(link);
}

static void on_writable(struct redis_link *link)
{
	if (!link->is_writing || !write_more(link))
		return;
	poll_for(link, UV_READABLE);
	on_written(link);
}

static void on_taken(uv_idle_t *taken)
{
	uv_idle_stop(taken);
	on_written(taken->data);
}

/* That the kernel has taken it all is told in the next turn, which comes at once; the rest is written when it can be. */
void link_write(struct redis_link *link, const uv_buf_t *pieces, unsigned n)
{
	_Static_assert(sizeof(uv_buf_t) == sizeof(struct iovec), "libuv says that they are the same on Unix");
	memcpy(link->pieces, pieces, n * sizeof(*pieces));
	link->pieces_n = n;
	link->piece = 0;
	link->is_writing = true;
	if (write_more(link))
		uv_idle_start(&link->taken, on_taken);
	else if (link->is_writing)
		poll_for(link, UV_READABLE | UV_WRITABLE);
}

/* ---- greeting ------------------------------------------------------------------------------- */

/* What we say first.  Answers come in this order. */
enum step { STEP_AUTH, STEP_SELECT, STEP_NAME, STEP_INFO, STEPS_N };

static void put_word(struct buf *b, const char *word)
{
	buf_printf(b, "$%zu\r\n", strlen(word));
	buf_str(b, word);
	buf_str(b, "\r\n");
}

static void put_command(struct redis_link *link, enum step step, const char *a, const char *b, const char *c)
{
	buf_printf(&link->greeting, "*%d\r\n", 1 + (b != NULL) + (c != NULL));
	put_word(&link->greeting, a);
	if (b)
		put_word(&link->greeting, b);
	if (c)
		put_word(&link->greeting, c);
	link->steps_n |= 1u << step;
}

static bool is_error_like(const redisReply *reply, const char *word)
{
	return strncmp(reply->str, word, strlen(word)) == 0;
}

/* Will the same question get the same answer until somebody changes something? */
static bool is_final(const redisReply *reply)
{
	return !is_error_like(reply, "LOADING") && !is_error_like(reply, "MASTERDOWN") && !is_error_like(reply, "CLUSTERDOWN") &&
	       !is_error_like(reply, "TRYAGAIN") && !is_error_like(reply, "MOVED") && !is_error_like(reply, "ERR max number");
}

static void greet(struct redis_link *link)
{
	char db[16];
	uv_buf_t piece;

	buf_clear(&link->greeting);
	link->steps_n = 0;
	link->step = 0;
	link->is_cluster = false;
	if (link->url.has_password && link->url.user[0])
		put_command(link, STEP_AUTH, "AUTH", link->url.user, link->url.password);
	else if (link->url.has_password)
		put_command(link, STEP_AUTH, "AUTH", link->url.password, NULL);
	if (link->url.db) {
		snprintf(db, sizeof(db), "%u", link->url.db);
		put_command(link, STEP_SELECT, "SELECT", db, NULL);
	}
	put_command(link, STEP_NAME, "CLIENT", "SETNAME", "sio");
	put_command(link, STEP_INFO, "INFO", "cluster", NULL);
	if (link->greeting.failed) {
		buf_fini(&link->greeting);
		link_drop(link, false, "out of memory");
		return;
	}
	link->state = LINK_GREETING;
	piece = uv_buf_init(link->greeting.p, (unsigned)link->greeting.n);
	link_write(link, &piece, 1);
}

static void become_ready(struct redis_link *link)
{
	uv_timer_stop(&link->timer);
	link->state = LINK_READY;
	link->ready_ms = uv_now(link->loop);
	link->why[0] = '\0';
	link->is_refused = false;
	link->ops->ready(link);
}

static void on_greeted(struct redis_link *link, const redisReply *reply)
{
	bool may_fail;

	while (!(link->steps_n & 1u << link->step))
		link->step++;
	/* Rights to these two may be missing; without the second it counts as no cluster. */
	may_fail = link->step >= STEP_NAME;
	if (reply->type == REDIS_REPLY_ERROR && (!may_fail || (!is_error_like(reply, "NOPERM") && !is_error_like(reply, "ERR unknown")))) {
		link_drop(link, is_final(reply), "%s answers: %.160s", link->target.shown, reply->str);
		return;
	}
	if (link->step == STEP_INFO && reply->type == REDIS_REPLY_STRING)
		link->is_cluster = memmem(reply->str, reply->len, "cluster_enabled:1", 17) != NULL;
	if (++link->step == STEPS_N)
		become_ready(link);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The cluster names another node: go there at once, a few times in a row. */
static void follow(struct redis_link *link, const redisReply *reply)
{
	struct redis_url to = link->target;

	if (!redis_url_move(&to, reply->str)) {
		link_drop(link, false, "%s answers: %.160s", link->target.shown, reply->str);
		return;
	}
	link->is_moving = ++link->moves_n <= MOVES_MAX;
	link_drop(link, false, "%s sends us to %s", link->target.shown, to.shown);
	link->target = to;
}

static void on_reply(struct redis_link *link, const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_ERROR && is_error_like(reply, "MOVED "))
		follow(link, reply);
	else if (link->state == LINK_GREETING)
		on_greeted(link, reply);
	else if (reply->type == REDIS_REPLY_ERROR) {
		if (!link->ops->forgive || !link->ops->forgive(link, reply))
			link_drop(link, is_final(reply), "%s answers: %.160s", link->target.shown, reply->str);
	} else {
		link->moves_n = 0;
		link->ops->reply(link, reply);
	}
}

static bool is_open(const struct redis_link *link)
{
	return link->state == LINK_GREETING || link->state == LINK_READY;
}

static void read_replies(struct redis_link *link)
{
	redisReader *reader = link->reader;

	while (is_open(link)) {
		void *reply = NULL;
		if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
			link_drop(link, false, "%s does not speak Redis's protocol: %s", link->target.shown, reader->errstr);
			return;
		}
		if (!reply)
			break;
		on_reply(link, reply);
		freeReplyObject(reply);
	}
	if (is_open(link) && reader->len > LINK_ANSWER_MAX)
		link_drop(link, false, "%s sends an answer of more than %d bytes", link->target.shown, LINK_ANSWER_MAX);
}

static void on_readable(struct redis_link *link)
{
	for (int i = 0; i < READS_MAX && is_open(link); i++) {
		ssize_t n = recv(link->fd, link->bytes, sizeof(link->bytes), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			link_drop(link, false, "%s %s", link->target.shown, n == 0 ? "has closed the connection" : strerror(errno));
		else if (redisReaderFeed(link->reader, link->bytes, (size_t)n) != REDIS_OK)
			link_drop(link, false, "out of memory for an answer");
		else
			read_replies(link);
		if (n < (ssize_t)sizeof(link->bytes))
			return;
	}
}

/* ---- connecting -------------------------------------------------------------------------------- */

static void on_connected(struct redis_link *link, int err)
{
	if (err && link->address < link->addresses_n) { /* the name has another address */
		link->state = LINK_CLOSING;
		if (link->has_peer)
			close_peer(link);
		settle(link);
		return;
	}
	link->addresses_n = 0;
	if (err)
		link_drop(link, false, "%s: %s", link->target.shown, uv_strerror(-err));
	else {
		poll_for(link, UV_READABLE);
		if (link->state == LINK_CONNECTING)
			greet(link);
	}
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct redis_link *link = poll->data;
	socklen_t n = sizeof(int);
	int err = 0;

	if (link->state == LINK_CONNECTING) {
		if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0)
			err = errno;
		on_connected(link, err);
		return;
	}
	/* A fault shows when it is read. */
	if (is_open(link) && (status < 0 || (events & UV_READABLE)))
		on_readable(link);
	if (is_open(link) && (events & UV_WRITABLE))
		on_writable(link);
}

/* A connection that is begun; how it ends is seen by on_ready. */
static void connect_to(struct redis_link *link, const struct sockaddr *to, socklen_t n)
{
	int one = 1, keepalive_s = KEEPALIVE_S, err = 0;

	link->state = LINK_CONNECTING;
	link->fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (link->fd < 0 || (err = uv_poll_init(link->loop, &link->poll, link->fd)) < 0) {
		int why = link->fd < 0 ? errno : -err;
		if (link->fd >= 0)
			close(link->fd);
		link->fd = -1;
		on_connected(link, why); /* this system may know nothing of IPv6 */
		return;
	}
	link->has_peer = true;
	link->poll.data = link;
	if (to->sa_family != AF_UNIX) {
		setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		setsockopt(link->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
		setsockopt(link->fd, IPPROTO_TCP, TCP_KEEPIDLE, &keepalive_s, sizeof(keepalive_s));
	}
	if (connect(link->fd, to, n) < 0 && errno != EINPROGRESS && errno != EINTR)
		on_connected(link, errno);
	else
		poll_for(link, UV_WRITABLE);
}

/* To the next of the addresses. */
static void connect_tcp(struct redis_link *link)
{
	const struct sockaddr_storage *to = &link->addresses[link->address++];

	connect_to(link, (const struct sockaddr *)to, to->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
}

static void connect_unix(struct redis_link *link)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	_Static_assert(sizeof(to.sun_path) >= URL_PATH_MAX, "the path fits");
	memcpy(to.sun_path, link->target.path, strlen(link->target.path) + 1);
	connect_to(link, (const struct sockaddr *)&to, sizeof(to));
}

static void on_looked_up(uv_getaddrinfo_t *lookup, int status, struct addrinfo *found)
{
	struct redis_link *link = lookup->data;

	link->is_looking_up = false;
	if (link->state == LINK_RESOLVING && (status < 0 || !found))
		link_drop(link, false, "%s: the name cannot be looked up: %s", link->target.shown, uv_strerror(status));
	else if (link->state == LINK_RESOLVING) {
		for (const struct addrinfo *a = found; a && link->addresses_n < LINK_ADDRESSES_MAX; a = a->ai_next)
			memcpy(&link->addresses[link->addresses_n++], a->ai_addr, a->ai_addrlen);
		connect_tcp(link);
	}
	uv_freeaddrinfo(found);
	settle(link);
}

static void resolve(struct redis_link *link)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct sockaddr_storage *to = link->addresses;
	char port[8];
	int err;

	link->addresses_n = link->address = 0;
	if (uv_ip4_addr(link->target.host, link->target.port, (struct sockaddr_in *)to) == 0 ||
	    uv_ip6_addr(link->target.host, link->target.port, (struct sockaddr_in6 *)to) == 0) {
		link->addresses_n = 1;
		connect_tcp(link);
		return;
	}
	snprintf(port, sizeof(port), "%u", link->target.port);
	link->lookup.data = link;
	err = uv_getaddrinfo(link->loop, &link->lookup, on_looked_up, link->target.host, port, &hints);
	link->is_looking_up = err == 0;
	if (err)
		link_drop(link, false, "%s: the name cannot be looked up: %s", link->target.shown, uv_strerror(err));
}

static void on_timeout(uv_timer_t *timer)
{
	struct redis_link *link = timer->data;

	if (link->state == LINK_CONNECTING && link->address < link->addresses_n) {
		uv_timer_start(timer, on_timeout, link->connect_timeout_ms, 0);
		on_connected(link, ETIMEDOUT);
		return;
	}
	if (link->state == LINK_CLOSING) /* between two addresses: the next one has no time left */
		uv_timer_start(timer, on_timeout, 1, 0);
	link_drop(link, false, "%s did not answer within %u ms", link->target.shown, (unsigned)link->connect_timeout_ms);
}

void link_start(struct redis_link *link)
{
	link->state = LINK_RESOLVING;
	link->addresses_n = link->address = 0;
	uv_timer_start(&link->timer, on_timeout, link->connect_timeout_ms, 0);
	link->reader = redisReaderCreate();
	if (!link->reader)
		link_drop(link, false, "out of memory");
	else if (link->target.path[0])
		connect_unix(link);
	else
		resolve(link);
}

int link_init(struct redis_link *link, uv_loop_t *loop, const struct redis_url *url, const struct redis_link_ops *ops,
	      void *owner)
{
	link->loop = loop;
	link->url = link->target = *url;
	link->ops = ops;
	link->owner = owner;
	link->timer.data = link->taken.data = link;
	link->fd = -1;
	link->handles_n = 2;
	return uv_timer_init(loop, &link->timer) == 0 && uv_idle_init(loop, &link->taken) == 0 ? SIO_OK : SIO_ERR_SYSTEM;
}
