/* error.c -- texts of the result codes, from the one list in <sio/error.h>.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <sio/error.h>

const char *sio_strerror(int code)
{
	switch (code) {
	case SIO_OK:
		return "success";
#define X(name, value, text)                                                  \
	case value:                                                           \
		return text;
		SIO_ERR_MAP(X)
#undef X
	default:
		return "unknown error";
	}
}
