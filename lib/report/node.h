/* SPDX-License-Identifier: Apache-2.0 */
/* A node's report: which policies it has in force, and which it could not put in force. */
#pragma once

#include <stddef.h>

#include <cjson/cJSON.h>

#include "lib/report/digest.h"

/* A report names so many; it counts all. */
#define FENCE_NODE_REPORT_FAILURES 20u

struct fence_node_report {
    const char *node;
    const char *node_uid; /* of the Node object, so that the report goes with it; "" = unknown */
    struct fence_report_digest digest;
    size_t failing; /* policies */
    struct {
        char policy[640]; /* Kind/namespace/name */
        char text[512];
    } failures[FENCE_NODE_REPORT_FAILURES]; /* the first of them */
};

/* The body of a server-side apply. A new string, NULL without memory. */
char *fence_node_report_format(const struct fence_node_report *report);
