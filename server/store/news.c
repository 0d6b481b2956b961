/* news.c -- what happened that nobody asked for: roles that changed, and
 * events that another process committed.
 *
 * Commits have an order, that of the ids: who writes holds a lock of all writers until
 * its commit is seen (struct sql_driver, begin).  So foreign events are those above the
 * last row we know, seen while we hold that lock and before we add our own: none is
 * missed and none of ours told.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include "store/db.h"

enum { NEWS_EVENTS_MAX = 10000, NEWS_CHANGES_MAX = 1000 };

int64_t news_last_event(struct db *db)
{
	return sql_ask_int(db, "SELECT coalesce(max(id), 0) FROM events", 0);
}

void news_start(struct db *db)
{
	db->driver->has_moved(db);
	db->access_id = sql_ask_int(db, "SELECT coalesce(max(id), 0) FROM access_log", 0);
	db->event_id = news_last_event(db);
}

static struct store_news *news_get(struct db *db)
{
	if (!db->news)
		db->news = calloc(1, sizeof(*db->news));
	return db->news;
}

/* Texts go into news->text one behind the other; until the end the pointers are
 * offsets, because the buffer moves as it grows. */
static char *text_add(struct store_news *news, sio_slice s)
{
	size_t at = news->text.n;

	buf_slice(&news->text, s);
	buf_byte(&news->text, '\0');
	return (char *)(uintptr_t)at;
}

static const char *text_at(const struct store_news *news, const char *offset)
{
	return news->text.p + (uintptr_t)offset;
}

static void *grow(void *list, size_t n, size_t size)
{
	/* Room doubles at each power of two. */
	return (n & (n - 1)) == 0 ? realloc(list, (n ? 2 * n : 1) * size) : list;
}

static bool event_append(struct store_news *news, struct sql_stmt *st)
{
	struct store_foreign_event *list = grow(news->events, news->events_n, sizeof(*list)), *e;

	if (!list)
		return false;
	news->events = list;
	e = &list[news->events_n++];
	e->project = text_add(news, sql_text(st, 1));
	e->position = sql_int(st, 0);
	e->seq = sql_int(st, 2);
	e->type = text_add(news, sql_text(st, 3));
	e->data = (sio_slice){ text_add(news, sql_text(st, 4)), sql_text(st, 4).n };
	e->except_sid = text_add(news, sql_text(st, 5));
	return true;
}

/* Past the bound or out of memory the rows are skipped: their readers see the gap in the
 * numbers and read them from the store. */
void news_scan_events(struct db *db)
{
	struct sql_stmt *st;
	int n = 0, r;

	if (!db->tells_events) {
		db->event_id = news_last_event(db);
		return;
	}
	st = sql_start(db, "SELECT id, project, seq, type, data, except_sid FROM events WHERE id > ?1 ORDER BY id LIMIT ?2", "ii", db->event_id,
		       (int64_t)NEWS_EVENTS_MAX);
	while ((r = sql_step(st)) == SQL_ROW) {
		struct store_news *news = news_get(db);
		if (news && news->events_n < NEWS_EVENTS_MAX && !event_append(news, st))
			break;
		db->event_id = sql_int(st, 0);
		n++;
	}
	sql_reset(st);
	if (r == SQL_DONE && n == NEWS_EVENTS_MAX)
		db->event_id = news_last_event(db);
}

static bool change_append(struct store_news *news, struct sql_stmt *st)
{
	struct store_access_change *list = grow(news->changes, news->changes_n, sizeof(*list)), *c;

	if (!list)
		return false;
	news->changes = list;
	c = &list[news->changes_n++];
	c->project = text_add(news, sql_text(st, 1));
	c->user = text_add(news, sql_text(st, 2));
	c->role = text_add(news, sql_text(st, 3));
	return true;
}

/* A role may have changed several times: each line tells the role of now, so telling
 * a pair twice does no harm. */
static bool scan_access(struct db *db)
{
	struct sql_stmt *st = sql_start(db, "SELECT l.id, l.project, l.\"user\", coalesce(c.role, '') FROM access_log l "
					 "LEFT JOIN collaborators c ON c.project = l.project AND c.\"user\" = l.\"user\" "
					 "WHERE l.id > ?1 ORDER BY l.id LIMIT ?2", "ii", db->access_id, (int64_t)NEWS_CHANGES_MAX);
	size_t n = 0;
	int r;

	while ((r = sql_step(st)) == SQL_ROW) {
		struct store_news *news = news_get(db);
		if (!news || !change_append(news, st))
			break;
		db->access_id = sql_int(st, 0);
		n++;
	}
	sql_reset(st);
	return r == SQL_DONE && n < NEWS_CHANGES_MAX; /* all told? else again at the next poll */
}

/* Offsets become pointers, now that the text stays where it is. */
static bool news_finish(struct store_news *news)
{
	if (news->text.failed)
		return false;
	for (size_t i = 0; i < news->changes_n; i++) {
		struct store_access_change *c = &news->changes[i];
		c->project = text_at(news, c->project);
		c->user = text_at(news, c->user);
		c->role = text_at(news, c->role);
	}
	for (size_t i = 0; i < news->events_n; i++) {
		struct store_foreign_event *e = &news->events[i];
		e->project = text_at(news, e->project);
		e->type = text_at(news, e->type);
		e->data.p = text_at(news, e->data.p);
		e->except_sid = text_at(news, e->except_sid);
	}
	return true;
}

/* Look for what has happened since. */
static void look(struct db *db)
{
	if (db->driver->has_moved(db)) {
		db->is_access_touched = true;
		news_scan_events(db);
	}
	if (db->is_access_touched)
		db->is_access_touched = !scan_access(db);
	sql_reset_all(db);
}

struct store_news *db_news(void *arg, bool is_fresh)
{
	struct db *db = arg;
	struct store_news *news;

	if (is_fresh)
		look(db);
	news = db->news;
	db->news = NULL;
	if (news && !news_finish(news)) {
		store_news_free(news);
		return NULL;
	}
	return news;
}
