/* sim_single_test.c -- one worker and a few hundred clients in simulated time, random
 * packets good and bad, random ends; what must always hold is checked after each step.
 *
 * The application does whatever it may, from each of its handlers: it answers late or
 * never in time, asks, moves and ends sockets, opens and closes namespaces.  Clients
 * remember what they were told, and it must be true.
 *
 * The seed is printed; the environment variable SEED repeats a run, STEPS makes it
 * longer.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "lib/fake_hub.h"
#include "lib/sim_random.h"

enum { CLIENTS = 300, DEFAULT_STEPS = 10000, ROOMS = 20, PENDING = 64, DEPTH_MAX = 4 };

/* "/" first; children by pattern, by function, one that was opened, one that is none. */
static const char *const names[] = {
	"/",   "/r0", "/r1", "/r2", "/r3", "/r4", "/r5", "/r6", "/r7", "/r8", "/r9", "/f0",     "/f1",
	"/f2", "/f3", "/f4", "/f5", "/f6", "/f7", "/f8", "/f9", "/ra", "/rb", "/rc", "/opened", "/nowhere",
};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

/* What a client knows of each namespace by what it was told. */
struct view {
	bool is_in[NAMES];
	bool is_asking[NAMES];
	bool has_left[NAMES];  /* it said so; what it is told now may have crossed */
	int asked_in;          /* the namespace of the last question, -1: none */
	char asked_id[24];
};

static struct sio_server *server;
static struct sio_namespace *by_pattern, *by_function; /* the parents */
static struct fake_client *clients[CLIENTS];
static struct view views[CLIENTS];
static struct {
	struct sio_connect *req;
	bool is_last;         /* behind the middlewares: "next" lets it in */
} pending[PENDING];                           /* answers that the application owes */
static unsigned pending_n;
static struct sio_socket *paused[PENDING];    /* references and pauses that it holds */
static unsigned paused_n;
static unsigned depth;                        /* handlers within handlers */
static uint64_t accepted, leaving, ended;     /* sockets */
static uint64_t asked, answered;              /* questions, to one or to many */
static uint64_t made, dropped;                /* namespaces; events */

static const struct sio_args none;

/* May a handler do something that calls handlers? */
static bool dares(uint32_t n)
{
	return depth < DEPTH_MAX && one_in(n);
}

static sio_slice a_room(void)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	return sio_bytes(letters + below(ROOMS), 1 + below(2));
}

static struct sio_namespace *a_namespace(void)
{
	struct sio_namespace *nsp = server->hub.nsps;

	for (uint32_t n = one_in(2) ? below(server->hub.nsps_by_name.n) : 0; n > 0; n--)
		nsp = nsp->next;
	return nsp;
}

static struct sio_socket *a_socket(void)
{
	struct sio_namespace *nsp = a_namespace();

	return nsp->sockets_n ? nsp->sockets[below(nsp->sockets_n)] : NULL;
}

/* ---- the application: it does whatever it may ------------------------------------------ */

static void meddle(struct sio_socket *s);

static void meddle_any(void)
{
	struct sio_socket *s = a_socket();

	if (s)
		meddle(s);
}

static bool may_enter(const struct sio_connect *req)
{
	return sio_connect_is_open(req) && !sio_connect_namespace(req)->is_closed;
}

static void answer(struct sio_connect *req)
{
	bool is_open = may_enter(req);
	struct sio_socket *s;

	if (one_in(5)) {
		sio_connect_refuse(req, SIO_LIT("no"), one_in(2) ? sio_connect_auth(req) : SIO_LIT(""));
		return;
	}
	s = sio_connect_accept(req);
	assert_int_equal(s != NULL, is_open);
	accepted += s != NULL;
	if (s)
		assert_int_equal(sio_room_join(s, a_room()), SIO_OK);
}

/* Answer it later, perhaps. */
static bool wait(struct sio_connect *req, bool is_last)
{
	if (pending_n == PENDING || !one_in(3))
		return false;
	pending[pending_n].req = req;
	pending[pending_n++].is_last = is_last;
	return true;
}

static void on_connect(struct sio_connect *req, void *arg)
{
	(void)arg;
	if (!wait(req, true))
		answer(req);
}

/* A middleware: lets pass, later perhaps, or refuses. */
static void on_use(struct sio_connect *req, void *arg)
{
	(void)arg;
	depth++;
	if (dares(50))
		meddle_any();
	depth--;
	if (wait(req, false))
		return;
	if (one_in(8))
		answer(req); /* one that knows already */
	else
		sio_connect_next(req);
}

static int index_of(sio_slice name);
static void set_rules(struct sio_namespace *nsp);

/* Its data is the index of its name; that of "/", made before, is NULL. */
static void on_new(struct sio_namespace *nsp, void *arg)
{
	(void)arg;
	made++;
	assert_int_equal(nsp->sockets_n, 0);
	sio_namespace_set_data(nsp, (void *)(intptr_t)index_of(sio_namespace_name(nsp)));
	if (!sio_namespace_parent(nsp))
		set_rules(nsp);
	depth++;
	if (one_in(20))
		sio_namespace_keep(nsp);
	if (one_in(4))
		assert_int_equal(sio_namespace_use(nsp, on_use, NULL), SIO_OK);
	if (dares(30))
		meddle_any();
	if (one_in(30))
		(void)!sio_namespace_close(nsp);
	depth--;
}

static bool takes(sio_slice name, sio_slice auth, void *arg)
{
	(void)auth, (void)arg;
	depth++;
	if (dares(30))
		meddle_any();
	depth--;
	if (one_in(50))
		(void)sio_namespace_open(server, name);
	return name.n == 3 && name.p[1] == 'f' && !one_in(4);
}

static struct sio_target a_target(const struct sio_socket *skip)
{
	static sio_slice rooms[2], except[1]; /* one target at a time */
	struct sio_target t = { .rooms = rooms, .rooms_n = below(3), .except = except, .except_n = below(2), .skip = skip };

	rooms[0] = a_room();
	rooms[1] = a_room();
	except[0] = a_room();
	t.is_volatile = one_in(2);
	t.latest_key = below(4);
	if (t.rooms_n == 0 && !one_in(10)) /* to everybody: not so often */
		t.rooms_n = 1;
	return t;
}

static void broadcast(const struct sio_socket *skip)
{
	static const sio_slice bytes[] = { { "\x01\x02\x03", 3 } };
	struct sio_target t = a_target(skip);
	struct sio_args args = { SIO_LIT("{\"x\":1.5}"), bytes, below(4) == 0 };
	struct sio_namespace *nsp = one_in(8) && by_pattern ? by_pattern : a_namespace();

	assert_true(sio_namespace_broadcast(nsp, &t, SIO_LIT("event"), &args) >= 0);
}

static void on_answer(struct sio_socket *s, int status, const struct sio_args *args, void *arg)
{
	(void)arg;
	assert_true(status == SIO_OK || status == SIO_ERR_TIMEOUT || status == SIO_ERR_CLOSED);
	assert_true(status == SIO_OK || args->json.n == 0);
	assert_int_equal(sio_socket_id(s).n, SIO_ID_LEN);
	answered++;
	depth++;
	if (dares(10))
		meddle(s);
	depth--;
}

static void on_answers(struct sio_namespace *nsp, int status, const struct sio_answers *got, void *arg)
{
	size_t bytes = 0;

	(void)arg;
	assert_true(status == SIO_OK || status == SIO_ERR_TIMEOUT || status == SIO_ERR_CLOSED);
	assert_true(got->answers_n <= got->asked_n);
	assert_int_equal(status == SIO_OK, got->answers_n == got->asked_n);
	answered++;
	depth++;
	if (dares(10))
		meddle_any();
	depth--;
	for (size_t i = 0; i < got->answers_n; i++) /* still there */
		bytes += got->answers[i].json.n;
	assert_true(bytes < 1000000);
	assert_ptr_equal(sio_namespace_server(nsp), server);
}

static void ask(struct sio_socket *s)
{
	struct sio_target t = a_target(NULL);
	int err;

	if (one_in(2)) {
		asked += sio_sockets_ask(a_namespace(), &t, SIO_LIT("many"), &none, 1 + below(9000), on_answers, NULL) >= 0;
		return;
	}
	err = sio_socket_ask(s, SIO_LIT("one"), &none, below(3) * 1000, on_answer, NULL);
	assert_true(err == SIO_OK || err == SIO_ERR_CLOSED || err == SIO_ERR_LIMIT);
	asked += err == SIO_OK;
}

static void visit(struct sio_socket *s, void *arg)
{
	(void)arg;
	assert_true(sio_socket_is_open(s));
	if (dares(10))
		meddle(s);
}

/* Calls that act on many sockets. */
static void move_many(void)
{
	struct sio_target t = a_target(NULL);
	struct sio_namespace *nsp = a_namespace();
	sio_slice room = a_room();

	if (t.rooms_n == 0)
		t.rooms_n = 1;
	switch (below(8)) {
	case 0:
		if (one_in(4))
			assert_true(sio_sockets_disconnect(nsp, &t, one_in(2)) >= 0);
		return;
	case 1:
		sio_room_close(nsp, room);
		assert_int_equal(sio_namespace_room_size(nsp, room), 0);
		return;
	case 2:
	case 3:
		assert_true(sio_sockets_each(nsp, &t, visit, NULL) >= 0);
		return;
	case 4:
		sio_namespace_room_each(nsp, room, visit, NULL);
		return;
	case 5:
		assert_true(sio_sockets_join(nsp, &t, room) >= 0);
		return;
	default:
		assert_true(sio_sockets_leave(nsp, &t, room) >= 0);
	}
}

static void move_namespaces(void)
{
	struct sio_namespace *nsp = a_namespace();

	if (one_in(20)) {
		if (by_pattern)
			assert_int_equal(sio_namespace_close(by_pattern), SIO_OK);
		by_pattern = NULL;
	} else if (one_in(20)) {
		if (by_function)
			assert_int_equal(sio_namespace_close(by_function), SIO_OK);
		by_function = NULL;
	} else if (one_in(4)) {
		assert_int_equal(sio_namespace_close(nsp), nsp == server->hub.nsps ? SIO_ERR_INVAL : SIO_OK);
	} else {
		(void)sio_namespace_open(server, sio_str(names[below(NAMES - 1)]));
	}
}

static void meddle(struct sio_socket *s)
{
	sio_socket_ref(s);
	depth++;
	switch (below(40)) {
	case 0:
	case 1:
		sio_socket_disconnect(s, false);
		break;
	case 2:
		if (one_in(2))
			sio_socket_disconnect(s, true);
		break;
	case 3:
		if (one_in(2))
			sio_socket_close_transport(s);
		break;
	case 4:
	case 5:
		if (paused_n < PENDING) {
			sio_socket_pause(s);
			paused[paused_n++] = sio_socket_ref(s);
		}
		break;
	case 6:
	case 7:
	case 8:
		(void)!sio_room_join(s, a_room());
		break;
	case 9:
	case 10:
		sio_room_leave(s, a_room());
		break;
	case 11:
	case 12:
	case 13:
	case 14:
		ask(s);
		break;
	case 15:
	case 16:
		move_many();
		break;
	case 17:
		if (one_in(4))
			move_namespaces();
		break;
	default:
		broadcast(one_in(2) ? s : NULL);
	}
	depth--;
	sio_socket_unref(s);
}

static int on_filter(struct sio_socket *s, const struct sio_event *e, void *arg)
{
	(void)e, (void)arg;
	assert_true(sio_socket_is_open(s));
	depth++;
	if (dares(40))
		meddle(s);
	depth--;
	return one_in(10) ? -1 : 0;
}

static void on_dropped(struct sio_socket *s, const struct sio_event *e, int why, void *arg)
{
	(void)e, (void)arg;
	assert_int_equal(why, -1);
	assert_int_equal(sio_socket_id(s).n, SIO_ID_LEN);
	dropped++;
}

static void on_event(struct sio_socket *s, const struct sio_event *e, void *arg)
{
	char copy[64];

	(void)arg;
	assert_true(sio_socket_is_open(s));
	depth++;
	if (e->ack != SIO_ACK_NONE)
		assert_int_equal(sio_socket_ack(s, e->ack, &e->args), SIO_OK);
	if (one_in(3))
		broadcast(s);
	if (dares(8))
		meddle(s);
	if (dares(25))
		meddle_any();
	depth--;
	/* Whatever happened, the event is still there, and so is the socket's memory. */
	memcpy(copy, e->name.p, e->name.n < sizeof(copy) ? e->name.n : sizeof(copy));
	for (unsigned i = 0; i < e->args.attachments_n; i++)
		if (e->args.attachments[i].n)
			copy[0] = e->args.attachments[i].p[0];
	if (e->args.json.n)
		copy[1] = e->args.json.p[e->args.json.n - 1];
	assert_int_equal(sio_socket_id(s).n, SIO_ID_LEN);
}

static void on_outgoing(struct sio_socket *s, sio_slice name, const struct sio_args *args, void *arg)
{
	(void)args, (void)arg;
	assert_true(sio_socket_is_open(s));
	assert_true(name.n > 0);
	depth++;
	if (dares(300))
		meddle(s);
	else if (dares(300))
		meddle_any();
	depth--;
}

static void on_disconnecting(struct sio_socket *s, sio_slice reason, void *arg)
{
	sio_slice id = sio_socket_id(s);
	struct sio_target itself = { .rooms = &id, .rooms_n = 1 };

	(void)arg;
	assert_true(reason.n > 0);
	assert_false(sio_socket_is_open(s));
	leaving++;
	assert_int_equal(sio_namespace_broadcast(sio_socket_namespace(s), &itself, SIO_LIT("never"), &none), 0);
	depth++;
	if (dares(6))
		broadcast(NULL);
	if (dares(20))
		meddle_any();
	if (dares(30))
		move_many();
	depth--;
}

static void on_disconnect(struct sio_socket *s, sio_slice reason, void *arg)
{
	struct sio_socket *other;

	(void)arg;
	assert_true(reason.n > 0);
	assert_false(sio_socket_is_open(s));
	assert_int_equal(s->rooms_n, 0);
	ended++;
	assert_true(ended <= leaving);
	depth++;
	if (dares(6))
		broadcast(s);
	if (dares(20) && (other = a_socket()))
		sio_socket_disconnect(other, one_in(2));
	depth--;
	assert_int_equal(sio_socket_emit(s, SIO_LIT("x"), &none), SIO_ERR_CLOSED);
}

static void set_rules(struct sio_namespace *nsp)
{
	sio_namespace_on_connect(nsp, on_connect, NULL);
	sio_namespace_on_disconnecting(nsp, on_disconnecting, NULL);
	sio_namespace_on_disconnect(nsp, on_disconnect, NULL);
	sio_namespace_on_dropped(nsp, on_dropped, NULL);
	sio_namespace_on_any_outgoing(nsp, on_outgoing, NULL);
	assert_int_equal(sio_namespace_on_event(nsp, NULL, on_event, NULL), SIO_OK);
	assert_int_equal(sio_namespace_use_event(nsp, on_filter, NULL), SIO_OK);
}

/* What is not there. */
static void make_parents(void)
{
	if (!by_pattern) {
		assert_int_equal(sio_namespace_pattern(server, "/r[0-9a-c]", &by_pattern), SIO_OK);
		set_rules(by_pattern);
		assert_int_equal(sio_namespace_use(by_pattern, on_use, NULL), SIO_OK);
	}
	if (!by_function) {
		assert_int_equal(sio_namespace_dynamic(server, takes, NULL, &by_function), SIO_OK);
		set_rules(by_function);
	}
	(void)sio_namespace_open(server, SIO_LIT("/opened"));
}

/* ---- the clients -------------------------------------------------------------------------- */

static int index_of(sio_slice name)
{
	for (int i = 0; i < NAMES; i++)
		if (sio_slice_eq(sio_str(names[i]), name))
			return i;
	fail_msg("namespace %.*s", (int)name.n, name.p);
	return -1;
}

/* The namespace of a packet; *rest is what follows it. */
static int namespace_of(sio_slice text, sio_slice *rest)
{
	const char *p = text.p + 2, *end = text.p + text.n, *from;
	const char *dash = memchr(text.p, '-', text.n > 5 ? 5 : text.n);

	if (text.p[1] >= '5' && dash)
		p = dash + 1;
	from = p;
	while (p < end && *from == '/' && *p != ',')
		p++;
	*rest = sio_bytes(p + (p > from), (size_t)(end - p) - (p > from));
	return p > from ? index_of(sio_bytes(from, (size_t)(p - from))) : 0;
}

static void remember_question(struct view *v, int at, sio_slice rest)
{
	size_t n = 0;

	while (n < rest.n && n < sizeof(v->asked_id) - 1 && rest.p[n] >= '0' && rest.p[n] <= '9')
		n++;
	if (n == 0)
		return;
	v->asked_in = at;
	memcpy(v->asked_id, rest.p, n);
	v->asked_id[n] = '\0';
}

/* Nothing comes from a namespace before its CONNECT answer or behind its DISCONNECT. */
static void on_client_packet(struct fake_client *c, sio_slice text, bool is_binary)
{
	struct view *v = c->user;
	sio_slice rest;
	int at;

	if (!v || is_binary || text.n < 2 || text.p[0] != '4')
		return;
	at = namespace_of(text, &rest);
	switch (text.p[1]) {
	case '0':
		assert_true(!v->is_in[at] && v->is_asking[at]);
		v->is_in[at] = true;
		v->is_asking[at] = false;
		v->has_left[at] = false;
		return;
	case '1':
		assert_true(v->is_in[at] || v->has_left[at]);
		v->is_in[at] = false;
		return;
	case '4':
		assert_true(!v->is_in[at] && v->is_asking[at]);
		v->is_asking[at] = false;
		return;
	default:
		/* A volatile one may have taken the place of one from before it left. */
		if (!v->is_in[at] && !v->has_left[at])
			fail_msg("not in %s: %.*s", names[at], (int)text.n, text.p);
		if (text.p[1] == '2')
			remember_question(v, at, rest);
	}
}

/* What a client says changes what it knows when it is heard. */
static void on_client_said(struct fake_client *c, char *data, size_t n, bool is_binary)
{
	struct view *v = c->user;
	sio_slice rest;
	int at;

	if (v && !is_binary && n >= 1 && (data[0] == '0' || data[0] == '1')) {
		at = namespace_of(sio_bytes(data - 1, n + 1), &rest);
		v->is_asking[at] |= data[0] == '0';
		v->has_left[at] |= data[0] == '1';
		v->is_in[at] &= data[0] == '0';
	}
	hub_message(&c->link->hub_client, data, n, is_binary);
}

/* A client that has read all there is knows where it is. */
static void check_view(const struct fake_client *c, const struct view *v)
{
	bool is_there[NAMES] = { 0 };

	if (!c->link || !eio_is_open(&c->link->session) || c->link->session.out.n > 0)
		return;
	for (struct sio_socket *s = c->link->hub_client.sockets; s; s = s->next)
		is_there[(intptr_t)sio_namespace_data(s->nsp)] = true;
	for (int i = 0; i < NAMES; i++)
		if ((!v->has_left[i] || v->is_in[i]) && is_there[i] != v->is_in[i])
			fail_msg("%s: the server says %d, the client %d", names[i], is_there[i], v->is_in[i]);
}

static const char *with_namespace(const char *head, int at, const char *tail)
{
	static char text[256];

	snprintf(text, sizeof(text), "%s%s%s%s", head, at ? names[at] : "", at ? "," : "", tail);
	return text;
}

/* One that it is not in and does not ask for, as far as it knows. */
static const char *a_connect(const struct view *v)
{
	int at = one_in(2) ? 0 : (int)below(NAMES);

	return v->is_in[at] || v->is_asking[at] ? "3" : with_namespace("40", at, one_in(2) ? "" : "{\"a\":1}");
}

/* One that it is in, -1: none. */
static int a_known(const struct view *v)
{
	int from = one_in(3) ? 0 : (int)below(NAMES);

	for (int i = 0; i < NAMES; i++)
		if (v->is_in[(from + i) % NAMES])
			return (from + i) % NAMES;
	return -1;
}

/* Mostly what fits, so that sessions live long enough to become interesting. */
static const char *a_packet(const struct fake_client *c)
{
	struct view *v = c->user;
	int at = a_known(v);
	uint32_t i;

	static const struct {
		const char *head, *tail;
	} good[] = {
		{ "42", "[\"x\",1]" }, { "42", "[\"x\",{\"a\":[1,2]}]" }, { "42", "5[\"ask\"]" },
		{ "42", "[\"x\"]" }, { "42", "[\"y\",\"text\"]" }, { "42", "[\"z\",null]" }, { "43", "99999[]" },
		{ "451-", "[\"b\",{\"_placeholder\":true,\"num\":0}]" }, { "452-", "[\"b\",{\"_placeholder\":true,\"num\":1}]" },
	};
	static const char *const bad[] = {
		"1", "2", "", "9", "abc", "4", "47", "42{}", "42[]", "42[\"connect\"]", "40/nowhere", "40/nowhere,{}", "40[]",
		"450-[\"a\"]", "4511-[\"a\"]", "452-[\"a\",{\"_placeholder\":true,\"num\":1}]", "b!!", "44{}", "5", "0{}",
		"4299999999999999999999[\"a\"]", "42-1[\"a\"]", "42[[[[[[[[[[[[", "41{}", "2probe", "42[\"\\ud800\"]",
		"42/nowhere,[\"a\"]", "41/nowhere,", "40/r0,[]", "451-/r0,[\"a\"]",
	};

	if (one_in(150))
		return bad[below(sizeof(bad) / sizeof(bad[0]))];
	if (c->link->hub_client.partial)
		return "bAQID";
	if (at < 0 || one_in(6))
		return a_connect(v);
	if (one_in(100))
		return with_namespace("41", at, "");
	if (v->asked_in >= 0 && one_in(2)) {
		at = v->asked_in;
		v->asked_in = -1;
		return with_namespace("43", at, strcat(v->asked_id, "[1]"));
	}
	i = below(sizeof(good) / sizeof(good[0]) + 2);
	return i < 2 ? (i ? "3" : "6") : with_namespace(good[i - 2].head, at, good[i - 2].tail);
}

static void post_something(struct fake_client *c)
{
	struct buf body = { 0 };

	if (!fake_post_begin(c))
		return;
	if (one_in(20))
		return; /* the body comes later, or never */
	buf_str(&body, a_packet(c));
	for (uint32_t n = below(3); n > 0 && body.n > 2 && memcmp(body.p, "42", 2) == 0; n--)
		buf_str(&body, one_in(2) ? "\x1e" "42[\"more\",{}]" : "\x1e" "3");
	fake_post_body(c, body.p, body.n);
	buf_fini(&body);
}

static void act_polling(struct fake_client *c)
{
	switch (below(12)) {
	case 0:
	case 1:
	case 2:
	case 3:
		if (!c->has_wire[EIO_WIRE_GET] || one_in(200))
			fake_get(c);
		return;
	case 4:
	case 5:
	case 6:
		if (c->has_wire[EIO_WIRE_POST] && !one_in(100))
			fake_post_body(c, "3", 1);
		else
			post_something(c);
		return;
	case 7:
		if (!c->has_wire[EIO_WIRE_PROBE])
			fake_probe(c);
		return;
	case 8:
		if (c->has_wire[EIO_WIRE_PROBE])
			fake_probe_text(c, one_in(15) ? "42[\"x\"]" : "2probe");
		return;
	case 9:
		if (c->has_wire[EIO_WIRE_PROBE])
			fake_probe_text(c, "5");
		return;
	case 10:
		if (c->has_wire[EIO_WIRE_PROBE] && one_in(3))
			fake_hang_up(c, EIO_WIRE_PROBE);
		return;
	default:
		if (c->has_wire[EIO_WIRE_GET] && one_in(40))
			fake_hang_up(c, EIO_WIRE_GET);
		else if (c->has_wire[EIO_WIRE_POST] && one_in(20))
			fake_hang_up(c, EIO_WIRE_POST);
	}
}

static void act_websocket(struct fake_client *c)
{
	switch (below(10)) {
	case 0:
		if (one_in(3))
			fake_ws_takes(c, below(200)); /* it reads slowly */
		return;
	case 1:
		fake_ws_takes(c, SIZE_MAX);
		return;
	case 2:
		if (c->link->hub_client.partial || one_in(100))
			fake_ws_binary(c, "bytes", below(6));
		return;
	case 3:
		if (one_in(40))
			fake_hang_up(c, EIO_WIRE_WS);
		else if (one_in(40))
			eio_ws_fault(fake_session(c), 1002);
		return;
	case 4:
		if (one_in(20))
			fake_probe(c);
		return;
	default:
		fake_ws(c, a_packet(c));
	}
}

static void act(unsigned i)
{
	struct fake_client *c = clients[i];

	if (!c || !c->link) {
		if (c)
			fake_forget(c);
		clients[i] = hub_open(server, one_in(2) ? EIO_WEBSOCKET : EIO_POLLING);
		views[i] = (struct view){ .asked_in = -1 };
		clients[i]->user = &views[i];
		return;
	}
	if (c->gone_n) /* nothing leads to it any more */
		return;
	if (c->has_wire[EIO_WIRE_WS])
		act_websocket(c);
	else if (fake_session(c)->transport == EIO_POLLING)
		act_polling(c);
}

static void pay_debts(void)
{
	if (pending_n > 0 && one_in(2)) {
		unsigned i = below(pending_n);
		struct sio_connect *req = pending[i].req;
		bool is_last = pending[i].is_last;
		pending[i] = pending[--pending_n];
		if (one_in(2)) {
			accepted += is_last && may_enter(req);
			sio_connect_next(req);
		} else {
			answer(req);
		}
	}
	if (paused_n > 0 && one_in(2)) {
		unsigned i = below(paused_n);
		struct sio_socket *s = paused[i];
		paused[i] = paused[--paused_n];
		sio_socket_resume(s);
		sio_socket_unref(s);
	}
}

static void check(unsigned step)
{
	const struct fake *f = server->fake;

	hub_check(server);
	for (unsigned i = step % 10; i < CLIENTS; i += 10) /* what is wrong there stays wrong */
		if (clients[i])
			check_view(clients[i], &views[i]);
	assert_int_equal(depth, 0);
	assert_int_equal(accepted - ended, server->hub.sockets);
	assert_int_equal(leaving, ended);
	assert_int_equal(dropped, server->hub.dropped);
	assert_int_equal(f->opened - f->gone, f->engine.sessions.n);
	assert_true(f->closed <= f->opened && f->gone <= f->closed);
}

static void test_simulation(void **state)
{
	struct hub_limits limits = hub_usual;
	struct eio_limits eio = { .ping_interval_ms = 25000, .ping_timeout_ms = 20000, .upgrade_timeout_ms = 10000,
				  .max_payload_bytes = 1000000, .send_queue_bytes = 512, .packets_n = 100 };
	const char *text = getenv("STEPS");
	long steps = text ? atol(text) : DEFAULT_STEPS;

	(void)state;
	rnd = fake_seed();
	pending_n = paused_n = depth = 0;
	accepted = leaving = ended = asked = answered = made = dropped = 0;
	by_pattern = by_function = NULL;
	memset(clients, 0, sizeof(clients));
	limits.events_per_second = 20;
	limits.events_burst = 40;
	limits.max_rooms = 200;
	server = hub_start(&limits, &eio);
	server->fake->is_quiet = true;
	server->fake->message = on_client_said;
	server->fake->packet = on_client_packet;
	sio_on_new_namespace(server, on_new, NULL);
	set_rules(sio_namespace_main(server));
	for (long step = 0; step < steps; step++) {
		make_parents();
		for (uint32_t n = below(8); n < 8; n++)
			act(below(CLIENTS));
		pay_debts();
		for (uint32_t n = below(3); n > 0; n--)
			meddle_any();
		if (one_in(100))
			move_namespaces();
		if (one_in(5000))
			eio_engine_discard_all(&server->fake->engine, "server shutting down");
		if (one_in(500))
			eio_engine_relax(&server->fake->engine);
		if (one_in(3))
			fake_run(server->fake, one_in(600) ? below(60000) : below(200));
		else
			fake_turn(server->fake);
		check((unsigned)step);
	}
	/* The application keeps its promises to the end, though all have gone. */
	eio_engine_discard_all(&server->fake->engine, "server shutting down");
	while (pending_n > 0 || paused_n > 0)
		pay_debts();
	assert_int_equal(accepted, ended);
	print_message("%llu sessions, %llu namespaces, %llu sockets, %llu events, %llu dropped, %llu questions, "
		      "%llu deliveries, %llu upgrades, %llu cut as slow\n",
		      (unsigned long long)server->fake->opened, (unsigned long long)made, (unsigned long long)accepted,
		      (unsigned long long)server->hub.events, (unsigned long long)dropped, (unsigned long long)asked,
		      (unsigned long long)server->fake->engine.deliveries,
		      (unsigned long long)server->fake->engine.upgrades, (unsigned long long)server->fake->engine.slow);
	hub_stop(server);
	assert_int_equal(asked, answered);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_simulation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
