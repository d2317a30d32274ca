/* SPDX-License-Identifier: Apache-2.0 */
/* What clients have asked, and what it cost: by verb and path. Under the server's lock. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

struct counter {
    char *name; /* "list /api/v1/pods" */
    uint64_t requests;
    uint64_t bytes;       /* of bodies, as sent: compressed or not, without TLS and framing */
    uint64_t statuses[6]; /* 1xx ... 5xx; 0: no answer */
    uint64_t open;
};

struct counters {
    struct counter **items; /* never freed before the end: exchanges point at them */
    size_t count, capacity;
    char **log; /* the last requests, as "METHOD URI STATUS" */
    size_t log_next, log_count;
};

#define COUNTERS_LOG 10000

/* NULL without memory. */
struct counter *counters_get(struct counters *counters, const char *verb, const char *path);
void counters_log(struct counters *counters, const char *method, const char *uri,
                  unsigned int status);
/* All to zero; the log is emptied. What is open stays counted. */
void counters_reset(struct counters *counters);
cJSON *counters_json(const struct counters *counters);
cJSON *counters_log_json(const struct counters *counters);
void counters_done(struct counters *counters);
