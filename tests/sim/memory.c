/* memory.c -- how many blocks of memory are out: of the program, libsio and the server's parts.
 *
 * The linker leads their calls here; what shared libraries allocate for themselves is not seen, and
 * AddressSanitizer sees to that.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include "sim/sim.h"

static int64_t out;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t each);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t each);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
char *__wrap_strdup(const char *s);

int64_t memory_out(void)
{
	return out;
}

void *__wrap_malloc(size_t n)
{
	void *p = __real_malloc(n);

	out += p != NULL;
	return p;
}

void *__wrap_calloc(size_t n, size_t each)
{
	void *p = __real_calloc(n, each);

	out += p != NULL;
	return p;
}

void *__wrap_realloc(void *p, size_t n)
{
	void *grown = __real_realloc(p, n);

	out += !p && grown;
	return grown;
}

void __wrap_free(void *p)
{
	out -= p != NULL;
	__real_free(p);
}

char *__wrap_strdup(const char *s)
{
	char *p = __real_strdup(s);

	out += p != NULL;
	return p;
}
