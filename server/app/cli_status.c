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

/* ---- one GET ---------------------------------------------------------------------- */

static size_t on_bytes(char *p, size_t size, size_t n, void *arg)
{
	struct buf *b = arg;

	if (b->n + size * n > ANSWER_MAX)
		return 0;
	buf_put(b, p, size * n);
	return b->failed ? 0 : size * n;
}

/* GET base+path into body.  Returns the HTTP status, or 0 with why in error. */
static long get(const char *base, const char *path, struct buf *body, char error[CURL_ERROR_SIZE])
{
	char url[URL_MAX];
	CURL *curl = curl_easy_init();
	long status = 0;
	CURLcode code;

	snprintf(error, CURL_ERROR_SIZE, "out of memory");
	if (!curl)
		return 0;
	error[0] = '\0';
	snprintf(url, sizeof(url), "%s%s", base, path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
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

/* The address of the server of this configuration, as a client on this machine
 * reaches it. */
static void own_url(const struct config *c, char out[URL_MAX])
{
	const char *host = c->host;

	if (strcmp(host, "0.0.0.0") == 0)
		host = "127.0.0.1";
	if (strcmp(host, "::") == 0)
		host = "::1";
	snprintf(out, URL_MAX, strchr(host, ':') ? "http://[%s]:%u" : "http://%s:%u", host, c->port);
}

/* Take --url, or make it; without a slash at its end. */
static int find_url(const char *given, char out[URL_MAX])
{
	struct config config;
	size_t n;
	int code;

	if (given) {
		snprintf(out, URL_MAX, "%s", given);
		for (n = strlen(out); n > 0 && out[n - 1] == '/'; n--)
			out[n - 1] = '\0';
		return EXIT_DONE;
	}
	code = command_config(&config);
	if (!code)
		own_url(&config, out);
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

static int show(const char *url, bool is_json, bool is_quiet)
{
	char error[CURL_ERROR_SIZE];
	struct buf status = { 0 }, ready = { 0 };
	long status_code = is_quiet ? 200 : get(url, "/ws/status?verbose=1", &status, error);
	long ready_code = status_code ? get(url, "/readyz", &ready, error) : 0;
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
	const struct option_spec specs[] = {
		{ .name = "--url", .value = &given },
		{ .name = "--json", .is_set = &is_json },
	};
	char url[URL_MAX], **words;
	int n, code = command_options(self, argc, argv, specs, is_quiet ? 1 : 2, &words, &n);

	if (code)
		return code;
	if (n > 0)
		return command_misuse(self, "it takes no arguments but options");
	code = find_url(given, url);
	if (code)
		return code;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	code = show(url, is_json, is_quiet);
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
