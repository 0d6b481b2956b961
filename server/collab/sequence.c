/* sequence.c -- durable events reach a project's room in the order of their numbers.
 *
 * Each durable event of a project has a number of a dense sequence, given when it was
 * committed.  The room remembers the last one that it was sent (presence_project.seq;
 * at the beginning what the store said when the first member was let in).  The next
 * number is sent at once.  A smaller one was sent already.  A greater one is a gap: an
 * event was committed and not sent, or is on its way from another process.  Then nothing
 * is sent until the missing ones are there:
 *
 *   gap seen --GAP_WAIT_MS--> came by itself? --no--> read from the store --> sent in order
 *                                   |                        |
 *                                  done              not there any more: go on behind them
 *
 * What waits is in the store as well, so it is not kept here: it is read back with what
 * is missing.  A store that cannot answer for long ends the wait; clients see the jump
 * in the numbers and read what they lack by themselves.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "collab/client.h"

enum {
	GAP_WAIT_MS = 30,    /* for what is already on its way */
	GAP_RETRY_MS = 200,  /* the store could not answer: again after this ... */
	GAP_TRIES = 15,      /* ... so often */
	GAP_PAGE = 100,      /* events of one reading */
};

/* One project whose room waits.  Lives until the room has caught up, or is gone. */
struct gap {
	struct collab *collab;
	struct gap *next, **prev;
	struct sio_timer timer;
	int64_t target;          /* the greatest number seen */
	unsigned tries;
	size_t project_n;
	char project[PRESENCE_ID_MAX];
};

static void gap_ask(struct gap *gap);

/* ---- memory ----------------------------------------------------------------------- */

static void gap_free(struct gap *gap)
{
	*gap->prev = gap->next;
	if (gap->next)
		gap->next->prev = gap->prev;
	sio_timer_stop(&gap->timer);
	free(gap);
}

static struct gap *gap_find(const struct collab *collab, sio_slice id)
{
	struct gap *gap = collab->gaps;

	while (gap && !sio_slice_eq(sio_bytes(gap->project, gap->project_n), id))
		gap = gap->next;
	return gap;
}

static struct presence_project *gap_project(const struct gap *gap)
{
	return presence_project_find(&gap->collab->presence, sio_bytes(gap->project, gap->project_n));
}

static void gap_on_timer(struct sio_timer *timer)
{
	struct gap *gap = (struct gap *)(void *)((char *)timer - offsetof(struct gap, timer));
	const struct presence_project *project = gap_project(gap);

	if (!project || project->seq >= gap->target)
		gap_free(gap);
	else
		gap_ask(gap);
}

static struct gap *gap_new(struct collab *collab, sio_slice id)
{
	struct gap *gap = calloc(1, sizeof(*gap));

	if (!gap)
		return NULL;
	gap->collab = collab;
	memcpy(gap->project, id.p, gap->project_n = id.n);
	gap->next = collab->gaps;
	gap->prev = &collab->gaps;
	if (gap->next)
		gap->next->prev = &gap->next;
	collab->gaps = gap;
	sio_timer_start(collab->server, &gap->timer, GAP_WAIT_MS, gap_on_timer);
	return gap;
}

void sequence_stop(struct collab *collab)
{
	while (collab->gaps)
		gap_free(collab->gaps);
}

/* ---- sending ------------------------------------------------------------------------ */

static long send_next(struct collab *collab, struct presence_project *project, int64_t seq, const struct collab_emit *emit)
{
	struct collab_emit here = *emit;

	here.is_local = true; /* other servers' rooms have a sequence of their own */
	project->seq = seq;
	return collab_emit_room(collab, presence_project_room(project), &here);
}

/* A room that cannot wait goes on behind the gap. */
static void give_up(struct presence_project *project, int64_t seq, const char *why)
{
	log_error("Events %lld to %lld of project %s were not sent: %s", (long long)project->seq + 1, (long long)seq,
		  project->node.key, why);
	project->seq = seq;
}

static void tell_servers(struct collab *collab, sio_slice project_id, const struct collab_emit *emit)
{
	char room[SIO_ROOM_MAX + 1];
	int n = snprintf(room, sizeof(room), PRESENCE_PROJECT_PREFIX "%.*s", (int)project_id.n, project_id.p);

	if (n > 0 && (size_t)n < sizeof(room))
		servers_tell_event(collab, sio_bytes(room, (size_t)n), emit);
}

long collab_emit_durable(struct collab *collab, sio_slice project_id, int64_t seq, const struct collab_emit *emit)
{
	struct presence_project *project = presence_project_find(&collab->presence, project_id);
	struct gap *gap;

	if (seq <= 0) /* of an event without a number: project:deleted */
		return collab_emit_project(collab, project_id, emit);
	if (!emit->is_local)
		tell_servers(collab, project_id, emit);
	if (!project)
		return 0;
	if (seq <= project->seq)
		return 0;
	if (seq == project->seq + 1)
		return send_next(collab, project, seq, emit);
	gap = gap_find(collab, project_id);
	if (!gap)
		gap = gap_new(collab, project_id);
	if (!gap) {
		give_up(project, seq - 1, "out of memory");
		return send_next(collab, project, seq, emit);
	}
	if (seq > gap->target)
		gap->target = seq;
	return (long)project->connections_n;
}

/* ---- reading back ---------------------------------------------------------------------- */

/* One row {seq, type, data, created_at, except_sid} of the store. */
static void send_row(struct gap *gap, sio_slice row)
{
	struct sio_json_field fields[] = { { .key = "seq" }, { .key = "type" }, { .key = "data" }, { .key = "except_sid" } };
	struct presence_project *project = gap_project(gap);
	char type[COLLAB_EVENT_MAX + 1], except[COLLAB_SID_MAX];
	struct collab_emit emit = { .args = sio_bytes("", 0) };
	int64_t seq;
	long n, except_n;

	if (!project || sio_json_pick(row, fields, 4) < 0 || sio_json_int(fields[0].value, &seq) < 0 || seq <= project->seq)
		return;
	n = sio_json_unquote(fields[1].value, type, sizeof(type));
	emit.event = sio_bytes(type, n > 0 ? (size_t)n : 0);
	emit.args = fields[2].value;
	except_n = sio_json_unquote(fields[3].value, except, sizeof(except));
	emit.except_sid = sio_bytes(except, except_n > 0 ? (size_t)except_n : 0);
	emit.position = COLLAB_LATE;
	if (n <= 0) { /* asked for again it would be no better */
		give_up(project, seq, "its name cannot be read");
		return;
	}
	if (send_next(gap->collab, project, seq, &emit) < 0)
		log_error("Event %lld of project %.*s could not be sent", (long long)seq, (int)gap->project_n, gap->project);
	else
		log_debug("Event %lld of project %.*s was sent late", (long long)seq, (int)gap->project_n, gap->project);
}

static void retry_or_give_up(struct gap *gap)
{
	struct presence_project *project = gap_project(gap);

	if (project && ++gap->tries < GAP_TRIES) {
		sio_timer_start(gap->collab->server, &gap->timer, GAP_RETRY_MS, gap_on_timer);
		return;
	}
	if (project)
		give_up(project, gap->target, "the store did not answer");
	gap_free(gap);
}

static void gap_done(struct store_result *result, void *arg)
{
	struct gap *gap = arg;
	sio_slice rows = sio_json_inside(result->json), row;
	enum store_status status = result->status;
	uint64_t rows_n = result->rows_n;
	struct presence_project *project;

	while (status == STORE_OK && sio_json_next(&rows, &row) == 0)
		send_row(gap, row);
	store_result_free(result);
	project = gap_project(gap);
	if (status != STORE_OK) {
		retry_or_give_up(gap);
		return;
	}
	/* An empty page although more was announced: it is not kept any more. */
	if (project && project->seq < gap->target && rows_n == 0)
		give_up(project, gap->target, "they are not kept any more");
	if (project && project->seq < gap->target)
		gap_ask(gap);
	else
		gap_free(gap);
}

static void gap_ask(struct gap *gap)
{
	const struct presence_project *project = gap_project(gap);
	struct store_ask ask = {
		.op = STORE_EVENT_LIST,
		.project = sio_bytes(gap->project, gap->project_n),
		.after = project ? project->seq : 0,
		.limit = GAP_PAGE,
		.with_except = true,
		.done = gap_done,
		.arg = gap,
		.loop = gap->collab->server,
	};
	int err;

	err = store_submit(gap->collab->store, &ask); /* until its answer the store owns the gap: no timer runs */
	if (err == SIO_ERR_CLOSED)
		gap_free(gap); /* everything ends */
	else if (err < 0)
		retry_or_give_up(gap);
}
