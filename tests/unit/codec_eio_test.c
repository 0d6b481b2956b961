/* codec_eio_test.c -- Engine.IO payloads.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/eio.h"
#include "lib/guard.h"
#include "lib/vectors.h"

static void log_packet(struct buf *log, const struct eio_packet *p)
{
	if (!p->is_binary) {
		buf_printf(log, "%u ", (unsigned)p->type);
		buf_put(log, p->data, p->n);
	} else {
		assert_int_equal(p->type, EIO_MESSAGE);
		buf_str(log, "b ");
		for (size_t i = 0; i < p->n; i++)
			buf_printf(log, "%02x", (unsigned char)p->data[i]);
	}
	buf_byte(log, ';');
}

static void walk(struct buf *log, sio_slice wire)
{
	char *p = guard_put(wire.p, wire.n);
	size_t n = wire.n;
	struct eio_packet packet;
	int err;

	while ((err = eio_payload_next(&p, &n, &packet)) == SIO_OK)
		log_packet(log, &packet);
	buf_str(log, err == SIO_ERR_NOENT ? "end" : err == SIO_ERR_PROTO ? "PROTO" : "?");
}

static void check(const char *name, sio_slice wire, const char *expect)
{
	struct buf log = { 0 };

	walk(&log, wire);
	if (!sio_slice_eq(buf_peek(&log), sio_str(expect)))
		fail_msg("%s:\n got %.*s\nwant %s", name, (int)log.n, log.p, expect);
	for (size_t n = 0; n < wire.n && n < 300; n++)
		walk(&log, sio_bytes(wire.p, n));
	buf_fini(&log);
}

static void test_vectors(void **state)
{
	(void)state;
	assert_true(vectors_run("eio.json", check) > 50);
}

/* On WebSocket the separator is a byte like any other. */
static void test_one_packet(void **state)
{
	struct eio_packet p;
	char text[] = "4a\x1e" "4b", binary[] = "bAQID";

	(void)state;
	assert_int_equal(eio_packet_read(text, 5, &p), SIO_OK);
	assert_int_equal(p.n, 4);
	assert_ptr_equal(p.data, text + 1);
	assert_int_equal(eio_packet_read(binary, 5, &p), SIO_OK);
	assert_true(p.is_binary);
	assert_int_equal(p.n, 3);
	assert_int_equal(eio_packet_read(text, 0, &p), SIO_ERR_PROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_vectors), cmocka_unit_test(test_one_packet) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
