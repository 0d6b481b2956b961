/* codec_cluster_test.c -- messages between servers: vectors, prefixes, the way back, limits.
 *
 * A vector's expect is the message in words, in the order of its fields; a byte that is no
 * text stands as \xff.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/cluster.h"
#include "codec/utf8.h"
#include "lib/guard.h"
#include "lib/vectors.h"

static const char *const words[CLUSTER_NTYPES] = {
	[CLUSTER_EMIT] = "emit",   [CLUSTER_ASK] = "ask",           [CLUSTER_COUNT] = "count",
	[CLUSTER_ANSWER] = "answer", [CLUSTER_GONE] = "gone",         [CLUSTER_JOIN] = "join",
	[CLUSTER_LEAVE] = "leave", [CLUSTER_DISCONNECT] = "disconnect", [CLUSTER_FETCH] = "fetch",
	[CLUSTER_FOUND] = "found", [CLUSTER_SERVER_EMIT] = "server-emit", [CLUSTER_LATE] = "late",
	[CLUSTER_CARRY] = "carry", [CLUSTER_CARRY_ON] = "carry-on", [CLUSTER_CARRY_BACK] = "carry-back",
};

static void log_names(struct buf *log, const char *what, const sio_slice *s, uint32_t n)
{
	buf_str(log, what);
	for (uint32_t i = 0; i < n; i++) {
		if (i)
			buf_byte(log, ',');
		if (utf8_ok(s[i].p, s[i].n))
			buf_slice(log, s[i]);
		else
			buf_printf(log, "\\x%02x", (unsigned char)s[i].p[0]);
	}
	buf_str(log, "] ");
}

static void log_args(struct buf *log, const struct cluster_message *m)
{
	buf_str(log, "json=");
	buf_slice(log, m->json);
	buf_byte(log, ' ');
	for (unsigned i = 0; i < m->attachments_n; i++)
		buf_printf(log, "+%zu ", m->attachments[i].n);
}

static void log_sockets(struct buf *log, const struct cluster_message *m)
{
	sio_slice rest = m->sockets, *rooms = malloc((m->socket_rooms_n + 1) * sizeof(*rooms));
	struct cluster_socket s;
	size_t rooms_n = 0;
	uint32_t n = 0;

	while (cluster_next_socket(&rest, &s, rooms)) {
		buf_byte(log, '{');
		buf_slice(log, s.id);
		log_names(log, " [", s.rooms, s.rooms_n);
		buf_slice(log, s.data);
		buf_str(log, "} ");
		rooms_n += s.rooms_n;
		n++;
	}
	assert_int_equal(n, m->sockets_n);
	assert_int_equal(rooms_n, m->socket_rooms_n);
	free(rooms);
}

static void log_message(struct buf *log, const struct cluster_message *m)
{
	enum cluster_type t = m->type;
	bool has_target = t == CLUSTER_EMIT || t == CLUSTER_ASK || t == CLUSTER_FETCH ||
			  (t >= CLUSTER_JOIN && t <= CLUSTER_DISCONNECT);
	bool has_id = m->id || t == CLUSTER_SERVER_EMIT;

	buf_printf(log, "%s ", words[t]);
	if (has_id)
		buf_printf(log, "id=%llu ", (unsigned long long)m->id);
	if (m->nsp.n) {
		buf_str(log, "nsp=");
		buf_slice(log, m->nsp);
		buf_byte(log, ' ');
	}
	if (has_target) {
		log_names(log, "rooms=[", m->rooms, m->rooms_n);
		log_names(log, "except=[", m->except, m->except_n);
	}
	if (m->is_volatile)
		buf_str(log, "volatile ");
	if (t == CLUSTER_EMIT)
		buf_printf(log, "key=%u ", m->latest_key);
	if (t == CLUSTER_ASK)
		buf_printf(log, "timeout=%u ", m->timeout_ms);
	if (t == CLUSTER_COUNT)
		buf_printf(log, "n=%u ", m->count);
	if (m->room.n) {
		buf_str(log, "room=");
		buf_slice(log, m->room);
		buf_byte(log, ' ');
	}
	if (m->closes_session)
		buf_str(log, "close ");
	if (t == CLUSTER_EMIT || t == CLUSTER_ASK || t == CLUSTER_SERVER_EMIT) {
		buf_str(log, "name=");
		buf_slice(log, m->name);
		buf_byte(log, ' ');
	}
	if (t == CLUSTER_EMIT || t == CLUSTER_ASK || t == CLUSTER_SERVER_EMIT || t == CLUSTER_ANSWER)
		log_args(log, m);
	if (m->is_last)
		buf_str(log, "last ");
	log_sockets(log, m);
	if (t == CLUSTER_CARRY)
		buf_printf(log, "%s%.*s %.*s ", m->is_secure ? "secure " : "", (int)m->address.n, m->address.p, (int)m->host.n, m->host.p);
	if (t >= CLUSTER_CARRY && t <= CLUSTER_CARRY_BACK)
		buf_printf(log, "at=%llu taken=%u end=%u bytes=%.*s ", (unsigned long long)m->at, m->taken, m->end, (int)m->bytes.n, m->bytes.p);
}

static sio_slice names[64];

/* A message has one form: what was read is written as it was. */
static void there_and_back(sio_slice wire, const struct cluster_message *m)
{
	struct buf out = { 0 };

	assert_int_equal(cluster_write(&out, m), SIO_OK);
	assert_true(sio_slice_eq(buf_peek(&out), wire));
	buf_fini(&out);
}

static void check(const char *name, sio_slice wire, const char *expect)
{
	struct cluster_message m;
	struct buf log = { 0 };
	int err = cluster_read(sio_bytes(guard_put(wire.p, wire.n), wire.n), &m, names, 64);

	if (err < 0) {
		assert_int_equal(err, SIO_ERR_PROTO);
		buf_str(&log, "PROTO");
	} else {
		log_message(&log, &m);
		there_and_back(wire, &m);
	}
	if (!sio_slice_eq(buf_peek(&log), sio_str(expect)))
		fail_msg("%s:\n got %.*s\nwant %s", name, (int)log.n, log.p, expect);
	buf_fini(&log);
	/* Part of a message is none, and nothing behind it is looked at. */
	for (size_t n = 0; err == SIO_OK && n < wire.n; n++)
		assert_int_equal(cluster_read(sio_bytes(guard_put(wire.p, n), n), &m, names, 64), SIO_ERR_PROTO);
}

static void test_vectors(void **state)
{
	(void)state;
	assert_true(vectors_run("cluster.json", check) > 60);
}

/* Names that do not fit are counted, so that the caller knows what to bring. */
static void test_names_that_do_not_fit(void **state)
{
	sio_slice rooms[3] = { SIO_LIT("a"), SIO_LIT("b"), SIO_LIT("c") }, got[5];
	struct cluster_message m = { .type = CLUSTER_EMIT, .nsp = SIO_LIT("/"), .rooms = rooms, .rooms_n = 3,
				     .except = rooms, .except_n = 1, .skip = SIO_LIT("me") };
	struct buf out = { 0 };

	(void)state;
	assert_int_equal(cluster_write(&out, &m), SIO_OK);
	for (uint32_t n = 0; n < 5; n++) {
		assert_int_equal(cluster_read(buf_peek(&out), &m, n ? got : NULL, n), SIO_ERR_LIMIT);
		assert_int_equal(m.names_n, 5);
	}
	assert_int_equal(cluster_read(buf_peek(&out), &m, got, 5), SIO_OK);
	assert_int_equal(m.rooms_n, 3);
	assert_int_equal(m.except_n, 2); /* skip is one more of them */
	assert_true(sio_slice_eq(m.rooms[2], SIO_LIT("c")));
	assert_true(sio_slice_eq(m.except[0], SIO_LIT("a")));
	assert_true(sio_slice_eq(m.except[1], SIO_LIT("me")));
	buf_fini(&out);
}

static void test_limits(void **state)
{
	static char big[SIO_ADAPTER_MESSAGE_MAX + 1];
	static sio_slice many[CLUSTER_NAMES_MAX + 1];
	struct cluster_message m = { .type = CLUSTER_EMIT, .nsp = SIO_LIT("/"), .name = SIO_LIT("e") };
	sio_slice *got = calloc(CLUSTER_NAMES_MAX + 1, sizeof(*got));
	size_t head;
	struct buf out = { 0 };

	(void)state;
	memset(big, '1', sizeof(big));
	assert_int_equal(cluster_write(&out, &m), SIO_OK);
	head = out.n;
	m.json = sio_bytes(big, SIO_ADAPTER_MESSAGE_MAX - head);
	buf_clear(&out);
	assert_int_equal(cluster_write(&out, &m), SIO_OK);
	assert_int_equal(out.n, SIO_ADAPTER_MESSAGE_MAX);
	assert_int_equal(cluster_read(buf_peek(&out), &m, NULL, 0), SIO_OK);
	buf_byte(&out, '1'); /* well-formed or not, it is too long */
	assert_int_equal(cluster_read(buf_peek(&out), &m, NULL, 0), SIO_ERR_PROTO);
	m = (struct cluster_message){ .type = CLUSTER_EMIT, .nsp = SIO_LIT("/"), .name = SIO_LIT("e") };
	m.json = sio_bytes(big, SIO_ADAPTER_MESSAGE_MAX - head + 1);
	buf_clear(&out);
	assert_int_equal(cluster_write(&out, &m), SIO_ERR_LIMIT);
	m.json.n = SIO_ADAPTER_MESSAGE_MAX + 1;
	assert_int_equal(cluster_write(&out, &m), SIO_ERR_LIMIT);

	m.json.n = 0;
	m.rooms = many;
	m.rooms_n = CLUSTER_NAMES_MAX - 1; /* and one place for skip */
	buf_clear(&out);
	assert_int_equal(cluster_write(&out, &m), SIO_OK);
	assert_int_equal(cluster_read(buf_peek(&out), &m, got, CLUSTER_NAMES_MAX), SIO_OK);
	m.rooms = many;
	m.rooms_n = CLUSTER_NAMES_MAX;
	buf_clear(&out);
	assert_int_equal(cluster_write(&out, &m), SIO_ERR_LIMIT);
	m.rooms_n = 0;
	m.attachments = many;
	m.attachments_n = SIO_ATTACHMENTS_MAX + 1;
	assert_int_equal(cluster_write(&out, &m), SIO_ERR_LIMIT);
	buf_fini(&out);
	free(got);
}

static void test_carried_pieces(void **state)
{
	static char big[CLUSTER_PIECE_MAX + 1];
	struct cluster_message m = { .type = CLUSTER_CARRY, .id = 1, .bytes = sio_bytes(big, CLUSTER_PIECE_MAX) };
	struct buf out = { 0 };

	(void)state;
	m.host = sio_bytes(big, CLUSTER_HOST_MAX);
	assert_int_equal(cluster_write(&out, &m), SIO_OK);
	assert_int_equal(cluster_read(buf_peek(&out), &m, NULL, 0), SIO_OK);
	m.bytes = sio_bytes(big, CLUSTER_PIECE_MAX + 1);
	assert_int_equal(cluster_write(&out, &m), SIO_ERR_LIMIT);
	m.bytes.n = 0;
	m.host = sio_bytes(big, CLUSTER_HOST_MAX + 1);
	assert_int_equal(cluster_write(&out, &m), SIO_ERR_LIMIT);
	/* What another program forges: the length of bytes stands in front of them. */
	m = (struct cluster_message){ .type = CLUSTER_CARRY_ON, .id = 1, .bytes = sio_bytes(big, CLUSTER_PIECE_MAX) };
	buf_clear(&out);
	assert_int_equal(cluster_write(&out, &m), SIO_OK);
	buf_byte(&out, '\0');
	out.p[out.n - 1 - CLUSTER_PIECE_MAX - 1]++;
	assert_int_equal(cluster_read(buf_peek(&out), &m, NULL, 0), SIO_ERR_PROTO);
	buf_fini(&out);
}

/* What another program forges: one name more than may be. */
static void test_too_many_names_are_refused(void **state)
{
	static const char head[] = "sk\1\1\0\0\0\1/\0\1\0\1"; /* EMIT, "/", 65,537 rooms */
	sio_slice *got = calloc(CLUSTER_NAMES_MAX + 2, sizeof(*got));
	struct cluster_message m;
	struct buf out = { 0 };

	(void)state;
	buf_put(&out, head, sizeof(head) - 1);
	for (int i = 0; i < (CLUSTER_NAMES_MAX + 1) * 4; i++)
		buf_byte(&out, '\0');
	buf_put(&out, "\0\0\0\0\0\0\0\0\0\0\0\0\1e\0\0\0\0\0", 19); /* no except, no key, "e", no arguments */
	assert_int_equal(cluster_read(buf_peek(&out), &m, got, CLUSTER_NAMES_MAX + 2), SIO_ERR_PROTO);
	out.p[12] = 0; /* 65,536: well-formed but for the name that is left over */
	assert_int_equal(cluster_read(buf_peek(&out), &m, got, CLUSTER_NAMES_MAX + 2), SIO_ERR_PROTO);
	memmove(out.p + 13, out.p + 17, out.n - 17);
	out.n -= 4;
	assert_int_equal(cluster_read(buf_peek(&out), &m, got, CLUSTER_NAMES_MAX + 2), SIO_OK);
	buf_fini(&out);
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_names_that_do_not_fit),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_carried_pieces),
		cmocka_unit_test(test_too_many_names_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
