/* hub_ring_test.c -- the history in memory against a plain model that forgets nothing.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sio/history.h>

#include "base/buf.h"
#include "lib/fake_engine.h"

static const struct sio_history_ops *ops;
static void *ring;
static struct buf got;

static int teardown(void **state)
{
	(void)state;
	ops->close(ring);
	buf_fini(&got);
	return 0;
}

static void open_ring(size_t bytes, uint32_t sessions_n)
{
	assert_int_equal(sio_history_ring(bytes, sessions_n, 1000, &ops, &ring), SIO_OK);
}

/* Append an event of that text to room (NULL: everybody); its offset. */
static void append(const char *room, const char *except, const char *skip, const char *text, char offset[SIO_OFFSET_MAX])
{
	sio_slice rooms[] = { sio_str(room) }, excepts[] = { sio_str(except) }, attachment = SIO_LIT("\0\1");
	struct sio_history_event e = {
		.nsp = SIO_LIT("/"),
		.rooms = rooms,
		.rooms_n = room != NULL,
		.except = excepts,
		.except_n = except != NULL,
		.skip = sio_str(skip),
		.packet = sio_str(text),
		.attachments = &attachment,
		.attachments_n = text[0] == 'b',
	};

	ops->next(ring, offset);
	ops->append(ring, &e, 0);
}

static const sio_slice in_r = { "r", 1 };

static struct sio_history_session session(const char *since)
{
	return (struct sio_history_session){
		.pid = SIO_LIT("pid-pid-pid-pid-pid-"),
		.sid = SIO_LIT("sid-sid-sid-sid-sid-"),
		.nsp = SIO_LIT("/"),
		.offset = sio_str(since),
		.identity = SIO_LIT("anna"),
		.rooms = &in_r,
		.rooms_n = 1,
	};
}

static void on_missed(sio_slice packet, const sio_slice *attachments, unsigned n, void *arg)
{
	(void)arg;
	buf_slice(&got, packet);
	for (unsigned i = 0; i < n; i++)
		buf_printf(&got, "+%zu", attachments[i].n);
	buf_byte(&got, ' ');
}

static void on_done(int status, void *arg)
{
	(void)arg;
	buf_printf(&got, "done %d", status);
}

static void on_found(const struct sio_history_session *s, void *arg)
{
	const char *seen = arg;

	buf_clear(&got);
	if (!s)
		buf_str(&got, "nothing");
	else
		ops->replay(ring, s, sio_str(seen), on_missed, on_done, NULL);
}

static void expect_replay(const char *seen, uint64_t now_ms, const char *want)
{
	ops->take(ring, SIO_LIT("pid-pid-pid-pid-pid-"), sio_str(seen), now_ms, on_found, (void *)(uintptr_t)seen);
	if (!sio_slice_eq(buf_peek(&got), sio_str(want)))
		fail_msg("got: %.*s\nwant: %s", (int)got.n, got.p, want);
}

static void leave(const char *since, uint64_t now_ms)
{
	struct sio_history_session s = session(since);

	ops->left(ring, &s, now_ms);
}

static void test_who_gets_what(void **state)
{
	char a[SIO_OFFSET_MAX], b[SIO_OFFSET_MAX];

	(void)state;
	open_ring(4096, 10);
	ops->newest(ring, a);
	append("r", NULL, NULL, "1", b);
	append("other", NULL, NULL, "2", b);
	append(NULL, NULL, NULL, "3", b);
	append(NULL, "r", NULL, "4", b);
	append("r", NULL, "sid-sid-sid-sid-sid-", "5", b);
	append("sid-sid-sid-sid-sid-", NULL, NULL, "6", b);
	append("r", "sid-sid-sid-sid-sid-", NULL, "7", b);
	append("r", "other", "some", "b8", b);
	leave(a, 0);
	expect_replay("", 10, "1 3 6 b8+2 done 0");
	expect_replay("", 10, "nothing"); /* once */
	leave(a, 20);
	expect_replay(b, 30, "done 0");
	ops->next(ring, b); /* not sent yet */
	leave(a, 40);
	expect_replay(b, 50, "nothing");
}

static void test_offsets_of_others(void **state)
{
	static const char *const bad[] = { "x", "../../etc", "AAAAAA.1", "AAAAAA.", ".1", "1", "999999999999999999999999999999" };
	char a[SIO_OFFSET_MAX], text[SIO_OFFSET_MAX + 8];

	(void)state;
	open_ring(4096, 10);
	append("r", NULL, NULL, "1", a);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		leave(a, 0);
		expect_replay(bad[i], 1, "nothing");
	}
	snprintf(text, sizeof(text), "%.7s99999999999999999999", a); /* ours in front, too large */
	expect_replay(text, 1, "nothing");
	snprintf(text, sizeof(text), "%.7s1x", a);
	expect_replay(text, 1, "nothing");
	expect_replay(a, 1, "done 0");
}

static void test_sessions_end(void **state)
{
	char a[SIO_OFFSET_MAX];

	(void)state;
	open_ring(4096, 2);
	append("r", NULL, NULL, "1", a);
	leave(a, 0);
	expect_replay(a, 1000, "nothing"); /* the window has passed */
	leave(a, 1000);
	for (int i = 0; i < 2; i++) { /* two others take its place */
		struct sio_history_session s = session(a);
		s.pid = i ? SIO_LIT("pid-1") : SIO_LIT("pid-0");
		ops->left(ring, &s, 1001);
	}
	expect_replay(a, 1002, "nothing");
	leave(a, 1002);
	leave(a, 1003); /* again: the newer one counts */
	expect_replay(a, 2002, "done 0");
}

static void test_too_large(void **state)
{
	char a[SIO_OFFSET_MAX], b[SIO_OFFSET_MAX], big[600];

	(void)state;
	open_ring(512, 10);
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	append("r", NULL, NULL, "1", a);
	append("r", NULL, NULL, big, b); /* is not kept: what lies before it is of no use */
	leave(a, 0);
	expect_replay(a, 1, "nothing");
	leave(a, 0);
	expect_replay(b, 1, "done 0");
	append("r", NULL, NULL, "3", a);
	leave(a, 0);
	expect_replay(b, 1, "3 done 0");
}

/* Random sizes: whatever is kept is the newest, in order and whole; what is not says so. */
static void test_against_a_model(void **state)
{
	enum { N = 4000 };
	static char offsets[N][SIO_OFFSET_MAX];
	uint64_t seed = fake_seed();
	char text[400];

	(void)state;
	open_ring(2000 + fake_random(&seed, 3000), 10);
	for (int i = 0; i < N; i++) {
		int from = i - (int)fake_random(&seed, 60), n = snprintf(text, sizeof(text), "%d:", i);
		unsigned more = fake_random(&seed, 10) ? fake_random(&seed, 40) : fake_random(&seed, 300);
		memset(text + n, 'x', more);
		text[n + (int)more] = '\0';
		append("r", NULL, NULL, text, offsets[i]);
		leave(offsets[i], 0);
		if (from < 0)
			from = 0;
		ops->take(ring, SIO_LIT("pid-pid-pid-pid-pid-"), sio_str(offsets[from]), 1, on_found, offsets[from]);
		if (sio_slice_eq(buf_peek(&got), SIO_LIT("nothing"))) {
			assert_true(i - from > 3); /* the newest few always fit */
			continue;
		}
		/* The numbers from + 1 .. i, in order. */
		buf_byte(&got, '\0');
		const char *at = got.p;
		for (int k = from + 1; k <= i; k++) {
			char number[16];
			snprintf(number, sizeof(number), "%d:", k);
			assert_int_equal(strncmp(at, number, strlen(number)), 0);
			at = strchr(at, ' ') + 1;
		}
		assert_string_equal(at, "done 0");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_who_gets_what, teardown),
		cmocka_unit_test_teardown(test_offsets_of_others, teardown),
		cmocka_unit_test_teardown(test_sessions_end, teardown),
		cmocka_unit_test_teardown(test_too_large, teardown),
		cmocka_unit_test_teardown(test_against_a_model, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
