/* serve.c -- "skybuild serve": puts the parts together, runs them, ends them.
 *
 * Start: configuration, log, verifier, server, Redis, store, collab, api, wait for Redis, listen.
 * End (SIGTERM, SIGINT): not ready any more, the server drains for at most
 * SHUTDOWN_TIMEOUT; a second signal ends the drain, a third the process.  When the
 * loop has nothing left, the parts go in the opposite order; the store first, for
 * it still answers what was asked.
 *
 * What stands here is one worker, and the first of several; the others: workers.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <ctype.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <uv.h>

#include <sio/redis.h>
#include <sio/server.h>
#include <sio/servers.h>
#include <sio/work.h>

#include "app/command.h"
#include "app/service.h"
#include "base/log.h"

enum {
	PEM_MAX = 65536,
	REDIS_WAIT_MS = 4500,
	KEPT_BYTES = 1 << 19,
	DESCRIPTORS_SPARE = 64, /* as one server leaves */
};

/* ---- configuration ------------------------------------------------------------------ */

/* The text of JWT_PUBLIC_KEY's file, on the heap; NULL with error. */
static char *read_pem(const char *path, char *error)
{
	FILE *f = fopen(path, "re");
	char *text = f ? malloc(PEM_MAX) : NULL;
	size_t n = text ? fread(text, 1, PEM_MAX, f) : 0;

	if (!text || n == PEM_MAX) {
		snprintf(error, CONFIG_ERROR_MAX, "JWT_PUBLIC_KEY=%.200s cannot be used: %s", path,
			 text ? "it is too large for a key" : strerror(errno));
		free(text);
		text = NULL;
	} else
		text[n] = '\0';
	if (f)
		fclose(f);
	return text;
}

static const char passing_secret[] = "only to see whether the settings fit together";

/* Make the verifier.  is_check makes no secret and takes a passing one instead. */
static int make_verifier(struct service *s, bool is_check, char *error)
{
	struct config *c = &s->config;
	bool is_made = false;
	char *pem = NULL;
	int err = SIO_OK;

	if (config_sign_algorithm(c, s->algorithm))
		err = config_secret(c, !is_check, &is_made, error);
	if (is_made) {
		char dir[ASSETS_PATH_MAX];

		config_data_dir(c, dir, sizeof(dir));
		log_warning("JWT_SECRET is unset: one was made and is kept in %s/.skybuild-secret; production needs its own", dir);
	}
	if (!err && c->jwt_public_key && !(pem = read_pem(c->jwt_public_key, error)))
		err = SIO_ERR_INVAL;
	if (!err)
		err = token_verifier_new(&(struct token_options){ .algorithms = c->jwt_algorithms,
								  .secret = sio_str(c->jwt_secret || !is_check ? c->jwt_secret : passing_secret),
								  .public_key = pem,
								  .keys_come_later = c->jwt_jwks_url,
								  .issuer = c->jwt_issuer,
								  .audience = c->jwt_audience,
								  .user_claim = c->jwt_user_claim,
								  .leeway_s = c->jwt_leeway_s },
					 &s->verifier, error, CONFIG_ERROR_MAX);
	free(pem);
	return err;
}

/* value may be NULL, which leaves the list empty. */
static int cut_list(struct list *list, const char *name, const char *value, char *error)
{
	size_t n = 0;
	char *save, *item;

	if (!value)
		return SIO_OK;
	list->text = strdup(value);
	for (item = list->text ? strtok_r(list->text, ", \t", &save) : NULL; item; item = strtok_r(NULL, ", \t", &save)) {
		if (n == LIST_MAX) {
			snprintf(error, CONFIG_ERROR_MAX, "%s has more than %d entries", name, LIST_MAX);
			return SIO_ERR_INVAL;
		}
		list->items[n++] = item;
	}
	return SIO_OK;
}

/* The list for an option in which NULL means none. */
static const char *const *list_option(const struct list *list)
{
	return list->items[0] ? list->items : NULL;
}

static int make_issuer(struct service *s)
{
	const struct config *c = &s->config;

	if (c->jwt_jwks_url && issuer_new(c->jwt_jwks_url, c->jwt_algorithms, &s->issuer) < 0)
		return command_fail("JWT_JWKS_URL: out of memory");
	return EXIT_DONE;
}

/* --check: what would come?  The server would start without, so nothing that is wrong there is a fault. */
static void try_issuer(const struct service *s)
{
	char line[ISSUER_ERROR_MAX];

	if (!s->issuer)
		return;
	if (issuer_try(s->issuer, line))
		log_info("JWT_JWKS_URL: %s", line);
	else
		log_warning("JWT_JWKS_URL gives no keys: %s", line);
}

int service_make_verifier(struct service *s, char *error)
{
	return make_verifier(s, false, error);
}

static void log_warnings(const struct config *c)
{
	sio_slice rest = buf_peek(&c->warnings);

	while (rest.n > 0) {
		const char *end = memchr(rest.p, '\n', rest.n);
		size_t n = end ? (size_t)(end - rest.p) : rest.n;

		log_warning("%.*s", (int)n, rest.p);
		rest = sio_bytes(rest.p + n + (end != NULL), rest.n - n - (end != NULL));
	}
}

/* Can the store's file be made where DATABASE_URL says? */
static int check_folder(const struct config *c, char *error)
{
	char dir[ASSETS_PATH_MAX];
	const char *path = config_sqlite_path(c);

	if (!path || strcmp(path, ":memory:") == 0)
		return SIO_OK;
	config_data_dir(c, dir, sizeof(dir));
	if (access(dir, W_OK | X_OK) == 0)
		return SIO_OK;
	snprintf(error, CONFIG_ERROR_MAX, "DATABASE_URL=%.200s cannot be used: folder %.200s: %s", c->database_url, dir,
		 strerror(errno));
	return SIO_ERR_INVAL;
}

/* Can several workers have it? */
static int check_workers(const struct config *c, char *error)
{
	const char *path = config_sqlite_path(c);

	if (c->workers == 1 || !path || strcmp(path, ":memory:") != 0)
		return SIO_OK;
	snprintf(error, CONFIG_ERROR_MAX, "WORKERS=%u cannot be used with DATABASE_URL=%.200s: each worker would have a store of its own",
		 c->workers, c->database_url);
	return SIO_ERR_INVAL;
}

/* Everything that can be wrong without starting anything. */
static int configure(struct service *s, bool is_check)
{
	char error[CONFIG_ERROR_MAX];
	int err = config_load(&s->config, environ, ".env", error);

	if (!err)
		err = config_check_serve(&s->config, error);
	if (!err)
		err = store_url_check(s->config.database_url, error);
	if (!err)
		err = check_folder(&s->config, error);
	if (!err)
		err = check_workers(&s->config, error);
	if (!err)
		err = cut_list(&s->origins, "CORS_ALLOWED_ORIGINS", s->config.cors_allowed_origins, error);
	if (!err)
		err = cut_list(&s->proxies, "TRUSTED_PROXIES", s->config.trusted_proxies, error);
	if (err)
		return command_fail("%s", error);
	log_setup((enum sio_log_level)s->config.log_level, s->config.log_format == CONFIG_LOG_JSON);
	log_warnings(&s->config);
	err = make_verifier(s, is_check, error);
	if (err)
		return command_fail("%s", error);
	assets_find(&s->config, &s->assets);
	return EXIT_DONE;
}

/* ---- the parts ------------------------------------------------------------------------ */

/* The library names an option, "tls_key=...", where an operator knows a variable. */
static void on_server_line(enum sio_log_level level, const char *line, void *arg)
{
	struct service *s = arg;
	size_t n = strspn(line, "abcdefghijklmnopqrstuvwxyz_");
	char text[CONFIG_ERROR_MAX];

	snprintf(text, sizeof(text), "%s", line);
	for (size_t i = 0; line[n] == '=' && i < n; i++)
		text[i] = (char)toupper((unsigned char)text[i]);
	if (level == SIO_LOG_ERROR && !s->server) /* who makes it will say so */
		snprintf(s->fault, sizeof(s->fault), "%s", text);
	else
		log_fields(level, text, (char *)NULL);
}

/* Of what all workers may have; 0: as many as the server finds descriptors for. */
static uint32_t connections_of_one(const struct config *c)
{
	struct rlimit limit;
	uint64_t all = c->max_connections;

	if (all == 0 && c->workers > 1 && getrlimit(RLIMIT_NOFILE, &limit) == 0)
		all = limit.rlim_cur > 2 * DESCRIPTORS_SPARE ? limit.rlim_cur - DESCRIPTORS_SPARE : DESCRIPTORS_SPARE;
	all = (all + c->workers - 1) / c->workers;
	return all < UINT32_MAX ? (uint32_t)all : UINT32_MAX;
}

static int make_server(struct service *s)
{
	const struct config *c = &s->config;
	const struct sio_server_options options = {
		.loop = &s->loop,
		.ping_interval_ms = c->ping_interval_ms,
		.ping_timeout_ms = c->ping_timeout_ms,
		.connect_timeout_ms = c->connect_timeout_ms,
		.upgrade_timeout_ms = c->upgrade_timeout_ms,
		.max_payload_bytes = c->max_payload_bytes,
		.max_body_bytes = c->max_payload_bytes,
		.send_queue_bytes = c->send_queue_bytes,
		.max_connections = connections_of_one(c),
		.share_port = c->workers > 1,
		/* The user's own room does not count. */
		.max_rooms = c->max_rooms_per_connection ? c->max_rooms_per_connection + 1 : 0,
		.events_per_second = c->rate_limit_events,
		.events_burst = 2 * c->rate_limit_events,
		.origins = list_option(&s->origins),
		.trusted_proxies = list_option(&s->proxies),
		.tls_cert = c->tls_cert,
		.tls_key = c->tls_key,
		.per_message_deflate = c->permessage_deflate,
		.http_compression = c->http_compression,
		.log = on_server_line,
		.log_arg = s,
	};
	int err;

	if (uv_loop_init(&s->loop))
		return command_fail("no event loop: out of descriptors or memory");
	s->has_loop = true;
	err = sio_server_new(&options, &s->server);
	if (err && s->fault[0])
		return command_fail("%s", s->fault);
	return err ? command_fail("the server could not be made: %s", sio_strerror(err)) : EXIT_DONE;
}

/* ---- Redis ------------------------------------------------------------------------------ */

static void on_redis_line(enum sio_log_level level, const char *line, void *arg)
{
	const struct service *s = arg;

	if (!s->is_joining || level < SIO_LOG_WARNING)
		log_fields(level, line, (char *)NULL);
}

/* Is kind on the list of REDIS_LISTEN_TO, or REDIS_PUBLISH_TO (NULL: unset)?  One kind is no part of another's name. */
static bool is_listed(const char *list, const char *kind)
{
	return list && strstr(list, kind) != NULL;
}

#define NODE_KEY "socket.io" /* what the channels of @socket.io/redis-adapter begin with */

/* What is wrong with the settings is told now. */
static int make_redis(struct service *s)
{
	const struct config *c = &s->config;
	const char *secret = c->redis_secret ? c->redis_secret : c->jwt_secret;
	const struct sio_redis_options options = {
		.url = c->redis_url,
		.prefix = c->redis_prefix,
		.secret = sio_str(secret),
		.python_channel = is_listed(c->redis_listen_to, "python") ? c->redis_channel : NULL,
		.node_key = is_listed(c->redis_listen_to, "node") ? NODE_KEY : NULL,
		.to_python_channel = is_listed(c->redis_publish_to, "python") ? c->redis_channel : NULL,
		.to_node_key = is_listed(c->redis_publish_to, "node") ? NODE_KEY : NULL,
		.allow_remote_control = c->redis_allow_remote_control,
		.log = on_redis_line,
		.log_arg = s,
	};
	char error[SIO_REDIS_ERROR_MAX];
	int err = sio_redis_new(&options, &s->redis, error);

	if (err == SIO_ERR_INVAL)
		return command_fail("REDIS_URL cannot be used: %s", error);
	if (!secret)
		log_warning("REDIS_SECRET and JWT_SECRET are unset: whoever may publish on Redis can speak for a server");
	return err ? command_fail("Redis cannot be joined: %s", sio_strerror(err)) : EXIT_DONE;
}

/* Begin to connect. */
static int join_redis(struct service *s)
{
	int code = make_redis(s), err;

	if (code)
		return code;
	s->is_joining = true;
	err = sio_redis_join(s->redis, s->server);
	return err ? command_fail("Redis cannot be joined: %s", sio_strerror(err)) : EXIT_DONE;
}

static void on_redis_late(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

/* What is wrong, behind the address that the sentence has named, and without the full stop
 * that follows. */
static sio_slice redis_reason(const struct sio_redis_stats *stats)
{
	size_t n = strlen(stats->address);
	sio_slice why = sio_str(stats->error);

	if (strncmp(why.p, stats->address, n) == 0)
		why = sio_str(why.p + n + strspn(why.p + n, ": "));
	if (why.n > 0 && why.p[why.n - 1] == '.')
		why.n--;
	return why;
}

bool service_has_redis(const struct service *s)
{
	struct sio_redis_stats stats;

	sio_redis_stats(s->redis, &stats);
	return stats.is_up;
}

/* Let the loop run until Redis answers, refuses us, or REDIS_WAIT_MS have passed. */
int service_await_redis(struct service *s)
{
	struct sio_redis_stats stats;
	bool is_late = false;
	uv_timer_t timer;
	sio_slice why;

	uv_timer_init(&s->loop, &timer);
	timer.data = &is_late;
	uv_timer_start(&timer, on_redis_late, REDIS_WAIT_MS, 0);
	do {
		uv_run(&s->loop, UV_RUN_ONCE);
		sio_redis_stats(s->redis, &stats);
	} while (!stats.is_up && !stats.is_refused && !is_late && s->signals_seen == 0);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&s->loop, UV_RUN_NOWAIT); /* the timer is ours no longer than this */
	s->is_joining = false;
	if (stats.is_up || s->signals_seen > 0)
		return EXIT_DONE;
	why = redis_reason(&stats);
	if (s->config.redis_required)
		return command_fail("REDIS_URL=%s cannot be used: %.*s. Is Redis running (redis-cli ping)? REDIS_REQUIRED=false starts "
				    "without it, REDIS_ENABLED=false needs none", stats.address, (int)why.n, why.p);
	log_warning("Redis: %s; started without it, local clients are served, trying again", stats.error);
	return EXIT_DONE;
}

/* ---- the store -------------------------------------------------------------------------- */

static int post(void *ctx, void (*fn)(void *arg), void *arg)
{
	return sio_server_post(ctx, fn, arg);
}

static void on_access_changed(const struct store_access_change *changes, size_t n, void *arg)
{
	const struct service *s = arg;

	for (size_t i = 0; i < n && s->collab; i++)
		collab_access_changed(s->collab, sio_str(changes[i].project), sio_str(changes[i].user));
}

static void on_foreign_events(const struct store_foreign_event *events, size_t n, void *arg)
{
	const struct service *s = arg;

	for (size_t i = 0; i < n && s->api; i++)
		api_foreign_event(s->api, &events[i]);
}

static int open_store(struct service *s)
{
	char error[STORE_ERROR_MAX];
	const struct store_options options = {
		.url = s->config.database_url,
		.post = post,
		.post_ctx = s->server,
		.on_access_changed = on_access_changed,
		.on_foreign_events = on_foreign_events,
		.arg = s,
		.events_keep_days = s->config.events_keep_days,
		.events_keep_count = s->config.events_keep_count,
		.notifications_keep_days = s->config.notifications_keep_days,
	};

	return store_open(&options, &s->store, error) ? command_fail("%s", error) : EXIT_DONE;
}

static int make_collab(struct service *s)
{
	const struct config *c = &s->config;
	const struct collab_options options = {
		.presence_grace_ms = c->presence_grace_ms,
		.max_connections_per_user = c->max_connections_per_user,
		.token_leeway_ms = c->jwt_leeway_s * 1000,
		.recovery_window_ms = c->recovery_window_s * 1000,
		.recovery_events_max = c->recovery_events_max,
		.recovery_bytes_max = c->send_queue_bytes / 2, /* a replay must not cut a client that reads */
	};
	int err = judge_new(s->server, s->verifier, s->issuer, &s->judge);

	if (!err)
		err = collab_new(s->server, s->store, s->judge, &options, &s->collab);
	return err ? command_fail("collaboration could not be set up: %s", sio_strerror(err)) : EXIT_DONE;
}

static int make_api(struct service *s)
{
	const struct config *c = &s->config;
	const struct api_options options = {
		.server = s->server,
		.store = s->store,
		.collab = s->collab,
		.judge = s->judge,
		.key_issuer = s->issuer,
		.service_key = c->service_api_key,
		.sign_algorithm = s->algorithm[0] ? s->algorithm : NULL,
		.sign_secret = c->jwt_secret,
		.issuer = c->jwt_issuer,
		.audience = c->jwt_audience,
		.user_claim = c->jwt_user_claim,
		.web_root = s->assets.web_root[0] ? s->assets.web_root : NULL,
		.web_dir = s->assets.web_dir[0] ? s->assets.web_dir : NULL,
		.client_dir = s->assets.client_dir[0] ? s->assets.client_dir : NULL,
		.node = s->node,
		.redis = s->redis,
		.version = SKYBUILD_VERSION,
		.workers = c->workers,
		.roll = workers_roll(s),
	};
	int err;

	if (s->redis || s->workers)
		snprintf(s->node, sizeof(s->node), "%.*s", SIO_NODE_ID_LEN, sio_server_node(s->server).p);
	else
		random_id(s->node);
	err = api_new(&options, &s->api);
	return err ? command_fail("the API could not be set up: %s", sio_strerror(err)) : EXIT_DONE;
}

/* ---- listening and ending --------------------------------------------------------------- */

void service_hangup(struct service *s)
{
	int err = sio_server_tls_reload(s->server);

	if (err == SIO_ERR_NOENT)
		log_info("SIGHUP: there is nothing to read again without TLS_CERT");
	else if (err)
		log_error("SIGHUP: the certificate stays what it was");
	else
		log_info("SIGHUP: new connections get the certificate that was read");
}

/* What is one for all workers. */
static void hangup_all(struct service *s)
{
	if (s->issuer) {
		log_info("SIGHUP: the keys of JWT_JWKS_URL are fetched");
		issuer_hurry(s->issuer);
	}
	if (s->issuer && !s->config.tls_cert)
		return;
	service_hangup(s);
	workers_hangup(s);
}

void service_drain(struct service *s, uint32_t ms)
{
	if (!s->is_draining) {
		api_drain(s->api);
		collab_end(s->collab);
		judge_end(s->judge);
	}
	s->is_draining = true;
	sio_server_close(s->server, ms);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct service *s = handle->data;
	const char *name = number == SIGINT ? "SIGINT" : "SIGTERM";

	if (number == SIGHUP) {
		hangup_all(s);
		return;
	}
	s->signals_seen++;
	if (s->signals_seen == 1) {
		log_info("%s: draining, at most %u s", name, s->config.shutdown_timeout_s);
		service_drain(s, s->config.shutdown_timeout_s * 1000);
		workers_drain(s, s->config.shutdown_timeout_s * 1000);
	} else if (s->signals_seen == 2) {
		log_info("%s again: ending now", name);
		service_drain(s, 0);
		workers_drain(s, 0);
	} else
		_exit(EXIT_FAILED);
}

static int watch_signals(struct service *s)
{
	static const int numbers[SIGNALS_N] = { SIGTERM, SIGINT, SIGHUP };

	signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; i < SIGNALS_N; i++) {
		if (uv_signal_init(&s->loop, &s->signals[i]))
			return command_fail("signals cannot be watched");
		s->signals_n++;
		s->signals[i].data = s;
		uv_signal_start(&s->signals[i], on_signal, numbers[i]);
		uv_unref((uv_handle_t *)&s->signals[i]); /* they do not keep the loop alive */
	}
	return EXIT_DONE;
}

/* Connections are bounded by descriptors: take as many as the system gives. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* What an answer took is there for the next one: glibc would give the pages back to the system at
 * once and fetch them anew.  Server and store give back what they have when nothing comes (malloc_trim). */
static void keep_memory(void)
{
	mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
}

static int listen_on(struct service *s)
{
	const struct config *c = &s->config;
	int err = sio_server_listen(s->server, c->host, (uint16_t)c->port), code;
	bool has_local_v6 = false;

	if (err)
		return command_fail("cannot listen on HOST=%s PORT=%u: %s%s", c->host, c->port,
				    err == SIO_ERR_SYSTEM ? strerror(errno) : sio_strerror(err),
				    err == SIO_ERR_SYSTEM && errno == EADDRINUSE ? "; PORT=0 picks a free port" : "");
	/* "localhost" is ::1 first for many clients; a machine without IPv6 has no ::1 to be had. */
	if (strcmp(c->host, "127.0.0.1") == 0 || strcmp(c->host, "localhost") == 0)
		has_local_v6 = sio_server_listen(s->server, "::1", sio_server_port(s->server)) == SIO_OK;
	code = workers_start(s, sio_server_port(s->server), has_local_v6);
	if (code)
		return code;
	log_info(strchr(c->host, ':') ? "Listening on %s://[%s]:%u" : "Listening on %s://%s:%u", c->tls_cert ? "https" : "http",
		 c->host, (unsigned)sio_server_port(s->server));
	return EXIT_DONE;
}

/* Sign a token and check it before anybody else's comes: settings that refuse their
 * own tokens are found now, and the first client does not wait for cold code. */
static int rehearse(struct service *s)
{
	struct token_sign_options sign = {
		.algorithm = s->algorithm,
		.secret = sio_str(s->config.jwt_secret ? s->config.jwt_secret : passing_secret),
		.user = "rehearsal",
		.user_claim = s->config.jwt_user_claim,
		.issuer = s->config.jwt_issuer,
		.audience = s->config.jwt_audience,
		.now_s = (int64_t)time(NULL),
		.ttl_s = 60,
	};
	char token[TOKEN_MAX + 1];
	struct token_claims claims;
	long n;

	if (!s->algorithm[0]) /* public keys alone: we cannot sign */
		return EXIT_DONE;
	n = token_sign(&sign, token, sizeof(token));
	if (n > 0 && token_verify(s->verifier, sio_bytes(token, (size_t)n), sign.now_s, &claims) == TOKEN_OK)
		return EXIT_DONE;
	return command_fail("JWT_USER_CLAIM=%s, JWT_ISSUER and JWT_AUDIENCE do not fit together, a token made by them is refused: %s",
			    s->config.jwt_user_claim, n > 0 ? claims.reason : "one claim would have two meanings");
}

int service_make(struct service *s)
{
	int code;

	if ((code = make_server(s)) || (s->config.redis_enabled && (code = join_redis(s))) || (code = workers_join(s)) ||
	    (code = open_store(s)) || (code = make_collab(s)))
		return code;
	return make_api(s);
}

static int start(struct service *s)
{
	int code;

	raise_descriptor_limit();
	keep_memory();
	if ((code = workers_new(s)) || (code = make_issuer(s)) || (code = service_make(s)) || (code = watch_signals(s)))
		return code;
	if (s->redis && (code = service_await_redis(s)))
		return code;
	if ((code = workers_make(s)))
		return code;
	if (s->issuer && issuer_start(s->issuer) < 0)
		return command_fail("JWT_JWKS_URL: a thread cannot be started");
	return s->signals_seen > 0 ? EXIT_DONE : listen_on(s);
}

void service_free_parts(struct service *s)
{
	if (s->server)
		sio_server_close(s->server, 0);
	if (s->has_loop)
		uv_run(&s->loop, UV_RUN_DEFAULT);
	store_close(s->store);
	judge_free(s->judge);
	api_free(s->api);
	collab_free(s->collab);
	sio_server_free(s->server);
	sio_redis_free(s->redis);
	token_verifier_free(s->verifier);
	if (s->has_loop)
		uv_loop_close(&s->loop);
}

static void stop(struct service *s)
{
	for (unsigned i = 0; i < s->signals_n; i++)
		uv_close((uv_handle_t *)&s->signals[i], NULL);
	issuer_stop(s->issuer); /* it posts to the loops */
	workers_free(s);
	service_free_parts(s);
	workers_forget(s);
	issuer_free(s->issuer);
	free(s->origins.text);
	free(s->proxies.text);
	config_fini(&s->config);
}

int command_serve(const struct command *self, int argc, char **argv)
{
	static struct service service; /* larger than a stack frame should be */
	bool is_check = false;
	const struct option_spec specs[] = { { .name = "--check", .is_set = &is_check } };
	char **words;
	int n, code = command_options(self, argc, argv, specs, 1, &words, &n);

	if (!code && n > 0)
		code = command_misuse(self, "it takes no arguments but options");
	if (code)
		return code;
	code = configure(&service, is_check);
	if (!code)
		code = rehearse(&service);
	if (!code && is_check && (code = make_server(&service)) == EXIT_DONE && /* it reads the files of TLS */
	    (!service.config.redis_enabled || (code = make_redis(&service)) == EXIT_DONE) && (code = make_issuer(&service)) == EXIT_DONE) {
		try_issuer(&service);
		puts("The configuration is valid.");
	} else if (!code && !is_check && (code = start(&service)) == EXIT_DONE) {
		uv_run(&service.loop, UV_RUN_DEFAULT);
		log_info("Stopped");
	}
	stop(&service);
	return code;
}
