/* net_answer_test.c -- answers for which memory runs out: nothing of them leaves.
 *
 * The connection is a pipe (net.h); running out is said by the buffer's own sign.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/net.h"

static const char accept_text[29] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

static struct play {
	void (*on_head)(struct net_conn *c);
	int gone_n;
} play;

static void on_head(struct net_conn *c, struct http1_request *req)
{
	(void)req;
	play.on_head(c);
}

static void on_conn(struct net_conn *c)
{
	(void)c;
}

static void on_gone(struct net_conn *c)
{
	(void)c;
	play.gone_n++;
}

static void on_owner(void *owner)
{
	(void)owner;
}

static struct ws_limits on_limits(const struct net_conn *c)
{
	(void)c;
	return (struct ws_limits){ 1000, 10, NULL };
}

static const struct net_ops ops = {
	.head = on_head, .writable = on_conn, .eof = on_conn, .gone = on_gone, .ws_limits = on_limits,
	.turn = on_owner, .flush = on_owner, .stopped = on_owner,
};

/* One request on a pipe, answered by fn at its head; what came out stays in pipe->out. */
static struct net *ask(void (*fn)(struct net_conn *c), struct net_pipe *pipe)
{
	static const struct net_limits limits = { { 4096, 16, 1000 }, 1000, 1000, 1000, 1000, 10, false };
	struct net *net;

	play = (struct play){ .on_head = fn };
	*pipe = (struct net_pipe){ 0 };
	assert_int_equal(net_new(NULL, &limits, &ops, NULL, &net), SIO_OK);
	assert_int_equal(net_pipe_open(net, pipe), SIO_OK);
	buf_str(&pipe->in, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
	net_step(net, 1000001);
	return net;
}

static void end(struct net *net, struct net_pipe *pipe)
{
	net_stop(net, 0);
	for (uint64_t ms = 1000002; ms < 1010000; ms += 1000)
		net_step(net, ms);
	net_free(net);
	buf_fini(&pipe->in);
	buf_fini(&pipe->out);
}

static void become_websocket(struct net_conn *c)
{
	static char owner;

	net_ws_accept(c, accept_text, 0, sio_bytes("", 0));
	c->owner = &owner;
}

static ssize_t write_frame(struct net_conn *c)
{
	char frame[] = "\x81\x02hi";
	struct iovec iov = { frame, 4 };

	return net_writev(c, &iov, 1);
}

static void test_websocket(void **state)
{
	struct net_pipe pipe;
	struct net *net = ask(become_websocket, &pipe);

	(void)state;
	assert_int_equal(write_frame(pipe.conn), 4);
	assert_memory_equal(pipe.out.p, "HTTP/1.1 101 ", 13);
	assert_memory_equal(pipe.out.p + pipe.out.n - 8, "\r\n\r\n\x81\x02hi", 8);
	end(net, &pipe);
}

static void become_websocket_without_memory(struct net_conn *c)
{
	c->side->out.failed = true; /* what the first byte of the head comes to */
	become_websocket(c);
	/* At once, as whoever finds the session of an upgrade does it: the frame may not go first. */
	assert_int_equal(write_frame(c), -1);
}

static void test_websocket_without_its_head(void **state)
{
	struct net_pipe pipe;
	struct net *net = ask(become_websocket_without_memory, &pipe);

	(void)state;
	assert_int_equal(pipe.out.n, 0);
	assert_null(pipe.conn);
	assert_int_equal(play.gone_n, 1);
	end(net, &pipe);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_websocket),
		cmocka_unit_test(test_websocket_without_its_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
