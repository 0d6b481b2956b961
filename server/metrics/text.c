/* text.c -- see text.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#include "metrics/text.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

void metric_head(struct buf *out, const char *name, enum metric_type type, const char *help)
{
	static const char *const names[] = { [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram" };

	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, names[type]);
}

void metric_value(struct buf *out, const char *name, uint64_t value)
{
	buf_str(out, name);
	buf_byte(out, ' ');
	buf_u64(out, value);
	buf_byte(out, '\n');
}

/* name{label="value"}, or name alone when there is no label */
static void put_name(struct buf *out, const char *name, const char *label, sio_slice value)
{
	buf_str(out, name);
	if (!label)
		return;
	buf_printf(out, "{%s=\"", label);
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '"' || value.p[i] == '\\')
			buf_byte(out, '\\');
		if (value.p[i] == '\n')
			buf_str(out, "\\n");
		else
			buf_byte(out, value.p[i]);
	}
	buf_str(out, "\"}");
}

void metric_labelled(struct buf *out, const char *name, const char *label, sio_slice label_value, uint64_t value)
{
	put_name(out, name, label, label_value);
	buf_byte(out, ' ');
	buf_u64(out, value);
	buf_byte(out, '\n');
}

void metric_seconds(struct buf *out, const char *name, const char *label, sio_slice label_value, uint64_t us)
{
	put_name(out, name, label, label_value);
	buf_printf(out, " %llu.%06llu\n", (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000));
}

void metric(struct buf *out, const char *name, enum metric_type type, const char *help, uint64_t value)
{
	metric_head(out, name, type, help);
	metric_value(out, name, value);
}

/* Without zeros at its end: the label "0.0025" is the same in each version. */
static void put_bound(struct buf *out, uint32_t us)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%u.%06u", us / 1000000, us % 1000000);

	while (text[n - 1] == '0')
		n--;
	n -= text[n - 1] == '.';
	buf_put(out, text, (size_t)n);
}

void metric_times(struct buf *out, const char *name, const char *help, const struct sio_times *times)
{
	uint64_t n = 0;

	metric_head(out, name, METRIC_HISTOGRAM, help);
	for (unsigned i = 0; i < SIO_TIMES_N; i++) {
		n += times->n[i];
		buf_printf(out, "%s_bucket{le=\"", name);
		if (i < SIO_TIMES_N - 1)
			put_bound(out, sio_times_bound_us(i));
		else
			buf_str(out, "+Inf");
		buf_printf(out, "\"} %llu\n", (unsigned long long)n);
	}
	buf_printf(out, "%s_sum %llu.%09llu\n%s_count %llu\n", name, (unsigned long long)(times->total_ns / 1000000000),
		   (unsigned long long)(times->total_ns % 1000000000), name, (unsigned long long)n);
}

/* ---- the process -------------------------------------------------------------- */

/* Field number n (from 1) of /proc/self/stat; 0 when it cannot be read. */
static uint64_t stat_field(unsigned n)
{
	char text[1024];
	FILE *f = fopen("/proc/self/stat", "re");
	size_t got = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	unsigned long long value = 0;
	char *at;

	if (f)
		fclose(f);
	text[got] = '\0';
	at = strrchr(text, ')'); /* the name before it may hold blanks */
	if (!at)
		return 0;
	/* Behind ") " stands field 3. */
	at += 2;
	for (unsigned i = 3; at && i < n; i++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	return at && sscanf(at, "%llu", &value) == 1 ? value : 0;
}

static uint64_t open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n > 3 ? n - 3 : 0; /* ".", ".." and the folder itself */
}

/* Unix time of the process's start, from its age. */
static uint64_t start_time_us(void)
{
	enum { STAT_START_TICKS = 22 };
	uint64_t ticks = stat_field(STAT_START_TICKS);
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);
	struct timespec up, now;

	clock_gettime(CLOCK_BOOTTIME, &up);
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)(now.tv_sec - up.tv_sec) * 1000000 + ticks * 1000000 / hz;
}

void metric_process(struct buf *out)
{
	enum { STAT_VSIZE = 23, STAT_RSS_PAGES = 24 };
	const sio_slice none = { 0 };
	struct rusage usage;
	struct rlimit fds;
	uint64_t cpu_us;

	getrusage(RUSAGE_SELF, &usage);
	cpu_us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
		 (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
	metric_head(out, "process_cpu_seconds_total", METRIC_COUNTER, "User and system CPU time.");
	metric_seconds(out, "process_cpu_seconds_total", NULL, none, cpu_us);
	metric_head(out, "process_start_time_seconds", METRIC_GAUGE, "Start of the process, Unix time.");
	metric_seconds(out, "process_start_time_seconds", NULL, none, start_time_us());
	metric(out, "process_resident_memory_bytes", METRIC_GAUGE, "Resident memory.",
	       stat_field(STAT_RSS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
	metric(out, "process_virtual_memory_bytes", METRIC_GAUGE, "Virtual memory.", stat_field(STAT_VSIZE));
	metric(out, "process_open_fds", METRIC_GAUGE, "Open file descriptors.", open_fds());
	if (getrlimit(RLIMIT_NOFILE, &fds) == 0)
		metric(out, "process_max_fds", METRIC_GAUGE, "Most file descriptors that may be open.", fds.rlim_cur);
}
