/* decimal.c -- see decimal.h.  Knows digits and nothing else.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "store/decimal.h"

#define LIMB 1000000000000ULL /* 10^12: two limbs hold a number, four a product */
enum { LIMB_DIGITS = 12, SCALED_DIGITS = 2 * LIMB_DIGITS };

__extension__ typedef unsigned __int128 u128;

_Static_assert(DECIMAL_INT_DIGITS + DECIMAL_FRAC_DIGITS == SCALED_DIGITS, "a number fills two limbs");
_Static_assert(2 * DECIMAL_FRAC_DIGITS == LIMB_DIGITS, "the fraction of a product fills one limb");

/* The digits of a number as they stand, and where its point is:
 * value = 0.d0d1d2.. * 10^point.  No zero at either end. */
struct digits {
	char d[DECIMAL_INPUT_MAX];
	int n, point;
	bool is_negative;
};

static bool is_digit(const char *p, const char *end)
{
	return p < end && *p >= '0' && *p <= '9';
}

/* Append the digits at p; returns what is behind them. */
static const char *take_digits(struct digits *to, const char *p, const char *end)
{
	while (is_digit(p, end))
		to->d[to->n++] = *p++;
	return p;
}

/* "e+12" at p.  Returns the end, or NULL when no digit follows. */
static const char *take_exponent(const char *p, const char *end, int *exponent)
{
	bool is_negative = false;
	int e = 0;

	if (p < end && (*p == '+' || *p == '-'))
		is_negative = *p++ == '-';
	if (!is_digit(p, end))
		return NULL;
	for (; is_digit(p, end); p++)
		e = e < 10000 ? e * 10 + (*p - '0') : e; /* far beyond what fits, no overflow */
	*exponent = is_negative ? -e : e;
	return p;
}

/* The grammar of a JSON number. */
static int read_number(sio_slice text, struct digits *to)
{
	const char *p = text.p, *end = p + text.n;
	int exponent = 0;

	if (p < end && *p == '-')
		to->is_negative = *p++ == '-';
	if (!is_digit(p, end) || (*p == '0' && is_digit(p + 1, end)))
		return SIO_ERR_INVAL;
	p = take_digits(to, p, end);
	to->point = to->n;
	if (p < end && *p == '.') {
		if (!is_digit(++p, end))
			return SIO_ERR_INVAL;
		p = take_digits(to, p, end);
	}
	if (p < end && (*p == 'e' || *p == 'E'))
		p = take_exponent(p + 1, end, &exponent);
	if (p != end)
		return SIO_ERR_INVAL;
	to->point += exponent;
	return SIO_OK;
}

static void trim_zeros(struct digits *v)
{
	int lead = 0;

	while (v->n > 0 && v->d[v->n - 1] == '0')
		v->n--;
	while (lead < v->n && v->d[lead] == '0')
		lead++;
	memmove(v->d, v->d + lead, (size_t)(v->n - lead));
	v->n -= lead;
	v->point -= lead;
}

int decimal_parse(sio_slice text, struct decimal *out)
{
	struct digits v = { .n = 0 };
	int r;

	*out = (struct decimal){ 0 };
	if (text.n > DECIMAL_INPUT_MAX)
		return SIO_ERR_LIMIT;
	r = read_number(text, &v);
	if (r < 0)
		return r;
	trim_zeros(&v);
	if (v.n == 0)
		return SIO_OK;
	if (v.point > DECIMAL_INT_DIGITS || v.n - v.point > DECIMAL_FRAC_DIGITS)
		return SIO_ERR_LIMIT;
	/* Lay the digits on the grid of SCALED_DIGITS places. */
	for (int place = 0; place < SCALED_DIGITS; place++) {
		int i = place - (DECIMAL_INT_DIGITS - v.point);
		uint64_t digit = i >= 0 && i < v.n ? (uint64_t)(v.d[i] - '0') : 0;
		uint64_t *limb = place < LIMB_DIGITS ? &out->high : &out->low;
		*limb = *limb * 10 + digit;
	}
	out->is_negative = v.is_negative;
	return SIO_OK;
}

/* Write limbs (greatest first) with frac digits behind the point, without needless zeros. */
static size_t format(const uint64_t *limbs, int limbs_n, int frac, bool is_negative, char out[DECIMAL_TEXT_MAX])
{
	char grid[4 * LIMB_DIGITS];
	int places = limbs_n * LIMB_DIGITS, first = 0, last = places;
	size_t n = 0;

	for (int i = 0; i < limbs_n; i++) {
		uint64_t limb = limbs[i];
		for (int k = LIMB_DIGITS - 1; k >= 0; k--, limb /= 10)
			grid[i * LIMB_DIGITS + k] = (char)('0' + limb % 10);
	}
	while (first < places - frac - 1 && grid[first] == '0')
		first++;
	while (last > places - frac && grid[last - 1] == '0')
		last--;
	if (is_negative)
		out[n++] = '-';
	for (int i = first; i < last; i++) {
		if (i == places - frac)
			out[n++] = '.';
		out[n++] = grid[i];
	}
	out[n] = '\0';
	return n;
}

size_t decimal_format(const struct decimal *value, char out[DECIMAL_TEXT_MAX])
{
	uint64_t limbs[2] = { value->high, value->low };

	return format(limbs, 2, DECIMAL_FRAC_DIGITS, value->is_negative, out);
}

size_t decimal_product(const struct decimal *a, const struct decimal *b, char out[DECIMAL_TEXT_MAX])
{
	u128 low = (u128)a->low * b->low;
	u128 middle = (u128)a->high * b->low + (u128)a->low * b->high + low / LIMB;
	u128 high = (u128)a->high * b->high + middle / LIMB;
	uint64_t limbs[4] = { (uint64_t)(high / LIMB), (uint64_t)(high % LIMB), (uint64_t)(middle % LIMB),
			      (uint64_t)(low % LIMB) };
	bool is_zero = (limbs[0] | limbs[1] | limbs[2] | limbs[3]) == 0;

	return format(limbs, 4, 2 * DECIMAL_FRAC_DIGITS, !is_zero && a->is_negative != b->is_negative, out);
}
