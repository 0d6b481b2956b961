/* tls_files.c -- a TLS context for servers from two PEM files, or what is wrong with them.
 *
 * What is allowed is decided here: TLS 1.2 and 1.3, forward secrecy and authenticated
 * encryption alone, nothing compressed, nothing renegotiated, no early data, HTTP/1.1.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "net/tls.h"

enum { FILE_MAX_BYTES = 1048576 };

static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20"; /* of TLS 1.2; those of 1.3 are all of this kind */
static const unsigned char protocols[] = "\x08http/1.1";

/* ---- what is wrong ----------------------------------------------------------------- */

static int refuse(struct net_tls_note *note, const char *option, const char *path, const char *why)
{
	snprintf(note->text, sizeof(note->text), "%s=%.250s cannot be used: %.330s", option, path, why);
	return SIO_ERR_INVAL;
}

/* Before OpenSSL opens it: its words for the system's errors say less, and it would wait
 * for whatever is no file. */
static int check_file(const char *option, const char *path, struct net_tls_note *note)
{
	struct stat st;
	FILE *f;
	int first;

	if (stat(path, &st) < 0)
		return refuse(note, option, path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(note, option, path, "it is no regular file");
	if (st.st_size > FILE_MAX_BYTES)
		return refuse(note, option, path, "it is too large for a PEM file");
	f = fopen(path, "re");
	if (!f)
		return refuse(note, option, path, strerror(errno));
	first = fgetc(f);
	fclose(f);
	return first == EOF ? refuse(note, option, path, "it is empty") : SIO_OK;
}

/* The file is no PEM file of what was wanted, or the reason that OpenSSL gives. */
static int refuse_openssl(struct net_tls_note *note, const char *option, const char *path, const char *is_not_pem)
{
	unsigned long first = ERR_peek_error();
	const char *why = ERR_reason_error_string(first);
	bool has_none = (ERR_GET_LIB(first) == ERR_LIB_PEM && ERR_GET_REASON(first) == PEM_R_NO_START_LINE) ||
			ERR_GET_REASON(first) == ERR_R_UNSUPPORTED;

	return refuse(note, option, path, has_none || !why ? is_not_pem : why);
}

/* ---- certificate and key ------------------------------------------------------------- */

static int use_cert(SSL_CTX *ctx, const char *path, struct net_tls_note *note)
{
	int err = check_file("tls_cert", path, note);

	ERR_clear_error();
	if (err == SIO_OK && SSL_CTX_use_certificate_chain_file(ctx, path) != 1)
		err = refuse_openssl(note, "tls_cert", path, "it holds no certificate in PEM form");
	return err;
}

/* Nobody is there to type a passphrase. */
static int on_passphrase(char *out, int max, int is_writing, void *arg)
{
	(void)out, (void)max, (void)is_writing;
	*(bool *)arg = true;
	return -1;
}

static int use_key(SSL_CTX *ctx, const char *path, const char *cert, struct net_tls_note *note)
{
	bool is_encrypted = false;
	char why[320];
	int err = check_file("tls_key", path, note);

	if (err < 0)
		return err;
	ERR_clear_error();
	SSL_CTX_set_default_passwd_cb(ctx, on_passphrase);
	SSL_CTX_set_default_passwd_cb_userdata(ctx, &is_encrypted);
	if (SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM) == 1 && SSL_CTX_check_private_key(ctx) == 1)
		err = SIO_OK;
	else if (is_encrypted)
		err = refuse(note, "tls_key", path, "it is encrypted; a key without a passphrase is needed");
	else if (ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_X509 ||
		 ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_NO_CERTIFICATE_ASSIGNED) {
		snprintf(why, sizeof(why), "it is not the key of the certificate in %.250s", cert);
		err = refuse(note, "tls_key", path, why);
	} else
		err = refuse_openssl(note, "tls_key", path, "it holds no private key in PEM form");
	SSL_CTX_set_default_passwd_cb(ctx, NULL);
	SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
	return err;
}

/* "TLS certificate of CN=..., valid until 2027-01-31T12:00:00Z, from PATH" */
static void describe(const SSL_CTX *ctx, const char *path, struct net_tls_note *note)
{
	const X509 *x = SSL_CTX_get0_certificate(ctx);
	BIO *subject = BIO_new(BIO_s_mem());
	bool is_early = X509_cmp_current_time(X509_get0_notBefore(x)) > 0;
	bool is_late = X509_cmp_current_time(X509_get0_notAfter(x)) < 0;
	char when[32] = "?", *name = NULL;
	struct tm tm;
	long n = 0;

	if (subject && X509_NAME_print_ex(subject, X509_get_subject_name(x), 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB) >= 0)
		n = BIO_get_mem_data(subject, &name);
	if (ASN1_TIME_to_tm(is_early ? X509_get0_notBefore(x) : X509_get0_notAfter(x), &tm) == 1)
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	snprintf(note->text, sizeof(note->text), "TLS certificate of %.*s%s %s, from %.250s", n > 0 ? (int)(n < 250 ? n : 250) : 1,
		 n > 0 ? name : "?", is_early ? " is not valid before" : is_late ? " HAS EXPIRED, it was valid until" : ", valid until",
		 when, path);
	note->is_warning = is_early || is_late;
	BIO_free(subject);
}

/* ---- the context ----------------------------------------------------------------------- */

/* A client that names protocols and not ours would not understand a word. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in, unsigned in_n, void *arg)
{
	unsigned char *chosen;

	(void)ssl, (void)arg;
	if (SSL_select_next_proto(&chosen, out_n, protocols, sizeof(protocols) - 1, in, in_n) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *ctx_new(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) || !SSL_CTX_set_cipher_list(ctx, ciphers)) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS); /* an idle connection has no buffer */
	/* Sessions are kept by clients, in tickets: a cache here would only grow. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_early_data(ctx, 0); /* what comes early can be sent again by anybody */
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	return ctx;
}

int tls_ctx_load(const char *cert, const char *key, struct ssl_ctx_st **out, struct net_tls_note *note)
{
	SSL_CTX *ctx = ctx_new();
	int err;

	*out = NULL;
	*note = (struct net_tls_note){ .text = "" };
	if (!ctx) {
		snprintf(note->text, sizeof(note->text), "out of memory for TLS");
		return SIO_ERR_NOMEM;
	}
	err = use_cert(ctx, cert, note);
	if (err == SIO_OK)
		err = use_key(ctx, key, cert, note);
	ERR_clear_error();
	if (err < 0) {
		SSL_CTX_free(ctx);
		return err;
	}
	describe(ctx, cert, note);
	*out = ctx;
	return SIO_OK;
}
