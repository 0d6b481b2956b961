/* json.h -- look into JSON text without building a tree.
 *
 * Events carry their arguments as JSON text.  These calls check a text, pick
 * fields out of an object and copy strings, so that a handler can read what it
 * needs and pass the rest on byte for byte.  Grammar: RFC 8259, nothing more
 * (no comments, no NaN, no byte-order mark); nesting at most SIO_JSON_DEPTH.
 * Nothing is allocated; slices that come out point into the text that went in.
 * Any thread.  Calls that name no error cannot fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef SIO_JSON_H
#define SIO_JSON_H

#include <stdint.h>

#include <sio/error.h>
#include <sio/slice.h>

SIO_BEGIN

#define SIO_JSON_DEPTH 1024 /* arrays and objects inside each other */

enum sio_json_type {
	SIO_JSON_NONE = 0, /* absent, or not JSON */
	SIO_JSON_NULL,
	SIO_JSON_BOOL,
	SIO_JSON_NUMBER,
	SIO_JSON_STRING,
	SIO_JSON_ARRAY,
	SIO_JSON_OBJECT,
};

/* The type that a value's first byte announces (leading blanks are skipped). */
SIO_API enum sio_json_type sio_json_type(sio_slice value);

/* Is text exactly one JSON value (blanks around it allowed)?  Returns 0,
 * SIO_ERR_PROTO when it is not, SIO_ERR_LIMIT when it nests too deep. */
SIO_API int sio_json_check(sio_slice text);

/* Walk the elements of a list: "1, [2], 3" without its brackets.  *rest starts
 * as the list and moves behind the element returned in *item (blanks trimmed).
 * Returns 0, SIO_ERR_NOENT at the end, SIO_ERR_PROTO, SIO_ERR_LIMIT. */
SIO_API int sio_json_next(sio_slice *rest, sio_slice *item);

/* The inside of an array or object text: what is between its brackets, trimmed.
 * Any other value gives the empty slice.  The text must have been checked. */
SIO_API sio_slice sio_json_inside(sio_slice value);

struct sio_json_field {
	const char *key;         /* in: name of the member, plain ASCII, no escapes */
	enum sio_json_type type; /* out: SIO_JSON_NONE when absent */
	sio_slice value;         /* out: JSON text of the value; a string with its quotes */
};

/* Find fields[0..n) among the members of object.  Unknown members are passed
 * over.  Returns 0; SIO_ERR_PROTO when object is not a JSON object;
 * SIO_ERR_EXISTS when a wanted key stands in it twice (which of the two counts
 * would be a guess); SIO_ERR_LIMIT when it nests too deep. */
SIO_API SIO_MUST_CHECK int sio_json_pick(sio_slice object, struct sio_json_field *fields, size_t n);

/* Decode a JSON string (with its quotes) into out[0..cap), with a final NUL.
 * Returns its length; SIO_ERR_INVAL when value is no string or holds \u0000 or
 * a lone surrogate; SIO_ERR_LIMIT when it does not fit. */
SIO_API long sio_json_unquote(sio_slice value, char *out, size_t cap);

/* Write s as a JSON string with quotes into out[0..cap); no NUL is added.
 * Control bytes, quote and backslash are escaped, all else is copied; s must be
 * valid UTF-8.  Returns the bytes written, or the bytes needed when that is
 * more than cap (then nothing useful is in out). */
SIO_API size_t sio_json_quote(sio_slice s, char *out, size_t cap);

/* A number's text as a 64-bit integer.  Returns 0, or SIO_ERR_INVAL when it is
 * no integer or out of range. */
SIO_API int sio_json_int(sio_slice value, int64_t *out);

SIO_END

#endif
