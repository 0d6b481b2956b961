/* ws_deflate.c -- see ws_deflate.h.
 *
 * The header is a list of extensions, each a name and its parameters:
 *
 *   permessage-deflate; server_max_window_bits=10; client_max_window_bits, other
 *
 * One pass over the text; what it says of the current extension is in struct offer.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "codec/ws_deflate.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "codec/deflate.h"

struct scan {
	const char *p, *end;
};

/* One extension of the list. */
struct offer {
	bool is_ours;          /* it is permessage-deflate */
	bool is_bad;           /* with something that we cannot accept */
	unsigned seen;         /* parameters, by their place in the table */
	struct ws_deflate terms;
};

/* ---- the grammar (RFC 6455 9.1) ------------------------------------------------------- */

static void skip_blanks(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t'))
		s->p++;
}

static bool take_char(struct scan *s, char c)
{
	skip_blanks(s);
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

static bool is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool take_token(struct scan *s, sio_slice *token)
{
	const char *from;

	skip_blanks(s);
	from = s->p;
	while (s->p < s->end && is_token_char(*s->p))
		s->p++;
	*token = sio_bytes(from, (size_t)(s->p - from));
	return token->n > 0;
}

/* A token in quotes means the same as without.  Escapes stay: no value that we know has one. */
static bool take_quoted(struct scan *s, sio_slice *value)
{
	const char *from = s->p;

	while (s->p < s->end && *s->p != '"') {
		if (*s->p == '\\' && ++s->p == s->end)
			return false;
		s->p++;
	}
	*value = sio_bytes(from, (size_t)(s->p - from));
	return s->p++ < s->end && value->n > 0;
}

static bool take_value(struct scan *s, sio_slice *value)
{
	return take_char(s, '"') ? take_quoted(s, value) : take_token(s, value);
}

/* ---- what is offered -------------------------------------------------------------------- */

/* Decimal without leading zeros, within what a window may have; else 0. */
static uint8_t window_of(sio_slice value)
{
	unsigned bits = 0;

	if (value.n == 1)
		bits = (unsigned char)value.p[0] - '0';
	else if (value.n == 2 && value.p[0] == '1')
		bits = 10 + (unsigned char)value.p[1] - '0';
	return (uint8_t)(bits >= DEFLATE_WINDOW_MIN && bits <= DEFLATE_WINDOW_MAX ? bits : 0);
}

/* Judge a parameter; value.p is NULL when it has none.  How the client compresses is of no
 * interest: we inflate with the largest window. */
static bool take_param(struct offer *o, sio_slice name, sio_slice value)
{
	enum { NO_VALUE, A_WINDOW, MAY_HAVE_A_WINDOW };
	static const struct {
		const char *name;
		int kind;
	} known[] = {
		{ "server_no_context_takeover", NO_VALUE },
		{ "client_no_context_takeover", NO_VALUE },
		{ "client_max_window_bits", MAY_HAVE_A_WINDOW },
		{ "server_max_window_bits", A_WINDOW },
	};
	uint8_t bits = window_of(value);
	unsigned i = 0;

	while (i < 4 && !text_is(name, known[i].name))
		i++;
	if (i == 4 || o->seen & 1u << i)
		return false;
	o->seen |= 1u << i;
	if (known[i].kind == A_WINDOW)
		o->terms = (struct ws_deflate){ bits, true };
	return value.p ? known[i].kind != NO_VALUE && bits > 0 : known[i].kind != A_WINDOW;
}

/* An extension with its parameters.  false: the grammar is broken. */
static bool take_offer(struct scan *s, struct offer *o)
{
	sio_slice name;

	*o = (struct offer){ .terms = { DEFLATE_WINDOW_MAX, false } };
	if (!take_token(s, &name))
		return false;
	o->is_ours = text_is(name, "permessage-deflate");
	while (take_char(s, ';')) {
		sio_slice value = { NULL, 0 };
		if (!take_token(s, &name) || (take_char(s, '=') && !take_value(s, &value)))
			return false;
		o->is_bad |= !take_param(o, name, value);
	}
	return true;
}

bool ws_deflate_take(sio_slice value, struct ws_deflate *out)
{
	struct scan s = { value.p, value.p + value.n };
	bool is_found = false;
	struct offer o;

	if (value.n == 0)
		return false;
	do {
		while (take_char(&s, ',')) /* empty places of a list mean nothing */
			;
		if (s.p == s.end)
			return is_found;
		if (!take_offer(&s, &o))
			return false;
		if (o.is_ours && !o.is_bad && !is_found) {
			*out = o.terms;
			is_found = true;
		}
	} while (take_char(&s, ','));
	return is_found && s.p == s.end;
}

void ws_deflate_answer(const struct ws_deflate *d, char out[WS_DEFLATE_ANSWER_MAX])
{
	int n = snprintf(out, WS_DEFLATE_ANSWER_MAX,
			 "permessage-deflate; server_no_context_takeover; client_no_context_takeover");

	if (d->has_window)
		snprintf(out + n, WS_DEFLATE_ANSWER_MAX - (size_t)n, "; server_max_window_bits=%u", d->window_bits);
}
