/* password.h -- argon2id hashes of passwords, by libsodium.
 *
 * Each call takes some 50 ms and 64 MiB on purpose: never on a loop thread, run
 * it through sio_server_work.  Any thread.  Passwords are never logged here and
 * must not be by the caller.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef AUTH_PASSWORD_H
#define AUTH_PASSWORD_H

#include <stdbool.h>

#include <sio/error.h>
#include <sio/slice.h>

enum {
	PASSWORD_MAX = 1024,     /* bytes of a password */
	PASSWORD_HASH_MAX = 128, /* bytes of a hash with its NUL */
};

/* Hash password into out, a printable string with salt and limits inside.  The
 * arguments fit store_hash_fn.  Returns 0, SIO_ERR_INVAL (empty, or longer than
 * PASSWORD_MAX), SIO_ERR_LIMIT (cap < PASSWORD_HASH_MAX), SIO_ERR_NOMEM. */
SIO_MUST_CHECK int password_hash(const char *password, char *out, size_t cap);

/* Is password the one behind hash?  hash "" or NULL (unknown user, or one without
 * a password) takes as long as a wrong password and answers false. */
bool password_ok(sio_slice password, const char *hash);

#endif
