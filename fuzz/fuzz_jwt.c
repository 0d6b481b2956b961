/* fuzz_jwt.c -- a token from a stranger: any bytes, and well signed nonsense.
 *
 * The input is verified as it is.  When it holds a line break, its two parts are
 * also taken as header and payload of a token with a good HS256 signature, so that
 * the fuzzer gets behind the signature.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/token.h"

#define SECRET "0123456789abcdef0123456789abcdef"
enum { INPUT_MAX = 5000, NOW = 1772000000 };

/* A public key that nobody has the private half of any more. */
static const char ec_pem[] =
	"-----BEGIN PUBLIC KEY-----\n"
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDIW8T/DzrT940/94QR4IvLMitsQQ\n"
	"XBgCAYc+YEKDxxO+yWpuohmcQ65VELt7AkFm8xVd82JK5BPoOMyasrDFcQ==\n"
	"-----END PUBLIC KEY-----\n";

static struct token_verifier *verifier_of(const struct token_options *options)
{
	struct token_verifier *v = NULL;
	char error[256];

	if (token_verifier_new(options, &v, error, sizeof(error)) < 0)
		abort();
	return v;
}

static size_t base64url(const uint8_t *p, size_t n, char *out)
{
	size_t length = (size_t)EVP_EncodeBlock((unsigned char *)out, p, (int)n);

	while (length > 0 && out[length - 1] == '=')
		length--;
	for (size_t i = 0; i < length; i++)
		out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
	return length;
}

static void verify(struct token_verifier *v, const char *token, size_t n)
{
	struct token_claims claims;
	enum token_status status = token_verify(v, sio_bytes(token, n), NOW, &claims);

	if (status == TOKEN_OK && (claims.user[0] == '\0' || strchr(claims.user, '\n') || claims.exp_s < NOW))
		abort();
	if ((status == TOKEN_OK) != (claims.reason[0] == '\0'))
		abort();
}

static void verify_signed(struct token_verifier *v, const uint8_t *data, size_t n, const uint8_t *line)
{
	char token[INPUT_MAX * 2];
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned mac_n = 0;
	size_t head_n = (size_t)(line - data), at = base64url(data, head_n, token);

	token[at++] = '.';
	at += base64url(line + 1, n - head_n - 1, token + at);
	HMAC(EVP_sha256(), SECRET, sizeof(SECRET) - 1, (unsigned char *)token, at, mac, &mac_n);
	token[at++] = '.';
	at += base64url(mac, mac_n, token + at);
	verify(v, token, at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct token_verifier *hs, *es;
	const uint8_t *line;
	char *exact;

	if (!hs) {
		hs = verifier_of(&(struct token_options){ .algorithms = "HS256", .secret = SIO_LIT(SECRET) });
		es = verifier_of(&(struct token_options){ .algorithms = "ES256", .public_key = ec_pem });
	}
	if (size > INPUT_MAX)
		return 0;
	exact = malloc(size + 1); /* one byte of our own, so that size 0 has an address */
	if (!exact)
		return 0;
	memcpy(exact, data, size);
	verify(hs, exact, size);
	verify(es, exact, size);
	token_of_header(sio_bytes(exact, size));
	free(exact);
	line = size ? memchr(data, '\n', size) : NULL;
	if (line)
		verify_signed(hs, data, size, line);
	return 0;
}
