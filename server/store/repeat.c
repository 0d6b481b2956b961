/* repeat.c -- first answers, kept by idempotency key for ANSWER_KEPT_MS.
 *
 * The answer commits together with the change it tells of, so a repeat finds either
 * both or neither.  A key belongs to its actor; a fingerprint of the request tells
 * an honest repeat from a key used twice.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "base/map.h"
#include "store/db.h"

static const int64_t ANSWER_KEPT_MS = 24 * 3600 * 1000LL;

/* Not a secret: a stable number for equal requests. */
static int64_t fingerprint(const struct store_ask *ask)
{
	static const uint64_t fixed[2] = { 0x736b796275696c64, 0x616e737765727321 };
	const sio_slice parts[] = { ask->project, ask->user, ask->item, ask->event, ask->body, ask->except_sid };
	size_t n = sizeof(parts) / sizeof(parts[0]) - (ask->except_sid.n == 0); /* as it was before there was one */
	uint64_t sum[2] = { fixed[0] ^ (uint64_t)ask->op, fixed[1] ^ (uint64_t)ask->version };

	/* Each part's hash seeds the next, so that no two partings of the same bytes agree. */
	for (size_t i = 0; i < n; i++)
		sum[i & 1] = map_hash(sum, parts[i].n ? parts[i].p : "", parts[i].n);
	return (int64_t)(map_hash(sum, "", 0) >> 1);
}

bool repeat_load(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	struct sql_stmt *st = sql_start(db, "SELECT fingerprint, json, version, seq, event_type, event FROM answers "
					 "WHERE actor = ?1 AND key = ?2 AND created_ms > ?3", "tti", ask->actor, ask->key,
				     db->now_ms - ANSWER_KEPT_MS);
	int r = sql_step(st);

	if (r == SQL_DONE)
		return false;
	if (r != SQL_ROW) {
		sql_fail(db, a);
		return true;
	}
	if (sql_int(st, 0) != fingerprint(ask)) {
		answer_fail(a, STORE_REFUSED, "the idempotency key was used for another request; take a new one");
		return true;
	}
	a->r.is_repeat = true;
	a->r.version = sql_int(st, 2);
	a->r.seq = sql_int(st, 3);
	buf_slice(&a->json, sql_text(st, 1));
	buf_slice(&a->type, sql_text(st, 4));
	buf_slice(&a->event, sql_text(st, 5));
	return true;
}

void repeat_save(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	if (sql_push(db, "DELETE FROM answers WHERE created_ms <= ?1", "i", db->now_ms - ANSWER_KEPT_MS) != SQL_DONE ||
	    sql_push(db, "INSERT INTO answers (actor, key, fingerprint, created_ms, json, version, seq, event_type, event) "
			 "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)", "ttiitiitt", ask->actor, ask->key,
		     fingerprint(ask), db->now_ms, buf_peek(&a->json), a->r.version, a->r.seq, buf_peek(&a->type),
		     buf_peek(&a->event)) != SQL_DONE)
		sql_fail(db, a);
}
