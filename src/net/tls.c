/* tls.c -- see tls.h: handshakes, decrypting, encrypting, the end.
 *
 * Knows OpenSSL's connections and their errors; files and certificates are the
 * business of tls_files.c, what the bytes mean that of http.c and ws.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "net/tls.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/random.h"

/* ---- bytes of the wire --------------------------------------------------------------- */

/* Send now.  Returns what the socket took, or -1 when it is broken. */
static ssize_t wire_send(struct tls_conn *t, const char *p, size_t n)
{
	struct net_stats *stats = &t->conn.net->stats;
	ssize_t sent = send(t->conn.fd, p, n, MSG_NOSIGNAL);

	stats->writes++;
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -1;
	stats->bytes_out += (uint64_t)sent;
	return sent;
}

/* OpenSSL has made bytes.  They are taken whole, or the connection is broken. */
static int on_bio_write(BIO *bio, const char *p, int n)
{
	struct tls_conn *t = BIO_get_data(bio);
	ssize_t sent = t->unsent.n == 0 ? wire_send(t, p, (size_t)n) : 0;

	BIO_clear_retry_flags(bio);
	t->is_flooded = sent >= 0 && t->unsent.n + (size_t)(n - sent) > TLS_UNSENT_MAX;
	if (sent >= 0 && sent < n && !t->is_flooded)
		buf_put(&t->unsent, p + sent, (size_t)(n - sent));
	t->is_broken |= sent < 0 || t->is_flooded || t->unsent.failed;
	return t->is_broken ? -1 : n;
}

/* OpenSSL wants bytes of this connection. */
static int on_bio_read(BIO *bio, char *out, int max)
{
	struct tls_conn *t = BIO_get_data(bio);
	struct tls *tls = t->conn.net->tls;
	size_t n = (size_t)max;

	BIO_clear_retry_flags(bio);
	if (tls->reading != t || tls->left == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	if (n > tls->left)
		n = tls->left;
	memcpy(out, tls->at, n);
	tls->at += n;
	tls->left -= n;
	return (int)n;
}

static long on_bio_ctrl(BIO *bio, int what, long number, void *p)
{
	(void)bio, (void)number, (void)p;
	return what == BIO_CTRL_FLUSH; /* each write is sent at once */
}

static int on_bio_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

static BIO_METHOD *method_new(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "connection");

	if (m && (!BIO_meth_set_write(m, on_bio_write) || !BIO_meth_set_read(m, on_bio_read) ||
		  !BIO_meth_set_ctrl(m, on_bio_ctrl) || !BIO_meth_set_create(m, on_bio_create))) {
		BIO_meth_free(m);
		return NULL;
	}
	return m;
}

/* ---- one worker's TLS ------------------------------------------------------------------ */

/* Who learns a ticket key can read the TLS 1.2 connections that were resumed with it: it
 * does not get old.  Clients with a ticket of the old key make a full handshake. */
static void on_rotate(struct sio_timer *timer)
{
	struct tls *tls = MAP_OWNER(timer, struct tls, rotate);
	unsigned char keys[256];
	long n = SSL_CTX_set_tlsext_ticket_keys(tls->ctx, NULL, 0); /* NULL asks for their size */

	assert(n > 0 && (size_t)n <= sizeof(keys));
	random_bytes(keys, (size_t)n);
	SSL_CTX_set_tlsext_ticket_keys(tls->ctx, keys, n);
	OPENSSL_cleanse(keys, sizeof(keys));
	wheel_set(&tls->net->wheel, timer, tls->net->now_ms + TLS_TICKET_KEY_MS, on_rotate);
}

int net_tls(struct net *net, const char *cert, const char *key, struct net_tls_note *note)
{
	struct tls *tls = net->tls;
	SSL_CTX *ctx;
	int err = tls_ctx_load(cert, key, &ctx, note);

	if (err < 0)
		return err;
	if (!tls) {
		tls = calloc(1, sizeof(*tls));
		if (tls)
			tls->method = method_new();
		if (!tls || !tls->method) {
			SSL_CTX_free(ctx);
			free(tls);
			snprintf(note->text, sizeof(note->text), "out of memory for TLS");
			return SIO_ERR_NOMEM;
		}
		tls->net = net;
		net->tls = tls;
	}
	SSL_CTX_free(tls->ctx); /* those who began with it hold it */
	tls->ctx = ctx;
	wheel_set(&net->wheel, &tls->rotate, net->now_ms + TLS_TICKET_KEY_MS, on_rotate);
	return SIO_OK;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	wheel_del(&tls->rotate);
	SSL_CTX_free(tls->ctx);
	BIO_meth_free(tls->method);
	free(tls);
}

/* ---- beginning --------------------------------------------------------------------------- */

/* The first byte tells: a handshake never begins with a letter, HTTP always does.  The
 * connection becomes a plain one, for an answer that such a client can read. */
static bool is_plain_http(char first)
{
	return (first >= 'A' && first <= 'Z') || (first >= 'a' && first <= 'z');
}

static void refuse_plain(struct net_conn *c)
{
	c->is_tls = false;
	c->net->ops->refuse_plain(c);
}

static bool begin(struct net_conn *c)
{
	struct tls *tls = c->net->tls;
	struct tls_conn *t = tls_of(c);
	BIO *bio = BIO_new(tls->method);

	t->ssl = bio ? SSL_new(tls->ctx) : NULL;
	if (!t->ssl) {
		BIO_free(bio);
		return false;
	}
	BIO_set_data(bio, t);
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_accept_state(t->ssl);
	return true;
}

bool tls_must_wait(struct net_conn *c)
{
	return !tls_of(c)->is_shaken && c->mode == NET_HTTP && c->net->tls->handshakes_n++ >= TLS_HANDSHAKES_A_TURN;
}

/* ---- reading ------------------------------------------------------------------------------- */

static void count_failure(struct tls_conn *t)
{
	if (!t->is_counted)
		t->conn.net->stats.tls_failures++;
	t->is_counted = true;
}

/* What came breaks TLS, or cannot be agreed on.  OpenSSL has sent its alert. */
static void fail(struct net_conn *c)
{
	struct tls_conn *t = tls_of(c);
	const char *why = ERR_reason_error_string(ERR_peek_error());

	if (t->is_broken && !t->is_flooded) { /* it has gone while it was answered */
		conn_lost(c);
		return;
	}
	count_failure(t);
	c->net->ops->tls_failed(c, t->is_flooded ? "the client does not read what it asks for" : why ? why : "protocol error");
	t->is_broken = true;
	if (t->is_flooded)
		conn_lost(c);
	else
		conn_fail(c);
}

static void note_progress(struct tls_conn *t)
{
	if (t->is_shaken || !SSL_is_init_finished(t->ssl))
		return;
	t->is_shaken = true;
	t->conn.net->stats.tls_handshakes++;
}

/* Decrypt and hand out until the bytes are used up.  Returns OpenSSL's last word. */
static int read_all(struct net_conn *c)
{
	struct tls_conn *t = tls_of(c);

	for (;;) {
		int n;

		ERR_clear_error();
		n = SSL_read(t->ssl, c->net->buf, NET_READ_BYTES);
		note_progress(t);
		if (n <= 0)
			return SSL_get_error(t->ssl, n);
		conn_take(c, c->net->buf, (size_t)n);
		if (c->mode == NET_DEAD || c->mode == NET_DRAIN)
			return SSL_ERROR_NONE;
	}
}

void tls_feed(struct net_conn *c, size_t n)
{
	struct tls *tls = c->net->tls;
	int what;

	if (c->mode == NET_DRAIN) /* nobody listens any more */
		return;
	if (!tls_of(c)->ssl && is_plain_http(tls->in[0])) {
		refuse_plain(c);
		return;
	}
	if (!tls_of(c)->ssl && !begin(c)) {
		conn_lost(c);
		return;
	}
	tls->reading = tls_of(c);
	tls->at = tls->in;
	tls->left = n;
	what = read_all(c);
	tls->reading = NULL;
	if (what == SSL_ERROR_ZERO_RETURN)
		conn_eof(c);
	else if (what != SSL_ERROR_NONE && what != SSL_ERROR_WANT_READ)
		fail(c);
	if (tls_is_unsent(c))
		conn_watch(c);
}

/* ---- writing ------------------------------------------------------------------------------- */

/* The next bytes for one record: a large piece as it stands, small ones gathered.  *i and
 * *from are the place; moves on. */
static sio_slice next_record(struct tls *tls, const struct iovec *iov, int n, int *i, size_t *from)
{
	size_t gathered = 0;

	while (*i < n && gathered < TLS_RECORD_BYTES) {
		const char *p = (const char *)iov[*i].iov_base + *from;
		size_t left = iov[*i].iov_len - *from, room = TLS_RECORD_BYTES - gathered;
		bool is_whole = gathered == 0 && (left >= room || *i + 1 == n); /* fills it, or is the last */
		size_t take = left < room ? left : room;

		if (take > 0 && !is_whole)
			memcpy(tls->gather + gathered, p, take);
		*from += take;
		if (*from == iov[*i].iov_len) {
			++*i;
			*from = 0;
		}
		if (is_whole)
			return sio_bytes(p, take);
		gathered += take;
	}
	return sio_bytes(tls->gather, gathered);
}

ssize_t tls_writev(struct net_conn *c, const struct iovec *iov, int n)
{
	struct tls_conn *t = tls_of(c);
	size_t total = 0, from = 0;
	int i = 0;

	while (t->is_shaken && !t->is_broken && !t->is_ended && t->unsent.n == 0) {
		sio_slice piece = next_record(c->net->tls, iov, n, &i, &from);

		if (piece.n == 0)
			break;
		ERR_clear_error();
		/* Less than all, or a wish to read first (the peer keeps back the rest of a
		 * handshake message, which nobody honest does): it is over. */
		if (SSL_write(t->ssl, piece.p, (int)piece.n) != (int)piece.n)
			t->is_broken = true;
		else
			total += piece.n;
	}
	if (t->unsent.n > 0)
		conn_watch(c);
	if (total > 0)
		return (ssize_t)total;
	errno = t->unsent.n > 0 && !t->is_broken ? EAGAIN : EPIPE;
	return -1;
}

bool tls_push(struct net_conn *c)
{
	struct tls_conn *t = tls_of(c);
	ssize_t sent;

	if (t->unsent.n == 0)
		return true;
	sent = wire_send(t, t->unsent.p, t->unsent.n);
	if (sent < 0) {
		conn_lost(c);
		return false;
	}
	buf_consume(&t->unsent, (size_t)sent);
	if (t->unsent.n > 0) {
		if (sent > 0 && (c->mode == NET_DRAIN || (c->side && c->side->out.n > 0)))
			conn_deadline(c, c->net->limits.write_timeout_ms);
		return false;
	}
	buf_fini(&t->unsent); /* an idle connection holds no buffer */
	if (t->is_ended) {
		conn_half_close(c);
		return false;
	}
	return true;
}

/* ---- ending -------------------------------------------------------------------------------- */

static void notify(struct tls_conn *t)
{
	if (!t->is_shaken || t->is_broken || t->is_ended)
		return;
	ERR_clear_error();
	SSL_shutdown(t->ssl);
}

bool tls_end(struct net_conn *c)
{
	notify(tls_of(c));
	tls_of(c)->is_ended = true;
	return tls_of(c)->unsent.n == 0;
}

void tls_closing(struct net_conn *c)
{
	struct tls_conn *t = tls_of(c);

	if (t->unsent.n == 0)
		notify(t);
	t->is_ended = true;
	if (!t->is_shaken)
		count_failure(t);
}

void tls_conn_fini(struct net_conn *c)
{
	SSL_free(tls_of(c)->ssl);
	buf_fini(&tls_of(c)->unsent);
}
