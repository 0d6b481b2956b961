/* doctor_judge.c -- see doctor.h: what an answer means.  Pure: no connection, no clock,
 * nothing but the bytes that came.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include <sio/json.h>

#include "app/doctor.h"

static const struct { const char *name, *mend; } causes[DOCTOR_CAUSES_N] = {
	[DOCTOR_NO_CAUSE] = { "", "" },
#define ROW(name, text, mend) [DOCTOR_##name] = { text, mend },
	DOCTOR_CAUSE_MAP(ROW)
#undef ROW
};

const char *doctor_cause_name(enum doctor_cause cause)
{
	return causes[cause].name;
}

const char *doctor_cause_mend(enum doctor_cause cause)
{
	return causes[cause].mend;
}

/* ---- looking at bytes --------------------------------------------------------------- */

static bool has(sio_slice text, const char *part)
{
	size_t n = strlen(part);

	for (size_t i = 0; i + n <= text.n; i++)
		if (strncasecmp(text.p + i, part, n) == 0)
			return true;
	return false;
}

static bool is_html(const struct cli_exchange *x)
{
	sio_slice body = buf_peek(&x->body);

	while (body.n > 0 && isspace((unsigned char)body.p[0]))
		body = sio_bytes(body.p + 1, body.n - 1);
	return body.n > 0 && body.p[0] == '<';
}

/* Engine.IO's own refusal: the number of {"code":3,"message":...}, or -1. */
static int64_t code_of(sio_slice body)
{
	struct sio_json_field code = { .key = "code" };
	int64_t n;

	if (sio_json_check(body) || sio_json_pick(body, &code, 1) || sio_json_int(code.value, &n))
		return -1;
	return n;
}

/* Servers of other kinds say it in a text. */
static bool is_unknown_sid(sio_slice body)
{
	return has(body, "Session ID unknown") || has(body, "Invalid session");
}

/* "96:0{...": a handshake of revision 3. */
static bool is_revision_3(sio_slice body)
{
	size_t i = 0;

	while (i < body.n && isdigit((unsigned char)body.p[i]))
		i++;
	return i > 0 && i + 2 < body.n && body.p[i] == ':' && body.p[i + 1] == '0';
}

/* What a GET brings, or the "ok" of a POST. */
static bool is_packets(sio_slice body)
{
	return body.n > 0 && (memchr("0123456b", body.p[0], 8) || (body.n == 2 && has(body, "ok")));
}

/* ---- judging ------------------------------------------------------------------------- */

static enum doctor_cause judge_trouble(const struct cli_exchange *x)
{
	sio_slice error = sio_str(x->error);

	switch (x->trouble) {
	case CLI_NO_NAME:
		return DOCTOR_NAME_UNKNOWN;
	case CLI_NO_CONNECTION:
		return DOCTOR_UNREACHABLE;
	case CLI_NO_TLS:
		return DOCTOR_TLS_FAILED;
	case CLI_TOO_LATE:
		return DOCTOR_NO_ANSWER;
	case CLI_CUT:
		return DOCTOR_CUT;
	case CLI_BAD_CERTIFICATE:
		if (has(error, "expired"))
			return DOCTOR_CERTIFICATE_EXPIRED;
		return has(error, "subject name") || has(error, "mismatch") ? DOCTOR_CERTIFICATE_NAME : DOCTOR_CERTIFICATE_UNKNOWN;
	default:
		return DOCTOR_NOT_HTTP;
	}
}

static enum doctor_cause judge_status(const struct cli_exchange *x)
{
	if (x->status >= 300 && x->status <= 399)
		return DOCTOR_REDIRECT;
	switch (x->status) {
	case 401:
	case 407:
		return DOCTOR_LOGIN_WANTED;
	case 403:
		return DOCTOR_FORBIDDEN;
	case 404:
		return DOCTOR_NOT_FOUND;
	case 408:
	case 504:
		return DOCTOR_GATEWAY_LATE;
	case 413:
		return DOCTOR_BODY_LIMIT;
	case 429:
		return DOCTOR_TOO_MANY;
	case 502:
		return DOCTOR_GATEWAY;
	case 503:
		return DOCTOR_UNAVAILABLE;
	default:
		/* A port for TLS was asked without: skybuild and nginx say so. */
		if (x->status == 400 && (has(buf_peek(&x->body), "https_required") || has(buf_peek(&x->body), "HTTPS port")))
			return DOCTOR_NOT_HTTP;
		return is_html(x) ? DOCTOR_HTML : DOCTOR_NOT_ENGINEIO;
	}
}

static enum doctor_cause judge_code(int64_t code)
{
	switch (code) {
	case 0:
		return DOCTOR_TRANSPORT_OFF;
	case 1:
		return DOCTOR_SID_UNKNOWN;
	case 4:
		return DOCTOR_FORBIDDEN;
	case 5:
		return DOCTOR_EIO_OLD;
	default:
		return DOCTOR_NO_CAUSE;
	}
}

enum doctor_cause doctor_judge(const struct cli_exchange *x)
{
	sio_slice body = buf_peek(&x->body);
	enum doctor_cause cause;

	if (!x->status)
		return judge_trouble(x);
	if (x->status == 200 && is_revision_3(body))
		return DOCTOR_EIO_OLD;
	if (x->status == 200 && is_packets(body))
		return DOCTOR_NO_CAUSE;
	cause = x->status >= 400 && x->status <= 403 ? judge_code(code_of(body)) : DOCTOR_NO_CAUSE;
	if (!cause && x->status == 400 && is_unknown_sid(body))
		return DOCTOR_SID_UNKNOWN;
	return cause ? cause : judge_status(x);
}

enum doctor_cause doctor_judge_ws(const struct cli_exchange *x)
{
	sio_slice body = buf_peek(&x->body);
	int64_t code = x->status == 400 || x->status == 403 ? code_of(body) : -1;

	if (x->status == 101 || (!x->status && x->trouble == CLI_OTHER && has(sio_str(x->error), "Sec-WebSocket-Accept")))
		return DOCTOR_ACCEPT_WRONG;
	if (!x->status)
		return judge_trouble(x);
	if (x->status == 400 && (code == 1 || is_unknown_sid(body)))
		return DOCTOR_SID_UNKNOWN;
	if (code == 0 || code == 4 || code == 5)
		return judge_code(code);
	/* The request came as one without "Upgrade", or somebody on the way answered for it. */
	if ((x->status == 400 && !is_html(x)) || x->status == 405 || x->status == 426 || x->status == 501 || (x->status == 200 && !is_html(x)))
		return DOCTOR_UPGRADE_DROPPED;
	return judge_status(x);
}

enum doctor_cause doctor_judge_refusal(sio_slice payload)
{
	struct sio_json_field data = { .key = "data" }, code = { .key = "code" }, message = { .key = "message" };

	if (sio_json_check(payload) || sio_json_pick(payload, &message, 1) || sio_json_pick(payload, &data, 1))
		return DOCTOR_CONNECT_REFUSED;
	if (data.type == SIO_JSON_OBJECT && !sio_json_pick(data.value, &code, 1) && code.type == SIO_JSON_STRING)
		for (enum doctor_cause c = DOCTOR_TOKEN_MISSING; c <= DOCTOR_TOKEN_EXPIRED; c++)
			if (code.value.n == strlen(causes[c].name) + 2 && memcmp(code.value.p + 1, causes[c].name, code.value.n - 2) == 0)
				return c;
	if (message.type == SIO_JSON_STRING && has(message.value, "expired"))
		return DOCTOR_TOKEN_EXPIRED;
	return DOCTOR_CONNECT_REFUSED;
}
