/* base_map_test.c -- the hash table: SipHash, growth, collisions, walks.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"

struct item {
	int number;
	struct map_node node;
	char key[16];
};

static sio_slice name_item(struct item *item, int number)
{
	item->number = number;
	snprintf(item->key, sizeof(item->key), "key-%d", number);
	return sio_str(item->key);
}

/* The paper's appendix A: key 00..0f, input 00..0e.  Its other vectors, from the
 * reference implementation: input 00..n-1. */
static void test_siphash(void **state)
{
	const uint64_t seed[2] = { UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908) };
	unsigned char in[15];

	(void)state;
	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (unsigned char)i;
	assert_true(map_hash(seed, in, 15) == UINT64_C(0xa129ca6149be45e5));
	assert_true(map_hash(seed, in, 0) == UINT64_C(0x726fdb47dd0e0e31));
	assert_true(map_hash(seed, in, 1) == UINT64_C(0x74f839c593dc67fd));
	assert_true(map_hash(seed, in, 8) == UINT64_C(0x93f5f5799a932462));
}

static void test_put_get_del(void **state)
{
	enum { N = 5000 };
	struct item *items = calloc(N, sizeof(*items));
	struct map m;

	(void)state;
	map_init(&m);
	assert_null(map_get(&m, SIO_LIT("key-1")));
	for (int i = 0; i < N; i++)
		assert_int_equal(map_put(&m, &items[i].node, name_item(&items[i], i)), SIO_OK);
	assert_int_equal(m.n, N);
	assert_true(2 * (m.mask + 1) >= N);
	for (int i = 0; i < N; i++) {
		struct map_node *node = map_get(&m, sio_str(items[i].key));
		assert_ptr_equal(MAP_OWNER(node, struct item, node), &items[i]);
	}
	for (int i = 0; i < N; i += 2)
		map_del(&m, &items[i].node);
	for (int i = 0; i < N; i++)
		assert_int_equal(map_get(&m, sio_str(items[i].key)) != NULL, i % 2);
	map_fini(&m);
	free(items);
}

/* All in one bucket of the smallest table: found by comparing keys. */
static void test_collisions(void **state)
{
	static struct item items[12];
	struct map m;
	int n = 0;

	(void)state;
	map_init(&m);
	for (int number = 0; n < 12; number++) {
		sio_slice key = name_item(&items[n], number);
		if ((map_hash(m.seed, key.p, key.n) & 15) != 7)
			continue;
		assert_int_equal(map_put(&m, &items[n].node, key), SIO_OK);
		n++;
	}
	assert_int_equal(m.mask, 15);
	for (int i = 0; i < 12; i++)
		assert_ptr_equal(map_get(&m, sio_str(items[i].key)), &items[i].node);
	map_del(&m, &items[5].node); /* out of the middle of the chain */
	assert_null(map_get(&m, sio_str(items[5].key)));
	assert_ptr_equal(map_get(&m, sio_str(items[0].key)), &items[0].node);
	assert_ptr_equal(map_get(&m, sio_str(items[11].key)), &items[11].node);
	map_fini(&m);
}

static void test_keys_are_bytes(void **state)
{
	struct map_node a, b, empty;
	struct map m;

	(void)state;
	map_init(&m);
	assert_int_equal(map_put(&m, &a, sio_bytes("k\0a", 3)), SIO_OK);
	assert_int_equal(map_put(&m, &b, sio_bytes("k\0b", 3)), SIO_OK);
	assert_int_equal(map_put(&m, &empty, SIO_LIT("")), SIO_OK);
	assert_ptr_equal(map_get(&m, sio_bytes("k\0b", 3)), &b);
	assert_ptr_equal(map_get(&m, SIO_LIT("")), &empty);
	assert_null(map_get(&m, SIO_LIT("k")));
	map_fini(&m);
}

static void test_walk(void **state)
{
	enum { N = 100 };
	static struct item items[N];
	bool seen[N] = { false };
	struct map_node *node, *next;
	struct map m;
	uint32_t i;

	(void)state;
	map_init(&m);
	assert_null(map_first(&m, &i));
	for (int k = 0; k < N; k++)
		assert_int_equal(map_put(&m, &items[k].node, name_item(&items[k], k)), SIO_OK);
	for (node = map_first(&m, &i); node; node = next) {
		next = map_next(&m, &i, node);
		struct item *item = MAP_OWNER(node, struct item, node);
		assert_false(seen[item->number]);
		seen[item->number] = true;
		map_del(&m, node);
	}
	for (int k = 0; k < N; k++)
		assert_true(seen[k]);
	assert_int_equal(m.n, 0);
	map_fini(&m);
}

static void test_seeds_differ(void **state)
{
	struct map a, b;

	(void)state;
	map_init(&a);
	map_init(&b);
	assert_memory_not_equal(a.seed, b.seed, sizeof(a.seed));
	map_fini(&a);
	map_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash),        cmocka_unit_test(test_put_get_del),
		cmocka_unit_test(test_collisions),     cmocka_unit_test(test_keys_are_bytes),
		cmocka_unit_test(test_walk),           cmocka_unit_test(test_seeds_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
