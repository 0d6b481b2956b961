/* notify.c -- notifications: a user's inbox, and what puts something into it.
 *
 * The row is the inbox, where an absent user finds it; the event, in the stream
 * "user:<id>", is what a client that was away recovers.  Both hold the same payload,
 * and the notification's id is in it.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <sio/json.h>

#include "store/payload.h"
#include "store/db.h"

#define NOTIFY_ROW "id, data AS \"data#\", created_at, read_at"

/* No more bytes than a page holds, and one row: as in event.c. */
#define NOTIFY_PAGE_POSTGRES(where)                                                                                    \
	"SELECT id, \"data#\", created_at, read_at FROM (SELECT id, data AS \"data#\", created_at, read_at, "           \
	"coalesce(sum(octet_length(data)) OVER (ORDER BY id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING), 0) AS before " \
	"FROM (SELECT * FROM notifications WHERE \"user\" = ?1 AND id < ?3 " where " ORDER BY id DESC LIMIT ?6) AS n) AS p " \
	"WHERE before < " SQL_PAGE_BYTES " ORDER BY id DESC"

/* ---- putting ------------------------------------------------------------- */

/* The oldest of a full inbox go. */
static bool inbox_trim(struct db *db, sio_slice user, struct store_answer *a)
{
	if (sql_push(db, "DELETE FROM notifications WHERE \"user\" = ?1 AND id <= (SELECT id FROM notifications "
			 "WHERE \"user\" = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)", "ti", user, (int64_t)STORE_INBOX_MAX) == SQL_DONE)
		return true;
	sql_fail(db, a);
	return false;
}

static bool event_put(struct db *db, sio_slice user, struct buf *data, struct store_answer *a, int64_t *seq)
{
	struct buf stream = { 0 };

	buf_str(&stream, "user:");
	buf_slice(&stream, user);
	*seq = 0;
	if (stream.failed)
		answer_fail(a, STORE_UNAVAILABLE, "out of memory");
	else
		*seq = stream_put(db, a, &(struct stream_event){ .stream = buf_peek(&stream), .type = SIO_LIT("notification:new") }, data);
	sql_reset_all(db); /* stream goes out of scope */
	buf_fini(&stream);
	return *seq != 0;
}

int64_t notify_put(struct db *db, struct store_answer *a, sio_slice user, struct buf *data, int64_t *seq)
{
	int64_t id;

	if (sql_exec(db, "INSERT INTO notifications (\"user\", data, created_at) VALUES (?1, '', ?2)", "tt", user,
		     sio_str(db->now)) != SQL_DONE) {
		sql_fail(db, a);
		return 0;
	}
	id = db->driver->new_id(db);
	payload_add_int(data, "id", "notification_id", id);
	if (data->failed) {
		answer_fail(a, STORE_UNAVAILABLE, "out of memory");
		return 0;
	}
	if (sql_push(db, "UPDATE notifications SET data = ?2 WHERE id = ?1", "it", id, buf_peek(data)) != SQL_DONE) {
		sql_fail(db, a);
		return 0;
	}
	return inbox_trim(db, user, a) && event_put(db, user, data, a, seq) ? id : 0;
}

/* ---- the inbox ----------------------------------------------------------- */

static int64_t unread_n(struct db *db, sio_slice user, struct store_answer *a)
{
	struct sql_stmt *st = sql_start(db, "SELECT count(*) FROM notifications WHERE \"user\" = ?1 AND read_at IS NULL", "t", user);

	if (sql_step(st) == SQL_ROW)
		return sql_int(st, 0);
	sql_fail(db, a);
	return 0;
}

void op_notify_list(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	static const struct sql_page all = {
		.text = "SELECT " NOTIFY_ROW " FROM notifications WHERE \"user\" = ?1 AND id < ?3 ORDER BY id DESC LIMIT ?6",
		.postgres = NOTIFY_PAGE_POSTGRES(""), .start = "d"
	};
	static const struct sql_page unread = {
		.text = "SELECT " NOTIFY_ROW " FROM notifications WHERE \"user\" = ?1 AND id < ?3 AND read_at IS NULL "
		"ORDER BY id DESC LIMIT ?6", .postgres = NOTIFY_PAGE_POSTGRES("AND read_at IS NULL"), .start = "d"
	};

	sql_page_run(db, ask, a, ask->is_unread ? &unread : &all, ask->user, SIO_LIT(""));
	a->r.unread = unread_n(db, ask->user, a);
}

static void notify_read(struct db *db, const struct store_ask *ask, int64_t id, struct store_answer *a)
{
	struct sql_stmt *st = sql_start(db, "SELECT " NOTIFY_ROW " FROM notifications WHERE \"user\" = ?1 AND id = ?2", "ti",
				     ask->user, id);
	int r = sql_step(st);

	a->r.version = id;
	if (r == SQL_ROW)
		sql_row_json(st, &a->json);
	else if (r == SQL_DONE)
		answer_fail(a, STORE_NOT_FOUND, "no such notification of user '%.*s'", (int)ask->user.n, ask->user.p);
	else
		sql_fail(db, a);
}

void op_notify_add(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	int64_t id;

	if (sio_json_check(ask->body) < 0) {
		answer_fail(a, STORE_INVALID, "the notification is not valid JSON");
		return;
	}
	buf_slice(&a->event, ask->body);
	id = notify_put(db, a, ask->user, &a->event, &a->r.seq);
	if (!id)
		return;
	a->r.position = db->position;
	buf_str(&a->type, "notification:new");
	notify_read(db, ask, id, a);
}

void op_notify_read(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	int64_t id = 0;

	if (sio_json_int(ask->item, &id) < 0)
		answer_fail(a, STORE_NOT_FOUND, "no such notification of user '%.*s'", (int)ask->user.n, ask->user.p);
	else if (sql_exec(db, "UPDATE notifications SET read_at = ?3 WHERE \"user\" = ?1 AND id = ?2 AND read_at IS NULL", "tit",
			  ask->user, id, sio_str(db->now)) != SQL_DONE)
		sql_fail(db, a);
	else
		notify_read(db, ask, id, a);
}

void op_notify_read_all(struct db *db, const struct store_ask *ask, struct store_answer *a)
{
	int64_t last = ask->after > 0 ? ask->after : INT64_MAX;
	int64_t read;

	if (sql_exec(db, "UPDATE notifications SET read_at = ?3 WHERE \"user\" = ?1 AND id <= ?2 AND read_at IS NULL", "tit",
		     ask->user, last, sio_str(db->now)) != SQL_DONE) {
		sql_fail(db, a);
		return;
	}
	read = db->driver->changes(db);
	a->r.unread = unread_n(db, ask->user, a);
	buf_printf(&a->json, "{\"read\":%lld,\"unread\":%lld}", (long long)read, (long long)a->r.unread);
}
