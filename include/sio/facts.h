/* facts.h -- what is known of a client from the first HTTP request of its session.
 *
 * All namespaces of one session share it.  A connect handler finds it for the first
 * namespace of a session; once that is accepted it is given up, to keep idle connections
 * small, unless sio_server_options.keep_facts asks for it: then later namespaces and
 * connected sockets have it too, for as long as the session is open.
 *
 * Everything handed out is borrowed, from the request or the socket that it was asked
 * of, and valid as long as the facts are.  Loop thread only.  Calls that name no error
 * cannot fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef SIO_FACTS_H
#define SIO_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sio/error.h>
#include <sio/slice.h>

SIO_BEGIN

struct sio_connect;
struct sio_socket;
struct sio_facts;

/* NULL when they have been given up, or the socket has ended. */
SIO_API const struct sio_facts *sio_connect_facts(const struct sio_connect *req);
SIO_API const struct sio_facts *sio_socket_facts(const struct sio_socket *socket);

/* Path and query as sent. */
SIO_API sio_slice sio_facts_url(const struct sio_facts *facts);

/* A query parameter, percent-decoded into out[0..cap) with a final NUL; a repeated key:
 * the last one counts.  Returns its length, SIO_ERR_NOENT, SIO_ERR_LIMIT (does not
 * fit), SIO_ERR_INVAL (bad percent encoding). */
SIO_API long sio_facts_query_get(const struct sio_facts *facts, const char *key, char *out, size_t cap);

/* The i-th pair of the query, as sent: percent-encoded.  false: there is none. */
SIO_API bool sio_facts_query_at(const struct sio_facts *facts, size_t i, sio_slice *key, sio_slice *value);

/* Percent-decode a key or value of a query ("+" is a blank) into out[0..cap) with a final
 * NUL.  Returns its length, SIO_ERR_LIMIT (does not fit), SIO_ERR_INVAL.  Any thread. */
SIO_API long sio_query_unescape(sio_slice raw, char *out, size_t cap);

/* A header by lower-case name; empty when absent. */
SIO_API sio_slice sio_facts_header(const struct sio_facts *facts, const char *name);

/* The i-th header in the order in which they were sent, its name in lower case.  false:
 * there is none. */
SIO_API bool sio_facts_header_at(const struct sio_facts *facts, size_t i, sio_slice *name, sio_slice *value);

/* The client's address as text. */
SIO_API sio_slice sio_facts_address(const struct sio_facts *facts);

/* Did the client come over TLS? */
SIO_API bool sio_facts_is_secure(const struct sio_facts *facts);

/* When the session began, in milliseconds since 1970-01-01 (wall clock). */
SIO_API int64_t sio_facts_issued_ms(const struct sio_facts *facts);

SIO_END

#endif
