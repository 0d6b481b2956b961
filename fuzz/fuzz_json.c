/* fuzz_json.c -- the scanner agrees with its own walks, and strings come back.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include <sio/json.h>

#include "codec/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Elements of a checked array or object's list, all of which must be found. */
static void walk(sio_slice value)
{
	sio_slice rest = sio_json_inside(value), item;
	int err;

	while ((err = sio_json_next(&rest, &item)) == SIO_OK)
		assert(sio_json_check(item) == SIO_OK);
	assert(err == SIO_ERR_NOENT);
}

static void unquote(sio_slice value)
{
	char *plain = malloc(value.n + 1), *quoted = malloc(value.n * 6 + 2), *again = malloc(value.n + 1);
	long n = sio_json_unquote(value, plain, value.n + 1), m;

	if (n >= 0) {
		size_t len = sio_json_quote(sio_bytes(plain, (size_t)n), quoted, value.n * 6 + 2);
		assert(len <= value.n * 6 + 2);
		m = sio_json_unquote(sio_bytes(quoted, len), again, value.n + 1);
		assert(m == n && memcmp(plain, again, (size_t)n) == 0);
	}
	free(plain), free(quoted), free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sio_json_field fields[] = { { .key = "a" }, { .key = "num" } };
	sio_slice text = sio_bytes(data, n), rest = text, item;
	int64_t v;
	int err;

	if (!utf8_ok(data, n))
		return 0;
	err = sio_json_check(text);
	assert(err == SIO_OK || err == SIO_ERR_PROTO || err == SIO_ERR_LIMIT);
	if (err == SIO_OK && sio_json_type(text) == SIO_JSON_ARRAY)
		walk(text);
	assert(err != SIO_OK || sio_json_type(text) != SIO_JSON_NONE);
	int picked = sio_json_pick(text, fields, 2);
	if (picked == SIO_OK || picked == SIO_ERR_LIMIT)
		assert(err == picked && sio_json_type(text) == SIO_JSON_OBJECT);
	if (err == SIO_OK && sio_json_type(text) == SIO_JSON_OBJECT)
		assert(picked == SIO_OK || picked == SIO_ERR_EXISTS);
	while (sio_json_next(&rest, &item) == SIO_OK)
		assert(sio_json_check(item) == SIO_OK);
	unquote(text);
	(void)!sio_json_int(text, &v);
	return 0;
}
