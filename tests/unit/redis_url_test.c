/* redis_url_test.c -- what an URL of Redis may be, and what is said of one that is not.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "redis/url.h"

/* "host port db user password shown", or a part of the error behind "!". */
static const struct {
	const char *text, *want;
} urls[] = {
	{ "redis://localhost:6379/0", "localhost 6379 0 - - redis://localhost:6379/0" },
	{ "valkey://h", "h 6379 0 - - redis://h:6379/0" },
	{ "redis://", "localhost 6379 0 - - redis://localhost:6379/0" },
	{ "redis://h:1/", "h 1 0 - - redis://h:1/0" },
	{ "redis://10.0.0.1:65535/15", "10.0.0.1 65535 15 - - redis://10.0.0.1:65535/15" },
	{ "redis://[::1]:7000/2", "::1 7000 2 - - redis://[::1]:7000/2" },
	{ "redis://[fe80::1]", "fe80::1 6379 0 - - redis://[fe80::1]:6379/0" },
	{ "redis://:geheim@h/1", "h 6379 1 - geheim redis://h:6379/1" },
	{ "redis://u:p@h", "h 6379 0 u p redis://h:6379/0" },
	{ "redis://u:p%40%2F%25x@h", "h 6379 0 u p@/%x redis://h:6379/0" },
	{ "redis://u:a@b:c@h", "h 6379 0 u a@b:c redis://h:6379/0" },
	{ "unix:///run/redis.sock", "/run/redis.sock 6379 0 - - unix:///run/redis.sock" },
	{ "unix://u:p@/run/r.sock?db=7", "/run/r.sock 6379 7 u p unix:///run/r.sock?db=7" },
	{ "rediss://h", "!knows no TLS" },
	{ "valkeys://h", "!knows no TLS" },
	{ "redis+sentinel://h:26379/mymaster", "!Sentinel is not asked" },
	{ "http://h", "!is expected" },
	{ "redis://h:0", "!host or port" },
	{ "redis://h:65536", "!host or port" },
	{ "redis://h:1x", "!host or port" },
	{ "redis://[::1", "!host or port" },
	{ "redis://h/a", "!must be a number" },
	{ "redis://h/65536", "!must be a number" },
	{ "redis://h/1/2", "!must be a number" },
	{ "redis://u@h", "!user without a password" },
	{ "redis://u:%4@h", "!bad %XX" },
	{ "redis://u:%zz@h", "!bad %XX" },
	{ "redis://u:%00@h", "!bad %XX" },
	{ "unix://relative", "!must be absolute" },
	{ "unix://", "!must be absolute" },
	{ "unix:///s?db=", "!only ?db=number" },
	{ "unix:///s?timeout=1", "!only ?db=number" },
};

static void urls_are_read(void **state)
{
	char got[2048], error[SIO_REDIS_ERROR_MAX];
	struct redis_url u;

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		int err = redis_url_read(urls[i].text, &u, error);
		if (urls[i].want[0] == '!') {
			assert_int_equal(err, SIO_ERR_INVAL);
			if (!strstr(error, urls[i].want + 1))
				fail_msg("%s: %s", urls[i].text, error);
			assert_null(strstr(error, "geheim"));
			continue;
		}
		assert_int_equal(err, SIO_OK);
		snprintf(got, sizeof(got), "%s %u %u %s %s %s", u.path[0] ? u.path : u.host, u.port, u.db, u.user[0] ? u.user : "-",
			 u.has_password ? u.password : "-", u.shown);
		assert_string_equal(got, urls[i].want);
	}
}

static void too_long_ones(void **state)
{
	char text[2000] = "redis://", error[SIO_REDIS_ERROR_MAX];
	struct redis_url u;

	(void)state;
	memset(text + 8, 'h', 300);
	assert_int_equal(redis_url_read(text, &u, error), SIO_ERR_INVAL);
	snprintf(text, sizeof(text), "redis://u:%01000d@h", 0);
	assert_int_equal(redis_url_read(text, &u, error), SIO_ERR_INVAL);
	snprintf(text, sizeof(text), "unix:///%0200d", 0);
	assert_int_equal(redis_url_read(text, &u, error), SIO_ERR_INVAL);
}

static const struct {
	const char *from, *answer, *want; /* NULL: it is none */
} moves[] = {
	{ "redis://u:p@a:1", "MOVED 3999 127.0.0.1:6381", "redis://127.0.0.1:6381/0" },
	{ "redis://a:1", "MOVED 3999 ::1:6381", "redis://[::1]:6381/0" },
	{ "redis://a:1", "MOVED 3999 :6381", "redis://a:6381/0" },
	{ "redis://a:1", "MOVED 3999 ?:6381", "redis://a:6381/0" },
	{ "unix:///s", "MOVED 3999 b:6381", "redis://b:6381/0" },
	{ "unix:///s", "MOVED 3999 :6381", NULL },
	{ "redis://a:1", "MOVED 3999", NULL },
	{ "redis://a:1", "MOVED 3999 b", NULL },
	{ "redis://a:1", "MOVED 3999 b:0", NULL },
	{ "redis://a:1", "MOVED 3999 b:x", NULL },
	{ "redis://a:1", "ASK 3999 b:1", NULL },
};

static void moves_are_read(void **state)
{
	char error[SIO_REDIS_ERROR_MAX];
	struct redis_url u;

	(void)state;
	for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
		assert_int_equal(redis_url_read(moves[i].from, &u, error), SIO_OK);
		assert_int_equal(redis_url_move(&u, moves[i].answer), moves[i].want != NULL);
		if (moves[i].want)
			assert_string_equal(u.shown, moves[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_are_read),
		cmocka_unit_test(too_long_ones),
		cmocka_unit_test(moves_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
