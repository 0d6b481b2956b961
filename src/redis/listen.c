/* listen.c -- what comes in: subscriptions, and messages to whom they are for.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "redis/inner.h"

enum { UNHEARD_EVERY_MS = 10000 };

static const char *const unheard_texts[UNHEARD_N] = {
	[UNHEARD_FORGED] = "messages of somebody who has another secret, or another version, are refused",
	[UNHEARD_STALE] = "a node is not heard: its clock and ours are more than 60 s apart, or somebody repeats what was said long ago",
	[UNHEARD_TOO_MANY] = "a node is not heard: there are too many, or memory is out",
	[UNHEARD_FORM] = "a message of a process of another kind is refused: it has an unknown form, or a limit is passed",
	[UNHEARD_CONTROL] = "a process of another kind asks to move or disconnect clients, and may not",
	[UNHEARD_BY_OTHERS] = "processes of another kind do not get our events: this user has no rights to their channels",
};

/* ---- the link that listens ------------------------------------------------------------------------- */

void listen_flush(struct sio_redis *r)
{
	struct buf empty = r->commands_sent;
	uv_buf_t piece;

	if (!link_can_write(&r->sub) || r->commands.n == 0)
		return;
	r->commands_sent = r->commands;
	r->commands = empty;
	buf_clear(&r->commands);
	piece = uv_buf_init(r->commands_sent.p, (unsigned)r->commands_sent.n);
	link_write(&r->sub, &piece, 1);
}

void listen_put(struct sio_redis *r, bool is_on, sio_slice wire)
{
	const char *command = r->sub.is_cluster ? is_on ? "SSUBSCRIBE" : "SUNSUBSCRIBE" : is_on ? "SUBSCRIBE" : "UNSUBSCRIBE";

	buf_printf(&r->commands, "*2\r\n$%zu\r\n%s\r\n$%zu\r\n", strlen(command), command, wire.n);
	buf_slice(&r->commands, wire);
	buf_str(&r->commands, "\r\n");
}

static void on_sub_ready(struct redis_link *link)
{
	struct sio_redis *r = link->owner;
	char space[REDIS_WIRE_MAX];
	uint32_t i;

	r->stats.connects_total++;
	buf_clear(&r->commands);
	for (struct map_node *m = map_first(&r->channels, &i); m; m = map_next(&r->channels, &i, m))
		listen_put(r, true, redis_wire(r, 'c', sio_bytes(m->key, m->key_n), space));
	listen_put(r, true, redis_wire(r, 'n', redis_own_id(r), space));
	/* The last one: when it is confirmed, all are. */
	listen_put(r, true, redis_wire(r, 'a', sio_bytes("", 0), space));
	if (r->commands.failed) {
		buf_fini(&r->commands);
		link_drop(link, false, "out of memory");
	} else
		listen_flush(r);
}

static void on_sub_written(struct redis_link *link)
{
	listen_flush(link->owner);
}

void listen_lost(struct sio_redis *r, sio_slice node)
{
	if (!r->is_open)
		return;
	if (r->turn.begin)
		r->turn.begin(r->server);
	sio_adapter_lost(r->server, node);
	if (r->turn.end)
		r->turn.end(r->server);
}

static void on_sub_down(struct redis_link *link)
{
	struct sio_redis *r = link->owner;

	r->is_subscribed = false;
	r->neighbours.asked_n = 0;
	health_down(r, link);
	r->is_lost = true; /* told in the next turn: this may be inside a call of the server's */
	uv_timer_start(&r->timer, health_on_tick, 0, r->options.heartbeat_ms);
}

/* ---- what is heard -------------------------------------------------------------------------------- */

/* Somebody is not heard.  Said now and then: it may be with every message. */
void listen_tell_unheard(struct sio_redis *r, enum unheard why)
{
	uint64_t now = uv_now(r->loop);

	if (r->unheard_ms[why] && now - r->unheard_ms[why] < UNHEARD_EVERY_MS)
		return;
	r->unheard_ms[why] = now;
	redis_tell(r, SIO_LOG_WARNING, "Redis: %s", unheard_texts[why]);
}

static void on_forged(struct sio_redis *r)
{
	r->stats.forged_total++;
	listen_tell_unheard(r, UNHEARD_FORGED);
}

void listen_leave(struct sio_redis *r, struct node *node)
{
	char id[SIO_NODE_ID_LEN];

	if (!node->is_live)
		return;
	memcpy(id, node->id, sizeof(id));
	nodes_leave(&r->nodes, node);
	redis_tell(r, SIO_LOG_INFO, "Redis: node %.*s is gone", SIO_NODE_ID_LEN, id);
	if (r->turn.begin)
		r->turn.begin(r->server);
	sio_adapter_node_gone(r->server, sio_bytes(id, sizeof(id)));
	if (r->turn.end)
		r->turn.end(r->server);
}

/* A message for the hub: on our own channel, or on one that it wants to hear still. */
static void hand_in(struct sio_redis *r, const struct node *node, sio_slice wire, sio_slice message)
{
	sio_slice name = sio_bytes(wire.p + r->prefix_n + 1, wire.n - r->prefix_n - 1);
	char kind = wire.p[r->prefix_n];

	if (kind == 'n' ? !sio_slice_eq(name, redis_own_id(r)) : kind != 'c' || !redis_channel(r, name))
		return;
	r->stats.received_total++;
	if (r->turn.begin)
		r->turn.begin(r->server);
	sio_adapter_deliver(r->server, sio_bytes(node->id, SIO_NODE_ID_LEN), message);
	if (r->turn.end)
		r->turn.end(r->server);
}

static struct node *hear(struct sio_redis *r, const struct seal_head *head)
{
	uint32_t known_n = r->nodes.live_n;
	struct node *node = NULL;

	switch (nodes_hear(&r->nodes, head->sender, head->counter, uv_now(r->loop), redis_wall_us(), &node)) {
	case NODES_OK:
		if (r->nodes.live_n > known_n)
			redis_tell(r, SIO_LOG_INFO, "Redis: node %.*s is there", SIO_NODE_ID_LEN, node->id);
		return node;
	case NODES_STALE:
		listen_tell_unheard(r, UNHEARD_STALE);
		r->stats.repeated_total++;
		return NULL;
	case NODES_REPEATED:
		r->stats.repeated_total++;
		return NULL;
	default:
		listen_tell_unheard(r, UNHEARD_TOO_MANY);
		r->stats.forged_total++;
		return NULL;
	}
}

/* It hears from now on; what was said to it before it may have missed. */
static void on_hello(struct sio_redis *r, const struct node *node)
{
	if (link_is_ready(&r->pub))
		publish_beat(r, SEAL_BEAT);
	listen_lost(r, sio_bytes(node->id, SIO_NODE_ID_LEN));
}

static void on_message(struct sio_redis *r, sio_slice wire, sio_slice bytes)
{
	struct seal_head head;
	struct node *node;

	if (wire.n <= r->prefix_n || !seal_read(&r->seal, bytes, wire, &head)) {
		on_forged(r);
		return;
	}
	if (sio_slice_eq(head.sender, redis_own_id(r))) {
		if (head.kind != SEAL_MESSAGE) /* what we say to a channel that we hear comes back as well */
			health_hear(r, &head);
		return;
	}
	node = hear(r, &head);
	if (!node)
		return;
	if (head.kind == SEAL_MESSAGE)
		hand_in(r, node, wire, head.message);
	else if (head.kind == SEAL_BYE)
		listen_leave(r, node);
	else if (head.kind == SEAL_HELLO)
		on_hello(r, node);
}

static bool is_word(const redisReply *reply, const char *word)
{
	return strcmp(reply->str, word) == 0 || (reply->str[0] == 's' && strcmp(reply->str + 1, word) == 0);
}

static void on_pattern(struct sio_redis *r, const redisReply *channel, const redisReply *bytes)
{
	if (channel->type == REDIS_REPLY_STRING && bytes->type == REDIS_REPLY_STRING)
		neighbours_hear(r, sio_bytes(channel->str, channel->len), sio_bytes(bytes->str, bytes->len));
}

static void on_sub_reply(struct redis_link *link, const redisReply *reply)
{
	struct sio_redis *r = link->owner;
	const redisReply *kind = reply->type == REDIS_REPLY_ARRAY && reply->elements >= 3 ? reply->element[0] : NULL;
	const redisReply *channel = kind ? reply->element[1] : NULL;
	char space[REDIS_WIRE_MAX];
	sio_slice wire, all = redis_wire(r, 'a', sio_bytes("", 0), space);

	if (!kind || kind->type != REDIS_REPLY_STRING || channel->type != REDIS_REPLY_STRING) {
		link_drop(link, false, "%s gives an answer that nothing was asked for", link->target.shown);
		return;
	}
	wire = sio_bytes(channel->str, channel->len);
	if (is_word(kind, "pmessage") && reply->elements == 4)
		on_pattern(r, reply->element[2], reply->element[3]);
	else if (is_word(kind, "message") && reply->element[2]->type == REDIS_REPLY_STRING) {
		sio_slice bytes = sio_bytes(reply->element[2]->str, reply->element[2]->len);
		if (!neighbours_hear(r, wire, bytes))
			on_message(r, wire, bytes);
	} else if (is_word(kind, "subscribe") && sio_slice_eq(wire, all)) {
		r->is_subscribed = true;
		listen_lost(r, sio_bytes("", 0)); /* what was begun and answered until now was not heard */
		neighbours_subscribe(r);
		health_hello(r);
	} else if (is_word(kind, "subscribe") || is_word(kind, "psubscribe"))
		neighbours_on_subscribed(r, wire);
	else if (is_word(kind, "unsubscribe") && sio_slice_eq(wire, all))
		link_drop(link, false, "%s has given our channels to another node", link->target.shown);
}

static void on_sub_ended(struct redis_link *link)
{
	redis_ended(link->owner);
}

const struct redis_link_ops listen_ops = { on_sub_ready, on_sub_reply, on_sub_written, on_sub_down, on_sub_ended, neighbours_forgive };
