/* codec_deflate_test.c -- messages and bodies, compressed and back, whole and in every
 * division; what is not DEFLATE data; bombs.
 *
 * zlib itself is the judge: what deflate.c makes is inflated by it, with the window that
 * was promised, and with little room at a time, so that it must look into that window.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <zlib.h>

#include "codec/deflate.h"
#include "lib/guard.h"

enum { PLENTY = 1 << 20 };

static struct deflater *deflater;
static struct inflater *inflater;

static int setup(void **state)
{
	(void)state;
	deflater = deflater_new();
	inflater = inflater_new();
	return deflater && inflater ? 0 : 1;
}

static int teardown(void **state)
{
	(void)state;
	deflater_free(deflater);
	inflater_free(inflater);
	deflater_free(NULL);
	inflater_free(NULL);
	return 0;
}

/* Text that repeats itself at distances up to a window and beyond. */
static void fill(char *p, size_t n)
{
	uint32_t seed = 5;
	size_t at = 0;

	while (at < n) {
		char row[64];
		seed = seed * 1103515245 + 12345;
		size_t len = (size_t)snprintf(row, sizeof(row), "{\"item_id\":\"item-%04u\",\"qty\":%u},", seed >> 16 & 1023,
					      seed >> 8 & 255);
		len = len < n - at ? len : n - at;
		memcpy(p + at, row, len);
		at += len;
	}
}

/* Inflate with zlib's own inflate; bits as inflateInit2 takes them. */
static void judge(int bits, const char *p, size_t n, bool has_tail, const char *want, size_t want_n)
{
	static const unsigned char tail[4] = { 0, 0, 0xff, 0xff };
	z_stream z = { 0 };
	unsigned char *data = malloc(n + 4), out[61];
	size_t got = 0;
	int ret = Z_OK;

	memcpy(data, p, n);
	memcpy(data + n, tail, 4);
	assert_int_equal(inflateInit2(&z, bits), Z_OK);
	z.next_in = data;
	z.avail_in = (unsigned)(n + (has_tail ? 0 : 4));
	while (ret == Z_OK) {
		z.next_out = out;
		z.avail_out = sizeof(out);
		ret = inflate(&z, Z_SYNC_FLUSH);
		assert_true(ret == Z_OK || ret == Z_STREAM_END || ret == Z_BUF_ERROR);
		size_t some = sizeof(out) - z.avail_out;
		assert_true(got + some <= want_n);
		assert_memory_equal(out, want + got, some);
		got += some;
	}
	assert_int_equal(got, want_n);
	assert_int_equal(z.avail_in, 0);
	if (has_tail)
		assert_int_equal(ret, Z_STREAM_END);
	inflateEnd(&z);
	free(data);
}

/* Inflate in pieces of step bytes that end at an unreadable page. */
static int inflate_pieces(const void *p, size_t n, size_t step, size_t max, char **out, size_t *out_n)
{
	int err = inflate_begin(inflater, max);

	for (size_t at = 0; at < n && err == SIO_OK; at += step) {
		size_t len = step < n - at ? step : n - at;
		err = inflate_feed(inflater, guard_put((const char *)p + at, len), len);
	}
	return err == SIO_OK ? inflate_end(inflater, out, out_n) : err;
}

static void expect_message(const char *name, const void *wire, size_t n, const char *want, size_t want_n)
{
	for (size_t step = 1; step <= n + 1; step = step < 70 || step >= n ? step + 1 : n) {
		char *out = NULL;
		size_t out_n = 0;
		int err = inflate_pieces(wire, n, step, PLENTY, &out, &out_n);
		if (err < 0 || out_n != want_n)
			fail_msg("%s in pieces of %zu: %d, %zu bytes", name, step, err, out_n);
		assert_memory_equal(out, want, want_n);
	}
}

static void expect_error(const char *name, const void *wire, size_t n, size_t max, int want)
{
	for (size_t step = 1; step <= n + 1; step++) {
		char *out;
		size_t out_n;
		int err = inflate_pieces(wire, n, step, max, &out, &out_n);
		if (err != want)
			fail_msg("%s in pieces of %zu: %d, wanted %d", name, step, err, want);
	}
}

static const size_t sizes[] = { 20, 100, 255, 256, 257, 511, 512, 513, 1023, 1024, 5000, 32768, 40000, 100000 };
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static void test_messages_of_every_window(void **state)
{
	static char plain[100000];
	struct buf out = { 0 };

	(void)state;
	fill(plain, sizeof(plain));
	memset(plain, 'a', 100);
	for (unsigned bits = DEFLATE_WINDOW_MIN; bits <= DEFLATE_WINDOW_MAX; bits++) {
		for (unsigned k = 0; k < SIZES; k++) {
			buf_clear(&out);
			buf_str(&out, "before");
			assert_int_equal(deflate_message(deflater, bits, sio_bytes(plain, sizes[k]), &out), SIO_OK);
			assert_memory_equal(out.p, "before", 6);
			assert_true(out.n - 6 < sizes[k]);
			judge(-(int)bits, out.p + 6, out.n - 6, false, plain, sizes[k]);
			if (sizes[k] < 6000)
				expect_message("ours", out.p + 6, out.n - 6, plain, sizes[k]);
		}
	}
	buf_fini(&out);
}

/* A message is compressed as if there were none before it. */
static void test_no_context(void **state)
{
	static char plain[3000];
	struct buf first = { 0 }, second = { 0 };

	(void)state;
	fill(plain, sizeof(plain));
	assert_int_equal(deflate_message(deflater, 15, sio_bytes(plain, sizeof(plain)), &first), SIO_OK);
	assert_int_equal(deflate_message(deflater, 15, sio_bytes(plain, sizeof(plain)), &second), SIO_OK);
	assert_true(sio_slice_eq(buf_peek(&first), buf_peek(&second)));
	buf_fini(&first);
	buf_fini(&second);
}

static void test_what_does_not_shrink(void **state)
{
	static char noise[5000];
	struct buf out = { 0 };
	uint32_t seed = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)((seed = seed * 1103515245 + 12345) >> 20);
	buf_str(&out, "kept");
	for (size_t n = 0; n <= sizeof(noise); n += n < 40 ? 1 : 620) {
		assert_int_equal(deflate_message(deflater, 15, sio_bytes(noise, n), &out), SIO_ERR_LIMIT);
		assert_int_equal(deflate_body(deflater, DEFLATE_GZIP, sio_bytes(noise, n), &out), SIO_ERR_LIMIT);
		assert_int_equal(deflate_body(deflater, DEFLATE_ZLIB, sio_bytes(noise, n), &out), SIO_ERR_LIMIT);
		assert_true(sio_slice_eq(buf_peek(&out), SIO_LIT("kept")));
		assert_false(out.failed);
	}
	/* And what shrinks works afterwards. */
	assert_int_equal(deflate_message(deflater, 15, SIO_LIT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), &out), SIO_OK);
	buf_fini(&out);
}

static void test_over_the_limit_is_not_compressed(void **state)
{
	char *zeros = calloc(1, DEFLATE_MAX_BYTES + 1);
	struct buf out = { 0 };

	(void)state;
	assert_int_equal(deflate_message(deflater, 15, sio_bytes(zeros, DEFLATE_MAX_BYTES), &out), SIO_OK);
	assert_int_equal(deflate_message(deflater, 15, sio_bytes(zeros, DEFLATE_MAX_BYTES + 1), &out), SIO_ERR_LIMIT);
	assert_int_equal(deflate_body(deflater, DEFLATE_GZIP, sio_bytes(zeros, DEFLATE_MAX_BYTES), &out), SIO_OK);
	assert_int_equal(deflate_body(deflater, DEFLATE_GZIP, sio_bytes(zeros, DEFLATE_MAX_BYTES + 1), &out), SIO_ERR_LIMIT);
	buf_fini(&out);
	free(zeros);
}

static void test_bodies(void **state)
{
	static char plain[100000];
	struct buf out = { 0 };

	(void)state;
	fill(plain, sizeof(plain));
	memset(plain, 'a', 100);
	for (unsigned k = 1; k < SIZES; k++) {
		buf_clear(&out);
		assert_int_equal(deflate_body(deflater, DEFLATE_GZIP, sio_bytes(plain, sizes[k]), &out), SIO_OK);
		assert_true(out.n < sizes[k]);
		judge(16 + 15, out.p, out.n, true, plain, sizes[k]); /* checks sum and length */
		buf_clear(&out);
		assert_int_equal(deflate_body(deflater, DEFLATE_ZLIB, sio_bytes(plain, sizes[k]), &out), SIO_OK);
		assert_true(out.n < sizes[k]);
		judge(15, out.p, out.n, true, plain, sizes[k]);
	}
	buf_fini(&out);
}

/* ---- inflating ----------------------------------------------------------------------- */

#define WIRE(text) (text), sizeof(text) - 1

static void test_examples_of_the_rfc(void **state)
{
	static const struct {
		const char *name, *wire;
		size_t n;
		const char *want;
	} rows[] = {
		{ "7.2.3.1: one block", WIRE("\xf2\x48\xcd\xc9\xc9\x07\x00"), "Hello" },
		{ "7.2.3.3: no compression", WIRE("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), "Hello" },
		{ "7.2.3.4: BFINAL", WIRE("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), "Hello" },
		{ "7.2.3.5: two blocks", WIRE("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), "Hello" },
		{ "an empty message", WIRE("\x00"), "" },
		{ "an empty message of two empty blocks", WIRE("\x00\x00\x00\xff\xff\x00"), "" },
		{ "no payload at all", WIRE(""), "" },
		{ "an empty fixed block before", WIRE("\x02\x00"), "" },
		{ "BFINAL and nothing in it", WIRE("\x03\x00\x00"), "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect_message(rows[i].name, rows[i].wire, rows[i].n, rows[i].want, strlen(rows[i].want));
}

static void test_what_is_refused(void **state)
{
	static const struct {
		const char *name, *wire;
		size_t n;
	} rows[] = {
		{ "block type 3", WIRE("\x07\x00") },
		{ "block type 3 alone", WIRE("\xff\xff\xff\xff") },
		{ "text", WIRE("Hello, World") },
		{ "a stored block whose lengths differ", WIRE("\x00\x05\x00\x00\x00Hello\x00") },
		{ "a distance before the beginning", WIRE("\x4b\x04\x12\x00\x00") },
		{ "no tail: the last byte is missing", WIRE("\xf2\x48\xcd\xc9\xc9\x07") },
		{ "no tail: half of it is missing", WIRE("\xf2\x48\xcd") },
		{ "no tail: a stored block is cut off", WIRE("\x00\x05\x00\xfa\xff\x48\x65") },
		{ "the tail was left on", WIRE("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff") },
		{ "BFINAL without the empty block behind it", WIRE("\xf3\x48\xcd\xc9\xc9\x07\x00") },
		{ "BFINAL in the middle", WIRE("\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00") },
		{ "BFINAL, and garbage", WIRE("\xf3\x48\xcd\xc9\xc9\x07\x00\x01") },
		{ "BFINAL, and two empty blocks", WIRE("\xf3\x48\xcd\xc9\xc9\x07\x00\x00\x00\x00\xff\xff\x00") },
		{ "a gzip member", WIRE("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xf3\x48\xcd\xc9\xc9\x07\x00\x82\x89\xd1\xf7\x05\x00\x00\x00") },
		{ "a zlib stream", WIRE("\x78\x9c\xf3\x48\xcd\xc9\xc9\x07\x00\x05\x8c\x01\xf5") },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect_error(rows[i].name, rows[i].wire, rows[i].n, PLENTY, SIO_ERR_PROTO);
	expect_message("and then a good one", "\xf2\x48\xcd\xc9\xc9\x07\x00", 7, "Hello", 5);
}

/* Every end of a good message but its own is refused, as is every single bit of noise that
 * makes it another text: noise must never crash, and never give more than the limit. */
static void test_cut_and_noisy(void **state)
{
	static char plain[700];
	struct buf good = { 0 };
	char *out;
	size_t out_n;

	(void)state;
	fill(plain, sizeof(plain));
	assert_int_equal(deflate_message(deflater, 15, sio_bytes(plain, sizeof(plain)), &good), SIO_OK);
	for (size_t n = 1; n < good.n; n++)
		assert_int_equal(inflate_pieces(good.p, n, n, PLENTY, &out, &out_n), SIO_ERR_PROTO);
	for (size_t bit = 0; bit < good.n * 8; bit++) {
		good.p[bit / 8] = (char)(good.p[bit / 8] ^ 1 << bit % 8);
		int whole = inflate_pieces(good.p, good.n, good.n, 1000, &out, &out_n);
		assert_true(whole == SIO_OK ? out_n <= 1000 : whole == SIO_ERR_PROTO || whole == SIO_ERR_LIMIT);
		assert_int_equal(inflate_pieces(good.p, good.n, 1, 1000, &out, &out_n), whole);
		good.p[bit / 8] = (char)(good.p[bit / 8] ^ 1 << bit % 8);
	}
	buf_fini(&good);
}

static void test_exactly_the_limit_passes(void **state)
{
	static char plain[5000];
	struct buf wire = { 0 };
	char *out;
	size_t out_n;

	(void)state;
	fill(plain, sizeof(plain));
	for (size_t n = 200; n <= sizeof(plain); n += 97) {
		buf_clear(&wire);
		assert_int_equal(deflate_message(deflater, 15, sio_bytes(plain, n), &wire), SIO_OK);
		for (size_t step = 1; step <= wire.n; step += wire.n - 1) {
			assert_int_equal(inflate_pieces(wire.p, wire.n, step, n, &out, &out_n), SIO_OK);
			assert_int_equal(out_n, n);
			assert_int_equal(inflate_pieces(wire.p, wire.n, step, n - 1, &out, &out_n), SIO_ERR_LIMIT);
		}
	}
	assert_int_equal(inflate_pieces("\x00", 1, 1, 0, &out, &out_n), SIO_OK);
	assert_int_equal(inflate_pieces("\xf2\x48\xcd\xc9\xc9\x07\x00", 7, 7, 0, &out, &out_n), SIO_ERR_LIMIT);
	buf_fini(&wire);
}

/* Four megabytes that become four gigabytes: over at the limit, with no more memory than
 * the limit needs (were there more, ASan's allocator or the time-out would tell). */
static void test_bomb(void **state)
{
	z_stream z = { 0 };
	static unsigned char zeros[1 << 20];
	struct buf bomb = { 0 };
	size_t fed = 0;
	int err;

	(void)state;
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
	for (int i = 0; i < 256; i++) {
		assert_true(buf_reserve(&bomb, sizeof(zeros)));
		z.next_in = zeros;
		z.avail_in = sizeof(zeros);
		z.next_out = (unsigned char *)bomb.p + bomb.n;
		z.avail_out = sizeof(zeros);
		assert_int_equal(deflate(&z, i < 255 ? Z_NO_FLUSH : Z_SYNC_FLUSH), Z_OK);
		bomb.n += sizeof(zeros) - z.avail_out;
	}
	deflateEnd(&z);
	assert_true(bomb.n < 300000); /* 256 MiB of zeros */
	assert_int_equal(inflate_begin(inflater, 1000000), SIO_OK);
	do {
		size_t n = bomb.n - fed < 10 ? bomb.n - fed : 10;
		err = inflate_feed(inflater, bomb.p + fed, n);
		fed += n;
	} while (err == SIO_OK && fed < bomb.n);
	assert_int_equal(err, SIO_ERR_LIMIT);
	assert_true(fed < 1200); /* about a thousandth of a million, and not a byte more than one piece */
	buf_fini(&bomb);
}

static void test_relax_gives_back(void **state)
{
	char *out;
	size_t out_n;
	char *big = calloc(1, 1 << 20);
	struct buf wire = { 0 };

	(void)state;
	assert_int_equal(deflate_message(deflater, 15, sio_bytes(big, 1 << 20), &wire), SIO_OK);
	assert_int_equal(inflate_pieces(wire.p, wire.n, wire.n, PLENTY, &out, &out_n), SIO_OK);
	assert_int_equal(out_n, 1 << 20);
	inflater_relax(inflater);
	assert_true(buf_reserve(deflater_scratch(deflater), 1 << 20));
	deflater_relax(deflater);
	assert_null(deflater_scratch(deflater)->p);
	expect_message("afterwards", "\xf2\x48\xcd\xc9\xc9\x07\x00", 7, "Hello", 5);
	buf_fini(&wire);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_of_every_window),
		cmocka_unit_test(test_no_context),
		cmocka_unit_test(test_what_does_not_shrink),
		cmocka_unit_test(test_over_the_limit_is_not_compressed),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_examples_of_the_rfc),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_cut_and_noisy),
		cmocka_unit_test(test_exactly_the_limit_passes),
		cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_relax_gives_back),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
