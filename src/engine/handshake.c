/* handshake.c -- see handshake.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "engine/handshake.h"

#include "base/map.h" /* MAP_OWNER */
#include "codec/utf8.h"

static void on_late(struct sio_timer *timer)
{
	struct sio_handshake *hs = MAP_OWNER(timer, struct sio_handshake, timer);

	hs->state = HANDSHAKE_GONE;
	hs->ops->late(hs);
}

void handshake_ask(struct sio_handshake *hs, struct wheel *wheel, uint64_t now_ms, sio_handshake_fn *fn, void *arg)
{
	hs->state = HANDSHAKE_ASKED;
	fn(hs, arg);
	if (hs->verdict != HANDSHAKE_OPEN) {
		hs->state = HANDSHAKE_ANSWERED;
		hs->ops->answered(hs);
		return;
	}
	hs->state = HANDSHAKE_HELD;
	wheel_set(wheel, &hs->timer, now_ms + SIO_HANDSHAKE_HOLD_MS, on_late);
	hs->ops->held(hs);
}

void handshake_gone(struct sio_handshake *hs)
{
	if (hs->state != HANDSHAKE_HELD)
		return;
	wheel_del(&hs->timer);
	hs->state = HANDSHAKE_GONE;
}

void handshake_fini(struct sio_handshake *hs)
{
	wheel_del(&hs->timer);
	buf_fini(&hs->message);
}

/* The verdict is there.  Whoever asks goes on by itself when the question returns. */
static void answered(struct sio_handshake *hs)
{
	if (hs->state == HANDSHAKE_HELD) {
		wheel_del(&hs->timer);
		hs->state = HANDSHAKE_ANSWERED;
		hs->ops->answered(hs);
	} else if (hs->state == HANDSHAKE_GONE) {
		hs->ops->free(hs);
	}
}

void sio_handshake_accept(struct sio_handshake *hs)
{
	if (hs->verdict != HANDSHAKE_OPEN) /* a second answer inside of the handler */
		return;
	hs->verdict = HANDSHAKE_ACCEPTED;
	answered(hs);
}

void sio_handshake_refuse(struct sio_handshake *hs, sio_slice message)
{
	if (hs->verdict != HANDSHAKE_OPEN)
		return;
	hs->verdict = HANDSHAKE_REFUSED;
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
	return hs->state == HANDSHAKE_ASKED || hs->state == HANDSHAKE_HELD;
}
