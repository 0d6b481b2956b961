/* body.h -- the JSON body of a call: strictly read, then judged by a table.
 *
 * Two uses: body_ok for bodies whose members the store judges (it knows its
 * columns), body_read with a table for those that never reach it as they are.
 * Values keep their JSON text, so that a number is passed on digit for digit and
 * never becomes a double.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef API_BODY_H
#define API_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sio/error.h>
#include <sio/slice.h>

struct call;

enum body_kind {
	BODY_TEXT,   /* a string of 1 .. max bytes without control characters */
	BODY_SECRET, /* a string of 1 .. max bytes */
	BODY_PLAIN,  /* a plain id (access_id_ok) */
	BODY_USER,   /* a user id (access_user_id_ok) */
	BODY_KEY,    /* a string of 1 .. max bytes, or an integer >= 0 */
	BODY_OBJECT,
	BODY_ANY,
	BODY_SWITCH, /* true or false */
};

struct body_field {
	const char *name;
	enum body_kind kind;
	bool is_optional;
	uint32_t max;
};

enum { BODY_FIELDS_MAX = 8, BODY_TEXT_MAX = 1024 };

struct body_value {
	sio_slice raw;  /* the JSON text, in the request; empty when absent */
	sio_slice text; /* of a string: decoded, in *arena */
	bool is_true;   /* BODY_SWITCH */
};

/* Is there a body of JSON: media type, grammar, depth, an object?  That no member stands
 * twice is seen by whoever reads the members.  False: the call was answered (400, 415). */
SIO_MUST_CHECK bool body_ok(struct call *call);

/* body_ok, then take the n fields of the table into out.  An unknown member, a
 * missing one or one of another type is answered 422 with its name, and false
 * comes back.  Decoded texts live as long as the call (in call->text). */
SIO_MUST_CHECK bool body_read(struct call *call, const struct body_field *fields, size_t n, struct body_value *out);

/* The plain id that an object names for what it makes, into *out (in call->text);
 * empty when it names none.  False: the call was answered 422.  After body_ok. */
SIO_MUST_CHECK bool body_id(struct call *call, const char *key, sio_slice *out);

#endif
