/* vectors.h -- the cases of tests/vectors/NAME.json.
 *
 * A file is a list of {"name", "wire", "expect"}.  wire is text (its UTF-8 bytes),
 * {"hex": "..."}, or a list of these and of [text, times].  expect is what the
 * test's log of the run must say; each test describes its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_LIB_VECTORS_H
#define TESTS_LIB_VECTORS_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

static inline void vectors_wire(struct buf *out, json_t *wire)
{
	json_t *part;
	size_t i;
	const char *hex = json_string_value(json_object_get(wire, "hex"));

	if (json_is_string(wire))
		buf_put(out, json_string_value(wire), json_string_length(wire));
	for (unsigned byte; hex && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		buf_byte(out, (char)byte);
	if (json_is_integer(json_array_get(wire, 1))) {
		for (json_int_t times = json_integer_value(json_array_get(wire, 1)); times > 0; times--)
			vectors_wire(out, json_array_get(wire, 0));
		return;
	}
	json_array_foreach(wire, i, part)
		vectors_wire(out, part);
}

/* Run each case of the file.  Returns how many there were. */
static inline size_t vectors_run(const char *file, void (*fn)(const char *name, sio_slice wire, const char *expect))
{
	char path[4096];
	json_error_t err;
	json_t *all, *row;
	size_t i, n;

	snprintf(path, sizeof(path), "%s/tests/vectors/%s", TEST_SOURCE_DIR, file);
	all = json_load_file(path, JSON_ALLOW_NUL, &err);
	if (!all) {
		fprintf(stderr, "%s:%d: %s\n", path, err.line, err.text);
		abort();
	}
	json_array_foreach(all, i, row) {
		struct buf wire = { 0 };
		vectors_wire(&wire, json_object_get(row, "wire"));
		fn(json_string_value(json_object_get(row, "name")), sio_bytes(wire.p, wire.n),
		   json_string_value(json_object_get(row, "expect")));
		buf_fini(&wire);
	}
	n = json_array_size(all);
	json_decref(all);
	return n;
}

#endif
