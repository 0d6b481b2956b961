/* doctor_polling.c -- see doctor.h: the checks over HTTP: certificate, handshake, caches,
 * clock, readiness, origin, a session of polls and posts, a large body.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <sio/json.h>

#include "app/doctor.h"

enum {
	ROUNDS_N = 3,               /* of a post and a poll: enough for a round robin over two to show */
	HELD_MS = 1500,             /* a poll that takes so much longer than a post was held back */
	CLOCK_LEEWAY_S = 30,
	CERTIFICATE_SOON_DAYS = 14,
	BODY_MAX = 8 * 1024 * 1024, /* what is tried of a larger maxPayload */
	DAY_S = 86400,
};

/* ---- certificate, handshake, clock ---------------------------------------------------- */

static bool is_https(const struct doctor *d)
{
	return strncmp(d->target.url, "https:", 6) == 0;
}

static bool is_certificate(enum doctor_cause cause)
{
	return cause == DOCTOR_CERTIFICATE_EXPIRED || cause == DOCTOR_CERTIFICATE_NAME || cause == DOCTOR_CERTIFICATE_UNKNOWN;
}

static void tell_expiry(struct doctor *d, const struct cli_exchange *x)
{
	int64_t days = (x->expires_s - (int64_t)time(NULL)) / DAY_S;

	if (!x->expires_s)
		return;
	if (days < CERTIFICATE_SOON_DAYS)
		doctor_tell(d, DOCTOR_WARNING, "certificate", DOCTOR_CERTIFICATE_SOON, -1, "valid for %" PRId64 " more days", days);
	else
		doctor_tell(d, DOCTOR_OK, "certificate", DOCTOR_NO_CAUSE, -1, "valid for %" PRId64 " more days%s", days,
			    d->target.is_unverified ? ", and not verified, as asked" : "");
}

static void tell_clock(struct doctor *d, const struct cli_exchange *x)
{
	int64_t off = x->date_s - (int64_t)time(NULL);

	if (!x->date_s)
		doctor_tell(d, DOCTOR_SKIPPED, "clock", DOCTOR_NO_CAUSE, -1, "the answer has no Date");
	else if (llabs(off) > CLOCK_LEEWAY_S)
		doctor_tell(d, DOCTOR_WARNING, "clock", DOCTOR_CLOCK, -1, "the server's is %" PRId64 " s %s this machine's", (int64_t)llabs(off),
			    off < 0 ? "behind" : "ahead of");
	else
		doctor_tell(d, DOCTOR_OK, "clock", DOCTOR_NO_CAUSE, -1, "the server's is this machine's, to %" PRId64 " s", (int64_t)llabs(off));
}

/* What follows can still be seen when the certificate is wrong: it is told, and no more looked at. */
static enum doctor_cause open_first(struct doctor *d, struct doctor_session *s, sio_slice *open)
{
	enum doctor_cause cause = doctor_open_polling(s, open);

	if (is_certificate(cause)) {
		doctor_tell(d, DOCTOR_FAULT, "certificate", cause, s->x.ms, "%s", s->x.error);
		d->target.is_unverified = true;
		cause = doctor_open_polling(s, open);
	} else if (is_https(d)) {
		tell_expiry(d, &s->x);
	}
	return cause;
}

void doctor_handshake(struct doctor *d)
{
	struct doctor_session s = { .d = d };
	sio_slice open;
	enum doctor_cause cause = open_first(d, &s, &open);

	d->has_polling = !cause;
	d->is_away = cause == DOCTOR_NAME_UNKNOWN || cause == DOCTOR_UNREACHABLE || cause == DOCTOR_TLS_FAILED;
	if (cause) {
		doctor_tell_answer(d, "handshake", cause, &s.x);
	} else {
		doctor_tell(d, DOCTOR_OK, "handshake", DOCTOR_NO_CAUSE, s.x.ms,
			    "200%s; a ping every %" PRId64 " ms, to be answered within %" PRId64 "; messages of %" PRId64 " bytes",
			    s.x.is_http2 ? " over HTTP/2" : "", d->interval_ms, d->timeout_ms, d->payload_bytes);
		tell_clock(d, &s.x);
		(void)!doctor_post(&s, SIO_LIT("1"));
	}
	doctor_session_fini(&s);
}

/* ---- caches ------------------------------------------------------------------------------ */

static bool mentions(sio_slice text, const char *part)
{
	return text.n > 0 && memmem(text.p, text.n, part, strlen(part));
}

void doctor_cache(struct doctor *d)
{
	struct doctor_session one = { .d = d }, two = { .d = d };
	sio_slice open;
	enum doctor_cause cause;

	if (!d->has_polling)
		return;
	cause = doctor_open_polling(&one, &open);
	if (!cause)
		cause = doctor_open_polling(&two, &open);
	if (cause)
		doctor_tell_answer(d, "cache", cause, one.sid[0] ? &two.x : &one.x);
	else if (!(d->has_polling = strcmp(one.sid, two.sid) != 0)) /* what would follow is this session's end */
		doctor_tell(d, DOCTOR_FAULT, "cache", DOCTOR_CACHED, two.x.ms, "two handshakes were given one session");
	else if (cli_header(&two.x.head, "Age").n > 0)
		doctor_tell(d, DOCTOR_WARNING, "cache", DOCTOR_CACHEABLE, two.x.ms, "the answer came through a cache: Age: %.*s",
			    (int)cli_header(&two.x.head, "Age").n, cli_header(&two.x.head, "Age").p);
	else if (!mentions(cli_header(&two.x.head, "Cache-Control"), "no-store"))
		doctor_tell(d, DOCTOR_WARNING, "cache", DOCTOR_CACHEABLE, two.x.ms, "Cache-Control: %.*s, without no-store",
			    (int)cli_header(&two.x.head, "Cache-Control").n, cli_header(&two.x.head, "Cache-Control").p);
	else
		doctor_tell(d, DOCTOR_OK, "cache", DOCTOR_NO_CAUSE, two.x.ms, "each handshake has a session of its own; no-store");
	if (!cause) {
		(void)!doctor_post(&one, SIO_LIT("1"));
		(void)!doctor_post(&two, SIO_LIT("1"));
	}
	doctor_session_fini(&one);
	doctor_session_fini(&two);
}

/* ---- readiness ----------------------------------------------------------------------------- */

void doctor_ready(struct doctor *d)
{
	struct cli_exchange x = { .target = &d->target, .path = "/readyz", .wait_ms = DOCTOR_ANSWER_MS };
	struct sio_json_field f[] = { { .key = "status" }, { .key = "draining" } };
	bool is_ours;

	if (!d->has_polling)
		return;
	cli_exchange(&x);
	is_ours = !sio_json_check(buf_peek(&x.body)) && !sio_json_pick(buf_peek(&x.body), f, 2) && f[0].type && f[1].type;
	if (!is_ours)
		doctor_tell(d, DOCTOR_SKIPPED, "ready", DOCTOR_NO_CAUSE, -1, "/readyz is not there, as with servers of other kinds");
	else if (x.status == 200)
		doctor_tell(d, DOCTOR_OK, "ready", DOCTOR_NO_CAUSE, x.ms, "%.*s", (int)x.body.n, x.body.p);
	else
		doctor_tell_answer(d, "ready", DOCTOR_NOT_READY, &x);
	cli_exchange_fini(&x);
}

/* ---- origin --------------------------------------------------------------------------------- */

/* Is it the origin of the address itself? */
static bool is_own(const struct doctor *d)
{
	const char *authority = strstr(d->target.url, "://") + 3;
	size_t n = (size_t)(strchrnul(authority, '/') - d->target.url);

	return strlen(d->origin) == n && strncasecmp(d->origin, d->target.url, n) == 0;
}

static void judge_cors(struct doctor *d, const struct cli_exchange *x)
{
	sio_slice allowed = cli_header(&x->head, "Access-Control-Allow-Origin");

	if (is_own(d))
		doctor_tell(d, DOCTOR_OK, "origin", DOCTOR_NO_CAUSE, x->ms, "%s, the address's own", d->origin);
	else if (sio_slice_eq(allowed, sio_str(d->origin)) || sio_slice_eq(allowed, SIO_LIT("*")))
		doctor_tell(d, DOCTOR_OK, "origin", DOCTOR_NO_CAUSE, x->ms, "%s; Access-Control-Allow-Origin: %.*s", d->origin,
			    (int)allowed.n, allowed.p);
	else
		doctor_tell(d, DOCTOR_FAULT, "origin", DOCTOR_CORS_MISSING, x->ms, "%s; Access-Control-Allow-Origin: %.*s", d->origin,
			    allowed.n ? (int)allowed.n : 4, allowed.n ? allowed.p : "none");
}

void doctor_origin(struct doctor *d)
{
	struct doctor_session s = { .d = d, .origin = d->origin };
	sio_slice open;
	enum doctor_cause cause;

	if (strncmp(d->origin, "https:", 6) == 0 && !is_https(d))
		doctor_tell(d, DOCTOR_FAULT, "origin", DOCTOR_MIXED, -1, "a page of %s, and %s", d->origin, d->target.url);
	if (!d->has_polling)
		return;
	cause = doctor_open_polling(&s, &open);
	if (cause)
		doctor_tell_answer(d, "origin", is_own(d) ? DOCTOR_ORIGIN_OWN : DOCTOR_ORIGIN_REFUSED, &s.x);
	else
		judge_cors(d, &s.x);
	if (!cause)
		(void)!doctor_post(&s, SIO_LIT("1"));
	doctor_session_fini(&s);
}

void doctor_origin_websocket(struct doctor *d)
{
	struct doctor_session s = { .d = d, .origin = d->origin };
	enum doctor_cause cause;

	if (!d->has_websocket)
		return;
	cause = doctor_open_ws(&s);
	if (cause)
		doctor_tell_answer(d, "origin-websocket", is_own(d) ? DOCTOR_ORIGIN_OWN : DOCTOR_ORIGIN_REFUSED, &s.x);
	else
		doctor_tell(d, DOCTOR_OK, "origin-websocket", DOCTOR_NO_CAUSE, s.x.ms, "%s", d->origin);
	doctor_session_fini(&s);
}

/* ---- polls and posts ---------------------------------------------------------------------------- */

/* Say something that is answered at once, and fetch the answer.  *held_ms: what the poll took more than the post. */
static enum doctor_cause say(struct doctor_session *s, sio_slice packet, const char *want, const char *other, sio_slice *answer,
			     long *held_ms)
{
	enum doctor_cause cause = doctor_post(s, packet);
	long post_ms = s->x.ms;
	int64_t begun = cli_now_ms();

	if (!cause)
		cause = doctor_poll_for(s, want, other, answer);
	if (!cause && cli_now_ms() - begun - post_ms > *held_ms)
		*held_ms = (long)(cli_now_ms() - begun) - post_ms;
	return cause;
}

static enum doctor_cause rounds(struct doctor_session *s, long *held_ms)
{
	struct buf connect = { 0 };
	sio_slice answer;
	enum doctor_cause cause = DOCTOR_NO_ANSWER;
	long first_ms = 0; /* a server may look a token up */

	if (doctor_put_connect(s->d, &connect))
		cause = say(s, buf_peek(&connect), "40", "44", &answer, &first_ms);
	if (!cause)
		doctor_tell_connect(s->d, answer);
	for (int i = 0; i < ROUNDS_N && !cause; i++)
		cause = say(s, SIO_LIT("40" DOCTOR_ECHO ","), "44" DOCTOR_ECHO, "40" DOCTOR_ECHO, &answer, held_ms);
	buf_fini(&connect);
	return cause;
}

void doctor_polling(struct doctor *d)
{
	struct doctor_session s = { .d = d };
	sio_slice open;
	long held_ms = 0;
	int64_t begun = cli_now_ms();
	enum doctor_cause cause;

	if (!d->has_polling)
		return;
	cause = doctor_open_polling(&s, &open);
	if (!cause)
		cause = rounds(&s, &held_ms);
	if (cause)
		doctor_tell_answer(d, "polling", cause, &s.x);
	else if (held_ms > HELD_MS)
		doctor_tell(d, DOCTOR_FAULT, "polling", DOCTOR_HELD_BACK, held_ms, "an answer that was there came %ld ms late", held_ms);
	else
		doctor_tell(d, DOCTOR_OK, "polling", DOCTOR_NO_CAUSE, (long)(cli_now_ms() - begun), "polls and posts of a session are answered%s",
			    s.cookies.n > 0 ? ", with the cookie that the first answer sets" : "");
	if (!cause)
		(void)!doctor_post(&s, SIO_LIT("1"));
	doctor_session_fini(&s);
}

/* ---- a large body ---------------------------------------------------------------------------------- */

void doctor_body(struct doctor *d)
{
	struct doctor_session s = { .d = d };
	size_t n = d->payload_bytes < BODY_MAX ? (size_t)d->payload_bytes : BODY_MAX;
	struct buf body = { 0 };
	sio_slice open;
	enum doctor_cause cause;

	if (!d->has_polling || d->payload_bytes < 1)
		return;
	/* A pong with something behind it: every server takes it, and does nothing. */
	if (buf_reserve(&body, n)) {
		memset(body.p, 'x', n);
		body.p[0] = '3';
		body.n = n;
	}
	cause = doctor_open_polling(&s, &open);
	if (!cause)
		cause = doctor_post(&s, buf_peek(&body));
	if (cause == DOCTOR_CUT)
		cause = DOCTOR_BODY_LIMIT;
	if (cause)
		doctor_tell_answer(d, "body", cause, &s.x);
	else
		doctor_tell(d, DOCTOR_OK, "body", DOCTOR_NO_CAUSE, s.x.ms, "a post of %zu bytes%s", n, n < (size_t)d->payload_bytes ? ", and no more was tried" : "");
	if (!cause)
		(void)!doctor_post(&s, SIO_LIT("1"));
	doctor_session_fini(&s);
	buf_fini(&body);
}
