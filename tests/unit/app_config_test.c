/* app_config_test.c -- each variable: its default, what it takes, what it refuses and
 * in which words; .env, NAME_FILE, what production refuses, the kept secret.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/config.h"
#include "app/config_rows.h"

static char folder[64]; /* of this test, removed at its end */

static char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static char *file_put(const char *name, const char *text)
{
	char *path = path_of(name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return path;
}

/* Load an environment of up to two settings; the error, or "" when it is accepted. */
static const char *load(struct config *c, const char *first, const char *second, const char *dotenv)
{
	static char error[CONFIG_ERROR_MAX];
	char *env[] = { (char *)(uintptr_t)first, (char *)(uintptr_t)second, NULL };

	*c = (struct config){ 0 };
	error[0] = '\0';
	if (config_load(c, env, dotenv, error) == SIO_OK)
		assert_int_equal(error[0], '\0');
	else
		assert_int_not_equal(error[0], '\0');
	return error;
}

/* ---- one value a row ------------------------------------------------------------- */

/* want "": accepted.  Else the error must hold it. */
static const struct {
	const char *setting, *want;
} values[] = {
	{ "HOST=0.0.0.0", "" },
	{ "HOST=::1", "" },
	{ "HOST=localhost", "" },
	{ "HOST=example.com", "HOST=example.com is not accepted; accepted: an IPv4" },
	{ "PORT=0", "" },
	{ "PORT=65535", "" },
	{ "PORT=65536", "PORT=65536 is not accepted; accepted: a whole number from 0 to 65535" },
	{ "PORT=-1", "PORT=-1" },
	{ "PORT= 80", "PORT= 80" },
	{ "PORT=80x", "PORT=80x" },
	{ "PORT=99999999999999999999", "PORT=" },
	{ "PORT=", "" }, /* empty is unset */
	{ "WORKERS=1", "" },
	{ "WORKERS=64", "" },
	{ "WORKERS=0", "" },
	{ "WORKERS=65", "WORKERS=65 is not accepted; accepted: a whole number from 0 to 64" },
	{ "WORKERS=-1", "WORKERS=-1" },
	{ "WORKERS=x", "not accepted" },
	{ "SKYBUILD_URL=https://rt.example", "" },
	{ "SKYBUILD_URL=rt.example:8000", "SKYBUILD_URL=rt.example:8000 is not accepted; accepted: an http:// or https:// URL" },
	{ "SKYBUILD_ENV=Production", "" },
	{ "SKYBUILD_ENV=prod", "accepted: development, production" },
	{ "JWT_ALGORITHMS=HS256, ES384", "" },
	{ "JWT_ALGORITHMS=none", "JWT_ALGORITHMS=none" },
	{ "JWT_ALGORITHMS=HS256,", "not accepted" },
	{ "JWT_ALGORITHMS=hs256", "not accepted" },
	{ "JWT_PUBLIC_KEY=/nonexistent.pem", "the path of a readable PEM file" },
	{ "JWT_JWKS_URL=ftp://x", "accepted: an http:// or https:// URL" },
	{ "JWT_JWKS_URL=ftp://us:geheim@x", "JWT_JWKS_URL=ftp://us:***@x" },
	{ "JWT_LEEWAY=3600", "" },
	{ "JWT_LEEWAY=3601", "3601" },
	{ "JWT_USER_CLAIM=user id", "JWT_USER_CLAIM" },
	{ "REDIS_ENABLED=false", "" },
	{ "REDIS_ENABLED=OFF", "" },
	{ "REDIS_ENABLED=true", "" },
	{ "REDIS_ENABLED=maybe", "accepted: true or false" },
	{ "REDIS_URL=rediss://u:secret@r.example:6380/1", "" },
	{ "REDIS_URL=http://u:geheim@r.example", "REDIS_URL=http://u:***@r.example" },
	{ "REDIS_REQUIRED=no", "" },
	{ "REDIS_PREFIX=a:b", "" },
	{ "REDIS_PREFIX=a{b}", "REDIS_PREFIX=a{b}" },
	{ "REDIS_SECRET=0123456789abcdef0123456789abcdef", "" },
	{ "REDIS_CHANNEL=socketio", "" },
	{ "REDIS_CHANNEL=other", "" },
	{ "REDIS_CHANNEL=a*", "REDIS_CHANNEL=a*" },
	{ "REDIS_LISTEN_TO=node , python", "" },
	{ "REDIS_LISTEN_TO=none", "" },
	{ "REDIS_PUBLISH_TO=python", "" },
	{ "REDIS_PUBLISH_TO=python,node", "" },
	{ "REDIS_PUBLISH_TO=none", "" },
	{ "REDIS_PUBLISH_TO=php", "REDIS_PUBLISH_TO=php is not accepted; accepted: python, node, both with a comma between, or none" },
	{ "REDIS_LISTEN_TO=none,node", "REDIS_LISTEN_TO=none,node" },
	{ "REDIS_ALLOW_REMOTE_CONTROL=perhaps", "REDIS_ALLOW_REMOTE_CONTROL=perhaps" },
	{ "DATABASE_URL=sqlite:////tmp/x.db", "" },
	{ "DATABASE_URL=sqlite:///", "DATABASE_URL" },
	{ "DATABASE_URL=mysql://root:geheim@h/db", "DATABASE_URL=mysql://root:***@h/db" },
	{ "DATABASE_URL=postgresql://u:p%40ss@h:5433/db?sslmode=require", "" },
	{ "ACCESS_URL=https://rbac.example/", "an outside service" },
	{ "EVENTS_KEEP_DAYS=0", "" },
	{ "EVENTS_KEEP_DAYS=36501", "from 0 to 36500 (days)" },
	{ "EVENTS_KEEP_COUNT=1000000000", "" },
	{ "EVENTS_KEEP_COUNT=all", "EVENTS_KEEP_COUNT=all is not accepted" },
	{ "NOTIFICATIONS_KEEP_DAYS=-1", "NOTIFICATIONS_KEEP_DAYS=-1" },
	{ "CORS_ALLOWED_ORIGINS=*", "" },
	{ "CORS_ALLOWED_ORIGINS=https://a.example, http://[::1]:3000,http://localhost:5173", "" },
	{ "CORS_ALLOWED_ORIGINS=https://a.example/", "CORS_ALLOWED_ORIGINS=https://a.example/" },
	{ "CORS_ALLOWED_ORIGINS=a.example", "accepted: a comma list of origins" },
	{ "CORS_ALLOWED_ORIGINS=https://a.example:99999", "not accepted" },
	{ "PING_INTERVAL=49", "from 50 to 3600000 (milliseconds)" },
	{ "MAX_PAYLOAD=1023", "MAX_PAYLOAD=1023" },
	{ "RATE_LIMIT_EVENTS=0", "" },
	{ "RECOVERY_WINDOW=120", "" },
	{ "RECOVERY_WINDOW=0", "" },
	{ "RECOVERY_WINDOW=86401", "accepted: a whole number from 0 to 86400" },
	{ "RECOVERY_WINDOW=off", "accepted: a whole number from 0 to 86400" },
	{ "RECOVERY_EVENTS_MAX=0", "accepted: a whole number from 1 to 100000" },
	{ "PERMESSAGE_DEFLATE=true", "" },
	{ "PERMESSAGE_DEFLATE=yes please", "accepted: true or false" },
	{ "HTTP_COMPRESSION=true", "" },
	{ "HTTP_COMPRESSION=gzip", "accepted: true or false" },
	{ "TLS_CERT=/dev/null", "TLS_CERT=/dev/null is not accepted" },
	{ "TLS_KEY=/nonexistent.pem", "TLS_KEY=/nonexistent.pem is not accepted; accepted: the path of a readable PEM file" },
	{ "TRUSTED_PROXIES=10.0.0.0/8, ::1,::ffff:192.0.2.0/120", "" },
	{ "TRUSTED_PROXIES=10.0.0.0/8,", "is not accepted" },
	{ "TRUSTED_PROXIES=proxy.example", "accepted: a comma list of networks such as 10.0.0.0/8,::1" },
	{ "TRUSTED_PROXIES=10.0.0.0/33", "is not accepted" },
	{ "LOG_LEVEL=WARNING", "" },
	{ "LOG_LEVEL=warn", "accepted: debug, info, warning, error" },
	{ "LOG_FORMAT=json", "" },
	{ "SHUTDOWN_TIMEOUT=0", "" },
	{ "WEB_ROOT=/nonexistent", "the path of a readable folder" },
	{ "WEB_ROOT=/tmp", "" },
	{ "JWT_SECRET=x", "" },
};

static void test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct config c;
		const char *error = load(&c, values[i].setting, NULL, NULL);
		bool is_right = *values[i].want ? strstr(error, values[i].want) != NULL : *error == '\0';

		if (!is_right)
			fail_msg("%s: got '%s', want '%s'", values[i].setting, error, values[i].want);
		if (strstr(error, "geheim") || strchr(error, '\n'))
			fail_msg("%s: the error tells too much: %s", values[i].setting, error);
		config_fini(&c);
	}
}

static void test_defaults(void **state)
{
	struct config c;

	(void)state;
	assert_string_equal(load(&c, NULL, NULL, NULL), "");
	assert_string_equal(c.host, "127.0.0.1");
	assert_int_equal(c.port, 8000);
	assert_int_equal(c.workers, 1);
	assert_string_equal(c.jwt_algorithms, "HS256");
	assert_null(c.jwt_secret);
	assert_string_equal(c.database_url, "sqlite:///skybuild.db");
	assert_string_equal(config_sqlite_path(&c), "skybuild.db");
	assert_int_equal(c.ping_interval_ms, 25000);
	assert_int_equal(c.ping_timeout_ms, 20000);
	assert_int_equal(c.max_payload_bytes, 1000000);
	assert_int_equal(c.events_keep_days, 30);
	assert_int_equal(c.events_keep_count, 100000);
	assert_int_equal(c.notifications_keep_days, 90);
	assert_int_equal(c.log_level, 1);
	assert_int_equal(c.redis_enabled, 0);
	assert_int_equal(c.redis_required, 1);
	config_fini(&c);
}

/* Every row has words for a person, and its default is one that it accepts. */
static void test_rows(void **state)
{
	struct buf b = { 0 };

	(void)state;
	config_describe(&b);
	assert_false(b.failed);
	for (size_t i = 0; i < config_rows_n; i++) {
		buf_byte(&b, '\0');
		b.n--;
		assert_non_null(strstr(b.p, config_rows[i].name));
		assert_non_null(config_rows[i].text);
	}
	buf_fini(&b);
}

/* ---- where values come from -------------------------------------------------------- */

static void test_dotenv(void **state)
{
	struct config c;
	char *path = file_put(".env", "# a comment\n"
				      "\n"
				      "PORT=9001\n"
				      "export HOST = ::1   # of this machine\n"
				      "JWT_ISSUER=\"a \\\"b\\\" # c\"\n"
				      "JWT_AUDIENCE='x\\n'\n"
				      "JWT_LEEWAY=\n"
				      "SKYBUILD_EVN=production\n");

	(void)state;
	assert_string_equal(load(&c, "PORT=9002", "SKYBUILD_X=1", path), "");
	assert_int_equal(c.port, 9002); /* the environment wins */
	assert_string_equal(c.host, "::1");
	assert_string_equal(c.jwt_issuer, "a \"b\" # c");
	assert_string_equal(c.jwt_audience, "x\\n");
	assert_int_equal(c.jwt_leeway_s, 30);
	buf_byte(&c.warnings, '\0');
	assert_non_null(strstr(c.warnings.p, "line 8 sets SKYBUILD_EVN"));
	assert_non_null(strstr(c.warnings.p, "SKYBUILD_X"));
	config_fini(&c);

	/* An empty setting of the environment is unset: the file's counts. */
	assert_string_equal(load(&c, "PORT=", NULL, path), "");
	assert_int_equal(c.port, 9001);
	config_fini(&c);

	assert_string_equal(load(&c, NULL, NULL, path_of("absent")), "");
	config_fini(&c);

	path = file_put(".env", "PORT=1\nJWT_SECRET geheim\n");
	assert_non_null(strstr(load(&c, NULL, NULL, path), "line 2: want NAME=value"));
	config_fini(&c);
	path = file_put(".env", "JWT_SECRET=\"geheim\n");
	assert_non_null(strstr(load(&c, NULL, NULL, path), "line 1"));
	config_fini(&c);
}

static void test_secret_files(void **state)
{
	struct config c;
	char setting[256];

	(void)state;
	snprintf(setting, sizeof(setting), "JWT_SECRET_FILE=%s", file_put("secret", "abc def\n"));
	assert_string_equal(load(&c, setting, NULL, NULL), "");
	assert_string_equal(c.jwt_secret, "abc def");
	config_fini(&c);
	assert_string_equal(load(&c, setting, "JWT_SECRET=x", NULL), "JWT_SECRET and JWT_SECRET_FILE are both set; set one of them");
	config_fini(&c);
	assert_non_null(strstr(load(&c, "SERVICE_API_KEY_FILE=/nonexistent", NULL, NULL),
			       "SERVICE_API_KEY_FILE=/nonexistent cannot be used: No such file"));
	config_fini(&c);
	file_put("secret", "\n");
	assert_non_null(strstr(load(&c, setting, NULL, NULL), "it is empty"));
	config_fini(&c);

	/* The environment's plain value wins over the file's NAME_FILE. */
	snprintf(setting, sizeof(setting), "JWT_SECRET_FILE=%s\n", file_put("secret", "from the file"));
	assert_string_equal(load(&c, "JWT_SECRET=mine", NULL, file_put(".env", setting)), "");
	assert_string_equal(c.jwt_secret, "mine");
	config_fini(&c);
}

/* An address of Redis that nothing uses is told, unless somebody has said that it shall be so. */
static void test_redis_url_alone(void **state)
{
	static const struct {
		const char *first, *second;
		bool warns;
	} cases[] = {
		{ "REDIS_URL=redis://h:1/0", NULL, true },
		{ "REDIS_URL_FILE=%s", NULL, true },
		{ "REDIS_URL=redis://h:1/0", "REDIS_ENABLED=", true },
		{ "REDIS_URL=redis://h:1/0", "REDIS_ENABLED=false", false },
		{ "REDIS_URL=redis://h:1/0", "REDIS_ENABLED=true", false },
		{ "REDIS_URL=", NULL, false },
		{ NULL, NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char first[512];
		struct config c;

		if (cases[i].first && strchr(cases[i].first, '%'))
			snprintf(first, sizeof(first), "REDIS_URL_FILE=%s", file_put("redis", "redis://h:1/0"));
		else
			snprintf(first, sizeof(first), "%s", cases[i].first ? cases[i].first : "PORT=1");
		assert_string_equal(load(&c, first, cases[i].second, NULL), "");
		buf_byte(&c.warnings, '\0');
		assert_int_equal(strstr(c.warnings.p, "REDIS_URL is set and REDIS_ENABLED is not") != NULL, cases[i].warns);
		config_fini(&c);
	}
}

/* ---- what only makes sense together --------------------------------------------------- */

#define GOOD "JWT_SECRET=0123456789abcdef0123456789abcdef"

static const struct {
	const char *first, *second, *want; /* want "": accepted; "warns ...": accepted with it */
} pairs[] = {
	{ "SKYBUILD_ENV=production", NULL, "JWT_SECRET is unset" },
	{ "SKYBUILD_ENV=production", "JWT_SECRET=short", "JWT_SECRET is shorter than 32 bytes" },
	{ "SKYBUILD_ENV=production", GOOD, "" },
	{ "JWT_SECRET=short", NULL, "warns JWT_SECRET is shorter" },
	{ "CORS_ALLOWED_ORIGINS=*", GOOD, "warns CORS_ALLOWED_ORIGINS=*" },
	{ "SERVICE_API_KEY=k", GOOD, "warns SERVICE_API_KEY is shorter" },
	{ "JWT_ALGORITHMS=RS256", NULL, "JWT_ALGORITHMS=RS256 needs JWT_PUBLIC_KEY" },
	{ "JWT_PUBLIC_KEY=/etc/passwd", NULL, "names none that uses it" },
	{ "JWT_JWKS_URL=https://id.example/keys", NULL, "JWT_JWKS_URL is set, but JWT_ALGORITHMS=HS256 names none that uses it" },
	{ "JWT_ALGORITHMS=RS256", "JWT_JWKS_URL=https://id.example/keys", "" },
	{ "JWT_ALGORITHMS=ES256", "JWT_JWKS_URL=http://id.example/keys", "warns JWT_JWKS_URL is not https" },
	{ "JWT_PUBLIC_KEY=/etc/passwd", "JWT_JWKS_URL=https://id.example/keys", "both set" },
	{ "PING_INTERVAL=55000", NULL, "warns PING_INTERVAL + PING_TIMEOUT is 75000 ms" },
};

static void test_serve(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		char error[CONFIG_ERROR_MAX] = "";
		struct config c;
		bool warns = strncmp(pairs[i].want, "warns ", 6) == 0;
		int err;

		assert_string_equal(load(&c, pairs[i].first, pairs[i].second, NULL), "");
		err = config_check_serve(&c, error);
		buf_byte(&c.warnings, '\0');
		if ((*pairs[i].want && !warns) != (err != SIO_OK) || (err && !strstr(error, pairs[i].want)) ||
		    (warns && !strstr(c.warnings.p, pairs[i].want + 6)))
			fail_msg("%s: %d '%s' '%s'", pairs[i].first, err, error, c.warnings.p);
		config_fini(&c);
	}
}

static void test_kept_secret(void **state)
{
	struct config c;
	char error[CONFIG_ERROR_MAX], url[256], first[128];
	struct stat st;
	bool is_made;

	(void)state;
	snprintf(url, sizeof(url), "DATABASE_URL=sqlite:///%s", path_of("x.db"));
	load(&c, url, NULL, NULL);
	assert_int_equal(config_secret(&c, false, &is_made, error), SIO_OK);
	assert_null(c.jwt_secret); /* looking makes nothing */
	assert_int_equal(config_secret(&c, true, &is_made, error), SIO_OK);
	assert_true(is_made);
	snprintf(first, sizeof(first), "%s", c.jwt_secret);
	assert_int_equal(strlen(first), 80);
	config_fini(&c);

	assert_int_equal(stat(path_of(".skybuild-secret"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	load(&c, url, NULL, NULL);
	assert_int_equal(config_secret(&c, true, &is_made, error), SIO_OK);
	assert_false(is_made);
	assert_string_equal(c.jwt_secret, first);
	config_fini(&c);

	file_put(".skybuild-secret", "short");
	load(&c, url, NULL, NULL);
	assert_int_equal(config_secret(&c, true, &is_made, error), SIO_ERR_INVAL);
	assert_non_null(strstr(error, "it is no secret that skybuild made"));
	config_fini(&c);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/skybuild-config-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
	static const char *const names[] = { ".env", "secret", ".skybuild-secret" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(path_of(names[i]));
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),   cmocka_unit_test(test_defaults),     cmocka_unit_test(test_rows),
		cmocka_unit_test(test_dotenv),   cmocka_unit_test(test_secret_files), cmocka_unit_test(test_serve),
		cmocka_unit_test(test_kept_secret), cmocka_unit_test(test_redis_url_alone),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
