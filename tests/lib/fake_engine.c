/* fake_engine.c -- see fake_engine.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "lib/fake_engine.h"

#include "codec/deflate.h"
#include "codec/eio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const struct eio_limits usual = {
	.ping_interval_ms = 25000,
	.ping_timeout_ms = 20000,
	.upgrade_timeout_ms = 10000,
	.max_payload_bytes = 1000000,
	.send_queue_bytes = 4096,
	.packets_n = 1000,
};

static struct fake_client *client_of(struct eio_session *s)
{
	return MAP_OWNER(s, struct fake_link, session)->client;
}

void fake_log(struct fake_client *c, const char *fmt, ...)
{
	char text[4096];
	va_list ap;

	if (c->fake->is_quiet)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_str(&c->log, text);
}

void fake_expect_at(struct fake_client *c, const char *want, const char *file, int line)
{
	sio_slice got = buf_peek(&c->log);

	if (!sio_slice_eq(got, sio_str(want))) {
		print_error(" got: %.*s\nwant: %s\n", (int)got.n, got.n ? got.p : "", want);
		_fail(file, line);
	}
	buf_clear(&c->log);
}

/* ---- what the engine wishes --------------------------------------------------- */

static void on_message(struct eio_session *s, char *data, size_t n, bool is_binary)
{
	struct fake_client *c = client_of(s);

	assert_true(eio_is_open(s));
	if (c->fake->message)
		c->fake->message(c, data, n, is_binary);
	else
		fake_log(c, "%s %.*s; ", is_binary ? "bin" : "msg", (int)n, data);
}

static void on_closed(struct eio_session *s, const char *reason)
{
	struct fake_client *c = client_of(s);

	assert_false(eio_is_open(s));
	assert_int_equal(c->closed_n++, 0);
	c->fake->closed++;
	fake_log(c, "closed %s; ", reason);
	if (c->fake->on_closed)
		c->fake->on_closed(c, reason);
}

static void packet(struct fake_client *c, sio_slice text, bool is_binary)
{
	c->packets_n++;
	if (c->fake->packet)
		c->fake->packet(c, text, is_binary);
}

static void on_answer(struct eio_session *s, enum eio_wire wire, int status, sio_slice body)
{
	struct fake_client *c = client_of(s);

	assert_true(wire == EIO_WIRE_GET || wire == EIO_WIRE_POST);
	assert_true(c->has_wire[wire]); /* nothing is answered twice */
	c->has_wire[wire] = false;
	fake_log(c, "%s %d %.*s; ", wire == EIO_WIRE_GET ? "get" : "post", status, (int)body.n, body.p);
	if (c->fake->on_answer)
		c->fake->on_answer(c);
}

static void on_probe_text(struct eio_session *s, sio_slice text)
{
	assert_true(client_of(s)->has_wire[EIO_WIRE_PROBE]);
	fake_log(client_of(s), "probe %.*s; ", (int)text.n, text.p);
}

static void on_upgraded(struct eio_session *s)
{
	struct fake_client *c = client_of(s);

	assert_true(c->has_wire[EIO_WIRE_PROBE]);
	assert_false(c->has_wire[EIO_WIRE_GET]);
	c->has_wire[EIO_WIRE_PROBE] = false;
	c->has_wire[EIO_WIRE_WS] = true;
	fake_log(c, "upgraded; ");
	if (c->fake->on_upgraded && eio_is_open(s))
		c->fake->on_upgraded(c);
}

static void on_drained(struct eio_session *s)
{
	struct fake_client *c = client_of(s);

	assert_true(eio_is_open(s));
	assert_int_equal(s->out.n, 0);
	if (c->fake->on_drained)
		c->fake->on_drained(c);
	else
		fake_log(c, "drained; ");
}

static void on_ws_close(struct eio_session *s, enum eio_wire wire, int code)
{
	struct fake_client *c = client_of(s);

	assert_true(wire == EIO_WIRE_WS || wire == EIO_WIRE_PROBE);
	assert_true(c->has_wire[wire]);
	assert_true(code == EIO_WS_CUT || wire == EIO_WIRE_PROBE || c->stream.n == 0);
	c->has_wire[wire] = false;
	fake_log(c, "%s close %d; ", wire == EIO_WIRE_WS ? "ws" : "probe", code);
}

static void on_gone(struct eio_session *s)
{
	struct fake_client *c = client_of(s);
	struct fake *f = c->fake;

	assert_int_equal(c->closed_n, 1);
	assert_int_equal(c->gone_n++, 0);
	assert_false(c->has_wire[EIO_WIRE_GET] || c->has_wire[EIO_WIRE_WS] || c->has_wire[EIO_WIRE_PROBE]);
	assert_false(fake_knows(f, c->sid));
	f->gone++;
	fake_log(c, "gone; ");
	c->link->next_dead = f->dead;
	f->dead = c->link;
}

static const struct eio_ops ops = {
	.message = on_message,
	.closed = on_closed,
	.answer = on_answer,
	.probe_text = on_probe_text,
	.upgraded = on_upgraded,
	.ws_close = on_ws_close,
	.gone = on_gone,
	.drained = on_drained,
};

/* ---- life ---------------------------------------------------------------------- */

struct fake *fake_new(const struct eio_limits *limits)
{
	struct fake *f = calloc(1, sizeof(*f));

	wheel_init(&f->wheel, 1000000);
	assert_int_equal(eio_engine_init(&f->engine, limits ? limits : &usual, &ops, &f->wheel), SIO_OK);
	f->engine.owner = f;
	f->engine.now_ms = 1000000;
	return f;
}

void fake_free(struct fake *f)
{
	eio_engine_discard_all(&f->engine, "server shutting down");
	fake_turn(f);
	fake_check(f);
	assert_int_equal(f->engine.sessions.n, 0);
	assert_int_equal(f->engine.queued_bytes, 0);
	assert_int_equal(f->opened, f->closed);
	assert_int_equal(f->opened, f->gone);
	/* No timer may be left: whose memory would it be in? */
	for (unsigned i = 0; i < WHEEL_SLOTS; i++)
		assert_null(f->wheel.slot[i]);
	while (f->clients)
		fake_forget(f->clients);
	eio_engine_fini(&f->engine);
	free(f);
}

struct fake_client *fake_open(struct fake *f, enum eio_transport transport)
{
	struct fake_client *c = calloc(1, sizeof(*c));
	struct fake_link *link = calloc(1, sizeof(*link));

	c->fake = f;
	c->link = link;
	c->takes = SIZE_MAX;
	link->client = c;
	if (eio_open(&link->session, &f->engine, transport) < 0) {
		free(link);
		free(c);
		return NULL;
	}
	memcpy(c->sid, link->session.sid, RANDOM_ID_LEN);
	c->has_wire[transport == EIO_POLLING ? EIO_WIRE_GET : EIO_WIRE_WS] = true;
	c->next = f->clients;
	f->clients = c;
	f->opened++;
	return c;
}

struct fake_client *fake_client(struct fake *f, enum eio_transport transport)
{
	struct fake_client *c = fake_open(f, transport);

	fake_turn(f);
	buf_clear(&c->log);
	return c;
}

void fake_forget(struct fake_client *c)
{
	struct fake_client **at = &c->fake->clients;

	assert_null(c->link);
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	buf_fini(&c->stream);
	buf_fini(&c->log);
	free(c);
}

/* ---- the flush ------------------------------------------------------------------- */

/* A message that came compressed: the log tells how long it was before. */
static void read_deflated(struct fake_client *c, const void *p, size_t n, bool is_binary)
{
	struct inflater *inflater = inflater_new();
	char *plain;
	size_t plain_n;

	assert_true(fake_session(c)->deflate_bits);
	assert_int_equal(inflate_begin(inflater, 1 << 24), SIO_OK);
	assert_int_equal(inflate_feed(inflater, p, n), SIO_OK);
	assert_int_equal(inflate_end(inflater, &plain, &plain_n), SIO_OK);
	packet(c, sio_bytes(plain, plain_n), is_binary);
	fake_log(c, "%s %zu; ", is_binary ? "wsbinz" : "wsz", plain_n);
	inflater_free(inflater);
}

/* Take whole server frames off the stream. */
static void read_stream(struct fake_client *c)
{
	size_t at = 0;

	while (c->stream.n - at >= 2) {
		const unsigned char *h = (unsigned char *)c->stream.p + at;
		size_t n = h[1], head = n == 126 ? 4 : n == 127 ? 10 : 2;
		unsigned op = h[0] & 15;
		assert_true(h[0] & 0x80);
		assert_false(h[1] & 0x80);
		if (c->stream.n - at < head)
			break;
		if (head > 2) {
			n = 0;
			for (size_t i = 2; i < head; i++)
				n = n << 8 | h[i];
		}
		if (c->stream.n - at < head + n)
			break;
		at += head + n;
		if (h[0] & WS_RSV1) {
			read_deflated(c, h + head, n, op == WS_BINARY);
			continue;
		}
		packet(c, sio_bytes(h + head, n), op == WS_BINARY);
		fake_log(c, "%s %.*s; ", op == WS_TEXT ? "ws" : op == WS_BINARY ? "wsbin" : "control", (int)n, h + head);
	}
	buf_consume(&c->stream, at);
}

static void flush_ws(struct fake_client *c)
{
	struct eio_session *s = fake_session(c);
	struct iovec iov[7];

	while (s->out.n > 0 && c->has_wire[EIO_WIRE_WS] && !s->is_blocked) {
		int n = outq_peek(&s->out, iov, 7);
		size_t sent = 0, want = 0;
		for (int i = 0; i < n; i++) {
			size_t part = iov[i].iov_len < c->takes ? iov[i].iov_len : c->takes;
			buf_put(&c->stream, iov[i].iov_base, part);
			want += iov[i].iov_len;
			sent += part;
			if (c->takes != SIZE_MAX)
				c->takes -= part;
		}
		read_stream(c);
		eio_ws_sent(s, sent, sent < want);
	}
	if (s->state == EIO_S_CLOSING && s->out.n == 0)
		eio_ws_sent(s, 0, false);
}

static void flush_poll(struct fake_client *c)
{
	struct eio_session *s = fake_session(c);
	struct buf payload = { 0 };
	size_t from = 0;

	if (!s->has_get || s->out.n == 0)
		return;
	eio_take_payload(s, &payload);
	if (payload.failed) { /* as host/link.c does: the connection goes without an answer */
		c->has_wire[EIO_WIRE_GET] = false;
		eio_discard(s, "transport error");
		buf_fini(&payload);
		return;
	}
	for (size_t i = 0; i <= payload.n; i++) {
		if (i < payload.n && payload.p[i] != EIO_SEPARATOR)
			continue;
		packet(c, sio_bytes(payload.p + from, i - from), payload.p[from] == 'b');
		from = i + 1;
		if (i < payload.n)
			payload.p[i] = '|';
	}
	on_answer(s, EIO_WIRE_GET, 200, buf_peek(&payload));
	buf_fini(&payload);
}

void fake_turn(struct fake *f)
{
	if (f->on_flush)
		f->on_flush(f);
	while (f->engine.dirty) {
		struct eio_session *s = f->engine.dirty;
		f->engine.dirty = s->next_dirty;
		s->is_dirty = false;
		if (s->state == EIO_S_CLOSED)
			continue;
		if (s->is_slow)
			eio_cut_slow(s);
		else if (s->transport == EIO_WEBSOCKET)
			flush_ws(client_of(s));
		else
			flush_poll(client_of(s));
	}
	while (f->dead) {
		struct fake_link *link = f->dead;
		f->dead = link->next_dead;
		link->client->link = NULL;
		free(link);
	}
}

void fake_run(struct fake *f, uint64_t ms)
{
	uint64_t end = f->engine.now_ms + ms;

	fake_turn(f);
	while (f->engine.now_ms < end) {
		int64_t wait = wheel_wait_ms(&f->wheel, f->engine.now_ms);
		uint64_t left = end - f->engine.now_ms;
		uint64_t step = wait < 0 || (uint64_t)wait > left ? left : wait > 0 ? (uint64_t)wait : 1;
		f->engine.now_ms += step;
		wheel_run(&f->wheel, f->engine.now_ms);
		fake_turn(f);
	}
}

/* ---- what the client does ---------------------------------------------------------- */

void fake_get(struct fake_client *c)
{
	if (!c->link || !eio_get_begin(fake_session(c))) {
		fake_log(c, "get 400; ");
		return;
	}
	c->has_wire[EIO_WIRE_GET] = true;
	eio_get(fake_session(c));
}

bool fake_post_begin(struct fake_client *c)
{
	if (!c->link || !eio_post_begin(fake_session(c))) {
		fake_log(c, "post 400; ");
		return false;
	}
	c->has_wire[EIO_WIRE_POST] = true;
	return true;
}

/* The body lies in a block of its own size, so that one byte too far is seen. */
void fake_post_body(struct fake_client *c, const char *body, size_t n)
{
	char *copy = n ? malloc(n) : NULL;

	if (n)
		memcpy(copy, body, n);
	eio_post(fake_session(c), copy, n);
	free(copy);
}

void fake_post(struct fake_client *c, const char *body)
{
	if (fake_post_begin(c))
		fake_post_body(c, body, strlen(body));
}

void fake_hang_up(struct fake_client *c, enum eio_wire wire)
{
	assert_true(c->has_wire[wire]);
	c->has_wire[wire] = false;
	if (wire == EIO_WIRE_GET)
		eio_get_gone(fake_session(c));
	else if (wire == EIO_WIRE_POST)
		eio_post_gone(fake_session(c));
	else if (wire == EIO_WIRE_WS)
		eio_ws_gone(fake_session(c), "transport close");
	else
		eio_probe_gone(fake_session(c));
}

bool fake_probe(struct fake_client *c)
{
	bool is_taken = eio_probe_begin(fake_session(c));

	if (is_taken)
		c->has_wire[EIO_WIRE_PROBE] = true;
	else
		fake_log(c, "probe refused; ");
	return is_taken;
}

static char *copy_of(const char *text)
{
	size_t n = strlen(text);
	char *copy = malloc(n ? n : 1);

	if (n)
		memcpy(copy, text, n);
	return copy;
}

void fake_probe_text(struct fake_client *c, const char *text)
{
	char *copy = copy_of(text);

	eio_probe_text(fake_session(c), copy, strlen(text));
	free(copy);
}

void fake_upgrade(struct fake_client *c)
{
	assert_true(fake_probe(c));
	fake_probe_text(c, "2probe");
	fake_probe_text(c, "5");
	assert_int_equal(fake_session(c)->transport, EIO_WEBSOCKET);
}

void fake_ws(struct fake_client *c, const char *text)
{
	char *copy = copy_of(text);

	if (c->link)
		eio_ws_text(fake_session(c), copy, strlen(text));
	free(copy);
}

void fake_ws_binary(struct fake_client *c, const void *p, size_t n)
{
	char *copy = malloc(n ? n : 1);

	if (n)
		memcpy(copy, p, n);
	if (c->link)
		eio_ws_binary(fake_session(c), copy, n);
	free(copy);
}

void fake_ws_takes(struct fake_client *c, size_t bytes)
{
	c->takes = bytes;
	if (c->link && bytes > 0)
		eio_ws_ready(fake_session(c));
}

/* ---- what the application does ------------------------------------------------------- */

void fake_send_volatile(struct fake_client *c, const char *text, uint32_t key)
{
	struct frame *f = frame_of_text(&c->fake->engine.frames, WS_TEXT, sio_str(text));

	f->is_volatile = true;
	f->key = key;
	eio_send(fake_session(c), f);
	frame_unref(f);
}

void fake_send(struct fake_client *c, const char *text)
{
	struct frame *f = frame_of_text(&c->fake->engine.frames, WS_TEXT, sio_str(text));

	eio_send(fake_session(c), f);
	frame_unref(f);
}

/* ---- invariants ------------------------------------------------------------------------ */

bool fake_knows(struct fake *f, const char *sid)
{
	return map_get(&f->engine.sessions, sio_bytes(sid, RANDOM_ID_LEN)) != NULL;
}

static void check_client(struct fake_client *c)
{
	struct eio_session *s = fake_session(c);

	assert_true(eio_is_sane(s));
	assert_int_equal(c->closed_n, !eio_is_open(s));
	assert_int_equal(fake_knows(c->fake, c->sid), c->gone_n == 0);
	assert_int_equal(c->has_wire[EIO_WIRE_GET], s->has_get);
	assert_int_equal(c->has_wire[EIO_WIRE_POST] && c->gone_n == 0, s->has_post && c->gone_n == 0);
	assert_int_equal(c->has_wire[EIO_WIRE_PROBE], s->probe != NULL);
	assert_int_equal(c->has_wire[EIO_WIRE_WS], s->transport == EIO_WEBSOCKET && s->state != EIO_S_CLOSED);
	/* Whoever still lives has a timer that ends it one day. */
	assert_int_equal(wheel_is_set(&s->timer), c->gone_n == 0);
}

void fake_check(struct fake *f)
{
	uint64_t bytes = 0, known = 0;

	for (struct fake_client *c = f->clients; c; c = c->next) {
		if (!c->link)
			continue;
		check_client(c);
		bytes += fake_session(c)->out.bytes;
		known += c->gone_n == 0;
	}
	assert_int_equal(bytes, f->engine.queued_bytes);
	assert_int_equal(known, f->engine.sessions.n);
}

/* ---- random numbers ---------------------------------------------------------------------- */

uint64_t fake_seed(void)
{
	const char *text = getenv("SEED");
	struct timespec now;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = text ? strtoull(text, NULL, 0) : (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 20 ^ (uint64_t)getpid();
	print_message("SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

/* SplitMix64. */
uint32_t fake_random(uint64_t *state, uint32_t below)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (uint32_t)((z ^ z >> 31) >> 16) % below;
}
