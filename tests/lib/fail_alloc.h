/* fail_alloc.h -- memory that runs out when a test says so, and a count of what is out.
 *
 * The linker leads each call of malloc, calloc, realloc, free, strdup, pool_take and regcomp
 * in the program and in libsio here (CMakeLists.txt: programs named *_torture_test); what
 * shared libraries allocate for themselves is not seen.  Nothing fails unless a test
 * has armed it; exactly one file of a program may include this.  One thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_LIB_FAIL_ALLOC_H
#define TESTS_LIB_FAIL_ALLOC_H

#include <regex.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/pool.h"

static struct {
	bool is_armed;
	bool for_good;        /* once one has failed, all do */
	uint64_t seen;        /* requests since it was armed */
	uint64_t failed;      /* of these */
	uint64_t at;          /* this one fails, counted from 1; 0: none */
	bool (*decide)(void); /* instead of at, when set */
	int64_t out;          /* blocks not freed yet, of the whole program */
} fail_alloc;

static inline void fail_alloc_arm(uint64_t at, bool for_good)
{
	fail_alloc.seen = fail_alloc.failed = 0;
	fail_alloc.at = at;
	fail_alloc.for_good = for_good;
	fail_alloc.decide = NULL;
	fail_alloc.is_armed = true;
}

static inline void fail_alloc_disarm(void)
{
	fail_alloc.is_armed = false;
}

static inline bool fail_alloc_now(void)
{
	bool fails;

	if (!fail_alloc.is_armed)
		return false;
	fail_alloc.seen++;
	fails = fail_alloc.decide ? fail_alloc.decide() : fail_alloc.seen == fail_alloc.at;
	fails |= fail_alloc.for_good && fail_alloc.failed > 0;
	fail_alloc.failed += fails;
	return fails;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t each);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
char *__real_strdup(const char *s);
void *__real_pool_take(struct pool *p);
int __real_regcomp(regex_t *regex, const char *pattern, int flags);

void *__wrap_malloc(size_t n)
{
	void *p = fail_alloc_now() ? NULL : __real_malloc(n);

	fail_alloc.out += p != NULL;
	return p;
}

void *__wrap_calloc(size_t n, size_t each)
{
	void *p = fail_alloc_now() ? NULL : __real_calloc(n, each);

	fail_alloc.out += p != NULL;
	return p;
}

void *__wrap_realloc(void *p, size_t n)
{
	void *grown = fail_alloc_now() ? NULL : __real_realloc(p, n);

	fail_alloc.out += !p && grown;
	return grown;
}

void __wrap_free(void *p)
{
	fail_alloc.out -= p != NULL;
	__real_free(p);
}

char *__wrap_strdup(const char *s)
{
	char *p = fail_alloc_now() ? NULL : __real_strdup(s);

	fail_alloc.out += p != NULL;
	return p;
}

void *__wrap_pool_take(struct pool *p)
{
	return fail_alloc_now() ? NULL : __real_pool_take(p);
}

int __wrap_regcomp(regex_t *regex, const char *pattern, int flags)
{
	return fail_alloc_now() ? REG_ESPACE : __real_regcomp(regex, pattern, flags);
}

#endif
