/* publish.c -- what goes out: into the outbox, from there to the link that publishes.
 *
 * The first message of a turn is written at once; those behind it wait until that write is
 * over, which is in the next turn, and go together.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "redis/inner.h"

/* ---- messages ---------------------------------------------------------------------------- */

static void flush(struct sio_redis *r)
{
	struct outbox_piece pieces[LINK_PIECES_MAX];
	uv_buf_t bufs[LINK_PIECES_MAX];
	size_t n;

	if (!link_can_write(&r->pub))
		return;
	if (r->outbox.written_n == 0)
		r->answered_ms = uv_now(r->loop);
	n = outbox_take(&r->outbox, r->pub.is_cluster, pieces, LINK_PIECES_MAX);
	for (size_t i = 0; i < n; i++)
		bufs[i] = uv_buf_init((char *)pieces[i].p, (unsigned)pieces[i].n);
	if (n)
		link_write(&r->pub, bufs, (unsigned)n);
}

int publish_put(struct sio_redis *r, enum seal_kind kind, sio_slice channel, sio_slice message)
{
	uint64_t now = redis_wall_us();
	char head[SEAL_HEAD];
	int err;

	r->counter = now > r->counter ? now : r->counter + 1;
	if (!seal_write(&r->seal, head, kind, r->id, r->counter, channel, message))
		return SIO_ERR_BUSY;
	err = outbox_put(&r->outbox, channel, sio_bytes(head, SEAL_HEAD), message, uv_now(r->loop),
			 kind == SEAL_MESSAGE ? OUTBOX_MESSAGE : OUTBOX_URGENT);
	if (err == SIO_OK)
		flush(r);
	else
		r->stats.full_total++;
	return err;
}

int publish_outside(struct sio_redis *r, sio_slice channel, sio_slice message)
{
	int err = outbox_put(&r->outbox, channel, sio_bytes("", 0), message, uv_now(r->loop), OUTBOX_OUTSIDE);

	if (err == SIO_OK)
		flush(r);
	return err;
}

/* To all nodes, ourselves included. */
void publish_beat(struct sio_redis *r, enum seal_kind kind)
{
	char space[REDIS_WIRE_MAX];

	if (publish_put(r, kind, redis_wire(r, 'a', sio_bytes("", 0), space), sio_bytes("", 0)) != SIO_OK)
		return;
	if (kind == SEAL_HELLO)
		r->hello_counter = r->counter;
	if (r->beat_counter <= r->own_counter) {
		r->beat_counter = r->counter;
		r->beat_us = uv_hrtime() / 1000;
	}
}

void publish_end_if_done(struct sio_redis *r)
{
	if (r->is_closing && (r->outbox.n == 0 || !link_is_ready(&r->pub)))
		link_end(&r->pub);
}

/* ---- the link that publishes -------------------------------------------------------------------- */

static void on_pub_ready(struct redis_link *link)
{
	struct sio_redis *r = link->owner;
	uint64_t now = uv_now(r->loop);

	r->stats.connects_total++;
	if (now > r->options.outbox_age_ms)
		r->stats.expired_total += outbox_expire(&r->outbox, now - r->options.outbox_age_ms);
	r->answered_ms = now;
	health_hello(r);
	flush(r);
	publish_end_if_done(r);
}

static void on_pub_reply(struct redis_link *link, const redisReply *reply)
{
	struct sio_redis *r = link->owner;

	if (reply->type != REDIS_REPLY_INTEGER || !outbox_acked(&r->outbox)) {
		link_drop(link, false, "%s gives an answer that nothing was asked for", link->target.shown);
		return;
	}
	r->stats.published_total++;
	r->answered_ms = uv_now(r->loop);
	publish_end_if_done(r);
}

/* Without rights to their channels, all else goes on. */
static bool forgive(struct redis_link *link, const redisReply *error)
{
	struct sio_redis *r = link->owner;

	if (strncmp(error->str, "NOPERM", 6) != 0 || !outbox_refused(&r->outbox))
		return false;
	r->answered_ms = uv_now(r->loop);
	listen_tell_unheard(r, UNHEARD_BY_OTHERS);
	publish_end_if_done(r);
	return true;
}

static void on_pub_written(struct redis_link *link)
{
	struct sio_redis *r = link->owner;

	outbox_wrote(&r->outbox);
	flush(r);
	publish_end_if_done(r);
}

static void on_pub_down(struct redis_link *link)
{
	struct sio_redis *r = link->owner;

	health_down(r, link);
	outbox_wrote(&r->outbox);
	outbox_rewind(&r->outbox);
	publish_end_if_done(r);
}

static void on_timer_closed(uv_handle_t *handle)
{
	redis_ended(handle->data);
}

static void on_pub_ended(struct redis_link *link)
{
	struct sio_redis *r = link->owner;

	if (!uv_is_closing((uv_handle_t *)&r->timer))
		uv_close((uv_handle_t *)&r->timer, on_timer_closed);
	redis_ended(r);
}

const struct redis_link_ops publish_ops = { on_pub_ready, on_pub_reply, on_pub_written, on_pub_down, on_pub_ended, forgive };
