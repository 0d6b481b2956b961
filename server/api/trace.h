/* trace.h -- traces: what chosen sockets say and hear, kept for whoever asked until it is
 * fetched.
 *
 * A trace has a filter (a room or a socket's id), a number of bytes that may wait, and a
 * lease: who does not fetch for TRACE_LEASE_MS has gone, and the trace with them.  When no
 * byte is left, packets are counted instead of kept.  Tokens are never kept.  The board is
 * shared by the workers of a process, under its lock; nothing here knows HTTP or loops
 * (that is trace_api.c).  Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef API_TRACE_H
#define API_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/trace.h>

#include "base/buf.h"
#include "base/random.h"

struct api;
struct trace_board;

enum {
	TRACES_MAX = 4,                  /* of a process */
	TRACE_LEASE_MS = 5000,
	TRACE_WAITING_MAX = 1024 * 1024, /* bytes of a trace that wait to be fetched */
	TRACE_DATA_MAX = 4096,           /* bytes of a packet's data; of a longer one the begin */
	TRACE_NAME_MAX = 256,            /* bytes of an event's name; a longer one is not told */
	TRACE_PACKET_MAX = 32 * 1024,    /* bytes of one packet as JSON, at most */
	TRACE_FILTER_MAX = 300,
};

struct trace_board *trace_board_new(void); /* NULL: out of memory */
void trace_board_free(struct trace_board *board); /* NULL is allowed */

enum trace_kind { TRACE_USER, TRACE_PROJECT, TRACE_SID };

/* Begin one.  room_or_sid: the room's name, or for TRACE_SID a socket's id.  0 and its id; SIO_ERR_LIMIT:
 * TRACES_MAX there are; SIO_ERR_INVAL: the filter is too long. */
SIO_MUST_CHECK int trace_add(struct trace_board *board, enum trace_kind kind, sio_slice room_or_sid, uint64_t now_ms,
			     char id[RANDOM_ID_LEN + 1]);

/* Take what waits, as members of an object: "packets":[..],"missed":N, of which missed counts since the last
 * fetch; the lease begins anew.  False: there is no such trace. */
bool trace_fetch(struct trace_board *board, sio_slice id, uint64_t now_ms, struct buf *out);

/* False: there was none. */
bool trace_remove(struct trace_board *board, sio_slice id);

/* End those whose lease is over; are there any left? */
bool trace_sweep(struct trace_board *board, uint64_t now_ms);

/* A packet of a user ("" for one that is not known yet) has passed: keep it where it is asked for. */
void trace_note(struct trace_board *board, const struct sio_trace_packet *packet, sio_slice user, int64_t wall_ms);

/* trace_api.c: this worker looks at no packet any more. */
void trace_stop(struct api *api);

#endif
