/* answer.c -- the answers' memory, and the names of operations and states.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/backend.h"

static const struct {
	const char *name;
	bool is_write;
} op_facts[STORE_OP_N] = {
#define X(name, text, is_write) { text, is_write },
	STORE_OP_MAP(X)
#undef X
};

static const char *const status_names[] = {
#define X(name, text) text,
	STORE_STATUS_MAP(X)
#undef X
};

const char *store_op_name(enum store_op op)
{
	return (unsigned)op < STORE_OP_N ? op_facts[op].name : "?";
}

bool store_op_is_write(enum store_op op)
{
	return op_facts[op].is_write;
}

const char *store_status_name(enum store_status status)
{
	return (size_t)status < sizeof(status_names) / sizeof(status_names[0]) ? status_names[status] : "?";
}

struct store_answer *answer_new(enum store_op op)
{
	struct store_answer *a = calloc(1, sizeof(*a));

	if (a) {
		a->r.op = op;
		a->r.secret = "";
	}
	return a;
}

static void notices_fini(struct store_answer *a)
{
	buf_fini(&a->notice_text);
	free(a->notices);
	a->notices = NULL;
	a->notices_n = 0;
}

static void buffers_fini(struct store_answer *a)
{
	notices_fini(a);
	buf_fini(&a->json);
	buf_fini(&a->event);
	buf_fini(&a->type);
	buf_fini(&a->cursor);
	buf_fini(&a->secret);
}

void answer_clear(struct store_answer *a)
{
	enum store_op op = a->r.op;

	buffers_fini(a);
	*a = (struct store_answer){ .r = { .op = op, .secret = "" } };
}

void store_result_free(struct store_result *result)
{
	struct store_answer *a = (struct store_answer *)(void *)result;

	if (!a)
		return;
	buffers_fini(a);
	free(a);
}

void answer_fail(struct store_answer *a, enum store_status status, const char *fmt, ...)
{
	va_list ap;

	if (a->r.status != STORE_OK)
		return;
	a->r.status = status;
	va_start(ap, fmt);
	vsnprintf(a->r.error, sizeof(a->r.error), fmt, ap);
	va_end(ap);
}

void answer_notice(struct store_answer *a, sio_slice user, sio_slice data, int64_t position)
{
	struct store_notice *n = realloc(a->notices, (a->notices_n + 1) * sizeof(*n));

	if (!n) {
		a->notice_text.failed = true;
		return;
	}
	a->notices = n;
	n += a->notices_n++;
	n->position = position;
	n->user = (sio_slice){ (const char *)(uintptr_t)a->notice_text.n, user.n };
	buf_slice(&a->notice_text, user);
	n->data = (sio_slice){ (const char *)(uintptr_t)a->notice_text.n, data.n };
	buf_slice(&a->notice_text, data);
}

void answer_untell(struct store_answer *a)
{
	a->r.seq = a->r.position = 0;
	buf_clear(&a->event);
	buf_clear(&a->type);
	notices_fini(a);
}

/* The text stays where it is: offsets become pointers. */
static void notices_seal(struct store_answer *a)
{
	for (size_t i = 0; i < a->notices_n; i++) {
		struct store_notice *n = &a->notices[i];
		n->user.p = a->notice_text.p + (uintptr_t)n->user.p;
		n->data.p = a->notice_text.p + (uintptr_t)n->data.p;
	}
	a->r.notices = a->notices;
	a->r.notices_n = a->notices_n;
}

void answer_seal(struct store_answer *a)
{
	buf_byte(&a->secret, '\0');
	if (a->notice_text.failed)
		notices_fini(a);
	if (a->json.failed || a->event.failed || a->type.failed || a->cursor.failed || a->secret.failed)
		answer_fail(a, STORE_UNAVAILABLE, "out of memory while the answer was written");
	notices_seal(a);
	a->r.json = buf_peek(&a->json);
	a->r.event = buf_peek(&a->event);
	a->r.event_type = buf_peek(&a->type);
	a->r.cursor = buf_peek(&a->cursor);
	a->r.secret = a->secret.failed ? "" : a->secret.p;
}

void store_news_free(struct store_news *news)
{
	if (!news)
		return;
	free(news->changes);
	free(news->events);
	buf_fini(&news->text);
	free(news);
}
