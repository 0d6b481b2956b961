/* fields.c -- see fields.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "store/fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sio/json.h>

#include "store/decimal.h"

/* ---- walking ------------------------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blanks(sio_slice *s)
{
	while (s->n > 0 && is_blank(*s->p))
		s->p++, s->n--;
}

/* Bytes of the JSON string at the start of s, quotes included. */
static size_t string_length(sio_slice s)
{
	size_t i = 1;

	while (i < s.n && s.p[i] != '"')
		i += s.p[i] == '\\' ? 2 : 1;
	return i < s.n ? i + 1 : s.n;
}

/* Bytes up to the comma that ends the value at the start of s. */
static size_t value_length(sio_slice s)
{
	size_t i = 0;
	int depth = 0;

	while (i < s.n && !(depth == 0 && s.p[i] == ',')) {
		if (s.p[i] == '"') {
			i += string_length(sio_bytes(s.p + i, s.n - i));
			continue;
		}
		depth += s.p[i] == '{' || s.p[i] == '[';
		depth -= s.p[i] == '}' || s.p[i] == ']';
		i++;
	}
	return i;
}

bool fields_member_next(sio_slice *rest, sio_slice *key, sio_slice *value)
{
	size_t n;

	skip_blanks(rest);
	if (rest->n == 0 || *rest->p != '"')
		return false;
	n = string_length(*rest);
	*key = sio_bytes(rest->p + 1, n < 2 ? 0 : n - 2);
	*rest = sio_bytes(rest->p + n, rest->n - n);
	skip_blanks(rest);
	if (rest->n > 0) /* the colon */
		rest->p++, rest->n--;
	skip_blanks(rest);
	n = value_length(*rest);
	*value = sio_bytes(rest->p, n);
	while (value->n > 0 && is_blank(value->p[value->n - 1]))
		value->n--;
	if (n < rest->n) /* the comma */
		n++;
	*rest = sio_bytes(rest->p + n, rest->n - n);
	return true;
}

/* ---- judging ------------------------------------------------------------- */

/* Length of the UTF-8 sequence at p (n bytes left), 0 when it is none. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
	size_t length = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : 4;

	if (length == 1)
		return 1;
	if (length > n || p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, beyond U+10FFFF: the second byte tells. */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return length;
}

bool fields_text_ok(sio_slice text, bool may_break_lines)
{
	const unsigned char *p = (const unsigned char *)text.p;

	for (size_t i = 0, n; i < text.n; i += n) {
		bool is_break = p[i] == '\n' || p[i] == '\r' || p[i] == '\t';
		if ((p[i] < 0x20 && !(is_break && may_break_lines)) || p[i] == 0x7f)
			return false;
		n = utf8_length(p + i, text.n - i);
		if (n == 0)
			return false;
	}
	return true;
}

static bool is_choice(const char *choices, sio_slice word)
{
	for (const char *p = choices; *p;) {
		size_t n = strcspn(p, " ");
		if (sio_slice_eq(sio_bytes(p, n), word))
			return true;
		p += n + (p[n] == ' ');
	}
	return false;
}

/* The string value, decoded into memory that v owns. */
static int take_string(struct field_value *v, const struct field_def *def, sio_slice json, char *error, size_t cap)
{
	long n;

	v->own = malloc(json.n + 1);
	if (!v->own)
		return SIO_ERR_NOMEM;
	n = sio_json_unquote(json, v->own, json.n + 1);
	if (n < 0) {
		snprintf(error, cap, "%s: holds \\u0000 or half of a character", def->name);
		return SIO_ERR_INVAL;
	}
	v->text = sio_bytes(v->own, (size_t)n);
	return SIO_OK;
}

static bool may_be_null(enum field_kind kind)
{
	return kind == FIELD_OPTIONAL || kind == FIELD_ID || kind == FIELD_DATE || kind == FIELD_REF;
}

/* The number that the n digits at p are; -1 when they are no digits. */
static int digits(const char *p, size_t n)
{
	int value = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		value = value * 10 + (p[i] - '0');
	}
	return value;
}

/* YYYY-MM-DD of the Gregorian calendar. */
static bool is_date(sio_slice text)
{
	static const unsigned char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year, month, day;

	if (text.n != 10 || text.p[4] != '-' || text.p[7] != '-')
		return false;
	year = digits(text.p, 4);
	month = digits(text.p + 5, 2);
	day = digits(text.p + 8, 2);
	if (year < 1 || month < 1 || month > 12 || day < 1)
		return false;
	return day <= days[month - 1] + (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
}

static int judge_string(const struct field_def *def, struct field_value *v, char *error, size_t cap)
{
	const char *wrong = NULL;

	if (may_be_null(def->kind) && v->text.n == 0)
		v->is_null = true;
	if ((def->kind == FIELD_LABEL || (def->kind == FIELD_TEXT && !def->initial)) && v->text.n == 0)
		wrong = "must not be empty";
	else if (!fields_text_ok(v->text, def->kind == FIELD_TEXT))
		wrong = "holds control characters or invalid UTF-8";
	if (wrong)
		snprintf(error, cap, "%s: %s", def->name, wrong);
	else if (def->kind == FIELD_DATE && !v->is_null && !is_date(v->text))
		snprintf(error, cap, "%s: '%.40s' is no day of the calendar (expected for example 2026-02-28)", def->name, v->own);
	else if (v->text.n > def->max)
		snprintf(error, cap, "%s: %zu bytes, at most %u are accepted", def->name, v->text.n, (unsigned)def->max);
	else if (def->kind == FIELD_CHOICE && !is_choice(def->choices, v->text))
		snprintf(error, cap, "%s: '%.40s' is none of: %s", def->name, v->own, def->choices);
	else
		return SIO_OK;
	return SIO_ERR_INVAL;
}

/* text is the number as it stands; the canonical form replaces it. */
static int judge_decimal(const struct field_def *def, struct field_value *v, sio_slice text, char *error, size_t cap)
{
	struct decimal number;
	char canonical[DECIMAL_TEXT_MAX];
	int r = decimal_parse(text, &number);

	if (r == SIO_ERR_LIMIT)
		snprintf(error, cap, "%s: at most %d digits before and %d behind the point are accepted", def->name,
			 (int)DECIMAL_INT_DIGITS, (int)DECIMAL_FRAC_DIGITS);
	else if (r < 0)
		snprintf(error, cap, "%s: '%.*s' is no number (expected for example 45.50)", def->name,
			 (int)(text.n < 40 ? text.n : 40), text.n ? text.p : "");
	if (r < 0)
		return SIO_ERR_INVAL;
	decimal_format(&number, canonical);
	free(v->own);
	v->own = strdup(canonical);
	v->text = sio_str(v->own);
	return v->own ? SIO_OK : SIO_ERR_NOMEM;
}

static int judge_int(const struct field_def *def, struct field_value *v, sio_slice json, char *error, size_t cap)
{
	int64_t number;

	if (sio_json_int(json, &number) < 0 || number < 0 || number > FIELD_INT_MAX) {
		snprintf(error, cap, "%s: must be a whole number from 0 to %lld%s", def->name, FIELD_INT_MAX,
			 def->kind == FIELD_REF ? ", or null" : "");
		return SIO_ERR_INVAL;
	}
	v->own = malloc(24);
	if (!v->own)
		return SIO_ERR_NOMEM;
	v->text = sio_bytes(v->own, (size_t)snprintf(v->own, 24, "%lld", (long long)number));
	return SIO_OK;
}

static int refuse_type(const struct field_def *def, char *error, size_t cap)
{
	static const char *const wants[] = {
		[FIELD_TEXT] = "a string",
		[FIELD_LABEL] = "a string",
		[FIELD_OPTIONAL] = "a string or null",
		[FIELD_ID] = "a string, a whole number or null",
		[FIELD_DATE] = "a day such as 2026-02-28, or null",
		[FIELD_CHOICE] = "a string",
		[FIELD_DECIMAL] = "a number, or a string with a number",
	};

	snprintf(error, cap, "%s: must be %s", def->name, wants[def->kind]);
	return SIO_ERR_INVAL;
}

static int take_member(struct fields *f, size_t i, sio_slice json, char *error, size_t cap)
{
	const struct field_def *def = &f->defs[i];
	struct field_value *v = &f->v[i];
	enum sio_json_type type = sio_json_type(json);
	int r;

	if (v->is_set) {
		snprintf(error, cap, "%s: stands there twice", def->name);
		return SIO_ERR_INVAL;
	}
	v->is_set = true;
	if (def->kind == FIELD_IGNORED)
		return SIO_OK;
	if (may_be_null(def->kind) && type == SIO_JSON_NULL) {
		v->is_null = true;
		return SIO_OK;
	}
	if (def->kind == FIELD_INT || def->kind == FIELD_REF || (def->kind == FIELD_ID && type == SIO_JSON_NUMBER))
		return judge_int(def, v, json, error, cap);
	if (def->kind == FIELD_DECIMAL && type == SIO_JSON_NUMBER)
		return judge_decimal(def, v, json, error, cap);
	if (type != SIO_JSON_STRING)
		return refuse_type(def, error, cap);
	r = take_string(v, def, json, error, cap);
	if (r < 0)
		return r;
	return def->kind == FIELD_DECIMAL ? judge_decimal(def, v, v->text, error, cap)
					  : judge_string(def, v, error, cap);
}

/* With what could have been meant. */
static int refuse_unknown(const struct field_table *table, sio_slice key, char *error, size_t cap)
{
	bool is_shown = fields_text_ok(key, false);
	const char *mark = "; it has ";
	size_t at = (size_t)snprintf(error, cap, "'%.*s' is not a field of a %s", is_shown ? (int)(key.n < 40 ? key.n : 40) : 1,
				     is_shown ? key.p : "?", table->what);

	for (size_t i = 0; i < table->n && at < cap; i++) {
		if (table->defs[i].kind == FIELD_IGNORED)
			continue;
		at += (size_t)snprintf(error + at, cap - at, "%s%s", mark, table->defs[i].name);
		mark = ", ";
	}
	return SIO_ERR_INVAL;
}

int fields_parse(struct fields *f, const struct field_table *table, sio_slice body, char *error, size_t cap)
{
	sio_slice rest, key, value;

	*f = (struct fields){ .defs = table->defs, .n = table->n };
	if (sio_json_type(body) != SIO_JSON_OBJECT || sio_json_check(body) < 0) {
		snprintf(error, cap, "the body must be a JSON object");
		return SIO_ERR_INVAL;
	}
	rest = sio_json_inside(body);
	while (fields_member_next(&rest, &key, &value)) {
		size_t i = 0;
		while (i < f->n && !sio_slice_eq(key, sio_str(f->defs[i].name)))
			i++;
		if (i == f->n)
			return refuse_unknown(table, key, error, cap);
		int r = take_member(f, i, value, error, cap);
		if (r < 0)
			return r;
	}
	return SIO_OK;
}

void fields_fini(struct fields *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->v[i].own);
	f->n = 0;
}

int fields_complete(struct fields *f, size_t n, char *error, size_t cap)
{
	for (size_t i = 0; i < n; i++) {
		const struct field_def *def = &f->defs[i];
		struct field_value *v = &f->v[i];
		if (v->is_set)
			continue;
		if (def->initial) {
			v->text = sio_str(def->initial);
		} else if (may_be_null(def->kind)) {
			v->is_null = true;
		} else {
			snprintf(error, cap, "%s: is missing", def->name);
			return SIO_ERR_INVAL;
		}
	}
	return SIO_OK;
}

void fields_json(const struct fields *f, size_t i, struct buf *out)
{
	const struct field_value *v = &f->v[i];

	if (v->is_null)
		buf_str(out, "null");
	else if (f->defs[i].kind == FIELD_DECIMAL || f->defs[i].kind == FIELD_INT || f->defs[i].kind == FIELD_REF)
		buf_slice(out, v->text);
	else
		buf_json(out, v->text);
}
