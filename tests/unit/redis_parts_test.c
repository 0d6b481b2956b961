/* redis_parts_test.c -- the seal of messages, the list of nodes and the outbox, each alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/buf.h"
#include "redis/nodes.h"
#include "redis/outbox.h"
#include "redis/seal.h"

static const char anna[] = "anna-anna-anna-anna-", ben[] = "ben-ben-ben-ben-ben-";

/* ---- seal ------------------------------------------------------------------------------ */

enum { SEALED_MAX = 200 };

static sio_slice sealed(struct seal *seal, char out[SEALED_MAX], sio_slice channel, sio_slice message)
{
	assert_true(seal_write(seal, out, SEAL_MESSAGE, anna, 77, channel, message));
	memcpy(out + SEAL_HEAD, message.p, message.n);
	return sio_bytes(out, SEAL_HEAD + message.n);
}

static void what_was_sealed_is_read(void **state)
{
	struct seal seal;
	struct seal_head head;
	char space[SEALED_MAX];

	(void)state;
	for (int with = 0; with < 2; with++) {
		assert_int_equal(seal_init(&seal, with ? SIO_LIT("secret") : sio_bytes("", 0)), SIO_OK);
		assert_true(seal_read(&seal, sealed(&seal, space, SIO_LIT("c"), SIO_LIT("hello")), SIO_LIT("c"), &head));
		assert_true(sio_slice_eq(head.message, SIO_LIT("hello")));
		assert_true(sio_slice_eq(head.sender, sio_str(anna)));
		assert_int_equal(head.counter, 77);
		assert_int_equal(head.kind, SEAL_MESSAGE);
		assert_true(seal_read(&seal, sealed(&seal, space, SIO_LIT("c"), SIO_LIT("")), SIO_LIT("c"), &head));
		seal_fini(&seal);
	}
}

static void each_changed_bit_is_noticed(void **state)
{
	struct seal seal, other, none;
	struct seal_head head;
	char space[SEALED_MAX];
	sio_slice bytes;

	(void)state;
	assert_int_equal(seal_init(&seal, SIO_LIT("secret")), SIO_OK);
	assert_int_equal(seal_init(&other, SIO_LIT("Secret")), SIO_OK);
	assert_int_equal(seal_init(&none, sio_bytes("", 0)), SIO_OK);
	bytes = sealed(&seal, space, SIO_LIT("c"), SIO_LIT("hello"));
	for (size_t i = 0; i < bytes.n * 8; i++) {
		space[i / 8] ^= (char)(1 << i % 8);
		assert_false(seal_read(&seal, bytes, SIO_LIT("c"), &head));
		space[i / 8] ^= (char)(1 << i % 8);
	}
	for (size_t n = 0; n < bytes.n; n++)
		assert_false(seal_read(&seal, sio_bytes(bytes.p, n), SIO_LIT("c"), &head));
	assert_false(seal_read(&seal, bytes, SIO_LIT("d"), &head));
	assert_false(seal_read(&seal, bytes, SIO_LIT(""), &head));
	assert_false(seal_read(&other, bytes, SIO_LIT("c"), &head));
	assert_false(seal_read(&none, bytes, SIO_LIT("c"), &head));
	/* A byte that moves from the channel to the message makes another tag. */
	assert_true(seal_write(&seal, space, SEAL_MESSAGE, anna, 1, SIO_LIT("ab"), SIO_LIT("c")));
	memcpy(space + SEAL_HEAD, "bc", 2);
	assert_false(seal_read(&seal, sio_bytes(space, SEAL_HEAD + 2), SIO_LIT("a"), &head));
	/* And one without a tag is nothing for those with a secret. */
	assert_false(seal_read(&seal, sealed(&none, space, SIO_LIT("c"), SIO_LIT("hello")), SIO_LIT("c"), &head));
	seal_fini(&seal);
	seal_fini(&other);
	seal_fini(&none);
}

/* ---- nodes ------------------------------------------------------------------------------- */

static const uint64_t WALL = 1700000000000000, SKEW = SIO_REDIS_SKEW_S * 1000000ULL;

static enum nodes_verdict hear(struct nodes *nodes, const char *who, uint64_t counter, uint64_t now_ms)
{
	struct node *node;

	return nodes_hear(nodes, sio_str(who), counter, now_ms, WALL, &node);
}

static void nothing_is_heard_twice(void **state)
{
	struct nodes nodes;

	(void)state;
	nodes_init(&nodes);
	assert_int_equal(hear(&nodes, anna, WALL, 0), NODES_OK);
	assert_int_equal(hear(&nodes, anna, WALL, 1), NODES_REPEATED);
	assert_int_equal(hear(&nodes, anna, WALL - 1, 1), NODES_REPEATED);
	assert_int_equal(hear(&nodes, anna, WALL + 1, 1), NODES_OK);
	assert_int_equal(hear(&nodes, anna, WALL + 9 * SKEW, 1), NODES_OK); /* whom we know may have any clock */
	assert_int_equal(hear(&nodes, ben, WALL - SKEW - 1, 1), NODES_STALE);
	assert_int_equal(hear(&nodes, ben, WALL + SKEW + 1, 1), NODES_STALE);
	assert_int_equal(hear(&nodes, ben, WALL - SKEW, 1), NODES_OK);
	assert_int_equal(nodes.live_n, 2);
	nodes_fini(&nodes);
}

static void who_was_gone_comes_as_another(void **state)
{
	struct nodes nodes;
	struct node *node;
	char id[SIO_NODE_ID_LEN];

	(void)state;
	nodes_init(&nodes);
	assert_int_equal(nodes_hear(&nodes, sio_str(anna), WALL, 1000, WALL, &node), NODES_OK);
	assert_true(sio_slice_eq(sio_bytes(node->id, SIO_NODE_ID_LEN), sio_str(anna)));
	/* Heard at 1000 for a lease of 10000: at the next look it must not have been over for a while. */
	assert_null(nodes_silent(&nodes, 9000, 10000, 2000));
	assert_ptr_equal(nodes_silent(&nodes, 9001, 10000, 2000), node);
	nodes_leave(&nodes, node);
	assert_null(nodes_silent(&nodes, 9001, 10000, 2000)); /* told once */
	assert_int_equal(nodes.live_n, 0);
	assert_null(nodes_find(&nodes, sio_str(anna)));
	assert_int_equal(hear(&nodes, anna, WALL, 3000), NODES_REPEATED); /* what it had said */
	assert_int_equal(nodes_hear(&nodes, sio_str(anna), WALL + 1, 3000, WALL, &node), NODES_OK);
	assert_false(sio_slice_eq(sio_bytes(node->id, SIO_NODE_ID_LEN), sio_str(anna)));
	memcpy(id, node->id, sizeof(id));
	assert_ptr_equal(nodes_find(&nodes, sio_bytes(id, sizeof(id))), node);
	assert_int_equal(nodes.live_n, 1);
	nodes_leave(&nodes, node);
	assert_null(nodes_silent(&nodes, 3000 + NODES_KEEP_MS - 1, 10000, 2000));
	assert_int_equal(nodes.n, 1);
	assert_null(nodes_silent(&nodes, 3000 + NODES_KEEP_MS, 10000, 2000));
	assert_int_equal(nodes.n, 0);
	nodes_fini(&nodes);
}

static void so_many_and_no_more(void **state)
{
	struct nodes nodes;
	char id[SIO_NODE_ID_LEN + 1] = "node----------------";

	(void)state;
	nodes_init(&nodes);
	for (int i = 0; i <= SIO_REDIS_NODES_MAX; i++) {
		id[4] = (char)('A' + i / 64);
		id[5] = (char)('0' + i % 64);
		assert_int_equal(hear(&nodes, id, WALL, 0), i < SIO_REDIS_NODES_MAX ? NODES_OK : NODES_FULL);
	}
	nodes_fini(&nodes);
}

/* ---- outbox -------------------------------------------------------------------------------- */

static struct outbox box;

static int put(const char *message, uint64_t now_ms)
{
	return outbox_put(&box, SIO_LIT("ch"), SIO_LIT("H"), sio_str(message), now_ms, OUTBOX_MESSAGE);
}

static void expect_taken(bool is_sharded, const char *want)
{
	struct outbox_piece pieces[16];
	struct buf got = { 0 };
	size_t n = outbox_take(&box, is_sharded, pieces, 16);

	for (size_t i = 0; i < n; i++)
		buf_put(&got, pieces[i].p, pieces[i].n);
	buf_byte(&got, '\0');
	assert_string_equal(got.p, want);
	buf_fini(&got);
}

#define COMMAND(message, n) "*3\r\n$7\r\nPUBLISH\r\n$2\r\nch\r\n$" n "\r\nH" message "\r\n"

static void what_was_not_answered_goes_again(void **state)
{
	(void)state;
	outbox_init(&box, 10, 10000);
	assert_false(outbox_acked(&box));
	assert_int_equal(put("a", 1) | put("bb", 2), SIO_OK);
	expect_taken(false, COMMAND("a", "2") COMMAND("bb", "3"));
	assert_int_equal(put("c", 3), SIO_OK);
	expect_taken(false, ""); /* one write at a time */
	assert_true(outbox_acked(&box)); /* before the write is over */
	assert_int_equal(box.n, 3);
	outbox_wrote(&box);
	assert_int_equal(box.n, 2);
	expect_taken(false, COMMAND("c", "2"));
	outbox_wrote(&box);
	assert_true(outbox_acked(&box));
	outbox_rewind(&box); /* the connection is gone, c was not answered */
	expect_taken(true, "*3\r\n$8\r\nSPUBLISH\r\n$2\r\nch\r\n$2\r\nHc\r\n");
	outbox_wrote(&box);
	assert_true(outbox_acked(&box));
	assert_false(outbox_acked(&box));
	assert_int_equal(box.n + box.bytes, 0);
	outbox_fini(&box);
}

static int put_outside(const char *message)
{
	return outbox_put(&box, SIO_LIT("ch"), SIO_LIT("H"), sio_str(message), 5, OUTBOX_OUTSIDE);
}

#define SHARDED(message, n) "*3\r\n$8\r\nSPUBLISH\r\n$2\r\nch\r\n$" n "\r\nH" message "\r\n"

static void what_is_for_the_outside_goes_once(void **state)
{
	(void)state;
	outbox_init(&box, 10, 10000);
	assert_int_equal(put("a", 5) | put_outside("b") | put("c", 5) | put_outside("d") | put_outside("e"), SIO_OK);
	expect_taken(true, SHARDED("a", "2") COMMAND("b", "2") SHARDED("c", "2") COMMAND("d", "2") COMMAND("e", "2"));
	assert_int_equal(put_outside("f"), SIO_OK);
	assert_true(outbox_acked(&box)); /* a and b, before the write is over */
	assert_true(outbox_refused(&box));
	assert_int_equal(box.outside_lost, 1);
	outbox_wrote(&box);
	assert_int_equal(box.n, 4);
	assert_false(outbox_refused(&box)); /* c is a node's: that is no matter of theirs */
	outbox_rewind(&box); /* the connection is gone: c again, d and e are lost, f was not begun */
	assert_int_equal(box.outside_lost, 3);
	expect_taken(false, COMMAND("c", "2") COMMAND("f", "2"));
	outbox_wrote(&box);
	assert_true(outbox_acked(&box));
	assert_true(outbox_acked(&box));
	assert_false(outbox_acked(&box) || outbox_refused(&box));
	assert_int_equal(box.outside_sent, 1);
	assert_int_equal(box.n + box.bytes, 0);
	/* All of it lost, and the list is good still; what waits too long is lost as well. */
	assert_int_equal(put_outside("g"), SIO_OK);
	expect_taken(false, COMMAND("g", "2"));
	outbox_wrote(&box);
	outbox_rewind(&box);
	assert_int_equal(put("h", 1) | put_outside("i"), SIO_OK);
	assert_int_equal(outbox_expire(&box, 9), 1);
	assert_int_equal(box.outside_lost, 5);
	assert_int_equal(put_outside("j"), SIO_OK);
	expect_taken(false, COMMAND("j", "2"));
	outbox_wrote(&box);
	outbox_fini(&box);
}

static void it_is_bounded(void **state)
{
	(void)state;
	outbox_init(&box, 2, 10000);
	assert_int_equal(put("a", 1) | put("b", 2), SIO_OK);
	assert_int_equal(put("c", 3), SIO_ERR_BUSY);
	assert_int_equal(outbox_put(&box, SIO_LIT("ch"), SIO_LIT("H"), SIO_LIT("!"), 3, OUTBOX_URGENT), SIO_OK);
	assert_int_equal(outbox_expire(&box, 2), 1);
	assert_int_equal(outbox_expire(&box, 2), 0);
	expect_taken(false, COMMAND("b", "2") COMMAND("!", "2"));
	outbox_wrote(&box);
	outbox_fini(&box);
	outbox_init(&box, 100, 300);
	while (put("0123456789", 0) == SIO_OK)
		assert_true(box.bytes <= 300);
	assert_true(box.n >= 1);
	outbox_fini(&box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sealed_is_read),
		cmocka_unit_test(each_changed_bit_is_noticed),
		cmocka_unit_test(nothing_is_heard_twice),
		cmocka_unit_test(who_was_gone_comes_as_another),
		cmocka_unit_test(so_many_and_no_more),
		cmocka_unit_test(what_was_not_answered_goes_again),
		cmocka_unit_test(what_is_for_the_outside_goes_once), cmocka_unit_test(it_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
