/* fuzz_headers.c -- header values of strangers: offers of WebSocket extensions and
 * Accept-Encoding.  Whatever they say, the answer is one that we can keep.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "codec/coding.h"
#include "codec/deflate.h"
#include "codec/ws_deflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool holds(sio_slice text, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= text.n; i++)
		if (strncasecmp(text.p + i, word, n) == 0)
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *copy = malloc(n ? n : 1), answer[WS_DEFLATE_ANSWER_MAX];
	struct http1_header header = { SIO_LIT("accept-encoding"), { copy, n } };
	struct http1_request req = { .headers = &header, .headers_n = 1 };
	struct ws_deflate terms, again;

	if (n)
		memcpy(copy, data, n);
	if (ws_deflate_take(sio_bytes(copy, n), &terms)) {
		assert(terms.window_bits >= DEFLATE_WINDOW_MIN && terms.window_bits <= DEFLATE_WINDOW_MAX);
		ws_deflate_answer(&terms, answer);
		/* An answer is an acceptable offer of the same. */
		assert(ws_deflate_take(sio_str(answer), &again) && again.window_bits == terms.window_bits);
	}
	if (coding_pick(&req) != CODING_NONE) /* nobody gets what nobody asked for */
		assert(holds(header.value, coding_name(coding_pick(&req))) || holds(header.value, "*"));
	free(copy);
	return 0;
}
