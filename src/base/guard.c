/* guard.c -- see guard.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "base/guard.h"

#include <stdio.h>
#include <stdlib.h>

void guard_fail(const char *call, const char *wrong)
{
	fprintf(stderr, "libsio: %s %s\n", call, wrong);
	abort();
}
