/* http.h -- the application's own HTTP endpoints, on the server's port.
 *
 * HTTP/1.1 with keep-alive and pipelining; one request of a connection is
 * answered at a time, in order.  A handler gets the whole request, body
 * included, and answers now or later.  Unknown paths are answered 404, a known
 * path with another method 405 with Allow, both with JSON; HEAD is served by the
 * GET route without its body; CORS and preflight follow the server's origins.
 * Loop thread only.  Calls that name no error cannot fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef SIO_HTTP_H
#define SIO_HTTP_H

#include <stdbool.h>

#include <sio/error.h>
#include <sio/slice.h>

SIO_BEGIN

struct sio_server;
struct sio_request;

/* Serve method ("GET", "POST", "PUT", "PATCH", "DELETE") on pattern: literal path
 * segments and named ones ("/api/projects/:id/boq/:item"); a last segment "*"
 * takes the rest of the path.  Literal segments win over named ones.  Returns 0,
 * SIO_ERR_EXISTS, SIO_ERR_INVAL (pattern without "/" or of more than 12 segments,
 * method not in capitals, no fn), SIO_ERR_NOMEM. */
typedef void sio_request_fn(struct sio_request *req, void *arg);
SIO_API SIO_MUST_CHECK int sio_http_route(struct sio_server *server, const char *method, const char *pattern,
					  sio_request_fn *fn, void *arg);

/* The request is valid, with all it hands out, until it is answered. */
SIO_API sio_slice sio_request_method(const struct sio_request *req);
SIO_API sio_slice sio_request_url(const struct sio_request *req);    /* path and query, as sent */
SIO_API sio_slice sio_request_path(const struct sio_request *req);   /* percent-encoded, as sent */
SIO_API sio_slice sio_request_query(const struct sio_request *req);  /* behind the "?", as sent */
SIO_API sio_slice sio_request_body(const struct sio_request *req);
SIO_API struct sio_server *sio_request_server(const struct sio_request *req);

/* The client's address as text: the peer's, or, when that is one of
 * sio_server_options.trusted_proxies, the one it speaks for. */
SIO_API sio_slice sio_request_address(const struct sio_request *req);

/* Did the client come over TLS: to this server, or to a trusted proxy that says so? */
SIO_API bool sio_request_is_secure(const struct sio_request *req);

/* A header by lower-case name; empty when absent. */
SIO_API sio_slice sio_request_header(const struct sio_request *req, const char *name);

/* The index-th header, from 0 in the order they came: its lower-case name and its value.
 * false past the last one. */
SIO_API bool sio_request_header_at(const struct sio_request *req, size_t index, sio_slice *name, sio_slice *value);

/* A named segment of the pattern, percent-decoded; empty when there is none.  A
 * request whose segment decodes to NUL or invalid UTF-8 never reaches a handler
 * (400). */
SIO_API sio_slice sio_request_param(const struct sio_request *req, const char *name);

/* A query parameter, percent-decoded into out[0..cap) with a final NUL; a
 * repeated key: the last one counts.  Returns its length, SIO_ERR_NOENT,
 * SIO_ERR_LIMIT (does not fit), SIO_ERR_INVAL (bad percent encoding). */
SIO_API long sio_request_query_get(const struct sio_request *req, const char *key, char *out, size_t cap);

/* Add a header to the answer.  Both are copied.  A value with CR, LF or NUL is
 * refused.  Returns 0, SIO_ERR_INVAL, SIO_ERR_NOMEM. */
SIO_API int sio_reply_header(struct sio_request *req, sio_slice name, sio_slice value);

/* Answer and free the request: status, content type (may be NULL when body is
 * empty) and body, which is copied.  Exactly once a request; when the client has
 * gone it only frees.  A status outside 200 .. 599, or a type with CR or LF, cannot
 * be sent: the client gets 500 then, and the log says why. */
SIO_API void sio_reply(struct sio_request *req, int status, const char *content_type, sio_slice body);

SIO_END

#endif
