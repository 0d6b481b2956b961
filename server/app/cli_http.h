/* cli_http.h -- how a command asks a running server: where it is, and one request.
 *
 * Private to the commands.  Blocking; no retry, no redirect (a service key would go
 * with it).  Knows nothing of what the answers mean.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef APP_CLI_HTTP_H
#define APP_CLI_HTTP_H

#include <sio/slice.h>

#include "app/config.h"
#include "base/buf.h"

enum {
	CLI_URL_MAX = 1024,
	CLI_ERROR_MAX = 512,
	CLI_WAIT_S = 5,                      /* for an answer */
	CLI_ANSWER_MAX = 32 * 1024 * 1024, /* bytes; a list of everybody in a large project fits */
};

/* Whom to ask, and what makes us believe that it is the one. */
struct cli_target {
	char url[CLI_URL_MAX];  /* http[s]://HOST[:PORT][/PATH], without a slash at its end */
	const char *ca_file;    /* PEM file of the certificates to trust; NULL: the system's */
	bool is_unverified;     /* any certificate will do */
};

/* The options of a command that fill it, for an array of struct option_spec. */
#define CLI_TARGET_OPTIONS(given, target)                                                         \
	{ .name = "--url", .value = (given) }, { .name = "--ca", .value = &(target)->ca_file },         \
	{                                                                                                \
		.name = "--insecure", .is_set = &(target)->is_unverified                                       \
	}

/* The server's address into target->url: given, or that of the configuration's own
 * server as this machine reaches it.  Returns EXIT_DONE; or, after telling why, EXIT_USAGE
 * for what was given (an address that is none, --ca together with --insecure), EXIT_FAILED
 * for the other. */
SIO_MUST_CHECK int cli_find(const char *given, const struct config *config, struct cli_target *target);

struct cli_request {
	const struct cli_target *target;
	const char *path; /* /api/... */
	const char *key;  /* service key, or NULL */
	bool is_post, is_delete;
	sio_slice body;   /* JSON of a POST; may be empty */
};

/* Send it and wait for the answer, whose body goes into *body (of the caller).
 * Returns the HTTP status, or 0 with why in error. */
SIO_MUST_CHECK long cli_ask(const struct cli_request *request, struct buf *body, char error[CLI_ERROR_MAX]);

/* Append text to b as one part of a path: what is not plain, percent-encoded. */
void cli_path_part(struct buf *b, const char *text);

#endif
