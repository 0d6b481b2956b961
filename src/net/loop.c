/* loop.c -- one worker's turn: wait, handle, write, reap; timers and posts.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "net/tls.h"

static void on_timer(uv_timer_t *handle);

/* Whatever wakes the loop, timers and posts too: those who keep the time hear of it
 * before anything else is called. */
void net_begin_turn(struct net *net)
{
	net_enter(net);
	net->now_ms = uv_now(net->loop);
	if (net->turn_ns == 0)
		net->turn_ns = uv_hrtime(); /* this one and that at the end: two readings a turn, whatever is in it */
	net->ops->turn(net->owner);
}

/* ---- the turn ---------------------------------------------------------------------- */

static void on_ready(uv_poll_t *handle, int status, int events)
{
	struct net *net = handle->data;
	struct epoll_event ev[NET_EVENTS];
	int n;

	(void)status, (void)events;
	net_begin_turn(net);
	if (net->tls)
		net->tls->handshakes_n = 0;
	n = epoll_wait(net->epoll_fd, ev, NET_EVENTS, 0);
	for (int i = 0; i < n; i++) {
		if (ev[i].data.u64 & 1)
			listener_ready((struct net_listener *)(uintptr_t)(ev[i].data.u64 - 1));
		else
			conn_ready(ev[i].data.ptr, ev[i].events);
	}
	net_leave(net);
}

/* Write what waits, and go on with requests that waited.  Those that come to wait
 * again are for the next turn: others come first. */
static void flush_dirty(struct net *net)
{
	for (uint32_t left = net->dirty_n; left > 0; left--) {
		struct net_conn *c = net->dirty;
		net->dirty = c->side->next_dirty;
		if (!net->dirty)
			net->dirty_end = &net->dirty;
		net->dirty_n--;
		c->side->is_dirty = false;
		conn_flush(c);
		if (c->mode == NET_HTTP || c->mode == NET_WS)
			http_resume(c);
	}
}

static void reap(struct net *net)
{
	struct net_conn **at = &net->dead;

	while (*at) {
		struct net_conn *c = *at;
		if (c->side && c->side->is_dirty) { /* still on the list */
			at = &c->next;
			continue;
		}
		*at = c->next;
		conn_free(c);
	}
}

void loop_end_turn(struct net *net)
{
	net->ops->flush(net->owner);
	flush_dirty(net);
	net->ops->flush(net->owner); /* what requests that waited have caused */
	reap(net);
	net_check_stopped(net);
}

static void on_turn_end(uv_prepare_t *handle)
{
	struct net *net = handle->data;
	int64_t wait_ms;

	net_enter(net);
	net->now_ms = uv_now(net->loop);
	loop_end_turn(net);
	if (net->turn_ns && net->ops->turned)
		net->ops->turned(net->owner, uv_hrtime() - net->turn_ns);
	net->turn_ns = 0;
	net_leave(net);
	if (net->is_stopped)
		return;
	wait_ms = net->dirty ? 0 : wheel_wait_ms(&net->wheel, net->now_ms);
	if (wait_ms < 0)
		uv_timer_stop(&net->timer);
	else
		uv_timer_start(&net->timer, on_timer, (uint64_t)wait_ms, 0);
}

static void on_timer(uv_timer_t *handle)
{
	struct net *net = handle->data;

	net_begin_turn(net);
	wheel_run(&net->wheel, net->now_ms);
	net_leave(net);
}

/* ---- posts and work ------------------------------------------------------------------- */

void loop_run_posts(struct net *net)
{
	struct post *posts;
	uint32_t n;

	uv_mutex_lock(&net->post_lock);
	posts = net->posts;
	n = net->posts_n;
	net->posts = NULL;
	net->posts_n = net->posts_cap = 0;
	uv_mutex_unlock(&net->post_lock);
	for (uint32_t i = 0; i < n; i++)
		posts[i].fn(posts[i].arg);
	free(posts);
}

static void on_wake(uv_async_t *handle)
{
	net_begin_turn(handle->data);
	loop_run_posts(handle->data);
	net_leave(handle->data);
}

/* Make the loop come round. */
static void wake(struct net *net)
{
	if (net->loop)
		uv_async_send(&net->wake);
}

static int post_locked(struct net *net, sio_post_fn *fn, void *arg)
{
	if (net->posts_closed)
		return SIO_ERR_CLOSED;
	if (net->posts_n == SIO_POST_MAX)
		return SIO_ERR_BUSY;
	if (net->posts_n == net->posts_cap) {
		uint32_t cap = net->posts_cap ? net->posts_cap * 2 : 16;
		struct post *grown = realloc(net->posts, cap * sizeof(*grown));
		if (!grown)
			return SIO_ERR_BUSY;
		net->posts = grown;
		net->posts_cap = cap;
	}
	net->posts[net->posts_n++] = (struct post){ fn, arg };
	return SIO_OK;
}

int net_post(struct net *net, sio_post_fn *fn, void *arg)
{
	int err;

	uv_mutex_lock(&net->post_lock);
	err = post_locked(net, fn, arg);
	if (err == SIO_OK)
		wake(net);
	uv_mutex_unlock(&net->post_lock);
	return err;
}

void net_wake(struct net *net)
{
	if (net->loop)
		uv_async_send(&net->wake);
	else
		net->is_woken = true;
}

static void on_work(uv_work_t *work)
{
	struct job *job = work->data;

	job->fn(job->arg);
}

void loop_job_done(struct job *job)
{
	job->net->works--;
	job->done(job->arg);
	free(job);
}

static void on_work_done(uv_work_t *work, int status)
{
	struct job *job = work->data;
	struct net *net = job->net;

	(void)status;
	net_begin_turn(net);
	loop_job_done(job);
	net_leave(net);
}

static bool job_start(struct job *job)
{
	struct net *net = job->net;

	job->work.data = job;
	if (net->loop)
		return uv_queue_work(net->loop, &job->work, on_work, on_work_done) == 0;
	*net->jobs_end = job;
	net->jobs_end = &job->next;
	return true;
}

int net_work(struct net *net, sio_post_fn *fn, sio_post_fn *done, void *arg)
{
	struct job *job;

	if (net->is_stopped)
		return SIO_ERR_CLOSED;
	job = malloc(sizeof(*job));
	if (!job)
		return SIO_ERR_NOMEM;
	*job = (struct job){ .net = net, .fn = fn, .done = done, .arg = arg };
	if (!job_start(job)) {
		free(job);
		return SIO_ERR_NOMEM;
	}
	net->works++;
	return SIO_OK;
}

/* ---- life ------------------------------------------------------------------------------ */

static void close_descriptors(struct net *net)
{
	if (net->epoll_fd >= 0)
		close(net->epoll_fd);
	if (net->reserve_fd >= 0)
		close(net->reserve_fd);
}

static int start_loop(struct net *net, struct uv_loop_s *loop)
{
	net->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	net->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (net->epoll_fd < 0 || uv_poll_init(loop, &net->poll, net->epoll_fd) < 0)
		return SIO_ERR_SYSTEM;
	uv_update_time(loop);
	net->now_ms = uv_now(loop);
	uv_timer_init(loop, &net->timer);
	uv_prepare_init(loop, &net->turn);
	uv_async_init(loop, &net->wake, on_wake);
	net->poll.data = net->timer.data = net->turn.data = net->wake.data = net;
	net->handles_n = 4;
	uv_poll_start(&net->poll, UV_READABLE, on_ready);
	uv_prepare_start(&net->turn, on_turn_end);
	return SIO_OK;
}

int net_new(struct uv_loop_s *loop, const struct net_limits *limits, const struct net_ops *ops, void *owner,
	    struct net **out)
{
	struct net *net = calloc(1, sizeof(*net));
	int err;

	if (!net)
		return SIO_ERR_NOMEM;
	net->loop = loop;
	net->limits = *limits;
	net->ops = ops;
	net->owner = owner;
	net->dirty_end = &net->dirty;
	net->jobs_end = &net->jobs;
	net->reserve_fd = net->epoll_fd = -1;
	net->now_ms = NET_STILL_MS;
	err = loop ? start_loop(net, loop) : SIO_OK;
	if (err < 0) {
		close_descriptors(net);
		free(net);
		return err;
	}
	wheel_init(&net->wheel, net->now_ms);
	uv_mutex_init(&net->post_lock);
	*out = net;
	return SIO_OK;
}

void net_run(struct net *net)
{
	if (net->loop)
		uv_run(net->loop, UV_RUN_DEFAULT);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct net *net = handle->data;

	if (--net->handles_n == 0)
		net->ops->stopped(net->owner);
}

/* Nothing left to wait for: end the handles, so that the loop can end. */
void net_check_stopped(struct net *net)
{
	if (!net->is_stopping || net->is_stopped || net->conns || net->dead || net->works > 0)
		return;
	uv_mutex_lock(&net->post_lock);
	if (net->posts_n > 0) {
		uv_mutex_unlock(&net->post_lock);
		return;
	}
	net->posts_closed = true;
	uv_mutex_unlock(&net->post_lock);
	net->is_stopped = true;
	wheel_del(&net->drain);
	if (!net->loop) {
		net->ops->stopped(net->owner);
		return;
	}
	uv_close((uv_handle_t *)&net->poll, on_handle_closed);
	uv_close((uv_handle_t *)&net->timer, on_handle_closed);
	uv_close((uv_handle_t *)&net->turn, on_handle_closed);
	uv_close((uv_handle_t *)&net->wake, on_handle_closed);
	for (unsigned i = 0; i < net->signals_n; i++)
		uv_close((uv_handle_t *)&net->signals[i], on_handle_closed);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct net *net = handle->data;

	(void)number;
	net_begin_turn(net);
	net->ops->signalled(net->owner);
	net_leave(net);
}

int net_watch_signals(struct net *net)
{
	static const int numbers[2] = { SIGINT, SIGTERM };

	if (!net->loop) {
		errno = EOPNOTSUPP;
		return SIO_ERR_SYSTEM;
	}
	while (net->signals_n < 2) {
		uv_signal_t *handle = &net->signals[net->signals_n];
		if (uv_signal_init(net->loop, handle) < 0)
			return SIO_ERR_SYSTEM;
		handle->data = net;
		net->handles_n++;
		if (uv_signal_start(handle, on_signal, numbers[net->signals_n++]) < 0)
			return SIO_ERR_SYSTEM;
	}
	return SIO_OK;
}

static void close_idle(struct net *net)
{
	for (struct net_conn *c = net->conns, *next; c; c = next) {
		next = c->next;
		if (c->mode == NET_HTTP && (!c->side || (!c->side->is_busy && c->side->out.n == 0)) && !tls_is_unsent(c))
			conn_lost(c);
		else if (c->mode == NET_HTTP) /* WebSockets are ended by their owners */
			c->side->is_last = true;
	}
}

static void on_drain_over(struct sio_timer *timer)
{
	struct net *net = MAP_OWNER(timer, struct net, drain);

	while (net->conns)
		conn_lost(net->conns);
}

void net_stop(struct net *net, uint32_t drain_ms)
{
	if (net->is_stopped)
		return;
	while (net->listeners) {
		struct net_listener *l = net->listeners;
		net->listeners = l->next;
		listener_close(l);
	}
	if (!net->is_stopping || net->now_ms + drain_ms < net->drain.due_ms)
		wheel_set(&net->wheel, &net->drain, net->now_ms + drain_ms, on_drain_over);
	net->is_stopping = true;
	close_idle(net);
	wake(net); /* the loop must come round to see it */
}

void net_free(struct net *net)
{
	if (!net)
		return;
	/* A net that never ran still has its handles: give the loop a turn to close them. */
	if (!net->is_stopped) {
		net_stop(net, 0);
		on_drain_over(&net->drain);
		flush_dirty(net);
		reap(net);
		net_check_stopped(net);
	}
	while (net->handles_n > 0) /* posts and jobs under way come to their end first */
		uv_run(net->loop, UV_RUN_NOWAIT);
	while (!net->is_stopped)
		net_step(net, net->now_ms);
	close_descriptors(net);
	wheel_fini(&net->wheel); /* the application may have left timers set */
	free(net->pipes);
	uv_mutex_destroy(&net->post_lock);
	tls_free(net->tls);
	while (net->spare) {
		struct net_side *side = net->spare;
		net->spare = side->next_spare;
		side_free(side);
	}
	inflater_free(net->inflater);
	free(net->posts);
	free(net);
}

struct wheel *net_wheel(struct net *net)
{
	return &net->wheel;
}

uint64_t net_now_ms(const struct net *net)
{
	return net->now_ms;
}

void net_enter(struct net *net)
{
	net->depth++;
}

void net_leave(struct net *net)
{
	net->depth--;
}

bool net_is_inside(const struct net *net)
{
	return net->depth > 0;
}

void *net_owner(const struct net *net)
{
	return net->owner;
}

void net_relax(struct net *net)
{
	if (net->inflater)
		inflater_relax(net->inflater);
}

void net_count_refused(struct net *net)
{
	net->stats.refused++;
}

const struct net_stats *net_stats(const struct net *net)
{
	return &net->stats;
}
