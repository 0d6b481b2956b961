/* cli_http.c -- see cli_http.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "app/cli_http.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "fetch/fetch.h"

/* ---- where ------------------------------------------------------------------------- */

/* The server of this configuration, as a client on this machine reaches it.  Its
 * certificate names whatever the world calls it, which is not this address; who
 * answers on our own port is decided by the system. */
static int find_own(const struct config *c, struct cli_target *target)
{
	const char *host = c->host;
	const char *scheme = c->tls_cert ? "https" : "http";

	if (c->port == 0)
		return command_fail("PORT=0 does not say where the server listens: give its address with --url");
	if (strcmp(host, "0.0.0.0") == 0)
		host = "127.0.0.1";
	if (strcmp(host, "::") == 0)
		host = "::1";
	snprintf(target->url, CLI_URL_MAX, strchr(host, ':') ? "%s://[%s]:%u" : "%s://%s:%u", scheme, host, c->port);
	target->is_unverified |= !target->ca_file;
	return EXIT_DONE;
}

int cli_find(const char *given, const struct config *config, struct cli_target *target)
{
	size_t n;

	if (target->ca_file && target->is_unverified) {
		command_fail("--ca and --insecure do not go together");
		return EXIT_USAGE;
	}
	if (!given)
		return find_own(config, target);
	n = strlen(given);
	while (n > 0 && given[n - 1] == '/')
		n--;
	if (n >= CLI_URL_MAX || (strncmp(given, "http://", 7) != 0 && strncmp(given, "https://", 8) != 0)) {
		command_fail("%.200s is no address of a server: http://HOST[:PORT] or https://HOST[:PORT], less than %d bytes",
			     given, CLI_URL_MAX);
		return EXIT_USAGE;
	}
	memcpy(target->url, given, n);
	target->url[n] = '\0';
	return EXIT_DONE;
}

void cli_path_part(struct buf *b, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x80 && (isalnum(c) || strchr("-_~", c)))
			buf_byte(b, (char)c);
		else
			buf_printf(b, "%%%02X", c); /* a dot too: "." and ".." mean something in a path */
	}
}

/* ---- one request --------------------------------------------------------------------- */

long cli_ask(const struct cli_request *request, struct buf *body, char error[CLI_ERROR_MAX])
{
	struct fetch_request ask = {
		.answer_max = CLI_ANSWER_MAX,
		.total_ms = CLI_WAIT_S * 1000,
		.key = request->key,
		.json = request->is_post ? &request->body : NULL,
		.is_delete = request->is_delete,
		.ca_file = request->target->ca_file,
		.is_unverified = request->target->is_unverified,
		.uses_proxies = true,
	};
	struct buf url = { 0 };
	long status = 0;

	buf_printf(&url, "%s%s", request->target->url, request->path);
	buf_byte(&url, '\0');
	ask.url = url.p;
	if (url.failed)
		snprintf(error, CLI_ERROR_MAX, "out of memory");
	else
		status = fetch(&ask, body, error);
	buf_fini(&url);
	return status;
}
