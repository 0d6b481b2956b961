/* api.c -- see api.h.  Puts the routes on the server and judges who may pass.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "api/api.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <sio/server.h>

#include "api/measure.h"
#include "api/files.h"
#include "api/routes.h"
#include "api/trace.h"
#include "base/log.h"

enum { KEYS_RETRY_S = 5 };

static void on_key(struct judge_wait *wait);

/* The argument of one route. */
struct bound {
	struct api *api;
	const struct route *route;
};

/* ---- who is it? ------------------------------------------------------------------ */

static void refuse_token(struct call *call, enum token_status status, const char *reason)
{
	static const char *const details[] = {
		[TOKEN_MISSING] = "this call needs a token: send Authorization: Bearer <JWT>",
		[TOKEN_INVALID] = "the token is not valid here; log in again",
		[TOKEN_EXPIRED] = "the token has expired; log in again",
	};
	sio_slice challenge = status == TOKEN_MISSING ? SIO_LIT("Bearer realm=\"skybuild\"")
						      : SIO_LIT("Bearer realm=\"skybuild\", error=\"invalid_token\"");

	if (status != TOKEN_MISSING) {
		sio_slice from = sio_request_address(call->req);

		log_debug("token refused from %.*s: %s", (int)from.n, from.p, reason);
	}
	if (status == TOKEN_UNAVAILABLE) { /* nothing was said of the token */
		respond_later(call, 503, token_status_code(status), KEYS_RETRY_S, "the token cannot be checked now; try again later");
		return;
	}
	sio_reply_header(call->req, SIO_LIT("WWW-Authenticate"), challenge);
	respond_problem(call, 401, token_status_code(status), "%s", details[status]);
}

/* Does given equal key?  Takes as long for every key of given's length. */
static bool is_same_key(sio_slice given, const char *key)
{
	size_t n = strlen(key);
	unsigned char differs = given.n != n;

	for (size_t i = 0; i < given.n; i++)
		differs |= (unsigned char)(given.p[i] ^ key[i % n]);
	return !differs;
}

static bool is_service(struct call *call)
{
	const char *key = call->api->options.service_key;
	sio_slice given = token_of_header(sio_request_header(call->req, "authorization"));
	sio_slice from = sio_request_address(call->req);

	if (!key || !*key) {
		respond_problem(call, 403, "service_key_unset", "back-end calls are off: the server has no SERVICE_API_KEY");
		return false;
	}
	if (given.n > 0 && is_same_key(given, key))
		return true;
	sio_reply_header(call->req, SIO_LIT("WWW-Authenticate"), SIO_LIT("Bearer realm=\"skybuild back end\""));
	if (given.n > 0)
		log_warning("a back-end call from %.*s has a wrong service key", (int)from.n, from.p);
	respond_problem(call, 401, given.n ? "service_key_wrong" : "service_key_missing",
		      "this call needs the service key: send Authorization: Bearer <SERVICE_API_KEY>");
	return false;
}

/* ---- may they? --------------------------------------------------------------------- */

static void on_role(struct call *call, const struct store_result *result)
{
	if (result->status != STORE_OK && result->status != STORE_NOT_FOUND) {
		respond_store(call, result);
		return;
	}
	call->role = result->status == STORE_OK ? access_role_parse(sio_str(result->role)) : ROLE_NONE;
	if (access_may(call->role, (enum access_action)call->route->action))
		call->route->handle(call);
	else
		respond_role(call, call->role);
}

/* A change and the question whether one may commit together (store_ask.may), unless the
 * handler wants to see the role. */
static void judge_project(struct call *call)
{
	if (!access_id_ok(call->project)) {
		respond_role(call, ROLE_NONE);
	} else if (call->route->auth == AUTH_MEMBER) {
		call_store_any(call, (struct store_ask){ .op = STORE_ROLE_GET, .user = sio_str(call->user) }, on_role);
	} else {
		call->is_unjudged = true;
		call->route->handle(call);
	}
}

/* Who it is is known. */
static void pass(struct call *call)
{
	if (call->route->action == NO_PROJECT)
		call->route->handle(call);
	else
		judge_project(call);
}

/* Let the user pass; now, or when the key of the token was fetched. */
static void judge_user(struct call *call)
{
	struct token_claims claims;
	sio_slice token = token_of_header(sio_request_header(call->req, "authorization"));
	enum token_status status = judge_token(call->api->options.judge, token, &claims);

	if (status == TOKEN_KEY_UNKNOWN)
		status = judge_await(call->api->options.judge, &call->wait, on_key);
	if (status == TOKEN_WAITING)
		return;
	if (status == TOKEN_OK && !access_user_id_ok(sio_str(claims.user))) {
		status = TOKEN_INVALID;
		strcpy(claims.reason, "its user id has characters that no user id may have");
	}
	if (status != TOKEN_OK) {
		refuse_token(call, status, claims.reason);
		return;
	}
	memcpy(call->user, claims.user, sizeof(call->user));
	memcpy(call->name, claims.name, sizeof(call->name));
	pass(call);
}

static void on_key(struct judge_wait *wait)
{
	judge_user((struct call *)(void *)((char *)wait - offsetof(struct call, wait)));
}

/* Every request to a route of the tables starts here. */
static void on_request(struct sio_request *req, void *arg)
{
	const struct bound *bound = arg;
	struct call *call = calloc(1, sizeof(*call));

	if (!call) {
		sio_reply(req, 503, "application/problem+json", SIO_LIT("{\"status\":503,\"code\":\"out_of_memory\"}"));
		return;
	}
	call->api = bound->api;
	call->req = req;
	call->route = bound->route;
	call->project = call_param(call, "project");
	if (call->route->auth == AUTH_USER || call->route->auth == AUTH_MEMBER)
		judge_user(call);
	else if (call->route->auth != AUTH_SERVICE || is_service(call))
		pass(call);
}

/* ---- life ---------------------------------------------------------------------------- */

static int add_routes(struct api *api)
{
	api->bounds = calloc(api_routes_n, sizeof(*api->bounds));
	if (!api->bounds)
		return SIO_ERR_NOMEM;
	for (size_t i = 0; i < api_routes_n; i++) {
		const struct route *route = &api_routes[i];
		int err;

		api->bounds[i] = (struct bound){ api, route };
		err = sio_http_route(api->options.server, route->method, route->pattern, on_request, &api->bounds[i]);
		if (err) {
			log_error("route %s %s: %s", route->method, route->pattern, sio_strerror(err));
			return err == SIO_ERR_NOMEM ? err : SIO_ERR_INVAL;
		}
	}
	return SIO_OK;
}

int api_new(const struct api_options *options, struct api **out)
{
	/* An address may be a whole office behind one proxy: more generous than a name. */
	static const struct limit_options by_address = { .burst = 100, .refill_ms = 500 };
	struct api *api = calloc(1, sizeof(*api));
	int err = SIO_ERR_NOMEM;

	if (!api)
		return err;
	api->options = *options;
	api->started_ms = sio_server_now_ms(options->server);
	api->logins_by_user = limit_new(NULL);
	api->logins_by_address = limit_new(&by_address);
	api->traces = options->roll ? roll_traces(options->roll) : trace_board_new();
	if (api->logins_by_user && api->logins_by_address && api->traces)
		err = add_routes(api);
	if (!err)
		err = files_open(api);
	if (err) {
		api_free(api);
		return err;
	}
	roll_enter(api);
	*out = api;
	return SIO_OK;
}

void api_free(struct api *api)
{
	if (!api)
		return;
	trace_stop(api);
	if (!api->options.roll)
		trace_board_free(api->traces);
	files_close(api);
	limit_free(api->logins_by_user);
	limit_free(api->logins_by_address);
	free(api->bounds);
	free(api);
}

void api_drain(struct api *api)
{
	api->is_draining = true;
}

void api_foreign_event(struct api *api, const struct store_foreign_event *event)
{
	const struct collab_emit emit = { .event = sio_str(event->type), .args = event->data, .position = event->position,
					  .except_sid = sio_str(event->except_sid), .is_local = true };
	sio_slice stream = sio_str(event->project);
	const size_t prefix = sizeof(API_ROOM_STREAM) - 1;
	long n;

	if (stream.n > prefix && memcmp(stream.p, API_ROOM_STREAM, prefix) == 0)
		n = collab_emit_room(api->options.collab, sio_bytes(stream.p + prefix, stream.n - prefix), &emit);
	else if (memchr(stream.p, ':', stream.n))
		n = collab_emit_room(api->options.collab, stream, &emit);
	else
		n = collab_emit_durable(api->options.collab, stream, event->seq, &emit);
	if (n < 0)
		log_warning("an event of %.*s could not be sent: %s", (int)stream.n, stream.p, sio_strerror((int)n));
}
