/* issuer.c -- see issuer.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "auth/issuer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/jose.h"
#include "auth/jwks.h"
#include "auth/keys.h"
#include "base/log.h"
#include "base/random.h"
#include "fetch/fetch.h"

struct issuer {
	char *url;
	char shown[FETCH_SHOWN_MAX];
	unsigned algs;
	pthread_t thread;
	bool is_started;
	struct fetch_stop fetch_stop;
	char fault[ISSUER_ERROR_MAX];  /* the thread's: what was told last; empty: all is well */

	struct {
		struct sio_server *server;
		sio_post_fn *fn;
		void *arg;
	} loops[ISSUER_LOOPS_MAX];
	unsigned loops_n;

	pthread_mutex_t lock;          /* for what stands below */
	pthread_cond_t changed;
	bool is_stopped;
	struct jwks jwks;
	struct keys *keys;
	uint64_t fetches_n, good_ms;
	uint64_t results[ISSUER_RESULT_N];
};

static uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

const char *issuer_result_name(enum issuer_result result)
{
	static const char *const names[] = {
#define X(name, label) label,
		ISSUER_RESULT_MAP(X)
#undef X
	};

	return names[result];
}

/* ---- one fetch ------------------------------------------------------------------------ */

/* What is left out is told once, with the set it stands in. */
static void log_left_out(const struct issuer *issuer, const struct keys_report *report)
{
	for (unsigned i = 0; i < KEYS_REASON_N; i++) {
		if (report->left_out[i] == 0)
			continue;
		if (i == KEYS_PRIVATE)
			log_error("JWT_JWKS_URL=%s: %u of its keys are left out: %s. Whoever has read it can sign tokens: the issuer must replace it",
				  issuer->shown, report->left_out[i], keys_reason_text((enum keys_reason)i));
		else
			log_warning("JWT_JWKS_URL=%s: %u of its keys are left out: %s", issuer->shown, report->left_out[i],
				    keys_reason_text((enum keys_reason)i));
	}
}

/* Fetch and read.  *keys has a reference for NEW alone. */
static enum issuer_result get(struct issuer *issuer, struct keys **keys, struct keys_report *report, char why[ISSUER_ERROR_MAX])
{
	const struct fetch_request request = {
		.url = issuer->url,
		.answer_max = KEYS_BYTES_MAX,
		.connect_ms = ISSUER_CONNECT_MS,
		.total_ms = ISSUER_TOTAL_MS,
		.stop = &issuer->fetch_stop,
	};
	char error[FETCH_ERROR_MAX];
	struct buf body = { 0 };
	long status = fetch(&request, &body, error);
	enum issuer_result result = ISSUER_NEW;

	*keys = NULL;
	if (status == 0) {
		result = ISSUER_UNREACHABLE;
		snprintf(why, ISSUER_ERROR_MAX, "%s", error);
	} else if (status != 200) {
		result = ISSUER_STATUS;
		snprintf(why, ISSUER_ERROR_MAX, "it answers with status %ld%s", status,
			 status >= 300 && status < 400 ? ", and redirects are not followed" : "");
	} else if (keys_read(buf_peek(&body), issuer->algs, keys, report) < 0) {
		result = ISSUER_UNUSABLE;
		snprintf(why, ISSUER_ERROR_MAX, "%s", report->error);
	} else if (keys_same(*keys, issuer->keys)) { /* only this thread changes it */
		result = ISSUER_SAME;
		keys_unref(*keys);
		*keys = NULL;
	}
	buf_fini(&body);
	return result;
}

static bool is_good(enum issuer_result result)
{
	return result == ISSUER_NEW || result == ISSUER_SAME;
}

/* A new set, a fault that is another than the last, and that it is over. */
static void log_result(struct issuer *issuer, enum issuer_result result, const struct keys *now, const struct keys_report *report,
		       const char *why)
{
	if (is_good(result)) {
		if (result == ISSUER_NEW)
			log_info("JWT_JWKS_URL=%s: %u keys", issuer->shown, keys_n(now));
		else if (issuer->fault[0])
			log_info("JWT_JWKS_URL=%s: its keys are fetched again, they are the same", issuer->shown);
		if (result == ISSUER_NEW)
			log_left_out(issuer, report);
		issuer->fault[0] = '\0';
	} else if (strcmp(issuer->fault, why) != 0) {
		snprintf(issuer->fault, sizeof(issuer->fault), "%s", why);
		if (result == ISSUER_UNUSABLE)
			log_left_out(issuer, report);
		log_warning("JWT_JWKS_URL=%s: no keys: %s; %s, trying again", issuer->shown, why,
			    now ? "the old ones are used" : "tokens signed with them cannot be checked");
	}
}

/* With the lock held, which is let go of meanwhile. */
static void fetch_locked(struct issuer *issuer)
{
	char why[ISSUER_ERROR_MAX] = "";
	struct keys_report report = { .error = "" };
	struct keys *keys, *old = NULL;
	enum issuer_result result;
	uint32_t chance;

	pthread_mutex_unlock(&issuer->lock);
	result = get(issuer, &keys, &report, why);
	random_bytes(&chance, sizeof(chance));
	pthread_mutex_lock(&issuer->lock);
	if (issuer->is_stopped) {
		keys_unref(keys);
		return;
	}
	if (keys) {
		old = issuer->keys;
		issuer->keys = keys;
	}
	issuer->results[result]++;
	issuer->fetches_n++;
	if (is_good(result))
		issuer->good_ms = clock_ms();
	jwks_end(&issuer->jwks, clock_ms(), is_good(result), chance);
	pthread_mutex_unlock(&issuer->lock);
	keys_unref(old);
	log_result(issuer, result, issuer->keys, &report, why);
	for (unsigned i = 0; i < issuer->loops_n; i++) /* busy, or ended: who waits there has a timer */
		(void)!sio_server_post(issuer->loops[i].server, issuer->loops[i].fn, issuer->loops[i].arg);
	pthread_mutex_lock(&issuer->lock);
}

static void sleep_locked(struct issuer *issuer)
{
	struct timespec until = { .tv_sec = (time_t)(issuer->jwks.due_ms / 1000), .tv_nsec = (long)(issuer->jwks.due_ms % 1000) * 1000000 };

	pthread_cond_timedwait(&issuer->changed, &issuer->lock, &until);
}

static void *run(void *arg)
{
	struct issuer *issuer = arg;

	pthread_mutex_lock(&issuer->lock);
	while (!issuer->is_stopped)
		if (jwks_begin(&issuer->jwks, clock_ms()))
			fetch_locked(issuer);
		else
			sleep_locked(issuer);
	pthread_mutex_unlock(&issuer->lock);
	return NULL;
}

/* ---- life -------------------------------------------------------------------------------- */

int issuer_new(const char *url, const char *algorithms, struct issuer **out)
{
	struct issuer *issuer = calloc(1, sizeof(*issuer));
	pthread_condattr_t attr;
	char error[ISSUER_ERROR_MAX];

	if (!issuer || !(issuer->url = strdup(url))) {
		free(issuer);
		return SIO_ERR_NOMEM;
	}
	fetch_shown(url, issuer->shown);
	fetch_stop_init(&issuer->fetch_stop);
	pthread_mutex_init(&issuer->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&issuer->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (jose_algs_parse(algorithms, &issuer->algs, error, sizeof(error)) < 0) {
		issuer_free(issuer);
		return SIO_ERR_INVAL;
	}
	jwks_init(&issuer->jwks, clock_ms());
	*out = issuer;
	return SIO_OK;
}

bool issuer_try(struct issuer *issuer, char line[ISSUER_ERROR_MAX])
{
	struct keys_report report = { .error = "" };
	char why[ISSUER_ERROR_MAX] = "";
	struct keys *keys;
	bool has_keys = is_good(get(issuer, &keys, &report, why));

	log_left_out(issuer, &report);
	if (has_keys)
		snprintf(line, ISSUER_ERROR_MAX, "%u keys", keys_n(keys));
	else
		memcpy(line, why, sizeof(why));
	keys_unref(keys);
	return has_keys;
}

int issuer_join(struct issuer *issuer, struct sio_server *server, sio_post_fn *fn, void *arg)
{
	if (issuer->loops_n == ISSUER_LOOPS_MAX)
		return SIO_ERR_LIMIT;
	issuer->loops[issuer->loops_n].server = server;
	issuer->loops[issuer->loops_n].fn = fn;
	issuer->loops[issuer->loops_n++].arg = arg;
	return SIO_OK;
}

int issuer_start(struct issuer *issuer)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
	err = pthread_create(&issuer->thread, NULL, run, issuer);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	issuer->is_started = err == 0;
	return err ? SIO_ERR_SYSTEM : SIO_OK;
}

void issuer_stop(struct issuer *issuer)
{
	if (!issuer || !issuer->is_started)
		return;
	pthread_mutex_lock(&issuer->lock);
	issuer->is_stopped = true;
	pthread_cond_signal(&issuer->changed);
	pthread_mutex_unlock(&issuer->lock);
	fetch_stop(&issuer->fetch_stop);
	pthread_join(issuer->thread, NULL);
	issuer->is_started = false;
}

void issuer_free(struct issuer *issuer)
{
	if (!issuer)
		return;
	issuer_stop(issuer);
	keys_unref(issuer->keys);
	pthread_cond_destroy(&issuer->changed);
	pthread_mutex_destroy(&issuer->lock);
	fetch_stop_fini(&issuer->fetch_stop);
	explicit_bzero(issuer->url, strlen(issuer->url));
	free(issuer->url);
	free(issuer);
}

/* ---- asked -------------------------------------------------------------------------------- */

struct keys *issuer_keys(struct issuer *issuer, uint64_t *fetches_n)
{
	struct keys *keys;

	pthread_mutex_lock(&issuer->lock);
	keys = keys_ref(issuer->keys);
	*fetches_n = issuer->fetches_n;
	pthread_mutex_unlock(&issuer->lock);
	return keys;
}

bool issuer_ask(struct issuer *issuer, uint64_t fetches_n)
{
	bool comes;

	pthread_mutex_lock(&issuer->lock);
	comes = !issuer->is_stopped && (fetches_n != issuer->fetches_n || jwks_ask(&issuer->jwks, clock_ms()));
	pthread_cond_signal(&issuer->changed);
	pthread_mutex_unlock(&issuer->lock);
	return comes;
}

void issuer_hurry(struct issuer *issuer)
{
	pthread_mutex_lock(&issuer->lock);
	jwks_hurry(&issuer->jwks, clock_ms());
	pthread_cond_signal(&issuer->changed);
	pthread_mutex_unlock(&issuer->lock);
}

void issuer_stats(struct issuer *issuer, struct issuer_stats *out)
{
	pthread_mutex_lock(&issuer->lock);
	*out = (struct issuer_stats){
		.keys = keys_n(issuer->keys),
		.age_ms = issuer->keys ? clock_ms() - issuer->good_ms : 0,
		.has_keys = issuer->keys,
		.is_stale = issuer->keys && issuer->jwks.failures > 0,
	};
	memcpy(out->fetches, issuer->results, sizeof(out->fetches));
	pthread_mutex_unlock(&issuer->lock);
}
