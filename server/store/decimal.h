/* decimal.h -- exact decimal numbers for quantities and money.
 *
 * At most DECIMAL_INT_DIGITS digits before the point and DECIMAL_FRAC_DIGITS
 * behind it; a product has twice as many.  No binary floating point, no rounding:
 * what does not fit is refused.  The canonical text has no needless zero, no
 * exponent and no "-0", so equal numbers have equal texts; it is a JSON number.
 * Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef STORE_DECIMAL_H
#define STORE_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/error.h>
#include <sio/slice.h>

enum {
	DECIMAL_INT_DIGITS = 18,
	DECIMAL_FRAC_DIGITS = 6,
	DECIMAL_TEXT_MAX = 2 * (DECIMAL_INT_DIGITS + DECIMAL_FRAC_DIGITS) + 4, /* sign, point, "0", NUL */
	DECIMAL_INPUT_MAX = 64, /* bytes of a text that is looked at */
};

/* |value| * 10^6 == high * 10^12 + low; high, low < 10^12; zero is not negative. */
struct decimal {
	uint64_t high, low;
	bool is_negative;
};

/* Read a JSON number ("-12.50", "1e3").  Returns 0, SIO_ERR_INVAL (no number) or
 * SIO_ERR_LIMIT (more digits than fit). */
SIO_MUST_CHECK int decimal_parse(sio_slice text, struct decimal *out);

/* Canonical text, NUL-terminated.  Returns its length. */
size_t decimal_format(const struct decimal *value, char out[DECIMAL_TEXT_MAX]);

/* Canonical text of a * b, exact. */
size_t decimal_product(const struct decimal *a, const struct decimal *b, char out[DECIMAL_TEXT_MAX]);

#endif
