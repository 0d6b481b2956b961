/* demo.c -- fill a store with the demonstration project.
 *
 * Written in terms of store_run alone, so it fits every back end.  What exists
 * already is left alone; tasks and comments, which have no ids of their own, come
 * only with a project that was just made.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <sio/json.h>

#include "base/buf.h"
#include "store/demo_data.h"
#include "store/store.h"

#define PROJECT SIO_LIT("proj-riverside")

enum { TASKS_MAX = 64 };

/* The state of one filling: the first failure ends it. */
struct filling {
	struct store *store;
	enum store_status status;
	char *error;
	struct buf body;
	int64_t task_ids[TASKS_MAX]; /* what the database has numbered them */
	int64_t new_id;              /* of the task that was just made */
};

/* Put "key":"text" behind what the body holds; an empty text is left out. */
static void member(struct filling *f, const char *key, const char *text)
{
	if (!*text)
		return;
	buf_printf(&f->body, "%s\"%s\":", f->body.n ? "," : "{", key);
	buf_json(&f->body, sio_str(text));
}

/* The number of a new task, 0 for anything else. */
static int64_t task_id(const struct store_result *result)
{
	struct sio_json_field id = { .key = "task_id" };
	int64_t number = 0;

	if (result->op == STORE_TASK_ADD && sio_json_pick(result->json, &id, 1) == SIO_OK)
		(void)sio_json_int(id.value, &number);
	return number;
}

/* Run ask with the body that was put together.  EXISTS is no failure here.  Returns true when
 * something new was made. */
static bool ask(struct filling *f, struct store_ask *ask)
{
	struct store_result *result = NULL;
	bool is_new = false;

	if (f->status != STORE_OK)
		return false;
	if (f->body.n)
		buf_byte(&f->body, '}');
	ask->body = buf_peek(&f->body);
	if (!f->body.failed)
		result = store_run(f->store, ask);
	if (!result) {
		f->status = STORE_UNAVAILABLE;
		snprintf(f->error, STORE_ERROR_MAX, "out of memory");
	} else if (result->status == STORE_OK) {
		is_new = true;
		f->new_id = task_id(result);
	} else if (result->status != STORE_EXISTS) {
		f->status = result->status;
		snprintf(f->error, STORE_ERROR_MAX, "%s", result->error);
	}
	store_result_free(result);
	buf_clear(&f->body);
	return is_new;
}

static void fill_user(struct filling *f, const struct demo_user *user, store_hash_fn *hash)
{
	char password[64], hashed[256] = "";

	snprintf(password, sizeof(password), "demo-%s", user->id);
	if (hash && hash(password, hashed, sizeof(hashed)) < 0) {
		f->status = STORE_UNAVAILABLE;
		snprintf(f->error, STORE_ERROR_MAX, "cannot hash the password of user '%s'", user->id);
	}
	member(f, "name", user->name);
	ask(f, &(struct store_ask){ .op = STORE_USER_ADD, .user = sio_str(user->id), .secret = sio_str(hashed) });
}

static void fill_role(struct filling *f, const struct demo_user *user)
{
	member(f, "role", user->role);
	ask(f, &(struct store_ask){ .op = STORE_COLLAB_PUT, .project = PROJECT, .user = sio_str(user->id),
				    .actor = SIO_LIT("anna") });
}

static const char *section_of(const char *code, char out[80])
{
	out[0] = '\0';
	for (size_t i = 0; i < demo_sections_n; i++)
		if (strncmp(code, demo_sections[i].number, 2) == 0)
			snprintf(out, 80, "%s %s", demo_sections[i].number, demo_sections[i].name);
	return out;
}

/* "item-0302" of "03.02". */
static const char *item_of(const char *code, char out[16])
{
	out[0] = '\0';
	if (*code)
		snprintf(out, 16, "item-%.2s%.2s", code, code + 3);
	return out;
}

static void fill_item(struct filling *f, const struct demo_item *item)
{
	char section[80], id[16];

	member(f, "code", item->code);
	member(f, "description", item->description);
	member(f, "unit", item->unit);
	member(f, "qty", item->qty);
	member(f, "unit_price", item->price);
	member(f, "section", section_of(item->code, section));
	ask(f, &(struct store_ask){ .op = STORE_BOQ_CREATE, .project = PROJECT, .item = sio_str(item_of(item->code, id)),
				    .actor = SIO_LIT("anna") });
}

/* The day so many days from today, "2026-02-28". */
static const char *day_of(int days, char out[16])
{
	time_t t = time(NULL) + (time_t)days * 24 * 3600;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, 16, "%Y-%m-%d", &tm);
	return out;
}

static void fill_task(struct filling *f, size_t i)
{
	const struct demo_task *task = &demo_tasks[i];
	char id[16], day[16];

	assert(i < TASKS_MAX);
	member(f, "title", task->title);
	member(f, "status", task->status);
	member(f, "assignee_id", task->assignee);
	member(f, "due_date", day_of(task->due, day));
	member(f, "item_id", item_of(task->code, id));
	ask(f, &(struct store_ask){ .op = STORE_TASK_ADD, .project = PROJECT, .actor = SIO_LIT("anna") });
	f->task_ids[i] = f->new_id;
}

static void fill_comment(struct filling *f, const struct demo_comment *comment)
{
	char id[16];

	member(f, "text", comment->text);
	member(f, "item_id", item_of(comment->code, id));
	if (comment->task)
		buf_printf(&f->body, ",\"task_id\":%lld", (long long)f->task_ids[comment->task - 1]);
	ask(f, &(struct store_ask){ .op = STORE_COMMENT_ADD, .project = PROJECT, .actor = sio_str(comment->author) });
}

enum store_status store_demo(struct store *store, store_hash_fn *hash, char error[STORE_ERROR_MAX])
{
	struct filling f = { .store = store, .error = error };
	bool is_new;

	error[0] = '\0';
	for (size_t i = 0; i < demo_users_n; i++)
		fill_user(&f, &demo_users[i], hash);
	member(&f, "name", "Riverside Tower");
	member(&f, "description", "Residential tower, 24 floors, 186 apartments, by the river");
	is_new = ask(&f, &(struct store_ask){ .op = STORE_PROJECT_ADD, .project = PROJECT, .user = SIO_LIT("anna") });
	for (size_t i = 0; is_new && i < demo_users_n; i++)
		fill_role(&f, &demo_users[i]);
	for (size_t i = 0; i < demo_items_n; i++)
		fill_item(&f, &demo_items[i]);
	for (size_t i = 0; is_new && i < demo_tasks_n; i++)
		fill_task(&f, i);
	for (size_t i = 0; is_new && i < demo_comments_n; i++)
		fill_comment(&f, &demo_comments[i]);
	buf_fini(&f.body);
	return f.status;
}
