/* fetch.h -- ask another server over HTTP: one request, one bounded answer.
 *
 * Blocking: for commands, and for threads that may wait; never for a loop.  Bounded in time
 * and bytes.  Only http and https, no redirect is followed (whoever may redirect us could
 * send us anywhere, with the key), no compression is asked for.  TLS is verified by
 * SSL_CERT_FILE, else by the system's certificates.  A URL may hold user:password; it is
 * never part of an error.  Refuses to know what the answers mean.
 *
 * Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef FETCH_FETCH_H
#define FETCH_FETCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <sio/error.h>
#include <sio/slice.h>

#include "base/buf.h"

enum { FETCH_ERROR_MAX = 320, FETCH_SHOWN_MAX = 320 };

/* How another thread ends a request. */
struct fetch_stop {
	pthread_mutex_t lock;
	void *multi;      /* of the request under way */
	bool is_stopped;
};
void fetch_stop_init(struct fetch_stop *stop);
void fetch_stop_fini(struct fetch_stop *stop);
/* The request under way ends at once, and each later one. */
void fetch_stop(struct fetch_stop *stop);

struct fetch_request {
	const char *url;
	size_t answer_max;     /* bytes of the body */
	uint32_t connect_ms;   /* 0: the whole time */
	uint32_t total_ms;
	const char *key;       /* Authorization: Bearer; NULL: none */
	const sio_slice *json; /* POST this; NULL: GET */
	bool is_delete;        /* DELETE in the place of GET */
	const char *ca_file;   /* PEM file of the certificates to trust; NULL: SSL_CERT_FILE, or the system's */
	bool is_unverified;    /* any certificate will do */
	bool uses_proxies;     /* those of the environment (https_proxy, ...), but for this machine; false: none */
	struct fetch_stop *stop; /* NULL: nobody ends it */
};

/* Send it and wait for the answer, whose body is appended to *body.  Returns the HTTP status,
 * or 0 with why in error. */
SIO_MUST_CHECK long fetch(const struct fetch_request *request, struct buf *body, char error[FETCH_ERROR_MAX]);

/* The URL as it may be shown: without user, password, query and fragment. */
void fetch_shown(const char *url, char out[FETCH_SHOWN_MAX]);

#endif
