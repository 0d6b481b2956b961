/* codec_ws_deflate_test.c -- offers of permessage-deflate and what is answered.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "base/buf.h"
#include "codec/ws_deflate.h"
#include "lib/guard.h"

#define BOTH "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

/* offer, answer ("": declined) */
static const struct {
	const char *offer, *answer;
} rows[] = {
	{ "permessage-deflate", BOTH },
	{ "permessage-deflate; client_max_window_bits", BOTH }, /* browsers */
	{ "permessage-deflate;client_max_window_bits", BOTH },
	{ "  permessage-deflate  ;\tclient_max_window_bits  ", BOTH },
	{ "Permessage-Deflate; Client_Max_Window_Bits", BOTH },
	{ "permessage-deflate; client_max_window_bits=8", BOTH },
	{ "permessage-deflate; client_max_window_bits=15", BOTH },
	{ "permessage-deflate; client_max_window_bits=\"10\"", BOTH },
	{ "permessage-deflate; client_max_window_bits = 10", BOTH },
	{ "permessage-deflate; server_no_context_takeover", BOTH },
	{ "permessage-deflate; client_no_context_takeover", BOTH },
	{ "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits", BOTH },

	/* the window of what we compress */
	{ "permessage-deflate; server_max_window_bits=15", BOTH "; server_max_window_bits=15" },
	{ "permessage-deflate; server_max_window_bits=10", BOTH "; server_max_window_bits=10" },
	{ "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9", BOTH "; server_max_window_bits=9" },
	{ "permessage-deflate; server_max_window_bits=8", BOTH "; server_max_window_bits=8" },
	{ "permessage-deflate; server_max_window_bits=\"12\"", BOTH "; server_max_window_bits=12" },

	/* windows that are none */
	{ "permessage-deflate; server_max_window_bits", "" },
	{ "permessage-deflate; server_max_window_bits=7", "" },
	{ "permessage-deflate; server_max_window_bits=16", "" },
	{ "permessage-deflate; server_max_window_bits=0", "" },
	{ "permessage-deflate; server_max_window_bits=99", "" },
	{ "permessage-deflate; server_max_window_bits=010", "" },
	{ "permessage-deflate; server_max_window_bits=10.0", "" },
	{ "permessage-deflate; server_max_window_bits=+9", "" },
	{ "permessage-deflate; server_max_window_bits=-9", "" },
	{ "permessage-deflate; server_max_window_bits=0x9", "" },
	{ "permessage-deflate; server_max_window_bits=1a", "" },
	{ "permessage-deflate; server_max_window_bits=:", "" },
	{ "permessage-deflate; server_max_window_bits=4294967305", "" },
	{ "permessage-deflate; server_max_window_bits=\"1\\0\"", "" },
	{ "permessage-deflate; client_max_window_bits=7", "" },
	{ "permessage-deflate; client_max_window_bits=16", "" },
	{ "permessage-deflate; client_max_window_bits=99", "" }, /* hostile 132 */
	{ "permessage-deflate; client_max_window_bits=x", "" },

	/* parameters that are unknown, repeated, or have a value they may not have */
	{ "permessage-deflate; unknown", "" },
	{ "permessage-deflate; unknown=1; client_max_window_bits", "" },
	{ "permessage-deflate; server_no_context_takeover=1", "" },
	{ "permessage-deflate; server_no_context_takeover=true", "" },
	{ "permessage-deflate; client_no_context_takeover=\"10\"", "" },
	{ "permessage-deflate; server_no_context_takeover; server_no_context_takeover", "" },
	{ "permessage-deflate; client_max_window_bits; client_max_window_bits", "" },
	{ "permessage-deflate; client_max_window_bits=10; client_max_window_bits", "" },
	{ "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", "" },
	{ "permessage-deflate; mux", "" },

	/* several offers: the first that is acceptable */
	{ "permessage-deflate; server_max_window_bits=10, permessage-deflate", BOTH "; server_max_window_bits=10" },
	{ "permessage-deflate, permessage-deflate; server_max_window_bits=10", BOTH },
	{ "permessage-deflate; unknown, permessage-deflate; server_max_window_bits=9", BOTH "; server_max_window_bits=9" },
	{ "permessage-deflate; server_max_window_bits=7, permessage-deflate", BOTH },
	{ "permessage-bzip2, permessage-deflate", BOTH },
	{ "x-webkit-deflate-frame, permessage-deflate; client_max_window_bits", BOTH },
	{ "foo; bar=\"a, permessage-deflate; b\", permessage-deflate; server_max_window_bits=11", BOTH "; server_max_window_bits=11" },
	{ "foo; bar=\"a\\\"b\", permessage-deflate", BOTH },
	{ ",, permessage-deflate ,,", BOTH },
	{ "permessage-deflate,", BOTH },

	/* none of ours */
	{ "", "" },
	{ "   ", "" },
	{ ",", "" },
	{ ",,,,", "" },
	{ "foo", "" },
	{ "permessage-deflat", "" },
	{ "permessage-deflate2", "" },
	{ "foo; permessage-deflate", "" },
	{ "foo; bar=permessage-deflate", "" },
	{ "foo; bar=\"permessage-deflate\"", "" },

	/* broken grammar: nothing of it counts */
	{ ";", "" },
	{ "=", "" },
	{ "permessage-deflate;", "" },
	{ "permessage-deflate;;client_max_window_bits", "" },
	{ "permessage-deflate; =10", "" },
	{ "permessage-deflate; server_max_window_bits=", "" },
	{ "permessage-deflate; server_max_window_bits=;", "" },
	{ "permessage-deflate; server_max_window_bits=\"\"", "" },
	{ "permessage-deflate; server_max_window_bits=\"10", "" },
	{ "permessage-deflate; server_max_window_bits=\"10\\", "" },
	{ "permessage-deflate; server_max_window_bits=10 10", "" },
	{ "permessage-deflate client_max_window_bits", "" },
	{ "permessage-deflate, @", "" },
	{ "permessage-deflate, foo bar", "" },
	{ "permessage-deflate, foo; bar=\"", "" },
	{ "permessage-deflate\x01", "" },
	{ "permessage-deflate\xff, foo", "" },
	{ "\"permessage-deflate\"", "" },
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = strlen(rows[i].offer);
		struct ws_deflate terms;
		char answer[WS_DEFLATE_ANSWER_MAX] = "";
		if (ws_deflate_take(sio_bytes(guard_put(rows[i].offer, n), n), &terms))
			ws_deflate_answer(&terms, answer);
		if (strcmp(answer, rows[i].answer) != 0)
			fail_msg("%s: answered \"%s\", wanted \"%s\"", rows[i].offer, answer, rows[i].answer);
	}
}

static bool take(struct buf *b)
{
	struct ws_deflate terms;

	assert_false(b->failed);
	return ws_deflate_take(buf_peek(b), &terms);
}

/* Hostile 131, 132: whatever is long is read once. */
static void test_long_values(void **state)
{
	static const char *const pieces[] = { " ", ",", ", ", "a,", ";", "a;a,", "permessage-deflate; x, ", "permessage-deflate;",
					      "\"", "\\", "a=\"b\";", "permessage-deflate; x=\"\\\"\", " };
	struct buf b = { 0 };
	struct timespec from, to;

	(void)state;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		buf_clear(&b);
		while (b.n < 4 << 20)
			buf_str(&b, pieces[i]);
		assert_false(take(&b));
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	/* Fifty megabytes: less than a second under the sanitizers, centuries if it were quadratic. */
	assert_true(to.tv_sec - from.tv_sec < 30);
	buf_clear(&b);
	buf_str(&b, "x; y=\"");
	while (b.n < 8192)
		buf_byte(&b, 'z');
	buf_str(&b, "\", permessage-deflate");
	assert_true(take(&b));
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_long_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
