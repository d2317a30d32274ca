/* SPDX-License-Identifier: Apache-2.0 */
/* Showing events: as lib/api/event_json makes them, one line each. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "cni/ctl/ctl.h"
#include "lib/api/filter.h"

enum ctl_observe_column {
    CTL_OBSERVE_TIME,
    CTL_OBSERVE_VERDICT,
    CTL_OBSERVE_SOURCE,
    CTL_OBSERVE_DESTINATION,
    CTL_OBSERVE_PORT,
    CTL_OBSERVE_DIRECTION,
    CTL_OBSERVE_REASON,
    CTL_OBSERVE_COLUMNS,
};

/* How wide they have been so far: they grow with what comes, up to a limit. Zeroed = at the begin.
 */
struct ctl_observe_widths {
    size_t columns[CTL_OBSERVE_COLUMNS];
};

/* An event, or a number of lost ones, as a line. */
void ctl_observe_print(FILE *out, bool color, struct ctl_observe_widths *widths,
                       const cJSON *event);

/* What one call of the command wants and has. */
struct ctl_observation {
    struct ctl *ctl;
    struct fence_filter filter;
    cJSON *filter_json; /* the same for the daemon */
    bool follow;
    bool has_since;
    bool has_last;
    uint64_t since_ns;
    double last;
    struct ctl_observe_widths widths;
    uint64_t seen_ns; /* time of the last one shown */
    bool failed;      /* out of memory */
};

/* One text of lib/api/event_json.h. */
void ctl_observe_show(struct ctl_observation *observation, const char *text, size_t size);

/* Without a daemon, from the kernel's ring: what is in it and comes within a second; when
 * following, until a daemon is there. An exit status. */
int ctl_observe_ring(struct ctl_observation *observation);
