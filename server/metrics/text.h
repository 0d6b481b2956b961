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

#include <sio/slice.h>

#include "base/buf.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE };

/* The HELP and TYPE lines of a metric; its samples follow. */
void metric_head(struct buf *out, const char *name, enum metric_type type, const char *help);

/* One sample without labels, with one, and of a number with a fraction. */
void metric_value(struct buf *out, const char *name, uint64_t value);
void metric_labelled(struct buf *out, const char *name, const char *label, sio_slice label_value, uint64_t value);
void metric_seconds(struct buf *out, const char *name, const char *label, sio_slice label_value, uint64_t us);

/* Head and value in one. */
void metric(struct buf *out, const char *name, enum metric_type type, const char *help, uint64_t value);

/* process_cpu_seconds_total, process_resident_memory_bytes and the others that
 * Prometheus clients expose; what /proc does not tell is left out. */
void metric_process(struct buf *out);

#endif
