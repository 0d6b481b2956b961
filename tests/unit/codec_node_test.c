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

/* ---- writing ------------------------------------------------------------------------------ */

static const sio_slice two_rooms[] = { { "project:42", 10 }, { "user:7", 6 } };

static struct neighbour event(const char *json)
{
	return (struct neighbour){ .kind = NEIGHBOUR_EMIT, .nsp = SIO_LIT("/collab"), .name = SIO_LIT("note:add"), .json = sio_str(json),
				   .rooms = two_rooms, .rooms_n = 1 };
}

/* What a reader makes of n as it is written, and on which channel. */
static int written(const struct neighbour *n, struct buf *log)
{
	struct buf channel = { 0 }, out = { 0 };
	int err = node_write(&channel, &out, SIO_LIT(NODE_KEY), SIO_LIT("k3Jd9Q"), n);

	buf_clear(log);
	if (err == SIO_OK) {
		buf_slice(log, buf_peek(&channel));
		buf_byte(log, ' ');
		in_words(buf_peek(&channel), buf_peek(&out), log);
	}
	buf_fini(&channel);
	buf_fini(&out);
	return err;
}

static void what_is_written_is_what_the_adapter_writes(void **state)
{
	static const unsigned char worked[] = "\x93\xa6k3Jd9Q\x83\xa4type\x02\xa4" "data\x92\xa8note:add\x81\xa2id\x07\xa3nsp\xa7/collab"
					      "\x83\xa5rooms\x91\xaaproject:42\xa6" "except\x90\xa5" "flags\x80";
	struct neighbour n = event("{ \"id\" : 7 }");
	struct buf channel = { 0 }, out = { 0 };

	(void)state;
	assert_int_equal(node_write(&channel, &out, SIO_LIT(NODE_KEY), SIO_LIT("k3Jd9Q"), &n), SIO_OK);
	assert_true(sio_slice_eq(buf_peek(&channel), SIO_LIT("socket.io#/collab#project:42#")));
	assert_true(sio_slice_eq(buf_peek(&out), sio_bytes(worked, sizeof(worked) - 1)));
	buf_fini(&channel);
	buf_fini(&out);
}

static void targets_and_flags(void **state)
{
	struct neighbour n = event("1");
	struct buf log = { 0 };

	(void)state;
	n.rooms_n = 2;
	n.except = two_rooms + 1;
	n.except_n = 1;
	n.skip = SIO_LIT("sid-of-the-sender---");
	n.is_volatile = n.no_compress = true;
	assert_int_equal(written(&n, &log), SIO_OK);
	assert_string_equal(log.p, "socket.io#/collab# emit /collab [project:42,user:7] [user:7,sid-of-the-sender---] volatile note:add 1");
	n = (struct neighbour){ .kind = NEIGHBOUR_EMIT, .nsp = SIO_LIT("/"), .name = SIO_LIT("e") };
	assert_int_equal(written(&n, &log), SIO_OK);
	assert_string_equal(log.p, "socket.io#/# emit / [] [] e ");
	buf_fini(&log);
}

static void arguments(void **state)
{
	/* What is given, and what it is read as where that differs. */
	static const char *const cases[][2] = {
		{ "1,\"two\",[3,[]],null,true,false,{}" },
		{ " 1 , [ 2 ,\t3 ] , { \"a\" : { \"b\" :\n[ ] } } ", "1,[2,3],{\"a\":{\"b\":[]}}" },
		{ "0,127,128,255,256,65535,65536,4294967295,4294967296,9007199254740992" },
		{ "-1,-32,-33,-128,-129,-32768,-32769,-2147483648,-2147483649,-9007199254740992" },
		{ "0.5,1e300,-2.25", "0.5,1e+300,-2.25" },
		{ "9007199254740993,1.0,-0", "9007199254740992,1,0" }, /* as JavaScript has them */
		{ "1e999", "null" },
		{ "100000000000000000000000000000000000000000000000000000000000000000000000", "1e+71" },
		{ "\"\\u00e4\\ud834\\udd1e\\n\\\"\\\\\\/\"", "\"\xc3\xa4\xf0\x9d\x84\x9e\\n\\\"\\\\/\"" },
		{ "\"a\\u0000b\"", "\"a\\u0000b\"" },
		{ "\"\\ud834x\\udd1e\\ud834\\ud834\\udd1e\"", "\"\xef\xbf\xbdx\xef\xbf\xbd\xef\xbf\xbd\xf0\x9d\x84\x9e\"" },
		{ "{\"a\":1,\"_placeholder\":2}", "{\"a\":1,\"_placeholder\":2}" }, /* without attachments it is any object */
	};
	struct buf log = { 0 }, want = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct neighbour n = event(cases[i][0]);
		assert_int_equal(written(&n, &log), SIO_OK);
		buf_clear(&want);
		buf_printf(&want, "socket.io#/collab#project:42# emit /collab [project:42] [] note:add %s", cases[i][1] ? cases[i][1] : cases[i][0]);
		buf_byte(&want, '\0');
		assert_string_equal(log.p, want.p);
	}
	buf_fini(&log);
	buf_fini(&want);
}

/* Names and containers of all sizes of heads. */
static void heads_of_all_sizes(void **state)
{
	static const unsigned sizes[] = { 0, 15, 16, 31, 32, 255, 256, 65535, 65536 };
	struct buf json = { 0 }, log = { 0 }, want = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct neighbour n;
		buf_clear(&json);
		buf_byte(&json, '[');
		for (unsigned k = 0; k < sizes[i]; k++)
			buf_str(&json, k ? ",1" : "1");
		buf_str(&json, "],{");
		for (unsigned k = 0; k < sizes[i] && k < 300; k++)
			buf_printf(&json, "%s\"%u\":%u", k ? "," : "", k, k);
		buf_str(&json, "},\"");
		for (unsigned k = 0; k < sizes[i]; k++)
			buf_byte(&json, 'x');
		buf_str(&json, "\"");
		buf_clear(&want);
		buf_printf(&want, "socket.io#/collab#project:42# emit /collab [project:42] [] note:add %.*s", (int)json.n, json.p);
		buf_byte(&want, '\0');
		buf_byte(&json, '\0');
		n = event(json.p);
		assert_int_equal(written(&n, &log), SIO_OK);
		assert_string_equal(log.p, want.p);
	}
	buf_fini(&json);
	buf_fini(&log);
	buf_fini(&want);
}

static void attachments_become_bytes(void **state)
{
	static const char place[] = "{\"f\":{\"_placeholder\":true,\"num\":1}},{\"num\":0,\"_placeholder\":true}";
	struct neighbour n = event(place);
	struct buf log = { 0 };

	(void)state;
	n.blobs = (struct value_blobs){ .list = { SIO_LIT("\xde\xad"), SIO_LIT("") }, .n = 2 };
	assert_int_equal(written(&n, &log), SIO_OK);
	/* Numbered anew, in the order in which they stand there. */
	assert_string_equal(log.p, "socket.io#/collab#project:42# emit /collab [project:42] [] note:add "
			    "{\"f\":{\"_placeholder\":true,\"num\":0}},{\"_placeholder\":true,\"num\":1} +0 +2");
	n.blobs.n = 1; /* one of which there is no attachment */
	assert_int_equal(written(&n, &log), SIO_ERR_PROTO);
	buf_fini(&log);
}

static void what_is_no_json_is_refused(void **state)
{
	static const char *const bad[] = { "{", "1,", "1 2", "tru", "\"", "\"\\x\"", "[1", "{\"a\"}", "]" };
	struct buf log = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct neighbour n = event(bad[i]);
		assert_int_equal(written(&n, &log), SIO_ERR_PROTO);
	}
	buf_fini(&log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(what_is_written_is_what_the_adapter_writes),
		cmocka_unit_test(targets_and_flags),
		cmocka_unit_test(arguments),
		cmocka_unit_test(heads_of_all_sizes),
		cmocka_unit_test(attachments_become_bytes),
		cmocka_unit_test(what_is_no_json_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
