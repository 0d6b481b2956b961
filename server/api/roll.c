/* roll.c -- GET /metrics of a process with several workers: each counts for itself, whoever is
 * asked tells what all have counted, with a label "worker".
 *
 * A worker's counts are read on its own thread, which is asked by a post.  A thread of the pool
 * waits for the answers, so that no loop does; a worker that gives none in time is left out.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sio/work.h>

#include "api/measure.h"
#include "api/trace.h"
#include "base/log.h"
#include "metrics/text.h"

enum { WAIT_S = 2 };

struct api_workers {
	unsigned n, max;
	struct trace_board *traces;
	struct api *at[];
};

struct page {
	struct sheet *sheet;
	struct api *api;
	struct buf text;
	bool is_there;
};

/* One GET.  Whoever is last to let go frees it: a worker may write when nobody waits any more. */
struct sheet {
	pthread_mutex_t lock;
	pthread_cond_t written;
	unsigned refs, missing_n, n;   /* these and the pages: under the lock */
	struct call *call;
	struct page pages[];
};

struct api_workers *api_workers_new(unsigned max)
{
	struct api_workers *roll = calloc(1, sizeof(*roll) + max * sizeof(roll->at[0]));

	if (!roll)
		return NULL;
	roll->max = max;
	roll->traces = trace_board_new();
	if (roll->traces)
		return roll;
	free(roll);
	return NULL;
}

void api_workers_free(struct api_workers *roll)
{
	if (roll)
		trace_board_free(roll->traces);
	free(roll);
}

void roll_enter(struct api *api)
{
	struct api_workers *roll = api->options.roll;

	if (roll && roll->n < roll->max)
		roll->at[roll->n++] = api;
}

void roll_tell(struct api *api, void (*fn)(void *api))
{
	struct api_workers *roll = api->options.roll;

	for (unsigned i = 0; roll && i < roll->n; i++)
		if (roll->at[i] != api && sio_server_post(roll->at[i]->options.server, fn, roll->at[i]) < 0)
			log_warning("worker %u is not told of a trace: it has ended, or has too much to do", i);
	fn(api);
}

struct trace_board *roll_traces(const struct api_workers *roll)
{
	return roll->traces;
}

/* ---- one text of many -------------------------------------------------------------- */

static const char head[] = "# HELP ";

/* The next metric with all its lines. */
static bool next_family(sio_slice *rest, sio_slice *family)
{
	const char *end = rest->n > sizeof(head) ? memmem(rest->p + 1, rest->n - 1, head, sizeof(head) - 1) : NULL;
	size_t n = end ? (size_t)(end - rest->p) : rest->n;

	*family = sio_bytes(rest->p, n);
	rest->p += n;
	rest->n -= n;
	return n > 0;
}

static sio_slice name_of(sio_slice family)
{
	sio_slice name = sio_bytes(family.p + sizeof(head) - 1, 0);

	while (name.p + name.n < family.p + family.n && name.p[name.n] != ' ')
		name.n++;
	return name;
}

static sio_slice find_family(sio_slice text, sio_slice name)
{
	sio_slice family;

	while (next_family(&text, &family))
		if (sio_slice_eq(name_of(family), name))
			return family;
	return sio_bytes("", 0);
}

/* Its lines: those that begin with "#" as they are, or the others with the worker's number. */
static void put_lines(struct buf *out, sio_slice family, bool is_head, unsigned worker)
{
	while (family.n > 0) {
		const char *end = memchr(family.p, '\n', family.n);
		sio_slice line = sio_bytes(family.p, end ? (size_t)(end + 1 - family.p) : family.n);
		size_t name_n = 0;

		family.p += line.n;
		family.n -= line.n;
		if (is_head && line.p[0] == '#')
			buf_slice(out, line);
		if (is_head || line.p[0] == '#')
			continue;
		while (name_n < line.n && line.p[name_n] != '{' && line.p[name_n] != ' ')
			name_n++;
		buf_put(out, line.p, name_n);
		buf_printf(out, "{worker=\"%u\"%s", worker, line.p[name_n] == '{' ? "," : "}");
		name_n += line.p[name_n] == '{';
		buf_put(out, line.p + name_n, line.n - name_n);
	}
}

static void merge(struct buf *out, const struct sheet *sheet)
{
	sio_slice rest = sio_bytes("", 0), family;

	for (unsigned i = sheet->n; i-- > 0;)
		if (sheet->pages[i].is_there)
			rest = buf_peek(&sheet->pages[i].text);
	while (next_family(&rest, &family)) {
		put_lines(out, family, true, 0);
		for (unsigned i = 0; i < sheet->n; i++)
			if (sheet->pages[i].is_there)
				put_lines(out, find_family(buf_peek(&sheet->pages[i].text), name_of(family)), false, i);
	}
}

/* ---- asking all ------------------------------------------------------------------------ */

static void sheet_unref_locked(struct sheet *sheet)
{
	bool is_last = --sheet->refs == 0;

	pthread_mutex_unlock(&sheet->lock);
	if (!is_last)
		return;
	for (unsigned i = 0; i < sheet->n; i++)
		buf_fini(&sheet->pages[i].text);
	pthread_cond_destroy(&sheet->written);
	pthread_mutex_destroy(&sheet->lock);
	free(sheet);
}

/* On the worker's loop. */
static void on_asked(void *arg)
{
	struct page *page = arg;
	struct sheet *sheet = page->sheet;
	struct buf text = { 0 };

	measure_put(&text, page->api);
	pthread_mutex_lock(&sheet->lock);
	page->text = text;
	page->is_there = !text.failed;
	sheet->missing_n--;
	pthread_cond_signal(&sheet->written);
	sheet_unref_locked(sheet);
}

/* On the pool. */
static void on_wait(void *arg)
{
	struct sheet *sheet = arg;
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	pthread_mutex_lock(&sheet->lock);
	while (sheet->missing_n > 0 && pthread_cond_timedwait(&sheet->written, &sheet->lock, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&sheet->lock);
}

/* On the loop of who was asked. */
static void on_written(void *arg)
{
	struct sheet *sheet = arg;
	struct call *call = sheet->call;
	struct buf text = { 0 };

	pthread_mutex_lock(&sheet->lock);
	merge(&text, sheet);
	sheet_unref_locked(sheet);
	measure_answer(call, &text);
}

static struct sheet *sheet_new(struct call *call, const struct api_workers *roll)
{
	struct sheet *sheet = calloc(1, sizeof(*sheet) + roll->n * sizeof(sheet->pages[0]));

	if (!sheet)
		return NULL;
	pthread_mutex_init(&sheet->lock, NULL);
	pthread_cond_init(&sheet->written, NULL);
	sheet->call = call;
	sheet->n = roll->n;
	sheet->refs = 1;
	return sheet;
}

static void ask(struct sheet *sheet, unsigned i, struct api *api)
{
	sheet->pages[i].sheet = sheet;
	sheet->pages[i].api = api;
	pthread_mutex_lock(&sheet->lock);
	sheet->refs++;
	sheet->missing_n++;
	if (sio_server_post(api->options.server, on_asked, &sheet->pages[i]) < 0) { /* it has ended, or has too much to do */
		sheet->refs--;
		sheet->missing_n--;
	}
	pthread_mutex_unlock(&sheet->lock);
}

bool roll_call(struct call *call)
{
	const struct api_workers *roll = call->api->options.roll;
	struct sheet *sheet;

	if (!roll || roll->n < 2)
		return false;
	sheet = sheet_new(call, roll);
	if (!sheet) {
		respond_later(call, 503, "out_of_memory", 1, "out of memory");
		return true;
	}
	for (unsigned i = 0; i < roll->n; i++)
		ask(sheet, i, roll->at[i]);
	if (sio_server_work(call->api->options.server, on_wait, on_written, sheet) < 0) {
		pthread_mutex_lock(&sheet->lock);
		sheet_unref_locked(sheet);
		respond_later(call, 503, "busy", 1, "the counters cannot be gathered now");
	}
	return true;
}
