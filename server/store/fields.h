/* fields.h -- the members of a JSON body, judged by a table.
 *
 * A table says for each member its kind and its bounds; fields_parse reads a body
 * against it and says in one sentence what does not fit.  A member that the table
 * does not know is refused, so that a typing error is not a silent success.
 * Knows JSON text and decimals; refuses to know SQL and what the fields mean.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef STORE_FIELDS_H
#define STORE_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/error.h>
#include <sio/slice.h>

#include "base/buf.h"

enum field_kind {
	FIELD_TEXT,     /* string of at most max bytes; control characters only \t \n \r; not empty when required */
	FIELD_LABEL,    /* the same without any control character, and not empty */
	FIELD_OPTIONAL, /* FIELD_LABEL or null; an empty string counts as null */
	FIELD_ID,       /* FIELD_OPTIONAL that may be a number, kept as its text */
	FIELD_DATE,     /* "2026-02-28", a day of the calendar, or null; an empty string counts as null */
	FIELD_CHOICE,   /* one of the words in choices */
	FIELD_DECIMAL,  /* number or string with a number, kept as canonical text */
	FIELD_INT,      /* integer of 0 .. FIELD_INT_MAX, kept as text */
	FIELD_REF,      /* FIELD_INT or null */
	FIELD_IGNORED,  /* part of a row that the server computes: may stand there, means nothing */
};

struct field_def {
	const char *name;
	enum field_kind kind;
	uint32_t max;        /* bytes */
	const char *choices; /* FIELD_CHOICE: words with a blank between them */
	const char *initial; /* when a new row does not give it; NULL: required (kinds that may be null: null) */
};

/* The fields of one kind of thing. */
struct field_table {
	const char *what; /* "BoQ item": for sentences, behind an "a" */
	const struct field_def *defs;
	size_t n;
};

enum { FIELDS_MAX = 16 };

/* The greatest integer that is exact in every JSON reader (a double holds it). */
#define FIELD_INT_MAX 9007199254740991LL

struct field_value {
	bool is_set, is_null;
	bool is_same;   /* set to what the row had already (by whoever knows the row) */
	sio_slice text; /* decoded or canonical; points into struct fields */
	char *own;      /* what text points to when it is not static */
};

struct fields {
	const struct field_def *defs;
	size_t n;
	struct field_value v[FIELDS_MAX];
};

/* Read body.  Returns 0; SIO_ERR_INVAL with the reason in error; SIO_ERR_NOMEM.  In
 * every case fields_fini must follow. */
SIO_MUST_CHECK int fields_parse(struct fields *f, const struct field_table *table, sio_slice body, char *error, size_t cap);
void fields_fini(struct fields *f);

/* Give members [0..n) that are not set their initial value.  Returns 0, or
 * SIO_ERR_INVAL naming a required one that is missing. */
SIO_MUST_CHECK int fields_complete(struct fields *f, size_t n, char *error, size_t cap);

/* Value i as JSON. */
void fields_json(const struct fields *f, size_t i, struct buf *out);

/* Walk the members of an object that sio_json_check has passed.  *rest starts as
 * sio_json_inside(object).  key comes without its quotes, escapes undecoded.
 * Returns false at the end. */
bool fields_member_next(sio_slice *rest, sio_slice *key, sio_slice *value);

/* Valid UTF-8 without control characters (line breaks and tabs allowed if so asked)? */
bool fields_text_ok(sio_slice text, bool may_break_lines);

#endif
