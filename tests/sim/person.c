/* person.c -- see person.h: coming, going, acting by chance.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "sim/person.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "lib/fake_engine.h"
#include "sim/node.h"
#include "sim/truth.h"

enum {
	PATIENCE_MS = SIM_PING_INTERVAL_MS + SIM_PING_TIMEOUT_MS + 500, /* without a word of the server */
	CONNECT_MS = 12000,     /* for the answer to CONNECT */
	ANSWER_MS = 10000,      /* for the answer to a join */
	REST_MS = 500,
	RETURN_MS = 3000,       /* behind a session's return: all its projects are answered */
};

struct person people[SIM_CLIENTS_MAX];
static struct person *work;

/* ---- coming and going ---------------------------------------------------------------------- */

static void set_state(struct person *p, enum person_state state)
{
	p->state = state;
	p->since_ms = world.now_ms;
}

static void on_return(void *arg)
{
	struct person *p = arg;

	if (!later_is_over() && !world.is_ending && p->state == PERSON_AWAY)
		person_come(p);
}

/* What was under way may have happened or not. */
static void doubt(struct view *v)
{
	v->may_return |= v->is_asking || v->is_leaving;
	v->is_in &= !v->is_leaving;
	v->is_asking = v->is_leaving = v->is_returning = false;
}

static void go_away(struct person *p)
{
	if (p->c)
		p->c->user = NULL;
	p->c = NULL;
	p->is_lost = p->owes_pong = false;
	p->slow_ms = 0;
	for (unsigned i = 0; i < SIM_PROJECTS; i++)
		doubt(&p->views[i]);
	set_state(p, PERSON_AWAY);
	sim_trace("client %u is away", p->i);
	later(world.now_ms + (one_in(8) && !world.is_calm ? between(1000, SIM_WINDOW_MS + 5000) : between(20, 2500)), on_return, p);
}

void person_forget(struct person *p)
{
	p->sid[0] = p->pid[0] = p->offset[0] = '\0';
	p->was_ended = false;
	p->has_note = false;
	for (unsigned i = 0; i < SIM_PROJECTS; i++) {
		struct view *v = &p->views[i];

		*v = (struct view){ .wants = v->wants };
	}
}

void person_lose(struct person *p, bool is_told)
{
	enum eio_wire wire = p->is_polling ? EIO_WIRE_GET : EIO_WIRE_WS;
	struct fake_client *c = p->c;
	unsigned n = p->node;

	if (!c)
		return;
	sum.lost++;
	go_away(p);
	if (!is_told || !node_is_up(n)) {
		if (one_in(2)) /* nothing more is taken; else the kernel takes it, for nobody */
			c->takes = 0;
		return;
	}
	int before = node_enter(n);
	if (c->link && c->gone_n == 0 && c->has_wire[wire])
		fake_hang_up(c, wire);
	node_leave(before);
}

void person_server_gone(unsigned n)
{
	for (unsigned i = 0; i < world.clients_n; i++)
		if (people[i].c && people[i].node == n)
			go_away(&people[i]);
}

void person_row_failed(sio_slice pid, sio_slice project)
{
	for (unsigned i = 0; i < world.clients_n; i++)
		if (project_index(project) >= 0 && sio_slice_eq(sio_str(people[i].pid), pid))
			people[i].views[project_index(project)].is_unsure = true;
}

void person_server_woke(unsigned n)
{
	for (unsigned i = 0; i < world.clients_n; i++)
		if (people[i].c && people[i].node == n)
			person_stir(&people[i]);
}

static int a_server(const struct person *p)
{
	unsigned up[SIM_NODES_MAX], up_n = 0;

	for (unsigned n = 0; n < world.nodes_n; n++)
		if (node_is_up(n))
			up[up_n++] = n;
	if (up_n == 0)
		return -1;
	return node_is_up(p->node) && one_in(3) ? (int)p->node : (int)up[below(up_n)];
}

void person_come(struct person *p)
{
	int n = a_server(p);

	if (n < 0) { /* nobody answers */
		later(world.now_ms + between(200, 2000), on_return, p);
		return;
	}
	p->node = (unsigned)n;
	p->life = machines[n].life;
	p->is_polling = one_in(5);
	p->heard_ms = world.now_ms;
	p->gen++;
	p->moves = 0;
	sim_trace("client %u (u%u) comes to server %d%s", p->i, p->user, n, p->is_polling ? ", polling" : "");
	set_state(p, PERSON_OPENING);
	p->c = node_open(p->node, p->is_polling, p);
}

void person_say(struct person *p, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (!p->c || !p->c->link || p->c->gone_n > 0 || p->is_lost || !node_is_up(p->node))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	node_say(p->node, p->c, text);
}

/* The session that it would have back, and what it wants at once. */
static void connect(struct person *p)
{
	struct buf b = { 0 };
	bool names = !p->pid[0] || one_in(2);
	unsigned n = 0;

	p->has_named = p->pid[0] != '\0';
	buf_printf(&b, "40{\"token\":\"%s\"", user_name(p->user));
	if (p->has_named)
		buf_printf(&b, ",\"pid\":\"%s\"", p->pid);
	if (p->has_named && p->offset[0])
		buf_printf(&b, ",\"offset\":\"%s\"", p->offset);
	for (unsigned i = 0; names && i < SIM_PROJECTS; i++) {
		struct view *v = &p->views[i];

		if (!v->wants)
			continue;
		buf_printf(&b, "%s\"%s\"", n++ ? "," : ",\"projects\":[", project_name(i));
		v->is_asking = true;
		v->asked_ms = world.now_ms;
	}
	buf_str(&b, n ? "]}" : "}");
	buf_byte(&b, '\0');
	set_state(p, PERSON_ASKING);
	person_say(p, "%s", b.p);
	buf_fini(&b);
}

void person_quit(struct person *p)
{
	if (p->state != PERSON_IN || p->is_lost || !node_is_up(p->node))
		return;
	sim_trace("client %u says goodbye", p->i);
	p->was_ended = true;
	p->ended_ms = world.now_ms;
	p->ended_node = p->node;
	p->ended_life = p->life;
	person_say(p, "41");
	person_lose(p, true);
}

/* ---- its turn ------------------------------------------------------------------------------------ */

void person_stir(void *arg)
{
	struct person *p = arg;

	if (p->has_work)
		return;
	p->has_work = true;
	p->next_work = work;
	work = p;
}

void person_hear(void *arg, sio_slice text)
{
	struct person *p = arg;

	if (p->is_lost || text.n == 0)
		return;
	sum.delivered++;
	p->heard_ms = world.now_ms;
	if (world.is_loud)
		sim_trace("client %u hears %.*s", p->i, (int)(text.n < 300 ? text.n : 300), text.p);
	else
		sim_trace_bytes(text);
	person_stir(p);
	switch (text.p[0]) {
	case '0':
		if (p->state != PERSON_OPENING)
			sim_fail("client %u: a second open packet", p->i);
		break;
	case '2':
		p->owes_pong = true;
		break;
	case '4':
		hear_packet(p, sio_bytes(text.p + 1, text.n - 1));
		break;
	case '1':
	case '6':
		break;
	default:
		sim_fail("client %u hears %.*s", p->i, (int)text.n, text.p);
	}
}

static void turn(struct person *p)
{
	struct fake_client *c = p->c;

	if (!c)
		return;
	if (!c->link || c->gone_n > 0 || c->closed_n > 0) {
		go_away(p);
		return;
	}
	if (p->is_lost || !node_is_up(p->node))
		return;
	if (!p->is_polling && p->slow_ms == 0 && c->takes != SIZE_MAX) {
		int before = node_enter(p->node);

		fake_ws_takes(c, SIZE_MAX);
		node_leave(before);
	}
	if (p->owes_pong) {
		p->owes_pong = false;
		person_say(p, "3");
	}
	if (p->state == PERSON_OPENING && c->packets_n > 0)
		connect(p);
	if (p->c && p->is_polling && c->link && c->gone_n == 0 && !c->has_wire[EIO_WIRE_GET] && p->slow_ms == 0) {
		int before = node_enter(p->node);

		fake_get(c);
		node_leave(before);
	}
}

void person_turn_all(void)
{
	struct person *p = work;

	work = NULL;
	for (struct person *next; p; p = next) {
		next = p->next_work;
		p->has_work = false;
		turn(p);
	}
}

static bool is_idle(const struct view *v)
{
	return !v->is_asking && !v->is_leaving && !v->is_returning;
}

/* ---- patience --------------------------------------------------------------------------------------- */

static void read_again(struct person *p)
{
	p->slow_ms = 0;
	p->read_ms = world.now_ms; /* and in its turn it takes what lies there */
	person_stir(p);
}

/* As an application would: be where the user wants to be, and nowhere else. */
static void mend(struct person *p, unsigned project)
{
	struct view *v = &p->views[project];

	if (!is_idle(v) || p->is_lost || !node_is_up(p->node))
		return;
	if (v->is_in && !v->wants)
		person_leave(p, project);
	else if (!v->is_in && v->wants && !truth_has_role(project, p->user))
		v->wants = false;
	else if (!v->is_in && v->wants && (world.is_calm || one_in(4)))
		person_join(p, project);
}

void person_look(struct person *p)
{
	if (!p->c)
		return;
	if (p->slow_ms && world.now_ms >= p->slow_ms)
		read_again(p);
	if (p->slow_ms == 0 && world.now_ms - p->heard_ms > PATIENCE_MS) {
		person_lose(p, one_in(2)); /* as a stock client does: "ping timeout" */
		return;
	}
	if ((p->state == PERSON_ASKING || p->state == PERSON_OPENING) && world.now_ms - p->since_ms > CONNECT_MS) {
		person_lose(p, true);
		return;
	}
	person_stir(p);
	if (p->slow_ms || world.now_ms - p->read_ms < REST_MS) /* what it waits for may lie there */
		return;
	for (unsigned i = 0; i < SIM_PROJECTS && p->state == PERSON_IN; i++) {
		struct view *v = &p->views[i];

		if (v->is_asking && world.now_ms - v->asked_ms > ANSWER_MS && node_is_up(p->node) &&
		    world.now_ms - machines[p->node].trouble_ms > ANSWER_MS)
			sim_fail("client %u asked to join p%u %llu ms ago and was never answered (slow %llu, read %llu, heard %llu, polling %d)", p->i, i,
				 (unsigned long long)(world.now_ms - v->asked_ms), (unsigned long long)p->slow_ms, (unsigned long long)p->read_ms, (unsigned long long)p->heard_ms, p->is_polling);
		if (v->is_returning && world.now_ms - p->back_ms > RETURN_MS && node_is_up(p->node))
			sim_fail("client %u: its session came back, and p%u did not", p->i, i);
		mend(p, i);
	}
}

/* ---- what it does by chance -------------------------------------------------------------------------- */

void person_join(struct person *p, unsigned project)
{
	struct view *v = &p->views[project];

	if (!is_idle(v))
		return;
	v->is_asking = true;
	v->has_last &= v->is_in;
	v->asked_ms = world.now_ms;
	sim_trace("client %u joins p%u", p->i, project);
	person_say(p, "42[\"join_project\",{\"project_id\":\"%s\"}]", project_name(project));
}

void person_leave(struct person *p, unsigned project)
{
	struct view *v = &p->views[project];

	if (!is_idle(v) || !v->is_in)
		return;
	v->wants = false;
	v->is_leaving = true;
	sim_trace("client %u leaves p%u", p->i, project);
	person_say(p, "42[\"leave_project\",{\"project_id\":\"%s\"}]", project_name(project));
}

struct wish {
	uint64_t token;
	unsigned project, tries;
	struct person *person;
	enum store_op op;
	char body[256];
};

static bool may(const char *role, int action)
{
	return access_may(access_role_parse(sio_str(role)), (enum access_action)action);
}

static void write_it(struct wish *w);

/* A good answer means that it is there, once, whatever happened meanwhile. */
static void on_written(void *arg, int status)
{
	struct wish *w = arg;

	if (status == STORE_OK && truth_token_n(w->token) != 1)
		sim_fail("client %u was told that token%llu is committed, which is there %u times", w->person->i,
			 (unsigned long long)w->token, truth_token_n(w->token));
	if (status == WRITE_LOST || status == STORE_BUSY || status == STORE_UNAVAILABLE) {
		if (w->tries++ < 5 && !world.is_calm) {
			write_it(w);
			return;
		}
	}
	free(w);
}

/* The same wish has the same key, wherever it is sent to. */
static void again(void *arg)
{
	struct wish *w = arg;
	int n = later_is_over() ? -1 : a_server(w->person);
	char key[32];

	if (n < 0) {
		free(w);
		return;
	}
	snprintf(key, sizeof(key), "key-%llu", (unsigned long long)w->token);
	node_write((unsigned)n, (struct store_ask){
		.op = w->op,
		.project = sio_str(project_name(w->project)),
		.actor = sio_str(user_name(w->person->user)),
		.event = SIO_LIT("note"),
		.body = sio_str(w->body),
		.key = sio_str(key),
		.may = may,
		.action = ACCESS_COMMENT_WRITE,
	}, on_written, w);
}

static void write_it(struct wish *w)
{
	later(world.now_ms + (w->tries ? between(50, 800) : 0), again, w);
}

static void write_something(struct person *p, unsigned project)
{
	struct wish *w = calloc(1, sizeof(*w));
	unsigned other = below(world.users_n);

	*w = (struct wish){ .token = truth_token(), .project = project, .person = p };
	switch (below(4)) {
	case 0:
		w->op = STORE_COMMENT_ADD;
		snprintf(w->body, sizeof(w->body), "{\"text\":\"token%llu @%s\"}", (unsigned long long)w->token, user_name(other));
		break;
	case 1:
		w->op = STORE_TASK_ADD;
		snprintf(w->body, sizeof(w->body), "{\"title\":\"token%llu\"}", (unsigned long long)w->token);
		break;
	case 2:
		w->op = STORE_BOQ_CREATE;
		snprintf(w->body, sizeof(w->body), "{\"description\":\"token%llu\"}", (unsigned long long)w->token);
		break;
	default:
		w->op = STORE_EVENT_APPEND;
		snprintf(w->body, sizeof(w->body), "{\"project_id\":\"%s\",\"what\":\"token%llu\"}", project_name(project),
			 (unsigned long long)w->token);
	}
	write_it(w);
}

static void act_in(struct person *p, unsigned project)
{
	const char *name = project_name(project);

	switch (below(8)) {
	case 0:
	case 1:
	case 2:
		write_something(p, project);
		break;
	case 3:
	case 4:
		p->moves++;
		sum.cursors++;
		person_say(p, "42[\"cursor:move\",{\"project_id\":\"%s\",\"cursor\":[%u,%u,%u]}]", name, p->i, p->gen, p->moves);
		break;
	case 5:
		person_say(p, "42[\"presence:update\",{\"project_id\":\"%s\",\"state\":{\"at\":%u}}]", name, below(100));
		break;
	case 6:
		person_say(p, "42[\"typing:%s\",{\"project_id\":\"%s\",\"target\":{\"item\":%u}}]", one_in(2) ? "start" : "stop", name, below(3));
		break;
	default:
		person_leave(p, project);
	}
}

/* Mostly one that it is in. */
static unsigned a_project(const struct person *p)
{
	unsigned project = below(SIM_PROJECTS);

	for (unsigned i = 0; i < SIM_PROJECTS && !one_in(5); i++)
		if (p->views[(project + i) % SIM_PROJECTS].is_in)
			return (project + i) % SIM_PROJECTS;
	return project;
}

void person_act(struct person *p)
{
	unsigned project = a_project(p);
	struct view *v = &p->views[project];

	if (p->state != PERSON_IN || !node_is_up(p->node) || p->is_lost)
		return;
	if (one_in(40)) {
		person_lose(p, one_in(2));
	} else if (one_in(60) && p->slow_ms == 0) {
		p->slow_ms = world.now_ms + between(100, 6000);
		if (!p->is_polling)
			p->c->takes = below(200);
	} else if (one_in(150)) {
		person_quit(p);
	} else if (one_in(200)) {
		person_lose(p, true);
		person_forget(p);
	} else if (v->is_in && is_idle(v)) {
		act_in(p, project);
	} else if (is_idle(v) && truth_has_role(project, p->user)) {
		v->wants = true;
		person_join(p, project);
	} else if (is_idle(v) && one_in(10)) {
		person_join(p, project); /* is to be refused */
	}
}

/* ---- life ------------------------------------------------------------------------------------------------ */

void person_begin(void)
{
	memset(people, 0, sizeof(people));
	work = NULL;
	for (unsigned i = 0; i < world.clients_n; i++) {
		struct person *p = &people[i];

		p->i = i;
		p->user = i < world.users_n ? i : below(world.users_n);
		p->cursors = calloc(world.clients_n * SIM_PROJECTS, sizeof(p->cursors[0]));
		later(world.now_ms + below(3000), on_return, p);
	}
}

void person_end(void)
{
	for (unsigned i = 0; i < world.clients_n; i++)
		free(people[i].cursors);
}
