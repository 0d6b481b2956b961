/* net_tls_fixture.h -- a server that speaks TLS, its files, and an OpenSSL client for it.
 *
 * The server runs its loop in a thread of its own.  It has GET /hello (a body that says
 * whether the request is secure), GET /large?N (N bytes, byte_at tells each), GET /late
 * (answered after LATE_MS), POST /body (how many bytes of the body are byte_at's).
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef NET_TLS_FIXTURE_H
#define NET_TLS_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <sio/http.h>
#include <sio/server.h>
#include <sio/work.h>

#include "base/buf.h"
#include "lib/cert.h"

enum { PATIENCE_MS = 10000, LATE_MS = 600 };

static struct sio_server *server;                /* one at a time */
static pthread_t thread;                         /* of its loop */
static uint16_t port;
static char said[4096];                          /* the server's log: LEVEL line, each with a newline */
static SSL_CTX *client_ctx;
static char dir[64];                             /* of the files; gone at the end */
static char cert[96], key[96];                   /* of "localhost" */
static char other_cert[96], other_key[96];       /* of "other" */

/* ---- the server ------------------------------------------------------------------------ */

static inline void on_line(enum sio_log_level level, const char *line, void *arg)
{
	static const char *const names[] = { "DEBUG", "INFO", "WARNING", "ERROR" };
	size_t n = strlen(said);

	(void)arg;
	snprintf(said + n, sizeof(said) - n, "%s %s\n", names[level], line);
}

static inline void *run(void *arg)
{
	(void)arg;
	sio_server_run(server);
	return NULL;
}

static inline void on_hello(struct sio_request *req, void *arg)
{
	(void)arg;
	sio_reply(req, 200, "text/plain", sio_request_is_secure(req) ? SIO_LIT("secure") : SIO_LIT("plain"));
}

/* What stands at an offset of a large body: nothing repeats within 16 KiB by accident. */
static inline char byte_at(size_t i)
{
	return (char)('a' + (i * 7 + i / 4096) % 26);
}

static inline void on_large(struct sio_request *req, void *arg)
{
	struct buf b = { 0 };
	size_t n = (size_t)atol(sio_request_query(req).p);

	(void)arg;
	for (size_t i = 0; i < n; i++)
		buf_byte(&b, byte_at(i));
	sio_reply(req, 200, "text/plain", buf_peek(&b));
	buf_fini(&b);
}

struct late {
	struct sio_timer timer; /* first */
	struct sio_request *req;
};

static atomic_uint late_n; /* requests that were answered late */

static inline void on_late_timer(struct sio_timer *timer)
{
	struct late *late = (struct late *)(void *)timer;

	sio_reply(late->req, 200, "text/plain", SIO_LIT("late"));
	free(late);
	late_n++;
}

static inline void on_late(struct sio_request *req, void *arg)
{
	struct late *late = calloc(1, sizeof(*late));

	(void)arg;
	late->req = req;
	sio_timer_start(server, &late->timer, LATE_MS, on_late_timer);
}

static inline void on_body(struct sio_request *req, void *arg)
{
	sio_slice body = sio_request_body(req);
	char text[64];
	size_t i = 0;

	(void)arg;
	while (i < body.n && body.p[i] == byte_at(i))
		i++;
	snprintf(text, sizeof(text), "%zu of %zu right", i, body.n);
	sio_reply(req, 200, "text/plain", sio_str(text));
}

/* Listening, but no loop runs.  Without files: cert and key. */
static inline void make(struct sio_server_options o)
{
	o.tls_cert = o.tls_cert ? o.tls_cert : cert;
	o.tls_key = o.tls_key ? o.tls_key : key;
	o.log = on_line;
	said[0] = '\0';
	assert_int_equal(sio_server_new(&o, &server), SIO_OK);
	assert_int_equal(sio_server_listen(server, "127.0.0.1", 0), SIO_OK);
	assert_int_equal(sio_http_route(server, "GET", "/hello", on_hello, NULL), SIO_OK);
	assert_int_equal(sio_http_route(server, "GET", "/large", on_large, NULL), SIO_OK);
	assert_int_equal(sio_http_route(server, "GET", "/late", on_late, NULL), SIO_OK);
	assert_int_equal(sio_http_route(server, "POST", "/body", on_body, NULL), SIO_OK);
	port = sio_server_port(server);
}

/* Accepted sockets take over how little the listening one may keep: what the server has to
 * say fills it soon. */
static inline void shrink_send_buffers(void)
{
	int small = 4096;

	for (int fd = 3; fd < 1024; fd++) {
		struct sockaddr_in sa;
		socklen_t n = sizeof(sa);
		if (getsockname(fd, (struct sockaddr *)&sa, &n) == 0 && sa.sin_family == AF_INET && ntohs(sa.sin_port) == port)
			setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	}
}

static inline void start(struct sio_server_options o)
{
	make(o);
	assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
}

static inline void on_stop(void *arg)
{
	(void)arg;
	sio_server_close(server, 100);
}

/* A teardown; nothing without a server. */
static inline int stop(void **state)
{
	(void)state;
	if (!server)
		return 0;
	assert_int_equal(sio_server_post(server, on_stop, NULL), SIO_OK);
	pthread_join(thread, NULL);
	sio_server_free(server);
	server = NULL;
	return 0;
}

/* The loop's thread does something for the test, which waits. */
struct errand {
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool is_done, is_reload;
	int result;
	struct sio_stats stats;
};

static inline void on_errand(void *arg)
{
	struct errand *e = arg;

	pthread_mutex_lock(&e->lock);
	if (e->is_reload)
		e->result = sio_server_tls_reload(server);
	sio_server_stats(server, &e->stats);
	e->is_done = true;
	pthread_cond_signal(&e->done);
	pthread_mutex_unlock(&e->lock);
}

static inline struct errand errand(bool is_reload)
{
	struct errand e = { .lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER, .is_reload = is_reload };

	assert_int_equal(sio_server_post(server, on_errand, &e), SIO_OK);
	pthread_mutex_lock(&e.lock);
	while (!e.is_done)
		pthread_cond_wait(&e.done, &e.lock);
	pthread_mutex_unlock(&e.lock);
	return e;
}

/* said holds its lines alone afterwards. */
static inline int reload(void)
{
	said[0] = '\0';
	return errand(true).result;
}

static inline struct sio_stats stats(void)
{
	return errand(false).stats;
}

static inline uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static inline void wait_for_connections(uint64_t n)
{
	uint64_t end = now_ms() + PATIENCE_MS;

	while (stats().http_connections != n) {
		if (now_ms() > end)
			fail_msg("%u connections, not %u", (unsigned)stats().http_connections, (unsigned)n);
		usleep(2000);
	}
}

/* ---- a client --------------------------------------------------------------------------- */

/* receive_bytes 0: the system's buffer. */
static inline int dial(int receive_bytes)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	if (receive_bytes)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* A client on it; the handshake is not begun. */
static inline SSL *attach(int fd)
{
	SSL *ssl = SSL_new(client_ctx);

	assert_non_null(ssl);
	SSL_set_fd(ssl, fd);
	SSL_set_tlsext_host_name(ssl, "localhost");
	return ssl;
}

/* version 0: the newest that both speak. */
static inline SSL *connect_tls(int version, int receive_bytes)
{
	SSL *ssl = attach(dial(receive_bytes));

	if (version)
		SSL_set_max_proto_version(ssl, version);
	if (SSL_connect(ssl) != 1) {
		ERR_print_errors_fp(stderr);
		fail_msg("no handshake");
	}
	return ssl;
}

/* Without a word. */
static inline void hang_up(SSL *ssl)
{
	int fd = SSL_get_fd(ssl);

	SSL_free(ssl);
	close(fd);
}

static inline void ask(SSL *ssl, const char *text)
{
	assert_int_equal(SSL_write(ssl, text, (int)strlen(text)), (int)strlen(text));
}

/* Read an answer with its body.  Returns the body. */
static inline sio_slice hear(SSL *ssl, struct buf *b)
{
	const char *head = NULL, *length;
	size_t body_n = 0;

	buf_clear(b);
	while (!head || b->n < (size_t)(head - b->p) + 4 + body_n) {
		char chunk[4096];
		int n = SSL_read(ssl, chunk, sizeof(chunk));
		if (n <= 0)
			fail_msg("no answer, but %d after %zu bytes", SSL_get_error(ssl, n), b->n);
		buf_put(b, chunk, (size_t)n);
		head = memmem(b->p, b->n, "\r\n\r\n", 4);
		length = head ? memmem(b->p, b->n, "Content-Length: ", 16) : NULL;
		body_n = length ? strtoul(length + 16, NULL, 10) : 0;
	}
	return sio_bytes(head + 4, body_n);
}

/* Read to the end, which the server must tell. */
static inline void hear_all(SSL *ssl, struct buf *b)
{
	char chunk[4096];
	int n;

	while ((n = SSL_read(ssl, chunk, sizeof(chunk))) > 0)
		buf_put(b, chunk, (size_t)n);
	assert_int_equal(SSL_get_error(ssl, n), SSL_ERROR_ZERO_RETURN);
}

static inline void expect_hello(SSL *ssl)
{
	struct buf b = { 0 };

	ask(ssl, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(sio_slice_eq(hear(ssl, &b), SIO_LIT("secure")));
	buf_fini(&b);
}

static inline void expect_subject(SSL *ssl, const char *want)
{
	X509 *x = SSL_get1_peer_certificate(ssl);
	char got[64];

	assert_non_null(x);
	X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, got, sizeof(got));
	X509_free(x);
	assert_string_equal(got, want);
}

/* The server ends the TCP connection within ms. */
static inline void expect_end(int fd, int ms)
{
	uint64_t end = now_ms() + (uint64_t)ms;

	for (;;) {
		struct pollfd p = { fd, POLLIN, 0 };
		char chunk[65536];
		ssize_t n;
		if (now_ms() >= end || poll(&p, 1, (int)(end - now_ms())) <= 0)
			fail_msg("the connection is open after %d ms", ms);
		n = recv(fd, chunk, sizeof(chunk), 0);
		if (n <= 0)
			return;
	}
}

/* ---- files -------------------------------------------------------------------------------- */

static inline void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* Good for some calls. */
static inline char *in_dir(const char *name)
{
	static char paths[16][96];
	static unsigned next;
	char *path = paths[next++ % 16];

	snprintf(path, 96, "%s/%s", dir, name);
	return path;
}

static inline int make_files(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/skybuild-tls-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
	snprintf(key, sizeof(key), "%s/key.pem", dir);
	snprintf(other_cert, sizeof(other_cert), "%s/other-cert.pem", dir);
	snprintf(other_key, sizeof(other_key), "%s/other-key.pem", dir);
	cert_write(cert, key, &(struct cert_options){ .name = "localhost" });
	cert_write(other_cert, other_key, &(struct cert_options){ .name = "other" });
	client_ctx = SSL_CTX_new(TLS_client_method());
	return client_ctx ? 0 : -1;
}

static inline int remove_files(void **state)
{
	char command[128];

	(void)state;
	SSL_CTX_free(client_ctx);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}

#endif
