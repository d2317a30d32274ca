/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing among events and showing one as a line. Events are as lib/api/event_json makes them. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include <cjson/cJSON.h>

/* NULL members let everything through. Ends as in ctl_end_fits. */
struct ctl_observe_filter {
    const char *verdict; /* as events have it */
    const char *from;
    const char *to;
    const char *port;
};

/* "DROPPED" of "dropped", "deny" and the like; NULL when it is no verdict. */
const char *ctl_observe_verdict(const char *text);

bool ctl_observe_fits(const struct ctl_observe_filter *filter, const cJSON *event);

void ctl_observe_print(FILE *out, bool color, const cJSON *event);
