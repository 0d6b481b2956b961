/* bus_pass_test.c -- connections that are handed from one node of the bus in memory to another:
 * the descriptor has one owner at a time, and is closed when nobody is left to have it.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "bus/memory.h"

enum { NODES = 2 };

struct sio_server {
	const struct sio_adapter_ops *ops;
	void *self;
	char id[SIO_NODE_ID_LEN];
	sio_post_fn *fn;
	void *arg;
	int fd;             /* that was taken; -1: none */
	char bytes[32];
};

static struct sio_server nodes[NODES];
static struct sio_bus *bus;
static bool is_deaf;        /* nobody can be woken */

void sio_adapter_deliver(struct sio_server *server, sio_slice from, sio_slice message)
{
	(void)server, (void)from, (void)message;
	fail();
}

void sio_adapter_node_gone(struct sio_server *server, sio_slice node)
{
	(void)server, (void)node;
}

static int post(struct sio_server *server, sio_post_fn *fn, void *arg)
{
	if (is_deaf)
		return SIO_ERR_BUSY;
	server->fn = fn;
	server->arg = arg;
	return SIO_OK;
}

static void wake(struct sio_server *server)
{
	sio_post_fn *fn = server->fn;

	server->fn = NULL;
	if (fn)
		fn(server->arg);
}

static void take(struct sio_server *server, int fd, sio_slice bytes)
{
	server->fd = fd;
	memcpy(server->bytes, bytes.p, bytes.n);
}

static void begin(bus_take_fn *fn)
{
	bus = bus_new(post);
	if (fn)
		bus_set_take(bus, fn);
	for (int i = 0; i < NODES; i++) {
		nodes[i] = (struct sio_server){ .fd = -1 };
		memset(nodes[i].id, 'a' + i, SIO_NODE_ID_LEN);
		assert_int_equal(bus_node(bus, &nodes[i].ops, &nodes[i].self), SIO_OK);
		assert_int_equal(nodes[i].ops->open(nodes[i].self, &nodes[i], sio_bytes(nodes[i].id, SIO_NODE_ID_LEN)), SIO_OK);
	}
}

static void close_node(int i)
{
	nodes[i].ops->close(nodes[i].self);
	wake(&nodes[i]); /* a post that was taken is called, whatever has ended meanwhile */
}

static int a_descriptor(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int pass(int from, const char *to, int fd)
{
	return nodes[from].ops->pass(nodes[from].self, sio_bytes(to, SIO_NODE_ID_LEN), fd, SIO_LIT("GET /"));
}

static void it_is_taken(void **state)
{
	int fd = a_descriptor();

	(void)state;
	begin(take);
	assert_int_equal(pass(0, nodes[1].id, fd), SIO_OK);
	assert_int_equal(nodes[1].fd, -1);
	wake(&nodes[1]);
	assert_int_equal(nodes[1].fd, fd);
	assert_string_equal(nodes[1].bytes, "GET /");
	assert_true(is_open(fd));
	close(fd);
	close_node(0);
	close_node(1);
	sio_bus_memory_free(bus);
}

static void it_stays_with_who_cannot_pass_it(void **state)
{
	int fd = a_descriptor();

	(void)state;
	begin(take);
	assert_int_equal(pass(0, "cccccccccccccccccccc", fd), SIO_ERR_NOENT);
	assert_int_equal(pass(0, nodes[0].id, fd), SIO_ERR_NOENT);
	is_deaf = true;
	assert_int_equal(pass(0, nodes[1].id, fd), SIO_ERR_BUSY);
	is_deaf = false;
	assert_true(is_open(fd));
	close_node(1);
	assert_int_equal(pass(0, nodes[1].id, fd), SIO_ERR_NOENT);
	assert_true(is_open(fd));
	close_node(0);
	sio_bus_memory_free(bus);
	begin(NULL); /* nobody takes any */
	assert_int_equal(pass(0, nodes[1].id, fd), SIO_ERR_NOENT);
	assert_true(is_open(fd));
	close(fd);
	close_node(0);
	close_node(1);
	sio_bus_memory_free(bus);
}

static void it_is_closed_when_its_node_ends_first(void **state)
{
	int fd = a_descriptor();

	(void)state;
	begin(take);
	assert_int_equal(pass(0, nodes[1].id, fd), SIO_OK);
	close_node(1);
	assert_int_equal(nodes[1].fd, -1);
	assert_false(is_open(fd));
	close_node(0);
	sio_bus_memory_free(bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_taken),
		cmocka_unit_test(it_stays_with_who_cannot_pass_it),
		cmocka_unit_test(it_is_closed_when_its_node_ends_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
