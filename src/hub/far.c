/* far.c -- questions to many whose receivers are on other nodes.
 *
 * The node that asks keeps a poll (ask_many.c) with an inquiry beside it: each node first
 * tells how many clients it has asked, then each answer as it comes, or that one will not
 * come.  What waits for a node counts in the poll as one that is open; from its COUNT on,
 * its clients do.
 *
 * The node that is asked keeps a poll of its own, which does not gather answers but passes
 * each on (relay); its packets have an id of its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include <sio/json.h>

#include "hub/cluster.h"

bool far_json_ok(sio_slice json)
{
	sio_slice item;
	int err = SIO_OK;

	while (err == SIO_OK)
		err = sio_json_next(&json, &item);
	return err == SIO_ERR_NOENT;
}

/* ---- asking ------------------------------------------------------------------------- */

void far_ask(struct inquiry *q, struct sio_namespace *nsp, const struct sio_target *target, sio_slice name,
	     const struct sio_args *args, uint32_t timeout_ms)
{
	struct cluster_message m = {
		.type = CLUSTER_ASK,
		.id = q->id,
		.nsp = sio_str(nsp->name),
		.timeout_ms = timeout_ms,
		.name = name,
	};

	cluster_set_target(&m, target);
	cluster_set_args(&m, args);
	inquiry_send(q, &m);
}

/* The inquiry that m answers.  *node is who answers; NULL: it may not, in this state. */
static struct inquiry *asked_by(struct hub *hub, sio_slice from, const struct cluster_message *m,
				enum inquiry_state state, struct inquiry_node **node)
{
	struct inquiry *q = inquiry_find(hub->cluster, m->id);

	*node = q && q->poll ? inquiry_node(q, from) : NULL;
	if (*node && (*node)->state != state)
		*node = NULL;
	return q;
}

int far_on_count(struct hub *hub, sio_slice from, const struct cluster_message *m)
{
	struct inquiry_node *node;
	struct inquiry *q = asked_by(hub, from, m, NODE_SILENT, &node);

	if (!q)
		return SIO_OK; /* too late */
	if (!node)
		return SIO_ERR_PROTO;
	node->open_n = m->count;
	node->state = m->count ? NODE_TELLING : NODE_DONE;
	poll_counted(q->poll, m->count);
	return SIO_OK;
}

static int on_heard(struct hub *hub, sio_slice from, const struct cluster_message *m, int status)
{
	struct sio_args args = { m->json, m->attachments, m->attachments_n };
	struct inquiry_node *node;
	struct inquiry *q = asked_by(hub, from, m, NODE_TELLING, &node);

	if (!q)
		return SIO_OK;
	if (!node || !far_json_ok(m->json))
		return SIO_ERR_PROTO;
	if (--node->open_n == 0)
		node->state = NODE_DONE;
	poll_heard(q->poll, status, &args);
	return SIO_OK;
}

int far_on_answer(struct hub *hub, sio_slice from, const struct cluster_message *m)
{
	return on_heard(hub, from, m, SIO_OK);
}

int far_on_gone(struct hub *hub, sio_slice from, const struct cluster_message *m)
{
	return on_heard(hub, from, m, SIO_ERR_CLOSED);
}

int far_on_late(struct hub *hub, sio_slice from, const struct cluster_message *m)
{
	return on_heard(hub, from, m, SIO_ERR_TIMEOUT);
}

void far_lost(struct inquiry *q, struct inquiry_node *node)
{
	size_t n = node->state == NODE_SILENT ? 1 : node->open_n;

	node->state = NODE_GONE;
	poll_lost(q->poll, n);
}

/* ---- being asked ---------------------------------------------------------------------- */

struct relay {
	struct hub *hub;
	uint64_t id;                  /* of the asker's inquiry */
	char node[SIO_NODE_ID_LEN];   /* who asks */
	bool has_counted;
	uint32_t early_n;             /* clients that went before it had */
};

static int reply(struct relay *relay, const struct cluster_message *m)
{
	return cluster_send(relay->hub->cluster, sio_bytes(relay->node, SIO_NODE_ID_LEN), m);
}

static void relay_none(struct relay *relay, enum cluster_type why)
{
	reply(relay, &(struct cluster_message){ .type = why, .id = relay->id });
}

static void relay_each(int status, const struct sio_args *args, void *arg)
{
	struct relay *relay = arg;
	struct cluster_message m = { .type = CLUSTER_ANSWER, .id = relay->id };

	if (!relay->has_counted) {
		relay->early_n++;
		return;
	}
	cluster_set_args(&m, args);
	if (status == SIO_ERR_TIMEOUT)
		relay_none(relay, CLUSTER_LATE);
	else if (status < 0 || reply(relay, &m) == SIO_ERR_LIMIT)
		relay_none(relay, CLUSTER_GONE); /* an answer too large to be told is none */
}

static void relay_over(struct sio_namespace *nsp, int status, const struct sio_answers *got, void *relay)
{
	(void)nsp, (void)status, (void)got;
	free(relay);
}

static void relay_count(struct relay *relay, uint32_t n)
{
	reply(relay, &(struct cluster_message){ .type = CLUSTER_COUNT, .id = relay->id, .count = n });
	relay->has_counted = true;
	for (; relay->early_n > 0; relay->early_n--)
		relay_none(relay, CLUSTER_GONE);
}

int far_on_ask(struct hub *hub, sio_slice from, const struct cluster_message *m)
{
	struct sio_namespace *nsp = nsp_find(hub, m->nsp);
	struct sio_target target = { m->rooms, m->rooms_n, m->except, m->except_n, .is_local = true };
	struct sio_args args = { m->json, m->attachments, m->attachments_n };
	struct relay nobody = { .hub = hub, .id = m->id }, *relay;
	long n;

	memcpy(nobody.node, from.p, SIO_NODE_ID_LEN);
	if (!nsp) {
		relay_count(&nobody, 0);
		return SIO_OK;
	}
	relay = malloc(sizeof(*relay));
	if (!relay)
		return SIO_OK; /* silence: the asker counts us as missing */
	*relay = nobody;
	n = poll_sockets(nsp, &target, m->name, &args, m->timeout_ms, relay_each, relay_over, relay);
	if (n < 0) {
		free(relay);
		return n == SIO_ERR_INVAL ? SIO_ERR_PROTO : SIO_OK;
	}
	relay_count(relay, (uint32_t)n);
	return SIO_OK;
}
