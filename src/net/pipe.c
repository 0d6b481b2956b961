/* pipe.c -- a net without sockets and without a loop: connections made of memory, and
 * turns that are taken when somebody says so.
 *
 * This file plays the kernel for the rest of the folder: what recv, send and epoll would
 * say of a connection follows from its struct net_pipe.  Time is what net_step is told.
 * Jobs of net_work run on the caller's thread, within the step: a test must not depend on
 * who is faster.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/wire.h"

static struct net_pipe *pipe_of(const struct net_conn *c)
{
	return c->net->pipes[-1 - c->fd];
}

/* ---- what a connection asks of the kernel (wire.h) ---------------------------------- */

ssize_t pipe_read(struct net_conn *c, char *p, size_t n)
{
	struct net_pipe *pipe = pipe_of(c);

	if (pipe->is_broken) {
		errno = ECONNRESET;
		return -1;
	}
	if (pipe->in.n == 0 && !pipe->is_ended) {
		errno = EAGAIN;
		return -1;
	}
	if (n > pipe->in.n)
		n = pipe->in.n;
	if (n > 0)
		memcpy(p, pipe->in.p, n);
	buf_consume(&pipe->in, n);
	return (ssize_t)n;
}

ssize_t pipe_write(struct net_conn *c, const struct iovec *iov, int n)
{
	struct net_pipe *pipe = pipe_of(c);
	size_t sent = 0;

	if (pipe->is_broken) {
		errno = EPIPE;
		return -1;
	}
	for (int i = 0; i < n; i++) {
		size_t part = iov[i].iov_len < pipe->takes ? iov[i].iov_len : pipe->takes;
		buf_put(&pipe->out, iov[i].iov_base, part);
		sent += part;
		if (pipe->takes != SIZE_MAX)
			pipe->takes -= part;
		if (part < iov[i].iov_len)
			break;
	}
	if (sent > 0 && !pipe->out.failed)
		return (ssize_t)sent;
	errno = pipe->out.failed ? EPIPE : EAGAIN;
	return -1;
}

void pipe_shut(struct net_conn *c)
{
	pipe_of(c)->is_shut = true;
}

void pipe_close(struct net_conn *c)
{
	struct net_pipe *pipe = pipe_of(c);

	pipe->is_shut = true;
	pipe->conn = NULL;
}

void pipe_address(const struct net_conn *c, char out[64])
{
	memcpy(out, pipe_of(c)->address, sizeof(pipe_of(c)->address));
}

/* What epoll would report of it. */
static uint32_t ready(const struct net_pipe *pipe)
{
	const struct net_conn *c = pipe->conn;
	uint32_t events = 0;

	if (!c)
		return 0;
	if (pipe->is_broken)
		events |= EPOLLERR | EPOLLHUP;
	if (pipe->in.n > 0 || pipe->is_ended || pipe->is_broken)
		events |= EPOLLIN;
	if (pipe->takes > 0)
		events |= EPOLLOUT;
	return events & (c->interest | EPOLLERR | EPOLLHUP);
}

/* ---- pipes and steps ------------------------------------------------------------------ */

int net_pipe_open(struct net *net, struct net_pipe *pipe)
{
	if (net->pipes_n == net->pipes_cap) {
		int cap = net->pipes_cap ? net->pipes_cap * 2 : 16;
		struct net_pipe **grown = realloc(net->pipes, (size_t)cap * sizeof(struct net_pipe *));
		if (!grown)
			return SIO_ERR_NOMEM;
		net->pipes = grown;
		net->pipes_cap = cap;
	}
	if (net->is_stopping)
		return SIO_ERR_CLOSED;
	net->pipes[net->pipes_n] = pipe;
	pipe->takes = SIZE_MAX;
	pipe->conn = conn_new(net, -1 - net->pipes_n);
	if (!pipe->conn)
		return SIO_ERR_NOMEM;
	net->pipes_n++;
	return SIO_OK;
}

static void run_jobs(struct net *net)
{
	struct job *jobs = net->jobs;

	net->jobs = NULL;
	net->jobs_end = &net->jobs;
	while (jobs) {
		struct job *job = jobs;
		jobs = job->next;
		job->fn(job->arg);
		loop_job_done(job);
	}
}

static bool has_more(struct net *net)
{
	bool has_posts;

	uv_mutex_lock(&net->post_lock);
	has_posts = net->posts_n > 0;
	uv_mutex_unlock(&net->post_lock);
	for (int i = 0; i < net->pipes_n; i++)
		if (ready(net->pipes[i]))
			return true;
	return net->dirty || net->jobs || net->is_woken || has_posts;
}

bool net_step(struct net *net, uint64_t now_ms)
{
	net_enter(net);
	net->now_ms = now_ms;
	net->is_woken = false;
	net->ops->turn(net->owner);
	for (int i = 0; i < net->pipes_n; i++) {
		uint32_t events = ready(net->pipes[i]);
		if (events)
			conn_ready(net->pipes[i]->conn, events);
	}
	wheel_run(&net->wheel, now_ms);
	loop_run_posts(net);
	run_jobs(net);
	loop_end_turn(net);
	net_leave(net);
	return !net->is_stopped && has_more(net);
}
