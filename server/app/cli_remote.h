/* cli_remote.h -- what the commands share that ask a running server with its service key.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef APP_CLI_REMOTE_H
#define APP_CLI_REMOTE_H

#include "app/cli_http.h"
#include "app/config.h"

struct remote {
	struct config config;
	struct cli_target target;
};

/* Settings and address, beside what options have put into r->target; remote_close
 * afterwards in any case.  An exit code. */
SIO_MUST_CHECK int remote_open(struct remote *r, const char *given_url);
void remote_close(struct remote *r);

/* Ask, and check that the answer is an object with the member.  Returns EXIT_DONE and
 * the answer, or EXIT_FAILED after telling why. */
SIO_MUST_CHECK int remote_ask(const struct remote *r, struct cli_request request, const char *member, struct buf *answer);

/* A member of an object as text for a person; empty when it is none. */
void remote_text(sio_slice object, const char *key, char *out, size_t cap);
int64_t remote_number(sio_slice object, const char *key); /* 0 when it is none */
void remote_print(sio_slice answer); /* a line */

#endif
