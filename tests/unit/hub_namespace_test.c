/* hub_namespace_test.c -- which namespaces there are: several on one session, each with
 * its own sockets, rooms, handlers and ids; parents and their children; closing; limits.
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
static struct sio_namespace *chat;
static struct fake_client *c;

static const struct sio_args none;

static struct sio_connect *asked[16]; /* requests that the application owes an answer */
static unsigned asked_n;

static void ask_later(struct sio_connect *req, void *arg)
{
	(void)arg;
	asked[asked_n++] = req;
}

static void on_event(struct sio_socket *s, const struct sio_event *e, void *arg)
{
	buf_printf(&heard, "%s %.*s on %.*s; ", (const char *)arg, (int)e->name.n, e->name.p,
		   (int)sio_namespace_name(sio_socket_namespace(s)).n, sio_namespace_name(sio_socket_namespace(s)).p);
}

static void on_end(struct sio_socket *s, sio_slice reason, void *arg)
{
	(void)reason;
	buf_printf(&heard, "%s ends on %.*s; ", (const char *)arg, (int)sio_namespace_name(sio_socket_namespace(s)).n,
		   sio_namespace_name(sio_socket_namespace(s)).p);
}

static void refuse(struct sio_connect *req, void *arg)
{
	(void)arg;
	assert_ptr_equal(sio_connect_namespace(req), chat);
	sio_connect_refuse(req, SIO_LIT("no way"), sio_bytes("", 0));
}

static int setup(void **state)
{
	(void)state;
	server = hub_start(NULL, NULL);
	chat = sio_namespace_open(server, SIO_LIT("/chat"));
	assert_non_null(chat);
	asked_n = 0;
	assert_int_equal(sio_on_event(server, "x", on_event, (void *)(uintptr_t) "main"), SIO_OK);
	assert_int_equal(sio_namespace_on_event(chat, "x", on_event, (void *)(uintptr_t) "chat"), SIO_OK);
	sio_on_disconnect(server, on_end, (void *)(uintptr_t) "main");
	sio_namespace_on_disconnect(chat, on_end, (void *)(uintptr_t) "chat");
	c = hub_connected(server);
	buf_clear(&heard);
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

/* The client's socket in chat, connected now. */
static struct sio_socket *enter(void)
{
	fake_ws(c, "40/chat,");
	fake_turn(server->fake);
	buf_clear(&c->log);
	return chat->sockets_n ? chat->sockets[chat->sockets_n - 1] : NULL;
}

static void test_names(void **state)
{
	static char longest[SIO_NAMESPACE_MAX + 1] = "/";
	static const struct {
		sio_slice name;
		bool is_ok;
	} rows[] = {
		{ { "/chat", 5 }, true },  { { "/", 1 }, true },       { { "//", 2 }, true },
		{ { "/a b", 4 }, true },   { { "/a?x=1", 6 }, true },  { { "/\xc3\xa9", 3 }, true },
		{ { "", 0 }, false },      { { "chat", 4 }, false },   { { " /a", 3 }, false },
		{ { "/a,b", 4 }, false },  { { ",", 1 }, false },      { { "/a\0b", 4 }, false },
		{ { "\0", 1 }, false },    { { longest, SIO_NAMESPACE_MAX }, true },
		{ { longest, SIO_NAMESPACE_MAX + 1 }, false },
	};

	(void)state;
	memset(longest + 1, 'x', sizeof(longest) - 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sio_namespace *nsp = sio_namespace_open(server, rows[i].name);
		if ((nsp != NULL) != rows[i].is_ok)
			fail_msg("row %zu", i);
		if (!nsp)
			continue;
		assert_ptr_equal(sio_namespace_open(server, rows[i].name), nsp);
		assert_true(sio_slice_eq(sio_namespace_name(nsp), rows[i].name));
		assert_ptr_equal(sio_namespace_server(nsp), server);
		assert_null(sio_namespace_parent(nsp));
		assert_null(sio_namespace_data(nsp));
	}
	assert_ptr_equal(sio_namespace_open(server, SIO_LIT("/chat")), chat);
	assert_ptr_equal(sio_namespace_open(server, SIO_LIT("/")), sio_namespace_main(server));
	sio_namespace_set_data(chat, &asked_n);
	assert_ptr_equal(sio_namespace_data(chat), &asked_n);
}

/* The client compares byte for byte, too. */
static void test_names_are_bytes(void **state)
{
	static const char *const near[] = { "40/chat/,", "40/Chat,", "40/cha,", "40/chat?a=1,", "40/chat ,", "40//chat," };

	(void)state;
	for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
		fake_ws(c, near[i]);
		assert_int_equal(sio_sockets_count(chat), 0);
	}
	fake_ws(c, "40/chat");
	assert_int_equal(sio_sockets_count(chat), 1);
}

static void test_each_has_its_own_handlers(void **state)
{
	(void)state;
	assert_non_null(enter());
	fake_ws(c, "42[\"x\"]");
	fake_ws(c, "42/chat,[\"x\"]");
	expect_heard("main x on /; chat x on /chat; ");
	fake_ws(c, "41/chat,");
	expect_heard("chat ends on /chat; ");
	fake_ws(c, "42[\"x\"]");
	expect_heard("main x on /; ");
}

static void test_rooms_of_one_name_are_two(void **state)
{
	struct sio_socket *main_socket = hub_socket(c), *chat_socket = enter();
	sio_slice room = SIO_LIT("r");
	struct sio_target target = { .rooms = &room, .rooms_n = 1 };

	(void)state;
	assert_int_equal(sio_room_join(main_socket, room), SIO_OK);
	assert_int_equal(sio_room_join(chat_socket, room), SIO_OK);
	assert_int_equal(sio_room_size(server, room), 1);
	assert_int_equal(sio_namespace_room_size(chat, room), 1);
	assert_int_equal(sio_broadcast(server, &target, SIO_LIT("m"), &none), 1);
	assert_int_equal(sio_namespace_broadcast(chat, &target, SIO_LIT("n"), &none), 1);
	fake_turn(server->fake);
	fake_expect(c, "ws 42[\"m\"]; ws 42/chat,[\"n\"]; ");
}

/* A client that lags: the newest value of a key survives in each namespace. */
static void test_keys_of_volatile_events_are_of_their_namespace(void **state)
{
	struct sio_target newest = { .is_volatile = true, .latest_key = 7 };

	(void)state;
	assert_non_null(enter());
	c->takes = 1;
	assert_int_equal(sio_broadcast(server, &(struct sio_target){ 0 }, SIO_LIT("solid"), &none), 1);
	fake_turn(server->fake);
	for (int i = 0; i < 3; i++) {
		struct sio_args args = sio_args_json(sio_bytes(&"012"[i], 1));
		assert_int_equal(sio_broadcast(server, &newest, SIO_LIT("m"), &args), 1);
		assert_int_equal(sio_namespace_broadcast(chat, &newest, SIO_LIT("n"), &args), 1);
		newest.latest_key++;
		assert_int_equal(sio_broadcast(server, &newest, SIO_LIT("other"), &args), 1);
		newest.latest_key--;
	}
	fake_ws_takes(c, SIZE_MAX);
	fake_turn(server->fake);
	fake_expect(c, "ws 42[\"solid\"]; ws 42[\"m\",2]; ws 42/chat,[\"n\",2]; ws 42[\"other\",2]; ");
}

static void test_a_refusal_leaves_the_others(void **state)
{
	(void)state;
	sio_namespace_on_connect(chat, refuse, NULL);
	fake_ws(c, "40/chat,");
	fake_ws(c, "40/none,");
	fake_turn(server->fake);
	fake_expect(c, "ws 44/chat,{\"message\":\"no way\"}; ws 44/none,{\"message\":\"Invalid namespace\"}; ");
	fake_ws(c, "42[\"x\"]");
	expect_heard("main x on /; ");
}

static void on_answer(struct sio_socket *s, int status, const struct sio_args *args, void *arg)
{
	(void)s, (void)args;
	buf_printf(&heard, "%s %d; ", (const char *)arg, status);
}

static void test_ids_are_counted_apart(void **state)
{
	struct sio_socket *main_socket = hub_socket(c), *chat_socket = enter();

	(void)state;
	assert_int_equal(sio_socket_ask(main_socket, SIO_LIT("q"), &none, 0, on_answer, (void *)(uintptr_t) "main"), 0);
	assert_int_equal(sio_socket_ask(chat_socket, SIO_LIT("q"), &none, 0, on_answer, (void *)(uintptr_t) "chat"), 0);
	fake_turn(server->fake);
	fake_expect(c, "ws 420[\"q\"]; ws 42/chat,0[\"q\"]; ");
	fake_ws(c, "43/chat,0[]");
	expect_heard("chat 0; ");
	fake_ws(c, "430[]");
	expect_heard("main 0; ");
}

static void test_the_session_ends_for_all(void **state)
{
	(void)state;
	assert_non_null(enter());
	fake_ws(c, "42/chat,{}");
	expect_heard("chat ends on /chat; main ends on /; ");
}

/* ---- parents and children --------------------------------------------------------- */

static struct sio_namespace *pattern(const char *text)
{
	struct sio_namespace *parent;

	assert_int_equal(sio_namespace_pattern(server, text, &parent), SIO_OK);
	assert_int_equal(sio_namespace_name(parent).n, 0);
	assert_null(sio_namespace_parent(parent));
	return parent;
}

static struct sio_namespace *find(const char *name)
{
	return nsp_find(&server->hub, sio_str(name));
}

static void test_the_whole_name_fits_a_pattern(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool fits;
	} rows[] = {
		{ "/room-[0-9]+", "/room-1", true },     { "/room-[0-9]+", "/room-", false },
		{ "/room-[0-9]+", "/room-1x", false },   { "/room-[0-9]+", "/x/room-1", false },
		{ "^/a$", "/a", true },                  { "/a|/ab", "/ab", true },
		{ "/ab|/a", "/a", true },                { "(/a|/b)", "/b", true },
		{ "/a|b", "/b", false },                 { "/.*", "/anything at all?", true },
		{ "/.*", "/", true },                    { "", "/a", false },
		{ "/a.c", "/a\nc", true },               { "/x{2,3}", "/xxx", true },
		{ "/x{2,3}", "/xxxx", false },           { "x", "/x", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sio_namespace *parent = pattern(rows[i].pattern);
		struct sio_socket *s;
		if (strcmp(rows[i].name, "/") == 0) /* that one is there already */
			fake_ws(c, "41");
		s = hub_enter(c, rows[i].name);
		if (strcmp(rows[i].name, "/") == 0 ? !s : (s != NULL) != rows[i].fits)
			fail_msg("%s and %s", rows[i].pattern, rows[i].name);
		if (s && s->nsp != server->hub.nsps)
			assert_ptr_equal(sio_namespace_parent(s->nsp), parent);
		assert_int_equal(sio_namespace_close(parent), SIO_OK);
	}
}

static void test_what_is_no_pattern(void **state)
{
	static const char *const bad[] = { "/room-[0-9", "/(", "/a\\", "/x{3,2}", "[[:nothing:]]" };
	struct sio_namespace *parent;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(sio_namespace_pattern(server, bad[i], &parent), SIO_ERR_INVAL);
		assert_null(parent);
	}
	assert_null(server->hub.parents);
}

static bool take(sio_slice name, sio_slice auth, void *arg)
{
	buf_printf(&heard, "%s? %.*s %.*s; ", (const char *)arg, (int)name.n, name.p, (int)auth.n, auth.p);
	return name.n > 2 && name.p[1] == *(const char *)arg;
}

static struct sio_namespace *dynamic(const char *letter)
{
	struct sio_namespace *parent;

	assert_int_equal(sio_namespace_dynamic(server, take, (void *)(uintptr_t)letter, &parent), SIO_OK);
	return parent;
}

static void test_parents_are_asked_in_order(void **state)
{
	struct sio_namespace *a = dynamic("a"), *b = dynamic("b"), *any = pattern("/[a-c]+");

	(void)state;
	fake_ws(c, "40/bb,{\"k\":1}");
	expect_heard("a? /bb {\"k\":1}; b? /bb {\"k\":1}; ");
	assert_ptr_equal(sio_namespace_parent(find("/bb")), b);
	fake_ws(c, "40/aa");
	expect_heard("a? /aa {}; ");
	assert_ptr_equal(sio_namespace_parent(find("/aa")), a);
	fake_ws(c, "40/cc,");
	assert_ptr_equal(sio_namespace_parent(find("/cc")), any);
	expect_heard("a? /cc {}; b? /cc {}; ");
	/* Who is there already is asked nothing; nobody takes this one. */
	assert_non_null(hub_enter(hub_connected(server), "/bb"));
	expect_heard("");
	assert_null(hub_enter(c, "/dd"));
	expect_heard("a? /dd {}; b? /dd {}; ");
	assert_int_equal(server->hub.children_n, 3);
	hub_check(server);
}

/* A client alone in a child; it is forgotten with it, however it goes. */
static void test_an_empty_child_is_forgotten(void **state)
{
	struct fake_client *other;
	struct sio_namespace *kept;

	(void)state;
	pattern("/r.*");
	assert_non_null(hub_enter(c, "/r1"));
	sio_namespace_set_data(find("/r1"), &other);
	fake_ws(c, "41/r1,");
	assert_null(find("/r1"));
	assert_int_equal(server->hub.children_n, 0);
	/* The next one of that name is another. */
	assert_non_null(hub_enter(c, "/r1"));
	assert_null(sio_namespace_data(find("/r1")));
	sio_socket_disconnect(hub_socket(c), false);
	assert_null(find("/r1"));
	other = hub_connected(server);
	assert_non_null(hub_enter(other, "/r2"));
	assert_non_null(hub_enter(c, "/r2"));
	fake_hang_up(other, EIO_WIRE_WS);
	assert_non_null(find("/r2"));
	fake_hang_up(c, EIO_WIRE_WS);
	assert_null(find("/r2"));
	/* Whoever is kept stays, with what was said of it. */
	c = hub_connected(server);
	assert_non_null(hub_enter(c, "/r3"));
	kept = find("/r3");
	sio_namespace_keep(kept);
	sio_namespace_set_data(kept, &other);
	fake_ws(c, "41/r3,");
	assert_ptr_equal(find("/r3"), kept);
	assert_non_null(hub_enter(c, "/r3"));
	assert_ptr_equal(sio_namespace_data(find("/r3")), &other);
	assert_int_equal(server->hub.children_n, 1);
}

static void test_a_forgotten_child_counts_from_the_start(void **state)
{
	struct sio_socket *s;

	(void)state;
	pattern("/r.*");
	s = hub_enter(c, "/r");
	assert_int_equal(sio_socket_ask(s, SIO_LIT("q"), &none, 0, on_answer, (void *)(uintptr_t) "old"), SIO_OK);
	fake_turn(server->fake);
	fake_expect(c, "ws 42/r,0[\"q\"]; ");
	fake_ws(c, "41/r,");
	expect_heard("old -4; ");
	s = hub_enter(c, "/r");
	assert_int_equal(sio_socket_ask(s, SIO_LIT("q"), &none, 0, on_answer, (void *)(uintptr_t) "new"), SIO_OK);
	fake_turn(server->fake);
	fake_expect(c, "ws 42/r,0[\"q\"]; ");
	fake_ws(c, "43/r,0[]");
	expect_heard("new 0; ");
}

/* What is opened by name belongs to the application: its pointer stays good. */
static void test_a_child_opened_by_name_stays(void **state)
{
	struct sio_namespace *parent = pattern("/r.*"), *nsp = sio_namespace_open(server, SIO_LIT("/r1"));

	(void)state;
	assert_ptr_equal(sio_namespace_parent(nsp), parent);
	assert_int_equal(server->hub.children_n, 1);
	assert_non_null(hub_enter(c, "/r1"));
	fake_ws(c, "41/r1,");
	assert_ptr_equal(find("/r1"), nsp);
	assert_true(sio_slice_eq(sio_namespace_name(nsp), SIO_LIT("/r1")));
	/* The same when a client was there first. */
	assert_non_null(hub_enter(c, "/r2"));
	nsp = sio_namespace_open(server, SIO_LIT("/r2"));
	assert_ptr_equal(sio_namespace_parent(nsp), parent);
	fake_ws(c, "41/r2,");
	assert_ptr_equal(find("/r2"), nsp);
	/* A function takes none that is opened by name. */
	dynamic("d");
	assert_null(sio_namespace_parent(sio_namespace_open(server, SIO_LIT("/dd"))));
	expect_heard("");
}

static void test_a_refused_child_is_forgotten(void **state)
{
	struct sio_namespace *parent = pattern("/r.*");

	(void)state;
	sio_namespace_on_connect(parent, ask_later, NULL);
	fake_ws(c, "40/r,");
	assert_non_null(find("/r"));
	hub_check(server);
	sio_connect_refuse(asked[0], SIO_LIT("no"), SIO_LIT(""));
	assert_null(find("/r"));
	/* The only one who asks goes: it is known until the application has answered. */
	fake_ws(c, "40/r,");
	fake_hang_up(c, EIO_WIRE_WS);
	fake_turn(server->fake);
	assert_non_null(find("/r"));
	hub_check(server);
	assert_null(sio_connect_accept(asked[1]));
	assert_null(find("/r"));
}

static void test_two_clients_race_for_a_child(void **state)
{
	struct fake_client *other = hub_connected(server);
	struct sio_namespace *parent = pattern("/r.*");
	struct sio_socket *s;

	(void)state;
	assert_int_equal(sio_namespace_use(parent, ask_later, NULL), SIO_OK);
	fake_ws(c, "40/r,");
	fake_ws(other, "40/r,");
	assert_int_equal(asked_n, 2);
	assert_ptr_equal(sio_connect_namespace(asked[0]), sio_connect_namespace(asked[1]));
	assert_int_equal(server->hub.children_n, 1);
	sio_connect_refuse(asked[0], SIO_LIT("no"), SIO_LIT(""));
	hub_check(server);
	assert_ptr_equal(find("/r"), sio_connect_namespace(asked[1]));
	s = sio_connect_accept(asked[1]);
	assert_ptr_equal(sio_sockets_find(find("/r"), sio_socket_id(s)), s);
	/* The loser comes again, into the same one. */
	fake_ws(c, "40/r,");
	sio_connect_next(asked[2]);
	assert_int_equal(sio_sockets_count(find("/r")), 2);
}

/* ---- being told of new ones ------------------------------------------------------------ */

static struct fake_client *to_end; /* by the hook or the function under test */
static struct sio_namespace *to_close;

static void on_new(struct sio_namespace *nsp, void *arg)
{
	buf_printf(&heard, "new %.*s with %zu; ", (int)sio_namespace_name(nsp).n, sio_namespace_name(nsp).p,
		   sio_sockets_count(nsp));
	assert_ptr_equal(find(nsp->name), nsp);
	if (arg)
		assert_int_equal(sio_namespace_on_event(nsp, "x", on_event, arg), SIO_OK);
	if (to_end && hub_socket(to_end))
		sio_socket_close_transport(hub_socket(to_end));
	if (to_close)
		assert_int_equal(sio_namespace_close(to_close == chat ? nsp : to_close), SIO_OK);
	to_end = NULL;
	to_close = NULL;
}

static void test_each_new_one_is_told(void **state)
{
	(void)state;
	sio_on_new_namespace(server, on_new, (void *)(uintptr_t) "told");
	pattern("/r.*");
	expect_heard("");
	assert_non_null(sio_namespace_open(server, SIO_LIT("/n")));
	assert_non_null(sio_namespace_open(server, SIO_LIT("/n")));
	assert_null(sio_namespace_open(server, SIO_LIT("n")));
	expect_heard("new /n with 0; ");
	assert_non_null(hub_enter(c, "/r"));
	fake_ws(c, "42/r,[\"x\"]");
	expect_heard("new /r with 0; told x on /r; ");
	fake_ws(c, "41/r,");
	assert_non_null(hub_enter(c, "/r"));
	expect_heard("new /r with 0; ");
	sio_on_new_namespace(server, NULL, NULL);
	assert_non_null(hub_enter(c, "/r2"));
	expect_heard("");
}

/* Who is told may close the new one, or its parent, or end who asked for it. */
static void test_the_hook_ends_things(void **state)
{
	struct sio_namespace *parent = pattern("/r.*");

	(void)state;
	sio_on_new_namespace(server, on_new, NULL);
	to_close = chat; /* stands for the new one */
	fake_ws(c, "40/r,");
	fake_turn(server->fake);
	fake_expect(c, "ws 44/r,{\"message\":\"Invalid namespace\"}; ");
	to_close = chat;
	assert_null(sio_namespace_open(server, SIO_LIT("/n")));
	assert_null(find("/n"));
	to_close = parent;
	fake_ws(c, "40/r,");
	fake_turn(server->fake);
	fake_expect(c, "ws 44/r,{\"message\":\"Invalid namespace\"}; ");
	assert_null(server->hub.parents);
	hub_check(server);
	pattern("/r.*");
	buf_clear(&heard);
	to_end = c;
	fake_ws(c, "40/r,");
	expect_heard("new /r with 0; main ends on /; ");
	assert_int_equal(c->closed_n, 1);
	assert_null(find("/r"));
	fake_turn(server->fake);
}

static struct sio_namespace *own_parent;

static bool take_and(sio_slice name, sio_slice auth, void *arg)
{
	(void)auth;
	switch (*(const char *)arg) {
	case 'o': /* prepares the namespace itself */
		assert_non_null(sio_namespace_open(server, name));
		break;
	case 'c': /* takes no more */
		assert_int_equal(sio_namespace_close(own_parent), SIO_OK);
		break;
	default:
		sio_socket_close_transport(hub_socket(c));
		break;
	}
	return true;
}

static void test_a_function_that_does_more(void **state)
{
	static const char *const what[] = { "open", "close", "end" };

	(void)state;
	for (int i = 0; i < 3; i++) {
		c = hub_connected(server);
		assert_int_equal(sio_namespace_dynamic(server, take_and, (void *)(uintptr_t)what[i], &own_parent), SIO_OK);
		fake_ws(c, "40/made,");
		fake_turn(server->fake);
		if (i == 0) {
			assert_int_equal(sio_sockets_count(find("/made")), 1);
			assert_int_equal(sio_namespace_close(find("/made")), SIO_OK);
		} else if (i == 1) {
			fake_expect(c, "ws 44/made,{\"message\":\"Invalid namespace\"}; ");
		} else {
			assert_int_equal(c->closed_n, 1);
		}
		assert_null(find("/made"));
		if (i != 1)
			assert_int_equal(sio_namespace_close(own_parent), SIO_OK);
		hub_check(server);
	}
}

/* ---- closing ------------------------------------------------------------------------------ */

static void test_closing_disconnects_all(void **state)
{
	struct fake_client *other = hub_connected(server);

	(void)state;
	assert_int_equal(sio_namespace_close(sio_namespace_main(server)), SIO_ERR_INVAL);
	assert_non_null(hub_enter(other, "/chat"));
	assert_non_null(enter());
	assert_int_equal(sio_room_join(hub_socket(c), SIO_LIT("r")), SIO_OK);
	assert_int_equal(sio_namespace_close(chat), SIO_OK);
	expect_heard("chat ends on /chat; chat ends on /chat; ");
	fake_turn(server->fake);
	fake_expect(c, "ws 41/chat,; ");
	fake_expect(other, "ws 41/chat,; ");
	assert_null(find("/chat"));
	/* The session goes on; the name is unknown, and may be opened anew. */
	fake_ws(c, "40/chat,");
	fake_ws(c, "42[\"x\"]");
	fake_turn(server->fake);
	fake_expect(c, "ws 44/chat,{\"message\":\"Invalid namespace\"}; ");
	expect_heard("main x on /; ");
	chat = sio_namespace_open(server, SIO_LIT("/chat"));
	assert_non_null(enter());
	fake_ws(c, "42/chat,[\"x\"]");
	expect_heard("");
}

static void close_again(struct sio_socket *s, sio_slice reason, void *arg)
{
	on_end(s, reason, arg);
	assert_true(sio_slice_eq(reason, SIO_LIT("server namespace disconnect")));
	assert_int_equal(sio_namespace_close(sio_socket_namespace(s)), SIO_OK);
	assert_null(find("/chat"));
}

static void test_closing_while_closing(void **state)
{
	(void)state;
	sio_namespace_on_disconnect(chat, close_again, (void *)(uintptr_t) "chat");
	assert_non_null(enter());
	assert_non_null(hub_enter(hub_connected(server), "/chat"));
	assert_int_equal(sio_namespace_close(chat), SIO_OK);
	expect_heard("chat ends on /chat; chat ends on /chat; ");
}

static void close_own(struct sio_socket *s, const struct sio_event *e, void *arg)
{
	assert_int_equal(sio_namespace_close(sio_socket_namespace(s)), SIO_OK);
	on_event(s, e, arg); /* the socket is good until the handler's end */
}

static void test_a_handler_closes_its_namespace(void **state)
{
	struct sio_namespace *parent = pattern("/r.*");

	(void)state;
	assert_int_equal(sio_namespace_on_event(parent, "close", close_own, (void *)(uintptr_t) "last"), SIO_OK);
	assert_non_null(hub_enter(c, "/r"));
	fake_ws(c, "42/r,[\"close\"]");
	expect_heard("last close on /r; ");
	assert_null(find("/r"));
	hub_check(server);
}

static void test_closing_a_parent(void **state)
{
	struct sio_namespace *parent = pattern("/r.*"), *other = pattern("/s.*");
	struct sio_socket *held;

	(void)state;
	sio_namespace_on_disconnect(parent, on_end, (void *)(uintptr_t) "child");
	held = sio_socket_ref(hub_enter(c, "/r1"));
	assert_non_null(hub_enter(c, "/s1"));
	assert_non_null(hub_enter(hub_connected(server), "/r2"));
	sio_namespace_keep(find("/r2"));
	assert_int_equal(sio_namespace_close(parent), SIO_OK);
	expect_heard("child ends on /r2; child ends on /r1; ");
	assert_int_equal(server->hub.children_n, 1);
	assert_ptr_equal(sio_namespace_parent(find("/s1")), other);
	assert_null(hub_enter(c, "/r3"));
	/* Who holds a socket holds its namespace and the parent. */
	assert_false(sio_socket_is_open(held));
	assert_true(sio_slice_eq(sio_namespace_name(sio_socket_namespace(held)), SIO_LIT("/r1")));
	assert_true(sio_socket_namespace(held)->parent == parent);
	sio_socket_unref(held);
}

static void test_closing_with_requests_open(void **state)
{
	static struct fake_client *all[4];
	struct sio_namespace *parent = pattern("/r.*");

	(void)state;
	assert_int_equal(sio_namespace_use(parent, ask_later, NULL), SIO_OK);
	for (int i = 0; i < 4; i++) {
		all[i] = hub_connected(server);
		fake_ws(all[i], "40/r,");
	}
	assert_int_equal(sio_namespace_close(find("/r")), SIO_OK);
	/* Another of that name is none of their business. */
	assert_non_null(sio_namespace_open(server, SIO_LIT("/r")));
	assert_true(sio_connect_is_open(asked[0]));
	assert_true(sio_slice_eq(sio_namespace_name(sio_connect_namespace(asked[0])), SIO_LIT("/r")));
	assert_null(sio_connect_accept(asked[0]));
	sio_connect_next(asked[1]);
	sio_connect_refuse(asked[2], SIO_LIT("no"), SIO_LIT(""));
	fake_hang_up(all[3], EIO_WIRE_WS);
	sio_connect_next(asked[3]);
	fake_turn(server->fake);
	fake_expect(all[0], "ws 44/r,{\"message\":\"Invalid namespace\"}; ");
	fake_expect(all[1], "ws 44/r,{\"message\":\"Invalid namespace\"}; ");
	fake_expect(all[2], "ws 44/r,{\"message\":\"no\"}; ");
	assert_int_equal(sio_sockets_count(find("/r")), 0);
}

/* A second CONNECT before the first is answered is a fault, though the namespace was
 * closed and made anew in between. */
static void test_asking_twice_across_a_close(void **state)
{
	struct sio_namespace *parent = pattern("/r.*");

	(void)state;
	assert_int_equal(sio_namespace_use(parent, ask_later, NULL), SIO_OK);
	fake_ws(c, "40/r,");
	assert_int_equal(sio_namespace_close(find("/r")), SIO_OK);
	fake_ws(c, "40/r,");
	assert_int_equal(c->closed_n, 1);
	for (unsigned i = 0; i < asked_n; i++)
		assert_null(sio_connect_accept(asked[i]));
	assert_null(find("/r"));
}

/* Whoever holds a socket may let go of it when the server is no more. */
static void test_sockets_held_beyond_the_server(void **state)
{
	struct sio_socket *held[2];

	(void)state;
	pattern("/r.*");
	held[0] = sio_socket_ref(hub_enter(c, "/r"));
	held[1] = sio_socket_ref(enter());
	hub_stop(server);
	for (int i = 0; i < 2; i++) {
		assert_false(sio_socket_is_open(held[i]));
		sio_socket_unref(held[i]);
	}
	server = hub_start(NULL, NULL);
}

/* ---- broadcasts to children ------------------------------------------------------------------ */

static void test_broadcast_to_a_parent(void **state)
{
	struct sio_namespace *parent = pattern("/r.*");
	struct fake_client *other = hub_connected(server);
	struct sio_socket *first = hub_enter(c, "/r1");
	sio_slice room = SIO_LIT("room");
	struct sio_target to_room = { .rooms = &room, .rooms_n = 1 }, to_all = { 0 };

	(void)state;
	assert_non_null(hub_enter(c, "/r2"));
	assert_int_equal(sio_room_join(hub_enter(other, "/r2"), room), SIO_OK);
	assert_non_null(enter());
	assert_int_equal(sio_namespace_broadcast(parent, &to_all, SIO_LIT("all"), &none), 3);
	assert_int_equal(sio_namespace_broadcast(parent, &to_room, SIO_LIT("room"), &none), 1);
	to_all.skip = first;
	assert_int_equal(sio_namespace_broadcast(parent, &to_all, SIO_LIT("skip"), &none), 2);
	fake_turn(server->fake);
	fake_expect(c, "ws 42/r2,[\"all\"]; ws 42/r1,[\"all\"]; ws 42/r2,[\"skip\"]; ");
	fake_expect(other, "ws 42/r2,[\"all\"]; ws 42/r2,[\"room\"]; ws 42/r2,[\"skip\"]; ");
	/* What is no event is none, children or not. */
	assert_int_equal(sio_namespace_broadcast(parent, &to_all, SIO_LIT("connect"), &none), SIO_ERR_INVAL);
	parent = pattern("/nobody");
	assert_int_equal(sio_namespace_broadcast(parent, &to_all, SIO_LIT("all"), &none), 0);
	assert_int_equal(sio_namespace_broadcast(parent, &to_all, SIO_LIT("connect"), &none), SIO_ERR_INVAL);
	assert_int_equal(sio_namespace_room_size(parent, room), 0);
	assert_int_equal(sio_sockets_count(parent), 0);
}

/* ---- limits ------------------------------------------------------------------------------------ */

static void test_a_client_in_100_namespaces(void **state)
{
	char text[64];

	(void)state;
	pattern("/n.*");
	for (int i = 1; i < 100; i++) { /* "/" is the first */
		snprintf(text, sizeof(text), "/n%d", i);
		assert_non_null(hub_enter(c, text));
	}
	fake_ws(c, "40/chat,");
	fake_turn(server->fake);
	fake_expect(c, "ws 44/chat,{\"message\":\"Too many namespaces\"}; ");
	assert_int_equal(server->hub.children_n, 99);
	/* Others may, and so may it once it has left one. */
	assert_non_null(hub_enter(hub_connected(server), "/n1000"));
	fake_ws(c, "41/n50,");
	assert_non_null(enter());
	hub_check(server);
	fake_hang_up(c, EIO_WIRE_WS);
	assert_int_equal(server->hub.children_n, 1);
}

/* Requests that wait count as well. */
static void test_a_client_asking_for_100_namespaces(void **state)
{
	struct sio_namespace *parent = pattern("/n.*");
	static struct sio_connect *waiting[100];
	char text[64];

	(void)state;
	sio_namespace_on_connect(parent, ask_later, NULL);
	for (int i = 1; i < 100; i++) {
		asked_n = 0;
		snprintf(text, sizeof(text), "40/n%d,", i);
		fake_ws(c, text);
		waiting[i] = asked[0];
	}
	asked_n = 0;
	assert_null(hub_enter(c, "/n100"));
	assert_int_equal(asked_n, 0);
	hub_check(server);
	fake_hang_up(c, EIO_WIRE_WS);
	fake_turn(server->fake);
	hub_check(server);
	for (int i = 1; i < 100; i++)
		sio_connect_next(waiting[i]);
	assert_int_equal(server->hub.children_n, 0);
}

/* 10,000 children are made, the next is refused; what was opened by name is not. */
static void test_children_are_bounded(void **state)
{
	struct fake_client *many[SIO_NAMESPACES_MAX / 100 + 2];
	char text[64];
	unsigned clients_n = 0;

	(void)state;
	server->fake->is_quiet = true;
	pattern("/n.*");
	for (int i = 0; i < SIO_NAMESPACES_MAX; i++) {
		if (i % 99 == 0)
			many[clients_n++] = hub_connected(server);
		snprintf(text, sizeof(text), "/n%d", i);
		assert_non_null(hub_enter(many[clients_n - 1], text));
	}
	hub_check(server);
	assert_int_equal(server->hub.children_n, SIO_NAMESPACES_MAX);
	server->fake->is_quiet = false;
	fake_ws(c, "40/nn,");
	fake_turn(server->fake);
	fake_expect(c, "ws 44/nn,{\"message\":\"Invalid namespace\"}; ");
	server->fake->is_quiet = true;
	assert_non_null(hub_enter(c, "/n77")); /* is there */
	assert_non_null(sio_namespace_open(server, SIO_LIT("/other")));
	assert_non_null(hub_enter(c, "/other"));
	fake_ws(many[0], "41/n0,");
	assert_non_null(hub_enter(c, "/nn"));
	assert_null(hub_enter(c, "/nnn"));
	for (unsigned i = 0; i < clients_n; i++)
		fake_hang_up(many[i], EIO_WIRE_WS);
	assert_int_equal(server->hub.children_n, 2); /* of c */
	fake_turn(server->fake);
}

/* One client after the other asks for a random name and goes: nothing stays. */
static void test_10000_connects_to_random_names(void **state)
{
	uint64_t random = fake_seed();
	char text[64];
	unsigned refused = 0;

	(void)state;
	server->fake->is_quiet = true;
	pattern("/[a-m]+");
	for (int i = 0; i < 10000; i++) {
		unsigned n = 1 + fake_random(&random, 12);
		if (i % 25 == 0) {
			if (c->closed_n == 0)
				fake_hang_up(c, EIO_WIRE_WS);
			fake_turn(server->fake);
			fake_forget(c);
			assert_int_equal(server->hub.children_n, 0);
			c = hub_connected(server);
		}
		text[0] = '/';
		for (unsigned j = 1; j <= n; j++)
			text[j] = (char)('a' + fake_random(&random, 13) + (fake_random(&random, 40) == 0) * 13);
		text[n + 1] = '\0';
		if (find(text)) /* a second CONNECT would end it */
			continue;
		refused += !hub_enter(c, text);
		if (i % 100 == 0)
			hub_check(server);
	}
	assert_true(refused > 100);
	fake_hang_up(c, EIO_WIRE_WS);
	assert_int_equal(server->hub.children_n, 0);
	assert_int_equal(server->hub.nsps_by_name.n, 2); /* "/" and chat */
	fake_turn(server->fake);
	c = hub_connected(server);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_names),
		TEST(test_names_are_bytes),
		TEST(test_each_has_its_own_handlers),
		TEST(test_rooms_of_one_name_are_two),
		TEST(test_keys_of_volatile_events_are_of_their_namespace),
		TEST(test_a_refusal_leaves_the_others),
		TEST(test_ids_are_counted_apart),
		TEST(test_the_session_ends_for_all),
		TEST(test_the_whole_name_fits_a_pattern),
		TEST(test_what_is_no_pattern),
		TEST(test_parents_are_asked_in_order),
		TEST(test_an_empty_child_is_forgotten),
		TEST(test_a_forgotten_child_counts_from_the_start),
		TEST(test_a_child_opened_by_name_stays),
		TEST(test_a_refused_child_is_forgotten),
		TEST(test_two_clients_race_for_a_child),
		TEST(test_each_new_one_is_told),
		TEST(test_the_hook_ends_things),
		TEST(test_a_function_that_does_more),
		TEST(test_closing_disconnects_all),
		TEST(test_closing_while_closing),
		TEST(test_a_handler_closes_its_namespace),
		TEST(test_closing_a_parent),
		TEST(test_closing_with_requests_open),
		TEST(test_asking_twice_across_a_close),
		TEST(test_sockets_held_beyond_the_server),
		TEST(test_broadcast_to_a_parent),
		TEST(test_a_client_in_100_namespaces),
		TEST(test_a_client_asking_for_100_namespaces),
		TEST(test_children_are_bounded),
		TEST(test_10000_connects_to_random_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
