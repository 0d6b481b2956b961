/* net_tls_files_test.c -- certificate and key: what is refused and in which words, what is
 * read again while clients are connected.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "unit/net_tls_fixture.h"

/* ---- files -------------------------------------------------------------------------------- */

static void expect_refused(const char *cert_path, const char *key_path, const char *want)
{
	struct sio_server_options o = { .tls_cert = cert_path, .tls_key = key_path, .log = on_line };

	said[0] = '\0';
	assert_int_equal(sio_server_new(&o, &server), SIO_ERR_INVAL);
	assert_null(server);
	if (strncmp(said, "ERROR ", 6) != 0 || !strstr(said, want) || strchr(said, '\n') != said + strlen(said) - 1)
		fail_msg("said '%s', want '%s'", said, want);
}

static void test_files_that_cannot_be_used(void **state)
{
	char *empty = in_dir("empty"), *text = in_dir("text"), *broken = in_dir("broken"), *locked = in_dir("locked"), *rsa = in_dir("rsa");

	(void)state;
	write_file(empty, "");
	write_file(text, "hello\n");
	write_file(broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
			   "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
	cert_write(in_dir("c"), locked, &(struct cert_options){ .name = "x", .passphrase = "secret" });
	cert_write(in_dir("c"), rsa, &(struct cert_options){ .name = "x", .is_rsa = 1 });
	expect_refused(in_dir("nothing"), key, "/nothing cannot be used: No such file or directory");
	expect_refused(dir, key, "cannot be used: it is no regular file");
	expect_refused(empty, key, "/empty cannot be used: it is empty");
	expect_refused(text, key, "tls_cert=");
	expect_refused(text, key, "/text cannot be used: it holds no certificate in PEM form");
	expect_refused(key, key, "it holds no certificate in PEM form");
	expect_refused(broken, key, "/broken cannot be used: ");
	expect_refused(cert, in_dir("nothing"), "tls_key=");
	expect_refused(cert, in_dir("nothing"), "/nothing cannot be used: No such file or directory");
	expect_refused(cert, text, "/text cannot be used: it holds no private key in PEM form");
	expect_refused(cert, cert, "it holds no private key in PEM form");
	expect_refused(cert, broken, "/broken cannot be used: ");
	expect_refused(cert, other_key, "it is not the key of the certificate in ");
	expect_refused(cert, rsa, "it is not the key of the certificate in ");
	expect_refused(cert, locked, "/locked cannot be used: it is encrypted; a key without a passphrase is needed");
	expect_refused(cert, NULL, "cannot be used: tls_key is not set; both are needed");
	expect_refused(NULL, key, "cannot be used: tls_cert is not set; both are needed");
}

/* Root may read everything: only somebody else can see this one. */
/* Root may read every file, unless it lays that right aside. */
static void let_read_all(bool may)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct sets[2];

	assert_int_equal(syscall(SYS_capget, &head, sets), 0);
	sets[0].effective &= ~(1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH);
	if (may)
		sets[0].effective = sets[0].permitted;
	assert_int_equal(syscall(SYS_capset, &head, sets), 0);
}

static void test_a_file_that_may_not_be_read(void **state)
{
	char *path = in_dir("closed");

	(void)state;
	write_file(path, "x");
	chmod(path, 0);
	let_read_all(false);
	expect_refused(cert, path, "/closed cannot be used: Permission denied");
	let_read_all(true);
}

static void test_dates(void **state)
{
	char *c = in_dir("old"), *k = in_dir("old-key");

	(void)state;
	make((struct sio_server_options){ 0 });
	assert_non_null(strstr(said, "INFO TLS certificate of CN = localhost, valid until 20"));
	sio_server_free(server);
	cert_write(c, k, &(struct cert_options){ .name = "b\xc3\xbcro", .from_s = -7200, .to_s = -3600 });
	make((struct sio_server_options){ .tls_cert = c, .tls_key = k });
	assert_non_null(strstr(said, "WARNING TLS certificate of CN = b\xc3\xbcro HAS EXPIRED, it was valid until 20"));
	sio_server_free(server);
	cert_write(c, k, &(struct cert_options){ .name = "x", .from_s = 3600, .to_s = 7200 });
	make((struct sio_server_options){ .tls_cert = c, .tls_key = k });
	assert_non_null(strstr(said, "WARNING TLS certificate of CN = x is not valid before 20"));
	sio_server_free(server);
	server = NULL;
}

static void test_proxies_that_are_none(void **state)
{
	const char *const list[] = { "10.0.0.0/8", "10.0.0.0/33", NULL };
	struct sio_server_options o = { .trusted_proxies = list, .log = on_line };

	(void)state;
	said[0] = '\0';
	assert_int_equal(sio_server_new(&o, &server), SIO_ERR_INVAL);
	assert_string_equal(said, "ERROR trusted_proxies=10.0.0.0/33 is not accepted; accepted: addresses and networks "
				  "such as 10.0.0.0/8 or ::1\n");
}

/* ---- the files again --------------------------------------------------------------------------- */

static void copy(const char *from, const char *to)
{
	char text[8192];
	FILE *f = fopen(from, "r");
	size_t n = fread(text, 1, sizeof(text) - 1, f);

	fclose(f);
	text[n] = '\0';
	write_file(to, text);
}

static void test_reload(void **state)
{
	char *c = in_dir("live"), *k = in_dir("live-key");
	SSL *before, *after;

	(void)state;
	copy(cert, c);
	copy(key, k);
	start((struct sio_server_options){ .tls_cert = c, .tls_key = k });
	before = connect_tls(0, 0);
	expect_subject(before, "localhost");

	copy(other_cert, c); /* half of a change */
	assert_int_equal(reload(), SIO_ERR_INVAL);
	assert_non_null(strstr(said, "ERROR tls_key="));
	assert_non_null(strstr(said, "it is not the key of the certificate in "));
	unlink(k);
	assert_int_equal(reload(), SIO_ERR_INVAL);
	assert_non_null(strstr(said, "No such file or directory"));
	after = connect_tls(0, 0);
	expect_subject(after, "localhost");
	hang_up(after);

	copy(other_key, k);
	assert_int_equal(reload(), SIO_OK);
	assert_non_null(strstr(said, "INFO TLS certificate of CN = other, valid until 20"));
	after = connect_tls(0, 0);
	expect_subject(after, "other");
	expect_hello(after);
	expect_hello(before);
	hang_up(after);
	hang_up(before);
}

static void test_nothing_to_reload(void **state)
{
	struct sio_server *plain;

	(void)state;
	assert_int_equal(sio_server_new(NULL, &plain), SIO_OK);
	assert_int_equal(sio_server_tls_reload(plain), SIO_ERR_NOENT);
	sio_server_free(plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files_that_cannot_be_used),
		cmocka_unit_test(test_a_file_that_may_not_be_read),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_proxies_that_are_none),
		cmocka_unit_test(test_nothing_to_reload),
		cmocka_unit_test_teardown(test_reload, stop),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
