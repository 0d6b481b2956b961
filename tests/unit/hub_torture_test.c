/* hub_torture_test.c -- memory runs out at each place of the hub in turn.
 *
 * A scene is run once to count its allocations, then once for each of them with that
 * one failing, and once more with all from there on.  Afterwards: every call has
 * returned what its header lists, nothing has leaked, the invariants hold, and a client
 * whose session is still open knows all that it must know: each CONNECT is answered or
 * under decision, it is in the namespaces that it was told of, and it has each event
 * that the application was told is queued.
 *
 * Then scenes in random order with random failures: STEPS of them, SEED repeats a run.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "lib/fail_alloc.h"
#include "lib/fake_hub.h"

enum { PEERS = 5, POLLING = PEERS - 1, DEFAULT_STEPS = 3000, STREAM = 1 << 16, PENDING = 64 };

/* What a client knows, and what it should know. */
struct peer {
	struct fake_client *c;
	unsigned asked, answered;      /* CONNECTs */
	int in;                        /* namespaces, by what it was told and said */
	unsigned due, got;             /* events */
};

static struct sio_server *server;
static struct sio_namespace *nsp, *waiting, *parent;
static struct peer peers[PEERS];
static struct sio_connect *pending[PENDING];
static unsigned pending_n;
static unsigned questions, told;       /* questions put, and ended */
static uint64_t rnd;

static const struct sio_args none;
static const struct sio_target everybody;
static const sio_slice room = { "room", 4 };
static const struct sio_target to_room = { .rooms = &room, .rooms_n = 1 };

/* ---- the clients ------------------------------------------------------------------- */

static void on_packet(struct fake_client *c, sio_slice text, bool is_binary)
{
	struct peer *peer = c->user;

	if (!peer || is_binary || text.n < 2 || text.p[0] != '4')
		return;
	peer->answered += text.p[1] == '0' || text.p[1] == '4';
	peer->in += text.p[1] == '0';
	peer->in -= text.p[1] == '1';
	peer->got += text.p[1] == '2' || text.p[1] == '5';
}

static bool is_in(const struct peer *peer, const char *name)
{
	for (struct sio_socket *s = hub_socket(peer->c); s; s = s->next)
		if (sio_slice_eq(sio_str(s->nsp->name), sio_str(name)))
			return true;
	return false;
}

static struct sio_socket *sock(int i)
{
	for (struct sio_socket *s = hub_socket(peers[i].c); s; s = s->next)
		if (s->nsp == nsp)
			return s;
	return NULL;
}

/* Allocates nothing of its own. */
static void say(int i, const char *text)
{
	static char copy[20000];
	struct fake_client *c = peers[i].c;
	size_t n = strlen(text);

	if (!c->link || !eio_is_open(fake_session(c)))
		return;
	memcpy(copy, text, n);
	peers[i].asked += n >= 2 && memcmp(text, "40", 2) == 0;
	if (n >= 2 && memcmp(text, "41", 2) == 0)
		peers[i].in -= is_in(&peers[i], n == 2 ? "/" : "/n");
	if (c->has_wire[EIO_WIRE_WS])
		eio_ws_text(fake_session(c), copy, n);
	else if (fake_post_begin(c))
		eio_post(fake_session(c), copy, n);
}

static void say_bytes(int i, const char *bytes, size_t n)
{
	static char copy[20000];

	memcpy(copy, bytes, n);
	if (peers[i].c->link)
		eio_ws_binary(fake_session(peers[i].c), copy, n);
}

static void poll_once(void)
{
	struct fake_client *c = peers[POLLING].c;

	if (c && c->link && eio_is_open(fake_session(c)) && !c->has_wire[EIO_WIRE_GET])
		fake_get(c);
	fake_turn(server->fake);
}

static void begin(void)
{
	server = hub_start(NULL, NULL);
	server->fake->is_quiet = true;
	server->fake->packet = on_packet;
	nsp = sio_namespace_open(server, SIO_LIT("/n"));
	waiting = sio_namespace_open(server, SIO_LIT("/w"));
	assert_int_equal(sio_namespace_pattern(server, "/c[0-9]*", &parent), SIO_OK);
	pending_n = questions = told = 0;
	memset(peers, 0, sizeof(peers));
	for (int i = 0; i < PEERS; i++) {
		peers[i] = (struct peer){ .c = hub_open(server, i == POLLING ? EIO_POLLING : EIO_WEBSOCKET) };
		peers[i].c->user = &peers[i];
		buf_reserve(&peers[i].c->stream, STREAM);
		say(i, "40");
		say(i, "40/n,");
		poll_once();
		assert_int_equal(peers[i].in, 2);
		if (i % 2 == 0)
			assert_int_equal(sio_room_join(sock(i), room), SIO_OK);
	}
}

static void check_peer(const struct peer *peer)
{
	unsigned asking = 0;
	int in = 0;

	if (!peer->c->link || !eio_is_open(fake_session(peer->c)))
		return;
	for (struct sio_connect *r = peer->c->link->hub_client.asking; r; r = r->next)
		asking++;
	for (struct sio_socket *s = hub_socket(peer->c); s; s = s->next)
		in++;
	assert_int_equal(peer->asked, peer->answered + asking);
	assert_int_equal(peer->in, in);
	assert_int_equal(peer->got, peer->due);
}

static void check_all(void)
{
	poll_once();
	poll_once();
	hub_check(server);
	for (int i = 0; i < PEERS; i++)
		check_peer(&peers[i]);
}

/* With memory again: what is owed is paid, a newcomer is served, all goes. */
static void end(void)
{
	struct fake_client *c;

	check_all();
	while (pending_n > 0)
		(void)sio_connect_accept(pending[--pending_n]);
	check_all();
	c = hub_connected(server);
	assert_non_null(hub_enter(c, "/n"));
	assert_non_null(hub_enter(c, "/c7"));
	fake_run(server->fake, 20000);
	hub_check(server);
	hub_stop(server);
	assert_int_equal(questions, told);
}

/* ---- the scenes: whatever fails, what a call says is true ------------------------------ */

/* 0 or no memory. */
static bool ok(long result)
{
	if (result < 0 && result != SIO_ERR_NOMEM)
		fail_msg("returned %ld", result);
	return result >= 0;
}

static bool is_open(int i)
{
	return sock(i) && eio_is_open(fake_session(peers[i].c));
}

static void wait(struct sio_connect *req, void *arg)
{
	(void)arg;
	assert_true(pending_n < PENDING);
	pending[pending_n++] = req;
}

static void let_in(struct sio_connect *req, void *arg)
{
	(void)arg;
	(void)sio_connect_accept(req);
}

static void refuse(struct sio_connect *req, void *arg)
{
	(void)arg;
	sio_connect_refuse(req, sio_connect_auth(req), sio_connect_auth(req));
}

static void scene_connect(void)
{
	sio_namespace_on_connect(waiting, wait, NULL);
	say(0, "40/c1,{\"a\":1}");
	say(1, "40/c1,");
	say(2, "40/c2,");
	say(0, "40/nowhere,");
	say(POLLING, "40/c3,{\"a\":1}");
	for (int i = 0; i < 3; i++)
		say(i, "40/w,{\"token\":\"a longer one\"}");
	for (int i = 0; pending_n > 0; i++) {
		struct sio_connect *req = pending[--pending_n];
		if (i == 0)
			sio_connect_next(req); /* behind the handler: lets in */
		else if (i == 1)
			let_in(req, NULL);
		else
			refuse(req, NULL);
	}
	sio_namespace_on_connect(nsp, NULL, NULL);
	say(3, "41/n,");
	say(3, "40/n,");
}

static bool even(sio_slice name, sio_slice auth, void *arg)
{
	(void)auth, (void)arg;
	return name.n % 2 == 0;
}

static int pass(struct sio_socket *s, const struct sio_event *e, void *arg)
{
	(void)s, (void)e, (void)arg;
	return 0;
}

static void go_on(struct sio_connect *req, void *arg)
{
	(void)arg;
	sio_connect_next(req);
}

static void on_event(struct sio_socket *s, const struct sio_event *e, void *arg)
{
	(void)arg;
	if (e->ack != SIO_ACK_NONE)
		ok(sio_socket_ack(s, e->ack, &e->args));
}

static void scene_namespaces(void)
{
	static const char *const names[] = { "/a1", "/a2", "/c10", "/c11", "/a3", "/a4", "/c12" };
	struct sio_namespace *made;
	bool is_ok;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		made = sio_namespace_open(server, sio_str(names[i]));
		assert_ptr_equal(made, nsp_find(&server->hub, sio_str(names[i])));
		if (!made)
			continue;
		ok(sio_namespace_use(made, go_on, NULL));
		ok(sio_namespace_use_event(made, pass, NULL));
		ok(sio_namespace_on_event(made, "x", on_event, NULL));
		ok(sio_namespace_on_event(made, "y", on_event, NULL));
	}
	assert_true(sio_namespace_pattern(server, "(", &made) < 0);
	assert_null(made);
	is_ok = ok(sio_namespace_pattern(server, "/p.", &made));
	assert_int_equal(is_ok, made != NULL);
	if (made)
		ok(sio_namespace_use(made, go_on, NULL));
	say(0, "40/p1,");
	say(1, "40/p1,");
	is_ok = ok(sio_namespace_dynamic(server, even, NULL, &made));
	assert_int_equal(is_ok, made != NULL);
	say(2, "40/even_,");
	say(2, "42/even_,1[\"x\"]");
	if (made)
		assert_int_equal(sio_namespace_close(made), SIO_OK);
	made = nsp_find(&server->hub, SIO_LIT("/c10"));
	if (made)
		assert_int_equal(sio_namespace_close(made), SIO_OK);
}

static void scene_rooms(void)
{
	char name[3] = "r0";

	for (int i = 0; i < 10 * PEERS; i++) {
		struct sio_socket *s = sock(i % PEERS);
		sio_slice one = sio_bytes(name, 2);
		size_t before;
		name[1] = (char)('0' + i / PEERS);
		if (!s)
			continue;
		before = sio_namespace_room_size(nsp, one) - sio_room_has(s, one);
		if (ok(sio_room_join(s, one))) {
			assert_true(sio_room_has(s, one));
			assert_int_equal(sio_namespace_room_size(nsp, one), before + 1);
		} else { /* nothing has changed */
			assert_false(sio_room_has(s, one));
			assert_int_equal(before, sio_namespace_room_size(nsp, one));
		}
	}
	hub_check(server);
	for (int i = 0; i < PEERS; i++)
		if (sock(i))
			sio_room_leave(sock(i), SIO_LIT("r3"));
}

static void visit(struct sio_socket *s, void *arg)
{
	unsigned *n = arg;

	assert_true(sio_socket_is_open(s));
	++*n;
}

static void scene_many(void)
{
	sio_slice other = SIO_LIT("other");
	long all = (long)sio_sockets_count(nsp), n;
	unsigned visited = 0;

	n = sio_sockets_each(nsp, &everybody, visit, &visited);
	assert_int_equal(ok(n) ? n : 0, visited);
	assert_true(!ok(n) || n == all);
	n = sio_sockets_join(nsp, &everybody, other);
	assert_true(!ok(n) || (n == all && sio_namespace_room_size(nsp, other) == (size_t)all));
	n = sio_sockets_leave(nsp, &to_room, other);
	assert_true(!ok(n) || n == (long)sio_namespace_room_size(nsp, room));
	visited = 0;
	sio_namespace_room_each(nsp, room, visit, &visited);
	assert_true(visited == 0 || visited == sio_namespace_room_size(nsp, room));
	n = sio_sockets_disconnect(nsp, &(struct sio_target){ .except = &room, .except_n = 1 }, false);
	assert_true(!ok(n) || sio_sockets_count(nsp) == sio_namespace_room_size(nsp, room));
	if (ok(sio_sockets_disconnect(nsp, &everybody, true)))
		assert_int_equal(sio_sockets_count(nsp), 0);
}

/* Mark an event as due to whom a broadcast went. */
static void due(bool room_only, bool is_sent)
{
	for (int i = 0; i < PEERS && is_sent; i++)
		peers[i].due += is_open(i) && (!room_only || sio_room_has(sock(i), room));
}

static void hear(struct sio_socket *s, sio_slice name, const struct sio_args *args, void *arg)
{
	unsigned *n = arg;

	(void)name, (void)args;
	assert_true(sio_socket_is_open(s));
	++*n;
}

static void scene_emit(void)
{
	static const sio_slice bytes[] = { { "\x01\x02\x03", 3 } };
	static char big[9000];
	struct sio_args binary = { SIO_LIT("{\"_placeholder\":true,\"num\":0}"), bytes, 1 }, large;
	unsigned heard_n = 0;

	memset(big, '1', sizeof(big));
	large = sio_args_json(sio_bytes(big, sizeof(big)));
	for (int i = 0; i < PEERS; i++) {
		if (is_open(i))
			peers[i].due += ok(sio_socket_emit(sock(i), SIO_LIT("one"), &none));
		if (is_open(i))
			ok(sio_socket_ack(sock(i), 5, &binary));
	}
	due(true, ok(sio_namespace_broadcast(nsp, &to_room, SIO_LIT("two"), &none)));
	due(false, ok(sio_namespace_broadcast(nsp, &everybody, SIO_LIT("three"), &binary)));
	sio_namespace_on_any_outgoing(nsp, hear, &heard_n);
	due(false, ok(sio_namespace_broadcast(nsp, &everybody, SIO_LIT("four"), &large)));
	poll_once();
	due(true, ok(sio_namespace_broadcast(nsp, &to_room, SIO_LIT("five"), &binary)));
	for (int i = 0; i < 40; i++) /* a longer queue */
		due(false, ok(sio_namespace_broadcast(nsp, &everybody, SIO_LIT("n"), &none)));
	poll_once();
	sio_namespace_on_any_outgoing(nsp, NULL, NULL);
}

static void scene_children(void)
{
	long n;

	say(0, "40/c1,");
	say(0, "40/c2,");
	say(1, "40/c2,");
	n = sio_namespace_broadcast(parent, &everybody, SIO_LIT("x"), &none);
	for (int i = 0; i < PEERS; i++) {
		for (struct sio_socket *s = hub_socket(peers[i].c); s && ok(n); s = s->next)
			peers[i].due += s->nsp->parent == parent;
		if (!ok(n) && peers[i].c->link) /* some have it: that must be enough */
			eio_discard(fake_session(peers[i].c), "test");
	}
}

static void on_answer(struct sio_socket *s, int status, const struct sio_args *args, void *arg)
{
	(void)s, (void)arg;
	assert_true(status == SIO_OK || status == SIO_ERR_TIMEOUT || status == SIO_ERR_CLOSED);
	assert_true(status == SIO_OK || args->json.n == 0);
	told++;
}

static void on_answers(struct sio_namespace *of, int status, const struct sio_answers *got, void *arg)
{
	(void)of, (void)arg;
	assert_true(status == SIO_OK || status == SIO_ERR_TIMEOUT || status == SIO_ERR_CLOSED || status == SIO_ERR_LIMIT ||
		    status == SIO_ERR_NOMEM);
	assert_true(got->answers_n <= got->asked_n);
	assert_true(status != SIO_OK || got->answers_n == got->asked_n);
	for (size_t i = 0; i < got->answers_n; i++)
		assert_true(got->answers[i].json.n > 0);
	told++;
}

static void scene_ask(void)
{
	for (int i = 0; i < PEERS; i++) {
		bool is_asked = is_open(i) && ok(sio_socket_ask(sock(i), SIO_LIT("q"), &none, 1000, on_answer, NULL));
		peers[i].due += is_asked;
		questions += is_asked;
	}
	say(0, "43/n,0[1]");
	say(1, "461-/n,1[{\"_placeholder\":true,\"num\":0}]");
	say_bytes(1, "abc", 3);
	say(2, "41/n,");
	fake_run(server->fake, 2000);
}

static void scene_ask_many(void)
{
	for (int i = 0; i < 3; i++) {
		bool is_asked = ok(sio_sockets_ask(nsp, i == 1 ? &to_room : &everybody, SIO_LIT("q"), &none, 1000, on_answers, NULL));
		due(i == 1, is_asked);
		questions += is_asked;
	}
	for (int i = 0; i < PEERS; i++) {
		say(i, "43/n,0[\"an answer\"]");
		if (i < POLLING) {
			say(i, "461-/n,2[{\"_placeholder\":true,\"num\":0}]");
			say_bytes(i, "abc", 3);
		}
	}
	say(0, "43/n,1[1]");
	say(2, "41/n,");
	fake_run(server->fake, 2000);
}

static void scene_held(void)
{
	struct sio_socket *held[PEERS];

	ok(sio_namespace_on_event(nsp, "x", on_event, NULL));
	for (int i = 0; i < PEERS; i++) {
		held[i] = sock(i) ? sio_socket_ref(sock(i)) : NULL;
		if (held[i])
			sio_socket_pause(held[i]);
	}
	for (int i = 0; i < PEERS; i++) {
		say(i, "42/n,1[\"x\",\"some text\"]");
		say(i, "42/n,2[\"x\"]");
		if (i < POLLING) {
			say(i, "452-/n,3[\"x\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]");
			say_bytes(i, "abc", 3);
			say_bytes(i, "", 0);
		}
	}
	for (int i = 0; i < PEERS; i++) {
		if (!held[i])
			continue;
		sio_socket_resume(held[i]);
		sio_socket_unref(held[i]);
	}
}

static void scene_leaving(void)
{
	sio_namespace_on_disconnect(nsp, NULL, NULL);
	for (int i = 0; i < PEERS; i++) {
		if (!sock(i))
			continue;
		if (i == 0)
			sio_socket_disconnect(sock(i), true);
		else if (i == 1)
			sio_socket_close_transport(sock(i));
		else if (i % 2 == 0)
			sio_socket_disconnect(sock(i), false);
		else
			say(i, "41/n,");
	}
	say(2, "40/n,");
	assert_int_equal(sio_namespace_close(waiting), SIO_OK);
	waiting = sio_namespace_open(server, SIO_LIT("/w"));
	if (waiting)
		sio_namespace_on_connect(waiting, NULL, NULL);
	say(3, "40/w,");
}

static const struct scene {
	const char *name;
	void (*run)(void);
} scenes[] = {
	{ "connect", scene_connect },   { "namespaces", scene_namespaces }, { "rooms", scene_rooms },
	{ "many", scene_many },         { "emit", scene_emit },             { "children", scene_children },
	{ "ask", scene_ask },           { "ask many", scene_ask_many },     { "held", scene_held },
	{ "leaving", scene_leaving },
};
enum { SCENES = sizeof(scenes) / sizeof(scenes[0]) };

/* ---- one failure after the other ---------------------------------------------------------- */

static char where[200]; /* printed when it went wrong */

static int teardown(void **state)
{
	(void)state;
	fail_alloc_disarm();
	if (where[0])
		print_error("in %s\n", where);
	where[0] = '\0';
	return 0;
}

/* The number of allocations it asked for. */
static uint64_t play(const struct scene *scene, uint64_t at, bool for_good)
{
	int64_t out = fail_alloc.out;
	uint64_t seen;

	snprintf(where, sizeof(where), "scene \"%s\", failure %llu%s", scene->name, (unsigned long long)at,
		 for_good ? " and all behind it" : "");
	begin();
	fail_alloc_arm(at, for_good);
	scene->run();
	poll_once();
	fail_alloc_disarm();
	seen = fail_alloc.seen;
	end();
	if (fail_alloc.out != out)
		fail_msg("%s: %lld blocks left after failure %llu", scene->name, (long long)(fail_alloc.out - out),
			 (unsigned long long)at);
	return seen;
}

static void test_each_allocation_in_turn(void **state)
{
	uint64_t steps = 0;

	(void)state;
	for (unsigned i = 0; i < SCENES; i++) {
		uint64_t n = play(&scenes[i], 0, false);
		assert_true(n > 5);
		for (uint64_t at = 1; at <= n; at++) {
			play(&scenes[i], at, false);
			play(&scenes[i], at, true);
		}
		steps += 2 * n;
		print_message("%s: %llu allocations\n", scenes[i].name, (unsigned long long)n);
	}
	print_message("%llu failures\n", (unsigned long long)steps);
	where[0] = '\0';
}

static bool one_in_some(void)
{
	return fake_random(&rnd, 30) == 0;
}

/* Scenes on the heap of what others have left. */
static void test_random_failures(void **state)
{
	const char *text = getenv("STEPS");
	long steps = text ? atol(text) : DEFAULT_STEPS;

	(void)state;
	rnd = fake_seed();
	for (long step = 0; step < steps; step++) {
		int64_t out = fail_alloc.out;
		snprintf(where, sizeof(where), "step %ld:", step);
		begin();
		fail_alloc_arm(0, false);
		fail_alloc.decide = one_in_some;
		for (unsigned n = 1 + fake_random(&rnd, 4); n > 0; n--) {
			const struct scene *scene = &scenes[fake_random(&rnd, SCENES)];
			if (!waiting)
				break;
			strncat(where, " ", sizeof(where) - strlen(where) - 1);
			strncat(where, scene->name, sizeof(where) - strlen(where) - 1);
			scene->run();
			poll_once();
		}
		fail_alloc_disarm();
		end();
		assert_int_equal(fail_alloc.out, out);
	}
	where[0] = '\0';
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_each_allocation_in_turn, teardown),
		cmocka_unit_test_teardown(test_random_failures, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
