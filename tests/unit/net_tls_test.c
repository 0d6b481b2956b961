/* net_tls_test.c -- a server over TLS: handshakes, both directions under pressure, ends of
 * every kind, broken and malicious peers.
 *
 * The last test runs the server's loop itself, turn by turn.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdatomic.h>

#include <uv.h>

#include "net/tls.h"
#include "unit/net_tls_fixture.h"

/* ---- handshakes ----------------------------------------------------------------------------- */

static void test_versions(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	(void)state;
	start((struct sio_server_options){ 0 });
	for (size_t i = 0; i < 2; i++) {
		SSL *ssl = connect_tls(versions[i], 0);
		assert_int_equal(SSL_version(ssl), versions[i]);
		assert_ptr_equal(SSL_get_current_compression(ssl), NULL);
		expect_hello(ssl);
		expect_hello(ssl);
		hang_up(ssl);
	}
	wait_for_connections(0);
	assert_int_equal(stats().tls_handshakes_total, 2);
	assert_int_equal(stats().tls_failures_total, 0);
}

static void test_tls_1_1_is_refused(void **state)
{
	SSL *ssl;

	(void)state;
	start((struct sio_server_options){ 0 });
	ssl = attach(dial(0));
	SSL_set_security_level(ssl, 0); /* ours would not offer it */
	SSL_set_min_proto_version(ssl, TLS1_VERSION);
	SSL_set_max_proto_version(ssl, TLS1_1_VERSION);
	assert_int_equal(SSL_connect(ssl), -1);
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION); /* the alert has arrived */
	ERR_clear_error();
	expect_end(SSL_get_fd(ssl), PATIENCE_MS);
	hang_up(ssl);
	wait_for_connections(0);
	assert_int_equal(stats().tls_failures_total, 1);
	assert_non_null(strstr(said, "DEBUG TLS with 127.0.0.1 failed: "));
}

static void test_alpn(void **state)
{
	static const struct {
		const char *offer, *want; /* want NULL: refused */
	} rows[] = { { "\x08http/1.1", "http/1.1" }, { "\x02h2\x08http/1.1", "http/1.1" }, { "\x02h2", NULL } };

	(void)state;
	start((struct sio_server_options){ 0 });
	for (size_t i = 0; i < 3; i++) {
		SSL *ssl = attach(dial(0));
		const unsigned char *got;
		unsigned n;
		SSL_set_alpn_protos(ssl, (const unsigned char *)rows[i].offer, (unsigned)strlen(rows[i].offer));
		assert_int_equal(SSL_connect(ssl), rows[i].want ? 1 : -1);
		SSL_get0_alpn_selected(ssl, &got, &n);
		if (rows[i].want)
			assert_memory_equal(got, rows[i].want, n);
		else
			assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
		ERR_clear_error();
		hang_up(ssl);
	}
}

/* Who comes back with a ticket is spared the signature. */
static void test_tickets(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	(void)state;
	start((struct sio_server_options){ 0 });
	for (size_t i = 0; i < 2; i++) {
		SSL *first = connect_tls(versions[i], 0), *second = attach(dial(0));
		SSL_SESSION *session;
		expect_hello(first); /* the tickets of 1.3 come behind the handshake */
		session = SSL_get1_session(first);
		assert_int_equal(SSL_SESSION_get_max_early_data(session), 0);
		SSL_set_session(second, session);
		SSL_set_max_proto_version(second, versions[i]);
		assert_int_equal(SSL_connect(second), 1);
		assert_true(SSL_session_reused(second));
		expect_hello(second);
		SSL_SESSION_free(session);
		hang_up(first);
		hang_up(second);
	}
}

static void test_plain_http_is_told(void **state)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

	(void)state;
	start((struct sio_server_options){ 0 });
	for (int is_slow = 0; is_slow < 2; is_slow++) {
		int fd = dial(0);
		char got[1024] = "";
		size_t n = 0;
		ssize_t more;
		for (size_t i = 0; i < strlen(request); i += is_slow ? 1 : strlen(request))
			send(fd, request + i, is_slow ? 1 : strlen(request), MSG_NOSIGNAL);
		while (n < sizeof(got) - 1 && (more = recv(fd, got + n, sizeof(got) - 1 - n, 0)) > 0)
			n += (size_t)more;
		assert_int_equal(strncmp(got, "HTTP/1.1 400 Bad Request\r\n", 26), 0);
		assert_non_null(strstr(got, "\"code\":\"https_required\""));
		assert_non_null(strstr(got, "Connection: close"));
		close(fd);
	}
	wait_for_connections(0);
	assert_int_equal(stats().http_refused_total, 2);
	assert_int_equal(stats().tls_failures_total, 0);
}

/* Silence, half a record, a head that promises more than ever comes. */
static void test_a_handshake_has_a_deadline(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} rows[] = { { "", 0 }, { "\x16", 1 }, { "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11 } };
	uint64_t begin;
	int fds[3];

	(void)state;
	start((struct sio_server_options){ .head_timeout_ms = 300 });
	begin = now_ms();
	for (int i = 0; i < 3; i++) {
		fds[i] = dial(0);
		send(fds[i], rows[i].p, rows[i].n, MSG_NOSIGNAL);
	}
	for (int i = 0; i < 3; i++) {
		expect_end(fds[i], 2000);
		assert_true(now_ms() - begin >= 250);
		close(fds[i]);
	}
	wait_for_connections(0);
	assert_int_equal(stats().tls_failures_total, 3);
}

/* A byte now and then does not buy time. */
static void test_a_trickle_has_a_deadline(void **state)
{
	static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
	uint64_t begin = now_ms();
	int fd;

	(void)state;
	start((struct sio_server_options){ .head_timeout_ms = 300 });
	fd = dial(0);
	for (size_t i = 0; i < 200 && send(fd, i < 11 ? hello + i : "x", 1, MSG_NOSIGNAL) == 1; i++)
		usleep(20000);
	assert_in_range(now_ms() - begin, 250, 2000);
	close(fd);
}

static void test_garbage(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} rows[] = {
		{ "\x16\x03\x01\xff\xff\x01", 6 },                                 /* a record of 64 KiB */
		{ "\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9 },                     /* a hello of 16 MiB */
		{ "\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00", 10 },                /* a server's hello */
		{ "\x17\x03\x03\x00\x01x", 6 },                                    /* data before the handshake */
		{ "\x15\x03\x01\x00\x02\x02\x28", 7 },                             /* a fatal alert */
		{ "\x80\x2e\x01\x03\x01", 5 },                                     /* SSL 2 */
		{ "\0\0\0\0\0\0\0\0\0\0\0\0", 12 },
		{ "\x16\x03\x01\x00\x00\x16\x03\x01\x00\x00", 10 },                /* empty records */
	};

	(void)state;
	start((struct sio_server_options){ .head_timeout_ms = 500 });
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = dial(0);
		send(fd, rows[i].p, rows[i].n, MSG_NOSIGNAL);
		expect_end(fd, 2000);
		close(fd);
	}
	wait_for_connections(0);
	assert_int_equal(stats().tls_failures_total, sizeof(rows) / sizeof(rows[0]));
}

/* ---- both directions ----------------------------------------------------------------------------- */

/* Much more than the socket takes, to a reader that stops in between. */
static void test_large_answers_to_a_slow_reader(void **state)
{
	static const struct {
		int version;
		size_t n;
	} rows[] = { { TLS1_2_VERSION, 1000000 }, { TLS1_3_VERSION, 1000000 }, { TLS1_3_VERSION, 1013000 }, { TLS1_3_VERSION, 16000 } };

	(void)state;
	start((struct sio_server_options){ 0 });
	shrink_send_buffers(); /* also the last record does not fit at once */
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		SSL *ssl = connect_tls(rows[row].version, 4096);
		struct buf b = { 0 };
		char text[100];
		sio_slice body;
		snprintf(text, sizeof(text), "GET /large?%zu HTTP/1.1\r\nHost: x\r\n\r\n", rows[row].n);
		ask(ssl, text);
		usleep(100000);
		body = hear(ssl, &b);
		assert_int_equal(body.n, rows[row].n);
		for (size_t i = 0; i < body.n; i++)
			if (body.p[i] != byte_at(i))
				fail_msg("byte %zu is wrong", i);
		expect_hello(ssl);
		buf_fini(&b);
		hang_up(ssl);
	}
	wait_for_connections(0);
	assert_int_equal(stats().tls_failures_total, 0);
}

static void test_a_reader_that_never_reads(void **state)
{
	SSL *ssl;

	(void)state;
	start((struct sio_server_options){ .write_timeout_ms = 300 });
	shrink_send_buffers();
	ssl = connect_tls(0, 4096);
	ask(ssl, "GET /large?1000000 HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_for_connections(0);
	hang_up(ssl);
}

static void put_body(SSL *ssl, size_t n, size_t record)
{
	char head[128];
	struct buf b = { 0 };

	snprintf(head, sizeof(head), "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", n);
	ask(ssl, head);
	for (size_t i = 0; i < n; i++)
		buf_byte(&b, byte_at(i));
	for (size_t i = 0; i < n; i += record) {
		int piece = (int)(n - i < record ? n - i : record);
		assert_int_equal(SSL_write(ssl, b.p + i, piece), piece);
	}
	buf_fini(&b);
}

static void test_bodies_in_records_of_every_size(void **state)
{
	static const struct {
		size_t n, record;
	} rows[] = { { 900000, 900000 }, { 900000, 16384 }, { 900000, 16383 }, { 300000, 100 }, { 16384, 1 } };

	(void)state;
	start((struct sio_server_options){ 0 });
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		SSL *ssl = connect_tls(i % 2 ? TLS1_2_VERSION : 0, 0);
		struct buf b = { 0 };
		char want[64];
		put_body(ssl, rows[i].n, rows[i].record);
		snprintf(want, sizeof(want), "%zu of %zu right", rows[i].n, rows[i].n);
		assert_true(sio_slice_eq(hear(ssl, &b), sio_str(want)));
		buf_fini(&b);
		hang_up(ssl);
	}
}

/* The wire brings what it likes: each byte of a client's in a segment of its own. */
static void test_ciphertext_byte_by_byte(void **state)
{
	SSL *ssl;
	BIO *in, *out;
	int fd;
	char chunk[4096];

	(void)state;
	start((struct sio_server_options){ 0 });
	fd = dial(0);
	ssl = SSL_new(client_ctx);
	in = BIO_new(BIO_s_mem());
	out = BIO_new(BIO_s_mem());
	SSL_set_bio(ssl, in, out);
	SSL_set_connect_state(ssl);
	for (int asked = 0, got = 0; got <= 0;) {
		int n;
		if (SSL_do_handshake(ssl) == 1 && !asked) {
			ask(ssl, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
			asked = 1;
		}
		while (BIO_read(out, chunk, 1) == 1)
			assert_int_equal(send(fd, chunk, 1, MSG_NOSIGNAL), 1);
		if (asked && (got = SSL_read(ssl, chunk, sizeof(chunk))) > 0)
			break;
		n = (int)recv(fd, chunk, sizeof(chunk), 0);
		assert_true(n > 0);
		BIO_write(in, chunk, n);
	}
	assert_int_equal(strncmp(chunk, "HTTP/1.1 200 OK\r\n", 17), 0);
	SSL_free(ssl);
	close(fd);
}

/* ---- ends ---------------------------------------------------------------------------------------- */

static void test_our_end_is_told(void **state)
{
	SSL *ssl;
	struct buf b = { 0 };
	char c;

	(void)state;
	start((struct sio_server_options){ .idle_timeout_ms = 200 });
	ssl = connect_tls(0, 0); /* the client asks for the end */
	ask(ssl, "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	hear(ssl, &b);
	assert_int_equal(SSL_get_error(ssl, SSL_read(ssl, &c, 1)), SSL_ERROR_ZERO_RETURN);
	hang_up(ssl);
	ssl = connect_tls(0, 0); /* its time is over */
	expect_hello(ssl);
	assert_int_equal(SSL_get_error(ssl, SSL_read(ssl, &c, 1)), SSL_ERROR_ZERO_RETURN);
	hang_up(ssl);
	ssl = connect_tls(0, 0); /* the server ends */
	expect_hello(ssl);
	stop(NULL);
	assert_int_equal(SSL_get_error(ssl, SSL_read(ssl, &c, 1)), SSL_ERROR_ZERO_RETURN);
	hang_up(ssl);
	buf_fini(&b);
}

/* close_notify is the end of one direction: the answer still comes, and our end behind it,
 * while a reader makes room in the socket at any moment. */
static void test_a_client_that_closes_its_half(void **state)
{
	struct buf b = { 0 };

	(void)state;
	start((struct sio_server_options){ 0 });
	shrink_send_buffers();
	for (size_t n = 1; n < 400000; n += n < 50000 ? 1500 : 30000) {
		SSL *ssl = connect_tls(0, 4096);
		char text[100];
		snprintf(text, sizeof(text), "GET /large?%zu HTTP/1.1\r\nHost: x\r\n\r\n", n);
		ask(ssl, text);
		assert_int_equal(SSL_shutdown(ssl), 0);
		assert_int_equal(hear(ssl, &b).n, n);
		assert_int_equal(SSL_get_error(ssl, SSL_read(ssl, text, 1)), SSL_ERROR_ZERO_RETURN);
		hang_up(ssl);
	}
	buf_fini(&b);
	wait_for_connections(0);
}

static atomic_bool is_ending;

static void on_slow_end(void *arg)
{
	(void)arg;
	sio_server_close(server, PATIENCE_MS);
	is_ending = true;
}

/* Ask, and do not read, until an answer does not fit into the socket.  Returns how often. */
static unsigned fill_socket(SSL *ssl, const char *request, size_t answer_n)
{
	for (unsigned n = 1;; n++) {
		uint64_t had = stats().bytes_out_total;
		ask(ssl, request);
		while (stats().http_requests_total < n)
			usleep(1000);
		stats(); /* the turn in which it was answered is over */
		if (stats().bytes_out_total - had < answer_n)
			return n;
	}
}

/* What was answered before the server's end arrives whole, whoever reads slowly. */
static void test_answers_outlive_the_server(void **state)
{
	struct buf b = { 0 };
	unsigned n, heard = 0;
	SSL *ssl;

	(void)state;
	start((struct sio_server_options){ 0 });
	shrink_send_buffers();
	ssl = connect_tls(0, 4096);
	n = fill_socket(ssl, "GET /large?1000 HTTP/1.1\r\nHost: x\r\n\r\n", 1000);
	is_ending = false;
	assert_int_equal(sio_server_post(server, on_slow_end, NULL), SIO_OK);
	while (!is_ending)
		usleep(1000);
	hear_all(ssl, &b);
	for (size_t i = 0; i + 15 < b.n; i++)
		heard += memcmp(b.p + i, "HTTP/1.1 200 OK", 15) == 0;
	assert_int_equal(heard, n);
	assert_int_equal(b.p[b.n - 1], byte_at(999));
	hang_up(ssl);
	pthread_join(thread, NULL);
	sio_server_free(server);
	server = NULL;
	buf_fini(&b);
}

/* The TCP connection ends, TLS did not: nobody is there any more. */
static void test_ends_that_are_not_told(void **state)
{
	(void)state;
	start((struct sio_server_options){ 0 });
	for (int how = 0; how < 4; how++) {
		SSL *ssl = connect_tls(0, 0);
		struct linger at_once = { 1, 0 };
		if (how % 2)
			ask(ssl, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc");
		else
			expect_hello(ssl);
		if (how >= 2) /* a reset */
			setsockopt(SSL_get_fd(ssl), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		else
			shutdown(SSL_get_fd(ssl), SHUT_WR);
		if (how < 2)
			wait_for_connections(0);
		hang_up(ssl);
		wait_for_connections(0);
	}
}

/* Nor is anybody there for the answer to a request under way. */
static void test_an_end_that_is_not_told_under_way(void **state)
{
	unsigned before = late_n;
	uint64_t begin;
	SSL *ssl;

	(void)state;
	start((struct sio_server_options){ 0 });
	ssl = connect_tls(0, 0);
	ask(ssl, "GET /late HTTP/1.1\r\nHost: x\r\n\r\n");
	while (stats().http_requests_total < 1)
		usleep(1000);
	begin = now_ms();
	shutdown(SSL_get_fd(ssl), SHUT_WR);
	wait_for_connections(0);
	assert_true(now_ms() - begin < LATE_MS / 2);
	hang_up(ssl);
	while (late_n == before) /* its handler answers into the void */
		usleep(1000);
}

/* ---- abuse ----------------------------------------------------------------------------------------- */

/* A record that was changed on its way. */
static void test_a_forged_record(void **state)
{
	static const char forged[] = "\x17\x03\x03\x00\x18"
				     "abcdefghijklmnopqrstuvwx";
	SSL *ssl;
	char c;

	(void)state;
	start((struct sio_server_options){ 0 });
	ssl = connect_tls(0, 0);
	expect_hello(ssl);
	assert_int_equal(send(SSL_get_fd(ssl), forged, sizeof(forged) - 1, MSG_NOSIGNAL), (int)sizeof(forged) - 1);
	ERR_clear_error();
	assert_int_equal(SSL_get_error(ssl, SSL_read(ssl, &c, 1)), SSL_ERROR_SSL);
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
	ERR_clear_error();
	hang_up(ssl);
	wait_for_connections(0);
	assert_int_equal(stats().tls_failures_total, 1);
}

static void test_renegotiation_is_refused(void **state)
{
	SSL *ssl;
	uint64_t handshakes;

	(void)state;
	start((struct sio_server_options){ 0 });
	ssl = connect_tls(TLS1_2_VERSION, 0);
	expect_hello(ssl);
	handshakes = stats().tls_handshakes_total;
	assert_int_equal(SSL_renegotiate(ssl), 1);
	assert_true(SSL_do_handshake(ssl) <= 0);
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
	ERR_clear_error();
	hang_up(ssl);
	assert_int_equal(stats().tls_handshakes_total, handshakes);
	wait_for_connections(0);
}

/* TLS 1.3 lets a client ask for new keys as often as it likes, and each time we answer.
 * One that does not read the answers must not fill our memory with them. */
static void test_key_updates_without_end(void **state)
{
	SSL *ssl;
	unsigned n = 0;
	uint64_t end = now_ms() + 30000;

	(void)state;
	start((struct sio_server_options){ 0 });
	shrink_send_buffers();
	ssl = connect_tls(TLS1_3_VERSION, 2048);
	expect_hello(ssl);
	while (now_ms() < end && SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(ssl) == 1)
		n++;
	assert_true(n > TLS_UNSENT_MAX / 64); /* an answer is 27 bytes at most */
	assert_true(now_ms() < end);
	ERR_clear_error();
	hang_up(ssl);
	wait_for_connections(0);
	assert_int_equal(stats().tls_failures_total, 1);
	assert_non_null(strstr(said, "failed: the client does not read what it asks for"));
}

/* ---- turn by turn ------------------------------------------------------------------------------------ */

/* The client's first bytes. */
static int first_bytes(char *out, int cap)
{
	SSL *ssl = SSL_new(client_ctx);
	BIO *in = BIO_new(BIO_s_mem()), *hello = BIO_new(BIO_s_mem());
	int n;

	SSL_set_bio(ssl, in, hello);
	SSL_set_connect_state(ssl);
	SSL_do_handshake(ssl);
	n = BIO_read(hello, out, cap);
	SSL_free(ssl);
	return n;
}

static unsigned answered(const int *fds, unsigned n)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++) {
		struct pollfd p = { fds[i], POLLIN, 0 };
		count += poll(&p, 1, 0) == 1;
	}
	return count;
}

/* A crowd of handshakes is taken in portions, so that others come between. */
static void test_handshakes_in_portions(void **state)
{
	enum { CROWD = 3 * TLS_HANDSHAKES_A_TURN };
	uv_loop_t loop;
	struct sio_stats st;
	int fds[CROWD];
	char hello[2048];
	int n = first_bytes(hello, sizeof(hello));
	unsigned had = 0;

	(void)state;
	uv_loop_init(&loop);
	make((struct sio_server_options){ .loop = &loop });
	for (unsigned i = 0; i < CROWD; i++)
		fds[i] = dial(0);
	do {
		uv_run(&loop, UV_RUN_NOWAIT);
		sio_server_stats(server, &st);
	} while (st.http_connections < CROWD);
	for (unsigned i = 0; i < CROWD; i++)
		assert_int_equal(send(fds[i], hello, (size_t)n, MSG_NOSIGNAL), n);
	for (int turn = 0; turn < 10 && had < CROWD; turn++) {
		unsigned before = had;
		uv_run(&loop, UV_RUN_NOWAIT);
		had = answered(fds, CROWD);
		assert_true(had - before <= TLS_HANDSHAKES_A_TURN);
	}
	assert_int_equal(had, CROWD);
	for (unsigned i = 0; i < CROWD; i++)
		close(fds[i]);
	sio_server_close(server, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	sio_server_free(server);
	server = NULL;
	assert_int_equal(uv_loop_close(&loop), 0);
}

/* A plain connection is none the larger for it. */
static void test_sizes(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct net_conn), 56);
	assert_true(sizeof(struct tls_conn) <= 104);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test_teardown(test_versions, stop),
		cmocka_unit_test_teardown(test_tls_1_1_is_refused, stop),
		cmocka_unit_test_teardown(test_alpn, stop),
		cmocka_unit_test_teardown(test_tickets, stop),
		cmocka_unit_test_teardown(test_plain_http_is_told, stop),
		cmocka_unit_test_teardown(test_a_handshake_has_a_deadline, stop),
		cmocka_unit_test_teardown(test_a_trickle_has_a_deadline, stop),
		cmocka_unit_test_teardown(test_garbage, stop),
		cmocka_unit_test_teardown(test_large_answers_to_a_slow_reader, stop),
		cmocka_unit_test_teardown(test_a_reader_that_never_reads, stop),
		cmocka_unit_test_teardown(test_bodies_in_records_of_every_size, stop),
		cmocka_unit_test_teardown(test_ciphertext_byte_by_byte, stop),
		cmocka_unit_test_teardown(test_our_end_is_told, stop),
		cmocka_unit_test_teardown(test_a_client_that_closes_its_half, stop),
		cmocka_unit_test_teardown(test_answers_outlive_the_server, stop),
		cmocka_unit_test_teardown(test_ends_that_are_not_told, stop),
		cmocka_unit_test_teardown(test_an_end_that_is_not_told_under_way, stop),
		cmocka_unit_test_teardown(test_a_forged_record, stop),
		cmocka_unit_test_teardown(test_renegotiation_is_refused, stop),
		cmocka_unit_test_teardown(test_key_updates_without_end, stop),
		cmocka_unit_test(test_handshakes_in_portions),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
