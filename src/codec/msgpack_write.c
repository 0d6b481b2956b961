/* msgpack_write.c -- MessagePack out of JSON text, value by value, without a tree.
 *
 * The text was checked, so it is walked and never judged.  How many values a container has is
 * known behind its last one: its head is written then, and widened in the rare case that it
 * holds more than fifteen.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>
#include <string.h>

#include <sio/json.h>

#include "codec/msgpack.h"

enum {
	NUMBER_NEAR = 64,           /* bytes on the stack for a number's text */
	REPLACEMENT = 0xfffd,       /* for half a character */
};
static const int64_t EXACT_MAX = INT64_C(1) << 53; /* what a JavaScript number holds */

struct walk {
	const char *p, *end;
	struct buf *out;
	const struct value_blobs *blobs;
};

/* ---- heads -------------------------------------------------------------------------- */

static void put_number(struct buf *out, unsigned char first, uint64_t v, unsigned bytes)
{
	buf_byte(out, (char)first);
	for (unsigned i = bytes; i-- > 0;)
		buf_byte(out, (char)(v >> 8 * i));
}

static void put_text_head(struct buf *out, size_t n)
{
	if (n < 32)
		buf_byte(out, (char)(0xa0 | n));
	else if (n <= UINT8_MAX)
		put_number(out, 0xd9, n, 1);
	else if (n <= UINT16_MAX)
		put_number(out, 0xda, n, 2);
	else
		put_number(out, 0xdb, n, 4);
}

static void put_head(struct buf *out, uint32_t n, bool is_map)
{
	if (n < 16)
		buf_byte(out, (char)((is_map ? 0x80 : 0x90) | n));
	else if (n <= UINT16_MAX)
		put_number(out, is_map ? 0xde : 0xdc, n, 2);
	else
		put_number(out, is_map ? 0xdf : 0xdd, n, 4);
}

void msgpack_put_list(struct buf *out, uint32_t n)
{
	put_head(out, n, false);
}

void msgpack_put_map(struct buf *out, uint32_t n)
{
	put_head(out, n, true);
}

void msgpack_put_text(struct buf *out, sio_slice text)
{
	put_text_head(out, text.n);
	buf_slice(out, text);
}

void msgpack_put_bool(struct buf *out, bool is_true)
{
	buf_byte(out, (char)(is_true ? 0xc3 : 0xc2));
}

void msgpack_put_int(struct buf *out, int64_t i)
{
	/* A negative number needs the bits of its complement, and one for the sign. */
	uint64_t bits = i < 0 ? ~(uint64_t)i << 1 : (uint64_t)i;
	unsigned k = bits <= UINT8_MAX ? 0 : bits <= UINT16_MAX ? 1 : bits <= UINT32_MAX ? 2 : 3;

	if (i >= -32 && i < 128)
		buf_byte(out, (char)i);
	else
		put_number(out, (unsigned char)((i < 0 ? 0xd0 : 0xcc) + k), (uint64_t)i, 1u << k);
}

static void put_blob(struct buf *out, sio_slice bytes)
{
	if (bytes.n <= UINT8_MAX)
		put_number(out, 0xc4, bytes.n, 1);
	else if (bytes.n <= UINT16_MAX)
		put_number(out, 0xc5, bytes.n, 2);
	else
		put_number(out, 0xc6, bytes.n, 4);
	buf_slice(out, bytes);
}

/* ---- strings ---------------------------------------------------------------------------- */

static unsigned hex4(const char *p)
{
	unsigned v = 0;

	for (int i = 0; i < 4; i++)
		v = v << 4 | (unsigned)(p[i] <= '9' ? p[i] - '0' : (p[i] | 32) - 'a' + 10);
	return v;
}

/* *at stands behind "\u". */
static unsigned take_escape(const char **at)
{
	unsigned c = hex4(*at), low;

	*at += 4;
	if (c < 0xd800 || c > 0xdfff)
		return c;
	if (c > 0xdbff || (*at)[0] != '\\' || (*at)[1] != 'u')
		return REPLACEMENT;
	low = hex4(*at + 2);
	if (low < 0xdc00 || low > 0xdfff)
		return REPLACEMENT;
	*at += 6;
	return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

/* The character as UTF-8, or its length alone (out is NULL). */
static size_t encode(unsigned c, char *out)
{
	static const unsigned char firsts[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t i = n; out && i-- > 1; c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	if (out)
		out[0] = (char)(n == 1 ? c : firsts[n] | c);
	return n;
}

/* What a string says, of which *at is the opening quote; to out, or its length alone (NULL). */
static size_t decode(const char **at, char *out)
{
	static const char names[] = "\"\\/bfnrt", chars[] = "\"\\/\b\f\n\r\t";
	const char *p = *at + 1;
	size_t n = 0;

	while (*p != '"') {
		unsigned c = (unsigned char)*p++;
		if (c != '\\') {
			if (out)
				out[n] = (char)c;
			n++;
			continue;
		}
		c = (unsigned char)*p++;
		c = c == 'u' ? take_escape(&p) : (unsigned char)chars[strchr(names, (int)c) - names];
		n += encode(c, out ? out + n : NULL);
	}
	*at = p + 1;
	return n;
}

static void put_string(struct walk *w)
{
	const char *start = w->p;
	size_t n = decode(&w->p, NULL);

	put_text_head(w->out, n);
	if (buf_reserve(w->out, n))
		w->out->n += decode(&start, w->out->p + w->out->n);
}

/* ---- the rest ------------------------------------------------------------------------------ */

static void skip_blanks(struct walk *w)
{
	while (w->p < w->end && (*w->p == ' ' || *w->p == '\t' || *w->p == '\n' || *w->p == '\r'))
		w->p++;
}

/* Whatever the program's locale takes for the point; text may be changed. */
static double read_double(char *text)
{
	char *end;
	double d = strtod(text, &end);

	if (*end != '.')
		return d;
	*end = ',';
	return strtod(text, NULL);
}

static void put_double(struct buf *out, double d)
{
	uint64_t bits;

	memcpy(&bits, &d, sizeof(bits));
	put_number(out, 0xcb, bits, 8);
}

static void put_json_number(struct walk *w)
{
	char near[NUMBER_NEAR], *text = near;
	const char *start = w->p;
	size_t n;
	int64_t i;

	while (w->p < w->end && memchr("+-.0123456789Ee", *w->p, 15))
		w->p++;
	n = (size_t)(w->p - start);
	if (sio_json_int(sio_bytes(start, n), &i) == SIO_OK && i <= EXACT_MAX && i >= -EXACT_MAX) {
		msgpack_put_int(w->out, i);
		return;
	}
	if (n >= NUMBER_NEAR)
		text = malloc(n + 1);
	if (!text) {
		w->out->failed = true;
		return;
	}
	memcpy(text, start, n);
	text[n] = '\0';
	put_double(w->out, read_double(text));
	if (text != near)
		free(text);
}

/* Behind the object or array at p. */
static const char *behind(const char *p)
{
	unsigned depth = 0;

	do {
		if (*p == '"')
			for (p++; *p != '"'; p++)
				p += *p == '\\';
		else if (*p == '{' || *p == '[')
			depth++;
		else if (*p == '}' || *p == ']')
			depth--;
		p++;
	} while (depth > 0);
	return p;
}

/* Does an object stand for an attachment?  Then that is written. */
static bool put_attachment(struct walk *w)
{
	struct sio_json_field f[] = { { .key = "_placeholder" }, { .key = "num" } };
	const char *end = w->blobs->n ? behind(w->p) : NULL;
	int64_t i;

	if (!end || sio_json_pick(sio_bytes(w->p, (size_t)(end - w->p)), f, 2) < 0 || f[0].type != SIO_JSON_BOOL ||
	    *f[0].value.p != 't' || sio_json_int(f[1].value, &i) < 0 || i < 0 || i >= w->blobs->n)
		return false;
	put_blob(w->out, w->blobs->list[i]);
	w->p = end;
	return true;
}

/* One byte was left at at for the head of a container of n. */
static void set_head(struct buf *out, size_t at, uint32_t n, bool is_map)
{
	struct buf head = { 0 };

	put_head(&head, n, is_map);
	if (head.failed || !buf_reserve(out, head.n))
		out->failed = true;
	else {
		if (head.n > 1)
			memmove(out->p + at + head.n, out->p + at + 1, out->n - at - 1);
		memcpy(out->p + at, head.p, head.n);
		out->n += head.n - 1;
	}
	buf_fini(&head);
}

static void put_value(struct walk *w);

static void put_container(struct walk *w, bool is_map)
{
	size_t at = w->out->n;
	uint32_t n = 0;

	buf_byte(w->out, 0);
	w->p++;
	skip_blanks(w);
	for (; *w->p != '}' && *w->p != ']' && !w->out->failed; n++) {
		if (is_map) {
			put_string(w);
			skip_blanks(w);
			w->p++; /* the colon */
		}
		put_value(w);
		skip_blanks(w);
		if (*w->p == ',') {
			w->p++;
			skip_blanks(w);
		}
	}
	w->p++;
	set_head(w->out, at, n, is_map);
}

static void put_word(struct walk *w, unsigned char byte, size_t n)
{
	buf_byte(w->out, (char)byte);
	w->p += n;
}

static void put_value(struct walk *w)
{
	skip_blanks(w);
	switch (*w->p) {
	case '"':
		put_string(w);
		return;
	case '{':
		if (!put_attachment(w))
			put_container(w, true);
		return;
	case '[':
		put_container(w, false);
		return;
	case 'n':
		put_word(w, 0xc0, 4);
		return;
	case 't':
		put_word(w, 0xc3, 4);
		return;
	case 'f':
		put_word(w, 0xc2, 5);
		return;
	default:
		put_json_number(w);
	}
}

void msgpack_put_json(struct buf *out, sio_slice json, const struct value_blobs *blobs)
{
	struct walk w = { json.p, json.p + json.n, out, blobs };

	put_value(&w);
}
