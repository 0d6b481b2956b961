/* truth.h -- what was committed and who may be where: what clients are measured by.
 *
 * Filled from the database itself, behind each commit, and from nothing that servers say.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef TESTS_SIM_TRUTH_H
#define TESTS_SIM_TRUTH_H

#include "sim/sim.h"
#include "store/store.h"

void truth_begin(void);
void truth_end(void);

/* ---- events: position, stream, number, payload ---- */
int64_t truth_position(void); /* of the last one */
uint64_t truth_hash(sio_slice data);
void truth_commit(int64_t position, sio_slice stream, int64_t seq, sio_slice type, sio_slice data);
int64_t truth_last(unsigned project);
int64_t truth_user_last(unsigned user);
/* When it was committed; 0: there is no such event, or its payload is another. */
uint64_t truth_committed_ms(unsigned project, int64_t seq, uint64_t hash);
/* The number of a notification in its user's stream; 0: none. */
int64_t truth_notice(unsigned user, uint64_t hash);
uint64_t truth_notice_ms(unsigned user, int64_t seq);

/* ---- writes: each token stands for one wish of one client ---- */
uint64_t truth_token(void);            /* a new one */
unsigned truth_token_n(uint64_t token); /* how often it was committed */

/* ---- roles ---- */
void truth_role_may_have_changed(const struct store_ask *ask, enum store_status status);
bool truth_has_role(unsigned project, unsigned user);
/* Since when the user has none; 0: it has one. */
uint64_t truth_revoked_ms(unsigned project, unsigned user);

#endif
