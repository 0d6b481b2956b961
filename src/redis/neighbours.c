/* neighbours.c -- see neighbours.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>

#include "base/sha.h"
#include "codec/cluster.h"
#include "codec/node.h"
#include "codec/python.h"
#include "redis/inner.h"

enum { CHANNEL_MAX = 255 };

/* No node's: it only makes keys of volatile packets differ from theirs. */
static const char nobody[] = "neighbour-----------";
_Static_assert(sizeof(nobody) - 1 == SIO_NODE_ID_LEN, "it passes for a node's id");

/* ---- life ----------------------------------------------------------------------------- */

static bool is_channel(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= CHANNEL_MAX && !strpbrk(name, "{}*?[]\\ \r\n");
}

/* The same on all nodes of one prefix, and hardly ever another's. */
static bool make_id(struct neighbours *n, const char *prefix)
{
	char text[SIO_REDIS_PREFIX_MAX + 64];
	unsigned char digest[SHA1_LEN];
	int len = snprintf(text, sizeof(text), "libsio, neighbours, %s", prefix);

	if (!sha1(text, (size_t)len, digest))
		return false;
	for (int i = 0; i < NEIGHBOURS_ID / 2; i++)
		snprintf(n->id + 2 * i, 3, "%02x", digest[i]);
	return true;
}

static int copy_channel(const char *name, const char *option, char **out, char *error)
{
	if (name && !is_channel(name)) {
		snprintf(error, SIO_REDIS_ERROR_MAX, "%s must be 1 to %d bytes without blanks, braces, brackets, * ? and \\", option,
			 CHANNEL_MAX);
		return SIO_ERR_INVAL;
	}
	return name && !(*out = strdup(name)) ? SIO_ERR_NOMEM : SIO_OK;
}

int neighbours_init(struct neighbours *n, const struct sio_redis_options *options, const char *prefix,
		    char error[SIO_REDIS_ERROR_MAX])
{
	int err;

	*n = (struct neighbours){ .may_control = options->allow_remote_control };
	if (!make_id(n, prefix))
		return SIO_ERR_NOMEM;
	err = copy_channel(options->python_channel, "python_channel", &n->python, error);
	if (err == SIO_OK)
		err = copy_channel(options->node_key, "node_key", &n->node, error);
	if (err == SIO_OK)
		err = copy_channel(options->to_python_channel, "to_python_channel", &n->to_python, error);
	return err < 0 ? err : copy_channel(options->to_node_key, "to_node_key", &n->to_node, error);
}

void neighbours_fini(struct neighbours *n)
{
	free(n->python);
	free(n->node);
	free(n->to_python);
	free(n->to_node);
	buf_fini(&n->heard);
	buf_fini(&n->channel);
	buf_fini(&n->told);
}

/* ---- what they want ------------------------------------------------------------------------ */

static void deliver(struct sio_redis *r, const struct cluster_message *m)
{
	struct neighbours *own = &r->neighbours;

	buf_clear(&own->heard);
	if (cluster_write(&own->heard, m) < 0) {
		r->stats.neighbours_refused_total++;
		return;
	}
	if (r->turn.begin)
		r->turn.begin(r->server);
	sio_adapter_deliver(r->server, sio_bytes(nobody, SIO_NODE_ID_LEN), buf_peek(&own->heard));
	if (r->turn.end)
		r->turn.end(r->server);
}

static void do_it(struct sio_redis *r, const struct neighbour *n)
{
	static const enum cluster_type types[] = {
		[NEIGHBOUR_EMIT] = CLUSTER_EMIT,
		[NEIGHBOUR_JOIN] = CLUSTER_JOIN,
		[NEIGHBOUR_LEAVE] = CLUSTER_LEAVE,
		[NEIGHBOUR_DISCONNECT] = CLUSTER_DISCONNECT,
	};
	bool is_move = n->kind == NEIGHBOUR_JOIN || n->kind == NEIGHBOUR_LEAVE;
	struct cluster_message m = {
		.type = types[n->kind],
		.nsp = n->nsp,
		.rooms = n->rooms,
		.rooms_n = n->rooms_n,
		.except = n->except,
		.except_n = n->except_n,
		.is_volatile = n->is_volatile,
		.name = n->name,
		.json = n->json,
		.attachments = n->blobs.list,
		.attachments_n = n->blobs.n,
		.closes_session = n->closes_session,
	};

	r->stats.neighbours_total++;
	for (uint32_t i = 0; i < (is_move ? n->moves_n : 1) && r->is_open; i++) {
		if (is_move)
			m.room = n->moves[i];
		deliver(r, &m);
	}
}

static void judge(struct sio_redis *r, const struct neighbour *n, int err)
{
	if (err < 0) {
		r->stats.neighbours_refused_total++;
		listen_tell_unheard(r, UNHEARD_FORM);
	} else if (n->kind == NEIGHBOUR_EMIT || (n->kind != NEIGHBOUR_NOTHING && r->neighbours.may_control)) {
		do_it(r, n);
	} else if (n->kind != NEIGHBOUR_NOTHING) {
		r->stats.neighbours_denied_total++;
		listen_tell_unheard(r, UNHEARD_CONTROL);
	}
}

/* ---- channels ------------------------------------------------------------------------------- */

static void subscribe(struct sio_redis *r, const char *command, const char *channel, const char *tail)
{
	buf_printf(&r->commands, "*2\r\n$%zu\r\n%s\r\n$%zu\r\n%s%s\r\n", strlen(command), command, strlen(channel) + strlen(tail),
		   channel, tail);
	r->neighbours.asked_n++;
}

/* Never sharded: those who publish know nothing of that, and a cluster hands it to every node.
 * Node's servers count the plain subscribers of their request channels and wait for an answer of
 * each: by a pattern we hear what goes there and are not counted. */
void neighbours_subscribe(struct sio_redis *r)
{
	if (r->neighbours.python)
		subscribe(r, "SUBSCRIBE", r->neighbours.python, "");
	if (r->neighbours.node) {
		subscribe(r, "PSUBSCRIBE", r->neighbours.node, "#*");
		subscribe(r, "PSUBSCRIBE", r->neighbours.node, "-request#*");
	}
	if (r->commands.failed) {
		buf_fini(&r->commands);
		link_drop(&r->sub, false, "out of memory");
	} else
		listen_flush(r);
}

void neighbours_on_subscribed(struct sio_redis *r, sio_slice name)
{
	bool is_own = name.n >= r->prefix_n && memcmp(name.p, r->prefix, r->prefix_n) == 0;

	if (!is_own && r->neighbours.asked_n > 0)
		r->neighbours.asked_n--;
}

bool neighbours_forgive(struct redis_link *link, const redisReply *error)
{
	struct sio_redis *r = link->owner;

	if (r->neighbours.asked_n == 0 || strncmp(error->str, "NOPERM", 6) != 0)
		return false;
	r->neighbours.asked_n--;
	redis_tell(r, SIO_LOG_WARNING, "Redis: processes of another kind are not heard, the server answers: %.160s", error->str);
	return true;
}

bool neighbours_hear(struct sio_redis *r, sio_slice channel, sio_slice bytes)
{
	struct neighbours *own = &r->neighbours;
	sio_slice id = sio_bytes(own->id, NEIGHBOURS_ID);
	struct neighbour n;
	int err;

	if (own->python && sio_slice_eq(channel, sio_str(own->python)))
		err = python_read(bytes, id, &n);
	else if (own->node && channel.n > strlen(own->node) && memcmp(channel.p, own->node, strlen(own->node)) == 0)
		err = node_read(sio_str(own->node), channel, bytes, id, &n);
	else
		return false;
	judge(r, &n, err);
	neighbour_fini(&n);
	return true;
}
