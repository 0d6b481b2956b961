/* fuzz_body.c -- bodies of the REST API: what passes the table of fields comes out as
 * JSON again, a mention lies in its text, a member that is added is there once.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sio/json.h>

#include "base/buf.h"
#include "store/fields.h"
#include "store/mention.h"
#include "store/payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct field_def defs[] = {
	{ "text", FIELD_TEXT, 200, NULL, "" },
	{ "title", FIELD_LABEL, 60, NULL, "x" },
	{ "user", FIELD_OPTIONAL, 30, NULL, NULL },
	{ "item", FIELD_ID, 30, NULL, NULL },
	{ "due", FIELD_DATE, 10, NULL, NULL },
	{ "status", FIELD_CHOICE, 10, "todo done", "todo" },
	{ "qty", FIELD_DECIMAL, 0, NULL, "0" },
	{ "position", FIELD_INT, 0, NULL, "0" },
	{ "task", FIELD_REF, 0, NULL, NULL },
	{ "total", FIELD_IGNORED, 0, NULL, "" },
};
enum { DEFS_N = sizeof(defs) / sizeof(defs[0]) };
static const struct field_table table = { "thing", defs, DEFS_N };

static void mentions(sio_slice text)
{
	sio_slice rest = text, run;

	while (mention_next(text, &rest, &run)) {
		assert(run.n > 0 && run.p > text.p && run.p + run.n <= text.p + text.n && run.p[-1] == '@');
		while (mention_shorten(&run))
			assert(run.n > 0);
	}
}

/* What was accepted is written as JSON that is accepted. */
static void write_again(const struct fields *f)
{
	struct buf b = { 0 };

	buf_byte(&b, '[');
	for (size_t i = 0; i + 1 < DEFS_N; i++) {
		buf_str(&b, i ? "," : "");
		fields_json(f, i, &b);
	}
	buf_byte(&b, ']');
	assert(!b.failed && sio_json_check(buf_peek(&b)) == SIO_OK);
	buf_fini(&b);
}

static void parse(sio_slice body)
{
	struct fields f;
	char error[256] = "";
	int r = fields_parse(&f, &table, body, error, sizeof(error));

	assert(r == SIO_OK || (r == SIO_ERR_INVAL && error[0]));
	if (r == SIO_OK && fields_complete(&f, DEFS_N, error, sizeof(error)) == SIO_OK) {
		write_again(&f);
		mentions(f.v[0].text);
	}
	fields_fini(&f);
}

static void add(sio_slice body)
{
	struct buf b = { 0 };
	bool has_seq = payload_has(body, "seq"), has_other = payload_has(body, "other");
	bool is_object = sio_json_type(body) == SIO_JSON_OBJECT;

	buf_slice(&b, body);
	payload_add_int(&b, "seq", "other", 42);
	assert(!b.failed && sio_json_check(buf_peek(&b)) == SIO_OK);
	assert(!is_object || payload_has(buf_peek(&b), has_seq ? "other" : "seq"));
	assert((is_object && !(has_seq && has_other)) || sio_slice_eq(buf_peek(&b), body));
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *copy = malloc(n ? n : 1); /* the sanitizer sees a byte too far */
	sio_slice body = sio_bytes(copy, n);

	memcpy(copy, data, n);
	parse(body);
	mentions(body);
	if (sio_json_check(body) == SIO_OK)
		add(body);
	free(copy);
	return 0;
}
