/* pickle.h -- plain data out of a Python pickle, and nothing else.
 *
 * A pickle is a program.  Of its codes only those are known that plain values are made of:
 * None, bool, int (64 bits), float, str, bytes, list, tuple, dict, in protocols 2 to 5, with memo and
 * frames.  Every other one, those first of all that name or call something of Python's,
 * ends it.  Nothing is ever looked up, made or called.  Pure.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef CODEC_PICKLE_H
#define CODEC_PICKLE_H

#include "codec/value.h"

enum {
	PICKLE_FIRST = 0x80,         /* the first byte of every one that is read here */
	PICKLE_MEMO_MAX = 262144,    /* values that it may remember */
	PICKLE_STACK_MAX = 262144,   /* values that wait for their container */
};

/* The value that bytes say, up to the last one of them.  Returns 0 and *out, which points into
 * bytes and store; SIO_ERR_PROTO: no pickle, cut, a code that is not known here, or known ones that do not
 * fit; SIO_ERR_LIMIT: VALUE_BYTES_MAX, VALUE_COUNT_MAX or one of the above; SIO_ERR_NOMEM. */
SIO_MUST_CHECK int pickle_read(sio_slice bytes, struct value_store *store, struct value **out);

#endif
