/* presence.c -- what a back end may ask about connected users.
 *
 * Every server of the cluster answers for itself (gather.c); here the answers become one.
 * "missing_nodes" names the servers that did not answer in time.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdlib.h>

#include <sio/json.h>

#include "api/gather.h"
#include "api/routes.h"
#include "base/map.h"

/* ---- who is in a project --------------------------------------------------------------- */

/* One user, as several servers know it.  Slices point into their answers. */
struct person {
	struct map_node by_id;
	sio_slice id, name, joined_at, state; /* JSON text */
	int64_t connections;
};

struct crowd {
	struct map by_id;
	struct person *people;
	size_t n;
};

static size_t count_users(const struct gathered *got)
{
	struct sio_json_field users;
	size_t n = 0;

	for (size_t i = 0; i < got->n; i++) {
		sio_slice rest, item;
		users = (struct sio_json_field){ .key = "users" };
		if (sio_json_pick(got->answers[i], &users, 1) < 0)
			continue;
		for (rest = sio_json_inside(users.value); sio_json_next(&rest, &item) == 0;)
			n++;
	}
	return n;
}

/* The times are of one form, so the text that sorts first is the earlier one. */
static bool is_earlier(sio_slice a, sio_slice b)
{
	return a.n == b.n && memcmp(a.p, b.p, a.n) < 0;
}

static bool crowd_add(struct crowd *crowd, sio_slice user)
{
	struct sio_json_field f[] = { { .key = "user_id" }, { .key = "name" }, { .key = "connections" }, { .key = "joined_at" },
				      { .key = "state" } };
	struct map_node *known;
	struct person *p;
	int64_t connections;

	if (sio_json_pick(user, f, 5) < 0 || sio_json_int(f[2].value, &connections) < 0)
		return true;
	known = map_get(&crowd->by_id, f[0].value);
	if (!known) {
		p = &crowd->people[crowd->n++];
		*p = (struct person){ .id = f[0].value, .name = f[1].value, .joined_at = f[3].value, .state = f[4].value,
				      .connections = connections };
		return map_put(&crowd->by_id, &p->by_id, p->id) == 0;
	}
	p = MAP_OWNER(known, struct person, by_id);
	p->connections += connections;
	if (is_earlier(f[3].value, p->joined_at))
		p->joined_at = f[3].value;
	if (p->state.n == 0)
		p->state = f[4].value;
	return true;
}

static bool crowd_fill(struct crowd *crowd, const struct gathered *got)
{
	bool is_whole = true;

	for (size_t i = 0; i < got->n && is_whole; i++) {
		struct sio_json_field users = { .key = "users" };
		sio_slice rest, item;
		if (sio_json_pick(got->answers[i], &users, 1) < 0)
			continue;
		for (rest = sio_json_inside(users.value); is_whole && sio_json_next(&rest, &item) == 0;)
			is_whole = crowd_add(crowd, item);
	}
	return is_whole;
}

static void put_person(struct buf *b, const struct person *p)
{
	buf_str(b, "{\"user_id\":");
	buf_slice(b, p->id);
	buf_str(b, ",\"name\":");
	buf_slice(b, p->name);
	buf_printf(b, ",\"connections\":%lld,\"joined_at\":", (long long)p->connections);
	buf_slice(b, p->joined_at);
	if (p->state.n > 0) {
		buf_str(b, ",\"state\":");
		buf_slice(b, p->state);
	}
	buf_byte(b, '}');
}

static void project_gathered(struct call *call, const struct gathered *got)
{
	struct crowd crowd = { .people = calloc(count_users(got) + 1, sizeof(*crowd.people)) };
	struct buf b = { 0 };

	map_init(&crowd.by_id);
	if (!crowd.people || !crowd_fill(&crowd, got)) {
		respond_later(call, 503, "out_of_memory", 1, "out of memory");
	} else {
		buf_str(&b, "{\"project_id\":");
		buf_json(&b, call->project);
		buf_str(&b, ",\"users\":[");
		for (size_t i = 0; i < crowd.n; i++) {
			if (i > 0)
				buf_byte(&b, ',');
			put_person(&b, &crowd.people[i]);
		}
		buf_str(&b, "],");
		gather_put_missing(&b, got);
		buf_byte(&b, '}');
		respond_buf(call, 200, &b);
	}
	map_fini(&crowd.by_id);
	free(crowd.people);
}

void presence_of_project(struct call *call)
{
	if (!access_id_ok(call->project))
		respond_problem(call, 404, "not_found", "there is no such project");
	else
		gather(call, COLLAB_ASK_PRESENCE, call->project, project_gathered);
}

/* ---- where a user is connected ------------------------------------------------------------ */

static void user_gathered(struct call *call, const struct gathered *got)
{
	struct buf b = { 0 };
	bool is_first = true;

	buf_str(&b, "{\"user_id\":");
	buf_json(&b, call_param(call, "user"));
	buf_printf(&b, ",\"connections\":%lld,\"sockets\":[", (long long)gather_sum(got, "connections"));
	for (size_t i = 0; i < got->n; i++) {
		struct sio_json_field sockets = { .key = "sockets" };
		sio_slice inside;
		if (sio_json_pick(got->answers[i], &sockets, 1) < 0 || (inside = sio_json_inside(sockets.value)).n == 0)
			continue;
		if (!is_first)
			buf_byte(&b, ',');
		buf_slice(&b, inside);
		is_first = false;
	}
	buf_str(&b, "],");
	gather_put_missing(&b, got);
	buf_byte(&b, '}');
	respond_buf(call, 200, &b);
}

void presence_of_user(struct call *call)
{
	if (!access_user_id_ok(call_param(call, "user")))
		respond_problem(call, 404, "not_found", "there is no such user");
	else
		gather(call, COLLAB_ASK_USER, call_param(call, "user"), user_gathered);
}

/* ---- out with a user ------------------------------------------------------------------------ */

static void disconnect_gathered(struct call *call, const struct gathered *got)
{
	struct buf b = { 0 };

	buf_str(&b, "{\"user_id\":");
	buf_json(&b, call_param(call, "user"));
	buf_printf(&b, ",\"disconnected\":%lld,", (long long)gather_sum(got, "disconnected"));
	gather_put_missing(&b, got);
	buf_byte(&b, '}');
	respond_buf(call, 200, &b);
}

void presence_disconnect(struct call *call)
{
	if (!access_user_id_ok(call_param(call, "user")))
		respond_problem(call, 404, "not_found", "there is no such user");
	else
		gather(call, COLLAB_ASK_DISCONNECT, call_param(call, "user"), disconnect_gathered);
}
