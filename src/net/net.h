/* net.h -- connections of one worker: listening, reading, writing, closing.
 *
 * The only folder that knows TLS and the descriptors of clients; its loop is the server's,
 * and the adapter over Redis has connections of its own there.  A connection speaks HTTP
 * until its owner turns it into a WebSocket.  Bytes go through the codecs here;
 * what they mean is the business of struct net_ops.  Connections sit in an epoll
 * set of their own, which the loop watches as one descriptor: that is what makes
 * an idle connection cost some sixty bytes.
 *
 * One loop turn: events are read and handled; whatever wants to be written waits;
 * before the loop sleeps again loop_end_turn (loop.c) writes each connection once and then
 * frees what was closed, so a pointer stays good until the end of the turn.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef NET_NET_H
#define NET_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <sio/work.h>

#include "base/buf.h"
#include "base/wheel.h"
#include "codec/http1.h"
#include "codec/ws.h"

struct uv_loop_s;
struct net;
struct net_conn;

struct net_limits {
	struct http1_limits http;
	uint32_t head_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms;
	uint32_t max_conns;
	bool share_port;               /* others may listen on the same port */
};

struct net_ops {
	/* The head of a request is there.  Set the body's limit (http1_set_body_limit),
	 * answer at once (net_reply), or net_ws_accept. */
	void (*head)(struct net_conn *c, struct http1_request *req);
	/* The whole request is there: answer it with net_reply, now or later. */
	void (*request)(struct net_conn *c, struct http1_request *req);
	/* The request cannot be read: give the body of the refusal. */
	void (*refuse)(struct net_conn *c, int status);
	/* Plain HTTP came where TLS is spoken: give the body of the refusal. */
	void (*refuse_plain)(struct net_conn *c);
	/* TLS with this peer has failed, or was broken later; why is OpenSSL's word for it. */
	void (*tls_failed)(struct net_conn *c, const char *why);
	/* What a WebSocket's messages may have; its inflater is set here. */
	struct ws_limits (*ws_limits)(const struct net_conn *c);
	/* A WebSocket message or control frame; data may be changed. */
	void (*ws_message)(struct net_conn *c, enum ws_op op, char *data, size_t n);
	/* The WebSocket broke its rules; the code for the close frame. */
	void (*ws_fault)(struct net_conn *c, int code);
	/* What the socket did not take before may go on; of a connection that is relayed or
	 * answered by net_put: all of it is written. */
	void (*writable)(struct net_conn *c);
	/* Bytes of a connection that is relayed. */
	void (*relayed)(struct net_conn *c, const char *p, size_t n);
	/* The peer has sent its last byte while its request is being answered. */
	void (*eof)(struct net_conn *c);
	/* The peer has gone, or a time-out has passed; the connection is closed. */
	void (*gone)(struct net_conn *c);
	/* net_now_ms has moved on: callbacks of this turn follow. */
	void (*turn)(void *owner);
	/* The end of a turn: write what waits. */
	void (*flush)(void *owner);
	/* All of it is written: so long ago the turn began.  Not without a loop.  May be NULL. */
	void (*turned)(void *owner, uint64_t took_ns);
	/* The process was asked to end (net_watch_signals). */
	void (*signalled)(void *owner);
	/* net_stop is complete: no handle is left, net_free may follow. */
	void (*stopped)(void *owner);
};

enum net_mode {
	NET_HTTP,     /* reading requests */
	NET_WS,       /* a WebSocket with an owner */
	NET_RELAY,    /* bytes that somebody else understands */
	NET_DRAIN,    /* last bytes go out, then what comes in is thrown away until the end */
	NET_DEAD,     /* closed; the memory goes at the end of the turn */
};

/* What a connection needs only at times; an idle WebSocket has none. */
struct net_side {
	struct sio_timer timer;        /* whatever deadline holds now */
	struct net_conn *conn;
	struct net_conn *next_dirty;
	struct net_side *next_spare;
	struct http1_reader *reader;
	struct buf in;                 /* requests that must wait for an answer */
	struct buf out;                /* our bytes: answers, close frames; from out_sent on */
	size_t out_sent;
	bool is_busy;                  /* a request is being answered */
	bool is_last;                  /* close once out is written */
	bool is_head_only;             /* the request was HEAD */
	bool is_dirty;
	bool has_answered;             /* on_head answered: the rest of the request is dropped */
};

struct net_conn {
	struct net *net;
	void *owner;
	struct net_side *side;
	struct ws_reader *ws;
	struct net_conn *next, *prev;  /* of all, or of the dead */
	int fd;
	uint8_t mode;                  /* enum net_mode */
	uint8_t interest;              /* what epoll watches */
	uint8_t deflate_bits;          /* window of the peer for what we compress; 0: permessage-deflate was not
	                                * negotiated */
	bool is_blocked : 1;           /* the last write did not take all */
	bool is_eof : 1;               /* the peer has sent its last byte */
	bool is_tls : 1;               /* it is a struct tls_conn (tls.h) */
	bool is_paused : 1;            /* nothing is read: the owner has enough to do (net_pause) */
	bool is_far : 1;               /* it has no socket: see far.c */
};

/* Counted by the network. */
struct net_stats {
	uint64_t conns, requests, refused, bytes_in, bytes_out, writes;
	uint64_t tls_handshakes, tls_failures;
};

/* ---- the worker (loop.c) -------------------------------------------------------- */

/* loop NULL: without sockets, see below. */
int net_new(struct uv_loop_s *loop, const struct net_limits *limits, const struct net_ops *ops, void *owner,
	    struct net **out);
int net_listen(struct net *net, const char *host, uint16_t port);
uint16_t net_port(const struct net *net);

/* Speak TLS on connections that are accepted from now on, with the certificate chain
 * and the key of these PEM files.  Again: new handshakes use what the files hold now,
 * connections that are open keep what they have.  note tells what was read, or what is
 * wrong with which file.  Returns 0, SIO_ERR_INVAL or SIO_ERR_NOMEM (then nothing has
 * changed). */
struct net_tls_note {
	char text[640];
	bool is_warning;               /* it works, but should not stay so */
};
int net_tls(struct net *net, const char *cert, const char *key, struct net_tls_note *note);

void net_run(struct net *net);
/* Stop listening now; close connections that are idle, the rest after drain_ms. */
void net_stop(struct net *net, uint32_t drain_ms);
void net_free(struct net *net);
/* Call net_ops.signalled for SIGINT and SIGTERM. */
int net_watch_signals(struct net *net);
/* Around everything from which the owner's callbacks may be called; net does it by itself
 * for its own.  net_is_inside: one of them has not returned yet.  net_begin_turn is a
 * net_enter by whom something outside has woken: the time is read anew. */
void net_begin_turn(struct net *net);
void net_enter(struct net *net);
void net_leave(struct net *net);
bool net_is_inside(const struct net *net);
struct wheel *net_wheel(struct net *net);
uint64_t net_now_ms(const struct net *net);
void *net_owner(const struct net *net);
const struct net_stats *net_stats(const struct net *net);
void net_relax(struct net *net);           /* see inflater_relax */
void net_count_refused(struct net *net);   /* one more request answered with our own 4xx or 503 */
int net_post(struct net *net, sio_post_fn *fn, void *arg);                           /* any thread */
void net_wake(struct net *net);            /* another turn comes without waiting */
int net_work(struct net *net, sio_post_fn *work, sio_post_fn *done, void *arg);

/* ---- without sockets (pipe.c) -------------------------------------------------------

 * A net of no loop has no descriptors either; net_listen and net_watch_signals fail with
 * EOPNOTSUPP.  Its connections are pipes, its time and its turns are given to it. */

/* The far end of a connection made of memory.  The caller reads out and appends to in;
 * both are its to free, after net_free. */
struct net_pipe {
	struct net_conn *conn;         /* NULL: our side has closed it */
	struct buf in;                 /* from the peer, not read yet */
	struct buf out;                /* to the peer */
	size_t takes;                  /* bytes that still fit in out; SIZE_MAX: any number */
	bool is_ended;                 /* the peer has sent its last byte */
	bool is_broken;                /* reading and writing fail */
	bool is_shut;                  /* nothing is appended to out any more */
	char address[64];              /* the peer's */
};

/* Connect a pipe that is zero but for its address.  0, SIO_ERR_CLOSED, SIO_ERR_NOMEM. */
int net_pipe_open(struct net *net, struct net_pipe *pipe);

/* One turn at now_ms: what pipes bring, timers, posts, jobs, the flush.  Returns whether
 * another one at the same time has something to do. */
bool net_step(struct net *net, uint64_t now_ms);

/* ---- connections that others carry (far.c) -------------------------------------------

 * A connection whose socket is somewhere else.  One request is read from it, and
 * answered; or it becomes a WebSocket.  Its bytes come by net_far_feed and go to ops. */

enum net_far_end {
	NET_FAR_DONE,                  /* the request is answered, the client may send others elsewhere */
	NET_FAR_CLOSE,                 /* nothing follows what was written */
	NET_FAR_CUT,                   /* it is cut off */
};

struct net_far;
struct net_far_ops {
	/* As writev: bytes taken, 0 when none can be taken now, or -1. */
	ssize_t (*write)(struct net_far *far, const struct iovec *iov, int n);
	/* It reads again, see net_far_is_reading. */
	void (*reading)(struct net_far *far);
	/* Our side has ended it; conn is NULL from now on. */
	void (*ended)(struct net_far *far, enum net_far_end how);
};

struct net_far {
	const struct net_far_ops *ops;
	struct net_conn *conn;         /* NULL: ended */
	bool is_secure;                /* what net_is_secure and net_address say */
	char address[64];
};

/* Begin one; ops, is_secure and address are set.  0, SIO_ERR_CLOSED, SIO_ERR_NOMEM. */
int net_far_open(struct net *net, struct net_far *far);
/* The client has sent these.  The connection may be ended by it. */
void net_far_feed(struct net_conn *c, const char *p, size_t n);
/* What the client sends cannot be read any further: as net_ops.refuse. */
void net_far_refuse(struct net_conn *c, int status);
/* Bytes can be taken again. */
void net_far_writable(struct net_conn *c);
/* The client has gone; ops hear no more of it. */
void net_far_cut(struct net_conn *c);
/* false: what was fed waits in the connection, and more would have to. */
bool net_far_is_reading(const struct net_conn *c);
/* NULL: it has a socket. */
struct net_far *net_far_of(const struct net_conn *c);
/* Write now what would be written at the end of the turn, on all of them. */
void net_far_flush(struct net *net);

/* ---- and those that we carry for others (relay.c) --------------------------------------- */

/* In the head callback: what the connection brings goes to net_ops.relayed from now on. */
void net_relay(struct net_conn *c);
/* Nothing was sent to it since: it is a request again, to be answered with net_reply_last. */
void net_relay_back(struct net_conn *c);
/* Send bytes as they are: to a relayed connection, or as a part of the answer to a request. */
void net_put(struct net_conn *c, sio_slice bytes);
/* That was the last of them.  The owner hears no more.  A relayed connection is closed. */
void net_put_end(struct net_conn *c, bool closes);
/* The request cannot be read any further; its answer comes later. */
void net_hold(struct net_conn *c);

/* ---- connections that change their worker (relay.c) --------------------------------------- */

/* Could it go on in another worker, which gets its descriptor and what was read since it was
 * made a relay?  Not with TLS, whose state stays here, nor with an answer half written. */
bool net_can_pass(const struct net_conn *c);
/* A descriptor for the other worker, or -1; c goes on until it is closed (net_passed). */
int net_pass_fd(const struct net_conn *c);
/* The other one has it: c ends here, and the owner hears no more. */
void net_passed(struct net_conn *c);
/* Go on with a connection of another worker, from which bytes were read; fd is ours. */
void net_adopt(struct net *net, int fd, sio_slice bytes);

/* ---- one connection --------------------------------------------------------------- */

/* Answer the request that is being read or answered.  headers: lines ending in CRLF,
 * or empty; content_type may be NULL.  The body is copied. */
void net_reply(struct net_conn *c, int status, const char *content_type, sio_slice headers, sio_slice body);
/* Answer it and close the connection afterwards. */
void net_reply_last(struct net_conn *c, int status, const char *content_type, sio_slice headers, sio_slice body);

/* Take the reader of an unanswered request, so that its slices outlive the
 * connection; who takes it frees it (http1_free).  Once, from the gone callback. */
struct http1_reader *net_take_reader(struct net_conn *c);

/* In the head callback, or later in the place of an answer: become a WebSocket with a
 * 101.  deflate_bits: see struct net_conn; headers say so. */
void net_ws_accept(struct net_conn *c, const char accept[29], unsigned deflate_bits, sio_slice headers);
/* A small message outside any queue; the caller knows that no frame is half written. */
void net_ws_write(struct net_conn *c, enum ws_op op, sio_slice payload);
/* Close frame (code 0: empty; < 0: none), then the end; the owner hears no more. */
void net_ws_close(struct net_conn *c, int code);
/* The close handshake is done: nothing but the end of TCP is left.  The owner hears no more. */
void net_ws_finish(struct net_conn *c);
/* Read nothing from a WebSocket until told otherwise. */
void net_pause(struct net_conn *c, bool is_paused);

/* Write now.  Returns bytes taken (fewer than given: is_blocked is set and writable
 * will be called), or -1 when the connection is broken. */
ssize_t net_writev(struct net_conn *c, struct iovec *iov, int n);

/* Cut it.  The owner hears no more.  The memory goes at the end of the turn. */
void net_close(struct net_conn *c);

/* Does the peer speak TLS with us? */
bool net_is_secure(const struct net_conn *c);

/* The peer's address as text. */
void net_address(const struct net_conn *c, char out[64]);

#endif
