/* cert.c -- see cert.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "lib/cert.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(int is_right, const char *what)
{
	if (is_right)
		return;
	fprintf(stderr, "cert: %s failed\n", what);
	abort();
}

static void write_cert(const char *path, X509 *x)
{
	FILE *f = fopen(path, "w");

	must(f && PEM_write_X509(f, x) == 1 && fclose(f) == 0, path);
}

static void write_key(const char *path, EVP_PKEY *key, const char *passphrase)
{
	FILE *f = fopen(path, "w");
	const EVP_CIPHER *cipher = passphrase ? EVP_aes_256_cbc() : NULL;

	must(f && PEM_write_PrivateKey(f, key, cipher, (const unsigned char *)passphrase, passphrase ? (int)strlen(passphrase) : 0,
				       NULL, NULL) == 1 && fclose(f) == 0, path);
}

void cert_write(const char *cert_path, const char *key_path, const struct cert_options *o)
{
	static long serial = 1;
	EVP_PKEY *key = o->is_rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_NAME *name = x ? X509_get_subject_name(x) : NULL;

	must(key && x, "a key");
	ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
	X509_gmtime_adj(X509_getm_notBefore(x), o->from_s);
	X509_gmtime_adj(X509_getm_notAfter(x), o->from_s || o->to_s ? o->to_s : 86400);
	must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)o->name, -1, -1, 0), "a name");
	must(X509_set_issuer_name(x, name) && X509_set_pubkey(x, key) && X509_sign(x, key, EVP_sha256()) > 0, "a signature");
	write_cert(cert_path, x);
	write_key(key_path, key, o->passphrase);
	X509_free(x);
	EVP_PKEY_free(key);
}
