/* cli_status.c -- "skybuild status" and "skybuild healthcheck": ask a running server.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <string.h>

#include <sio/json.h>

#include "app/cli_http.h"
#include "app/command.h"

static long get(const struct cli_target *target, const char *path, struct buf *body, char error[CLI_ERROR_MAX])
{
	const struct cli_request request = { .target = target, .path = path };

	return cli_ask(&request, body, error);
}

/* Take --url; without it the configuration is read, which need not be in order otherwise. */
static int find_target(const char *given, struct cli_target *target)
{
	struct config config;
	int code;

	if (given)
		return cli_find(given, NULL, target);
	code = command_config(&config);
	if (!code)
		code = cli_find(NULL, &config, target);
	config_fini(&config);
	return code;
}

/* ---- status -------------------------------------------------------------------------- */

/* Print an object's members, one a line. */
static void print_members(sio_slice object)
{
	sio_slice rest = sio_json_inside(object), item;

	/* The members of these answers are plain: a name, a colon, a value whose only commas are
	 * those of an array. */
	while (rest.n > 0) {
		size_t n = 0, depth = 0;
		const char *colon;

		for (; n < rest.n && (depth > 0 || rest.p[n] != ','); n++)
			depth += (size_t)(rest.p[n] == '[') - (size_t)(rest.p[n] == ']');
		item = sio_bytes(rest.p, n);
		rest = n < rest.n ? sio_bytes(rest.p + n + 1, rest.n - n - 1) : SIO_LIT("");
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

static int show(const struct cli_target *target, bool is_json, bool is_quiet)
{
	const char *url = target->url;
	char error[CLI_ERROR_MAX];
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
	struct cli_target target = { .url = "" };
	const struct option_spec specs[] = {
		CLI_TARGET_OPTIONS(&given, &target),
		{ .name = "--json", .is_set = &is_json },
	};
	char **words;
	int n, code = command_options(self, argc, argv, specs, is_quiet ? 3 : 4, &words, &n);

	if (code)
		return code;
	if (n > 0)
		return command_misuse(self, "it takes no arguments but options");
	code = find_target(given, &target);
	return code ? code : show(&target, is_json, is_quiet);
}

int command_status(const struct command *self, int argc, char **argv)
{
	return run(self, argc, argv, false);
}

int command_healthcheck(const struct command *self, int argc, char **argv)
{
	return run(self, argc, argv, true);
}
