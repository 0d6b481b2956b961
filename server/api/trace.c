/* trace.c -- see trace.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "api/trace.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <sio/json.h>
#include <sio/room.h>

struct trace {
	char id[RANDOM_ID_LEN + 1]; /* "": this place is free */
	enum trace_kind kind;
	char filter[TRACE_FILTER_MAX + 1];
	uint64_t until_ms;          /* of the lease */
	uint64_t missed;            /* since the last fetch */
	struct buf waiting;         /* packets as JSON, a comma between */
};

struct trace_board {
	pthread_mutex_t lock;
	struct trace traces[TRACES_MAX];
};

struct trace_board *trace_board_new(void)
{
	struct trace_board *board = calloc(1, sizeof(*board));

	if (board)
		pthread_mutex_init(&board->lock, NULL);
	return board;
}

static void clear(struct trace *t)
{
	buf_fini(&t->waiting);
	*t = (struct trace){ .id = "" };
}

void trace_board_free(struct trace_board *board)
{
	if (!board)
		return;
	for (int i = 0; i < TRACES_MAX; i++)
		clear(&board->traces[i]);
	pthread_mutex_destroy(&board->lock);
	free(board);
}

/* NULL: there is none.  An empty id finds a free place. */
static struct trace *find(struct trace_board *board, sio_slice id)
{
	for (int i = 0; i < TRACES_MAX; i++)
		if (sio_slice_eq(sio_str(board->traces[i].id), id))
			return &board->traces[i];
	return NULL;
}

static bool sweep(struct trace_board *board, uint64_t now_ms)
{
	bool is_any = false;

	for (int i = 0; i < TRACES_MAX; i++) {
		struct trace *t = &board->traces[i];

		if (t->id[0] && t->until_ms <= now_ms)
			clear(t);
		is_any |= t->id[0];
	}
	return is_any;
}

int trace_add(struct trace_board *board, enum trace_kind kind, sio_slice room_or_sid, uint64_t now_ms, char id[RANDOM_ID_LEN + 1])
{
	struct trace *t;

	if (room_or_sid.n > TRACE_FILTER_MAX)
		return SIO_ERR_INVAL;
	pthread_mutex_lock(&board->lock);
	sweep(board, now_ms);
	t = find(board, sio_bytes("", 0));
	if (t) {
		*t = (struct trace){ .kind = kind, .until_ms = now_ms + TRACE_LEASE_MS };
		memcpy(t->filter, room_or_sid.p, room_or_sid.n);
		random_id(t->id);
		memcpy(id, t->id, sizeof(t->id));
	}
	pthread_mutex_unlock(&board->lock);
	return t ? SIO_OK : SIO_ERR_LIMIT;
}

bool trace_fetch(struct trace_board *board, sio_slice id, uint64_t now_ms, struct buf *out)
{
	struct trace *t;

	pthread_mutex_lock(&board->lock);
	t = id.n ? find(board, id) : NULL;
	if (t) {
		t->until_ms = now_ms + TRACE_LEASE_MS;
		buf_str(out, "\"packets\":[");
		buf_slice(out, buf_peek(&t->waiting));
		buf_printf(out, "],\"missed\":%" PRIu64, t->missed);
		buf_fini(&t->waiting);
		t->missed = 0;
	}
	pthread_mutex_unlock(&board->lock);
	return t;
}

bool trace_remove(struct trace_board *board, sio_slice id)
{
	struct trace *t;

	pthread_mutex_lock(&board->lock);
	t = id.n ? find(board, id) : NULL;
	if (t)
		clear(t);
	pthread_mutex_unlock(&board->lock);
	return t;
}

bool trace_sweep(struct trace_board *board, uint64_t now_ms)
{
	bool is_any;

	pthread_mutex_lock(&board->lock);
	is_any = sweep(board, now_ms);
	pthread_mutex_unlock(&board->lock);
	return is_any;
}

/* ---- one packet -------------------------------------------------------------------- */

/* Who may have a token in it: CONNECT with its auth, auth:refresh, and what could not be read as either. */
static bool is_secret(const struct sio_trace_packet *p)
{
	char name[32];

	if (strcmp(p->type, "connect") == 0 || strcmp(p->type, "malformed") == 0)
		return true;
	if (p->name.n == 0)
		return false;
	/* A name may be written with escapes; one that does not fit is not it. */
	return sio_json_unquote(p->name, name, sizeof(name)) > 0 && strcmp(name, "auth:refresh") == 0;
}

/* The begin of a text, cut between two characters. */
static sio_slice begin_of(sio_slice text)
{
	size_t n = TRACE_DATA_MAX;

	while (n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
		n--;
	return sio_bytes(text.p, n);
}

static void put_data(struct buf *b, const struct sio_trace_packet *p)
{
	bool is_list = p->name.n > 0 || strstr(p->type, "ack");

	if (is_secret(p)) {
		buf_str(b, p->data.n ? ",\"is_hidden\":true" : "");
	} else if (p->data.n > TRACE_DATA_MAX) {
		buf_str(b, ",\"begin\":");
		buf_json(b, begin_of(p->data));
	} else if (is_list || p->data.n > 0) {
		buf_str(b, is_list ? ",\"args\":[" : ",\"args\":");
		buf_slice(b, p->data);
		buf_str(b, is_list ? "]" : "");
	}
}

static void put_packet(struct buf *b, const struct sio_trace_packet *p, sio_slice user, int64_t wall_ms)
{
	buf_str(b, "{\"time\":");
	buf_time(b, wall_ms);
	buf_str(b, ",\"sid\":");
	buf_json(b, sio_socket_id(p->socket));
	buf_str(b, ",\"user\":");
	buf_json(b, user);
	buf_printf(b, ",\"direction\":\"%s\",\"transport\":\"%s\",\"type\":\"%s\",\"namespace\":", p->is_out ? "out" : "in",
		   p->is_websocket ? "websocket" : "polling", p->type);
	buf_json(b, p->nsp);
	if (p->name.n > 0 && p->name.n <= TRACE_NAME_MAX) {
		buf_str(b, ",\"event\":");
		buf_slice(b, p->name);
	}
	put_data(b, p);
	if (p->id != SIO_TRACE_NO_ID)
		buf_printf(b, ",\"ack\":%" PRIu64, p->id);
	if (p->attachments_n)
		buf_printf(b, ",\"attachments\":%u", p->attachments_n);
	buf_printf(b, ",\"bytes\":%zu}", p->bytes);
}

static bool is_wanted(const struct trace *t, const struct sio_socket *socket)
{
	if (t->kind == TRACE_SID)
		return sio_slice_eq(sio_socket_id(socket), sio_str(t->filter));
	return sio_room_has(socket, sio_str(t->filter));
}

void trace_note(struct trace_board *board, const struct sio_trace_packet *packet, sio_slice user, int64_t wall_ms)
{
	pthread_mutex_lock(&board->lock);
	for (int i = 0; i < TRACES_MAX; i++) {
		struct trace *t = &board->traces[i];
		size_t before = t->waiting.n;

		if (!t->id[0] || !is_wanted(t, packet->socket))
			continue;
		if (before < TRACE_WAITING_MAX - TRACE_PACKET_MAX) {
			if (before)
				buf_byte(&t->waiting, ',');
			put_packet(&t->waiting, packet, user, wall_ms);
		}
		if (t->waiting.n == before || t->waiting.failed) {
			t->waiting.n = before;
			t->waiting.failed = false;
			t->missed++;
		}
	}
	pthread_mutex_unlock(&board->lock);
}
