/* respond.c -- answers: JSON, nothing, or a problem (RFC 9457).
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include <sio/json.h>

#include "api/call.h"

enum { DETAIL_MAX = 512 };

static const char type_json[] = "application/json; charset=utf-8";
static const char type_problem[] = "application/problem+json";

static const char *status_title(int status)
{
	switch (status) {
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 409: return "Conflict";
	case 413: return "Content Too Large";
	case 415: return "Unsupported Media Type";
	case 422: return "Unprocessable Content";
	case 429: return "Too Many Requests";
	case 501: return "Not Implemented";
	case 503: return "Service Unavailable";
	default: return "Internal Server Error";
	}
}

/* The one place where a call ends. */
static void finish(struct call *call, int status, const char *type, sio_slice body)
{
	unsigned hundreds = (unsigned)status / 100;

	if (hundreds < sizeof(call->api->answers_total) / sizeof(call->api->answers_total[0]))
		call->api->answers_total[hundreds]++;
	sio_reply_header(call->req, SIO_LIT("Cache-Control"), SIO_LIT("no-store"));
	sio_reply(call->req, status, type, body);
	call_free(call);
}

void respond_json(struct call *call, int status, sio_slice json)
{
	finish(call, status, type_json, json);
}

void respond_text(struct call *call, int status, const char *type, sio_slice text)
{
	finish(call, status, type, text);
}

void respond_none(struct call *call, int status)
{
	finish(call, status, NULL, SIO_LIT(""));
}

void respond_created(struct call *call, const char *collection, sio_slice row, const char *key)
{
	struct sio_json_field id = { .key = key };
	char text[ACCESS_ID_MAX + 1], location[512];
	long n = -1;

	if (!sio_json_pick(row, &id, 1) && id.type == SIO_JSON_STRING)
		n = sio_json_unquote(id.value, text, sizeof(text));
	else if (id.type == SIO_JSON_NUMBER)
		n = snprintf(text, sizeof(text), "%.*s", (int)id.value.n, id.value.p);
	if (n > 0) {
		snprintf(location, sizeof(location), "%s%s", collection, text);
		sio_reply_header(call->req, SIO_LIT("Location"), sio_str(location));
	}
	respond_json(call, 201, row);
}

void respond_buf(struct call *call, int status, struct buf *json)
{
	if (json->failed)
		respond_problem(call, 500, "out_of_memory", "the answer did not fit into memory");
	else
		respond_json(call, status, buf_peek(json));
	buf_fini(json);
}

/* ---- problems ------------------------------------------------------------------ */

/* A text for a person, as JSON.  It may quote what a stranger sent, cut anywhere: what
 * is no UTF-8 is shown as "?". */
static void put_text(struct buf *b, sio_slice text)
{
	json_t *checked = json_stringn(text.p, text.n);
	struct buf plain = { 0 };

	if (!checked) {
		for (size_t i = 0; i < text.n; i++)
			buf_byte(&plain, (unsigned char)text.p[i] < 0x80 ? text.p[i] : '?');
		text = buf_peek(&plain);
	}
	buf_json(b, text);
	b->failed |= plain.failed;
	json_decref(checked);
	buf_fini(&plain);
}

/* The members that every problem has; the caller adds its own and the brace. */
static void problem_open(struct buf *b, int status, const char *code, const char *detail)
{
	buf_str(b, "{\"type\":\"about:blank\",\"title\":");
	buf_json(b, sio_str(status_title(status)));
	buf_printf(b, ",\"status\":%d,\"detail\":", status);
	put_text(b, sio_str(detail));
	buf_str(b, ",\"code\":");
	buf_json(b, sio_str(code));
}

static void problem_send(struct call *call, int status, struct buf *b)
{
	buf_byte(b, '}');
	finish(call, status, type_problem, b->failed ? SIO_LIT("{\"code\":\"out_of_memory\"}") : buf_peek(b));
	buf_fini(b);
}

void respond_problem(struct call *call, int status, const char *code, const char *fmt, ...)
{
	struct buf b = { 0 };
	char detail[DETAIL_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	problem_open(&b, status, code, detail);
	problem_send(call, status, &b);
}

static void problem_field(struct call *call, sio_slice field, const char *detail)
{
	struct buf b = { 0 };

	problem_open(&b, 422, "invalid", detail);
	if (field.n > 0) {
		buf_str(&b, ",\"field\":");
		put_text(&b, field);
	}
	problem_send(call, 422, &b);
}

void respond_field(struct call *call, const char *field, const char *fmt, ...)
{
	char detail[DETAIL_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	problem_field(call, sio_str(field), detail);
}

void respond_later(struct call *call, int status, const char *code, uint32_t retry_s, const char *detail)
{
	struct buf b = { 0 };
	char seconds[16];

	snprintf(seconds, sizeof(seconds), "%u", retry_s);
	sio_reply_header(call->req, SIO_LIT("Retry-After"), sio_str(seconds));
	problem_open(&b, status, code, detail);
	buf_printf(&b, ",\"retry_after\":%u", retry_s);
	problem_send(call, status, &b);
}

/* ---- results of the store ---------------------------------------------------------- */

/* The store's sentence about a body starts with the field ("qty: must be ...") or
 * quotes an unknown one ("'colour' is not a field of a task; ..."). */
static sio_slice field_of(const char *error)
{
	size_t n = 0;

	if (*error == '\'') {
		const char *end = strchr(error + 1, '\'');

		return end ? sio_bytes(error + 1, (size_t)(end - error - 1)) : SIO_LIT("");
	}
	while (isalnum((unsigned char)error[n]) || (n > 0 && strchr("_[].", error[n]) && error[n]))
		n++;
	return error[n] == ':' ? sio_bytes(error, n) : SIO_LIT("");
}

static void respond_conflict(struct call *call, const struct store_result *result)
{
	struct buf b = { 0 };

	problem_open(&b, 409, "conflict", result->error);
	if (result->json.n > 0) {
		buf_str(&b, ",\"current\":");
		buf_slice(&b, result->json);
	}
	problem_send(call, 409, &b);
}

void respond_role(struct call *call, enum role role)
{
	/* The same words whether it is not there or not theirs: its existence is no secret to give away. */
	if (role == ROLE_NONE)
		respond_problem(call, 404, "not_found", "there is no such project, or you have no access to it");
	else
		respond_problem(call, 403, "forbidden", "your role in this project is %s, which may not do this", access_role_name(role));
}

void respond_store(struct call *call, const struct store_result *result)
{
	switch (result->status) {
	case STORE_FORBIDDEN:
		respond_role(call, access_role_parse(sio_str(result->role)));
		return;
	case STORE_NOT_FOUND:
		respond_problem(call, 404, "not_found", "%s", result->error);
		return;
	case STORE_CONFLICT:
		respond_conflict(call, result);
		return;
	case STORE_EXISTS:
		respond_problem(call, 409, "exists", "%s", result->error);
		return;
	case STORE_INVALID:
		problem_field(call, field_of(result->error), result->error);
		return;
	case STORE_REFUSED:
		respond_problem(call, 409, "refused", "%s", result->error);
		return;
	case STORE_BUSY:
		respond_later(call, 503, "store_busy", 1, "the store is busy, nothing was changed; try again");
		return;
	case STORE_OK:
	case STORE_UNAVAILABLE:
		break;
	}
	/* What is wrong with the disk is the operator's to read, in the log. */
	respond_later(call, 503, "store_unavailable", 5, "the store is not available, nothing was changed; try again later");
}
