/* config_rows.c -- every environment variable of the program, and what each accepts.
 *
 * To add a variable: a field in struct config, a row here, a line in the test's
 * table.  Reading, refusing and --help follow from the row.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "app/config_rows.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/config.h"

/* ---- what a text may be ---------------------------------------------------- */

/* Each item of a comma list, blanks around it trimmed, is accepted, and there is
 * at least one. */
static bool each_item(const char *list, bool (*accept)(const char *item))
{
	char item[512];

	for (;;) {
		const char *end = strchrnul(list, ',');
		size_t n;

		while (list < end && isblank((unsigned char)*list))
			list++;
		n = (size_t)(end - list);
		while (n > 0 && isblank((unsigned char)list[n - 1]))
			n--;
		if (n == 0 || n >= sizeof(item))
			return false;
		memcpy(item, list, n);
		item[n] = '\0';
		if (!accept(item))
			return false;
		if (!*end)
			return true;
		list = end + 1;
	}
}

static bool is_address(const char *s)
{
	unsigned char raw[16];

	return inet_pton(AF_INET, s, raw) == 1 || inet_pton(AF_INET6, s, raw) == 1;
}

static bool is_host(const char *s)
{
	return is_address(s) || strcmp(s, "localhost") == 0;
}

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* Has s one of the schemes ("http:// https://") and something behind it? */
static bool is_url(const char *s, const char *schemes)
{
	while (*schemes) {
		size_t n = strcspn(schemes, " ");

		if (strncmp(s, schemes, n) == 0 && s[n] && !strpbrk(s, " \t\r\n"))
			return true;
		schemes += n;
		schemes += strspn(schemes, " ");
	}
	return false;
}

static bool is_http_url(const char *s)
{
	return is_url(s, "http:// https://");
}

static bool is_redis_url(const char *s)
{
	return is_url(s, "redis:// rediss:// valkey:// valkeys:// unix:// redis+sentinel://");
}

static bool is_channel(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n <= 255 && !strpbrk(s, "{}*?[]\\ \t\r\n");
}

static bool is_neighbour(const char *s)
{
	return strcmp(s, "python") == 0 || strcmp(s, "node") == 0;
}

static bool is_neighbours(const char *s)
{
	return strcmp(s, "none") == 0 || each_item(s, is_neighbour);
}

static bool is_database_url(const char *s)
{
	return is_url(s, "sqlite:/// postgresql:// postgres://");
}

static bool is_port(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n > 0 && n <= 5 && !s[n] && atol(s) >= 1 && atol(s) <= 65535;
}

/* "*", or scheme://host[:port] and nothing behind it. */
static bool is_origin(const char *s)
{
	const char *host, *port;

	if (strcmp(s, "*") == 0)
		return true;
	if (!starts_with(s, "http://") && !starts_with(s, "https://"))
		return false;
	host = strstr(s, "://") + 3;
	if (!*host || strpbrk(host, "/?#@ \t"))
		return false;
	port = strrchr(host, ':');
	if (!port || strchr(port, ']')) /* an IPv6 address without a port */
		return true;
	return port > host && is_port(port + 1);
}

static bool is_origin_list(const char *s)
{
	return each_item(s, is_origin);
}

static bool is_algorithm(const char *s)
{
	static const char *const all[] = { "HS256", "HS384", "HS512", "RS256", "RS384", "RS512",
					   "PS256", "PS384", "PS512", "ES256", "ES384", "ES512" };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(s, all[i]) == 0)
			return true;
	return false;
}

static bool is_algorithm_list(const char *s)
{
	return each_item(s, is_algorithm);
}

static bool is_network(const char *s)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchrnul(s, '/');
	size_t n = (size_t)(slash - s);
	long most;

	if (n >= sizeof(address))
		return false;
	memcpy(address, s, n);
	address[n] = '\0';
	if (!is_address(address))
		return false;
	if (!*slash)
		return true;
	most = strchr(address, ':') ? 128 : 32;
	n = strspn(slash + 1, "0123456789");
	return n > 0 && n <= 3 && !slash[1 + n] && atol(slash + 1) <= most;
}

static bool is_network_list(const char *s)
{
	return each_item(s, is_network);
}

static bool is_file(const char *s)
{
	struct stat st;

	return stat(s, &st) == 0 && S_ISREG(st.st_mode) && access(s, R_OK) == 0;
}

static bool is_folder(const char *s)
{
	struct stat st;

	return stat(s, &st) == 0 && S_ISDIR(st.st_mode) && access(s, R_OK | X_OK) == 0;
}

/* A claim's or a channel's name: printable ASCII without blanks. */
static bool is_word(const char *s)
{
	for (; *s; s++)
		if (!isgraph((unsigned char)*s))
			return false;
	return true;
}

static bool is_prefix(const char *s)
{
	return is_word(s) && strlen(s) <= 64 && !strpbrk(s, "{}");
}

/* ---- the table --------------------------------------------------------------- */

#define FIELD(f) .offset = offsetof(struct config, f)
#define NUMBER(f, lo, hi, dflt, unit)                                         \
	.kind = CONFIG_NUMBER, FIELD(f), .min = lo, .max = hi, .fallback = dflt, .accepts = unit
#define SWITCH(f, dflt) .kind = CONFIG_SWITCH, FIELD(f), .fallback = dflt
#define CHOICE(f, names, dflt) .kind = CONFIG_CHOICE, FIELD(f), .choices = names, .fallback = dflt
#define TEXT(f, fn, like) .kind = CONFIG_TEXT, FIELD(f), .check = fn, .accepts = like

const struct config_row config_rows[] = {
	{ "HOST", TEXT(host, is_host, "an IPv4 or IPv6 address, or localhost"), .fallback = "127.0.0.1",
	  .text = "address to listen on" },
	{ "PORT", NUMBER(port, 0, 65535, "8000", ""), .text = "port to listen on; 0 picks a free one" },
	{ "WORKERS", NUMBER(workers, 0, CONFIG_WORKERS_MAX, "1", ""), .text = "event-loop threads, each a whole server on the same port; 0: one a core" },
	{ "SKYBUILD_ENV", CHOICE(env, "development production", "development"),
	  .text = "production refuses what development only warns of" },

	{ "JWT_SECRET", TEXT(jwt_secret, NULL, "32 bytes or more"), .is_secret = true,
	  .text = "key of HS256/384/512; development makes one when it is unset" },
	{ "JWT_ALGORITHMS",
	  TEXT(jwt_algorithms, is_algorithm_list, "a comma list of HS, RS, PS or ES with 256, 384 or 512, such as HS256,RS256"),
	  .fallback = "HS256", .text = "signatures that are accepted" },
	{ "JWT_PUBLIC_KEY", TEXT(jwt_public_key, is_file, "the path of a readable PEM file"),
	  .text = "public key (PEM file) of RS, PS and ES" },
	{ "JWT_JWKS_URL", TEXT(jwt_jwks_url, is_http_url, "an http:// or https:// URL"), .is_url_with_secret = true,
	  .text = "address of the keys (JWK Set) of RS, PS and ES, in the place of JWT_PUBLIC_KEY" },
	{ "JWT_ISSUER", TEXT(jwt_issuer, NULL, "text"), .text = "expected iss claim" },
	{ "JWT_AUDIENCE", TEXT(jwt_audience, NULL, "text"), .text = "expected aud claim" },
	{ "JWT_LEEWAY", NUMBER(jwt_leeway_s, 0, 3600, "30", "seconds"), .text = "clock difference that is forgiven" },
	{ "JWT_USER_CLAIM", TEXT(jwt_user_claim, is_word, "a claim's name"), .fallback = "sub",
	  .text = "claim that holds the user id" },

	{ "REDIS_ENABLED", SWITCH(redis_enabled, "false"), .text = "several servers over Redis" },
	{ "REDIS_URL",
	  TEXT(redis_url, is_redis_url, "redis://, rediss://, valkey://, valkeys://, unix:// or redis+sentinel:// and an address"),
	  .fallback = "redis://localhost:6379/0", .is_url_with_secret = true, .text = "address of Redis" },
	{ "REDIS_REQUIRED", SWITCH(redis_required, "true"), .text = "refuse to start without Redis" },
	{ "REDIS_PREFIX", TEXT(redis_prefix, is_prefix, "1 to 64 letters, digits and marks without braces"), .fallback = "skybuild",
	  .text = "begins the channels of this cluster's servers" },
	{ "REDIS_SECRET", TEXT(redis_secret, NULL, "32 bytes or more"), .is_secret = true,
	  .text = "signs messages between servers; unset: JWT_SECRET does" },
	{ "REDIS_CHANNEL", TEXT(redis_channel, is_channel, "1 to 255 bytes without blanks, braces, brackets, * ? and \\"), .fallback = "socketio",
	  .text = "channel of python-socketio's managers" },
	{ "REDIS_LISTEN_TO", TEXT(redis_listen_to, is_neighbours, "python, node, both with a comma between, or none"), .fallback = "python,node",
	  .text = "processes of other kinds that may send events" },
	{ "REDIS_PUBLISH_TO", TEXT(redis_publish_to, is_neighbours, "python, node, both with a comma between, or none"),
	  .text = "processes of other kinds whose clients get our events; unset: none" },
	{ "REDIS_ALLOW_REMOTE_CONTROL", SWITCH(redis_allow_remote_control, "false"),
	  .text = "processes of other kinds may move and disconnect clients" },

	{ "DATABASE_URL", TEXT(database_url, is_database_url, "sqlite:///relative.db, sqlite:////absolute.db or postgresql://user@host/db"),
	  .fallback = "sqlite:///skybuild.db", .is_url_with_secret = true, .text = "the store" },
	{ "EVENTS_KEEP_DAYS", NUMBER(events_keep_days, 0, 36500, "30", "days"),
	  .text = "how long durable events can be read back; 0: without end" },
	{ "EVENTS_KEEP_COUNT", NUMBER(events_keep_count, 0, 1000000000, "100000", ""),
	  .text = "newest durable events of one project that are kept; 0: without end" },
	{ "NOTIFICATIONS_KEEP_DAYS", NUMBER(notifications_keep_days, 0, 36500, "90", "days"),
	  .text = "how long notifications are kept; 0: without end" },
	{ "ACCESS_URL", TEXT(access_url, is_http_url, "an http:// or https:// URL"), .only = "",
	  .what = "asking an outside service for roles", .text = "outside service that knows the roles" },
	{ "SERVICE_API_KEY", TEXT(service_api_key, NULL, "16 bytes or more"), .is_secret = true,
	  .text = "lets a back end broadcast; unset: nobody may" },
	{ "SKYBUILD_URL", TEXT(skybuild_url, is_http_url, "an http:// or https:// URL"),
	  .text = "for emit, who, kick and clients/python: address of the running server" },
	{ "CORS_ALLOWED_ORIGINS", TEXT(cors_allowed_origins, is_origin_list, "a comma list of origins such as https://app.example, or *"),
	  .text = "browser origins beside the server's own" },

	{ "PING_INTERVAL", NUMBER(ping_interval_ms, 50, 3600000, "25000", "milliseconds"), .text = "heartbeat" },
	{ "PING_TIMEOUT", NUMBER(ping_timeout_ms, 50, 3600000, "20000", "milliseconds"), .text = "wait for its answer" },
	{ "CONNECT_TIMEOUT", NUMBER(connect_timeout_ms, 50, 3600000, "45000", "milliseconds"),
	  .text = "time from the handshake to CONNECT" },
	{ "UPGRADE_TIMEOUT", NUMBER(upgrade_timeout_ms, 50, 3600000, "10000", "milliseconds"),
	  .text = "time from the probe to the upgrade" },
	{ "MAX_PAYLOAD", NUMBER(max_payload_bytes, 1024, 268435456, "1000000", "bytes"), .text = "largest message" },
	{ "MAX_CONNECTIONS", NUMBER(max_connections, 0, 10000000, "0", ""), .text = "0: what the descriptor limit allows" },
	{ "MAX_CONNECTIONS_PER_USER", NUMBER(max_connections_per_user, 0, 1000000, "50", ""), .text = "0: no limit" },
	{ "MAX_ROOMS_PER_CONNECTION", NUMBER(max_rooms_per_connection, 0, 1000000, "100", ""), .text = "0: no limit" },
	{ "RATE_LIMIT_EVENTS", NUMBER(rate_limit_events, 0, 500000, "200", "a second"),
	  .text = "events of one connection, twice as many in a burst; 0: no limit" },
	{ "SEND_QUEUE_LIMIT", NUMBER(send_queue_bytes, 16384, 268435456, "1048576", "bytes"),
	  .text = "unsent bytes of a slow client before it is cut" },
	{ "RECOVERY_WINDOW", NUMBER(recovery_window_s, 0, 86400, "120", "seconds"),
	  .text = "how long a client that was lost can come back with nothing missed; 0: not at all" },
	{ "RECOVERY_EVENTS_MAX", NUMBER(recovery_events_max, 1, 100000, "1000", "events"),
	  .text = "missed events that are replayed at most; a client that missed more starts anew" },
	{ "PRESENCE_GRACE", NUMBER(presence_grace_ms, 0, 600000, "1000", "milliseconds"),
	  .text = "from an unclean drop to user:left" },
	{ "PERMESSAGE_DEFLATE", SWITCH(permessage_deflate, "false"),
	  .text = "compress WebSocket messages of 1,024 bytes or more for clients that offer it" },
	{ "HTTP_COMPRESSION", SWITCH(http_compression, "false"),
	  .text = "gzip or deflate for polling answers and text of 1,024 bytes or more" },

	{ "TLS_CERT", TEXT(tls_cert, is_file, "the path of a readable PEM file"),
	  .text = "certificate and its chain (PEM file): https and wss" },
	{ "TLS_KEY", TEXT(tls_key, is_file, "the path of a readable PEM file"), .text = "its key (PEM file)" },
	{ "TRUSTED_PROXIES", TEXT(trusted_proxies, is_network_list, "a comma list of networks such as 10.0.0.0/8,::1"),
	  .text = "proxies whose X-Forwarded headers count" },

	{ "LOG_LEVEL", CHOICE(log_level, "debug info warning error", "info"), .text = "least level that is logged" },
	{ "LOG_FORMAT", CHOICE(log_format, "text json", "text"), .text = "json for machines" },
	{ "SHUTDOWN_TIMEOUT", NUMBER(shutdown_timeout_s, 0, 3600, "10", "seconds"), .text = "drain at SIGTERM" },
	{ "WEB_ROOT", TEXT(web_root, is_folder, "the path of a readable folder"), .text = "folder of the web page" },
	{ "CLIENT_DIR", TEXT(client_dir, is_folder, "the path of a readable folder"),
	  .text = "dist folder of the npm package socket.io-client" },
};
const size_t config_rows_n = sizeof(config_rows) / sizeof(config_rows[0]);
