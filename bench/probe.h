/* probe.h -- what the load generator reads about a server from outside: the CPU
 * time that it used (from /proc) and the counters that it publishes (/metrics).
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef BENCH_PROBE_H
#define BENCH_PROBE_H

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t probe_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static inline double probe_own_cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* CPU seconds of all threads that a process has now, user and system, in
 * nanosecond steps (schedstat), else in clock ticks (stat).  0 without pid. */
static inline double probe_cpu_s(int pid)
{
	char path[320], line[1024], *p;
	unsigned long long ns = 0, one, user = 0, sys = 0;
	struct dirent *e;
	DIR *d;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = pid > 0 ? opendir(path) : NULL;
	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, e->d_name);
		f = e->d_name[0] != '.' ? fopen(path, "r") : NULL;
		if (f && fscanf(f, "%llu", &one) == 1)
			ns += one;
		if (f)
			fclose(f);
	}
	if (!d)
		return 0;
	closedir(d);
	if (ns)
		return (double)ns / 1e9;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (f && fgets(line, sizeof(line), f) && (p = strrchr(line, ')')))
		sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &sys);
	if (f)
		fclose(f);
	return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

/* The server's own account; all zero when it has none. */
struct probe_counters {
	uint64_t encodes, deliveries, allocations, writes, dropped, replaced;
};

/* Sum of the samples of one metric in a Prometheus text. */
static inline uint64_t probe_metric(const char *text, const char *name)
{
	size_t n = strlen(name);
	double sum = 0;

	for (const char *at = strstr(text, name); at; at = strstr(at + 1, name)) {
		const char *value = at + n;

		if (at[-1] != '\n' || (*value != ' ' && *value != '{'))
			continue;
		if (*value == '{' && !(value = strchr(value, '}')))
			break;
		sum += strtod(value + 1, NULL);
	}
	return (uint64_t)sum;
}

/* GET /metrics on a connection of its own.  Blocks, so it has no place in a run
 * that is timed.  Returns false when there is no such page. */
static inline bool probe_counters(uint16_t port, struct probe_counters *out)
{
	static const char ask[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	static char text[1 << 20];
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct timeval wait = { .tv_sec = 5 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t n = 0;
	ssize_t got = 0;

	*out = (struct probe_counters){ 0 };
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 && write(fd, ask, sizeof(ask) - 1) > 0)
		while (n < sizeof(text) - 1 && (got = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
			n += (size_t)got;
	close(fd);
	text[n] = 0;
	if (strncmp(text, "HTTP/1.1 200", 12) != 0)
		return false;
	out->encodes = probe_metric(text, "skybuild_encodes_total");
	out->deliveries = probe_metric(text, "skybuild_deliveries_total");
	out->allocations = probe_metric(text, "skybuild_allocations_total");
	out->writes = probe_metric(text, "skybuild_writes_total");
	out->dropped = probe_metric(text, "skybuild_volatile_dropped_total");
	out->replaced = probe_metric(text, "skybuild_volatile_replaced_total");
	return true;
}

#endif
