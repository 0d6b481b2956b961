/* sha.c -- see sha.h.  Knows libcrypto.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "base/sha.h"

#include <openssl/evp.h>
#include <pthread.h>

/* Looking an algorithm up costs more than hashing a key: once a process. */
static EVP_MD *of_1, *of_256;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fetch(void)
{
	of_1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	of_256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static bool hash(EVP_MD *const *algorithm, const void *p, size_t n, unsigned char *out)
{
	pthread_once(&once, fetch);
	return *algorithm && EVP_Digest(p, n, out, NULL, *algorithm, NULL) == 1;
}

bool sha1(const void *p, size_t n, unsigned char out[SHA1_LEN])
{
	return hash(&of_1, p, n, out);
}

bool sha256(const void *p, size_t n, unsigned char out[SHA256_LEN])
{
	return hash(&of_256, p, n, out);
}
