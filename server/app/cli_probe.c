/* cli_probe.c -- see cli_probe.h.  Knows libcurl, for what `fetch` does not tell: headers, certificates, times,
 * and bytes that are no HTTP request of libcurl's own.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "app/cli_probe.h"

#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <curl/curl.h>

enum { PIPE_READ_BYTES = 16 * 1024 };

static size_t on_bytes(char *p, size_t size, size_t n, void *arg)
{
	struct buf *b = arg;

	if (b->n + size * n > CLI_ANSWER_MAX)
		return 0;
	buf_put(b, p, size * n);
	return b->failed ? 0 : size * n;
}

/* What every connection to a target has in common. */
static void aim(CURL *curl, const struct cli_target *target, const char *url, char *why)
{
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	if (target->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, target->ca_file);
	if (target->is_unverified) {
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
}

static void put_post(CURL *curl, bool is_post, sio_slice body)
{
	if (!is_post)
		return;
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.n ? body.p : "");
}

/* ---- one request, looked at closely -------------------------------------------------- */

int64_t cli_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static enum cli_trouble trouble_of(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return CLI_FINE;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return CLI_NO_NAME;
	case CURLE_COULDNT_CONNECT:
		return CLI_NO_CONNECTION;
	case CURLE_SSL_CONNECT_ERROR:
		return CLI_NO_TLS;
	case CURLE_PEER_FAILED_VERIFICATION:
		return CLI_BAD_CERTIFICATE;
	case CURLE_OPERATION_TIMEDOUT:
		return CLI_TOO_LATE;
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return CLI_CUT;
	default:
		return CLI_OTHER;
	}
}

/* A header line of any answer on the way, a 100 or a proxy's own: those of the last one stay. */
static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	struct buf *head = arg;

	if (size * n >= 5 && memcmp(p, "HTTP/", 5) == 0)
		buf_clear(head);
	else if (head->n + size * n <= CLI_ANSWER_MAX)
		buf_put(head, p, size * n);
	return head->failed ? 0 : size * n;
}

/* When the first certificate of the chain ends. */
static int64_t expiry(CURL *curl)
{
	static const char name[] = "Expire date:";
	struct curl_certinfo *info = NULL;

	if (curl_easy_getinfo(curl, CURLINFO_CERTINFO, &info) || !info || info->num_of_certs < 1)
		return 0;
	for (struct curl_slist *line = info->certinfo[0]; line; line = line->next)
		if (strncmp(line->data, name, sizeof(name) - 1) == 0) {
			time_t end = curl_getdate(line->data + sizeof(name) - 1, NULL);

			return end < 0 ? 0 : (int64_t)end;
		}
	return 0;
}

/* What the Date header says, or 0. */
static int64_t date_of(const struct buf *head)
{
	sio_slice line = cli_header(head, "Date");
	char text[64];
	time_t t;

	if (line.n == 0 || line.n >= sizeof(text))
		return 0;
	memcpy(text, line.p, line.n);
	text[line.n] = '\0';
	t = curl_getdate(text, NULL);
	return t < 0 ? 0 : (int64_t)t;
}

static CURLcode exchange(CURL *curl, struct cli_exchange *x, const char *url, struct curl_slist *list, char *why)
{
	CURLcode code;
	long version = 0;

	aim(curl, x->target, url, why);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, x->wait_ms);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
	curl_easy_setopt(curl, CURLOPT_CERTINFO, 1L);
	curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "gzip, deflate"); /* as browsers do */
	put_post(curl, x->is_post, x->body_out);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, &x->head);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &x->body);
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &x->status);
	curl_easy_getinfo(curl, CURLINFO_HTTP_VERSION, &version);
	x->is_http2 = version == CURL_HTTP_VERSION_2_0;
	x->expires_s = expiry(curl);
	x->date_s = date_of(&x->head);
	return code;
}

static struct curl_slist *lines(const char *const *headers, bool is_post)
{
	/* No "Expect: 100-continue": browsers do not send it. */
	struct curl_slist *list = curl_slist_append(NULL, "Expect:"), *more = list;

	if (more && is_post)
		more = curl_slist_append(list, "Content-Type: text/plain;charset=UTF-8");
	for (; more && headers && *headers; headers++)
		more = curl_slist_append(list, *headers);
	if (more)
		return list;
	curl_slist_free_all(list);
	return NULL;
}

void cli_exchange(struct cli_exchange *x)
{
	char why[CURL_ERROR_SIZE] = "";
	struct buf url = { 0 };
	struct curl_slist *list;
	CURL *curl;
	CURLcode code = CURLE_OUT_OF_MEMORY;
	int64_t begun = cli_now_ms();

	curl_global_init(CURL_GLOBAL_DEFAULT);
	list = lines(x->headers, x->is_post);
	curl = curl_easy_init();
	buf_printf(&url, "%s%s", x->target->url, x->path);
	buf_byte(&url, '\0');
	if (curl && list && !url.failed)
		code = exchange(curl, x, url.p, list, why);
	/* What came is an answer when all of it did. */
	x->trouble = trouble_of(code);
	if (x->trouble != CLI_FINE)
		x->status = 0;
	snprintf(x->error, CLI_ERROR_MAX, "%s", why[0] ? why : curl_easy_strerror(code));
	x->ms = (long)(cli_now_ms() - begun);
	curl_easy_cleanup(curl);
	curl_slist_free_all(list);
	curl_global_cleanup();
	buf_fini(&url);
}

void cli_exchange_fini(struct cli_exchange *x)
{
	buf_fini(&x->head);
	buf_fini(&x->body);
}

sio_slice cli_header(const struct buf *head, const char *name)
{
	size_t name_n = strlen(name);
	const char *p = head->p, *end = head->p + head->n;

	while (p && p < end) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		const char *last = stop ? stop : end;

		if ((size_t)(last - p) > name_n && p[name_n] == ':' && strncasecmp(p, name, name_n) == 0) {
			for (p += name_n + 1; p < last && isspace((unsigned char)*p);)
				p++;
			while (last > p && isspace((unsigned char)last[-1]))
				last--;
			return sio_bytes(p, (size_t)(last - p));
		}
		p = stop ? stop + 1 : end;
	}
	return SIO_LIT("");
}

/* ---- bytes of the command's own ------------------------------------------------------ */

struct cli_pipe {
	CURL *curl;
	curl_socket_t fd;
	char why[CURL_ERROR_SIZE];
};

struct cli_pipe *cli_pipe_open(const struct cli_target *target, long wait_ms, enum cli_trouble *trouble,
			       char error[CLI_ERROR_MAX])
{
	struct cli_pipe *pipe = calloc(1, sizeof(*pipe));
	CURLcode code = CURLE_OUT_OF_MEMORY;

	curl_global_init(CURL_GLOBAL_DEFAULT);
	if (pipe)
		pipe->curl = curl_easy_init();
	if (pipe && pipe->curl) {
		aim(pipe->curl, target, target->url, pipe->why);
		curl_easy_setopt(pipe->curl, CURLOPT_CONNECT_ONLY, 1L);
		curl_easy_setopt(pipe->curl, CURLOPT_HTTPPROXYTUNNEL, 1L);
		/* What is said over it is HTTP/1.1, as browsers do for WebSockets. */
		curl_easy_setopt(pipe->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
		curl_easy_setopt(pipe->curl, CURLOPT_CONNECTTIMEOUT_MS, wait_ms);
		code = curl_easy_perform(pipe->curl);
	}
	if (code == CURLE_OK)
		code = curl_easy_getinfo(pipe->curl, CURLINFO_ACTIVESOCKET, &pipe->fd);
	*trouble = trouble_of(code);
	if (code == CURLE_OK)
		return pipe;
	snprintf(error, CLI_ERROR_MAX, "%s", pipe && pipe->why[0] ? pipe->why : curl_easy_strerror(code));
	if (pipe)
		cli_pipe_close(pipe);
	else
		curl_global_cleanup();
	return NULL;
}

void cli_pipe_close(struct cli_pipe *pipe)
{
	if (!pipe)
		return;
	curl_easy_cleanup(pipe->curl);
	curl_global_cleanup();
	free(pipe);
}

/* False: nothing happened until then. */
static bool await(const struct cli_pipe *pipe, short what, int64_t until_ms)
{
	struct pollfd poll_of = { .fd = pipe->fd, .events = what };
	int64_t left = until_ms - cli_now_ms();

	return left > 0 && poll(&poll_of, 1, (int)left) != 0;
}

bool cli_pipe_send(struct cli_pipe *pipe, sio_slice bytes, long wait_ms)
{
	int64_t until = cli_now_ms() + wait_ms;
	size_t sent = 0;

	while (bytes.n > 0) {
		CURLcode code = curl_easy_send(pipe->curl, bytes.p, bytes.n, &sent);

		if (code == CURLE_AGAIN && await(pipe, POLLOUT, until))
			continue;
		if (code != CURLE_OK)
			return false;
		bytes = sio_bytes(bytes.p + sent, bytes.n - sent);
	}
	return true;
}

enum cli_trouble cli_pipe_read(struct cli_pipe *pipe, struct buf *b, long wait_ms)
{
	int64_t until = cli_now_ms() + wait_ms;
	size_t got = 0;

	for (;;) {
		CURLcode code = CURLE_OUT_OF_MEMORY;

		if (buf_reserve(b, PIPE_READ_BYTES))
			code = curl_easy_recv(pipe->curl, b->p + b->n, PIPE_READ_BYTES, &got);
		if (code == CURLE_OK && got > 0) {
			b->n += got;
			return CLI_FINE;
		}
		if (code != CURLE_AGAIN)
			return CLI_CUT;
		if (!await(pipe, POLLIN, until))
			return CLI_TOO_LATE;
	}
}
