/* api.h -- the HTTP side of the server: REST, back-end broadcasts, operations.
 *
 * api_new puts the routes on a libsio server.  A request is judged in this order:
 * who is it (token or service key), is its form right (body, path, query), and with
 * the store's first answer: may they (role in the project), in one transaction with
 * what is asked.  The handler tells the connected users through collab, and answers.
 * Errors are RFC 9457 problems with a stable "code".
 *
 * Thread: the loop thread of the server.
 * Lifetime: after collab_new; free it when store_close has returned.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef API_API_H
#define API_API_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/error.h>
#include <sio/slice.h>

struct api;
struct collab;
struct issuer;
struct judge;
struct sio_server;
struct store;
struct store_foreign_event;

/* Pointers are borrowed and must outlive the api; NULL means what stands behind. */
struct api_options {
	struct sio_server *server;
	struct store *store;
	struct collab *collab;
	struct judge *judge;
	struct issuer *key_issuer;  /* of JWT_JWKS_URL, for status; NULL: none */
	const char *service_key;    /* NULL: back-end calls are answered 403 */
	/* Tokens that login hands out; sign_algorithm NULL: login is answered 501. */
	const char *sign_algorithm;
	const char *sign_secret;
	const char *issuer, *audience, *user_claim; /* NULL: none, none, "sub" */
	const char *web_root;       /* folder served at "/"; NULL: "/" is answered 404 */
	const char *web_dir;        /* the folder with the pages of /docs; NULL: answered 404 */
	const char *client_dir;     /* dist folder of socket.io-client; NULL: answered 404 */
	const char *node;           /* name of this node, for status */
	const struct sio_redis *redis; /* what joins the servers; NULL: it is alone */
	const char *version;
	uint32_t workers;
	struct api_workers *roll;   /* the workers of this process; NULL: it is the only one */
};

/* The workers of one process, for GET /metrics: whichever is asked tells what all count.
 * api_new puts its own in.  NULL: out of memory.  Free it when all of them are freed. */
struct api_workers *api_workers_new(unsigned max);
void api_workers_free(struct api_workers *roll); /* NULL is allowed */

/* Returns 0 and *out, SIO_ERR_NOMEM, or SIO_ERR_INVAL (a route is taken: a bug). */
SIO_MUST_CHECK int api_new(const struct api_options *options, struct api **out);
void api_free(struct api *api); /* NULL is allowed */

/* From now on /readyz answers 503 "draining". */
void api_drain(struct api *api);

/* A durable event was committed by another process: tell this server's users.  Its stream is a
 * project's id, or a room's name with a colon. */
void api_foreign_event(struct api *api, const struct store_foreign_event *event);

#endif
