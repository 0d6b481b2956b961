/* config_env.c -- see config_env.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "app/config_env.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Decode a quoted value at s, which starts with its quote, in place.  Returns
 * what stands behind the closing quote, or NULL when there is none. */
static char *unquote(char *s)
{
	char quote = *s, *to = s;

	for (char *p = s + 1; *p; p++) {
		if (*p == quote) {
			*to = '\0';
			return p + 1;
		}
		if (*p == '\\' && quote == '"' && p[1]) {
			p++;
			*to++ = *p == 'n' ? '\n' : *p == 't' ? '\t' : *p;
		} else
			*to++ = *p;
	}
	return NULL;
}

static void trim_end(char *s)
{
	size_t n = strlen(s);

	while (n > 0 && isspace((unsigned char)s[n - 1]))
		s[--n] = '\0';
}

/* Cut an unquoted value before " #" and its trailing blanks. */
static void cut_comment(char *value)
{
	for (char *p = value; *p; p++)
		if (*p == '#' && (p == value || isblank((unsigned char)p[-1]))) {
			*p = '\0';
			break;
		}
	trim_end(value);
}

static bool is_name(const char *s, size_t n)
{
	if (n == 0 || isdigit((unsigned char)s[0]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '_')
			return false;
	return true;
}

/* Take a line apart in place.  Returns 1 and name, value; 0 for a line that says
 * nothing; -1 for one that cannot be understood. */
static int parse_line(char *line, char **name, char **value)
{
	char *eq;

	while (isspace((unsigned char)*line))
		line++;
	if (!*line || *line == '#')
		return 0;
	if (strncmp(line, "export ", 7) == 0)
		line += 7 + strspn(line + 7, " \t");
	eq = strchr(line, '=');
	if (!eq)
		return -1;
	*name = line;
	*value = eq + 1 + strspn(eq + 1, " \t");
	while (eq > line && isblank((unsigned char)eq[-1]))
		eq--;
	*eq = '\0';
	if (!is_name(line, (size_t)(eq - line)))
		return -1;
	if (**value == '"' || **value == '\'') {
		char *rest = unquote(*value);

		if (!rest)
			return -1;
		cut_comment(rest);
		return *rest ? -1 : 1;
	}
	cut_comment(*value);
	return 1;
}

static int file_add(struct env *env, const char *name, const char *value, unsigned line)
{
	struct env_entry *grown = realloc(env->file, (env->file_n + 1) * sizeof(*grown));
	struct env_entry entry = { strdup(name), strdup(value), line };

	if (grown)
		env->file = grown;
	if (!grown || !entry.name || !entry.value) {
		free(entry.name);
		free(entry.value);
		return SIO_ERR_NOMEM;
	}
	env->file[env->file_n++] = entry;
	return SIO_OK;
}

static int file_read(struct env *env, FILE *f, const char *path, char *error, size_t cap)
{
	char *line = NULL, *name, *value;
	size_t line_cap = 0;
	unsigned number = 0;
	int err = SIO_OK;

	while (!err && getline(&line, &line_cap, f) >= 0) {
		int kind;

		number++;
		trim_end(line);
		kind = parse_line(line, &name, &value);
		if (kind < 0) {
			/* The line may hold a secret: only its number is told. */
			snprintf(error, cap, "%s line %u: want NAME=value, a # comment or an empty line", path, number);
			err = SIO_ERR_INVAL;
		} else if (kind > 0)
			err = file_add(env, name, value, number);
	}
	if (!err && ferror(f)) {
		snprintf(error, cap, "%s: %s", path, strerror(errno));
		err = SIO_ERR_INVAL;
	}
	free(line);
	return err;
}

int env_open(struct env *env, char *const *environ_, const char *path, char *error, size_t cap)
{
	FILE *f;
	int err;

	*env = (struct env){ .environ = environ_ };
	f = path ? fopen(path, "re") : NULL;
	if (!f && path && errno != ENOENT && errno != ENOTDIR) {
		snprintf(error, cap, "%s cannot be read: %s", path, strerror(errno));
		return SIO_ERR_INVAL;
	}
	if (!f)
		return SIO_OK;
	err = file_read(env, f, path, error, cap);
	fclose(f);
	if (err == SIO_ERR_NOMEM)
		snprintf(error, cap, "%s: out of memory", path);
	return err ? SIO_ERR_INVAL : SIO_OK;
}

void env_close(struct env *env)
{
	for (size_t i = 0; i < env->file_n; i++) {
		free(env->file[i].name);
		free(env->file[i].value);
	}
	free(env->file);
	*env = (struct env){ 0 };
}

const char *env_get(const struct env *env, const char *name, bool *from_file)
{
	size_t n = strlen(name);

	*from_file = false;
	for (char *const *e = env->environ; e && *e; e++)
		if (strncmp(*e, name, n) == 0 && (*e)[n] == '=' && (*e)[n + 1])
			return *e + n + 1;
	*from_file = true;
	for (size_t i = env->file_n; i-- > 0;)
		if (strcmp(env->file[i].name, name) == 0)
			return *env->file[i].value ? env->file[i].value : NULL;
	return NULL;
}
