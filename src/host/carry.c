/* carry.c -- the carrier's side: a request of ours for a session of another node.
 *
 * What a carriage is told by its connection goes to the owner, what the owner says goes to
 * the connection.  Knows HTTP as far as a head must be written down again; what the request
 * means is the owner's business.  Only Origin is looked at here (endpoint.c): which pages may
 * call is the question of the server that they call.
 *
 *	begun --first bytes back--> answered --end--> dead (freed at the end of the turn)
 *	  |                             |
 *	  +--owner gone, time-out: 400--+--the same: cut--> dead
 *	  +--the way is lost: 503-------+
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "host/carry.h"

#include <stdlib.h>
#include <unistd.h>

#include "host/host.h"

struct carriage {
	struct map_node by_id;
	struct sio_server *server;
	struct net_conn *conn;        /* NULL: the client has gone, or has been told its end */
	struct carriage *next_dirty;  /* or the next of the dead */
	struct sio_timer timer;       /* the owner's silence */
	struct carry_stream stream;
	uint64_t id;
	char node[SIO_NODE_ID_LEN];   /* the owner, as the adapter knows it now */
	struct buf host;              /* with view: who asks, until that is told */
	struct proxy_view view;
	int lost;                     /* to be ended at the flush: the error that says why */
	bool is_begun;                /* CARRY is sent */
	bool is_relay;                /* the whole connection is the owner's */
	bool may_pass;                /* the connection itself can be given to it */
	bool is_get;
	bool is_chunked;              /* the body comes in chunks */
	bool is_answered;             /* something came back */
	bool is_dirty;
	bool is_dead;                 /* of no use but to say its end */
	bool is_buried;               /* that is said */
};

/* ---- life ------------------------------------------------------------------------ */

static void mark_dirty(struct carriage *k)
{
	struct carry *carry = &k->server->carry;

	if (k->is_dirty)
		return;
	k->is_dirty = true;
	k->next_dirty = carry->dirty;
	carry->dirty = k;
}

static struct net_conn *detach(struct carriage *k)
{
	struct net_conn *c = k->conn;

	k->conn = NULL;
	if (c)
		c->owner = NULL;
	return c;
}

/* Nothing comes from the owner any more; what is to be told it goes out at the flush. */
static void die(struct carriage *k)
{
	if (k->is_dead)
		return;
	k->is_dead = true;
	wheel_del(&k->timer);
	map_del(&k->server->carry.carriages, &k->by_id);
	mark_dirty(k);
}

static void carriage_free(struct carriage *k)
{
	carry_stream_fini(&k->stream);
	buf_fini(&k->host);
	free(k);
}

static void on_silence(struct sio_timer *timer);

static void expect_word(struct carriage *k)
{
	const struct sio_server *server = k->server;
	uint32_t ms = server->engine.limits.ping_interval_ms + server->engine.limits.ping_timeout_ms;

	if (server->hooks.upgrade && ms < server->handshake_timeout_ms) /* the application may take its time */
		ms = server->handshake_timeout_ms;
	sio_timer_start(k->server, &k->timer, ms + CARRY_GRACE_MS, on_silence);
}

static struct carriage *carriage_new(struct sio_server *server, struct net_conn *c, const struct http1_request *req,
				     const char node[SIO_NODE_ID_LEN])
{
	struct carriage *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->server = server;
	k->id = ++server->carry.next_id;
	memcpy(k->node, node, SIO_NODE_ID_LEN);
	edge_view(server, c, req, &k->view);
	buf_slice(&k->host, k->view.host);
	if (k->host.failed || k->host.n > CLUSTER_HOST_MAX ||
	    map_put(&server->carry.carriages, &k->by_id, sio_bytes(&k->id, sizeof(k->id))) < 0) {
		carriage_free(k);
		return NULL;
	}
	k->conn = c;
	c->owner = owner_of_carriage(k);
	k->is_get = sio_slice_eq(req->method, SIO_LIT("GET"));
	server->carry.out_total++;
	expect_word(k);
	mark_dirty(k);
	return k;
}

/* ---- the request, written down again ------------------------------------------------- */

/* Headers about this connection alone: the body is whole, and the client was told to go on. */
static bool is_ours(const struct carriage *k, const struct http1_request *req, sio_slice name)
{
	return !k->is_relay && req->wants_continue && sio_slice_eq(name, SIO_LIT("expect"));
}

static void put_head(struct carriage *k, const struct http1_request *req)
{
	struct buf *out = &k->stream.out;
	bool is_last = !req->is_keep_alive && !http1_has_token(http1_header(req, "connection"), "close");

	buf_slice(out, req->method);
	buf_byte(out, ' ');
	buf_slice(out, req->target);
	buf_str(out, http1_header(req, "host").n ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n"); /* 1.1 has to have one */
	for (size_t i = 0; i < req->headers_n; i++) {
		if (is_ours(k, req, req->headers[i].name))
			continue;
		buf_slice(out, req->headers[i].name);
		buf_str(out, ": ");
		buf_slice(out, req->headers[i].value);
		buf_str(out, "\r\n");
	}
	if (is_last && !req->is_upgrade) /* as HTTP/1.0 means it */
		buf_str(out, "connection: close\r\n");
	buf_str(out, "\r\n");
}

static void put_body(struct carriage *k, const struct http1_request *req)
{
	struct buf *out = &k->stream.out;

	if (k->is_chunked && req->body.n)
		buf_printf(out, "%zx\r\n", req->body.n);
	buf_slice(out, buf_peek(&req->body));
	if (k->is_chunked)
		buf_str(out, req->body.n ? "\r\n0\r\n\r\n" : "0\r\n\r\n");
}

/* ---- the client's part ------------------------------------------------------------------ */

/* Whose session is it?  Not another's: of one that is known now. */
static bool find_owner(struct sio_server *server, const struct net_conn *c, const struct http1_request *req,
		       char node[SIO_NODE_ID_LEN])
{
	char owner[RANDOM_ID_LEN];

	/* What was carried once is not carried on. */
	return server->hub.cluster && !net_far_of(c) && eio_owner(&server->engine, req->query, owner) &&
	       cluster_find(server->hub.cluster, sio_bytes(owner, RANDOM_ID_LEN), node);
}

/* NULL: it is refused. */
static struct carriage *begin(struct sio_server *server, struct net_conn *c, const struct http1_request *req,
			      const char node[SIO_NODE_ID_LEN])
{
	struct carriage *k = server->carry.carriages.n < server->carry.max ? carriage_new(server, c, req, node) : NULL;

	if (!k)
		endpoint_refuse_busy(server, c, req, "The server carries as many requests to others as it can");
	return k;
}

bool carry_head(struct sio_server *server, struct net_conn *c, struct http1_request *req)
{
	bool is_post = sio_slice_eq(req->method, SIO_LIT("POST")), is_relay, may_pass;
	char node[SIO_NODE_ID_LEN];
	struct carriage *k;

	if (!find_owner(server, c, req, node))
		return false;
	may_pass = server->hub.cluster->ops->pass && net_can_pass(c);
	is_relay = may_pass || handshake_is_websocket(req) || (req->has_body && !is_post);
	if (!is_relay && !is_post)
		return true; /* once it is whole */
	k = begin(server, c, req, node);
	if (!k)
		return true;
	k->is_relay = is_relay;
	k->may_pass = may_pass;
	k->is_chunked = req->has_body && !req->has_length;
	put_head(k, req);
	if (is_relay)
		net_relay(c);
	else
		http1_set_body_limit(c->side->reader, server->engine.limits.max_payload_bytes);
	return true;
}

bool carry_request(struct sio_server *server, struct net_conn *c, struct http1_request *req)
{
	struct carriage *k = owner_carriage(c->owner);
	char node[SIO_NODE_ID_LEN];

	if (k) {
		put_body(k, req);
		expect_word(k);
		mark_dirty(k);
		return true;
	}
	if (!find_owner(server, c, req, node))
		return false;
	k = begin(server, c, req, node);
	if (k)
		put_head(k, req);
	return true;
}

void carry_relayed(struct carriage *k, const char *p, size_t n)
{
	buf_put(&k->stream.out, p, n);
	if (carry_stream_waiting(&k->stream) >= CARRY_WINDOW)
		net_pause(k->conn, true);
	mark_dirty(k);
}

void carry_refused(struct carriage *k, int status)
{
	k->stream.end = (uint16_t)status;
	net_hold(k->conn);
	mark_dirty(k);
}

void carry_written(struct carriage *k)
{
	carry_stream_taken(&k->stream);
	mark_dirty(k);
}

void carry_gone(struct carriage *k)
{
	detach(k);
	k->stream.end = CARRY_CUT;
	die(k);
}

bool carry_eof(struct carriage *k)
{
	if (!k->is_get || k->is_relay)
		return false;
	carry_gone(k);
	return true;
}

/* ---- ends ----------------------------------------------------------------------------------- */

static void refuse(struct carriage *k, struct net_conn *c, int err)
{
	struct sio_server *server = k->server;
	const struct http1_request *req;

	if (k->is_relay)
		net_relay_back(c);
	req = http1_request(c->side->reader);
	if (server->is_closing)
		endpoint_refuse_busy(server, c, req, "The server is shutting down");
	else if (err == SIO_ERR_NOENT)
		endpoint_refuse(server, c, req, EIO_ERR_SID, sio_str(eio_error_text(EIO_ERR_SID)));
	else
		endpoint_refuse_busy(server, c, req, "The server that has this session cannot be reached now");
}

/* It cannot be carried on: err says why. */
static void fail(struct carriage *k, int err)
{
	struct net_conn *c = detach(k);

	k->stream.end = CARRY_CUT;
	die(k);
	if (c && k->is_answered)
		net_close(c);
	else if (c)
		refuse(k, c, err);
}

static void on_silence(struct sio_timer *timer)
{
	fail(MAP_OWNER(timer, struct carriage, timer), SIO_ERR_NOENT);
}

static void lose(struct sio_server *server, sio_slice node, int err)
{
	struct map *all = &server->carry.carriages;
	uint32_t i;

	for (struct map_node *n = map_first(all, &i); n; n = map_next(all, &i, n)) {
		struct carriage *k = MAP_OWNER(n, struct carriage, by_id);
		if (node.n && !sio_slice_eq(sio_bytes(k->node, SIO_NODE_ID_LEN), node))
			continue;
		k->lost = err; /* whoever hears of it may end others: not while they are walked */
		mark_dirty(k);
	}
}

void carry_node_gone(struct sio_server *server, sio_slice node)
{
	lose(server, node, SIO_ERR_NOENT);
}

void carry_lost(struct sio_server *server, sio_slice node)
{
	lose(server, node, SIO_ERR_BUSY);
}

void carry_end_all(struct sio_server *server)
{
	lose(server, sio_bytes("", 0), SIO_ERR_CLOSED);
}

/* ---- the owner's part ------------------------------------------------------------------------- */

static void answer_on(struct carriage *k, sio_slice bytes)
{
	if (!k->is_answered && k->is_relay) /* its request is not needed any more */
		http1_free(net_take_reader(k->conn));
	k->is_answered = true;
	net_put(k->conn, bytes);
}

static void answer_end(struct carriage *k, unsigned end)
{
	struct net_conn *c;

	if (end >= CARRY_STATUS_MIN) {
		fail(k, SIO_ERR_BUSY);
		return;
	}
	k->stream.is_ended = true; /* there is nobody to hear it */
	c = detach(k);
	die(k);
	if (c && end == CARRY_CUT)
		net_close(c);
	else if (c)
		net_put_end(c, end == CARRY_CLOSE);
}

/* Its client has gone meanwhile, or the owner was taken for gone. */
static int on_stray(struct sio_server *server, sio_slice from, const struct cluster_message *m)
{
	const struct cluster_message cut = { .type = CLUSTER_CARRY_ON, .id = m->id, .end = CARRY_CUT };

	server->carry.strays++;
	if (m->end == CARRY_MORE)
		(void)cluster_send(server->hub.cluster, from, &cut);
	return SIO_OK;
}

int carry_on_back(struct sio_server *server, sio_slice from, const struct cluster_message *m)
{
	struct map_node *found = map_get(&server->carry.carriages, sio_bytes(&m->id, sizeof(m->id)));
	struct carriage *k = found ? MAP_OWNER(found, struct carriage, by_id) : NULL;

	if (k && !sio_slice_eq(sio_bytes(k->node, SIO_NODE_ID_LEN), from))
		return SIO_ERR_PROTO;
	if (!k || !k->is_begun)
		return on_stray(server, from, m);
	if (carry_stream_hear(&k->stream, m) < 0) {
		fail(k, SIO_ERR_NOENT);
		return SIO_ERR_PROTO;
	}
	expect_word(k);
	mark_dirty(k);
	if (m->bytes.n && k->conn)
		answer_on(k, m->bytes);
	if (m->end != CARRY_MORE)
		answer_end(k, m->end);
	else if (k->conn && k->conn->is_paused && carry_stream_waiting(&k->stream) < CARRY_WINDOW / 2)
		net_pause(k->conn, false);
	return SIO_OK;
}

/* ---- sending ------------------------------------------------------------------------------------ */

static int send_one(struct carriage *k, struct cluster_message *m)
{
	m->id = k->id;
	m->type = k->is_begun ? CLUSTER_CARRY_ON : CLUSTER_CARRY;
	if (!k->is_begun) {
		m->is_secure = k->view.is_secure;
		m->address = sio_str(k->view.address);
		m->host = buf_peek(&k->host);
	}
	return cluster_send(k->server->hub.cluster, sio_bytes(k->node, SIO_NODE_ID_LEN), m);
}

/* To a worker of this process the connection goes as a whole, with all that was read.  false:
 * its bytes are carried. */
static bool pass(struct carriage *k)
{
	struct net_conn *c = k->conn;
	int fd = net_pass_fd(c);

	k->may_pass = false;
	if (fd < 0)
		return false;
	if (cluster_pass(k->server->hub.cluster, sio_bytes(k->node, SIO_NODE_ID_LEN), fd, buf_peek(&k->stream.out)) < 0) {
		close(fd);
		return false;
	}
	k->server->carry.passed++;
	detach(k);
	net_passed(c);
	die(k);
	return true;
}

static void send_all(struct carriage *k)
{
	struct cluster_message m = { 0 };
	int err = k->stream.out.failed ? SIO_ERR_NOMEM : SIO_OK;

	if (!k->is_begun && k->is_dead) /* nobody has heard of it */
		return;
	if (k->may_pass && err == SIO_OK && pass(k))
		return;
	while (err == SIO_OK && carry_stream_next(&k->stream, &m)) {
		err = send_one(k, &m);
		if (!k->is_begun && err == SIO_OK) {
			k->is_begun = true;
			buf_fini(&k->host);
		}
	}
	if (err < 0 && !k->is_dead)
		fail(k, k->is_begun ? SIO_ERR_NOENT : err);
}

void carry_send_dirty(struct sio_server *server)
{
	while (server->carry.dirty) {
		struct carriage *k = server->carry.dirty;
		server->carry.dirty = k->next_dirty;
		k->is_dirty = false;
		if (k->lost && !k->is_dead) {
			fail(k, k->lost); /* which puts it back on the list */
			continue;
		}
		send_all(k);
		if (!k->is_dead || k->is_dirty || k->is_buried)
			continue;
		k->is_buried = true;
		k->next_dirty = server->carry.dead;
		server->carry.dead = k;
	}
}

void carry_free_dead(struct sio_server *server)
{
	while (server->carry.dead) {
		struct carriage *k = server->carry.dead;
		server->carry.dead = k->next_dirty;
		carriage_free(k);
	}
}
