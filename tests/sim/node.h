/* node.h -- one server of the simulation, and the hands that play its process.
 *
 * A server is up, frozen (its process stands still, its peers wait) or down.  Whatever enters its
 * loop from outside comes through node_post and waits there while it is frozen.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_SIM_NODE_H
#define TESTS_SIM_NODE_H

#include "sim/sim.h"

#include "collab/client.h"

struct adapter;
struct fake;
struct fake_client;
struct sio_server;
struct store;

struct machine {
	struct sio_server *server;    /* NULL: down */
	struct collab *collab;
	struct store *store;
	struct adapter *adapter;
	struct post *first, **last;   /* what waits for its loop */
	uint64_t life;                /* counts starts */
	bool is_frozen;
	bool is_crashing;             /* nothing that it does now is seen by anybody */
	int64_t wall_off_ms;          /* of its clock */
	uint64_t woke_ms;             /* when it was frozen last */
	uint64_t up_ms, down_ms;      /* when it started, when it ended */
	uint64_t crashed_life;        /* the last life that ended by a crash */
	uint64_t trouble_ms;          /* when its store or its loop was made slow last */
};
extern struct machine machines[SIM_NODES_MAX];

/* Is it there and awake? */
static inline bool node_is_up(unsigned n)
{
	return machines[n].server && !machines[n].is_frozen;
}

void node_start(unsigned n);
void node_end(unsigned n, bool is_crash);
void node_freeze(unsigned n, bool is_frozen);

/* fn(arg) from its loop; when it never comes to that, drop(arg). */
typedef void post_fn(void *arg);
void node_post(unsigned n, post_fn *fn, post_fn *drop, void *arg);

/* One turn of its loop at world.now_ms: timers, what was posted, what is to be written.  true: it
 * had something to do. */
bool node_turn(unsigned n);
/* Milliseconds until its timers want something; UINT64_MAX: never. */
uint64_t node_wait_ms(unsigned n);

uint64_t node_now_ms(unsigned n);
int64_t node_wall_ms(unsigned n);
struct fake *node_fake(unsigned n);

/* The next calls are n's. */
int node_enter(unsigned n); /* returns who was before */
void node_leave(int before);

/* A client at its door, whose packets go to person_hear as long as its user is person. */
struct fake_client *node_open(unsigned n, bool is_polling, void *person);
void node_say(unsigned n, struct fake_client *c, const char *text);
void node_check(unsigned n);   /* all counts and lists of hub and engine agree */
void node_check_idle(unsigned n); /* as when it was started */
struct sio_socket *node_socket(struct fake_client *c);

/* A change of data asked of this server by REST; done(arg, status) is called once. */
enum { WRITE_LOST = 1000 }; /* in place of a status: the server died, nobody answers */
typedef void write_fn(void *arg, int status);
void node_write(unsigned n, struct store_ask ask, write_fn *done, void *arg);

/* ---- store.c ------------------------------------------------------------------------------------- */

void database_open(void);
void database_close(void);
/* One integer of the database, 0 when there is no row. */
int64_t database_int(const char *sql, const char *a, const char *b);
/* Run as a stranger would: the command line, another server. */
void database_run(struct store_ask ask);

struct store *store_begin(unsigned n);
/* All that was asked is answered (is_crash: with "unavailable"), the handles are closed. */
void store_end(struct store *s, bool is_crash);
void store_mute(struct store *s);
/* Faults: until then it answers slowly, or refuses. */
void store_be_slow(struct store *s, uint64_t until_ms);
void store_be_away(struct store *s, uint64_t until_ms);
extern uint64_t store_failed_ms; /* when a session's row could not be written last */

/* ---- adapter.c, redis.c ------------------------------------------------------------------------------ */

struct sio_adapter_ops;
struct adapter *adapter_new(unsigned n);
const struct sio_adapter_ops *adapter_ops(void);
void adapter_crash(struct adapter *a); /* its connections break, its memory goes with close */
bool adapter_is_well(const struct adapter *a, unsigned others_n);

void redis_begin(void);
void redis_end(void);
/* Faults: until then, all links of n stand still; or they are cut, which it is told or not. */
void redis_stall(unsigned n, uint64_t until_ms);
void redis_cut(unsigned n, bool is_told);
void redis_deafen(unsigned n);
void redis_restart(uint64_t until_ms);
void redis_heal(void);

#endif
