/* inner.h -- what the files of net/ share with each other.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef NET_INNER_H
#define NET_INNER_H

#include <uv.h>

#include "base/map.h" /* MAP_OWNER */
#include "codec/deflate.h"
#include "net/net.h"

enum {
	NET_READ_BYTES = 65536,      /* one read; the buffer is the worker's */
	NET_IN_MAX = 131072,         /* pipelined bytes that may wait, then we stop reading */
	NET_OUT_MAX = 1048576,       /* unsent answers, then pipelined requests wait */
	NET_CONTROL_MAX = 4096,      /* unsent small WebSocket messages, then more are dropped */
	NET_REQUESTS_A_TURN = 32,    /* of one connection, then others come first */
	NET_EVENTS = 512,
	NET_ACCEPTS_A_TURN = 128,
	NET_SPARE_SIDES = 128,       /* kept for the next connections, with their readers */
	NET_KEEP_BYTES = 1024,       /* a larger buffer of a side is not kept */
	NET_DRAIN_MS = 2000,         /* after our last byte, for the peer to close */
	NET_STILL_MS = 1000000,      /* the time when a net without a loop begins */
};

/* One listening socket.  Its first member tells it from a connection. */
struct net_listener {
	struct net *net;
	struct net_listener *next;
	int fd;
};

struct post {
	sio_post_fn *fn;
	void *arg;
};

/* Work for the pool. */
struct job {
	uv_work_t work;
	struct net *net;
	struct job *next;            /* without a loop: in the order of net_work */
	sio_post_fn *fn, *done;
	void *arg;
};
struct tls;

struct net {
	uv_loop_t *loop;             /* NULL: none, net_step is called instead (pipe.c) */
	struct net_limits limits;
	const struct net_ops *ops;
	void *owner;
	struct tls *tls;             /* NULL: connections are plain */
	uv_poll_t poll;              /* the epoll set below */
	uv_timer_t timer;            /* the wheel's next deadline */
	uv_prepare_t turn;           /* end of a turn */
	uv_async_t wake;             /* posts of other threads */
	uv_signal_t signals[2];      /* SIGINT and SIGTERM, when watched */
	unsigned signals_n;
	int handles_n;               /* of all these, not closed yet */
	int epoll_fd;
	int reserve_fd;              /* given up to accept and refuse when descriptors run out */
	struct wheel wheel;
	uint64_t now_ms;
	uint64_t turn_ns;            /* when this turn began; 0: nothing has been handled in it */
	struct net_listener *listeners;
	struct net_conn *conns;
	struct net_conn *dirty, **dirty_end; /* have own bytes to write, or requests that waited */
	uint32_t dirty_n;
	struct net_conn *dead;
	struct net_side *spare;      /* handshakes come and go: their memory is used again */
	unsigned spare_n;
	struct net_stats stats;
	struct inflater *inflater;   /* of all connections; made for the first that negotiated permessage-deflate */
	uint64_t works;              /* pool jobs under way */
	unsigned depth;              /* callbacks that have not returned */
	bool is_stopping, is_stopped;
	bool is_woken;               /* net_wake, without a loop */
	struct sio_timer drain;
	time_t date_s;               /* of the cached Date header */
	char date[40];
	uv_mutex_t post_lock;
	struct post *posts;          /* ring of SIO_POST_MAX at most */
	uint32_t posts_cap, posts_n;
	bool posts_closed;
	struct net_pipe **pipes;     /* by -1 - net_conn.fd; these three without a loop only */
	int pipes_n, pipes_cap;
	struct job *jobs, **jobs_end;
	char buf[NET_READ_BYTES];
};

/* listen.c */
void listener_ready(struct net_listener *l);
void listener_close(struct net_listener *l);

/* conn.c */
struct net_conn *conn_new(struct net *net, int fd);
bool conn_begin(struct net_conn *c, struct net *net, int fd); /* zeroed memory joins the others; false: no memory */
void conn_ready(struct net_conn *c, uint32_t events);
void conn_watch(struct net_conn *c);
struct net_side *conn_side(struct net_conn *c);        /* made when there is none; NULL: no memory */
void side_free(struct net_side *side);                 /* NULL allowed */
void conn_deadline(struct net_conn *c, uint32_t ms);   /* 0: none */
void conn_mark_dirty(struct net_conn *c);
void conn_flush(struct net_conn *c);                   /* own bytes */
void conn_take(struct net_conn *c, char *p, size_t n); /* bytes of the protocol above; may be changed */
void conn_eof(struct net_conn *c);                     /* the peer has said its last byte */
void conn_half_close(struct net_conn *c);              /* of a draining one: our direction ends */
void conn_lost(struct net_conn *c);                    /* close, and tell the owner */
void conn_fail(struct net_conn *c);                    /* as conn_lost, but let out what was said last */
void conn_free(struct net_conn *c);
void conn_tidy(struct net_conn *c);                    /* give back a side that is not needed */

/* http.c */
void http_feed(struct net_conn *c, const char *p, size_t n);
void http_resume(struct net_conn *c);
const char *net_date(struct net *net);

/* ws.c */
void ws_feed(struct net_conn *c, char *p, size_t n);

/* loop.c */
void net_check_stopped(struct net *net);
void loop_run_posts(struct net *net);
void loop_job_done(struct job *job);
void loop_end_turn(struct net *net);

/* pipe.c */
ssize_t pipe_read(struct net_conn *c, char *p, size_t n);
ssize_t pipe_write(struct net_conn *c, const struct iovec *iov, int n);
void pipe_shut(struct net_conn *c);
void pipe_close(struct net_conn *c);
void pipe_address(const struct net_conn *c, char out[64]);

/* far.c: a connection without a socket of its own */
struct far_conn {
	struct net_conn conn;        /* first */
	struct net_far *far;         /* NULL: its end is told */
};
ssize_t far_write(struct net_conn *c, const struct iovec *iov, int n);
void far_watch(struct net_conn *c);
void far_shut(struct net_conn *c);
void far_close(struct net_conn *c);
void far_done(struct net_conn *c);   /* its one request is answered */

#endif
