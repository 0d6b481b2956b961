/* demo_data.h -- the demonstration project as tables; no code.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef STORE_DEMO_DATA_H
#define STORE_DEMO_DATA_H

#include <stddef.h>

struct demo_user {
	const char *id, *name, *role;
};

struct demo_section {
	const char *number, *name; /* code "03.2" belongs to section "03" */
};

struct demo_item {
	const char *code, *description, *unit, *qty, *price;
};

struct demo_task {
	const char *title, *status, *assignee;
	int due;          /* days from the day of the filling, so that the demonstration does not grow old */
	const char *code; /* "": about no item */
};

struct demo_comment {
	const char *author;
	const char *code; /* of an item; "": see task */
	const char *text;
	int task;         /* number of the task in demo_tasks, from 1; 0: see code */
};

extern const struct demo_user demo_users[];
extern const struct demo_section demo_sections[];
extern const struct demo_item demo_items[];
extern const struct demo_task demo_tasks[];
extern const struct demo_comment demo_comments[];
extern const size_t demo_users_n, demo_sections_n, demo_items_n, demo_tasks_n, demo_comments_n;

#endif
