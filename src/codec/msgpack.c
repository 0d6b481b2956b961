/* msgpack.c -- see msgpack.h.
 *
 * Knows each first byte; what is open is a chain on the stack, at most VALUE_DEPTH_MAX long.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "codec/msgpack.h"

#include <stdio.h>
#include <string.h>

#include "codec/utf8.h"

enum { EXT_TIME = -1, EXT_OLD = 0 };

struct reader {
	const unsigned char *p, *end;
	struct value_store *store;
};

/* ---- bytes ---------------------------------------------------------------------------- */

static bool take(struct reader *r, uint64_t n, sio_slice *out)
{
	if (n > (uint64_t)(r->end - r->p))
		return false;
	*out = sio_bytes(r->p, (size_t)n);
	r->p += n;
	return true;
}

static uint64_t number_of(sio_slice s)
{
	uint64_t v = 0;

	for (size_t i = 0; i < s.n; i++)
		v = v << 8 | (unsigned char)s.p[i];
	return v;
}

/* A number of n bytes, in network order. */
static bool take_number(struct reader *r, unsigned n, uint64_t *out)
{
	sio_slice s;

	if (!take(r, n, &s))
		return false;
	*out = number_of(s);
	return true;
}

static int made(struct reader *r, const struct value *v)
{
	return v ? SIO_OK : value_fault(r->store);
}

/* ---- scalars -------------------------------------------------------------------------- */

static int read_int(struct reader *r, int64_t i, struct value **out)
{
	*out = value_new(r->store, VALUE_INT);
	if (*out)
		(*out)->i = i;
	return made(r, *out);
}

static int read_unsigned(struct reader *r, unsigned bytes, struct value **out)
{
	uint64_t u;

	if (!take_number(r, bytes, &u))
		return SIO_ERR_PROTO;
	if (u <= INT64_MAX)
		return read_int(r, (int64_t)u, out);
	*out = value_new(r->store, VALUE_UINT);
	if (*out)
		(*out)->u = u;
	return made(r, *out);
}

static int read_signed(struct reader *r, unsigned bytes, struct value **out)
{
	uint64_t u, sign = UINT64_C(1) << (8 * bytes - 1);

	if (!take_number(r, bytes, &u))
		return SIO_ERR_PROTO;
	return read_int(r, (int64_t)((u ^ sign) - sign), out);
}

static int read_float(struct reader *r, unsigned bytes, struct value **out)
{
	uint64_t bits;
	uint32_t half;
	float f;

	if (!take_number(r, bytes, &bits))
		return SIO_ERR_PROTO;
	*out = value_new(r->store, VALUE_FLOAT);
	if (!*out)
		return value_fault(r->store);
	half = (uint32_t)bits;
	memcpy(&f, &half, sizeof(f));
	if (bytes == 4)
		(*out)->f = f;
	else
		memcpy(&(*out)->f, &bits, sizeof(bits));
	return SIO_OK;
}

static int read_word(struct reader *r, enum value_type type, bool is_true, struct value **out)
{
	*out = value_new(r->store, type);
	if (*out && type == VALUE_BOOL)
		(*out)->is_true = is_true;
	return made(r, *out);
}

static int read_bytes(struct reader *r, uint64_t n, enum value_type type, struct value **out)
{
	sio_slice s;

	if (!take(r, n, &s) || (type == VALUE_TEXT && !utf8_ok(s.p, s.n)))
		return SIO_ERR_PROTO;
	*out = value_new(r->store, type);
	if (*out)
		(*out)->text = s;
	return made(r, *out);
}

/* ---- extensions ------------------------------------------------------------------------- */

/* Days since 1970-01-01 as a date; years count from March, so that the leap day is the last. */
static void date_of(int64_t days, int64_t *year, int *month, int *day)
{
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
	int doe = (int)(z - era * 146097), yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;

	*day = doy - (153 * mp + 2) / 5 + 1;
	*month = mp < 10 ? mp + 3 : mp - 9;
	*year = era * 400 + yoe + (*month <= 2);
}

/* As JavaScript's toISOString. */
static int put_time(struct reader *r, int64_t s, uint32_t ns, struct value **out)
{
	enum { TEXT_MAX = 64, DAY_S = 86400 };
	static const int64_t most_s = 8640000000000; /* a date of JavaScript's */
	int64_t day, rest, year;
	char *text;
	int month, mday, n;

	if (s > most_s || s < -most_s || ns >= 1000000000)
		return SIO_ERR_PROTO;
	text = value_alloc(r->store, TEXT_MAX);
	if (!text)
		return SIO_ERR_NOMEM;
	day = (s >= 0 ? s : s - DAY_S + 1) / DAY_S;
	rest = s - day * DAY_S;
	date_of(day, &year, &month, &mday);
	n = snprintf(text, TEXT_MAX, year < 0 ? "-%06lld" : year > 9999 ? "+%06lld" : "%04lld", (long long)(year < 0 ? -year : year));
	n += snprintf(text + n, (size_t)(TEXT_MAX - n), "-%02d-%02dT%02d:%02d:%02d.%03uZ", month, mday, (int)(rest / 3600),
		      (int)(rest / 60 % 60), (int)(rest % 60), ns / 1000000);
	*out = value_new(r->store, VALUE_TEXT);
	if (*out)
		(*out)->text = sio_bytes(text, (size_t)n);
	return made(r, *out);
}

static int read_time(struct reader *r, sio_slice s, struct value **out)
{
	switch (s.n) {
	case 4:
		return put_time(r, (int64_t)number_of(s), 0, out);
	case 8:
		return put_time(r, (int64_t)(number_of(s) & ((UINT64_C(1) << 34) - 1)), (uint32_t)(number_of(s) >> 34), out);
	case 12:
		return put_time(r, (int64_t)number_of(sio_bytes(s.p + 4, 8)), (uint32_t)number_of(sio_bytes(s.p, 4)), out);
	default:
		return SIO_ERR_PROTO;
	}
}

/* n bytes behind the type.  is_fixed: one of the short forms, of which the first with type 0 is "undefined". */
static int read_ext(struct reader *r, uint64_t n, bool is_fixed, struct value **out)
{
	sio_slice type, s;

	if (!take(r, 1, &type) || !take(r, n, &s))
		return SIO_ERR_PROTO;
	if ((signed char)*type.p == EXT_TIME)
		return read_time(r, s, out);
	if (*type.p != EXT_OLD)
		return SIO_ERR_PROTO;
	*out = value_new(r->store, is_fixed && n == 1 ? VALUE_NULL : VALUE_BLOB);
	if (*out)
		(*out)->text = s;
	return made(r, *out);
}

/* ---- containers --------------------------------------------------------------------------- */

static int read_value(struct reader *r, int depth, struct value **out);

static int read_container(struct reader *r, uint64_t n, enum value_type type, int depth, struct value **out)
{
	struct value *v = *out = value_new(r->store, type), *item = NULL;
	int err = made(r, v);

	if (err == SIO_OK && depth == VALUE_DEPTH_MAX)
		err = SIO_ERR_LIMIT;
	for (uint64_t i = type == VALUE_MAP ? 2 * n : n; i > 0 && err == SIO_OK; i--) {
		err = read_value(r, depth + 1, &item);
		if (err == SIO_OK && !value_add(r->store, v, item))
			err = value_fault(r->store);
	}
	return err;
}

/* ---- everything ------------------------------------------------------------------------------ */

/* First bytes from 0xc0 to 0xdf. */
static int read_marked(struct reader *r, unsigned first, int depth, struct value **out)
{
	/* What stands behind them has its length in 1, 2, 4 bytes, in that order. */
	static const unsigned char widths[] = { 1, 2, 4 };
	uint64_t n = 0;

	switch (first) {
	case 0xc0: return read_word(r, VALUE_NULL, false, out);
	case 0xc2: case 0xc3: return read_word(r, VALUE_BOOL, first == 0xc3, out);
	case 0xc4: case 0xc5: case 0xc6:
		return take_number(r, widths[first - 0xc4], &n) ? read_bytes(r, n, VALUE_BLOB, out) : SIO_ERR_PROTO;
	case 0xc7: case 0xc8: case 0xc9:
		return take_number(r, widths[first - 0xc7], &n) ? read_ext(r, n, false, out) : SIO_ERR_PROTO;
	case 0xca: return read_float(r, 4, out);
	case 0xcb: return read_float(r, 8, out);
	case 0xcc: case 0xcd: case 0xce: case 0xcf: return read_unsigned(r, 1u << (first - 0xcc), out);
	case 0xd0: case 0xd1: case 0xd2: case 0xd3: return read_signed(r, 1u << (first - 0xd0), out);
	case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8: return read_ext(r, 1u << (first - 0xd4), true, out);
	case 0xd9: case 0xda: case 0xdb:
		return take_number(r, widths[first - 0xd9], &n) ? read_bytes(r, n, VALUE_TEXT, out) : SIO_ERR_PROTO;
	case 0xdc: case 0xdd:
		return take_number(r, widths[first - 0xdc + 1], &n) ? read_container(r, n, VALUE_LIST, depth, out) : SIO_ERR_PROTO;
	case 0xde: case 0xdf:
		return take_number(r, widths[first - 0xde + 1], &n) ? read_container(r, n, VALUE_MAP, depth, out) : SIO_ERR_PROTO;
	default: return SIO_ERR_PROTO; /* 0xc1 is never used */
	}
}

static int read_value(struct reader *r, int depth, struct value **out)
{
	uint64_t first;

	if (!take_number(r, 1, &first))
		return SIO_ERR_PROTO;
	if (first < 0x80)
		return read_int(r, (int64_t)first, out);
	if (first < 0x90)
		return read_container(r, first & 0xf, VALUE_MAP, depth, out);
	if (first < 0xa0)
		return read_container(r, first & 0xf, VALUE_LIST, depth, out);
	if (first < 0xc0)
		return read_bytes(r, first & 0x1f, VALUE_TEXT, out);
	if (first >= 0xe0)
		return read_int(r, (int64_t)first - 0x100, out);
	return read_marked(r, (unsigned)first, depth, out);
}

int msgpack_read(sio_slice bytes, struct value_store *store, struct value **out)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	struct reader r = { p, p + bytes.n, store };
	int err = bytes.n > VALUE_BYTES_MAX ? SIO_ERR_LIMIT : read_value(&r, 0, out);

	return err == SIO_OK && r.p != r.end ? SIO_ERR_PROTO : err;
}
