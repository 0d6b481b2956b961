/* hub_rules_test.c -- what the application wants of a namespace: middlewares, filters,
 * handlers, catch-all handlers, a parent's and a child's own; handlers that end things.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "lib/fake_hub.h"

static struct sio_server *server;
static struct sio_namespace *parent; /* of every "/c..." */
static struct fake_client *c;

static const struct sio_args none;

static struct sio_connect *asked[16]; /* requests that the application owes an answer */
static unsigned asked_n;

static int setup(void **state)
{
	(void)state;
	server = hub_start(NULL, NULL);
	assert_int_equal(sio_namespace_pattern(server, "/c.*", &parent), SIO_OK);
	c = hub_connected(server);
	buf_clear(&heard);
	asked_n = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	hub_check(server);
	hub_stop(server);
	buf_fini(&heard);
	return 0;
}

static void *word(const char *text)
{
	return (void *)(uintptr_t)text;
}

static const char *name_of(const struct sio_namespace *nsp)
{
	return nsp->name; /* ends with NUL */
}

/* The child of that name, made when its first client is there; kept. */
static struct sio_namespace *child(const char *name)
{
	struct sio_namespace *nsp = sio_namespace_open(server, sio_str(name));

	assert_ptr_equal(sio_namespace_parent(nsp), parent);
	return nsp;
}

static struct sio_target room_of(const sio_slice *name)
{
	return (struct sio_target){ .rooms = name, .rooms_n = 1 };
}

/* ---- middlewares --------------------------------------------------------------------- */

static void pass(struct sio_connect *req, void *arg)
{
	buf_printf(&heard, "%s %s; ", (const char *)arg, name_of(sio_connect_namespace(req)));
	sio_connect_next(req);
}

static void wait(struct sio_connect *req, void *arg)
{
	buf_printf(&heard, "%s waits; ", (const char *)arg);
	asked[asked_n++] = req;
}

static void refuse(struct sio_connect *req, void *arg)
{
	sio_connect_refuse(req, sio_str(arg), SIO_LIT("[1]"));
}

static void accept_it(struct sio_connect *req, void *arg)
{
	buf_printf(&heard, "%s; ", (const char *)arg);
	assert_non_null(sio_connect_accept(req));
}

static void test_the_chain_in_order(void **state)
{
	struct sio_namespace *nsp = child("/c");

	(void)state;
	assert_int_equal(sio_namespace_use(nsp, pass, word("own 1")), SIO_OK);
	assert_int_equal(sio_namespace_use(parent, pass, word("parent 1")), SIO_OK);
	assert_int_equal(sio_namespace_use(nsp, pass, word("own 2")), SIO_OK);
	assert_int_equal(sio_namespace_use(parent, pass, word("parent 2")), SIO_OK);
	sio_namespace_on_connect(parent, accept_it, word("handler of the parent"));
	assert_non_null(hub_enter(c, "/c"));
	expect_heard("parent 1 /c; parent 2 /c; own 1 /c; own 2 /c; handler of the parent; ");
	/* Another child has what is the parent's; "/" has nothing of it. */
	assert_non_null(hub_enter(c, "/cc"));
	expect_heard("parent 1 /cc; parent 2 /cc; handler of the parent; ");
	sio_namespace_on_connect(nsp, accept_it, word("own handler"));
	hub_connected(server);
	expect_heard("");
	assert_non_null(hub_enter(hub_connected(server), "/c"));
	expect_heard("parent 1 /c; parent 2 /c; own 1 /c; own 2 /c; own handler; ");
}

/* Without any of them, and with middlewares alone, everybody is let in. */
static void test_no_connect_handler(void **state)
{
	struct sio_namespace *nsp = child("/c");

	(void)state;
	assert_non_null(hub_enter(c, "/c"));
	assert_int_equal(sio_namespace_use(nsp, pass, word("own")), SIO_OK);
	assert_non_null(hub_enter(hub_connected(server), "/c"));
	expect_heard("own /c; ");
	/* In a connect handler "next" lets in, too. */
	sio_on_connect(server, pass, word("main"));
	hub_connected(server);
	expect_heard("main /; ");
}

static void test_middlewares_of_the_main_namespace(void **state)
{
	(void)state;
	assert_int_equal(sio_namespace_use(sio_namespace_main(server), pass, word("use")), SIO_OK);
	sio_on_connect(server, accept_it, word("handler"));
	hub_connected(server);
	expect_heard("use /; handler; ");
}

static void hear_facts(struct sio_connect *req, void *arg)
{
	sio_slice agent = sio_connect_header(req, "user-agent"), url = sio_connect_url(req), from = sio_connect_address(req);

	buf_printf(&heard, "%s %.*s %.*s %.*s; ", (const char *)arg, (int)agent.n, agent.p, (int)url.n, url.p, (int)from.n,
		   from.p);
	sio_connect_next(req);
}

/* Every namespace of a session sees the session's first request. */
static void test_each_namespace_sees_the_first_request(void **state)
{
	(void)state;
	server->hub.limits.keeps_facts = true;
	c = hub_connected(server);
	assert_int_equal(sio_namespace_use(parent, hear_facts, word("child")), SIO_OK);
	assert_non_null(hub_enter(c, "/c1"));
	assert_non_null(hub_enter(c, "/c2"));
	fake_ws(c, "41/c1,");
	fake_ws(c, "41/c2,");
	fake_ws(c, "41");
	assert_non_null(hub_enter(c, "/c3"));
	expect_heard("child fake/1 /socket.io/?EIO=4 192.0.2.1; child fake/1 /socket.io/?EIO=4 192.0.2.1; "
		     "child fake/1 /socket.io/?EIO=4 192.0.2.1; ");
	fake_run(server->fake, 24000); /* the deadline was met all the same */
	fake_ws(c, "3");
	fake_run(server->fake, 24000);
	assert_int_equal(c->closed_n, 0);
	/* Unless it is asked for, nothing is kept. */
	server->hub.limits.keeps_facts = false;
	c = hub_connected(server);
	assert_null(c->link->hub_client.opening);
}

/* Whoever refuses in the chain ends it, with message and data; the client may try
 * again. */
static void test_a_middleware_refuses(void **state)
{
	struct sio_namespace *nsp = child("/c");

	(void)state;
	assert_int_equal(sio_namespace_use(nsp, refuse, word("no \"way\"")), SIO_OK);
	assert_int_equal(sio_namespace_use(nsp, pass, word("never")), SIO_OK);
	sio_namespace_on_connect(nsp, accept_it, word("never"));
	fake_ws(c, "40/c,");
	fake_ws(c, "40/c,{}");
	fake_turn(server->fake);
	fake_expect(c, "ws 44/c,{\"message\":\"no \\\"way\\\"\",\"data\":[1]}; ws 44/c,{\"message\":\"no \\\"way\\\"\",\"data\":[1]}; ");
	expect_heard("");
	assert_int_equal(server->hub.refused, 2);
	assert_int_equal(c->closed_n, 0);
}

static void test_middlewares_that_answer_later(void **state)
{
	struct sio_namespace *nsp = child("/c");

	(void)state;
	assert_int_equal(sio_namespace_use(parent, wait, word("parent")), SIO_OK);
	assert_int_equal(sio_namespace_use(nsp, pass, word("between")), SIO_OK);
	assert_int_equal(sio_namespace_use(nsp, wait, word("own")), SIO_OK);
	fake_ws(c, "40/c,{\"k\":1}");
	expect_heard("parent waits; ");
	assert_true(sio_slice_eq(sio_connect_auth(asked[0]), SIO_LIT("{\"k\":1}")));
	assert_true(sio_connect_is_open(asked[0]));
	sio_connect_next(asked[0]);
	expect_heard("between /c; own waits; ");
	assert_ptr_equal(asked[1], asked[0]);
	assert_int_equal(sio_sockets_count(nsp), 0);
	sio_connect_next(asked[1]);
	assert_int_equal(sio_sockets_count(nsp), 1);
	fake_turn(server->fake);
	assert_int_equal(memcmp(c->log.p, "ws 40/c,{\"sid\":", 15), 0);
	/* A middleware may also accept: the rest is not asked. */
	buf_clear(&heard);
	c = hub_connected(server);
	fake_ws(c, "40/c,");
	assert_non_null(sio_connect_accept(asked[2]));
	expect_heard("parent waits; ");
}

/* Each way to lose the client while a middleware waits, and each way to answer then. */
static void test_the_client_goes_while_a_middleware_waits(void **state)
{
	(void)state;
	assert_int_equal(sio_namespace_use(parent, wait, word("parent")), SIO_OK);
	assert_int_equal(sio_namespace_use(parent, pass, word("never")), SIO_OK);
	for (int i = 0; i < 9; i++) {
		asked_n = 0;
		c = hub_connected(server);
		fake_ws(c, "40/c,");
		if (i / 3 == 0)
			fake_hang_up(c, EIO_WIRE_WS);
		else if (i / 3 == 1)
			fake_ws(c, "42/c,[\"too early\"]");
		else
			sio_socket_disconnect(hub_socket(c), true);
		if (i % 2)
			fake_turn(server->fake); /* its memory goes */
		assert_false(sio_connect_is_open(asked[0]));
		hub_check(server);
		if (i % 3 == 0)
			sio_connect_next(asked[0]);
		else if (i % 3 == 1)
			assert_null(sio_connect_accept(asked[0]));
		else
			sio_connect_refuse(asked[0], SIO_LIT("no"), SIO_LIT(""));
		fake_turn(server->fake);
		assert_int_equal(server->hub.children_n, 0);
	}
	expect_heard("parent waits; parent waits; parent waits; parent waits; parent waits; parent waits; "
		     "parent waits; parent waits; parent waits; ");
}

static void test_a_middleware_waits_too_long(void **state)
{
	(void)state;
	assert_int_equal(sio_namespace_use(sio_namespace_main(server), wait, word("main")), SIO_OK);
	c = hub_open(server, EIO_WEBSOCKET);
	fake_ws(c, "40");
	fake_run(server->fake, 24000);
	fake_ws(c, "3");
	fake_run(server->fake, 21100);
	assert_int_equal(c->closed_n, 1);
	sio_connect_next(asked[0]);
	assert_int_equal(sio_sockets_count(sio_namespace_main(server)), 0);
}

static void close_it(struct sio_connect *req, void *arg)
{
	(void)arg;
	assert_int_equal(sio_namespace_close(sio_connect_namespace(req)), SIO_OK);
	sio_connect_next(req);
}

static void add_one(struct sio_connect *req, void *arg)
{
	assert_int_equal(sio_namespace_use(sio_connect_namespace(req), pass, arg), SIO_OK);
	sio_connect_next(req);
}

static void end_client(struct sio_connect *req, void *arg)
{
	(void)arg;
	sio_socket_close_transport(hub_socket(c));
	sio_connect_next(req);
}

/* A middleware that closes the namespace, adds another middleware, ends the session. */
static void test_what_a_middleware_may_do(void **state)
{
	struct sio_namespace *nsp = child("/c");

	(void)state;
	assert_int_equal(sio_namespace_use(nsp, add_one, word("added")), SIO_OK);
	assert_non_null(hub_enter(c, "/c"));
	expect_heard("added /c; ");
	assert_int_equal(sio_namespace_use(parent, close_it, NULL), SIO_OK);
	fake_ws(c, "40/cc,");
	fake_turn(server->fake);
	fake_expect(c, "ws 44/cc,{\"message\":\"Invalid namespace\"}; ");
	assert_int_equal(sio_namespace_close(parent), SIO_OK);
	nsp = sio_namespace_open(server, SIO_LIT("/d"));
	assert_int_equal(sio_namespace_use(nsp, end_client, NULL), SIO_OK);
	buf_clear(&heard);
	fake_ws(c, "40/d,");
	assert_int_equal(c->closed_n, 1);
	assert_int_equal(sio_sockets_count(nsp), 0);
	fake_turn(server->fake);
}

/* ---- filters of events ------------------------------------------------------------------ */

enum deed { NOTHING, ACK, LEAVE, CLOSE_SESSION, CLOSE_NAMESPACE };

static struct {
	const char *at;    /* where it is done */
	enum deed deed;
	int result;        /* of a filter of that name */
} plan;

static void act(struct sio_socket *s, const char *where)
{
	if (!plan.at || strcmp(plan.at, where) != 0)
		return;
	plan.at = NULL;
	if (plan.deed == LEAVE)
		sio_socket_disconnect(s, false);
	else if (plan.deed == CLOSE_SESSION)
		sio_socket_close_transport(s);
	else if (plan.deed == CLOSE_NAMESPACE)
		assert_int_equal(sio_namespace_close(sio_socket_namespace(s)), SIO_OK);
}

static int filter(struct sio_socket *s, const struct sio_event *e, void *arg)
{
	int result = plan.at && strcmp(plan.at, arg) == 0 ? plan.result : 0;

	buf_printf(&heard, "%s %.*s(%.*s); ", (const char *)arg, (int)e->name.n, e->name.p, (int)e->args.json.n, e->args.json.p);
	if (result && plan.deed == ACK)
		assert_int_equal(sio_socket_ack(s, e->ack, &none), SIO_OK);
	act(s, arg);
	assert_int_equal(sio_socket_id(s).n, SIO_ID_LEN); /* its memory is good */
	return result;
}

static void on_event(struct sio_socket *s, const struct sio_event *e, void *arg)
{
	buf_printf(&heard, "%s %.*s; ", (const char *)arg, (int)e->name.n, e->name.p);
	act(s, arg);
	assert_int_equal(sio_socket_id(s).n, SIO_ID_LEN);
}

static void on_dropped(struct sio_socket *s, const struct sio_event *e, int why, void *arg)
{
	buf_printf(&heard, "%s %.*s dropped, %d%s; ", (const char *)arg, (int)e->name.n, e->name.p, why,
		   sio_socket_is_open(s) ? "" : ", ended");
}

static void on_end(struct sio_socket *s, sio_slice reason, void *arg)
{
	(void)s, (void)reason;
	buf_printf(&heard, "%s; ", (const char *)arg);
}

/* A child with a filter and a catch-all of its own beside the parent's. */
static struct sio_namespace *with_filters(void)
{
	struct sio_namespace *nsp = child("/c");

	plan.at = NULL;
	assert_int_equal(sio_namespace_use_event(nsp, filter, word("own 1")), SIO_OK);
	assert_int_equal(sio_namespace_use_event(nsp, filter, word("own 2")), SIO_OK);
	assert_int_equal(sio_namespace_use_event(parent, filter, word("parent")), SIO_OK);
	sio_namespace_on_any(nsp, on_event, word("any"));
	assert_int_equal(sio_namespace_on_event(nsp, "x", on_event, word("x")), SIO_OK);
	sio_namespace_on_dropped(parent, on_dropped, word("parent"));
	sio_namespace_on_disconnect(parent, on_end, word("end"));
	return nsp;
}

static void test_filters_in_order(void **state)
{
	struct sio_namespace *nsp = with_filters();

	(void)state;
	assert_non_null(hub_enter(c, "/c"));
	fake_ws(c, "42/c,[\"x\",1]");
	expect_heard("parent x(1); own 1 x(1); own 2 x(1); any x; x x; ");
	fake_ws(c, "42/c,[\"y\"]");
	expect_heard("parent y(); own 1 y(); own 2 y(); any y; ");
	plan.at = "own 1", plan.result = 7;
	fake_ws(c, "42/c,[\"x\"]");
	expect_heard("parent x(); own 1 x(); parent x dropped, 7; ");
	plan.at = "parent", plan.result = -1;
	fake_ws(c, "42/c,[\"x\"]");
	expect_heard("parent x(); parent x dropped, -1; ");
	assert_int_equal(server->hub.dropped, 2);
	sio_namespace_on_dropped(nsp, on_dropped, word("own"));
	plan.at = "own 2", plan.result = 5;
	fake_ws(c, "42/c,[\"x\"]");
	expect_heard("parent x(); own 1 x(); own 2 x(); own x dropped, 5; ");
	sio_namespace_on_dropped(nsp, NULL, NULL);
	sio_namespace_on_dropped(parent, NULL, NULL);
	plan.at = "own 2";
	fake_ws(c, "42/c,[\"x\"]");
	expect_heard("parent x(); own 1 x(); own 2 x(); ");
	assert_int_equal(server->hub.dropped, 4);
	fake_turn(server->fake);
	fake_expect(c, ""); /* the client hears nothing of it */
	/* "/" has none of these. */
	assert_int_equal(sio_on_event(server, "x", on_event, word("main")), SIO_OK);
	fake_ws(c, "42[\"x\"]");
	expect_heard("main x; ");
}

static void test_a_filter_acknowledges(void **state)
{
	(void)state;
	with_filters();
	assert_non_null(hub_enter(c, "/c"));
	plan.at = "own 1", plan.deed = ACK, plan.result = 1;
	fake_ws(c, "42/c,12[\"x\"]");
	fake_turn(server->fake);
	fake_expect(c, "ws 43/c,12[]; ");
	expect_heard("parent x(); own 1 x(); parent x dropped, 1; ");
}

/* Whoever ends the socket on the way ends the way. */
static void test_the_socket_ends_on_the_way(void **state)
{
	static const struct {
		const char *at;
		int result;
		const char *want;
	} rows[] = {
		{ "parent", 0, "parent x(); end; " },
		{ "parent", 3, "parent x(); end; parent x dropped, 3, ended; " },
		{ "own 1", 0, "parent x(); own 1 x(); end; " },
		{ "own 2", 0, "parent x(); own 1 x(); own 2 x(); end; " },
		{ "own 2", 3, "parent x(); own 1 x(); own 2 x(); end; parent x dropped, 3, ended; " },
		{ "any", 0, "parent x(); own 1 x(); own 2 x(); any x; end; " },
		{ "x", 0, "parent x(); own 1 x(); own 2 x(); any x; x x; end; " },
	};

	(void)state;
	for (enum deed deed = LEAVE; deed <= CLOSE_NAMESPACE; deed++) {
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct sio_namespace *nsp;
			assert_int_equal(sio_namespace_close(parent), SIO_OK);
			assert_int_equal(sio_namespace_pattern(server, "/c.*", &parent), SIO_OK);
			nsp = with_filters();
			c = hub_connected(server);
			assert_non_null(hub_enter(c, "/c"));
			plan.at = rows[i].at, plan.deed = deed, plan.result = rows[i].result;
			fake_ws(c, "42/c,[\"x\"]");
			expect_heard(rows[i].want);
			hub_check(server);
			assert_ptr_equal(nsp_find(&server->hub, SIO_LIT("/c")), deed == CLOSE_NAMESPACE ? NULL : nsp);
			fake_turn(server->fake);
		}
	}
}

/* The same for a child that nobody else holds: its memory goes with the socket. */
static void test_the_last_socket_ends_on_the_way(void **state)
{
	static const char *const at[] = { "parent", "any", "x", "dropped" };

	(void)state;
	assert_int_equal(sio_namespace_use_event(parent, filter, word("parent")), SIO_OK);
	sio_namespace_on_any(parent, on_event, word("any"));
	assert_int_equal(sio_namespace_on_event(parent, "x", on_event, word("x")), SIO_OK);
	for (enum deed deed = LEAVE; deed <= CLOSE_NAMESPACE; deed++) {
		for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
			c = hub_connected(server);
			assert_non_null(hub_enter(c, "/c1"));
			plan.at = at[i], plan.deed = deed, plan.result = i % 2;
			fake_ws(c, "42/c1,[\"x\"]");
			assert_int_equal(server->hub.children_n, i == 3);
			fake_hang_up(hub_connected(server), EIO_WIRE_WS);
			if (c->closed_n == 0)
				fake_hang_up(c, EIO_WIRE_WS);
			fake_turn(server->fake);
		}
	}
}

/* Events that were held while the socket was paused take the same way. */
static void test_held_events_are_filtered(void **state)
{
	struct sio_socket *s;

	(void)state;
	with_filters();
	s = hub_enter(c, "/c");
	sio_socket_pause(s);
	fake_ws(c, "42/c,[\"x\",1]");
	fake_ws(c, "42/c,[\"x\",2]");
	fake_ws(c, "42/c,[\"x\",3]");
	expect_heard("");
	plan.at = "own 1", plan.deed = NOTHING, plan.result = 1;
	sio_socket_ref(s);
	sio_socket_resume(s);
	expect_heard("parent x(1); own 1 x(1); parent x dropped, 1; parent x(2); own 1 x(2); own 2 x(2); any x; x x; "
		     "parent x(3); own 1 x(3); own 2 x(3); any x; x x; ");
	sio_socket_pause(s);
	fake_ws(c, "42/c,[\"x\",4]");
	fake_ws(c, "42/c,[\"x\",5]");
	plan.at = "own 1", plan.deed = LEAVE, plan.result = 0;
	sio_socket_resume(s);
	sio_socket_unref(s);
	expect_heard("parent x(4); own 1 x(4); end; ");
}

/* ---- handlers ------------------------------------------------------------------------------- */

/* Who gets the event: a handler of that name before a catch-all, the child's own
 * before the parent's.  Letters: n for the name, u for what no other takes; capitals
 * are the child's own. */
static void test_who_gets_an_event(void **state)
{
	static const struct {
		const char *set, *want;
	} rows[] = {
		{ "", "" },        { "n", "n x; " },  { "u", "u x; " },    { "nu", "n x; " },  { "N", "N x; " },
		{ "U", "U x; " },  { "nN", "N x; " }, { "uU", "U x; " },   { "nU", "n x; " },  { "uN", "N x; " },
		{ "nuNU", "N x; " }, { "N-", "" },    { "nN-", "n x; " },  { "uN-", "u x; " }, { "uU_", "u x; " },
		{ "U_", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sio_namespace *nsp;
		assert_int_equal(sio_namespace_close(parent), SIO_OK);
		assert_int_equal(sio_namespace_pattern(server, "/c.*", &parent), SIO_OK);
		nsp = child("/c");
		for (const char *p = rows[i].set; *p; p++) {
			static const char *const words[] = { ['n'] = "n", ['u'] = "u", ['N'] = "N", ['U'] = "U" };
			if (*p == '-' || *p == '_') /* taken back */
				assert_int_equal(sio_namespace_on_event(nsp, *p == '-' ? "x" : NULL, NULL, NULL), SIO_OK);
			else
				assert_int_equal(sio_namespace_on_event(*p < 'a' ? nsp : parent,
									*p == 'n' || *p == 'N' ? "x" : NULL, on_event,
									word(words[(unsigned char)*p])),
						 SIO_OK);
		}
		c = hub_connected(server);
		assert_non_null(hub_enter(c, "/c"));
		fake_ws(c, "42/c,[\"x\"]");
		expect_heard(rows[i].want);
		fake_hang_up(c, EIO_WIRE_WS);
		fake_turn(server->fake);
	}
}

static void test_catch_all(void **state)
{
	struct sio_namespace *nsp = child("/c");

	(void)state;
	sio_namespace_on_any(parent, on_event, word("parent any"));
	assert_int_equal(sio_namespace_on_event(nsp, "x", on_event, word("x")), SIO_OK);
	assert_int_equal(sio_namespace_on_event(nsp, NULL, on_event, word("rest")), SIO_OK);
	assert_non_null(hub_enter(c, "/c"));
	fake_ws(c, "42/c,[\"x\"]");
	fake_ws(c, "42/c,[\"y\"]");
	expect_heard("parent any x; x x; parent any y; rest y; ");
	sio_namespace_on_any(nsp, on_event, word("any"));
	fake_ws(c, "42/c,[\"x\"]");
	expect_heard("any x; x x; ");
	sio_namespace_on_any(nsp, NULL, NULL);
	sio_namespace_on_any(parent, NULL, NULL);
	fake_ws(c, "42/c,[\"x\"]");
	expect_heard("x x; ");
}

static void on_limited(struct sio_socket *s, const struct sio_event *e, uint32_t retry_ms, void *arg)
{
	assert_true(retry_ms > 0);
	on_event(s, e, arg);
}

static void test_the_rate_limit_of_a_namespace(void **state)
{
	struct sio_namespace *nsp = child("/c");

	(void)state;
	server->hub.limits.events_per_second = server->hub.limits.events_burst = 1;
	sio_on_limited(server, on_limited, word("main"));
	sio_namespace_on_limited(parent, on_limited, word("parent"));
	sio_namespace_on_any(parent, on_event, word("any"));
	assert_int_equal(sio_namespace_use_event(parent, filter, word("filter")), SIO_OK);
	plan.at = NULL;
	assert_non_null(hub_enter(c, "/c"));
	fake_ws(c, "42/c,[\"x\"]");
	fake_ws(c, "42/c,[\"y\"]"); /* no filter sees it */
	expect_heard("filter x(); any x; parent y; ");
	sio_namespace_on_limited(nsp, on_limited, word("own"));
	plan.at = "own", plan.deed = CLOSE_NAMESPACE;
	fake_ws(c, "42/c,[\"z\"]");
	expect_heard("own z; ");
	assert_null(nsp_find(&server->hub, SIO_LIT("/c")));
}

/* ---- events on their way out ---------------------------------------------------------------- */

static void on_outgoing(struct sio_socket *s, sio_slice name, const struct sio_args *args, void *arg)
{
	assert_true(sio_socket_is_open(s));
	buf_printf(&heard, "%s %.*s(%.*s); ", (const char *)arg, (int)name.n, name.p, (int)args->json.n, args->json.p);
	act(s, arg);
	assert_int_equal(sio_socket_id(s).n, SIO_ID_LEN);
}

static void on_answer(struct sio_socket *s, int status, const struct sio_args *args, void *arg)
{
	(void)s, (void)args;
	buf_printf(&heard, "%s %d; ", (const char *)arg, status);
}

static void on_answers(struct sio_namespace *nsp, int status, const struct sio_answers *got, void *arg)
{
	(void)nsp;
	buf_printf(&heard, "%s %d with %zu of %zu; ", (const char *)arg, status, got->answers_n, got->asked_n);
}

static void test_outgoing_events_are_told(void **state)
{
	struct sio_namespace *nsp = child("/c");
	struct fake_client *other = hub_connected(server);
	struct sio_socket *s = hub_enter(c, "/c"), *t = hub_enter(other, "/c");
	sio_slice room = SIO_LIT("room");
	struct sio_target to_room = room_of(&room), not_s = { .skip = s }, to_all = { .is_volatile = true };
	struct sio_args args = sio_args_json(SIO_LIT("1,{}"));

	(void)state;
	plan.at = NULL;
	sio_namespace_on_any_outgoing(parent, on_outgoing, word("parent"));
	assert_int_equal(sio_room_join(t, room), SIO_OK);
	expect_heard("");
	assert_int_equal(sio_socket_emit(s, SIO_LIT("a"), &args), SIO_OK);
	expect_heard("parent a(1,{}); ");
	assert_int_equal(sio_namespace_broadcast(nsp, &to_all, SIO_LIT("b"), &none), 2);
	assert_int_equal(sio_namespace_broadcast(nsp, &to_room, SIO_LIT("c"), &none), 1);
	assert_int_equal(sio_namespace_broadcast(nsp, &not_s, SIO_LIT("d"), &none), 1);
	assert_int_equal(sio_namespace_broadcast(parent, &not_s, SIO_LIT("e"), &none), 1);
	expect_heard("parent b(); parent b(); parent c(); parent d(); parent e(); ");
	assert_int_equal(sio_socket_ask(s, SIO_LIT("q"), &none, 0, on_answer, word("q")), SIO_OK);
	assert_int_equal(sio_sockets_ask(nsp, &to_room, SIO_LIT("p"), &none, 0, on_answers, word("p")), 1);
	expect_heard("parent q(); parent p(); ");
	/* Neither acknowledgements nor what was refused, nor other namespaces. */
	assert_int_equal(sio_socket_ack(s, 1, &none), SIO_OK);
	assert_int_equal(sio_socket_emit(s, SIO_LIT("connect"), &none), SIO_ERR_INVAL);
	assert_int_equal(sio_namespace_broadcast(nsp, &to_all, SIO_LIT("connect"), &none), SIO_ERR_INVAL);
	assert_int_equal(sio_broadcast(server, &to_all, SIO_LIT("m"), &none), 2);
	expect_heard("");
	sio_namespace_on_any_outgoing(nsp, on_outgoing, word("own"));
	assert_int_equal(sio_socket_emit(s, SIO_LIT("a"), &none), SIO_OK);
	expect_heard("own a(); ");
	sio_namespace_on_any_outgoing(nsp, NULL, NULL);
	sio_namespace_on_any_outgoing(parent, NULL, NULL);
	assert_int_equal(sio_socket_emit(s, SIO_LIT("a"), &none), SIO_OK);
	expect_heard("");
	fake_ws(c, "43/c,0[]");
	fake_ws(other, "43/c,1[]");
	expect_heard("q 0; p 0 with 1 of 1; ");
}

static void emit_more(struct sio_socket *s, sio_slice name, const struct sio_args *args, void *arg)
{
	int *left = arg;

	buf_printf(&heard, "%.*s; ", (int)name.n, name.p);
	if ((*left)-- > 0)
		assert_int_equal(sio_socket_emit(s, SIO_LIT("more"), args), SIO_OK);
}

/* What a receiver's handler emits comes after what everybody has. */
static void test_outgoing_handlers_emit(void **state)
{
	struct fake_client *other = hub_connected(server);
	int left = 2;

	(void)state;
	sio_namespace_on_any_outgoing(sio_namespace_main(server), emit_more, &left);
	assert_int_equal(sio_broadcast(server, &(struct sio_target){ 0 }, SIO_LIT("all"), &none), 2);
	expect_heard("all; more; more; all; ");
	fake_turn(server->fake);
	fake_expect(c, "ws 42[\"all\"]; ws 42[\"more\"]; ws 42[\"more\"]; ");
	fake_expect(other, "ws 42[\"all\"]; ");
}

/* A handler that ends its socket, its session, its namespace, by every way that an
 * event goes out; the call that emitted goes on, and nobody is told who is gone. */
static void test_outgoing_handlers_end_things(void **state)
{
	struct sio_target all = { 0 };

	(void)state;
	for (enum deed deed = LEAVE; deed <= CLOSE_NAMESPACE; deed++) {
		for (int how = 0; how < 5; how++) {
			struct fake_client *other = hub_connected(server);
			struct sio_namespace *nsp;
			struct sio_socket *s;
			c = hub_connected(server);
			s = hub_enter(c, "/c1");
			nsp = sio_socket_namespace(s);
			assert_non_null(hub_enter(other, "/c1"));
			sio_namespace_on_any_outgoing(parent, on_outgoing, word("out"));
			plan.at = "out", plan.deed = deed;
			if (how == 0)
				assert_int_equal(sio_socket_emit(s, SIO_LIT("e"), &none), SIO_OK);
			else if (how == 1)
				assert_int_equal(sio_namespace_broadcast(nsp, &all, SIO_LIT("e"), &none), 2);
			else if (how == 2)
				assert_int_equal(sio_namespace_broadcast(parent, &all, SIO_LIT("e"), &none), 2);
			else if (how == 3) /* not asked in the end, so fn is not called */
				assert_int_equal(sio_socket_ask(s, SIO_LIT("e"), &none, 0, on_answer, word("answer")),
						 SIO_ERR_CLOSED);
			else
				assert_int_equal(sio_sockets_ask(nsp, &all, SIO_LIT("e"), &none, 0, on_answers, word("answers")), 2);
			/* Both are told of what went to both, but for whom the first ended. */
			expect_heard(how == 0 || how == 3 || deed == CLOSE_NAMESPACE ? "out e(); " : "out e(); out e(); ");
			hub_check(server);
			if (other->closed_n == 0)
				fake_hang_up(other, EIO_WIRE_WS);
			if (c->closed_n == 0)
				fake_hang_up(c, EIO_WIRE_WS);
			expect_heard(how == 4 && deed != CLOSE_NAMESPACE ? "answers -4 with 0 of 2; " : "");
			fake_run(server->fake, 100);
			expect_heard(how == 4 && deed == CLOSE_NAMESPACE ? "answers -4 with 0 of 2; " : "");
		}
	}
}

static struct sio_socket *to_end;

static void end_another(struct sio_socket *s, sio_slice name, const struct sio_args *args, void *arg)
{
	(void)s, (void)name, (void)args, (void)arg;
	if (to_end)
		sio_socket_disconnect(to_end, false);
	to_end = NULL;
}

/* The sender, whom the broadcast passes over, ends in the middle of it. */
static void test_the_sender_ends_in_its_broadcast(void **state)
{
	struct fake_client *other = hub_connected(server);
	struct sio_target not_me;

	(void)state;
	sio_namespace_on_any_outgoing(parent, end_another, NULL);
	to_end = hub_enter(c, "/c1");
	not_me = (struct sio_target){ .skip = to_end };
	assert_non_null(hub_enter(other, "/c2"));
	assert_non_null(hub_enter(other, "/c3"));
	assert_int_equal(sio_namespace_broadcast(parent, &not_me, SIO_LIT("e"), &none), 2);
	assert_null(to_end);
	fake_turn(server->fake);
	fake_expect(other, "ws 42/c3,[\"e\"]; ws 42/c2,[\"e\"]; ");
	fake_expect(c, "ws 41/c1,; ");
}

static void join_late(struct sio_socket *s, sio_slice name, const struct sio_args *args, void *arg)
{
	buf_printf(&heard, "%s %.*s; ", name_of(sio_socket_namespace(s)), (int)name.n, name.p);
	for (struct sio_socket *each = hub_socket(c); each; each = each->next)
		assert_int_equal(sio_room_join(each, SIO_LIT("room")), SIO_OK);
	(void)args, (void)arg;
}

/* A broadcast to children: all have it before the first is told, and only those who
 * have it are told. */
static void test_children_are_told_after_all_have_it(void **state)
{
	sio_slice room = SIO_LIT("room");
	struct sio_target to_room = room_of(&room);

	(void)state;
	sio_namespace_on_any_outgoing(parent, join_late, NULL);
	assert_non_null(hub_enter(c, "/c1")); /* it joins too late */
	assert_int_equal(sio_room_join(hub_enter(c, "/c2"), room), SIO_OK);
	assert_int_equal(sio_namespace_broadcast(parent, &to_room, SIO_LIT("e"), &none), 1);
	expect_heard("/c2 e; ");
	fake_turn(server->fake);
	fake_expect(c, "ws 42/c2,[\"e\"]; ");
	assert_int_equal(sio_namespace_broadcast(parent, &to_room, SIO_LIT("e"), &none), 2);
}

/* ---- about to end ---------------------------------------------------------------------------- */

static void on_disconnecting(struct sio_socket *s, sio_slice reason, void *arg)
{
	struct sio_namespace *nsp = sio_socket_namespace(s);
	sio_slice room = SIO_LIT("room"), id = sio_socket_id(s);
	struct sio_target to_room = room_of(&room), to_id = room_of(&id), to_all = { 0 };
	long in_room, in_all, of_id;

	buf_printf(&heard, "%s (%.*s): ", (const char *)arg, (int)reason.n, reason.p);
	assert_false(sio_socket_is_open(s));
	assert_null(sio_sockets_find(nsp, id));
	assert_true(sio_room_has(s, room));
	assert_int_equal(sio_room_join(s, SIO_LIT("late")), SIO_ERR_CLOSED);
	assert_int_equal(sio_socket_emit(s, SIO_LIT("never"), &none), SIO_ERR_CLOSED);
	assert_int_equal(sio_socket_ask(s, SIO_LIT("never"), &none, 0, on_answer, NULL), SIO_ERR_CLOSED);
	assert_int_equal(sio_sockets_ask(nsp, &to_id, SIO_LIT("never"), &none, 0, on_answers, word("asked")), 0);
	in_room = sio_namespace_broadcast(nsp, &to_room, SIO_LIT("r"), &none);
	in_all = sio_namespace_broadcast(nsp, &to_all, SIO_LIT("a"), &none);
	of_id = sio_namespace_broadcast(nsp, &to_id, SIO_LIT("i"), &none);
	buf_printf(&heard, "%ld in the room, %ld in all, %ld of that id; ", in_room, in_all, of_id);
}

static void test_disconnecting_comes_first(void **state)
{
	struct sio_namespace *nsp = child("/c");
	struct fake_client *other = hub_connected(server);
	struct sio_socket *s = hub_enter(c, "/c"), *t = hub_enter(other, "/c");
	sio_slice room = SIO_LIT("room");

	(void)state;
	sio_namespace_on_disconnecting(parent, on_disconnecting, word("parent"));
	sio_namespace_on_disconnect(parent, on_end, word("end"));
	assert_int_equal(sio_room_join(s, room), SIO_OK);
	assert_int_equal(sio_room_join(t, room), SIO_OK);
	assert_int_equal(sio_socket_ask(s, SIO_LIT("q"), &none, 0, on_answer, word("q")), SIO_OK);
	fake_turn(server->fake);
	buf_clear(&c->log);
	fake_ws(c, "41/c,");
	expect_heard("parent (client namespace disconnect): 1 in the room, 1 in all, 0 of that id; q -4; end; ");
	fake_run(server->fake, 100);
	expect_heard("asked 0 with 0 of 0; ");
	fake_expect(c, "");
	fake_expect(other, "ws 42/c,[\"r\"]; ws 42/c,[\"a\"]; ");
	sio_namespace_on_disconnecting(nsp, on_disconnecting, word("own"));
	fake_hang_up(other, EIO_WIRE_WS);
	expect_heard("own (transport close): 0 in the room, 0 in all, 0 of that id; end; ");
	fake_run(server->fake, 100);
}

static void end_each_other(struct sio_socket *s, sio_slice reason, void *arg)
{
	sio_slice room = SIO_LIT("room");
	struct sio_target to_room = room_of(&room);
	long n = sio_namespace_broadcast(sio_socket_namespace(s), &to_room, SIO_LIT("bye"), &none);

	(void)reason, (void)arg;
	buf_printf(&heard, "(%ld left ", n);
	if (n > 0)
		assert_true(sio_sockets_disconnect(sio_socket_namespace(s), &to_room, false) > 0);
	assert_int_equal(sio_namespace_broadcast(sio_socket_namespace(s), &to_room, SIO_LIT("bye"), &none), 0);
	buf_str(&heard, ")");
}

/* Each ends all others while it leaves: the one who is leaving is reached by nobody. */
static void test_disconnecting_handlers_within_each_other(void **state)
{
	struct sio_namespace *nsp = child("/c");

	(void)state;
	sio_namespace_on_disconnecting(nsp, end_each_other, NULL);
	for (int i = 0; i < 4; i++) {
		c = hub_connected(server);
		assert_int_equal(sio_room_join(hub_enter(c, "/c"), SIO_LIT("room")), SIO_OK);
	}
	sio_socket_disconnect(nsp->sockets[0], true);
	expect_heard("(3 left (2 left (1 left (0 left ))))");
	assert_int_equal(sio_sockets_count(nsp), 0);
	assert_int_equal(server->hub.rooms, 0);
}

static void upset(struct sio_socket *s, sio_slice reason, void *arg)
{
	struct sio_namespace *nsp = sio_socket_namespace(s);

	(void)reason;
	buf_printf(&heard, "%s; ", (const char *)arg);
	sio_room_close(nsp, SIO_LIT("room"));
	assert_false(sio_room_has(s, SIO_LIT("room")));
	sio_room_leave(s, SIO_LIT("other"));
	assert_int_equal(sio_namespace_room_size(nsp, SIO_LIT("third")), 1);
	assert_int_equal(sio_namespace_close(nsp), SIO_OK);
	assert_int_equal(sio_namespace_close(parent), SIO_OK);
	sio_socket_disconnect(s, true);
	sio_socket_close_transport(s);
}

/* A handler that closes the room, the namespace and the parent of who is leaving. */
static void test_disconnecting_handlers_close_all(void **state)
{
	struct sio_socket *s;

	(void)state;
	sio_namespace_on_disconnecting(parent, upset, word("leaving"));
	sio_namespace_on_disconnect(parent, on_end, word("left"));
	s = hub_enter(c, "/c1");
	assert_int_equal(sio_room_join(s, SIO_LIT("room")), SIO_OK);
	assert_int_equal(sio_room_join(s, SIO_LIT("other")), SIO_OK);
	assert_int_equal(sio_room_join(s, SIO_LIT("third")), SIO_OK);
	fake_ws(c, "41/c1,");
	expect_heard("leaving; left; ");
	assert_null(server->hub.parents);
	assert_int_equal(server->hub.nsps_by_name.n, 1);
	assert_int_equal(server->hub.rooms, 0);
	assert_int_equal(c->closed_n, 0); /* the calls came too late to mean it */
}

static void stop_all(struct sio_socket *s, sio_slice reason, void *arg)
{
	(void)s;
	buf_printf(&heard, "%s (%.*s); ", (const char *)arg, (int)reason.n, reason.p);
	eio_engine_discard_all(&server->fake->engine, "server shutting down");
}

/* The same for the whole server, in the middle of one client's end. */
static void test_a_handler_ends_the_server(void **state)
{
	(void)state;
	assert_non_null(hub_enter(c, "/c"));
	hub_connected(server);
	sio_on_disconnect(server, on_end, word("main end"));
	sio_namespace_on_disconnecting(parent, stop_all, word("leaving"));
	fake_ws(c, "41/c,");
	expect_heard("leaving (client namespace disconnect); main end; main end; ");
	assert_int_equal(server->hub.sockets, 0);
	assert_int_equal(server->hub.children_n, 0);
	fake_turn(server->fake);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_chain_in_order),
		TEST(test_no_connect_handler),
		TEST(test_middlewares_of_the_main_namespace),
		TEST(test_each_namespace_sees_the_first_request),
		TEST(test_a_middleware_refuses),
		TEST(test_middlewares_that_answer_later),
		TEST(test_the_client_goes_while_a_middleware_waits),
		TEST(test_a_middleware_waits_too_long),
		TEST(test_what_a_middleware_may_do),
		TEST(test_filters_in_order),
		TEST(test_a_filter_acknowledges),
		TEST(test_the_socket_ends_on_the_way),
		TEST(test_the_last_socket_ends_on_the_way),
		TEST(test_held_events_are_filtered),
		TEST(test_who_gets_an_event),
		TEST(test_catch_all),
		TEST(test_the_rate_limit_of_a_namespace),
		TEST(test_outgoing_events_are_told),
		TEST(test_outgoing_handlers_emit),
		TEST(test_outgoing_handlers_end_things),
		TEST(test_the_sender_ends_in_its_broadcast),
		TEST(test_children_are_told_after_all_have_it),
		TEST(test_disconnecting_comes_first),
		TEST(test_disconnecting_handlers_within_each_other),
		TEST(test_disconnecting_handlers_close_all),
		TEST(test_a_handler_ends_the_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
