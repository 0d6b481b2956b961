/* pg_server.h -- a real PostgreSQL of a test program's own.
 *
 * Debian's postgres, with a new cluster in a temporary folder and a Unix socket there; no
 * port.  The first call starts it; it is stopped and its folder removed when the
 * program ends.  Root runs it as user postgres, for the server refuses root.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_PG_SERVER_H
#define TESTS_PG_SERVER_H

#include <stdbool.h>

/* "postgresql://postgres@/postgres?host=%2Ftmp%2F..": add "&options=..".  Ends the program
 * with a line when the server cannot be started. */
const char *pg_server_url(void);

/* Stop it at once, as a crash does, or with its clients told; and start it again. */
void pg_server_stop(bool is_crash);
void pg_server_start(void);

/* Run SQL in a connection of its own. */
void pg_server_run(const char *url, const char *sql);

#endif
