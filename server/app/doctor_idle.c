/* doctor_idle.c -- see doctor.h: does a connection on which nothing is said live until the
 * server speaks?  A poll and a WebSocket are idle side by side, a thread each, so that it
 * takes one ping interval and not two.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <pthread.h>
#include <stdio.h>

#include "app/doctor.h"

enum {
	SLACK_MS = 3000,  /* behind the ping interval, when --wait is not given */
	LATE_MS = 2000,   /* a ping that came so much later than it should was held back */
};

struct idle {
	struct doctor_session s;
	const char *check;
	long wait_ms;
	pthread_t thread;
	/* What its thread has found. */
	enum doctor_cause cause;
	unsigned pings;
	long ping_ms;     /* the longest silence before a ping */
	long ms;          /* how long it lived */
};

/* ---- what the threads do ------------------------------------------------------------- */

static bool is_cut(enum doctor_cause cause)
{
	return cause == DOCTOR_CUT || cause == DOCTOR_GATEWAY_LATE || cause == DOCTOR_GATEWAY;
}

static void note_ping(struct idle *i, int64_t *since)
{
	long silence = (long)(cli_now_ms() - *since);

	if (silence > i->ping_ms)
		i->ping_ms = silence;
	i->pings++;
	*since = cli_now_ms();
}

static void *idle_polling(void *arg)
{
	struct idle *i = arg;
	int64_t begun = cli_now_ms(), since = begun, left;
	sio_slice ping;

	while (!i->cause && (left = begun + i->wait_ms - cli_now_ms()) > 0) {
		i->cause = doctor_poll(&i->s, (long)left);
		if (i->cause == DOCTOR_NO_ANSWER) { /* the time is over, and nobody has ended it */
			i->cause = DOCTOR_NO_CAUSE;
			break;
		}
		if (is_cut(i->cause))
			i->cause = DOCTOR_IDLE_CUT;
		if (!i->cause && doctor_packet(&i->s, "2", &ping)) {
			note_ping(i, &since);
			i->cause = doctor_post(&i->s, SIO_LIT("3"));
		}
	}
	i->ms = (long)(cli_now_ms() - begun);
	return NULL;
}

static void *idle_ws(void *arg)
{
	struct idle *i = arg;
	int64_t begun = cli_now_ms(), since = begun, left;
	enum cli_trouble trouble = CLI_FINE;
	sio_slice answer;

	while (trouble == CLI_FINE && (left = begun + i->wait_ms - cli_now_ms()) > 0) {
		trouble = cli_ws_next(i->s.ws, (long)left, &answer);
		if (trouble == CLI_FINE && answer.n == 1 && answer.p[0] == '2') {
			note_ping(i, &since);
			if (!cli_ws_send(i->s.ws, SIO_LIT("3")))
				trouble = CLI_CUT;
		}
	}
	i->ms = (long)(cli_now_ms() - begun);
	/* Not ended, and not only for want of somebody who says so: it still carries both ways. */
	if (trouble == CLI_CUT || !cli_ws_send(i->s.ws, SIO_LIT("40" DOCTOR_ECHO ",")) ||
	    !doctor_ws_for(&i->s, "44" DOCTOR_ECHO, "40" DOCTOR_ECHO, DOCTOR_ANSWER_MS, &answer, &trouble))
		i->cause = DOCTOR_IDLE_CUT;
	return NULL;
}

/* ---- telling --------------------------------------------------------------------------- */

static void tell(struct doctor *d, const struct idle *i)
{
	long due_ms = (long)d->interval_ms;

	if (i->cause == DOCTOR_IDLE_CUT)
		doctor_tell(d, DOCTOR_FAULT, i->check, i->cause, i->ms, "the idle connection ended after %ld ms (status %ld); the server's ping is due after %ld ms",
			    i->ms, i->s.x.status, due_ms);
	else if (i->cause)
		doctor_tell_answer(d, i->check, i->cause, &i->s.x);
	else if (i->pings && i->ping_ms > due_ms + LATE_MS)
		doctor_tell(d, DOCTOR_FAULT, i->check, DOCTOR_HELD_BACK, i->ms, "the server's ping came after %ld ms, and was due after %ld", i->ping_ms, due_ms);
	else if (i->pings)
		doctor_tell(d, DOCTOR_OK, i->check, DOCTOR_NO_CAUSE, i->ms, "it lived, and the ping came after %ld ms", i->ping_ms);
	else if (i->wait_ms > due_ms + LATE_MS)
		doctor_tell(d, DOCTOR_FAULT, i->check, DOCTOR_PING_MISSING, i->ms, "no ping within %ld ms; it was due after %ld", i->ms, due_ms);
	else
		doctor_tell(d, DOCTOR_OK, i->check, DOCTOR_NO_CAUSE, i->ms, "it lived for %ld ms; the first ping is due after %ld, which --wait %ld would see",
			    i->ms, due_ms, (due_ms + SLACK_MS) / 1000 + 1);
}

/* ---- both ------------------------------------------------------------------------------- */

/* Begin to be idle.  False: there is no session, or no thread, and that was told. */
static bool start(struct idle *i, bool is_ws)
{
	sio_slice open;
	enum cli_trouble trouble;

	i->cause = is_ws ? doctor_open_ws(&i->s) : doctor_open_polling(&i->s, &open);
	if (!i->cause && is_ws && !doctor_ws_for(&i->s, "0{", NULL, DOCTOR_ANSWER_MS, &open, &trouble))
		i->cause = DOCTOR_SWALLOWED;
	if (i->cause) {
		doctor_tell_answer(i->s.d, i->check, i->cause, &i->s.x);
		return false;
	}
	return pthread_create(&i->thread, NULL, is_ws ? idle_ws : idle_polling, i) == 0;
}

void doctor_idle(struct doctor *d)
{
	long wait_ms = d->wait_ms >= 0 ? d->wait_ms : (long)d->interval_ms + SLACK_MS;
	struct idle poll = { .s = { .d = d }, .check = "idle-polling", .wait_ms = wait_ms };
	struct idle ws = { .s = { .d = d }, .check = "idle-websocket", .wait_ms = wait_ms };
	bool has_poll, has_ws;

	if (wait_ms == 0)
		return;
	has_poll = d->has_polling && start(&poll, false);
	has_ws = d->has_websocket && start(&ws, true);
	if (has_poll) {
		pthread_join(poll.thread, NULL);
		tell(d, &poll);
	}
	if (has_ws) {
		pthread_join(ws.thread, NULL);
		tell(d, &ws);
	}
	doctor_session_fini(&poll.s);
	doctor_session_fini(&ws.s);
}
