/* body.c -- see body.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "api/body.h"

#include <string.h>

#include <jansson.h>

#include <sio/json.h>

#include "api/call.h"
#include "base/text.h"

static const char *const wants[] = {
	[BODY_TEXT] = "a string without control characters",
	[BODY_SECRET] = "a string",
	[BODY_PLAIN] = "an id (letters, digits, '.', '_' and '-')",
	[BODY_USER] = "a user id (letters, digits and . _ - @ | + :)",
	[BODY_KEY] = "a string or a whole number",
	[BODY_OBJECT] = "an object",
	[BODY_ANY] = "a JSON value",
	[BODY_SWITCH] = "true or false",
};


/* ---- is it JSON? ---------------------------------------------------------------- */

/* "application/json" or a "...+json", with parameters or without; none at all
 * passes, as many small clients send none. */
static bool is_json_type(sio_slice type)
{
	const char *end = type.n ? memchr(type.p, ';', type.n) : NULL;
	sio_slice name = text_trim(sio_bytes(type.p, end ? (size_t)(end - type.p) : type.n));

	return type.n == 0 || text_is(name, "application/json") || text_ends(name, "+json");
}

static json_t *parse(struct call *call, sio_slice body)
{
	/* Big integers must not be refused for their size: their text is what counts.  A text
	 * alone is JSON, too: what is wrong with it is that it is no object. */
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL | JSON_DECODE_ANY;
	json_error_t error;
	json_t *root = NULL;

	if (sio_json_check(body) == SIO_ERR_LIMIT)
		respond_problem(call, 400, "body_malformed", "the body nests deeper than %d levels", SIO_JSON_DEPTH);
	else if ((root = json_loadb(body.p, body.n, flags, &error)) == NULL)
		respond_problem(call, 400, "body_malformed", "the body is not JSON: %s (line %d, column %d)", error.text, error.line,
			      error.column);
	return root;
}

/* Is there a body of JSON's media type?  False: it was answered. */
static bool has_body(struct call *call)
{
	sio_slice type = sio_request_header(call->req, "content-type");
	sio_slice coding = sio_request_header(call->req, "content-encoding");

	if (!is_json_type(type))
		respond_problem(call, 415, "media_type", "the body must be JSON: send Content-Type: application/json");
	else if (coding.n > 0 && !text_is(coding, "identity"))
		respond_problem(call, 415, "content_coding", "the body must not be compressed");
	else if (call_body(call).n == 0)
		respond_problem(call, 400, "body_missing", "this call needs a JSON body");
	else
		return true;
	return false;
}

/* The parsed body, or NULL when the call was answered. */
static json_t *body_parse(struct call *call)
{
	json_t *root = has_body(call) ? parse(call, call_body(call)) : NULL;

	if (root && !json_is_object(root)) {
		json_decref(root);
		respond_problem(call, 422, "invalid", "the body must be a JSON object");
		return NULL;
	}
	return root;
}

/* No tree is built for a body that is right: the store looks at its members one by one. */
bool body_ok(struct call *call)
{
	sio_slice body = call_body(call);
	json_t *root;

	if (!has_body(call))
		return false;
	if (sio_json_type(body) == SIO_JSON_OBJECT && sio_json_check(body) == SIO_OK)
		return true;
	root = body_parse(call); /* says what is wrong */
	if (root) { /* what the scanner refuses and jansson takes: nothing that is known */
		json_decref(root);
		respond_problem(call, 400, "body_malformed", "the body is not JSON");
	}
	return false;
}

bool body_id(struct call *call, const char *key, sio_slice *out)
{
	struct sio_json_field id = { .key = key };
	long n;

	*out = SIO_LIT("");
	if (sio_json_pick(call_body(call), &id, 1) || id.type == SIO_JSON_NONE)
		return true;
	if (!buf_reserve(&call->text, ACCESS_ID_MAX + 1)) {
		respond_later(call, 503, "out_of_memory", 1, "out of memory");
		return false;
	}
	n = sio_json_unquote(id.value, call->text.p, ACCESS_ID_MAX + 1);
	if (n < 0 || !access_id_ok(sio_bytes(call->text.p, (size_t)n))) {
		respond_field(call, key, "%s must be %s", key, wants[BODY_PLAIN]);
		return false;
	}
	*out = sio_bytes(call->text.p, (size_t)n);
	return true;
}

/* ---- does it fit the table? ------------------------------------------------------- */

static bool is_count(sio_slice raw)
{
	int64_t n;

	return sio_json_int(raw, &n) == SIO_OK && n >= 0;
}

static bool is_plain_text(sio_slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
			return false;
	return true;
}

/* Is the value of the kind that the field wants?  Lengths are judged later. */
static bool is_kind(enum body_kind kind, const json_t *json, const struct body_value *value)
{
	switch (kind) {
	case BODY_TEXT:
		return json_is_string(json) && is_plain_text(value->text);
	case BODY_SECRET:
		return json_is_string(json);
	case BODY_PLAIN:
		return json_is_string(json) && access_id_ok(value->text);
	case BODY_USER:
		return json_is_string(json) && access_user_id_ok(value->text);
	case BODY_KEY:
		return json_is_string(json) || is_count(value->raw);
	case BODY_OBJECT:
		return json_is_object(json);
	case BODY_SWITCH:
		return json_is_boolean(json);
	case BODY_ANY:
		return true;
	}
	return false;
}

/* Take one field.  False: it was answered. */
static bool take(struct call *call, const struct body_field *field, const json_t *json, struct body_value *value)
{
	const sio_slice text = json_is_string(json) ? sio_bytes(json_string_value(json), json_string_length(json))
						    : SIO_LIT("");

	if (!json) {
		if (!field->is_optional)
			respond_field(call, field->name, "%s is missing; it must be %s", field->name, wants[field->kind]);
		return field->is_optional;
	}
	value->text = text;
	value->is_true = json_is_true(json);
	if (!is_kind(field->kind, json, value)) {
		respond_field(call, field->name, "%s must be %s", field->name, wants[field->kind]);
		return false;
	}
	if (json_is_string(json) && field->max > 0 && (text.n == 0 || text.n > field->max)) {
		respond_field(call, field->name, "%s has %zu bytes; it must have 1 to %u", field->name, text.n,
			    (unsigned)field->max);
		return false;
	}
	return true;
}

/* The first member that no field names, or NULL. */
static const char *unknown_member(json_t *root, const struct body_field *fields, size_t n)
{
	const char *key;
	json_t *value;

	json_object_foreach (root, key, value) {
		size_t i = 0;

		while (i < n && strcmp(key, fields[i].name) != 0)
			i++;
		if (i == n)
			return key;
	}
	return NULL;
}

/* Copy the decoded texts out of the tree, which goes. */
static bool keep_texts(struct call *call, struct body_value *out, size_t n)
{
	size_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += out[i].text.n;
	if (!buf_reserve(&call->text, total + 1)) {
		respond_later(call, 503, "out_of_memory", 1, "out of memory");
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		const char *at = call->text.p + call->text.n;

		buf_slice(&call->text, out[i].text);
		out[i].text = sio_bytes(at, out[i].text.n);
	}
	return true;
}

/* With what could have been meant. */
static void refuse_unknown(struct call *call, const char *name, const struct body_field *fields, size_t n)
{
	struct buf names = { 0 };

	for (size_t i = 0; i < n; i++) {
		buf_str(&names, i ? ", " : "");
		buf_str(&names, fields[i].name);
	}
	respond_field(call, name, "'%.64s' is not a field of this call; it has %.*s", name, (int)names.n, names.n ? names.p : "");
	buf_fini(&names);
}

static bool take_all(struct call *call, json_t *root, const struct body_field *fields, size_t n, struct body_value *out)
{
	struct sio_json_field picked[BODY_FIELDS_MAX] = { 0 };
	const char *unknown = unknown_member(root, fields, n);

	if (unknown) {
		refuse_unknown(call, unknown, fields, n);
		return false;
	}
	for (size_t i = 0; i < n; i++)
		picked[i].key = fields[i].name;
	if (sio_json_pick(call_body(call), picked, n)) {
		respond_problem(call, 400, "body_malformed", "the body must be a JSON object that has no member twice");
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		const json_t *json = json_object_get(root, fields[i].name);

		out[i] = (struct body_value){ .raw = picked[i].value };
		if (json && picked[i].type == SIO_JSON_NONE) { /* its name is spelt with \u escapes */
			respond_field(call, fields[i].name, "write the name %s without escapes", fields[i].name);
			return false;
		}
		if (!take(call, &fields[i], json, &out[i]))
			return false;
	}
	return keep_texts(call, out, n);
}

bool body_read(struct call *call, const struct body_field *fields, size_t n, struct body_value *out)
{
	json_t *root = body_parse(call);
	bool is_read = root && take_all(call, root, fields, n, out);

	json_decref(root);
	return is_read;
}
