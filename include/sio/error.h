/* error.h -- the one list of result codes.
 *
 * Calls that can fail return int: 0 (SIO_OK) or one of these negative codes.
 * Each prototype names the ones it can return.  The call of this file cannot fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef SIO_ERROR_H
#define SIO_ERROR_H

#define SIO_ERR_MAP(X)                                                        \
	X(MORE,   -1, "need more bytes")                                      \
	X(PROTO,  -2, "the peer broke the protocol")                          \
	X(LIMIT,  -3, "a configured limit was reached")                       \
	X(CLOSED, -4, "the session is closed")                                \
	X(NOMEM,  -5, "out of memory")                                        \
	X(INVAL,  -6, "an argument is outside what the call accepts")         \
	X(EXISTS, -7, "it exists already")                                    \
	X(NOENT,  -8, "there is no such thing")                               \
	X(SYSTEM, -9, "the operating system refused (see errno)")             \
	X(UTF8,  -10, "the text is not valid UTF-8")                          \
	X(BUSY,  -11, "the queue is full, try again later")                   \
	X(TIMEOUT, -12, "the operation has timed out")

enum sio_error {
	SIO_OK = 0,
#define X(name, code, text) SIO_ERR_##name = code,
	SIO_ERR_MAP(X)
#undef X
};

#if defined(__GNUC__)
#define SIO_MUST_CHECK __attribute__((warn_unused_result))
#define SIO_PRINTF(a, b) __attribute__((format(printf, a, b)))
#else
#define SIO_MUST_CHECK
#define SIO_PRINTF(a, b)
#endif

/* What the shared library gives away: these calls and nothing else. */
#if defined(__GNUC__) && defined(SIO_BUILDING)
#define SIO_API __attribute__((visibility("default")))
#else
#define SIO_API
#endif

/* Around the declarations of each header. */
#ifdef __cplusplus
#define SIO_BEGIN extern "C" {
#define SIO_END }
#else
#define SIO_BEGIN
#define SIO_END
#endif

SIO_BEGIN

/* The text of a code; never NULL, static storage.  Any thread. */
SIO_API const char *sio_strerror(int code);

SIO_END

#endif
