/* door.h -- a client at the door, while the application is asked about it.
 *
 * The answer may come inside of the question or later; the client may go away or lose
 * its patience before.  Knows neither HTTP nor the connection that waits: what is to be
 * done with it goes through struct door_ops.
 *
 *          asked --answered inside--> answered
 *            |
 *            +--> held --answered--> answered
 *                  |
 *                  +--client gone, time-out--> gone --answered--> (freed, nothing else)
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef ENGINE_DOOR_H
#define ENGINE_DOOR_H

#include <sio/handshake.h>

#include "base/buf.h"
#include "base/guard.h"
#include "base/wheel.h"

enum door_state { DOOR_ASKED, DOOR_HELD, DOOR_GONE, DOOR_ANSWERED };
enum door_verdict { DOOR_OPEN, DOOR_ACCEPTED, DOOR_REFUSED };

struct door_ops {
	/* It was answered: hs->verdict and hs->message say how.  door_fini and the
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
	const struct door_ops *ops;
	struct sio_server *server;
	const struct guard *guard;     /* the server's; of use while the client is there */
	const struct sio_request *request;
	struct sio_timer timer;        /* while HELD */
	uint32_t timeout_ms;           /* how long it may be held */
	enum sio_handshake_kind kind;
	enum door_state state;
	enum door_verdict verdict;
	struct buf message;            /* of a refusal */
};

/* Ask fn about hs, whose ops, server, guard, request, time-out and kind are set and the rest zero. */
void door_ask(struct sio_handshake *hs, struct wheel *wheel, uint64_t now_ms, sio_handshake_fn *fn, void *arg);

/* The client of a held one has gone. */
void door_gone(struct sio_handshake *hs);
void door_fini(struct sio_handshake *hs);

#endif
