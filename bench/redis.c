/* redis.c -- what the adapter over Redis costs: the tags of messages, and the whole way.
 *
 *	bench/redis [redis://...]
 *
 * Without an address only the tags.  With one, two nodes on one loop: one publishes
 * messages to a channel that the other hears, a thousand under way at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <uv.h>

#include "base/random.h"
#include "redis/redis.h"
#include "redis/seal.h"

enum { MESSAGE_MAX = 16384, UNDER_WAY = 1000, PATIENCE_MS = 10000 };

static double now_s(void)
{
	return (double)uv_hrtime() / 1e9;
}

/* ---- tags ----------------------------------------------------------------------------- */

static void measure_seal(size_t n, bool has_secret)
{
	static char bytes[SEAL_HEAD + MESSAGE_MAX];
	const sio_slice channel = SIO_LIT("{skybuild}c/,project:proj-riverside");
	const sio_slice message = sio_bytes(bytes + SEAL_HEAD, n);
	enum { TIMES = 200000 };
	struct seal_head head;
	struct seal seal;
	double begun, wrote, got;
	int bad = 0;

	if (seal_init(&seal, has_secret ? SIO_LIT("0123456789abcdef0123456789abcdef") : sio_bytes("", 0)) < 0)
		exit(1);
	begun = now_s();
	for (uint64_t i = 0; i < TIMES; i++)
		bad += !seal_write(&seal, bytes, SEAL_MESSAGE, "node-node-node-node-", i, channel, message);
	wrote = now_s();
	for (int i = 0; i < TIMES; i++)
		bad += !seal_read(&seal, sio_bytes(bytes, SEAL_HEAD + n), channel, &head);
	got = now_s();
	printf("tag %-7s %6zu bytes: write %6.0f ns, read %6.0f ns%s\n", has_secret ? "secret" : "none", n,
	       (wrote - begun) / TIMES * 1e9, (got - wrote) / TIMES * 1e9, bad ? " BAD" : "");
	seal_fini(&seal);
}

/* ---- the whole way ----------------------------------------------------------------------- */

static uint64_t heard_n;

void sio_adapter_deliver(struct sio_server *server, sio_slice from, sio_slice message)
{
	(void)server, (void)from, (void)message;
	heard_n++;
}

void sio_adapter_lost(struct sio_server *server, sio_slice node)
{
	(void)server, (void)node;
}

void sio_adapter_node_gone(struct sio_server *server, sio_slice node)
{
	(void)server, (void)node;
}

struct end {
	struct sio_redis *redis;
	const struct sio_adapter_ops *ops;
	void *self;
};

static void open_end(struct end *e, uv_loop_t *loop, const char *url, bool has_secret)
{
	static const struct redis_turn turn = { NULL, NULL };
	const struct sio_redis_options o = { .url = url, .prefix = "bench", .secret = has_secret ? SIO_LIT("secret") : sio_bytes("", 0) };
	char error[SIO_REDIS_ERROR_MAX], id[RANDOM_ID_LEN + 1];

	random_id(id);
	if (sio_redis_new(&o, &e->redis, error) < 0 || redis_node(e->redis, loop, &turn, &e->ops, &e->self) < 0 ||
	    e->ops->open(e->self, NULL, sio_str(id)) < 0) {
		fprintf(stderr, "%s\n", error);
		exit(1);
	}
}

static void await_up(struct end *e, uv_loop_t *loop)
{
	struct sio_redis_stats s;
	uint64_t end = uv_now(loop) + PATIENCE_MS;

	do {
		uv_run(loop, UV_RUN_ONCE);
		sio_redis_stats(e->redis, &s);
	} while (!(s.is_up && s.nodes == 1) && uv_now(loop) < end);
	if (s.is_up)
		return;
	fprintf(stderr, "%s\n", s.error);
	exit(1);
}

static double cpu_s(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static void measure_way(const char *url, size_t n, bool has_secret)
{
	static char bytes[MESSAGE_MAX];
	enum { TIMES = 100000 };
	struct end a, b;
	uv_loop_t loop;
	double begun, took, cpu;
	uint64_t sent = 0;

	uv_loop_init(&loop);
	heard_n = 0;
	open_end(&a, &loop, url, has_secret);
	open_end(&b, &loop, url, has_secret);
	if (b.ops->subscribe(b.self, SIO_LIT("ch")) < 0)
		exit(1);
	await_up(&a, &loop);
	await_up(&b, &loop);
	begun = now_s();
	cpu = cpu_s();
	while (heard_n < TIMES) {
		for (; sent < TIMES && sent - heard_n < UNDER_WAY; sent++)
			if (a.ops->publish(a.self, SIO_LIT("ch"), sio_bytes(bytes, n)) < 0)
				exit(1);
		uv_run(&loop, UV_RUN_ONCE);
	}
	took = now_s() - begun;
	cpu = cpu_s() - cpu;
	begun = now_s();
	for (int i = 0; i < 1000; i++) {
		uint64_t before = heard_n;
		if (a.ops->publish(a.self, SIO_LIT("ch"), sio_bytes(bytes, n)) < 0)
			exit(1);
		while (heard_n == before)
			uv_run(&loop, UV_RUN_ONCE);
	}
	printf("way %-7s %6zu bytes: %7.0f messages a second, %5.2f us of CPU each (both ends); one alone takes %4.0f us\n",
	       has_secret ? "secret" : "none", n, TIMES / took, cpu / TIMES * 1e6, (now_s() - begun) * 1000);
	a.ops->close(a.self);
	b.ops->close(b.self);
	uv_run(&loop, UV_RUN_DEFAULT);
	sio_redis_free(a.redis);
	sio_redis_free(b.redis);
	uv_loop_close(&loop);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 128, 1024, MESSAGE_MAX };

	for (int with = 0; with < 2; with++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			measure_seal(sizes[i], with);
	for (int with = 0; argc > 1 && with < 2; with++)
		for (size_t i = 0; i < 2; i++)
			measure_way(argv[1], sizes[i], with);
	return 0;
}
