/* store_store_test.c -- the queue, the thread, the hand-over and the news, with
 * loops played by threads.  Run under TSan too.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "unit/store_loop.h"

#include <stdatomic.h>

/* ---- tests --------------------------------------------------------------- */

static struct store *open_threaded(struct loop *loop, uint32_t queue_max)
{
	struct store_options options = { .url = help_url(), .post = loop_post, .post_ctx = loop, .queue_max = queue_max };
	struct store *store;
	char error[STORE_ERROR_MAX];

	if (store_open(&options, &store, error) < 0)
		fail_msg("%s", error);
	return store;
}

struct tally {
	pthread_t loop_thread;
	atomic_int done, failed, wrong_thread, out_of_order;
	int64_t last_seq;
};

static void count_done(struct store_result *r, void *arg)
{
	struct tally *t = arg;

	if (!pthread_equal(pthread_self(), t->loop_thread))
		t->wrong_thread++;
	if (r->status != STORE_OK)
		t->failed++;
	if (r->seq && r->seq <= t->last_seq)
		t->out_of_order++;
	t->last_seq = r->seq ? r->seq : t->last_seq;
	store_result_free(r);
	t->done++;
}

struct writer {
	struct store *store;
	struct loop *loop;
	struct tally *tally;
	char project[16];
	int n;
};

static void *write_many(void *arg)
{
	struct writer *w = arg;

	for (int i = 0; i < w->n;) {
		struct store_ask ask = { .op = i % 4 ? STORE_EVENT_APPEND : STORE_EVENT_LIST, .project = S(w->project), .event = S("x"),
					 .body = S("{}"), .limit = 1, .done = count_done, .arg = w->tally, .loop = w->loop };
		if (i % 4 == 0) /* its seq is not of an event of its own */
			ask.op = STORE_PING;
		int r = store_submit(w->store, &ask);
		if (r == SIO_ERR_BUSY)
			nap();
		else
			assert_int_equal(r, SIO_OK), i++;
	}
	return NULL;
}

/* Two loops, two submitters, a small queue: everything is answered once, on its own
 * loop, in order, with dense numbers; commits are shared. */
static void many_requests(void **state)
{
	enum { N = 2000 };
	struct loop loops[2];
	struct tally tallies[2] = { 0 };
	struct writer writers[2];
	pthread_t threads[2];
	struct store_stats stats;
	struct store *store;

	(void)state;
	loop_start(&loops[0]);
	loop_start(&loops[1]);
	store = open_threaded(&loops[0], 100);
	for (int i = 0; i < 2; i++) {
		tallies[i].loop_thread = loops[i].thread;
		writers[i] = (struct writer){ .store = store, .loop = &loops[i], .tally = &tallies[i], .n = N };
		snprintf(writers[i].project, sizeof(writers[i].project), "p%d", i);
		pthread_create(&threads[i], NULL, write_many, &writers[i]);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 2; i++) {
		wait_until(tallies[i].done == N);
		assert_int_equal(tallies[i].failed, 0);
		assert_int_equal(tallies[i].wrong_thread, 0);
		assert_int_equal(tallies[i].out_of_order, 0);
		assert_int_equal(tallies[i].last_seq, N * 3 / 4);
	}
	store_stats(store, &stats);
	assert_int_equal(stats.requests_total, 2 * N);
	assert_int_equal(stats.queued, 0);
	assert_true(stats.batch_max > 1);
	assert_true(stats.commits_total < 2 * N);
	loop_end(&loops[0]);
	loop_end(&loops[1]);
	store_close(store);
}

struct commits {
	atomic_int done;
	int shared;
	int64_t position, newest;
};

static void see_commit(struct store_result *r, void *arg)
{
	struct commits *c = arg;

	assert_int_equal(r->status, STORE_OK);
	if (r->position) {
		assert_true(r->position > c->position && r->newest >= r->position);
		/* A new commit begins behind the last event of the one before. */
		assert_true(r->newest == c->newest || c->position == c->newest);
		c->shared += r->newest == c->newest;
		c->position = r->position;
		c->newest = r->newest;
	} else
		assert_int_equal(r->newest, 0);
	store_result_free(r);
	c->done++;
}

/* An answer says how far the events of its commit go. */
static void the_newest_of_a_commit(void **state)
{
	enum { N = 60 };
	struct loop loop;
	struct commits c = { 0 };
	struct store *store;

	(void)state;
	loop_start(&loop);
	store = open_threaded(&loop, 0);
	help_hold(); /* the first batch cannot begin, so that the others are queued behind it */
	for (int i = 0; i < N; i++)
		assert_int_equal(store_submit(store, ASK(.op = i % 4 == 3 ? STORE_COUNTS : STORE_EVENT_APPEND, .project = S(i % 2 ? "p" : "q"),
							 .event = S("x"), .body = S("1"), .is_ordered = true, .done = see_commit, .arg = &c)), SIO_OK);
	help_release();
	wait_until(c.done == N);
	assert_true(c.shared > 0);
	assert_int_equal(c.position, c.newest);
	loop_end(&loop);
	store_close(store);
}

/* A full queue is refused at once and counted. */
static void queue_full(void **state)
{
	struct loop loop;
	struct tally tally = { 0 };
	struct store *store;
	struct store_stats stats;
	int accepted = 0, refused = 0;

	(void)state;
	loop_start(&loop);
	tally.loop_thread = loop.thread;
	store = open_threaded(&loop, 8);
	/* Another process writes: the store thread waits, the queue fills. */
	help_hold();
	for (int i = 0; i < 40; i++) {
		int r = store_submit(store, ASK(.op = STORE_EVENT_APPEND, .project = S("p"), .event = S("x"), .body = S("1"),
						.done = count_done, .arg = &tally));
		accepted += r == SIO_OK;
		refused += r == SIO_ERR_BUSY;
	}
	assert_int_equal(accepted + refused, 40);
	assert_true(refused >= 40 - 8 - STORE_BATCH_MAX && refused > 0);
	help_release();
	wait_until(tally.done == accepted);
	assert_int_equal(tally.failed, 0);
	store_stats(store, &stats);
	assert_int_equal(stats.refused_total, refused);
	loop_end(&loop);
	store_close(store);
}

/* A loop whose own queue is full loses nothing; one that closes meanwhile neither. */
static void loop_full_then_closed(void **state)
{
	struct loop loop;
	struct tally tally = { 0 };
	struct store *store;

	(void)state;
	loop_start(&loop);
	tally.loop_thread = loop.thread;
	store = open_threaded(&loop, 0);
	pthread_mutex_lock(&loop.lock);
	loop.is_stuck = true;
	pthread_mutex_unlock(&loop.lock);
	for (int i = 0; i < 10; i++)
		assert_int_equal(store_submit(store, ASK(.op = STORE_PING, .done = count_done, .arg = &tally)), SIO_OK);
	for (int i = 0; i < 30; i++)
		nap();
	assert_int_equal(tally.done, 0);
	pthread_mutex_lock(&loop.lock);
	loop.is_stuck = false;
	pthread_mutex_unlock(&loop.lock);
	wait_until(tally.done == 10);
	assert_int_equal(tally.wrong_thread, 0);
	loop_end(&loop);
	for (int i = 0; i < 10; i++)
		assert_int_equal(store_submit(store, ASK(.op = STORE_EVENT_APPEND, .project = S("p"), .event = S("x"), .body = S("1"),
							 .done = count_done, .arg = &tally)), SIO_OK);
	store_close(store);
	assert_int_equal(tally.done, 20);
	assert_int_equal(tally.failed, 0);
}

/* store_close while the loop takes nothing (its thread is the one that closes). */
static void close_with_stuck_loop(void **state)
{
	struct loop loop;
	struct tally tally = { 0 };
	struct store *store;

	(void)state;
	loop_start(&loop);
	store = open_threaded(&loop, 0);
	pthread_mutex_lock(&loop.lock);
	loop.is_stuck = true;
	pthread_mutex_unlock(&loop.lock);
	for (int i = 0; i < 5; i++)
		assert_int_equal(store_submit(store, ASK(.op = STORE_PING, .done = count_done, .arg = &tally)), SIO_OK);
	store_close(store);
	assert_int_equal(tally.done, 5);
	loop_end(&loop);
}

static void submit_refused(void **state)
{
	struct loop loop;
	struct store *store = help_open();
	struct store_result *r;

	(void)state;
	assert_int_equal(store_submit(store, ASK(.op = STORE_PING, .done = count_done)), SIO_ERR_INVAL); /* no thread */
	store_close(store);
	loop_start(&loop);
	store = open_threaded(&loop, 0);
	assert_int_equal(store_submit(store, ASK(.op = STORE_PING)), SIO_ERR_INVAL);
	assert_int_equal(store_submit(store, ASK(.op = STORE_OP_N, .done = count_done)), SIO_ERR_INVAL);
	r = help_run(store, ASK(.op = STORE_COUNTS), STORE_OK); /* also with a thread */
	assert_has(r->json, "\"users\":0");
	store_result_free(r);
	store_close(store);
	loop_end(&loop);
}

/* ---- news ---------------------------------------------------------------- */

static void on_access(const struct store_access_change *changes, size_t n, void *arg)
{
	char line[128];

	for (size_t i = 0; i < n; i++) {
		snprintf(line, sizeof(line), "access %s %s '%s'", changes[i].project, changes[i].user, changes[i].role);
		heard_add(arg, line);
	}
}

static void on_events(const struct store_foreign_event *events, size_t n, void *arg)
{
	char line[256];

	for (size_t i = 0; i < n; i++) {
		snprintf(line, sizeof(line), "event %s %lld %s %.*s%s%s", events[i].project, (long long)events[i].seq, events[i].type,
			 (int)events[i].data.n, events[i].data.p, events[i].except_sid[0] ? " not for " : "", events[i].except_sid);
		heard_add(arg, line);
	}
}

/* The CLI, a second store on the same file, changes roles: the server hears of it
 * soon, and of its events, but not of its own. */
static void changes_by_another_process(void **state)
{
	struct heard heard = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct loop loop;
	struct store *cli = help_open(), *server;
	struct store_options options = { .url = help_url(), .post = loop_post, .post_ctx = &loop, .on_access_changed = on_access,
					 .on_foreign_events = on_events, .arg = &heard };
	char error[STORE_ERROR_MAX];
	struct timespec a, b;

	(void)state;
	loop_start(&loop);
	help_fill(cli);
	assert_int_equal(store_open(&options, &server, error), SIO_OK);
	clock_gettime(CLOCK_MONOTONIC, &a);
	help_do(cli, ASK(.op = STORE_COLLAB_DELETE, .project = S("proj-1"), .user = S("ben")), STORE_OK);
	wait_until(has_heard(&heard, "access proj-1 ben ''"));
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_true((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < 800);
	wait_until(has_heard(&heard, "event proj-1 2 collaborator:changed {\"project_id\":\"proj-1\",\"user_id\":\"ben\",\"role\":null"));
	/* Our own change of a role is told as well; our own event is not, another's between is. */
	help_do(server, ASK(.op = STORE_EVENT_APPEND, .project = S("proj-1"), .event = S("own"), .body = S("1")), STORE_OK);
	help_do(cli, ASK(.op = STORE_EVENT_APPEND, .project = S("proj-1"), .event = S("theirs"), .body = S("2"), .except_sid = S("sid-1")), STORE_OK);
	help_do(server, ASK(.op = STORE_COLLAB_PUT, .project = S("proj-1"), .user = S("cleo"), .body = S("{\"role\":\"viewer\"}")), STORE_OK);
	wait_until(has_heard(&heard, "access proj-1 cleo 'viewer'"));
	wait_until(has_heard(&heard, "event proj-1 4 theirs 2 not for sid-1"));
	/* A deleted project takes its roles along. */
	help_do(cli, ASK(.op = STORE_PROJECT_DELETE, .project = S("proj-1")), STORE_OK);
	wait_until(has_heard(&heard, "access proj-1 anna ''"));
	assert_false(has_heard(&heard, " own "));
	assert_false(has_heard(&heard, "collaborator:changed {\"project_id\":\"proj-1\",\"user_id\":\"cleo\""));
	loop_end(&loop);
	store_close(server);
	store_close(cli);
}

/* A completion that leaves a line: its operation, status and number. */
static void hear_done(struct store_result *r, void *arg)
{
	char line[128];

	snprintf(line, sizeof(line), "done %s %s %lld", store_op_name(r->op), store_status_name(r->status), (long long)r->seq);
	heard_add(arg, line);
	store_result_free(r);
}

/* What another process had committed before a write of ours is told before it is answered. */
static void news_before_answers(void **state)
{
	struct heard heard = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct loop loop;
	struct store *cli = help_open(), *server;
	struct store_options options = { .url = help_url(), .post = loop_post, .post_ctx = &loop, .on_foreign_events = on_events, .arg = &heard };
	char error[STORE_ERROR_MAX];

	(void)state;
	loop_start(&loop);
	assert_int_equal(store_open(&options, &server, error), SIO_OK);
	for (int i = 0; i < 20; i++) {
		char theirs[64], ours[64];
		const char *first, *second;
		snprintf(theirs, sizeof(theirs), "event p %d theirs", 2 * i + 1);
		snprintf(ours, sizeof(ours), "done event_append ok %d\n", 2 * i + 2);
		help_do(cli, ASK(.op = STORE_EVENT_APPEND, .project = S("p"), .event = S("theirs"), .body = S("1")), STORE_OK);
		assert_int_equal(store_submit(server, ASK(.op = STORE_EVENT_APPEND, .project = S("p"), .event = S("ours"), .body = S("1"),
							  .done = hear_done, .arg = &heard)), SIO_OK);
		wait_until(has_heard(&heard, ours));
		wait_until(has_heard(&heard, theirs));
		pthread_mutex_lock(&heard.lock);
		first = strstr(heard.text, theirs);
		second = strstr(heard.text, ours);
		pthread_mutex_unlock(&heard.lock);
		assert_true(first < second);
	}
	loop_end(&loop);
	store_close(server);
	store_close(cli);
}

/* While a write waits, a read beside it is answered and one that is ordered is not; then it
 * comes behind that write and sees it. */
static void reads_beside_writes(void **state)
{
	struct heard heard = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct loop loop;
	struct store *store;

	(void)state;
	loop_start(&loop);
	store = open_threaded(&loop, 0);
	help_do(store, ASK(.op = STORE_EVENT_APPEND, .project = S("p"), .event = S("x"), .body = S("1")), STORE_OK);
	help_hold();
#define SUBMIT(...) assert_int_equal(store_submit(store, ASK(.project = S("p"), .done = hear_done, .arg = &heard, __VA_ARGS__)), SIO_OK)
	SUBMIT(.op = STORE_EVENT_APPEND, .event = S("x"), .body = S("2"));
	SUBMIT(.op = STORE_EVENT_LIST, .is_ordered = true);
	SUBMIT(.op = STORE_EVENT_LIST);
	wait_until(has_heard(&heard, "done event_list ok 1\n"));
	assert_false(has_heard(&heard, "done event_append"));
	assert_false(has_heard(&heard, "done event_list ok 2"));
	help_release();
	wait_until(has_heard(&heard, "done event_append ok 2\ndone event_list ok 2\n"));
	/* A write that was answered is seen by every read that is asked then. */
	for (int i = 3; i < 100; i++) {
		struct store_result *r;
		help_do(store, ASK(.op = STORE_EVENT_APPEND, .project = S("p"), .event = S("x"), .body = S("1")), STORE_OK);
		r = help_run(store, ASK(.op = STORE_EVENT_LIST, .project = S("p")), STORE_OK);
		assert_int_equal(r->seq, i);
		store_result_free(r);
	}
	loop_end(&loop);
	store_close(store);
}

static bool may_all(const char *role, int action)
{
	(void)role, (void)action;
	return true;
}

/* Requests of one commit see what those before them have done: versions, numbers, what is gone. */
static void one_commit_one_item(void **state)
{
	struct heard heard = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct loop loop;
	struct store *store;
	struct store_stats stats;

	(void)state;
	loop_start(&loop);
	store = open_threaded(&loop, 0);
	help_fill(store);
	help_do(store, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .item = S("i"), .body = S("{}")), STORE_OK);
	help_hold();
#define ON_ITEM(...) assert_int_equal(store_submit(store, ASK(.project = S("proj-1"), .item = S("i"), .actor = S("ben"), .may = may_all, \
							       .done = hear_done, .arg = &heard, __VA_ARGS__)), SIO_OK)
	ON_ITEM(.op = STORE_BOQ_PATCH, .body = S("{\"qty\":1}"), .version = 1);
	ON_ITEM(.op = STORE_BOQ_PATCH, .body = S("{\"qty\":2}"), .version = 1);
	ON_ITEM(.op = STORE_BOQ_PATCH, .body = S("{\"unit\":\"m\"}"), .version = 2);
	ON_ITEM(.op = STORE_BOQ_PATCH, .body = S("{\"qty\":\"x\"}"));
	ON_ITEM(.op = STORE_BOQ_GET, .is_ordered = true);
	ON_ITEM(.op = STORE_BOQ_CREATE, .body = S("{}"));
	ON_ITEM(.op = STORE_BOQ_PATCH, .body = S("{\"qty\":3,\"version\":3}"));
	ON_ITEM(.op = STORE_BOQ_DELETE, .version = 4);
	ON_ITEM(.op = STORE_BOQ_PATCH, .body = S("{\"qty\":4}"));
	ON_ITEM(.op = STORE_PROJECT_DELETE);
	ON_ITEM(.op = STORE_BOQ_CREATE, .body = S("{}"));
	nap();
	help_release();
	wait_until(has_heard(&heard, "done boq_patch ok 3\ndone boq_patch conflict 0\ndone boq_patch ok 4\ndone boq_patch invalid 0\n"
				     "done boq_get ok 0\ndone boq_create exists 0\ndone boq_patch ok 5\ndone boq_delete ok 6\n"
				     "done boq_patch not_found 0\ndone project_delete ok 0\ndone boq_create not_found 0\n"));
	store_stats(store, &stats);
	assert_int_equal(stats.commit_failures_total, 0);
	loop_end(&loop);
	store_close(store);
}

/* Eight askers and a commit that takes 30 ms: the store learns to wait for them. */
static void slow_commit(struct store *store, struct tally *tally)
{
	int before = tally->done;

	help_hold();
	for (int i = 0; i < 8; i++)
		assert_int_equal(store_submit(store, ASK(.op = STORE_EVENT_APPEND, .project = S("p"), .event = S("x"), .body = S("1"),
							 .done = count_done, .arg = tally)), SIO_OK);
	for (int i = 0; i < 30; i++)
		nap();
	help_release();
	wait_until(tally->done == before + 8);
}

/* Nobody is waited for longer than promised: a lone one, one who comes later, the end. */
static void nobody_waits_in_vain(void **state)
{
	struct loop loop;
	struct tally tally = { 0 };
	struct timespec a, b;
	struct store *store;

	(void)state;
	loop_start(&loop);
	tally.loop_thread = loop.thread;
	store = open_threaded(&loop, 0);
	for (int round = 0; round < 5; round++) {
		slow_commit(store, &tally);
		for (int i = 0; i < round * 3; i++)
			nap();
		clock_gettime(CLOCK_MONOTONIC, &a);
		help_do(store, ASK(.op = STORE_EVENT_APPEND, .project = S("p"), .event = S("x"), .body = S("1")), STORE_OK);
		clock_gettime(CLOCK_MONOTONIC, &b);
		assert_true((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < 1000);
	}
	slow_commit(store, &tally);
	assert_int_equal(store_submit(store, ASK(.op = STORE_EVENT_APPEND, .project = S("p"), .event = S("x"), .body = S("1"),
						 .done = count_done, .arg = &tally)), SIO_OK);
	loop_end(&loop);
	store_close(store);
	assert_int_equal(tally.done, 6 * 8 + 1);
	assert_int_equal(tally.failed, 0);
	assert_int_equal(tally.last_seq, 6 * 8 + 5 + 1);
}

/* The handle beside cannot write, whatever is asked of it; a database in memory has none. */
static void no_second_handle_in_memory(void **state)
{
	struct store_options options = { .url = "sqlite:///:memory:", .post = loop_post };
	struct loop loop;
	char error[STORE_ERROR_MAX];
	struct store *store;
	struct store_result *r;

	(void)state;
	loop_start(&loop);
	options.post_ctx = &loop;
	assert_int_equal(store_open(&options, &store, error), SIO_OK);
	help_do(store, ASK(.op = STORE_EVENT_APPEND, .project = S("p"), .event = S("x"), .body = S("1")), STORE_OK);
	r = help_run(store, ASK(.op = STORE_EVENT_LIST, .project = S("p")), STORE_OK);
	assert_int_equal(r->rows_n, 1);
	store_result_free(r);
	store_close(store);
	loop_end(&loop);
}

/* The thread sweeps by itself, and goes on answering. */
static void swept_by_the_thread(void **state)
{
	struct loop loop;
	struct store_options options = { .url = help_url(), .post = loop_post, .post_ctx = &loop, .events_keep_count = 5 };
	struct store *store = help_open();
	struct store_stats stats;
	char error[STORE_ERROR_MAX];

	(void)state;
	for (int i = 0; i < 1200; i++)
		help_do(store, ASK(.op = STORE_EVENT_APPEND, .project = S("p"), .event = S("x"), .body = S("1")), STORE_OK);
	store_close(store);
	loop_start(&loop);
	assert_int_equal(store_open(&options, &store, error), SIO_OK);
	do {
		struct store_result *r = help_run(store, ASK(.op = STORE_EVENT_LIST, .project = S("p"), .limit = 1000), STORE_OK);
		assert_int_equal(r->seq, 1200);
		assert_true(r->oldest + (int64_t)r->rows_n - 1 == (r->rows_n == 1000 ? r->oldest + 999 : 1200));
		store_result_free(r);
		nap();
		store_stats(store, &stats);
	} while (stats.swept_total < 1195);
	assert_int_equal(stats.swept_total, 1195);
	assert_true(stats.sweep_us_max > 0);
	store_close(store);
	loop_end(&loop);
}

static int setup(void **state)
{
	(void)state;
	help_folder_make();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	help_folder_remove();
	return 0;
}

int main(void)
{
	const struct help_test tests[] = {
		HELP_TEST(HELP_ALL, many_requests, setup, teardown),
		HELP_TEST(HELP_ALL, the_newest_of_a_commit, setup, teardown),
		HELP_TEST(HELP_KEPT, queue_full, setup, teardown),
		HELP_TEST(HELP_ALL, loop_full_then_closed, setup, teardown),
		HELP_TEST(HELP_ALL, close_with_stuck_loop, setup, teardown),
		HELP_TEST(HELP_ALL, submit_refused, setup, teardown),
		HELP_TEST(HELP_KEPT, changes_by_another_process, setup, teardown),
		HELP_TEST(HELP_KEPT, news_before_answers, setup, teardown),
		HELP_TEST(HELP_KEPT, reads_beside_writes, setup, teardown),
		HELP_TEST(HELP_KEPT, one_commit_one_item, setup, teardown),
		HELP_TEST(HELP_KEPT, nobody_waits_in_vain, setup, teardown),
		HELP_TEST(HELP_SQLITE, no_second_handle_in_memory, setup, teardown),
		HELP_TEST(HELP_KEPT, swept_by_the_thread, setup, teardown),
	};

	return help_main(tests, sizeof(tests) / sizeof(tests[0]));
}
