/* fetch.c -- see fetch.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "fetch/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

/* ---- ending ------------------------------------------------------------------------ */

void fetch_stop_init(struct fetch_stop *stop)
{
	*stop = (struct fetch_stop){ .multi = NULL };
	pthread_mutex_init(&stop->lock, NULL);
}

void fetch_stop_fini(struct fetch_stop *stop)
{
	pthread_mutex_destroy(&stop->lock);
}

void fetch_stop(struct fetch_stop *stop)
{
	pthread_mutex_lock(&stop->lock);
	stop->is_stopped = true;
	if (stop->multi)
		curl_multi_wakeup(stop->multi);
	pthread_mutex_unlock(&stop->lock);
}

/* multi is what runs from now on, or NULL.  false: it is to end. */
static bool stop_note(struct fetch_stop *stop, CURLM *multi)
{
	bool goes_on;

	if (!stop)
		return true;
	pthread_mutex_lock(&stop->lock);
	stop->multi = multi;
	goes_on = !stop->is_stopped;
	pthread_mutex_unlock(&stop->lock);
	return goes_on;
}

/* ---- one request --------------------------------------------------------------------- */

/* A request under way. */
struct flight {
	const struct fetch_request *request;
	struct buf *body;
	CURL *curl;
	CURLM *multi;
	struct curl_slist *headers;
	size_t begun;                    /* bytes of *body before */
	bool is_too_large;
	char why[CURL_ERROR_SIZE];
};

static size_t on_bytes(char *p, size_t size, size_t n, void *arg)
{
	struct flight *flight = arg;

	flight->is_too_large = flight->body->n - flight->begun + size * n > flight->request->answer_max;
	if (flight->is_too_large)
		return 0;
	buf_put(flight->body, p, size * n);
	return flight->body->failed ? 0 : size * n;
}

static bool add_header(struct flight *flight, const char *line)
{
	struct curl_slist *more = curl_slist_append(flight->headers, line);

	flight->headers = more ? more : flight->headers;
	return more;
}

static bool add_key(struct flight *flight, const char *key)
{
	struct buf b = { 0 };
	bool is_added;

	buf_printf(&b, "Authorization: Bearer %s", key);
	buf_byte(&b, '\0');
	is_added = !b.failed && add_header(flight, b.p);
	if (b.n > 0)
		explicit_bzero(b.p, b.n);
	buf_fini(&b);
	return is_added;
}

static bool add_headers(struct flight *flight)
{
	const struct fetch_request *request = flight->request;

	return add_header(flight, "Accept: application/json") &&
	       (!request->json || add_header(flight, "Content-Type: application/json")) && /* curl's own would be a form's */
	       (!request->key || add_key(flight, request->key));
}

static void set_trust(CURL *curl, const struct fetch_request *request)
{
	const char *ca = request->ca_file ? request->ca_file : getenv("SSL_CERT_FILE");

	if (ca && *ca)
		curl_easy_setopt(curl, CURLOPT_CAINFO, ca);
	if (request->is_unverified) {
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

static void set_options(struct flight *flight)
{
	const struct fetch_request *request = flight->request;
	CURL *curl = flight->curl;

	curl_easy_setopt(curl, CURLOPT_URL, request->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* a look-up of a name that hangs is not waited for */
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->total_ms);
	if (request->connect_ms)
		curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_ms);
	if (request->uses_proxies)
		curl_easy_setopt(curl, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
	else
		curl_easy_setopt(curl, CURLOPT_PROXY, "");
	set_trust(curl, request);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, flight->headers);
	if (request->json) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->json->n);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->json->n ? request->json->p : "");
	}
	if (request->is_delete)
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "DELETE");
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, flight->why);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, flight);
}

/* Until it has ended, or is ended. */
static CURLcode run(struct flight *flight)
{
	int running = 1, left;
	CURLMsg *message;

	if (curl_multi_add_handle(flight->multi, flight->curl))
		return CURLE_OUT_OF_MEMORY;
	while (stop_note(flight->request->stop, flight->multi)) {
		if (curl_multi_perform(flight->multi, &running))
			return CURLE_OUT_OF_MEMORY;
		if (!running)
			break;
		curl_multi_poll(flight->multi, NULL, 0, 1000, NULL); /* woken by fetch_stop */
	}
	message = running ? NULL : curl_multi_info_read(flight->multi, &left);
	return message ? message->data.result : CURLE_ABORTED_BY_CALLBACK;
}

static void land(struct flight *flight)
{
	stop_note(flight->request->stop, NULL);
	if (flight->curl && flight->multi)
		curl_multi_remove_handle(flight->multi, flight->curl);
	curl_easy_cleanup(flight->curl);
	if (flight->multi)
		curl_multi_cleanup(flight->multi);
	curl_slist_free_all(flight->headers);
}

static void init(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

long fetch(const struct fetch_request *request, struct buf *body, char error[FETCH_ERROR_MAX])
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct flight flight = { .request = request, .body = body, .begun = body->n };
	CURLcode code = CURLE_OUT_OF_MEMORY;
	long status = 0;

	pthread_once(&once, init);
	flight.curl = curl_easy_init();
	flight.multi = curl_multi_init();
	if (flight.curl && flight.multi && add_headers(&flight)) {
		set_options(&flight);
		code = run(&flight);
	}
	if (code == CURLE_OK)
		curl_easy_getinfo(flight.curl, CURLINFO_RESPONSE_CODE, &status);
	else if (flight.is_too_large)
		snprintf(error, FETCH_ERROR_MAX, "its answer is larger than %zu bytes", request->answer_max);
	else if (body->failed)
		snprintf(error, FETCH_ERROR_MAX, "out of memory");
	else
		snprintf(error, FETCH_ERROR_MAX, "%s", flight.why[0] ? flight.why : curl_easy_strerror(code));
	land(&flight);
	return status;
}

void fetch_shown(const char *url, char out[FETCH_SHOWN_MAX])
{
	const char *host = strstr(url, "://"), *scheme = url;
	size_t n, scheme_n;

	host = host ? host + 3 : url;
	scheme_n = (size_t)(host - scheme);
	n = strcspn(host, "/?#");
	for (const char *at; (at = memchr(host, '@', n));) {
		n -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	n = strcspn(host, "?#");
	snprintf(out, FETCH_SHOWN_MAX, "%.*s%.*s", (int)scheme_n, scheme, (int)n, host);
}
