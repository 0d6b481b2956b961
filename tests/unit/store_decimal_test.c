/* store_decimal_test.c -- exact decimals: a table, and random numbers against an
 * independent, slow multiplication digit by digit.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "store/decimal.h"

static void parsing(void **state)
{
	static const struct {
		const char *in, *out; /* NULL: no number; "": too many digits */
	} cases[] = {
		{ "0", "0" }, { "-0", "0" }, { "0.000", "0" }, { "-0.0e9", "0" }, { "0e99999999999", "0" }, { "1", "1" },
		{ "150", "150" }, { "45.5", "45.5" }, { "45.50", "45.5" }, { "-12.340", "-12.34" }, { "1e3", "1000" },
		{ "1.5E+2", "150" }, { "1500e-3", "1.5" }, { "0.000001", "0.000001" }, { "100000e-11", "0.000001" },
		{ "999999999999999999.999999", "999999999999999999.999999" }, { "1e17", "100000000000000000" },
		{ "123456789012345678", "123456789012345678" }, { "-999999999999999999", "-999999999999999999" },
		{ "0.0000001", "" }, { "1e18", "" }, { "1234567890123456789", "" }, { "1e999999999999", "" }, { "1e-7", "" },
		{ "0.30000000000000004", "" },
		{ "00000000000000000000000000000000000000000000000000000000000000000", "" }, /* 65 bytes are not looked at */
		{ "", NULL }, { "-", NULL }, { "+1", NULL }, { ".5", NULL }, { "5.", NULL }, { "01", NULL }, { "1e", NULL },
		{ "1e+", NULL }, { "1.2.3", NULL }, { " 1", NULL }, { "1 ", NULL }, { "0x10", NULL }, { "NaN", NULL },
		{ "Infinity", NULL }, { "1,5", NULL }, { "--1", NULL }, { "1-", NULL }, { "٣", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct decimal d;
		char text[DECIMAL_TEXT_MAX];
		size_t n = strlen(cases[i].in);
		char *exact = malloc(n + 1); /* the sanitizer sees a byte too far */
		memcpy(exact, cases[i].in, n);
		int r = decimal_parse(sio_bytes(exact, n), &d);
		free(exact);
		if (r == SIO_OK) {
			size_t length = decimal_format(&d, text);
			assert_int_equal(length, strlen(text));
			if (!cases[i].out)
				fail_msg("'%s' was read as %s", cases[i].in, text);
			assert_string_equal(text, cases[i].out);
		} else if (r != (cases[i].out ? SIO_ERR_LIMIT : SIO_ERR_INVAL) || (cases[i].out && *cases[i].out)) {
			fail_msg("'%s' gave %d", cases[i].in, r);
		}
	}
}

/* ---- the slow way: texts of digits --------------------------------------- */

enum { PLACES = 60 };

/* Digits of a canonical text times 10^6, least first. */
static void slow_digits(const char *text, int out[PLACES])
{
	const char *point = strchr(text, '.');
	int frac = point ? (int)strlen(point + 1) : 0, at = 6 - frac;

	memset(out, 0, PLACES * sizeof(int));
	for (const char *p = text + strlen(text); p-- > text;)
		if (*p >= '0' && *p <= '9')
			out[at++] = *p - '0';
}

static void slow_product(const char *a, const char *b, char *out)
{
	int x[PLACES], y[PLACES], z[2 * PLACES + 1] = { 0 };
	int top, low = 0;

	slow_digits(a, x);
	slow_digits(b, y);
	for (int i = 0; i < PLACES; i++)
		for (int k = 0; k < PLACES; k++)
			z[i + k] += x[i] * y[k];
	for (int i = 0; i < 2 * PLACES; i++) {
		z[i + 1] += z[i] / 10;
		z[i] %= 10;
	}
	for (top = 2 * PLACES; top > 12 && z[top] == 0; top--)
		;
	while (low < 12 && z[low] == 0)
		low++;
	if ((*a == '-') != (*b == '-') && (top > 12 || low < 12 || z[12] != 0))
		*out++ = '-';
	for (int i = top; i >= low; i--) {
		if (i == 11)
			*out++ = '.';
		*out++ = (char)('0' + z[i]);
	}
	*out = '\0';
}

static uint64_t seed;

static unsigned next_random(unsigned below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % below;
}

static void random_text(char *out)
{
	unsigned whole = next_random(19), frac = next_random(7);

	if (next_random(3) == 0)
		*out++ = '-';
	if (whole == 0)
		*out++ = '0';
	for (unsigned i = 0; i < whole; i++)
		*out++ = (char)('0' + (i == 0 ? 1 + next_random(9) : next_random(3) ? next_random(10) : 9));
	if (frac)
		*out++ = '.';
	for (unsigned i = 0; i < frac; i++)
		*out++ = (char)('0' + next_random(10));
	*out = '\0';
}

static void products(void **state)
{
	(void)state;
	seed = (uint64_t)time(NULL);
	printf("seed %llu\n", (unsigned long long)seed);
	for (int i = 0; i < 20000; i++) {
		char a[40], b[40], ca[DECIMAL_TEXT_MAX], cb[DECIMAL_TEXT_MAX], got[DECIMAL_TEXT_MAX], want[160];
		struct decimal x, y, again;
		random_text(a);
		random_text(b);
		assert_int_equal(decimal_parse(sio_str(a), &x), SIO_OK);
		assert_int_equal(decimal_parse(sio_str(b), &y), SIO_OK);
		decimal_format(&x, ca);
		decimal_format(&y, cb);
		assert_int_equal(decimal_parse(sio_str(ca), &again), SIO_OK);
		assert_true(again.high == x.high && again.low == x.low && again.is_negative == x.is_negative);
		decimal_product(&x, &y, got);
		slow_product(ca, cb, want);
		if (strcmp(got, want) != 0)
			fail_msg("%s * %s: got %s, wanted %s", a, b, got, want);
	}
}

static void known_products(void **state)
{
	static const char *const cases[][3] = {
		{ "148.50", "182.40", "27086.4" }, { "0.1", "0.2", "0.02" }, { "-3", "2.5", "-7.5" }, { "-0.000001", "0.000001", "-0.000000000001" },
		{ "0", "-5", "0" }, { "999999999999999999.999999", "999999999999999999.999999",
				      "999999999999999999999998000000000000.000000000001" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct decimal a, b;
		char got[DECIMAL_TEXT_MAX];
		assert_int_equal(decimal_parse(sio_str(cases[i][0]), &a), SIO_OK);
		assert_int_equal(decimal_parse(sio_str(cases[i][1]), &b), SIO_OK);
		decimal_product(&a, &b, got);
		assert_string_equal(got, cases[i][2]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parsing),
		cmocka_unit_test(products),
		cmocka_unit_test(known_products),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
