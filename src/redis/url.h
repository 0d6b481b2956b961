/* url.h -- where Redis is and as whom we come: the text of an URL taken apart.
 *
 * Pure.  Knows what this version cannot do, and says so.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef REDIS_URL_H
#define REDIS_URL_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/redis.h>

enum { URL_HOST_MAX = 256, URL_PATH_MAX = 108, URL_WORD_MAX = 512, URL_DB_MAX = 65535 };

struct redis_url {
	char host[URL_HOST_MAX];      /* name or address; "" for a socket */
	char path[URL_PATH_MAX];      /* of the socket; "" for TCP */
	uint16_t port;
	uint32_t db;
	char user[URL_WORD_MAX];      /* "" for none */
	char password[URL_WORD_MAX];
	bool has_password;
	char shown[SIO_REDIS_ERROR_MAX]; /* the same without user and password */
};

/* Returns 0, or SIO_ERR_INVAL with a sentence in error. */
SIO_MUST_CHECK int redis_url_read(const char *text, struct redis_url *out, char error[SIO_REDIS_ERROR_MAX]);

/* The host and port of "MOVED 3999 127.0.0.1:6381" into out, which says the rest already.
 * An empty host is the one that is there.  false: it is none. */
bool redis_url_move(struct redis_url *out, const char *answer);

#endif
