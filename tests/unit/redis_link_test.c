/* redis_link_test.c -- the adapter against a Redis that errs, stalls, lies and goes away at
 * every step (tests/lib/fake_redis.h).
 *
 * What is handed in comes to this file: it has sio_adapter_deliver and
 * sio_adapter_node_gone of its own, as tests/contract/adapter_test.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sio/room.h>

#include "base/buf.h"
#include "base/random.h"
#include "lib/fake_redis.h"
#include "redis/redis.h"

enum { NODES = 3, PATIENCE_MS = 10000, BEAT_MS = 40 };

struct node {
	struct sio_redis *redis;
	const struct sio_adapter_ops *ops;
	void *self;
	char id[RANDOM_ID_LEN + 1];
	struct buf heard;
	bool is_open;
	unsigned lost_n, missed_n; /* the way to all others, to one that says hello */
};

static uv_loop_t loop;
static uv_timer_t ticker; /* the loop comes round at least so often */
static struct fake_redis fake;
static struct node nodes[NODES];
static struct buf lines;  /* of the log */

static struct node *node_at(const struct sio_server *server)
{
	return &nodes[(uintptr_t)server - 1];
}

void sio_adapter_deliver(struct sio_server *server, sio_slice from, sio_slice message)
{
	(void)from;
	buf_slice(&node_at(server)->heard, message);
	buf_byte(&node_at(server)->heard, ' ');
}

void sio_adapter_lost(struct sio_server *server, sio_slice node)
{
	if (node.n)
		nodes[(uintptr_t)server - 1].missed_n++;
	else
		nodes[(uintptr_t)server - 1].lost_n++;
}

void sio_adapter_node_gone(struct sio_server *server, sio_slice node)
{
	(void)node;
	buf_str(&node_at(server)->heard, "gone ");
}

/* ---- the loop ---------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static void on_ticker(uv_timer_t *timer)
{
	(void)timer;
}

static void run_ms(uint64_t ms)
{
	uint64_t end = now_ms() + ms;

	while (now_ms() < end)
		uv_run(&loop, UV_RUN_ONCE);
}

static struct sio_redis_stats stats_of(int i)
{
	struct sio_redis_stats s;

	sio_redis_stats(nodes[i].redis, &s);
	return s;
}

#define UNTIL(condition)                                                                    \
	do {                                                                                \
		uint64_t end_ = now_ms() + PATIENCE_MS;                                     \
		while (!(condition) && now_ms() < end_)                                     \
			uv_run(&loop, UV_RUN_ONCE);                                         \
		if (!(condition))                                                           \
			fail_msg("line %d: never: %s (%s)", __LINE__, #condition, stats_of(0).error); \
	} while (0)

static void on_line(enum sio_log_level level, const char *line, void *arg)
{
	(void)arg;
	if (level >= SIO_LOG_WARNING)
		buf_printf(&lines, "%s\n", line);
}

static bool is_logged(const char *part)
{
	return lines.n > 0 && memmem(lines.p, lines.n, part, strlen(part));
}

/* ---- nodes -------------------------------------------------------------------------------- */

static char url[128];

static void open_with(int i, struct sio_redis_options o)
{
	static const struct redis_turn turn = { NULL, NULL };
	struct node *node = &nodes[i];
	char error[SIO_REDIS_ERROR_MAX];

	o.url = o.url ? o.url : url;
	o.heartbeat_ms = BEAT_MS;
	o.lease_ms = o.lease_ms ? o.lease_ms : 5 * BEAT_MS;
	o.connect_timeout_ms = o.connect_timeout_ms ? o.connect_timeout_ms : 2000;
	o.backoff_min_ms = 5;
	o.backoff_max_ms = 40;
	o.log = on_line;
	assert_int_equal(sio_redis_new(&o, &node->redis, error), SIO_OK);
	assert_int_equal(redis_node(node->redis, &loop, &turn, &node->ops, &node->self), SIO_OK);
	random_id(node->id);
	node->is_open = true;
	assert_int_equal(node->ops->open(node->self, (struct sio_server *)(uintptr_t)(i + 1), sio_str(node->id)), SIO_OK);
}

static void open_node(int i)
{
	open_with(i, (struct sio_redis_options){ .secret = SIO_LIT("secret") });
}

static void close_node(int i)
{
	if (nodes[i].is_open)
		nodes[i].ops->close(nodes[i].self);
	nodes[i].is_open = false;
}

static bool is_up(int i)
{
	return stats_of(i).is_up;
}

static int publish(int i, const char *message)
{
	return nodes[i].ops->publish(nodes[i].self, SIO_LIT("ch"), sio_str(message));
}

static void subscribe(int i)
{
	assert_int_equal(nodes[i].ops->subscribe(nodes[i].self, SIO_LIT("ch")), SIO_OK);
}

static bool has_heard(int i, const char *want)
{
	return sio_slice_eq(buf_peek(&nodes[i].heard), sio_str(want));
}

static int setup(void **state)
{
	(void)state;
	uv_loop_init(&loop);
	uv_timer_init(&loop, &ticker);
	uv_timer_start(&ticker, on_ticker, 5, 5);
	fake_redis_start(&fake, &loop, 0);
	snprintf(url, sizeof(url), "redis://127.0.0.1:%d/0", fake.port);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < NODES; i++)
		close_node(i);
	run_ms(20);
	fake_redis_stop(&fake);
	uv_close((uv_handle_t *)&ticker, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	fake_redis_free(&fake);
	assert_int_equal(uv_loop_close(&loop), 0); /* nothing is left behind */
	for (int i = 0; i < NODES; i++) {
		sio_redis_free(nodes[i].redis);
		buf_fini(&nodes[i].heard);
		nodes[i] = (struct node){ 0 };
	}
	buf_fini(&lines);
	return 0;
}

/* ---- coming up ------------------------------------------------------------------------------ */

static void answers_in_single_bytes(void **state)
{
	(void)state;
	fake.is_bytewise = true;
	open_node(0);
	open_node(1);
	subscribe(1);
	UNTIL(is_up(0) && is_up(1) && stats_of(0).nodes == 1);
	assert_int_equal(publish(0, "one"), SIO_OK);
	assert_int_equal(publish(0, "two"), SIO_OK);
	UNTIL(has_heard(1, "one two "));
	assert_int_equal(stats_of(0).failures_total + stats_of(1).failures_total, 0);
}

static void it_says_who_it_is(void **state)
{
	char with[128];

	(void)state;
	snprintf(with, sizeof(with), "redis://u:p%%20q@127.0.0.1:%d/3", fake.port);
	open_with(0, (struct sio_redis_options){ .url = with });
	UNTIL(is_up(0));
	assert_non_null(strstr(fake.said, "AUTH u p q|SELECT 3|CLIENT SETNAME sio|INFO cluster|"));
	assert_non_null(strstr(fake.said, "SUBSCRIBE {sio}n"));
	assert_non_null(strstr(fake.said, "SUBSCRIBE {sio}a|"));
}

/* What goes wrong at which command, twice; then all is well and it comes up. */
static const struct {
	const char *command, *fault, *error;
	bool is_refused;
} faults[] = {
	{ "AUTH", "-WRONGPASS invalid username-password pair\r\n", "WRONGPASS", true },
	{ "AUTH", "-ERR Client sent AUTH, but no password is set\r\n", "no password is set", true },
	{ "AUTH", "", "has closed the connection", false },
	{ "SELECT", "-ERR DB index is out of range\r\n", "out of range", true },
	{ "SELECT", "-LOADING Redis is loading the dataset in memory\r\n", "LOADING", false },
	{ "SELECT", "-ERR max number of clients reached\r\n", "max number", false },
	{ "SELECT", "", "has closed the connection", false },
	{ "CLIENT", "-NOAUTH Authentication required.\r\n", "NOAUTH", true },
	{ "CLIENT", "", "has closed the connection", false },
	{ "INFO", "-LOADING Redis is loading the dataset in memory\r\n", "LOADING", false },
	{ "INFO", "-MASTERDOWN Link with MASTER is down\r\n", "MASTERDOWN", false },
	{ "INFO", "", "has closed the connection", false },
	{ "INFO", "HTTP/1.1 400 Bad Request\r\n", "does not speak Redis's protocol", false },
	{ "SUBSCRIBE", "-NOPERM this user has no permissions\r\n", "NOPERM", true },
	{ "SUBSCRIBE", ":1\r\n", "nothing was asked for", false },
	{ "SUBSCRIBE", "*1\r\n$9\r\nsubscribe\r\n", "nothing was asked for", false },
	{ "SUBSCRIBE", "*3\r\n:1\r\n:2\r\n:3\r\n", "nothing was asked for", false },
	{ "SUBSCRIBE", "", "has closed the connection", false },
	{ "PUBLISH", "-NOPERM this user has no permissions\r\n", "NOPERM", true },
	{ "PUBLISH", "-LOADING Redis is loading the dataset in memory\r\n", "LOADING", false },
	{ "PUBLISH", "+OK\r\n", "nothing was asked for", false },
	{ "PUBLISH", ":1\r\n:1\r\n", "nothing was asked for", false },
	{ "PUBLISH", "-MOVED 1\r\n", "MOVED 1", false },
	{ "PUBLISH", "", "has closed the connection", false },
};

static void every_fault_at_every_step(void **state)
{
	char with[128];

	(void)state;
	snprintf(with, sizeof(with), "redis://u:p@127.0.0.1:%d/3", fake.port);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct sio_redis_stats s;
		teardown(NULL);
		setup(NULL);
		snprintf(with, sizeof(with), "redis://u:p@127.0.0.1:%d/3", fake.port);
		fake.command = faults[i].command;
		fake.fault = faults[i].fault;
		fake.times = 2;
		open_with(0, (struct sio_redis_options){ .url = with });
		UNTIL(stats_of(0).failures_total > 0);
		s = stats_of(0);
		if (!strstr(s.error, faults[i].error) || s.is_refused != faults[i].is_refused)
			fail_msg("%s, %s: %s, %d", faults[i].command, faults[i].fault, s.error, s.is_refused);
		assert_null(strstr(s.error, "u:p"));
		UNTIL(is_up(0));
		assert_string_equal(stats_of(0).error, "");
		assert_true(is_logged("local clients are served, trying again"));
	}
}

/* Rights to these two may be missing. */
static void what_it_can_do_without(void **state)
{
	(void)state;
	fake.command = "INFO";
	fake.fault = "-NOPERM no\r\n";
	fake.times = 2;
	open_node(0);
	UNTIL(is_up(0));
	assert_int_equal(stats_of(0).failures_total, 0);
}

static void a_redis_that_says_nothing(void **state)
{
	(void)state;
	fake.command = "INFO";
	fake.fault = NULL;
	fake.times = 2;
	open_with(0, (struct sio_redis_options){ .connect_timeout_ms = 100 });
	UNTIL(stats_of(0).failures_total >= 1);
	assert_non_null(strstr(stats_of(0).error, "did not answer within 100 ms"));
	UNTIL(is_up(0));
}

static void nobody_there(void **state)
{
	int port = fake.port;
	uint64_t failures;

	(void)state;
	fake_redis_stop(&fake);
	run_ms(10);
	fake_redis_free(&fake);
	open_node(0);
	run_ms(400);
	failures = stats_of(0).failures_total;
	/* Two links, 5 ms first, then at most 40 ms and at least half of it. */
	assert_in_range(failures, 2 * 400 / 60, 2 * (400 / 20 + 5));
	assert_non_null(strstr(stats_of(0).error, "connection refused"));
	assert_int_equal(lines.n > 0 ? 1 : 0, 1);
	assert_ptr_equal(memchr(lines.p, '\n', lines.n), lines.p + lines.n - 1); /* one line for all of them */
	fake_redis_start(&fake, &loop, port);
	UNTIL(is_up(0));
}

static void a_name_that_is_none(void **state)
{
	(void)state;
	open_with(0, (struct sio_redis_options){ .url = "redis://no-such-host.invalid:1/0" });
	UNTIL(stats_of(0).failures_total >= 2);
	assert_non_null(strstr(stats_of(0).error, "the name cannot be looked up"));
}

static void moved_is_followed_but_not_for_ever(void **state)
{
	char moved[64];

	(void)state;
	snprintf(moved, sizeof(moved), "-MOVED 1 127.0.0.1:%d\r\n", fake.port);
	fake.command = "PUBLISH";
	fake.fault = moved;
	fake.times = 1;
	open_node(0);
	UNTIL(is_up(0));
	assert_int_equal(stats_of(0).failures_total, 1);
	fake.times = 20; /* round and round: after a few there is a pause */
	UNTIL(fake.times == 0 && is_up(0));
	assert_true(fake.conns_n <= 2 + 2 + 20);
}

/* ---- the way of messages ---------------------------------------------------------------------- */

static void the_outbox_is_bounded_and_keeps_the_order(void **state)
{
	(void)state;
	open_node(1);
	subscribe(1);
	UNTIL(is_up(1));
	open_with(0, (struct sio_redis_options){ .secret = SIO_LIT("secret"), .outbox_messages = 3 });
	assert_int_equal(publish(0, "1"), SIO_OK); /* before it is connected */
	assert_int_equal(publish(0, "2"), SIO_OK);
	assert_int_equal(publish(0, "3"), SIO_OK);
	assert_int_equal(publish(0, "4"), SIO_ERR_BUSY);
	assert_int_equal(stats_of(0).outbox_messages, 3);
	UNTIL(has_heard(1, "1 2 3 "));
	assert_int_equal(stats_of(0).full_total, 1);
	UNTIL(stats_of(0).outbox_messages == 0);
	assert_int_equal(publish(0, "5"), SIO_OK);
	UNTIL(has_heard(1, "1 2 3 5 "));
}

static void what_waited_too_long_is_dropped(void **state)
{
	(void)state;
	open_node(1);
	subscribe(1);
	UNTIL(is_up(1));
	fake.command = "INFO";
	fake.fault = "-LOADING\r\n";
	fake.times = 1000;
	open_with(0, (struct sio_redis_options){ .secret = SIO_LIT("secret"), .outbox_age_ms = 2000 });
	assert_int_equal(publish(0, "old"), SIO_OK);
	run_ms(2000);
	assert_int_equal(publish(0, "new"), SIO_OK);
	run_ms(60);
	fake.times = 0;
	UNTIL(has_heard(1, "new "));
	assert_int_equal(stats_of(0).expired_total, 1);
}

/* It was forwarded, but the answer is lost: sent again, heard once. */
static void sent_twice_heard_once(void **state)
{
	(void)state;
	open_node(0);
	open_node(1);
	subscribe(1);
	UNTIL(is_up(0) && is_up(1));
	for (int i = 0; i < 5; i++) {
		uint64_t repeated = stats_of(1).repeated_total;
		UNTIL(is_up(0) && stats_of(0).outbox_messages == 0);
		fake.command = "PUBLISH";
		fake.fault = "";
		fake.does_both = true;
		fake.times = 1;
		assert_int_equal(publish(0, "x"), SIO_OK);
		assert_int_equal(publish(0, "y"), SIO_OK);
		UNTIL(fake.times == 0);
		UNTIL(stats_of(0).outbox_messages == 0 && is_up(0));
		UNTIL(stats_of(1).repeated_total + stats_of(0).repeated_total > repeated || i == 0);
	}
	UNTIL(has_heard(1, "x y x y x y x y x y "));
}

/* ---- processes of other kinds ------------------------------------------------------------------- */

static int tell(int i, const char *json, bool is_volatile)
{
	const struct sio_target target = { .is_volatile = is_volatile };
	const struct sio_args args = sio_args_json(sio_str(json));

	return nodes[i].ops->tell_neighbours(nodes[i].self, SIO_LIT("/"), &target, SIO_LIT("e"), &args);
}

/* Nodes 0 and 1 of one prefix, of which 0 tells; 2 is of another and hears what a stranger would. */
static void open_three(void)
{
	open_with(0, (struct sio_redis_options){ .python_channel = "py", .node_key = "nd", .to_python_channel = "py", .to_node_key = "nd" });
	open_with(1, (struct sio_redis_options){ .python_channel = "py", .node_key = "nd" });
	open_with(2, (struct sio_redis_options){ .python_channel = "py", .node_key = "nd", .prefix = "other" });
	UNTIL(is_up(0) && is_up(1) && is_up(2));
	run_ms(30);
}

static void what_is_told_outside_is_our_own_to_us(void **state)
{
	(void)state;
	open_three();
	assert_int_equal(tell(1, "1", false), SIO_OK); /* this one tells nobody */
	assert_int_equal(tell(0, "1", false), SIO_OK);
	assert_int_equal(tell(0, "{", false), SIO_ERR_PROTO);
	assert_int_equal(tell(0, "{\"a\":2}", true), SIO_OK);
	UNTIL(stats_of(2).neighbours_total == 2); /* by SUBSCRIBE; this Redis knows no patterns */
	UNTIL(stats_of(0).neighbours_told_total == 4);
	assert_int_equal(stats_of(0).neighbours_untold_total, 2);
	assert_int_equal(stats_of(0).neighbours_total + stats_of(1).neighbours_total + stats_of(2).neighbours_refused_total, 0);
}

static void what_was_told_outside_is_never_told_twice(void **state)
{
	(void)state;
	open_three();
	UNTIL(stats_of(0).outbox_messages == 0);
	fake.command = "PUBLISH";
	fake.fault = "";
	fake.does_both = true; /* it is forwarded, and the answer is lost */
	fake.times = 1;
	assert_int_equal(tell(0, "1", false), SIO_OK); /* two messages: the second waits, and goes when it is connected again */
	UNTIL(stats_of(0).failures_total > 0 || stats_of(1).failures_total > 0 || stats_of(2).failures_total > 0);
	UNTIL(is_up(0) && stats_of(0).outbox_messages == 0);
	if (stats_of(0).failures_total) /* else it was a heartbeat of another node */
		assert_in_range(stats_of(0).neighbours_untold_total, 1, 2); /* the other one may have been under way */
	run_ms(50);
	assert_int_equal(stats_of(2).neighbours_total, 1);
	/* While there is no connection, what is volatile is dropped and the rest waits. */
	fake_redis_drop_all(&fake);
	UNTIL(!is_up(0));
	assert_int_equal(tell(0, "2", true), SIO_ERR_BUSY);
	assert_int_equal(tell(0, "3", false), SIO_OK);
	UNTIL(is_up(0) && stats_of(0).outbox_messages == 0);
}

static void without_rights_to_their_channels(void **state)
{
	uint64_t failures;

	(void)state;
	open_with(0, (struct sio_redis_options){ .to_python_channel = "py" });
	UNTIL(is_up(0) && stats_of(0).outbox_messages == 0);
	failures = stats_of(0).failures_total;
	fake.command = "PUBLISH";
	fake.fault = "-NOPERM this user has no permissions to access one of the channels used as arguments\r\n";
	fake.times = 1;
	assert_int_equal(tell(0, "1", false), SIO_OK);
	UNTIL(fake.times == 0 && stats_of(0).neighbours_untold_total == 1);
	assert_int_equal(tell(0, "2", false), SIO_OK);
	UNTIL(stats_of(0).neighbours_told_total == 1);
	assert_int_equal(stats_of(0).failures_total, failures);
	assert_true(is_up(0));
	assert_true(is_logged("no rights to their channels"));
}

static void everything_is_subscribed_again(void **state)
{
	(void)state;
	open_node(0);
	open_node(1);
	subscribe(1);
	UNTIL(is_up(0) && is_up(1));
	for (int i = 0; i < 4; i++) {
		fake_redis_drop_all(&fake);
		UNTIL(!is_up(0) && !is_up(1));
		UNTIL(is_up(0) && is_up(1));
		buf_clear(&nodes[1].heard);
		assert_int_equal(publish(0, "again"), SIO_OK);
		UNTIL(has_heard(1, "again "));
	}
	nodes[1].ops->unsubscribe(nodes[1].self, SIO_LIT("ch"));
	fake_redis_drop_all(&fake);
	UNTIL(!is_up(0) && !is_up(1));
	UNTIL(is_up(0) && is_up(1));
	assert_int_equal(publish(0, "not"), SIO_OK);
	run_ms(50);
	assert_true(has_heard(1, "again "));
}

/* In a turn of its own, and again while it stays lost. */
static void the_server_is_told_that_messages_may_be_missing(void **state)
{
	(void)state;
	open_node(0);
	open_node(1);
	subscribe(0);
	UNTIL(is_up(0) && is_up(1));
	nodes[0].lost_n = nodes[1].lost_n = 0; /* before it heard anything, too */
	fake_redis_drop_all(&fake);
	UNTIL(nodes[0].lost_n > 0 && nodes[1].lost_n > 0);
	UNTIL(is_up(0) && is_up(1));
	run_ms(3 * BEAT_MS);
	nodes[0].lost_n = 0;
	fake.command = "SUBSCRIBE"; /* the link is there and has nothing to say */
	fake.fault = "";
	fake.times = 1000000;
	fake_redis_drop_all(&fake);
	UNTIL(nodes[0].lost_n > 3);
	nodes[0].missed_n = 0;
	fake.times = 0;
	UNTIL(is_up(0) && is_up(1));
	UNTIL(nodes[0].missed_n > 0 || nodes[1].missed_n > 0); /* whoever is back first hears the other come */
}

static void the_deaf_is_found_out(void **state)
{
	uint64_t deaf;

	(void)state;
	open_node(0);
	UNTIL(is_up(0));
	fake.is_mute = true;
	UNTIL(stats_of(0).deaf_total >= 2);
	assert_false(is_up(0));
	assert_true(is_logged("lets us hear nothing, not even ourselves"));
	fake.is_mute = false;
	UNTIL(is_up(0));
	deaf = stats_of(0).deaf_total;
	run_ms(8 * BEAT_MS);
	assert_int_equal(stats_of(0).deaf_total, deaf);
	assert_true(stats_of(0).round_trip_us > 0);
}

/* The line is lost between the greeting and the subscriptions, and nobody says so. */
static void a_subscription_that_is_never_confirmed(void **state)
{
	(void)state;
	fake.command = "SUBSCRIBE";
	fake.fault = NULL;
	fake.times = 2;
	open_node(0);
	UNTIL(fake.times == 0);
	assert_false(is_up(0));
	UNTIL(is_logged("does not confirm that we may listen"));
	UNTIL(is_up(0));
}

static void the_stuck_is_found_out(void **state)
{
	(void)state;
	open_node(0);
	UNTIL(is_up(0));
	fake.command = "PUBLISH";
	fake.fault = NULL;
	fake.times = 1000000;
	UNTIL(stats_of(0).failures_total > 0 && strstr(stats_of(0).error, "does not answer"));
	fake.times = 0;
	UNTIL(is_up(0));
}

/* ---- others ------------------------------------------------------------------------------------- */

static void count_one(sio_slice id, void *n)
{
	(void)id;
	++*(unsigned *)n;
}

static unsigned known_to(int i)
{
	unsigned n = 0;

	nodes[i].ops->nodes(nodes[i].self, count_one, &n);
	return n;
}

static void the_silent_are_gone_once(void **state)
{
	(void)state;
	open_node(0);
	open_node(1);
	UNTIL(known_to(0) == 1 && known_to(1) == 1);
	fake_redis_drop_all(&fake);
	UNTIL(!is_up(0));
	UNTIL(is_up(0) && is_up(1));
	run_ms(6 * BEAT_MS);
	assert_true(has_heard(0, "")); /* nobody is gone because we were away */
	close_node(1);
	UNTIL(has_heard(0, "gone "));
	assert_int_equal(known_to(0), 0);
	run_ms(8 * BEAT_MS);
	assert_true(has_heard(0, "gone "));
}

/* While we hear nothing ourselves nobody is taken for gone, however long that lasts. */
static void who_is_away_himself_takes_nobody_for_gone(void **state)
{
	(void)state;
	open_node(0);
	open_node(1);
	UNTIL(known_to(0) == 1 && known_to(1) == 1 && is_up(0) && is_up(1));
	fake.command = "INFO";
	fake.fault = "-LOADING\r\n";
	fake.times = 1000000;
	fake_redis_drop_all(&fake);
	UNTIL(!is_up(0));
	assert_int_equal(nodes[0].ops->send(nodes[0].self, sio_str(nodes[1].id), SIO_LIT("at once")), SIO_OK);
	run_ms(12 * BEAT_MS); /* twice the lease */
	assert_int_equal(known_to(0), 1);
	assert_int_equal(nodes[0].ops->send(nodes[0].self, sio_str(nodes[1].id), SIO_LIT("late")), SIO_ERR_BUSY);
	assert_int_equal(publish(0, "nobody hears it"), SIO_OK);
	fake.times = 0;
	UNTIL(is_up(0) && is_up(1));
	run_ms(3 * BEAT_MS);
	assert_int_equal(known_to(0), 1);
	assert_true(has_heard(0, ""));
	assert_true(has_heard(1, "") || has_heard(1, "at once ")); /* it may have been away itself then */
}

static void another_secret_is_another_cluster(void **state)
{
	(void)state;
	open_node(0);
	subscribe(0);
	open_with(1, (struct sio_redis_options){ .secret = SIO_LIT("other") });
	UNTIL(is_up(0) && is_up(1));
	assert_int_equal(publish(1, "psst"), SIO_OK);
	UNTIL(stats_of(0).forged_total >= 2);
	assert_true(is_logged("another secret"));
	assert_int_equal(known_to(0) + known_to(1), 0);
	assert_true(has_heard(0, ""));
}

static void options_out_of_range(void **state)
{
	static const struct sio_redis_options bad[] = {
		{ .url = "nonsense" },
		{ .prefix = "" },
		{ .prefix = "a{b" },
		{ .prefix = "1234567890123456789012345678901234567890123456789012345678901234x" },
		{ .heartbeat_ms = 5000, .lease_ms = 14999 },
		{ .backoff_min_ms = 6000 },
	};
	struct sio_redis *redis;
	char error[SIO_REDIS_ERROR_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(sio_redis_new(&bad[i], &redis, error), SIO_ERR_INVAL);
		assert_true(error[0] != '\0');
	}
	assert_int_equal(sio_redis_new(&(struct sio_redis_options){ .heartbeat_ms = 5000, .lease_ms = 15000 }, &redis, error), SIO_OK);
	sio_redis_free(redis);
	sio_redis_free(NULL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(answers_in_single_bytes),
		T(it_says_who_it_is),
		T(every_fault_at_every_step),
		T(what_it_can_do_without),
		T(a_redis_that_says_nothing),
		T(nobody_there),
		T(a_name_that_is_none),
		T(moved_is_followed_but_not_for_ever),
		T(the_outbox_is_bounded_and_keeps_the_order),
		T(what_waited_too_long_is_dropped),
		T(sent_twice_heard_once),
		T(what_is_told_outside_is_our_own_to_us),
		T(what_was_told_outside_is_never_told_twice),
		T(without_rights_to_their_channels),
		T(everything_is_subscribed_again),
		T(the_server_is_told_that_messages_may_be_missing),
		T(the_deaf_is_found_out),
		T(a_subscription_that_is_never_confirmed),
		T(the_stuck_is_found_out),
		T(the_silent_are_gone_once),
		T(who_is_away_himself_takes_nobody_for_gone),
		T(another_secret_is_another_cluster),
		T(options_out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
