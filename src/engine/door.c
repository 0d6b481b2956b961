/* door.c -- see door.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "engine/door.h"

#include "base/map.h" /* MAP_OWNER */
#include "codec/utf8.h"

static void on_late(struct sio_timer *timer)
{
	struct sio_handshake *hs = MAP_OWNER(timer, struct sio_handshake, timer);

	hs->state = DOOR_GONE;
	hs->ops->late(hs);
}

void door_ask(struct sio_handshake *hs, struct wheel *wheel, uint64_t now_ms, sio_handshake_fn *fn, void *arg)
{
	hs->state = DOOR_ASKED;
	fn(hs, arg);
	if (hs->verdict != DOOR_OPEN) {
		hs->state = DOOR_ANSWERED;
		hs->ops->answered(hs);
		return;
	}
	hs->state = DOOR_HELD;
	wheel_set(wheel, &hs->timer, now_ms + hs->timeout_ms, on_late);
	hs->ops->held(hs);
}

void door_gone(struct sio_handshake *hs)
{
	if (hs->state != DOOR_HELD)
		return;
	wheel_del(&hs->timer);
	hs->state = DOOR_GONE;
}

void door_fini(struct sio_handshake *hs)
{
	wheel_del(&hs->timer);
	buf_fini(&hs->message);
}

/* The verdict is there.  Whoever asks goes on by itself when the question returns. */
static void answered(struct sio_handshake *hs)
{
	if (hs->state == DOOR_HELD) {
		wheel_del(&hs->timer);
		hs->state = DOOR_ANSWERED;
		hs->ops->answered(hs);
	} else if (hs->state == DOOR_GONE) {
		hs->ops->free(hs);
	}
}

/* The server may be gone by then, and with it the guard. */
static void check_thread(const struct sio_handshake *hs, const char *call)
{
	if (sio_handshake_is_open(hs))
		guard_check(hs->guard, call);
}

void sio_handshake_accept(struct sio_handshake *hs)
{
	check_thread(hs, __func__);
	if (hs->verdict != DOOR_OPEN) /* a second answer inside of the handler */
		return;
	hs->verdict = DOOR_ACCEPTED;
	answered(hs);
}

void sio_handshake_refuse(struct sio_handshake *hs, sio_slice message)
{
	check_thread(hs, __func__);
	if (hs->verdict != DOOR_OPEN)
		return;
	hs->verdict = DOOR_REFUSED;
	if (message.n && utf8_ok(message.p, message.n))
		buf_slice(&hs->message, message);
	if (hs->message.n == 0 || hs->message.failed) {
		buf_clear(&hs->message);
		buf_str(&hs->message, "Forbidden");
	}
	answered(hs);
}

const struct sio_request *sio_handshake_request(const struct sio_handshake *hs)
{
	return hs->request;
}

enum sio_handshake_kind sio_handshake_kind(const struct sio_handshake *hs)
{
	return hs->kind;
}

struct sio_server *sio_handshake_server(const struct sio_handshake *hs)
{
	return hs->server;
}

bool sio_handshake_is_open(const struct sio_handshake *hs)
{
	return hs->state == DOOR_ASKED || hs->state == DOOR_HELD;
}
