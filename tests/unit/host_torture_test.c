/* host_torture_test.c -- memory runs out while a server is made: it is made whole, or
 * not at all.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sio/http.h>
#include <sio/server.h>
#include <sio/sockets.h>

#include "lib/fail_alloc.h"

static void ok(int result)
{
	if (result < 0 && result != SIO_ERR_NOMEM)
		fail_msg("returned %d", result);
}

static void on_request(struct sio_request *req, void *arg)
{
	(void)req, (void)arg;
}

static void on_event(struct sio_socket *s, const struct sio_event *e, void *arg)
{
	(void)s, (void)e, (void)arg;
}

static void make_and_free(void)
{
	static const char *const origins[] = { "https://a.example", "https://b.example", NULL };
	struct sio_server_options o = { .path = "/realtime/", .origins = origins };
	struct sio_server *server;
	struct sio_namespace *parent;
	int err = sio_server_new(&o, &server);

	if (err < 0) {
		assert_null(server);
		assert_true(err == SIO_ERR_NOMEM || err == SIO_ERR_SYSTEM);
		return;
	}
	ok(sio_server_listen(server, "127.0.0.1", 0));
	ok(sio_http_route(server, "GET", "/a/:b", on_request, NULL));
	ok(sio_on_event(server, "x", on_event, NULL));
	ok(sio_namespace_pattern(server, "/n.*", &parent));
	(void)sio_namespace_open(server, SIO_LIT("/n1"));
	sio_server_free(server);
}

static void test_each_allocation_in_turn(void **state)
{
	uint64_t n, at;
	int64_t out;

	(void)state;
	make_and_free(); /* what is made once stays: of libuv, of libcrypto */
	fail_alloc_arm(0, false);
	make_and_free();
	fail_alloc_disarm();
	n = fail_alloc.seen;
	assert_true(n > 10);
	for (at = 1; at <= 2 * n; at++) {
		out = fail_alloc.out;
		fail_alloc_arm((at + 1) / 2, at % 2);
		make_and_free();
		fail_alloc_disarm();
		if (fail_alloc.out != out)
			fail_msg("%lld blocks left after failure %llu", (long long)(fail_alloc.out - out),
				 (unsigned long long)(at + 1) / 2);
	}
	print_message("%llu failures\n", (unsigned long long)(2 * n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_allocation_in_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
