/* config.c -- see config.h.  Reads the rows of config_rows.c, one after the other.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "app/config.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/config_env.h"
#include "app/config_rows.h"

enum {
	SECRET_FILE_MAX = 65536, /* bytes of a file named by NAME_FILE */
	JWT_SECRET_MIN = 32,
	SERVICE_KEY_MIN = 16,
};

/* ---- one sentence for a value that is not accepted --------------------------- */

/* The value as it may be shown: never a secret, no password of a URL. */
static void put_shown(struct buf *b, const struct config_row *row, const char *value)
{
	const char *authority, *at, *colon;

	if (row->is_secret) {
		buf_str(b, "(hidden)");
		return;
	}
	authority = strstr(value, "://");
	at = strrchr(value, '@');
	if (!row->is_url_with_secret || !at) {
		buf_printf(b, "%.200s", value);
		return;
	}
	colon = authority && authority < at ? strchr(authority + 3, ':') : NULL;
	if (!authority || authority > at)
		buf_str(b, "(hidden)");
	else if (colon && colon < at)
		buf_printf(b, "%.*s:***%.100s", (int)(colon - value), value, at);
	else
		buf_printf(b, "%.200s", value);
}

static void put_accepted(struct buf *b, const struct config_row *row)
{
	switch (row->kind) {
	case CONFIG_NUMBER:
		buf_printf(b, "a whole number from %u to %u", row->min, row->max);
		if (*row->accepts)
			buf_printf(b, " (%s)", row->accepts);
		break;
	case CONFIG_SWITCH:
		buf_str(b, "true or false");
		break;
	case CONFIG_CHOICE:
		for (const char *p = row->choices; *p; p++)
			buf_str(b, *p == ' ' ? ", " : (char[]){ *p, '\0' });
		break;
	case CONFIG_TEXT:
		buf_str(b, row->accepts);
		break;
	}
}

static void put_error(char *error, const struct buf *b)
{
	snprintf(error, CONFIG_ERROR_MAX, "%.*s", (int)b->n, b->n ? b->p : "");
}

static int refuse(const struct config_row *row, const char *value, char *error)
{
	struct buf b = { 0 };

	buf_printf(&b, "%s=", row->name);
	put_shown(&b, row, value);
	buf_str(&b, " is not accepted; accepted: ");
	put_accepted(&b, row);
	put_error(error, &b);
	buf_fini(&b);
	return SIO_ERR_INVAL;
}

static int refuse_later(const struct config_row *row, const char *value, char *error)
{
	struct buf b = { 0 };

	buf_printf(&b, "%s=", row->name);
	put_shown(&b, row, value);
	buf_printf(&b, " asks for %s, which this version cannot do yet; accepted: ", row->what);
	if (*row->only)
		buf_printf(&b, "%s, or unset", row->only);
	else
		buf_str(&b, "unset");
	put_error(error, &b);
	buf_fini(&b);
	return SIO_ERR_INVAL;
}

/* ---- values ------------------------------------------------------------------ */

static bool parse_number(const char *s, uint32_t min, uint32_t max, uint32_t *out)
{
	unsigned long long v;
	char *end;

	if (s[0] < '0' || s[0] > '9')
		return false;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno || *end || v < min || v > max)
		return false;
	*out = (uint32_t)v;
	return true;
}

static bool parse_switch(const char *s, uint32_t *out)
{
	static const char *const words[][2] = {
		{ "false", "true" }, { "0", "1" }, { "no", "yes" }, { "off", "on" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		for (uint32_t v = 0; v < 2; v++)
			if (strcasecmp(s, words[i][v]) == 0) {
				*out = v;
				return true;
			}
	return false;
}

static bool parse_choice(const char *s, const char *choices, uint32_t *out)
{
	uint32_t index = 0;

	while (*choices) {
		size_t n = strcspn(choices, " ");

		if (strlen(s) == n && strncasecmp(s, choices, n) == 0) {
			*out = index;
			return true;
		}
		choices += n + strspn(choices + n, " ");
		index++;
	}
	return false;
}

/* Put value into the row's field.  False when the row does not accept it. */
static bool apply(struct config *c, const struct config_row *row, const char *value)
{
	uint32_t *number = (uint32_t *)(void *)((char *)c + row->offset);
	char **text = (char **)(void *)((char *)c + row->offset);

	switch (row->kind) {
	case CONFIG_NUMBER:
		return parse_number(value, row->min, row->max, number);
	case CONFIG_SWITCH:
		return parse_switch(value, number);
	case CONFIG_CHOICE:
		return parse_choice(value, row->choices, number);
	case CONFIG_TEXT:
		if (row->check && !row->check(value))
			return false;
		free(*text);
		*text = strdup(value);
		return *text != NULL;
	}
	return false;
}

/* Does value ask for what only a later version can do? */
static bool is_later(const struct config *c, const struct config_row *row)
{
	struct config want = { 0 };
	uint32_t have;

	if (!row->only)
		return false;
	if (row->kind == CONFIG_TEXT)
		return strcmp(*(char *const *)(const void *)((const char *)c + row->offset), row->only) != 0; /* "": only "unset" */
	have = *(const uint32_t *)(const void *)((const char *)c + row->offset);
	return !apply(&want, row, row->only) ||
	       *(const uint32_t *)(const void *)((const char *)&want + row->offset) != have;
}

/* ---- NAME_FILE ----------------------------------------------------------------- */

/* The content of the file, without its last line end.  NULL with a sentence in
 * error; the content itself is never shown. */
static char *read_secret_file(const char *name, const char *path, char *error)
{
	FILE *f = fopen(path, "re");
	char *text = f ? malloc(SECRET_FILE_MAX) : NULL;
	size_t n = text ? fread(text, 1, SECRET_FILE_MAX, f) : 0;
	const char *fault = NULL;

	if (!text || ferror(f))
		fault = strerror(errno);
	else if (n == SECRET_FILE_MAX)
		fault = "it is too large for a secret";
	else if (memchr(text, '\0', n))
		fault = "it holds a NUL byte";
	else {
		while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
			n--;
		text[n] = '\0';
		if (n == 0)
			fault = "it is empty";
	}
	if (fault) {
		snprintf(error, CONFIG_ERROR_MAX, "%s=%.200s cannot be used: %s; accepted: the path of a file that holds the value",
			 name, path, fault);
		free(text);
		text = NULL;
	}
	if (f)
		fclose(f);
	return text;
}

/* The value of a row that may come from NAME_FILE, on the heap; NULL when unset
 * or, with *err set, refused. */
static char *secret_value(const struct env *env, const struct config_row *row, char *error, int *err)
{
	char name[64];
	bool plain_in_file, path_in_file;
	const char *plain = env_get(env, row->name, &plain_in_file);
	const char *path;
	char *text = NULL;

	snprintf(name, sizeof(name), "%s_FILE", row->name);
	path = env_get(env, name, &path_in_file);
	if (plain && path && plain_in_file == path_in_file) {
		snprintf(error, CONFIG_ERROR_MAX, "%s and %s are both set; set one of them", row->name, name);
		*err = SIO_ERR_INVAL;
		return NULL;
	}
	if (path && (!plain || plain_in_file))
		text = read_secret_file(name, path, error);
	else if (plain)
		text = strdup(plain);
	if (!text && (plain || path))
		*err = SIO_ERR_INVAL;
	return text;
}

/* ---- reading -------------------------------------------------------------------- */

static int read_row(struct config *c, const struct env *env, const struct config_row *row, char *error)
{
	char *own = NULL;
	const char *value;
	bool from_file;
	int err = SIO_OK;

	if (row->is_secret || row->is_url_with_secret)
		value = own = secret_value(env, row, error, &err);
	else
		value = env_get(env, row->name, &from_file);
	if (err)
		return err;
	if (!value) {
		if (row->fallback && !apply(c, row, row->fallback))
			err = refuse(row, row->fallback, error);
	} else if (!apply(c, row, value))
		err = refuse(row, value, error);
	else if (is_later(c, row))
		err = refuse_later(row, value, error);
	free(own);
	return err;
}

static bool is_known(const char *name)
{
	for (size_t i = 0; i < config_rows_n; i++) {
		const struct config_row *row = &config_rows[i];
		size_t n = strlen(row->name);

		if (strncmp(name, row->name, n) != 0)
			continue;
		if (!name[n] || ((row->is_secret || row->is_url_with_secret) && strcmp(name + n, "_FILE") == 0))
			return true;
	}
	return false;
}

/* A misspelt name does nothing, which nobody would notice: say so. */
static void warn_unknown(struct config *c, const struct env *env, const char *path)
{
	for (size_t i = 0; i < env->file_n; i++)
		if (!is_known(env->file[i].name))
			buf_printf(&c->warnings, "%s line %u sets %s, which is no setting of skybuild\n", path, env->file[i].line,
				   env->file[i].name);
	for (char *const *e = env->environ; e && *e; e++) {
		size_t n = strcspn(*e, "=");
		char name[64];

		if (strncmp(*e, "SKYBUILD_", 9) != 0 || n >= sizeof(name))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)n, *e);
		if (!is_known(name))
			buf_printf(&c->warnings, "the environment sets %s, which is no setting of skybuild\n", name);
	}
}

static uint32_t cores_n(void)
{
	cpu_set_t cores; /* that this process may use */
	int n = sched_getaffinity(0, sizeof(cores), &cores) == 0 ? CPU_COUNT(&cores) : 1;

	return n > CONFIG_WORKERS_MAX ? CONFIG_WORKERS_MAX : (uint32_t)n;
}

/* An address of Redis alone does nothing, and two servers that do not know each other look well. */
static void warn_unused(struct config *c, const struct env *env)
{
	bool in_file;

	if ((env_get(env, "REDIS_URL", &in_file) || env_get(env, "REDIS_URL_FILE", &in_file)) && !env_get(env, "REDIS_ENABLED", &in_file))
		buf_printf(&c->warnings, "REDIS_URL is set and REDIS_ENABLED is not: this is one server alone; set REDIS_ENABLED=true to be "
					 "one of several, or false to be told nothing\n");
}

int config_load(struct config *c, char *const *environ_, const char *dotenv, char error[CONFIG_ERROR_MAX])
{
	struct env env;
	int err = env_open(&env, environ_, dotenv, error, CONFIG_ERROR_MAX);

	for (size_t i = 0; !err && i < config_rows_n; i++)
		err = read_row(c, &env, &config_rows[i], error);
	if (!err) {
		warn_unknown(c, &env, dotenv);
		warn_unused(c, &env);
		c->workers = c->workers ? c->workers : cores_n();
	}
	env_close(&env);
	return err;
}

void config_fini(struct config *c)
{
	for (size_t i = 0; i < config_rows_n; i++)
		if (config_rows[i].kind == CONFIG_TEXT) {
			char **text = (char **)(void *)((char *)c + config_rows[i].offset);

			if (*text && config_rows[i].is_secret)
				explicit_bzero(*text, strlen(*text));
			free(*text);
		}
	buf_fini(&c->warnings);
	*c = (struct config){ 0 };
}

/* ---- what only makes sense together ------------------------------------------------ */

bool config_has_algorithm(const struct config *c, const char *family)
{
	return strstr(c->jwt_algorithms, family) != NULL;
}

bool config_sign_algorithm(const struct config *c, char out[8])
{
	const char *at = strstr(c->jwt_algorithms, "HS");

	snprintf(out, 8, "%.5s", at ? at : ""); /* "HS256" */
	return at != NULL;
}

/* Development warns, production refuses. */
static int weak(struct config *c, char *error, const char *sentence)
{
	if (c->env == CONFIG_PRODUCTION) {
		snprintf(error, CONFIG_ERROR_MAX, "%s; SKYBUILD_ENV=production refuses that", sentence);
		return SIO_ERR_INVAL;
	}
	buf_printf(&c->warnings, "%s; SKYBUILD_ENV=production would refuse that\n", sentence);
	return SIO_OK;
}

static int check_keys(struct config *c, char *error)
{
	bool is_symmetric = config_has_algorithm(c, "HS");
	bool is_public = config_has_algorithm(c, "RS") || config_has_algorithm(c, "PS") || config_has_algorithm(c, "ES");

	if (is_public && !c->jwt_public_key && !c->jwt_jwks_url) {
		snprintf(error, CONFIG_ERROR_MAX,
			 "JWT_ALGORITHMS=%s needs JWT_PUBLIC_KEY, the path of a PEM file, or JWT_JWKS_URL, the address of a JWK Set; both are unset",
			 c->jwt_algorithms);
		return SIO_ERR_INVAL;
	}
	if (c->jwt_public_key && c->jwt_jwks_url) {
		snprintf(error, CONFIG_ERROR_MAX, "JWT_PUBLIC_KEY and JWT_JWKS_URL are both set; set one of them");
		return SIO_ERR_INVAL;
	}
	if (!is_public && (c->jwt_public_key || c->jwt_jwks_url)) {
		snprintf(error, CONFIG_ERROR_MAX, "%s is set, but JWT_ALGORITHMS=%s names none that uses it; add RS256 or its like",
			 c->jwt_public_key ? "JWT_PUBLIC_KEY" : "JWT_JWKS_URL", c->jwt_algorithms);
		return SIO_ERR_INVAL;
	}
	if (c->jwt_jwks_url && strncmp(c->jwt_jwks_url, "https:", 6) != 0)
		buf_printf(&c->warnings, "JWT_JWKS_URL is not https: whoever is on the way there can put in keys of their own\n");
	if (is_symmetric && !c->jwt_secret && c->env == CONFIG_PRODUCTION) {
		snprintf(error, CONFIG_ERROR_MAX, "JWT_SECRET is unset; SKYBUILD_ENV=production needs one of %d bytes or more",
			 JWT_SECRET_MIN);
		return SIO_ERR_INVAL;
	}
	if (is_symmetric && c->jwt_secret && strlen(c->jwt_secret) < JWT_SECRET_MIN)
		return weak(c, error, "JWT_SECRET is shorter than 32 bytes and could be guessed");
	return SIO_OK;
}

int config_check_serve(struct config *c, char error[CONFIG_ERROR_MAX])
{
	int err = check_keys(c, error);

	if (!err && c->service_api_key && strlen(c->service_api_key) < SERVICE_KEY_MIN)
		err = weak(c, error, "SERVICE_API_KEY is shorter than 16 bytes and could be guessed");
	if (!err && c->cors_allowed_origins && strchr(c->cors_allowed_origins, '*'))
		err = weak(c, error, "CORS_ALLOWED_ORIGINS=* lets every web site act with a visitor's credentials");
	if (!err && c->redis_publish_to && strcmp(c->redis_publish_to, "none") != 0 && !c->redis_enabled)
		buf_printf(&c->warnings, "REDIS_PUBLISH_TO=%s does nothing while REDIS_ENABLED is false\n", c->redis_publish_to);
	if (!err && c->ping_interval_ms + c->ping_timeout_ms >= 60000)
		buf_printf(&c->warnings,
			   "PING_INTERVAL + PING_TIMEOUT is %u ms; many proxies cut a silent connection after 60000 ms\n",
			   c->ping_interval_ms + c->ping_timeout_ms);
	return err;
}

void config_describe(struct buf *out)
{
	for (size_t i = 0; i < config_rows_n; i++) {
		const struct config_row *row = &config_rows[i];

		buf_printf(out, "  %-25s %s", row->name, row->text);
		if (row->fallback)
			buf_printf(out, " [%s]", row->fallback);
		if (row->is_secret || row->is_url_with_secret)
			buf_printf(out, "; also %s_FILE", row->name);
		if (row->only)
			buf_printf(out, "; this version takes only %s", *row->only ? row->only : "unset");
		buf_byte(out, '\n');
	}
}
