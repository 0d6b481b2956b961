/* seal.c -- see seal.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "redis/seal.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/sha.h"

/* The secret may be the one that tokens are signed with: what we make of it is of no use
 * for those. */
static const char purpose[] = "sio: messages between servers over Redis, 1";

static int mac_new(const unsigned char key[SHA256_LEN], void **out)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
				      OSSL_PARAM_construct_end() };
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;

	EVP_MAC_free(mac);
	if (!ctx || EVP_MAC_init(ctx, key, SHA256_LEN, params) != 1) {
		EVP_MAC_CTX_free(ctx);
		return SIO_ERR_SYSTEM;
	}
	*out = ctx;
	return SIO_OK;
}

int seal_init(struct seal *seal, sio_slice secret)
{
	unsigned char key[SHA256_LEN];
	int err;

	*seal = (struct seal){ 0 };
	if (secret.n == 0)
		return SIO_OK;
	if (secret.n > INT32_MAX || !HMAC(EVP_sha256(), secret.p, (int)secret.n, (const unsigned char *)purpose,
					  sizeof(purpose) - 1, key, NULL))
		return SIO_ERR_SYSTEM;
	err = mac_new(key, &seal->mac);
	OPENSSL_cleanse(key, sizeof(key));
	return err;
}

void seal_fini(struct seal *seal)
{
	EVP_MAC_CTX_free(seal->mac);
	seal->mac = NULL;
}

static bool tag(struct seal *seal, const char *head, sio_slice channel, sio_slice message, char out[SEAL_TAG])
{
	unsigned char whole[SHA256_LEN], n[2] = { (unsigned char)(channel.n >> 8), (unsigned char)channel.n };
	size_t got;

	memset(out, 0, SEAL_TAG);
	if (!seal->mac)
		return true;
	/* Without a key it begins anew with the one it has. */
	if (EVP_MAC_init(seal->mac, NULL, 0, NULL) != 1 ||
	    EVP_MAC_update(seal->mac, (const unsigned char *)head, SEAL_SIGNED) != 1 ||
	    EVP_MAC_update(seal->mac, n, sizeof(n)) != 1 ||
	    EVP_MAC_update(seal->mac, (const unsigned char *)channel.p, channel.n) != 1 ||
	    (message.n && EVP_MAC_update(seal->mac, (const unsigned char *)message.p, message.n) != 1) ||
	    EVP_MAC_final(seal->mac, whole, &got, sizeof(whole)) != 1 || got != sizeof(whole))
		return false;
	memcpy(out, whole, SEAL_TAG);
	return true;
}

bool seal_write(struct seal *seal, char out[SEAL_HEAD], enum seal_kind kind, const char *sender, uint64_t counter,
		sio_slice channel, sio_slice message)
{
	out[0] = SEAL_VERSION;
	out[1] = (char)kind;
	memcpy(out + 2, sender, SIO_NODE_ID_LEN);
	for (int i = 0; i < 8; i++)
		out[2 + SIO_NODE_ID_LEN + i] = (char)(counter >> (56 - 8 * i));
	return tag(seal, out, channel, message, out + SEAL_SIGNED);
}

bool seal_read(struct seal *seal, sio_slice bytes, sio_slice channel, struct seal_head *out)
{
	char want[SEAL_TAG];

	if (bytes.n < SEAL_HEAD || bytes.p[0] != SEAL_VERSION || bytes.p[1] < SEAL_MESSAGE || bytes.p[1] >= SEAL_NKINDS)
		return false;
	*out = (struct seal_head){
		.kind = (enum seal_kind)bytes.p[1],
		.sender = sio_bytes(bytes.p + 2, SIO_NODE_ID_LEN),
		.message = sio_bytes(bytes.p + SEAL_HEAD, bytes.n - SEAL_HEAD),
	};
	for (int i = 0; i < 8; i++)
		out->counter = out->counter << 8 | (unsigned char)bytes.p[2 + SIO_NODE_ID_LEN + i];
	return tag(seal, bytes.p, channel, out->message, want) &&
	       CRYPTO_memcmp(want, bytes.p + SEAL_SIGNED, SEAL_TAG) == 0;
}
