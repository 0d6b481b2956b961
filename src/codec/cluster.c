/* cluster.c -- see cluster.h.  Knows which fields each type of message has; refuses to know
 * what they are for.
 *
 * Reading: the first error sticks, later reads give nothing, and the end checks once.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "codec/cluster.h"

#include <string.h>

#include "codec/eio.h"
#include "codec/packet.h"
#include "codec/utf8.h"

/* In the order in which they are written. */
enum {
	F_ID = 1 << 0,
	F_NSP = 1 << 1,
	F_TARGET = 1 << 2,
	F_VOLATILE = 1 << 3,
	F_TIMEOUT = 1 << 4,
	F_COUNT = 1 << 5,
	F_ROOM = 1 << 6,
	F_CLOSE = 1 << 7,
	F_NAME = 1 << 8,
	F_ARGS = 1 << 9,
	F_SOCKETS = 1 << 10,
	F_CLIENT = 1 << 11,
	F_STREAM = 1 << 12,
};

static const uint16_t types[CLUSTER_NTYPES] = {
	[CLUSTER_EMIT] = F_NSP | F_TARGET | F_VOLATILE | F_NAME | F_ARGS,
	[CLUSTER_ASK] = F_ID | F_NSP | F_TARGET | F_TIMEOUT | F_NAME | F_ARGS,
	[CLUSTER_COUNT] = F_ID | F_COUNT,
	[CLUSTER_ANSWER] = F_ID | F_ARGS,
	[CLUSTER_GONE] = F_ID,
	[CLUSTER_LATE] = F_ID,
	[CLUSTER_JOIN] = F_NSP | F_TARGET | F_ROOM,
	[CLUSTER_LEAVE] = F_NSP | F_TARGET | F_ROOM,
	[CLUSTER_DISCONNECT] = F_NSP | F_TARGET | F_CLOSE,
	[CLUSTER_FETCH] = F_ID | F_NSP | F_TARGET,
	[CLUSTER_FOUND] = F_ID | F_SOCKETS,
	[CLUSTER_SERVER_EMIT] = F_ID | F_NSP | F_NAME | F_ARGS,
	[CLUSTER_CARRY] = F_ID | F_CLIENT | F_STREAM,
	[CLUSTER_CARRY_ON] = F_ID | F_STREAM,
	[CLUSTER_CARRY_BACK] = F_ID | F_STREAM,
};

static bool may_have_no_id(enum cluster_type type)
{
	return type == CLUSTER_SERVER_EMIT;
}

/* ---- writing --------------------------------------------------------------------- */

static void put_number(struct buf *out, uint64_t v, int bytes)
{
	while (bytes-- > 0)
		buf_byte(out, (char)(v >> 8 * bytes));
}

static void put_string(struct buf *out, sio_slice s)
{
	put_number(out, s.n, 4);
	buf_slice(out, s);
}

static void put_strings(struct buf *out, const sio_slice *s, uint32_t n, sio_slice more)
{
	put_number(out, n + (more.n > 0), 4);
	for (uint32_t i = 0; i < n; i++)
		put_string(out, s[i]);
	if (more.n)
		put_string(out, more);
}

static void put_args(struct buf *out, const struct cluster_message *m)
{
	put_string(out, m->json);
	put_number(out, m->attachments_n, 1);
	for (unsigned i = 0; i < m->attachments_n; i++)
		put_string(out, m->attachments[i]);
}

static void put_fields(struct buf *out, const struct cluster_message *m, unsigned fields)
{
	if (fields & F_ID)
		put_number(out, m->id, 8);
	if (fields & F_NSP)
		put_string(out, m->nsp);
	if (fields & F_TARGET) {
		put_strings(out, m->rooms, m->rooms_n, (sio_slice){ 0 });
		put_strings(out, m->except, m->except_n, m->skip);
	}
	if (fields & F_VOLATILE) {
		put_number(out, m->is_volatile, 1);
		put_number(out, m->latest_key, 4);
	}
	if (fields & F_TIMEOUT)
		put_number(out, m->timeout_ms, 4);
	if (fields & F_COUNT)
		put_number(out, m->count, 4);
	if (fields & F_ROOM)
		put_string(out, m->room);
	if (fields & F_CLOSE)
		put_number(out, m->closes_session, 1);
	if (fields & F_NAME)
		put_string(out, m->name);
	if (fields & F_ARGS)
		put_args(out, m);
	if (fields & F_SOCKETS) {
		put_number(out, m->is_last, 1);
		put_number(out, m->sockets_n, 4);
		buf_slice(out, m->sockets);
	}
	if (fields & F_CLIENT) {
		put_number(out, m->is_secure, 1);
		put_string(out, m->address);
		put_string(out, m->host);
	}
	if (fields & F_STREAM) {
		put_number(out, m->at, 8);
		put_number(out, m->taken, 4);
		put_number(out, m->end, 2);
		put_string(out, m->bytes);
	}
}

/* No length of it all may reach 2^32, nor be worth the copying. */
static bool is_too_large(const struct cluster_message *m)
{
	size_t bytes = m->nsp.n + m->room.n + m->name.n + m->json.n + m->sockets.n;

	if ((uint64_t)m->rooms_n + m->except_n + 1 + m->attachments_n > CLUSTER_NAMES_MAX ||
	    m->attachments_n > SIO_ATTACHMENTS_MAX || m->bytes.n > CLUSTER_PIECE_MAX ||
	    m->address.n > CLUSTER_ADDRESS_MAX || m->host.n > CLUSTER_HOST_MAX)
		return true;
	for (unsigned i = 0; i < m->attachments_n; i++)
		bytes += m->attachments[i].n;
	for (uint32_t i = 0; i < m->rooms_n; i++)
		bytes += m->rooms[i].n;
	for (uint32_t i = 0; i < m->except_n; i++)
		bytes += m->except[i].n;
	return bytes > SIO_ADAPTER_MESSAGE_MAX;
}

int cluster_write(struct buf *out, const struct cluster_message *m)
{
	size_t before = out->n;

	if (is_too_large(m))
		return SIO_ERR_LIMIT;
	buf_str(out, "sk");
	buf_byte(out, CLUSTER_VERSION);
	buf_byte(out, (char)m->type);
	put_fields(out, m, types[m->type]);
	if (out->failed)
		return SIO_ERR_NOMEM;
	return out->n - before > SIO_ADAPTER_MESSAGE_MAX ? SIO_ERR_LIMIT : SIO_OK;
}

void cluster_put_socket(struct buf *out, const struct cluster_socket *s)
{
	put_string(out, s->id);
	put_strings(out, s->rooms, s->rooms_n, (sio_slice){ 0 });
	put_string(out, s->data);
}

/* ---- reading ----------------------------------------------------------------------- */

struct reader {
	const char *p, *end;
	sio_slice *names;
	uint32_t names_n, names_max;
	bool is_bad;
};

static uint64_t get_number(struct reader *r, int bytes)
{
	uint64_t v = 0;

	if (r->end - r->p < bytes) {
		r->is_bad = true;
		r->p = r->end;
		return 0;
	}
	while (bytes-- > 0)
		v = v << 8 | (unsigned char)*r->p++;
	return v;
}

static bool get_bool(struct reader *r)
{
	uint64_t v = get_number(r, 1);

	r->is_bad |= v > 1;
	return v == 1;
}

static sio_slice get_string(struct reader *r)
{
	uint64_t n = get_number(r, 4);
	sio_slice s;

	if (n > (uint64_t)(r->end - r->p)) {
		r->is_bad = true;
		r->p = r->end;
		return sio_bytes(r->p, 0);
	}
	s = sio_bytes(r->p, (size_t)n);
	r->p += n;
	return s;
}

/* What goes into a packet of text may not break out of it. */
static sio_slice get_text(struct reader *r)
{
	sio_slice s = get_string(r);

	r->is_bad |= !utf8_ok(s.p, s.n) || (s.n && memchr(s.p, EIO_SEPARATOR, s.n));
	return s;
}

/* n strings go to names, or are counted where that is full. */
static const sio_slice *get_strings(struct reader *r, uint64_t n)
{
	const sio_slice *first = r->names_n < r->names_max ? r->names + r->names_n : NULL;

	if (n > CLUSTER_NAMES_MAX - r->names_n)
		r->is_bad = true;
	for (uint64_t i = 0; i < n && !r->is_bad; i++) {
		sio_slice s = get_string(r);
		if (r->names_n < r->names_max)
			r->names[r->names_n] = s;
		r->names_n++;
	}
	return first;
}

static void get_nsp(struct reader *r, struct cluster_message *m)
{
	m->nsp = get_string(r);
	r->is_bad |= m->nsp.n < 1 || m->nsp.n > PACKET_NSP_MAX || m->nsp.p[0] != '/';
}

static void get_target(struct reader *r, struct cluster_message *m)
{
	m->rooms_n = (uint32_t)get_number(r, 4);
	m->rooms = get_strings(r, m->rooms_n);
	m->except_n = (uint32_t)get_number(r, 4);
	m->except = get_strings(r, m->except_n);
}

static void get_args(struct reader *r, struct cluster_message *m)
{
	m->json = get_text(r);
	m->attachments_n = (unsigned)get_number(r, 1);
	if (m->attachments_n > SIO_ATTACHMENTS_MAX)
		r->is_bad = true;
	m->attachments = get_strings(r, m->attachments_n);
}

/* Walks over one socket's entry; how many rooms it has. */
static uint32_t skip_socket(struct reader *r)
{
	uint32_t n;

	r->is_bad |= get_string(r).n != SIO_ID_LEN;
	n = (uint32_t)get_number(r, 4);
	for (uint32_t i = 0; i < n && !r->is_bad; i++)
		get_string(r);
	get_text(r);
	return n;
}

static void get_sockets(struct reader *r, struct cluster_message *m)
{
	const char *first;

	m->is_last = get_bool(r);
	m->sockets_n = (uint32_t)get_number(r, 4);
	first = r->p;
	for (uint32_t i = 0; i < m->sockets_n && !r->is_bad; i++)
		m->socket_rooms_n += skip_socket(r);
	m->sockets = sio_bytes(first, (size_t)(r->p - first));
}

static void get_client(struct reader *r, struct cluster_message *m)
{
	m->is_secure = get_bool(r);
	m->address = get_string(r);
	m->host = get_string(r);
	r->is_bad |= m->address.n > CLUSTER_ADDRESS_MAX || m->host.n > CLUSTER_HOST_MAX;
}

static void get_stream(struct reader *r, struct cluster_message *m)
{
	m->at = get_number(r, 8);
	m->taken = (uint32_t)get_number(r, 4);
	m->end = (uint16_t)get_number(r, 2);
	m->bytes = get_string(r);
	r->is_bad |= m->bytes.n > CLUSTER_PIECE_MAX || m->end > CARRY_STATUS_MAX ||
		     (m->end > CARRY_CUT && m->end < CARRY_STATUS_MIN);
}

static void get_fields(struct reader *r, struct cluster_message *m, unsigned fields)
{
	if (fields & F_ID) {
		m->id = get_number(r, 8);
		r->is_bad |= m->id == 0 && !may_have_no_id(m->type);
	}
	if (fields & F_NSP)
		get_nsp(r, m);
	if (fields & F_TARGET)
		get_target(r, m);
	if (fields & F_VOLATILE) {
		m->is_volatile = get_bool(r);
		m->latest_key = (uint32_t)get_number(r, 4);
	}
	if (fields & F_TIMEOUT)
		m->timeout_ms = (uint32_t)get_number(r, 4);
	if (fields & F_COUNT) {
		m->count = (uint32_t)get_number(r, 4);
		r->is_bad |= m->count > CLUSTER_COUNT_MAX;
	}
	if (fields & F_ROOM)
		m->room = get_string(r);
	if (fields & F_CLOSE)
		m->closes_session = get_bool(r);
	if (fields & F_NAME)
		m->name = get_text(r);
	if (fields & F_ARGS)
		get_args(r, m);
	if (fields & F_SOCKETS)
		get_sockets(r, m);
	if (fields & F_CLIENT)
		get_client(r, m);
	if (fields & F_STREAM)
		get_stream(r, m);
}

int cluster_read(sio_slice bytes, struct cluster_message *out, sio_slice *names, uint32_t names_max)
{
	struct reader r = { .names = names, .names_max = names_max };
	unsigned type;

	*out = (struct cluster_message){ 0 };
	if (bytes.n < CLUSTER_HEAD || bytes.n > SIO_ADAPTER_MESSAGE_MAX || memcmp(bytes.p, "sk", 2) != 0 ||
	    bytes.p[2] != CLUSTER_VERSION)
		return SIO_ERR_PROTO;
	type = (unsigned char)bytes.p[3];
	if (type >= CLUSTER_NTYPES || !types[type])
		return SIO_ERR_PROTO;
	out->type = (enum cluster_type)type;
	r.p = bytes.p + CLUSTER_HEAD;
	r.end = bytes.p + bytes.n;
	get_fields(&r, out, types[type]);
	if (r.is_bad || r.p != r.end)
		return SIO_ERR_PROTO;
	out->names_n = r.names_n;
	return r.names_n > names_max ? SIO_ERR_LIMIT : SIO_OK;
}

bool cluster_next_socket(sio_slice *rest, struct cluster_socket *out, sio_slice *rooms)
{
	struct reader r = { 0 };

	if (rest->n == 0)
		return false;
	r.p = rest->p;
	r.end = rest->p + rest->n;
	out->id = get_string(&r);
	out->rooms = rooms;
	out->rooms_n = (uint32_t)get_number(&r, 4);
	for (uint32_t i = 0; i < out->rooms_n; i++) {
		sio_slice room = get_string(&r);
		if (rooms)
			rooms[i] = room;
	}
	out->data = get_string(&r);
	*rest = sio_bytes(r.p, (size_t)(r.end - r.p));
	return true;
}
