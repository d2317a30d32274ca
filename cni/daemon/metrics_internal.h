/* SPDX-License-Identifier: Apache-2.0 */
/* Private to metrics*.c. */
#pragma once

#include <stdint.h>
#include <stdio.h>

struct fence_daemon;

/* HELP and TYPE of a metric; its samples follow. */
void metric_begin(FILE *out, const char *name, const char *type, const char *help);
/* A metric of one sample without labels. */
void metric_counter(FILE *out, const char *name, const char *help, uint64_t value);
void metric_gauge(FILE *out, const char *name, const char *help, double value);
/* name{label="value"} number */
void metric_sample(FILE *out, const char *name, const char *label, const char *value,
                   uint64_t number);

/* What the kernel has counted (metrics_datapath.c). */
void metrics_datapath(FILE *out, struct fence_daemon *daemon);
/* The Kubernetes API (metrics_kubernetes.c). */
void metrics_kubernetes(FILE *out, const struct fence_daemon *daemon);
/* What is written to it (metrics_writes.c). */
void metrics_writes(FILE *out, const struct fence_daemon *daemon);
/* The process (metrics_process.c): names as Prometheus' own client libraries have them. */
void metrics_process(FILE *out, const struct fence_daemon *daemon);
