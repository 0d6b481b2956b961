/* route.c -- the application's HTTP routes, and requests on their way through them.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/utf8.h"
#include "host/host.h"

struct segment {
	sio_slice text;       /* literal text, or the name of a parameter */
	enum { LITERAL, PARAM, REST } kind;
};

struct route {
	struct route *next;
	sio_slice method;
	sio_request_fn *fn;
	void *arg;
	struct ws_route *ws;  /* for WebSockets; NULL: for requests */
	unsigned segments_n;
	struct segment segments[ROUTE_SEGMENTS];
	char text[];          /* pattern and method */
};

/* ---- answers of the library's own --------------------------------------------------- */

/* more: headers of this answer, lines ending in CRLF, or empty. */
static void put_problem(struct sio_server *server, struct net_conn *c, int status, const char *code, bool is_last,
			sio_slice more, const char *detail)
{
	struct buf body = { 0 }, headers = { 0 };

	net_count_refused(server->net);
	buf_str(&body, "{\"type\":\"about:blank\",\"title\":");
	buf_json(&body, sio_str(http1_reason(status)));
	buf_printf(&body, ",\"status\":%d,\"detail\":", status);
	buf_json(&body, utf8_ok(detail, strlen(detail)) ? sio_str(detail) : SIO_LIT("The request is not valid UTF-8"));
	buf_str(&body, ",\"code\":");
	buf_json(&body, sio_str(code));
	buf_byte(&body, '}');
	buf_slice(&headers, more);
	if (c->side && c->side->reader && http1_request(c->side->reader)->headers_n)
		origin_headers(server, http1_request(c->side->reader), &headers);
	if (is_last)
		net_reply_last(c, status, "application/problem+json", buf_peek(&headers), buf_peek(&body));
	else
		net_reply(c, status, "application/problem+json", buf_peek(&headers), buf_peek(&body));
	buf_fini(&headers);
	buf_fini(&body);
}

void reply_problem(struct sio_server *server, struct net_conn *c, int status, const char *code, bool is_last,
		   const char *fmt, ...)
{
	char detail[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	put_problem(server, c, status, code, is_last, sio_bytes("", 0), detail);
}

/* ---- the table ----------------------------------------------------------------------- */

/* The next segment of a path that starts with "/". */
static bool next_segment(sio_slice *path, sio_slice *segment)
{
	size_t n = 1;

	if (path->n == 0 || path->p[0] != '/')
		return false;
	while (n < path->n && path->p[n] != '/')
		n++;
	*segment = sio_bytes(path->p + 1, n - 1);
	path->p += n;
	path->n -= n;
	return true;
}

static int parse_pattern(struct route *r, sio_slice pattern)
{
	sio_slice text;

	while (next_segment(&pattern, &text)) {
		struct segment *s = &r->segments[r->segments_n];
		if (r->segments_n++ == ROUTE_SEGMENTS)
			return SIO_ERR_INVAL;
		s->kind = text.n > 1 && text.p[0] == ':' ? PARAM : sio_slice_eq(text, SIO_LIT("*")) ? REST : LITERAL;
		s->text = s->kind == PARAM ? sio_bytes(text.p + 1, text.n - 1) : text;
	}
	return pattern.n == 0 && r->segments_n > 0 ? SIO_OK : SIO_ERR_INVAL;
}

static bool is_same(const struct route *a, const struct route *b)
{
	if (a->segments_n != b->segments_n || !sio_slice_eq(a->method, b->method))
		return false;
	for (unsigned i = 0; i < a->segments_n; i++)
		if (a->segments[i].kind != b->segments[i].kind ||
		    (a->segments[i].kind == LITERAL && !sio_slice_eq(a->segments[i].text, b->segments[i].text)))
			return false;
	return true;
}

/* Methods are compared byte for byte: "get" would never be asked for. */
static bool is_method(const char *method)
{
	size_t n = strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

	return n > 0 && method[n] == '\0';
}

int sio_http_route(struct sio_server *server, const char *method, const char *pattern, sio_request_fn *fn, void *arg)
{
	SERVER_CHECK(server);
	return fn && is_method(method) ? route_add(server, method, pattern, fn, arg, NULL) : SIO_ERR_INVAL;
}

int route_add(struct sio_server *server, const char *method, const char *pattern, sio_request_fn *fn, void *arg,
	      struct ws_route *ws)
{
	size_t method_n = strlen(method), pattern_n = strlen(pattern);
	struct route **at = &server->routes;
	struct route *r;
	int err;

	r = calloc(1, sizeof(*r) + method_n + pattern_n);
	if (!r)
		return SIO_ERR_NOMEM;
	memcpy(r->text, pattern, pattern_n);
	memcpy(r->text + pattern_n, method, method_n);
	r->method = sio_bytes(r->text + pattern_n, method_n);
	r->fn = fn;
	r->arg = arg;
	err = parse_pattern(r, sio_bytes(r->text, pattern_n));
	for (; err == SIO_OK && *at; at = &(*at)->next)
		if (is_same(*at, r))
			err = SIO_ERR_EXISTS;
	if (err < 0) {
		free(r);
		return err;
	}
	r->ws = ws;
	*at = r;
	return SIO_OK;
}

struct ws_route *route_ws(const struct route *r)
{
	return r->ws;
}

void route_free_all(struct sio_server *server)
{
	while (server->routes) {
		struct route *r = server->routes;
		server->routes = r->next;
		free(r->ws);
		free(r);
	}
}

/* How well a route fits a path: 0 not at all; literal segments count for more, the
 * earlier the more. */
static unsigned fit(const struct route *r, sio_slice path)
{
	unsigned score = 1;
	sio_slice text;

	for (unsigned i = 0; i < r->segments_n; i++) {
		const struct segment *s = &r->segments[i];
		if (s->kind == REST)
			return path.n > 0 ? score << 2 * (ROUTE_SEGMENTS - i) : 0;
		if (!next_segment(&path, &text) || (s->kind == LITERAL && !sio_slice_eq(s->text, text)) ||
		    (s->kind == PARAM && text.n == 0))
			return 0;
		score = score << 2 | (s->kind == LITERAL ? 3 : 2);
	}
	return path.n == 0 ? score << 2 * (ROUTE_SEGMENTS - r->segments_n) : 0;
}

static bool serves(const struct route *r, sio_slice method)
{
	return sio_slice_eq(r->method, method) ||
	       (sio_slice_eq(method, SIO_LIT("HEAD")) && sio_slice_eq(r->method, SIO_LIT("GET")));
}

/* The best route of a path and method; *is_path_known tells 405 from 404. */
static const struct route *find(const struct sio_server *server, sio_slice path, sio_slice method, bool *is_path_known)
{
	const struct route *best = NULL;
	unsigned best_fit = 0, score;

	*is_path_known = false;
	for (const struct route *r = server->routes; r; r = r->next) {
		score = r->ws ? 0 : fit(r, path);
		*is_path_known |= score > 0;
		if (score > best_fit && serves(r, method)) {
			best = r;
			best_fit = score;
		}
	}
	return best;
}

/* The best endpoint for WebSockets on a path. */
static const struct route *find_ws(const struct sio_server *server, sio_slice path)
{
	const struct route *best = NULL;
	unsigned best_fit = 0, score;

	for (const struct route *r = server->routes; r; r = r->next) {
		score = r->ws ? fit(r, path) : 0;
		if (score > best_fit) {
			best = r;
			best_fit = score;
		}
	}
	return best;
}

static void allowed_methods(const struct sio_server *server, sio_slice path, struct buf *out)
{
	for (const struct route *r = server->routes; r; r = r->next) {
		if (r->ws || !fit(r, path))
			continue;
		buf_slice(out, r->method);
		buf_str(out, sio_slice_eq(r->method, SIO_LIT("GET")) ? ", HEAD, " : ", ");
	}
	buf_str(out, "OPTIONS");
}

/* ---- a request ------------------------------------------------------------------------ */

static void request_free(struct sio_request *req)
{
	http1_free(req->reader);
	buf_fini(&req->decoded);
	buf_fini(&req->headers);
	free(req);
}

long route_param(const struct route *r, sio_slice path, const char *name, char *out, size_t cap)
{
	for (unsigned i = 0; i < r->segments_n; i++) {
		const struct segment *s = &r->segments[i];
		sio_slice text;
		if (s->kind == REST)
			text = sio_bytes(path.p + 1, path.n - 1);
		else
			next_segment(&path, &text);
		if (s->kind != LITERAL && sio_slice_eq(s->text, sio_str(name)))
			return http1_unescape(text, false, out, cap);
	}
	return SIO_ERR_NOENT;
}

/* Decode the parameters.  SIO_ERR_INVAL: bad escape, NUL or not UTF-8. */
static int read_params(struct sio_request *req, sio_slice path)
{
	sio_slice text;

	if (!buf_reserve(&req->decoded, path.n + ROUTE_SEGMENTS))
		return SIO_ERR_NOMEM;
	for (unsigned i = 0; i < req->route->segments_n; i++) {
		const struct segment *s = &req->route->segments[i];
		char *out = req->decoded.p + req->decoded.n;
		long n;
		if (s->kind == REST)
			text = sio_bytes(path.p + 1, path.n - 1);
		else
			next_segment(&path, &text);
		if (s->kind == LITERAL)
			continue;
		n = http1_unescape(text, false, out, req->decoded.cap - req->decoded.n);
		if (n < 0 || memchr(out, 0, (size_t)n) || !utf8_ok(out, (size_t)n))
			return SIO_ERR_INVAL;
		req->params[req->params_n++] = (struct param){ s->text, sio_bytes(out, (size_t)n) };
		req->decoded.n += (size_t)n + 1;
	}
	return SIO_OK;
}

static void refuse_method(struct sio_server *server, struct net_conn *c, const struct http1_request *http, bool is_last)
{
	struct buf allow = { 0 }, header = { 0 };
	char detail[128];

	allowed_methods(server, http->path, &allow);
	buf_printf(&header, "Allow: %.*s\r\n", (int)allow.n, allow.p);
	snprintf(detail, sizeof(detail), "This path takes %.*s", (int)allow.n, allow.p);
	put_problem(server, c, 405, "method_not_allowed", is_last, buf_peek(&header), detail);
	buf_fini(&allow);
	buf_fini(&header);
}

static void refuse_unrouted(struct sio_server *server, struct net_conn *c, const struct http1_request *http,
			    bool is_path_known, bool is_last)
{
	if (is_path_known)
		refuse_method(server, c, http, is_last);
	else if (find_ws(server, http->path))
		put_problem(server, c, 426, "upgrade_required", is_last, SIO_LIT("Upgrade: websocket\r\n"), "This path is for WebSockets");
	else
		reply_problem(server, c, 404, "not_found", is_last, "There is nothing at %.*s",
			      (int)(http->path.n < 200 ? http->path.n : 200), http->path.p);
}

void route_head(struct sio_server *server, struct net_conn *c, struct http1_request *http)
{
	const struct route *ws;
	bool is_path_known;

	if (!origin_is_allowed(server, c, http)) {
		reply_problem(server, c, 403, "origin_refused", true,
			      "The origin %.*s is not in the server's list of allowed origins",
			      (int)(http1_header(http, "origin").n < 200 ? http1_header(http, "origin").n : 200),
			      http1_header(http, "origin").p);
		return;
	}
	if (sio_slice_eq(http->method, SIO_LIT("OPTIONS"))) {
		http1_set_body_limit(c->side->reader, server->max_body_bytes);
		return;
	}
	ws = handshake_is_websocket(http) ? find_ws(server, http->path) : NULL;
	if (ws && sio_slice_eq(http->method, SIO_LIT("GET"))) {
		websocket_head(server, c, http, ws);
		return;
	}
	/* Refuse before the body comes, when there is one. */
	if ((http->has_body || http->is_upgrade) && !find(server, http->path, http->method, &is_path_known)) {
		refuse_unrouted(server, c, http, is_path_known, true);
		return;
	}
	http1_set_body_limit(c->side->reader, server->max_body_bytes);
}

static void answer_options(struct sio_server *server, struct net_conn *c, struct http1_request *http)
{
	struct buf allow = { 0 }, headers = { 0 };

	allowed_methods(server, http->path, &allow);
	if (origin_is_preflight(http)) {
		origin_preflight(server, c, http, buf_peek(&allow));
	} else {
		buf_printf(&headers, "Allow: %.*s\r\n", (int)allow.n, allow.p);
		net_reply(c, 204, NULL, buf_peek(&headers), sio_bytes("", 0));
	}
	buf_fini(&allow);
	buf_fini(&headers);
}

void route_request(struct sio_server *server, struct net_conn *c, struct http1_request *http)
{
	struct sio_request *req;
	bool is_path_known;
	int err;
	const struct route *route = find(server, http->path, http->method, &is_path_known);

	if (sio_slice_eq(http->method, SIO_LIT("OPTIONS")) && !route && is_path_known) {
		answer_options(server, c, http);
		return;
	}
	if (!route) {
		refuse_unrouted(server, c, http, is_path_known, false);
		return;
	}
	req = calloc(1, sizeof(*req));
	if (!req) {
		reply_problem(server, c, 503, "busy", true, "Out of memory, try again later");
		return;
	}
	request_view(req, server, c, http);
	req->route = route;
	request_keep_address(req); /* it cannot be asked for once the client has gone */
	err = read_params(req, http->path);
	if (err < 0) {
		request_free(req);
		if (err == SIO_ERR_NOMEM)
			reply_problem(server, c, 503, "busy", true, "Out of memory, try again later");
		else
			reply_problem(server, c, 400, "bad_path", false, "The path has a bad percent escape or is not UTF-8");
		return;
	}
	c->owner = req;
	route->fn(req, route->arg);
}

/* The client has gone before the answer: keep what the handler may still look at. */
void route_conn_gone(struct sio_request *req)
{
	request_detach(req);
}

/* ---- the application's view --------------------------------------------------------------- */

sio_slice sio_request_method(const struct sio_request *req)
{
	return req->http->method;
}

sio_slice sio_request_path(const struct sio_request *req)
{
	return req->http->path;
}

sio_slice sio_request_query(const struct sio_request *req)
{
	return req->http->query;
}

sio_slice sio_request_body(const struct sio_request *req)
{
	return buf_peek(&req->http->body);
}

struct sio_server *sio_request_server(const struct sio_request *req)
{
	return req->server;
}

sio_slice sio_request_header(const struct sio_request *req, const char *name)
{
	return http1_header(req->http, name);
}

sio_slice sio_request_param(const struct sio_request *req, const char *name)
{
	sio_slice want = sio_str(name);

	for (unsigned i = 0; i < req->params_n; i++)
		if (sio_slice_eq(req->params[i].name, want))
			return req->params[i].value;
	return sio_bytes("", 0);
}

long sio_request_query_get(const struct sio_request *req, const char *key, char *out, size_t cap)
{
	sio_slice raw;

	if (!http1_query_get(req->http->query, key, &raw))
		return SIO_ERR_NOENT;
	return http1_unescape(raw, true, out, cap);
}

static bool is_header_text(sio_slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\0')
			return false;
	return true;
}

int sio_reply_header(struct sio_request *req, sio_slice name, sio_slice value)
{
	SERVER_CHECK(req->server);
	if (name.n == 0 || !is_header_text(name) || !is_header_text(value))
		return SIO_ERR_INVAL;
	buf_slice(&req->headers, name);
	buf_str(&req->headers, ": ");
	buf_slice(&req->headers, value);
	buf_str(&req->headers, "\r\n");
	return req->headers.failed ? SIO_ERR_NOMEM : SIO_OK;
}

/* An answer that would break the framing of HTTP is the program's mistake; its client
 * learns of it as of any other. */
static bool is_answer(const struct sio_request *req, int status, const char *content_type)
{
	if (status >= 200 && status <= 599 && is_header_text(sio_str(content_type)))
		return true;
	host_log(req->server, SIO_LOG_ERROR, "sio_reply: status %d or its content type cannot be sent; answered 500", status);
	return false;
}

void sio_reply(struct sio_request *req, int status, const char *content_type, sio_slice body)
{
	SERVER_CHECK(req->server);
	if (req->conn && !is_answer(req, status, content_type)) {
		reply_problem(req->server, req->conn, 500, "bad_answer", false, "The answer to this request could not be made");
	} else if (req->conn) {
		body = compress_answer(req->server, req->http, status, content_type, body, &req->headers);
		origin_headers(req->server, req->http, &req->headers);
		net_reply(req->conn, status, content_type, buf_peek(&req->headers), body);
	}
	request_free(req);
}
