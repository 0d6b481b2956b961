/* json.c -- see <sio/json.h>.
 *
 * One scanner, scan_value, knows the grammar; the rest are walks over what it
 * accepts.  It keeps the open brackets in the bits of one word instead of on the
 * stack, and reads each byte once.  Knows nothing of UTF-8: whoever takes text
 * from a stranger has checked it.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <sio/json.h>

#include <endian.h>
#include <limits.h>

#include "base/text.h"

/* Every scan_* and skip_* moves *at, which never passes end. */

static inline bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && is_blank(*p))
		p++;
	return p;
}

static sio_slice trim(sio_slice s)
{
	const char *p, *end;

	if (s.n == 0)
		return s;
	end = s.p + s.n;
	p = skip_blanks(s.p, end);
	while (end > p && is_blank(end[-1]))
		end--;
	return sio_bytes(p, (size_t)(end - p));
}

/* ---- strings -------------------------------------------------------------- */

#define EACH_BYTE(x) (UINT64_C(0x0101010101010101) * (x))

/* The first of eight bytes that ends a plain run (quote, backslash or control
 * byte) has its top bit set in the result, those before it have not.  Each of the
 * three subtractions borrows from the next byte only where such a byte is. */
static inline uint64_t find_special(uint64_t v)
{
	uint64_t quote = v ^ EACH_BYTE('"'), slash = v ^ EACH_BYTE('\\');

	return (((quote - EACH_BYTE(1)) & ~quote) | ((slash - EACH_BYTE(1)) & ~slash) |
		((v - EACH_BYTE(0x20)) & ~v)) & EACH_BYTE(0x80);
}

/* Behind the bytes that stand for themselves in a string. */
static inline const char *skip_plain(const char *p, const char *end)
{
	uint64_t word, special;

	for (; end - p >= 8; p += 8) {
		memcpy(&word, p, 8);
		special = find_special(le64toh(word));
		if (special)
			return p + __builtin_ctzll(special) / 8;
	}
	while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
		p++;
	return p;
}

/* Four hex digits at p; -1 when they are not. */
static long hex4(const char *p, const char *end)
{
	long v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = text_hex(p[i]);
		if (digit < 0)
			return -1;
		v = v << 4 | digit;
	}
	return v;
}

/* *at stands behind the backslash. */
static bool scan_escape(const char **at, const char *end)
{
	if (*at == end)
		return false;
	switch (*(*at)++) {
	case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
		return true;
	case 'u':
		if (hex4(*at, end) < 0)
			return false;
		*at += 4;
		return true;
	default:
		return false;
	}
}

static bool scan_string(const char **at, const char *end)
{
	const char *p = *at;

	if (p == end || *p++ != '"')
		return false;
	for (;;) {
		p = skip_plain(p, end);
		if (p == end)
			return false;
		if (*p == '"')
			break;
		if (*p++ != '\\' || !scan_escape(&p, end))
			return false;
	}
	*at = p + 1;
	return true;
}

/* ---- values --------------------------------------------------------------- */

static bool scan_digits(const char **at, const char *end)
{
	const char *p = *at;

	while (p < end && is_digit(*p))
		p++;
	if (p == *at)
		return false;
	*at = p;
	return true;
}

static bool scan_number(const char **at, const char *end)
{
	const char *p = *at;

	if (p < end && *p == '-')
		p++;
	if (p < end && *p == '0')
		p++;
	else if (!scan_digits(&p, end))
		return false;
	if (p < end && *p == '.') {
		p++;
		if (!scan_digits(&p, end))
			return false;
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		if (!scan_digits(&p, end))
			return false;
	}
	*at = p;
	return true;
}

static bool scan_word(const char **at, const char *end, sio_slice word)
{
	if ((size_t)(end - *at) < word.n || memcmp(*at, word.p, word.n) != 0)
		return false;
	*at += word.n;
	return true;
}

/* A string, number, true, false or null. */
static bool scan_scalar(const char **at, const char *end)
{
	if (*at == end)
		return false;
	switch (**at) {
	case '"':
		return scan_string(at, end);
	case 't':
		return scan_word(at, end, SIO_LIT("true"));
	case 'f':
		return scan_word(at, end, SIO_LIT("false"));
	case 'n':
		return scan_word(at, end, SIO_LIT("null"));
	default:
		return scan_number(at, end);
	}
}

/* A member's name and colon, with the blanks around them.  *name: with quotes. */
static bool scan_name(const char **at, const char *end, sio_slice *name)
{
	const char *start = *at = skip_blanks(*at, end);

	if (!scan_string(at, end))
		return false;
	*name = sio_bytes(start, (size_t)(*at - start));
	*at = skip_blanks(*at, end);
	if (*at == end || **at != ':')
		return false;
	++*at;
	return true;
}

static bool scan_key(const char **at, const char *end)
{
	sio_slice name;

	return scan_name(at, end, &name);
}

/* The open brackets around the place where the scanner is. */
struct nest {
	unsigned depth;
	unsigned max;     /* how deep they may be */
	uint64_t objects[SIO_JSON_DEPTH / 64]; /* a bit a level, outermost first: is it an object?  Set up to depth. */
};
_Static_assert(SIO_JSON_DEPTH % 64 == 0, "struct nest has one bit a level");

static void nest_push(struct nest *nest, bool is_object)
{
	uint64_t *word = &nest->objects[nest->depth / 64], bit = UINT64_C(1) << nest->depth % 64;

	if (nest->depth % 64 == 0)
		*word = 0;
	*word = is_object ? *word | bit : *word & ~bit;
	nest->depth++;
}

static bool nest_is_object(const struct nest *nest)
{
	return nest->objects[(nest->depth - 1) / 64] >> (nest->depth - 1) % 64 & 1;
}

/* Behind a value: close brackets as they come.  Returns 0 when another value is
 * due (*at stands where it starts) or everything is closed (depth is 0). */
static int scan_closing(const char **at, const char *end, struct nest *nest)
{
	while (nest->depth > 0) {
		bool is_object = nest_is_object(nest);
		*at = skip_blanks(*at, end);
		if (*at == end)
			return SIO_ERR_PROTO;
		char c = *(*at)++;
		if (c == ',')
			return is_object && !scan_key(at, end) ? SIO_ERR_PROTO : SIO_OK;
		if (c != (is_object ? '}' : ']'))
			return SIO_ERR_PROTO;
		nest->depth--;
	}
	return SIO_OK;
}

/* *at stands on a bracket.  *is_empty: it was closed at once, and is not in nest. */
static int scan_opening(const char **at, const char *end, struct nest *nest, bool *is_empty)
{
	bool is_object = *(*at)++ == '{';

	*at = skip_blanks(*at, end);
	*is_empty = *at < end && **at == (is_object ? '}' : ']');
	if (nest->depth == nest->max)
		return SIO_ERR_LIMIT;
	if (*is_empty) {
		++*at;
		return SIO_OK;
	}
	nest_push(nest, is_object);
	return is_object && !scan_key(at, end) ? SIO_ERR_PROTO : SIO_OK;
}

/* One value, blanks before it allowed, that may nest max deep.  Returns 0,
 * SIO_ERR_PROTO, SIO_ERR_LIMIT. */
static int scan_value(const char **at, const char *end, unsigned max)
{
	struct nest nest;
	int err;

	nest.depth = 0;
	nest.max = max;
	do {
		*at = skip_blanks(*at, end);
		if (*at < end && (**at == '{' || **at == '[')) {
			bool is_empty;
			err = scan_opening(at, end, &nest, &is_empty);
			if (err < 0)
				return err;
			if (!is_empty)
				continue;
		} else if (!scan_scalar(at, end)) {
			return SIO_ERR_PROTO;
		}
		err = scan_closing(at, end, &nest);
		if (err < 0)
			return err;
	} while (nest.depth > 0);
	return SIO_OK;
}

enum sio_json_type sio_json_type(sio_slice value)
{
	const char *p = value.n ? skip_blanks(value.p, value.p + value.n) : NULL;

	if (!p || p == value.p + value.n)
		return SIO_JSON_NONE;
	switch (*p) {
	case 'n':
		return SIO_JSON_NULL;
	case 't': case 'f':
		return SIO_JSON_BOOL;
	case '"':
		return SIO_JSON_STRING;
	case '[':
		return SIO_JSON_ARRAY;
	case '{':
		return SIO_JSON_OBJECT;
	default:
		return *p == '-' || is_digit(*p) ? SIO_JSON_NUMBER : SIO_JSON_NONE;
	}
}

int sio_json_check(sio_slice text)
{
	const char *p = text.n ? text.p : "", *end = p + text.n;
	int err = scan_value(&p, end, SIO_JSON_DEPTH);

	if (err < 0)
		return err;
	return skip_blanks(p, end) == end ? SIO_OK : SIO_ERR_PROTO;
}

/* ---- walks ---------------------------------------------------------------- */

/* Behind an element: its end, or a comma with something behind it. */
static bool scan_comma(const char **at, const char *end)
{
	*at = skip_blanks(*at, end);
	if (*at == end)
		return true;
	if (*(*at)++ != ',')
		return false;
	*at = skip_blanks(*at, end);
	return *at < end;
}

int sio_json_next(sio_slice *rest, sio_slice *item)
{
	const char *start, *p, *end;
	int err;

	if (rest->n == 0)
		return SIO_ERR_NOENT;
	end = rest->p + rest->n;
	p = start = skip_blanks(rest->p, end);
	if (p == end)
		return SIO_ERR_NOENT;
	err = scan_value(&p, end, SIO_JSON_DEPTH);
	if (err < 0)
		return err;
	*item = sio_bytes(start, (size_t)(p - start));
	if (!scan_comma(&p, end))
		return SIO_ERR_PROTO;
	*rest = sio_bytes(p, (size_t)(end - p));
	return SIO_OK;
}

sio_slice sio_json_inside(sio_slice value)
{
	sio_slice s = trim(value);

	if (s.n < 2 || (*s.p != '[' && *s.p != '{'))
		return (sio_slice){ 0 };
	return trim(sio_bytes(s.p + 1, s.n - 2));
}

/* A member's name without quotes and escapes.  tmp is for one that has escapes;
 * should it not fit there, or hold what cannot be decoded, it is nobody's name. */
enum { NAME_MAX_BYTES = 128 };
static sio_slice plain_name(sio_slice name, char tmp[NAME_MAX_BYTES])
{
	long n;

	if (!memchr(name.p, '\\', name.n))
		return sio_bytes(name.p + 1, name.n - 2);
	n = sio_json_unquote(name, tmp, NAME_MAX_BYTES);
	return n < 0 ? (sio_slice){ 0 } : sio_bytes(tmp, (size_t)n);
}

static int note_member(sio_slice name, sio_slice value, struct sio_json_field *fields, size_t n)
{
	char tmp[NAME_MAX_BYTES];
	sio_slice plain = plain_name(name, tmp);

	for (size_t i = 0; i < n; i++) {
		if (!plain.p || !sio_slice_eq(plain, sio_str(fields[i].key)))
			continue;
		if (fields[i].type != SIO_JSON_NONE)
			return SIO_ERR_EXISTS;
		fields[i].type = sio_json_type(value);
		fields[i].value = value;
	}
	return SIO_OK;
}

/* One member and the comma behind it. */
static int scan_member(const char **at, const char *end, struct sio_json_field *fields, size_t n)
{
	sio_slice name, value;
	int err;

	if (!scan_name(at, end, &name))
		return SIO_ERR_PROTO;
	value.p = skip_blanks(*at, end);
	err = scan_value(at, end, SIO_JSON_DEPTH - 1);
	if (err < 0)
		return err;
	value.n = (size_t)(*at - value.p);
	return scan_comma(at, end) ? note_member(name, value, fields, n) : SIO_ERR_PROTO;
}

int sio_json_pick(sio_slice object, struct sio_json_field *fields, size_t n)
{
	sio_slice s = trim(object);
	int err;

	for (size_t i = 0; i < n; i++) {
		fields[i].type = SIO_JSON_NONE;
		fields[i].value = (sio_slice){ 0 };
	}
	if (s.n < 2 || s.p[0] != '{' || s.p[s.n - 1] != '}')
		return SIO_ERR_PROTO;
	s = trim(sio_bytes(s.p + 1, s.n - 2));
	for (const char *p = s.p, *end = s.p + s.n; p < end;) {
		err = scan_member(&p, end, fields, n);
		if (err < 0)
			return err;
	}
	return SIO_OK;
}

/* ---- scalars in and out --------------------------------------------------- */

/* Code point as UTF-8; out has room for four bytes.  Returns how many. */
static size_t put_utf8(char *out, uint32_t c)
{
	static const unsigned char mark[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 63));
	out[0] = (char)(mark[n] | c);
	return n;
}

/* *at stands behind "\u".  Returns the code point, a pair of surrogates taken
 * together; 0 when it is none that a C string can hold. */
static uint32_t take_unicode(const char **at, const char *end)
{
	long high = hex4(*at, end), low;

	if (high <= 0 || (high >= 0xdc00 && high <= 0xdfff))
		return 0;
	*at += 4;
	if (high < 0xd800 || high > 0xdfff)
		return (uint32_t)high;
	if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
		return 0;
	low = hex4(*at + 2, end);
	if (low < 0xdc00 || low > 0xdfff)
		return 0;
	*at += 6;
	return 0x10000 + ((uint32_t)(high - 0xd800) << 10 | (uint32_t)(low - 0xdc00));
}

/* *at stands behind the backslash.  Returns the bytes put into out, 0 when the
 * escape is none or must not be decoded. */
static size_t take_escape(const char **at, const char *end, char out[4])
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *found;
	uint32_t c;

	if (*at == end)
		return 0;
	if (**at != 'u') {
		found = **at ? strchr(from, **at) : NULL;
		if (!found)
			return 0;
		++*at;
		out[0] = to[found - from];
		return 1;
	}
	++*at;
	c = take_unicode(at, end);
	return c ? put_utf8(out, c) : 0;
}

/* The next run of plain bytes, or an escape, as decoded bytes; tmp is for those
 * of an escape.  false: neither. */
static bool take_part(const char **at, const char *end, char tmp[4], sio_slice *part)
{
	const char *p = *at;

	if (p < end && *p == '\\') {
		++*at;
		*part = sio_bytes(tmp, take_escape(at, end, tmp));
	} else {
		*at = skip_plain(p, end);
		*part = sio_bytes(p, (size_t)(*at - p));
	}
	return part->n > 0;
}

long sio_json_unquote(sio_slice value, char *out, size_t cap)
{
	const char *p, *end;
	char tmp[4];
	sio_slice part;
	size_t n = 0;

	if (value.n < 2 || value.p[0] != '"' || value.p[value.n - 1] != '"')
		return SIO_ERR_INVAL;
	p = value.p + 1;
	end = value.p + value.n - 1;
	while (p < end) {
		if (!take_part(&p, end, tmp, &part))
			return SIO_ERR_INVAL;
		if (part.n >= cap - n || n >= cap)
			return SIO_ERR_LIMIT;
		memcpy(out + n, part.p, part.n);
		n += part.n;
	}
	if (n >= cap)
		return SIO_ERR_LIMIT;
	out[n] = '\0';
	return n > LONG_MAX ? SIO_ERR_LIMIT : (long)n;
}

/* The escape of a byte that cannot stand for itself.  Returns its length. */
static size_t make_escape(unsigned char c, char out[6])
{
	static const char hex[] = "0123456789abcdef";
	static const char letter[] = { ['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
				       ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't' };

	out[0] = '\\';
	if (letter[c]) {
		out[1] = letter[c];
		return 2;
	}
	memcpy(out + 1, "u00", 3);
	out[4] = hex[c >> 4];
	out[5] = hex[c & 15];
	return 6;
}

/* Append to out[0..cap) as far as everything up to here fits. */
static size_t put(char *out, size_t cap, size_t at, const char *p, size_t n)
{
	if (n > 0 && at <= cap && n <= cap - at)
		memcpy(out + at, p, n);
	return at + n;
}

/* Sixteen bytes at once: gcc and clang know what a processor has for that. */
typedef uint8_t wide __attribute__((vector_size(16)));
typedef uint64_t pair __attribute__((vector_size(16)));

static inline bool has_special(wide v)
{
	wide special = (wide)(v < 0x20) | (wide)(v == '"') | (wide)(v == '\\');
	uint64_t half[2];

	memcpy(half, &special, sizeof(half));
	return half[0] | half[1];
}

/* Copy so many bytes, and look at them. */
static inline wide move_16(char *out, const char *p)
{
	wide v;

	memcpy(&v, p, 16);
	memcpy(out, &v, 16);
	return v;
}

static inline uint64_t move_8(char *out, const char *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	memcpy(out, &v, 8);
	return v;
}

static inline uint64_t move_4(char *out, const char *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	memcpy(out, &v, 4);
	return v;
}

static inline uint64_t move_1(char *out, const char *p)
{
	*out = *p;
	return (unsigned char)*p;
}

/* Copy n bytes.  What is left at the end is not copied byte by byte: the last piece overlaps the
 * one before it.  false: one byte needs an escape, and out holds nothing useful. */
static inline bool copy_plain(char *out, const char *p, size_t n)
{
	uint64_t head, tail = EACH_BYTE(' ');

	if (n >= 16) {
		for (size_t at = 0; at < n - 16; at += 16)
			if (has_special(move_16(out + at, p + at)))
				return false;
		return !has_special(move_16(out + n - 16, p + n - 16));
	}
	if (n >= 8) {
		head = move_8(out, p);
		tail = move_8(out + n - 8, p + n - 8);
	} else if (n >= 4) {
		head = move_4(out, p) | move_4(out + n - 4, p + n - 4) << 32;
	} else if (n > 0) {
		head = move_1(out, p) | move_1(out + n / 2, p + n / 2) << 8 | move_1(out + n - 1, p + n - 1) << 16 | tail << 24;
	} else {
		return true;
	}
	return !has_special((wide)(pair){ head, tail });
}

/* The same for a string that needs escapes, or for which there is no room. */
static __attribute__((noinline)) size_t quote_each(sio_slice s, char *out, size_t cap)
{
	const char *p = s.p, *end = p + s.n;
	char escape[6];
	size_t at = put(out, cap, 0, "\"", 1);

	while (p < end) {
		const char *behind = skip_plain(p, end);
		at = put(out, cap, at, p, (size_t)(behind - p));
		if (behind < end)
			at = put(out, cap, at, escape, make_escape((unsigned char)*behind++, escape));
		p = behind;
	}
	return put(out, cap, at, "\"", 1);
}

size_t sio_json_quote(sio_slice s, char *out, size_t cap)
{
	if (s.n == 0)
		s.p = "";
	if (cap < 2 || s.n > cap - 2 || !copy_plain(out + 1, s.p, s.n))
		return quote_each(s, out, cap);
	out[0] = out[s.n + 1] = '"';
	return s.n + 2;
}

int sio_json_int(sio_slice value, int64_t *out)
{
	const char *p = value.n ? value.p : "", *end = p + value.n;
	bool is_negative = value.n > 0 && *p == '-';
	uint64_t v = 0, max = (uint64_t)INT64_MAX + is_negative;

	p += is_negative;
	if (p == end || (*p == '0' && end - p > 1))
		return SIO_ERR_INVAL;
	for (; p < end; p++) {
		unsigned digit = (unsigned char)*p - (unsigned)'0';
		if (digit > 9 || v > (max - digit) / 10)
			return SIO_ERR_INVAL;
		v = v * 10 + digit;
	}
	*out = is_negative ? (int64_t)(0 - v) : (int64_t)v;
	return SIO_OK;
}
