/* cli_http.c -- see cli_http.h.  The only file of the program with libcurl.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "app/cli_http.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

#include "app/command.h"

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

static size_t on_bytes(char *p, size_t size, size_t n, void *arg)
{
	struct buf *b = arg;

	if (b->n + size * n > CLI_ANSWER_MAX)
		return 0;
	buf_put(b, p, size * n);
	return b->failed ? 0 : size * n;
}

/* The header lines, or NULL when memory is short. */
static struct curl_slist *headers(const struct cli_request *request)
{
	struct curl_slist *list = curl_slist_append(NULL, "Accept: application/json"), *more = list;
	struct buf b = { 0 };

	if (more && request->is_post) /* curl's own would be a form's */
		more = curl_slist_append(list, "Content-Type: application/json");
	if (more && request->key) {
		buf_printf(&b, "Authorization: Bearer %s", request->key);
		buf_byte(&b, '\0');
		more = b.failed ? NULL : curl_slist_append(list, b.p);
		if (b.n > 0)
			explicit_bzero(b.p, b.n);
		buf_fini(&b);
	}
	if (more)
		return list;
	curl_slist_free_all(list);
	return NULL;
}

static CURLcode perform(CURL *curl, const struct cli_request *request, const char *url, struct curl_slist *list,
			struct buf *body, char *why)
{
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	if (request->target->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, request->target->ca_file);
	if (request->target->is_unverified) {
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)CLI_WAIT_S);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
	if (request->is_post) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.n);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body.n ? request->body.p : "");
	}
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
	return curl_easy_perform(curl);
}

long cli_ask(const struct cli_request *request, struct buf *body, char error[CLI_ERROR_MAX])
{
	char why[CURL_ERROR_SIZE] = "";
	struct buf url = { 0 };
	struct curl_slist *list;
	CURL *curl;
	CURLcode code = CURLE_OUT_OF_MEMORY;
	long status = 0;

	curl_global_init(CURL_GLOBAL_DEFAULT); /* counted; undone below */
	list = headers(request);
	curl = curl_easy_init();
	buf_printf(&url, "%s%s", request->target->url, request->path);
	buf_byte(&url, '\0');
	if (curl && list && !url.failed)
		code = perform(curl, request, url.p, list, body, why);
	if (code == CURLE_OK)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	else if (code == CURLE_WRITE_ERROR)
		snprintf(error, CLI_ERROR_MAX, body->failed ? "out of memory" : "its answer is larger than %d bytes",
			 CLI_ANSWER_MAX);
	else
		snprintf(error, CLI_ERROR_MAX, "%s", why[0] ? why : curl_easy_strerror(code));
	curl_easy_cleanup(curl);
	curl_slist_free_all(list);
	curl_global_cleanup();
	buf_fini(&url);
	return status;
}
