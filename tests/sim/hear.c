/* hear.c -- what a client is told, held against what it knows and against the truth.
 *
 * At once, for each word:
 *   a durable event is the next number of its project, and the bytes that were committed; also
 *   behind a session's return, on whatever server; never to a client that is out, and never long
 *   behind the loss of its user's role;
 *   a list of users and the number in it fit what was heard before; nobody joins twice, or leaves
 *   who was not there, or who surely is;
 *   cursors of one connection come once and in order;
 *   a session that ended for good does not come back; one that comes back brings its projects.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sio/json.h>
#include <sio/room.h>

#include "lib/fake_engine.h"
#include "sim/fault.h"
#include "sim/node.h"
#include "sim/person.h"
#include "sim/truth.h"

enum {
	REVOKED_MS = 6000,     /* behind the loss of a role, while nothing is slow */
	NOTE_MS = 10000,       /* how long a leave may be unknown to its session */
	STEADY_MS = 60000,     /* without faults: presence does not err at all */
	THERE_MS = 4000,
	NEAR_MS = 1000,
};

/* ---- small things ------------------------------------------------------------------------- */

static sio_slice unquoted(sio_slice json)
{
	return json.n >= 2 ? sio_bytes(json.p + 1, json.n - 2) : sio_bytes("", 0);
}

static sio_slice field(sio_slice object, const char *key)
{
	struct sio_json_field f = { .key = key };

	if (sio_json_pick(object, &f, 1) < 0 || f.type == SIO_JSON_NONE)
		return sio_bytes("", 0);
	return f.type == SIO_JSON_STRING ? unquoted(f.value) : f.value;
}

/* One event, taken apart.  Many hear the same bytes, one after the other: the last one is kept. */
struct event {
	char text[65536];
	size_t n;
	bool is_good;
	sio_slice name, data, offset; /* offset: a string behind the data, as a stock client takes it; else empty */
	int project, user;            /* that it names; -1 */
	bool has_seq;
	int64_t seq;
	uint64_t hash;                /* of data */
};
static struct event last_event;

static void event_read(struct event *e, sio_slice text)
{
	sio_slice rest, name, last;

	if (text.n > sizeof(e->text))
		sim_fail("an event of %zu bytes", text.n);
	e->is_good = false;
	e->data = e->offset = sio_bytes("", 0);
	memcpy(e->text, text.p, e->n = text.n);
	rest = sio_json_inside(sio_bytes(e->text, e->n));
	if (sio_json_next(&rest, &name) < 0 || sio_json_next(&rest, &e->data) < 0)
		return;
	e->is_good = true;
	e->name = unquoted(name);
	if (sio_json_next(&rest, &last) == 0 && sio_json_type(last) == SIO_JSON_STRING)
		e->offset = unquoted(last);
	e->project = project_index(field(e->data, "project_id"));
	e->user = user_index(field(e->data, "user_id"));
	e->has_seq = sio_json_int(field(e->data, "seq"), &e->seq) == 0;
	e->hash = truth_hash(e->data);
}

static const struct event *event_of(sio_slice text)
{
	if (!sio_slice_eq(sio_bytes(last_event.text, last_event.n), text))
		event_read(&last_event, text);
	return &last_event;
}

static bool is_troubled(const struct person *p)
{
	const struct machine *m = &machines[p->node];

	return world.now_ms - m->trouble_ms < REVOKED_MS || world.now_ms - m->woke_ms < REVOKED_MS || p->slow_ms;
}

/* It is out now, and knows it. */
static void set_out(struct view *v)
{
	v->is_in = v->is_asking = v->is_leaving = v->is_returning = v->may_return = v->has_last = false;
	v->left_ms = world.now_ms;
}

/* Nothing of a project may come but to those who are in it, or about to be. */
static struct view *view_in(struct person *p, int project, sio_slice name)
{
	struct view *v = project >= 0 ? &p->views[project] : NULL;

	if (!v)
		sim_fail("client %u hears %.*s of no project", p->i, (int)name.n, name.p);
	if (!v->is_in && !v->is_asking && !v->is_returning && !v->may_return)
		sim_fail("client %u (u%u) hears %.*s of p%d, and is out of it since %llu ms", p->i, p->user, (int)name.n, name.p, project,
			 (unsigned long long)(world.now_ms - v->left_ms));
	return v;
}

/* ---- events that were committed ---------------------------------------------------------------- */

static void hear_event(struct person *p, const struct event *e)
{
	int project = e->project;
	int64_t seq = e->seq;
	struct view *v = view_in(p, project, e->name);
	uint64_t ms = truth_committed_ms((unsigned)project, seq, e->hash), revoked_ms = truth_revoked_ms((unsigned)project, p->user);

	if (!ms)
		sim_fail("client %u hears event %lld of p%d, which is not what was committed: %.*s", p->i, (long long)seq, project,
			 (int)e->data.n, e->data.p);
	if (revoked_ms && ms > revoked_ms + REVOKED_MS && !is_troubled(p))
		sim_fail("client %u (u%u) hears event %lld of p%d, committed %llu ms behind the loss of its role", p->i, p->user, (long long)seq,
			 project, (unsigned long long)(ms - revoked_ms));
	if (v->has_last && seq <= v->last)
		sim_fail("client %u hears event %lld of p%d twice, or too late: it has heard %lld", p->i, (long long)seq, project,
			 (long long)v->last);
	if (v->has_last && seq != v->last + 1)
		sim_fail("client %u hears event %lld of p%d, and expects %lld: there is a gap", p->i, (long long)seq, project,
			 (long long)v->last + 1);
	v->has_last = true;
	v->last = seq;
}

static void hear_note(struct person *p, const struct event *e)
{
	int64_t seq = truth_notice(p->user, e->hash);

	if (!seq)
		sim_fail("client %u hears a notification that its user u%u has not got: %.*s", p->i, p->user, (int)e->data.n, e->data.p);
	if (p->has_note && seq != p->note + 1)
		sim_fail("client %u hears notification %lld of u%u, and expects %lld", p->i, (long long)seq, p->user, (long long)p->note + 1);
	p->has_note = true;
	p->note = seq;
}

/* ---- who is there ------------------------------------------------------------------------------------ */

static void set_there(struct view *v, unsigned user, bool is_there)
{
	if (is_there)
		v->there[user / 8] |= (uint8_t)(1 << user % 8);
	else
		v->there[user / 8] &= (uint8_t)~(1 << user % 8);
}

static void take_list(struct person *p, struct view *v, sio_slice object)
{
	sio_slice rest = sio_json_inside(field(object, "users")), item;

	memset(v->there, 0, sizeof(v->there));
	while (sio_json_next(&rest, &item) == 0) {
		int user = user_index(field(item, "user_id"));

		if (user < 0 || view_sees(v, (unsigned)user))
			sim_fail("client %u: a list that names somebody twice, or nobody: %.*s", p->i, (int)item.n, item.p);
		set_there(v, (unsigned)user, true);
	}
	if (!view_sees(v, p->user))
		sim_fail("client %u (u%u) is not on the list itself", p->i, p->user);
}

/* Is a client of the user in the project on a server, and so for a while? */
static const struct person *surely_there(const struct person *p, unsigned project, unsigned user)
{
	char room[SIM_ID_MAX];

	snprintf(room, sizeof(room), "project:%s", project_name(project));
	if (p->slow_ms || world.now_ms - p->read_ms < NEAR_MS || world.now_ms - machines[p->node].woke_ms < NEAR_MS)
		return NULL; /* it hears of what was */
	for (unsigned i = 0; i < world.clients_n; i++) {
		const struct person *q = &people[i];
		const struct view *v = &q->views[project];
		bool is_near = q->node == p->node && q->life == p->life;

		if (q->user != user || q->state != PERSON_IN || q->is_lost || !v->is_in || v->is_leaving || v->is_returning)
			continue;
		if (world.now_ms - v->in_ms < (is_near ? NEAR_MS : THERE_MS) || (!is_near && fault_quiet_ms() < STEADY_MS))
			continue;
		if (q->c && q->c->link && q->c->closed_n == 0 && node_socket(q->c) && sio_room_has(node_socket(q->c), sio_str(room)))
			return q;
	}
	return NULL;
}

static void hear_presence(struct person *p, const struct event *e, bool is_joined)
{
	int project = e->project, user = e->user;
	sio_slice name = e->name;
	struct view *v = view_in(p, project, name);
	const struct person *q;

	sum.presence++;
	if (user < 0)
		sim_fail("client %u hears %.*s of nobody", p->i, (int)name.n, name.p);
	if (!v->is_in || v->is_returning) /* its list comes */
		return;
	if (view_sees(v, (unsigned)user) == is_joined)
		sim_fail("client %u hears %.*s of u%d in p%d, and %s already", p->i, (int)name.n, name.p, user, project,
			 is_joined ? "has it there" : "has it gone");
	q = is_joined ? NULL : surely_there(p, (unsigned)project, (unsigned)user);
	if (q)
		sim_fail("client %u is told that u%d has left p%d, and client %u of it is there, on server %u", p->i, user, project, q->i, q->node);
	set_there(v, (unsigned)user, is_joined);
}

static void hear_cursor(struct person *p, int project, sio_slice name, sio_slice data)
{
	sio_slice rest = sio_json_inside(field(data, "cursor")), item;
	int64_t number[3] = { -1, -1, -1 };
	struct cursor *seen;

	view_in(p, project, name);
	for (unsigned i = 0; i < 3 && sio_json_next(&rest, &item) == 0; i++)
		if (sio_json_int(item, &number[i]) < 0)
			number[i] = -1;
	if (number[0] < 0 || number[0] >= world.clients_n || number[2] < 0)
		sim_fail("client %u: a cursor that nobody has moved: %.*s", p->i, (int)data.n, data.p);
	if ((unsigned)number[0] == p->i && (uint32_t)number[1] == p->gen)
		sim_fail("client %u hears its own cursor", p->i);
	/* For one that lags, the newest of a project takes the place of an older one: between projects there is no order. */
	seen = &p->cursors[number[0] * SIM_PROJECTS + project];
	if ((uint32_t)number[1] < seen->gen)
		return; /* of an earlier connection, by another way */
	if ((uint32_t)number[1] == seen->gen && (uint32_t)number[2] <= seen->n)
		sim_fail("client %u hears cursor %lld of client %lld twice, or too late: it has seen %u", p->i, (long long)number[2],
			 (long long)number[0], seen->n);
	*seen = (struct cursor){ (uint32_t)number[1], (uint32_t)number[2] };
}

/* ---- answers --------------------------------------------------------------------------------------------- */

static void hear_joined(struct person *p, int project, sio_slice name, sio_slice data)
{
	struct view *v = view_in(p, project, name);
	uint64_t revoked_ms = truth_revoked_ms((unsigned)project, p->user);
	int64_t seq;

	if (sio_json_int(field(data, "seq"), &seq) < 0 || seq < 0)
		sim_fail("client %u: joined without a number: %.*s", p->i, (int)data.n, data.p);
	if (seq > truth_last((unsigned)project))
		sim_fail("client %u joins p%d behind event %lld, which is not there yet", p->i, project, (long long)seq);
	if (revoked_ms && world.now_ms - revoked_ms > REVOKED_MS && !is_troubled(p) && world.now_ms - v->asked_ms < REVOKED_MS)
		sim_fail("client %u joins p%d, and u%u has no role there since %llu ms", p->i, project, p->user,
			 (unsigned long long)(world.now_ms - revoked_ms));
	if (v->has_last && (v->is_in || v->is_asking) && seq != v->last)
		sim_fail("client %u is in p%d, which says that its last event is %lld; it has heard %lld%s", p->i, project, (long long)seq,
			 (long long)v->last, v->is_returning ? ", and its session has come back" : "");
	sum.joins++;
	v->has_last = true;
	v->last = seq;
	v->is_in = true;
	v->in_ms = world.now_ms;
	v->is_asking = v->is_returning = v->may_return = v->is_unsure = false;
	take_list(p, v, data);
}

static void hear_left(struct person *p, int project)
{
	struct view *v = project >= 0 ? &p->views[project] : NULL;

	if (!v || !v->is_leaving)
		sim_fail("client %u hears that it has left p%d, which it has not asked for", p->i, project);
	set_out(v);
}

static void hear_revoked(struct person *p, int project)
{
	if (project < 0)
		sim_fail("client %u: revoked from no project", p->i);
	bool is_leaving = p->views[project].is_leaving; /* that is answered all the same */

	sum.revoked++;
	set_out(&p->views[project]);
	p->views[project].is_leaving = is_leaving;
	p->views[project].wants = false;
}

static void hear_error(struct person *p, int project, sio_slice data)
{
	sio_slice code = field(data, "code");
	struct view *v = project >= 0 ? &p->views[project] : NULL;
	bool is_denied = sio_slice_eq(code, SIO_LIT("access_denied"));

	if (!v || !(v->is_asking || v->is_returning) || !(is_denied || sio_slice_eq(code, SIO_LIT("unavailable"))))
		return;
	if (v->is_returning)
		sim_fail("client %u: its session came back, and p%d did not: %.*s", p->i, project, (int)data.n, data.p);
	if (is_denied && truth_has_role((unsigned)project, p->user) && !is_troubled(p) && fault_quiet_ms() > STEADY_MS)
		sim_fail("client %u is denied p%d, and u%u has a role there", p->i, project, p->user);
	v->is_asking = false;
	if (is_denied) {
		v->wants = false;
		v->may_return = false;
		v->is_in = false;
	}
}

/* ---- events ------------------------------------------------------------------------------------------------- */

static void hear_named(struct person *p, const struct event *e)
{
	sio_slice name = e->name;

	if (sio_slice_eq(name, SIO_LIT("connected")))
		return;
	if (sio_slice_eq(name, SIO_LIT("joined_project")))
		hear_joined(p, e->project, name, e->data);
	else if (sio_slice_eq(name, SIO_LIT("left_project")))
		hear_left(p, e->project);
	else if (sio_slice_eq(name, SIO_LIT("access:revoked")))
		hear_revoked(p, e->project);
	else if (sio_slice_eq(name, SIO_LIT("error")))
		hear_error(p, e->project, e->data);
	else if (sio_slice_eq(name, SIO_LIT("notification:new")))
		hear_note(p, e);
	else if (sio_slice_eq(name, SIO_LIT("user:joined")))
		hear_presence(p, e, true);
	else if (sio_slice_eq(name, SIO_LIT("user:left")))
		hear_presence(p, e, false);
	else if (sio_slice_eq(name, SIO_LIT("cursor:moved")))
		hear_cursor(p, e->project, name, e->data);
	else if (e->has_seq)
		hear_event(p, e);
	else
		view_in(p, e->project, name);
}

static void hear_event_packet(struct person *p, sio_slice text)
{
	const struct event *e = event_of(text);

	if (p->state != PERSON_IN)
		sim_fail("client %u is not connected and hears %.*s", p->i, (int)text.n, text.p);
	if (!e->is_good)
		sim_fail("client %u cannot read %.*s", p->i, (int)text.n, text.p);
	hear_named(p, e);
	if (e->offset.n > 0 && p->pid[0])
		snprintf(p->offset, sizeof(p->offset), "%.*s", (int)e->offset.n, e->offset.p);
}

/* ---- connecting ---------------------------------------------------------------------------------------------- */

/* May the session still hold a project that the client has left?  The leave is written behind its
 * back: not yet, or never when the server was killed or the store refused. */
static bool may_return(const struct view *v)
{
	return v->left_ms && (world.now_ms - v->left_ms < NOTE_MS || v->is_unsure || fault_crash_ms() >= v->left_ms);
}

static void come_back(struct person *p)
{
	sum.recovered++;
	p->back_ms = world.now_ms;
	if (p->was_ended && store_failed_ms < p->ended_ms && machines[p->ended_node].crashed_life < p->ended_life &&
	    world.now_ms - p->ended_ms > NOTE_MS)
		sim_fail("client %u: its session has come back, and had ended for good", p->i);
	for (unsigned i = 0; i < SIM_PROJECTS; i++) {
		struct view *v = &p->views[i];

		v->is_returning = v->is_in;
		v->may_return = !v->is_in && (v->may_return || may_return(v));
		v->has_last &= v->is_in;
	}
}

static void come_anew(struct person *p)
{
	sum.anew++;
	p->back_ms = UINT64_MAX;
	p->offset[0] = '\0';
	p->has_note = false;
	for (unsigned i = 0; i < SIM_PROJECTS; i++) {
		struct view *v = &p->views[i];
		bool is_asking = v->is_asking;

		*v = (struct view){ .wants = v->wants, .is_asking = is_asking, .asked_ms = v->asked_ms, .left_ms = v->left_ms };
	}
}

static void hear_connect(struct person *p, sio_slice data)
{
	sio_slice sid = field(data, "sid"), pid = field(data, "pid");
	bool is_back = p->has_named && pid.n > 0 && sio_slice_eq(pid, sio_str(p->pid));

	if (p->state != PERSON_ASKING)
		sim_fail("client %u is connected twice", p->i);
	if (is_back && !sio_slice_eq(sid, sio_str(p->sid)))
		sim_fail("client %u: its session has come back with another id", p->i);
	sim_trace("client %u is in, %s", p->i, is_back ? "as before" : "anew");
	p->state = PERSON_IN;
	p->since_ms = world.now_ms;
	/* What it has seen may be under way to this server still: such events may be lost, and here come twice. */
	memset(p->cursors, 0, world.clients_n * SIM_PROJECTS * sizeof(p->cursors[0]));
	if (is_back)
		come_back(p);
	else
		come_anew(p);
	p->was_ended = false;
	snprintf(p->sid, sizeof(p->sid), "%.*s", (int)sid.n, sid.p);
	snprintf(p->pid, sizeof(p->pid), "%.*s", (int)pid.n, pid.p);
}

void hear_packet(struct person *p, sio_slice text)
{
	sio_slice rest = sio_bytes(text.p + 1, text.n - 1);

	switch (text.p[0]) {
	case '0':
		hear_connect(p, rest);
		break;
	case '1':
		p->was_ended = true;
		p->ended_ms = world.now_ms;
		p->ended_node = p->node;
		p->ended_life = p->life;
		break;
	case '2':
		hear_event_packet(p, rest);
		break;
	case '4':
		sim_fail("client %u is refused: %.*s", p->i, (int)rest.n, rest.p);
	default:
		sim_fail("client %u hears %.*s", p->i, (int)text.n, text.p);
	}
}

/* ---- all is well ------------------------------------------------------------------------------------------------ */

static void check_view(struct person *p, unsigned project)
{
	const struct view *v = &p->views[project];
	char room[SIM_ID_MAX];
	bool has_seat;

	snprintf(room, sizeof(room), "project:%s", project_name(project));
	has_seat = sio_room_has(node_socket(p->c), sio_str(room));
	if (v->is_asking || v->is_leaving || v->is_returning)
		sim_fail("client %u waits for an answer about p%u: asking %d, leaving %d, returning %d", p->i, project, v->is_asking,
			 v->is_leaving, v->is_returning);
	if (has_seat != v->is_in)
		sim_fail("client %u (u%u) is %s p%u, and its server %u thinks otherwise", p->i, p->user, v->is_in ? "in" : "out of", project, p->node);
	if (v->is_in && !truth_has_role(project, p->user))
		sim_fail("client %u is in p%u, and u%u has no role there", p->i, project, p->user);
	if (v->is_in && v->last != truth_last(project))
		sim_fail("client %u has heard event %lld of p%u, and the last is %lld", p->i, (long long)v->last, project,
			 (long long)truth_last(project));
}

/* What the database holds of its session, which is all that another server would know. */
static void check_session(struct person *p)
{
	const char *node = machines[p->node].collab->history.node;
	int64_t there = database_int("SELECT count(*) FROM sessions WHERE pid = ?1 AND node = ?2 AND left_ms IS NULL", p->pid, node);

	if (!there)
		sim_fail("client %u is connected, and its session is not on server %u", p->i, p->node);
	for (unsigned i = 0; i < SIM_PROJECTS; i++) {
		const struct view *v = &p->views[i];
		bool is_in = database_int("SELECT count(*) FROM session_streams WHERE pid = ?1 AND stream = ?2 AND seq >= 0", p->pid, project_name(i)) > 0;

		if (is_in != v->is_in && (v->is_in || !v->is_unsure))
			sim_fail("client %u is %s p%u, and its session says otherwise", p->i, v->is_in ? "in" : "out of", i);
	}
}

void hear_check_calm(struct person *p)
{
	int64_t last = truth_user_last(p->user);

	if (p->state != PERSON_IN || p->is_lost)
		sim_fail("client %u is not back: state %d", p->i, (int)p->state);
	for (unsigned i = 0; i < SIM_PROJECTS; i++)
		check_view(p, i);
	if (p->pid[0]) /* else the store could not open one */
		check_session(p);
	if (p->has_note ? p->note != last : last > 0 && truth_notice_ms(p->user, last) > p->since_ms)
		sim_fail("client %u has heard notification %lld of u%u, and the last is %lld", p->i, p->has_note ? (long long)p->note : 0LL, p->user,
			 (long long)last);
}
