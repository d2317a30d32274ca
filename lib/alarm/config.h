/* SPDX-License-Identifier: Apache-2.0 */
/* The rules' thresholds, and what to do about an alarm: defaults, and a YAML file over them, as
 * README.md describes it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum fence_alarm_rule {
    FENCE_ALARM_NEW_PEER,
    FENCE_ALARM_PORT_SCAN,
    FENCE_ALARM_FAN_OUT,
    FENCE_ALARM_REFUSED_BURST,
    FENCE_ALARM_RATE,
    FENCE_ALARM_SPOOFING,
    FENCE_ALARM_MAP_PRESSURE,
    FENCE_ALARM_FILTER_REMOVED,
    FENCE_ALARM_EVENTS_LOST,
    FENCE_ALARM_RULES,
};

enum fence_alarm_severity {
    FENCE_ALARM_INFO,
    FENCE_ALARM_WARNING,
    FENCE_ALARM_CRITICAL,
    FENCE_ALARM_SEVERITIES,
};

/* "NAMESPACE/APP", "NAMESPACE/" followed by a star, or a star for all. */
#define FENCE_ALARM_PATTERNS_MAX 64u
struct fence_alarm_patterns {
    char **items;
    size_t count;
    size_t capacity;
};

struct fence_alarm_rule_config {
    bool enabled;
    bool cut;           /* respond: cut */
    uint32_t threshold; /* ports, peers, packets, connections, percent */
    uint32_t factor;    /* fan-out: times the usual; rate: deviations */
    uint32_t critical;  /* map-pressure: percent */
    uint32_t within_ms;
    uint32_t quiet_ms;                  /* without evidence for so long it is cleared */
    struct fence_alarm_patterns exempt; /* workloads that it does not look at */
};

struct fence_alarm_config {
    uint64_t learning_ns;
    uint32_t cut_seconds;
    uint32_t max_cuts;
    struct fence_alarm_patterns never_cut;
    struct fence_alarm_rule_config rules[FENCE_ALARM_RULES];
};

#define FENCE_ALARM_CONFIG_MAX (256u << 10) /* bytes of a file */
#define FENCE_ALARM_CUTS_MAX   32u

/* 0 or -ENOMEM. */
int fence_alarm_config_defaults(struct fence_alarm_config *ret_config);
/* The defaults, and what the text says over them. -EINVAL: "line 3: rules.port-scan.ports: ...". */
int fence_alarm_config_parse(const char *text, size_t size, struct fence_alarm_config *ret_config,
                             struct fence_err *err);
void fence_alarm_config_done(struct fence_alarm_config *config);

bool fence_alarm_patterns_match(const struct fence_alarm_patterns *patterns, const char *name);

const char *fence_alarm_rule_name(enum fence_alarm_rule rule);             /* "port-scan" */
const char *fence_alarm_severity_name(enum fence_alarm_severity severity); /* "critical" */
/* Of a new alarm of this rule. */
enum fence_alarm_severity fence_alarm_rule_severity(enum fence_alarm_rule rule);
