/* text.h -- writes metrics in Prometheus' text format (version 0.0.4).
 *
 * Knows the format and the process's own figures; what is counted, and by which
 * name, is the caller's.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef METRICS_TEXT_H
#define METRICS_TEXT_H

#include <stdint.h>

#include <sio/server.h>
#include <sio/slice.h>

#include "base/buf.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* The HELP and TYPE lines of a metric; its samples follow. */
void metric_head(struct buf *out, const char *name, enum metric_type type, const char *help);

/* One sample without labels, with one, and of a number with a fraction. */
void metric_value(struct buf *out, const char *name, uint64_t value);
void metric_labelled(struct buf *out, const char *name, const char *label, sio_slice label_value, uint64_t value);
void metric_seconds(struct buf *out, const char *name, const char *label, sio_slice label_value, uint64_t us);

/* Head and value in one. */
void metric(struct buf *out, const char *name, enum metric_type type, const char *help, uint64_t value);

/* A histogram with its head: name_bucket{le}, name_sum, name_count.  In times the counts are
 * of each bucket alone, here of all up to it. */
void metric_times(struct buf *out, const char *name, const char *help, const struct sio_times *times);

/* process_cpu_seconds_total, process_resident_memory_bytes and the others that
 * Prometheus clients expose; what /proc does not tell is left out. */
void metric_process(struct buf *out);

#endif
