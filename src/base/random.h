/* random.h -- unguessable bytes from the operating system.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdbool.h>
#include <stddef.h>

/* Fill p[0..n) from the kernel's generator.  Does not fail: without randomness a
 * server must not hand out ids, so it aborts.  Any thread. */
void random_bytes(void *p, size_t n);

/* Write a 20-character URL-safe id (15 random bytes, base64url) and a NUL.
 * Random bytes come from a buffer of this thread, one system call for many ids. */
#define RANDOM_ID_LEN 20
void random_id(char out[RANDOM_ID_LEN + 1]);
/* Could these bytes be such an id? */
bool random_id_ok(const char *p, size_t n);

#endif
