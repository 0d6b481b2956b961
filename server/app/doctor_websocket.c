/* doctor_websocket.c -- see doctor.h: a WebSocket by itself, and as the upgrade of a
 * polling session.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <string.h>

#include "app/doctor.h"

enum { FRAME_MAX = 8 * 1024 * 1024 /* what is tried of a larger maxPayload */ };

/* Something that every server answers at once. */
static bool echo(struct doctor_session *s, enum cli_trouble *trouble)
{
	sio_slice answer;

	*trouble = CLI_CUT;
	return cli_ws_send(s->ws, SIO_LIT("40" DOCTOR_ECHO ",")) &&
	       doctor_ws_for(s, "44" DOCTOR_ECHO, "40" DOCTOR_ECHO, DOCTOR_ANSWER_MS, &answer, trouble);
}

/* CONNECT with the token, and what comes of it. */
static bool connect_nsp(struct doctor_session *s, enum cli_trouble *trouble)
{
	struct buf b = { 0 };
	sio_slice answer;
	bool is_answered;

	*trouble = CLI_CUT;
	is_answered = doctor_put_connect(s->d, &b) && cli_ws_send(s->ws, buf_peek(&b)) &&
		      doctor_ws_for(s, "40", "44", DOCTOR_ANSWER_MS, &answer, trouble);
	if (is_answered)
		doctor_tell_connect(s->d, answer);
	buf_fini(&b);
	return is_answered;
}

/* A WebSocket that was opened came to nothing. */
static void tell_silence(struct doctor_session *s, const char *check, enum cli_trouble trouble, const char *when)
{
	if (trouble == CLI_TOO_LATE)
		doctor_tell(s->d, DOCTOR_FAULT, check, DOCTOR_SWALLOWED, s->x.ms, "101, then no answer %s within %d ms", when, DOCTOR_ANSWER_MS);
	else
		doctor_tell(s->d, DOCTOR_FAULT, check, DOCTOR_SWALLOWED, s->x.ms, "101, then the connection ended %s, close code %u", when,
			    cli_ws_close_code(s->ws));
}

/* ---- by itself ---------------------------------------------------------------------- */

static void large_frame(struct doctor_session *s)
{
	struct doctor *d = s->d;
	size_t n = d->payload_bytes < FRAME_MAX ? (size_t)d->payload_bytes : FRAME_MAX;
	struct buf b = { 0 };
	enum cli_trouble trouble;
	int64_t begun = cli_now_ms();

	if (d->payload_bytes < 1 || !buf_reserve(&b, n))
		return;
	memset(b.p, 'x', n);
	b.p[0] = '3'; /* a pong, as doctor_body's */
	b.n = n;
	if (cli_ws_send(s->ws, buf_peek(&b)) && echo(s, &trouble))
		doctor_tell(d, DOCTOR_OK, "body-websocket", DOCTOR_NO_CAUSE, (long)(cli_now_ms() - begun), "a message of %zu bytes", n);
	else
		doctor_tell(d, DOCTOR_FAULT, "body-websocket", DOCTOR_FRAME_LIMIT, (long)(cli_now_ms() - begun),
			    "a message of %zu bytes was not answered, close code %u", n, cli_ws_close_code(s->ws));
	buf_fini(&b);
}

void doctor_websocket(struct doctor *d)
{
	struct doctor_session s = { .d = d };
	enum cli_trouble trouble;
	sio_slice open;
	enum doctor_cause cause = doctor_open_ws(&s);

	if (cause) {
		doctor_tell_answer(d, "websocket", cause, &s.x);
	} else if (!doctor_ws_for(&s, "0{", NULL, DOCTOR_ANSWER_MS, &open, &trouble)) {
		tell_silence(&s, "websocket", trouble, "of the server's");
	} else if (!doctor_read_open(d, open, s.sid)) {
		doctor_tell(d, DOCTOR_FAULT, "websocket", DOCTOR_NOT_ENGINEIO, s.x.ms, "101, then %.*s", (int)open.n, open.p);
	} else if (!connect_nsp(&s, &trouble) || !echo(&s, &trouble)) {
		tell_silence(&s, "websocket", trouble, "to what was sent");
	} else {
		d->has_websocket = true;
		doctor_tell(d, DOCTOR_OK, "websocket", DOCTOR_NO_CAUSE, s.x.ms, "101, and what is sent is answered");
		large_frame(&s);
	}
	doctor_session_fini(&s);
}

/* ---- as an upgrade -------------------------------------------------------------------- */

static void upgrade(struct doctor_session *s)
{
	enum cli_trouble trouble = CLI_CUT;
	sio_slice answer;

	if (!cli_ws_send(s->ws, SIO_LIT("2probe")) || !doctor_ws_for(s, "3probe", NULL, DOCTOR_ANSWER_MS, &answer, &trouble))
		tell_silence(s, "upgrade", trouble, "to the probe");
	else if (!cli_ws_send(s->ws, SIO_LIT("5")) || !connect_nsp(s, &trouble) || !echo(s, &trouble))
		tell_silence(s, "upgrade", trouble, "behind the upgrade");
	else
		doctor_tell(s->d, DOCTOR_OK, "upgrade", DOCTOR_NO_CAUSE, s->x.ms, "a polling session went on over WebSocket");
}

void doctor_upgrade(struct doctor *d)
{
	struct doctor_session s = { .d = d };
	sio_slice open;
	enum doctor_cause cause;

	if (!d->has_polling || !d->has_websocket)
		return;
	if (!d->offers_upgrade) {
		doctor_tell(d, DOCTOR_WARNING, "upgrade", DOCTOR_NOT_OFFERED, -1, "the server offers none (\"upgrades\":[])");
		return;
	}
	cause = doctor_open_polling(&s, &open);
	if (!cause)
		cause = doctor_open_ws(&s);
	if (cause)
		doctor_tell_answer(d, "upgrade", cause, &s.x);
	else
		upgrade(&s);
	doctor_session_fini(&s);
}
