/* hub_far_test.c -- questions across nodes, in simulated time: sio_sockets_ask,
 * sio_sockets_fetch, events between servers; nodes that are silent, go, or lie.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <sio/servers.h>

#include "lib/fake_cluster.h"

static const struct sio_args none;
static const struct sio_target everybody;

static struct sio_namespace *nsp(unsigned i)
{
	return cluster[i].server->hub.nsps;
}

static int setup(void **state)
{
	(void)state;
	cluster_start(3);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cluster_stop();
	return 0;
}

/* Each that is missing is named, and is one of ours. */
static void check_missing(const struct sio_answers *got)
{
	assert_int_equal(got->missing_nodes != NULL, got->missing_nodes_n > 0);
	for (size_t i = 0; i < got->missing_nodes_n; i++) {
		unsigned k = 0;
		while (k < cluster_n && !(cluster[k].server && sio_slice_eq(sio_server_node(cluster[k].server), got->missing_nodes[i])))
			k++;
		if (k == cluster_n) /* one that has ended may be named, too */
			assert_int_equal(got->missing_nodes[i].n, SIO_NODE_ID_LEN);
	}
}

static void on_answers(struct sio_namespace *of, int status, const struct sio_answers *got, void *arg)
{
	(void)of;
	check_missing(got);
	buf_printf(&heard, "%s %d asked %zu missing %zu:", arg ? (const char *)arg : "done", status, got->asked_n,
		   got->missing_nodes_n);
	for (size_t i = 0; i < got->answers_n; i++) {
		buf_byte(&heard, ' ');
		buf_slice(&heard, got->answers[i].json);
		for (unsigned k = 0; k < got->answers[i].attachments_n; k++)
			buf_printf(&heard, "+%.*s", (int)got->answers[i].attachments[k].n, got->answers[i].attachments[k].p);
	}
	buf_str(&heard, "; ");
}

/* Node i asks everybody; the call itself tells nothing yet. */
static void ask(unsigned i, long here)
{
	struct sio_args args = sio_args_json(SIO_LIT("1"));

	assert_int_equal(sio_sockets_ask(nsp(i), &everybody, SIO_LIT("q"), &args, 1000, on_answers, NULL), here);
	expect_heard("");
}

/* Hand node to a message that says it is of node from. */
static void lie(unsigned to, unsigned from, const struct cluster_message *m)
{
	struct buf b = { 0 };

	assert_int_equal(cluster_write(&b, m), SIO_OK);
	sio_adapter_deliver(cluster[to].server, cluster[from].server ? sio_server_node(cluster[from].server)
								     : SIO_LIT("nobody-of-this-name-"), buf_peek(&b));
	buf_fini(&b);
}

/* ---- asking --------------------------------------------------------------------------- */

static void test_all_answer(void **state)
{
	struct fake_client *a = cluster_client(0, NULL), *b = cluster_client(1, NULL), *c = cluster_client(2, NULL);
	sio_slice bytes = SIO_LIT("xyz");

	(void)state;
	nsp(1)->next_ask = 17; /* each node counts its own ids */
	ask(0, 1);
	cluster_turn();
	fake_expect(a, "ws 420[\"q\",1]; ");
	fake_expect(b, "ws 4217[\"q\",1]; ");
	fake_expect(c, "ws 420[\"q\",1]; ");
	fake_ws(c, "430[\"c\",2]");
	cluster_turn();
	fake_ws(a, "430[\"a\"]");
	expect_heard("");
	fake_ws(b, "461-17[{\"_placeholder\":true,\"num\":0}]");
	fake_ws_binary(b, bytes.p, bytes.n);
	cluster_turn();
	expect_heard("done 0 asked 3 missing 0: \"c\",2 \"a\" {\"_placeholder\":true,\"num\":0}+xyz; ");
	assert_int_equal(cluster[0].server->hub.cluster->inquiries.n, 0);
	cluster_run(2000); /* nothing is left that could come */
	expect_heard("");
	for (unsigned i = 0; i < 3; i++)
		assert_null(cluster[i].server->hub.polls);
}

static void test_only_others_are_there(void **state)
{
	struct fake_client *b = cluster_client(1, NULL);

	(void)state;
	ask(0, 0);
	cluster_turn();
	fake_ws(b, "430[]");
	cluster_turn();
	expect_heard("done 0 asked 1 missing 0: ; ");
}

static void test_nobody_is_there(void **state)
{
	(void)state;
	ask(0, 0);
	cluster_turn();
	expect_heard("done 0 asked 0 missing 0:; "); /* as soon as all nodes have said so */
	assert_int_equal(sio_sockets_ask(sio_namespace_open(cluster[0].server, SIO_LIT("/only-here")), &everybody,
					 SIO_LIT("q"), &none, 1000, on_answers, NULL), 0);
	cluster_turn();
	expect_heard("done 0 asked 0 missing 0:; ");
}

static void test_a_target(void **state)
{
	struct fake_client *a = cluster_client(0, "r"), *b = cluster_client(1, "r"), *c = cluster_client(1, "x");
	sio_slice room = SIO_LIT("r");
	struct sio_target target = { .rooms = &room, .rooms_n = 1, .skip = hub_socket(a) };

	(void)state;
	assert_int_equal(sio_sockets_ask(nsp(0), &target, SIO_LIT("q"), &none, 0, on_answers, NULL), 0);
	cluster_turn();
	fake_expect(a, "");
	fake_expect(b, "ws 420[\"q\"]; ");
	fake_expect(c, "");
	fake_ws(b, "430[1]");
	cluster_turn();
	expect_heard("done 0 asked 1 missing 0: 1; ");
	target.is_local = true;
	assert_int_equal(sio_sockets_ask(nsp(1), &target, SIO_LIT("q"), &none, 0, on_answers, NULL), 1);
	cluster_turn();
	fake_expect(a, "");
	fake_ws(b, "431[2]");
	expect_heard("done 0 asked 1 missing 0: 2; ");
}

static void test_a_client_that_leaves(void **state)
{
	struct fake_client *a = cluster_client(0, NULL), *b = cluster_client(1, NULL), *c = cluster_client(2, NULL);

	(void)state;
	ask(0, 1);
	cluster_turn();
	fake_ws(a, "430[\"a\"]");
	fake_hang_up(b, EIO_WIRE_WS);
	cluster_turn();
	expect_heard("");
	fake_ws(c, "430[\"c\"]");
	cluster_turn();
	expect_heard("done -4 asked 3 missing 0: \"a\" \"c\"; ");
}

static void test_a_client_that_is_silent(void **state)
{
	struct fake_client *a = cluster_client(0, NULL), *b = cluster_client(1, NULL);

	(void)state;
	ask(0, 1);
	cluster_turn();
	fake_ws(a, "430[\"a\"]");
	cluster_run(900);
	expect_heard("");
	cluster_run(200);
	expect_heard("done -12 asked 2 missing 0: \"a\"; ");
	fake_ws(b, "430[\"late\"]"); /* changes nothing, and is nobody's fault */
	cluster_turn();
	assert_int_equal(cluster[0].server->hub.adapter_refused, 0);
}

/* The other node's clock was the faster one. */
static void test_late_there(void **state)
{
	struct cluster_message late = { .type = CLUSTER_LATE, .id = 1 };

	(void)state;
	cluster_client(1, NULL);
	ask(0, 0);
	cluster_turn();
	lie(0, 1, &late);
	expect_heard("done -12 asked 1 missing 0:; ");
	cluster_run(1100);
	expect_heard("");
	assert_int_equal(cluster[0].server->hub.adapter_refused, 0);
}

/* A node that takes nothing: what the others said is there, and that one is missing. */
static void test_a_node_that_is_silent(void **state)
{
	struct fake_client *a = cluster_client(0, NULL), *b = cluster_client(1, NULL), *c = cluster_client(2, NULL);

	(void)state;
	cluster[2].is_stuck = true;
	ask(0, 1);
	cluster_turn();
	fake_ws(a, "430[\"a\"]");
	fake_ws(b, "430[\"b\"]");
	cluster_turn();
	expect_heard("");
	cluster_run(1100);
	expect_heard("done -12 asked 2 missing 1: \"a\" \"b\"; ");
	cluster[2].is_stuck = false; /* it wakes, asks, and answers whom nobody waits for */
	cluster_turn();
	fake_ws(c, "430[\"c\"]");
	cluster_turn();
	expect_heard("");
	assert_int_equal(cluster[0].server->hub.adapter_refused, 0);
}

static void test_a_node_that_goes_before_it_counts(void **state)
{
	struct fake_client *a = cluster_client(0, NULL);

	(void)state;
	cluster_client(2, NULL);
	cluster[2].is_stuck = true;
	ask(0, 1);
	cluster_turn();
	fake_ws(a, "430[\"a\"]");
	cluster_end(2);
	cluster_turn();
	expect_heard("done -4 asked 1 missing 1: \"a\"; "); /* at once: nobody is left who could answer */
}

static void test_a_node_that_goes_behind_its_count(void **state)
{
	struct fake_client *a = cluster_client(0, NULL), *c = cluster_client(2, NULL);

	(void)state;
	cluster_client(2, NULL);
	ask(0, 1);
	cluster_turn();
	fake_ws(a, "430[\"a\"]");
	fake_ws(c, "430[\"c\"]");
	cluster_turn();
	cluster_end(2); /* in order: it has told all it had to tell */
	cluster_turn();
	expect_heard("done -4 asked 3 missing 0: \"a\" \"c\"; ");
}

static void test_a_node_that_crashes_behind_its_count(void **state)
{
	struct fake_client *a = cluster_client(0, NULL);
	struct cluster *c = cluster[2].server->hub.cluster;

	(void)state;
	cluster_client(2, NULL);
	ask(0, 1);
	cluster_turn();
	fake_ws(a, "430[\"a\"]");
	c->is_open = false; /* no word more */
	c->ops->close(c->self);
	cluster_turn();
	expect_heard("done -4 asked 2 missing 1: \"a\"; ");
}

static void test_a_node_that_goes_when_it_is_done(void **state)
{
	struct fake_client *a = cluster_client(0, NULL), *c = cluster_client(2, NULL);

	(void)state;
	ask(0, 1);
	cluster_turn();
	fake_ws(c, "430[\"c\"]");
	cluster_turn();
	cluster_end(2);
	cluster_turn();
	expect_heard("");
	fake_ws(a, "430[\"a\"]");
	expect_heard("done 0 asked 2 missing 0: \"c\" \"a\"; ");
}

/* The inbox of one node is full: it cannot be asked. */
static void test_a_node_that_cannot_be_reached(void **state)
{
	struct fake_client *a = cluster_client(0, NULL);
	sio_slice id = sio_server_node(cluster[1].server);

	(void)state;
	cluster[1].is_stuck = true;
	while (cluster[0].server->hub.cluster->ops->send(cluster[0].server->hub.cluster->self, id, SIO_LIT("x")) == SIO_OK)
		;
	ask(0, 1);
	cluster_turn();
	fake_ws(a, "430[\"a\"]");
	expect_heard("done -4 asked 1 missing 1: \"a\"; ");
	assert_int_equal(cluster[0].server->hub.adapter_failed, 1);
}

static void test_the_asker_ends(void **state)
{
	struct fake_client *b = cluster_client(1, NULL);

	(void)state;
	ask(0, 0);
	cluster_turn();
	cluster_end(0);
	expect_heard("done -4 asked 1 missing 1:; ");
	fake_ws(b, "430[\"b\"]"); /* for nobody */
	cluster_turn();
	expect_heard("");
}

static void end_hub(struct sio_namespace *of, int status, const struct sio_answers *got, void *arg)
{
	on_answers(of, status, got, arg);
	hub_close(&cluster[0].server->hub);
}

/* Whoever hears of an end may end everything. */
static void test_an_end_from_inside(void **state)
{
	(void)state;
	cluster_client(1, NULL);
	assert_int_equal(sio_sockets_ask(nsp(0), &everybody, SIO_LIT("q"), &none, 1000, end_hub, (void *)(uintptr_t) "1"), 0);
	assert_int_equal(sio_sockets_ask(nsp(0), &everybody, SIO_LIT("q"), &none, 2000, end_hub, (void *)(uintptr_t) "2"), 0);
	cluster_run(1100);
	expect_heard("1 -12 asked 1 missing 0:; 2 -4 asked 1 missing 1:; ");
}

static void on_outgoing(struct sio_socket *s, sio_slice name, const struct sio_args *args, void *arg)
{
	(void)name, (void)args, (void)arg;
	eio_discard(s->client->session, "transport close");
}

/* A client of another node that ends while it is asked: first the count, then its end. */
static void test_gone_before_it_is_counted(void **state)
{
	(void)state;
	cluster_client(1, NULL);
	sio_namespace_on_any_outgoing(nsp(1), on_outgoing, NULL);
	ask(0, 0);
	cluster_turn();
	expect_heard("done -4 asked 1 missing 0:; ");
	assert_int_equal(cluster[0].server->hub.adapter_refused, 0);
}

/* ---- lies ---------------------------------------------------------------------------------- */

static void test_lies(void **state)
{
	struct fake_client *b = cluster_client(1, NULL);
	struct cluster_message count = { .type = CLUSTER_COUNT, .id = 1, .count = 1 },
			       answer = { .type = CLUSTER_ANSWER, .id = 1, .json = SIO_LIT("\"lie\"") },
			       bad = { .type = CLUSTER_ANSWER, .id = 1, .json = SIO_LIT("1],[2") },
			       gone = { .type = CLUSTER_GONE, .id = 1 },
			       found = { .type = CLUSTER_FOUND, .id = 1, .is_last = true },
			       unknown = { .type = CLUSTER_ANSWER, .id = 99 };
	uint64_t *refused = &cluster[0].server->hub.adapter_refused;

	(void)state;
	ask(0, 0);
	assert_int_equal(cluster[0].server->hub.cluster->next_id, 2);
	lie(0, 1, &answer); /* before it has counted */
	lie(0, 1, &gone);
	lie(0, 1, &found);  /* nobody asked that */
	assert_int_equal(*refused, 3);
	cluster_turn();
	lie(0, 1, &count);  /* twice */
	lie(0, 1, &bad);    /* no JSON */
	lie(0, 2, &answer); /* it has nobody */
	assert_int_equal(*refused, 6);
	lie(0, 1, &unknown); /* too late, for all we know */
	cluster[3] = (struct fake_node){ 0 };
	lie(0, 3, &count);  /* who is that? */
	assert_int_equal(*refused, 7);
	fake_ws(b, "430[\"truth\"]");
	cluster_turn();
	expect_heard("done 0 asked 1 missing 0: \"truth\"; ");
	assert_int_equal(*refused, 7);
}

/* Answers are bounded, wherever they come from. */
static void test_answers_too_large(void **state)
{
	enum { SIZE = SIO_ANSWERS_BYTES_MAX / 2 + 1 };
	char *big = malloc(SIZE);
	struct cluster_message count = { .type = CLUSTER_COUNT, .id = 1, .count = 3 },
			       answer = { .type = CLUSTER_ANSWER, .id = 1, .json = sio_bytes(big, SIZE) };

	(void)state;
	memset(big, '1', SIZE);
	ask(0, 0);
	lie(0, 1, &count);
	lie(0, 1, &answer);
	expect_heard("");
	lie(0, 1, &answer);
	buf_byte(&heard, '\0');
	assert_int_equal(strncmp(heard.p, "done -3 asked 3 missing 1: 111", 30), 0);
	assert_int_equal(cluster[0].server->hub.adapter_refused, 0);
	assert_null(cluster[0].server->hub.polls);
	buf_fini(&heard);
	free(big);
}

static void test_a_question_that_may_not_be_asked(void **state)
{
	struct fake_client *a = cluster_client(0, NULL);
	struct cluster_message m = { .type = CLUSTER_ASK, .id = 1, .nsp = SIO_LIT("/"), .name = SIO_LIT("connect") };

	(void)state;
	lie(0, 1, &m);
	assert_int_equal(cluster[0].server->hub.adapter_refused, 1);
	fake_turn(cluster[0].server->fake);
	fake_expect(a, "");
	assert_null(cluster[0].server->hub.polls);
}

/* ---- fetching --------------------------------------------------------------------------------- */

static sio_slice describe(struct sio_socket *s, void *arg)
{
	(void)s;
	return sio_str(arg);
}

static void on_found(struct sio_namespace *of, int status, const struct sio_found *found, void *arg)
{
	(void)of, (void)arg;
	buf_printf(&heard, "found %d missing %zu:", status, found->missing_nodes_n);
	for (size_t i = 0; i < found->sockets_n; i++) {
		const struct sio_found_socket *s = &found->sockets[i];
		unsigned node = 0, here = 0;
		while (node < 3 && !(cluster[node].server && sio_slice_eq(s->node, sio_server_node(cluster[node].server))))
			node++;
		while (node < 3 && here < nsp(node)->sockets_n && !sio_slice_eq(sio_socket_id(nsp(node)->sockets[here]), s->id))
			here++;
		buf_printf(&heard, " %s%u.%u[", s->node.n ? "" : "alone ", node, here);
		for (unsigned k = 0; k < s->rooms_n; k++)
			buf_printf(&heard, "%s%.*s", k ? "," : "", (int)s->rooms[k].n, s->rooms[k].p);
		buf_printf(&heard, "]%.*s", (int)s->data.n, s->data.p);
	}
	buf_str(&heard, "; ");
}

static void fetch(unsigned i, const struct sio_target *target)
{
	assert_int_equal(sio_sockets_fetch(nsp(i), target, 1000, on_found, NULL), SIO_OK);
	expect_heard("");
}

static void test_fetch(void **state)
{
	struct fake_client *b;

	(void)state;
	cluster_client(0, "r");
	b = cluster_client(1, "r");
	cluster_client(1, NULL);
	cluster_client(2, "x");
	assert_int_equal(sio_room_join(hub_socket(b), SIO_LIT("s")), SIO_OK);
	sio_namespace_on_describe(nsp(1), describe, (void *)(uintptr_t) "{\"n\":1}");
	fetch(0, &everybody);
	cluster_turn();
	expect_heard("found 0 missing 0: 0.0[r] 1.0[r,s]{\"n\":1} 1.1[]{\"n\":1} 2.0[x]; ");
	sio_slice room = SIO_LIT("r");
	fetch(2, &(struct sio_target){ .rooms = &room, .rooms_n = 1 });
	cluster_turn();
	expect_heard("found 0 missing 0: 0.0[r] 1.0[r,s]{\"n\":1}; ");
	fetch(1, &(struct sio_target){ .rooms = &room, .rooms_n = 1, .skip = hub_socket(b) });
	cluster_turn();
	expect_heard("found 0 missing 0: 0.0[r]; ");
	fetch(1, &(struct sio_target){ .is_local = true });
	expect_heard("");
	cluster_run(32);
	expect_heard("found 0 missing 0: 1.0[r,s]{\"n\":1} 1.1[]{\"n\":1}; ");
	for (unsigned i = 0; i < 3; i++)
		assert_null(cluster[i].server->hub.fetches);
}

static void test_fetch_of_nobody(void **state)
{
	struct sio_namespace *parent;

	(void)state;
	fetch(0, &everybody);
	cluster_turn();
	expect_heard("found 0 missing 0:; ");
	assert_int_equal(sio_sockets_fetch(sio_namespace_open(cluster[0].server, SIO_LIT("/only-here")), &everybody, 0,
					   on_found, NULL), SIO_OK);
	cluster_turn();
	expect_heard("found 0 missing 0:; ");
	assert_int_equal(sio_namespace_pattern(cluster[0].server, "/p", &parent), SIO_OK);
	assert_int_equal(sio_sockets_fetch(parent, &everybody, 0, on_found, NULL), SIO_ERR_INVAL);
	assert_int_equal(sio_sockets_ask(parent, &everybody, SIO_LIT("q"), &none, 0, on_answers, NULL), SIO_ERR_INVAL);
}

static void test_fetch_with_a_silent_node(void **state)
{
	(void)state;
	cluster_client(0, NULL);
	cluster_client(1, NULL);
	cluster_client(2, NULL);
	cluster[2].is_stuck = true;
	fetch(0, &everybody);
	cluster_run(900);
	expect_heard("");
	cluster_run(200);
	expect_heard("found 0 missing 1: 0.0[] 1.0[]; ");
	cluster[2].is_stuck = false;
	cluster_turn();
	expect_heard("");
	assert_int_equal(cluster[0].server->hub.adapter_refused, 0);
}

static void test_fetch_and_a_node_goes(void **state)
{
	(void)state;
	cluster_client(1, NULL);
	cluster[2].is_stuck = true;
	fetch(0, &everybody);
	cluster_turn();
	expect_heard("");
	cluster_end(2);
	cluster_turn();
	expect_heard("found 0 missing 1: 1.0[]; ");
}

static void test_fetch_and_we_go(void **state)
{
	(void)state;
	cluster_client(1, NULL);
	fetch(0, &everybody);
	cluster_end(0);
	expect_heard("found -4 missing 2:; ");
}

/* Much goes in several messages. */
static void test_fetch_much(void **state)
{
	static char data[30002];
	unsigned n = 0;

	(void)state;
	memset(data, 'x', sizeof(data) - 1);
	data[0] = data[sizeof(data) - 2] = '"';
	sio_namespace_on_describe(nsp(1), describe, data);
	for (int i = 0; i < 10; i++)
		cluster_client(1, "r");
	cluster_heard_n(0);
	fetch(0, &everybody);
	cluster_turn();
	assert_true(cluster_heard_n(0) >= 4); /* and one that says nobody from the third node */
	buf_byte(&heard, '\0');
	for (const char *at = strstr(heard.p, "[r]\""); at; at = strstr(at + 1, "[r]\""))
		n++;
	assert_int_equal(n, 10);
	buf_clear(&heard);
	/* Half of it, then silence: what came is there, and the node did not tell all. */
	fetch(0, &everybody);
	lie(0, 1, &(struct cluster_message){ .type = CLUSTER_FOUND, .id = 2 });
	cluster[1].is_stuck = true;
	cluster_run(1100);
	expect_heard("found 0 missing 1:; ");
	cluster[1].is_stuck = false;
}

static void test_fetch_too_much(void **state)
{
	enum { DATA = 8 << 20 };
	char *data = malloc(DATA + 1);
	struct buf one = { 0 };
	struct cluster_socket s = { SIO_LIT("of-a-socket-far-away"), NULL, 0, sio_bytes(data, DATA) };
	struct cluster_message m = { .type = CLUSTER_FOUND, .id = 1, .sockets_n = 1 };

	(void)state;
	memset(data, '1', DATA);
	cluster_put_socket(&one, &s);
	m.sockets = buf_peek(&one);
	fetch(0, &everybody);
	for (int i = 0; i < SIO_FOUND_BYTES_MAX / DATA; i++)
		lie(0, 1, &m);
	assert_int_equal(cluster[0].server->hub.adapter_refused, 0);
	cluster_turn();
	buf_byte(&heard, '\0');
	assert_int_equal(strncmp(heard.p, "found -3 missing 0: 1.0[]11", 27), 0);
	assert_true(heard.n < SIO_FOUND_BYTES_MAX);
	buf_fini(&heard);
	buf_fini(&one);
	free(data);
}

static void test_fetch_lies(void **state)
{
	struct buf one = { 0 };
	struct cluster_socket s = { SIO_LIT("of-a-socket-far-away"), NULL, 0, SIO_LIT("{\"x\":") };
	struct cluster_message m = { .type = CLUSTER_FOUND, .id = 1, .sockets_n = 1, .is_last = true },
			       count = { .type = CLUSTER_COUNT, .id = 1 }, unknown = { .type = CLUSTER_FOUND, .id = 9 };

	(void)state;
	cluster_put_socket(&one, &s);
	m.sockets = buf_peek(&one);
	fetch(0, &everybody);
	lie(0, 1, &m);     /* data that is no JSON */
	lie(0, 1, &count);
	lie(0, 1, &unknown);
	assert_int_equal(cluster[0].server->hub.adapter_refused, 2);
	cluster_step(1);
	cluster_step(0);
	m.sockets_n = 0;
	m.sockets.n = 0;
	lie(0, 1, &m);     /* behind its last word */
	assert_int_equal(cluster[0].server->hub.adapter_refused, 3);
	cluster_turn();
	expect_heard("found 0 missing 0:; ");
	buf_fini(&one);
}

/* ---- events between servers ------------------------------------------------------------------------ */

static struct {
	char node[SIO_NODE_ID_LEN];
	uint64_t ack;
} open_question;

/* arg: whose handler it is; what it answers, or NULL for later. */
static void on_server_event(struct sio_namespace *of, const struct sio_server_event *e, void *arg)
{
	struct sio_args args = sio_args_json(sio_str(arg));

	buf_printf(&heard, "%.*s %.*s%s; ", (int)e->name.n, e->name.p, (int)e->args.json.n, e->args.json.p,
		   e->ack == SIO_ACK_NONE ? "" : "?");
	if (e->ack == SIO_ACK_NONE)
		return;
	if (arg) {
		assert_int_equal(sio_servers_answer(sio_namespace_server(of), e->node, e->ack, &args), SIO_OK);
		return;
	}
	memcpy(open_question.node, e->node.p, SIO_NODE_ID_LEN);
	open_question.ack = e->ack;
}

static void test_server_emit(void **state)
{
	struct sio_args args = sio_args_json(SIO_LIT("1,\"two\""));

	(void)state;
	assert_int_equal(sio_server_nodes_n(cluster[0].server), 3);
	for (unsigned i = 0; i < 2; i++)
		sio_namespace_on_server_event(nsp(i), on_server_event, NULL);
	assert_int_equal(sio_servers_emit(nsp(0), SIO_LIT("hello"), &args), 2);
	cluster_turn();
	expect_heard("hello 1,\"two\"; "); /* not to itself, and node 2 has no handler */
	assert_int_equal(sio_servers_emit(sio_namespace_open(cluster[0].server, SIO_LIT("/other")), SIO_LIT("x"), &none), 2);
	cluster_turn();
	expect_heard("");
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(cluster[i].server->hub.adapter_refused, 0);
	assert_int_equal(sio_servers_emit(nsp(0), SIO_LIT("connect"), &none), SIO_ERR_INVAL);
	assert_int_equal(sio_servers_emit(nsp(0), SIO_LIT("connection"), &none), SIO_ERR_INVAL);
	assert_int_equal(sio_servers_ask(nsp(0), SIO_LIT("new_namespace"), &none, 0, on_answers, NULL), SIO_ERR_INVAL);
	assert_int_equal(sio_servers_emit(nsp(0), SIO_LIT("e"), &(struct sio_args){ .attachments_n = 11 }), SIO_ERR_INVAL);
}

static void test_server_ask(void **state)
{
	(void)state;
	sio_namespace_on_server_event(nsp(1), on_server_event, (void *)(uintptr_t) "\"one\"");
	sio_namespace_on_server_event(nsp(2), on_server_event, (void *)(uintptr_t) "\"two\"");
	assert_int_equal(sio_servers_ask(nsp(0), SIO_LIT("who"), &none, 0, on_answers, NULL), 2);
	cluster_turn();
	expect_heard("who ?; who ?; done 0 asked 2 missing 0: \"one\" \"two\"; ");
	sio_namespace_on_server_event(nsp(2), NULL, NULL); /* is not waited for */
	assert_int_equal(sio_servers_ask(nsp(0), SIO_LIT("who"), &none, 0, on_answers, NULL), 2);
	cluster_turn();
	expect_heard("who ?; done 0 asked 1 missing 0: \"one\"; ");
}

static void test_server_answers_later(void **state)
{
	struct sio_args args = sio_args_json(SIO_LIT("7"));

	(void)state;
	sio_namespace_on_server_event(nsp(1), on_server_event, (void *)(uintptr_t) "1");
	sio_namespace_on_server_event(nsp(2), on_server_event, NULL);
	assert_int_equal(sio_servers_ask(nsp(0), SIO_LIT("who"), &none, 1000, on_answers, NULL), 2);
	cluster_turn();
	expect_heard("who ?; who ?; ");
	assert_int_equal(sio_servers_answer(cluster[2].server, sio_bytes(open_question.node, SIO_NODE_ID_LEN),
					    open_question.ack, &args), SIO_OK);
	cluster_turn();
	expect_heard("done 0 asked 2 missing 0: 1 7; ");
	/* Once more: nobody asks any more.  To one who has gone: it says so. */
	assert_int_equal(sio_servers_answer(cluster[2].server, sio_bytes(open_question.node, SIO_NODE_ID_LEN),
					    open_question.ack, &args), SIO_OK);
	cluster_turn();
	assert_int_equal(cluster[0].server->hub.adapter_refused, 0);
	assert_int_equal(sio_servers_answer(cluster[2].server, sio_bytes(open_question.node, SIO_NODE_ID_LEN),
					    SIO_ACK_NONE, &args), SIO_ERR_INVAL);
	cluster_end(0);
	assert_int_equal(sio_servers_answer(cluster[2].server, sio_bytes(open_question.node, SIO_NODE_ID_LEN),
					    open_question.ack, &args), SIO_ERR_NOENT);
}

static void test_server_time_out(void **state)
{
	(void)state;
	sio_namespace_on_server_event(nsp(1), on_server_event, NULL);
	cluster[2].is_stuck = true;
	assert_int_equal(sio_servers_ask(nsp(0), SIO_LIT("who"), &none, 1000, on_answers, NULL), 2);
	cluster_run(1100);
	expect_heard("who ?; done -12 asked 1 missing 1:; ");
}

static void on_told(struct sio_namespace *of, const struct sio_server_event *e, void *arg)
{
	(void)of;
	assert_int_equal(e->ack, SIO_ACK_NONE);
	buf_printf(&heard, "%s %.*s %.*s; ", (const char *)arg, (int)e->name.n, e->name.p, (int)e->args.json.n, e->args.json.p);
}

/* Only servers that have members hear of it, and none of these clients does. */
static void test_server_tell(void **state)
{
	struct sio_args args = sio_args_json(SIO_LIT("1"));
	uint64_t sent;

	(void)state;
	sio_namespace_on_server_event(nsp(0), on_told, (void *)(uintptr_t) "0");
	sio_namespace_on_server_event(nsp(1), on_told, (void *)(uintptr_t) "1");
	sio_namespace_on_server_event(nsp(2), on_told, (void *)(uintptr_t) "2");
	assert_int_equal(sio_servers_tell(nsp(0), SIO_LIT("s"), SIO_LIT("e"), &args), SIO_OK);
	cluster_turn();
	expect_heard("");
	assert_int_equal(sio_room_join(hub_socket(cluster_client(0, NULL)), SIO_LIT("s")), SIO_OK);
	assert_int_equal(sio_room_join(hub_socket(cluster_client(1, NULL)), SIO_LIT("s")), SIO_OK);
	sent = cluster[0].server->hub.adapter_sent;
	assert_int_equal(sio_servers_tell(nsp(0), SIO_LIT("s"), SIO_LIT("e"), &args), SIO_OK);
	assert_int_equal(cluster[0].server->hub.adapter_sent, sent + 1);
	cluster_turn();
	expect_heard("1 e 1; ");
	/* A name as long as a socket's id, which is none, is a room like any other. */
	assert_int_equal(sio_room_join(hub_socket(cluster_client(2, NULL)), SIO_LIT("project:proj-1234567")), SIO_OK);
	assert_int_equal(sio_servers_tell(nsp(0), SIO_LIT("project:proj-1234567"), SIO_LIT("e"), &args), SIO_OK);
	cluster_turn();
	expect_heard("2 e 1; ");
	assert_int_equal(sio_servers_tell(nsp(0), SIO_LIT(""), SIO_LIT("e"), &args), SIO_ERR_INVAL);
	assert_int_equal(sio_servers_tell(nsp(0), SIO_LIT("s"), SIO_LIT("connect"), &args), SIO_ERR_INVAL);
}

static void note_node(sio_slice node, void *arg)
{
	for (unsigned i = 0; i < 3; i++)
		if (cluster[i].server && sio_slice_eq(sio_server_node(cluster[i].server), node))
			buf_printf(&heard, "%s%u; ", (const char *)arg, i);
}

static void note_gone(sio_slice node, void *arg)
{
	assert_true(sio_slice_eq(node, sio_bytes(arg, SIO_NODE_ID_LEN)));
	buf_str(&heard, "gone; ");
}

static void test_server_send(void **state)
{
	struct sio_args args = sio_args_json(SIO_LIT("1"));
	char gone[SIO_NODE_ID_LEN];
	sio_slice two = sio_server_node(cluster[2].server);

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		sio_namespace_on_server_event(nsp(i), on_told, i == 2 ? (void *)(uintptr_t) "2" : (void *)(uintptr_t) "other");
	assert_int_equal(sio_servers_send(nsp(0), two, SIO_LIT("e"), &args), SIO_OK);
	cluster_turn();
	expect_heard("2 e 1; ");
	assert_int_equal(sio_servers_send(nsp(0), two, SIO_LIT("connect"), &args), SIO_ERR_INVAL);
	assert_int_equal(sio_servers_send(nsp(0), SIO_LIT("no-such-node-is-here"), SIO_LIT("e"), &args), SIO_ERR_NOENT);
	sio_server_each_node(cluster[1].server, note_node, (void *)(uintptr_t) "node ");
	assert_true(strstr(heard.p, "node 0; ") && strstr(heard.p, "node 2; ") && !strstr(heard.p, "node 1; "));
	buf_clear(&heard);
	memcpy(gone, two.p, sizeof(gone));
	sio_server_on_node_gone(cluster[0].server, note_gone, gone);
	sio_server_on_node_gone(cluster[1].server, note_gone, gone);
	sio_server_on_node_gone(cluster[1].server, NULL, NULL);
	cluster_end(2);
	cluster_turn();
	expect_heard("gone; ");
	assert_int_equal(sio_servers_send(nsp(0), sio_bytes(gone, sizeof(gone)), SIO_LIT("e"), &args), SIO_ERR_NOENT);
}

static void test_server_lies(void **state)
{
	struct cluster_message reserved = { .type = CLUSTER_SERVER_EMIT, .nsp = SIO_LIT("/"), .name = SIO_LIT("connection") },
			       no_json = { .type = CLUSTER_SERVER_EMIT, .nsp = SIO_LIT("/"), .name = SIO_LIT("x"),
					   .json = SIO_LIT("{") };

	(void)state;
	sio_namespace_on_server_event(nsp(0), on_server_event, NULL);
	lie(0, 1, &reserved);
	lie(0, 1, &no_json);
	expect_heard("");
	assert_int_equal(cluster[0].server->hub.adapter_refused, 2);
}

static void close_it(struct sio_namespace *of, const struct sio_server_event *e, void *arg)
{
	(void)e, (void)arg;
	assert_int_equal(sio_namespace_close(of), SIO_OK);
}

static void test_a_handler_closes_its_namespace(void **state)
{
	struct sio_namespace *chat = sio_namespace_open(cluster[1].server, SIO_LIT("/chat"));

	(void)state;
	sio_namespace_on_server_event(chat, close_it, NULL);
	assert_int_equal(sio_servers_emit(sio_namespace_open(cluster[0].server, SIO_LIT("/chat")), SIO_LIT("x"), &none), 2);
	cluster_turn();
	assert_null(nsp_find(&cluster[1].server->hub, SIO_LIT("/chat")));
}

/* ---- alone -------------------------------------------------------------------------------------------- */

static int setup_alone(void **state)
{
	(void)state;
	cluster_n = 1;
	cluster_bus = NULL;
	cluster[0] = (struct fake_node){ .server = hub_start(NULL, NULL) };
	return 0;
}

static void test_without_an_adapter(void **state)
{
	(void)state;
	cluster_client(0, "r");
	assert_int_equal(sio_servers_emit(nsp(0), SIO_LIT("e"), &none), 0);
	assert_int_equal(sio_servers_ask(nsp(0), SIO_LIT("e"), &none, 0, on_answers, NULL), 0);
	assert_int_equal(sio_servers_answer(cluster[0].server, SIO_LIT("x"), 1, &none), SIO_ERR_CLOSED);
	fetch(0, &everybody);
	cluster_run(32);
	expect_heard("done 0 asked 0 missing 0:; found 0 missing 0: alone 0.0[r]; ");
	sio_adapter_deliver(cluster[0].server, SIO_LIT("nobody-of-this-name-"), SIO_LIT("x"));
	sio_adapter_node_gone(cluster[0].server, SIO_LIT("nobody-of-this-name-"));
	assert_int_equal(cluster[0].server->hub.adapter_received, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_all_answer),
		TEST(test_only_others_are_there),
		TEST(test_nobody_is_there),
		TEST(test_a_target),
		TEST(test_a_client_that_leaves),
		TEST(test_a_client_that_is_silent),
		TEST(test_late_there),
		TEST(test_a_node_that_is_silent),
		TEST(test_a_node_that_goes_before_it_counts),
		TEST(test_a_node_that_goes_behind_its_count),
		TEST(test_a_node_that_crashes_behind_its_count),
		TEST(test_a_node_that_goes_when_it_is_done),
		TEST(test_a_node_that_cannot_be_reached),
		TEST(test_the_asker_ends),
		TEST(test_an_end_from_inside),
		TEST(test_gone_before_it_is_counted),
		TEST(test_lies),
		TEST(test_answers_too_large),
		TEST(test_a_question_that_may_not_be_asked),
		TEST(test_fetch),
		TEST(test_fetch_of_nobody),
		TEST(test_fetch_with_a_silent_node),
		TEST(test_fetch_and_a_node_goes),
		TEST(test_fetch_and_we_go),
		TEST(test_fetch_much),
		TEST(test_fetch_too_much),
		TEST(test_fetch_lies),
		TEST(test_server_emit),
		TEST(test_server_ask),
		TEST(test_server_answers_later),
		TEST(test_server_time_out),
		TEST(test_server_tell),
		TEST(test_server_send),
		TEST(test_server_lies),
		TEST(test_a_handler_closes_its_namespace),
		cmocka_unit_test_setup_teardown(test_without_an_adapter, setup_alone, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
