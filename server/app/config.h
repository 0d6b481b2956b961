/* config.h -- the settings of the program, from the environment and a .env file.
 *
 * Every variable is one row of a table in config_rows.c: name, kind, default,
 * what it accepts, what it means.  Reading is strict: the first value that is
 * not accepted ends it with one sentence that names the variable, the value
 * (never a secret) and what would be accepted.  A setting that this version
 * cannot honour is refused, never ignored.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef APP_CONFIG_H
#define APP_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sio/error.h>

#include "base/buf.h"

/* Values of choices, in the order of their names in the table. */
enum config_env { CONFIG_DEVELOPMENT, CONFIG_PRODUCTION };
enum config_format { CONFIG_LOG_TEXT, CONFIG_LOG_JSON };

/* Strings are owned by the config; an unset one is NULL.  uint32_t for numbers,
 * switches and choices, so that one table can fill them all. */
struct config {
	char *host;
	uint32_t port;
	uint32_t workers;
	uint32_t env; /* enum config_env */

	char *jwt_secret;
	char *jwt_algorithms;
	char *jwt_public_key;
	char *jwt_jwks_url;
	char *jwt_issuer;
	char *jwt_audience;
	uint32_t jwt_leeway_s;
	char *jwt_user_claim;

	uint32_t redis_enabled;
	uint32_t redis_required;
	char *redis_url;
	char *redis_channel;
	char *redis_listen_to;
	char *redis_publish_to;
	uint32_t redis_allow_remote_control;
	char *redis_prefix;
	char *redis_secret;

	char *database_url;
	char *access_url;
	uint32_t events_keep_days;
	uint32_t events_keep_count;
	uint32_t notifications_keep_days;
	char *service_api_key;
	char *skybuild_url;
	char *cors_allowed_origins;

	uint32_t ping_interval_ms;
	uint32_t ping_timeout_ms;
	uint32_t connect_timeout_ms;
	uint32_t upgrade_timeout_ms;
	uint32_t max_payload_bytes;
	uint32_t max_connections;
	uint32_t max_connections_per_user;
	uint32_t max_rooms_per_connection;
	uint32_t rate_limit_events;
	uint32_t send_queue_bytes;
	uint32_t recovery_window_s;
	uint32_t recovery_events_max;
	uint32_t presence_grace_ms;
	uint32_t permessage_deflate;
	uint32_t http_compression;

	char *tls_cert;
	char *tls_key;
	char *trusted_proxies;

	uint32_t log_level; /* enum sio_log_level */
	uint32_t log_format;
	uint32_t shutdown_timeout_s;
	char *web_root;
	char *client_dir;

	/* What development allows and an operator should know, one sentence a line. */
	struct buf warnings;
};

#define CONFIG_ERROR_MAX 512
#define CONFIG_WORKERS_MAX 64

/* Read env (NULL-terminated "NAME=value" strings, as environ) and the file
 * dotenv, which may be absent; env wins, an empty value counts as unset.  All
 * zero in *c before; config_fini afterwards in any case.  Returns 0, or
 * SIO_ERR_INVAL with a sentence in error. */
SIO_MUST_CHECK int config_load(struct config *c, char *const *env, const char *dotenv, char error[CONFIG_ERROR_MAX]);
void config_fini(struct config *c);

/* What a running server needs beyond well-formed values: production's refusals,
 * and settings that only make sense together.  Adds to c->warnings.  Returns as
 * config_load. */
SIO_MUST_CHECK int config_check_serve(struct config *c, char error[CONFIG_ERROR_MAX]);

/* The secret that tokens are signed with: JWT_SECRET, or in development the one
 * kept beside the database, which is made (mode 0600) when there is none and may_make
 * is true.  *made tells that it was made now.  Returns 0 and the secret in
 * c->jwt_secret, or SIO_ERR_INVAL with a sentence in error. */
SIO_MUST_CHECK int config_secret(struct config *c, bool may_make, bool *made, char error[CONFIG_ERROR_MAX]);

/* Is an algorithm of the family, "HS", "RS", "PS" or "ES", in JWT_ALGORITHMS? */
bool config_has_algorithm(const struct config *c, const char *family);

/* The first HS algorithm of JWT_ALGORITHMS, which tokens are signed with.  False:
 * there is none. */
bool config_sign_algorithm(const struct config *c, char out[8]);

/* The file of DATABASE_URL when it names an SQLite file, or NULL. */
const char *config_sqlite_path(const struct config *c);

/* The folder of the SQLite file ("." when the path has none), into out. */
void config_data_dir(const struct config *c, char *out, size_t cap);

/* The table as text for --help. */
void config_describe(struct buf *out);

#endif
