/* seal.h -- what stands before each message on a channel, and who can have written it.
 *
 *	version (1)  kind (1)  sender (20)  counter (8, network order)  tag (16)  the message
 *
 * The tag is the beginning of HMAC-SHA-256 over what stands before it, the channel with
 * its length (2 bytes), and the message; without a secret it is zero.  The counter is of
 * the sender's over all channels and rises with each message, never slower than the
 * microseconds since 1970: so a stranger's first message tells its age as well.
 *
 * Knows libcrypto; refuses to know who has been heard before (nodes.c).  One thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef REDIS_SEAL_H
#define REDIS_SEAL_H

#include <stdbool.h>
#include <stdint.h>

#include <sio/adapter.h>

enum {
	SEAL_VERSION = 1,
	SEAL_TAG = 16,
	SEAL_SIGNED = 2 + SIO_NODE_ID_LEN + 8, /* bytes of the head that the tag covers */
	SEAL_HEAD = SEAL_SIGNED + SEAL_TAG,
};

enum seal_kind {
	SEAL_MESSAGE = 1, /* of the hub */
	SEAL_BEAT,        /* I am here */
	SEAL_HELLO,       /* the same, and everybody else shall say so, too */
	SEAL_BYE,         /* I leave */
	SEAL_NKINDS,
};

struct seal {
	void *mac;        /* EVP_MAC_CTX with the key; NULL: no secret */
};

struct seal_head {
	enum seal_kind kind;
	sio_slice sender; /* into the message */
	uint64_t counter;
	sio_slice message;
};

/* 0, SIO_ERR_NOMEM or SIO_ERR_SYSTEM (libcrypto has no HMAC or SHA-256). */
SIO_MUST_CHECK int seal_init(struct seal *seal, sio_slice secret);
void seal_fini(struct seal *seal);

/* Write the head for a message on channel. */
SIO_MUST_CHECK bool seal_write(struct seal *seal, char out[SEAL_HEAD], enum seal_kind kind, const char *sender,
			       uint64_t counter, sio_slice channel, sio_slice message);

/* Take bytes apart.  false: not of this version, too short, or the tag is not what our
 * secret makes of it. */
SIO_MUST_CHECK bool seal_read(struct seal *seal, sio_slice bytes, sio_slice channel, struct seal_head *out);

#endif
