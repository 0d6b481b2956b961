/* run.c -- one run: an installation is set up, lives through its steps, is held against the truth.
 *
 *	set up, warm up -> (steps with faults -> calm: all must be well) x 2 -> all go -> nothing is left
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <string.h>

#include "collab/lease.h"
#include "sim/fault.h"
#include "sim/node.h"
#include "sim/person.h"
#include "sim/sabotage.h"
#include "sim/truth.h"

enum { WARM_UP_MS = 4000, PHASES = 2, LOOK_EVERY_MS = 250, END_MS = 25000 };

struct sim_sum sum;

/* ---- who may be where ---------------------------------------------------------------------- */

static void outside(struct store_ask ask)
{
	ask.actor = SIO_LIT("root");
	database_run(ask);
}

static void give_role(unsigned p, unsigned u)
{
	static const char *const roles[] = { "viewer", "commenter", "editor" };
	char body[64];

	snprintf(body, sizeof(body), "{\"role\":\"%s\"}", roles[below(3)]);
	outside((struct store_ask){ .op = STORE_COLLAB_PUT, .project = sio_str(project_name(p)), .user = sio_str(user_name(u)),
				    .body = sio_str(body) });
}

static void take_role(unsigned p, unsigned u)
{
	struct store_ask ask = { .op = STORE_COLLAB_DELETE, .project = sio_str(project_name(p)), .user = sio_str(user_name(u)),
				 .actor = SIO_LIT("root") };
	unsigned n = below(world.nodes_n);

	if (one_in(2) && node_is_up(n))
		node_write(n, ask, NULL, NULL);
	else
		outside(ask);
}

static void set_up(void)
{
	outside((struct store_ask){ .op = STORE_USER_ADD, .user = SIO_LIT("root"), .body = SIO_LIT("{\"name\":\"Root\"}") });
	for (unsigned u = 0; u < world.users_n; u++) {
		char body[64];

		snprintf(body, sizeof(body), "{\"name\":\"User %u\"}", u);
		outside((struct store_ask){ .op = STORE_USER_ADD, .user = sio_str(user_name(u)), .body = sio_str(body) });
	}
	for (unsigned p = 0; p < SIM_PROJECTS; p++) {
		outside((struct store_ask){ .op = STORE_PROJECT_ADD, .project = sio_str(project_name(p)), .user = SIO_LIT("root"),
					    .body = SIO_LIT("{\"name\":\"A project\"}") });
		for (unsigned u = 0; u < world.users_n; u++)
			if (one_in(3))
				give_role(p, u);
	}
}

/* ---- all is well --------------------------------------------------------------------------------- */

static void on_missing(sio_slice node, void *arg)
{
	(void)node;
	++*(unsigned *)arg;
}

static void check_server(unsigned n)
{
	const struct collab *collab = machines[n].collab;
	struct lease_facts facts;
	unsigned missing_n = 0, connections = 0;

	node_check(n);
	for (unsigned i = 0; i < world.clients_n; i++)
		connections += people[i].c != NULL;
	if (!adapter_is_well(machines[n].adapter, world.nodes_n - 1))
		sim_fail("server %u has not found back to Redis and the others", n);
	if (collab->gaps || collab->rechecks)
		sim_fail("server %u still waits for an event or a role", n);
	lease_missing(leases_map(collab), sio_str(project_name(0)), node_now_ms(n), on_missing, &missing_n);
	lease_facts(leases_map(collab), &facts);
	if (missing_n || facts.connections != connections)
		sim_fail("server %u counts %llu connections, there are %u; %u servers are missing", n, (unsigned long long)facts.connections,
			 connections, missing_n);
}

/* Each client of a project sees its users, all and no others. */
static void check_presence(unsigned project)
{
	static uint8_t truth[SIM_USERS_MAX];

	memset(truth, 0, sizeof(truth));
	for (unsigned i = 0; i < world.clients_n; i++)
		if (people[i].views[project].is_in)
			truth[people[i].user] = 1;
	for (unsigned i = 0; i < world.clients_n; i++)
		for (unsigned u = 0; people[i].views[project].is_in && u < world.users_n; u++)
			if (view_sees(&people[i].views[project], u) != truth[u])
				sim_fail("client %u of p%u, on server %u, %s u%u, who %s there", i, project, people[i].node,
					 truth[u] ? "does not see" : "sees", u, truth[u] ? "is" : "is not");
}

static void look_at_all(void)
{
	for (unsigned i = 0; i < world.clients_n; i++)
		person_look(&people[i]);
}

static void calm(void)
{
	sim_trace("calm");
	world.is_calm = true;
	fault_heal();
	for (unsigned ms = 0; ms < SIM_CALM_MS; ms += LOOK_EVERY_MS) {
		look_at_all();
		world_pass(LOOK_EVERY_MS);
	}
	for (unsigned n = 0; n < world.nodes_n; n++)
		check_server(n);
	for (unsigned i = 0; i < world.clients_n; i++)
		hear_check_calm(&people[i]);
	for (unsigned p = 0; p < SIM_PROJECTS; p++)
		check_presence(p);
	world.is_calm = false;
	sum.calms++;
}

/* ---- steps ------------------------------------------------------------------------------------------- */

/* An operator ends all connections of a user on a server. */
static void throw_out(unsigned user, unsigned n)
{
	int before;

	if (!node_is_up(n))
		return;
	before = node_enter(n);
	sim_trace("u%u is thrown out of server %u", user, n);
	collab_disconnect_user(machines[n].collab, sio_str(user_name(user)));
	node_leave(before);
}

static void step(void)
{
	for (uint32_t n = below(12); n > 0; n--)
		person_act(&people[below(world.clients_n)]);
	if (one_in(12)) {
		unsigned p = below(SIM_PROJECTS), u = below(world.users_n);

		if (truth_has_role(p, u) && one_in(2))
			take_role(p, u);
		else
			give_role(p, u);
	}
	if (one_in(150))
		throw_out(below(world.users_n), below(world.nodes_n));
	if (world.step * 8 >= world.steps && one_in(25)) { /* before that nothing may err at all (hear.c: STEADY_MS) */
		world_pass(below(8)); /* into what is under way */
		fault_make();
	}
	fault_pass();
	for (unsigned i = 0; i < 20; i++)
		person_look(&people[(world.step * 20 + i) % world.clients_n]);
	world_pass(one_in(25) ? below(3000) : below(40));
	if (world.step % 2 == 0 && node_is_up((unsigned)(world.step / 2 % world.nodes_n))) /* what is wrong there stays wrong */
		node_check((unsigned)(world.step / 2 % world.nodes_n));
}

/* ---- the whole ------------------------------------------------------------------------------------------- */

static void begin(const struct sim_options *options)
{
	world = (struct world){ .seed = options->seed, .steps = options->steps, .now_ms = 1000000, .is_loud = options->is_loud, .node = -1,
				.trace = 14695981039346656037ULL };
	sum = (struct sim_sum){ 0 };
	chance_begin(options->seed);
	world.nodes_n = between(2, SIM_NODES_MAX); /* drawn in any case: who names what was drawn gets the same run */
	world.clients_n = between(100, 150);
	if (options->nodes_n)
		world.nodes_n = options->nodes_n;
	if (options->clients_n)
		world.clients_n = options->clients_n;
	world.users_n = world.clients_n * 2 / 3 + 1;
	if (world.nodes_n > SIM_NODES_MAX || world.clients_n > SIM_CLIENTS_MAX)
		sim_fail("at most %d servers and %d clients", SIM_NODES_MAX, SIM_CLIENTS_MAX);
	memset(machines, 0, sizeof(machines));
	sabotage_begin(options->sabotage);
	later_begin();
	fault_begin();
	redis_begin();
	truth_begin();
	database_open();
	set_up();
	for (unsigned n = 0; n < world.nodes_n; n++)
		node_start(n);
	person_begin();
	world_pass(WARM_UP_MS);
}

static void all_go(void)
{
	world.is_ending = true;
	for (unsigned i = 0; i < world.clients_n; i++) {
		if (one_in(2))
			person_quit(&people[i]);
		person_lose(&people[i], one_in(2));
	}
	world_pass(END_MS);
	for (unsigned n = 0; n < world.nodes_n; n++)
		node_check_idle(n);
}

static void end(void)
{
	for (unsigned n = 0; n < world.nodes_n; n++)
		node_end(n, false);
	later_end();
	redis_end();
	database_close();
	truth_end();
	person_end();
}

struct sim_sum sim_run(const struct sim_options *options)
{
	int64_t base = memory_out();

	begin(options);
	for (world.step = 0; world.step < options->steps; world.step++) {
		step();
		if ((world.step + 1) % (options->steps / PHASES + 1) == 0)
			calm();
	}
	calm();
	all_go();
	end();
	if (memory_out() != base)
		sim_fail("all has ended, and %lld blocks of memory are not given back", (long long)(memory_out() - base));
	sum.trace = world.trace;
	return sum;
}
