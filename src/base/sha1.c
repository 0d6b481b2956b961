/* sha1.c -- see sha1.h.  Knows libcrypto.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "base/sha1.h"

#include <openssl/evp.h>
#include <pthread.h>

/* Looking an algorithm up costs more than hashing a key: once a process. */
static EVP_MD *algorithm;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fetch(void)
{
	algorithm = EVP_MD_fetch(NULL, "SHA1", NULL);
}

bool sha1(const void *p, size_t n, unsigned char out[SHA1_LEN])
{
	pthread_once(&once, fetch);
	return algorithm && EVP_Digest(p, n, out, NULL, algorithm, NULL) == 1;
}
