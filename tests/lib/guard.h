/* guard.h -- bytes that end where memory ends.
 *
 * guard_put copies bytes so that the one behind the last lies in an unreadable
 * page: a parser that looks one byte too far crashes, with any compiler flags.
 * One block at a time; the next guard_put takes the place of the last.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_LIB_GUARD_H
#define TESTS_LIB_GUARD_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GUARD_BYTES = 4 << 20 };

static inline char *guard_put(const void *p, size_t n)
{
	static char *end;

	if (!end) {
		size_t page = (size_t)sysconf(_SC_PAGESIZE);
		char *map = mmap(NULL, GUARD_BYTES + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (map == MAP_FAILED || mprotect(map + GUARD_BYTES, page, PROT_NONE) != 0)
			abort();
		end = map + GUARD_BYTES;
	}
	if (n > GUARD_BYTES)
		abort();
	if (n > 0)
		memcpy(end - n, p, n);
	return end - n;
}

#endif
