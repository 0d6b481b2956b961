/* fuzz_pickle.c -- whatever a pickle says, it becomes JSON or an error, within the limits.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <assert.h>
#include <stdlib.h>

#include <sio/json.h>

#include "codec/pickle.h"
#include "codec/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct value_store store = { 0 };
	struct value_blobs blobs = { .n = 0 };
	struct buf text = { 0 };
	struct value *v;

	if (pickle_read(sio_bytes(data, n), &store, &v) == SIO_OK && value_json(&text, v, &blobs) == SIO_OK) {
		assert(sio_json_check(buf_peek(&text)) == SIO_OK && utf8_ok(text.p, text.n));
		assert(blobs.n <= SIO_ATTACHMENTS_MAX && store.count <= VALUE_COUNT_MAX);
	}
	value_fini(&store);
	buf_fini(&text);
	return 0;
}
