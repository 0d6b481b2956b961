/* cert.h -- certificates and keys for tests, made when they are needed.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_CERT_H
#define TESTS_CERT_H

struct cert_options {
	const char *name;       /* common name */
	long from_s, to_s;      /* valid from and to, seconds from now; both 0: a day */
	const char *passphrase; /* of the key file; NULL: none */
	int is_rsa;             /* 2048 bits; else P-256 */
};

/* Write a self-signed certificate and its key as PEM files.  Aborts on failure. */
void cert_write(const char *cert_path, const char *key_path, const struct cert_options *o);

#endif
