/* doctor_session.c -- see doctor.h: sessions as a stock client has them, over polling and
 * WebSocket, each request on a connection of its own, so that a balancer may send each
 * to another server.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <sio/json.h>

#include "app/doctor.h"
#include "base/random.h"

#define RS '\x1e' /* between the packets of a polling body */

void doctor_session_fini(struct doctor_session *s)
{
	cli_ws_close(s->ws);
	s->ws = NULL;
	buf_fini(&s->cookies);
	cli_exchange_fini(&s->x);
}

/* ---- requests ---------------------------------------------------------------------- */

static void put_path(const struct doctor_session *s, const char *transport, struct buf *b)
{
	char t[RANDOM_ID_LEN + 1];

	random_id(t); /* no cache may have seen it: stock clients do the same */
	buf_printf(b, "%s?EIO=4&transport=%s&t=%s", s->d->path, transport, t);
	if (s->sid[0]) {
		buf_str(b, "&sid=");
		cli_path_part(b, s->sid);
	}
	buf_byte(b, '\0');
}

/* Remember what the first answer that sets any sets, as "a=b; c=d": a browser would send it with
 * the next request. */
static void keep_cookies(struct doctor_session *s)
{
	struct buf rest = s->x.head; /* borrowed, and shortened from its front */
	bool is_known = s->cookies.n > 0;
	sio_slice line;

	while (!is_known && (line = cli_header(&rest, "Set-Cookie")).n > 0) {
		const char *semicolon = memchr(line.p, ';', line.n);
		const char *end = line.p + line.n;

		if (s->cookies.n > 0)
			buf_str(&s->cookies, "; ");
		buf_put(&s->cookies, line.p, semicolon ? (size_t)(semicolon - line.p) : line.n);
		rest.n -= (size_t)(end - rest.p);
		rest.p = s->x.head.p + (end - s->x.head.p);
	}
}

/* Header lines of a session's requests, in their memory. */
struct lines {
	struct buf origin, cookie;
	const char *list[3];
};

static void lines_init(struct lines *l, const struct doctor_session *s)
{
	size_t n = 0;

	*l = (struct lines){ 0 };
	if (s->origin) {
		buf_printf(&l->origin, "Origin: %s", s->origin);
		buf_byte(&l->origin, '\0');
		l->list[n] = l->origin.p;
		n += !l->origin.failed;
	}
	if (s->cookies.n > 0) {
		buf_printf(&l->cookie, "Cookie: %.*s", (int)s->cookies.n, s->cookies.p);
		buf_byte(&l->cookie, '\0');
		l->list[n] = l->cookie.p;
		n += !l->cookie.failed;
	}
	l->list[n] = NULL;
}

static void lines_fini(struct lines *l)
{
	buf_fini(&l->origin);
	buf_fini(&l->cookie);
}

/* s->x anew, for one exchange, with path and header lines that live as long as it does. */
static void begin(struct doctor_session *s, const char *transport, long wait_ms, struct buf *path, struct lines *lines)
{
	cli_exchange_fini(&s->x);
	put_path(s, transport, path);
	lines_init(lines, s);
	s->x = (struct cli_exchange){
		.target = &s->d->target, .path = path->failed ? "/" : path->p, .headers = lines->list, .wait_ms = wait_ms
	};
}

static enum doctor_cause polling(struct doctor_session *s, bool is_post, sio_slice body, long wait_ms)
{
	struct buf path = { 0 };
	struct lines lines;

	begin(s, "polling", wait_ms, &path, &lines);
	s->x.is_post = is_post;
	s->x.body_out = body;
	cli_exchange(&s->x);
	keep_cookies(s);
	lines_fini(&lines);
	buf_fini(&path);
	return doctor_judge(&s->x);
}

enum doctor_cause doctor_post(struct doctor_session *s, sio_slice body)
{
	return polling(s, true, body, DOCTOR_ANSWER_MS);
}

enum doctor_cause doctor_poll(struct doctor_session *s, long wait_ms)
{
	return polling(s, false, SIO_LIT(""), wait_ms);
}

enum doctor_cause doctor_open_polling(struct doctor_session *s, sio_slice *open)
{
	enum doctor_cause cause = doctor_poll(s, DOCTOR_ANSWER_MS);

	if (cause)
		return cause;
	return doctor_packet(s, "0{", open) && doctor_read_open(s->d, *open, s->sid) ? DOCTOR_NO_CAUSE : DOCTOR_NOT_ENGINEIO;
}

enum doctor_cause doctor_open_ws(struct doctor_session *s)
{
	struct buf path = { 0 };
	struct lines lines;

	begin(s, "websocket", DOCTOR_ANSWER_MS, &path, &lines);
	s->ws = cli_ws_open(&s->x);
	lines_fini(&lines);
	buf_fini(&path);
	return s->ws ? DOCTOR_NO_CAUSE : doctor_judge_ws(&s->x);
}

/* ---- packets ------------------------------------------------------------------------- */

static bool begins(sio_slice packet, const char *with)
{
	size_t n = with ? strlen(with) : 0;

	return with && packet.n >= n && memcmp(packet.p, with, n) == 0;
}

bool doctor_packet(const struct doctor_session *s, const char *prefix, sio_slice *packet)
{
	sio_slice rest = buf_peek(&s->x.body);

	while (rest.n > 0) {
		const char *end = memchr(rest.p, RS, rest.n);
		size_t n = end ? (size_t)(end - rest.p) : rest.n;

		*packet = sio_bytes(rest.p, n);
		if (begins(*packet, prefix))
			return true;
		rest = end ? sio_bytes(end + 1, rest.n - n - 1) : SIO_LIT("");
	}
	return false;
}

/* The server asked whether this side lives. */
static enum doctor_cause answer_ping(struct doctor_session *s)
{
	sio_slice ping;

	return doctor_packet(s, "2", &ping) ? doctor_post(s, SIO_LIT("3")) : DOCTOR_NO_CAUSE;
}

enum doctor_cause doctor_poll_for(struct doctor_session *s, const char *prefix, const char *other, sio_slice *packet)
{
	int64_t until = cli_now_ms() + DOCTOR_ANSWER_MS;
	int64_t left;

	while ((left = until - cli_now_ms()) > 0) {
		enum doctor_cause cause = doctor_poll(s, (long)left);

		/* The server was given something to answer, and another request took it. */
		if (cause == DOCTOR_NO_ANSWER)
			return DOCTOR_HELD_BACK;
		if (cause)
			return cause;
		if (doctor_packet(s, prefix, packet) || (other && doctor_packet(s, other, packet)))
			return DOCTOR_NO_CAUSE;
		cause = answer_ping(s);
		if (cause)
			return cause;
	}
	return DOCTOR_HELD_BACK;
}

bool doctor_ws_for(struct doctor_session *s, const char *prefix, const char *other, long wait_ms, sio_slice *packet,
		   enum cli_trouble *trouble)
{
	int64_t until = cli_now_ms() + wait_ms;

	for (;;) {
		int64_t left = until - cli_now_ms();

		*trouble = left > 0 ? cli_ws_next(s->ws, (long)left, packet) : CLI_TOO_LATE;
		if (*trouble != CLI_FINE)
			return false;
		if (begins(*packet, prefix) || begins(*packet, other))
			return true;
		if (begins(*packet, "2") && packet->n == 1 && !cli_ws_send(s->ws, SIO_LIT("3"))) {
			*trouble = CLI_CUT;
			return false;
		}
	}
}

bool doctor_read_open(struct doctor *d, sio_slice packet, char sid[DOCTOR_SID_MAX])
{
	enum { SID, UPGRADES, INTERVAL, TIMEOUT, PAYLOAD, N };
	struct sio_json_field f[N] = {
		{ .key = "sid" }, { .key = "upgrades" }, { .key = "pingInterval" }, { .key = "pingTimeout" }, { .key = "maxPayload" },
	};
	sio_slice json = sio_bytes(packet.p + 1, packet.n - 1);

	if (!packet.n || sio_json_check(json) || sio_json_pick(json, f, N) || sio_json_unquote(f[SID].value, sid, DOCTOR_SID_MAX) <= 0)
		return false;
	if (sio_json_int(f[INTERVAL].value, &d->interval_ms) || sio_json_int(f[TIMEOUT].value, &d->timeout_ms))
		return false;
	if (sio_json_int(f[PAYLOAD].value, &d->payload_bytes))
		d->payload_bytes = 0; /* older servers do not say it */
	d->offers_upgrade |= f[UPGRADES].value.n > 2 && memmem(f[UPGRADES].value.p, f[UPGRADES].value.n, "\"websocket\"", 11);
	return true;
}

/* ---- CONNECT --------------------------------------------------------------------------- */

bool doctor_put_connect(const struct doctor *d, struct buf *b)
{
	buf_str(b, "40");
	if (d->token) {
		buf_str(b, "{\"token\":");
		buf_json(b, sio_str(d->token));
		buf_byte(b, '}');
	}
	return !b->failed;
}

void doctor_tell_connect(struct doctor *d, sio_slice packet)
{
	enum doctor_cause cause;

	if (d->is_connect_told)
		return;
	d->is_connect_told = true;
	if (begins(packet, "40")) {
		doctor_tell(d, DOCTOR_OK, "connect", DOCTOR_NO_CAUSE, -1, d->token ? "accepted, with the token" : "accepted, without a token");
		return;
	}
	cause = doctor_judge_refusal(sio_bytes(packet.p + 2, packet.n - 2));
	if (!d->token)
		doctor_tell(d, DOCTOR_OK, "connect", DOCTOR_NO_CAUSE, -1, "refused without a token: %.*s; --token tries one",
			    (int)(packet.n - 2), packet.p + 2);
	else
		doctor_tell(d, DOCTOR_FAULT, "connect", cause, -1, "refused, with the token: %.*s", (int)(packet.n - 2), packet.p + 2);
}
