/* redis.c -- the adapter over Redis: what the hub and the application call.
 *
 * inner.h has the picture.  Refuses to know what is in a message, and how a connection is
 * made.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "redis/inner.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum {
	HEARTBEAT_MS = 2000,
	LEASE_MS = 10000,
	CONNECT_TIMEOUT_MS = 4000,
	BACKOFF_MIN_MS = 50,
	BACKOFF_MAX_MS = 5000,
	OUTBOX_MESSAGES = 65536,
	OUTBOX_BYTES = 67108864,
	OUTBOX_AGE_MS = 60000,
	CLOSE_MS = 1000,         /* for what was published before close to go out */
};

/* ---- small things ----------------------------------------------------------------------- */

void redis_tell(const struct sio_redis *r, enum sio_log_level level, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	if (!r->options.log)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	r->options.log(level, line, r->options.log_arg);
}

uint64_t redis_wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

sio_slice redis_own_id(const struct sio_redis *r)
{
	return sio_bytes(r->id, SIO_NODE_ID_LEN);
}

/* The name on the wire: 'a' for all, 'n' and a node's id, 'c' and a channel. */
sio_slice redis_wire(const struct sio_redis *r, char kind, sio_slice name, char out[REDIS_WIRE_MAX])
{
	memcpy(out, r->prefix, r->prefix_n);
	out[r->prefix_n] = kind;
	if (name.n)
		memcpy(out + r->prefix_n + 1, name.p, name.n);
	return sio_bytes(out, r->prefix_n + 1 + name.n);
}

struct channel *redis_channel(const struct sio_redis *r, sio_slice name)
{
	struct map_node *node = map_get(&r->channels, name);

	return node ? MAP_OWNER(node, struct channel, by_name) : NULL;
}

/* ---- the adapter ---------------------------------------------------------------------------------------- */

static int node_open(void *self, struct sio_server *server, sio_slice id)
{
	struct sio_redis *r = self;

	r->server = server;
	memcpy(r->id, id.p, SIO_NODE_ID_LEN);
	r->is_open = true;
	r->down_ms = uv_now(r->loop);
	uv_timer_start(&r->timer, health_on_tick, r->options.heartbeat_ms, r->options.heartbeat_ms);
	link_start(&r->pub);
	link_start(&r->sub);
	return SIO_OK;
}

static int node_subscribe(void *self, sio_slice name)
{
	struct sio_redis *r = self;
	char space[REDIS_WIRE_MAX];
	struct channel *ch;

	if (r->is_closing)
		return SIO_ERR_CLOSED;
	if (redis_channel(r, name))
		return SIO_OK;
	ch = malloc(sizeof(*ch) + name.n);
	if (!ch)
		return SIO_ERR_NOMEM;
	if (name.n)
		memcpy(ch->name, name.p, name.n);
	if (map_put(&r->channels, &ch->by_name, sio_bytes(ch->name, name.n)) < 0) {
		free(ch);
		return SIO_ERR_NOMEM;
	}
	if (!link_is_ready(&r->sub))
		return SIO_OK;
	listen_put(r, true, redis_wire(r, 'c', name, space));
	if (r->commands.failed) { /* what is in there is cut: begin anew, with this one in the list */
		buf_fini(&r->commands);
		link_drop(&r->sub, false, "out of memory");
	} else
		listen_flush(r);
	return SIO_OK;
}

static void node_unsubscribe(void *self, sio_slice name)
{
	struct sio_redis *r = self;
	struct channel *ch = redis_channel(r, name);
	char space[REDIS_WIRE_MAX];

	if (!ch)
		return;
	if (link_is_ready(&r->sub)) {
		listen_put(r, false, redis_wire(r, 'c', name, space));
		if (r->commands.failed) {
			buf_fini(&r->commands);
			link_drop(&r->sub, false, "out of memory");
		}
		listen_flush(r);
	}
	map_del(&r->channels, &ch->by_name);
	free(ch);
}

static int node_publish(void *self, sio_slice name, sio_slice message)
{
	struct sio_redis *r = self;
	char space[REDIS_WIRE_MAX];

	return r->is_closing ? SIO_ERR_CLOSED : publish_put(r, SEAL_MESSAGE, redis_wire(r, 'c', name, space), message);
}

static int node_send(void *self, sio_slice id, sio_slice message)
{
	struct sio_redis *r = self;
	struct node *node = nodes_find(&r->nodes, id);
	char space[REDIS_WIRE_MAX];

	if (r->is_closing)
		return SIO_ERR_CLOSED;
	if (!node)
		return SIO_ERR_NOENT;
	/* A moment may pass unnoticed; whoever asks a question now wants to know that it is none. */
	if (!r->is_up && uv_now(r->loop) - r->down_ms > r->options.heartbeat_ms)
		return SIO_ERR_BUSY;
	return publish_put(r, SEAL_MESSAGE, redis_wire(r, 'n', sio_bytes(node->wire, SIO_NODE_ID_LEN), space), message);
}

static void node_nodes(void *self, sio_node_fn *fn, void *arg)
{
	const struct sio_redis *r = self;

	nodes_each(&r->nodes, fn, arg);
}

static bool node_find(void *self, sio_slice own_id, char *out)
{
	const struct sio_redis *r = self;

	return nodes_id_of(&r->nodes, own_id, out);
}

static int node_tell_neighbours(void *self, sio_slice nsp, const struct sio_target *target, sio_slice name,
				const struct sio_args *args)
{
	struct sio_redis *r = self;

	return r->is_closing ? SIO_ERR_CLOSED : outside_tell(r, nsp, target, name, args);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static void redis_unref(struct sio_redis *r)
{
	struct map_node *next;
	uint32_t i;

	if (atomic_fetch_sub(&r->refs, 1) > 1)
		return;
	for (struct map_node *m = map_first(&r->channels, &i); m; m = next) {
		next = map_next(&r->channels, &i, m);
		free(MAP_OWNER(m, struct channel, by_name));
	}
	map_fini(&r->channels);
	nodes_fini(&r->nodes);
	outbox_fini(&r->outbox);
	buf_fini(&r->commands);
	buf_fini(&r->commands_sent);
	seal_fini(&r->seal);
	neighbours_fini(&r->neighbours);
	free(r);
}

void redis_ended(struct sio_redis *r)
{
	if (--r->handles_n == 0)
		redis_unref(r);
}

static void node_close(void *self)
{
	struct sio_redis *r = self;
	char space[REDIS_WIRE_MAX];

	if (r->is_open && link_is_ready(&r->pub))
		(void)!publish_put(r, SEAL_BYE, redis_wire(r, 'a', sio_bytes("", 0), space), sio_bytes("", 0));
	r->is_open = false;
	r->is_up = false;
	r->is_closing = true;
	link_end(&r->sub);
	uv_timer_start(&r->timer, health_on_tick, CLOSE_MS, 0);
	publish_end_if_done(r);
}

static const struct sio_adapter_ops node_ops = {
	.open = node_open,
	.subscribe = node_subscribe,
	.unsubscribe = node_unsubscribe,
	.publish = node_publish,
	.send = node_send,
	.nodes = node_nodes,
	.close = node_close,
	.find = node_find,
	.tell_neighbours = node_tell_neighbours,
};

static void set_times(const struct sio_redis *r, struct redis_link *link)
{
	link->connect_timeout_ms = r->options.connect_timeout_ms;
	link->backoff_min_ms = r->options.backoff_min_ms;
	link->backoff_max_ms = r->options.backoff_max_ms;
}

int redis_node(struct sio_redis *r, struct uv_loop_s *loop, const struct redis_turn *turn,
	       const struct sio_adapter_ops **ops, void **self)
{
	if (r->has_loop)
		return SIO_ERR_INVAL;
	/* These three only fail for want of memory that they do not take. */
	if (uv_timer_init(loop, &r->timer) < 0 || link_init(&r->pub, loop, &r->url, &publish_ops, r) < 0 ||
	    link_init(&r->sub, loop, &r->url, &listen_ops, r) < 0)
		return SIO_ERR_SYSTEM;
	r->has_loop = true;
	r->loop = loop;
	r->turn = *turn;
	r->timer.data = r;
	r->handles_n = 3;
	set_times(r, &r->pub);
	set_times(r, &r->sub);
	atomic_fetch_add(&r->refs, 1);
	*ops = &node_ops;
	*self = r;
	return SIO_OK;
}

static int set_options(struct sio_redis *r, const struct sio_redis_options *given, char *error)
{
	struct sio_redis_options *o = &r->options;
	const char *prefix = given->prefix ? given->prefix : "sio";
	size_t n = strlen(prefix);

	*o = *given;
	o->heartbeat_ms = o->heartbeat_ms ? o->heartbeat_ms : HEARTBEAT_MS;
	o->lease_ms = o->lease_ms ? o->lease_ms : LEASE_MS;
	o->connect_timeout_ms = o->connect_timeout_ms ? o->connect_timeout_ms : CONNECT_TIMEOUT_MS;
	o->backoff_min_ms = o->backoff_min_ms ? o->backoff_min_ms : BACKOFF_MIN_MS;
	o->backoff_max_ms = o->backoff_max_ms ? o->backoff_max_ms : BACKOFF_MAX_MS;
	o->outbox_messages = o->outbox_messages ? o->outbox_messages : OUTBOX_MESSAGES;
	o->outbox_bytes = o->outbox_bytes ? o->outbox_bytes : OUTBOX_BYTES;
	o->outbox_age_ms = o->outbox_age_ms ? o->outbox_age_ms : OUTBOX_AGE_MS;
	if (n == 0 || n > SIO_REDIS_PREFIX_MAX || strpbrk(prefix, "{}"))
		snprintf(error, SIO_REDIS_ERROR_MAX, "the prefix must be 1 to %d bytes without braces", SIO_REDIS_PREFIX_MAX);
	else if (o->lease_ms / REDIS_BEATS_MISSED < o->heartbeat_ms)
		snprintf(error, SIO_REDIS_ERROR_MAX, "lease_ms=%u is less than three times heartbeat_ms=%u", o->lease_ms, o->heartbeat_ms);
	else if (o->backoff_max_ms < o->backoff_min_ms)
		snprintf(error, SIO_REDIS_ERROR_MAX, "backoff_max_ms=%u is less than backoff_min_ms=%u", o->backoff_max_ms, o->backoff_min_ms);
	else {
		r->prefix_n = (size_t)snprintf(r->prefix, sizeof(r->prefix), "{%s}", prefix);
		return SIO_OK;
	}
	return SIO_ERR_INVAL;
}

int sio_redis_new(const struct sio_redis_options *options, struct sio_redis **out, char error[SIO_REDIS_ERROR_MAX])
{
	struct sio_redis *r = calloc(1, sizeof(*r));
	int err;

	error[0] = '\0';
	if (!r)
		return SIO_ERR_NOMEM;
	err = redis_url_read(options->url ? options->url : "redis://localhost:6379/0", &r->url, error);
	if (err == SIO_OK)
		err = set_options(r, options, error);
	if (err == SIO_OK)
		err = neighbours_init(&r->neighbours, options, r->prefix, error);
	if (err == SIO_OK)
		err = seal_init(&r->seal, options->secret);
	if (err < 0) {
		neighbours_fini(&r->neighbours);
		free(r);
		return err == SIO_ERR_SYSTEM ? SIO_ERR_NOMEM : err;
	}
	atomic_init(&r->refs, 1);
	map_init(&r->channels);
	nodes_init(&r->nodes);
	outbox_init(&r->outbox, r->options.outbox_messages, r->options.outbox_bytes);
	*out = r;
	return SIO_OK;
}

void sio_redis_free(struct sio_redis *redis)
{
	if (redis)
		redis_unref(redis);
}

void sio_redis_stats(const struct sio_redis *r, struct sio_redis_stats *out)
{
	*out = r->stats;
	out->is_up = r->is_up;
	out->is_cluster = r->pub.is_cluster;
	out->is_refused = !r->is_up && r->is_refused;
	snprintf(out->error, sizeof(out->error), "%s", r->is_up ? "" : r->error);
	snprintf(out->address, sizeof(out->address), "%s", r->url.shown);
	out->nodes = r->nodes.live_n;
	out->channels = r->channels.n;
	out->outbox_messages = r->outbox.n;
	out->outbox_bytes = r->outbox.bytes;
	out->published_total -= r->outbox.outside_sent;
	out->neighbours_told_total = r->outbox.outside_sent;
	out->neighbours_untold_total += r->outbox.outside_lost;
}
