/* hub_compress_test.c -- permessage-deflate from the broadcast to the wire: once for all, for
 * those who negotiated it, when it is worth it, unless the application says no.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "codec/deflate.h"
#include "lib/fake_hub.h"

enum { THRESHOLD = 200 };

static struct deflater *deflater;
static char json[100000];    /* a JSON string that shrinks */

static struct sio_server *start(void)
{
	struct sio_server *server = hub_start(NULL, NULL);

	deflater = deflater_new();
	server->fake->engine.frames.deflater = deflater;
	server->fake->engine.frames.deflate_min = THRESHOLD;
	return server;
}

static void stop(struct sio_server *server)
{
	hub_stop(server);
	deflater_free(deflater);
}

/* Arguments that make an event of n bytes of Engine.IO text: 42["e","..."] */
static struct sio_args event_of(size_t n)
{
	json[0] = '"';
	for (size_t i = 1; i < n - 9; i++)
		json[i] = (char)('a' + i % 13 + i / 100 % 7);
	json[n - 9] = '"';
	return sio_args_json(sio_bytes(json, n - 8));
}

static struct fake_client *member(struct sio_server *server, unsigned bits)
{
	struct fake_client *c = hub_connected(server);

	eio_ws_deflate(fake_session(c), bits);
	assert_int_equal(sio_room_join(hub_socket(c), SIO_LIT("r")), SIO_OK);
	return c;
}

static void broadcast(struct sio_server *server, size_t n, bool no_compress)
{
	sio_slice room = SIO_LIT("r");
	struct sio_target target = { .rooms = &room, .rooms_n = 1, .no_compress = no_compress };
	struct sio_args args = event_of(n);

	assert_true(sio_namespace_broadcast(server->hub.nsps, &target, SIO_LIT("e"), &args) > 0);
	fake_turn(server->fake);
}

/* The log's first words, and whether the client got the event whole. */
static char last[100100];
static void on_packet(struct fake_client *c, sio_slice text, bool is_binary)
{
	(void)c, (void)is_binary;
	snprintf(last, sizeof(last), "%.*s", (int)text.n, text.p);
}

static void expect_plain(struct fake_client *c)
{
	assert_true(c->log.n > 4 && memcmp(c->log.p, "ws 42", 5) == 0);
	buf_clear(&c->log);
}

static void expect_deflated(struct fake_client *c, size_t n)
{
	char want[32];

	snprintf(want, sizeof(want), "wsz %zu; ", n);
	fake_expect(c, want);
}

/* ---- tests ------------------------------------------------------------------------------ */

static void test_once_for_all_who_negotiated(void **state)
{
	struct sio_server *server = start();
	struct frame_pool *frames = &server->fake->engine.frames;
	struct fake_client *with[5], *without = member(server, 0);
	uint64_t before;

	(void)state;
	for (int i = 0; i < 5; i++)
		with[i] = member(server, i < 4 ? 15 : 12);
	server->fake->packet = on_packet;
	broadcast(server, 2000, false);
	expect_plain(without);
	for (int i = 0; i < 5; i++)
		expect_deflated(with[i], 2000);
	assert_int_equal(frames->deflates, 1); /* for the window of 4 KiB too: the message fits into it */
	assert_int_equal(frames->deflate_in, 2000);
	assert_true(frames->deflate_out < 1000 && frames->deflate_out > 50);
	before = frames->deflates;
	broadcast(server, 50000, false); /* too large for 4 KiB: one for 15 bits, one for 12 */
	for (int i = 0; i < 5; i++)
		expect_deflated(with[i], 50000);
	assert_int_equal(frames->deflates, before + 2);
	assert_memory_equal(last, "42[\"e\",\"", 8);
	assert_memory_equal(last + 7, json, 50000 - 8);
	stop(server);
}

static void test_threshold(void **state)
{
	struct sio_server *server = start();
	struct fake_client *c = member(server, 15);

	(void)state;
	broadcast(server, THRESHOLD - 1, false);
	expect_plain(c);
	broadcast(server, THRESHOLD, false);
	expect_deflated(c, THRESHOLD);
	assert_int_equal(server->fake->engine.frames.deflates, 1);
	stop(server);
}

static void test_no_compress(void **state)
{
	struct sio_server *server = start();
	struct fake_client *c = member(server, 15);
	struct sio_args args = event_of(1000);

	(void)state;
	broadcast(server, 1000, true);
	expect_plain(c);
	assert_int_equal(sio_socket_emit_with(hub_socket(c), SIO_LIT("e"), &args, SIO_EMIT_NO_COMPRESS), SIO_OK);
	fake_turn(server->fake);
	expect_plain(c);
	assert_int_equal(server->fake->engine.frames.deflates, 0);
	assert_int_equal(sio_socket_emit_with(hub_socket(c), SIO_LIT("e"), &args, 0), SIO_OK);
	assert_int_equal(sio_socket_emit(hub_socket(c), SIO_LIT("e"), &args), SIO_OK);
	fake_turn(server->fake);
	fake_expect(c, "wsz 1000; wsz 1000; ");
	assert_int_equal(sio_socket_emit_with(hub_socket(c), SIO_LIT("e"), &args, 2), SIO_ERR_INVAL);
	stop(server);
}

/* Text that does not shrink goes as it is, and is tried once. */
static void test_what_does_not_shrink(void **state)
{
	struct sio_server *server = start();
	struct fake_client *a = member(server, 15), *b = member(server, 15);
	sio_slice room = SIO_LIT("r");
	struct sio_target target = { .rooms = &room, .rooms_n = 1 };
	unsigned char noise[300];
	sio_slice attachment = sio_bytes(noise, sizeof(noise));
	struct sio_args args = { SIO_LIT("{\"_placeholder\":true,\"num\":0}"), &attachment, 1 };
	uint64_t seed = 9;

	(void)state;
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (unsigned char)fake_random(&seed, 256);
	assert_int_equal(sio_namespace_broadcast(server->hub.nsps, &target, SIO_LIT("e"), &args), 2);
	fake_turn(server->fake);
	assert_int_equal(a->packets_n, b->packets_n);
	assert_null(a->log.n ? memmem(a->log.p, a->log.n, "wsz", 3) : NULL);
	assert_null(memmem(a->log.p, a->log.n, "wsbinz", 6));
	assert_int_equal(server->fake->engine.frames.deflates, 0);
	stop(server);
}

/* Text below the threshold, an attachment above it: each message for itself. */
static void test_attachments(void **state)
{
	struct sio_server *server = start();
	struct fake_client *c = member(server, 15), *b64 = member(server, 15);
	char zeros[500] = { 0 };
	sio_slice parts[2] = { sio_bytes(zeros, 500), sio_bytes("ab", 2) };
	struct sio_args args = { SIO_LIT("{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}"), parts, 2 };
	sio_slice room = SIO_LIT("r");
	struct sio_target target = { .rooms = &room, .rooms_n = 1 };

	(void)state;
	eio_ws_query(fake_session(b64), SIO_LIT("b64=1"));
	assert_int_equal(sio_namespace_broadcast(server->hub.nsps, &target, SIO_LIT("e"), &args), 2);
	fake_turn(server->fake);
	fake_expect(c, "ws 452-[\"e\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]; wsbinz 500; wsbin ab; ");
	/* b and base64 of 500 bytes, which shrinks as well; its short one stays. */
	fake_expect(b64, "ws 452-[\"e\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]; wsz 669; ws bYWI=; ");
	stop(server);
}

/* What was queued for polling is compressed when the client has moved to WebSocket. */
static void test_upgrade(void **state)
{
	struct sio_server *server = start();
	struct fake_client *c = hub_open(server, EIO_POLLING);
	struct sio_args args;

	(void)state;
	fake_post(c, "40");
	fake_get(c);
	fake_turn(server->fake);
	assert_true(fake_probe(c));
	eio_ws_deflate(fake_session(c), 15);
	buf_clear(&c->log);
	args = event_of(1000);
	assert_int_equal(sio_socket_emit(hub_socket(c), SIO_LIT("e"), &args), SIO_OK);
	fake_turn(server->fake);
	assert_int_equal(server->fake->engine.frames.deflates, 0); /* nothing is compressed for polling here */
	fake_probe_text(c, "2probe");
	fake_probe_text(c, "5");
	fake_turn(server->fake);
	assert_non_null(memmem(c->log.p, c->log.n, "upgraded; wsz 1000; ", 20));
	assert_int_equal(server->fake->engine.frames.deflates, 1);
	hub_check(server);
	stop(server);
}

/* A lagging client's newest value survives in its compressed form too. */
static void test_volatile(void **state)
{
	struct sio_server *server = start();
	struct fake_client *c = member(server, 15);
	sio_slice room = SIO_LIT("r");
	struct sio_target target = { .rooms = &room, .rooms_n = 1, .is_volatile = true, .latest_key = 7 };
	struct sio_args args = event_of(3000);

	(void)state;
	fake_ws_takes(c, 1);
	for (int i = 0; i < 5; i++) {
		args = event_of(3000 + (size_t)i);
		assert_int_equal(sio_namespace_broadcast(server->hub.nsps, &target, SIO_LIT("e"), &args), 1);
		fake_turn(server->fake);
	}
	assert_int_equal(server->fake->engine.volatile_replaced, 3); /* the first is half written, the second gave way */
	fake_ws_takes(c, SIZE_MAX);
	fake_turn(server->fake);
	fake_expect(c, "wsz 3000; wsz 3004; ");
	hub_check(server);
	stop(server);
}

/* A payload for polling may be compressed when at least one packet does not forbid it. */
static void test_polling_payloads(void **state)
{
	struct sio_server *server = start();
	struct fake_client *c = hub_open(server, EIO_POLLING);
	struct buf payload = { 0 };
	struct sio_args args = event_of(1000);

	(void)state;
	fake_post(c, "40");
	fake_get(c);
	fake_turn(server->fake);
	sio_socket_emit_with(hub_socket(c), SIO_LIT("e"), &args, SIO_EMIT_NO_COMPRESS);
	assert_false(eio_take_payload(fake_session(c), &payload));
	sio_socket_emit_with(hub_socket(c), SIO_LIT("e"), &args, SIO_EMIT_NO_COMPRESS);
	sio_socket_emit(hub_socket(c), SIO_LIT("e"), &args);
	assert_true(eio_take_payload(fake_session(c), &payload));
	buf_fini(&payload);
	stop(server);
}

static void test_sizes_are_kept(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct eio_session), 136);
	assert_int_equal(sizeof(struct sio_socket), 168); /* what a block of malloc for 160 holds, too */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_once_for_all_who_negotiated),
		cmocka_unit_test(test_threshold),
		cmocka_unit_test(test_no_compress),
		cmocka_unit_test(test_what_does_not_shrink),
		cmocka_unit_test(test_attachments),
		cmocka_unit_test(test_upgrade),
		cmocka_unit_test(test_volatile),
		cmocka_unit_test(test_polling_payloads),
		cmocka_unit_test(test_sizes_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
