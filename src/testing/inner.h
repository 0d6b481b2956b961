/* inner.h -- what the files of testing/ share with each other.
 *
 * A peer is one connection with a WebSocket on it, a client one namespace over a peer.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTING_INNER_H
#define TESTING_INNER_H

#include <sio/testing.h>

#include "host/host.h"

/* One thing that a client has heard, with all its bytes behind it. */
struct heard {
	struct heard *next;
	struct sio_test_event event;
	sio_slice attachments[SIO_ATTACHMENTS_MAX];
	char bytes[];
};

struct sio_test_client {
	struct peer *peer;
	struct sio_test_client *next;   /* of the same peer */
	char *nsp, *auth;
	bool is_asking;                 /* its CONNECT is out, or waits for the session */
	bool is_connected;
	uint64_t next_ack;
	struct heard *first, **end;
	struct heard *current;          /* handed out last */
	struct buf words;
};

/* A binary packet whose attachments are on their way. */
struct partial {
	struct buf text, bytes;
	size_t ends[SIO_ATTACHMENTS_MAX];
	unsigned got_n, want_n;
};

struct peer {
	struct testing *testing;
	struct peer *next;
	struct net_pipe pipe;
	struct sio_test_client *clients;
	struct partial partial;
	bool is_websocket;              /* the answer 101 has come */
	bool is_open;                   /* the open packet has come */
	bool is_silent;
	bool is_over;                   /* its clients have heard of the end */
};

struct sio_test_request {
	struct sio_test_request *next;
	struct testing *testing;
	struct net_pipe pipe;
	bool is_head;                   /* the method is HEAD: no body follows */
	int status;
	sio_slice head, body;           /* of the answer, in pipe.out */
};

struct testing {
	struct sio_server *server;
	struct peer *peers;
	struct sio_test_request *requests;
};

/* server.c */
void testing_settle(struct testing *t);  /* until nobody has anything left to do now */
struct testing *testing_of(struct sio_server *server); /* NULL: it has a network */

/* peer.c */
struct peer *peer_new(struct testing *t, const struct sio_test_handshake *handshake);
void peer_free(struct peer *peer);
bool peer_read(struct peer *peer);       /* whether the server has something to do about it */
/* Send the client's CONNECT, now or as soon as the session is open.  Errors as peer_send. */
int peer_ask(struct sio_test_client *client);
int peer_check(const struct packet *p);  /* SIO_ERR_INVAL: no client may send that */
/* Send p and its attachments.  0, SIO_ERR_CLOSED, SIO_ERR_INVAL, SIO_ERR_NOMEM. */
int peer_send(struct peer *peer, const struct packet *p, const sio_slice *attachments);
void peer_frame(struct peer *peer, enum ws_op op, sio_slice payload);

/* client.c */
void client_hear(struct sio_test_client *client, const struct sio_test_event *event);
void client_free(struct sio_test_client *client);

/* request.c */
void request_free(struct sio_test_request *req);

/* The value of a header among the lines of a head; empty when absent. */
sio_slice head_find(sio_slice head, const char *name);

#endif
