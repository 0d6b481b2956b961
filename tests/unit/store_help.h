/* store_help.h -- a store in a folder of its own, and asks in one line.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_STORE_HELP_H
#define TESTS_STORE_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/store.h"

#define S(text) sio_str(text)
#define ASK(...) (&(struct store_ask){ __VA_ARGS__ })

static char help_folder[64];
static int64_t help_now_ms = 1772000000000;

static inline int64_t help_clock(void)
{
	return help_now_ms;
}

static inline void help_folder_make(void)
{
	strcpy(help_folder, "/tmp/skybuild-store-XXXXXX");
	assert_non_null(mkdtemp(help_folder));
}

static inline void help_folder_remove(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", help_folder);
	assert_int_equal(system(command), 0);
}

static inline const char *help_url(void)
{
	static char url[128];

	snprintf(url, sizeof(url), "sqlite:///%s/test.db", help_folder);
	return url;
}

/* A store without a thread on help_url. */
static inline struct store *help_open(void)
{
	struct store_options options = { .url = help_url(), .clock_ms = help_clock };
	struct store *store = NULL;
	char error[STORE_ERROR_MAX];

	if (store_open(&options, &store, error) != SIO_OK)
		fail_msg("store_open: %s", error);
	return store;
}

/* Run and insist on the status; the result is to be freed. */
static inline struct store_result *help_run(struct store *store, const struct store_ask *ask, enum store_status want)
{
	struct store_result *result = store_run(store, ask);

	assert_non_null(result);
	if (result->status != want)
		fail_msg("%s: %s (%s), wanted %s", store_op_name(ask->op), store_status_name(result->status), result->error,
			 store_status_name(want));
	assert_true((result->status == STORE_OK) == (result->error[0] == '\0'));
	return result;
}

/* Run for the status alone. */
static inline void help_do(struct store *store, const struct store_ask *ask, enum store_status want)
{
	store_result_free(help_run(store, ask, want));
}

static inline bool help_has(sio_slice text, const char *part)
{
	return memmem(text.p ? text.p : "", text.n, part, strlen(part)) != NULL;
}

#define assert_has(text, part)                                                                            \
	do {                                                                                              \
		sio_slice help_text_ = (text);                                                            \
		if (!help_has(help_text_, part))                                                          \
			fail_msg("'%s' is not in %.*s", part, (int)help_text_.n, help_text_.n ? help_text_.p : ""); \
	} while (0)

#define assert_text(slice, want)                                                                          \
	do {                                                                                              \
		sio_slice help_text_ = (slice);                                                           \
		if (!sio_slice_eq(help_text_, sio_str(want)))                                             \
			fail_msg("got %.*s, wanted %s", (int)help_text_.n, help_text_.n ? help_text_.p : "", want); \
	} while (0)

/* Users anna (owner), ben (editor) and cleo (no role); project proj-1. */
static inline void help_fill(struct store *store)
{
	help_do(store, ASK(.op = STORE_USER_ADD, .user = S("anna"), .body = S("{\"name\":\"Anna\"}"), .secret = S("hash-a")),
		STORE_OK);
	help_do(store, ASK(.op = STORE_USER_ADD, .user = S("ben"), .body = S("{\"name\":\"Ben\"}")), STORE_OK);
	help_do(store, ASK(.op = STORE_USER_ADD, .user = S("cleo"), .body = S("{\"name\":\"Cleo\"}")), STORE_OK);
	help_do(store, ASK(.op = STORE_PROJECT_ADD, .project = S("proj-1"), .user = S("anna"), .body = S("{\"name\":\"One\"}")),
		STORE_OK);
	help_do(store, ASK(.op = STORE_COLLAB_PUT, .project = S("proj-1"), .user = S("ben"), .actor = S("anna"),
			   .body = S("{\"role\":\"editor\"}")), STORE_OK);
}

#endif
