/* packet.c -- see packet.h.
 *
 * Knows the text form of a packet and what each type demands of its payload.
 * Refuses to know what is connected, which ids are waited for, and the bytes of
 * attachments.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "codec/packet.h"

#include <string.h>

#include <sio/json.h>

/* ---- placeholders --------------------------------------------------------- */

/* Which attachments have their place, while the payload of a binary packet is
 * walked.  ATTACHMENTS_BITS bounds what a caller may allow. */
enum { ATTACHMENTS_BITS = 64 };
struct places {
	uint64_t seen;
	unsigned n;
};

/* What the members of one open object have said so far. */
struct level {
	unsigned marks;      /* times "_placeholder" stood there */
	unsigned nums;       /* times "num" stood there */
	bool is_true;        /* the last "_placeholder" was true */
	const char *num;     /* the value of the last "num" */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The number of an attachment (JSON text that goes on behind it): plain digits,
 * announced, not taken yet. */
static bool take_place(struct places *places, const char *num)
{
	uint64_t v = 0;

	if (!is_digit(*num))
		return false;
	for (; is_digit(*num); num++) {
		v = v * 10 + (uint64_t)(*num - '0');
		if (v >= places->n)
			return false;
	}
	if (*num == '.' || *num == 'e' || *num == 'E' || places->seen & UINT64_C(1) << v)
		return false;
	places->seen |= UINT64_C(1) << v;
	return true;
}

/* An object is a placeholder when it says so; one that says it in another way
 * than `true`, or says anything twice, is refused, for readers differ in what
 * they would make of it. */
static bool close_level(struct places *places, const struct level *level)
{
	if (level->marks == 0)
		return true;
	return level->marks == 1 && level->is_true && level->nums == 1 && take_place(places, level->num);
}

static void note_member(struct level *level, sio_slice name, const char *value)
{
	char decoded[16]; /* either name and its NUL */
	long n = sio_json_unquote(name, decoded, sizeof(decoded));

	if (n < 0)
		return;
	if (strcmp(decoded, "_placeholder") == 0) {
		level->marks++;
		level->is_true = *value == 't';
	} else if (strcmp(decoded, "num") == 0) {
		level->nums++;
		level->num = value;
	}
}

/* These two walk checked text, in which a string ends and something other than
 * a blank follows. */
static const char *skip_string(const char *p)
{
	for (p++; *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p + 1;
}

static const char *skip_blanks(const char *p)
{
	while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
		p++;
	return p;
}

/* *at stands on a string inside brackets; if it names a member, note that. */
static void walk_string(const char **at, struct level *level)
{
	const char *start = *at, *behind = skip_string(start), *colon = skip_blanks(behind);

	*at = colon;
	if (*colon == ':')
		note_member(level, sio_bytes(start, (size_t)(behind - start)), skip_blanks(colon + 1));
}

/* All objects, each byte once. */
bool packet_places_ok(sio_slice payload, unsigned attachments_n)
{
	struct places places = { .n = attachments_n };
	struct level open[SIO_JSON_DEPTH];
	unsigned depth = 0;

	for (const char *p = payload.p, *end = p + payload.n; p < end;) {
		if (*p == '"') {
			walk_string(&p, &open[depth - 1]);
			continue;
		}
		if (*p == '{' || *p == '[')
			open[depth++] = (struct level){ 0 };
		else if ((*p == '}' || *p == ']') && !close_level(&places, &open[--depth]))
			return false;
		p++;
	}
	return true;
}

/* ---- reading -------------------------------------------------------------- */

/* Decimal digits at the start of *rest, which moves behind them. */
static bool take_number(sio_slice *rest, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	size_t i = 0;

	for (; i < rest->n && is_digit(rest->p[i]); i++) {
		v = v * 10 + (uint64_t)(rest->p[i] - '0');
		if (v > max)
			return false;
	}
	*rest = sio_bytes(rest->p + i, rest->n - i);
	*out = v;
	return i > 0;
}

static bool take_attachments(sio_slice *rest, unsigned max, unsigned *out)
{
	uint64_t n;

	if (max > ATTACHMENTS_BITS)
		max = ATTACHMENTS_BITS;
	if (!take_number(rest, max, &n) || n == 0 || rest->n == 0 || rest->p[0] != '-')
		return false;
	*rest = sio_bytes(rest->p + 1, rest->n - 1);
	*out = (unsigned)n;
	return true;
}

static bool take_nsp(sio_slice *rest, sio_slice *out)
{
	const char *comma;

	*out = SIO_LIT("/");
	if (rest->n == 0 || rest->p[0] != '/')
		return true;
	comma = memchr(rest->p, ',', rest->n);
	*out = sio_bytes(rest->p, comma ? (size_t)(comma - rest->p) : rest->n);
	*rest = comma ? sio_bytes(comma + 1, rest->n - out->n - 1) : sio_bytes(rest->p + rest->n, 0);
	return out->n <= PACKET_NSP_MAX;
}

bool packet_is_reserved(sio_slice name)
{
	static const sio_slice reserved[] = {
		{ "connect", 7 },        { "connect_error", 13 }, { "disconnect", 10 },
		{ "disconnecting", 13 }, { "newListener", 11 },   { "removeListener", 14 },
	};

	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (sio_slice_eq(name, reserved[i]))
			return true;
	return false;
}

/* An event's name as JSON: a number, or a string that is not reserved. */
static bool name_ok(sio_slice name)
{
	char decoded[16]; /* any reserved name and its NUL */
	long n;

	if (sio_json_type(name) == SIO_JSON_NUMBER)
		return true;
	if (sio_json_type(name) != SIO_JSON_STRING)
		return false;
	n = sio_json_unquote(name, decoded, sizeof(decoded));
	return n < 0 || !packet_is_reserved(sio_bytes(decoded, (size_t)n));
}

/* EVENT, ACK and their binary forms: payload is a checked JSON text. */
static bool read_array(sio_slice payload, struct packet *out)
{
	bool is_event = out->type == PACKET_EVENT || out->type == PACKET_BINARY_EVENT;

	if (payload.p[0] != '[')
		return false;
	out->data = sio_json_inside(payload);
	if (is_event && (sio_json_next(&out->data, &out->name) < 0 || !name_ok(out->name)))
		return false;
	return out->attachments_n == 0 || packet_places_ok(payload, out->attachments_n);
}

/* What the rest of the packet must be for its type.  Nothing may stand before
 * the JSON, not even the blanks that JSON itself would allow. */
static bool read_payload(sio_slice payload, struct packet *out)
{
	bool is_json;

	if (out->type == PACKET_DISCONNECT)
		return payload.n == 0;
	if (out->type == PACKET_CONNECT && payload.n == 0)
		return true;
	is_json = payload.n > 0 && strchr("[{", payload.p[0]) && sio_json_check(payload) == SIO_OK;
	if (!is_json)
		return false;
	if (out->type != PACKET_CONNECT)
		return read_array(payload, out);
	out->data = payload;
	return payload.p[0] == '{';
}

int packet_read(sio_slice text, unsigned attachments_max, struct packet *out)
{
	sio_slice rest = text;
	bool may_have_id;

	*out = (struct packet){ .id = PACKET_NO_ID };
	if (rest.n == 0 || rest.p[0] < '0' || rest.p[0] > '6' || rest.p[0] == '0' + (int)PACKET_CONNECT_ERROR)
		return SIO_ERR_PROTO;
	out->type = (enum packet_type)(rest.p[0] - '0');
	rest = sio_bytes(rest.p + 1, rest.n - 1);
	if (out->type >= PACKET_BINARY_EVENT && !take_attachments(&rest, attachments_max, &out->attachments_n))
		return SIO_ERR_PROTO;
	if (!take_nsp(&rest, &out->nsp))
		return SIO_ERR_PROTO;
	may_have_id = out->type != PACKET_CONNECT && out->type != PACKET_DISCONNECT;
	if (may_have_id && rest.n > 0 && is_digit(rest.p[0]) && !take_number(&rest, PACKET_ID_MAX, &out->id))
		return SIO_ERR_PROTO;
	return read_payload(rest, out) ? SIO_OK : SIO_ERR_PROTO;
}

/* ---- writing -------------------------------------------------------------- */

enum {
	U64_DIGITS = 20,
	/* type, count and "-", "," behind the namespace, id, brackets and a comma */
	FRAME_MAX = 1 + U64_DIGITS + 1 + 1 + U64_DIGITS + 3,
};

size_t packet_size(const struct packet *p)
{
	return FRAME_MAX + p->nsp.n + p->name.n + p->data.n;
}

static char *put(char *at, sio_slice s)
{
	if (s.n > 0)
		memcpy(at, s.p, s.n);
	return at + s.n;
}

static char *put_number(char *at, uint64_t v)
{
	char tmp[U64_DIGITS];
	size_t i = sizeof(tmp);

	do
		tmp[--i] = (char)('0' + v % 10);
	while (v /= 10);
	return put(at, sio_bytes(tmp + i, sizeof(tmp) - i));
}

size_t packet_write(const struct packet *p, char *out)
{
	bool is_event = p->type == PACKET_EVENT || p->type == PACKET_BINARY_EVENT;
	bool is_array = is_event || p->type == PACKET_ACK || p->type == PACKET_BINARY_ACK;
	char *at = out;

	*at++ = (char)('0' + (int)p->type);
	if (p->type >= PACKET_BINARY_EVENT) {
		at = put_number(at, p->attachments_n);
		*at++ = '-';
	}
	if (p->nsp.n > 0 && !sio_slice_eq(p->nsp, SIO_LIT("/"))) {
		at = put(at, p->nsp);
		*at++ = ',';
	}
	if (p->id != PACKET_NO_ID)
		at = put_number(at, p->id);
	if (is_array)
		*at++ = '[';
	if (is_event)
		at = put(at, p->name);
	if (is_event && p->data.n > 0)
		*at++ = ',';
	at = put(at, p->data);
	if (is_array)
		*at++ = ']';
	return (size_t)(at - out);
}
