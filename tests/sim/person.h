/* person.h -- a client: a stock Socket.IO client and the application behind it.
 *
 *	AWAY --come--> OPENING --open packet--> ASKING --CONNECT--> IN
 *	  ^                                                          |
 *	  +---- closed, lost, told to go, gave up -------------------+
 *
 * It keeps what a stock client keeps (private id, last offset) and what an application would: in
 * which projects it is, the number of the last event of each, who is there.  Each word that it hears
 * is held against that at once (hear.c).
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_SIM_PERSON_H
#define TESTS_SIM_PERSON_H

#include "sim/sim.h"

struct fake_client;

enum person_state { PERSON_AWAY, PERSON_OPENING, PERSON_ASKING, PERSON_IN };

struct view { /* of a project */
	bool wants;             /* its user has it open */
	bool is_in;             /* it was told that it is in, and not that it is not */
	bool is_asking;         /* a join is under way */
	bool is_leaving;
	bool is_returning;      /* its session is back: so must be this project, or a word that it is not */
	bool may_return;        /* it is out, but its session may not know that */
	bool has_last;
	bool is_unsure;         /* that it left could not be written into its session */
	int64_t last;           /* number of the last event */
	uint64_t left_ms;       /* when it was told last that it is out */
	uint64_t asked_ms, in_ms; /* when it asked, when it was told */
	uint8_t there[(SIM_USERS_MAX + 7) / 8]; /* whom it sees */
};

struct cursor {
	uint32_t gen, n; /* connection and move of who moves it */
};

struct person {
	unsigned i, user;
	enum person_state state;
	unsigned node;          /* where it is, or was last */
	uint64_t life;          /* of that server */
	struct fake_client *c;  /* NULL: away */
	bool is_polling;
	bool is_lost;           /* its network is gone, and nobody knows */
	bool owes_pong, has_work;
	struct person *next_work;
	uint64_t since_ms;      /* when it came to this state */
	uint64_t heard_ms;      /* from its server */
	uint64_t slow_ms;       /* it reads nothing until then; 0: it reads */
	uint64_t read_ms;       /* when it began to read again: what it hears then is old */
	uint64_t back_ms;       /* when its session came back: UINT64_MAX, it did not */
	char sid[24], pid[24], offset[48];
	bool has_named;         /* its CONNECT names a session */
	bool was_ended;         /* one that has ended for good */
	uint64_t ended_ms, ended_life;
	unsigned ended_node;
	bool has_note;
	int64_t note;           /* number of the last notification in its user's stream */
	uint32_t gen, moves;    /* connections so far, cursor moves in this one */
	struct cursor *cursors; /* last one heard, of each person in each project */
	struct view views[SIM_PROJECTS];
};
extern struct person people[SIM_CLIENTS_MAX];

static inline bool view_sees(const struct view *v, unsigned user)
{
	return v->there[user / 8] >> user % 8 & 1;
}

void person_begin(void);
void person_end(void);

/* ---- what others call ---- */
void person_hear(void *person, sio_slice text);  /* a packet of Engine.IO */
void person_stir(void *person);                  /* something has changed: it looks soon */
void person_turn_all(void);
void person_server_woke(unsigned node);           /* its clients are answered again */
/* A word that a session has left a project could not be written. */
void person_row_failed(sio_slice pid, sio_slice project);
void person_server_gone(unsigned node);          /* its clients have no connection any more */

/* ---- what it does ---- */
void person_come(struct person *p);
void person_say(struct person *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void person_join(struct person *p, unsigned project);
void person_leave(struct person *p, unsigned project);
/* The connection is gone for it; is_told: for the server, too. */
void person_lose(struct person *p, bool is_told);
void person_quit(struct person *p);              /* DISCONNECT */
void person_forget(struct person *p);            /* a new page: no session any more */
void person_act(struct person *p);               /* something, by chance */
void person_look(struct person *p);              /* has it waited for too long? */

/* ---- hear.c ---- */
void hear_packet(struct person *p, sio_slice text); /* of Socket.IO, behind its "4" */
/* With everything healed: it has heard all there is, and sees who is there. */
void hear_check_calm(struct person *p);

#endif
