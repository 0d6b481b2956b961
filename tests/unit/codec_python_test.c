/* codec_python_test.c -- messages of python-socketio's managers, of all versions: vectors, each prefix.
 *
 * A vector's expect: see lib/neighbour_words.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/python.h"
#include "lib/guard.h"
#include "lib/neighbour_words.h"
#include "lib/vectors.h"

static int in_words(sio_slice wire, struct buf *log)
{
	struct neighbour n;
	int err = python_read(sio_bytes(guard_put(wire.p, wire.n), wire.n), SIO_LIT("own"), &n);

	words_neighbour(log, err, &n);
	buf_byte(log, '\0');
	neighbour_fini(&n);
	return err;
}

static void check(const char *name, sio_slice wire, const char *expect)
{
	struct buf log = { 0 };

	(void)name;
	in_words(wire, &log);
	assert_string_equal(log.p, expect);
	while (wire.n && strchr(" \n", wire.p[wire.n - 1])) /* blanks behind the end are no part of it */
		wire.n--;
	for (size_t n = 0; n < wire.n && wire.n < 1000; n++) {
		buf_clear(&log);
		assert_true(in_words(sio_bytes(wire.p, n), &log) < 0 || wire.p[n - 1] == '}');
	}
	buf_fini(&log);
}

static void test_vectors(void **state)
{
	(void)state;
	assert_true(vectors_run("python.json", check) > 90);
}

/* ---- writing ------------------------------------------------------------------------------ */

static const sio_slice two_rooms[] = { { "project:42", 10 }, { "user:7", 6 } };

static void expect_written(const struct neighbour *n, const char *expect)
{
	struct buf out = { 0 };

	assert_int_equal(python_write(&out, SIO_LIT("145d"), n), SIO_OK);
	buf_byte(&out, '\0');
	assert_string_equal(out.p, expect);
	buf_fini(&out);
}

static void what_is_written_is_what_the_manager_writes(void **state)
{
	struct neighbour n = { .kind = NEIGHBOUR_EMIT, .nsp = SIO_LIT("/board"), .name = SIO_LIT("note:\"add"), .json = SIO_LIT("{\"id\":7}"),
			       .rooms = two_rooms, .rooms_n = 1 };

	(void)state;
	expect_written(&n, "{\"method\": \"emit\", \"event\": \"note:\\\"add\", \"data\": {\"id\":7}, \"binary\": false, \"namespace\": \"/board\", "
			   "\"room\": \"project:42\", \"skip_sid\": null, \"callback\": null, \"host_id\": \"145d\"}");
	n.rooms_n = 2;
	n.except = two_rooms + 1;
	n.except_n = 1;
	n.skip = SIO_LIT("sid");
	expect_written(&n, "{\"method\": \"emit\", \"event\": \"note:\\\"add\", \"data\": {\"id\":7}, \"binary\": false, \"namespace\": \"/board\", "
			   "\"room\": [\"project:42\", \"user:7\"], \"skip_sid\": [\"user:7\", \"sid\"], \"callback\": null, \"host_id\": \"145d\"}");
	n.rooms_n = n.except_n = 0;
	expect_written(&n, "{\"method\": \"emit\", \"event\": \"note:\\\"add\", \"data\": {\"id\":7}, \"binary\": false, \"namespace\": \"/board\", "
			   "\"room\": null, \"skip_sid\": \"sid\", \"callback\": null, \"host_id\": \"145d\"}");
}

static void forms_of_arguments(void **state)
{
	/* json, data as it is written, and what the reader of the newest version makes of it. */
	static const char *const cases[][3] = {
		{ "", "null", "" },
		{ "null", "null", "" },
		{ "7", "7", "7" },
		{ " \"\\ud83d\" ", " \"\\ud83d\" ", NULL },
		{ "[1,2]", "[[1,2]]", "[1,2]" },
		{ "[]", "[[]]", "[]" },
		{ "1,[2],{}", "[1,[2],{}]", "1,[2],{}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct neighbour n = { .kind = NEIGHBOUR_EMIT, .nsp = SIO_LIT("/"), .name = SIO_LIT("e"), .json = sio_str(cases[i][0]) };
		struct buf out = { 0 }, log = { 0 }, want = { 0 };

		assert_int_equal(python_write(&out, SIO_LIT("x"), &n), SIO_OK);
		buf_printf(&want, "\"data\": %s, \"binary\"", cases[i][1]);
		assert_non_null(memmem(out.p, out.n, want.p, want.n));
		in_words(buf_peek(&out), &log);
		buf_clear(&want);
		buf_printf(&want, "emit / [] [] e %s", cases[i][2] ? cases[i][2] : "");
		buf_byte(&want, '\0');
		if (cases[i][2])
			assert_string_equal(log.p, want.p);
		buf_fini(&out);
		buf_fini(&log);
		buf_fini(&want);
	}
}

static void attachments_become_base64(void **state)
{
	struct neighbour n = { .kind = NEIGHBOUR_EMIT, .nsp = SIO_LIT("/"), .name = SIO_LIT("e"), .json = SIO_LIT("1,{\"_placeholder\":true,\"num\":0}"),
			       .blobs = { .list = { SIO_LIT("\xde\xad") }, .n = 1 } };

	(void)state;
	expect_written(&n, "{\"method\": \"emit\", \"event\": \"e\", \"data\": [[1,{\"_placeholder\":true,\"num\":0}], \"3q0=\"], \"binary\": true, "
			   "\"namespace\": \"/\", \"room\": null, \"skip_sid\": null, \"callback\": null, \"host_id\": \"145d\"}");
}

static void what_is_no_json_is_refused(void **state)
{
	static const char *const bad[] = { "{", "1,", "1 2", "tru", "1], \"method\": \"x\", [" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct neighbour n = { .kind = NEIGHBOUR_EMIT, .nsp = SIO_LIT("/"), .name = SIO_LIT("e"), .json = sio_str(bad[i]) };
		struct buf out = { 0 };

		assert_int_equal(python_write(&out, SIO_LIT("x"), &n), SIO_ERR_PROTO);
		buf_fini(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(what_is_written_is_what_the_manager_writes),
		cmocka_unit_test(forms_of_arguments),
		cmocka_unit_test(attachments_become_base64),
		cmocka_unit_test(what_is_no_json_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
