/* tell.c -- see tell.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "api/tell.h"

#include <sio/json.h>

#include "base/log.h"

/* "Broadcasted <what>[<id>] to project <project>" */
static const struct {
	const char *event, *what;
	const char *id; /* member of the payload; NULL: none */
} lines[] = {
	{ "boq:item:updated", "BoQ update for item ", "item_id" },
	{ "boq:item:created", "BoQ creation of item ", "item_id" },
	{ "boq:item:deleted", "BoQ deletion of item ", "item_id" },
	{ "boq:bulk:updated", "bulk BoQ update", NULL },
	{ "task:updated", "task update for task ", "task_id" },
	{ "task:created", "creation of task ", "task_id" },
	{ "task:deleted", "deletion of task ", "task_id" },
	{ "comment:created", "comment ", "comment_id" },
	{ "comment:deleted", "deletion of comment ", "comment_id" },
	{ "collaborator:changed", "change of collaborator ", "user_id" },
};

/* The member of payload as plain text into out. */
static void id_text(sio_slice payload, const char *key, char out[160])
{
	struct sio_json_field field = { .key = key };

	out[0] = '\0';
	if (sio_json_pick(payload, &field, 1))
		return;
	if (field.type == SIO_JSON_STRING && sio_json_unquote(field.value, out, 160) < 0)
		out[0] = '\0';
	if (field.type == SIO_JSON_NUMBER && field.value.n < 160) {
		memcpy(out, field.value.p, field.value.n);
		out[field.value.n] = '\0';
	}
}

void tell(sio_slice event, sio_slice project, sio_slice payload)
{
	char id[160] = "";

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (!sio_slice_eq(event, sio_str(lines[i].event)))
			continue;
		if (lines[i].id)
			id_text(payload, lines[i].id, id);
		log_info("Broadcasted %s%s to project %.*s", lines[i].what, id, (int)project.n, project.p);
		return;
	}
	log_info("Broadcasted %.*s to project %.*s", (int)event.n, event.p, (int)project.n, project.p);
}

void tell_room(sio_slice event, sio_slice room)
{
	log_info("Broadcasted %.*s to room %.*s", (int)event.n, event.p, (int)room.n, room.p);
}

void tell_user(sio_slice user)
{
	log_info("Broadcasted notification to user %.*s", (int)user.n, user.p);
}
