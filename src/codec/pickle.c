/* pickle.c -- see pickle.h.
 *
 * The machine has a stack and a memo.  A mark on the stack is NULL.  The first fault sticks:
 * what reads behind it gets nothing, and the loop ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "codec/pickle.h"

#include <stdlib.h>
#include <string.h>

#include "codec/utf8.h"

/* Python's names for them. */
enum code {
	PROTO = 0x80, FRAME = 0x95, STOP = 0x2e,
	MEMOIZE = 0x94, BINPUT = 0x71, LONG_BINPUT = 0x72, BINGET = 0x68, LONG_BINGET = 0x6a,
	SHORT_BINUNICODE = 0x8c, BINUNICODE = 0x58, BINUNICODE8 = 0x8d,
	SHORT_BINBYTES = 0x43, BINBYTES = 0x42, BINBYTES8 = 0x8e, BYTEARRAY8 = 0x96,
	NONE = 0x4e, NEWTRUE = 0x88, NEWFALSE = 0x89,
	BININT1 = 0x4b, BININT2 = 0x4d, BININT = 0x4a, LONG1 = 0x8a, BINFLOAT = 0x47,
	EMPTY_DICT = 0x7d, EMPTY_LIST = 0x5d, EMPTY_TUPLE = 0x29, MARK = 0x28,
	SETITEM = 0x73, SETITEMS = 0x75, APPEND = 0x61, APPENDS = 0x65,
	TUPLE = 0x74, TUPLE1 = 0x85, TUPLE2 = 0x86, TUPLE3 = 0x87,
};

enum { PROTO_MIN = 2, PROTO_MAX = 5 };

struct values {
	struct value **at;
	uint32_t n, cap;
};

struct machine {
	const unsigned char *p, *end;
	int err;
	struct value_store *store;
	struct values stack, memo;
};

/* ---- bytes --------------------------------------------------------------------------- */

static void fail(struct machine *m, int err)
{
	if (!m->err)
		m->err = err;
}

static sio_slice take(struct machine *m, uint64_t n)
{
	const unsigned char *p = m->p;

	if (m->err || n > (uint64_t)(m->end - m->p)) {
		fail(m, SIO_ERR_PROTO);
		return sio_bytes("", 0);
	}
	m->p += n;
	return sio_bytes(p, (size_t)n);
}

/* A little-endian number of n bytes. */
static uint64_t take_number(struct machine *m, unsigned n)
{
	sio_slice s = take(m, n);
	uint64_t v = 0;

	for (size_t i = s.n; i-- > 0;)
		v = v << 8 | (unsigned char)s.p[i];
	return v;
}

/* ---- stack and memo ---------------------------------------------------------------------- */

static bool grow(struct machine *m, struct values *list, uint64_t n, uint32_t max)
{
	struct value **grown;
	uint32_t cap = list->cap ? list->cap : 32;

	if (n <= list->cap)
		return true;
	if (n > max) {
		fail(m, SIO_ERR_LIMIT);
		return false;
	}
	while (cap < n)
		cap *= 2;
	grown = realloc(list->at, cap * sizeof(struct value *));
	if (!grown) {
		fail(m, SIO_ERR_NOMEM);
		return false;
	}
	list->at = grown;
	list->cap = cap;
	return true;
}

static void push(struct machine *m, struct value *v)
{
	if (grow(m, &m->stack, m->stack.n + UINT64_C(1), PICKLE_STACK_MAX))
		m->stack.at[m->stack.n++] = v;
}

static struct value *make(struct machine *m, enum value_type type)
{
	struct value *v = m->err ? NULL : value_new(m->store, type);

	if (v)
		push(m, v);
	else
		fail(m, value_fault(m->store));
	return v;
}

/* The value that is depth below the top, above the last mark; NULL: there is none. */
static struct value *at_top(struct machine *m, uint32_t depth)
{
	for (uint32_t i = 0; i <= depth; i++)
		if (i >= m->stack.n || !m->stack.at[m->stack.n - 1 - i]) {
			fail(m, SIO_ERR_PROTO);
			return NULL;
		}
	return m->stack.at[m->stack.n - 1 - depth];
}

static void remember(struct machine *m, uint64_t index)
{
	struct value *v = at_top(m, 0);

	if (!v || !grow(m, &m->memo, index + 1, PICKLE_MEMO_MAX))
		return;
	while (m->memo.n <= index)
		m->memo.at[m->memo.n++] = NULL;
	m->memo.at[index] = v;
}

static void recall(struct machine *m, uint64_t index)
{
	if (m->err || index >= m->memo.n || !m->memo.at[index])
		fail(m, SIO_ERR_PROTO);
	else
		push(m, m->memo.at[index]);
}

/* ---- scalars ---------------------------------------------------------------------------- */

static void put_text(struct machine *m, uint64_t n)
{
	sio_slice s = take(m, n);
	struct value *v = make(m, VALUE_TEXT);

	if (v && !utf8_ok(s.p, s.n)) /* half a character, as Python's surrogates are */
		fail(m, SIO_ERR_PROTO);
	if (v)
		v->text = s;
}

static void put_blob(struct machine *m, uint64_t n)
{
	sio_slice s = take(m, n);
	struct value *v = make(m, VALUE_BLOB);

	if (v)
		v->text = s;
}

static void put_int(struct machine *m, int64_t i)
{
	struct value *v = make(m, VALUE_INT);

	if (v)
		v->i = i;
}

static void put_bool(struct machine *m, bool is_true)
{
	struct value *v = make(m, VALUE_BOOL);

	if (v)
		v->is_true = is_true;
}

/* Two's complement of n bytes, of which the last says the sign. */
static void put_long(struct machine *m, unsigned n)
{
	sio_slice s = take(m, n);
	bool is_unsigned = s.n == 9 && s.p[8] == 0;
	uint64_t u = s.n && (signed char)s.p[s.n - 1] < 0 ? ~UINT64_C(0) : 0;
	struct value *v;

	if (s.n > 8 && !is_unsigned)
		fail(m, SIO_ERR_LIMIT);
	for (size_t i = s.n < 8 ? s.n : 8; i-- > 0;)
		u = u << 8 | (unsigned char)s.p[i];
	v = make(m, is_unsigned ? VALUE_UINT : VALUE_INT);
	if (v && is_unsigned)
		v->u = u;
	else if (v)
		v->i = (int64_t)u;
}

static void put_float(struct machine *m)
{
	sio_slice s = take(m, 8);
	struct value *v = make(m, VALUE_FLOAT);
	uint64_t bits = 0;

	for (size_t i = 0; i < s.n; i++)
		bits = bits << 8 | (unsigned char)s.p[i];
	if (v)
		memcpy(&v->f, &bits, sizeof(bits));
}

/* ---- containers ------------------------------------------------------------------------- */

/* Move the n values on the top into container, in their order. */
static void move_in(struct machine *m, struct value *container, uint32_t n)
{
	struct value **from = m->stack.at + (m->stack.n - n);

	for (uint32_t i = 0; i < n; i++)
		if (!value_add(m->store, container, from[i])) {
			fail(m, value_fault(m->store));
			return;
		}
	m->stack.n -= n;
}

/* Values above the last mark; UINT32_MAX: there is no mark. */
static uint32_t above_mark(struct machine *m)
{
	for (uint32_t n = 0; n < m->stack.n; n++)
		if (!m->stack.at[m->stack.n - 1 - n])
			return n;
	fail(m, SIO_ERR_PROTO);
	return UINT32_MAX;
}

/* The n values on the top belong to the container of that type below them, or below a mark. */
static void add(struct machine *m, enum value_type type, uint32_t n, bool is_marked)
{
	uint32_t below = n + is_marked;
	struct value *container = m->err || m->stack.n <= below ? NULL : m->stack.at[m->stack.n - 1 - below];

	if (!container || container->type != type || (type == VALUE_MAP && n % 2)) {
		fail(m, SIO_ERR_PROTO);
		return;
	}
	move_in(m, container, n);
	if (!m->err && is_marked)
		m->stack.n--;
}

static void add_marked(struct machine *m, enum value_type type)
{
	uint32_t n = above_mark(m);

	if (!m->err)
		add(m, type, n, true);
}

static void add_plain(struct machine *m, enum value_type type, uint32_t n)
{
	if (at_top(m, n - 1))
		add(m, type, n, false);
}

static void make_tuple(struct machine *m, uint32_t n, bool is_marked)
{
	struct value *v = m->err || (n && !at_top(m, n - 1)) ? NULL : value_new(m->store, VALUE_TUPLE);

	if (!v) {
		fail(m, value_fault(m->store));
		return;
	}
	move_in(m, v, n);
	if (m->err)
		return;
	m->stack.n -= is_marked;
	push(m, v);
}

static void make_tuple_marked(struct machine *m)
{
	uint32_t n = above_mark(m);

	if (!m->err)
		make_tuple(m, n, true);
}

/* ---- the machine --------------------------------------------------------------------------- */

static void check_version(struct machine *m)
{
	uint64_t version = take_number(m, 1);

	if (version < PROTO_MIN || version > PROTO_MAX)
		fail(m, SIO_ERR_PROTO);
}

/* Its length says how much may be read ahead. */
static void check_frame(struct machine *m)
{
	uint64_t n = take_number(m, 8);

	if (n > (uint64_t)(m->end - m->p))
		fail(m, SIO_ERR_PROTO);
}

static void step(struct machine *m, enum code code)
{
	switch (code) {
	case FRAME: check_frame(m); return;
	case MEMOIZE: remember(m, m->memo.n); return;
	case BINPUT: remember(m, take_number(m, 1)); return;
	case LONG_BINPUT: remember(m, take_number(m, 4)); return;
	case BINGET: recall(m, take_number(m, 1)); return;
	case LONG_BINGET: recall(m, take_number(m, 4)); return;
	case SHORT_BINUNICODE: put_text(m, take_number(m, 1)); return;
	case BINUNICODE: put_text(m, take_number(m, 4)); return;
	case BINUNICODE8: put_text(m, take_number(m, 8)); return;
	case SHORT_BINBYTES: put_blob(m, take_number(m, 1)); return;
	case BINBYTES: put_blob(m, take_number(m, 4)); return;
	case BINBYTES8: case BYTEARRAY8: put_blob(m, take_number(m, 8)); return;
	case NONE: make(m, VALUE_NULL); return;
	case NEWTRUE: put_bool(m, true); return;
	case NEWFALSE: put_bool(m, false); return;
	case BININT1: put_int(m, (int64_t)take_number(m, 1)); return;
	case BININT2: put_int(m, (int64_t)take_number(m, 2)); return;
	case BININT: put_int(m, (int32_t)take_number(m, 4)); return;
	case LONG1: put_long(m, (unsigned)take_number(m, 1)); return;
	case BINFLOAT: put_float(m); return;
	case EMPTY_DICT: make(m, VALUE_MAP); return;
	case EMPTY_LIST: make(m, VALUE_LIST); return;
	case EMPTY_TUPLE: make(m, VALUE_TUPLE); return;
	case MARK: push(m, NULL); return;
	case SETITEM: add_plain(m, VALUE_MAP, 2); return;
	case SETITEMS: add_marked(m, VALUE_MAP); return;
	case APPEND: add_plain(m, VALUE_LIST, 1); return;
	case APPENDS: add_marked(m, VALUE_LIST); return;
	case TUPLE: make_tuple_marked(m); return;
	case TUPLE1: make_tuple(m, 1, false); return;
	case TUPLE2: make_tuple(m, 2, false); return;
	case TUPLE3: make_tuple(m, 3, false); return;
	default: fail(m, SIO_ERR_PROTO); return; /* PROTO stands once, in front */
	}
}

static int run(struct machine *m, struct value **out)
{
	uint64_t code = 0;

	if (take_number(m, 1) != PROTO)
		return SIO_ERR_PROTO;
	check_version(m);
	while (!m->err && (code = take_number(m, 1)) != STOP)
		step(m, (enum code)code);
	if (!m->err && (m->p != m->end || m->stack.n != 1 || !m->stack.at[0]))
		fail(m, SIO_ERR_PROTO);
	if (!m->err)
		*out = m->stack.at[0];
	return m->err;
}

int pickle_read(sio_slice bytes, struct value_store *store, struct value **out)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	struct machine m = { .p = p, .end = p + bytes.n, .store = store };
	int err = bytes.n > VALUE_BYTES_MAX ? SIO_ERR_LIMIT : run(&m, out);

	free(m.stack.at);
	free(m.memo.at);
	return err;
}
