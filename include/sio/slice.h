/* slice.h -- borrowed bytes: a pointer and a length, never owned, never terminated.
 *
 * A slice is valid as long as what it points into; each call that hands one out
 * says how long that is.  Strings of the public API are slices, so that bytes of
 * the wire can be passed on without a copy.  Calls that name no error cannot fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef SIO_SLICE_H
#define SIO_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct sio_slice {
	const char *p;
	size_t n;
} sio_slice;

#ifdef __cplusplus
#define SIO_A_SLICE sio_slice
#else
#define SIO_A_SLICE (sio_slice)
#endif

/* A string literal as a slice; its length is known to the compiler. */
#define SIO_LIT(s) (SIO_A_SLICE{ "" s, sizeof(s) - 1 })

/* Bytes p..p+n as a slice. */
static inline sio_slice sio_bytes(const void *p, size_t n)
{
	sio_slice s = { (const char *)p, n };

	return s;
}

/* A C string as a slice, without its terminator; NULL gives the empty slice. */
static inline sio_slice sio_str(const char *s)
{
	return sio_bytes(s, s ? strlen(s) : 0);
}

/* Are they the same bytes? */
static inline bool sio_slice_eq(sio_slice a, sio_slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

#endif
