/* fuzz_jwks.c -- a JWK Set from an issuer that means us no good.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct keys_report report;
	struct keys *keys = NULL;
	const cjose_jwk_t *key = NULL;
	unsigned algs;
	char error[256];

	if (jose_algs_parse("HS256,RS256,PS256,ES256,ES384,ES512", &algs, error, sizeof(error)) < 0)
		abort();
	if (keys_read(sio_bytes(data, size), algs, &keys, &report) < 0) {
		if (keys || report.error[0] == '\0')
			abort();
		return 0;
	}
	if (keys_n(keys) == 0 || keys_n(keys) > KEYS_MAX)
		abort();
	/* A set never has a key for a shared secret. */
	if (keys_find(keys, sio_bytes("", 0), jose_alg_find(SIO_LIT("HS256")), &key) != KEYS_NONE)
		abort();
	(void)keys_find(keys, SIO_LIT("a"), jose_alg_find(SIO_LIT("ES256")), &key);
	keys_unref(keys);
	return 0;
}
