/* gather.c -- see gather.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "api/gather.h"

#include <stdlib.h>

#include <sio/json.h>
#include <sio/server.h>
#include <sio/servers.h>

struct gathering {
	struct call *call;
	gather_fn *done;
	struct buf own; /* this server's answer */
};

static void finish(struct gathering *g, const struct gathered *got)
{
	g->done(g->call, got);
	buf_fini(&g->own);
	free(g);
}

static void on_answers(struct sio_namespace *nsp, int status, const struct sio_answers *from, void *arg)
{
	struct gathering *g = arg;
	sio_slice *all = malloc((from->answers_n + 1) * sizeof(*all));
	struct gathered got = { .answers = all, .n = 1, .missing = from->missing_nodes };

	(void)nsp, (void)status;
	if (!all) {
		respond_later(g->call, 503, "out_of_memory", 1, "out of memory");
		buf_fini(&g->own);
		free(g);
		return;
	}
	got.missing_n = from->missing_nodes ? from->missing_nodes_n : 0;
	all[0] = buf_peek(&g->own);
	for (size_t i = 0; i < from->answers_n; i++)
		all[got.n++] = from->answers[i].json;
	finish(g, &got);
	free(all);
}

void gather(struct call *call, const char *what, sio_slice id, gather_fn *done)
{
	struct sio_server *server = call->api->options.server;
	struct gathering *g = calloc(1, sizeof(*g));
	struct buf text = { 0 };
	struct sio_args args;
	long err = SIO_ERR_NOMEM;

	if (g) {
		*g = (struct gathering){ .call = call, .done = done };
		collab_answer(call->api->options.collab, sio_str(what), id, &g->own);
		buf_json(&text, id);
	}
	if (g && !g->own.failed && !text.failed && sio_server_nodes_n(server) <= 1) {
		const sio_slice own = buf_peek(&g->own);
		finish(g, &(struct gathered){ .answers = &own, .n = 1 });
		buf_fini(&text);
		return;
	}
	args = (struct sio_args){ .json = buf_peek(&text) };
	if (g && !g->own.failed && !text.failed)
		err = sio_servers_ask(sio_namespace_main(server), sio_str(what), &args, GATHER_WAIT_MS, on_answers, g);
	buf_fini(&text);
	if (err >= 0)
		return;
	respond_later(call, 503, "out_of_memory", 1, "out of memory");
	if (g)
		buf_fini(&g->own);
	free(g);
}

void gather_put_missing(struct buf *b, const struct gathered *got)
{
	buf_str(b, "\"missing_nodes\":[");
	for (size_t i = 0; i < got->missing_n; i++) {
		if (i > 0)
			buf_byte(b, ',');
		buf_json(b, got->missing[i]);
	}
	buf_byte(b, ']');
}

int64_t gather_sum(const struct gathered *got, const char *key)
{
	int64_t sum = 0, n;

	for (size_t i = 0; i < got->n; i++) {
		struct sio_json_field field = { .key = key };
		if (sio_json_pick(got->answers[i], &field, 1) == 0 && sio_json_int(field.value, &n) == 0)
			sum += n;
	}
	return sum;
}
