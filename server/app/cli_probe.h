/* cli_probe.h -- how `doctor` looks at a server: one request, looked at closely, and a
 * connection for bytes of the command's own.
 *
 * Private to the commands.  Blocking; no retry, no redirect.  Knows nothing of what the
 * answers mean.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef APP_CLI_PROBE_H
#define APP_CLI_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/slice.h>

#include "app/cli_http.h"
#include "base/buf.h"

/* What came in the place of an answer. */
enum cli_trouble {
	CLI_FINE,
	CLI_NO_NAME,        /* the host's name cannot be looked up */
	CLI_NO_CONNECTION,  /* nobody accepts connections there */
	CLI_NO_TLS,         /* the TLS handshake failed */
	CLI_BAD_CERTIFICATE,
	CLI_TOO_LATE,       /* nothing within wait_ms */
	CLI_CUT,            /* the connection ended before the answer did */
	CLI_OTHER,          /* error says what */
};

/* One request on a connection of its own, and all that can be seen of its answer. */
struct cli_exchange {
	const struct cli_target *target;
	const char *path;
	const char *const *headers; /* "Name: value", NULL behind the last; NULL: none */
	bool is_post;
	sio_slice body_out;
	long wait_ms;

	long status;                /* 0: there is none, and trouble and error say why */
	enum cli_trouble trouble;
	long ms;                    /* from its begin to the end of the answer, or to the trouble */
	bool is_http2;
	int64_t expires_s;          /* of the certificate that was shown, Unix time; 0: not known */
	int64_t date_s;             /* the Date header, Unix time; 0: there is none */
	struct buf head, body;      /* of the answer; the head as lines, without the status line */
	char error[CLI_ERROR_MAX];
};

void cli_exchange(struct cli_exchange *x);
void cli_exchange_fini(struct cli_exchange *x);

/* The value of a header line in head; empty when there is none.  Case is ignored in name. */
sio_slice cli_header(const struct buf *head, const char *name);

/* A connection to the target, TLS included, over which the command says what it likes. */
struct cli_pipe;

/* NULL: there is none, and *trouble and error say why. */
struct cli_pipe *cli_pipe_open(const struct cli_target *target, long wait_ms, enum cli_trouble *trouble,
			       char error[CLI_ERROR_MAX]);
void cli_pipe_close(struct cli_pipe *pipe); /* NULL allowed */

/* Send all of it.  False: the connection is broken, or took nothing for wait_ms. */
SIO_MUST_CHECK bool cli_pipe_send(struct cli_pipe *pipe, sio_slice bytes, long wait_ms);

/* Append what has come to b, waiting for it at most wait_ms.  CLI_FINE, CLI_TOO_LATE or CLI_CUT. */
enum cli_trouble cli_pipe_read(struct cli_pipe *pipe, struct buf *b, long wait_ms);

/* Milliseconds of a clock that only goes forward. */
int64_t cli_now_ms(void);

#endif
