/* password.c -- see password.h.  Knows libsodium's hashes of passwords.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "auth/password.h"

#include <sodium.h>
#include <string.h>

_Static_assert(PASSWORD_HASH_MAX >= crypto_pwhash_STRBYTES, "a hash fits");

int password_hash(const char *password, char *out, size_t cap)
{
	size_t n = strlen(password);

	if (cap < PASSWORD_HASH_MAX)
		return SIO_ERR_LIMIT;
	if (n == 0 || n > PASSWORD_MAX)
		return SIO_ERR_INVAL;
	if (sodium_init() < 0 || crypto_pwhash_str(out, password, n, crypto_pwhash_OPSLIMIT_INTERACTIVE,
						   crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0)
		return SIO_ERR_NOMEM;
	return SIO_OK;
}

/* The work of one verification, for nobody's benefit. */
static void spend_the_same(sio_slice password)
{
	static const unsigned char salt[crypto_pwhash_SALTBYTES] = "nobody's salt";
	unsigned char key[32];

	if (crypto_pwhash(key, sizeof(key), password.p, password.n, salt, crypto_pwhash_OPSLIMIT_INTERACTIVE,
			  crypto_pwhash_MEMLIMIT_INTERACTIVE, crypto_pwhash_ALG_ARGON2ID13) == 0)
		sodium_memzero(key, sizeof(key));
}

bool password_ok(sio_slice password, const char *hash)
{
	if (sodium_init() < 0 || password.n == 0 || password.n > PASSWORD_MAX)
		return false;
	if (!hash || !*hash) {
		spend_the_same(password);
		return false;
	}
	return crypto_pwhash_str_verify(hash, password.p, password.n) == 0;
}
