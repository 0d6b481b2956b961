/* sqlite_news.c -- what happened that nobody asked for: roles that changed, and
 * events that another process committed.
 *
 * PRAGMA data_version is a number that moves when another connection commits; it is
 * read from shared memory and costs next to nothing, so it is asked at each poll.
 * Foreign events are those above the last row we know, seen while we hold the
 * write lock and before we add our own: so none is missed and none of ours told.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include "store/sqlite.h"

enum { NEWS_EVENTS_MAX = 500, NEWS_CHANGES_MAX = 1000 };

static int64_t ask_int(struct sqlite_db *db, const char *text)
{
	sqlite3_stmt *st = sql_start(db, text, "");
	int64_t value = sql_step(db, st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;

	if (st)
		sqlite3_reset(st);
	return value;
}

static int64_t last_event(struct sqlite_db *db)
{
	return ask_int(db, "SELECT coalesce(max(id), 0) FROM events");
}

void sqlite_news_start(struct sqlite_db *db)
{
	db->data_version = ask_int(db, "PRAGMA data_version");
	db->access_id = ask_int(db, "SELECT coalesce(max(id), 0) FROM access_log");
	db->event_id = last_event(db);
}

static struct store_news *news_get(struct sqlite_db *db)
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

static bool event_append(struct store_news *news, sqlite3_stmt *st)
{
	struct store_foreign_event *list = grow(news->events, news->events_n, sizeof(*list)), *e;

	if (!list)
		return false;
	news->events = list;
	e = &list[news->events_n++];
	e->project = text_add(news, sql_text(st, 1));
	e->position = sqlite3_column_int64(st, 0);
	e->seq = sqlite3_column_int64(st, 2);
	e->type = text_add(news, sql_text(st, 3));
	e->data = (sio_slice){ text_add(news, sql_text(st, 4)), sql_text(st, 4).n };
	return true;
}

void sqlite_news_scan_events(struct sqlite_db *db)
{
	struct store_news *news;
	sqlite3_stmt *st;

	if (!db->tells_events) {
		db->event_id = last_event(db);
		return;
	}
	st = sql_start(db, "SELECT id, project, seq, type, data FROM events WHERE id > ?1 ORDER BY id", "i", db->event_id);
	while (sql_step(db, st) == SQLITE_ROW) {
		news = news_get(db);
		/* Past the bound or out of memory the rows are skipped: their readers see the
		 * gap in the numbers and read them from the store. */
		if (news && news->events_n < NEWS_EVENTS_MAX && !event_append(news, st))
			break;
		db->event_id = sqlite3_column_int64(st, 0);
	}
	if (st)
		sqlite3_reset(st);
}

static bool change_append(struct store_news *news, sqlite3_stmt *st)
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
static bool scan_access(struct sqlite_db *db)
{
	sqlite3_stmt *st = sql_start(db, "SELECT l.id, l.project, l.user, coalesce(c.role, '') FROM access_log l "
					 "LEFT JOIN collaborators c ON c.project = l.project AND c.user = l.user "
					 "WHERE l.id > ?1 ORDER BY l.id LIMIT ?2", "ii", db->access_id, (int64_t)NEWS_CHANGES_MAX);
	size_t n = 0;
	int r;

	while ((r = sql_step(db, st)) == SQLITE_ROW) {
		struct store_news *news = news_get(db);
		if (!news || !change_append(news, st))
			break;
		db->access_id = sqlite3_column_int64(st, 0);
		n++;
	}
	if (st)
		sqlite3_reset(st);
	return r == SQLITE_DONE && n < NEWS_CHANGES_MAX; /* all told? else again at the next poll */
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
	}
	return true;
}

/* Look for what has happened since. */
static void look(struct sqlite_db *db)
{
	int64_t version = ask_int(db, "PRAGMA data_version");

	if (version != db->data_version) {
		db->data_version = version;
		db->is_access_touched = true;
		sqlite_news_scan_events(db);
	}
	if (db->is_access_touched)
		db->is_access_touched = !scan_access(db);
	sql_reset_all(db);
}

struct store_news *sqlite_news(void *arg, bool is_fresh)
{
	struct sqlite_db *db = arg;
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
