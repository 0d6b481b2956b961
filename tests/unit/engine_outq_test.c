/* engine_outq_test.c -- the queue of one client against a naive model of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "engine/outq.h"
#include "lib/fake_engine.h"

enum { MODEL_MAX = 4096 };

static struct frame_pool frames;
static struct pool chunks;
static struct outq q;
static struct {
	struct frame *f[MODEL_MAX];
	unsigned n;
	size_t sent;
} model;

static int setup(void **state)
{
	(void)state;
	frame_pool_init(&frames);
	pool_init(&chunks, sizeof(struct outq_chunk));
	q = (struct outq){ 0 };
	model.n = 0;
	model.sent = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	outq_clear(&q, &chunks);
	assert_true(outq_is_sane(&q));
	pool_fini(&chunks);
	frame_pool_fini(&frames);
	return 0;
}

static struct frame *frame(const char *text, uint32_t key)
{
	struct frame *f = frame_of_text(&frames, WS_TEXT, sio_str(text));

	f->is_volatile = key != 0;
	f->key = key;
	return f;
}

/* The queue takes over the only reference, so a frame lost or freed early shows. */
static void push(struct frame *f)
{
	assert_true(outq_push(&q, &chunks, f));
	frame_unref(f);
	model.f[model.n++] = f;
}

static void model_pop(void)
{
	memmove(model.f, model.f + 1, --model.n * sizeof(model.f[0]));
	model.sent = 0;
}

static void check(void)
{
	static struct iovec iov[MODEL_MAX];
	size_t bytes = 0;
	int n = outq_peek(&q, iov, MODEL_MAX);

	assert_true(outq_is_sane(&q));
	assert_int_equal(q.n, model.n);
	assert_int_equal(n, (int)model.n);
	for (unsigned i = 0; i < model.n; i++) {
		size_t skip = i == 0 ? model.sent : 0;
		assert_ptr_equal(iov[i].iov_base, frame_peek_ws(model.f[i]).p + skip);
		assert_int_equal(iov[i].iov_len, model.f[i]->n - skip);
		bytes += iov[i].iov_len;
	}
	assert_int_equal(q.bytes, bytes);
	assert_ptr_equal(outq_first(&q), model.n ? model.f[0] : NULL);
}

/* The model first: the queue may hold the last reference to a frame. */
static void consume(size_t bytes)
{
	size_t rest = bytes;

	while (rest > 0 && rest >= model.f[0]->n - model.sent) {
		rest -= model.f[0]->n - model.sent;
		model_pop();
	}
	model.sent += rest;
	outq_consume(&q, &chunks, bytes);
}

/* Before the queue does it, which frees the old frame. */
static bool model_replace(struct frame *f)
{
	unsigned first = model.sent > 0;

	for (unsigned i = model.n; i-- > first;) {
		if (!model.f[i]->is_volatile || model.f[i]->key != f->key)
			continue;
		model.f[i] = f;
		return true;
	}
	return false;
}

static void test_in_order_over_many_chunks(void **state)
{
	(void)state;
	check();
	for (int i = 0; i < 5 * OUTQ_CHUNK + 3; i++) {
		push(frame("packet", 0));
		check();
	}
	while (q.n > 0) {
		outq_pop(&q, &chunks);
		model_pop();
		check();
	}
	assert_null(outq_first(&q));
}

static void test_peek_is_bounded(void **state)
{
	struct iovec iov[40];

	(void)state;
	for (int i = 0; i < 100; i++)
		push(frame("x", 0));
	for (int max = 0; max <= 40; max++)
		assert_int_equal(outq_peek(&q, iov, max), max);
}

static void test_written_byte_by_byte(void **state)
{
	(void)state;
	for (int i = 0; i < OUTQ_CHUNK + 2; i++)
		push(frame("some text", 0));
	while (q.n > 0) {
		consume(1);
		check();
	}
	assert_int_equal(q.bytes, 0);
	consume(0);
	check();
}

static void test_replace(void **state)
{
	struct frame *f;

	(void)state;
	push(frame("plain", 0));
	push(frame("a1", 7));
	push(frame("b1", 8));
	push(frame("plain", 0));
	f = frame("longer a2", 7);
	assert_true(model_replace(f));
	assert_true(outq_replace(&q, f));
	assert_int_equal(f->refs, 2);
	frame_unref(f);
	check();
	f = frame("c", 9);
	assert_false(outq_replace(&q, f));
	assert_int_equal(f->refs, 1);
	frame_unref(f);
	check();
	/* One that is on its way stays as it is, and is not cut in half. */
	consume(model.f[0]->n + 1);
	f = frame("a3", 7);
	assert_false(outq_replace(&q, f));
	frame_unref(f);
	check();
	/* A frame that keeps its key but is not volatile is nobody's to replace. */
	push(frame("d", 10));
	model.f[model.n - 1]->is_volatile = false;
	f = frame("d2", 10);
	assert_false(outq_replace(&q, f));
	frame_unref(f);
}

/* Several of one key wait when the client was not behind as they were sent: the
 * newest value must also be the last one to arrive. */
static void test_replace_keeps_the_newest_last(void **state)
{
	struct frame *f = frame("new", 7);

	(void)state;
	push(frame("old", 7));
	push(frame("older", 8));
	push(frame("middle", 7));
	assert_true(outq_replace(&q, f));
	frame_unref(f);
	assert_true(sio_slice_eq(frame_peek_poll(model.f[0]), SIO_LIT("old")));
	model.f[2] = f;
	check();
}

/* However long the queue is, the newest ones are found and only those. */
static void test_replace_looks_back_so_far(void **state)
{
	struct frame *f;

	(void)state;
	push(frame("far", 7));
	for (int i = 0; i < 1000; i++)
		push(frame("x", 0));
	f = frame("far 2", 7);
	assert_false(outq_replace(&q, f));
	frame_unref(f);
	push(frame("near", 7));
	for (int i = 0; i < 100; i++)
		push(frame("x", 0));
	f = frame("near 2", 7);
	assert_true(model_replace(f));
	assert_true(outq_replace(&q, f));
	frame_unref(f);
	check();
}

static void test_random_against_a_model(void **state)
{
	static const char text[] = "0123456789012345678901234567890123456789";
	uint64_t random = fake_seed();

	(void)state;
	for (int step = 0; step < 100000; step++) {
		uint32_t what = fake_random(&random, 100), grow = step / 5000 % 2 ? 60 : 40;
		struct frame *f;
		if (what < grow && model.n < 100) {
			push(frame(text + fake_random(&random, sizeof(text)), fake_random(&random, 6)));
		} else if (what < 75 && q.bytes > 0) {
			consume(fake_random(&random, q.bytes < 300 ? q.bytes + 1 : 300));
		} else if (what < 80 && q.n > 0) {
			outq_pop(&q, &chunks);
			model_pop();
		} else if (what < 98) {
			f = frame(text + fake_random(&random, sizeof(text)), 1 + fake_random(&random, 6));
			bool is_waiting = model_replace(f);
			assert_int_equal(outq_replace(&q, f), is_waiting);
			frame_unref(f);
		} else if (fake_random(&random, 50) == 0) {
			outq_clear(&q, &chunks);
			model.n = 0;
			model.sent = 0;
		}
		check();
	}
	assert_true(chunks.slabs_total < 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_order_over_many_chunks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_peek_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_written_byte_by_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replace_keeps_the_newest_last, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replace_looks_back_so_far, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random_against_a_model, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
