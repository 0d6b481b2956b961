/* handshake.h -- a client at the door, while the application is asked about it.
 *
 * The answer may come inside of the question or later; the client may go away or lose
 * its patience before.  Knows neither HTTP nor the connection that waits: what is to be
 * done with it goes through struct handshake_ops.
 *
 *          asked --answered inside--> answered
 *            |
 *            +--> held --answered--> answered
 *                  |
 *                  +--client gone, time-out--> gone --answered--> (freed, nothing else)
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef ENGINE_HANDSHAKE_H
#define ENGINE_HANDSHAKE_H

#include <sio/handshake.h>

#include "base/buf.h"
#include "base/wheel.h"

enum handshake_state { HANDSHAKE_ASKED, HANDSHAKE_HELD, HANDSHAKE_GONE, HANDSHAKE_ANSWERED };
enum handshake_verdict { HANDSHAKE_OPEN, HANDSHAKE_ACCEPTED, HANDSHAKE_REFUSED };

struct handshake_ops {
	/* It was answered: hs->verdict and hs->message say how.  handshake_fini and the
	 * memory are the callee's business. */
	void (*answered)(struct sio_handshake *hs);
	/* The answer is awaited: keep the client. */
	void (*held)(struct sio_handshake *hs);
	/* It waited too long: turn the client away.  hs stays until it is answered. */
	void (*late)(struct sio_handshake *hs);
	/* It was answered after the client had gone: free it. */
	void (*free)(struct sio_handshake *hs);
};

struct sio_handshake {
	const struct handshake_ops *ops;
	struct sio_server *server;
	const struct sio_request *request;
	struct sio_timer timer;        /* while HELD */
	enum sio_handshake_kind kind;
	enum handshake_state state;
	enum handshake_verdict verdict;
	struct buf message;            /* of a refusal */
};

/* Ask fn about hs, whose ops, server, request and kind are set and the rest zero. */
void handshake_ask(struct sio_handshake *hs, struct wheel *wheel, uint64_t now_ms, sio_handshake_fn *fn, void *arg);

/* The client of a held one has gone. */
void handshake_gone(struct sio_handshake *hs);
void handshake_fini(struct sio_handshake *hs);

#endif
