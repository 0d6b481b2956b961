/* tls.h -- TLS under a connection: what the other files of net/ ask for.
 *
 * OpenSSL never sees a descriptor.  What was received stands in the worker's buffer
 * and is taken from there; what OpenSSL makes is sent at once, and what the socket
 * does not take waits in the connection.  So no call of OpenSSL ever has to be made
 * again with the same bytes, and nothing blocks but our own sending (decision 0010).
 *
 *   conn.c: recv ─► worker's in ─► tls_feed ─► SSL_read ─► conn_take ─► http_feed, ws_feed
 *   conn.c: put ─► tls_writev ─► SSL_write ─► send; the rest: unsent ─► EPOLLOUT ─► tls_push
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "net/inner.h"

struct ssl_st;
struct ssl_ctx_st;
struct bio_method_st;

enum {
	TLS_RECORD_BYTES = 16384,      /* plain bytes of one record at most */
	TLS_UNSENT_MAX = 131072,       /* more for a peer that does not read: it is cut */
	TLS_HANDSHAKES_A_TURN = 32,    /* a signature takes up to a millisecond: others come between */
	TLS_TICKET_KEY_MS = 43200000,  /* twelve hours, then new keys for session tickets */
};

/* TLS of one worker. */
struct tls {
	struct net *net;
	struct ssl_ctx_st *ctx;        /* of connections that begin now */
	struct bio_method_st *method;
	struct sio_timer rotate;       /* of the ticket keys */
	unsigned handshakes_n;         /* looked at in this turn */
	struct tls_conn *reading;      /* whose bytes these are: */
	const char *at;
	size_t left;
	char in[NET_READ_BYTES];       /* as received */
	char gather[TLS_RECORD_BYTES]; /* small pieces that become one record */
};

/* A connection of a server with TLS.  net_conn's is_tls tells that it is one. */
struct tls_conn {
	struct net_conn conn;          /* first */
	struct ssl_st *ssl;            /* NULL until the first byte came */
	struct buf unsent;             /* encrypted, the socket did not take it yet */
	bool is_shaken;                /* the handshake is complete */
	bool is_ended;                 /* our last record is made; the socket's end follows it */
	bool is_broken;                /* nothing more can be said */
	bool is_flooded;               /* by a peer that makes us answer (key updates) and does not read */
	bool is_counted;               /* among the failures */
};

static inline struct tls_conn *tls_of(const struct net_conn *c)
{
	return (struct tls_conn *)(uintptr_t)c;
}

/* Bytes that wait for the socket?  EPOLLOUT is wanted then. */
static inline bool tls_is_unsent(const struct net_conn *c)
{
	return c->is_tls && tls_of(c)->unsent.n > 0;
}

/* ---- tls_files.c ------------------------------------------------------------------- */

/* A context for servers from PEM files.  Returns 0 and *out with the certificate
 * described in note, or SIO_ERR_INVAL or SIO_ERR_NOMEM with what is wrong in note. */
int tls_ctx_load(const char *cert, const char *key, struct ssl_ctx_st **out, struct net_tls_note *note);

/* ---- tls.c ------------------------------------------------------------------------- */

void tls_free(struct tls *tls);                  /* NULL allowed; no connection is left */
void tls_conn_fini(struct net_conn *c);

/* Must this connection's handshake wait for the next turn? */
bool tls_must_wait(struct net_conn *c);

/* n bytes were received into the worker's in: what they say goes to conn_take. */
void tls_feed(struct net_conn *c, size_t n);

/* As sendmsg: bytes taken, or -1 with errno (EAGAIN: unsent bytes come first).  All or
 * a part may then be unsent; what was taken is not the caller's any more. */
ssize_t tls_writev(struct net_conn *c, const struct iovec *iov, int n);

/* The socket takes bytes again.  Returns whether nothing is unsent; false also when the
 * connection was found broken and is closed. */
bool tls_push(struct net_conn *c);

/* Say that nothing will follow (close_notify).  Returns whether it is sent; if not,
 * tls_push ends the socket's direction when it is. */
bool tls_end(struct net_conn *c);

/* The descriptor is about to be closed: say so if that can be done at once. */
void tls_closing(struct net_conn *c);

#endif
