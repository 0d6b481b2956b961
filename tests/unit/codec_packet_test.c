/* codec_packet_test.c -- Socket.IO packets: vectors, prefixes, the way back.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/packet.h"
#include "lib/guard.h"
#include "lib/vectors.h"

enum { ATTACHMENTS_MAX = 10 };

/* name and data may be long, so the log is put together by hand. */
static void log_packet(struct buf *log, const struct packet *p)
{
	buf_u64(log, p->type);
	if (p->attachments_n)
		buf_printf(log, " n=%u", p->attachments_n);
	buf_str(log, " nsp=");
	buf_slice(log, p->nsp);
	if (p->id != PACKET_NO_ID)
		buf_printf(log, " id=%llu", (unsigned long long)p->id);
	if (p->type == PACKET_EVENT || p->type == PACKET_BINARY_EVENT) {
		buf_str(log, " name=");
		buf_slice(log, p->name);
	}
	buf_str(log, " data=");
	buf_slice(log, p->data);
}

/* What was decoded, encoded and decoded again says the same. */
static void there_and_back(const struct packet *p)
{
	size_t size = packet_size(p), n;
	char *wire = malloc(size);
	struct packet again;
	struct buf a = { 0 }, b = { 0 };

	n = packet_write(p, wire);
	assert_true(n <= size);
	assert_int_equal(packet_read(sio_bytes(wire, n), ATTACHMENTS_MAX, &again), SIO_OK);
	log_packet(&a, p);
	log_packet(&b, &again);
	assert_true(sio_slice_eq(buf_peek(&a), buf_peek(&b)));
	buf_fini(&a);
	buf_fini(&b);
	free(wire);
}

static void check(const char *name, sio_slice wire, const char *expect)
{
	struct packet p;
	struct buf log = { 0 };
	int err = packet_read(sio_bytes(guard_put(wire.p, wire.n), wire.n), ATTACHMENTS_MAX, &p);

	if (err < 0) {
		assert_int_equal(err, SIO_ERR_PROTO);
		buf_str(&log, "PROTO");
	} else {
		log_packet(&log, &p);
		there_and_back(&p);
	}
	if (!sio_slice_eq(buf_peek(&log), sio_str(expect)))
		fail_msg("%s:\n got %.*s\nwant %s", name, (int)log.n, log.p, expect);
	buf_fini(&log);
	/* No prefix may lead past the end; what it means does not matter here. */
	for (size_t n = 0; n < wire.n && n < 300; n++)
		if (packet_read(sio_bytes(guard_put(wire.p, n), n), ATTACHMENTS_MAX, &p) == SIO_OK)
			there_and_back(&p);
}

static void test_vectors(void **state)
{
	(void)state;
	assert_true(vectors_run("packet.json", check) > 150);
}

static void expect_written(const struct packet *p, const char *want)
{
	char out[256];
	size_t n = packet_write(p, out);

	assert_true(n <= packet_size(p));
	assert_true(sio_slice_eq(sio_bytes(out, n), sio_str(want)));
}

static void test_writing(void **state)
{
	struct packet p = { .type = PACKET_CONNECT, .nsp = SIO_LIT("/board"), .id = PACKET_NO_ID,
			    .data = SIO_LIT("{\"sid\":\"x\"}") };

	(void)state;
	expect_written(&p, "0/board,{\"sid\":\"x\"}");
	p.type = PACKET_CONNECT_ERROR;
	p.nsp = SIO_LIT("/");
	p.data = SIO_LIT("{\"message\":\"no\"}");
	expect_written(&p, "4{\"message\":\"no\"}");
	p = (struct packet){ .type = PACKET_DISCONNECT, .nsp = SIO_LIT("/board"), .id = PACKET_NO_ID };
	expect_written(&p, "1/board,");
	p = (struct packet){ .type = PACKET_EVENT, .id = 17, .name = SIO_LIT("\"a\"") };
	expect_written(&p, "217[\"a\"]");
	p.data = SIO_LIT("1,2");
	p.type = PACKET_BINARY_EVENT;
	p.attachments_n = 10;
	expect_written(&p, "510-17[\"a\",1,2]");
	p = (struct packet){ .type = PACKET_ACK, .nsp = SIO_LIT("/n"), .id = 0 };
	expect_written(&p, "3/n,0[]");
	p = (struct packet){ .type = PACKET_BINARY_ACK, .id = PACKET_ID_MAX, .attachments_n = 1, .data = SIO_LIT("{}") };
	expect_written(&p, "61-9007199254740991[{}]");
}

static void test_reserved_names(void **state)
{
	(void)state;
	assert_true(packet_is_reserved(SIO_LIT("newListener")));
	assert_true(packet_is_reserved(SIO_LIT("connect")));
	assert_false(packet_is_reserved(SIO_LIT("newlistener")));
	assert_false(packet_is_reserved(SIO_LIT("connec")));
	assert_false(packet_is_reserved((sio_slice){ 0 }));
}

static void test_attachments_limit_is_a_parameter(void **state)
{
	struct packet p;

	(void)state;
	assert_int_equal(packet_read(SIO_LIT("511-[\"a\"]"), 11, &p), SIO_OK);
	assert_int_equal(packet_read(SIO_LIT("51-[\"a\"]"), 0, &p), SIO_ERR_PROTO);
	assert_int_equal(packet_read(SIO_LIT("564-[\"a\",{\"_placeholder\":true,\"num\":63}]"), 1000, &p), SIO_OK);
	assert_int_equal(packet_read(SIO_LIT("565-[\"a\"]"), 1000, &p), SIO_ERR_PROTO);
	assert_int_equal(packet_read((sio_slice){ 0 }, 10, &p), SIO_ERR_PROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_writing),
		cmocka_unit_test(test_reserved_names),
		cmocka_unit_test(test_attachments_limit_is_a_parameter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
