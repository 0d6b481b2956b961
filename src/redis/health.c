/* health.c -- is it up, who is silent, who is deaf, what is stuck.
 *
 * tick runs every heartbeat_ms and looks at all that only time can tell.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>

#include "redis/inner.h"

/* ---- up and down ------------------------------------------------------------------------------ */

static void come_up(struct sio_redis *r)
{
	r->is_up = true;
	r->is_told_down = false;
	r->is_refused = false;
	r->error[0] = '\0';
	nodes_refresh(&r->nodes, uv_now(r->loop)); /* we could not hear them */
	redis_tell(r, SIO_LOG_INFO, "Redis: connected to %s%s", r->pub.target.shown, r->pub.is_cluster ? ", sharded" : "");
}

void health_down(struct sio_redis *r, const struct redis_link *link)
{
	if (r->is_up)
		r->down_ms = uv_now(r->loop);
	r->is_up = false;
	r->stats.failures_total++;
	snprintf(r->error, sizeof(r->error), "%s", link->why);
	r->is_refused = link->is_refused;
	redis_tell(r, r->is_told_down ? SIO_LOG_DEBUG : SIO_LOG_WARNING, "Redis: %s; local clients are served, trying again", link->why);
	r->is_told_down = true;
}

/* Both links work: when this comes back, it is up. */
void health_hello(struct sio_redis *r)
{
	if (!r->is_subscribed || !link_is_ready(&r->pub) || r->is_closing)
		return;
	r->heard_ms = uv_now(r->loop);
	publish_beat(r, SEAL_HELLO);
}

void health_hear(struct sio_redis *r, const struct seal_head *head)
{
	uint64_t now_us = uv_hrtime() / 1000;

	if (head->counter <= r->own_counter) {
		r->stats.repeated_total++;
		return;
	}
	r->own_counter = head->counter;
	r->heard_ms = uv_now(r->loop);
	if (head->counter == r->beat_counter)
		r->stats.round_trip_us = (uint32_t)(now_us - r->beat_us);
	if (!r->is_up && head->counter >= r->hello_counter && r->is_subscribed && link_is_ready(&r->pub))
		come_up(r);
}

/* ---- time --------------------------------------------------------------------------------------------- */

void health_on_tick(uv_timer_t *timer)
{
	struct sio_redis *r = timer->data;
	uint64_t now = uv_now(r->loop), patience = (uint64_t)r->options.heartbeat_ms * REDIS_BEATS_MISSED;
	struct node *node;

	if (r->is_closing) {
		link_end(&r->pub);
		return;
	}
	if (r->outbox.written_n + r->outbox.writing_n > 0 && now - r->answered_ms > patience)
		link_drop(&r->pub, false, "%s does not answer", r->pub.target.shown);
	if (!link_is_ready(&r->pub) && now > r->options.outbox_age_ms)
		r->stats.expired_total += outbox_expire(&r->outbox, now - r->options.outbox_age_ms);
	if (link_is_ready(&r->pub) && r->is_subscribed && now - r->heard_ms > patience) {
		r->stats.deaf_total++;
		link_drop(&r->sub, false, "%s lets us hear nothing, not even ourselves", r->sub.target.shown);
	}
	/* Until its subscriptions are confirmed no own heartbeat can come back by it. */
	if (link_is_ready(&r->sub) && !r->is_subscribed && now - r->sub.ready_ms > patience)
		link_drop(&r->sub, false, "%s does not confirm that we may listen", r->sub.target.shown);
	while (r->is_open && r->is_up && (node = nodes_silent(&r->nodes, now, r->options.lease_ms, r->options.heartbeat_ms)))
		listen_leave(r, node);
	if (r->is_open && link_is_ready(&r->pub))
		publish_beat(r, SEAL_BEAT);
	/* And so long as it is away, what has begun before that was noticed. */
	if (r->is_lost || (!r->is_up && now - r->down_ms > r->options.heartbeat_ms)) {
		r->is_lost = false;
		listen_lost(r, sio_bytes("", 0));
	}
}
