/* cli_status.c -- "skybuild status" and "skybuild healthcheck": ask a running server.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

#include <sio/json.h>

#include "app/command.h"

enum { ANSWER_MAX = 65536, WAIT_S = 5, URL_MAX = 1024 };

/* Whom to ask, and what makes us believe that it is the one. */
struct target {
	char url[URL_MAX];     /* without a slash at its end */
	const char *ca_file;   /* PEM file of the certificates to trust; NULL: the system's */
	bool is_unverified;    /* any certificate will do */
};

/* ---- one GET ---------------------------------------------------------------------- */

static size_t on_bytes(char *p, size_t size, size_t n, void *arg)
{
	struct buf *b = arg;

	if (b->n + size * n > ANSWER_MAX)
		return 0;
	buf_put(b, p, size * n);
	return b->failed ? 0 : size * n;
}

/* GET the target's path into body.  Returns the HTTP status, or 0 with why in error. */
static long get(const struct target *target, const char *path, struct buf *body, char error[CURL_ERROR_SIZE])
{
	char url[URL_MAX + 64];
	CURL *curl = curl_easy_init();
	long status = 0;
	CURLcode code;

	snprintf(error, CURL_ERROR_SIZE, "out of memory");
	if (!curl)
		return 0;
	error[0] = '\0';
	snprintf(url, sizeof(url), "%s%s", target->url, path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	if (target->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, target->ca_file);
	if (target->is_unverified) {
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)WAIT_S);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
	code = curl_easy_perform(curl);
	if (code == CURLE_OK)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	else if (!error[0])
		snprintf(error, CURL_ERROR_SIZE, "%s", curl_easy_strerror(code));
	curl_easy_cleanup(curl);
	return status;
}

/* The server of this configuration, as a client on this machine reaches it.  Its
 * certificate names whatever the world calls it, which is not this address; who
 * answers on our own port is decided by the system. */
static void own_target(const struct config *c, struct target *target)
{
	const char *host = c->host;
	const char *scheme = c->tls_cert ? "https" : "http";

	if (strcmp(host, "0.0.0.0") == 0)
		host = "127.0.0.1";
	if (strcmp(host, "::") == 0)
		host = "::1";
	snprintf(target->url, URL_MAX, strchr(host, ':') ? "%s://[%s]:%u" : "%s://%s:%u", scheme, host, c->port);
	target->is_unverified |= !target->ca_file;
}

/* Take --url, or make it. */
static int find_target(const char *given, struct target *target)
{
	struct config config;
	size_t n;
	int code;

	if (given) {
		snprintf(target->url, URL_MAX, "%s", given);
		for (n = strlen(target->url); n > 0 && target->url[n - 1] == '/'; n--)
			target->url[n - 1] = '\0';
		return EXIT_DONE;
	}
	code = command_config(&config);
	if (!code)
		own_target(&config, target);
	config_fini(&config);
	return code;
}

/* ---- status -------------------------------------------------------------------------- */

/* Print an object's members, one a line. */
static void print_members(sio_slice object)
{
	sio_slice rest = sio_json_inside(object), item;

	/* The members of these answers are plain: a name, a colon, a value without commas. */
	while (rest.n > 0) {
		const char *comma = memchr(rest.p, ',', rest.n);
		const char *colon;

		item = comma ? sio_bytes(rest.p, (size_t)(comma - rest.p)) : rest;
		rest = comma ? sio_bytes(comma + 1, rest.n - item.n - 1) : SIO_LIT("");
		colon = memchr(item.p, ':', item.n);
		if (!colon || colon - item.p < 2)
			continue;
		printf("%-22.*s", (int)(colon - item.p - 2), item.p + 1);
		item = sio_bytes(colon + 1, item.n - (size_t)(colon - item.p) - 1);
		if (item.n >= 2 && item.p[0] == '"')
			item = sio_bytes(item.p + 1, item.n - 2);
		printf(" %.*s\n", (int)item.n, item.p);
	}
}

static void print_status(const char *url, const struct buf *status, const struct buf *ready, bool is_json)
{
	if (is_json) {
		printf("{\"status\":%.*s,\"ready\":%.*s}\n", (int)status->n, status->p, (int)ready->n, ready->p);
		return;
	}
	printf("%-22s %s\n", "server", url);
	print_members(buf_peek(status));
	puts("");
	print_members(buf_peek(ready));
}

static int show(const struct target *target, bool is_json, bool is_quiet)
{
	const char *url = target->url;
	char error[CURL_ERROR_SIZE];
	struct buf status = { 0 }, ready = { 0 };
	long status_code = is_quiet ? 200 : get(target, "/ws/status?verbose=1", &status, error);
	long ready_code = status_code ? get(target, "/readyz", &ready, error) : 0;
	int code = EXIT_DONE;

	if (!status_code || !ready_code)
		code = command_fail("%s does not answer: %s", url, error);
	else if (status_code != 200 || (ready_code != 200 && ready_code != 503) ||
		 (!is_quiet && (sio_json_check(buf_peek(&status)) || sio_json_check(buf_peek(&ready)))))
		code = command_fail("%s is no skybuild server: it answers %ld and %ld", url, status_code, ready_code);
	else {
		if (!is_quiet)
			print_status(url, &status, &ready, is_json);
		code = ready_code == 200 ? EXIT_DONE : EXIT_FAILED;
	}
	buf_fini(&status);
	buf_fini(&ready);
	return code;
}

/* Both commands: options, address, question. */
static int run(const struct command *self, int argc, char **argv, bool is_quiet)
{
	const char *given = NULL;
	bool is_json = false;
	struct target target = { .url = "" };
	const struct option_spec specs[] = {
		{ .name = "--url", .value = &given },
		{ .name = "--ca", .value = &target.ca_file },
		{ .name = "--insecure", .is_set = &target.is_unverified },
		{ .name = "--json", .is_set = &is_json },
	};
	char **words;
	int n, code = command_options(self, argc, argv, specs, is_quiet ? 3 : 4, &words, &n);

	if (code)
		return code;
	if (n > 0)
		return command_misuse(self, "it takes no arguments but options");
	if (target.ca_file && target.is_unverified)
		return command_misuse(self, "--ca and --insecure do not go together");
	code = find_target(given, &target);
	if (code)
		return code;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	code = show(&target, is_json, is_quiet);
	curl_global_cleanup();
	return code;
}

int command_status(const struct command *self, int argc, char **argv)
{
	return run(self, argc, argv, false);
}

int command_healthcheck(const struct command *self, int argc, char **argv)
{
	return run(self, argc, argv, true);
}
