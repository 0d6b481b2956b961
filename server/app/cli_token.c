/* cli_token.c -- "skybuild token" and "skybuild version".
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sio/json.h>

#include "access/access.h"
#include "app/command.h"
#include "auth/token.h"

enum { TTL_DEFAULT_S = 86400 };
#define TTL_MAX_S (100L * 366 * 86400)

/* Add NAME=VALUE to the members in arg (a struct buf); JSON stays JSON. */
static bool add_claim(const char *text, void *arg)
{
	struct buf *b = arg;
	const char *eq = strchr(text, '=');
	sio_slice value = eq ? sio_str(eq + 1) : SIO_LIT("");

	if (!eq || eq == text)
		return false;
	buf_byte(b, b->n ? ',' : '{');
	buf_json(b, sio_bytes(text, (size_t)(eq - text)));
	buf_byte(b, ':');
	if (value.n > 0 && sio_json_check(value) == SIO_OK)
		buf_slice(b, value);
	else
		buf_json(b, value);
	return true;
}

static int sign(struct config *c, const char *user, long ttl_s, struct buf *claims)
{
	char token[TOKEN_MAX + 1], error[CONFIG_ERROR_MAX], algorithm[8];
	bool is_made;
	long n;

	if (!config_sign_algorithm(c, algorithm))
		return command_fail("JWT_ALGORITHMS=%s names no HS algorithm, so there is no secret to sign with", c->jwt_algorithms);
	if (config_secret(c, true, &is_made, error))
		return command_fail("%s", error);
	if (claims->n > 0)
		buf_put(claims, "}", 2); /* with its NUL */
	n = claims->failed ? SIO_ERR_NOMEM
			   : token_sign(&(struct token_sign_options){ .algorithm = algorithm,
								      .secret = sio_str(c->jwt_secret),
								      .user = user,
								      .user_claim = c->jwt_user_claim,
								      .issuer = c->jwt_issuer,
								      .audience = c->jwt_audience,
								      .now_s = (int64_t)time(NULL),
								      .ttl_s = ttl_s,
								      .claims_json = claims->n > 0 ? claims->p : NULL },
					token, sizeof(token));
	if (n == SIO_ERR_INVAL)
		return command_fail("a --claim may not replace %s, iat, exp, iss or aud", c->jwt_user_claim);
	if (n < 0)
		return command_fail("the token could not be signed: %s", sio_strerror((int)n));
	puts(token);
	return EXIT_DONE;
}

int command_token(const struct command *self, int argc, char **argv)
{
	const char *ttl_text = NULL;
	struct buf claims = { 0 };
	const struct option_spec specs[] = {
		{ .name = "--ttl", .value = &ttl_text },
		{ .name = "--claim", .each = add_claim, .arg = &claims },
	};
	struct config config;
	long ttl_s = TTL_DEFAULT_S;
	char **words;
	int n, code = command_options(self, argc, argv, specs, 2, &words, &n);

	if (!code && n != 1)
		code = command_misuse(self, "one USER is needed");
	else if (!code && !access_user_id_ok(sio_str(words[0])))
		code = command_misuse(self, "'%s' is no user id (letters, digits and . _ - @ | + :)", words[0]);
	else if (!code && ttl_text && !command_number(ttl_text, TTL_MAX_S, &ttl_s))
		code = command_misuse(self, "--ttl must be a whole number of seconds, at least 1");
	if (!code)
		code = command_config(&config);
	if (!code) {
		code = sign(&config, words[0], ttl_s, &claims);
		config_fini(&config);
	}
	buf_fini(&claims);
	return code;
}

int command_version(const struct command *self, int argc, char **argv)
{
	(void)argv;
	if (argc > 0)
		return command_misuse(self, "it takes no arguments");
	puts("skybuild " SKYBUILD_VERSION);
	return EXIT_DONE;
}
