/* codec_node_test.c -- messages of Node's Redis adapter and emitter: vectors, each prefix.
 *
 * A vector's wire is a channel, a line feed and the message; expect: see lib/neighbour_words.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/node.h"
#include "lib/guard.h"
#include "lib/neighbour_words.h"
#include "lib/vectors.h"

static int in_words(sio_slice channel, sio_slice message, struct buf *log)
{
	struct neighbour n;
	int err = node_read(SIO_LIT(NODE_KEY), channel, sio_bytes(guard_put(message.p, message.n), message.n), SIO_LIT("own"), &n);

	words_neighbour(log, err, &n);
	buf_byte(log, '\0');
	neighbour_fini(&n);
	return err;
}

static void check(const char *name, sio_slice wire, const char *expect)
{
	const char *line = memchr(wire.p, '\n', wire.n);
	sio_slice channel = sio_bytes(wire.p, (size_t)(line - wire.p));
	sio_slice message = sio_bytes(line + 1, wire.n - channel.n - 1);
	struct buf log = { 0 };

	(void)name;
	in_words(channel, message, &log);
	assert_string_equal(log.p, expect);
	for (size_t n = 0; n < message.n; n++) /* no beginning of it is a whole */
		assert_true(in_words(channel, sio_bytes(message.p, n), &log) < 0);
	buf_fini(&log);
}

static void test_vectors(void **state)
{
	(void)state;
	assert_true(vectors_run("node.json", check) > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_vectors) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
