/* log.h -- the process's log lines: time, level, message, then key=value.
 *
 * Text: 2026-11-23T06:45:39.123Z INFO Client connected: AbC (user: anna) node=1
 * JSON: {"ts":"...","level":"info","msg":"...","node":"1"}
 * Lines go to stderr in one write.  Control bytes in messages and values are
 * escaped, so a stranger's text cannot forge a line.  Never pass a token, a
 * password or a payload.  Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#include <sio/error.h>
#include <sio/server.h> /* enum sio_log_level */

void log_setup(enum sio_log_level level, bool is_json);
bool log_is_on(enum sio_log_level level);

/* printf-like message without fields. */
void log_debug(const char *fmt, ...) SIO_PRINTF(1, 2);
void log_info(const char *fmt, ...) SIO_PRINTF(1, 2);
void log_warning(const char *fmt, ...) SIO_PRINTF(1, 2);
void log_error(const char *fmt, ...) SIO_PRINTF(1, 2);

/* A message and pairs of key and value (const char *), ended by NULL. */
void log_fields(enum sio_log_level level, const char *message, ...);

#endif
