/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions of a policy, as metav1.Condition has them, and the status that is written. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

enum fence_report_type {
    FENCE_REPORT_ACCEPTED,   /* the policy is valid */
    FENCE_REPORT_PROGRAMMED, /* it is in force on every node */
    FENCE_REPORT_DEGRADED,   /* a node could not put it in force */
    FENCE_REPORT_TYPES,
};

#define FENCE_REPORT_REASON  32
#define FENCE_REPORT_MESSAGE 512
#define FENCE_REPORT_TIME    40

struct fence_report_condition {
    bool known; /* of what the API server has: it has it */
    bool is_true;
    char reason[FENCE_REPORT_REASON]; /* "Programmed" */
    char message[FENCE_REPORT_MESSAGE];
    int64_t generation;            /* that it was observed for */
    char since[FENCE_REPORT_TIME]; /* lastTransitionTime */
};

struct fence_report_status {
    struct fence_report_condition conditions[FENCE_REPORT_TYPES];
};

/* What an object of the API has of ours; what it has not is not known. */
void fence_report_status_read(const cJSON *object, struct fence_report_status *ret_status);

enum fence_report_difference {
    FENCE_REPORT_SAME,
    FENCE_REPORT_WORDS, /* messages alone: counts of nodes on their way */
    FENCE_REPORT_OTHER,
};
enum fence_report_difference fence_report_status_compare(const struct fence_report_status *has,
                                                         const struct fence_report_status *wants);

/*
 * The body of a server-side apply of `wants` to the status of `Kind/namespace/name` or `Kind/name`.
 * A condition whose status stays keeps its time in `has`; others are since `now_s` (seconds since
 * 1970). A new string, NULL without memory.
 */
char *fence_report_status_format(const char *id, const struct fence_report_status *has,
                                 const struct fence_report_status *wants, int64_t now_s);
