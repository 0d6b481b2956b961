/* fake_engine.h -- an Engine.IO engine without a network, in simulated time.
 *
 * Plays the part of host/ and net/: a client's wires are flags, what comes down on
 * them is written into the client's log as words that a test compares, for example
 * "get 200 6; closed transport close; gone; ".  A compressed message is "wsz" and its length.  Sessions are freed at the end of a
 * turn, as the real ones are, so AddressSanitizer sees whoever holds one longer;
 * the client with its log stays until fake_forget or fake_free.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_LIB_FAKE_ENGINE_H
#define TESTS_LIB_FAKE_ENGINE_H

#include "engine/app.h"
#include "hub/hub.h"

struct fake;
struct fake_client;

/* What dies with the session. */
struct fake_link {
	struct eio_session session;
	union {
		struct hub_client hub_client;   /* for fake_hub.h */
		struct sio_session app;         /* for fake_app.h */
	};
	struct fake_client *client;
	struct fake_link *next_dead;
};

struct fake_client {
	struct fake *fake;
	struct fake_link *link;         /* NULL: freed */
	struct fake_client *next;
	void *user;
	bool has_wire[EIO_NWIRES];
	size_t takes;                   /* bytes the WebSocket takes before it blocks */
	struct buf stream;              /* bytes of the WebSocket, not a whole frame yet */
	struct buf log;
	unsigned closed_n, gone_n, packets_n;
	char sid[RANDOM_ID_LEN + 1];
};

struct fake {
	struct wheel wheel;
	struct eio_engine engine;
	struct fake_client *clients;
	struct fake_link *dead;
	bool is_quiet;                  /* write no logs */
	uint64_t opened, closed, gone;
	void *user;
	/* Instead of the log, when set. */
	void (*message)(struct fake_client *c, char *data, size_t n, bool is_binary);
	void (*on_closed)(struct fake_client *c, const char *reason);
	void (*on_upgraded)(struct fake_client *c);
	void (*on_drained)(struct fake_client *c);
	void (*on_answer)(struct fake_client *c); /* as a hook that adds headers to it */
	void (*on_flush)(struct fake *f); /* before the flush of a turn */
	/* Each packet that reached the client; attachments come with is_binary. */
	void (*packet)(struct fake_client *c, sio_slice text, bool is_binary);
};

struct fake *fake_new(const struct eio_limits *limits);   /* NULL: the usual ones */
void fake_free(struct fake *f);                           /* ends all, asserts that nothing is left */

/* A handshake.  The open packet waits for the turn's end. */
struct fake_client *fake_open(struct fake *f, enum eio_transport transport);
/* The same, with the open packet delivered and the log cleared. */
struct fake_client *fake_client(struct fake *f, enum eio_transport transport);
void fake_forget(struct fake_client *c);                  /* only when its session is freed */

static inline struct eio_session *fake_session(struct fake_client *c)
{
	return &c->link->session;
}

/* The end of a turn: write what is dirty, free what is gone. */
void fake_turn(struct fake *f);
/* Let time pass, with a turn wherever a timer may be due. */
void fake_run(struct fake *f, uint64_t ms);

/* What the client does. */
void fake_get(struct fake_client *c);                     /* a GET request */
void fake_post(struct fake_client *c, const char *body);  /* a whole POST request */
bool fake_post_begin(struct fake_client *c);
void fake_post_body(struct fake_client *c, const char *body, size_t n);
void fake_hang_up(struct fake_client *c, enum eio_wire wire);
bool fake_probe(struct fake_client *c);                   /* a WebSocket for its sid */
void fake_probe_text(struct fake_client *c, const char *text);
void fake_upgrade(struct fake_client *c);                 /* the whole of it */
void fake_ws(struct fake_client *c, const char *text);    /* a message on its WebSocket */
void fake_ws_binary(struct fake_client *c, const void *p, size_t n);
void fake_ws_takes(struct fake_client *c, size_t bytes);  /* the socket becomes writable for so much */

/* What the application does. */
void fake_send(struct fake_client *c, const char *text);  /* a frame of this text */
void fake_send_volatile(struct fake_client *c, const char *text, uint32_t key);

/* Compare the log with want and clear it. */
#define fake_expect(c, want) fake_expect_at((c), (want), __FILE__, __LINE__)
void fake_expect_at(struct fake_client *c, const char *want, const char *file, int line);
void fake_log(struct fake_client *c, const char *fmt, ...) SIO_PRINTF(2, 3);

/* Is the sid still known? */
bool fake_knows(struct fake *f, const char *sid);
/* Invariants over all sessions; the assertion that fails says which. */
void fake_check(struct fake *f);

/* Small numbers from a seed that the environment variable SEED may set; each test's
 * seed is printed when it fails. */
uint64_t fake_seed(void);
uint32_t fake_random(uint64_t *state, uint32_t below);

#endif
