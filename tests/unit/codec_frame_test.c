/* codec_frame_test.c -- both wire forms of a frame, its references and its pool.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/buf.h"
#include "codec/base64.h"
#include "codec/deflate.h"
#include "codec/frame.h"

static struct frame_pool pool;

static int setup(void **state)
{
	(void)state;
	frame_pool_init(&pool);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	frame_pool_fini(&pool);
	return 0;
}

static char *filled(size_t n, unsigned from)
{
	char *p = malloc(n ? n : 1);

	for (size_t i = 0; i < n; i++)
		p[i] = (char)('!' + (i + from) % 90);
	return p;
}

/* What the wire must carry, made without frame.c. */
static void want_ws(struct buf *b, enum ws_op op, const char *p, size_t n)
{
	buf_byte(b, (char)(0x80 | op));
	if (n < 126) {
		buf_byte(b, (char)n);
	} else if (n < 65536) {
		buf_byte(b, 126);
		buf_byte(b, (char)(n >> 8));
		buf_byte(b, (char)n);
	} else {
		buf_byte(b, 127);
		for (int shift = 56; shift >= 0; shift -= 8)
			buf_byte(b, (char)(n >> shift));
	}
	buf_put(b, p, n);
}

static void want_poll(struct buf *b, const char *p, size_t n)
{
	buf_byte(b, 0x1e);
	buf_byte(b, 'b');
	assert_true(buf_reserve(b, BASE64_ENCODED(n)));
	b->n += base64_encode(p, n, b->p + b->n);
}

/* text of text_n bytes in a frame that had room for spare more, with attachments. */
static void check(size_t text_n, size_t spare, const size_t *sizes, unsigned n)
{
	char *text = filled(text_n, 1);
	sio_slice attachments[10] = { { 0 } };
	struct buf ws = { 0 }, poll = { 0 };
	struct frame *f;

	for (unsigned i = 0; i < n; i++)
		attachments[i] = sio_bytes(filled(sizes[i], i), sizes[i]);
	f = frame_new(&pool, text_n + spare, attachments, n);
	assert_non_null(f);
	assert_int_equal(f->refs, 1);
	if (text_n)
		memcpy(frame_text(f), text, text_n);
	frame_seal(f, WS_TEXT, text_n);
	want_ws(&ws, WS_TEXT, text, text_n);
	buf_put(&poll, text, text_n);
	for (unsigned i = 0; i < n; i++) {
		want_ws(&ws, WS_BINARY, attachments[i].p, sizes[i]);
		want_poll(&poll, attachments[i].p, sizes[i]);
		memset((void *)(uintptr_t)attachments[i].p, 0, sizes[i]); /* they were copied */
		free((void *)(uintptr_t)attachments[i].p);
	}
	assert_true(sio_slice_eq(frame_peek_ws(f), buf_peek(&ws)));
	assert_true(sio_slice_eq(frame_peek_poll(f), buf_peek(&poll)));
	assert_ptr_equal(frame_peek_poll(f).p, frame_peek_poll(f).p); /* kept, not made again */
	assert_true(sio_slice_eq(frame_peek_ws(f), buf_peek(&ws)));
	frame_unref(f);
	buf_fini(&ws);
	buf_fini(&poll);
	free(text);
}

static const size_t edges[] = { 0,    1,    2,    3,    100,  124,  125,  126,   127,   128,   255,   256,
				1000, 1024, 1025, 8000, 8192, 8193, 9000, 65534, 65535, 65536, 65537, 200000 };
enum { EDGES = sizeof(edges) / sizeof(edges[0]) };

static void test_text_of_every_size(void **state)
{
	(void)state;
	for (size_t n = 0; n < 1200; n++)
		check(n, n % 47, NULL, 0);
	for (unsigned i = 0; i < EDGES; i++) {
		check(edges[i], 0, NULL, 0);
		check(edges[i], 1, NULL, 0);
		check(edges[i], 70000, NULL, 0);
	}
}

static void test_attachments(void **state)
{
	(void)state;
	for (unsigned i = 0; i < EDGES; i++) {
		check(edges[i], 30, (size_t[]){ edges[EDGES - 1 - i] }, 1);
		check(20, i, (size_t[]){ edges[i], 0, edges[(i + 5) % EDGES] }, 3);
	}
	check(0, 5, (size_t[]){ 0 }, 1);
	check(300, 40, (size_t[]){ 1, 2, 3, 125, 126, 127, 0, 65535, 65536, 4 }, 10);
}

static void test_ready_text(void **state)
{
	struct frame *f = frame_of_text(&pool, WS_TEXT, SIO_LIT("2"));

	(void)state;
	assert_true(sio_slice_eq(frame_peek_ws(f), SIO_LIT("\x81\x01"
							   "2")));
	assert_true(sio_slice_eq(frame_peek_poll(f), SIO_LIT("2")));
	assert_false(f->is_volatile);
	assert_int_equal(f->key, 0);
	frame_unref(f);
	f = frame_of_text(&pool, WS_PONG, sio_bytes(NULL, 0));
	assert_true(sio_slice_eq(frame_peek_ws(f), SIO_LIT("\x8a\x00")));
	frame_unref(f);
}

/* A binary message of plain Engine.IO: its three forms, of every size of head. */
static void test_binary_alone(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 3, 125, 126, 127, 65535, 65536, 70000 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *data = filled(sizes[i], 7);
		struct frame *f = frame_of_binary(&pool, sio_bytes(data, sizes[i]));
		struct buf ws = { 0 }, poll = { 0 }, b64 = { 0 };
		want_ws(&ws, WS_BINARY, data, sizes[i]);
		want_poll(&poll, data, sizes[i]);
		buf_consume(&poll, 1); /* no separator: nothing stands before it */
		want_ws(&b64, WS_TEXT, poll.p, poll.n);
		free(data);
		assert_true(sio_slice_eq(frame_peek_ws(f), buf_peek(&ws)));
		assert_true(sio_slice_eq(frame_peek_poll(f), buf_peek(&poll)));
		assert_true(sio_slice_eq(frame_peek_ws(frame_peek_b64(f)), buf_peek(&b64)));
		frame_unref(f);
		buf_fini(&ws);
		buf_fini(&poll);
		buf_fini(&b64);
	}
}

static void test_references(void **state)
{
	struct frame *f = frame_new(&pool, 10, (sio_slice[]){ SIO_LIT("abc") }, 1);

	(void)state;
	memcpy(frame_text(f), "51-[]", 5);
	frame_seal(f, WS_TEXT, 5);
	assert_ptr_equal(frame_ref(f), f);
	frame_ref(f);
	assert_int_equal(f->refs, 3);
	frame_peek_poll(f);
	frame_unref(f);
	frame_unref(f);
	assert_int_equal(f->refs, 1);
	assert_true(sio_slice_eq(frame_peek_poll(f), SIO_LIT("51-[]\x1e"
							     "bYWJj")));
	frame_unref(f); /* and the polling form with it: the leak checker looks */
}

static void test_steady_load_allocates_nothing(void **state)
{
	struct frame *held[64];
	char *text = filled(8000, 0);
	static const size_t sizes[] = { 3, 40, 200, 500, 900, 2000, 8000 };
	uint64_t before = 0;

	(void)state;
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 64; i++)
			held[i] = frame_of_text(&pool, WS_TEXT, sio_bytes(text, sizes[i % 7]));
		for (int i = 0; i < 64; i++)
			frame_unref(held[i]);
		if (round == 0)
			before = frame_pool_mallocs(&pool);
	}
	assert_true(before >= 3 && before <= 6); /* a slab or two of each size */
	assert_int_equal(frame_pool_mallocs(&pool), before);
	/* Too large for the pools: counted, each time. */
	for (int i = 0; i < 3; i++)
		frame_unref(frame_of_text(&pool, WS_TEXT, sio_bytes(text, 8000)));
	assert_int_equal(frame_pool_mallocs(&pool), before);
	frame_unref(frame_new(&pool, 9000, NULL, 0));
	assert_int_equal(frame_pool_mallocs(&pool), before + 1);
	free(text);
}

/* The compressed form: one a window, made once, given back with its frame. */
static void test_deflated(void **state)
{
	char *text = filled(9000, 3);
	struct frame *f, *form, *narrow, *b64;

	(void)state;
	pool.deflater = deflater_new();
	pool.deflate_min = 100;
	f = frame_of_text(&pool, WS_TEXT, sio_bytes(text, 99));
	assert_ptr_equal(frame_peek_deflated(f, 15), f); /* too short */
	frame_unref(f);

	f = frame_of_text(&pool, WS_TEXT, sio_bytes(text, 9000));
	f->is_volatile = true;
	f->key = 7;
	form = frame_peek_deflated(f, 15);
	assert_ptr_not_equal(form, f);
	assert_int_equal((unsigned char)frame_peek_ws(form).p[0], 0x80 | WS_RSV1 | WS_TEXT);
	assert_true(form->n < f->n / 2);
	assert_true(form->is_volatile);
	assert_int_equal(form->key, 7);
	assert_ptr_equal(frame_peek_deflated(f, 15), form);
	assert_ptr_equal(frame_peek_deflated(f, 14), form); /* 9,000 bytes fit into 16 KiB */
	assert_ptr_equal(frame_peek_deflated(form, 15), form); /* and it is not compressed again */
	narrow = frame_peek_deflated(f, 10);
	assert_ptr_not_equal(narrow, form);
	assert_ptr_equal(frame_peek_deflated(f, 10), narrow);
	assert_ptr_not_equal(frame_peek_deflated(f, 9), narrow);
	assert_int_equal(pool.deflates, 3);
	frame_ref(narrow);
	frame_unref(f); /* a queue may hold the form longer than its frame */
	assert_int_equal(narrow->refs, 1);
	frame_unref(narrow);

	f = frame_of_text(&pool, WS_PONG, sio_bytes(text, 120));
	assert_ptr_equal(frame_peek_deflated(f, 15), f); /* control frames never are */
	frame_unref(f);

	f = frame_new(&pool, 10, (sio_slice[]){ sio_bytes(text, 500) }, 1);
	memcpy(frame_text(f), "51-[]", 5);
	frame_seal(f, WS_TEXT, 5);
	f->no_compress = true;
	b64 = frame_peek_b64(f);
	assert_ptr_equal(frame_peek_deflated(f, 15), f);
	assert_ptr_equal(frame_peek_deflated(b64, 15), b64);
	frame_unref(f);
	deflater_free(pool.deflater);
	free(text);
}

static void test_absurd_sizes_are_refused(void **state)
{
	(void)state;
	assert_null(frame_new(&pool, (size_t)1 << 32, NULL, 0));
	assert_null(frame_new(&pool, UINT32_MAX / 2, NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_text_of_every_size, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attachments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ready_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_binary_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_references, setup, teardown),
		cmocka_unit_test_setup_teardown(test_steady_load_allocates_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deflated, setup, teardown),
		cmocka_unit_test_setup_teardown(test_absurd_sizes_are_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
