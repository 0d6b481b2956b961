/* store_postgres_test.c -- what only a database at the end of a wire can do: it goes and
 * comes again, it loses the answer to a commit, it asks for a transaction to be done again,
 * and several processes write into it.  The contract itself is in the other store tests.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "unit/store_loop.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#define APPEND(...) ASK(.op = STORE_EVENT_APPEND, .project = S("p"), .event = S("x"), .body = S("{}"), __VA_ARGS__)

static int64_t append(struct store *s)
{
	struct store_result *r = help_run(s, APPEND(.actor = S("a")), STORE_OK);
	int64_t seq = r->seq;

	store_result_free(r);
	return seq;
}

static void expect_events(struct store *s, int n)
{
	struct store_result *r = help_run(s, ASK(.op = STORE_EVENT_LIST, .project = S("p"), .limit = 1000), STORE_OK);

	assert_int_equal(r->rows_n, n);
	assert_int_equal(r->seq, n);
	store_result_free(r);
}

/* ---- a server that goes and comes ------------------------------------------------- */

/* Started anew while nobody asked: nobody notices. */
static void restarted_between(void **state)
{
	struct store *s = help_open();

	(void)state;
	assert_int_equal(append(s), 1);
	pg_server_stop(false);
	pg_server_start();
	assert_int_equal(append(s), 2);
	pg_server_stop(true);
	pg_server_start();
	expect_events(s, 2);
	pg_server_run(pg_server_url(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'skybuild'");
	assert_int_equal(append(s), 3);
	store_close(s);
}

/* While it is away everything is answered at once, with a sentence that names it; afterwards it
 * is found again, and numbers go on. */
static void away(void **state)
{
	struct store *s = help_open();
	struct store_result *r;
	struct timespec a, b;

	(void)state;
	assert_int_equal(append(s), 1);
	pg_server_stop(true);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < 20; i++) {
		r = help_run(s, APPEND(.actor = S("a")), STORE_UNAVAILABLE);
		assert_has(S(r->error), "PostgreSQL at postgres@/tmp/skybuild-pg-");
		assert_has(S(r->error), "cannot be reached");
		assert_int_equal(r->seq, 0);
		store_result_free(r);
		help_do(s, ASK(.op = STORE_PING), STORE_UNAVAILABLE);
		assert_false(store_sweep(s));
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_true(b.tv_sec - a.tv_sec < 3);
	pg_server_start();
	for (int i = 0; i < 5000; i++) {
		r = store_run(s, APPEND(.actor = S("a")));
		if (r->status == STORE_OK)
			break;
		assert_int_equal(r->status, STORE_UNAVAILABLE);
		store_result_free(r);
		nap();
	}
	assert_int_equal(r->seq, 2);
	store_result_free(r);
	expect_events(s, 2);
	store_close(s);
}

/* A start without a server fails soon, and says where it has looked. */
static void start_without_server(void **state)
{
	struct store_options options = { .url = help_url() };
	char error[STORE_ERROR_MAX];
	struct timespec a, b;
	struct store *s;

	(void)state;
	pg_server_stop(true);
	clock_gettime(CLOCK_MONOTONIC, &a);
	assert_int_equal(store_open(&options, &s, error), SIO_ERR_SYSTEM);
	/* 192.0.2.1 answers to nobody (RFC 5737). */
	options.url = "postgresql://u:geheim@192.0.2.1/d";
	assert_int_equal(store_open(&options, &s, error), SIO_ERR_SYSTEM);
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_has(S(error), "cannot reach PostgreSQL at u@192.0.2.1:5432/d (DATABASE_URL): ");
	assert_null(strchr(error, '\n'));
	assert_false(help_has(S(error), "geheim"));
	assert_true(b.tv_sec - a.tv_sec < 5);
	pg_server_start();
}

/* ---- a proxy that cuts a commit ------------------------------------------------------ */

enum cut { CUT_NOT, CUT_BEFORE, CUT_AFTER }; /* the server has seen COMMIT */

/* One client after the other, on a socket of its own beside the server's. */
struct proxy {
	int listener;
	pthread_t thread;
	char name[64];      /* of the prepared COMMIT */
	_Atomic int cut, cuts_n;
	_Atomic bool is_ended, refuses; /* refuses: after the next cut nobody is let in */
};

static int unix_socket(int port, struct sockaddr_un *at)
{
	*at = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(at->sun_path, sizeof(at->sun_path), "/tmp/%.*s/.s.PGSQL.%d", 18, strstr(pg_server_url(), "skybuild-pg-"), port);
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

/* Parse is 'P', a length, a name, a text. */
static void find_commit(struct proxy *p, const char *bytes, size_t n)
{
	const char *at = memmem(bytes, n, "\0COMMIT\0", 8), *begin = at;

	if (!at)
		return;
	while (begin > bytes && begin[-1] >= '0')
		begin--;
	snprintf(p->name, sizeof(p->name), "%.*s", (int)(at - begin), begin);
}

/* Bind is 'B', a length, "" and the name. */
static bool is_commit(const struct proxy *p, const char *bytes, size_t n)
{
	char wanted[70] = "";
	size_t name_n = strlen(p->name);

	memcpy(wanted + 1, p->name, name_n + 1);
	return name_n > 0 && memmem(bytes, n, wanted, name_n + 2) != NULL;
}

/* false: the connection ends. */
static bool pass_on(struct proxy *p, int from, int to, bool is_client)
{
	char bytes[65536];
	ssize_t n = read(from, bytes, sizeof(bytes));

	if (n <= 0)
		return false;
	if (is_client)
		find_commit(p, bytes, (size_t)n);
	if (is_client && p->cut != CUT_NOT && is_commit(p, bytes, (size_t)n)) {
		int cut = p->cut;
		p->cut = CUT_NOT;
		p->cuts_n++;
		if (cut == CUT_AFTER) {
			assert_int_equal(write(to, bytes, (size_t)n), n);
			assert_true(read(to, bytes, sizeof(bytes)) > 0); /* it has been done; nobody will hear of it */
		}
		return false;
	}
	return write(to, bytes, (size_t)n) == n;
}

static void serve_one(struct proxy *p, int client)
{
	struct sockaddr_un at;
	int server = unix_socket(5432, &at);
	bool goes_on = !(p->refuses && p->cut == CUT_NOT) && connect(server, (struct sockaddr *)&at, sizeof(at)) == 0;

	while (goes_on && !p->is_ended) {
		struct pollfd fds[] = { { .fd = client, .events = POLLIN }, { .fd = server, .events = POLLIN } };
		poll(fds, 2, 50);
		if (fds[0].revents)
			goes_on = pass_on(p, client, server, true);
		if (goes_on && fds[1].revents)
			goes_on = pass_on(p, server, client, false);
	}
	close(server);
	close(client);
}

static void *proxy_main(void *arg)
{
	struct proxy *p = arg;

	while (!p->is_ended) {
		struct pollfd fd = { .fd = p->listener, .events = POLLIN };
		if (poll(&fd, 1, 50) > 0)
			serve_one(p, accept(p->listener, NULL, NULL));
	}
	return NULL;
}

static void proxy_start(struct proxy *p)
{
	struct sockaddr_un at;

	*p = (struct proxy){ .listener = unix_socket(5433, &at) };
	assert_int_equal(bind(p->listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(p->listener, 8), 0);
	pthread_create(&p->thread, NULL, proxy_main, p);
}

static void proxy_end(struct proxy *p)
{
	struct sockaddr_un at;

	p->is_ended = true;
	pthread_join(p->thread, NULL);
	close(p->listener);
	close(unix_socket(5433, &at));
	unlink(at.sun_path);
}

/* The answer to COMMIT is lost: what was committed is not done again, what was not is. */
static void commit_without_answer(void **state)
{
	struct store_options options = { .clock_ms = help_clock };
	struct proxy proxy;
	char url[320], error[STORE_ERROR_MAX];
	struct store *s;

	(void)state;
	snprintf(url, sizeof(url), "%s&port=5433", help_url());
	options.url = url;
	proxy_start(&proxy);
	if (store_open(&options, &s, error) != SIO_OK)
		fail_msg("%s", error);
	assert_int_equal(append(s), 1);
	assert_true(proxy.name[0]);
	for (int i = 0; i < 6; i++) {
		proxy.cut = i % 2 ? CUT_AFTER : CUT_BEFORE;
		assert_int_equal(append(s), 2 + i);
		assert_int_equal(proxy.cuts_n, i + 1);
		expect_events(s, 2 + i);
	}
	/* Roles and rows, too: a request that is refused stays refused. */
	help_fill(s);
	proxy.cut = CUT_AFTER;
	help_do(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .item = S("i"), .body = S("{}")), STORE_OK);
	proxy.cut = CUT_AFTER;
	help_do(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .item = S("i"), .body = S("{}")), STORE_EXISTS);
	store_close(s);
	proxy_end(&proxy);
}

/* When the database does not come back, the answer says that nobody knows; it was done, and what
 * comes later is numbered behind it. */
static void commit_that_nobody_knows(void **state)
{
	struct proxy proxy;
	char url[320], error[STORE_ERROR_MAX];
	struct store_options options = { .url = url };
	struct store_result *r;
	struct timespec a, b;
	struct store *s;

	(void)state;
	snprintf(url, sizeof(url), "%s&port=5433", help_url());
	proxy_start(&proxy);
	assert_int_equal(store_open(&options, &s, error), SIO_OK);
	assert_int_equal(append(s), 1);
	proxy.refuses = true;
	proxy.cut = CUT_AFTER;
	clock_gettime(CLOCK_MONOTONIC, &a);
	r = help_run(s, APPEND(.actor = S("a"), .key = S("k")), STORE_UNAVAILABLE);
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_has(S(r->error), "whether this was done is not known");
	store_result_free(r);
	assert_true(b.tv_sec - a.tv_sec >= 14 && b.tv_sec - a.tv_sec <= 18); /* PG_RESOLVE_MS */
	proxy.refuses = false;
	for (int i = 0; i < 5000; i++) {
		r = store_run(s, APPEND(.actor = S("a"), .key = S("k")));
		if (r->status == STORE_OK)
			break;
		store_result_free(r);
		nap();
	}
	assert_true(r->is_repeat); /* the same key finds out */
	assert_int_equal(r->seq, 2);
	store_result_free(r);
	assert_int_equal(append(s), 3);
	store_close(s);
	proxy_end(&proxy);
}

/* ---- transactions that have to be done again --------------------------------------------- */

/* A deadlock or a conflict of snapshots (somebody writes without the lock) costs another try. */
static void done_again(void **state)
{
	struct store *s = help_open();
	struct store_result *r;

	(void)state;
	help_sql("CREATE SEQUENCE tries; CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
		 "IF nextval('tries') <= tg_argv[0]::int THEN RAISE EXCEPTION 'not now' USING ERRCODE = '40001'; END IF; RETURN new; END $$;"
		 "CREATE TRIGGER again BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION again(1)");
	assert_int_equal(append(s), 1);
	assert_int_equal(append(s), 2);
	/* Whoever never gets through is told so. */
	help_sql("DROP TRIGGER again ON events; CREATE TRIGGER again BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION again(1000)");
	r = help_run(s, APPEND(.actor = S("a")), STORE_BUSY);
	assert_int_equal(r->seq, 0);
	assert_int_equal(r->event.n, 0);
	store_result_free(r);
	help_sql("DROP TRIGGER again ON events");
	assert_int_equal(append(s), 3);
	expect_events(s, 3);
	store_close(s);
}

struct counted {
	_Atomic int done, by_status[16];
	int64_t last_seq;
	_Atomic bool is_out_of_order;
};

static void count(struct store_result *r, void *arg)
{
	struct counted *c = arg;

	c->by_status[r->status]++;
	if (r->status == STORE_OK && r->event.n && r->seq <= c->last_seq)
		c->is_out_of_order = true;
	c->last_seq = r->status == STORE_OK && r->event.n ? r->seq : c->last_seq;
	store_result_free(r);
	c->done++;
}

static struct store *open_threaded(struct loop *loop, struct store_options options)
{
	struct store *s;
	char error[STORE_ERROR_MAX];

	options.url = help_url();
	options.post = loop_post;
	options.post_ctx = loop;
	if (store_open(&options, &s, error) != SIO_OK)
		fail_msg("%s", error);
	return s;
}

/* In one commit, a statement that was put off fails when others stand behind it: only the
 * request that it belongs to is refused, and the numbers are dense. */
static void one_of_many_fails(void **state)
{
	struct loop loop;
	struct counted c = { 0 };
	struct store_stats stats;
	struct store *s;

	(void)state;
	loop_start(&loop);
	s = open_threaded(&loop, (struct store_options){ 0 });
	assert_int_equal(append(s), 1);
	help_sql("ALTER TABLE events ADD CONSTRAINT no_bad CHECK (type <> 'bad')");
	help_hold();
	for (int i = 0; i < 9; i++)
		assert_int_equal(store_submit(s, ASK(.op = STORE_EVENT_APPEND, .project = S("p"), .event = S(i % 3 == 1 ? "bad" : "good"),
						     .body = S("{}"), .done = count, .arg = &c)), SIO_OK);
	assert_int_equal(store_submit(s, ASK(.op = STORE_EVENT_LIST, .project = S("p"), .is_ordered = true, .done = count, .arg = &c)), SIO_OK);
	nap();
	help_release();
	wait_until(c.done == 10);
	assert_int_equal(c.by_status[STORE_OK], 7);
	assert_int_equal(c.by_status[STORE_REFUSED], 3);
	assert_false(c.is_out_of_order);
	expect_events(s, 7);
	store_stats(s, &stats);
	assert_int_equal(stats.commit_failures_total, 0);
	loop_end(&loop);
	store_close(s);
}

/* ---- several processes -------------------------------------------------------------------- */

enum { EACH = 400 };

/* What a server is told of the others' events: numbers of stream p that were seen. */
struct seen {
	_Atomic int n;
	int64_t last;
	_Atomic bool is_out_of_order;
	char own[2];
	_Atomic int own_n;
};

static void on_events(const struct store_foreign_event *events, size_t n, void *arg)
{
	struct seen *seen = arg;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(events[i].project, "p") != 0)
			continue;
		if (events[i].seq <= seen->last)
			seen->is_out_of_order = true;
		seen->last = events[i].seq;
		seen->own_n += strcmp(events[i].type, seen->own) == 0;
		seen->n++;
	}
}

struct side {
	struct loop loop;
	struct store *store;
	struct counted counted;
	struct seen seen;
	pthread_t thread;
};

static void *write_all(void *arg)
{
	struct side *side = arg;

	for (int i = 0; i < EACH; i++) {
		/* Two streams in opposite order: with locks on the rows alone that would be a deadlock. */
		bool is_first = (side->seen.own[0] == 'a') == (i % 2 == 0);
		while (store_submit(side->store, ASK(.op = STORE_EVENT_APPEND, .project = is_first ? S("p") : S("q"), .event = S(side->seen.own),
						     .body = S("{}"), .done = count, .arg = &side->counted)) == SIO_ERR_BUSY)
			nap();
		if (i % 16 == 0)
			nap();
	}
	return NULL;
}

/* Two writers on one database: dense numbers, each hears all that the other has done, in order,
 * once, and nothing of its own. */
static void two_writers(void **state)
{
	struct side *sides = calloc(2, sizeof(*sides));
	struct store *look;
	struct store_result *r;

	(void)state;
	for (int i = 0; i < 2; i++) {
		loop_start(&sides[i].loop);
		sides[i].seen.own[0] = (char)('a' + i);
		sides[i].store = open_threaded(&sides[i].loop, (struct store_options){ .on_foreign_events = on_events, .arg = &sides[i].seen });
	}
	for (int i = 0; i < 2; i++)
		pthread_create(&sides[i].thread, NULL, write_all, &sides[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(sides[i].thread, NULL);
	for (int i = 0; i < 2; i++) {
		wait_until(sides[i].counted.done == EACH);
		assert_int_equal(sides[i].counted.by_status[STORE_OK], EACH);
		wait_until(sides[i].seen.n == EACH / 2);
		assert_false(sides[i].seen.is_out_of_order);
		assert_int_equal(sides[i].seen.own_n, 0);
	}
	look = help_open();
	for (int i = 0; i < 2; i++) {
		r = help_run(look, ASK(.op = STORE_EVENT_LIST, .project = S(i ? "q" : "p"), .limit = 1000), STORE_OK);
		assert_int_equal(r->rows_n, EACH);
		assert_int_equal(r->seq, EACH);
		store_result_free(r);
	}
	store_close(look);
	for (int i = 0; i < 2; i++) {
		loop_end(&sides[i].loop);
		store_close(sides[i].store);
	}
	free(sides);
}

static void hear_events(const struct store_foreign_event *events, size_t n, void *arg)
{
	for (size_t i = 0; i < n; i++)
		heard_add(arg, events[i].type);
}

/* A commit elsewhere is told at once, not at the next poll; also after the connection was lost. */
static void woken(void **state)
{
	struct heard heard = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct loop loop;
	struct store *cli = help_open(), *s;
	int quick = 0;

	(void)state;
	loop_start(&loop);
	s = open_threaded(&loop, (struct store_options){ .on_foreign_events = hear_events, .arg = &heard });
	for (int i = 0; i < 20; i++) {
		struct timespec a, b;
		char type[32];
		for (int k = 0; k < 10; k++)
			nap();
		snprintf(type, sizeof(type), "event-%d-", i);
		clock_gettime(CLOCK_MONOTONIC, &a);
		help_do(cli, ASK(.op = STORE_EVENT_APPEND, .project = S("p"), .event = S(type), .body = S("{}")), STORE_OK);
		wait_until(has_heard(&heard, type));
		clock_gettime(CLOCK_MONOTONIC, &b);
		quick += (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < 60;
	}
	assert_true(quick >= 15); /* by polling alone it would be a fifth of them */
	pg_server_stop(true);
	pg_server_start();
	help_do(cli, ASK(.op = STORE_EVENT_APPEND, .project = S("p"), .event = S("later"), .body = S("{}")), STORE_OK);
	wait_until(has_heard(&heard, "later"));
	loop_end(&loop);
	store_close(s);
	store_close(cli);
}

/* A database that was put back to an earlier state: what comes then is heard again. */
static void put_back(void **state)
{
	struct heard heard = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct loop loop;
	struct store *cli = help_open(), *s;

	(void)state;
	loop_start(&loop);
	for (int i = 0; i < 5; i++)
		append(cli);
	s = open_threaded(&loop, (struct store_options){ .on_foreign_events = hear_events, .arg = &heard });
	help_sql("DELETE FROM events WHERE seq > 2; UPDATE streams SET seq = 2; SELECT setval(pg_get_serial_sequence('events', 'id'), 2)");
	for (int i = 0; i < 400; i++)
		nap();
	help_do(cli, ASK(.op = STORE_EVENT_APPEND, .project = S("p"), .event = S("anew"), .body = S("{}")), STORE_OK);
	wait_until(has_heard(&heard, "anew"));
	loop_end(&loop);
	store_close(s);
	store_close(cli);
}

/* Texts that PostgreSQL cannot keep, and ids that are only nearly one. */
static void odd_texts(void **state)
{
	struct store *s = help_open();
	struct store_result *r;

	(void)state;
	help_fill(s);
	r = help_run(s, ASK(.op = STORE_ROLE_LIST, .user = S("ben"), .body = S("[\"proj-1\\u0000x\", \"\\u0000\", \"proj-1\"]")), STORE_OK);
	assert_int_equal(r->rows_n, 1);
	store_result_free(r);
	help_do(s, ASK(.op = STORE_BOQ_LIST, .project = S("proj-1"), .cursor = S("001f001f001f")), STORE_INVALID);
	help_do(s, ASK(.op = STORE_BOQ_LIST, .project = S("proj-1"), .cursor = S("ff1fff1fff1f")), STORE_INVALID);
	help_do(s, ASK(.op = STORE_BOQ_LIST, .project = S("proj-1"), .cursor = S("271f5c1f271f")), STORE_OK);
	help_do(s, ASK(.op = STORE_BOQ_CREATE, .project = S("proj-1"), .item = S("'; DROP TABLE users; --"), .body = S("{\"code\":\"$1 ?2\"}")), STORE_OK);
	help_do(s, ASK(.op = STORE_BOQ_GET, .project = S("proj-1"), .item = S("'; DROP TABLE users; --")), STORE_OK);
	store_close(s);
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
		HELP_TEST(HELP_POSTGRES, restarted_between, setup, teardown),
		HELP_TEST(HELP_POSTGRES, away, setup, teardown),
		HELP_TEST(HELP_POSTGRES, start_without_server, setup, teardown),
		HELP_TEST(HELP_POSTGRES, commit_without_answer, setup, teardown),
		HELP_TEST(HELP_POSTGRES, commit_that_nobody_knows, setup, teardown),
		HELP_TEST(HELP_POSTGRES, done_again, setup, teardown),
		HELP_TEST(HELP_POSTGRES, one_of_many_fails, setup, teardown),
		HELP_TEST(HELP_POSTGRES, two_writers, setup, teardown),
		HELP_TEST(HELP_POSTGRES, woken, setup, teardown),
		HELP_TEST(HELP_POSTGRES, put_back, setup, teardown),
		HELP_TEST(HELP_POSTGRES, odd_texts, setup, teardown),
	};

	return help_main(tests, sizeof(tests) / sizeof(tests[0]));
}
