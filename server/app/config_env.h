/* config_env.h -- where settings come from: the environment, then a .env file.
 *
 * A .env line is NAME=value, "export NAME=value", empty, or a # comment.  A value
 * may stand in single quotes (taken as it is) or double quotes (\n \t \" \\ are
 * understood); behind an unquoted value " #" starts a comment.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef APP_CONFIG_ENV_H
#define APP_CONFIG_ENV_H

#include <stdbool.h>
#include <stddef.h>

#include <sio/error.h>

struct env_entry {
	char *name;
	char *value;
	unsigned line;
};

struct env {
	char *const *environ;     /* borrowed: "NAME=value" strings, NULL-terminated */
	struct env_entry *file;   /* what .env says; of equal names the last counts */
	size_t file_n;
};

/* Read the file path; an absent one is no error.  Returns 0, or SIO_ERR_INVAL with a
 * sentence in error[0..cap). */
SIO_MUST_CHECK int env_open(struct env *env, char *const *environ, const char *path, char *error, size_t cap);
void env_close(struct env *env);

/* The value of name, or NULL when it is unset or empty.  *from_file tells which of
 * the two it came from. */
const char *env_get(const struct env *env, const char *name, bool *from_file);

#endif
