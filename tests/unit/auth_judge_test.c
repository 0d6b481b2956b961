/* auth_judge_test.c -- tokens that wait for their key: bounds, time, the end.  Server, timers, verifier and
 * issuer are this test's: the linker takes none of the real ones.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sio/server.h>

#include "auth/issuer.h"
#include "auth/judge.h"
#include "auth/jwks.h"
#include "auth/keys.h"
#include "base/wheel.h"

static struct wheel wheel;
static uint64_t now;
static struct judge *judge;
static struct {
	sio_post_fn *fn;
	void *arg;
} posts[4];
static unsigned posts_n, called_n;
static sio_post_fn *on_news;
static bool posts_fail, may_come, has_set, wait_again;
static uint64_t fetches_n;
static unsigned taken_n;
static struct keys *const set = (struct keys *)(void *)&wheel; /* never looked into */

uint64_t sio_server_now_ms(const struct sio_server *server)
{
	(void)server;
	return now;
}

int sio_server_post(struct sio_server *server, sio_post_fn *fn, void *arg)
{
	(void)server;
	if (posts_fail)
		return SIO_ERR_BUSY;
	posts[posts_n].fn = fn;
	posts[posts_n++].arg = arg;
	return 0;
}

void sio_timer_start(struct sio_server *server, struct sio_timer *timer, uint32_t ms, void (*fn)(struct sio_timer *timer))
{
	(void)server;
	wheel_set(&wheel, timer, now + ms, fn);
}

void sio_timer_stop(struct sio_timer *timer)
{
	wheel_del(timer);
}

int issuer_join(struct issuer *issuer, struct sio_server *server, sio_post_fn *fn, void *arg)
{
	(void)issuer, (void)server, (void)arg;
	on_news = fn;
	return 0;
}

struct keys *issuer_keys(struct issuer *issuer, uint64_t *n)
{
	(void)issuer;
	*n = fetches_n;
	return has_set ? set : NULL;
}

bool issuer_ask(struct issuer *issuer, uint64_t n)
{
	(void)issuer;
	return n != fetches_n || may_come;
}

void keys_unref(struct keys *keys)
{
	assert_true(!keys || keys == set);
}

void token_verifier_set_keys(struct token_verifier *verifier, struct keys *keys)
{
	(void)verifier;
	taken_n += keys != NULL;
}

enum token_status token_verify(struct token_verifier *verifier, sio_slice token, int64_t now_s, struct token_claims *out)
{
	(void)verifier, (void)token, (void)now_s, (void)out;
	return TOKEN_KEY_UNKNOWN;
}

/* ---- what tests say ---------------------------------------------------------------------- */

static void on_key(struct judge_wait *wait)
{
	called_n++;
	if (wait_again)
		(void)!judge_await(judge, wait, on_key);
}

static enum token_status await(struct judge_wait *wait)
{
	*wait = (struct judge_wait){ .next = NULL };
	return judge_await(judge, wait, on_key);
}

static void turn(void)
{
	unsigned n = posts_n;

	for (unsigned i = 0; i < n; i++)
		posts[i].fn(posts[i].arg);
	posts_n -= n;
	for (unsigned i = 0; i < posts_n; i++)
		posts[i] = posts[n + i];
}

static void pass(uint64_t ms)
{
	now += ms;
	wheel_run(&wheel, now);
}

static void fetch_ends(bool is_good)
{
	fetches_n++;
	has_set |= is_good;
	on_news(judge);
}

static int setup(void **state)
{
	(void)state;
	now = 1000;
	wheel_init(&wheel, now);
	posts_n = called_n = taken_n = 0;
	posts_fail = has_set = wait_again = false;
	may_come = true;
	fetches_n = 0;
	return judge_new(NULL, NULL, (struct issuer *)(void *)&wheel, &judge);
}

static int teardown(void **state)
{
	(void)state;
	judge_free(judge);
	return 0;
}

/* ---- tests --------------------------------------------------------------------------------- */

static void test_verdicts(void **state)
{
	static struct judge_wait wait;

	(void)state;
	may_come = false;
	assert_int_equal(await(&wait), TOKEN_UNAVAILABLE); /* there were no keys ever */
	fetch_ends(true);
	assert_int_equal(taken_n, 1);
	assert_int_equal(await(&wait), TOKEN_INVALID);
	fetches_n++; /* one has ended of which the news is on its way */
	assert_int_equal(await(&wait), TOKEN_WAITING);
	on_news(judge);
	assert_int_equal(called_n, 1);
	judge_end(judge);
	may_come = true;
	assert_int_equal(await(&wait), TOKEN_UNAVAILABLE);
}

static void test_time(void **state)
{
	static struct judge_wait wait;

	(void)state;
	fetch_ends(true);
	assert_int_equal(await(&wait), TOKEN_WAITING);
	pass(JWKS_WAIT_MS - 100);
	assert_int_equal(called_n, 0);
	/* Called by news, it waits again: its time goes on. */
	wait_again = true;
	fetch_ends(false);
	assert_int_equal(called_n, 1);
	pass(200);
	assert_int_equal(called_n, 2);
	wait_again = false;
	assert_int_equal(judge_await(judge, &wait, on_key), TOKEN_INVALID);
	pass(2 * JWKS_WAIT_MS);
	fetch_ends(true);
	assert_int_equal(called_n, 2);
}

/* Many: a bounded number, and of these some in each turn, each once. */
static void test_many(void **state)
{
	static struct judge_wait waits[JUDGE_WAITS_MAX + 1];
	unsigned turns = 0;

	(void)state;
	fetch_ends(true);
	for (unsigned i = 0; i < JUDGE_WAITS_MAX; i++)
		assert_int_equal(await(&waits[i]), TOKEN_WAITING);
	assert_int_equal(await(&waits[JUDGE_WAITS_MAX]), TOKEN_UNAVAILABLE);
	fetch_ends(true);
	assert_int_equal(called_n, JUDGE_TURN_MAX);
	/* Those who come now wait for the next fetch. */
	assert_int_equal(await(&waits[JUDGE_WAITS_MAX]), TOKEN_WAITING);
	for (; posts_n > 0; turns++) {
		assert_int_equal(posts_n, 1);
		turn();
	}
	assert_int_equal(turns, (JUDGE_WAITS_MAX - 1) / JUDGE_TURN_MAX);
	assert_int_equal(called_n, JUDGE_WAITS_MAX);
	fetch_ends(true);
	assert_int_equal(called_n, JUDGE_WAITS_MAX + 1);
}

/* A loop with too much to do: who waits is called by time. */
static void test_posts_that_fail(void **state)
{
	static struct judge_wait waits[2 * JUDGE_TURN_MAX];

	(void)state;
	fetch_ends(true);
	for (unsigned i = 0; i < 2 * JUDGE_TURN_MAX; i++)
		assert_int_equal(await(&waits[i]), TOKEN_WAITING);
	posts_fail = true;
	fetch_ends(true);
	assert_int_equal(called_n, JUDGE_TURN_MAX);
	pass(JWKS_WAIT_MS + 100);
	assert_int_equal(called_n, 2 * JUDGE_TURN_MAX);
}

static void test_end(void **state)
{
	static struct judge_wait waits[3 * JUDGE_TURN_MAX];

	(void)state;
	fetch_ends(true);
	for (unsigned i = 0; i < 2 * JUDGE_TURN_MAX; i++)
		assert_int_equal(await(&waits[i]), TOKEN_WAITING);
	fetch_ends(true); /* half of them are called, the others in the next turn */
	for (unsigned i = 2 * JUDGE_TURN_MAX; i < 3 * JUDGE_TURN_MAX; i++)
		assert_int_equal(await(&waits[i]), TOKEN_WAITING);
	wait_again = true; /* in vain */
	judge_end(judge);
	assert_int_equal(called_n, 3 * JUDGE_TURN_MAX);
	turn();
	pass(2 * JWKS_WAIT_MS);
	assert_int_equal(called_n, 3 * JUDGE_TURN_MAX);
}

/* Keys that never change: an unknown one stays unknown. */
static void test_without_issuer(void **state)
{
	static struct judge_wait wait;
	struct judge *alone;

	(void)state;
	assert_int_equal(judge_new(NULL, NULL, NULL, &alone), 0);
	wait = (struct judge_wait){ .next = NULL };
	assert_int_equal(judge_await(alone, &wait, on_key), TOKEN_INVALID);
	judge_free(alone);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_verdicts), T(test_time), T(test_many), T(test_posts_that_fail), T(test_end), T(test_without_issuer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
