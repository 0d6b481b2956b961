/* login.c -- POST /api/auth/login: a name and a password for a token.
 *
 * The name is looked up in the store, the password is checked on the pool
 * (argon2id takes its time on purpose), the token is signed on the loop.  An
 * unknown user takes as long as a wrong password and gets the same answer.
 * Attempts are limited by name and by address, running checks by number.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sio/json.h>
#include <sio/server.h>
#include <sio/work.h>

#include "api/body.h"
#include "api/call.h"
#include "api/routes.h"
#include "auth/password.h"
#include "base/log.h"

enum {
	LOGIN_TTL_S = 8 * 3600, /* a working day */
	LOGINS_RUNNING_MAX = 64,
};

/* What the pool thread sees; owned by the call. */
struct check {
	struct call *call;
	char hash[PASSWORD_HASH_MAX];
	char user[STORE_USER_MAX + 1];
	char name[TOKEN_NAME_MAX + 1];
	char password[PASSWORD_MAX + 1];
	size_t password_n;
	bool is_right;
};

static void check_free(void *own)
{
	struct check *check = own;

	explicit_bzero(check->password, sizeof(check->password));
	free(check);
}

/* ---- the token ------------------------------------------------------------------- */

static long sign(const struct call *call, const struct check *check, char *out, size_t cap)
{
	const struct api_options *o = &call->api->options;
	struct buf claims = { 0 };
	long n;

	if (check->name[0]) {
		buf_str(&claims, "{\"name\":");
		buf_json(&claims, sio_str(check->name));
		buf_put(&claims, "}", 2); /* with its NUL */
	}
	n = claims.failed ? SIO_ERR_NOMEM
			  : token_sign(&(struct token_sign_options){ .algorithm = o->sign_algorithm,
								     .secret = sio_str(o->sign_secret),
								     .user = check->user,
								     .user_claim = o->user_claim,
								     .issuer = o->issuer,
								     .audience = o->audience,
								     .now_s = (int64_t)time(NULL),
								     .ttl_s = LOGIN_TTL_S,
								     .claims_json = claims.p },
				       out, cap);
	buf_fini(&claims);
	return n;
}

static void answer_token(struct call *call, const struct check *check)
{
	char token[TOKEN_MAX + 1];
	struct buf b = { 0 };
	long n = sign(call, check, token, sizeof(token));

	if (n < 0) {
		log_error("login: the token could not be signed: %s", sio_strerror((int)n));
		respond_problem(call, 500, "internal", "the token could not be signed; the server's log tells why");
		return;
	}
	buf_str(&b, "{\"access_token\":");
	buf_json(&b, sio_bytes(token, (size_t)n));
	buf_printf(&b, ",\"token_type\":\"bearer\",\"expires_in\":%d}", LOGIN_TTL_S);
	respond_buf(call, 200, &b);
}

/* ---- the password ------------------------------------------------------------------ */

static void on_pool(void *arg)
{
	struct check *check = arg;

	check->is_right = password_ok(sio_bytes(check->password, check->password_n), check->hash);
}

static void on_checked(void *arg)
{
	struct check *check = arg;
	struct call *call = check->call;

	call->api->logins_running--;
	if (check->is_right) {
		limit_reset(call->api->logins_by_user, "user", sio_str(check->user));
		answer_token(call, check);
		return;
	}
	call->api->login_failures_total++;
	sio_reply_header(call->req, SIO_LIT("WWW-Authenticate"), SIO_LIT("Bearer realm=\"skybuild\""));
	respond_problem(call, 401, "login_failed", "username or password is wrong");
}

/* The "name" of the user's row, when it fits. */
static void take_name(struct check *check, sio_slice row)
{
	struct sio_json_field name = { .key = "name" };

	if (sio_json_pick(row, &name, 1) || name.type != SIO_JSON_STRING ||
	    sio_json_unquote(name.value, check->name, sizeof(check->name)) < 0)
		check->name[0] = '\0';
}

static void on_user(struct call *call, const struct store_result *result)
{
	struct check *check = call->own;
	int err;

	if (result->status == STORE_OK) {
		snprintf(check->hash, sizeof(check->hash), "%s", result->secret ? result->secret : "");
		take_name(check, result->json);
	} else if (result->status != STORE_NOT_FOUND && result->status != STORE_INVALID) {
		respond_store(call, result);
		return;
	}
	if (call->api->logins_running >= LOGINS_RUNNING_MAX) {
		respond_later(call, 503, "login_busy", 2, "too many logins at once; try again");
		return;
	}
	call->api->logins_running++;
	err = sio_server_work(call->api->options.server, on_pool, on_checked, check);
	if (err) {
		call->api->logins_running--;
		respond_later(call, 503, "login_busy", 2, "the server cannot check passwords now; try again");
	}
}

/* ---- the request -------------------------------------------------------------------- */

/* Seconds until this name or this address may try again; 0: now. */
static uint32_t wait_s(struct call *call, sio_slice user)
{
	struct api *api = call->api;
	uint64_t now_ms = sio_server_now_ms(api->options.server);
	uint64_t by_address = limit_take(api->logins_by_address, "address", sio_request_address(call->req), now_ms);
	uint64_t by_user = by_address ? 0 : limit_take(api->logins_by_user, "user", user, now_ms);
	uint64_t ms = by_address > by_user ? by_address : by_user;

	return (uint32_t)((ms + 999) / 1000);
}

void login_post(struct call *call)
{
	static const struct body_field fields[] = {
		{ "username", BODY_TEXT, .max = STORE_USER_MAX },
		{ "password", BODY_SECRET, .max = PASSWORD_MAX },
	};
	struct body_value v[2];
	struct check *check;
	uint32_t wait;

	if (!call->api->options.sign_algorithm) {
		respond_problem(call, 501, "login_unavailable",
			      "this server signs no tokens (JWT_ALGORITHMS names no HS algorithm); get one from its issuer");
		return;
	}
	if (!body_read(call, fields, 2, v))
		return;
	wait = wait_s(call, v[0].text);
	if (wait) {
		respond_later(call, 429, "login_limited", wait, "too many attempts to log in; wait before the next");
		return;
	}
	check = calloc(1, sizeof(*check));
	if (!check) {
		respond_later(call, 503, "out_of_memory", 1, "out of memory");
		return;
	}
	check->call = call;
	memcpy(check->user, v[0].text.p, v[0].text.n);
	memcpy(check->password, v[1].text.p, v[1].text.n);
	check->password_n = v[1].text.n;
	explicit_bzero(call->text.p, call->text.n);
	call->own = check;
	call->own_free = check_free;
	call_store_any(call, (struct store_ask){ .op = STORE_USER_GET, .user = sio_str(check->user) }, on_user);
}
